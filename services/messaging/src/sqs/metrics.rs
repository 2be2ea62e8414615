//! What CloudWatch is told of queues: `AWS/SQS`, by `QueueName`.
//!
//! What is done is counted as it is done. Once a minute each active queue tells what it holds, how old the oldest message is, and 0 of what
//! was not done. A queue is active while it holds messages and for six hours after it was used; while none is, nothing is looked at.
//! Source: SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS", "Reporting Criteria".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use service::Router;
use service::meter::Measured;
use tokio::sync::Notify;
use wire::Error;

use super::queue::{Queue, QueueKey};
use super::{Sqs, message};

const EVERY: Duration = Duration::from_mins(1);
const ACTIVE_MS: i64 = 6 * 3600 * 1000;
/// Messages of a queue are counted again after so long for each: a million of them once in fifty minutes, which is what AWS calls approximate.
const COUNTED_MS: i64 = 3;
/// Of an empty queue that at most is polled zeros are told once in so many minutes: a value a minute of each would be more than all else that is kept.
const QUIET_MINUTES: i64 = 5;

/// What is counted as it is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Done {
    Sent,
    Received,
    Deleted,
    EmptyReceive,
}

impl Done {
    const ALL: [Self; 4] = [Self::Sent, Self::Received, Self::Deleted, Self::EmptyReceive];

