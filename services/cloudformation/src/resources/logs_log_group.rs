//! AWS::Logs::LogGroup: Ref is its name; Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only};
use crate::Result;

pub(super) struct LogGroup;

const MEMBERS: [&str; 5] = ["KmsKeyId", "LogGroupClass", "LogGroupName", "RetentionInDays", "Tags"];

#[async_trait]
impl Kind for LogGroup {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "LogGroupName", 512);
        let mut input = json!({ "logGroupName": name, "tags": at.tag_map(properties) });
        for (property, member) in [("KmsKeyId", "kmsKeyId"), ("LogGroupClass", "logGroupClass")] {
            if let Some(value) = properties.get(property) {
                input[member] = value.clone();
            }
        }
        at.call("logs", "CreateLogGroup", input).await?;
        let arn = at.arn("logs", format!("log-group:{name}:*"));
        let made = Made::new(name, json!({ "Arn": arn }));
        at.begun(&made);
        retention(at, &made.physical_id, properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["LogGroupName", "LogGroupClass"]) {
            return Ok(Updated::Replace);
        }
        if differ(old, new, &["KmsKeyId"]) {
            key(at, &made.physical_id, new).await?;
        }
        retention(at, &made.physical_id, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("logs", "DeleteLogGroup", json!({ "logGroupName": made.physical_id })).await
    }
}

/// What its new events are encrypted with, from now on.
async fn key(at: &Context, name: &str, properties: &Value) -> Result<()> {
    let (operation, input) = match properties.get("KmsKeyId") {
        Some(key) => ("AssociateKmsKey", json!({ "logGroupName": name, "kmsKeyId": key })),
        None => ("DisassociateKmsKey", json!({ "logGroupName": name })),
    };
    at.call("logs", operation, input).await.map(|_| ())
}

async fn retention(at: &Context, name: &str, properties: &Value) -> Result<()> {
    match properties.get("RetentionInDays") {
        Some(days) => {
            let input = json!({ "logGroupName": name, "retentionInDays": days });
            at.call("logs", "PutRetentionPolicy", input).await.map(|_| ())
        }
        None => at.call_if_there("logs", "DeleteRetentionPolicy", json!({ "logGroupName": name })).await,
    }
}
