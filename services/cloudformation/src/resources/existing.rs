//! Resources that are there, whoever made them: for imports into stacks and for drift. A type that is not here can be neither imported nor
//! looked at. Sources: CloudFormation User Guide, "Resource type support for imports and drift detection"; the types' primary
//! identifiers in the Template Reference.

use serde_json::{Map, Value, json};

use super::{Context, Made, is_missing, s3_bucket, same, text};
use crate::Result;

/// A resource as it is: what Ref and GetAtt answer, and those of its properties that can be told.
pub(crate) struct Found {
    pub(crate) made: Made,
    pub(crate) properties: Value,
}

/// The property that is a type's primary identifier, and whether it is the physical id, too.
const IDENTIFIERS: [(&str, &str); 12] = [
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::ECR::Repository", "RepositoryName"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::KMS::Key", "KeyId"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::SNS::Topic", "TopicArn"),
    ("AWS::SQS::Queue", "QueueUrl"),
    ("AWS::SSM::Parameter", "Name"),
    ("AWS::SecretsManager::Secret", "Id"),
    ("AWS::StepFunctions::StateMachine", "Arn"),
];

/// The property by which a type's resources are named to imports; `None` where there are none of the type.
pub(crate) fn identifier(kind: &str) -> Option<&'static str> {
    IDENTIFIERS.iter().find(|(name, _)| *name == kind).map(|(_, property)| *property)
}

/// The property that gives a resource a name of its template's, where that makes its identifier.
pub(crate) fn name_of(kind: &str, properties: &Value, at: &Context) -> Option<String> {
    let given = |property: &str| properties.get(property).map(text).filter(|name| !name.is_empty());
    match kind {
        "AWS::SNS::Topic" => Some(at.arn("sns", given("TopicName")?)),
        "AWS::SQS::Queue" => given("QueueName"),
        "AWS::SecretsManager::Secret" => given("Name"),
        "AWS::StepFunctions::StateMachine" => {
            Some(at.arn("states", format!("stateMachine:{}", given("StateMachineName")?)))
        }
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => given("AlarmName"),
        "AWS::CloudWatch::Dashboard" => given("DashboardName"),
        "AWS::Events::Rule" => {
            let name = given("Name")?;
            Some(
                given("EventBusName")
                    .filter(|bus| bus != "default")
                    .map_or_else(|| name.clone(), |bus| format!("{bus}|{name}")),
            )
        }
        "AWS::StepFunctions::Activity" => Some(at.arn("states", format!("activity:{}", given("Name")?))),
        "AWS::S3::BucketPolicy" => given("Bucket"),
        "AWS::SecretsManager::ResourcePolicy" => given("SecretId"),
        "AWS::Logs::ResourcePolicy" => given("PolicyName"),
        "AWS::Logs::MetricFilter" | "AWS::Logs::SubscriptionFilter" => {
            Some(format!("{}|{}", given("LogGroupName")?, given("FilterName")?))
        }
        "AWS::Lambda::EventInvokeConfig" => {
            Some(format!("{}|{}", given("FunctionName")?, given("Qualifier").unwrap_or_default()))
        }
        "AWS::KMS::Key" => None,
        _ => given(identifier(kind)?),
    }
}

/// Why what is there already is not made.
pub(crate) fn told_taken(kind: &str, id: &str) -> String {
    if kind == "AWS::S3::BucketPolicy" {
        return format!("The bucket policy already exists on bucket {id}.");
    }
    format!("Resource of type '{kind}' with identifier '{id}' already exists.")
}

/// Whether a service answers the creation of what it has with success, or overwrites it.
pub(crate) fn is_taken_over(kind: &str) -> bool {
    [
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::Events::Rule",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Logs::MetricFilter",
        "AWS::Logs::ResourcePolicy",
        "AWS::Logs::SubscriptionFilter",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SecretsManager::ResourcePolicy",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::StepFunctions::Activity",
        "AWS::StepFunctions::StateMachine",
    ]
    .contains(&kind)
}

