//! Resources that are there, whoever made them: for imports into stacks and for drift. A type that is not here can be neither imported nor
//! looked at. Sources: CloudFormation User Guide, "Resource type support for imports and drift detection"; the types' primary
//! identifiers in the Template Reference.

use serde_json::{Map, Value, json};

use super::iam_holders::listed;
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

/// The property by which a template names a type's resources, another value of which needs another resource.
pub(crate) fn naming(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => "AlarmName",
        "AWS::CloudWatch::Dashboard" => "DashboardName",
        "AWS::Athena::WorkGroup"
        | "AWS::Events::Rule"
        | "AWS::Glue::Crawler"
        | "AWS::Glue::DataQualityRuleset"
        | "AWS::Glue::Registry"
        | "AWS::Glue::Schema"
        | "AWS::Glue::SecurityConfiguration"
        | "AWS::Glue::Job"
        | "AWS::Pipes::Pipe"
        | "AWS::SSM::Parameter"
        | "AWS::Scheduler::Schedule"
        | "AWS::SecretsManager::Secret"
        | "AWS::StepFunctions::Activity" => "Name",
        "AWS::CloudTrail::Trail" => "TrailName",
        "AWS::DynamoDB::GlobalTable" | "AWS::DynamoDB::Table" => "TableName",
        "AWS::ECR::Repository" => "RepositoryName",
        "AWS::IAM::Group" => "GroupName",
        "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
        "AWS::IAM::Role" => "RoleName",
        "AWS::IAM::User" => "UserName",
        "AWS::Lambda::Function" => "FunctionName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::S3::Bucket" => "BucketName",
        "AWS::S3::BucketPolicy" => "Bucket",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::StepFunctions::StateMachine" => "StateMachineName",
        _ => return None,
    })
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
        "AWS::KMS::Key" => None,
        "AWS::S3::BucketPolicy" => given("Bucket"),
        "AWS::SecretsManager::ResourcePolicy" => given("SecretId"),
        "AWS::Logs::ResourcePolicy" => given("PolicyName"),
        "AWS::Logs::MetricFilter" | "AWS::Logs::SubscriptionFilter" => {
            Some(format!("{}|{}", given("LogGroupName")?, given("FilterName")?))
        }
        "AWS::Lambda::EventInvokeConfig" => Some(format!("{}|{}", given("FunctionName")?, given("Qualifier")?)),
        "AWS::Events::EventBusPolicy" => {
            Some(format!("{}|{}", given("EventBusName").unwrap_or_else(|| "default".to_owned()), given("StatementId")?))
        }
        "AWS::DynamoDB::GlobalTable" => given("TableName"),
        "AWS::IAM::GroupPolicy" | "AWS::IAM::RolePolicy" | "AWS::IAM::UserPolicy" => {
            let what = kind.trim_start_matches("AWS::IAM::").trim_end_matches("Policy");
            Some(format!("{}|{what}/{}", given("PolicyName")?, given(&format!("{what}Name"))?))
        }
        "AWS::SQS::QueueInlinePolicy" => given("Queue"),
        "AWS::IAM::Policy" => {
            let holders = listed(properties).into_iter().map(|(what, holder)| format!("{what}/{holder}"));
            Some(format!("{}|{}", given("PolicyName")?, holders.collect::<Vec<_>>().join(",")))
        }
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
        "AWS::Events::EventBusPolicy",
        "AWS::Events::Rule",
        "AWS::IAM::GroupPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::RolePolicy",
        "AWS::IAM::UserPolicy",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Logs::MetricFilter",
        "AWS::Logs::ResourcePolicy",
        "AWS::Logs::SubscriptionFilter",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SQS::QueueInlinePolicy",
        "AWS::SecretsManager::ResourcePolicy",
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
        "AWS::DynamoDB::GlobalTable" | "AWS::DynamoDB::Table" => table(at, id).await,
        "AWS::Events::EventBusPolicy" => return bus_policy(at, id).await,
        "AWS::IAM::GroupPolicy" | "AWS::IAM::Policy" | "AWS::IAM::RolePolicy" | "AWS::IAM::UserPolicy" => {
            return inline_policy(at, id).await;
        }
        "AWS::SQS::QueueInlinePolicy" => return queue_policy(at, id).await,
        "AWS::Lambda::EventInvokeConfig" => invoke_config(at, id).await,
        "AWS::Logs::MetricFilter" => return filter(at, id, ("describeMetricFilters", "MetricFilters")).await,
        "AWS::Logs::SubscriptionFilter" => {
            return filter(at, id, ("describeSubscriptionFilters", "SubscriptionFilters")).await;
        }
        "AWS::Logs::ResourcePolicy" => return logs_policy(at, id).await,
        "AWS::S3::BucketPolicy" => bucket_policy(at, id).await,
        "AWS::SecretsManager::ResourcePolicy" => return secret_policy(at, id).await,
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

