//! `.sync`: what a task that has started a job leaves on the queue. News of the job's end make it look at once; without news it
//! looks now and then. Whoever stops waiting stops the job.

use asl::Event;
use async_trait::async_trait;
use engine::{Delivery, JobName, Wait, WaitPayload};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use service::listeners::{Listener, ServiceEvent};
use store::{Done, Task};
use wire::Error;
use wire::codec::asl::Style;

use super::failure::{ErrorStyle, Failure};
use super::jobs::{Job, Progress};
use super::resource::{Resource, Target};
use super::{Ending, Roles, Site, Tasks, call, events, failed_call, state_of};

/// Attempts at stopping a job that nobody waits for: some five hours of them.
const STOP_ATTEMPTS: u32 = 64;
const STOP_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// So often is looked for a start that was under way when nobody waited any more: for some four minutes.
const LOOKS_FOR_START: u32 = 8;
/// When a job is asked after again whose service had a bad moment: as soon as the first look at any.
const MISSED: SignedDuration = SignedDuration::from_secs(5);

/// How a job is asked after and stopped, as stored with the wait.
#[derive(Serialize, Deserialize)]
struct How {
    job: Job,
    describe: Value,
    stop: Value,
    /// Of the pattern: `.sync` or `.sync:2`.
    version: u8,
}

/// A job that has been started.
pub(super) struct StartedJob<'a> {
    pub(super) job: Job,
    pub(super) version: u8,
    pub(super) parameters: &'a Value,
    pub(super) answer: &'a Value,
}

impl Tasks {
    /// Tells the execution of the job, and waits for its end.
    pub(super) async fn submit(
        &self,
        cx: &Cx,
        task: &Task,
        payload: &engine::TaskPayload,
        started: StartedJob<'_>,
    ) -> Result<Ending, Error> {
        let StartedJob { job, version, parameters, answer } = started;
        let how = How { job, describe: job.describe(parameters, answer), stop: job.stop(parameters, answer), version };
        let wait = WaitPayload {
            execution: payload.execution.clone(),
            task: payload.task,
            job: JobName {
                service: job.service().to_owned(),
                account: cx.account().to_owned(),
                region: cx.region().to_owned(),
                name: job.name(parameters, answer),
            },
            role_arn: payload.role_arn.clone(),
            other_role: payload.other_role.clone(),
            name: payload.name.clone(),
            how: serde_json::to_value(&how).map_err(Error::internal)?,
        };
        let submitted = Event::TaskSubmitted { task: payload.task, output: answer.to_string() };
        let at = self.router.now() + job.delay(1);
        let told = self
            .engine
            .submitted(&payload.execution, submitted, Wait { id: task.id.clone(), payload: wait.clone(), at })
            .await?;
        if told == Delivery::Delivered {
            return Ok(Ending::Waiting);
        }
        if let Err(error) = stop(&cx.as_platform(), &how).await {
            if passes(&error) {
                self.engine.stop_job(&task.id, &wait).await?;
            } else {
                tracing::warn!(task = task.id, error = %error, "a job that nobody waits for could not be stopped");
            }
        }
        Ok(Ending::Cancelled)
    }

    /// Looks whether the job is over.
    pub(super) async fn look(&self, task: &Task) -> Result<Done, Error> {
        let wait = task.payload::<WaitPayload>()?;
        let how = How::deserialize(&wait.how).map_err(Error::internal)?;
        let mut pause = how.job.delay(task.attempt + 1);
        let ending = match self.acting(&wait.execution, Roles::of_wait(&wait), &wait.name).await {
            Err(error) => {
                tracing::warn!(task = task.id, %error, "a job could not be asked after; it is tried again");
                pause = MISSED;
                None
            }
            Ok(Ok(cx)) => {
                let asked = self.router.call_styled(
                    &cx,
                    (how.job.service(), how.job.describes()),
                    how.describe.clone(),
                    Style::Optimized,
                );
                let answer = tokio::select! {
                    biased;
                    answer = asked => answer,
                    // The cancellation has left word that the job is to be stopped.
                    () = task.cancelled() => return Ok(Done::Finished),
                };
                if answer.as_ref().is_err_and(passes) {
                    // It may have looked since the job is over: nobody will tell of that again.
                    pause = MISSED;
                }
                how.ending(&cx, answer)
            }
            Ok(Err(failure)) => Some(Ending::Failed(failure)),
        };
        let Some(ending) = ending else {
            return Ok(Done::RetryAfter(pause));
        };
        self.engine.job_over(&wait.job).await?;
        self.tell(&wait.execution, wait.task, ending, task).await
    }

