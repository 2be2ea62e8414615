//! Blobs as files: `tmp/ID` while they are written, `blobs/S/ID` (S: the id's last digit) when they are whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, IoSliceMut, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::{ReadWriteFlags, preadv2};

use super::buffers::Buffer;
use super::folder::Folder;
use super::id::{BlobId, Ids};
use super::to_usize;
use crate::room;

const SHARDS: usize = 16;

#[derive(Debug)]
pub(super) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    ids: Ids,
    folders: Vec<Folder>,
    /// How many hold all bytes, and what is to be deleted when none does any more.
    held: Mutex<(usize, Vec<BlobId>)>,
}

impl Inner {
    fn temporary(&self, id: &BlobId) -> PathBuf {
        self.root.join("tmp").join(id.as_str())
    }
    fn place(&self, id: &BlobId) -> PathBuf {
        shard(&self.root, id.shard()).join(id.as_str())
    }
    fn held(&self) -> MutexGuard<'_, (usize, Vec<BlobId>)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn sync_folder_of(&self, id: &BlobId) -> io::Result<()> {
        self.folders[id.shard()].sync()
    }
}

impl Disk {
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(root.join("tmp"))?;
        for i in 0..SHARDS {
            fs::create_dir_all(shard(&root, i))?;
        }
        for path in [root.join("blobs"), root.clone()] {
            File::open(path)?.sync_all()?;
        }
        if let Some(parent) = root.parent().filter(|p| p.is_dir()) {
            File::open(parent)?.sync_all()?;
        }
        let folders = (0..SHARDS).map(|i| Folder::open(&shard(&root, i))).collect::<io::Result<_>>()?;
        Ok(Self(Arc::new(Inner { root, ids: Ids::default(), folders, held: Mutex::default() })))
    }

    pub(super) fn new_id(&self) -> BlobId {
        self.0.ids.make()
    }

    /// A temporary file for a new blob.
    pub(super) fn create(&self) -> io::Result<NewFile> {
        self.create_as(&self.0.ids.make())
    }

    /// The same for a blob that has a name already, a copy of one.
    pub(super) fn create_as(&self, id: &BlobId) -> io::Result<NewFile> {
        let temporary = self.0.ids.make();
        let file = File::create_new(self.0.temporary(&temporary))?;
        Ok(NewFile { disk: Arc::clone(&self.0), id: id.clone(), temporary, file, kept: false })
    }

    /// Is this a blob of an earlier run?
    pub(super) fn is_earlier(&self, id: &BlobId) -> bool {
        id.millis() < self.0.ids.start
    }

    pub(super) async fn open_blob(&self, id: &BlobId) -> io::Result<File> {
        let path = self.0.place(id);
        // What the kernel knows of it already is opened here and now: to ask another thread costs more.
        if let Ok(file) = rustix::fs::openat2(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), CACHED) {
            return Ok(file.into());
        }
        blocking(move || File::open(path)).await
    }

    pub(super) async fn duplicate(&self, id: &BlobId) -> io::Result<BlobId> {
        let (inner, old) = (Arc::clone(&self.0), id.clone());
        blocking(move || {
            let new = inner.ids.make();
            fs::hard_link(inner.place(&old), inner.place(&new))?;
            inner.sync_folder_of(&new)?;
            Ok(new)
        })
        .await
    }

    pub(super) async fn delete(&self, ids: Vec<BlobId>) {
        if ids.is_empty() {
            return;
        }
        {
            let mut held = self.0.held();
            if held.0 > 0 {
                held.1.extend(ids);
                return;
            }
        }
        let inner = Arc::clone(&self.0);
        let removed = blocking(move || {
            for id in &ids {
                remove(&inner.place(id))?;
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "a blob could not be removed; the next start will");
        }
    }

    pub(super) async fn names(&self) -> io::Result<Vec<BlobId>> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let mut names = Vec::new();
            for folder in (0..SHARDS).map(|i| shard(&inner.root, i)) {
                for entry in fs::read_dir(folder)? {
                    names.extend(entry?.file_name().to_str().and_then(BlobId::parse));
                }
            }
            Ok(names)
        })
        .await
    }

    pub(super) fn hold(&self) {
        self.0.held().0 += 1;
    }

    /// What was to be deleted meanwhile, if nobody else holds it.
    pub(super) fn let_go(&self) -> Vec<BlobId> {
        let mut held = self.0.held();
        held.0 = held.0.saturating_sub(1);
        if held.0 == 0 { std::mem::take(&mut held.1) } else { Vec::new() }
    }

    pub(super) async fn sweep(&self, live: BTreeSet<BlobId>) -> io::Result<usize> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let mut removed = 0;
            let folders = (0..SHARDS).map(|i| shard(&inner.root, i)).chain([inner.root.join("tmp")]);
            for folder in folders {
                let temporary = folder.ends_with("tmp");
                for entry in fs::read_dir(&folder)? {
                    let entry = entry?;
                    let Some(id) = entry.file_name().to_str().and_then(BlobId::parse) else { continue };
                    if inner.held().0 > 0 {
                        // Somebody copies what was there; the next start sweeps.
                        return Ok(removed);
                    }
                    if id.millis() < inner.ids.start && (temporary || !live.contains(&id)) {
                        remove(&entry.path())?;
                        removed += 1;
                    }
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// A blob that is being written. Dropped before [`NewFile::keep`], it takes its file along.
#[derive(Debug)]
pub(super) struct NewFile {
    disk: Arc<Inner>,
    id: BlobId,
    /// What it is called as long as it is being written.
    temporary: BlobId,
    file: File,
    kept: bool,
}

impl NewFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        room::beside(&self.file, room::BESIDE_BODIES)?;
        self.file.write_all(bytes)
    }

    /// Makes it durable and gives it its final name. Blocks.
    pub(super) fn keep(mut self) -> io::Result<BlobId> {
        self.file.sync_all()?;
        self.rename()?;
        self.disk.sync_folder_of(&self.id)?;
        Ok(self.id.clone())
    }

    /// Gives it its final name as long as the machine runs: of what is durable elsewhere. Blocks.
    pub(super) fn keep_copy(mut self) -> io::Result<()> {
        self.rename()
    }

    fn rename(&mut self) -> io::Result<()> {
        fs::rename(self.disk.temporary(&self.temporary), self.disk.place(&self.id))?;
        self.kept = true;
        Ok(())
    }

    pub(super) fn id(&self) -> &BlobId {
        &self.id
    }

    /// Where it is while it is being written.
    pub(super) fn path(&self) -> PathBuf {
        self.disk.temporary(&self.temporary)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = remove(&self.disk.temporary(&self.temporary))
        {
            tracing::warn!(%error, "a temporary file could not be removed; the next start will");
        }
    }
}

/// Opens only where no disk has to be asked.
const CACHED: ResolveFlags = ResolveFlags::CACHED;

/// Bytes that must be there. What the page cache holds is read on the caller's thread, what it does not on one that may wait.
pub(super) async fn read_at(file: Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    let len = to_usize(range.end.saturating_sub(range.start))?;
    let mut buffer = Buffer::of(len);
    let cached = preadv2(&file, &mut [IoSliceMut::new(buffer.bytes())], range.start, ReadWriteFlags::NOWAIT);
    // Kernels and file systems that know no such flag read nothing.
    let read = cached.unwrap_or(0);
    if read < len {
        buffer = blocking(move || {
            file.read_exact_at(&mut buffer.bytes()[read..], range.start + read as u64)?;
            Ok(buffer)
        })
        .await?;
    }
    Ok(buffer.freeze())
}

pub(super) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(io::Error::other)?
}

fn shard(root: &Path, i: usize) -> PathBuf {
    root.join("blobs").join(format!("{i:x}"))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
