//! The one way in which a key's content changes: put, delete, complete and undo all pass here, inside their transaction.

use store::objects::BlobId;

use crate::attempts;
use crate::errors::Result;
use crate::keys;
use crate::records::{BucketRecord, ObjectRecord, Said, Segment, UndoRecord, Versioning};
use crate::sweep::Restored;
use crate::tx::Tx;
use crate::version;

/// Blobs that nothing names once the transaction is committed.
pub(crate) type Garbage = Vec<BlobId>;

/// What changes, by whom.
#[derive(Clone, Copy)]
pub(crate) struct ChangeContext<'a> {
    pub(crate) bucket: &'a BucketRecord,
    pub(crate) key: &'a str,
    /// The attempt of user code that does it.
    pub(crate) attempt: Option<&'a str>,
    /// Random text for a version's id.
    pub(crate) chance: &'a str,
    /// What a sweep is told of that moves between undo records meanwhile.
    pub(crate) restored: &'a Restored,
}

/// Gives the key a new content, and the record its version; accounts for the old one.
pub(crate) fn put(tx: &mut Tx<'_>, place: ChangeContext<'_>, record: &mut ObjectRecord) -> Result<Garbage> {
    let mut garbage = Garbage::new();
    match place.bucket.versioning {
        None => replace(tx, place, Some(record), &mut garbage)?,
        Some(state) => add(tx, place, state, record, &mut garbage)?,
    }
    Ok(garbage)
}

/// What a deletion did.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    pub(crate) garbage: Garbage,
    /// The version that was deleted, or the delete marker that was made.
    pub(crate) version: Option<String>,
    /// A delete marker was made, or was what was deleted.
    pub(crate) marker: bool,
    /// Whether anything changed.
    pub(crate) changed: bool,
}

/// Deletes the key: its content, or with versions by a delete marker in front of it.
pub(crate) fn delete(tx: &mut Tx<'_>, place: ChangeContext<'_>, marker: ObjectRecord) -> Result<Gone> {
    let mut gone = Gone::default();
    match place.bucket.versioning {
        None => delete_only(tx, place, &mut gone)?,
        Some(state) => {
            let mut marker = marker;
            add(tx, place, state, &mut marker, &mut gone.garbage)?;
            gone.version = Some(marker.version_id().to_owned());
            (gone.marker, gone.changed) = (true, true);
        }
    }
    Ok(gone)
}

/// Without versions: deletes all that there is of the key.
fn delete_only(tx: &mut Tx<'_>, place: ChangeContext<'_>, gone: &mut Gone) -> Result<()> {
    let (bucket, key) = (place.bucket.name.as_str(), place.key);
    let current = version::current(tx, bucket, key)?;
    gone.changed = current.is_some();
    // What an attempt has deleted is now deleted for good, whatever becomes of the attempt.
    if current.is_some() || holder(tx, bucket, key, None)?.is_some_and(|by| place.attempt != Some(&*by)) {
        replace(tx, place, None, &mut gone.garbage)?;
    }
    Ok(())
}

/// Deletes one version for good.
pub(crate) fn delete_version(tx: &mut Tx<'_>, place: ChangeContext<'_>, id: &str) -> Result<Gone> {
    if place.bucket.versioning.is_none() {
        // There is only the null version.
        let mut gone = Gone::default();
        if id == "null" {
            delete_only(tx, place, &mut gone)?;
        }
        gone.version = Some(id.to_owned());
        return Ok(gone);
    }
    let mut gone = Gone { version: Some(id.to_owned()), ..Gone::default() };
    if let Some(record) = version::remove(tx, &place.bucket.name, place.key, id)? {
        (gone.marker, gone.changed) = (record.marker, true);
        dispose(tx, place, record, &mut gone.garbage)?;
    }
    Ok(gone)
}

/// Adds a version, or with versioning suspended replaces the null one.
fn add(
    tx: &mut Tx<'_>,
    place: ChangeContext<'_>,
    state: Versioning,
    record: &mut ObjectRecord,
    garbage: &mut Garbage,
) -> Result<()> {
    let (bucket, key) = (place.bucket.name.as_str(), place.key);
    let (id, seq) = version::name(tx, place.chance)?;
    record.seq = seq;
    record.version = (state == Versioning::Enabled).then_some(id);
    if record.version.is_none()
        && let Some(old) = version::remove(tx, bucket, key, "null")?
    {
        dispose(tx, place, old, garbage)?;
    }
    version::insert(tx, bucket, key, record, true)?;
    note(tx, place, garbage, |undo| undo.written.push(record.version_id().to_owned()))
}

/// A version that is taken away: kept while an attempt may be undone that has not made it itself, else garbage.
fn dispose(tx: &mut Tx<'_>, place: ChangeContext<'_>, record: ObjectRecord, garbage: &mut Garbage) -> Result<()> {
    match place.attempt {
        Some(attempt) if record.writer.as_deref() != Some(attempt) => note(tx, place, garbage, |undo| {
            let record = undo.unsaid(record);
            undo.removed.push(record);
        }),
        _ => drop_content(tx, Some(&record), garbage),
    }
}

