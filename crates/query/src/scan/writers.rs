//! Builds one Arrow column out of the texts of a file's field, nested columns out of their parts. What cannot be read
//! as the column's type is null, as Hive's LazySimpleSerDe has it; OpenCSVSerde asks to be told instead. How texts of
//! numbers, dates and times are read was asked of Trino's Hive connector.

use std::sync::Arc;

use base64::Engine;
use chrono::NaiveDate;
use datafusion::arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanArray, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray, StringBuilder,
    StructArray, TimestampMillisecondBuilder, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{filter, is_not_null};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};

use crate::error::{Error, Result};
use crate::types::TRINO_TYPE;

/// Items of one list or map column in one batch: Arrow counts them with 32 bits.
const MOST_ITEMS: usize = i32::MAX as usize;

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
    Utf8(StringBuilder, Length),
    Binary(BinaryBuilder),
    List(Box<ListWriter>),
    Map(Box<MapWriter>),
    Struct(Box<StructWriter>),
}

/// What becomes of text that is longer than its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Any,
    /// `varchar(n)`: cut.
    Varchar(usize),
    /// `char(n)`: cut, and blanks at its end do not count.
    Char(usize),
}

impl Length {
    pub(crate) fn of(field: &Field) -> Self {
        let Some(ty) = field.metadata().get(TRINO_TYPE) else { return Self::Any };
        let length = |kind: &str| ty.strip_prefix(kind)?.strip_suffix(')')?.trim().parse::<usize>().ok();
        match (length("varchar("), length("char(")) {
            (Some(n), _) => Self::Varchar(n),
            (None, Some(n)) => Self::Char(n),
            _ => Self::Any,
        }
    }

    pub(crate) fn cut(self, text: &str) -> &str {
        let first = |n: usize| text.char_indices().nth(n).map_or(text, |(at, _)| &text[..at]);
        match self {
            Self::Any => text,
            Self::Varchar(n) => first(n),
            Self::Char(n) => first(n).trim_end_matches(' '),
        }
    }
}

pub(crate) struct ListWriter {
    pub(crate) item: Writer,
    field: FieldRef,
    rows: Rows,
}

pub(crate) struct MapWriter {
    pub(crate) key: Writer,
    pub(crate) value: Writer,
    entries: FieldRef,
    pair: Fields,
    sorted: bool,
    rows: Rows,
}

pub(crate) struct StructWriter {
    pub(crate) members: Vec<Writer>,
    pub(crate) fields: Fields,
    valid: Vec<bool>,
}

/// Which rows are there, and how many items each has.
#[derive(Default)]
struct Rows {
    lengths: Vec<usize>,
    valid: Vec<bool>,
    items: usize,
}

impl Rows {
    fn push(&mut self, items: Option<usize>) -> Result<()> {
        self.items += items.unwrap_or(0);
        if self.items > MOST_ITEMS {
            return Err(Error::bad_data("a batch of rows has too many list or map items"));
        }
        self.lengths.push(items.unwrap_or(0));
        self.valid.push(items.is_some());
        Ok(())
    }

    /// Leaves out the items that are not kept.
    fn retain(&mut self, keep: &BooleanArray) {
        let mut at = 0;
        for length in &mut self.lengths {
            let kept = (at..at + *length).filter(|i| keep.value(*i)).count();
            at += *length;
            *length = kept;
        }
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, NullBuffer) {
        let rows = std::mem::take(self);
        (OffsetBuffer::from_lengths(rows.lengths), NullBuffer::from(rows.valid))
    }
}

impl ListWriter {
    /// Ends a row whose `items` have been written.
    pub(crate) fn end(&mut self, items: usize) -> Result<()> {
        self.rows.push(Some(items))
    }
}

impl MapWriter {
    /// Ends a row whose `entries` have been written.
    pub(crate) fn end(&mut self, entries: usize) -> Result<()> {
        self.rows.push(Some(entries))
    }
}

