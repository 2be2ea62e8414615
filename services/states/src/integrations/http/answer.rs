//! What comes back: as the Task's result, or as its failure.

use serde_json::{Map, Value, json};

use super::super::failure::Failure;

/// A response, read to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    pub(crate) protocol: &'static str,
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    /// Lower-case names, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(super) fn result(self) -> Result<Value, Failure> {
        if !(200..300).contains(&self.status) {
            let cause = String::from_utf8_lossy(&self.body).into_owned();
            return Err(Failure::named(&format!("States.Http.StatusCode.{}", self.status), cause));
        }
        let kind = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let binary = ["image/", "video/", "audio/"].iter().any(|prefix| kind.starts_with(prefix));
        if binary || kind == "application/octet-stream" {
            let cause = format!("The response has the content type '{kind}', which HTTP Tasks do not support");
            return Err(Failure::named("States.Runtime", cause));
        }
        let Ok(text) = String::from_utf8(self.body) else {
            return Err(Failure::named("States.Runtime", "The response cannot be read as a text"));
        };
        let json = kind == "application/json" || kind.ends_with("+json");
        let body = json.then(|| serde_json::from_str(&text).ok()).flatten();
        let mut headers = Map::new();
        for (name, value) in self.headers {
            let values = headers.entry(name).or_insert_with(|| json!([]));
            if let Value::Array(values) = values {
                values.push(value.into());
            }
        }
        Ok(json!({
            "Headers": headers,
            "ResponseBody": body.unwrap_or(Value::String(text)),
            "StatusCode": self.status,
            "StatusText": self.reason,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Received;

    fn result(status: u16, kind: &str, body: &[u8]) -> Result<Value, (String, String)> {
        let headers = [("content-type", kind), ("set-cookie", "a"), ("set-cookie", "b")];
        let received = Received {
            protocol: "https",
            status,
            reason: "OK",
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.to_vec(),
        };
        received.result().map_err(|failure| (failure.error, failure.cause))
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