    fn metric(self) -> &'static str {
        match self {
            Self::Sent => "NumberOfMessagesSent",
            Self::Received => "NumberOfMessagesReceived",
            Self::Deleted => "NumberOfMessagesDeleted",
            Self::EmptyReceive => "NumberOfEmptyReceives",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// The queues that CloudWatch hears of.
pub(super) struct Metrics {
    router: Arc<Router>,
    active: Mutex<BTreeMap<QueueKey, Active>>,
    first: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Active {
    used_ms: i64,
    /// The bits of what was done since the last look.
    done: u8,
    held: Option<Held>,
}

/// What a queue held when it was counted.
#[derive(Clone, Copy, Debug)]
struct Held {
    at_ms: i64,
    visible: usize,
    not_visible: usize,
    delayed: usize,
}

impl Held {
    fn all(&self) -> usize {
        self.visible + self.not_visible + self.delayed
    }

    fn holds_until_ms(&self) -> i64 {
        self.at_ms + i64::try_from(self.all()).unwrap_or(i64::MAX / 4).saturating_mul(COUNTED_MS)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new(router: Arc<Router>) -> Self {
        Self { router, active: Mutex::default(), first: Notify::new() }
    }

    /// The queue was used.
    pub(super) fn used(&self, place: &QueueKey) {
        self.note(place, self.router.now().as_millisecond(), 0);
    }

    fn note(&self, place: &QueueKey, used_ms: i64, done: u8) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if active.is_empty() {
            self.first.notify_one();
        }
        match active.get_mut(place) {
            Some(known) => {
                known.used_ms = known.used_ms.max(used_ms);
                known.done |= done;
            }
            None => _ = active.insert(place.clone(), Active { used_ms, done, held: None }),
        }
    }

    /// Something was done so often.
    pub(super) fn count(&self, place: &QueueKey, done: Done, times: usize) {
        self.note(place, self.router.now().as_millisecond(), done.bit());
        self.tell(place, done.metric(), number(times), "Count");
    }

    /// Messages of so many bytes were sent.
    pub(super) fn sent(&self, place: &QueueKey, sizes: &[usize]) {
        if sizes.is_empty() {
            return self.used(place);
        }
        self.count(place, Done::Sent, sizes.len());
        for bytes in sizes {
            self.tell(place, "SentMessageSize", number(*bytes), "Bytes");
        }
    }

    fn tell(&self, place: &QueueKey, metric: &str, value: f64, unit: &str) {
        let QueueKey { account, region, name } = place;
        let dimensions = &[("QueueName", name.as_str())];
        self.router.measure(Measured { account, region, namespace: "AWS/SQS", metric, dimensions, value, unit });
    }

    fn places(&self) -> Vec<(QueueKey, Active)> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|(place, active)| (place.clone(), *active)).collect()
    }

    /// After a look: what was seen is known, or the queue is active no more.
    fn looked(&self, place: &QueueKey, seen: Active, held: Held, now_ms: i64) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = active.get_mut(place) else { return };
        let is_idle = held.all() == 0 && known.used_ms + ACTIVE_MS < now_ms;
        if is_idle {
            active.remove(place);
        } else {
            // What was done since it was begun is for the next one.
            *known = Active { held: Some(held), done: known.done & !seen.done, ..*known };
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
fn number(of: usize) -> f64 {
    of as f64
}

impl Sqs {
    /// Tells of the queues, once a minute, for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        if let Err(error) = self.find_active().await {
            tracing::warn!(%error, "queues that hold messages could not be found; their metrics begin when they are used");
        }
        loop {
            let places = self.metrics.places();
            if places.is_empty() {
                self.metrics.first.notified().await;
                continue;
            }
            self.metrics.router.clock().sleep(EVERY).await;
            for (place, known) in self.metrics.places() {
                if let Err(error) = self.look(&place, known).await {
                    tracing::warn!(%error, queue = place.name, "what a queue holds could not be counted");
                }
            }
        }
    }

    /// At start, queues that hold messages are active.
    async fn find_active(&self) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let page = self.page(&after).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (_, queue) in page {
                let first = self.store.read(|tx| message::oldest_sent_ms(tx, &queue)).await?;
                if first.is_some() {
                    self.metrics.note(&queue.place(), 0, 0);
                }
            }
        }
    }

    async fn look(&self, place: &QueueKey, known: Active) -> Result<(), Error> {
        let now_ms = self.metrics.router.now().as_millisecond();
        self.sweep(place, now_ms).await?;
        let fresh = known.held.filter(|held| now_ms < held.holds_until_ms());
        let seen = self.store.read(|tx| {
            let Some(queue) = place.find(tx)? else { return Ok(None) };
            let held = match fresh {
                Some(held) => held,
                None => held(tx, &queue, now_ms)?,
            };
            Ok::<_, Error>(Some((held, message::oldest_sent_ms(tx, &queue)?)))
        });
        let Some((held, oldest_ms)) = seen.await? else {
            self.metrics.active.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
            return Ok(());
        };
        let metrics = &self.metrics;
        metrics.looked(place, known, held, now_ms);
        let was_empty = known.held.is_some_and(|held| held.all() == 0);
        // Who polls an empty queue is told of as it happens.
        let is_quiet = was_empty && held.all() == 0 && known.done & !Done::EmptyReceive.bit() == 0;
        if is_quiet && now_ms.div_euclid(60_000) % QUIET_MINUTES != 0 {
            return Ok(());
        }
        for done in Done::ALL.into_iter().filter(|done| known.done & done.bit() == 0) {
            metrics.tell(place, done.metric(), 0.0, "Count");
        }
        metrics.tell(place, "ApproximateNumberOfMessagesVisible", number(held.visible), "Count");
        metrics.tell(place, "ApproximateNumberOfMessagesNotVisible", number(held.not_visible), "Count");
        metrics.tell(place, "ApproximateNumberOfMessagesDelayed", number(held.delayed), "Count");
        #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
        let age = oldest_ms.map_or(0.0, |sent| ((now_ms - sent).max(0) / 1000) as f64);
        metrics.tell(place, "ApproximateAgeOfOldestMessage", age, "Seconds");
        Ok(())
    }
}

fn held(tx: &mut store::Tx<'_>, queue: &Queue, now_ms: i64) -> Result<Held, Error> {
    let (visible, not_visible, delayed) = message::counts(tx, queue, now_ms)?;
    Ok(Held { at_ms: now_ms, visible, not_visible, delayed })
}
