//! STS: who am I, acting as a role, and temporary keys of one's own. Sources: STS API reference; IAM User Guide, "Pass session tags in AWS
//! STS", "How AWS enforcement code logic evaluates requests to allow or deny access".

use std::collections::BTreeMap;

use api_sts::error::{malformed_policy_document_exception, packed_policy_too_large_exception};
use api_sts::{
    AssumeRole, AssumeRoleRequest, AssumeRoleResponse, AssumedRoleUser, Credentials, GetCallerIdentity,
    GetCallerIdentityRequest, GetCallerIdentityResponse, GetSessionToken, GetSessionTokenRequest,
    GetSessionTokenResponse,
};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::authorization::{Request, gather};
use service::identity::{Identity as _, Judgement};
use service::policy::{Asked, Caller, Verdict, asked_about, evaluate_for};
use service::{Cx, Handle, Principal, SessionContext};
use wire::Error;

use crate::Identity;
use crate::port::split_role;
use crate::records::{RoleRecord, document, role};

/// What a session's policies and tags may be together. Source: IAM User Guide, "IAM and AWS STS quotas".
const MAX_PACKED: usize = 2048;
const MAX_TAGS: usize = 50;

#[async_trait]
impl Handle<GetCallerIdentity> for Identity {
    async fn handle(&self, cx: &Cx, _: GetCallerIdentityRequest) -> Result<GetCallerIdentityResponse, Error> {
        let principal = cx.principal();
        let user_id = match principal {
            Principal::Root { .. } | Principal::Platform => Some(cx.caller_account().to_owned()),
            Principal::Anonymous => None,
            Principal::Role { .. } | Principal::User { .. } => self.user_id(principal).await?,
        };
        let gone = || Error::new("InvalidClientTokenId", 403, "The security token included in the request is invalid");
        Ok(GetCallerIdentityResponse {
            user_id: Some(user_id.ok_or_else(gone)?),
            account: Some(cx.caller_account().to_owned()),
            arn: Some(principal.arn(cx.account())),
        })
    }
}

#[async_trait]
impl Handle<AssumeRole> for Identity {
    async fn handle(&self, cx: &Cx, req: AssumeRoleRequest) -> Result<AssumeRoleResponse, Error> {
        let TakenUp { found, principal } = self.taken_up(cx, &req).await?;
        let seconds = check_duration(req.duration_seconds, &found.role)?;
        if seconds > 3600 && matches!(cx.principal(), Principal::Role { .. }) {
            return Err(Error::new(
                "ValidationError",
                400,
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            ));
        }
        let context = principal.session().cloned().unwrap_or_default();
        let packed = packed(req.policy.as_deref(), &context)?;
        let keys = self.issue(&principal, jiff::SignedDuration::from_secs(seconds)).await?;
        Ok(AssumeRoleResponse {
            credentials: Some(told(keys)),
            assumed_role_user: Some(AssumedRoleUser {
                assumed_role_id: format!("{}:{}", found.role.role_id, req.role_session_name),
                arn: principal.arn(cx.account()),
            }),
            packed_policy_size: packed,
            source_identity: context.source_identity,
            ..AssumeRoleResponse::default()
        })
    }
}

/// A role's session that a caller may have.
pub(crate) struct TakenUp {
    found: RoleRecord,
    pub(crate) principal: Principal,
}

