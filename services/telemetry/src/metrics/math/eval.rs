//! What an expression is, given the series that it names.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::parse::{Expr, Op};
use super::search::Asked;
use super::{Fault, Points, Series, Value, functions};

/// What an expression may speak of.
pub(in crate::metrics) struct World<'a> {
    /// From the first period to before the last, in seconds; nothing after now.
    pub(in crate::metrics) span: (i64, i64),
    /// Where periods begin.
    pub(in crate::metrics) grid: Grid,
    /// The granularity that was asked for, or that of all metrics.
    pub(in crate::metrics) period: Option<i64>,
    /// Metrics and expressions that have been evaluated.
    pub(in crate::metrics) ids: &'a BTreeMap<String, Value>,
    /// The metrics of the request, in its order.
    pub(in crate::metrics) metrics: &'a [(String, Series)],
    pub(in crate::metrics) searches: &'a BTreeMap<Asked, Vec<Series>>,
    /// How many more points the functions of the request may make that give every period one.
    pub(in crate::metrics) left: &'a Cell<i64>,
}

/// When periods begin.
#[derive(Clone, Copy, Debug)]
pub(in crate::metrics) enum Grid {
    /// At whole ones of the clock, as the data that is asked for.
    Clock,
    /// At this second, and whole periods before and after: an alarm looks each minute at the periods that end there, whatever their length.
    At(i64),
}

impl Grid {
    /// When the period begins that a time is in.
    pub(in crate::metrics) fn begin(self, at: i64, period: i64) -> i64 {
        let origin = match self {
            Self::Clock => 0,
            Self::At(origin) => origin,
        };
        origin + (at - origin).div_euclid(period) * period
    }
}

/// Source: API Reference, GetMetricData: the most data points of a request.
pub(in crate::metrics) const MOST_POINTS: i64 = 100_800;

impl World<'_> {
    /// The beginnings of all periods of the span.
    pub(super) fn times(&self, period: i64) -> Result<impl Iterator<Item = i64> + use<>, Fault> {
        let (from, to) = self.span;
        let period = period.max(1);
        let many = to.saturating_sub(from) / period + 1;
        let left = self.left.get().saturating_sub(many.max(0));
        if left < 0 {
            return Err(Fault::Invalid(format!(
                "It would make more than {MOST_POINTS} data points of the request: ask for less time, or a longer period"
            )));
        }
        self.left.set(left);
        let first = self.grid.begin(from, period);
        Ok((0..).map(move |n| first + n * period).take_while(move |at| *at < to))
    }
}

/// A series, or several of them.
pub(in crate::metrics) fn evaluate(expr: &Expr, world: &World<'_>) -> Result<Value, Fault> {
    match value(expr, world)? {
        Value::Scalar(_) => {
            Err(Fault::invalid("The expression must return a time series or an array of time series, not a scalar"))
        }
        found => Ok(found),
    }
}

pub(super) fn value(expr: &Expr, world: &World<'_>) -> Result<Value, Fault> {
    match expr {
        Expr::Number(number) => Ok(Value::Scalar(*number)),
        Expr::Text(text) => Err(Fault::Invalid(format!("Unexpected text '{text}'"))),
        Expr::Word(capitals) => Err(Fault::Invalid(format!("Unexpected word {capitals}"))),
        Expr::Id(id) => {
            world.ids.get(id).cloned().ok_or_else(|| Fault::Invalid(format!("Reference to undefined id '{id}'")))
        }
        Expr::Array(parts) => array(parts, world),
        Expr::Call(name, arguments) => functions::call(name, arguments, world),
        Expr::Minus(inner) => Ok(match value(inner, world)? {
            Value::Scalar(number) => Value::Scalar(-number),
            Value::Series(series) => Value::Series(map(&series, |v| -v)),
            Value::Array(all) => Value::Array(all.iter().map(|series| map(series, |v| -v)).collect()),
        }),
        Expr::Binary(op, left, right) => binary(*op, value(left, world)?, value(right, world)?),
    }
}

