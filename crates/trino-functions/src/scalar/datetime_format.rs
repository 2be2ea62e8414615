//! Dates and times by pattern: MySQL's for `date_format` and `date_parse`, Joda's for `format_datetime` and
//! `parse_datetime`. Both are read into the same steps.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate, Timelike};

use super::Row;
use crate::call::{Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::parse::seconds;
use crate::text::{date_time, instant, local};
use crate::value::{PICOS, PICOS_PER_DAY, Value};
use crate::zone::{Zone, write_offset};

/// A step of a pattern: a text, or a field by Joda's letter and how often it stands.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Text(String),
    Field(char, usize),
}

fn joda(pattern: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let text = |steps: &mut Vec<Step>, c: char| match steps.last_mut() {
        Some(Step::Text(text)) => text.push(c),
        _ => steps.push(Step::Text(c.to_string())),
    };
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            if chars.next_if_eq(&'\'').is_some() {
                text(&mut steps, '\'');
                continue;
            }
            while let Some(c) = chars.next() {
                if c == '\'' && chars.next_if_eq(&'\'').is_none() {
                    break;
                }
                text(&mut steps, c);
            }
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            if !"GCYxweEyDMdaKhHkmsSzZ".contains(c) {
                return Err(Error::argument(format!("Illegal pattern component: {}", c.to_string().repeat(count))));
            }
            steps.push(Step::Field(c, count));
        } else {
            text(&mut steps, c);
        }
    }
    if steps.is_empty() {
        return Err(Error::argument("Invalid pattern specification"));
    }
    Ok(steps)
}

fn mysql(pattern: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let mut text = |c: char| match steps.last_mut() {
            Some(Step::Text(text)) => text.push(c),
            _ => steps.push(Step::Text(c.to_string())),
        };
        if c != '%' {
            text(c);
            continue;
        }
        let Some(c) = chars.next() else { break };
        let fields: &[Step] = match c {
            'a' => &[Step::Field('E', 3)],
            'b' => &[Step::Field('M', 3)],
            'c' => &[Step::Field('M', 1)],
            'd' => &[Step::Field('d', 2)],
            'e' => &[Step::Field('d', 1)],
            'f' => &[Step::Field('S', 6)],
            'H' => &[Step::Field('H', 2)],
            'h' | 'I' => &[Step::Field('h', 2)],
            'i' => &[Step::Field('m', 2)],
            'j' => &[Step::Field('D', 3)],
            'k' => &[Step::Field('H', 1)],
            'l' => &[Step::Field('h', 1)],
            'M' => &[Step::Field('M', 4)],
            'm' => &[Step::Field('M', 2)],
            'p' => &[Step::Field('a', 1)],
            'S' | 's' => &[Step::Field('s', 2)],
            'v' => &[Step::Field('w', 2)],
            'W' => &[Step::Field('E', 4)],
            'x' => &[Step::Field('x', 4)],
            'Y' => &[Step::Field('y', 4)],
            'y' => &[Step::Field('y', 2)],
            'r' | 'T' => {
                let hour = if c == 'r' { Step::Field('h', 2) } else { Step::Field('H', 2) };
                let colon = || Step::Text(":".to_owned());
                steps.extend([hour, colon(), Step::Field('m', 2), colon(), Step::Field('s', 2)]);
                if c == 'r' {
                    steps.extend([Step::Text(" ".to_owned()), Step::Field('a', 1)]);
                }
                continue;
            }
            'D' | 'U' | 'u' | 'V' | 'w' | 'X' => {
                return Err(Error::argument(format!("%{c} not supported in date format string")));
            }
            other => {
                text(other);
                continue;
            }
        };
        steps.extend_from_slice(fields);
    }
    if steps.is_empty() {
        return Err(Error::argument("Both printing and parsing not supported"));
    }
    Ok(steps)
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

