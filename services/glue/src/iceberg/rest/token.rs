//! OAuth2 for clients that do not sign: `POST /v1/oauth/tokens` gives a token for an access key and its secret (RFC 6749, 4.4), and a new
//! token for one that is about to end (RFC 8693). A token is a session of the key's principal, as `GetSessionToken` makes one.

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
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Why there is no token. Names of RFC 6749, 5.2.
struct Refusal(&'static str, StatusCode, String);

/// Answers a request for a token.
pub async fn grant(router: &Arc<Router>, headers: &http::HeaderMap, body: &Bytes) -> http::Response<Bytes> {
    let form = pairs(&String::from_utf8_lossy(body));
    let granted = match client(router, headers, &form).await {
        Ok((client, principal)) => issue(router, &client, &principal).await,
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

/// Who asks: the access key, and who has it.
async fn client(
    router: &Arc<Router>,
    headers: &http::HeaderMap,
    form: &BTreeMap<String, String>,
) -> Result<(String, Principal), Refusal> {
    let of_form = form.get("client_id").zip(form.get("client_secret")).map(|(id, secret)| (id.clone(), secret.clone()));
    let grant = form.get("grant_type").map_or("", String::as_str);
    if let Some((id, secret)) = basic(headers).or(of_form)
        && [EXCHANGE, "client_credentials"].contains(&grant)
    {
        return by_secret(router, id, &secret).await;
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

/// Only keys that last: a session has no secret alone.
async fn by_secret(router: &Arc<Router>, id: String, secret: &str) -> Result<(String, Principal), Refusal> {
    let keys = router.identity().credentials(&id).await.map_err(|error| failed(&error))?;
    // Hashes are compared, so that how long it takes says nothing of the secret.
    let fits = |keys: &Credentials| sha256_hex(keys.secret_key.as_bytes()) == sha256_hex(secret.as_bytes());
    let keys = keys.filter(|keys| keys.session_token.is_none() && fits(keys)).ok_or_else(invalid_client)?;
    Ok((id, keys.principal))
}

/// A token that still counts, of a key that is still there.
async fn by_token(router: &Arc<Router>, token: &str) -> Result<(String, Principal), Refusal> {
    let grant = |message: &str| Refusal("invalid_grant", StatusCode::BAD_REQUEST, message.to_owned());
    let session = check(router, token).await.map_err(|error| grant(error.message()))?;
    let client = token.rsplit('.').next().unwrap_or_default();
    let keys = router.identity().credentials(client).await.map_err(|error| failed(&error))?;
    let lasting = keys.filter(|keys| keys.session_token.is_none() && keys.account == session.account);
    let same = lasting.filter(|keys| keys.principal.arn(&keys.account) == session.principal.arn(&session.account));
    same.map(|keys| (client.to_owned(), keys.principal)).ok_or_else(|| grant("the token's access key is no more"))
}

/// A token: the session's access key and token, and the key that it was made for.
async fn issue(router: &Arc<Router>, client: &str, principal: &Principal) -> Result<String, Refusal> {
    let issued_ms = Some(router.now().as_millisecond());
    let principal = match principal {
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
    let token = keys.session_token.as_deref().unwrap_or_default();
    Ok(format!("{}.{}.{client}", keys.access_key, URL.encode(token)))
}

const URL: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The session that a token stands for.
///
/// # Errors
/// `InvalidClientTokenId` or `ExpiredTokenException`.
pub async fn check(router: &Arc<Router>, token: &str) -> Result<Credentials, Error> {
    let unknown = || Error::new("InvalidClientTokenId", 403, "The token included in the request is invalid.");
    let mut parts = token.split('.');
    let (Some(key), Some(session), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(unknown());
    };
    let session = URL.decode(session).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unknown)?;
    let keys = router.identity().credentials(key).await?.ok_or_else(unknown)?;
    if session.is_empty() {
        return Err(unknown());
    }
    keys.check_session(Some(&session), router.now())?;
    Ok(keys)
}
