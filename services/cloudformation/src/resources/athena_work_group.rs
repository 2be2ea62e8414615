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
        let before = old.get("WorkGroupConfiguration").unwrap_or(&Value::Null);
        let results =
            updates.as_object_mut().and_then(|u| u.remove("ResultConfiguration")).unwrap_or_else(|| json!({}));
        let results = without(&before["ResultConfiguration"], results, &RESULTS);
        if results != json!({}) {
            updates["ResultConfigurationUpdates"] = results;
        }
        let mut updates =
            without(before, updates, &[("BytesScannedCutoffPerQuery", "RemoveBytesScannedCutoffPerQuery")]);
        for (member, default) in [("EnforceWorkGroupConfiguration", true), ("PublishCloudWatchMetricsEnabled", true)] {
            if before.get(member).is_some() && updates.get(member).is_none() {
                updates[member] = default.into();
            }
        }
        if before.get("RequesterPaysEnabled").is_some() && updates.get("RequesterPaysEnabled").is_none() {
            updates["RequesterPaysEnabled"] = false.into();
        }
        if old.get("Description").is_some() && new.get("Description").is_none() {
            input.insert("Description".to_owned(), "".into());
        }
        if old.get("State").is_some() && new.get("State").is_none() {
            input.insert("State".to_owned(), "ENABLED".into());
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

/// What of a result's configuration an update takes away, and by which member.
const RESULTS: [(&str, &str); 4] = [
    ("AclConfiguration", "RemoveAclConfiguration"),
    ("EncryptionConfiguration", "RemoveEncryptionConfiguration"),
    ("ExpectedBucketOwner", "RemoveExpectedBucketOwner"),
    ("OutputLocation", "RemoveOutputLocation"),
];

/// The updates, with the removal of what the old configuration has and the new has not.
fn without(old: &Value, mut updates: Value, removals: &[(&str, &str)]) -> Value {
    for (member, removal) in removals {
        if old.get(member).is_some_and(|value| !value.is_null()) && updates.get(member).is_none() {
            updates[*removal] = true.into();
        }
    }
    updates
}
