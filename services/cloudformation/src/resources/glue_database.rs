//! AWS::Glue::Database: Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, required, text};
use crate::Result;
use crate::template::validation;

pub(super) struct Database;

#[async_trait]
impl Kind for Database {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let (input, name) = input(at, properties)?;
        at.call("glue", "CreateDatabase", json!({ "DatabaseInput": input, "Tags": at.tag_map(properties) })).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, _: &Value, new: &Value) -> Result<Updated> {
        let (input, name) = input(at, new)?;
        if name != made.physical_id {
            return Ok(Updated::Replace);
        }
        at.call("glue", "UpdateDatabase", json!({ "Name": name, "DatabaseInput": input })).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("glue", "DeleteDatabase", json!({ "Name": made.physical_id })).await
    }
}

fn input(at: &Context, properties: &Value) -> Result<(Value, String)> {
    only(properties, &["CatalogId", "DatabaseInput", "DatabaseName", "Tags"])?;
    let mut input = required(properties, "DatabaseInput")?.clone();
    if let Some(name) = properties.get("DatabaseName").filter(|name| !name.is_null()) {
        let within = input.get("Name").filter(|name| !name.is_null());
        if within.is_some_and(|within| text(within).to_lowercase() != text(name).to_lowercase()) {
            return Err(validation("DatabaseName and the Name of DatabaseInput must be the same"));
        }
        input["Name"] = name.clone();
    }
    let name = at.name(&input, "Name", 255).to_lowercase();
    input["Name"] = name.clone().into();
    Ok((input, name))
}