#[expect(clippy::too_many_lines, reason = "one arm for each letter")]
fn print(steps: &[Step], value: &Value) -> Result<String> {
    let (utc, zone) = match value {
        Value::TimestampTz(t, zone) => (*t, *zone),
        Value::Timestamp(t) => (*t, Zone::UTC),
        Value::Date(days) => (i128::from(*days) * i128::from(PICOS_PER_DAY), Zone::UTC),
        _ => return Err(Error::internal("no time to format")),
    };
    // Milliseconds are the finest that is printed: what is finer is rounded to them.
    let milli = PICOS / 1000;
    let utc = (utc + milli / 2).div_euclid(milli) * milli;
    let picos = local(utc, zone);
    let time = date_time(picos).ok_or_else(|| Error::out_of_range("timestamp out of range"))?;
    let mut out = String::new();
    for step in steps {
        let (letter, count) = match step {
            Step::Text(text) => {
                out.push_str(text);
                continue;
            }
            Step::Field(letter, count) => (*letter, *count),
        };
        let number = |out: &mut String, value: i64| {
            let sign = if value < 0 { "-" } else { "" };
            let _ = write!(out, "{sign}{:0>count$}", value.unsigned_abs());
        };
        let year = |out: &mut String, value: i32| {
            if count == 2 {
                let _ = write!(out, "{:02}", value.rem_euclid(100));
            } else {
                number(out, value.into());
            }
        };
        match letter {
            'G' => out.push_str(if time.year() > 0 { "AD" } else { "BC" }),
            'C' => number(&mut out, i64::from(time.year().div_euclid(100))),
            'y' => year(&mut out, time.year()),
            'Y' => year(&mut out, if time.year() > 0 { time.year() } else { 1 - time.year() }),
            'x' => year(&mut out, time.iso_week().year()),
            'w' => number(&mut out, time.iso_week().week().into()),
            'e' => number(&mut out, time.weekday().number_from_monday().into()),
            'E' => {
                let name = WEEKDAYS[time.weekday().num_days_from_monday() as usize];
                out.push_str(if count >= 4 { name } else { &name[..3] });
            }
            'D' => number(&mut out, time.ordinal().into()),
            'M' if count >= 3 => {
                let name = MONTHS[time.month0() as usize];
                out.push_str(if count >= 4 { name } else { &name[..3] });
            }
            'M' => number(&mut out, time.month().into()),
            'd' => number(&mut out, time.day().into()),
            'a' => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
            'K' => number(&mut out, i64::from(time.hour() % 12)),
            'h' => number(&mut out, i64::from((time.hour() + 11) % 12 + 1)),
            'H' => number(&mut out, time.hour().into()),
            'k' => number(&mut out, i64::from((time.hour() + 23) % 24 + 1)),
            'm' => number(&mut out, time.minute().into()),
            's' => number(&mut out, time.second().into()),
            'S' => {
                // Milliseconds are all that Joda knows.
                let millis = picos.rem_euclid(PICOS) / (PICOS / 1000);
                let digits = format!("{millis:03}");
                out.extend(digits.chars().chain(std::iter::repeat('0')).take(count));
            }
            'z' => out.push_str(&zone_name(zone, utc)),
            'Z' if count >= 3 => {
                let _ = write!(out, "{zone}");
            }
            _ => {
                let mut text = String::new();
                let _ = write_offset((zone.seconds_at(seconds(utc)) / 60) as i16, &mut text);
                out.push_str(&if count == 1 { text.replace(':', "") } else { text });
            }
        }
    }
    Ok(out)
}

pub(super) fn zone_name(zone: Zone, utc: i128) -> String {
    use chrono::TimeZone;
    use chrono_tz::OffsetName;
    match zone {
        Zone::Named(chrono_tz::Tz::UTC) => "UTC".to_owned(),
        Zone::Named(tz) => match date_time(utc) {
            Some(time) => tz.offset_from_utc_datetime(&time).abbreviation().unwrap_or_else(|| tz.name()).to_owned(),
            None => tz.name().to_owned(),
        },
        offset @ Zone::Offset(_) => offset.to_string(),
    }
}

/// What was read of a text.
#[derive(Default)]
struct Read {
    year: Option<i32>,
    week_year: Option<i32>,
    /// Whether the week's year stood behind the other.
    week_year_last: bool,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    week: Option<u32>,
    weekday: Option<u32>,
    hour: Option<u32>,
    /// From 1 to 24.
    clock_hour: Option<u32>,
    half_hour: Option<u32>,
    /// From 1 to 12.
    half_clock_hour: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    millis: i128,
    zone: Option<Zone>,
}

