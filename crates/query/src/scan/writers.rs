//! Builds one Arrow column out of the texts of a text file's field. What cannot be read as the column's type is null,
//! as Hive's LazySimpleSerDe has it; OpenCSVSerde asks to be told instead.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveTime};
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field};

use crate::error::{Error, Result};

pub(crate) enum Writer {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMillisecondBuilder),
    Utf8(StringBuilder),
    Binary(BinaryBuilder),
}

impl Writer {
    pub(crate) fn new(field: &Field, rows: usize) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::Float32 => Self::Float32(Float32Builder::with_capacity(rows)),
            DataType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            DataType::Decimal128(p, s) => {
                let builder = Decimal128Builder::with_capacity(rows).with_data_type(DataType::Decimal128(*p, *s));
                Self::Decimal(builder, *p, *s)
            }
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Timestamp(..) => Self::Timestamp(TimestampMillisecondBuilder::with_capacity(rows)),
            DataType::Utf8 => Self::Utf8(StringBuilder::with_capacity(rows, rows * 8)),
            DataType::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, rows * 8)),
            other => {
                return Err(Error::not_supported(format_args!(
                    "Column {}: type {} in a text file",
                    field.name(),
                    crate::types::trino_data_type(other)
                )));
            }
        })
    }

    pub(crate) fn null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Int16(b) => b.append_null(),
            Self::Int32(b) => b.append_null(),
            Self::Int64(b) => b.append_null(),
            Self::Float32(b) => b.append_null(),
            Self::Float64(b) => b.append_null(),
            Self::Decimal(b, ..) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::Utf8(b) => b.append_null(),
            Self::Binary(b) => b.append_null(),
        }
    }

    /// Appends the text's value, or null; `false` when the text is no value of the type.
    pub(crate) fn push(&mut self, text: &str) -> bool {
        macro_rules! parsed {
            ($builder:expr, $value:expr) => {{
                let value = $value;
                $builder.append_option(value);
                value.is_some()
            }};
        }
        match self {
            Self::Utf8(b) => {
                b.append_value(text);
                true
            }
            Self::Binary(b) => {
                b.append_value(text.as_bytes());
                true
            }
            Self::Boolean(b) => parsed!(b, boolean(text)),
            Self::Int8(b) => parsed!(b, integer(text).and_then(|n| i8::try_from(n).ok())),
            Self::Int16(b) => parsed!(b, integer(text).and_then(|n| i16::try_from(n).ok())),
            Self::Int32(b) => parsed!(b, integer(text).and_then(|n| i32::try_from(n).ok())),
            Self::Int64(b) => parsed!(b, integer(text)),
            Self::Float32(b) => parsed!(b, text.trim().parse::<f32>().ok().filter(|_| is_number(text))),
            Self::Float64(b) => parsed!(b, text.trim().parse::<f64>().ok().filter(|_| is_number(text))),
            Self::Decimal(b, p, s) => parsed!(b, decimal(text, *p, *s)),
            Self::Date(b) => parsed!(b, date(text)),
            Self::Timestamp(b) => parsed!(b, timestamp(text)),
        }
    }

    /// Dates and times as OpenCSVSerde has them: numbers since the epoch.
    pub(crate) fn push_since_epoch(&mut self, text: &str) -> bool {
        match self {
            Self::Date(b) => match text.trim().parse::<i32>() {
                Ok(days) => {
                    b.append_value(days);
                    true
                }
                Err(_) => self.push(text),
            },
            Self::Timestamp(b) => match text.trim().parse::<i64>() {
                Ok(millis) => {
                    b.append_value(millis);
                    true
                }
                Err(_) => self.push(text),
            },
            _ => self.push(text),
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Int8(b) => Arc::new(b.finish()),
            Self::Int16(b) => Arc::new(b.finish()),
            Self::Int32(b) => Arc::new(b.finish()),
            Self::Int64(b) => Arc::new(b.finish()),
            Self::Float32(b) => Arc::new(b.finish()),
            Self::Float64(b) => Arc::new(b.finish()),
            Self::Decimal(b, ..) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
            Self::Utf8(b) => Arc::new(b.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Hive takes `12.5` for 12.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (whole, fraction) = text.split_once('.')?;
    fraction.bytes().all(|b| b.is_ascii_digit()).then(|| whole.parse().ok())?
}

/// Java reads no `inf` and `nan` but in its own spelling.
fn is_number(text: &str) -> bool {
    let text = text.trim();
    match text.trim_start_matches(['+', '-']).bytes().next() {
        Some(b'0'..=b'9' | b'.') => true,
        _ => matches!(text.trim_start_matches(['+', '-']), "NaN" | "Infinity"),
    }
}

/// The unscaled number, rounded half up to the scale; `None` when it does not fit the precision.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if shift >= 0 {
        number = number.checked_mul(10i128.checked_pow(shift.unsigned_abs())?)?;
    } else if let Some(divisor) = 10i128.checked_pow(shift.unsigned_abs()) {
        number = number.checked_add(divisor / 2)? / divisor;
    } else {
        number = 0;
    }
    let fits = number < 10i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -number } else { number })
}

/// `2013-01-31`, as days since 1970.
pub(crate) fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    let (day, rest) = split_date(text)?;
    (rest.is_empty() || rest.starts_with([' ', 'T'])).then(|| days_since_epoch(day))
}

fn days_since_epoch(day: NaiveDate) -> i32 {
    day.to_epoch_days()
}

/// `2013-01-31 05:00[:00[.123456789]]`, `T` and `Z` as in ISO 8601, as milliseconds since 1970.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (day, rest) = split_date(text)?;
    let midnight = i64::from(days_since_epoch(day)) * 86_400_000;
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix([' ', 'T'])?;
    let rest = rest.strip_suffix('Z').or_else(|| rest.strip_suffix("+00:00")).unwrap_or(rest).trim_end();
    let (clock, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let second = match parts.next() {
        Some(second) => second.parse().ok()?,
        None => 0,
    };
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    let mut millis = 0;
    for i in 0..3 {
        millis = millis * 10 + fraction.as_bytes().get(i).map_or(0, |b| i64::from(b - b'0'));
    }
    Some(midnight + i64::from(chrono::Timelike::num_seconds_from_midnight(&time)) * 1000 + millis)
}

fn split_date(text: &str) -> Option<(NaiveDate, &str)> {
    let (year, rest) = text.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, rest) = rest.split_at(end);
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    Some((NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_hive_reads_them() {
        assert_eq!(integer("12"), Some(12));
        assert_eq!(integer("12.7"), Some(12));
        assert_eq!(integer("12.x"), None);
        assert_eq!(integer("NA"), None);
        assert_eq!(integer(""), None);
        assert_eq!(decimal("1.25", 5, 1), Some(13));
        assert_eq!(decimal("-1.2e1", 5, 2), Some(-1200));
        assert_eq!(decimal("99999", 4, 0), None);
        assert_eq!(decimal("1e-99", 4, 0), Some(0));
        assert_eq!(decimal("x", 4, 0), None);
        assert!(is_number("-1") && is_number("NaN") && !is_number("inf") && !is_number("nan"));
    }

    #[test]
    fn times_as_java_sql_timestamp_reads_them() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("1970-13-02"), None);
        assert_eq!(timestamp("1970-01-01 00:00:01.5"), Some(1500));
        assert_eq!(timestamp("1970-01-01T01:00:00Z"), Some(3_600_000));
        assert_eq!(timestamp("1970-01-01"), Some(0));
        assert_eq!(timestamp("yesterday"), None);
        assert_eq!(timestamp("1970-01-01 25:00:00"), None);
    }
}
