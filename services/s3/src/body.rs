//! Bytes on their way in and out: a request's body into a segment, an object's segments into a stream.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use service::Cx;
use store::objects::{Blob, Body, Seal};

use crate::S3;
use crate::checksum::{ALGORITHMS, Checksums, Digests, Hasher, OWN};
use crate::errors::{
    Result, entity_too_large, internal, invalid_argument_of, invalid_part_number, invalid_range, invalid_request,
    key_too_long, method_not_allowed, no_such_key, no_such_version,
};
use crate::keys;
use crate::records::{ObjectRecord, Segment};
use crate::sse::{self, CustomerKey, Opener, PIECE, Sse};
use crate::tx::{Tx, require_bucket};
use crate::version;

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
    /// Compute S3's own checksum beside what is asked for.
    pub(crate) with_own: bool,
}

impl Expected {
    /// The algorithms that the client names, with values or without.
    pub(crate) fn named(&self) -> Vec<String> {
        let mut named: Vec<String> = self.checksums.algorithms().into_iter().map(str::to_owned).collect();
        named.extend(self.algorithm.as_ref().map(|name| name.to_ascii_uppercase()));
        named
    }
}

/// How bytes that come in are encrypted.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    sse: Option<Sse>,
    customer: Option<CustomerKey>,
    /// Who asks, and for which object: KMS wants to know.
    cx: Cx,
    object: String,
}

impl Sealing {
    pub(crate) fn of(cx: &Cx, (bucket, key): (&str, &str), sse: Option<Sse>, customer: Option<CustomerKey>) -> Self {
        Self { sse, customer, cx: cx.clone(), object: arn(bucket, key) }
    }

    /// Are bytes that are encrypted so, or not at all, good under this too?
    pub(crate) fn is_like(&self, other: Option<&Sse>) -> bool {
        // Keys of SSE-S3 are kept encrypted under one key, whatever the object.
        self.sse.as_ref() == other && matches!(self.sse, None | Some(Sse::Managed))
    }
}

fn arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

