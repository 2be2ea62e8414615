//! AWS::DynamoDB::Table: Ref is its name; Arn, StreamArn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Kind, Made, Place, Updated, differ, only, pick};
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
    async fn create(&self, at: &Place, properties: &Value) -> Result<Made> {
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

    async fn update(&self, at: &Place, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["TableName", "KeySchema", "LocalSecondaryIndexes"]) {
            return Ok(Updated::Replace);
        }
        if differ(old, new, &["BillingMode", "DeletionProtectionEnabled", "ProvisionedThroughput", "TableClass"]) {
            let mut input =
                pick(new, &["BillingMode", "DeletionProtectionEnabled", "ProvisionedThroughput", "TableClass"]);
            input.insert("TableName".to_owned(), made.physical_id.clone().into());
            at.call("dynamodb", "UpdateTable", input.into()).await?;
        }
        if differ(old, new, &["GlobalSecondaryIndexes", "StreamSpecification", "SSESpecification"]) {
            return Ok(Updated::Replace);
        }
        apply(at, &made.physical_id, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Place, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("dynamodb", "DeleteTable", json!({ "TableName": made.physical_id })).await
    }
}

/// What has operations of its own.
async fn apply(at: &Place, name: &str, properties: &Value) -> Result<()> {
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
