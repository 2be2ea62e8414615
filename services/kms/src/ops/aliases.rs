//! Aliases of keys.

use api_kms::error::{already_exists_exception, invalid_alias_name_exception, not_found_exception};
use api_kms::{
    AliasListEntry, CreateAlias, CreateAliasRequest, DeleteAlias, DeleteAliasRequest, ListAliases, ListAliasesRequest,
    ListAliasesResponse, UpdateAlias, UpdateAliasRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::types::Empty;
use wire::{Error, Timestamp};

use super::keys::MANAGED;
use super::page::page;
use crate::Kms;
use crate::records::{AliasRecord, alias_key, alias_prefix, find, place};

/// The name of an alias out of its name or its ARN here, and nothing else that has one in it: what is asked about is what is changed.
/// Those of AWS's own keys are not for others.
fn name_of(cx: &Cx, text: &str) -> Result<String, Error> {
    let here = cx.arn("kms", "");
    let name = text.strip_prefix(here.as_str()).unwrap_or(text);
    if !name.starts_with("alias/") || name == "alias/" || name.starts_with("alias/aws/") {
        return Err(invalid_alias_name_exception(format!("Invalid alias name {text}")));
    }
    Ok(name.to_owned())
}

fn arn_of(cx: &Cx, name: &str) -> String {
    cx.arn("kms", name)
}

#[async_trait]
impl Handle<CreateAlias> for Kms {
    async fn handle(&self, cx: &Cx, req: CreateAliasRequest) -> Result<Empty, Error> {
        let name = name_of(cx, &req.alias_name)?;
        let (own, now) = (cx.clone(), Timestamp::from(cx.now()));
        cx.write(&self.store, move |tx| {
            let (place, record) = find(tx, &own, &req.target_key_id)?;
            record.lives()?;
            let key = alias_key((own.account(), own.region()), &name);
            if tx.get(&key)?.is_some() {
                return Err(already_exists_exception(format!(
                    "An alias with the name {} already exists",
                    arn_of(&own, &name)
                )));
            }
            Ok(tx.put_json(&key, &AliasRecord { name: name.clone(), target: place.id, created: now, updated: now })?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UpdateAlias> for Kms {
    async fn handle(&self, cx: &Cx, req: UpdateAliasRequest) -> Result<Empty, Error> {
        let name = name_of(cx, &req.alias_name)?;
        let (own, now) = (cx.clone(), Timestamp::from(cx.now()));
        cx.write(&self.store, move |tx| {
            let key = alias_key((own.account(), own.region()), &name);
            let missing = || not_found_exception(format!("Alias {} is not found.", arn_of(&own, &name)));
            let alias: AliasRecord = tx.get_json(&key)?.ok_or_else(missing)?;
            let (place, record) = find(tx, &own, &req.target_key_id)?;
            record.lives()?;
            let (_, before) = find(tx, &own, &alias.target)?;
            // One that is disabled or about to be deleted is left, too. Source: KMS Developer Guide, "Key states of AWS KMS keys".
            record.takes_the_place_of(&before)?;
            Ok::<_, Error>(tx.put_json(&key, &AliasRecord { target: place.id, updated: now, ..alias })?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteAlias> for Kms {
    async fn handle(&self, cx: &Cx, req: DeleteAliasRequest) -> Result<Empty, Error> {
        let name = name_of(cx, &req.alias_name)?;
        let own = cx.clone();
        cx.write(&self.store, move |tx| {
            let key = alias_key((own.account(), own.region()), &name);
            if tx.get(&key)?.is_none() {
                return Err(not_found_exception(format!("Alias {} is not found.", arn_of(&own, &name))));
            }
            Ok(tx.delete(&key)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListAliases> for Kms {
    async fn handle(&self, cx: &Cx, req: ListAliasesRequest) -> Result<ListAliasesResponse, Error> {
        let all = self
            .store
            .read(|tx| {
                let mut all: Vec<AliasRecord> = tx.list_json(alias_prefix(cx.account(), cx.region()), usize::MAX)?;
                if let Some(id) = &req.key_id {
                    let of = place(tx, cx, id)?;
                    find(tx, cx, &of.arn())?;
                    all.retain(|alias| alias.target == of.id);
                }
                Ok::<_, Error>(all)
            })
            .await?;
        // An alias of AWS's own key is there before the key is, which is made when it is first used.
        // Source: KMS API reference, ListAliases ("might include aliases that have no TargetKeyId field").
        let unused = MANAGED.iter().filter(|_| req.key_id.is_none()).map(|service| format!("alias/aws/{service}"));
        let unused: Vec<String> = unused.filter(|name| all.iter().all(|alias| alias.name != *name)).collect();
        let made = all.into_iter().map(|alias| AliasListEntry {
            alias_arn: Some(arn_of(cx, &alias.name)),
            alias_name: Some(alias.name),
            target_key_id: Some(alias.target),
            creation_date: Some(alias.created),
            last_updated_date: Some(alias.updated),
        });
        let unused = unused.into_iter().map(|name| AliasListEntry {
            alias_arn: Some(arn_of(cx, &name)),
            alias_name: Some(name),
            ..AliasListEntry::default()
        });
        let name = |one: &AliasListEntry| one.alias_name.clone().unwrap_or_default();
        let entries: Vec<AliasListEntry> = made.chain(unused).collect();
        let (aliases, truncated, next_marker) = page(entries, name, req.limit, req.marker.as_deref())?;
        Ok(ListAliasesResponse { aliases: Some(aliases), truncated: Some(truncated), next_marker })
    }
}
