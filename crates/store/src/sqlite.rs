//! Records in one SQLite file, behind a log. A writer thread gathers waiting requests into one commit, which is a record of the log,
//! synced: what was acknowledged survives kill -9 and power loss. What is committed stands in memory over what is in SQLite, and is
//! brought there in key order, with one sync, when there is enough of it or it is old enough ([`crate::layered`]). So a record that
//! changes with every commit, or that comes and goes (a task), is written to SQLite seldom or never.
//!
//! A request that comes alone, with none before it for a while, is committed by the thread that brings it, as long as the disk is
//! quick: two threads that wake each other and move to cold caches cost more than the commit itself.
//!
//! SQLite: `WITHOUT ROWID`, WAL, `synchronous=FULL`. The number of the last record that it holds is in the table `applied`, written in
//! the same transaction; when a store is opened, later records are taken from the log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::cut::Cut;
use crate::kv::{Backend, Job, Pair, RawTx};
use crate::layered::{self, Ask, Commits, Home, Looked, Move, Threads};
use crate::log::{Log, Writes};
use crate::overlay::Records;
use crate::{Error, metrics, room};

const READERS: usize = 4;
/// Commits of a quick disk take no longer, on the average of the last few.
const QUICK: Duration = Duration::from_micros(700);

/// A thread commits by itself: one of the process at a time, so that no more than one stands still for a disk.
static COMMITS_ITSELF: AtomicBool = AtomicBool::new(false);

pub(crate) struct Sqlite {
    threads: Threads<Log, Base>,
    readers: Mutex<Vec<Connection>>,
    path: Arc<Path>,
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
        apply_where_there_is_room(&mut database, &left, log.last())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let threads = Threads::start(&name, log, Base::new(path.into(), None), database)?;
        Ok(Self { threads, readers: Mutex::default(), path: path.into() })
    }

    /// Commits a request that comes alone; gives back one that the writer's thread had better commit.
    fn commit_alone(&self, job: Box<dyn Job>) -> Option<Box<dyn Job>> {
        let threads = &self.threads;
        if threads.waiting.load(Ordering::Acquire) > 0 {
            return Some(job);
        }
        // Where the lock is held the thread commits or moves.
        let Ok(mut writer) = threads.writer.try_lock() else { return Some(job) };
        if !writer.is_idle(QUICK) || COMMITS_ITSELF.swap(true, Ordering::AcqRel) {
            return Some(job);
        }
        let was_empty = writer.oldest.is_none();
        let mut batch = Vec::with_capacity(1);
        let committed = writer.commit(job, None, &mut batch);
        COMMITS_ITSELF.store(false, Ordering::Release);
        let looks = writer.is_full() || (was_empty && writer.oldest.is_some());
        drop(writer);
        if looks {
            let _ = threads.asked.send(Ask::Look);
        }
        layered::finish(batch, &committed);
        None
    }
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

impl Backend for Sqlite {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut base = Base::new(Arc::clone(&self.path), pooled);
        self.threads.look(&mut base, f)?;
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
        let layers = layered::read(&self.threads.layers);
        cut.pin()?;
        then()?;
        cut.over.extend(layers.leaving.clone());
        cut.over.push(Arc::new(layers.active.clone()));
        Ok(cut)
    }

    fn write(&self, job: Box<dyn Job>) {
        if let Some(job) = self.commit_alone(job) {
            self.threads.ask(job);
        }
    }

    fn commits(&self) -> Option<&metrics::Commits> {
        Some(&self.threads.counted)
    }

    fn rest(&self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Ok(mut writer) = self.threads.writer.try_lock() {
            writer.base.connection = None;
            writer.log.rest();
        }
        let _ = self.threads.asked.send(Ask::Rest);
        let _ = self.threads.mover.send(Move::Rest);
    }
}

impl Home for Connection {
    fn bring(&mut self, writes: &Writes, last: u64) -> Result<(), Error> {
        apply_where_there_is_room(self, writes, last)
    }
    fn rest(&mut self) {
        let _ = self.execute_batch("PRAGMA shrink_memory");
    }
}

