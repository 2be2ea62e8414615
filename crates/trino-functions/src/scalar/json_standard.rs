//! The JSON functions of SQL:2016: JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_OBJECT, JSON_ARRAY. Their grammar's words
//! arrive as one text (`returning=bigint;empty=null;error=default`), which who reads the statement writes.

use crate::call::{Argument, Call, Kernel};
use crate::cast::{cast, is_possible};
use crate::error::{Error, Result};
use crate::json::{Json, from_value, read};
use crate::json_path::Path;
use crate::types::{Type, VARCHAR};
use crate::value::Value;

/// Their names, as [`crate::call::resolve`] knows them.
pub const JSON_STANDARD: &[&str] =
    &["$json_exists", "$json_value", "$json_query", "$json_object", "$json_array", "$json_items"];

pub(super) fn resolve(name: &str, arguments: &[Argument]) -> Option<Result<Call>> {
    let name = JSON_STANDARD.iter().find(|known| **known == name)?;
    let types: Vec<Type> = arguments.iter().map(|argument| argument.ty.clone()).collect();
    let text = |index: usize| match arguments.get(index).and_then(|argument| argument.literal.as_ref()) {
        Some(Value::Str(text)) => text.as_str(),
        _ => "",
    };
    Some(match *name {
        "$json_object" => constructor(name, &types, text(0), 3, OBJECT),
        "$json_array" => constructor(name, &types, text(0), 2, ARRAY),
        "$json_exists" => over_path(name, types, text(1), text(2), EXISTS),
        "$json_value" => over_path(name, types, text(1), text(2), VALUE),
        "$json_items" => over_path(name, types, text(1), text(2), ITEMS),
        _ => over_path(name, types, text(1), text(2), QUERY),
    })
}

/// What a key of the grammar's words says.
fn said<'a>(words: &'a str, key: &str) -> Option<&'a str> {
    words.split(';').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn returned(words: &str) -> Result<Type> {
    let Some(text) = said(words, "returning") else { return Ok(VARCHAR) };
    Type::parse(text).ok_or_else(|| Error::type_mismatch(format!("Unknown type: {text}")))
}

fn shown(name: &str) -> String {
    name.trim_start_matches('$').to_uppercase()
}

/// Functions of an input and a path: what follows are the path, the words, the defaults, and names, values and formats.
fn over_path(
    name: &'static str,
    mut types: Vec<Type>,
    path: &str,
    words: &str,
    run: crate::call::Rows,
) -> Result<Call> {
    Path::parse(path)?;
    match &types[0] {
        Type::Varchar(_) | Type::Char(_) | Type::Varbinary => {}
        Type::Unknown => types[0] = VARCHAR,
        other => {
            return Err(Error::type_mismatch(format!(
                "Cannot read input of type {other} as JSON using formatting JSON"
            )));
        }
    }
    let returns = match name {
        "$json_exists" => Type::Boolean,
        "$json_items" => Type::array(VARCHAR),
        _ => returned(words)?,
    };
    if name == "$json_value" {
        for ty in types.iter_mut().take(5).skip(3) {
            if !crate::types::can_coerce(ty, &returns) {
                return Err(Error::type_mismatch(format!(
                    "Return type of JSON_VALUE function not compatible with default type: {ty}"
                )));
            }
            *ty = returns.clone();
        }
    }
    if name == "$json_query"
        && let (Some(quotes), Some(wrapper)) = (said(words, "quotes"), said(words, "wrapper"))
        && wrapper != "without"
    {
        let (quotes, wrapper) = (quotes.to_uppercase(), wrapper.to_uppercase());
        return Err(Error::argument(format!(
            "{quotes} QUOTES behavior specified with WITH {wrapper} ARRAY WRAPPER behavior"
        )));
    }
    if name == "$json_query" && !matches!(returns, Type::Varchar(_) | Type::Char(_)) {
        return Err(Error::type_mismatch(format!("Cannot output JSON value as {returns} using formatting JSON")));
    }
    for ty in types.iter().skip(6).step_by(3) {
        if !is_item(ty) {
            return Err(Error::not_supported(format!("Unsupported type of JSON path parameter: {ty}")));
        }
    }
    Ok(Call { name, params: types, returns, kernel: Kernel::Nullable(run) })
}

/// Types whose values become items of JSON without a cast.
fn is_item(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Unknown
            | Type::Boolean
            | Type::Tinyint
            | Type::Smallint
            | Type::Integer
            | Type::Bigint
            | Type::Real
            | Type::Double
            | Type::Decimal(..)
            | Type::Varchar(_)
            | Type::Char(_)
    )
}

