//! A run as a job: the script under the role's keys, how it ended. Its lifecycle is `jobs`'. What a script wrote stays,
//! however it ended, as on AWS; but for a run that starts over on Apache Spark, of whose first part nothing stays.

use std::sync::Arc;
use std::time::Duration;

use ::jobs::{Attempt, Ended as JobEnded, Kind, Limits, Loaded, Next, Used, Who, Worked};
use api_glue::JobRun;
use async_trait::async_trait;
use compute::sandbox;
use compute::spark::{Engine, Job, ScriptEnd};
use service::Cx;
use service::attempts::Outcome as Fate;
use service::identity::Credentials;
use service::meter::Usage;
use store::Tx;
use tokio::sync::mpsc;
use wire::{Error, Timestamp};

use super::records::{Ended, RunKey, RunRecord};
use super::{Jobs, arguments, bookmarks, capacity, elsewhere, event, logs, metrics};
use crate::security::Encryption;
use crate::{quality, triggers, workflows};

/// Lines of output held before the script has to wait for the log.
const LINES: usize = 1000;
/// Of a line of preparation so many characters are shown with the run. Source: API Reference, `JobRun`, StateDetail.
const STATE_DETAIL: usize = 1024;
/// Where its lines go.
const GROUPS: &str = "/aws-glue/jobs";
/// Of a run that asks for Apache Spark where it has it already.
const NOT_AGAIN: &str = "the run asked to move to Apache Spark, where it was";

pub(super) struct Runs(pub(super) Arc<Jobs>);

/// A run and what the job's earlier runs have read.
pub(super) struct Plan {
    record: RunRecord,
    bookmark: Option<String>,
}

#[async_trait]
impl Kind for Runs {
    const NAME: &'static str = "glue:jobrun";
    const OLD_STOP: Option<&'static str> = Some("glue:jobstop");
    /// For memory, and for its environment. Source: API Reference, `Job`, Timeout: "the maximum time that a job run can consume
    /// resources".
    const WAITS: Option<Duration> = Some(Duration::from_hours(24));
    const BEGINS: bool = false;
    type Payload = RunKey;
    type Plan = Plan;
    type End = Ended;

    fn scope(place: &RunKey) -> (&str, &str) {
        (&place.account, &place.region)
    }

    fn load(&self, tx: &mut Tx<'_>, place: &RunKey) -> Result<Loaded<Plan>, Error> {
        let Some(record) = tx.get_json::<RunRecord>(place.record())? else { return Ok(Loaded::Over) };
        if record.is_over() {
            return Ok(Loaded::Over);
        }
        let bookmark = bookmarks::given(tx, place, record.run.arguments.as_ref())?;
        let stopping = record.state() == "STOPPING";
        let plan = Plan { record, bookmark };
        Ok(if stopping { Loaded::Stopping(plan) } else { Loaded::Todo(plan) })
    }

    fn older(&self, Plan { record, .. }: &Plan) -> Option<String> {
        // Had its end been noted already, what it wrote stays.
        record.attempt.as_ref().filter(|_| record.ended.is_none()).map(|attempt| attempt.id.clone())
    }

    fn limits(&self, Plan { record, .. }: &Plan) -> Limits {
        let minutes = record.run.timeout.and_then(|m| u64::try_from(m).ok()).filter(|m| *m > 0).unwrap_or(2880);
        Limits { tries: 1, timeout: Some(Duration::from_secs(minutes * 60)) }
    }

    async fn who(&self, _: &RunKey, Plan { record, .. }: &Plan, attempt: &str) -> Result<Who<Ended>, Error> {
        let identity = self.0.router.identity();
        match identity.role_session(&record.role, "GlueJobRunnerSession", Some(attempt)).await {
            Ok(principal) => Ok(Who::As(principal)),
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => {
                Ok(Who::Nobody(failed(format!("Role {} could not be assumed: {}", record.role, error.message()))))
            }
        }
    }

