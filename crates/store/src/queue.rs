//! The durable task queue: everything that outlives a request and is not an execution. A task is a row written in the
//! transaction that asks for the work; a runner does the work and removes the row in the transaction that records the
//! result. After a crash every row that is left runs again.
//!
//! Rows: `task/<id>` holds the task, `due/<time>/<id>` orders them. The dispatcher keeps in memory what is due within a
//! window, sleeps until the next one is, and costs nothing while there is none. Timers are tasks in the future.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::Error;
use crate::key::Key;
use crate::kv::{Store, Tx};

/// Tasks due later than this are left on disk.
const WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
/// Tasks read from disk at once.
const LOAD: usize = 10_000;

/// A task as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Unique in its store.
    pub id: String,
    /// Which runner: `service:what`.
    pub kind: String,
    pub payload: serde_json::Value,
    /// 1 at first; one more per `Done::Retry`. A crash does not count.
    pub attempt: u32,
    pub at_ms: i64,
    pub created_ms: i64,
    /// Told when the task was cancelled; not stored.
    #[serde(skip, default = "never")]
    stop: watch::Receiver<bool>,
}

fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

impl Task {
    /// The payload as the type that was enqueued.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.payload)
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
}

/// A task to be put on the queue.
#[derive(Clone, Debug)]
pub struct NewTask {
    id: String,
    kind: String,
    payload: serde_json::Value,
    at: Option<jiff::Timestamp>,
}

impl NewTask {
    /// `id` is unique in the store: enqueueing it again replaces a waiting task.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { id: id.into(), kind: kind.into(), payload: serde_json::Value::Null, at: None }
    }
    /// # Errors
    /// `Corrupt` when the payload has no JSON form.
    pub fn payload(mut self, payload: &impl Serialize) -> Result<Self, Error> {
        self.payload = serde_json::to_value(payload)
            .map_err(|e| Error::Corrupt { key: format!("task {}", self.id), cause: e.to_string() })?;
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
    /// Run it again then, with `attempt + 1`.
    Retry(jiff::Timestamp),
}

/// Does the work of one kind of task. It must stand being run again from the start at any point.
#[async_trait]
pub trait Runner: Send + Sync {
    async fn run(&self, task: Task) -> Done;
}

pub(crate) fn task_key(id: &str) -> Key {
    Key::new("\u{1}task").push(id)
}

fn due_prefix() -> Key {
    Key::new("\u{1}due")
}

fn due_key(at_ms: i64, id: &str) -> Key {
    due_prefix().push_i64(at_ms).push(id)
}

pub(crate) fn insert(tx: &mut Tx<'_>, new: NewTask) -> Result<(), Error> {
    remove(tx, &new.id)?;
    let now = tx.now;
    let task = Task {
        at_ms: new.at.unwrap_or(now).as_millisecond(),
        created_ms: now.as_millisecond(),
        id: new.id,
        kind: new.kind,
        payload: new.payload,
        attempt: 1,
        stop: never(),
    };
    store(tx, task)
}

fn store(tx: &mut Tx<'_>, task: Task) -> Result<(), Error> {
    tx.put_json(task_key(&task.id), &task)?;
    tx.put(due_key(task.at_ms, &task.id), &[])?;
    tx.enqueued.push(task);
    Ok(())
}

pub(crate) fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    if let Some(old) = tx.get_json::<Task>(task_key(id))? {
        tx.delete(due_key(old.at_ms, id))?;
        tx.delete(task_key(id))?;
    }
    Ok(())
}

/// The queue of one store: its runners and its dispatcher.
#[derive(Clone)]
pub struct Queue {
    store: Store,
    kinds: Arc<Mutex<BTreeMap<String, Registered>>>,
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
        Self { store, kinds: Arc::default() }
    }
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Names the runner of a kind; at most `concurrency` of its tasks run at once. To be called before [`Queue::start`].
    pub fn register(&self, kind: impl Into<String>, concurrency: usize, runner: Arc<dyn Runner>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(kind.into(), (concurrency.max(1), runner));
    }

    /// Starts the dispatcher on the current runtime; it ends when the returned handle is aborted or the runtime ends.
    pub fn start(&self) -> tokio::task::JoinHandle<()> {
        let registered = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kinds = registered
            .into_iter()
            .map(|(name, (limit, runner))| (name, Kind { runner, free: limit, waiting: VecDeque::new() }));
        let (done, finished) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher {
            store: self.store.clone(),
            kinds: kinds.collect(),
            due: BTreeMap::new(),
            running: BTreeMap::new(),
            again: BTreeMap::new(),
            window_end: i64::MIN,
            more_on_disk: true,
            done,
        };
        tokio::spawn(dispatcher.run(finished))
    }
}

