//! Mathematical and bitwise functions.

use std::fmt::Write;

use arrow::array::Decimal128Array;

use super::Row;
use crate::call::{Arrays, Call, Kernel, Kernel::Strict, Rows};
use crate::cast::fits;
use crate::error::{Error, Result};
use crate::parse;
use crate::text::to_text;
use crate::types::Type;
use crate::value::Value;

macro_rules! double {
    ($f:expr) => {
        Strict(|_, a| Ok(Value::Double($f(a[0].as_double()))))
    };
}

macro_rules! doubles {
    ($f:expr) => {
        Strict(|_, a| Ok(Value::Double($f(a[0].as_double(), a[1].as_double()))))
    };
}

macro_rules! longs {
    ($f:expr) => {
        Strict(|_, a| Ok(Value::Int($f(a[0].as_int(), a[1].as_int()))))
    };
}

const ABS: Rows = |call, a| {
    Ok(match &a[0] {
        Value::Int(i) => {
            if *i == least(&call.returns) {
                return Err(Error::out_of_range(format!("Value {i} is out of range for abs({})", call.returns)));
            }
            Value::Int(i.abs())
        }
        Value::Real(x) => Value::Real(x.abs()),
        Value::Double(x) => Value::Double(x.abs()),
        Value::Decimal(x) => Value::Decimal(x.abs()),
        other => other.clone(),
    })
};

const SIGN: Rows = |_, a| {
    Ok(match &a[0] {
        Value::Int(i) => Value::Int(i.signum()),
        Value::Real(x) => Value::Real(if *x == 0.0 || x.is_nan() { *x } else { x.signum() }),
        Value::Double(x) => Value::Double(if *x == 0.0 || x.is_nan() { *x } else { x.signum() }),
        Value::Decimal(x) => Value::Decimal(x.signum()),
        other => other.clone(),
    })
};

/// `ceil`, `floor`: down is false, true.
fn toward(call: &Call, value: &Value, down: bool) -> Value {
    match value {
        Value::Real(x) => Value::Real(if down { x.floor() } else { x.ceil() }),
        Value::Double(x) => Value::Double(if down { x.floor() } else { x.ceil() }),
        Value::Decimal(x) => {
            let unit = 10i128.pow(u32::from(scale(&call.params[0])));
            let floor = x.div_euclid(unit);
            Value::Decimal(if down || x.rem_euclid(unit) == 0 { floor } else { floor + 1 })
        }
        other => other.clone(),
    }
}

const CEIL: Rows = |call, a| Ok(toward(call, &a[0], false));
const FLOOR: Rows = |call, a| Ok(toward(call, &a[0], true));

fn scale(ty: &Type) -> u8 {
    if let Type::Decimal(_, s) = ty { *s } else { 0 }
}

fn least(ty: &Type) -> i64 {
    match ty {
        Type::Tinyint => i8::MIN.into(),
        Type::Smallint => i16::MIN.into(),
        Type::Integer => i32::MIN.into(),
        _ => i64::MIN,
    }
}

/// Rounds half away from zero to so many decimals: `Math.round(x * 10^n) / 10^n`, which takes 1.005 for less than it is; by the shortest
/// text, as Java's `BigDecimal.valueOf`, where that leaves 64 bits.
fn round_double(x: f64, decimals: i64) -> f64 {
    if !x.is_finite() || decimals > 400 {
        return x;
    }
    if decimals == 0 {
        return if x.abs() < 4_503_599_627_370_496.0 { x.signum() * x.abs().round() } else { x };
    }
    let factor = 10f64.powi(decimals as i32);
    if factor.is_infinite() {
        return x;
    }
    if factor.abs() == 0.0 {
        // Trino multiplies and divides by it.
        return f64::NAN;
    }
    // As Trino: by the nearest whole of the product, if that is a bigint.
    let tenfold = format!("1e{decimals}").parse().unwrap_or(factor);
    let product = x.abs() * tenfold;
    if product < 9.223_372_036_854_775e18 {
        let rounded = product.round() / tenfold;
        return if x < 0.0 { -rounded } else { rounded };
    }
    let Some((digits, scale)) = parse::decimal(&format!("{x:e}")) else { return x };
    match parse::rescale(digits, scale, decimals as i32) {
        Some(rounded) => {
            let text = format!("{rounded}e{}", -decimals);
            text.parse().unwrap_or(x)
        }
        None if (x * factor).is_infinite() => x,
        None => (x * factor).round() / factor,
    }
}

