//! Spans as OTLP's messages, and what a collector answers.

use prost::Message as _;
use service::trace::{Attribute, Span};

use super::messages::{
    AnyValue, CLIENT, ERROR, Event, ExportTraceServiceRequest, ExportTraceServiceResponse, INTERNAL,
    InstrumentationScope, KeyValue, Resource, ResourceSpans, SAMPLED, ScopeSpans, Span as Message, Status, Value,
};

/// Who exports.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// `HOST:PORT` where it serves: it tells nodes apart.
    pub(crate) instance: String,
}

const NANOS: u64 = 1_000_000;

pub(super) fn request(spans: &[Span], origin: &Origin) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let text = |name: &str, value: &str| pair(name, Value::Text(value.to_owned()));
    let attributes = vec![
        text("service.name", "lakerun"),
        text("service.version", version),
        text("service.instance.id", &origin.instance),
    ];
    let scope = InstrumentationScope { name: "lakerun.states".to_owned(), version: version.to_owned() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans: spans.iter().map(message).collect() };
    let resource_spans = ResourceSpans { resource: Some(Resource { attributes }), scope_spans: vec![scope_spans] };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// How many spans the collector says that it has not taken.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.and_then(|partial| u64::try_from(partial.rejected_spans).ok()).unwrap_or(0)
}

fn message(span: &Span) -> Message {
    let status = match &span.error {
        Some(error) => Status { message: error.clone(), code: ERROR },
        None => Status::default(),
    };
    let mut attributes: Vec<_> = span.attributes.iter().map(|(name, attribute)| pair(name, value(attribute))).collect();
    attributes.extend(span.error.as_ref().map(|error| pair("error.type", Value::Text(error.clone()))));
    let event = |(at_ms, name): &(i64, &str)| Event { time_unix_nano: nanos(*at_ms), name: (*name).to_owned() };
    Message {
        trace_id: span.at.trace.to_be_bytes().to_vec(),
        span_id: span.at.span.to_be_bytes().to_vec(),
        parent_span_id: if span.parent == 0 { Vec::new() } else { span.parent.to_be_bytes().to_vec() },
        name: span.name.clone(),
        kind: if span.calls { CLIENT } else { INTERNAL },
        start_time_unix_nano: nanos(span.started_ms),
        end_time_unix_nano: nanos(span.ended_ms),
        attributes,
        events: span.events.iter().map(event).collect(),
        status: Some(status),
        flags: SAMPLED,
    }
}

fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn value(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Text(text) => Value::Text(text.clone()),
        Attribute::Number(number) => Value::Number(*number),
        Attribute::Flag(flag) => Value::Flag(*flag),
    }
}

fn nanos(at_ms: i64) -> u64 {
    u64::try_from(at_ms).unwrap_or(0).saturating_mul(NANOS)
}
