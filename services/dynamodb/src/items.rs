//! Items in the store: one write keeps item, index entries, expiry and counts in step.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use wire::Error;

use crate::Invalid;
use crate::table::{Index, Table};
use crate::value::{Item, Value, item_size};

/// Largest item.
const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Deepest nesting of maps and lists.
const MAX_LEVELS: usize = 32;
/// AWS does not delete what has been expired for longer than this.
const OLDEST_EXPIRY_SECONDS: i64 = 5 * 366 * 86_400;

pub(crate) const EXPIRE: &str = "dynamodb:expire";

/// What the expiry task is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Expire {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) table: String,
    pub(crate) table_id: String,
}

pub(crate) fn get(tx: &mut Tx<'_>, key: &Key) -> Result<Option<Item>, Error> {
    Ok(tx.get_json(key)?)
}

/// Fails for an item that no table can hold.
pub(crate) fn check(table: &Table, item: &Item, updated: bool) -> Result<(), Invalid> {
    table.check_index_keys(item)?;
    if item_size(item) > MAX_ITEM_BYTES {
        return Err(Invalid::new(if updated {
            "Item size to update has exceeded the maximum allowed size"
        } else {
            "Item size has exceeded the maximum allowed size"
        }));
    }
    if item.values().any(|value| value.deeper_than(MAX_LEVELS)) {
        return Err(Invalid::new("Nesting Levels have exceeded supported limits"));
    }
    Ok(())
}

/// Puts `new` in the place of `old`, either of which may be absent, under `key`.
pub(crate) fn replace(
    tx: &mut Tx<'_>,
    table: &Table,
    key: &Key,
    old: Option<&Item>,
    new: Option<&Item>,
) -> Result<(), Error> {
    match new {
        Some(new) => tx.put_json(key, new)?,
        None => tx.delete(key)?,
    }
    for index in &table.indexes {
        reindex(tx, table, index, old, new)?;
    }
    if table.ttl.is_some() {
        set_expiry(tx, table, key, old, new)?;
    }
    let size = |item: Option<&Item>| item.map_or(0, |item| i64::try_from(item_size(item)).unwrap_or(0));
    let count = |item: Option<&Item>| i64::from(item.is_some());
    let (items, bytes) = (count(new) - count(old), size(new) - size(old));
    if (items, bytes) != (0, 0) {
        let mut contents = table.contents(tx)?;
        contents.items += items;
        contents.bytes += bytes;
        tx.put_json(table.contents_key(), &contents)?;
    }
    Ok(())
}

fn reindex(tx: &mut Tx<'_>, table: &Table, index: &Index, old: Option<&Item>, new: Option<&Item>) -> Result<(), Error> {
    let old_key = old.and_then(|item| table.entry_key(index, item));
    let new_key = new.and_then(|item| table.entry_key(index, item));
    if let Some(old_key) = &old_key
        && new_key.as_ref() != Some(old_key)
    {
        tx.delete(old_key)?;
    }
    if let (Some(new_key), Some(new)) = (&new_key, new) {
        tx.put_json(new_key, &table.projected(index, new))?;
    }
    Ok(())
}

