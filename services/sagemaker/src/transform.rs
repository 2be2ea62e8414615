//! A transform as a job: the worker, how it ended. Its lifecycle is `jobs`'.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use compute::worker;
use jobs::{Attempt, Ended as JobEnded, Kind, Limits, Loaded, Next, Used, Who, Worked};
use serde_json::json;
use service::attempts::Outcome;
use service::meter::Usage;
use store::Tx;
use wire::{Error, Timestamp};

use crate::records::{Ended, JobKey, JobRecord, container, model_data};
use crate::worker::{Access, Request, Source};
use crate::{SageMaker, event};

/// The library out of PyPI's wheel; the newest with wheels for each Python.
pub const REQUIREMENTS: &str =
    "onnxruntime==1.23.2; python_version < \"3.11\"\nonnxruntime==1.32.0; python_version >= \"3.11\"\n";
pub(crate) const TIMEOUT: Duration = Duration::from_hours(24);
const MEMORY_MB: u64 = 2048;

pub(crate) struct Transforms(pub(crate) Arc<SageMaker>);

#[async_trait]
impl Kind for Transforms {
    const NAME: &'static str = "sagemaker:transform";
    const OLD_STOP: Option<&'static str> = Some("sagemaker:stop");
    type Payload = JobKey;
    type Plan = JobRecord;
    type End = Ended;

    fn scope(place: &JobKey) -> (&str, &str) {
        (&place.account, &place.region)
    }

    fn load(&self, tx: &mut Tx<'_>, place: &JobKey) -> Result<Loaded<JobRecord>, Error> {
        let record: Option<JobRecord> = tx.get_json(place.record())?;
        Ok(match record {
            Some(record) if record.job.transform_job_status == "Stopping" => Loaded::Stopping(record),
            Some(record) if !record.is_over() => Loaded::Todo(record),
            _ => Loaded::Over,
        })
    }

    fn older(&self, record: &JobRecord) -> Option<String> {
        // Had its end been noted already, what it wrote stays.
        record.attempt.as_ref().filter(|_| record.ended.is_none()).map(|attempt| attempt.id.clone())
    }

    fn limits(&self, _: &JobRecord) -> Limits {
        Limits { tries: 1, timeout: Some(TIMEOUT) }
    }

    async fn who(&self, _: &JobKey, record: &JobRecord, attempt: &str) -> Result<Who<Ended>, Error> {
        let Some(role) = &record.model.execution_role_arn else {
            return Ok(Who::Nobody(failed("ClientError: the model has no ExecutionRoleArn")));
        };
        match self.0.router.identity().role_session(role, "SageMaker", Some(attempt)).await {
            Ok(principal) => Ok(Who::As(principal)),
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => {
                let text = format!("ClientError: role {role} could not be assumed: {}", error.message());
                Ok(Who::Nobody(failed(text)))
            }
        }
    }

    fn begin(&self, tx: &mut Tx<'_>, place: &JobKey, now: jiff::Timestamp) -> Result<(), Error> {
        let mut record = place.load(tx)?;
        if record.job.transform_start_time.is_none() {
            record.job.transform_start_time = Some(now.into());
            tx.put_json(place.record(), &record)?;
        }
        Ok(())
    }

    async fn work(&self, place: &JobKey, record: &JobRecord, attempt: &Attempt) -> Worked<Ended> {
        if let Some(ended) = &record.ended {
            return Worked::Ended(ended.clone());
        }
        match self.0.execute(place, record, attempt).await {
            Ok(()) => Worked::Ended(Ended { status: "Completed".to_owned(), reason: None }),
            Err(Broken::Job(reason)) => Worked::Ended(failed(reason)),
            Err(Broken::Node(reason)) => Worked::Lost(failed(reason)),
        }
    }

    fn stopped(&self) -> Ended {
        Ended { status: "Stopped".to_owned(), reason: None }
    }

    fn timed_out(&self, _: &JobRecord) -> Ended {
        failed(format!("AlgorithmError: {}", compute::Error::TimedOut(TIMEOUT)))
    }

    /// The results of a job that failed or was stopped are removed. Source: `SageMaker` API Reference, `CreateTransformJob` ("If
    /// an error occurs, the uploaded results are removed from Amazon S3") and `StopTransformJob`.
    fn outcome(&self, end: &Ended) -> Outcome {
        if end.status == "Completed" { Outcome::Commit } else { Outcome::Rollback }
    }

