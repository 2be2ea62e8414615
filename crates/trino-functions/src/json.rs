//! JSON as Trino's type has it: objects sorted by their keys, numbers as Java writes them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cast::cast as cast_value;
use crate::error::{Error, Result};
use crate::text::{to_text, write_decimal, write_double, write_float};
use crate::types::Type;
use crate::value::Value;

/// A JSON value. `Big` is a whole number beyond 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Big(String),
    Double(f64),
    /// A number whose text is given, such as a decimal's.
    Text(String),
    Str(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        from_raw(raw.get()).ok_or_else(|| D::Error::custom("no JSON"))
    }
}

/// The members of an object in order, unread; of two of one name the last counts.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<'de>, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match members.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, old)) => *old = value,
                        None => members.push((key, value)),
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Reads a text as it is written: members keep their order. `None` if it is no JSON.
pub fn read(text: &str) -> Option<Json> {
    from_raw(serde_json::from_str::<&RawValue>(text).ok()?.get())
}

fn from_raw(text: &str) -> Option<Json> {
    let text = text.trim();
    Some(match text.as_bytes().first()? {
        b'{' => {
            let members: Members<'_> = serde_json::from_str(text).ok()?;
            let member = |(key, raw): (String, &RawValue)| Some((key, from_raw(raw.get())?));
            Json::Object(members.0.into_iter().map(member).collect::<Option<_>>()?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Json::Array(items.into_iter().map(|raw| from_raw(raw.get())).collect::<Option<_>>()?)
        }
        b'"' => Json::Str(serde_json::from_str(text).ok()?),
        b't' => Json::Bool(true),
        b'f' => Json::Bool(false),
        b'n' => Json::Null,
        _ if text.contains(['.', 'e', 'E']) => Json::Double(text.parse().ok()?),
        _ => match text.parse() {
            Ok(value) => Json::Int(value),
            Err(_) => Json::Big(text.to_owned()),
        },
    })
}

/// The text at a path, as it is written.
pub fn raw_at(text: &str, steps: &[Step]) -> Option<String> {
    let mut raw = serde_json::from_str::<&RawValue>(text).ok()?.get().trim();
    for step in steps {
        raw = match (raw.as_bytes().first()?, step) {
            (b'{', step) => {
                let name = match step {
                    Step::Member(name) => name.clone(),
                    Step::Index(index) => index.to_string(),
                };
                let members: Members<'_> = serde_json::from_str(raw).ok()?;
                members.0.into_iter().find(|(member, _)| *member == name)?.1.get()
            }
            (b'[', Step::Index(index)) => {
                let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
                items.get(*index)?.get()
            }
            _ => return None,
        }
        .trim();
    }
    Some(raw.to_owned())
}

/// Reads a text into the form that the type `json` has.
pub fn parse(text: &str) -> Option<Json> {
    let mut json = read(text)?;
    json.sort();
    Some(json)
}

impl Json {
    fn sort(&mut self) {
        match self {
            Self::Array(items) => items.iter_mut().for_each(Self::sort),
            Self::Object(entries) => {
                for (_, value) in entries.iter_mut() {
                    value.sort();
                }
                entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            }
            _ => {}
        }
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// The text of a scalar without quotes; `None` for null, arrays and objects.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.clone()),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
            other => Some(other.to_string()),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Big(text) | Self::Text(text) => f.write_str(text),
            Self::Double(x) => {
                let mut text = String::new();
                write_double(*x, &mut text);
                if x.is_finite() { f.write_str(&text) } else { write!(f, "\"{text}\"") }
            }
            Self::Str(text) => write_string(text, f),
            Self::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    write_string(key, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A string as Jackson writes it.
fn write_string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write;
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            c if c < ' ' => write!(f, "\\u{:04X}", u32::from(c))?,
            // Beyond the first plane Jackson writes both halves of a pair.
            c if u32::from(c) > 0xFFFF => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(f, "\\u{unit:04X}")?;
                }
            }
            c => f.write_char(c)?,
        }
    }
    f.write_str("\"")
}

