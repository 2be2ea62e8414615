//! What runs off the durable queue: `Event` invocations with their retries, telling their destinations, and making versions
//! ready.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Who, Worked};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use service::attempts::Outcome;
use service::trace::TraceContext;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Error;

use crate::Lambda;
use crate::durable::drive as durable;
use crate::function::{Function, Name, Resolved, Scope, Version};
use crate::invoke::{Call, NODE_LOST};
use crate::{mapping, provision};

pub(crate) const INVOKE: &str = "lambda:invoke";
pub(crate) const PREPARE: &str = "lambda:prepare";
/// Versions that are made ready side by side: most of that is waiting for an index of packages.
pub(crate) const PREPARED_AT_ONCE: usize = 8;
/// Tells destinations of an event's outcome.
pub(crate) const OUTCOME: &str = "lambda:outcome";
const OUTCOME_TRIES: u32 = 6;

const DEFAULT_RETRIES: i32 = 2;
const DEFAULT_AGE: SignedDuration = SignedDuration::from_hours(6);

/// An `Event` invocation that has been accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) function: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) request_id: String,
    /// Base64.
    pub(crate) payload: String,
    pub(crate) client_context: Option<String>,
    pub(crate) accepted_ms: i64,
    /// The span that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    /// Tries that ended with the function's error.
    pub(crate) failures: i32,
    /// Tries that found no room.
    pub(crate) throttles: u32,
}

/// A version whose code is to be made ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prepare {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) function: String,
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) layers: Vec<String>,
    pub(crate) runtime: String,
}

impl Prepare {
    /// Whether this is what a version runs on. Where something else was asked for meanwhile, that has a task of its own.
    fn is_of(&self, version: &Version) -> bool {
        version.code == self.code
            && version.layers == self.layers
            && version.config.runtime.as_deref().unwrap_or_default() == self.runtime
    }
}

#[async_trait]
impl Runner for Lambda {
    async fn run(&self, task: Task) -> Done {
        let done = match task.kind.as_str() {
            PREPARE => self.run_prepare(&task).await,
            OUTCOME => self.run_outcome(&task).await,
            durable::DRIVE | durable::CHAIN | durable::EXPIRE => Box::pin(durable::run(self, &task)).await,
            provision::PROVISION => Box::pin(provision::hold(self, &task)).await,
            _ => Box::pin(mapping::poll(self, &task)).await,
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, task = task.id, "a task of Lambda failed; it runs again");
            Done::RetryAfter(SignedDuration::from_secs(5))
        })
    }
}

impl Event {
    /// The name of its task.
    pub(crate) fn task(&self) -> String {
        format!("{INVOKE}:{}", self.request_id)
    }

    fn payload(&self) -> Vec<u8> {
        STANDARD.decode(&self.payload).unwrap_or_default()
    }
}

/// How a try ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tried {
    /// The function's answer or error, in base64.
    payload: String,
    failed: bool,
    /// It found no room, or the platform failed: not a try of the function.
    throttled: bool,
    version: String,
    function_arn: String,
}

/// Asynchronous invocations as jobs. What a function has done when it fails stays, as on AWS; what it had done when the
/// server died is undone, and the event invokes it again.
pub(crate) struct Events(pub(crate) Arc<Lambda>);

#[async_trait]
impl Kind for Events {
    const NAME: &'static str = INVOKE;
    const BEGINS: bool = false;
    type Payload = Event;
    type Plan = Resolved;
    type End = Tried;

    fn scope(event: &Event) -> (&str, &str) {
        (&event.account, &event.region)
    }

    fn load(&self, tx: &mut Tx<'_>, event: &Event) -> Result<Loaded<Resolved>, Error> {
        let place = Scope { account: event.account.clone(), region: event.region.clone() };
        match place.resolve(tx, &event.name(), 0.0) {
            Ok(settings) => Ok(Loaded::Todo(settings)),
            Err(error) if error.status() >= 500 => Err(error),
            // The function was deleted meanwhile.
            Err(_) => Ok(Loaded::Over),
        }
    }

