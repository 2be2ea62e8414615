//! The durable task queue: everything that outlives a request and is not an execution. A task is a row written in the
//! transaction that asks for the work; a runner does the work and removes the row in the transaction that records the
//! result. After a crash every row that is left runs again.
//!
//! Rows: `now/<id>` holds a task that is due when it is put there; of a later one `task/<id>` holds the task and `due/<time>/<id>`
//! orders it. The dispatcher keeps in memory what is due within a window, sleeps until the next one is, and costs nothing while
//! there is none. Timers are tasks in the future. What a task is to be done with stays on disk until it begins: much may wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use crate::Error;
use crate::key::Key;
use crate::kv::{Store, Tx, decode};

/// Tasks due later than this are left on disk.
const WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
/// Tasks read from disk at once.
const LOAD: usize = 10_000;
/// The same with all that they are to be done with, of which each may be some hundred KiB.
const PAGE: usize = 256;
/// Tasks kept in memory that are not running; more stay on disk.
const MAX_HELD: usize = 10 * LOAD;

/// A task as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Unique in its store.
    pub id: String,
    /// Which runner: `service:what`.
    pub kind: String,
    payload: Arc<RawValue>,
    /// 1 at first; one more per `Done::RetryAfter`. A crash does not count.
    pub attempt: u32,
    pub at_ms: i64,
    pub created_ms: i64,
    /// In which row it is.
    #[serde(skip)]
    row: Row,
    /// Told when the task was cancelled; not stored.
    #[serde(skip, default = "never")]
    stop: watch::Receiver<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Row {
    /// `now/<id>`
    Now,
    /// `task/<id>` and `due/<time>/<id>`
    #[default]
    Later,
}

/// One for all that wait.
fn nothing() -> Arc<RawValue> {
    static NOTHING: LazyLock<Arc<RawValue>> = LazyLock::new(|| RawValue::NULL.to_owned().into());
    Arc::clone(&NOTHING)
}

fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

impl Task {
    /// The payload as the type that was enqueued.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.payload.get())
            .map_err(|e| Error::Corrupt { key: format!("task {}", self.id), cause: e.to_string() })
    }

    /// Waits until the task is cancelled (`Tx::cancel_task`); for use in `select!`.
    pub async fn cancelled(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    pub fn is_cancelled(&self) -> bool {
        *self.stop.borrow()
    }

    /// As it waits in memory: read anew when it begins.
    fn without_payload(self) -> Self {
        Self { payload: nothing(), ..self }
    }
}

/// A task to be put on the queue.
#[derive(Clone, Debug)]
pub struct NewTask {
    id: String,
    kind: String,
    payload: Arc<RawValue>,
    at: Option<jiff::Timestamp>,
    is_new: bool,
}

