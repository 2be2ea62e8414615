//! `cron(minutes hours day-of-month month day-of-week year)` in UTC, as crawlers and triggers have it.

use api_glue::error::invalid_input_exception;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use wire::Error;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// A schedule that does not fire within this many days never does.
const HORIZON_DAYS: usize = 366 * 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: Vec<i16>,
    hours: Vec<i16>,
    months: Vec<i16>,
    years: Vec<i16>,
    days: Days,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<i16>),
    LastOfMonth,
    OfWeek(Vec<i16>),
    /// The nth such weekday of the month.
    Nth(i16, i16),
    LastOfWeek(i16),
}

impl Cron {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(|| invalid_input_exception(format!("Schedule expression {text} is not valid")))
    }

    fn read(text: &str) -> Option<Self> {
        let inside = text.trim().strip_prefix("cron(")?.strip_suffix(')')?.to_uppercase();
        let fields: Vec<&str> = inside.split_whitespace().collect();
        let [minutes, hours, day, months, weekday, years] = fields.as_slice() else { return None };
        Some(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            years: field(years, 1970, 2199, &[])?,
            days: days(day, weekday)?,
        })
    }

    /// The first time after `after`.
    pub(crate) fn next(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let begin = TimeZone::UTC.to_datetime(after);
        let mut date = begin.date();
        for _ in 0..HORIZON_DAYS {
            if self.fires_on(date) {
                let times = self.hours.iter().flat_map(|h| self.minutes.iter().map(move |m| (*h, *m)));
                let mut moments = times.filter_map(|(h, m)| at(date, h, m));
                if let Some(found) = moments.find(|moment| *moment > begin) {
                    return TimeZone::UTC.to_timestamp(found).ok();
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn fires_on(&self, date: Date) -> bool {
        let day = i16::from(date.day());
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        let last = i16::from(date.days_in_month());
        self.years.contains(&date.year())
            && self.months.contains(&i16::from(date.month()))
            && match &self.days {
                Days::OfMonth(days) => days.contains(&day),
                Days::LastOfMonth => day == last,
                Days::OfWeek(days) => days.contains(&weekday),
                Days::Nth(wanted, n) => weekday == *wanted && (day - 1) / 7 + 1 == *n,
                Days::LastOfWeek(wanted) => weekday == *wanted && day + 7 > last,
            }
    }
}

fn at(date: Date, hour: i16, minute: i16) -> Option<DateTime> {
    Some(date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0))
}

/// One of the two day fields is `?`.
fn days(day: &str, weekday: &str) -> Option<Days> {
    match (day, weekday) {
        ("?", "?") => None,
        ("L", "?") => Some(Days::LastOfMonth),
        (day, "?") => field(day, 1, 31, &[]).map(Days::OfMonth),
        ("?", week) => {
            if let Some((day, n)) = week.split_once('#') {
                return Some(Days::Nth(number(day, 1, 7, &DAYS)?, number(n, 1, 5, &[])?));
            }
            match week.strip_suffix('L').filter(|day| !day.is_empty()) {
                Some(day) => number(day, 1, 7, &DAYS).map(Days::LastOfWeek),
                None => field(week, 1, 7, &DAYS).map(Days::OfWeek),
            }
        }
        _ => None,
    }
}

/// `*`, `5`, `MON-FRI`, `0/15`, `1-30/2`, and lists of these; sorted.
fn field(text: &str, low: i16, high: i16, names: &[&str]) -> Option<Vec<i16>> {
    let mut out = Vec::new();
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, Some(step.parse::<usize>().ok().filter(|s| *s > 0)?)),
            None => (part, None),
        };
        let (from, to) = match (span, span.split_once('-')) {
            ("*", _) => (low, high),
            (_, Some((from, to))) => (number(from, low, high, names)?, number(to, low, high, names)?),
            (one, None) => {
                let from = number(one, low, high, names)?;
                (from, if step.is_some() { high } else { from })
            }
        };
        if from > to {
            return None;
        }
        out.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    out.sort_unstable();
    out.dedup();
    Some(out)
}

fn number(text: &str, low: i16, high: i16, names: &[&str]) -> Option<i16> {
    let word = names.iter().position(|name| *name == text).and_then(|at| i16::try_from(at).ok());
    let value = match word {
        Some(at) => at + 1,
        None => text.parse().ok()?,
    };
    (low..=high).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::Cron;

    #[test]
    fn fires_when_it_says() {
        for (cron, after, want) in [
            ("cron(15 12 * * ? *)", "2024-01-31T12:15:00Z", Some("2024-02-01T12:15:00Z")),
            ("cron(0/15 * * * ? *)", "2024-01-31T12:16:30Z", Some("2024-01-31T12:30:00Z")),
            ("cron(0 8 1 * ? *)", "2024-12-02T00:00:00Z", Some("2025-01-01T08:00:00Z")),
            ("cron(0 8 ? * MON-FRI *)", "2024-02-02T08:00:00Z", Some("2024-02-05T08:00:00Z")),
            ("cron(0 0 L 2 ? *)", "2024-01-01T00:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("cron(0 0 ? * 2#1 *)", "2024-02-01T00:00:00Z", Some("2024-02-05T00:00:00Z")),
            ("cron(0 0 ? * 6L *)", "2024-02-01T00:00:00Z", Some("2024-02-23T00:00:00Z")),
            ("cron(0 0 1 1 ? 2020)", "2024-02-01T00:00:00Z", None),
        ] {
            let next = Cron::parse(cron).unwrap().next(after.parse().unwrap());
            assert_eq!(next, want.map(|w| w.parse().unwrap()), "{cron}");
        }
        for bad in
            ["", "rate(1 day)", "cron(* * * * *)", "cron(60 * * * ? *)", "cron(* * * * * *)", "cron(a * * * ? *)"]
        {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }
}
