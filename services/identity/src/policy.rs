//! The form of policies; the language itself is [`service::policy`]. Sources: IAM User Guide, "Grammar of the IAM JSON policy language";
//! the messages are those that AWS answers.

use std::collections::BTreeSet;

use serde_json::Value;
use service::policy::{OPERATORS, one_or_many, statements};
use wire::Error;

use api_iam::error::malformed_policy_document_exception as malformed;

/// Checks the form of an identity policy.
///
/// # Errors
/// `MalformedPolicyDocument`.
pub fn check(document: &str) -> Result<(), Error> {
    let policy = parsed(document)?;
    for statement in statements(&policy) {
        if statement.get("Principal").is_some() || statement.get("NotPrincipal").is_some() {
            return Err(malformed("Policy document should not specify a principal."));
        }
        let resources = statement.get("Resource").or_else(|| statement.get("NotResource"));
        let resources = resources.ok_or_else(|| malformed("Policy statement must contain resources."))?;
        for resource in one_or_many(resources) {
            let text = resource.as_str().unwrap_or_default();
            if text != "*" && text.splitn(6, ':').count() < 6
                || !(text == "*" || text.starts_with("arn:") || text.starts_with('*'))
            {
                return Err(malformed(format!("Resource {text} must be in ARN format or \"*\".")));
            }
        }
    }
    Ok(())
}

/// Checks the form of a role's trust policy.
///
/// # Errors
/// `MalformedPolicyDocument`.
pub fn check_trust(document: &str) -> Result<(), Error> {
    let policy = parsed(document)?;
    for statement in statements(&policy) {
        for field in ["Resource", "NotResource"] {
            if statement.get(field).is_some() {
                return Err(malformed(format!("Has prohibited field {field}")));
            }
        }
        let principal = statement.get("Principal").or_else(|| statement.get("NotPrincipal"));
        let principal = principal.ok_or_else(|| malformed("Missing required field Principal"))?;
        let valid = match principal {
            Value::String(all) => all == "*",
            Value::Object(kinds) => {
                !kinds.is_empty()
                    && kinds
                        .keys()
                        .all(|kind| ["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()))
            }
            _ => false,
        };
        if !valid {
            return Err(malformed(format!("Invalid principal in policy: {principal}")));
        }
        for action in one_or_many(&statement["Action"]).filter_map(Value::as_str) {
            if action != "*" && !action.to_ascii_lowercase().starts_with("sts:") {
                return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
            }
        }
    }
    Ok(())
}

/// What both kinds have in common.
fn parsed(document: &str) -> Result<Value, Error> {
    let policy: Value = serde_json::from_str(document).map_err(|_| malformed("Syntax errors in policy."))?;
    let Some(members) = policy.as_object() else { return Err(malformed("Syntax errors in policy.")) };
    if members.keys().any(|name| !["Version", "Id", "Statement"].contains(&name.as_str())) {
        return Err(malformed("Syntax errors in policy."));
    }
    if !matches!(policy.get("Version").map(Value::as_str), None | Some(Some("2012-10-17" | "2008-10-17"))) {
        return Err(malformed("The policy must contain a valid version string"));
    }
    if statements(&policy).next().is_none() || one_or_many(&policy["Statement"]).any(|s| !s.is_object()) {
        return Err(malformed("Syntax errors in policy."));
    }
    let mut sids = BTreeSet::new();
    for statement in statements(&policy) {
        statement_form(statement)?;
        if statement
            .get("Sid")
            .and_then(Value::as_str)
            .is_some_and(|sid| !sid.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            return Err(malformed(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
            ));
        }
        if let Some(sid) = statement.get("Sid").and_then(Value::as_str)
            && !sid.is_empty()
            && !sids.insert(sid)
        {
            return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
        }
    }
    Ok(policy)
}

fn statement_form(statement: &Value) -> Result<(), Error> {
    const FIELDS: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    for (name, value) in statement.as_object().into_iter().flatten() {
        if !FIELDS.contains(&name.as_str()) || value.is_null() {
            return Err(malformed("Syntax errors in policy."));
        }
    }
    if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
        return Err(malformed("Syntax errors in policy."));
    }
    for (positive, negative) in [("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")] {
        if statement.get(positive).is_some() && statement.get(negative).is_some() {
            return Err(malformed(format!("Statement has both {positive} and {negative}")));
        }
    }
    let actions = statement.get("Action").or_else(|| statement.get("NotAction"));
    let actions = actions.ok_or_else(|| malformed("Policy statement must contain actions."))?;
    if one_or_many(actions).next().is_none() {
        return Err(malformed("Policy statement must contain actions."));
    }
    for action in one_or_many(actions) {
        let Some(action) = action.as_str() else { return Err(malformed("Syntax errors in policy.")) };
        if action != "*" && !action.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty())
        {
            return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
        }
    }
    let Some(condition) = statement.get("Condition") else { return Ok(()) };
    let operators = condition.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    for (operator, keys) in operators {
        let (set, name) = operator.split_once(':').map_or((None, operator.as_str()), |(set, name)| (Some(set), name));
        let name = name.strip_suffix("IfExists").unwrap_or(name);
        if !OPERATORS.contains(&name) || set.is_some_and(|s| s != "ForAnyValue" && s != "ForAllValues") {
            return Err(malformed(format!("Invalid Condition type : {operator}.")));
        }
        let keys = keys.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
        if keys.keys().any(|key| !key.contains(':')) {
            return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
        }
    }
    Ok(())
}

