//! Users: create, read, change, delete, tags. They have no passwords, devices or certificates here: there is no console of AWS to sign in
//! to, and what lists them is empty.

use api_iam::error::{delete_conflict_exception, entity_already_exists_exception, no_such_entity_exception};
use api_iam::{
    CreateUser, CreateUserRequest, CreateUserResponse, DeleteLoginProfile, DeleteLoginProfileRequest, DeleteUser,
    DeleteUserRequest, GetLoginProfile, GetLoginProfileRequest, GetLoginProfileResponse, GetUser, GetUserRequest,
    GetUserResponse, ListGroupsForUser, ListGroupsForUserRequest, ListGroupsForUserResponse, ListMFADevices,
    ListMFADevicesRequest, ListMFADevicesResponse, ListSSHPublicKeys, ListSSHPublicKeysRequest,
    ListSSHPublicKeysResponse, ListServiceSpecificCredentials, ListServiceSpecificCredentialsRequest,
    ListServiceSpecificCredentialsResponse, ListSigningCertificates, ListSigningCertificatesRequest,
    ListSigningCertificatesResponse, ListUserTags, ListUserTagsRequest, ListUserTagsResponse, ListUsers,
    ListUsersRequest, ListUsersResponse, TagUser, TagUserRequest, UntagUser, UntagUserRequest, UpdateUser,
    UpdateUserRequest, User,
};
use async_trait::async_trait;
use service::{Cx, Handle, Principal};
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::tags::{given, merged, without};
use crate::Identity;
use crate::port::random_text;
use crate::records::{
    GroupRecord, Holder as _, KeyRecord, UserRecord, access_key, holder, holder_key, holder_prefix, taken,
};

/// The letters of unique ids.
pub(super) const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[async_trait]
impl Handle<CreateUser> for Identity {
    async fn handle(&self, cx: &Cx, req: CreateUserRequest) -> Result<CreateUserResponse, Error> {
        let boundary = match req.permissions_boundary {
            Some(arn) => Some(self.boundary(cx, arn).await?),
            None => None,
        };
        let path = req.path.unwrap_or_else(|| "/".to_owned());
        let account = cx.account().to_owned();
        let user = User {
            arn: format!("arn:aws:iam::{account}:user{path}{}", req.user_name),
            path,
            user_id: format!("AIDA{}", random_text(17, LETTERS)),
            user_name: req.user_name,
            create_date: cx.now().into(),
            permissions_boundary: boundary,
            tags: given(req.tags, "User")?,
            ..Default::default()
        };
        let (inline, attached, groups, keys) = Default::default();
        let new = UserRecord { user, inline, attached, groups, keys };
        let user = cx
            .write(&self.store, move |tx| {
                let key = holder_key::<UserRecord>(&account, new.name());
                if taken::<UserRecord>(tx, &account, new.name())? {
                    let name = new.name();
                    return Err(entity_already_exists_exception(format!("User with name {name} already exists.")));
                }
                tx.put_json(&key, &new)?;
                Ok(new.user.clone())
            })
            .await?;
        Ok(CreateUserResponse { user: Some(user) })
    }
}

impl Identity {
    /// The user that a request names, else the caller.
    pub(super) fn user_named(cx: &Cx, name: Option<String>) -> Result<String, Error> {
        match (name, cx.principal()) {
            (Some(name), _) => Ok(name),
            (None, Principal::User { user_arn, .. }) => Ok(user_arn.rsplit('/').next().unwrap_or_default().to_owned()),
            (None, _) => {
                Err(Error::new("ValidationError", 400, "Must specify userName when calling with non-User credentials"))
            }
        }
    }
}

#[async_trait]
impl Handle<GetUser> for Identity {
    async fn handle(&self, cx: &Cx, req: GetUserRequest) -> Result<GetUserResponse, Error> {
        if req.user_name.is_none() && matches!(cx.principal(), Principal::Root { .. }) {
            // AWS tells the root user so, without a name.
            let account = cx.account().to_owned();
            let user = User {
                arn: format!("arn:aws:iam::{account}:root"),
                user_id: account,
                user_name: "root".to_owned(),
                path: "/".to_owned(),
                ..Default::default()
            };
            return Ok(GetUserResponse { user });
        }
        let found: UserRecord = self.holder(cx, &Self::user_named(cx, req.user_name)?).await?;
        Ok(GetUserResponse { user: found.user })
    }
}

