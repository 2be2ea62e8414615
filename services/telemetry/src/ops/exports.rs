//! CreateExportTask, DescribeExportTasks, CancelExportTask, and the task that writes a group's events into a bucket.
//! Source: CloudWatch Logs User Guide, "Export log data to Amazon S3 using the CLI"; API Reference, CreateExportTask.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use api_logs::error::{
    invalid_operation_exception, invalid_parameter_exception, limit_exceeded_exception, resource_not_found_exception,
};
use api_logs::{
    CancelExportTask, CancelExportTaskRequest, CreateExportTask, CreateExportTaskRequest, CreateExportTaskResponse,
    DescribeExportTasks, DescribeExportTasksRequest, DescribeExportTasksResponse, ExportTask, ExportTaskExecutionInfo,
    ExportTaskStatus,
};
use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::policy::{Asked, Caller, Verdict, asked_about, evaluate_for};
use service::{Cx, Handle, Router};
use store::{Done, NewTask, Runner, Task};
use wire::Error;
use wire::types::Empty;

use super::{limit, page};
use crate::Telemetry;
use crate::logs::{Event, Scope, events_of};

pub(crate) const RUN: &str = "logs:export";
/// Under which objects lie where the request says nothing. Source: API Reference, CreateExportTask, `destinationPrefix`.
const PREFIX: &str = "exportedlogs";
/// What AWS puts into a bucket to see whether it may.
const TRIED: &str = "aws-logs-write-test";
const ACL: &str = "bucket-owner-full-control";
/// Bytes, packed, that a stream's object has at least before a next one is begun.
const OBJECT_BYTES: usize = 16 << 20;
/// Bytes of all streams' objects in memory, at most.
const MOST_BYTES: usize = 64 << 20;
/// A task that S3 refuses for a while is tried so often.
const MOST_TRIES: u32 = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Export {
    /// Version of the record's form.
    version: u32,
    id: String,
    name: Option<String>,
    group: String,
    streams: Option<String>,
    from_ms: i64,
    to_ms: i64,
    bucket: String,
    prefix: String,
    status: String,
    message: String,
    created_ms: i64,
    ended_ms: Option<i64>,
}

impl Export {
    fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "PENDING" | "RUNNING" | "PENDING_CANCEL")
    }
}

fn task(id: &str) -> String {
    format!("{RUN}/{id}")
}

#[async_trait]
impl Handle<CreateExportTask> for Telemetry {
    async fn handle(&self, cx: &Cx, req: CreateExportTaskRequest) -> Result<CreateExportTaskResponse, Error> {
        if req.from > req.to {
            return Err(invalid_parameter_exception("The specified time range is not valid: from is after to."));
        }
        let export = Export {
            version: 1,
            id: cx.uuid(),
            name: req.task_name,
            group: req.log_group_name,
            streams: req.log_stream_name_prefix,
            from_ms: req.from,
            to_ms: req.to,
            bucket: req.destination,
            prefix: req.destination_prefix.unwrap_or_else(|| PREFIX.to_owned()),
            status: "PENDING".to_owned(),
            message: String::new(),
            created_ms: cx.now().as_millisecond(),
            ended_ms: None,
        };
        let scope = Scope::of(cx);
        self.store.read(|tx| scope.load_group(tx, &export.group)).await?;
        try_bucket(cx, &export).await?;
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        cx.write(&self.store, move |tx| {
            let all: Vec<Export> = tx.list_json(scope.exports(), usize::MAX)?;
            // Source: API Reference, CreateExportTask: "Each account can only have one active export task at a time".
            if all.iter().any(|export| !export.is_over()) {
                return Err(limit_exceeded_exception("Resource limit exceeded."));
            }
            tx.put_json(scope.exports().push(&export.id), &export)?;
            let payload = (&account, &region, &export.id);
            tx.enqueue(NewTask::new(RUN, task(&export.id)).payload(&payload)?)?;
            Ok(CreateExportTaskResponse { task_id: Some(export.id.clone()) })
        })
        .await
    }
}

