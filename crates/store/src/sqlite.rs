//! Records in one SQLite file: a writer thread that gathers waiting requests into one commit (a savepoint each), and a few
//! connections to read with. `WITHOUT ROWID`, WAL, `synchronous=FULL`: what was acknowledged survives kill -9 and power loss.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Error;
use crate::kv::{Backend, Job, Pair, RawTx};

/// Requests gathered into one commit, at most.
const MAX_BATCH: usize = 512;
const READERS: usize = 4;

pub(crate) struct Sqlite {
    jobs: Mutex<Sender<Box<dyn Job>>>,
    readers: Mutex<Vec<Connection>>,
    path: PathBuf,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let writer = connect(path)?;
        writer.execute_batch("CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")?;
        let (jobs, inbox) = channel();
        std::thread::Builder::new()
            .name(format!("store-{}", path.file_stem().unwrap_or_default().to_string_lossy()))
            .spawn(move || write_loop(&writer, &inbox))?;
        Ok(Self { jobs: Mutex::new(jobs), readers: Mutex::default(), path: path.to_owned() })
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000; PRAGMA cache_size=-4096;
         PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

impl Backend for Sqlite {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match pooled {
            Some(c) => c,
            None => connect(&self.path)?,
        };
        connection.prepare_cached("BEGIN")?.execute([])?;
        f(&mut SqliteTx(&connection));
        connection.prepare_cached("COMMIT")?.execute([])?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(connection);
        }
        Ok(())
    }

    fn write(&self, job: Box<dyn Job>) {
        let sent = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        if let Err(unsent) = sent {
            unsent.0.done(Err(Error::Closed));
        }
    }
}

fn write_loop(connection: &Connection, inbox: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = inbox.recv() {
        let mut batch = Vec::new();
        let committed = commit_batch(connection, first, inbox, &mut batch);
        if let Err(e) = &committed {
            tracing::error!(error = %e, requests = batch.len(), "commit failed");
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
        for job in batch {
            job.done(committed.clone());
        }
    }
}

fn commit_batch(
    connection: &Connection,
    first: Box<dyn Job>,
    inbox: &Receiver<Box<dyn Job>>,
    batch: &mut Vec<Box<dyn Job>>,
) -> Result<(), Error> {
    let run = |sql: &str| -> Result<(), Error> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    batch.push(first);
    run("BEGIN IMMEDIATE")?;
    loop {
        run("SAVEPOINT request")?;
        let job = batch.last_mut().expect("the request just pushed");
        // A closure that panics must not take the writer with it: its savepoint is undone, its caller sees a closed reply.
        let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run(&mut SqliteTx(connection))));
        match kept {
            Ok(true) => {}
            Ok(false) => run("ROLLBACK TO request")?,
            Err(_) => {
                run("ROLLBACK TO request")?;
                batch.pop();
            }
        }
        run("RELEASE request")?;
        if batch.len() >= MAX_BATCH {
            break;
        }
        match inbox.try_recv() {
            Ok(next) => batch.push(next),
            Err(_) => break,
        }
    }
    run("COMMIT")
}

struct SqliteTx<'a>(&'a Connection);

impl RawTx for SqliteTx<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self.0.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        Ok(statement.query_row(params![key], |row| row.get(0)).optional()?)
    }
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let sql = "INSERT INTO kv (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v";
        self.0.prepare_cached(sql)?.execute(params![key, value])?;
        Ok(())
    }
    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.0.prepare_cached("DELETE FROM kv WHERE k = ?1")?.execute(params![key])?;
        Ok(())
    }
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let pairs = match (to, reverse) {
            (Some(to), false) => self
                .0
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3")?
                .query_map(params![from, to, limit], row)?
                .collect::<Result<_, _>>(),
            (Some(to), true) => self
                .0
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k DESC LIMIT ?3")?
                .query_map(params![from, to, limit], row)?
                .collect::<Result<_, _>>(),
            (None, false) => self
                .0
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2")?
                .query_map(params![from, limit], row)?
                .collect::<Result<_, _>>(),
            (None, true) => self
                .0
                .prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k DESC LIMIT ?2")?
                .query_map(params![from, limit], row)?
                .collect::<Result<_, _>>(),
        };
        Ok(pairs?)
    }
}
