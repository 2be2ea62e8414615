//! What stands for the rows of a group, so that they need not be kept: fewer rows with the same result, or figures to which each
//! row is added. What needs every row, such as `array_agg`, has neither.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::aggregate::{Aggregate, Moments, Pairs, deviation, digestible, float, hash, is_nan, percentiles, several};
use crate::error::{Error, Result};
use crate::types::Type;
use crate::value::{Value, order};

type Row = Vec<Value>;

/// Fewer rows that give the same result, also together with further ones; `None` where all are needed.
///
/// # Errors
/// Those of the aggregate.
pub fn compact(call: &Aggregate, rows: Vec<Row>) -> Result<std::result::Result<Vec<Row>, Vec<Row>>> {
    let wanted = if call.name.starts_with("min") { Ordering::Less } else { Ordering::Greater };
    Ok(Ok(match (call.name, call.params.len()) {
        (
            "min" | "max" | "any_value" | "arbitrary" | "bool_and" | "bool_or" | "every" | "bitwise_and_agg"
            | "bitwise_or_agg" | "bitwise_xor_agg",
            1,
        ) => one(call, &rows)?,
        ("sum", 1) if matches!(call.returns, Type::IntervalDay | Type::IntervalYear) => one(call, &rows)?,
        ("min" | "max", 2) => best(rows, 0, 1, wanted, "second argument of max_n/min_n")?,
        ("min_by" | "max_by", 3) => best(rows, 1, 2, wanted, "third argument of max_by/min_by")?,
        ("min_by" | "max_by", 2) => by(rows, wanted).into_iter().collect(),
        ("approx_distinct" | "approx_set", _) => {
            let mut seen = BTreeSet::new();
            rows.into_iter().filter(|row| seen.insert(row.clone())).collect()
        }
        ("map_agg", _) => {
            let mut seen = BTreeSet::new();
            rows.into_iter().filter(|row| !row[0].is_null() && seen.insert(row[0].clone())).collect()
        }
        _ => return Ok(Err(rows)),
    }))
}

/// The row whose value is the result of all.
fn one(call: &Aggregate, rows: &[Row]) -> Result<Vec<Row>> {
    let value = (call.run)(call, rows)?;
    Ok(if value.is_null() { Vec::new() } else { vec![vec![value]] })
}

fn by(rows: Vec<Row>, wanted: Ordering) -> Option<Row> {
    let mut best: Option<Row> = None;
    for row in rows.into_iter().filter(|row| !row[1].is_null()) {
        let better = match &best {
            None => true,
            Some(best) if is_nan(&best[1]) => !is_nan(&row[1]),
            Some(best) => !is_nan(&row[1]) && order(&row[1], &best[1]) == wanted,
        };
        if better {
            best = Some(row);
        }
    }
    best
}

/// The first rows in the order of a column, as many as another says; the number itself is kept where there are none.
fn best(mut rows: Vec<Row>, key: usize, number: usize, wanted: Ordering, what: &str) -> Result<Vec<Row>> {
    let Some(n) = several(&rows, number, what)? else {
        // Whatever is to come, these rows count when a number does.
        return Ok(rows);
    };
    let first = rows.iter().find(|row| !row[number].is_null()).cloned();
    rows.retain(|row| !row[key].is_null());
    let plain = key == 0;
    rows.sort_by(|a, b| {
        let (x, y) = (&a[key], &b[key]);
        let numbers = if plain { is_nan(x).cmp(&is_nan(y)) } else { Ordering::Equal };
        numbers.then_with(|| if wanted == Ordering::Less { order(x, y) } else { order(y, x) })
    });
    rows.truncate(n);
    for row in &mut rows {
        row[number] = Value::Int(n as i64);
    }
    Ok(if rows.is_empty() { first.into_iter().collect() } else { rows })
}

/// Figures of the rows of a group.
#[derive(Debug, Clone)]
pub enum Running {
    Counted(i64),
    /// How many, and their sum: of logarithms, or of what is a double only until the end.
    Sum(f64, f64),
    Moments(Moments),
    Pairs(Pairs),
    /// Whether there was a row, and the sum.
    Checksum(bool, u64),
    Samples(Box<Samples>),
}