    async fn work(&self, place: &RunKey, plan: &Plan, attempt: &Attempt) -> Worked<Ended> {
        let record = &plan.record;
        if let Some(ended) = &record.ended {
            return Worked::Ended(ended.clone());
        }
        let cx = Cx::platform(&self.0.router, &place.account, &place.region);
        let keys = match attempt.credentials() {
            Ok(keys) => keys,
            Err(error) => return Worked::Ended(failed(error.to_string())),
        };
        let job = self.0.job(place, plan, keys);
        if let Some(message) = elsewhere::refusal(&job) {
            return Worked::Ended(failed(message));
        }
        let (send, lines) = mpsc::channel(LINES);
        let started = async {
            attempt.started();
            if let Err(error) = self.0.running(&cx, place).await {
                tracing::warn!(%error, run = place.run, "the start of a job run could not be recorded");
            }
        };
        let (mut used, began) = (sandbox::Used::default(), cx.now());
        let run = self.0.spark.run(&job, send, started, &mut used);
        let (came, ()) =
            tokio::join!(run, logs::forward(&cx, GROUPS, &place.run, lines, |line| self.0.prepares(&cx, place, line)));
        attempt.use_up(Used { cpu_ms: used.cpu_ms, peak_bytes: used.peak_bytes, ..Used::default() });
        let arguments = record.run.arguments.as_ref();
        if arguments.and_then(|all| all.get("--enable-metrics")).is_some_and(|value| value != "false") {
            let elapsed_ms = cx.now().as_millisecond() - began.as_millisecond();
            metrics::tell(&cx, place, record.run.max_capacity.unwrap_or(1.0), elapsed_ms, &used).await;
        }
        let (outcome, quality) = match came {
            Ok((outcome, quality)) => (Ok(outcome), quality::read(quality)),
            Err(error) => (Err(error), Vec::new()),
        };
        let end = match outcome {
            Ok(ScriptEnd::Succeeded) => ended("SUCCEEDED", None),
            Ok(ScriptEnd::Advanced(bookmark)) => Ended { bookmark: Some(bookmark), ..ended("SUCCEEDED", None) },
            Ok(ScriptEnd::Moved(reason)) => Ended { moved: Some(reason), ..failed(NOT_AGAIN.to_owned()) },
            Ok(ScriptEnd::Failed(message)) => failed(message),
            Err(error @ compute::Error::NodeLost { .. }) => return Worked::Lost(failed(error.to_string())),
            Err(error) => failed(error.to_string()),
        };
        Worked::Ended(Ended { quality, ..end })
    }

    fn stopped(&self) -> Ended {
        ended("STOPPED", None)
    }

    fn timed_out(&self, _: &Plan) -> Ended {
        ended("TIMEOUT", Some("Job run exceeded its timeout".to_owned()))
    }

    fn outcome(&self, ended: &Ended) -> Fate {
        if ended.moved.is_some() { Fate::Rollback } else { Fate::Commit }
    }

    fn end(&self, tx: &mut Tx<'_>, place: &RunKey, ended: &JobEnded<Ended>) -> Result<Next<RunKey>, Error> {
        let mut record = place.load(tx)?;
        if record.is_over() {
            return Ok(Next::Over);
        }
        record.used = Some(ended.used);
        if let Some(reason) = &ended.end.moved
            && record.moved.is_none()
        {
            record.moved = Some(reason.clone());
            tx.put_json(place.record(), &record)?;
            return Ok(Next::Again(place.clone(), ended.at));
        }
        // The bookmark moves in the transaction that records the success, and only from where the run found it.
        let refused = match &ended.end.bookmark {
            Some(bookmark) => bookmarks::end(tx, place, &record, bookmark)?,
            None => None,
        };
        let end = refused.map_or_else(|| ended.end.clone(), failed);
        finish(tx, place, &mut record, &end, ended.at.into())?;
        quality::publish(tx, &place.scope(), &place.job, &record.run, &end.quality)?;
        let again = retry(tx, place, &record, ended.at.into())?;
        // What comes after a failure comes after its last attempt.
        if !again && record.run.trigger_name.is_some() {
            let job = triggers::Ended::Job { name: &place.job, run: &place.run, state: record.state() };
            if !workflows::observe(tx, &place.scope(), &place.run, &job, ended.at)? {
                triggers::observe(tx, &place.scope(), &job, ended.at)?;
            }
        }
        Ok(Next::Over)
    }

    async fn recorded(&self, place: &RunKey) {
        if let Ok(record) = self.0.store.read(|tx| place.load(tx)).await
            && record.is_over()
        {
            let (metric, amount) = billed(&record.run);
            let used = Usage { service: "glue", metric, resource: &place.job, amount, unit: "Seconds" };
            used.tell(&self.0.router, (&place.account, &place.region));
        }
    }
}

