//! A query as a job: who runs it, the worker's reply, the end. Its lifecycle is `jobs`'.
//!
//! A query that does not succeed leaves nothing of what it wrote: neither files nor tables nor uploads.

use std::sync::Arc;
use std::time::Duration;

use api_athena::{AthenaError, QueryExecutionStatistics};
use api_s3::{HeadBucket, HeadBucketRequest};
use async_trait::async_trait;
use compute::worker;
use jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Used, Who, Worked};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::attempts::Outcome;
use service::meter::Usage;
use service::{Cx, Principal};
use store::Tx;
use wire::Error;

use crate::elsewhere::Ending;
use crate::records::{Column, Record, Scope, find};
use crate::{Athena, event, metrics};

pub(crate) const KIND: &str = "athena:query";
/// Athena's own limit for queries.
const LONGEST: Duration = Duration::from_mins(30);
const WORKER_MEMORY_MB: u64 = 2048;
/// What operators that can spill may hold of it.
const SPILL_BYTES: u64 = 1 << 30;
/// Runs of a query whose worker died without an answer.
const TRIES: u32 = 2;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) scope: Scope,
    pub(crate) id: String,
}

impl Payload {
    /// The name of the query's task.
    pub(crate) fn task(&self) -> String {
        format!("{KIND}:{}", self.id)
    }
}

/// The worker's reply, as crate `query` writes it; or the end without one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Ok(Box<Answer>),
    Failed {
        error: Failure,
        scanned_bytes: u64,
    },
    Cancelled,
    /// It has read more than its workgroup allows.
    Limited {
        scanned_bytes: u64,
    },
    /// The table has its new state; what the worker would have said of it is not known.
    Settled,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    statement_type: String,
    substatement_type: String,
    output_location: String,
    manifest_location: Option<String>,
    columns: Vec<Column>,
    update_count: i64,
    rows: u64,
    scanned_bytes: u64,
    planning_ms: u64,
    execution_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    category: i32,
    error_type: i32,
    retryable: bool,
    message: String,
}

pub(crate) struct Queries(pub(crate) Arc<Athena>);

#[async_trait]
impl Kind for Queries {
    const NAME: &'static str = KIND;
    /// For memory: a query's time is that in which it runs.
    const WAITS: Option<Duration> = Some(Duration::from_hours(24));
    type Payload = Payload;
    type Plan = Record;
    type End = Reply;

    fn scope(place: &Payload) -> (&str, &str) {
        (&place.scope.account, &place.scope.region)
    }

    fn load(&self, tx: &mut Tx<'_>, place: &Payload) -> Result<Loaded<Record>, Error> {
        let record: Option<Record> = tx.get_json(place.scope.query(&place.id))?;
        Ok(record.filter(|record| !record.is_over()).map_or(Loaded::Over, Loaded::Todo))
    }

    fn older(&self, record: &Record) -> Option<String> {
        record.attempt.as_ref().map(|attempt| attempt.id.clone())
    }

    fn limits(&self, _: &Record) -> Limits {
        Limits { tries: TRIES, timeout: Some(LONGEST) }
    }

    async fn who(&self, place: &Payload, record: &Record, attempt: &str) -> Result<Who<Reply>, Error> {
        let account = &place.scope.account;
        let caller = record.caller.clone().unwrap_or_else(|| Principal::root(account));
        Ok(Who::As(caller.of_account(account).for_attempt(attempt)))
    }

    fn begin(&self, tx: &mut Tx<'_>, place: &Payload, now: jiff::Timestamp) -> Result<(), Error> {
        let mut record = find(tx, &place.scope, &place.id)?;
        if record.state() == "QUEUED" {
            record.status().state = Some("RUNNING".to_owned());
            record.started_ms = now.as_millisecond();
            record.sequence += 1;
            event::enqueue(tx, &place.scope, &record, "QUEUED", now)?;
            tx.put_json(place.scope.query(&place.id), &record)?;
        }
        Ok(())
    }

