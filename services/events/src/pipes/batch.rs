//! What becomes of a batch: what no filter wants is done with, the rest is changed, enriched, changed again, and brought to the target.
//! Sources: EventBridge User Guide, "Event filtering in Amazon EventBridge Pipes", "Event enrichment", "Batching and concurrency",
//! "Amazon EventBridge Pipes targets".

use std::collections::BTreeSet;
use std::sync::Arc;

use api_lambda::{InvocationRequest, Invoke};
use api_pipes::{DescribePipeResponse, PipeTargetEventBridgeEventBusParameters, PipeTargetParameters};
use pattern::Pattern;
use serde_json::{Value, json};
use service::Cx;
use sources::cut;
use tokio::time::Instant;
use wire::Error;
use wire::arn::Arn;

use super::record::{self, Record};
use super::template::{Known, apply, dynamic, lookup, opened};
use super::trace::Trace;
use crate::destination::{Destinations, Http};

/// Entries of one call of PutEvents.
const PUT_AT_ONCE: usize = 10;
/// `FIRE_AND_FORGET` beside `REQUEST_RESPONSE`.
const FORGET: &str = "FIRE_AND_FORGET";

/// A pipe as its batches see it.
pub(super) struct Batch {
    pub(super) endpoint: String,
    destinations: Arc<Destinations>,
    filters: Vec<Pattern>,
    shown: DescribePipeResponse,
}

/// An event, and by which name its source knows it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) value: Value,
}

/// An event as it came to the target's stage, to which paths in parameters lead, and as the target gets it.
struct Bound {
    from: Value,
    sent: Value,
}

/// The events that were not dealt with, by their names.
pub(super) type Failures = BTreeSet<String>;

impl Batch {
    pub(super) fn of(record: &Record, endpoint: &str, destinations: &Arc<Destinations>) -> Self {
        let criteria = record.shown.source_parameters.as_ref().and_then(|given| given.filter_criteria.as_ref());
        Self {
            endpoint: endpoint.to_owned(),
            destinations: Arc::clone(destinations),
            // They were checked when the pipe was made.
            filters: record::filters(criteria).unwrap_or_default(),
            shown: record.shown.clone(),
        }
    }

    pub(super) fn wants(&self, event: &Value) -> bool {
        let opened = opened(event);
        self.filters.is_empty() || self.filters.iter().any(|pattern| pattern.matches(&opened))
    }

    /// Whether the target gets the events of a batch in one call, and says itself which it did not deal with.
    pub(super) fn is_called_with_all(&self) -> bool {
        most_bytes(self.shown.target.as_deref().unwrap_or_default()).is_some()
    }

    /// What an enrichment makes of the events, in as many calls as their size asks for, and whether each of its events is one of theirs.
    async fn enrich(
        &self,
        role: &Cx,
        enrichment: &str,
        events: &[Value],
        known: &Known,
    ) -> Result<(Vec<Value>, bool), Error> {
        let parameters = self.shown.enrichment_parameters.as_ref();
        let template = parameters.and_then(|given| given.input_template.as_deref());
        let asked = changed(template, events.to_vec(), known);
        let (mut made, mut is_one_each, mut rest) = (Vec::new(), true, (events, asked.as_slice()));
        while !rest.1.is_empty() {
            let count = fit(rest.1, most_bytes(enrichment));
            let (now, later) = rest.1.split_at(count);
            let (of, others) = rest.0.split_at(count);
            let answer = if record::kind_of(enrichment) == "events:api-destination" {
                self.ask(role, enrichment, of, &Value::Array(now.to_vec())).await.map_err(of_endpoint)?
            } else {
                answer_of(enrichment, &call(role, enrichment, &Value::Array(now.to_vec()), false).await?)?
            };
            let some = enriched(answer).unwrap_or_default();
            is_one_each &= some.len() == count;
            made.extend(some);
            rest = (others, later);
        }
        Ok((made, is_one_each))
    }

    /// Deals with events, of which there is one at least. An error: none was dealt with.
    pub(super) async fn deliver(&self, role: &Cx, events: &[Event]) -> Result<Failures, Error> {
        let mut trace = Trace::begin(&self.shown, role, events);
        let ended = self.pass(role, events, &mut trace).await;
        trace.end(&ended).await;
        ended
    }

