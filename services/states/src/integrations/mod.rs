//! What Task states call: every operation of the call table (`aws-sdk:*`), the optimised integrations, functions by their ARN.
//!
//! A task acts as the machine's role, on behalf of a durable task whose id is the state's attempt: a call that a crash makes it
//! repeat returns what the first one did.

mod check;
mod events;
mod exceptions;
mod failure;
mod http;
mod jobs;
mod lacking;
mod lambda;
mod once;
mod resource;
mod taken;
mod waits;

use std::sync::Arc;

use asl::{Event, TaskId};
use async_trait::async_trait;
use engine::{Engine, ExecutionArn, TaskPayload};
use serde_json::{Value, json};
use service::lineage::Worker;
use service::trace::TraceContext;
use service::{Cx, Router};
use store::{Done, Runner, Task};
use wire::Error;
use wire::codec::asl::Style;
use wire::schema::Shape;

use crate::activity;

pub(crate) use check::findings;
use failure::{ErrorStyle, Failure};
pub(crate) use http::{Config, Exchange, Http};
use jobs::Job;
pub(crate) use once::{Called, call_once};
use resource::{Pattern, Resource, Target};
pub(crate) use taken::Taken;
use waits::StartedJob;
pub(crate) use waits::passes;

/// Runs tasks.
pub(crate) struct Tasks {
    engine: Engine,
    router: Arc<Router>,
    activities: activity::Tasks,
    http: Arc<Http>,
}

/// What calls need beside the operations: who makes HTTP calls, and for which machine.
struct Site<'a> {
    http: &'a Http,
    machine: String,
}

impl<'a> Site<'a> {
    fn of(http: &'a Http, execution: &ExecutionArn) -> Self {
        let (region, account) = (execution.region(), execution.account());
        Self { http, machine: format!("arn:aws:states:{region}:{account}:stateMachine:{}", execution.machine()) }
    }
}

/// How a task's run ended.
enum Ending {
    Succeeded(String),
    Failed(Failure),
    /// Called; now somebody outside answers.
    Submitted(String),
    /// A job has been started; the queue waits for its end.
    Waiting,
    /// Nobody waits for it any more.
    Cancelled,
}

impl Tasks {
    pub(crate) fn new(engine: Engine, router: &Arc<Router>, activities: activity::Tasks, http: &Arc<Http>) -> Self {
        Self { engine, router: Arc::clone(router), activities, http: Arc::clone(http) }
    }
}

#[async_trait]
impl Runner for Tasks {
    async fn run(&self, task: Task) -> Done {
        let done = match task.kind.as_str() {
            engine::WAIT_KIND => self.look(&task).await,
            engine::STOP_KIND => self.abandon(&task).await,
            _ => self.work(&task).await,
        };
        done.unwrap_or_else(|error| {
            tracing::error!(task = task.id, error = %error, "a task could not be brought to its end; it runs again");
            Done::RetryAfter(jiff::SignedDuration::from_secs(1))
        })
    }
}

impl Tasks {
    async fn work(&self, task: &Task) -> Result<Done, Error> {
        let payload = task.payload::<TaskPayload>()?;
        let resource = Resource::parse(&payload.resource);
        if matches!(resource, Some(Resource { target: Target::Activity, .. })) {
            self.activities.offer(&task.id, &payload).await?;
            return Ok(Done::Committed);
        }
        let ending = self.perform(task, &payload, resource).await?;
        self.tell(&payload.execution, payload.task, ending, task).await
    }

    /// Tells the execution how its task ended; the queue's task ends in the same commit.
    async fn tell(&self, execution: &ExecutionArn, of: TaskId, ending: Ending, task: &Task) -> Result<Done, Error> {
        let event = match ending {
            Ending::Succeeded(output) => Event::TaskSucceeded { task: of, output },
            Ending::Failed(Failure { error, cause }) => {
                Event::TaskFailed { task: of, error: Some(error), cause: Some(cause) }
            }
            Ending::Submitted(output) => Event::TaskSubmitted { task: of, output },
            Ending::Waiting => return Ok(Done::Committed),
            Ending::Cancelled => return Ok(Done::Finished),
        };
        self.engine.tell(execution, event, Some(task.id.clone())).await?;
        Ok(Done::Committed)
    }

