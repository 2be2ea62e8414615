//! A mount namespace of the child's own, so that a function finds its private folder at `/tmp` and its file systems at
//! `/mnt/NAME`. Best effort: where the machine forbids it the child runs without, and `lakerun doctor` says so.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::Error;

pub(super) struct Mount {
    host: CString,
    inside: CString,
    /// `/mnt/NAME` is made, on an empty file system over `/mnt`.
    made: bool,
}

/// Everything that would allocate, done before the fork.
pub(super) fn prepare(mounts: &[(PathBuf, PathBuf)]) -> Result<Vec<Mount>, Error> {
    let path =
        |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|error| Error::io("a path")(error.into()));
    mounts
        .iter()
        .map(|(host, inside)| Ok(Mount { host: path(host)?, inside: path(inside)?, made: inside.starts_with("/mnt/") }))
        .collect()
}

/// Runs between fork and exec: system calls only. What fails is left out.
#[expect(unsafe_code, reason = "mounts are made by plain system calls between fork and exec")]
pub(super) fn apply(mounts: &[Mount]) -> bool {
    if mounts.is_empty() {
        return true;
    }
    // SAFETY: every pointer is to a C string that outlives the call; nothing is allocated.
    unsafe {
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            if libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) != 0 {
                return false;
            }
            // The process keeps its own user; being unmapped would show it as nobody.
            write(c"/proc/self/setgroups", b"deny");
            write(c"/proc/self/uid_map", text(&mut [0; 32], format_args!("{uid} {uid} 1")));
            write(c"/proc/self/gid_map", text(&mut [0; 32], format_args!("{gid} {gid} 1")));
        }
        let none = std::ptr::null();
        if libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) != 0 {
            return false;
        }
        attach(mounts, mounts.iter().any(|mount| mount.made))
    }
}

/// Opens every host folder before the first mount may hide one, then mounts on the way back.
#[expect(unsafe_code, reason = "runs between fork and exec")]
fn attach(mounts: &[Mount], made: bool) -> bool {
    // SAFETY: as above.
    unsafe {
        let Some((mount, rest)) = mounts.split_first() else {
            let none = c"none".as_ptr();
            return !made
                || libc::mount(none, c"/mnt".as_ptr(), c"tmpfs".as_ptr(), 0, c"size=64k".as_ptr().cast()) == 0;
        };
        let host = libc::open(mount.host.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
        let rest = attach(rest, made);
        if mount.made {
            libc::mkdir(mount.inside.as_ptr(), 0o755);
        }
        let mut buffer = [0; 32];
        let none = std::ptr::null();
        let source = text(&mut buffer, format_args!("/proc/self/fd/{host}\0")).as_ptr().cast();
        let done = libc::mount(source, mount.inside.as_ptr(), none, libc::MS_BIND, none.cast());
        libc::close(host);
        rest && done == 0
    }
}

/// Formats without allocating; 32 bytes hold a path and a number, or two numbers.
fn text<'a>(buffer: &'a mut [u8; 32], what: std::fmt::Arguments<'_>) -> &'a [u8] {
    use std::io::Write as _;
    let length = buffer.len();
    let mut rest = &mut buffer[..];
    let _ = rest.write_fmt(what);
    let used = length - rest.len();
    &buffer[..used]
}

#[expect(unsafe_code, reason = "runs between fork and exec")]
fn write(path: &CStr, text: &[u8]) {
    // SAFETY: path and text are valid for the calls; failing is harmless.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, text.as_ptr().cast(), text.len());
            libc::close(file);
        }
    }
}

/// Whether children can be given mounts on this machine: asked by trying, once, in a child.
pub async fn can_mount() -> bool {
    static ANSWER: tokio::sync::OnceCell<bool> = tokio::sync::OnceCell::const_new();
    *ANSWER
        .get_or_init(|| async {
            let Ok(folder) = tempfile::tempdir() else { return false };
            if std::fs::write(folder.path().join("mark"), "").is_err() {
                return false;
            }
            let mut command = super::Command::new("/bin/sh");
            command.args(["-c", "test -e /tmp/mark"]).mount(folder.path(), "/tmp");
            command.output(super::Capture { bytes: 1024 }, None).await.is_ok_and(|output| output.exit.success())
        })
        .await
}
