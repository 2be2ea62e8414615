//! What a caller is told when the platform, not the function, ends an invocation: AWS's types and words.

use bytes::Bytes;
use serde_json::{Value, json};

/// `{"errorType": …, "errorMessage": …}`
pub(crate) fn payload(kind: &str, message: &str) -> Bytes {
    json!({ "errorType": kind, "errorMessage": message }).to_string().into()
}

/// As above, for one invocation: `RequestId: … Error: …`.
pub(crate) fn of_request(request_id: &str, kind: &str, message: &str) -> Bytes {
    payload(kind, &format!("RequestId: {request_id} Error: {message}"))
}

/// An error of the start, which the runtime reported without an invocation at hand.
pub(crate) fn of_start(request_id: &str, error: &[u8]) -> Bytes {
    match jsontext::read_slice(error) {
        Ok(Value::Object(mut error)) => {
            error.insert("requestId".to_owned(), request_id.into());
            Value::Object(error).to_string().into()
        }
        _ => payload("Runtime.Unknown", &String::from_utf8_lossy(error)),
    }
}

/// The `errorType` of an error's payload.
pub(crate) fn kind_of(payload: &[u8]) -> Option<String> {
    jsontext::read_slice::<Value>(payload).ok()?.get("errorType")?.as_str().map(str::to_owned)
}
