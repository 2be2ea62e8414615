//! The older JSON functions, over text or the type `json`.

use super::Row;
use crate::call::{Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::json::{Json, at, parse, path, read};
use crate::value::Value;

const EXTRACT: Rows = |_, a| {
    let steps = path(a[1].as_str())?;
    Ok(read(a[0].as_str()).and_then(|json| at(&json, &steps).map(ToString::to_string)).into())
};

const EXTRACT_SCALAR: Rows = |_, a| {
    let steps = path(a[1].as_str())?;
    let found = crate::json::raw_at(a[0].as_str(), &steps);
    Ok(found
        .and_then(|raw| match read(&raw) {
            Some(Json::Str(text)) => Some(text),
            // Numbers stay as they are written.
            Some(Json::Bool(_) | Json::Int(_) | Json::Big(_) | Json::Double(_) | Json::Text(_)) => Some(raw),
            _ => None,
        })
        .into())
};

const SIZE: Rows = |_, a| {
    let steps = path(a[1].as_str())?;
    Ok(read(a[0].as_str())
        .and_then(|json| {
            at(&json, &steps).map(|found| match found {
                Json::Array(items) => items.len() as i64,
                Json::Object(members) => members.len() as i64,
                _ => 0,
            })
        })
        .into())
};

const LENGTH: Rows = |_, a| {
    Ok(match read(a[0].as_str()) {
        Some(Json::Array(items)) => Value::Int(items.len() as i64),
        _ => Value::Null,
    })
};

const GET: Rows = |_, a| {
    let Some(Json::Array(items)) = read(a[0].as_str()) else { return Ok(Value::Null) };
    let index = a[1].as_int();
    let position =
        if index >= 0 { usize::try_from(index).ok() } else { items.len().checked_sub(index.unsigned_abs() as usize) };
    Ok(match position.and_then(|position| items.get(position)) {
        // A string comes out without its quotes, wrong as that is for JSON: Trino deprecates the function for it.
        Some(Json::Str(text)) => text.as_str().into(),
        None | Some(Json::Null) => Value::Null,
        // A number stays as it is written; numbers within items do not.
        Some(Json::Double(_)) => {
            let raw: Option<Vec<&serde_json::value::RawValue>> = serde_json::from_str(a[0].as_str()).ok();
            raw.zip(position).and_then(|(raw, at)| Some(raw.get(at)?.get().to_owned())).into()
        }
        Some(other) => other.to_string().into(),
    })
};

#[expect(clippy::unnecessary_wraps, reason = "the result of a kernel")]
fn contains(a: &[Value], same: impl Fn(&Json) -> bool) -> Result<Value> {
    Ok(match read(a[0].as_str()) {
        Some(Json::Array(items)) => items.iter().any(same).into(),
        // What stands before a mistake counts: the text is read item by item.
        None => match items_before_error(a[0].as_str()) {
            Some(items) if items.iter().any(same) => true.into(),
            _ => Value::Null,
        },
        _ => Value::Null,
    })
}

fn items_before_error(text: &str) -> Option<Vec<Json>> {
    let inside = text.trim_start().strip_prefix('[')?;
    let mut items = Vec::new();
    let mut rest = inside;
    loop {
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Json>();
        let Some(Ok(item)) = stream.next() else { return Some(items) };
        items.push(item);
        let at = stream.byte_offset();
        match rest.get(at..).map(str::trim_start).and_then(|after| after.strip_prefix(',')) {
            Some(after) => rest = after,
            None => return Some(items),
        }
    }
}

const CONTAINS_BOOL: Rows = |_, a| contains(a, |json| *json == Json::Bool(a[1].as_bool()));
const CONTAINS_INT: Rows = |_, a| contains(a, |json| *json == Json::Int(a[1].as_int()));
// No JSON has such a number, and Trino does not read on.
const CONTAINS_DOUBLE: Rows = |_, a| match a[1].as_double() {
    x if !x.is_finite() => Ok(false.into()),
    x => contains(a, |json| *json == Json::Double(x)),
};
const CONTAINS_TEXT: Rows = |_, a| contains(a, |json| matches!(json, Json::Str(text) if text == a[1].as_str()));

const IS_SCALAR: Rows = |_, a| match read(a[0].as_str()) {
    Some(json) => Ok(json.is_scalar().into()),
    None => Err(Error::argument(format!("Invalid JSON value: {}", a[0].as_str()))),
};

const PARSE: Rows = |_, a| match parse(a[0].as_str()) {
    Some(json) => Ok(json.to_string().into()),
    None => Err(Error::argument(format!("Cannot convert value to JSON: '{}'", a[0].as_str()))),
};

pub(super) const TABLE: &[Row] = &[
    ("json_extract", "varchar(x), varchar -> json", Strict(EXTRACT)),
    ("json_extract", "json, varchar -> json", Strict(EXTRACT)),
    ("json_extract_scalar", "varchar(x), varchar -> varchar(x)", Strict(EXTRACT_SCALAR)),
    ("json_extract_scalar", "json, varchar -> varchar", Strict(EXTRACT_SCALAR)),
    ("json_size", "varchar(x), varchar -> bigint", Strict(SIZE)),
    ("json_size", "json, varchar -> bigint", Strict(SIZE)),
    ("json_array_length", "varchar(x) -> bigint", Strict(LENGTH)),
    ("json_array_length", "json -> bigint", Strict(LENGTH)),
    ("json_array_get", "varchar(x), bigint -> json", Strict(GET)),
    ("json_array_get", "json, bigint -> json", Strict(GET)),
    ("json_array_contains", "varchar(x), boolean -> boolean", Strict(CONTAINS_BOOL)),
    ("json_array_contains", "varchar(x), bigint -> boolean", Strict(CONTAINS_INT)),
    ("json_array_contains", "varchar(x), double -> boolean", Strict(CONTAINS_DOUBLE)),
    ("json_array_contains", "varchar(x), varchar(y) -> boolean", Strict(CONTAINS_TEXT)),
    ("json_array_contains", "json, boolean -> boolean", Strict(CONTAINS_BOOL)),
    ("json_array_contains", "json, bigint -> boolean", Strict(CONTAINS_INT)),
    ("json_array_contains", "json, double -> boolean", Strict(CONTAINS_DOUBLE)),
    ("json_array_contains", "json, varchar(x) -> boolean", Strict(CONTAINS_TEXT)),
    ("is_json_scalar", "varchar(x) -> boolean", Strict(IS_SCALAR)),
    ("is_json_scalar", "json -> boolean", Strict(IS_SCALAR)),
    ("json_parse", "varchar(x) -> json", Strict(PARSE)),
    ("json_format", "json -> varchar", Strict(|_, a| Ok(a[0].as_str().into()))),
];
