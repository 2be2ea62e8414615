//! `lakerun deploy` and `lakerun delete`: what `aws cloudformation package` and `deploy` do, in one step, with progress.

pub(crate) mod package;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;

use crate::client::{Call, Client};

const POLL: Duration = Duration::from_millis(50);
/// A stack of which there is only a change set.
const REVIEW: &str = "REVIEW_IN_PROGRESS";

/// Creates the stack, or updates it where it is there; returns when it is done.
pub(crate) async fn run(client: &Client, stack: &str, template: &Path, parameters: &[String]) -> Result<()> {
    let text = std::fs::read_to_string(template).with_context(|| format!("cannot read {}", template.display()))?;
    let mut body = cloudformation::template_to_json(&text)
        .map_err(|e| anyhow::anyhow!("{}: {}", template.display(), e.message()))?;
    let folder = template.parent().unwrap_or_else(|| Path::new("."));
    package::package(client, folder, &mut body).await?;

    let mut call = vec![
        ("StackName".to_owned(), stack.to_owned()),
        ("TemplateBody".to_owned(), body.to_string()),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_NAMED_IAM".to_owned()),
    ];
    for (i, parameter) in parameters.iter().enumerate() {
        let Some((name, value)) = parameter.split_once('=') else {
            bail!("--parameter takes NAME=VALUE, not {parameter:?}")
        };
        call.push((format!("Parameters.member.{}.ParameterKey", i + 1), name.to_owned()));
        call.push((format!("Parameters.member.{}.ParameterValue", i + 1), value.to_owned()));
    }
    let mut told = BTreeSet::new();
    let action = match status(client, stack).await? {
        None => "CreateStack",
        Some(_) => match follow(client, stack, &mut told, false).await?.as_str() {
            "DELETE_COMPLETE" => "CreateStack",
            // Nothing is in it.
            "ROLLBACK_COMPLETE" => {
                delete(client, stack, false).await?;
                "CreateStack"
            }
            found => {
                check_deployable(stack, found)?;
                keep_previous(client, stack, &body, parameters, &mut call).await?;
                "UpdateStack"
            }
        },
    };
    match query(client, action, &call).await {
        Err(e) if e.to_string().contains("No updates are to be performed") => {
            say(&format!("{stack} is up to date"));
            return outputs(client, stack).await;
        }
        other => other?,
    };
    let end = follow(client, stack, &mut told, true).await?;
    if !matches!(end.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
        bail!("stack {stack} ended {end}: {}", reason(client, stack).await?);
    }
    outputs(client, stack).await
}

/// Refuses a stack that has to be looked at by somebody: what is in it is not deleted for a deployment.
fn check_deployable(stack: &str, status: &str) -> Result<()> {
    match status {
        REVIEW => bail!(
            "stack {stack} is {status}: it has a change set that was never executed; execute it, or delete the stack (lakerun delete {stack})"
        ),
        "ROLLBACK_FAILED" | "DELETE_FAILED" => {
            bail!("stack {stack} is {status}: see what is left in it, then delete it (lakerun delete {stack})")
        }
        "UPDATE_ROLLBACK_FAILED" => bail!(
            "stack {stack} is {status}: mend the cause, then go on (aws cloudformation continue-update-rollback --stack-name {stack})"
        ),
        _ => Ok(()),
    }
}

/// Parameters of the stack that are not given this time stay as they are.
async fn keep_previous(
    client: &Client,
    stack: &str,
    template: &serde_json::Value,
    given: &[String],
    call: &mut Vec<(String, String)>,
) -> Result<()> {
    let xml = query(client, "DescribeStacks", &[("StackName".to_owned(), stack.to_owned())]).await?;
    let mut n = given.len();
    for name in all(&xml, "member").filter_map(|member| one(member, "ParameterKey")) {
        let declared = template["Parameters"].get(&name).is_some();
        if declared && !given.iter().any(|g| g.split_once('=').is_some_and(|(given, _)| given == name)) {
            n += 1;
            call.push((format!("Parameters.member.{n}.ParameterKey"), name));
            call.push((format!("Parameters.member.{n}.UsePreviousValue"), "true".to_owned()));
        }
    }
    Ok(())
}

