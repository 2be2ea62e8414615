//! Blobs in a bucket of any S3, for nodes that share them. What is written goes through a file and is in the bucket before it counts;
//! the file stays as a copy, and what is read comes into one, up to a size: so readers and workers find files, as they do of a disk.
//! The copies are of this run alone and of bounded size. A blob that is read where it is stays there until the last of its readers is
//! done, though it is deleted meanwhile ([`Readers`]): as an open file does.
//!
//! Objects in the bucket: `PREFIX/blobs/ID`, `PREFIX/files/NAME` (see [`super::Objects::share_file`]), and `PREFIX/lakerun.id`, which
//! says whose the place is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path as ObjectPath;
use object_store::{GetResult, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, WriteMultipart};

use super::disk::{Disk, NewFile, blocking};
use super::id::BlobId;

/// A body up to this size is sent in one request, a larger one in parts of at least this size.
const PART: u64 = 8 << 20;
/// S3 takes 10,000 parts.
const MAX_PARTS: u64 = 9_000;
/// Parts on their way at once.
const AT_ONCE: usize = 4;
/// A larger blob is read in pieces from where it is.
const MAX_COPIED: u64 = 256 << 20;
/// `CopyObject` takes no more. Source: S3 API reference.
const MAX_COPY: u64 = 5 << 30;
/// Deleted at a time.
const DELETED: usize = 500;

/// A bucket, and whose it is.
#[derive(Clone)]
pub struct Bucket {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: String,
    /// Bytes that copies on this machine may take.
    pub cache_bytes: u64,
    /// May this node delete what nothing names? Asked before every deletion of a sweep.
    pub is_owner: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bucket({}, {:?})", self.store, self.prefix)
    }
}

#[derive(Debug)]
pub(super) struct Remote {
    pub(super) disk: Disk,
    bucket: Bucket,
    copies: Mutex<Copies>,
    readers: Arc<Readers>,
}

/// What this machine has copies of, the oldest first.
#[derive(Debug, Default)]
struct Copies {
    order: VecDeque<(BlobId, u64)>,
    bytes: u64,
}

