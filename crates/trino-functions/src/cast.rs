//! `CAST` between any two types, as Trino does it.

use crate::error::{Error, Result};
use crate::json;
use crate::parse::{self, Digits};
use crate::text::{instant, local, to_text};
use crate::types::Type;
use crate::value::{PICOS_PER_DAY, Value, packed_millis};
use crate::zone::Zone;

/// Whether there is such a cast at all.
pub fn is_possible(from: &Type, to: &Type) -> bool {
    use Type as T;
    match (from, to) {
        (T::Unknown, _) => true,
        (a, b) if a == b => true,
        (T::Array(a), T::Array(b)) => is_possible(a, b),
        (T::Map(k, v), T::Map(l, w)) => is_possible(k, l) && is_possible(v, w),
        (T::Row(a), T::Row(b)) => a.len() == b.len() && a.iter().zip(b).all(|((_, a), (_, b))| is_possible(a, b)),
        (from, T::Json) => json::from_possible(from),
        (T::Json, to) => json::to_possible(to),
        (T::Varchar(_), to) => {
            !matches!(to, T::IntervalDay | T::IntervalYear | T::Array(_) | T::Map(..) | T::Row(_) | T::Sketch(..))
        }
        (T::Char(_), T::Varchar(_) | T::Char(_)) => true,
        (T::Char(_), _) => false,
        (
            T::Boolean | T::Tinyint | T::Smallint | T::Integer | T::Bigint | T::Real | T::Double | T::Decimal(..),
            T::Boolean
            | T::Tinyint
            | T::Smallint
            | T::Integer
            | T::Bigint
            | T::Real
            | T::Double
            | T::Decimal(..)
            | T::Varchar(_),
        )
        | (T::Varbinary, T::Varbinary | T::Uuid | T::Ipaddress | T::Sketch("HyperLogLog", _))
        | (T::Date, T::Varchar(_) | T::Timestamp(_) | T::TimestampTz(_))
        | (
            T::Time(_) | T::TimeTz(_),
            T::Varchar(_) | T::Time(_) | T::TimeTz(_) | T::Timestamp(_) | T::TimestampTz(_),
        )
        | (
            T::Timestamp(_) | T::TimestampTz(_),
            T::Varchar(_) | T::Date | T::Time(_) | T::TimeTz(_) | T::Timestamp(_) | T::TimestampTz(_),
        )
        | (T::IntervalDay | T::IntervalYear, T::Varchar(_))
        | (T::Uuid | T::Ipaddress, T::Varchar(None) | T::Varbinary) => true,
        _ => false,
    }
}

/// The cast of one value; `today` is the date that a time cast to a timestamp gets.
pub fn cast(value: &Value, from: &Type, to: &Type) -> Result<Value> {
    use Type as T;
    if value.is_null() || from == to {
        return Ok(value.clone());
    }
    match (value, to) {
        (_, T::Json) => json::from_value(value, from).map(|json| Value::Str(json.to_string())),
        (Value::Str(text), _) if *from == T::Json => json::cast(text, to),
        (Value::Array(items), T::Array(item)) => {
            let T::Array(old) = from else { return impossible(from, to) };
            Ok(Value::Array(items.iter().map(|v| cast(v, old, item)).collect::<Result<_>>()?))
        }
        (Value::Map(entries), T::Map(key, item)) => {
            let T::Map(old_key, old_item) = from else { return impossible(from, to) };
            let mut new: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
            for (k, v) in entries {
                let k = cast(k, old_key, key)?;
                if new.iter().any(|(known, _)| *known == k) {
                    return Err(Error::cast("duplicate keys"));
                }
                new.push((k, cast(v, old_item, item)?));
            }
            Ok(Value::Map(new))
        }
        (Value::Row(items), T::Row(fields)) => {
            let T::Row(old) = from else { return impossible(from, to) };
            let items = items.iter().zip(old).zip(fields).map(|((v, (_, a)), (_, b))| cast(v, a, b));
            Ok(Value::Row(items.collect::<Result<_>>()?))
        }
        (_, T::Varchar(_) | T::Char(_)) => to_varchar(value, from, to),
        (Value::Str(text), _) => from_text(text, from, to),
        (Value::Bool(_) | Value::Int(_) | Value::Real(_) | Value::Double(_) | Value::Decimal(_), _) => {
            number(value, from, to)
        }
        (Value::Bytes(bytes), T::Uuid) => match bytes.len() {
            16 => Ok(value.clone()),
            n => Err(Error::cast(format!("Invalid UUID binary length: {n}"))),
        },
        (Value::Bytes(bytes), T::Ipaddress) => match bytes.len() {
            16 => Ok(value.clone()),
            4 => Ok(Value::Bytes([&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], bytes.as_slice()].concat())),
            n => Err(Error::cast(format!("Invalid IP address binary length: {n}"))),
        },
        (Value::Bytes(_), T::Varbinary) => Ok(value.clone()),
        _ => match temporal(value, to) {
            Some(Value::TimestampTz(picos, _)) if packed_millis(picos).is_err() => {
                let millis = picos.div_euclid(1_000_000_000);
                Err(Error::cast(format!("Out of range for timestamp with time zone: {millis}")))
            }
            Some(done) => Ok(done),
            None => impossible(from, to),
        },
    }
}

