//! The file system of a unit of work: a root of its own, made of mounts of what it may see, nothing else. Its `/proc` shows its own
//! processes, `/tmp` has the size that was asked for. Where the machine forbids mounts [`super::filesystem`] has to do.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::filesystem::{DEVICES, SYSTEM};
use crate::Error;

/// Makes an empty folder or file where nothing is.
fn found(place: &Path, is_folder: bool) -> io::Result<()> {
    if is_folder {
        return fs::create_dir_all(place);
    }
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::OpenOptions::new().append(true).create(true).open(place).map(drop)
}

/// What stands at a place inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file or folder of the host.
    Host { path: PathBuf, writable: bool },
    /// An empty file system in memory, of so many megabytes.
    Memory { megabytes: u64 },
}

/// Steps that need no allocation, for between fork and exec. Paths inside are relative to the new root.
pub(super) struct Plan {
    /// Host paths, each opened before anything is hidden.
    sources: Vec<(CString, u64)>,
    opened: Vec<libc::c_int>,
    steps: Vec<Step>,
    folder: Option<CString>,
}

enum Step {
    Folder(CString),
    File(CString, Vec<u8>),
    Link(&'static CStr, &'static CStr),
    Attach { source: usize, target: CString },
    Memory { target: CString, options: CString },
    Proc,
}

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const READ_ONLY: u64 = 1;
const NO_SUID: u64 = 2;
const NO_DEVICES: u64 = 4;

/// Names of the user that a unit runs as, for programs that ask.
const USERS: &[u8] = b"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";

impl Plan {
    /// `entries` by their places inside; `folder` is where the program starts; a `/proc` is for what has processes of its own.
    pub(super) fn new(
        mut entries: BTreeMap<PathBuf, Entry>,
        folder: Option<&Path>,
        user: Option<u32>,
        has_processes: bool,
    ) -> Result<Self, Error> {
        let host = |path: &str, writable| (PathBuf::from(path), Entry::Host { path: path.into(), writable });
        for path in SYSTEM.iter().filter(|path| **path != "/proc") {
            let (place, entry) = host(path, false);
            entries.entry(place).or_insert(entry);
        }
        for path in DEVICES {
            let (place, entry) = host(path, true);
            entries.entry(place).or_insert(entry);
        }
        let mut plan = Self {
            sources: Vec::new(),
            opened: Vec::new(),
            steps: Vec::new(),
            folder: folder.map(|folder| text(folder.as_os_str().as_bytes())).transpose()?,
        };
        plan.lay(&entries)?;
        plan.finish(user, has_processes)?;
        plan.opened = vec![-1; plan.sources.len()];
        Ok(plan)
    }

    fn lay(&mut self, entries: &BTreeMap<PathBuf, Entry>) -> Result<(), Error> {
        let mut made: Vec<PathBuf> = vec!["/proc".into(), "/dev".into(), "/tmp".into(), "/".into()];
        for folder in ["proc", "dev", "tmp"] {
            self.steps.push(Step::Folder(text(folder.as_bytes())?));
        }
        let mut shown: Vec<(&PathBuf, &Entry)> = Vec::new();
        // A folder comes before what lies in it.
        for (place, entry) in entries {
            let within = shown.iter().rev().find(|(outer, _)| place.starts_with(outer));
            if let (
                Some((outer, Entry::Host { path: outer_path, writable: outer_writable })),
                Entry::Host { path, writable },
            ) = (within, entry)
            {
                let same = place.strip_prefix(outer).is_ok_and(|rest| *path == outer_path.join(rest));
                if same && (*outer_writable || !writable) {
                    continue; // It is seen there already.
                }
            }
            let is_folder = match entry {
                Entry::Host { path, .. } => match fs::metadata(path) {
                    Ok(metadata) => metadata.is_dir(),
                    Err(_) => continue,
                },
                Entry::Memory { .. } => true,
            };
            match within {
                // In a folder of the host's the place has to be there: a data folder below /tmp, and another folder shown as /tmp.
                Some((outer, Entry::Host { path, writable: true })) => {
                    let there = path.join(place.strip_prefix(outer).unwrap_or(place));
                    found(&there, is_folder).map_err(Error::io(format!("making {}", there.display())))?;
                }
                Some((_, Entry::Host { .. })) => {}
                _ => self.make(place, is_folder, &mut made)?,
            }
            let target = text(relative(place).as_os_str().as_bytes())?;
            match entry {
                Entry::Host { path, writable } => {
                    let device = path.starts_with("/dev");
                    let attributes =
                        NO_SUID | if *writable { 0 } else { READ_ONLY } | if device { 0 } else { NO_DEVICES };
                    self.steps.push(Step::Attach { source: self.sources.len(), target });
                    self.sources.push((text(path.as_os_str().as_bytes())?, attributes));
                }
                Entry::Memory { megabytes } => {
                    let options = text(format!("size={megabytes}m,mode=1777").as_bytes())?;
                    self.steps.push(Step::Memory { target, options });
                }
            }
            shown.push((place, entry));
        }
        Ok(())
    }

