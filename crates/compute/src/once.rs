//! A folder that is made once by whoever comes first, also of other servers, and is there whole or not at all: made beside its
//! place under a lock, then renamed.

use std::fs;
use std::path::{Path, PathBuf};

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
    /// It is whole: puts it in its place.
    pub(crate) fn keep(mut self) -> Result<(), Error> {
        if self.target.exists() {
            fs::remove_dir_all(&self.target).map_err(Error::io(format!("removing {}", self.target.display())))?;
        }
        fs::rename(&self.partial, &self.target).map_err(Error::io(format!("renaming {}", self.partial.display())))?;
        self.kept = true;
        Ok(())
    }
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
        second.keep().unwrap();
        assert!(target.join("all").exists());
        assert!(claim(&target, &target).await.unwrap().is_none());
    }
}
