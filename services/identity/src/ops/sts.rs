//! STS: who am I, and acting as a role.

use api_sts::{
    AssumeRole, AssumeRoleRequest, AssumeRoleResponse, AssumedRoleUser, Credentials, GetCallerIdentity,
    GetCallerIdentityRequest, GetCallerIdentityResponse,
};
use async_trait::async_trait;
use serde_json::Value;
use service::identity::Identity as _;
use service::{Cx, Handle, Principal};
use wire::Error;

use crate::Identity;
use crate::policy::glob;
use crate::port::split_role;
use crate::records::{no_such_role, role};

#[async_trait]
impl Handle<GetCallerIdentity> for Identity {
    async fn handle(&self, cx: &Cx, _: GetCallerIdentityRequest) -> Result<GetCallerIdentityResponse, Error> {
        let user_id = match cx.principal() {
            Principal::Root | Principal::Platform => cx.account().to_owned(),
            Principal::Role { session, role_arn, .. } => {
                let name = role_arn.rsplit('/').next().unwrap_or_default();
                let found = self.role(cx.account(), name).await?.ok_or_else(|| no_such_role(name))?;
                format!("{}:{session}", found.id)
            }
            Principal::Anonymous => "anonymous".to_owned(),
        };
        Ok(GetCallerIdentityResponse {
            user_id: Some(user_id),
            account: Some(cx.account().to_owned()),
            arn: Some(cx.principal().arn(cx.account())),
        })
    }
}

#[async_trait]
impl Handle<AssumeRole> for Identity {
    async fn handle(&self, cx: &Cx, req: AssumeRoleRequest) -> Result<AssumeRoleResponse, Error> {
        let denied = || {
            Error::new(
                "AccessDenied",
                403,
                format!(
                    "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
                    cx.principal().arn(cx.account()),
                    req.role_arn
                ),
            )
        };
        let (account, name) = split_role(&req.role_arn).ok_or_else(denied)?;
        let found = self.store.read(|tx| role(tx, &account, &name)).await.map_err(|_| denied())?;
        if !trusts(found.role.assume_role_policy_document.as_deref().unwrap_or_default(), cx) {
            return Err(denied());
        }
        if let Some(policy) = &req.policy {
            crate::policy::check(policy)?;
        }
        let longest = i64::from(found.role.max_session_duration.unwrap_or(3600));
        let seconds = i64::from(req.duration_seconds.unwrap_or(3600));
        if seconds > longest {
            return Err(Error::new(
                "ValidationError",
                400,
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        let principal = Principal::Role {
            role_arn: req.role_arn.clone(),
            session: req.role_session_name.clone(),
            policy: req.policy,
            // What an attempt does under another role is still the attempt's.
            attempt: cx.attempt().map(str::to_owned),
            access_key: None,
        };
        let keys = self.issue(&principal, jiff::SignedDuration::from_secs(seconds)).await?;
        Ok(AssumeRoleResponse {
            credentials: Some(Credentials {
                access_key_id: keys.access_key,
                secret_access_key: keys.secret_key,
                session_token: keys.session_token.unwrap_or_default(),
                expiration: keys.expires.unwrap_or_default().into(),
            }),
            assumed_role_user: Some(AssumedRoleUser {
                assumed_role_id: format!("{}:{}", found.role.role_id, req.role_session_name),
                arn: principal.arn(cx.account()),
            }),
            packed_policy_size: None,
            source_identity: None,
            ..AssumeRoleResponse::default()
        })
    }
}

/// Does the trust policy name the caller? The account's root trusts all that the account holds.
fn trusts(document: &str, cx: &Cx) -> bool {
    if matches!(cx.principal(), Principal::Root | Principal::Platform) {
        return true;
    }
    let Ok(policy) = serde_json::from_str::<Value>(document) else { return false };
    let account = cx.account();
    let mut names = vec![account.to_owned(), format!("arn:aws:iam::{account}:root"), cx.principal().arn(account)];
    names.extend(cx.principal().role_arn().map(str::to_owned));
    let one_or_many = |v: &Value| match v {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    one_or_many(&policy["Statement"]).iter().any(|s| {
        let principals =
            if s["Principal"].is_string() { one_or_many(&s["Principal"]) } else { one_or_many(&s["Principal"]["AWS"]) };
        s["Effect"] == "Allow"
            && principals.iter().filter_map(Value::as_str).any(|p| names.iter().any(|n| glob(p, n, false)))
    })
}
