//! The key-value port: transactions over ordered bytes, and [`Store`], which everyone uses. Closures are synchronous,
//! re-runnable and touch only `tx`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, oneshot};

use crate::cache::Watch;
use crate::clock::{Clock, SystemClock};
use crate::cut::Cut;
use crate::journal::Journal;
use crate::key::{Key, prefix_end};
use crate::queue::{self, NewTask, Task};
use crate::{Error, memory, metrics, sqlite};

/// Key and value of one record.
pub type Pair = (Vec<u8>, Vec<u8>);

/// What a backend offers inside a transaction.
pub trait RawTx {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// Is there such a record?
    fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.get(key)?.is_some())
    }
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error>;
    fn delete(&mut self, key: &[u8]) -> Result<(), Error>;
    /// Records with `from <= key < to` (no `to`: no end), in key order or against it, at most `limit`.
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error>;
}

/// A write on its way to the writer: run inside a savepoint, told of the commit.
pub trait Job: Send {
    /// False: undo what it did.
    fn run(&mut self, tx: &mut dyn RawTx) -> bool;
    fn done(self: Box<Self>, committed: Result<(), Error>);
}

/// What a backend offers. Four exist: SQLite and PostgreSQL for servers, memory for tests, and the one of `sim/`, which fails.
pub trait Backend: Send + Sync {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error>;
    /// Takes the job; it is acknowledged by `done` after its commit is on disk.
    fn write(&self, job: Box<dyn Job>);
    /// What it counts of its commits, where it does.
    fn commits(&self) -> Option<&metrics::Commits> {
        None
    }
    /// Gives back memory that is kept for quick answers: nothing is asked at the moment.
    fn rest(&self) {}
    /// Begins a copy of all that is committed; while `then` runs nothing more is.
    fn cut(&self, _to: &Path, _then: &mut dyn FnMut() -> Result<(), Error>) -> Result<Cut, Error> {
        Err(Error::Unusable("this store has no file to be copied".to_owned()))
    }
}

/// A transaction. Reads see the transaction's own writes.
pub struct Tx<'a> {
    raw: &'a mut dyn RawTx,
    pub(crate) now: jiff::Timestamp,
    /// Tasks that this transaction puts on the queue; handed to the dispatcher after the commit.
    pub(crate) enqueued: Vec<Task>,
    pub(crate) cancelled: Vec<String>,
    watches: &'a [Watch],
    /// The watches that this transaction's writes concern, by their place.
    touched: Vec<usize>,
    pub(crate) journal: Option<Journal>,
}

impl<'a> Tx<'a> {
    /// When the transaction began, on the store's clock.
    pub fn now(&self) -> jiff::Timestamp {
        self.now
    }

    fn new(raw: &'a mut dyn RawTx, now: jiff::Timestamp, watches: &'a [Watch]) -> Self {
        Self { raw, now, enqueued: Vec::new(), cancelled: Vec::new(), watches, touched: Vec::new(), journal: None }
    }

    fn touch(&mut self, key: &[u8]) {
        for (at, watch) in self.watches.iter().enumerate() {
            if watch.concerns(key) && !self.touched.contains(&at) {
                self.touched.push(at);
            }
        }
    }
}

