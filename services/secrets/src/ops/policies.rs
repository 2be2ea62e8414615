//! PutResourcePolicy, DeleteResourcePolicy and ValidateResourcePolicy; the policies as the Router asks for them.
//! Source: Secrets Manager User Guide, "Resource-based policies".

use api_secretsmanager::error::{malformed_policy_document_exception, public_policy_exception};
use api_secretsmanager::{
    DeleteResourcePolicy, DeleteResourcePolicyRequest, DeleteResourcePolicyResponse, PutResourcePolicy,
    PutResourcePolicyRequest, PutResourcePolicyResponse, ValidateResourcePolicy, ValidateResourcePolicyRequest,
    ValidateResourcePolicyResponse, ValidationErrorsEntry,
};
use async_trait::async_trait;
use serde_json::Value;
use service::authorization::{Guard, ResourcePolicy};
use service::policy::{one_or_many, parse_resource_policy, statements};
use service::{Cx, Handle};
use store::Key;
use wire::Error;
use wire::arn::Arn;

use crate::Secrets;
use crate::secret::{find, find_live, prefix};

/// Whether a policy lets in everybody, with nothing that narrows it.
fn is_public(policy: &Value) -> bool {
    statements(policy).any(|statement| {
        let principal = &statement["Principal"];
        let all = principal == "*" || one_or_many(&principal["AWS"]).any(|name| name == "*");
        statement["Effect"] == "Allow" && all && statement.get("Condition").is_none()
    })
}

#[async_trait]
impl Handle<PutResourcePolicy> for Secrets {
    async fn handle(&self, cx: &Cx, req: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse, Error> {
        let policy = parse_resource_policy(&req.resource_policy).map_err(|reason| {
            malformed_policy_document_exception(format!("This resource policy contains a syntax error: {reason}."))
        })?;
        if req.block_public_policy == Some(true) && is_public(&policy) {
            return Err(public_policy_exception(
                "You can't attach this resource policy because it grants broad access to the secret.",
            ));
        }
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
            secret.policy = Some(req.resource_policy.clone());
            tx.put_json(&key, &secret)?;
            Ok(PutResourcePolicyResponse { arn: Some(secret.arn), name: Some(secret.name), ..Default::default() })
        })
        .await
    }
}

#[async_trait]
impl Handle<DeleteResourcePolicy> for Secrets {
    async fn handle(&self, cx: &Cx, req: DeleteResourcePolicyRequest) -> Result<DeleteResourcePolicyResponse, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
            secret.policy = None;
            tx.put_json(&key, &secret)?;
            Ok(DeleteResourcePolicyResponse { arn: Some(secret.arn), name: Some(secret.name), ..Default::default() })
        })
        .await
    }
}

#[async_trait]
impl Handle<ValidateResourcePolicy> for Secrets {
    async fn handle(
        &self,
        cx: &Cx,
        req: ValidateResourcePolicyRequest,
    ) -> Result<ValidateResourcePolicyResponse, Error> {
        if let Some(id) = &req.secret_id {
            let prefix = prefix(cx);
            self.store.read(|tx| find(tx, &prefix, id)).await?;
        }
        let failed = |check: &str, message: String| ValidationErrorsEntry {
            check_name: Some(check.to_owned()),
            error_message: Some(message),
        };
        let errors = match parse_resource_policy(&req.resource_policy) {
            Err(reason) => vec![failed("POLICY_SYNTAX", reason)],
            Ok(policy) if is_public(&policy) => {
                vec![failed("PUBLIC_POLICY", "The resource policy grants broad access to the secret.".to_owned())]
            }
            Ok(_) => Vec::new(),
        };
        Ok(ValidateResourcePolicyResponse {
            policy_validation_passed: Some(errors.is_empty()),
            validation_errors: Some(errors),
        })
    }
}

#[async_trait]
impl Guard for Secrets {
    async fn policy(&self, _: &Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        let Some(arn) = Arn::parse(resource) else { return Ok(None) };
        let prefix = Key::new("secretsmanager").push(&arn.account).push(&arn.region);
        let found = match self.store.read(|tx| find(tx, &prefix, resource)).await {
            Ok((_, secret)) => secret.policy,
            Err(error) if error.status() < 500 => None,
            Err(error) => return Err(error),
        };
        Ok(found
            .and_then(|text| serde_json::from_str(&text).ok())
            .map(|policy| ResourcePolicy { policy, must_allow: false }))
    }
}
