//! Arithmetic and comparison: which types go together, and how far a result reaches.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Rem, Sub};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, Decimal128Array, PrimitiveArray, Scalar};
use arrow::compute::kernels::{cmp, numeric};
use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, i256};

use crate::call::{Argument, Arrays, Call, Column, Kernel};
use crate::cast::fits;
use crate::error::{Error, Result};
use crate::parse::{divide_half_up, seconds};
use crate::text::{civil, instant, local};
use crate::types::{Type, common};
use crate::value::{PICOS_PER_DAY, Value, build, compare, equal, same};

const ARITHMETIC: &[(&str, &str)] = &[("$add", "+"), ("$sub", "-"), ("$mul", "*"), ("$div", "/"), ("$mod", "%")];
const COMPARISON: &[(&str, &str)] = &[
    ("$eq", "="),
    ("$neq", "<>"),
    ("$lt", "<"),
    ("$lte", "<="),
    ("$gt", "<"),
    ("$gte", "<="),
    ("$distinct", "IS DISTINCT FROM"),
    ("$same", "IS DISTINCT FROM"),
];

pub(super) fn resolve(name: &str, arguments: &[Argument]) -> Option<Result<Call>> {
    if let Some((name, symbol)) = ARITHMETIC.iter().find(|(known, _)| *known == name) {
        let [a, b] = arguments else { return None };
        return Some(arithmetic(name, symbol, &a.ty, &b.ty));
    }
    if let Some((name, symbol)) = COMPARISON.iter().find(|(known, _)| *known == name) {
        let [a, b] = arguments else { return None };
        return Some(comparison(name, symbol, &a.ty, &b.ty));
    }
    if name == "$neg" {
        let [a] = arguments else { return None };
        return Some(negation(&a.ty));
    }
    if name == "$pos" {
        let [a] = arguments else { return None };
        return Some(plus(&a.ty));
    }
    None
}

fn plus(ty: &Type) -> Result<Call> {
    if !ty.is_numeric() {
        return Err(Error::type_mismatch(format!("Unary '+' operator cannot by applied to {ty} type")));
    }
    call("$pos", vec![ty.clone()], ty.clone(), Kernel::Strict(|_, args| Ok(args[0].clone())))
}

fn cannot<R>(symbol: &str, a: &Type, b: &Type) -> Result<R> {
    Err(Error::type_mismatch(format!("Cannot apply operator: {a} {symbol} {b}")))
}

#[expect(clippy::unnecessary_wraps, reason = "what it makes is always a result")]
fn call(name: &'static str, params: Vec<Type>, returns: Type, kernel: Kernel) -> Result<Call> {
    Ok(Call { name, params, returns, kernel })
}

fn comparison(name: &'static str, symbol: &str, a: &Type, b: &Type) -> Result<Call> {
    let Some(ty) = common(a, b) else { return cannot(symbol, a, b) };
    let ordering = matches!(name, "$lt" | "$lte" | "$gt" | "$gte");
    if if ordering { !ty.is_orderable() } else { !ty.is_comparable() } {
        return cannot(symbol, a, b);
    }
    let kernel: Arrays = match name {
        "$eq" => |c, a, n| compared(c, a, n, Some(cmp::eq), |a, b| Ok(equal(a, b))),
        "$neq" => |c, a, n| compared(c, a, n, Some(cmp::neq), |a, b| Ok(equal(a, b).map(|same| !same))),
        "$lt" => |c, a, n| compared(c, a, n, Some(cmp::lt), |a, b| ordered(a, b, |o| o == Ordering::Less)),
        "$lte" => |c, a, n| compared(c, a, n, Some(cmp::lt_eq), |a, b| ordered(a, b, |o| o != Ordering::Greater)),
        "$gt" => |c, a, n| compared(c, a, n, Some(cmp::gt), |a, b| ordered(a, b, |o| o == Ordering::Greater)),
        "$gte" => |c, a, n| compared(c, a, n, Some(cmp::gt_eq), |a, b| ordered(a, b, |o| o != Ordering::Less)),
        "$distinct" => |c, a, n| compared(c, a, n, None, |a, b| Ok(Some(!same(a, b)))),
        _ => |c, a, n| compared(c, a, n, None, |a, b| Ok(Some(same(a, b)))),
    };
    call(name, vec![ty.clone(), ty], Type::Boolean, Kernel::Arrays(kernel))
}