impl Tx<'_> {
    pub fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
        self.raw.get(key.as_ref())
    }
    /// Is there such a record?
    pub fn has(&mut self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.raw.has(key.as_ref())
    }
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: &[u8]) -> Result<(), Error> {
        self.note(key.as_ref(), Some(value))?;
        self.touch(key.as_ref());
        self.raw.put(key.as_ref(), value)
    }
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<(), Error> {
        self.note(key.as_ref(), None)?;
        self.touch(key.as_ref());
        self.raw.delete(key.as_ref())
    }
    /// A row of the store's own, which nobody watches.
    pub(crate) fn put_raw(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.raw.put(key, value)
    }

    /// All records whose key begins with `prefix`, in order, at most `limit`.
    pub fn scan_prefix(&mut self, prefix: impl AsRef<[u8]>, limit: usize) -> Result<Vec<Pair>, Error> {
        let to = prefix_end(prefix.as_ref());
        self.raw.scan(prefix.as_ref(), to.as_deref(), limit, false)
    }
    /// As `scan_prefix`, beginning after the key `after` (which need not exist).
    pub fn scan_after(&mut self, prefix: impl AsRef<[u8]>, after: &[u8], limit: usize) -> Result<Vec<Pair>, Error> {
        let to = prefix_end(prefix.as_ref());
        let mut from = after.to_vec();
        from.push(0);
        let from = from.max(prefix.as_ref().to_vec());
        self.raw.scan(&from, to.as_deref(), limit, false)
    }
    /// Records with `from <= key < to`.
    pub fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        self.raw.scan(from, to, limit, reverse)
    }

    /// A record in JSON.
    ///
    /// # Errors
    /// `Corrupt` when it does not decode.
    pub fn get_json<T: DeserializeOwned>(&mut self, key: impl AsRef<[u8]>) -> Result<Option<T>, Error> {
        let key = key.as_ref();
        self.get(key)?.map(|bytes| decode(key, &bytes)).transpose()
    }
    pub fn put_json<T: Serialize + ?Sized>(&mut self, key: impl AsRef<[u8]>, value: &T) -> Result<(), Error> {
        let key = key.as_ref();
        let bytes = serde_json::to_vec(value).map_err(|e| Error::Corrupt { key: show(key), cause: e.to_string() })?;
        self.put(key, &bytes)
    }
    /// All JSON records under a prefix, at most `limit`.
    pub fn list_json<T: DeserializeOwned>(&mut self, prefix: impl AsRef<[u8]>, limit: usize) -> Result<Vec<T>, Error> {
        self.scan_prefix(prefix, limit)?.iter().map(|(k, v)| decode(k, v)).collect()
    }

    /// A number that grows by one at each call, from 1, per key.
    pub fn next_number(&mut self, key: impl AsRef<[u8]>) -> Result<u64, Error> {
        let key = key.as_ref();
        let last = self.get(key)?.and_then(|v| v.try_into().ok()).map_or(0, u64::from_be_bytes);
        self.put(key, &(last + 1).to_be_bytes())?;
        Ok(last + 1)
    }

    /// Puts a task on the durable queue of this store. A task with the same id that is still waiting is replaced.
    pub fn enqueue(&mut self, task: NewTask) -> Result<(), Error> {
        queue::insert(self, task)
    }
    /// Takes a task off the queue, waiting or running: a running one is told to stop after the commit.
    pub fn cancel_task(&mut self, id: &str) -> Result<(), Error> {
        queue::remove(self, id)?;
        self.cancelled.push(id.to_owned());
        Ok(())
    }
    /// Removes a running task as done, in the same transaction as what it achieved. Its runner returns `Done::Committed`.
    pub fn finish_task(&mut self, id: &str) -> Result<(), Error> {
        queue::remove(self, id)
    }
    /// Is this task still on the queue?
    pub fn has_task(&mut self, id: &str) -> Result<bool, Error> {
        queue::has(self, id)
    }
    /// The task of that id, as long as it is on the queue.
    pub fn task(&mut self, id: &str) -> Result<Option<Task>, Error> {
        queue::find(self, id)
    }
    /// Makes a task due now; nothing where it is no longer on the queue.
    pub fn hasten_task(&mut self, id: &str) -> Result<(), Error> {
        queue::hasten(self, id)
    }
}

/// Decodes a JSON record.
///
/// # Errors
/// `Corrupt`, with the key.
pub fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Corrupt { key: show(key), cause: e.to_string() })
}

fn show(key: &[u8]) -> String {
    Key::parts(key).iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect::<Vec<_>>().join("/")
}

/// A store: one file of records with its own queue. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    pub(crate) inbox: Arc<Inbox>,
    watches: Arc<RwLock<Arc<Vec<Watch>>>>,
    resting: Arc<Mutex<Vec<Rest>>>,
}

/// Gives back memory that somebody keeps over a store.
type Rest = Box<dyn Fn() + Send + Sync>;