fn malformed(text: &str, at: usize) -> Error {
    Error::argument(match text.get(at..) {
        Some(rest) if at > 0 && !rest.is_empty() => format!("Invalid format: \"{text}\" is malformed at \"{rest}\""),
        Some("") if at > 0 => format!("Invalid format: \"{text}\" is too short"),
        _ => format!("Invalid format: \"{text}\""),
    })
}

#[expect(clippy::too_many_lines, reason = "one arm for each letter")]
fn read(steps: &[Step], text: &str, pivot: i32) -> Result<Read> {
    let mut found = Read::default();
    let mut at = 0;
    for (i, step) in steps.iter().enumerate() {
        let rest = &text[at..];
        let (letter, count) = match step {
            Step::Text(wanted) => {
                let matches = rest.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
                if !matches {
                    return Err(malformed(text, at));
                }
                at += wanted.len();
                continue;
            }
            Step::Field(letter, count) => (*letter, *count),
        };
        let before_digits = matches!(steps.get(i + 1), Some(Step::Field(next, n)) if !("EazZG".contains(*next) || *next == 'M' && *n >= 3));
        let digits = |most: usize| {
            let signed = usize::from(most > 3 && rest.starts_with(['-', '+']));
            let count = rest[signed..].bytes().take_while(u8::is_ascii_digit).take(most).count();
            if count == 0 { None } else { Some((&rest[..signed + count], signed + count)) }
        };
        let names = |all: &[&str]| {
            all.iter().enumerate().find_map(|(n, name)| {
                let long = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
                let short = rest.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(&name[..3]));
                if long { Some((n as u32, name.len())) } else { short.then_some((n as u32, 3)) }
            })
        };
        let here = at;
        let wrong = move || malformed(text, here);
        let mut number = |most: usize| -> Result<u32> {
            let (digits, used) = digits(most).ok_or_else(wrong)?;
            at += used;
            digits.parse().map_err(|_| wrong())
        };
        match letter {
            'y' | 'Y' | 'x' => {
                let most = if before_digits { count } else { 9 };
                let (digits, used) = digits(most).ok_or_else(wrong)?;
                let value: i32 = digits.parse().map_err(|_| wrong())?;
                let value = if count == 2 && used == 2 {
                    let low = pivot - 50;
                    low + (value - low).rem_euclid(100)
                } else {
                    value
                };
                at += used;
                if letter == 'x' {
                    (found.week_year, found.week_year_last) = (Some(value), found.year.is_some());
                } else {
                    found.year = Some(value);
                }
            }
            'M' if count >= 3 => {
                let (month, used) = names(&MONTHS).ok_or_else(wrong)?;
                (found.month, at) = (Some(month + 1), at + used);
            }
            'E' => {
                let (day, used) = names(&WEEKDAYS).ok_or_else(wrong)?;
                (found.weekday, at) = (Some(day + 1), at + used);
            }
            'M' => found.month = Some(number(2)?),
            'd' => found.day = Some(number(2)?),
            'D' => found.day_of_year = Some(number(3)?),
            'w' => found.week = Some(number(2)?),
            'e' => found.weekday = Some(number(1)?),
            'H' => found.hour = Some(number(2)?),
            'k' => found.clock_hour = Some(number(2)?),
            'h' => found.half_clock_hour = Some(number(2)?),
            'K' => found.half_hour = Some(number(2)?),
            'm' => found.minute = number(2)?,
            's' => found.second = number(2)?,
            'S' => {
                let (digits, used) = digits(count.max(if before_digits { count } else { 9 })).ok_or_else(wrong)?;
                let millis: String = digits.chars().chain("000".chars()).take(3).collect();
                (found.millis, at) = (millis.parse().map_err(|_| wrong())?, at + used);
            }
            'a' => {
                let half = rest.get(..2).map(str::to_ascii_uppercase);
                found.afternoon = Some(match half.as_deref() {
                    Some("AM") => false,
                    Some("PM") => true,
                    _ => return Err(wrong()),
                });
                at += 2;
            }
            'Z' | 'z' => {
                let used = if count >= 3 || letter == 'z' {
                    rest.find(|c: char| !(c.is_alphanumeric() || "/_+-:".contains(c))).unwrap_or(rest.len())
                } else if rest.starts_with(['z', 'Z']) {
                    1
                } else {
                    rest.find(|c: char| !(c.is_ascii_digit() || "+-:".contains(c))).unwrap_or(rest.len())
                };
                found.zone = Some(Zone::parse(&rest[..used]).filter(|_| used > 0).ok_or_else(wrong)?);
                at += used;
            }
            'G' | 'C' => {
                return Err(Error::not_supported(format!("parsing the field '{letter}' is not supported")));
            }
            _ => return Err(wrong()),
        }
    }
    if at < text.len() {
        return Err(malformed(text, at));
    }
    Ok(found)
}

