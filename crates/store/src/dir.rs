//! The data folder: its lock, its format version, the store files in it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::{Error, Store};

/// Raised by a change that older servers cannot read. 2: commits are in a log before they are in SQLite; tasks due at once have rows
/// of their own.
const FORMAT: u32 = 2;

/// An opened data folder: held by this process alone until dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// How often the lock is tried, and the pause between two tries. A killed server's lock may outlive it by what it had forked and what had
/// not become its own program yet.
const TRIES: usize = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

fn held(lock: &File) -> bool {
    (0..TRIES).any(|tried| {
        if tried > 0 {
            std::thread::sleep(PAUSE);
        }
        lock.try_lock().is_ok()
    })
}

/// A file that a data folder has while a backup is being copied into it.
pub const RESTORING: &str = "restoring";

impl DataDir {
    /// Opens the folder, making it (private to its owner) where it does not exist.
    ///
    /// # Errors
    /// `Unusable` when another server holds it or a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder
            .create(path)
            .map_err(|e| Error::Unusable(format!("cannot make data folder {}: {e}", path.display())))?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"))?;
        if !held(&lock) {
            return Err(Error::Unusable(format!(
                "another lakerun server holds the data folder {} (stop it, or choose another with --data)",
                path.display()
            )));
        }
        if path.join(RESTORING).exists() {
            return Err(Error::Unusable(format!(
                "a restore into the data folder {} was cut short: empty the folder and restore again",
                path.display()
            )));
        }
        let version = path.join("format");
        let mut text = String::new();
        if let Ok(mut file) = File::open(&version) {
            file.read_to_string(&mut text)?;
        } else {
            "0".clone_into(&mut text);
        }
        match text.trim().parse::<u32>() {
            Ok(n) if n <= FORMAT => {
                if n < FORMAT {
                    mark(path, &version)?;
                }
                Ok(Self { path: path.to_owned(), _lock: lock })
            }
            Ok(n) => Err(Error::Unusable(format!(
                "data folder {} has format {n}; this lakerun reads up to {FORMAT}: use a newer one",
                path.display()
            ))),
            Err(_) => Err(Error::Unusable(format!("{} does not hold a format number", version.display()))),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Opens the store of this name, e.g. `control`.
    pub fn store(&self, name: &str) -> Result<Store, Error> {
        Store::open(&self.path.join(format!("{name}.db")))
    }
}

/// Writes the format's number, whole or not at all.
fn mark(folder: &Path, version: &Path) -> Result<(), Error> {
    let temporary = version.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    std::fs::rename(&temporary, version)?;
    Ok(File::open(folder)?.sync_all()?)
}
