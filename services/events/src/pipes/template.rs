//! Input templates of pipes: `<$.path>` of the event and `<aws.pipes.…>` of the pipe. A queue's body that is JSON is looked into, and
//! put as JSON. Source: EventBridge User Guide, "Amazon EventBridge Pipes input transformation".

use serde_json::Value;

use crate::Invalid;
use crate::transform::{Meaning, Path, fill_with};

/// What a template may say of the pipe.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) pipe_arn: String,
    pub(super) pipe_name: String,
    pub(super) source_arn: String,
    pub(super) enrichment_arn: String,
    pub(super) target_arn: String,
    pub(super) ingestion_time: String,
}

/// Fails for a template with a path that is none, or that says what there is not.
pub(super) fn check(template: &str) -> Result<(), Invalid> {
    for name in names(template) {
        if name.starts_with('$') {
            Path::parse(name)?;
        } else if !NAMES.contains(&name) {
            return Err(Invalid::new(format!("Invalid InputTemplate: <{name}> is not known.")));
        }
    }
    Ok(())
}

const NAMES: [&str; 8] = [
    "aws.pipes.pipe-arn",
    "aws.pipes.pipe-name",
    "aws.pipes.source-arn",
    "aws.pipes.enrichment-arn",
    "aws.pipes.target-arn",
    "aws.pipes.event.ingestion-time",
    "aws.pipes.event",
    "aws.pipes.event.json",
];

/// What stands between `<` and `>` and is meant to be replaced.
fn names(template: &str) -> Vec<&str> {
    template
        .match_indices('<')
        .filter_map(|(at, _)| {
            let rest = &template[at + 1..];
            let name = &rest[..rest.find('>')?];
            (name.starts_with('$') || name.starts_with("aws.pipes.")).then_some(name)
        })
        .collect()
}

/// The event that the template makes of one: JSON where it is, else a text.
pub(super) fn apply(template: &str, event: &Value, known: &Known) -> Value {
    let opened = opened(event);
    let text = |text: &str| Meaning::Value(Value::String(text.to_owned()));
    let lookup = |name: &str| match name {
        "aws.pipes.pipe-arn" => text(&known.pipe_arn),
        "aws.pipes.pipe-name" => text(&known.pipe_name),
        "aws.pipes.source-arn" => text(&known.source_arn),
        "aws.pipes.enrichment-arn" => text(&known.enrichment_arn),
        "aws.pipes.target-arn" => text(&known.target_arn),
        "aws.pipes.event.ingestion-time" => text(&known.ingestion_time),
        "aws.pipes.event" | "aws.pipes.event.json" => Meaning::Value(event.clone()),
        path => match Path::parse(path) {
            Ok(path) => path.get(&opened).cloned().map_or(Meaning::Nothing, Meaning::Value),
            Err(_) => Meaning::Unknown,
        },
    };
    let filled = fill_with(template, &lookup);
    jsontext::read(&filled).unwrap_or(Value::String(filled))
}

/// The value of a parameter that may be a path into the event, as text.
pub(super) fn dynamic(parameter: &str, event: &Value) -> String {
    lookup(parameter, event).unwrap_or_default()
}

/// The same; nothing for a path that leads to nothing.
pub(super) fn lookup(parameter: &str, event: &Value) -> Option<String> {
    if !parameter.starts_with('$') {
        return Some(parameter.to_owned());
    }
    let opened = opened(event);
    match Path::parse(parameter).ok()?.get(&opened)?.clone() {
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// The event with its body read, where it is JSON.
pub(super) fn opened(event: &Value) -> Value {
    let body = event["body"].as_str().and_then(|body| jsontext::read::<Value>(body).ok());
    match body.filter(|body| body.is_object() || body.is_array()) {
        Some(body) => {
            let mut event = event.clone();
            event["body"] = body;
            event
        }
        None => event.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_made_of_events() {
        let known = Known {
            pipe_arn: "arn:pipe".to_owned(),
            pipe_name: "p".to_owned(),
            source_arn: "arn:source".to_owned(),
            enrichment_arn: String::new(),
            target_arn: "arn:target".to_owned(),
            ingestion_time: "2024-01-01T00:00:00Z".to_owned(),
        };
        let cut = json!({"body": r#"{"a":"\ud83d","n":7}"#});
        assert_eq!(apply(r#"{"n": <$.body.n>}"#, &cut, &known), json!({"n": 7}));
        let event = json!({"messageId": "1", "body": r#"{"a":{"b":[1,"x"]}}"#});
        for (template, expected) in [
            (r#"{"id": <$.messageId>, "n": <$.body.a.b[0]>}"#, json!({"id": "1", "n": 1})),
            (
                r#"{"all": <$.body>, "pipe": "<aws.pipes.pipe-name>"}"#,
                json!({"all": {"a": {"b": [1, "x"]}}, "pipe": "p"}),
            ),
            (r#""order <$.body.a.b[1]> of <aws.pipes.source-arn>""#, json!("order x of arn:source")),
            ("plain <$.messageId>", json!("plain 1")),
            ("<aws.pipes.event>", event.clone()),
            (r#"{"none": "<$.nothing>"}"#, json!({"none": ""})),
        ] {
            check(template).unwrap();
            assert_eq!(apply(template, &event, &known), expected, "{template}");
        }
        assert_eq!(dynamic("$.body.a.b[1]", &event), "x");
        assert_eq!(dynamic("plain", &event), "plain");
        assert!(check("<$.a[>").is_err() && check("<aws.pipes.nothing>").is_err());
    }
}
