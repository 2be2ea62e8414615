//! The console's HTTP side: its bundle, sessions, and `POST /console/api/<service>/<Operation>`, which goes through the same
//! Router as everything else with the session's principal. The pages are in `console/`.
//!
//! Map: this file sessions and calls · [`files`] the bundle · [`stream`] what tells open pages that something changed.
//!
//! A session begins with keys, or with the token that the server left in its data folder (`lakerun status` prints the URL). It is
//! kept with the records, under the hash of its id, so that a restart ends nothing; it may do what the keys may that it began with, and
//! ends with them. The cookie is HttpOnly and SameSite=Strict,
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

/// What a session is kept as: not who has it, which its keys say, each time that it is used.
#[derive(Serialize, Deserialize)]
struct Session {
    until_ms: i64,
    /// None of what a session was before, which is over.
    by: Option<SignedInBy>,
}

#[derive(Serialize, Deserialize)]
enum SignedInBy {
    /// The link that the server left in its data folder: the owner.
    Link,
    Keys {
        access_key: String,
        /// The hash of secret and session token: other keys of the same id are not those that signed in.
        proof: String,
    },
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
        let now = self.router.now();
        let longest = now + jiff::SignedDuration::from_hours(SESSION_HOURS);
        let (by, until) = if text("token").is_empty() {
            let refused =
                || Error::new("AccessDenied", 403, "There are no such keys: access key and secret key do not match");
            let keys = self.router.identity().credentials(text("accessKey")).await?.ok_or_else(refused)?;
            if !same(&keys.secret_key, text("secretKey")) {
                return Err(refused());
            }
            keys.check_session(request["sessionToken"].as_str(), now)?;
            let until = keys.expires.map_or(longest, |expires| expires.min(longest));
            (SignedInBy::Keys { proof: proof(&keys), access_key: keys.access_key }, until)
        } else if same(&self.token, text("token")) {
            (SignedInBy::Link, longest)
        } else {
            let message =
                "This link is of an earlier start of the server: `lakerun open` or `lakerun status` makes a new one";
            return Err(Error::new("AccessDenied", 403, message));
        };
        let id = identity::random_token();
        let answer = self.whoami(&self.caller_of(&by, parts).await?);
        let session = Session { until_ms: until.as_millisecond(), by: Some(by) };
        let seconds = until.duration_since(now).as_secs();
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
        let secure = secure(parts);
        Ok((
            answer,
            Some(format!("{COOKIE}={id}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")),
        ))
    }

    async fn sign_out(&self, parts: &http::request::Parts) -> Result<(Value, Option<String>), Error> {
        same_origin(parts)?;
        if let Some(id) = cookie(parts) {
            let key = session_key(id);
            self.store.write(move |tx| tx.delete(&key)).await?;
        }
        let secure = secure(parts);
        Ok((json!({}), Some(format!("{COOKIE}=; Path=/console; HttpOnly; SameSite=Strict; Max-Age=0{secure}"))))
    }

    async fn who(&self, parts: &http::request::Parts) -> Result<Value, Error> {
        Ok(self.whoami(&self.caller(parts).await?))
    }

    fn whoami(&self, cx: &Cx) -> Value {
        json!({
            "principal": cx.principal().arn(cx.account()), "account": cx.account(), "region": self.region,
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// `?topics=states,glue`: says so whenever one of these services has written something.
    async fn listens(&self, parts: &http::request::Parts) -> Result<http::Response<ResponseBody>, Error> {
        self.caller(parts).await?;
        let query = parts.uri.query().unwrap_or_default();
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("topics=")).unwrap_or_default();
        self.topics.listen(asked)
    }

    /// `api/<service>/<Operation>`, the body in the model's JSON.
    async fn call(&self, parts: &http::request::Parts, path: &str, body: &[u8]) -> Result<Value, Error> {
        same_origin(parts)?;
        let cx = self.caller(parts).await?;
        let mut names = path.trim_start_matches("api/").split('/');
        let (service, operation) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let spec = self.router.find(service, operation).ok_or_else(|| Error::unknown_operation(service, operation))?;
        let region = parts.headers.get("x-lakerun-region").and_then(|v| v.to_str().ok()).unwrap_or(&self.region);
        let cx = cx.with_region(region);
        let input = validate::prepare(spec.input, codec::json::decode(body)?).map_err(|e| service::refusal(spec, e))?;
        self.router.call_canonical(&cx, spec, input).await
    }

    /// Who has signed in, as the keys say now: in their account, as long as they are good, and as the attempt of a job that holds them.
    async fn caller(&self, parts: &http::request::Parts) -> Result<Cx, Error> {
        let key = session_key(cookie(parts).ok_or_else(unknown)?);
        let found = self.store.read(|tx| tx.get_json::<Session>(&key)).await?;
        let now = self.router.now().as_millisecond();
        let by = found.filter(|session| session.until_ms > now).and_then(|session| session.by).ok_or_else(unknown)?;
        self.caller_of(&by, parts).await
    }

    async fn caller_of(&self, by: &SignedInBy, parts: &http::request::Parts) -> Result<Cx, Error> {
        let cx = |principal| Cx::new(self.router.clone(), principal, &self.account, &self.region);
        let cx = match by {
            SignedInBy::Link => cx(Principal::root(&self.account)),
            SignedInBy::Keys { access_key, proof: held } => {
                let keys = self.router.identity().credentials(access_key).await?.ok_or_else(unknown)?;
                if !same(&proof(&keys), held) || keys.expires.is_some_and(|expires| self.router.now() >= expires) {
                    return Err(unknown());
                }
                cx(Principal::Anonymous).with_credentials(keys)
            }
        };
        Ok(cx.with_origin(crate::origin(parts)))
    }
}

fn unknown() -> Error {
    Error::new("Unauthenticated", 401, "Sign in first")
}

fn proof(keys: &service::identity::Credentials) -> String {
    let token = keys.session_token.as_deref().unwrap_or_default();
    wire::sigv4::sha256_hex(format!("{}/{token}", keys.secret_key).as_bytes())
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

/// Of a page that came by TLS, also where a proxy took that off: its cookie goes by TLS alone.
fn secure(parts: &http::request::Parts) -> &'static str {
    let by_tls =
        parts.headers.get(http::header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    if by_tls { "; Secure" } else { "" }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "000000000000";
    const OTHER: &str = "111111111111";

    fn console() -> Console {
        let queue = || store::Queue::new(Store::memory());
        let other = json!({ "access_key_id": "AKOTHER", "secret_access_key": "other" });
        let settings = json!({ "s3": { "accounts": { OTHER: other } } });
        let platform = Platform {
            router: Router::new(),
            control: queue(),
            s3: queue(),
            dynamodb: queue(),
            data: std::env::temp_dir(),
            objects: None,
            endpoint: "http://127.0.0.1:1".to_owned(),
            account: HOME.to_owned(),
            region: "us-east-1".to_owned(),
            settings: service::Settings(Arc::new(settings.as_object().cloned().unwrap_or_default())),
        };
        let root = identity::RootKeys { access_key: "AKROOT".to_owned(), secret_key: "root".to_owned() };
        identity::register(&platform, root);
        Console::new(&platform, "link".to_owned()).unwrap()
    }

    fn parts(cookie: Option<&str>) -> http::request::Parts {
        let request = http::Request::post("/console/api/sts/GetCallerIdentity");
        let request = cookie.into_iter().fold(request, |request, cookie| request.header(http::header::COOKIE, cookie));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(s3_service::Peer { address: [203, 0, 113, 7].into(), secure: false, by_tls: false });
        parts
    }

    /// The cookie of a new session, and what the answer says of who has it.
    async fn signed_in(console: &Console, with: &Value) -> (String, Value) {
        let (answer, cookie) = console.sign_in(&parts(None), with.to_string().as_bytes()).await.unwrap();
        (cookie.unwrap().split(';').next().unwrap_or_default().to_owned(), answer)
    }

    async fn caller(console: &Console, cookie: &str) -> Result<Cx, Error> {
        console.caller(&parts(Some(cookie))).await
    }

    #[tokio::test]
    async fn a_session_is_of_the_account_of_its_keys() {
        let console = console();
        let (cookie, answer) = signed_in(&console, &json!({ "accessKey": "AKOTHER", "secretKey": "other" })).await;
        assert_eq!(
            (&answer["account"], &answer["principal"]),
            (&json!(OTHER), &json!("arn:aws:iam::111111111111:root"))
        );
        let cx = caller(&console, &cookie).await.unwrap();
        assert_eq!((cx.account(), cx.principal()), (OTHER, &Principal::root(OTHER)));
        let origin = cx.origin().unwrap();
        assert_eq!((origin.address, origin.secure), (Some([203, 0, 113, 7].into()), false));
        for with in [json!({ "token": "link" }), json!({ "accessKey": "AKROOT", "secretKey": "root" })] {
            let (cookie, _) = signed_in(&console, &with).await;
            let cx = caller(&console, &cookie).await.unwrap();
            assert_eq!((cx.account(), cx.principal()), (HOME, &Principal::root(HOME)));
        }
    }

    #[tokio::test]
    async fn a_session_ends_with_its_keys_and_is_the_attempts_that_holds_them() {
        let console = console();
        let (identity, valid) = (Arc::clone(console.router.identity()), jiff::SignedDuration::from_mins(15));
        let keys = identity.lend_attempt(&Principal::root(HOME), "job#1", valid).await.unwrap();
        let with =
            json!({ "accessKey": keys.access_key, "secretKey": keys.secret_key, "sessionToken": keys.session_token });
        let (answer, cookie) = console.sign_in(&parts(None), with.to_string().as_bytes()).await.unwrap();
        assert_eq!(answer["account"], HOME);
        let cookie = cookie.unwrap();
        let age: i64 = cookie.rsplit('=').next().unwrap().parse().unwrap();
        assert!(age <= 15 * 60, "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(caller(&console, cookie).await.unwrap().attempt(), Some("job#1"));
        identity.revoke(&keys.access_key).await.unwrap();
        assert_eq!(caller(&console, cookie).await.unwrap_err().code(), "Unauthenticated");
    }

    #[tokio::test]
    async fn a_session_of_before_is_over() {
        let console = console();
        let old = json!({ "until_ms": i64::MAX, "principal": "Root" });
        console.store.write(move |tx| tx.put_json(session_key("id"), &old)).await.unwrap();
        let refused = caller(&console, &format!("{COOKIE}=id")).await.unwrap_err();
        assert_eq!(refused.code(), "Unauthenticated");
    }
}
