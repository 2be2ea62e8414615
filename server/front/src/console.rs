//! The console's HTTP side: its bundle, sessions, and `POST /console/api/<service>/<Operation>`, which goes through the same
//! Router as everything else with the session's principal. The pages are in `console/`.
//!
//! Map: this file sessions and calls · [`files`] the bundle · [`stream`] what tells open pages that something changed.
//!
//! A session begins with keys, or with the token that the server left in its data folder (`lakerun status` prints the URL). It is
//! kept with the records, under the hash of its id, so that a restart ends nothing. The cookie is HttpOnly and SameSite=Strict,
//! and writes need a matching Origin.

mod files;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router};
use store::{Key, Store};
use wire::codec::validate;
use wire::{Error, Protocol, codec};

use crate::{ResponseBody, whole};

/// The largest body that the console sends.
pub(crate) const MAX_BODY: usize = 16 << 20;
const SESSION_HOURS: i64 = 24 * 7;
const MAX_SESSIONS: usize = 1000;
const COOKIE: &str = "lakerun_session";

/// `[console]` in the settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Serve the bundle from this folder instead of the embedded one: for work on the console.
    files: Option<std::path::PathBuf>,
}

pub(crate) struct Console {
    router: Arc<Router>,
    account: String,
    region: String,
    token: String,
    store: Store,
    files: files::Files,
    topics: stream::Topics,
}

#[derive(Serialize, Deserialize)]
struct Session {
    until_ms: i64,
    principal: Principal,
}

impl Console {
    pub(crate) fn new(platform: &Platform, token: String) -> Result<Self, String> {
        let settings: Settings = platform.settings.section("console")?;
        Ok(Self {
            router: platform.router.clone(),
            account: platform.account.clone(),
            region: platform.region.clone(),
            token,
            store: platform.control.store().clone(),
            files: files::Files::new(settings.files),
            topics: stream::Topics::new(platform),
        })
    }

    /// Is this path the console's, or a browser that came to the door?
    pub(crate) fn is_meant(parts: &http::request::Parts) -> bool {
        let path = parts.uri.path();
        let browser = || parts.headers.get("accept").is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
        let door = path == "/" && parts.uri.query().is_none() && parts.method == "GET" && browser();
        path == "/console" || path.starts_with("/console/") || door
    }

    pub(crate) async fn answer(&self, parts: &http::request::Parts, body: Bytes) -> http::Response<ResponseBody> {
        let Some(path) = parts.uri.path().strip_prefix("/console/") else {
            return whole(moved("/console/"));
        };
        let outcome = match (parts.method.as_str(), path) {
            ("GET", "api/session") => self.who(parts).await.map(|v| (v, None)),
            ("GET", "api/changes") => match self.listens(parts).await {
                Ok(response) => return response,
                Err(e) => Err(e),
            },
            ("GET" | "HEAD", file) => return whole(self.files.answer(file, &parts.headers)),
            ("POST", "api/session") => self.sign_in(parts, &body).await,
            ("DELETE", "api/session") => self.sign_out(parts).await,
            ("POST", _) => self.call(parts, path, &body).await.map(|v| (v, None)),
            _ => Err(Error::new("MethodNotAllowed", 405, "The console takes GET, POST and DELETE")),
        };
        whole(match outcome {
            Ok((value, cookie)) => {
                let mut response = json_response(&value, &parts.headers);
                if let Some(cookie) = cookie.and_then(|c| http::HeaderValue::from_str(&c).ok()) {
                    response.headers_mut().insert(http::header::SET_COOKIE, cookie);
                }
                response
            }
            Err(e) => codec::encode_error(Protocol::RestJson, &e, ""),
        })
    }

    /// `{"token"}` or `{"accessKey", "secretKey"}` to a session.
    async fn sign_in(&self, parts: &http::request::Parts, body: &[u8]) -> Result<(Value, Option<String>), Error> {
        same_origin(parts)?;
        let request: Value = serde_json::from_slice(body).map_err(|e| Error::validation(e.to_string()))?;
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let principal = if text("token").is_empty() {
            let refused =
                || Error::new("AccessDenied", 403, "There are no such keys: access key and secret key do not match");
            let keys = self.router.identity().credentials(text("accessKey")).await?.ok_or_else(refused)?;
            if !same(&keys.secret_key, text("secretKey")) {
                return Err(refused());
            }
            keys.check_session(request["sessionToken"].as_str(), self.router.now())?;
            keys.principal
        } else if same(&self.token, text("token")) {
            Principal::Root
        } else {
            let message =
                "This link is of an earlier start of the server: `lakerun open` or `lakerun status` makes a new one";
            return Err(Error::new("AccessDenied", 403, message));
        };
        let id = identity::random_token();
        let now = self.router.now();
        let until = now + jiff::SignedDuration::from_hours(SESSION_HOURS);
        let answer = self.whoami(&principal);
        let session = Session { until_ms: until.as_millisecond(), principal };
        let (key, now_ms) = (session_key(&id), now.as_millisecond());
        self.store
            .write(move |tx| {
                let mut held = 0;
                for (key, value) in tx.scan_prefix(sessions(), 2 * MAX_SESSIONS)? {
                    match serde_json::from_slice::<Session>(&value) {
                        Ok(old) if old.until_ms > now_ms => held += 1,
                        _ => tx.delete(&key)?,
                    }
                }
                if held >= MAX_SESSIONS {
                    return Err(Error::throttling("Too many console sessions"));
                }
                Ok(tx.put_json(&key, &session)?)
            })
            .await?;
        Ok((
            answer,
            Some(format!("{COOKIE}={id}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={}", SESSION_HOURS * 3600)),
        ))
    }

