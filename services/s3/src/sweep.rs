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

const BATCH: usize = if cfg!(test) { 3 } else { 1000 };
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
        self.plan_metrics().await?;
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
        self.forget_completed(now_ms).await?;
        self.objects.sweep(live).await.map_err(internal)
    }

    /// Forgets the answers of uploads that were completed long ago; so many each time, so that no transaction is long.
    pub(crate) async fn forget_completed(&self, now_ms: i64) -> Result<usize> {
        let (mut after, mut gone) = (Vec::new(), 0);
        loop {
            let start = std::mem::take(&mut after);
            let (last, deleted) = self
                .store
                .write(move |tx| {
                    let mut deleted = 0;
                    let page = tx.scan_after(keys::all_completed(), &start, BATCH)?;
                    for (key, value) in &page {
                        let done: Completed = store::kv::decode(key, value)?;
                        if done.stored.modified_ms + COMPLETED_KEPT_MS < now_ms {
                            tx.delete(key)?;
                            deleted += 1;
                        }
                    }
                    let last = page.last().filter(|_| page.len() == BATCH).map(|(key, _)| key.clone());
                    Ok::<_, Error>((last, deleted))
                })
                .await?;
            gone += deleted;
            match last {
                Some(last) => after = last,
                None => return Ok(gone),
            }
        }
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

    /// However many there are, those of long ago are forgotten, and no other.
    #[tokio::test]
    async fn answers_of_completed_uploads_are_forgotten() {
        let (store, objects, settings) = (Store::memory(), Objects::memory(), crate::Settings::default());
        let s3 = S3::new(Router::new(), store, objects, ("0", Accounts::default()), settings).unwrap();
        s3.store
            .write(|tx| {
                for n in 0..3 * BATCH {
                    let old = if n % 2 == 0 { 0 } else { COMPLETED_KEPT_MS };
                    let stored = serde_json::json!({ "etag": "e", "size": 0, "modified_ms": old, "checksums": {}, "blobs": [], "garbage": [] });
                    let done = serde_json::json!({ "bucket": "b", "key": "k", "stored": stored });
                    tx.put_json(keys::completed(&format!("{n:04}")), &done)?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        assert_eq!(s3.forget_completed(COMPLETED_KEPT_MS + 1).await.unwrap(), 3 * BATCH - 3 * BATCH / 2);
        let left = s3.store.read(|tx| tx.scan_prefix(keys::all_completed(), 999)).await.unwrap();
        assert_eq!(left.len(), 3 * BATCH / 2);
    }

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
