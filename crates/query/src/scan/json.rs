//! One JSON object a line, as the openx SerDe reads it: keys without regard to case, only the wanted members decoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_null_array};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::lines::next_line;
use super::writers::Writer;
use crate::error::{Error, Result};

/// Takes up to `rows` lines off `rest`.
pub(crate) fn decode(
    fields: &[&Field],
    mapping: &BTreeMap<String, String>,
    ignore_malformed: bool,
    rest: &mut &str,
    rows: usize,
    path: &str,
) -> Result<(Vec<ArrayRef>, usize)> {
    let keys: BTreeMap<String, usize> = fields
        .iter()
        .enumerate()
        .map(|(slot, field)| (mapping.get(field.name()).unwrap_or_else(|| field.name()).clone(), slot))
        .collect();
    let mut columns: Vec<Vec<Option<Value>>> = fields.iter().map(|_| Vec::with_capacity(rows.min(8192))).collect();
    let mut count = 0;
    while count < rows {
        let Some(line) = next_line(rest) else { break };
        if line.trim().is_empty() {
            continue;
        }
        for column in &mut columns {
            column.push(None);
        }
        let mut reader = serde_json::Deserializer::from_str(line);
        let read = reader.deserialize_map(Row { keys: &keys, columns: &mut columns }).and_then(|()| reader.end());
        if let Err(error) = read {
            if !ignore_malformed {
                return Err(Error::user(
                    1104,
                    "HIVE_CURSOR_ERROR",
                    format_args!("Row is not a valid JSON Object - JSONException: {error} [file {path}]"),
                ));
            }
            for column in &mut columns {
                if let Some(last) = column.last_mut() {
                    *last = None;
                }
            }
        }
        count += 1;
    }
    let arrays = fields
        .iter()
        .zip(&columns)
        .map(|(field, values)| {
            let values: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
            array(field, &values)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((arrays, count))
}

struct Row<'a> {
    keys: &'a BTreeMap<String, usize>,
    columns: &'a mut [Vec<Option<Value>>],
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let slot = self.keys.get(key.as_ref()).or_else(|| self.keys.get(&key.to_lowercase()));
            match slot {
                Some(slot) => {
                    let value = map.next_value::<Value>()?;
                    if let Some(last) = self.columns[*slot].last_mut() {
                        *last = Some(value);
                    }
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A column out of JSON values. What is not of the column's type is null, scalars become the text of string columns.
fn array(field: &Field, values: &[Option<&Value>]) -> Result<ArrayRef> {
    match field.data_type() {
        DataType::List(item) => {
            let lists: Vec<Option<&Vec<Value>>> = values.iter().map(|value| value.and_then(Value::as_array)).collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
            let items: Vec<_> = lists.iter().flatten().flat_map(|list| list.iter().map(not_null)).collect();
            let nulls = lists.iter().map(Option::is_some).collect::<NullBuffer>();
            let items = array(item, &items)?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, Some(nulls)).map_err(Error::internal)?))
        }
        DataType::Struct(fields) => {
            if fields.is_empty() {
                return Ok(new_null_array(field.data_type(), values.len()));
            }
            let objects: Vec<_> = values.iter().map(|value| value.and_then(Value::as_object)).collect();
            let columns = fields
                .iter()
                .map(|field| {
                    let members: Vec<_> =
                        objects.iter().map(|object| object.and_then(|object| member(object, field.name()))).collect();
                    array(field, &members)
                })
                .collect::<Result<Vec<_>>>()?;
            let nulls = objects.iter().map(Option::is_some).collect::<NullBuffer>();
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, Some(nulls)).map_err(Error::internal)?))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(Error::internal("a map without entries"));
            };
            let objects: Vec<_> = values.iter().map(|value| value.and_then(Value::as_object)).collect();
            let offsets =
                OffsetBuffer::from_lengths(objects.iter().map(|object| object.map_or(0, serde_json::Map::len)));
            let keys: Vec<Value> =
                objects.iter().flatten().flat_map(|object| object.keys().cloned().map(Value::String)).collect();
            let keys: Vec<_> = keys.iter().map(Some).collect();
            let items: Vec<_> = objects.iter().flatten().flat_map(|object| object.values().map(not_null)).collect();
            let columns = vec![array(&pair[0], &keys)?, array(&pair[1], &items)?];
            let nulls = objects.iter().map(Option::is_some).collect::<NullBuffer>();
            let pairs = StructArray::try_new(pair.clone(), columns, None).map_err(Error::internal)?;
            let map = MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(nulls), *sorted)
                .map_err(Error::internal)?;
            Ok(Arc::new(map))
        }
        _ => {
            let mut writer = Writer::new(field, values.len())?;
            for value in values {
                match value {
                    None | Some(Value::Null) => writer.null(),
                    Some(Value::String(text)) => {
                        writer.push(text);
                    }
                    Some(other) => {
                        writer.push(&other.to_string());
                    }
                }
            }
            let array = writer.finish();
            debug_assert_eq!(array.len(), values.len());
            Ok(array)
        }
    }
}

fn not_null(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

fn member<'a>(object: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.to_lowercase() == name).map(|(_, value)| value))
        .filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse_hive_field;
    use crate::value::write_value;

    fn read(ty: &str, text: &str, ignore: bool) -> Result<Vec<String>> {
        let field = parse_hive_field("a", ty).unwrap();
        let mut rest = text;
        let (arrays, rows) = decode(&[&field], &BTreeMap::new(), ignore, &mut rest, 100, "s3://b/k")?;
        Ok((0..rows)
            .map(|row| {
                let mut out = String::new();
                if write_value(&arrays[0], row, &mut out) { out } else { "NULL".to_owned() }
            })
            .collect())
    }

    #[test]
    fn members_become_columns() {
        assert_eq!(read("int", "{\"A\":1}\n\n{\"b\":2}\n{\"a\":\"x\"}", false).unwrap(), ["1", "NULL", "NULL"]);
        assert_eq!(read("string", "{\"a\":1.5}\n{\"a\":{\"b\":[1]}}", false).unwrap(), ["1.5", "{\"b\":[1]}"]);
        assert_eq!(
            read("struct<x:int,y:array<string>>", "{\"a\":{\"X\":1,\"y\":[\"p\",null]}}", false).unwrap(),
            ["{x=1, y=[p, null]}"]
        );
        assert_eq!(read("map<string,double>", "{\"a\":{\"k\":1}}", false).unwrap(), ["{k=1.0}"]);
    }

    #[test]
    fn a_malformed_line_fails_unless_ignored() {
        let text = "{\"a\":1}\n{\"a\":\n{\"a\":3}";
        assert!(
            read("int", text, false)
                .unwrap_err()
                .message
                .starts_with("HIVE_CURSOR_ERROR: Row is not a valid JSON Object")
        );
        assert_eq!(read("int", text, true).unwrap(), ["1", "NULL", "3"]);
    }
}
