//! The one way in which a key's content changes: put, delete, complete and undo all pass here, inside their transaction.

use store::objects::BlobId;

use crate::errors::Result;
use crate::keys;
use crate::records::{ObjectRecord, Segment, UndoRecord, VERSION};
use crate::tx::Tx;

/// Blobs that nothing names once the transaction is committed.
pub(crate) type Garbage = Vec<BlobId>;

/// Gives `key` a new content (or none) and accounts for the old one: kept while an attempt may be undone, else garbage.
pub(crate) fn replace(
    tx: &mut Tx<'_>,
    (bucket, key): (&str, &str),
    new: Option<&ObjectRecord>,
    attempt: Option<&str>,
) -> Result<Garbage> {
    let place = keys::object(bucket, key);
    let old: Option<ObjectRecord> = tx.get_json(&place)?;
    let mut garbage = Garbage::new();
    match attempt {
        None => drop_content(tx, old.as_ref(), &mut garbage)?,
        Some(attempt) => {
            let undo = keys::undo(attempt, bucket, key);
            let logged: Option<UndoRecord> = tx.get_json(&undo)?;
            let own = old.as_ref().and_then(|o| o.writer.as_deref()) == Some(attempt);
            match logged {
                Some(_) if own || old.is_none() => drop_content(tx, old.as_ref(), &mut garbage)?,
                logged => {
                    // Its first change of this key, or somebody else's came in between: that is what undo goes back to.
                    drop_content(tx, logged.and_then(|l| l.previous).as_ref(), &mut garbage)?;
                    let record = UndoRecord { v: VERSION, bucket: bucket.into(), key: key.into(), previous: old };
                    tx.put_json(&undo, &record)?;
                }
            }
        }
    }
    match new {
        Some(record) => tx.put_json(&place, record)?,
        None => tx.delete(&place)?,
    }
    Ok(garbage)
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
