//! Point-in-time recovery: what each changed item was before is kept for days, and a table is made anew as it was at a time within
//! them. Source: DynamoDB Developer Guide, "Point-in-time backups for DynamoDB".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::Error;

use crate::items::{self, Cause, Change};
use crate::table::Table;
use crate::value::Item;

/// Days that changes are kept for where nothing else is asked.
pub(crate) const DAYS: i32 = 35;
const DAY_MS: i64 = 86_400_000;
/// So many changes after each other look once for old ones.
const TRIM_EVERY: u64 = 64;
const TRIM_AT_ONCE: usize = 256;
/// Items and changes of a table that can be restored: it is done in one transaction.
const MOST_RESTORED: usize = 200_000;

/// That it is on, since when and for how many days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    pub(crate) since_ms: i64,
    pub(crate) days: i32,
}

/// What an item was before a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Before {
    at_ms: i64,
    key: Vec<u8>,
    old: Option<Item>,
}

impl Recovery {
    pub(crate) fn earliest_ms(self, now_ms: i64) -> i64 {
        self.since_ms.max(now_ms - i64::from(self.days) * DAY_MS)
    }
}

/// Where a table's changes are.
pub(crate) fn log(table_id: &str) -> Key {
    Key::new("dynamodb").push("recovery").push(table_id)
}

pub(crate) fn counter(table_id: &str) -> Key {
    Key::new("dynamodb").push("recovery-count").push(table_id)
}

/// Keeps what an item was.
pub(crate) fn record(tx: &mut Tx<'_>, table: &Table, recovery: Recovery, change: Change<'_>) -> Result<(), Error> {
    let number = tx.next_number(counter(&table.id))?;
    let at_ms = jiff::Timestamp::now().as_millisecond();
    let before = Before { at_ms, key: change.key.as_bytes().to_vec(), old: change.old.cloned() };
    tx.put_json(log(&table.id).push_u64(number), &before)?;
    if number % TRIM_EVERY == 0 {
        let oldest = recovery.earliest_ms(at_ms);
        for (key, bytes) in tx.scan_prefix(log(&table.id), TRIM_AT_ONCE)? {
            if store::kv::decode::<Before>(&key, &bytes)?.at_ms >= oldest {
                break;
            }
            tx.delete(key)?;
        }
    }
    Ok(())
}

/// Fills a new table with what another held at the end of a millisecond.
pub(crate) fn restore(tx: &mut Tx<'_>, source: &Table, target: &Table, at_ms: i64) -> Result<(), Error> {
    // What was there before the first change after the time is what was there at it.
    let mut then: BTreeMap<Vec<u8>, Option<Item>> = BTreeMap::new();
    let changes = tx.scan_prefix(log(&source.id), MOST_RESTORED + 1)?;
    let items = tx.scan_prefix(source.items(), MOST_RESTORED + 1)?;
    if changes.len() + items.len() > MOST_RESTORED {
        return Err(Error::not_implemented(format!(
            "RestoreTableToPointInTime: a table of more than {MOST_RESTORED} items and changes"
        )));
    }
    for (key, bytes) in changes {
        let before: Before = store::kv::decode(&key, &bytes)?;
        if before.at_ms > at_ms {
            then.entry(before.key).or_insert(before.old);
        }
    }
    let put = |tx: &mut Tx<'_>, item: &Item| {
        let key = target.key_of(item)?;
        items::replace(tx, target, Change { key: &key, old: None, new: Some(item), cause: Cause::Request })
    };
    for (key, bytes) in items {
        if !then.contains_key(&key) {
            put(tx, &store::kv::decode(&key, &bytes)?)?;
        }
    }
    then.values().flatten().try_for_each(|item| put(tx, item))
}
