//! Commands that only tell: `env`, `status`, `logs`, `doctor`.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::client::{Call, Client};

pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// `lakerun env`: shell lines for `eval`.
pub(crate) fn env(data: &Path) -> Result<()> {
    let server = Client::open(data)?.server;
    for (name, value) in [
        ("AWS_ENDPOINT_URL", server.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", &server.access_key),
        ("AWS_SECRET_ACCESS_KEY", &server.secret_key),
        ("AWS_REGION", &server.region),
        ("AWS_DEFAULT_REGION", &server.region),
        ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        say(&format!("export {name}={value}"));
    }
    say("unset AWS_SESSION_TOKEN AWS_PROFILE");
    Ok(())
}

/// `lakerun status`: exit code 0 when the server answers.
pub(crate) async fn status(data: &Path) -> Result<()> {
    let client = Client::open(data)?;
    let call = Call { service: "s3", method: "GET", path: "/", headers: &[], body: bytes::Bytes::new() };
    let (code, _) = client.send(call).await?;
    let memory = std::fs::read_to_string(format!("/proc/{}/status", client.server.pid)).unwrap_or_default();
    let resident = memory.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("unknown").trim().to_owned();
    say(&format!("endpoint  {}", client.server.endpoint));
    say(&format!("answers   {}", if code.is_success() { "yes" } else { code.as_str() }));
    say(&format!("process   {} (resident {resident})", client.server.pid));
    say(&format!("account   {}  region {}", client.server.account, client.server.region));
    say(&format!("data      {}", data.display()));
    say(&format!("console   {}/console/#token={}", client.server.endpoint, client.server.console_token));
    Ok(())
}

/// `lakerun logs`: events of every stream of the groups with this prefix, in order of time.
pub(crate) async fn logs(data: &Path, prefix: &str, follow: bool) -> Result<()> {
    let client = Client::open(data)?;
    let mut since = 0;
    loop {
        let groups =
            client.json("logs", "Logs_20140328.DescribeLogGroups", &json!({"logGroupNamePrefix": prefix})).await?;
        let mut events = Vec::new();
        for group in groups["logGroups"].as_array().into_iter().flatten().filter_map(|g| g["logGroupName"].as_str()) {
            let mut token = Value::Null;
            loop {
                let request = json!({"logGroupName": group, "startTime": since, "nextToken": token});
                let page = client.json("logs", "Logs_20140328.FilterLogEvents", &request).await?;
                for event in page["events"].as_array().into_iter().flatten() {
                    let text = event["message"].as_str().unwrap_or_default().trim_end().to_owned();
                    events.push((event["timestamp"].as_i64().unwrap_or_default(), group.to_owned(), text));
                }
                token = page["nextToken"].clone();
                if token.is_null() {
                    break;
                }
            }
        }
        events.sort_by_key(|(t, ..)| *t);
        for (time, group, text) in &events {
            say(&format!("{} {group} {text}", wire::Timestamp::from_millis(*time).to_iso()));
            since = since.max(time + 1);
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// `lakerun doctor`: one line per thing, `ok` or what is missing and what that costs.
pub(crate) async fn doctor(data: &Path) -> Result<()> {
    let mut compute =
        compute::Settings::new(std::env::temp_dir().join(format!("lakerun-doctor-{}", std::process::id())));
    compute.idle = Duration::from_secs(1);
    let scratch = compute.scratch.clone();
    let compute = compute::Compute::new(compute)?;
    match compute.envs.base().await {
        Ok(base) => say(&format!("ok       python: {base:?}")),
        Err(e) => say(&format!(
            "MISSING  python 3.10 or later with venv: no Lambda functions in Python, Spark jobs or models ({e})"
        )),
    }
    let warnings = compute::sandbox::warnings().await;
    for warning in &warnings {
        say(&format!("MISSING  {warning}"));
    }
    if warnings.is_empty() {
        say("ok       sandbox: functions and jobs see only their own files and processes, and nothing outlives them");
    }
    match std::fs::create_dir_all(data) {
        Ok(()) => say(&format!("ok       data folder {}", data.display())),
        Err(e) => say(&format!("MISSING  data folder {} cannot be made: {e}", data.display())),
    }
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}
