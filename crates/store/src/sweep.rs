//! Forgets replies that no task can ask for again, all the time and a little at a time: memory, disk and the writer's thread
//! see a bounded number of records in each turn, however many there are.
//!
//! A memo (see [`crate::Store::write_once`]) bears the name of the task that made the call, or a name that begins with it. It is
//! needed as long as that task is on a queue, however long that is, and a little longer: a call that was on its way when
//! its task ended may still arrive.

use std::time::Duration;

use crate::key::Key;
use crate::kv::{Pair, Store, decode, memo_prefix};
use crate::{Error, metrics};

/// Records looked at in one turn.
const TURN: usize = 500;
/// How long a reply is kept at least.
const KEPT: Duration = Duration::from_hours(1);
/// Between two turns: 10,000 records a second at most.
const BREATH: Duration = Duration::from_millis(50);
/// Between two rounds over all records.
const REST: Duration = Duration::from_mins(1);

#[derive(serde::Deserialize)]
struct Written {
    at_ms: i64,
}

/// What one turn came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub looked_at: usize,
    pub forgotten: usize,
    /// Where the next turn begins; `None`: the round is over.
    pub next: Option<Vec<u8>>,
}

/// Sweeps for ever. `stores` are all that the platform has: the task of a memo may be on the queue of another one.
pub async fn run(stores: Vec<Store>) {
    let Some(clock) = stores.first().map(|store| store.clock().clone()) else { return };
    loop {
        let mut is_whole = true;
        for store in &stores {
            let mut at = Vec::new();
            loop {
                match turn(store, &stores, &at, KEPT).await {
                    Ok(Turn { next: Some(next), .. }) => at = next,
                    Ok(Turn { next: None, .. }) => break,
                    Err(error) => {
                        tracing::warn!(%error, "replies that nobody needs any more could not be swept");
                        is_whole = false;
                        break;
                    }
                }
                clock.sleep(BREATH).await;
            }
        }
        metrics::swept("replies", is_whole.then(|| clock.now_ms()));
        clock.sleep(REST).await;
    }
}

/// One turn over a store's memos, from `after` on.
pub async fn turn(store: &Store, all: &[Store], after: &[u8], kept: Duration) -> Result<Turn, Error> {
    let page: Vec<Pair> = store.read(|tx| tx.scan_after(memo_prefix(), after, TURN)).await?;
    let before = store.clock().now_ms() - i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    let mut gone = Vec::new();
    for (key, value) in &page {
        if decode::<Written>(key, value)?.at_ms <= before && !is_needed(key, all).await? {
            gone.push(key.clone());
        }
    }
    let next = page.last().filter(|_| page.len() == TURN).map(|(key, _)| key.clone());
    let turn = Turn { looked_at: page.len(), forgotten: gone.len(), next };
    if !gone.is_empty() {
        store
            .write(move |tx| {
                for key in &gone {
                    tx.delete(key)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
    }
    Ok(turn)
}

/// Is a task on some queue that this memo is of? Its name is the memo's, up to the end or to a separator; or with what undoes it.
async fn is_needed(memo: &[u8], all: &[Store]) -> Result<bool, Error> {
    let Some(name) = Key::parts(memo).into_iter().nth(1).and_then(|name| String::from_utf8(name).ok()) else {
        return Ok(false);
    };
    let ends: Vec<usize> = name.match_indices([':', '/']).map(|(at, _)| at).chain([name.len()]).collect();
    for store in all {
        let found = store.read(|tx| {
            if tx.has_task(&format!("{name}/stop"))? {
                return Ok(true);
            }
            for end in ends.iter().rev() {
                if tx.has_task(&name[..*end])? {
                    return Ok(true);
                }
            }
            Ok::<_, Error>(false)
        });
        if found.await? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewTask;

    async fn memo(store: &Store, task: &str) {
        let memo = memo_prefix().push(task).push_u64(0);
        store.write_once(memo, |_| Ok::<_, Error>(1)).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_task_may_ask_for_stays() {
        let (store, other) = (Store::memory(), Store::memory());
        for task in ["over", "waiting", "waiting:log", "other/2/receive", "stopping"] {
            memo(&store, task).await;
        }
        store.write(|tx| tx.enqueue(NewTask::new("k", "waiting"))).await.unwrap();
        store.write(|tx| tx.enqueue(NewTask::new("k", "stopping/stop"))).await.unwrap();
        other.write(|tx| tx.enqueue(NewTask::new("k", "other/2"))).await.unwrap();
        let all = [store.clone(), other];
        let fresh = turn(&store, &all, &[], KEPT).await.unwrap();
        assert_eq!((fresh.looked_at, fresh.forgotten), (5, 0));
        let old = turn(&store, &all, &[], Duration::ZERO).await.unwrap();
        assert_eq!((old.looked_at, old.forgotten, old.next), (5, 1, None));
    }

    #[tokio::test]
    async fn a_turn_is_bounded_and_a_round_is_whole() {
        let store = Store::memory();
        for n in 0..=2 * TURN {
            memo(&store, &format!("t{n}")).await;
        }
        let (mut at, mut turns) = (Vec::new(), Vec::new());
        loop {
            let one = turn(&store, std::slice::from_ref(&store), &at, Duration::ZERO).await.unwrap();
            turns.push(one.forgotten);
            match one.next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(turns, [TURN, TURN, 1]);
        assert_eq!(store.read(|tx| tx.scan_prefix(memo_prefix(), 10)).await.unwrap().len(), 0);
    }
}
