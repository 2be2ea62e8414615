//! The language of IAM's policies, pure: who (`Principal`), what (`Action`), on what (`Resource`), when (`Condition`). Identity
//! policies and policies of resources are both read here. Sources: IAM User Guide, "Policy evaluation logic", "IAM JSON policy
//! elements: Condition operators", "Grammar of the IAM JSON policy language".
//!
//! Not here: which policies there are, and what several kinds of them mean together.

mod condition;
mod form;
mod glob;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

pub use condition::OPERATORS;
pub(crate) use condition::same_key;
pub use form::{parse_policy_without_resource, parse_resource_policy};
pub use glob::glob;

/// What a set of policies says of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// Allowed to the caller's account, which decides by its own policies.
    Delegated,
    /// An explicit Deny.
    Denied,
    /// Nothing allows it.
    Silent,
}

/// Who asks a resource's policy.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Empty: nobody who has signed.
    pub account: &'a str,
    /// All the ARNs that name the caller: a role's and its session's, a user's.
    pub arns: &'a [String],
    /// The canonical user of the account, as S3 has them.
    pub canonical: &'a str,
    /// The service of AWS that asks by itself: `sns.amazonaws.com`; empty where somebody else does.
    pub service: &'a str,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub action: &'a str,
    pub resource: &'a str,
    /// Values of condition keys; a key with several values stands several times. One that is not among them has no value.
    pub keys: &'a [(&'a str, &'a str)],
    /// Keys that are not known here: a condition that asks for one is taken for the worse.
    pub unknown: &'a [String],
}

/// What these policies together say to somebody whose own policies they are.
pub fn evaluate(policies: &[Value], asked: Asked<'_>) -> Verdict {
    weigh(policies, asked, |_| Some(Verdict::Allowed))
}

/// What a resource's policy says to the caller.
pub fn evaluate_for(policy: &Value, caller: Caller<'_>, asked: Asked<'_>) -> Verdict {
    weigh(std::slice::from_ref(policy), asked, |statement| named(statement, caller))
}

fn weigh(policies: &[Value], asked: Asked<'_>, who: impl Fn(&Value) -> Option<Verdict>) -> Verdict {
    let mut verdict = Verdict::Silent;
    for statement in policies.iter().flat_map(versioned) {
        let statement = &*statement;
        let denies = statement["Effect"] == "Deny";
        // What cannot be told is taken for the worse.
        let applies = matches(statement, "Action", "NotAction", asked, true).unwrap_or(denies)
            && matches(statement, "Resource", "NotResource", asked, false).unwrap_or(denies);
        if !applies {
            continue;
        }
        let Some(named) = who(statement) else { continue };
        let holds = statement.get("Condition").map_or(Some(true), |c| condition::holds(c, asked));
        match (denies, holds) {
            (true, Some(true) | None) => {
                crate::audit::decided(statement);
                return Verdict::Denied;
            }
            (false, Some(true)) if statement["Effect"] == "Allow" && verdict != Verdict::Allowed => {
                crate::audit::decided(statement);
                verdict = named;
            }
            _ => {}
        }
    }
    verdict
}

/// The condition keys that statements about an action ask for, in conditions and in variables.
pub fn asked_about(policies: &[Value], action: &str) -> BTreeSet<String> {
    policies.iter().flat_map(statements).filter(|s| is_about(s, action)).flat_map(keys_of).collect()
}

/// The condition keys that a statement asks for.
fn keys_of(statement: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for member in ["Resource", "NotResource"] {
        one_or_many(&statement[member])
            .filter_map(Value::as_str)
            .for_each(|text| condition::variables(text, &mut keys));
    }
    for (key, wanted) in conditions(statement) {
        keys.insert(key.clone());
        one_or_many(wanted).filter_map(Value::as_str).for_each(|text| condition::variables(text, &mut keys));
    }
    keys
}

/// The condition keys of a policy, with the values that they are compared with.
pub fn conditions(statement: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let operators = statement["Condition"].as_object().into_iter().flat_map(serde_json::Map::values);
    operators.filter_map(Value::as_object).flatten()
}

fn is_about(statement: &Value, action: &str) -> bool {
    let any = |patterns: &Value| one_or_many(patterns).filter_map(Value::as_str).any(|p| glob(p, action, true));
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(patterns), _) => any(patterns),
        (None, Some(patterns)) => !any(patterns),
        (None, None) => false,
    }
}

