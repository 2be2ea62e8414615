//! AWS::Lambda::Permission: a statement of a function's policy. Ref is its id.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, only, pick, required_text};
use crate::Result;

pub(super) struct Permission;

const MEMBERS: [&str; 9] = [
    "Action",
    "EventSourceToken",
    "FunctionName",
    "FunctionUrlAuthType",
    "InvokedViaFunctionUrl",
    "Principal",
    "PrincipalOrgID",
    "SourceAccount",
    "SourceArn",
];

#[async_trait]
impl Kind for Permission {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let id = at.name(&Value::Null, "", 100);
        let mut input = pick(properties, &MEMBERS);
        input.insert("StatementId".to_owned(), id.clone().into());
        at.call("lambda", "AddPermission", input.into()).await?;
        Ok(Made::new(id.clone(), json!({ "Id": id })))
    }

    async fn update(&self, _: &Context, _: &Made, _: &Value, _: &Value) -> Result<Updated> {
        Ok(Updated::Replace)
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let function = required_text(properties, "FunctionName")?;
        let input = json!({ "FunctionName": function, "StatementId": made.physical_id });
        at.call_if_there("lambda", "RemovePermission", input).await
    }
}
