//! AWS::S3::Bucket: Ref is its name; Arn, DomainName, RegionalDomainName, DualStackDomainName, WebsiteURL.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Kind, Made, Place, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct Bucket;

const MEMBERS: [&str; 10] = [
    "AccessControl",
    "BucketEncryption",
    "BucketName",
    "LifecycleConfiguration",
    "NotificationConfiguration",
    "OwnershipControls",
    "PublicAccessBlockConfiguration",
    "Tags",
    "VersioningConfiguration",
    "ObjectLockEnabled",
];

#[async_trait]
impl Kind for Bucket {
    async fn create(&self, at: &Place, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "BucketName", 63).to_lowercase();
        let region = at.cx.region();
        let mut input = json!({ "Bucket": name });
        if region != "us-east-1" {
            input["CreateBucketConfiguration"] = json!({ "LocationConstraint": region });
        }
        at.call("s3", "CreateBucket", input).await?;
        let attributes = json!({
            "Arn": format!("arn:aws:s3:::{name}"),
            "DomainName": format!("{name}.s3.amazonaws.com"),
            "RegionalDomainName": format!("{name}.s3.{region}.amazonaws.com"),
            "DualStackDomainName": format!("{name}.s3.dualstack.{region}.amazonaws.com"),
            "WebsiteURL": format!("http://{name}.s3-website-{region}.amazonaws.com"),
        });
        let made = Made::new(name, attributes);
        at.begun(&made);
        apply(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Place, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["BucketName"]) {
            return Ok(Updated::Replace);
        }
        apply(at, &made.physical_id, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Place, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("s3", "DeleteBucket", json!({ "Bucket": made.physical_id })).await
    }
}

/// Puts the settings that differ.
async fn apply(at: &Place, name: &str, old: &Value, new: &Value) -> Result<()> {
    if differ(old, new, &["NotificationConfiguration"]) {
        let configuration = notification(new.get("NotificationConfiguration").unwrap_or(&Value::Null));
        let input = json!({ "Bucket": name, "NotificationConfiguration": configuration });
        at.call("s3", "PutBucketNotificationConfiguration", input).await?;
    }
    if differ(old, new, &["BucketEncryption"])
        && let Some(encryption) = new.get("BucketEncryption")
    {
        let rules: Vec<Value> = encryption["ServerSideEncryptionConfiguration"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| {
                let mut out = pick(rule, &["BucketKeyEnabled"]);
                if let Some(default) = rule.get("ServerSideEncryptionByDefault") {
                    out.insert("ApplyServerSideEncryptionByDefault".to_owned(), default.clone());
                }
                out.into()
            })
            .collect();
        let input = json!({ "Bucket": name, "ServerSideEncryptionConfiguration": { "Rules": rules } });
        at.call("s3", "PutBucketEncryption", input).await?;
    }
    for (property, operation) in [
        ("PublicAccessBlockConfiguration", "PutPublicAccessBlock"),
        ("OwnershipControls", "PutBucketOwnershipControls"),
    ] {
        if differ(old, new, &[property])
            && let Some(value) = new.get(property)
        {
            at.call("s3", operation, json!({ "Bucket": name, property: value })).await?;
        }
    }
    let status = new["VersioningConfiguration"].get("Status").map(text);
    if differ(old, new, &["VersioningConfiguration"])
        && status.as_deref().is_some_and(|s| s != "Suspended" || !old.is_null())
    {
        let input = json!({ "Bucket": name, "VersioningConfiguration": { "Status": status } });
        at.call("s3", "PutBucketVersioning", input).await?;
    }
    if differ(old, new, &["LifecycleConfiguration"])
        && let Some(lifecycle) = new.get("LifecycleConfiguration")
    {
        let rules: Vec<Value> = lifecycle["Rules"].as_array().into_iter().flatten().map(lifecycle_rule).collect();
        let input = json!({ "Bucket": name, "LifecycleConfiguration": { "Rules": rules } });
        at.call("s3", "PutBucketLifecycleConfiguration", input).await?;
    }
    let tags: Vec<Value> =
        super::unique(at.all_tags(new)).into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    at.call("s3", "PutBucketTagging", json!({ "Bucket": name, "Tagging": { "TagSet": tags } })).await?;
    Ok(())
}

/// CloudFormation's names for what S3's API calls otherwise.
fn notification(value: &Value) -> Value {
    let mut out = json!({});
    let bridge = &value["EventBridgeConfiguration"];
    if bridge.is_object() && bridge.get("EventBridgeEnabled").is_none_or(|e| text(e) == "true") {
        out["EventBridgeConfiguration"] = json!({});
    }
    for (property, member, from, to) in [
        ("QueueConfigurations", "QueueConfigurations", "Queue", "QueueArn"),
        ("TopicConfigurations", "TopicConfigurations", "Topic", "TopicArn"),
        ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
    ] {
        let Some(items) = value[property].as_array() else { continue };
        out[member] = items
            .iter()
            .map(|item| {
                let mut entry = json!({ to: item[from], "Events": [item["Event"]] });
                if let Some(rules) = item["Filter"]["S3Key"].get("Rules") {
                    entry["Filter"] = json!({ "Key": { "FilterRules": rules } });
                }
                entry
            })
            .collect();
    }
    out
}

fn lifecycle_rule(rule: &Value) -> Value {
    let mut out =
        pick(rule, &["Status", "AbortIncompleteMultipartUpload", "Transitions", "NoncurrentVersionExpiration"]);
    if let Some(id) = rule.get("Id") {
        out.insert("ID".to_owned(), id.clone());
    }
    out.insert("Filter".to_owned(), json!({ "Prefix": rule.get("Prefix").map(text).unwrap_or_default() }));
    if let Some(days) = rule.get("ExpirationInDays") {
        out.insert("Expiration".to_owned(), json!({ "Days": days }));
    }
    out.into()
}
