//! Express executions: kept in memory while they run, with no record of what they did but their logs.
//!
//! An asynchronous one is a row on the durable queue, and runs again from its start when a crash cuts it short; a synchronous one is
//! not even that. Either may take five minutes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use asl::{Command, Event, Execution, Info, Outcome, TaskId, TimerId, Timestamp};
use async_trait::async_trait;
use engine::traces::Spans;
use engine::{Counter, Engine, ExecutionArn, Logging, NewExecution, Noted, TaskPayload};
use serde::{Deserialize, Serialize};
use service::{Cx, Router};
use store::{Done, NewTask, Runner, Task};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use wire::Error;

use crate::integrations::Tasks;

/// The kind of the row that an asynchronous execution is.
pub(crate) const KIND: &str = "states:express";
/// How many of them run at once.
pub(crate) const AT_ONCE: usize = 4096;
/// Source: Service quotas of Step Functions, "Quotas related to state machine executions".
pub(crate) const LIMIT_MS: i64 = 5 * 60 * 1000;
/// Lines wait this long for others to go with them, but not when there are so many.
const GATHER: Duration = Duration::from_millis(500);
const MAX_LINES: usize = 500;

/// Runs Express executions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Express {
    engine: Engine,
    router: Arc<Router>,
    tasks: Arc<Tasks>,
}

/// What is kept of an asynchronous execution.
#[derive(Serialize, Deserialize)]
struct Start {
    arn: ExecutionArn,
    info: Info,
    /// The definition's name among those kept.
    definition: String,
    logging: Option<Logging>,
}

/// How an execution ended, and when.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) at: Timestamp,
}

impl Express {
    pub(crate) fn new(engine: Engine, router: &Arc<Router>, tasks: &Arc<Tasks>) -> Self {
        Self { engine, router: Arc::clone(router), tasks: Arc::clone(tasks) }
    }

    /// Puts an execution on the queue.
    pub(crate) async fn start(&self, cx: &Cx, new: NewExecution) -> Result<(), Error> {
        let store = self.engine.store_of(&new.arn);
        cx.write(store, move |tx| {
            new.definition.keep(tx, new.arn.account(), new.arn.region())?;
            let definition = new.definition.name().to_owned();
            let (arn, info, logging) = (new.arn.clone(), new.info.clone(), new.logging.clone());
            let start = Start { arn, info, definition, logging };
            tx.enqueue(NewTask::new(KIND, new.arn.as_str()).payload(&start)?)?;
            Ok::<_, Error>(())
        })
        .await
    }

    /// Runs an execution to its end. It goes on when the caller does not wait for it.
    pub(crate) async fn run_now(&self, cx: &Cx, new: NewExecution) -> Result<Ended, Error> {
        let definition = self.engine.ready(&new.definition)?;
        let execution = Execution::new(definition, new.info, engine::seed(&cx.uuid()));
        let mut run = Run::new(self.clone(), new.arn, execution, new.logging);
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let ended = run.finish().await;
            let _ = tell.send(ended);
            run.log.flush().await;
        });
        told.await.map_err(Error::internal)
    }

    async fn run_again(&self, task: &Task) -> Result<(), Error> {
        let start: Start = task.payload()?;
        let (account, region) = (start.arn.account(), start.arn.region());
        let definition = self.engine.kept_definition(&start.arn, &start.definition).await?;
        let cx = Cx::platform(&self.router, account, region);
        let execution = Execution::new(definition, start.info, engine::seed(&cx.uuid()));
        let mut run = Run::new(self.clone(), start.arn, execution, start.logging);
        run.finish().await;
        run.log.flush().await;
        Ok(())
    }
}

#[async_trait]
impl Runner for Express {
    async fn run(&self, task: Task) -> Done {
        match self.run_again(&task).await {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::error!(task = task.id, %error, "an express execution could not be started");
                Done::RetryAfter(jiff::SignedDuration::from_secs(1))
            }
        }
    }
}

/// One execution in memory, with all that it waits for.
struct Run {
    express: Express,
    arn: ExecutionArn,
    execution: Execution,
    waiting: VecDeque<Event>,
    tasks: JoinSet<Event>,
    handles: BTreeMap<TaskId, AbortHandle>,
    timers: BTreeMap<TimerId, Timestamp>,
    log: Log,
    outcome: Option<Outcome>,
    counter: Counter,
    /// Where the execution is traced.
    spans: Option<Spans>,
}

impl Run {
    fn new(express: Express, arn: ExecutionArn, execution: Execution, logging: Option<Logging>) -> Self {
        let cx = Cx::platform(&express.router, arn.account(), arn.region());
        let counter = Counter::new(&express.router);
        let log = Log { cx, arn: arn.clone(), logging, lines: Vec::new() };
        let traced = express.router.tracer().filter(|_| execution.info().trace.is_some());
        let spans = traced.map(|_| Spans::new(&arn, execution.info()));
        Self {
            express,
            arn,
            execution,
            waiting: VecDeque::from([Event::Started]),
            tasks: JoinSet::new(),
            handles: BTreeMap::new(),
            timers: BTreeMap::new(),
            log,
            outcome: None,
            counter,
            spans,
        }
    }

