//! After a start: bytes that a crash has left without a name are removed, and answers that nobody asks for any more.

use std::collections::BTreeSet;

use store::objects::BlobId;
use wire::Error;

use crate::S3;
use crate::errors::{Result, internal};
use crate::keys;
use crate::multipart::Completed;
use crate::records::{ObjectRecord, PartRecord, Segment, UndoRecord};
use crate::tx::Tx;

const BATCH: usize = 1000;
/// How long a repeated CompleteMultipartUpload gets the first answer.
const COMPLETED_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

impl S3 {
    /// Safe to run while requests are served: only bytes of earlier runs are looked at.
    pub async fn sweep(&self, now_ms: i64) -> Result<usize> {
        // Every start plans the lifecycle rules' sweep too, unless it is on the queue already.
        self.plan_lifecycle().await?;
        let mut live = BTreeSet::new();
        // Bytes move from parts to objects, and between objects and undo: in this order none of them is missed.
        let previous = |r: UndoRecord| r.kept().flat_map(|p| p.segments).collect();
        self.collect::<PartRecord>(&keys::all_parts(), &mut live, |r| vec![r.segment]).await?;
        self.collect::<UndoRecord>(&keys::all_undo(), &mut live, previous).await?;
        // A version may be taken down from the shelf, or put up on it, meanwhile: both are looked at twice.
        for _ in 0..2 {
            self.collect::<ObjectRecord>(&keys::all_objects(), &mut live, |r| r.segments).await?;
            self.collect::<ObjectRecord>(&keys::all_versions(), &mut live, |r| r.segments).await?;
        }
        self.collect::<UndoRecord>(&keys::all_undo(), &mut live, previous).await?;
        self.store
            .write(move |tx| {
                for (key, value) in tx.scan_prefix(keys::all_completed(), BATCH)? {
                    let done: Completed = store::kv::decode(&key, &value)?;
                    if done.stored.modified_ms + COMPLETED_KEPT_MS < now_ms {
                        tx.delete(&key)?;
                    }
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.objects.sweep(live).await.map_err(internal)
    }

    /// In short reads, so that nobody waits long.
    async fn collect<T: serde::de::DeserializeOwned>(
        &self,
        prefix: &store::Key,
        live: &mut BTreeSet<BlobId>,
        segments: impl Fn(T) -> Vec<Segment>,
    ) -> Result<()> {
        let mut after = Vec::new();
        loop {
            let page = self.store.read(|tx: &mut Tx<'_>| tx.scan_after(prefix, &after, BATCH)).await?;
            for (key, value) in &page {
                let record: T = store::kv::decode(key, value)?;
                live.extend(segments(record).into_iter().filter(|s| !s.inline).map(|s| s.id));
            }
            match page.last() {
                Some((key, _)) if page.len() == BATCH => after.clone_from(key),
                _ => return Ok(()),
            }
        }
    }
}
