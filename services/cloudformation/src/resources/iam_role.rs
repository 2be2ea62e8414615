//! AWS::IAM::Role: Ref is its name; Arn, RoleId.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::iam_holders::{policies, strip};
use super::{Context, Kind, Made, Updated, defaults, differ, document, only, pick, required};
use crate::Result;

pub(super) struct Role;

const MEMBERS: [&str; 9] = [
    "AssumeRolePolicyDocument",
    "Description",
    "ManagedPolicyArns",
    "MaxSessionDuration",
    "Path",
    "PermissionsBoundary",
    "Policies",
    "RoleName",
    "Tags",
];

#[async_trait]
impl Kind for Role {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "RoleName", 64);
        let mut input = pick(properties, &["Description", "MaxSessionDuration", "Path", "PermissionsBoundary"]);
        input.insert("RoleName".to_owned(), name.clone().into());
        let trust = document(required(properties, "AssumeRolePolicyDocument")?);
        input.insert("AssumeRolePolicyDocument".to_owned(), trust.into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        let output = at.call("iam", "CreateRole", input.into()).await?;
        let role = &output["Role"];
        let made = Made::new(name, json!({ "Arn": role["Arn"], "RoleId": role["RoleId"] }));
        at.begun(&made);
        policies(at, ("Role", &made.physical_id), &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["RoleName", "Path"]) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        if differ(old, new, &["AssumeRolePolicyDocument"]) {
            let trust = document(required(new, "AssumeRolePolicyDocument")?);
            at.call("iam", "UpdateAssumeRolePolicy", json!({ "RoleName": name, "PolicyDocument": trust })).await?;
        }
        if differ(old, new, &["Description", "MaxSessionDuration"]) {
            let mut input = pick(new, &["Description", "MaxSessionDuration"]);
            defaults::reset(&mut input, "AWS::IAM::Role", old, new);
            input.insert("RoleName".to_owned(), name.clone().into());
            at.call("iam", "UpdateRole", input.into()).await?;
        }
        if differ(old, new, &["PermissionsBoundary"]) {
            match new.get("PermissionsBoundary") {
                Some(arn) => {
                    let input = json!({ "RoleName": name, "PermissionsBoundary": arn });
                    at.call("iam", "PutRolePermissionsBoundary", input).await?;
                }
                None => at.call_if_there("iam", "DeleteRolePermissionsBoundary", json!({ "RoleName": name })).await?,
            }
        }
        policies(at, ("Role", name), old, new).await?;
        at.retag_named(("iam", "Role", name), old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        if !strip(at, ("Role", &made.physical_id)).await? {
            return Ok(());
        }
        at.call_if_there("iam", "DeleteRole", json!({ "RoleName": made.physical_id })).await
    }
}
