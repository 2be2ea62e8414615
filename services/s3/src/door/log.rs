//! Lines of access logs: what a request to a bucket that logs was, and what became of it. What a line looks like and where it goes,
//! [`crate::logging`] knows.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, HOST, REFERER, USER_AGENT};
use s3s::{HttpRequest, HttpResponse};
use service::Principal;

use super::access::Caller;
use super::gate::SignatureKind;
use super::{Peer, Target, gate, host};
use crate::S3;
use crate::logging::{self, Line};
use crate::state::Bucket;

/// A request to a bucket that logs.
pub(super) struct Noted {
    bucket: Arc<Bucket>,
    started_ms: i64,
    method: http::Method,
    uri: http::Uri,
    headers: HeaderMap,
    peer: Option<Peer>,
    caller: Caller,
    host_has_bucket: bool,
    is_form: bool,
}

impl Noted {
    /// None where nothing is to be logged.
    pub(super) async fn of(s3: &S3, request: &mut HttpRequest) -> Option<Self> {
        let target = Target::of(request)?;
        let bucket = s3.governed(&target.bucket).await.ok().filter(|bucket| bucket.logs)?;
        let caller = Caller::default();
        request.extensions_mut().insert(caller.clone());
        Some(Self {
            bucket,
            started_ms: s3.router.now().as_millisecond(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            peer: request.extensions().get::<Peer>().copied(),
            caller,
            host_has_bucket: host::names_bucket(request.headers()),
            is_form: super::form::is_form(request),
        })
    }

    /// Keeps the line of what was answered.
    pub(super) async fn keep(self, s3: &S3, response: &HttpResponse) {
        let text = |headers: &HeaderMap, name: &http::HeaderName| {
            headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let number = |headers: &HeaderMap, name: &http::HeaderName| text(headers, name).parse::<u64>().ok();
        let now = s3.router.now().as_millisecond();
        let id = response.headers().get("x-amz-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let key = self.key();
        let query = self.uri.query().unwrap_or_default();
        let signed = SignatureKind::of_checked(query, &self.headers);
        let body = response.body().bytes();
        let sent = number(response.headers(), &CONTENT_LENGTH).or_else(|| body.as_ref().map(|body| body.len() as u64));
        let total = text(response.headers(), &CONTENT_RANGE);
        let size = match self.method.as_str() {
            "GET" | "HEAD" if key.is_empty() || response.status().is_client_error() => None,
            "GET" | "HEAD" => total.rsplit_once('/').and_then(|(_, total)| total.parse().ok()).or(sent),
            "PUT" => self.length(),
            _ => None,
        };
        let error =
            if response.status().as_u16() >= 400 { code(body.as_deref().unwrap_or_default()) } else { String::new() };
        let name = if self.is_form {
            "PostObject"
        } else {
            gate::told(&self.method, self.host_has_bucket, &self.uri, &self.headers).unwrap_or_default()
        };
        let agent = text(&self.headers, &USER_AGENT);
        let referer = text(&self.headers, &REFERER);
        let host = text(&self.headers, &HOST);
        let version = response.headers().get("x-amz-version-id").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let path = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let line = Line {
            owner: &s3.known.canonical(self.bucket.owner()),
            bucket: self.bucket.name(),
            time_ms: self.started_ms,
            remote: self.peer.map(|peer| peer.address.to_string()).unwrap_or_default(),
            requester: self.requester(s3),
            id,
            operation: logging::operation(name, self.method.as_str()),
            key: &key,
            request: format!("{} {path} HTTP/1.1", self.method),
            status: response.status().as_u16(),
            error,
            sent,
            size,
            took_ms: now - self.started_ms,
            referer: &referer,
            agent: &agent,
            version,
            signature: match signed {
                SignatureKind::Query | SignatureKind::Header => "SigV4",
                SignatureKind::Version2 => "SigV2",
                SignatureKind::None => "",
            },
            authentication: match signed {
                SignatureKind::None => "",
                _ if self.headers.contains_key(AUTHORIZATION) => "AuthHeader",
                _ => "QueryString",
            },
            host: &host,
        };
        if let Err(error) = s3.log_request(self.bucket.name(), self.started_ms, id, line.text()).await {
            tracing::warn!(%error, bucket = self.bucket.name(), "a line of an access log could not be kept");
        }
    }

    fn key(&self) -> String {
        let path = self.uri.path().trim_start_matches('/');
        let key = if self.host_has_bucket { path } else { path.split_once('/').map_or("", |(_, key)| key) };
        crate::put::url_decode(&key.replace('+', "%2B")).unwrap_or_else(|| key.to_owned())
    }

    fn length(&self) -> Option<u64> {
        let named = |name: &str| self.headers.get(name).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        named("x-amz-decoded-content-length").or_else(|| named("content-length"))
    }

    /// A canonical user for an account's root, an ARN for who else has signed.
    fn requester(&self, s3: &S3) -> String {
        match self.caller.0.get() {
            None => String::new(),
            Some(cx) => match cx.principal() {
                Principal::Anonymous => String::new(),
                Principal::Root { .. } => s3.known.canonical(cx.caller_account()),
                other => other.arn(cx.account()),
            },
        }
    }
}

/// An error's code, out of its body.
fn code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map(|(code, _)| code.to_owned()).unwrap_or_default()
}
