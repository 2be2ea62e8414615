//! Tags of resources that are there: which operations tell and change them, type by type. Types whose own updates change tags are told here,
//! and not changed.

use serde_json::{Map, Value, json};

use super::{Context, Made, pairs, text};
use crate::Result;

/// How a service writes tags.
enum Form {
    List,
    Map,
    /// `{TagKey, TagValue}`.
    OfKms,
}

/// The operations that change tags.
struct Change {
    service: &'static str,
    set: &'static str,
    remove: &'static str,
    /// What names the resource to both.
    named: Value,
    /// The members of the tags that are set, and of the keys that are removed.
    members: (&'static str, &'static str),
    form: Form,
}

/// Whether the stack's tags are tags of such a resource, and change with them.
pub(crate) fn takes_stack_tags(kind: &str) -> bool {
    let by_themselves = [
        super::NESTED,
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::ECR::Repository",
        "AWS::IAM::Role",
        "AWS::IAM::User",
        "AWS::S3::Bucket",
        "AWS::StepFunctions::Activity",
        "AWS::StepFunctions::StateMachine",
    ];
    by_themselves.contains(&kind) || operations(kind).is_some()
}

/// Whether tags of such a resource are changed here, and not by its own update.
pub(super) fn are_apart(kind: &str) -> bool {
    operations(kind).is_some()
}

