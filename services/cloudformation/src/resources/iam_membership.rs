//! AWS::IAM::UserToGroupAddition: users of a group. Ref and Id are a name of its own.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, required, required_text, text};
use crate::Result;

pub(super) struct UserToGroupAddition;

#[async_trait]
impl Kind for UserToGroupAddition {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let id = at.name(&Value::Null, "", 128);
        let made = Made::new(id.clone(), json!({ "Id": id }));
        add(at, properties, Some(&made)).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        add(at, new, None).await?;
        let group = required_text(old, "GroupName")?;
        let moved = group != required_text(new, "GroupName")?;
        for user in users(old).into_iter().filter(|user| moved || !users(new).contains(user)) {
            remove(at, &group, &user).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, _: &Made, properties: &Value) -> Result<()> {
        let group = required_text(properties, "GroupName")?;
        for user in users(properties) {
            remove(at, &group, &user).await?;
        }
        Ok(())
    }
}

fn users(properties: &Value) -> Vec<String> {
    properties["Users"].as_array().into_iter().flatten().map(text).collect()
}

async fn add(at: &Context, properties: &Value, begun: Option<&Made>) -> Result<()> {
    only(properties, &["GroupName", "Users"])?;
    required(properties, "Users")?;
    let group = required_text(properties, "GroupName")?;
    for user in users(properties) {
        at.call("iam", "AddUserToGroup", json!({ "GroupName": group, "UserName": user })).await?;
        if let Some(made) = begun {
            at.begun(made);
        }
    }
    Ok(())
}

async fn remove(at: &Context, group: &str, user: &str) -> Result<()> {
    at.call_if_there("iam", "RemoveUserFromGroup", json!({ "GroupName": group, "UserName": user })).await
}