    fn limits(&self, _: &Resolved) -> Limits {
        // The environment keeps the function's own time.
        Limits { tries: 1, timeout: None }
    }

    async fn who(&self, _: &Event, _: &Resolved, _: &str) -> Result<Who<Tried>, Error> {
        // The environment's keys come with it.
        Ok(Who::Platform)
    }

    async fn work(&self, event: &Event, settings: &Resolved, attempt: &Attempt) -> Worked<Tried> {
        let trace = event.trace.as_deref().and_then(TraceContext::parse);
        let cx = Cx::platform(&self.0.router, &event.account, &event.region).with_trace(trace);
        let call = Call {
            name: event.name(),
            payload: event.payload().into(),
            client_context: event.client_context.clone(),
            request_id: event.request_id.clone(),
            sink: None,
            durable: None,
            hidden: None,
        };
        let outcome = Lambda::run(&self.0, &cx, call, Some(attempt.name())).await;
        let is_lost = outcome.as_ref().is_err_and(|error| error.is(NODE_LOST));
        let tried = match outcome {
            Ok(finished) => Tried {
                payload: STANDARD.encode(&finished.payload),
                failed: finished.failed,
                throttled: false,
                version: finished.version,
                function_arn: finished.function_arn,
            },
            Err(error) => Tried {
                payload: STANDARD.encode(crate::failure::payload(error.code(), &error.to_string())),
                failed: true,
                throttled: true,
                version: settings.version.number().to_owned(),
                function_arn: settings.arn.clone(),
            },
        };
        if is_lost { Worked::Lost(tried) } else { Worked::Ended(tried) }
    }

    fn stopped(&self) -> Tried {
        let (payload, version, function_arn) = Default::default();
        Tried { payload, failed: true, throttled: false, version, function_arn }
    }

    fn timed_out(&self, _: &Resolved) -> Tried {
        self.stopped()
    }

    fn outcome(&self, _: &Tried) -> Outcome {
        Outcome::Commit
    }

    /// Another try, later; or the destinations.
    fn end(&self, tx: &mut Tx<'_>, event: &Event, ended: &Ended<Tried>) -> Result<Next<Event>, Error> {
        let Loaded::Todo(settings) = self.load(tx, event)? else { return Ok(Next::Over) };
        let config = settings.invoke_config.clone().unwrap_or_default();
        let (tried, now) = (&ended.end, ended.at);
        let max_age =
            config.maximum_event_age_in_seconds.map_or(DEFAULT_AGE, |age| SignedDuration::from_secs(age.into()));
        let young = |at: Timestamp| {
            at.as_millisecond() - event.accepted_ms < i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX)
        };
        if tried.throttled {
            // No room, or a fault of the platform's: later, until the event is too old.
            let throttles = event.throttles + 1;
            let at = now + SignedDuration::from_secs(1_i64 << throttles.min(8));
            if young(at) {
                return Ok(Next::Again(Event { throttles, ..event.clone() }, at));
            }
        }
        let retries = config.maximum_retry_attempts.unwrap_or(DEFAULT_RETRIES);
        // What would be tried again is too old for that.
        let aged = tried.throttled || (tried.failed && event.failures < retries);
        if tried.failed && event.failures < retries {
            let failures = event.failures + 1;
            let at = now + SignedDuration::from_mins(failures.into());
            if young(at) {
                return Ok(Next::Again(Event { failures, ..event.clone() }, at));
            }
        }
        if tried.failed {
            let cx = Cx::platform(&self.0.router, &event.account, &event.region);
            self.0.measure(&cx, &event.function, "AsyncEventsDropped", 1.0, "Count");
        }
        tell(tx, settings, event, tried, aged, now.into())?;
        Ok(Next::Over)
    }
}

