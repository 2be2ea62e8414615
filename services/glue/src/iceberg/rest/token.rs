//! OAuth2 for clients that do not sign: `POST /v1/oauth/tokens` gives a token for an access key and its secret (RFC 6749, 4.4), and a new
//! token for one that is about to end (RFC 8693). A token is a session of the key's principal, as `GetSessionToken` makes one, with a
//! proof that whoever made it knew the session's secret: key id and session token alone stand in every presigned URL. Its seal says when
//! the first of a chain of tokens was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use service::identity::Credentials;
use service::{Principal, Router, SessionContext};
use wire::Error;
use wire::sigv4::sha256_hex;

use super::{decoded, pairs, respond};

/// The path behind [`super::PATH`].
pub const PATH: &str = "oauth/tokens";

const VALID_SECONDS: i64 = 3600;
/// No exchange makes a token later than this after the first: then the secret is asked for again.
const EXCHANGED_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Why there is no token. Names of RFC 6749, 5.2.
struct Refusal(&'static str, StatusCode, String);

/// Answers a request for a token. `home`: the server's own account, which all sessions are of.
pub async fn grant(router: &Arc<Router>, home: &str, headers: &http::HeaderMap, body: &Bytes) -> http::Response<Bytes> {
    let form = pairs(&String::from_utf8_lossy(body));
    let granted = match client(router, home, headers, &form).await {
        Ok((keys, first_ms)) => issue(router, &keys, first_ms).await,
        Err(refusal) => Err(refusal),
    };
    match granted {
        Ok(token) => {
            let answer = json!({
                "access_token": token,
                "token_type": "bearer",
                "expires_in": VALID_SECONDS,
                "issued_token_type": ACCESS_TOKEN,
            });
            let mut response = respond(StatusCode::OK, answer.to_string());
            response.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
            response
        }
        Err(Refusal(error, status, description)) => {
            respond(status, json!({ "error": error, "error_description": description }).to_string())
        }
    }
}

/// Who asks: the access key, and when its secret was given.
async fn client(
    router: &Arc<Router>,
    home: &str,
    headers: &http::HeaderMap,
    form: &BTreeMap<String, String>,
) -> Result<(Credentials, i64), Refusal> {
    let of_form = form.get("client_id").zip(form.get("client_secret")).map(|(id, secret)| (id.clone(), secret.clone()));
    let grant = form.get("grant_type").map_or("", String::as_str);
    if let Some((id, secret)) = basic(headers).or(of_form)
        && [EXCHANGE, "client_credentials"].contains(&grant)
    {
        return by_secret(router, home, (&id, &secret)).await;
    }
    match (grant, form.get("subject_token")) {
        (EXCHANGE, Some(token)) => by_token(router, token).await,
        (EXCHANGE, None) => Err(Refusal("invalid_request", StatusCode::BAD_REQUEST, "subject_token is missing".into())),
        ("client_credentials", _) => Err(invalid_client()),
        (other, _) => Err(Refusal(
            "unsupported_grant_type",
            StatusCode::BAD_REQUEST,
            format!("grant_type '{other}' is neither client_credentials nor {EXCHANGE}"),
        )),
    }
}

fn invalid_client() -> Refusal {
    Refusal(
        "invalid_client",
        StatusCode::UNAUTHORIZED,
        "client_id must be an access key id, and client_secret its secret access key".into(),
    )
}

fn failed(error: &Error) -> Refusal {
    tracing::error!(%error, "no token could be made");
    Refusal("server_error", StatusCode::INTERNAL_SERVER_ERROR, "the token could not be made".into())
}

/// Client id and secret of HTTP's own way, each encoded as in a form (RFC 6749, 2.3.1) or not.
fn basic(headers: &http::HeaderMap) -> Option<(String, String)> {
    let text = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let bytes = STANDARD.decode(text.strip_prefix("Basic ")?.trim()).ok()?;
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some((decoded(id), decoded(secret)))
}

/// Only keys that last: a session has no secret alone. None of another account: the door is the home account's.
async fn by_secret(
    router: &Arc<Router>,
    home: &str,
    (id, secret): (&str, &str),
) -> Result<(Credentials, i64), Refusal> {
    let keys = router.identity().credentials(id).await.map_err(|error| failed(&error))?;
    let keys = keys.filter(|keys| keys.session_token.is_none() && same(&keys.secret_key, secret));
    let keys = keys.ok_or_else(invalid_client)?;
    if keys.account != home {
        let text = format!("tokens are for access keys of the account {home}; requests of other accounts are signed");
        return Err(Refusal("unauthorized_client", StatusCode::BAD_REQUEST, text));
    }
    Ok((keys, router.now().as_millisecond()))
}

/// A token that still counts, of a key that is still there. What is bounded has no part in what its principal may do beyond that.
async fn by_token(router: &Arc<Router>, token: &str) -> Result<(Credentials, i64), Refusal> {
    let grant = |message: &str| Refusal("invalid_grant", StatusCode::BAD_REQUEST, message.to_owned());
    let session = check(router, token).await.map_err(|error| grant(error.message()))?;
    if is_bounded(&session) {
        return Err(grant("a session with bounds of its own is not exchanged"));
    }
    let parts = Parts::of(token).ok_or_else(|| grant("the token is invalid"))?;
    let keys = router.identity().credentials(parts.client).await.map_err(|error| failed(&error))?;
    let lasting = keys.filter(|keys| keys.session_token.is_none() && keys.account == session.account);
    let same_caller =
        lasting.filter(|keys| keys.principal.arn(&keys.account) == session.principal.arn(&session.account));
    let keys = same_caller.ok_or_else(|| grant("the token's access key is no more"))?;
    let first_ms = parts.first_ms(&keys).ok_or_else(|| grant("the token is invalid"))?;
    let age = router.now().as_millisecond().saturating_sub(first_ms);
    if age > EXCHANGED_FOR.as_millis().try_into().unwrap_or(i64::MAX) {
        return Err(grant("the token is exchanged for 12 hours: after them the client's secret is needed"));
    }
    Ok((keys, first_ms))
}

/// Whether a session may do less than its principal, or is a job's.
fn is_bounded(session: &Credentials) -> bool {
    let (inline, attempt) = match &session.principal {
        Principal::Role { policy, attempt, .. } => (policy.is_some(), attempt.is_some()),
        Principal::User { attempt, .. } => (false, attempt.is_some()),
        _ => (false, false),
    };
    let managed = session
        .principal
        .session()
        .is_some_and(|context| !context.policy_arns.is_empty() || context.federated.is_some());
    inline || managed || attempt || session.attempt.is_some()
}

/// A token of a new session of the access key's principal.
async fn issue(router: &Arc<Router>, client: &Credentials, first_ms: i64) -> Result<String, Refusal> {
    let issued_ms = Some(router.now().as_millisecond());
    let principal = match &client.principal {
        Principal::User { user_arn, attempt, .. } => Principal::User {
            user_arn: user_arn.clone(),
            attempt: attempt.clone(),
            access_key: None,
            context: Some(Box::new(SessionContext { issued_ms, ..SessionContext::default() })),
        },
        other => other.clone(),
    };
    let valid = jiff::SignedDuration::from_secs(VALID_SECONDS);
    let keys = router.identity().issue(&principal, valid).await.map_err(|error| failed(&error))?;
    let token = URL.encode(keys.session_token.as_deref().unwrap_or_default());
    let (key, proof, seal) = (&keys.access_key, proof(&keys.secret_key), seal(client, &keys.access_key, first_ms));
    Ok(format!("{key}.{token}.{}.{proof}.{first_ms}.{seal}", client.access_key))
}

const URL: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a token says: `KEY.SESSION.CLIENT.PROOF.FIRST.SEAL`.
struct Parts<'a> {
    key: &'a str,
    session: String,
    /// The access key that it was made for.
    client: &'a str,
    proof: &'a str,
    first: &'a str,
    seal: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Option<Self> {
        let parts: Vec<&str> = token.split('.').collect();
        let &[key, session, client, proof, first, seal] = parts.as_slice() else { return None };
        let session = String::from_utf8(URL.decode(session).ok()?).ok().filter(|text| !text.is_empty())?;
        Some(Self { key, session, client, proof, first, seal })
    }

    /// When the first token of the chain was given, where the seal is the client's.
    fn first_ms(&self, client: &Credentials) -> Option<i64> {
        let first_ms = self.first.parse().ok()?;
        same(self.seal, &seal(client, self.key, first_ms)).then_some(first_ms)
    }
}

