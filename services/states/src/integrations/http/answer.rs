//! What comes back: as the Task's result, or as its failure.

use egress::connection::Unusable;
use egress::{Failed, Received};
use serde_json::{Map, Value, json};

use super::super::failure::Failure;

/// The most bytes of a response, as of the largest result of a Task.
pub(super) const MOST: usize = 262_144;

/// No answer, as Retry and Catch see it.
pub(super) fn failure(failed: &Failed) -> Failure {
    let error = match failed {
        Failed::Unsendable(_) => "States.Runtime",
        Failed::Socket(_) | Failed::Timeout(_) => "States.Http.Socket",
        Failed::NoClient(_) => "States.TaskFailed",
        Failed::TooLong(_) => {
            let cause = "The state/task 'arn:aws:states:::http:invoke' returned a result with a size exceeding the maximum number of bytes service limit.";
            return Failure::named("States.DataLimitExceeded", cause);
        }
    };
    Failure::named(error, failed.cause())
}

/// A connection that cannot be used.
pub(super) fn unusable(unusable: &Unusable) -> Failure {
    let what = match unusable {
        Unusable::NotFound(_) => "ResourceNotFound",
        Unusable::Denied(_) => "AccessDenied",
        Unusable::State(_) => "InvalidConnectionState",
        Unusable::Internal(_) => "InternalError",
    };
    Failure::named(&format!("Events.ConnectionResource.{what}"), unusable.cause())
}

/// The Task's result.
pub(super) fn result(received: Received) -> Result<Value, Failure> {
    if !received.is_success() {
        let cause = String::from_utf8_lossy(&received.body).into_owned();
        return Err(Failure::named(&format!("States.Http.StatusCode.{}", received.status), cause));
    }
    let kind = received.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    let binary = ["image/", "video/", "audio/"].iter().any(|prefix| kind.starts_with(prefix));
    if binary || kind == "application/octet-stream" {
        let cause = format!("The response has the content type '{kind}', which HTTP Tasks do not support");
        return Err(Failure::named("States.Runtime", cause));
    }
    let Ok(text) = String::from_utf8(received.body) else {
        return Err(Failure::named("States.Runtime", "The response cannot be read as a text"));
    };
    let json = kind == "application/json" || kind.ends_with("+json");
    let body = json.then(|| jsontext::read(&text).ok()).flatten();
    let mut headers = Map::new();
    for (name, value) in received.headers {
        let values = headers.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    Ok(json!({
        "Headers": headers,
        "ResponseBody": body.unwrap_or(Value::String(text)),
        "StatusCode": received.status,
        "StatusText": received.reason,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Received, result as result_of};

    fn result(status: u16, kind: &str, body: &[u8]) -> Result<Value, (String, String)> {
        let headers = [("content-type", kind), ("set-cookie", "a"), ("set-cookie", "b")];
        let received = Received {
            protocol: "https",
            status,
            reason: "OK",
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.to_vec(),
        };
        result_of(received).map_err(|failure| (failure.error, failure.cause))
    }

    #[test]
    fn json_is_read_and_headers_are_lists() {
        assert_eq!(
            result(200, "application/json; charset=utf-8", br#"{"a": 1}"#).unwrap(),
            json!({
                "Headers": {"content-type": ["application/json; charset=utf-8"], "set-cookie": ["a", "b"]},
                "ResponseBody": {"a": 1}, "StatusCode": 200, "StatusText": "OK",
            })
        );
        assert_eq!(result(200, "application/hal+json", b"[1]").unwrap()["ResponseBody"], json!([1]));
        assert_eq!(result(200, "application/json", b"{").unwrap()["ResponseBody"], json!("{"));
        assert_eq!(result(204, "text/plain", b"").unwrap()["ResponseBody"], json!(""));
    }

    #[test]
    fn other_answers_fail() {
        let failed = |status, kind, body: &[u8]| result(status, kind, body).unwrap_err();
        assert_eq!(failed(404, "text/plain", b"gone"), ("States.Http.StatusCode.404".to_owned(), "gone".to_owned()));
        assert_eq!(failed(302, "text/plain", b"").0, "States.Http.StatusCode.302");
        assert_eq!(failed(200, "image/png", b"x").0, "States.Runtime");
        assert_eq!(failed(200, "application/octet-stream", b"x").0, "States.Runtime");
        assert_eq!(failed(200, "text/plain", b"\xff").0, "States.Runtime");
    }
}