fn impossible<R>(from: &Type, to: &Type) -> Result<R> {
    Err(Error::type_mismatch(format!("Cannot cast {from} to {to}")))
}

fn to_varchar(value: &Value, from: &Type, to: &Type) -> Result<Value> {
    let text = match (value, from) {
        (Value::Str(text), Type::Varchar(_)) => text.clone(),
        // A char cast to varchar keeps its padding.
        _ => to_text(value, from),
    };
    match to {
        Type::Char(n) => Ok(Value::Str(first(&text, *n).trim_end_matches(' ').to_owned())),
        Type::Varchar(Some(n)) if text.chars().count() > *n as usize => {
            if from.is_text() {
                return Ok(Value::Str(first(&text, *n).to_owned()));
            }
            let shown = match value {
                Value::Double(x) => {
                    let mut shown = String::new();
                    crate::text::write_double(*x, &mut shown);
                    format!("{shown} ({text})")
                }
                Value::Real(x) => {
                    let mut shown = String::new();
                    crate::text::write_float(*x, &mut shown);
                    format!("{shown} ({text})")
                }
                _ => text,
            };
            Err(Error::cast(format!("Value {shown} cannot be represented as varchar({n})")))
        }
        _ => Ok(Value::Str(text)),
    }
}

/// The first characters of a text.
fn first(text: &str, length: u32) -> &str {
    text.char_indices().nth(length as usize).map_or(text, |(end, _)| &text[..end])
}

