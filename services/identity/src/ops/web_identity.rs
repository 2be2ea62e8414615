//! `AssumeRoleWithWebIdentity`: a role's session for whom an issuer of OpenID Connect vouches. Nobody signs the request: the token is what
//! is believed, once its issuer is a provider of the role's account and has signed it. Source: STS API reference.

use api_sts::error::invalid_identity_token_exception as invalid;
use api_sts::{
    AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, AssumeRoleWithWebIdentityResponse, AssumedRoleUser,
};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::authorization::{Context, Request, gather};
use service::identity::Identity as _;
use service::policy::{Asked, Caller, Verdict, asked_about, evaluate_for, one_or_many, statements};
use service::{Cx, Handle, Principal, SessionContext};
use wire::Error;

use super::oidc::{self, Provider};
use super::sts::{check_duration, packed, told, with_resource};
use crate::Identity;
use crate::federation::claims::{self, Session};
use crate::federation::issuers;
use crate::federation::token::{Signed, Token};
use crate::port::split_role;
use crate::records::{RoleRecord, role};

/// An account of no number: the caller is of none.
const NO_ACCOUNT: &str = "federated";

fn denied() -> Error {
    Error::new("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

#[async_trait]
impl Handle<AssumeRoleWithWebIdentity> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: AssumeRoleWithWebIdentityRequest,
    ) -> Result<AssumeRoleWithWebIdentityResponse, Error> {
        let token = Token::read(&req.web_identity_token)?;
        let (account, name) = split_role(&req.role_arn).ok_or_else(denied)?;
        let provider = self.vouches(cx, &account, &token).await?;
        token.check_time(cx.now().as_second())?;
        if !token.audience.iter().any(|one| provider.clients.contains(one)) {
            return Err(invalid("Incorrect token audience"));
        }
        let session = Session::of(&token.all, &req.role_arn)?;
        let found = self.store.read(|tx| role(tx, &account, &name)).await.map_err(|_| denied())?;
        if found.role.arn != req.role_arn {
            return Err(denied());
        }
        let arns = req.policy_arns.iter().flatten().filter_map(|one| one.arn.clone()).collect();
        let policy_arns = self.check_session_policies(req.policy.as_deref(), arns, &account).await?;
        self.is_trusted(cx, &req, (&found, &provider, &token), &session).await?;
        let seconds = check_duration(req.duration_seconds, &found.role)?;
        let context = SessionContext {
            tags: session.tags,
            transitive: session.transitive,
            policy_arns,
            source_identity: session.source_identity.clone(),
            issued_ms: Some(cx.now().as_millisecond()),
            holder_id: Some(found.role.role_id.clone()),
            ..SessionContext::default()
        };
        let packed_policy_size = packed(req.policy.as_deref(), &context)?;
        let principal = Principal::Role {
            role_arn: found.role.arn.clone(),
            session: req.role_session_name.clone(),
            policy: req.policy.clone(),
            attempt: None,
            access_key: None,
            context: Box::new(context),
        };
        let keys = self.issue(&principal, jiff::SignedDuration::from_secs(seconds)).await?;
        Ok(AssumeRoleWithWebIdentityResponse {
            credentials: Some(told(keys)),
            subject_from_web_identity_token: Some(token.subject),
            assumed_role_user: Some(AssumedRoleUser {
                assumed_role_id: format!("{}:{}", found.role.role_id, req.role_session_name),
                arn: principal.arn(&account),
            }),
            packed_policy_size,
            provider: Some(provider.arn),
            audience: token.audience.into_iter().find(|one| provider.clients.contains(one)),
            source_identity: session.source_identity,
            ..AssumeRoleWithWebIdentityResponse::default()
        })
    }
}

impl Identity {
    /// The provider of the account whose token it is.
    ///
    /// # Errors
    /// `InvalidIdentityToken` where there is none, or it has not signed; what has become of asking it for its keys.
    async fn vouches(&self, cx: &Cx, account: &str, token: &Token<'_>) -> Result<Provider, Error> {
        let none = || invalid(format!("No OpenIDConnect provider found in your account for {}", token.issuer));
        let url = token.issuer.strip_prefix("https://").ok_or_else(none)?;
        let provider = self.store.read(|tx| oidc::of_url(tx, account, url)).await?.ok_or_else(none)?;
        let asked = issuers::Asked { account, url: &provider.url, thumbprints: &provider.thumbprints };
        match self.issuers.signed(&asked, token, cx.now().as_millisecond()).await? {
            Signed::Yes => Ok(provider),
            Signed::No => Err(invalid("The signature of the token is not valid")),
            Signed::KeyMissing => Err(invalid(match &token.key_id {
                Some(id) => format!("No key of the identity provider has the id {id} that the token names"),
                None => "The identity provider has no keys".to_owned(),
            })),
        }
    }

