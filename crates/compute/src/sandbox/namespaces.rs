//! Namespaces: what a unit of work shares with the rest of the machine. Its processes, mounts, host name and System V memory are its
//! own; its network is the host's.

use std::io;

/// Lets a server that is not root make namespaces, by a user namespace of its own in which it is the same user. To be called before
/// any thread is started; without effect where that is not allowed or not needed.
#[expect(unsafe_code, reason = "namespaces are made by plain system calls")]
pub fn enter() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // SAFETY: a child that makes system calls and ends; the process has one thread.
    let works = unsafe {
        match libc::fork() {
            0 => {
                let done = own_user(user, group).is_ok() && libc::unshare(libc::CLONE_NEWNS) == 0;
                libc::_exit(i32::from(!done));
            }
            child if child > 0 => {
                let mut status = 0;
                libc::waitpid(child, &raw mut status, 0) == child && status == 0
            }
            _ => false,
        }
    };
    if works {
        // It has just worked.
        let _ = own_user(user, group);
    }
}

/// A user namespace in which this process is who it was.
#[expect(unsafe_code, reason = "namespaces are made by plain system calls")]
pub(super) fn own_user(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: takes no memory of ours.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut buffer = [0; 32];
    write(c"/proc/self/setgroups", b"deny")?;
    write(c"/proc/self/uid_map", text(&mut buffer, format_args!("{user} {user} 1")))?;
    write(c"/proc/self/gid_map", text(&mut buffer, format_args!("{group} {group} 1")))
}

/// For a thread that forks once: its child will be the first process of a namespace of its own.
#[expect(unsafe_code, reason = "namespaces are made by plain system calls")]
pub(super) fn own_processes() -> io::Result<()> {
    // SAFETY: takes no memory of ours; it concerns the children of this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs between fork and exec.
#[expect(unsafe_code, reason = "namespaces are made by plain system calls")]
pub(super) fn leave_the_hosts() -> io::Result<()> {
    // A name that every resolver knows: Java and Spark look theirs up.
    const NAME: &std::ffi::CStr = c"localhost";
    // SAFETY: the name is static.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS) != 0
            || libc::sethostname(NAME.as_ptr(), NAME.count_bytes()) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Formats without allocating.
fn text<'a>(buffer: &'a mut [u8; 32], what: std::fmt::Arguments<'_>) -> &'a [u8] {
    use std::io::Write as _;
    let length = buffer.len();
    let mut rest = &mut buffer[..];
    let _ = rest.write_fmt(what);
    let used = length - rest.len();
    &buffer[..used]
}

#[expect(unsafe_code, reason = "runs between fork and exec")]
pub(super) fn write(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: path and text are valid for the calls.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        let written = libc::write(file, text.as_ptr().cast(), text.len());
        let error = io::Error::last_os_error();
        libc::close(file);
        if written < 0 { Err(error) } else { Ok(()) }
    }
}