impl StructWriter {
    /// Ends a row whose members have been written.
    pub(crate) fn end(&mut self) {
        self.valid.push(true);
    }
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
            DataType::Utf8 => Self::Utf8(StringBuilder::with_capacity(rows, rows * 8), Length::of(field)),
            DataType::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, rows * 8)),
            DataType::List(item) => Self::List(Box::new(ListWriter {
                item: Self::new(item, rows)?,
                field: Arc::clone(item),
                rows: Rows::default(),
            })),
            DataType::Map(entries, sorted) => {
                let DataType::Struct(pair) = entries.data_type() else {
                    return Err(Error::internal("a map without entries"));
                };
                Self::Map(Box::new(MapWriter {
                    key: Self::new(&pair[0], rows)?,
                    value: Self::new(&pair[1], rows)?,
                    entries: Arc::clone(entries),
                    pair: pair.clone(),
                    sorted: *sorted,
                    rows: Rows::default(),
                }))
            }
            DataType::Struct(fields) => Self::Struct(Box::new(StructWriter {
                members: fields.iter().map(|field| Self::new(field, rows)).collect::<Result<_>>()?,
                fields: fields.clone(),
                valid: Vec::with_capacity(rows),
            })),
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
            Self::Utf8(b, _) => b.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::List(b) => {
                b.rows.lengths.push(0);
                b.rows.valid.push(false);
            }
            Self::Map(b) => {
                b.rows.lengths.push(0);
                b.rows.valid.push(false);
            }
            Self::Struct(b) => {
                b.members.iter_mut().for_each(Self::null);
                b.valid.push(false);
            }
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
            Self::Utf8(b, length) => {
                b.append_value(length.cut(text));
                true
            }
            Self::Binary(b) => {
                match base64::engine::general_purpose::STANDARD.decode(text.as_bytes()) {
                    Ok(bytes) => b.append_value(bytes),
                    Err(_) => b.append_value(text.as_bytes()),
                }
                true
            }
            Self::Boolean(b) => parsed!(b, boolean(text)),
            Self::Int8(b) => parsed!(b, integer(text).and_then(|n| i8::try_from(n).ok())),
            Self::Int16(b) => parsed!(b, integer(text).and_then(|n| i16::try_from(n).ok())),
            Self::Int32(b) => parsed!(b, integer(text).and_then(|n| i32::try_from(n).ok())),
            Self::Int64(b) => parsed!(b, integer(text)),
            Self::Float32(b) => parsed!(b, java_number(text).and_then(|text| text.parse::<f32>().ok())),
            Self::Float64(b) => parsed!(b, java_number(text).and_then(|text| text.parse::<f64>().ok())),
            Self::Decimal(b, p, s) => parsed!(b, decimal(text, *p, *s)),
            Self::Date(b) => parsed!(b, date(text)),
            Self::Timestamp(b) => parsed!(b, hive_timestamp(text)),
            Self::List(_) | Self::Map(_) | Self::Struct(_) => {
                self.null();
                false
            }
        }
    }

    /// Dates and times as OpenCSVSerde has them: numbers since the epoch, and nothing else.
    pub(crate) fn push_since_epoch(&mut self, text: &str) -> bool {
        let appended = match self {
            Self::Date(b) => text.parse::<i32>().ok().map(|days| b.append_value(days)),
            Self::Timestamp(b) => text.parse::<i64>().ok().map(|millis| b.append_value(millis)),
            _ => return self.push(text),
        };
        if appended.is_none() {
            self.null();
        }
        appended.is_some()
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
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
            Self::Utf8(b, _) => Arc::new(b.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
            Self::List(b) => {
                let (offsets, valid) = b.rows.finish();
                let items = b.item.finish()?;
                let list = ListArray::try_new(Arc::clone(&b.field), offsets, items, Some(valid));
                Arc::new(list.map_err(Error::internal)?)
            }
            Self::Map(b) => {
                let (mut keys, mut values) = (b.key.finish()?, b.value.finish()?);
                if keys.null_count() > 0 {
                    // What cannot be read as a key makes no entry.
                    let keep = is_not_null(&keys).map_err(Error::internal)?;
                    b.rows.retain(&keep);
                    keys = filter(&keys, &keep).map_err(Error::internal)?;
                    values = filter(&values, &keep).map_err(Error::internal)?;
                }
                let (offsets, valid) = b.rows.finish();
                let columns = vec![keys, values];
                let pairs = StructArray::try_new(b.pair.clone(), columns, None).map_err(Error::internal)?;
                let map = MapArray::try_new(Arc::clone(&b.entries), offsets, pairs, Some(valid), b.sorted);
                Arc::new(map.map_err(Error::internal)?)
            }
            Self::Struct(b) => {
                let valid = NullBuffer::from(std::mem::take(&mut b.valid));
                if b.fields.is_empty() {
                    return Ok(new_null_array(&DataType::Struct(b.fields.clone()), valid.len()));
                }
                let columns = b.members.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(b.fields.clone(), columns, Some(valid)).map_err(Error::internal)?)
            }
        })
    }
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Hive takes `12.5` for 12, and blanks for nothing that belongs to a number.
pub(crate) fn integer(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (whole, fraction) = text.split_once('.')?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match whole {
        "" | "-" | "+" if fraction.is_empty() => None,
        "" | "-" | "+" => Some(0),
        _ => whole.parse().ok(),
    }
}

/// What `Double.parseDouble` reads, in a spelling that Rust reads alike: blanks around it and a `d` or `f` behind do
/// not matter, `NaN` and `Infinity` are spelt so and not otherwise.
pub(crate) fn java_number(text: &str) -> Option<&str> {
    let text = text.trim_matches(|c: char| c <= ' ');
    match text.trim_start_matches(['+', '-']) {
        "NaN" | "Infinity" => return Some(text),
        _ => {}
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(digits.bytes().next(), Some(b'0'..=b'9' | b'.')).then_some(text)
}

/// The unscaled number, rounded half up to the scale; `None` when it does not fit the precision.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let number = unscaled(text, i32::from(scale), true)?;
    (number.abs() < 10i128.checked_pow(u32::from(precision))?).then_some(number)
}

