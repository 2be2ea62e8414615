//! Instance profiles, which tools create beside roles. No instance here takes one.

use api_iam::error::{
    delete_conflict_exception, entity_already_exists_exception, limit_exceeded_exception, no_such_entity_exception,
};
use api_iam::{
    AddRoleToInstanceProfile, AddRoleToInstanceProfileRequest, CreateInstanceProfile, CreateInstanceProfileRequest,
    CreateInstanceProfileResponse, DeleteInstanceProfile, DeleteInstanceProfileRequest, GetInstanceProfile,
    GetInstanceProfileRequest, GetInstanceProfileResponse, InstanceProfile, ListInstanceProfileTags,
    ListInstanceProfileTagsRequest, ListInstanceProfileTagsResponse, ListInstanceProfiles, ListInstanceProfilesForRole,
    ListInstanceProfilesForRoleRequest, ListInstanceProfilesForRoleResponse, ListInstanceProfilesRequest,
    ListInstanceProfilesResponse, RemoveRoleFromInstanceProfile, RemoveRoleFromInstanceProfileRequest,
    TagInstanceProfile, TagInstanceProfileRequest, UntagInstanceProfile, UntagInstanceProfileRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::roles::shown;
use super::tags::{given, merged, without};
use super::users::LETTERS;
use crate::Identity;
use crate::port::random_text;
use crate::records::{ProfileRecord, profile_key, profile_prefix, role};

fn no_profile(name: &str) -> Error {
    no_such_entity_exception(format!("Instance Profile {name} cannot be found."))
}

fn load(tx: &mut Tx<'_>, account: &str, name: &str) -> Result<ProfileRecord, Error> {
    tx.get_json(profile_key(account, name))?.ok_or_else(|| no_profile(name))
}

/// A profile as it is told, with its role.
fn told(tx: &mut Tx<'_>, account: &str, record: ProfileRecord) -> Result<InstanceProfile, Error> {
    let mut profile = record.profile;
    if let Some(name) = record.role {
        profile.roles = vec![shown(role(tx, account, &name)?.role)];
    }
    Ok(profile)
}

impl Identity {
    async fn change_profile(
        &self,
        cx: &Cx,
        name: String,
        mut change: impl FnMut(&mut ProfileRecord) -> Result<(), Error> + Send + 'static,
    ) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let mut record = load(tx, &account, &name)?;
            change(&mut record)?;
            tx.put_json(profile_key(&account, &name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }

    pub(super) async fn profiles(&self, cx: &Cx, of_role: Option<&str>) -> Result<Vec<InstanceProfile>, Error> {
        let account = cx.account();
        self.store
            .read(|tx| {
                let mut all: Vec<ProfileRecord> = tx.list_json(profile_prefix(account), usize::MAX)?;
                all.retain(|one| of_role.is_none_or(|name| one.role.as_deref() == Some(name)));
                all.into_iter().map(|one| told(tx, account, one)).collect()
            })
            .await
    }
}

#[async_trait]
impl Handle<CreateInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: CreateInstanceProfileRequest) -> Result<CreateInstanceProfileResponse, Error> {
        let path = req.path.unwrap_or_else(|| "/".to_owned());
        let account = cx.account().to_owned();
        let name = req.instance_profile_name;
        let profile = InstanceProfile {
            arn: format!("arn:aws:iam::{account}:instance-profile{path}{name}"),
            path,
            instance_profile_id: format!("AIPA{}", random_text(17, LETTERS)),
            instance_profile_name: name,
            create_date: cx.now().into(),
            roles: Vec::new(),
            tags: given(req.tags, "InstanceProfile")?,
        };
        let new = ProfileRecord { profile, role: None };
        let instance_profile = cx
            .write(&self.store, move |tx| {
                let name = &new.profile.instance_profile_name;
                let key = profile_key(&account, name);
                let all: Vec<ProfileRecord> = tx.list_json(profile_prefix(&account), usize::MAX)?;
                if all.iter().any(|p| p.profile.instance_profile_name.eq_ignore_ascii_case(name)) {
                    return Err(entity_already_exists_exception(format!("Instance Profile {name} already exists.")));
                }
                tx.put_json(&key, &new)?;
                Ok(new.profile.clone())
            })
            .await?;
        Ok(CreateInstanceProfileResponse { instance_profile })
    }
}