/// Deletes the stack; a stack that is not there is deleted already. `force`: buckets that could not be deleted because they hold something
/// are emptied, and the stack is deleted again. What stays, and what the deletion does not come to, is not touched.
pub(crate) async fn delete(client: &Client, stack: &str, force: bool) -> Result<()> {
    if status(client, stack).await?.is_none() {
        say(&format!("there is no stack {stack}"));
        return Ok(());
    }
    let mut told = BTreeSet::new();
    follow(client, stack, &mut told, false).await?;
    let mut emptied = BTreeSet::new();
    loop {
        query(client, "DeleteStack", &[("StackName".to_owned(), stack.to_owned())]).await?;
        let end = loop {
            match status(client, stack).await? {
                None => {
                    say(&format!("{stack} deleted"));
                    return Ok(());
                }
                Some(now) if now.ends_with("IN_PROGRESS") => tokio::time::sleep(POLL).await,
                Some(now) => break now,
            }
        };
        if end != "DELETE_FAILED" {
            bail!("stack {stack} stays {end}: {}", stack_reason(client, stack).await?);
        }
        let full = if force { full_buckets(client, stack).await? } else { Vec::new() };
        let full: Vec<String> = full.into_iter().filter(|bucket| emptied.insert(bucket.clone())).collect();
        if full.is_empty() {
            bail!("stack {stack} could not be deleted: {}", reason(client, stack).await?);
        }
        for bucket in &full {
            empty(client, bucket).await?;
        }
    }
}