/// The whole part of a number written with a fraction or an exponent.
pub(crate) fn decimal_floor(text: &str) -> Option<i64> {
    i64::try_from(unscaled(text, 0, false)?).ok()
}

/// The number times ten to the `scale`, its fraction cut off.
pub(crate) fn decimal_down(text: &str, scale: i32) -> Option<i128> {
    unscaled(text, scale, false)
}

fn unscaled(text: &str, scale: i32, round: bool) -> Option<i128> {
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
    let shift = scale.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if shift >= 0 {
        number = if number == 0 { 0 } else { number.checked_mul(10i128.checked_pow(shift.unsigned_abs())?)? };
    } else if let Some(divisor) = 10i128.checked_pow(shift.unsigned_abs()) {
        number = number.checked_add(if round { divisor / 2 } else { 0 })? / divisor;
    } else {
        number = 0;
    }
    Some(if negative { -number } else { number })
}

/// `2013-01-31`, as days since 1970. Months and days past their end go on in the next, as Java's lenient reader has it;
/// what follows a blank does not count.
pub(crate) fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    lenient_date(text.split(' ').next().unwrap_or(text))
}

fn lenient_date(text: &str) -> Option<i32> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.split('-');
    let mut number = || -> Option<i64> {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    };
    let (year, month, day) = (number()?, number()?, number()?);
    if parts.next().is_some() {
        return None;
    }
    let months = (if negative { -year } else { year }).checked_mul(12)?.checked_add(month - 1)?;
    let year = i32::try_from(months.div_euclid(12)).ok()?;
    let first = NaiveDate::from_ymd_opt(year, u32::try_from(months.rem_euclid(12)).ok()? + 1, 1)?;
    let days = i64::from(first.to_epoch_days()) + day - 1;
    i32::try_from(days).ok().filter(|days| days.abs() < 90_000_000)
}

/// What Hive reads as a timestamp when no format is given: `2013-01-31 5:00:00.123456789`, a date alone, or
/// `2013-01-31T05:00[:00[.123]]`; as milliseconds since 1970, rounded half up as Trino does. A zone is none of it.
pub(crate) fn hive_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() < 8 {
        return None;
    }
    let at = text.find([' ', 'T', 't']);
    let Some(at) = at else { return Some(i64::from(lenient_date(text)?) * 86_400_000) };
    let midnight = i64::from(lenient_date(&text[..at])?) * 86_400_000;
    let iso = !text[at..].starts_with(' ');
    let (clock, fraction) = match text[at + 1..].split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (&text[at + 1..], None),
    };
    let mut parts = clock.split(':');
    let mut number = || -> Option<i64> {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    };
    let (hour, minute) = (number()?, number()?);
    let second = number();
    let complete = second.is_some() && parts.next().is_none();
    let short = iso && second.is_none() && clock.matches(':').count() == 1 && fraction.is_none();
    if !complete && !short {
        return None;
    }
    let nanos = match fraction {
        None => 0,
        Some(digits) => {
            let right = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            right.then(|| format!("{digits:0<9}").parse::<i64>().ok())??
        }
    };
    let millis = ((hour * 60 + minute) * 60 + second.unwrap_or(0)) * 1000 + (nanos + 500_000).div_euclid(1_000_000);
    Some(midnight + millis)
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
        assert_eq!(integer(" 12"), None);
        assert_eq!(integer(".5"), Some(0));
        let read = |text| java_number(text).and_then(|text| text.parse::<f64>().ok());
        assert_eq!(read(" -1 "), Some(-1.0));
        assert_eq!(read("1e3d"), Some(1000.0));
        assert!(read("NaN").is_some_and(f64::is_nan));
        assert_eq!((read("inf"), read("nan"), read("1_0"), read("")), (None, None, None, None));
    }

    #[test]
    fn dates_and_times_as_hive_reads_them() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("1970-1-2 05:00:00"), Some(1));
        assert_eq!(date("1970-13-02"), Some(366));
        assert_eq!(date("1970-02-30"), Some(60));
        assert_eq!((date("1970-01"), date("1970-01-02T05"), date("x")), (None, None, None));
        assert_eq!(hive_timestamp("1970-01-01 00:00:01.5"), Some(1500));
        assert_eq!(hive_timestamp("1970-01-01 00:00:01.6789"), Some(1679));
        assert_eq!(hive_timestamp("1970-01-01T01:00"), Some(3_600_000));
        assert_eq!(hive_timestamp("1970-01-01"), Some(0));
        assert_eq!((hive_timestamp("1970-01-01 01:00"), hive_timestamp("1970-01-01T01:00:00Z")), (None, None));
    }
}