pub(crate) fn from_possible(from: &Type) -> bool {
    match from {
        Type::Unknown
        | Type::Boolean
        | Type::Tinyint
        | Type::Smallint
        | Type::Integer
        | Type::Bigint
        | Type::Real
        | Type::Double
        | Type::Decimal(..)
        | Type::Varchar(_)
        | Type::Json
        | Type::Date
        | Type::Timestamp(_) => true,
        Type::Array(item) => from_possible(item),
        // A key becomes a member's name.
        Type::Map(key, value) => {
            let nested = matches!(key.as_ref(), Type::Row(_) | Type::Array(_) | Type::Map(..));
            !nested && from_possible(key) && from_possible(value)
        }
        Type::Row(fields) => fields.iter().all(|(_, ty)| from_possible(ty)),
        _ => false,
    }
}

pub(crate) fn to_possible(to: &Type) -> bool {
    match to {
        Type::Boolean
        | Type::Tinyint
        | Type::Smallint
        | Type::Integer
        | Type::Bigint
        | Type::Real
        | Type::Double
        | Type::Decimal(..)
        | Type::Varchar(_)
        | Type::Json => true,
        Type::Array(item) => to_possible(item),
        Type::Map(key, value) => {
            (key.is_numeric() || matches!(key.as_ref(), Type::Boolean | Type::Varchar(_))) && to_possible(value)
        }
        Type::Row(fields) => fields.iter().all(|(_, ty)| to_possible(ty)),
        _ => false,
    }
}

/// `CAST(x AS json)`
pub fn from_value(value: &Value, from: &Type) -> Result<Json> {
    Ok(match (value, from) {
        (Value::Null, _) => Json::Null,
        (Value::Bool(b), _) => Json::Bool(*b),
        (Value::Int(i), _) => Json::Int(*i),
        (Value::Double(x), _) => Json::Double(*x),
        (Value::Real(x), _) => {
            let mut text = String::new();
            write_float(*x, &mut text);
            if x.is_finite() { Json::Text(text) } else { Json::Str(text) }
        }
        (Value::Decimal(x), Type::Decimal(_, s)) => {
            let mut text = String::new();
            write_decimal(*x, *s, &mut text);
            Json::Text(text)
        }
        (Value::Str(text), Type::Json) => parse(text).unwrap_or(Json::Null),
        (Value::Str(text), _) => Json::Str(text.clone()),
        (Value::Date(_) | Value::Timestamp(_), _) => Json::Str(to_text(value, from)),
        (Value::Array(items), Type::Array(item)) => {
            Json::Array(items.iter().map(|v| from_value(v, item)).collect::<Result<_>>()?)
        }
        (Value::Map(entries), Type::Map(key, item)) => {
            let mut members = Vec::with_capacity(entries.len());
            for (k, v) in entries {
                let name = match (k, key.as_ref()) {
                    (Value::Str(text), _) => text.clone(),
                    (Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::Real(_) | Value::Decimal(_), key) => {
                        from_value(k, key)?.to_string()
                    }
                    _ => return Err(Error::cast(format!("Cannot cast {from} to JSON"))),
                };
                members.push((name, from_value(v, item)?));
            }
            members.sort_by(|(a, _): &(String, Json), (b, _)| a.cmp(b));
            Json::Object(members)
        }
        (Value::Row(items), Type::Row(fields)) => {
            let member = |(v, (name, ty)): (&Value, &(Option<String>, Type))| {
                Ok((name.clone().unwrap_or_default(), from_value(v, ty)?))
            };
            Json::Object(items.iter().zip(fields).map(member).collect::<Result<_>>()?)
        }
        _ => return Err(Error::type_mismatch(format!("Cannot cast {from} to json"))),
    })
}

/// `CAST(JSON … AS type)`
pub fn cast(text: &str, to: &Type) -> Result<Value> {
    let json = parse(text).ok_or_else(|| Error::cast(format!("Cannot cast '{text}' to {to}")))?;
    convert(&json, to).map_err(|problem| match problem {
        Problem::Inner(text_of) => {
            let shown = match to {
                Type::Array(_) | Type::Map(..) | Type::Row(_) => {
                    format!("Cannot cast to {to}. {text_of}\n{json}")
                }
                Type::Decimal(p, s) => format!("Cannot cast input json to DECIMAL({p},{s})"),
                _ => format!("Cannot cast '{json}' to {}", to.base()),
            };
            Error::cast(shown)
        }
        Problem::Said(error) => error,
    })
}

