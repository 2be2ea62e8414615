//! Access keys of users.

use api_iam::error::{limit_exceeded_exception, no_such_entity_exception};
use api_iam::{
    AccessKey, AccessKeyLastUsed, AccessKeyMetadata, CreateAccessKey, CreateAccessKeyRequest, CreateAccessKeyResponse,
    DeleteAccessKey, DeleteAccessKeyRequest, GetAccessKeyLastUsed, GetAccessKeyLastUsedRequest,
    GetAccessKeyLastUsedResponse, ListAccessKeys, ListAccessKeysRequest, ListAccessKeysResponse, UpdateAccessKey,
    UpdateAccessKeyRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::users::LETTERS;
use crate::Identity;
use crate::port::random_text;
use crate::records::{KeyRecord, UsedRecord, UserRecord, access_key, holder, holder_key, used_key};

/// AWS's quota.
const MAX_KEYS: usize = 2;

fn no_key(id: &str) -> Error {
    no_such_entity_exception(format!("The Access Key with id {id} cannot be found."))
}

#[async_trait]
impl Handle<CreateAccessKey> for Identity {
    async fn handle(&self, cx: &Cx, req: CreateAccessKeyRequest) -> Result<CreateAccessKeyResponse, Error> {
        let user_name = Self::user_named(cx, req.user_name)?;
        let id = format!("AKIA{}", random_text(16, LETTERS));
        let secret = random_text(40, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+");
        let account = cx.account().to_owned();
        let now = wire::Timestamp::from(cx.now());
        let key = AccessKey {
            user_name: user_name.clone(),
            access_key_id: id.clone(),
            status: "Active".to_owned(),
            secret_access_key: secret.clone(),
            create_date: Some(now),
        };
        cx.write(&self.store, move |tx| {
            let mut record: UserRecord = holder(tx, &account, &user_name)?;
            if record.keys.len() >= MAX_KEYS {
                return Err(limit_exceeded_exception("Cannot exceed quota for AccessKeysPerUser: 2"));
            }
            record.keys.push(id.clone());
            let key = KeyRecord {
                account: account.clone(),
                user: user_name.clone(),
                user_arn: record.user.arn.clone(),
                secret: secret.clone(),
                status: "Active".to_owned(),
                create_date: now,
            };
            tx.put_json(access_key(&id), &key)?;
            tx.put_json(holder_key::<UserRecord>(&account, &user_name), &record)?;
            Ok(())
        })
        .await?;
        Ok(CreateAccessKeyResponse { access_key: key })
    }
}

#[async_trait]
impl Handle<ListAccessKeys> for Identity {
    async fn handle(&self, cx: &Cx, req: ListAccessKeysRequest) -> Result<ListAccessKeysResponse, Error> {
        let name = Self::user_named(cx, req.user_name)?;
        let all = self
            .store
            .read(|tx| {
                let user: UserRecord = holder(tx, cx.account(), &name)?;
                let mut all = Vec::new();
                for id in user.keys {
                    let Some(key) = tx.get_json::<KeyRecord>(access_key(&id))? else { continue };
                    all.push(AccessKeyMetadata {
                        user_name: Some(name.clone()),
                        access_key_id: Some(id),
                        status: Some(key.status),
                        create_date: Some(key.create_date),
                    });
                }
                Ok::<_, Error>(all)
            })
            .await?;
        let id = |key: &AccessKeyMetadata| key.access_key_id.clone().unwrap_or_default();
        let (access_key_metadata, is_truncated, marker) = page(all, req.max_items, req.marker, id);
        Ok(ListAccessKeysResponse { access_key_metadata, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<UpdateAccessKey> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateAccessKeyRequest) -> Result<Empty, Error> {
        let name = Self::user_named(cx, req.user_name)?;
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let user: UserRecord = holder(tx, &account, &name)?;
            let key = tx.get_json::<KeyRecord>(access_key(&req.access_key_id))?;
            let key =
                key.filter(|_| user.keys.contains(&req.access_key_id)).ok_or_else(|| no_key(&req.access_key_id))?;
            tx.put_json(access_key(&req.access_key_id), &KeyRecord { status: req.status.clone(), ..key })?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteAccessKey> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteAccessKeyRequest) -> Result<Empty, Error> {
        let name = Self::user_named(cx, req.user_name)?;
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let mut user: UserRecord = holder(tx, &account, &name)?;
            let before = user.keys.len();
            user.keys.retain(|id| *id != req.access_key_id);
            if user.keys.len() == before {
                return Err(no_key(&req.access_key_id));
            }
            tx.put_json(holder_key::<UserRecord>(&account, &name), &user)?;
            tx.delete(used_key(&req.access_key_id))?;
            Ok(tx.delete(access_key(&req.access_key_id))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<GetAccessKeyLastUsed> for Identity {
    async fn handle(&self, cx: &Cx, req: GetAccessKeyLastUsedRequest) -> Result<GetAccessKeyLastUsedResponse, Error> {
        let id = req.access_key_id;
        let (key, used) = self
            .store
            .read(|tx| {
                let key = tx.get_json::<KeyRecord>(access_key(&id))?.filter(|key| key.account == cx.account());
                Ok::<_, Error>((key.ok_or_else(|| no_key(&id))?, tx.get_json::<UsedRecord>(used_key(&id))?))
            })
            .await?;
        let none = || "N/A".to_owned();
        let last = match used {
            Some(used) => AccessKeyLastUsed {
                last_used_date: Some(wire::Timestamp::from_millis(used.at_ms)),
                service_name: used.service,
                region: used.region,
            },
            None => AccessKeyLastUsed { last_used_date: None, service_name: none(), region: none() },
        };
        Ok(GetAccessKeyLastUsedResponse { user_name: Some(key.user), access_key_last_used: Some(last) })
    }
}
