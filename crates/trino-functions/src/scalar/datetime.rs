//! Dates, times, timestamps and intervals: their parts, their arithmetic, their zones.

use chrono::{Datelike, NaiveDate};

use super::Row;
use super::operator::{add_months, add_months_to};
use crate::call::{Call, Kernel::Nullable, Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::parse;
use crate::text::{civil, instant, local, to_text};
use crate::types::Type;
use crate::value::{PICOS, PICOS_PER_DAY, Value};
use crate::zone::Zone;

const DAY: i128 = PICOS_PER_DAY as i128;

/// What a clock shows at a value, in picoseconds of the local time line.
fn shown(value: &Value) -> i128 {
    match value {
        Value::Date(days) => i128::from(*days) * DAY,
        Value::Timestamp(t) => *t,
        Value::TimestampTz(t, zone) => local(*t, *zone),
        Value::Time(t) | Value::TimeTz(t, _) => i128::from(*t),
        _ => 0,
    }
}

pub(super) fn date_of(value: &Value) -> Result<NaiveDate> {
    i64::try_from(shown(value).div_euclid(DAY))
        .ok()
        .and_then(civil)
        .ok_or_else(|| Error::out_of_range("date out of range"))
}

fn days(date: NaiveDate) -> i32 {
    date.signed_duration_since(NaiveDate::default()).num_days() as i32
}

macro_rules! part {
    ($f:expr) => {
        Strict(|_, a| Ok(Value::Int(i64::from($f(date_of(&a[0])?)))))
    };
}

macro_rules! clock {
    ($unit:expr, $modulus:expr) => {
        Strict(|_, a| Ok(Value::Int((shown(&a[0]).rem_euclid(DAY) / $unit % $modulus) as i64)))
    };
}

macro_rules! of_interval {
    ($f:expr) => {
        Strict(|_, a| {
            Ok(Value::Int(match &a[0] {
                Value::IntervalDay(ms) => $f(*ms),
                Value::IntervalYear(months) => $f(i64::from(*months)),
                _ => 0,
            }))
        })
    };
}

const YEAR: crate::call::Kernel = part!(|d: NaiveDate| d.year());
const QUARTER: crate::call::Kernel = part!(|d: NaiveDate| d.month0() / 3 + 1);
const MONTH: crate::call::Kernel = part!(|d: NaiveDate| d.month());
const WEEK: crate::call::Kernel = part!(|d: NaiveDate| d.iso_week().week());
const DAY_OF_MONTH: crate::call::Kernel = part!(|d: NaiveDate| d.day());
const DAY_OF_WEEK: crate::call::Kernel = part!(|d: NaiveDate| d.weekday().number_from_monday());
const DAY_OF_YEAR: crate::call::Kernel = part!(|d: NaiveDate| d.ordinal());
const YEAR_OF_WEEK: crate::call::Kernel = part!(|d: NaiveDate| d.iso_week().year());
const HOUR: crate::call::Kernel = clock!(3600 * PICOS, 24);
const MINUTE: crate::call::Kernel = clock!(60 * PICOS, 60);
const SECOND: crate::call::Kernel = clock!(PICOS, 60);
const MILLISECOND: crate::call::Kernel = clock!(PICOS / 1000, 1000);

const LAST_DAY_OF_MONTH: Rows = |_, a| {
    let date = date_of(&a[0])?;
    let next = add_months(days(date.with_day(1).unwrap_or(date)), 1);
    Ok(Value::Date(next.ok_or_else(|| Error::out_of_range("date out of range"))? - 1))
};

const TO_DATE: Rows = |call, a| crate::cast::cast(&a[0], &call.params[0], &Type::Date);

/// The unit of a function's first argument, for what kind of value.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Picos(i128),
    Months(i64),
}

fn unit(name: &str, value: &Value) -> Result<Unit> {
    let kind = match value {
        Value::Date(_) => "DATE",
        Value::Time(_) | Value::TimeTz(..) => "TIME",
        _ => "TIMESTAMP",
    };
    let lower = name.to_lowercase();
    let found = match lower.as_str() {
        "millisecond" if kind != "DATE" => Some(Unit::Picos(PICOS / 1000)),
        "second" if kind != "DATE" => Some(Unit::Picos(PICOS)),
        "minute" if kind != "DATE" => Some(Unit::Picos(60 * PICOS)),
        "hour" if kind != "DATE" => Some(Unit::Picos(3600 * PICOS)),
        "day" if kind != "TIME" => Some(Unit::Picos(DAY)),
        "week" if kind != "TIME" => Some(Unit::Picos(7 * DAY)),
        "month" if kind != "TIME" => Some(Unit::Months(1)),
        "quarter" if kind != "TIME" => Some(Unit::Months(3)),
        "year" if kind != "TIME" => Some(Unit::Months(12)),
        _ => None,
    };
    found.ok_or_else(|| Error::argument(format!("'{name}' is not a valid {kind} field")))
}

