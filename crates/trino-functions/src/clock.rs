//! The time of a query: one for all of its rows, given by who runs it.

use std::sync::atomic::{AtomicI64, Ordering};

static NOW_MICROS: AtomicI64 = AtomicI64::new(0);

/// Picoseconds since 1970 in UTC.
pub fn now() -> i128 {
    i128::from(NOW_MICROS.load(Ordering::Relaxed)) * 1_000_000
}

/// Says what time it is for the query that this process runs.
pub fn set(micros: i64) {
    NOW_MICROS.store(micros, Ordering::Relaxed);
}