/// Where committed transactions leave tasks for the dispatcher.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) tasks: Mutex<(Vec<Task>, Vec<String>)>,
    /// A commit failed, and may have taken place all the same: what is on disk has to be looked at again.
    pub(crate) in_doubt: AtomicBool,
    pub(crate) notify: Notify,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens or makes the SQLite file. One process at a time: see [`crate::DataDir`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self::over(Arc::new(sqlite::Sqlite::open(path)?), Arc::new(SystemClock)))
    }
    /// In memory, for tests.
    pub fn memory() -> Self {
        Self::over(Arc::new(memory::Memory::default()), Arc::new(SystemClock))
    }
    /// Over any backend, with any time.
    pub fn over(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>) -> Self {
        Self { backend, clock, inbox: Arc::default(), watches: Arc::default(), resting: Arc::default() }
    }

    pub(crate) fn cut(&self, to: &Path, then: &mut dyn FnMut() -> Result<(), Error>) -> Result<Cut, Error> {
        self.backend.cut(to, then)
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What it counts of its commits; a store in memory does not.
    pub fn commits(&self) -> Option<&metrics::Commits> {
        self.backend.commits()
    }

    /// Gives back memory that is kept for quick answers, when nothing is asked for a while.
    pub fn rest(&self) {
        self.backend.rest();
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|rest| rest());
    }

    /// What else is to be done then.
    pub fn when_resting(&self, rest: impl Fn() + Send + Sync + 'static) {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(rest));
    }

    pub(crate) fn watch(&self, watch: Watch) {
        let mut watches = self.watches.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut watches).push(watch);
    }

    /// Runs a read on a consistent snapshot. Reads are short: they run on the caller's thread.
    #[expect(clippy::unused_async, reason = "other backends wait here")]
    pub async fn read<T, E>(&self, mut f: impl FnMut(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<Error>,
    {
        let mut out = None;
        let now = self.clock.now();
        self.backend.read(&mut |raw| out = Some(f(&mut Tx::new(raw, now, &[]))))?;
        out.unwrap_or_else(|| Err(Error::Closed.into()))
    }

    /// Runs a write transaction; answers after it is on disk. An `Err` of the closure undoes all that it did.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (clock, inbox) = (self.clock.clone(), self.inbox.clone());
        let watches = Arc::clone(&self.watches.read().unwrap_or_else(PoisonError::into_inner));
        let (tasks, cancelled, touched) = Default::default();
        let job = WriteJob { f, out: None, tasks, cancelled, touched, reply, clock, inbox, watches };
        self.backend.write(Box::new(job));
        answer.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    /// As [`Store::write`], once per `memo`: a second call with the same memo does not run the closure again but returns
    /// what the first returned. The result is stored in the same transaction. Errors are not remembered.
    pub async fn write_once<T, E, F>(&self, memo: Key, mut f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write(move |tx| {
            if let Some(Memo { result, .. }) = tx.get_json::<Memo<T>>(&memo)? {
                return Ok(result);
            }
            let result = f(tx)?;
            tx.put_json(&memo, &MemoRef { at_ms: tx.now.as_millisecond(), result: &result })?;
            Ok(result)
        })
        .await
    }
}

/// Where memos live.
pub fn memo_prefix() -> Key {
    Key::new("\u{1}memo")
}

#[derive(serde::Deserialize)]
struct Memo<T> {
    result: T,
}

#[derive(Serialize)]
struct MemoRef<'a, T> {
    at_ms: i64,
    result: &'a T,
}

struct WriteJob<T, E, F> {
    f: F,
    out: Option<Result<T, E>>,
    tasks: Vec<Task>,
    cancelled: Vec<String>,
    touched: Vec<usize>,
    reply: oneshot::Sender<Result<T, E>>,
    clock: Arc<dyn Clock>,
    inbox: Arc<Inbox>,
    watches: Arc<Vec<Watch>>,
}

impl<T, E, F> Job for WriteJob<T, E, F>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, raw: &mut dyn RawTx) -> bool {
        let mut tx = Tx::new(raw, self.clock.now(), &self.watches);
        let out = (self.f)(&mut tx);
        (self.tasks, self.cancelled, self.touched) = (tx.enqueued, tx.cancelled, tx.touched);
        let keep = out.is_ok();
        self.out = Some(out);
        keep
    }

    fn done(self: Box<Self>, committed: Result<(), Error>) {
        let in_doubt = committed.is_err();
        if in_doubt {
            self.inbox.in_doubt.store(true, Ordering::Release);
            self.inbox.notify.notify_one();
        }
        let result = match (committed, self.out) {
            (Ok(()), Some(out)) => out,
            (Err(e), _) => Err(e.into()),
            (Ok(()), None) => Err(Error::Closed.into()),
        };
        if result.is_ok() || in_doubt {
            self.touched.iter().filter_map(|at| self.watches.get(*at)).for_each(Watch::written);
        }
        if result.is_ok() && !(self.tasks.is_empty() && self.cancelled.is_empty()) {
            if let Ok(mut inbox) = self.inbox.tasks.lock() {
                inbox.0.extend(self.tasks);
                inbox.1.extend(self.cancelled);
            }
            self.inbox.notify.notify_one();
        }
        let _ = self.reply.send(result);
    }
}