/// Asks for the destinations and the dead-letter queue of an event to be told of its outcome.
fn tell(
    tx: &mut Tx<'_>,
    settings: Resolved,
    event: &Event,
    tried: &Tried,
    aged: bool,
    at: wire::Timestamp,
) -> Result<(), Error> {
    let destinations = settings.invoke_config.and_then(|config| config.destination_config).unwrap_or_default();
    let destination = if tried.failed {
        destinations.on_failure.and_then(|failure| failure.destination)
    } else {
        destinations.on_success.and_then(|success| success.destination)
    };
    let dead = settings.version.config.dead_letter_config.and_then(|dead| dead.target_arn);
    let told = EventResult {
        destination,
        dead: dead.filter(|target| tried.failed && !target.is_empty()),
        role: settings.version.config.role.unwrap_or_default(),
        event: event.clone(),
        tried: tried.clone(),
        aged,
        at,
    };
    if told.destination.is_some() || told.dead.is_some() {
        tx.enqueue(NewTask::new(OUTCOME, format!("{OUTCOME}:{}", event.request_id)).payload(&told)?)?;
    }
    Ok(())
}

/// The end of a durable execution that an event has started.
pub(crate) struct DurableEnd<'a> {
    pub(crate) place: &'a Scope,
    pub(crate) name: Name,
    pub(crate) request_id: &'a str,
    pub(crate) input: &'a str,
    pub(crate) function_arn: &'a str,
    pub(crate) version: &'a str,
    /// The execution's result, or its error as functions answer it.
    pub(crate) answer: Result<String, String>,
    pub(crate) started: wire::Timestamp,
}

/// Tells the destinations of an event how the execution that it started has ended. Where the function is gone there are none.
pub(crate) fn durable_ended(tx: &mut Tx<'_>, end: DurableEnd<'_>, now: wire::Timestamp) -> Result<(), Error> {
    let settings = match end.place.resolve(tx, &end.name, 0.0) {
        Ok(settings) => settings,
        Err(error) if error.status() >= 500 => return Err(error),
        Err(_) => return Ok(()),
    };
    let event = Event {
        account: end.place.account.clone(),
        region: end.place.region.clone(),
        function: end.name.name,
        qualifier: end.name.qualifier,
        request_id: end.request_id.to_owned(),
        payload: STANDARD.encode(end.input),
        client_context: None,
        accepted_ms: end.started.as_millis(),
        trace: None,
        failures: 0,
        throttles: 0,
    };
    let failed = end.answer.is_err();
    let (Ok(payload) | Err(payload)) = end.answer;
    let tried = Tried {
        payload: STANDARD.encode(payload),
        failed,
        throttled: false,
        version: end.version.to_owned(),
        function_arn: end.function_arn.to_owned(),
    };
    tell(tx, settings, &event, &tried, false, now)
}

impl Event {
    fn name(&self) -> Name {
        Name { name: self.function.clone(), qualifier: self.qualifier.clone() }
    }
}

/// Whom to tell of an event's outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct EventResult {
    destination: Option<String>,
    dead: Option<String>,
    role: String,
    event: Event,
    tried: Tried,
    /// It was given up for its age.
    #[serde(default)]
    aged: bool,
    at: wire::Timestamp,
}

