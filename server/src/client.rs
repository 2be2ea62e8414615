//! The signed HTTP client of the commands that talk to a running server: a plain AWS client with the owner's keys.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use wire::sigv4::{SigningKeys, sign_request};

use crate::up::{SERVER_FILE, ServerFile};

pub(crate) struct Client {
    pub(crate) server: ServerFile,
    http: Hyper<HttpConnector, Full<Bytes>>,
}

/// A request of one of the services, unsigned.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    /// Percent-encoded, with the query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: Bytes,
}

impl Client {
    /// # Errors
    /// When no server runs on this data folder.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        let path = data.join(SERVER_FILE);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("no server runs on {0} (start one: lakerun up --data {0})", data.display())
            }
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let server = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Self { server, http: Hyper::builder(TokioExecutor::new()).build_http() })
    }

    /// Sends a call; status and body of the answer.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<(http::StatusCode, Bytes)> {
        let response = self.answer(call).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Writes the body of a good answer as it comes; the text of a refusal is the error.
    pub(crate) async fn stream(&self, call: Call<'_>, to: &mut dyn std::io::Write) -> Result<()> {
        let response = self.answer(call).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
            bail!("{}", crate::objects::refusal(&text, status));
        }
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                to.write_all(&data)?;
            }
        }
        Ok(())
    }

    /// The headers of an object.
    pub(crate) async fn head(&self, path: &str) -> Result<Option<http::HeaderMap>> {
        let call = Call { service: "s3", method: "HEAD", path, headers: &[], body: Bytes::new() };
        let response = self.answer(call).await?;
        match response.status() {
            http::StatusCode::NOT_FOUND => Ok(None),
            status if !status.is_success() => bail!("HeadObject: {status}"),
            _ => Ok(Some(response.headers().clone())),
        }
    }

    pub(crate) async fn answer(&self, call: Call<'_>) -> Result<http::Response<hyper::body::Incoming>> {
        let uri: http::Uri = format!("{}{}", self.server.endpoint, call.path).parse()?;
        let authority = uri.authority().context("the server's endpoint has no host")?.to_string();
        let mut request = http::Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.parse()?;
        let headers = request.headers_mut();
        headers.insert("host", authority.parse()?);
        for (name, value) in call.headers {
            headers.insert(*name, value.parse()?);
        }
        let keys = SigningKeys {
            access_key: &self.server.access_key,
            secret_key: &self.server.secret_key,
            session_token: None,
        };
        let target = (call.method, uri.path(), uri.query().unwrap_or_default());
        // The console knows who asks by its own session.
        if call.service != "console" {
            sign_request(
                target,
                headers,
                &call.body,
                (&self.server.region, call.service),
                &keys,
                jiff::Timestamp::now(),
            );
        }
        *request.uri_mut() = uri;
        self.http.request(request).await.with_context(|| {
            format!("the server at {} does not answer (process {})", self.server.endpoint, self.server.pid)
        })
    }

    /// Calls an operation of an awsJson service. `target`: e.g. `Logs_20140328.DescribeLogGroups`.
    pub(crate) async fn json(&self, service: &str, target: &str, input: &Value) -> Result<Value> {
        let headers = [("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", target.to_owned())];
        let body = input.to_string().into();
        let (status, body) = self.send(Call { service, method: "POST", path: "/", headers: &headers, body }).await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            // The error says what is wrong; which call found it is of no use to whoever reads it.
            bail!("{}", in_words(&value, status.as_str()));
        }
        Ok(value)
    }

    /// All items of a list operation, page by page, up to a limit. `token`: the member that names the next page.
    pub(crate) async fn all(
        &self,
        (service, target): (&str, &str),
        mut input: Value,
        (member, token): (&str, &str),
        limit: usize,
    ) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            let mut page = self.json(service, target, &input).await?;
            if let Value::Array(found) = page[member].take() {
                items.extend(found);
            }
            match page[token].take() {
                Value::String(next) if items.len() < limit => input[token] = next.into(),
                _ => return Ok(items),
            }
        }
    }
}

/// An error of a JSON protocol as a sentence: its name without the namespace that some services put before it, and what it says.
pub(crate) fn in_words(error: &Value, status: &str) -> String {
    let name = error["__type"].as_str().unwrap_or(status);
    let name = name.rsplit('#').next().unwrap_or(name);
    let message = error["message"].as_str().or_else(|| error["Message"].as_str()).unwrap_or_default();
    if message.is_empty() { name.to_owned() } else { format!("{name}: {message}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn errors_are_sentences() {
        let error =
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no table"});
        assert_eq!(super::in_words(&error, "400"), "ResourceNotFoundException: no table");
        assert_eq!(super::in_words(&json!(null), "503"), "503");
    }
}
