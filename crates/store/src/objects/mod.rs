//! Object bytes: immutable blobs with ids, written once, read in ranges, deleted when no metadata names them any more.
//! Small bodies never get here as files: a [`Writer`] hands them back, and their owner keeps them beside its metadata.
//!
//! The order that makes an acknowledged object durable: bytes into a temporary file, fsync, rename, fsync of the folder
//! (shared between writers that finish together), and only then the metadata that names the blob. What a crash leaves in
//! between is named by nothing and is removed by [`Objects::sweep`].
//!
//! Not here: keys, buckets, ETags (the caller's [`Digest`] sees every byte and makes what it needs of them).

mod buffers;
mod disk;
mod folder;
mod id;
mod memory;
mod remote;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

pub use id::BlobId;
pub use remote::Bucket;
pub use writer::{Body, Digest, Seal, Writer, Written};

/// Bodies up to this size are handed back to be kept with their metadata.
pub const INLINE_LIMIT: usize = 16 * 1024;

/// How much one read of what is elsewhere brings into memory.
const READ_CHUNK: u64 = 1024 * 1024;

/// A place for blobs: a folder, a bucket that nodes share, or memory in tests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects(Arc<Backing>);

#[derive(Debug)]
enum Backing {
    Disk(disk::Disk),
    Memory(memory::Memory),
    Remote(remote::Remote),
}

