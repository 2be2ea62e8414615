//! The records as they are in their table, looked at over a connection of a pool.
//!
//! Only this node changes them, and only by what stands in memory over them meanwhile ([`crate::layered`]): so no look needs a snapshot
//! of the database, each is one statement, and what was found stays true until it is written over. Much of it is kept ([`Kept`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::lease::Held;
use super::net::{is_gone, storage, wait};
use super::schema::{HEAD, columns};
use crate::kv::Pair;
use crate::layered::Looked;
use crate::log::Writes;
use crate::overlay::Records;
use crate::{Error, metrics};

/// Connections kept for reading.
const READERS: usize = 8;
/// Bytes of records kept in memory, at most twice as many.
const MAX_KEPT_BYTES: usize = 32 << 20;
/// Longer ones are not kept.
const MAX_KEPT_VALUE: usize = 256 << 10;
const ENTRY_BYTES: usize = 96;
/// Between two attempts to reach the database.
const AGAIN: Duration = Duration::from_millis(200);

/// What the looks at one store share.
pub(crate) struct Shared {
    held: Arc<Held>,
    store: String,
    pool: Mutex<Vec<Reader>>,
    kept: Kept,
}

impl Shared {
    pub(crate) fn new(held: Arc<Held>, store: &str) -> Self {
        Self { held, store: store.to_owned(), pool: Mutex::default(), kept: Kept::default() }
    }

    fn pool(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes are among the records now, and nobody looks at these meanwhile.
    pub(crate) fn brought(&self, writes: &Writes) {
        for (key, value) in writes {
            self.kept.keep(key, value.as_deref());
        }
    }

    pub(crate) fn rest(&self) {
        self.kept.clear();
        self.pool().clear();
    }
}

/// One look, of a request or of a batch of them.
pub(crate) struct Base {
    place: Arc<Shared>,
    reader: Option<Reader>,
}

impl Base {
    pub(crate) fn new(place: Arc<Shared>) -> Self {
        Self { place, reader: None }
    }

    /// Asks until there is an answer: the database may be starting again. A node that has lost the lease waits no longer.
    fn ask(&mut self, which: Which, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        loop {
            let unreached = match self.attempt(which, values) {
                Ok(answer) => return answer,
                Err(error) => error,
            };
            if self.place.held.is_lost() {
                return Err(Error::Closed);
            }
            tracing::warn!(error = %unreached, store = self.place.store, "a read waits for the database");
            self.place.pool().clear();
            std::thread::sleep(AGAIN);
        }
    }

    /// The database's answer, or why there is none.
    fn attempt(&mut self, which: Which, values: &[&(dyn ToSql + Sync)]) -> Result<Result<Vec<Row>, Error>, Error> {
        let pooled = self.reader.take().or_else(|| self.place.pool().pop());
        let reader = match pooled {
            Some(reader) => reader,
            None => match Reader::over(self.place.held.net.connect()?, &self.place.store) {
                Err(error) if !is_gone(&error) => return Ok(Err(storage(error))),
                made => made.map_err(storage)?,
            },
        };
        let begun = Instant::now();
        let answer = wait(reader.client.query(&reader.statements[which as usize], values));
        metrics::TRIPS.read.took(begun.elapsed());
        match answer {
            Err(error) if is_gone(&error) => Err(storage(error)),
            answer => {
                self.reader = Some(reader);
                Ok(answer.map_err(storage))
            }
        }
    }
}

impl Looked for Base {
    fn end(&mut self) -> Result<(), Error> {
        if let Some(reader) = self.reader.take() {
            let mut pool = self.place.pool();
            if pool.len() < READERS {
                pool.push(reader);
            }
        }
        Ok(())
    }
}

impl Records for Base {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if let Some(kept) = self.place.kept.find(key) {
            return Ok(kept);
        }
        let (head, rest) = columns(key);
        let value = self.ask(Which::Get, &[&head, &rest])?.first().map(|row| row.get::<_, Vec<u8>>(0));
        self.place.kept.keep(key, value.as_deref());
        Ok(value)
    }

    fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.get(key)?.is_some())
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        if limit == 0 || to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if from.len() <= HEAD && to.is_none_or(|to| to.len() <= HEAD) {
            let rows = match (to, reverse) {
                (Some(to), false) => self.ask(Which::Range, &[&from, &to, &limit])?,
                (Some(to), true) => self.ask(Which::RangeBack, &[&from, &to, &limit])?,
                (None, false) => self.ask(Which::From, &[&from, &limit])?,
                (None, true) => self.ask(Which::FromBack, &[&from, &limit])?,
            };
            // Of keys with the same first bytes, which are few, the index does not know the order.
            if rows.iter().all(|row| row.get::<_, &[u8]>(0).len() < HEAD) {
                return Ok(rows.iter().map(|row| (row.get(0), row.get(2))).collect());
            }
        }
        let ((from, from_rest), to) = (columns(from), to.map(columns));
        let (to, to_rest) = to.unzip();
        let which = if reverse { Which::LongBack } else { Which::Long };
        let rows = self.ask(which, &[&from, &from_rest, &to, &to_rest, &limit])?;
        Ok(rows.iter().map(|row| ([row.get::<_, &[u8]>(0), row.get(1)].concat(), row.get(2))).collect())
    }
}

/// The statements of a reader, by their place.
#[derive(Clone, Copy)]
enum Which {
    Get,
    Range,
    RangeBack,
    From,
    FromBack,
    Long,
    LongBack,
}

struct Reader {
    client: Client,
    statements: Vec<Statement>,
}

impl Reader {
    fn over(client: Client, store: &str) -> Result<Self, tokio_postgres::Error> {
        let table = format!("lakerun_kv_{store}");
        // A bound that is absent is NULL, and every row is within it.
        let long = "(head, rest) >= ($1, $2) AND ($3::bytea IS NULL OR (head, rest) < ($3, $4::bytea))
                    AND head >= $1 AND head <= coalesce($3, decode(repeat('ff', 2001), 'hex'))";
        let texts = [
            format!("SELECT v FROM {table} WHERE head = $1 AND sha256(rest) = sha256($2::bytea)"),
            format!("SELECT head, rest, v FROM {table} WHERE head >= $1 AND head < $2 ORDER BY head LIMIT $3"),
            format!("SELECT head, rest, v FROM {table} WHERE head >= $1 AND head < $2 ORDER BY head DESC LIMIT $3"),
            format!("SELECT head, rest, v FROM {table} WHERE head >= $1 ORDER BY head LIMIT $2"),
            format!("SELECT head, rest, v FROM {table} WHERE head >= $1 ORDER BY head DESC LIMIT $2"),
            format!("SELECT head, rest, v FROM {table} WHERE {long} ORDER BY head, rest LIMIT $5"),
            format!("SELECT head, rest, v FROM {table} WHERE {long} ORDER BY head DESC, rest DESC LIMIT $5"),
        ];
        // Ranges are read along the index however few rows the planner thinks there are; plans are made once.
        let statements = wait(async {
            client
                .batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off")
                .await?;
            futures::future::try_join_all(texts.iter().map(|text| client.prepare(text))).await
        })?;
        Ok(Self { client, statements })
    }
}

/// A record as it was found: `None` where there is none.
type Found = Option<Vec<u8>>;

/// Records that were looked at or written lately, two generations of them: when the younger is full the older is forgotten.
#[derive(Default)]
struct Kept(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: BTreeMap<Vec<u8>, Found>,
    old: BTreeMap<Vec<u8>, Found>,
    bytes: usize,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &[u8]) -> Option<Found> {
        let mut kept = self.lock();
        if let Some(found) = kept.young.get(key) {
            return Some(found.clone());
        }
        let found = kept.old.remove(key)?;
        kept.add(key, found.clone());
        Some(found)
    }

    fn keep(&self, key: &[u8], value: Option<&[u8]>) {
        let mut kept = self.lock();
        kept.old.remove(key);
        kept.young.remove(key);
        if value.is_none_or(|value| value.len() <= MAX_KEPT_VALUE) {
            kept.add(key, value.map(<[u8]>::to_vec));
        }
    }

    fn clear(&self) {
        *self.lock() = Generations::default();
    }
}

impl Generations {
    fn add(&mut self, key: &[u8], value: Found) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len) + ENTRY_BYTES;
        self.young.insert(key.to_vec(), value);
        if self.bytes > MAX_KEPT_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_stays_and_what_is_written_is_known() {
        let kept = Kept::default();
        kept.keep(b"a", Some(b"1"));
        kept.keep(b"gone", None);
        assert_eq!(
            (kept.find(b"a"), kept.find(b"gone"), kept.find(b"b")),
            (Some(Some(b"1".to_vec())), Some(None), None)
        );
        for n in 0..400_u32 {
            kept.keep(&n.to_be_bytes(), Some(&vec![0; MAX_KEPT_VALUE]));
            assert_eq!(kept.find(b"a"), Some(Some(b"1".to_vec())));
        }
        assert_eq!(kept.find(b"gone"), None);
        kept.keep(b"a", Some(&vec![0; MAX_KEPT_VALUE + 1]));
        assert_eq!(kept.find(b"a"), None, "an older one must not be found in its place");
    }
}