/// Makes the tags of a resource what they are to be, where its type does not do so itself.
pub(super) async fn apply(kind: &str, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<()> {
    let Some(change) = change(kind, at, made) else { return Ok(()) };
    let (gone, set) = at.changed_tags(old, new);
    let (tags, keys) = change.members;
    let call = async |operation: &str, member: &str, value: Value| {
        let mut input = change.named.as_object().cloned().unwrap_or_default();
        input.insert(member.to_owned(), value);
        at.call(change.service, operation, input.into()).await.map(drop)
    };
    if !gone.is_empty() {
        // CloudTrail takes the keys as tags.
        let keys_alone = || gone.iter().map(|key| Value::String(key.clone())).collect::<Value>();
        let named = || gone.iter().map(|key| json!({ "Key": key })).collect::<Value>();
        call(change.remove, keys, if tags == keys { named() } else { keys_alone() }).await?;
    }
    if !set.is_empty() {
        let value = match change.form {
            Form::List => Value::Array(set),
            Form::Map => set.into_iter().map(|tag| (text(&tag["Key"]), tag["Value"].clone())).collect(),
            Form::OfKms => {
                set.into_iter().map(|tag| json!({ "TagKey": tag["Key"], "TagValue": tag["Value"] })).collect()
            }
        };
        call(change.set, tags, value).await?;
    }
    Ok(())
}

/// The service and its operations by which tags of a type are changed.
fn operations(kind: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let (set, remove) = ("TagResource", "UntagResource");
    Some(match kind {
        "AWS::Athena::DataCatalog" | "AWS::Athena::WorkGroup" => ("athena", set, remove),
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => ("cloudwatch", set, remove),
        "AWS::Events::EventBus" | "AWS::Events::Rule" => ("events", set, remove),
        "AWS::CloudTrail::Trail" => ("cloudtrail", "AddTags", "RemoveTags"),
        "AWS::Glue::Crawler"
        | "AWS::Glue::DataQualityRuleset"
        | "AWS::Glue::Job"
        | "AWS::Glue::Registry"
        | "AWS::Glue::Schema"
        | "AWS::Glue::Trigger"
        | "AWS::Glue::Workflow" => ("glue", set, remove),
        "AWS::IAM::OIDCProvider" => ("iam", "TagOpenIDConnectProvider", "UntagOpenIDConnectProvider"),
        "AWS::KMS::Key" => ("kms", set, remove),
        "AWS::Lambda::EventSourceMapping" | "AWS::Lambda::Function" => ("lambda", set, remove),
        "AWS::Logs::LogGroup" => ("logs", set, remove),
        "AWS::Pipes::Pipe" => ("pipes", set, remove),
        "AWS::SNS::Topic" => ("sns", set, remove),
        "AWS::SQS::Queue" => ("sqs", "TagQueue", "UntagQueue"),
        "AWS::SSM::Parameter" => ("ssm", "AddTagsToResource", "RemoveTagsFromResource"),
        "AWS::SageMaker::Endpoint" | "AWS::SageMaker::EndpointConfig" | "AWS::SageMaker::Model" => {
            ("sagemaker", "AddTags", "DeleteTags")
        }
        "AWS::Scheduler::ScheduleGroup" => ("scheduler", set, remove),
        "AWS::SecretsManager::Secret" => ("secretsmanager", set, remove),
        _ => return None,
    })
}

fn change(kind: &str, at: &Context, made: &Made) -> Option<Change> {
    let (service, set, remove) = operations(kind)?;
    let id = &made.physical_id;
    let arn = || made.attribute("Arn").to_owned();
    let (named, members, form) = match kind {
        "AWS::Athena::DataCatalog" => {
            (json!({ "ResourceARN": at.arn("athena", format!("datacatalog/{id}")) }), ("Tags", "TagKeys"), Form::List)
        }
        "AWS::Athena::WorkGroup" => {
            (json!({ "ResourceARN": at.arn("athena", format!("workgroup/{id}")) }), ("Tags", "TagKeys"), Form::List)
        }
        "AWS::CloudWatch::Alarm"
        | "AWS::CloudWatch::CompositeAlarm"
        | "AWS::Events::EventBus"
        | "AWS::Events::Rule" => (json!({ "ResourceARN": arn() }), ("Tags", "TagKeys"), Form::List),
        "AWS::Glue::Crawler" | "AWS::Glue::Job" | "AWS::Glue::Trigger" | "AWS::Glue::Workflow" => {
            let what = kind.rsplit("::").next().unwrap_or_default().to_ascii_lowercase();
            let named = json!({ "ResourceArn": at.arn("glue", format!("{what}/{id}")) });
            (named, ("TagsToAdd", "TagsToRemove"), Form::Map)
        }
        "AWS::CloudTrail::Trail" => (json!({ "ResourceId": arn() }), ("TagsList", "TagsList"), Form::List),
        "AWS::Glue::DataQualityRuleset" => {
            let named = json!({ "ResourceArn": at.arn("glue", format!("dataQualityRuleset/{id}")) });
            (named, ("TagsToAdd", "TagsToRemove"), Form::Map)
        }
        "AWS::Glue::Registry" | "AWS::Glue::Schema" => {
            (json!({ "ResourceArn": id }), ("TagsToAdd", "TagsToRemove"), Form::Map)
        }
        "AWS::IAM::OIDCProvider" => (json!({ "OpenIDConnectProviderArn": id }), ("Tags", "TagKeys"), Form::List),
        "AWS::KMS::Key" => (json!({ "KeyId": id }), ("Tags", "TagKeys"), Form::OfKms),
        "AWS::Lambda::EventSourceMapping" => {
            (json!({ "Resource": made.attribute("EventSourceMappingArn") }), ("Tags", "TagKeys"), Form::Map)
        }
        "AWS::Lambda::Function" => (json!({ "Resource": arn() }), ("Tags", "TagKeys"), Form::Map),
        "AWS::Logs::LogGroup" => {
            (json!({ "resourceArn": at.arn("logs", format!("log-group:{id}")) }), ("tags", "tagKeys"), Form::Map)
        }
        "AWS::Pipes::Pipe" => (json!({ "resourceArn": arn() }), ("tags", "tagKeys"), Form::Map),
        "AWS::SQS::Queue" => (json!({ "QueueUrl": id }), ("Tags", "TagKeys"), Form::Map),
        "AWS::SSM::Parameter" => {
            (json!({ "ResourceType": "Parameter", "ResourceId": id }), ("Tags", "TagKeys"), Form::List)
        }
        "AWS::Scheduler::ScheduleGroup" => (json!({ "ResourceArn": arn() }), ("Tags", "TagKeys"), Form::List),
        "AWS::SecretsManager::Secret" => (json!({ "SecretId": id }), ("Tags", "TagKeys"), Form::List),
        // A topic and SageMaker's three, whose physical ids are their ARNs.
        _ => (json!({ "ResourceArn": id }), ("Tags", "TagKeys"), Form::List),
    };
    Some(Change { service, set, remove, named, members, form })
}

/// The tags of a resource as its `Tags` property has them; `None` where its type has none that can be told.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) async fn told(kind: &str, at: &Context, made: &Made) -> Result<Option<Value>> {
    let id = &made.physical_id;
    let (service, operation, input, member) = match kind {
        "AWS::Athena::WorkGroup" => (
            "athena",
            "listTagsForResource",
            json!({ "ResourceARN": at.arn("athena", format!("workgroup/{id}")) }),
            "Tags",
        ),
        "AWS::Athena::DataCatalog" => (
            "athena",
            "listTagsForResource",
            json!({ "ResourceARN": at.arn("athena", format!("datacatalog/{id}")) }),
            "Tags",
        ),
        "AWS::CloudTrail::Trail" => {
            ("cloudtrail", "listTags", json!({ "ResourceIdList": [made.attribute("Arn")] }), "ResourceTagList")
        }
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => {
            ("cloudwatch", "listTagsForResource", json!({ "ResourceARN": made.attribute("Arn") }), "Tags")
        }
        "AWS::DynamoDB::Table" => {
            ("dynamodb", "listTagsOfResource", json!({ "ResourceArn": made.attribute("Arn") }), "Tags")
        }
        "AWS::ECR::Repository" => {
            ("ecr", "listTagsForResource", json!({ "ResourceArn": made.attribute("Arn") }), "Tags")
        }
        "AWS::Events::EventBus" | "AWS::Events::Rule" => {
            ("eventbridge", "listTagsForResource", json!({ "ResourceARN": made.attribute("Arn") }), "Tags")
        }
        "AWS::Glue::Job" => ("glue", "getTags", json!({ "ResourceArn": at.arn("glue", format!("job/{id}")) }), "Tags"),
        "AWS::Glue::Crawler" | "AWS::Glue::Trigger" => {
            let what = kind.rsplit("::").next().unwrap_or_default().to_ascii_lowercase();
            ("glue", "getTags", json!({ "ResourceArn": at.arn("glue", format!("{what}/{id}")) }), "Tags")
        }
        "AWS::Glue::Registry" | "AWS::Glue::Schema" => ("glue", "getTags", json!({ "ResourceArn": id }), "Tags"),
        "AWS::KMS::Key" => ("kms", "listResourceTags", json!({ "KeyId": id }), "Tags"),
        "AWS::Lambda::EventSourceMapping" => {
            ("lambda", "listTags", json!({ "Resource": made.attribute("EventSourceMappingArn") }), "Tags")
        }
        "AWS::Lambda::Function" => ("lambda", "listTags", json!({ "Resource": made.attribute("Arn") }), "Tags"),
        "AWS::Logs::LogGroup" => (
            "cloudwatchlogs",
            "listTagsForResource",
            json!({ "ResourceArn": at.arn("logs", format!("log-group:{id}")) }),
            "Tags",
        ),
        "AWS::Pipes::Pipe" => ("pipes", "listTagsForResource", json!({ "ResourceArn": made.attribute("Arn") }), "Tags"),
        "AWS::SageMaker::Endpoint" | "AWS::SageMaker::Model" => {
            ("sagemaker", "listTags", json!({ "ResourceArn": id }), "Tags")
        }
        "AWS::Scheduler::ScheduleGroup" => {
            ("scheduler", "listTagsForResource", json!({ "ResourceArn": made.attribute("Arn") }), "Tags")
        }
        "AWS::S3::Bucket" => ("s3", "getBucketTagging", json!({ "Bucket": id }), "TagSet"),
        "AWS::SNS::Topic" => ("sns", "listTagsForResource", json!({ "ResourceArn": id }), "Tags"),
        "AWS::SQS::Queue" => ("sqs", "listQueueTags", json!({ "QueueUrl": id }), "Tags"),
        "AWS::SSM::Parameter" => {
            ("ssm", "listTagsForResource", json!({ "ResourceType": "Parameter", "ResourceId": id }), "TagList")
        }
        "AWS::SecretsManager::Secret" => ("secretsmanager", "describeSecret", json!({ "SecretId": id }), "Tags"),
        "AWS::StepFunctions::Activity" | "AWS::StepFunctions::StateMachine" => {
            ("sfn", "listTagsForResource", json!({ "ResourceArn": id }), "Tags")
        }
        _ => return Ok(None),
    };
    let output = match at.look(service, operation, input).await {
        Err(error) if error.is("NoSuchTagSet") => return Ok(None),
        output => output?,
    };
    let tags = if member == "ResourceTagList" { &output[member][0]["TagsList"] } else { &output[member] };
    let of_kms = |tag: &Value| Some((text(tag.get("TagKey")?), text(tag.get("TagValue")?)));
    let mut found = pairs(Some(tags));
    found.extend(tags.as_array().into_iter().flatten().filter_map(of_kms));
    if found.is_empty() {
        return Ok(None);
    }
    Ok(Some(match kind {
        // The types whose tags are a map.
        "AWS::SSM::Parameter" | "AWS::Glue::Crawler" | "AWS::Glue::Job" | "AWS::Glue::Trigger" | "AWS::Pipes::Pipe" => {
            Value::Object(found.into_iter().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>())
        }
        _ => found.into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect(),
    }))
}
