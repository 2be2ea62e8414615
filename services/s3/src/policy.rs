//! A bucket's policy: what is taken as one, and whether it is public. What it says of a request, [`service::policy`] tells.
//! Sources: S3 User Guide, "Policies and permissions", "Blocking public access" ("The meaning of public").

use serde_json::Value;
use service::policy::{OPERATORS, one_or_many, statements};
use wire::Error;

use crate::account::Known;
use crate::actions::{self, Applies};
use crate::errors::Result;

const MAX_SIZE: usize = 20 * 1024;

fn malformed(message: impl Into<String>) -> Error {
    Error::new("MalformedPolicy", 400, message)
}

/// Parses a policy that is put on `bucket`.
///
/// # Errors
/// `MalformedPolicy`, as AWS words it.
pub(crate) fn parse(text: &str, bucket: &str, known: &Known) -> Result<Value> {
    if text.len() > MAX_SIZE {
        return Err(malformed("Normalized policy document exceeds the maximum allowed size of 20480 bytes."));
    }
    let policy: Value = serde_json::from_str(text)
        .map_err(|_| malformed("Policies must be valid JSON and the first byte must be '{'"))?;
    let Some(members) = policy.as_object() else {
        return Err(malformed("Policies must be valid JSON and the first byte must be '{'"));
    };
    if let Some(unknown) = members.keys().find(|k| !["Version", "Id", "Statement"].contains(&k.as_str())) {
        return Err(malformed(format!("Unknown field {unknown}")));
    }
    match policy.get("Version").map(Value::as_str) {
        None | Some(Some("2008-10-17" | "2012-10-17")) => {}
        Some(_) => return Err(malformed("The policy must contain a valid version string")),
    }
    if one_or_many(&policy["Statement"]).any(|s| !s.is_object()) {
        return Err(malformed("Statement is not valid"));
    }
    if statements(&policy).next().is_none() {
        return Err(malformed("Missing required field Statement"));
    }
    for statement in statements(&policy) {
        check(statement, bucket, known)?;
    }
    Ok(policy)
}

fn check(statement: &Value, bucket: &str, known: &Known) -> Result<()> {
    const FIELDS: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let members = statement.as_object().into_iter().flatten();
    for (name, _) in members {
        if !FIELDS.contains(&name.as_str()) {
            return Err(malformed(format!("Unknown field {name}")));
        }
    }
    match statement["Effect"].as_str() {
        Some("Allow" | "Deny") => {}
        Some(other) => return Err(malformed(format!("Invalid effect: {other}"))),
        None => return Err(malformed("Missing required field Effect")),
    }
    let either = |positive: &str, negative: &str| match (statement.get(positive), statement.get(negative)) {
        (Some(_), Some(_)) => Err(malformed(format!("Statement has both {positive} and {negative}"))),
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (None, None) => Err(malformed(format!("Missing required field {positive}"))),
    };
    principal(either("Principal", "NotPrincipal")?, known)?;
    if statement["Effect"] == "Allow" && statement.get("NotPrincipal").is_some() {
        return Err(malformed("Allow with NotPrincipal is not allowed."));
    }
    let actions = either("Action", "NotAction")?;
    let mut named = Vec::new();
    for action in one_or_many(actions) {
        let kinds = action.as_str().map(actions::named).unwrap_or_default();
        if kinds.is_empty() {
            return Err(malformed("Policy has invalid action"));
        }
        named.push(kinds);
    }
    let resources = either("Resource", "NotResource")?;
    let whole = format!("arn:aws:s3:::{bucket}");
    for resource in one_or_many(resources) {
        let within = |r: &str| {
            r == whole || r.strip_prefix(&whole).is_some_and(|rest| rest.starts_with(['/', '*', '?'])) || {
                // A pattern may name more than this bucket.
                let name = r.strip_prefix("arn:aws:s3:::").map_or(r, |rest| rest.split('/').next().unwrap_or_default());
                name.contains(['*', '?']) && service::policy::glob(name, bucket, false)
            }
        };
        if !resource.as_str().is_some_and(within) {
            return Err(malformed("Policy has invalid resource"));
        }
    }
    if let (Some(_), Some(resources)) = (statement.get("Action"), statement.get("Resource")) {
        let resources: Vec<&str> = one_or_many(resources).filter_map(Value::as_str).collect();
        if !named.iter().all(|kinds| kinds.iter().any(|kind| resources.iter().any(|r| applies(*kind, r)))) {
            return Err(malformed("Action does not apply to any resource(s) in statement"));
        }
    }
    let conditions = statement.get("Condition").unwrap_or(&Value::Null);
    if !conditions.is_null() && !conditions.is_object() {
        return Err(malformed("Conditions must be a map"));
    }
    for (operator, keys) in conditions.as_object().into_iter().flatten() {
        let (set, name) = operator.split_once(':').map_or((None, operator.as_str()), |(set, name)| (Some(set), name));
        let name = name.strip_suffix("IfExists").unwrap_or(name);
        if !OPERATORS.contains(&name) || set.is_some_and(|s| s != "ForAnyValue" && s != "ForAllValues") {
            return Err(malformed(format!("Invalid Condition type : {operator}")));
        }
        let Some(keys) = keys.as_object() else { return Err(malformed("Policy has an invalid condition key")) };
        for key in keys.keys() {
            if !known_key(key) {
                return Err(malformed("Policy has an invalid condition key"));
            }
        }
    }
    Ok(())
}

