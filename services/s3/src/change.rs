//! The one way in which a key's content changes: put, delete, complete and undo all pass here, inside their transaction.

use store::objects::BlobId;

use crate::errors::Result;
use crate::keys;
use crate::records::{BucketRecord, ObjectRecord, Segment, UndoRecord, VERSION, Versioning};
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
        None => {
            if version::current(tx, &place.bucket.name, place.key)?.is_some() {
                replace(tx, place, None, &mut gone.garbage)?;
                gone.changed = true;
            }
        }
        Some(state) => {
            let mut marker = marker;
            add(tx, place, state, &mut marker, &mut gone.garbage)?;
            gone.version = Some(marker.version_id().to_owned());
            (gone.marker, gone.changed) = (true, true);
        }
    }
    Ok(gone)
}

/// Deletes one version for good.
pub(crate) fn delete_version(tx: &mut Tx<'_>, place: ChangeContext<'_>, id: &str) -> Result<Gone> {
    if place.bucket.versioning.is_none() {
        // There is only the null version.
        let mut gone = Gone::default();
        if id == "null" && version::current(tx, &place.bucket.name, place.key)?.is_some() {
            replace(tx, place, None, &mut gone.garbage)?;
            gone.changed = true;
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
    if place.attempt.is_some() {
        note(tx, place, |undo| undo.written.push(record.version_id().to_owned()))?;
    }
    Ok(())
}

/// A version that is taken away: kept while an attempt may be undone that has not made it itself, else garbage.
fn dispose(tx: &mut Tx<'_>, place: ChangeContext<'_>, record: ObjectRecord, garbage: &mut Garbage) -> Result<()> {
    match place.attempt {
        Some(attempt) if record.writer.as_deref() != Some(attempt) => note(tx, place, |undo| undo.removed.push(record)),
        _ => drop_content(tx, Some(&record), garbage),
    }
}

fn note(tx: &mut Tx<'_>, place: ChangeContext<'_>, change: impl FnOnce(&mut UndoRecord)) -> Result<()> {
    let Some(attempt) = place.attempt else { return Ok(()) };
    let at = keys::undo(attempt, &place.bucket.name, place.key);
    let mut undo = match tx.get_json::<UndoRecord>(&at)? {
        Some(undo) => undo,
        None => UndoRecord {
            v: VERSION,
            bucket: place.bucket.name.clone(),
            key: place.key.to_owned(),
            previous: None,
            written: Vec::new(),
            removed: Vec::new(),
        },
    };
    change(&mut undo);
    Ok(tx.put_json(&at, &undo)?)
}

/// Without versions: gives the key a new content (or none); the old one is kept while an attempt may be undone, else garbage.
fn replace(
    tx: &mut Tx<'_>,
    ChangeContext { bucket, key, attempt, .. }: ChangeContext<'_>,
    new: Option<&ObjectRecord>,
    garbage: &mut Garbage,
) -> Result<()> {
    let bucket = bucket.name.as_str();
    let place = keys::object(bucket, key);
    let old: Option<ObjectRecord> = tx.get_json(&place)?;
    match attempt {
        None => drop_content(tx, old.as_ref(), garbage)?,
        Some(attempt) => {
            let undo = keys::undo(attempt, bucket, key);
            let logged: Option<UndoRecord> = tx.get_json(&undo)?;
            let own = old.as_ref().and_then(|o| o.writer.as_deref()) == Some(attempt);
            match logged {
                Some(_) if own || old.is_none() => drop_content(tx, old.as_ref(), garbage)?,
                logged => {
                    // Its first change of this key, or somebody else's came in between: that is what undo goes back to.
                    drop_content(tx, logged.and_then(|l| l.previous).as_ref(), garbage)?;
                    let record = UndoRecord {
                        v: VERSION,
                        bucket: bucket.into(),
                        key: key.into(),
                        previous: old,
                        written: Vec::new(),
                        removed: Vec::new(),
                    };
                    tx.put_json(&undo, &record)?;
                }
            }
        }
    }
    match new {
        Some(record) => tx.put_json(&place, record)?,
        None => tx.delete(&place)?,
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