    async fn pass(&self, role: &Cx, events: &[Event], trace: &mut Trace<'_>) -> Result<Failures, Error> {
        let known = self.known(role);
        let mut values: Vec<Value> = events.iter().map(|event| event.value.clone()).collect();
        let mut names: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
        if let Some(enrichment) = &self.shown.enrichment {
            let began = Instant::now();
            trace.enter("ENRICHMENT");
            let enriched = self.enrich(role, enrichment, &values, &known).await;
            trace.stage("ENRICHMENT", began, &enriched);
            let (made, is_one_each) = enriched?;
            if made.is_empty() {
                trace.skip_target();
                return Ok(Failures::new());
            }
            values = made;
            // Which of them came from which event nobody knows.
            if !is_one_each {
                names.clear();
            }
        }
        let target = self.shown.target_parameters.clone().unwrap_or_default();
        let sent = changed(target.input_template.as_deref(), values.clone(), &known);
        let values: Vec<Bound> = values.into_iter().zip(sent).map(|(from, sent)| Bound { from, sent }).collect();
        let all: Failures = events.iter().map(|event| event.id.clone()).collect();
        let began = Instant::now();
        trace.enter("TARGET");
        let brought = self.bring(role, &target, &values, &all).await;
        trace.stage("TARGET", began, &brought);
        let Failed { named, at } = brought?;
        if !at.is_empty() && names.is_empty() {
            return Ok(all);
        }
        let placed = at.into_iter().filter_map(|at| names.get(at).cloned());
        Ok(named.into_iter().chain(placed).collect())
    }

    fn known(&self, cx: &Cx) -> Known {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Known {
            pipe_arn: text(&self.shown.arn),
            pipe_name: text(&self.shown.name),
            source_arn: text(&self.shown.source),
            enrichment_arn: text(&self.shown.enrichment),
            target_arn: text(&self.shown.target),
            ingestion_time: wire::Timestamp::from(cx.now()).to_iso(),
        }
    }

    async fn bring(
        &self,
        role: &Cx,
        parameters: &PipeTargetParameters,
        events: &[Bound],
        names: &Failures,
    ) -> Result<Failed, Error> {
        let target = self.shown.target.as_deref().unwrap_or_default();
        let arn = Arn::parse(target).ok_or_else(|| Error::validation(format!("not an ARN: {target}")))?;
        match record::kind(&arn).as_str() {
            "lambda:function" => {
                let own = parameters.lambda_function_parameters.as_ref();
                let forget = own.and_then(|own| own.invocation_type.as_deref()) == Some(FORGET);
                call_with(role, target, events, forget, names).await
            }
            "states:stateMachine" => {
                let own = parameters.step_function_state_machine_parameters.as_ref();
                let forget = own.and_then(|own| own.invocation_type.as_deref()) == Some(FORGET);
                call_with(role, target, events, forget, names).await
            }
            "events:event-bus" => {
                let own = parameters.event_bridge_event_bus_parameters.clone().unwrap_or_default();
                self.put_events(role, target, &own, events).await
            }
            "logs:log-group" => self.log(role, &arn, parameters, events).await,
            kind => {
                for (at, event) in events.iter().enumerate() {
                    let sent = match kind {
                        "sns" => publish(role, target, &event.sent).await,
                        "events:api-destination" => {
                            self.post(role, target, parameters, event).await.map_err(of_endpoint)
                        }
                        _ => self.send(role, &arn, parameters, event).await,
                    };
                    match sent {
                        Err(error) if at == 0 => return Err(error),
                        Err(error) => {
                            tracing::debug!(%error, target, "a part of a batch could not be delivered");
                            return Ok(Failed::from(at, events.len()));
                        }
                        Ok(()) => {}
                    }
                }
                Ok(Failed::default())
            }
        }
    }

    /// One event to an API destination.
    async fn post(
        &self,
        role: &Cx,
        destination: &str,
        parameters: &PipeTargetParameters,
        event: &Bound,
    ) -> Result<(), Error> {
        let own = parameters.http_parameters.clone().unwrap_or_default();
        let value = |given: &str| lookup(given, &event.from);
        let http = Http::new(own.path_parameter_values, own.header_parameters, own.query_string_parameters, value);
        self.destinations.call_in_turn(role, destination, &http, &as_text(&event.sent)).await.map(drop)
    }

    /// Asks an API destination for what it makes of all events; parameters that are paths lead into the first.
    async fn ask(&self, role: &Cx, destination: &str, events: &[Value], asked: &Value) -> Result<Value, Error> {
        let own = self.shown.enrichment_parameters.as_ref().and_then(|given| given.http_parameters.clone());
        let (own, first) = (own.unwrap_or_default(), events.first().cloned().unwrap_or_default());
        let value = |given: &str| lookup(given, &first);
        let http = Http::new(own.path_parameter_values, own.header_parameters, own.query_string_parameters, value);
        let answer = self.destinations.call_in_turn(role, destination, &http, &asked.to_string()).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        Ok(jsontext::read(&text).unwrap_or(Value::String(text)))
    }

