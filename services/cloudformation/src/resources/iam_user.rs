//! AWS::IAM::User: Ref is its name; Arn. Passwords are refused.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::iam_holders::{policies, strip};
use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct User;

const MEMBERS: [&str; 7] =
    ["Groups", "ManagedPolicyArns", "Path", "PermissionsBoundary", "Policies", "Tags", "UserName"];

#[async_trait]
impl Kind for User {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "UserName", 64);
        let mut input = pick(properties, &["Path", "PermissionsBoundary"]);
        input.insert("UserName".to_owned(), name.clone().into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        let output = at.call("iam", "CreateUser", input.into()).await?;
        let made = Made::new(name, json!({ "Arn": output["User"]["Arn"] }));
        at.begun(&made);
        apply(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["UserName", "Path"]) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        if differ(old, new, &["PermissionsBoundary"]) {
            match new.get("PermissionsBoundary") {
                Some(arn) => {
                    let input = json!({ "UserName": name, "PermissionsBoundary": arn });
                    at.call("iam", "PutUserPermissionsBoundary", input).await?;
                }
                None => at.call_if_there("iam", "DeleteUserPermissionsBoundary", json!({ "UserName": name })).await?,
            }
        }
        apply(at, name, old, new).await?;
        at.retag_named(("iam", "User", name), old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let name = &made.physical_id;
        if !strip(at, ("User", name)).await? {
            return Ok(());
        }
        let groups = at.call("iam", "ListGroupsForUser", json!({ "UserName": name })).await?;
        for group in groups["Groups"].as_array().into_iter().flatten() {
            let input = json!({ "UserName": name, "GroupName": group["GroupName"] });
            at.call_if_there("iam", "RemoveUserFromGroup", input).await?;
        }
        at.call_if_there("iam", "DeleteUser", json!({ "UserName": name })).await
    }
}

/// Policies and groups as they are to be.
async fn apply(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    policies(at, ("User", name), old, new).await?;
    let groups = |p: &Value| -> Vec<String> { p["Groups"].as_array().into_iter().flatten().map(text).collect() };
    for group in groups(new) {
        at.call("iam", "AddUserToGroup", json!({ "UserName": name, "GroupName": group })).await?;
    }
    for group in groups(old).into_iter().filter(|group| !groups(new).contains(group)) {
        at.call_if_there("iam", "RemoveUserFromGroup", json!({ "UserName": name, "GroupName": group })).await?;
    }
    Ok(())
}