    async fn work(&self, place: &Payload, record: &Record, attempt: &Attempt) -> Worked<Reply> {
        let keys = match attempt.credentials() {
            Ok(keys) => keys,
            Err(error) => return Worked::Ended(broken(error)),
        };
        if let Some(refused) = self.not_its_owner(place, record).await {
            return Worked::Ended(refused);
        }
        let context = record.execution.query_execution_context.clone().unwrap_or_default();
        let trino = self.0.trino.asks(record, &place.id);
        let catalogs = match self.0.store.read(|tx| crate::ops::catalogs::own(tx, &place.scope)).await {
            Ok(catalogs) => catalogs,
            Err(error) => return Worked::Passing(broken(error)),
        };
        let asks = |at: worker::At<'_>| {
            // It is asked once it has its place.
            attempt.started();
            json!({
            "trino": trino,
            "id": place.id,
            "sql": record.sql,
            "parameters": record.parameters,
            "catalogs": catalogs,
            "catalog": context.catalog.as_deref().unwrap_or_default(),
            // awswrangler quotes the name as Hive does.
            "database": context.database.as_deref().map_or("default", |name| name.trim_matches('`')),
            "output": record.folder,
            "endpoint": at.endpoint(&self.0.endpoint),
            "region": place.scope.region,
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "session_token": keys.session_token,
            "memory_bytes": SPILL_BYTES,
            "files": (at == worker::At::Here).then_some(&self.0.files),
            "scan_limit": record.rules.scan_limit,
            "encryption": encryption(record),
            "requester_pays": record.rules.requester_pays,
            "place_enforced": record.rules.enforced,
            })
        };
        let limits = worker::Limits::new().memory_mb(WORKER_MEMORY_MB).read_only(&self.0.files);
        let ending = Ending { workers: self.0.compute.workers.clone(), trino: trino.clone() };
        let (answer, used) = self.0.compute.workers.call("query", &asks, limits).await;
        let answer = answer.map(serde_json::from_value::<Reply>);
        // Trino goes on reading what this query may no longer.
        if answer.as_ref().is_ok_and(|reply| !matches!(reply, Ok(Reply::Limited { .. }))) {
            ending.disarm();
        }
        attempt.use_up(Used { cpu_ms: used.cpu_ms, peak_bytes: used.peak_bytes, ..Used::default() });
        match answer {
            Ok(Ok(reply)) => {
                attempt.use_up(Used { read_bytes: reply.scanned_bytes(), ..Used::default() });
                Worked::Ended(reply)
            }
            Ok(Err(error)) => Worked::Passing(broken(error)),
            Err(compute::Error::OutOfMemory { limit_mb }) => Worked::Ended(failed(
                (2, 1009),
                format!("EXCEEDED_LOCAL_MEMORY_LIMIT: Query exceeded per-node memory limit of {limit_mb}MB"),
            )),
            Err(error @ compute::Error::NodeLost { .. }) => Worked::Lost(broken(error)),
            Err(error) => Worked::Passing(broken(error)),
        }
    }

    fn stopped(&self) -> Reply {
        Reply::Cancelled
    }

    fn timed_out(&self, _: &Record) -> Reply {
        failed((2, 1010), "Query timeout: the query ran longer than 30 minutes")
    }

    fn settled(&self) -> Option<Reply> {
        Some(Reply::Settled)
    }

    fn outcome(&self, end: &Reply) -> Outcome {
        if matches!(end, Reply::Ok(_) | Reply::Settled) { Outcome::Commit } else { Outcome::Rollback }
    }

    fn end(&self, tx: &mut Tx<'_>, place: &Payload, ended: &Ended<Reply>) -> Result<Next<Payload>, Error> {
        let mut record = find(tx, &place.scope, &place.id)?;
        if !record.is_over() {
            finish(tx, place, &mut record, ended)?;
        }
        Ok(Next::Over)
    }

    async fn recorded(&self, place: &Payload) {
        let found = self.0.store.read(|tx| find(tx, &place.scope, &place.id)).await;
        if let Ok(record) = &found
            && let Some(amount) = billed_bytes(record)
        {
            let resource = record.execution.work_group.as_deref().unwrap_or("primary");
            let used = Usage { service: "athena", metric: "BilledBytes", resource, amount, unit: "Bytes" };
            used.tell(&self.0.router, (&place.scope.account, &place.scope.region));
        }
        if let Ok(record) = found {
            metrics::tell(&self.0.router, &place.scope, &record).await;
        }
    }
}

impl Queries {
    /// `ExpectedBucketOwner` is of the bucket of results alone. Source: Athena User Guide, "Workgroup settings".
    async fn not_its_owner(&self, place: &Payload, record: &Record) -> Option<Reply> {
        let results = record.execution.result_configuration.as_ref()?;
        let expected_bucket_owner = Some(results.expected_bucket_owner.clone()?);
        let location = results.output_location.as_deref().unwrap_or_default();
        let (bucket, _) = location.strip_prefix("s3://")?.split_once('/')?;
        let platform = Cx::platform(&self.0.router, &place.scope.account, &place.scope.region);
        let request = HeadBucketRequest { bucket: bucket.to_owned(), expected_bucket_owner };
        let error = platform.call::<HeadBucket>(request).await.err()?;
        // What else is wrong with the bucket the query finds itself.
        (error.is("AccessDenied") || error.is("InvalidBucketOwnerAWSAccountID")).then(|| {
            failed((2, 1501), format!(
                "Access denied when writing output to url: {location} . Please ensure you are allowed to access the S3 bucket. If you specified an expected bucket owner, confirm the bucket is owned by the expected account. If you are encrypting query results with KMS key, please ensure you are allowed to access your KMS key"
            ))
        })
    }
}

/// How S3 is to encrypt what the query writes: its result, and the data of new tables, too (Athena User Guide, "Encrypt Athena query results
/// stored in Amazon S3").
fn encryption(record: &Record) -> Option<serde_json::Value> {
    let asked = record.execution.result_configuration.as_ref()?.encryption_configuration.as_ref()?;
    let algorithm = if asked.encryption_option == "SSE_KMS" { "aws:kms" } else { "AES256" };
    Some(json!({ "algorithm": algorithm, "key": asked.kms_key }))
}

