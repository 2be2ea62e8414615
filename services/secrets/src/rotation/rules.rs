//! When a secret is rotated: a number of days, or an expression, with the length of the window that it opens.
//! Pure. Source: Secrets Manager User Guide, "Rotation schedules"; API reference, "RotationRulesType". Every secret is rotated when its
//! window opens, which is one of the times at which AWS may do it.

use api_secretsmanager::RotationRulesType;
use api_secretsmanager::error::invalid_parameter_exception;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use schedule::Schedule;
use wire::Error;

/// The shortest time between two rotations, and the longest.
const LEAST_HOURS: i64 = 4;
const MOST_DAYS: i64 = 999;
const HOURS_OF_A_DAY: i64 = 24;

/// Rules that have been read.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    when: When,
    window_hours: i64,
}

#[derive(Clone, Debug)]
enum When {
    /// So many days after the secret was last changed.
    AfterDays(i64),
    By(Schedule),
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    invalid_parameter_exception(format!("The rotation rules are not valid: {reason}."))
}

fn midnight(at: Timestamp) -> Timestamp {
    let day = TimeZone::UTC.to_datetime(at).date();
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(at)
}

impl Rules {
    /// # Errors
    /// `InvalidParameterException` for what Secrets Manager does not take.
    pub(crate) fn read(rules: &RotationRulesType) -> Result<Option<Self>, Error> {
        let asked = rules.duration.as_deref().map(hours).transpose()?;
        let (when, most, without) = match (rules.automatically_after_days, rules.schedule_expression.as_deref()) {
            (Some(_), Some(_)) => {
                return Err(invalid("AutomaticallyAfterDays and ScheduleExpression exclude each other"));
            }
            (Some(days), None) => (When::AfterDays(days), HOURS_OF_A_DAY, HOURS_OF_A_DAY),
            (None, Some(text)) => {
                let (schedule, most, without) = expression(text)?;
                (When::By(schedule), most, without)
            }
            (None, None) if asked.is_some() => {
                return Err(invalid("Duration needs AutomaticallyAfterDays or ScheduleExpression"));
            }
            (None, None) => return Ok(None),
        };
        let window_hours = asked.unwrap_or(without);
        if window_hours > most {
            return Err(invalid(format_args!(
                "the window of {window_hours} hours goes on into the next window or the next day"
            )));
        }
        Ok(Some(Self { when, window_hours }))
    }

    /// When the first window after `now` opens. `since`: when the secret was last rotated or changed; `configured`: when the rules were set.
    pub(crate) fn next(&self, now: Timestamp, since: Timestamp, configured: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::AfterDays(days) => {
                let then = midnight(since).checked_add((days * HOURS_OF_A_DAY).hours()).ok()?;
                let tomorrow = midnight(now).checked_add(HOURS_OF_A_DAY.hours()).ok()?;
                Some(if then > now { then } else { tomorrow })
            }
            When::By(schedule) => schedule.next(now, midnight(configured), &TimeZone::UTC),
        }
    }

    /// The last second of the window that opens then: what is told as the date of the next rotation.
    pub(crate) fn closes(&self, opens: Timestamp) -> Timestamp {
        let window = SignedDuration::from_hours(self.window_hours) - SignedDuration::from_secs(1);
        opens.checked_add(window).unwrap_or(opens)
    }

    /// Whether another value of the secret counts as a rotation.
    pub(crate) fn count_from_changes(&self) -> bool {
        matches!(self.when, When::AfterDays(_))
    }
}

fn hours(text: &str) -> Result<i64, Error> {
    let count = text.strip_suffix('h').and_then(|count| count.parse().ok()).filter(|count| *count > 0);
    count.ok_or_else(|| invalid(format_args!("Duration {text} is no number of hours")))
}

