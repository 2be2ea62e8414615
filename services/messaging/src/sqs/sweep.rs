//! What is past its time in queues that nobody sends to, such as dead-letter queues: removed once a day, and before it would be counted.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use store::{Done, Key, NewTask, Runner, Task, Tx};
use wire::Error;

use super::queue::{Queue, QueueKey};
use super::{Sqs, message};

/// The one task that looks at all queues.
pub(super) const SWEEP: &str = "sqs:sweep";
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Transactions that a caller waits for; what is left is left to the task.
const ROUNDS: usize = 20;
/// Queues read at once.
const PAGE: usize = 100;

/// Plans the sweep, where it is not planned.
pub(super) fn plan(tx: &mut Tx<'_>) -> Result<(), Error> {
    if tx.has_task(SWEEP)? {
        return Ok(());
    }
    let at = tx.now() + EVERY;
    Ok(tx.enqueue(NewTask::new(SWEEP, SWEEP).at(at))?)
}

impl Sqs {
    /// Some of all queues with their keys, those behind a key.
    pub(super) async fn page(&self, after: &[u8]) -> Result<Vec<(Vec<u8>, Queue)>, Error> {
        let read = self.store.read(|tx| {
            let found = tx.scan_after(QueueKey::everywhere(), after, PAGE)?;
            found
                .into_iter()
                .map(|(key, value)| {
                    let queue: Queue = store::kv::decode(&key, &value)?;
                    Ok((key, queue))
                })
                .collect()
        });
        read.await
    }

    /// Removes what has expired, where the oldest messages have.
    pub(super) async fn sweep(&self, place: &QueueKey, now_ms: i64) -> Result<(), Error> {
        let expired = self.store.read(|tx| match place.find(tx)? {
            Some(queue) => message::has_expired(tx, &queue, now_ms),
            None => Ok(false),
        });
        if !expired.await? {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            if !self.sweep_some(place, now_ms).await? {
                break;
            }
        }
        Ok(())
    }

    /// True: there may be more.
    async fn sweep_some(&self, place: &QueueKey, now_ms: i64) -> Result<bool, Error> {
        let place = place.clone();
        let write = self.store.write(move |tx| match place.find(tx)? {
            Some(queue) => message::sweep(tx, &queue, now_ms),
            None => Ok(false),
        });
        write.await
    }
}

pub(super) struct Sweeper(pub(super) Arc<Sqs>);

#[async_trait]
impl Runner for Sweeper {
    async fn run(&self, _: Task) -> Done {
        let swept = self.all().await;
        store::metrics::swept("messages", swept.is_ok().then(|| self.0.store.clock().now_ms()));
        match swept {
            Ok(0) => Done::Finished,
            Ok(_) => Done::RetryAfter(EVERY),
            Err(error) => {
                tracing::warn!(%error, "queues could not be swept; trying again");
                Done::RetryAfter(SignedDuration::from_mins(10))
            }
        }
    }
}

impl Sweeper {
    /// Sweeps all queues; answers how many there are.
    async fn all(&self) -> Result<usize, Error> {
        let (mut after, mut count): (Vec<u8>, usize) = (Vec::new(), 0);
        loop {
            let page = self.0.page(&after).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after.clone_from(last);
            for (_, queue) in &page {
                let now_ms = self.0.store.clock().now_ms();
                while self.0.sweep_some(&queue.place(), now_ms).await? {}
            }
            count += page.len();
        }
    }
}

impl QueueKey {
    /// Where the queues of all accounts are.
    fn everywhere() -> Key {
        Key::new("sqs").push("queue")
    }
}
