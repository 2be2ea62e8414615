//! AWS::Glue::Table: Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, required, required_text};
use crate::Result;

pub(super) struct Table;

#[async_trait]
impl Kind for Table {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let (database, input, name) = input(at, properties)?;
        at.call("glue", "CreateTable", json!({ "DatabaseName": database, "TableInput": input })).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        let (database, input, name) = input(at, new)?;
        if name != made.physical_id || differ(old, new, &["DatabaseName"]) {
            return Ok(Updated::Replace);
        }
        at.call("glue", "UpdateTable", json!({ "DatabaseName": database, "TableInput": input })).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let database = required_text(properties, "DatabaseName")?;
        at.call_if_there("glue", "DeleteTable", json!({ "DatabaseName": database, "Name": made.physical_id })).await
    }
}

fn input(at: &Context, properties: &Value) -> Result<(String, Value, String)> {
    only(properties, &["CatalogId", "DatabaseName", "TableInput"])?;
    let database = required_text(properties, "DatabaseName")?;
    let mut input = required(properties, "TableInput")?.clone();
    let name = at.name(&input, "Name", 255).to_lowercase();
    input["Name"] = name.clone().into();
    Ok((database, input, name))
}