    async fn perform(&self, task: &Task, payload: &TaskPayload, resource: Option<Resource>) -> Result<Ending, Error> {
        let Some(resource) = resource else {
            let cause = format!("The resource '{}' cannot be called", payload.resource);
            return Ok(Ending::Failed(Failure::named("States.Runtime", cause)));
        };
        let cx = match self.acting(&payload.execution, Roles::of(payload), &payload.name).await? {
            Ok(cx) => cx,
            Err(failure) => return Ok(Ending::Failed(failure)),
        };
        let mut parameters = self.engine.fetched(&payload.execution, &payload.parameters).await?.value().clone();
        events::signed(&resource, &payload.execution, &mut parameters);
        let cx = cx.for_worker(state_of(payload)).with_trace(trace_of(payload));
        let calling = cx.with_task(&task.id);
        let site = Site::of(&self.http, &payload.execution);
        if let Pattern::Sync { version } = resource.pattern {
            let started =
                Box::pin(self.start_job((&cx, &calling), (task, payload), &resource, version, parameters, &site));
            return started.await;
        }
        let called = tokio::select! {
            biased;
            called = call(&calling, &resource, parameters, &site) => called,
            () = task.cancelled() => return Ok(Ending::Cancelled),
        };
        Ok(match (called, &resource.pattern) {
            (Err(failure), _) => Ending::Failed(failure),
            (Ok(output), Pattern::WaitForTaskToken) => Ending::Submitted(text(&output)),
            (Ok(output), _) => Ending::Succeeded(text(&output)),
        })
    }

    /// Starts a job, and has its end waited for.
    async fn start_job(
        &self,
        (cx, calling): (&Cx, &Cx),
        (task, payload): (&Task, &TaskPayload),
        resource: &Resource,
        version: u8,
        parameters: Value,
        site: &Site<'_>,
    ) -> Result<Ending, Error> {
        let job = match &resource.target {
            Target::Service { service, action, .. } => Job::of(service, action),
            _ => None,
        };
        let Some(job) = job else {
            let cause = format!("The resource '{}' has no '.sync' pattern", payload.resource);
            return Ok(Ending::Failed(Failure::named("States.Runtime", cause)));
        };
        // Not cut short by a cancellation: a job that was started must be known, to be stopped.
        match call(calling, resource, parameters.clone(), site).await {
            Ok(answer) => {
                let started = StartedJob { job, version, parameters: &parameters, answer: &answer };
                self.submit(cx, task, payload, started).await
            }
            Err(failure) => Ok(Ending::Failed(failure)),
        }
    }

    /// One call, for an execution that is kept in memory alone: none of it is remembered.
    pub(crate) async fn once(&self, payload: &TaskPayload) -> Event {
        let of = payload.task;
        match self.called_once(payload).await {
            Ok(output) => Event::TaskSucceeded { task: of, output: text(&output) },
            Err(Failure { error, cause }) => Event::TaskFailed { task: of, error: Some(error), cause: Some(cause) },
        }
    }

    async fn called_once(&self, payload: &TaskPayload) -> Result<Value, Failure> {
        let Some(resource) = Resource::parse(&payload.resource) else {
            let cause = format!("The resource '{}' cannot be called", payload.resource);
            return Err(Failure::named("States.Runtime", cause));
        };
        let acting = self.acting(&payload.execution, Roles::of(payload), &payload.name);
        let cx = acting.await.map_err(|error| Failure::named("States.TaskFailed", error.message()))??;
        let cx = cx.for_worker(state_of(payload)).with_trace(trace_of(payload));
        let site = Site::of(&self.http, &payload.execution);
        let mut parameters = payload.parameters.value().clone();
        events::signed(&resource, &payload.execution, &mut parameters);
        call(&cx, &resource, parameters, &site).await
    }

    /// The context of the role that the task acts as.
    async fn acting(&self, arn: &ExecutionArn, roles: Roles<'_>, name: &str) -> Result<Result<Cx, Failure>, Error> {
        let session: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "+=,.@-_".contains(c) { c } else { '-' })
            .take(64)
            .collect();
        let cx = Cx::platform(&self.router, arn.account(), arn.region());
        let machine = format!("arn:aws:states:{}:{}:stateMachine:{}", arn.region(), arn.account(), arn.machine());
        roles.assumed(&cx, &session, Some(&machine)).await
    }
}

/// As whom a task acts.
#[derive(Clone, Copy)]
pub(crate) struct Roles<'a> {
    pub(crate) machine: &'a str,
    /// Of the state's Credentials.
    pub(crate) other: Option<&'a str>,
}

impl<'a> Roles<'a> {
    fn of(payload: &'a TaskPayload) -> Self {
        Self { machine: &payload.role_arn, other: payload.other_role.as_deref() }
    }

    fn of_wait(wait: &'a engine::WaitPayload) -> Self {
        Self { machine: &wait.role_arn, other: wait.other_role.as_deref() }
    }

    /// The machine's role was given by its owner. Another is taken up by it as by `AssumeRole`, with the machine's ARN as external id: the
    /// machine's role needs `sts:AssumeRole` on it, its trust policy has to name the machine's role, and calls go to its account.
    /// Source: Step Functions Developer Guide, "Accessing resources in other AWS accounts".
    ///
    /// A bad moment of who knows the roles says nothing about them: an error, after which it is tried again.
    async fn assumed(self, cx: &Cx, session: &str, machine: Option<&str>) -> Result<Result<Cx, Failure>, Error> {
        let refused = |role: &str, error: Error| {
            if passes(&error) {
                return Err(error);
            }
            let cause = format!("The role {role} cannot be assumed: {}", error.message());
            Ok(Err(Failure::named("States.TaskFailed", cause)))
        };
        let own = match cx.assume(self.machine, session).await {
            Ok(own) => own,
            Err(error) => return refused(self.machine, error),
        };
        match self.other.filter(|other| *other != self.machine) {
            Some(other) => match own.assume_other(other, session, machine).await {
                Ok(cx) => Ok(Ok(cx)),
                Err(error) => refused(other, error),
            },
            None => Ok(Ok(own)),
        }
    }
}

