//! Lineage: which state, job or invocation has read and written which data, and who asked for it. Services note it where it happens
//! ([`service::lineage`]); here it is kept, and told as a graph (`docs/lineage.md`).
//!
//! Map: [`accesses`] what was noted, row by row · [`pending`] what is in memory · [`records`] what is stored · [`graph`] the operation.
//!
//! Nothing is guessed: two workers are linked over an object where one has written what the other has read. What nobody noted (calls
//! with keys of users and of the owner) is not there.

mod accesses;
mod graph;
mod pending;
mod records;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use service::attempts::Outcome;
use service::lineage::{Lineage as Port, Touched, Worker};
use service::{Cx, Platform, Router, operations};
use store::{Done, NewTask, Runner, Store, Task};
use wire::Error;

use pending::Pending;

/// How long what was noted stays in memory alone.
const FLUSH: Duration = Duration::from_millis(200);
/// The daily task that forgets what is old.
const FORGET: &str = "lineage:forget";

/// The service.
#[derive(Debug)]
pub struct Lineage {
    store: Store,
    router: Arc<Router>,
    account: String,
    region: String,
    pending: Mutex<Pending>,
    /// One at a time, so that what is told to be kept is.
    writing: tokio::sync::Mutex<()>,
}

/// Registers the operation, becomes the one who is told, and begins to write.
pub fn register(platform: &Platform) -> Arc<Lineage> {
    let service = Arc::new(Lineage {
        store: platform.control.store().clone(),
        router: platform.router.clone(),
        account: platform.account.clone(),
        region: platform.region.clone(),
        pending: Mutex::default(),
        writing: tokio::sync::Mutex::default(),
    });
    operations!(platform.router, service, api_lineage: GetLineage, ListAccesses);
    platform.router.set_lineage(service.clone());
    platform.control.register(FORGET, 1, service.clone());
    let writing = service.clone();
    tokio::spawn(async move {
        if let Err(error) = writing.store.write(forget_daily).await {
            tracing::warn!(%error, "old lineage is not forgotten");
        }
        loop {
            tokio::time::sleep(FLUSH).await;
            if let Err(error) = writing.flush().await {
                tracing::warn!(%error, "lineage could not be written; it is tried again");
            }
        }
    });
    service
}

fn forget_daily(tx: &mut store::Tx<'_>) -> Result<(), store::Error> {
    if tx.has_task(FORGET)? { Ok(()) } else { tx.enqueue(NewTask::new(FORGET, FORGET).at(tx.now() + DAY)) }
}

/// How often old lineage is removed.
const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

impl Lineage {
    /// What is noted tells of no account but the server's own, so nobody else may read it.
    fn check_account(&self, cx: &Cx) -> Result<(), Error> {
        if cx.account() == self.account {
            return Ok(());
        }
        Err(Error::access_denied(format!(
            "Lineage is kept for the server's own account: account {} may not read it.",
            cx.account()
        )))
    }

    fn pending<T>(&self, f: impl FnOnce(&mut Pending) -> T) -> T {
        f(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes all that is in memory.
    ///
    /// # Errors
    /// When the store refuses; then it is still in memory.
    pub async fn flush(&self) -> Result<(), Error> {
        let _one = self.writing.lock().await;
        let now = self.router.now().as_millisecond();
        let mut batch = self.pending(|pending| pending.take(now));
        if batch.is_empty() {
            return Ok(());
        }
        for execution in batch.children() {
            // A child of a Distributed Map: its Map Run, and whose Map that is.
            if let Some((run, parent)) = self.parents(&execution).await {
                batch.began(Worker::Execution(run.clone()), Some(parent));
                batch.began(Worker::Execution(execution), Some(run));
            }
        }
        let batch = Arc::new(batch);
        let written = Arc::clone(&batch);
        let result = self.store.write(move |tx| records::write(tx, &written)).await;
        if result.is_err() {
            self.pending(|pending| pending.give_back(Arc::unwrap_or_clone(batch)));
        }
        Ok(result?)
    }

    async fn parents(&self, execution: &str) -> Option<(String, String)> {
        let cx = Cx::platform(&self.router, &self.account, &self.region);
        let child = cx.call_json("states", "DescribeExecution", json!({ "ExecutionArn": execution })).await.ok()?;
        let run = child["MapRunArn"].as_str()?.to_owned();
        let parent = cx.call_json("states", "DescribeMapRun", json!({ "MapRunArn": run })).await.ok()?;
        Some((run, parent["ExecutionArn"].as_str()?.to_owned()))
    }
}

#[async_trait]
impl Port for Lineage {
    fn touched(&self, worker: &Worker, touched: Touched) {
        let now = self.router.now().as_millisecond();
        self.pending(|pending| pending.touched(worker, touched, now));
    }

    fn began(&self, worker: Worker, asked: Option<&Worker>, principal: &str) {
        let now = self.router.now().as_millisecond();
        self.pending(|pending| pending.began(worker, asked, principal, now));
    }

    async fn keep(&self, job: &str) -> Result<(), Error> {
        if self.pending(|pending| pending.has(job)) { self.flush().await } else { Ok(()) }
    }

    async fn finish(&self, job: &str, outcome: Outcome) -> Result<(), Error> {
        if outcome == Outcome::Rollback {
            let _one = self.writing.lock().await;
            self.pending(|pending| pending.undo(job));
            let job = job.to_owned();
            let undone = self.store.read(|tx| records::has_writes(tx, &job)).await?;
            if undone {
                self.store.write(move |tx| records::undo(tx, &job)).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Runner for Lineage {
    async fn run(&self, _: Task) -> Done {
        let before = self.router.now().as_millisecond() - records::KEPT_DAYS * 24 * 3_600_000;
        let mut after = Vec::new();
        loop {
            let from = after.clone();
            match self.store.write(move |tx| records::forget(tx, &from, before)).await {
                Ok(Some(next)) => after = next,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "old lineage could not be forgotten; tried again tomorrow");
                    break;
                }
            }
        }
        Done::RetryAfter(DAY)
    }
}
