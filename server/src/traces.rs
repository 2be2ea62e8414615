//! `[telemetry] otlp_endpoint`: finished spans go to a collector, over OTLP/HTTP in protobuf, some at a time.
//!
//! Whoever has spans leaves them here and goes on. They wait in memory, no more than [`WAITING`] of them: while the collector is away what
//! comes then is dropped, and counted.
//!
//! Source: the OpenTelemetry Protocol Specification 1.x, "OTLP/HTTP": the path, which answers are worth another try, partial success.

mod encoded;
mod messages;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use service::trace::{Span, Tracer};
use tokio::sync::Notify;

pub(crate) use encoded::Origin;

/// Section `[telemetry]` of the settings.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    /// The collector, `http://collector:4318`: traces go to `/v1/traces` below it. Without it nothing is traced.
    otlp_endpoint: Option<String>,
    /// Headers of each request, e.g. `Authorization`.
    otlp_headers: BTreeMap<String, String>,
}

/// Spans that wait for the collector; beyond that they are dropped.
const WAITING: usize = 32_768;
/// Of one request.
const BATCH: usize = 512;
/// So long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);
/// A batch that the collector does not take so often is dropped; the pause doubles from one to the next.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// No longer, whatever the collector asks for.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// What a server that ends waits for its last spans to go.
const LAST: Duration = Duration::from_secs(5);

/// Where spans wait, and what has become of those before. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Exporter(Arc<Shared>);

struct Shared {
    client: Client,
    to: Url,
    origin: Origin,
    waiting: Mutex<VecDeque<Span>>,
    added: Notify,
    counted: Counted,
}

/// What has become of spans.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) exported: AtomicU64,
    /// Too many waited, or the collector did not answer.
    pub(crate) dropped: AtomicU64,
    /// The collector has said that it does not take them.
    pub(crate) rejected: AtomicU64,
    /// Executions whose spans were not made.
    pub(crate) missed: AtomicU64,
}

/// What sending a batch came to.
enum Sent {
    Taken,
    /// Not, and why; perhaps when to come again.
    NotNow(String, Option<Duration>),
    Never(String),
}

impl Exporter {
    /// As the settings say; `None`: nothing is traced.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub(crate) fn of(settings: &service::Settings, origin: Origin) -> Result<Option<Self>> {
        let section: Section = settings.section("telemetry").map_err(anyhow::Error::msg)?;
        let Some(endpoint) = &section.otlp_endpoint else {
            if !section.otlp_headers.is_empty() {
                bail!("[telemetry] otlp_headers is set, and `otlp_endpoint`, to which they go, is not");
            }
            return Ok(None);
        };
        let to = traces_at(endpoint)?;
        // Redirected, a POST would become a GET, and its headers would go to others.
        let client = Client::builder()
            .default_headers(headers(&section.otlp_headers)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .build()
            .context("[telemetry]")?;
        let (waiting, added, counted) = Default::default();
        Ok(Some(Self(Arc::new(Shared { client, to, origin, waiting, added, counted }))))
    }

    /// Sends for ever.
    pub(crate) async fn run(self) {
        loop {
            self.0.added.notified().await;
            while !self.waiting().is_empty() {
                if self.waiting().len() < BATCH {
                    tokio::time::sleep(GATHER).await;
                }
                let batch = self.take();
                self.deliver(batch).await;
            }
        }
    }

    /// Sends what waits, once: the server ends, and what is left after a while is not told any more.
    pub(crate) async fn flush(&self) {
        let _ = tokio::time::timeout(LAST, self.send_all()).await;
    }

    /// Until one batch is not taken.
    async fn send_all(&self) {
        loop {
            let batch = self.take();
            if batch.is_empty() {
                return;
            }
            match self.send(&batch).await {
                Sent::Taken => {}
                Sent::NotNow(why, _) | Sent::Never(why) => return self.give_up(batch.len(), &why),
            }
        }
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.0.counted
    }

    /// How many wait.
    pub(crate) fn count_waiting(&self) -> usize {
        self.waiting().len()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Span> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    async fn deliver(&self, batch: Vec<Span>) {
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let (why, after) = match self.send(&batch).await {
                Sent::Taken => return,
                Sent::Never(why) => return self.give_up(batch.len(), &why),
                Sent::NotNow(why, after) => (why, after),
            };
            if attempt == TRIES {
                return self.give_up(batch.len(), &why);
            }
            tokio::time::sleep(after.unwrap_or(pause).min(MAX_PAUSE)).await;
            pause *= 2;
        }
    }

    fn give_up(&self, spans: usize, why: &str) {
        self.0.counted.dropped.fetch_add(spans as u64, Ordering::Relaxed);
        tracing::warn!(spans, why, "the collector did not take spans; they are dropped");
    }

    async fn send(&self, batch: &[Span]) -> Sent {
        let body = encoded::request(batch, &self.0.origin);
        let request = self.0.client.post(self.0.to.clone()).header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            // Without the address, which may hold a password.
            Err(error) => return Sent::NotNow(error.without_url().to_string(), None),
        };
        let status = answer.status();
        if status.is_success() {
            let rejected = answer.bytes().await.map_or(0, |body| encoded::rejected(&body)).min(batch.len() as u64);
            self.0.counted.rejected.fetch_add(rejected, Ordering::Relaxed);
            self.0.counted.exported.fetch_add(batch.len() as u64 - rejected, Ordering::Relaxed);
            return Sent::Taken;
        }
        let why = format!("it answered {status}");
        if is_worth_another(status) {
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            return Sent::NotNow(why, seconds.map(Duration::from_secs));
        }
        Sent::Never(why)
    }
}

impl Tracer for Exporter {
    fn has_room(&self) -> bool {
        self.waiting().len() < WAITING
    }

    fn export(&self, mut spans: Vec<Span>) {
        let mut waiting = self.waiting();
        let room = WAITING.saturating_sub(waiting.len()).min(spans.len());
        let dropped = spans.split_off(room).len();
        waiting.extend(spans);
        drop(waiting);
        self.0.counted.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        self.0.added.notify_one();
    }

    fn missed(&self) {
        self.0.counted.missed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Source: the specification, "Failures": these alone are tried again.
fn is_worth_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// `/v1/traces` below what the setting names.
fn traces_at(endpoint: &str) -> Result<Url> {
    let mut url = Url::parse(endpoint).with_context(|| format!("[telemetry] otlp_endpoint: {endpoint:?} is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        bail!("[telemetry] otlp_endpoint must be http://HOST:PORT or https://HOST:PORT, a path behind it at most");
    }
    let below = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&below);
    Ok(url)
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong = || format!("[telemetry] otlp_headers: {name:?} is no header, or its value cannot be one's");
        let mut value = HeaderValue::from_str(value).with_context(wrong)?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).with_context(wrong)?, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