/// Whether the bucket's policy lets Logs in, and a first object. Source: the guide, "Set permissions on an S3 bucket".
async fn try_bucket(cx: &Cx, export: &Export) -> Result<(), Error> {
    let refused = |call: &str| {
        invalid_parameter_exception(format!(
            "{call} call on the given bucket failed. Please check if CloudWatch Logs has been granted permission to perform this operation."
        ))
    };
    let (own, bucket) = (cx.as_platform(), &export.bucket);
    let request = api_s3::GetBucketPolicyRequest { bucket: bucket.clone(), ..Default::default() };
    let policy = match own.call::<api_s3::GetBucketPolicy>(request).await {
        Err(error) if error.status() < 500 => return Err(refused("GetBucketAcl")),
        other => other?.policy.unwrap_or_default(),
    };
    let policy: Value = serde_json::from_str(&policy).map_err(Error::internal)?;
    let key = format!("{}/{TRIED}", export.prefix);
    let (all, object) = (format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/{key}"));
    for (call, action, resource) in [("GetBucketAcl", "s3:GetBucketAcl", &all), ("PutObject", "s3:PutObject", &object)]
    {
        if !lets_in(cx, &export.group, &policy, action, resource) {
            return Err(refused(call));
        }
    }
    let tried = put(&own, bucket, key, b"Permission Check Successful".to_vec()).await;
    tried.map_err(|error| if error.status() < 500 { refused("PutObject") } else { error })
}

fn lets_in(cx: &Cx, group: &str, policy: &Value, action: &str, resource: &str) -> bool {
    let (group, account) = (format!("{}:*", cx.arn("logs", format!("log-group:{group}"))), cx.account().to_owned());
    let keys = [
        ("aws:PrincipalIsAWSService", "true"),
        ("aws:SecureTransport", "true"),
        ("aws:SourceAccount", account.as_str()),
        ("aws:SourceArn", group.as_str()),
        ("s3:x-amz-acl", ACL),
    ];
    let given = |key: &String| keys.iter().any(|(name, _)| name.eq_ignore_ascii_case(key));
    let unknown: Vec<String> =
        asked_about(std::slice::from_ref(policy), action).into_iter().filter(|key| !given(key)).collect();
    let asked = Asked { action, resource, keys: &keys, unknown: &unknown };
    let service = format!("logs.{}.amazonaws.com", cx.region());
    let caller = Caller { account: "", arns: &[], canonical: "", service: &service };
    evaluate_for(policy, caller, asked) == Verdict::Allowed
}

async fn put(cx: &Cx, bucket: &str, key: String, body: Vec<u8>) -> Result<(), Error> {
    let request = api_s3::PutObjectRequest {
        bucket: bucket.to_owned(),
        key,
        body: Some(body.into()),
        acl: Some(ACL.to_owned()),
        ..api_s3::PutObjectRequest::default()
    };
    cx.call::<api_s3::PutObject>(request).await.map(drop)
}

#[async_trait]
impl Handle<DescribeExportTasks> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DescribeExportTasksRequest) -> Result<DescribeExportTasksResponse, Error> {
        let scope = Scope::of(cx);
        let mut all: Vec<Export> = self.store.read(|tx| tx.list_json(scope.exports(), usize::MAX)).await?;
        // The newest first.
        let name = |export: &Export| format!("{:020}{}", i64::MAX - export.created_ms, export.id);
        all.sort_by_key(name);
        let keep = |export: &Export| {
            req.task_id.as_ref().is_none_or(|id| *id == export.id)
                && req.status_code.as_ref().is_none_or(|status| *status == export.status)
        };
        let (found, next_token) = page(all, limit(req.limit, 50), name, req.next_token.as_deref(), keep);
        if let (Some(id), true) = (&req.task_id, found.is_empty() && req.status_code.is_none()) {
            return Err(missing(id));
        }
        let shown = found.into_iter().map(|export| ExportTask {
            task_id: Some(export.id),
            task_name: export.name,
            log_group_name: Some(export.group),
            from: Some(export.from_ms),
            to: Some(export.to_ms),
            destination: Some(export.bucket),
            destination_prefix: Some(export.prefix),
            status: Some(ExportTaskStatus {
                code: Some(export.status),
                message: Some(export.message).filter(|message| !message.is_empty()),
            }),
            execution_info: Some(ExportTaskExecutionInfo {
                creation_time: Some(export.created_ms),
                completion_time: export.ended_ms,
            }),
        });
        Ok(DescribeExportTasksResponse { export_tasks: Some(shown.collect()), next_token })
    }
}

fn missing(id: &str) -> Error {
    resource_not_found_exception(format!("The specified export task {id} does not exist."))
}

#[async_trait]
impl Handle<CancelExportTask> for Telemetry {
    async fn handle(&self, cx: &Cx, req: CancelExportTaskRequest) -> Result<Empty, Error> {
        let (scope, now) = (Scope::of(cx), cx.now().as_millisecond());
        cx.write(&self.store, move |tx| {
            let key = scope.exports().push(&req.task_id);
            let Some(mut export) = tx.get_json::<Export>(&key)? else { return Err(missing(&req.task_id)) };
            if export.is_over() {
                return Err(invalid_operation_exception("The specified export task is neither pending nor running."));
            }
            "CANCELLED".clone_into(&mut export.status);
            export.ended_ms = Some(now);
            tx.put_json(&key, &export)?;
            tx.cancel_task(&task(&export.id))?;
            Ok(Empty {})
        })
        .await
    }
}

/// The exports' task.
pub(crate) struct Exports(pub(crate) Arc<Telemetry>, pub(crate) Arc<Router>);