fn ordered(a: &Value, b: &Value, holds: fn(Ordering) -> bool) -> Result<Option<bool>> {
    match compare(a, b)? {
        // NaN is in no order, which is an answer; a null is none.
        None if !a.is_null() && !b.is_null() && !matches!(a, Value::Array(_) | Value::Row(_)) => Ok(Some(false)),
        other => Ok(other.map(holds)),
    }
}

/// Whether Arrow's comparison is Trino's for this type: not for floating point, whose NaN it orders, nor for what is
/// made of parts.
pub fn is_native(ty: &Type) -> bool {
    match ty {
        Type::Timestamp(p) | Type::Time(p) => *p <= 9,
        Type::Boolean
        | Type::Tinyint
        | Type::Smallint
        | Type::Integer
        | Type::Bigint
        | Type::Decimal(..)
        | Type::Varchar(_)
        | Type::Char(_)
        | Type::Varbinary
        | Type::Date
        | Type::IntervalDay
        | Type::IntervalYear => true,
        _ => false,
    }
}

type Compare = fn(&dyn Datum, &dyn Datum) -> std::result::Result<BooleanArray, arrow::error::ArrowError>;

fn compared(
    call: &Call,
    columns: &[Column],
    rows: usize,
    native: Option<Compare>,
    slow: fn(&Value, &Value) -> Result<Option<bool>>,
) -> Result<ArrayRef> {
    let (ty, [a, b]) = (&call.params[0], columns) else { return Err(Error::internal("a comparison of two")) };
    if let (Some(native), true) = (native, is_native(ty)) {
        return Ok(Arc::new(datums(a, b, rows, native)?));
    }
    if let (Some(_), Type::Double | Type::Real) = (native, ty) {
        return floats(call, a, b, rows);
    }
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(slow(&a.value(ty, row), &b.value(ty, row))?);
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

/// Applies a kernel that knows constants.
fn datums<R>(
    a: &Column,
    b: &Column,
    rows: usize,
    kernel: impl Fn(&dyn Datum, &dyn Datum) -> std::result::Result<R, arrow::error::ArrowError>,
) -> std::result::Result<R, Error> {
    Ok(match (a.constant && rows != 1, b.constant && rows != 1) {
        (true, true) => {
            let (a, b) = (a.expanded(rows)?, b.expanded(rows)?);
            kernel(&a, &b)?
        }
        (true, false) => kernel(&Scalar::new(Arc::clone(&a.array)), &b.array)?,
        (false, true) => kernel(&a.array, &Scalar::new(Arc::clone(&b.array)))?,
        (false, false) => kernel(&a.array, &b.array)?,
    })
}

/// Comparisons by IEEE 754, where NaN equals nothing.
fn floats(call: &Call, a: &Column, b: &Column, rows: usize) -> Result<ArrayRef> {
    fn run<T: ArrowPrimitiveType>(name: &str, a: &ArrayRef, b: &ArrayRef) -> BooleanArray
    where
        T::Native: PartialOrd,
    {
        let holds: fn(T::Native, T::Native) -> bool = match name {
            "$eq" => |a, b| a == b,
            "$neq" => |a, b| a != b,
            "$lt" => |a, b| a < b,
            "$lte" => |a, b| a <= b,
            "$gt" => |a, b| a > b,
            _ => |a, b| a >= b,
        };
        BooleanArray::from_binary(a.as_primitive::<T>(), b.as_primitive::<T>(), holds)
    }
    let (a, b) = (a.expanded(rows)?, b.expanded(rows)?);
    Ok(Arc::new(if call.params[0] == Type::Real {
        run::<Float32Type>(call.name, &a, &b)
    } else {
        run::<Float64Type>(call.name, &a, &b)
    }))
}

fn negation(ty: &Type) -> Result<Call> {
    if !(ty.is_numeric() || matches!(ty, Type::IntervalDay | Type::IntervalYear | Type::Unknown)) {
        return Err(Error::type_mismatch(format!("Cannot negate {ty}")));
    }
    let kernel: crate::call::Rows = |call, args| {
        Ok(match &args[0] {
            Value::Int(i) => {
                let least = match call.returns {
                    Type::Tinyint => i8::MIN.into(),
                    Type::Smallint => i16::MIN.into(),
                    Type::Integer => i32::MIN.into(),
                    _ => i64::MIN,
                };
                if *i == least {
                    return Err(Error::out_of_range(format!("{} negation overflow: {i}", call.returns)));
                }
                Value::Int(-i)
            }
            Value::Real(x) => Value::Real(-x),
            Value::Double(x) => Value::Double(-x),
            Value::Decimal(x) => Value::Decimal(-x),
            Value::IntervalDay(ms) => Value::IntervalDay(-ms),
            Value::IntervalYear(months) => Value::IntervalYear(-months),
            other => other.clone(),
        })
    };
    call("$neg", vec![ty.clone()], ty.clone(), Kernel::Strict(kernel))
}

fn arithmetic(name: &'static str, symbol: &str, a: &Type, b: &Type) -> Result<Call> {
    use Type as T;
    if let Some(found) = temporal(name, a, b) {
        return found;
    }
    let (left, right) = match (a, b) {
        (T::Unknown, T::Unknown) => return cannot(symbol, a, b),
        (T::Unknown, other) | (other, T::Unknown) => (other, other),
        both => both,
    };
    let Some(ty) = common(left, right).filter(Type::is_numeric) else { return cannot(symbol, a, b) };
    match ty {
        T::Decimal(..) => {
            let (Some(x), Some(y)) = (left.as_decimal(), right.as_decimal()) else { return cannot(symbol, a, b) };
            let (p, s) = decimal_result(name, x, y);
            if s > 38 {
                return Err(Error::argument(format!("DECIMAL scale must be in range [0, precision (38)]: {s}")));
            }
            let params = vec![T::Decimal(x.0, x.1), T::Decimal(y.0, y.1)];
            call(name, params, T::Decimal(p, s), Kernel::Arrays(decimals))
        }
        T::Real | T::Double => call(name, vec![ty.clone(), ty.clone()], ty, Kernel::Arrays(doubles)),
        _ => call(name, vec![ty.clone(), ty.clone()], ty, Kernel::Arrays(integers)),
    }
}

/// Precision and scale of a result, <https://trino.io/docs/current/functions/decimal.html>.
fn decimal_result(name: &str, (p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let scale = s1.max(s2);
    match name {
        "$mul" => ((p1 + p2).min(38), s1 + s2),
        "$div" => ((p1 + s2 + s2.saturating_sub(s1)).min(38), scale),
        "$mod" => ((p1 - s1).min(p2 - s2) + scale, scale),
        _ => (((p1 - s1).max(p2 - s2) + scale + 1).min(38), scale),
    }
}

fn integers(call: &Call, columns: &[Column], rows: usize) -> Result<ArrayRef> {
    let [a, b] = columns else { return Err(Error::internal("an operation on two")) };
    let fast = datums(a, b, rows, |a, b| match call.name {
        "$add" => numeric::add(a, b),
        "$sub" => numeric::sub(a, b),
        "$mul" => numeric::mul(a, b),
        "$div" => numeric::div(a, b),
        _ => numeric::rem(a, b),
    });
    if let Ok(done) = fast {
        return Ok(done);
    }
    // Somewhere it fails: find the row, to say what was computed.
    let ty = &call.returns;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match (a.value(ty, row), b.value(ty, row)) {
            (Value::Int(x), Value::Int(y)) => integer(call.name, ty, x, y)?,
            _ => Value::Null,
        });
    }
    build(ty, &values)
}