struct Kind {
    runner: Arc<dyn Runner>,
    free: usize,
    waiting: VecDeque<Task>,
}

struct Dispatcher {
    store: Store,
    kinds: BTreeMap<String, Kind>,
    /// What is due before `window_end`, in memory.
    due: BTreeMap<(i64, String), Task>,
    running: BTreeMap<String, watch::Sender<bool>>,
    /// Enqueued again under the id of a running task: starts when that one ends.
    again: BTreeMap<String, Task>,
    /// Everything due before this is in `due`, waiting or running.
    window_end: i64,
    more_on_disk: bool,
    done: mpsc::UnboundedSender<(Task, Done)>,
}

impl Dispatcher {
    async fn run(mut self, mut finished: mpsc::UnboundedReceiver<(Task, Done)>) {
        loop {
            self.take_inbox();
            if let Err(e) = self.load().await {
                tracing::error!(error = %e, "the queue cannot be read; trying again in a second");
                self.store.clock().sleep(Duration::from_secs(1)).await;
                continue;
            }
            self.dispatch().await;
            let inbox = self.store.inbox.clone();
            // In order, for a run to be replayed; none can starve another, since every turn looks at all three.
            tokio::select! {
                biased;
                Some((task, done)) = finished.recv() => self.ended(task, done).await,
                () = inbox.notify.notified() => {}
                () = self.sleep() => {}
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.store.clock().now_ms()
    }

    async fn sleep(&self) {
        let now = self.now_ms();
        let next = self.due.keys().next().map(|(at, _)| *at);
        let window = self.more_on_disk.then_some(self.window_end);
        match next.into_iter().chain(window).min() {
            Some(at) => self.store.clock().sleep(Duration::from_millis(u64::try_from(at - now).unwrap_or(0))).await,
            None => std::future::pending().await,
        }
    }

    fn take_inbox(&mut self) {
        let (tasks, cancelled) = {
            let mut inbox = self.store.inbox.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *inbox)
        };
        for task in tasks {
            if task.at_ms < self.window_end {
                self.due.insert((task.at_ms, task.id.clone()), task);
            } else {
                self.more_on_disk = true;
            }
        }
        for id in cancelled {
            if let Some(stop) = self.running.get(&id) {
                let _ = stop.send(true);
            }
        }
    }

    /// Moves the window on when its end is reached, reading what is due in the next one.
    async fn load(&mut self) -> Result<(), Error> {
        let now = self.now_ms();
        while self.more_on_disk && self.window_end <= now {
            let from = due_prefix().push_i64(self.window_end);
            let prefix = due_prefix();
            let mut end = now + i64::try_from(WINDOW.as_millis()).unwrap_or(60_000);
            let to = due_prefix().push_i64(end);
            // The key of a time ends where the next part begins, so `from` itself stands before all tasks of that time.
            let (found, later) = self
                .store
                .read(|tx| {
                    let mut found = Vec::new();
                    for (key, _) in tx.scan(from.as_bytes(), Some(to.as_bytes()), LOAD, false)? {
                        let Some(id) = Key::parts(&key).pop().and_then(|p| String::from_utf8(p).ok()) else { continue };
                        if let Some(task) = tx.get_json::<Task>(task_key(&id))? {
                            found.push(task);
                        }
                    }
                    let last = crate::key::prefix_end(prefix.as_bytes());
                    let later = !tx.scan(to.as_bytes(), last.as_deref(), 1, false)?.is_empty();
                    Ok::<_, Error>((found, later))
                })
                .await?;
            if found.len() == LOAD {
                end = found.last().map_or(end, |t| t.at_ms);
            }
            // More than LOAD tasks of one millisecond: take the window past it all the same; the rest is found on restart.
            end = end.max(self.window_end.saturating_add(1));
            let full = found.len() == LOAD;
            for task in found {
                if !self.running.contains_key(&task.id) {
                    self.due.insert((task.at_ms, task.id.clone()), task);
                }
            }
            self.window_end = end;
            self.more_on_disk = later || full;
        }
        if !self.more_on_disk {
            // Nothing is left on disk beyond memory: new tasks may go to memory up to a window from now.
            self.window_end = self.window_end.max(now + i64::try_from(WINDOW.as_millis()).unwrap_or(60_000));
        }
        Ok(())
    }

    async fn dispatch(&mut self) {
        let now = self.now_ms();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let task = entry.remove();
            if self.running.contains_key(&task.id) {
                self.again.insert(task.id.clone(), task);
            } else {
                self.begin(task).await;
            }
        }
    }

