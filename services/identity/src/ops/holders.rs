//! What roles, users and groups have in common: inline policies, attached managed policies, permission boundaries.

use api_iam::error::{invalid_input_exception, no_such_entity_exception};
use api_iam::{
    AttachGroupPolicy, AttachGroupPolicyRequest, AttachRolePolicy, AttachRolePolicyRequest, AttachUserPolicy,
    AttachUserPolicyRequest, AttachedPermissionsBoundary, AttachedPolicy, DeleteGroupPolicy, DeleteGroupPolicyRequest,
    DeleteRolePermissionsBoundary, DeleteRolePermissionsBoundaryRequest, DeleteRolePolicy, DeleteRolePolicyRequest,
    DeleteUserPermissionsBoundary, DeleteUserPermissionsBoundaryRequest, DeleteUserPolicy, DeleteUserPolicyRequest,
    DetachGroupPolicy, DetachGroupPolicyRequest, DetachRolePolicy, DetachRolePolicyRequest, DetachUserPolicy,
    DetachUserPolicyRequest, GetGroupPolicy, GetGroupPolicyRequest, GetGroupPolicyResponse, GetRolePolicy,
    GetRolePolicyRequest, GetRolePolicyResponse, GetUserPolicy, GetUserPolicyRequest, GetUserPolicyResponse,
    ListAttachedGroupPolicies, ListAttachedGroupPoliciesRequest, ListAttachedGroupPoliciesResponse,
    ListAttachedRolePolicies, ListAttachedRolePoliciesRequest, ListAttachedRolePoliciesResponse,
    ListAttachedUserPolicies, ListAttachedUserPoliciesRequest, ListAttachedUserPoliciesResponse, ListGroupPolicies,
    ListGroupPoliciesRequest, ListGroupPoliciesResponse, ListRolePolicies, ListRolePoliciesRequest,
    ListRolePoliciesResponse, ListUserPolicies, ListUserPoliciesRequest, ListUserPoliciesResponse, PutGroupPolicy,
    PutGroupPolicyRequest, PutRolePermissionsBoundary, PutRolePermissionsBoundaryRequest, PutRolePolicy,
    PutRolePolicyRequest, PutUserPermissionsBoundary, PutUserPermissionsBoundaryRequest, PutUserPolicy,
    PutUserPolicyRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::roles::encode;
use crate::Identity;
use crate::policy::check_size;
use crate::records::{GroupRecord, Holder, RoleRecord, UserRecord, holder, holder_key, policy};

impl Identity {
    /// Reads a role, user or group.
    pub(super) async fn holder<H: Holder>(&self, cx: &Cx, name: &str) -> Result<H, Error> {
        self.store.read(|tx| holder(tx, cx.account(), name)).await
    }

    /// Loads, changes and stores one in one transaction.
    pub(super) async fn change<H: Holder>(
        &self,
        cx: &Cx,
        name: String,
        mut change: impl FnMut(&mut H) -> Result<(), Error> + Send + 'static,
    ) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let mut record: H = holder(tx, &account, &name)?;
            change(&mut record)?;
            tx.put_json(holder_key::<H>(&account, &name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }

    async fn put_inline<H: Holder>(&self, cx: &Cx, of: String, name: String, document: String) -> Result<Empty, Error> {
        crate::policy::check(&document)?;
        self.change(cx, of.clone(), move |record: &mut H| {
            record.inline().insert(name.clone(), document.clone());
            check_size(record.inline().values(), H::INLINE, &format!("{} {of}", H::KIND))
        })
        .await
    }

    async fn inline<H: Holder>(&self, cx: &Cx, of: &str, name: &str) -> Result<String, Error> {
        let mut found: H = self.holder(cx, of).await?;
        let document = found.inline().remove(name).ok_or_else(|| no_policy::<H>(name))?;
        Ok(encode(&document))
    }

    async fn delete_inline<H: Holder>(&self, cx: &Cx, of: String, name: String) -> Result<Empty, Error> {
        let delete =
            move |record: &mut H| record.inline().remove(&name).map(|_| ()).ok_or_else(|| no_policy::<H>(&name));
        self.change(cx, of, delete).await
    }

    async fn attach<H: Holder>(&self, cx: &Cx, of: String, arn: String) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            policy(tx, &account, &arn)?;
            let mut record: H = holder(tx, &account, &of)?;
            if !record.attached().contains(&arn) {
                record.attached().push(arn.clone());
            }
            tx.put_json(holder_key::<H>(&account, &of), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }

    async fn detach<H: Holder>(&self, cx: &Cx, of: String, arn: String) -> Result<Empty, Error> {
        let detach = move |record: &mut H| {
            let before = record.attached().len();
            record.attached().retain(|a| *a != arn);
            if record.attached().len() == before {
                return Err(no_such_entity_exception(format!("Policy {arn} was not found.")));
            }
            Ok(())
        };
        self.change(cx, of, detach).await
    }

    async fn attached<H: Holder>(&self, cx: &Cx, of: &str, prefix: Option<&str>) -> Result<Vec<AttachedPolicy>, Error> {
        let mut found: H = self.holder(cx, of).await?;
        let mut all: Vec<AttachedPolicy> = attached_policies(found.attached());
        all.retain(|one| one.policy_arn.as_deref().is_some_and(|arn| path_of(arn).starts_with(prefix.unwrap_or("/"))));
        Ok(all)
    }

    /// Sees to it that a boundary is a policy that exists.
    pub(super) async fn boundary(&self, cx: &Cx, arn: String) -> Result<AttachedPermissionsBoundary, Error> {
        if !arn.contains(":policy/") {
            return Err(invalid_input_exception(format!("ARN {arn} is not valid.")));
        }
        self.store.read(|tx| policy(tx, cx.account(), &arn)).await?;
        Ok(AttachedPermissionsBoundary {
            permissions_boundary_type: Some("Policy".to_owned()),
            permissions_boundary_arn: Some(arn),
        })
    }
}

/// The path of a policy's ARN: `/service-role/`.
fn path_of(arn: &str) -> String {
    let rest = arn.split_once(":policy").map_or("/", |(_, rest)| rest);
    rest.rsplit_once('/').map_or_else(|| "/".to_owned(), |(path, _)| format!("{path}/"))
}

pub(super) fn attached_policies(arns: &[String]) -> Vec<AttachedPolicy> {
    let one = |arn: &String| AttachedPolicy {
        policy_name: arn.rsplit('/').next().map(str::to_owned),
        policy_arn: Some(arn.clone()),
    };
    arns.iter().map(one).collect()
}

fn no_policy<H: Holder>(name: &str) -> Error {
    no_such_entity_exception(format!("The {} policy with name {name} cannot be found.", H::KIND))
}

macro_rules! policies {
    ($record:ident, $of:ident,
     $put:ident $put_in:ident, $get:ident $get_in:ident $get_out:ident, $delete:ident $delete_in:ident,
     $list:ident $list_in:ident $list_out:ident, $attach:ident $attach_in:ident, $detach:ident $detach_in:ident,
     $attached:ident $attached_in:ident $attached_out:ident) => {
        #[async_trait]
        impl Handle<$put> for Identity {
            async fn handle(&self, cx: &Cx, req: $put_in) -> Result<Empty, Error> {
                self.put_inline::<$record>(cx, req.$of, req.policy_name, req.policy_document).await
            }
        }
        #[async_trait]
        impl Handle<$get> for Identity {
            async fn handle(&self, cx: &Cx, req: $get_in) -> Result<$get_out, Error> {
                let policy_document = self.inline::<$record>(cx, &req.$of, &req.policy_name).await?;
                Ok($get_out { $of: req.$of, policy_name: req.policy_name, policy_document })
            }
        }
        #[async_trait]
        impl Handle<$delete> for Identity {
            async fn handle(&self, cx: &Cx, req: $delete_in) -> Result<Empty, Error> {
                self.delete_inline::<$record>(cx, req.$of, req.policy_name).await
            }
        }
        #[async_trait]
        impl Handle<$list> for Identity {
            async fn handle(&self, cx: &Cx, req: $list_in) -> Result<$list_out, Error> {
                let mut found: $record = self.holder(cx, &req.$of).await?;
                let names = std::mem::take(found.inline()).into_keys().collect();
                let (policy_names, is_truncated, marker) = page(names, req.max_items, req.marker, Clone::clone);
                Ok($list_out { policy_names, is_truncated, marker })
            }
        }
        #[async_trait]
        impl Handle<$attach> for Identity {
            async fn handle(&self, cx: &Cx, req: $attach_in) -> Result<Empty, Error> {
                self.attach::<$record>(cx, req.$of, req.policy_arn).await
            }
        }
        #[async_trait]
        impl Handle<$detach> for Identity {
            async fn handle(&self, cx: &Cx, req: $detach_in) -> Result<Empty, Error> {
                self.detach::<$record>(cx, req.$of, req.policy_arn).await
            }
        }
        #[async_trait]
        impl Handle<$attached> for Identity {
            async fn handle(&self, cx: &Cx, req: $attached_in) -> Result<$attached_out, Error> {
                let all = self.attached::<$record>(cx, &req.$of, req.path_prefix.as_deref()).await?;
                let name = |one: &AttachedPolicy| one.policy_arn.clone().unwrap_or_default();
                let (found, is_truncated, marker) = page(all, req.max_items, req.marker, name);
                Ok($attached_out { attached_policies: Some(found), is_truncated, marker })
            }
        }
    };
}

policies!(RoleRecord, role_name,
    PutRolePolicy PutRolePolicyRequest, GetRolePolicy GetRolePolicyRequest GetRolePolicyResponse,
    DeleteRolePolicy DeleteRolePolicyRequest, ListRolePolicies ListRolePoliciesRequest ListRolePoliciesResponse,
    AttachRolePolicy AttachRolePolicyRequest, DetachRolePolicy DetachRolePolicyRequest,
    ListAttachedRolePolicies ListAttachedRolePoliciesRequest ListAttachedRolePoliciesResponse);
policies!(UserRecord, user_name,
    PutUserPolicy PutUserPolicyRequest, GetUserPolicy GetUserPolicyRequest GetUserPolicyResponse,
    DeleteUserPolicy DeleteUserPolicyRequest, ListUserPolicies ListUserPoliciesRequest ListUserPoliciesResponse,
    AttachUserPolicy AttachUserPolicyRequest, DetachUserPolicy DetachUserPolicyRequest,
    ListAttachedUserPolicies ListAttachedUserPoliciesRequest ListAttachedUserPoliciesResponse);
policies!(GroupRecord, group_name,
    PutGroupPolicy PutGroupPolicyRequest, GetGroupPolicy GetGroupPolicyRequest GetGroupPolicyResponse,
    DeleteGroupPolicy DeleteGroupPolicyRequest, ListGroupPolicies ListGroupPoliciesRequest ListGroupPoliciesResponse,
    AttachGroupPolicy AttachGroupPolicyRequest, DetachGroupPolicy DetachGroupPolicyRequest,
    ListAttachedGroupPolicies ListAttachedGroupPoliciesRequest ListAttachedGroupPoliciesResponse);

#[async_trait]
impl Handle<PutRolePermissionsBoundary> for Identity {
    async fn handle(&self, cx: &Cx, req: PutRolePermissionsBoundaryRequest) -> Result<Empty, Error> {
        let boundary = self.boundary(cx, req.permissions_boundary).await?;
        self.change(cx, req.role_name, move |r: &mut RoleRecord| {
            r.role.permissions_boundary = Some(boundary.clone());
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<DeleteRolePermissionsBoundary> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteRolePermissionsBoundaryRequest) -> Result<Empty, Error> {
        self.change(cx, req.role_name, |r: &mut RoleRecord| {
            r.role.permissions_boundary = None;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<PutUserPermissionsBoundary> for Identity {
    async fn handle(&self, cx: &Cx, req: PutUserPermissionsBoundaryRequest) -> Result<Empty, Error> {
        let boundary = self.boundary(cx, req.permissions_boundary).await?;
        self.change(cx, req.user_name, move |u: &mut UserRecord| {
            u.user.permissions_boundary = Some(boundary.clone());
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<DeleteUserPermissionsBoundary> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteUserPermissionsBoundaryRequest) -> Result<Empty, Error> {
        self.change(cx, req.user_name, |u: &mut UserRecord| {
            u.user.permissions_boundary = None;
            Ok(())
        })
        .await
    }
}
