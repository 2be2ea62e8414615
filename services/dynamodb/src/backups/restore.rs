//! Tables made of backups and of earlier moments: first the items come together in a snapshot, then the new table takes them one by
//! one, with its own indexes. Until it has them all it is `CREATING`.

use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use wire::Error;

use super::recovery::{self, Before};
use crate::items::{self, Cause, Change};
use crate::table::Table;
use crate::value::Item;
use crate::write::Home;

pub(crate) const RESTORE: &str = "dynamodb:restore";

/// Where a table came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) backup_arn: Option<String>,
    pub(crate) source_arn: Option<String>,
    pub(crate) at_ms: i64,
    pub(crate) in_progress: bool,
}

/// What a restoring task is about, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Restore {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) target: String,
    pub(crate) target_id: String,
    pub(crate) snapshot: String,
    /// What is taken back first.
    pub(crate) undo: Option<Undo>,
    /// The last place that the new table has taken.
    pub(crate) after: Option<Vec<u8>>,
}

/// The changes of a table after a moment, up to the number that the snapshot was taken at. The snapshot is of this restore alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) table: String,
    pub(crate) table_id: String,
    /// Those with a lower number are left.
    pub(crate) below: u64,
    pub(crate) to_ms: i64,
    pub(crate) done: bool,
}

/// Enqueues the task that makes the table.
pub(crate) fn enqueue(tx: &mut Tx<'_>, restore: &Restore) -> Result<(), Error> {
    Ok(tx.enqueue(NewTask::new(RESTORE, format!("{RESTORE}/{}", restore.target_id)).payload(restore)?)?)
}

/// One piece of the work; true when the table is ready, or nobody wants it any more.
pub(crate) fn step(tx: &mut Tx<'_>, restore: &mut Restore, limit: usize) -> Result<bool, Error> {
    let home = Home { account: restore.account.clone(), region: restore.region.clone() };
    if let Some(undo) = restore.undo.as_mut().filter(|undo| !undo.done) {
        take_back(tx, undo, &restore.snapshot, limit)?;
        return Ok(false);
    }
    let target = home.find(tx, &restore.target)?.filter(|table| table.id == restore.target_id);
    let Some(target) = target else { return finish(tx, &home, restore).map(|()| true) };
    let prefix = super::copies(&restore.snapshot);
    let after = restore.after.clone().unwrap_or_else(|| prefix.as_bytes().to_vec());
    let records = tx.scan_after(&prefix, &after, limit)?;
    for (place, bytes) in &records {
        let Some(item) = store::kv::decode::<Option<Item>>(place, bytes)? else { continue };
        let key = target.key_of(&item)?;
        let old = items::get(tx, &key)?;
        items::replace(tx, &target, Change { key: &key, old: old.as_ref(), new: Some(&item), cause: Cause::Request })?;
    }
    if let Some((last, _)) = records.last() {
        restore.after = Some(last.clone());
    }
    if records.len() == limit {
        return Ok(false);
    }
    let mut target = Table::clone(&target);
    if let Some(origin) = &mut target.origin {
        origin.in_progress = false;
    }
    target.save(tx)?;
    finish(tx, &home, restore)?;
    Ok(true)
}

/// The snapshot of a restore to a moment is of no more use; a backup's stays.
fn finish(tx: &mut Tx<'_>, home: &Home, restore: &Restore) -> Result<(), Error> {
    let Some(undo) = &restore.undo else { return Ok(()) };
    if let Some(source) = home.find(tx, &undo.table)?.filter(|table| table.id == undo.table_id) {
        let mut source = Table::clone(&source);
        super::end(&mut source, &restore.snapshot);
        source.save(tx)?;
    }
    Ok(tx.enqueue(
        NewTask::new(CLEAR_COPIES, format!("{CLEAR_COPIES}/{}", restore.snapshot)).payload(&restore.snapshot)?,
    )?)
}

pub(crate) const CLEAR_COPIES: &str = "dynamodb:clear-copies";

/// Takes back at most `limit` changes, the newest first.
pub(crate) fn take_back(tx: &mut Tx<'_>, undo: &mut Undo, snapshot: &str, limit: usize) -> Result<(), Error> {
    let changes = recovery::changes(&undo.table_id);
    let to = changes.clone().push_u64(undo.below);
    let records = tx.scan(changes.as_bytes(), Some(to.as_bytes()), limit, true)?;
    undo.done = records.len() < limit;
    for (key, bytes) in records {
        let Before { at_ms, key: place, old } = store::kv::decode(&key, &bytes)?;
        if at_ms <= undo.to_ms {
            undo.done = true;
            return Ok(());
        }
        tx.put_json(super::copies(snapshot).push(&place), &old)?;
        undo.below = Key::parts(&key).last().and_then(|part| Key::part_u64(part)).unwrap_or(0);
    }
    Ok(())
}