const DATE_ADD: Rows = |call, a| {
    let unit = unit(a[0].as_str(), &a[2])?;
    let amount = a[1].as_int();
    let range = || Error::argument("date_add result out of range");
    Ok(match (&a[2], unit) {
        (Value::Date(date), Unit::Picos(picos)) => {
            let moved = i128::from(*date) + picos / DAY * i128::from(amount);
            Value::Date(i32::try_from(moved).map_err(|_| range())?)
        }
        (Value::Date(date), Unit::Months(months)) => {
            Value::Date(add_months(*date, months.saturating_mul(amount)).ok_or_else(range)?)
        }
        (Value::Time(t), Unit::Picos(picos)) => {
            Value::Time((i128::from(*t) + picos * i128::from(amount)).rem_euclid(DAY) as i64)
        }
        (Value::TimeTz(t, zone), Unit::Picos(picos)) => {
            Value::TimeTz((i128::from(*t) + picos * i128::from(amount)).rem_euclid(DAY) as i64, *zone)
        }
        (Value::Timestamp(t), Unit::Picos(picos)) => {
            let moved = rounded(t + picos * i128::from(amount), call);
            i64::try_from(moved.div_euclid(1_000_000)).map_err(|_| range())?;
            Value::Timestamp(moved)
        }
        (Value::Timestamp(t), Unit::Months(months)) => {
            Value::Timestamp(add_months_to(*t, months.saturating_mul(amount)).ok_or_else(range)?)
        }
        (Value::TimestampTz(t, zone), Unit::Picos(picos)) if picos < DAY => {
            Value::TimestampTz(rounded(t + picos * i128::from(amount), call), *zone)
        }
        (Value::TimestampTz(t, zone), Unit::Picos(picos)) => {
            Value::TimestampTz(instant(local(*t, *zone) + picos * i128::from(amount), *zone), *zone)
        }
        (Value::TimestampTz(t, zone), Unit::Months(months)) => {
            let moved = add_months_to(local(*t, *zone), months.saturating_mul(amount)).ok_or_else(range)?;
            Value::TimestampTz(instant(moved, *zone), *zone)
        }
        _ => return Err(Error::internal("date_add")),
    })
};

/// To as many digits as the type of the result has: a timestamp without fractions stays without them.
fn rounded(picos: i128, call: &Call) -> i128 {
    match call.returns {
        Type::Timestamp(p) | Type::TimestampTz(p) => parse::round_picos(picos, p),
        _ => picos,
    }
}

/// Whole months from one time to another.
fn months_between(from: i128, to: i128) -> i64 {
    // Back is as far as forth.
    if to < from {
        return -months_between(to, from);
    }
    let (Some(a), Some(b)) = (civil((from.div_euclid(DAY)) as i64), civil((to.div_euclid(DAY)) as i64)) else {
        return 0;
    };
    let mut months = (i64::from(b.year()) - i64::from(a.year())) * 12 + i64::from(b.month()) - i64::from(a.month());
    let moved = |months: i64| add_months_to(from, months).unwrap_or(from);
    if months > 0 && moved(months) > to {
        months -= 1;
    }
    months
}

const DATE_DIFF: Rows = |_, a| {
    let unit = unit(a[0].as_str(), &a[1])?;
    let (from, to) = match (&a[1], &a[2]) {
        // Clocks count days and more, instants count less.
        (Value::TimestampTz(t, zone), Value::TimestampTz(u, _)) => match unit {
            Unit::Picos(picos) if picos < DAY => (*t, *u),
            _ => (local(*t, *zone), local(*u, *zone)),
        },
        (Value::TimeTz(t, x), Value::TimeTz(u, y)) => {
            let utc = |picos: i64, offset: i16| (i128::from(picos) - i128::from(offset) * 60 * PICOS).rem_euclid(DAY);
            (utc(*t, *x), utc(*u, *y))
        }
        (x, y) => (shown(x), shown(y)),
    };
    Ok(Value::Int(match unit {
        Unit::Picos(picos) => ((to - from) / picos) as i64,
        Unit::Months(months) => months_between(from, to) / months,
    }))
};