/// Source: Amazon Athena pricing: bytes scanned, at least 10 MB a query; not of statements that scan nothing, nor of those that fail.
fn billed_bytes(record: &Record) -> Option<f64> {
    const LEAST: f64 = 10e6;
    let scanned = record.execution.statistics.as_ref()?.data_scanned_in_bytes?;
    let is_dml = record.execution.statement_type.as_deref() == Some("DML");
    let is_billed = match record.state() {
        "SUCCEEDED" => scanned > 0 || is_dml,
        "CANCELLED" => scanned > 0,
        _ => false,
    };
    #[expect(clippy::cast_precision_loss, reason = "bytes of a query are below 2^52")]
    let bytes = scanned as f64;
    is_billed.then_some(bytes.max(LEAST))
}

/// Records how a query ended, and asks for its event.
pub(crate) fn finish(tx: &mut Tx<'_>, place: &Payload, record: &mut Record, ended: &Ended<Reply>) -> Result<(), Error> {
    let previous = record.state().to_owned();
    end(record, &ended.end, ended.at);
    record.used = Some(ended.used);
    tx.put_json(place.scope.query(&place.id), record)?;
    event::enqueue(tx, &place.scope, record, &previous, ended.at)
}

fn failed((category, error_type): (i32, i32), message: impl Into<String>) -> Reply {
    let error = Failure { category, error_type, retryable: false, message: message.into() };
    Reply::Failed { error, scanned_bytes: 0 }
}

/// Not the query's fault.
fn broken(error: impl std::fmt::Display) -> Reply {
    failed((1, 1), format!("GENERIC_INTERNAL_ERROR: {error}"))
}

impl Reply {
    fn scanned_bytes(&self) -> u64 {
        match self {
            Self::Ok(answer) => answer.scanned_bytes,
            Self::Failed { scanned_bytes, .. } | Self::Limited { scanned_bytes } => *scanned_bytes,
            Self::Cancelled | Self::Settled => 0,
        }
    }
}

fn cancelled(record: &mut Record, reason: &str) {
    let status = record.status();
    status.state = Some("CANCELLED".to_owned());
    status.state_change_reason = Some(reason.to_owned());
}

/// Writes the reply into the record.
fn end(record: &mut Record, reply: &Reply, now: jiff::Timestamp) {
    record.sequence += 1;
    record.attempt = None;
    let submitted = record
        .execution
        .status
        .as_ref()
        .and_then(|status| status.submission_date_time)
        .map_or(0, wire::Timestamp::as_millis);
    let started = if record.started_ms > 0 { record.started_ms } else { now.as_millisecond() };
    let total = (now.as_millisecond() - submitted).max(3);
    let queued = (started - submitted).max(1);
    let (mut engine, mut planning, mut manifest) = ((total - queued).max(1), 1, None);
    match reply {
        Reply::Ok(outcome) => {
            let execution = &mut record.execution;
            execution.statement_type = Some(outcome.statement_type.clone());
            execution.substatement_type = Some(outcome.substatement_type.clone());
            execution.result_configuration.get_or_insert_default().output_location =
                Some(outcome.output_location.clone());
            record.columns.clone_from(&outcome.columns);
            record.update_count = outcome.update_count;
            record.rows = outcome.rows;
            engine = i64::try_from(outcome.execution_ms).unwrap_or(i64::MAX).max(1);
            planning = i64::try_from(outcome.planning_ms).unwrap_or(i64::MAX).max(1);
            manifest.clone_from(&outcome.manifest_location);
            record.status().state = Some("SUCCEEDED".to_owned());
        }
        Reply::Settled => record.status().state = Some("SUCCEEDED".to_owned()),
        Reply::Failed { error, .. } => {
            let status = record.status();
            status.state = Some("FAILED".to_owned());
            status.state_change_reason = Some(error.message.clone());
            status.athena_error = Some(AthenaError {
                error_category: Some(error.category),
                error_type: Some(error.error_type),
                retryable: Some(error.retryable),
                error_message: Some(error.message.clone()),
            });
        }
        Reply::Cancelled => cancelled(record, "Query cancelled by user"),
        Reply::Limited { .. } => cancelled(record, "Bytes scanned limit was exceeded"),
    }
    record.status().completion_date_time = Some(now.into());
    let known = record.execution.statistics.take().unwrap_or_default();
    record.execution.statistics = Some(QueryExecutionStatistics {
        engine_execution_time_in_millis: Some(engine),
        data_scanned_in_bytes: Some(i64::try_from(reply.scanned_bytes()).unwrap_or(i64::MAX)),
        data_manifest_location: manifest,
        total_execution_time_in_millis: Some(total),
        query_queue_time_in_millis: Some(queued),
        service_pre_processing_time_in_millis: Some(1),
        query_planning_time_in_millis: Some(planning),
        service_processing_time_in_millis: Some((total - queued - engine).max(1)),
        ..known
    });
}
