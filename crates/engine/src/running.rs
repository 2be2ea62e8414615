//! Which of a machine's executions run: known in memory once somebody has asked, so that the answer costs what runs and not what ever
//! ran. Nothing of it is stored; the first question after a start reads the machine's whole list.
//!
//! An execution is noted before the commit with which it begins, and once more after it, since the list may have been read in between;
//! it is forgotten after the commit with which it ends. So all that run are here, and some that do not: who asks looks at each.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use asl::{Status, Timestamp};
use store::Tx;
use wire::Error;

use crate::read::{self, Filter, Listed, Page};
use crate::records;
use crate::{Engine, ExecutionArn};

/// Executions that are looked at in one read.
const LOOKED_AT: usize = 200;

/// By the prefix of a machine's list, the keys of those that run.
#[derive(Default)]
pub(crate) struct Running(Mutex<BTreeMap<Vec<u8>, Known>>);

#[derive(Default)]
struct Known {
    /// The list has been read.
    is_whole: bool,
    /// With the numbers of the shards that they are in.
    keys: BTreeMap<Vec<u8>, usize>,
}

impl Running {
    fn with<T>(&self, machine: &[u8], look: impl FnOnce(&mut Known) -> T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(machine).map(look)
    }

    fn is_any_known(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// From here on the machine's executions are noted.
    fn begin(&self, machine: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(machine.to_owned()).or_default();
    }

    /// To be called before the commit.
    pub(crate) fn begins(&self, arn: &ExecutionArn, started: Timestamp, shard: usize) {
        if !self.is_any_known() {
            return;
        }
        let machine = records::listing(arn.account(), arn.region(), arn.machine());
        self.with(machine.as_bytes(), |known| known.keys.insert(records::listed(arn, started).into_bytes(), shard));
    }

    /// To be called after it.
    pub(crate) fn ended(&self, arn: &ExecutionArn, started: Timestamp) {
        if !self.is_any_known() {
            return;
        }
        let machine = records::listing(arn.account(), arn.region(), arn.machine());
        self.with(machine.as_bytes(), |known| known.keys.remove(records::listed(arn, started).as_bytes()));
    }
}

impl Engine {
    /// Those of a list that run.
    pub(crate) async fn list_running(
        &self,
        (account, region, machine): (&str, &str, &str),
        filter: &Filter,
        after: Vec<u8>,
        limit: usize,
    ) -> Result<Page<Listed>, Error> {
        let prefix = records::listing(account, region, machine).into_bytes();
        self.know_running(&prefix).await?;
        let (mut items, mut at) = (Vec::new(), after);
        loop {
            let next = |known: &mut Known| {
                let behind = (Bound::Excluded(at.clone()), Bound::Unbounded);
                known
                    .keys
                    .range(behind)
                    .take(LOOKED_AT + 1)
                    .map(|(key, shard)| (key.clone(), *shard))
                    .collect::<Vec<_>>()
            };
            let mut keys = self.inner.running.with(&prefix, next).unwrap_or_default();
            let mut more = keys.len() > LOOKED_AT;
            keys.truncate(LOOKED_AT);
            let room = limit - items.len();
            let (mut found, mut looked_at) = (Vec::new(), 0);
            // Those of one shard that stand together are read together: with one, all.
            for keys in keys.chunk_by(|(_, a), (_, b)| a == b) {
                let Some((_, shard)) = keys.first() else { break };
                let store = &self.inner.shards.all()[*shard].store;
                let piece = store.read(|tx| running(tx, keys, filter, room - found.len())).await?;
                found.extend(piece.0);
                looked_at += piece.1;
                if found.len() == room {
                    break;
                }
            }
            items.extend(found);
            more |= looked_at < keys.len();
            let Some(last) = looked_at.checked_sub(1).and_then(|last| keys.get(last)).map(|(key, _)| key) else {
                return Ok(Page { items, next: None });
            };
            at.clone_from(last);
            if !more || items.len() >= limit {
                return Ok(Page { items, next: more.then_some(at) });
            }
        }
    }

    /// Reads a machine's list, once.
    async fn know_running(&self, prefix: &[u8]) -> Result<(), Error> {
        if self.inner.running.with(prefix, |known| known.is_whole) == Some(true) {
            return Ok(());
        }
        self.inner.running.begin(prefix);
        for (number, shard) in self.inner.shards.all().iter().enumerate() {
            let mut at = Vec::new();
            loop {
                // Piece by piece: a read keeps commits waiting.
                let Page { items, next } = shard.store.read(|tx| unended(tx, prefix, &at)).await?;
                self.inner.running.with(prefix, |known| known.keys.extend(items.into_iter().map(|key| (key, number))));
                match next {
                    Some(next) => at = next,
                    None => break,
                }
                tokio::task::yield_now().await;
            }
        }
        self.inner.running.with(prefix, |known| known.is_whole = true);
        Ok(())
    }
}

/// Those that run of some of a list, up to `room`; and how many were looked at.
fn running(
    tx: &mut Tx<'_>,
    keys: &[(Vec<u8>, usize)],
    filter: &Filter,
    room: usize,
) -> Result<(Vec<Listed>, usize), Error> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    for (key, _) in keys {
        looked_at += 1;
        let arn = tx.get(key)?.and_then(|text| ExecutionArn::parse(&String::from_utf8(text).ok()?));
        let Some(arn) = arn else { continue };
        let Some(summary) = read::summary(tx, &arn)? else { continue };
        if filter.admits(&summary, false) {
            found.push(Listed { arn, summary, pending_redrive: false });
            if found.len() == room {
                break;
            }
        }
    }
    Ok((found, looked_at))
}

/// The next piece of a list: the keys of those that run.
fn unended(tx: &mut Tx<'_>, prefix: &[u8], after: &[u8]) -> Result<Page<Vec<u8>>, Error> {
    let found = tx.scan_after(prefix, after, LOOKED_AT)?;
    let next = found.last().filter(|_| found.len() == LOOKED_AT).map(|(key, _)| key.clone());
    let mut items = Vec::new();
    for (key, value) in found {
        let Some(arn) = String::from_utf8(value).ok().and_then(|text| ExecutionArn::parse(&text)) else { continue };
        if read::summary(tx, &arn)?.is_some_and(|summary| summary.status == Status::Running) {
            items.push(key);
        }
    }
    Ok(Page { items, next })
}
