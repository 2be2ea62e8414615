//! Server access logging: a line for every request to a bucket that logs, kept with the records until a task puts what has gathered
//! into an object of the target bucket. As on AWS a line may be delivered twice after a crash, and lines come in no promised order.
//! Sources: S3 User Guide, "Logging requests with server access logging", "Amazon S3 server access log format".

use futures::stream;
use s3s::dto::{LoggingEnabled, PartitionDateSource, PartitionedPrefix, SimplePrefix, TargetObjectKeyFormat};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Done, NewTask};
use wire::Error;

use crate::S3;
use crate::body::Expected;
use crate::conditions::Conditions;
use crate::errors::{Result, malformed_xml, not_implemented};
use crate::events::Change;
use crate::keys;
use crate::make::Making;
use crate::put::Attributes;
use crate::records::BucketRecord;
use crate::settings::LOGGING;

/// The kind of task that delivers what has gathered.
pub(crate) const TASK: &str = "s3:logs";
const TASK_ID: &str = "s3-logs";
/// Lines of one object, at most.
const MAX_LINES: usize = if cfg!(test) { 3 } else { 10_000 };
/// Lines of a bucket that are kept while they cannot be delivered.
const MOST_KEPT: usize = 10 * MAX_LINES;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Payload {}

/// Where a bucket logs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    v: u8,
    target: String,
    prefix: String,
    format: Format,
}

/// How the keys of log objects are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    /// As with `Simple`, and told as it was said.
    Unsaid,
    Simple,
    /// Partitioned, by the day of the requests or of the delivery.
    EventTime,
    DeliveryTime,
}

impl Log {
    pub(crate) fn told(self) -> LoggingEnabled {
        let partitioned = |source: &'static str| TargetObjectKeyFormat {
            partitioned_prefix: Some(PartitionedPrefix { partition_date_source: Some(source.to_owned().into()) }),
            simple_prefix: None,
        };
        LoggingEnabled {
            target_bucket: self.target,
            target_grants: None,
            target_object_key_format: match self.format {
                Format::Unsaid => None,
                Format::Simple => {
                    let simple_prefix = Some(SimplePrefix::default());
                    Some(TargetObjectKeyFormat { partitioned_prefix: None, simple_prefix })
                }
                Format::EventTime => Some(partitioned("EventTime")),
                Format::DeliveryTime => Some(partitioned("DeliveryTime")),
            },
            target_prefix: self.prefix,
        }
    }
}

impl S3 {
    /// Lets a bucket log, or ends that.
    pub(crate) async fn put_logging(&self, cx: &Cx, bucket: &str, asked: Option<LoggingEnabled>) -> Result<()> {
        let source = self.governed(bucket).await?;
        let Some(asked) = asked else { return self.delete_setting(cx, bucket, LOGGING).await };
        if asked.target_grants.as_ref().is_some_and(|grants| !grants.is_empty()) {
            return Err(not_implemented("TargetGrants of a log"));
        }
        let format = match &asked.target_object_key_format {
            None => Format::Unsaid,
            Some(format) => match (&format.simple_prefix, &format.partitioned_prefix) {
                (Some(_), None) => Format::Simple,
                (None, Some(partitioned)) => {
                    match partitioned.partition_date_source.as_ref().map(PartitionDateSource::as_str) {
                        Some("EventTime") => Format::EventTime,
                        Some("DeliveryTime") => Format::DeliveryTime,
                        _ => return Err(malformed_xml()),
                    }
                }
                _ => return Err(malformed_xml()),
            },
        };
        let unfit = |message: &str| Error::new("InvalidTargetBucketForLogging", 400, message);
        let target = match self.governed(&asked.target_bucket).await {
            Ok(target) if target.owner() == source.owner() => target,
            Err(_) => return Err(unfit("The target bucket for logging does not exist")),
            Ok(_) => {
                return Err(unfit("The owner for the bucket to be logged and the target bucket must be the same."));
            }
        };
        if target.record.region != source.record.region {
            return Err(Error::new("CrossLocationLoggingProhibited", 403, "Cross S3 location logging not allowed."));
        }
        if target.requester_pays || target.retention.is_some() {
            return Err(unfit("The target bucket makes requesters pay or keeps its objects locked by default."));
        }
        let log = Log { v: 1, target: asked.target_bucket, prefix: asked.target_prefix, format };
        self.put_setting(cx, bucket, LOGGING, &log).await
    }

