//! AWS::IAM::AccessKey: Ref is its id; SecretAccessKey.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, required, required_text, text};
use crate::Result;

pub(super) struct AccessKey;

const MEMBERS: [&str; 3] = ["Serial", "Status", "UserName"];

#[async_trait]
impl Kind for AccessKey {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let user = required(properties, "UserName")?;
        let output = at.call("iam", "CreateAccessKey", json!({ "UserName": user })).await?;
        let key = &output["AccessKey"];
        let made = Made::new(text(&key["AccessKeyId"]), json!({ "SecretAccessKey": key["SecretAccessKey"] }));
        at.begun(&made);
        if status(properties) != "Active" {
            put_status(at, &made, properties).await?;
        }
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Serial", "UserName"]) {
            return Ok(Updated::Replace);
        }
        if status(old) != status(new) {
            put_status(at, made, new).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let input = json!({ "UserName": required_text(properties, "UserName")?, "AccessKeyId": made.physical_id });
        at.call_if_there("iam", "DeleteAccessKey", input).await
    }
}

fn status(properties: &Value) -> String {
    properties.get("Status").map_or_else(|| "Active".to_owned(), text)
}

async fn put_status(at: &Context, made: &Made, properties: &Value) -> Result<()> {
    let input = json!({
        "UserName": properties["UserName"], "AccessKeyId": made.physical_id, "Status": status(properties),
    });
    at.call("iam", "UpdateAccessKey", input).await.map(drop)
}
