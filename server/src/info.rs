//! Commands that only tell: `env`, `status`, `open`, `logs`, `doctor`.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::door::Door;
use crate::output::{self, Format, say};

pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `lakerun env`: shell lines for `eval`.
pub(crate) async fn env(data: &Path) -> Result<()> {
    let client = Client::open(data)?;
    // A file that a server left when it was killed sends every client to a closed port.
    client.send(answers()).await?;
    let server = client.server;
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
    // So that `lakerun`'s own commands find the same server.
    let data = std::path::absolute(data)?;
    say(&format!("export LAKERUN_DATA={}", quoted(&data.display().to_string())));
    say("unset AWS_SESSION_TOKEN AWS_PROFILE");
    Ok(())
}

/// A word of a POSIX shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Any request that is quickly answered.
fn answers() -> Call<'static> {
    Call { service: "s3", method: "GET", path: "/", headers: &[], body: Bytes::new() }
}

/// `lakerun status`: exit code 0 when the server answers.
pub(crate) async fn status(data: &Path, format: Format) -> Result<()> {
    let client = Client::open(data)?;
    let (code, buckets) = client.send(answers()).await?;
    let memory = std::fs::read_to_string(format!("/proc/{}/status", client.server.pid)).unwrap_or_default();
    let resident = memory.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("unknown").trim().to_owned();
    let server = &client.server;
    let mut told = json!({
        "endpoint": server.endpoint,
        "answers": if code.is_success() { "yes" } else { code.as_str() },
        "process": server.pid,
        "resident": resident,
        "account": server.account,
        "region": server.region,
        "data": data.display().to_string(),
        "console": format!("{}/console/#token={}", server.endpoint, server.console_token),
    });
    let holds = holds(&client, &String::from_utf8_lossy(&buckets)).await?;
    if format != Format::Table {
        told["holds"] = holds;
        return output::document(format, &told);
    }
    output::record(&told);
    let counts = holds.as_object().into_iter().flatten();
    say(&format!("holds     {}", counts.map(|(what, n)| counted(what, n)).collect::<Vec<_>>().join(", ")));
    Ok(())
}

/// `1 bucket`, `2 buckets`.
fn counted(what: &str, n: &Value) -> String {
    let what = if *n == 1 { what.strip_suffix('s').unwrap_or(what) } else { what };
    format!("{n} {what}")
}

/// What is counted: its name, service and operation, the list's member, and what answer and input call the next page.
type List = (&'static str, (&'static str, &'static str), &'static str, (&'static str, &'static str));
const NEXT: (&str, &str) = ("NextToken", "NextToken");

/// How many there are of what one would look for.
async fn holds(client: &Client, buckets: &str) -> Result<Value> {
    const LISTS: [List; 17] = [
        ("functions", ("lambda", "ListFunctions"), "Functions", ("NextMarker", "Marker")),
        ("databases", ("glue", "GetDatabases"), "DatabaseList", NEXT),
        ("catalog tables", ("glue", "SearchTables"), "TableList", NEXT),
        ("Glue jobs", ("glue", "GetJobs"), "Jobs", NEXT),
        ("crawlers", ("glue", "GetCrawlers"), "Crawlers", NEXT),
        (
            "DynamoDB tables",
            ("dynamodb", "ListTables"),
            "TableNames",
            ("LastEvaluatedTableName", "ExclusiveStartTableName"),
        ),
        ("models", ("sagemaker", "ListModels"), "Models", NEXT),
        ("endpoints", ("sagemaker", "ListEndpoints"), "Endpoints", NEXT),
        ("queues", ("sqs", "ListQueues"), "QueueUrls", NEXT),
        ("topics", ("sns", "ListTopics"), "Topics", NEXT),
        ("rules", ("events", "ListRules"), "Rules", NEXT),
        ("schedules", ("scheduler", "ListSchedules"), "Schedules", NEXT),
        ("alarms", ("cloudwatch", "DescribeAlarms"), "MetricAlarms", NEXT),
        ("secrets", ("secretsmanager", "ListSecrets"), "SecretList", NEXT),
        ("log groups", ("logs", "DescribeLogGroups"), "logGroups", ("nextToken", "nextToken")),
        ("stacks", ("cloudformation", "DescribeStacks"), "Stacks", NEXT),
        ("roles", ("iam", "ListRoles"), "Roles", ("Marker", "Marker")),
    ];
    let mut counts = serde_json::Map::new();
    let states = ("states", "AWSStepFunctions.ListStateMachines");
    let machines = client.all(states, json!({}), ("stateMachines", "nextToken"), usize::MAX).await?;
    let mut running = 0;
    for machine in machines.iter().filter(|machine| machine["type"] != "EXPRESS") {
        let input =
            json!({ "stateMachineArn": machine["stateMachineArn"], "statusFilter": "RUNNING", "maxResults": 1000 });
        let listed = ("states", "AWSStepFunctions.ListExecutions");
        running += client.all(listed, input, ("executions", "nextToken"), usize::MAX).await?.len();
    }
    counts.insert("state machines".to_owned(), machines.len().into());
    counts.insert("running executions".to_owned(), running.into());
    counts.insert("buckets".to_owned(), buckets.matches("<Bucket>").count().into());
    let door = Door::open(client).await?;
    for (what, operation, member, tokens) in LISTS {
        counts.insert(what.to_owned(), door.count(operation, member, tokens).await?.into());
    }
    door.close().await?;
    Ok(Value::Object(counts))
}