impl Remote {
    /// `folder` is for copies: what it holds is deleted.
    pub(super) fn open(bucket: Bucket, folder: PathBuf) -> io::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        Ok(Self { disk: Disk::open(folder)?, bucket, copies: Mutex::default(), readers: Arc::default() })
    }

    fn within<const N: usize>(&self, parts: [&str; N]) -> ObjectPath {
        self.bucket.prefix.split('/').filter(|part| !part.is_empty()).chain(parts).collect()
    }

    fn place(&self, kind: &str, name: &str) -> ObjectPath {
        self.within([kind, name])
    }

    fn blob(&self, id: &BlobId) -> ObjectPath {
        self.place("blobs", id.as_str())
    }

    /// Makes the place this installation's. An error where it is another's.
    pub(super) async fn claim(&self, installation: &str) -> io::Result<()> {
        let place = self.within(["lakerun.id"]);
        let text = PutPayload::from(installation.to_owned().into_bytes());
        match counted("put", self.bucket.store.put_opts(&place, text, PutMode::Create.into()).await) {
            Ok(_) => return Ok(()),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        let found =
            counted("get", self.bucket.store.get(&place).await).map_err(failed)?.bytes().await.map_err(failed)?;
        if found != installation.as_bytes() {
            return Err(io::Error::other(format!(
                "{place} says that what is there belongs to another installation: choose another prefix"
            )));
        }
        Ok(())
    }

    /// Makes a written file durable: it is in the bucket when this returns.
    pub(super) async fn keep(&self, file: NewFile) -> io::Result<BlobId> {
        let (path, id) = (file.path(), file.id().clone());
        let size = self.send(&path, &self.blob(&id)).await?;
        blocking(move || file.keep_copy()).await?;
        self.copied(&id, size).await;
        Ok(id)
    }

    /// Sends a file; how long it is.
    async fn send(&self, path: &Path, to: &ObjectPath) -> io::Result<u64> {
        let opened = path.to_owned();
        let file = Arc::new(blocking(move || File::open(opened)).await?);
        let size = file.metadata()?.len();
        let read = |range: Range<u64>| super::disk::read_at(Arc::clone(&file), range);
        if size <= PART {
            let body = PutPayload::from_bytes(read(0..size).await?);
            counted("put", self.bucket.store.put(to, body).await).map_err(failed)?;
            return Ok(size);
        }
        let part = PART.max(size.div_ceil(MAX_PARTS));
        let chunk = usize::try_from(part).map_err(io::Error::other)?;
        let upload = counted("put", self.bucket.store.put_multipart(to).await).map_err(failed)?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, chunk);
        let mut at = 0;
        while at < size {
            let end = size.min(at + part);
            let sent = match counted("put", parts.wait_for_capacity(AT_ONCE).await) {
                Ok(()) => read(at..end).await,
                Err(error) => Err(failed(error)),
            };
            match sent {
                Ok(bytes) => parts.put(bytes),
                Err(error) => {
                    // What was sent would stay, and cost.
                    let _ = parts.abort().await;
                    return Err(error);
                }
            }
            at = end;
        }
        counted("put", parts.finish().await).map_err(failed)?;
        Ok(size)
    }

    /// The blob in a file, or where it is and how long.
    pub(super) async fn open_blob(&self, id: &BlobId) -> io::Result<Opened> {
        match self.disk.open_blob(id).await {
            Ok(file) => return Ok(Opened::File(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let place = self.blob(id);
        // From here on it is not deleted.
        if !self.readers.begin(id) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let reading = Arc::new(Reading {
            readers: Arc::clone(&self.readers),
            id: id.clone(),
            store: Arc::clone(&self.bucket.store),
            place: place.clone(),
        });
        let found = counted("get", self.bucket.store.get(&place).await).map_err(failed)?;
        let size = found.meta.size;
        let far = || Opened::Far(Far { reading: Arc::clone(&reading), size });
        if size > MAX_COPIED.min(self.bucket.cache_bytes) {
            return Ok(far());
        }
        match self.copy(id, found).await {
            Err(error) if is_full(&error) => return Ok(far()),
            copied => copied?,
        }
        let file = self.disk.open_blob(id).await?;
        if file.metadata()?.len() != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{place} came only in part")));
        }
        self.copied(id, size).await;
        Ok(Opened::File(file))
    }

    /// Makes a file of what was found.
    async fn copy(&self, id: &BlobId, found: GetResult) -> io::Result<()> {
        let mut file = self.disk.create_as(id)?;
        let mut pieces = found.into_stream();
        while let Some(piece) =
            pieces.try_next().await.inspect_err(|_| crate::metrics::asked("get", true)).map_err(failed)?
        {
            file = blocking(move || file.write(&piece).map(|()| file)).await?;
        }
        blocking(move || file.keep_copy()).await
    }

    /// Notes a copy, and removes the oldest while there are too many. Who reads them meanwhile has them open.
    async fn copied(&self, id: &BlobId, size: u64) {
        let mut old = Vec::new();
        {
            let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
            copies.order.push_back((id.clone(), size));
            copies.bytes += size;
            while copies.bytes > self.bucket.cache_bytes
                && let Some((id, size)) = copies.order.pop_front()
            {
                copies.bytes -= size;
                old.push(id);
            }
        }
        self.disk.delete(old).await;
    }

    pub(super) async fn duplicate(&self, id: &BlobId) -> io::Result<BlobId> {
        let (from, new) = (self.blob(id), self.disk.new_id());
        let size = counted("head", self.bucket.store.head(&from).await).map_err(failed)?.size;
        if size > MAX_COPY {
            return Err(io::Error::other(format!(
                "{from} has {size} bytes; no more than {MAX_COPY} can be copied at once"
            )));
        }
        counted("copy", self.bucket.store.copy(&from, &self.blob(&new)).await).map_err(failed)?;
        Ok(new)
    }

    pub(super) async fn delete(&self, ids: Vec<BlobId>) {
        let places: Vec<_> = ids.iter().filter(|id| !self.readers.leave(id)).map(|id| Ok(self.blob(id))).collect();
        let mut deleted = self.bucket.store.delete_stream(futures::stream::iter(places).boxed());
        while let Some(one) = deleted.next().await {
            match counted("delete", one) {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "a blob could not be removed from the bucket; the next start will");
                }
            }
        }
        drop(deleted);
        self.disk.delete(ids).await;
    }

    /// What is there of this kind.
    pub(super) async fn names(&self, kind: &str) -> io::Result<Vec<String>> {
        let folder = self.within([kind]);
        let names =
            self.bucket.store.list(Some(&folder)).map_ok(|object| object.location.filename().map(str::to_owned));
        let names: Vec<_> = counted("list", names.try_collect().await).map_err(failed)?;
        Ok(names.into_iter().flatten().collect())
    }

    pub(super) async fn sweep(&self, live: BTreeSet<BlobId>) -> io::Result<usize> {
        let found = self.names("blobs").await?;
        let ids = found.iter().filter_map(|name| BlobId::parse(name));
        let gone: Vec<_> = ids.filter(|id| self.disk.is_earlier(id) && !live.contains(id)).collect();
        let mut removed = 0;
        for ids in gone.chunks(DELETED) {
            if !(self.bucket.is_owner)() {
                return Err(io::Error::other("another node owns the stores"));
            }
            self.delete(ids.to_vec()).await;
            removed += ids.len();
        }
        Ok(removed)
    }

    pub(super) async fn share_file(&self, name: &str, path: &Path) -> io::Result<()> {
        self.send(path, &self.place("files", name)).await.map(drop)
    }

    /// Brings a shared file to this machine, whole or not at all.
    pub(super) async fn fetch_file(&self, name: &str, path: &Path) -> io::Result<()> {
        let found = counted("get", self.bucket.store.get(&self.place("files", name)).await).map_err(failed)?;
        let bytes = found.bytes().await.map_err(failed)?;
        let path = path.to_owned();
        blocking(move || {
            let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            io::Write::write_all(&mut file, &bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        })
        .await
    }
}

