//! Calls of function URLs: HTTP requests as events of payload format 2.0, a function's answer as an HTTP response.
//! Sources: Lambda Developer Guide, "Invoking Lambda function URLs", "Control access to Lambda function URLs".
//!
//! A URL is `ENDPOINT/_lakerun/lambda/url/ID/`; AWS has `ID.lambda-url.REGION.on.aws`, which `requestContext.domainName` tells.

use std::collections::BTreeMap;

use api_lambda::Cors;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use service::{Cx, Origin, Principal};
use store::Key;
use tokio::sync::mpsc;
use wire::{Error, Timestamp};

use crate::Lambda;
use crate::function::{Name, Scope};
use crate::invoke::{Call, Finished};
use crate::streaming::{Piece, Pieces};

/// Where function URLs begin, before their id.
pub const PREFIX: &str = "/_lakerun/lambda/url/";
/// Source: Lambda quotas: "6 MB each for request and response (synchronous)".
const MAX_BYTES: usize = 6 << 20;
/// The mode in which answers are sent while they are written.
pub(crate) const STREAM: &str = "RESPONSE_STREAM";
/// The type of a response that begins with status, headers and cookies, as JSON, and eight zeros.
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
const MAX_HEAD_BYTES: usize = 64 << 10;
const ACTION: &str = "lambda:InvokeFunctionUrl";
/// What a caller is known by: a function that had them could call as its caller.
const SIGNED_BY: [&str; 2] = ["authorization", "x-amz-security-token"];

/// The same in the query of a presigned request, and what is of no use without it.
const PRESIGNED_BY: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// A function's URL, by function and by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Url {
    /// Format of the record.
    pub(crate) v: u8,
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) auth_type: String,
    pub(crate) cors: Option<Cors>,
    /// Whether answers are sent while the function writes them.
    #[serde(default)]
    pub(crate) streams: bool,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// The body of an answer.
#[derive(Debug)]
pub enum UrlBody {
    Whole(Bytes),
    Pieces(Pieces),
}

impl Url {
    pub(crate) fn invoke_mode(&self) -> String {
        if self.streams { STREAM } else { "BUFFERED" }.to_owned()
    }

    pub(crate) fn index(id: &str) -> Key {
        Key::new("lambda").push("url-by-id").push(id)
    }

    pub(crate) fn arn(&self) -> String {
        let place = Scope { account: self.account.clone(), region: self.region.clone() };
        place.arn(&self.name, self.qualifier.as_deref())
    }

    pub(crate) fn address(&self, endpoint: &str) -> String {
        format!("{endpoint}{PREFIX}{}/", self.id)
    }

    fn domain(&self) -> String {
        format!("{}.lambda-url.{}.on.aws", self.id, self.region)
    }
}

/// A request, and who has signed it.
#[derive(Debug)]
pub struct UrlCall<'a> {
    pub method: &'a Method,
    /// All of it, with the prefix.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub origin: Origin,
    pub by_tls: bool,
    /// The caller where the request is signed well; none where it is not signed at all.
    pub caller: Result<Option<Cx>, Error>,
}

impl Lambda {
    pub(crate) fn address_of(&self, url: &Url) -> String {
        url.address(&self.shown)
    }

