//! What the backends have in common that keep commits in a log first: a writer's thread gathers waiting requests into one commit, which
//! is a record of the log; what is committed stands in memory over the records ([`Layers`]) until it is brought among them, many at a
//! time and in the order of keys, by another thread.
//!
//! Not here: where the log and the records are (`sqlite.rs`: files; `postgres/`: tables).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::kv::{Job, Pair, RawTx};
use crate::log::Writes;
use crate::overlay::{Layers, Over, Overlay, Records, View};
use crate::{Error, metrics};

/// Requests gathered into one commit, at most.
const MAX_BATCH: usize = 512;
/// And their bytes: none is added to so many.
const MAX_BATCH_BYTES: usize = 32 << 20;
/// So much in memory, or in the log, is brought among the records.
const MAX_ACTIVE_BYTES: usize = 8 << 20;
const MAX_LOG_BYTES: u64 = 16 << 20;
/// And all that is older than this.
const MAX_AGE: Duration = Duration::from_secs(1);
/// While the records do not keep up, commits wait at this much.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// What an entry in memory costs beside its bytes, about.
const ENTRY_BYTES: usize = 64;
/// A request comes alone when the last commit ended so long ago.
const APART: Duration = Duration::from_millis(1);
/// Between two attempts to bring writes among the records.
const AGAIN: Duration = Duration::from_secs(1);

/// Where commits are written before anybody is told.
pub(crate) trait Commits: Send + 'static {
    /// Durable when it returns.
    fn append(&mut self, writes: &Writes) -> Result<(), Error>;
    /// The number of the last record.
    fn last(&self) -> u64;
    /// How many bytes were appended since the last turn.
    fn bytes(&self) -> u64;
    /// All that was appended so far is being brought among the records.
    fn turn(&mut self);
}

/// Where the records are.
pub(crate) trait Home: Send + 'static {
    /// Brings writes among the records, which then hold everything up to record `last` of the log. `Closed`: never again.
    fn bring(&mut self, writes: &Writes, last: u64) -> Result<(), Error>;
    /// The same writes are no longer in memory once this has been called; nobody reads meanwhile.
    fn brought(&mut self, _writes: &Writes) {}
    /// Gives back memory that is kept for quick answers.
    fn rest(&mut self);
}

/// The records as a writer or a reader looks at them.
pub(crate) trait Looked: Records + Send + 'static {
    /// What was looked at is done with.
    fn end(&mut self) -> Result<(), Error>;
}

/// What the writer's thread is asked for.
pub(crate) enum Ask {
    Commit(Box<dyn Job>),
    /// There is something to be brought among the records, when it is time.
    Look,
    /// Nothing is asked for a while.
    Rest,
}

/// What the mover is asked for.
pub(crate) enum Move {
    /// With the bytes that they took in memory, as they were counted.
    Bring(Arc<Writes>, u64, usize),
    Rest,
}

static AT_REST: OnceLock<fn()> = OnceLock::new();

/// What a store's threads do when nothing is asked for a while: the allocator may keep for each thread what it has freed.
/// Only the first one said counts.
pub fn at_rest(f: fn()) {
    let _ = AT_REST.set(f);
}

fn rest_thread() {
    if let Some(rest) = AT_REST.get() {
        rest();
    }
}

pub(crate) fn read(layers: &RwLock<Layers>) -> RwLockReadGuard<'_, Layers> {
    layers.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write(layers: &RwLock<Layers>) -> RwLockWriteGuard<'_, Layers> {
    layers.write().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn lock<C, B>(writer: &Mutex<Writer<C, B>>) -> MutexGuard<'_, Writer<C, B>> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells those who asked.
pub(crate) fn finish(batch: Vec<Box<dyn Job>>, committed: &Result<(), Error>) {
    if let Err(error) = committed {
        tracing::error!(%error, requests = batch.len(), "commit failed");
    }
    for job in batch {
        job.done(committed.clone());
    }
}

/// The threads of a store at work: how they are asked.
pub(crate) struct Threads<C, B> {
    pub(crate) asked: Sender<Ask>,
    pub(crate) writer: Arc<Mutex<Writer<C, B>>>,
    /// Requests on their way to the writer's thread, those of its commit under way included.
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) counted: Arc<metrics::Commits>,
    pub(crate) layers: Arc<RwLock<Layers>>,
    pub(crate) mover: Sender<Move>,
}