/// Could the resource, which may have wildcards, be what the action is on? What is on no resource is not looked at.
fn applies(kind: Applies, resource: &str) -> bool {
    match kind {
        Applies::Bucket => !resource.contains('/'),
        Applies::Object => resource.contains('/') || resource.contains('*'),
        Applies::Other => true,
    }
}

/// Only keys that a request here can have, or that have no value on any request here, as on requests that come over no VPC endpoint.
fn known_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    lower.starts_with("aws:") || lower.starts_with("s3:")
}

fn principal(principal: &Value, known: &Known) -> Result<()> {
    let invalid = || malformed("Invalid principal in policy");
    match principal {
        Value::String(all) if all == "*" => Ok(()),
        Value::Object(kinds) if !kinds.is_empty() => {
            for (kind, names) in kinds {
                for name in one_or_many(names) {
                    let name = name.as_str().ok_or_else(invalid)?;
                    let valid = match kind.as_str() {
                        "AWS" if name == "*" => true,
                        "AWS" if wire::arn::is_account_id(name) => known.exists(name),
                        "AWS" => wire::arn::Arn::parse(name).is_some_and(|arn| {
                            ["iam", "sts"].contains(&arn.service.as_str()) && known.exists(&arn.account)
                        }),
                        "CanonicalUser" => known.of_canonical(name).is_some(),
                        "Service" | "Federated" => true,
                        _ => false,
                    };
                    if !valid {
                        return Err(invalid());
                    }
                }
            }
            Ok(())
        }
        _ => Err(invalid()),
    }
}

/// Does it give anything to everybody? An Allow for `*` is not public where a condition binds it to fixed values of a key that
/// says where from or for whom a request is.
pub(crate) fn is_public(policy: &Value) -> bool {
    statements(policy).any(|statement| {
        statement["Effect"] == "Allow" && names_everybody(statement) && !bound(&statement["Condition"])
    })
}

fn names_everybody(statement: &Value) -> bool {
    if statement.get("NotPrincipal").is_some() {
        return true;
    }
    let principal = &statement["Principal"];
    principal == "*" || one_or_many(&principal["AWS"]).any(|name| name == "*")
}

