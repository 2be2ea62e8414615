//! Drives executions: takes one event, lets the machine (`asl`) decide, and writes history, timers, queue rows and the changed
//! frames in one transaction.
//!
//! Nothing has to be recovered when a server starts: whatever can wake an execution (a timer, a task's run, more work to do) is a
//! row of the durable queue, and an execution is loaded when its first event arrives.
//!
//! Not here: what tasks do (the runner of kind [`TASK_KIND`] is in `services/states`), state machines, the API.

mod arn;
mod batch;
mod definitions;
mod history;
mod logs;
mod map_runs;
mod metrics;
mod read;
mod records;
mod redrive;
mod runners;
mod running;
mod shards;
pub mod traces;
mod waits;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use asl::{Calls, Command, Event, Execution, Info, Status, TaskId, Timestamp};
use serde_json::value::RawValue;
use service::{Cx, Platform, Router};
use store::{Key, Queue, Store};
use tokio::sync::{Notify, oneshot};
use wire::Error;

pub use arn::ExecutionArn;
use batch::Batch;
pub use batch::TaskPayload;
pub use definitions::DefinitionText;
use definitions::Definitions;
pub use history::encode as encode_history;
pub use logs::{Level, Logging};
pub use map_runs::{ChildResult, EndedChild, MAP_RUN_KIND, MapRunArn, News, OpenRun};
pub use metrics::{Counter, Noted};
pub use read::{Filter, Listed, Page};
pub use records::{Summary, listing as executions_of, map_runs_of};
pub use redrive::{Redriven, Refused};
use running::Running;
use shards::{Shard, Shards};
pub use waits::{
    ACTIVITY_KIND, ActivityPlace, JobName, PLACE_KIND, STOP_KIND, WAIT_KIND, Wait, WaitPayload, stopped_task,
};

/// The queue kind of a task that an execution starts; its payload is a [`TaskPayload`].
pub const TASK_KIND: &str = "states:task";
/// Executions kept in memory between events.
const MAX_LOADED: usize = 4096;
/// Those that wait are given up when texts of so many bytes have been read or written since the last time: they are all in the store.
const MAX_GROWN: usize = 64 << 20;
/// Room for what most turns lead to.
const USUAL_COMMANDS: usize = 8;
/// Commands of one commit, about.
const MAX_COMMANDS: usize = 10_000;

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Shards,
    /// What is not an execution's.
    control: Store,
    router: Arc<Router>,
    loaded: Mutex<BTreeMap<String, Slot>>,
    /// What loaded executions may have come to hold.
    grown: AtomicUsize,
    definitions: Definitions,
    waiting: Mutex<BTreeMap<String, Vec<oneshot::Sender<()>>>>,
    /// Runs of Distributed Maps that are taken up, and what wakes them.
    map_runs: Mutex<BTreeMap<String, Arc<Notify>>>,
    running: Running,
    counter: Counter,
    ended: traces::Ended,
    /// Who knows what the calls of Tasks take.
    calls: OnceLock<Arc<dyn Calls>>,
}

/// What goes with a turn into its commit, and what it depends on.
#[derive(Default)]
struct Beside {
    /// The queue's task that ends with it.
    done: Option<String>,
    wait: Option<Wait>,
    /// The execution has to wait for this task.
    only_for: Option<TaskId>,
    /// What is written so that the turn is taken once.
    memo: Option<Key>,
}

/// What an answer is remembered by that is given on behalf of a task.
fn answered(cx: &Cx) -> Option<Key> {
    cx.task_id().map(|task| store::kv::memo_prefix().push(task).push("answer"))
}

/// One execution's place in memory; empty when it has to be read first.
type Slot = Arc<tokio::sync::Mutex<Option<Execution>>>;

/// What an execution is started with.
#[derive(Clone, Debug)]
pub struct NewExecution {
    pub arn: ExecutionArn,
    /// Its name was drawn at random a moment ago: nothing can have it already.
    pub is_unseen: bool,
    pub info: Info,
    /// It is kept with the execution.
    pub definition: DefinitionText,
    pub state_machine_version_arn: Option<String>,
    /// The alias that it was started through.
    pub state_machine_alias_arn: Option<String>,
    pub trace_header: Option<String>,
    /// Where its history is logged; [`Info::logged`] says the same to the machine.
    pub logging: Option<Logging>,
    /// When the machine was made, and what else it is; see [`Summary`].
    pub machine_created: Option<i64>,
    pub machine: Option<Arc<RawValue>>,
}