/// `lakerun open`: the console's address, and a browser where there is one to start.
pub(crate) async fn open(data: &Path, what: &str) -> Result<()> {
    let client = Client::open(data)?;
    client.send(answers()).await?;
    let place = match what {
        "" => String::new(),
        arn if arn.contains(":execution:") => format!("&to=/execution/{arn}"),
        arn if arn.contains(":stateMachine:") => format!("&to=/machine/{arn}"),
        // The console knows which of its pages shows what.
        arn if arn.starts_with("arn:") => format!("&to=/arn/{arn}"),
        page => format!("&to=/{}", page.trim_start_matches('/')),
    };
    let url = format!("{}/console/#token={}{place}", client.server.endpoint, client.server.console_token);
    say(&url);
    if std::io::stdout().is_terminal() {
        let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let quiet = std::process::Stdio::null;
        let started = std::process::Command::new(program).arg(&url).stdout(quiet()).stderr(quiet()).status();
        if !started.is_ok_and(|status| status.success()) {
            complain(&format!("no browser could be started ({program}): open the address yourself"));
        }
    }
    Ok(())
}

/// `lakerun logs`: events of every stream of the groups with this prefix, in order of time.
pub(crate) async fn logs(data: &Path, prefix: &str, follow: bool) -> Result<()> {
    let client = Client::open(data)?;
    // What was told of the newest moment: more may come of it.
    let (mut since, mut told) = (0, BTreeSet::new());
    loop {
        let mut groups = json!({});
        if !prefix.is_empty() {
            groups["logGroupNamePrefix"] = prefix.into();
        }
        let groups = ("logs", "Logs_20140328.DescribeLogGroups", groups, "logGroups");
        let groups = client.all((groups.0, groups.1), groups.2, (groups.3, "nextToken"), usize::MAX).await?;
        let mut events = Vec::new();
        for group in groups.iter().filter_map(|group| group["logGroupName"].as_str()) {
            let input = json!({ "logGroupName": group, "startTime": since });
            let filter = ("logs", "Logs_20140328.FilterLogEvents");
            for event in client.all(filter, input, ("events", "nextToken"), usize::MAX).await? {
                let text = |name: &str| event[name].as_str().unwrap_or_default().trim_end().to_owned();
                events.push((
                    event["timestamp"].as_i64().unwrap_or_default(),
                    group.to_owned(),
                    text("message"),
                    text("eventId"),
                ));
            }
        }
        // Stable: what is of one moment stays in the order of its stream.
        events.sort_by_key(|(time, ..)| *time);
        for (time, group, text, id) in events {
            if time > since {
                (since, told) = (time, BTreeSet::new());
            }
            if told.insert(id) {
                say(&format!("{} {group} {text}", wire::Timestamp::from_millis(time).to_iso()));
            }
        }
        if !follow {
            match (groups.is_empty(), prefix) {
                (false, _) => {}
                (true, "") => complain("nothing has logged yet: there is no log group"),
                (true, prefix) => complain(&format!("no log group begins with {prefix}")),
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// `lakerun logs --execution`.
pub(crate) async fn logs_of(data: &Path, execution: &str, prefix: &str) -> Result<()> {
    let client = Client::open(data)?;
    let arn = crate::executions::execution_arn(&client, execution)?;
    let lines = crate::execution_logs::lines(&client, &arn).await?;
    let wanted: Vec<_> = lines.into_iter().filter(|(_, group, _)| group.starts_with(prefix)).collect();
    if wanted.is_empty() {
        complain("nothing was logged by what this execution has started");
    }
    for (time, group, text) in wanted {
        say(&format!("{} {group} {text}", wire::Timestamp::from_millis(time).to_iso()));
    }
    Ok(())
}

/// `lakerun doctor`: one line per thing, `ok` or what is missing and what that costs.
pub(crate) async fn doctor(data: &Path) -> Result<()> {
    let mut compute =
        compute::Settings::new(std::env::temp_dir().join(format!("lakerun-doctor-{}", std::process::id())));
    compute.idle = Duration::from_secs(1);
    let scratch = compute.scratch.clone();
    let compute = compute::Compute::new(compute)?;
    match compute.envs.base().await {
        Ok(_) => {
            let version = std::env::var("LAKERUN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
            say(&format!("ok       python: {version} makes environments for functions, jobs and models"));
        }
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