    /// The folders above a place, and the place itself as an empty folder or file.
    fn make(&mut self, place: &Path, is_folder: bool, made: &mut Vec<PathBuf>) -> Result<(), Error> {
        let mut above: Vec<_> = place.ancestors().collect();
        above.reverse();
        for path in above {
            if made.iter().any(|made| made == path) {
                continue;
            }
            made.push(path.to_owned());
            let name = text(relative(path).as_os_str().as_bytes())?;
            let step = if path == place && !is_folder { Step::File(name, Vec::new()) } else { Step::Folder(name) };
            self.steps.push(step);
        }
        Ok(())
    }

    fn finish(&mut self, user: Option<u32>, has_processes: bool) -> Result<(), Error> {
        const LINKS: [(&CStr, &CStr); 4] = [
            (c"/proc/self/fd", c"dev/fd"),
            (c"/proc/self/fd/0", c"dev/stdin"),
            (c"/proc/self/fd/1", c"dev/stdout"),
            (c"/proc/self/fd/2", c"dev/stderr"),
        ];
        if has_processes {
            self.steps.push(Step::Proc);
        }
        self.steps.extend(LINKS.map(|(target, place)| Step::Link(target, place)));
        if let Some(user) = user {
            let mut users = USERS.to_vec();
            users.extend_from_slice(format!("sandbox:x:{user}:{user}:sandbox:/tmp:/sbin/nologin\n").as_bytes());
            self.steps.push(Step::Folder(text(b".etc")?));
            self.steps.push(Step::File(text(b".etc/passwd")?, users));
        }
        Ok(())
    }

    /// Runs between fork and exec, in a mount namespace of its own: system calls only.
    #[expect(unsafe_code, reason = "mounts are made by plain system calls between fork and exec")]
    pub(super) fn apply(&mut self, has_user: bool) -> io::Result<()> {
        // SAFETY: every pointer is to a C string or a structure that outlives the call; nothing is allocated.
        unsafe {
            let none = std::ptr::null();
            check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))?;
            for (opened, (path, attributes)) in self.opened.iter_mut().zip(&self.sources) {
                *opened = clone(path, *attributes)?;
            }
            // Over a folder that every system has; it was opened above.
            let memory = c"tmpfs".as_ptr();
            check(libc::mount(memory, c"/usr".as_ptr(), memory, libc::MS_NOSUID, c"size=1m,mode=755".as_ptr().cast()))?;
            check(libc::chdir(c"/usr".as_ptr()))?;
            for step in &self.steps {
                step.take(&self.opened)?;
            }
            if has_user {
                attach(clone(c".etc/passwd", READ_ONLY)?, c"etc/passwd")?;
            }
            check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
            check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
            let closed = Attributes { set: READ_ONLY, clear: 0, propagation: 0, user_namespace: 0 };
            let size = size_of::<Attributes>();
            check(libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/".as_ptr(), 0, &raw const closed, size))?;
            check(libc::chdir(self.folder.as_deref().unwrap_or(c"/").as_ptr()))?;
            for opened in &self.opened {
                libc::close(*opened);
            }
        }
        Ok(())
    }
}