enum Problem {
    /// What was met, to be put behind what was cast.
    Inner(String),
    Said(Error),
}

#[expect(clippy::too_many_lines, reason = "one arm for each type")]
fn convert(json: &Json, to: &Type) -> Result<Value, Problem> {
    use Type as T;
    let unexpected = || {
        let token = match json {
            Json::Array(_) => "[".to_owned(),
            Json::Object(_) => "{".to_owned(),
            other => other.to_string(),
        };
        Problem::Inner(format!("Unexpected token when cast to {}: {token}", to.base()))
    };
    let said = |error: Error| Problem::Said(error);
    if matches!(json, Json::Null) && *to != T::Json {
        return Ok(Value::Null);
    }
    match to {
        T::Json => Ok(Value::Str(json.to_string())),
        T::Varchar(length) => {
            let text = match json {
                Json::Str(text) => text.clone(),
                Json::Double(x) => to_text(&Value::Double(*x), &T::Double),
                Json::Array(_) | Json::Object(_) => return Err(unexpected()),
                other => other.to_string(),
            };
            if length.is_some_and(|n| text.chars().count() > n as usize) {
                return Err(Problem::Said(Error::cast(format!("Cannot cast '{text}' to {to}"))));
            }
            Ok(Value::Str(text))
        }
        T::Boolean | T::Tinyint | T::Smallint | T::Integer | T::Bigint | T::Real | T::Double | T::Decimal(..) => {
            match json {
                Json::Str(text) => cast_value(&Value::Str(text.clone()), &T::Varchar(None), to).map_err(said),
                Json::Bool(b) => cast_value(&Value::Bool(*b), &T::Boolean, to).map_err(said),
                Json::Int(i) => cast_value(&Value::Int(*i), &T::Bigint, to).map_err(|_| unexpected()),
                Json::Double(x) => cast_value(&Value::Double(*x), &T::Double, to).map_err(|_| unexpected()),
                Json::Big(text) => {
                    cast_value(&Value::Str(text.clone()), &T::Varchar(None), to).map_err(|_| unexpected())
                }
                _ => Err(unexpected()),
            }
        }
        T::Array(item) => match json {
            Json::Array(items) => {
                Ok(Value::Array(items.iter().map(|v| convert(v, item)).collect::<Result<_, Problem>>()?))
            }
            other => Err(Problem::Inner(format!("Expected a json array, but got {}", token(other)))),
        },
        T::Map(key, item) => match json {
            Json::Object(members) => {
                let entry = |(name, value): &(String, Json)| {
                    let key = cast_value(&Value::Str(name.clone()), &T::Varchar(None), key).map_err(said)?;
                    Ok((key, convert(value, item)?))
                };
                Ok(Value::Map(members.iter().map(entry).collect::<Result<_, Problem>>()?))
            }
            other => Err(Problem::Inner(format!("Expected a json object, but got {}", token(other)))),
        },
        T::Row(fields) => match json {
            Json::Array(items) => {
                if let Some(extra) = items.get(fields.len()) {
                    return Err(Problem::Inner(format!("Expected json array ending, but got {}", token(extra))));
                }
                let field = |(i, (_, ty)): (usize, &(Option<String>, T))| match items.get(i) {
                    Some(item) => convert(item, ty),
                    None => Err(Problem::Inner(format!("Unexpected token when cast to {}: ]", ty.base()))),
                };
                Ok(Value::Row(fields.iter().enumerate().map(field).collect::<Result<_, Problem>>()?))
            }
            Json::Object(members) => {
                let field = |(name, ty): &(Option<String>, T)| {
                    let found = name
                        .as_ref()
                        .and_then(|name| members.iter().find(|(member, _)| member.eq_ignore_ascii_case(name)));
                    found.map_or(Ok(Value::Null), |(_, value)| convert(value, ty))
                };
                Ok(Value::Row(fields.iter().map(field).collect::<Result<_, Problem>>()?))
            }
            other => Err(Problem::Inner(format!("Expected a json array or object, but got {}", token(other)))),
        },
        _ => Err(Problem::Said(Error::type_mismatch(format!("Cannot cast json to {to}")))),
    }
}

