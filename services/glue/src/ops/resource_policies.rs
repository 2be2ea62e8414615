//! PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: the policy of an account's catalog, as the Router asks for it.
//! Source: Glue Developer Guide, "Resource-based policies for AWS Glue".

use api_glue::error::{condition_check_failure_exception, entity_not_found_exception, invalid_input_exception};
use api_glue::{
    DeleteResourcePolicy, DeleteResourcePolicyRequest, DeleteResourcePolicyResponse, GetResourcePolicy,
    GetResourcePolicyRequest, GetResourcePolicyResponse, PutResourcePolicy, PutResourcePolicyRequest,
    PutResourcePolicyResponse,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::authorization::{Guard, ResourcePolicy};
use service::policy::{one_or_many, parse_resource_policy, statements};
use service::{Cx, Handle};
use wire::arn::Arn;
use wire::{Error, Timestamp};

use crate::Glue;
use crate::scope::Scope;

const KIND: &str = "resource-policy";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// Version of the record's form.
    version: u32,
    document: String,
    hash: String,
    created_ms: i64,
    updated_ms: i64,
}

/// The catalog's own policy is meant; that of one of its resources is refused.
fn check_resource(cx: &Cx, arn: Option<&str>) -> Result<(), Error> {
    match arn {
        Some(arn) if arn != cx.arn("glue", "catalog") => {
            Err(Error::not_implemented(format!("a policy of {arn}: only the catalog has one")))
        }
        _ => Ok(()),
    }
}

fn check_hash(old: Option<&Kept>, hash: Option<&str>) -> Result<(), Error> {
    match (old, hash) {
        (Some(old), Some(hash)) if old.hash != hash => {
            Err(condition_check_failure_exception("The policy hash does not match the current policy."))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Handle<PutResourcePolicy> for Glue {
    async fn handle(&self, cx: &Cx, req: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse, Error> {
        check_resource(cx, req.resource_arn.as_deref())?;
        if req.enable_hybrid.is_some_and(|hybrid| hybrid != "FALSE") {
            return Err(Error::not_implemented("EnableHybrid: there is no Lake Formation"));
        }
        let policy = parse_resource_policy(&req.policy_in_json)
            .map_err(|reason| invalid_input_exception(format!("Policy is not valid: {reason}.")))?;
        for resource in statements(&policy).flat_map(|statement| one_or_many(&statement["Resource"])) {
            if resource.as_str().is_none_or(|text| !text.starts_with("arn:") && text != "*") {
                return Err(invalid_input_exception(format!("Resource {resource} must be an ARN.")));
            }
        }
        let (key, now) = (Scope::of(cx).key(KIND), cx.now().as_millisecond());
        let hash = cx.uuid().replace('-', "");
        cx.write(&self.store, move |tx| {
            let old: Option<Kept> = tx.get_json(&key)?;
            match (req.policy_exists_condition.as_deref(), &old) {
                (Some("MUST_EXIST"), None) => {
                    return Err(condition_check_failure_exception("Policy doesn't exist."));
                }
                (Some("NOT_EXIST"), Some(_)) => {
                    return Err(condition_check_failure_exception("Policy already exists."));
                }
                _ => {}
            }
            check_hash(old.as_ref(), req.policy_hash_condition.as_deref())?;
            let kept = Kept {
                version: 1,
                document: req.policy_in_json.clone(),
                hash: hash.clone(),
                created_ms: old.map_or(now, |old| old.created_ms),
                updated_ms: now,
            };
            tx.put_json(&key, &kept)?;
            Ok(PutResourcePolicyResponse { policy_hash: Some(kept.hash) })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetResourcePolicy> for Glue {
    async fn handle(&self, cx: &Cx, req: GetResourcePolicyRequest) -> Result<GetResourcePolicyResponse, Error> {
        check_resource(cx, req.resource_arn.as_deref())?;
        let key = Scope::of(cx).key(KIND);
        let kept: Option<Kept> = self.store.read(|tx| tx.get_json(&key)).await?;
        let kept = kept.ok_or_else(|| entity_not_found_exception("Policy not found."))?;
        Ok(GetResourcePolicyResponse {
            policy_in_json: Some(kept.document),
            policy_hash: Some(kept.hash),
            create_time: Some(Timestamp::from_millis(kept.created_ms)),
            update_time: Some(Timestamp::from_millis(kept.updated_ms)),
        })
    }
}

#[async_trait]
impl Handle<DeleteResourcePolicy> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteResourcePolicyRequest) -> Result<DeleteResourcePolicyResponse, Error> {
        check_resource(cx, req.resource_arn.as_deref())?;
        let key = Scope::of(cx).key(KIND);
        cx.write(&self.store, move |tx| {
            let old: Option<Kept> = tx.get_json(&key)?;
            if old.is_none() {
                return Err(entity_not_found_exception("Policy not found."));
            }
            check_hash(old.as_ref(), req.policy_hash_condition.as_deref())?;
            tx.delete(&key)?;
            Ok(DeleteResourcePolicyResponse {})
        })
        .await
    }
}

#[async_trait]
impl Guard for Glue {
    async fn policy(&self, _: &Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        let Some(arn) = Arn::parse(resource) else { return Ok(None) };
        let key = Scope { account: arn.account, region: arn.region }.key(KIND);
        let kept: Option<Kept> = self.store.read(|tx| tx.get_json(&key)).await?;
        let policy = kept.and_then(|kept| serde_json::from_str::<Value>(&kept.document).ok());
        Ok(policy.map(|policy| ResourcePolicy { policy, must_allow: false }))
    }
}
