//! AWS::IAM::Policy: an inline policy of roles. Ref is its name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Kind, Made, Place, Updated, document, only, required, required_text, text};
use crate::Result;

pub(super) struct Policy;

const MEMBERS: [&str; 5] = ["Groups", "PolicyDocument", "PolicyName", "Roles", "Users"];

#[async_trait]
impl Kind for Policy {
    async fn create(&self, at: &Place, properties: &Value) -> Result<Made> {
        let name = put(at, properties).await?;
        Ok(Made::new(name, json!({})))
    }

    async fn update(&self, at: &Place, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        let name = put(at, new).await?;
        let renamed = name != made.physical_id;
        for role in roles(old).into_iter().filter(|r| renamed || !roles(new).contains(r)) {
            let input = json!({ "RoleName": role, "PolicyName": made.physical_id });
            at.call_if_there("iam", "DeleteRolePolicy", input).await?;
        }
        Ok(Updated::InPlace(Made::new(name, json!({}))))
    }

    async fn delete(&self, at: &Place, made: &Made, properties: &Value) -> Result<()> {
        for role in roles(properties) {
            let input = json!({ "RoleName": role, "PolicyName": made.physical_id });
            at.call_if_there("iam", "DeleteRolePolicy", input).await?;
        }
        Ok(())
    }
}

async fn put(at: &Place, properties: &Value) -> Result<String> {
    only(properties, &MEMBERS)?;
    let name = required_text(properties, "PolicyName")?;
    let document = document(required(properties, "PolicyDocument")?);
    for role in roles(properties) {
        let input = json!({ "RoleName": role, "PolicyName": name, "PolicyDocument": document });
        at.call("iam", "PutRolePolicy", input).await?;
        at.begun(&Made::new(name.clone(), json!({})));
    }
    Ok(name)
}

fn roles(properties: &Value) -> Vec<String> {
    properties["Roles"].as_array().into_iter().flatten().map(text).collect()
}
