//! AWS::S3::Bucket: Ref is its name; Arn, DomainName, RegionalDomainName, DualStackDomainName, WebsiteURL.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct Bucket;

const MEMBERS: [&str; 11] = [
    "AccessControl",
    "BucketEncryption",
    "BucketName",
    "CorsConfiguration",
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
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "BucketName", 63).to_lowercase();
        let region = at.cx.region();
        let mut input = json!({ "Bucket": name });
        if region != "us-east-1" {
            input["CreateBucketConfiguration"] = json!({ "LocationConstraint": region });
        }
        if properties.get("ObjectLockEnabled").is_some_and(|on| text(on) == "true") {
            input["ObjectLockEnabledForBucket"] = true.into();
        }
        if let Some(acl) = properties.get("AccessControl").map(text).filter(|acl| acl != "Private") {
            input["ACL"] = canned(&acl).into();
            let owned = &properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"];
            if !owned.is_null() {
                input["ObjectOwnership"] = owned.clone();
            }
        }
        at.call("s3", "CreateBucket", input).await?;
        let made = made(at, &name);
        at.begun(&made);
        apply(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["BucketName"]) {
            return Ok(Updated::Replace);
        }
        apply(at, &made.physical_id, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("s3", "DeleteBucket", json!({ "Bucket": made.physical_id })).await
    }
}

/// A bucket as Ref and GetAtt answer it.
pub(super) fn made(at: &Context, name: &str) -> Made {
    let region = at.cx.region();
    let attributes = json!({
        "Arn": format!("arn:aws:s3:::{name}"),
        "DomainName": format!("{name}.s3.amazonaws.com"),
        "RegionalDomainName": format!("{name}.s3.{region}.amazonaws.com"),
        "DualStackDomainName": format!("{name}.s3.dualstack.{region}.amazonaws.com"),
        "WebsiteURL": format!("http://{name}.s3-website-{region}.amazonaws.com"),
    });
    Made::new(name, attributes)
}

