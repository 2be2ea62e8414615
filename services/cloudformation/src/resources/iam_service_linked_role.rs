//! AWS::IAM::ServiceLinkedRole: Ref and RoleName are its name.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, is_missing, only, pick, required, text};
use crate::Result;
use crate::template::validation;

pub(super) struct ServiceLinkedRole;

const MEMBERS: [&str; 3] = ["AWSServiceName", "CustomSuffix", "Description"];
/// Between two looks at whether it is gone.
const EVERY: Duration = Duration::from_millis(500);

#[async_trait]
impl Kind for ServiceLinkedRole {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        required(properties, "AWSServiceName")?;
        let output = at.call("iam", "CreateServiceLinkedRole", pick(properties, &MEMBERS).into()).await?;
        let name = text(&output["Role"]["RoleName"]);
        Ok(Made::new(name.clone(), json!({ "RoleName": name })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["AWSServiceName", "CustomSuffix"]) {
            return Ok(Updated::Replace);
        }
        let description = new.get("Description").map(text).unwrap_or_default();
        at.call("iam", "UpdateRole", json!({ "RoleName": made.physical_id, "Description": description })).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let begun = at.call("iam", "DeleteServiceLinkedRole", json!({ "RoleName": made.physical_id })).await;
        let begun = match begun {
            Err(error) if is_missing(&error) => return Ok(()),
            begun => begun?,
        };
        loop {
            let input = json!({ "DeletionTaskId": begun["DeletionTaskId"] });
            let found = at.look("iam", "getServiceLinkedRoleDeletionStatus", input).await?;
            match found["Status"].as_str() {
                Some("SUCCEEDED") => return Ok(()),
                Some("FAILED") => return Err(validation(text(&found["Reason"]["Reason"]))),
                _ => at.cx.router().clock().sleep(EVERY).await,
            }
        }
    }
}