    async fn sign_out(&self, parts: &http::request::Parts) -> Result<(Value, Option<String>), Error> {
        same_origin(parts)?;
        if let Some(id) = cookie(parts) {
            let key = session_key(id);
            self.store.write(move |tx| tx.delete(&key)).await?;
        }
        Ok((json!({}), Some(format!("{COOKIE}=; Path=/console; HttpOnly; SameSite=Strict; Max-Age=0"))))
    }

    async fn who(&self, parts: &http::request::Parts) -> Result<Value, Error> {
        Ok(self.whoami(&self.principal(parts).await?))
    }

    fn whoami(&self, principal: &Principal) -> Value {
        json!({
            "principal": principal.arn(&self.account), "account": self.account, "region": self.region,
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// `?topics=states,glue`: says so whenever one of these services has written something.
    async fn listens(&self, parts: &http::request::Parts) -> Result<http::Response<ResponseBody>, Error> {
        self.principal(parts).await?;
        let query = parts.uri.query().unwrap_or_default();
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("topics=")).unwrap_or_default();
        self.topics.listen(asked)
    }

    /// `api/<service>/<Operation>`, the body in the model's JSON.
    async fn call(&self, parts: &http::request::Parts, path: &str, body: &[u8]) -> Result<Value, Error> {
        same_origin(parts)?;
        let principal = self.principal(parts).await?;
        let mut names = path.trim_start_matches("api/").split('/');
        let (service, operation) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let spec = self.router.find(service, operation).ok_or_else(|| Error::unknown_operation(service, operation))?;
        let region = parts.headers.get("x-lakerun-region").and_then(|v| v.to_str().ok()).unwrap_or(&self.region);
        let cx = Cx::new(self.router.clone(), principal, &self.account, region);
        let input = validate::prepare(spec.input, codec::json::decode(body)?).map_err(|e| service::refusal(spec, e))?;
        self.router.call_canonical(&cx, spec, input).await
    }

    async fn principal(&self, parts: &http::request::Parts) -> Result<Principal, Error> {
        let unknown = || Error::new("Unauthenticated", 401, "Sign in first");
        let key = session_key(cookie(parts).ok_or_else(unknown)?);
        let found = self.store.read(|tx| tx.get_json::<Session>(&key)).await?;
        let now = self.router.now().as_millisecond();
        found.filter(|session| session.until_ms > now).map(|session| session.principal).ok_or_else(unknown)
    }
}

fn sessions() -> Key {
    Key::new("console").push("session")
}

/// Who reads the records cannot use a session: its id is not among them.
fn session_key(id: &str) -> Key {
    sessions().push(wire::sigv4::sha256_hex(id.as_bytes()))
}

fn cookie(parts: &http::request::Parts) -> Option<&str> {
    let cookies = parts.headers.get(http::header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|c| c.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// A page of another site must not use the session, nor one that rebinds its name to this address.
fn same_origin(parts: &http::request::Parts) -> Result<(), Error> {
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let host = header(http::header::HOST).unwrap_or_default();
    match header(http::header::ORIGIN) {
        Some(origin) if origin.split("://").nth(1) != Some(host) => {
            Err(Error::new("AccessDenied", 403, format!("Requests from {origin} are not allowed")))
        }
        _ => Ok(()),
    }
}

/// Equality that takes the same time wherever two texts differ.
fn same(a: &str, b: &str) -> bool {
    wire::sigv4::sha256_hex(a.as_bytes()) == wire::sigv4::sha256_hex(b.as_bytes())
}

fn moved(to: &'static str) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = http::StatusCode::FOUND;
    response.headers_mut().insert(http::header::LOCATION, http::HeaderValue::from_static(to));
    response
}

/// From this many bytes on an answer is worth compressing.
const LARGE: usize = 4096;

fn json_response(value: &Value, asked: &http::HeaderMap) -> http::Response<Bytes> {
    let text = value.to_string().into_bytes();
    let packed = text.len() >= LARGE && files::takes_gzip(asked);
    let body = if packed { files::gzip(&text, flate2::Compression::fast()) } else { text };
    let mut response = http::Response::new(Bytes::from(body));
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    if packed {
        headers.insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    }
    response
}
