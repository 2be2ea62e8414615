//! What runs off the durable queue: `Event` invocations with their retries and destinations, and making versions ready.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use store::{Done, NewTask, Runner, Task};
use wire::Error;

use crate::Lambda;
use crate::function::{Function, Name, Place, Version};
use crate::invoke::{Call, Finished};
use crate::mapping;

pub(crate) const INVOKE: &str = "lambda:invoke";
pub(crate) const PREPARE: &str = "lambda:prepare";

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
    pub(crate) runtime: String,
}

#[async_trait]
impl Runner for Lambda {
    async fn run(&self, task: Task) -> Done {
        let done = match task.kind.as_str() {
            INVOKE => self.run_event(&task).await,
            PREPARE => self.run_prepare(&task).await,
            _ => mapping::poll(self, &task).await,
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, task = task.id, "a task of Lambda failed; it runs again");
            Done::Retry(Timestamp::now() + SignedDuration::from_secs(5))
        })
    }
}

impl Lambda {
    async fn run_event(&self, task: &Task) -> Result<Done, Error> {
        let event: Event = task.payload()?;
        let cx = Cx::platform(&self.router, &event.account, &event.region);
        let name = Name { name: event.function.clone(), qualifier: event.qualifier.clone() };
        let place = Place::of(&cx);
        let call = Call {
            name: name.clone(),
            payload: STANDARD.decode(&event.payload).unwrap_or_default().into(),
            client_context: event.client_context.clone(),
            request_id: event.request_id.clone(),
        };
        let settings = self.store.read(|tx| place.resolve(tx, &name, 0.0)).await;
        let Ok(settings) = settings else { return Ok(Done::Finished) }; // The function was deleted meanwhile.
        let invoke_config = settings.invoke_config.unwrap_or_default();
        let max_age =
            invoke_config.maximum_event_age_in_seconds.map_or(DEFAULT_AGE, |age| SignedDuration::from_secs(age.into()));
        let finished = match Lambda::run(self, &cx, call).await {
            Ok(finished) => finished,
            // No room, or a fault of the platform's: later, until the event is too old.
            Err(error) => {
                let throttles = event.throttles + 1;
                let wait = SignedDuration::from_secs(1_i64 << throttles.min(8));
                let next = Timestamp::now() + wait;
                if next.as_millisecond() - event.accepted_ms < i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX) {
                    return self.again(Event { throttles, ..event }, task, next).await;
                }
                let payload = crate::failure::payload(error.code(), &error.to_string());
                let (version, function_arn) = (settings.version.number().to_owned(), settings.arn.clone());
                Finished { payload, failed: true, tail: String::new(), version, function_arn }
            }
        };
        let tries = invoke_config.maximum_retry_attempts.unwrap_or(DEFAULT_RETRIES);
        if finished.failed && event.failures < tries {
            let failures = event.failures + 1;
            let next = Timestamp::now() + SignedDuration::from_mins(failures.into());
            if next.as_millisecond() - event.accepted_ms < i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX) {
                return self.again(Event { failures, ..event }, task, next).await;
            }
        }
        let destinations = invoke_config.destination_config.unwrap_or_default();
        let destination = if finished.failed {
            destinations.on_failure.and_then(|failure| failure.destination)
        } else {
            destinations.on_success.and_then(|success| success.destination)
        };
        let dead = settings.version.config.dead_letter_config.and_then(|dead| dead.target_arn);
        let dead = dead.filter(|target| finished.failed && !target.is_empty());
        if dead.is_none() && destination.is_none() {
            return Ok(Done::Finished);
        }
        let cx = match cx.assume(settings.version.config.role.as_deref().unwrap_or_default(), &event.function).await {
            Ok(cx) => cx,
            Err(error) => {
                tracing::warn!(%error, function = event.function, "the outcome of an event cannot be sent on");
                return Ok(Done::Finished);
            }
        };
        if let Some(dead) = dead {
            dead_letter(&cx.with_task(&format!("{}:dead", task.id)), &dead, &event, &finished).await;
        }
        if let Some(destination) = destination {
            send(&cx.with_task(&task.id), &destination, &record(&event, &finished)).await;
        }
        Ok(Done::Finished)
    }

    async fn again(&self, event: Event, task: &Task, at: Timestamp) -> Result<Done, Error> {
        let next = NewTask::new(INVOKE, &task.id).payload(&event)?.at(at);
        self.store.write(move |tx| Ok::<_, Error>(tx.enqueue(next.clone())?)).await?;
        Ok(Done::Committed)
    }

    /// Unpacks and installs, then shows the function as active, or as failed and why.
    async fn run_prepare(&self, task: &Task) -> Result<Done, Error> {
        let wanted: Prepare = task.payload()?;
        let outcome = self.preparer.ready(&wanted.code, &wanted.runtime).await.err();
        if let Some(why) = &outcome {
            tracing::warn!(function = wanted.function, why, "a function cannot be made ready");
        }
        let cx = Cx::platform(&self.router, &wanted.account, &wanted.region);
        let (place, id) = (Place::of(&cx), task.id.clone());
        self.store
            .write(move |tx| {
                if let Some(mut function) = tx.get_json::<Function>(place.function(&wanted.function))?
                    && function.latest.code == wanted.code
                {
                    settle(&mut function.latest, outcome.as_deref());
                    tx.put_json(place.function(&wanted.function), &function)?;
                }
                for (key, value) in tx.scan_prefix(place.versions(&wanted.function), 10_000)? {
                    let Ok(mut version) = serde_json::from_slice::<Version>(&value) else { continue };
                    if version.code == wanted.code && version.config.state.as_deref() == Some("Pending") {
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
fn record(event: &Event, finished: &Finished) -> Value {
    let text = |bytes: &[u8]| {
        serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
    };
    let mut context = json!({ "statusCode": 200, "executedVersion": finished.version });
    if finished.failed {
        context["functionError"] = "Unhandled".into();
    }
    json!({
        "version": "1.0",
        "timestamp": wire::Timestamp::from(Timestamp::now()).to_iso(),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": finished.function_arn,
            "condition": if finished.failed { "RetriesExhausted" } else { "Success" },
            "approximateInvokeCount": event.failures + 1,
        },
        "requestPayload": text(&STANDARD.decode(&event.payload).unwrap_or_default()),
        "responseContext": context,
        "responsePayload": text(&finished.payload),
    })
}

/// The event itself, with what went wrong beside it.
async fn dead_letter(cx: &Cx, target: &str, event: &Event, finished: &Finished) {
    let payload = STANDARD.decode(&event.payload).unwrap_or_default();
    let body = String::from_utf8_lossy(&payload).into_owned();
    let error: Value = serde_json::from_slice(&finished.payload).unwrap_or_default();
    let attribute = |kind: &str, value: &str| json!({ "DataType": kind, "StringValue": value });
    let attributes = json!({
        "RequestID": attribute("String", &event.request_id),
        "ErrorCode": attribute("Number", "200"),
        "ErrorMessage": attribute("String", &error["errorMessage"].as_str().unwrap_or("unknown").chars().take(1024).collect::<String>()),
    });
    let Some(arn) = wire::arn::Arn::parse(target) else { return };
    let (service, operation, parameters) = match arn.service.as_str() {
        "sqs" => {
            let url = queue_url(cx, &arn);
            ("sqs", "sendMessage", json!({ "QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes }))
        }
        "sns" => ("sns", "publish", json!({ "TopicArn": target, "Message": body, "MessageAttributes": attributes })),
        _ => return,
    };
    if let Err(error) = cx.call_json(service, operation, parameters).await {
        tracing::warn!(%error, target, "a failed event could not be sent to its dead letter target");
    }
}

pub(crate) async fn send(cx: &Cx, target: &str, record: &Value) {
    let Some(arn) = wire::arn::Arn::parse(target) else { return };
    let body = record.to_string();
    let (service, operation, parameters) = match arn.service.as_str() {
        "sqs" => ("sqs", "sendMessage", json!({ "QueueUrl": queue_url(cx, &arn), "MessageBody": body })),
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
            ("events", "putEvents", json!({ "Entries": [entry] }))
        }
        _ => return,
    };
    if let Err(error) = cx.call_json(service, operation, parameters).await {
        tracing::warn!(%error, target, "the record of an event could not be sent to its destination");
    }
}

/// The last part of the path is what SQS reads.
pub(crate) fn queue_url(cx: &Cx, arn: &wire::arn::Arn) -> String {
    format!("https://sqs.{}.amazonaws.com/{}/{}", cx.region(), arn.account, arn.resource)
}
