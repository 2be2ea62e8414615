//! AWS's schedule expressions: `rate(…)`, `cron(…)` and `at(…)`, and when they fire next. Pure: time and zone are arguments.
//!
//! Not here: which of them a service takes, and the words in which it refuses the others.

mod cron;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

pub use cron::Cron;

/// A firing that is later than this was missed: of those that were the last one is made up for.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    Rate { seconds: i64 },
    Cron(Cron),
    At(DateTime),
}

impl Schedule {
    /// As EventBridge Scheduler reads it: `rate(1 hours)` is as good as `rate(1 hour)`, which rules insist on.
    pub fn parse_of_scheduler(text: &str) -> Option<Self> {
        let singular = ["minute", "hour", "day"].into_iter().find_map(|unit| {
            let (count, given) = text.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
            let other = if count.parse() == Ok(1) { unit.to_owned() } else { format!("{unit}s") };
            (given.strip_suffix('s').unwrap_or(given) == unit).then(|| format!("rate({count} {other})"))
        });
        Self::parse(singular.as_deref().unwrap_or(text))
    }

    /// As rules of EventBridge read it.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, inside) = text.strip_suffix(')')?.split_once('(')?;
        match kind {
            "rate" => rate(inside).map(|seconds| Self::Rate { seconds }),
            "cron" => Cron::parse(inside).map(Self::Cron),
            "at" => inside.parse::<DateTime>().ok().filter(|_| inside.len() == 19).map(Self::At),
            _ => None,
        }
    }

    /// The first firing after `after`; `anchor` is from when a rate counts.
    pub fn next(&self, after: Timestamp, anchor: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Rate { seconds } => {
                let elapsed = after.duration_since(anchor).as_millis();
                let period = i128::from(*seconds) * 1000;
                let count = if elapsed < 0 { 0 } else { elapsed / period + 1 };
                let millis = i64::try_from(count * period).ok()?;
                anchor.checked_add(SignedDuration::from_millis(millis)).ok()
            }
            Self::Cron(cron) => cron.next(after, zone),
            Self::At(at) => instant(*at, zone, Gap::Forward).filter(|at| *at > after),
        }
    }

    /// Which of the times from `due` to `now` is fired for, where it is `now`: the one that was due, or where that was long ago the last
    /// one of those that were missed meanwhile. None: all are older than `oldest`.
    ///
    /// # Errors
    /// Those of `next`, which tells the first time after another.
    pub fn late<E>(
        (due, now): (Timestamp, Timestamp),
        oldest: SignedDuration,
        mut next: impl FnMut(Timestamp) -> Result<Option<Timestamp>, E>,
    ) -> Result<Option<Timestamp>, E> {
        if now.duration_since(due) <= GRACE {
            return Ok(Some(due));
        }
        let mut last = Some(due).filter(|due| now.duration_since(*due) <= oldest);
        // What is too old is not gone through: it may be years of minutes.
        let mut at = now.checked_sub(oldest).map_or(due, |from| from.max(due));
        while let Some(then) = next(at)?.filter(|then| *then <= now) {
            (last, at) = (Some(then), then);
        }
        Ok(last)
    }

    pub fn is_once(&self) -> bool {
        matches!(self, Self::At(_))
    }
}

/// What becomes of a local time that daylight saving skips.
#[derive(Clone, Copy, PartialEq)]
enum Gap {
    Skip,
    Forward,
}

/// The moment of a local time; of two (when clocks go back) the first.
fn instant(at: DateTime, zone: &TimeZone, gap: Gap) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    if gap == Gap::Skip && matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return None;
    }
    ambiguous.compatible().ok()
}

