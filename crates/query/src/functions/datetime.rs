//! Dates and times: truncation, arithmetic, MySQL and Joda patterns, Unix time, zones.

use std::sync::Arc;

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType};
use datafusion::common::Result;
use datafusion::logical_expr::ReturnFieldArgs;

use super::{Function, argument, error, get, integers, strings};
use crate::types::TIMESTAMP;

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("date_trunc", |types| time_type(types, 1), date_trunc),
        Function::new("date_add", |types| time_type(types, 2), date_add),
        Function::new("date_diff", |_| Ok(DataType::Int64), date_diff),
        Function::new("date_format", |_| Ok(DataType::Utf8), |args, rows| format(args, rows, mysql)),
        Function::new("format_datetime", |_| Ok(DataType::Utf8), |args, rows| format(args, rows, joda)),
        Function::new("date_parse", |_| Ok(TIMESTAMP), |args, rows| read(args, rows, mysql, false)),
        Function::new("try_date_parse", |_| Ok(TIMESTAMP), |args, rows| read(args, rows, mysql, true)),
        Function::new("parse_datetime", |_| Ok(utc()), |args, rows| read(args, rows, joda, false)),
        Function::new("try_parse_datetime", |_| Ok(utc()), |args, rows| read(args, rows, joda, true)),
        Function::new("from_iso8601_timestamp", |_| Ok(utc()), |args, rows| iso_timestamp(args, rows, false)),
        Function::new("try_from_iso8601_timestamp", |_| Ok(utc()), |args, rows| iso_timestamp(args, rows, true)),
        Function::new(
            "from_iso8601_date",
            |_| Ok(DataType::Date32),
            |args, _| Ok(cast(&strings(args, 0)?, &DataType::Date32)?),
        ),
        Function::new(
            "try_from_iso8601_date",
            |_| Ok(DataType::Date32),
            |args, _| Ok(cast(&strings(args, 0)?, &DataType::Date32)?),
        ),
        Function::new("to_iso8601", |_| Ok(DataType::Utf8), to_iso8601),
        Function::new("from_unixtime", |_| Ok(utc()), from_unixtime),
        Function::new("to_unixtime", |_| Ok(DataType::Float64), to_unixtime),
        Function::new("last_day_of_month", |_| Ok(DataType::Date32), last_day_of_month),
        Function::new("at_timezone", |_| Ok(utc()), |args, _| at_timezone(argument(args, 0)?)).by_value(zone_argument),
        Function::new("zoned_timestamp", |_| Ok(utc()), zoned_timestamp).by_value(zone_in_text),
    ]
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Dates stay dates, all else becomes a timestamp with milliseconds.
fn time_type(types: &[DataType], index: usize) -> Result<DataType> {
    match types.get(index) {
        Some(DataType::Date32) => Ok(DataType::Date32),
        Some(DataType::Timestamp(_, zone)) => Ok(DataType::Timestamp(TimeUnit::Millisecond, zone.clone())),
        Some(DataType::Null) => Ok(TIMESTAMP),
        Some(other) => Err(datafusion::common::DataFusionError::Plan(format!(
            "Unexpected parameters for a date function, coerce of {} failed. Expected: date or timestamp",
            crate::types::trino_data_type(other)
        ))),
        None => Err(error("an argument is missing")),
    }
}

/// Milliseconds since the epoch, whatever the array holds of dates and times.
fn millis_array(array: &ArrayRef) -> Result<ArrayRef> {
    let zone = match array.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    Ok(cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone))?)
}

/// The same instants; the caller's cast gives them the zone. Times without a zone are in UTC.
fn at_timezone(array: &ArrayRef) -> Result<ArrayRef> {
    let millis = millis_array(array)?;
    Ok(match millis.data_type() {
        DataType::Timestamp(_, None) => {
            Arc::new(millis.as_primitive::<TimestampMillisecondType>().clone().with_timezone("UTC"))
        }
        _ => millis,
    })
}

/// The local times of an array, and the way back.
struct Times {
    values: TimestampMillisecondArray,
    zone: Zone,
}

#[derive(Clone, Copy)]
enum Zone {
    None,
    Fixed(chrono::FixedOffset),
    Named(chrono_tz::Tz),
}