/// The longest that policies may be, without white space. Source: IAM User Guide, "IAM and AWS STS quotas".
///
/// # Errors
/// `LimitExceeded`.
pub(crate) fn check_size<'a>(documents: impl Iterator<Item = &'a String>, limit: usize, of: &str) -> Result<(), Error> {
    let size: usize = documents.map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
    if size > limit {
        let message = format!("Maximum policy size of {limit} bytes exceeded for {of}");
        return Err(api_iam::error::limit_exceeded_exception(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let form = |statement: &str| {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
            check(&text).err().map(|e| format!("{}: {}", e.code(), e.message()))
        };
        let cases = [
            (r#"{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b/*"]}"#, None),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":"a"}}}"#,
                None,
            ),
            (r#"{"Effect":"Allow","Action":"s3:*"}"#, Some("Policy statement must contain resources.")),
            (r#"{"Effect":"Allow","Resource":"*"}"#, Some("Policy statement must contain actions.")),
            (
                r#"{"Effect":"Allow","Action":"GetObject","Resource":"*"}"#,
                Some("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}"#,
                Some("Resource bucket must be in ARN format or \"*\"."),
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}"#,
                Some("Policy document should not specify a principal."),
            ),
            (r#"{"Effect":"Permit","Action":"s3:*","Resource":"*"}"#, Some("Syntax errors in policy.")),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Sounds":{"aws:a":"b"}}}"#,
                Some("Invalid Condition type : Sounds."),
            ),
            (
                r#"[{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"s3:*","Resource":"*"}]"#,
                Some("Statement IDs (SID) in a single policy must be unique."),
            ),
            (
                r#"{"Sid":"a b","Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
                Some(
                    "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
                ),
            ),
        ];
        for (statement, expected) in cases {
            assert_eq!(form(statement), expected.map(|text| format!("MalformedPolicyDocument: {text}")), "{statement}");
        }
        assert_eq!(check("{").unwrap_err().code(), "MalformedPolicyDocument");
        let trust = |statement: &str| check_trust(&format!(r#"{{"Statement":{statement}}}"#)).is_ok();
        assert!(trust(
            r#"{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}"#
        ));
        assert!(!trust(r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#));
        assert!(!trust(r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}"#));
    }
}
