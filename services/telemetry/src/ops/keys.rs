//! AssociateKmsKey, DisassociateKmsKey: what new events of a group are encrypted with. What is there stays as it is.

use api_logs::error::{invalid_parameter_exception, operation_aborted_exception};
use api_logs::{AssociateKmsKey, AssociateKmsKeyRequest, DisassociateKmsKey, DisassociateKmsKeyRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::queries::group_of;
use crate::Telemetry;
use crate::logs::{Group, Scope};

#[async_trait]
impl Handle<AssociateKmsKey> for Telemetry {
    async fn handle(&self, cx: &Cx, req: AssociateKmsKeyRequest) -> Result<Empty, Error> {
        let name = group_named(cx, req.log_group_name, req.resource_identifier)?;
        let before = self.found(cx, &name).await?;
        self.seal_with(cx, &name, &req.kms_key_id).await?;
        self.set_key(cx, name, before, Some(req.kms_key_id)).await
    }
}

#[async_trait]
impl Handle<DisassociateKmsKey> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DisassociateKmsKeyRequest) -> Result<Empty, Error> {
        let name = group_named(cx, req.log_group_name, req.resource_identifier)?;
        let before = self.found(cx, &name).await?;
        self.set_key(cx, name, before, None).await
    }
}

/// Exactly one of both names the group. Source: API Reference, AssociateKmsKey.
fn group_named(cx: &Cx, name: Option<String>, identifier: Option<String>) -> Result<String, Error> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(arn)) if arn.contains(":log-group:") => group_of(cx, &arn),
        (None, Some(arn)) => Err(invalid_parameter_exception(format!(
            "Keys of query results are not supported here: {arn} is not a log group"
        ))),
        _ => Err(invalid_parameter_exception("Exactly one of logGroupName and resourceIdentifier is needed")),
    }
}

impl Telemetry {
    async fn found(&self, cx: &Cx, name: &str) -> Result<Group, Error> {
        let scope = Scope::of(cx);
        self.store.read(|tx| scope.load_group(tx, name)).await
    }

    async fn set_key(&self, cx: &Cx, name: String, before: Group, key: Option<String>) -> Result<Empty, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut group = scope.load_group(tx, &name)?;
            if group.created_ms != before.created_ms {
                return Err(operation_aborted_exception("The log group has just been made anew."));
            }
            group.had_key |= key.is_some();
            group.kms_key_id.clone_from(&key);
            tx.put_json(scope.group(&name), &group)?;
            Ok(Empty {})
        })
        .await
    }
}