/// Who reads an object, with the key that the client has sent along.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) customer: Option<&'a CustomerKey>,
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
        sealing: &Sealing,
        trailing: impl FnOnce() -> Result<Checksums>,
    ) -> Result<Received> {
        let mut algorithms = expected.checksums.algorithms();
        if let Some(algorithm) = expected.algorithm.as_deref().map(str::to_ascii_uppercase)
            && !algorithms.iter().any(|a| *a == algorithm)
        {
            algorithms.push(known_algorithm(&algorithm)?);
        }
        // What S3 adds since December 2024 where a client asks for none.
        if algorithms.is_empty() || (expected.with_own && !algorithms.contains(&OWN)) {
            algorithms.push(OWN);
        }
        let (seal, key) = match &sealing.sse {
            None => (None, None),
            Some(sse) => {
                let of_kms =
                    Box::pin(crate::kms::data_key(&sealing.cx, sse, &self.settings.kms_keys, &sealing.object)).await?;
                let (key, kept) = match of_kms {
                    Some(made) => made,
                    None => self.keys.make(sse, sealing.customer.as_ref())?,
                };
                (Some(Box::new(key.sealer()?) as Box<dyn Seal>), Some(kept))
            }
        };
        let mut writer = self.objects.sealed_writer(Hasher::new(&algorithms)?, seal);
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            writer.write(bytes).await.map_err(internal)?;
            if writer.size() > MAX_PUT {
                return Err(entity_too_large(MAX_PUT));
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
            .and_then(|()| trailing()?.check(&digests.checksums));
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
        let segment = Segment { id, size: written.size, inline: inline.is_some(), key };
        Ok(Received { segment, inline, digests })
    }

    /// An object (or a version of it) with its bytes opened, so that they stay readable whatever happens to the key.
    pub(crate) async fn open(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        reader: Reader<'_>,
    ) -> Result<Opened> {
        // A key that is overwritten between the two steps has lost the old blob: then the new record is read.
        for _ in 0..8 {
            let (record, inline) = self
                .store
                .read(|tx| {
                    require_bucket(tx, bucket)?;
                    let record = readable(tx, bucket, key, version)?;
                    let mut inline = Vec::new();
                    for segment in record.segments.iter().filter(|s| s.inline) {
                        inline.push(Bytes::from(tx.get(keys::inline(&segment.id))?.unwrap_or_default()));
                    }
                    Ok::<_, wire::Error>((record, inline))
                })
                .await?;
            sse::check_customer(record.sse.as_ref(), reader.customer)?;
            match self.open_segments(&record, inline).await {
                Ok(blobs) => return self.opened(record, blobs, reader, &arn(bucket, key)).await,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(internal(error)),
            }
        }
        Err(internal(format!("the bytes of {bucket}/{key} are missing")))
    }

    pub(crate) async fn opened(
        &self,
        record: ObjectRecord,
        blobs: Vec<Blob>,
        reader: Reader<'_>,
        object: &str,
    ) -> Result<Opened> {
        let mut sources = Vec::with_capacity(blobs.len());
        for (blob, segment) in blobs.into_iter().zip(&record.segments) {
            let source = self.source(blob, segment, record.sse.as_ref(), (reader, object)).await?;
            sources.push((source, segment.size));
        }
        Ok(Opened { record, sources })
    }

    async fn source(
        &self,
        blob: Blob,
        segment: &Segment,
        sse: Option<&Sse>,
        (reader, object): (Reader<'_>, &str),
    ) -> Result<Source> {
        let opener = match (&segment.key, sse) {
            (Some(kept), Some(sse)) => {
                let key = match Box::pin(crate::kms::open(reader.cx, sse, kept, object)).await? {
                    Some(key) => key,
                    None => self.keys.unwrap(sse, reader.customer, kept)?,
                };
                Some(Arc::new(key.opener(segment.size)?))
            }
            (None, _) => None,
            (Some(_), None) => return Err(internal("a segment is encrypted and its object is not")),
        };
        Ok(Source { blob, opener })
    }

    pub(crate) async fn open_segments(&self, record: &ObjectRecord, inline: Vec<Bytes>) -> std::io::Result<Vec<Blob>> {
        let mut inline = inline.into_iter();
        let mut blobs = Vec::with_capacity(record.segments.len());
        for segment in &record.segments {
            blobs.push(if segment.inline {
                Blob::from_bytes(inline.next().unwrap_or_default())
            } else {
                self.objects.open(&segment.id).await?
            });
        }
        Ok(blobs)
    }
}

/// Inside a transaction: the object, or the version that is asked for. A delete marker is none.
pub(crate) fn readable(tx: &mut Tx<'_>, bucket: &str, key: &str, version: Option<&str>) -> Result<ObjectRecord> {
    if key.len() > 1024 {
        return Err(key_too_long(key.len()));
    }
    let Some(id) = version else {
        if let Some(record) = version::current(tx, bucket, key)? {
            return Ok(record);
        }
        let newest = version::newest(tx, bucket, key)?;
        return Err(match newest {
            Some(marker) => no_such_key(key).with(DELETE_MARKER, true).with(VERSION_ID, marker.version_id()),
            None => no_such_key(key),
        });
    };
    if !version::is_id(id) {
        let message =
            if id.is_empty() { "Version id cannot be the empty string" } else { "Invalid version id specified" };
        return Err(invalid_argument_of("versionId", id, message));
    }
    match version::find(tx, bucket, key, id)? {
        Some(marker) if marker.marker => Err(method_not_allowed()
            .with(DELETE_MARKER, true)
            .with(VERSION_ID, id)
            .with(MODIFIED, marker.modified_ms)
            .with(ALLOW, "DELETE")),
        Some(record) => Ok(record),
        None => Err(no_such_version(key, id)),
    }
}

/// The bytes that a request wants: all, a range, or a part; and whether that makes the answer a partial one.
pub(crate) fn wanted(
    record: &ObjectRecord,
    range: Option<s3s::dto::Range>,
    part: Option<i32>,
) -> Result<(Range<u64>, bool)> {
    match (range, part) {
        (None, None) => Ok((0..record.size, false)),
        (Some(_), Some(_)) => Err(invalid_request("Cannot specify both Range header and partNumber query parameter")),
        (Some(range), None) => {
            let unsatisfiable = |_| invalid_range(&range.to_header_string(), record.size);
            let found = range.check(record.size).map_err(unsatisfiable)?;
            if found.is_empty() { Ok((0..record.size, false)) } else { Ok((found, true)) }
        }
        (None, Some(number)) => {
            let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).filter(|index| *index < 10_000);
            let missing = || {
                wire::Error::new("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
                    .with("PartNumberRequested", number)
                    .with("ActualPartCount", record.parts.as_ref().map_or(1, Vec::len))
            };
            let Some(index) = index else {
                return Err(invalid_part_number(&number.to_string()));
            };
            let Some(parts) = &record.parts else {
                return if index == 0 { Ok((0..record.size, false)) } else { Err(missing()) };
            };
            let part = parts.get(index).ok_or_else(missing)?;
            let start: u64 = parts[..index].iter().map(|p| p.size).sum();
            Ok((start..start + part.size, true))
        }
    }
}

pub(crate) fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// How many parts an object has, where one of them is asked for.
pub(crate) fn parts_count(record: &ObjectRecord, asked: Option<i32>) -> Option<i32> {
    asked?;
    record.parts.as_ref().and_then(|p| i32::try_from(p.len()).ok())
}

/// Members of errors that are headers of answers.
pub(crate) const DELETE_MARKER: &str = "x-amz-delete-marker";
pub(crate) const VERSION_ID: &str = "x-amz-version-id";
pub(crate) const MODIFIED: &str = "last-modified";
pub(crate) const ALLOW: &str = "allow";

/// Bytes that are read, decrypted where they were encrypted.
#[derive(Clone)]
struct Source {
    blob: Blob,
    opener: Option<Arc<Opener>>,
}

/// How many pieces one read brings into memory.
const PIECES: u64 = 4;

impl Source {
    fn stream(self, range: Range<u64>) -> BoxSync {
        let Some(opener) = self.opener else { return Box::pin(self.blob.stream(range)) };
        let blob = self.blob;
        Box::pin(futures::stream::unfold(Some(range), move |state| {
            let (blob, opener) = (blob.clone(), Arc::clone(&opener));
            async move {
                let range = state.filter(|r| !r.is_empty())?;
                let first = range.start / PIECE;
                let read = async {
                    let bytes = opener.open(first, &blob.read(opener.place(first, PIECES)).await?)?;
                    let from = to_usize(range.start - first * PIECE)?;
                    let end = bytes.len().min(from + to_usize(range.end - range.start)?);
                    if from >= end {
                        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
                    }
                    Ok(Bytes::from(bytes).slice(from..end))
                };
                match read.await {
                    Ok(bytes) => {
                        let next = range.start + bytes.len() as u64..range.end;
                        Some((Ok(bytes), Some(next)))
                    }
                    Err(error) => Some((Err(error), None)),
                }
            }
        }))
    }
}

fn to_usize(n: u64) -> std::io::Result<usize> {
    usize::try_from(n).map_err(std::io::Error::other)
}

/// An object that is being read.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) record: ObjectRecord,
    sources: Vec<(Source, u64)>,
}

