//! Records in one SQLite file, behind a log. A writer thread gathers waiting requests into one commit, which is a record of the log,
//! synced: what was acknowledged survives kill -9 and power loss. What is committed stands in memory over what is in SQLite, and is
//! brought there in key order, with one sync, when there is enough of it or it is old enough. So a record that changes with every
//! commit, or that comes and goes (a task), is written to SQLite seldom or never.
//!
//! A request that comes alone, with none before it for a while, is committed by the thread that brings it, as long as the disk is
//! quick: two threads that wake each other and move to cold caches cost more than the commit itself.
//!
//! SQLite: `WITHOUT ROWID`, WAL, `synchronous=FULL`. The number of the last record that it holds is in the table `applied`, written in
//! the same transaction; when a store is opened, later records are taken from the log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Error;
use crate::cut::Cut;
use crate::kv::{Backend, Job, Pair, RawTx};
use crate::log::{Log, Writes};
use crate::overlay::{Layers, Over, Overlay, Records, View};

/// Requests gathered into one commit, at most.
const MAX_BATCH: usize = 512;
const READERS: usize = 4;
/// So much in memory, or in a file of the log, is brought into SQLite.
const MAX_ACTIVE_BYTES: usize = 8 << 20;
const MAX_LOG_BYTES: u64 = 16 << 20;
/// And all that is older than this.
const MAX_AGE: Duration = Duration::from_secs(1);
/// While SQLite does not keep up, commits wait at this much.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// What an entry in memory costs beside its bytes, about.
const ENTRY_BYTES: usize = 64;
/// A request comes alone when the last commit ended so long ago.
const APART: Duration = Duration::from_millis(1);
/// Commits of a quick disk take no longer, on the average of the last few.
const QUICK: Duration = Duration::from_micros(700);

/// A thread commits by itself: one of the process at a time, so that no more than one stands still for a disk.
static COMMITS_ITSELF: AtomicBool = AtomicBool::new(false);

pub(crate) struct Sqlite {
    asked: Sender<Ask>,
    writer: Arc<Mutex<Writer>>,
    /// Requests on their way to the writer's thread, those of its commit under way included.
    waiting: Arc<AtomicUsize>,
    layers: Arc<RwLock<Layers>>,
    readers: Mutex<Vec<Connection>>,
    mover: Sender<Move>,
    path: Arc<Path>,
}

/// What the writer's thread is asked for.
enum Ask {
    Commit(Box<dyn Job>),
    /// There is something to be brought into SQLite, when it is time.
    Look,
}

/// What the mover is asked for.
enum Move {
    Bring(Arc<Writes>, u64),
    Rest,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut database = connect(path)?;
        database.execute_batch(
            "BEGIN;
             CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS applied (id INTEGER PRIMARY KEY CHECK (id = 0), record INTEGER NOT NULL);
             COMMIT;
             PRAGMA cache_size=-16384;",
        )?;
        let applied = database.query_row("SELECT record FROM applied", [], |row| row.get::<_, i64>(0)).optional()?;
        let applied = applied.and_then(|record| u64::try_from(record).ok()).unwrap_or(0);
        let (log, left) = Log::open(path, applied)?;
        apply(&mut database, &left, log.last())?;
        let layers: Arc<RwLock<Layers>> = Arc::default();
        let (asked, inbox) = channel();
        let (leave, leaving) = channel();
        let (left, told) = channel();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mover = Mover { database, layers: Arc::clone(&layers), leaving, left };
        std::thread::Builder::new().name(format!("store-{name}-file")).spawn(move || mover.run())?;
        let writer = Writer {
            base: Base::new(path.into(), None),
            layers: Arc::clone(&layers),
            log,
            bytes: 0,
            oldest: None,
            ended: None,
            takes: Duration::ZERO,
            is_moving: false,
            leave: leave.clone(),
            told,
        };
        let (writer, waiting) = (Arc::new(Mutex::new(writer)), Arc::new(AtomicUsize::new(0)));
        let (of_thread, counted) = (Arc::clone(&writer), Arc::clone(&waiting));
        std::thread::Builder::new().name(format!("store-{name}")).spawn(move || run(&of_thread, &counted, &inbox))?;
        Ok(Self { asked, writer, waiting, layers, readers: Mutex::default(), mover: leave, path: path.into() })
    }

    /// Commits a request that comes alone; gives back one that the writer's thread had better commit.
    fn commit_alone(&self, job: Box<dyn Job>) -> Option<Box<dyn Job>> {
        if self.waiting.load(Ordering::Acquire) > 0 {
            return Some(job);
        }
        // Where the lock is held the thread commits or moves.
        let Ok(mut writer) = self.writer.try_lock() else { return Some(job) };
        if !writer.is_idle() || COMMITS_ITSELF.swap(true, Ordering::AcqRel) {
            return Some(job);
        }
        let was_empty = writer.oldest.is_none();
        let mut batch = Vec::with_capacity(1);
        let committed = writer.commit(job, None, &mut batch);
        COMMITS_ITSELF.store(false, Ordering::Release);
        let looks = writer.is_full() || (was_empty && writer.oldest.is_some());
        drop(writer);
        if looks {
            let _ = self.asked.send(Ask::Look);
        }
        finish(batch, &committed);
        None
    }
}

