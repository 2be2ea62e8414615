//! What is stored: each worker with who asked for it, and its accesses, to be found from both sides.

use std::collections::BTreeMap;

use service::lineage::Did;
use store::{Error, Key, Tx};

use crate::pending::{Access, Batch, Known};

pub(crate) const KEPT_DAYS: i64 = 90;
/// Rows that are looked at in one transaction.
const PIECE: usize = 500;

fn place(what: &str) -> Key {
    Key::new("lineage").push(what)
}
fn worker(id: &str) -> Key {
    place("worker").push(id)
}
fn child(of: &str, id: &str) -> Key {
    place("child").push(of).push(id)
}
fn by(worker: &str, data: &str) -> Key {
    place("by").push(worker).push(data)
}
fn of(data: &str, worker: &str) -> Key {
    place("of").push(data).push(worker)
}

fn part(key: &[u8], at: usize) -> String {
    Key::parts(key).get(at).map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default()
}

pub(crate) fn write(tx: &mut Tx<'_>, batch: &Batch) -> Result<(), Error> {
    for (id, known) in &batch.workers {
        let old: Option<Known> = tx.get_json(worker(id))?;
        // Who asked is said once; a worker may have been seen at work before.
        if old.as_ref().is_some_and(|old| old.asked.is_some() || !old.principal.is_empty()) {
            continue;
        }
        if let Some(asked) = &known.asked {
            tx.put(child(asked, id), &[])?;
        }
        tx.put_json(worker(id), known)?;
    }
    for ((id, data), access) in &batch.accesses {
        let mut all = tx.get_json::<Access>(by(id, data))?.unwrap_or_default();
        all.add(access);
        tx.put_json(by(id, data), &all)?;
        tx.put(of(data, id), &[])?;
    }
    Ok(())
}

pub(crate) fn has_writes(tx: &mut Tx<'_>, job: &str) -> Result<bool, Error> {
    Ok(accesses(tx, job, usize::MAX)?.values().any(|access| access.done.keys().any(|did| *did != Did::Read)))
}

pub(crate) fn undo(tx: &mut Tx<'_>, job: &str) -> Result<(), Error> {
    for (data, mut access) in accesses(tx, job, usize::MAX)? {
        access.done.retain(|did, _| *did == Did::Read);
        if access.done.is_empty() {
            tx.delete(by(job, &data))?;
            tx.delete(of(&data, job))?;
        } else {
            tx.put_json(by(job, &data), &access)?;
        }
    }
    Ok(())
}

pub(crate) fn known(tx: &mut Tx<'_>, id: &str) -> Result<Option<Known>, Error> {
    tx.get_json(worker(id))
}

/// Those that a worker has asked for.
pub(crate) fn children(tx: &mut Tx<'_>, id: &str, limit: usize) -> Result<Vec<String>, Error> {
    let found = tx.scan_prefix(place("child").push(id), limit)?;
    Ok(found.into_iter().map(|(key, _)| part(&key, 3)).collect())
}

/// What a worker has done.
pub(crate) fn accesses(tx: &mut Tx<'_>, id: &str, limit: usize) -> Result<BTreeMap<String, Access>, Error> {
    let mut found = BTreeMap::new();
    for (key, value) in tx.scan_prefix(place("by").push(id), limit)? {
        found.insert(part(&key, 3), store::kv::decode(&key, &value)?);
    }
    Ok(found)
}

/// Data whose name begins with this, each with a worker that has touched it.
pub(crate) fn touching(
    tx: &mut Tx<'_>,
    data: &str,
    prefix: bool,
    limit: usize,
) -> Result<Vec<(String, String)>, Error> {
    let mut from = place("of").push(data).into_bytes();
    if prefix {
        // Without the end of the part.
        from.truncate(from.len() - 2);
    }
    let found = tx.scan_prefix(&from, limit)?;
    Ok(found.into_iter().map(|(key, _)| (part(&key, 2), part(&key, 3))).collect())
}

pub(crate) fn access(tx: &mut Tx<'_>, id: &str, data: &str) -> Result<Option<Access>, Error> {
    tx.get_json(by(id, data))
}

/// Which accesses: of a worker, to a piece of data or to all whose names begin so, or all that there are.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    All,
    Worker(String),
    Data { name: String, is_prefix: bool },
}

/// One access: its key, the worker and the data.
pub(crate) type Row = (Vec<u8>, String, String, Access);

/// Accesses in the order of their keys, after that of an earlier page.
pub(crate) fn page(tx: &mut Tx<'_>, wanted: &Wanted, after: &[u8], limit: usize) -> Result<Vec<Row>, Error> {
    let Wanted::Data { name, is_prefix } = wanted else {
        let prefix = match wanted {
            Wanted::Worker(id) => place("by").push(id),
            _ => place("by"),
        };
        let mut rows = Vec::new();
        for (key, value) in tx.scan_after(prefix, after, limit)? {
            let access = store::kv::decode(&key, &value)?;
            rows.push((key.clone(), part(&key, 2), part(&key, 3), access));
        }
        return Ok(rows);
    };
    let mut from = place("of").push(name).into_bytes();
    if *is_prefix {
        // Without the end of the part.
        from.truncate(from.len() - 2);
    }
    let mut rows = Vec::new();
    for (key, _) in tx.scan_after(from, after, limit)? {
        let (data, worker) = (part(&key, 2), part(&key, 3));
        if let Some(access) = access(tx, &worker, &data)? {
            rows.push((key, worker, data, access));
        }
    }
    Ok(rows)
}

/// Forgets accesses that ended before then, and workers that have none left; answers where to go on.
pub(crate) fn forget(tx: &mut Tx<'_>, after: &[u8], before: i64) -> Result<Option<Vec<u8>>, Error> {
    let found = tx.scan_after(place("by"), after, PIECE)?;
    if found.is_empty() {
        return forget_workers(tx, before).map(|()| None);
    }
    let next = found.last().map(|(key, _)| key.clone());
    for (key, value) in found {
        let access: Access = store::kv::decode(&key, &value)?;
        if access.done.values().all(|seen| seen.last_ms < before) {
            tx.delete(of(&part(&key, 3), &part(&key, 2)))?;
            tx.delete(&key)?;
        }
    }
    Ok(next)
}

fn forget_workers(tx: &mut Tx<'_>, before: i64) -> Result<(), Error> {
    for (key, value) in tx.scan_prefix(place("worker"), usize::MAX)? {
        let known: Known = store::kv::decode(&key, &value)?;
        let id = part(&key, 2);
        if known.first_ms < before && accesses(tx, &id, 1)?.is_empty() && children(tx, &id, 1)?.is_empty() {
            if let Some(asked) = &known.asked {
                tx.delete(child(asked, &id))?;
            }
            tx.delete(&key)?;
        }
    }
    Ok(())
}
