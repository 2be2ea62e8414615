//! AddLayerVersionPermission: lets another account, or everybody, use a version.

use api_lambda::{
    AddLayerVersionPermission, AddLayerVersionPermissionRequest, AddLayerVersionPermissionResponse, error,
};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::Error;

use super::layer_number;
use crate::function::Policy;
use crate::layer::{self, LayerName};
use crate::{Lambda, check};

#[async_trait]
impl Handle<AddLayerVersionPermission> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: AddLayerVersionPermissionRequest,
    ) -> Result<AddLayerVersionPermissionResponse, Error> {
        let (layer, number) = (LayerName::parse(cx, &req.layer_name)?, layer_number(req.version_number)?);
        let (place, revision) = (layer.own(cx)?, cx.uuid());
        if req.action != "lambda:GetLayerVersion" {
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{}' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: lambda:GetLayerVersion",
                req.action
            )));
        }
        let principal = match req.principal.as_str() {
            "*" => json!("*"),
            id if id.bytes().all(|digit| digit.is_ascii_digit()) => json!({ "AWS": format!("arn:aws:iam::{id}:root") }),
            arn => json!({ "AWS": arn }),
        };
        let statement = json!({
            "Sid": req.statement_id, "Effect": "Allow", "Principal": principal, "Action": req.action,
            "Resource": format!("{}:{number}", place.layer_arn(&layer.name)),
        });
        cx.write(&self.store, move |tx| {
            layer::find(tx, &layer, number)?;
            let key = place.layer_policy(&layer.name, number);
            let empty = || Policy { statements: Vec::new(), revision: String::new() };
            let mut policy = tx.get_json::<Policy>(&key)?.unwrap_or_else(empty);
            check::revision(req.revision_id.as_deref(), Some(&policy.revision))?;
            if policy.statements.iter().any(|other| other["Sid"] == req.statement_id.as_str()) {
                return Err(error::resource_conflict_exception(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    req.statement_id
                )));
            }
            policy.statements.push(statement.clone());
            policy.revision.clone_from(&revision);
            tx.put_json(key, &policy)?;
            Ok(AddLayerVersionPermissionResponse {
                statement: Some(statement.to_string()),
                revision_id: Some(revision.clone()),
            })
        })
        .await
    }
}
