//! Values of a template's parameters: given, previous, default; checked against their declaration.

use indexmap::IndexMap;
use serde_json::Value;

use crate::Result;
use crate::template::{Template, validation};

/// One parameter as a caller gives it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) key: String,
    /// None: the previous value.
    pub(crate) value: Option<String>,
}

/// The value of each declared parameter, in the order of declaration.
pub(crate) fn bind(
    template: &Template,
    given: &[Given],
    previous: &IndexMap<String, String>,
) -> Result<IndexMap<String, String>> {
    let unknown: Vec<&str> =
        given.iter().map(|g| g.key.as_str()).filter(|k| !template.parameters.contains_key(*k)).collect();
    if !unknown.is_empty() {
        return Err(validation(format!("Parameters: [{}] do not exist in the template", unknown.join(", "))));
    }
    let mut bound = IndexMap::new();
    let mut missing = Vec::new();
    for (name, declaration) in &template.parameters {
        let default = declaration.get("Default").map(text);
        let value = match given.iter().find(|g| g.key == *name) {
            Some(Given { value: Some(value), .. }) => Some(value.clone()),
            Some(Given { value: None, .. }) => {
                let Some(value) = previous.get(name) else {
                    let text = format!(
                        "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                    );
                    return Err(validation(text));
                };
                Some(value.clone())
            }
            None => default,
        };
        match value {
            Some(value) => {
                check(name, declaration, &value)?;
                bound.insert(name.clone(), value);
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(bound)
    } else {
        Err(validation(format!("Parameters: [{}] must have values", missing.join(", "))))
    }
}

fn check(name: &str, declaration: &Value, value: &str) -> Result<()> {
    let refuse = |why: String| {
        let described = declaration.get("ConstraintDescription").and_then(Value::as_str);
        match described {
            Some(text) => Err(validation(format!("Parameter {name} failed to satisfy constraint: {text}"))),
            None => Err(validation(why)),
        }
    };
    let kind = kind(declaration);
    // Of a list each item is one of them.
    let parts = items(declaration, value).unwrap_or_else(|| vec![value.to_owned()]);
    if let Some(allowed) = declaration.get("AllowedValues").and_then(Value::as_array) {
        let allowed: Vec<String> = allowed.iter().map(text).collect();
        if !parts.iter().all(|part| allowed.contains(part)) {
            return refuse(format!("Parameter '{name}' must be one of AllowedValues"));
        }
    }
    if let Some(pattern) = declaration.get("AllowedPattern").and_then(Value::as_str) {
        // The language has them as Java's, which look ahead and behind.
        let regex = fancy_regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|cause| {
            validation(format!("Template format error: the AllowedPattern of parameter {name} is not valid: {cause}"))
        })?;
        for part in &parts {
            if !regex.is_match(part).unwrap_or(false) {
                return refuse(format!("Parameter {name} failed to satisfy constraint: must match pattern {pattern}"));
            }
        }
    }
    let limit = |key: &str| declaration.get(key).map(text).and_then(|t| t.parse::<f64>().ok());
    if kind == "Number" {
        let Ok(number) = value.parse::<f64>() else {
            return Err(validation(format!("Parameter '{name}' must be a number.")));
        };
        if limit("MinValue").is_some_and(|min| number < min) {
            return refuse(format!(
                "Parameter '{name}' must be a number not less than {}",
                text(&declaration["MinValue"])
            ));
        }
        if limit("MaxValue").is_some_and(|max| number > max) {
            return refuse(format!(
                "Parameter '{name}' must be a number not greater than {}",
                text(&declaration["MaxValue"])
            ));
        }
    } else {
        #[expect(clippy::cast_precision_loss, reason = "a parameter has at most 4096 characters")]
        let length = value.chars().count() as f64;
        if limit("MinLength").is_some_and(|min| length < min) {
            let min = text(&declaration["MinLength"]);
            return refuse(format!("Parameter '{name}' must contain at least {min} characters"));
        }
        if limit("MaxLength").is_some_and(|max| length > max) {
            let max = text(&declaration["MaxLength"]);
            return refuse(format!("Parameter '{name}' must contain at most {max} characters"));
        }
    }
    Ok(())
}

fn kind(declaration: &Value) -> &str {
    declaration.get("Type").and_then(Value::as_str).unwrap_or("String")
}

/// The items of a parameter's value where its type is a list, its own or that of the parameter of SSM that it names.
pub(crate) fn items(declaration: &Value, value: &str) -> Option<Vec<String>> {
    let kind = kind(declaration);
    let kind = kind.strip_prefix("AWS::SSM::Parameter::Value<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(kind);
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    is_list.then(|| value.split(',').map(|item| item.trim().to_owned()).collect())
}

/// A scalar as text, as CloudFormation writes it.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Is the value of this parameter to be hidden?
pub(crate) fn no_echo(declaration: &Value) -> bool {
    declaration.get("NoEcho").is_some_and(|v| text(v) == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binding() {
        let template = Template::parse(
            "Parameters:\n  A: {Type: String}\n  B: {Type: Number, Default: 3, MaxValue: 5}\n  C: {Type: String, AllowedValues: [x, y], Default: x}\n\
             Resources: {R: {Type: T}}",
        )
        .unwrap();
        let run = |given: &[(&str, Option<&str>)]| {
            let given: Vec<Given> =
                given.iter().map(|(k, v)| Given { key: (*k).into(), value: v.map(str::to_owned) }).collect();
            let previous = IndexMap::from([("A".to_owned(), "old".to_owned())]);
            match bind(&template, &given, &previous) {
                Ok(bound) => bound.values().cloned().collect::<Vec<_>>().join(","),
                Err(error) => error.message().to_owned(),
            }
        };
        assert_eq!(run(&[("A", Some("1"))]), "1,3,x");
        assert_eq!(run(&[("A", None), ("B", Some("4"))]), "old,4,x");
        assert_eq!(run(&[]), "Parameters: [A] must have values");
        assert_eq!(run(&[("A", Some("1")), ("Z", Some("1"))]), "Parameters: [Z] do not exist in the template");
        assert_eq!(run(&[("A", Some("1")), ("B", Some("x"))]), "Parameter 'B' must be a number.");
        assert_eq!(run(&[("A", Some("1")), ("B", Some("6"))]), "Parameter 'B' must be a number not greater than 5");
        assert_eq!(run(&[("A", Some("1")), ("C", Some("z"))]), "Parameter 'C' must be one of AllowedValues");
    }

    #[test]
    fn constraints_of_lists_and_of_javas_patterns() {
        let template = Template::parse(
            "Parameters:\n  L: {Type: CommaDelimitedList, AllowedValues: [a, b], Default: 'a, b'}\n  \
             W: {Type: String, AllowedPattern: '(?=.*[0-9])(?=.*[a-z]).{4,}', Default: abc1}\n\
             Resources: {R: {Type: T}}",
        )
        .unwrap();
        let run = |key: &str, value: &str| {
            let given = [Given { key: key.to_owned(), value: Some(value.to_owned()) }];
            bind(&template, &given, &IndexMap::new()).map_err(|error| error.message().to_owned())
        };
        assert!(run("L", "b,a").is_ok());
        assert_eq!(run("L", "a,c").unwrap_err(), "Parameter 'L' must be one of AllowedValues");
        assert!(run("W", "4fore").is_ok());
        assert!(run("W", "fore").unwrap_err().contains("must match pattern"));
    }

    #[test]
    fn lists() {
        let items = |kind: &str| items(&serde_json::json!({ "Type": kind }), "a, b");
        for kind in [
            "CommaDelimitedList",
            "List<Number>",
            "AWS::SSM::Parameter::Value<List<String>>",
            "AWS::SSM::Parameter::Value<CommaDelimitedList>",
        ] {
            assert_eq!(items(kind).unwrap(), ["a", "b"], "{kind}");
        }
        for kind in ["String", "AWS::SSM::Parameter::Value<String>", "AWS::SSM::Parameter::Name"] {
            assert!(items(kind).is_none(), "{kind}");
        }
    }
}
