//! Small helpers over JSON values: how Java prints them, how they compare.

use serde_json::Value;

pub(crate) use jsonpath::compare::{compare_numbers, same};

/// As `States.Format` prints an argument: strings bare, objects and arrays the way Java's collections print.
pub(crate) fn java_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(java_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}={}", java_text(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// A whole number, also when it is written with a fraction of zero.
pub(crate) fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) if number.is_i64() => number.as_i64(),
        _ => None,
    }
}

/// A whole number, which may also be written as a text: so paths may refer to it.
pub(crate) fn written_integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64(),
    }
}
