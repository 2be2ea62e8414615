//! AWS::StepFunctions::StateMachineVersion: Ref and Arn are its ARN. A version never changes: an update makes another.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, required_text, text};
use crate::Result;

pub(super) struct StateMachineVersion;

const MEMBERS: [&str; 3] = ["Description", "StateMachineArn", "StateMachineRevisionId"];

#[async_trait]
impl Kind for StateMachineVersion {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input = json!({ "stateMachineArn": required_text(properties, "StateMachineArn")? });
        for (member, property) in [("description", "Description"), ("revisionId", "StateMachineRevisionId")] {
            if let Some(value) = properties.get(property) {
                input[member] = value.clone();
            }
        }
        let output = at.call("states", "PublishStateMachineVersion", input).await?;
        let arn = text(&output["StateMachineVersionArn"]);
        Ok(Made::new(arn.clone(), json!({ "Arn": arn })))
    }

    async fn update(&self, _: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        Ok(if differ(old, new, &MEMBERS) { Updated::Replace } else { Updated::InPlace(made.clone()) })
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let input = json!({ "stateMachineVersionArn": made.physical_id });
        at.call_if_there("states", "DeleteStateMachineVersion", input).await
    }
}
