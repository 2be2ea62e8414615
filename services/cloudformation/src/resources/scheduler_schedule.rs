//! AWS::Scheduler::Schedule: Ref is its name; Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct Schedule;

const MEMBERS: [&str; 11] = [
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "KmsKeyArn",
    "Name",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
];

#[async_trait]
impl Kind for Schedule {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "Name", 64);
        let mut input = pick(properties, &MEMBERS);
        input.insert("Name".to_owned(), name.clone().into());
        let output = at.call("scheduler", "CreateSchedule", input.into()).await?;
        Ok(Made::new(name, json!({ "Arn": output["ScheduleArn"] })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Name", "GroupName"]) {
            return Ok(Updated::Replace);
        }
        let mut input = pick(new, &MEMBERS);
        input.insert("Name".to_owned(), made.physical_id.clone().into());
        at.call("scheduler", "UpdateSchedule", input.into()).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let group = properties.get("GroupName").map_or_else(|| "default".to_owned(), text);
        at.call_if_there("scheduler", "DeleteSchedule", json!({ "Name": made.physical_id, "GroupName": group })).await
    }
}