/// What percentiles are taken of: each value and its weight as they are, for Trino's digest gives exact answers where it may.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// The shares that are asked for, as the first row has them.
    share: Option<Value>,
    values: Vec<u64>,
    weights: Vec<f64>,
}

impl Running {
    /// The figures of no rows, if an aggregate needs no more than figures.
    pub fn of(call: &Aggregate) -> Option<Self> {
        Some(match call.name {
            "count_if" => Self::Counted(0),
            "geometric_mean" => Self::Sum(0.0, 0.0),
            "sum" | "avg" if call.returns == Type::Real => Self::Sum(0.0, 0.0),
            "stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop" | "skewness" | "kurtosis" => {
                Self::Moments(Moments::default())
            }
            "corr" | "covar_pop" | "covar_samp" | "regr_slope" | "regr_intercept" => Self::Pairs(Pairs::default()),
            "checksum" => Self::Checksum(false, 0),
            "approx_percentile" => Self::Samples(Box::default()),
            _ => return None,
        })
    }

    /// Adds one row.
    ///
    /// # Errors
    /// Those of the aggregate for this row.
    pub fn add(&mut self, call: &Aggregate, row: &[Value]) -> Result<()> {
        match self {
            Self::Counted(count) => *count += i64::from(row[0].as_bool()),
            Self::Checksum(any, sum) => {
                *any = true;
                *sum = sum.wrapping_add(hash(&row[0], &call.params[0])?);
            }
            Self::Samples(samples) => samples.add(call, row)?,
            _ if row.iter().any(Value::is_null) => {}
            Self::Sum(count, sum) => {
                let value = row[0].as_double();
                *count += 1.0;
                *sum += if call.name == "geometric_mean" { value.ln() } else { value };
            }
            Self::Moments(moments) => moments.add(row[0].as_double()),
            Self::Pairs(pairs) => pairs.add(row[0].as_double(), row[1].as_double()),
        }
        Ok(())
    }

    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Counted(count), Self::Counted(more)) => *count += more,
            (Self::Sum(count, sum), Self::Sum(n, more)) => {
                *count += n;
                *sum += more;
            }
            (Self::Moments(own), Self::Moments(other)) => own.merge(&other),
            (Self::Pairs(own), Self::Pairs(other)) => own.merge(&other),
            (Self::Checksum(any, sum), Self::Checksum(more, other)) => {
                *any |= more;
                *sum = sum.wrapping_add(other);
            }
            (Self::Samples(own), Self::Samples(other)) => {
                own.share = own.share.take().or(other.share);
                own.values.extend(other.values);
                own.weights.extend(other.weights);
            }
            _ => {}
        }
    }

    /// The result.
    ///
    /// # Errors
    /// Those of the aggregate.
    pub fn finish(&self, call: &Aggregate) -> Result<Value> {
        Ok(match self {
            Self::Counted(count) => Value::Int(*count),
            Self::Sum(count, _) if *count == 0.0 => Value::Null,
            Self::Sum(count, sum) => float(
                call,
                match call.name {
                    "sum" => *sum,
                    "avg" => sum / count,
                    _ => (sum / count).exp(),
                },
            ),
            Self::Moments(moments) => deviation(call, moments),
            Self::Pairs(pairs) => pairs.result(call),
            Self::Checksum(false, _) => Value::Null,
            Self::Checksum(true, sum) => Value::Bytes(sum.to_le_bytes().to_vec()),
            Self::Samples(samples) => samples.finish(call)?,
        })
    }

    /// The figures as numbers, which go from one part of a plan to another.
    pub fn numbers(&self) -> Vec<i64> {
        let bits = |all: &[f64]| all.iter().map(|x| x.to_bits().cast_signed()).collect();
        match self {
            Self::Counted(count) => vec![*count],
            Self::Sum(count, sum) => bits(&[*count, *sum]),
            Self::Moments(m) => bits(&m.figures()),
            Self::Pairs(p) => bits(&p.figures()),
            Self::Checksum(any, sum) => vec![i64::from(*any), sum.cast_signed()],
            Self::Samples(samples) => samples.numbers(),
        }
    }

    /// The figures that such numbers are.
    ///
    /// # Errors
    /// If they are none of this aggregate's.
    pub fn read(call: &Aggregate, numbers: &[i64]) -> Result<Self> {
        let double = |at: usize| numbers.get(at).map_or(0.0, |bits| f64::from_bits(bits.cast_unsigned()));
        let empty = Self::of(call).ok_or_else(|| Error::internal("figures of an aggregate without any"))?;
        Ok(match empty {
            Self::Counted(_) => Self::Counted(numbers.first().copied().unwrap_or(0)),
            Self::Sum(..) => Self::Sum(double(0), double(1)),
            Self::Moments(_) => Self::Moments(Moments::of([0, 1, 2, 3, 4, 5].map(double))),
            Self::Pairs(_) => Self::Pairs(Pairs::of([0, 1, 2, 3, 4, 5].map(double))),
            Self::Checksum(..) => match numbers {
                [any, sum] => Self::Checksum(*any != 0, sum.cast_unsigned()),
                _ => empty,
            },
            Self::Samples(_) => Self::Samples(Box::new(Samples::read(numbers))),
        })
    }

    /// The bytes that it has beside itself.
    pub fn heap(&self) -> usize {
        match self {
            Self::Samples(samples) => 64 + samples.values.capacity() * 8 + samples.weights.capacity() * 8,
            _ => 0,
        }
    }
}

