//! Aggregates: each a plain function over all rows of a group, which come filtered, distinct and sorted as was asked.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use arrow::datatypes::i256;

use crate::call::{Signature, unexpected};
use crate::cast::fits;
use crate::error::{Error, Result};
use crate::scalar::quotient_half_up;
use crate::types::Type;
use crate::value::{PICOS_PER_DAY, Value, order};

/// One group's rows, each the arguments' values.
pub type Groups = fn(&Aggregate, &[Vec<Value>]) -> Result<Value>;

/// An aggregate chosen for its arguments.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub name: &'static str,
    pub params: Vec<Type>,
    pub returns: Type,
    pub run: Groups,
}

/// The aggregate that a call means.
pub fn resolve(name: &str, types: &[Type]) -> Result<Aggregate> {
    let Some(overloads) = REGISTRY.get(name) else {
        return Err(Error::new("FUNCTION_NOT_FOUND", format!("Function '{name}' not registered")));
    };
    if let Some(found) = decimal(name, types) {
        return Ok(found);
    }
    for exact in [true, false] {
        for (signature, run) in overloads {
            if let Some((params, returns)) = signature.bind(types, exact) {
                return Ok(Aggregate { name: signature.name, params, returns, run: *run });
            }
        }
    }
    // A form of the grammar's, which says what it wants.
    if let ("listagg", Some(ty)) = (name, types.first()) {
        return Err(Error::type_mismatch(format!("Expected expression of varchar, but the value has {ty} type")));
    }
    Err(unexpected(name, overloads.iter().map(|(signature, _)| signature), types))
}

pub fn exists(name: &str) -> bool {
    REGISTRY.contains_key(name)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    REGISTRY.keys().copied()
}

static REGISTRY: LazyLock<BTreeMap<&'static str, Vec<(Signature, Groups)>>> = LazyLock::new(|| {
    let mut all: BTreeMap<&'static str, Vec<(Signature, Groups)>> = BTreeMap::new();
    for &(name, signature, run) in TABLE {
        all.entry(name).or_default().push((Signature::parse(name, signature), run));
    }
    all
});

/// Sums and averages of decimals, whose result no signature says.
fn decimal(name: &str, types: &[Type]) -> Option<Aggregate> {
    let [ty @ Type::Decimal(p, s)] = types else { return None };
    let (name, returns, run): (_, _, Groups) = match name {
        "sum" => ("sum", Type::Decimal(38, *s), SUM),
        "avg" => ("avg", Type::Decimal(*p, *s), AVG_DECIMAL),
        _ => return None,
    };
    Some(Aggregate { name, params: vec![ty.clone()], returns, run })
}

/// The first argument's values but for nulls.
fn firsts(rows: &[Vec<Value>]) -> impl Iterator<Item = &Value> {
    rows.iter().filter_map(|row| row.first()).filter(|value| !value.is_null())
}

const COUNT: Groups =
    |call, rows| Ok(Value::Int(if call.params.is_empty() { rows.len() as i64 } else { firsts(rows).count() as i64 }));

const COUNT_IF: Groups = |_, rows| Ok(Value::Int(firsts(rows).filter(|value| value.as_bool()).count() as i64));

const SUM: Groups = |call, rows| {
    if let Type::Decimal(..) = call.returns {
        let (sum, count) = sum_of_decimals(rows)?;
        let sum = sum.to_i128().filter(|sum| fits(*sum, 38)).ok_or_else(|| Error::out_of_range("Decimal overflow"))?;
        return Ok(if count == 0 { Value::Null } else { Value::Decimal(sum) });
    }
    let added = |a: i64, b: i64| {
        a.checked_add(b).ok_or_else(|| Error::out_of_range(format!("bigint addition overflow: {a} + {b}")))
    };
    let mut sum: Option<Value> = None;
    for value in firsts(rows) {
        sum = Some(match (sum, value) {
            (None, value) => value.clone(),
            (Some(Value::Int(a)), Value::Int(b)) => Value::Int(added(a, *b)?),
            (Some(Value::Real(a)), Value::Real(b)) => Value::Real(a + b),
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
            (Some(Value::IntervalDay(a)), Value::IntervalDay(b)) => Value::IntervalDay(added(a, *b)?),
            (Some(Value::IntervalYear(a)), Value::IntervalYear(b)) => {
                let months = a.checked_add(*b).ok_or_else(|| {
                    Error::out_of_range(format!("interval year to month addition overflow: {a} + {b}"))
                })?;
                Value::IntervalYear(months)
            }
            (sum, _) => return sum.ok_or_else(|| Error::internal("a sum")),
        });
    }
    Ok(sum.unwrap_or(Value::Null))
};

/// The sum of any number of decimals, and how many there are: what lies between may be beyond 128 bits, as in Trino.
fn sum_of_decimals(rows: &[Vec<Value>]) -> Result<(i256, i64)> {
    let (mut sum, mut count) = (i256::ZERO, 0);
    for value in firsts(rows) {
        if let Value::Decimal(x) = value {
            sum = sum.checked_add(i256::from_i128(*x)).ok_or_else(|| Error::out_of_range("Decimal overflow"))?;
            count += 1;
        }
    }
    Ok((sum, count))
}

/// Sums of `real` go through double.
const SUM_REAL: Groups = |_, rows| {
    let mut values = firsts(rows).map(Value::as_double).peekable();
    Ok(if values.peek().is_none() { Value::Null } else { Value::Real(values.sum::<f64>() as f32) })
};

