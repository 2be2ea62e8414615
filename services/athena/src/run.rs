//! A query's task: credentials for the attempt, the worker, the end. Killed at any point it starts over: what the attempt
//! that was cut short had written is undone first.

use std::sync::Arc;
use std::time::Duration;

use api_athena::{AthenaError, QueryExecutionStatistics};
use async_trait::async_trait;
use compute::worker::Limits;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::attempts::Outcome as Fate;
use service::{Cx, Principal};
use store::{Done, Runner, Task};
use wire::Error;

use crate::records::{Attempt, Column, Record, Scope, find};
use crate::{Athena, event};

pub(crate) const KIND: &str = "athena:query";
/// Athena's own limit for queries.
const LONGEST: Duration = Duration::from_mins(30);
const WORKER_MEMORY_MB: u64 = 2048;
/// What operators that can spill may hold of it.
const SPILL_BYTES: u64 = 1 << 30;
/// Runs of a query whose worker died without an answer.
const ATTEMPTS: u32 = 2;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) scope: Scope,
    pub(crate) id: String,
}

pub(crate) struct Queries(pub(crate) Arc<Athena>);

/// The worker's reply, as crate `query` writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ok(Outcome),
    Failed { error: Failure, scanned_bytes: u64 },
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Outcome {
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

#[derive(Debug, Clone, Deserialize)]
struct Failure {
    category: i32,
    error_type: i32,
    retryable: bool,
    message: String,
}

#[async_trait]
impl Runner for Queries {
    async fn run(&self, task: Task) -> Done {
        let Ok(payload) = task.payload::<Payload>() else { return Done::Finished };
        match self.0.query(&task, &payload).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(query = payload.id, %error, "a query could not be recorded; it runs again");
                Done::Retry(self.0.router.now() + jiff::SignedDuration::from_secs(1))
            }
        }
    }
}

