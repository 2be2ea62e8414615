//! The state that an alarm's values give. Source: CloudWatch User Guide, "Evaluating an alarm" and "Configuring how CloudWatch
//! alarms treat missing data", whose tables are the tests.

use api_cloudwatch::MetricAlarm;
use jiff::Timestamp;
use serde_json::json;

use super::State;

/// Periods before those that are evaluated of which values are taken where some are missing.
const MORE: usize = 2;

/// How many periods are looked at.
pub(super) fn range(alarm: &MetricAlarm) -> usize {
    count(alarm.evaluation_periods) + MORE
}

fn count(n: Option<i32>) -> usize {
    n.and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1)
}

/// What the values say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Alarm,
    Insufficient,
    /// It stays as it is.
    Same,
}

fn verdict(breaching: &[Option<bool>], periods: usize, datapoints: usize, missing: &str) -> Verdict {
    let found: Vec<bool> = breaching.iter().rev().filter_map(|one| *one).take(periods).collect();
    let bad = found.iter().filter(|bad| **bad).count();
    let filled = periods - found.len();
    let all_bad = bad > 0 && bad == found.len();
    match missing {
        "breaching" if bad + filled >= datapoints => Verdict::Alarm,
        "breaching" | "notBreaching" if bad < datapoints => Verdict::Ok,
        _ if bad >= datapoints => Verdict::Alarm,
        "ignore" if found.is_empty() || all_bad => Verdict::Same,
        "ignore" => Verdict::Ok,
        _ if found.is_empty() => Verdict::Insufficient,
        _ if all_bad => Verdict::Alarm,
        _ => Verdict::Ok,
    }
}

/// The new state; `values` are those of the periods, the oldest first, with the time at which each begins.
pub(super) fn evaluate(alarm: &MetricAlarm, values: &[(i64, Option<f64>)], now: Timestamp) -> Option<State> {
    let threshold = alarm.threshold?;
    let breaches = |value: f64| match alarm.comparison_operator.as_deref() {
        Some("GreaterThanOrEqualToThreshold") => value >= threshold,
        Some("GreaterThanThreshold") => value > threshold,
        Some("LessThanThreshold") => value < threshold,
        Some("LessThanOrEqualToThreshold") => value <= threshold,
        _ => false,
    };
    let periods = count(alarm.evaluation_periods);
    let datapoints = alarm.datapoints_to_alarm.map_or(periods, |n| count(Some(n)));
    let missing = alarm.treat_missing_data.as_deref().unwrap_or("missing");
    let breaching: Vec<_> = values.iter().map(|(_, value)| value.map(breaches)).collect();
    let value = match verdict(&breaching, periods, datapoints, missing) {
        Verdict::Same => return None,
        Verdict::Ok => "OK",
        Verdict::Alarm => "ALARM",
        Verdict::Insufficient => "INSUFFICIENT_DATA",
    };
    let found: Vec<(i64, f64)> =
        values.iter().rev().filter_map(|(at, value)| Some((*at, (*value)?))).take(periods).collect();
    let reason = reason(alarm, threshold, &found, (periods, datapoints), value);
    // Of an alarm on an expression.
    let between = values.get(1).zip(values.first()).map(|(next, first)| next.0 - first.0);
    let data = json!({
        "version": "1.0",
        "queryDate": stamp(now),
        "startDate": values.first().map(|(at, _)| stamp(second(*at))),
        "statistic": alarm.statistic.as_ref().or(alarm.extended_statistic.as_ref()),
        "period": alarm.period.map(i64::from).or(between),
        "recentDatapoints": found.iter().rev().map(|(_, value)| *value).collect::<Vec<_>>(),
        "threshold": threshold,
    });
    Some(State { value: value.to_owned(), reason, data: Some(data.to_string()) })
}

