//! A run's task: credentials for the attempt, the script, how it ended. Killed at any point it starts over: an attempt that
//! was cut short is rolled back, one whose script had ended is only wound up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use compute::spark::{Job, Outcome};
use service::Cx;
use service::attempts::Outcome as Fate;
use service::identity::Credentials;
use store::{Done, NewTask, Runner, Task, Tx};
use tokio::sync::mpsc;
use wire::{Error, Timestamp};

use super::records::{Attempt, Ended, Place, RunRecord};
use super::{Jobs, arguments, capacity, event, logs};

/// Lines of output held before the script has to wait for the log.
const LINES: usize = 1000;

pub(super) struct JobRunner(pub(super) Arc<Jobs>);

#[async_trait]
impl Runner for JobRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(place) = task.payload::<Place>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &place.account, &place.region);
        match self.0.carry_out(&cx, &place, &task).await {
            Ok(done) => done,
            Err(e) => {
                tracing::error!(error = %e, run = place.run, "a job run could not be carried out; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(2))
            }
        }
    }
}

impl Jobs {
    async fn carry_out(&self, cx: &Cx, place: &Place, task: &Task) -> Result<Done, Error> {
        let record = match self.store.read(|tx| place.load(tx)).await {
            Ok(record) if !record.is_over() && record.state() != "STOPPING" => record,
            Ok(_) => return Ok(Done::Finished),
            Err(e) if e.is("EntityNotFoundException") => return Ok(Done::Finished),
            Err(e) => return Err(e),
        };
        if record.ended.is_some() {
            return self.wind_up(cx, place, &record).await;
        }
        if let Some(old) = &record.attempt {
            self.close(old, Fate::Rollback).await?;
        }
        let minutes = record.run.timeout.and_then(|m| u64::try_from(m).ok()).filter(|m| *m > 0).unwrap_or(2880);
        let timeout = Duration::from_secs(minutes * 60);
        let ended = match self.open(cx, place, &record, timeout).await? {
            Err(why) => Ended { state: "FAILED".to_owned(), message: Some(why) },
            Ok(credentials) => {
                let job = self.job(place, &record, &credentials, timeout);
                tokio::select! {
                    ended = self.execute(cx, place, &job) => ended,
                    // `BatchStopJobRun` took the task off the queue and put the stopper on it; the script is killed here.
                    () = task.cancelled() => return Ok(Done::Committed),
                }
            }
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

    /// Credentials of a new attempt, noted before anybody may use them. The inner error is the run's.
    async fn open(
        &self,
        cx: &Cx,
        place: &Place,
        record: &RunRecord,
        timeout: Duration,
    ) -> Result<Result<Credentials, String>, Error> {
        let attempt = format!("{}:{}", place.run, cx.uuid());
        let identity = self.router.identity();
        let principal = match identity.role_session(&record.role, "GlueJobRunnerSession", Some(&attempt)).await {
            Ok(principal) => principal,
            Err(e) => return Ok(Err(format!("Role {} could not be assumed: {}", record.role, e.message()))),
        };
        let valid = jiff::SignedDuration::try_from(timeout + Duration::from_mins(10)).map_err(Error::internal)?;
        let credentials = identity.issue(&principal, valid).await?;
        let noted = Attempt { id: attempt, access_key: credentials.access_key.clone() };
        let place = place.clone();
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                record.attempt = Some(noted.clone());
                tx.put_json(place.record(), &record)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(Ok(credentials))
    }

    fn job(&self, place: &Place, record: &RunRecord, credentials: &Credentials, timeout: Duration) -> Job {
        let given = record.run.arguments.clone().unwrap_or_default();
        let dpu = record.run.max_capacity.unwrap_or(1.0);
        let env = [
            ("AWS_ACCESS_KEY_ID", credentials.access_key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &credentials.secret_key),
            ("AWS_SESSION_TOKEN", credentials.session_token.as_deref().unwrap_or_default()),
            ("AWS_REGION", &place.region),
            ("AWS_DEFAULT_REGION", &place.region),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("LAKERUN_JOB_RUN_ID", &place.run),
        ];
        Job {
            kind: record.command.name.clone().unwrap_or_else(|| "glueetl".to_owned()),
            script: record.command.script_location.clone().unwrap_or_default(),
            arguments: arguments::argv(&place.job, &place.run, &given),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            modules: arguments::modules(&given),
            memory_mb: capacity::memory_mb(dpu),
            parallelism: capacity::cores(dpu),
            timeout,
        }
    }

    async fn execute(&self, cx: &Cx, place: &Place, job: &Job) -> Ended {
        let (send, lines) = mpsc::channel(LINES);
        let started = async {
            if let Err(error) = self.running(cx, place).await {
                tracing::warn!(%error, run = place.run, "the start of a job run could not be recorded");
            }
        };
        let (outcome, ()) = tokio::join!(self.spark.run(job, send, started), logs::forward(cx, &place.run, lines));
        let (state, message) = match outcome {
            Ok(Outcome::Succeeded) => ("SUCCEEDED", None),
            Ok(Outcome::Failed(message)) => ("FAILED", Some(message)),
            Ok(Outcome::TimedOut) => ("TIMEOUT", Some("Job run exceeded its timeout".to_owned())),
            Err(e) => ("FAILED", Some(e.to_string())),
        };
        Ended { state: state.to_owned(), message }
    }

    async fn running(&self, cx: &Cx, place: &Place) -> Result<(), Error> {
        let (place, now) = (place.clone(), Timestamp(cx.now()));
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                if record.state() == "STARTING" {
                    record.run.job_run_state = Some("RUNNING".to_owned());
                    record.run.last_modified_on = Some(now);
                    tx.put_json(place.record(), &record)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// Confirms the attempt's writes, then records the end, the event, and the next attempt where there is one.
    async fn wind_up(&self, cx: &Cx, place: &Place, record: &RunRecord) -> Result<Done, Error> {
        if let Some(attempt) = &record.attempt {
            self.close(attempt, Fate::Commit).await?;
        }
        let (place, now) = (place.clone(), Timestamp(cx.now()));
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                if record.is_over() {
                    return tx.finish_task(&place.task()).map_err(Error::from);
                }
                let ended = record.ended.clone().ok_or_else(|| Error::internal("a run without an end is wound up"))?;
                finish(tx, &place, &mut record, &ended, now)?;
                retry(tx, &place, &record, now)?;
                Ok::<_, Error>(tx.finish_task(&place.task())?)
            })
            .await?;
        Ok(Done::Committed)
    }

    pub(super) async fn close(&self, attempt: &Attempt, fate: Fate) -> Result<(), Error> {
        self.router.identity().revoke(&attempt.access_key).await?;
        self.router.finish_attempt(&attempt.id, fate).await
    }
}

/// Records the end of a run and asks for its event.
pub(super) fn finish(
    tx: &mut Tx<'_>,
    place: &Place,
    record: &mut RunRecord,
    ended: &Ended,
    now: Timestamp,
) -> Result<(), Error> {
    let run = &mut record.run;
    run.job_run_state = Some(ended.state.clone());
    run.error_message = ended.message.clone().map(|m| m.chars().take(4000).collect());
    run.completed_on = Some(now);
    run.last_modified_on = Some(now);
    let seconds = now.as_millis().saturating_sub(run.started_on.unwrap_or(now).as_millis()) / 1000;
    run.execution_time = i32::try_from(seconds).ok();
    run.dpu_seconds = Some(run.max_capacity.unwrap_or(1.0) * f64::from(run.execution_time.unwrap_or(0)));
    tx.put_json(place.record(), record)?;
    tx.delete(place.active())?;
    event::enqueue(tx, place, record)
}

/// After a failure, up to MaxRetries times: a new run, `<first id>_attempt_<n>`.
fn retry(tx: &mut Tx<'_>, place: &Place, record: &RunRecord, now: Timestamp) -> Result<(), Error> {
    let attempt = record.run.attempt.unwrap_or(0);
    if !matches!(record.state(), "FAILED" | "TIMEOUT") || attempt >= record.max_retries {
        return Ok(());
    }
    let first = place.run.split("_attempt_").next().unwrap_or(&place.run);
    let next = Place { run: format!("{first}_attempt_{}", attempt + 1), ..place.clone() };
    let mut record = RunRecord { attempt: None, ended: None, ..record.clone() };
    let run = &mut record.run;
    run.previous_run_id = Some(place.run.clone());
    run.id = Some(next.run.clone());
    run.attempt = Some(attempt + 1);
    run.job_run_state = Some("STARTING".to_owned());
    run.error_message = None;
    run.completed_on = None;
    run.execution_time = Some(0);
    run.dpu_seconds = None;
    run.started_on = Some(now);
    run.last_modified_on = Some(now);
    start(tx, &next, &record)
}

/// Puts a run on the queue.
pub(super) fn start(tx: &mut Tx<'_>, place: &Place, record: &RunRecord) -> Result<(), Error> {
    tx.put_json(place.record(), record)?;
    tx.put(place.active(), &[])?;
    tx.enqueue(NewTask::new("glue:jobrun", place.task()).payload(place)?)?;
    Ok(())
}
