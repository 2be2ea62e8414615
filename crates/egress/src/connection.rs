//! An EventBridge connection, as its secret in Secrets Manager has it, and the tokens that OAuth gives for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use service::Cx;
use wire::Error;
use wire::arn::Arn;

use crate::{Door, Request, form};

/// A token whose answer does not say how long it lasts.
const TOKEN_SECONDS: i64 = 3600;
/// A token is not used in its last moments. Source: EventBridge User Guide, "OAuth authorization".
const MARGIN_SECONDS: i64 = 60;
/// What an authorization endpoint answers is read so far.
const TOKEN_BYTES: usize = 262_144;

/// What a connection adds to every call.
#[derive(Clone, Default, PartialEq)]
pub struct Additions {
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub body: Vec<(String, String)>,
}

/// The secret's JSON; which fields there are, says the connection's kind.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Connection {
    username: Option<String>,
    password: Option<String>,
    api_key_name: Option<String>,
    api_key_value: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    authorization_endpoint: Option<String>,
    http_method: Option<String>,
    oauth_http_parameters: HttpParameters,
    invocation_http_parameters: HttpParameters,
    /// The secret's version: a changed one gets a token of its own.
    #[serde(skip)]
    version: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HttpParameters {
    #[serde(rename = "header_parameters")]
    headers: Vec<Parameter>,
    #[serde(rename = "query_string_parameters")]
    query: Vec<Parameter>,
    #[serde(rename = "body_parameters")]
    body: Vec<Parameter>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameter {
    key: String,
    value: String,
}

/// Tokens that are still good, by the version of the secret that they were given for.
#[derive(Default)]
pub struct Tokens(Mutex<BTreeMap<String, (String, Timestamp)>>);

impl Tokens {
    fn find(&self, version: &str, now: Timestamp) -> Option<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, until)| *until > now);
        known.get(version).map(|(token, _)| token.clone())
    }

    fn keep(&self, version: &str, token: String, until: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(version.to_owned(), (token, until));
    }
}

/// Why a connection cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum Unusable {
    NotFound(String),
    /// The caller may not read its credentials.
    Denied(String),
    /// It is not authorized, or its authorization endpoint gave no token.
    State(String),
    Internal(String),
}

impl Unusable {
    pub fn cause(&self) -> &str {
        match self {
            Self::NotFound(cause) | Self::Denied(cause) | Self::State(cause) | Self::Internal(cause) => cause,
        }
    }
}

