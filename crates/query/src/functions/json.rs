//! JSON in text: extraction by a path, parsing, casting.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use serde_json::Value;

use super::{Function, argument, error, get, strings};
use crate::value::write_value;

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(
            "json_extract",
            |_| Ok(DataType::Utf8),
            |args, rows| extract(args, rows, |value| Some(value.to_string())),
        ),
        Function::new(
            "json_extract_scalar",
            |_| Ok(DataType::Utf8),
            |args, rows| {
                extract(args, rows, |value| match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
                    _ => None,
                })
            },
        ),
        Function::new("json_parse", |_| Ok(DataType::Utf8), |args, rows| reparse(args, rows, false)),
        Function::new("try_json_parse", |_| Ok(DataType::Utf8), |args, rows| reparse(args, rows, true)),
        Function::new("json_format", |_| Ok(DataType::Utf8), |args, _| Ok(Arc::new(strings(args, 0)?))),
        Function::new(
            "json_array_length",
            |_| Ok(DataType::Int64),
            |args, rows| {
                let texts = strings(args, 0)?;
                let length = |row| match serde_json::from_str(get(&texts, row)?).ok()? {
                    Value::Array(items) => i64::try_from(items.len()).ok(),
                    _ => None,
                };
                Ok(Arc::new((0..rows).map(length).collect::<Int64Array>()))
            },
        ),
        Function::new(
            "json_size",
            |_| Ok(DataType::Int64),
            |args, rows| {
                let sizes = extract(args, rows, |value| {
                    Some(match value {
                        Value::Array(items) => items.len().to_string(),
                        Value::Object(members) => members.len().to_string(),
                        _ => "0".to_owned(),
                    })
                })?;
                Ok(datafusion::arrow::compute::cast(&sizes, &DataType::Int64)?)
            },
        ),
        Function::new(
            "to_json",
            |_| Ok(DataType::Utf8),
            |args, rows| {
                let array = argument(args, 0)?;
                let json = |row| {
                    let value = to_value(array.as_ref(), row);
                    (!value.is_null()).then(|| value.to_string())
                };
                Ok(Arc::new((0..rows).map(json).collect::<StringArray>()))
            },
        ),
    ]
}

fn extract(args: &[ArrayRef], rows: usize, pick: fn(&Value) -> Option<String>) -> Result<ArrayRef> {
    let (texts, paths) = (strings(args, 0)?, strings(args, 1)?);
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let (Some(text), Some(path)) = (get(&texts, row), get(&paths, row)) else {
            values.push(None);
            continue;
        };
        let steps = steps(path).ok_or_else(|| error(format_args!("Invalid JSON path: '{path}'")))?;
        let root: Option<Value> = serde_json::from_str(text).ok();
        let found = steps.iter().try_fold(root.as_ref(), |value, step| {
            Some(match (value?, step) {
                (Value::Object(members), step) => members.get(step.as_str()),
                (Value::Array(items), step) => items.get(step.parse::<usize>().ok()?),
                _ => None,
            })
        });
        values.push(found.flatten().and_then(pick));
    }
    Ok(Arc::new(StringArray::from(values)))
}

/// `$.a[0]["b c"]` → a, 0, b c
fn steps(path: &str) -> Option<Vec<String>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            if name.is_empty() {
                return None;
            }
            steps.push(name.trim_matches('"').to_owned());
            rest = tail;
        } else {
            let inner = rest.strip_prefix('[')?;
            let (name, tail) = match inner.chars().next()? {
                quote @ ('"' | '\'') => {
                    let (name, tail) = inner[1..].split_once(quote)?;
                    (name, tail.strip_prefix(']')?)
                }
                _ => inner.split_once(']')?,
            };
            steps.push(name.to_owned());
            rest = tail;
        }
    }
    Some(steps)
}

fn reparse(args: &[ArrayRef], rows: usize, lenient: bool) -> Result<ArrayRef> {
    let texts = strings(args, 0)?;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match get(&texts, row) {
            None => None,
            Some(text) => match serde_json::from_str::<Value>(text) {
                Ok(value) => Some(value.to_string()),
                Err(_) if lenient => None,
                Err(_) => return Err(error(format_args!("Cannot convert value to JSON: '{text}'"))),
            },
        });
    }
    Ok(Arc::new(StringArray::from(values)))
}

fn to_value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|i| to_value(items.as_ref(), i)).collect()
        }
        DataType::Struct(fields) => {
            // CAST(ROW(…) AS JSON) is an array in older engines; version 3 keeps the names.
            let array = array.as_struct();
            fields
                .iter()
                .zip(array.columns())
                .map(|(field, column)| (field.name().clone(), to_value(column.as_ref(), row)))
                .collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            (0..entries.len())
                .map(|i| {
                    let mut key = String::new();
                    write_value(entries.column(0).as_ref(), i, &mut key);
                    (key, to_value(entries.column(1).as_ref(), i))
                })
                .collect()
        }
        ty => {
            let mut text = String::new();
            if !write_value(array, row, &mut text) {
                return Value::Null;
            }
            match ty {
                DataType::Boolean => Value::Bool(text == "true"),
                ty if ty.is_integer() => serde_json::from_str(&text).unwrap_or(Value::String(text)),
                ty if ty.is_floating() || matches!(ty, DataType::Decimal128(..)) => text
                    .parse::<f64>()
                    .ok()
                    .and_then(serde_json::Number::from_f64)
                    .map_or(Value::String(text), Value::Number),
                _ => Value::String(text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_steps() {
        assert_eq!(steps("$").unwrap(), Vec::<String>::new());
        assert_eq!(steps("$.a[0][\"b c\"].d").unwrap(), ["a", "0", "b c", "d"]);
        for bad in ["a", "$.", "$[", "$[1", "$x"] {
            assert!(steps(bad).is_none(), "{bad}");
        }
    }
}
