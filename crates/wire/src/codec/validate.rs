//! The model's constraints on the canonical form: type, required, length, range, pattern, enum. Messages are worded as AWS
//! words them (`1 validation error detected: Value '…' at '…' failed to satisfy constraint: …`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use serde_json::Value;

use crate::Error;
use crate::schema::Shape;

/// How deep a value may nest: free JSON and recursive shapes are bounded here.
const MAX_DEPTH: usize = 100;
/// AWS lists at most so many errors of one request.
const MAX_ERRORS: usize = 10;
/// More characters of a value are not told.
const MAX_SHOWN: usize = 4096;

/// Drops nulls, turns numbers written as text into numbers where the shape wants them, and checks every constraint.
///
/// # Errors
/// `SerializationException` for a wrong type, `ValidationException` for a broken constraint.
pub fn prepare(shape: &Shape, mut value: Value) -> Result<Value, Error> {
    let mut check = Check { errors: Vec::new() };
    check.value(shape, &mut value, "", 0)?;
    if check.errors.is_empty() {
        return Ok(value);
    }
    let n = check.errors.len();
    let mut text = format!("{n} validation error{} detected: ", if n == 1 { "" } else { "s" });
    text.push_str(&check.errors.join("; "));
    Err(Error::validation(text))
}

struct Check {
    errors: Vec<String>,
}

