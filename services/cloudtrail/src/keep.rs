//! The recorder: asked for every call while a trail logs, and for none while no trail does.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::SignedDuration;
use service::audit::{Audit, Call};
use store::{Cache, Store};
use wire::Error;

use crate::deliver;
use crate::event::Event;
use crate::trail::{self, Trail};

/// Accounts whose trails are remembered.
const ACCOUNTS: usize = 1000;

pub(crate) struct Keeper {
    store: Store,
    /// Whether any trail logs.
    on: AtomicBool,
    trails: Cache<Vec<Trail>>,
    deliver_seconds: i64,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    pub(crate) fn new(store: Store, deliver_seconds: i64) -> Self {
        let all = trail::all();
        let trails = Cache::new(&store, ACCOUNTS, move |key: &[u8]| key.starts_with(all.as_bytes()));
        Self { store, on: AtomicBool::new(false), trails, deliver_seconds }
    }

    /// Looks whether any trail logs.
    pub(crate) async fn look(&self) -> Result<(), Error> {
        let trails: Vec<Trail> = self.store.read(|tx| tx.list_json(trail::all(), usize::MAX)).await?;
        self.on.store(trails.iter().any(|trail| trail.logging), Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl Audit for Keeper {
    fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    async fn record(&self, call: Call<'_>) -> Result<(), Error> {
        let key = trail::of_account(call.cx.account());
        let look = |tx: &mut store::Tx<'_>| {
            let mut all: Vec<Trail> = tx.list_json(trail::of_account(call.cx.account()), usize::MAX)?;
            all.retain(|trail| trail.logging);
            Ok::<_, Error>(Some(all))
        };
        let Some(trails) = self.trails.find(key, look).await?.filter(|trails| !trails.is_empty()) else {
            return Ok(());
        };
        let event = Event::of(&call).await;
        let wanted: Vec<String> = trails.iter().filter(|trail| trail.wants(&event)).map(Trail::arn).collect();
        if wanted.is_empty() && event.data.is_some() {
            return Ok(());
        }
        let (account, seconds) = (call.cx.account().to_owned(), self.deliver_seconds);
        self.store
            .write(move |tx| {
                let kept = trail::events(&account, &event.region).push_i64(event.at_ms).push(&event.id);
                tx.put_json(kept, &event.record)?;
                for arn in &wanted {
                    let number = tx.next_number(trail::pending_number())?;
                    let place = trail::pending(arn).push(&event.region).push_u64(number);
                    tx.put_json(place, &event.record)?;
                    deliver::soon(tx, arn, SignedDuration::from_secs(seconds))?;
                }
                Ok(())
            })
            .await
    }
}