impl Commits for Log {
    fn append(&mut self, writes: &Writes) -> Result<(), Error> {
        self.append(writes)
    }
    fn last(&self) -> u64 {
        self.last()
    }
    fn bytes(&self) -> u64 {
        self.bytes()
    }
    fn turn(&mut self) {
        self.turn();
    }
}

/// How much is brought at once where there is hardly any room.
const PIECE_BYTES: usize = 1 << 20;

/// As [`apply`], at once or, where there is hardly any room, in pieces.
fn apply_where_there_is_room(database: &mut Connection, writes: &Writes, last: u64) -> Result<(), Error> {
    match apply(database, writes, last) {
        Err(Error::Storage(cause)) if room::is_full(&cause) => apply_in_pieces(database, writes, last),
        applied => applied,
    }
}

/// As [`apply`], in several transactions, so that SQLite's log stays short. Cut short, it is done again from its beginning: until the
/// last one our own log counts, and says the same of every record.
fn apply_in_pieces(database: &mut Connection, writes: &Writes, last: u64) -> Result<(), Error> {
    let applied = database.query_row("SELECT record FROM applied", [], |row| row.get::<_, i64>(0)).optional()?;
    let applied = applied.and_then(|record| u64::try_from(record).ok()).unwrap_or(0);
    let (mut piece, mut bytes) = (Writes::new(), 0);
    for (key, value) in writes {
        bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        piece.insert(key.clone(), value.clone());
        if bytes >= PIECE_BYTES {
            apply(database, &piece, applied)?;
            database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            (piece, bytes) = (Writes::new(), 0);
        }
    }
    let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    put(&transaction, &piece, last)?;
    Ok(transaction.commit()?)
}

/// Brings writes into SQLite, which then holds everything up to record `last` of the log.
fn apply(database: &mut Connection, writes: &Writes, last: u64) -> Result<(), Error> {
    if writes.is_empty() {
        return Ok(());
    }
    let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    put(&transaction, writes, last)?;
    Ok(transaction.commit()?)
}

fn put(database: &Connection, writes: &Writes, last: u64) -> Result<(), Error> {
    let mut put = database.prepare_cached("REPLACE INTO kv (k, v) VALUES (?1, ?2)")?;
    let mut gone: Vec<&[u8]> = Vec::new();
    for (key, value) in writes {
        match value {
            Some(value) => {
                delete(database, &gone)?;
                gone.clear();
                put.execute(params![key, value])?;
            }
            None => gone.push(key),
        }
    }
    delete(database, &gone)?;
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    database.prepare_cached("REPLACE INTO applied (id, record) VALUES (0, ?1)")?.execute(params![last])?;
    Ok(())
}

/// Deletes the records of these keys, which are in order. Most were never brought here (tasks that came and went meanwhile): one look at
/// the range that they are in tells of all of them.
fn delete(database: &Connection, keys: &[&[u8]]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
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

impl Looked for Base {
    fn end(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.has_begun)
            && let Some(connection) = &self.connection
        {
            connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_in_pieces_is_what_is_brought_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        drop(Sqlite::open(&path).unwrap());
        let mut database = connect(&path).unwrap();
        let long = vec![7; PIECE_BYTES / 2];
        let some = |n: u8, value: Option<Vec<u8>>| (vec![n], value);
        apply(&mut database, &Writes::from([some(1, Some(vec![1])), some(9, Some(vec![9]))]), 3).unwrap();
        let writes =
            (2..8).map(|n| some(n, Some(long.clone()))).chain([some(1, None), some(9, Some(vec![0]))]).collect();
        apply_in_pieces(&mut database, &writes, 5).unwrap();
        let all: Vec<(Vec<u8>, Vec<u8>)> = database
            .prepare("SELECT k, v FROM kv ORDER BY k")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let expected: Vec<_> = (2..8).map(|n| (vec![n], long.clone())).chain([(vec![9], vec![0])]).collect();
        assert!(all == expected, "{:?}", all.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>());
        assert_eq!(database.query_row("SELECT record FROM applied", [], |row| row.get::<_, i64>(0)).unwrap(), 5);
    }
}
