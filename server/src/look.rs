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
        if let Some(resource) = of_lineage(kind, name, value) {
            lineage::tell(client, &resource).await?;
        }
    }
    Ok(())
}

/// What lineage knows it as.
fn of_lineage(kind: &str, name: &str, value: &Value) -> Option<String> {
    match kind {
        "execution" | "Map Run" | "object" | "folder" => Some(name.to_owned()),
        "catalog table" => Some(format!("glue://{}/{}", value["DatabaseName"].as_str()?, value["Name"].as_str()?)),
        // Partitions are told by their files.
        "partition" => {
            let place = value["StorageDescriptor"]["Location"].as_str()?.trim_end_matches('/');
            Some(format!("{}/", place.replacen("s3a://", "s3://", 1)))
        }
        _ => None,
    }
}

/// All that have this name, or the one with this ARN.
async fn find(client: &Client, name: &str) -> Result<Vec<(&'static str, Value)>> {
    if let Some(place) = name.strip_prefix("s3://") {
        return Ok(vec![if place.ends_with('/') {
            ("folder", folder(client, place).await?)
        } else {
            ("object", object(client, place).await?)
        }]);
    }
    if let Some(place) = name.strip_prefix("glue://") {
        return Ok(vec![of_catalog(client, place).await?]);
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
    if only("glue")
        && let Some((database, table)) = name.split_once('.')
        && let Ok(mut answer) = table_of(client, database, table).await
    {
        found.push(("catalog table", answer["Table"].take()));
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

async fn table_of(client: &Client, database: &str, table: &str) -> Result<Value> {
    client.json("glue", "AWSGlue.GetTable", &json!({ "DatabaseName": database, "Name": table })).await
}

/// `DATABASE/TABLE`, or a partition of it: `DATABASE/TABLE/key=value`, a pair for each key.
async fn of_catalog(client: &Client, place: &str) -> Result<(&'static str, Value)> {
    let parts: Vec<&str> = place.split('/').filter(|part| !part.is_empty()).collect();
    let [database, table, pairs @ ..] = parts.as_slice() else {
        bail!("a table is named glue://DATABASE/TABLE, a partition glue://DATABASE/TABLE/KEY=VALUE, not glue://{place}")
    };
    let mut answer = table_of(client, database, table).await?;
    if pairs.is_empty() {
        return Ok(("catalog table", answer["Table"].take()));
    }
    let keys = answer["Table"]["PartitionKeys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut values = Vec::new();
    for key in keys {
        let name = key["Name"].as_str().unwrap_or_default();
        let value = pairs.iter().find_map(|pair| pair.split_once('=').filter(|(of, _)| *of == name));
        values.extend(value.map(|(_, value)| value));
    }
    if values.len() != keys.len() || pairs.len() != keys.len() {
        let names: Vec<_> = keys.iter().filter_map(|key| key["Name"].as_str()).collect();
        bail!("{database}.{table} is partitioned by ({}): a partition has a value for each", names.join(", "));
    }
    let asked = json!({ "DatabaseName": database, "TableName": table, "PartitionValues": values });
    let mut answer = client.json("glue", "AWSGlue.GetPartition", &asked).await?;
    Ok(("partition", answer["Partition"].take()))
}

/// How many objects lie below it, as far as one page of a listing tells.
async fn folder(client: &Client, place: &str) -> Result<Value> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = crate::deploy::package::escape(prefix);
    let path = format!("/{bucket}?list-type=2&prefix={prefix}");
    let (status, body) =
        client.send(Call { service: "s3", method: "GET", path: &path, headers: &[], body: Bytes::new() }).await?;
    let text = String::from_utf8_lossy(&body);
    if !status.is_success() {
        bail!("there is no bucket {bucket}");
    }
    let objects = text.matches("<Contents>").count();
    let is_all = text.contains("<IsTruncated>false</IsTruncated>");
    Ok(json!({ "objects": if is_all { objects.to_string() } else { format!("{objects} and more") } }))
}

/// What HeadObject tells.
async fn object(client: &Client, place: &str) -> Result<Value> {
    let Some((bucket, key)) = place.split_once('/').filter(|(_, key)| !key.is_empty()) else {
        bail!("an object is named s3://BUCKET/KEY, not s3://{place}")
    };
    let key: Vec<String> = key.split('/').map(crate::deploy::package::escape).collect();
    let path = format!("/{bucket}/{}", key.join("/"));
    let Some(headers) = client.head(&path).await? else { bail!("there is no object {place}") };
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