/// Seconds of `5 minutes`.
fn rate(inside: &str) -> Option<i64> {
    let (count, unit) = inside.split_once(' ')?;
    let count: i64 = count.parse().ok().filter(|count| *count > 0)?;
    let seconds = match (unit, count == 1) {
        ("minute", true) | ("minutes", false) => 60,
        ("hour", true) | ("hours", false) => 3600,
        ("day", true) | ("days", false) => 86400,
        _ => return None,
    };
    count.checked_mul(seconds).filter(|seconds| *seconds <= 86400 * 366 * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheduler_takes_units_in_either_number() {
        let seconds = |text: &str| match Schedule::parse_of_scheduler(text) {
            Some(Schedule::Rate { seconds }) => Some(seconds),
            _ => None,
        };
        for (text, expected) in [
            ("rate(1 hours)", Some(3600)),
            ("rate(1 hour)", Some(3600)),
            ("rate(5 minute)", Some(300)),
            ("rate(2 days)", Some(172_800)),
            ("rate(0 days)", None),
            ("rate(1 hourss)", None),
            ("rate(1 seconds)", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    fn check(expression: &str, zone: &str, after: &str, expected: &[&str]) {
        let schedule = Schedule::parse(expression).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let anchor: Timestamp = after.parse().unwrap();
        let mut at = anchor;
        for expected in expected {
            at = schedule.next(at, anchor, &zone).unwrap();
            assert_eq!(at.to_string(), *expected, "{expression}");
        }
    }

    #[test]
    fn fires_next() {
        check("rate(5 minutes)", "UTC", "2024-01-01T00:00:30Z", &["2024-01-01T00:05:30Z", "2024-01-01T00:10:30Z"]);
        check("cron(0 10 * * ? *)", "UTC", "2024-01-01T10:00:00Z", &["2024-01-02T10:00:00Z"]);
        check(
            "cron(0/15 8 ? * MON-FRI *)",
            "UTC",
            "2024-01-05T08:44:59Z",
            &["2024-01-05T08:45:00Z", "2024-01-08T08:00:00Z"],
        );
        check("cron(0 0 L * ? *)", "UTC", "2024-02-01T00:00:00Z", &["2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"]);
        check("cron(0 9 15W * ? *)", "UTC", "2024-06-01T00:00:00Z", &["2024-06-14T09:00:00Z", "2024-07-15T09:00:00Z"]);
        check("cron(0 9 1W 6 ? 2024)", "UTC", "2024-01-01T00:00:00Z", &["2024-06-03T09:00:00Z"]);
        check("cron(0 9 LW * ? *)", "UTC", "2024-08-01T00:00:00Z", &["2024-08-30T09:00:00Z"]);
        check("cron(30 6 ? * 2#1 *)", "UTC", "2024-01-02T00:00:00Z", &["2024-02-05T06:30:00Z"]);
        check("cron(30 6 ? * FRIL *)", "UTC", "2024-01-02T00:00:00Z", &["2024-01-26T06:30:00Z"]);
        check(
            "cron(0 0 1 1,7 ? 2024-2026/2)",
            "UTC",
            "2024-02-02T00:00:00Z",
            &["2024-07-01T00:00:00Z", "2026-01-01T00:00:00Z"],
        );
        check("at(2024-03-10T12:00:00)", "America/New_York", "2024-01-01T00:00:00Z", &["2024-03-10T16:00:00Z"]);
    }

    #[test]
    fn daylight_saving() {
        // Clocks go forward on 31 March 2024 at 2:00: half past two does not exist and is skipped.
        check(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2024-03-30T00:00:00Z",
            &["2024-03-30T01:30:00Z", "2024-04-01T00:30:00Z"],
        );
        // And back on 27 October at 3:00: half past two comes twice and fires once.
        check(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2024-10-26T01:00:00Z",
            &["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"],
        );
        check(
            "cron(0 8 * * ? *)",
            "America/New_York",
            "2024-03-09T12:59:00Z",
            &["2024-03-09T13:00:00Z", "2024-03-10T12:00:00Z"],
        );
    }

    #[test]
    fn the_last_of_the_missed_times_is_made_up_for() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let nightly = Schedule::parse("cron(0 2 * * ? *)").unwrap();
        let minutely = Schedule::parse("rate(1 minute)").unwrap();
        let anchor = at("2024-01-01T00:00:00Z");
        let day = SignedDuration::from_hours(24);
        for (schedule, due, now, expected) in [
            (&nightly, "2024-03-01T02:00:00Z", "2024-03-01T02:00:59Z", Some("2024-03-01T02:00:00Z")),
            (&nightly, "2024-03-01T02:00:00Z", "2024-03-01T02:01:10Z", Some("2024-03-01T02:00:00Z")),
            (&nightly, "2024-03-01T02:00:00Z", "2024-03-04T01:00:00Z", Some("2024-03-03T02:00:00Z")),
            (&minutely, "2024-03-01T02:00:00Z", "2034-03-01T02:10:30Z", Some("2034-03-01T02:10:00Z")),
            // Monthly, and the server was off for days: too old to be of use.
            (&Schedule::parse("cron(0 2 1 * ? *)").unwrap(), "2024-03-01T02:00:00Z", "2024-03-04T01:00:00Z", None),
        ] {
            let next = |after| Ok::<_, std::convert::Infallible>(schedule.next(after, anchor, &TimeZone::UTC));
            let late = Schedule::late((at(due), at(now)), day, next).unwrap();
            assert_eq!(late, expected.map(at), "{due} at {now}");
        }
    }

    #[test]
    fn ends() {
        let zone = TimeZone::UTC;
        let now: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(Schedule::parse("at(2023-01-01T00:00:00)").unwrap().next(now, now, &zone), None);
        assert_eq!(Schedule::parse("cron(0 0 1 1 ? 2020)").unwrap().next(now, now, &zone), None);
        assert_eq!(Schedule::parse("cron(0 0 31 2 ? *)").unwrap().next(now, now, &zone), None);
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "rate()",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(5 seconds)",
            "cron(* * * * *)",
            "cron(0 10 * * * *)",
            "cron(60 10 * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 0 32 * ? *)",
            "cron(0 0 ? 13 1 *)",
            "cron(0 0 ? * 8 *)",
            "cron(0 0 ? * ? *)",
            "cron(0/0 0 * * ? *)",
            "cron(5-1 0 * * ? *)",
            "at(2024-01-01)",
            "at(2024-01-01T00:00:00Z)",
            "every day",
            "cron(0 0 ? * 2#6 *)",
        ] {
            assert!(Schedule::parse(text).is_none(), "{text}");
        }
    }
}
