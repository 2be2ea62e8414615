//! Records of requests, where somebody records calls: the table of operations, by which other calls are recorded, does not see those of
//! S3's own door.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use s3s::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use service::Cx;
use service::audit::Call;
use wire::Error;

use super::{Target, gate, host};
use crate::S3;

/// Who was found to send a request, whether it may be made or not; and the key that a form names, which no address does.
#[derive(Clone, Debug, Default)]
pub(super) struct Asker(pub(super) Arc<OnceLock<Cx>>, pub(super) Arc<OnceLock<String>>);

/// A request that may be recorded.
pub(super) struct Noted {
    at: jiff::Timestamp,
    method: http::Method,
    uri: http::Uri,
    headers: HeaderMap,
    asker: Asker,
    host_has_bucket: bool,
    is_form: bool,
    bucket: Option<String>,
}

impl Noted {
    /// None where nobody records.
    pub(super) fn of(s3: &S3, request: &mut HttpRequest) -> Option<Self> {
        if !s3.router.is_audited() {
            return None;
        }
        let asker = Asker::default();
        request.extensions_mut().insert(asker.clone());
        Some(Self {
            at: s3.router.now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            asker,
            host_has_bucket: host::names_bucket(request.headers()),
            is_form: super::form::is_form(request),
            bucket: Target::of(request).map(|target| target.bucket),
        })
    }

    pub(super) async fn keep(self, s3: &S3, response: &HttpResponse, statements: &[Value]) {
        let Some(cx) = self.asker.0.get() else { return };
        let Some(audit) = s3.router.auditor(cx) else { return };
        let name = if self.is_form {
            Some("PostObject")
        } else {
            gate::told(&self.method, self.host_has_bucket, &self.uri, &self.headers)
        };
        let Some(operation) = name else { return };
        let path = self.uri.path().trim_start_matches('/');
        let key = if self.host_has_bucket { path } else { path.split_once('/').map_or("", |(_, key)| key) };
        let key = crate::put::url_decode(&key.replace('+', "%2B")).unwrap_or_else(|| key.to_owned());
        let key = self.asker.1.get().cloned().unwrap_or(key);
        let mut input = json!({});
        for (member, value) in [("Bucket", self.bucket.clone().unwrap_or_default()), ("Key", key)] {
            if !value.is_empty() {
                input[member] = value.into();
            }
        }
        let error = failure(response);
        let call = Call {
            cx,
            at: self.at,
            service: "s3",
            operation,
            read_only: matches!(self.method, http::Method::GET | http::Method::HEAD),
            input: &input,
            input_shape: None,
            output: None,
            output_shape: None,
            error: error.as_ref(),
            statements,
        };
        if let Err(error) = audit.record(call).await {
            tracing::error!(operation, %error, "a request could not be recorded");
        }
    }
}

/// What the answer says of a failure.
fn failure(response: &HttpResponse) -> Option<Error> {
    let status = response.status().as_u16();
    if status < 400 {
        return None;
    }
    let body = response.body().bytes();
    let text = String::from_utf8_lossy(body.as_deref().unwrap_or_default()).into_owned();
    let of = |tag: &str| {
        let rest = text.split_once(&format!("<{tag}>"))?.1;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner.to_owned())
    };
    let code = of("Code").unwrap_or_else(|| if status == 403 { "AccessDenied" } else { "Error" }.to_owned());
    Some(Error::new(code, status, of("Message").unwrap_or_default()))
}