impl Opened {
    pub(crate) fn stream(self, range: Range<u64>) -> BoxSync {
        let mut start = 0;
        let mut pieces = Vec::new();
        for (source, size) in self.sources {
            let (from, to) = (range.start.max(start), range.end.min(start + size));
            if from < to {
                pieces.push((source, from - start..to - start));
            }
            start += size;
        }
        if pieces.len() == 1
            && let Some((source, range)) = pieces.pop()
        {
            return source.stream(range);
        }
        Box::pin(futures::stream::iter(pieces).flat_map(|(source, range)| source.stream(range)))
    }

    /// The files that hold its bytes one after the other, and how many each holds; `None` where not all of them lie in files as they
    /// are.
    pub(crate) fn files(&self) -> Option<Vec<(Arc<std::fs::File>, u64)>> {
        let plain = |(source, size): &(Source, u64)| {
            let file = source.blob.file().filter(|_| source.opener.is_none())?;
            Some((Arc::clone(file), *size))
        };
        self.sources.iter().map(plain).collect()
    }

    /// The bytes of its one segment as they are kept.
    pub(crate) async fn kept_bytes(self) -> Result<Bytes> {
        let Some((source, _)) = self.sources.into_iter().next() else { return Ok(Bytes::new()) };
        let size = source.blob.len().map_err(internal)?;
        source.blob.read(0..size).await.map_err(internal)
    }

    /// All the bytes of `range` in memory.
    pub(crate) async fn bytes(self, range: Range<u64>) -> Result<Bytes> {
        let size = usize::try_from(range.end - range.start).map_err(internal)?;
        let mut stream = self.stream(range);
        let first = stream.try_next().await.map_err(internal)?.unwrap_or_default();
        if first.len() >= size {
            return Ok(first);
        }
        let mut all = Vec::with_capacity(size);
        all.extend_from_slice(&first);
        while let Some(chunk) = stream.try_next().await.map_err(internal)? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }
}

/// Bytes on their way out, as s3s wants them: the stream may be shared between threads.
pub(crate) type BoxSync = std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send + Sync>>;

pub(crate) fn known_algorithm(name: &str) -> Result<&'static str> {
    ALGORITHMS
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128]"))
}