impl Check {
    fn fail(&mut self, what: &str, path: &str, constraint: &str) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(format!("{what} at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each shape")]
    fn value(&mut self, shape: &Shape, value: &mut Value, path: &str, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::serialization("The request nests too deep"));
        }
        match shape {
            Shape::Document => {}
            Shape::Structure(s) => {
                let Value::Object(map) = value else { return Err(wrong(path, "a structure")) };
                map.retain(|_, v| !v.is_null());
                for member in s.members {
                    match map.get_mut(member.name) {
                        Some(inner) => self.value(member.shape, inner, &join(path, member.name), depth + 1)?,
                        None if member.required => {
                            let at = join(path, member.name);
                            let what = if member.shape.is_sensitive() { "Value" } else { "Value null" };
                            self.fail(what, &at, "Member must not be null");
                        }
                        None => {}
                    }
                }
            }
            Shape::List(l) => {
                let Value::Array(items) = value else { return Err(wrong(path, "a list")) };
                self.length(items.len(), l.min, l.max, path, &|| shown(if items.is_empty() { "[]" } else { "[...]" }));
                for (i, item) in items.iter_mut().enumerate() {
                    if item.is_null() {
                        continue;
                    }
                    self.value(l.member, item, &format!("{path}.{}.member", i + 1), depth + 1)?;
                }
            }
            Shape::Map(m) => {
                let Value::Object(map) = value else { return Err(wrong(path, "a map")) };
                self.length(map.len(), None, m.max, path, &|| shown("{...}"));
                for (key, item) in map.iter_mut() {
                    if let Shape::String { .. } = m.key {
                        let mut text = Value::String(key.clone());
                        self.value(m.key, &mut text, &format!("{path}.key"), depth + 1)?;
                    }
                    if let Some(constraint) = out_of_bounds(m.value, item) {
                        let constraint = format!("Map value must satisfy constraint: [{constraint}]");
                        self.fail(&shown("{...}"), path, &constraint);
                    } else if !item.is_null() {
                        self.value(m.value, item, &format!("{path}.{key}.member"), depth + 1)?;
                    }
                }
            }
            Shape::String { min, max, pattern, values, sensitive } => {
                let Value::String(text) = value else { return Err(wrong(path, "a string")) };
                // Source: AWS's answer to an `input` of StartExecution that is too long.
                let what = || if *sensitive { "Value".to_owned() } else { shown(text) };
                if min.is_some() || max.is_some() {
                    self.length(text.chars().count(), *min, *max, path, &what);
                }
                self.form(text, *pattern, values, path, &what);
            }
            Shape::Integer { min, max } => {
                let Some(n) = as_integer(value) else { return Err(wrong(path, "an integer")) };
                if !value.is_i64() {
                    *value = n.into();
                }
                if min.is_some_and(|min| n < min) {
                    let at_least = min.unwrap_or_default();
                    self.fail(
                        &shown(&n.to_string()),
                        path,
                        &format!("Member must have value greater than or equal to {at_least}"),
                    );
                }
                if max.is_some_and(|max| n > max) {
                    let at_most = max.unwrap_or_default();
                    self.fail(
                        &shown(&n.to_string()),
                        path,
                        &format!("Member must have value less than or equal to {at_most}"),
                    );
                }
            }
            Shape::Float => {
                if let Value::String(text) = value
                    && let Ok(n) = text.parse::<f64>()
                {
                    *value = n.into();
                }
                if !value.is_number() {
                    return Err(wrong(path, "a number"));
                }
            }
            Shape::Boolean => {
                match value.as_str() {
                    Some("true") => *value = true.into(),
                    Some("false") => *value = false.into(),
                    _ => {}
                }
                if !value.is_boolean() {
                    return Err(wrong(path, "a boolean"));
                }
            }
            Shape::Blob { min, max } => {
                let Value::String(text) = value else { return Err(wrong(path, "base64 text")) };
                let bytes = text.trim_end_matches('=').len() * 3 / 4;
                self.length(bytes, *min, *max, path, &|| shown("java.nio.HeapByteBuffer"));
            }
            Shape::Timestamp { .. } => {
                if !(value.is_number() || value.is_string()) {
                    return Err(wrong(path, "a time"));
                }
            }
        }
        Ok(())
    }

    fn length(&mut self, n: usize, min: Option<u64>, max: Option<u64>, path: &str, what: &dyn Fn() -> String) {
        let n = n as u64;
        if let Some(min) = min.filter(|min| n < *min) {
            self.fail(&what(), path, &format!("Member must have length greater than or equal to {min}"));
        }
        if let Some(max) = max.filter(|max| n > *max) {
            self.fail(&what(), path, &format!("Member must have length less than or equal to {max}"));
        }
    }

    fn form(
        &mut self,
        text: &str,
        pattern: Option<&'static str>,
        values: &[&str],
        path: &str,
        what: &dyn Fn() -> String,
    ) {
        if let Some(pattern) = pattern
            && !matches(pattern, text)
        {
            self.fail(&what(), path, &format!("Member must satisfy regular expression pattern: {pattern}"));
        }
        if !values.is_empty() && !values.contains(&text) {
            let mut set = String::new();
            for (i, v) in values.iter().enumerate() {
                let _ = write!(set, "{}{v}", if i == 0 { "" } else { ", " });
            }
            self.fail(&what(), path, &format!("Member must satisfy enum value set: [{set}]"));
        }
    }
}

/// The bounds of a map's values, where a value of it is too short or too long: AWS tells them at the map. Source: AWS's answer to a
/// `BatchWriteItem` with 26 requests for a table.
fn out_of_bounds(shape: &Shape, value: &Value) -> Option<String> {
    let (n, min, max) = match (shape, value) {
        (Shape::List(list), Value::Array(items)) => (items.len() as u64, list.min, list.max),
        _ => return None,
    };
    if min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max) {
        return None;
    }
    let most = max.map(|max| format!("Member must have length less than or equal to {max}"));
    let least = min.map(|min| format!("Member must have length greater than or equal to {min}"));
    Some(most.into_iter().chain(least).collect::<Vec<_>>().join(", "))
}

/// A value, as much of it as is told.
fn shown(value: &str) -> String {
    let head: String = value.chars().take(MAX_SHOWN).collect();
    format!("Value '{head}'")
}

fn as_integer(value: &Value) -> Option<i64> {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range by the check before")]
        Value::Number(n) => {
            n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))
        }
        Value::String(s) => s.parse().ok(),
        _ => None,
    }
}

