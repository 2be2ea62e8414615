//! Runs of Distributed Maps: reads items, starts children, counts them, writes results.
//!
//! What is to be done next is decided by `asl::MapRun` and committed by the engine; here is the loop between them and the world. It
//! is a task of the durable queue: after a crash it begins again with what the run's record says.

mod decode;
mod manifest;
mod object;
mod results;
mod source;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asl::{Child, Event, Item, RunEnded, Status, Timestamp};
use async_trait::async_trait;
use engine::{Delivery, Engine, MapRunArn, News, OpenRun};
use futures::stream::{self, StreamExt as _};
use service::lineage::Worker;
use service::{Cx, Router};
use store::{Done, Runner, Task};
use wire::Error;

pub(crate) use decode::items_in;
use object::patiently;
use source::Source;

use crate::express::LIMIT_MS as EXPRESS_LIMIT_MS;

/// Children that are started in one transaction.
const STARTED_AT_ONCE: u64 = 500;
/// Items that are read ahead, unless a batch needs more.
const READ_AHEAD: usize = 1000;
/// Children that are told to stop at the same time.
const STOPPED_AT_ONCE: usize = 32;

/// Runs that are open at once, any number: one that waits for its children's own runs must not keep those from beginning.
pub(crate) const AT_ONCE: usize = usize::MAX;
/// Where more are open, those that wait keep nothing in memory that was read ahead. AWS has no more open than so many.
const MAP_RUNS_AT_EASE: usize = 1000;

/// Runs Distributed Maps.
pub(crate) struct MapRuns {
    engine: Engine,
    router: Arc<Router>,
    /// How many are open.
    open: AtomicUsize,
}