impl Read {
    /// The local time that was read, as Joda computes it (`DateTimeParserBucket`): the fields are set one by one, the longest first, and
    /// what is below each begins anew.
    fn local(&self, text: &str) -> Result<i128> {
        let date = self.date(text)?;
        let half = if self.afternoon == Some(true) { 12 } else { 0 };
        let mut hour = half;
        for (value, field, low, high) in [(self.hour, "hourOfDay", 0, 23), (self.clock_hour, "clockhourOfDay", 1, 24)] {
            if let Some(value) = value {
                hour = within(text, value, field, low, high)? % 24;
            }
        }
        for (value, field, low, high) in
            [(self.half_hour, "hourOfHalfday", 0, 11), (self.half_clock_hour, "clockhourOfHalfday", 1, 12)]
        {
            if let Some(value) = value {
                hour = hour / 12 * 12 + within(text, value, field, low, high)? % 12;
            }
        }
        let minute = within(text, self.minute, "minuteOfHour", 0, 59)?;
        let second = within(text, self.second, "secondOfMinute", 0, 59)?;
        let days = date.signed_duration_since(NaiveDate::default()).num_days();
        let clock = i128::from(hour * 3600 + minute * 60 + second) * PICOS + self.millis * (PICOS / 1000);
        Ok(i128::from(days) * i128::from(PICOS_PER_DAY) + clock)
    }

    fn date(&self, text: &str) -> Result<NaiveDate> {
        let of_year = self.year.map(DateField::Year);
        let of_weeks = self.week_year.map(DateField::WeekYear);
        let years = if self.week_year_last { [of_year, of_weeks] } else { [of_weeks, of_year] };
        let others = [
            self.month.map(DateField::Month),
            self.week.map(DateField::Week),
            self.day_of_year.map(DateField::DayOfYear),
            self.day.map(DateField::Day),
            self.weekday.map(DateField::Weekday),
        ];
        let mut fields: Vec<DateField> = years.into_iter().chain(others).flatten().collect();
        // Without a year a day is one of a leap year.
        if years.iter().all(Option::is_none) && !fields.is_empty() {
            fields.insert(0, DateField::Year(2000));
        }
        let mut date = NaiveDate::default();
        for field in &fields {
            date = field.start(field.set(date, text)?).ok_or_else(|| malformed(text, 0))?;
        }
        // Once more, for a short field may have led out of a longer one.
        for (at, field) in fields.iter().enumerate() {
            date = field.set(date, text)?;
            if at + 1 == fields.len() {
                date = field.start(date).ok_or_else(|| malformed(text, 0))?;
            }
        }
        Ok(date)
    }
}

/// What a text says of a date.
#[derive(Clone, Copy)]
enum DateField {
    Year(i32),
    WeekYear(i32),
    Month(u32),
    Week(u32),
    DayOfYear(u32),
    Day(u32),
    Weekday(u32),
}

