//! Functions over JSON and numbers.

use serde_json::Value;

use crate::random::{Chance, Random};

/// Only the shallow merge exists, on AWS as well.
pub(super) fn json_merge(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    if arguments[2] != Value::Bool(false) {
        return Err("Only the shallow merging mode is supported: the third argument must be false".to_owned());
    }
    let (Value::Object(first), Value::Object(second)) = (&arguments[0], &arguments[1]) else {
        return Err("The first two arguments must be JSON objects".to_owned());
    };
    let mut merged = first.clone();
    merged.extend(second.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(Value::Object(merged))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn json_to_string(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    Ok(Value::String(arguments[0].to_string()))
}

pub(super) fn string_to_json(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let text = arguments[0].as_str().ok_or("The argument must be a string")?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|_| "The string is not valid JSON".to_owned())
}

/// Adds whole numbers; fractions are rounded first, halves upwards (Java's `Math.round`).
pub(super) fn math_add(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let sum = rounded(&arguments[0])?.checked_add(rounded(&arguments[1])?);
    sum.map(Value::from).ok_or_else(|| "The sum is out of range".to_owned())
}

/// A whole number from the first argument (included) to the second (excluded); the same for the same seed.
pub(super) fn math_random(arguments: &[Value], random: &mut Random) -> Result<Value, String> {
    let (start, end) = (rounded(&arguments[0])?, rounded(&arguments[1])?);
    let span = end.checked_sub(start).filter(|span| *span > 0).ok_or("The end must be greater than the start")?;
    let fraction = match arguments.get(2) {
        #[expect(clippy::cast_sign_loss, reason = "a seed is only bits")]
        Some(seed) => Random::new(rounded(seed)? as u64).fraction(),
        None => random.fraction(),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "less than span, which is an i64")]
    let offset = (fraction * span as f64).floor() as i64;
    Ok(Value::from(start + offset.min(span - 1)))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn uuid(_: &[Value], random: &mut Random) -> Result<Value, String> {
    Ok(Value::String(random.uuid()))
}

fn rounded(value: &Value) -> Result<i64, String> {
    if let Some(whole) = value.as_i64() {
        return Ok(whole);
    }
    #[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
    value.as_f64().map(|number| (number + 0.5).floor() as i64).ok_or_else(|| "The argument must be a number".to_owned())
}