fn wrong(path: &str, expected: &str) -> Error {
    let at = if path.is_empty() { "the request" } else { path };
    Error::serialization(format!("Expected {expected} at {at}"))
}

/// AWS writes member paths with a lower-case first letter.
fn join(path: &str, member: &str) -> String {
    let mut chars = member.chars();
    let lower: String = chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect();
    if path.is_empty() { lower } else { format!("{path}.{lower}") }
}

/// Whole-text match. A pattern that Rust's regex does not accept (look-around, and Java's own escapes) lets everything pass.
fn matches(pattern: &'static str, text: &str) -> bool {
    static CACHE: LazyLock<Mutex<BTreeMap<&'static str, Option<&'static Regex>>>> = LazyLock::new(Mutex::default);
    let Ok(mut cache) = CACHE.lock() else { return true };
    let regex = *cache.entry(pattern).or_insert_with(|| {
        let regex = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
            .size_limit(1 << 20)
            .dot_matches_new_line(true)
            .build()
            .ok()?;
        // As many as the models have; a copy of one would begin without the memory that it works in.
        Some(&*Box::leak(Box::new(regex)))
    });
    drop(cache);
    regex.is_none_or(|r| r.is_match(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::prepare;
    use crate::schema::{List, Location, Map, Member, Shape, Structure};

    static PLAIN: Shape =
        Shape::String { min: Some(1), max: Some(3), pattern: None, values: &["a", "b"], sensitive: false };
    static SECRET: Shape = Shape::String { min: None, max: Some(3), pattern: None, values: &[], sensitive: true };
    static LIST: Shape =
        Shape::List(List { member: &PLAIN, element: "member", flattened: false, min: Some(1), max: None });
    static INPUT: Shape = Shape::Structure(Structure {
        name: "Input",
        members: &[member("Name", &PLAIN, true), member("Data", &SECRET, true), member("List", &LIST, false)],
        payload: None,
    });

    const fn member(name: &'static str, shape: &'static Shape, required: bool) -> Member {
        Member { name, wire: name, shape, required, location: Location::Body, idempotency_token: false }
    }

    /// As AWS tells it of `BatchWriteItem`: at the map, once a table, and both bounds.
    #[test]
    fn bounds_of_a_maps_values() {
        static TWO: Shape =
            Shape::List(List { member: &SECRET, element: "member", flattened: false, min: Some(1), max: Some(2) });
        static ITEMS_MAP: Shape = Shape::Map(Map {
            key: &SECRET,
            value: &TWO,
            key_name: "key",
            value_name: "value",
            flattened: false,
            max: None,
        });
        static ITEMS: Shape =
            Shape::Structure(Structure { name: "Input", members: &[member("Items", &ITEMS_MAP, true)], payload: None });
        let text = "1 validation error detected: Value '{...}' at 'items' failed to satisfy constraint: Map value must satisfy constraint: \
                    [Member must have length less than or equal to 2, Member must have length greater than or equal to 1]";
        for of in [json!([]), json!(["a", "b", "c"])] {
            let error = prepare(&ITEMS, json!({ "Items": { "t": of } })).unwrap_err();
            assert_eq!(error.message(), text);
        }
        assert!(prepare(&ITEMS, json!({ "Items": { "t": ["a"] } })).is_ok());
    }

    #[test]
    fn what_is_sensitive_is_not_shown() {
        let check = |value, want: &str| {
            let error = prepare(&INPUT, value).unwrap_err();
            assert_eq!(error.message(), want);
        };
        check(
            json!({"Data": "secret"}),
            "2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 3",
        );
        check(
            json!({"Name": "c"}),
            "2 validation errors detected: Value 'c' at 'name' failed to satisfy constraint: Member must satisfy enum value set: [a, b]; Value at 'data' failed to satisfy constraint: Member must not be null",
        );
        check(
            json!({"Name": "a", "Data": "", "List": []}),
            "1 validation error detected: Value '[]' at 'list' failed to satisfy constraint: Member must have length greater than or equal to 1",
        );
    }
}