/// Tells those who asked.
fn finish(batch: Vec<Box<dyn Job>>, committed: &Result<(), Error>) {
    if let Err(error) = committed {
        tracing::error!(%error, requests = batch.len(), "commit failed");
    }
    for job in batch {
        job.done(committed.clone());
    }
}

fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of a new database the pages are larger than usual: of a record that takes more than a quarter of a page most lies in a page of its
/// own, and a turn's history is a kilobyte or two.
fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000; PRAGMA cache_size=-4096;
         PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn read(layers: &RwLock<Layers>) -> RwLockReadGuard<'_, Layers> {
    layers.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(layers: &RwLock<Layers>) -> RwLockWriteGuard<'_, Layers> {
    layers.write().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Sqlite {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut base = Base::new(Arc::clone(&self.path), pooled);
        {
            // As long as this is held nothing is committed in memory, and what moves into SQLite meanwhile is still here as well.
            let layers = read(&self.layers);
            f(&mut ReadTx(View { layers: &layers, base: &mut base }));
        }
        base.end()?;
        if let Some(connection) = base.connection {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < READERS {
                readers.push(connection);
            }
        }
        Ok(())
    }

    fn cut(&self, to: &Path, then: &mut dyn FnMut() -> Result<(), Error>) -> Result<Cut, Error> {
        let mut cut = Cut::prepare(connect(&self.path)?, to)?;
        // As long as this is held nothing is committed in memory, and so nothing is acknowledged.
        let layers = read(&self.layers);
        cut.pin()?;
        then()?;
        cut.over.extend(layers.leaving.clone());
        cut.over.push(Arc::new(layers.active.clone()));
        Ok(cut)
    }

    fn write(&self, job: Box<dyn Job>) {
        let Some(job) = self.commit_alone(job) else { return };
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(unsent) = self.asked.send(Ask::Commit(job))
            && let Ask::Commit(job) = unsent.0
        {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            job.done(Err(Error::Closed));
        }
    }

    fn rest(&self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.base.connection = None;
            writer.log.rest();
        }
        let _ = self.mover.send(Move::Rest);
    }
}

/// What commits: under a lock that the writer's thread holds while it works.
struct Writer {
    base: Base,
    layers: Arc<RwLock<Layers>>,
    log: Log,
    /// In memory since the last move into SQLite, and since when.
    bytes: usize,
    oldest: Option<Instant>,
    /// When the last commit ended, and how long commits take of late.
    ended: Option<Instant>,
    takes: Duration,
    is_moving: bool,
    leave: Sender<Move>,
    told: Receiver<()>,
}

/// The thread that commits what does not come alone.
fn run(writer: &Mutex<Writer>, waiting: &AtomicUsize, inbox: &Receiver<Ask>) {
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
            Ok(Ask::Look) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return lock(writer).move_all(),
        }
        lock(writer).move_some();
    }
}

impl Writer {
    /// Commits a request, and those that wait behind it; `behind` counts all that were taken.
    fn commit(
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
                if batch.len() >= MAX_BATCH {
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
        let begun = Instant::now();
        self.log.append(&written)?;
        let ended = Instant::now();
        self.takes = (self.takes * 3 + (ended - begun)) / 4;
        self.ended = Some(ended);
        self.bytes +=
            written.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len) + ENTRY_BYTES).sum::<usize>();
        self.oldest.get_or_insert(ended);
        write(&self.layers).active.extend(written);
        Ok(())
    }

    /// Nothing was committed a moment ago, the disk is quick, and nothing has to wait for what is being moved.
    fn is_idle(&self) -> bool {
        self.takes <= QUICK && !self.is_full() && self.ended.is_none_or(|ended| ended.elapsed() >= APART)
    }

    /// There is so much in memory or in the log that it is to be brought into SQLite.
    fn is_full(&self) -> bool {
        self.bytes >= MAX_ACTIVE_BYTES || self.log.bytes() >= MAX_LOG_BYTES
    }

    /// Lets what is in memory go into SQLite, if it is time.
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
        let leaving = {
            let mut layers = write(&self.layers);
            let leaving = Arc::new(std::mem::take(&mut layers.active));
            layers.leaving = Some(Arc::clone(&leaving));
            leaving
        };
        (self.bytes, self.oldest, self.is_moving) = (0, None, true);
        let last = self.log.last();
        self.log.turn();
        // The mover lives as long as this end of the channel.
        let _ = self.leave.send(Move::Bring(leaving, last));
    }

    /// The store is closed: leave the log empty.
    fn move_all(&mut self) {
        if self.is_moving {
            let _ = self.told.recv();
            self.is_moving = false;
        }
        if self.bytes > 0 {
            self.oldest = Instant::now().checked_sub(MAX_AGE);
            self.bytes = MAX_ACTIVE_BYTES;
            self.move_some();
        }
    }
}

