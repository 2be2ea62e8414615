//! The IAM policy language, as far as it is enforced. Source: IAM User Guide, "Policy evaluation logic".

use serde_json::Value;
use wire::Error;

use api_iam::error::malformed_policy_document_exception as malformed;

/// What a set of policies says of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// An explicit Deny.
    Denied,
    /// Nothing allows it.
    Silent,
}

/// Checks the form of an identity policy.
///
/// # Errors
/// `MalformedPolicyDocument`.
pub fn check(document: &str) -> Result<(), Error> {
    let policy: Value =
        serde_json::from_str(document).map_err(|e| malformed(format!("Syntax errors in policy: {e}")))?;
    let statements = statements(&policy);
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
    let mut verdict = Verdict::Silent;
    for statement in policies.iter().flat_map(statements) {
        let applies = matches(statement, "Action", "NotAction", action, true)
            && matches(statement, "Resource", "NotResource", resource, false);
        if !applies {
            continue;
        }
        let holds = statement.get("Condition").map_or(Some(true), |condition| condition_holds(condition, keys));
        match statement["Effect"].as_str() {
            // What cannot be told is taken for the worse.
            Some("Deny") if holds != Some(false) => return Verdict::Denied,
            Some("Allow") if holds == Some(true) => verdict = Verdict::Allowed,
            _ => {}
        }
    }
    verdict
}

/// Whether all of a condition holds; `None` where it asks about what is not known here.
fn condition_holds(condition: &Value, keys: &[(&str, &str)]) -> Option<bool> {
    let mut all = true;
    for (operator, asked) in condition.as_object()? {
        for (key, wanted) in asked.as_object()? {
            let (_, value) = keys.iter().find(|(known, _)| known.eq_ignore_ascii_case(key))?;
            let any = |same: fn(&str, &str) -> bool| match wanted {
                Value::String(wanted) => Some(same(wanted, value)),
                Value::Array(all) => Some(all.iter().filter_map(Value::as_str).any(|wanted| same(wanted, value))),
                _ => None,
            };
            all &= match operator.strip_suffix("IfExists").unwrap_or(operator) {
                "StringEquals" => any(|wanted, value| wanted == value)?,
                "StringNotEquals" => !any(|wanted, value| wanted == value)?,
                "StringEqualsIgnoreCase" => any(str::eq_ignore_ascii_case)?,
                "StringNotEqualsIgnoreCase" => !any(str::eq_ignore_ascii_case)?,
                "StringLike" => any(|wanted, value| glob(wanted, value, false))?,
                "StringNotLike" => !any(|wanted, value| glob(wanted, value, false))?,
                _ => return None,
            };
        }
    }
    Some(all)
}

fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(all) => all.iter().collect(),
        one @ Value::Object(_) => vec![one],
        _ => Vec::new(),
    }
}

fn matches(statement: &Value, positive: &str, negative: &str, text: &str, fold: bool) -> bool {
    let any = |patterns: &Value| match patterns {
        Value::String(p) => glob(p, text, fold),
        Value::Array(all) => all.iter().filter_map(Value::as_str).any(|p| glob(p, text, fold)),
        _ => false,
    };
    match (statement.get(positive), statement.get(negative)) {
        (Some(patterns), _) => any(patterns),
        (None, Some(patterns)) => !any(patterns),
        (None, None) => false,
    }
}

/// `*` any run, `?` any one character. Actions ignore case. A resource of `*` in the request stands for "not one resource":
/// only a pattern that covers everything matches it.
pub fn glob(pattern: &str, text: &str, fold: bool) -> bool {
    if pattern == "*" {
        return true;
    }
    if pattern.is_ascii() && text.is_ascii() {
        return glob_of(pattern.as_bytes(), text.as_bytes(), &b'*', &b'?', |a, b| {
            if fold { a.eq_ignore_ascii_case(b) } else { a == b }
        });
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    glob_of(&pattern, &text, &'*', &'?', |a, b| if fold { a.eq_ignore_ascii_case(b) } else { a == b })
}

fn glob_of<T: PartialEq>(pattern: &[T], text: &[T], any: &T, one: &T, same: impl Fn(&T, &T) -> bool) -> bool {
    // Where both stand, and where to go back to: behind the last star, one character further each time.
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < text.len() {
        match pattern.get(at) {
            Some(c) if c == any => {
                star = Some((at, here));
                at += 1;
            }
            Some(c) if c == one || same(c, &text[here]) => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    here = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| c == any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("s3:*", "s3:GetObject", true),
            ("S3:get*", "s3:GetObject", true),
            ("s3:Put*", "s3:GetObject", false),
            ("*", "anything", true),
            ("a?c", "abc", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
        ] {
            assert_eq!(glob(pattern, text, true), expected, "{pattern} {text}");
        }
    }

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
