//! What nobody asks for any more is forgotten, once a day and some at a time: deleted stacks with their events, change sets and detections
//! of drift; client tokens; links whose answers have been read.
//! Source: CloudFormation API Reference, ListStacks: deleted stacks are told for 90 days.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};

use crate::answers::Answers;
use crate::records::{self, StackRecord};
use crate::{CloudFormation, Result, cloud_control, ops};

pub(crate) const SWEEP: &str = "cloudformation:sweep";
/// How long a deleted stack, and what was found of one that is there, is known.
const KEPT_MS: i64 = 90 * 24 * 3_600_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Records that are deleted, or looked at, in one transaction.
const AT_ONCE: usize = 200;

pub(crate) struct Sweeper(pub(crate) Arc<CloudFormation>);

/// Puts the task on the queue where it is not there; it puts itself there for the next day.
pub(crate) async fn start(store: &Store) -> Result<(), store::Error> {
    store
        .write(|tx| {
            if tx.has_task(SWEEP)? {
                return Ok(());
            }
            tx.enqueue(NewTask::new(SWEEP, SWEEP).at(tx.now() + DAY))
        })
        .await
}

#[async_trait]
impl Runner for Sweeper {
    async fn run(&self, _: Task) -> Done {
        if let Err(error) = sweep(&self.0.store).await {
            tracing::error!(%error, "old stacks are not forgotten; it is tried again tomorrow");
        }
        Done::RetryAfter(DAY)
    }
}

pub(crate) async fn sweep(store: &Store) -> Result<()> {
    let now = store.clock().now_ms();
    pieces(store, Answers::all(), move |tx, page| Answers::forget(tx, page, now)).await?;
    pieces(store, Key::new("cloudformation"), move |tx, page| forget(tx, page, now)).await
}

/// A piece of records: keys and values in their order.
type Page = [(Vec<u8>, Vec<u8>)];

/// Goes through all records under a prefix, a piece in each transaction.
async fn pieces(
    store: &Store,
    prefix: Key,
    each: impl Fn(&mut Tx<'_>, &Page) -> Result<()> + Clone + Send + 'static,
) -> Result<()> {
    let mut after = prefix.as_bytes().to_vec();
    loop {
        let (prefix, from, each) = (prefix.clone(), after.clone(), each.clone());
        let last = store
            .write(move |tx| {
                let page = tx.scan_after(&prefix, &from, AT_ONCE)?;
                each(tx, &page)?;
                Ok::<_, wire::Error>(page.last().filter(|_| page.len() == AT_ONCE).map(|(key, _)| key.clone()))
            })
            .await?;
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Deletes what is too old of a page of the service's records: `cloudformation`, account, region, kind, more.
fn forget(tx: &mut Tx<'_>, page: &Page, now_ms: i64) -> Result<()> {
    for (key, value) in page {
        let parts = Key::parts(key);
        let part = |at: usize| parts.get(at).map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default();
        let home = (part(1), part(2));
        match part(3).as_str() {
            "deleted" => {
                let stack: StackRecord = store::kv::decode(key, value)?;
                if now_ms - stack.deleted_ms.unwrap_or(now_ms) > KEPT_MS && forget_stack(tx, &home, &stack.id)? {
                    tx.delete(key)?;
                }
            }
            "drift-detection" if ops::detection_is_old(key, value, now_ms - KEPT_MS)? => tx.delete(key)?,
            "resource-client-token" if cloud_control::token_is_old(key, value, now_ms)? => tx.delete(key)?,
            _ => {}
        }
    }
    Ok(())
}

/// Deletes what is known of a stack beside its record, some of it at a time; whether all is gone.
fn forget_stack(tx: &mut Tx<'_>, (account, region): &(String, String), id: &str) -> Result<bool> {
    for prefix in [records::events(account, region, id), records::change_sets(account, region, id)] {
        let page = tx.scan_prefix(&prefix, AT_ONCE)?;
        for (key, _) in &page {
            tx.delete(key)?;
        }
        if page.len() == AT_ONCE {
            // The rest goes another day.
            return Ok(false);
        }
    }
    tx.delete(records::event_counter(account, region, id))?;
    Ok(true)
}