fn integer(name: &str, ty: &Type, x: i64, y: i64) -> Result<Value> {
    if y == 0 && matches!(name, "$div" | "$mod") {
        return Err(Error::division_by_zero());
    }
    let (word, symbol, result) = match name {
        "$add" => ("addition", '+', x.checked_add(y)),
        "$sub" => ("subtraction", '-', x.checked_sub(y)),
        "$mul" => ("multiplication", '*', x.checked_mul(y)),
        "$div" => ("division", '/', x.checked_div(y)),
        _ => ("modulus", '%', Some(x.wrapping_rem(y))),
    };
    let within = |i: &i64| match ty {
        Type::Tinyint => i8::try_from(*i).is_ok(),
        Type::Smallint => i16::try_from(*i).is_ok(),
        Type::Integer => i32::try_from(*i).is_ok(),
        _ => true,
    };
    result
        .filter(within)
        .map(Value::Int)
        .ok_or_else(|| Error::out_of_range(format!("{ty} {word} overflow: {x} {symbol} {y}")))
}

fn doubles(call: &Call, columns: &[Column], rows: usize) -> Result<ArrayRef> {
    fn run<T: ArrowPrimitiveType>(name: &str, a: &ArrayRef, b: &ArrayRef) -> Result<ArrayRef>
    where
        T::Native: Add<Output = T::Native>
            + Sub<Output = T::Native>
            + Mul<Output = T::Native>
            + Div<Output = T::Native>
            + Rem<Output = T::Native>,
    {
        let f: fn(T::Native, T::Native) -> T::Native = match name {
            "$add" => |a, b| a + b,
            "$sub" => |a, b| a - b,
            "$mul" => |a, b| a * b,
            "$div" => |a, b| a / b,
            _ => |a, b| a % b,
        };
        let done: PrimitiveArray<T> = arrow::compute::binary(a.as_primitive::<T>(), b.as_primitive::<T>(), f)?;
        Ok(Arc::new(done))
    }
    let [a, b] = columns else { return Err(Error::internal("an operation on two")) };
    let (a, b) = (a.expanded(rows)?, b.expanded(rows)?);
    if call.returns == Type::Real {
        run::<Float32Type>(call.name, &a, &b)
    } else {
        run::<Float64Type>(call.name, &a, &b)
    }
}