/// How long a session of the role is asked for.
///
/// # Errors
/// Where that is longer than the role says.
pub(super) fn check_duration(asked: Option<i32>, role: &api_iam::Role) -> Result<i64, Error> {
    let longest = i64::from(role.max_session_duration.unwrap_or(3600));
    let seconds = i64::from(asked.unwrap_or(3600));
    if seconds > longest {
        return Err(Error::new(
            "ValidationError",
            400,
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

pub(super) fn told(keys: service::identity::Credentials) -> Credentials {
    Credentials {
        access_key_id: keys.access_key,
        secret_access_key: keys.secret_key,
        session_token: keys.session_token.unwrap_or_default(),
        expiration: keys.expires.unwrap_or_default().into(),
    }
}

fn denied(cx: &Cx, action: &str, role_arn: &str) -> Error {
    let who = cx.principal().arn(cx.caller_account());
    Error::new(
        "AccessDenied",
        403,
        format!("User: {who} is not authorized to perform: {action} on resource: {role_arn}"),
    )
}

/// How much of what may be packed into a session is, in percent.
pub(super) fn packed(policy: Option<&str>, context: &SessionContext) -> Result<Option<i32>, Error> {
    let tags: usize = context.tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    let size = policy.map_or(0, str::len) + tags;
    if policy.is_some_and(|text| text.len() > MAX_PACKED) || context.tags.len() > MAX_TAGS {
        return Err(packed_policy_too_large_exception("Packed policy consumes more than 100% of allotted space"));
    }
    Ok((size > 0).then(|| i32::try_from((size * 100).div_ceil(2 * MAX_PACKED)).unwrap_or(100)))
}

impl Identity {
    /// The session of a role that the caller asks for, where the caller's policies and the role's trust policy let it have one.
    ///
    /// # Errors
    /// `AccessDenied`, and what is wrong with tags and policies of the session.
    pub(crate) async fn taken_up(&self, cx: &Cx, req: &AssumeRoleRequest) -> Result<TakenUp, Error> {
        let denied = || denied(cx, "sts:AssumeRole", &req.role_arn);
        let (account, name) = split_role(&req.role_arn).ok_or_else(denied)?;
        let found = self.store.read(|tx| role(tx, &account, &name)).await.map_err(|_| denied())?;
        if found.role.arn != req.role_arn {
            return Err(denied());
        }
        let mut context = self.session_of(cx, req, &account).await?;
        context.holder_id = Some(found.role.role_id.clone());
        self.may_assume(cx, req, &found, &context).await?;
        let principal = Principal::Role {
            role_arn: found.role.arn.clone(),
            session: req.role_session_name.clone(),
            policy: req.policy.clone(),
            // What an attempt does under another role is still the attempt's.
            attempt: cx.attempt().map(str::to_owned),
            access_key: None,
            context: Box::new(context),
        };
        Ok(TakenUp { found, principal })
    }

    /// What the session is made with: its own tags, those that the caller's session passes on, its policies.
    async fn session_of(&self, cx: &Cx, req: &AssumeRoleRequest, account: &str) -> Result<SessionContext, Error> {
        let arns = req.policy_arns.iter().flatten().filter_map(|one| one.arn.clone()).collect();
        let policy_arns = self.check_session_policies(req.policy.as_deref(), arns, account).await?;
        let before = cx.principal().session();
        let mut tags: BTreeMap<String, String> = before
            .map(|session| session.tags.iter().filter(|(key, _)| session.transitive.contains(key)))
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let passed_on: Vec<String> = tags.keys().cloned().collect();
        for tag in req.tags.iter().flatten() {
            if passed_on.iter().any(|key| key.eq_ignore_ascii_case(&tag.key)) {
                let message = format!(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session: {}",
                    tag.key
                );
                return Err(Error::new("ValidationError", 400, message));
            }
            let twice = tags.keys().any(|key| key.eq_ignore_ascii_case(&tag.key));
            if tags.insert(tag.key.clone(), tag.value.clone()).is_some() || twice {
                return Err(Error::new(
                    "InvalidParameterValue",
                    400,
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                ));
            }
        }
        let transitive: Vec<String> = req.transitive_tag_keys.iter().flatten().cloned().chain(passed_on).collect();
        if let Some(unknown) = transitive.iter().find(|key| !tags.contains_key(*key)) {
            let message = format!("The specified transitive tag key {unknown} must be included in the requested tags.");
            return Err(Error::new("ValidationError", 400, message));
        }
        let kept = before.and_then(|session| session.source_identity.clone());
        if let (Some(kept), Some(set)) = (&kept, &req.source_identity)
            && kept != set
        {
            return Err(denied(cx, "sts:SetSourceIdentity", &req.role_arn));
        }
        Ok(SessionContext {
            tags,
            transitive,
            policy_arns,
            source_identity: req.source_identity.clone().or(kept),
            issued_ms: Some(cx.now().as_millisecond()),
            ..SessionContext::default()
        })
    }

    /// The policies that bound a session, looked at; answers those with ARNs.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`.
    pub(super) async fn check_session_policies(
        &self,
        policy: Option<&str>,
        arns: Vec<String>,
        account: &str,
    ) -> Result<Vec<String>, Error> {
        if let Some(policy) = policy {
            crate::policy::check(policy).map_err(|e| malformed_policy_document_exception(e.message()))?;
        }
        for arn in &arns {
            if self.store.read(|tx| document(tx, account, arn)).await?.is_none() {
                return Err(malformed_policy_document_exception(format!("Policy {arn} does not exist.")));
            }
        }
        Ok(arns)
    }

    /// The role's trust policy and the caller's own policies. An owner may act as any role of the account, and as one of another account
    /// where that trusts it.
    async fn may_assume(
        &self,
        cx: &Cx,
        req: &AssumeRoleRequest,
        found: &RoleRecord,
        context: &SessionContext,
    ) -> Result<(), Error> {
        let (caller, owner) = (cx.caller_account(), found.role.arn.split(':').nth(4));
        let same = owner == Some(caller);
        match cx.principal() {
            Principal::Root { .. } if same => return Ok(()),
            Principal::Platform if same && cx.service().is_none() => return Ok(()),
            Principal::Platform | Principal::Anonymous => return Err(denied(cx, "sts:AssumeRole", &req.role_arn)),
            Principal::Root { .. } | Principal::Role { .. } | Principal::User { .. } => {}
        }
        let trust: Value = serde_json::from_str(found.role.assume_role_policy_document.as_deref().unwrap_or_default())
            .unwrap_or_default();
        let tags: Vec<Value> =
            req.tags.iter().flatten().map(|tag| json!({"Key": tag.key, "Value": tag.value})).collect();
        let input = json!({ "Tags": tags });
        let seconds = req.duration_seconds.unwrap_or(3600).to_string();
        let mut keys =
            vec![("sts:RoleSessionName", req.role_session_name.as_str()), ("sts:DurationSeconds", seconds.as_str())];
        keys.extend(req.external_id.as_deref().map(|id| ("sts:ExternalId", id)));
        keys.extend(context.source_identity.as_deref().map(|id| ("sts:SourceIdentity", id)));
        keys.extend(req.transitive_tag_keys.iter().flatten().map(|key| ("sts:TransitiveTagKeys", key.as_str())));
        let mut actions = vec!["sts:AssumeRole"];
        if !tags.is_empty() {
            actions.push("sts:TagSession");
        }
        if req.source_identity.is_some() {
            actions.push("sts:SetSourceIdentity");
        }
        let arns = cx.principal().arns(caller);
        for action in actions {
            let request = Request {
                cx,
                action,
                resource: &req.role_arn,
                keys: &keys,
                input: Some(&input),
                operation: "AssumeRole",
                passes: "",
            };
            let gathered = gather(&request, asked_about(std::slice::from_ref(&trust), action)).await?;
            let known = gathered.keys();
            // A trust policy has no resource: it is the role's.
            let asked = Asked { action, resource: &req.role_arn, keys: &known, unknown: &gathered.unknown };
            let caller = Caller { account: caller, arns: &arns, canonical: "", service: "" };
            let trusted = evaluate_for(&with_resource(&trust), caller, asked);
            let own = self.judge(cx.principal(), action, &req.role_arn, &request).await?;
            match (trusted, own) {
                (_, Judgement::Denied(error)) => return Err(as_denial(&error)),
                (Verdict::Allowed | Verdict::Delegated, Judgement::Allowed) => {}
                (Verdict::Allowed, Judgement::Silent(_)) if same => {}
                _ => return Err(denied(cx, action, &req.role_arn)),
            }
        }
        Ok(())
    }
}

fn as_denial(error: &Error) -> Error {
    Error::new("AccessDenied", 403, error.message())
}

/// A trust policy as one of a resource, which its statements do not name.
pub(super) fn with_resource(trust: &Value) -> Value {
    let statements: Vec<Value> = service::policy::statements(trust)
        .map(|statement| {
            let mut statement = statement.clone();
            statement["Resource"] = json!("*");
            statement
        })
        .collect();
    json!({ "Version": trust["Version"], "Statement": statements })
}

#[async_trait]
impl Handle<GetSessionToken> for Identity {
    /// Temporary keys of the caller's own. They cannot be had with temporary keys.
    async fn handle(&self, cx: &Cx, req: GetSessionTokenRequest) -> Result<GetSessionTokenResponse, Error> {
        let issued_ms = Some(cx.now().as_millisecond());
        let refused = || Error::new("AccessDenied", 403, "Cannot call GetSessionToken with session credentials");
        // An owner's principal says nothing of its keys; those that are lent to a job's attempt end with it.
        if cx.is_temporary() || (matches!(cx.principal(), Principal::Root { .. }) && cx.attempt().is_some()) {
            return Err(refused());
        }
        let (principal, longest) = match cx.principal() {
            Principal::User { user_arn, context: None, .. } => {
                let holder_id = self.user_id(cx.principal()).await?;
                let context = SessionContext { issued_ms, holder_id, ..SessionContext::default() };
                let context = Some(Box::new(context));
                let (user_arn, attempt) = (user_arn.clone(), cx.attempt().map(str::to_owned));
                (Principal::User { user_arn, attempt, access_key: None, context }, 129_600)
            }
            // Source: STS API reference, GetSessionToken: keys of an owner's session are good for an hour.
            owner @ Principal::Root { .. } => (owner.clone(), 3600),
            _ => return Err(refused()),
        };
        let seconds = i64::from(req.duration_seconds.unwrap_or(43_200)).min(longest);
        let keys = self.issue(&principal, jiff::SignedDuration::from_secs(seconds)).await?;
        Ok(GetSessionTokenResponse { credentials: Some(told(keys)), ..GetSessionTokenResponse::default() })
    }
}