const AVG: Groups = |call, rows| {
    let values: Vec<f64> = doubles(rows, 0);
    if values.is_empty() {
        return Ok(Value::Null);
    }
    Ok(float(call, values.iter().sum::<f64>() / values.len() as f64))
};

const AVG_DECIMAL: Groups = |_, rows| {
    let (sum, count) = sum_of_decimals(rows)?;
    if count == 0 {
        return Ok(Value::Null);
    }
    let mean = quotient_half_up(sum, i256::from_i128(count.into())).and_then(i256::to_i128);
    mean.map(Value::Decimal).ok_or_else(|| Error::out_of_range("Decimal overflow"))
};

const AVG_INTERVAL: Groups = |_, rows| {
    let (mut sum, mut count, mut months) = (0f64, 0f64, false);
    for value in firsts(rows) {
        match value {
            Value::IntervalDay(ms) => sum += *ms as f64,
            Value::IntervalYear(m) => {
                months = true;
                sum += f64::from(*m);
            }
            _ => {}
        }
        count += 1.0;
    }
    // `Math.round` of Java: halves go up.
    let mean = (sum / count + 0.5).floor();
    Ok(if count == 0.0 {
        Value::Null
    } else if months {
        Value::IntervalYear(mean as i32)
    } else {
        Value::IntervalDay(mean as i64)
    })
};

pub(crate) fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Double(x) if x.is_nan()) || matches!(value, Value::Real(x) if x.is_nan())
}

/// The least or the greatest; a NaN is either only where there is nothing else.
pub(crate) fn extreme<'a>(values: impl Iterator<Item = &'a Value>, wanted: Ordering) -> Value {
    let mut best: Option<&Value> = None;
    for value in values {
        let better = match best {
            None => true,
            Some(best) if is_nan(best) => !is_nan(value),
            Some(best) => !is_nan(value) && order(value, best) == wanted,
        };
        if better {
            best = Some(value);
        }
    }
    best.cloned().unwrap_or(Value::Null)
}

const MIN: Groups = |_, rows| Ok(extreme(firsts(rows), Ordering::Less));
const MAX: Groups = |_, rows| Ok(extreme(firsts(rows), Ordering::Greater));

pub(crate) fn several(rows: &[Vec<Value>], n_at: usize, what: &str) -> Result<Option<usize>> {
    let Some(n) = rows.iter().map(|row| &row[n_at]).find(|n| !n.is_null()) else { return Ok(None) };
    let n = n.as_int();
    if n <= 0 {
        return Err(Error::argument(format!("{what} must be > 0")));
    }
    if n > 10_000 {
        return Err(Error::argument(format!("{what} must be less than or equal to 10000; found {n}")));
    }
    Ok(Some(n as usize))
}

fn extreme_n(rows: &[Vec<Value>], wanted: Ordering) -> Result<Value> {
    let mut values: Vec<Value> = firsts(rows).cloned().collect();
    let Some(n) = several(rows, 1, "second argument of max_n/min_n")?.filter(|_| !values.is_empty()) else {
        return Ok(Value::Null);
    };
    // What is no number comes last whichever way is sorted.
    values.sort_by(|a, b| {
        let numbers = is_nan(a).cmp(&is_nan(b));
        numbers.then_with(|| if wanted == Ordering::Less { order(a, b) } else { order(b, a) })
    });
    values.truncate(n);
    Ok(Value::Array(values))
}

const MIN_N: Groups = |_, rows| extreme_n(rows, Ordering::Less);
const MAX_N: Groups = |_, rows| extreme_n(rows, Ordering::Greater);

fn by(rows: &[Vec<Value>], wanted: Ordering) -> Value {
    let mut best: Option<&Vec<Value>> = None;
    for row in rows.iter().filter(|row| !row[1].is_null()) {
        let better = match best {
            None => true,
            Some(best) if is_nan(&best[1]) => !is_nan(&row[1]),
            Some(best) => !is_nan(&row[1]) && order(&row[1], &best[1]) == wanted,
        };
        if better {
            best = Some(row);
        }
    }
    best.map_or(Value::Null, |row| row[0].clone())
}

fn by_n(rows: &[Vec<Value>], wanted: Ordering) -> Result<Value> {
    let mut known: Vec<&Vec<Value>> = rows.iter().filter(|row| !row[1].is_null()).collect();
    let Some(n) = several(rows, 2, "third argument of max_by/min_by")?.filter(|_| !known.is_empty()) else {
        return Ok(Value::Null);
    };
    known.sort_by(|a, b| if wanted == Ordering::Less { order(&a[1], &b[1]) } else { order(&b[1], &a[1]) });
    Ok(Value::Array(known.into_iter().take(n).map(|row| row[0].clone()).collect()))
}

const MIN_BY: Groups = |_, rows| Ok(by(rows, Ordering::Less));
const MAX_BY: Groups = |_, rows| Ok(by(rows, Ordering::Greater));
const MIN_BY_N: Groups = |_, rows| by_n(rows, Ordering::Less);
const MAX_BY_N: Groups = |_, rows| by_n(rows, Ordering::Greater);

const ARRAY_AGG: Groups = |_, rows| {
    Ok(if rows.is_empty() { Value::Null } else { Value::Array(rows.iter().map(|row| row[0].clone()).collect()) })
};

const ANY: Groups = |_, rows| Ok(firsts(rows).next().cloned().unwrap_or(Value::Null));

const AND: Groups = |_, rows| {
    let mut values = firsts(rows).peekable();
    Ok(if values.peek().is_none() { Value::Null } else { values.all(Value::as_bool).into() })
};