impl Zone {
    fn of(name: Option<&str>) -> Self {
        match name {
            None | Some("UTC" | "+00:00" | "Z") => Self::None,
            Some(name) => match (name.parse(), name.parse()) {
                (Ok(tz), _) => Self::Named(tz),
                (_, Ok(offset)) => Self::Fixed(offset),
                _ => Self::None,
            },
        }
    }

    fn local(self, millis: i64) -> Option<NaiveDateTime> {
        let utc = DateTime::from_timestamp_millis(millis)?;
        Some(match self {
            Self::None => utc.naive_utc(),
            Self::Fixed(offset) => utc.with_timezone(&offset).naive_local(),
            Self::Named(tz) => utc.with_timezone(&tz).naive_local(),
        })
    }

    fn millis(self, local: NaiveDateTime) -> i64 {
        let naive = local.and_utc().timestamp_millis();
        match self {
            Self::None => naive,
            Self::Fixed(offset) => naive - i64::from(offset.local_minus_utc()) * 1000,
            Self::Named(tz) => match tz.offset_from_local_datetime(&local).earliest() {
                Some(offset) => naive - i64::from(offset.fix().local_minus_utc()) * 1000,
                None => naive,
            },
        }
    }
}

impl Times {
    fn new(array: &ArrayRef) -> Result<Self> {
        let millis = millis_array(array)?;
        let zone = match millis.data_type() {
            DataType::Timestamp(_, zone) => Zone::of(zone.as_deref()),
            _ => Zone::None,
        };
        Ok(Self { values: millis.as_primitive::<TimestampMillisecondType>().clone(), zone })
    }

    fn get(&self, row: usize) -> Option<NaiveDateTime> {
        self.values.is_valid(row).then(|| self.values.value(row)).and_then(|millis| self.zone.local(millis))
    }

    /// New times in the zone of these, as an array of the given type.
    fn build(&self, ty: &DataType, values: impl Iterator<Item = Option<NaiveDateTime>>) -> Result<ArrayRef> {
        let millis: TimestampMillisecondArray = values.map(|time| time.map(|time| self.zone.millis(time))).collect();
        let array: ArrayRef = match ty {
            DataType::Timestamp(_, Some(zone)) => Arc::new(millis.with_timezone(Arc::clone(zone))),
            _ => Arc::new(millis),
        };
        Ok(if matches!(ty, DataType::Date32) { cast(&array, ty)? } else { array })
    }
}

fn date_trunc(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (units, array) = (strings(args, 0)?, argument(args, 1)?);
    let times = Times::new(array)?;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match (get(&units, row), times.get(row)) {
            (Some(unit), Some(time)) => Some(truncate(unit, time)?),
            _ => None,
        });
    }
    times.build(array.data_type(), values.into_iter())
}

fn truncate(unit: &str, time: NaiveDateTime) -> Result<NaiveDateTime> {
    let date = time.date();
    let start = |date: Option<NaiveDate>| date.unwrap_or_else(|| time.date()).and_time(NaiveTime::MIN);
    let floor = |millis: i64| {
        let now = time.and_utc().timestamp_millis();
        DateTime::from_timestamp_millis(now - now.rem_euclid(millis)).map_or(time, |t| t.naive_utc())
    };
    Ok(match unit.to_lowercase().as_str() {
        "millisecond" => floor(1),
        "second" => floor(1000),
        "minute" => floor(60_000),
        "hour" => floor(3_600_000),
        "day" => start(Some(date)),
        "week" => start(date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))),
        "month" => start(date.with_day(1)),
        "quarter" => start(NaiveDate::from_ymd_opt(date.year(), (date.month0() / 3) * 3 + 1, 1)),
        "year" => start(NaiveDate::from_ymd_opt(date.year(), 1, 1)),
        _ => return Err(error(format_args!("'{unit}' is not a valid Timestamp field"))),
    })
}

fn date_add(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (units, amounts, array) = (strings(args, 0)?, integers(args, 1)?, argument(args, 2)?);
    let times = Times::new(array)?;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match (get(&units, row), amounts.is_valid(row), times.get(row)) {
            (Some(unit), true, Some(time)) => Some(add(unit, amounts.value(row), time)?),
            _ => None,
        });
    }
    times.build(array.data_type(), values.into_iter())
}

