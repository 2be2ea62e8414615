//! AWS::IAM::Policy: an inline policy of roles, users and groups. Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::iam_holders::{listed, with};
use super::{Context, Kind, Made, Updated, document, only, required, required_text};
use crate::Result;

pub(super) struct Policy;

const MEMBERS: [&str; 5] = ["Groups", "PolicyDocument", "PolicyName", "Roles", "Users"];

#[async_trait]
impl Kind for Policy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let name = put(at, properties).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Context, _: &Made, old: &Value, new: &Value) -> Result<Updated> {
        let name = put(at, new).await?;
        let was = required_text(old, "PolicyName")?;
        for (what, holder) in listed(old).into_iter().filter(|one| was != name || !listed(new).contains(one)) {
            with(at, "Delete", (what, &holder), json!({ "PolicyName": was })).await?;
        }
        Ok(Updated::InPlace(Made::new(name, json!({}))))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        for (what, holder) in listed(properties) {
            with(at, "Delete", (what, &holder), json!({ "PolicyName": made.physical_id })).await?;
        }
        Ok(())
    }
}

async fn put(at: &Context, properties: &Value) -> Result<String> {
    only(properties, &MEMBERS)?;
    let name = required_text(properties, "PolicyName")?;
    let document = document(required(properties, "PolicyDocument")?);
    for (what, holder) in listed(properties) {
        with(at, "Put", (what, &holder), json!({ "PolicyName": name, "PolicyDocument": document })).await?;
        at.begun(&Made::new(name.clone(), json!({})));
    }
    Ok(name)
}