const ROUND: Rows =
    |call, a| {
        let decimals = a.get(1).map_or(0, Value::as_int);
        Ok(match &a[0] {
            Value::Int(i) => {
                if decimals >= 0 {
                    return Ok(Value::Int(*i));
                }
                let Some(unit) = 10i128.checked_pow(u32::try_from(-decimals).unwrap_or(u32::MAX)) else {
                    return Ok(Value::Int(0));
                };
                let rounded = parse::divide_half_up(i128::from(*i), unit) * unit;
                let within = match call.returns {
                    Type::Tinyint => i8::try_from(rounded).is_ok(),
                    Type::Smallint => i16::try_from(rounded).is_ok(),
                    Type::Integer => i32::try_from(rounded).is_ok(),
                    _ => i64::try_from(rounded).is_ok(),
                };
                if !within {
                    return Err(Error::out_of_range(if call.returns == Type::Bigint {
                        format!("numerical overflow: {i}")
                    } else {
                        format!("Out of range for {}: {rounded}", call.returns)
                    }));
                }
                Value::Int(rounded as i64)
            }
            Value::Double(x) => Value::Double(round_double(*x, decimals)),
            Value::Real(x) => {
                let factor = 10f64.powi(decimals as i32);
                let rounded = (f64::from(*x) * factor).round() / factor;
                Value::Real(if x.is_finite() && rounded.is_finite() { rounded as f32 } else { *x })
            }
            Value::Decimal(x) => {
                let (from, to) = (i32::from(scale(&call.params[0])), i32::from(scale(&call.returns)));
                let kept = parse::rescale(*x, from, (decimals as i32).min(from)).unwrap_or(0);
                let back = parse::rescale(kept, (decimals as i32).min(from), to);
                let precision = if let Type::Decimal(p, _) = call.returns { p } else { 38 };
                Value::Decimal(back.filter(|v| fits(*v, precision)).ok_or_else(|| {
                    Error::out_of_range(format!("decimal overflow: {}", to_text(&a[0], &call.params[0])))
                })?)
            }
            other => other.clone(),
        })
    };

const TRUNCATE: Rows = |call, a| {
    let decimals = a.get(1).map_or(0, Value::as_int);
    Ok(match &a[0] {
        Value::Double(x) => Value::Double(x.trunc()),
        Value::Real(x) => Value::Real(x.trunc()),
        Value::Decimal(x) => {
            let from = scale(&call.params[0]);
            if a.len() == 1 {
                return Ok(Value::Decimal(x / 10i128.pow(u32::from(from))));
            }
            let drop = i64::from(from) - decimals;
            if drop <= 0 {
                return Ok(Value::Decimal(*x));
            }
            match 10i128.checked_pow(drop as u32) {
                Some(unit) => Value::Decimal(x / unit * unit),
                None => Value::Decimal(0),
            }
        }
        other => other.clone(),
    })
};

const POWER: fn(f64, f64) -> f64 = |a, b| {
    // Java says NaN where C says 1.
    if a.abs() == 1.0 && !b.is_finite() { f64::NAN } else { a.powf(b) }
};

fn bits(ty: &Type) -> u32 {
    match ty {
        Type::Tinyint => 8,
        Type::Smallint => 16,
        Type::Integer => 32,
        _ => 64,
    }
}

