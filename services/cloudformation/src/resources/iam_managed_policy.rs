//! AWS::IAM::ManagedPolicy: Ref is its ARN.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::iam_holders::{listed, with};
use super::{Context, Kind, Made, Updated, differ, document, only, pick, required, text};
use crate::Result;

pub(super) struct ManagedPolicy;

const MEMBERS: [&str; 7] = ["Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"];

#[async_trait]
impl Kind for ManagedPolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input = pick(properties, &["Description", "Path"]);
        input.insert("PolicyName".to_owned(), at.name(properties, "ManagedPolicyName", 128).into());
        input.insert("PolicyDocument".to_owned(), document(required(properties, "PolicyDocument")?).into());
        let output = at.call("iam", "CreatePolicy", input.into()).await?;
        let arn = text(&output["Policy"]["Arn"]);
        let made = Made::new(arn.clone(), json!({ "PolicyArn": arn }));
        at.begun(&made);
        for (what, holder) in listed(properties) {
            with(at, "Attach", (what, &holder), json!({ "PolicyArn": arn })).await?;
        }
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["ManagedPolicyName", "Path", "Description"]) {
            return Ok(Updated::Replace);
        }
        let arn = &made.physical_id;
        if differ(old, new, &["PolicyDocument"]) {
            make_room(at, arn).await?;
            let text = document(required(new, "PolicyDocument")?);
            let input = json!({ "PolicyArn": arn, "PolicyDocument": text, "SetAsDefault": true });
            at.call("iam", "CreatePolicyVersion", input).await?;
        }
        for (what, holder) in listed(new) {
            with(at, "Attach", (what, &holder), json!({ "PolicyArn": arn })).await?;
        }
        for (what, holder) in listed(old).into_iter().filter(|one| !listed(new).contains(one)) {
            with(at, "Detach", (what, &holder), json!({ "PolicyArn": arn })).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let arn = &made.physical_id;
        for (what, holder) in listed(properties) {
            with(at, "Detach", (what, &holder), json!({ "PolicyArn": arn })).await?;
        }
        for version in old_versions(at, arn).await? {
            at.call_if_there("iam", "DeletePolicyVersion", json!({ "PolicyArn": arn, "VersionId": version })).await?;
        }
        at.call_if_there("iam", "DeletePolicy", json!({ "PolicyArn": arn })).await
    }
}

/// A policy has at most five versions: the oldest goes.
async fn make_room(at: &Context, arn: &str) -> Result<()> {
    let versions = old_versions(at, arn).await?;
    match versions.last() {
        Some(oldest) if versions.len() >= 4 => {
            let input = json!({ "PolicyArn": arn, "VersionId": oldest });
            at.call_if_there("iam", "DeletePolicyVersion", input).await
        }
        _ => Ok(()),
    }
}

/// All but the default one, the newest first.
async fn old_versions(at: &Context, arn: &str) -> Result<Vec<String>> {
    let output = match at.call("iam", "ListPolicyVersions", json!({ "PolicyArn": arn })).await {
        Err(error) if super::is_missing(&error) => return Ok(Vec::new()),
        output => output?,
    };
    let versions = output["Versions"].as_array().into_iter().flatten();
    Ok(versions.filter(|v| v["IsDefaultVersion"] != true).map(|v| text(&v["VersionId"])).collect())
}
