//! Undo of what an attempt of a job has written. A Spark job that is killed halfway and run again must append once:
//! while an attempt lasts, each key's content before its first change is kept; its end drops that, its failure restores it.
//! Uploads that an attempt has begun end with it, completed or not: nobody else knows of them.
//!
//! All is kept under the name of the job, of which one attempt is open at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use service::Cx;
use service::attempts::{Outcome, Participant, job_of};
use store::Key;
use wire::Error;

use crate::S3;
use crate::change::{self, Garbage};
use crate::errors::Result;
use crate::events;
use crate::keys;
use crate::records::{BucketRecord, ObjectRecord, PartRecord, Revision, UndoRecord};
use crate::tx::{Tx, delete_all};
use crate::version;

/// The job with whose attempt's credentials the caller acts.
pub(crate) fn of(cx: &Cx) -> Option<String> {
    cx.attempt().map(|attempt| job_of(attempt).to_owned())
}

impl S3 {
    /// Ends a job's attempt: `commit` keeps what it wrote, otherwise every key goes back to what it held before, unless somebody
    /// else has written or deleted it since. Doing it again changes nothing. Answers how many bytes stay.
    ///
    /// An attempt may have changed a million keys: they end some in each transaction, and each by itself. Which end it is stands with the
    /// first of them, so that a crash between two does not make it the other.
    pub async fn finish_attempt(&self, attempt: &str, commit: bool) -> Result<u64> {
        let mut kept = 0;
        loop {
            let (bytes, more) = self.finish_piece(attempt, commit).await?;
            kept += bytes;
            if !more {
                return Ok(kept);
            }
        }
    }

