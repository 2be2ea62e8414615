//! The form of a resource's policy: what is not of the language, or can never hold, is refused rather than kept and shown.
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language", "AWS JSON policy elements: Principal".

use serde_json::Value;
use wire::arn::{Arn, is_account_id};

use super::{condition, one_or_many};

const FIELDS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// The policy of a resource: whom, what, on what, and nothing that is not of the language.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_resource_policy(text: &str) -> Result<Value, String> {
    parse(text, true)
}

/// The same of resources whose policies name no resource: a repository's.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_policy_without_resource(text: &str) -> Result<Value, String> {
    parse(text, false)
}

fn parse(text: &str, names_resources: bool) -> Result<Value, String> {
    let policy: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let members = policy.as_object().ok_or("not a JSON object")?;
    if let Some(other) = members.keys().find(|name| !["Version", "Id", "Statement"].contains(&name.as_str())) {
        return Err(format!("unknown element {other}"));
    }
    let version = policy.get("Version");
    if version.is_some_and(|version| !matches!(version.as_str(), Some("2012-10-17" | "2008-10-17"))) {
        return Err("Version must be 2012-10-17 or 2008-10-17".to_owned());
    }
    if one_or_many(&policy["Statement"]).next().is_none() {
        return Err("it has no Statement".to_owned());
    }
    for statement in one_or_many(&policy["Statement"]) {
        check_statement(statement, names_resources)?;
    }
    Ok(policy)
}

fn check_statement(statement: &Value, names_resources: bool) -> Result<(), String> {
    let fields = statement.as_object().ok_or("a Statement is not an object")?;
    if let Some(other) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("unknown element {other} in a Statement"));
    }
    if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
        return Err("Effect must be Allow or Deny".to_owned());
    }
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(who), None) | (None, Some(who)) => check_principal(who)?,
        _ => return Err("a Statement must have either Principal or NotPrincipal".to_owned()),
    }
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(what), None) | (None, Some(what)) => check_texts("Action", what)?,
        _ => return Err("a Statement must have either Action or NotAction".to_owned()),
    }
    match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(on), None) | (None, Some(on)) => check_texts("Resource", on)?,
        (None, None) if !names_resources => {}
        _ => return Err("a Statement must have either Resource or NotResource".to_owned()),
    }
    match statement.get("Condition") {
        Some(condition) => check_condition(condition),
        None => Ok(()),
    }
}

/// A text, or some.
fn check_texts(name: &str, value: &Value) -> Result<(), String> {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    if one_or_many(value).next().is_none() || !one_or_many(value).all(text) {
        return Err(format!("{name} must be a text, or a list of texts that is not empty"));
    }
    Ok(())
}

fn check_principal(who: &Value) -> Result<(), String> {
    let kinds = match who {
        Value::String(all) if all == "*" => return Ok(()),
        Value::Object(kinds) if !kinds.is_empty() => kinds,
        _ => return Err("Principal must be * or an object".to_owned()),
    };
    for (kind, names) in kinds {
        if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()) {
            return Err(format!("unknown kind of principal {kind}"));
        }
        check_texts("Principal", names)?;
        let invalid = |name: &&str| kind == "AWS" && !is_principal(name);
        if let Some(name) = one_or_many(names).filter_map(Value::as_str).find(invalid) {
            return Err(format!("invalid principal {name}"));
        }
    }
    Ok(())
}

/// Everybody, an account, or one principal of one: wildcards within names are none.
fn is_principal(name: &str) -> bool {
    if name == "*" || is_account_id(name) {
        return true;
    }
    let Some(arn) = Arn::parse(name).filter(|arn| is_account_id(&arn.account) && !name.contains(['*', '?'])) else {
        return false;
    };
    let kinds: &[&str] = match arn.service.as_str() {
        "iam" => &["user/", "role/"],
        "sts" => &["assumed-role/", "federated-user/"],
        _ => return false,
    };
    (arn.service == "iam" && arn.resource == "root")
        || kinds.iter().any(|kind| arn.resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}

/// Operators with keys and what these are compared with.
fn check_condition(condition: &Value) -> Result<(), String> {
    for (operator, keys) in condition.as_object().ok_or("Condition must be an object")? {
        if !condition::is_operator(operator) {
            return Err(format!("unknown condition operator {operator}"));
        }
        for (key, wanted) in keys.as_object().ok_or("a condition operator must have an object")? {
            let plain = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
            if one_or_many(wanted).next().is_none() || !one_or_many(wanted).all(plain) {
                return Err(format!(
                    "the condition key {key} must have a value, or a list of values that is not empty"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole(change: &Value) -> String {
        let mut statement = json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "arn:aws:sqs:us-east-1:111111111111:q"});
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(statement.as_object_mut().unwrap().remove(name)),
                value => statement[name] = value.clone(),
            }
        }
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    }

    #[test]
    fn what_can_hold_is_taken() {
        for change in [
            json!({}),
            json!({"Resource": null, "NotResource": ["a", "b"]}),
            json!({"Principal": {"AWS": ["*", "111111111111", "arn:aws:iam::111111111111:root"]}}),
            json!({"Principal": {"AWS": "arn:aws:iam::111111111111:role/path/r", "Service": "sns.amazonaws.com"}}),
            json!({"Principal": null, "NotPrincipal": {"AWS": "arn:aws:sts::111111111111:assumed-role/r/s"}}),
            json!({"Principal": {"Federated": "cognito-identity.amazonaws.com"}}),
            json!({"Condition": {"Bool": {"aws:SecureTransport": false}, "StringLike": {"aws:PrincipalArn": ["a*"]}}}),
        ] {
            let text = whole(&change);
            parse_resource_policy(&text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
        }
        assert!(parse_policy_without_resource(&whole(&json!({"Resource": null}))).is_ok());
    }

    #[test]
    fn what_can_never_hold_is_refused() {
        for change in [
            json!({"Resource": null}),
            json!({"NotResource": "*"}),
            json!({"Resource": []}),
            json!({"Resource": [1]}),
            json!({"Action": []}),
            json!({"Action": [7]}),
            json!({"Action": ""}),
            json!({"Principal": "arn:aws:iam::111111111111:root"}),
            json!({"Principal": {}}),
            json!({"Principal": {"aws": "*"}}),
            json!({"Principal": {"Users": "ann"}}),
            json!({"Principal": {"AWS": []}}),
            json!({"Principal": {"AWS": "arn:aws:iam::111111111111:role/*"}}),
            json!({"Principal": {"AWS": "arn:aws:iam::111111111111:group/g"}}),
            json!({"Principal": {"AWS": "arn:aws:iam::1:role/r"}}),
            json!({"Principal": {"AWS": "arn:aws:s3:::bucket"}}),
            json!({"Principal": {"AWS": "ann"}}),
            json!({"Condition": {"Sounds": {"a": "b"}}}),
            json!({"Condition": {"StringEquals": "b"}}),
            json!({"Condition": {"StringEquals": {"a": []}}}),
            json!({"Condition": {"StringEquals": {"a": {}}}}),
        ] {
            let text = whole(&change);
            assert!(parse_resource_policy(&text).is_err(), "{text}");
        }
    }
}
