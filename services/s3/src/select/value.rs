//! Values of S3 Select: those of JSON, what is missing, and moments. Text of a CSV field is text until it is cast or compared with a number.

use std::cmp::Ordering;

use jiff::tz::Offset;
use jiff::{Timestamp, Zoned};
use serde_json::json;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A path that leads nowhere.
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(Zoned),
    List(Vec<Value>),
    /// Members in their order.
    Struct(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn of_json(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => number.as_f64().map_or(Self::Null, Self::Float),
            },
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(list) => Self::List(list.into_iter().map(Self::of_json).collect()),
            serde_json::Value::Object(map) => {
                Self::Struct(map.into_iter().map(|(name, value)| (name, Self::of_json(value))).collect())
            }
        }
    }

    /// As JSON; none where it is missing.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Missing => return None,
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => json!(value),
            Self::Int(number) => json!(number),
            Self::Float(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::Time(_) => json!(self.text()),
            Self::List(list) => list.iter().filter_map(Self::json).collect(),
            Self::Struct(members) => {
                let members = members.iter().filter_map(|(name, value)| Some((name.clone(), value.json()?)));
                serde_json::Value::Object(members.collect())
            }
        })
    }

    /// As the field of a CSV row, and as text is made of it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Missing | Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => json!(number).to_string(),
            Self::Text(text) => text.clone(),
            Self::Time(at) => told(at),
            Self::List(_) | Self::Struct(_) => self.json().unwrap_or_default().to_string(),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Missing | Self::Null)
    }

    /// The number that it is or that its text spells.
    pub(super) fn number(&self) -> Option<Self> {
        match self {
            Self::Int(_) | Self::Float(_) => Some(self.clone()),
            Self::Text(text) => {
                let text = text.trim();
                let whole = text.parse().ok().map(Self::Int);
                whole.or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Float))
            }
            _ => None,
        }
    }

    pub(super) fn float(&self) -> Option<f64> {
        match self.number()? {
            #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
            Self::Int(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// The order of two values of a kind; text is compared with a number as the number that it spells.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Bool(b)) => Some(boolean(a)?.cmp(b)),
            (Self::Bool(a), Self::Text(b)) => Some(a.cmp(&boolean(b)?)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Text(b)) => Some(a.cmp(&moment(b)?)),
            (Self::Text(a), Self::Time(b)) => Some(moment(a)?.cmp(b)),
            (Self::List(_) | Self::Struct(_), _) => (self == other).then_some(Ordering::Equal),
            _ => match (self.number()?, other.number()?) {
                (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
                (a, b) => a.float()?.partial_cmp(&b.float()?),
            },
        }
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A moment as Amazon Ion writes it: `2007T`, `2007-02T`, `2007-02-23`, `2007-02-23T12:14Z`, `2007-02-23T12:14:33.079-08:00`.
pub(super) fn moment(text: &str) -> Option<Zoned> {
    let text = text.trim();
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut parts = date.splitn(3, '-');
    let year: i16 = parts.next().filter(|part| part.len() == 4)?.parse().ok()?;
    let mut part = || parts.next().map_or(Some(1), |part| part.parse::<i8>().ok());
    let date = jiff::civil::Date::new(year, part()?, part()?).ok()?;
    if time.is_empty() {
        return zoned(date.at(0, 0, 0, 0), Offset::UTC);
    }
    let (clock, offset) = if let Some(clock) = time.strip_suffix('Z') {
        (clock, Offset::UTC)
    } else {
        let at = time.rfind(['+', '-'])?;
        let (hours, minutes) = time[at + 1..].split_once(':')?;
        let seconds = i32::from(hours.parse::<u8>().ok()?) * 3600 + i32::from(minutes.parse::<u8>().ok()?) * 60;
        let sign = if time.as_bytes()[at] == b'-' { -1 } else { 1 };
        (&time[..at], Offset::from_seconds(sign * seconds).ok()?)
    };
    // Minutes are enough.
    let clock = if clock.matches(':').count() == 1 { format!("{clock}:00") } else { clock.to_owned() };
    zoned(date.to_datetime(clock.parse().ok()?), offset)
}

fn zoned(at: jiff::civil::DateTime, offset: Offset) -> Option<Zoned> {
    let at: Timestamp = offset.to_timestamp(at).ok()?;
    Some(at.to_zoned(offset.to_time_zone()))
}

/// As it is told, with as much of a second as it has.
fn told(at: &Zoned) -> String {
    let clock = if at.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.f" };
    let zone = if at.offset() == Offset::UTC { "Z".to_owned() } else { at.strftime("%:z").to_string() };
    format!("{}{zone}", at.strftime(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_every_precision() {
        for (text, wanted) in [
            ("2007T", "2007-01-01T00:00:00Z"),
            ("2007-02T", "2007-02-01T00:00:00Z"),
            ("2007-02-23", "2007-02-23T00:00:00Z"),
            ("2007-02-23T12:14Z", "2007-02-23T12:14:00Z"),
            ("2007-02-23T12:14:33.079-08:00", "2007-02-23T12:14:33.079-08:00"),
        ] {
            assert_eq!(told(&moment(text).unwrap()), wanted, "{text}");
        }
        for text in
            ["", "07T", "2007-13", "2007-02-23T", "2007-02-23T25:00Z", "2007-02-23T12:14+999999999:00", "é-é", "x"]
        {
            assert_eq!(moment(text).is_none(), text != "2007-02-23T", "{text}");
        }
    }

    #[test]
    fn text_is_compared_with_numbers_as_a_number() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(text("10").order(&Value::Int(9)), Some(Ordering::Greater));
        assert_eq!(text("1.50").order(&Value::Float(1.5)), Some(Ordering::Equal));
        assert_eq!(text("10").order(&text("9")), Some(Ordering::Less));
        assert_eq!(text("x").order(&Value::Int(9)), None);
    }
}
