//! Batches of one shard that are worked on at once (`ParallelizationFactor`): the changes of one item stay in their order. Source:
//! Lambda Developer Guide, "Polling and batching streams" ("in-order processing at the item … level").

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use api_dynamodbstreams::Record;
use wire::reflect;

/// The lane of each record: those of one item have the same.
pub(super) fn lane_of(record: &Record, lanes: usize) -> usize {
    let change = record.dynamodb.clone().unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    reflect::into_value(change.keys.unwrap_or_default()).to_string().hash(&mut hasher);
    usize::try_from(hasher.finish() % u64::try_from(lanes.max(1)).unwrap_or(1)).unwrap_or(0)
}

/// How many of a round's records, from the first on, are done with, where `is_done` tells it of each.
pub(super) fn done_up_to(records: &[Record], is_done: impl Fn(&Record) -> bool) -> usize {
    records.iter().position(|record| !is_done(record)).unwrap_or(records.len())
}
