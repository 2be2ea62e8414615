//! AWS::IAM::Role: Ref is its name; Arn, RoleId.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Kind, Made, Place, Updated, differ, document, only, pick, required, text};
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
    async fn create(&self, at: &Place, properties: &Value) -> Result<Made> {
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
        policies(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Place, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
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
            input.insert("RoleName".to_owned(), name.clone().into());
            at.call("iam", "UpdateRole", input.into()).await?;
        }
        policies(at, name, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Place, made: &Made, _: &Value) -> Result<()> {
        let role = json!({ "RoleName": made.physical_id });
        let attached = match at.call("iam", "ListAttachedRolePolicies", role.clone()).await {
            Err(error) if super::is_missing(&error) => return Ok(()),
            output => output?,
        };
        for policy in attached["AttachedPolicies"].as_array().into_iter().flatten() {
            let input = json!({ "RoleName": made.physical_id, "PolicyArn": policy["PolicyArn"] });
            at.call_if_there("iam", "DetachRolePolicy", input).await?;
        }
        let inline = at.call("iam", "ListRolePolicies", role.clone()).await?;
        for policy in inline["PolicyNames"].as_array().into_iter().flatten() {
            let input = json!({ "RoleName": made.physical_id, "PolicyName": policy });
            at.call_if_there("iam", "DeleteRolePolicy", input).await?;
        }
        at.call_if_there("iam", "DeleteRole", role).await
    }
}

/// Puts and attaches what is new; removes what is not there any more.
async fn policies(at: &Place, role: &str, old: &Value, new: &Value) -> Result<()> {
    let inline = |p: &Value| -> Vec<(String, String)> {
        let all = p["Policies"].as_array().into_iter().flatten();
        all.map(|p| (text(&p["PolicyName"]), document(&p["PolicyDocument"]))).collect()
    };
    let managed =
        |p: &Value| -> Vec<String> { p["ManagedPolicyArns"].as_array().into_iter().flatten().map(text).collect() };
    for (name, document) in inline(new) {
        let input = json!({ "RoleName": role, "PolicyName": name, "PolicyDocument": document });
        at.call("iam", "PutRolePolicy", input).await?;
    }
    for (name, _) in inline(old).iter().filter(|(n, _)| !inline(new).iter().any(|(m, _)| m == n)) {
        at.call_if_there("iam", "DeleteRolePolicy", json!({ "RoleName": role, "PolicyName": name })).await?;
    }
    for arn in managed(new) {
        at.call("iam", "AttachRolePolicy", json!({ "RoleName": role, "PolicyArn": arn })).await?;
    }
    for arn in managed(old).into_iter().filter(|a| !managed(new).contains(a)) {
        at.call_if_there("iam", "DetachRolePolicy", json!({ "RoleName": role, "PolicyArn": arn })).await?;
    }
    Ok(())
}
