//! Which bucket a request was let to. Names of buckets are given up and taken again, while the body of a request may come slowly: what
//! was allowed, and settled by the settings, of one bucket must not be done to another of its name.
//!
//! A request over HTTP keeps the identity of each bucket that it looks at first, which is when its permissions are asked for; each
//! of its transactions compares. Calls in process have their bodies with them, and nothing to wait for.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::errors::{Result, no_such_bucket};
use crate::records::BucketRecord;
use crate::tx::{Tx, require_bucket};

type Identity = (String, i64);

/// The buckets that a request has seen, by name.
type Seen = Arc<Mutex<BTreeMap<String, Identity>>>;

tokio::task_local! {
    static SEEN: Seen;
}

/// Answers a request, whose buckets are kept in mind meanwhile.
pub(crate) fn during<F: Future>(request: F) -> impl Future<Output = F::Output> {
    SEEN.scope(Seen::default(), request)
}

/// The request looks at a bucket. Where it has seen another of the name, there is none for it.
pub(crate) fn note(bucket: &BucketRecord) -> Result<()> {
    let same = SEEN.try_with(|seen| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = seen.get(&bucket.name) {
            return *first == bucket.identity();
        }
        seen.insert(bucket.name.clone(), bucket.identity());
        true
    });
    // Outside of a request nobody keeps it.
    if same.unwrap_or(true) { Ok(()) } else { Err(no_such_bucket(&bucket.name)) }
}

/// A bucket that a transaction is to change something of.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    name: String,
    seen: Option<Identity>,
}

impl Home {
    /// Made before the transaction, in the request itself.
    pub(crate) fn of(name: &str) -> Self {
        let seen = SEEN.try_with(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned());
        Self { name: name.to_owned(), seen: seen.ok().flatten() }
    }

    /// The bucket's record. Another bucket of the name is as none.
    pub(crate) fn require(&self, tx: &mut Tx<'_>) -> Result<BucketRecord> {
        let found = require_bucket(tx, &self.name)?;
        match &self.seen {
            Some(seen) if *seen != found.identity() => Err(no_such_bucket(&self.name)),
            _ => Ok(found),
        }
    }
}