/// Those of the keys that are not known, for which a statement that would allow this gave nothing.
pub fn withheld(policies: &[Value], asked: Asked<'_>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for statement in policies.iter().flat_map(statements) {
        let applies = statement["Effect"] == "Allow"
            && matches(statement, "Action", "NotAction", asked, true) != Some(false)
            && matches(statement, "Resource", "NotResource", asked, false) != Some(false);
        if applies {
            let about = keys_of(statement).into_iter();
            keys.extend(about.filter(|key| asked.unknown.contains(key)));
        }
    }
    keys
}

/// Whether a name is the service's, plain or in the form of a region: `logs.eu-west-1.amazonaws.com`.
fn is_service(name: &str, service: &str) -> bool {
    if name == "*" || name == service {
        return true;
    }
    let Some((own, _)) = service.split_once(".amazonaws.com") else { return false };
    let between = name.strip_prefix(own).and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    between.and_then(|rest| rest.strip_prefix('.')).is_some_and(|region| {
        region.split('-').count() >= 3 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

/// Whether a statement's principal is the caller: `Allowed` where it names the caller, `Delegated` where only the account.
fn named(statement: &Value, caller: Caller<'_>) -> Option<Verdict> {
    let of = |principal: &Value| {
        let mut best = None;
        let kinds = match principal {
            Value::String(all) if all == "*" => return Some(Verdict::Allowed),
            Value::Object(kinds) => kinds,
            _ => return None,
        };
        for (kind, names) in kinds {
            for name in one_or_many(names).filter_map(Value::as_str) {
                let root = format!("arn:aws:iam::{}:root", caller.account);
                let found = match kind.as_str() {
                    "AWS" if name == "*" => Some(Verdict::Allowed),
                    "Service" if !caller.service.is_empty() && is_service(name, caller.service) => {
                        Some(Verdict::Allowed)
                    }
                    _ if caller.account.is_empty() => None,
                    "AWS" if caller.arns.iter().any(|arn| arn == name) => Some(Verdict::Allowed),
                    "AWS" if name == caller.account || name == root => Some(Verdict::Delegated),
                    "CanonicalUser" if name == caller.canonical => Some(Verdict::Delegated),
                    _ => None,
                };
                if best != Some(Verdict::Allowed) && found.is_some() {
                    best = found;
                }
            }
        }
        best
    };
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(principal), _) => of(principal),
        (None, Some(others)) => {
            // In a Deny an account's name excepts its owner alone, not everybody of it.
            let excepted = match of(others) {
                Some(Verdict::Delegated) if statement["Effect"] == "Deny" => {
                    let root = format!("arn:aws:iam::{}:root", caller.account);
                    caller.arns.contains(&root)
                }
                found => found.is_some(),
            };
            (!excepted).then_some(Verdict::Allowed)
        }
        (None, None) => None,
    }
}

/// The statements of a policy as they are weighed: variables are such from version 2012-10-17 on, and text before.
/// Source: IAM User Guide, "IAM JSON policy elements: Version".
fn versioned(policy: &Value) -> impl Iterator<Item = Cow<'_, Value>> {
    let old = policy["Version"] != "2012-10-17";
    statements(policy).map(move |statement| {
        let mut statement = Cow::Borrowed(statement);
        if old {
            for member in ["Resource", "NotResource", "Condition"] {
                if statement.get(member).is_some_and(has_variables) {
                    as_text(&mut statement.to_mut()[member]);
                }
            }
        }
        statement
    })
}

fn has_variables(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(all) => all.iter().any(has_variables),
        Value::Object(all) => all.values().any(has_variables),
        _ => false,
    }
}

/// `${$}` is the variable that writes a dollar sign.
fn as_text(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "${$}{"),
        Value::Array(all) => all.iter_mut().for_each(as_text),
        Value::Object(all) => all.values_mut().for_each(as_text),
        _ => {}
    }
}

/// A policy's statements.
pub fn statements(policy: &Value) -> impl Iterator<Item = &Value> {
    one_or_many(&policy["Statement"]).filter(|s| s.is_object())
}

/// An element that may be one value or a list of them.
pub fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    match value {
        Value::Array(all) => all.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
    .iter()
}

