//! Stack policies: which resources an update may touch. Source: CloudFormation User Guide, "Prevent updates to stack resources".

use serde_json::Value;

use crate::Result;
use crate::template::validation;

/// What an update does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Modify,
    Replace,
    Delete,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Modify => "Update:Modify",
            Self::Replace => "Update:Replace",
            Self::Delete => "Update:Delete",
        }
    }
}

/// Refuses what is no stack policy.
pub(crate) fn check(text: &str) -> Result<()> {
    let malformed = |why: &str| validation(format!("Error validating stack policy: Invalid stack policy: {why}"));
    let policy: Value = serde_json::from_str(text).map_err(|_| malformed("it is not JSON"))?;
    let statements =
        policy.get("Statement").and_then(Value::as_array).ok_or_else(|| malformed("it has no Statement"))?;
    for statement in statements {
        if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
            return Err(malformed("Effect must be Allow or Deny"));
        }
        if statement.get("Principal").and_then(Value::as_str) != Some("*") {
            return Err(malformed("Principal must be *"));
        }
        for (one, other) in [("Action", "NotAction"), ("Resource", "NotResource")] {
            if statement.get(one).is_none() == statement.get(other).is_none() {
                return Err(malformed(&format!("one of {one} and {other} is needed")));
            }
        }
        for (operator, keys) in statement.get("Condition").and_then(Value::as_object).into_iter().flatten() {
            let known =
                matches!(operator.as_str(), "StringEquals" | "StringLike" | "StringNotEquals" | "StringNotLike")
                    && keys.as_object().is_some_and(|keys| keys.keys().all(|key| key == "ResourceType"));
            if !known {
                return Err(malformed("a Condition is about ResourceType"));
            }
        }
    }
    Ok(())
}

/// May an update do this? Once there is a policy, what it does not allow is denied.
pub(crate) fn allows(text: &str, action: Action, logical_id: &str, kind: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(text) else { return false };
    let statements = policy.get("Statement").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let applying = |effect: &str| {
        statements.iter().any(|statement| {
            statement.get("Effect").is_some_and(|e| e == effect) && applies(statement, action, logical_id, kind)
        })
    };
    applying("Allow") && !applying("Deny")
}

fn applies(statement: &Value, action: Action, logical_id: &str, kind: &str) -> bool {
    let resource = format!("LogicalResourceId/{logical_id}");
    let part = |one: &str, other: &str, value: &str| match (statement.get(one), statement.get(other)) {
        (Some(wanted), _) => any(wanted, value),
        (None, Some(unwanted)) => !any(unwanted, value),
        (None, None) => false,
    };
    let conditions = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    part("Action", "NotAction", action.name())
        && part("Resource", "NotResource", &resource)
        && conditions.into_iter().all(|(operator, keys)| {
            let found = keys.get("ResourceType").is_some_and(|wanted| any(wanted, kind));
            found != operator.starts_with("StringNot")
        })
}

fn any(wanted: &Value, value: &str) -> bool {
    match wanted {
        Value::Array(many) => many.iter().any(|one| any(one, value)),
        Value::String(pattern) => like(pattern, value),
        _ => false,
    }
}

fn like(pattern: &str, value: &str) -> bool {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    regex::Regex::new(&format!("^{}$", parts.join(".*"))).is_ok_and(|regex| regex.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guide's examples.
    #[test]
    fn policies() {
        let all_but = r#"{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "Update:Replace", "Principal": "*", "Resource": "LogicalResourceId/Database"},
            {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*", "Condition": {"StringEquals": {"ResourceType": ["AWS::SQS::Queue"]}}}]}"#;
        check(all_but).unwrap();
        assert!(allows(all_but, Action::Modify, "Database", "T"));
        assert!(!allows(all_but, Action::Replace, "Database", "T"));
        assert!(!allows(all_but, Action::Delete, "Q", "AWS::SQS::Queue"));
        let only = r#"{"Statement": [{"Effect": "Allow", "NotAction": "Update:Delete", "Principal": "*", "Resource": "LogicalResourceId/Web*"}]}"#;
        check(only).unwrap();
        assert!(allows(only, Action::Modify, "WebServer", "T"));
        assert!(!allows(only, Action::Delete, "WebServer", "T"));
        assert!(!allows(only, Action::Modify, "Other", "T"));
        for bad in
            ["x", "{}", r#"{"Statement": [{"Effect": "Allow", "Principal": "a", "Action": "*", "Resource": "*"}]}"#]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
