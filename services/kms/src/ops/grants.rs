//! Grants: who may use a key beside what its policy says. A grant holds at once, so that its token is never needed.

use api_kms::error::{invalid_arn_exception, invalid_grant_id_exception, invalid_grant_token_exception};
use api_kms::{
    CreateGrant, CreateGrantRequest, CreateGrantResponse, GrantListEntry, ListGrants, ListGrantsRequest,
    ListGrantsResponse, ListRetirableGrants, ListRetirableGrantsRequest, RetireGrant, RetireGrantRequest, RevokeGrant,
    RevokeGrantRequest,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;
use wire::types::Empty;

use super::page::page;
use crate::Kms;
use crate::crypt::{random, random_id};
use crate::records::{Grant, KeyRecord, find, key_prefix};

fn principal(arn: &str) -> Result<(), Error> {
    if wire::arn::Arn::parse(arn).is_some_and(|arn| ["iam", "sts"].contains(&arn.service.as_str())) {
        return Ok(());
    }
    Err(invalid_arn_exception(format!("ARN {arn} is not the ARN of a principal")))
}

#[async_trait]
impl Handle<CreateGrant> for Kms {
    async fn handle(&self, cx: &Cx, req: CreateGrantRequest) -> Result<CreateGrantResponse, Error> {
        let grantee = req.grantee_principal.ok_or_else(|| Error::validation("GranteePrincipal is required"))?;
        principal(&grantee)?;
        if let Some(retiring) = &req.retiring_principal {
            principal(retiring)?;
        }
        let id = random_id()?;
        let token = URL_SAFE_NO_PAD.encode(random::<48>()?);
        let account = cx.principal().account().unwrap_or_else(|| cx.account());
        let entry = GrantListEntry {
            key_id: None,
            grant_id: Some(id.clone()),
            name: req.name,
            creation_date: Some(cx.now().into()),
            grantee_principal: Some(grantee),
            retiring_principal: req.retiring_principal,
            issuing_account: Some(format!("arn:aws:iam::{account}:root")),
            operations: Some(req.operations),
            constraints: req.constraints,
            ..GrantListEntry::default()
        };
        let (own, dry_run) = (cx.clone(), req.dry_run == Some(true));
        cx.write(&self.store, move |tx| {
            let (place, mut record) = find(tx, &own, &req.key_id)?;
            record.lives()?;
            if dry_run {
                return Err(api_kms::error::dry_run_operation_exception(
                    "The request would have succeeded, but the DryRun option is set.",
                ));
            }
            // The same request with the same name gives the same grant. Source: KMS API reference, CreateGrant.
            let like = |old: &&Grant| {
                let (a, b) = (&old.entry, &entry);
                a.name.is_some()
                    && a.name == b.name
                    && a.grantee_principal == b.grantee_principal
                    && a.operations == b.operations
                    && a.constraints == b.constraints
                    && a.retiring_principal == b.retiring_principal
            };
            if let Some(old) = record.grants.values().find(like) {
                return Ok(CreateGrantResponse {
                    grant_token: Some(old.token.clone()),
                    grant_id: old.entry.grant_id.clone(),
                });
            }
            let entry = GrantListEntry { key_id: Some(place.arn()), ..entry.clone() };
            record.grants.insert(id.clone(), Grant { entry, token: token.clone() });
            tx.put_json(place.key(), &record)?;
            Ok(CreateGrantResponse { grant_token: Some(token.clone()), grant_id: Some(id.clone()) })
        })
        .await
    }
}

fn told(all: Vec<GrantListEntry>, limit: Option<i32>, marker: Option<&str>) -> Result<ListGrantsResponse, Error> {
    let (grants, truncated, next_marker) =
        page(all, |one| one.grant_id.clone().unwrap_or_default(), limit.or(Some(50)), marker)?;
    Ok(ListGrantsResponse { grants: Some(grants), truncated: Some(truncated), next_marker })
}

#[async_trait]
impl Handle<ListGrants> for Kms {
    async fn handle(&self, cx: &Cx, req: ListGrantsRequest) -> Result<ListGrantsResponse, Error> {
        let (_, record) = self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        let mut all: Vec<GrantListEntry> = record.grants.into_values().map(|grant| grant.entry).collect();
        all.retain(|one| req.grant_id.is_none() || one.grant_id == req.grant_id);
        all.retain(|one| req.grantee_principal.is_none() || one.grantee_principal == req.grantee_principal);
        told(all, req.limit, req.marker.as_deref())
    }
}

#[async_trait]
impl Handle<ListRetirableGrants> for Kms {
    async fn handle(&self, cx: &Cx, req: ListRetirableGrantsRequest) -> Result<ListGrantsResponse, Error> {
        let who = req.retiring_principal.ok_or_else(|| Error::validation("RetiringPrincipal is required"))?;
        let prefix = key_prefix(cx.account(), cx.region());
        let keys: Vec<KeyRecord> = self.store.read(|tx| tx.list_json(&prefix, usize::MAX)).await?;
        let grants = keys.into_iter().flat_map(|key| key.grants.into_values()).map(|grant| grant.entry);
        let all = grants.filter(|one| one.retiring_principal.as_ref() == Some(&who)).collect();
        told(all, req.limit, req.marker.as_deref())
    }
}

#[async_trait]
impl Handle<RevokeGrant> for Kms {
    async fn handle(&self, cx: &Cx, req: RevokeGrantRequest) -> Result<Empty, Error> {
        if req.dry_run == Some(true) {
            return Err(api_kms::error::dry_run_operation_exception(
                "The request would have succeeded, but the DryRun option is set.",
            ));
        }
        let own = cx.clone();
        cx.write(&self.store, move |tx| {
            let (place, mut record) = find(tx, &own, &req.key_id)?;
            let gone = record.grants.remove(&req.grant_id);
            gone.ok_or_else(|| invalid_grant_id_exception(format!("Grant ID {} not found", req.grant_id)))?;
            tx.put_json(place.key(), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<RetireGrant> for Kms {
    /// By its token, or by key and id.
    async fn handle(&self, cx: &Cx, req: RetireGrantRequest) -> Result<Empty, Error> {
        if req.dry_run == Some(true) {
            return Err(api_kms::error::dry_run_operation_exception(
                "The request would have succeeded, but the DryRun option is set.",
            ));
        }
        let (record, id) = self.store.read(|tx| meant(tx, cx, &req)).await?;
        may_retire(cx, &record, &id).await?;
        let (own, arn) = (cx.clone(), record.arn().to_owned());
        cx.write(&self.store, move |tx| {
            let (place, mut record) = find(tx, &own, &arn)?;
            let gone = record.grants.remove(&id);
            gone.ok_or_else(|| invalid_grant_id_exception(format!("Grant ID {id} not found")))?;
            Ok::<_, Error>(tx.put_json(place.key(), &record)?)
        })
        .await?;
        Ok(Empty {})
    }
}

/// The grant that is to be retired, and its key.
fn meant(tx: &mut Tx<'_>, cx: &Cx, req: &RetireGrantRequest) -> Result<(KeyRecord, String), Error> {
    if let (Some(key), Some(id)) = (&req.key_id, &req.grant_id) {
        let (_, record) = find(tx, cx, key)?;
        return Ok((record, id.clone()));
    }
    let token = req
        .grant_token
        .as_deref()
        .ok_or_else(|| Error::validation("Either a grant token, or a key and a grant ID, is required."))?;
    let keys: Vec<KeyRecord> = tx.list_json(key_prefix(cx.account(), cx.region()), usize::MAX)?;
    let found = keys.into_iter().find_map(|record| {
        let (id, _) = record.grants.iter().find(|(_, grant)| grant.token == token)?;
        let id = id.clone();
        Some((record, id))
    });
    found.ok_or_else(|| invalid_grant_token_exception("The grant token is not valid."))
}

/// A grant is retired by its retiring principal, by its grantee where its operations say so, and by whom the key's policy lets; a Deny
/// holds for all of them. Source: KMS API reference, `RetireGrant`.
async fn may_retire(cx: &Cx, record: &KeyRecord, id: &str) -> Result<(), Error> {
    let arns = cx.principal().arns(cx.caller_account());
    let is = |who: &Option<String>| who.as_ref().is_some_and(|who| arns.contains(who));
    let by_grant = record.grants.get(id).is_some_and(|grant| {
        let entry = &grant.entry;
        let by_grantee = entry.operations.iter().flatten().any(|operation| operation == "RetireGrant");
        is(&entry.retiring_principal) || (by_grantee && is(&entry.grantee_principal))
    });
    match cx.router().authorize(cx, "kms:RetireGrant", record.arn()).await {
        Err(error) if by_grant && error.status() == 403 && !error.message().contains("with an explicit deny") => Ok(()),
        other => other,
    }
}
