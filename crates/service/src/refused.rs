//! Members of inputs that nothing here would obey: refused by name when they are set, before the handler sees them. Which they are
//! says `models/refused.toml`.

use serde_json::Value;
use wire::schema::Shape;
use wire::{Error, OperationSpec};

/// Refuses the first member that is set and refused.
pub(crate) fn check(spec: &OperationSpec, input: &Value) -> Result<(), Error> {
    for (path, unless) in spec.refused {
        if let Some(value) = found(spec.input, input, path, unless) {
            return Err(refusal(spec, path, &value));
        }
    }
    Ok(())
}

/// What the member at `path` is set to, if that is none of `unless`. Lists and maps on the way are passed through.
fn found(shape: &Shape, value: &Value, path: &str, unless: &[&str]) -> Option<String> {
    match (shape, value) {
        (Shape::List(list), Value::Array(items)) => {
            items.iter().find_map(|item| found(list.member, item, path, unless))
        }
        (Shape::Map(map), Value::Object(items)) => items.values().find_map(|item| found(map.value, item, path, unless)),
        (Shape::Structure(structure), Value::Object(members)) => {
            let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
            let value = members.get(name)?;
            let Some(rest) = rest else { return set(value).filter(|text| !unless.contains(&text.as_str())) };
            let member = structure.members.iter().find(|member| member.name == name)?;
            found(member.shape, value, rest, unless)
        }
        _ => None,
    }
}

/// What a value that is set says. Nothing is asked for by an empty list, map, structure or text.
fn set(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Array(items) => (!items.is_empty()).then(|| value.to_string()),
        Value::Object(members) => members.values().any(|value| set(value).is_some()).then(|| value.to_string()),
        scalar => Some(scalar.to_string()),
    }
}

/// The service's own error for a parameter that it cannot take.
fn refusal(spec: &OperationSpec, path: &str, value: &str) -> Error {
    const SHOWN: usize = 100;
    let shown: String = value.chars().take(SHOWN).collect();
    let message = format!("{path} is not supported by this endpoint, given: {shown}");
    let code = match spec.service.name {
        "athena" => "InvalidRequestException",
        "glue" => "InvalidInputException",
        "lambda" => "InvalidParameterValueException",
        "logs" | "secretsmanager" => "InvalidParameterException",
        "sns" => "InvalidParameter",
        "sqs" => {
            return Error::new("UnsupportedOperation", 400, message)
                .with_query_code("AWS.SimpleQueueService.UnsupportedOperation");
        }
        "cloudwatch" => {
            return Error::new("InvalidParameterValueException", 400, message).with_query_code("InvalidParameterValue");
        }
        "cloudformation" | "iam" | "sts" => "ValidationError",
        "s3" => "NotImplemented",
        _ => "ValidationException",
    };
    Error::new(code, 400, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::schema::{List, Location, Member, Structure};

    use super::*;

    static TEXT: Shape = Shape::String { min: None, max: None, pattern: None, values: &[], sensitive: false };
    static INNER: Shape =
        Shape::Structure(Structure { name: "Inner", members: &[member("Mode", &TEXT)], payload: None });
    static LIST: Shape =
        Shape::List(List { member: &INNER, element: "member", flattened: false, min: None, max: None });
    static INPUT: Shape = Shape::Structure(Structure {
        name: "Input",
        members: &[member("Items", &LIST), member("Flag", &TEXT)],
        payload: None,
    });

    const fn member(name: &'static str, shape: &'static Shape) -> Member {
        Member { name, wire: name, shape, required: false, location: Location::Body, idempotency_token: false }
    }

    #[test]
    fn what_is_set_is_found() {
        let check = |path, unless: &[&str], input, expected: Option<&str>| {
            assert_eq!(found(&INPUT, &input, path, unless).as_deref(), expected, "{path} {unless:?} {input}");
        };
        check("Items.Mode", &["A"], json!({"Items": [{"Mode": "A"}, {"Mode": "B"}]}), Some("B"));
        check("Items.Mode", &["A", "B"], json!({"Items": [{"Mode": "A"}, {"Mode": "B"}]}), None);
        check("Items.Mode", &[], json!({"Items": [{}], "Mode": "A"}), None);
        check("Flag", &["false"], json!({"Flag": false}), None);
        check("Flag", &["false"], json!({"Flag": true}), Some("true"));
        for empty in [json!(null), json!(""), json!([]), json!({}), json!({"Mode": []})] {
            check("Flag", &[], json!({ "Flag": empty }), None);
        }
        check("Flag", &[], json!({"Flag": {"Mode": ["x"]}}), Some("{\"Mode\":[\"x\"]}"));
    }
}