/// The low bits of a number as an integer of that type.
fn signed(value: u64, bits: u32) -> i64 {
    if bits == 64 { value as i64 } else { ((value << (64 - bits)) as i64) >> (64 - bits) }
}

fn unsigned(value: i64, bits: u32) -> u64 {
    if bits == 64 { value as u64 } else { value as u64 & ((1 << bits) - 1) }
}

const LEFT_SHIFT: Rows = |call, a| {
    let (bits, by) = (bits(&call.returns), a[1].as_int());
    if by < 0 || by >= i64::from(bits) {
        return Ok(Value::Int(0));
    }
    Ok(Value::Int(signed((a[0].as_int() as u64) << by, bits)))
};

const RIGHT_SHIFT: Rows = |call, a| {
    let (bits, by) = (bits(&call.returns), a[1].as_int());
    if by < 0 || by >= i64::from(bits) {
        return Ok(Value::Int(0));
    }
    Ok(Value::Int(signed(unsigned(a[0].as_int(), bits) >> by, bits)))
};

const RIGHT_SHIFT_ARITHMETIC: Rows = |_, a| {
    let by = a[1].as_int();
    Ok(Value::Int(a[0].as_int() >> if (0..64).contains(&by) { by } else { 63 }))
};

const BIT_COUNT: Rows = |_, a| {
    let (number, bits) = (a[0].as_int(), a[1].as_int());
    if !(2..=64).contains(&bits) {
        return Err(Error::argument(format!("Bits specified in bit_count must be between 2 and 64, got {bits}")));
    }
    let limit = 1i128 << (bits - 1);
    if i128::from(number) < -limit || i128::from(number) >= limit {
        return Err(Error::argument(format!(
            "Number must be representable with the bits specified. {number} cannot be represented with {bits} bits"
        )));
    }
    Ok(Value::Int(unsigned(number, bits as u32).count_ones().into()))
};

const FROM_BASE: Rows = |_, a| {
    let (text, radix) = (a[0].as_str(), radix(&a[1])?);
    i64::from_str_radix(text, radix)
        .map(Value::Int)
        .map_err(|_| Error::argument(format!("Not a valid base-{radix} number: {text}")))
};

fn radix(value: &Value) -> Result<u32> {
    match value.as_int() {
        radix @ 2..=36 => Ok(radix as u32),
        _ => Err(Error::argument("Radix must be between 2 and 36")),
    }
}

const TO_BASE: Rows = |_, a| {
    let (number, radix) = (a[0].as_int(), radix(&a[1])?);
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    while rest > 0 || digits.is_empty() {
        digits.push(char::from_digit((rest % u64::from(radix)) as u32, radix).unwrap_or('0'));
        rest /= u64::from(radix);
    }
    if number < 0 {
        digits.push('-');
    }
    Ok(Value::Str(digits.into_iter().rev().collect()))
};

const WIDTH_BUCKET: Rows = |_, a| {
    let (x, low, high, count) = (a[0].as_double(), a[1].as_double(), a[2].as_double(), a[3].as_int());
    if count <= 0 {
        return Err(Error::argument("bucketCount must be greater than 0"));
    }
    if x.is_nan() {
        return Err(Error::argument("operand must not be NaN"));
    }
    if !low.is_finite() {
        return Err(Error::argument("first bound must be finite"));
    }
    if !high.is_finite() {
        return Err(Error::argument("second bound must be finite"));
    }
    if (low - high).abs() == 0.0 {
        return Err(Error::argument("bounds cannot equal each other"));
    }
    let (lower, upper) = (low.min(high), low.max(high));
    let mut bucket = if x < lower {
        0
    } else if x >= upper {
        count.checked_add(1).ok_or_else(|| Error::out_of_range(format!("Bucket for value {x} is out of range")))?
    } else {
        ((count as f64 * (x - lower) / (upper - lower)) + 1.0) as i64
    };
    if low > high {
        bucket = count - bucket + 1;
    }
    Ok(Value::Int(bucket))
};

