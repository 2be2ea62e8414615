//! Groups and who is in them.

use api_iam::error::{delete_conflict_exception, entity_already_exists_exception};
use api_iam::{
    AddUserToGroup, AddUserToGroupRequest, CreateGroup, CreateGroupRequest, CreateGroupResponse, DeleteGroup,
    DeleteGroupRequest, GetGroup, GetGroupRequest, GetGroupResponse, Group, ListGroups, ListGroupsRequest,
    ListGroupsResponse, RemoveUserFromGroup, RemoveUserFromGroupRequest, UpdateGroup, UpdateGroupRequest, User,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::users::LETTERS;
use crate::Identity;
use crate::port::random_text;
use crate::records::{GroupRecord, Holder as _, UserRecord, holder, holder_key, holder_prefix, taken};

fn exists(name: &str) -> Error {
    entity_already_exists_exception(format!("Group with name {name} already exists."))
}

#[async_trait]
impl Handle<CreateGroup> for Identity {
    async fn handle(&self, cx: &Cx, req: CreateGroupRequest) -> Result<CreateGroupResponse, Error> {
        let path = req.path.unwrap_or_else(|| "/".to_owned());
        let account = cx.account().to_owned();
        let group = Group {
            arn: format!("arn:aws:iam::{account}:group{path}{}", req.group_name),
            path,
            group_id: format!("AGPA{}", random_text(17, LETTERS)),
            group_name: req.group_name,
            create_date: cx.now().into(),
        };
        let (inline, attached) = Default::default();
        let new = GroupRecord { group, inline, attached };
        let group = cx
            .write(&self.store, move |tx| {
                let key = holder_key::<GroupRecord>(&account, new.name());
                if taken::<GroupRecord>(tx, &account, new.name())? {
                    return Err(exists(new.name()));
                }
                tx.put_json(&key, &new)?;
                Ok(new.group.clone())
            })
            .await?;
        Ok(CreateGroupResponse { group })
    }
}

/// The users of a group, in order of names.
fn members(tx: &mut Tx<'_>, account: &str, group: &str) -> Result<Vec<UserRecord>, Error> {
    let mut all: Vec<UserRecord> = tx.list_json(holder_prefix::<UserRecord>(account), usize::MAX)?;
    all.retain(|user| user.groups.iter().any(|name| name == group));
    Ok(all)
}

#[async_trait]
impl Handle<GetGroup> for Identity {
    async fn handle(&self, cx: &Cx, req: GetGroupRequest) -> Result<GetGroupResponse, Error> {
        let (found, users) = self
            .store
            .read(|tx| {
                let found: GroupRecord = holder(tx, cx.account(), &req.group_name)?;
                Ok::<_, Error>((found, members(tx, cx.account(), &req.group_name)?))
            })
            .await?;
        let users = users.into_iter().map(|u| User { tags: None, permissions_boundary: None, ..u.user }).collect();
        let (users, is_truncated, marker) = page(users, req.max_items, req.marker, |u: &User| u.user_name.clone());
        Ok(GetGroupResponse { group: found.group, users, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<ListGroups> for Identity {
    async fn handle(&self, cx: &Cx, req: ListGroupsRequest) -> Result<ListGroupsResponse, Error> {
        let prefix = holder_prefix::<GroupRecord>(cx.account());
        let all: Vec<GroupRecord> = self.store.read(|tx| tx.list_json(&prefix, usize::MAX)).await?;
        let path = req.path_prefix.unwrap_or_else(|| "/".to_owned());
        let groups = all.into_iter().map(|g| g.group).filter(|g| g.path.starts_with(&path)).collect();
        let (groups, is_truncated, marker) = page(groups, req.max_items, req.marker, |g: &Group| g.group_name.clone());
        Ok(ListGroupsResponse { groups, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<UpdateGroup> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateGroupRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let mut record: GroupRecord = holder(tx, &account, &req.group_name)?;
            tx.delete(holder_key::<GroupRecord>(&account, &req.group_name))?;
            if let Some(path) = &req.new_path {
                record.group.path.clone_from(path);
            }
            if let Some(name) = req.new_group_name.as_ref().filter(|name| **name != req.group_name) {
                if taken::<GroupRecord>(tx, &account, name)? {
                    return Err(exists(name));
                }
                for mut user in members(tx, &account, &req.group_name)? {
                    user.groups.iter_mut().filter(|g| **g == req.group_name).for_each(|g| g.clone_from(name));
                    tx.put_json(holder_key::<UserRecord>(&account, user.name()), &user)?;
                }
                record.group.group_name.clone_from(name);
            }
            record.group.arn = format!("arn:aws:iam::{account}:group{}{}", record.group.path, record.group.group_name);
            tx.put_json(holder_key::<GroupRecord>(&account, record.name()), &record)?;
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteGroup> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteGroupRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let record: GroupRecord = holder(tx, &account, &req.group_name)?;
            for (any, what) in [
                (!record.attached.is_empty(), "must detach all policies first."),
                (!record.inline.is_empty(), "must delete policies first."),
                (!members(tx, &account, &req.group_name)?.is_empty(), "must remove users from group first."),
            ] {
                if any {
                    return Err(delete_conflict_exception(format!("Cannot delete entity, {what}")));
                }
            }
            Ok(tx.delete(holder_key::<GroupRecord>(&account, &req.group_name))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<AddUserToGroup> for Identity {
    async fn handle(&self, cx: &Cx, req: AddUserToGroupRequest) -> Result<Empty, Error> {
        self.holder::<GroupRecord>(cx, &req.group_name).await?;
        let group = req.group_name;
        self.change(cx, req.user_name, move |user: &mut UserRecord| {
            if !user.groups.contains(&group) {
                user.groups.push(group.clone());
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<RemoveUserFromGroup> for Identity {
    async fn handle(&self, cx: &Cx, req: RemoveUserFromGroupRequest) -> Result<Empty, Error> {
        self.holder::<GroupRecord>(cx, &req.group_name).await?;
        let group = req.group_name;
        self.change(cx, req.user_name, move |user: &mut UserRecord| {
            user.groups.retain(|one| *one != group);
            Ok(())
        })
        .await
    }
}
