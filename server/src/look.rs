//! `lakerun describe`: one resource, whatever it is, by ARN or by name.

use anyhow::{Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::executions;
use crate::output::{self, Format};

mod lineage;

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
        if ["execution", "Map Run", "object"].contains(kind) {
            lineage::tell(client, name).await?;
        }
    }
    Ok(())
}

/// All that have this name, or the one with this ARN.
async fn find(client: &Client, name: &str) -> Result<Vec<(&'static str, Value)>> {
    if let Some(place) = name.strip_prefix("s3://") {
        return Ok(vec![("object", object(client, place).await?)]);
    }
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

/// What HeadObject tells.
async fn object(client: &Client, place: &str) -> Result<Value> {
    let Some((bucket, key)) = place.split_once('/').filter(|(_, key)| !key.is_empty()) else {
        bail!("an object is named s3://BUCKET/KEY, not s3://{place}")
    };
    let key: Vec<String> = key.split('/').map(crate::deploy::package::escape).collect();
    let path = format!("/{bucket}/{}", key.join("/"));
    let headers = client.head(&path).await?;
    let mut told = serde_json::Map::new();
    for name in ["content-length", "content-type", "last-modified", "etag", "x-amz-version-id"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            told.insert(name.to_owned(), value.into());
        }
    }
    Ok(Value::Object(told))
}

async fn function(client: &Client, name: &str) -> Result<Option<Value>> {
    let path = format!("/2015-03-31/functions/{name}/configuration");
    let call = Call { service: "lambda", method: "GET", path: &path, headers: &[], body: Bytes::new() };
    let (status, body) = client.send(call).await?;
    Ok(if status.is_success() { serde_json::from_slice(&body).ok() } else { None })
}