/// `PublicRead` as S3's API has it: `public-read`.
fn canned(acl: &str) -> String {
    let mut out = String::new();
    for letter in acl.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// A setting: its property, how it becomes the operation's input, the operation that puts it and the one that takes it away.
type Setting = (&'static str, fn(&Value) -> Value, &'static str, &'static str);

const SETTINGS: [Setting; 5] = [
    ("BucketEncryption", encryption, "PutBucketEncryption", "DeleteBucketEncryption"),
    ("CorsConfiguration", cors, "PutBucketCors", "DeleteBucketCors"),
    ("LifecycleConfiguration", lifecycle, "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"),
    (
        "OwnershipControls",
        |value| json!({ "OwnershipControls": value }),
        "PutBucketOwnershipControls",
        "DeleteBucketOwnershipControls",
    ),
    (
        "PublicAccessBlockConfiguration",
        |value| json!({ "PublicAccessBlockConfiguration": value }),
        "PutPublicAccessBlock",
        "DeletePublicAccessBlock",
    ),
];

/// Puts the settings that differ, and takes those away that are not there any more.
async fn apply(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    if differ(old, new, &["NotificationConfiguration"]) {
        let configuration = notification(new.get("NotificationConfiguration").unwrap_or(&Value::Null));
        let input = json!({ "Bucket": name, "NotificationConfiguration": configuration });
        at.call("s3", "PutBucketNotificationConfiguration", input).await?;
    }
    let status = new["VersioningConfiguration"].get("Status").map_or_else(|| "Suspended".to_owned(), text);
    if differ(old, new, &["VersioningConfiguration"])
        && (status != "Suspended" || old.get("VersioningConfiguration").is_some())
    {
        let input = json!({ "Bucket": name, "VersioningConfiguration": { "Status": status } });
        at.call("s3", "PutBucketVersioning", input).await?;
    }
    for (property, shape, put, delete) in SETTINGS {
        if !differ(old, new, &[property]) {
            continue;
        }
        match new.get(property) {
            Some(value) => {
                let mut input = shape(value);
                input["Bucket"] = name.into();
                at.call("s3", put, input).await?;
            }
            None => at.call_if_there("s3", delete, json!({ "Bucket": name })).await?,
        }
    }
    let tags: Vec<Value> =
        super::unique(at.all_tags(new)).into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    at.call("s3", "PutBucketTagging", json!({ "Bucket": name, "Tagging": { "TagSet": tags } })).await?;
    Ok(())
}

fn encryption(value: &Value) -> Value {
    let rules = value["ServerSideEncryptionConfiguration"].as_array().into_iter().flatten().map(|rule| {
        let mut out = pick(rule, &["BucketKeyEnabled"]);
        if let Some(default) = rule.get("ServerSideEncryptionByDefault") {
            out.insert("ApplyServerSideEncryptionByDefault".to_owned(), default.clone());
        }
        Value::from(out)
    });
    json!({ "ServerSideEncryptionConfiguration": { "Rules": rules.collect::<Vec<_>>() } })
}

fn cors(value: &Value) -> Value {
    let rules = value["CorsRules"].as_array().into_iter().flatten().map(|rule| {
        let mut out = json!({});
        for (property, member) in [
            ("AllowedHeaders", "AllowedHeaders"),
            ("AllowedMethods", "AllowedMethods"),
            ("AllowedOrigins", "AllowedOrigins"),
            ("ExposedHeaders", "ExposeHeaders"),
            ("Id", "ID"),
            ("MaxAge", "MaxAgeSeconds"),
        ] {
            if let Some(given) = rule.get(property) {
                out[member] = given.clone();
            }
        }
        out
    });
    json!({ "CORSConfiguration": { "CORSRules": rules.collect::<Vec<_>>() } })
}

fn lifecycle(value: &Value) -> Value {
    let rules: Vec<Value> = value["Rules"].as_array().into_iter().flatten().map(lifecycle_rule).collect();
    json!({ "LifecycleConfiguration": { "Rules": rules } })
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

/// A rule with CloudFormation's names and its older, single forms. Source: Template Reference, "AWS::S3::Bucket Rule".
fn lifecycle_rule(rule: &Value) -> Value {
    let mut out = pick(rule, &["Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"]);
    if let Some(id) = rule.get("Id") {
        out.insert("ID".to_owned(), id.clone());
    }
    let mut filter = json!({});
    for (property, member) in [
        ("Prefix", "Prefix"),
        ("ObjectSizeGreaterThan", "ObjectSizeGreaterThan"),
        ("ObjectSizeLessThan", "ObjectSizeLessThan"),
        ("TagFilters", "Tags"),
    ] {
        if let Some(given) = rule.get(property) {
            filter[member] = given.clone();
        }
    }
    let one_tag = filter["Tags"].as_array().filter(|tags| tags.len() == 1).map(|tags| tags[0].clone());
    let filter = match (filter.as_object().map_or(0, serde_json::Map::len), one_tag) {
        (0, _) => json!({ "Prefix": "" }),
        (1, Some(tag)) => json!({ "Tag": tag }),
        (1, None) if filter.get("Tags").is_none() => filter,
        _ => json!({ "And": filter }),
    };
    out.insert("Filter".to_owned(), filter);
    let mut expiration = json!({});
    for (property, member) in [
        ("ExpirationInDays", "Days"),
        ("ExpirationDate", "Date"),
        ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
    ] {
        if let Some(given) = rule.get(property) {
            expiration[member] = given.clone();
        }
    }
    if expiration != json!({}) {
        out.insert("Expiration".to_owned(), expiration);
    }
    if let Some(days) = rule.get("NoncurrentVersionExpirationInDays") {
        out.insert("NoncurrentVersionExpiration".to_owned(), json!({ "NoncurrentDays": days }));
    }
    let listed = |many: &str, one: &str| -> Vec<Value> {
        rule[many].as_array().into_iter().flatten().chain(rule.get(one)).cloned().collect()
    };
    let transitions = listed("Transitions", "Transition").into_iter().map(|given| {
        let mut out = pick(&given, &["StorageClass"]);
        for (property, member) in [("TransitionInDays", "Days"), ("TransitionDate", "Date")] {
            if let Some(value) = given.get(property) {
                out.insert(member.to_owned(), value.clone());
            }
        }
        Value::from(out)
    });
    let transitions: Vec<Value> = transitions.collect();
    if !transitions.is_empty() {
        out.insert("Transitions".to_owned(), transitions.into());
    }
    let noncurrent = listed("NoncurrentVersionTransitions", "NoncurrentVersionTransition").into_iter().map(|given| {
        let mut out = pick(&given, &["StorageClass", "NewerNoncurrentVersions"]);
        if let Some(days) = given.get("TransitionInDays") {
            out.insert("NoncurrentDays".to_owned(), days.clone());
        }
        Value::from(out)
    });
    let noncurrent: Vec<Value> = noncurrent.collect();
    if !noncurrent.is_empty() {
        out.insert("NoncurrentVersionTransitions".to_owned(), noncurrent.into());
    }
    out.into()
}
