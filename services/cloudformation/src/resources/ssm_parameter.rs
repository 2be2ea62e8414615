//! AWS::SSM::Parameter: Ref is its name; Type, Value.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick, required, required_text};
use crate::Result;

pub(super) struct Parameter;

const MEMBERS: [&str; 9] =
    ["AllowedPattern", "DataType", "Description", "Name", "Policies", "Tags", "Tier", "Type", "Value"];

#[async_trait]
impl Kind for Parameter {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "Name", 1011);
        let mut input =
            pick(properties, &["AllowedPattern", "DataType", "Description", "Policies", "Tier", "Type", "Value"]);
        input.insert("Name".to_owned(), name.clone().into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        at.call("ssm", "PutParameter", input.into()).await?;
        Ok(Made::new(name, attributes(properties)?))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        let mut input = pick(new, &["AllowedPattern", "DataType", "Description", "Policies", "Tier", "Type", "Value"]);
        input.insert("Name".to_owned(), made.physical_id.clone().into());
        input.insert("Overwrite".to_owned(), true.into());
        defaults::reset(&mut input, "AWS::SSM::Parameter", old, new);
        at.call("ssm", "PutParameter", input.into()).await?;
        Ok(Updated::InPlace(Made::new(made.physical_id.clone(), attributes(new)?)))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("ssm", "DeleteParameter", json!({ "Name": made.physical_id })).await
    }
}

fn attributes(properties: &Value) -> Result<Value> {
    let kind = required_text(properties, "Type")?;
    Ok(json!({ "Type": kind, "Value": required(properties, "Value")? }))
}
