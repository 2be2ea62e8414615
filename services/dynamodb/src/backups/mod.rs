//! What can bring a table back: backups as they are kept, the snapshots that they and restores are taken by, and ([`recovery`]) the
//! log of what was changed. [`restore`] makes tables of them.
//!
//! A *snapshot* is a copy of a table's items as they were at one moment, made piece by piece while writes go on: a write of an item
//! that has not been copied yet first puts away what was there ([`keep`]). Nobody waits for it, and it is the table of that moment.

pub(crate) mod recovery;
pub(crate) mod restore;

use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use wire::Error;

use crate::table::{Contents, Table};
use crate::transfer::export;
use crate::value::Item;
use crate::write::Home;

/// The kind of task that copies what a snapshot has not yet.
pub(crate) const COPY: &str = "dynamodb:copy";
/// Items copied in the transaction that asks for it; larger tables are copied by a task.
const COPIED_AT_ONCE: usize = 500;

/// A snapshot under way, in the record of its table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    /// Items up to this place have been copied; none where it has just begun.
    pub(crate) after: Option<Vec<u8>>,
    pub(crate) complete: bool,
    /// Changes after this moment are taken back from it: they stay until it ends. In milliseconds since 1970.
    #[serde(default)]
    pub(crate) to_ms: Option<i64>,
}

/// A backup as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created_ms: i64,
    pub(crate) complete: bool,
    /// The table as it was, and how much it held.
    pub(crate) table: Table,
    pub(crate) contents: Contents,
}

impl Backup {
    /// Where an account's backups are, by table and id.
    pub(crate) fn all(home: &Home) -> Key {
        Key::new("dynamodb").push("backup").push(&home.account).push(&home.region)
    }

    fn key(&self) -> Key {
        let home = Home { account: self.table.account.clone(), region: self.table.region.clone() };
        Self::all(&home).push(&self.table.name).push(&self.id)
    }

    /// The backup that an ARN names.
    pub(crate) fn find(tx: &mut Tx<'_>, home: &Home, arn: &str) -> Result<Option<Self>, Error> {
        let prefix = format!("arn:aws:dynamodb:{}:{}:table/", home.region, home.account);
        let Some((table, id)) = arn.strip_prefix(&prefix).and_then(|rest| rest.split_once("/backup/")) else {
            return Ok(None);
        };
        Ok(tx.get_json(Self::all(home).push(table).push(id))?)
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(self.key(), self)?)
    }

    pub(crate) fn delete(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.delete(self.key())?)
    }
}

/// What a copying task is about, and what comes after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Copy {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) table: String,
    pub(crate) table_id: String,
    pub(crate) snapshot: String,
    pub(crate) then: Then,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Then {
    /// The backup of this ARN is complete.
    Backup(String),
    /// The table is made of it.
    Restore(restore::Restore),
    /// It is written to S3.
    Export(export::TransferKey),
}

/// Where a snapshot's items are, by the place that they had. `null` stands for none.
pub(crate) fn copies(snapshot: &str) -> Key {
    Key::new("dynamodb").push("snapshot").push(snapshot)
}

/// Begins a snapshot of the table, which the caller saves; `to_ms` as in [`Snapshot`]. True when it is complete already; otherwise a
/// task goes on.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    table: &mut Table,
    (id, to_ms): (&str, Option<i64>),
    then: Then,
) -> Result<bool, Error> {
    table.snapshots.push(Snapshot { id: id.to_owned(), after: None, complete: false, to_ms });
    if copy(tx, table, id, COPIED_AT_ONCE)? {
        return Ok(true);
    }
    let about = Copy {
        account: table.account.clone(),
        region: table.region.clone(),
        table: table.name.clone(),
        table_id: table.id.clone(),
        snapshot: id.to_owned(),
        then,
    };
    tx.enqueue(NewTask::new(COPY, format!("{COPY}/{id}")).payload(&about)?)?;
    Ok(false)
}

/// Keeps a table's log of changes from a moment on, until it is ended as a snapshot of that id is. Nothing is copied.
pub(crate) fn hold(table: &mut Table, id: &str, from_ms: i64) {
    table.snapshots.push(Snapshot { id: id.to_owned(), after: None, complete: true, to_ms: Some(from_ms - 1) });
}

/// Copies at most `limit` more items; true when the snapshot is complete. The caller saves the table.
pub(crate) fn copy(tx: &mut Tx<'_>, table: &mut Table, id: &str, limit: usize) -> Result<bool, Error> {
    let prefix = table.items();
    let Some(at) = table.snapshots.iter().position(|snapshot| snapshot.id == id) else { return Ok(true) };
    let after = table.snapshots[at].after.clone().unwrap_or_else(|| prefix.as_bytes().to_vec());
    let records = tx.scan_after(&prefix, &after, limit)?;
    for (key, bytes) in &records {
        let place = copies(id).push(key);
        if !tx.has(&place)? {
            tx.put(place, bytes)?;
        }
    }
    let snapshot = &mut table.snapshots[at];
    snapshot.complete = records.len() < limit;
    if let Some((last, _)) = records.last() {
        snapshot.after = Some(last.clone());
    }
    Ok(snapshot.complete)
}

/// Puts away what a write is about to change, for the snapshots that have not come to it.
pub(crate) fn keep(tx: &mut Tx<'_>, table: &Table, key: &Key, old: Option<&Item>) -> Result<(), Error> {
    for snapshot in table.snapshots.iter().filter(|snapshot| !snapshot.complete) {
        let copied = snapshot.after.as_ref().is_some_and(|after| key.as_bytes() <= after.as_slice());
        let place = copies(&snapshot.id).push(key);
        if !copied && !tx.has(&place)? {
            tx.put_json(place, &old)?;
        }
    }
    Ok(())
}

/// Ends a snapshot: its table goes on without it.
pub(crate) fn end(table: &mut Table, id: &str) {
    table.snapshots.retain(|snapshot| snapshot.id != id);
}