impl Objects {
    /// Opens (and makes) the folder. What was in it before is garbage unless [`Objects::sweep`] is told that it lives.
    pub fn disk(root: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self(Arc::new(Backing::Disk(disk::Disk::open(root.into())?))))
    }

    /// A bucket's. `folder` is for copies on this machine: what it holds is deleted. `installation` names whose the blobs are.
    ///
    /// # Errors
    /// When another installation's are there, or the bucket cannot be reached.
    pub async fn bucket(bucket: Bucket, folder: impl Into<PathBuf>, installation: &str) -> io::Result<Self> {
        let remote = remote::Remote::open(bucket, folder.into())?;
        remote.claim(installation).await?;
        Ok(Self(Arc::new(Backing::Remote(remote))))
    }

    /// Where files are made.
    fn folder(&self) -> Option<&disk::Disk> {
        match &*self.0 {
            Backing::Disk(disk) => Some(disk),
            Backing::Remote(remote) => Some(&remote.disk),
            Backing::Memory(_) => None,
        }
    }

    /// Gives all nodes a file that is not a blob; nothing where only this one has the blobs.
    pub async fn share_file(&self, name: &str, path: &std::path::Path) -> io::Result<()> {
        match &*self.0 {
            Backing::Remote(remote) => remote.share_file(name, path).await,
            Backing::Disk(_) | Backing::Memory(_) => Ok(()),
        }
    }

    /// Brings such a file here.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn fetch_file(&self, name: &str, path: &std::path::Path) -> io::Result<()> {
        match &*self.0 {
            Backing::Remote(remote) => remote.fetch_file(name, path).await,
            Backing::Disk(_) | Backing::Memory(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub fn memory() -> Self {
        Self(Arc::new(Backing::Memory(memory::Memory::default())))
    }

    /// The same bytes as the next process finds them, where they outlive one only in a simulation: in memory. Others are as they are.
    #[must_use]
    pub fn after_restart(&self) -> Self {
        match &*self.0 {
            Backing::Memory(memory) => Self(Arc::new(Backing::Memory(memory.after_restart()))),
            Backing::Disk(_) | Backing::Remote(_) => self.clone(),
        }
    }

    /// Runs what may wait for a disk where it may; in memory nothing waits.
    async fn work<T: Send + 'static>(&self, f: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        match &*self.0 {
            Backing::Memory(_) => f(),
            Backing::Disk(_) | Backing::Remote(_) => disk::blocking(f).await,
        }
    }

    /// Begins a body. Dropping the writer before `finish` leaves nothing behind.
    pub fn writer<D: Digest>(&self, digest: D) -> Writer<D> {
        Writer::new(self.clone(), digest, None)
    }

    /// The same, of what `seal` makes of the body.
    pub fn sealed_writer<D: Digest>(&self, digest: D, seal: Option<Box<dyn Seal>>) -> Writer<D> {
        Writer::new(self.clone(), digest, seal)
    }

    /// A name for bytes that their owner keeps itself.
    pub fn new_id(&self) -> BlobId {
        match &*self.0 {
            Backing::Disk(disk) => disk.new_id(),
            Backing::Remote(remote) => remote.disk.new_id(),
            Backing::Memory(memory) => memory.new_id(),
        }
    }

    /// The blob opened for reading: it stays readable although it is deleted meanwhile.
    pub async fn open(&self, id: &BlobId) -> io::Result<Blob> {
        match &*self.0 {
            Backing::Disk(disk) => disk.open_blob(id).await.map(|file| Blob(Source::File(Arc::new(file)))),
            Backing::Memory(memory) => memory.read(id).map(|bytes| Blob(Source::Bytes(bytes))),
            Backing::Remote(remote) => Ok(Blob(match remote.open_blob(id).await? {
                remote::Opened::File(file) => Source::File(Arc::new(file)),
                remote::Opened::Far(far) => Source::Far(far),
            })),
        }
    }

    /// The whole blob.
    pub async fn read(&self, id: &BlobId) -> io::Result<Bytes> {
        let blob = self.open(id).await?;
        let len = blob.len()?;
        blob.read(0..len).await
    }

    /// A second blob with the same bytes and a life of its own; on disk a hard link, so it costs no copy.
    pub async fn duplicate(&self, id: &BlobId) -> io::Result<BlobId> {
        match &*self.0 {
            Backing::Disk(disk) => disk.duplicate(id).await,
            Backing::Memory(memory) => memory.duplicate(id),
            Backing::Remote(remote) => remote.duplicate(id).await,
        }
    }

    /// The names of all blobs.
    pub async fn names(&self) -> io::Result<Vec<BlobId>> {
        match &*self.0 {
            Backing::Disk(disk) => disk.names().await,
            Backing::Memory(memory) => Ok(memory.names()),
            Backing::Remote(remote) => {
                remote.names("blobs").await.map(|names| names.iter().filter_map(|name| BlobId::parse(name)).collect())
            }
        }
    }

    /// The names of all shared files.
    pub async fn file_names(&self) -> io::Result<Vec<String>> {
        match &*self.0 {
            Backing::Remote(remote) => remote.names("files").await,
            Backing::Disk(_) | Backing::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Keeps a copy of another place's blob, under its name.
    pub async fn take_over(&self, from: &Self, id: &BlobId) -> io::Result<()> {
        let mut file = self.folder().ok_or(io::ErrorKind::Unsupported)?.create_as(id)?;
        let blob = from.open(id).await?;
        let range = 0..blob.len()?;
        let mut pieces = std::pin::pin!(blob.stream(range));
        while let Some(piece) = futures::StreamExt::next(&mut pieces).await {
            let piece = piece?;
            file = disk::blocking(move || file.write(&piece).map(|()| file)).await?;
        }
        match &*self.0 {
            Backing::Remote(remote) => remote.keep(file).await.map(drop),
            Backing::Disk(_) | Backing::Memory(_) => disk::blocking(move || file.keep()).await.map(drop),
        }
    }

    /// Removes blobs that no metadata names any more. Best effort: what stays is swept at the next start.
    pub async fn delete(&self, ids: Vec<BlobId>) {
        match &*self.0 {
            Backing::Disk(disk) => disk.delete(ids).await,
            Backing::Memory(memory) => memory.delete(&ids),
            Backing::Remote(remote) => remote.delete(ids).await,
        }
    }

    /// Keeps every blob that is there, whatever is deleted, until the answer is released or dropped.
    #[must_use = "what it holds is let go with it"]
    pub fn hold(&self) -> Held {
        if let Backing::Disk(disk) = &*self.0 {
            disk.hold();
        }
        Held(Some(self.clone()))
    }

    /// Removes every blob and temporary file of earlier runs that is not in `live`; returns how many. Blobs of this run
    /// are never touched, so it may run while writers do.
    pub async fn sweep(&self, live: BTreeSet<BlobId>) -> io::Result<usize> {
        match &*self.0 {
            Backing::Disk(disk) => disk.sweep(live).await,
            Backing::Memory(memory) => Ok(memory.sweep(&live)),
            Backing::Remote(remote) => remote.sweep(live).await,
        }
    }
}

/// Blobs that are not deleted as long as this lives.
#[derive(Debug)]
pub struct Held(Option<Objects>);

impl Held {
    /// Deletes what was to be deleted meanwhile.
    pub async fn release(mut self) {
        if let Some(objects) = self.0.take()
            && let Backing::Disk(disk) = &*objects.0
        {
            disk.delete(disk.let_go()).await;
        }
    }
}

impl Drop for Held {
    /// What was to be deleted stays for the next start's sweep.
    fn drop(&mut self) {
        if let Some(Backing::Disk(disk)) = self.0.take().as_ref().map(|objects| &*objects.0) {
            drop(disk.let_go());
        }
    }
}

/// A blob opened for reading.
#[derive(Clone, Debug)]
pub struct Blob(Source);

#[derive(Clone, Debug)]
enum Source {
    File(Arc<std::fs::File>),
    Bytes(Bytes),
    Far(remote::Far),
}

impl Blob {
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(Source::Bytes(bytes))
    }

    pub fn len(&self) -> io::Result<u64> {
        match &self.0 {
            Source::File(file) => Ok(file.metadata()?.len()),
            Source::Bytes(bytes) => Ok(bytes.len() as u64),
            Source::Far(far) => Ok(far.size),
        }
    }

    /// The file that holds it, where one does: whoever has it reads the bytes without asking here, whatever becomes of the blob.
    pub fn file(&self) -> Option<&Arc<std::fs::File>> {
        match &self.0 {
            Source::File(file) => Some(file),
            Source::Bytes(_) | Source::Far(_) => None,
        }
    }

    fn chunk(&self) -> u64 {
        match &self.0 {
            Source::File(_) => buffers::CHUNK as u64,
            Source::Bytes(_) | Source::Far(_) => READ_CHUNK,
        }
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The bytes of `range`, all in memory.
    pub async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match &self.0 {
            Source::File(file) => disk::read_at(Arc::clone(file), range).await,
            Source::Bytes(bytes) => {
                let (start, end) = (to_usize(range.start)?, to_usize(range.end)?);
                if start > end || end > bytes.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(bytes.slice(start..end))
            }
            Source::Far(far) => far.read(range).await,
        }
    }

    /// The bytes of `range` in chunks, so that no object has to fit in memory.
    pub fn stream(self, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
        futures::stream::unfold(Some((self, range)), |state| async move {
            let (blob, range) = state?;
            if range.is_empty() {
                return None;
            }
            let end = range.end.min(range.start.saturating_add(blob.chunk()));
            match blob.read(range.start..end).await {
                Ok(bytes) => Some((Ok(bytes), Some((blob, end..range.end)))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

fn to_usize(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests;
