//! Statements of a resource's policy by their labels, as the AddPermission of SQS and SNS write them.

use serde_json::{Value, json};
use service::policy::one_or_many;
use wire::arn::is_account_id;

/// Who may do what.
pub(crate) struct Granted<'a> {
    pub(crate) label: &'a str,
    pub(crate) accounts: &'a [String],
    pub(crate) actions: Vec<String>,
    pub(crate) resource: String,
}

/// What of this is no id of an account, as it stands in AWS's messages; of an empty list it is nothing at all.
pub(crate) fn not_accounts(accounts: &[String]) -> Option<String> {
    let wrong: Vec<&str> = accounts.iter().map(String::as_str).filter(|id| !is_account_id(id)).collect();
    (accounts.is_empty() || !wrong.is_empty()).then(|| wrong.join(", "))
}

/// The policy with one more statement; `None` where the label is taken.
pub(crate) fn add(policy: Option<&str>, granted: &Granted<'_>) -> Option<String> {
    let mut policy: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(
        || json!({ "Version": "2012-10-17", "Id": format!("{}/SQSDefaultPolicy", granted.resource), "Statement": [] }),
    );
    let mut statements: Vec<Value> = one_or_many(&policy["Statement"]).cloned().collect();
    if statements.iter().any(|statement| statement["Sid"] == granted.label) {
        return None;
    }
    let arns: Vec<String> = granted.accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    statements.push(json!({
        "Sid": granted.label,
        "Effect": "Allow",
        "Principal": { "AWS": one(arns) },
        "Action": one(granted.actions.clone()),
        "Resource": granted.resource,
    }));
    policy["Statement"] = Value::Array(statements);
    Some(policy.to_string())
}

/// The policy without a statement, nothing where that was the last; `None` where there is none of the label.
#[expect(clippy::option_option, reason = "whether there was such a statement, and what is left without it")]
pub(crate) fn remove(policy: &str, label: &str) -> Option<Option<String>> {
    let mut policy: Value = serde_json::from_str(policy).ok()?;
    let all: Vec<Value> = one_or_many(&policy["Statement"]).cloned().collect();
    let left: Vec<Value> = all.iter().filter(|statement| statement["Sid"] != label).cloned().collect();
    if left.len() == all.len() {
        return None;
    }
    if left.is_empty() {
        return Some(None);
    }
    policy["Statement"] = Value::Array(left);
    Some(Some(policy.to_string()))
}

/// AWS writes a list of one as its element.
fn one(mut all: Vec<String>) -> Value {
    if all.len() == 1 { Value::String(all.remove(0)) } else { json!(all) }
}
