//! A transform job's task: credentials for the attempt, the worker, how it ended. Killed at any point it starts over: an
//! attempt that was cut short is rolled back, one whose work had ended is only wound up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use compute::worker::Limits;
use service::Cx;
use service::attempts::Outcome;
use service::identity::Credentials;
use store::{Done, Runner, Task, Tx};
use wire::{Error, Timestamp};

use crate::records::{Attempt, Ended, JobRecord, Place};
use crate::worker::{Access, Request};
use crate::{SageMaker, event};

/// The library out of PyPI's wheel; the newest with wheels for each Python.
pub const REQUIREMENTS: &str =
    "onnxruntime==1.23.2; python_version < \"3.11\"\nonnxruntime==1.32.0; python_version >= \"3.11\"\n";
const TIMEOUT: Duration = Duration::from_hours(24);
const MEMORY_MB: u64 = 2048;

pub(crate) struct Transformer(pub(crate) Arc<SageMaker>);

#[async_trait]
impl Runner for Transformer {
    async fn run(&self, task: Task) -> Done {
        let Ok(place) = task.payload::<Place>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &place.account, &place.region);
        match self.0.carry_out(&cx, &place, &task).await {
            Ok(done) => done,
            Err(e) => {
                tracing::error!(error = %e, job = place.job, "a transform job could not be carried out; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(2))
            }
        }
    }
}

impl SageMaker {
    async fn carry_out(&self, cx: &Cx, place: &Place, task: &Task) -> Result<Done, Error> {
        let record = match self.store.read(|tx| place.load(tx)).await {
            Ok(record) if record.job.transform_job_status == "InProgress" => record,
            Ok(_) => return Ok(Done::Finished),
            Err(e) if e.is("ValidationException") => return Ok(Done::Finished),
            Err(e) => return Err(e),
        };
        if record.ended.is_some() {
            return self.wind_up(cx, place, &record).await;
        }
        if let Some(old) = &record.attempt {
            self.close(old, Outcome::Rollback).await?;
        }
        let ended = match self.open(cx, place, &record).await? {
            Err(reason) => Ended { status: "Failed".to_owned(), reason: Some(reason) },
            Ok(credentials) => tokio::select! {
                ended = self.execute(place, &record, &credentials) => ended,
                () = task.cancelled() => return Ok(Done::Committed),
            },
        };
        let noted = place.clone();
        let record = self
            .store
            .write(move |tx| {
                let mut record = noted.load(tx)?;
                record.ended = Some(ended.clone());
                tx.put_json(noted.record(), &record)?;
                Ok::<_, Error>(record)
            })
            .await?;
        self.wind_up(cx, place, &record).await
    }

    /// Credentials of a new attempt, noted before anybody may use them. The inner error is the job's.
    async fn open(&self, cx: &Cx, place: &Place, record: &JobRecord) -> Result<Result<Credentials, String>, Error> {
        let Some(role) = &record.model.execution_role_arn else {
            return Ok(Err("ClientError: the model has no ExecutionRoleArn".to_owned()));
        };
        let attempt = format!("{}:{}", place.job, cx.uuid());
        let identity = self.router.identity();
        let principal = match identity.role_session(role, "SageMaker", Some(&attempt)).await {
            Ok(principal) => principal,
            Err(e) => return Ok(Err(format!("ClientError: role {role} could not be assumed: {}", e.message()))),
        };
        let valid = jiff::SignedDuration::try_from(TIMEOUT + Duration::from_mins(10)).map_err(Error::internal)?;
        let credentials = identity.issue(&principal, valid).await?;
        let noted = Attempt { id: attempt, access_key: credentials.access_key.clone() };
        let (place, now) = (place.clone(), Timestamp(cx.now()));
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                record.attempt = Some(noted.clone());
                record.job.transform_start_time = record.job.transform_start_time.or(Some(now));
                tx.put_json(place.record(), &record)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(Ok(credentials))
    }

