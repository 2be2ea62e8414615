//! Values as text: as casts to varchar write them, and as results show them.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate};

use crate::types::Type;
use crate::value::{PICOS, PICOS_PER_DAY, Value};
use crate::zone::{Zone, write_offset};

/// As results show it. A null writes nothing here, `null` inside of others.
pub fn write_result(value: &Value, ty: &Type, out: &mut String) {
    match (value, ty) {
        (Value::Null, _) => {}
        (Value::Double(x), _) => write_double(*x, out),
        (Value::Real(x), _) => write_float(*x, out),
        (Value::Str(text), Type::Char(n)) => pad(text, *n, out),
        (Value::Bytes(bytes), Type::Uuid | Type::Ipaddress) => write_bytes(bytes, ty, out),
        (Value::Bytes(bytes), _) => {
            for (i, byte) in bytes.iter().enumerate() {
                let _ = write!(out, "{}{byte:02x}", if i > 0 { " " } else { "" });
            }
        }
        (Value::Array(items), Type::Array(item)) => {
            out.push('[');
            for (i, value) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_nested(value, item, out);
            }
            out.push(']');
        }
        (Value::Map(entries), Type::Map(key, item)) => {
            out.push('{');
            for (i, (k, v)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_nested(k, key, out);
                out.push('=');
                write_nested(v, item, out);
            }
            out.push('}');
        }
        (Value::Row(items), Type::Row(fields)) => {
            out.push('{');
            for (i, (value, (name, ty))) in items.iter().zip(fields).enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                let _ = match name {
                    Some(name) => write!(out, "{name}="),
                    None => write!(out, "field{i}="),
                };
                write_nested(value, ty, out);
            }
            out.push('}');
        }
        (Value::Timestamp(_) | Value::TimestampTz(..), Type::Timestamp(p @ 0..=2)) => {
            let _ = p;
            write(value, &Type::Timestamp(3), out);
        }
        (Value::TimestampTz(..), Type::TimestampTz(0..=2)) => write(value, &Type::TimestampTz(3), out),
        (Value::Time(_), Type::Time(0..=2)) => write(value, &Type::Time(3), out),
        (Value::TimeTz(..), Type::TimeTz(0..=2)) => write(value, &Type::TimeTz(3), out),
        _ => write(value, ty, out),
    }
}

fn write_nested(value: &Value, ty: &Type, out: &mut String) {
    if value.is_null() { out.push_str("null") } else { write_result(value, ty, out) }
}

/// As `CAST(x AS varchar)` writes it.
pub fn to_text(value: &Value, ty: &Type) -> String {
    let mut out = String::new();
    write(value, ty, &mut out);
    out
}

pub fn write(value: &Value, ty: &Type, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => {
            let _ = write!(out, "{i}");
        }
        Value::Real(x) => write_scientific(f64::from(*x), 6, out),
        Value::Double(x) => write_scientific(*x, 19, out),
        Value::Decimal(x) => write_decimal(*x, if let Type::Decimal(_, s) = ty { *s } else { 0 }, out),
        Value::Str(text) => match ty {
            Type::Char(n) => pad(text, *n, out),
            _ => out.push_str(text),
        },
        Value::Bytes(bytes) => write_bytes(bytes, ty, out),
        Value::Date(days) => write_date(i64::from(*days), out),
        Value::Time(picos) => write_time(*picos, if let Type::Time(p) = ty { *p } else { 3 }, out),
        Value::TimeTz(picos, offset) => {
            write_time(*picos, if let Type::TimeTz(p) = ty { *p } else { 3 }, out);
            let _ = write_offset(*offset, out);
        }
        Value::Timestamp(picos) => write_timestamp(*picos, if let Type::Timestamp(p) = ty { *p } else { 3 }, out),
        Value::TimestampTz(picos, zone) => {
            let precision = if let Type::TimestampTz(p) = ty { *p } else { 3 };
            write_timestamp(local(*picos, *zone), precision, out);
            let _ = write!(out, " {zone}");
        }
        Value::IntervalDay(ms) => write_interval_day(*ms, out),
        Value::IntervalYear(months) => {
            let sign = if *months < 0 { "-" } else { "" };
            let _ = write!(out, "{sign}{}-{}", months.unsigned_abs() / 12, months.unsigned_abs() % 12);
        }
        Value::Array(_) | Value::Map(_) | Value::Row(_) => write_result(value, ty, out),
    }
}

