//! Queries are forgotten 45 days after they were started, as AWS forgets them (Athena User Guide, "View recent queries"), and the client
//! tokens of those that are no more. Result files stay: they are the account's own objects.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};
use wire::Error;

use crate::Athena;
use crate::ops::start::Token;
use crate::records::{Record, Scope};

/// The one task that looks at all accounts and regions.
pub(crate) const SWEEP: &str = "athena:sweep";
const KEPT: SignedDuration = SignedDuration::from_hours(45 * 24);
const EVERY: SignedDuration = SignedDuration::from_hours(24);
const AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Rows that one transaction looks at.
const PAGE: usize = 100;
/// After every name there is.
const LAST: &str = "\u{10ffff}";

/// Plans the sweep, where it is not planned.
pub(crate) fn plan(tx: &mut Tx<'_>) -> Result<(), Error> {
    if tx.has_task(SWEEP)? {
        return Ok(());
    }
    let at = tx.now() + EVERY;
    Ok(tx.enqueue(NewTask::new(SWEEP, SWEEP).at(at))?)
}

pub(crate) struct Sweeper(pub(crate) Arc<Athena>);

#[async_trait]
impl Runner for Sweeper {
    async fn run(&self, _: Task) -> Done {
        match self.all().await {
            Ok(()) => Done::RetryAfter(EVERY),
            Err(error) => {
                tracing::warn!(%error, "queries could not be swept; trying again");
                Done::RetryAfter(AGAIN)
            }
        }
    }
}

impl Sweeper {
    async fn all(&self) -> Result<(), Error> {
        let mut after = Vec::new();
        while let Some(parts) = self.next(Key::new("athena"), &after).await? {
            let [_, account, region, ..] = parts.as_slice() else { break };
            let scope = Scope { account: account.clone(), region: region.clone() };
            after = Key::new("athena").push(account).push(region).push(LAST).into_bytes();
            self.scope(&scope).await?;
        }
        Ok(())
    }

    /// The parts of the first key after another.
    async fn next(&self, prefix: Key, after: &[u8]) -> Result<Option<Vec<String>>, Error> {
        let found = self.store().read(|tx| tx.scan_after(&prefix, after, 1)).await?;
        let text = |part: Vec<u8>| String::from_utf8_lossy(&part).into_owned();
        Ok(found.first().map(|(key, _)| Key::parts(key).into_iter().map(text).collect()))
    }

    async fn scope(&self, scope: &Scope) -> Result<(), Error> {
        let oldest = (self.0.router.now() - KEPT).as_millisecond();
        let mut after = Vec::new();
        while let Some(parts) = self.next(scope.key("query-by-time"), &after).await? {
            let Some(group) = parts.get(4) else { break };
            // The newest are first.
            self.queries(scope, scope.by_time(group).push_i64(-oldest).into_bytes(), group).await?;
            after = scope.by_time(group).push_i64(i64::MAX).into_bytes();
        }
        self.tokens(scope).await
    }

    /// Forgets what a workgroup has after a key.
    async fn queries(&self, scope: &Scope, mut after: Vec<u8>, group: &str) -> Result<(), Error> {
        loop {
            let page = self.store().read(|tx| tx.scan_after(scope.by_time(group), &after, PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let (scope, keys) = (scope.clone(), page.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
            let write = self.store().write(move |tx| keys.iter().try_for_each(|key| forget(tx, &scope, key)));
            write.await?;
        }
    }

    /// Forgets the tokens of queries that are no more.
    async fn tokens(&self, scope: &Scope) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let page = self.store().read(|tx| tx.scan_after(scope.key("token"), &after, PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let scope = scope.clone();
            let write = self.store().write(move |tx| {
                for (key, _) in &page {
                    if let Some(token) = tx.get_json::<Token>(key)?
                        && !tx.has(scope.query(&token.id))?
                    {
                        tx.delete(key)?;
                    }
                }
                Ok::<_, Error>(())
            });
            write.await?;
        }
    }

    fn store(&self) -> &Store {
        &self.0.store
    }
}

/// Forgets one that is over.
fn forget(tx: &mut Tx<'_>, scope: &Scope, key: &[u8]) -> Result<(), Error> {
    let Some(id) = Key::parts(key).pop().and_then(|id| String::from_utf8(id).ok()) else { return Ok(()) };
    if tx.get_json::<Record>(scope.query(&id))?.is_some_and(|record| !record.is_over()) {
        return Ok(());
    }
    tx.delete(scope.query(&id))?;
    tx.delete(key)?;
    Ok(())
}