fn decimals(call: &Call, columns: &[Column], rows: usize) -> Result<ArrayRef> {
    let (Type::Decimal(p1, s1), Type::Decimal(p2, s2), Type::Decimal(p, s)) =
        (&call.params[0], &call.params[1], &call.returns)
    else {
        return Err(Error::internal("decimals"));
    };
    let (p1, s1, p2, s2, p, s) = (*p1, *s1, *p2, *s2, *p, *s);
    let [a, b] = columns else { return Err(Error::internal("an operation on two")) };
    let power = |digits: u8| 10i128.checked_pow(u32::from(digits)).unwrap_or(0);
    let digits = (p1 - s1).max(p2 - s2) + s + 1;
    let done = match call.name {
        // As many digits as the types have cannot overflow: no row has to be looked at by itself.
        "$mul" if is_short(a) && is_short(b) => each(a, b, rows, short_product)?,
        "$mul" if p1 + p2 <= 38 => each(a, b, rows, i128::wrapping_mul)?,
        "$add" if digits <= 38 => {
            let (x, y) = (power(s - s1), power(s - s2));
            each(a, b, rows, move |a, b| a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y)))?
        }
        "$sub" if digits <= 38 => {
            let (x, y) = (power(s - s1), power(s - s2));
            each(a, b, rows, move |a, b| a.wrapping_mul(x).wrapping_sub(b.wrapping_mul(y)))?
        }
        "$mul" => each_or(a, b, rows, |a, b| {
            a.checked_mul(b).filter(|value| fits(*value, 38)).ok_or_else(|| Error::out_of_range("Decimal overflow"))
        })?,
        "$div" if s + s2 - s1 < 38 => {
            let factor = power(s + s2 - s1);
            each_or(a, b, rows, |x, y| match x.checked_mul(factor) {
                Some(x) if y != 0 => {
                    let quotient = Some(divide_half_up(x, y)).filter(|value| fits(*value, 38));
                    quotient.ok_or_else(|| Error::out_of_range("Decimal overflow"))
                }
                _ => decimal("$div", (x, s1), (y, s2), (p, s)),
            })?
        }
        name => each_or(a, b, rows, |a, b| decimal(name, (a, s1), (b, s2), (p, s)))?,
    };
    Ok(Arc::new(done.with_precision_and_scale(p, s.cast_signed())?))
}

/// Whether all values, also those that nulls hide, have at most 64 bits: a product of two such is less than 10^38.
fn is_short(column: &Column) -> bool {
    let values = column.array.as_primitive::<Decimal128Type>().values();
    values.iter().fold(0, |bits, value| bits | (value ^ (value >> 127))) >> 63 == 0
}

#[expect(clippy::cast_possible_truncation, reason = "is_short looked at all of them")]
fn short_product(a: i128, b: i128) -> i128 {
    i128::from(a as i64) * i128::from(b as i64)
}

/// Applies what may fail to each pair without nulls.
fn each_or(a: &Column, b: &Column, rows: usize, f: impl Fn(i128, i128) -> Result<i128>) -> Result<Decimal128Array> {
    let (a, b) = (a.expanded(rows)?, b.expanded(rows)?);
    let (a, b) = (a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>());
    let pair = |row: usize| (a.is_valid(row) && b.is_valid(row)).then(|| f(a.value(row), b.value(row))).transpose();
    (0..rows).map(pair).collect()
}

