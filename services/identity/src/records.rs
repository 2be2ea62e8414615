//! What is stored of roles, policies and sessions. IAM has no regions: keys begin with `iam` and the account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::Error;

use api_iam::error::no_such_entity_exception;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    pub(crate) role: api_iam::Role,
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) attached: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub(crate) policy: api_iam::Policy,
    pub(crate) versions: Vec<api_iam::PolicyVersion>,
    pub(crate) last_version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) secret_key: String,
    pub(crate) session_token: String,
    pub(crate) expires_ms: i64,
    pub(crate) principal: service::Principal,
    pub(crate) account: String,
    #[serde(default)]
    pub(crate) attempt: Option<String>,
}

pub(crate) fn role_prefix(account: &str) -> Key {
    Key::new("iam").push(account).push("role")
}
pub(crate) fn role_key(account: &str, name: &str) -> Key {
    role_prefix(account).push(name)
}
pub(crate) fn policy_prefix(account: &str) -> Key {
    Key::new("iam").push(account).push("policy")
}
pub(crate) fn policy_key(account: &str, arn: &str) -> Key {
    policy_prefix(account).push(arn)
}
pub(crate) fn session_prefix() -> Key {
    Key::new("iam").push("session")
}
pub(crate) fn session_key(access_key: &str) -> Key {
    session_prefix().push(access_key)
}

/// True for the keys of what decides who may do what: all but sessions.
pub(crate) fn decides() -> impl Fn(&[u8]) -> bool {
    let (all, sessions) = (Key::new("iam"), session_prefix());
    move |key| key.starts_with(all.as_bytes()) && !key.starts_with(sessions.as_bytes())
}

pub(crate) fn role(tx: &mut Tx<'_>, account: &str, name: &str) -> Result<RoleRecord, Error> {
    tx.get_json(role_key(account, name))?.ok_or_else(|| no_such_role(name))
}

pub(crate) fn no_such_role(name: &str) -> Error {
    no_such_entity_exception(format!("The role with name {name} cannot be found."))
}

pub(crate) fn policy(tx: &mut Tx<'_>, account: &str, arn: &str) -> Result<PolicyRecord, Error> {
    match tx.get_json(policy_key(account, arn))? {
        Some(record) => Ok(record),
        None => crate::managed::find(arn)
            .ok_or_else(|| no_such_entity_exception(format!("Policy {arn} does not exist or is not attachable."))),
    }
}