impl NewTask {
    /// `id` is unique in the store: enqueueing it again replaces a waiting task.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { id: id.into(), kind: kind.into(), payload: nothing(), at: None, is_new: false }
    }
    /// No task had this id before: nothing has to be looked for that it might replace.
    #[must_use]
    pub fn unseen(mut self) -> Self {
        self.is_new = true;
        self
    }
    /// # Errors
    /// `Corrupt` when the payload has no JSON form.
    pub fn payload(mut self, payload: &impl Serialize) -> Result<Self, Error> {
        self.payload = serde_json::value::to_raw_value(payload)
            .map_err(|e| Error::Corrupt { key: format!("task {}", self.id), cause: e.to_string() })?
            .into();
        Ok(self)
    }
    /// Not before this time.
    #[must_use]
    pub fn at(mut self, at: jiff::Timestamp) -> Self {
        self.at = Some(at);
        self
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Done {
    /// Remove the task.
    Finished,
    /// The runner's own transaction removed it (`Tx::finish_task`).
    Committed,
    /// Run it again when so long has passed on the store's clock, with `attempt + 1`.
    RetryAfter(jiff::SignedDuration),
}

/// Does the work of one kind of task. It must stand being run again from the start at any point.
#[async_trait]
pub trait Runner: Send + Sync {
    async fn run(&self, task: Task) -> Done;
}

fn now_prefix() -> Key {
    Key::new("\u{1}now")
}

fn now_key(id: &str) -> Key {
    now_prefix().push(id)
}

fn task_key(id: &str) -> Key {
    Key::new("\u{1}task").push(id)
}

fn due_prefix() -> Key {
    Key::new("\u{1}due")
}

fn due_key(at_ms: i64, id: &str) -> Key {
    due_prefix().push_i64(at_ms).push(id)
}

pub(crate) fn insert(tx: &mut Tx<'_>, new: NewTask) -> Result<(), Error> {
    if !new.is_new {
        remove(tx, &new.id)?;
    }
    let now = tx.now;
    let at = new.at.unwrap_or(now);
    let task = Task {
        at_ms: at.as_millisecond(),
        created_ms: now.as_millisecond(),
        id: new.id,
        kind: new.kind,
        payload: new.payload,
        attempt: 1,
        row: if at <= now { Row::Now } else { Row::Later },
        stop: never(),
    };
    store(tx, task)
}

fn store(tx: &mut Tx<'_>, task: Task) -> Result<(), Error> {
    match task.row {
        Row::Now => tx.put_json(now_key(&task.id), &task)?,
        Row::Later => {
            tx.put_json(task_key(&task.id), &task)?;
            tx.put(due_key(task.at_ms, &task.id), &[])?;
        }
    }
    tx.enqueued.push(task);
    Ok(())
}

pub(crate) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<Task>, Error> {
    match tx.get_json::<Task>(now_key(id))? {
        Some(task) => Ok(Some(Task { row: Row::Now, ..task })),
        None => tx.get_json(task_key(id)),
    }
}

pub(crate) fn has(tx: &mut Tx<'_>, id: &str) -> Result<bool, Error> {
    Ok(tx.has(now_key(id))? || tx.has(task_key(id))?)
}

pub(crate) fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    let now = now_key(id);
    if tx.has(&now)? {
        return tx.delete(&now);
    }
    if let Some(old) = tx.get_json::<Task>(task_key(id))? {
        tx.delete(due_key(old.at_ms, id))?;
        tx.delete(task_key(id))?;
    }
    Ok(())
}

/// Makes a task due now.
pub(crate) fn hasten(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    let Some(task) = find(tx, id)? else { return Ok(()) };
    remove(tx, id)?;
    let at_ms = tx.now.as_millisecond();
    store(tx, Task { at_ms, row: Row::Now, ..task })
}

/// The queue of one store: its runners and its dispatcher.
#[derive(Clone)]
pub struct Queue {
    store: Store,
    kinds: Arc<Mutex<BTreeMap<String, Registered>>>,
    counts: Arc<Counts>,
}

/// What a queue has to do of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub kind: String,
    /// Due, and waiting for others of their kind to end.
    pub waiting: usize,
    pub running: usize,
    /// When the first that waits was due.
    pub oldest_ms: Option<i64>,
}

/// The same while it changes.
#[derive(Debug, Default)]
struct Count {
    waiting: AtomicUsize,
    running: AtomicUsize,
    oldest_ms: AtomicI64,
}

/// What a queue counts, for whoever shows it.
#[derive(Debug, Default)]
struct Counts {
    kinds: Mutex<BTreeMap<String, Arc<Count>>>,
    /// In memory and due later, timers among them.
    scheduled: AtomicUsize,
}

