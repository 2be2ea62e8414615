//! Whether a mocked result looks like what the mocked call would return.
//!
//! Source: Developer Guide, "Mock validation modes"; the messages as recorded.

use serde_json::Value;
use service::Router;
use wire::codec::asl::pascal;
use wire::schema::Shape;

use crate::integrations::Called;

/// How much of a mock is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Strict,
    Present,
    None,
}

impl Mode {
    pub(crate) fn of(name: Option<&str>) -> Self {
        match name {
            Some("NONE") => Self::None,
            Some("PRESENT") => Self::Present,
            _ => Self::Strict,
        }
    }
}

/// What is wrong with the mocked result of a resource, as AWS says it.
pub(crate) fn problem(router: &Router, resource: &str, result: &Value, mode: Mode) -> Option<String> {
    if mode == Mode::None {
        return None;
    }
    let Called { service, operation, free } = Called::of(resource)?;
    let spec = router.find_asl(&service, &operation)?;
    let walk = Walk { strict: mode == Mode::Strict, free };
    walk.check(spec.output, result, None).err().map(|what| format!("Mock result schema validation error: {what}"))
}

struct Walk {
    strict: bool,
    /// Members of the result that hold whatever JSON the call made of its answer.
    free: &'static [&'static str],
}

impl Walk {
    fn check(&self, shape: &Shape, value: &Value, field: Option<&str>) -> Result<(), String> {
        let must_be = |what: &str| Err(format!("Field '{}' must be {what}", field.unwrap_or_default()));
        match (shape, value) {
            (Shape::Structure(structure), Value::Object(members)) => {
                let missing = structure
                    .members
                    .iter()
                    .find(|member| self.strict && member.required && !members.contains_key(&pascal(member.name)));
                if let Some(missing) = missing {
                    return Err(format!("Required field '{}' is missing", pascal(missing.name)));
                }
                for (name, value) in members {
                    if field.is_none() && self.free.contains(&name.as_str()) {
                        continue;
                    }
                    if let Some(member) = structure.members.iter().find(|member| pascal(member.name) == *name) {
                        self.check(member.shape, value, Some(name))?;
                    }
                }
                Ok(())
            }
            (Shape::Structure(_), _) if field.is_none() => Err("Mocked result must be a JSON object".to_owned()),
            (Shape::List(list), Value::Array(items)) => {
                items.iter().try_for_each(|item| self.check(list.member, item, field))
            }
            (Shape::Map(map), Value::Object(members)) => {
                members.values().try_for_each(|value| self.check(map.value, value, field))
            }
            (Shape::Structure(_) | Shape::Map(_), _) => must_be("an object"),
            (Shape::List(_), _) => must_be("an array"),
            (Shape::String { values, .. }, Value::String(text)) => {
                if values.is_empty() || values.contains(&text.as_str()) {
                    return Ok(());
                }
                Err(format!("Field '{}' is not an expected value", field.unwrap_or_default()))
            }
            (Shape::Document, _)
            | (Shape::Timestamp { .. } | Shape::Blob { .. }, Value::String(_))
            | (Shape::Float, Value::Number(_))
            | (Shape::Boolean, Value::Bool(_)) => Ok(()),
            (Shape::Integer { .. }, Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(()),
            (Shape::String { .. } | Shape::Timestamp { .. } | Shape::Blob { .. }, _) => must_be("a string"),
            (Shape::Integer { .. } | Shape::Float, _) => must_be("a number"),
            (Shape::Boolean, _) => must_be("a boolean"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wire::Operation as _;

    use super::Walk;

    #[test]
    fn mocks_are_held_against_the_shape_of_the_answer() {
        let check = |strict: bool, shape, value: Value, want: Option<&str>| {
            let found = Walk { strict, free: &[] }.check(shape, &value, None).err();
            assert_eq!(found.as_deref(), want, "{value}");
        };
        let started = api_states::StartExecution::SPEC.output;
        check(true, started, json!({}), Some("Required field 'ExecutionArn' is missing"));
        check(false, started, json!({}), None);
        check(false, started, json!({"ExecutionArn": 1}), Some("Field 'ExecutionArn' must be a string"));
        check(false, started, json!({"StartDate": true}), Some("Field 'StartDate' must be a string"));
        check(false, started, json!({"executionArn": 1, "other": []}), None);
        let described = api_states::DescribeExecution::SPEC.output;
        check(false, described, json!({"Status": "GONE"}), Some("Field 'Status' is not an expected value"));
        check(false, described, json!({"RedriveCount": "1"}), Some("Field 'RedriveCount' must be a number"));
        check(false, described, json!({"InputDetails": []}), Some("Field 'InputDetails' must be an object"));
        let included = json!({"InputDetails": {"Included": "no"}});
        check(false, described, included, Some("Field 'Included' must be a boolean"));
        let listed = api_states::ListExecutions::SPEC.output;
        check(false, listed, json!({"Executions": {}}), Some("Field 'Executions' must be an array"));
        check(true, listed, json!({"Executions": [{}]}), Some("Required field 'ExecutionArn' is missing"));
    }
}
