//! Functions over arrays.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::random::Random;
use crate::value::{as_integer, same};

/// More items than this cannot fit a payload either way; AWS refuses ranges over a thousand.
const MAX_RANGE: i64 = 1000;

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn array(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    Ok(Value::Array(arguments.to_vec()))
}

pub(super) fn contains(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    Ok(Value::Bool(items(&arguments[0])?.iter().any(|item| same(item, &arguments[1]))))
}

pub(super) fn get_item(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let items = items(&arguments[0])?;
    let index = as_integer(&arguments[1]).ok_or("The index must be an integer")?;
    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
    item.cloned().ok_or_else(|| format!("Index {index} out of bounds for length {}", items.len()))
}

pub(super) fn length(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    Ok(Value::from(items(&arguments[0])?.len()))
}

pub(super) fn partition(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let items = items(&arguments[0])?;
    let size = arguments[1].as_f64().map_or(0.0, f64::round);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float casts saturate; zero is refused below"
    )]
    let size = size as usize;
    if size == 0 {
        return Err("The chunk size must be a positive, non-zero integer".to_owned());
    }
    Ok(Value::Array(items.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect()))
}

pub(super) fn range(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let number = |value: &Value| -> Result<i64, String> {
        #[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
        value.as_f64().map(|number| number.round() as i64).ok_or_else(|| "The arguments must be integers".to_owned())
    };
    let (first, last, step) = (number(&arguments[0])?, number(&arguments[1])?, number(&arguments[2])?);
    if step == 0 {
        return Err("The step must not be zero".to_owned());
    }
    let count = i128::from(last).checked_sub(i128::from(first)).map_or(0, |span| span / i128::from(step) + 1);
    if count > i128::from(MAX_RANGE) {
        return Err(format!("The range must not hold more than {MAX_RANGE} items"));
    }
    let mut items = Vec::new();
    let mut at = first;
    while (step > 0 && at <= last) || (step < 0 && at >= last) {
        items.push(Value::from(at));
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(Value::Array(items))
}

pub(super) fn unique(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let mut seen = BTreeSet::new();
    let found = items(&arguments[0])?.iter().filter(|item| seen.insert(canonical(item)));
    Ok(Value::Array(found.cloned().collect()))
}

/// One text for all values that are the same.
fn canonical(value: &Value) -> String {
    match value {
        // `1` and `1.0` are.
        Value::Number(number) if number.as_i64().is_none() => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "only what has no fraction, and fits, is cast")]
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => (float as i64).to_string(),
            _ => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let members: BTreeMap<&String, String> = members.iter().map(|(name, v)| (name, canonical(v))).collect();
            format!("{members:?}")
        }
        other => other.to_string(),
    }
}

fn items(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "The argument must be an array".to_owned())
}
