//! The task that brings one event to one target, for rules and schedules alike. It is named by event and target, so it exists
//! once; what it calls remembers its reply under that name, so it counts once.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, NewTask, Runner, Store, Task, Tx};
use wire::Error;
use wire::arn::Arn;

use crate::bridge::event;
use crate::bridge::rule::Home;
use crate::destination::{CALL, Http, Tries};
use crate::metrics::{self, Met};

pub(crate) const DELIVER: &str = "events:deliver";
/// The same where any operation is called: it may take as long as it likes, and other targets do not wait for it.
pub(crate) const OPERATION: &str = "events:operation";
/// As policies of targets name it.
const SERVICE: &str = "events.amazonaws.com";

/// What an event or a schedule's input can be brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    StateMachine,
    Function,
    Queue,
    Topic,
    Bus,
    Workflow,
    LogGroup,
    ApiDestination,
    /// Any operation, of Scheduler's targets alone.
    Operation,
}

impl Kind {
    pub(crate) fn of(target: &Arn) -> Option<Self> {
        let kind = target.resource.split([':', '/']).next().unwrap_or_default();
        Some(match (target.service.as_str(), kind) {
            ("states", "stateMachine") => Self::StateMachine,
            ("lambda", "function") => Self::Function,
            ("sqs", _) => Self::Queue,
            ("sns", _) => Self::Topic,
            ("events", "event-bus") => Self::Bus,
            ("events", "api-destination") => Self::ApiDestination,
            ("glue", "workflow") => Self::Workflow,
            ("logs", "log-group") => Self::LogGroup,
            ("scheduler", "aws-sdk") => Self::Operation,
            _ => return None,
        })
    }

    /// What has no policy that could let the service in, or is elsewhere, is called with a role only.
    /// Source: EventBridge API reference, `PutTargets`.
    pub(crate) fn needs_role(self, target: &Arn, (account, region): (&str, &str)) -> bool {
        match self {
            Self::StateMachine | Self::Workflow | Self::ApiDestination | Self::Operation => true,
            Self::Bus => target.account != account || target.region != region,
            Self::Function | Self::Queue | Self::Topic | Self::LogGroup => false,
        }
    }
}

/// What is brought where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// Of the event and the target; names the task.
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The rule or schedule.
    pub(crate) source_arn: String,
    pub(crate) target_arn: String,
    pub(crate) role_arn: Option<String>,
    /// The text for the target.
    pub(crate) input: String,
    pub(crate) group: Option<String>,
    /// Detail type and source, where a schedule sends an event.
    pub(crate) event: Option<(String, String)>,
    pub(crate) dead_letter_arn: Option<String>,
    pub(crate) max_attempts: u32,
    pub(crate) max_age_seconds: i64,
    /// How an API destination is called; nothing for other targets.
    #[serde(default)]
    pub(crate) http: Option<Http>,
    #[serde(default)]
    pub(crate) tries: Tries,
    /// For when a schedule's was.
    #[serde(default)]
    pub(crate) scheduled: Option<String>,
    /// To the first of its rule's targets.
    #[serde(default)]
    pub(crate) is_first: bool,
}

/// Why a delivery that could be tried again is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    Attempts,
    Age,
}

impl Exhausted {
    /// As messages in dead-letter queues name it.
    fn name(self) -> &'static str {
        match self {
            Self::Attempts => "MaximumRetryAttempts",
            Self::Age => "MaximumEventAgeInSeconds",
        }
    }
}

impl Delivery {
    fn is_scheduled(&self) -> bool {
        Arn::parse(&self.source_arn).is_some_and(|arn| arn.service == "scheduler")
    }

    pub(crate) fn enqueue(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let target = Arn::parse(&self.target_arn).and_then(|arn| Kind::of(&arn));
        let kind = match target {
            _ if self.http.is_some() => CALL,
            Some(Kind::Operation) => OPERATION,
            _ => DELIVER,
        };
        Ok(tx.enqueue(NewTask::new(kind, format!("{kind}/{}", self.id)).payload(self)?)?)
    }
}

pub(crate) struct Deliverer {
    pub(crate) router: Arc<Router>,
    pub(crate) endpoint: String,
    pub(crate) store: Store,
}