/// An argument as an item: read as JSON, as it is, or as its text.
fn item(value: &Value, ty: &Type, format: &str) -> Result<Json> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    if format == "json" {
        return read(json_text(value)?)
            .ok_or_else(|| Error::new("JSON_INPUT_CONVERSION_ERROR", "conversion to JSON failed: "));
    }
    if matches!(ty, Type::Char(_)) {
        return Ok(Json::Str(crate::text::to_text(value, ty)));
    }
    if is_item(ty) {
        return match from_value(value, ty)? {
            // A real is a number of its own kind there; what it is written as does not differ.
            Json::Text(text) if *ty == Type::Real => {
                text.parse().map(Json::Double).map_err(|_| Error::internal("a real"))
            }
            json => Ok(json),
        };
    }
    Ok(match cast(value, ty, &VARCHAR)? {
        Value::Str(text) => Json::Str(text),
        _ => Json::Null,
    })
}

/// The items that the path finds, or why there are none.
fn found(call: &Call, a: &[Value]) -> Result<Vec<Json>> {
    let text = json_text(&a[0])?;
    // No text at all is a null for Jackson.
    let input = if text.trim_ascii().is_empty() {
        Json::Null
    } else {
        read(text).ok_or_else(|| Error::new("JSON_INPUT_CONVERSION_ERROR", "conversion to JSON failed: "))?
    };
    let mut variables = Vec::new();
    for at in (5..a.len().saturating_sub(2)).step_by(3) {
        let json = item(&a[at + 1], &call.params[at + 1], a[at + 2].as_str())?;
        variables.push((a[at].as_str().to_owned(), json));
    }
    Path::parse(a[1].as_str())?.items(&input, &variables)
}

/// The text of an input, which may be one in UTF-8.
fn json_text(value: &Value) -> Result<&str> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| Error::new("JSON_INPUT_CONVERSION_ERROR", "conversion to JSON failed: ")),
        text => Ok(text.as_str()),
    }
}

/// The items that a path finds, as texts: the rows of JSON_TABLE.
const ITEMS: crate::call::Rows = |call, a| {
    if a[0].is_null() {
        return Ok(Value::Array(Vec::new()));
    }
    match found(call, a) {
        Ok(items) => Ok(Value::Array(items.into_iter().map(|item| Value::Str(item.to_string())).collect())),
        Err(error) if said(a[2].as_str(), "error") == Some("error") => Err(error),
        Err(_) => Ok(Value::Array(Vec::new())),
    }
};

const EXISTS: crate::call::Rows = |call, a| {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    match (found(call, a), said(a[2].as_str(), "error").unwrap_or("false")) {
        (Ok(items), _) => Ok((!items.is_empty()).into()),
        (Err(error), "error") => Err(error),
        (Err(_), "true") => Ok(true.into()),
        (Err(_), "unknown") => Ok(Value::Null),
        (Err(_), _) => Ok(false.into()),
    }
};

const VALUE: crate::call::Rows = |call, a| {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    let words = a[2].as_str();
    let problem = |text: &str| {
        Error::new("JSON_VALUE_RESULT_ERROR", format!("cannot extract SQL scalar from JSON: JSON path found {text}"))
    };
    let settle = |key: &str, at: usize, error: Error| match said(words, key).unwrap_or("null") {
        "error" => Err(error),
        "default" => Ok(a[at].clone()),
        _ => Ok(Value::Null),
    };
    let items = match found(call, a) {
        Ok(items) => items,
        Err(error) => return settle("error", 4, error),
    };
    let only = match items.as_slice() {
        [] => return settle("empty", 3, problem("no items")),
        [only] => only,
        _ => return settle("error", 4, problem("multiple items")),
    };
    let done = match only {
        Json::Null => return Ok(Value::Null),
        Json::Bool(b) => cast_if(&Value::Bool(*b), &Type::Boolean, &call.returns),
        Json::Int(n) => {
            let ty = if i32::try_from(*n).is_ok() { Type::Integer } else { Type::Bigint };
            cast_if(&Value::Int(*n), &ty, &call.returns)
        }
        Json::Double(x) => cast_if(&Value::Double(*x), &Type::Double, &call.returns),
        Json::Str(text) => cast_if(&Value::Str(text.clone()), &VARCHAR, &call.returns),
        Json::Text(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let scale = u8::try_from(fraction.len()).unwrap_or(38);
            match format!("{whole}{fraction}").parse() {
                Ok(unscaled) => cast_if(&Value::Decimal(unscaled), &Type::Decimal(38, scale), &call.returns),
                Err(_) => Err(problem("an item that cannot be converted to an SQL value")),
            }
        }
        Json::Big(_) | Json::Array(_) | Json::Object(_) => {
            Err(problem("an item that cannot be converted to an SQL value"))
        }
    };
    done.or_else(|error| settle("error", 4, error))
};