impl<C: Commits, B: Looked> Threads<C, B> {
    /// Starts the threads of a store of this name.
    pub(crate) fn start(name: &str, log: C, base: B, home: impl Home) -> Result<Self, Error> {
        let layers: Arc<RwLock<Layers>> = Arc::default();
        let counted: Arc<metrics::Commits> = Arc::default();
        let (asked, inbox) = std::sync::mpsc::channel();
        let (leave, leaving) = std::sync::mpsc::channel();
        let (left, told) = std::sync::mpsc::channel();
        let (of_mover, unmoved) = (Arc::clone(&layers), Arc::clone(&counted));
        std::thread::Builder::new()
            .name(format!("store-{name}-file"))
            .spawn(move || bring(home, &of_mover, (&leaving, &left), &unmoved))?;
        let writer = Writer {
            base,
            layers: Arc::clone(&layers),
            log,
            bytes: 0,
            oldest: None,
            ended: None,
            takes: Duration::ZERO,
            is_moving: false,
            leave: leave.clone(),
            told,
            counted: Arc::clone(&counted),
        };
        let (writer, waiting) = (Arc::new(Mutex::new(writer)), Arc::clone(&counted.waiting));
        let (of_thread, of_requests) = (Arc::clone(&writer), Arc::clone(&waiting));
        std::thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(move || run(&of_thread, &of_requests, &inbox))?;
        Ok(Self { asked, writer, waiting, counted, layers, mover: leave })
    }

    /// Leaves a request to the writer's thread.
    pub(crate) fn ask(&self, job: Box<dyn Job>) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(unsent) = self.asked.send(Ask::Commit(job))
            && let Ask::Commit(job) = unsent.0
        {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            job.done(Err(Error::Closed));
        }
    }

    /// Runs a read over what is committed.
    pub(crate) fn look(&self, base: &mut B, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        {
            // As long as this is held nothing is committed in memory, and what moves among the records meanwhile is still here as well.
            let layers = read(&self.layers);
            f(&mut ReadTx(View { layers: &layers, base: &mut *base }));
        }
        base.end()
    }
}

/// What commits: under a lock that the writer's thread holds while it works.
pub(crate) struct Writer<C, B> {
    pub(crate) base: B,
    layers: Arc<RwLock<Layers>>,
    pub(crate) log: C,
    /// In memory since the last move, and since when.
    bytes: usize,
    pub(crate) oldest: Option<Instant>,
    /// When the last commit ended, and how long commits take of late.
    ended: Option<Instant>,
    takes: Duration,
    is_moving: bool,
    leave: Sender<Move>,
    told: Receiver<()>,
    counted: Arc<metrics::Commits>,
}

