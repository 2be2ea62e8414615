//! `lakerun describe`: one resource, whatever it is, by ARN or by name.

use anyhow::{Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::door::Door;
use crate::executions;
use crate::output::{self, Format};

mod lineage;

/// What is looked for by a name: its kind, the service as ARNs and as the Router name it, the operation, the input's member for the name, and
/// where the answer has it.
struct Kind {
    name: &'static str,
    arn: &'static str,
    service: &'static str,
    operation: &'static str,
    member: &'static str,
    place: &'static str,
    /// The operation takes an ARN as well as a name.
    by_arn: bool,
}

const fn kind(
    name: &'static str,
    (arn, service): (&'static str, &'static str),
    operation: &'static str,
    member: &'static str,
    place: &'static str,
) -> Kind {
    Kind { name, arn, service, operation, member, place, by_arn: false }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given away")]
const fn by_arn(of: Kind) -> Kind {
    Kind { by_arn: true, ..of }
}

const GLUE: (&str, &str) = ("glue", "glue");
const SAGEMAKER: (&str, &str) = ("sagemaker", "sagemaker");
const ATHENA: (&str, &str) = ("athena", "athena");
const EVENTS: (&str, &str) = ("events", "events");

const KINDS: [Kind; 29] = [
    kind("Glue job", GLUE, "GetJob", "JobName", "/Job"),
    kind("crawler", GLUE, "GetCrawler", "Name", "/Crawler"),
    kind("Glue workflow", GLUE, "GetWorkflow", "Name", "/Workflow"),
    kind("trigger", GLUE, "GetTrigger", "Name", "/Trigger"),
    kind("Glue database", GLUE, "GetDatabase", "Name", "/Database"),
    kind("DynamoDB table", ("dynamodb", "dynamodb"), "DescribeTable", "TableName", "/Table"),
    kind("function", ("lambda", "lambda"), "GetFunctionConfiguration", "FunctionName", ""),
    kind("model", SAGEMAKER, "DescribeModel", "ModelName", ""),
    kind("endpoint", SAGEMAKER, "DescribeEndpoint", "EndpointName", ""),
    kind("transform", SAGEMAKER, "DescribeTransformJob", "TransformJobName", ""),
    kind("workgroup", ATHENA, "GetWorkGroup", "WorkGroup", "/WorkGroup"),
    kind("query", ATHENA, "GetQueryExecution", "QueryExecutionId", "/QueryExecution"),
    kind("rule", EVENTS, "DescribeRule", "Name", ""),
    kind("event bus", EVENTS, "DescribeEventBus", "Name", ""),
    kind("archive", EVENTS, "DescribeArchive", "ArchiveName", ""),
    kind("replay", EVENTS, "DescribeReplay", "ReplayName", ""),
    kind("API destination", EVENTS, "DescribeApiDestination", "Name", ""),
    kind("connection", EVENTS, "DescribeConnection", "Name", ""),
    by_arn(kind("parameter", ("ssm", "ssm"), "GetParameter", "Name", "/Parameter")),
    kind("image repository", ("ecr", "ecr"), "DescribeRepositories", "repositoryNames", "/repositories/0"),
    kind("schedule", ("scheduler", "scheduler"), "GetSchedule", "Name", ""),
    kind("pipe", ("pipes", "pipes"), "DescribePipe", "Name", ""),
    kind("role", ("iam", "iam"), "GetRole", "RoleName", "/Role"),
    by_arn(kind("topic", ("sns", "sns"), "GetTopicAttributes", "TopicArn", "/Attributes")),
    by_arn(kind("secret", ("secretsmanager", "secretsmanager"), "DescribeSecret", "SecretId", "")),
    by_arn(kind("key", ("kms", "kms"), "DescribeKey", "KeyId", "/KeyMetadata")),
    by_arn(kind("stack", ("cloudformation", "cloudformation"), "DescribeStacks", "StackName", "/Stacks/0")),
    kind("alarm", ("cloudwatch", "cloudwatch"), "DescribeAlarms", "AlarmNames", "/MetricAlarms/0"),
    kind("log group", ("logs", "logs"), "DescribeLogGroups", "logGroupNamePrefix", "/logGroups/0"),
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
        "execution" => Some(value["executionArn"].as_str().unwrap_or(name).to_owned()),
        "Map Run" | "object" | "folder" => Some(name.to_owned()),
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
    if let Some(place) = name.strip_prefix("s3://").filter(|place| place.contains('/')) {
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
    if name.split_once('/').is_some_and(|(machine, _)| is_plain(machine))
        && let Ok(found) = executions::described(client, &executions::execution_arn(client, name)?).await
    {
        return Ok(vec![("execution", found)]);
    }
    let door = Door::open(client).await?;
    let bucket = name.strip_prefix("s3://").map(|bucket| format!("arn:aws:s3:::{bucket}"));
    let found = named(client, &door, bucket.as_deref().unwrap_or(name)).await;
    door.close().await?;
    let found = found?;
    if found.is_empty() {
        if let Some(bucket) = name.strip_prefix("s3://") {
            bail!("there is no bucket {bucket}");
        }
        let kinds: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        bail!("there is no state machine, execution, bucket, catalog table, queue, {} {name}", kinds.join(", "));
    }
    Ok(found)
}

/// A state machine's name before an execution's: no ARN, and nothing that begins with a slash.
fn is_plain(machine: &str) -> bool {
    !machine.is_empty() && !machine.contains(':')
}

async fn named(client: &Client, door: &Door<'_>, name: &str) -> Result<Vec<(&'static str, Value)>> {
    let short = short(name);
    let only = |service: &str| !name.starts_with("arn:") || name.split(':').nth(2) == Some(service);
    let mut found = Vec::new();
    if only("states") {
        let arn = executions::machine_arn(client, name);
        if let Ok(machine) = executions::call(client, "DescribeStateMachine", json!({ "stateMachineArn": arn })).await {
            found.push(("state machine", machine));
        }
    }
    for kind in KINDS.iter().filter(|kind| only(kind.arn)) {
        found.extend(one(client, door, kind, name, short).await.map(|value| (kind.name, value)));
    }
    if only("glue")
        && let Some((database, table)) = name.split_once('.')
        && let Ok(mut answer) = table_of(client, database, table).await
    {
        found.push(("catalog table", answer["Table"].take()));
    }
    if only("s3") {
        let buckets = door.call("s3", "ListBuckets", &json!({ "Prefix": short })).await?;
        let bucket = buckets["Buckets"].as_array().into_iter().flatten().find(|bucket| bucket["Name"] == *short);
        found.extend(bucket.map(|bucket| ("bucket", bucket.clone())));
    }
    if only("sqs") {
        let url = client.json("sqs", "AmazonSQS.GetQueueUrl", &json!({ "QueueName": short })).await;
        if let Ok(url) = url {
            let asked = json!({ "QueueUrl": url["QueueUrl"], "AttributeNames": ["All"] });
            let mut answer = client.json("sqs", "AmazonSQS.GetQueueAttributes", &asked).await?;
            found.push(("queue", answer["Attributes"].take()));
        }
    }
    Ok(found)
}

/// An ARN's own name for what it names; a name as it is.
fn short(name: &str) -> &str {
    match name.splitn(6, ':').nth(5) {
        Some(rest) if name.starts_with("arn:") => match rest.split_once("log-group:") {
            Some((_, group)) => group.trim_end_matches(":*"),
            None => rest.rsplit([':', '/']).next().unwrap_or(rest),
        },
        _ => name,
    }
}

/// What has this name, of one kind; a stack with its resources.
async fn one(client: &Client, door: &Door<'_>, kind: &Kind, name: &str, short: &str) -> Option<Value> {
    let asked = match kind.name {
        "topic" if !name.starts_with("arn:") => {
            json!(format!("arn:aws:sns:{}:{}:{name}", client.server.region, client.server.account))
        }
        "alarm" | "image repository" => json!([short]),
        _ if kind.by_arn => json!(name),
        _ => json!(short),
    };
    let answer = door.call(kind.service, kind.operation, &json!({ (kind.member): asked })).await.ok()?;
    let mut value = answer.pointer(kind.place).filter(|value| !value.is_null())?.clone();
    // A prefix has more than the one.
    if kind.name == "log group" && value["logGroupName"] != *short {
        return None;
    }
    if kind.name == "stack" {
        let resources =
            door.call("cloudformation", "DescribeStackResources", &json!({ "StackName": name })).await.ok()?;
        let told = |resource: &Value| {
            let part = |member: &str| resource[member].as_str().unwrap_or_default().to_owned();
            let text = format!("{} {} {}", part("ResourceStatus"), part("ResourceType"), part("PhysicalResourceId"));
            (part("LogicalResourceId"), text.into())
        };
        let all = resources["StackResources"].as_array().into_iter().flatten();
        value["Resources"] = Value::Object(all.map(told).collect());
    }
    Some(value)
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
    let mut answer = match table_of(client, database, table).await {
        Err(error) if error.to_string().starts_with("EntityNotFoundException") => {
            bail!("the catalog has no table {database}.{table}")
        }
        answer => answer?,
    };
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
    let Some(headers) = client.head(&path).await? else { bail!("there is no object s3://{place}") };
    let mut told = serde_json::Map::new();
    for name in ["content-length", "content-type", "last-modified", "etag", "x-amz-version-id"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            told.insert(name.to_owned(), value.into());
        }
    }
    Ok(Value::Object(told))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_is_the_last_part_of_an_arn() {
        let check = |name: &str, short: &str| assert_eq!(super::short(name), short);
        check("arn:aws:lambda:us-east-1:1:function:f", "f");
        check("arn:aws:logs:us-east-1:1:log-group:/aws/lambda/f:*", "/aws/lambda/f");
        check("arn:aws:dynamodb:us-east-1:1:table/t", "t");
        check("arn:aws:s3:::bucket", "bucket");
        check("/aws/lambda/f", "/aws/lambda/f");
        check("warehouse/password", "warehouse/password");
    }
}
