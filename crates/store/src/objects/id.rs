//! Names of blobs: the time of their making and chance, in hexadecimal. The time lets a sweep leave alone what this run
//! has written.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The name of one blob: 12 hexadecimal digits of milliseconds, 20 of chance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(String);

impl BlobId {
    /// A name from a file's name, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let ok = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        ok.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn millis(&self) -> u64 {
        u64::from_str_radix(&self.0[..12], 16).unwrap_or(0)
    }

    /// Which of sixteen folders holds it.
    pub(super) fn shard(&self) -> usize {
        usize::from_str_radix(&self.0[31..], 16).unwrap_or(0)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes names that are never older than the start of this run, although the clock be set back.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) start: u64,
    last: AtomicU64,
}

impl Ids {
    pub(super) fn make(&self) -> BlobId {
        let now = now();
        let millis = self.last.fetch_max(now, Ordering::Relaxed).max(now);
        let chance: [u8; 10] = rand::random();
        BlobId(format!("{millis:012x}{}", hex::encode(chance)))
    }
}

impl Default for Ids {
    fn default() -> Self {
        let start = now();
        Self { start, last: AtomicU64::new(start) }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
