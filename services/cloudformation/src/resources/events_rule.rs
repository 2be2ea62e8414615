//! AWS::Events::Rule: Ref is its name (with the bus where that is not the default one); Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct Rule;

const MEMBERS: [&str; 9] = [
    "Description",
    "EventBusName",
    "EventPattern",
    "Name",
    "RoleArn",
    "ScheduleExpression",
    "State",
    "Tags",
    "Targets",
];

#[async_trait]
impl Kind for Rule {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "Name", 64);
        let made = put(at, &name, properties, Some(at.tag_list(properties))).await?;
        at.begun(&made);
        targets(at, &name, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Name", "EventBusName"]) {
            return Ok(Updated::Replace);
        }
        let name = rule_name(made);
        let made = put(at, &name, new, None).await?;
        targets(at, &name, old, new).await?;
        Ok(Updated::InPlace(made))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let name = rule_name(made);
        let ids = ids(properties);
        let bus = bus(properties);
        if !ids.is_empty() {
            let input = json!({ "Rule": name, "EventBusName": bus, "Ids": ids });
            at.call_if_there("events", "RemoveTargets", input).await?;
        }
        at.call_if_there("events", "DeleteRule", json!({ "Name": name, "EventBusName": bus })).await
    }
}

/// Tags are taken by a new rule only; those of one that is there are changed by operations of their own.
async fn put(at: &Context, name: &str, properties: &Value, tags: Option<Value>) -> Result<Made> {
    let mut input = pick(properties, &["Description", "RoleArn", "ScheduleExpression", "State"]);
    if let Some(pattern) = properties.get("EventPattern") {
        input.insert("EventPattern".to_owned(), super::document(pattern).into());
    }
    if let Some(tags) = tags.filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty())) {
        input.insert("Tags".to_owned(), tags);
    }
    let bus = bus(properties);
    input.insert("Name".to_owned(), name.into());
    input.insert("EventBusName".to_owned(), bus.clone().into());
    let output = at.call("events", "PutRule", input.into()).await?;
    let id = if bus == "default" { name.to_owned() } else { format!("{bus}|{name}") };
    Ok(Made::new(id, json!({ "Arn": output["RuleArn"] })))
}

/// Puts the new targets and removes the old ones that are not among them.
async fn targets(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    let bus = bus(new);
    let gone: Vec<String> = ids(old).into_iter().filter(|id| !ids(new).contains(id)).collect();
    if !gone.is_empty() {
        at.call("events", "RemoveTargets", json!({ "Rule": name, "EventBusName": bus, "Ids": gone })).await?;
    }
    let Some(list) = new.get("Targets").and_then(Value::as_array).filter(|t| !t.is_empty()) else { return Ok(()) };
    let output = at.call("events", "PutTargets", json!({ "Rule": name, "EventBusName": bus, "Targets": list })).await?;
    match output["FailedEntries"].get(0) {
        None => Ok(()),
        Some(failed) => Err(crate::template::validation(format!(
            "Target {} was not taken: {}",
            text(&failed["TargetId"]),
            text(&failed["ErrorMessage"])
        ))),
    }
}

fn ids(properties: &Value) -> Vec<String> {
    properties["Targets"].as_array().into_iter().flatten().map(|t| text(&t["Id"])).collect()
}

fn bus(properties: &Value) -> String {
    properties.get("EventBusName").map_or_else(|| "default".to_owned(), text)
}

fn rule_name(made: &Made) -> String {
    made.physical_id.rsplit('|').next().unwrap_or_default().to_owned()
}