const OR: Groups = |_, rows| {
    let mut values = firsts(rows).peekable();
    Ok(if values.peek().is_none() { Value::Null } else { values.any(Value::as_bool).into() })
};

fn bits(rows: &[Vec<Value>], f: fn(i64, i64) -> i64) -> Value {
    firsts(rows).map(Value::as_int).reduce(f).into()
}

const GEOMETRIC_MEAN: Groups = |call, rows| {
    let values = doubles(rows, 0);
    if values.is_empty() {
        return Ok(Value::Null);
    }
    let mean = (values.iter().map(|x| x.ln()).sum::<f64>() / values.len() as f64).exp();
    Ok(float(call, mean))
};

const HISTOGRAM: Groups = |_, rows| {
    let mut index: BTreeMap<&Value, usize> = BTreeMap::new();
    let mut counts: Vec<(Value, i64)> = Vec::new();
    for value in firsts(rows) {
        let at = *index.entry(value).or_insert_with(|| {
            counts.push((value.clone(), 0));
            counts.len() - 1
        });
        counts[at].1 += 1;
    }
    Ok(if counts.is_empty() {
        Value::Null
    } else {
        Value::Map(counts.into_iter().map(|(value, count)| (value, Value::Int(count))).collect())
    })
};

/// Entries in the order their keys were met; `join` says what becomes of another value of a key.
fn keyed(rows: &[Vec<Value>], first: fn(&Value) -> Value, join: fn(&mut Value, &Value)) -> Value {
    if rows.is_empty() {
        return Value::Null;
    }
    let mut index: BTreeMap<&Value, usize> = BTreeMap::new();
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for row in rows.iter().filter(|row| !row[0].is_null()) {
        if let Some(at) = index.get(&row[0]) {
            join(&mut entries[*at].1, &row[1]);
        } else {
            index.insert(&row[0], entries.len());
            entries.push((row[0].clone(), first(&row[1])));
        }
    }
    if entries.is_empty() { Value::Null } else { Value::Map(entries) }
}

const MAP_AGG: Groups = |_, rows| Ok(keyed(rows, Value::clone, |_, _| {}));

const MULTIMAP_AGG: Groups = |_, rows| {
    Ok(keyed(
        rows,
        |value| Value::Array(vec![value.clone()]),
        |known, value| {
            if let Value::Array(items) = known {
                items.push(value.clone());
            }
        },
    ))
};

const MAP_UNION: Groups = |_, rows| {
    let mut all: Vec<(Value, Value)> = Vec::new();
    let mut any = false;
    for value in firsts(rows) {
        any = true;
        for (k, v) in value.entries() {
            if !all.iter().any(|(known, _)| known == k) {
                all.push((k.clone(), v.clone()));
            }
        }
    }
    Ok(if any { Value::Map(all) } else { Value::Null })
};

/// Trino's limit of a list.
const LONGEST_LIST: usize = 1_048_576;

const LISTAGG: Groups = |_, rows| {
    let mut texts = rows.iter().filter(|row| !row[0].is_null()).peekable();
    if texts.peek().is_none() {
        return Ok(Value::Null);
    }
    let separator = rows[0].get(1).map_or("", Value::as_str);
    let text = texts.map(|row| row[0].as_str()).collect::<Vec<_>>().join(separator);
    if text.len() > LONGEST_LIST {
        let text = format!("Concatenated string has the length in bytes larger than the maximum {LONGEST_LIST}");
        return Err(Error::new("EXCEEDED_FUNCTION_MEMORY_LIMIT", text));
    }
    Ok(text.into())
};

const APPROX_DISTINCT: Groups = |_, rows| {
    if let Some(error) = rows.first().and_then(|row| row.get(1)) {
        let error = error.as_double();
        if !(0.004_062_5..=0.26).contains(&error) {
            return Err(Error::argument(format!("Standard error must be in [0.0040625, 0.26000]: {error}")));
        }
    }
    let distinct: BTreeSet<&Value> = firsts(rows).collect();
    Ok(Value::Int(distinct.len() as i64))
};

/// Values with weights, sorted.
fn weighted(rows: &[Vec<Value>], weight_at: Option<usize>) -> Result<Vec<(Value, f64)>> {
    let mut all = Vec::new();
    for row in rows.iter().filter(|row| !row[0].is_null()) {
        let weight = match weight_at {
            None => 1.0,
            Some(at) if row[at].is_null() => continue,
            Some(at) => row[at].as_double(),
        };
        if weight <= 0.0 && weight_at.is_some() {
            return Err(Error::argument("percentile weight must be > 0"));
        }
        digestible(&row[0], weight)?;
        all.push((row[0].clone(), weight));
    }
    all.sort_by(|(a, _), (b, _)| order(a, b));
    Ok(all)
}

/// What Trino's digest of values takes.
pub(crate) fn digestible(value: &Value, weight: f64) -> Result<()> {
    let java = |x: f64| {
        let mut text = String::new();
        crate::text::write_double(x, &mut text);
        text
    };
    if matches!(value, Value::Double(_) | Value::Real(_)) && !value.as_double().is_finite() {
        return Err(Error::argument(format!("value must be finite; was {}", java(value.as_double()))));
    }
    if !weight.is_finite() {
        return Err(Error::argument(format!("weight must be finite, was {}", java(weight))));
    }
    if weight < 1.0 {
        return Err(Error::argument(format!("weight must be >= 1, was {}", java(weight))));
    }
    Ok(())
}