/// What a clock in the zone shows at an instant.
pub fn local(picos: i128, zone: Zone) -> i128 {
    let seconds = i64::try_from(picos.div_euclid(PICOS)).unwrap_or(0);
    picos + i128::from(zone.seconds_at(seconds)) * PICOS
}

/// The instant at which clocks in the zone show this.
pub fn instant(local: i128, zone: Zone) -> i128 {
    let seconds = i64::try_from(local.div_euclid(PICOS)).unwrap_or(0);
    local - i128::from(zone.seconds_for_local(seconds)) * PICOS
}

fn pad(text: &str, length: u32, out: &mut String) {
    out.push_str(text);
    let missing = (length as usize).saturating_sub(text.chars().count());
    out.extend(std::iter::repeat_n(' ', missing));
}

fn write_bytes(bytes: &[u8], ty: &Type, out: &mut String) {
    match ty {
        Type::Uuid => {
            for (i, byte) in bytes.iter().enumerate() {
                let _ = write!(out, "{}{byte:02x}", if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" });
            }
        }
        Type::Ipaddress => {
            if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
                let address = std::net::Ipv6Addr::from(octets);
                let _ = match address.to_ipv4_mapped() {
                    Some(v4) => write!(out, "{v4}"),
                    None => write!(out, "{address}"),
                };
            }
        }
        _ => out.push_str(&String::from_utf8_lossy(bytes)),
    }
}

pub fn write_date(days: i64, out: &mut String) {
    let date = i32::try_from(days + 719_163).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
    let _ = match date {
        Some(date) => write!(out, "{}", date.format("%Y-%m-%d")),
        None => write!(out, "{days}"),
    };
}

fn write_fraction(picos: i64, precision: u8, out: &mut String) {
    if precision > 0 {
        let digits = format!("{picos:012}");
        let _ = write!(out, ".{}", digits.get(..usize::from(precision.min(12))).unwrap_or(&digits));
    }
}

pub fn write_time(picos: i64, precision: u8, out: &mut String) {
    let seconds = picos / 1_000_000_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_fraction(picos % 1_000_000_000_000, precision, out);
}

pub fn write_timestamp(picos: i128, precision: u8, out: &mut String) {
    let day = i128::from(PICOS_PER_DAY);
    write_date(i64::try_from(picos.div_euclid(day)).unwrap_or(i64::MAX), out);
    out.push(' ');
    write_time(i64::try_from(picos.rem_euclid(day)).unwrap_or(0), precision, out);
}

pub fn write_interval_day(ms: i64, out: &mut String) {
    let sign = if ms < 0 { "-" } else { "" };
    let rest = ms.unsigned_abs();
    let (seconds, millis) = (rest / 1000, rest % 1000);
    let _ = write!(
        out,
        "{sign}{} {:02}:{:02}:{:02}.{millis:03}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
}

pub fn write_decimal(value: i128, scale: u8, out: &mut String) {
    let scale = usize::from(scale);
    if scale == 0 {
        let _ = write!(out, "{value}");
        return;
    }
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let _ = write!(out, "{}{whole}.{fraction}", if value < 0 { "-" } else { "" });
}

/// Java's `DecimalFormat("0.0###E0")` with so many digits after the point.
fn write_scientific(value: f64, digits: usize, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value < 0.0 { "-Infinity" } else { "Infinity" });
    } else if value == 0.0 {
        out.push_str(if value.is_sign_negative() { "-0E0" } else { "0E0" });
    } else {
        let shortest = shortest(value);
        let text = match shortest.split_once('e') {
            Some((mantissa, _)) if mantissa.trim_start_matches('-').len() > digits + 2 => format!("{value:.digits$e}"),
            _ => shortest,
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0') } else { mantissa };
        let zero = if mantissa.ends_with('.') {
            "0"
        } else if mantissa.contains('.') {
            ""
        } else {
            ".0"
        };
        let _ = write!(out, "{mantissa}{zero}E{exponent}");
    }
}

