//! Smithy's RPC v2 CBOR: `POST …/service/{service}/operation/{operation}`, input and output one CBOR map each.
//! Source: Smithy's "RPC v2 CBOR protocol".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

use super::response;
use crate::operation::OperationSpec;
use crate::schema::Shape;
use crate::{Error, Timestamp};

/// The header by which a request says that it is one, and its value.
pub const PROTOCOL: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

const CONTENT_TYPE: (&str, &str) = ("content-type", "application/cbor");
/// Tag of seconds since 1970. Source: RFC 8949, section 3.4.2.
const EPOCH: u64 = 1;
const MAX_DEPTH: usize = 64;

/// Service and operation that a path names.
pub fn target(path: &str) -> Option<(&str, &str)> {
    let (_, rest) = path.split_once("/service/")?;
    let (service, operation) = rest.split_once("/operation/")?;
    Some((service, operation))
}

pub fn decode(spec: &OperationSpec, body: &[u8]) -> Result<Value, Error> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value: Cbor = ciborium::de::from_reader_with_recursion_limit(body, MAX_DEPTH)
        .map_err(|error| Error::serialization(format!("The request body is not valid CBOR: {error}")))?;
    match canonical(spec.input, value, "the request body")? {
        value @ Value::Object(_) => Ok(value),
        _ => Err(Error::serialization("Expected a map at the request body")),
    }
}

pub fn encode(spec: &OperationSpec, output: &Value, request_id: &str) -> http::Response<Bytes> {
    let nothing = spec.output.as_structure().is_some_and(|output| output.members.is_empty());
    if nothing {
        return response(200, &[PROTOCOL, ("x-amzn-requestid", request_id)], Bytes::new());
    }
    response(200, &[PROTOCOL, CONTENT_TYPE, ("x-amzn-requestid", request_id)], written(&cbor(spec.output, output)))
}

pub fn encode_error(error: &Error, request_id: &str) -> http::Response<Bytes> {
    let query_code = super::json::query_error(error);
    let mut headers = vec![PROTOCOL, CONTENT_TYPE, ("x-amzn-requestid", request_id)];
    headers.extend(query_code.as_deref().map(|code| ("x-amzn-query-error", code)));
    response(error.status(), &headers, written(&untyped(&super::json::error_body(error))))
}

fn written(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes all");
    bytes
}