/// The value at a share of the total weight, between two values where those weigh more than one (T. Dunning and O. Ertl,
/// "Computing extremely accurate quantiles using t-digests", 2019: Trino's digest, of values that are all kept).
pub fn quantile(sorted: &[(Value, f64)], share: f64) -> Value {
    let [.., (last, last_weight)] = sorted else { return Value::Null };
    let (first, first_weight) = &sorted[0];
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let wanted = share * total;
    if sorted.len() == 1 || wanted < 1.0 {
        return first.clone();
    }
    if wanted > total - 1.0 {
        return last.clone();
    }
    if *first_weight > 1.0 && wanted < first_weight / 2.0 {
        return first.clone();
    }
    if *last_weight > 1.0 && total - wanted <= last_weight / 2.0 {
        return last.clone();
    }
    let mut before = first_weight / 2.0;
    for pair in sorted.windows(2) {
        let [(a, v), (b, w)] = pair else { continue };
        let step = f64::midpoint(*v, *w);
        if before + step <= wanted {
            before += step;
            continue;
        }
        let (mut from_left, mut from_right) = (wanted - before, before + step - wanted);
        // One value alone is not spread.
        if (*v - 1.0).abs() == 0.0 {
            if from_left < 0.5 {
                return a.clone();
            }
            from_left -= 0.5;
        }
        if (*w - 1.0).abs() == 0.0 {
            if from_right <= 0.5 {
                return b.clone();
            }
            from_right -= 0.5;
        }
        let (x, y) = (a.as_double(), b.as_double());
        let between = (x * from_right + y * from_left) / (from_left + from_right);
        let between = if (x - y).abs() == 0.0 { x } else { between.clamp(x, y) };
        return match a {
            Value::Int(_) => Value::Int((between + 0.5).floor() as i64),
            Value::Real(_) => Value::Real(between as f32),
            _ => Value::Double(between),
        };
    }
    last.clone()
}

/// The least value at which a share of the total weight is passed.
pub(crate) fn discrete(sorted: &[(Value, f64)], share: f64) -> Value {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let wanted = share * total;
    let mut so_far = 0.0;
    for (value, weight) in sorted {
        so_far += weight;
        if so_far > wanted {
            return value.clone();
        }
    }
    sorted.last().map_or(Value::Null, |(value, _)| value.clone())
}

fn share(value: &Value) -> Result<f64> {
    let share = value.as_double();
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::argument("Percentile must be between 0 and 1"));
    }
    Ok(share)
}

fn percentile(rows: &[Vec<Value>], weight_at: Option<usize>, at: usize) -> Result<Value> {
    let Some(first) = rows.iter().find(|row| !row[0].is_null() && !row[at].is_null()) else { return Ok(Value::Null) };
    let sorted = weighted(rows, weight_at)?;
    percentiles(&sorted, &first[at])
}

/// The values at one share or at several.
pub(crate) fn percentiles(sorted: &[(Value, f64)], shares: &Value) -> Result<Value> {
    if sorted.is_empty() {
        return Ok(Value::Null);
    }
    match shares {
        Value::Array(shares) => {
            Ok(Value::Array(shares.iter().map(|s| Ok(quantile(sorted, share(s)?))).collect::<Result<_>>()?))
        }
        one => Ok(quantile(sorted, share(one)?)),
    }
}

const PERCENTILE: Groups = |_, rows| percentile(rows, None, 1);
const PERCENTILE_WEIGHTED: Groups = |_, rows| percentile(rows, Some(1), 2);

const MOST_FREQUENT: Groups = |_, rows| {
    let Some(first) = rows.iter().find(|row| !row[1].is_null()) else { return Ok(Value::Null) };
    let buckets = first[0].as_int();
    if buckets < 2 {
        return Err(Error::argument(
            "approx_most_frequent bucket count must be greater than one, input bucket count: ".to_owned()
                + &buckets.to_string(),
        ));
    }
    let mut counts: Vec<(Value, i64)> = Vec::new();
    for row in rows.iter().filter(|row| !row[1].is_null()) {
        match counts.iter_mut().find(|(known, _)| *known == row[1]) {
            Some((_, count)) => *count += 1,
            None => counts.push((row[1].clone(), 1)),
        }
    }
    counts.sort_by(|(_, a), (_, b)| b.cmp(a));
    counts.truncate(buckets as usize);
    Ok(Value::Map(counts.into_iter().map(|(value, count)| (value, Value::Int(count))).collect()))
};

const NUMERIC_HISTOGRAM: Groups = |call, rows| {
    let Some(first) = rows.iter().find(|row| !row[1].is_null()) else { return Ok(Value::Null) };
    let buckets = first[0].as_int();
    if buckets < 2 {
        return Err(Error::argument("numeric_histogram bucket count must be greater than one"));
    }
    let mut points: Vec<(f64, f64)> = Vec::new();
    for row in rows.iter().filter(|row| !row[1].is_null()) {
        let (x, weight) = (row[1].as_double(), row.get(2).map_or(1.0, Value::as_double));
        match points.iter_mut().find(|(known, _)| (*known - x).abs() == 0.0) {
            Some((_, sum)) => *sum += weight,
            None => points.push((x, weight)),
        }
    }
    points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    while points.len() > buckets as usize {
        // The two nearest become one where their weights balance.
        let nearest = (0..points.len() - 1)
            .min_by(|i, j| (points[i + 1].0 - points[*i].0).total_cmp(&(points[j + 1].0 - points[*j].0)))
            .unwrap_or(0);
        let ((x, v), (y, w)) = (points[nearest], points.remove(nearest + 1));
        points[nearest] = ((x * v + y * w) / (v + w), v + w);
    }
    let real = matches!(&call.returns, Type::Map(key, _) if **key == Type::Real);
    let value = |x: f64| if real { Value::Real(x as f32) } else { Value::Double(x) };
    Ok(Value::Map(points.into_iter().map(|(x, weight)| (value(x), value(weight))).collect()))
};

