//! What no job needs any more: notes for an undo, unfinished uploads and rows of jobs that are not on the queue. This version
//! leaves none; earlier ones did, of queries that were stopped. What such a job wrote is seen since then, so it stays.

use std::sync::Arc;
use std::time::Duration;

use service::Router;
use service::attempts::Outcome;
use store::{Key, Store};
use wire::Error;

use crate::life;

/// Before the first round: jobs that an earlier server left are taken up by then.
const FIRST: Duration = Duration::from_mins(10);
const EVERY: Duration = Duration::from_hours(1);
/// Rows looked at in one transaction.
const PAGE: usize = 500;

/// Sweeps for ever; `store` is the one of the jobs' queue.
pub async fn run(router: Arc<Router>, store: Store) {
    router.clock().sleep(FIRST).await;
    loop {
        let swept = round(&router, &store).await;
        store::metrics::swept("jobs", swept.is_ok().then(|| router.clock().now_ms()));
        match swept {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "removed what jobs of an earlier version had left behind"),
            Err(error) => tracing::warn!(%error, "what jobs have left behind could not be swept"),
        }
        router.clock().sleep(EVERY).await;
    }
}

/// One round; answers of how many jobs something was found.
pub async fn round(router: &Router, store: &Store) -> Result<usize, Error> {
    let mut found = 0;
    for participant in router.participants() {
        let mut at: Option<String> = None;
        while let Some(job) = participant.next(at.as_deref()).await? {
            if !is_alive(router, store, &job).await? {
                participant.finish(&job, Outcome::Commit).await?;
                found += 1;
            }
            at = Some(job);
        }
    }
    let mut after = Vec::new();
    loop {
        let rows = store.read(|tx| tx.scan_after(life::prefix(), &after, PAGE)).await?;
        for (key, _) in &rows {
            let id = Key::parts(key).into_iter().nth(1).map(|id| String::from_utf8_lossy(&id).into_owned());
            found += usize::from(remove_orphan(store, &id.unwrap_or_default(), key).await?);
        }
        match rows.last() {
            Some((key, _)) if rows.len() == PAGE => after.clone_from(key),
            _ => return Ok(found),
        }
    }
}

/// Is it under way, or on the queue under its own name or one that begins it, as earlier versions called attempts?
async fn is_alive(router: &Router, store: &Store, job: &str) -> Result<bool, Error> {
    if router.attempts().has(job) {
        return Ok(true);
    }
    let ends = job.match_indices([':', '/']).map(|(at, _)| at).chain([job.len()]).collect::<Vec<_>>();
    store
        .read(|tx| {
            for end in &ends {
                if tx.has_task(&job[..*end])? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
}

/// Removes the row of a job that is not on the queue.
async fn remove_orphan(store: &Store, id: &str, key: &[u8]) -> Result<bool, Error> {
    let (id, key) = (id.to_owned(), key.to_vec());
    if store.read(|tx| Ok::<_, Error>(tx.has_task(&id)?)).await? {
        return Ok(false);
    }
    store
        .write(move |tx| {
            let dead = !tx.has_task(&id)?;
            if dead {
                tx.delete(&key)?;
            }
            Ok(dead)
        })
        .await
}