    /// Whether the role's trust policy lets the provider's subject have it.
    async fn is_trusted(
        &self,
        cx: &Cx,
        req: &AssumeRoleWithWebIdentityRequest,
        (found, provider, token): (&RoleRecord, &Provider, &Token<'_>),
        session: &Session,
    ) -> Result<(), Error> {
        let trust: Value = serde_json::from_str(found.role.assume_role_policy_document.as_deref().unwrap_or_default())
            .unwrap_or_default();
        let trust = as_asked_by(&with_resource(&trust));
        let tags: Vec<Value> = session.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let input = json!({ "Tags": tags });
        let seconds = req.duration_seconds.unwrap_or(3600).to_string();
        let mut keys = vec![
            ("aws:FederatedProvider", provider.arn.as_str()),
            ("sts:RoleSessionName", req.role_session_name.as_str()),
            ("sts:DurationSeconds", seconds.as_str()),
        ];
        if session.names_role {
            keys.push(("sts:RoleAuthorizedByIdp", "true"));
        }
        keys.extend(session.source_identity.as_deref().map(|id| ("sts:SourceIdentity", id)));
        keys.extend(session.transitive.iter().map(|key| ("sts:TransitiveTagKeys", key.as_str())));
        let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
        actions.extend((!tags.is_empty()).then_some("sts:TagSession"));
        actions.extend(session.source_identity.is_some().then_some("sts:SetSourceIdentity"));
        let arns = [provider.arn.clone()];
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
            let context = OfToken { request, url: &provider.url, token };
            let gathered = gather(&context, asked_about(std::slice::from_ref(&trust), action)).await?;
            let known = gathered.keys();
            let asked = Asked { action, resource: &req.role_arn, keys: &known, unknown: &gathered.unknown };
            let caller = Caller { account: NO_ACCOUNT, arns: &arns, canonical: "", service: "" };
            if evaluate_for(&trust, caller, asked) != Verdict::Allowed {
                return Err(denied());
            }
        }
        Ok(())
    }
}

/// The claims of a token, with what every request has.
struct OfToken<'a> {
    request: Request<'a>,
    url: &'a str,
    token: &'a Token<'a>,
}

#[async_trait]
impl Context for OfToken<'_> {
    async fn values(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        // `host/path:claim`, and a host may have a port.
        let Some((issuer, claim)) = key.rsplit_once(':') else { return self.request.values(key).await };
        let own = issuer.eq_ignore_ascii_case(self.url);
        if !own && !issuer.contains('.') {
            return self.request.values(key).await;
        }
        Ok(match claim {
            // Of other providers the token says nothing.
            _ if !own => Some(Vec::new()),
            "aud" => Some(self.token.audience.clone()),
            "sub" => Some(vec![self.token.subject.clone()]),
            other => claims::key(&self.token.all, self.url, other),
        })
    }
}

/// A trust policy in which providers are who asks: where a statement names them, they stand where it else names accounts and roles.
fn as_asked_by(trust: &Value) -> Value {
    let asked_by = |principal: &Value| match principal {
        Value::Object(kinds) => {
            let everybody = one_or_many(&kinds.get("AWS").cloned().unwrap_or_default()).any(|name| name == "*");
            let mut names: Vec<Value> = kinds.get("Federated").into_iter().flat_map(one_or_many).cloned().collect();
            names.extend(everybody.then(|| json!("*")));
            json!({ "AWS": names })
        }
        other => other.clone(),
    };
    let turned: Vec<Value> = statements(trust)
        .map(|statement| {
            let mut statement = statement.clone();
            for member in ["Principal", "NotPrincipal"] {
                if let Some(principal) = statement.get(member) {
                    statement[member] = asked_by(principal);
                }
            }
            statement
        })
        .collect();
    json!({ "Version": trust["Version"], "Statement": turned })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_named() {
        let provider = "arn:aws:iam::1:oidc-provider/i.example.org";
        let says = |principal: Value| {
            let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal,
                               "Action": "sts:AssumeRoleWithWebIdentity"}]});
            let (arns, trust) = ([provider.to_owned()], as_asked_by(&with_resource(&trust)));
            let caller = Caller { account: NO_ACCOUNT, arns: &arns, canonical: "", service: "" };
            let asked = Asked { action: "sts:AssumeRoleWithWebIdentity", resource: "r", keys: &[], unknown: &[] };
            evaluate_for(&trust, caller, asked) == Verdict::Allowed
        };
        assert!(says(json!({"Federated": provider})));
        assert!(says(json!({"Federated": ["cognito-identity.amazonaws.com", provider], "AWS": "1"})));
        assert!(says(json!("*")));
        assert!(says(json!({"AWS": "*"})));
        assert!(!says(json!({"Federated": "arn:aws:iam::2:oidc-provider/i.example.org"})));
        assert!(!says(json!({"AWS": provider})));
        assert!(!says(json!({"AWS": "arn:aws:iam::1:root", "Service": "lambda.amazonaws.com"})));
    }
}
