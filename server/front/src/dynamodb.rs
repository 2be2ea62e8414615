//! What DynamoDB's protocol has beside `awsJson1.0`: errors with their namespace, a CRC of every body, bodies of at most 16 MiB,
//! answers compressed where asked, and answers to browsers and health checks, which sign nothing.
//! Source: DynamoDB Developer Guide, "DynamoDB low-level API".

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use wire::Error;

/// Largest body of a request.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// Shorter answers are not worth compressing.
const COMPRESSED_FROM: usize = 1024;
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Whether a request is for the service or for its streams.
pub(crate) fn is_meant(named: Option<&str>, headers: &HeaderMap) -> bool {
    named == Some("dynamodb")
        || headers.get("x-amz-target").is_some_and(|target| target.as_bytes().starts_with(b"DynamoDB"))
}

/// The answer to an unsigned request that is no call: the health check `GET /`, and a browser's preflight.
pub(crate) fn unsigned(request: &http::request::Parts) -> Option<Response<Bytes>> {
    if request.method == http::Method::OPTIONS {
        return preflight(request);
    }
    // An SDK numbers its calls: of those that it makes without a signature, only S3's are a GET.
    let is_call = request.headers.contains_key("amz-sdk-invocation-id");
    let is_check = request.method == http::Method::GET && request.uri.path() == "/" && request.uri.query().is_none();
    let is_check = is_check && !is_call;
    if !is_check {
        return None;
    }
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut response = Response::new(Bytes::from(format!("healthy: {host} ")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Some(response)
}

/// A browser may call from any page. Calls are made on `/`, below which a bucket's objects are not.
fn preflight(request: &http::request::Parts) -> Option<Response<Bytes>> {
    let method = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    if request.uri.path() != "/" || !request.headers.contains_key(ORIGIN) {
        return None;
    }
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    if let Some(asked) = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    Some(response)
}

/// An error with the namespace that its kind has, and the status that authentication has here.
pub(crate) fn named(error: &Error) -> Error {
    let code = match error.code() {
        "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
        "IncompleteSignature" => "IncompleteSignatureException",
        "RequestTimeTooSkewed" => "InvalidSignatureException",
        code => code,
    };
    let namespace = match code {
        "ValidationException" => "com.amazon.coral.validate",
        "SerializationException"
        | "UnknownOperationException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "UnrecognizedClientException"
        | "AccessDeniedException"
        | "ExpiredTokenException"
        | "NotImplemented" => "com.amazon.coral.service",
        _ => "com.amazonaws.dynamodb.v20120810",
    };
    let status = if error.status() == 403 { 400 } else { error.status() };
    let mut named = Error::new(format!("{namespace}#{code}"), status, error.message());
    for (member, value) in error.fields() {
        named = named.with(member, value.clone());
    }
    named
}

pub(crate) fn too_large(id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Compresses where it is asked for, and adds the CRC of what is sent.
pub(crate) fn finish(mut response: Response<Bytes>, asked: &HeaderMap) -> Response<Bytes> {
    if asked.contains_key(ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-amzn-requestid,x-amz-crc32"));
    }
    if response.body().len() >= COMPRESSED_FROM && takes_gzip(asked) {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        if packed.write_all(response.body()).is_ok()
            && let Ok(bytes) = packed.finish()
        {
            *response.body_mut() = bytes.into();
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
    }
    let mut crc = flate2::Crc::new();
    crc.update(response.body());
    response.headers_mut().insert(CRC32, HeaderValue::from(crc.sum()));
    response
}

/// `gzip` with a weight that is not nothing.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_asked_for() {
        for (list, takes) in
            [("gzip", true), ("deflate, gzip;q=0.5", true), ("gzip;q=0", false), ("identity", false), ("*", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(list));
            assert_eq!(takes_gzip(&headers), takes, "{list}");
        }
    }

    #[test]
    fn errors_have_their_namespace() {
        let check = |error: Error, code: &str| assert_eq!(named(&error).code(), code);
        check(Error::validation("x"), "com.amazon.coral.validate#ValidationException");
        check(
            Error::new("ConditionalCheckFailedException", 400, "x"),
            "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        );
    }
}
