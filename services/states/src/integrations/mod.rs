//! What Task states call: every operation of the call table (`aws-sdk:*`), the optimised integrations, functions by their ARN.
//!
//! A task acts as the machine's role, on behalf of a durable task whose id is the state's attempt: a call that a crash makes it
//! repeat returns what the first one did.

mod failure;
mod jobs;
mod lambda;
mod once;
mod resource;

use std::sync::Arc;

use asl::Event;
use async_trait::async_trait;
use engine::{Engine, TaskPayload, Told};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, Runner, Task};
use wire::Error;

use crate::activity;

use failure::Failure;
use jobs::{Job, Progress};
pub(crate) use once::{Called, call_once};
use resource::{Pattern, Resource, Target};

/// Runs tasks.
pub(crate) struct Tasks {
    engine: Engine,
    router: Arc<Router>,
    activities: activity::Tasks,
}

/// How a task's run ended.
enum Ending {
    Succeeded(String),
    Failed(Failure),
    /// Called; now somebody outside answers.
    Submitted(String),
    /// Nobody waits for it any more.
    Cancelled,
}

impl Tasks {
    pub(crate) fn new(engine: Engine, router: &Arc<Router>, activities: activity::Tasks) -> Self {
        Self { engine, router: Arc::clone(router), activities }
    }
}

#[async_trait]
impl Runner for Tasks {
    async fn run(&self, task: Task) -> Done {
        let payload = match task.payload::<TaskPayload>() {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(task = task.id, error = %error, "a task cannot be read");
                return Done::Finished;
            }
        };
        match self.work(&task, &payload).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(task = task.id, error = %error, "a task's end could not be written; it runs again");
                Done::Retry(self.router.now() + jiff::SignedDuration::from_secs(1))
            }
        }
    }
}

impl Tasks {
    async fn work(&self, task: &Task, payload: &TaskPayload) -> Result<Done, Error> {
        if matches!(Resource::parse(&payload.resource), Some(Resource { target: Target::Activity, .. })) {
            self.activities.offer(&task.id, payload).await?;
            return Ok(Done::Committed);
        }
        let ending = self.perform(task, payload).await?;
        let of = payload.task;
        let event = match ending {
            Ending::Succeeded(output) => Event::TaskSucceeded { task: of, output },
            Ending::Failed(Failure { error, cause }) => {
                Event::TaskFailed { task: of, error: Some(error), cause: Some(cause) }
            }
            Ending::Submitted(output) => Event::TaskSubmitted { task: of, output },
            Ending::Cancelled => return Ok(Done::Finished),
        };
        self.engine.tell(&payload.execution, event, Some(task.id.clone())).await?;
        Ok(Done::Committed)
    }

    async fn perform(&self, task: &Task, payload: &TaskPayload) -> Result<Ending, Error> {
        let Some(resource) = Resource::parse(&payload.resource) else {
            let cause = format!("The resource '{}' cannot be called", payload.resource);
            return Ok(Ending::Failed(Failure::named("States.Runtime", cause)));
        };
        let cx = match self.acting(payload).await? {
            Ok(cx) => cx,
            Err(failure) => return Ok(Ending::Failed(failure)),
        };
        let parameters = self.engine.fetched(&payload.execution, &payload.parameters).await?.value().clone();
        let calling = cx.with_task(&task.id);
        if let (Pattern::Sync { .. }, Target::Service { service, action, .. }) = (&resource.pattern, &resource.target) {
            return match Job::of(service, action) {
                Some(job) => self.run_job(task, payload, &resource, job, &cx, &calling, parameters).await,
                None => Ok(Ending::Failed(Failure::named(
                    "States.Runtime",
                    format!("The resource '{}' has no '.sync' pattern", payload.resource),
                ))),
            };
        }
        let called = tokio::select! {
            biased;
            called = call(&calling, &resource, parameters) => called,
            () = task.cancelled() => return Ok(Ending::Cancelled),
        };
        Ok(match (called, &resource.pattern) {
            (Err(failure), _) => Ending::Failed(failure),
            (Ok(output), Pattern::WaitForTaskToken) => Ending::Submitted(output.to_string()),
            (Ok(output), _) => Ending::Succeeded(output.to_string()),
        })
    }

    /// One call, for an execution that is kept in memory alone: none of it is remembered.
    pub(crate) async fn once(&self, payload: &TaskPayload) -> Event {
        let of = payload.task;
        match self.called_once(payload).await {
            Ok(output) => Event::TaskSucceeded { task: of, output: output.to_string() },
            Err(Failure { error, cause }) => Event::TaskFailed { task: of, error: Some(error), cause: Some(cause) },
        }
    }

    async fn called_once(&self, payload: &TaskPayload) -> Result<Value, Failure> {
        let Some(resource) = Resource::parse(&payload.resource) else {
            let cause = format!("The resource '{}' cannot be called", payload.resource);
            return Err(Failure::named("States.Runtime", cause));
        };
        let cx = self.acting(payload).await.map_err(|error| Failure::named("States.TaskFailed", error.message()))??;
        call(&cx, &resource, payload.parameters.value().clone()).await
    }

