//! Point-in-time recovery: while it is on, every change leaves what was there before it, for as many days as were asked for. A table's
//! state at an earlier moment is its state now with all later changes taken back.
//! Source: DynamoDB Developer Guide, "Point-in-time backups for DynamoDB".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use wire::Error;

use crate::table::Table;
use crate::value::Item;
use crate::write::Home;

pub(crate) const TRIM_LOG: &str = "dynamodb:trim-log";
/// For how long changes are kept unless fewer days are asked for.
const MOST_DAYS: i32 = 35;
const DAY_MS: i64 = 86_400_000;
const TRIM_EVERY_MS: i64 = 3_600_000;

/// A table's recovery, on since then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    pub(crate) since_ms: i64,
    pub(crate) days: i32,
}

/// One change: what was there before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Before {
    pub(crate) at_ms: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) old: Option<Item>,
}

/// Of which table a log is trimmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trim {
    account: String,
    region: String,
    table: String,
    table_id: String,
}

impl Recovery {
    /// The first moment to which the table can be brought back.
    pub(crate) fn earliest_ms(&self, now_ms: i64) -> i64 {
        self.since_ms.max(now_ms - i64::from(self.days) * DAY_MS)
    }
}

/// Where a table's changes are, in their order.
pub(crate) fn changes(table_id: &str) -> Key {
    Key::new("dynamodb").push("recovery").push(table_id)
}

fn counter(table_id: &str) -> Key {
    Key::new("dynamodb").push("recovery-count").push(table_id)
}

/// How many changes were ever kept.
pub(crate) fn count(tx: &mut Tx<'_>, table_id: &str) -> Result<u64, Error> {
    let count = tx.get(counter(table_id))?;
    Ok(count.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
}

/// The number of a change that no change of that moment, or of after it, stands before. They stand in the order of their time, but for a
/// clock that was set back by a little.
pub(crate) fn first_near(tx: &mut Tx<'_>, table_id: &str, at_ms: i64) -> Result<u64, Error> {
    const SET_BACK_MS: i64 = 60_000;
    let log = changes(table_id);
    let first = tx.scan_prefix(&log, 1)?;
    let mut low = first.first().and_then(|(key, _)| Key::part_u64(Key::parts(key).last()?)).unwrap_or(0);
    let mut high = count(tx, table_id)? + 1;
    while low < high {
        let middle = low + (high - low) / 2;
        let change: Option<Before> = tx.get_json(log.clone().push_u64(middle))?;
        if change.is_none_or(|change| change.at_ms < at_ms - SET_BACK_MS) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Keeps what a write is about to change.
pub(crate) fn record(tx: &mut Tx<'_>, table: &Table, key: &Key, old: Option<&Item>) -> Result<(), Error> {
    let before = Before { at_ms: tx.now().as_millisecond(), key: key.as_bytes().to_vec(), old: old.cloned() };
    let number = tx.next_number(counter(&table.id))?;
    Ok(tx.put_json(changes(&table.id).push_u64(number), &before)?)
}

/// Switches it on, or changes for how long changes are kept: what a shorter period has let go does not come back with a longer one, and a
/// period stays where no other is asked for.
pub(crate) fn enable(tx: &mut Tx<'_>, table: &mut Table, days: Option<i32>, now_ms: i64) -> Result<(), Error> {
    let old = table.recovery.as_ref();
    let since_ms = old.map_or(now_ms, |recovery| recovery.earliest_ms(now_ms));
    let days = days.or_else(|| old.map(|recovery| recovery.days)).unwrap_or(MOST_DAYS);
    table.recovery = Some(Recovery { since_ms, days });
    wake_trim(tx, table, now_ms)
}

fn wake_trim(tx: &mut Tx<'_>, table: &Table, now_ms: i64) -> Result<(), Error> {
    let at = Timestamp::from_millisecond(now_ms + TRIM_EVERY_MS).map_err(Error::internal)?;
    let about = Trim {
        account: table.account.clone(),
        region: table.region.clone(),
        table: table.name.clone(),
        table_id: table.id.clone(),
    };
    Ok(tx.enqueue(NewTask::new(TRIM_LOG, format!("{TRIM_LOG}/{}", table.id)).payload(&about)?.at(at))?)
}

/// Deletes at most `limit` changes that are too old, or all where recovery is off; true when none is left. What a restore or an
/// export under way takes back stays until that ends; an hour more than promised is kept.
pub(crate) fn trim(tx: &mut Tx<'_>, about: &Trim, now_ms: i64, limit: usize) -> Result<bool, Error> {
    let home = Home { account: about.account.clone(), region: about.region.clone() };
    let table = home.find(tx, &about.table)?.filter(|table| table.id == about.table_id);
    let recovery = table.as_ref().and_then(|table| table.recovery.clone());
    let needed = table.iter().flat_map(|table| &table.snapshots).filter_map(|snapshot| snapshot.to_ms).min();
    let promised = recovery.as_ref().map(|recovery| recovery.earliest_ms(now_ms) - TRIM_EVERY_MS);
    let horizon = needed.into_iter().chain(promised).min();
    let records = tx.scan_prefix(changes(&about.table_id), limit)?;
    let mut old = 0;
    for (key, bytes) in &records {
        if let Some(horizon) = horizon
            && store::kv::decode::<Before>(key, bytes)?.at_ms >= horizon
        {
            break;
        }
        tx.delete(key)?;
        old += 1;
    }
    if old == limit {
        return Ok(false);
    }
    match (table, horizon) {
        (Some(table), Some(_)) => wake_trim(tx, &table, now_ms)?,
        _ => tx.delete(counter(&about.table_id))?,
    }
    Ok(true)
}