    /// One transaction of an attempt's end. Answers how many bytes stay of it, and whether more is left.
    async fn finish_piece(&self, attempt: &str, commit: bool) -> Result<(u64, bool)> {
        let (attempt, restored) = (attempt.to_owned(), self.restored.clone());
        let (garbage, bytes, more) = self
            .store
            .write(move |tx| {
                let (mut garbage, mut bytes) = (Garbage::new(), 0);
                let commit = tx.get_json(keys::attempt_end(&attempt))?.unwrap_or(commit);
                let log: Vec<UndoRecord> = tx.list_json(keys::undo_of(&attempt), PIECE)?;
                for entry in &log {
                    if !commit {
                        restored.note(entry);
                    }
                    bytes += finish_entry(tx, &attempt, commit, entry, &mut garbage)?;
                    tx.delete(keys::undo(&attempt, &entry.bucket, &entry.key))?;
                }
                let mut more = log.len() == PIECE;
                if !more {
                    more = abort_uploads(tx, &attempt, &mut garbage)?;
                }
                if !more {
                    more = events::settle(tx, &attempt, (&[], PIECE), commit, |_| true)?.is_some();
                }
                let end = keys::attempt_end(&attempt);
                if more {
                    tx.put_json(end, &commit)?;
                } else {
                    tx.delete(end)?;
                }
                Ok::<_, Error>((garbage, bytes, more))
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok((bytes, more))
    }
}

/// How many keys, parts or events of an attempt end in one transaction.
const PIECE: usize = if cfg!(test) { 2 } else { 1000 };

/// One key. Answers how many bytes stay.
fn finish_entry(
    tx: &mut Tx<'_>,
    attempt: &str,
    commit: bool,
    entry: &UndoRecord,
    garbage: &mut Garbage,
) -> Result<u64> {
    let home: Option<BucketRecord> = tx.get_json(keys::bucket(&entry.bucket))?;
    if !home.is_some_and(|home| entry.is_of(&home)) {
        // Its bucket is gone, and one of that name is another.
        for record in entry.clone().kept() {
            change::drop_content(tx, Some(&record), garbage)?;
        }
        return Ok(0);
    }
    for revision in entry.revised.iter().filter(|_| !commit) {
        take_back(tx, attempt, entry, revision)?;
    }
    if !(entry.written.is_empty() && entry.removed.is_empty()) {
        finish_versions(tx, attempt, commit, entry, garbage)?;
        if entry.previous.is_none() {
            return Ok(0);
        }
    }
    // Where there is nothing else the attempt has only said something of the key.
    if entry.previous.is_none() && !entry.revised.is_empty() {
        return Ok(0);
    }
    finish_key(tx, attempt, commit, entry, garbage)
}

/// Takes back what the attempt has said of a version, where it is now: in its place, or among what another attempt would bring back.
fn take_back(tx: &mut Tx<'_>, attempt: &str, entry: &UndoRecord, revision: &Revision) -> Result<()> {
    let (bucket, key) = (entry.bucket.as_str(), entry.key.as_str());
    let found = version::find(tx, bucket, key, revision.version.as_deref().unwrap_or("null"))?;
    if let Some(mut record) = found.filter(|record| revision.is_of(record)) {
        revision.take_back(&mut record);
        return version::rewrite(tx, bucket, key, &record);
    }
    for (at, mut undo) in elsewhere(tx, attempt, entry)? {
        let kept = undo.previous.iter_mut().chain(&mut undo.removed);
        let mut changed = false;
        for record in kept.filter(|record| revision.is_of(record)) {
            revision.take_back(record);
            changed = true;
        }
        if changed {
            tx.put_json(at, &undo)?;
        }
    }
    Ok(())
}

/// A key without versions. Answers how many bytes stay.
fn finish_key(tx: &mut Tx<'_>, attempt: &str, commit: bool, entry: &UndoRecord, garbage: &mut Garbage) -> Result<u64> {
    let place = keys::object(&entry.bucket, &entry.key);
    let deletion = keys::deletion(&entry.bucket, &entry.key);
    let current: Option<ObjectRecord> = tx.get_json(&place)?;
    let holder = change::holder(tx, &entry.bucket, &entry.key, current.as_ref())?;
    let untold = current.is_none() && entry.home.is_none();
    let own = untold || holder.as_deref() == Some(attempt);
    if !own {
        if !commit {
            return hand_on(tx, attempt, entry, garbage).map(|()| 0);
        }
        if let Some((at, mut next)) = successor(tx, attempt, entry)? {
            next.deleted_by = None;
            next.previous = next.previous.map(|previous| ObjectRecord { writer: None, ..previous });
            tx.put_json(at, &next)?;
        }
        return change::drop_content(tx, entry.previous.as_ref(), garbage).map(|()| 0);
    }
    if commit {
        change::drop_content(tx, entry.previous.as_ref(), garbage)?;
        let Some(mut record) = current else {
            tx.delete(&deletion)?;
            return Ok(0);
        };
        record.writer = None;
        tx.put_json(&place, &record)?;
        return Ok(record.size);
    }
    change::drop_content(tx, current.as_ref(), garbage)?;
    match &entry.previous {
        Some(previous) => tx.put_json(&place, previous)?,
        None => tx.delete(&place)?,
    }
    match &entry.deleted_by {
        Some(by) => tx.put_json(&deletion, by)?,
        None => tx.delete(&deletion)?,
    }
    Ok(0)
}

/// Somebody else has changed the key since: undoing this attempt leaves it as it is. But whoever has changed what this attempt made, and
/// may be undone as well, goes back to what was before both.
pub(crate) fn hand_on(tx: &mut Tx<'_>, attempt: &str, entry: &UndoRecord, garbage: &mut Garbage) -> Result<()> {
    let Some((at, mut next)) = successor(tx, attempt, entry)? else {
        return change::drop_content(tx, entry.previous.as_ref(), garbage);
    };
    change::drop_content(tx, next.previous.as_ref(), garbage)?;
    next.previous.clone_from(&entry.previous);
    next.deleted_by.clone_from(&entry.deleted_by);
    Ok(tx.put_json(at, &next)?)
}

/// The undo record that goes back to what the attempt made of a key.
fn successor(tx: &mut Tx<'_>, attempt: &str, entry: &UndoRecord) -> Result<Option<(Key, UndoRecord)>> {
    let found = elsewhere(tx, attempt, entry)?;
    Ok(found.into_iter().find(|(_, undo)| undo.base() == Some(attempt)))
}

/// What other attempts have noted of the same key.
fn elsewhere(tx: &mut Tx<'_>, attempt: &str, entry: &UndoRecord) -> Result<Vec<(Key, UndoRecord)>> {
    let (all, mut found) = (keys::all_undo(), Vec::new());
    let mut from = all.as_bytes().to_vec();
    while let Some((key, _)) = tx.scan(&from, Some(&end_of(&all)), 1, false)?.first() {
        let Some(job) = Key::parts(key).into_iter().nth(2).and_then(|job| String::from_utf8(job).ok()) else { break };
        from = end_of(&keys::undo_of(&job));
        if job == attempt {
            continue;
        }
        let at = keys::undo(&job, &entry.bucket, &entry.key);
        if let Some(undo) = tx.get_json::<UndoRecord>(&at)?
            && undo.home == entry.home
        {
            found.push((at, undo));
        }
    }
    Ok(found)
}

/// The same for a key with versions: what the attempt wrote is taken away again, and what it took away comes back.
fn finish_versions(
    tx: &mut Tx<'_>,
    attempt: &str,
    commit: bool,
    entry: &UndoRecord,
    garbage: &mut Garbage,
) -> Result<()> {
    let (bucket, key) = (entry.bucket.as_str(), entry.key.as_str());
    let mut removed = entry.removed.clone();
    let written: BTreeSet<&String> = entry.written.iter().collect();
    for id in written {
        match version::find(tx, bucket, key, id)?.filter(|record| record.writer.as_deref() == Some(attempt)) {
            Some(mut record) if commit => {
                record.writer = None;
                version::rewrite(tx, bucket, key, &record)?;
            }
            Some(record) => {
                version::remove(tx, bucket, key, id)?;
                change::drop_content(tx, Some(&record), garbage)?;
            }
            None => finish_taken(tx, attempt, commit, (entry, id, &mut removed), garbage)?,
        }
    }
    // The last null version that it took away is the one to go back to.
    for record in removed.iter().rev() {
        let taken = record.version.is_none() && version::find(tx, bucket, key, "null")?.is_some();
        if commit || taken {
            change::drop_content(tx, Some(record), garbage)?;
        } else {
            version::insert(tx, bucket, key, record, false)?;
        }
    }
    Ok(())
}

/// A version of the attempt's that another attempt has taken away, and would bring back.
fn finish_taken(
    tx: &mut Tx<'_>,
    attempt: &str,
    commit: bool,
    (entry, id, removed): (&UndoRecord, &str, &mut Vec<ObjectRecord>),
    garbage: &mut Garbage,
) -> Result<()> {
    for (at, mut undo) in elsewhere(tx, attempt, entry)? {
        let is_it = |r: &ObjectRecord| r.version_id() == id && r.writer.as_deref() == Some(attempt);
        let Some(n) = undo.removed.iter().position(is_it) else { continue };
        if commit {
            undo.removed[n].writer = None;
        } else {
            let gone = undo.removed.remove(n);
            change::drop_content(tx, Some(&gone), garbage)?;
            // It took the place of a null version of before: that is what is to come back.
            if gone.version.is_none()
                && let Some(before) = removed.iter().rposition(|r| r.version.is_none())
            {
                undo.removed.insert(n, removed.remove(before));
            }
        }
        return Ok(tx.put_json(at, &undo)?);
    }
    Ok(())
}

/// Some of the uploads that the attempt has begun end, one of many parts by itself. Answers whether more may be left.
fn abort_uploads(tx: &mut Tx<'_>, attempt: &str, garbage: &mut Garbage) -> Result<bool> {
    let uploads: Vec<(String, String, String)> = tx.list_json(keys::attempt_uploads(attempt), PIECE)?;
    let (mut count, all) = (0, uploads.len());
    for (bucket, key, id) in uploads {
        let parts: Vec<PartRecord> = tx.list_json(keys::parts(&id), usize::MAX)?;
        for part in &parts {
            change::drop_segment(tx, &part.segment, garbage)?;
        }
        delete_all(tx, &keys::parts(&id))?;
        tx.delete(keys::upload(&bucket, &key, &id))?;
        tx.delete(keys::attempt_uploads(attempt).push(&id))?;
        count += 1 + parts.len();
        if count >= PIECE {
            return Ok(true);
        }
    }
    Ok(all == PIECE)
}

#[async_trait::async_trait]
impl Participant for S3 {
    async fn keep_below(&self, job: &str, places: &[String]) -> Result<()> {
        let below: Arc<dyn Fn(&str) -> bool + Send + Sync> = {
            let places = places.to_vec();
            Arc::new(move |url: &str| places.iter().any(|place| url.starts_with(place.as_str())))
        };
        let mut after = Some(Vec::new());
        while let Some(from) = after {
            let (attempt, below) = (job.to_owned(), Arc::clone(&below));
            let (garbage, next) = self
                .store
                .write(move |tx| {
                    let mut garbage = Garbage::new();
                    let page = tx.scan_after(keys::undo_of(&attempt), &from, PIECE)?;
                    for (place, value) in &page {
                        let entry: UndoRecord = store::kv::decode(place, value)?;
                        if below(&format!("s3://{}/{}", entry.bucket, entry.key)) {
                            finish_entry(tx, &attempt, true, &entry, &mut garbage)?;
                            tx.delete(place)?;
                        }
                    }
                    let next = page.last().filter(|_| page.len() == PIECE).map(|(place, _)| place.clone());
                    Ok::<_, Error>((garbage, next))
                })
                .await?;
            self.objects.delete(garbage).await;
            after = next;
        }
        let mut after = Some(Vec::new());
        while let Some(from) = after {
            let (attempt, below) = (job.to_owned(), Arc::clone(&below));
            after = self
                .store
                .write(move |tx| events::settle(tx, &attempt, (&from, PIECE), true, |url| below(url)))
                .await?;
        }
        Ok(())
    }

    async fn finish(&self, job: &str, outcome: Outcome) -> Result<u64> {
        if self.holds(job).await? { self.finish_attempt(job, outcome == Outcome::Commit).await } else { Ok(0) }
    }

    async fn holds(&self, job: &str) -> Result<bool> {
        let places =
            [keys::undo_of(job), keys::attempt_uploads(job), keys::attempt_events(job), keys::attempt_end(job)];
        self.store
            .read(|tx| {
                for place in &places {
                    if !tx.scan_prefix(place, 1)?.is_empty() {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
    }

    async fn next(&self, after: Option<&str>) -> Result<Option<String>> {
        let places =
            [keys::all_undo(), keys::all_attempt_uploads(), keys::all_attempt_events(), keys::all_attempt_ends()];
        self.store
            .read(|tx| {
                let mut found: Vec<String> = Vec::new();
                for all in &places {
                    // Behind all of the last job's.
                    let from = after.map_or_else(|| all.as_bytes().to_vec(), |job| end_of(&all.clone().push(job)));
                    let next = tx.scan(&from, Some(&end_of(all)), 1, false)?;
                    let job = next.first().and_then(|(key, _)| Key::parts(key).into_iter().nth(2));
                    found.extend(job.map(|job| String::from_utf8_lossy(&job).into_owned()));
                }
                Ok(found.into_iter().min())
            })
            .await
    }
}

fn end_of(prefix: &Key) -> Vec<u8> {
    store::key::prefix_end(prefix.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use service::{Accounts, Handle, Principal, Router};
    use store::Store;
    use store::objects::Objects;

    use super::*;

    /// What an attempt's end has begun as it stays, whatever a start after a crash takes it for.
    #[tokio::test]
    async fn an_end_that_is_cut_short_goes_on_as_it_began() {
        for commit in [false, true] {
            let router = Router::new();
            let (store, objects, settings) = (Store::memory(), Objects::memory(), crate::Settings::default());
            let s3 = S3::new(router.clone(), store, objects, ("0", Accounts::default()), settings).unwrap();
            let cx = Cx::new(router.clone(), Principal::Platform, "0", "us-east-1");
            s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await.unwrap();
            router.attempts().open("job");
            let role = Principal::role("arn:aws:iam::0:role/job", "s", Some("job".to_owned()));
            let job = cx.as_principal(role);
            for n in 0..=2 * PIECE {
                let key = format!("k{n}");
                let input = api_s3::PutObjectRequest { bucket: "bucket".into(), key, ..Default::default() };
                Handle::<api_s3::PutObject>::handle(&*s3, &job, input).await.unwrap();
            }
            assert!(s3.finish_piece("job", commit).await.unwrap().1);
            assert!(s3.holds("job").await.unwrap());
            s3.finish_attempt("job", !commit).await.unwrap();
            let query = crate::list::Query { max: 1000, ..crate::list::Query::default() };
            let left = s3.list("bucket", query).await.unwrap().len();
            assert_eq!(left, if commit { 2 * PIECE + 1 } else { 0 });
            assert!(!s3.holds("job").await.unwrap() && s3.next(None).await.unwrap().is_none());
        }
    }
}
