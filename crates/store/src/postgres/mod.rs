//! Records in PostgreSQL, for several nodes of which one at a time owns them.
//!
//! As with SQLite a commit is a record of a log: one row, one round trip, one sync of the server's, for all requests that waited. What is
//! committed stands in memory over the records until it is brought to their table, many at a time ([`crate::layered`]). No statement
//! locks what another needs. Who owns the stores is said by a lease ([`lease`]); every write names its fence.
//! Why: `docs/decisions/009-postgresql.md`.
//!
//! Map: [`net`] connections · [`schema`] tables · [`lease`] the right to write · [`log`] commits · [`base`] the records looked at · here
//! the whole, and what nodes share beside records.

mod base;
mod lease;
mod log;
mod net;
mod schema;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Transaction};

use self::base::{Base, Shared};
use self::lease::Held;
use self::log::Log;
use self::net::{DURABLY, Net, storage, wait};
use self::schema::columns;
use crate::clock::SystemClock;
use crate::cut::Cut;
use crate::kv::{Backend, Job, RawTx};
use crate::layered::{Home, Looked as _, Move, Threads};
use crate::log::Writes;
use crate::{Error, Store, metrics};

pub use self::lease::Lease;

/// Bytes of records sent in one statement.
const MAX_SENT_BYTES: usize = 4 << 20;

/// A database that nodes share.
pub struct Database {
    net: Net,
    node: String,
    client: Mutex<Option<Client>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({})", self.node)
    }
}

/// Who has the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub node: String,
    /// Where it serves.
    pub endpoint: String,
    /// It has renewed the lease in time.
    pub is_alive: bool,
    /// The number of its ownership.
    pub fence: i64,
}

impl Database {
    /// Connects, and makes the tables where there are none. Blocks, as everything here.
    ///
    /// # Errors
    /// `Unusable` when the URL is wrong or a newer version made the tables; `Storage` when the server cannot be reached.
    pub fn open(url: &str) -> Result<Self, Error> {
        let node = format!("lakerun {}", hex::encode(rand::random::<[u8; 8]>()));
        let net = Net::start(url, &node)?;
        let client = net.connect()?;
        schema::make(&client)?;
        let fsync: String = wait(client.query_one("SHOW fsync", &[])).map_err(storage)?.get(0);
        if fsync != "on" {
            tracing::warn!(
                "the database runs with fsync = off: what it has acknowledged may be lost with the machine's power"
            );
        }
        Ok(Self { net, node, client: Mutex::new(Some(client)) })
    }

    /// What this node is called.
    pub fn node(&self) -> &str {
        &self.node
    }

    fn with<T>(&self, f: impl FnOnce(&mut Client) -> Result<T, Error>) -> Result<T, Error> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match &mut *kept {
            Some(client) if !client.is_closed() => client,
            _ => kept.insert(self.net.connect()?),
        };
        let done = f(client);
        if done.is_err() {
            *kept = None;
        }
        done
    }

    /// Takes the right to write, if nobody has it any more. `lasts`: how long it is held without being renewed.
    pub fn take(&self, endpoint: &str, lasts: Duration) -> Result<Option<Lease>, Error> {
        self.with(|client| lease::take(&self.net, client, &self.node, endpoint, lasts))
    }

    /// Who has it, or had it last. `None`: nobody ever.
    pub fn owner(&self) -> Result<Option<Owner>, Error> {
        let text = "SELECT owner, endpoint, until >= clock_timestamp(), fence FROM lakerun_lease, lakerun_fence WHERE owner <> ''";
        let row = self.with(|client| wait(client.query_opt(text, &[])).map_err(storage))?;
        Ok(row.map(|row| Owner { node: row.get(0), endpoint: row.get(1), is_alive: row.get(2), fence: row.get(3) }))
    }

    /// A small file that all nodes have, e.g. of a key.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let text = "SELECT bytes FROM lakerun_file WHERE name = $1";
        let row = self.with(|client| wait(client.query_opt(text, &[&name])).map_err(storage))?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Shares a small file, unless there is one of this name; what there is now.
    pub fn share(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let text = "INSERT INTO lakerun_file VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.with(|client| {
            wait(async {
                let tx = client.transaction().await?;
                tx.query(DURABLY, &[]).await?;
                tx.execute(text, &[&name, &bytes]).await?;
                tx.commit().await
            })
            .map_err(storage)
        })?;
        self.file(name)?.ok_or_else(|| Error::Storage(format!("the shared file {name} has gone")))
    }
}

impl Lease {
    /// Opens the store of this name (lower-case letters and digits), of which this node is the only writer.
    ///
    /// # Errors
    /// `Closed` when another node has taken the lease.
    pub fn store(&self, name: &str) -> Result<Store, Error> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(Error::Unusable(format!("a store cannot be called {name:?}")));
        }
        let client = self.0.net.connect()?;
        schema::make_store(&client, name)?;
        let (log, left) = Log::open(&self.0, &client, name)?;
        let place = Arc::new(Shared::new(Arc::clone(&self.0), name));
        let mut home = Table {
            held: Arc::clone(&self.0),
            store: name.to_owned(),
            place: Arc::clone(&place),
            client: Some(client),
            known: Vec::new(),
        };
        home.bring(&left, crate::layered::Commits::last(&log))?;
        let threads = Threads::start(name, log, Base::new(Arc::clone(&place)), home)?;
        Ok(Store::over(Arc::new(Postgres { threads, place }), Arc::new(SystemClock)))
    }
}