impl Lambda {
    /// Sends an event's outcome on; what fails for reasons that may pass is sent again.
    async fn run_outcome(&self, task: &Task) -> Result<Done, Error> {
        let told: EventResult = task.payload()?;
        let cx = Cx::platform(&self.router, &told.event.account, &told.event.region);
        let platform = cx.clone();
        let sent = match cx.assume(&told.role, &told.event.function).await {
            Ok(cx) => {
                let dead = match &told.dead {
                    Some(dead) => dead_letter(&cx.with_task(&format!("{}:dead", task.id)), dead, &told).await,
                    None => Ok(()),
                };
                let sent = match &told.destination {
                    Some(destination) => send(&cx.with_task(&task.id), destination, &record(&told)).await,
                    None => Ok(()),
                };
                let lost = [("DeadLetterErrors", &dead), ("DestinationDeliveryFailures", &sent)];
                for (metric, _) in lost.into_iter().filter(|(_, told)| told.is_err()) {
                    self.measure(&platform, &told.event.function, metric, 1.0, "Count");
                }
                dead.and(sent)
            }
            Err(error) => Err(error),
        };
        match sent {
            Err(error) if error.status() >= 500 && task.attempt < OUTCOME_TRIES => {
                tracing::warn!(%error, task = task.id, "the outcome of an event could not be sent on yet");
                Ok(Done::RetryAfter(SignedDuration::from_secs(1 << task.attempt)))
            }
            Err(error) => {
                tracing::warn!(%error, task = task.id, "the outcome of an event could not be sent on");
                Ok(Done::Finished)
            }
            Ok(()) => Ok(Done::Finished),
        }
    }