/// Something was said of a version that is there: it is taken back with an attempt that has not written the version itself.
pub(crate) fn revise(
    tx: &mut Tx<'_>,
    place: ChangeContext<'_>,
    record: &ObjectRecord,
    before: Said,
    garbage: &mut Garbage,
) -> Result<()> {
    if place.attempt.is_none() || place.attempt == record.writer.as_deref() {
        return Ok(());
    }
    note(tx, place, garbage, |undo| undo.note_revision(record, before))
}

fn note(
    tx: &mut Tx<'_>,
    place: ChangeContext<'_>,
    garbage: &mut Garbage,
    change: impl FnOnce(&mut UndoRecord),
) -> Result<()> {
    let Some(attempt) = place.attempt else { return Ok(()) };
    let logged = logged(tx, place, attempt, garbage)?;
    let mut undo = logged.unwrap_or_else(|| UndoRecord::new(place.bucket, place.key));
    change(&mut undo);
    Ok(tx.put_json(keys::undo(attempt, &undo.bucket, &undo.key), &undo)?)
}

/// What the attempt has noted of the key. What it has noted of an earlier bucket of that name went with the bucket.
fn logged(
    tx: &mut Tx<'_>,
    ChangeContext { bucket, key, .. }: ChangeContext<'_>,
    attempt: &str,
    garbage: &mut Garbage,
) -> Result<Option<UndoRecord>> {
    let found: Option<UndoRecord> = tx.get_json(keys::undo(attempt, &bucket.name, key))?;
    match found {
        Some(undo) if !undo.is_of(bucket) => {
            for record in undo.kept() {
                drop_content(tx, Some(&record), garbage)?;
            }
            Ok(None)
        }
        found => Ok(found),
    }
}

/// The attempt that gave the key what it holds, or took it away, as long as that may be undone.
pub(crate) fn holder(
    tx: &mut Tx<'_>,
    bucket: &str,
    key: &str,
    current: Option<&ObjectRecord>,
) -> Result<Option<String>> {
    match current {
        Some(record) => Ok(record.writer.clone()),
        None => Ok(tx.get_json(keys::deletion(bucket, key))?),
    }
}

/// Without versions: gives the key a new content (or none); the old one is kept while an attempt may be undone, else garbage.
fn replace(tx: &mut Tx<'_>, place: ChangeContext<'_>, new: Option<&ObjectRecord>, garbage: &mut Garbage) -> Result<()> {
    let (bucket, key, name) = (place.bucket, place.key, place.bucket.name.as_str());
    let at = keys::object(name, key);
    let old: Option<ObjectRecord> = tx.get_json(&at)?;
    let by = holder(tx, name, key, old.as_ref())?;
    match place.attempt {
        None => drop_content(tx, old.as_ref(), garbage)?,
        Some(attempt) => {
            let logged = logged(tx, place, attempt, garbage)?;
            let untold = old.is_none() && logged.as_ref().is_some_and(|undo| undo.home.is_none());
            match logged {
                Some(_) if untold || by.as_deref() == Some(attempt) => drop_content(tx, old.as_ref(), garbage)?,
                logged => {
                    // Its first change of this key, or somebody else's came in between: that is what undo goes back to, without what
                    // the attempt itself has said of it.
                    let mut previous = old.clone();
                    if let Some(logged) = logged {
                        previous = previous.map(|record| logged.unsaid(record));
                        place.restored.note(&logged);
                        attempts::hand_on(tx, attempt, &logged, garbage)?;
                    }
                    let deleted_by = by.clone().filter(|_| old.is_none());
                    let undo = UndoRecord { previous, deleted_by, ..UndoRecord::new(bucket, key) };
                    tx.put_json(keys::undo(attempt, name, key), &undo)?;
                }
            }
        }
    }
    let deletion = keys::deletion(name, key);
    match new {
        Some(record) => tx.put_json(&at, record)?,
        None => tx.delete(&at)?,
    }
    match (new, place.attempt) {
        (None, Some(attempt)) => tx.put_json(&deletion, attempt)?,
        _ if old.is_none() && by.is_some() => tx.delete(&deletion)?,
        _ => {}
    }
    Ok(())
}

/// Removes what a record's segments hold: inline bytes now, blobs after the commit.
pub(crate) fn drop_content(tx: &mut Tx<'_>, record: Option<&ObjectRecord>, garbage: &mut Garbage) -> Result<()> {
    for segment in record.iter().flat_map(|r| &r.segments) {
        drop_segment(tx, segment, garbage)?;
    }
    Ok(())
}

pub(crate) fn drop_segment(tx: &mut Tx<'_>, segment: &Segment, garbage: &mut Garbage) -> Result<()> {
    if segment.inline {
        tx.delete(keys::inline(&segment.id))?;
    } else {
        garbage.push(segment.id.clone());
    }
    Ok(())
}
