//! A function's code: the archive as it came and the folder it is unpacked to, both named by the archive's hash.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_lambda::error;
use base64::Engine as _;
use compute::sandbox::Beneath;
use sha2::{Digest as _, Sha256};
use store::objects::Objects;
use wire::Error;
use zip::ZipArchive;

/// AWS's limits.
const MAX_UNPACKED_BYTES: u64 = crate::layer::MAX_UNPACKED_BYTES;
pub(crate) const MAX_DIRECT_BYTES: usize = 52_428_800;
const MAX_ENTRIES: usize = 100_000;
/// Begins the names of folders that are not whole yet.
const UNPACKING: &str = "unpacking";

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
    /// Between finding that an archive is there, to be named soon, and taking away one that nobody names.
    named: Arc<Mutex<()>>,
}

impl Archive {
    pub(crate) fn new(folder: PathBuf, shared: Option<Objects>) -> Self {
        Self { folder, shared, named: Arc::default() }
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
        let is_there = {
            let _named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            compute::touch(&file).is_ok()
        };
        if !is_there {
            self.write(&file, zip).map_err(Error::internal)?;
        }
        Ok(code)
    }

    /// The names of archives and folders that are not among `named`. Folders that a server was filling when it died are taken away.
    pub(crate) fn unnamed(&self, named: &BTreeSet<String>) -> io::Result<BTreeSet<String>> {
        let mut unnamed = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let name = name.strip_suffix(".zip").unwrap_or(&name);
            if !named.contains(name) && !name.starts_with(UNPACKING) && !name.starts_with('.') {
                unnamed.insert(name.to_owned());
            }
        }
        Ok(unnamed)
    }

    /// Takes an archive away and what was unpacked of it, unless it came less than `grace` ago: whoever sent it may be about to name it.
    pub(crate) fn discard(&self, name: &str, grace: Duration) -> io::Result<()> {
        let _named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, folder) = (self.file(name), self.folder(name));
        let is_young = |path: &Path| compute::age(path).is_ok_and(|age| age < grace);
        if is_young(&file) || is_young(&folder) {
            return Ok(());
        }
        for removed in [fs::remove_file(file), fs::remove_dir_all(folder)] {
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes away what a server had not unpacked to its end when it died.
    pub(crate) fn forget_halves(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNPACKING) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
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
        self.unpack_all(&self.folder(&merged(names)), names)
    }

    fn unpack_all(&self, folder: &Path, names: &[impl AsRef<str>]) -> io::Result<PathBuf> {
        if compute::touch(folder).is_ok() {
            return Ok(folder.to_owned());
        }
        let partial = tempfile::Builder::new().prefix(UNPACKING).tempdir_in(&self.folder)?;
        let beneath = Beneath::open(partial.path())?;
        let (mut links, mut entries) = (Vec::new(), 0);
        for name in names {
            let file = io::BufReader::new(File::open(self.file(name.as_ref()))?);
            let archive = ZipArchive::new(file).map_err(io::Error::other)?;
            entries += archive.len();
            links.extend(unpack(archive, &beneath)?);
        }
        // Where a link leads is known when all is there: what comes later may change the way.
        for link in links {
            if beneath.leads_out(&link)? {
                tracing::warn!(link = %link.display(), "a link that leads out of its archive is left out");
                beneath.remove(&link)?;
            }
        }
        open_folders(partial.path())?;
        sync(partial.path(), entries)?;
        match fs::rename(partial.path(), folder) {
            // Somebody else was quicker.
            Err(_) if folder.exists() => return Ok(folder.to_owned()),
            renamed => renamed?,
        }
        File::open(&self.folder)?.sync_all()?;
        Ok(folder.to_owned())
    }
}

/// The name of the folder of these layers.
pub(crate) fn merged(layers: &[String]) -> String {
    format!("layers-{}", hex::encode(Sha256::digest(layers.join("+"))))
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

/// All of it is on the disk when this returns: once the folder has its name, nobody looks whether its files are whole.
fn sync(folder: &Path, entries: usize) -> io::Result<()> {
    /// Of more than this the whole file system is written at once.
    const FEW: usize = 100;
    fn each(folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                each(&entry.path())?;
            } else if kind.is_file() {
                File::open(entry.path())?.sync_all()?;
            }
        }
        File::open(folder)?.sync_all()
    }
    if entries <= FEW { each(folder) } else { compute::write_out(folder) }
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