/// The schedule, the longest window that it leaves room for, and that which it has where none is given.
fn expression(text: &str) -> Result<(Schedule, i64, i64), Error> {
    let wrong = |reason: &str| invalid(format_args!("ScheduleExpression {text}: {reason}"));
    let schedule = Schedule::parse_of_scheduler(text).ok_or_else(|| wrong("it is no rate() or cron() expression"))?;
    match &schedule {
        Schedule::At(_) => Err(wrong("it is no rate() or cron() expression")),
        Schedule::Rate { seconds } => {
            if text.contains("minute") {
                return Err(wrong("a rate is in hours or days"));
            }
            let every = seconds / 3600;
            if every < LEAST_HOURS {
                return Err(wrong("a secret is rotated every four hours at most"));
            }
            if every > MOST_DAYS * HOURS_OF_A_DAY {
                return Err(wrong("a secret is rotated every 999 days at least"));
            }
            let in_days = text.contains("day");
            let (most, without) =
                if in_days { (HOURS_OF_A_DAY, HOURS_OF_A_DAY) } else { (every.min(HOURS_OF_A_DAY), 1) };
            Ok((schedule, most, without))
        }
        Schedule::Cron(cron) => {
            let (minutes, hours) = cron.times_of_day();
            if minutes != [0] {
                return Err(wrong("windows open on the hour: the minutes are 0"));
            }
            let inside = text.trim_start_matches("cron(").trim_end_matches(')');
            if inside.split_whitespace().nth(5) != Some("*") {
                return Err(wrong("the year is *"));
            }
            if inside.split_whitespace().nth(2).is_some_and(|days| days.contains('W')) {
                return Err(wrong("W is not taken"));
            }
            let around = hours.iter().skip(1).copied().chain(hours.first().map(|first| first + 24));
            let gap = hours.iter().zip(around).map(|(one, next)| i64::from(next - one)).min().unwrap_or(HOURS_OF_A_DAY);
            if gap < LEAST_HOURS {
                return Err(wrong("a secret is rotated every four hours at most"));
            }
            let last = i64::from(hours.last().copied().unwrap_or_default());
            let left = HOURS_OF_A_DAY - last;
            let without = if hours.len() > 1 { 1 } else { left };
            Ok((schedule, left.min(gap), without))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(days: Option<i64>, expression: Option<&str>, duration: Option<&str>) -> RotationRulesType {
        RotationRulesType {
            automatically_after_days: days,
            schedule_expression: expression.map(str::to_owned),
            duration: duration.map(str::to_owned),
        }
    }

    #[test]
    fn windows_open_and_close() {
        let now: Timestamp = "2024-02-27T13:20:00Z".parse().unwrap();
        for (days, expression, duration, opens, closes) in [
            (Some(1), None, None, "2024-02-28T00:00:00Z", "2024-02-28T23:59:59Z"),
            (Some(3), None, Some("2h"), "2024-03-01T00:00:00Z", "2024-03-01T01:59:59Z"),
            (None, Some("rate(1 day)"), None, "2024-02-28T00:00:00Z", "2024-02-28T23:59:59Z"),
            (None, Some("rate(10 days)"), Some("3h"), "2024-03-08T00:00:00Z", "2024-03-08T02:59:59Z"),
            (None, Some("rate(4 hours)"), None, "2024-02-27T16:00:00Z", "2024-02-27T16:59:59Z"),
            (None, Some("cron(0 8 1 * ? *)"), None, "2024-03-01T08:00:00Z", "2024-03-01T23:59:59Z"),
            (None, Some("cron(0 8/8 * * ? *)"), Some("8h"), "2024-02-27T16:00:00Z", "2024-02-27T23:59:59Z"),
            (None, Some("cron(0 0 ? * SUN#1 *)"), None, "2024-03-03T00:00:00Z", "2024-03-03T23:59:59Z"),
        ] {
            let read = Rules::read(&rules(days, expression, duration)).unwrap().unwrap();
            let found = read.next(now, now, now).unwrap();
            assert_eq!(
                (found.to_string(), read.closes(found).to_string()),
                (opens.to_owned(), closes.to_owned()),
                "{read:?}"
            );
        }
        let late = Rules::read(&rules(Some(1), None, None)).unwrap().unwrap();
        let long_ago = "2024-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(late.next(now, long_ago, long_ago).unwrap().to_string(), "2024-02-28T00:00:00Z");
    }

    #[test]
    fn refused() {
        assert!(Rules::read(&rules(None, None, None)).unwrap().is_none());
        for (days, expression, duration) in [
            (Some(1), Some("rate(1 day)"), None),
            (None, None, Some("3h")),
            (None, Some("rate(3 hours)"), None),
            (None, Some("rate(300 minutes)"), None),
            (None, Some("rate(1000 days)"), None),
            (None, Some("rate(4 hours)"), Some("5h")),
            (None, Some("rate(2 days)"), Some("25h")),
            (None, Some("at(2024-01-01T00:00:00)"), None),
            (None, Some("cron(5 8 * * ? *)"), None),
            (None, Some("cron(0 8,10 * * ? *)"), None),
            (None, Some("cron(0 8 * * ? 2025)"), None),
            (None, Some("cron(0 8 1W * ? *)"), None),
            (None, Some("cron(0 20 * * ? *)"), Some("5h")),
            (None, Some("weekly"), None),
        ] {
            let refused = Rules::read(&rules(days, expression, duration)).unwrap_err();
            assert_eq!(refused.code(), "InvalidParameterException", "{expression:?}");
        }
    }
}
