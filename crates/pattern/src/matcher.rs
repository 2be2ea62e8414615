//! What one entry of a field's array accepts.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::Error;
use crate::wildcard::Wildcard;

#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Exact(Value),
    Text(Text),
    AnythingBut(Vec<Value>),
    AnythingButText(Vec<Text>),
    Numeric(Vec<(Bound, f64)>),
    Cidr(Block),
    Exists(bool),
}

/// Tests of strings.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    EqualsIgnoreCase(String),
    Wildcard(Wildcard),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Matcher {
    pub(crate) fn parse(value: &Value) -> Result<Self, Error> {
        let map = match value {
            Value::Array(_) => {
                return Err(Error("Match value must be String, number, true, false, or null".to_owned()));
            }
            Value::Object(map) => map,
            plain => return Ok(Self::Exact(plain.clone())),
        };
        let (kind, operand) = only_entry(map)?;
        match kind {
            "exists" => match operand {
                Value::Bool(wanted) => Ok(Self::Exists(*wanted)),
                _ => Err(Error("exists match pattern must be either true or false.".to_owned())),
            },
            "numeric" => numeric(operand).map(Self::Numeric),
            "cidr" => {
                let block = operand.as_str().and_then(Block::parse);
                block.map(Self::Cidr).ok_or_else(|| Error("Malformed CIDR, one '/' required".to_owned()))
            }
            "anything-but" => anything_but(operand),
            _ => Text::parse(kind, operand).map(Self::Text),
        }
    }

    /// `found` is the event's field; an array matches by any of its entries, and of those within. An object is no leaf.
    pub(crate) fn matches(&self, found: &Value) -> bool {
        match found {
            Value::Object(_) => false,
            Value::Array(list) => list.iter().any(|value| self.matches(value)),
            value => self.accepts(value),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::Exact(wanted) => same(wanted, value),
            Self::Text(test) => value.as_str().is_some_and(|text| test.accepts(text)),
            Self::AnythingBut(refused) => !refused.iter().any(|one| same(one, value)),
            Self::AnythingButText(refused) => {
                value.as_str().is_none_or(|text| !refused.iter().any(|test| test.accepts(text)))
            }
            Self::Numeric(bounds) => {
                value.as_f64().is_some_and(|number| bounds.iter().all(|(bound, limit)| bound.accepts(number, *limit)))
            }
            Self::Cidr(block) => {
                value.as_str().and_then(|text| text.parse().ok()).is_some_and(|address| block.contains(address))
            }
            Self::Exists(wanted) => *wanted,
        }
    }
}

impl Text {
    fn parse(kind: &str, operand: &Value) -> Result<Self, Error> {
        let text = |operand: &Value| {
            operand.as_str().map(str::to_owned).ok_or_else(|| Error(format!("{kind} match pattern must be a string")))
        };
        let ignoring_case = operand.as_object().and_then(|map| map.get("equals-ignore-case"));
        match (kind, ignoring_case) {
            ("prefix", Some(inner)) => Ok(Self::PrefixIgnoreCase(text(inner)?.to_lowercase())),
            ("suffix", Some(inner)) => Ok(Self::SuffixIgnoreCase(text(inner)?.to_lowercase())),
            ("prefix", None) => Ok(Self::Prefix(text(operand)?)),
            ("suffix", None) => Ok(Self::Suffix(text(operand)?)),
            ("equals-ignore-case", _) => Ok(Self::EqualsIgnoreCase(text(operand)?.to_lowercase())),
            ("wildcard", _) => Wildcard::parse(&text(operand)?)
                .map(Self::Wildcard)
                .map_err(|error| Error(format!("{} in wildcard", error.0))),
            _ => Err(Error(format!("Unrecognized match type {kind}"))),
        }
    }

    fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::PrefixIgnoreCase(prefix) => text.to_lowercase().starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::SuffixIgnoreCase(suffix) => text.to_lowercase().ends_with(suffix.as_str()),
            Self::EqualsIgnoreCase(wanted) => text.to_lowercase() == *wanted,
            Self::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "=" => Self::Equal,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    #[expect(clippy::float_cmp, reason = "a pattern's `=` asks for the very number")]
    fn accepts(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
            Self::Equal => number == limit,
            Self::GreaterOrEqual => number >= limit,
            Self::Greater => number > limit,
        }
    }
}