impl MapRuns {
    pub(crate) fn new(engine: Engine, router: &Arc<Router>) -> Self {
        Self { engine, router: Arc::clone(router), open: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Runner for MapRuns {
    async fn run(&self, task: Task) -> Done {
        let arn = match task.payload::<MapRunArn>() {
            Ok(arn) => arn,
            Err(error) => {
                tracing::error!(task = task.id, error = %error, "a task cannot be read");
                return Done::Finished;
            }
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        let ended = self.drive(&arn, &task.id).await;
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.engine.close_map_run(&arn);
        ended.unwrap_or_else(|error| {
            tracing::error!(task = task.id, error = %error, "a map run could not go on; it is taken up again");
            Done::RetryAfter(jiff::SignedDuration::from_secs(1))
        })
    }
}

impl MapRuns {
    async fn drive(&self, arn: &MapRunArn, task: &str) -> Result<Done, Error> {
        // Before anything is read: what comes later rings.
        let _bell = self.engine.map_run_bell(arn.as_str());
        let Some(mut open) = self.engine.open_map_run(arn).await? else { return Ok(Done::Finished) };
        loop {
            if open.run.stopped.is_some() {
                self.engine.take_up_redrive(&mut open).await?;
            }
            if open.run.stopped.is_none() {
                let mut items = Items::default();
                while !self.advance(&mut open, &mut items).await? {
                    self.rest(&open, &mut items).await?;
                }
                self.conclude(&mut open, &mut items).await?;
            }
            if self.tell(&open, task).await? || self.engine.end_map_run(arn).await? {
                return Ok(Done::Committed);
            }
        }
    }

    /// Waits for news. Express children are looked after: they have as little time as other Express executions.
    async fn rest(&self, open: &OpenRun, items: &mut Items) -> Result<(), Error> {
        if self.open.load(Ordering::Relaxed) > MAP_RUNS_AT_EASE {
            // What was read ahead is read once more when it is wanted.
            (items.source, items.last) = (None, false);
            items.queue = VecDeque::new();
        }
        let now = self.router.now().as_millisecond();
        if open.run.express && items.child_ends.is_none_or(|at| at.0 <= now) {
            items.child_ends = self.engine.end_late_children(open, EXPRESS_LIMIT_MS).await?;
        }
        let woken = self.engine.map_run_woken(&open.arn);
        match items.child_ends {
            None => woken.await,
            Some(at) => {
                let pause = Duration::from_millis(u64::try_from(at.0 - now).unwrap_or(0));
                tokio::select! {
                    biased;
                    () = woken => {}
                    () = self.router.clock().sleep(pause) => {}
                }
            }
        }
        Ok(())
    }

    /// Goes on as far as can be gone without waiting. True when all children have ended.
    async fn advance(&self, open: &mut OpenRun, items: &mut Items) -> Result<bool, Error> {
        loop {
            let news = self.engine.map_run_news(open).await?;
            let something_new = news.stopped && !open.run.ends() || news.limits.is_some() || !news.ended.is_empty();
            take_notice(open, &news);
            let room = open.run.room_to_redrive();
            if let Some(room) = room.filter(|room| *room > 0) {
                self.engine.redrive_children(open, room, news.ended).await?;
                continue;
            }
            let children = self.next_children(open, items).await;
            if !children.is_empty() {
                self.engine.start_children(open, children, news.ended).await?;
                continue;
            }
            if something_new || open.run.is_drained() {
                self.engine.keep_map_run(open, news.ended).await?;
            }
            if open.run.ends() && !std::mem::replace(&mut items.stopped, true) {
                self.stop_children(open).await?;
            }
            if open.run.is_drained() {
                return Ok(true);
            }
            if !something_new {
                return Ok(false);
            }
        }
    }

    /// Reads items until there are enough for some children.
    async fn next_children(&self, open: &mut OpenRun, items: &mut Items) -> Vec<Child> {
        let most = open.run.room().min(STARTED_AT_ONCE);
        if most == 0 {
            return Vec::new();
        }
        let mut wanted = READ_AHEAD;
        loop {
            if let Err(cause) = self.read(open, items, wanted).await {
                open.run.fail("States.ItemReaderFailed", cause);
                return Vec::new();
            }
            let now = Timestamp(self.router.now().as_millisecond());
            let (run, bench) = open.parts();
            let children = run.start(bench, now, &mut items.queue, items.last, most);
            if !children.is_empty() || items.last || open.run.ends() {
                return children;
            }
            // A batch takes more items than were read.
            wanted = items.queue.len() + READ_AHEAD;
        }
    }

    async fn read(&self, open: &OpenRun, items: &mut Items, wanted: usize) -> Result<(), String> {
        while items.queue.len() < wanted && !items.last {
            let source = match &mut items.source {
                Some(source) => source,
                None => items.source.insert(Source::open(self.acting(open).await?, &open.run).await?),
            };
            let missing = wanted - items.queue.len();
            items.last = source.read(&open.run, &mut items.queue, missing).await?;
        }
        Ok(())
    }

    /// The context of the machine's role.
    async fn acting(&self, open: &OpenRun) -> Result<Cx, String> {
        let session: String =
            open.info.name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(64).collect();
        let cx = Cx::platform(&self.router, open.arn.account(), open.arn.region());
        let role_arn = &open.info.role_arn;
        let run = Worker::Execution(open.run.arn.clone());
        cx.for_worker(Worker::Execution(open.run.execution_arn.clone())).began(run.clone());
        let cx = cx.for_worker(run);
        patiently(&cx, || cx.assume(role_arn, &session))
            .await
            .map_err(|error| format!("The role {role_arn} cannot be assumed: {}", error.message()))
    }

    async fn stop_children(&self, open: &OpenRun) -> Result<(), Error> {
        let mut from = 0;
        loop {
            let running = self.engine.running_children(&open.arn, from, 1000).await?;
            let Some((last, _)) = running.last() else { return Ok(()) };
            from = last + 1;
            let mut stopping = stream::iter(running)
                .map(|(_, child)| async move {
                    let stop = Event::StopRequested { error: None, cause: None };
                    self.engine.tell(&child, stop, None).await
                })
                .buffer_unordered(STOPPED_AT_ONCE);
            while let Some(told) = stopping.next().await {
                told?;
            }
        }
    }

    /// All children have ended: the results are written or put together, and the run has its end.
    async fn conclude(&self, open: &mut OpenRun, items: &mut Items) -> Result<(), Error> {
        let mut output = String::new();
        if open.run.status != Status::Aborted {
            match results::collect(self, open, items).await? {
                Ok(result) => output = result,
                Err((error, cause)) => open.run.fail(error, cause),
            }
        }
        open.run.close(Timestamp(self.router.now().as_millisecond()));
        self.engine.keep_map_run_output(open, output).await
    }

    /// Tells the execution whose Map it is; the task ends with that. False when the execution does not wait for it.
    async fn tell(&self, open: &OpenRun, task: &str) -> Result<bool, Error> {
        let ended = match (open.run.status, &open.run.failure) {
            (Status::Aborted, _) => return Ok(false),
            (_, Some(failure)) => RunEnded::Failed(failure.clone()),
            _ => RunEnded::Succeeded { output: self.engine.map_run_output(&open.arn).await? },
        };
        let Some(execution) = engine::ExecutionArn::parse(&open.run.execution_arn) else { return Ok(false) };
        let event = Event::MapRunEnded { task: open.run.task, ended };
        Ok(self.engine.tell(&execution, event, Some(task.to_owned())).await? == Delivery::Delivered)
    }
}

/// Where a run's items come from, and those that were read and are in no child yet.
#[derive(Default)]
struct Items {
    source: Option<Source>,
    queue: VecDeque<Item>,
    /// Nothing follows what is in the queue.
    last: bool,
    /// The children have been told to stop.
    stopped: bool,
    /// When the first of the Express children has run for as long as it may, as far as is known.
    child_ends: Option<Timestamp>,
}

fn take_notice(open: &mut OpenRun, news: &News) {
    if news.stopped {
        open.run.abort();
    }
    for child in &news.ended {
        open.run.child_ended(child.status, child.items);
    }
    if let Some(limits) = &news.limits {
        open.run.limit(limits.clone());
    }
}