    /// Answers a call of a URL.
    pub async fn call_url(&self, call: UrlCall<'_>) -> Response<UrlBody> {
        let rest = call.path.strip_prefix(PREFIX).unwrap_or_default();
        let (id, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let found = self.store.read(|tx| tx.get_json::<Url>(Url::index(id))).await;
        let Ok(Some(url)) = found else { return forbidden().map(UrlBody::Whole) };
        let origin = call.headers.get("origin").and_then(|value| value.to_str().ok());
        if let (Some(cors), Some(origin)) = (&url.cors, origin)
            && call.method == Method::OPTIONS
            && call.headers.contains_key("access-control-request-method")
        {
            let mut response = Response::new(UrlBody::Whole(Bytes::new()));
            allow(cors, origin, true, response.headers_mut());
            return response;
        }
        let mut response = match self.invocation(&url, path, &call).await {
            Err(refused) => refused.map(UrlBody::Whole),
            Ok((platform, invocation)) if url.streams => self.stream_url(&platform, invocation).await,
            Ok((platform, invocation)) => self.answer_url(&url, platform, invocation).await.map(UrlBody::Whole),
        };
        if let (Some(cors), Some(origin)) = (&url.cors, origin) {
            allow(cors, origin, false, response.headers_mut());
        }
        response
    }

    /// The event of a request that its caller may make.
    async fn invocation(&self, url: &Url, path: &str, call: &UrlCall<'_>) -> Result<(Cx, Call), Response<Bytes>> {
        let platform = Cx::platform(&self.router, &url.account, &url.region);
        let caller = match (&call.caller, url.auth_type.as_str()) {
            (_, "NONE") => platform.as_principal(Principal::Anonymous).with_origin(call.origin.clone()),
            (Ok(Some(cx)), _) => cx.clone(),
            (Ok(None) | Err(_), _) => return Err(forbidden()),
        };
        let keys = [("lambda:FunctionUrlAuthType", url.auth_type.as_str()), ("lambda:InvokedViaFunctionUrl", "true")];
        if self.router.authorize_with(&caller, ACTION, &url.arn(), &keys).await.is_err() {
            return Err(forbidden());
        }
        if call.body.len() > MAX_BYTES {
            return Err(text(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"));
        }
        let event = event(url, path, call, &caller, &platform);
        let name = Name { name: url.name.clone(), qualifier: url.qualifier.clone() };
        let invocation = Call {
            name,
            payload: event.to_string().into(),
            client_context: None,
            request_id: platform.request_id().to_owned(),
            sink: None,
            durable: None,
            hidden: None,
        };
        Ok((platform, invocation))
    }

    async fn answer_url(&self, url: &Url, platform: Cx, invocation: Call) -> Response<Bytes> {
        let Some(me) = self.me.upgrade() else { return text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable") };
        // As on AWS, a function runs to its end though its caller hung up.
        let run = tokio::spawn(async move { me.run(&platform, invocation, None).await });
        match run.await {
            Ok(Ok(finished)) => response(&finished),
            Ok(Err(error)) => refused(&error, &url.name),
            Err(_) => text(StatusCode::BAD_GATEWAY, "Internal Server Error"),
        }
    }

    /// Answers while the function writes. A failure before its first piece is a response of its own; one on the way breaks the
    /// connection.
    async fn stream_url(&self, platform: &Cx, invocation: Call) -> Response<UrlBody> {
        let function = invocation.name.name.clone();
        let failed = || text(StatusCode::BAD_GATEWAY, "Internal Server Error").map(UrlBody::Whole);
        let mut pieces = match self.run_streaming(platform, invocation) {
            Ok(pieces) => pieces,
            Err(error) => return refused(&error, &function).map(UrlBody::Whole),
        };
        let (mut content_type, mut seen) = (None, BytesMut::new());
        let first = loop {
            match pieces.recv().await {
                Some(Piece::Began { .. }) => {}
                Some(Piece::Head { content_type: told }) => content_type = told,
                Some(Piece::Data(data)) if content_type.as_deref() == Some(WITH_HEAD) => {
                    seen.extend_from_slice(&data);
                    if seen.len() > MAX_HEAD_BYTES && end_of_head(&seen).is_none() {
                        return failed();
                    }
                    if end_of_head(&seen).is_some() {
                        break None;
                    }
                }
                Some(Piece::Data(data)) => {
                    seen.extend_from_slice(&data);
                    break None;
                }
                Some(Piece::Refused(error)) => return refused(&error, &function).map(UrlBody::Whole),
                Some(Piece::End(finished)) if finished.failed => return failed(),
                Some(end @ Piece::End(_)) => break Some(end),
                None => return failed(),
            }
        };
        let mut response = Response::new(());
        let mut body = seen.freeze();
        if content_type.as_deref() == Some(WITH_HEAD) {
            let head = end_of_head(&body).unwrap_or(body.len());
            let Some(told) = head_of(&body[..head]) else { return failed() };
            body = body.slice((head + 8).min(body.len())..);
            response = told;
        } else {
            let kind = content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
            let kind = kind.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut next = Some(first.unwrap_or(Piece::Data(body)));
            while let Some(piece) = next {
                let sent = match piece {
                    Piece::Data(data) if !data.is_empty() => sender.send(Ok(data)).await,
                    Piece::End(finished) if finished.failed => {
                        sender.send(Err(std::io::Error::other("the function failed while it wrote"))).await
                    }
                    _ => Ok(()),
                };
                if sent.is_err() {
                    return;
                }
                next = pieces.recv().await;
            }
        });
        response.map(|()| UrlBody::Pieces(receiver))
    }
}

/// Where eight zeros end the head of a streamed response.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(8).position(|window| window == [0; 8])
}

/// Status, headers and cookies, as the head of a streamed response says them; the status is 200 where it says none.
fn head_of(json: &[u8]) -> Option<Response<()>> {
    let Ok(Value::Object(mut head)) = jsontext::read_slice(json) else { return None };
    head.entry("statusCode").or_insert_with(|| 200.into());
    head.remove("body");
    let kind = head
        .get("headers")
        .and_then(Value::as_object)
        .is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")));
    let mut response = told(&head)?.map(drop);
    if !kind {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    Some(response)
}

fn refused(error: &Error, function: &str) -> Response<Bytes> {
    if error.status() == 429 {
        return text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
    }
    tracing::warn!(%error, function, "a function URL could not be served");
    text(StatusCode::BAD_GATEWAY, "Internal Server Error")
}

fn text(status: StatusCode, words: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(words.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn forbidden() -> Response<Bytes> {
    let message = "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";
    let mut response = Response::new(Bytes::from(json!({ "Message": message }).to_string()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static("AccessDeniedException"));
    response
}

/// What CORS says to a browser from `origin`; a function's own word of it gives way.
fn allow(cors: &Cors, origin: &str, preflight: bool, headers: &mut HeaderMap) {
    let origins = cors.allow_origins.as_deref().unwrap_or_default();
    let any = origins.iter().any(|allowed| allowed == "*");
    if !any && !origins.iter().any(|allowed| allowed == origin) {
        return;
    }
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    // With credentials a browser takes no `*`: whoever asks is named, as AWS does.
    let credentials = cors.allow_credentials == Some(true);
    set("access-control-allow-origin", if any && !credentials { "*" } else { origin });
    if !any || credentials {
        set("vary", "Origin");
    }
    if credentials {
        set("access-control-allow-credentials", "true");
    }
    let list = |values: &Option<Vec<String>>| {
        values.as_ref().filter(|values| !values.is_empty()).map(|values| values.join(","))
    };
    if let Some(exposed) = list(&cors.expose_headers) {
        set("access-control-expose-headers", &exposed);
    }
    if preflight {
        for (name, values) in [
            ("access-control-allow-methods", &cors.allow_methods),
            ("access-control-allow-headers", &cors.allow_headers),
        ] {
            if let Some(values) = list(values) {
                set(name, &values);
            }
        }
        if let Some(age) = cors.max_age {
            set("access-control-max-age", &age.to_string());
        }
    }
}

/// The request as the function gets it.
#[expect(clippy::too_many_lines, reason = "one member after the other of the event")]
fn event(url: &Url, path: &str, call: &UrlCall<'_>, caller: &Cx, platform: &Cx) -> Value {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in call.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|all| *all = format!("{all},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    let is_signed = url.auth_type == "AWS_IAM";
    if is_signed {
        // The caller's, not the application's.
        for name in SIGNED_BY {
            headers.remove(name);
        }
    }
    let cookies: Option<Vec<String>> =
        headers.remove("cookie").map(|cookie| cookie.split(';').map(|one| one.trim().to_owned()).collect());
    let address = call.origin.address.map(|address| address.to_string()).unwrap_or_default();
    headers.insert("x-forwarded-for", address.clone());
    headers.insert("x-forwarded-proto", if call.by_tls { "https" } else { "http" }.to_owned());
    let query = if is_signed { without_signature(call.query) } else { call.query.to_owned() };
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in ::url::form_urlencoded::parse(query.as_bytes()) {
        let all = parameters.entry(name.into_owned()).or_default();
        *all = if all.is_empty() { value.into_owned() } else { format!("{all},{value}") };
    }
    let now = platform.now();
    let mut context = json!({
        "accountId": "anonymous",
        "apiId": url.id,
        "domainName": url.domain(),
        "domainPrefix": url.id,
        "http": {
            "method": call.method.as_str(),
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": address,
            "userAgent": headers.get("user-agent"),
        },
        "requestId": platform.request_id(),
        "routeKey": "$default",
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": now.as_millisecond(),
    });
    if is_signed {
        let arn = caller.principal().arn(caller.account());
        context["accountId"] = caller.account().into();
        context["authorizer"] = json!({ "iam": { "accountId": caller.account(), "cognitoIdentity": null, "principalOrgId": null, "userArn": arn } });
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": false,
    });
    if let Some(cookies) = cookies {
        event["cookies"] = json!(cookies);
    }
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    if !call.body.is_empty() {
        if let Some(text) = std::str::from_utf8(&call.body).ok().filter(|_| is_text(call.headers)) {
            event["body"] = text.into();
        } else {
            event["body"] = STANDARD.encode(&call.body).into();
            event["isBase64Encoded"] = true.into();
        }
    }
    event
}

/// A query without what a presigned request is signed by.
fn without_signature(query: &str) -> String {
    let is_own = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        !PRESIGNED_BY.contains(&name.as_str())
    };
    query.split('&').filter(is_own).collect::<Vec<_>>().join("&")
}

/// Whether a body is handed on as text. Source: API Gateway Developer Guide, "Working with binary media types for HTTP APIs".
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    !headers.contains_key("content-encoding")
        && (kind.starts_with("text/")
            || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml"))
}

/// A function's answer: an object with a `statusCode` says all, anything else is the body.
fn response(finished: &Finished) -> Response<Bytes> {
    if finished.failed {
        return text(StatusCode::BAD_GATEWAY, "Internal Server Error");
    }
    let value = jsontext::read_slice::<Value>(&finished.payload).ok();
    match &value {
        Some(Value::Object(answer)) if answer.contains_key("statusCode") => {
            told(answer).unwrap_or_else(|| text(StatusCode::BAD_GATEWAY, "Internal Server Error"))
        }
        value => {
            let body = match value {
                Some(Value::String(text)) => Bytes::from(text.clone()),
                _ => finished.payload.clone(),
            };
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
    }
}

/// None where it makes no response.
fn told(answer: &Map<String, Value>) -> Option<Response<Bytes>> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let status = plain(answer.get("statusCode")?)?.parse::<u16>().ok()?;
    let body = match answer.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if answer.get("isBase64Encoded") == Some(&Value::Bool(true)) => {
            STANDARD.decode(text).ok()?.into()
        }
        Some(Value::String(text)) => text.clone().into(),
        Some(other) => other.to_string().into(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let headers = response.headers_mut();
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let (Ok(name), Some(value)) = (HeaderName::try_from(name.as_str()), plain(value)) else { return None };
        headers.insert(name, HeaderValue::from_str(&value).ok()?);
    }
    for cookie in answer.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        headers.append(http::header::SET_COOKIE, HeaderValue::from_str(cookie.as_str()?).ok()?);
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    // The server frames the body itself.
    headers.remove(http::header::CONTENT_LENGTH);
    headers.remove(http::header::TRANSFER_ENCODING);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(payload: &str) -> Response<Bytes> {
        let finished = Finished {
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            failed: false,
            streamed: false,
            durable: None,
            tail: String::new(),
            version: String::new(),
            function_arn: String::new(),
            took: std::time::Duration::ZERO,
        };
        response(&finished)
    }

    #[test]
    fn answers_become_responses() {
        let whole = answered(
            r#"{"statusCode": "201", "headers": {"X-A": 1, "Content-Length": "99"}, "cookies": ["a=b", "c=d"], "body": "aGk=", "isBase64Encoded": true}"#,
        );
        assert_eq!((whole.status().as_u16(), whole.body().as_ref()), (201, b"hi".as_ref()));
        assert_eq!(whole.headers()["x-a"], "1");
        assert_eq!(whole.headers().get_all("set-cookie").iter().count(), 2);
        assert!(!whole.headers().contains_key("content-length"));
        assert_eq!(answered(r#""plain text""#).body().as_ref(), b"plain text");
        assert_eq!(answered(r#"{"a": 1}"#).body().as_ref(), br#"{"a": 1}"#);
        assert_eq!(answered(r#"{"statusCode": 200, "headers": {"bad name": "x"}}"#).status(), 502);
        assert_eq!(answered(r#"{"statusCode": 99999}"#).status(), 502);
    }

    #[test]
    fn the_head_of_a_streamed_response() {
        assert_eq!((end_of_head(b"{}\0\0\0\0\0\0\0\0body"), end_of_head(b"{}\0\0")), (Some(2), None));
        let head = head_of(br#"{"statusCode": 201, "headers": {"X-A": "1"}, "cookies": ["a=b"]}"#).unwrap();
        let headers = head.headers();
        assert_eq!(
            (head.status().as_u16(), &headers["x-a"], &headers["set-cookie"]),
            (201, &"1".parse().unwrap(), &"a=b".parse().unwrap())
        );
        assert_eq!(head.headers()[CONTENT_TYPE], "application/octet-stream");
        assert_eq!(head_of(b"{}").unwrap().status(), 200);
        assert!(head_of(b"no json").is_none() && head_of(br#"{"statusCode": 9999}"#).is_none());
    }

    #[test]
    fn browsers_are_told_what_they_may() {
        let cors = Cors {
            allow_origins: Some(vec!["https://a.example".to_owned()]),
            allow_methods: Some(vec!["GET".to_owned(), "PUT".to_owned()]),
            max_age: Some(60),
            ..Default::default()
        };
        let of = |origin: &str, preflight: bool| {
            let mut headers = HeaderMap::new();
            allow(&cors, origin, preflight, &mut headers);
            headers
        };
        assert!(of("https://b.example", true).is_empty());
        let told = of("https://a.example", true);
        assert_eq!(
            (&told["access-control-allow-methods"], &told["access-control-max-age"]),
            (&HeaderValue::from_static("GET,PUT"), &HeaderValue::from_static("60"))
        );
        assert!(!of("https://a.example", false).contains_key("access-control-allow-methods"));
        let anybody = |allow_credentials: bool| {
            let origins = Some(vec!["*".to_owned()]);
            let cors =
                Cors { allow_origins: origins, allow_credentials: Some(allow_credentials), ..Default::default() };
            let mut headers = HeaderMap::new();
            allow(&cors, "https://b.example", false, &mut headers);
            (headers["access-control-allow-origin"].clone(), headers.contains_key("access-control-allow-credentials"))
        };
        assert_eq!(anybody(false), (HeaderValue::from_static("*"), false));
        assert_eq!(anybody(true), (HeaderValue::from_static("https://b.example"), true));
    }
}