/// Equal as the pattern language sees it: numbers by value, all else as it stands.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => wanted == found,
    }
}

fn only_entry(map: &Map<String, Value>) -> Result<(&str, &Value), Error> {
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((kind, operand)), None) => Ok((kind, operand)),
        _ => Err(Error("Only one key allowed in match expression".to_owned())),
    }
}

fn anything_but(operand: &Value) -> Result<Matcher, Error> {
    let plain = |value: &Value| matches!(value, Value::String(_) | Value::Number(_));
    match operand {
        Value::Object(map) => {
            let (kind, inner) = only_entry(map)?;
            let list = match inner.as_array() {
                Some(list) => list.as_slice(),
                None => std::slice::from_ref(inner),
            };
            let tests = list.iter().map(|one| Text::parse(kind, one)).collect::<Result<_, _>>()?;
            Ok(Matcher::AnythingButText(tests))
        }
        Value::Array(list) => {
            if !list.iter().all(plain) {
                return Err(Error("Inside anything but list, start|null|boolean is not supported.".to_owned()));
            }
            if list.iter().all(Value::is_string) == list.iter().all(Value::is_number) {
                let text =
                    "Inside anything but list, either all values are number or string, mixed type is not supported";
                return Err(Error(text.to_owned()));
            }
            Ok(Matcher::AnythingBut(list.clone()))
        }
        value if plain(value) => Ok(Matcher::AnythingBut(vec![value.clone()])),
        _ => Err(Error("Value of anything-but must be an array or single string/number value.".to_owned())),
    }
}

/// A number to compare with, an upper bound, or a range from the one to the other.
fn numeric(operand: &Value) -> Result<Vec<(Bound, f64)>, Error> {
    let wrong = |text: String| Err(Error(text));
    let Value::Array(list) = operand else { return wrong("Value of numeric must be an array.".to_owned()) };
    let Some(Value::String(operator)) = list.first() else {
        let member = list.first().map_or_else(|| "]".to_owned(), ToString::to_string);
        return wrong(format!("Invalid member in numeric match: {member}"));
    };
    let Some(bound) = Bound::parse(operator) else {
        return wrong(format!("Unrecognized numeric range operator: {operator}"));
    };
    let first = limit(operator, list.get(1))?;
    if list.len() == 2 {
        return Ok(vec![(bound, first)]);
    }
    if !matches!(bound, Bound::Greater | Bound::GreaterOrEqual) {
        return wrong("Too many elements in numeric expression".to_owned());
    }
    let Some(Value::String(operator)) = list.get(2) else {
        return wrong(format!("Bad value in numeric range: {}", list[2]));
    };
    let Some(top @ (Bound::Less | Bound::LessOrEqual)) = Bound::parse(operator) else {
        return wrong(format!("Bad numeric range operator: {operator}"));
    };
    let highest = limit(operator, list.get(3))?;
    if list.len() > 4 {
        return wrong("Too many terms in numeric range expression".to_owned());
    }
    if first >= highest {
        return wrong("Bottom must be less than top".to_owned());
    }
    Ok(vec![(bound, first), (top, highest)])
}

/// Source: EventBridge User Guide, "Numeric matching": the values that it works with.
const FARTHEST: f64 = 5e9;

fn limit(operator: &str, value: Option<&Value>) -> Result<f64, Error> {
    let operator = if operator == "=" { "equals" } else { operator };
    let number = value.and_then(Value::as_f64);
    let number = number.ok_or_else(|| Error(format!("Value of {operator} must be numeric")))?;
    if number.abs() > FARTHEST {
        return Err(Error("Value must be between -5.0E9 and 5.0E9, inclusive".to_owned()));
    }
    Ok(number)
}

/// A block of addresses, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    network: IpAddr,
    prefix: u32,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (network, prefix) = text.split_once('/')?;
        let network: IpAddr = network.parse().ok()?;
        let prefix: u32 = prefix.parse().ok()?;
        (prefix <= if network.is_ipv4() { 32 } else { 128 }).then_some(Self { network, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        let (a, b, bits) = match (self.network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        (a ^ b).checked_shr(bits - self.prefix).unwrap_or(0) == 0
    }
}
