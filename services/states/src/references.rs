//! Which variables the states of a definition refer to: what DescribeStateMachine calls `variableReferences`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// By state, where there are any. A definition that does not parse has none.
pub(crate) fn of_definition(definition: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let Ok(Value::Object(machine)) = serde_json::from_str(definition) else { return None };
    let mut found = BTreeMap::new();
    let jsonata = is_jsonata(&machine, false);
    states(&machine, jsonata, &mut found);
    let found: BTreeMap<_, Vec<_>> =
        found.into_iter().map(|(state, names)| (state, names.into_iter().collect())).collect();
    (!found.is_empty()).then_some(found)
}

/// Whether any state of a definition assigns variables.
pub(crate) fn assigns(definition: &str) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.contains_key("Assign") || fields.values().any(within),
            Value::Array(items) => items.iter().any(within),
            _ => false,
        }
    }
    serde_json::from_str(definition).is_ok_and(|definition: Value| within(&definition))
}

type Found = BTreeMap<String, BTreeSet<String>>;

fn is_jsonata(of: &Map<String, Value>, inherited: bool) -> bool {
    of.get("QueryLanguage").and_then(Value::as_str).map_or(inherited, |language| language == "JSONata")
}

fn states(machine: &Map<String, Value>, jsonata: bool, found: &mut Found) {
    let Some(Value::Object(states)) = machine.get("States") else { return };
    for (name, state) in states {
        let Value::Object(state) = state else { continue };
        state_of(name, state, is_jsonata(state, jsonata), jsonata, found);
    }
}

/// A state's own fields; the states inside it speak for themselves.
fn state_of(name: &str, state: &Map<String, Value>, jsonata: bool, outer: bool, found: &mut Found) {
    let mut names = BTreeSet::new();
    for (field, value) in state {
        match (field.as_str(), value) {
            ("ItemProcessor" | "Iterator", Value::Object(inner)) => states(inner, outer, found),
            ("Branches", Value::Array(branches)) => {
                for branch in branches.iter().filter_map(Value::as_object) {
                    states(branch, outer, found);
                }
            }
            // Plain data, and words of the language.
            ("Result" | "Comment" | "Type" | "Next" | "Resource", _) => {}
            _ if jsonata => expressions(value, &mut names),
            _ => paths(field, value, &mut names),
        }
    }
    if !names.is_empty() {
        found.entry(name.to_owned()).or_default().extend(names);
    }
}

/// JSONPath: fields that end in `Path`, template fields that end in `.$`, and the `Variable` of a Choice rule.
fn paths(field: &str, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(inner) => inner.iter().for_each(|(field, value)| paths(field, value, names)),
        Value::Array(inner) => inner.iter().for_each(|value| paths("", value, names)),
        Value::String(text) if field.ends_with("Path") || field.ends_with(".$") || field == "Variable" => {
            scan(text, '\'', |name, _| {
                names.insert(name.to_owned());
            });
        }
        _ => {}
    }
}

/// JSONata: what stands between `{%` and `%}`, without what the expression itself binds and without functions.
fn expressions(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(inner) => inner.values().for_each(|value| expressions(value, names)),
        Value::Array(inner) => inner.iter().for_each(|value| expressions(value, names)),
        Value::String(text) => {
            let Some(expression) = text.trim().strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) else {
                return;
            };
            let (mut used, mut bound) = (BTreeSet::new(), parameters(expression));
            scan(expression, '"', |name, after| {
                let after = after.trim_start();
                if after.starts_with(":=") {
                    bound.insert(name.to_owned());
                } else if !after.starts_with('(') && name != "states" {
                    used.insert(name.to_owned());
                }
            });
            names.extend(used.difference(&bound).cloned());
        }
        _ => {}
    }
}

/// The parameters of the functions that an expression defines.
fn parameters(expression: &str) -> BTreeSet<String> {
    let mut bound = BTreeSet::new();
    for part in expression.split("function").skip(1).chain(expression.split('λ').skip(1)) {
        let Some((list, _)) = part.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
            continue;
        };
        scan(list, '"', |name, _| {
            bound.insert(name.to_owned());
        });
    }
    bound
}

/// Tells each `$name` outside of quoted text, with what follows it. `$`, `$$` and `$.member` name no variable.
fn scan(text: &str, quote: char, mut tell: impl FnMut(&str, &str)) {
    let mut chars = text.char_indices().peekable();
    let mut quoted = None;
    let mut last = ' ';
    while let Some((at, c)) = chars.next() {
        match quoted {
            Some(_) if c == '\\' => {
                chars.next();
            }
            Some(end) if c == end => quoted = None,
            None if c == quote || c == '\'' => quoted = Some(c),
            None if c == '$' && last != '$' => {
                let rest = &text[at + 1..];
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let (name, after) = rest.split_at(length);
                if name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') {
                    tell(name, after);
                }
            }
            _ => {}
        }
        last = c;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::of_definition;

    fn check(states: &Value, language: &str, want: &Value) {
        let definition = json!({"QueryLanguage": language, "StartAt": "A", "States": states}).to_string();
        assert_eq!(json!(of_definition(&definition)), *want);
    }

    #[test]
    fn paths_templates_and_rules_refer_to_variables() {
        let states = json!({
            "A": {"Type": "Fail", "ErrorPath": "$errorVar", "CausePath": "States.Format('$no {}', $causeVar.x[0])"},
            "B": {"Type": "Pass", "Result": {"a.$": "$not"}, "Parameters": {"x": "$not", "a.$": "$", "b.$": "$$.State.Name", "c.$": "$.d"}},
            "C": {"Type": "Choice", "Choices": [{"And": [{"Variable": "$v", "NumericEqualsPath": "$w.x", "StringEquals": "$no"}], "Next": "A"}]},
            "D": {"Type": "Map", "MaxConcurrencyPath": "$max", "ItemSelector": {"a": "$no"}, "ItemProcessor": {"StartAt": "E", "States": {
                "E": {"Type": "Pass", "Assign": {"Sum.$": "States.MathAdd($y, $x)"}, "End": true}}}},
        });
        check(
            &states,
            "JSONPath",
            &json!({"A": ["causeVar", "errorVar"], "C": ["v", "w"], "D": ["max"], "E": ["x", "y"]}),
        );
    }

    #[test]
    fn expressions_refer_to_what_they_do_not_bind() {
        let states = json!({
            "A": {"Type": "Pass", "Output": {"a": "{% ($x := $states.input.a; $x + $sum($list) & \"$no\") %}", "b": "$no"}},
            "B": {"Type": "Pass", "Output": "{% $map($items, function($i, $n) { $i * $factor }) %}"},
            "C": {"Type": "Pass", "Output": "{% $states.input %}"},
            "P": {"Type": "Pass", "QueryLanguage": "JSONPath", "InputPath": "$theAnswer"},
        });
        check(&states, "JSONata", &json!({"A": ["list"], "B": ["factor", "items"], "P": ["theAnswer"]}));
    }
}