/// What starting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Started {
    /// Running, since then; also when the same was asked for before.
    At(i64),
    /// The name belongs to another execution.
    NameTaken,
}

/// Whether an event reached its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    /// The execution is over, or never was.
    NotRunning,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// The engine of a platform, with its runners registered; [`TASK_KIND`] is the caller's.
    pub fn new(platform: &Platform) -> Self {
        Self::over(platform, &[])
    }

    /// The same over stores that have executions alone, in this order for ever. Without any, executions are where everything else is.
    pub fn over(platform: &Platform, own: &[Queue]) -> Self {
        let inner = Inner {
            shards: Shards::new(own, &platform.control),
            control: platform.control.store().clone(),
            router: Arc::clone(&platform.router),
            loaded: Mutex::default(),
            grown: AtomicUsize::new(0),
            definitions: Definitions::default(),
            waiting: Mutex::default(),
            map_runs: Mutex::default(),
            running: Running::default(),
            counter: Counter::new(&platform.router),
            ended: traces::Ended::default(),
            calls: OnceLock::new(),
        };
        let engine = Self { inner: Arc::new(inner) };
        let resting = Arc::downgrade(&engine.inner);
        platform.control.store().when_resting(move || {
            if let Some(inner) = resting.upgrade() {
                inner.rest();
                inner.definitions.rest();
            }
        });
        for queue in if own.is_empty() { std::slice::from_ref(&platform.control) } else { own } {
            runners::register(&engine, queue);
        }
        if let Some(tracer) = platform.router.tracer() {
            traces::follow(&engine, tracer);
        }
        engine
    }

    /// Has the Tasks of all definitions held against what their calls take; to be said before the first one is read.
    pub fn check_calls(&self, calls: Arc<dyn Calls>) {
        // Only the first one counts.
        let _ = self.inner.calls.set(calls);
    }

    /// Where an execution is.
    pub fn store_of(&self, arn: &ExecutionArn) -> &Store {
        &self.shard(arn).store
    }

    pub(crate) fn shard(&self, arn: &ExecutionArn) -> &Shard {
        self.inner.shards.of(arn.as_str())
    }

    pub(crate) fn store_of_run(&self, arn: &MapRunArn) -> &Store {
        &self.shard_of_run(arn).store
    }

    pub(crate) fn shard_of_run(&self, arn: &MapRunArn) -> &Shard {
        self.inner.shards.of(arn.as_str())
    }

    /// Executions, and what else is kept of Step Functions, are in one store.
    pub fn is_in_one_store(&self) -> bool {
        self.inner.shards.all().iter().all(|shard| shard.site.has_all)
    }

    fn counter(&self) -> &Counter {
        &self.inner.counter
    }

    /// Counts what has been written; what is over, is traced.
    fn count(&self, arn: &ExecutionArn, noted: Vec<Noted>) {
        self.count_in(arn.account(), arn.region(), noted);
    }

    fn count_in(&self, account: &str, region: &str, noted: Vec<Noted>) {
        if self.inner.ended.get().is_some() {
            noted.iter().filter_map(Noted::traced).for_each(|arn| self.trace(arn.clone()));
        }
        self.counter().count_in(account, region, noted);
    }

    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.inner.router
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.inner.router.now().as_millisecond())
    }

    /// Starts an execution: one commit that holds it and its first steps.
    pub async fn start(&self, cx: &Cx, mut new: NewExecution) -> Result<Started, Error> {
        let definition = self.ready(&new.definition)?;
        let started = new.info.started;
        // Held until the commit: events of it may come at once, and find it here.
        let slot = self.slot(&new.arn);
        let mut held = slot.lock().await;
        let mut execution = Execution::new(definition, std::mem::take(&mut new.info), seed(&cx.uuid()));
        let commands = steps(&mut execution, started, Event::Started);
        // Boxed, here and below: it is large, and moves from hand to hand.
        let mut batch = Box::new(Batch::begin(&new, &execution)?);
        let tells_events = self.tells_events(&new.arn).await?;
        batch.add(&new.arn, started, &mut execution, commands, tells_events)?;
        let (noted, bytes) = (std::mem::take(&mut batch.noted), batch.bytes());
        let shard = self.shard(&new.arn);
        let site = Arc::clone(&shard.site);
        let number = self.inner.shards.number_of(&new.arn);
        let (arn, input, is_unseen) = (new.arn.clone(), execution.info().input.clone(), new.is_unseen);
        let text_key = new.definition.key(arn.account(), arn.region());
        let is_known = self.inner.definitions.is_known(number, &text_key);
        let text = (!is_known).then(|| new.definition.clone());
        let is_new = Arc::new(AtomicBool::new(false));
        let made = Arc::clone(&is_new);
        let noting = Arc::clone(&self.inner);
        let reply = cx
            .write(&shard.store, move |tx| {
                let known = if is_unseen { None } else { read::summary(tx, &arn)? };
                if let Some(known) = known.as_ref().filter(|known| known.gives_up_name(started)) {
                    read::forget(tx, &arn, known)?;
                } else if let Some(known) = known {
                    let same = known.status == Status::Running
                        && read::info(tx, &arn)?.is_some_and(|info| info.input.text() == input.text());
                    return Ok::<_, Error>(if same { Started::At(known.started.0) } else { Started::NameTaken });
                }
                if let Some(text) = &text {
                    text.keep(tx, arn.account(), arn.region())?;
                }
                batch.apply(tx, &site)?;
                noting.running.begins(&arn, started, number);
                made.store(true, Ordering::Relaxed);
                Ok(Started::At(started.0))
            })
            .await;
        let begun = reply.is_ok() && is_new.load(Ordering::Relaxed);
        if begun {
            self.count(&new.arn, noted);
            if !is_known {
                self.inner.definitions.now_known(number, text_key);
            }
        }
        if is_new.load(Ordering::Relaxed) {
            // Once more: somebody may have begun to ask for those that run while the commit was on its way.
            self.inner.running.begins(&new.arn, started, number);
        }
        if begun && execution.status() == Status::Running {
            *held = Some(execution);
            self.inner.grow(bytes);
            return reply;
        }
        if begun {
            self.inner.running.ended(&new.arn, started);
        }
        if held.is_none() {
            self.forget(&new.arn);
        }
        reply
    }

    /// Tells an execution what happened, and carries out what it makes of it. With `done`, the queue's task of that id ends in the
    /// same transaction.
    pub async fn tell(&self, arn: &ExecutionArn, event: Event, done: Option<String>) -> Result<Delivery, Error> {
        if done.is_some() {
            // A runner is never given up half-way.
            return self.turn(arn, event, Beside { done, ..Beside::default() }).await;
        }
        self.turn_alone(arn, event, Beside::default()).await
    }

    /// The same for callers who may go away: a turn that has begun is taken to its end.
    pub async fn tell_alone(&self, arn: &ExecutionArn, event: Event, done: Option<String>) -> Result<Delivery, Error> {
        self.turn_alone(arn, event, Beside { done, ..Beside::default() }).await
    }

    /// Tells an execution what a task's token was answered with. `NotRunning` when the task is no longer waited for. Whoever answers
    /// on behalf of a task may do so again under the same id: it is told once.
    pub async fn answer(&self, cx: &Cx, arn: &ExecutionArn, task: TaskId, event: Event) -> Result<Delivery, Error> {
        let beside = Beside { only_for: Some(task), memo: answered(cx), ..Beside::default() };
        self.turn_alone(arn, event, beside).await
    }

    /// Whether the task that the caller acts for has given the execution its answer before.
    pub async fn has_answered(&self, cx: &Cx, arn: &ExecutionArn) -> Result<bool, Error> {
        match answered(cx) {
            Some(memo) => self.store_of(arn).read(|tx| tx.has(&memo).map_err(Error::from)).await,
            None => Ok(false),
        }
    }

    /// On its own: a caller that goes away must not leave an execution between its decision and its commit.
    async fn turn_alone(&self, arn: &ExecutionArn, event: Event, beside: Beside) -> Result<Delivery, Error> {
        let (engine, arn) = (self.clone(), arn.clone());
        tokio::spawn(async move { engine.turn(&arn, event, beside).await }).await.map_err(Error::internal)?
    }

    /// Tells an execution that a task's job has been started, and waits for the job in the same commit. `NotRunning` when the task
    /// is no longer waited for: the job is the caller's to stop.
    pub async fn submitted(&self, arn: &ExecutionArn, event: Event, wait: Wait) -> Result<Delivery, Error> {
        // Only runners submit, and a runner is never given up half-way.
        self.turn(arn, event, Beside { wait: Some(wait), ..Beside::default() }).await
    }

    async fn turn(&self, arn: &ExecutionArn, event: Event, beside: Beside) -> Result<Delivery, Error> {
        let Beside { done, wait, only_for, memo } = beside;
        let slot = self.slot(arn);
        let shard = self.shard(arn);
        let mut held = slot.lock().await;
        if held.is_none() {
            *held = self.load(arn).await?;
        }
        if let Some(memo) = &memo
            && shard.store.read(|tx| tx.has(memo).map_err(Error::from)).await?
        {
            return Ok(Delivery::Delivered);
        }
        // Whose answer nobody waits for is for the caller to deal with.
        let waited_for = match (&wait, &event) {
            (Some(wait), _) => Some(wait.payload.task),
            (None, Event::MapRunEnded { task, .. }) => Some(*task),
            _ => only_for,
        };
        // Taken out while it is between two states: what a panic or an error leaves of it is nobody's, and is read again.
        let Some(mut execution) = held.take() else {
            self.forget(arn);
            if let Some(task) = done.filter(|_| waited_for.is_none()) {
                shard.store.write(move |tx| tx.finish_task(&task)).await?;
            }
            return Ok(Delivery::NotRunning);
        };
        if waited_for.is_some_and(|task| !execution.waits_for(task)) {
            *held = Some(execution);
            return Ok(Delivery::NotRunning);
        }
        if matches!(event, Event::StateMachineDeleted) && execution.is_doomed() {
            *held = Some(execution);
            return Ok(Delivery::Delivered);
        }
        let now = self.now();
        let commands = steps(&mut execution, now, event);
        let over = execution.status() != Status::Running;
        let mut batch = Box::<Batch>::default();
        let outcome = match if over { self.tells_events(arn).await } else { Ok(false) } {
            Ok(tells_events) => batch.add(arn, now, &mut execution, commands, tells_events).map_err(Error::from),
            Err(error) => Err(error),
        };
        (batch.done, batch.wait) = (done, wait);
        let (runs, bytes) = (batch.runs_to_wake(), batch.bytes());
        let noted = std::mem::take(&mut batch.noted);
        let site = Arc::clone(&shard.site);
        let written = match outcome {
            Ok(()) => match memo {
                None => shard.store.write(move |tx| batch.apply(tx, &site)).await.map_err(Error::from),
                Some(memo) => shard.store.write_once(memo, move |tx| batch.apply(tx, &site)).await.map_err(Error::from),
            },
            Err(error) => Err(error),
        };
        // Also after a failure: the commit may have taken place all the same, and nobody will tell of it again.
        for run in runs {
            self.wake_map_run(&run);
        }
        if over {
            self.wake(arn);
        }
        // Otherwise what memory knows was not written.
        written?;
        self.count(arn, noted);
        if over {
            waits::forget(&shard.site, arn);
            self.inner.running.ended(arn, execution.info().started);
            self.forget(arn);
        } else {
            *held = Some(execution);
            self.inner.grow(bytes);
        }
        Ok(Delivery::Delivered)
    }

    /// True while the execution waits for that task.
    pub async fn waits_for(&self, arn: &ExecutionArn, task: TaskId) -> Result<bool, Error> {
        let slot = self.slot(arn);
        let mut held = slot.lock().await;
        if held.is_none() {
            *held = self.load(arn).await?;
        }
        let waits = held.as_ref().is_some_and(|execution| execution.waits_for(task));
        if held.is_none() {
            self.forget(arn);
        }
        Ok(waits)
    }

    /// The execution and the task that a token is for; `None` for a token that was never given out.
    pub async fn read_token(&self, token: &str) -> Result<Option<(ExecutionArn, TaskId)>, Error> {
        let Some((arn, task)) = Execution::read_token(token) else { return Ok(None) };
        let Some(arn) = ExecutionArn::parse(&arn) else { return Ok(None) };
        let slot = self.slot(&arn);
        let mut held = slot.lock().await;
        if held.is_none() {
            *held = self.load(&arn).await?;
        }
        let known = held.as_ref().map(|execution| execution.token(task) == token);
        if held.is_none() {
            self.forget(&arn);
            if self.describe(&arn).await?.is_none() {
                return Ok(None);
            }
        }
        // Of an execution that is over nothing is left to check the seal with; its tasks have timed out for whoever asks.
        Ok(if known == Some(false) { None } else { Some((arn, task)) })
    }

    /// Returns when the execution is over.
    pub async fn finished(&self, arn: &ExecutionArn) -> Result<(), Error> {
        loop {
            let (told, waits) = oneshot::channel();
            lock(&self.inner.waiting).entry(arn.to_string()).or_default().push(told);
            if self.describe(arn).await?.is_none_or(|(summary, _)| summary.status != Status::Running) {
                self.wake(arn);
                return Ok(());
            }
            // Woken also by a commit of which it is not known whether it took place: looks again.
            let _ = waits.await;
        }
    }

    fn wake(&self, arn: &ExecutionArn) {
        for told in lock(&self.inner.waiting).remove(arn.as_str()).unwrap_or_default() {
            let _ = told.send(());
        }
    }

    /// Whether a change of the execution's status may interest a rule.
    async fn tells_events(&self, arn: &ExecutionArn) -> Result<bool, Error> {
        if arn.is_express() {
            return Ok(false);
        }
        self.router().may_match(arn.account(), arn.region(), runners::EVENT_SOURCE, runners::EVENT_TYPE).await
    }

    fn slot(&self, arn: &ExecutionArn) -> Slot {
        let mut loaded = lock(&self.inner.loaded);
        if loaded.len() >= MAX_LOADED {
            loaded.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(loaded.entry(arn.to_string()).or_default())
    }

    /// For who holds the slot. One that others wait for stays: there must not be two of an execution.
    fn forget(&self, arn: &ExecutionArn) {
        let mut loaded = lock(&self.inner.loaded);
        if loaded.get(arn.as_str()).is_some_and(|slot| Arc::strong_count(slot) <= 2) {
            loaded.remove(arn.as_str());
        }
    }

    /// Reads a running execution.
    async fn load(&self, arn: &ExecutionArn) -> Result<Option<Execution>, Error> {
        let Some(mut stored) = self.store_of(arn).read(|tx| read::stored(tx, arn)).await? else { return Ok(None) };
        if stored.root.status != Status::Running {
            return Ok(None);
        }
        let definition = self.parsed(&stored.definition)?;
        self.inner.grow(stored.bytes());
        Ok(Some(Execution::load(definition, Arc::new(stored.info), stored.root, stored.frames)))
    }
}