    async fn send(
        &self,
        role: &Cx,
        queue: &Arn,
        parameters: &PipeTargetParameters,
        event: &Bound,
    ) -> Result<(), Error> {
        let own = parameters.sqs_queue_parameters.clone().unwrap_or_default();
        let value =
            |given: Option<String>| given.map(|given| dynamic(&given, &event.from)).filter(|text| !text.is_empty());
        let request = api_sqs::SendMessageRequest {
            queue_url: format!("{}/{}/{}", self.endpoint.trim_end_matches('/'), queue.account, queue.resource),
            message_body: as_text(&event.sent),
            message_group_id: value(own.message_group_id),
            message_deduplication_id: value(own.message_deduplication_id),
            ..api_sqs::SendMessageRequest::default()
        };
        role.call::<api_sqs::SendMessage>(request).await.map(drop)
    }

    async fn put_events(
        &self,
        role: &Cx,
        bus: &str,
        own: &PipeTargetEventBridgeEventBusParameters,
        events: &[Bound],
    ) -> Result<Failed, Error> {
        let source = self.shown.source.as_deref().and_then(Arn::parse).map(|arn| arn.service).unwrap_or_default();
        let default_type = format!("Event from aws:{source}");
        let default_source = format!("Pipe {}", self.shown.name.as_deref().unwrap_or_default());
        let entry = |Bound { from, sent }: &Bound| {
            let time = own.time.as_deref().map(|path| dynamic(path, from));
            api_events::PutEventsRequestEntry {
                event_bus_name: Some(bus.to_owned()),
                detail_type: Some(dynamic(own.detail_type.as_deref().unwrap_or(&default_type), from)),
                source: Some(dynamic(own.source.as_deref().unwrap_or(&default_source), from)),
                resources: own.resources.as_ref().map(|all| all.iter().map(|one| dynamic(one, from)).collect()),
                time: time.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(Into::into),
                detail: Some(if sent.is_object() { sent.to_string() } else { json!({ "data": sent }).to_string() }),
                ..api_events::PutEventsRequestEntry::default()
            }
        };
        let mut refused = Failed::default();
        for (index, chunk) in events.chunks(PUT_AT_ONCE).enumerate() {
            let begin = index * PUT_AT_ONCE;
            let entries = chunk.iter().map(entry).collect();
            let request = api_events::PutEventsRequest { entries, ..api_events::PutEventsRequest::default() };
            let answer = role.call::<api_events::PutEvents>(request).await;
            let answer = match answer {
                Err(error) if index == 0 => return Err(error),
                Err(_) => {
                    refused.at.extend(begin..events.len());
                    return Ok(refused);
                }
                Ok(answer) => answer,
            };
            // The bus tells of each entry whether it took it.
            for (at, entry) in answer.entries.unwrap_or_default().into_iter().enumerate() {
                if entry.error_code.is_some() {
                    tracing::warn!(cause = entry.error_message, bus, "a bus did not take an event of a pipe");
                    refused.at.insert(begin + at);
                }
            }
        }
        Ok(refused)
    }

    async fn log(
        &self,
        role: &Cx,
        group: &Arn,
        parameters: &PipeTargetParameters,
        events: &[Bound],
    ) -> Result<Failed, Error> {
        let own = parameters.cloud_watch_logs_parameters.clone().unwrap_or_default();
        let name = group.resource.trim_start_matches("log-group:").trim_end_matches(":*");
        let stream = own.log_stream_name.or_else(|| self.shown.name.clone()).unwrap_or_default();
        let stream = events.first().map(|event| dynamic(&stream, &event.from)).unwrap_or(stream);
        let made = role
            .call_json("cloudwatchlogs", "createLogStream", json!({ "LogGroupName": name, "LogStreamName": stream }))
            .await;
        if let Err(error) = made
            && !error.is("ResourceAlreadyExistsException")
        {
            return Err(error);
        }
        let now = role.now().as_millisecond();
        let at = |event: &Bound| {
            let given = own.timestamp.as_deref().map(|path| dynamic(path, &event.from));
            given.and_then(|text| milliseconds(&text)).unwrap_or(now)
        };
        let mut lines: Vec<(i64, String)> = events.iter().map(|event| (at(event), as_text(&event.sent))).collect();
        lines.sort_by_key(|(at, _)| *at);
        let lines: Vec<Value> =
            lines.into_iter().map(|(at, text)| json!({ "Timestamp": at, "Message": text })).collect();
        let put = json!({ "LogGroupName": name, "LogStreamName": stream, "LogEvents": lines });
        role.call_json("cloudwatchlogs", "putLogEvents", put).await?;
        Ok(Failed::default())
    }
}

