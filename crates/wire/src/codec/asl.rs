//! Amazon States Language's form of an operation's input and output (`arn:aws:states:::aws-sdk:service:operation`):
//! PascalCase members, ISO 8601 times, binary data as text.
//! Source: Step Functions Developer Guide, "Learning to use AWS service SDK integrations".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::validate;
use crate::schema::{Member, Shape};
use crate::{Error, Timestamp};

/// Step Functions' parameters to the canonical, checked form.
pub fn decode(shape: &Shape, value: Value) -> Result<Value, Error> {
    let value = if value.is_null() { Value::Object(Map::new()) } else { value };
    validate::prepare(shape, to_canonical(shape, value))
}

/// Who shows a result: they name members and write times differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `aws-sdk:` integrations: the Java SDK's properties, ISO 8601.
    Sdk,
    /// Optimised integrations: the model's members, milliseconds since 1970.
    Optimized,
    /// Calls between services: the model's members, ISO 8601.
    Model,
}

/// The canonical form to Step Functions' result.
pub fn encode(shape: &Shape, value: Value, style: Style) -> Value {
    match (shape, value) {
        (Shape::Structure(s), Value::Object(map)) => Value::Object(
            map.into_iter()
                .filter_map(|(name, inner)| {
                    let member = s.member(&name)?;
                    let shown = if style == Style::Sdk { class_member(name) } else { capital(name) };
                    Some((shown, encode(member.shape, inner, style)))
                })
                .collect(),
        ),
        (Shape::List(l), Value::Array(items)) => items.into_iter().map(|v| encode(l.member, v, style)).collect(),
        (Shape::Map(m), Value::Object(map)) => {
            Value::Object(map.into_iter().map(|(k, v)| (k, encode(m.value, v, style))).collect())
        }
        (Shape::Timestamp { .. }, value) => match serde_json::from_value::<Timestamp>(value.clone()) {
            Ok(t) if style == Style::Optimized => Value::from(t.as_millis()),
            Ok(t) => Value::String(t.to_iso().replace(".000Z", "Z")),
            Err(_) => value,
        },
        (Shape::Blob { .. }, Value::String(text)) => {
            let bytes = STANDARD.decode(&text).ok().and_then(|b| String::from_utf8(b).ok());
            Value::String(bytes.unwrap_or(text))
        }
        (_, value) => value,
    }
}

fn to_canonical(shape: &Shape, value: Value) -> Value {
    match (shape, value) {
        (Shape::Structure(s), Value::Object(map)) => Value::Object(
            map.into_iter()
                .map(|(key, inner)| match s.members.iter().find(|m| named(m, &key)) {
                    Some(member) => (member.name.to_owned(), to_canonical(member.shape, inner)),
                    None => (key, inner),
                })
                .collect(),
        ),
        (Shape::List(l), Value::Array(items)) => items.into_iter().map(|v| to_canonical(l.member, v)).collect(),
        (Shape::Map(m), Value::Object(map)) => {
            Value::Object(map.into_iter().map(|(k, v)| (k, to_canonical(m.value, v))).collect())
        }
        (Shape::Blob { .. }, Value::String(text)) => Value::String(STANDARD.encode(text)),
        (Shape::Blob { .. }, value @ (Value::Object(_) | Value::Array(_) | Value::Number(_) | Value::Bool(_))) => {
            Value::String(STANDARD.encode(value.to_string()))
        }
        // What is documented as text takes a JSON value too, e.g. the input of StartExecution.
        (Shape::String { .. }, value @ (Value::Object(_) | Value::Array(_))) => Value::String(value.to_string()),
        (Shape::String { .. }, Value::Number(n)) => Value::String(n.to_string()),
        (_, value) => value,
    }
}

/// The model's name, in whatever capitals: `MD5OfMessageBody` is `Md5OfMessageBody` for some.
fn named(member: &Member, key: &str) -> bool {
    member.name == key
        || (member.name == "NULL" && key == "Nul")
        || (key.starts_with(|c: char| c.is_ascii_uppercase()) && member.name.eq_ignore_ascii_case(key))
}

/// The member's name as `aws-sdk:` integrations show it: as a property of the Java SDK's second version, with a capital first letter.
/// Of a name that begins with a run of capitals only the first stays one: `SSEDescription` is `SseDescription`, `ARN` is `Arn`.
fn class_member(mut name: String) -> String {
    if name == "NULL" {
        // The only one that its customisation renames among what is served here.
        return "Nul".to_owned();
    }
    // Names of the models are ASCII.
    let letters = name.as_bytes();
    let mut run = 1;
    while letters.get(run).is_some_and(u8::is_ascii_uppercase)
        && !letters.get(run + 1).is_some_and(u8::is_ascii_lowercase)
    {
        run += 1;
    }
    if let Some(more) = name.get_mut(1..run) {
        more.make_ascii_lowercase();
    }
    capital(name)
}

/// The member's name with a capital first letter.
pub fn pascal(name: &str) -> String {
    capital(name.to_owned())
}

fn capital(mut name: String) -> String {
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::class_member;

    #[test]
    fn members_are_named_as_properties_of_the_sdk() {
        for (name, shown) in [
            ("MD5OfMessageBody", "Md5OfMessageBody"),
            ("ETag", "ETag"),
            ("ChecksumCRC32", "ChecksumCRC32"),
            ("SSEDescription", "SseDescription"),
            ("SSEKMSKeyId", "SsekmsKeyId"),
            ("ARN", "Arn"),
            ("executionArn", "ExecutionArn"),
            ("BOOL", "Bool"),
            ("S", "S"),
            ("NULL", "Nul"),
        ] {
            assert_eq!(class_member(name.to_owned()), shown);
        }
    }
}
