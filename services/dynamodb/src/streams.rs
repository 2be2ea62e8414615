//! Streams: what is kept of every change of a table, for a day, in the order of the changes. A stream has one shard, which is open
//! as long as the stream is enabled. Source: DynamoDB Developer Guide, "Change data capture for DynamoDB Streams".

use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use wire::Error;

use crate::items::{Cause, Change};
use crate::table::{KeySchema, Table, TableStream};
use crate::value::{Item, item_size};
use crate::write::Home;

pub(crate) const TRIM: &str = "dynamodb:trim";
/// For how long records are kept.
const KEPT_MS: i64 = 24 * 3_600_000;
/// Between two runs of the task that deletes older ones.
const TRIM_EVERY_MS: i64 = 3_600_000;
/// Sequence numbers have 21 digits, so that they sort as text too.
const FIRST: u128 = 100_000_000_000_000_000_000;

/// A stream as stored; the table that it is of may be gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) label: String,
    pub(crate) table: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) view: String,
    pub(crate) key: KeySchema,
    pub(crate) created_ms: i64,
    /// When no more records came into it.
    pub(crate) disabled_ms: Option<i64>,
}

/// One change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) at_ms: i64,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub(crate) name: String,
    pub(crate) keys: Item,
    pub(crate) new: Option<Item>,
    pub(crate) old: Option<Item>,
    pub(crate) size: i64,
    pub(crate) expired: bool,
}

impl Record {
    /// Whether it is too old to be read, deleted yet or not.
    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.at_ms <= now_ms - KEPT_MS
    }
}

impl Stream {
    fn all(account: &str, region: &str) -> Key {
        Key::new("dynamodb").push("stream").push(account).push(region)
    }

    /// Where the streams of a home are, by table and label.
    pub(crate) fn streams(home: &Home) -> Key {
        Self::all(&home.account, &home.region)
    }

    pub(crate) fn record_key(account: &str, region: &str, table: &str, label: &str) -> Key {
        Self::all(account, region).push(table).push(label)
    }

    fn key(&self) -> Key {
        Self::record_key(&self.account, &self.region, &self.table, &self.label)
    }

    /// Where the stream's records are.
    pub(crate) fn records(id: &str) -> Key {
        Key::new("dynamodb").push("stream-record").push(id)
    }