#[async_trait]
impl Handle<GetInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: GetInstanceProfileRequest) -> Result<GetInstanceProfileResponse, Error> {
        let account = cx.account();
        let instance_profile = self
            .store
            .read(|tx| {
                let record = load(tx, account, &req.instance_profile_name)?;
                told(tx, account, record)
            })
            .await?;
        Ok(GetInstanceProfileResponse { instance_profile })
    }
}

#[async_trait]
impl Handle<DeleteInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteInstanceProfileRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let record = load(tx, &account, &req.instance_profile_name)?;
            if record.role.is_some() {
                return Err(delete_conflict_exception(
                    "Cannot delete entity, must remove roles from instance profile first.",
                ));
            }
            Ok(tx.delete(profile_key(&account, &req.instance_profile_name))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<AddRoleToInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: AddRoleToInstanceProfileRequest) -> Result<Empty, Error> {
        self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        self.change_profile(cx, req.instance_profile_name, move |record| {
            if record.role.is_some() {
                return Err(limit_exceeded_exception("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"));
            }
            record.role = Some(req.role_name.clone());
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<RemoveRoleFromInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: RemoveRoleFromInstanceProfileRequest) -> Result<Empty, Error> {
        self.change_profile(cx, req.instance_profile_name, move |record| {
            if record.role.as_ref() != Some(&req.role_name) {
                return Err(no_such_entity_exception(format!(
                    "The role with name {} cannot be found in the instance profile.",
                    req.role_name
                )));
            }
            record.role = None;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<ListInstanceProfiles> for Identity {
    async fn handle(&self, cx: &Cx, req: ListInstanceProfilesRequest) -> Result<ListInstanceProfilesResponse, Error> {
        let path = req.path_prefix.unwrap_or_else(|| "/".to_owned());
        let all = self.profiles(cx, None).await?.into_iter().filter(|p| p.path.starts_with(&path)).collect();
        let name = |p: &InstanceProfile| p.instance_profile_name.clone();
        let (instance_profiles, is_truncated, marker) = page(all, req.max_items, req.marker, name);
        Ok(ListInstanceProfilesResponse { instance_profiles, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<ListInstanceProfilesForRole> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListInstanceProfilesForRoleRequest,
    ) -> Result<ListInstanceProfilesForRoleResponse, Error> {
        self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        let all = self.profiles(cx, Some(&req.role_name)).await?;
        let name = |p: &InstanceProfile| p.instance_profile_name.clone();
        let (instance_profiles, is_truncated, marker) = page(all, req.max_items, req.marker, name);
        Ok(ListInstanceProfilesForRoleResponse { instance_profiles, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<TagInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: TagInstanceProfileRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change_profile(cx, req.instance_profile_name, move |record| {
            record.profile.tags =
                Some(merged(record.profile.tags.take().unwrap_or_default(), &tags, "InstanceProfile")?);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<UntagInstanceProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: UntagInstanceProfileRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change_profile(cx, req.instance_profile_name, move |record| {
            without(&mut record.profile.tags, &keys);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<ListInstanceProfileTags> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListInstanceProfileTagsRequest,
    ) -> Result<ListInstanceProfileTagsResponse, Error> {
        let found = self.store.read(|tx| load(tx, cx.account(), &req.instance_profile_name)).await?;
        let tags = found.profile.tags.unwrap_or_default();
        let (tags, is_truncated, marker) = page(tags, req.max_items, req.marker, |t| t.key.clone());
        Ok(ListInstanceProfileTagsResponse { tags, is_truncated, marker })
    }
}
