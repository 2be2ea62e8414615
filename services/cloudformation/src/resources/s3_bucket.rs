//! AWS::S3::Bucket: Ref is its name; Arn, DomainName, RegionalDomainName, DualStackDomainName, WebsiteURL.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;
use crate::template::validation;

pub(super) struct Bucket;

const MEMBERS: [&str; 13] = [
    "AccessControl",
    "BucketEncryption",
    "BucketName",
    "CorsConfiguration",
    "LifecycleConfiguration",
    "LoggingConfiguration",
    "NotificationConfiguration",
    "ObjectLockConfiguration",
    "ObjectLockEnabled",
    "OwnershipControls",
    "PublicAccessBlockConfiguration",
    "Tags",
    "VersioningConfiguration",
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
        let acl = properties.get("AccessControl").map(text).filter(|acl| acl != "Private");
        if let Some(acl) = &acl {
            if acl != LOGS {
                input["ACL"] = canned(acl).into();
            }
            let owned = &properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"];
            if !owned.is_null() {
                input["ObjectOwnership"] = owned.clone();
            }
        }
        at.call("s3", "CreateBucket", input).await?;
        let made = made(at, &name);
        at.begun(&made);
        let so_far = Value::from(pick(properties, &["ObjectLockEnabled"]));
        apply(at, &made.physical_id, &so_far, properties).await?;
        if acl.is_some_and(|acl| acl == LOGS) {
            open(at, &made.physical_id, LOGS).await?;
        }
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["BucketName"]) {
            return Ok(Updated::Replace);
        }
        if locked(old) && !locked(new) && !at.going_back {
            return Err(validation("Object Lock cannot be disabled once it is enabled for a bucket"));
        }
        let acl = |properties: &Value| properties.get("AccessControl").map_or_else(|| "Private".to_owned(), text);
        let changed = acl(old) != acl(new);
        let name = &made.physical_id;
        // What was open is closed before the bucket stops to have lists, and what is to be open waits until it has them.
        if changed && acl(old) != "Private" {
            open(at, name, "Private").await?;
        }
        apply(at, name, old, new).await?;
        if changed && acl(new) != "Private" {
            open(at, name, &acl(new)).await?;
        }
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

/// The list of what logs are delivered to, which S3 takes and its model does not name.
const LOGS: &str = "LogDeliveryWrite";

