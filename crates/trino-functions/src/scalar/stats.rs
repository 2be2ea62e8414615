//! Cumulative distribution functions and confidence intervals.

use std::collections::{BTreeMap, BTreeSet};

use super::Row;
use crate::aggregate::{digested, discrete, quantile};
use crate::call::{Call, Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::types::Type;
use crate::value::Value;

/// `ln Γ(x)` by Lanczos' approximation with g = 7.
fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// The regularised incomplete beta function by its continued fraction (Lentz).
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - a.ln() - (ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b))).exp();
    let tiny = 1e-300;
    let (mut c, mut d, mut f) = (1.0, 0.0, 1.0);
    for i in 0..2000 {
        let m = f64::from(i / 2);
        let numerator = if i == 0 {
            1.0
        } else if i % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 + numerator * d;
        d = 1.0 / if d.abs() < tiny { tiny } else { d };
        c = 1.0 + numerator / c;
        if c.abs() < tiny {
            c = tiny;
        }
        f *= c * d;
        if (1.0 - c * d).abs() < 1e-16 {
            break;
        }
    }
    front * (f - 1.0)
}

/// Where an increasing function reaches a value, by bisection.
fn inverse(low: f64, high: f64, target: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if f(middle) < target { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

fn within(holds: bool, text: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::argument(text)) }
}

const BETA_CDF: Rows = |_, v| {
    let (a, b, x) = (v[0].as_double(), v[1].as_double(), v[2].as_double());
    within((0.0..=1.0).contains(&x), "value must be 0 >= v >= 1")?;
    within(a > 0.0 && b > 0.0, "a, b must be > 0")?;
    Ok(beta(x, a, b).into())
};

const INVERSE_BETA_CDF: Rows = |_, v| {
    let (a, b, p) = (v[0].as_double(), v[1].as_double(), v[2].as_double());
    within((0.0..=1.0).contains(&p), "p must be 0 >= p >= 1")?;
    within(a > 0.0 && b > 0.0, "a, b must be > 0")?;
    Ok(match p {
        0.0 => 0.0,
        1.0 => 1.0,
        p => inverse(0.0, 1.0, p, |x| beta(x, a, b)),
    }
    .into())
};

const NORMAL_CDF: Rows = |_, v| {
    let (mean, deviation, x) = (v[0].as_double(), v[1].as_double(), v[2].as_double());
    within(deviation > 0.0, "standardDeviation must be > 0")?;
    Ok(normal((x - mean) / deviation).into())
};

const INVERSE_NORMAL_CDF: Rows = |_, v| {
    let (mean, deviation, p) = (v[0].as_double(), v[1].as_double(), v[2].as_double());
    within(p > 0.0 && p < 1.0, "p must be 0 > p > 1")?;
    within(deviation > 0.0, "sd must be > 0")?;
    let z = if (p - 0.5).abs() == 0.0 {
        0.0
    } else if p < 0.5 {
        inverse(-40.0, 0.0, p, normal)
    } else {
        -inverse(-40.0, 0.0, 1.0 - p, normal)
    };
    Ok((mean + deviation * z).into())
};

const T_CDF: Rows = |_, v| {
    let (x, df) = (v[0].as_double(), v[1].as_double());
    within(df >= 1.0, "degrees of freedom must be greater than or equal to 1")?;
    let tail = beta(df / (df + x * x), 0.5 * df, 0.5) / 2.0;
    Ok(if x > 0.0 {
        1.0 - tail
    } else if x < 0.0 {
        tail
    } else {
        0.5
    }
    .into())
};

const T_PDF: Rows = |_, v| {
    let (x, df) = (v[0].as_double(), v[1].as_double());
    within(df >= 1.0, "degrees of freedom must be greater than or equal to 1")?;
    let half = f64::midpoint(df, 1.0);
    let log =
        ln_gamma(half) - 0.5 * (std::f64::consts::PI.ln() + df.ln()) - ln_gamma(df / 2.0) - half * (x * x / df).ln_1p();
    Ok(log.exp().into())
};

/// The bounds of Wilson's score interval.
fn wilson(v: &[Value], upper: bool) -> Result<Value> {
    let (successes, trials, z) = (v[0].as_int(), v[1].as_int(), v[2].as_double());
    within(successes >= 0, "number of successes must not be negative")?;
    within(trials > 0, "number of trials must be positive")?;
    within(successes <= trials, "number of successes must not be larger than number of trials")?;
    within(z >= 0.0, "z-score must not be negative")?;
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let square = z * z;
    let middle = p + square / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    let sum = if upper { middle + spread } else { middle - spread };
    Ok((sum / (1.0 + square / n)).into())
}

const WILSON_LOWER: Rows = |_, v| wilson(v, false);
const WILSON_UPPER: Rows = |_, v| wilson(v, true);

/// The value at a share of a digest's values: `qdigest` gives one of them, `tdigest` what lies between.
fn at_share(call: &Call, sketch: &Value, share: &Value) -> Result<Value> {
    let share = share.as_double();
    within((0.0..=1.0).contains(&share), "Quantile should be within bounds [0, 1], was: ")
        .map_err(|error| Error::argument(error.text + &share.to_string()))?;
    let sorted = digested(sketch);
    Ok(if matches!(call.params[0], Type::Sketch("tdigest", _)) {
        quantile(&sorted, share)
    } else {
        discrete(&sorted, share)
    })
}

