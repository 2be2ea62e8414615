//! AWS::StepFunctions::Activity: Ref and Arn are its ARN; Name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::states_state_machine::{lower, retag, tags};
use super::{Context, Kind, Made, Updated, differ, only, required_text, text};
use crate::Result;

pub(super) struct Activity;

#[async_trait]
impl Kind for Activity {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["EncryptionConfiguration", "Name", "Tags"])?;
        let name = required_text(properties, "Name")?;
        let mut input = json!({ "name": name, "tags": tags(at, properties) });
        if let Some(encryption) = properties.get("EncryptionConfiguration") {
            input["encryptionConfiguration"] = lower(encryption);
        }
        let output = at.call("states", "CreateActivity", input).await?;
        let arn = text(&output["ActivityArn"]);
        Ok(Made::new(arn.clone(), json!({ "Arn": arn, "Name": name })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &["EncryptionConfiguration", "Name", "Tags"])?;
        if differ(old, new, &["EncryptionConfiguration", "Name"]) {
            return Ok(Updated::Replace);
        }
        retag(at, &made.physical_id, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("states", "DeleteActivity", json!({ "activityArn": made.physical_id })).await
    }
}