fn from_text(text: &str, from: &Type, to: &Type) -> Result<Value> {
    use Type as T;
    let wrong = |name: &str| Error::cast(format!("Cannot cast '{text}' to {name}"));
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    macro_rules! integer {
        ($int:ty, $name:literal) => {
            trimmed.parse::<$int>().map(|i| Value::Int(i.into())).map_err(|_| wrong($name))
        };
    }
    match to {
        T::Boolean => match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "1" => Ok(Value::Bool(true)),
            "f" | "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(wrong("BOOLEAN")),
        },
        T::Tinyint => integer!(i8, "TINYINT"),
        T::Smallint => integer!(i16, "SMALLINT"),
        T::Integer => integer!(i32, "INT"),
        T::Bigint => integer!(i64, "BIGINT"),
        T::Double => java_double(trimmed).map(Value::Double).ok_or_else(|| wrong("DOUBLE")),
        T::Real => {
            java_number(trimmed).and_then(|t| t.parse::<f32>().ok()).map(Value::Real).ok_or_else(|| wrong("REAL"))
        }
        T::Decimal(p, s) => {
            let target = format!("Cannot cast VARCHAR '{text}' to DECIMAL({p}, {s}).");
            let digits = Digits::parse(text).ok_or_else(|| Error::cast(format!("{target} Value is not a number.")))?;
            digits
                .at(i32::from(*s))
                .filter(|v| fits(*v, *p))
                .map(Value::Decimal)
                .ok_or_else(|| Error::cast(format!("{target} Value too large.")))
        }
        T::Varbinary => Ok(Value::Bytes(text.as_bytes().to_vec())),
        T::Date => parse::date(trimmed)
            .map(Value::Date)
            .ok_or_else(|| Error::cast(format!("Value cannot be cast to date: {text}"))),
        T::Time(p) => match parse::time(text) {
            Some((picos, _, None)) => Ok(Value::Time(round_time(picos, *p))),
            _ => Err(Error::cast(format!("Value cannot be cast to time: {text}"))),
        },
        T::TimeTz(p) => match parse::time(text) {
            Some((picos, _, zone)) => Ok(Value::TimeTz(round_time(picos, *p), zone.unwrap_or(0))),
            None => Err(Error::cast(format!("Value cannot be cast to time with time zone: {text}"))),
        },
        T::Timestamp(p) => match parse::timestamp(trimmed) {
            // A zone is read and dropped.
            Some((picos, _, _)) => Ok(Value::Timestamp(parse::round_picos(picos, *p))),
            None => Err(Error::cast(format!("Value cannot be cast to timestamp: {text}"))),
        },
        T::TimestampTz(p) => match parse::timestamp(trimmed) {
            Some((picos, _, zone)) => {
                let zone = zone.unwrap_or(Zone::UTC);
                if parse::is_skipped(picos, zone) {
                    return Err(Error::cast(format!("Value cannot be cast to timestamp: {text}")));
                }
                Ok(Value::TimestampTz(instant(parse::round_picos(picos, *p), zone), zone))
            }
            None => Err(Error::cast(format!("Value cannot be cast to timestamp: {text}"))),
        },
        T::Uuid => {
            uuid(text).map(Value::Bytes).ok_or_else(|| Error::cast(format!("Cannot cast value to UUID: {text}")))
        }
        T::Ipaddress => address(text)
            .map(Value::Bytes)
            .ok_or_else(|| Error::cast(format!("Cannot cast value to IPADDRESS: {text}"))),
        _ => impossible(from, to),
    }
}

/// What `Double.parseDouble` takes, in Rust's form.
fn java_number(text: &str) -> Option<&str> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(body, "NaN" | "Infinity") {
        return Some(text);
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.').then_some(text)
}

pub fn java_double(text: &str) -> Option<f64> {
    java_number(text)?.parse().ok()
}

fn round_time(picos: i64, precision: u8) -> i64 {
    let rounded = parse::round_picos(i128::from(picos), precision);
    i64::try_from(rounded).unwrap_or(0) % PICOS_PER_DAY
}

fn uuid(text: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    let hex = parts.concat();
    (0..16).map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

fn address(text: &str) -> Option<Vec<u8>> {
    match text.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(v4) => Some(v4.to_ipv6_mapped().octets().to_vec()),
        std::net::IpAddr::V6(v6) => Some(v6.octets().to_vec()),
    }
}

/// Whether a decimal's digits are within its precision.
pub fn fits(value: i128, precision: u8) -> bool {
    LIMITS.get(usize::from(precision)).is_none_or(|limit| value.unsigned_abs() < *limit)
}

/// Powers of ten by their exponents.
const LIMITS: [u128; 39] = {
    let mut limits = [1; 39];
    let mut exponent = 1;
    while exponent < limits.len() {
        limits[exponent] = limits[exponent - 1] * 10;
        exponent += 1;
    }
    limits
};

fn limits(to: &Type) -> (i64, i64) {
    match to {
        Type::Tinyint => (i8::MIN.into(), i8::MAX.into()),
        Type::Smallint => (i16::MIN.into(), i16::MAX.into()),
        Type::Integer => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

fn java_text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Double(x) => crate::text::write_double(*x, &mut out),
        Value::Real(x) => crate::text::write_float(*x, &mut out),
        Value::Int(i) => out = i.to_string(),
        _ => {}
    }
    out
}