impl Connection {
    /// Reads the connection's credentials as who `cx` is.
    ///
    /// # Errors
    /// Where it is not there, not authorized, or not the caller's to read.
    pub async fn retrieve(cx: &Cx, arn: &str) -> Result<Self, Unusable> {
        let missing = || Unusable::NotFound(format!("The connection {arn} does not exist."));
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "events").ok_or_else(missing)?;
        let name = parsed.resource.strip_prefix("connection/").and_then(|rest| rest.split('/').next());
        let name = name.ok_or_else(missing)?.to_owned();
        let denied = |error: &Error| Unusable::Denied(error.message().to_owned());
        cx.router().authorize(cx, "events:RetrieveConnectionCredentials", arn).await.map_err(|error| denied(&error))?;
        let there = cx.with_region(&parsed.region);
        let described =
            there.as_platform().call_json("eventbridge", "describeConnection", json!({ "Name": name })).await;
        let described = described.map_err(|error| {
            let of = if error.is("ResourceNotFoundException") { return missing() } else { error.message() };
            Unusable::Internal(of.to_owned())
        })?;
        if described["ConnectionArn"].as_str() != Some(arn) {
            return Err(missing());
        }
        let state = described["ConnectionState"].as_str().unwrap_or_default();
        let (Some(secret), "AUTHORIZED") = (described["SecretArn"].as_str(), state) else {
            return Err(Unusable::State(format!("The connection {arn} is in the state {state}.")));
        };
        let secret = there.call_json("secretsmanager", "getSecretValue", json!({ "SecretId": secret })).await;
        let secret = secret.map_err(|error| denied(&error))?;
        let read: Result<Self, _> = serde_json::from_str(secret["SecretString"].as_str().unwrap_or_default());
        // Not the reader's words, which may quote the secret.
        let read = read.map_err(|_| Unusable::Internal("The connection's secret cannot be read.".to_owned()))?;
        Ok(Self { version: secret["VersionId"].as_str().unwrap_or_default().to_owned(), ..read })
    }

    /// Whether its credentials are exchanged for a token, which may be got anew.
    pub fn refreshes(&self) -> bool {
        self.client_id.is_some()
    }

    /// What it adds to a call; with `fresh`, a token is not taken from those that are known.
    ///
    /// # Errors
    /// Where its authorization endpoint gives no token.
    pub async fn additions(
        &self,
        (door, tokens): (&Door, &Tokens),
        now: Timestamp,
        fresh: bool,
    ) -> Result<Additions, Unusable> {
        let mut added = self.invocation_http_parameters.additions();
        if let (Some(name), Some(password)) = (&self.username, &self.password) {
            let both = STANDARD.encode(format!("{name}:{password}"));
            added.headers.push(("Authorization".to_owned(), format!("Basic {both}")));
        }
        if let (Some(name), Some(value)) = (&self.api_key_name, &self.api_key_value) {
            added.headers.push((name.clone(), value.clone()));
        }
        if self.refreshes() {
            let token = self.token(door, tokens, now, fresh).await?;
            added.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        Ok(added)
    }

    async fn token(&self, door: &Door, tokens: &Tokens, now: Timestamp, fresh: bool) -> Result<String, Unusable> {
        if !fresh && let Some(token) = tokens.find(&self.version, now) {
            return Ok(token);
        }
        let refused = |what: &str| Unusable::State(format!("The authorization endpoint gave no token: {what}"));
        let request = self.token_request().ok_or_else(|| refused("its URL is not one"))?;
        let answer = door.exchange(&request, TOKEN_BYTES).await.map_err(|failed| refused(failed.cause()))?;
        if !answer.is_success() {
            return Err(refused(&format!("it answered {} {}", answer.status, answer.reason)));
        }
        let given: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = given["access_token"].as_str().ok_or_else(|| refused("its answer has no access_token"))?;
        let lasts = given["expires_in"].as_i64().unwrap_or(TOKEN_SECONDS).clamp(0, 24 * 3600);
        let until = now + SignedDuration::from_secs((lasts - MARGIN_SECONDS).max(0));
        tokens.keep(&self.version, token.to_owned(), until);
        Ok(token.to_owned())
    }

    /// Client credentials as RFC 6749, section 4.4, has them: in the form, or where there is none, in the query.
    fn token_request(&self) -> Option<Request> {
        let mut url = Url::parse(self.authorization_endpoint.as_deref()?).ok()?;
        let added = self.oauth_http_parameters.additions();
        let mut form = added.body;
        for (key, value) in [
            ("grant_type", Some("client_credentials".to_owned())),
            ("client_id", self.client_id.clone()),
            ("client_secret", self.client_secret.clone()),
        ] {
            if !form.iter().any(|(known, _)| known == key) {
                form.push((key.to_owned(), value.unwrap_or_default()));
            }
        }
        let method = self.http_method.clone().unwrap_or_else(|| "POST".to_owned());
        let mut query = added.query;
        let mut headers = added.headers;
        let body = if method == "GET" {
            query.extend(form);
            None
        } else {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                headers.push(("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
            }
            Some(form::joined(&form))
        };
        if !query.is_empty() {
            let before = url.query().map(|query| format!("{query}&")).unwrap_or_default();
            url.set_query(Some(&format!("{before}{}", form::joined(&query))));
        }
        Some(Request { url, method, headers, body })
    }
}

impl HttpParameters {
    fn additions(&self) -> Additions {
        let pairs = |all: &[Parameter]| all.iter().map(|one| (one.key.clone(), one.value.clone())).collect();
        Additions { headers: pairs(&self.headers), query: pairs(&self.query), body: pairs(&self.body) }
    }
}