/// How many of a kind's tasks may run at once, and what runs them.
type Registered = (usize, Arc<dyn Runner>);

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    pub fn new(store: Store) -> Self {
        Self { store, kinds: Arc::default(), counts: Arc::default() }
    }
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Names the runner of a kind; at most `concurrency` of its tasks run at once. To be called before [`Queue::start`].
    pub fn register(&self, kind: impl Into<String>, concurrency: usize, runner: Arc<dyn Runner>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(kind.into(), (concurrency.max(1), runner));
    }

    /// What there is to do of each kind, once the queue is started.
    pub fn load(&self) -> Vec<Load> {
        let kinds = self.counts.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let load = |(kind, count): (&String, &Arc<Count>)| {
            let waiting = count.waiting.load(Ordering::Relaxed);
            let oldest_ms = (waiting > 0).then(|| count.oldest_ms.load(Ordering::Relaxed));
            Load { kind: kind.clone(), waiting, running: count.running.load(Ordering::Relaxed), oldest_ms }
        };
        kinds.iter().map(load).collect()
    }

    /// How many tasks are due within a minute, timers among them.
    pub fn scheduled(&self) -> usize {
        self.counts.scheduled.load(Ordering::Relaxed)
    }

    /// Starts the dispatcher on the current runtime; it ends when the returned handle is aborted or the runtime ends.
    pub fn start(&self) -> tokio::task::JoinHandle<()> {
        let registered = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kinds = registered.into_iter().map(|(name, (limit, runner))| {
            let kind = Kind { runner, limit, free: limit, waiting: VecDeque::new(), count: Arc::default() };
            (name, kind)
        });
        let kinds: BTreeMap<_, _> = kinds.collect();
        *self.counts.kinds.lock().unwrap_or_else(PoisonError::into_inner) =
            kinds.iter().map(|(name, kind)| (name.clone(), Arc::clone(&kind.count))).collect();
        let (done, finished) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher {
            store: self.store.clone(),
            kinds,
            counts: Arc::clone(&self.counts),
            due: BTreeMap::new(),
            waiting: 0,
            running: BTreeMap::new(),
            again: BTreeMap::new(),
            loaded_ms: None,
            window_end: i64::MIN,
            cursor: due_prefix().into_bytes(),
            more_on_disk: true,
            done,
        };
        tokio::spawn(dispatcher.run(finished))
    }
}

struct Kind {
    runner: Arc<dyn Runner>,
    limit: usize,
    free: usize,
    waiting: VecDeque<Task>,
    count: Arc<Count>,
}

impl Kind {
    /// Shows what has changed.
    fn tell(&self) {
        debug_assert!(self.free <= self.limit, "more places are free than there are");
        let oldest_ms = self.waiting.front().map_or(0, |task| task.at_ms);
        self.count.oldest_ms.store(oldest_ms, Ordering::Relaxed);
        self.count.waiting.store(self.waiting.len(), Ordering::Relaxed);
        self.count.running.store(self.limit.saturating_sub(self.free), Ordering::Relaxed);
    }
}

struct Dispatcher {
    store: Store,
    kinds: BTreeMap<String, Kind>,
    counts: Arc<Counts>,
    /// What is due before the window's end, in memory.
    due: BTreeMap<(i64, String), Held>,
    /// Tasks that wait for a place among the running ones of their kind.
    waiting: usize,
    running: BTreeMap<String, (Task, watch::Sender<bool>)>,
    /// Enqueued again under the id of a running task: starts when that one ends.
    again: BTreeMap<String, Vec<Task>>,
    /// When what an earlier run of the server left to be done at once was read.
    loaded_ms: Option<i64>,
    /// Later tasks: all whose row of `due` stands before `cursor` are in memory or done; the next ones are wanted at `window_end`.
    window_end: i64,
    cursor: Vec<u8>,
    more_on_disk: bool,
    done: mpsc::UnboundedSender<Ended>,
}

/// A task in memory that is not running.
struct Held {
    /// With its payload while it is fresh.
    task: Task,
    /// It was enqueued a moment ago and nothing was cancelled since: its row need not be looked for.
    is_fresh: bool,
}

struct Ended {
    task: Task,
    /// Its end could not be recorded.
    is_lost: bool,
}

