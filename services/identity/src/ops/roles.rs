//! Roles: create, read, change, delete, tags.

use api_iam::error::{delete_conflict_exception, entity_already_exists_exception, malformed_policy_document_exception};
use api_iam::{
    CreateRole, CreateRoleRequest, CreateRoleResponse, DeleteRole, DeleteRoleRequest, GetRole, GetRoleRequest,
    GetRoleResponse, ListInstanceProfilesForRole, ListInstanceProfilesForRoleRequest,
    ListInstanceProfilesForRoleResponse, ListRoleTags, ListRoleTagsRequest, ListRoleTagsResponse, ListRoles,
    ListRolesRequest, ListRolesResponse, Role, Tag, TagRole, TagRoleRequest, UntagRole, UntagRoleRequest,
    UpdateAssumeRolePolicy, UpdateAssumeRolePolicyRequest, UpdateRole, UpdateRoleRequest, UpdateRoleResponse,
};
use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::Identity;
use crate::port::random_text;
use crate::records::{RoleRecord, role, role_key, role_prefix};

/// Roles in one page.
const PAGE: usize = 100;

#[async_trait]
impl Handle<CreateRole> for Identity {
    async fn handle(&self, cx: &Cx, req: CreateRoleRequest) -> Result<CreateRoleResponse, Error> {
        let trust: Result<serde_json::Value, _> = serde_json::from_str(&req.assume_role_policy_document);
        if !trust.is_ok_and(|t| t.get("Statement").is_some()) {
            return Err(malformed_policy_document_exception("This policy contains invalid Json"));
        }
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
            tags: req.tags.filter(|t| !t.is_empty()),
            ..Default::default()
        };
        let role = cx
            .write(&self.store, move |tx| {
                let key = role_key(&account, &new.role_name);
                if tx.get(&key)?.is_some() {
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
fn shown(mut role: Role) -> Role {
    role.assume_role_policy_document = role.assume_role_policy_document.map(|d| encode(&d));
    role
}

pub(super) fn encode(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

#[async_trait]
impl Handle<GetRole> for Identity {
    async fn handle(&self, cx: &Cx, req: GetRoleRequest) -> Result<GetRoleResponse, Error> {
        let found = self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        Ok(GetRoleResponse { role: shown(found.role) })
    }
}

impl Identity {
    /// Loads, changes and stores a role in one transaction.
    pub(super) async fn change_role(
        &self,
        cx: &Cx,
        name: String,
        mut change: impl FnMut(&mut RoleRecord) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let mut record = role(tx, &account, &name)?;
            change(&mut record)?;
            tx.put_json(role_key(&account, &name), &record)?;
            Ok(())
        })
        .await
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
        self.change_role(cx, req.role_name, change).await?;
        Ok(UpdateRoleResponse {})
    }
}

#[async_trait]
impl Handle<UpdateAssumeRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateAssumeRolePolicyRequest) -> Result<Empty, Error> {
        let document = req.policy_document;
        self.change_role(cx, req.role_name, move |r| {
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
        let limit = req.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE);
        let after = req.marker.map(|m| role_key(cx.account(), &m).into_bytes()).unwrap_or_default();
        let prefix = role_prefix(cx.account());
        let pairs = self.store.read(|tx| tx.scan_after(&prefix, &after, limit + 1)).await?;
        let more = pairs.len() > limit;
        let path = req.path_prefix.unwrap_or_else(|| "/".to_owned());
        let records: Result<Vec<RoleRecord>, _> =
            pairs.iter().take(limit).map(|(k, v)| store::kv::decode(k, v)).collect();
        let records = records?;
        let marker = records.last().filter(|_| more).map(|r| r.role.role_name.clone());
        let roles = records.into_iter().map(|r| shown(r.role)).filter(|r| r.path.starts_with(&path)).collect();
        Ok(ListRolesResponse { roles, is_truncated: Some(more), marker })
    }
}

#[async_trait]
impl Handle<TagRole> for Identity {
    async fn handle(&self, cx: &Cx, req: TagRoleRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change_role(cx, req.role_name, move |r| {
            r.role.tags = Some(merged(r.role.tags.take().unwrap_or_default(), &tags));
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

pub(super) fn merged(mut old: Vec<Tag>, new: &[Tag]) -> Vec<Tag> {
    old.retain(|t| new.iter().all(|n| n.key != t.key));
    old.extend_from_slice(new);
    old
}

#[async_trait]
impl Handle<UntagRole> for Identity {
    async fn handle(&self, cx: &Cx, req: UntagRoleRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change_role(cx, req.role_name, move |r| {
            if let Some(tags) = &mut r.role.tags {
                tags.retain(|t| !keys.contains(&t.key));
            }
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
        Ok(ListRoleTagsResponse { tags: found.role.tags.unwrap_or_default(), is_truncated: Some(false), marker: None })
    }
}

#[async_trait]
impl Handle<ListInstanceProfilesForRole> for Identity {
    /// There are no instances here, hence no profiles: a role is in none of them.
    async fn handle(
        &self,
        cx: &Cx,
        req: ListInstanceProfilesForRoleRequest,
    ) -> Result<ListInstanceProfilesForRoleResponse, Error> {
        self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        Ok(ListInstanceProfilesForRoleResponse { is_truncated: Some(false), ..Default::default() })
    }
}