#[async_trait]
impl Runner for Deliverer {
    async fn run(&self, task: Task) -> Done {
        let delivery: Delivery = match task.payload() {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a delivery cannot be read");
                return Done::Finished;
            }
        };
        metrics::tell(&self.router, &delivery, Met::Attempt(task.attempt));
        let Err(error) = self.deliver(&task.id, &delivery).await else {
            metrics::tell(&self.router, &delivery, Met::Delivered);
            return Done::Finished;
        };
        metrics::tell(&self.router, &delivery, Met::Error(&error));
        let again = may_be_repeated(&error);
        let age = self.router.clock().now_ms() - task.created_ms;
        let exhausted = if task.attempt > delivery.max_attempts {
            Some(Exhausted::Attempts)
        } else if age >= delivery.max_age_seconds * 1000 {
            Some(Exhausted::Age)
        } else {
            None
        };
        if again && exhausted.is_none() {
            tracing::warn!(task = task.id, attempt = task.attempt, %error, "a delivery failed and is tried again");
            return Done::RetryAfter(pause(task.attempt));
        }
        let exhausted = exhausted.filter(|_| again);
        self.give_up(&task, &delivery, &error, (task.attempt.saturating_sub(1), exhausted)).await
    }
}

/// Whether the same call may succeed later.
pub(crate) fn may_be_repeated(error: &Error) -> bool {
    error.status() >= 500 || matches!(error.code(), "ThrottlingException" | "TooManyRequestsException")
}

/// 1, 2, 4, … seconds, at most ten minutes.
pub(crate) fn pause(attempt: u32) -> SignedDuration {
    SignedDuration::from_secs((1_i64 << attempt.saturating_sub(1).min(10)).min(600))
}

impl Deliverer {
    /// Brings the event to the dead-letter queue, where there is one: with how often it was tried again, and what put an end to that.
    pub(crate) async fn give_up(
        &self,
        task: &Task,
        delivery: &Delivery,
        error: &Error,
        tries: (u32, Option<Exhausted>),
    ) -> Done {
        tracing::error!(task = task.id, target = delivery.target_arn, %error, "a delivery failed for good");
        let tell = |met| metrics::tell(&self.router, delivery, met);
        match self.dead_letter(&task.id, delivery, error, tries).await {
            Err(error) if error.status() >= 500 => return Done::RetryAfter(pause(task.attempt)),
            Err(error) => {
                tell(Met::DeadLetter { taken: false });
                tracing::error!(task = task.id, %error, "the dead-letter queue did not take the event");
            }
            Ok(()) if delivery.dead_letter_arn.is_some() => tell(Met::DeadLetter { taken: true }),
            Ok(()) => {}
        }
        tell(Met::GivenUp);
        Done::Finished
    }

    async fn deliver(&self, task: &str, delivery: &Delivery) -> Result<(), Error> {
        let arn = Arn::parse(&delivery.target_arn)
            .ok_or_else(|| Error::validation(format!("not an ARN: {}", delivery.target_arn)))?;
        let region = if arn.region.is_empty() { &delivery.region } else { &arn.region };
        let own = Cx::platform(&self.router, &delivery.account, region).with_task(task);
        let kind = Kind::of(&arn).ok_or_else(|| Error::not_implemented(format!("a target of type {}", arn.service)))?;
        // A target that needs no role is called by the service itself: its own policy decides.
        let cx = match &delivery.role_arn {
            Some(role) => own.assume(role, "events").await?,
            None if kind.needs_role(&arn, (&delivery.account, &delivery.region)) => {
                return Err(Error::validation(format!("RoleArn is required for target {}.", delivery.target_arn)));
            }
            None => own.as_service(SERVICE, &delivery.source_arn),
        };
        let input = delivery.input.clone();
        match kind {
            Kind::StateMachine => {
                let request = api_states::StartExecutionInput {
                    state_machine_arn: delivery.target_arn.clone(),
                    input: Some(as_json(input)),
                    ..api_states::StartExecutionInput::default()
                };
                cx.call::<api_states::StartExecution>(request).await.map(drop)
            }
            Kind::Function => {
                let request = api_lambda::InvocationRequest {
                    function_name: delivery.target_arn.clone(),
                    invocation_type: Some("Event".to_owned()),
                    payload: Some(as_json(input).into_bytes().into()),
                    ..api_lambda::InvocationRequest::default()
                };
                cx.call::<api_lambda::Invoke>(request).await.map(drop)
            }
            Kind::Queue => self.send(&cx, &arn, input, delivery.group.clone(), None).await,
            Kind::Topic => {
                let request = api_sns::PublishInput {
                    topic_arn: Some(delivery.target_arn.clone()),
                    message: input,
                    message_group_id: delivery.group.clone(),
                    ..api_sns::PublishInput::default()
                };
                cx.call::<api_sns::Publish>(request).await.map(drop)
            }
            Kind::Bus => self.put_event(&cx, delivery).await,
            Kind::Workflow => notify_workflow(&cx, &arn, delivery).await,
            Kind::LogGroup => log(&cx, &arn, delivery).await,
            // It has a task of its own (`crate::destination`).
            Kind::ApiDestination => Err(Error::internal("an API destination is called by its own task")),
            Kind::Operation => {
                let mut parts = arn.resource.splitn(3, ':').skip(1);
                let (service, operation) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let parameters: Value = serde_json::from_str(&input)
                    .map_err(|error| Error::validation(format!("the input is not JSON: {error}")))?;
                cx.call_json(service, operation, parameters).await.map(drop)
            }
        }
    }