fn add(unit: &str, amount: i64, time: NaiveDateTime) -> Result<NaiveDateTime> {
    let months = |per: i64| {
        let amount = amount.checked_mul(per)?;
        let size = Months::new(u32::try_from(amount.unsigned_abs()).ok()?);
        if amount < 0 { time.checked_sub_months(size) } else { time.checked_add_months(size) }
    };
    let millis = |per: i64| time.checked_add_signed(TimeDelta::try_milliseconds(amount.checked_mul(per)?)?);
    let result = match unit.to_lowercase().as_str() {
        "millisecond" => millis(1),
        "second" => millis(1000),
        "minute" => millis(60_000),
        "hour" => millis(3_600_000),
        "day" => millis(86_400_000),
        "week" => millis(7 * 86_400_000),
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        _ => return Err(error(format_args!("'{unit}' is not a valid Timestamp field"))),
    };
    result.ok_or_else(|| error("the date is out of range"))
}

fn date_diff(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let units = strings(args, 0)?;
    let (from, to) = (Times::new(argument(args, 1)?)?, Times::new(argument(args, 2)?)?);
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match (get(&units, row), from.get(row), to.get(row)) {
            (Some(unit), Some(from), Some(to)) => Some(difference(unit, from, to)?),
            _ => None,
        });
    }
    Ok(Arc::new(Int64Array::from(values)))
}

/// Whole units between two times.
fn difference(unit: &str, from: NaiveDateTime, to: NaiveDateTime) -> Result<i64> {
    let millis = (to - from).num_milliseconds();
    let months = || {
        let (early, late, sign) = if to >= from { (from, to, 1) } else { (to, from, -1) };
        let mut count = i64::from(late.year() - early.year()) * 12 + i64::from(late.month()) - i64::from(early.month());
        if (late.day(), late.time()) < (early.day(), early.time()) {
            count -= 1;
        }
        count * sign
    };
    Ok(match unit.to_lowercase().as_str() {
        "millisecond" => millis,
        "second" => millis / 1000,
        "minute" => millis / 60_000,
        "hour" => millis / 3_600_000,
        "day" => millis / 86_400_000,
        "week" => millis / (7 * 86_400_000),
        "month" => months(),
        "quarter" => months() / 3,
        "year" => months() / 12,
        _ => return Err(error(format_args!("'{unit}' is not a valid Timestamp field"))),
    })
}

fn format(args: &[ArrayRef], rows: usize, pattern: fn(&str) -> String) -> Result<ArrayRef> {
    let (times, formats) = (Times::new(argument(args, 0)?)?, strings(args, 1)?);
    let mut last: Option<(String, String)> = None;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let (Some(time), Some(format)) = (times.get(row), get(&formats, row)) else {
            values.push(None);
            continue;
        };
        if last.as_ref().is_none_or(|(known, _)| known != format) {
            last = Some((format.to_owned(), pattern(format)));
        }
        let mut text = String::new();
        let chrono = last.as_ref().map_or("", |(_, chrono)| chrono.as_str());
        std::fmt::Write::write_fmt(&mut text, format_args!("{}", time.and_utc().format(chrono)))
            .map_err(|_| error(format_args!("Invalid format: \"{format}\"")))?;
        values.push(Some(text));
    }
    Ok(Arc::new(StringArray::from(values)))
}

fn read(args: &[ArrayRef], rows: usize, pattern: fn(&str) -> String, lenient: bool) -> Result<ArrayRef> {
    let (texts, formats) = (strings(args, 0)?, strings(args, 1)?);
    let mut last: Option<(String, String)> = None;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let (Some(text), Some(format)) = (get(&texts, row), get(&formats, row)) else {
            values.push(None);
            continue;
        };
        if last.as_ref().is_none_or(|(known, _)| known != format) {
            last = Some((format.to_owned(), pattern(format).replace(".%6f", "%.f").replace(".%3f", "%.f")));
        }
        let chrono = last.as_ref().map_or("", |(_, chrono)| chrono.as_str());
        match parsed(text, chrono) {
            Some(millis) => values.push(Some(millis)),
            None if lenient => values.push(None),
            None => return Err(error(format_args!("Invalid format: \"{text}\""))),
        }
    }
    Ok(Arc::new(TimestampMillisecondArray::from(values)))
}