/// The resource of an id; `None` where there is none.
pub(crate) async fn find(at: &Context, kind: &str, id: &str) -> Result<Option<Found>> {
    let found = match kind {
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => return alarm(at, id).await,
        "AWS::CloudWatch::Dashboard" => dashboard(at, id).await,
        "AWS::DynamoDB::Table" => table(at, id).await,
        "AWS::Events::Rule" => rule(at, id).await,
        "AWS::ECR::Repository" => repository(at, id).await,
        "AWS::IAM::Role" => role(at, id).await,
        "AWS::KMS::Key" => key(at, id).await,
        "AWS::Lambda::Function" => function(at, id).await,
        "AWS::Logs::LogGroup" => return log_group(at, id).await,
        "AWS::S3::Bucket" => bucket(at, id).await,
        "AWS::SNS::Topic" => topic(at, id).await,
        "AWS::SQS::Queue" => queue(at, id).await,
        "AWS::SSM::Parameter" => parameter(at, id).await,
        "AWS::SecretsManager::Secret" => secret(at, id).await,
        "AWS::S3::BucketPolicy" => {
            at.look("s3", "getBucketPolicy", json!({ "Bucket": id })).await.map(|_| nameless(id))
        }
        "AWS::Lambda::EventInvokeConfig" => invocation(at, id).await,
        "AWS::SecretsManager::ResourcePolicy" => {
            let output = at.look("secretsmanager", "getResourcePolicy", json!({ "SecretId": id })).await;
            return listed(id, output, |output| output.get("ResourcePolicy").is_some_and(|policy| !policy.is_null()));
        }
        "AWS::Logs::ResourcePolicy" => {
            let output = at.look("cloudwatchlogs", "describeResourcePolicies", json!({ "Limit": 50 })).await;
            return listed(id, output, |output| any(&output["ResourcePolicies"], "PolicyName", id));
        }
        "AWS::Logs::MetricFilter" | "AWS::Logs::SubscriptionFilter" => {
            let (group, name) = id.split_once('|').unwrap_or_default();
            let (operation, list) = if kind == "AWS::Logs::MetricFilter" {
                ("describeMetricFilters", "MetricFilters")
            } else {
                ("describeSubscriptionFilters", "SubscriptionFilters")
            };
            let asked = json!({ "LogGroupName": group, "FilterNamePrefix": name });
            let output = at.look("cloudwatchlogs", operation, asked).await;
            return listed(id, output, |output| any(&output[list], "FilterName", name));
        }
        "AWS::StepFunctions::Activity" => activity(at, id).await,
        "AWS::StepFunctions::StateMachine" => state_machine(at, id).await,
        _ => return Ok(None),
    };
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is there, and has nothing that imports or drift could tell.
fn nameless(id: &str) -> Found {
    Found { made: Made::new(id, json!({})), properties: json!({}) }
}

fn any(list: &Value, member: &str, name: &str) -> bool {
    list.as_array().is_some_and(|all| all.iter().any(|one| one[member] == name))
}

/// One of those that an operation lists.
fn listed(id: &str, output: Result<Value>, is_there: impl Fn(&Value) -> bool) -> Result<Option<Found>> {
    match output {
        Ok(output) => Ok(is_there(&output).then(|| nameless(id))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn invocation(at: &Context, id: &str) -> Result<Found> {
    let (name, qualifier) = id.split_once('|').unwrap_or((id, ""));
    let mut asked = json!({ "FunctionName": name });
    if !qualifier.is_empty() {
        asked["Qualifier"] = qualifier.into();
    }
    at.look("lambda", "getFunctionEventInvokeConfig", asked).await.map(|_| nameless(id))
}

async fn table(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("dynamodb", "describeTable", json!({ "TableName": id })).await?;
    let table = &output["Table"];
    let mut properties = same(table, &["TableName", "KeySchema", "AttributeDefinitions", "DeletionProtectionEnabled"]);
    let mode = table["BillingModeSummary"].get("BillingMode").cloned().unwrap_or_else(|| "PROVISIONED".into());
    properties.insert("BillingMode".to_owned(), mode);
    let mut attributes = json!({ "Arn": table["TableArn"] });
    if let Some(stream) = table.get("LatestStreamArn").filter(|arn| !arn.is_null()) {
        attributes["StreamArn"] = stream.clone();
    }
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

async fn repository(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("ecr", "describeRepositories", json!({ "RepositoryNames": [id] })).await?;
    let repository = &output["Repositories"][0];
    let properties = same(repository, &["RepositoryName", "ImageTagMutability", "ImageScanningConfiguration"]);
    let attributes = json!({ "Arn": repository["RepositoryArn"], "RepositoryUri": repository["RepositoryUri"] });
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

async fn role(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("iam", "getRole", json!({ "RoleName": id })).await?;
    let role = &output["Role"];
    let mut properties = same(role, &["RoleName", "Path", "Description", "MaxSessionDuration"]);
    properties.insert("AssumeRolePolicyDocument".to_owned(), json_of(&role["AssumeRolePolicyDocument"]));
    let attached = at.look("iam", "listAttachedRolePolicies", json!({ "RoleName": id })).await?;
    let arns = attached["AttachedPolicies"].as_array().into_iter().flatten().map(|policy| policy["PolicyArn"].clone());
    properties.insert("ManagedPolicyArns".to_owned(), arns.collect());
    let attributes = json!({ "Arn": role["Arn"], "RoleId": role["RoleId"] });
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

async fn key(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("kms", "describeKey", json!({ "KeyId": id })).await?;
    let key = &output["KeyMetadata"];
    let properties = same(key, &["Description", "Enabled", "KeySpec", "KeyUsage"]);
    let id = text(&key["KeyId"]);
    let attributes = json!({ "Arn": key["Arn"], "KeyId": id });
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

async fn function(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("lambda", "getFunctionConfiguration", json!({ "FunctionName": id })).await?;
    let members = [
        "FunctionName",
        "Runtime",
        "Role",
        "Handler",
        "Description",
        "Timeout",
        "MemorySize",
        "Architectures",
        "PackageType",
        "EphemeralStorage",
        "TracingConfig",
    ];
    let mut properties = same(&output, &members);
    if let Some(variables) = output["Environment"].get("Variables") {
        properties.insert("Environment".to_owned(), json!({ "Variables": variables }));
    }
    Ok(Found { made: Made::new(id, json!({ "Arn": output["FunctionArn"] })), properties: properties.into() })
}

async fn log_group(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = at.look("logs", "describeLogGroups", json!({ "LogGroupNamePrefix": id })).await?;
    let groups = output["LogGroups"].as_array().into_iter().flatten();
    let Some(group) = groups.into_iter().find(|group| group["LogGroupName"] == id) else { return Ok(None) };
    let properties = same(group, &["LogGroupName", "RetentionInDays", "KmsKeyId", "LogGroupClass"]);
    let arn = at.arn("logs", format!("log-group:{id}:*"));
    Ok(Some(Found { made: Made::new(id, json!({ "Arn": arn })), properties: properties.into() }))
}

async fn bucket(at: &Context, id: &str) -> Result<Found> {
    let named = json!({ "Bucket": id });
    at.look("s3", "getBucketLocation", named.clone()).await?;
    let mut properties = Map::new();
    properties.insert("BucketName".to_owned(), id.into());
    let versioning = at.look("s3", "getBucketVersioning", named.clone()).await?;
    properties.insert("VersioningConfiguration".to_owned(), json!({ "Status": versioning.get("Status") }));
    if let Ok(block) = at.look("s3", "getPublicAccessBlock", named).await {
        properties.insert("PublicAccessBlockConfiguration".to_owned(), block["PublicAccessBlockConfiguration"].clone());
    }
    Ok(Found { made: s3_bucket::made(at, id), properties: properties.into() })
}

async fn topic(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sns", "getTopicAttributes", json!({ "TopicArn": id })).await?;
    let name = id.rsplit(':').next().unwrap_or_default();
    let mut properties = same(
        &output["Attributes"],
        &[
            "DisplayName",
            "FifoTopic",
            "ContentBasedDeduplication",
            "SignatureVersion",
            "TracingConfig",
            "KmsMasterKeyId",
        ],
    );
    properties.insert("TopicName".to_owned(), name.into());
    Ok(Found { made: Made::new(id, json!({ "TopicArn": id, "TopicName": name })), properties: properties.into() })
}

async fn queue(at: &Context, id: &str) -> Result<Found> {
    let name = id.rsplit('/').next().unwrap_or(id);
    let output = at.look("sqs", "getQueueUrl", json!({ "QueueName": name })).await?;
    let url = text(&output["QueueUrl"]);
    let output = at.look("sqs", "getQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["All"] })).await?;
    let attributes = &output["Attributes"];
    let mut properties = same(
        attributes,
        &[
            "ContentBasedDeduplication",
            "DeduplicationScope",
            "DelaySeconds",
            "FifoQueue",
            "FifoThroughputLimit",
            "KmsDataKeyReusePeriodSeconds",
            "KmsMasterKeyId",
            "MaximumMessageSize",
            "MessageRetentionPeriod",
            "ReceiveMessageWaitTimeSeconds",
            "SqsManagedSseEnabled",
            "VisibilityTimeout",
        ],
    );
    for policy in ["RedrivePolicy", "RedriveAllowPolicy"] {
        if let Some(given) = attributes.get(policy) {
            properties.insert(policy.to_owned(), json_of(given));
        }
    }
    properties.insert("QueueName".to_owned(), name.into());
    let known = json!({ "Arn": attributes["QueueArn"], "QueueName": name, "QueueUrl": url });
    Ok(Found { made: Made::new(url, known), properties: properties.into() })
}

async fn parameter(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("ssm", "getParameter", json!({ "Name": id })).await?;
    let properties = same(&output["Parameter"], &["Name", "Type", "Value", "DataType"]);
    let attributes = json!({ "Type": output["Parameter"]["Type"], "Value": output["Parameter"]["Value"] });
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

async fn secret(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("secretsmanager", "describeSecret", json!({ "SecretId": id })).await?;
    let properties = same(&output, &["Name", "Description", "KmsKeyId"]);
    let arn = text(&output["ARN"]);
    Ok(Found { made: Made::new(arn.clone(), json!({ "Id": arn })), properties: properties.into() })
}

async fn state_machine(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sfn", "describeStateMachine", json!({ "StateMachineArn": id })).await?;
    let mut properties = Map::new();
    for (property, member) in [("StateMachineName", "Name"), ("StateMachineType", "Type"), ("RoleArn", "RoleArn")] {
        properties.insert(property.to_owned(), output[member].clone());
    }
    let revision = output.get("RevisionId").filter(|id| !id.is_null()).cloned().unwrap_or_else(|| "INITIAL".into());
    let attributes = json!({ "Arn": id, "Name": output["Name"], "StateMachineRevisionId": revision });
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

/// Metric alarms and composite ones have their names in common.
async fn alarm(at: &Context, id: &str) -> Result<Option<Found>> {
    let asked = json!({ "AlarmNames": [id], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
    let output = at.look("cloudwatch", "describeAlarms", asked).await?;
    let lists = ["MetricAlarms", "CompositeAlarms"];
    let Some(alarm) = lists.iter().find_map(|list| output[*list].get(0)) else { return Ok(None) };
    let properties = same(alarm, &["AlarmName", "AlarmDescription", "ActionsEnabled"]);
    Ok(Some(Found { made: Made::new(id, json!({ "Arn": alarm["AlarmArn"] })), properties: properties.into() }))
}

async fn dashboard(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("cloudwatch", "getDashboard", json!({ "DashboardName": id })).await?;
    let properties = same(&output, &["DashboardName", "DashboardBody"]);
    Ok(Found { made: Made::new(id, Value::Null), properties: properties.into() })
}

async fn rule(at: &Context, id: &str) -> Result<Found> {
    let (bus, name) = id.rsplit_once('|').unwrap_or(("default", id));
    let output = at.look("eventbridge", "describeRule", json!({ "Name": name, "EventBusName": bus })).await?;
    let properties = same(&output, &["Name", "Description", "EventBusName", "RoleArn", "ScheduleExpression", "State"]);
    Ok(Found { made: Made::new(id, json!({ "Arn": output["Arn"] })), properties: properties.into() })
}

async fn activity(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("sfn", "describeActivity", json!({ "ActivityArn": id })).await?;
    let attributes = json!({ "Arn": id, "Name": output["Name"] });
    Ok(Found { made: Made::new(id, attributes), properties: same(&output, &["Name"]).into() })
}

/// A document that is told as a text, which may be percent-encoded.
pub(super) fn json_of(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&percent_encoding::percent_decode_str(text).decode_utf8_lossy()))
        .unwrap_or_else(|_| value.clone())
}