fn doubles(rows: &[Vec<Value>], at: usize) -> Vec<f64> {
    rows.iter().map(|row| &row[at]).filter(|value| !value.is_null()).map(Value::as_double).collect()
}

pub(crate) fn float(call: &Aggregate, value: f64) -> Value {
    if call.returns == Type::Real { Value::Real(value as f32) } else { Value::Double(value) }
}

/// Count, mean and sums of powers of what differs from it.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
    /// The second power as variances are kept: of an infinity it is not a number, and its last digits are its own.
    spread: f64,
}

impl Moments {
    /// Updated value by value as Trino's states are, so that the last digits agree.
    pub(crate) fn add(&mut self, x: f64) {
        let before = self.n;
        self.n += 1.0;
        let n = self.n;
        let delta = x - self.mean;
        let delta_n = delta / n;
        let delta_n2 = delta_n * delta_n;
        let term = delta * delta_n * before;
        self.mean += delta_n;
        self.spread += delta * (x - self.mean);
        self.m4 += term * delta_n2 * (n * n - 3.0 * n + 3.0) + 6.0 * delta_n2 * self.m2 - 4.0 * delta_n * self.m3;
        self.m3 += term * delta_n * (n - 2.0) - 3.0 * delta_n * self.m2;
        self.m2 += term;
    }

    /// Those of two sets of rows together (P. Pébay, "Formulas for robust, one-pass parallel computation of covariances and
    /// arbitrary-order statistical moments", 2008).
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        if self.n == 0.0 {
            *self = other.clone();
            return;
        }
        let (a, b) = (self.n, other.n);
        let n = a + b;
        let delta = other.mean - self.mean;
        let (delta2, delta3, delta4) = (delta * delta, delta.powi(3), delta.powi(4));
        let m4 = delta4 * a * b * (a * a - a * b + b * b) / n.powi(3)
            + 6.0 * delta2 * (a * a * other.m2 + b * b * self.m2) / (n * n)
            + 4.0 * delta * (a * other.m3 - b * self.m3) / n;
        let m3 = delta3 * a * b * (a - b) / (n * n) + 3.0 * delta * (a * other.m2 - b * self.m2) / n;
        self.m4 += other.m4 + m4;
        self.m3 += other.m3 + m3;
        self.m2 += other.m2 + delta2 * a * b / n;
        self.spread += other.spread + delta2 * a * b / n;
        self.mean = (a * self.mean + b * other.mean) / n;
        self.n = n;
    }

    pub(crate) fn figures(&self) -> [f64; 6] {
        [self.n, self.mean, self.m2, self.m3, self.m4, self.spread]
    }

    pub(crate) fn of([n, mean, m2, m3, m4, spread]: [f64; 6]) -> Self {
        Self { n, mean, m2, m3, m4, spread }
    }

    fn variance(&self, call: &Aggregate, sample: bool, root: bool) -> Value {
        let divisor = if sample { self.n - 1.0 } else { self.n };
        if self.n == 0.0 || divisor == 0.0 {
            return Value::Null;
        }
        let value = self.spread / divisor;
        float(call, if root { value.sqrt() } else { value })
    }

    fn skewness(&self, call: &Aggregate) -> Value {
        if self.n < 3.0 { Value::Null } else { float(call, self.n.sqrt() * self.m3 / self.m2.powf(1.5)) }
    }

    fn kurtosis(&self, call: &Aggregate) -> Value {
        let n = self.n;
        if n < 4.0 {
            return Value::Null;
        }
        let variance = self.m2 / (n - 1.0);
        let value = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0)) * self.m4 / (variance * variance)
            - 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0));
        float(call, value)
    }
}

/// What an aggregate says of its values' moments.
pub(crate) fn deviation(call: &Aggregate, moments: &Moments) -> Value {
    match call.name {
        "stddev" | "stddev_samp" => moments.variance(call, true, true),
        "stddev_pop" => moments.variance(call, false, true),
        "variance" | "var_samp" => moments.variance(call, true, false),
        "var_pop" => moments.variance(call, false, false),
        "skewness" => moments.skewness(call),
        _ => moments.kurtosis(call),
    }
}

const DEVIATION: Groups = |call, rows| {
    let mut moments = Moments::default();
    for x in doubles(rows, 0) {
        moments.add(x);
    }
    Ok(deviation(call, &moments))
};

/// Sums over pairs without nulls: count, means, and products of differences from them.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    n: f64,
    mean_y: f64,
    mean_x: f64,
    xy: f64,
    xx: f64,
    yy: f64,
}

impl Pairs {
    pub(crate) fn add(&mut self, y: f64, x: f64) {
        self.n += 1.0;
        let delta_x = x - self.mean_x;
        let delta_y = y - self.mean_y;
        self.mean_x += delta_x / self.n;
        self.mean_y += delta_y / self.n;
        self.xy += delta_x * (y - self.mean_y);
        self.xx += delta_x * (x - self.mean_x);
        self.yy += delta_y * (y - self.mean_y);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        if self.n == 0.0 {
            *self = other.clone();
            return;
        }
        let (a, b) = (self.n, other.n);
        let n = a + b;
        let (delta_x, delta_y) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        self.xy += other.xy + delta_x * delta_y * a * b / n;
        self.xx += other.xx + delta_x * delta_x * a * b / n;
        self.yy += other.yy + delta_y * delta_y * a * b / n;
        self.mean_x = (a * self.mean_x + b * other.mean_x) / n;
        self.mean_y = (a * self.mean_y + b * other.mean_y) / n;
        self.n = n;
    }

