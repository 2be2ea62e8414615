//! Bytes on their way in and out: a request's body into a segment, an object's segments into a stream.

use std::ops::Range;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use store::objects::{Blob, Body};

use crate::S3;
use crate::checksum::{Checksums, Digests, Hasher};
use crate::errors::{Result, entity_too_large, internal, key_too_long, no_such_key};
use crate::keys;
use crate::records::{ObjectRecord, Segment};
use crate::tx::require_bucket;

/// The largest body of one PUT.
pub(crate) const MAX_PUT: u64 = 5 * 1024 * 1024 * 1024;

/// What a client says about its body; checked against what came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) md5: Option<String>,
    pub(crate) checksums: Checksums,
    /// An algorithm to compute although no value was sent with it.
    pub(crate) algorithm: Option<String>,
    pub(crate) length: Option<u64>,
}

/// A body that is durable, or small enough to go with its metadata.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) segment: Segment,
    /// The bytes of an inline segment.
    pub(crate) inline: Option<Bytes>,
    pub(crate) digests: Digests,
}

impl S3 {
    /// Takes a body in. `trailing` is asked for checksums that come after it.
    pub(crate) async fn receive(
        &self,
        body: impl Stream<Item = Result<Bytes>>,
        expected: &Expected,
        trailing: impl FnOnce() -> Checksums,
    ) -> Result<Received> {
        let mut algorithms = expected.checksums.algorithms();
        if let Some(algorithm) = expected.algorithm.as_deref().map(str::to_ascii_uppercase)
            && !algorithms.iter().any(|a| *a == algorithm)
        {
            algorithms.push(known_algorithm(&algorithm)?);
        }
        let mut writer = self.objects.writer(Hasher::new(&algorithms)?);
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            writer.write(&bytes).await.map_err(internal)?;
            if writer.size() > MAX_PUT {
                return Err(entity_too_large());
            }
        }
        if expected.length.is_some_and(|length| length != writer.size()) {
            return Err(wire::Error::new(
                "IncompleteBody",
                400,
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
            ));
        }
        let written = writer.finish().await.map_err(internal)?;
        let digests = written.digest.finish();
        let checked = digests
            .check_md5(expected.md5.as_deref())
            .and_then(|()| expected.checksums.check(&digests.checksums))
            .and_then(|()| trailing().check(&digests.checksums));
        let (id, inline) = match written.body {
            Body::Inline(bytes) => (self.objects.new_id(), Some(bytes)),
            Body::Blob(id) => (id, None),
        };
        if let Err(error) = checked {
            if inline.is_none() {
                self.objects.delete(vec![id]).await;
            }
            return Err(error);
        }
        let segment = Segment { id, size: written.size, inline: inline.is_some() };
        Ok(Received { segment, inline, digests })
    }

    /// An object with its bytes opened, so that they stay readable whatever happens to the key.
    pub(crate) async fn open(&self, bucket: &str, key: &str) -> Result<Opened> {
        if key.len() > 1024 {
            return Err(key_too_long());
        }
        // A key that is overwritten between the two steps has lost the old blob: then the new record is read.
        for _ in 0..8 {
            let (record, inline) = self
                .store
                .read(|tx| {
                    require_bucket(tx, bucket)?;
                    let record: ObjectRecord =
                        tx.get_json(keys::object(bucket, key))?.ok_or_else(|| no_such_key(key))?;
                    let mut inline = Vec::new();
                    for segment in record.segments.iter().filter(|s| s.inline) {
                        inline.push(Bytes::from(tx.get(keys::inline(&segment.id))?.unwrap_or_default()));
                    }
                    Ok::<_, wire::Error>((record, inline))
                })
                .await?;
            match self.open_segments(&record, inline).await {
                Ok(sources) => return Ok(Opened { record, sources }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(internal(error)),
            }
        }
        Err(internal(format!("the bytes of {bucket}/{key} are missing")))
    }

    /// The bytes of one segment.
    pub(crate) async fn read_segment(&self, segment: &Segment) -> Result<BoxSync> {
        let blob = if segment.inline {
            let place = keys::inline(&segment.id);
            let bytes = self.store.read(|tx| Ok::<_, wire::Error>(tx.get(&place)?)).await?;
            Blob::from_bytes(bytes.unwrap_or_default().into())
        } else {
            self.objects.open(&segment.id).await.map_err(internal)?
        };
        Ok(Box::pin(blob.stream(0..segment.size)))
    }

    async fn open_segments(&self, record: &ObjectRecord, inline: Vec<Bytes>) -> std::io::Result<Vec<(Blob, u64)>> {
        let mut inline = inline.into_iter();
        let mut sources = Vec::with_capacity(record.segments.len());
        for segment in &record.segments {
            let blob = if segment.inline {
                Blob::from_bytes(inline.next().unwrap_or_default())
            } else {
                self.objects.open(&segment.id).await?
            };
            sources.push((blob, segment.size));
        }
        Ok(sources)
    }
}

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) record: ObjectRecord,
    sources: Vec<(Blob, u64)>,
}

impl Opened {
    pub(crate) fn stream(self, range: Range<u64>) -> BoxSync {
        let mut start = 0;
        let mut pieces = Vec::new();
        for (blob, size) in self.sources {
            let (from, to) = (range.start.max(start), range.end.min(start + size));
            if from < to {
                pieces.push((blob, from - start..to - start));
            }
            start += size;
        }
        Box::pin(futures::stream::iter(pieces).flat_map(|(blob, range)| blob.stream(range)))
    }

    /// All the bytes of `range` in memory.
    pub(crate) async fn bytes(self, range: Range<u64>) -> Result<Bytes> {
        let mut chunks: Vec<Bytes> = self.stream(range).try_collect().await.map_err(internal)?;
        match chunks.len() {
            0 => Ok(Bytes::new()),
            1 => Ok(chunks.remove(0)),
            _ => Ok(chunks.concat().into()),
        }
    }
}

/// Bytes on their way out, as s3s wants them: the stream may be shared between threads.
pub(crate) type BoxSync = std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send + Sync>>;

pub(crate) fn known_algorithm(name: &str) -> Result<&'static str> {
    ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| crate::errors::invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"))
}
