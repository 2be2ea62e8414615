//! AWS::Glue::Classifier: Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only};
use crate::Result;

pub(super) struct Classifier;

const MEMBERS: [&str; 4] = ["CsvClassifier", "GrokClassifier", "JsonClassifier", "XMLClassifier"];

#[async_trait]
impl Kind for Classifier {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let (input, name) = input(at, properties)?;
        at.call("glue", "CreateClassifier", input).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        let (mut input, name) = input(at, new)?;
        if name != made.physical_id {
            return Ok(Updated::Replace);
        }
        for (kind, member, default) in defaults() {
            if old[kind].get(member).is_some()
                && let Some(Value::Object(body)) = input.get_mut(kind)
            {
                body.entry(member).or_insert(default);
            }
        }
        at.call("glue", "UpdateClassifier", input).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("glue", "DeleteClassifier", json!({ "Name": made.physical_id })).await
    }
}

/// What a classifier reads by where nothing is said. Source: Glue API reference, CreateCsvClassifierRequest.
fn defaults() -> [(&'static str, &'static str, Value); 7] {
    [
        ("CsvClassifier", "AllowSingleColumn", false.into()),
        ("CsvClassifier", "ContainsHeader", "UNKNOWN".into()),
        ("CsvClassifier", "Delimiter", ",".into()),
        ("CsvClassifier", "DisableValueTrimming", false.into()),
        ("CsvClassifier", "Header", json!([])),
        ("CsvClassifier", "QuoteSymbol", "\"".into()),
        ("GrokClassifier", "CustomPatterns", "".into()),
    ]
}

/// The classifier with its name, which is inside its one member.
fn input(at: &Context, properties: &Value) -> Result<(Value, String)> {
    only(properties, &MEMBERS)?;
    let member = MEMBERS.into_iter().find(|m| properties.get(m).is_some()).unwrap_or("CsvClassifier");
    let mut body = super::required(properties, member)?.clone();
    let name = at.name(&body, "Name", 255);
    body["Name"] = name.clone().into();
    Ok((json!({ member: body }), name))
}