    async fn begin(&mut self, task: Task) {
        match self.stored(&task).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(e) => {
                tracing::error!(error = %e, task = task.id, "the queue cannot be read");
                self.due.insert((self.now_ms() + 1000, task.id.clone()), task);
                return;
            }
        }
        let Some(kind) = self.kinds.get_mut(&task.kind) else {
            tracing::error!(kind = task.kind, task = task.id, "no runner for this kind of task; it stays on the queue");
            return;
        };
        if kind.free == 0 {
            kind.waiting.push_back(task);
            return;
        }
        kind.free -= 1;
        self.spawn(task);
    }

    /// Is this very task (not a later one of the same id) still on the queue?
    async fn stored(&self, task: &Task) -> Result<bool, Error> {
        self.store.read(|tx| Ok(tx.get_json::<Task>(task_key(&task.id))?.is_some_and(|t| same(&t, task)))).await
    }

    fn spawn(&mut self, mut task: Task) {
        let Some(kind) = self.kinds.get(&task.kind) else { return };
        let runner = kind.runner.clone();
        let (stop, told) = watch::channel(false);
        task.stop = told;
        self.running.insert(task.id.clone(), stop);
        let (done, clock) = (self.done.clone(), self.store.clock().clone());
        tokio::spawn(async move {
            let run = tokio::spawn({
                let task = task.clone();
                async move { runner.run(task).await }
            });
            let outcome = run.await.unwrap_or_else(|e| {
                tracing::error!(task = task.id, kind = task.kind, error = %e, "a runner panicked; the task runs again");
                Done::Retry(clock.now() + jiff::SignedDuration::from_secs(5))
            });
            let _ = done.send((task, outcome));
        });
    }

    async fn ended(&mut self, task: Task, done: Done) {
        self.running.remove(&task.id);
        let record = match done {
            Done::Committed => Ok(()),
            Done::Finished => {
                let task = task.clone();
                self.store
                    .write(move |tx| match tx.get_json::<Task>(task_key(&task.id))? {
                        Some(stored) if same(&stored, &task) => remove(tx, &task.id),
                        _ => Ok(()),
                    })
                    .await
            }
            Done::Retry(at) => {
                let task = task.clone();
                self.store
                    .write(move |tx| match tx.get_json::<Task>(task_key(&task.id))? {
                        Some(stored) if same(&stored, &task) => {
                            remove(tx, &task.id)?;
                            store(tx, Task { attempt: task.attempt + 1, at_ms: at.as_millisecond(), ..task.clone() })
                        }
                        _ => Ok(()),
                    })
                    .await
            }
        };
        if let Err(e) = record {
            tracing::error!(error = %e, task = task.id, "a task's end could not be recorded; it will run again");
            self.due.insert((self.now_ms() + 1000, task.id.clone()), task.clone());
        }
        if let Some(next) = self.again.remove(&task.id) {
            self.due.insert((next.at_ms, next.id.clone()), next);
        }
        let waiting = self.kinds.get_mut(&task.kind).and_then(|kind| {
            kind.free += 1;
            kind.waiting.pop_front()
        });
        if let Some(next) = waiting {
            self.begin(next).await;
        }
    }
}

fn same(a: &Task, b: &Task) -> bool {
    (a.created_ms, a.at_ms, a.attempt) == (b.created_ms, b.at_ms, b.attempt)
}
