//! What an input names by something that is in no ARN, such as a query's workgroup by the query: asked of the service that knows it, as
//! the platform. What does not exist stays as it was named, so that a policy for other things does not give it.

use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wire::Error;

use crate::Cx;

/// How to look: the kind, service, operation, the input's member, and the path of the answer.
const LOOKUPS: [(&str, &str, &str, &str, &str); 10] = [
    ("query", "athena", "getQueryExecution", "QueryExecutionId", "QueryExecution.WorkGroup"),
    ("named-query", "athena", "getNamedQuery", "NamedQueryId", "NamedQuery.WorkGroup"),
    ("stack-of-change-set", "cloudformation", "describeChangeSet", "ChangeSetName", "StackId"),
    ("role", "iam", "getRole", "RoleName", "Role.Arn"),
    ("user", "iam", "getUser", "UserName", "User.Arn"),
    ("group", "iam", "getGroup", "GroupName", "Group.Arn"),
    ("instance-profile", "iam", "getInstanceProfile", "InstanceProfileName", "InstanceProfile.Arn"),
    ("user-of-key", "iam", "getAccessKeyLastUsed", "AccessKeyId", "UserName"),
    ("secret", "secretsmanager", "describeSecret", "SecretId", "ARN"),
    ("key", "kms", "describeKey", "KeyId", "KeyMetadata.Arn"),
];

/// A call as the platform. Boxed: what it leads to may have to be authorised itself, for all that the compiler knows.
pub(super) fn ask<'a>(cx: &'a Cx, service: &'a str, operation: &'a str, input: Value) -> Answer<'a> {
    Box::pin(async move { cx.as_platform().call_json(service, operation, input).await })
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + 'a>>;

/// What a value stands for; `None` where `how` is no look-up.
pub(super) async fn find(how: &str, cx: &Cx, value: &str) -> Result<Option<String>, Error> {
    if how == "key-of-blob" {
        let blob = STANDARD.decode(value).unwrap_or_default();
        return Ok(Some(key_of_blob(&blob).unwrap_or_else(|| "*".to_owned())));
    }
    let Some((_, service, operation, member, path)) = LOOKUPS.iter().find(|(kind, ..)| *kind == how) else {
        return Ok(None);
    };
    // What another account has is looked for there.
    let account =
        value.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(3)).filter(|account| account.len() == 12);
    // AWS's own keys are of use in their account alone. Another's is not looked for, by which it would be made.
    if how == "key" && value.contains(":alias/aws/") && account.is_some_and(|account| account != cx.account()) {
        return Ok(Some(value.to_owned()));
    }
    let there = account.map_or_else(|| cx.clone(), |account| cx.in_account(account));
    match ask(&there, service, operation, json!({ *member: value })).await {
        Ok(answer) => {
            let found = super::context::at(&answer, path).and_then(Value::as_str).unwrap_or(value);
            Ok(Some(found.to_owned()))
        }
        // Whatever it says of what does not exist; what fails inside is no reason to let anybody in.
        Err(error) if error.status() < 500 || error.is("NotImplemented") => Ok(Some(value.to_owned())),
        Err(error) => Err(error),
    }
}

/// The mark of what KMS has encrypted here.
pub const BLOB_MARK: &[u8; 4] = b"LKM1";

/// The key's ARN in a ciphertext blob of KMS, which begins with its mark and the ARN's length.
pub fn key_of_blob(blob: &[u8]) -> Option<String> {
    let rest = blob.strip_prefix(BLOB_MARK)?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let arn = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    String::from_utf8(arn.to_vec()).ok().filter(|arn| arn.starts_with("arn:"))
}

/// How a service tells a resource's tags: the service in its ARN, the call, the member for the ARN, where the tags are in the answer.
const TAGS: [(&str, &str, &str, &str, &str); 20] = [
    ("athena", "athena", "listTagsForResource", "ResourceARN", "Tags"),
    ("cloudwatch", "cloudwatch", "listTagsForResource", "ResourceARN", "Tags"),
    ("dynamodb", "dynamodb", "listTagsOfResource", "ResourceArn", "Tags"),
    ("ecr", "ecr", "listTagsForResource", "resourceArn", "tags"),
    ("events", "eventbridge", "listTagsForResource", "ResourceARN", "Tags"),
    ("glue", "glue", "getTags", "ResourceArn", "Tags"),
    ("iam:instance-profile", "iam", "listInstanceProfileTags", "InstanceProfileName", "Tags"),
    ("iam:oidc-provider", "iam", "listOpenIDConnectProviderTags", "OpenIDConnectProviderArn", "Tags"),
    ("iam:policy", "iam", "listPolicyTags", "PolicyArn", "Tags"),
    ("iam:role", "iam", "listRoleTags", "RoleName", "Tags"),
    ("iam:user", "iam", "listUserTags", "UserName", "Tags"),
    ("kms", "kms", "listResourceTags", "KeyId", "Tags"),
    ("lambda", "lambda", "listTags", "Resource", "Tags"),
    ("logs", "cloudwatchlogs", "listTagsForResource", "ResourceArn", "Tags"),
    ("pipes", "pipes", "listTagsForResource", "ResourceArn", "tags"),
    ("sagemaker", "sagemaker", "listTags", "ResourceArn", "Tags"),
    ("scheduler", "scheduler", "listTagsForResource", "ResourceArn", "Tags"),
    ("secretsmanager", "secretsmanager", "describeSecret", "SecretId", "Tags"),
    ("sns", "sns", "listTagsForResource", "ResourceArn", "Tags"),
    ("states", "sfn", "listTagsForResource", "ResourceArn", "Tags"),
];

