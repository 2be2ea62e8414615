//! AWS::IAM::Group: Ref is its name; Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::iam_holders::{policies, strip};
use super::{Context, Kind, Made, Updated, differ, only, pick};
use crate::Result;

pub(super) struct Group;

const MEMBERS: [&str; 4] = ["GroupName", "ManagedPolicyArns", "Path", "Policies"];

#[async_trait]
impl Kind for Group {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "GroupName", 128);
        let mut input = pick(properties, &["Path"]);
        input.insert("GroupName".to_owned(), name.clone().into());
        let output = at.call("iam", "CreateGroup", input.into()).await?;
        let made = Made::new(name, json!({ "Arn": output["Group"]["Arn"] }));
        at.begun(&made);
        policies(at, ("Group", &made.physical_id), &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["GroupName", "Path"]) {
            return Ok(Updated::Replace);
        }
        policies(at, ("Group", &made.physical_id), old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        if !strip(at, ("Group", &made.physical_id)).await? {
            return Ok(());
        }
        at.call_if_there("iam", "DeleteGroup", json!({ "GroupName": made.physical_id })).await
    }
}
