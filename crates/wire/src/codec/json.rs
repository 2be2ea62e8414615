//! awsJson 1.0 and 1.1: the body is the canonical form itself.

use bytes::Bytes;
use serde_json::{Value, json};

use super::response;
use crate::Error;

pub fn decode(body: &[u8]) -> Result<Value, Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Error::serialization("Start of structure or map expected at the top of the request body")),
        Err(e) => Err(Error::serialization(format!("The request body is not valid JSON: {e}"))),
    }
}

pub fn encode(output: &Value, content_type: &'static str, request_id: &str) -> http::Response<Bytes> {
    // Not by way of `Display`, nor with names to be checked: every answer passes here.
    let mut response = http::Response::new(serde_json::to_vec(output).unwrap_or_default().into());
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    if let Ok(id) = http::HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-amzn-requestid");

pub fn encode_error(error: &Error, content_type: &str, request_id: &str) -> http::Response<Bytes> {
    let mut headers = vec![("content-type", content_type), ("x-amzn-requestid", request_id)];
    let query_code = query_error(error);
    headers.extend(query_code.as_deref().map(|code| ("x-amzn-query-error", code)));
    response(error.status(), &headers, error_body(error).to_string())
}

/// What the query protocol would have said, where that differs.
pub(super) fn query_error(error: &Error) -> Option<String> {
    let code = error.query_code()?;
    Some(format!("{code};{}", if error.status() < 500 { "Sender" } else { "Receiver" }))
}

/// `__type`, `message` and the exception's other members.
pub(super) fn error_body(error: &Error) -> Value {
    let mut body = json!({"__type": error.code(), "message": error.message(), "Message": error.message()});
    if let Value::Object(map) = &mut body {
        map.extend(error.fields().clone());
    }
    body
}