    /// Unpacks and installs, then shows the function as active, or as failed and why.
    async fn run_prepare(&self, task: &Task) -> Result<Done, Error> {
        let wanted: Prepare = task.payload()?;
        let ready = self.preparer.ready(&wanted.code, &wanted.layers, &wanted.runtime).await;
        if let Ok(ready) = &ready {
            self.templates.warm(&wanted.runtime, &ready.kind);
        }
        let outcome = ready.err();
        if let Some(why) = &outcome {
            tracing::warn!(function = wanted.function, why, "a function cannot be made ready");
        }
        let cx = Cx::platform(&self.router, &wanted.account, &wanted.region);
        let (place, id) = (Scope::of(&cx), task.id.clone());
        self.store
            .write(move |tx| {
                if let Some(mut function) = tx.get_json::<Function>(place.function(&wanted.function))?
                    && wanted.is_of(&function.latest)
                {
                    settle(&mut function.latest, outcome.as_deref());
                    tx.put_json(place.function(&wanted.function), &function)?;
                }
                for (key, value) in tx.scan_prefix(place.versions(&wanted.function), 10_000)? {
                    let Ok(mut version) = serde_json::from_slice::<Version>(&value) else { continue };
                    // One that was published while an update was under way waits for that update.
                    let waits = version.config.state.as_deref() == Some("Pending")
                        || version.config.last_update_status.as_deref() == Some("InProgress");
                    if wanted.is_of(&version) && waits {
                        settle(&mut version, outcome.as_deref());
                        tx.put_json(key, &version)?;
                    }
                }
                tx.finish_task(&id)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(Done::Committed)
    }
}

fn settle(version: &mut Version, why: Option<&str>) {
    let config = &mut version.config;
    let created = config.state.as_deref() == Some("Pending");
    let (state, update) = if why.is_some() { ("Failed", "Failed") } else { ("Active", "Successful") };
    if created || why.is_none() {
        config.state = Some(state.to_owned());
        config.state_reason = why.map(str::to_owned);
        config.state_reason_code = why.map(|_| "InvalidConfiguration".to_owned());
    }
    config.last_update_status = Some(update.to_owned());
    config.last_update_status_reason = why.map(str::to_owned);
    config.last_update_status_reason_code = why.map(|_| "InvalidConfiguration".to_owned());
}

/// What a destination receives.
fn record(told: &EventResult) -> Value {
    let EventResult { event, tried, .. } = told;
    let text = |bytes: &[u8]| {
        jsontext::read_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
    };
    let mut context = json!({ "statusCode": 200, "executedVersion": tried.version });
    if tried.failed {
        context["functionError"] = "Unhandled".into();
    }
    json!({
        "version": "1.0",
        "timestamp": told.at.to_iso(),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": tried.function_arn,
            "condition": match (tried.failed, told.aged) {
                (false, _) => "Success",
                (true, false) => "RetriesExhausted",
                (true, true) => "EventAgeExceeded",
            },
            "approximateInvokeCount": event.failures + 1,
        },
        "requestPayload": text(&event.payload()),
        "responseContext": context,
        "responsePayload": text(&STANDARD.decode(&tried.payload).unwrap_or_default()),
    })
}

/// The event itself, with what went wrong beside it.
async fn dead_letter(cx: &Cx, target: &str, told: &EventResult) -> Result<(), Error> {
    let event = &told.event;
    let body = String::from_utf8_lossy(&event.payload()).into_owned();
    let answer = STANDARD.decode(&told.tried.payload).unwrap_or_default();
    let error: Value = jsontext::read_slice(&answer).unwrap_or_default();
    let attribute = |kind: &str, value: &str| json!({ "DataType": kind, "StringValue": value });
    let attributes = json!({
        "RequestID": attribute("String", &event.request_id),
        "ErrorCode": attribute("Number", "200"),
        "ErrorMessage": attribute("String", &error["errorMessage"].as_str().unwrap_or("unknown").chars().take(1024).collect::<String>()),
    });
    let arn = arn_of(target)?;
    let (service, operation, parameters) = match arn.service.as_str() {
        "sqs" => {
            let url = queue_url(cx, &arn)?;
            ("sqs", "sendMessage", json!({ "QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes }))
        }
        "sns" => ("sns", "publish", json!({ "TopicArn": target, "Message": body, "MessageAttributes": attributes })),
        _ => return Err(Error::not_implemented(format!("a dead-letter queue of type {}", arn.service))),
    };
    cx.call_json(service, operation, parameters).await.map(drop)
}

pub(crate) async fn send(cx: &Cx, target: &str, record: &Value) -> Result<(), Error> {
    let arn = arn_of(target)?;
    let body = record.to_string();
    let (service, operation, parameters) = match arn.service.as_str() {
        "sqs" => ("sqs", "sendMessage", json!({ "QueueUrl": queue_url(cx, &arn)?, "MessageBody": body })),
        "sns" => ("sns", "publish", json!({ "TopicArn": target, "Message": body })),
        "lambda" => ("lambda", "invoke", json!({ "FunctionName": target, "InvocationType": "Event", "Payload": body })),
        "events" => {
            let condition = &record["requestContext"]["condition"];
            let source = format!(
                "Lambda Function Invocation Result - {}",
                if condition == "Success" { "Success" } else { "Failure" }
            );
            let function = &record["requestContext"]["functionArn"];
            let entry = json!({ "Source": "lambda", "DetailType": source, "Detail": body, "Resources": [target, function], "EventBusName": target });
            let put = cx.call_json("events", "putEvents", json!({ "Entries": [entry] })).await?;
            // A bus takes or refuses each event by itself.
            return match put["Entries"][0]["ErrorMessage"].as_str() {
                None => Ok(()),
                Some(refused) => Err(Error::validation(refused)),
            };
        }
        _ => return Err(Error::not_implemented(format!("a destination of type {}", arn.service))),
    };
    cx.call_json(service, operation, parameters).await.map(drop)
}

fn arn_of(target: &str) -> Result<wire::arn::Arn, Error> {
    wire::arn::Arn::parse(target).ok_or_else(|| Error::validation(format!("not an ARN: {target}")))
}

/// The last two parts of the path are what SQS reads: the region is the caller's. A queue of another region is none, since what has
/// its name here is another one.
pub(crate) fn queue_url(cx: &Cx, arn: &wire::arn::Arn) -> Result<String, Error> {
    let (region, own) = (&arn.region, cx.region());
    if region != own {
        let queue = &arn.resource;
        return Err(Error::validation(format!("the queue {queue} is of the region {region}, the function of {own}")));
    }
    Ok(format!("https://sqs.{region}.amazonaws.com/{}/{}", arn.account, arn.resource))
}