impl Dispatcher {
    async fn run(mut self, mut finished: mpsc::UnboundedReceiver<Ended>) {
        loop {
            self.take_inbox();
            if let Err(e) = self.load().await {
                tracing::error!(error = %e, "the queue cannot be read; trying again in a second");
                self.due.values_mut().for_each(|held| held.is_fresh = false);
                self.store.clock().sleep(Duration::from_secs(1)).await;
                continue;
            }
            self.dispatch().await;
            self.put_off();
            #[cfg(debug_assertions)]
            self.check();
            self.counts.scheduled.store(self.due.len(), Ordering::Relaxed);
            let inbox = self.store.inbox.clone();
            // In order, for a run to be replayed; none can starve another, since every turn looks at all three.
            tokio::select! {
                biased;
                Some(ended) = finished.recv() => {
                    self.ended(ended).await;
                    while let Ok(ended) = finished.try_recv() {
                        self.ended(ended).await;
                    }
                }
                () = inbox.notify.notified() => {}
                () = self.sleep() => {}
            }
        }
    }

    /// What holds whenever the dispatcher goes to sleep.
    #[cfg(debug_assertions)]
    fn check(&self) {
        let (mut waiting, mut taken) = (0, 0);
        for (name, kind) in &self.kinds {
            waiting += kind.waiting.len();
            taken += kind.limit - kind.free;
            assert!(kind.free == 0 || kind.waiting.is_empty(), "a task of kind {name} waits beside a free place");
        }
        assert_eq!(waiting, self.waiting, "tasks that wait for a place");
        assert_eq!(taken, self.running.len(), "places that are taken, and tasks that run");
        let known = |id: &String| self.running.contains_key(id);
        assert!(self.again.keys().all(known), "a task waits for the end of one that does not run");
    }

    fn now_ms(&self) -> i64 {
        self.store.clock().now_ms()
    }

    async fn sleep(&self) {
        let now = self.now_ms();
        let next = self.due.keys().next().map(|(at, _)| *at);
        let window = (self.more_on_disk && !self.is_full()).then_some(self.window_end);
        match next.into_iter().chain(window).min() {
            Some(at) => self.store.clock().sleep(Duration::from_millis(u64::try_from(at - now).unwrap_or(0))).await,
            None => std::future::pending().await,
        }
    }

    fn is_full(&self) -> bool {
        self.due.len() + self.waiting >= MAX_HELD
    }

    fn hold(&mut self, task: Task, is_fresh: bool) {
        self.hold_until(task.at_ms, task, is_fresh);
    }

    /// Two of the same id may be known, of which one is no longer stored; neither takes the other's place.
    fn hold_until(&mut self, mut at_ms: i64, task: Task, is_fresh: bool) {
        let other = |held: &Held| !same(&held.task, &task);
        while self.due.get(&(at_ms, task.id.clone())).is_some_and(other) {
            at_ms += 1;
        }
        let task = if is_fresh { task } else { task.without_payload() };
        self.due.insert((at_ms, task.id.clone()), Held { task, is_fresh });
    }

