//! The operations; a batch stands beside its single form.

mod attributes;
mod create_queue;
mod delete_message;
mod delete_queue;
mod list_queues;
mod moves;
mod permissions;
mod receive_message;
mod send_message;
mod tags;
mod visibility;

use std::collections::BTreeSet;

use api_sqs::{BatchResultErrorEntry, error};
use wire::Error;

/// What every batch is checked for.
fn check_batch<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for id in ids {
        let well_formed = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if id.is_empty() || id.len() > 80 || !well_formed {
            return Err(error::invalid_batch_entry_id(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
                 letters long.",
            )
            .with_query_code("AWS.SimpleQueueService.InvalidBatchEntryId"));
        }
        if !seen.insert(id) {
            return Err(error::batch_entry_ids_not_distinct(format!("Id {id} repeated."))
                .with_query_code("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"));
        }
        count += 1;
    }
    match count {
        0 => Err(error::empty_batch_request("There should be at least one entry in the request.")
            .with_query_code("AWS.SimpleQueueService.EmptyBatchRequest")),
        1..=10 => Ok(()),
        _ => Err(error::too_many_entries_in_batch_request(format!(
            "Maximum number of entries per request are 10. You have sent {count}."
        ))
        .with_query_code("AWS.SimpleQueueService.TooManyEntriesInBatchRequest")),
    }
}

/// An entry of a batch that failed.
fn failed(id: &str, error: &Error) -> BatchResultErrorEntry {
    BatchResultErrorEntry {
        id: id.to_owned(),
        sender_fault: error.status() < 500,
        code: error.code().to_owned(),
        message: Some(error.message().to_owned()),
    }
}
