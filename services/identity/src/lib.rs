//! IAM and STS: roles, their policies, and the sessions that act under them. Implements the platform's
//! [`service::identity::Identity`] port: who holds which keys, and who may do what.
//!
//! Map: [`ops`] the operations, a file per resource · [`policy`] the policy language, pure · [`managed`] AWS's managed
//! policies · [`records`] what is stored · [`port`] the port.
//!
//! Enforced: identity policies of roles (inline and attached) and session policies, with Allow, Deny, wildcards, resources and
//! conditions; a condition on a key that the service does not tell is taken for the worse (an Allow gives nothing, a Deny denies).
//! Resources' policies are S3's, which knows all keys of its requests. Not yet: permission boundaries, users and groups.

mod managed;
mod ops;
pub mod policy;
mod port;
mod records;

pub use port::{random_text, random_token};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use service::{Accounts, Platform, operations};
use store::{Cache, Store};

use crate::records::SessionRecord;

/// The service's state: records in the control store, and the root keys.
pub struct Identity {
    store: Store,
    account: String,
    root: RootKeys,
    /// The accounts beside the server's own.
    accounts: Accounts,
    roles: Cache<KnownRole>,
    /// Keys of processes that end with this server.
    lent: Mutex<BTreeMap<String, SessionRecord>>,
}

/// What is asked of a role again and again.
struct KnownRole {
    id: String,
    /// Its policies, parsed.
    policies: Vec<Value>,
}

/// Roles that are kept in memory.
const MAX_ROLES: usize = 1000;

/// The keys of the server's owner.
#[derive(Clone)]
pub struct RootKeys {
    pub access_key: String,
    pub secret_key: String,
}

/// Registers IAM's and STS's operations and becomes the platform's identity.
pub fn register(platform: &Platform, root: RootKeys) -> Arc<Identity> {
    let store = platform.control.store().clone();
    let roles = Cache::new(&store, MAX_ROLES, records::decides());
    let (account, lent) = (platform.account.clone(), Mutex::default());
    // S3, which gives accounts their names, refuses to start where they are set wrong.
    let accounts = platform.settings.accounts().unwrap_or_default();
    let identity = Arc::new(Identity { store, account, root, accounts, roles, lent });
    let router = &platform.router;
    operations!(router, identity, api_iam:
        CreateRole, GetRole, UpdateRole, DeleteRole, ListRoles, UpdateAssumeRolePolicy, TagRole, UntagRole, ListRoleTags,
        ListInstanceProfilesForRole, PutRolePolicy, GetRolePolicy, DeleteRolePolicy, ListRolePolicies, AttachRolePolicy,
        DetachRolePolicy, ListAttachedRolePolicies, CreatePolicy, GetPolicy, DeletePolicy, ListPolicies, CreatePolicyVersion,
        GetPolicyVersion, DeletePolicyVersion, ListPolicyVersions, TagPolicy, UntagPolicy);
    operations!(router, identity, api_sts: GetCallerIdentity, AssumeRole);
    router.set_identity(identity.clone());
    identity
}
