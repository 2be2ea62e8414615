//! What is found in an event: its own fields, those of JSON, and those of the reports that functions leave.
//! Source: CloudWatch Logs User Guide, "Supported logs and discovered fields".

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::value::Value;
use crate::logs::Event;

/// Fields that are found of one event at most. Source: the same, "fields in JSON logs".
const MOST: usize = 200;

/// The fields of an event of a group. `log` is the group's account and name.
pub(crate) fn of(event: &Event, log: &str, pointer: String) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let text = |text: &str| Value::Text(text.to_owned());
    discover(&event.message, &mut found);
    found.insert("@timestamp".to_owned(), Value::Time(event.time_ms));
    found.insert("@ingestionTime".to_owned(), Value::Time(event.ingested_ms));
    found.insert("@message".to_owned(), text(&event.message));
    found.insert("@logStream".to_owned(), text(&event.stream));
    found.insert("@log".to_owned(), text(log));
    found.insert("@ptr".to_owned(), Value::Text(pointer));
    found
}

/// The same as texts.
pub(crate) fn told(event: &Event, log: &str, pointer: String) -> BTreeMap<String, String> {
    of(event, log, pointer).into_iter().filter_map(|(name, value)| Some((name, value.told()?))).collect()
}

fn discover(message: &str, found: &mut BTreeMap<String, Value>) {
    let body = message.trim();
    if body.starts_with('{')
        && let Ok(json) = jsontext::read::<Json>(body)
    {
        flatten("", &json, found);
    } else if let Some((kind, rest)) = body.split_once(" RequestId: ")
        && matches!(kind, "START" | "END" | "REPORT")
    {
        report(kind, rest, found);
    }
}

fn flatten(path: &str, json: &Json, found: &mut BTreeMap<String, Value>) {
    let under = |name: &str| if path.is_empty() { escaped(name) } else { format!("{path}.{name}") };
    match json {
        Json::Object(map) => map.iter().for_each(|(name, value)| flatten(&under(name), value, found)),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| flatten(&under(&n.to_string()), value, found));
        }
        _ if found.len() >= MOST || path.is_empty() => {}
        Json::Null => {}
        Json::String(text) => drop(found.insert(path.to_owned(), Value::Text(text.clone()))),
        plain => drop(found.insert(path.to_owned(), Value::Text(plain.to_string()))),
    }
}

/// A field of a log that begins with `@` is told apart from those of Insights.
fn escaped(name: &str) -> String {
    if name.starts_with('@') { format!("@{name}") } else { name.to_owned() }
}

/// `REPORT RequestId: x`, and after tabs `Duration: 1.5 ms`, `Billed Duration: 2 ms`, `Memory Size: 128 MB`, `Max Memory Used: 30 MB`.
fn report(kind: &str, rest: &str, found: &mut BTreeMap<String, Value>) {
    let mut parts = rest.split('\t');
    let id = parts.next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
    found.insert("@type".to_owned(), Value::Text(kind.to_owned()));
    found.insert("@requestId".to_owned(), Value::Text(id.to_owned()));
    for part in parts {
        let Some((name, value)) = part.trim().split_once(": ") else { continue };
        let field = match name {
            "Duration" => "@duration",
            "Billed Duration" => "@billedDuration",
            "Init Duration" => "@initDuration",
            "Memory Size" => "@memorySize",
            "Max Memory Used" => "@maxMemoryUsed",
            _ => continue,
        };
        let mut words = value.split_whitespace();
        let number: Option<f64> = words.next().and_then(|number| number.parse().ok());
        // Memory is told in bytes.
        let scale = if words.next() == Some("MB") { 1e6 } else { 1.0 };
        if let Some(number) = number {
            found.insert(field.to_owned(), Value::Number(number * scale));
        }
    }
}
