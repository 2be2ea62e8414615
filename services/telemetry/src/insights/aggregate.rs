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

    /// What it needs of values that come one after the other.
    pub(super) fn gather(self) -> Gathered {
        match self {
            Self::Count => Gathered::Count(0),
            Self::Sum | Self::Avg => Gathered::Sum(0.0, 0),
            Self::Max | Self::Min | Self::Earliest | Self::Latest | Self::SortsFirst | Self::SortsLast => {
                Gathered::Best(self, None)
            }
            Self::CountDistinct => Gathered::Texts(BTreeSet::new()),
            Self::Percentile | Self::StdDev => Gathered::Numbers(Vec::new()),
        }
    }
}

/// What values have come to so far.
#[derive(Debug)]
pub(super) enum Gathered {
    Count(usize),
    Sum(f64, usize),
    /// The value that stands for all, and the time of its event.
    Best(Aggregate, Option<(i64, Value)>),
    Texts(BTreeSet<Option<String>>),
    Numbers(Vec<f64>),
}

impl Gathered {
    /// Takes a value that is there, and the time of its event; by how many bytes it has grown, about.
    pub(super) fn take(&mut self, time: i64, value: Value) -> usize {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum, count) => {
                if let Some(number) = value.number() {
                    *sum += number;
                    *count += 1;
                }
            }
            Self::Best(aggregate, best) => {
                if best.as_ref().is_none_or(|best| is_better(*aggregate, (time, &value), (best.0, &best.1))) {
                    // Numbers where there are any, as times are.
                    let taken = !matches!(aggregate, Aggregate::Max | Aggregate::Min) || value.number().is_some();
                    if taken {
                        *best = Some((time, value));
                    }
                }
            }
            Self::Texts(texts) => {
                let text = value.told();
                let size = text.as_ref().map_or(0, String::len) + 64;
                return if texts.insert(text) { size } else { 0 };
            }
            Self::Numbers(numbers) => {
                if let Some(number) = value.number() {
                    numbers.push(number);
                    return size_of::<f64>() * 2;
                }
            }
        }
        0
    }

    #[expect(clippy::cast_precision_loss, reason = "no query has so many rows")]
    pub(super) fn finish(self, aggregate: Aggregate, percent: f64) -> Value {
        let number = |n: Option<f64>| n.map_or(Value::Null, Value::Number);
        match self {
            Self::Count(count) => Value::Number(count as f64),
            Self::Sum(sum, count) if matches!(aggregate, Aggregate::Avg) => {
                number((count > 0).then(|| sum / count as f64))
            }
            Self::Sum(sum, _) => Value::Number(sum),
            Self::Texts(texts) => Value::Number(texts.len() as f64),
            Self::Numbers(all) if matches!(aggregate, Aggregate::Percentile) => number(percentile(all, percent)),
            Self::Numbers(all) => number(mean(&all).map(|mean| {
                let squares: f64 = all.iter().map(|n| (n - mean).powi(2)).sum();
                (squares / all.len() as f64).sqrt()
            })),
            Self::Best(Aggregate::Max | Aggregate::Min, Some((_, value))) => match value {
                Value::Time(_) => value,
                other => number(other.number()),
            },
            Self::Best(_, best) => best.map_or(Value::Null, |(_, value)| value),
        }
    }
}

/// Whether a value stands for all rather than the one that does so far.
fn is_better(aggregate: Aggregate, value: (i64, &Value), best: (i64, &Value)) -> bool {
    match aggregate {
        Aggregate::Earliest => value.0 < best.0,
        Aggregate::Latest => value.0 >= best.0,
        Aggregate::SortsFirst => value.1.natural(best.1).is_lt(),
        Aggregate::SortsLast => value.1.natural(best.1).is_ge(),
        Aggregate::Min => value.1.order(best.1).is_lt(),
        _ => value.1.order(best.1).is_ge(),
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