/// Applies what cannot fail to each pair; a null makes a null.
fn each(a: &Column, b: &Column, rows: usize, f: impl Fn(i128, i128) -> i128) -> Result<Decimal128Array> {
    let constant = |column: &Column| {
        let array = column.array.as_primitive::<Decimal128Type>();
        (column.constant && rows != 1 && array.is_valid(0)).then(|| array.value(0))
    };
    if let Some(x) = constant(a) {
        return Ok(b.expanded(rows)?.as_primitive::<Decimal128Type>().unary(|y| f(x, y)));
    }
    if let Some(y) = constant(b) {
        return Ok(a.expanded(rows)?.as_primitive::<Decimal128Type>().unary(|x| f(x, y)));
    }
    let (a, b) = (a.expanded(rows)?, b.expanded(rows)?);
    Ok(arrow::compute::binary(a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>(), f)?)
}

fn decimal(name: &str, (a, s1): (i128, u8), (b, s2): (i128, u8), (_, s): (u8, u8)) -> Result<i128> {
    let overflow = || Error::out_of_range("Decimal overflow");
    if b == 0 && matches!(name, "$div" | "$mod") {
        return Err(Error::division_by_zero());
    }
    let power = |digits: u8| 10i128.checked_pow(u32::from(digits));
    let aligned = |value: i128, by: u8| power(by).and_then(|factor| value.checked_mul(factor));
    let small = match name {
        "$add" | "$sub" => aligned(a, s - s1)
            .zip(aligned(b, s - s2))
            .and_then(|(a, b)| if name == "$add" { a.checked_add(b) } else { a.checked_sub(b) }),
        "$div" => aligned(a, s + s2 - s1).map(|a| divide_half_up(a, b)),
        "$mod" => aligned(a, s - s1).zip(aligned(b, s - s2)).map(|(a, b)| a % b),
        _ => None,
    };
    let result = match small {
        Some(result) => Some(result),
        None => wide(name, (a, s1), (b, s2), s),
    };
    result.filter(|value| fits(*value, 38)).ok_or_else(overflow)
}

/// The same with 256 bits between.
fn wide(name: &str, (a, s1): (i128, u8), (b, s2): (i128, u8), s: u8) -> Option<i128> {
    let ten = i256::from_i128(10);
    let aligned = |value: i128, by: u8| i256::from_i128(value).checked_mul(ten.checked_pow(u32::from(by))?);
    match name {
        // Trino scales a dividend by fewer than 38 digits (`Int128Math.divideRoundUp`).
        "$div" if s + s2 - s1 < 38 => quotient_half_up(aligned(a, s + s2 - s1)?, i256::from_i128(b))?.to_i128(),
        "$mod" => {
            let (a, b) = (aligned(a, s - s1)?, aligned(b, s - s2)?);
            // So that the quotient, too, is of 128 bits.
            a.checked_div(b)?.to_i128()?;
            a.checked_rem(b)?.to_i128()
        }
        "$add" => aligned(a, s - s1)?.checked_add(aligned(b, s - s2)?)?.to_i128(),
        "$sub" => aligned(a, s - s1)?.checked_sub(aligned(b, s - s2)?)?.to_i128(),
        _ => None,
    }
}

/// `a / b`, half away from zero.
pub(crate) fn quotient_half_up(a: i256, b: i256) -> Option<i256> {
    let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    let rest = rest.checked_abs()?;
    if rest < b.checked_abs()?.checked_sub(rest)? {
        return Some(quotient);
    }
    let away = if a.is_negative() == b.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)
}

