//! What was read and may be used again: records in their decoded form, for as long as nobody has written records like them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::kv::{Store, Tx};

/// Which keys a watch is about.
type Concerns = dyn Fn(&[u8]) -> bool + Send + Sync;

/// Counts the commits that wrote certain keys.
#[derive(Clone)]
pub(crate) struct Watch {
    concerns: Arc<Concerns>,
    count: Arc<AtomicU64>,
}

impl Watch {
    pub(crate) fn new(concerns: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self { concerns: Arc::new(concerns), count: Arc::default() }
    }

    pub(crate) fn concerns(&self, key: &[u8]) -> bool {
        (self.concerns)(key)
    }

    /// After the commit, before whoever wrote hears of it.
    pub(crate) fn written(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

/// Tells who asks now and then whether anything was written to certain keys, at the cost of reading a number. What was committed
/// before it was made does not count.
#[derive(Clone)]
pub struct Changes(Watch);

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Changes")
    }
}

impl Changes {
    /// Every one costs each later write a look at its keys: make few, at start.
    pub fn new(store: &Store, concerns: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let watch = Watch::new(concerns);
        store.watch(watch.clone());
        Self(watch)
    }

    /// How many commits have written such keys.
    pub fn count(&self) -> u64 {
        self.0.count()
    }
}

/// Decoded records by key. A write of any key that the cache is about makes it empty: what is found is what a read that began now
/// would find. To be made before the store is used.
pub struct Cache<V> {
    store: Store,
    watch: Watch,
    limit: usize,
    known: Mutex<Known<V>>,
}

/// As of which count of the watch, and what was found by key.
type Known<V> = (u64, BTreeMap<Vec<u8>, Option<Arc<V>>>);

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl<V> Cache<V> {
    /// `concerns`: the keys that `read` of [`Cache::find`] looks at. At most `limit` records are kept.
    pub fn new(store: &Store, limit: usize, concerns: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let watch = Watch::new(concerns);
        store.watch(watch.clone());
        Self { store: store.clone(), watch, limit, known: Mutex::new((0, BTreeMap::new())) }
    }

    /// What `read` finds, or found since anything was written.
    pub async fn find<E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        mut read: impl FnMut(&mut Tx<'_>) -> Result<Option<V>, E>,
    ) -> Result<Option<Arc<V>>, E> {
        let key = key.as_ref();
        let count = self.watch.count();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.0 == count
                && let Some(found) = known.1.get(key)
            {
                return Ok(found.clone());
            }
        }
        let found = self.store.read(|tx| read(tx)).await?.map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 < count || known.1.len() >= self.limit {
            *known = (count.max(known.0), BTreeMap::new());
        }
        // What was read before the last write is not kept.
        if known.0 == count {
            known.1.insert(key.to_vec(), found.clone());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::Changes;
    use crate::{Error, Key, Store};

    #[tokio::test]
    async fn commits_are_counted_by_what_they_write() {
        let store = Store::memory();
        let owner = Key::new("a");
        let changes = Changes::new(&store, move |key| key.starts_with(owner.as_bytes()));
        let put = |key: Key| store.write(move |tx| tx.put(&key, b"1"));
        put(Key::new("b").push("x")).await.unwrap();
        assert_eq!(changes.count(), 0);
        put(Key::new("a").push("x")).await.unwrap();
        assert_eq!(changes.count(), 1);
        let undone: Result<(), Error> = store
            .write(|tx| {
                tx.put(Key::new("a"), b"1")?;
                Err(Error::Closed)
            })
            .await;
        assert!(undone.is_err());
        assert_eq!(changes.count(), 1, "what is undone is no change");
    }
}