/// Reads a time; what the pattern lacks is as in 1970-01-01 00:00:00.
fn parsed(text: &str, pattern: &str) -> Option<i64> {
    let mut found = Parsed::new();
    parse(&mut found, text, StrftimeItems::new(pattern)).ok()?;
    let date = found.to_naive_date().ok().or_else(|| {
        let year = found.year().or_else(|| Some(2000 + found.year_mod_100()?)).unwrap_or(1970);
        NaiveDate::from_ymd_opt(year, found.month().unwrap_or(1), found.day().unwrap_or(1))
    })?;
    let hour = found.hour_div_12().unwrap_or(0) * 12 + found.hour_mod_12().unwrap_or(0);
    let time = NaiveTime::from_hms_nano_opt(
        hour,
        found.minute().unwrap_or(0),
        found.second().unwrap_or(0),
        found.nanosecond().unwrap_or(0),
    )?;
    Some(date.and_time(time).and_utc().timestamp_millis() - i64::from(found.offset().unwrap_or(0)) * 1000)
}

/// A MySQL pattern in chrono's letters.
fn mysql(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('i') => out.push_str("%M"),
            Some('s' | 'S') => out.push_str("%S"),
            Some('f') => out.push_str("%6f"),
            Some('M') => out.push_str("%B"),
            Some('W') => out.push_str("%A"),
            Some('e') => out.push_str("%-d"),
            Some('c') => out.push_str("%-m"),
            Some('k') => out.push_str("%-H"),
            Some('l') => out.push_str("%-I"),
            Some('h') => out.push_str("%I"),
            Some('r') => out.push_str("%I:%M:%S %p"),
            Some('v') => out.push_str("%V"),
            Some('x') => out.push_str("%G"),
            Some(same @ ('Y' | 'y' | 'm' | 'd' | 'H' | 'I' | 'j' | 'p' | 'a' | 'b' | 'T' | '%')) => {
                out.push('%');
                out.push(same);
            }
            Some(other) => out.push(other),
            None => out.push_str("%%"),
        }
    }
    out
}

/// A Joda pattern in chrono's letters.
fn joda(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            for inner in chars.by_ref().take_while(|c| *c != '\'') {
                out.push(inner);
            }
            continue;
        }
        if !c.is_ascii_alphabetic() {
            out.push_str(if c == '%' { "%%" } else { "" });
            if c != '%' {
                out.push(c);
            }
            continue;
        }
        let mut width = 1;
        while chars.next_if_eq(&c).is_some() {
            width += 1;
        }
        out.push_str(match (c, width) {
            ('y' | 'Y', 2) => "%y",
            ('y' | 'Y', _) => "%Y",
            ('M', 1) => "%-m",
            ('M', 2) => "%m",
            ('M', 3) => "%b",
            ('M', _) => "%B",
            ('d', 1) => "%-d",
            ('d', _) => "%d",
            ('D', _) => "%j",
            ('E', 1..=3) => "%a",
            ('E', _) => "%A",
            ('H', 1) => "%-H",
            ('H', _) => "%H",
            ('h', _) => "%I",
            ('m', 1) => "%-M",
            ('m', _) => "%M",
            ('s', 1) => "%-S",
            ('s', _) => "%S",
            ('S', 1..=3) => "%3f",
            ('S', _) => "%6f",
            ('a', _) => "%p",
            ('Z', 1) => "%z",
            ('Z', _) => "%:z",
            ('z', _) => "UTC",
            _ => "",
        });
    }
    out
}

fn iso_timestamp(args: &[ArrayRef], rows: usize, lenient: bool) -> Result<ArrayRef> {
    let texts = strings(args, 0)?;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let value = match get(&texts, row) {
            None => None,
            Some(text) => {
                let millis = DateTime::parse_from_rfc3339(text)
                    .ok()
                    .map(|time| time.timestamp_millis())
                    .or_else(|| crate::scan::read_timestamp(text));
                if millis.is_none() && !lenient {
                    return Err(error(format_args!("Invalid format: \"{text}\"")));
                }
                millis
            }
        };
        values.push(value);
    }
    Ok(Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC")))
}

fn to_iso8601(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let array = argument(args, 0)?;
    let times = Times::new(array)?;
    let pattern = match array.data_type() {
        DataType::Date32 => "%Y-%m-%d",
        DataType::Timestamp(_, Some(_)) => "%Y-%m-%dT%H:%M:%S%.3fZ",
        _ => "%Y-%m-%dT%H:%M:%S%.3f",
    };
    Ok(Arc::new((0..rows).map(|row| Some(times.get(row)?.format(pattern).to_string())).collect::<StringArray>()))
}

