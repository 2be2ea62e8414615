//! Blobs in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::id::{BlobId, Ids};

#[derive(Debug, Default)]
pub(super) struct Memory {
    ids: Ids,
    blobs: Mutex<BTreeMap<BlobId, Bytes>>,
}

impl Memory {
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