/// A value of the wire in its canonical form.
fn canonical(shape: &Shape, value: Cbor, at: &str) -> Result<Value, Error> {
    let wrong = |expected: &str| Error::serialization(format!("Expected {expected} at {at}"));
    Ok(match (shape, value) {
        (_, Cbor::Null) => Value::Null,
        (Shape::Structure(structure), Cbor::Map(entries)) => {
            let mut members = Map::new();
            for (key, value) in entries {
                let Cbor::Text(key) = key else { return Err(wrong("text as the key of each member")) };
                // Members of a newer model are passed over, as in the JSON protocols.
                let Some(member) = structure.member(&key) else { continue };
                let value = canonical(member.shape, value, &key)?;
                members.insert(key, value);
            }
            Value::Object(members)
        }
        (Shape::Map(map), Cbor::Map(entries)) => {
            let mut items = Map::new();
            for (key, value) in entries {
                let Cbor::Text(key) = key else { return Err(wrong("text as the key of each entry")) };
                let value = canonical(map.value, value, &key)?;
                items.insert(key, value);
            }
            Value::Object(items)
        }
        (Shape::List(list), Cbor::Array(items)) => {
            items.into_iter().map(|item| canonical(list.member, item, at)).collect::<Result<_, _>>()?
        }
        (Shape::String { .. }, Cbor::Text(text)) => Value::String(text),
        (Shape::Boolean, Cbor::Bool(value)) => Value::Bool(value),
        (Shape::Blob { .. }, Cbor::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
        (Shape::Integer { .. }, Cbor::Integer(number)) => {
            i64::try_from(i128::from(number)).map_err(|_| wrong("an integer of 64 bits"))?.into()
        }
        (Shape::Float, value @ (Cbor::Float(_) | Cbor::Integer(_))) => {
            number(&value).ok_or_else(|| wrong("a number"))?
        }
        (Shape::Timestamp { .. }, Cbor::Tag(EPOCH, value)) => {
            number(&value).ok_or_else(|| wrong("seconds since 1970"))?
        }
        (shape, _) => {
            return Err(wrong(match shape {
                Shape::Structure(_) | Shape::Map(_) => "a map",
                Shape::List(_) => "an array",
                Shape::String { .. } => "text",
                Shape::Boolean => "a boolean",
                Shape::Blob { .. } => "a byte string",
                Shape::Integer { .. } => "an integer",
                Shape::Float => "a number",
                Shape::Timestamp { .. } => "seconds since 1970 under tag 1",
                Shape::Document => "no document: the protocol has none",
            }));
        }
    })
}

/// A finite number.
fn number(value: &Cbor) -> Option<Value> {
    match value {
        Cbor::Integer(number) => Some(i64::try_from(i128::from(*number)).ok()?.into()),
        Cbor::Float(number) => Number::from_f64(*number).map(Value::Number),
        _ => None,
    }
}

/// A canonical value as the wire has it.
fn cbor(shape: &Shape, value: &Value) -> Cbor {
    match (shape, value) {
        (Shape::Structure(structure), Value::Object(members)) => {
            let members = structure.members.iter().filter_map(|member| {
                let value = members.get(member.name).filter(|value| !value.is_null())?;
                Some((Cbor::Text(member.name.to_owned()), cbor(member.shape, value)))
            });
            Cbor::Map(members.collect())
        }
        (Shape::Map(map), Value::Object(items)) => {
            Cbor::Map(items.iter().map(|(key, value)| (Cbor::Text(key.clone()), cbor(map.value, value))).collect())
        }
        (Shape::List(list), Value::Array(items)) => {
            Cbor::Array(items.iter().map(|item| cbor(list.member, item)).collect())
        }
        (Shape::Blob { .. }, Value::String(text)) => Cbor::Bytes(STANDARD.decode(text).unwrap_or_default()),
        (Shape::Float, Value::Number(number)) => Cbor::Float(number.as_f64().unwrap_or_default()),
        (Shape::Timestamp { .. }, value) => {
            let time = serde_json::from_value::<Timestamp>(value.clone()).unwrap_or_default();
            Cbor::Tag(EPOCH, Box::new(untyped(&Value::Number(time.to_number()))))
        }
        (_, value) => untyped(value),
    }
}

/// JSON as it stands.
fn untyped(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Cbor::Integer(number.into()),
            None => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(untyped).collect()),
        Value::Object(members) => {
            Cbor::Map(members.iter().map(|(key, value)| (Cbor::Text(key.clone()), untyped(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{List, Location, Member, Structure};

    static TEXT: Shape = Shape::String { min: None, max: None, pattern: None, values: &[], sensitive: false };
    static TIME: Shape = Shape::Timestamp { iso: false };
    static BLOB: Shape = Shape::Blob { min: None, max: None };
    static COUNT: Shape = Shape::Integer { min: None, max: None };
    static TEXTS: Shape =
        Shape::List(List { member: &TEXT, element: "member", flattened: false, min: None, max: None });
    static INPUT: Shape = Shape::Structure(Structure {
        name: "Input",
        members: &[
            member("Name", &TEXT),
            member("At", &TIME),
            member("Data", &BLOB),
            member("Value", &Shape::Float),
            member("Count", &COUNT),
            member("Names", &TEXTS),
        ],
        payload: None,
    });

    const fn member(name: &'static str, shape: &'static Shape) -> Member {
        Member { name, wire: name, shape, required: false, location: Location::Body, idempotency_token: false }
    }

    #[test]
    fn values_come_back() {
        let value = json!({"Name": "é", "At": 1.5, "Data": "AAE=", "Value": 2.0, "Count": -3, "Names": ["a", "b"]});
        let bytes = written(&cbor(&INPUT, &value));
        let read: Cbor = ciborium::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(canonical(&INPUT, read, "").unwrap(), value);
    }

    /// The bytes of RFC 8949's diagnostic notation, with lengths that are not given in advance: `{_ "Name": "a", "At": 1(1), "New": [0]}`.
    #[test]
    fn what_other_encoders_write_is_read() {
        let bytes = hex::decode("bf644e616d656161624174c101634e65778100ff").unwrap();
        let read: Cbor = ciborium::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(canonical(&INPUT, read, "").unwrap(), json!({"Name": "a", "At": 1}));
    }

    #[test]
    fn wrong_types_are_named() {
        let check = |value: Cbor, want: &str| {
            let input = Cbor::Map(vec![(Cbor::Text("Count".into()), value)]);
            assert_eq!(canonical(&INPUT, input, "").unwrap_err().message(), want);
        };
        check(Cbor::Text("1".into()), "Expected an integer at Count");
        check(Cbor::Integer(u64::MAX.into()), "Expected an integer of 64 bits at Count");
    }

    #[test]
    fn targets() {
        assert_eq!(target("/service/G/operation/Put"), Some(("G", "Put")));
        assert_eq!(target("/prefix/service/G/operation/Put"), Some(("G", "Put")));
        assert_eq!(target("/"), None);
    }
}
