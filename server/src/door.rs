//! The console's door for commands: any operation of any service as JSON, whatever its protocol, with the owner's rights.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::client::{Call, Client, in_words};

pub(crate) struct Door<'a> {
    client: &'a Client,
    cookie: String,
}

impl<'a> Door<'a> {
    pub(crate) async fn open(client: &'a Client) -> Result<Self> {
        let secret = json!({ "token": client.server.console_token }).to_string();
        let headers = [("content-type", "application/json".to_owned())];
        let path = "/console/api/session";
        let call = Call { service: "console", method: "POST", path, headers: &headers, body: secret.into() };
        let response = client.answer(call).await?;
        let cookie = response.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let Some(cookie) = cookie.and_then(|cookie| cookie.split(';').next()) else {
            bail!("the server's console does not let its owner in: {}", response.status());
        };
        Ok(Self { client, cookie: cookie.to_owned() })
    }

    pub(crate) async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value> {
        let headers = [("content-type", "application/json".to_owned()), ("cookie", self.cookie.clone())];
        let path = format!("/console/api/{service}/{operation}");
        let body = input.to_string().into();
        let call = Call { service: "console", method: "POST", path: &path, headers: &headers, body };
        let (status, body) = self.client.send(call).await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            bail!("{}", in_words(&value, status.as_str()));
        }
        Ok(value)
    }

    /// How many items a list operation has, on all its pages. `tokens`: what the answer calls the next page, and what the input does.
    pub(crate) async fn count(
        &self,
        (service, operation): (&str, &str),
        member: &str,
        (next, asked): (&str, &str),
    ) -> Result<usize> {
        let mut input = json!({});
        let mut count = 0;
        loop {
            let mut page = self.call(service, operation, &input).await?;
            count += page[member].as_array().map_or(0, Vec::len);
            match page[next].take() {
                Value::String(token) if !token.is_empty() => input[asked] = token.into(),
                _ => return Ok(count),
            }
        }
    }

    /// The session was for this command alone.
    pub(crate) async fn close(self) -> Result<()> {
        let headers = [("cookie", self.cookie)];
        let path = "/console/api/session";
        let body = bytes::Bytes::new();
        self.client.send(Call { service: "console", method: "DELETE", path, headers: &headers, body }).await?;
        Ok(())
    }
}