/// Calls `visit` with every item of the table.
pub(crate) fn each(
    tx: &mut Tx<'_>,
    table: &Table,
    mut visit: impl FnMut(&mut Tx<'_>, &Key, Item) -> Result<(), Error>,
) -> Result<(), Error> {
    let prefix = table.items();
    let mut after = prefix.as_bytes().to_vec();
    loop {
        let records = tx.scan_after(&prefix, &after, 500)?;
        let Some((last, _)) = records.last() else { return Ok(()) };
        after.clone_from(last);
        for (_, bytes) in records {
            let item: Item = store::kv::decode(prefix.as_bytes(), &bytes)?;
            let key = table.key_of(&item)?;
            visit(tx, &key, item)?;
        }
    }
}

/// Fills an index that was added to a table with items.
pub(crate) fn fill_index(tx: &mut Tx<'_>, table: &Table, index: &Index) -> Result<(), Error> {
    each(tx, table, |tx, _, item| {
        let fits = index.key.names().all(|name| {
            item.get(name).is_some_and(|value| {
                table.attributes.get(name).is_some_and(|kind| kind == value.type_name()) && value.length() != Some(0)
            })
        });
        if fits { reindex(tx, table, index, None, Some(&item)) } else { Ok(()) }
    })
}

/// Deletes all records under a prefix, at most `limit`; true when none is left.
pub(crate) fn clear(tx: &mut Tx<'_>, prefix: &Key, limit: usize) -> Result<bool, Error> {
    let records = tx.scan_prefix(prefix, limit)?;
    for (key, _) in &records {
        tx.delete(key)?;
    }
    Ok(records.len() < limit)
}

/// The second at which the item expires, by the table's TTL attribute.
pub(crate) fn expiry(table: &Table, item: &Item) -> Option<i64> {
    match item.get(table.ttl.as_ref()?)? {
        Value::N(number) => number.floor_i64().filter(|second| *second > 0),
        _ => None,
    }
}

fn set_expiry(tx: &mut Tx<'_>, table: &Table, key: &Key, old: Option<&Item>, new: Option<&Item>) -> Result<(), Error> {
    let (old, new) = (old.and_then(|item| expiry(table, item)), new.and_then(|item| expiry(table, item)));
    if let Some(old) = old
        && new != Some(old)
    {
        tx.delete(table.expiries().push_i64(old).push(key))?;
    }
    if let Some(new) = new {
        note_expiry(tx, table, key, new)?;
        wake_at_first_expiry(tx, table)?;
    }
    Ok(())
}

fn note_expiry(tx: &mut Tx<'_>, table: &Table, key: &Key, second: i64) -> Result<(), Error> {
    Ok(tx.put(table.expiries().push_i64(second).push(key), key.as_bytes())?)
}

/// Notes the expiry of every item: TTL was switched on.
pub(crate) fn note_expiries(tx: &mut Tx<'_>, table: &Table) -> Result<(), Error> {
    each(tx, table, |tx, key, item| match expiry(table, &item) {
        Some(second) => note_expiry(tx, table, key, second),
        None => Ok(()),
    })?;
    wake_at_first_expiry(tx, table)
}

/// Puts the expiry task at the time of the first expiry.
fn wake_at_first_expiry(tx: &mut Tx<'_>, table: &Table) -> Result<(), Error> {
    let oldest = Timestamp::now().as_second() - OLDEST_EXPIRY_SECONDS;
    let from = table.expiries().push_i64(oldest);
    let first = tx.scan_after(table.expiries(), from.as_bytes(), 1)?;
    let Some(second) = first.first().and_then(|(key, _)| expiry_of(key)) else { return Ok(()) };
    // Beyond a jiff timestamp nothing ever expires.
    let Ok(at) = Timestamp::from_second(second.saturating_add(1)) else { return Ok(()) };
    let next = Key::new("dynamodb").push("next-expiry").push(&table.id);
    if tx.get_json::<i64>(&next)? == Some(second) {
        return Ok(());
    }
    tx.put_json(&next, &second)?;
    let about = Expire {
        account: table.account.clone(),
        region: table.region.clone(),
        table: table.name.clone(),
        table_id: table.id.clone(),
    };
    Ok(tx.enqueue(NewTask::new(EXPIRE, format!("{EXPIRE}/{}", table.id)).payload(&about)?.at(at))?)
}

fn expiry_of(key: &[u8]) -> Option<i64> {
    let parts = Key::parts(key);
    Key::part_i64(parts.get(3)?)
}

/// Deletes what has expired, at most `limit` items, and sees to the next run. Called by the expiry task.
pub(crate) fn expire(tx: &mut Tx<'_>, table: &Table, now: Timestamp, limit: usize) -> Result<(), Error> {
    let from = table.expiries().push_i64(now.as_second() - OLDEST_EXPIRY_SECONDS);
    let to = table.expiries().push_i64(now.as_second());
    let due = tx.scan(from.as_bytes(), Some(to.as_bytes()), limit, false)?;
    let mut seen = BTreeSet::new();
    for (place, key) in due {
        tx.delete(&place)?;
        let Some(item) = tx.get_json::<Item>(&key)? else { continue };
        let gone = expiry(table, &item).is_some_and(|second| second < now.as_second());
        if gone && seen.insert(key) {
            let key = table.key_of(&item)?;
            replace(tx, table, &key, Some(&item), None)?;
        }
    }
    tx.delete(Key::new("dynamodb").push("next-expiry").push(&table.id))?;
    wake_at_first_expiry(tx, table)
}