    pub(crate) async fn logging(&self, bucket: &str) -> Result<Option<Log>> {
        self.setting(bucket, LOGGING).await
    }

    /// Keeps a line until the next delivery.
    pub(crate) async fn log_request(&self, bucket: &str, now_ms: i64, id: &str, line: String) -> Result<()> {
        let place = keys::log_lines(bucket).push_u64(u64::try_from(now_ms).unwrap_or(0)).push(id);
        let at = self.router.now() + self.delivery();
        self.store
            .write(move |tx| {
                tx.put(&place, line.as_bytes())?;
                if !tx.has_task(TASK_ID)? {
                    tx.enqueue(NewTask::new(TASK, TASK_ID).payload(&Payload::default())?.at(at))?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    fn delivery(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(self.settings.log_delivery_seconds.into())
    }

    pub(crate) async fn run_logs(&self) -> Done {
        if let Err(error) = self.deliver_logs().await {
            tracing::warn!(%error, "access logs could not all be delivered; they are kept");
        }
        match self.finish_logs().await {
            Ok(true) => Done::Committed,
            Ok(false) => Done::RetryAfter(self.delivery()),
            Err(error) => {
                tracing::warn!(%error, "the delivery of access logs could not be ended; it goes on");
                Done::RetryAfter(self.delivery())
            }
        }
    }

    /// Ends the task unless lines are left, or were kept meanwhile: who keeps one sees the task, or makes another.
    async fn finish_logs(&self) -> Result<bool> {
        self.store
            .write(|tx| {
                let done = !crate::tx::any(tx, &keys::all_log_lines())?;
                if done {
                    tx.finish_task(TASK_ID)?;
                }
                Ok::<_, Error>(done)
            })
            .await
    }

    /// Delivers all lines that there are. A bucket whose lines cannot be delivered holds up no other.
    ///
    /// # Errors
    /// The last that a bucket's delivery ended with.
    pub async fn deliver_logs(&self) -> Result<()> {
        let all: Vec<BucketRecord> =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json(keys::buckets(), usize::MAX)?)).await?;
        let mut outcome = Ok(());
        for bucket in all {
            if let Err(error) = self.deliver_bucket(&bucket).await {
                tracing::warn!(%error, bucket = bucket.name, "the access log of a bucket could not be delivered");
                outcome = self.forget_oldest(&bucket.name).await.and(Err(error));
            }
        }
        outcome
    }

    async fn deliver_bucket(&self, bucket: &BucketRecord) -> Result<()> {
        while self.deliver_some(bucket).await? {}
        Ok(())
    }

    /// Of lines that cannot be delivered only the last are kept: delivery is a best effort.
    async fn forget_oldest(&self, bucket: &str) -> Result<()> {
        let prefix = keys::log_lines(bucket);
        let (mut kept, mut from) = (0, None);
        // Of the newest so many stay; what is older goes, piece by piece.
        loop {
            let (prefix, start) = (prefix.clone(), from.take());
            let (seen, next) = self
                .store
                .write(move |tx| {
                    let first = prefix.as_bytes().to_vec();
                    let end = start.clone().or_else(|| store::key::prefix_end(&first));
                    let page = tx.scan(&first, end.as_deref(), MAX_LINES, true)?;
                    let next = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() == MAX_LINES);
                    for (key, _) in page.iter().skip(MOST_KEPT.saturating_sub(kept)) {
                        tx.delete(key)?;
                    }
                    Ok::<_, Error>((page.len(), next))
                })
                .await?;
            kept += seen;
            match next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// One object of lines; whether there may be more.
    async fn deliver_some(&self, source: &BucketRecord) -> Result<bool> {
        let prefix = keys::log_lines(&source.name);
        let lines = self.store.read(|tx| tx.scan_prefix(&prefix, MAX_LINES)).await?;
        let Some((first, _)) = lines.first() else { return Ok(false) };
        let since = store::Key::parts(first).get(3).and_then(|ms| <[u8; 8]>::try_from(ms.as_slice()).ok());
        let since = since.map_or(0, |ms| i64::try_from(u64::from_be_bytes(ms)).unwrap_or(0));
        if let Some(config) = self.logging(&source.name).await? {
            let mut body = Vec::new();
            for (_, line) in &lines {
                body.extend_from_slice(line);
                body.push(b'\n');
            }
            let cx = Cx::platform(&self.router, &source.account, &source.region);
            let chance = self.objects.new_id().to_string().to_ascii_uppercase();
            let key = name(&config, source, (since, self.router.now().as_millisecond()), &chance);
            match self.governed(&config.target).await {
                Ok(target) if target.owner() == source.account => {
                    let mut attributes = Attributes::default();
                    attributes.headers.content_type = Some("text/plain".to_owned());
                    let attributes = self.make(&cx, &target, &Making::default(), attributes).await?;
                    let what = (Conditions::default(), Expected::default(), None);
                    let body = stream::iter([Ok(body.into())]);
                    let place = (config.target.clone(), key);
                    self.put_object(&cx, place, attributes, what, (body, Change::Put), crate::checksum::none_trailing)
                        .await?;
                }
                // The target is gone, and one of its name is another account's: its logs go with it.
                Ok(_) => {}
                Err(error) if error.status() == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let more = lines.len() == MAX_LINES;
        let done: Vec<Vec<u8>> = lines.into_iter().map(|(key, _)| key).collect();
        self.store
            .write(move |tx| {
                for key in &done {
                    tx.delete(key)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        Ok(more)
    }
}

/// A log object's key: `[prefix]2013-11-01-21-32-16-E568B2907131C0C0`, or partitioned by account, region, bucket and day.
fn name(log: &Log, source: &BucketRecord, (since_ms, now_ms): (i64, i64), chance: &str) -> String {
    let chance = &chance[chance.len().saturating_sub(16)..];
    let time = |ms: i64, form: &str| {
        jiff::Timestamp::from_millisecond(ms).map(|t| t.strftime(form).to_string()).unwrap_or_default()
    };
    let prefix = &log.prefix;
    let (day, second) = match log.format {
        Format::Unsaid | Format::Simple => {
            return format!("{prefix}{}-{chance}", time(now_ms, "%Y-%m-%d-%H-%M-%S"));
        }
        Format::EventTime => (time(since_ms, "%Y/%m/%d"), time(since_ms, "%Y-%m-%d-00-00-00")),
        Format::DeliveryTime => (time(now_ms, "%Y/%m/%d"), time(now_ms, "%Y-%m-%d-%H-%M-%S")),
    };
    format!("{prefix}{}/{}/{}/{day}/{second}-{chance}", source.account, source.region, source.name)
}

/// What a line tells. What is empty is a dash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line<'a> {
    pub(crate) owner: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) time_ms: i64,
    pub(crate) remote: String,
    pub(crate) requester: String,
    pub(crate) id: &'a str,
    pub(crate) operation: String,
    pub(crate) key: &'a str,
    /// `GET /bucket/key?query HTTP/1.1`.
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) error: String,
    pub(crate) sent: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) took_ms: i64,
    pub(crate) referer: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) version: &'a str,
    pub(crate) signature: &'a str,
    pub(crate) authentication: &'a str,
    pub(crate) host: &'a str,
}

impl Line<'_> {
    pub(crate) fn text(&self) -> String {
        let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let quoted = |text: &str| if text.is_empty() { "\"-\"".to_owned() } else { format!("\"{}\"", plain(text)) };
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let time = jiff::Timestamp::from_millisecond(self.time_ms).unwrap_or_default();
        let took = self.took_ms.max(1);
        [
            self.owner.to_owned(),
            self.bucket.to_owned(),
            time.strftime("[%d/%b/%Y:%H:%M:%S +0000]").to_string(),
            dash(&self.remote),
            dash(&self.requester),
            self.id.to_owned(),
            self.operation.clone(),
            dash(&crate::list::encode(self.key, true)),
            quoted(&self.request),
            self.status.to_string(),
            dash(&self.error),
            number(self.sent),
            number(self.size),
            took.to_string(),
            took.to_string(),
            quoted(self.referer),
            quoted(self.agent),
            dash(self.version),
            dash(self.id),
            dash(self.signature),
            "-".to_owned(),
            dash(self.authentication),
            dash(self.host),
            "-".to_owned(),
            "-".to_owned(),
            "-".to_owned(),
        ]
        .join(" ")
    }
}

/// Nothing that ends the field or the line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '"' || c.is_control() { '?' } else { c }).collect()
}

/// `REST.GET.OBJECT`: by the operation's method, and what it is about.
pub(crate) fn operation(name: &str, method: &str) -> String {
    let about = match name {
        "" => return format!("REST.{method}.UNKNOWN"),
        "ListObjects" | "ListObjectsV2" | "CreateBucket" | "DeleteBucket" | "HeadBucket" => "BUCKET",
        "ListObjectVersions" => "BUCKETVERSIONS",
        "GetObject" | "HeadObject" | "PutObject" | "DeleteObject" => "OBJECT",
        "PostObject" => return "REST.POST.OBJECT".to_owned(),
        "CopyObject" => return "REST.COPY.OBJECT".to_owned(),
        "DeleteObjects" => "MULTI_OBJECT_DELETE",
        "CreateMultipartUpload" | "ListMultipartUploads" => "UPLOADS",
        "CompleteMultipartUpload" | "AbortMultipartUpload" | "ListParts" => "UPLOAD",
        "UploadPart" => "PART",
        "UploadPartCopy" => return "REST.COPY.PART".to_owned(),
        "GetObjectTagging" | "PutObjectTagging" | "DeleteObjectTagging" => "OBJECT_TAGGING",
        "GetBucketPolicy" | "PutBucketPolicy" | "DeleteBucketPolicy" => "BUCKETPOLICY",
        "GetBucketLogging" | "PutBucketLogging" => "LOGGING_STATUS",
        "RestoreObject" => "OBJECT_RESTORE",
        other => {
            let plain = ["Get", "Put", "Delete", "List"].iter().find_map(|verb| other.strip_prefix(verb));
            let about = plain.unwrap_or(other).trim_start_matches("Bucket").trim_end_matches("Configuration");
            return format!("REST.{method}.{}", about.to_ascii_uppercase());
        }
    };
    format!("REST.{method}.{about}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One bucket's target cannot be written: its key is one that is not there.
    #[tokio::test]
    async fn a_log_that_cannot_be_delivered_holds_up_no_other() {
        let router = service::Router::new();
        let (store, objects) = (store::Store::memory(), store::objects::Objects::memory());
        let known = ("0", service::Accounts::default());
        let s3 = S3::new(router.clone(), store, objects, known, crate::Settings::default()).unwrap();
        let cx = Cx::platform(&router, "0", "us-east-1");
        for name in ["aaa", "aaa-logs", "bbb", "bbb-logs"] {
            s3.create_bucket(&cx, name, "us-east-1", s3.usual()).await.unwrap();
        }
        let logging = |target: &str| LoggingEnabled {
            target_bucket: target.to_owned(),
            target_grants: None,
            target_object_key_format: None,
            target_prefix: String::new(),
        };
        s3.put_logging(&cx, "aaa", Some(logging("aaa-logs"))).await.unwrap();
        s3.put_logging(&cx, "bbb", Some(logging("bbb-logs"))).await.unwrap();
        let broken = json!({ "rules": [{ "apply_server_side_encryption_by_default": {
            "sse_algorithm": "aws:kms", "kms_master_key_id": "none" } }] });
        s3.put_setting(&cx, "aaa-logs", crate::settings::ENCRYPTION, &broken).await.unwrap();
        let lines = |bucket: &'static str| {
            let s3 = &s3;
            async move { s3.store.read(|tx| tx.scan_prefix(keys::log_lines(bucket), 999)).await.unwrap().len() }
        };
        for at in 0..=MOST_KEPT {
            s3.log_request("aaa", 1000 + i64::try_from(at).unwrap(), "i", "line".to_owned()).await.unwrap();
        }
        s3.log_request("bbb", 1000, "i", "line".to_owned()).await.unwrap();
        s3.deliver_logs().await.unwrap_err();
        assert_eq!((lines("aaa").await, lines("bbb").await), (MOST_KEPT, 0));
        assert!(!s3.finish_logs().await.unwrap(), "what is kept is tried again");
        s3.delete_setting(&cx, "aaa-logs", crate::settings::ENCRYPTION).await.unwrap();
        s3.deliver_logs().await.unwrap();
        assert_eq!(lines("aaa").await, 0);
        assert!(s3.finish_logs().await.unwrap());
        let query = crate::list::Query { max: 1000, ..crate::list::Query::default() };
        assert_eq!(s3.list("bbb-logs", query).await.unwrap().len(), 1);
    }

    #[test]
    fn names_of_log_objects() {
        let source: BucketRecord = serde_json::from_value(json!({
            "v": 1, "name": "b", "account": "111122223333", "region": "us-west-2", "created_ms": 0,
        }))
        .unwrap();
        let log = |format| Log { v: 1, target: "logs".to_owned(), prefix: "p/".to_owned(), format };
        let times = (1_700_000_000_000, 1_700_100_000_000);
        let chance = "00000000000000000123456789ABCDEF";
        let of = |format| name(&log(format), &source, times, chance);
        assert_eq!(of(Format::Unsaid), "p/2023-11-16-02-00-00-0123456789ABCDEF");
        assert_eq!(of(Format::EventTime), "p/111122223333/us-west-2/b/2023/11/14/2023-11-14-00-00-00-0123456789ABCDEF");
        assert_eq!(
            of(Format::DeliveryTime),
            "p/111122223333/us-west-2/b/2023/11/16/2023-11-16-02-00-00-0123456789ABCDEF"
        );
    }

    #[test]
    fn lines() {
        let line = Line {
            owner: "o",
            bucket: "b",
            time_ms: 1_700_000_000_000,
            id: "i",
            operation: operation("GetObject", "GET"),
            key: "a b",
            request: "GET /b/a%20b HTTP/1.1".to_owned(),
            status: 200,
            sent: Some(3),
            agent: "x\"\n",
            ..Line::default()
        };
        let text = line.text();
        assert!(text.starts_with("o b [14/Nov/2023:22:13:20 +0000] - - i REST.GET.OBJECT a"), "{text}");
        assert!(text.contains("\"GET /b/a%20b HTTP/1.1\" 200 - 3 - 1 1 \"-\" \"x??\" - i - - - - - - -"), "{text}");
        assert_eq!(operation("GetBucketLifecycleConfiguration", "GET"), "REST.GET.LIFECYCLE");
        assert_eq!(operation("ListObjectsV2", "GET"), "REST.GET.BUCKET");
    }
}