/// As whom a task's calls read and write. Of Express executions, which are many and of which nothing else is kept, it is the state of
/// their machine.
fn state_of(payload: &TaskPayload) -> Worker {
    let arn = &payload.execution;
    let execution = if arn.is_express() {
        format!("arn:aws:states:{}:{}:stateMachine:{}", arn.region(), arn.account(), arn.machine())
    } else {
        arn.as_str().to_owned()
    };
    Worker::State { execution, state: payload.state.clone() }
}

/// The span that a task's call is.
fn trace_of(payload: &TaskPayload) -> Option<TraceContext> {
    TraceContext::parse(payload.trace.as_deref()?)
}

/// The text of a result; quicker than by way of `Display`.
fn text(output: &Value) -> String {
    serde_json::to_string(output).unwrap_or_default()
}

/// One call of what the resource names.
async fn call(cx: &Cx, resource: &Resource, mut parameters: Value, site: &Site<'_>) -> Result<Value, Failure> {
    match &resource.target {
        Target::Function { arn } => lambda::invoke_directly(cx, arn, parameters).await,
        Target::Service { service, action, sdk: false } if service == "lambda" && action == "invoke" => {
            lambda::invoke(cx, parameters).await
        }
        Target::Service { service, sdk: false, .. } if service == "http" => {
            // Boxed: what is seldom needed makes every task's run larger.
            Box::pin(site.http.invoke(cx, &site.machine, &parameters, &mut Exchange::default())).await
        }
        Target::Service { service, action, sdk } => {
            if *sdk && service == "s3" && action == "putObject" {
                as_object(&mut parameters);
            }
            let (style, style_of_errors) =
                if *sdk { (Style::Sdk, ErrorStyle::Sdk) } else { (Style::Optimized, ErrorStyle::Optimized) };
            let answer = match absent(cx, service, action, &parameters) {
                Some(error) => Err(error),
                None => cx.router().call_styled(cx, (service, action), parameters, style).await,
            };
            let answer = answer.map_err(|error| failed_call(cx, service, action, style_of_errors, &error))?;
            if let Some(failure) = events::refused(&answer).filter(|_| service == "events") {
                return Err(failure);
            }
            Ok(if *sdk { answer } else { with_metadata(cx, answer) })
        }
        Target::Activity => Ok(Value::Null),
    }
}

/// How Step Functions' own client writes objects: the body as JSON, a text in its quotes too; with a CRC-32, as all of AWS's SDKs,
/// unless another checksum is asked for.
fn as_object(parameters: &mut Value) {
    let Value::Object(members) = parameters else { return };
    if let Some(body @ Value::String(_)) = members.get_mut("Body") {
        *body = Value::String(body.to_string());
    }
    if !members.keys().any(|name| name.starts_with("Checksum")) {
        members.insert("ChecksumAlgorithm".to_owned(), json!("CRC32"));
    }
}

/// What SQS says of a request without a parameter that it needs; a null is none. The client in between does not look.
fn absent(cx: &Cx, service: &str, action: &str, parameters: &Value) -> Option<Error> {
    if service != "sqs" {
        return None;
    }
    let Shape::Structure(input) = cx.router().find_asl(service, action)?.input else { return None };
    let lacks = |name: &str| parameters.get(name).is_none_or(Value::is_null);
    let absent = input.members.iter().find(|member| member.required && lacks(member.name))?;
    let message = format!("The request must contain the parameter {}.", absent.name);
    Some(Error::new("MissingParameter", 400, message))
}

fn failed_call(cx: &Cx, service: &str, action: &str, style_of_errors: ErrorStyle, error: &Error) -> Failure {
    match cx.router().find_asl(service, action) {
        Some(spec) => failure::of_call(spec.service, style_of_errors, error, cx.request_id()),
        None => {
            Failure::named("States.Runtime", format!("Lakerun does not have the operation '{action}' of '{service}'."))
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::as_object;

    #[test]
    fn objects_are_written_as_json_with_a_checksum() {
        let check = |mut parameters: Value, want: Value| {
            as_object(&mut parameters);
            assert_eq!(parameters, want);
        };
        check(json!({ "Body": "text" }), json!({ "Body": "\"text\"", "ChecksumAlgorithm": "CRC32" }));
        check(json!({ "Body": [1] }), json!({ "Body": [1], "ChecksumAlgorithm": "CRC32" }));
        check(json!({ "ChecksumSHA256": "x" }), json!({ "ChecksumSHA256": "x" }));
    }
}