fn from_unixtime(args: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    let seconds = cast(argument(args, 0)?, &DataType::Float64)?;
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit becomes the last time there is")]
    let millis = |seconds: f64| (seconds * 1000.0).round() as i64;
    let millis: TimestampMillisecondArray =
        seconds.as_primitive::<Float64Type>().iter().map(|s| s.map(millis)).collect();
    Ok(Arc::new(millis.with_timezone("UTC")))
}

fn to_unixtime(args: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    let millis = millis_array(argument(args, 0)?)?;
    #[expect(clippy::cast_precision_loss, reason = "a double is what Trino gives")]
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let seconds: Float64Array =
        millis.as_primitive::<TimestampMillisecondType>().iter().map(|ms| ms.map(seconds)).collect();
    Ok(Arc::new(seconds))
}

fn last_day_of_month(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let times = Times::new(argument(args, 0)?)?;
    let values = (0..rows).map(|row| {
        let date = times.get(row)?.date().with_day(1)?;
        Some(date.checked_add_months(Months::new(1))?.pred_opt()?.and_time(NaiveTime::MIN))
    });
    times.build(&DataType::Date32, values)
}

fn zone_argument(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    let zone = args
        .scalar_arguments
        .get(1)
        .copied()
        .flatten()
        .and_then(|value| value.try_as_str().flatten().map(str::to_owned));
    let zone = zone.ok_or_else(|| error("the time zone must be a literal"))?;
    check_zone(&zone)
}

fn check_zone(zone: &str) -> Result<DataType> {
    let known = zone.parse::<chrono_tz::Tz>().is_ok() || zone.parse::<chrono::FixedOffset>().is_ok();
    if !known {
        return Err(error(format_args!("'{zone}' is not a valid time zone")));
    }
    Ok(DataType::Timestamp(TimeUnit::Millisecond, Some(zone.into())))
}

/// `2017-01-01 00:00:00 America/New_York` → the time and the zone.
fn split_zone(text: &str) -> (&str, &str) {
    let text = text.trim();
    let clock = text.find(' ').map_or(0, |at| at + 1);
    let zone = text[clock..].find(|c: char| c.is_alphabetic() || c == '+' || c == '-').map(|at| clock + at);
    match zone {
        Some(at) => (text[..at].trim_end(), &text[at..]),
        None => (text, "UTC"),
    }
}

fn zone_in_text(args: &ReturnFieldArgs<'_>) -> Result<DataType> {
    let text = args.scalar_arguments.first().copied().flatten().and_then(|value| value.try_as_str().flatten());
    check_zone(split_zone(text.ok_or_else(|| error("a literal is needed"))?).1)
}

fn zoned_timestamp(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let texts = strings(args, 0)?;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let text = get(&texts, row).unwrap_or_default();
        let (clock, zone) = split_zone(text);
        let local = crate::scan::read_timestamp(clock).and_then(DateTime::from_timestamp_millis);
        let local = local.ok_or_else(|| error(format_args!("'{text}' is not a valid TIMESTAMP literal")))?;
        values.push(Zone::of(Some(zone)).millis(local.naive_utc()));
    }
    Ok(Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_mysql_and_joda() {
        assert_eq!(mysql("%Y-%m-%d %H:%i:%s"), "%Y-%m-%d %H:%M:%S");
        assert_eq!(joda("yyyy-MM-dd'T'HH:mm:ss.SSS"), "%Y-%m-%dT%H:%M:%S.%3f");
        assert_eq!(parsed("2013-02", "%Y-%m"), Some(1_359_676_800_000));
        assert_eq!(parsed("20130201 5PM", "%Y%m%d %-I%p"), Some(1_359_738_000_000));
        assert_eq!(parsed("x", "%Y"), None);
    }

    #[test]
    fn whole_months_between() {
        let at = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        assert_eq!(difference("month", at("2013-01-31T00:00:00"), at("2013-02-28T00:00:00")).unwrap(), 0);
        assert_eq!(difference("month", at("2013-03-15T00:00:00"), at("2013-01-15T00:00:00")).unwrap(), -2);
        assert_eq!(difference("day", at("2013-03-15T12:00:00"), at("2013-03-16T11:00:00")).unwrap(), 0);
        assert!(difference("eon", at("2013-03-15T12:00:00"), at("2013-03-16T11:00:00")).is_err());
    }
}
