//! AWS::Glue::SecurityConfiguration: Ref is its name. Glue changes none: another takes the name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, required, required_text};
use crate::Result;

pub(super) struct SecurityConfiguration;

#[async_trait]
impl Kind for SecurityConfiguration {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let name = required_text(properties, "Name")?;
        make(at, &name, properties).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        encryption(new)?;
        self.delete(at, made, old).await?;
        make(at, &made.physical_id, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("glue", "DeleteSecurityConfiguration", json!({ "Name": made.physical_id })).await
    }
}

async fn make(at: &Context, name: &str, properties: &Value) -> Result<()> {
    let input = json!({ "Name": name, "EncryptionConfiguration": encryption(properties)? });
    at.call("glue", "CreateSecurityConfiguration", input).await.map(drop)
}

/// The list of what is done in S3 has another name there.
fn encryption(properties: &Value) -> Result<Value> {
    only(properties, &["EncryptionConfiguration", "Name"])?;
    let mut encryption = required(properties, "EncryptionConfiguration")?.clone();
    only(&encryption, &["CloudWatchEncryption", "JobBookmarksEncryption", "S3Encryptions"])?;
    if let Some(list) = encryption.as_object_mut().and_then(|map| map.shift_remove("S3Encryptions")) {
        encryption["S3Encryption"] = list;
    }
    Ok(encryption)
}
