//! Roles: create, read, change, delete, tags.

use api_iam::error::{delete_conflict_exception, entity_already_exists_exception, unmodifiable_entity_exception};
use api_iam::{
    CreateRole, CreateRoleRequest, CreateRoleResponse, DeleteRole, DeleteRoleRequest, GetRole, GetRoleRequest,
    GetRoleResponse, ListRoleTags, ListRoleTagsRequest, ListRoleTagsResponse, ListRoles, ListRolesRequest,
    ListRolesResponse, Role, Tag, TagRole, TagRoleRequest, UntagRole, UntagRoleRequest, UpdateAssumeRolePolicy,
    UpdateAssumeRolePolicyRequest, UpdateRole, UpdateRoleDescription, UpdateRoleDescriptionRequest,
    UpdateRoleDescriptionResponse, UpdateRoleRequest, UpdateRoleResponse,
};
use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::tags::{given, merged, without};
use crate::Identity;
use crate::port::random_text;
use crate::records::{ProfileRecord, RoleRecord, profile_prefix, role, role_key, role_prefix, taken};

#[async_trait]
impl Handle<CreateRole> for Identity {
    async fn handle(&self, cx: &Cx, req: CreateRoleRequest) -> Result<CreateRoleResponse, Error> {
        crate::policy::check_trust(&req.assume_role_policy_document)?;
        let permissions_boundary = match req.permissions_boundary {
            Some(arn) => Some(self.boundary(cx, arn).await?),
            None => None,
        };
        let path = req.path.unwrap_or_else(|| "/".to_owned());
        let account = cx.account().to_owned();
        let new = Role {
            arn: format!("arn:aws:iam::{account}:role{path}{}", req.role_name),
            path,
            role_name: req.role_name,
            role_id: format!("AROA{}", random_text(17, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
            create_date: cx.now().into(),
            assume_role_policy_document: Some(req.assume_role_policy_document),
            description: req.description,
            max_session_duration: Some(req.max_session_duration.unwrap_or(3600)),
            permissions_boundary,
            tags: given(req.tags, "Role")?,
            ..Default::default()
        };
        let role = cx
            .write(&self.store, move |tx| {
                let key = role_key(&account, &new.role_name);
                if taken::<RoleRecord>(tx, &account, &new.role_name)? {
                    let name = &new.role_name;
                    return Err(entity_already_exists_exception(format!("Role with name {name} already exists.")));
                }
                tx.put_json(
                    &key,
                    &RoleRecord {
                        role: new.clone(),
                        inline: std::collections::BTreeMap::default(),
                        attached: Vec::new(),
                    },
                )?;
                Ok(new.clone())
            })
            .await?;
        Ok(CreateRoleResponse { role: shown(role) })
    }
}

/// IAM answers with URL-encoded documents.
pub(super) fn shown(mut role: Role) -> Role {
    role.assume_role_policy_document = role.assume_role_policy_document.map(|d| encode(&d));
    role
}

pub(super) fn encode(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

#[async_trait]
impl Handle<GetRole> for Identity {
    async fn handle(&self, cx: &Cx, req: GetRoleRequest) -> Result<GetRoleResponse, Error> {
        let mut found = self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        found.role.role_last_used = Some(self.last_used(&found.role.arn).await?);
        Ok(GetRoleResponse { role: shown(found.role) })
    }
}

#[async_trait]
impl Handle<UpdateRole> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateRoleRequest) -> Result<UpdateRoleResponse, Error> {
        let change = move |r: &mut RoleRecord| {
            if req.description.is_some() {
                r.role.description.clone_from(&req.description);
            }
            if req.max_session_duration.is_some() {
                r.role.max_session_duration = req.max_session_duration;
            }
            Ok(())
        };
        self.change(cx, req.role_name, change).await?;
        Ok(UpdateRoleResponse {})
    }
}

#[async_trait]
impl Handle<UpdateAssumeRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateAssumeRolePolicyRequest) -> Result<Empty, Error> {
        let document = req.policy_document;
        crate::policy::check_trust(&document)?;
        self.change(cx, req.role_name, move |r: &mut RoleRecord| {
            r.role.assume_role_policy_document = Some(document.clone());
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteRole> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteRoleRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let record = role(tx, &account, &req.role_name)?;
            if !record.attached.is_empty() {
                return Err(delete_conflict_exception("Cannot delete entity, must detach all policies first."));
            }
            if !record.inline.is_empty() {
                return Err(delete_conflict_exception("Cannot delete entity, must delete policies first."));
            }
            let profiles: Vec<ProfileRecord> = tx.list_json(profile_prefix(&account), usize::MAX)?;
            if profiles.iter().any(|profile| profile.role.as_ref() == Some(&req.role_name)) {
                return Err(delete_conflict_exception(
                    "Cannot delete entity, must remove roles from instance profile first.",
                ));
            }
            if record.role.path.starts_with("/aws-service-role/") {
                return Err(unmodifiable_entity_exception(format!(
                    "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS",
                    req.role_name
                )));
            }
            tx.delete(role_key(&account, &req.role_name))?;
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListRoles> for Identity {
    async fn handle(&self, cx: &Cx, req: ListRolesRequest) -> Result<ListRolesResponse, Error> {
        let all: Vec<RoleRecord> = self.store.read(|tx| tx.list_json(role_prefix(cx.account()), usize::MAX)).await?;
        let path = req.path_prefix.unwrap_or_else(|| "/".to_owned());
        let roles = all.into_iter().map(|r| shown(r.role)).filter(|r| r.path.starts_with(&path));
        // Lists do not tell tags and boundaries. Source: IAM API reference, ListRoles.
        let roles = roles.map(|r| Role { tags: None, permissions_boundary: None, ..r }).collect();
        let (roles, is_truncated, marker) = page(roles, req.max_items, req.marker, |r: &Role| r.role_name.clone());
        Ok(ListRolesResponse { roles, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<TagRole> for Identity {
    async fn handle(&self, cx: &Cx, req: TagRoleRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change(cx, req.role_name, move |r: &mut RoleRecord| {
            r.role.tags = Some(merged(r.role.tags.take().unwrap_or_default(), &tags, "Role")?);
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagRole> for Identity {
    async fn handle(&self, cx: &Cx, req: UntagRoleRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change(cx, req.role_name, move |r: &mut RoleRecord| {
            without(&mut r.role.tags, &keys);
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListRoleTags> for Identity {
    async fn handle(&self, cx: &Cx, req: ListRoleTagsRequest) -> Result<ListRoleTagsResponse, Error> {
        let found = self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        let tags = found.role.tags.unwrap_or_default();
        let (tags, is_truncated, marker) = page(tags, req.max_items, req.marker, |t: &Tag| t.key.clone());
        Ok(ListRoleTagsResponse { tags, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<UpdateRoleDescription> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateRoleDescriptionRequest) -> Result<UpdateRoleDescriptionResponse, Error> {
        let (name, description) = (req.role_name.clone(), req.description);
        self.change(cx, name, move |r: &mut RoleRecord| {
            r.role.description = Some(description.clone());
            Ok(())
        })
        .await?;
        let found: RoleRecord = self.holder(cx, &req.role_name).await?;
        Ok(UpdateRoleDescriptionResponse { role: Some(shown(found.role)) })
    }
}