impl Athena {
    async fn query(&self, task: &Task, payload: &Payload) -> Result<Done, Error> {
        let Some(record) = self.begin(payload).await? else { return Ok(Done::Finished) };
        let ran = tokio::select! {
            ran = self.attempt(payload, &record) => ran,
            // StopQueryExecution has recorded the end.
            () = task.cancelled() => {
                self.close(payload).await?;
                return Ok(Done::Committed);
            }
        };
        let reply = match ran {
            Ok(reply) => reply,
            Err(trouble) if task.attempt < ATTEMPTS && trouble.passing => {
                return Ok(Done::Retry(self.router.now() + jiff::SignedDuration::from_secs(1)));
            }
            Err(trouble) => Reply::Failed {
                error: Failure {
                    category: trouble.category,
                    error_type: trouble.error_type,
                    retryable: false,
                    message: trouble.message,
                },
                scanned_bytes: 0,
            },
        };
        // Before the end is recorded: nobody may see a finished query whose writes could still be undone.
        self.close(payload).await?;
        let (payload, id, now) = (payload.clone(), task.id.clone(), self.router.now());
        self.store
            .write(move |tx| {
                if !tx.has_task(&id)? {
                    return Ok(());
                }
                let mut record = find(tx, &payload.scope, &payload.id)?;
                if !record.is_over() {
                    let previous = record.state().to_owned();
                    end(&mut record, &reply, now);
                    tx.put_json(payload.scope.query(&payload.id), &record)?;
                    event::enqueue(tx, &payload.scope, &record, &previous, now)?;
                }
                tx.finish_task(&id)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(Done::Committed)
    }

    /// Marks the query as running, after undoing what an earlier attempt left. `None`: it is over already.
    async fn begin(&self, payload: &Payload) -> Result<Option<Record>, Error> {
        let scope = payload.scope.clone();
        let record = self.store.read(|tx| find(tx, &scope, &payload.id)).await?;
        if record.is_over() {
            return Ok(None);
        }
        if let Some(old) = &record.attempt {
            self.router.identity().revoke(&old.access_key).await?;
            self.router.finish_attempt(&old.id, Fate::Rollback).await?;
        }
        let (payload, now) = (payload.clone(), self.router.now());
        self.store
            .write(move |tx| {
                let mut record = find(tx, &payload.scope, &payload.id)?;
                if record.is_over() {
                    return Ok(None);
                }
                if record.state() == "QUEUED" {
                    record.status().state = Some("RUNNING".to_owned());
                    record.started_ms = now.as_millisecond();
                    record.sequence += 1;
                    event::enqueue(tx, &payload.scope, &record, "QUEUED", now)?;
                }
                tx.put_json(payload.scope.query(&payload.id), &record)?;
                Ok::<_, Error>(Some(record))
            })
            .await
    }

    async fn attempt(&self, payload: &Payload, record: &Record) -> Result<Reply, Trouble> {
        let cx = Cx::platform(&self.router, &payload.scope.account, &payload.scope.region);
        let attempt = format!("{KIND}:{}:{}", payload.id, cx.uuid());
        let principal = match record.caller.clone().unwrap_or(Principal::Root) {
            Principal::Role { role_arn, session, policy, .. } => {
                Principal::Role { role_arn, session, policy, attempt: Some(attempt.clone()), access_key: None }
            }
            other => other,
        };
        let valid = jiff::SignedDuration::try_from(LONGEST + Duration::from_mins(5)).map_err(Trouble::passing)?;
        let keys = self.router.identity().issue(&principal, valid).await.map_err(Trouble::passing)?;
        let noted = Attempt { id: attempt, access_key: keys.access_key.clone() };
        let place = payload.clone();
        self.store
            .write(move |tx| {
                let mut record = find(tx, &place.scope, &place.id)?;
                record.attempt = Some(noted.clone());
                tx.put_json(place.scope.query(&place.id), &record)?;
                Ok::<_, Error>(())
            })
            .await
            .map_err(Trouble::passing)?;
        let context = record.execution.query_execution_context.clone().unwrap_or_default();
        let request = json!({
            "id": payload.id,
            "sql": record.sql,
            "parameters": record.parameters,
            "catalog": context.catalog.unwrap_or_default(),
            "database": context.database.unwrap_or_else(|| "default".to_owned()),
            "output": record.folder,
            "endpoint": self.endpoint,
            "region": payload.scope.region,
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "session_token": keys.session_token,
            "memory_bytes": SPILL_BYTES,
        });
        let limits = Limits::new().memory_mb(WORKER_MEMORY_MB).timeout(LONGEST);
        match self.compute.workers.call("query", request, limits).await {
            Ok(reply) => serde_json::from_value(reply).map_err(Trouble::passing),
            Err(compute::Error::TimedOut(_)) => {
                Err(Trouble::lasting(2, 1010, "Query timeout: the query ran longer than 30 minutes"))
            }
            Err(compute::Error::OutOfMemory { limit_mb }) => Err(Trouble::lasting(
                2,
                1009,
                format!("EXCEEDED_LOCAL_MEMORY_LIMIT: Query exceeded per-node memory limit of {limit_mb}MB"),
            )),
            Err(error) => Err(Trouble::passing(error)),
        }
    }

    /// Ends the attempt: its keys are void, what it wrote stays.
    async fn close(&self, payload: &Payload) -> Result<(), Error> {
        let record = self.store.read(|tx| find(tx, &payload.scope, &payload.id)).await?;
        if let Some(attempt) = record.attempt {
            self.router.identity().revoke(&attempt.access_key).await?;
            self.router.finish_attempt(&attempt.id, Fate::Commit).await?;
        }
        Ok(())
    }
}

/// Why there is no reply of the worker.
struct Trouble {
    /// Another attempt may do better.
    passing: bool,
    category: i32,
    error_type: i32,
    message: String,
}

impl Trouble {
    fn passing(error: impl std::fmt::Display) -> Self {
        Self { passing: true, category: 1, error_type: 1, message: format!("GENERIC_INTERNAL_ERROR: {error}") }
    }

    fn lasting(category: i32, error_type: i32, message: impl Into<String>) -> Self {
        Self { passing: false, category, error_type, message: message.into() }
    }
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
    let scanned = match reply {
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
            outcome.scanned_bytes
        }
        Reply::Failed { error, scanned_bytes } => {
            let status = record.status();
            status.state = Some("FAILED".to_owned());
            status.state_change_reason = Some(error.message.clone());
            status.athena_error = Some(AthenaError {
                error_category: Some(error.category),
                error_type: Some(error.error_type),
                retryable: Some(error.retryable),
                error_message: Some(error.message.clone()),
            });
            *scanned_bytes
        }
    };
    record.status().completion_date_time = Some(now.into());
    let known = record.execution.statistics.take().unwrap_or_default();
    record.execution.statistics = Some(QueryExecutionStatistics {
        engine_execution_time_in_millis: Some(engine),
        data_scanned_in_bytes: Some(i64::try_from(scanned).unwrap_or(i64::MAX)),
        data_manifest_location: manifest,
        total_execution_time_in_millis: Some(total),
        query_queue_time_in_millis: Some(queued),
        service_pre_processing_time_in_millis: Some(1),
        query_planning_time_in_millis: Some(planning),
        service_processing_time_in_millis: Some((total - queued - engine).max(1)),
        ..known
    });
}