    fn end(&self, tx: &mut Tx<'_>, place: &JobKey, ended: &JobEnded<Ended>) -> Result<Next<JobKey>, Error> {
        let mut record = place.load(tx)?;
        if !record.is_over() {
            record.used = Some(ended.used);
            finish(tx, place, &mut record, &ended.end, ended.at.into())?;
        }
        Ok(Next::Over)
    }

    async fn recorded(&self, place: &JobKey) {
        let Ok(record) = self.0.store.read(|tx| place.load(tx)).await else { return };
        if let Some((metric, amount)) = billed(&record) {
            let (service, resource) = ("sagemaker", record.job.model_name.as_str());
            let used = Usage { service, metric: &metric, resource, amount, unit: "Seconds" };
            used.tell(&self.0.router, (&place.account, &place.region));
        }
    }
}

/// Instance-seconds, counted for each type of instance: each has a price of its own. Source: Amazon SageMaker pricing, "Batch Transform".
fn billed(record: &JobRecord) -> Option<(String, f64)> {
    let job = &record.job;
    let millis = job.transform_end_time?.as_millis() - job.transform_start_time?.as_millis();
    let lasted = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    let on = &job.transform_resources;
    Some((format!("TransformSeconds/{}", on.instance_type), lasted.as_secs_f64() * f64::from(on.instance_count)))
}

fn failed(reason: impl Into<String>) -> Ended {
    Ended { status: "Failed".to_owned(), reason: Some(reason.into()) }
}

/// Why a transform did not come to its end.
enum Broken {
    Job(String),
    /// The node that did it is gone.
    Node(String),
}

impl From<String> for Broken {
    fn from(reason: String) -> Self {
        Self::Job(reason)
    }
}

impl SageMaker {
    async fn execute(&self, place: &JobKey, record: &JobRecord, attempt: &Attempt) -> Result<(), Broken> {
        let broken = |error: String| format!("InternalServerError: {error}");
        let keys = attempt.credentials().map_err(|error| broken(error.to_string()))?;
        let container = container(&record.model);
        let source = Source {
            access: Access {
                endpoint: self.endpoint.clone(),
                region: place.region.clone(),
                key_id: keys.access_key.clone(),
                secret_key: keys.secret_key.clone(),
                session_token: keys.session_token.clone(),
            },
            model_data_url: model_data(&record.model),
            named: container.and_then(|one| one.environment.as_ref()?.get("SAGEMAKER_PROGRAM").cloned()),
            image: container.and_then(|one| one.image.clone()).unwrap_or_default(),
        };
        let request = Request {
            source,
            input: record.job.transform_input.clone(),
            output: record.job.transform_output.clone().unwrap_or_default(),
            processing: record.job.data_processing.clone().unwrap_or_default(),
        };
        let asks = |at: worker::At<'_>| {
            let mut request = request.clone();
            at.endpoint(&self.endpoint).clone_into(&mut request.source.access.endpoint);
            json!(request)
        };
        let limits = worker::Limits::new().memory_mb(MEMORY_MB).python(REQUIREMENTS);
        attempt.started();
        let (answer, used) = self.compute.workers.call("onnx", &asks, limits).await;
        attempt.use_up(Used { cpu_ms: used.cpu_ms, peak_bytes: used.peak_bytes, ..Used::default() });
        match answer {
            Ok(answer) => match answer.get("needed") {
                None => Ok(()),
                Some(needed) => {
                    let needed = serde_json::from_value(needed.clone()).map_err(|error| broken(error.to_string()))?;
                    Ok(self.program(record, &request, needed).await?)
                }
            },
            Err(compute::Error::Failed { code, message }) => Err(format!("{code}: {message}").into()),
            Err(error @ compute::Error::Environment(_)) => Err(broken(error.to_string()).into()),
            Err(error @ compute::Error::NodeLost { .. }) => Err(Broken::Node(error.to_string())),
            Err(error) => Err(format!("AlgorithmError: {error}").into()),
        }
    }
}

/// Records the end of a job and asks for its event.
fn finish(tx: &mut Tx<'_>, place: &JobKey, record: &mut JobRecord, ended: &Ended, now: Timestamp) -> Result<(), Error> {
    record.job.transform_job_status.clone_from(&ended.status);
    record.job.failure_reason = ended.reason.clone().map(|r| r.chars().take(1024).collect());
    record.job.transform_end_time = Some(now);
    tx.put_json(place.record(), record)?;
    event::enqueue(tx, place, record, now)
}