    pub(crate) fn figures(&self) -> [f64; 6] {
        [self.n, self.mean_y, self.mean_x, self.xy, self.xx, self.yy]
    }

    pub(crate) fn of([n, mean_y, mean_x, xy, xx, yy]: [f64; 6]) -> Self {
        Self { n, mean_y, mean_x, xy, xx, yy }
    }

    /// What an aggregate says of them.
    pub(crate) fn result(&self, call: &Aggregate) -> Value {
        let value = match call.name {
            "covar_pop" => return if self.n == 0.0 { Value::Null } else { float(call, self.xy / self.n) },
            "covar_samp" => return if self.n < 2.0 { Value::Null } else { float(call, self.xy / (self.n - 1.0)) },
            "corr" => self.xy / self.xx.sqrt() / self.yy.sqrt(),
            "regr_slope" => self.xy / self.xx,
            _ => self.mean_y - self.xy / self.xx * self.mean_x,
        };
        if self.n == 0.0 || !value.is_finite() { Value::Null } else { float(call, value) }
    }
}

const PAIRS: Groups = |call, rows| {
    let mut pairs = Pairs::default();
    for row in rows.iter().filter(|row| !row[0].is_null() && !row[1].is_null()) {
        pairs.add(row[0].as_double(), row[1].as_double());
    }
    Ok(pairs.result(call))
};

/// The prime that Trino's checksum multiplies with and takes for nulls.
const PRIME: u64 = 0x9E37_79B1_85EB_CA87;

const CHECKSUM: Groups = |call, rows| {
    if rows.is_empty() {
        return Ok(Value::Null);
    }
    let mut sum = 0u64;
    for row in rows {
        sum = sum.wrapping_add(hash(&row[0], &call.params[0])?);
    }
    Ok(Value::Bytes(sum.to_le_bytes().to_vec()))
};

/// What a value adds to the checksum.
pub(crate) fn hash(value: &Value, ty: &Type) -> Result<u64> {
    Ok(if value.is_null() { PRIME } else { bare_hash(value, ty)?.wrapping_mul(PRIME) })
}

/// `XX_HASH_64` of a value.
fn bare_hash(value: &Value, ty: &Type) -> Result<u64> {
    let of = |bytes: &[u8]| twox_hash::XxHash64::oneshot(0, bytes);
    let long = |value: i64| of(&value.to_le_bytes());
    Ok(match (value, ty) {
        (Value::Null, _) => 0,
        (Value::Bool(b), _) => long(i64::from(*b)),
        (Value::Int(i), _) => long(*i),
        (Value::Date(d), _) => long(i64::from(*d)),
        (Value::Double(x), _) => {
            let x = if *x == 0.0 { 0.0 } else { *x };
            long(x.to_bits() as i64)
        }
        (Value::Real(x), _) => {
            let x = if *x == 0.0 { 0.0 } else { *x };
            long(i64::from(x.to_bits() as i32))
        }
        (Value::Decimal(x), Type::Decimal(p, _)) if *p <= 18 => long(*x as i64),
        (Value::Decimal(x), _) => long(*x as i64) ^ long((*x >> 64) as i64),
        (Value::Str(text), Type::Varchar(_) | Type::Char(_) | Type::Json) => of(text.as_bytes()),
        (Value::Bytes(bytes), Type::Varbinary) => of(bytes),
        (Value::Timestamp(picos), Type::Timestamp(p)) if *p <= 6 => long((picos / 1_000_000) as i64),
        (Value::TimestampTz(picos, _), Type::TimestampTz(p)) if *p <= 3 => long((picos / 1_000_000_000) as i64),
        (Value::Time(picos), _) => long(*picos % PICOS_PER_DAY),
        (Value::IntervalDay(ms), _) => long(*ms),
        (Value::IntervalYear(months), _) => long(i64::from(*months)),
        (Value::Array(items), Type::Array(item)) => {
            let mut all = 0u64;
            for value in items {
                all = all.wrapping_mul(31).wrapping_add(bare_hash(value, item)?);
            }
            all
        }
        (Value::Row(items), Type::Row(fields)) => {
            let mut all = 1u64;
            for (value, (_, ty)) in items.iter().zip(fields) {
                all = all.wrapping_mul(31).wrapping_add(bare_hash(value, ty)?);
            }
            all
        }
        (Value::Map(entries), Type::Map(key, item)) => {
            let mut all = 0u64;
            for (k, v) in entries {
                all = all.wrapping_add(bare_hash(k, key)? ^ bare_hash(v, item)?);
            }
            all
        }
        _ => return Err(Error::not_supported(format!("checksum of {ty} is not supported"))),
    })
}

/// A sketch keeps what was put in, so that it answers exactly; its serialised form is refused.
const SKETCH: Groups = |_, rows| {
    let mut values: Vec<Value> = firsts(rows).cloned().collect();
    Ok(if values.is_empty() {
        Value::Null
    } else {
        values.sort_by(order);
        Value::Array(values)
    })
};

const SET_SKETCH: Groups = |_, rows| {
    let mut values: Vec<Value> = firsts(rows).cloned().collect();
    values.sort_by(order);
    values.dedup();
    Ok(if values.is_empty() { Value::Null } else { Value::Array(values) })
};

