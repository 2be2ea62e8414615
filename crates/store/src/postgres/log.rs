//! The log of a store as a table: a commit is one row, written by one statement in one round trip.
//!
//! Two things keep out a node that no longer owns the store. The statement writes nothing where the fence is another. And rows are
//! numbered without gaps: who takes the store over writes a row of its own, the *mark*, with the next number, so that a statement
//! that read the fence just before it was raised finds its number taken. Marks stay for a day, rows only until what they wrote is among
//! the records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};

use super::lease::Held;
use super::net::{is_gone, storage, wait};
use crate::layered::Commits;
use crate::log::{Writes, decode, encode};
use crate::{Error, metrics};

/// Between two attempts to reach the database.
const AGAIN: Duration = Duration::from_millis(200);
const KEPT_BUFFER: usize = 1 << 20;
/// PostgreSQL ends the connection of whoever sends a message of a gigabyte.
const MAX_RECORD: usize = 900 << 20;

pub(crate) struct Log {
    held: Arc<Held>,
    store: String,
    connection: Option<(Client, Statement)>,
    next: i64,
    /// The row of that number may have been written: a connection broke over it.
    in_doubt: bool,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Takes the log over. Answers also with what is in it and not yet among the records: it must be brought there before anything
    /// is appended.
    pub(crate) fn open(held: &Arc<Held>, client: &Client, store: &str) -> Result<(Self, Writes), Error> {
        let applied = format!("SELECT record FROM lakerun_applied WHERE store = '{store}'");
        let applied: i64 = wait(client.query_one(&applied, &[])).map_err(storage)?.get(0);
        let mark = format!(
            "INSERT INTO lakerun_log_{store} (record, fence, is_mark, writes)
             SELECT $1, $2, true, '' WHERE (SELECT fence FROM lakerun_fence) = $2"
        );
        let last = loop {
            let text = format!("SELECT coalesce(max(record), $1) FROM lakerun_log_{store} WHERE record > $1");
            let last: i64 = wait(client.query_one(&text, &[&applied])).map_err(storage)?.get(0);
            match wait(client.execute(&mark, &[&(last + 1), &held.fence])) {
                Ok(1) => break last + 1,
                Ok(_) => {
                    held.lose();
                    return Err(Error::Closed);
                }
                // A commit of the owner before was still on its way.
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
                Err(error) => return Err(storage(error)),
            }
        };
        let text = format!(
            "SELECT record, is_mark, writes FROM lakerun_log_{store} WHERE record > $1 AND record <= $2 ORDER BY record"
        );
        let rows = wait(client.query(&text, &[&applied, &last])).map_err(storage)?;
        let mut writes = Writes::new();
        for (row, expected) in rows.iter().zip(applied + 1..) {
            let found: i64 = row.get(0);
            let corrupt = |cause: String| Error::Corrupt { key: format!("lakerun_log_{store}"), cause };
            if found != expected {
                return Err(corrupt(format!("the log goes on with record {found} where {expected} is expected")));
            }
            if !row.get::<_, bool>(1) {
                let number = u64::try_from(found).unwrap_or_default();
                let written =
                    decode(row.get(2), number).ok_or_else(|| corrupt(format!("record {found} is damaged")))?;
                writes.extend(written);
            }
        }
        let log = Self {
            held: Arc::clone(held),
            store: store.to_owned(),
            connection: None,
            next: last + 1,
            in_doubt: false,
            bytes: 0,
            buffer: Vec::new(),
        };
        Ok((log, writes))
    }