const DATE_TRUNC: Rows = |_, a| {
    let unit = unit(a[0].as_str(), &a[1])?;
    let value = &a[1];
    let time = shown(value);
    let cut = match unit {
        Unit::Picos(picos) if picos == 7 * DAY => {
            let day = time.div_euclid(DAY);
            // 1970-01-01 was a Thursday.
            (day - (day + 3).rem_euclid(7)) * DAY
        }
        Unit::Picos(picos) => time.div_euclid(picos) * picos,
        Unit::Months(months) => {
            let date = date_of(value)?;
            let month = i64::from(date.month0()) / months * months;
            let first = NaiveDate::from_ymd_opt(date.year(), month as u32 + 1, 1);
            i128::from(days(first.unwrap_or(date))) * DAY
        }
    };
    Ok(match value {
        Value::Date(_) => Value::Date((cut / DAY) as i32),
        Value::Time(_) => Value::Time(cut as i64),
        Value::TimeTz(_, zone) => Value::TimeTz(cut as i64, *zone),
        Value::TimestampTz(t, zone) => match unit {
            // Below a day the offset stays what it was.
            Unit::Picos(picos) if picos < DAY => Value::TimestampTz(t - (time - cut), *zone),
            _ => Value::TimestampTz(instant(cut, *zone), *zone),
        },
        _ => Value::Timestamp(cut),
    })
};

fn offset_minutes(value: &Value) -> i64 {
    match value {
        Value::TimestampTz(t, zone) => zone.seconds_at(parse::seconds(*t)) / 60,
        Value::TimeTz(_, offset) => (*offset).into(),
        _ => 0,
    }
}

const TIMEZONE: Rows = |_, a| {
    Ok(match &a[0] {
        Value::TimestampTz(_, zone) => zone.to_string(),
        Value::TimeTz(_, offset) => {
            let mut text = String::new();
            let _ = crate::zone::write_offset(*offset, &mut text);
            text
        }
        _ => String::new(),
    }
    .into())
};

const AT_TIMEZONE: Rows = |_, a| {
    let zone = match &a[1] {
        Value::IntervalDay(ms) => {
            if ms % 60_000 != 0 {
                return Err(Error::argument("Invalid time zone offset interval: interval contains seconds"));
            }
            Zone::offset(ms / 60_000)?
        }
        text => Zone::of(text.as_str())?,
    };
    Ok(match &a[0] {
        Value::TimestampTz(t, _) => Value::TimestampTz(*t, zone),
        Value::TimeTz(t, offset) => {
            let now = crate::clock::now();
            let new = (zone.seconds_at(parse::seconds(now)) / 60) as i16;
            let moved = i128::from(*t) + i128::from(new - offset) * 60 * PICOS;
            Value::TimeTz(moved.rem_euclid(DAY) as i64, new)
        }
        other => other.clone(),
    })
};

const WITH_TIMEZONE: Rows = |_, a| {
    let zone = Zone::of(a[1].as_str())?;
    Ok(Value::TimestampTz(instant(shown(&a[0]), zone), zone))
};

fn unix(seconds: f64) -> Result<i128> {
    // `Math.round` makes 0 of what is no number.
    let millis = if seconds.is_nan() { 0.0 } else { (seconds * 1000.0).round() };
    if !millis.is_finite() || millis.abs() > 9.2e18 {
        return Err(Error::argument(format!("Timestamp overflow: {seconds}")));
    }
    Ok(millis as i128 * (PICOS / 1000))
}

const FROM_UNIXTIME: Rows = |_, a| {
    let zone = match &a[1..] {
        [] => Zone::UTC,
        [Value::Str(name)] => {
            Zone::of(name).map_err(|_| Error::not_supported(format!("Time zone not supported: {name}")))?
        }
        [hours, minutes, ..] => {
            let total = hours.as_int().checked_mul(60).and_then(|hours| hours.checked_add(minutes.as_int()));
            Zone::offset(total.ok_or_else(|| Error::argument("Invalid offset minutes"))?)?
        }
        _ => Zone::UTC,
    };
    Ok(Value::TimestampTz(unix(a[0].as_double())?, zone))
};

