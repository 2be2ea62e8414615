//! Trino's client protocol: a statement is posted, and each page of its answer says where the next one is. Source: Trino's documentation,
//! "Trino client REST API".

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody};
use serde::Deserialize;
use serde_json::Value;

use super::values::{self, Column, Signature};
use super::{Trino, failure};
use crate::error::{Error, Result};
use crate::storage::OneClient;

/// How often a page is asked for again while Trino says that it is busy: for about two minutes.
const TRIES: u32 = 30;
/// The longest pause in between.
const PAUSE: Duration = Duration::from_secs(5);

/// One answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    pub(crate) next_uri: Option<String>,
    columns: Option<Vec<ColumnText>>,
    #[serde(default)]
    pub(crate) data: Vec<Vec<Value>>,
    #[serde(default)]
    pub(crate) stats: Stats,
    error: Option<failure::Failure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ColumnText {
    name: String,
    type_signature: Signature,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stats {
    pub(crate) planning_time_millis: u64,
    /// What connectors read.
    pub(crate) physical_input_bytes: u64,
}

impl Page {
    #[cfg(test)]
    pub(super) fn failure(&self) -> Option<failure::Failure> {
        self.error.clone()
    }

    /// The columns, where the page says them: the first one that knows them does, and all after it.
    pub(crate) fn columns(&self) -> Result<Option<Vec<Column>>> {
        self.columns
            .as_ref()
            .map(|columns| columns.iter().map(|column| Column::of(&column.name, &column.type_signature)).collect())
            .transpose()
    }
}

/// Asks Trino, as one user.
pub(crate) struct Client<'a> {
    http: HttpClient,
    trino: &'a Trino,
}

impl<'a> Client<'a> {
    pub(crate) fn new(trino: &'a Trino) -> Result<Self> {
        let http = OneClient.connect(&ClientOptions::new().with_allow_http(true))?;
        Ok(Self { http, trino })
    }

    /// The first page of a statement.
    pub(crate) async fn begin(&self, sql: &str, schema: &str) -> Result<Page> {
        let mut request = http::Request::post(format!("{}/v1/statement", self.trino.url.trim_end_matches('/')))
            .body(HttpRequestBody::from(sql.to_owned()))
            .map_err(|error| self.broken(error))?;
        let headers = request.headers_mut();
        let said = [
            ("x-trino-catalog", self.trino.catalog.as_str()),
            ("x-trino-schema", schema),
            ("x-trino-source", &self.trino.source),
            ("x-trino-client-info", &self.trino.caller),
            ("x-trino-time-zone", "UTC"),
            // Or timestamps come with three digits, whatever their types say.
            ("x-trino-client-capabilities", "PARAMETRIC_DATETIME"),
        ];
        for (name, value) in said.into_iter().filter(|(_, value)| !value.is_empty()) {
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| self.broken(error))?);
        }
        self.answer(request).await
    }

    /// The page after one; none after the last.
    pub(crate) async fn next(&self, page: &Page) -> Result<Option<Page>> {
        let Some(uri) = &page.next_uri else { return Ok(None) };
        let mut pause = Duration::from_millis(50);
        for _ in 0..TRIES {
            match self.send(self.request(Method::GET, uri)?).await {
                Ok((status, _)) if is_busy(status) => {}
                Ok((status, body)) => return self.page(status, &body).map(Some),
                // Trino keeps a page until the one after it is asked for.
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
        Err(self.broken("it does not answer any more"))
    }

    /// All of a short answer's first column.
    pub(super) async fn texts(&self, sql: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut page = Some(self.begin(sql, "").await?);
        while let Some(now) = page {
            let firsts = now.data.iter().filter_map(|row| row.first()?.as_str());
            found.extend(firsts.map(str::to_owned));
            page = self.next(&now).await?;
        }
        Ok(found)
    }

    /// Of a query that nobody will ask for any more.
    pub(crate) async fn cancel(&self, page: &Page) -> Result<()> {
        if let Some(uri) = &page.next_uri {
            self.send(self.request(Method::DELETE, uri)?).await?;
        }
        Ok(())
    }

    fn request(&self, method: Method, uri: &str) -> Result<http::Request<HttpRequestBody>> {
        let request = http::Request::builder().method(method).uri(uri).body(HttpRequestBody::empty());
        request.map_err(|error| self.broken(error))
    }

    async fn answer(&self, request: http::Request<HttpRequestBody>) -> Result<Page> {
        let (status, body) = self.send(request).await?;
        self.page(status, &body)
    }

    fn page(&self, status: StatusCode, body: &[u8]) -> Result<Page> {
        if status != StatusCode::OK {
            let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
            return Err(self.broken(format_args!("{status} {text}")));
        }
        let page: Page = serde_json::from_slice(body).map_err(|error| self.broken(error))?;
        match page.error {
            Some(failure) => Err(failure.into()),
            None => Ok(page),
        }
    }

    async fn send(&self, mut request: http::Request<HttpRequestBody>) -> Result<(StatusCode, Vec<u8>)> {
        let user = HeaderValue::from_str(&self.trino.user).map_err(|error| self.broken(error))?;
        request.headers_mut().insert("x-trino-user", user);
        if let Some(password) = &self.trino.password {
            let text = format!("Basic {}", STANDARD.encode(format!("{}:{password}", self.trino.user)));
            let mut value = HeaderValue::from_str(&text).map_err(|error| self.broken(error))?;
            value.set_sensitive(true);
            request.headers_mut().insert(http::header::AUTHORIZATION, value);
        }
        let response = self.http.execute(request).await.map_err(|error| self.broken(error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.broken(error))?;
        Ok((status, body.to_bytes().to_vec()))
    }

    fn broken(&self, error: impl std::fmt::Display) -> Error {
        Error::internal(format_args!("Trino at {}: {error}", self.trino.url))
    }
}

/// What a client is to wait for and ask again. Source: the same page.
fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
    )
}

/// The rows of a page, as values of their columns' types.
pub(crate) fn rows(page: &Page, columns: &[Column]) -> Result<Vec<Vec<trino_functions::Value>>> {
    page.data.iter().map(|row| values::row(row, columns)).collect()
}