/// Dates, times and intervals.
fn temporal(name: &'static str, a: &Type, b: &Type) -> Option<Result<Call>> {
    use Type as T;
    let finer = |p: u8| p.max(3);
    let moved = |ty: &T, by: &T| match (ty, by) {
        (T::Date, _) => Some(T::Date),
        (T::Time(p), T::IntervalDay) => Some(T::Time(finer(*p))),
        (T::TimeTz(p), T::IntervalDay) => Some(T::TimeTz(finer(*p))),
        (T::Timestamp(p), T::IntervalDay) => Some(T::Timestamp(finer(*p))),
        (T::TimestampTz(p), T::IntervalDay) => Some(T::TimestampTz(finer(*p))),
        (T::Timestamp(p), T::IntervalYear) => Some(T::Timestamp(*p)),
        (T::TimestampTz(p), T::IntervalYear) => Some(T::TimestampTz(*p)),
        _ => None,
    };
    let is_interval = |ty: &T| matches!(ty, T::IntervalDay | T::IntervalYear);
    let strict = |returns: T| call(name, vec![a.clone(), b.clone()], returns, Kernel::Strict(temporal_rows));
    Some(match (name, a, b) {
        ("$add" | "$sub", T::IntervalDay, T::IntervalDay) | ("$add" | "$sub", T::IntervalYear, T::IntervalYear) => {
            strict(a.clone())
        }
        ("$add" | "$sub", ty, by) if is_interval(by) => strict(moved(ty, by)?),
        ("$add", by, ty) if is_interval(by) => strict(moved(ty, by)?),
        ("$sub", T::Date, T::Date) => strict(T::IntervalDay),
        ("$sub", T::Time(_), T::Time(_)) | ("$sub", T::TimeTz(_), T::TimeTz(_)) => strict(T::IntervalDay),
        ("$sub", T::Date | T::Timestamp(_) | T::TimestampTz(_), T::Date | T::Timestamp(_) | T::TimestampTz(_)) => {
            let ty = common(a, b)?;
            call(name, vec![ty.clone(), ty], T::IntervalDay, Kernel::Strict(temporal_rows))
        }
        ("$mul", T::IntervalDay | T::IntervalYear, number) | ("$mul", number, T::IntervalDay | T::IntervalYear)
            if number.is_numeric() =>
        {
            let interval = if is_interval(a) { a } else { b };
            let factor = if number.is_integer() { T::Bigint } else { T::Double };
            let params = if is_interval(a) { vec![a.clone(), factor] } else { vec![factor, b.clone()] };
            call(name, params, interval.clone(), Kernel::Strict(temporal_rows))
        }
        ("$div", T::IntervalDay | T::IntervalYear, number) if number.is_numeric() || *number == T::Unknown => {
            call(name, vec![a.clone(), T::Double], a.clone(), Kernel::Strict(temporal_rows))
        }
        _ => return None,
    })
}