pub(super) enum Opened {
    File(File),
    Far(Far),
}

/// A blob that is read where it is.
#[derive(Clone, Debug)]
pub(super) struct Far {
    reading: Arc<Reading>,
    pub(super) size: u64,
}

impl Far {
    pub(super) async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let reading = Arc::clone(&self.reading);
        // A task of its own: who waits for it may be shared between threads, as bodies are, and the request itself may not.
        let read = tokio::spawn(async move { reading.store.get_range(&reading.place, range).await });
        let bytes = counted("get", read.await.map_err(io::Error::other)?).map_err(failed)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Blobs that are being read where they are: how many read each, and whether the last of them is to delete it. What is not deleted so
/// because the server ended is named by nothing, and the next start sweeps it.
#[derive(Debug, Default)]
struct Readers(Mutex<BTreeMap<BlobId, (usize, bool)>>);

impl Readers {
    fn known(&self) -> MutexGuard<'_, BTreeMap<BlobId, (usize, bool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False where it is deleted already, though others still read it.
    fn begin(&self, id: &BlobId) -> bool {
        let mut known = self.known();
        let reading = known.entry(id.clone()).or_default();
        reading.0 += usize::from(!reading.1);
        !reading.1
    }

    /// Leaves it to a blob's readers to delete it, where it has any.
    fn leave(&self, id: &BlobId) -> bool {
        self.known().get_mut(id).map(|reading| reading.1 = true).is_some()
    }

    /// Was that the last, and is it to be deleted?
    fn end(&self, id: &BlobId) -> bool {
        let mut known = self.known();
        let Some(reading) = known.get_mut(id) else { return false };
        reading.0 -= 1;
        if reading.0 > 0 {
            return false;
        }
        known.remove(id).is_some_and(|(_, deletes)| deletes)
    }
}

/// One who reads a blob, until dropped.
#[derive(Debug)]
struct Reading {
    readers: Arc<Readers>,
    id: BlobId,
    store: Arc<dyn ObjectStore>,
    place: ObjectPath,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.readers.end(&self.id) {
            return;
        }
        let (store, place) = (Arc::clone(&self.store), self.place.clone());
        let delete = async move {
            match counted("delete", store.delete(&place).await) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "a blob could not be removed from the bucket; the next start will");
                }
            }
        };
        // Without a runtime the server ends.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(delete);
        }
    }
}

/// Is there no room for a file on this machine?
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Counts a request's answer; of what is not there, or is there already, the bucket has answered well.
fn counted<T>(operation: &str, answer: Result<T, object_store::Error>) -> Result<T, object_store::Error> {
    use object_store::Error::{AlreadyExists, NotFound, NotModified, Precondition};
    let is_well = |error: &object_store::Error| {
        matches!(error, NotFound { .. } | AlreadyExists { .. } | Precondition { .. } | NotModified { .. })
    };
    crate::metrics::asked(operation, answer.as_ref().is_err_and(|error| !is_well(error)));
    answer
}

fn failed(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