const FROM_UNIXTIME_NANOS: Rows = |call, a| {
    let nanos = match (&a[0], &call.params[0]) {
        (Value::Decimal(x), Type::Decimal(_, s)) => parse::rescale(*x, i32::from(*s), 0).unwrap_or(0),
        (value, _) => value.as_int().into(),
    };
    Ok(Value::TimestampTz(nanos * 1000, Zone::UTC))
};

const TO_UNIXTIME: Rows = |_, a| {
    let picos = match &a[0] {
        Value::TimestampTz(t, _) => *t,
        other => shown(other),
    };
    // Milliseconds first, as Trino divides.
    Ok(((picos.div_euclid(PICOS / 1_000_000)) as f64 / 1_000_000.0).into())
};

const TO_ISO8601: Rows = |call, a| {
    let mut text = to_text(&a[0], &call.params[0]);
    if let Value::TimestampTz(picos, zone) = &a[0] {
        let at = text.find(' ').unwrap_or(0);
        let end = text[at + 1..].find(' ').map_or(text.len(), |i| at + 1 + i);
        text.truncate(end);
        let minutes = offset_minutes(&a[0]);
        let seconds = zone.seconds_at(parse::seconds(*picos));
        if seconds % 60 != 0 {
            let mut shown = String::new();
            let _ = crate::zone::write_offset((seconds / 60) as i16, &mut shown);
            let rest = (seconds % 60).abs();
            let text =
                format!("Timezone with non-zero seconds offset cannot be rendered as ISO8601: {shown}:{rest:02}");
            return Err(Error::new("INVALID_ARGUMENTS", text));
        }
        if *zone == Zone::UTC || minutes == 0 {
            text.push('Z');
        } else {
            let _ = crate::zone::write_offset(minutes as i16, &mut text);
        }
    }
    Ok(text.replacen(' ', "T", 1).into())
};

const PARSE_DURATION: Rows = |_, a| {
    let text = a[0].as_str();
    let wrong = || Error::argument(format!("duration is not a valid data duration string: {text}"));
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let amount: f64 = text[..end].parse().map_err(|_| wrong())?;
    let (in_ms, name) = match text[end..].trim() {
        "ns" => (1e-6, "NANOSECONDS"),
        "us" => (1e-3, "MICROSECONDS"),
        "ms" => (1.0, "MILLISECONDS"),
        "s" => (1e3, "SECONDS"),
        "m" => (6e4, "MINUTES"),
        "h" => (3.6e6, "HOURS"),
        "d" => (8.64e7, "DAYS"),
        other => return Err(Error::argument(format!("Unknown time unit: {other}"))),
    };
    let ms = if in_ms < 1.0 { amount / (1.0f64 / in_ms).round() } else { amount * in_ms }.round();
    if ms > i64::MAX as f64 {
        let mut shown = String::new();
        crate::text::write_double(amount, &mut shown);
        return Err(Error::argument(format!(
            "value {shown} {name} is too large to be represented in requested unit MILLISECONDS as a long"
        )));
    }
    Ok(Value::IntervalDay(ms as i64))
};

/// A time of day in UTC, as which times with zones are equal.
const INSTANT: Rows = |_, a| match &a[0] {
    Value::TimeTz(picos, offset) => {
        Ok(Value::Int((picos - i64::from(*offset) * 60_000_000_000_000).rem_euclid(PICOS_PER_DAY)))
    }
    _ => Err(Error::internal("a time with a zone")),
};

const FROM_ISO8601_DATE: Rows = |_, a| {
    let text = a[0].as_str();
    let (date, rest) = iso_date(text)?;
    if !rest.is_empty() {
        return Err(malformed(text, rest));
    }
    Ok(Value::Date(days(date)))
};

fn malformed(text: &str, rest: &str) -> Error {
    Error::argument(if rest.len() == text.len() {
        format!("Invalid format: \"{text}\"")
    } else if rest.is_empty() {
        format!("Invalid format: \"{text}\" is too short")
    } else {
        format!("Invalid format: \"{text}\" is malformed at \"{rest}\"")
    })
}

