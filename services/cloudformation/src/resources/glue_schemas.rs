//! AWS::Glue::Registry and AWS::Glue::Schema: Ref and Arn are their ARNs; InitialSchemaVersionId of a schema.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, required_text, text};
use crate::Result;

pub(super) struct Registry;
pub(super) struct Schema;

const OF_SCHEMA: [&str; 8] =
    ["CheckpointVersion", "Compatibility", "DataFormat", "Description", "Name", "Registry", "SchemaDefinition", "Tags"];

#[async_trait]
impl Kind for Registry {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["Description", "Name", "Tags"])?;
        let mut input = pick(properties, &["Description"]);
        input.insert("RegistryName".to_owned(), required_text(properties, "Name")?.into());
        input.insert("Tags".to_owned(), at.tag_map(properties));
        let output = at.call("glue", "CreateRegistry", input.into()).await?;
        Ok(Made::new(text(&output["RegistryArn"]), json!({ "Arn": output["RegistryArn"] })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &["Description", "Name", "Tags"])?;
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        let description = new.get("Description").map(text).unwrap_or_default();
        let input = json!({ "RegistryId": { "RegistryArn": made.physical_id }, "Description": description });
        at.call("glue", "UpdateRegistry", input).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let input = json!({ "RegistryId": { "RegistryArn": made.physical_id } });
        at.call_if_there("glue", "DeleteRegistry", input).await
    }
}

#[async_trait]
impl Kind for Schema {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &OF_SCHEMA)?;
        let mut input = pick(properties, &["Compatibility", "DataFormat", "Description", "SchemaDefinition"]);
        input.insert("SchemaName".to_owned(), required_text(properties, "Name")?.into());
        input.insert("Tags".to_owned(), at.tag_map(properties));
        if let Some(registry) = properties.get("Registry") {
            only(registry, &["Arn", "Name"])?;
            let names = [("Arn", "RegistryArn"), ("Name", "RegistryName")];
            let given = names.into_iter().filter_map(|(from, to)| Some((to.to_owned(), registry.get(from)?.clone())));
            input.insert("RegistryId".to_owned(), Value::Object(given.collect()));
        }
        let output = at.call("glue", "CreateSchema", input.into()).await?;
        let attributes = json!({ "Arn": output["SchemaArn"], "InitialSchemaVersionId": output["SchemaVersionId"] });
        let made = Made::new(text(&output["SchemaArn"]), attributes);
        at.begun(&made);
        if properties.get("CheckpointVersion").is_some() {
            change(at, &made, &pick(properties, &["CheckpointVersion"]).into()).await?;
        }
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &OF_SCHEMA)?;
        if differ(old, new, &["DataFormat", "Name", "Registry", "SchemaDefinition"]) {
            return Ok(Updated::Replace);
        }
        let mut changed = pick(new, &["CheckpointVersion", "Compatibility", "Description"]);
        changed.retain(|name, _| differ(old, new, &[name.as_str()]));
        if old.get("Description").is_some() && new.get("Description").is_none() {
            changed.insert("Description".to_owned(), "".into());
        }
        if !changed.is_empty() {
            change(at, made, &changed.into()).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("glue", "DeleteSchema", json!({ "SchemaId": { "SchemaArn": made.physical_id } })).await
    }
}

/// Another compatibility needs the version from which on it is held to: the checkpoint that there is, unless another is given.
async fn change(at: &Context, made: &Made, changed: &Value) -> Result<()> {
    let schema = json!({ "SchemaArn": made.physical_id });
    let mut input = pick(changed, &["Compatibility", "Description"]);
    if let Some(version) = changed.get("CheckpointVersion") {
        only(version, &["IsLatest", "VersionNumber"])?;
        let number = match version.get("VersionNumber") {
            Some(number) => json!({ "VersionNumber": number }),
            None => json!({ "LatestVersion": version.get("IsLatest") }),
        };
        input.insert("SchemaVersionNumber".to_owned(), number);
    } else if changed.get("Compatibility").is_some() {
        let found = at.look("glue", "getSchema", json!({ "SchemaId": schema })).await?;
        let number = json!({ "VersionNumber": found["SchemaCheckpoint"] });
        input.insert("SchemaVersionNumber".to_owned(), number);
    }
    input.insert("SchemaId".to_owned(), schema);
    at.call("glue", "UpdateSchema", input.into()).await.map(drop)
}