/// Series and arrays of them, one after the other.
fn array(parts: &[Expr], world: &World<'_>) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for part in parts {
        match value(part, world)? {
            Value::Scalar(_) => return Err(Fault::invalid("An array holds time series, not scalars")),
            Value::Series(series) => all.push(series),
            Value::Array(more) => all.extend(more),
        }
    }
    Ok(Value::Array(all))
}

/// What has no value any more is dropped; zero has no sign.
pub(super) fn kept(points: impl Iterator<Item = (i64, f64)>) -> Points {
    points.filter(|(_, value)| value.is_finite()).map(|(at, value)| (at, value + 0.0)).collect()
}

/// The same with other values, which is no metric any more.
pub(super) fn map(series: &Series, change: impl Fn(f64) -> f64) -> Series {
    let points = kept(series.points.iter().map(|(at, value)| (*at, change(*value))));
    Series { points, is_metric: false, ..series.clone() }
}

/// Of two: at every time at which one of them has a value; what is missing is 0.
fn both(left: &Series, right: &Series, of: impl Fn(f64, f64) -> f64) -> Series {
    let times: BTreeSet<i64> = left.points.keys().chain(right.points.keys()).copied().collect();
    let at = |series: &Series, time: &i64| series.points.get(time).copied().unwrap_or(0.0);
    let points = kept(times.iter().map(|time| (*time, of(at(left, time), at(right, time)))));
    Series { label: left.label.clone(), period: left.period.max(right.period), points, is_metric: false }
}

#[expect(clippy::float_cmp, reason = "== of the language is that of its numbers")]
fn number(op: Op, left: f64, right: f64) -> f64 {
    let truth = |is: bool| f64::from(u8::from(is));
    match op {
        Op::Add => left + right,
        Op::Subtract => left - right,
        Op::Multiply => left * right,
        // What is divided by zero is dropped.
        Op::Divide if right == 0.0 => f64::NAN,
        Op::Divide => left / right,
        Op::Power => left.powf(right),
        Op::Equal => truth(left == right),
        Op::NotEqual => truth(left != right),
        Op::LessOrEqual => truth(left <= right),
        Op::GreaterOrEqual => truth(left >= right),
        Op::Less => truth(left < right),
        Op::Greater => truth(left > right),
        Op::And => truth(left != 0.0 && right != 0.0),
        Op::Or => truth(left != 0.0 || right != 0.0),
    }
}

fn binary(op: Op, left: Value, right: Value) -> Result<Value, Fault> {
    let of = |left: f64, right: f64| number(op, left, right);
    let arithmetic = matches!(op, Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Power);
    let wrong = |left: &Value, right: &Value| {
        let (sign, left, right) = (op.sign(), left.kind(), right.kind());
        Err(Fault::Invalid(format!("Unsupported operand type(s) for {sign}: '[{left}, {right}]'")))
    };
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Value::Scalar(of(left, right)),
        (Value::Series(left), Value::Scalar(right)) => Value::Series(map(&left, |value| of(value, right))),
        (Value::Scalar(left), Value::Series(right)) => Value::Series(map(&right, |value| of(left, value))),
        (Value::Series(left), Value::Series(right)) => Value::Series(both(&left, &right, of)),
        (left @ Value::Array(_), right @ Value::Array(_)) => return wrong(&left, &right),
        (left, right) if !arithmetic => return wrong(&left, &right),
        (Value::Array(all), right) => each(all, |one| binary(op, one, right.clone()))?,
        (left, Value::Array(all)) => each(all, |one| binary(op, left.clone(), one))?,
    })
}

/// Of every series of an array, under its own label.
fn each(all: Vec<Series>, of: impl Fn(Value) -> Result<Value, Fault>) -> Result<Value, Fault> {
    let mut made = Vec::new();
    for one in all {
        let label = one.label.clone();
        if let Value::Series(series) = of(Value::Series(one))? {
            made.push(Series { label, ..series });
        }
    }
    Ok(Value::Array(made))
}