/// The buckets of a stack, and of the stacks within it, whose deletion has failed because they hold something.
async fn full_buckets(client: &Client, stack: &str) -> Result<Vec<String>> {
    let (mut found, mut stacks) = (Vec::new(), vec![stack.to_owned()]);
    while let Some(stack) = stacks.pop() {
        let xml = query(client, "DescribeStackResources", &[("StackName".to_owned(), stack)]).await?;
        for member in all(&xml, "member") {
            let field = |name| one(member, name).unwrap_or_default();
            if field("ResourceStatus") != "DELETE_FAILED" {
                continue;
            }
            match field("ResourceType").as_str() {
                "AWS::S3::Bucket" if field("ResourceStatusReason").contains("BucketNotEmpty") => {
                    found.push(field("PhysicalResourceId"));
                }
                "AWS::CloudFormation::Stack" => stacks.push(field("PhysicalResourceId")),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The stack's resources of a type: their names in the template and their ids.
pub(crate) async fn resources(client: &Client, stack: &str, kind: &str) -> Result<Vec<(String, String)>> {
    let xml = query(client, "DescribeStackResources", &[("StackName".to_owned(), stack.to_owned())]).await?;
    let of_kind = all(&xml, "member").filter(|member| one(member, "ResourceType").as_deref() == Some(kind));
    Ok(of_kind
        .filter_map(|member| Some((one(member, "LogicalResourceId")?, one(member, "PhysicalResourceId")?)))
        .collect())
}

/// Deletes all versions of all objects of a bucket.
async fn empty(client: &Client, bucket: &str) -> Result<()> {
    let mut gone = 0_u64;
    loop {
        let path = format!("/{bucket}?versions");
        let call = Call { service: "s3", method: "GET", path: &path, headers: &[], body: Bytes::new() };
        let (code, body) = client.send(call).await?;
        let xml = String::from_utf8_lossy(&body).into_owned();
        if !code.is_success() {
            bail!("{bucket} cannot be emptied: {}", one(&xml, "Message").unwrap_or(xml));
        }
        let versions: Vec<_> = ["Version", "DeleteMarker"]
            .into_iter()
            .flat_map(|kind| all(&xml, kind))
            .filter_map(|version| Some((one(version, "Key")?, one(version, "VersionId")?)))
            .collect();
        if versions.is_empty() {
            break;
        }
        for (key, version) in versions {
            let key: Vec<_> = key.split('/').map(package::escape).collect();
            let path = format!("/{bucket}/{}?versionId={}", key.join("/"), package::escape(&version));
            let call = Call { service: "s3", method: "DELETE", path: &path, headers: &[], body: Bytes::new() };
            let (code, body) = client.send(call).await?;
            if !code.is_success() {
                let text = String::from_utf8_lossy(&body).into_owned();
                bail!("{bucket} cannot be emptied: {}", one(&text, "Message").unwrap_or(text));
            }
            gone += 1;
        }
    }
    say(&format!("{gone} object{} of {bucket} deleted", if gone == 1 { "" } else { "s" }));
    Ok(())
}

/// Tells events as they come, or only remembers them, until no operation is under way; the status then.
async fn follow(client: &Client, stack: &str, told: &mut BTreeSet<String>, aloud: bool) -> Result<String> {
    loop {
        let Some(now) = status(client, stack).await? else { return Ok("DELETE_COMPLETE".to_owned()) };
        let xml = query(client, "DescribeStackEvents", &[("StackName".to_owned(), stack.to_owned())]).await?;
        let mut events: Vec<&str> = all(&xml, "member").collect();
        events.reverse();
        for event in events {
            let id = one(event, "EventId").unwrap_or_default();
            if told.insert(id) && aloud {
                let field = |name| one(event, name).unwrap_or_default();
                let line = format!(
                    "{:<28} {:<34} {}",
                    field("ResourceStatus"),
                    field("ResourceType"),
                    field("LogicalResourceId")
                );
                say(format!("{line}  {}", field("ResourceStatusReason")).trim_end());
            }
        }
        // Of a change set that nobody executes nothing comes.
        if !now.ends_with("IN_PROGRESS") || now == REVIEW {
            return Ok(now);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn status(client: &Client, stack: &str) -> Result<Option<String>> {
    match query(client, "DescribeStacks", &[("StackName".to_owned(), stack.to_owned())]).await {
        Ok(xml) => Ok(one(&xml, "StackStatus").filter(|status| status != "DELETE_COMPLETE")),
        Err(e) if e.to_string().contains("does not exist") => Ok(None),
        Err(e) => Err(e),
    }
}

/// What is said of the stack itself.
async fn stack_reason(client: &Client, stack: &str) -> Result<String> {
    let xml = query(client, "DescribeStacks", &[("StackName".to_owned(), stack.to_owned())]).await?;
    Ok(one(&xml, "StackStatusReason").unwrap_or_else(|| "see its events".to_owned()))
}

/// Why the last operation failed: the reasons of the resources that failed first.
async fn reason(client: &Client, stack: &str) -> Result<String> {
    let xml = query(client, "DescribeStackEvents", &[("StackName".to_owned(), stack.to_owned())]).await?;
    let failed =
        all(&xml, "member").filter(|event| one(event, "ResourceStatus").is_some_and(|s| s.ends_with("FAILED")));
    let reasons: Vec<String> = failed
        .filter_map(|event| {
            Some(format!("{}: {}", one(event, "LogicalResourceId")?, one(event, "ResourceStatusReason")?))
        })
        .filter(|reason| !reason.contains("cancelled"))
        .collect();
    Ok(reasons.into_iter().next_back().unwrap_or_else(|| "see its events".to_owned()))
}

async fn outputs(client: &Client, stack: &str) -> Result<()> {
    let xml = query(client, "DescribeStacks", &[("StackName".to_owned(), stack.to_owned())]).await?;
    for member in all(&xml, "member") {
        if let (Some(key), Some(value)) = (one(member, "OutputKey"), one(member, "OutputValue")) {
            say(&format!("{key:<20} {value}"));
        }
    }
    Ok(())
}

/// One operation of CloudFormation, which speaks the query protocol: a form in, XML out.
async fn query(client: &Client, action: &str, parameters: &[(String, String)]) -> Result<String> {
    let mut form = format!("Action={action}&Version=2010-05-15");
    for (name, value) in parameters {
        for part in ["&", &package::escape(name), "=", &package::escape(value)] {
            form.push_str(part);
        }
    }
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
    let call =
        Call { service: "cloudformation", method: "POST", path: "/", headers: &headers, body: Bytes::from(form) };
    let (code, body) = client.send(call).await?;
    let text = String::from_utf8_lossy(&body).into_owned();
    if !code.is_success() {
        bail!("{action}: {}", one(&text, "Message").unwrap_or(text));
    }
    Ok(text)
}

/// The innermost elements of this name: those that hold none of their own name.
fn all<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(close.as_str())
        .filter_map(move |part| part.rfind(&open).map(|at| &part[at + open.len()..]))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The texts of all innermost elements of this name.
pub(crate) fn texts(xml: &str, name: &str) -> Vec<String> {
    all(xml, name).filter_map(|text| one(&format!("<x>{text}</x>"), "x")).collect()
}

/// The text of the first element of this name.
pub(crate) fn one(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&apos;", "'");
    Some(plain.replace("&amp;", "&"))
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_elements() {
        let xml =
            "<a><member><k>1</k><in><member><k>2 &lt;&amp;&gt;</k></member></in></member><member><k>3</k></member></a>";
        let found: Vec<_> = all(xml, "member").filter_map(|m| one(m, "k")).collect();
        assert_eq!(found, ["2 <&>", "3"]);
    }
}
