//! S3 through its HTTP door and the Router: round trips, refusals, crashes, undo, events.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod crash;
mod door;
mod events;
mod gate;
mod multipart;
mod names;
mod serve;
mod signatures;
mod undo;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use s3_service::{Door, Files, OpenFiles, S3, Settings};
use service::identity::{Credentials, Identity};
use service::{AccountSettings, Cx, Principal, Router};
use store::Store;
use store::objects::Objects;
use wire::Error;
use wire::sigv4::{Claim, Signable, SigningKeys, format_time, sign_request};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const OTHER: &str = "111111111111";

/// Access keys: `root`; `other`, another account's; `role` may only read `arn:aws:s3:::open/*`; `old` has expired. The last two have the token `t`.
struct Keys;

fn role(name: &str, attempt: Option<&str>) -> Principal {
    Principal::role(format!("arn:aws:iam::{ACCOUNT}:role/{name}"), "s", attempt.map(str::to_owned))
}

#[async_trait]
impl Identity for Keys {
    async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
        let session = !matches!(access_key, "root" | "other");
        let principal = match access_key {
            "root" => Principal::root(ACCOUNT),
            "other" => Principal::root(OTHER),
            "role" | "old" => role("reader", None),
            _ => return Ok(None),
        };
        Ok(Some(Credentials {
            access_key: access_key.into(),
            secret_key: "secret".into(),
            session_token: session.then(|| "t".into()),
            expires: (access_key == "old").then_some(jiff::Timestamp::UNIX_EPOCH),
            principal,
            account: if access_key == "other" { OTHER } else { ACCOUNT }.into(),
            attempt: None,
        }))
    }
    async fn authorize(&self, _: &Principal, action: &str, resource: &str) -> Result<(), Error> {
        if action == "s3:GetObject" && resource.starts_with("arn:aws:s3:::open/") {
            return Ok(());
        }
        Err(Error::access_denied(format!("User is not authorized to perform: {action} on resource: {resource}")))
    }
    async fn role_session(&self, role_arn: &str, _: &str, attempt: Option<&str>) -> Result<Principal, Error> {
        Ok(role(role_arn, attempt))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("issue"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) router: Arc<Router>,
    pub(crate) s3: Arc<S3>,
    pub(crate) door: Door,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Store::memory(), Objects::memory())
    }
    pub(crate) fn over(store: Store, objects: Objects) -> Self {
        let router = Router::new();
        router.set_identity(Arc::new(Keys));
        let usual = Settings::default();
        Self::with(router, store, objects, usual)
    }
    /// Over these settings; the other account is known.
    pub(crate) fn with(router: Arc<Router>, store: Store, objects: Objects, settings: Settings) -> Self {
        let others = [(ACCOUNT, "main"), (OTHER, "alt")].map(|(account, name)| {
            let set = AccountSettings {
                display_name: Some(name.to_owned()),
                email: Some(format!("{name}@example.org")),
                ..AccountSettings::default()
            };
            (account.to_owned(), set)
        });
        let s3 = S3::new(router.clone(), store, objects, (ACCOUNT, others.into()), settings).unwrap();
        let door = Door::new(s3.clone(), ACCOUNT, "us-east-1");
        Self { router, s3, door }
    }
    pub(crate) fn cx(&self) -> Cx {
        Cx::new(self.router.clone(), Principal::root(ACCOUNT), ACCOUNT, "us-east-1")
    }
    pub(crate) fn attempt(&self, id: &str) -> Cx {
        self.router.attempts().open(id);
        self.cx().as_principal(role("job", Some(id)))
    }

    /// A signed request of `access_key` (with the token `t`, unless it is root's).
    pub(crate) async fn call(&self, access_key: &str, method: &str, uri: &str, body: impl Into<Bytes>) -> Answer {
        let token = (!matches!(access_key, "root" | "other")).then_some("t");
        self.send(access_key, "secret", token, method, uri, &[], body.into()).await
    }
    pub(crate) async fn root(&self, method: &str, uri: &str, body: impl Into<Bytes>) -> Answer {
        self.call("root", method, uri, body).await
    }
    #[expect(clippy::too_many_arguments, reason = "a request has that many parts")]
    pub(crate) async fn send(
        &self,
        access_key: &str,
        secret_key: &str,
        token: Option<&str>,
        method: &str,
        uri: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Answer {
        let request = Self::signed((access_key, secret_key, token), method, uri, headers, body);
        Answer::of(self.door.serve(request).await).await
    }

    /// A request as it is, with what its address is signed with.
    pub(crate) async fn plain(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<s3s::Body>,
    ) -> Answer {
        let mut request = Request::new(body.into());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().insert("host", "127.0.0.1:4566".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Answer::of(self.door.serve(request).await).await
    }

    /// GetObject of one who asks for the open files.
    pub(crate) async fn files(&self, access_key: &str, uri: &str) -> (Answer, OpenFiles) {
        let token = (access_key != "root").then_some("t");
        let mut request = Self::signed((access_key, "secret", token), "GET", uri, &[], Bytes::new());
        let files = Files::default();
        request.extensions_mut().insert(files.clone());
        let answer = Answer::of(self.door.serve(request).await).await;
        (answer, files.take())
    }

    fn signed(
        (access_key, secret_key, token): (&str, &str, Option<&str>),
        method: &str,
        uri: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Request<s3s::Body> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut map = HeaderMap::new();
        map.insert("host", "127.0.0.1:4566".parse().unwrap());
        map.insert("content-length", body.len().to_string().parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let keys = SigningKeys { access_key, secret_key, session_token: token };
        sign_request((method, path, query), &mut map, &body, ("us-east-1", "s3"), &keys, jiff::Timestamp::now());
        let mut request = Request::new(s3s::Body::from(body));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        *request.headers_mut() = map;
        request
    }
}

/// A path as root signs it in its query, so long ago, with the keys that are asked for besides. Its signature covers `host` alone.
pub(crate) fn presigned(method: &str, path: &str, more: &str, age_seconds: i64) -> String {
    let now = format_time(jiff::Timestamp::now() - jiff::SignedDuration::from_secs(age_seconds));
    let query = |signature: &str| {
        format!(
            "{more}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=root%2F{}%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date={now}&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
            &now[..8]
        )
    };
    let mut headers = HeaderMap::new();
    headers.insert("host", "127.0.0.1:4566".parse().unwrap());
    let unsigned = query("0");
    let claim = Claim::of(&headers, &unsigned).unwrap().unwrap();
    let signable = Signable { method, path, query: &unsigned, headers: &headers, payload_hash: "UNSIGNED-PAYLOAD" };
    format!("{path}?{}", query(&claim.sign(&signable, "secret")))
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    async fn of(response: Response<s3s::Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// Status and code of an error.
    pub(crate) fn error(&self) -> String {
        let text = self.text();
        let code = text.split_once("<Code>").and_then(|(_, t)| t.split_once("</Code>")).map_or("", |(c, _)| c);
        format!("{} {code}", self.status.as_u16())
    }
}