/// Source: AWS Glue pricing: DPU-seconds, a minute at least (Glue 2.0 and later); flexible runs and memory-optimised workers have
/// prices of their own.
fn billed(run: &JobRun) -> (&'static str, f64) {
    const LEAST_SECONDS: i32 = 60;
    let seconds = f64::from(run.execution_time.unwrap_or(0).max(LEAST_SECONDS));
    let dpu = run.max_capacity.unwrap_or(1.0);
    match (run.execution_class.as_deref(), run.worker_type.as_deref()) {
        (Some("FLEX"), _) => ("FlexDPUSeconds", seconds * dpu),
        // An M-DPU counts twice here, for its memory.
        (_, Some(kind)) if kind.starts_with("R.") => ("MDPUSeconds", seconds * dpu / 2.0),
        _ => ("DPUSeconds", seconds * dpu),
    }
}

fn failed(message: String) -> Ended {
    ended("FAILED", Some(message))
}

fn ended(state: &str, message: Option<String>) -> Ended {
    Ended { state: state.to_owned(), message, moved: None, bookmark: None, quality: Vec::new() }
}

/// Whose keys a script has, and where Lakerun is.
pub(super) fn environment(
    credentials: &Credentials,
    region: &str,
    endpoint: &str,
    run: &str,
    encryption: Option<&Encryption>,
) -> Vec<(String, String)> {
    let env = [
        ("AWS_ACCESS_KEY_ID", credentials.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &credentials.secret_key),
        ("AWS_SESSION_TOKEN", credentials.session_token.as_deref().unwrap_or_default()),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("LAKERUN_JOB_RUN_ID", run),
    ];
    // Read by both engines' S3 clients, and by our own.
    let encryption = encryption.into_iter().flat_map(|encryption| {
        let key = encryption.key.clone().map(|key| ("AWS_SSE_KMS_KEY_ID".to_owned(), key));
        [Some(("AWS_SERVER_SIDE_ENCRYPTION".to_owned(), encryption.algorithm.clone())), key].into_iter().flatten()
    });
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(encryption).collect()
}

impl Jobs {
    fn job(&self, place: &RunKey, Plan { record, bookmark }: &Plan, credentials: &Credentials) -> Job {
        let given = record.run.arguments.clone().unwrap_or_default();
        let dpu = record.run.max_capacity.unwrap_or(1.0);
        let env = environment(credentials, &place.region, &self.endpoint, &place.run, record.encryption.as_ref());
        let kind = record.command.name.clone().unwrap_or_else(|| "glueetl".to_owned());
        let asked = self.elsewhere.engine(arguments::engine(Some(&given)).unwrap_or_default());
        let engine = match asked {
            _ if kind == "pythonshell" => Engine::Sail,
            _ if record.moved.is_some() => Engine::Spark,
            asked => asked,
        };
        let cluster = self.elsewhere.cluster(engine, record, self.router.uuid());
        // Of a cluster's job the driver alone is here: one of its workers.
        let of_driver = cluster.as_ref().map(|_| record.run.worker_type.as_deref().map_or(1.0, capacity::dpu_of));
        Job {
            engine,
            kind,
            script: record.command.script_location.clone().unwrap_or_default(),
            arguments: arguments::argv(&place.job, &place.run, &given),
            env,
            modules: arguments::modules(&given),
            bookmark: bookmark.clone(),
            memory_mb: capacity::memory_mb(of_driver.unwrap_or(dpu)),
            parallelism: capacity::cores(dpu),
            cluster,
        }
    }

    /// Says in a run's record how far its environment is; nothing once it runs.
    async fn prepares(&self, cx: &Cx, place: &RunKey, line: String) {
        let (of, now) = (place.clone(), Timestamp(cx.now()));
        let told = self.store.write(move |tx| {
            let mut record = of.load(tx)?;
            if record.state() == "STARTING" {
                record.run.state_detail = Some(line.chars().take(STATE_DETAIL).collect());
                record.run.last_modified_on = Some(now);
                tx.put_json(of.record(), &record)?;
            }
            Ok::<_, Error>(())
        });
        if let Err(error) = told.await {
            tracing::warn!(%error, run = place.run, "the progress of a job run could not be recorded");
        }
    }

