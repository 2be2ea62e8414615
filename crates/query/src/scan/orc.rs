//! ORC files, read in the ranges that the reader asks for.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use orc_rust::error::OrcError;
use orc_rust::reader::AsyncChunkReader;
use std::sync::Arc;

use crate::error::Error;

/// One file.
pub(super) struct Object {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) meta: ObjectMeta,
}

impl AsyncChunkReader for Object {
    fn len(&mut self) -> BoxFuture<'_, std::io::Result<u64>> {
        std::future::ready(Ok(self.meta.size)).boxed()
    }

    fn get_bytes(&mut self, offset: u64, length: u64) -> BoxFuture<'_, std::io::Result<Bytes>> {
        async move {
            let end = offset.checked_add(length).filter(|end| *end <= self.meta.size);
            let end = end.ok_or_else(|| std::io::Error::other("a stream lies outside of the file"))?;
            if length == 0 {
                return Ok(Bytes::new());
            }
            let options = GetOptions {
                range: Some(GetRange::Bounded(offset..end)),
                if_match: self.meta.e_tag.clone(),
                ..GetOptions::default()
            };
            let result = self.store.get_opts(&self.meta.location, options).await.map_err(std::io::Error::other)?;
            result.bytes().await.map_err(std::io::Error::other)
        }
        .boxed()
    }
}

/// Why a file is no ORC file, or what the store said of it.
pub(super) fn opened(path: &str, error: &OrcError) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && let Some(store) = io.get_ref().and_then(|inner| inner.downcast_ref::<object_store::Error>())
            && matches!(
                store,
                object_store::Error::NotFound { .. }
                    | object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. }
            )
        {
            return Error::cannot_open(path, store);
        }
        source = inner.source();
    }
    Error::cannot_open(path, error)
}
