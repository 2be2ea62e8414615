//! Undo of what an attempt of a job has written. A Spark job that is killed halfway and run again must append once:
//! while an attempt lasts, each key's content before its first change is kept; its end drops that, its failure restores it.
//! Uploads that an attempt has begun end with it, completed or not: nobody else knows of them.
//!
//! All is kept under the name of the job, of which one attempt is open at a time.

use service::Cx;
use service::attempts::{Outcome, Participant, job_of};
use wire::Error;

use crate::S3;
use crate::change::{self, Garbage};
use crate::errors::Result;
use crate::keys;
use crate::records::{ObjectRecord, PartRecord, UndoRecord};
use crate::tx::{Tx, delete_all};
use crate::version;

/// The job with whose attempt's credentials the caller acts.
pub(crate) fn of(cx: &Cx) -> Option<String> {
    cx.attempt().map(|attempt| job_of(attempt).to_owned())
}

impl S3 {
    /// Ends a job's attempt: `commit` keeps what it wrote, otherwise every key goes back to what it held before, unless somebody
    /// else has written it since. One transaction; doing it again changes nothing. Answers how many bytes stay.
    pub async fn finish_attempt(&self, attempt: &str, commit: bool) -> Result<u64> {
        let attempt = attempt.to_owned();
        let (garbage, bytes) = self
            .store
            .write(move |tx| {
                let (mut garbage, mut bytes) = (Garbage::new(), 0);
                let log: Vec<UndoRecord> = tx.list_json(keys::undo_of(&attempt), usize::MAX)?;
                for entry in &log {
                    if !(entry.written.is_empty() && entry.removed.is_empty()) {
                        finish_versions(tx, &attempt, commit, entry, &mut garbage)?;
                        if entry.previous.is_none() {
                            continue;
                        }
                    }
                    let place = keys::object(&entry.bucket, &entry.key);
                    let current: Option<ObjectRecord> = tx.get_json(&place)?;
                    let own = current.as_ref().is_none_or(|c| c.writer.as_deref() == Some(attempt.as_str()));
                    match (commit, current) {
                        (true, current) => {
                            change::drop_content(tx, entry.previous.as_ref(), &mut garbage)?;
                            if let Some(mut record) = current.filter(|_| own) {
                                bytes += record.size;
                                record.writer = None;
                                tx.put_json(&place, &record)?;
                            }
                        }
                        (false, current) if own => {
                            change::drop_content(tx, current.as_ref(), &mut garbage)?;
                            match &entry.previous {
                                Some(previous) if tx.get(keys::bucket(&entry.bucket))?.is_some() => {
                                    tx.put_json(&place, previous)?;
                                }
                                previous => {
                                    change::drop_content(tx, previous.as_ref(), &mut garbage)?;
                                    tx.delete(&place)?;
                                }
                            }
                        }
                        (false, _) => change::drop_content(tx, entry.previous.as_ref(), &mut garbage)?,
                    }
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

/// The same for a key with versions: what the attempt wrote is taken away again, and what it took away comes back.
fn finish_versions(
    tx: &mut Tx<'_>,
    attempt: &str,
    commit: bool,
    entry: &UndoRecord,
    garbage: &mut Garbage,
) -> Result<()> {
    let (bucket, key) = (entry.bucket.as_str(), entry.key.as_str());
    for id in &entry.written {
        let Some(mut record) = version::find(tx, bucket, key, id)? else { continue };
        if record.writer.as_deref() != Some(attempt) {
            continue;
        }
        if commit {
            record.writer = None;
            version::rewrite(tx, bucket, key, &record)?;
        } else {
            version::remove(tx, bucket, key, id)?;
            change::drop_content(tx, Some(&record), garbage)?;
        }
    }
    for record in &entry.removed {
        let taken = record.version.is_none() && version::find(tx, bucket, key, "null")?.is_some();
        if commit || taken || tx.get(keys::bucket(bucket))?.is_none() {
            change::drop_content(tx, Some(record), garbage)?;
        } else {
            version::insert(tx, bucket, key, record, false)?;
        }
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
                    let job = next.first().and_then(|(key, _)| store::Key::parts(key).into_iter().nth(2));
                    found.extend(job.map(|job| String::from_utf8_lossy(&job).into_owned()));
                }
                Ok(found.into_iter().min())
            })
            .await
    }
}

fn end_of(prefix: &store::Key) -> Vec<u8> {
    store::key::prefix_end(prefix.as_bytes()).unwrap_or_default()
}