impl Samples {
    fn add(&mut self, call: &Aggregate, row: &[Value]) -> Result<()> {
        let Some((share, rest)) = row.split_last() else { return Ok(()) };
        let (value, weight) = (&rest[0], rest.get(1));
        if value.is_null() {
            return Ok(());
        }
        if self.share.is_none() && !share.is_null() {
            self.share = Some(share.clone());
        }
        let weighted = call.params.len() == 3;
        let weight = match weight {
            Some(weight) if weight.is_null() => return Ok(()),
            Some(weight) => weight.as_double(),
            None => 1.0,
        };
        if weighted && weight <= 0.0 {
            return Err(Error::argument("percentile weight must be > 0"));
        }
        digestible(value, weight)?;
        self.values.push(match value {
            Value::Int(value) => value.cast_unsigned(),
            other => other.as_double().to_bits(),
        });
        if weighted {
            self.weights.push(weight);
        }
        Ok(())
    }

    fn finish(&self, call: &Aggregate) -> Result<Value> {
        let Some(share) = &self.share else { return Ok(Value::Null) };
        let value = |bits: u64| match call.params[0] {
            Type::Bigint => Value::Int(bits.cast_signed()),
            Type::Real => Value::Real(f64::from_bits(bits) as f32),
            _ => Value::Double(f64::from_bits(bits)),
        };
        let weight = |at: usize| self.weights.get(at).copied().unwrap_or(1.0);
        let mut all: Vec<(Value, f64)> =
            self.values.iter().enumerate().map(|(at, bits)| (value(*bits), weight(at))).collect();
        all.sort_by(|(a, _), (b, _)| order(a, b));
        percentiles(&all, share)
    }

    /// How many shares there are, none (-2) or one alone (-1); the shares; how many values, those, and the weights.
    fn numbers(&self) -> Vec<i64> {
        let bits = |x: f64| x.to_bits().cast_signed();
        let mut numbers = match &self.share {
            None => vec![-2],
            Some(Value::Array(shares)) => {
                let count = i64::try_from(shares.len()).unwrap_or(0);
                std::iter::once(count).chain(shares.iter().map(|share| bits(share.as_double()))).collect()
            }
            Some(share) => vec![-1, bits(share.as_double())],
        };
        numbers.push(i64::try_from(self.values.len()).unwrap_or(0));
        numbers.extend(self.values.iter().map(|value| value.cast_signed()));
        numbers.extend(self.weights.iter().copied().map(bits));
        numbers
    }

    fn read(numbers: &[i64]) -> Self {
        let mut rest = numbers.iter().copied();
        let double = |bits: i64| f64::from_bits(bits.cast_unsigned());
        let share = match rest.next() {
            Some(-1) => rest.next().map(|bits| Value::Double(double(bits))),
            Some(count @ 0..) => {
                let shares = rest.by_ref().take(usize::try_from(count).unwrap_or(0));
                Some(Value::Array(shares.map(|bits| Value::Double(double(bits))).collect()))
            }
            _ => None,
        };
        let count = rest.next().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let values = rest.by_ref().take(count).map(i64::cast_unsigned).collect();
        Self { share, values, weights: rest.map(double).collect() }
    }
}