/// `2020`, `2020-02`, `2020-02-29`, `2020-060`, `2020-W09-6`.
fn iso_date(text: &str) -> Result<(NaiveDate, &str)> {
    let wrong = |rest: &str| malformed(text, rest);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (negative, body) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let count = digits(body);
    if count < 1 {
        return Err(wrong(text));
    }
    let year: i32 = body[..count].parse().map_err(|_| wrong(text))?;
    let year = if negative { -year } else { year };
    let rest = &body[count..];
    let range = |value: u32, field: &str, most: u32| {
        Error::argument(format!("Cannot parse \"{text}\": Value {value} for {field} must be in the range [1,{most}]"))
    };
    let first = NaiveDate::from_ymd_opt(year, 1, 1).ok_or_else(|| wrong(text))?;
    let Some(after) = rest.strip_prefix('-') else { return Ok((first, rest)) };
    if let Some(after) = after.strip_prefix('W') {
        let count = digits(after).min(2);
        let week: u32 = after[..count].parse().map_err(|_| wrong(after))?;
        let rest = &after[count..];
        let (day, rest) = match rest.strip_prefix('-') {
            Some(after) if digits(after) > 0 => (after[..1].parse().unwrap_or(0), &after[1..]),
            _ => (1u32, rest),
        };
        if !(1..=7).contains(&day) {
            return Err(range(day, "dayOfWeek", 7));
        }
        let weekday = chrono::Weekday::try_from(day as u8 - 1).unwrap_or(chrono::Weekday::Mon);
        let date = NaiveDate::from_isoywd_opt(year, week, weekday).ok_or_else(|| range(week, "weekOfWeekyear", 52))?;
        return Ok((date, rest));
    }
    let count = digits(after);
    if count == 3 {
        let day: u32 = after[..3].parse().map_err(|_| wrong(after))?;
        let date = NaiveDate::from_yo_opt(year, day).ok_or_else(|| range(day, "dayOfYear", 365))?;
        return Ok((date, &after[3..]));
    }
    if count == 0 {
        return Err(wrong(after));
    }
    let count = count.min(2);
    let month: u32 = after[..count].parse().map_err(|_| wrong(after))?;
    if !(1..=12).contains(&month) {
        return Err(range(month, "monthOfYear", 12));
    }
    let rest = &after[count..];
    let (day, rest) = match rest.strip_prefix('-') {
        Some(after) => {
            let count = digits(after).min(2);
            (after[..count].parse::<u32>().map_err(|_| wrong(after))?, &after[count..])
        }
        None => (1, rest),
    };
    let most = (28..=31).rev().find(|day| NaiveDate::from_ymd_opt(year, month, *day).is_some()).unwrap_or(31);
    let date = NaiveDate::from_ymd_opt(year, month, day).ok_or_else(|| range(day, "dayOfMonth", most))?;
    Ok((date, rest))
}

/// `HH[:mm[:ss[.fraction]]]` and an offset.
fn iso_time(text: &str, whole: &str) -> Result<(i128, Option<Zone>)> {
    let wrong = |rest: &str| malformed(whole, rest);
    let mut rest = text;
    let mut picos: i128 = 0;
    for (index, unit, most) in [(0, 3600 * PICOS, 24), (1, 60 * PICOS, 59), (2, PICOS, 59)] {
        if index > 0 {
            match rest.strip_prefix(':') {
                Some(after) => rest = after,
                None => break,
            }
        }
        let count = rest.bytes().take_while(u8::is_ascii_digit).count().min(2);
        let value: i128 = rest[..count].parse().map_err(|_| wrong(rest))?;
        if value > most {
            return Err(wrong(rest));
        }
        rest = &rest[count..];
        picos += value * unit;
        if index == 2
            && let Some(after) = rest.strip_prefix(['.', ','])
        {
            let count = after.bytes().take_while(u8::is_ascii_digit).count();
            let digits: String = after[..count].chars().chain(std::iter::repeat('0')).take(12).collect();
            picos += digits.parse::<i128>().map_err(|_| wrong(rest))?;
            rest = &after[count..];
        }
    }
    let zone = match rest {
        "" => None,
        "Z" | "z" => Some(Zone::UTC),
        other => Some(match crate::zone::offset(other) {
            Some(0) => Zone::UTC,
            Some(minutes) => Zone::Offset(minutes),
            None => return Err(wrong(rest)),
        }),
    };
    Ok((picos, zone))
}

