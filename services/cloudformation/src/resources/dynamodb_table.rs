//! AWS::DynamoDB::Table: Ref is its name; Arn, StreamArn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick};
use crate::Result;

pub(super) struct Table;

const CREATE: [&str; 9] = [
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableClass",
];

#[async_trait]
impl Kind for Table {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let mut known = CREATE.to_vec();
        known.extend([
            "TableName",
            "Tags",
            "TimeToLiveSpecification",
            "PointInTimeRecoverySpecification",
            "StreamSpecification",
        ]);
        only(properties, &known)?;
        let name = at.name(properties, "TableName", 255);
        let mut input = pick(properties, &CREATE);
        if let Some(stream) = properties.get("StreamSpecification") {
            let mut stream = stream.clone();
            stream["StreamEnabled"] = true.into();
            input.insert("StreamSpecification".to_owned(), stream);
        }
        if !input.contains_key("BillingMode") && !input.contains_key("ProvisionedThroughput") {
            input.insert("BillingMode".to_owned(), "PAY_PER_REQUEST".into());
        }
        input.insert("TableName".to_owned(), name.clone().into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        let output = at.call("dynamodb", "CreateTable", input.into()).await?;
        let table = &output["TableDescription"];
        let mut attributes = json!({ "Arn": table["TableArn"] });
        if let Some(arn) = table.get("LatestStreamArn") {
            attributes["StreamArn"] = arn.clone();
        }
        let made = Made::new(name, attributes);
        at.begun(&made);
        apply(at, &made.physical_id, properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["TableName", "KeySchema", "LocalSecondaryIndexes"]) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        let changes =
            ["BillingMode", "DeletionProtectionEnabled", "ProvisionedThroughput", "SSESpecification", "TableClass"];
        if differ(old, new, &changes) {
            let mut input = pick(new, &changes);
            defaults::reset(&mut input, "AWS::DynamoDB::Table", old, new);
            input.insert("TableName".to_owned(), name.clone().into());
            at.call("dynamodb", "UpdateTable", input.into()).await?;
        }
        indexes(at, name, old, new).await?;
        let mut made = made.clone();
        if differ(old, new, &["StreamSpecification"]) {
            made.attributes = stream(at, name, old, new).await?;
        }
        apply(at, name, new).await?;
        if let (Some(ttl), None) = (old.get("TimeToLiveSpecification"), new.get("TimeToLiveSpecification"))
            && ttl.get("Enabled").is_none_or(|on| super::text(on) == "true")
        {
            let off = json!({ "AttributeName": ttl["AttributeName"], "Enabled": false });
            at.call("dynamodb", "UpdateTimeToLive", json!({ "TableName": name, "TimeToLiveSpecification": off }))
                .await?;
        }
        if old.get("PointInTimeRecoverySpecification").is_some()
            && new.get("PointInTimeRecoverySpecification").is_none()
        {
            let off = json!({ "PointInTimeRecoveryEnabled": false });
            let input = json!({ "TableName": name, "PointInTimeRecoverySpecification": off });
            at.call("dynamodb", "UpdateContinuousBackups", input).await?;
        }
        let (gone, set) = super::changed_tags(old, new);
        let arn = made.attribute("Arn");
        if !gone.is_empty() {
            at.call("dynamodb", "UntagResource", json!({ "ResourceArn": arn, "TagKeys": gone })).await?;
        }
        if !set.is_empty() {
            at.call("dynamodb", "TagResource", json!({ "ResourceArn": arn, "Tags": set })).await?;
        }
        Ok(Updated::InPlace(made))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("dynamodb", "DeleteTable", json!({ "TableName": made.physical_id })).await
    }
}

/// Deletes, changes and makes indexes, one in each call. Source: DynamoDB API Reference, UpdateTable.
async fn indexes(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    let all = |p: &Value| p["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    let same = |a: &Value, b: &Value| a["IndexName"] == b["IndexName"];
    let (old, new_indexes) = (all(old), all(new));
    let call = async |change: Value| {
        let mut input = pick(new, &["AttributeDefinitions"]);
        input.insert("TableName".to_owned(), name.into());
        input.insert("GlobalSecondaryIndexUpdates".to_owned(), json!([change]));
        at.call("dynamodb", "UpdateTable", input.into()).await.map(drop)
    };
    for index in &old {
        let kept = new_indexes.iter().find(|other| same(index, other));
        if kept.is_none_or(|kept| differ(index, kept, &["KeySchema", "Projection"])) {
            match call(json!({ "Delete": { "IndexName": index["IndexName"] } })).await {
                Err(error) if !super::is_missing(&error) => return Err(error),
                _ => {}
            }
        }
    }
    for index in &new_indexes {
        match old.iter().find(|other| same(index, other)) {
            Some(before) if !differ(before, index, &["KeySchema", "Projection"]) => {
                if differ(before, index, &["ProvisionedThroughput"]) && index.get("ProvisionedThroughput").is_some() {
                    let change = pick(index, &["IndexName", "ProvisionedThroughput"]);
                    call(json!({ "Update": change })).await?;
                }
            }
            _ => call(json!({ "Create": index })).await?,
        }
    }
    Ok(())
}

/// A stream of another kind is another stream. Answers the table's attributes.
async fn stream(at: &Context, name: &str, old: &Value, new: &Value) -> Result<Value> {
    if old.get("StreamSpecification").is_some() {
        let input = json!({ "TableName": name, "StreamSpecification": { "StreamEnabled": false } });
        at.call("dynamodb", "UpdateTable", input).await?;
    }
    if let Some(wanted) = new.get("StreamSpecification") {
        let mut wanted = wanted.clone();
        wanted["StreamEnabled"] = true.into();
        at.call("dynamodb", "UpdateTable", json!({ "TableName": name, "StreamSpecification": wanted })).await?;
    }
    let output = at.cx.as_platform().call_json("dynamodb", "describeTable", json!({ "TableName": name })).await?;
    let table = &output["Table"];
    let mut attributes = json!({ "Arn": table["TableArn"] });
    if new.get("StreamSpecification").is_some() {
        attributes["StreamArn"] = table["LatestStreamArn"].clone();
    }
    Ok(attributes)
}

/// What has operations of its own.
async fn apply(at: &Context, name: &str, properties: &Value) -> Result<()> {
    if let Some(ttl) = properties.get("TimeToLiveSpecification") {
        let input = json!({ "TableName": name, "TimeToLiveSpecification": ttl });
        at.call("dynamodb", "UpdateTimeToLive", input).await?;
    }
    if let Some(recovery) = properties.get("PointInTimeRecoverySpecification") {
        let input = json!({ "TableName": name, "PointInTimeRecoverySpecification": recovery });
        at.call("dynamodb", "UpdateContinuousBackups", input).await?;
    }
    Ok(())
}
