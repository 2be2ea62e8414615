//! The threads that fork. PDEATHSIG fires when the *thread* that forked ends, so that thread must live as long as its children; a
//! runtime's own threads come and go. One thread forks all that share the server's processes; each unit that has a namespace of
//! its own has a thread too, because a thread that is not root's cannot leave the namespace that it made for its next child.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::root::Plan;
use super::{namespaces, privileges};

/// Enough for starting a process.
const STACK_BYTES: usize = 256 << 10;

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) data_bytes: Option<u64>,
    pub(super) open_files: u64,
    pub(super) file_size_bytes: u64,
    pub(super) processes: u64,
    pub(super) cpu_seconds: Option<u64>,
}

/// How a child is set apart from the rest of the machine.
pub(super) struct Confinement {
    pub(super) limits: Limits,
    /// A root and namespaces of its own.
    pub(super) root: Option<Plan>,
    /// Whom it runs as, where not as the server.
    pub(super) user: Option<u32>,
    /// A Landlock rule set.
    pub(super) view: Option<OwnedFd>,
    pub(super) rights: Rights,
    /// Files that its first program inherits.
    pub(super) inherited: Vec<RawFd>,
}

/// What its system calls may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Whatever the server may.
    All,
    /// To enter units, from the server's own processes.
    Template,
    /// No capabilities, and filtered system calls.
    None,
}

/// What a fork of a template takes on itself.
pub(super) struct Taken {
    pub(super) limits: Limits,
    pub(super) user: Option<u32>,
    pub(super) view: Option<OwnedFd>,
}

struct Request {
    command: tokio::process::Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<tokio::process::Child>>,
}

/// Keeps the thread of a unit; the unit ends with it.
#[derive(Debug)]
pub(super) struct Thread(#[expect(dead_code, reason = "held until it is dropped")] mpsc::Sender<()>);

/// Forks and executes `command` in a process group of its own, confined.
pub(super) async fn spawn(
    mut command: std::process::Command,
    confinement: Confinement,
) -> io::Result<(tokio::process::Child, Option<Thread>)> {
    command.process_group(0);
    let isolated = confinement.root.is_some() && confinement.rights != Rights::Template;
    confine(&mut command, confinement)?;
    let (reply, answer) = oneshot::channel();
    let request = Request { command: command.into(), runtime: Handle::current(), reply };
    let gone = || io::Error::other("the spawning thread is gone");
    let mut own = None;
    if isolated {
        let (guard, dropped) = mpsc::channel();
        let serve = move || {
            request.spawn(namespaces::own_processes());
            // Nothing is ever sent.
            let _ = dropped.recv();
        };
        std::thread::Builder::new().name("unit".into()).stack_size(STACK_BYTES).spawn(serve)?;
        own = Some(Thread(guard));
    } else {
        shared()?.send(request).map_err(|_| gone())?;
    }
    Ok((answer.await.map_err(|_| gone())??, own))
}

impl Request {
    fn spawn(mut self, prepared: io::Result<()>) {
        let _runtime = self.runtime.enter();
        let started = prepared.and_then(|()| self.command.spawn());
        // When nobody waits any more the reply is dropped here, and the child with it.
        if let Err(Ok(mut unwanted)) = self.reply.send(started) {
            let _ = unwanted.start_kill();
        }
    }
}

fn shared() -> io::Result<&'static mpsc::Sender<Request>> {
    static THREAD: OnceLock<Option<mpsc::Sender<Request>>> = OnceLock::new();
    THREAD
        .get_or_init(|| {
            let (sender, requests) = mpsc::channel::<Request>();
            let serve = move || requests.into_iter().for_each(|request| request.spawn(Ok(())));
            std::thread::Builder::new().name("spawner".into()).spawn(serve).ok().map(|_| sender)
        })
        .as_ref()
        .ok_or_else(|| io::Error::other("no thread could be started"))
}

/// A pipe that closes with the server: its reading end tells a child whether the server is still there, where the server has no
/// number that the child could ask for.
fn life() -> io::Result<(RawFd, RawFd)> {
    static LIFE: OnceLock<Option<(io::PipeReader, io::PipeWriter)>> = OnceLock::new();
    LIFE.get_or_init(|| io::pipe().ok())
        .as_ref()
        .map(|(reader, writer)| (reader.as_raw_fd(), writer.as_raw_fd()))
        .ok_or_else(|| io::Error::other("no pipe could be made"))
}

#[expect(unsafe_code, reason = "what must happen between fork and exec cannot be said otherwise")]
fn confine(command: &mut std::process::Command, confinement: Confinement) -> io::Result<()> {
    let Confinement { limits, mut root, user, view, rights, inherited } = confinement;
    let confined = rights == Rights::None;
    let is_root = rustix::process::geteuid().is_root();
    let (own_user, own_group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (alive, server) = life()?;
    // The filters are made here, not after the fork.
    let filters = if confined { privileges::filters() } else { None };
    // SAFETY: the closure runs between fork and exec. It makes only system calls and neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            libc::close(server);
            let has_root = root.is_some();
            if let Some(root) = &mut root {
                namespaces::leave_the_hosts()?;
                root.apply(user.is_some())?;
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
            // So that the kernel ends this process, rather than the server, when the machine runs out of memory.
            let _ = namespaces::write(c"/proc/self/oom_score_adj", b"800");
            if user.is_none() && has_root && !is_root && confined {
                // Processes are counted per user and user namespace: one of its own keeps units apart. Not every kernel allows it.
                let _ = namespaces::own_user(own_user, own_group);
            }
            match rights {
                Rights::All => {}
                Rights::Template => privileges::keep_what_enters_units()?,
                Rights::None => privileges::forget_bounding_set(),
            }
            if let Some(user) = user {
                privileges::become_user(user)?;
            }
            if confined {
                privileges::drop_capabilities()?;
            }
            if user.is_some() || !is_root {
                limit(libc::RLIMIT_NPROC, limits.processes)?;
            }
            // Nothing of the server's files is inherited, whatever a library opened without the flag.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for file in &inherited {
                check(libc::fcntl(*file, libc::F_SETFD, 0))?;
            }
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            if let Some(view) = &view {
                let done = libc::syscall(libc::SYS_landlock_restrict_self, view.as_raw_fd(), 0);
                check(libc::c_int::try_from(done).unwrap_or(-1))?;
            }
            // After all that changes who this is, which resets it.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            let mut ended = libc::pollfd { fd: alive, events: 0, revents: 0 };
            if libc::poll(&raw mut ended, 1, 0) > 0 {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            filters.map_or(Ok(()), privileges::filter)
        });
    }
    Ok(())
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
