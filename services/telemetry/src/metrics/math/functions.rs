//! The functions of metric math.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::eval::{World, kept, map, value};
use super::parse::Expr;
use super::search::Asked;
use super::{Fault, Points, Series, Value};

/// Functions of AWS that are not here.
const NOT_HERE: [&str; 6] =
    ["ANOMALY_DETECTION_BAND", "DB_PERF_INSIGHTS", "INSIGHT_RULE_METRIC", "LAMBDA", "SERVICE_QUOTA", "STDDEV"];
const OF_A_TIME: [&str; 7] = ["MINUTE", "HOUR", "DAY", "DATE", "MONTH", "YEAR", "EPOCH"];
const AGGREGATES: [&str; 4] = ["AVG", "MAX", "MIN", "SUM"];

pub(super) fn call(name: &str, arguments: &[Expr], world: &World<'_>) -> Result<Value, Fault> {
    if NOT_HERE.contains(&name) {
        return Err(Fault::NotHere(format!("the function {name}")));
    }
    let given = Given { name, arguments, world };
    match name {
        "ABS" => given.every(f64::abs),
        "CEIL" => given.every(f64::ceil),
        "FLOOR" => given.every(f64::floor),
        "LOG" => given.every(|value| if value > 0.0 { value.ln() } else { f64::NAN }),
        "LOG10" => given.every(|value| if value > 0.0 { value.log10() } else { f64::NAN }),
        "DATAPOINT_COUNT" => given.aggregate("COUNT"),
        _ if AGGREGATES.contains(&name) => given.aggregate(name),
        "DIFF" => given.steps(|(_, before), (_, now)| now - before),
        "DIFF_TIME" => given.steps(|(before, _), (now, _)| seconds(now - before)),
        "RATE" => given.steps(|(then, before), (at, now)| (now - before) / seconds(at - then)),
        "RUNNING_SUM" => given.series_or_array(0, |series| {
            let mut sum = 0.0;
            let points = series.points.iter().map(|(at, value)| {
                sum += value;
                (*at, sum)
            });
            Ok(Series { points: kept(points), is_metric: false, ..series.clone() })
        }),
        "FILL" => given.fill(),
        "FIRST" | "LAST" => {
            let all = given.exactly(1)?.array(0)?;
            let one = if name == "FIRST" { all.into_iter().next() } else { all.into_iter().next_back() };
            Ok(Value::Series(one.unwrap_or_default()))
        }
        "IF" => given.condition(),
        "METRIC_COUNT" => Ok(Value::Scalar(count(given.exactly(1)?.array(0)?.len()))),
        "METRICS" => given.metrics(),
        "PERIOD" => {
            let series = given.exactly(1)?.series(0)?;
            match series.period.filter(|_| series.is_metric) {
                Some(period) => Ok(Value::Scalar(seconds(period))),
                None => Err(Fault::invalid("PERIOD takes a metric, not the result of an expression")),
            }
        }
        "REMOVE_EMPTY" => {
            let all = given.exactly(1)?.array(0)?;
            Ok(Value::Array(all.into_iter().filter(|series| !series.points.is_empty()).collect()))
        }
        "SEARCH" => {
            let asked = Asked::of(arguments, world.period)?;
            let found = world.searches.get(&asked);
            found.cloned().map(Value::Array).ok_or_else(|| Fault::invalid("SEARCH cannot be used here"))
        }
        "SLICE" => given.slice(),
        "SORT" => given.sort(),
        "TIME_SERIES" => {
            let scalar = given.exactly(1)?.scalar(0)?;
            let period = world.period.ok_or_else(|| Fault::invalid("TIME_SERIES needs a Period of its query"))?;
            let points = kept(world.times(period)?.map(|at| (at, scalar)));
            Ok(Value::Series(Series { points, period: Some(period), ..Series::default() }))
        }
        _ if OF_A_TIME.contains(&name) => {
            let series = given.exactly(1)?.series(0)?;
            let period = series.period.or(world.period);
            let period = period.ok_or_else(|| Fault::Invalid(format!("{name} needs a metric or a Period")))?;
            let points = world.times(period)?.filter_map(|at| Some((at, of_a_time(name, at)?))).collect();
            Ok(Value::Series(Series { points, is_metric: false, ..series }))
        }
        _ => Err(Fault::Invalid(format!("Unrecognized function '{name}'"))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds and counts are below 2^52")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "seconds and counts are below 2^52")]
fn count(count: usize) -> f64 {
    count as f64
}

/// Days of the week count from Monday, 1. Source: the guide's `IF(DAY(m1)<6,m1)`, Monday to Friday.
fn of_a_time(name: &str, at: i64) -> Option<f64> {
    let local = TimeZone::UTC.to_datetime(Timestamp::from_second(at).ok()?);
    Some(match name {
        "MINUTE" => f64::from(local.minute()),
        "HOUR" => f64::from(local.hour()),
        "DAY" => f64::from(local.weekday().to_monday_one_offset()),
        "DATE" => f64::from(local.day()),
        "MONTH" => f64::from(local.month()),
        "YEAR" => f64::from(local.year()),
        _ => seconds(at),
    })
}

/// Of the values of one series, or of several at one time; none of no values, except that they are none and add up to 0.
fn total(name: &str, values: &[f64]) -> f64 {
    match name {
        "COUNT" => count(values.len()),
        "SUM" => values.iter().sum(),
        "AVG" => values.iter().sum::<f64>() / count(values.len()),
        "MAX" => values.iter().copied().fold(f64::NAN, f64::max),
        _ => values.iter().copied().fold(f64::NAN, f64::min),
    }
}

/// A call with its arguments.
struct Given<'a> {
    name: &'a str,
    arguments: &'a [Expr],
    world: &'a World<'a>,
}

impl Given<'_> {
    fn exactly(&self, wanted: usize) -> Result<&Self, Fault> {
        self.between(wanted, wanted)
    }

    fn between(&self, least: usize, most: usize) -> Result<&Self, Fault> {
        let found = self.arguments.len();
        if (least..=most).contains(&found) {
            return Ok(self);
        }
        Err(Fault::Invalid(format!("{} does not take {found} arguments", self.name)))
    }

    fn value(&self, at: usize) -> Result<Value, Fault> {
        let argument = self.arguments.get(at);
        value(argument.ok_or_else(|| Fault::Invalid(format!("{} lacks an argument", self.name)))?, self.world)
    }

    fn wrong(&self, found: &Value) -> Fault {
        Fault::Invalid(format!("Unsupported operand type(s) for {}: '[{}]'", self.name, found.kind()))
    }

    fn scalar(&self, at: usize) -> Result<f64, Fault> {
        match self.value(at)? {
            Value::Scalar(number) => Ok(number),
            other => Err(self.wrong(&other)),
        }
    }

    fn series(&self, at: usize) -> Result<Series, Fault> {
        match self.value(at)? {
            Value::Series(series) => Ok(series),
            other => Err(self.wrong(&other)),
        }
    }

    fn array(&self, at: usize) -> Result<Vec<Series>, Fault> {
        match self.value(at)? {
            Value::Array(all) => Ok(all),
            other => Err(self.wrong(&other)),
        }
    }

    /// A place in an array.
    fn index(&self, at: usize) -> Result<usize, Fault> {
        let number = self.scalar(at)?;
        let whole = number >= 0.0 && number.fract() == 0.0 && number < 1e9;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at")]
        whole
            .then_some(number as usize)
            .ok_or_else(|| Fault::Invalid(format!("{} takes whole numbers that are not negative", self.name)))
    }

    fn word(&self, at: usize, known: &[&'static str]) -> Result<&'static str, Fault> {
        let found = match self.arguments.get(at) {
            Some(Expr::Word(word)) => known.iter().copied().find(|one| one == word),
            _ => None,
        };
        found.ok_or_else(|| Fault::Invalid(format!("{} takes one of {} here", self.name, known.join(", "))))
    }

    fn series_or_array(&self, at: usize, mut of: impl FnMut(&Series) -> Result<Series, Fault>) -> Result<Value, Fault> {
        match self.value(at)? {
            Value::Series(series) => of(&series).map(Value::Series),
            Value::Array(all) => all.iter().map(of).collect::<Result<_, _>>().map(Value::Array),
            other @ Value::Scalar(_) => Err(self.wrong(&other)),
        }
    }

    fn every(&self, of: impl Fn(f64) -> f64) -> Result<Value, Fault> {
        self.exactly(1)?.series_or_array(0, |series| Ok(map(series, &of)))
    }

    /// Of each value and the one before it.
    fn steps(&self, of: impl Fn((i64, f64), (i64, f64)) -> f64) -> Result<Value, Fault> {
        self.exactly(1)?.series_or_array(0, |series| {
            let points: Vec<(i64, f64)> = series.points.iter().map(|(at, value)| (*at, *value)).collect();
            let steps = points.windows(2).map(|pair| (pair[1].0, of(pair[0], pair[1])));
            Ok(Series { points: kept(steps), is_metric: false, ..series.clone() })
        })
    }

    /// A scalar of one series; a series of several. An average counts what is missing as 0.
    fn aggregate(&self, what: &str) -> Result<Value, Fault> {
        let all = match self.exactly(1)?.value(0)? {
            Value::Series(series) => {
                return Ok(Value::Scalar(total(what, &series.points.values().copied().collect::<Vec<_>>())));
            }
            Value::Array(all) => all,
            other @ Value::Scalar(_) => return Err(self.wrong(&other)),
        };
        let times: BTreeSet<i64> = all.iter().flat_map(|series| series.points.keys().copied()).collect();
        let points = times.into_iter().map(|at| {
            let found: Vec<f64> = all.iter().filter_map(|series| series.points.get(&at).copied()).collect();
            let value = if what == "AVG" { total("SUM", &found) / count(all.len()) } else { total(what, &found) };
            (at, value)
        });
        let period = all.iter().filter_map(|series| series.period).max();
        Ok(Value::Series(Series { points: kept(points), period, ..Series::default() }))
    }

    fn fill(&self) -> Result<Value, Fault> {
        enum With {
            Number(f64),
            Series(Points),
            Repeat,
            Linear,
        }
        let with = match self.between(2, 2)?.arguments.get(1) {
            Some(Expr::Word(_)) if self.word(1, &["REPEAT", "LINEAR"])? == "REPEAT" => With::Repeat,
            Some(Expr::Word(_)) => With::Linear,
            _ => match self.value(1)? {
                Value::Scalar(number) => With::Number(number),
                Value::Series(series) => With::Series(series.points),
                other @ Value::Array(_) => return Err(self.wrong(&other)),
            },
        };
        self.series_or_array(0, |series| {
            let period = series.period.or(self.world.period);
            let period = period.ok_or_else(|| Fault::invalid("FILL needs a metric or a Period"))?;
            let mut points = series.points.clone();
            for at in self.world.times(period)?.filter(|at| !series.points.contains_key(at)) {
                let before = || series.points.range(..at).next_back();
                let after = || series.points.range(at..).next();
                let value = match &with {
                    With::Number(number) => Some(*number),
                    With::Series(other) => other.get(&at).copied(),
                    With::Repeat => before().map(|(_, value)| *value),
                    With::Linear => before()
                        .zip(after())
                        .map(|((t0, v0), (t1, v1))| v0 + (v1 - v0) * seconds(at - t0) / seconds(t1 - t0)),
                };
                points.extend(value.map(|value| (at, value)));
            }
            Ok(Series { points: kept(points.into_iter()), is_metric: false, ..series.clone() })
        })
    }

    fn condition(&self) -> Result<Value, Fault> {
        let condition = self.between(2, 3)?.value(0)?;
        let branch = |at: usize| match self.arguments.get(at).map(|_| self.value(at)).transpose()? {
            Some(other @ Value::Array(_)) => Err(self.wrong(&other)),
            other => Ok(other),
        };
        let (yes, no) = (branch(1)?, branch(2)?);
        let series = match condition {
            Value::Series(series) => series,
            other @ Value::Array(_) => return Err(self.wrong(&other)),
            Value::Scalar(number) => {
                let (taken, other) = if number == 0.0 { (no, yes) } else { (yes, no) };
                return match (taken, other) {
                    (Some(Value::Series(series)), _) => Ok(Value::Series(series)),
                    (Some(Value::Scalar(scalar)), Some(Value::Series(like))) => {
                        let points = like.points.keys().map(|at| (*at, scalar)).collect();
                        Ok(Value::Series(Series { points, is_metric: false, ..like }))
                    }
                    (None, Some(Value::Series(like))) => {
                        Ok(Value::Series(Series { points: Points::new(), is_metric: false, ..like }))
                    }
                    _ => Err(Fault::invalid("IF of a scalar takes a time series")),
                };
            }
        };
        // Where the condition holds and there is no value it is 0; where it does not hold there is none.
        let points = series.points.iter().filter_map(|(at, is)| {
            let (taken, without) = if *is == 0.0 { (&no, None) } else { (&yes, Some(0.0)) };
            let value = match taken {
                Some(Value::Scalar(scalar)) => Some(*scalar),
                Some(Value::Series(series)) => series.points.get(at).copied().or(without),
                _ => None,
            };
            Some((*at, value?))
        });
        Ok(Value::Series(Series { points: kept(points), is_metric: false, ..series.clone() }))
    }

    fn metrics(&self) -> Result<Value, Fault> {
        let wanted = match self.between(0, 1)?.arguments {
            [] => "",
            [Expr::Text(text)] => text.as_str(),
            _ => return Err(Fault::invalid("METRICS takes a text")),
        };
        let found = self.world.metrics.iter().filter(|(id, _)| id.contains(wanted));
        Ok(Value::Array(found.map(|(_, series)| series.clone()).collect()))
    }

    fn slice(&self) -> Result<Value, Fault> {
        let all = self.between(2, 3)?.array(0)?;
        let from = self.index(1)?;
        let to = if self.arguments.len() == 3 { self.index(2)? } else { all.len() };
        Ok(Value::Array(all.into_iter().take(to).skip(from).collect()))
    }

    /// Series without values come last.
    fn sort(&self) -> Result<Value, Fault> {
        let mut all = self.between(3, 4)?.array(0)?;
        let by = self.word(1, &AGGREGATES)?;
        let descending = self.word(2, &["ASC", "DESC"])? == "DESC";
        let most = if self.arguments.len() == 4 { self.index(3)? } else { all.len() };
        let rank = |series: &Series| total(by, &series.points.values().copied().collect::<Vec<_>>());
        all.sort_by(|one, other| {
            let empty = one.points.is_empty().cmp(&other.points.is_empty());
            let order = rank(one).total_cmp(&rank(other));
            empty.then(if descending { order.reverse() } else { order })
        });
        all.truncate(most);
        Ok(Value::Array(all))
    }
}
