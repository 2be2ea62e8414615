//! The child process of a crawl, `lakerun worker crawl`: one request a crawl, S3 through the platform's port with the
//! role's keys.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use compute::worker::{Answer, Failure};
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::crawl::{self, Object, Request, Source, SourceError};

/// What the worker is sent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) connection: Connection,
    pub(crate) crawl: Request,
}

/// Where S3 is, and as whom to read it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

/// Does one crawl: the handler for `compute::worker::serve`.
pub fn handle(request: Value) -> Answer {
    Box::pin(crawl(request))
}

async fn crawl(request: Value) -> Result<Value, Failure> {
    let job: Job =
        serde_json::from_value(request).map_err(|error| Failure::new("InvalidRequest", error.to_string()))?;
    let source = S3 { connection: job.connection, buckets: Mutex::default() };
    let report =
        crawl::run(&job.crawl, &source).await.map_err(|error| Failure::new("CrawlFailed", error.to_string()))?;
    serde_json::to_value(report).map_err(|error| Failure::new("InternalFailure", error.to_string()))
}

struct S3 {
    connection: Connection,
    buckets: Mutex<BTreeMap<String, Arc<AmazonS3>>>,
}

impl S3 {
    fn bucket(&self, name: &str) -> Result<Arc<AmazonS3>, SourceError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(Arc::clone(bucket));
        }
        let connection = &self.connection;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_endpoint(&connection.endpoint)
            .with_region(&connection.region)
            .with_access_key_id(&connection.access_key)
            .with_secret_access_key(&connection.secret_key)
            .with_virtual_hosted_style_request(false)
            .with_allow_http(true)
            .with_config(AmazonS3ConfigKey::UnsignedPayload, "true")
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: Duration::from_secs(20),
                ..RetryConfig::default()
            });
        if let Some(token) = &connection.session_token {
            builder = builder.with_token(token);
        }
        let bucket = Arc::new(builder.build().map_err(|error| failed(&error))?);
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }
}

#[async_trait]
impl Source for S3 {
    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<Object>, SourceError> {
        let store = self.bucket(bucket)?;
        let path = Path::parse(prefix).map_err(|error| SourceError(error.to_string()))?;
        let below = (!prefix.is_empty()).then_some(&path);
        let found: Vec<_> = store.list(below).try_collect().await.map_err(|error| failed(&error))?;
        let mut objects: Vec<Object> =
            found.into_iter().map(|meta| Object { key: meta.location.to_string(), size: meta.size }).collect();
        if !prefix.is_empty() && objects.is_empty() {
            // The include path may name a file.
            match store.head(&path).await {
                Ok(meta) => objects.push(Object { key: prefix.to_owned(), size: meta.size }),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    async fn read(&self, bucket: &str, key: &str, start: u64, end: u64) -> Result<Bytes, SourceError> {
        let store = self.bucket(bucket)?;
        let path = Path::parse(key).map_err(|error| SourceError(error.to_string()))?;
        store.get_range(&path, start..end).await.map_err(|error| failed(&error))
    }
}

/// The innermost cause says what happened; the layers above it only that something did.
fn failed(error: &dyn std::error::Error) -> SourceError {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !texts.iter().any(|t| t.contains(&text)) {
            texts.push(text);
        }
        cause = inner.source();
    }
    let text = texts.join(": ");
    SourceError(answer(&text).unwrap_or(text))
}

/// S3's own words, where an answer of S3 is in the text.
fn answer(text: &str) -> Option<String> {
    let inside = |name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>"))?;
        after.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
    };
    Some(format!("{}: {}", inside("Code")?, inside("Message")?))
}
