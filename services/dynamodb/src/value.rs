//! Attribute values as the service works with them: parsed, checked, comparable. The wire's shape
//! is `api_dynamodb::AttributeValue`; the stored form is DynamoDB's own JSON.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::number::Number;

pub(crate) type Item = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    S(String),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    M(Item),
    L(Vec<Value>),
    Ss(BTreeSet<String>),
    Ns(BTreeSet<Number>),
    Bs(BTreeSet<Vec<u8>>),
}

impl Value {
    /// The name of the type in the wire's shape.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::M(_) => "M",
            Self::L(_) => "L",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// The long name of the type, which some messages use.
    pub(crate) fn long_type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "STRING",
            Self::N(_) => "NUMBER",
            Self::B(_) => "BINARY",
            Self::Bool(_) => "BOOLEAN",
            Self::Null => "NULL",
            Self::M(_) => "MAP",
            Self::L(_) => "LIST",
            Self::Ss(_) => "STRING_SET",
            Self::Ns(_) => "NUMBER_SET",
            Self::Bs(_) => "BINARY_SET",
        }
    }

    /// The order of two values that have one: strings, numbers and bytes of the same type.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::S(a), Self::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::N(a), Self::N(b)) => Some(a.cmp(b)),
            (Self::B(a), Self::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    pub(crate) fn has_order(&self) -> bool {
        matches!(self, Self::S(_) | Self::N(_) | Self::B(_))
    }

    /// What `size(path)` answers; numbers, booleans and null have none.
    pub(crate) fn length(&self) -> Option<usize> {
        Some(match self {
            Self::S(text) => text.chars().count(),
            Self::B(bytes) => bytes.len(),
            Self::M(map) => map.len(),
            Self::L(list) => list.len(),
            Self::Ss(set) => set.len(),
            Self::Ns(set) => set.len(),
            Self::Bs(set) => set.len(),
            Self::N(_) | Self::Bool(_) | Self::Null => return None,
        })
    }

    /// Bytes that count towards the limit of an item.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::M(map) => 3 + map.iter().map(|(name, value)| name.len() + value.size() + 1).sum::<usize>(),
            Self::L(list) => 3 + list.iter().map(|value| value.size() + 1).sum::<usize>(),
            Self::Ss(set) => set.iter().map(String::len).sum(),
            Self::Ns(set) => set.iter().map(|number| number.size()).sum(),
            Self::Bs(set) => set.iter().map(Vec::len).sum(),
        }
    }

    /// Whether a map in it has an attribute without a name.
    pub(crate) fn has_empty_name(&self) -> bool {
        match self {
            Self::M(map) => map.contains_key("") || map.values().any(Self::has_empty_name),
            Self::L(list) => list.iter().any(Self::has_empty_name),
            _ => false,
        }
    }

    /// Whether maps and lists are nested deeper than `levels`.
    pub(crate) fn deeper_than(&self, levels: usize) -> bool {
        match self {
            Self::M(map) => levels == 0 || map.values().any(|value| value.deeper_than(levels - 1)),
            Self::L(list) => levels == 0 || list.iter().any(|value| value.deeper_than(levels - 1)),
            _ => false,
        }
    }
}

/// Bytes of a whole item: names and values.
pub(crate) fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// As AWS prints values inside messages: `{N:2}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S(text) => write!(f, "{{S:{text}}}"),
            Self::N(number) => write!(f, "{{N:{number}}}"),
            Self::Bool(yes) => write!(f, "{{BOOL:{yes}}}"),
            other => write!(f, "{{{}:…}}", other.type_name()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        let name = self.type_name();
        match self {
            Self::S(text) => map.serialize_entry(name, text)?,
            Self::N(number) => map.serialize_entry(name, &number.to_string())?,
            Self::B(bytes) => map.serialize_entry(name, &BASE64.encode(bytes))?,
            Self::Bool(yes) => map.serialize_entry(name, yes)?,
            Self::Null => map.serialize_entry(name, &true)?,
            Self::M(entries) => map.serialize_entry(name, entries)?,
            Self::L(list) => map.serialize_entry(name, list)?,
            Self::Ss(set) => map.serialize_entry(name, set)?,
            Self::Ns(set) => map.serialize_entry(name, &set.iter().map(ToString::to_string).collect::<Vec<_>>())?,
            Self::Bs(set) => {
                map.serialize_entry(name, &set.iter().map(|bytes| BASE64.encode(bytes)).collect::<Vec<_>>())?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ValueVisitor)
    }
}

/// Reads what `Serialize` wrote; requests come through the generated shapes instead.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let name: String = map.next_key()?.ok_or_else(|| de::Error::custom("an attribute value is empty"))?;
        let bytes = |text: String| BASE64.decode(text).map_err(de::Error::custom);
        let number = |text: String| text.parse::<Number>().map_err(|error| de::Error::custom(error.0));
        Ok(match name.as_str() {
            "S" => Value::S(map.next_value()?),
            "N" => Value::N(number(map.next_value()?)?),
            "B" => Value::B(bytes(map.next_value()?)?),
            "BOOL" => Value::Bool(map.next_value()?),
            "NULL" => {
                map.next_value::<bool>()?;
                Value::Null
            }
            "M" => Value::M(map.next_value()?),
            "L" => Value::L(map.next_value()?),
            "SS" => Value::Ss(map.next_value()?),
            "NS" => {
                Value::Ns(map.next_value::<Vec<String>>()?.into_iter().map(number).collect::<Result<BTreeSet<_>, _>>()?)
            }
            "BS" => {
                Value::Bs(map.next_value::<Vec<String>>()?.into_iter().map(bytes).collect::<Result<BTreeSet<_>, _>>()?)
            }
            other => return Err(de::Error::custom(format!("unknown attribute type {other}"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_round_trips() {
        let text = r#"{"a":{"S":"x"},"b":{"N":"1.5"},"c":{"B":"AAE="},"d":{"BOOL":true},"e":{"NULL":true},"f":{"M":{"g":{"L":[{"S":""}]}}},"h":{"NS":["-1","2"]},"i":{"SS":["p","q"]},"j":{"BS":["AA=="]}}"#;
        let item: Item = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&item).unwrap(), text);
        assert!(!item["f"].deeper_than(2) && item["f"].deeper_than(1));
    }

    #[test]
    fn sizes_follow_the_documentation() {
        let item: Item = serde_json::from_str(r#"{"id":{"S":"abc"},"n":{"N":"-1234"},"t":{"BOOL":true}}"#).unwrap();
        assert_eq!(item_size(&item), 2 + 3 + 1 + 4 + 1 + 1);
    }
}
