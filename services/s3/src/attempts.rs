//! Undo of what an attempt of a job has written. A Spark job that is killed halfway and run again must append once:
//! while an attempt lasts, each key's content before its first change is kept; its end drops that, its failure restores it.
//! Uploads that an attempt has begun end with it, completed or not: nobody else knows of them.
//!
//! All is kept under the name of the job, of which one attempt is open at a time.

use std::collections::BTreeSet;

use service::Cx;
use service::attempts::{Outcome, Participant, job_of};
use store::Key;
use wire::Error;

use crate::S3;
use crate::change::{self, Garbage};
use crate::errors::Result;
use crate::keys;
use crate::records::{BucketRecord, ObjectRecord, PartRecord, UndoRecord};
use crate::tx::{Tx, delete_all};
use crate::version;

/// The job with whose attempt's credentials the caller acts.
pub(crate) fn of(cx: &Cx) -> Option<String> {
    cx.attempt().map(|attempt| job_of(attempt).to_owned())
}

impl S3 {
    /// Ends a job's attempt: `commit` keeps what it wrote, otherwise every key goes back to what it held before, unless somebody
    /// else has written or deleted it since. One transaction; doing it again changes nothing. Answers how many bytes stay.
    pub async fn finish_attempt(&self, attempt: &str, commit: bool) -> Result<u64> {
        let (attempt, restored) = (attempt.to_owned(), self.restored.clone());
        let (garbage, bytes) = self
            .store
            .write(move |tx| {
                let (mut garbage, mut bytes) = (Garbage::new(), 0);
                let log: Vec<UndoRecord> = tx.list_json(keys::undo_of(&attempt), usize::MAX)?;
                for entry in &log {
                    if !commit {
                        restored.note(entry);
                    }
                    bytes += finish_entry(tx, &attempt, commit, entry, &mut garbage)?;
                }
                delete_all(tx, &keys::undo_of(&attempt))?;
                abort_uploads(tx, &attempt, &mut garbage)?;
                delete_all(tx, &keys::attempt_uploads(&attempt))?;
                Ok::<_, Error>((garbage, bytes))
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(bytes)
    }
}

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
    if !(entry.written.is_empty() && entry.removed.is_empty()) {
        finish_versions(tx, attempt, commit, entry, garbage)?;
        if entry.previous.is_none() {
            return Ok(0);
        }
    }
    finish_key(tx, attempt, commit, entry, garbage)
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

fn abort_uploads(tx: &mut Tx<'_>, attempt: &str, garbage: &mut Garbage) -> Result<()> {
    let uploads: Vec<(String, String, String)> = tx.list_json(keys::attempt_uploads(attempt), usize::MAX)?;
    for (bucket, key, id) in uploads {
        for part in tx.list_json::<PartRecord>(keys::parts(&id), usize::MAX)? {
            change::drop_segment(tx, &part.segment, garbage)?;
        }
        delete_all(tx, &keys::parts(&id))?;
        tx.delete(keys::upload(&bucket, &key, &id))?;
    }
    Ok(())
}

#[async_trait::async_trait]
impl Participant for S3 {
    async fn keep_below(&self, job: &str, places: &[String]) -> Result<()> {
        let (attempt, places) = (job.to_owned(), places.to_vec());
        let garbage = self
            .store
            .write(move |tx| {
                let mut garbage = Garbage::new();
                for entry in tx.list_json::<UndoRecord>(keys::undo_of(&attempt), usize::MAX)? {
                    let url = format!("s3://{}/{}", entry.bucket, entry.key);
                    if places.iter().any(|place| url.starts_with(place.as_str())) {
                        finish_entry(tx, &attempt, true, &entry, &mut garbage)?;
                        tx.delete(keys::undo(&attempt, &entry.bucket, &entry.key))?;
                    }
                }
                Ok::<_, Error>(garbage)
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(())
    }

    async fn finish(&self, job: &str, outcome: Outcome) -> Result<u64> {
        if self.holds(job).await? { self.finish_attempt(job, outcome == Outcome::Commit).await } else { Ok(0) }
    }

    async fn holds(&self, job: &str) -> Result<bool> {
        let places = [keys::undo_of(job), keys::attempt_uploads(job)];
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
        let places = [keys::all_undo(), keys::all_attempt_uploads()];
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
