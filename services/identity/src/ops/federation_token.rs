//! GetFederationToken: temporary keys for somebody whom the caller has let in, with no more than the caller's own powers and what policies of
//! the session leave of them. Source: STS API reference, GetFederationToken; IAM User Guide, "Permissions for GetFederationToken".

use std::collections::BTreeMap;

use api_sts::{FederatedUser, GetFederationToken, GetFederationTokenRequest, GetFederationTokenResponse};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::authorization::Request;
use service::identity::{Identity as _, Judgement};
use service::{Cx, Handle, Principal, SessionContext};
use wire::Error;

use super::sts::{packed, told};
use crate::Identity;

/// Seconds that the keys are good for where nothing is said, and at most of an owner.
const USUALLY: i64 = 43_200;
const MOST_OF_AN_OWNER: i64 = 3600;

#[async_trait]
impl Handle<GetFederationToken> for Identity {
    async fn handle(&self, cx: &Cx, req: GetFederationTokenRequest) -> Result<GetFederationTokenResponse, Error> {
        let refused = || Error::new("AccessDenied", 403, "Cannot call GetFederationToken with session credentials");
        if cx.is_temporary() || cx.attempt().is_some() {
            return Err(refused());
        }
        let account = cx.caller_account().to_owned();
        let mut seconds = req.duration_seconds.map_or(USUALLY, i64::from);
        let user_arn = match cx.principal() {
            Principal::User { user_arn, context: None, .. } => user_arn.clone(),
            Principal::Root { .. } => {
                seconds = seconds.min(MOST_OF_AN_OWNER);
                format!("arn:aws:iam::{account}:root")
            }
            _ => return Err(refused()),
        };
        let arns = req.policy_arns.iter().flatten().filter_map(|one| one.arn.clone()).collect();
        let context = SessionContext {
            tags: tags(&req)?,
            policy_arns: self.check_session_policies(req.policy.as_deref(), arns, &account).await?,
            issued_ms: Some(cx.now().as_millisecond()),
            holder_id: self.user_id(cx.principal()).await?,
            federated: Some(req.name.clone()),
            policy: req.policy.clone(),
            ..SessionContext::default()
        };
        let packed_policy_size = packed(req.policy.as_deref(), &context)?;
        let principal = Principal::User { user_arn, attempt: None, access_key: None, context: Some(Box::new(context)) };
        let arn = principal.arn(&account);
        self.may_tag(cx, &req, &arn).await?;
        let keys = self.issue(&principal, jiff::SignedDuration::from_secs(seconds)).await?;
        Ok(GetFederationTokenResponse {
            credentials: Some(told(keys)),
            federated_user: Some(FederatedUser { federated_user_id: format!("{account}:{}", req.name), arn }),
            packed_policy_size,
            ..GetFederationTokenResponse::default()
        })
    }
}

fn tags(req: &GetFederationTokenRequest) -> Result<BTreeMap<String, String>, Error> {
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for tag in req.tags.iter().flatten() {
        if tags.keys().any(|key| key.eq_ignore_ascii_case(&tag.key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Error::new("InvalidParameterValue", 400, message));
        }
        tags.insert(tag.key.clone(), tag.value.clone());
    }
    Ok(tags)
}

impl Identity {
    /// Who gives a session tags has to be allowed to. Source: IAM User Guide, "Pass session tags in AWS STS".
    async fn may_tag(&self, cx: &Cx, req: &GetFederationTokenRequest, arn: &str) -> Result<(), Error> {
        let given: Vec<Value> =
            req.tags.iter().flatten().map(|tag| json!({ "Key": tag.key, "Value": tag.value })).collect();
        if given.is_empty() {
            return Ok(());
        }
        let (action, input) = ("sts:TagSession", json!({ "Tags": given }));
        let operation = "GetFederationToken";
        let request = Request { cx, action, resource: arn, keys: &[], input: Some(&input), operation, passes: "" };
        match self.judge(cx.principal(), action, arn, &request).await? {
            Judgement::Allowed => Ok(()),
            Judgement::Denied(error) | Judgement::Silent(error) => {
                Err(Error::new("AccessDenied", 403, error.message()))
            }
        }
    }
}
