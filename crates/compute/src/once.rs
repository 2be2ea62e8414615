//! A folder that is made once by whoever comes first, also of other servers, and is there whole or not at all: made beside its
//! place under a lock, then renamed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Error;

/// The right to make a folder. Dropped without [`Claim::keep`], what was made so far is removed.
#[derive(Debug)]
pub(crate) struct Claim {
    target: PathBuf,
    /// Where to make it; empty at first.
    pub(crate) partial: PathBuf,
    kept: bool,
    _lock: fs::File,
}

/// Waits for whoever makes `target` now. None: it is there, as `whole`, something in it or it itself, shows.
pub(crate) async fn claim(target: &Path, whole: &Path) -> Result<Option<Claim>, Error> {
    if whole.exists() {
        return Ok(None);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(Error::io(format!("making {}", parent.display())))?;
    }
    let lock = lock_file(target.with_extension("lock")).await?;
    if whole.exists() {
        return Ok(None);
    }
    // Under this lock: whatever an earlier attempt left is nobody's.
    let partial = target.with_extension("partial");
    crate::sandbox::empty_folder(&partial)?;
    Ok(Some(Claim { target: target.to_owned(), partial, kept: false, _lock: lock }))
}

impl Claim {
    /// It is whole: puts it in its place, once it is on the disk. Nobody looks later whether its files are whole.
    pub(crate) async fn keep(mut self) -> Result<(), Error> {
        let partial = self.partial.clone();
        let written = tokio::task::spawn_blocking(move || write_out(&partial)).await;
        let writing = Error::io(format!("writing {}", self.partial.display()));
        written.map_err(std::io::Error::other).and_then(|done| done).map_err(writing)?;
        if self.target.exists() {
            fs::remove_dir_all(&self.target).map_err(Error::io(format!("removing {}", self.target.display())))?;
        }
        fs::rename(&self.partial, &self.target).map_err(Error::io(format!("renaming {}", self.partial.display())))?;
        self.kept = true;
        Ok(())
    }
}

/// Says of a file that it is used now, and how long ago that was said, or it was written.
pub fn touch(file: &Path) -> std::io::Result<()> {
    fs::File::open(file)?.set_modified(SystemTime::now())
}

/// See [`touch`].
pub fn age(file: &Path) -> std::io::Result<Duration> {
    let at = fs::symlink_metadata(file)?.modified()?;
    // The clock may have been set back.
    Ok(SystemTime::now().duration_since(at).unwrap_or_default())
}

/// All that was written to the file system of a folder is on its disk when this returns: a file's name may get there before what it
/// holds, and after a power cut it is empty. One call for a folder of many files.
pub fn write_out(folder: &Path) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

async fn lock_file(path: PathBuf) -> Result<fs::File, Error> {
    let context = format!("locking {}", path.display());
    let lock = tokio::task::spawn_blocking(move || {
        let file = fs::File::create(path)?;
        file.lock()?;
        Ok(file)
    });
    lock.await.map_err(std::io::Error::other).and_then(|done| done).map_err(Error::io(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn made_once_and_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("cache/thing");
        let first = claim(&target, &target).await.unwrap().unwrap();
        let partial = first.partial.clone();
        fs::write(partial.join("half"), "x").unwrap();
        drop(first);
        assert!(!partial.exists() && !target.exists(), "what was not kept is gone");
        let second = claim(&target, &target).await.unwrap().unwrap();
        assert_eq!(fs::read_dir(&second.partial).unwrap().count(), 0);
        fs::write(second.partial.join("all"), "x").unwrap();
        second.keep().await.unwrap();
        assert!(target.join("all").exists());
        assert!(claim(&target, &target).await.unwrap().is_none());
    }
}