#[async_trait]
impl Runner for Exports {
    async fn run(&self, task: Task) -> Done {
        let Ok((account, region, id)) = task.payload::<(String, String, String)>() else { return Done::Finished };
        let cx = Cx::platform(&self.1, &account, &region);
        let ended = match self.0.export(&cx, &id, &|| task.is_cancelled()).await {
            Err(error) if error.status() >= 500 && task.attempt < MOST_TRIES => {
                tracing::warn!(export = id, %error, "an export of logs is interrupted; it is run again in a while");
                return Done::RetryAfter(jiff::SignedDuration::from_secs(10));
            }
            ended => ended,
        };
        let (status, message) = match ended {
            Ok(true) => ("COMPLETED", "Completed successfully".to_owned()),
            Ok(false) => return Done::Finished,
            Err(error) => ("FAILED", error.message().to_owned()),
        };
        match self.0.end_export(&cx, &id, status, message).await {
            Ok(()) => Done::Finished,
            Err(_) => Done::RetryAfter(jiff::SignedDuration::from_secs(10)),
        }
    }
}

impl Telemetry {
    /// Writes the objects; false where it was cancelled.
    async fn export(&self, cx: &Cx, id: &str, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool, Error> {
        let key = Scope::of(cx).exports().push(id);
        let begun = self.store.write(move |tx| {
            let Some(mut export) = tx.get_json::<Export>(&key)?.filter(|export| !export.is_over()) else {
                return Ok(None);
            };
            "RUNNING".clone_into(&mut export.status);
            tx.put_json(&key, &export)?;
            Ok::<_, Error>(Some(export))
        });
        let Some(export) = begun.await? else { return Ok(false) };
        let (range, mut after) = ((export.from_ms, export.to_ms.saturating_add(1)), None);
        let mut files = Files { export: &export, open: BTreeMap::new() };
        loop {
            if stopped() {
                return Ok(false);
            }
            let (batches, next) = self.read_some(cx, &export.group, range, after.as_deref()).await?;
            for (key, value) in &batches {
                for event in events_of(key, value, range)? {
                    files.take(&event).map_err(Error::internal)?;
                }
            }
            files.put_large(cx).await?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        files.put_all(cx).await?;
        Ok(true)
    }

    async fn end_export(&self, cx: &Cx, id: &str, status: &'static str, message: String) -> Result<(), Error> {
        let key = Scope::of(cx).exports().push(id);
        self.store
            .write(move |tx| {
                let Some(mut export) = tx.get_json::<Export>(&key)?.filter(|export| !export.is_over()) else {
                    return Ok(());
                };
                status.clone_into(&mut export.status);
                export.message.clone_from(&message);
                export.ended_ms = Some(tx.now().as_millisecond());
                Ok::<_, Error>(tx.put_json(&key, &export)?)
            })
            .await
    }
}

/// Which object of a stream it is, and its bytes so far.
type Part = (u32, Option<GzEncoder<Vec<u8>>>);

/// The objects of an export that are being made, by stream: which one it is, and its bytes.
struct Files<'a> {
    export: &'a Export,
    open: BTreeMap<String, Part>,
}

impl Files<'_> {
    /// A line for an event: its time and message.
    fn take(&mut self, event: &Event) -> std::io::Result<()> {
        if self.export.streams.as_ref().is_some_and(|prefix| !event.stream.starts_with(prefix.as_str())) {
            return Ok(());
        }
        let (_, file) = self.open.entry(event.stream.clone()).or_default();
        let file = file.get_or_insert_with(|| GzEncoder::new(Vec::new(), Compression::default()));
        let time = jiff::Timestamp::from_millisecond(event.time_ms).unwrap_or_default();
        writeln!(file, "{time:.3} {}", event.message)
    }

    async fn put_large(&mut self, cx: &Cx) -> Result<(), Error> {
        let held = |file: &(u32, Option<GzEncoder<Vec<u8>>>)| file.1.as_ref().map_or(0, |file| file.get_ref().len());
        let all: usize = self.open.values().map(held).sum();
        let large = |file| all > MOST_BYTES || held(file) > OBJECT_BYTES;
        let large: Vec<String> =
            self.open.iter().filter(|(_, file)| large(file)).map(|(name, _)| name.clone()).collect();
        for stream in large {
            self.put(cx, &stream).await?;
        }
        Ok(())
    }

    async fn put_all(&mut self, cx: &Cx) -> Result<(), Error> {
        let all: Vec<String> = self.open.keys().cloned().collect();
        for stream in all {
            self.put(cx, &stream).await?;
        }
        Ok(())
    }

    /// Puts a stream's object: `PREFIX/TASK/STREAM/000000.gz`, in whose name a slash of the stream's is a hyphen.
    async fn put(&mut self, cx: &Cx, stream: &str) -> Result<(), Error> {
        let Some((number, Some(file))) = self.open.get_mut(stream).map(|(number, file)| (number, file.take())) else {
            return Ok(());
        };
        let body = file.finish().map_err(Error::internal)?;
        let Export { prefix, id, bucket, .. } = self.export;
        let key = format!("{prefix}/{id}/{}/{number:06}.gz", stream.replace('/', "-"));
        *number += 1;
        put(cx, bucket, key, body).await
    }
}