/// Java's `Double.toString`.
pub fn write_double(value: f64, out: &mut String) {
    if value.is_nan() || value.is_infinite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        write_plain(format_args!("{value:?}"), value.is_infinite(), value < 0.0, out);
    } else {
        write_exponent(&shortest(value), out);
    }
}

/// A double in the fewest digits, with an exponent, as Java chooses them.
pub fn shortest(value: f64) -> String {
    two_digits(format!("{value:e}"), format!("{value:.1e}"), |text| text.parse() == Ok(value))
}

/// A real in the fewest digits, with an exponent, as Java chooses them.
pub fn shortest_real(value: f32) -> String {
    two_digits(format!("{value:e}"), format!("{value:.1e}"), |text| text.parse() == Ok(value))
}

/// Java gives two digits at least, the nearest two: 4.9E-324, not 5.0E-324.
fn two_digits(short: String, longer: String, same: impl Fn(&str) -> bool) -> String {
    if short.split('e').next().is_some_and(|mantissa| !mantissa.contains('.')) && same(&longer) {
        longer
    } else {
        short
    }
}

/// Java's `Float.toString`.
pub fn write_float(value: f32, out: &mut String) {
    if value.is_nan() || value.is_infinite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        write_plain(format_args!("{value:?}"), value.is_infinite(), value < 0.0, out);
    } else {
        write_exponent(&shortest_real(value), out);
    }
}

fn write_plain(text: std::fmt::Arguments<'_>, infinite: bool, negative: bool, out: &mut String) {
    if infinite {
        out.push_str(if negative { "-Infinity" } else { "Infinity" });
    } else {
        let _ = out.write_fmt(text);
    }
}

/// Rust writes `1e7` where Java writes `1.0E7`.
fn write_exponent(text: &str, out: &mut String) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let _ = write!(out, "{mantissa}{point}E{exponent}");
}

/// Year, month and day of a count of days.
pub fn civil(days: i64) -> Option<NaiveDate> {
    i32::try_from(days + 719_163).ok().and_then(NaiveDate::from_num_days_from_ce_opt)
}

/// The moment, in UTC, of a local timestamp.
pub fn date_time(picos: i128) -> Option<chrono::NaiveDateTime> {
    let seconds = i64::try_from(picos.div_euclid(PICOS)).ok()?;
    let nanos = u32::try_from(picos.rem_euclid(PICOS) / 1000).ok()?;
    DateTime::from_timestamp(seconds, nanos).map(|utc| utc.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_cast_in_scientific_form() {
        let text = |x: f64| to_text(&Value::Double(x), &Type::Double);
        assert_eq!(
            [2.5, 1e20, 0.1, 123_456_789.123, 0.0, -0.0, f64::NAN].map(text),
            ["2.5E0", "1.0E20", "1.0E-1", "1.23456789123E8", "0E0", "-0E0", "NaN"]
        );
        assert_eq!(to_text(&Value::Real(f32::MAX), &Type::Real), "3.402823E38");
        assert_eq!(to_text(&Value::Real(0.1), &Type::Real), "1.0E-1");
    }

    #[test]
    fn intervals_and_times() {
        assert_eq!(to_text(&Value::IntervalDay(-90_061_001), &Type::IntervalDay), "-1 01:01:01.001");
        assert_eq!(to_text(&Value::IntervalYear(-14), &Type::IntervalYear), "-1-2");
        assert_eq!(
            to_text(&Value::TimestampTz(0, Zone::Offset(90)), &Type::TimestampTz(0)),
            "1970-01-01 01:30:00 +01:30"
        );
    }

    #[test]
    fn results_as_athena_shows_them() {
        let text = |value: &Value, ty: &str| {
            let mut out = String::new();
            write_result(value, &Type::parse(ty).unwrap(), &mut out);
            out
        };
        assert_eq!(text(&Value::Double(1e7), "double"), "1.0E7");
        assert_eq!(text(&Value::str("ab"), "char(4)"), "ab  ");
        assert_eq!(text(&Value::Row(vec![Value::Int(1), Value::Null]), "row(a bigint, b varchar)"), "{a=1, b=null}");
        assert_eq!(text(&Value::Bytes(vec![0x68, 0x69]), "varbinary"), "68 69");
        assert_eq!(text(&Value::Timestamp(0), "timestamp(0)"), "1970-01-01 00:00:00.000");
    }
}
