//! Items in the store: one write keeps item, index entries, expiry and counts in step.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use wire::Error;

use crate::table::{Index, Table};
use crate::value::{Item, Value, item_size};
use crate::{Invalid, backups, streams};

/// Largest item.
const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Deepest nesting of maps and lists in an attribute: 32 levels with the item itself.
const MAX_LEVELS: usize = 31;
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
    table.check_index_keys(item, updated)?;
    if item.contains_key("") || item.values().any(Value::has_empty_name) {
        return Err(Invalid::new("One or more parameter values were invalid: An attribute name must not be empty"));
    }
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

/// Why an item changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Request,
    /// Its time to live was over.
    Expiry,
}

/// An item's place, and what is there before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) key: &'a Key,
    pub(crate) old: Option<&'a Item>,
    pub(crate) new: Option<&'a Item>,
    pub(crate) cause: Cause,
}

/// Puts the new item in the place of the old, either of which may be absent. Nothing happens where nothing changes.
pub(crate) fn replace(tx: &mut Tx<'_>, table: &Table, change: Change<'_>) -> Result<(), Error> {
    let Change { key, old, new, .. } = change;
    if old == new {
        return Ok(());
    }
    backups::keep(tx, table, key, old)?;
    if table.recovery.is_some() {
        backups::recovery::record(tx, table, key, old)?;
    }
    match new {
        Some(new) => tx.put_json(key, new)?,
        None => tx.delete(key)?,
    }
    let size = |item: Option<&Item>| item.map_or(0, |item| i64::try_from(item_size(item)).unwrap_or(0));
    let count = |item: Option<&Item>| i64::from(item.is_some());
    let mut grown = Grown { items: count(new) - count(old), bytes: size(new) - size(old), indexes: Vec::new() };
    for index in &table.indexes {
        reindex(tx, table, index, (old, new), &mut grown)?;
    }
    if table.ttl.is_some() {
        set_expiry(tx, table, key, old, new)?;
    }
    if let Some(stream) = &table.stream {
        streams::record(tx, table, stream, change)?;
    }
    grown.save(tx, table)
}

/// How a table's contents change.
#[derive(Default)]
struct Grown<'a> {
    items: i64,
    bytes: i64,
    indexes: Vec<(&'a str, i64, i64)>,
}

impl Grown<'_> {
    fn save(self, tx: &mut Tx<'_>, table: &Table) -> Result<(), Error> {
        if (self.items, self.bytes) == (0, 0) && self.indexes.is_empty() {
            return Ok(());
        }
        let mut contents = table.contents(tx)?;
        contents.items += self.items;
        contents.bytes += self.bytes;
        for (name, entries, bytes) in self.indexes {
            let own = contents.indexes.entry(name.to_owned()).or_default();
            *own = (own.0 + entries, own.1 + bytes);
        }
        Ok(tx.put_json(table.contents_key(), &contents)?)
    }
}

fn reindex<'a>(
    tx: &mut Tx<'_>,
    table: &Table,
    index: &'a Index,
    (old, new): (Option<&Item>, Option<&Item>),
    grown: &mut Grown<'a>,
) -> Result<(), Error> {
    let entry = |item: &Item| Some((table.entry_key(index, item)?, table.projected(index, item)));
    let (mut old, new) = (old.and_then(entry), new.and_then(entry));
    if index.backfilling
        && let Some((key, _)) = &old
        && !tx.has(key)?
    {
        old = None;
    }
    if old == new {
        return Ok(());
    }
    let bytes =
        |entry: &Option<(Key, Item)>| entry.as_ref().map_or(0, |(_, item)| i64::try_from(item_size(item)).unwrap_or(0));
    let change = (i64::from(new.is_some()) - i64::from(old.is_some()), bytes(&new) - bytes(&old));
    if change != (0, 0) {
        grown.indexes.push((&index.name, change.0, change.1));
    }
    if let Some((old_key, _)) = &old
        && new.as_ref().map(|(key, _)| key) != Some(old_key)
    {
        tx.delete(old_key)?;
    }
    match new {
        Some((key, item)) => Ok(tx.put_json(key, &item)?),
        None => Ok(()),
    }
}

