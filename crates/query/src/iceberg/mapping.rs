//! The names under which files without field ids have a table's columns (Iceberg specification, "Name Mapping Serialization"): such
//! files come from `add_files` and `migrate` of Spark and pyiceberg. Columns at the top have more than one name; what lies within a column
//! is found by its present name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::metadata::TableMetadata;
use super::types::Field;
use crate::error::{Error, Result};

/// The table's property.
pub(crate) const NAME_MAPPING: &str = "schema.name-mapping.default";

/// By field id.
pub(crate) type Names = BTreeMap<i32, Vec<String>>;

/// The table's mapping, where it has one.
///
/// # Errors
/// `ICEBERG_INVALID_METADATA` where it cannot be read.
pub(crate) fn names(metadata: &TableMetadata) -> Result<Option<Names>> {
    let Some(text) = metadata.properties.get(NAME_MAPPING) else { return Ok(None) };
    let mut all = Names::new();
    for entry in entries(text)? {
        // An entry without an id names what the table does not have.
        let Some(id) = entry["field-id"].as_i64().and_then(|id| i32::try_from(id).ok()) else { continue };
        let of_entry = entry["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        all.entry(id).or_default().extend(of_entry.map(str::to_owned));
    }
    Ok(Some(all))
}

fn entries(text: &str) -> Result<Vec<Value>> {
    serde_json::from_str(text).map_err(|error| {
        let text = format_args!("The property {NAME_MAPPING} is no name mapping: {error}");
        Error::user(1102, "ICEBERG_INVALID_METADATA", text)
    })
}

/// The mapping after the columns have become these: a new name comes beside the old ones, and a name that another column had is the new
/// one's, as Iceberg's own `UpdateMapping` keeps it.
///
/// # Errors
/// As of [`names`].
pub(crate) fn kept(text: &str, before: &[Field], fields: &[Field]) -> Result<String> {
    let mut all = entries(text)?;
    for field in fields {
        if before.iter().any(|old| old.id == field.id && old.name == field.name) {
            continue;
        }
        let is_named = |entry: &Value| entry["field-id"].as_i64() == Some(i64::from(field.id));
        for other in all.iter_mut().filter(|entry| !is_named(entry)) {
            if let Some(names) = other["names"].as_array_mut() {
                names.retain(|name| name.as_str() != Some(&field.name));
            }
        }
        match all.iter_mut().find(|entry| is_named(entry)).and_then(|entry| entry["names"].as_array_mut()) {
            Some(names) if names.iter().any(|name| name.as_str() == Some(&field.name)) => {}
            Some(names) => names.push(json!(field.name)),
            None => all.push(json!({ "field-id": field.id, "names": [field.name] })),
        }
    }
    serde_json::to_string(&all).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iceberg::types::{Primitive, Type};

    fn field(id: i32, name: &str) -> Field {
        Field::optional(id, name, Type::Primitive(Primitive::Int))
    }

    #[test]
    fn names_are_added_and_reassigned() {
        let text = r#"[{"field-id":1,"names":["a"]},{"field-id":2,"names":["b","old_b"]},{"names":["unknown"]}]"#;
        let before = [field(1, "a"), field(2, "b")];
        let renamed = kept(text, &before, &[field(1, "c"), field(2, "b")]).unwrap();
        assert_eq!(
            renamed,
            r#"[{"field-id":1,"names":["a","c"]},{"field-id":2,"names":["b","old_b"]},{"names":["unknown"]}]"#
        );
        let added = kept(text, &before, &[field(1, "a"), field(2, "b"), field(3, "old_b")]).unwrap();
        assert_eq!(
            added,
            r#"[{"field-id":1,"names":["a"]},{"field-id":2,"names":["b"]},{"names":["unknown"]},{"field-id":3,"names":["old_b"]}]"#
        );
        assert!(kept("{", &before, &[]).is_err());
    }
}
