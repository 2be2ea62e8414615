//! What CloudWatch is told of buckets once a day: `AWS/S3`, `BucketSizeBytes` and `NumberOfObjects`. Source: S3 User Guide, "Metrics and
//! dimensions": both count current and noncurrent versions and the parts of uploads under way, the second delete markers, too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use service::meter::Measured;
use store::{Done, Key, NewTask};
use wire::Error;

use crate::S3;
use crate::errors::Result;
use crate::keys;
use crate::records::{BucketRecord, Headers, UploadRecord};

/// The kind of task that counts.
pub(crate) const TASK: &str = "s3:storage-metrics";
const TASK_ID: &str = "s3-storage-metrics";
/// Records that are looked at in one read.
const PAGE: usize = 1000;

/// What of an object or a part is counted.
#[derive(Deserialize)]
struct Sized {
    #[serde(default)]
    size: u64,
    #[serde(default)]
    headers: Headers,
}

#[derive(Debug, Default)]
struct Totals {
    objects: u64,
    /// By storage class.
    bytes: BTreeMap<String, u64>,
}

impl Totals {
    fn add(&mut self, class: Option<&str>, bytes: u64) {
        self.objects += 1;
        if bytes > 0 {
            *self.bytes.entry(class.unwrap_or("STANDARD").to_owned()).or_default() += bytes;
        }
    }
}

/// What CloudWatch calls a class.
fn storage_type(class: &str) -> &'static str {
    match class {
        "REDUCED_REDUNDANCY" => "ReducedRedundancyStorage",
        "STANDARD_IA" => "StandardIAStorage",
        "ONEZONE_IA" => "OneZoneIAStorage",
        "INTELLIGENT_TIERING" => "IntelligentTieringFAStorage",
        "GLACIER" => "GlacierStorage",
        "DEEP_ARCHIVE" => "DeepArchiveStorage",
        "GLACIER_IR" => "GlacierInstantRetrievalStorage",
        _ => "StandardStorage",
    }
}

impl S3 {
    /// Puts the count on the queue, for the next midnight.
    pub(crate) async fn plan_metrics(&self) -> Result<()> {
        let at = self.router.now() + self.until_midnight();
        self.store
            .write(move |tx| {
                if tx.has_task(TASK_ID)? {
                    return Ok(());
                }
                Ok(tx.enqueue(NewTask::new(TASK, TASK_ID).at(at))?)
            })
            .await
    }

    fn until_midnight(&self) -> jiff::SignedDuration {
        let (now, day) = (self.router.now().as_millisecond(), self.day_ms());
        jiff::SignedDuration::from_millis(day - now.rem_euclid(day))
    }

    pub(crate) async fn run_metrics(&self) -> Done {
        if let Err(error) = self.tell_storage().await {
            tracing::warn!(%error, "what buckets hold could not be counted; it is tried again tomorrow");
        }
        Done::RetryAfter(self.until_midnight())
    }

    async fn tell_storage(&self) -> Result<()> {
        let all: Vec<BucketRecord> =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json(keys::buckets(), usize::MAX)?)).await?;
        for bucket in all {
            let totals = self.totals(&bucket.name).await?;
            let tell = |metric: &str, kind: &str, value: u64, unit: &str| {
                #[expect(clippy::cast_precision_loss, reason = "a metric")]
                let value = value as f64;
                let dimensions = &[("BucketName", bucket.name.as_str()), ("StorageType", kind)];
                let (account, region) = (bucket.account.as_str(), bucket.region.as_str());
                let namespace = "AWS/S3";
                self.router.measure(Measured { account, region, namespace, metric, dimensions, value, unit });
            };
            tell("NumberOfObjects", "AllStorageTypes", totals.objects, "Count");
            for (class, bytes) in &totals.bytes {
                tell("BucketSizeBytes", storage_type(class), *bytes, "Bytes");
            }
        }
        Ok(())
    }

    async fn totals(&self, bucket: &str) -> Result<Totals> {
        let mut totals = Totals::default();
        for prefix in [keys::objects(bucket), keys::versions(bucket)] {
            self.each(&prefix, |own: Sized| totals.add(own.headers.storage_class.as_deref(), own.size)).await?;
        }
        let mut uploads = Vec::new();
        self.each(&keys::uploads(bucket), |own: UploadRecord| uploads.push((own.id, own.headers.storage_class)))
            .await?;
        for (id, class) in uploads {
            self.each(&keys::parts(&id), |part: Sized| totals.add(class.as_deref(), part.size)).await?;
        }
        Ok(totals)
    }

    /// All records of a prefix, in short reads, so that nobody waits long.
    async fn each<T: DeserializeOwned>(&self, prefix: &Key, mut take: impl FnMut(T)) -> Result<()> {
        let mut after = Vec::new();
        loop {
            let page = self.store.read(|tx| Ok::<_, Error>(tx.scan_after(prefix, &after, PAGE)?)).await?;
            for (key, value) in &page {
                take(store::kv::decode(key, value)?);
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after.clone_from(key),
                _ => return Ok(()),
            }
        }
    }
}