impl Inner {
    /// Gives up executions that nobody has to do with just now.
    fn rest(&self) {
        self.grown.store(0, Ordering::Relaxed);
        lock(&self.loaded).retain(|_, slot| Arc::strong_count(slot) > 1);
    }

    fn grow(&self, bytes: usize) {
        if self.grown.fetch_add(bytes, Ordering::Relaxed) + bytes >= MAX_GROWN {
            self.rest();
        }
    }
}

/// All that an event leads to. Long work is cut where it would keep others from their turns for too long; what is left then goes
/// on with a task of the queue.
fn steps(execution: &mut Execution, now: Timestamp, event: Event) -> Vec<Command> {
    let mut commands = Vec::with_capacity(USUAL_COMMANDS);
    execution.handle(now, event, &mut commands);
    while commands.len() < MAX_COMMANDS
        && !execution.has_worked_enough()
        && let Some(Command::Continue) = commands.last()
    {
        commands.pop();
        execution.handle(now, Event::Continue, &mut commands);
    }
    commands
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two numbers out of a random UUID: what decides all chance in an execution.
pub fn seed(uuid: &str) -> [u64; 2] {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |range: std::ops::Range<usize>| {
        digits.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
    };
    [half(0..16), half(16..32)]
}

#[cfg(test)]
mod tests;
