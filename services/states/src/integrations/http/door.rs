//! The exchange of one request and its answer.

use egress::{Door as Egress, Refused, told};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::super::failure::Failure;
use super::{Exchange, Received, Request};

/// The largest response, as the largest result of a Task.
const MAX_BYTES: usize = 262_144;

pub(super) struct Door(Egress);

impl Door {
    pub(super) fn new(link_local: bool) -> Self {
        Self(Egress::new(link_local))
    }

    /// Sends and reads the answer to its end.
    pub(super) async fn send(&self, request: &Request, exchange: &mut Exchange) -> Result<Received, Failure> {
        exchange.sent = Some(request.clone());
        let response = self.begin(request).await?;
        let received = read(&request.url, response).await?;
        exchange.received = Some(received.clone());
        Ok(received)
    }

    async fn begin(&self, request: &Request) -> Result<reqwest::Response, Failure> {
        let socket = |cause: String| Failure::named("States.Http.Socket", cause);
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|error| Failure::named("States.Runtime", error.to_string()))?;
        let mut building = self.0.request(method, &request.url).map_err(|refused| match refused {
            Refused::Address(cause) => socket(cause),
            Refused::NoClient(cause) => Failure::named("States.TaskFailed", cause),
        })?;
        for (name, value) in &request.headers {
            let invalid = || Failure::named("States.Runtime", format!("The header '{name}' cannot be sent"));
            let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            building = building.header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value);
        }
        if let Some(body) = &request.body {
            building = building.body(body.clone());
        }
        building.send().await.map_err(|error| socket(told(&error)))
    }
}

async fn read(url: &Url, mut response: reqwest::Response) -> Result<Received, Failure> {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers = headers.collect();
    let mut body = Vec::new();
    loop {
        let piece = response.chunk().await;
        let piece = piece.map_err(|error| Failure::named("States.Http.Socket", told(&error)))?;
        let Some(piece) = piece else { break };
        if body.len() + piece.len() > MAX_BYTES {
            let cause = "The state/task 'arn:aws:states:::http:invoke' returned a result with a size exceeding the maximum number of bytes service limit.";
            return Err(Failure::named("States.DataLimitExceeded", cause));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Received {
        protocol: if url.scheme() == "https" { "https" } else { "http" },
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default(),
        headers,
        body,
    })
}