const VALUE_AT: Rows = |call, v| at_share(call, &v[0], &v[1]);

const VALUES_AT: Rows =
    |call, v| Ok(Value::Array(v[1].items().iter().map(|share| at_share(call, &v[0], share)).collect::<Result<_>>()?));

const QUANTILE_OF: Rows = |_, v| {
    let items = digested(&v[0]);
    let weight = |items: &[(Value, f64)]| items.iter().map(|(_, weight)| weight).sum::<f64>();
    let below: Vec<_> = items.iter().filter(|(item, _)| crate::value::order(item, &v[1]).is_lt()).cloned().collect();
    Ok((weight(&below) / weight(&items)).into())
};

const DISTINCT_COUNT: Rows = |_, v| {
    let mut items = v[0].items().to_vec();
    items.sort_by(crate::value::order);
    items.dedup();
    Ok(Value::Int(items.len() as i64))
};

const INTERSECTION: Rows = |_, v| {
    let mut items: Vec<Value> = v[0].items().iter().filter(|item| v[1].items().contains(item)).cloned().collect();
    items.sort_by(crate::value::order);
    items.dedup();
    Ok(Value::Int(items.len() as i64))
};

/// Of as many of the least hashes of both sets as the smaller has, the share that is of both: a set digest estimates by these, also where
/// it holds all of them (`io.trino.type.setdigest.SetDigest`).
const JACCARD: Rows = |_, v| {
    let hashes = |digest: &Value| digest.items().iter().filter_map(hash).collect::<Option<BTreeSet<i64>>>();
    let (Some(x), Some(y)) = (hashes(&v[0]), hashes(&v[1])) else {
        return Err(Error::not_supported("jaccard_index of digests of this type"));
    };
    let smaller = x.len().min(y.len());
    let both = x.union(&y).take(smaller).filter(|hash| x.contains(hash) && y.contains(hash)).count();
    Ok((both as f64 / smaller as f64).into())
};

/// How often each hash was added.
const HASH_COUNTS: Rows = |_, v| {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for hash in v[0].items().iter().filter_map(hash) {
        let hash = hash.ok_or_else(|| Error::not_supported("hash_counts of a digest of this type"))?;
        *counts.entry(hash).or_default() += 1;
    }
    Ok(Value::Map(counts.into_iter().map(|(hash, count)| (Value::Int(hash), Value::Int(count))).collect()))
};

/// Murmur3 of a value as set digests take it: numbers as eight bytes; nothing of a null.
#[expect(clippy::option_option, reason = "a null has no hash, and some types' are not known")]
fn hash(value: &Value) -> Option<Option<i64>> {
    let bytes = match value {
        Value::Null => return None,
        Value::Int(i) => i.to_le_bytes().to_vec(),
        Value::Date(days) => i64::from(*days).to_le_bytes().to_vec(),
        Value::Str(text) => text.as_bytes().to_vec(),
        Value::Bytes(bytes) => bytes.clone(),
        _ => return Some(None),
    };
    let hash = super::binary::murmur3(&bytes);
    Some(hash.first_chunk::<8>().map(|first| i64::from_le_bytes(*first)))
}

pub(super) const TABLE: &[Row] = &[
    ("cardinality", "HyperLogLog(T) -> bigint", Strict(DISTINCT_COUNT)),
    ("cardinality", "SetDigest(T) -> bigint", Strict(DISTINCT_COUNT)),
    ("empty_approx_set", "-> HyperLogLog(varbinary)", Strict(|_, _| Ok(Value::Array(Vec::new())))),
    ("value_at_quantile", "qdigest(T), double -> T", Strict(VALUE_AT)),
    ("value_at_quantile", "tdigest(T), double -> T", Strict(VALUE_AT)),
    ("values_at_quantiles", "qdigest(T), array(double) -> array(T)", Strict(VALUES_AT)),
    ("values_at_quantiles", "tdigest(T), array(double) -> array(T)", Strict(VALUES_AT)),
    ("quantile_at_value", "qdigest(T), T -> double", Strict(QUANTILE_OF)),
    ("intersection_cardinality", "SetDigest(T), SetDigest(T) -> bigint", Strict(INTERSECTION)),
    ("hash_counts", "SetDigest(T) -> map(bigint, smallint)", Strict(HASH_COUNTS)),
    ("jaccard_index", "SetDigest(T), SetDigest(T) -> double", Strict(JACCARD)),
    ("beta_cdf", "double, double, double -> double", Strict(BETA_CDF)),
    ("inverse_beta_cdf", "double, double, double -> double", Strict(INVERSE_BETA_CDF)),
    ("normal_cdf", "double, double, double -> double", Strict(NORMAL_CDF)),
    ("inverse_normal_cdf", "double, double, double -> double", Strict(INVERSE_NORMAL_CDF)),
    ("t_cdf", "double, double -> double", Strict(T_CDF)),
    ("t_pdf", "double, double -> double", Strict(T_PDF)),
    ("wilson_interval_lower", "bigint, bigint, double -> double", Strict(WILSON_LOWER)),
    ("wilson_interval_upper", "bigint, bigint, double -> double", Strict(WILSON_UPPER)),
];
