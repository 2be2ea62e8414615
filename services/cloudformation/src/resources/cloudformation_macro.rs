//! AWS::CloudFormation::Macro: Ref is its name. What it does: [`crate::macros`].

use async_trait::async_trait;
use serde_json::{Value, json};
use wire::Error;

use super::{Context, Kind, Made, Updated, differ, only, required_text};
use crate::macros::MacroRecord;
use crate::template::validation;
use crate::{Result, records};

pub(super) struct Macro;

/// Source: Template Reference, `Name`: those of AWS are not to be had.
const RESERVED: [&str; 2] = ["AWS::", "Fn::"];

#[async_trait]
impl Kind for Macro {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let record = record(at, properties)?;
        let place = records::macros(at.cx.account(), at.cx.region()).push(&record.name);
        let name = record.name.clone();
        at.cx
            .write(&at.store, move |tx| {
                if tx.has(&place)? {
                    return Err(validation(format!("Transform {} already exists", record.name)));
                }
                Ok::<_, Error>(tx.put_json(&place, &record)?)
            })
            .await?;
        Ok(Made::new(name.clone(), json!({ "Id": name })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        let record = record(at, new)?;
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        let place = records::macros(at.cx.account(), at.cx.region()).push(&record.name);
        at.cx.write(&at.store, move |tx| Ok::<_, Error>(tx.put_json(&place, &record)?)).await?;
        at.touch();
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let place = records::macros(at.cx.account(), at.cx.region()).push(&made.physical_id);
        let owner = owner(at);
        at.cx
            .write(&at.store, move |tx| {
                let found: Option<MacroRecord> = tx.get_json(&place)?;
                if found.is_some_and(|found| found.owner == owner) {
                    tx.delete(&place)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

fn owner(at: &Context) -> (String, String) {
    (at.stack_id.clone(), at.logical_id.clone())
}

fn record(at: &Context, properties: &Value) -> Result<MacroRecord> {
    only(properties, &["Description", "FunctionName", "Name"])?;
    let name = required_text(properties, "Name")?;
    if RESERVED.iter().any(|of_aws| name.starts_with(of_aws)) {
        return Err(validation(format!("Transform name {name} is reserved")));
    }
    let function = required_text(properties, "FunctionName")?;
    Ok(MacroRecord { v: records::VERSION, name, function, owner: owner(at) })
}