fn bound(condition: &Value) -> bool {
    const BINDING: [&str; 15] = [
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceaccount",
        "aws:sourceowner",
        "aws:sourceip",
        "aws:userid",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    ];
    condition.as_object().into_iter().flatten().any(|(operator, keys)| {
        let name = operator.rsplit(':').next().unwrap_or_default();
        let positive = ["StringEquals", "StringLike", "ArnEquals", "ArnLike", "IpAddress", "StringEqualsIgnoreCase"];
        positive.contains(&name)
            && keys.as_object().into_iter().flatten().any(|(key, values)| {
                let key = key.to_ascii_lowercase();
                BINDING.contains(&key.as_str())
                    && one_or_many(values).all(|v| {
                        v.as_str().is_some_and(|v| match key.as_str() {
                            "aws:sourceip" => narrow(v),
                            _ => !v.contains(['*', '?']) && !v.contains("${"),
                        })
                    })
            })
    })
}

/// Blocks as wide as /8 (IPv6: /32) or wider are everybody.
fn narrow(block: &str) -> bool {
    match block.split_once('/') {
        Some((network, bits)) => bits.parse().is_ok_and(|bits: u32| bits > if network.contains(':') { 32 } else { 8 }),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Known {
        Known::new("000000000000", "us-east-1", service::Accounts::default())
    }

    fn statement(more: &Value) -> Value {
        let mut one =
            json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
        for (name, value) in more.as_object().unwrap() {
            one[name] = value.clone();
        }
        json!({"Version": "2012-10-17", "Statement": one})
    }

    #[test]
    fn forms() {
        assert!(parse(&statement(&json!({})).to_string(), "b", &known()).is_ok());
        let bad = [
            json!({"Effect": "Maybe"}),
            json!({"Principal": "someone"}),
            json!({"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}),
            json!({"Action": "sqs:SendMessage"}),
            json!({"Resource": "arn:aws:s3:::other/*"}),
            json!({"Resource": "arn:aws:s3:::bb"}),
            json!({"Condition": {"Sounds": {"aws:SourceIp": "1.2.3.4"}}}),
            json!({"Condition": {"StringEquals": {"x": "y"}}}),
            json!({"Whatever": 1}),
            json!({"Principal": null, "NotPrincipal": {"AWS": "000000000000"}}),
        ];
        for more in bad {
            let refused = parse(&statement(&more).to_string(), "b", &known()).unwrap_err();
            assert!(refused.is("MalformedPolicy"), "{more}");
        }
        let actions = [
            (json!({"Action": "s3:GetObjct"}), Some("Policy has invalid action")),
            (json!({"Action": ["s3:GetObject", "s3:Fly*"]}), Some("Policy has invalid action")),
            (json!({"Action": "s3:ListBucket"}), Some("Action does not apply to any resource(s) in statement")),
            (json!({"Resource": "arn:aws:s3:::b"}), Some("Action does not apply to any resource(s) in statement")),
            (json!({"Action": "s3:ListBucket", "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b"]}), None),
            (json!({"Action": ["s3:*", "S3:getobject", "s3:Get*"], "Resource": "arn:aws:s3:::b*"}), None),
            (json!({"Action": "*"}), None),
            (json!({"Action": "s3:PutBucketAcl", "Resource": "*"}), None),
        ];
        for (more, expected) in actions {
            let refused = parse(&statement(&more).to_string(), "b", &known()).err();
            assert_eq!(refused.as_ref().map(Error::message), expected, "{more}");
        }
        for text in ["", "[]", "{}", "{\"Statement\": []}"] {
            assert!(parse(text, "b", &known()).unwrap_err().is("MalformedPolicy"), "{text}");
        }
    }

    #[test]
    fn public() {
        let cases = [
            (json!({}), true),
            (json!({"Effect": "Deny"}), false),
            (json!({"Principal": {"AWS": "000000000000"}}), false),
            (json!({"Principal": {"AWS": ["*"]}}), true),
            (json!({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/24"}}}), false),
            (json!({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}), true),
            (json!({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}), false),
            (json!({"Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}}), true),
            (json!({"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}), true),
            (json!({"Condition": {"StringEquals": {"s3:prefix": "x"}}}), true),
        ];
        for (more, expected) in cases {
            assert_eq!(is_public(&statement(&more)), expected, "{more}");
        }
    }
}
