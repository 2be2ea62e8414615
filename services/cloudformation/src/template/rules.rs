//! Rules: what parameters together must be. Source: CloudFormation Template Reference, "Rules section" and its functions.

use indexmap::IndexMap;
use serde_json::Value;

use super::validation;
use crate::Result;
use crate::parameters::text;

/// Checks every rule with the values of the parameters.
pub(crate) fn check(rules: &Value, parameters: &IndexMap<String, String>) -> Result<()> {
    for (name, rule) in rules.as_object().into_iter().flatten() {
        let applies = match rule.get("RuleCondition") {
            Some(condition) => holds(condition, parameters)?,
            None => true,
        };
        if !applies {
            continue;
        }
        for assertion in rule.get("Assertions").and_then(Value::as_array).into_iter().flatten() {
            if !holds(assertion.get("Assert").unwrap_or(&Value::Null), parameters)? {
                let why = assertion.get("AssertDescription").map_or_else(|| "an assertion failed".to_owned(), text);
                return Err(validation(format!("Template validation error: Rule {name}: {why}")));
            }
        }
    }
    Ok(())
}

fn holds(value: &Value, parameters: &IndexMap<String, String>) -> Result<bool> {
    let (function, argument) = match value {
        Value::Object(map) if map.len() == 1 => map.iter().next().expect("it has one"),
        _ => return Err(validation("Template format error: a rule needs one function")),
    };
    let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
    let two = || match arguments {
        [a, b] => Ok((a, b)),
        _ => Err(validation(format!("Template format error: {function} needs two arguments"))),
    };
    match function.as_str() {
        "Fn::And" => arguments.iter().try_fold(true, |all, one| Ok(all && holds(one, parameters)?)),
        "Fn::Or" => arguments.iter().try_fold(false, |any, one| Ok(any || holds(one, parameters)?)),
        "Fn::Not" => match arguments {
            [one] => Ok(!holds(one, parameters)?),
            _ => Err(validation("Template format error: Fn::Not needs one argument")),
        },
        "Fn::Equals" => {
            let (a, b) = two()?;
            Ok(plain(a, parameters)? == plain(b, parameters)?)
        }
        "Fn::Contains" => {
            let (all, one) = two()?;
            Ok(list(all, parameters)?.contains(&plain(one, parameters)?))
        }
        "Fn::EachMemberEquals" => {
            let (all, one) = two()?;
            let one = plain(one, parameters)?;
            Ok(list(all, parameters)?.iter().all(|member| *member == one))
        }
        "Fn::EachMemberIn" => {
            let (all, allowed) = two()?;
            let allowed = list(allowed, parameters)?;
            Ok(list(all, parameters)?.iter().all(|member| allowed.contains(member)))
        }
        other => Err(validation(format!("Template format error: {other} is not implemented in rules"))),
    }
}

fn plain(value: &Value, parameters: &IndexMap<String, String>) -> Result<String> {
    match value {
        Value::Object(map) => match map.get("Ref").and_then(Value::as_str).and_then(|name| parameters.get(name)) {
            Some(value) => Ok(value.clone()),
            None => Err(validation("Template format error: rules refer to parameters only")),
        },
        scalar => Ok(text(scalar)),
    }
}

fn list(value: &Value, parameters: &IndexMap<String, String>) -> Result<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(|item| plain(item, parameters)).collect(),
        other => Ok(plain(other, parameters)?.split(',').map(|part| part.trim().to_owned()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The rule of CDK's templates, and one of the reference.
    #[test]
    fn rules() {
        let cdk = json!({"CheckBootstrapVersion": {"Assertions": [{
            "Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2", "3"], {"Ref": "Version"}]}]},
            "AssertDescription": "too old",
        }]}});
        let with = |value: &str| IndexMap::from([("Version".to_owned(), value.to_owned())]);
        assert!(check(&cdk, &with("21")).is_ok());
        assert!(check(&cdk, &with("2")).unwrap_err().message().ends_with("too old"));
        let unless = json!({"R": {"RuleCondition": {"Fn::Equals": [{"Ref": "Version"}, "prod"]},
            "Assertions": [{"Assert": {"Fn::EachMemberIn": [["a"], ["b"]]}}]}});
        assert!(check(&unless, &with("dev")).is_ok());
        assert!(check(&unless, &with("prod")).is_err());
        assert!(check(&json!({"R": {"Assertions": [{"Assert": {"Fn::RefAll": "x"}}]}}), &with("1")).is_err());
    }
}
