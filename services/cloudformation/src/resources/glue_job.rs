//! AWS::Glue::Job: Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, pick};
use crate::Result;

pub(super) struct Job;

pub(super) const CREATE: [&str; 20] = [
    "AllocatedCapacity",
    "Command",
    "Connections",
    "DefaultArguments",
    "Description",
    "ExecutionClass",
    "ExecutionProperty",
    "GlueVersion",
    "JobMode",
    "JobRunQueuingEnabled",
    "LogUri",
    "MaintenanceWindow",
    "MaxCapacity",
    "MaxRetries",
    "NonOverridableArguments",
    "NotificationProperty",
    "NumberOfWorkers",
    "Role",
    "SecurityConfiguration",
    "Timeout",
];

#[async_trait]
impl Kind for Job {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let name = at.name(properties, "Name", 255);
        let mut input = input(properties)?;
        input["Name"] = name.clone().into();
        input["Tags"] = at.tag_map(properties);
        at.call("glue", "CreateJob", input).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if old.get("Name") != new.get("Name") {
            return Ok(Updated::Replace);
        }
        let update = input(new)?;
        at.call("glue", "UpdateJob", json!({ "JobName": made.physical_id, "JobUpdate": update })).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("glue", "DeleteJob", json!({ "JobName": made.physical_id })).await
    }
}

fn input(properties: &Value) -> Result<Value> {
    let mut known = CREATE.to_vec();
    known.extend(["Name", "Tags", "WorkerType"]);
    only(properties, &known)?;
    let mut input = pick(properties, &CREATE);
    input.extend(pick(properties, &["WorkerType"]));
    Ok(input.into())
}
