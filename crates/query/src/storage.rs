//! Objects behind `s3://bucket/key`, one store a bucket, all reads counted. DataFusion finds the stores through the
//! same registry that statements use.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RetryConfig,
};
use tokio::sync::Notify;
use url::Url;

use crate::error::{Error, Result};
use crate::handed::Handed;

/// Where the platform listens, and as whom to speak to it.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// The socket where the server hands over objects' open files.
    pub files: Option<PathBuf>,
    /// How what is written is to be encrypted; none leaves it to the bucket.
    pub encryption: Option<Encryption>,
    /// Whoever asks pays for what is read of buckets that want it so.
    pub requester_pays: bool,
}

/// `x-amz-server-side-encryption` of what is written, and the key.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Encryption {
    /// `AES256` or `aws:kms`.
    pub algorithm: String,
    pub key: Option<String>,
}

/// All buckets of one statement.
#[derive(Debug)]
pub struct Storage {
    /// `None` keeps the objects in memory.
    connection: Option<Connection>,
    stores: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
    scanned: Arc<Scanned>,
}

/// Bytes that were read, and how many may be.
#[derive(Debug)]
struct Scanned {
    bytes: AtomicU64,
    limit: u64,
    passed: Notify,
}

impl Default for Scanned {
    fn default() -> Self {
        Self { bytes: AtomicU64::new(0), limit: u64::MAX, passed: Notify::new() }
    }
}

impl Scanned {
    fn add(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before <= self.limit && before.saturating_add(bytes) > self.limit {
            self.passed.notify_one();
        }
    }
}

impl Storage {
    pub fn s3(connection: Connection) -> Self {
        Self { connection: Some(connection), stores: Mutex::default(), scanned: Arc::default() }
    }

    /// Buckets that exist as soon as they are named, for tests.
    pub fn memory() -> Self {
        Self { connection: None, stores: Mutex::default(), scanned: Arc::default() }
    }

    /// With no more bytes than these to be read.
    #[must_use]
    pub fn limited(self, bytes: Option<u64>) -> Self {
        let limit = bytes.unwrap_or(u64::MAX);
        Self { scanned: Arc::new(Scanned { limit, ..Scanned::default() }), ..self }
    }

    /// Bytes read from objects so far.
    pub fn scanned_bytes(&self) -> u64 {
        self.scanned.bytes.load(Ordering::Relaxed)
    }

    /// Counts what another engine has read.
    pub(crate) fn scanned_elsewhere(&self, bytes: u64) {
        self.scanned.add(bytes);
    }

    pub fn is_past_limit(&self) -> bool {
        self.scanned_bytes() > self.scanned.limit
    }

    /// Comes when more has been read than may be.
    pub(crate) async fn past_limit(&self) {
        while !self.is_past_limit() {
            self.scanned.passed.notified().await;
        }
    }

    /// The store of a bucket.
    pub fn bucket(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let inner: Arc<dyn ObjectStore> = match &self.connection {
            None => Arc::new(object_store::memory::InMemory::new()),
            Some(connection) => {
                let remote = s3(connection, bucket)?;
                match &connection.files {
                    Some(socket) => Arc::new(Handed::new(remote, socket.clone())),
                    None => Arc::new(remote),
                }
            }
        };
        let store: Arc<dyn ObjectStore> = Arc::new(Counted { inner, scanned: Arc::clone(&self.scanned) });
        stores.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    /// Writes one whole object.
    pub async fn put(&self, location: &Location, body: impl Into<PutPayload>) -> Result<()> {
        self.bucket(&location.bucket)?.put_opts(&location.path()?, body.into(), PutOptions::default()).await?;
        Ok(())
    }
}

fn s3(connection: &Connection, bucket: &str) -> Result<object_store::aws::AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_endpoint(&connection.endpoint)
        .with_region(&connection.region)
        .with_access_key_id(&connection.access_key_id)
        .with_secret_access_key(&connection.secret_access_key)
        .with_virtual_hosted_style_request(false)
        .with_allow_http(true)
        .with_http_connector(OneClient)
        .with_config(AmazonS3ConfigKey::UnsignedPayload, "true")
        .with_retry(RetryConfig {
            max_retries: 3,
            retry_timeout: std::time::Duration::from_secs(20),
            ..RetryConfig::default()
        });
    if let Some(token) = &connection.session_token {
        builder = builder.with_token(token);
    }
    if let Some(Encryption { algorithm, key }) = &connection.encryption {
        builder = builder.with_config("aws_server_side_encryption".parse()?, algorithm);
        if let Some(key) = key {
            builder = builder.with_config("aws_sse_kms_key_id".parse()?, key);
        }
    }
    if connection.requester_pays {
        builder = builder.with_request_payer(true);
    }
    builder.build().map_err(Error::from)
}

/// The one HTTP client of a process: to make one reads all certificates of the system, which costs more than a small query.
#[derive(Debug)]
pub(crate) struct OneClient;

static CLIENT: OnceLock<HttpClient> = OnceLock::new();

impl HttpConnector for OneClient {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(client) = CLIENT.get() {
            return Ok(client.clone());
        }
        let client = ReqwestConnector::default().connect(options)?;
        Ok(CLIENT.get_or_init(|| client).clone())
    }
}

impl ObjectStoreRegistry for Storage {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let bucket = url.host_str()?.to_owned();
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket, store)
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        let bucket = url.host_str().ok_or_else(|| DataFusionError::Internal(format!("no bucket in {url}")))?;
        Ok(self.bucket(bucket)?)
    }
}

/// A bucket and a key (or key prefix) in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    pub key: String,
}

impl Location {
    pub fn parse(url: &str) -> Result<Self> {
        let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        match rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            Some((bucket, key)) if !bucket.is_empty() => Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() }),
            _ => Err(Error::user(1006, "INVALID_TABLE_PROPERTY", format_args!("'{url}' is no S3 location"))),
        }
    }

    /// The key as object_store wants it: used as it is, not encoded.
    pub fn path(&self) -> Result<Path> {
        Path::parse(self.key.trim_end_matches('/'))
            .map_err(|e| Error::internal(format_args!("key {:?}: {e}", self.key)))
    }

    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { bucket: self.bucket.clone(), key: format!("{}{suffix}", self.key) }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Counts what is read.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn ObjectStore>,
    scanned: Arc<Scanned>,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counted {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let head = options.head;
        let result = self.inner.get_opts(location, options).await?;
        if !head {
            self.scanned.add(result.range.end - result.range.start);
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        let parts = self.inner.get_ranges(location, ranges).await?;
        self.scanned.add(parts.iter().map(|part| part.len() as u64).sum());
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
