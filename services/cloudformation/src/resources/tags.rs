//! Tags of resources that are there: which operations tell and change them, type by type. Types whose own updates change tags are told here,
//! and not changed.

use serde_json::{Map, Value, json};

use super::{Context, Made, changed_tags, pairs, text};
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

/// Makes the tags of a resource what they are to be, where its type does not do so itself.
pub(super) async fn apply(kind: &str, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<()> {
    let Some(change) = change(kind, at, made) else { return Ok(()) };
    let (gone, set) = changed_tags(old, new);
    let (tags, keys) = change.members;
    let call = async |operation: &str, member: &str, value: Value| {
        let mut input = change.named.as_object().cloned().unwrap_or_default();
        input.insert(member.to_owned(), value);
        at.call(change.service, operation, input.into()).await.map(drop)
    };
    if !gone.is_empty() {
        call(change.remove, keys, gone.into()).await?;
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

fn change(kind: &str, at: &Context, made: &Made) -> Option<Change> {
    let id = &made.physical_id;
    let simple = |service, named: Value, form| Change {
        service,
        set: "TagResource",
        remove: "UntagResource",
        named,
        members: ("Tags", "TagKeys"),
        form,
    };
    Some(match kind {
        "AWS::Athena::WorkGroup" => {
            simple("athena", json!({ "ResourceARN": at.arn("athena", format!("workgroup/{id}")) }), Form::List)
        }
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm" => {
            simple("cloudwatch", json!({ "ResourceARN": made.attribute("Arn") }), Form::List)
        }
        "AWS::Events::EventBus" | "AWS::Events::Rule" => {
            simple("events", json!({ "ResourceARN": made.attribute("Arn") }), Form::List)
        }
        "AWS::Glue::Job" => Change {
            members: ("TagsToAdd", "TagsToRemove"),
            ..simple("glue", json!({ "ResourceArn": at.arn("glue", format!("job/{id}")) }), Form::Map)
        },
        "AWS::Glue::Crawler" => Change {
            members: ("TagsToAdd", "TagsToRemove"),
            ..simple("glue", json!({ "ResourceArn": at.arn("glue", format!("crawler/{id}")) }), Form::Map)
        },
        "AWS::KMS::Key" => simple("kms", json!({ "KeyId": id }), Form::OfKms),
        "AWS::Lambda::Function" => simple("lambda", json!({ "Resource": made.attribute("Arn") }), Form::Map),
        "AWS::Logs::LogGroup" => Change {
            members: ("tags", "tagKeys"),
            ..simple("logs", json!({ "resourceArn": at.arn("logs", format!("log-group:{id}")) }), Form::Map)
        },
        "AWS::SNS::Topic" => simple("sns", json!({ "ResourceArn": id }), Form::List),
        "AWS::SQS::Queue" => {
            Change { set: "TagQueue", remove: "UntagQueue", ..simple("sqs", json!({ "QueueUrl": id }), Form::Map) }
        }
        "AWS::SSM::Parameter" => Change {
            set: "AddTagsToResource",
            remove: "RemoveTagsFromResource",
            ..simple("ssm", json!({ "ResourceType": "Parameter", "ResourceId": id }), Form::List)
        },
        "AWS::SecretsManager::Secret" => simple("secretsmanager", json!({ "SecretId": id }), Form::List),
        _ => return None,
    })
}

/// The tags of a resource as its `Tags` property has them; `None` where its type has none that can be told.
pub(super) async fn told(kind: &str, at: &Context, made: &Made) -> Result<Option<Value>> {
    let id = &made.physical_id;
    let (service, operation, input, member) = match kind {
        "AWS::Athena::WorkGroup" => (
            "athena",
            "listTagsForResource",
            json!({ "ResourceARN": at.arn("athena", format!("workgroup/{id}")) }),
            "Tags",
        ),
        "AWS::CloudWatch::Alarm" => {
            ("cloudwatch", "listTagsForResource", json!({ "ResourceARN": made.attribute("Arn") }), "Tags")
        }
        "AWS::DynamoDB::Table" => {
            ("dynamodb", "listTagsOfResource", json!({ "ResourceArn": made.attribute("Arn") }), "Tags")
        }
        "AWS::ECR::Repository" => {
            ("ecr", "listTagsForResource", json!({ "ResourceArn": made.attribute("Arn") }), "Tags")
        }
        "AWS::Events::Rule" => {
            ("eventbridge", "listTagsForResource", json!({ "ResourceARN": made.attribute("Arn") }), "Tags")
        }
        "AWS::Glue::Job" => ("glue", "getTags", json!({ "ResourceArn": at.arn("glue", format!("job/{id}")) }), "Tags"),
        "AWS::KMS::Key" => ("kms", "listResourceTags", json!({ "KeyId": id }), "Tags"),
        "AWS::Lambda::Function" => ("lambda", "listTags", json!({ "Resource": made.attribute("Arn") }), "Tags"),
        "AWS::Logs::LogGroup" => (
            "cloudwatchlogs",
            "listTagsForResource",
            json!({ "ResourceArn": at.arn("logs", format!("log-group:{id}")) }),
            "Tags",
        ),
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
    let tags = &output[member];
    let of_kms = |tag: &Value| Some((text(tag.get("TagKey")?), text(tag.get("TagValue")?)));
    let mut found = pairs(Some(tags));
    found.extend(tags.as_array().into_iter().flatten().filter_map(of_kms));
    if found.is_empty() {
        return Ok(None);
    }
    Ok(Some(match kind {
        // The two types whose tags are a map.
        "AWS::SSM::Parameter" | "AWS::Glue::Job" => {
            Value::Object(found.into_iter().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>())
        }
        _ => found.into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect(),
    }))
}
