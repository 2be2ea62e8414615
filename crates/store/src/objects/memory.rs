//! Blobs in memory, for tests and simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::id::{BlobId, Ids};

#[derive(Debug, Default)]
pub(super) struct Memory {
    ids: Ids,
    blobs: Arc<Mutex<BTreeMap<BlobId, Bytes>>>,
    /// Those that were there before this run.
    earlier: BTreeSet<BlobId>,
}

impl Memory {
    /// What another process finds when this one has ended.
    pub(super) fn after_restart(&self) -> Self {
        let earlier = self.blobs().keys().cloned().collect();
        Self { ids: Ids::default(), blobs: Arc::clone(&self.blobs), earlier }
    }

    pub(super) fn sweep(&self, live: &BTreeSet<BlobId>) -> usize {
        let mut blobs = self.blobs();
        self.earlier.difference(live).filter(|id| blobs.remove(id).is_some()).count()
    }

    pub(super) fn new_id(&self) -> BlobId {
        self.ids.make()
    }

    pub(super) fn keep(&self, bytes: Bytes) -> BlobId {
        let id = self.ids.make();
        self.blobs().insert(id.clone(), bytes);
        id
    }

    pub(super) fn read(&self, id: &BlobId) -> io::Result<Bytes> {
        self.blobs().get(id).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn duplicate(&self, id: &BlobId) -> io::Result<BlobId> {
        let bytes = self.read(id)?;
        Ok(self.keep(bytes))
    }

    pub(super) fn names(&self) -> Vec<BlobId> {
        self.blobs().keys().cloned().collect()
    }

    pub(super) fn delete(&self, ids: &[BlobId]) {
        let mut blobs = self.blobs();
        for id in ids {
            blobs.remove(id);
        }
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobId, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