impl DateField {
    /// A date with this field; what is longer and shorter stays as far as it can.
    fn set(self, date: NaiveDate, text: &str) -> Result<NaiveDate> {
        let by_days = |wanted: u32, now: u32, days: i64| {
            date.checked_add_signed(chrono::TimeDelta::days((i64::from(wanted) - i64::from(now)) * days))
        };
        let week = date.iso_week();
        let weeks_of =
            |year| if NaiveDate::from_isoywd_opt(year, 53, chrono::Weekday::Mon).is_some() { 53 } else { 52 };
        let set = match self {
            Self::Year(year) => date.with_year(year).or_else(|| date.with_day(28)?.with_year(year)),
            Self::WeekYear(year) => NaiveDate::from_isoywd_opt(year, week.week().min(weeks_of(year)), date.weekday()),
            Self::Month(month) => {
                let month = within(text, month, "monthOfYear", 1, 12)?;
                (1..=date.day()).rev().find_map(|day| NaiveDate::from_ymd_opt(date.year(), month, day))
            }
            Self::Week(wanted) => {
                by_days(within(text, wanted, "weekOfWeekyear", 1, weeks_of(week.year()))?, week.week(), 7)
            }
            Self::DayOfYear(day) => {
                let most = if date.leap_year() { 366 } else { 365 };
                date.with_ordinal(within(text, day, "dayOfYear", 1, most)?)
            }
            Self::Day(day) => {
                let last = (28..=31).rev().find(|day| date.with_day(*day).is_some()).unwrap_or(31);
                date.with_day(within(text, day, "dayOfMonth", 1, last)?)
            }
            Self::Weekday(day) => {
                by_days(within(text, day, "dayOfWeek", 1, 7)?, date.weekday().number_from_monday(), 1)
            }
        };
        set.ok_or_else(|| malformed(text, 0))
    }

    /// The first day of the date's year, month or week, as the field is one of those.
    fn start(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Year(_) => date.with_ordinal(1),
            Self::WeekYear(_) => NaiveDate::from_isoywd_opt(date.iso_week().year(), 1, chrono::Weekday::Mon),
            Self::Month(_) => date.with_day(1),
            Self::Week(_) => {
                let week = date.iso_week();
                NaiveDate::from_isoywd_opt(week.year(), week.week(), chrono::Weekday::Mon)
            }
            _ => Some(date),
        }
    }
}

fn within(text: &str, value: u32, field: &str, low: u32, high: u32) -> Result<u32> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    let text = format!("Cannot parse \"{text}\": Value {value} for {field} must be in the range [{low},{high}]");
    Err(Error::argument(text))
}

const DATE_FORMAT: Rows = |_, a| Ok(print(&mysql(a[1].as_str())?, &a[0])?.into());
const FORMAT_DATETIME: Rows = |_, a| {
    let steps = joda(a[1].as_str())?;
    if matches!(a[0], Value::Timestamp(_)) && steps.iter().any(|step| matches!(step, Step::Field('z' | 'Z', _))) {
        return Err(Error::argument(
            "format_datetime for TIMESTAMP type, cannot use 'Z' nor 'z' in format, as this type does not contain TZ information",
        ));
    }
    Ok(print(&steps, &a[0])?.into())
};

const DATE_PARSE: Rows = |_, a| {
    let text = a[0].as_str();
    Ok(Value::Timestamp(read(&mysql(a[1].as_str())?, text, 2020)?.local(text)?))
};

const PARSE_DATETIME: Rows = |_, a| {
    let text = a[0].as_str();
    let pivot = date_time(crate::clock::now()).map_or(2026, |now| now.year()) + 20;
    let found = read(&joda(a[1].as_str())?, text, pivot)?;
    let zone = found.zone.unwrap_or(Zone::UTC);
    Ok(Value::TimestampTz(instant(found.local(text)?, zone), zone))
};

pub(super) const TABLE: &[Row] = &[
    ("date_format", "timestamp(p), varchar(x) -> varchar", Strict(DATE_FORMAT)),
    ("date_format", "timestamp(p) with time zone, varchar(x) -> varchar", Strict(DATE_FORMAT)),
    ("date_parse", "varchar(x), varchar(y) -> timestamp(3)", Strict(DATE_PARSE)),
    ("format_datetime", "timestamp(p), varchar(x) -> varchar", Strict(FORMAT_DATETIME)),
    ("format_datetime", "timestamp(p) with time zone, varchar(x) -> varchar", Strict(FORMAT_DATETIME)),
    ("parse_datetime", "varchar(x), varchar(y) -> timestamp(3) with time zone", Strict(PARSE_DATETIME)),
];