const MERGE: Groups = |_, rows| {
    let mut values: Vec<Value> = firsts(rows).flat_map(|sketch| sketch.items().to_vec()).collect();
    values.sort_by(order);
    Ok(if firsts(rows).next().is_none() { Value::Null } else { Value::Array(values) })
};

/// Values and weights in turn, by value: what `tdigest` and `qdigest` keep.
fn digest(mut pairs: Vec<(Value, Value)>) -> Value {
    pairs.sort_by(|(a, _), (b, _)| order(a, b));
    Value::Array(pairs.into_iter().flat_map(|(value, weight)| [value, weight]).collect())
}

/// The values of a digest and their weights.
pub(crate) fn digested(sketch: &Value) -> Vec<(Value, f64)> {
    sketch.items().chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].as_double())).collect()
}

fn digest_of(call: &Aggregate, rows: &[Vec<Value>], weighted: bool) -> Result<Value> {
    let mut pairs = Vec::new();
    for row in rows.iter().filter(|row| !row[0].is_null()) {
        let weight = if weighted { &row[1] } else { &Value::Int(1) };
        if weight.is_null() {
            continue;
        }
        if call.name == "tdigest_agg" {
            digestible(&row[0], weight.as_double())?;
        } else if weight.as_double() <= 0.0 {
            return Err(Error::argument("weight must be > 0"));
        }
        let weight = match &row[0] {
            Value::Int(_) => weight.clone(),
            Value::Real(_) => Value::Real(weight.as_double() as f32),
            _ => Value::Double(weight.as_double()),
        };
        pairs.push((row[0].clone(), weight));
    }
    Ok(if pairs.is_empty() { Value::Null } else { digest(pairs) })
}

const DIGEST: Groups = |call, rows| digest_of(call, rows, false);
const DIGEST_WEIGHTED: Groups = |call, rows| digest_of(call, rows, true);

const MERGE_DIGESTS: Groups = |_, rows| {
    let pairs = |sketch: &Value| {
        sketch.items().chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect::<Vec<_>>()
    };
    let all: Vec<_> = firsts(rows).flat_map(pairs).collect();
    Ok(if firsts(rows).next().is_none() { Value::Null } else { digest(all) })
};

const MERGE_SETS: Groups = |_, rows| {
    let mut values: Vec<Value> = firsts(rows).flat_map(|sketch| sketch.items().to_vec()).collect();
    values.sort_by(order);
    values.dedup();
    Ok(if firsts(rows).next().is_none() { Value::Null } else { Value::Array(values) })
};