    async fn send(
        &self,
        cx: &Cx,
        queue: &Arn,
        body: String,
        group: Option<String>,
        attributes: Option<std::collections::BTreeMap<String, api_sqs::MessageAttributeValue>>,
    ) -> Result<(), Error> {
        let request = api_sqs::SendMessageRequest {
            queue_url: format!("{}/{}/{}", self.endpoint.trim_end_matches('/'), queue.account, queue.resource),
            message_body: body,
            message_group_id: group,
            message_attributes: attributes,
            ..api_sqs::SendMessageRequest::default()
        };
        cx.call::<api_sqs::SendMessage>(request).await.map(drop)
    }

    /// A schedule's event, or a rule's event passed on to another bus.
    async fn put_event(&self, cx: &Cx, delivery: &Delivery) -> Result<(), Error> {
        let Some((detail_type, source)) = &delivery.event else { return self.pass_on(cx, delivery).await };
        let entry = api_events::PutEventsRequestEntry {
            event_bus_name: Some(delivery.target_arn.clone()),
            detail_type: Some(detail_type.clone()),
            source: Some(source.clone()),
            detail: Some(as_json(delivery.input.clone())),
            ..api_events::PutEventsRequestEntry::default()
        };
        let request = api_events::PutEventsRequest { entries: vec![entry], ..api_events::PutEventsRequest::default() };
        cx.router().authorize(cx, "events:PutEvents", &delivery.target_arn).await?;
        let answer = cx.as_platform().call::<api_events::PutEvents>(request).await?;
        let failed = answer.entries.unwrap_or_default().into_iter().find_map(|entry| entry.error_message);
        failed.map_or(Ok(()), |message| Err(Error::validation(message)))
    }

    /// The same event on another bus: with its id, time, account and region, and with the name of the replay that brought it. Events of
    /// AWS's services are passed on, too, which no caller could put.
    async fn pass_on(&self, cx: &Cx, delivery: &Delivery) -> Result<(), Error> {
        cx.router().authorize(cx, "events:PutEvents", &delivery.target_arn).await?;
        let event: Value = serde_json::from_str(&delivery.input)
            .map_err(|error| Error::validation(format!("what is passed on is no event: {error}")))?;
        let has = |name: &str| event[name].as_str().is_some_and(|text| !text.is_empty());
        let whole = ["id", "detail-type", "source", "time", "account", "region"].into_iter().all(has);
        if !whole || !event["detail"].is_object() {
            return Err(Error::validation("what is passed on to another bus must be the whole event"));
        }
        let home = Home::of_bus(cx, Some(&delivery.target_arn));
        let (via, now) = (cx.uuid(), cx.now());
        cx.as_platform()
            .write(&self.store, move |tx| {
                home.check_bus(tx)?;
                event::pass_on(tx, &home, &event, &via, now)
            })
            .await
    }