    /// The context of the role that the task acts as.
    async fn acting(&self, payload: &TaskPayload) -> Result<Result<Cx, Failure>, Error> {
        let (arn, role_arn) = (&payload.execution, payload.role_arn.as_str());
        let session: String = payload
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "+=,.@-_".contains(c) { c } else { '-' })
            .take(64)
            .collect();
        let cx = Cx::platform(&self.router, arn.account(), arn.region());
        Ok(cx.assume(role_arn, &session).await.map_err(|error| {
            let cause = format!("The role {role_arn} cannot be assumed: {}", error.message());
            Failure::named("States.TaskFailed", cause)
        }))
    }

    /// `.sync`: starts a job and waits for its end; whoever stops waiting stops the job.
    #[expect(clippy::too_many_arguments, reason = "they are all of one task, and used once")]
    async fn run_job(
        &self,
        task: &Task,
        payload: &TaskPayload,
        resource: &Resource,
        job: Job,
        cx: &Cx,
        calling: &Cx,
        parameters: Value,
    ) -> Result<Ending, Error> {
        // Not cut short by a cancellation: a job that was started must be known, to be stopped.
        let started = match call(calling, resource, parameters.clone()).await {
            Ok(started) => started,
            Err(failure) => return Ok(Ending::Failed(failure)),
        };
        let submitted = Event::TaskSubmitted { task: payload.task, output: started.to_string() };
        let told = self.engine.tell(&payload.execution, submitted, None).await?;
        let waited_for = told == Told::Heard && self.engine.waits_for(&payload.execution, payload.task).await?;
        let (operation, asked) = job.describe(&parameters, &started);
        let began = self.router.now();
        while waited_for && !task.is_cancelled() {
            match cx.call_json(job.service(), operation, asked.clone()).await {
                Ok(answer) => match job.progress(&answer) {
                    Progress::Running => {}
                    Progress::Succeeded => {
                        let output = job.output(answer, resource.pattern == Pattern::Sync { version: 2 });
                        return Ok(Ending::Succeeded(output.to_string()));
                    }
                    Progress::Failed => {
                        let cause = job.output(answer, resource.pattern == Pattern::Sync { version: 2 }).to_string();
                        return Ok(Ending::Failed(Failure::named("States.TaskFailed", cause)));
                    }
                },
                Err(error) if error.status() < 500 && !error.code().contains("Throttl") => {
                    return Ok(Ending::Failed(failure::of_call(&resource.target, &error, cx.request_id())));
                }
                Err(error) => tracing::warn!(task = task.id, error = %error, "a job cannot be described; asking again"),
            }
            let delay = job.delay(self.router.now().duration_since(began));
            tokio::select! {
                biased;
                () = self.router.clock().sleep(delay) => {}
                () = task.cancelled() => break,
            }
        }
        let (operation, asked) = job.stop(&parameters, &started);
        if let Err(error) = cx.as_platform().call_json(job.service(), operation, asked).await {
            tracing::warn!(task = task.id, error = %error, "a job that nobody waits for could not be stopped");
        }
        Ok(Ending::Cancelled)
    }
}

/// One call of what the resource names.
async fn call(cx: &Cx, resource: &Resource, parameters: Value) -> Result<Value, Failure> {
    match &resource.target {
        Target::Function { arn } => lambda::invoke_directly(cx, arn, parameters).await,
        Target::Service { service, action, sdk: false } if service == "lambda" && action == "invoke" => {
            lambda::invoke(cx, &resource.target, parameters).await
        }
        Target::Service { service, action, sdk } => {
            let answer = cx.call_json(service, action, parameters).await;
            let answer = answer.map_err(|error| failure::of_call(&resource.target, &error, cx.request_id()))?;
            if service == "events" && answer["FailedEntryCount"].as_u64().is_some_and(|failed| failed > 0) {
                return Err(Failure::named("EventBridge.FailedEntry", answer.to_string()));
            }
            Ok(if *sdk { answer } else { with_metadata(cx, answer) })
        }
        Target::Activity => Ok(Value::Null),
    }
}

/// The optimised integrations also show the answer's HTTP side.
fn with_metadata(cx: &Cx, mut answer: Value) -> Value {
    if let Value::Object(answer) = &mut answer {
        let id = cx.request_id();
        answer.insert(
            "SdkHttpMetadata".to_owned(),
            json!({
                "AllHttpHeaders": { "x-amzn-RequestId": [id] },
                "HttpHeaders": { "x-amzn-RequestId": id },
                "HttpStatusCode": 200,
            }),
        );
        answer.insert("SdkResponseMetadata".to_owned(), json!({ "RequestId": id }));
    }
    answer
}