#[async_trait]
impl Handle<ListUsers> for Identity {
    async fn handle(&self, cx: &Cx, req: ListUsersRequest) -> Result<ListUsersResponse, Error> {
        let prefix = holder_prefix::<UserRecord>(cx.account());
        let all: Vec<UserRecord> = self.store.read(|tx| tx.list_json(&prefix, usize::MAX)).await?;
        let path = req.path_prefix.unwrap_or_else(|| "/".to_owned());
        let users: Vec<User> = all.into_iter().map(|u| u.user).filter(|u| u.path.starts_with(&path)).collect();
        // Lists do not tell tags and boundaries. Source: IAM API reference, ListUsers.
        let users = users.into_iter().map(|u| User { tags: None, permissions_boundary: None, ..u }).collect();
        let (users, is_truncated, marker) = page(users, req.max_items, req.marker, |u| u.user_name.clone());
        Ok(ListUsersResponse { users, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<UpdateUser> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateUserRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let mut record: UserRecord = holder(tx, &account, &req.user_name)?;
            tx.delete(holder_key::<UserRecord>(&account, &req.user_name))?;
            if let Some(path) = &req.new_path {
                record.user.path.clone_from(path);
            }
            if let Some(name) = &req.new_user_name {
                if taken::<UserRecord>(tx, &account, name)? {
                    return Err(entity_already_exists_exception(format!("User with name {name} already exists.")));
                }
                record.user.user_name.clone_from(name);
            }
            record.user.arn = format!("arn:aws:iam::{account}:user{}{}", record.user.path, record.user.user_name);
            for id in &record.keys {
                if let Some(key) = tx.get_json::<KeyRecord>(access_key(id))? {
                    let user = record.user.user_name.clone();
                    tx.put_json(access_key(id), &KeyRecord { user, user_arn: record.user.arn.clone(), ..key })?;
                }
            }
            tx.put_json(holder_key::<UserRecord>(&account, record.name()), &record)?;
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteUser> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteUserRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let record: UserRecord = holder(tx, &account, &req.user_name)?;
            for (any, what) in [
                (!record.attached.is_empty(), "must detach all policies first."),
                (!record.inline.is_empty(), "must delete policies first."),
                (!record.keys.is_empty(), "must delete access keys first."),
                (!record.groups.is_empty(), "must remove users from group first."),
            ] {
                if any {
                    return Err(delete_conflict_exception(format!("Cannot delete entity, {what}")));
                }
            }
            Ok(tx.delete(holder_key::<UserRecord>(&account, &req.user_name))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListGroupsForUser> for Identity {
    async fn handle(&self, cx: &Cx, req: ListGroupsForUserRequest) -> Result<ListGroupsForUserResponse, Error> {
        let groups = self
            .store
            .read(|tx| {
                let user: UserRecord = holder(tx, cx.account(), &req.user_name)?;
                user.groups
                    .iter()
                    .map(|name| Ok(holder::<GroupRecord>(tx, cx.account(), name)?.group))
                    .collect::<Result<Vec<_>, Error>>()
            })
            .await?;
        let (groups, is_truncated, marker) = page(groups, req.max_items, req.marker, |g| g.group_name.clone());
        Ok(ListGroupsForUserResponse { groups, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<TagUser> for Identity {
    async fn handle(&self, cx: &Cx, req: TagUserRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change(cx, req.user_name, move |u: &mut UserRecord| {
            u.user.tags = Some(merged(u.user.tags.take().unwrap_or_default(), &tags, "User")?);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<UntagUser> for Identity {
    async fn handle(&self, cx: &Cx, req: UntagUserRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change(cx, req.user_name, move |u: &mut UserRecord| {
            without(&mut u.user.tags, &keys);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<ListUserTags> for Identity {
    async fn handle(&self, cx: &Cx, req: ListUserTagsRequest) -> Result<ListUserTagsResponse, Error> {
        let found: UserRecord = self.holder(cx, &req.user_name).await?;
        let tags = found.user.tags.unwrap_or_default();
        let (tags, is_truncated, marker) = page(tags, req.max_items, req.marker, |t| t.key.clone());
        Ok(ListUserTagsResponse { tags, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<GetLoginProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: GetLoginProfileRequest) -> Result<GetLoginProfileResponse, Error> {
        let name = Self::user_named(cx, req.user_name)?;
        self.holder::<UserRecord>(cx, &name).await?;
        Err(no_such_entity_exception(format!("Login Profile for User {name} cannot be found.")))
    }
}

#[async_trait]
impl Handle<DeleteLoginProfile> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteLoginProfileRequest) -> Result<Empty, Error> {
        let name = Self::user_named(cx, req.user_name)?;
        self.holder::<UserRecord>(cx, &name).await?;
        Err(no_such_entity_exception(format!("Login Profile for User {name} cannot be found.")))
    }
}

/// What no user has here, for a user that exists.
macro_rules! empty_lists {
    ($($operation:ident $input:ident $output:ident $($list:ident)?),+) => {
        $(#[async_trait]
        impl Handle<$operation> for Identity {
            async fn handle(&self, cx: &Cx, req: $input) -> Result<$output, Error> {
                if req.user_name.is_some() || matches!(cx.principal(), Principal::User { .. }) {
                    self.holder::<UserRecord>(cx, &Self::user_named(cx, req.user_name)?).await?;
                }
                Ok($output { $($list: Some(Vec::new()),)? is_truncated: Some(false), ..Default::default() })
            }
        })+
    };
}

empty_lists!(
    ListMFADevices ListMFADevicesRequest ListMFADevicesResponse,
    ListSSHPublicKeys ListSSHPublicKeysRequest ListSSHPublicKeysResponse ssh_public_keys,
    ListServiceSpecificCredentials ListServiceSpecificCredentialsRequest ListServiceSpecificCredentialsResponse service_specific_credentials,
    ListSigningCertificates ListSigningCertificatesRequest ListSigningCertificatesResponse
);