/// One store.
struct Postgres {
    threads: Threads<Log, Base>,
    place: Arc<Shared>,
}

impl Backend for Postgres {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        let mut base = Base::new(Arc::clone(&self.place));
        let looked = self.threads.look(&mut base, f);
        base.end()?;
        looked
    }

    fn write(&self, job: Box<dyn Job>) {
        self.threads.ask(job);
    }

    fn commits(&self) -> Option<&metrics::Commits> {
        Some(&self.threads.counted)
    }

    fn rest(&self) {
        let _ = self.threads.mover.send(Move::Rest);
    }

    fn cut(&self, _: &Path, _: &mut dyn FnMut() -> Result<(), Error>) -> Result<Cut, Error> {
        Err(Error::Unusable(
            "the records are in PostgreSQL: they are copied by its own means (docs/scale.md)".to_owned(),
        ))
    }
}

/// The table of the records, and who brings them there.
struct Table {
    held: Arc<Held>,
    store: String,
    place: Arc<Shared>,
    client: Option<Client>,
    /// Up to which record it has brought all; of two it is not known whether the later one was committed. Empty at first.
    known: Vec<i64>,
}

impl Home for Table {
    fn bring(&mut self, writes: &Writes, last: u64) -> Result<(), Error> {
        if self.held.is_lost() {
            return Err(Error::Closed);
        }
        let mut client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.held.net.connect()?,
        };
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let begun = Instant::now();
        let is_owner = wait(async {
            let tx = client.transaction().await?;
            let is_owner = bring(&tx, (&self.store, self.held.fence, &self.known), writes, last).await?;
            if is_owner {
                tx.commit().await?;
            }
            Ok(is_owner)
        });
        metrics::TRIPS.bring.took(begun.elapsed());
        if is_owner.is_err() && !self.known.is_empty() {
            self.known.push(last);
        }
        if !is_owner.map_err(storage)? {
            self.held.lose();
            return Err(Error::Closed);
        }
        self.known = vec![last];
        self.client = Some(client);
        Ok(())
    }

    fn brought(&mut self, writes: &Writes) {
        self.place.brought(writes);
    }

    fn rest(&mut self) {
        self.place.rest();
    }
}

/// Brings writes to the table and takes them from the log. False: another node owns the store, or the table is not as this one left it
/// (a replica that lacked the last of it was made the server); nothing was done. The lock on the fence makes a node that takes the lease
/// wait for the end of this, or end it.
async fn bring(
    tx: &Transaction<'_>,
    (store, fence, known): (&str, i64, &[i64]),
    writes: &Writes,
    last: i64,
) -> Result<bool, tokio_postgres::Error> {
    let own = "SELECT 1 FROM lakerun_fence WHERE fence = $1 FOR SHARE";
    if tx.query_opt(own, &[&fence]).await?.is_none() {
        return Ok(false);
    }
    let applied: i64 = tx.query_one("SELECT record FROM lakerun_applied WHERE store = $1", &[&store]).await?.get(0);
    if !known.is_empty() && !known.contains(&applied) {
        tracing::error!(store, applied, ?known, "the database has lost records: giving the stores up");
        return Ok(false);
    }
    let put = format!(
        "INSERT INTO lakerun_kv_{store} SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
         ON CONFLICT (head, sha256(rest)) DO UPDATE SET v = excluded.v"
    );
    let delete = format!(
        "DELETE FROM lakerun_kv_{store} kv USING unnest($1::bytea[], $2::bytea[]) AS gone (head, rest)
         WHERE kv.head = gone.head AND sha256(kv.rest) = sha256(gone.rest)"
    );
    let (mut heads, mut rests, mut values, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let (mut gone_heads, mut gone_rests) = (Vec::new(), Vec::new());
    for (key, value) in writes {
        let (head, rest) = columns(key);
        if let Some(value) = value {
            heads.push(head);
            rests.push(rest);
            values.push(value.as_slice());
        } else {
            gone_heads.push(head);
            gone_rests.push(rest);
        }
        bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        if bytes >= MAX_SENT_BYTES {
            tx.execute(&put, &[&heads, &rests, &values]).await?;
            tx.execute(&delete, &[&gone_heads, &gone_rests]).await?;
            bytes = 0;
            heads.clear();
            rests.clear();
            values.clear();
            gone_heads.clear();
            gone_rests.clear();
        }
    }
    if !heads.is_empty() {
        tx.execute(&put, &[&heads, &rests, &values]).await?;
    }
    if !gone_heads.is_empty() {
        tx.execute(&delete, &[&gone_heads, &gone_rests]).await?;
    }
    tx.execute("UPDATE lakerun_applied SET record = $1 WHERE store = $2", &[&last, &store]).await?;
    let forget = format!(
        "DELETE FROM lakerun_log_{store} WHERE record <= $1 AND (NOT is_mark OR made_at < now() - interval '1 day')"
    );
    tx.execute(&forget, &[&last]).await?;
    Ok(true)
}