fn temporal_rows(call: &Call, args: &[Value]) -> Result<Value> {
    use Value as V;
    let sign = if call.name == "$sub" { -1 } else { 1 };
    let overflow = || Error::out_of_range(format!("{} overflow", call.returns));
    let millis = |ms: i64| i128::from(ms) * 1_000_000_000 * sign;
    Ok(match (&args[0], &args[1]) {
        (V::IntervalDay(a), V::IntervalDay(b)) => V::IntervalDay(a.checked_add(b * sign as i64).ok_or_else(overflow)?),
        (V::IntervalYear(a), V::IntervalYear(b)) => {
            V::IntervalYear(a.checked_add(b * sign as i32).ok_or_else(overflow)?)
        }
        (V::Date(a), V::Date(b)) => V::IntervalDay((i64::from(*a) - i64::from(*b)) * 86_400_000),
        (V::Timestamp(a), V::Timestamp(b)) | (V::TimestampTz(a, _), V::TimestampTz(b, _)) => {
            V::IntervalDay(i64::try_from((a - b) / 1_000_000_000).map_err(|_| overflow())?)
        }
        (V::Time(a), V::Time(b)) => V::IntervalDay((a - b) / 1_000_000_000),
        (V::TimeTz(a, x), V::TimeTz(b, y)) => {
            let utc =
                |picos: i64, offset: i16| (picos - i64::from(offset) * 60_000_000_000_000).rem_euclid(PICOS_PER_DAY);
            V::IntervalDay((utc(*a, *x) - utc(*b, *y)) / 1_000_000_000)
        }
        (V::Date(days), V::IntervalDay(ms)) | (V::IntervalDay(ms), V::Date(days)) => {
            if ms % 86_400_000 != 0 {
                return Err(Error::argument("Cannot add hour, minutes or seconds to a date"));
            }
            let days = i64::from(*days) + ms / 86_400_000 * sign as i64;
            V::Date(i32::try_from(days).map_err(|_| overflow())?)
        }
        (V::Date(days), V::IntervalYear(months)) | (V::IntervalYear(months), V::Date(days)) => {
            V::Date(add_months(*days, i64::from(*months) * sign as i64).ok_or_else(overflow)?)
        }
        (V::Time(t), V::IntervalDay(ms)) | (V::IntervalDay(ms), V::Time(t)) => {
            V::Time((i128::from(*t) + millis(*ms)).rem_euclid(i128::from(PICOS_PER_DAY)) as i64)
        }
        (V::TimeTz(t, zone), V::IntervalDay(ms)) | (V::IntervalDay(ms), V::TimeTz(t, zone)) => {
            V::TimeTz((i128::from(*t) + millis(*ms)).rem_euclid(i128::from(PICOS_PER_DAY)) as i64, *zone)
        }
        (V::Timestamp(t), V::IntervalDay(ms)) | (V::IntervalDay(ms), V::Timestamp(t)) => V::Timestamp(t + millis(*ms)),
        (V::TimestampTz(t, zone), V::IntervalDay(ms)) | (V::IntervalDay(ms), V::TimestampTz(t, zone)) => {
            V::TimestampTz(t + millis(*ms), *zone)
        }
        (V::Timestamp(t), V::IntervalYear(months)) | (V::IntervalYear(months), V::Timestamp(t)) => {
            V::Timestamp(add_months_to(*t, i64::from(*months) * sign as i64).ok_or_else(overflow)?)
        }
        (V::TimestampTz(t, zone), V::IntervalYear(months)) | (V::IntervalYear(months), V::TimestampTz(t, zone)) => {
            let moved = add_months_to(local(*t, *zone), i64::from(*months) * sign as i64).ok_or_else(overflow)?;
            V::TimestampTz(instant(moved, *zone), *zone)
        }
        (interval, number) if call.name == "$mul" || call.name == "$div" => {
            let by = |value: &V| if let V::Double(by) = value { Some(*by) } else { None };
            match by(number).or_else(|| by(interval)) {
                Some(by) if call.name == "$div" && (by.is_nan() || by.abs() == 0.0) => {
                    return Err(Error::argument(format!("Cannot divide by double {by:?}")));
                }
                Some(by) if by.is_nan() => return Err(Error::argument(format!("Cannot multiply by double {by:?}"))),
                _ => {}
            }
            scaled(call, interval, number).or_else(|| scaled(call, number, interval)).ok_or_else(overflow)?
        }
        _ => return Err(Error::internal("an operation on times")),
    })
}

fn scaled(call: &Call, interval: &Value, number: &Value) -> Option<Value> {
    let (amount, factor) = match (interval, number) {
        (Value::IntervalDay(ms), Value::Int(by)) => return Some(Value::IntervalDay(ms.wrapping_mul(*by))),
        (Value::IntervalYear(months), Value::Int(by)) => {
            return i32::try_from(i64::from(*months).checked_mul(*by)?).ok().map(Value::IntervalYear);
        }
        (Value::IntervalDay(ms), Value::Double(by)) => (*ms as f64, *by),
        (Value::IntervalYear(months), Value::Double(by)) => (f64::from(*months), *by),
        _ => return None,
    };
    let result = if call.name == "$div" { amount / factor } else { amount * factor };
    // As Java's casts from double to long: cut off, and held within it.
    match interval {
        Value::IntervalDay(_) => Some(Value::IntervalDay(result as i64)),
        _ => i32::try_from(result as i64).ok().map(Value::IntervalYear),
    }
}

/// A date so many months later, its day cut to what that month has.
pub fn add_months(days: i32, months: i64) -> Option<i32> {
    use chrono::Datelike;
    let date = civil(i64::from(days))?;
    let index = i64::from(date.year()) * 12 + i64::from(date.month0()) + months;
    let (year, month) = (i32::try_from(index.div_euclid(12)).ok()?, u32::try_from(index.rem_euclid(12)).ok()? + 1);
    let last = (28..=31).rev().find_map(|day| chrono::NaiveDate::from_ymd_opt(year, month, day))?;
    let moved = last.with_day(date.day().min(last.day()))?;
    i32::try_from(moved.signed_duration_since(chrono::NaiveDate::default()).num_days()).ok()
}

pub fn add_months_to(picos: i128, months: i64) -> Option<i128> {
    let day = i128::from(PICOS_PER_DAY);
    let _ = seconds(picos);
    let days = i32::try_from(picos.div_euclid(day)).ok()?;
    Some(i128::from(add_months(days, months)?) * day + picos.rem_euclid(day))
}