const WIDTH_BUCKET_BINS: Rows = |_, a| {
    let x = a[0].as_double();
    let bins = a[1].items();
    if bins.is_empty() {
        return Err(Error::argument("Bins cannot be an empty array"));
    }
    if x.is_nan() {
        return Err(Error::argument("Operand cannot be NaN"));
    }
    if bins.iter().any(|bin| bin.is_null() || !bin.as_double().is_finite()) {
        return Err(Error::argument("Bin value must be finite"));
    }
    if bins.windows(2).any(|pair| pair[0].as_double() > pair[1].as_double()) {
        return Err(Error::argument("Bin values are not sorted in ascending order"));
    }
    Ok(Value::Int(bins.iter().filter(|bin| bin.as_double() <= x).count() as i64))
};

/// A number of three digits or so with `K`, `M`, …, as Airlift prints it.
const FORMAT_NUMBER: Rows = |_, a| {
    // Trino makes a bigint of it: of no number 0, of infinity the greatest.
    let whole = a[0].as_double() as i64;
    let mut x = whole as f64;
    let mut units = ["", "K", "M", "B", "T", "Q"].iter();
    let mut unit = *units.next().unwrap_or(&"");
    while x.abs() >= 1000.0 {
        let Some(next) = units.next() else { break };
        unit = next;
        x /= 1000.0;
    }
    let digits = match x.abs() {
        // Java's least bigint has no absolute value.
        _ if whole == i64::MIN => 2,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let mut text = String::new();
    let _ = write!(text, "{x:.digits$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    Ok(Value::Str(if text == "-0" { "0".to_owned() } else { text + unit }))
};

const PARSE_DATA_SIZE: Rows = |_, a| {
    let text = a[0].as_str();
    let wrong = || Error::argument(format!("Invalid data size: '{text}'"));
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let power = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
        .iter()
        .position(|known| *known == unit)
        .ok_or_else(wrong)?;
    let (digits, scale) = parse::decimal(number).ok_or_else(wrong)?;
    let unit = 1i128.checked_shl(10 * power as u32).unwrap_or(0);
    let product = digits
        .checked_mul(unit)
        .ok_or_else(|| Error::out_of_range(format!("Value out of range: '{text}' ('{text}')")))?;
    let whole = product / 10i128.checked_pow(scale.unsigned_abs()).ok_or_else(wrong)?;
    Ok(Value::Decimal(whole))
};

const HUMAN_READABLE_SECONDS: Rows = |_, a| {
    let x = a[0].as_double();
    if !x.is_finite() {
        return Err(Error::argument(format!("Invalid argument found: {}", to_text(&a[0], &Type::Double))));
    }
    let mut rest = (x.round().abs() as i64).unsigned_abs();
    if rest == 0 {
        return Ok("0 seconds".into());
    }
    let mut parts = Vec::new();
    for (name, size) in [("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)] {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    Ok(parts.join(", ").into())
};

fn vectors(a: &[Value]) -> Result<(&[Value], &[Value])> {
    let (x, y) = (a[0].items(), a[1].items());
    if x.len() != y.len() {
        return Err(Error::argument("The arguments must have the same length"));
    }
    Ok((x, y))
}

fn dot(x: &[Value], y: &[Value]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x.as_double() * y.as_double()).sum()
}

fn any_null(a: &[Value]) -> bool {
    a.iter().any(|vector| vector.items().iter().any(Value::is_null))
}

fn similarity(a: &[Value]) -> Result<Option<f64>> {
    let (x, y) = vectors(a)?;
    if any_null(a) {
        return Ok(None);
    }
    let (square_x, square_y) = (dot(x, x), dot(y, y));
    if square_x == 0.0 || square_y == 0.0 {
        return Err(Error::argument("Vector magnitude cannot be zero"));
    }
    Ok(Some(dot(x, y) / (square_x * square_y).sqrt()))
}

const COSINE_SIMILARITY: Rows = |_, a| Ok(similarity(a)?.into());
const COSINE_DISTANCE: Rows = |_, a| Ok(similarity(a)?.map(|s| 1.0 - s).into());

const COSINE_SIMILARITY_MAPS: Rows = |_, a| Ok(map_similarity(a).into());
const COSINE_DISTANCE_MAPS: Rows = |_, a| Ok(map_similarity(a).map(|s| 1.0 - s).into());

fn map_similarity(a: &[Value]) -> Option<f64> {
    let (x, y) = (a[0].entries(), a[1].entries());
    if x.iter().chain(y).any(|(_, v)| v.is_null()) {
        return None;
    }
    let length = |m: &[(Value, Value)]| m.iter().map(|(_, v)| v.as_double().powi(2)).sum::<f64>().sqrt();
    let dot: f64 =
        x.iter().filter_map(|(k, v)| Some(v.as_double() * y.iter().find(|(l, _)| l == k)?.1.as_double())).sum();
    let (length_x, length_y) = (length(x), length(y));
    if length_x == 0.0 || length_y == 0.0 { None } else { Some(dot / (length_x * length_y)) }
}

/// The value of a subquery that has one row, or none.
const SINGLE: Rows = |_, a| {
    if a[0].as_int() > 1 {
        return Err(Error::new("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows"));
    }
    Ok(a[1].clone())
};

const DOT_PRODUCT: Rows = |_, a| {
    let (x, y) = vectors(a)?;
    // An item that is null counts as 0, as in `euclidean_distance`.
    Ok(dot(x, y).into())
};

const EUCLIDEAN_DISTANCE: Rows = |_, a| {
    let (x, y) = vectors(a)?;
    let number = |item: &Value| if item.is_null() { 0.0 } else { item.as_double() };
    let sum: f64 = x.iter().zip(y).map(|(x, y)| (number(x) - number(y)).powi(2)).sum();
    Ok(sum.sqrt().into())
};

const LUHN_CHECK: Rows = |_, a| {
    let text = a[0].as_str();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(if text.is_empty() {
            false.into()
        } else {
            return Err(Error::argument("Input contains non-digit character"));
        });
    }
    let sum: u32 = text
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b - b'0') * if i % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    Ok(sum.is_multiple_of(10).into())
};

/// A sum kept wide until it is whole.
const SUM_OF_BIGINTS: Rows = |_, a| match &a[0] {
    Value::Decimal(x) => {
        i64::try_from(*x).map(Value::Int).map_err(|_| Error::out_of_range(format!("bigint addition overflow: {x}")))
    }
    other => Ok(other.clone()),
};

/// DataFusion's sums go on beyond 38 digits.
const SUM_OF_DECIMALS: Arrays = |_, columns, rows| {
    let array = columns[0].expanded(rows)?;
    let Some(sums) = array.as_any().downcast_ref::<Decimal128Array>() else { return Ok(array) };
    let most = 10i128.pow(38);
    if sums.iter().flatten().any(|sum| sum.unsigned_abs() >= most.unsigned_abs()) {
        return Err(Error::out_of_range("Decimal overflow"));
    }
    Ok(array)
};

const RANDOM: Rows = |_, _| Ok(((crate::random::next() >> 11) as f64 / (1u64 << 53) as f64).into());

const RANDOM_BELOW: Rows = |_, a| {
    let (low, high) = if a.len() == 1 { (0, a[0].as_int()) } else { (a[0].as_int(), a[1].as_int()) };
    if high <= low {
        return Err(Error::argument(if a.len() == 1 {
            "bound must be positive"
        } else {
            "start value must be less than stop value"
        }));
    }
    Ok(Value::Int(low.wrapping_add(crate::random::below(high.wrapping_sub(low) as u64) as i64)))
};

pub(super) const TABLE: &[Row] = &[
    ("abs", "tinyint -> tinyint", Strict(ABS)),
    ("abs", "smallint -> smallint", Strict(ABS)),
    ("abs", "integer -> integer", Strict(ABS)),
    ("abs", "bigint -> bigint", Strict(ABS)),
    ("abs", "decimal(p,s) -> decimal(p,s)", Strict(ABS)),
    ("abs", "real -> real", Strict(ABS)),
    ("abs", "double -> double", Strict(ABS)),
    ("acos", "double -> double", double!(f64::acos)),
    ("asin", "double -> double", double!(f64::asin)),
    ("atan", "double -> double", double!(f64::atan)),
    ("atan2", "double, double -> double", doubles!(f64::atan2)),
    ("cos", "double -> double", double!(f64::cos)),
    ("sin", "double -> double", double!(f64::sin)),
    ("tan", "double -> double", double!(f64::tan)),
    ("cosh", "double -> double", double!(f64::cosh)),
    ("sinh", "double -> double", double!(f64::sinh)),
    ("tanh", "double -> double", double!(f64::tanh)),
    ("cbrt", "double -> double", double!(f64::cbrt)),
    ("sqrt", "double -> double", double!(f64::sqrt)),
    ("exp", "double -> double", double!(f64::exp)),
    ("ln", "double -> double", double!(f64::ln)),
    ("log2", "double -> double", double!(|x: f64| x.ln() / std::f64::consts::LN_2)),
    ("log10", "double -> double", double!(f64::log10)),
    ("log", "double, double -> double", doubles!(|b: f64, x: f64| x.ln() / b.ln())),
    ("degrees", "double -> double", double!(|x: f64| x * (180.0 / std::f64::consts::PI))),
    ("radians", "double -> double", double!(|x: f64| x / 180.0 * std::f64::consts::PI)),
    ("pow", "double, double -> double", doubles!(POWER)),
    ("power", "double, double -> double", doubles!(POWER)),
    ("e", "-> double", Strict(|_, _| Ok(std::f64::consts::E.into()))),
    ("pi", "-> double", Strict(|_, _| Ok(std::f64::consts::PI.into()))),
    ("infinity", "-> double", Strict(|_, _| Ok(f64::INFINITY.into()))),
    ("nan", "-> double", Strict(|_, _| Ok(f64::NAN.into()))),
    ("is_finite", "double -> boolean", Strict(|_, a| Ok(a[0].as_double().is_finite().into()))),
    ("is_infinite", "double -> boolean", Strict(|_, a| Ok(a[0].as_double().is_infinite().into()))),
    ("is_nan", "real -> boolean", Strict(|_, a| Ok(a[0].as_double().is_nan().into()))),
    ("is_nan", "double -> boolean", Strict(|_, a| Ok(a[0].as_double().is_nan().into()))),
    ("ceil", "tinyint -> tinyint", Strict(CEIL)),
    ("ceil", "smallint -> smallint", Strict(CEIL)),
    ("ceil", "integer -> integer", Strict(CEIL)),
    ("ceil", "bigint -> bigint", Strict(CEIL)),
    ("ceil", "real -> real", Strict(CEIL)),
    ("ceil", "double -> double", Strict(CEIL)),
    ("floor", "tinyint -> tinyint", Strict(FLOOR)),
    ("floor", "smallint -> smallint", Strict(FLOOR)),
    ("floor", "integer -> integer", Strict(FLOOR)),
    ("floor", "bigint -> bigint", Strict(FLOOR)),
    ("floor", "real -> real", Strict(FLOOR)),
    ("floor", "double -> double", Strict(FLOOR)),
    ("sign", "tinyint -> tinyint", Strict(SIGN)),
    ("sign", "smallint -> smallint", Strict(SIGN)),
    ("sign", "integer -> integer", Strict(SIGN)),
    ("sign", "bigint -> bigint", Strict(SIGN)),
    ("sign", "decimal(p,s) -> decimal(1,0)", Strict(SIGN)),
    ("sign", "real -> real", Strict(SIGN)),
    ("sign", "double -> double", Strict(SIGN)),
    ("round", "tinyint -> tinyint", Strict(ROUND)),
    ("round", "smallint -> smallint", Strict(ROUND)),
    ("round", "integer -> integer", Strict(ROUND)),
    ("round", "bigint -> bigint", Strict(ROUND)),
    ("round", "real -> real", Strict(ROUND)),
    ("round", "double -> double", Strict(ROUND)),
    ("round", "tinyint, integer -> tinyint", Strict(ROUND)),
    ("round", "smallint, integer -> smallint", Strict(ROUND)),
    ("round", "integer, integer -> integer", Strict(ROUND)),
    ("round", "bigint, integer -> bigint", Strict(ROUND)),
    ("round", "real, integer -> real", Strict(ROUND)),
    ("round", "double, integer -> double", Strict(ROUND)),
    ("truncate", "real -> real", Strict(TRUNCATE)),
    ("truncate", "double -> double", Strict(TRUNCATE)),
    ("truncate", "decimal(p,s), integer -> decimal(p,s)", Strict(TRUNCATE)),
    ("random", "-> double", Strict(RANDOM)),
    ("random", "tinyint -> tinyint", Strict(RANDOM_BELOW)),
    ("random", "smallint -> smallint", Strict(RANDOM_BELOW)),
    ("random", "integer -> integer", Strict(RANDOM_BELOW)),
    ("random", "bigint -> bigint", Strict(RANDOM_BELOW)),
    ("random", "tinyint, tinyint -> tinyint", Strict(RANDOM_BELOW)),
    ("random", "smallint, smallint -> smallint", Strict(RANDOM_BELOW)),
    ("random", "integer, integer -> integer", Strict(RANDOM_BELOW)),
    ("random", "bigint, bigint -> bigint", Strict(RANDOM_BELOW)),
    ("$single", "bigint, T -> T", Kernel::Nullable(SINGLE)),
    ("$sum_of_bigints", "decimal(p,s) -> bigint", Strict(SUM_OF_BIGINTS)),
    ("$sum_of_decimals", "decimal(p,s) -> decimal(p,s)", Kernel::Arrays(SUM_OF_DECIMALS)),
    ("bit_count", "bigint, bigint -> bigint", Strict(BIT_COUNT)),
    ("bitwise_and", "bigint, bigint -> bigint", longs!(|a, b| a & b)),
    ("bitwise_or", "bigint, bigint -> bigint", longs!(|a, b| a | b)),
    ("bitwise_xor", "bigint, bigint -> bigint", longs!(|a, b| a ^ b)),
    ("bitwise_not", "bigint -> bigint", Strict(|_, a| Ok(Value::Int(!a[0].as_int())))),
    ("bitwise_left_shift", "tinyint, integer -> tinyint", Strict(LEFT_SHIFT)),
    ("bitwise_left_shift", "smallint, integer -> smallint", Strict(LEFT_SHIFT)),
    ("bitwise_left_shift", "integer, integer -> integer", Strict(LEFT_SHIFT)),
    ("bitwise_left_shift", "bigint, integer -> bigint", Strict(LEFT_SHIFT)),
    ("bitwise_right_shift", "tinyint, integer -> tinyint", Strict(RIGHT_SHIFT)),
    ("bitwise_right_shift", "smallint, integer -> smallint", Strict(RIGHT_SHIFT)),
    ("bitwise_right_shift", "integer, integer -> integer", Strict(RIGHT_SHIFT)),
    ("bitwise_right_shift", "bigint, integer -> bigint", Strict(RIGHT_SHIFT)),
    ("bitwise_right_shift_arithmetic", "tinyint, integer -> tinyint", Strict(RIGHT_SHIFT_ARITHMETIC)),
    ("bitwise_right_shift_arithmetic", "smallint, integer -> smallint", Strict(RIGHT_SHIFT_ARITHMETIC)),
    ("bitwise_right_shift_arithmetic", "integer, integer -> integer", Strict(RIGHT_SHIFT_ARITHMETIC)),
    ("bitwise_right_shift_arithmetic", "bigint, integer -> bigint", Strict(RIGHT_SHIFT_ARITHMETIC)),
    ("from_base", "varchar, bigint -> bigint", Strict(FROM_BASE)),
    ("to_base", "bigint, bigint -> varchar(64)", Strict(TO_BASE)),
    ("width_bucket", "double, double, double, bigint -> bigint", Strict(WIDTH_BUCKET)),
    ("width_bucket", "double, array(double) -> bigint", Strict(WIDTH_BUCKET_BINS)),
    ("format_number", "bigint -> varchar", Strict(FORMAT_NUMBER)),
    ("format_number", "double -> varchar", Strict(FORMAT_NUMBER)),
    ("parse_data_size", "varchar -> decimal(38,0)", Strict(PARSE_DATA_SIZE)),
    ("parse_presto_data_size", "varchar -> decimal(38,0)", Strict(PARSE_DATA_SIZE)),
    ("human_readable_seconds", "double -> varchar", Strict(HUMAN_READABLE_SECONDS)),
    ("cosine_similarity", "map(varchar, double), map(varchar, double) -> double", Strict(COSINE_SIMILARITY_MAPS)),
    ("cosine_similarity", "array(double), array(double) -> double", Strict(COSINE_SIMILARITY)),
    ("cosine_distance", "map(varchar, double), map(varchar, double) -> double", Strict(COSINE_DISTANCE_MAPS)),
    ("cosine_distance", "array(double), array(double) -> double", Strict(COSINE_DISTANCE)),
    ("dot_product", "array(double), array(double) -> double", Strict(DOT_PRODUCT)),
    ("euclidean_distance", "array(double), array(double) -> double", Strict(EUCLIDEAN_DISTANCE)),
    ("luhn_check", "varchar -> boolean", Strict(LUHN_CHECK)),
];

/// Functions of decimals whose result no signature says.
pub(super) fn decimal(name: &str, types: &[Type]) -> Option<Call> {
    let (p, s) = match types.first()? {
        Type::Decimal(p, s) => (*p, *s),
        // There is none of integers, and a decimal comes before a double.
        integer if name == "truncate" && integer.is_integer() => integer.as_decimal()?,
        _ => return None,
    };
    let more = types.len() > 1;
    if more && crate::types::common(&types[1], &Type::Bigint) != Some(Type::Bigint) && name != "mod" {
        return None;
    }
    let whole = |p: u8, s: u8| p - s + u8::from(s > 0 && p - s < 38);
    let (name, kernel, returns) = match (name, types.len()) {
        ("ceil", 1) => ("ceil", CEIL, Type::Decimal(whole(p, s).max(1), 0)),
        ("floor", 1) => ("floor", FLOOR, Type::Decimal(whole(p, s).max(1), 0)),
        ("round", 1) => ("round", ROUND, Type::Decimal(whole(p, s).max(1), 0)),
        ("round", 2) => ("round", ROUND, Type::Decimal((p + 1).min(38), s)),
        ("truncate", 1) => ("truncate", TRUNCATE, Type::Decimal((p - s).max(1), 0)),
        ("truncate", 2) if types[0].is_integer() => ("truncate", TRUNCATE, Type::Decimal(p, s)),
        _ => return None,
    };
    let mut params = vec![Type::Decimal(p, s)];
    if more {
        params.push(Type::Bigint);
    }
    Some(Call { name, params, returns, kernel: Strict(kernel) })
}