    async fn finish(&mut self) -> Ended {
        let deadline = Timestamp(self.now().0 + LIMIT_MS);
        loop {
            let event = self.next(deadline).await;
            let now = self.now();
            let mut commands = Vec::new();
            self.execution.handle(now, event, &mut commands);
            self.execution.take_dirty();
            for command in commands {
                self.carry_out(command);
            }
            if let Some(outcome) = self.outcome.take() {
                self.tasks.abort_all();
                if let (Some(spans), Some(tracer)) = (self.spans.take(), self.express.router.tracer()) {
                    tracer.export(spans.finish());
                }
                return Ended { outcome, at: now };
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.express.router.now().as_millisecond())
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Record(event) => {
                self.counter.count(&self.arn, Noted::of(0, self.execution.info(), &event).into_iter().collect());
                self.log.add(&event);
                if let Some(spans) = &mut self.spans {
                    spans.add(&event);
                }
            }
            Command::StartTask(start) => {
                let payload = TaskPayload::new(&self.arn, self.execution.info(), start);
                let tasks = Arc::clone(&self.express.tasks);
                let task = payload.task;
                self.handles.insert(task, self.tasks.spawn(async move { tasks.once(&payload).await }));
            }
            Command::CancelTask { task } => {
                if let Some(handle) = self.handles.remove(&task) {
                    handle.abort();
                }
            }
            Command::SetTimer { timer, at } => {
                self.timers.insert(timer, at);
            }
            Command::ClearTimer { timer } => {
                self.timers.remove(&timer);
            }
            Command::Continue => self.waiting.push_back(Event::Continue),
            Command::Finish(outcome) => self.outcome = Some(outcome),
            // An Express machine with a Distributed Map is refused when it is created.
            Command::StartMapRun(_) | Command::StopMapRun { .. } | Command::RedriveMapRun { .. } => {}
        }
    }

    /// What happens next.
    async fn next(&mut self, deadline: Timestamp) -> Event {
        loop {
            if self.now() >= deadline {
                return Event::DeadlinePassed;
            }
            if let Some(event) = self.waiting.pop_front() {
                // One that never waits must not gather lines for five minutes.
                if self.log.lines.len() >= MAX_LINES {
                    self.log.flush().await;
                }
                // Others have their turn.
                tokio::task::yield_now().await;
                return event;
            }
            let timer = self.timers.iter().map(|(timer, at)| (*at, *timer)).min();
            let until = timer.map_or(deadline, |(at, _)| at.min(deadline));
            let pause = Duration::from_millis(u64::try_from(until.0 - self.now().0).unwrap_or(0));
            let gather = if self.log.lines.len() >= MAX_LINES { Duration::ZERO } else { GATHER };
            tokio::select! {
                Some(joined) = self.tasks.join_next_with_id() => match joined {
                    Ok((_, event)) => {
                        if let Event::TaskSucceeded { task, .. } | Event::TaskFailed { task, .. } = &event {
                            self.handles.remove(task);
                        }
                        return event;
                    }
                    Err(error) => if let Some(event) = self.broken(&error) { return event },
                },
                () = tokio::time::sleep(pause) => {
                    if let Some((at, timer)) = timer && at <= self.now() {
                        self.timers.remove(&timer);
                        return Event::TimerFired { timer };
                    }
                }
                () = tokio::time::sleep(gather), if !self.log.lines.is_empty() => self.log.flush().await,
            }
        }
    }

    /// A call that was cut off answers nothing, one that broke has failed.
    fn broken(&mut self, error: &tokio::task::JoinError) -> Option<Event> {
        let task = self.handles.iter().find(|(_, handle)| handle.id() == error.id()).map(|(task, _)| *task)?;
        self.handles.remove(&task);
        (!error.is_cancelled()).then(|| Event::TaskFailed {
            task,
            error: Some("States.Runtime".to_owned()),
            cause: Some("The task ended unexpectedly".to_owned()),
        })
    }
}

/// The lines of an execution that have not been delivered yet.
struct Log {
    cx: Cx,
    arn: ExecutionArn,
    logging: Option<Logging>,
    lines: Vec<(i64, String)>,
}

impl Log {
    fn add(&mut self, event: &asl::HistoryEvent) {
        let line = self.logging.as_ref().and_then(|logging| logging.line(&self.arn, event, 0));
        self.lines.extend(line);
    }

    async fn flush(&mut self) {
        let Some(logging) = &self.logging else { return };
        let lines = std::mem::take(&mut self.lines);
        logging.deliver(&self.cx, &self.arn, lines).await;
    }
}