/// Whether a statement is about it; `None` where a variable that is not known here decides.
fn matches(statement: &Value, positive: &str, negative: &str, asked: Asked<'_>, action: bool) -> Option<bool> {
    let text = if action { asked.action } else { asked.resource };
    let any = |patterns: &Value| {
        let mut all = one_or_many(patterns).filter_map(Value::as_str);
        let met = all.clone().any(|pattern| {
            if action { glob(pattern, text, true) } else { condition::like(pattern, text, asked, false) }
        });
        (met || action || all.all(|pattern| condition::is_known(pattern, asked))).then_some(met)
    };
    match (statement.get(positive), statement.get(negative)) {
        (Some(patterns), _) => any(patterns),
        (None, Some(patterns)) => any(patterns).map(|met| !met),
        (None, None) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked<'a>(action: &'a str, keys: &'a [(&'a str, &'a str)]) -> Asked<'a> {
        Asked { action, resource: "arn:aws:s3:::b/k", keys, unknown: &[] }
    }

    #[test]
    fn what_is_not_known_is_taken_for_the_worse() {
        let unknown = ["x:y".to_owned()];
        let say = |effect: &str, member: &str, pattern: &str| {
            let policy =
                json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": "*", member: pattern}});
            evaluate(&[policy], Asked { unknown: &unknown, ..asked("s3:GetObject", &[]) })
        };
        for member in ["Resource", "NotResource"] {
            assert_eq!(say("Deny", member, "arn:aws:s3:::b/${x:y}"), Verdict::Denied, "{member}");
            assert_eq!(say("Allow", member, "arn:aws:s3:::b/${x:y}"), Verdict::Silent, "{member}");
        }
        // A key that is known and has no value is no key that is not known.
        assert_eq!(say("Deny", "Resource", "arn:aws:s3:::b/${aws:username}"), Verdict::Silent);
        assert_eq!(say("Deny", "NotResource", "arn:aws:s3:::b/${aws:username}"), Verdict::Denied);
    }

    #[test]
    fn principals() {
        let arns = ["arn:aws:iam::1:role/r".to_owned(), "arn:aws:sts::1:assumed-role/r/s".to_owned()];
        let role = Caller { account: "1", arns: &arns, canonical: "c1", service: "" };
        let other = Caller { account: "2", arns: &[], canonical: "c2", service: "" };
        let nobody = Caller { account: "", arns: &[], canonical: "", service: "" };
        let say = |principal: &Value, caller| {
            let policy =
                json!({"Statement": {"Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": "*"}});
            evaluate_for(&policy, caller, asked("s3:GetObject", &[]))
        };
        let cases = [
            (json!("*"), [Verdict::Allowed; 3]),
            (json!({"AWS": ["*"]}), [Verdict::Allowed; 3]),
            (json!({"AWS": "arn:aws:iam::1:root"}), [Verdict::Delegated, Verdict::Silent, Verdict::Silent]),
            (json!({"AWS": "1"}), [Verdict::Delegated, Verdict::Silent, Verdict::Silent]),
            (json!({"AWS": ["2", "arn:aws:iam::1:role/r"]}), [Verdict::Allowed, Verdict::Delegated, Verdict::Silent]),
            (json!({"CanonicalUser": "c2"}), [Verdict::Silent, Verdict::Delegated, Verdict::Silent]),
        ];
        for (principal, expected) in cases {
            assert_eq!([role, other, nobody].map(|who| say(&principal, who)), expected, "{principal}");
        }
        let not =
            json!({"Statement": {"Effect": "Deny", "NotPrincipal": {"AWS": "1"}, "Action": "*", "Resource": "*"}});
        assert_eq!(evaluate_for(&not, other, asked("s3:GetObject", &[])), Verdict::Denied);
        // The account's name excepts its owner, not who is of it; that is to be named.
        let owners = ["arn:aws:iam::1:root".to_owned()];
        let owner = Caller { arns: &owners, ..role };
        assert_eq!(evaluate_for(&not, owner, asked("s3:GetObject", &[])), Verdict::Silent);
        assert_eq!(evaluate_for(&not, role, asked("s3:GetObject", &[])), Verdict::Denied);
        let both = json!({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*",
            "NotPrincipal": {"AWS": ["arn:aws:iam::1:root", "arn:aws:iam::1:role/r"]}}});
        assert_eq!(evaluate_for(&both, role, asked("s3:GetObject", &[])), Verdict::Silent);
    }

    #[test]
    fn variables_are_of_the_newer_version() {
        let keys = [("aws:username", "k")];
        let says = |version: Value, resource: &str| {
            let mut policy = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": resource}});
            policy["Version"] = version;
            evaluate(&[policy], asked("s3:GetObject", &keys))
        };
        assert_eq!(says(json!("2012-10-17"), "arn:aws:s3:::b/${aws:username}"), Verdict::Allowed);
        assert_eq!(says(json!("2008-10-17"), "arn:aws:s3:::b/${aws:username}"), Verdict::Silent);
        assert_eq!(says(Value::Null, "arn:aws:s3:::b/${aws:username}"), Verdict::Silent);
        let spelled = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "b/${aws:username}"}});
        let text = Asked { resource: "b/${aws:username}", ..asked("s3:GetObject", &keys) };
        assert_eq!(evaluate(&[spelled], text), Verdict::Allowed);
    }
}