    async fn execute(&self, place: &Place, record: &JobRecord, credentials: &Credentials) -> Ended {
        let failed = |reason: String| Ended { status: "Failed".to_owned(), reason: Some(reason) };
        let library = match self.library().await {
            Ok(library) => library,
            Err(e) => return failed(format!("InternalServerError: {e}")),
        };
        let request = Request {
            access: Access {
                endpoint: self.endpoint.clone(),
                region: place.region.clone(),
                key_id: credentials.access_key.clone(),
                secret_key: credentials.secret_key.clone(),
                session_token: credentials.session_token.clone(),
            },
            library: library.0.clone(),
            model_data_url: model_data(record),
            input: record.job.transform_input.clone(),
            output: record.job.transform_output.clone().unwrap_or_default(),
            processing: record.job.data_processing.clone().unwrap_or_default(),
        };
        let request = match serde_json::to_value(&request) {
            Ok(request) => request,
            Err(e) => return failed(format!("InternalServerError: {e}")),
        };
        let mut limits = Limits::new().memory_mb(MEMORY_MB).timeout(TIMEOUT);
        for path in library.1 {
            limits = limits.read_only(path);
        }
        match self.compute.workers.call("onnx", request, limits).await {
            Ok(_) => Ended { status: "Completed".to_owned(), reason: None },
            Err(compute::Error::Failed { code, message }) => failed(format!("{code}: {message}")),
            Err(e) => failed(format!("AlgorithmError: {e}")),
        }
    }

    /// `libonnxruntime.so` and what must be readable for it.
    async fn library(&self) -> Result<(PathBuf, Vec<PathBuf>), String> {
        let env = self
            .compute
            .envs
            .ensure(REQUIREMENTS, &|line| tracing::info!("{line}"))
            .await
            .map_err(|e| e.to_string())?;
        let folder = env.site_packages.join("onnxruntime/capi");
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let is_library = |name: &str| name.starts_with("libonnxruntime.so") || name == "libonnxruntime.dylib";
        let found = entries
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_str().is_some_and(is_library))
            .ok_or_else(|| format!("{} holds no libonnxruntime.so", folder.display()))?;
        Ok((found.path(), env.read_paths))
    }

    /// Confirms the attempt's writes, then records the end and asks for the event.
    async fn wind_up(&self, cx: &Cx, place: &Place, record: &JobRecord) -> Result<Done, Error> {
        if let Some(attempt) = &record.attempt {
            self.close(attempt, Outcome::Commit).await?;
        }
        let (place, now) = (place.clone(), Timestamp(cx.now()));
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                if !record.is_over() {
                    let ended =
                        record.ended.clone().ok_or_else(|| Error::internal("a job without an end is wound up"))?;
                    finish(tx, &place, &mut record, &ended, now)?;
                }
                Ok::<_, Error>(tx.finish_task(&place.task())?)
            })
            .await?;
        Ok(Done::Committed)
    }

    pub(crate) async fn close(&self, attempt: &Attempt, outcome: Outcome) -> Result<(), Error> {
        self.router.identity().revoke(&attempt.access_key).await?;
        self.router.finish_attempt(&attempt.id, outcome).await
    }
}

fn model_data(record: &JobRecord) -> String {
    let container = record.model.primary_container.as_ref().or_else(|| record.model.containers.as_ref()?.first());
    container
        .and_then(|c| {
            let source = c.model_data_source.as_ref().and_then(|s| s.s3_data_source.as_ref()).map(|s| s.s3_uri.clone());
            c.model_data_url.clone().or(source)
        })
        .unwrap_or_default()
}

/// Records the end of a job and asks for its event.
pub(crate) fn finish(
    tx: &mut Tx<'_>,
    place: &Place,
    record: &mut JobRecord,
    ended: &Ended,
    now: Timestamp,
) -> Result<(), Error> {
    record.job.transform_job_status.clone_from(&ended.status);
    record.job.failure_reason = ended.reason.clone().map(|r| r.chars().take(1024).collect());
    record.job.transform_end_time = Some(now);
    tx.put_json(place.record(), record)?;
    event::enqueue(tx, place, record, now)
}