async fn table(at: &Context, id: &str) -> Result<Found> {
    let output = at.look("dynamodb", "describeTable", json!({ "TableName": id })).await?;
    let table = &output["Table"];
    let mut properties = same(table, &["TableName", "KeySchema", "AttributeDefinitions", "DeletionProtectionEnabled"]);
    let mode = table["BillingModeSummary"].get("BillingMode").cloned().unwrap_or_else(|| "PROVISIONED".into());
    properties.insert("BillingMode".to_owned(), mode);
    properties.extend(settings_of_table(at, id, table).await?);
    let mut attributes = json!({ "Arn": table["TableArn"] });
    if let Some(stream) = table.get("LatestStreamArn").filter(|arn| !arn.is_null()) {
        attributes["StreamArn"] = stream.clone();
    }
    Ok(Found { made: Made::new(id, attributes), properties: properties.into() })
}

/// What is told of a table by operations of its own; what the caller may not ask is not told.
pub(super) async fn settings_of_table(at: &Context, id: &str, table: &Value) -> Result<Map<String, Value>> {
    let mut properties = Map::new();
    properties.insert("OnDemandThroughput".to_owned(), limits(&table["OnDemandThroughput"]));
    if let Ok(found) = at.look("dynamodb", "describeContributorInsights", json!({ "TableName": id })).await {
        let enabled = found["ContributorInsightsStatus"] == "ENABLED";
        let mut told = json!({ "Enabled": enabled });
        if let Some(mode) = found.get("ContributorInsightsMode").filter(|mode| enabled && !mode.is_null()) {
            told["Mode"] = mode.clone();
        }
        properties.insert("ContributorInsightsSpecification".to_owned(), told);
    }
    match at.look("dynamodb", "getResourcePolicy", json!({ "ResourceArn": table["TableArn"] })).await {
        Ok(found) => {
            let told = json!({ "PolicyDocument": json_of(&found["Policy"]) });
            properties.insert("ResourcePolicy".to_owned(), told);
        }
        Err(error) if error.is("PolicyNotFoundException") => {
            properties.insert("ResourcePolicy".to_owned(), Value::Null);
        }
        Err(_) => {}
    }
    Ok(properties)
}

/// -1 is no limit.
fn limits(told: &Value) -> Value {
    let limits = told.as_object().into_iter().flatten().filter(|(_, units)| **units != -1);
    let limits: Map<String, Value> =
        limits.filter(|(_, units)| !units.is_null()).map(|(name, units)| (name.clone(), units.clone())).collect();
    if limits.is_empty() { Value::Null } else { limits.into() }
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
        "DurableConfig",
        "VpcConfig",
    ];
    let mut properties = same(&output, &members);
    if let Some(vpc) = properties.get_mut("VpcConfig").and_then(Value::as_object_mut) {
        vpc.shift_remove("VpcId");
    }
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
    if let Ok(block) = at.look("s3", "getPublicAccessBlock", named.clone()).await {
        properties.insert("PublicAccessBlockConfiguration".to_owned(), block["PublicAccessBlockConfiguration"].clone());
    }
    if let Ok(logging) = at.look("s3", "getBucketLogging", named.clone()).await {
        properties.insert("LoggingConfiguration".to_owned(), s3_bucket::logging_told(&logging));
    }
    if let Ok(lock) = at.look("s3", "getObjectLockConfiguration", named).await {
        properties.insert("ObjectLockConfiguration".to_owned(), lock["ObjectLockConfiguration"].clone());
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
            "FifoThroughputScope",
            "SignatureVersion",
            "TracingConfig",
            "KmsMasterKeyId",
        ],
    );
    properties.insert("DeliveryStatusLogging".to_owned(), super::sns_topic::logging_told(&output["Attributes"]));
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

