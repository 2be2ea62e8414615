//! AWS::Glue::Crawler: Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, only, pick};
use crate::Result;

pub(super) struct Crawler;

const CREATE: [&str; 12] = [
    "Classifiers",
    "Configuration",
    "CrawlerSecurityConfiguration",
    "DatabaseName",
    "Description",
    "LakeFormationConfiguration",
    "LineageConfiguration",
    "RecrawlPolicy",
    "Role",
    "SchemaChangePolicy",
    "TablePrefix",
    "Targets",
];

#[async_trait]
impl Kind for Crawler {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let name = at.name(properties, "Name", 255);
        let mut input = input(properties)?;
        input["Name"] = name.clone().into();
        input["Tags"] = at.tag_map(properties);
        at.call("glue", "CreateCrawler", input).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if old.get("Name") != new.get("Name") {
            return Ok(Updated::Replace);
        }
        let mut input = input(new)?;
        if let Value::Object(input) = &mut input {
            defaults::reset(input, "AWS::Glue::Crawler", old, new);
        }
        input["Name"] = made.physical_id.clone().into();
        at.call("glue", "UpdateCrawler", input).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("glue", "DeleteCrawler", json!({ "Name": made.physical_id })).await
    }
}

fn input(properties: &Value) -> Result<Value> {
    let mut known = CREATE.to_vec();
    known.extend(["Name", "Tags", "Schedule"]);
    only(properties, &known)?;
    let mut input = pick(properties, &CREATE);
    if let Some(schedule) = properties.get("Schedule").and_then(|s| s.get("ScheduleExpression")) {
        input.insert("Schedule".to_owned(), schedule.clone());
    }
    Ok(input.into())
}