const FROM_ISO8601_TIMESTAMP: Rows = |call, a| {
    let text = a[0].as_str();
    let (date, rest) = match text.strip_prefix('T') {
        Some(_) => (NaiveDate::default(), text),
        None => iso_date(text)?,
    };
    let (picos, zone) = match rest.strip_prefix('T') {
        Some(time) => iso_time(time, text)?,
        None if rest.is_empty() => (0, None),
        None => return Err(malformed(text, rest)),
    };
    let zone = zone.unwrap_or(Zone::UTC);
    let shown = i128::from(days(date)) * DAY + picos;
    let unit = if call.returns == Type::TimestampTz(9) { 1000 } else { PICOS / 1000 };
    Ok(Value::TimestampTz(instant(shown.div_euclid(unit) * unit, zone), zone))
};

const NOW: Rows = |call, _| {
    let now = crate::clock::now();
    let millis = now.div_euclid(PICOS / 1000) * (PICOS / 1000);
    Ok(match call.returns {
        Type::Date => Value::Date((now.div_euclid(DAY)) as i32),
        Type::Time(_) => Value::Time(millis.rem_euclid(DAY) as i64),
        Type::TimeTz(_) => Value::TimeTz(millis.rem_euclid(DAY) as i64, 0),
        Type::Timestamp(_) => Value::Timestamp(millis),
        _ => Value::TimestampTz(millis, Zone::UTC),
    })
};

