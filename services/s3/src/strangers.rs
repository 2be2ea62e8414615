//! What reads strangers' bytes, as functions of them: for `fuzz/`. Whatever comes, none panics, and what is taken stays what it is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use s3s::dto::{
    CSVInput, CSVOutput, ExpressionType, FileHeaderInfo, InputSerialization, JSONInput, JSONOutput, JSONType,
    OutputSerialization, ScanRange, SelectObjectContentRequest,
};
use service::identity::{Credentials, Identity};
use service::{Accounts, Cx, Principal, Router};
use store::Store;
use store::objects::Objects;
use tokio::runtime::Runtime;
use wire::Error;

use crate::account::Known;
use crate::select::Select;
use crate::{Door, S3, Settings, policy};

const ACCOUNT: &str = "000000000000";

/// A bucket's policy.
pub fn bucket_policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let known = Known::new(ACCOUNT, "us-east-1", Accounts::default());
    if let Ok(parsed) = policy::parse(text, "bucket", &known) {
        let public = policy::is_public(&parsed);
        let again = policy::parse(&parsed.to_string(), "bucket", &known);
        assert_eq!(again.ok().as_ref().map(policy::is_public), Some(public), "{text}");
    }
}

/// An expression of S3 Select in the first line, and the object that it reads: as delimited text, as JSON, whole and in part.
pub fn select(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (Ok(expression), object) = (str::from_utf8(&data[..at]), data.get(at + 1..).unwrap_or_default()) else {
        return;
    };
    let header = FileHeaderInfo::from_static(FileHeaderInfo::USE);
    let plain = CSVInput { file_header_info: Some(header), ..CSVInput::default() };
    let long = CSVInput {
        field_delimiter: Some("||".to_owned()),
        record_delimiter: Some("~\n".to_owned()),
        ..CSVInput::default()
    };
    let json = |kind: &'static str| JSONInput { type_: Some(JSONType::from_static(kind)) };
    let csv = |csv| InputSerialization { csv: Some(csv), ..InputSerialization::default() };
    let of_json = |kind| InputSerialization { json: Some(json(kind)), ..InputSerialization::default() };
    for input in [csv(plain), csv(long), of_json(JSONType::LINES), of_json(JSONType::DOCUMENT)] {
        for range in [None, Some(ScanRange { start: Some(7), end: Some(40) })] {
            for output in [
                OutputSerialization { csv: Some(CSVOutput::default()), json: None },
                OutputSerialization { csv: None, json: Some(JSONOutput::default()) },
            ] {
                let request = SelectObjectContentRequest {
                    expression: expression.to_owned(),
                    expression_type: ExpressionType::from_static(ExpressionType::SQL),
                    input_serialization: input.clone(),
                    output_serialization: output,
                    request_progress: None,
                    scan_range: range.clone(),
                };
                read(&request, object);
            }
        }
    }
}

/// The answer is the same however the object is cut.
fn read(request: &SelectObjectContentRequest, object: &[u8]) {
    let mut answers = Vec::new();
    for piece in [3, object.len().max(1)] {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let Ok(mut select) = Select::new(request, object.len() as u64, now) else { return };
        answers.push(answer(&mut select, object, piece));
    }
    // What is wrong may be found before or after something was answered.
    if let [Some(first), Some(second)] = answers.as_slice() {
        assert_eq!(first, second, "{request:?}");
    }
}

fn answer(select: &mut Select, object: &[u8], piece: usize) -> Option<Vec<u8>> {
    let place = |select: &Select| usize::try_from(select.begin()).unwrap_or(usize::MAX).min(object.len());
    let (mut out, mut at) = (Vec::new(), place(select));
    while at < object.len() && !select.has_read() {
        let end = object.len().min(at + piece);
        let (given, jumps) = select.feed(&object[at..end]).ok()?;
        out.extend_from_slice(&given);
        at = if jumps { place(select) } else { end };
    }
    out.extend_from_slice(&select.end().ok()?);
    Some(out)
}

/// A policy document of a browser's form, held against a form.
pub fn form_policy(data: &[u8]) {
    crate::door::hold_form(data);
}

/// The body of a PUT in chunks with a trailer, as it is framed on the wire.
pub fn chunks(data: &[u8]) {
    with_door(|door| {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "5"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        door.asked("PUT", "/bucket/chunks", headers, data);
    });
}

/// The body of a browser's form, which begins with its boundary's line.
pub fn form(data: &[u8]) {
    let end = data.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(data.len());
    let boundary = data[..end].strip_prefix(b"--").unwrap_or(b"x");
    let mut kind = b"multipart/form-data; boundary=".to_vec();
    kind.extend_from_slice(boundary);
    let Ok(kind) = http::HeaderValue::try_from(kind) else { return };
    with_door(|door| {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind.clone())]);
        door.asked("POST", "/bucket", headers, data);
    });
}

/// Knows nobody's keys.
struct Nobody;

#[async_trait]
impl Identity for Nobody {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, action: &str, _: &str) -> Result<(), Error> {
        Err(Error::access_denied(action))
    }
    async fn role_session(&self, _: &str, _: &str, _: Option<&str>) -> Result<Principal, Error> {
        Err(Error::not_implemented("role sessions"))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("issue"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// A door to a bucket that everybody may write to.
struct Opened {
    runtime: Runtime,
    door: Door,
}

impl Opened {
    fn new() -> Option<Self> {
        const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*"}]}"#;
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        let (router, settings) = (Router::new(), Settings { block_public_access: false, ..Settings::default() });
        let (store, objects) = (Store::memory(), Objects::memory());
        router.set_identity(Arc::new(Nobody));
        let s3 = S3::new(router.clone(), store, objects, (ACCOUNT, Accounts::default()), settings).ok()?;
        let cx = Cx::new(router, Principal::root(ACCOUNT), ACCOUNT, "us-east-1");
        runtime.block_on(async {
            s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await.ok()?;
            s3.put_policy(&cx, "bucket", POLICY).await.ok()
        })?;
        let door = Door::new(s3, ACCOUNT, "us-east-1");
        Some(Self { runtime, door })
    }

    /// Nothing that a stranger sends is the server's fault.
    fn asked(&self, method: &str, path: &str, headers: HeaderMap, body: &[u8]) {
        let mut request = s3s::HttpRequest::new(s3s::Body::from(Bytes::copy_from_slice(body)));
        let (Ok(method), Ok(uri)) = (method.parse(), path.parse()) else { return };
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        if let Ok(length) = http::HeaderValue::try_from(body.len().to_string()) {
            request.headers_mut().insert(http::header::CONTENT_LENGTH, length);
        }
        let answer = self.runtime.block_on(self.door.serve(request));
        let status = answer.status().as_u16();
        assert!(status < 500, "{status}: {:?}", answer.body().bytes());
    }
}

fn with_door(ask: impl FnOnce(&Opened)) {
    thread_local! {
        static DOOR: RefCell<Option<Opened>> = const { RefCell::new(None) };
    }
    DOOR.with(|door| {
        let mut door = door.borrow_mut();
        if door.is_none() {
            *door = Opened::new();
        }
        if let Some(door) = door.as_ref() {
            ask(door);
        }
    });
}

/// The fields of a form that a policy is held against.
pub(crate) fn fields() -> BTreeMap<String, String> {
    let fields = [("key", "a/b.txt"), ("acl", "private"), ("success_action_status", "201"), ("x-amz-meta-a", "b")];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