fn reason(
    alarm: &MetricAlarm,
    threshold: f64,
    found: &[(i64, f64)],
    (periods, datapoints): (usize, usize),
    state: &str,
) -> String {
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    if state == "INSUFFICIENT_DATA" {
        let were = if periods == 1 { "was" } else { "were" };
        return format!("Insufficient Data: {periods} datapoint{} {were} unknown.", plural(periods));
    }
    if found.is_empty() {
        let treated = if state == "ALARM" { "Breaching" } else { "NonBreaching" };
        let were = if periods == 1 { "was" } else { "were" };
        return format!(
            "Threshold Crossed: no datapoints were received for {periods} period{p} and {periods} missing datapoint{p} {were} treated as [{treated}].",
            p = plural(periods)
        );
    }
    let shown: Vec<String> =
        found.iter().map(|(at, value)| format!("{value:?} ({})", second(*at).strftime("%d/%m/%y %H:%M:%S"))).collect();
    let how = match (alarm.comparison_operator.as_deref(), state == "ALARM") {
        (Some("GreaterThanOrEqualToThreshold"), true) => "greater than or equal to",
        (Some("GreaterThanOrEqualToThreshold"), false) => "not greater than or equal to",
        (Some("GreaterThanThreshold"), true) => "greater than",
        (Some("GreaterThanThreshold"), false) => "not greater than",
        (Some("LessThanThreshold"), true) => "less than",
        (Some("LessThanThreshold"), false) => "not less than",
        (_, true) => "less than or equal to",
        (_, false) => "not less than or equal to",
    };
    let were = if found.len() == 1 { "was" } else { "were" };
    let (from, to) = if state == "ALARM" { ("OK", "ALARM") } else { ("ALARM", "OK") };
    format!(
        "Threshold Crossed: {} out of the last {periods} datapoints [{}] {were} {how} the threshold ({threshold:?}) (minimum {datapoints} datapoint{} for {from} -> {to} transition).",
        found.len(),
        shown.join(", "),
        plural(datapoints)
    )
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// As alarms write times.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0` within the threshold, `X` breaching, `-` missing; then the states as missing, ignore, breaching, notBreaching treat it.
    #[test]
    fn the_guides_tables() {
        use Verdict::{Alarm as A, Insufficient as I, Ok as O, Same as S};

        let of = |text: &str| -> Vec<Option<bool>> {
            text.split(' ').map(|c| if c == "-" { None } else { Some(c == "X") }).collect()
        };
        let three_of_three = [
            ("0 - X - X", [O, O, O, O]),
            ("- - - - 0", [O, O, O, O]),
            ("- - - - -", [I, S, A, O]),
            ("0 X X - X", [A, A, A, A]),
            ("- - X - -", [A, S, A, O]),
        ];
        let two_of_three = [
            ("0 - X - X", [A, A, A, A]),
            ("0 0 X 0 X", [A, A, A, A]),
            ("0 - X - -", [O, O, A, O]),
            ("- - - - 0", [O, O, A, O]),
            ("- - - X -", [A, S, A, O]),
        ];
        for (datapoints, rows) in [(3, three_of_three), (2, two_of_three)] {
            for (values, expected) in rows {
                for (missing, expected) in ["missing", "ignore", "breaching", "notBreaching"].into_iter().zip(expected)
                {
                    assert_eq!(verdict(&of(values), 3, datapoints, missing), expected, "{values} {missing}");
                }
            }
        }
    }

    #[test]
    fn reasons() {
        let alarm = MetricAlarm {
            evaluation_periods: Some(1),
            threshold: Some(1.0),
            comparison_operator: Some("GreaterThanOrEqualToThreshold".to_owned()),
            treat_missing_data: Some("notBreaching".to_owned()),
            statistic: Some("Sum".to_owned()),
            period: Some(300),
            ..MetricAlarm::default()
        };
        let at = Timestamp::from_second(1_700_000_100).unwrap();
        let told = |value: Option<f64>| evaluate(&alarm, &[(1_700_000_100, value)], at).unwrap();
        assert_eq!(told(Some(3.0)).value, "ALARM");
        assert_eq!(
            told(Some(3.0)).reason,
            "Threshold Crossed: 1 out of the last 1 datapoints [3.0 (14/11/23 22:15:00)] was greater than or equal to the \
             threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
        );
        assert_eq!(
            told(None).reason,
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching]."
        );
        assert!(told(Some(0.0)).reason.contains("was not greater than or equal to the threshold (1.0)"));
    }
}
