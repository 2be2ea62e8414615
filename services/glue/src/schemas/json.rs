//! JSON Schema: whether a definition is one. Keywords must have the types that the drafts 4 to 2020-12 give them. Compatibility of
//! versions is not judged here: there is no specification of it.

use serde_json::Value;

const MAX_DEPTH: usize = 64;
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

pub(super) fn check(text: &str) -> Result<(), String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    schema(&json, "", 0)
}

fn schema(json: &Value, path: &str, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{path}: nested deeper than {MAX_DEPTH} levels"));
    }
    let members = match json {
        Value::Bool(_) => return Ok(()),
        Value::Object(members) => members,
        other => return Err(format!("{path}/: {other} is no schema")),
    };
    for (name, value) in members {
        let path = format!("{path}/{name}");
        let within = |value: &Value| schema(value, &path, depth + 1);
        let fits = match name.as_str() {
            "$schema" | "$id" | "id" | "$ref" | "$comment" | "title" | "description" | "format" | "pattern" => {
                value.is_string()
            }
            "type" => match value {
                Value::String(name) => TYPES.contains(&name.as_str()),
                Value::Array(all) => {
                    !all.is_empty() && all.iter().all(|one| one.as_str().is_some_and(|t| TYPES.contains(&t)))
                }
                _ => false,
            },
            "properties" | "patternProperties" | "definitions" | "$defs" | "dependentSchemas" => match value {
                Value::Object(all) => {
                    all.values().try_for_each(within)?;
                    name != "patternProperties" || all.keys().all(|pattern| regex::Regex::new(pattern).is_ok())
                }
                _ => false,
            },
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => match value {
                Value::Array(all) => {
                    all.iter().try_for_each(within)?;
                    !all.is_empty()
                }
                _ => false,
            },
            "items" => match value {
                Value::Array(all) => {
                    all.iter().try_for_each(within)?;
                    true
                }
                one => within(one).map(|()| true)?,
            },
            "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "additionalProperties"
            | "additionalItems"
            | "unevaluatedItems"
            | "unevaluatedProperties" => within(value).map(|()| true)?,
            "required" => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)) || value.is_boolean(),
            "enum" => value.as_array().is_some_and(|all| !all.is_empty()),
            "minimum" | "maximum" => value.is_number(),
            "exclusiveMinimum" | "exclusiveMaximum" => value.is_number() || value.is_boolean(),
            "multipleOf" => value.as_f64().is_some_and(|n| n > 0.0),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => value.as_u64().is_some() || value.as_f64().is_some_and(|n| n >= 0.0 && n.fract() == 0.0),
            "uniqueItems" | "readOnly" | "writeOnly" | "deprecated" => value.is_boolean(),
            _ => true,
        };
        if !fits {
            return Err(format!("{path}: {value} is not allowed"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_a_schema() {
        for text in [
            "true",
            "{}",
            r##"{"$schema": "http://json-schema.org/draft-07/schema#", "type": ["object", "null"], "properties": {"a": {"type": "string",
                "minLength": 1}}, "required": ["a"], "additionalProperties": false, "items": [{"$ref": "#/definitions/x"}]}"##,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "7",
            "[]",
            r#"{"type": "text"}"#,
            r#"{"properties": {"a": 1}}"#,
            r#"{"required": [1]}"#,
            r#"{"anyOf": []}"#,
            r#"{"items": {"type": 1}}"#,
            r#"{"minLength": -1}"#,
            r#"{"multipleOf": 0}"#,
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
