//! DeleteObject and DeleteObjects. A key that is not there is deleted successfully, as S3 has it; in a bucket with versions a delete
//! marker is put in front of it.

use serde::{Deserialize, Serialize};
use service::Cx;

use crate::S3;
use crate::admitted::Home;
use crate::buckets::now_ms;
use crate::change::{self, Garbage, Gone};
use crate::conditions::Conditions;
use crate::errors::{Result, invalid_argument};
use crate::events::{self, Change};
use crate::lock;
use crate::records::{ObjectRecord, VERSION};
use crate::version;

/// One key to delete.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) conditions: Conditions,
    /// Governance retention is set aside; whether the caller may, was checked.
    pub(crate) bypass: bool,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deleted {
    pub(crate) key: String,
    /// As the request had it.
    pub(crate) version: Option<String>,
    /// A delete marker was made, or deleted: its id.
    pub(crate) marker: Option<String>,
}

type DeleteResult = Result<Deleted, (String, Option<String>, wire::Error)>;

impl S3 {
    /// Deletes the keys in one transaction; each has its own outcome.
    pub(crate) async fn delete_objects(
        &self,
        cx: &Cx,
        bucket: &str,
        deletion: Vec<Deletion>,
    ) -> Result<Vec<DeleteResult>> {
        let (place, bucket) = (bucket.to_owned(), bucket.to_owned());
        let attempt = crate::attempts::of(cx);
        let (origin, now) = (events::Origin::of(cx), now_ms(cx));
        let (chance, restored) = (self.objects.new_id().to_string(), self.restored.clone());
        let home = Home::of(&bucket);
        let (outcomes, garbage) = cx
            .write(&self.store, move |tx| {
                let home = home.require(tx)?;
                let mut garbage = Garbage::new();
                let mut outcomes = Vec::with_capacity(deletion.len());
                for one in &deletion {
                    let version = match &one.version {
                        Some(id) if !version::is_id(id) => {
                            let error = invalid_argument("Invalid version id specified");
                            outcomes.push(Err((one.key.clone(), one.version.clone(), error)));
                            continue;
                        }
                        version => version.as_deref(),
                    };
                    let object = match version {
                        Some(id) => version::find(tx, &bucket, &one.key, id)?,
                        None => version::current(tx, &bucket, &one.key)?,
                    };
                    let allowed =
                        one.conditions.check_write(&one.key, object.as_ref()).and_then(|()| match (&object, version) {
                            (Some(record), Some(_)) => lock::check_delete(record, now, one.bypass),
                            _ => Ok(()),
                        });
                    if let Err(error) = allowed {
                        outcomes.push(Err((one.key.clone(), one.version.clone(), error)));
                        continue;
                    }
                    let place = change::ChangeContext {
                        bucket: &home,
                        key: &one.key,
                        attempt: attempt.as_deref(),
                        chance: &chance,
                        restored: &restored,
                    };
                    let gone = match version {
                        Some(id) => change::delete_version(tx, place, id)?,
                        None => change::delete(tx, place, marker(now, attempt.clone()))?,
                    };
                    if gone.changed {
                        let what = if gone.marker && version.is_none() { Change::Marker } else { Change::Delete };
                        let told =
                            events::Details { version: gone.version.as_deref().filter(|_| home.versioning.is_some()) };
                        events::record(tx, &origin, &home, &one.key, None, what, told)?;
                    }
                    let Gone { garbage: more, version, marker, .. } = gone;
                    garbage.extend(more);
                    let deleted = Deleted {
                        key: one.key.clone(),
                        version: one.version.clone(),
                        marker: version.filter(|_| marker),
                    };
                    outcomes.push(Ok(deleted));
                }
                Ok::<_, wire::Error>((outcomes, garbage))
            })
            .await?;
        self.objects.delete(garbage).await;
        for Deleted { key, .. } in outcomes.iter().flatten() {
            crate::lineage::deleted(cx, &place, key);
        }
        Ok(outcomes)
    }

    pub(crate) async fn delete_object(&self, cx: &Cx, bucket: &str, deletion: Deletion) -> Result<Deleted> {
        let key = deletion.key.clone();
        let outcome = self.delete_objects(cx, bucket, vec![deletion]).await?.pop();
        match outcome {
            Some(Ok(deleted)) => Ok(deleted),
            Some(Err((_, _, error))) => Err(error),
            None => Ok(Deleted { key, version: None, marker: None }),
        }
    }
}

/// What a delete marker is: a version without bytes.
pub(crate) fn marker(now_ms: i64, writer: Option<String>) -> ObjectRecord {
    ObjectRecord {
        v: VERSION,
        etag: String::new(),
        size: 0,
        modified_ms: now_ms,
        segments: Vec::new(),
        parts: None,
        checksums: crate::checksum::Checksums::default(),
        headers: crate::records::Headers::default(),
        metadata: std::collections::BTreeMap::new(),
        tags: Vec::new(),
        writer,
        version: None,
        seq: 0,
        marker: true,
        owner: None,
        grants: None,
        retention: None,
        legal_hold: None,
        sse: None,
        restored_until_ms: None,
    }
}