pub(super) const TABLE: &[Row] = &[
    ("year", "date -> bigint", YEAR),
    ("year", "timestamp(p) -> bigint", YEAR),
    ("year", "timestamp(p) with time zone -> bigint", YEAR),
    ("year", "interval year to month -> bigint", of_interval!(|months: i64| months / 12)),
    ("quarter", "date -> bigint", QUARTER),
    ("quarter", "timestamp(p) -> bigint", QUARTER),
    ("quarter", "timestamp(p) with time zone -> bigint", QUARTER),
    ("month", "date -> bigint", MONTH),
    ("month", "timestamp(p) -> bigint", MONTH),
    ("month", "timestamp(p) with time zone -> bigint", MONTH),
    ("month", "interval year to month -> bigint", of_interval!(|months: i64| months % 12)),
    ("week", "date -> bigint", WEEK),
    ("week", "timestamp(p) -> bigint", WEEK),
    ("week", "timestamp(p) with time zone -> bigint", WEEK),
    ("week_of_year", "date -> bigint", WEEK),
    ("week_of_year", "timestamp(p) -> bigint", WEEK),
    ("week_of_year", "timestamp(p) with time zone -> bigint", WEEK),
    ("day", "date -> bigint", DAY_OF_MONTH),
    ("day", "timestamp(p) -> bigint", DAY_OF_MONTH),
    ("day", "timestamp(p) with time zone -> bigint", DAY_OF_MONTH),
    ("day", "interval day to second -> bigint", of_interval!(|ms: i64| ms / 86_400_000)),
    ("day_of_month", "date -> bigint", DAY_OF_MONTH),
    ("day_of_month", "timestamp(p) -> bigint", DAY_OF_MONTH),
    ("day_of_month", "timestamp(p) with time zone -> bigint", DAY_OF_MONTH),
    ("day_of_month", "interval day to second -> bigint", of_interval!(|ms: i64| ms / 86_400_000)),
    ("day_of_week", "date -> bigint", DAY_OF_WEEK),
    ("day_of_week", "timestamp(p) -> bigint", DAY_OF_WEEK),
    ("day_of_week", "timestamp(p) with time zone -> bigint", DAY_OF_WEEK),
    ("dow", "date -> bigint", DAY_OF_WEEK),
    ("dow", "timestamp(p) -> bigint", DAY_OF_WEEK),
    ("dow", "timestamp(p) with time zone -> bigint", DAY_OF_WEEK),
    ("day_of_year", "date -> bigint", DAY_OF_YEAR),
    ("day_of_year", "timestamp(p) -> bigint", DAY_OF_YEAR),
    ("day_of_year", "timestamp(p) with time zone -> bigint", DAY_OF_YEAR),
    ("doy", "date -> bigint", DAY_OF_YEAR),
    ("doy", "timestamp(p) -> bigint", DAY_OF_YEAR),
    ("doy", "timestamp(p) with time zone -> bigint", DAY_OF_YEAR),
    ("year_of_week", "date -> bigint", YEAR_OF_WEEK),
    ("year_of_week", "timestamp(p) -> bigint", YEAR_OF_WEEK),
    ("year_of_week", "timestamp(p) with time zone -> bigint", YEAR_OF_WEEK),
    ("yow", "date -> bigint", YEAR_OF_WEEK),
    ("yow", "timestamp(p) -> bigint", YEAR_OF_WEEK),
    ("yow", "timestamp(p) with time zone -> bigint", YEAR_OF_WEEK),
    ("hour", "time(p) -> bigint", HOUR),
    ("hour", "time(p) with time zone -> bigint", HOUR),
    ("hour", "timestamp(p) -> bigint", HOUR),
    ("hour", "timestamp(p) with time zone -> bigint", HOUR),
    ("hour", "interval day to second -> bigint", of_interval!(|ms: i64| ms / 3_600_000 % 24)),
    ("minute", "time(p) -> bigint", MINUTE),
    ("minute", "time(p) with time zone -> bigint", MINUTE),
    ("minute", "timestamp(p) -> bigint", MINUTE),
    ("minute", "timestamp(p) with time zone -> bigint", MINUTE),
    ("minute", "interval day to second -> bigint", of_interval!(|ms: i64| ms / 60_000 % 60)),
    ("second", "time(p) -> bigint", SECOND),
    ("second", "time(p) with time zone -> bigint", SECOND),
    ("second", "timestamp(p) -> bigint", SECOND),
    ("second", "timestamp(p) with time zone -> bigint", SECOND),
    ("second", "interval day to second -> bigint", of_interval!(|ms: i64| ms / 1000 % 60)),
    ("millisecond", "time(p) -> bigint", MILLISECOND),
    ("millisecond", "time(p) with time zone -> bigint", MILLISECOND),
    ("millisecond", "timestamp(p) -> bigint", MILLISECOND),
    ("millisecond", "timestamp(p) with time zone -> bigint", MILLISECOND),
    ("millisecond", "interval day to second -> bigint", of_interval!(|ms: i64| ms % 1000)),
    ("last_day_of_month", "date -> date", Strict(LAST_DAY_OF_MONTH)),
    ("last_day_of_month", "timestamp(p) -> date", Strict(LAST_DAY_OF_MONTH)),
    ("last_day_of_month", "timestamp(p) with time zone -> date", Strict(LAST_DAY_OF_MONTH)),
    ("date", "varchar(x) -> date", Strict(TO_DATE)),
    ("date", "timestamp(p) -> date", Strict(TO_DATE)),
    ("date", "timestamp(p) with time zone -> date", Strict(TO_DATE)),
    ("date", "date -> date", Strict(TO_DATE)),
    ("date_add", "varchar(x), bigint, date -> date", Strict(DATE_ADD)),
    ("date_add", "varchar(x), bigint, time(p) -> time(p)", Strict(DATE_ADD)),
    ("date_add", "varchar(x), bigint, time(p) with time zone -> time(p) with time zone", Strict(DATE_ADD)),
    ("date_add", "varchar(x), bigint, timestamp(p) -> timestamp(p)", Strict(DATE_ADD)),
    ("date_add", "varchar(x), bigint, timestamp(p) with time zone -> timestamp(p) with time zone", Strict(DATE_ADD)),
    ("date_diff", "varchar(x), date, date -> bigint", Strict(DATE_DIFF)),
    ("date_diff", "varchar(x), time(p), time(p) -> bigint", Strict(DATE_DIFF)),
    ("date_diff", "varchar(x), time(p) with time zone, time(p) with time zone -> bigint", Strict(DATE_DIFF)),
    ("date_diff", "varchar(x), timestamp(p), timestamp(p) -> bigint", Strict(DATE_DIFF)),
    ("date_diff", "varchar(x), timestamp(p) with time zone, timestamp(p) with time zone -> bigint", Strict(DATE_DIFF)),
    ("date_trunc", "varchar(x), date -> date", Strict(DATE_TRUNC)),
    ("date_trunc", "varchar(x), time(p) -> time(p)", Strict(DATE_TRUNC)),
    ("date_trunc", "varchar(x), time(p) with time zone -> time(p) with time zone", Strict(DATE_TRUNC)),
    ("date_trunc", "varchar(x), timestamp(p) -> timestamp(p)", Strict(DATE_TRUNC)),
    ("date_trunc", "varchar(x), timestamp(p) with time zone -> timestamp(p) with time zone", Strict(DATE_TRUNC)),
    (
        "timezone_hour",
        "timestamp(p) with time zone -> bigint",
        Strict(|_, a| Ok(Value::Int(offset_minutes(&a[0]) / 60))),
    ),
    ("timezone_hour", "time(p) with time zone -> bigint", Strict(|_, a| Ok(Value::Int(offset_minutes(&a[0]) / 60)))),
    (
        "timezone_minute",
        "timestamp(p) with time zone -> bigint",
        Strict(|_, a| Ok(Value::Int(offset_minutes(&a[0]) % 60))),
    ),
    ("timezone_minute", "time(p) with time zone -> bigint", Strict(|_, a| Ok(Value::Int(offset_minutes(&a[0]) % 60)))),
    ("timezone", "timestamp(p) with time zone -> varchar", Strict(TIMEZONE)),
    ("timezone", "time(p) with time zone -> varchar", Strict(TIMEZONE)),
    ("at_timezone", "timestamp(p) with time zone, varchar(x) -> timestamp(p) with time zone", Strict(AT_TIMEZONE)),
    (
        "at_timezone",
        "timestamp(p) with time zone, interval day to second -> timestamp(p) with time zone",
        Strict(AT_TIMEZONE),
    ),
    ("$time_at_timezone", "time(p) with time zone, varchar(x) -> time(p) with time zone", Strict(AT_TIMEZONE)),
    (
        "$time_at_timezone",
        "time(p) with time zone, interval day to second -> time(p) with time zone",
        Strict(AT_TIMEZONE),
    ),
    ("with_timezone", "timestamp(p), varchar(x) -> timestamp(p) with time zone", Strict(WITH_TIMEZONE)),
    ("from_unixtime", "double -> timestamp(3) with time zone", Strict(FROM_UNIXTIME)),
    ("from_unixtime", "double, varchar(x) -> timestamp(3) with time zone", Strict(FROM_UNIXTIME)),
    ("from_unixtime", "double, bigint, bigint -> timestamp(3) with time zone", Strict(FROM_UNIXTIME)),
    ("from_unixtime_nanos", "bigint -> timestamp(9) with time zone", Strict(FROM_UNIXTIME_NANOS)),
    ("from_unixtime_nanos", "decimal(p,s) -> timestamp(9) with time zone", Strict(FROM_UNIXTIME_NANOS)),
    ("to_unixtime", "timestamp(p) -> double", Strict(TO_UNIXTIME)),
    ("to_unixtime", "timestamp(p) with time zone -> double", Strict(TO_UNIXTIME)),
    ("to_milliseconds", "interval day to second -> bigint", of_interval!(|ms: i64| ms)),
    ("to_iso8601", "date -> varchar(16)", Strict(TO_ISO8601)),
    ("to_iso8601", "timestamp(p) -> varchar(35)", Strict(TO_ISO8601)),
    ("to_iso8601", "timestamp(p) with time zone -> varchar(35)", Strict(TO_ISO8601)),
    ("parse_duration", "varchar(x) -> interval day to second", Strict(PARSE_DURATION)),
    ("from_iso8601_date", "varchar(x) -> date", Strict(FROM_ISO8601_DATE)),
    ("from_iso8601_timestamp", "varchar(x) -> timestamp(3) with time zone", Strict(FROM_ISO8601_TIMESTAMP)),
    ("from_iso8601_timestamp_nanos", "varchar(x) -> timestamp(9) with time zone", Strict(FROM_ISO8601_TIMESTAMP)),
    ("$instant", "time(p) with time zone -> bigint", Strict(INSTANT)),
    ("now", "-> timestamp(3) with time zone", Nullable(NOW)),
    ("$current_timestamp", "-> timestamp(3) with time zone", Nullable(NOW)),
    ("$current_date", "-> date", Nullable(NOW)),
    ("$current_time", "-> time(3) with time zone", Nullable(NOW)),
    ("$localtime", "-> time(3)", Nullable(NOW)),
    ("$localtimestamp", "-> timestamp(3)", Nullable(NOW)),
    ("$current_timestamp", "bigint -> timestamp(3) with time zone", Nullable(NOW)),
    ("current_timezone", "-> varchar", Nullable(|_: &Call, _: &[Value]| Ok("UTC".into()))),
];
