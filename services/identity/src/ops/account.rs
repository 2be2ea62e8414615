//! What there is in the account: all of it with its policies, in numbers, and by policy.

use api_iam::{
    GetAccountAuthorizationDetails, GetAccountAuthorizationDetailsRequest, GetAccountAuthorizationDetailsResponse,
    GetAccountSummary, GetAccountSummaryResponse, GroupDetail, InstanceProfile, ListEntitiesForPolicy,
    ListEntitiesForPolicyRequest, ListEntitiesForPolicyResponse, ManagedPolicyDetail, PolicyDetail, PolicyGroup,
    PolicyRole, PolicyUser, PolicyVersion, RoleDetail, RoleLastUsed, UserDetail,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::holders::attached_policies;
use super::page::page;
use super::roles::encode;
use crate::Identity;
use crate::records::{
    GroupRecord, Holder, PolicyRecord, ProfileRecord, RoleRecord, UserRecord, holder_prefix, policy, policy_prefix,
    profile_prefix,
};

/// All that holds policies in an account.
pub(super) struct Holders {
    pub(super) users: Vec<UserRecord>,
    pub(super) groups: Vec<GroupRecord>,
    pub(super) roles: Vec<RoleRecord>,
}

impl Identity {
    pub(super) async fn holders(&self, account: &str) -> Result<Holders, Error> {
        self.store
            .read(|tx| {
                Ok(Holders {
                    users: tx.list_json(holder_prefix::<UserRecord>(account), usize::MAX)?,
                    groups: tx.list_json(holder_prefix::<GroupRecord>(account), usize::MAX)?,
                    roles: tx.list_json(holder_prefix::<RoleRecord>(account), usize::MAX)?,
                })
            })
            .await
    }

    async fn own_policies(&self, account: &str) -> Result<Vec<PolicyRecord>, Error> {
        Ok(self.store.read(|tx| tx.list_json(policy_prefix(account), usize::MAX)).await?)
    }
}

fn inline<H: Holder>(holder: &mut H) -> Vec<PolicyDetail> {
    let all = std::mem::take(holder.inline()).into_iter();
    all.map(|(name, text)| PolicyDetail { policy_name: Some(name), policy_document: Some(encode(&text)) }).collect()
}

/// An entry of the details: they are told as one list, cut into pages.
enum Detail {
    User(Box<UserDetail>),
    Group(Box<GroupDetail>),
    Role(Box<RoleDetail>),
    Policy(Box<ManagedPolicyDetail>),
}

impl Detail {
    fn name(&self) -> String {
        let (kind, arn) = match self {
            Self::User(u) => ("1", &u.arn),
            Self::Group(g) => ("2", &g.arn),
            Self::Role(r) => ("3", &r.arn),
            Self::Policy(p) => ("4", &p.arn),
        };
        format!("{kind}{}", arn.as_deref().unwrap_or_default())
    }
}

fn user_detail(mut u: UserRecord) -> Detail {
    let user_policy_list = Some(inline(&mut u));
    Detail::User(Box::new(UserDetail {
        user_policy_list,
        group_list: Some(u.groups),
        attached_managed_policies: Some(attached_policies(&u.attached)),
        path: Some(u.user.path),
        user_name: Some(u.user.user_name),
        user_id: Some(u.user.user_id),
        arn: Some(u.user.arn),
        create_date: Some(u.user.create_date),
        permissions_boundary: u.user.permissions_boundary,
        tags: u.user.tags,
    }))
}

fn group_detail(mut g: GroupRecord) -> Detail {
    let group_policy_list = Some(inline(&mut g));
    Detail::Group(Box::new(GroupDetail {
        group_policy_list,
        attached_managed_policies: Some(attached_policies(&g.attached)),
        path: Some(g.group.path),
        group_name: Some(g.group.group_name),
        group_id: Some(g.group.group_id),
        arn: Some(g.group.arn),
        create_date: Some(g.group.create_date),
    }))
}

fn role_detail(mut r: RoleRecord, profiles: &[InstanceProfile], last_used: RoleLastUsed) -> Detail {
    let mut own = profiles.to_vec();
    own.retain(|profile| profile.roles.iter().any(|role| role.role_name == r.role.role_name));
    let role_policy_list = Some(inline(&mut r));
    Detail::Role(Box::new(RoleDetail {
        role_policy_list,
        instance_profile_list: Some(own),
        attached_managed_policies: Some(attached_policies(&r.attached)),
        path: Some(r.role.path),
        role_name: Some(r.role.role_name),
        role_id: Some(r.role.role_id),
        arn: Some(r.role.arn),
        create_date: Some(r.role.create_date),
        assume_role_policy_document: r.role.assume_role_policy_document.map(|text| encode(&text)),
        permissions_boundary: r.role.permissions_boundary,
        tags: r.role.tags,
        role_last_used: Some(last_used),
    }))
}

#[async_trait]
impl Handle<GetAccountAuthorizationDetails> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetAccountAuthorizationDetailsRequest,
    ) -> Result<GetAccountAuthorizationDetailsResponse, Error> {
        let filter = req.filter.unwrap_or_default();
        let wanted = |kind: &str| filter.is_empty() || filter.iter().any(|one| one == kind);
        let holders = self.holders(cx.account()).await?;
        let profiles = self.profiles(cx, None).await?;
        let mut all = Vec::new();
        let counts: Vec<String> = attached_everywhere(&holders);
        if wanted("User") {
            all.extend(holders.users.into_iter().map(user_detail));
        }
        if wanted("Group") {
            all.extend(holders.groups.into_iter().map(group_detail));
        }
        if wanted("Role") {
            for role in holders.roles {
                let last_used = self.last_used(&role.role.arn).await?;
                all.push(role_detail(role, &profiles, last_used));
            }
        }
        let mut policies = Vec::new();
        if wanted("LocalManagedPolicy") {
            policies.extend(self.own_policies(cx.account()).await?);
        }
        if wanted("AWSManagedPolicy") {
            // Of AWS's own, those that are attached.
            let attached = |p: &PolicyRecord| p.policy.arn.as_ref().is_some_and(|arn| counts.contains(arn));
            policies.extend(crate::managed::all().filter(attached));
        }
        all.extend(policies.into_iter().map(|p| {
            let count = counts.iter().filter(|arn| p.policy.arn.as_ref() == Some(arn)).count();
            Detail::Policy(Box::new(policy_detail(p, count)))
        }));
        let (page, is_truncated, marker) = page(all, req.max_items, req.marker, Detail::name);
        let mut out = GetAccountAuthorizationDetailsResponse {
            user_detail_list: Some(Vec::new()),
            group_detail_list: Some(Vec::new()),
            role_detail_list: Some(Vec::new()),
            policies: Some(Vec::new()),
            is_truncated,
            marker,
        };
        for detail in page {
            match detail {
                Detail::User(u) => out.user_detail_list.get_or_insert_default().push(*u),
                Detail::Group(g) => out.group_detail_list.get_or_insert_default().push(*g),
                Detail::Role(r) => out.role_detail_list.get_or_insert_default().push(*r),
                Detail::Policy(p) => out.policies.get_or_insert_default().push(*p),
            }
        }
        Ok(out)
    }
}

