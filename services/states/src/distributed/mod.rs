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

use asl::{Child, Event, Item, RunEnded, Status};
use async_trait::async_trait;
use engine::{Delivery, Engine, MapRunArn, News, OpenRun};
use futures::stream::{self, StreamExt as _};
use service::lineage::Worker;
use service::{Cx, Router};
use store::{Done, Runner, Task};
use wire::Error;

pub(crate) use decode::items_in;
use source::Source;

/// Children that are started in one transaction.
const STARTED_AT_ONCE: u64 = 500;
/// Items that are read ahead, unless a batch needs more.
const READ_AHEAD: usize = 1000;
/// Children that are told to stop at the same time.
const STOPPED_AT_ONCE: usize = 32;

/// Runs Distributed Maps.
pub(crate) struct MapRuns {
    engine: Engine,
    router: Arc<Router>,
}

impl MapRuns {
    pub(crate) fn new(engine: Engine, router: &Arc<Router>) -> Self {
        Self { engine, router: Arc::clone(router) }
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
        let ended = self.drive(&arn, &task.id).await;
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
                    self.engine.map_run_woken(arn).await;
                }
                self.conclude(&mut open, &mut items).await?;
            }
            if self.tell(&open, task).await? || self.engine.end_map_run(arn).await? {
                return Ok(Done::Committed);
            }
        }
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
            let now = asl::Timestamp(self.router.now().as_millisecond());
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
        cx.for_worker(run)
            .assume(role_arn, &session)
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
        open.run.close(asl::Timestamp(self.router.now().as_millisecond()));
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
