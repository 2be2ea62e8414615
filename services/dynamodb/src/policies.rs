//! Policies of tables and of their streams, which the Router weighs with the caller's own. A table's goes for its indexes too. Source:
//! DynamoDB Developer Guide, "Using resource-based policies for DynamoDB".

use api_dynamodb::error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use service::authorization::{Guard, ResourcePolicy};
use service::policy::{one_or_many, statements};
use store::{Key, Tx};
use wire::Error;

use crate::table::OWNER;
use crate::{DynamoDb, Invalid};

const MAX_BYTES: usize = 20 * 1024;
/// As a revision: there is none yet.
const NO_POLICY: &str = "NO_POLICY";

/// A policy as it was put.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    v: u8,
    pub(crate) text: String,
    pub(crate) revision: String,
}

/// The policies of a table and its streams.
fn of_table(table_arn: &str) -> Key {
    Key::new(OWNER).push("policy").push(table_arn)
}

/// Where the policy of a table or a stream is; of an index, where its table's is.
fn place(arn: &str) -> Key {
    let (table, stream) = arn.split_once("/stream/").unwrap_or((arn, ""));
    of_table(table.split_once("/index/").map_or(table, |(table, _)| table)).push(stream)
}

pub(crate) fn get(tx: &mut Tx<'_>, arn: &str) -> Result<Option<PolicyRecord>, Error> {
    Ok(tx.get_json(place(arn))?)
}

/// Puts a policy that [`check`] has let through; answers with its revision.
pub(crate) fn put(
    tx: &mut Tx<'_>,
    arn: &str,
    text: &str,
    expected: Option<&str>,
    now_ms: i64,
) -> Result<String, Error> {
    let old = get(tx, arn)?;
    meets(old.as_ref(), expected, arn)?;
    if let Some(old) = old.filter(|old| old.text == text) {
        return Ok(old.revision);
    }
    let revision = now_ms.to_string();
    tx.put_json(place(arn), &PolicyRecord { v: 1, text: text.to_owned(), revision: revision.clone() })?;
    Ok(revision)
}

/// Takes it away, if there is one; answers with the revision that it had.
pub(crate) fn delete(tx: &mut Tx<'_>, arn: &str, expected: Option<&str>) -> Result<Option<String>, Error> {
    let old = get(tx, arn)?;
    meets(old.as_ref(), expected, arn)?;
    tx.delete(place(arn))?;
    Ok(old.map(|old| old.revision))
}

/// With a table its policies go.
pub(crate) fn forget(tx: &mut Tx<'_>, table_arn: &str) -> Result<(), Error> {
    for (key, _) in tx.scan_prefix(of_table(table_arn), usize::MAX)? {
        tx.delete(key)?;
    }
    Ok(())
}

fn meets(old: Option<&PolicyRecord>, expected: Option<&str>, arn: &str) -> Result<(), Error> {
    match (old, expected) {
        (_, None) | (None, Some(NO_POLICY)) => Ok(()),
        (Some(old), Some(expected)) if old.revision == expected => Ok(()),
        _ => Err(not_found(arn)),
    }
}

pub(crate) fn not_found(arn: &str) -> Error {
    error::policy_not_found_exception(format!("Resource-based policy not found for the provided ResourceArn: {arn}"))
}

/// Fails for what is no policy of this table or stream, and for what would not be obeyed: nobody of another account comes to a table.
pub(crate) fn check(text: &str, arn: &str, account: &str) -> Result<(), Error> {
    let invalid = |what: &str| Error::from(Invalid::new(format!("Invalid policy document: {what}")));
    if text.len() > MAX_BYTES {
        return Err(invalid("Resource-based policies can be at most 20 KB"));
    }
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid("Syntax errors in policy."))?;
    if !matches!(policy["Version"].as_str(), None | Some("2008-10-17" | "2012-10-17")) {
        return Err(invalid("The policy has no valid version"));
    }
    if statements(&policy).next().is_none() || one_or_many(&policy["Statement"]).any(|one| !one.is_object()) {
        return Err(invalid("Syntax errors in policy."));
    }
    for statement in statements(&policy) {
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            return Err(invalid("Effect must be Allow or Deny"));
        }
        let named = [("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")];
        if let Some((name, _)) =
            named.iter().find(|(one, other)| statement.get(one).is_none() && statement.get(other).is_none())
        {
            return Err(invalid(&format!("a statement lacks {name}")));
        }
        for action in one_or_many(&statement["Action"]).chain(one_or_many(&statement["NotAction"])) {
            let known = action.as_str().is_some_and(|a| a == "*" || a.to_ascii_lowercase().starts_with("dynamodb:"));
            if !known {
                return Err(invalid("Policy contains an action of another service"));
            }
        }
        for resource in one_or_many(&statement["Resource"]).filter_map(Value::as_str) {
            let own = resource == "*" || resource.starts_with(arn) || service::policy::glob(resource, arn, false);
            if !own {
                return Err(invalid("The policy names a resource that is not the one that it is attached to"));
            }
        }
        let principals = &statement["Principal"]["AWS"];
        for name in one_or_many(principals).filter_map(Value::as_str).filter(|_| statement["Effect"] == "Allow") {
            let of = name.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(3)).unwrap_or(name);
            if name != "*" && of != account {
                return Err(Error::not_implemented(format!("PutResourcePolicy: access of another account ({name})")));
            }
        }
    }
    Ok(())
}

#[async_trait]
impl Guard for DynamoDb {
    async fn policy(&self, _: &Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        if !resource.contains(":table/") {
            return Ok(None);
        }
        let Some(found) = self.store.read(|tx| get(tx, resource)).await? else { return Ok(None) };
        let policy = serde_json::from_str(&found.text).unwrap_or_default();
        Ok(Some(ResourcePolicy { policy, must_allow: false }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_a_policy_of_a_table() {
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/t";
        let one = |more: Value| {
            let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:role/r"},
                "Action": "dynamodb:GetItem", "Resource": arn});
            for (name, value) in more.as_object().unwrap() {
                statement[name] = value.clone();
            }
            let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
            check(&text, arn, "000000000000").map_or_else(|e| e.code().to_owned(), |()| "ok".to_owned())
        };
        assert_eq!(one(json!({})), "ok");
        assert_eq!(one(json!({"Resource": format!("{arn}/index/*"), "Principal": "*", "Effect": "Deny"})), "ok");
        assert_eq!(one(json!({"Action": "s3:GetObject"})), "ValidationException");
        assert_eq!(one(json!({"Resource": "arn:aws:dynamodb:us-east-1:000000000000:table/u"})), "ValidationException");
        assert_eq!(one(json!({"Effect": "Maybe"})), "ValidationException");
        assert_eq!(one(json!({"Principal": {"AWS": "111111111111"}})), "NotImplemented");
        assert!(check("{", arn, "").is_err() && check("{}", arn, "").is_err());
    }
}