fn number(value: &Value, from: &Type, to: &Type) -> Result<Value> {
    use Type as T;
    let scale = if let T::Decimal(_, s) = from { *s } else { 0 };
    match to {
        T::Boolean => Ok(Value::Bool(match value {
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Real(x) => *x != 0.0,
            Value::Double(x) => *x != 0.0,
            Value::Decimal(x) => *x != 0,
            _ => return impossible(from, to),
        })),
        T::Tinyint | T::Smallint | T::Integer | T::Bigint => integer(value, from, to, scale),
        T::Double => Ok(Value::Double(match value {
            Value::Bool(b) => f64::from(u8::from(*b)),
            Value::Decimal(_) => to_text(value, from).parse().unwrap_or(f64::NAN),
            other => other.as_double(),
        })),
        T::Real => Ok(Value::Real(match value {
            Value::Bool(b) => f32::from(u8::from(*b)),
            Value::Int(i) => *i as f32,
            Value::Real(x) => *x,
            Value::Double(x) => *x as f32,
            Value::Decimal(_) => to_text(value, from).parse().unwrap_or(f32::NAN),
            _ => return impossible(from, to),
        })),
        T::Decimal(p, s) => {
            let (digits, had) = match value {
                Value::Bool(b) => (i128::from(*b), 0),
                Value::Int(i) => (i128::from(*i), 0),
                Value::Decimal(x) => (*x, i32::from(scale)),
                Value::Double(_) | Value::Real(_) => return float_to_decimal(value, from, *p, *s),
                _ => return impossible(from, to),
            };
            parse::rescale(digits, had, i32::from(*s)).filter(|v| fits(*v, *p)).map(Value::Decimal).ok_or_else(|| {
                let shown = to_text(value, from);
                let source = match from {
                    T::Decimal(q, t) => format!("DECIMAL({q}, {t})"),
                    other => other.base().to_uppercase(),
                };
                Error::cast(format!("Cannot cast {source} '{shown}' to DECIMAL({p}, {s})"))
            })
        }
        _ => impossible(from, to),
    }
}

fn integer(value: &Value, from: &Type, to: &Type, scale: u8) -> Result<Value> {
    let (least, most) = limits(to);
    let within = |i: i64| (least..=most).contains(&i);
    match value {
        Value::Bool(b) => Ok(Value::Int(i64::from(*b))),
        Value::Int(i) if within(*i) => Ok(Value::Int(*i)),
        Value::Int(i) => Err(Error::out_of_range(format!("Out of range for {to}: {i}"))),
        Value::Decimal(x) => parse::rescale(*x, i32::from(scale), 0)
            .and_then(|x| i64::try_from(x).ok())
            .filter(|i| within(*i))
            .map(Value::Int)
            .ok_or_else(|| {
                Error::cast(format!("Cannot cast '{}' to {}", to_text(value, from), to.base().to_uppercase()))
            }),
        Value::Double(_) | Value::Real(_) => {
            let shown = java_text(value);
            let rounded = value.as_double().round();
            if rounded.is_nan() {
                return Err(Error::cast(match (from, to) {
                    (Type::Double, Type::Bigint) => format!("Unable to cast {shown} to bigint"),
                    _ => format!("Cannot cast {from} NaN to {to}"),
                }));
            }
            if *to == Type::Bigint {
                if *from == Type::Real {
                    // Held within the type, as Java's `Math.round` does.
                    return Ok(Value::Int(rounded as i64));
                }
                if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
                    return Err(Error::cast(format!("Unable to cast {shown} to bigint")));
                }
                return Ok(Value::Int(rounded as i64));
            }
            if rounded < least as f64 || rounded > most as f64 {
                return Err(Error::out_of_range(format!("Out of range for {to}: {shown}")));
            }
            Ok(Value::Int(rounded as i64))
        }
        _ => impossible(from, to),
    }
}

