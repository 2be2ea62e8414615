//! AWS's cron: minutes, hours, day of month, month, day of week, year; `?`, `L`, `W` and `#`.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use super::{Gap, instant};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const LAST_YEAR: i16 = 2199;

/// A cron expression, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    minutes: Vec<i16>,
    hours: Vec<i16>,
    months: Vec<i16>,
    years: Vec<i16>,
    day: Day,
}

#[derive(Clone, Debug, PartialEq)]
enum Day {
    OfMonth(Vec<MonthDay>),
    OfWeek(Vec<WeekDay>),
}

#[derive(Clone, Debug, PartialEq)]
enum MonthDay {
    Plain(i16),
    Last,
    LastWeekday,
    /// The weekday nearest to this day, within the month.
    NearestWeekday(i16),
}

/// Days of the week count from Sunday, 1.
#[derive(Clone, Debug, PartialEq)]
enum WeekDay {
    Plain(i16),
    Last(i16),
    Nth(i16, i16),
}

impl Cron {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, day_of_month, months, day_of_week, years] = fields.as_slice() else { return None };
        let day = match (*day_of_month, *day_of_week) {
            (days, "?") if days != "?" => Day::OfMonth(days_of_month(days)?),
            ("?", days) if days != "?" => Day::OfWeek(days_of_week(days)?),
            _ => return None,
        };
        Some(Self {
            minutes: numbers(minutes, 0..=59, &[])?,
            hours: numbers(hours, 0..=23, &[])?,
            months: numbers(months, 1..=12, &MONTHS)?,
            years: numbers(years, 1970..=LAST_YEAR, &[])?,
            day,
        })
    }

    /// The minutes and hours of a day at which it fires.
    pub fn times_of_day(&self) -> (&[i16], &[i16]) {
        (&self.minutes, &self.hours)
    }

    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let first = zone.to_datetime(after).date();
        let mut year = first.year();
        while year <= LAST_YEAR {
            if self.years.binary_search(&year).is_ok() {
                for month in &self.months {
                    if let Some(found) = self.in_month(year, *month, first, after, zone) {
                        return Some(found);
                    }
                }
            }
            year += 1;
        }
        None
    }

    fn in_month(&self, year: i16, month: i16, first: Date, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
        if start.last_of_month() < first {
            return None;
        }
        (1..=start.days_in_month())
            .filter_map(|day| Date::new(year, start.month(), day).ok())
            .filter(|date| *date >= first && self.is_on(*date))
            .find_map(|date| self.in_day(date, after, zone))
    }

    fn in_day(&self, date: Date, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Not `find` on local times alone: around a change of clocks their order and that of moments differ.
        let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        times
            .filter_map(|(hour, minute)| {
                let local = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                instant(local, zone, Gap::Skip)
            })
            .filter(|at| *at > after)
            .min()
    }

    fn is_on(&self, date: Date) -> bool {
        match &self.day {
            Day::OfMonth(days) => days.iter().any(|day| day.is_on(date)),
            Day::OfWeek(days) => days.iter().any(|day| day.is_on(date)),
        }
    }
}

impl MonthDay {
    fn is_on(&self, date: Date) -> bool {
        let day = i16::from(date.day());
        match self {
            Self::Plain(wanted) => day == *wanted,
            Self::Last => date == date.last_of_month(),
            Self::LastWeekday => day == nearest_weekday(date, i16::from(date.days_in_month())),
            Self::NearestWeekday(wanted) => {
                *wanted <= i16::from(date.days_in_month()) && day == nearest_weekday(date, *wanted)
            }
        }
    }
}

/// The day of the month of `date`, Monday to Friday, that is nearest to `wanted`.
fn nearest_weekday(date: Date, wanted: i16) -> i16 {
    let last = i16::from(date.days_in_month());
    let weekday = i8::try_from(wanted).ok().and_then(|day| Date::new(date.year(), date.month(), day).ok());
    match weekday.map(Date::weekday) {
        Some(Weekday::Saturday) if wanted == 1 => 3,
        Some(Weekday::Saturday) => wanted - 1,
        Some(Weekday::Sunday) if wanted == last => wanted - 2,
        Some(Weekday::Sunday) => wanted + 1,
        _ => wanted,
    }
}

impl WeekDay {
    fn is_on(&self, date: Date) -> bool {
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        let day = i16::from(date.day());
        match self {
            Self::Plain(wanted) => weekday == *wanted,
            Self::Last(wanted) => weekday == *wanted && day + 7 > i16::from(date.days_in_month()),
            Self::Nth(wanted, count) => weekday == *wanted && (day - 1) / 7 + 1 == *count,
        }
    }
}

fn days_of_month(text: &str) -> Option<Vec<MonthDay>> {
    let mut days = Vec::new();
    for part in text.split(',') {
        match part {
            "L" => days.push(MonthDay::Last),
            "LW" | "WL" => days.push(MonthDay::LastWeekday),
            part => match part.strip_suffix('W') {
                Some(day) => days.push(MonthDay::NearestWeekday(number(day, &(1..=31), &[])?)),
                None => days.extend(numbers(part, 1..=31, &[])?.into_iter().map(MonthDay::Plain)),
            },
        }
    }
    Some(days)
}

fn days_of_week(text: &str) -> Option<Vec<WeekDay>> {
    let mut days = Vec::new();
    for part in text.split(',') {
        if part == "L" {
            days.push(WeekDay::Plain(7));
        } else if let Some((day, count)) = part.split_once('#') {
            days.push(WeekDay::Nth(number(day, &(1..=7), &WEEKDAYS)?, number(count, &(1..=5), &[])?));
        } else if let Some(day) = part.strip_suffix('L') {
            days.push(WeekDay::Last(number(day, &(1..=7), &WEEKDAYS)?));
        } else {
            days.extend(numbers(part, 1..=7, &WEEKDAYS)?.into_iter().map(WeekDay::Plain));
        }
    }
    Some(days)
}

/// The sorted numbers of a field: `*`, `5`, `1-5`, `0/15`, `1-30/2`, and lists of these.
fn numbers(text: &str, range: RangeInclusive<i16>, names: &[&str]) -> Option<Vec<i16>> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, Some(step.parse::<u16>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (low, high) = if span == "*" || span.is_empty() && step.is_some() {
            (*range.start(), *range.end())
        } else if let Some((low, high)) = span.split_once('-') {
            (number(low, &range, names)?, number(high, &range, names)?)
        } else {
            let low = number(span, &range, names)?;
            (low, if step.is_some() { *range.end() } else { low })
        };
        if low > high {
            // Days of the week may wrap: FRI-MON.
            if names != WEEKDAYS {
                return None;
            }
            found.extend((low..=*range.end()).chain(*range.start()..=high));
            continue;
        }
        found.extend((low..=high).step_by(usize::from(step.unwrap_or(1))));
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

fn number(text: &str, range: &RangeInclusive<i16>, names: &[&str]) -> Option<i16> {
    let by_name = names.iter().zip(1..).find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| number);
    let plain = || text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    by_name.or_else(plain).filter(|number| range.contains(number))
}
