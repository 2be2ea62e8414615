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
}

/// All buckets of one statement.
#[derive(Debug)]
pub struct Storage {
    /// `None` keeps the objects in memory.
    connection: Option<Connection>,
    stores: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
    scanned: Arc<AtomicU64>,
}

impl Storage {
    pub fn s3(connection: Connection) -> Self {
        Self { connection: Some(connection), stores: Mutex::default(), scanned: Arc::default() }
    }

    /// Buckets that exist as soon as they are named, for tests.
    pub fn memory() -> Self {
        Self { connection: None, stores: Mutex::default(), scanned: Arc::default() }
    }

    /// Bytes read from objects so far.
    pub fn scanned_bytes(&self) -> u64 {
        self.scanned.load(Ordering::Relaxed)
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
    scanned: Arc<AtomicU64>,
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
            self.scanned.fetch_add(result.range.end - result.range.start, Ordering::Relaxed);
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        let parts = self.inner.get_ranges(location, ranges).await?;
        self.scanned.fetch_add(parts.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
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