/// The thread that commits what does not come alone.
fn run<C: Commits, B: Looked>(writer: &Mutex<Writer<C, B>>, waiting: &AtomicUsize, inbox: &Receiver<Ask>) {
    loop {
        let oldest = lock(writer).oldest;
        let first = match oldest {
            Some(oldest) => inbox.recv_timeout(MAX_AGE.saturating_sub(oldest.elapsed())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match first {
            Ok(Ask::Commit(first)) => {
                let mut batch = Vec::new();
                let mut taken = 1;
                let committed = lock(writer).commit(first, Some((inbox, &mut taken)), &mut batch);
                waiting.fetch_sub(taken, Ordering::AcqRel);
                finish(batch, &committed);
            }
            Ok(Ask::Rest) => rest_thread(),
            Ok(Ask::Look) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return lock(writer).move_all(),
        }
        lock(writer).move_some();
    }
}

impl<C: Commits, B: Looked> Writer<C, B> {
    /// Commits a request, and those that wait behind it; `behind` counts all that were taken.
    pub(crate) fn commit(
        &mut self,
        first: Box<dyn Job>,
        mut behind: Option<(&Receiver<Ask>, &mut usize)>,
        batch: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), Error> {
        let mut overlay = Overlay::default();
        batch.push(first);
        {
            let layers = read(&self.layers);
            loop {
                let job = batch.last_mut().expect("the request just pushed");
                let records = View { layers: &layers, base: &mut self.base };
                let mut tx = Over { overlay: &mut overlay, records };
                // A closure that panics must not take the writer with it: what it wrote is undone, its caller sees a closed reply.
                let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run(&mut tx)));
                match kept {
                    Ok(true) => overlay.keep(),
                    Ok(false) => overlay.take_back(),
                    Err(_) => {
                        overlay.take_back();
                        batch.pop();
                    }
                }
                if batch.len() >= MAX_BATCH || overlay.bytes >= MAX_BATCH_BYTES {
                    break;
                }
                let Some((inbox, taken)) = &mut behind else { break };
                match inbox.try_iter().find_map(|ask| if let Ask::Commit(job) = ask { Some(job) } else { None }) {
                    Some(next) => {
                        **taken += 1;
                        batch.push(next);
                    }
                    None => break,
                }
            }
        }
        self.base.end()?;
        let written = overlay.written;
        if written.is_empty() {
            return Ok(());
        }
        let (begun, last) = (Instant::now(), self.log.last());
        self.log.append(&written)?;
        debug_assert_eq!(self.log.last(), last + 1, "a commit is one record of the log");
        let ended = Instant::now();
        self.takes = (self.takes * 3 + (ended - begun)) / 4;
        self.ended = Some(ended);
        let bytes = written.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len) + ENTRY_BYTES).sum::<usize>();
        self.bytes += bytes;
        self.count(ended - begun, batch.len(), bytes);
        self.oldest.get_or_insert(ended);
        write(&self.layers).active.extend(written);
        Ok(())
    }

    fn count(&self, took: Duration, requests: usize, bytes: usize) {
        self.counted.took.took(took);
        self.counted.requests.observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
        self.counted.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.counted.unmoved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Nothing was committed a moment ago, commits take no longer than `quick`, and nothing has to wait for what is being moved.
    pub(crate) fn is_idle(&self, quick: Duration) -> bool {
        self.takes <= quick && !self.is_full() && self.ended.is_none_or(|ended| ended.elapsed() >= APART)
    }

    /// There is so much in memory or in the log that it is to be brought among the records.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= MAX_ACTIVE_BYTES || self.log.bytes() >= MAX_LOG_BYTES
    }

    /// Lets what is in memory go, if it is time.
    fn move_some(&mut self) {
        let is_due = self.is_full() || self.oldest.is_some_and(|oldest| oldest.elapsed() >= MAX_AGE);
        if !is_due {
            return;
        }
        if self.is_moving && self.bytes >= MAX_WAITING_BYTES {
            self.is_moving = self.told.recv().is_err();
        } else if self.is_moving && self.told.try_recv().is_ok() {
            self.is_moving = false;
        }
        if self.is_moving {
            // The age alone must not make the writer spin.
            self.oldest = Some(Instant::now());
            return;
        }
        self.move_now();
    }

    fn move_now(&mut self) {
        let leaving = {
            let mut layers = write(&self.layers);
            debug_assert!(layers.leaving.is_none(), "what is still on its way among the records would be forgotten");
            let leaving = Arc::new(std::mem::take(&mut layers.active));
            layers.leaving = Some(Arc::clone(&leaving));
            leaving
        };
        let bytes = std::mem::take(&mut self.bytes);
        (self.oldest, self.is_moving) = (None, true);
        let last = self.log.last();
        self.log.turn();
        // The mover lives as long as this end of the channel.
        let _ = self.leave.send(Move::Bring(leaving, last, bytes));
    }

    /// The store is closed: leave the log empty.
    fn move_all(&mut self) {
        if self.is_moving {
            let _ = self.told.recv();
            self.is_moving = false;
        }
        if self.bytes > 0 {
            self.move_now();
        }
    }
}

/// The thread that brings among the records what was committed.
fn bring(
    mut home: impl Home,
    layers: &RwLock<Layers>,
    (leaving, left): (&Receiver<Move>, &Sender<()>),
    counted: &metrics::Commits,
) {
    while let Ok(asked) = leaving.recv() {
        let Move::Bring(writes, last, bytes) = asked else {
            home.rest();
            rest_thread();
            continue;
        };
        while let Err(error) = home.bring(&writes, last) {
            if matches!(error, Error::Closed) {
                return;
            }
            tracing::error!(%error, "records cannot be brought from the log into the database; trying again in a second");
            std::thread::sleep(AGAIN);
        }
        {
            let mut layers = write(layers);
            home.brought(&writes);
            layers.leaving = None;
        }
        counted.unmoved.fetch_sub(bytes, Ordering::Relaxed);
        let _ = left.send(());
    }
}

struct ReadTx<'a, B>(View<'a, B>);

impl<B: Records> RawTx for ReadTx<'_, B> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }
    fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        self.0.has(key)
    }
    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<(), Error> {
        Err(Error::Storage("a read cannot write".to_owned()))
    }
    fn delete(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(Error::Storage("a read cannot write".to_owned()))
    }
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        self.0.scan(from, to, limit, reverse)
    }
}