    async fn dead_letter(
        &self,
        task: &str,
        delivery: &Delivery,
        error: &Error,
        (retries, exhausted): (u32, Option<Exhausted>),
    ) -> Result<(), Error> {
        let Some(target) = delivery.dead_letter_arn.as_deref().and_then(Arn::parse) else { return Ok(()) };
        let own = Cx::platform(&self.router, &delivery.account, &target.region).with_task(&format!("{task}/dead"));
        // A schedule's role sends its dead letters, a rule's are the service's. Sources: Scheduler User Guide, "Configuring a schedule's
        // dead-letter queue"; EventBridge User Guide, "Using dead-letter queues to process undelivered events".
        let cx = match (&delivery.role_arn, delivery.is_scheduled()) {
            (Some(role), true) => own.assume(role, "scheduler").await?,
            _ => own.as_service(SERVICE, &delivery.source_arn),
        };
        let attribute = |(name, kind, value): (&str, &str, &str)| {
            let value = api_sqs::MessageAttributeValue {
                data_type: kind.to_owned(),
                string_value: Some(value.to_owned()),
                ..api_sqs::MessageAttributeValue::default()
            };
            (name.to_owned(), value)
        };
        let retries = retries.to_string();
        let mut attributes = vec![
            ("TARGET_ARN", "String", delivery.target_arn.as_str()),
            ("ERROR_CODE", "String", error.code()),
            ("ERROR_MESSAGE", "String", if error.message().is_empty() { "-" } else { error.message() }),
            ("RETRY_ATTEMPTS", "Number", retries.as_str()),
        ];
        if delivery.is_scheduled() {
            attributes.push(("SCHEDULE_ARN", "String", delivery.source_arn.as_str()));
            attributes.push(("EXECUTION_ID", "String", delivery.id.split('/').next().unwrap_or_default()));
            attributes.push(("IS_PAYLOAD_TRUNCATED", "String", "false"));
            attributes.extend(delivery.scheduled.as_deref().map(|time| ("SCHEDULED_TIME", "String", time)));
        } else {
            attributes.push(("RULE_ARN", "String", delivery.source_arn.as_str()));
        }
        attributes.extend(exhausted.map(|condition| ("EXHAUSTED_RETRY_CONDITION", "String", condition.name())));
        let attributes = attributes.into_iter().map(attribute).collect();
        let group = target.resource.strip_suffix(".fifo").map(|_| "dead".to_owned());
        self.send(&cx, &target, delivery.input.clone(), group, Some(attributes)).await
    }
}

/// The text itself where it is JSON, else as a JSON string.
fn as_json(text: String) -> String {
    if serde_json::from_str::<Value>(&text).is_ok() { text } else { Value::String(text).to_string() }
}

/// A workflow counts events, whatever the target makes of their text. On AWS the target's role needs `glue:NotifyEvent`.
async fn notify_workflow(cx: &Cx, workflow: &Arn, delivery: &Delivery) -> Result<(), Error> {
    cx.router().authorize(cx, "glue:NotifyEvent", &delivery.target_arn).await?;
    let request = api_lakerun::NotifyWorkflowRequest {
        name: workflow.resource.trim_start_matches("workflow/").to_owned(),
        event_id: delivery.id.split('/').next().unwrap_or_default().to_owned(),
    };
    cx.as_platform().call::<api_lakerun::NotifyWorkflow>(request).await.map(drop)
}

/// One line in a stream of its own, as EventBridge writes them.
async fn log(cx: &Cx, group: &Arn, delivery: &Delivery) -> Result<(), Error> {
    let name = group.resource.trim_start_matches("log-group:").trim_end_matches(":*");
    let stream = delivery.id.replace([':', '*', '/'], "-");
    let made = cx
        .call_json("cloudwatchlogs", "createLogStream", json!({ "LogGroupName": name, "LogStreamName": stream }))
        .await;
    if let Err(error) = made
        && !error.is("ResourceAlreadyExistsException")
    {
        return Err(error);
    }
    let line = json!([{ "Timestamp": cx.now().as_millisecond(), "Message": delivery.input }]);
    let put = json!({ "LogGroupName": name, "LogStreamName": stream, "LogEvents": line });
    cx.call_json("cloudwatchlogs", "putLogEvents", put).await.map(drop)
}