impl Step {
    #[expect(unsafe_code, reason = "runs between fork and exec")]
    fn take(&self, opened: &[libc::c_int]) -> io::Result<()> {
        // SAFETY: as in `Plan::apply`.
        unsafe {
            match self {
                Self::Folder(path) => match libc::mkdir(path.as_ptr(), 0o755) {
                    0 => Ok(()),
                    _ => exists(),
                },
                Self::File(path, bytes) => {
                    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;
                    let file = check(libc::open(path.as_ptr(), flags, 0o644))?;
                    libc::write(file, bytes.as_ptr().cast(), bytes.len());
                    libc::close(file);
                    Ok(())
                }
                Self::Link(target, path) => match libc::symlink(target.as_ptr(), path.as_ptr()) {
                    0 => Ok(()),
                    _ => exists(),
                },
                Self::Attach { source, target } => attach(opened[*source], target),
                Self::Memory { target, options } => {
                    let memory = c"tmpfs".as_ptr();
                    let flags = libc::MS_NOSUID | libc::MS_NODEV;
                    check(libc::mount(memory, target.as_ptr(), memory, flags, options.as_ptr().cast())).map(drop)
                }
                Self::Proc => proc(),
            }
        }
    }
}

/// The processes of the new namespace; what of it belongs to the whole machine cannot be written, or is not there.
#[expect(unsafe_code, reason = "runs between fork and exec")]
fn proc() -> io::Result<()> {
    const CLOSED: [&CStr; 5] = [c"proc/sys", c"proc/sysrq-trigger", c"proc/irq", c"proc/bus", c"proc/fs"];
    const HIDDEN: [&CStr; 5] = [c"proc/kcore", c"proc/keys", c"proc/timer_list", c"proc/sched_debug", c"proc/kallsyms"];
    // SAFETY: as in `Plan::apply`.
    unsafe {
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        check(libc::mount(c"proc".as_ptr(), c"proc".as_ptr(), c"proc".as_ptr(), flags, std::ptr::null()))?;
    }
    for path in CLOSED {
        if let Ok(clone) = clone(path, READ_ONLY) {
            attach(clone, path)?;
        }
    }
    for path in HIDDEN {
        if let Ok(null) = clone(c"dev/null", READ_ONLY) {
            // Not every kernel has them all.
            let _ = attach(null, path);
        }
    }
    Ok(())
}

/// A mount of its own of what is at a path, not attached anywhere yet.
#[expect(unsafe_code, reason = "runs between fork and exec")]
fn clone(path: &CStr, attributes: u64) -> io::Result<libc::c_int> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    const AT_RECURSIVE: libc::c_uint = 0x8000;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC.cast_unsigned();
    // What is mounted on the host later does not come along.
    let wanted = Attributes { set: attributes, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    let size = size_of::<Attributes>();
    // SAFETY: as in `Plan::apply`.
    unsafe {
        let tree = check(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags))?;
        let flags = AT_RECURSIVE | libc::AT_EMPTY_PATH.cast_unsigned();
        check(libc::syscall(libc::SYS_mount_setattr, tree, c"".as_ptr(), flags, &raw const wanted, size))?;
        Ok(tree)
    }
}

/// A mount of what is at a path, read-only, for who attaches it elsewhere. The server must be allowed to mount.
#[expect(unsafe_code, reason = "the standard library has no mounts")]
pub(super) fn tree(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    let tree = clone(&path, NO_SUID | NO_DEVICES | READ_ONLY)?;
    // SAFETY: it has just been opened, and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(tree) })
}

#[expect(unsafe_code, reason = "runs between fork and exec")]
fn attach(tree: libc::c_int, target: &CStr) -> io::Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
    let (from, to) = (c"".as_ptr(), target.as_ptr());
    // SAFETY: as in `Plan::apply`.
    unsafe {
        check(libc::syscall(libc::SYS_move_mount, tree, from, libc::AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH)).map(drop)
    }
}

fn exists() -> io::Result<()> {
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::EEXIST) { Ok(()) } else { Err(error) }
}

fn check(result: impl TryInto<libc::c_int>) -> io::Result<libc::c_int> {
    match result.try_into() {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn text(bytes: &[u8]) -> Result<CString, Error> {
    CString::new(bytes).map_err(|error| Error::io("a path")(error.into()))
}