/// What a target did not take.
#[derive(Debug, Default, PartialEq)]
struct Failed {
    /// As it named them itself.
    named: Failures,
    /// By their places.
    at: BTreeSet<usize>,
}

impl Failed {
    /// All from a place on.
    fn from(at: usize, count: usize) -> Self {
        Self { named: Failures::new(), at: (at..count).collect() }
    }
}

/// What an invocation may be given. Sources: Lambda quotas, "Invocation payload"; Step Functions quotas, "Maximum input or output size".
fn most_bytes(called: &str) -> Option<usize> {
    match record::kind_of(called).as_str() {
        "lambda:function" => Some(6 << 20),
        "states:stateMachine" => Some(256 << 10),
        _ => None,
    }
}

/// How many events, from the first on, fit into one call: an array of them.
fn fit(events: &[Value], most: Option<usize>) -> usize {
    let Some(most) = most else { return events.len() };
    // The brackets; a comma follows each.
    cut::fit(events.iter().map(|event| event.to_string().len() + 1), most.saturating_sub(2))
}

/// Whether an error tells of what was called, and not of the platform that could not call it.
pub(super) fn was_called(error: &Error) -> bool {
    error.status() < 500 && error.status() != 429
}

/// An endpoint's failure is its own, whatever status it has.
fn of_endpoint(error: Error) -> Error {
    if was_called(&error) { error } else { Error::new(error.code().to_owned(), 424, error.message().to_owned()) }
}

fn changed(template: Option<&str>, events: Vec<Value>, known: &Known) -> Vec<Value> {
    match template {
        Some(template) => events.iter().map(|event| apply(template, event, known)).collect(),
        None => events,
    }
}

/// Calls a function or a machine with all events, in as many calls as their size asks for. An error: it dealt with none.
async fn call_with(role: &Cx, target: &str, events: &[Bound], forget: bool, names: &Failures) -> Result<Failed, Error> {
    let sent: Vec<Value> = events.iter().map(|event| event.sent.clone()).collect();
    let (mut failed, mut at) = (Failed::default(), 0);
    while at < sent.len() {
        let count = fit(&sent[at..], most_bytes(target));
        let input = Value::Array(sent[at..at + count].to_vec());
        match call(role, target, &input, forget)
            .await
            .and_then(|answer| partial(&jsontext::read_slice(&answer).unwrap_or_default(), names))
        {
            Ok(refused) => failed.named.extend(refused),
            Err(error) if at == 0 => return Err(error),
            Err(error) => {
                tracing::debug!(%error, target, "a part of a batch could not be delivered");
                failed.at.extend(at..sent.len());
                return Ok(failed);
            }
        }
        at += count;
    }
    Ok(failed)
}

async fn publish(role: &Cx, topic: &str, event: &Value) -> Result<(), Error> {
    let request = api_sns::PublishInput {
        topic_arn: Some(topic.to_owned()),
        message: as_text(event),
        ..api_sns::PublishInput::default()
    };
    role.call::<api_sns::Publish>(request).await.map(drop)
}

/// Calls a function or a machine and waits for what it answers, unless it is to be forgotten.
async fn call(role: &Cx, arn: &str, input: &Value, forget: bool) -> Result<Vec<u8>, Error> {
    if arn.split(':').nth(2) == Some("lambda") {
        let request = InvocationRequest {
            function_name: arn.to_owned(),
            invocation_type: Some(if forget { "Event" } else { "RequestResponse" }.to_owned()),
            payload: Some(input.to_string().into_bytes().into()),
            ..InvocationRequest::default()
        };
        let answer = role.call::<Invoke>(request).await?;
        let payload = answer.payload.unwrap_or_default();
        if let Some(kind) = answer.function_error {
            let text = String::from_utf8_lossy(payload.as_bytes()).into_owned();
            return Err(Error::validation(format!("the function {arn} failed ({kind}): {text}")));
        }
        return Ok(payload.as_bytes().to_vec());
    }
    if forget {
        let request = api_states::StartExecutionInput {
            state_machine_arn: arn.to_owned(),
            input: Some(input.to_string()),
            ..api_states::StartExecutionInput::default()
        };
        return role.call::<api_states::StartExecution>(request).await.map(|_| Vec::new());
    }
    let request = api_states::StartSyncExecutionInput {
        state_machine_arn: arn.to_owned(),
        input: Some(input.to_string()),
        ..api_states::StartSyncExecutionInput::default()
    };
    let answer = role.call::<api_states::StartSyncExecution>(request).await?;
    if answer.status != "SUCCEEDED" {
        let cause = answer.cause.unwrap_or_default();
        return Err(Error::validation(format!("the execution of {arn} ended {}: {cause}", answer.status)));
    }
    Ok(answer.output.unwrap_or_default().into_bytes())
}

