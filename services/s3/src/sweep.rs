//! After a start: bytes that a crash has left without a name are removed, and answers that nobody asks for any more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The bytes that undoing has brought back while a sweep looks around: they may be where it has looked already.
#[derive(Debug, Default)]
pub(crate) struct Restored(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    sweeps: usize,
    blobs: BTreeSet<BlobId>,
}

impl Restored {
    /// Before the transaction is committed that brings them back.
    pub(crate) fn note(&self, undo: &UndoRecord) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.sweeps > 0 {
            let records = undo.previous.iter().chain(&undo.removed);
            let segments = records.flat_map(|record| &record.segments).filter(|segment| !segment.inline);
            noted.blobs.extend(segments.map(|segment| segment.id.clone()));
        }
    }

    fn watch(self: &Arc<Self>) -> Watch {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sweeps += 1;
        Watch(Arc::clone(self))
    }
}

/// Notes as long as it lives.
struct Watch(Arc<Restored>);

impl Watch {
    fn seen(&self) -> BTreeSet<BlobId> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).blobs.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut noted = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.sweeps -= 1;
        if noted.sweeps == 0 {
            noted.blobs.clear();
        }
    }
}

impl S3 {
    /// Safe to run while requests are served: only bytes of earlier runs are looked at.
    pub async fn sweep(&self, now_ms: i64) -> Result<usize> {
        // Every start plans the lifecycle rules' sweep too, unless it is on the queue already.
        self.plan_lifecycle().await?;
        let (mut live, watch) = (BTreeSet::new(), self.restored.watch());
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
        // What was taken from an object after the first look at undo, and was back before the last one.
        live.extend(watch.seen());
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

#[cfg(test)]
mod tests {
    use service::{Accounts, Cx, Handle, Principal, Router};
    use store::Store;
    use store::objects::Objects;

    use super::*;

    #[tokio::test]
    async fn what_is_brought_back_meanwhile_lives() {
        let router = Router::new();
        let (store, objects, settings) = (Store::memory(), Objects::memory(), crate::Settings::default());
        let s3 = S3::new(router.clone(), store, objects, ("0", Accounts::default()), settings).unwrap();
        let cx = Cx::new(router.clone(), Principal::Platform, "0", "us-east-1");
        s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await.unwrap();
        let put = |cx: Cx, byte: u8| {
            let body = Some(wire::Blob::new(vec![byte; 40_000]));
            let input =
                api_s3::PutObjectRequest { bucket: "bucket".into(), key: "k".into(), body, ..Default::default() };
            let s3 = s3.clone();
            async move { Handle::<api_s3::PutObject>::handle(&*s3, &cx, input).await.unwrap() }
        };
        put(cx.clone(), 1).await;
        let named = crate::tags::Named { bucket: "bucket".into(), key: "k".into(), version: None };
        let id = s3.head(&named).await.unwrap().segments[0].id.clone();
        router.attempts().open("job");
        let role = Principal::role("arn:aws:iam::0:role/job", "s", Some("job".to_owned()));
        let watch = s3.restored.watch();
        // A sweep has looked at undo, and will look at objects when this one is not among them.
        put(cx.as_principal(role), 2).await;
        s3.finish_attempt("job", false).await.unwrap();
        assert_eq!(s3.head(&named).await.unwrap().segments[0].id, id);
        assert!(watch.seen().contains(&id));
        drop(watch);
        assert!(s3.restored.watch().seen().is_empty());
    }
}
