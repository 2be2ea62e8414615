//! What is stored of roles, policies and sessions. IAM has no regions: keys begin with `iam` and the account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
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
pub(crate) struct UserRecord {
    pub(crate) user: api_iam::User,
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) attached: Vec<String>,
    pub(crate) groups: Vec<String>,
    /// Ids of access keys, oldest first.
    pub(crate) keys: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) group: api_iam::Group,
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) attached: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub(crate) account: String,
    pub(crate) user: String,
    pub(crate) user_arn: String,
    pub(crate) secret: String,
    /// `Active` or `Inactive`.
    pub(crate) status: String,
    pub(crate) create_date: wire::Timestamp,
}

/// When an access key was last used. A record of its own, because it decides nothing and changes often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UsedRecord {
    pub(crate) at_ms: i64,
    pub(crate) service: String,
    pub(crate) region: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProfileRecord {
    /// Without its roles.
    pub(crate) profile: api_iam::InstanceProfile,
    pub(crate) role: Option<String>,
}

/// What has policies: a role, a user, a group.
pub(crate) trait Holder: Serialize + serde::de::DeserializeOwned + Clone + Send + 'static {
    const KIND: &'static str;
    /// What its inline policies may have together.
    const INLINE: usize;
    fn inline(&mut self) -> &mut BTreeMap<String, String>;
    fn attached(&mut self) -> &mut Vec<String>;
    fn boundary(&self) -> Option<&str>;
    fn path(&self) -> &str;
    fn name(&self) -> &str;
    fn id(&self) -> &str;
}

macro_rules! holder {
    ($record:ident, $part:ident, $kind:literal, $inline:literal, $name:ident, $id:ident, $boundary:expr) => {
        impl Holder for $record {
            const KIND: &'static str = $kind;
            const INLINE: usize = $inline;
            fn inline(&mut self) -> &mut BTreeMap<String, String> {
                &mut self.inline
            }
            fn attached(&mut self) -> &mut Vec<String> {
                &mut self.attached
            }
            fn boundary(&self) -> Option<&str> {
                let of: fn(&$record) -> Option<&str> = $boundary;
                of(self)
            }
            fn path(&self) -> &str {
                &self.$part.path
            }
            fn name(&self) -> &str {
                &self.$part.$name
            }
            fn id(&self) -> &str {
                &self.$part.$id
            }
        }
    };
}

holder!(RoleRecord, role, "role", 10_240, role_name, role_id, |r| {
    r.role.permissions_boundary.as_ref()?.permissions_boundary_arn.as_deref()
});
holder!(UserRecord, user, "user", 2048, user_name, user_id, |u| {
    u.user.permissions_boundary.as_ref()?.permissions_boundary_arn.as_deref()
});
holder!(GroupRecord, group, "group", 5120, group_name, group_id, |_| None);

pub(crate) fn holder_prefix<H: Holder>(account: &str) -> Key {
    Key::new("iam").push(account).push(H::KIND)
}
pub(crate) fn holder_key<H: Holder>(account: &str, name: &str) -> Key {
    holder_prefix::<H>(account).push(name)
}
pub(crate) fn holder<H: Holder>(tx: &mut Tx<'_>, account: &str, name: &str) -> Result<H, Error> {
    tx.get_json(holder_key::<H>(account, name))?
        .ok_or_else(|| no_such_entity_exception(format!("The {} with name {name} cannot be found.", H::KIND)))
}
/// Whether a name is another's: names are unique in an account, and not distinguished by case. Source: IAM API reference, CreateUser.
pub(crate) fn taken<H: Holder>(tx: &mut Tx<'_>, account: &str, name: &str) -> Result<bool, Error> {
    let all: Vec<H> = tx.list_json(holder_prefix::<H>(account), usize::MAX)?;
    Ok(all.iter().any(|one| one.name().eq_ignore_ascii_case(name)))
}
pub(crate) fn profile_prefix(account: &str) -> Key {
    Key::new("iam").push(account).push("instance-profile")
}
pub(crate) fn profile_key(account: &str, name: &str) -> Key {
    profile_prefix(account).push(name)
}
pub(crate) fn access_key(id: &str) -> Key {
    Key::new("iam").push("access-key").push(id)
}
pub(crate) fn used_key(id: &str) -> Key {
    Key::new("iamused").push(id)
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

/// The default version of a managed policy, parsed; `None` where there is no such policy.
pub(crate) fn document(tx: &mut Tx<'_>, account: &str, arn: &str) -> Result<Option<Value>, Error> {
    let found = match policy(tx, account, arn) {
        Ok(found) => found,
        Err(error) if error.is("NoSuchEntity") => return Ok(None),
        Err(error) => return Err(error),
    };
    let default = found.versions.into_iter().find(|v| v.is_default_version == Some(true));
    Ok(default.and_then(|v| v.document).and_then(|text| serde_json::from_str(&text).ok()))
}

/// All the policies of a user, group or role, parsed.
pub(crate) fn documents(
    tx: &mut Tx<'_>,
    account: &str,
    inline: BTreeMap<String, String>,
    attached: &[String],
) -> Result<Vec<Value>, Error> {
    let mut all: Vec<Value> = inline.into_values().filter_map(|text| serde_json::from_str(&text).ok()).collect();
    for arn in attached {
        all.extend(document(tx, account, arn)?);
    }
    Ok(all)
}

pub(crate) fn tag_map(tags: Option<Vec<api_iam::Tag>>) -> BTreeMap<String, String> {
    tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect()
}
