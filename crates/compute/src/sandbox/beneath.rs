//! A folder whose contents somebody else has chosen, such as an unpacked archive: whatever links lie in it, nothing outside of it is
//! read, written or made. Every path is resolved by the kernel, beneath the folder's handle. Source: openat2(2), `RESOLVE_BENEATH`.
//! Text does not tell where a path leads: each of its parts may be a link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a resolution is begun anew that a rename elsewhere has disturbed.
const TRIES: usize = 100;

/// The folder's handle.
#[derive(Debug)]
pub struct Beneath(OwnedFd);

impl Beneath {
    /// The folder itself may be reached by any path: that is the caller's own.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(folder, flags, Mode::empty())?))
    }

    /// Makes a folder of it and those above it.
    pub fn make_folders(&self, name: &Path) -> io::Result<()> {
        self.folder(name).map(drop)
    }

    /// A new file, empty, for writing, in place of what other than a folder was there.
    pub fn create(&self, name: &Path) -> io::Result<File> {
        let (parent, last) = self.place(name)?;
        remove(&parent, last)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&parent, last, flags, Mode::from_raw_mode(0o644))?.into())
    }

    /// A link, in place of what other than a folder was there; where a folder is, that stays. Where it leads is asked of
    /// [`Beneath::leads_out`] when all is there.
    pub fn link(&self, name: &Path, target: &str) -> io::Result<()> {
        let (parent, last) = self.place(name)?;
        match remove(&parent, last) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(()),
            removed => removed.and_then(|()| Ok(rustix::fs::symlinkat(target, &parent, last)?)),
        }
    }

    /// Whether following this name leaves the folder. Where nothing is at its end it does not.
    pub fn leads_out(&self, name: &Path) -> io::Result<bool> {
        match self.resolve(name, OFlags::PATH | OFlags::CLOEXEC) {
            Err(Errno::XDEV) => Ok(true),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes away a file or a link.
    pub fn remove(&self, name: &Path) -> io::Result<()> {
        let (parent, last) = self.place(name)?;
        remove(&parent, last)
    }

    /// What a plain file holds, `most` bytes at most, also by way of links that stay inside; none where there is none.
    pub fn read(&self, name: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        // NONBLOCK: to open a FIFO waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match self.resolve(name, flags) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(outside(name, error)),
        };
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other(format!("{} is no plain file", name.display())));
        }
        let mut bytes = Vec::new();
        File::from(file).take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::other(format!("{} is larger than {most} bytes", name.display())));
        }
        Ok(Some(bytes))
    }

    /// The folder that a name lies in, made if it is not there, and the name's last part.
    fn place<'a>(&self, name: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let last = name.file_name().ok_or_else(|| io::Error::other(format!("{} names no file", name.display())))?;
        Ok((self.folder(name.parent().unwrap_or_else(|| Path::new("")))?, last))
    }

    fn folder(&self, name: &Path) -> io::Result<OwnedFd> {
        const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let name = if name.as_os_str().is_empty() { Path::new(".") } else { name };
        match self.resolve(name, FOLDER) {
            Ok(folder) => return Ok(folder),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(outside(name, error)),
        }
        let mut made = std::path::PathBuf::new();
        let mut folder = self.resolve(Path::new("."), FOLDER)?;
        for part in name.components() {
            if let Component::Normal(part) = part {
                match rustix::fs::mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            made.push(part);
            folder = self.resolve(&made, FOLDER).map_err(|error| outside(&made, error))?;
        }
        Ok(folder)
    }

    fn resolve(&self, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match rustix::fs::openat2(&self.0, name, flags, Mode::empty(), within) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                found => return found,
            }
        }
        Err(Errno::AGAIN)
    }
}

fn remove(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn outside(name: &Path, error: Errno) -> io::Error {
    match error {
        Errno::XDEV => io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} leads out of its folder, by a link", name.display()),
        ),
        Errno::NOSYS => io::Error::other("Linux 5.6 or later is needed (openat2)"),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder `inside` with links out of it, and a marker beside it that nobody may change or see.
    fn folders() -> (tempfile::TempDir, Beneath) {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("marker"), "untouched").unwrap();
        let inside = outer.path().join("inside");
        fs::create_dir_all(inside.join("d")).unwrap();
        symlink("..", inside.join("d/x")).unwrap();
        // By its text this one stays inside: it goes two parts down and one up.
        symlink("d/x/..", inside.join("y")).unwrap();
        symlink("y/marker", inside.join("named")).unwrap();
        symlink(outer.path(), inside.join("absolute")).unwrap();
        let beneath = Beneath::open(&inside).unwrap();
        (outer, beneath)
    }

    #[test]
    fn nothing_outside_is_written_or_made() {
        let (outer, beneath) = folders();
        for name in ["y/marker", "y/new", "y/new/deep", "absolute/marker", "../marker", "d/x/../marker"] {
            let name = Path::new(name);
            assert_eq!(beneath.create(name).unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{}", name.display());
            assert!(beneath.link(name, "target").is_err() && beneath.remove(name).is_err(), "{}", name.display());
        }
        assert!(beneath.make_folders(Path::new("y/made")).is_err());
        let mut there: Vec<_> = fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        there.sort();
        assert_eq!(there, ["inside", "marker"]);
        assert_eq!(fs::read_to_string(outer.path().join("marker")).unwrap(), "untouched");
    }

    #[test]
    fn nothing_outside_is_read() {
        let (outer, beneath) = folders();
        for name in ["named", "y/marker", "absolute/marker", "../marker"] {
            let refused = beneath.read(Path::new(name), 100).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
        let leads_out = |name: &str| beneath.leads_out(Path::new(name)).unwrap();
        assert!(leads_out("y") && leads_out("named") && leads_out("absolute"));
        assert!(!leads_out("d/x") && !leads_out("d") && !leads_out("none"));
        drop(outer);
    }

    #[test]
    fn what_is_inside_is_used_by_links_too() {
        let (outer, beneath) = folders();
        beneath.create(Path::new("d/x/a/b.txt")).unwrap().write_all(b"text").unwrap();
        assert_eq!(fs::read_to_string(outer.path().join("inside/a/b.txt")).unwrap(), "text");
        beneath.link(Path::new("to-b"), "a/b.txt").unwrap();
        assert_eq!(beneath.read(Path::new("to-b"), 4).unwrap().as_deref(), Some(&b"text"[..]));
        assert!(beneath.read(Path::new("to-b"), 3).is_err() && beneath.read(Path::new("a"), 3).is_err());
        assert_eq!(beneath.read(Path::new("none"), 3).unwrap(), None);
        // A file takes a link's place, and what it led to stays.
        beneath.create(Path::new("to-b")).unwrap().write_all(b"own").unwrap();
        assert_eq!(beneath.read(Path::new("a/b.txt"), 4).unwrap().as_deref(), Some(&b"text"[..]));
        beneath.link(Path::new("a"), "elsewhere").unwrap();
        assert!(outer.path().join("inside/a").is_dir(), "a folder stays");
    }
}
