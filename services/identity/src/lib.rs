//! IAM and STS: roles, their policies, and the sessions that act under them. Implements the platform's
//! [`service::identity::Identity`] port: who holds which keys, and who may do what.
//!
//! Map: [`ops`] the operations, a file per resource · [`federation`] tokens of OpenID Connect and who signs them · [`policy`] the policy language, pure · [`managed`] AWS's managed
//! policies · [`accessed`] who used which service · [`records`] what is stored · [`port`] the port.
//!
//! Enforced: identity policies of roles, users and groups (inline and attached), permission boundaries and session policies, with Allow,
//! Deny, wildcards, resources and conditions; a condition on a key that is not known here is taken for the worse (an Allow gives
//! nothing, a Deny denies). What an operation asks for, and resources' policies, are `service::authorization`'s. See docs/iam.md.

mod accessed;
mod federation;
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
    principals: Cache<KnownPrincipal>,
    /// Keys of processes that end with this server.
    lent: Mutex<BTreeMap<String, SessionRecord>>,
    issuers: federation::issuers::Issuers,
    noted: accessed::Noted,
}

/// What is asked of a role or user again and again.
struct KnownPrincipal {
    /// With its path.
    arn: String,
    id: String,
    /// Its policies, a user's groups' too, parsed.
    policies: Vec<Value>,
    /// The permissions boundary, where there is one. One that is no more allows nothing.
    boundary: Option<Vec<Value>>,
    tags: BTreeMap<String, String>,
}

/// Roles and users that are kept in memory.
const MAX_PRINCIPALS: usize = 1000;

/// The keys of the server's owner.
#[derive(Clone)]
pub struct RootKeys {
    pub access_key: String,
    pub secret_key: String,
}

/// Registers IAM's and STS's operations and becomes the platform's identity.
pub fn register(platform: &Platform, root: RootKeys) -> Arc<Identity> {
    let store = platform.control.store().clone();
    let principals = Cache::new(&store, MAX_PRINCIPALS, records::decides());
    let (account, lent) = (platform.account.clone(), Mutex::default());
    // S3, which gives accounts their names, refuses to start where they are set wrong.
    let accounts = platform.settings.accounts().unwrap_or_default();
    let (issuers, noted) = (federation::issuers::Issuers::default(), accessed::Noted::default());
    let identity = Arc::new(Identity { store, account, root, accounts, principals, lent, issuers, noted });
    let router = &platform.router;
    operations!(router, identity, api_iam:
        AddClientIDToOpenIDConnectProvider, AddRoleToInstanceProfile, AddUserToGroup, AttachGroupPolicy,
        AttachRolePolicy, AttachUserPolicy, CreateAccessKey, CreateAccountAlias, CreateGroup, CreateInstanceProfile,
        CreateOpenIDConnectProvider, CreatePolicy, CreatePolicyVersion, CreateRole, CreateServiceLinkedRole,
        CreateUser, DeleteAccessKey, DeleteAccountAlias, DeleteAccountPasswordPolicy, DeleteGroup, DeleteGroupPolicy,
        DeleteInstanceProfile, DeleteLoginProfile, DeleteOpenIDConnectProvider, DeletePolicy, DeletePolicyVersion,
        DeleteRole, DeleteRolePermissionsBoundary, DeleteRolePolicy, DeleteServiceLinkedRole, DeleteUser,
        DeleteUserPermissionsBoundary, DeleteUserPolicy, DetachGroupPolicy, DetachRolePolicy, DetachUserPolicy,
        GenerateServiceLastAccessedDetails, GetServiceLastAccessedDetails, GetServiceLastAccessedDetailsWithEntities,
        ListPoliciesGrantingServiceAccess, GetAccessKeyLastUsed, GetAccountAuthorizationDetails, GetAccountPasswordPolicy, GetAccountSummary,
        GetContextKeysForCustomPolicy, GetContextKeysForPrincipalPolicy, GetGroup, GetGroupPolicy, GetInstanceProfile,
        GetLoginProfile, GetOpenIDConnectProvider, GetPolicy, GetPolicyVersion, GetRole, GetRolePolicy,
        GetServiceLinkedRoleDeletionStatus, GetUser, GetUserPolicy, ListAccessKeys, ListAccountAliases,
        ListAttachedGroupPolicies, ListAttachedRolePolicies, ListAttachedUserPolicies, ListEntitiesForPolicy,
        ListGroupPolicies, ListGroups, ListGroupsForUser, ListInstanceProfileTags, ListInstanceProfiles,
        ListInstanceProfilesForRole, ListMFADevices, ListOpenIDConnectProviderTags, ListOpenIDConnectProviders,
        ListPolicies, ListPolicyTags, ListPolicyVersions, ListRolePolicies, ListRoleTags, ListRoles, ListSSHPublicKeys,
        ListServiceSpecificCredentials, ListSigningCertificates, ListUserPolicies, ListUserTags, ListUsers,
        ListVirtualMFADevices, PutGroupPolicy, PutRolePermissionsBoundary, PutRolePolicy, PutUserPermissionsBoundary,
        PutUserPolicy, RemoveClientIDFromOpenIDConnectProvider, RemoveRoleFromInstanceProfile, RemoveUserFromGroup,
        SetDefaultPolicyVersion, SimulateCustomPolicy, SimulatePrincipalPolicy, TagInstanceProfile,
        TagOpenIDConnectProvider, TagPolicy, TagRole, TagUser, UntagInstanceProfile, UntagOpenIDConnectProvider,
        UntagPolicy, UntagRole, UntagUser, UpdateAccessKey, UpdateAccountPasswordPolicy, UpdateAssumeRolePolicy,
        UpdateGroup, UpdateOpenIDConnectProviderThumbprint, UpdateRole, UpdateRoleDescription, UpdateUser);
    operations!(router, identity, api_sts: GetCallerIdentity, AssumeRole, AssumeRoleWithWebIdentity, GetFederationToken,
        GetSessionToken, GetAccessKeyInfo, DecodeAuthorizationMessage);
    router.set_identity(identity.clone());
    identity
}