fn policy_detail(record: PolicyRecord, count: usize) -> ManagedPolicyDetail {
    let p = record.policy;
    let versions = record.versions.into_iter();
    let versions = versions.map(|v| PolicyVersion { document: v.document.map(|text| encode(&text)), ..v }).collect();
    ManagedPolicyDetail {
        policy_name: p.policy_name,
        policy_id: p.policy_id,
        arn: p.arn,
        path: p.path,
        default_version_id: p.default_version_id,
        attachment_count: i32::try_from(count).ok(),
        permissions_boundary_usage_count: p.permissions_boundary_usage_count,
        is_attachable: p.is_attachable,
        description: p.description,
        create_date: p.create_date,
        update_date: p.update_date,
        policy_version_list: Some(versions),
    }
}

/// The ARNs of all attachments, one for each.
pub(super) fn attached_everywhere(holders: &Holders) -> Vec<String> {
    let users = holders.users.iter().flat_map(|u| &u.attached);
    let groups = holders.groups.iter().flat_map(|g| &g.attached);
    let roles = holders.roles.iter().flat_map(|r| &r.attached);
    users.chain(groups).chain(roles).cloned().collect()
}

/// The ARNs of all permission boundaries, one for each use.
pub(super) fn bounding_everywhere(holders: &Holders) -> Vec<String> {
    let users = holders.users.iter().filter_map(Holder::boundary);
    let roles = holders.roles.iter().filter_map(Holder::boundary);
    users.chain(roles).map(str::to_owned).collect()
}