/// Gives a bucket another list.
async fn open(at: &Context, name: &str, acl: &str) -> Result<()> {
    let acl = Some(canned(acl));
    let input = api_s3::PutBucketAclRequest { bucket: name.to_owned(), acl, ..Default::default() };
    at.cx.call::<api_s3::PutBucketAcl>(input).await?;
    at.touch();
    Ok(())
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

/// Whether versions can be locked in it.
fn locked(properties: &Value) -> bool {
    properties.get("ObjectLockEnabled").is_some_and(|on| text(on) == "true")
        || properties["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
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
    // What is locked has versions.
    if locked(old) != locked(new) || locked(new) && differ(old, new, &["ObjectLockConfiguration"]) {
        let mut lock = pick(&new["ObjectLockConfiguration"], &["Rule"]);
        lock.insert("ObjectLockEnabled".to_owned(), "Enabled".into());
        let input = json!({ "Bucket": name, "ObjectLockConfiguration": lock });
        at.call("s3", "PutObjectLockConfiguration", input).await?;
    }
    if differ(old, new, &["LoggingConfiguration"]) {
        let status = new.get("LoggingConfiguration").map_or_else(|| json!({}), |given| logging(name, given));
        at.call("s3", "PutBucketLogging", json!({ "Bucket": name, "BucketLoggingStatus": status })).await?;
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
    if tags.is_empty() {
        return at.call_if_there("s3", "DeleteBucketTagging", json!({ "Bucket": name })).await;
    }
    at.call("s3", "PutBucketTagging", json!({ "Bucket": name, "Tagging": { "TagSet": tags } })).await?;
    Ok(())
}

/// Without a bucket to log to, a bucket logs to itself. Source: Template Reference, "AWS::S3::Bucket LoggingConfiguration".
fn logging(bucket: &str, given: &Value) -> Value {
    let mut enabled = pick(given, &["TargetObjectKeyFormat"]);
    let target = given.get("DestinationBucketName").cloned().unwrap_or_else(|| bucket.into());
    enabled.insert("TargetBucket".to_owned(), target);
    enabled.insert("TargetPrefix".to_owned(), given.get("LogFilePrefix").map(text).unwrap_or_default().into());
    json!({ "LoggingEnabled": enabled })
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
    let mut input = json!({ "LifecycleConfiguration": { "Rules": rules } });
    if let Some(smallest) = value.get("TransitionDefaultMinimumObjectSize") {
        input["TransitionDefaultMinimumObjectSize"] = smallest.clone();
    }
    input
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

/// A property, the operation that tells it, and how what that answers becomes the property.
type Told = (&'static str, &'static str, fn(&Value) -> Value);

pub(super) const TOLD: [Told; 7] = [
    ("BucketEncryption", "getBucketEncryption", encryption_told),
    ("CorsConfiguration", "getBucketCors", cors_told),
    ("LifecycleConfiguration", "getBucketLifecycleConfiguration", lifecycle_told),
    ("LoggingConfiguration", "getBucketLogging", logging_told),
    ("ObjectLockConfiguration", "getObjectLockConfiguration", |output| output["ObjectLockConfiguration"].clone()),
    ("NotificationConfiguration", "getBucketNotificationConfiguration", notification_told),
    ("OwnershipControls", "getBucketOwnershipControls", |output| output["OwnershipControls"].clone()),
];

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The members that are there, under other names.
fn renamed(from: &Value, names: &[(&str, &str)]) -> Value {
    let found = names.iter().filter_map(|(member, property)| {
        let value = from.get(member).filter(|value| !value.is_null())?;
        Some(((*property).to_owned(), value.clone()))
    });
    Value::Object(found.collect())
}

fn encryption_told(output: &Value) -> Value {
    let names = [
        ("ApplyServerSideEncryptionByDefault", "ServerSideEncryptionByDefault"),
        ("BucketKeyEnabled", "BucketKeyEnabled"),
    ];
    let rules = list(&output["ServerSideEncryptionConfiguration"]["Rules"]).map(|rule| renamed(rule, &names));
    json!({ "ServerSideEncryptionConfiguration": rules.collect::<Vec<_>>() })
}

pub(super) fn logging_told(output: &Value) -> Value {
    let names = [
        ("TargetBucket", "DestinationBucketName"),
        ("TargetPrefix", "LogFilePrefix"),
        ("TargetObjectKeyFormat", "TargetObjectKeyFormat"),
    ];
    renamed(&output["LoggingEnabled"], &names)
}

fn cors_told(output: &Value) -> Value {
    let names = [
        ("AllowedHeaders", "AllowedHeaders"),
        ("AllowedMethods", "AllowedMethods"),
        ("AllowedOrigins", "AllowedOrigins"),
        ("ExposeHeaders", "ExposedHeaders"),
        ("ID", "Id"),
        ("MaxAgeSeconds", "MaxAge"),
    ];
    json!({ "CorsRules": list(&output["CORSRules"]).map(|rule| renamed(rule, &names)).collect::<Vec<_>>() })
}

fn lifecycle_told(output: &Value) -> Value {
    let mut told = json!({ "Rules": list(&output["Rules"]).map(lifecycle_rule_told).collect::<Vec<_>>() });
    let smallest = &output["TransitionDefaultMinimumObjectSize"];
    if smallest.as_str().is_some_and(|size| size != "all_storage_classes_128K") {
        told["TransitionDefaultMinimumObjectSize"] = smallest.clone();
    }
    told
}

fn lifecycle_rule_told(rule: &Value) -> Value {
    let mut out = renamed(
        rule,
        &[
            ("ID", "Id"),
            ("Status", "Status"),
            ("Prefix", "Prefix"),
            ("AbortIncompleteMultipartUpload", "AbortIncompleteMultipartUpload"),
            ("NoncurrentVersionExpiration", "NoncurrentVersionExpiration"),
        ],
    );
    let filter = rule["Filter"].get("And").filter(|and| !and.is_null()).unwrap_or_else(|| &rule["Filter"]);
    let sizes = [("ObjectSizeGreaterThan", "ObjectSizeGreaterThan"), ("ObjectSizeLessThan", "ObjectSizeLessThan")];
    let mut put = |more: Value| out.as_object_mut().into_iter().for_each(|out| out.extend(map(&more)));
    put(renamed(filter, &sizes));
    if filter["Prefix"].as_str().is_some_and(|prefix| !prefix.is_empty()) {
        put(json!({ "Prefix": filter["Prefix"] }));
    }
    let tags: Vec<&Value> = list(&filter["Tags"]).chain(filter.get("Tag").filter(|tag| !tag.is_null())).collect();
    if !tags.is_empty() {
        put(json!({ "TagFilters": tags }));
    }
    put(renamed(
        &rule["Expiration"],
        &[
            ("Days", "ExpirationInDays"),
            ("Date", "ExpirationDate"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        ],
    ));
    let names = [("StorageClass", "StorageClass"), ("Days", "TransitionInDays"), ("Date", "TransitionDate")];
    let transitions: Vec<Value> = list(&rule["Transitions"]).map(|one| renamed(one, &names)).collect();
    if !transitions.is_empty() {
        put(json!({ "Transitions": transitions }));
    }
    let names = [
        ("StorageClass", "StorageClass"),
        ("NoncurrentDays", "TransitionInDays"),
        ("NewerNoncurrentVersions", "NewerNoncurrentVersions"),
    ];
    let transitions: Vec<Value> = list(&rule["NoncurrentVersionTransitions"]).map(|one| renamed(one, &names)).collect();
    if !transitions.is_empty() {
        put(json!({ "NoncurrentVersionTransitions": transitions }));
    }
    out
}

fn map(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn notification_told(output: &Value) -> Value {
    let mut out = json!({});
    if output.get("EventBridgeConfiguration").is_some_and(|bridge| !bridge.is_null()) {
        out["EventBridgeConfiguration"] = json!({ "EventBridgeEnabled": true });
    }
    for (member, property, from, to) in [
        ("QueueConfigurations", "QueueConfigurations", "QueueArn", "Queue"),
        ("TopicConfigurations", "TopicConfigurations", "TopicArn", "Topic"),
        ("LambdaFunctionConfigurations", "LambdaConfigurations", "LambdaFunctionArn", "Function"),
    ] {
        // An entry of the template has one event.
        let entries = list(&output[member]).flat_map(|entry| {
            list(&entry["Events"]).map(move |event| {
                let mut one = json!({ "Event": event, to: entry[from] });
                if let Some(rules) = entry["Filter"]["Key"].get("FilterRules").filter(|rules| !rules.is_null()) {
                    one["Filter"] = json!({ "S3Key": { "Rules": rules } });
                }
                one
            })
        });
        let entries: Vec<Value> = entries.collect();
        if !entries.is_empty() {
            out[property] = entries.into();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_told_so() {
        let rules = json!({ "Rules": [
            { "Id": "a", "Status": "Enabled", "Prefix": "x/", "ExpirationInDays": 3 },
            { "Id": "b", "Status": "Disabled", "TagFilters": [{ "Key": "k", "Value": "v" }],
              "Transitions": [{ "StorageClass": "GLACIER", "TransitionInDays": 30 }] },
            { "Id": "c", "Status": "Enabled", "Prefix": "y", "ObjectSizeGreaterThan": 5,
              "NoncurrentVersionTransitions": [{ "StorageClass": "GLACIER", "TransitionInDays": 3, "NewerNoncurrentVersions": 2 }],
              "NoncurrentVersionExpiration": { "NoncurrentDays": 9 } },
        ] });
        assert_eq!(lifecycle_told(&lifecycle(&rules)["LifecycleConfiguration"]), rules);
        let given = json!({ "EventBridgeConfiguration": { "EventBridgeEnabled": true }, "QueueConfigurations": [
            { "Event": "s3:ObjectCreated:*", "Queue": "q", "Filter": { "S3Key": { "Rules": [{ "Name": "suffix", "Value": "c" }] } } },
        ] });
        assert_eq!(notification_told(&notification(&given)), given);
        let given = json!({ "CorsRules": [{ "AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposedHeaders": ["a"], "MaxAge": 3 }] });
        assert_eq!(cors_told(&cors(&given)["CORSConfiguration"]), given);
        let given = json!({ "DestinationBucketName": "logs", "LogFilePrefix": "a/", "TargetObjectKeyFormat":
            { "PartitionedPrefix": { "PartitionDateSource": "EventTime" } } });
        assert_eq!(logging_told(&logging("own", &given)), given);
        assert_eq!(logging("own", &json!({}))["LoggingEnabled"]["TargetBucket"], "own");
        let given = json!({ "ServerSideEncryptionConfiguration": [
            { "ServerSideEncryptionByDefault": { "SSEAlgorithm": "aws:kms" }, "BucketKeyEnabled": true },
        ] });
        assert_eq!(encryption_told(&encryption(&given)), given);
    }
}
