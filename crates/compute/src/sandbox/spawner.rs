//! The thread that forks. PDEATHSIG fires when the *thread* that forked ends, so that thread must live as long as the
//! server; a runtime's own threads come and go.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::mount::{self, Mount};

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) data_bytes: Option<u64>,
    pub(super) open_files: u64,
    pub(super) file_size_bytes: u64,
    pub(super) processes: u64,
    pub(super) cpu_seconds: Option<u64>,
}

struct Request {
    command: tokio::process::Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<tokio::process::Child>>,
}

/// Forks and executes `command` in a process group of its own, confined to `view` (a Landlock rule set).
pub(super) async fn spawn(
    mut command: std::process::Command,
    limits: Limits,
    mounts: Vec<Mount>,
    view: Option<OwnedFd>,
) -> io::Result<tokio::process::Child> {
    command.process_group(0);
    confine(&mut command, limits, mounts, view);
    let (reply, answer) = oneshot::channel();
    let request = Request { command: command.into(), runtime: Handle::current(), reply };
    thread()?.send(request).map_err(|_| io::Error::other("the spawning thread is gone"))?;
    answer.await.map_err(|_| io::Error::other("the spawning thread is gone"))?
}

fn thread() -> io::Result<&'static mpsc::Sender<Request>> {
    static THREAD: OnceLock<Option<mpsc::Sender<Request>>> = OnceLock::new();
    THREAD
        .get_or_init(|| {
            let (sender, requests) = mpsc::channel::<Request>();
            let serve = move || {
                for mut request in requests {
                    let _runtime = request.runtime.enter();
                    // When nobody waits any more the reply is dropped here, and the child with it.
                    if let Err(Ok(mut unwanted)) = request.reply.send(request.command.spawn()) {
                        let _ = unwanted.start_kill();
                    }
                }
            };
            std::thread::Builder::new().name("spawner".into()).spawn(serve).ok().map(|_| sender)
        })
        .as_ref()
        .ok_or_else(|| io::Error::other("no thread could be started"))
}

#[expect(unsafe_code, reason = "what must happen between fork and exec cannot be said otherwise")]
fn confine(command: &mut std::process::Command, limits: Limits, mounts: Vec<Mount>, view: Option<OwnedFd>) {
    let server = std::process::id();
    let is_root = rustix::process::getuid().is_root();
    // SAFETY: the closure runs between fork and exec. It makes only system calls and neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            // Before the next line: new credentials reset what it sets.
            mount::apply(&mounts);
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if u32::try_from(libc::getppid()) != Ok(server) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            limit(libc::RLIMIT_CORE, 0)?;
            limit(libc::RLIMIT_NOFILE, limits.open_files)?;
            limit(libc::RLIMIT_FSIZE, limits.file_size_bytes)?;
            if let Some(bytes) = limits.data_bytes {
                limit(libc::RLIMIT_DATA, bytes)?;
            }
            if let Some(seconds) = limits.cpu_seconds {
                limit(libc::RLIMIT_CPU, seconds)?;
            }
            if !is_root {
                limit(libc::RLIMIT_NPROC, limits.processes)?;
            }
            prefer_when_memory_is_short();
            // Nothing of the server's files is inherited, whatever a library opened without the flag.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            if let Some(view) = &view {
                let done = libc::syscall(libc::SYS_landlock_restrict_self, view.as_raw_fd(), 0);
                check(libc::c_int::try_from(done).unwrap_or(-1))?;
            }
            Ok(())
        });
    }
}

/// Tells the kernel to end this process, rather than the server, when the machine runs out of memory.
#[expect(unsafe_code, reason = "runs between fork and exec")]
fn prefer_when_memory_is_short() {
    // SAFETY: the strings are static and end in NUL; failing is harmless.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, c"800".as_ptr().cast(), 3);
            libc::close(file);
        }
    }
}

/// Lowers a limit; never above what the server itself has.
#[expect(unsafe_code, reason = "runs between fork and exec")]
fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid rlimit of ours.
    unsafe {
        check(libc::getrlimit(resource, &raw mut current))?;
        let value = value.min(current.rlim_max);
        check(libc::setrlimit(resource, &libc::rlimit { rlim_cur: value, rlim_max: value }))
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
