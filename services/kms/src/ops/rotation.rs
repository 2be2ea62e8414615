//! Rotation: new material for what is encrypted from then on; what was encrypted before keeps its own.

use api_kms::error::{limit_exceeded_exception, unsupported_operation_exception};
use api_kms::{
    DisableKeyRotation, DisableKeyRotationRequest, EnableKeyRotation, EnableKeyRotationRequest, GetKeyRotationStatus,
    GetKeyRotationStatusRequest, GetKeyRotationStatusResponse, ListKeyRotations, ListKeyRotationsRequest,
    ListKeyRotationsResponse, RotateKeyOnDemand, RotateKeyOnDemandRequest, RotateKeyOnDemandResponse,
    RotationsListEntry,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::types::Empty;
use wire::{Error, Timestamp};

use super::crypto::SYMMETRIC;
use super::page::page;
use crate::Kms;
use crate::records::{KeyLocation, KeyRecord, Material, find};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Days between rotations, where the caller does not say.
const DEFAULT_DAYS: i32 = 365;
/// AWS's quota for a key.
const MAX_ON_DEMAND: usize = 10;

/// Only keys that encrypt are rotated.
fn rotates(record: &KeyRecord) -> Result<(), Error> {
    if record.metadata.key_usage.as_deref() != Some("ENCRYPT_DECRYPT") || record.spec() != SYMMETRIC {
        return Err(unsupported_operation_exception("Rotation is for symmetric encryption keys."));
    }
    record.serves("ENCRYPT_DECRYPT")
}

impl Kms {
    /// Gives a key new material, unless somebody has just done so.
    pub(super) async fn rotate(&self, cx: &Cx, place: &KeyLocation, by: &str) -> Result<KeyRecord, Error> {
        let material = self.new_material(cx, place, Some(by))?;
        let (own, arn, now, automatic) = (cx.clone(), place.arn(), cx.now().as_millisecond(), by == "AUTOMATIC");
        let change = move |tx: &mut Tx<'_>| {
            let (place, mut record) = find(tx, &own, &arn)?;
            rotates(&record)?;
            if automatic && record.next_rotation_ms.is_none_or(|at| at > now) {
                return Ok(record);
            }
            let asked = record.materials.iter().filter(|m| m.by.as_deref() == Some("ON_DEMAND")).count();
            if !automatic && asked >= MAX_ON_DEMAND {
                return Err(limit_exceeded_exception("The key has been rotated on demand as often as it may be."));
            }
            record.metadata.current_key_material_id = Some(material.id.clone());
            record.materials.push(material.clone());
            if automatic {
                record.next_rotation_ms = record.rotation_days.map(|days| now + i64::from(days) * DAY_MS);
            }
            tx.put_json(place.key(), &record)?;
            Ok::<_, Error>(record)
        };
        // What time brings about is no write of the caller's, whose writes a repeated task counts.
        if automatic { self.store.write(change).await } else { cx.write(&self.store, change).await }
    }
}

#[async_trait]
impl Handle<EnableKeyRotation> for Kms {
    async fn handle(&self, cx: &Cx, req: EnableKeyRotationRequest) -> Result<Empty, Error> {
        let (now, asked) = (cx.now().as_millisecond(), req.rotation_period_in_days);
        self.change(cx, req.key_id, move |record| {
            rotates(record)?;
            let days = asked.or(record.rotation_days).unwrap_or(DEFAULT_DAYS);
            let since = record.materials.last().map_or(now, |m| m.since.0.as_millisecond());
            record.rotation_days = Some(days);
            record.next_rotation_ms = Some((since + i64::from(days) * DAY_MS).max(now));
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DisableKeyRotation> for Kms {
    async fn handle(&self, cx: &Cx, req: DisableKeyRotationRequest) -> Result<Empty, Error> {
        self.change(cx, req.key_id, |record| {
            rotates(record)?;
            (record.rotation_days, record.next_rotation_ms) = (None, None);
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<GetKeyRotationStatus> for Kms {
    async fn handle(&self, cx: &Cx, req: GetKeyRotationStatusRequest) -> Result<GetKeyRotationStatusResponse, Error> {
        let (_, record) = self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        Ok(GetKeyRotationStatusResponse {
            key_rotation_enabled: Some(record.rotation_days.is_some()),
            rotation_period_in_days: record.rotation_days,
            next_rotation_date: record.next_rotation_ms.map(Timestamp::from_millis),
            key_id: record.metadata.arn,
            on_demand_rotation_start_date: None,
        })
    }
}

#[async_trait]
impl Handle<RotateKeyOnDemand> for Kms {
    async fn handle(&self, cx: &Cx, req: RotateKeyOnDemandRequest) -> Result<RotateKeyOnDemandResponse, Error> {
        let (place, record) = self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        if record.is_managed() {
            return Err(unsupported_operation_exception("You cannot rotate an AWS managed key on demand."));
        }
        let record = self.rotate(cx, &place, "ON_DEMAND").await?;
        Ok(RotateKeyOnDemandResponse { key_id: Some(record.metadata.key_id) })
    }
}

#[async_trait]
impl Handle<ListKeyRotations> for Kms {
    async fn handle(&self, cx: &Cx, req: ListKeyRotationsRequest) -> Result<ListKeyRotationsResponse, Error> {
        let (_, record) = self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        let (arn, newest) = (record.metadata.arn.clone(), record.materials.len());
        let with_first = req.include_key_material.as_deref() == Some("ALL_KEY_MATERIAL");
        let all = record.materials.into_iter().enumerate().filter(|(_, m)| with_first || m.by.is_some());
        let entry = |(n, material): (usize, Material)| RotationsListEntry {
            key_id: arn.clone(),
            key_material_id: Some(material.id),
            key_material_state: Some(if n + 1 == newest { "CURRENT" } else { "NON_CURRENT" }.to_owned()),
            rotation_date: material.by.is_some().then_some(material.since),
            rotation_type: material.by,
            ..RotationsListEntry::default()
        };
        // By their order, which nothing changes.
        let number = |(n, _): &(usize, Material)| format!("{n:010}");
        let (page, truncated, next_marker) = page(all.collect(), number, req.limit, req.marker.as_deref())?;
        let rotations = page.into_iter().map(entry).collect();
        Ok(ListKeyRotationsResponse { rotations: Some(rotations), truncated: Some(truncated), next_marker })
    }
}