#[async_trait]
impl Handle<ListEntitiesForPolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: ListEntitiesForPolicyRequest) -> Result<ListEntitiesForPolicyResponse, Error> {
        self.store.read(|tx| policy(tx, cx.account(), &req.policy_arn)).await?;
        let mut holders = self.holders(cx.account()).await?;
        let (arn, path) = (req.policy_arn, req.path_prefix.unwrap_or_else(|| "/".to_owned()));
        let bounds = req.policy_usage_filter.as_deref() == Some("PermissionsBoundary");
        let either = req.policy_usage_filter.is_none();
        let filter = req.entity_filter.as_deref();
        let wanted = |kind: &str| filter.is_none_or(|filter| filter == kind);
        let mut all: Vec<(&str, String, String)> = Vec::new();
        if wanted("Group") {
            holders.groups.iter_mut().for_each(|h| all.extend(uses(h, &arn, &path, bounds, either)));
        }
        if wanted("Role") {
            holders.roles.iter_mut().for_each(|h| all.extend(uses(h, &arn, &path, bounds, either)));
        }
        if wanted("User") {
            holders.users.iter_mut().for_each(|h| all.extend(uses(h, &arn, &path, bounds, either)));
        }
        let (page, is_truncated, marker) =
            page(all, req.max_items, req.marker, |(kind, name, _)| format!("{kind}/{name}"));
        let of = |kind: &'static str| {
            page.iter().filter(move |one| one.0 == kind).map(|(_, name, id)| (Some(name.clone()), Some(id.clone())))
        };
        let groups = of("group").map(|(group_name, group_id)| PolicyGroup { group_name, group_id }).collect();
        let users = of("user").map(|(user_name, user_id)| PolicyUser { user_name, user_id }).collect();
        let roles = of("role").map(|(role_name, role_id)| PolicyRole { role_name, role_id }).collect();
        Ok(ListEntitiesForPolicyResponse {
            policy_groups: Some(groups),
            policy_users: Some(users),
            policy_roles: Some(roles),
            is_truncated,
            marker,
        })
    }
}

/// A holder's kind, name and id, where it uses the policy in the way that is asked about.
fn uses<H: Holder>(
    holder: &mut H,
    arn: &str,
    path: &str,
    bounds: bool,
    either: bool,
) -> Option<(&'static str, String, String)> {
    let attached = holder.attached().iter().any(|a| a == arn);
    let bounded = holder.boundary() == Some(arn);
    let used = (attached && (!bounds || either)) || (bounded && (bounds || either));
    (used && holder.path().starts_with(path)).then(|| (H::KIND, holder.name().to_owned(), holder.id().to_owned()))
}

#[async_trait]
impl Handle<GetAccountSummary> for Identity {
    async fn handle(&self, cx: &Cx, _: Empty) -> Result<GetAccountSummaryResponse, Error> {
        let holders = self.holders(cx.account()).await?;
        let policies = self.own_policies(cx.account()).await?;
        let prefix = profile_prefix(cx.account());
        let profiles: Vec<ProfileRecord> = self.store.read(|tx| tx.list_json(&prefix, usize::MAX)).await?;
        let versions: usize = policies.iter().map(|p| p.versions.len()).sum();
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let counts = [
            ("Users", count(holders.users.len())),
            ("Groups", count(holders.groups.len())),
            ("Roles", count(holders.roles.len())),
            ("Policies", count(policies.len())),
            ("PolicyVersionsInUse", count(versions)),
            ("InstanceProfiles", count(profiles.len())),
            ("Providers", 0),
            ("ServerCertificates", 0),
            ("MFADevices", 0),
            ("MFADevicesInUse", 0),
            ("AccountMFAEnabled", 0),
            ("AccountAccessKeysPresent", 1),
            ("AccessKeysPerUserQuota", 2),
            ("VersionsPerPolicyQuota", 5),
            ("UserPolicySizeQuota", 2048),
            ("GroupPolicySizeQuota", 5120),
            ("PolicySizeQuota", 6144),
            ("AssumeRolePolicySizeQuota", 2048),
        ];
        let map = counts.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        Ok(GetAccountSummaryResponse { summary_map: Some(map) })
    }
}