/// What has no tags on AWS either, though other kinds of its service have.
const WITHOUT_TAGS: [&str; 3] = ["iam:group", "sts:federated-user", "cloudformation:resource"];

/// A resource's tags, asked of its service as the platform: none where it has none or does not exist, `None` where nobody is known who
/// would tell them.
pub(super) async fn tags(cx: &Cx, arn: &str) -> Result<Option<Vec<(String, String)>>, Error> {
    let account = arn.split(':').nth(4).filter(|account| account.len() == 12).unwrap_or_else(|| cx.account());
    let cx = &cx.in_account(account);
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, _, _, resource] = parts.as_slice() else { return Ok(Some(Vec::new())) };
    let last = resource.rsplit('/').next().unwrap_or_default();
    let kind = format!("{service}:{}", resource.split('/').next().unwrap_or_default());
    if WITHOUT_TAGS.contains(&kind.as_str()) {
        return Ok(Some(Vec::new()));
    }
    let (service, operation, asked, path) = match *service {
        "sqs" => ("sqs", "listQueueTags", json!({ "QueueUrl": last }), "Tags"),
        "ssm" => return parameter_tags(cx, resource).await.map(Some),
        "s3" => ("s3", "getBucketTagging", json!({ "Bucket": resource.split('/').next() }), "TagSet"),
        // An index is tagged as its table, a log stream as its group, a qualified function as the function.
        "dynamodb" => {
            let table = arn.split("/index/").next().unwrap_or(arn).split("/stream/").next().unwrap_or(arn);
            ("dynamodb", "listTagsOfResource", json!({ "ResourceArn": table }), "Tags")
        }
        "logs" => {
            let group = arn.split(":log-stream:").next().unwrap_or(arn).trim_end_matches(":*");
            ("cloudwatchlogs", "listTagsForResource", json!({ "ResourceArn": group }), "Tags")
        }
        "lambda" => {
            let function = arn.splitn(8, ':').take(7).collect::<Vec<_>>().join(":");
            ("lambda", "listTags", json!({ "Resource": function }), "Tags")
        }
        "cloudformation" => {
            ("cloudformation", "describeStacks", json!({ "StackName": stack(resource) }), "Stacks.Tags")
        }
        "cloudtrail" => ("cloudtrail", "listTags", json!({ "ResourceIdList": [arn] }), "ResourceTagList.TagsList"),
        service => {
            let name = if service == "iam" { kind.as_str() } else { service };
            let Some((_, service, operation, member, path)) = TAGS.iter().find(|(of, ..)| *of == name) else {
                return Ok(None);
            };
            let named = if member.ends_with("Name") { last } else { arn };
            (*service, *operation, json!({ *member: named }), *path)
        }
    };
    asked_for(cx, (service, operation), asked, path).await.map(Some)
}

/// The tags at a path of what a service answers; none where it refuses.
async fn asked_for(
    cx: &Cx,
    (service, operation): (&str, &str),
    asked: Value,
    path: &str,
) -> Result<Vec<(String, String)>, Error> {
    let answer = match ask(cx, service, operation, asked).await {
        Ok(answer) => answer,
        Err(error) if error.status() < 500 || error.is("NotImplemented") => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let answer = match path.split_once('.') {
        Some((list, _)) => &answer[list][0],
        None => &answer,
    };
    let path = path.rsplit('.').next().unwrap_or(path);
    Ok(pairs(answer.get(path).or_else(|| answer.get(path.to_lowercase())).unwrap_or(&Value::Null)))
}

/// A parameter's tags. The ARN of one of a single level does not tell whether its name begins with a slash.
async fn parameter_tags(cx: &Cx, resource: &str) -> Result<Vec<(String, String)>, Error> {
    let path = resource.strip_prefix("parameter").unwrap_or(resource);
    let name = path.trim_start_matches('/');
    let names = if name.contains('/') { vec![path] } else { vec![name, path] };
    let mut found = Vec::new();
    for name in names {
        let asked = json!({ "ResourceType": "Parameter", "ResourceId": name });
        found.extend(asked_for(cx, ("ssm", "listTagsForResource"), asked, "TagList").await?);
    }
    Ok(found)
}

/// The name of a stack's resource: `stack/NAME/ID`.
fn stack(resource: &str) -> &str {
    resource.split('/').nth(1).unwrap_or(resource)
}

/// Tags as a map, or as a list of keys and values.
fn pairs(tags: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match tags {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        Value::Array(list) => list
            .iter()
            .map(|tag| {
                let part =
                    |name: &str| text(tag.get(name).or_else(|| tag.get(name.to_lowercase())).unwrap_or(&Value::Null));
                (part("Key"), part("Value"))
            })
            .collect(),
        _ => Vec::new(),
    }
}