/// Files first and links last; what an earlier archive has in a place is replaced. The links that were made.
fn unpack<R: io::Read + io::Seek>(mut archive: ZipArchive<R>, folder: &Beneath) -> io::Result<Vec<PathBuf>> {
    let mut left = MAX_UNPACKED_BYTES;
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(io::Error::other)?;
        let name = entry.enclosed_name().ok_or_else(|| io::Error::other("an entry outside of the archive"))?;
        if entry.is_dir() {
            folder.make_folders(&name)?;
            continue;
        }
        if entry.is_symlink() {
            let mut target = String::new();
            entry.by_ref().take(4096).read_to_string(&mut target)?;
            links.push((name, target));
            continue;
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        let mut file = folder.create(&name)?;
        // What the header says of the size is not to be believed.
        let copied = io::copy(&mut entry.by_ref().take(left + 1), &mut file)?;
        left = left.checked_sub(copied).ok_or_else(|| io::Error::other("the archive is larger than it says"))?;
        file.set_permissions(fs::Permissions::from_mode(if mode & 0o111 == 0 { 0o644 } else { 0o755 }))?;
    }
    for (name, target) in &links {
        folder.link(name, target)?;
    }
    Ok(links.into_iter().map(|(name, _)| name).collect())
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
    fn what_nobody_names_leaves_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = Archive::new(folder.path().to_owned(), None);
        let [one, two] = ["1", "2"].map(|text| store.keep(&archive(&[("a", text)])).unwrap().name);
        store.unpack(&one).unwrap();
        store.unpack(&two).unwrap();
        let layers = store.merge(&[one.clone(), two.clone()]).unwrap();
        fs::create_dir(folder.path().join("unpacking-half")).unwrap();
        let unnamed = store.unnamed(&BTreeSet::from([one.clone()])).unwrap();
        assert_eq!(unnamed, BTreeSet::from([two.clone(), merged(&[one.clone(), two.clone()])]));
        store.discard(&two, Duration::from_hours(1)).unwrap();
        assert!(store.file(&two).exists(), "it has just come");
        for name in &unnamed {
            store.discard(name, Duration::ZERO).unwrap();
        }
        store.forget_halves();
        assert!(!store.file(&two).exists() && !store.folder(&two).exists() && !layers.exists());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        assert_eq!(left, [store.folder(&one), store.file(&one)]);
        // The same upload comes again.
        assert_eq!(store.keep(&archive(&[("a", "2")])).unwrap().name, two);
        assert!(store.unpack(&two).unwrap().join("a").exists());
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

    /// An archive of links and files; a target makes a link.
    fn linked(entries: &[(&str, Result<&str, &str>)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, what) in entries {
            match what {
                Ok(text) => {
                    zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                    zip.write_all(text.as_bytes()).unwrap();
                }
                Err(target) => zip.add_symlink(*name, *target, SimpleFileOptions::default()).unwrap(),
            }
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn no_layer_writes_where_the_links_of_another_lead() {
        let outer = tempfile::tempdir().unwrap();
        let store = Archive::new(outer.path().join("code"), None);
        fs::create_dir_all(outer.path().join("code")).unwrap();
        let marker = outer.path().join("code/marker");
        fs::write(&marker, "untouched").unwrap();
        // By its text `y` leads one part down; by what `d/x` is it leads above the archive.
        let links = store.keep(&linked(&[("d/x", Err("..")), ("y", Err("d/x/..")), ("z", Ok(""))])).unwrap();
        let writes = store.keep(&linked(&[("y/marker", Ok("written"))])).unwrap();
        let refused = store.merge(&[links.name.clone(), writes.name]).unwrap_err();
        assert!(refused.to_string().contains("leads out of its folder"), "{refused}");
        assert_eq!(fs::read_to_string(&marker).unwrap(), "untouched");
        let found = fs::read_dir(outer.path().join("code")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!found.into_iter().any(|name| name.to_string_lossy().starts_with(UNPACKING)), "nothing half is left");
        // The same links by themselves do no harm: what leads out is left out.
        let alone = store.unpack(&links.name).unwrap();
        assert!(alone.join("d/x").symlink_metadata().is_ok() && alone.join("y").symlink_metadata().is_err());
    }

    #[test]
    fn links_lead_to_what_is_inside_when_all_is_there() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("marker"), "secret").unwrap();
        let store = Archive::new(outer.path().join("code"), None);
        let first = [
            ("lib/a.so.1", Ok("library")),
            ("lib/a.so", Err("a.so.1")),
            ("absolute", Err("/etc/hostname")),
            ("up", Err("../../marker")),
            ("by-another", Err("later/../../marker")),
            ("dangling", Err("nowhere")),
        ];
        let first = store.keep(&linked(&first)).unwrap();
        // With the first one alone `by-another` ends at a folder that is not there.
        let second =
            store.keep(&linked(&[("later", Err("lib")), ("lib/b", Ok("b")), ("dangling", Ok("there"))])).unwrap();
        let merged = store.merge(&[first.name, second.name]).unwrap();
        assert_eq!(fs::read_to_string(merged.join("lib/a.so")).unwrap(), "library");
        assert_eq!(fs::read_to_string(merged.join("later/b")).unwrap(), "b");
        assert_eq!(fs::read_to_string(merged.join("dangling")).unwrap(), "there", "a file goes before an earlier link");
        for name in ["absolute", "up", "by-another"] {
            assert!(merged.join(name).symlink_metadata().is_err(), "{name}");
        }
    }
}
