//! Bytes to canonical JSON values and back, a file per protocol. The canonical form of a shape: the model's member names
//! as keys, binary data in base64, times as seconds. Typed values are made from it by serde.
//!
//! [`validate`] checks the model's constraints on the canonical form; every door passes through it.

pub mod asl;
pub mod cbor;
pub mod json;
pub mod query;
pub mod rest;
pub mod validate;

use bytes::Bytes;
use serde_json::Value;

use crate::Error;
use crate::operation::{OperationSpec, Protocol};

/// What a codec needs to see of a request.
#[derive(Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Still percent-encoded.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a http::HeaderMap,
    pub body: &'a [u8],
}

/// Decodes and checks a request's input. The protocol is the service's, or another that the service is spoken to in.
pub fn decode_input(spec: &OperationSpec, protocol: Protocol, request: &Request<'_>) -> Result<Value, Error> {
    let value = match protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 => json::decode(request.body)?,
        Protocol::Query => query::decode(spec.input, &query::Params::parse(request)?)?,
        Protocol::RestJson | Protocol::RestXml => rest::decode(spec, request)?,
        Protocol::RpcV2Cbor => cbor::decode(spec, request.body)?,
    };
    validate::prepare(spec.input, value)
}

/// Encodes an output for a client that speaks `protocol`.
pub fn encode_output(
    spec: &OperationSpec,
    protocol: Protocol,
    output: &Value,
    request_id: &str,
) -> http::Response<Bytes> {
    match protocol {
        Protocol::AwsJson10 => json::encode(output, "application/x-amz-json-1.0", request_id),
        Protocol::AwsJson11 => json::encode(output, "application/x-amz-json-1.1", request_id),
        Protocol::Query => query::encode(spec, output, request_id),
        Protocol::RestJson | Protocol::RestXml => rest::encode(spec, output, request_id),
        Protocol::RpcV2Cbor => cbor::encode(spec, output, request_id),
    }
}

/// Encodes an error for a client that speaks `protocol`.
pub fn encode_error(protocol: Protocol, error: &Error, request_id: &str) -> http::Response<Bytes> {
    match protocol {
        Protocol::AwsJson10 => json::encode_error(error, "application/x-amz-json-1.0", request_id),
        Protocol::AwsJson11 => json::encode_error(error, "application/x-amz-json-1.1", request_id),
        Protocol::Query => query::encode_error(error, request_id),
        Protocol::RestJson => rest::encode_error(error, request_id),
        Protocol::RestXml => query::encode_rest_xml_error(error, request_id),
        Protocol::RpcV2Cbor => cbor::encode_error(error, request_id),
    }
}

/// A response; header values that HTTP does not allow are left out.
pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> http::Response<Bytes> {
    let mut response = http::Response::new(body.into());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(*name), http::HeaderValue::try_from(*value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
