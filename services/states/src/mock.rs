//! Whether a mocked result looks like what the mocked call would return, of whatever service has a model.
//!
//! Source: Developer Guide, "Mock validation modes"; the messages as recorded.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;
use wire::codec::asl::pascal;

use crate::integrations::Called;

/// What operations answer, by service. Made by `cargo xtask codegen` from AWS's models.
static ANSWERS: LazyLock<BTreeMap<String, Service>> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(include_bytes!("answers.json.gz").as_slice())
        .read_to_string(&mut text)
        .expect("it was packed by codegen");
    serde_json::from_str(&text).expect("it was written by codegen")
});

#[derive(Debug, Deserialize)]
struct Service {
    operations: BTreeMap<String, String>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Shape {
    Structure { members: BTreeMap<String, String>, required: Vec<String> },
    List { list: String },
    Map { map: String },
    Enum { r#enum: Vec<String> },
    Plain(String),
}

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
pub(crate) fn problem(resource: &str, result: &Value, mode: Mode) -> Option<String> {
    if mode == Mode::None {
        return None;
    }
    let Called { service, operation, free } = Called::of(resource)?;
    let service = ANSWERS.get(sdk_name(&service))?;
    let answer = service.operations.get(&pascal(&operation))?;
    let walk = Walk { shapes: &service.shapes, strict: mode == Mode::Strict, free };
    walk.check(answer, result, None).err().map(|what| format!("Mock result schema validation error: {what}"))
}

/// The name in `aws-sdk:` ARNs of a service that optimised integrations call otherwise.
fn sdk_name(service: &str) -> &str {
    match service {
        "elasticmapreduce" => "emr",
        "emr-containers" => "emrcontainers",
        "emr-serverless" => "emrserverless",
        "events" => "eventbridge",
        "logs" => "cloudwatchlogs",
        "states" => "sfn",
        other => other,
    }
}

struct Walk<'a> {
    shapes: &'a BTreeMap<String, Shape>,
    strict: bool,
    /// Members of the result that hold whatever JSON the call made of its answer.
    free: &'static [&'static str],
}

impl Walk<'_> {
    fn check(&self, shape: &str, value: &Value, field: Option<&str>) -> Result<(), String> {
        let Some(shape) = self.shapes.get(shape) else { return Ok(()) };
        let must_be = |what: &str| Err(format!("Field '{}' must be {what}", field.unwrap_or_default()));
        match (shape, value) {
            (Shape::Structure { members, required }, Value::Object(given)) => {
                let missing = required.iter().find(|name| self.strict && !given.contains_key(&pascal(name)));
                if let Some(missing) = missing {
                    return Err(format!("Required field '{}' is missing", pascal(missing)));
                }
                for (name, value) in given {
                    if field.is_none() && self.free.contains(&name.as_str()) {
                        continue;
                    }
                    if let Some((_, shape)) = members.iter().find(|(member, _)| pascal(member) == *name) {
                        self.check(shape, value, Some(name))?;
                    }
                }
                Ok(())
            }
            (Shape::Structure { .. }, _) if field.is_none() => Err("Mocked result must be a JSON object".to_owned()),
            (Shape::List { list }, Value::Array(items)) => {
                items.iter().try_for_each(|item| self.check(list, item, field))
            }
            (Shape::Map { map }, Value::Object(members)) => {
                members.values().try_for_each(|value| self.check(map, value, field))
            }
            (Shape::Structure { .. } | Shape::Map { .. }, _) => must_be("an object"),
            (Shape::List { .. }, _) => must_be("an array"),
            (Shape::Enum { r#enum }, Value::String(text)) => {
                if r#enum.iter().any(|known| known == text) {
                    return Ok(());
                }
                Err(format!("Field '{}' is not an expected value", field.unwrap_or_default()))
            }
            (Shape::Enum { .. }, _) => must_be("a string"),
            (Shape::Plain(kind), value) => match (kind.as_str(), value) {
                ("string" | "timestamp" | "blob", Value::String(_))
                | ("float" | "double", Value::Number(_))
                | ("boolean", Value::Bool(_)) => Ok(()),
                ("integer" | "long", Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(()),
                ("string" | "timestamp" | "blob", _) => must_be("a string"),
                ("integer" | "long" | "float" | "double", _) => must_be("a number"),
                ("boolean", _) => must_be("a boolean"),
                _ => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Mode, problem};

    #[test]
    fn mocks_are_held_against_the_shape_of_the_answer() {
        let check = |mode: Mode, resource: &str, value: Value, want: Option<&str>| {
            let found = problem(&format!("arn:aws:states:::{resource}"), &value, mode);
            let want = want.map(|want| format!("Mock result schema validation error: {want}"));
            assert_eq!(found, want, "{resource} {value}");
        };
        let started = "states:startExecution";
        check(Mode::Strict, started, json!({}), Some("Required field 'ExecutionArn' is missing"));
        check(Mode::Present, started, json!({}), None);
        check(Mode::Present, started, json!({"ExecutionArn": 1}), Some("Field 'ExecutionArn' must be a string"));
        check(Mode::Present, started, json!({"StartDate": true}), Some("Field 'StartDate' must be a string"));
        check(Mode::Present, started, json!({"executionArn": 1, "other": []}), None);
        check(Mode::None, started, json!({"ExecutionArn": 1}), None);
        let described = "aws-sdk:sfn:describeExecution";
        check(Mode::Present, described, json!({"Status": "GONE"}), Some("Field 'Status' is not an expected value"));
        check(Mode::Present, described, json!({"RedriveCount": "1"}), Some("Field 'RedriveCount' must be a number"));
        check(Mode::Present, described, json!({"InputDetails": []}), Some("Field 'InputDetails' must be an object"));
        let included = json!({"InputDetails": {"Included": "no"}});
        check(Mode::Present, described, included, Some("Field 'Included' must be a boolean"));
        let listed = "aws-sdk:sfn:listExecutions";
        check(Mode::Present, listed, json!({"Executions": {}}), Some("Field 'Executions' must be an array"));
        let empty = json!({"Executions": [{}]});
        check(Mode::Strict, listed, empty, Some("Required field 'ExecutionArn' is missing"));
    }

    #[test]
    fn services_that_are_not_here_have_answers_too() {
        let check = |resource: &str, value: Value, want: Option<&str>| {
            let found = problem(&format!("arn:aws:states:::{resource}"), &value, Mode::Strict);
            assert_eq!(found.as_deref().and_then(|found| found.split(": ").nth(1)), want, "{resource}");
        };
        let blob = "Field 'CiphertextBlob' must be a string";
        check("aws-sdk:kms:encrypt", json!({"CiphertextBlob": 123}), Some(blob));
        check("ecs:runTask", json!({"Tasks": "all"}), Some("Field 'Tasks' must be an array"));
        check("elasticmapreduce:addStep", json!({"StepId": 1}), None);
        check(
            "aws-sdk:lambda:getFunctionUrlConfig",
            json!({"AuthType": "X"}),
            Some("Required field 'FunctionUrl' is missing"),
        );
        check("aws-sdk:nothing:here", json!({"a": 1}), None);
    }
}
