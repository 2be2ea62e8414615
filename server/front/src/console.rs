//! The console's HTTP side: its embedded bundle, sessions, and `POST /console/api/<service>/<Operation>`, which goes through
//! the same Router as everything else with the session's principal. The pages are in `console/`.
//!
//! A session begins with keys, or with the token that the server left in its data folder (`lakerun status` prints the URL).
//! It lives in memory: a restart ends it. The cookie is HttpOnly and SameSite=Strict, and writes need a matching Origin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router};
use wire::codec::validate;
use wire::{Error, Protocol, codec};

use crate::{ResponseBody, whole};

/// The largest body that the console sends.
pub(crate) const MAX_BODY: usize = 4 << 20;
const SESSION_HOURS: i64 = 12;
const MAX_SESSIONS: usize = 1000;
const COOKIE: &str = "lakerun_session";

const FILES: [(&str, &str, &[u8]); 3] = [
    ("", "text/html; charset=utf-8", include_bytes!("../../../console/dist/index.html")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../../../console/dist/app.js")),
    ("app.css", "text/css; charset=utf-8", include_bytes!("../../../console/dist/app.css")),
];

/// Only what the bundle itself brings may run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(crate) struct Console {
    router: Arc<Router>,
    account: String,
    region: String,
    token: String,
    sessions: Mutex<BTreeMap<String, (jiff::Timestamp, Principal)>>,
}

impl Console {
    pub(crate) fn new(platform: &Platform, token: String) -> Self {
        Self {
            router: platform.router.clone(),
            account: platform.account.clone(),
            region: platform.region.clone(),
            token,
            sessions: Mutex::default(),
        }
    }

    pub(crate) async fn answer(&self, parts: &http::request::Parts, body: Bytes) -> http::Response<ResponseBody> {
        let path = parts.uri.path().trim_start_matches("/console").trim_start_matches('/');
        let outcome = match (parts.method.as_str(), path) {
            ("GET", file) => return whole(Self::file(file)),
            ("POST", "api/session") => self.sign_in(parts, &body).await,
            ("POST", _) => self.call(parts, path, &body).await.map(|v| (v, None)),
            _ => Err(Error::new("MethodNotAllowed", 405, "The console takes GET and POST")),
        };
        whole(match outcome {
            Ok((value, cookie)) => {
                let mut response = json_response(200, &value);
                if let Some(cookie) = cookie.and_then(|c| http::HeaderValue::from_str(&c).ok()) {
                    response.headers_mut().insert(http::header::SET_COOKIE, cookie);
                }
                response
            }
            Err(e) => codec::encode_error(Protocol::RestJson, &e, ""),
        })
    }

    fn file(path: &str) -> http::Response<Bytes> {
        let found = FILES.iter().find(|(name, ..)| *name == path);
        let mut response = http::Response::new(Bytes::from_static(found.map_or(b"not found", |f| f.2)));
        match found {
            None => *response.status_mut() = http::StatusCode::NOT_FOUND,
            Some((_, kind, _)) => {
                for (name, value) in [
                    ("content-type", *kind),
                    ("content-security-policy", POLICY),
                    ("cache-control", "no-cache"),
                    ("x-content-type-options", "nosniff"),
                ] {
                    response.headers_mut().insert(name, http::HeaderValue::from_static(value));
                }
            }
        }
        response
    }

    /// `{"token"}` or `{"accessKey", "secretKey"}` to a session.
    async fn sign_in(&self, parts: &http::request::Parts, body: &[u8]) -> Result<(Value, Option<String>), Error> {
        same_origin(parts)?;
        let request: Value = serde_json::from_slice(body).map_err(|e| Error::validation(e.to_string()))?;
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let refused = || Error::new("AccessDenied", 403, "The token or the keys are not valid");
        let principal = if text("token").is_empty() {
            let keys = self.router.identity().credentials(text("accessKey")).await?.ok_or_else(refused)?;
            if !same(&keys.secret_key, text("secretKey")) {
                return Err(refused());
            }
            keys.check_session(request["sessionToken"].as_str(), self.router.now())?;
            keys.principal
        } else if same(&self.token, text("token")) {
            Principal::Root
        } else {
            return Err(refused());
        };
        let id = identity::random_token();
        let until = self.router.now() + jiff::SignedDuration::from_hours(SESSION_HOURS);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.router.now();
        sessions.retain(|_, (until, _)| *until > now);
        if sessions.len() >= MAX_SESSIONS {
            return Err(Error::throttling("Too many console sessions"));
        }
        let answer = json!({"principal": principal.arn(&self.account), "account": self.account, "region": self.region});
        sessions.insert(id.clone(), (until, principal));
        Ok((
            answer,
            Some(format!("{COOKIE}={id}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={}", SESSION_HOURS * 3600)),
        ))
    }

    /// `api/<service>/<Operation>`, the body in the model's JSON.
    async fn call(&self, parts: &http::request::Parts, path: &str, body: &[u8]) -> Result<Value, Error> {
        same_origin(parts)?;
        let principal = self.session(parts).ok_or_else(|| Error::new("Unauthenticated", 401, "Sign in first"))?;
        let mut names = path.trim_start_matches("api/").split('/');
        let (service, operation) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let spec = self.router.find(service, operation).ok_or_else(|| Error::unknown_operation(service, operation))?;
        let region = parts.headers.get("x-lakerun-region").and_then(|v| v.to_str().ok()).unwrap_or(&self.region);
        let cx = Cx::new(self.router.clone(), principal, &self.account, region);
        let input = validate::prepare(spec.input, codec::json::decode(body)?).map_err(|e| service::refusal(spec, e))?;
        self.router.call_canonical(&cx, spec, input).await
    }

    fn session(&self, parts: &http::request::Parts) -> Option<Principal> {
        let cookies = parts.headers.get(http::header::COOKIE)?.to_str().ok()?;
        let id = cookies.split(';').find_map(|c| c.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(id).filter(|(until, _)| *until > self.router.now()).map(|(_, p)| p.clone())
    }
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

fn json_response(status: u16, value: &Value) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(value.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
