//! A function's code: the archive as it came and the folder it is unpacked to, both named by the archive's hash.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use api_lambda::error;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use store::objects::Objects;
use wire::Error;
use zip::ZipArchive;

/// AWS's limits.
const MAX_UNPACKED_BYTES: u64 = crate::layer::MAX_UNPACKED_BYTES;
pub(crate) const MAX_DIRECT_BYTES: usize = 52_428_800;
const MAX_ENTRIES: usize = 100_000;

/// An archive that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// Hex, as file name.
    pub(crate) name: String,
    /// Base64, as AWS shows it.
    pub(crate) sha256: String,
    pub(crate) bytes: i64,
    pub(crate) unpacked_bytes: u64,
}

/// The folder that holds all functions' code, and where nodes share the archives.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
    shared: Option<Objects>,
}

impl Archive {
    pub(crate) fn new(folder: PathBuf, shared: Option<Objects>) -> Self {
        Self { folder, shared }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.zip"))
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Brings an archive here that another node has kept.
    pub(crate) async fn fetch(&self, name: &str) -> io::Result<()> {
        let file = self.file(name);
        match &self.shared {
            Some(shared) if !file.exists() => shared.fetch_file(&format!("lambda-{name}.zip"), &file).await,
            _ => Ok(()),
        }
    }

    /// Gives it to all nodes.
    pub(crate) async fn share(&self, code: &Code) -> Result<(), Error> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let name = format!("lambda-{}.zip", code.name);
        shared.share_file(&name, &self.file(&code.name)).await.map_err(Error::internal)
    }

    /// Checks an archive and keeps it: on disk when this returns.
    pub(crate) fn keep(&self, zip: &[u8]) -> Result<Code, Error> {
        let unpacked_bytes = check(zip)?;
        let hash = Sha256::digest(zip);
        let name = hex::encode(hash);
        let sha256 = base64::engine::general_purpose::STANDARD.encode(hash);
        let code = Code { name, sha256, bytes: i64::try_from(zip.len()).unwrap_or(i64::MAX), unpacked_bytes };
        let file = self.file(&code.name);
        if !file.exists() {
            self.write(&file, zip).map_err(Error::internal)?;
        }
        Ok(code)
    }

    fn write(&self, file: &Path, zip: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder)?;
        temporary.write_all(zip)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        File::open(&self.folder)?.sync_all()
    }

    /// The folder with the code in it, unpacked now if it is not there.
    pub(crate) fn unpack(&self, name: &str) -> io::Result<PathBuf> {
        self.unpack_all(&self.folder(name), std::slice::from_ref(&name))
    }

    /// The folder with all that these archives hold, of which a later one goes before an earlier one.
    pub(crate) fn merge(&self, names: &[String]) -> io::Result<PathBuf> {
        let hash = Sha256::digest(names.join("+"));
        self.unpack_all(&self.folder(&format!("layers-{}", hex::encode(hash))), names)
    }

    fn unpack_all(&self, folder: &Path, names: &[impl AsRef<str>]) -> io::Result<PathBuf> {
        if folder.exists() {
            return Ok(folder.to_owned());
        }
        let partial = tempfile::Builder::new().prefix("unpacking").tempdir_in(&self.folder)?;
        for name in names {
            let file = io::BufReader::new(File::open(self.file(name.as_ref()))?);
            unpack(ZipArchive::new(file).map_err(io::Error::other)?, partial.path())?;
        }
        open_folders(partial.path())?;
        match fs::rename(partial.path(), folder) {
            // Somebody else was quicker.
            Err(_) if folder.exists() => Ok(folder.to_owned()),
            renamed => renamed.map(|()| folder.to_owned()),
        }
    }
}

/// Functions run as users of their own, whatever the server's mask of permissions is.
fn open_folders(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

/// What it holds unpacked, in bytes, as its headers say.
fn check(zip: &[u8]) -> Result<u64, Error> {
    let unusable = || {
        error::invalid_parameter_value_exception(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        )
    };
    let mut archive = ZipArchive::new(io::Cursor::new(zip)).map_err(|_| unusable())?;
    if archive.is_empty() {
        return Err(error::invalid_parameter_value_exception("Uploaded file must be a non-empty zip"));
    }
    if archive.len() > MAX_ENTRIES {
        return Err(unusable());
    }
    let mut bytes = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|_| unusable())?;
        entry.enclosed_name().ok_or_else(unusable)?;
        bytes = bytes.saturating_add(entry.size());
    }
    if bytes > MAX_UNPACKED_BYTES {
        let message = format!("Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes");
        return Err(error::invalid_parameter_value_exception(message));
    }
    Ok(bytes)
}

/// Files first and links last, so that nothing is ever written through a link.
fn unpack<R: io::Read + io::Seek>(mut archive: ZipArchive<R>, folder: &Path) -> io::Result<()> {
    let mut left = MAX_UNPACKED_BYTES;
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(io::Error::other)?;
        let name = entry.enclosed_name().ok_or_else(|| io::Error::other("an entry outside of the archive"))?;
        let path = folder.join(&name);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        if entry.is_symlink() {
            let mut target = String::new();
            entry.by_ref().take(4096).read_to_string(&mut target)?;
            links.push((name, target));
            continue;
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        // What an earlier archive has there is replaced, a link not followed.
        if path.symlink_metadata().is_ok_and(|there| !there.is_dir()) {
            fs::remove_file(&path)?;
        }
        let mut file = File::create(&path)?;
        // What the header says of the size is not to be believed.
        let copied = io::copy(&mut entry.by_ref().take(left + 1), &mut file)?;
        left = left.checked_sub(copied).ok_or_else(|| io::Error::other("the archive is larger than it says"))?;
        file.set_permissions(fs::Permissions::from_mode(if mode & 0o111 == 0 { 0o644 } else { 0o755 }))?;
    }
    for (name, target) in links {
        if stays_inside(&name, Path::new(&target)) && !folder.join(&name).exists() {
            symlink(&target, folder.join(&name))?;
        }
    }
    Ok(())
}

/// Whether a link at `name` to `target` points to somewhere inside the archive.
fn stays_inside(name: &Path, target: &Path) -> bool {
    let mut depth = name.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return false,
            },
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn code_is_kept_and_unpacked_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Archive::new(folder.path().join("code"), None);
        let code = store.keep(&archive(&[("handler.py", "x = 1"), ("lib/a.py", "")])).unwrap();
        assert_eq!(code.sha256.len(), 44);
        let unpacked = store.unpack(&code.name).unwrap();
        assert_eq!(fs::read_to_string(unpacked.join("handler.py")).unwrap(), "x = 1");
        assert!(unpacked.join("lib/a.py").exists());
        assert_eq!(store.unpack(&code.name).unwrap(), unpacked);
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Archive::new(folder.path().to_owned(), None);
        for bad in [b"no zip at all".to_vec(), archive(&[]), archive(&[("../outside", "x")])] {
            assert_eq!(store.keep(&bad).unwrap_err().code(), "InvalidParameterValueException");
        }
        assert!(!folder.path().parent().unwrap().join("outside").exists());
    }

    #[test]
    fn links_stay_inside() {
        assert!(stays_inside(Path::new("a/b"), Path::new("../c")));
        assert!(!stays_inside(Path::new("a/b"), Path::new("../../c")));
        assert!(!stays_inside(Path::new("b"), Path::new("/etc/passwd")));
    }
}
