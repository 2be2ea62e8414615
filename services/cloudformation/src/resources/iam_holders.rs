//! Who policies are attached to: roles, users and groups, each with operations of its own names.

use serde_json::{Map, Value, json};

use super::{Context, text};
use crate::Result;

/// The property that lists them, and what stands for them in the names of operations and members.
const HOLDERS: [(&str, &str); 3] = [("Roles", "Role"), ("Users", "User"), ("Groups", "Group")];

/// All whom the properties list: what they are, and their names.
pub(super) fn listed(properties: &Value) -> Vec<(&'static str, String)> {
    let of = |(list, what): (&str, &'static str)| -> Vec<(&'static str, String)> {
        properties[list].as_array().into_iter().flatten().map(|name| (what, text(name))).collect()
    };
    HOLDERS.into_iter().flat_map(of).collect()
}

/// `AttachRolePolicy` and its like: the operation is the word, what it is, and `Policy`.
pub(super) async fn with(at: &Context, word: &str, (what, name): (&str, &str), more: Value) -> Result<()> {
    let operation = format!("{word}{what}Policy");
    let mut input: Map<String, Value> = more.as_object().cloned().unwrap_or_default();
    input.insert(format!("{what}Name"), name.into());
    if word.starts_with("De") {
        return at.call_if_there("iam", &operation, input.into()).await;
    }
    at.call("iam", &operation, input.into()).await.map(drop)
}

/// Puts and attaches what is new of the inline and managed policies of one; removes what is not there any more.
pub(super) async fn policies(at: &Context, holder: (&str, &str), old: &Value, new: &Value) -> Result<()> {
    let inline = |p: &Value| -> Vec<(String, String)> {
        let all = p["Policies"].as_array().into_iter().flatten();
        all.map(|p| (text(&p["PolicyName"]), super::document(&p["PolicyDocument"]))).collect()
    };
    let managed =
        |p: &Value| -> Vec<String> { p["ManagedPolicyArns"].as_array().into_iter().flatten().map(text).collect() };
    for (name, document) in inline(new) {
        with(at, "Put", holder, json!({ "PolicyName": name, "PolicyDocument": document })).await?;
    }
    for (name, _) in inline(old).iter().filter(|(n, _)| !inline(new).iter().any(|(m, _)| m == n)) {
        with(at, "Delete", holder, json!({ "PolicyName": name })).await?;
    }
    for arn in managed(new) {
        with(at, "Attach", holder, json!({ "PolicyArn": arn })).await?;
    }
    for arn in managed(old).into_iter().filter(|a| !managed(new).contains(a)) {
        with(at, "Detach", holder, json!({ "PolicyArn": arn })).await?;
    }
    Ok(())
}

/// Takes all policies from one, so that it can be deleted; false where it is not there.
pub(super) async fn strip(at: &Context, (what, name): (&str, &str)) -> Result<bool> {
    let this = json!({ format!("{what}Name"): name });
    let attached = match at.call("iam", &format!("ListAttached{what}Policies"), this.clone()).await {
        Err(error) if super::is_missing(&error) => return Ok(false),
        output => output?,
    };
    for policy in attached["AttachedPolicies"].as_array().into_iter().flatten() {
        with(at, "Detach", (what, name), json!({ "PolicyArn": policy["PolicyArn"] })).await?;
    }
    let inline = at.call("iam", &format!("List{what}Policies"), this).await?;
    for policy in inline["PolicyNames"].as_array().into_iter().flatten() {
        with(at, "Delete", (what, name), json!({ "PolicyName": policy })).await?;
    }
    Ok(true)
}