fn token(json: &Json) -> String {
    match json {
        Json::Array(_) => "[".to_owned(),
        Json::Object(_) => "{".to_owned(),
        Json::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A step of `json_extract`'s paths.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Member(String),
    Index(usize),
}

/// Reads `$.a["b"][0]`; all other forms of JSON path are not for these functions.
pub fn path(text: &str) -> Result<Vec<Step>> {
    let wrong = || Error::argument(format!("Invalid JSON path: '{text}'"));
    let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end =
                after.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '-'))).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("[\"") {
            let mut name = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().ok_or_else(wrong)? {
                    (_, '\\') => name.push(chars.next().ok_or_else(wrong)?.1),
                    (at, '"') => break at,
                    (_, c) => name.push(c),
                }
            };
            rest = after[end + 1..].strip_prefix(']').ok_or_else(wrong)?;
            steps.push(Step::Member(name));
        } else if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']').ok_or_else(wrong)?;
            if inside.is_empty()
                || !inside.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '-'))
                || inside.starts_with('-')
            {
                return Err(wrong());
            }
            steps.push(inside.parse().map_or_else(|_| Step::Member(inside.to_owned()), Step::Index));
            rest = after;
        } else {
            return Err(wrong());
        }
    }
    Ok(steps)
}

/// What stands at the path.
pub fn at<'a>(json: &'a Json, steps: &[Step]) -> Option<&'a Json> {
    steps.iter().try_fold(json, |json, step| match (json, step) {
        (Json::Object(members), Step::Member(name)) => {
            members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
        }
        (Json::Object(members), Step::Index(index)) => {
            members.iter().find(|(member, _)| *member == index.to_string()).map(|(_, value)| value)
        }
        (Json::Array(items), Step::Index(index)) => items.get(*index),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_trino_writes_them() {
        let text = |input: &str| parse(input).unwrap().to_string();
        assert_eq!(text(r#"{"b":1,"a":[1,2 , {"z":1,"y":null}], "b":2}"#), r#"{"a":[1,2,{"y":null,"z":1}],"b":2}"#);
        assert_eq!(text("[1.10, 1e2, 0.00000001, 1.0, 100000000.0]"), "[1.1,100.0,1.0E-8,1.0,1.0E8]");
        assert_eq!(text(r#""a\/b\u00e9\u0001\n""#), "\"a/bé\\u0001\\n\"");
        assert!(parse("1 2").is_none() && parse("").is_none());
    }

    #[test]
    fn casts() {
        let cast =
            |text: &str, to: &str| cast(text, &Type::parse(to).unwrap()).map_or_else(|e| e.text, |v| format!("{v:?}"));
        assert_eq!(cast("1.5", "bigint"), "Int(2)");
        assert_eq!(cast("1e2", "varchar"), "Str(\"1.0E2\")");
        assert_eq!(cast("[1]", "bigint"), "Cannot cast '[1]' to bigint");
        assert_eq!(cast("300", "tinyint"), "Cannot cast '300' to tinyint");
        assert_eq!(cast("1", "array(bigint)"), "Cannot cast to array(bigint). Expected a json array, but got 1\n1");
        assert_eq!(cast(r#"{"A":1}"#, "row(a bigint, b varchar)"), "Row([Int(1), Null])");
    }

    #[test]
    fn paths() {
        let json = parse(r#"{"a":{"b":[1,{"c d":"x"}]}}"#).unwrap();
        let at = |text: &str| at(&json, &path(text).unwrap()).map(ToString::to_string);
        assert_eq!(at("$.a.b[0]").as_deref(), Some("1"));
        assert_eq!(at(r#"$["a"].b[1]["c d"]"#).as_deref(), Some("\"x\""));
        assert_eq!(at("$.x"), None);
        for wrong in ["a", "$.", "$.a[*]", "$..c", "$[-1]", "$.a b"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }
}