/// Fills an index that was added to a table with at most `limit` items after the one with the key `after`; the key to go on after.
/// What was written since the index was added has its entry already, and is put in its place once more.
pub(crate) fn fill_index(
    tx: &mut Tx<'_>,
    table: &Table,
    index: &Index,
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<Option<Vec<u8>>, Error> {
    let prefix = table.items();
    let after = after.unwrap_or_else(|| prefix.as_bytes().to_vec());
    let records = tx.scan_after(&prefix, &after, limit)?;
    let last = records.last().filter(|_| records.len() == limit).map(|(key, _)| key.clone());
    let mut grown = Grown::default();
    for (key, bytes) in records {
        let item: Item = store::kv::decode(&key, &bytes)?;
        let entry = table.entry_key(index, &item);
        if let Some(entry) = entry
            && !tx.has(&entry)?
        {
            reindex(tx, table, index, (None, Some(&item)), &mut grown)?;
        }
    }
    let mut sum: (i64, i64) = (0, 0);
    for (_, entries, bytes) in &grown.indexes {
        sum = (sum.0 + entries, sum.1 + bytes);
    }
    grown.indexes = if sum == (0, 0) { Vec::new() } else { vec![(&index.name, sum.0, sum.1)] };
    grown.save(tx, table)?;
    Ok(last)
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

/// Notes when items expire that the table held before its time to live: at most `limit` of them after the one with the key `after`; the key
/// to go on after. What was written since is noted already, and is noted as it is now once more.
pub(crate) fn note_expiries(
    tx: &mut Tx<'_>,
    table: &Table,
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<Option<Vec<u8>>, Error> {
    let prefix = table.items();
    let after = after.unwrap_or_else(|| prefix.as_bytes().to_vec());
    let records = tx.scan_after(&prefix, &after, limit)?;
    for (key, bytes) in &records {
        let item: Item = store::kv::decode(key, bytes)?;
        if let Some(second) = expiry(table, &item) {
            note_expiry(tx, table, &table.key_of(&item)?, second)?;
        }
    }
    wake_at_first_expiry(tx, table)?;
    Ok(records.last().filter(|_| records.len() == limit).map(|(key, _)| key.clone()))
}

/// Puts the expiry task at the time of the first expiry.
fn wake_at_first_expiry(tx: &mut Tx<'_>, table: &Table) -> Result<(), Error> {
    let oldest = tx.now().as_second() - OLDEST_EXPIRY_SECONDS;
    let from = table.expiries().push_i64(oldest);
    let first = tx.scan_after(table.expiries(), from.as_bytes(), 1)?;
    let Some(second) = first.first().and_then(|(key, _)| expiry_of(key)) else { return Ok(()) };
    // Beyond a jiff timestamp nothing ever expires.
    let Ok(at) = Timestamp::from_second(second.saturating_add(1)) else { return Ok(()) };
    let next = table.next_expiry();
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
    Ok(tx.enqueue(NewTask::new(EXPIRE, expire_task(table)).payload(&about)?.at(at))?)
}

fn expire_task(table: &Table) -> String {
    format!("{EXPIRE}/{}", table.id)
}

/// Nothing expires any more: the plan of it goes. What was noted is left to the caller.
pub(crate) fn stop_expiring(tx: &mut Tx<'_>, table: &Table) -> Result<(), Error> {
    tx.delete(table.next_expiry())?;
    let task = expire_task(table);
    if tx.has_task(&task)? { Ok(tx.cancel_task(&task)?) } else { Ok(()) }
}

fn expiry_of(key: &[u8]) -> Option<i64> {
    let parts = Key::parts(key);
    Key::part_i64(parts.get(3)?)
}

/// Deletes what has expired, at most `limit` items, and sees to the next run. Called by the expiry task.
pub(crate) fn expire(tx: &mut Tx<'_>, table: &Table, now: Timestamp, limit: usize) -> Result<(), Error> {
    if table.ttl.is_none() {
        return Ok(());
    }
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
            replace(tx, table, Change { key: &key, old: Some(&item), new: None, cause: Cause::Expiry })?;
        }
    }
    tx.delete(table.next_expiry())?;
    wake_at_first_expiry(tx, table)
}