/// An enrichment's answer; one that cannot be read is no empty one, with which its events would be gone.
fn answer_of(arn: &str, answer: &[u8]) -> Result<Value, Error> {
    if answer.is_empty() {
        return Ok(Value::Null);
    }
    jsontext::read_slice(answer).map_err(|error| Error::validation(format!("the answer of {arn} is no JSON: {error}")))
}

/// The events of an enrichment's answer; none for an empty one, which no target is called with.
fn enriched(answer: Value) -> Option<Vec<Value>> {
    match answer {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Object(object) if object.is_empty() => None,
        Value::Array(all) if all.is_empty() => None,
        Value::Array(all) => Some(all),
        other => Some(vec![other]),
    }
}

/// `{"batchItemFailures": [{"itemIdentifier": …}]}`; nothing means that all went well, and what is not understood that nothing did.
fn partial(answer: &Value, names: &Failures) -> Result<Failures, Error> {
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Ok(Failures::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item["itemIdentifier"].as_str().map(str::to_owned)).collect::<Option<Failures>>()
        }
        Some(_) => None,
    };
    match failures.filter(|failures| failures.is_subset(names)) {
        Some(failures) => Ok(failures),
        None => Err(Error::validation("batchItemFailures names what was not in the batch")),
    }
}

fn as_text(event: &Value) -> String {
    match event {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Of a number of milliseconds, or an ISO time.
fn milliseconds(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_calls_no_target() {
        for empty in [json!(null), json!(""), json!({}), json!([])] {
            assert_eq!(enriched(empty.clone()), None, "{empty}");
        }
        assert_eq!(enriched(json!([{}])), Some(vec![json!({})]));
        assert_eq!(answer_of("f", b"").unwrap(), Value::Null);
        assert_eq!(answer_of("f", br#"["\ud83d"]"#).unwrap(), json!(["\u{fffd}"]));
        assert!(answer_of("f", b"[").is_err());
        assert_eq!(enriched(json!({"a": 1})), Some(vec![json!({"a": 1})]));
    }

    #[test]
    fn failures_are_named_or_all() {
        let batch: Failures = ["a", "b"].map(str::to_owned).into();
        let named = |answer: Value| match partial(&answer, &batch) {
            Ok(failures) => Some(failures.into_iter().collect::<Vec<_>>().join(" ")),
            Err(_) => None,
        };
        assert_eq!(named(json!(null)).as_deref(), Some(""));
        assert_eq!(named(json!({"batchItemFailures": [{"itemIdentifier": "b"}]})).as_deref(), Some("b"));
        assert_eq!(named(json!({"batchItemFailures": [{"itemIdentifier": "c"}]})), None);
        assert_eq!(named(json!({"batchItemFailures": [{}]})), None);
        assert_eq!(named(json!({"batchItemFailures": "b"})), None);
    }

    #[test]
    fn batches_are_cut_to_what_is_called() {
        let (function, machine) = (
            "arn:aws:lambda:eu-west-1:000000000000:function:f",
            "arn:aws:states:eu-west-1:000000000000:stateMachine:m",
        );
        let events: Vec<Value> = (0..300).map(|_| json!("x".repeat(50 << 10))).collect();
        let sizes = |called: &str| {
            let (mut rest, mut sizes) = (events.as_slice(), Vec::new());
            while !rest.is_empty() {
                let count = fit(rest, most_bytes(called));
                let bytes = Value::Array(rest[..count].to_vec()).to_string().len();
                assert!(bytes <= most_bytes(called).unwrap_or(usize::MAX), "{bytes}");
                sizes.push(count);
                rest = &rest[count..];
            }
            sizes
        };
        assert_eq!(sizes(function), [122, 122, 56]);
        assert_eq!(sizes(machine).len(), 60);
        assert_eq!(sizes("arn:aws:sqs:eu-west-1:000000000000:q"), [300]);
    }
}