    fn take_inbox(&mut self) {
        if self.store.inbox.in_doubt.swap(false, Ordering::AcqRel) {
            (self.loaded_ms, self.window_end, self.more_on_disk) = (None, i64::MIN, true);
            self.cursor = due_prefix().into_bytes();
            self.due.values_mut().for_each(|held| held.is_fresh = false);
        }
        let (tasks, cancelled) = {
            let mut inbox = self.store.inbox.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *inbox)
        };
        for task in tasks {
            match task.row {
                Row::Now => {
                    // What was written before the rows were read may have come that way too, and be done already.
                    let is_fresh = cancelled.is_empty() && self.loaded_ms.is_some_and(|at| task.created_ms > at);
                    self.hold(task, is_fresh);
                }
                Row::Later if due_key(task.at_ms, &task.id).as_bytes() < self.cursor.as_slice() => {
                    self.hold(task, false);
                }
                Row::Later => self.more_on_disk = true,
            }
        }
        self.stop(cancelled);
    }

    fn stop(&self, cancelled: Vec<String>) {
        for id in cancelled {
            if let Some((_, stop)) = self.running.get(&id) {
                let _ = stop.send(true);
            }
        }
    }

    /// Reads what was left to be done at once, at the start and when a commit is in doubt; then moves the window on whenever its
    /// end is reached.
    async fn load(&mut self) -> Result<(), Error> {
        if self.loaded_ms.is_some() && !(self.more_on_disk && self.window_end <= self.now_ms()) {
            self.widen();
            return Ok(());
        }
        let waiting: BTreeSet<String> =
            self.kinds.values().flat_map(|kind| &kind.waiting).map(|task| task.id.clone()).collect();
        if self.loaded_ms.is_none() {
            self.load_left(&waiting).await?;
        }
        let now = self.now_ms();
        let window = window_ms();
        while self.more_on_disk && self.window_end <= now && !self.is_full() {
            let (from, to) = (self.cursor.clone(), due_prefix().push_i64(now + window));
            let last = crate::key::prefix_end(due_prefix().as_bytes());
            let (found, tasks, later) = self
                .store
                .read(|tx| {
                    let found = tx.scan(&from, Some(to.as_bytes()), LOAD, false)?;
                    let later = !tx.scan(to.as_bytes(), last.as_deref(), 1, false)?.is_empty();
                    let mut tasks = Vec::with_capacity(found.len());
                    for (key, _) in &found {
                        let Some(id) = Key::parts(key).pop().and_then(|p| String::from_utf8(p).ok()) else { continue };
                        tasks.extend(tx.get_json::<Task>(task_key(&id))?.map(Task::without_payload));
                    }
                    Ok::<_, Error>((found, tasks, later))
                })
                .await?;
            let is_cut = found.len() == LOAD;
            if let Some((mut key, _)) = found.into_iter().next_back().filter(|_| is_cut) {
                self.window_end = Key::parts(&key).get(1).and_then(|at| Key::part_i64(at)).unwrap_or(now);
                key.push(0);
                self.cursor = key;
                self.more_on_disk = true;
            } else {
                self.window_end = now + window;
                self.cursor = to.into_bytes();
                self.more_on_disk = later;
            }
            for task in tasks {
                if !waiting.contains(&task.id) {
                    self.hold(task, false);
                }
            }
        }
        self.widen();
        Ok(())
    }

    /// What was left to be done at once, and what was cancelled meanwhile. What comes while it is read comes by the inbox, too.
    async fn load_left(&mut self, waiting: &BTreeSet<String>) -> Result<(), Error> {
        let running: Vec<&Task> = self.running.values().map(|(task, _)| task).collect();
        let cancelled = self
            .store
            .read(|tx| {
                let mut cancelled = Vec::new();
                for task in &running {
                    // Gone, or asked for anew: either way this run of it was to stop.
                    if !find(tx, &task.id)?.is_some_and(|stored| same(&stored, task)) {
                        cancelled.push(task.id.clone());
                    }
                }
                Ok::<_, Error>(cancelled)
            })
            .await?;
        let mut after = Vec::new();
        loop {
            let found = self.store.read(|tx| tx.scan_after(now_prefix(), &after, PAGE)).await?;
            for (key, row) in &found {
                let task = decode::<Task>(key, row)?;
                if !waiting.contains(&task.id) {
                    self.hold(Task { row: Row::Now, ..task }, false);
                }
            }
            let is_last = found.len() < PAGE;
            let Some((last, _)) = found.into_iter().next_back().filter(|_| !is_last) else { break };
            after = last;
        }
        self.stop(cancelled);
        self.loaded_ms = Some(self.now_ms());
        Ok(())
    }

    /// Nothing is left on disk beyond memory: new tasks may go to memory up to a window from now.
    fn widen(&mut self) {
        let (now, window) = (self.now_ms(), window_ms());
        if !self.more_on_disk && self.window_end < now + window / 2 {
            self.window_end = now + window;
            self.cursor = due_prefix().push_i64(self.window_end).into_bytes();
        }
    }

    async fn dispatch(&mut self) {
        let now = self.now_ms();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let held = entry.remove();
            if self.running.contains_key(&held.task.id) {
                self.again.entry(held.task.id.clone()).or_default().push(held.task.without_payload());
            } else {
                self.begin(held).await;
            }
        }
    }

    /// What is more than memory should hold goes back to where it is: on disk.
    fn put_off(&mut self) {
        if self.due.len() <= MAX_HELD {
            return;
        }
        let keep = MAX_HELD / 2;
        while self.due.len() > keep
            && let Some(((at_ms, id), held)) = self.due.pop_last()
        {
            if held.task.row == Row::Now || held.task.at_ms != at_ms {
                self.due.insert((at_ms, id), held);
                break;
            }
            self.cursor = due_key(at_ms, &id).into_bytes();
            self.window_end = at_ms;
            self.more_on_disk = true;
        }
    }

    async fn begin(&mut self, held: Held) {
        let Held { task, is_fresh } = held;
        let task = if is_fresh {
            task
        } else {
            match self.stored(&task).await {
                Ok(Some(stored)) => stored,
                Ok(None) => return,
                Err(e) => {
                    tracing::error!(error = %e, task = task.id, "the queue cannot be read");
                    self.hold_until(self.now_ms() + 1000, task, false);
                    return;
                }
            }
        };
        let Some(kind) = self.kinds.get_mut(&task.kind) else {
            tracing::error!(kind = task.kind, task = task.id, "no runner for this kind of task; it stays on the queue");
            return;
        };
        if kind.free == 0 {
            kind.waiting.push_back(task.without_payload());
            kind.tell();
            self.waiting += 1;
            return;
        }
        kind.free -= 1;
        kind.tell();
        self.spawn(task);
    }

    /// This very task (not a later one of the same id), while it is on the queue.
    async fn stored(&self, task: &Task) -> Result<Option<Task>, Error> {
        self.store.read(|tx| Ok(find(tx, &task.id)?.filter(|stored| same(stored, task)))).await
    }

    fn spawn(&mut self, mut task: Task) {
        let Some(kind) = self.kinds.get(&task.kind) else { return };
        let runner = kind.runner.clone();
        let (stop, told) = watch::channel(false);
        task.stop = told;
        self.running.insert(task.id.clone(), (task.clone(), stop));
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let run = AssertUnwindSafe(async { runner.run(task.clone()).await }).catch_unwind();
            let outcome = run.await.unwrap_or_else(|_| {
                tracing::error!(task = task.id, kind = task.kind, "a runner panicked; the task runs again");
                Done::RetryAfter(jiff::SignedDuration::from_secs(5))
            });
            let recorded = record(&store, &task, outcome).await;
            if let Err(e) = &recorded {
                tracing::error!(error = %e, task = task.id, "a task's end could not be recorded; it will run again");
            }
            let _ = done.send(Ended { task, is_lost: recorded.is_err() });
        });
    }

    async fn ended(&mut self, ended: Ended) {
        let Ended { task, is_lost } = ended;
        self.running.remove(&task.id);
        for next in self.again.remove(&task.id).unwrap_or_default() {
            self.hold(next, false);
        }
        if let Some(kind) = self.kinds.get_mut(&task.kind) {
            kind.free += 1;
            kind.tell();
        }
        self.take_waiting(&task.kind).await;
        if is_lost {
            self.hold_until(self.now_ms() + 1000, task, false);
        }
    }

    /// Begins what waits for a place of its kind, while there is one: a task that is no longer on the queue takes none.
    async fn take_waiting(&mut self, kind: &str) {
        while let Some(task) =
            self.kinds.get_mut(kind).filter(|kind| kind.free > 0).and_then(|kind| kind.waiting.pop_front())
        {
            self.waiting -= 1;
            if let Some(kind) = self.kinds.get(kind) {
                kind.tell();
            }
            self.begin(Held { task, is_fresh: false }).await;
        }
    }
}

