//! AWS::Athena::WorkGroup: Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, pick, required_text};
use crate::Result;

pub(super) struct WorkGroup;

const MEMBERS: [&str; 7] = [
    "Description",
    "Name",
    "RecursiveDeleteOption",
    "State",
    "Tags",
    "WorkGroupConfiguration",
    "WorkGroupConfigurationUpdates",
];

#[async_trait]
impl Kind for WorkGroup {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = required_text(properties, "Name")?;
        let mut input = pick(properties, &["Name", "Description"]);
        if let Some(configuration) = properties.get("WorkGroupConfiguration") {
            input.insert("Configuration".to_owned(), configuration.clone());
        }
        input.insert("Tags".to_owned(), at.tag_list(properties));
        at.call("athena", "CreateWorkGroup", input.into()).await?;
        at.begun(&Made::new(name.clone(), json!({})));
        if properties.get("State").is_some_and(|s| s == "DISABLED") {
            at.call("athena", "UpdateWorkGroup", json!({ "WorkGroup": name, "State": "DISABLED" })).await?;
        }
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if old.get("Name") != new.get("Name") {
            return Ok(Updated::Replace);
        }
        let mut input = pick(new, &["Description", "State"]);
        input.insert("WorkGroup".to_owned(), made.physical_id.clone().into());
        let mut updates = new.get("WorkGroupConfiguration").cloned().unwrap_or_else(|| json!({}));
        if let Some(results) = updates.as_object_mut().and_then(|u| u.remove("ResultConfiguration")) {
            updates["ResultConfigurationUpdates"] = results;
        }
        input.insert("ConfigurationUpdates".to_owned(), updates);
        at.call("athena", "UpdateWorkGroup", input.into()).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let recursive = properties.get("RecursiveDeleteOption").cloned().unwrap_or(Value::Bool(false));
        let input = json!({ "WorkGroup": made.physical_id, "RecursiveDeleteOption": recursive });
        at.call_if_there("athena", "DeleteWorkGroup", input).await
    }
}
