//! Values of S3 Select: those of JSON, what is missing, decimals, and moments. Text of a CSV field is text until it is cast or compared
//! with a number.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, Context, RoundingMode, ToPrimitive as _};
use jiff::tz::Offset;
use jiff::{Timestamp, Zoned};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::json;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A path that leads nowhere.
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Exact, of at most 38 digits: see [`rounded`].
    Decimal(BigDecimal),
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

    /// As the field of a CSV row, and as text is made of it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Missing | Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => json!(number).to_string(),
            Self::Decimal(number) => number.to_plain_string(),
            Self::Text(text) => text.clone(),
            Self::Time(at) => told(at),
            Self::List(_) | Self::Struct(_) => serde_json::to_string(self).unwrap_or_default(),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Missing | Self::Null)
    }

    /// The number that it is or that its text spells.
    pub(super) fn number(&self) -> Option<Self> {
        match self {
            Self::Int(_) | Self::Float(_) | Self::Decimal(_) => Some(self.clone()),
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
            Self::Decimal(number) => number.to_f64().filter(|number| number.is_finite()),
            _ => None,
        }
    }

    /// The decimal that it is or that its text spells, exactly; of a float, the shortest that stands for it.
    pub(super) fn decimal(&self) -> Option<BigDecimal> {
        match self {
            Self::Int(number) => Some(BigDecimal::from(*number)),
            Self::Decimal(number) => Some(number.clone()),
            Self::Float(number) => spelt(&json!(number).to_string()),
            Self::Text(text) => spelt(text.trim()),
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
                (a @ Self::Decimal(_), b @ (Self::Decimal(_) | Self::Int(_)))
                | (a @ Self::Int(_), b @ Self::Decimal(_)) => Some(a.decimal()?.cmp(&b.decimal()?)),
                (a, b) => a.float()?.partial_cmp(&b.float()?),
            },
        }
    }
}

/// As JSON; members that are missing are left out.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing | Self::Null => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Int(number) => to.serialize_i64(*number),
            Self::Float(number) => to.serialize_f64(*number),
            // With all its digits.
            Self::Decimal(_) => {
                serde_json::value::RawValue::from_string(self.text()).map_err(S::Error::custom)?.serialize(to)
            }
            Self::Text(text) => to.serialize_str(text),
            Self::Time(_) => to.serialize_str(&self.text()),
            Self::List(list) => {
                let mut out = to.serialize_seq(None)?;
                list.iter().filter(|one| **one != Self::Missing).try_for_each(|one| out.serialize_element(one))?;
                out.end()
            }
            Self::Struct(members) => {
                let mut out = to.serialize_map(None)?;
                let mut told = members.iter().filter(|(_, value)| *value != Self::Missing);
                told.try_for_each(|(name, value)| out.serialize_entry(name, value))?;
                out.end()
            }
        }
    }
}

/// Digits of a decimal. Source: S3 User Guide, "Data types".
const DIGITS: u64 = 38;
/// Zeros that a decimal is written with at most, so that none is long.
const MAX_SCALE: i64 = 400;

fn spelt(text: &str) -> Option<BigDecimal> {
    if text.len() > 1000 {
        return None;
    }
    rounded(text.parse().ok()?)
}

/// With 38 digits; none where that is too large or too small a number.
pub(super) fn rounded(number: BigDecimal) -> Option<BigDecimal> {
    if number.fractional_digit_count().abs() > 2 * MAX_SCALE {
        return None;
    }
    let number = match number.digits() {
        ..=DIGITS => number,
        _ => Context::default().with_prec(DIGITS)?.with_rounding_mode(RoundingMode::HalfEven).round_decimal(number),
    };
    (number.fractional_digit_count().abs() <= MAX_SCALE).then_some(number)
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