/// The thread that brings into SQLite what was committed.
struct Mover {
    database: Connection,
    layers: Arc<RwLock<Layers>>,
    leaving: Receiver<Move>,
    left: Sender<()>,
}

impl Mover {
    fn run(mut self) {
        while let Ok(asked) = self.leaving.recv() {
            let Move::Bring(writes, last) = asked else {
                let _ = self.database.execute_batch("PRAGMA shrink_memory");
                continue;
            };
            while let Err(error) = apply(&mut self.database, &writes, last) {
                tracing::error!(%error, "records cannot be brought from the log into the database; trying again in a second");
                std::thread::sleep(Duration::from_secs(1));
            }
            write(&self.layers).leaving = None;
            let _ = self.left.send(());
        }
    }
}

/// Brings writes into SQLite, which then holds everything up to record `last` of the log.
fn apply(database: &mut Connection, writes: &Writes, last: u64) -> Result<(), Error> {
    if writes.is_empty() {
        return Ok(());
    }
    let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut put = transaction.prepare_cached("REPLACE INTO kv (k, v) VALUES (?1, ?2)")?;
        let mut gone: Vec<&[u8]> = Vec::new();
        for (key, value) in writes {
            match value {
                Some(value) => {
                    delete(&transaction, &gone)?;
                    gone.clear();
                    put.execute(params![key, value])?;
                }
                None => gone.push(key),
            }
        }
        delete(&transaction, &gone)?;
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        transaction.prepare_cached("REPLACE INTO applied (id, record) VALUES (0, ?1)")?.execute(params![last])?;
    }
    Ok(transaction.commit()?)
}

/// Deletes the records of these keys, which are in order. Most were never brought here (tasks that came and went meanwhile): one look at
/// the range that they are in tells of all of them.
fn delete(database: &Connection, keys: &[&[u8]]) -> Result<(), Error> {
    let mut statement = database.prepare_cached("DELETE FROM kv WHERE k = ?1")?;
    let mut present = None;
    if let [first, .., last] = keys {
        let limit = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let found: Vec<Vec<u8>> = database
            .prepare_cached("SELECT k FROM kv WHERE k >= ?1 AND k <= ?2 LIMIT ?3")?
            .query_map(params![first, last, limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        // As many as are to be deleted, or more: the range holds others as well.
        present = Some(found).filter(|found| found.len() < keys.len());
    }
    for key in keys {
        if present.as_ref().is_none_or(|present| present.binary_search_by(|found| found.as_slice().cmp(key)).is_ok()) {
            statement.execute(params![key])?;
        }
    }
    Ok(())
}

/// What is in SQLite: one snapshot from the first look at it until [`Base::end`]. Most of what is looked for stands above it.
struct Base {
    path: Arc<Path>,
    /// Made at the first look.
    connection: Option<Connection>,
    has_begun: bool,
}

impl Base {
    fn new(path: Arc<Path>, connection: Option<Connection>) -> Self {
        Self { path, connection, has_begun: false }
    }

    fn begin(&mut self) -> Result<&Connection, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let connection = self.connection.insert(connection);
        if !self.has_begun {
            connection.prepare_cached("BEGIN")?.execute([])?;
            self.has_begun = true;
        }
        Ok(connection)
    }

    fn end(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.has_begun)
            && let Some(connection) = &self.connection
        {
            connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }
}

impl Records for Base {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self.begin()?.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        Ok(statement.query_row(params![key], |row| row.get(0)).optional()?)
    }

    fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.begin()?.prepare_cached("SELECT 1 FROM kv WHERE k = ?1")?.exists(params![key])?)
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        let connection = self.begin()?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let pairs = match (to, reverse) {
            (Some(to), false) => connection
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3")?
                .query_map(params![from, to, limit], row)?
                .collect::<Result<_, _>>(),
            (Some(to), true) => connection
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k DESC LIMIT ?3")?
                .query_map(params![from, to, limit], row)?
                .collect::<Result<_, _>>(),
            (None, false) => connection
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2")?
                .query_map(params![from, limit], row)?
                .collect::<Result<_, _>>(),
            (None, true) => connection
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k DESC LIMIT ?2")?
                .query_map(params![from, limit], row)?
                .collect::<Result<_, _>>(),
        };
        Ok(pairs?)
    }
}

struct ReadTx<'a>(View<'a, Base>);

impl RawTx for ReadTx<'_> {
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