    fn counter(id: &str) -> Key {
        Key::new("dynamodb").push("stream-count").push(id)
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(self.key(), self)?)
    }

    /// The stream of this ARN.
    pub(crate) fn find(tx: &mut Tx<'_>, home: &Home, arn: &str) -> Result<Option<Self>, Error> {
        let Some((table, label)) = parts_of(home, arn) else { return Ok(None) };
        Ok(tx.get_json(Self::record_key(&home.account, &home.region, table, label))?)
    }

    pub(crate) fn shard(&self) -> String {
        format!("shardId-{:020}-{}", self.created_ms, self.id.get(..8).unwrap_or_default())
    }

    /// The number of a record, in its key.
    pub(crate) fn number(key: &[u8]) -> Option<u64> {
        Key::part_u64(Key::parts(key).get(3)?)
    }

    /// The number of the oldest record that can be read. Old ones that wait for the trimming task stand before it, an hour's and more:
    /// as records get older towards the first, it is looked for by halves.
    pub(crate) fn oldest(&self, tx: &mut Tx<'_>, now_ms: i64) -> Result<Option<u64>, Error> {
        let prefix = Self::records(&self.id);
        let first = tx.scan_prefix(&prefix, 1)?;
        let Some(mut low) = first.first().and_then(|(key, _)| Self::number(key)) else { return Ok(None) };
        let end = self.written(tx)? + 1;
        let mut high = end;
        while low < high {
            let middle = low + (high - low) / 2;
            let record: Option<Record> = tx.get_json(prefix.clone().push_u64(middle))?;
            if record.is_none_or(|record| record.is_expired(now_ms)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok((low < end).then_some(low))
    }

    /// How many records were ever written.
    pub(crate) fn written(&self, tx: &mut Tx<'_>) -> Result<u64, Error> {
        let count = tx.get(Self::counter(&self.id))?;
        Ok(count.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }
}

/// Table and label out of a stream's ARN of this home.
fn parts_of<'a>(home: &Home, arn: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = arn.strip_prefix(&format!("arn:aws:dynamodb:{}:{}:table/", home.region, home.account))?;
    rest.split_once("/stream/")
}

pub(crate) fn sequence_number(number: u64) -> String {
    (FIRST + u128::from(number)).to_string()
}

pub(crate) fn number_of(sequence_number: &str) -> Option<u64> {
    u64::try_from(sequence_number.parse::<u128>().ok()?.checked_sub(FIRST)?).ok()
}

/// Begins a stream of the table.
pub(crate) fn enable(tx: &mut Tx<'_>, table: &mut Table, view: &str, id: String, now_ms: i64) -> Result<(), Error> {
    let at = jiff::Timestamp::from_millisecond(now_ms).map_err(Error::internal)?;
    let label = at.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string();
    let stream = Stream {
        arn: format!("{}/stream/{label}", table.arn),
        id: id.clone(),
        label: label.clone(),
        table: table.name.clone(),
        account: table.account.clone(),
        region: table.region.clone(),
        view: view.to_owned(),
        key: table.key.clone(),
        created_ms: now_ms,
        disabled_ms: None,
    };
    stream.save(tx)?;
    table.latest_stream = Some(label.clone());
    table.stream = Some(TableStream { id, label, view: view.to_owned() });
    wake_trim(tx, &stream, now_ms)
}

/// Ends the table's stream: its records stay for as long as they would have.
pub(crate) fn disable(tx: &mut Tx<'_>, table: &mut Table, now_ms: i64) -> Result<(), Error> {
    let Some(stream) = table.stream.take() else { return Ok(()) };
    let key = Stream::record_key(&table.account, &table.region, &table.name, &stream.label);
    if let Some(mut stream) = tx.get_json::<Stream>(key)? {
        stream.disabled_ms = Some(now_ms);
        stream.save(tx)?;
    }
    Ok(())
}

/// Keeps a change that is one.
pub(crate) fn record(tx: &mut Tx<'_>, table: &Table, stream: &TableStream, change: Change<'_>) -> Result<(), Error> {
    let (name, some) = match (change.old, change.new) {
        (None, Some(new)) => ("INSERT", new),
        (Some(_), Some(new)) => ("MODIFY", new),
        (Some(old), None) => ("REMOVE", old),
        (None, None) => return Ok(()),
    };
    let keys = table.place(None, some);
    let image = |wanted: bool, item: Option<&Item>| item.filter(|_| wanted).cloned();
    let new = image(matches!(stream.view.as_str(), "NEW_IMAGE" | "NEW_AND_OLD_IMAGES"), change.new);
    let old = image(matches!(stream.view.as_str(), "OLD_IMAGE" | "NEW_AND_OLD_IMAGES"), change.old);
    let bytes = item_size(&keys) + new.as_ref().map_or(0, item_size) + old.as_ref().map_or(0, item_size);
    let record = Record {
        at_ms: tx.now().as_millisecond(),
        name: name.to_owned(),
        keys,
        new,
        old,
        size: i64::try_from(bytes).unwrap_or(i64::MAX),
        expired: change.cause == Cause::Expiry,
    };
    let number = tx.next_number(Stream::counter(&stream.id))?;
    Ok(tx.put_json(Stream::records(&stream.id).push_u64(number), &record)?)
}

fn wake_trim(tx: &mut Tx<'_>, stream: &Stream, now_ms: i64) -> Result<(), Error> {
    let at = jiff::Timestamp::from_millisecond(now_ms + TRIM_EVERY_MS).map_err(Error::internal)?;
    let task = NewTask::new(TRIM, format!("{TRIM}/{}", stream.id)).payload(stream)?;
    Ok(tx.enqueue(task.at(at))?)
}

/// Deletes at most `limit` records that are too old; true when none is left. A stream that has been disabled for as long goes too.
pub(crate) fn trim(tx: &mut Tx<'_>, stream: &Stream, now_ms: i64, limit: usize) -> Result<bool, Error> {
    let records = tx.scan_prefix(Stream::records(&stream.id), limit)?;
    for (key, bytes) in &records {
        let record: Record = store::kv::decode(key, bytes)?;
        if !record.is_expired(now_ms) {
            break;
        }
        tx.delete(key)?;
    }
    let oldest_is_young = |tx: &mut Tx<'_>| -> Result<bool, Error> {
        let first = tx.scan_prefix(Stream::records(&stream.id), 1)?;
        let Some((key, bytes)) = first.first() else { return Ok(true) };
        Ok(!store::kv::decode::<Record>(key, bytes)?.is_expired(now_ms))
    };
    if !oldest_is_young(tx)? {
        return Ok(false);
    }
    let current: Option<Stream> = tx.get_json(stream.key())?;
    match current {
        Some(now) if now.disabled_ms.is_none_or(|disabled| disabled > now_ms - KEPT_MS) => {
            wake_trim(tx, &now, now_ms)?;
        }
        Some(_) => {
            tx.delete(stream.key())?;
            tx.delete(Stream::counter(&stream.id))?;
        }
        None => {}
    }
    Ok(true)
}