/// What only who knows a session's secret can say.
fn proof(secret: &str) -> String {
    sha256_hex(format!("iceberg-token:{secret}").as_bytes())
}

/// What only who knows the client's secret can say of a session: since when it goes on.
fn seal(client: &Credentials, key: &str, first_ms: i64) -> String {
    sha256_hex(format!("iceberg-exchange:{}:{key}:{first_ms}", client.secret_key).as_bytes())
}

/// Whether two texts are the same. Hashes are compared, so that how long it takes says nothing of a secret.
fn same(a: &str, b: &str) -> bool {
    sha256_hex(a.as_bytes()) == sha256_hex(b.as_bytes())
}

/// The session that a token stands for.
///
/// # Errors
/// `InvalidClientTokenId` or `ExpiredTokenException`.
pub async fn check(router: &Arc<Router>, token: &str) -> Result<Credentials, Error> {
    let unknown = || Error::new("InvalidClientTokenId", 403, "The token included in the request is invalid.");
    let parts = Parts::of(token).ok_or_else(unknown)?;
    let keys = router.identity().credentials(parts.key).await?.ok_or_else(unknown)?;
    if !same(parts.proof, &proof(&keys.secret_key)) {
        return Err(unknown());
    }
    keys.check_session(Some(&parts.session), router.now())?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const HOME: &str = "000000000000";

    /// Who has which keys; a session's secret is its key with a word before it.
    #[derive(Default)]
    struct Keys(Mutex<BTreeMap<String, Credentials>>);

    impl Keys {
        fn put(&self, keys: Credentials) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(keys.access_key.clone(), keys);
        }
    }

    fn lasting(key: &str, account: &str, principal: Principal) -> Credentials {
        Credentials {
            access_key: key.to_owned(),
            secret_key: format!("secret of {key}"),
            session_token: None,
            expires: None,
            principal,
            account: account.to_owned(),
            attempt: None,
        }
    }

    fn user(context: Option<SessionContext>) -> Principal {
        let user_arn = format!("arn:aws:iam::{HOME}:user/ann");
        Principal::User { user_arn, attempt: None, access_key: None, context: context.map(Box::new) }
    }

    #[async_trait::async_trait]
    impl service::identity::Identity for Keys {
        async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
            Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned())
        }

        async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
            Ok(())
        }

        async fn role_session(&self, _: &str, _: &str, _: Option<&str>) -> Result<Principal, Error> {
            Ok(Principal::root(HOME))
        }

        async fn issue(&self, principal: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
            let count = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
            let keys = lasting(&format!("ASIA{count}"), HOME, principal.clone());
            let keys = Credentials { session_token: Some(format!("session {count}")), ..keys };
            self.put(keys.clone());
            Ok(keys)
        }

        async fn revoke(&self, _: &str) -> Result<(), Error> {
            Ok(())
        }
    }

    fn world() -> (Arc<Router>, Arc<Keys>) {
        let (router, keys) = (Router::new(), Arc::new(Keys::default()));
        keys.put(lasting("AKIAANN", HOME, user(None)));
        keys.put(lasting("root", HOME, Principal::root(HOME)));
        keys.put(lasting("other", "111111111111", Principal::root("111111111111")));
        router.set_identity(keys.clone());
        (router, keys)
    }

    async fn token(router: &Arc<Router>, client: &str, first_ms: i64) -> String {
        let keys = router.identity().credentials(client).await.unwrap().unwrap();
        issue(router, &keys, first_ms).await.map_err(|refusal| refusal.2).unwrap()
    }

    #[tokio::test]
    async fn a_token_needs_the_sessions_secret() {
        let (router, _) = world();
        let token = token(&router, "AKIAANN", 0).await;
        assert_eq!(check(&router, &token).await.unwrap().principal.arn(HOME), user(None).arn(HOME));
        let parts: Vec<&str> = token.split('.').collect();
        let of = |proof: &str| [&parts[..3], &[proof], &parts[4..]].concat().join(".");
        assert_eq!(of(parts[3]), token);
        for forged in [of(""), of(&sha256_hex(b"")), of(parts[5]), parts[..3].join("."), parts[..4].join(".")] {
            assert_eq!(check(&router, &forged).await.unwrap_err().code(), "InvalidClientTokenId", "{forged}");
        }
    }

    #[tokio::test]
    async fn an_exchange_widens_nothing_and_ends() {
        let (router, held) = world();
        let now = router.now().as_millisecond();
        let exchanged = async |token: &str| by_token(&router, token).await.map_err(|Refusal(_, _, why)| why);
        for client in ["AKIAANN", "root"] {
            let (keys, first_ms) = exchanged(&token(&router, client, now - 5).await).await.unwrap();
            assert_eq!((keys.access_key.as_str(), first_ms), (client, now - 5));
            let late = now - 13 * 3600 * 1000;
            let old = token(&router, client, late).await;
            assert!(exchanged(&old).await.unwrap_err().contains("12 hours"));
            let renewed = old.replace(&format!(".{late}."), &format!(".{now}."));
            assert_eq!(exchanged(&renewed).await.unwrap_err(), "the token is invalid");
        }
        let policy_arns = vec!["arn:aws:iam::aws:policy/AmazonS3FullAccess".to_owned()];
        let bounded = user(Some(SessionContext { policy_arns, ..SessionContext::default() }));
        let keys = Credentials { session_token: Some("s".to_owned()), ..lasting("ASIAX", HOME, bounded) };
        let (token, proof) = (URL.encode("s"), proof(&keys.secret_key));
        held.put(keys);
        let token = format!("ASIAX.{token}.AKIAANN.{proof}.{now}.x");
        check(&router, &token).await.unwrap();
        assert!(exchanged(&token).await.unwrap_err().contains("bounds"));
    }

    #[tokio::test]
    async fn other_accounts_get_no_token() {
        let (router, _) = world();
        let by =
            async |id: &str, secret: &str| by_secret(&router, HOME, (id, secret)).await.map_err(|refusal| refusal.0);
        assert_eq!(by("root", "secret of root").await.unwrap().0.access_key, "root");
        assert_eq!(by("root", "secret of other").await.unwrap_err(), "invalid_client");
        assert_eq!(by("other", "secret of other").await.unwrap_err(), "unauthorized_client");
    }
}
