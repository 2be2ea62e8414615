//! The form of identity policies, and what several of them say together; the language itself is [`service::policy`].

use serde_json::Value;
use service::policy::{Asked, statements};
pub use service::policy::{Verdict, glob};
use wire::Error;

use api_iam::error::malformed_policy_document_exception as malformed;

/// Checks the form of an identity policy.
///
/// # Errors
/// `MalformedPolicyDocument`.
pub fn check(document: &str) -> Result<(), Error> {
    let policy: Value =
        serde_json::from_str(document).map_err(|e| malformed(format!("Syntax errors in policy: {e}")))?;
    let statements: Vec<&Value> = statements(&policy).collect();
    if !policy.is_object() || statements.is_empty() {
        return Err(malformed("Policy document must contain at least one Statement"));
    }
    for statement in statements {
        match statement["Effect"].as_str() {
            Some("Allow" | "Deny") => {}
            _ => return Err(malformed("Statement Effect must be Allow or Deny")),
        }
        if statement.get("Action").is_none() && statement.get("NotAction").is_none() {
            return Err(malformed("Policy statement must contain actions."));
        }
    }
    Ok(())
}

/// What these policies (JSON texts) together say, given values of condition keys. A text that does not parse says nothing.
pub fn evaluate<'a>(
    policies: impl Iterator<Item = &'a str>,
    action: &str,
    resource: &str,
    keys: &[(&str, &str)],
) -> Verdict {
    let parsed: Vec<Value> = policies.filter_map(|text| serde_json::from_str(text).ok()).collect();
    evaluate_parsed(&parsed, action, resource, keys)
}

/// The same of policies that have been parsed.
pub(crate) fn evaluate_parsed(policies: &[Value], action: &str, resource: &str, keys: &[(&str, &str)]) -> Verdict {
    service::policy::evaluate(policies, Asked { action, resource, keys, complete: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let allow = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b/*"]}}"#;
        let deny = r#"{"Statement":[{"Effect":"Deny","NotAction":"s3:GetObject","Resource":"*"}]}"#;
        let conditional =
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"x":"true"}}}]}"#;
        let get = |policies: &[&str], action: &str| evaluate(policies.iter().copied(), action, "arn:aws:s3:::b/k", &[]);
        assert_eq!(get(&[allow], "s3:PutObject"), Verdict::Allowed);
        assert_eq!(get(&[allow], "sqs:SendMessage"), Verdict::Silent);
        assert_eq!(get(&[allow, deny], "s3:PutObject"), Verdict::Denied);
        assert_eq!(get(&[allow, deny], "s3:GetObject"), Verdict::Allowed);
        assert_eq!(get(&[conditional], "s3:GetObject"), Verdict::Silent);
        assert_eq!(check("{").unwrap_err().code(), "MalformedPolicyDocument");
        check(allow).unwrap();
    }

    #[test]
    fn conditions_on_known_keys() {
        let keys = [("states:HTTPMethod", "GET"), ("states:HTTPEndpoint", "https://api.example.com/v1")];
        let verdict = |effect: &str, condition: &str| {
            let statement = format!(r#"{{"Effect":"{effect}","Action":"*","Resource":"*","Condition":{condition}}}"#);
            let all = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
            let others = if effect == "Deny" { format!("{all},") } else { String::new() };
            let policy = format!(r#"{{"Statement":[{others}{statement}]}}"#);
            evaluate(std::iter::once(policy.as_str()), "states:InvokeHTTPEndpoint", "m", &keys)
        };
        let documented = r#"{"StringEquals":{"states:HTTPMethod":"GET"},"StringLike":{"states:HTTPEndpoint":"https://api.example.com/*"}}"#;
        let other = r#"{"StringEquals":{"states:HTTPMethod":["POST","PUT"]}}"#;
        let unknown = r#"{"StringEquals":{"aws:SourceIp":"10.0.0.1"}}"#;
        assert_eq!(verdict("Allow", documented), Verdict::Allowed);
        assert_eq!(verdict("Allow", other), Verdict::Silent);
        assert_eq!(verdict("Allow", unknown), Verdict::Silent);
        assert_eq!(verdict("Deny", documented), Verdict::Denied);
        assert_eq!(verdict("Deny", other), Verdict::Allowed);
        assert_eq!(verdict("Deny", unknown), Verdict::Denied);
        assert_eq!(verdict("Allow", r#"{"StringNotEquals":{"states:httpmethod":"POST"}}"#), Verdict::Allowed);
    }
}