fn float_to_decimal(value: &Value, from: &Type, p: u8, s: u8) -> Result<Value> {
    let shown = java_text(value);
    let wrong = || Error::cast(format!("Cannot cast {} '{shown}' to DECIMAL({p}, {s})", from.base().to_uppercase()));
    if !value.as_double().is_finite() {
        return Err(wrong());
    }
    // The shortest text is what rounds, not the exact binary value.
    let shortest = match value {
        Value::Real(x) => format!("{x:e}"),
        _ => format!("{:e}", value.as_double()),
    };
    match Digits::parse(&shortest).ok_or_else(wrong)?.at(i32::from(s)) {
        Some(value) if fits(value, p) => Ok(Value::Decimal(value)),
        // What 128 bits hold and no decimal does is told otherwise, but for those that Trino keeps in 64 bits.
        Some(value) if p > 18 && !fits(value, 38) => Err(Error::out_of_range("Decimal overflow")),
        _ => Err(wrong()),
    }
}

fn temporal(value: &Value, to: &Type) -> Option<Value> {
    use Type as T;
    let day = i128::from(PICOS_PER_DAY);
    let date = |picos: i128| i32::try_from(picos.div_euclid(day)).ok().map(Value::Date);
    let clock = |picos: i128| i64::try_from(picos.rem_euclid(day)).unwrap_or(0);
    Some(match (value, to) {
        (Value::Date(days), T::Timestamp(_)) => Value::Timestamp(i128::from(*days) * day),
        (Value::Date(days), T::TimestampTz(_)) => Value::TimestampTz(i128::from(*days) * day, Zone::UTC),
        (Value::Time(t) | Value::TimeTz(t, _), T::Time(p)) => Value::Time(round_time(*t, *p)),
        (Value::Time(t), T::TimeTz(p)) => Value::TimeTz(round_time(*t, *p), 0),
        (Value::TimeTz(t, zone), T::TimeTz(p)) => Value::TimeTz(round_time(*t, *p), *zone),
        (Value::Time(t) | Value::TimeTz(t, _), T::Timestamp(p)) => {
            Value::Timestamp(parse::round_picos(today() + i128::from(*t), *p))
        }
        (Value::Time(t), T::TimestampTz(p)) => {
            Value::TimestampTz(parse::round_picos(today() + i128::from(*t), *p), Zone::UTC)
        }
        (Value::TimeTz(t, zone), T::TimestampTz(p)) => {
            let zone = Zone::offset(i64::from(*zone)).unwrap_or(Zone::UTC);
            Value::TimestampTz(instant(parse::round_picos(today() + i128::from(*t), *p), zone), zone)
        }
        (Value::Timestamp(t), T::Date) => date(*t)?,
        (Value::Timestamp(t), T::Time(p)) => Value::Time(round_time(clock(*t), *p)),
        (Value::Timestamp(t), T::TimeTz(p)) => Value::TimeTz(round_time(clock(*t), *p), 0),
        (Value::Timestamp(t), T::Timestamp(p)) => Value::Timestamp(parse::round_picos(*t, *p)),
        (Value::Timestamp(t), T::TimestampTz(p)) => Value::TimestampTz(parse::round_picos(*t, *p), Zone::UTC),
        (Value::TimestampTz(t, zone), T::Date) => date(local(*t, *zone))?,
        (Value::TimestampTz(t, zone), T::Time(p)) => Value::Time(round_time(clock(local(*t, *zone)), *p)),
        (Value::TimestampTz(t, zone), T::TimeTz(p)) => {
            let offset = zone.seconds_at(parse::seconds(*t)) / 60;
            Value::TimeTz(round_time(clock(local(*t, *zone)), *p), i16::try_from(offset).ok()?)
        }
        (Value::TimestampTz(t, zone), T::Timestamp(p)) => Value::Timestamp(parse::round_picos(local(*t, *zone), *p)),
        (Value::TimestampTz(t, zone), T::TimestampTz(p)) => Value::TimestampTz(parse::round_picos(*t, *p), *zone),
        _ => return None,
    })
}

/// Midnight of the day of the query, which [`crate::clock`] knows.
fn today() -> i128 {
    crate::clock::now().div_euclid(i128::from(PICOS_PER_DAY)) * i128::from(PICOS_PER_DAY)
}
