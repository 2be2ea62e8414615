//! AWS::IAM::InstanceProfile: Ref is its name; Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct InstanceProfile;

const MEMBERS: [&str; 3] = ["InstanceProfileName", "Path", "Roles"];

#[async_trait]
impl Kind for InstanceProfile {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "InstanceProfileName", 128);
        let mut input = pick(properties, &["Path"]);
        input.insert("InstanceProfileName".to_owned(), name.clone().into());
        let output = at.call("iam", "CreateInstanceProfile", input.into()).await?;
        let made = Made::new(name, json!({ "Arn": output["InstanceProfile"]["Arn"] }));
        at.begun(&made);
        roles(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["InstanceProfileName", "Path"]) {
            return Ok(Updated::Replace);
        }
        roles(at, &made.physical_id, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let name = json!({ "InstanceProfileName": made.physical_id });
        let found = match at.call("iam", "GetInstanceProfile", name.clone()).await {
            Err(error) if super::is_missing(&error) => return Ok(()),
            output => output?,
        };
        for role in found["InstanceProfile"]["Roles"].as_array().into_iter().flatten() {
            let input = json!({ "InstanceProfileName": made.physical_id, "RoleName": role["RoleName"] });
            at.call_if_there("iam", "RemoveRoleFromInstanceProfile", input).await?;
        }
        at.call_if_there("iam", "DeleteInstanceProfile", name).await
    }
}

/// A profile has one role: the old one goes first.
async fn roles(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    let roles = |p: &Value| -> Vec<String> { p["Roles"].as_array().into_iter().flatten().map(text).collect() };
    for role in roles(old).into_iter().filter(|role| !roles(new).contains(role)) {
        let input = json!({ "InstanceProfileName": name, "RoleName": role });
        at.call_if_there("iam", "RemoveRoleFromInstanceProfile", input).await?;
    }
    for role in roles(new).into_iter().filter(|role| !roles(old).contains(role)) {
        at.call("iam", "AddRoleToInstanceProfile", json!({ "InstanceProfileName": name, "RoleName": role })).await?;
    }
    Ok(())
}