/// That it is there, with nothing to tell of it.
fn there(id: &str) -> Found {
    Found { made: Made::new(id, json!({})), properties: json!({}) }
}

async fn bucket_policy(at: &Context, id: &str) -> Result<Found> {
    at.look("s3", "getBucketPolicy", json!({ "Bucket": id })).await.map(|_| there(id))
}

async fn secret_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = match at.look("secretsmanager", "getResourcePolicy", json!({ "SecretId": id })).await {
        Err(error) if is_missing(&error) => return Ok(None),
        output => output?,
    };
    let policy = output.get("ResourcePolicy").map(text).filter(|policy| !policy.is_empty());
    Ok(policy.map(|_| there(id)))
}

async fn logs_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let output = at.look("cloudwatchlogs", "describeResourcePolicies", json!({})).await?;
    let found = output["ResourcePolicies"].as_array().into_iter().flatten().any(|policy| policy["PolicyName"] == id);
    Ok(found.then(|| there(id)))
}

/// A filter of a log group, `GROUP|NAME`.
async fn filter(at: &Context, id: &str, (operation, member): (&str, &str)) -> Result<Option<Found>> {
    let (group, name) = id.split_once('|').unwrap_or_default();
    let input = json!({ "LogGroupName": group, "FilterNamePrefix": name });
    let output = match at.look("cloudwatchlogs", operation, input).await {
        Err(error) if is_missing(&error) => return Ok(None),
        output => output?,
    };
    let found = output[member].as_array().into_iter().flatten().any(|filter| filter["FilterName"] == name);
    Ok(found.then(|| there(id)))
}

async fn invoke_config(at: &Context, id: &str) -> Result<Found> {
    let (function, qualifier) = id.split_once('|').unwrap_or_default();
    let input = json!({ "FunctionName": function, "Qualifier": qualifier });
    at.look("lambda", "getFunctionEventInvokeConfig", input).await.map(|_| there(id))
}

/// A statement of a bus's policy, `BUS|SID`.
async fn bus_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let (bus, sid) = id.split_once('|').unwrap_or_default();
    let output = match at.look("eventbridge", "describeEventBus", json!({ "Name": bus })).await {
        Err(error) if is_missing(&error) => return Ok(None),
        output => output?,
    };
    let policy = json_of(&output["Policy"]);
    let found = policy["Statement"].as_array().into_iter().flatten().any(|statement| statement["Sid"] == sid);
    Ok(found.then(|| there(id)))
}

/// The policy of a queue, by its link.
async fn queue_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let asked = json!({ "QueueUrl": id, "AttributeNames": ["Policy"] });
    let output = match at.look("sqs", "getQueueAttributes", asked).await {
        Err(error) if is_missing(&error) => return Ok(None),
        output => output?,
    };
    let policy = output["Attributes"].get("Policy").map(text).filter(|policy| !policy.is_empty());
    Ok(policy.map(|_| there(id)))
}

/// An inline policy of one of those who are to have it, `NAME|WHAT/HOLDER,…`.
async fn inline_policy(at: &Context, id: &str) -> Result<Option<Found>> {
    let (name, holders) = id.split_once('|').unwrap_or_default();
    for (what, holder) in holders.split(',').filter_map(|holder| holder.split_once('/')) {
        let input = json!({ format!("{what}Name"): holder, "PolicyName": name });
        match at.look("iam", &format!("get{what}Policy"), input).await {
            Err(error) if is_missing(&error) => {}
            found => return found.map(|_| Some(there(id))),
        }
    }
    Ok(None)
}

/// A document that is told as a text, which may be percent-encoded.
pub(super) fn json_of(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&percent_encoding::percent_decode_str(text).decode_utf8_lossy()))
        .unwrap_or_else(|_| value.clone())
}