fn cast_if(value: &Value, from: &Type, to: &Type) -> Result<Value> {
    let wrong = format!(
        "cannot extract SQL scalar from JSON: Cannot cast value of type {from} to declared return type of function JSON_VALUE: {to}"
    );
    if !is_possible(from, to) {
        return Err(Error::new("JSON_VALUE_RESULT_ERROR", wrong));
    }
    cast(value, from, to).map_err(|_| Error::new("JSON_VALUE_RESULT_ERROR", wrong))
}

const QUERY: crate::call::Rows = |call, a| {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    let words = a[2].as_str();
    let problem = |text: &str| {
        Error::new("JSON_OUTPUT_CONVERSION_ERROR", format!("conversion from JSON failed: JSON path found {text}"))
    };
    let settle = |key: &str, error: Error| match said(words, key).unwrap_or("null") {
        "error" => Err(error),
        "array" => Ok(Value::str("[]")),
        "object" => Ok(Value::str("{}")),
        _ => Ok(Value::Null),
    };
    let mut items = match found(call, a) {
        Ok(items) => items,
        Err(error) => return settle("error", error),
    };
    if items.is_empty() {
        return settle("empty", problem("no items"));
    }
    let json = match (said(words, "wrapper").unwrap_or("without"), items.as_slice()) {
        ("without", [_]) | ("conditional", [Json::Array(_) | Json::Object(_)]) => items.remove(0),
        ("without", _) => return settle("error", problem("multiple items")),
        _ => Json::Array(items),
    };
    let text = match json {
        Json::Str(text) if said(words, "quotes") == Some("omit") => text,
        other => other.to_string(),
    };
    cast(&Value::Str(text), &VARCHAR, &call.returns)
};

fn constructor(name: &'static str, types: &[Type], words: &str, width: usize, run: crate::call::Rows) -> Result<Call> {
    let values = types.iter().skip(width - 1).step_by(width);
    for ty in values {
        if !is_item(ty) && !is_possible(ty, &VARCHAR) {
            let text = format!("Unsupported type of value passed to {} function: {ty}", shown(name));
            return Err(Error::not_supported(text));
        }
    }
    let mut params = types.to_vec();
    if name == "$json_object" {
        for ty in params.iter_mut().skip(1).step_by(width) {
            match ty {
                Type::Varchar(_) => *ty = VARCHAR,
                // A key of char has no padding.
                Type::Char(_) | Type::Unknown => {}
                other => {
                    return Err(Error::argument(format!("Invalid type of JSON object key: {other}")));
                }
            }
        }
    }
    Ok(Call { name, params, returns: returned(words)?, kernel: Kernel::Nullable(run) })
}

const OBJECT: crate::call::Rows = |call, a| {
    let words = a[0].as_str();
    let absent = said(words, "null") == Some("absent");
    let mut members: Vec<(String, Json)> = Vec::new();
    for at in (1..a.len()).step_by(3) {
        let (key, value, format) = (&a[at], &a[at + 1], a[at + 2].as_str());
        if key.is_null() {
            return Err(Error::argument("null value passed for JSON object key to JSON_OBJECT function"));
        }
        let json = item(value, &call.params[at + 1], format)?;
        if absent && value.is_null() {
            continue;
        }
        if members.iter().any(|(known, _)| known == key.as_str()) {
            return Err(if said(words, "unique").is_some() {
                Error::argument("duplicate key passed to JSON_OBJECT function")
            } else {
                Error::not_supported("cannot construct a JSON object with duplicate key")
            });
        }
        members.push((key.as_str().to_owned(), json));
    }
    in_hash_order(&mut members);
    cast(&Value::Str(Json::Object(members).to_string()), &VARCHAR, &call.returns)
};

/// Trino builds an object in a `java.util.HashMap`, and writes its members as that lists them: by their hashes.
fn in_hash_order(members: &mut [(String, Json)]) {
    let mut buckets = 16usize;
    while members.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    members.sort_by_key(|(key, _)| {
        let hash = key.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

const ARRAY: crate::call::Rows = |call, a| {
    let keep = said(a[0].as_str(), "null") == Some("null");
    let mut items = Vec::new();
    for at in (1..a.len()).step_by(2) {
        if keep || !a[at].is_null() {
            items.push(item(&a[at], &call.params[at], a[at + 1].as_str())?);
        }
    }
    cast(&Value::Str(Json::Array(items).to_string()), &VARCHAR, &call.returns)
};