    /// Stops a job that nobody waits for any more.
    pub(super) async fn abandon(&self, task: &Task) -> Result<Done, Error> {
        let Ok(wait) = task.payload::<WaitPayload>() else { return self.abandon_start(task).await };
        let how = How::deserialize(&wait.how).map_err(Error::internal)?;
        let cx = Cx::platform(&self.router, &wait.job.account, &wait.job.region).with_task(&task.id);
        Ok(stopped(task, stop(&cx, &how).await))
    }
}

/// What becomes of the attempt at stopping a job.
fn stopped(task: &Task, stopped: Result<(), Error>) -> Done {
    match stopped {
        Ok(()) => Done::Finished,
        Err(error) if passes(&error) && task.attempt < STOP_ATTEMPTS => Done::RetryAfter(growing(task)),
        Err(error) => {
            tracing::warn!(task = task.id, %error, "a job that nobody waits for could not be stopped");
            Done::Finished
        }
    }
}

fn growing(task: &Task) -> SignedDuration {
    SignedDuration::from_secs(1 << task.attempt.min(20)).min(STOP_PAUSE)
}

impl Tasks {
    /// The same for a job whose start had not been told yet: the call is repeated under its id, answered as it was, and what it
    /// started is stopped.
    async fn abandon_start(&self, task: &Task) -> Result<Done, Error> {
        let payload = task.payload::<engine::TaskPayload>()?;
        if !self.engine.is_remembered(engine::stopped_task(&task.id)).await? {
            // The call may have been under way when nobody waited any more, and its server have died before it could be told so.
            let again = task.attempt < LOOKS_FOR_START;
            return Ok(if again { Done::RetryAfter(growing(task)) } else { Done::Finished });
        }
        let Some(resource) = Resource::parse(&payload.resource) else { return Ok(Done::Finished) };
        let job = match &resource.target {
            Target::Service { service, action, .. } => Job::of(service, action),
            _ => None,
        };
        let Some(job) = job else { return Ok(Done::Finished) };
        let cx = match self.acting(&payload.execution, Roles::of(&payload), &payload.name).await {
            Err(error) => return Ok(stopped(task, Err(error))),
            Ok(Ok(cx)) => cx.for_worker(state_of(&payload)),
            Ok(Err(failure)) => {
                tracing::warn!(
                    task = task.id,
                    cause = failure.cause,
                    "a job that nobody waits for could not be stopped"
                );
                return Ok(Done::Finished);
            }
        };
        let mut parameters = self.engine.fetched(&payload.execution, &payload.parameters).await?.value().clone();
        events::signed(&resource, &payload.execution, &mut parameters);
        let site = Site::of(&self.http, &payload.execution);
        let calling = cx.with_task(engine::stopped_task(&task.id));
        let Ok(answer) = call(&calling, &resource, parameters.clone(), &site).await else { return Ok(Done::Finished) };
        let (describe, stops) = (job.describe(&parameters, &answer), job.stop(&parameters, &answer));
        let how = How { job, describe, stop: stops, version: 1 };
        Ok(stopped(task, stop(&cx.as_platform(), &how).await))
    }
}

async fn stop(cx: &Cx, how: &How) -> Result<(), Error> {
    cx.call_json(how.job.service(), how.job.stops(), how.stop.clone()).await.map(drop)
}

/// Worth another try: the service has a bad moment.
pub(crate) fn passes(error: &Error) -> bool {
    error.status() >= 500 || error.code().contains("Throttl")
}

impl How {
    /// What the service's answer makes of the wait; `None` while the job runs.
    fn ending(&self, cx: &Cx, answer: Result<Value, Error>) -> Option<Ending> {
        match answer {
            Ok(answer) => {
                let progress = self.job.progress(&answer);
                let output = || self.job.output(answer, self.version == 2).to_string();
                match progress {
                    Progress::Running => None,
                    Progress::Succeeded => Some(Ending::Succeeded(output())),
                    Progress::Failed => Some(Ending::Failed(Failure::named("States.TaskFailed", output()))),
                }
            }
            Err(error) if passes(&error) => None,
            Err(error) => {
                let failed = failed_call(cx, self.job.service(), self.job.describes(), ErrorStyle::Optimized, &error);
                Some(Ending::Failed(failed))
            }
        }
    }
}

/// Hears when jobs end.
#[async_trait]
impl Listener for Tasks {
    async fn hear(&self, cx: &Cx, event: ServiceEvent<'_>) -> Result<(), Error> {
        let Some((job, name)) = Job::ended(event.source, event.detail_type, event.detail) else { return Ok(()) };
        let job = JobName {
            service: job.service().to_owned(),
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            name,
        };
        self.engine.job_over(&job).await
    }
}
