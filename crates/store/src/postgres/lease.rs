//! Who may write: one node at a time. It holds a lease, which it renews all the time; another may take it when it has run out by the
//! database's clock, the only one that is looked at. Every taking raises a number, the *fence*, which every write names: what a node
//! sends that was thought dead, and is not, is refused (Kleppmann, "How to do distributed locking"; Chubby's sequencers).
//!
//! A node that cannot reach the database does not know whether it still holds the lease: from the moment at which it may have run out
//! until it is renewed [`Lease::is_valid`] is false, and nothing should be answered that only the owner may say.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::net::{DURABLY, Net, storage, wait};
use crate::{Error, metrics};

/// The lease's row, and how to renew it.
pub(crate) struct Held {
    pub(crate) net: Net,
    /// Who has it, by the name in its row.
    node: String,
    pub(crate) fence: i64,
    lasts: Duration,
    /// Both in milliseconds since `begun`: until when nobody else can have taken it.
    begun: Instant,
    valid_until: AtomicU64,
    is_lost: AtomicBool,
    lost: Notify,
}

/// The right to write. Cheap to clone; released with [`Lease::release`], else it runs out after the last of it is gone.
#[derive(Clone)]
pub struct Lease(pub(crate) Arc<Held>);

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({})", self.0.fence)
    }
}

/// Takes the lease if it has run out.
pub(crate) fn take(
    net: &Net,
    client: &mut Client,
    node: &str,
    endpoint: &str,
    lasts: Duration,
) -> Result<Option<Lease>, Error> {
    let begun = Instant::now();
    let fence = wait(async {
        let free = "SELECT owner FROM lakerun_lease WHERE until < clock_timestamp()";
        if client.query_opt(free, &[]).await?.is_none() {
            return Ok(None);
        }
        let tx = client.transaction().await?;
        // Whoever locks the row first has it; the next sees that it no longer has run out.
        let Some(row) = tx.query_opt(&format!("{free} FOR UPDATE"), &[]).await? else { return Ok(None) };
        let before: String = row.get(0);
        tx.query(DURABLY, &[]).await?;
        // A frozen owner's transactions would hold their locks for as long as it is frozen.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND usename = current_user
                   AND pid <> pg_backend_pid()";
        tx.query(end, &[&before]).await?;
        let row = tx.query_one("UPDATE lakerun_fence SET fence = fence + 1 RETURNING fence", &[]).await?;
        let fence: i64 = row.get(0);
        let own = "UPDATE lakerun_lease SET owner = $1, endpoint = $2, until = clock_timestamp() + $3 * interval '1 second'";
        tx.execute(own, &[&node, &endpoint, &lasts.as_secs_f64()]).await?;
        tx.commit().await?;
        Ok(Some(fence))
    })
    .map_err(storage)?;
    let Some(fence) = fence else { return Ok(None) };
    let valid_until = AtomicU64::new(until(lasts, Duration::ZERO));
    let held = Held {
        net: net.clone(),
        node: node.to_owned(),
        fence,
        lasts,
        begun,
        valid_until,
        is_lost: AtomicBool::default(),
        lost: Notify::new(),
    };
    let held = Arc::new(held);
    let weak = Arc::downgrade(&held);
    std::thread::Builder::new().name("store-lease".to_owned()).spawn(move || renew(&weak))?;
    Ok(Some(Lease(held)))
}

/// Until when a lease is surely held that was asked for at that time. The two clocks may go at slightly different rates: a tenth is left
/// out.
fn until(lasts: Duration, asked: Duration) -> u64 {
    u64::try_from((asked + lasts * 9 / 10).as_millis()).unwrap_or(u64::MAX)
}

/// Renews for as long as anybody has the lease.
fn renew(held: &Weak<Held>) {
    let mut client = None;
    loop {
        let Some(pause) = held.upgrade().map(|held| held.lasts / 6) else { return };
        std::thread::sleep(pause);
        let Some(held) = held.upgrade().filter(|held| !held.is_lost.load(Ordering::Acquire)) else { return };
        match held.renew(&mut client) {
            Ok(true) => {}
            Ok(false) => return held.lose(),
            Err(error) => {
                tracing::warn!(%error, "the lease could not be renewed; trying again");
                client = None;
            }
        }
    }
}

impl Held {
    /// False: another has it. After it has waited for who takes the lease the statement looks at the row again, at the fence not.
    fn renew(&self, client: &mut Option<Client>) -> Result<bool, Error> {
        let asked = self.begun.elapsed();
        let client = match client {
            Some(client) => client,
            None => client.insert(self.net.connect()?),
        };
        let text = "UPDATE lakerun_lease SET until = clock_timestamp() + $1 * interval '1 second'
                    WHERE owner = $3 AND (SELECT fence FROM lakerun_fence) = $2";
        let values: [&(dyn ToSql + Sync); 3] = [&self.lasts.as_secs_f64(), &self.fence, &self.node];
        let renewed = wait(client.execute(text, &values));
        metrics::TRIPS.lease.took(self.begun.elapsed().saturating_sub(asked));
        let renewed = renewed.map_err(storage)?;
        if renewed == 1 {
            self.valid_until.store(until(self.lasts, asked), Ordering::Release);
        }
        Ok(renewed == 1)
    }

    /// Another has it.
    pub(crate) fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
        self.valid_until.store(0, Ordering::Release);
        self.lost.notify_waiters();
        self.lost.notify_one();
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }
}

impl Lease {
    /// Can nobody else have taken it yet?
    pub fn is_valid(&self) -> bool {
        let now = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        now < self.0.valid_until.load(Ordering::Acquire)
    }

    /// The number that every write of this owner names.
    pub fn fence(&self) -> i64 {
        self.0.fence
    }

    /// Returns when another node has it: this one must not go on.
    pub async fn lost(&self) {
        while !self.0.is_lost() {
            self.0.lost.notified().await;
        }
    }

    /// Lets another node have it at once. Blocks.
    pub fn release(&self) {
        self.0.lose();
        let text = "UPDATE lakerun_lease SET until = '-infinity'
                    WHERE owner = $2 AND (SELECT fence FROM lakerun_fence) = $1";
        let released = self
            .0
            .net
            .connect()
            .and_then(|client| wait(client.execute(text, &[&self.0.fence, &self.0.node])).map_err(storage));
        if let Err(error) = released {
            tracing::warn!(%error, "the lease could not be released; it runs out");
        }
    }
}
