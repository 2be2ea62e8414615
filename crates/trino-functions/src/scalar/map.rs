//! Maps, but for functions that take lambdas.

use super::Row;
use crate::call::{Call, Kernel::Nullable, Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::text::to_text;
use crate::types::Type;
use crate::value::Value;

/// A map of these entries, whose keys may not be null nor the same.
pub fn build(keys: &[Value], values: &[Value], key: &Type) -> Result<Value> {
    let mut entries: Vec<(Value, Value)> = Vec::with_capacity(keys.len());
    let mut seen = std::collections::BTreeSet::new();
    for (k, v) in keys.iter().zip(values) {
        if k.is_null() {
            return Err(Error::argument("map key cannot be null"));
        }
        if !seen.insert(k.clone()) {
            return Err(Error::argument(format!("Duplicate map keys ({}) are not allowed", shown(k, key))));
        }
        entries.push((k.clone(), v.clone()));
    }
    Ok(Value::Map(entries))
}

/// A key as error messages show it.
fn shown(key: &Value, ty: &Type) -> String {
    match key {
        Value::Double(x) => {
            let mut text = String::new();
            crate::text::write_double(*x, &mut text);
            text
        }
        other => to_text(other, ty),
    }
}

fn key_type(call: &Call) -> Type {
    match &call.returns {
        Type::Map(key, _) => key.as_ref().clone(),
        _ => Type::Unknown,
    }
}

const MAP: Rows = |call, a| {
    let (keys, values) = (a[0].items(), a[1].items());
    if keys.len() != values.len() {
        return Err(Error::argument("Key and value arrays must be the same length"));
    }
    build(keys, values, &key_type(call))
};

const CONCAT: Rows = |_, a| {
    let mut all: Vec<(Value, Value)> = Vec::new();
    for (k, v) in a.iter().flat_map(Value::entries) {
        match all.iter_mut().find(|(known, _)| known == k) {
            Some((_, old)) => *old = v.clone(),
            None => all.push((k.clone(), v.clone())),
        }
    }
    Ok(Value::Map(all))
};

const ELEMENT_AT: Rows =
    |_, a| Ok(a[0].entries().iter().find(|(k, _)| *k == a[1]).map_or(Value::Null, |(_, v)| v.clone()));

const ENTRIES: Rows =
    |_, a| Ok(Value::Array(a[0].entries().iter().map(|(k, v)| Value::Row(vec![k.clone(), v.clone()])).collect()));

const KEYS: Rows = |_, a| Ok(Value::Array(a[0].entries().iter().map(|(k, _)| k.clone()).collect()));
const VALUES: Rows = |_, a| Ok(Value::Array(a[0].entries().iter().map(|(_, v)| v.clone()).collect()));

fn unzip(entries: &[Value]) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut keys = Vec::with_capacity(entries.len());
    let mut values = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.is_null() {
            return Err(Error::argument("map entry cannot be null"));
        }
        keys.push(entry.items().first().cloned().unwrap_or(Value::Null));
        values.push(entry.items().get(1).cloned().unwrap_or(Value::Null));
    }
    Ok((keys, values))
}

const FROM_ENTRIES: Rows = |call, a| {
    let (keys, values) = unzip(a[0].items())?;
    build(&keys, &values, &key_type(call)).map_err(|error| {
        Error::argument(
            error.text.replace("Duplicate map keys", "Duplicate keys").replace("Duplicate keys", "Duplicate map keys"),
        )
    })
};

const MULTIMAP_FROM_ENTRIES: Rows = |_, a| {
    let (keys, values) = unzip(a[0].items())?;
    let mut all: Vec<(Value, Value)> = Vec::new();
    for (k, v) in keys.into_iter().zip(values) {
        if k.is_null() {
            return Err(Error::argument("map key cannot be null"));
        }
        match all.iter_mut().find(|(known, _)| *known == k) {
            Some((_, Value::Array(items))) => items.push(v),
            _ => all.push((k, Value::Array(vec![v]))),
        }
    }
    Ok(Value::Map(all))
};

pub(super) const TABLE: &[Row] = &[
    ("map", "-> map(unknown, unknown)", Nullable(|_, _| Ok(Value::Map(Vec::new())))),
    ("map", "array(K), array(V) -> map(K, V)", Strict(MAP)),
    ("map_concat", "map(K, V), map(K, V), map(K, V)... -> map(K, V)", Strict(CONCAT)),
    ("map_concat", "map(K, V), map(K, V) -> map(K, V)", Strict(CONCAT)),
    ("element_at", "map(K, V), K -> V", Strict(ELEMENT_AT)),
    ("map_entries", "map(K, V) -> array(row(K, V))", Strict(ENTRIES)),
    ("map_keys", "map(K, V) -> array(K)", Strict(KEYS)),
    ("map_values", "map(K, V) -> array(V)", Strict(VALUES)),
    ("map_from_entries", "array(row(K, V)) -> map(K, V)", Strict(FROM_ENTRIES)),
    ("multimap_from_entries", "array(row(K, V)) -> map(K, array(V))", Strict(MULTIMAP_FROM_ENTRIES)),
];
