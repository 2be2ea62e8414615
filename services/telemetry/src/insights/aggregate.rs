//! The functions of `stats`. All are exact; AWS's `count_distinct` is an estimate.

use std::collections::BTreeSet;

use super::value::Value;

#[derive(Clone, Copy, Debug)]
pub(super) enum Aggregate {
    Avg,
    Count,
    CountDistinct,
    Max,
    Min,
    Percentile,
    StdDev,
    Sum,
    Earliest,
    Latest,
    SortsFirst,
    SortsLast,
}

impl Aggregate {
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "avg" => Self::Avg,
            "count" => Self::Count,
            "count_distinct" => Self::CountDistinct,
            "max" => Self::Max,
            "min" => Self::Min,
            "pct" | "percentile" => Self::Percentile,
            "stddev" => Self::StdDev,
            "sum" => Self::Sum,
            "earliest" => Self::Earliest,
            "latest" => Self::Latest,
            "sortsfirst" => Self::SortsFirst,
            "sortslast" => Self::SortsLast,
            _ => return None,
        })
    }

    /// Of the values that are there, each with the time of its event.
    pub(super) fn of(self, values: &[(i64, Value)], percent: f64) -> Value {
        let numbers = || -> Vec<f64> { values.iter().filter_map(|(_, value)| value.number()).collect() };
        #[expect(clippy::cast_precision_loss, reason = "no query has so many rows")]
        let count = |n: usize| n as f64;
        let number = |n: Option<f64>| n.map_or(Value::Null, Value::Number);
        let pick = |found: Option<&(i64, Value)>| found.map_or(Value::Null, |(_, value)| value.clone());
        match self {
            Self::Count => Value::Number(count(values.len())),
            Self::CountDistinct => {
                let distinct: BTreeSet<Option<String>> = values.iter().map(|(_, value)| value.told()).collect();
                Value::Number(count(distinct.len()))
            }
            Self::Sum => Value::Number(numbers().iter().sum()),
            Self::Avg => number(mean(&numbers())),
            Self::StdDev => {
                let all = numbers();
                number(mean(&all).map(|mean| {
                    let squares: f64 = all.iter().map(|n| (n - mean).powi(2)).sum();
                    (squares / count(all.len())).sqrt()
                }))
            }
            Self::Percentile => number(percentile(numbers(), percent)),
            // Numbers where there are any, as times are.
            Self::Max => extreme(values, true),
            Self::Min => extreme(values, false),
            Self::Earliest => pick(values.iter().min_by_key(|(time, _)| *time)),
            Self::Latest => pick(values.iter().max_by_key(|(time, _)| *time)),
            Self::SortsFirst => pick(values.iter().min_by(|a, b| a.1.natural(&b.1))),
            Self::SortsLast => pick(values.iter().max_by(|a, b| a.1.natural(&b.1))),
        }
    }
}

fn extreme(values: &[(i64, Value)], greatest: bool) -> Value {
    let numbers = values.iter().map(|(_, value)| value).filter(|value| value.number().is_some());
    let found = if greatest { numbers.max_by(|a, b| a.order(b)) } else { numbers.min_by(|a, b| a.order(b)) };
    match found {
        Some(time @ Value::Time(_)) => time.clone(),
        Some(value) => value.number().map_or(Value::Null, Value::Number),
        None => Value::Null,
    }
}

fn mean(all: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no query has so many rows")]
    let count = all.len() as f64;
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / count)
}

/// Between the two nearest, in proportion.
fn percentile(mut all: Vec<f64>, percent: f64) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "no query has so many rows")]
    let place = percent / 100.0 * all.len().checked_sub(1)? as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the list")]
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some(all[low] + (all[high] - all[low]) * (place - place.floor()))
}
