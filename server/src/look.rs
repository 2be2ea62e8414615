//! `lakerun describe`: one resource, whatever it is, by ARN or by name.

use anyhow::{Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::executions;
use crate::output::{self, Format};

/// What is looked for by a name: service, target, the input's member, and what the answer has it in.
const JSON: [(&str, &str, &str, &str, &str); 7] = [
    ("Glue job", "glue", "AWSGlue.GetJob", "JobName", "Job"),
    ("crawler", "glue", "AWSGlue.GetCrawler", "Name", "Crawler"),
    ("Glue database", "glue", "AWSGlue.GetDatabase", "Name", "Database"),
    ("DynamoDB table", "dynamodb", "DynamoDB_20120810.DescribeTable", "TableName", "Table"),
    ("model", "sagemaker", "SageMaker.DescribeModel", "ModelName", ""),
    ("rule", "events", "AWSEvents.DescribeRule", "Name", ""),
    ("secret", "secretsmanager", "secretsmanager.DescribeSecret", "SecretId", ""),
];

pub(crate) async fn describe(client: &Client, name: &str, format: Format) -> Result<()> {
    let found = find(client, name).await?;
    if let [(_, value)] = found.as_slice()
        && format != Format::Table
    {
        return output::document(format, value);
    }
    if format != Format::Table {
        let named: serde_json::Map<String, Value> =
            found.into_iter().map(|(kind, value)| (kind.to_owned(), value)).collect();
        return output::document(format, &Value::Object(named));
    }
    for (at, (kind, value)) in found.iter().enumerate() {
        if at > 0 {
            output::say("");
        }
        output::say(&format!("{kind} {name}"));
        output::record(value);
    }
    Ok(())
}

/// All that have this name, or the one with this ARN.
async fn find(client: &Client, name: &str) -> Result<Vec<(&'static str, Value)>> {
    if name.contains(":execution:") {
        return Ok(vec![("execution", executions::described(client, name).await?)]);
    }
    if name.contains(":mapRun:") {
        return Ok(vec![("Map Run", executions::call(client, "DescribeMapRun", json!({ "mapRunArn": name })).await?)]);
    }
    let short = name.rsplit([':', '/']).next().unwrap_or(name);
    let only = |kind: &str| !name.starts_with("arn:") || name.contains(&format!(":{kind}:"));
    let mut found = Vec::new();
    if only("states") {
        let arn = executions::machine_arn(client, name);
        if let Ok(machine) = executions::call(client, "DescribeStateMachine", json!({ "stateMachineArn": arn })).await {
            found.push(("state machine", machine));
        }
    }
    for (kind, service, target, member, place) in JSON {
        if !only(service) {
            continue;
        }
        let asked = if service == "secretsmanager" { name } else { short };
        if let Ok(mut answer) = client.json(service, target, &json!({ member: asked })).await {
            found.push((kind, if place.is_empty() { answer } else { answer[place].take() }));
        }
    }
    if only("lambda")
        && let Some(function) = function(client, short).await?
    {
        found.push(("function", function));
    }
    if only("sqs") {
        let url = client.json("sqs", "AmazonSQS.GetQueueUrl", &json!({ "QueueName": short })).await;
        if let Ok(url) = url {
            let asked = json!({ "QueueUrl": url["QueueUrl"], "AttributeNames": ["All"] });
            let mut answer = client.json("sqs", "AmazonSQS.GetQueueAttributes", &asked).await?;
            found.push(("queue", answer["Attributes"].take()));
        }
    }
    if found.is_empty() {
        bail!(
            "there is no state machine, execution, function, job, crawler, database, table, model, rule, secret or queue {name}"
        );
    }
    Ok(found)
}

async fn function(client: &Client, name: &str) -> Result<Option<Value>> {
    let path = format!("/2015-03-31/functions/{name}/configuration");
    let call = Call { service: "lambda", method: "GET", path: &path, headers: &[], body: Bytes::new() };
    let (status, body) = client.send(call).await?;
    Ok(if status.is_success() { serde_json::from_slice(&body).ok() } else { None })
}