/// Writes how a run ended, unless its runner has done so.
async fn record(store: &Store, task: &Task, done: Done) -> Result<(), Error> {
    let again = match done {
        Done::Committed => return Ok(()),
        Done::Finished => None,
        Done::RetryAfter(pause) => Some(store.clock().now() + pause),
    };
    let task = task.clone();
    store
        .write(move |tx| {
            if !find(tx, &task.id)?.is_some_and(|stored| same(&stored, &task)) {
                return Ok(());
            }
            remove(tx, &task.id)?;
            let Some(at) = again else { return Ok(()) };
            let row = if at <= tx.now { Row::Now } else { Row::Later };
            store_again(tx, &task, at, row)
        })
        .await
}

fn store_again(tx: &mut Tx<'_>, task: &Task, at: jiff::Timestamp, row: Row) -> Result<(), Error> {
    store(tx, Task { attempt: task.attempt + 1, at_ms: at.as_millisecond(), row, ..task.clone() })
}

fn window_ms() -> i64 {
    i64::try_from(WINDOW.as_millis()).unwrap_or(60_000)
}

fn same(a: &Task, b: &Task) -> bool {
    (a.created_ms, a.at_ms, a.attempt) == (b.created_ms, b.at_ms, b.attempt)
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// Runs one task at a time, when it is let; keeps what each was to be done with.
    #[derive(Default)]
    struct OneByOne {
        let_go: Option<Arc<Semaphore>>,
        done: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Runner for OneByOne {
        async fn run(&self, task: Task) -> Done {
            if let Some(let_go) = &self.let_go {
                let_go.acquire().await.unwrap().forget();
            }
            self.done.lock().unwrap().push(task.payload().unwrap());
            Done::Finished
        }
    }

    #[tokio::test]
    async fn what_waits_is_kept_on_disk_and_is_whole_when_it_begins() {
        let queue = Queue::new(Store::memory());
        let let_go = Arc::new(Semaphore::new(0));
        let runner = Arc::new(OneByOne { let_go: Some(Arc::clone(&let_go)), ..OneByOne::default() });
        queue.register("k", 1, runner.clone());
        let left = NewTask::new("k", "a").payload(&"a").unwrap();
        queue.store().write(move |tx| tx.enqueue(left.clone())).await.unwrap();
        let dispatcher = queue.start();
        let mut payloads = Vec::new();
        for id in ["b", "c"] {
            let task = NewTask::new("k", id).payload(&id).unwrap();
            payloads.push(Arc::downgrade(&task.payload));
            queue.store().write(move |tx| tx.enqueue(task.clone())).await.unwrap();
        }
        while queue.load()[0].waiting < 2 {
            tokio::task::yield_now().await;
        }
        assert!(payloads.iter().all(|payload| payload.upgrade().is_none()));
        let_go.add_permits(3);
        while runner.done.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
        let mut done = runner.done.lock().unwrap().clone();
        done.sort();
        assert_eq!(done, ["a", "b", "c"]);
        dispatcher.abort();
    }

    #[tokio::test]
    async fn all_that_was_left_is_found_page_by_page() {
        let queue = Queue::new(Store::memory());
        let runner = Arc::new(OneByOne::default());
        queue.register("k", 8, runner.clone());
        let all = 2 * PAGE + 3;
        queue
            .store()
            .write(move |tx| {
                for number in 0..all {
                    tx.enqueue(NewTask::new("k", format!("t{number:04}")).payload(&number.to_string())?)?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let _ = std::mem::take(&mut *queue.store().inbox.tasks.lock().unwrap());
        let dispatcher = queue.start();
        while runner.done.lock().unwrap().len() < all {
            tokio::task::yield_now().await;
        }
        assert_eq!(runner.done.lock().unwrap().iter().collect::<BTreeSet<_>>().len(), all);
        dispatcher.abort();
    }
}
