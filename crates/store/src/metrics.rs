//! What the stores count of themselves, for whoever shows it: atomics that are read when somebody looks. Commits are counted by store, all
//! else by process, which is one node.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// Bounds of times, in seconds: a commit takes a tenth of a millisecond on a quick disk, a round trip to another machine one.
pub const SECONDS: &[f64] =
    &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Of requests that share a commit.
pub const REQUESTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The sum is kept in millionths.
const UNIT: f64 = 1e6;

/// How often values fell where.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// By bound, and last what is above all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram as it was when somebody looked.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The upper bound of each bucket and how many values are in it alone; the last has no bound.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    pub sum: f64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Of a value that is not negative.
    pub fn observe(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and far below 2^64"
        )]
        self.sum.fetch_add((value * UNIT) as u64, Ordering::Relaxed);
    }

    pub fn took(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    pub fn shown(&self) -> Shown {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a sum for people")]
        let sum = self.sum.load(Ordering::Relaxed) as f64 / UNIT;
        Shown { buckets, count, sum }
    }
}

/// What one store counts.
#[derive(Debug)]
pub struct Commits {
    /// From the first byte sent to the log until it is durable there.
    pub took: Histogram,
    /// Requests in each.
    pub requests: Histogram,
    pub bytes: AtomicU64,
    /// Requests that wait for their commit, those of the one under way included.
    pub waiting: Arc<AtomicUsize>,
    /// Bytes in memory that are not among the records yet.
    pub unmoved: AtomicUsize,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            took: Histogram::new(SECONDS),
            requests: Histogram::new(REQUESTS),
            bytes: AtomicU64::new(0),
            waiting: Arc::default(),
            unmoved: AtomicUsize::new(0),
        }
    }
}

/// Answers of PostgreSQL, by what was asked for.
#[derive(Debug)]
pub struct Trips {
    pub read: Histogram,
    pub commit: Histogram,
    /// Records brought from the log to their table: a transaction of several statements.
    pub bring: Histogram,
    pub lease: Histogram,
}

/// Those of this node.
pub static TRIPS: LazyLock<Trips> = LazyLock::new(|| {
    let new = || Histogram::new(SECONDS);
    Trips { read: new(), commit: new(), bring: new(), lease: new() }
});

impl Trips {
    pub fn by_name(&self) -> [(&'static str, &Histogram); 4] {
        [("read", &self.read), ("commit", &self.commit), ("bring", &self.bring), ("lease", &self.lease)]
    }
}

/// Requests to the bucket of objects, and those that failed; what is not there is no failure.
#[derive(Debug, Default)]
pub struct Asked {
    pub requests: AtomicU64,
    pub errors: AtomicU64,
}

/// By what was asked for.
pub static BUCKET: LazyLock<BTreeMap<&'static str, Asked>> =
    LazyLock::new(|| ["put", "get", "head", "copy", "delete", "list"].map(|name| (name, Asked::default())).into());

/// Counts a request to the bucket.
pub(crate) fn asked(operation: &str, failed: bool) {
    if let Some(asked) = BUCKET.get(operation) {
        asked.requests.fetch_add(1, Ordering::Relaxed);
        asked.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
    }
}

/// A sweep: when its last round was done, and how many rounds failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub done_ms: Option<i64>,
    pub errors: u64,
}

static SWEEPS: Mutex<BTreeMap<&'static str, Swept>> = Mutex::new(BTreeMap::new());

/// Notes the end of a round of a sweep; without a time it failed.
pub fn swept(sweep: &'static str, done_ms: Option<i64>) {
    let mut all = SWEEPS.lock().unwrap_or_else(PoisonError::into_inner);
    let swept = all.entry(sweep).or_default();
    match done_ms {
        Some(_) => swept.done_ms = done_ms,
        None => swept.errors += 1,
    }
}

/// All that have had a round since the start.
pub fn sweeps() -> BTreeMap<&'static str, Swept> {
    SWEEPS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&[1.0, 10.0]);
        for value in [0.0, 1.0, 1.5, 10.0, 11.0, 1e6] {
            histogram.observe(value);
        }
        let shown = histogram.shown();
        assert_eq!(shown.buckets, [(1.0, 2), (10.0, 2), (f64::INFINITY, 2)]);
        assert_eq!((shown.count, shown.sum), (6, 1_000_023.5));
    }

    #[test]
    fn a_round_that_failed_leaves_the_time_of_the_last_that_did_not() {
        swept("of the test", Some(7));
        swept("of the test", None);
        assert_eq!(sweeps()["of the test"], Swept { done_ms: Some(7), errors: 1 });
    }
}