    /// One attempt to write what is in the buffer. `None`: it has to be made again.
    fn send(&mut self) -> Result<Option<bool>, Error> {
        let (client, insert) = match self.connection.take() {
            Some(connection) => connection,
            None => match self.connect() {
                Ok(Err(error)) if !is_gone(&error) => return Err(storage(error)),
                Ok(Ok((_, _, false))) => return Ok(Some(false)),
                Ok(Ok((client, insert, true))) => (client, insert),
                Ok(Err(error)) => return Ok(self.waits(&storage(error))),
                Err(error) => return Ok(self.waits(&error)),
            },
        };
        let begun = Instant::now();
        let answer = wait(client.execute(&insert, &[&self.next, &self.held.fence, &self.buffer.as_slice()]));
        metrics::TRIPS.commit.took(begun.elapsed());
        let sent = match answer {
            // It may be this very row, sent before over a connection that broke.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.in_doubt = true;
                self.is_there(&client).map(Some)
            }
            sent => sent.map(|rows| Some(rows == 1)),
        };
        match sent {
            Err(error) if is_gone(&error) => {
                self.in_doubt = true;
                Ok(self.waits(&storage(error)))
            }
            sent => {
                self.connection = Some((client, insert));
                sent.map_err(storage)
            }
        }
    }

    fn waits(&self, error: &Error) -> Option<bool> {
        tracing::warn!(%error, store = self.store, "a commit waits for the database");
        None
    }

    /// A connection, and whether all that was committed is where it leads to: a replica that was made the server may lack the last of
    /// it. To go on over the gap would take with it what stands before. `Err`: there is no connection to be had.
    fn connect(&self) -> Result<Result<(Client, Statement, bool), tokio_postgres::Error>, Error> {
        let client = self.held.net.connect()?;
        let insert = format!(
            "INSERT INTO lakerun_log_{} (record, fence, is_mark, writes)
             SELECT $1, $2, false, $3 WHERE (SELECT fence FROM lakerun_fence) = $2",
            self.store
        );
        let last = format!(
            "SELECT greatest((SELECT record FROM lakerun_applied WHERE store = $1), (SELECT max(record) FROM lakerun_log_{}))",
            self.store
        );
        let ready = wait(async {
            let quick: String = client.query_one("SHOW synchronous_commit", &[]).await?.get(0);
            if quick == "off" {
                client.batch_execute("SET synchronous_commit = on").await?;
            }
            let last: i64 = client.query_one(&last, &[&self.store]).await?.get(0);
            Ok((client.prepare(&insert).await?, last))
        });
        Ok(ready.map(|(insert, last)| {
            let is_whole = last >= self.next - 1;
            if !is_whole {
                let (store, next) = (&self.store, self.next);
                tracing::error!(store, last, next, "the database has lost commits: giving the stores up");
            }
            (client, insert, is_whole)
        }))
    }

    /// Is the row of the next number this owner's, and what is in the buffer?
    fn is_there(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let text = format!(
            "SELECT fence = $2 AND NOT is_mark AND writes = $3 FROM lakerun_log_{} WHERE record = $1",
            self.store
        );
        let row = wait(client.query_opt(&text, &[&self.next, &self.held.fence, &self.buffer.as_slice()]))?;
        Ok(row.is_some_and(|row| row.get(0)))
    }
}

impl Commits for Log {
    fn append(&mut self, writes: &Writes) -> Result<(), Error> {
        encode(&mut self.buffer, u64::try_from(self.next).unwrap_or_default(), writes)?;
        if self.buffer.len() > MAX_RECORD {
            self.buffer = Vec::new();
            return Err(Error::Storage("a transaction is too large".to_owned()));
        }
        loop {
            if self.held.is_lost() {
                return Err(Error::Closed);
            }
            match self.send() {
                Ok(Some(true)) => break,
                Ok(Some(false)) => {
                    self.held.lose();
                    return Err(Error::Closed);
                }
                Ok(None) => std::thread::sleep(AGAIN),
                // It may be in the log all the same: whoever owns the stores next reads whether it is.
                Err(error) if self.in_doubt => {
                    tracing::error!(%error, store = self.store, "nobody knows whether a commit was written; giving the stores up");
                    self.held.lose();
                    return Err(Error::Closed);
                }
                Err(error) => return Err(error),
            }
        }
        self.in_doubt = false;
        self.next += 1;
        self.bytes += self.buffer.len() as u64;
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(())
    }

    fn last(&self) -> u64 {
        u64::try_from(self.next - 1).unwrap_or_default()
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn turn(&mut self) {
        self.bytes = 0;
    }
}
