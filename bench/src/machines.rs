//! The state machines that are run, and their inputs.

use serde_json::{Map, Value, json};

/// `count` Pass states in a row.
pub(crate) fn chain(count: usize) -> Value {
    row(count, &json!({ "Type": "Pass" }))
}

/// `count` Task states in a row, each a call that is answered inside the server.
pub(crate) fn tasks(count: usize) -> Value {
    row(
        count,
        &json!({ "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sts:getCallerIdentity", "ResultPath": null, "Parameters": {} }),
    )
}

/// `count` calls of a function, one after the other.
pub(crate) fn calls(count: usize, function: &str) -> Value {
    row(count, &json!({ "Type": "Task", "Resource": function }))
}

/// One call of a function for each item.
pub(crate) fn fan_out(function: &str) -> Value {
    let task = json!({ "StartAt": "T", "States": { "T": { "Type": "Task", "Resource": function, "End": true } } });
    map(&task)
}

/// A Pass for each item.
pub(crate) fn map_of_pass() -> Value {
    map(&json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } }))
}

/// Waits until a time of the input.
pub(crate) fn sleeper() -> Value {
    json!({ "StartAt": "W", "States": { "W": { "Type": "Wait", "TimestampPath": "$.until", "End": true } } })
}

pub(crate) fn items(count: usize) -> Value {
    json!({ "items": (0..count).collect::<Vec<_>>() })
}

fn map(processor: &Value) -> Value {
    json!({ "StartAt": "M", "States": { "M": { "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 0, "ItemProcessor": processor, "End": true } } })
}

fn row(count: usize, state: &Value) -> Value {
    let mut states = Map::new();
    for n in 1..=count {
        let mut state = state.clone();
        if n < count {
            state["Next"] = json!(format!("S{}", n + 1));
        } else {
            state["End"] = json!(true);
        }
        states.insert(format!("S{n}"), state);
    }
    json!({ "StartAt": "S1", "States": states })
}
