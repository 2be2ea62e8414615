//! What is allowed in a definition and yet hardly meant: texts that look like paths where none are read.
//! Source: API reference, ValidateStateMachineDefinitionDiagnostic, "List of warning codes".

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Severity};

/// Fields whose members are read as paths where their names end in `.$`.
const TEMPLATES: &[&str] = &["Arguments", "Assign", "Credentials", "ItemSelector", "Parameters", "ResultSelector"];

/// The warnings for a definition; none for a text that is no definition.
pub fn warnings(definition: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Ok(Value::Object(machine)) = serde_json::from_str(definition) {
        body(&machine, "", is_jsonata(&machine, false), &mut found);
    }
    found
}

fn is_jsonata(of: &Map<String, Value>, inherited: bool) -> bool {
    of.get("QueryLanguage").and_then(Value::as_str).map_or(inherited, |language| language == "JSONata")
}

fn body(machine: &Map<String, Value>, at: &str, jsonata: bool, found: &mut Vec<Diagnostic>) {
    for (name, state) in machine.get("States").and_then(Value::as_object).into_iter().flatten() {
        let Value::Object(state) = state else { continue };
        let place = format!("{at}/States/{name}");
        if !is_jsonata(state, jsonata) {
            fields(state, &place, found);
        }
        for field in ["ItemProcessor", "Iterator"] {
            if let Some(Value::Object(processor)) = state.get(field) {
                body(processor, &format!("{place}/{field}"), jsonata, found);
            }
        }
        for (index, branch) in state.get("Branches").and_then(Value::as_array).into_iter().flatten().enumerate() {
            if let Value::Object(branch) = branch {
                body(branch, &format!("{place}/Branches[{index}]"), jsonata, found);
            }
        }
    }
}

fn fields(state: &Map<String, Value>, place: &str, found: &mut Vec<Diagnostic>) {
    for (field, value) in state {
        let at = format!("{place}/{field}");
        match (field.as_str(), value) {
            ("Result", value) if is_dynamic(value) => {
                warn("PASS_RESULT_IS_STATIC", "Attempt to use a path in the result of a pass state", at, found);
            }
            ("Error" | "Cause", Value::String(text)) if is_path(text) => no_path(field, at, found),
            ("Choices", Value::Array(rules)) => each(rules, &at, found, rule),
            ("Catch", Value::Array(catchers)) => each(catchers, &at, found, |catcher, at, found| {
                if let Some(assign) = catcher.get("Assign") {
                    template(assign, &format!("{at}/Assign"), found);
                }
            }),
            (field, value) if TEMPLATES.contains(&field) => template(value, &at, found),
            _ => {}
        }
    }
}

fn each(
    items: &[Value],
    at: &str,
    found: &mut Vec<Diagnostic>,
    see: fn(&Map<String, Value>, &str, &mut Vec<Diagnostic>),
) {
    for (index, item) in items.iter().enumerate() {
        if let Value::Object(item) = item {
            see(item, &format!("{at}[{index}]"), found);
        }
    }
}

/// A comparison with a text that looks like a path; `StringEqualsPath` is one with what a path leads to.
fn rule(rule: &Map<String, Value>, at: &str, found: &mut Vec<Diagnostic>) {
    for (field, value) in rule {
        let at = format!("{at}/{field}");
        match (field.as_str(), value) {
            ("And" | "Or", Value::Array(rules)) => each(rules, &at, found, self::rule),
            ("Not", Value::Object(inner)) => self::rule(inner, &at, found),
            ("Assign", value) => template(value, &at, found),
            (field, Value::String(text)) if !field.ends_with("Path") && is_comparison(field) && is_path(text) => {
                no_path(field, at, found);
            }
            _ => {}
        }
    }
}

fn is_comparison(field: &str) -> bool {
    ["String", "Numeric", "Boolean", "Timestamp"].iter().any(|kind| field.starts_with(kind))
}

fn template(value: &Value, at: &str, found: &mut Vec<Diagnostic>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let at = format!("{at}/{name}");
                match value {
                    Value::String(text) if !name.ends_with(".$") && (is_path(text) || is_call(text)) => {
                        let message = "No '.$' on a field that appears to be a JSONPath or Intrinsic Function";
                        warn("NO_DOLLAR", message, at, found);
                    }
                    value => template(value, &at, found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                template(item, &format!("{at}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn is_dynamic(value: &Value) -> bool {
    match value {
        Value::String(text) => is_path(text) || is_call(text),
        Value::Array(items) => items.iter().any(is_dynamic),
        Value::Object(members) => members.iter().any(|(name, value)| name.ends_with(".$") || is_dynamic(value)),
        _ => false,
    }
}

fn is_path(text: &str) -> bool {
    ["$.", "$[", "$$."].iter().any(|start| text.starts_with(start))
}

fn is_call(text: &str) -> bool {
    text.starts_with("States.") && text.contains('(') && text.ends_with(')')
}

fn no_path(field: &str, at: String, found: &mut Vec<Diagnostic>) {
    let message = format!("Field value looks like a path, but field name '{field}' does not end with 'Path'");
    warn("NO_PATH", &message, at, found);
}

fn warn(code: &'static str, message: &str, at: String, found: &mut Vec<Diagnostic>) {
    found.push(Diagnostic { severity: Severity::Warning, code, message: message.to_owned(), location: Some(at) });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::warnings;

    fn check(states: &Value, want: &[&str]) {
        let definition = json!({"StartAt": "A", "States": states}).to_string();
        let found: Vec<_> = warnings(&definition)
            .iter()
            .map(|w| format!("{} {}", w.code, w.location.as_deref().unwrap_or("")))
            .collect();
        assert_eq!(found, want);
    }

    #[test]
    fn texts_that_look_like_paths_are_told() {
        check(
            &json!({
                "A": {"Type": "Pass", "Result": {"a": ["$.b"]}, "Parameters": {"a": "$.x", "b.$": "$.x", "c": {"d": ["e", {"f": "States.UUID()"}]}}},
                "B": {"Type": "Choice", "Choices": [{"And": [{"Variable": "$.a", "StringEquals": "$.b"}, {"Variable": "$.a", "StringEqualsPath": "$.b"}], "Next": "A"}]},
                "C": {"Type": "Fail", "Error": "$.e", "CausePath": "$.c"},
                "M": {"Type": "Map", "ItemProcessor": {"States": {"P": {"Type": "Pass", "Result": {"a.$": "x"}}}}},
            }),
            &[
                "PASS_RESULT_IS_STATIC /States/A/Result",
                "NO_DOLLAR /States/A/Parameters/a",
                "NO_DOLLAR /States/A/Parameters/c/d[1]/f",
                "NO_PATH /States/B/Choices[0]/And[0]/StringEquals",
                "NO_PATH /States/C/Error",
                "PASS_RESULT_IS_STATIC /States/M/ItemProcessor/States/P/Result",
            ],
        );
    }

    #[test]
    fn other_texts_and_other_languages_are_not() {
        check(
            &json!({
                "A": {"Type": "Pass", "Result": {"price": "$5"}, "Parameters": {"a": "States of the union"}},
                "B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"a": "$.x"}, "Assign": {"a": "$.x"}},
            }),
            &[],
        );
        assert!(warnings("no definition").is_empty());
    }
}