const TABLE: &[(&str, &str, Groups)] = &[
    ("count", "-> bigint", COUNT),
    ("count", "T -> bigint", COUNT),
    ("count_if", "boolean -> bigint", COUNT_IF),
    ("sum", "bigint -> bigint", SUM),
    ("sum", "real -> real", SUM_REAL),
    ("sum", "double -> double", SUM),
    ("sum", "interval day to second -> interval day to second", SUM),
    ("sum", "interval year to month -> interval year to month", SUM),
    ("avg", "bigint -> double", AVG),
    ("avg", "real -> real", AVG),
    ("avg", "double -> double", AVG),
    ("avg", "interval day to second -> interval day to second", AVG_INTERVAL),
    ("avg", "interval year to month -> interval year to month", AVG_INTERVAL),
    ("min", "O -> O", MIN),
    ("max", "O -> O", MAX),
    ("min", "O, bigint -> array(O)", MIN_N),
    ("max", "O, bigint -> array(O)", MAX_N),
    ("min_by", "V, O -> V", MIN_BY),
    ("max_by", "V, O -> V", MAX_BY),
    ("min_by", "V, O, bigint -> array(V)", MIN_BY_N),
    ("max_by", "V, O, bigint -> array(V)", MAX_BY_N),
    ("array_agg", "T -> array(T)", ARRAY_AGG),
    ("arbitrary", "T -> T", ANY),
    ("any_value", "T -> T", ANY),
    ("bool_and", "boolean -> boolean", AND),
    ("every", "boolean -> boolean", AND),
    ("bool_or", "boolean -> boolean", OR),
    ("bitwise_and_agg", "bigint -> bigint", |_, rows| Ok(bits(rows, |a, b| a & b))),
    ("bitwise_or_agg", "bigint -> bigint", |_, rows| Ok(bits(rows, |a, b| a | b))),
    ("bitwise_xor_agg", "bigint -> bigint", |_, rows| Ok(bits(rows, |a, b| a ^ b))),
    ("checksum", "T -> varbinary", CHECKSUM),
    ("geometric_mean", "bigint -> double", GEOMETRIC_MEAN),
    ("geometric_mean", "real -> real", GEOMETRIC_MEAN),
    ("geometric_mean", "double -> double", GEOMETRIC_MEAN),
    ("histogram", "C -> map(C, bigint)", HISTOGRAM),
    ("map_agg", "K, V -> map(K, V)", MAP_AGG),
    ("multimap_agg", "K, V -> map(K, array(V))", MULTIMAP_AGG),
    ("map_union", "map(K, V) -> map(K, V)", MAP_UNION),
    ("listagg", "varchar(x) -> varchar", LISTAGG),
    ("listagg", "varchar(x), varchar(y) -> varchar", LISTAGG),
    ("approx_distinct", "T -> bigint", APPROX_DISTINCT),
    ("approx_distinct", "T, double -> bigint", APPROX_DISTINCT),
    ("approx_percentile", "bigint, double -> bigint", PERCENTILE),
    ("approx_percentile", "bigint, double, double -> bigint", PERCENTILE_WEIGHTED),
    ("approx_percentile", "bigint, array(double) -> array(bigint)", PERCENTILE),
    ("approx_percentile", "bigint, double, array(double) -> array(bigint)", PERCENTILE_WEIGHTED),
    ("approx_percentile", "real, double -> real", PERCENTILE),
    ("approx_percentile", "real, double, double -> real", PERCENTILE_WEIGHTED),
    ("approx_percentile", "real, array(double) -> array(real)", PERCENTILE),
    ("approx_percentile", "real, double, array(double) -> array(real)", PERCENTILE_WEIGHTED),
    ("approx_percentile", "double, double -> double", PERCENTILE),
    ("approx_percentile", "double, double, double -> double", PERCENTILE_WEIGHTED),
    ("approx_percentile", "double, array(double) -> array(double)", PERCENTILE),
    ("approx_percentile", "double, double, array(double) -> array(double)", PERCENTILE_WEIGHTED),
    ("approx_most_frequent", "bigint, varchar, bigint -> map(varchar, bigint)", MOST_FREQUENT),
    ("approx_most_frequent", "bigint, bigint, bigint -> map(bigint, bigint)", MOST_FREQUENT),
    ("numeric_histogram", "bigint, real -> map(real, real)", NUMERIC_HISTOGRAM),
    ("numeric_histogram", "bigint, double -> map(double, double)", NUMERIC_HISTOGRAM),
    ("numeric_histogram", "bigint, double, double -> map(double, double)", NUMERIC_HISTOGRAM),
    ("approx_set", "T -> HyperLogLog(T)", SET_SKETCH),
    ("merge", "HyperLogLog(T) -> HyperLogLog(T)", MERGE_SETS),
    ("merge", "qdigest(T) -> qdigest(T)", MERGE_DIGESTS),
    ("merge", "tdigest(T) -> tdigest(T)", MERGE_DIGESTS),
    ("qdigest_agg", "bigint -> qdigest(bigint)", DIGEST),
    ("qdigest_agg", "real -> qdigest(real)", DIGEST),
    ("qdigest_agg", "double -> qdigest(double)", DIGEST),
    ("qdigest_agg", "bigint, bigint -> qdigest(bigint)", DIGEST_WEIGHTED),
    ("qdigest_agg", "real, bigint -> qdigest(real)", DIGEST_WEIGHTED),
    ("qdigest_agg", "double, bigint -> qdigest(double)", DIGEST_WEIGHTED),
    ("qdigest_agg", "bigint, bigint, double -> qdigest(bigint)", DIGEST_WEIGHTED),
    ("qdigest_agg", "real, bigint, double -> qdigest(real)", DIGEST_WEIGHTED),
    ("qdigest_agg", "double, bigint, double -> qdigest(double)", DIGEST_WEIGHTED),
    ("tdigest_agg", "double -> tdigest(double)", DIGEST),
    ("tdigest_agg", "double, double -> tdigest(double)", DIGEST_WEIGHTED),
    ("make_set_digest", "T -> SetDigest(T)", SKETCH),
    ("merge_set_digest", "SetDigest(T) -> SetDigest(T)", MERGE),
    ("corr", "real, real -> real", PAIRS),
    ("corr", "double, double -> double", PAIRS),
    ("covar_pop", "real, real -> real", PAIRS),
    ("covar_pop", "double, double -> double", PAIRS),
    ("covar_samp", "real, real -> real", PAIRS),
    ("covar_samp", "double, double -> double", PAIRS),
    ("regr_slope", "real, real -> real", PAIRS),
    ("regr_slope", "double, double -> double", PAIRS),
    ("regr_intercept", "real, real -> real", PAIRS),
    ("regr_intercept", "double, double -> double", PAIRS),
    ("kurtosis", "bigint -> double", DEVIATION),
    ("kurtosis", "double -> double", DEVIATION),
    ("skewness", "bigint -> double", DEVIATION),
    ("skewness", "double -> double", DEVIATION),
    ("stddev", "bigint -> double", DEVIATION),
    ("stddev", "double -> double", DEVIATION),
    ("stddev_samp", "bigint -> double", DEVIATION),
    ("stddev_samp", "double -> double", DEVIATION),
    ("stddev_pop", "bigint -> double", DEVIATION),
    ("stddev_pop", "double -> double", DEVIATION),
    ("variance", "bigint -> double", DEVIATION),
    ("variance", "double -> double", DEVIATION),
    ("var_samp", "bigint -> double", DEVIATION),
    ("var_samp", "double -> double", DEVIATION),
    ("var_pop", "bigint -> double", DEVIATION),
    ("var_pop", "double -> double", DEVIATION),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_trinos() {
        let rows: Vec<Vec<Value>> =
            [Some(1), Some(2), None, Some(3), Some(2), None].map(|v: Option<i64>| vec![v.into()]).into();
        let call = resolve("checksum", &[Type::Integer]).unwrap();
        let Value::Bytes(bytes) = (call.run)(&call, &rows).unwrap() else { panic!("no bytes") };
        assert_eq!(bytes, [0x88, 0x78, 0xfd, 0x03, 0x71, 0x74, 0x55, 0xa4]);
    }

    #[test]
    fn averages_of_decimals_round_half_up() {
        let call = resolve("avg", &[Type::Decimal(5, 2)]).unwrap();
        let rows = [1, 2].map(|v| vec![Value::Decimal(v)]);
        assert!(matches!((call.run)(&call, &rows).unwrap(), Value::Decimal(2)));
        assert_eq!(call.returns, Type::Decimal(5, 2));
    }
}