    async fn running(&self, cx: &Cx, place: &RunKey) -> Result<(), Error> {
        let (place, now) = (place.clone(), Timestamp(cx.now()));
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                if record.state() == "STARTING" {
                    record.run.job_run_state = Some("RUNNING".to_owned());
                    record.began_on = Some(now);
                    record.run.state_detail = None;
                    record.run.last_modified_on = Some(now);
                    tx.put_json(place.record(), &record)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

/// Records the end of a run and asks for its event.
fn finish(tx: &mut Tx<'_>, place: &RunKey, record: &mut RunRecord, ended: &Ended, now: Timestamp) -> Result<(), Error> {
    let began = record.began();
    let run = &mut record.run;
    run.job_run_state = Some(ended.state.clone());
    run.state_detail = None;
    run.error_message = ended.message.clone().map(|m| m.chars().take(4000).collect());
    run.completed_on = Some(now);
    run.last_modified_on = Some(now);
    let seconds = now.as_millis().saturating_sub(began.unwrap_or(now).as_millis()) / 1000;
    run.execution_time = i32::try_from(seconds).ok();
    run.dpu_seconds = Some(run.max_capacity.unwrap_or(1.0) * f64::from(run.execution_time.unwrap_or(0)));
    tx.put_json(place.record(), record)?;
    tx.delete(place.active())?;
    event::enqueue(tx, place, record)
}

/// After a failure, up to MaxRetries times: a new run, `<first id>_attempt_<n>`. Whether there is one.
fn retry(tx: &mut Tx<'_>, place: &RunKey, record: &RunRecord, now: Timestamp) -> Result<bool, Error> {
    let attempt = record.run.attempt.unwrap_or(0);
    if !matches!(record.state(), "FAILED" | "TIMEOUT") || attempt >= record.max_retries {
        return Ok(false);
    }
    let first = place.run.split("_attempt_").next().unwrap_or(&place.run);
    let next = RunKey { run: format!("{first}_attempt_{}", attempt + 1), ..place.clone() };
    let mut record = RunRecord { attempt: None, ended: None, began_on: None, used: None, ..record.clone() };
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
    start(tx, &next, &record)?;
    Ok(true)
}

/// Puts a run on the queue.
pub(super) fn start(tx: &mut Tx<'_>, place: &RunKey, record: &RunRecord) -> Result<(), Error> {
    tx.put_json(place.record(), record)?;
    tx.put(place.active(), &[])?;
    ::jobs::start::<Runs>(tx, &place.task(), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_billed_of_a_run() {
        let run = |seconds, worker: &str, class: Option<&str>, dpu| JobRun {
            execution_time: Some(seconds),
            worker_type: Some(worker.to_owned()),
            execution_class: class.map(str::to_owned),
            max_capacity: Some(dpu),
            ..JobRun::default()
        };
        for (run, metric, amount) in [
            (run(90, "G.1X", None, 2.0), "DPUSeconds", 180.0),
            (run(5, "G.2X", Some("STANDARD"), 4.0), "DPUSeconds", 240.0),
            (run(90, "G.1X", Some("FLEX"), 2.0), "FlexDPUSeconds", 180.0),
            (run(90, "R.1X", None, 4.0), "MDPUSeconds", 180.0),
        ] {
            assert_eq!(billed(&run), (metric, amount));
        }
    }

    #[tokio::test]
    async fn what_a_run_waited_for_is_not_its_time() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let place = RunKey { account: "1".into(), region: "r".into(), job: "j".into(), run: "run".into() };
        let store = store::Store::memory();
        store
            .write(move |tx| {
                for (state, began, seconds) in [
                    ("RUNNING", Some(at(3000)), 600),
                    // Of a server of an earlier version.
                    ("RUNNING", None, 3600),
                    ("STARTING", None, 0),
                    ("STOPPING", None, 0),
                    ("STOPPING", Some(at(3000)), 600),
                ] {
                    let run =
                        JobRun { started_on: Some(at(0)), job_run_state: Some(state.to_owned()), ..JobRun::default() };
                    let mut record = RunRecord::new(run, &api_glue::Job::default());
                    record.began_on = began;
                    finish(tx, &place, &mut record, &ended("STOPPED", None), at(3600))?;
                    assert_eq!(record.run.execution_time, Some(seconds), "{state} {began:?}");
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }
}
