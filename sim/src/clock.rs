//! Time that passes only when nothing else can happen: when the runtime is about to park its thread, the clock moves to the next
//! timer and fires it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::Clock;
use tokio::sync::oneshot;

use crate::chance::Chance;

/// 2026-01-01T00:00:00Z.
const START_US: i64 = 1_767_225_600_000_000;

#[derive(Clone, Debug)]
pub struct SimClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    now_us: i64,
    next: u64,
    timers: BTreeMap<(i64, u64), oneshot::Sender<()>>,
    chance: Chance,
}

impl SimClock {
    pub fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(Times { now_us: START_US, next: 0, timers: BTreeMap::new(), chance })))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves to the next timer and fires it; false where there is none.
    pub fn advance(&self) -> bool {
        let mut times = self.times();
        let Some(((at, _), fire)) = times.timers.pop_first() else { return false };
        times.now_us = times.now_us.max(at);
        drop(times);
        let _ = fire.send(());
        true
    }

    /// Time passes while nothing runs.
    pub fn pass(&self, time: Duration) {
        let mut times = self.times();
        times.now_us += i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    }

    /// Seconds since the simulation's beginning.
    pub fn seconds(&self) -> u64 {
        u64::try_from((self.times().now_us - START_US) / 1_000_000).unwrap_or(0)
    }
}

impl Clock for SimClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.times().now_us).unwrap_or(jiff::Timestamp::MAX)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (fire, fired) = oneshot::channel();
        let mut times = self.times();
        let at = times.now_us.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        let key = (at, times.next);
        times.next += 1;
        times.timers.insert(key, fire);
        drop(times);
        let set = Timer { clock: self.clone(), key };
        Box::pin(async move {
            let _set = set;
            let _ = fired.await;
        })
    }

    fn random(&self) -> u128 {
        let mut times = self.times();
        (u128::from(times.chance.draw()) << 64) | u128::from(times.chance.draw())
    }
}

/// A sleep that nobody waits for any more leaves no timer behind.
struct Timer {
    clock: SimClock,
    key: (i64, u64),
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clock.times().timers.remove(&self.key);
    }
}
