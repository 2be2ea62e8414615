//! Templates: a process that has loaded what many units load and from which they are forked, where a start of their own would load
//! it again. A unit that comes of one is set apart as any other: its first process is started by the server, in namespaces, a root
//! and limits of its own, and the fork enters those and takes on the same user, filters and rules (`template.py`) before anything of
//! a user's runs. The template itself runs no user's code, has no keys, sees a root like its units' with nobody's folders in it, and
//! has the few capabilities that the way into a unit needs. A unit may stand by before it is known what it is to be: [`super::spare`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Mutex;

use serde::Serialize;
use tokio::net::unix::pipe;

use super::{Child, Command, Whose, is_isolated, privileges, spawner};
use crate::Error;

/// The program's side, in Python: `serve(int(os.environ["LAKERUN_TEMPLATE"]))` returns in a unit.
pub const PROGRAM: &str = include_str!("template.py");
/// The variable that names the descriptor of its orders.
const ORDERS: &str = "LAKERUN_TEMPLATE";
const MAX_NAMES_BYTES: usize = 256 << 10;

/// Dropping it ends it; what was forked from it stays.
#[derive(Debug)]
pub struct Template {
    child: Mutex<Child>,
    orders: OwnedFd,
    /// The modules, by the first parts of their names, that it has loaded.
    pub modules: BTreeSet<String>,
    /// Private memory that each of its forks has from its start.
    pub loaded_mb: u64,
}

/// Where a unit's streams go; both to the one where there is no other.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) output: OwnedFd,
    pub(super) errors: Option<OwnedFd>,
}

/// How a fork comes into its unit.
#[derive(Serialize)]
struct Way {
    user_namespace: bool,
    /// Whether standard error is apart.
    errors: bool,
    /// Whether it is told later what it is to be.
    waits: bool,
}

/// What it is to be.
#[derive(Serialize)]
pub(super) struct Being {
    folder: String,
    environment: Vec<(String, String)>,
    limits: Limits,
    user: Option<u32>,
    view: bool,
    filters: Vec<String>,
    /// Where the folders go that come with it.
    attached: Vec<String>,
}

#[derive(Serialize)]
struct Order {
    #[serde(flatten)]
    way: Way,
    #[serde(flatten)]
    being: Option<Being>,
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct Limits {
    core: u64,
    nofile: u64,
    fsize: u64,
    data: Option<u64>,
    cpu: Option<u64>,
    nproc: Option<u64>,
}

impl Template {
    /// Starts the program of `command`, which calls `serve` when it has loaded everything; waits for that.
    pub async fn start(command: &Command) -> Result<Self, Error> {
        if !is_isolated().await {
            return Err(Error::io("starting a template")(io::Error::other("units have no namespaces here")));
        }
        let (ours, theirs) = pair().map_err(Error::io("making a socket"))?;
        let mut command = command.clone();
        command.whose = Whose::Template;
        command.env(ORDERS, theirs.as_raw_fd().to_string());
        command.inherited = Some(theirs.as_raw_fd());
        let mut child = command.spawn().await?;
        drop(theirs);
        let waiting = ours.try_clone().map_err(Error::io("waiting for a template"))?;
        let names = tokio::task::spawn_blocking(move || receive(&waiting)).await.unwrap_or_default();
        let Ok(modules) = serde_json::from_slice(&names) else {
            let mut said = String::new();
            // It is gone: what it said is all there.
            if let Some(errors) = child.stderr.take().and_then(|errors| errors.into_owned_fd().ok()) {
                let mut errors = std::fs::File::from(errors).take(4096);
                child.group().kill();
                let _ = errors.read_to_string(&mut said);
            }
            return Err(Error::Crashed { status: "a template did not start".to_owned(), detail: said });
        };
        let loaded_mb = super::Meter::new(child.group()).peak_mb();
        Ok(Self { child: Mutex::new(child), orders: ours, modules, loaded_mb })
    }

    pub fn is_alive(&self) -> bool {
        !self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).has_ended()
    }

    /// Has a fork of it become the program of the unit whose first process is `first`.
    pub(super) async fn fork(
        &self,
        command: &Command,
        confinement: &spawner::Taken,
        first: i32,
        streams: &Streams,
    ) -> io::Result<()> {
        let being = Being::of(command, confinement, Vec::new())?;
        self.order(Some(being), confinement.view.as_ref(), first, streams).await
    }

    /// Has a fork stand by in the unit whose first process is `first`; what it is to be comes on `socket`.
    pub(super) async fn stand_by(&self, socket: &OwnedFd, first: i32, streams: &Streams) -> io::Result<()> {
        self.order(None, Some(socket), first, streams).await
    }

    async fn order(
        &self,
        being: Option<Being>,
        last: Option<&OwnedFd>,
        first: i32,
        streams: &Streams,
    ) -> io::Result<()> {
        let (errors, waits) = (streams.errors.is_some(), being.is_none());
        let order = Order { way: Way { user_namespace: has_other_users(first), errors, waits }, being };
        let process = process(first)?;
        let answer = Answer::open()?;
        let mut files = vec![streams.output.as_raw_fd(), answer.told.as_raw_fd(), process.as_raw_fd()];
        files.extend(streams.errors.as_ref().map(std::os::fd::AsRawFd::as_raw_fd));
        files.extend(last.map(std::os::fd::AsRawFd::as_raw_fd));
        send(&self.orders, &serde_json::to_vec(&order)?, &files)?;
        answer.wait().await
    }
}

impl Being {
    pub(super) fn of(command: &Command, confinement: &spawner::Taken, attached: Vec<String>) -> io::Result<Self> {
        let text = |text: &'_ OsStr| std::str::from_utf8(text.as_bytes()).map(str::to_owned).map_err(io::Error::other);
        let folder = command.folder.as_deref().map_or_else(|| Ok("/".to_owned()), |path| text(path.as_os_str()))?;
        let mut environment = Vec::new();
        for (name, value) in &command.env {
            environment.push((text(name)?, text(value)?));
        }
        environment.extend(super::orphans::mark().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let limits = confinement.limits;
        let is_root = rustix::process::geteuid().is_root();
        Ok(Self {
            folder,
            environment,
            limits: Limits {
                core: 0,
                nofile: limits.open_files,
                fsize: limits.file_size_bytes,
                data: limits.data_bytes,
                cpu: limits.cpu_seconds,
                nproc: (confinement.user.is_some() || !is_root).then_some(limits.processes),
            },
            user: confinement.user,
            view: confinement.view.is_some(),
            filters: privileges::filters().map_or_else(Vec::new, |filters| filters.iter().map(bytes).collect()),
            attached,
        })
    }

    /// Tells it to who stands by; `view` and `trees` go along.
    pub(super) async fn tell(&self, to: &OwnedFd, view: Option<&OwnedFd>, trees: &[OwnedFd]) -> io::Result<()> {
        let answer = Answer::open()?;
        let mut files = vec![answer.told.as_raw_fd()];
        files.extend(view.into_iter().chain(trees).map(std::os::fd::AsRawFd::as_raw_fd));
        send(to, &serde_json::to_vec(self)?, &files)?;
        answer.wait().await
    }
}

/// What a fork says of an order: that it is done, or why not.
struct Answer {
    heard: io::PipeReader,
    told: io::PipeWriter,
}

impl Answer {
    fn open() -> io::Result<Self> {
        let (heard, told) = io::pipe()?;
        Ok(Self { heard, told })
    }

    async fn wait(self) -> io::Result<()> {
        drop(self.told);
        let mut said = Vec::new();
        let mut heard = pipe::Receiver::from_owned_fd(self.heard.into())?;
        tokio::io::AsyncReadExt::read_to_end(&mut heard, &mut said).await?;
        if said == b"k" { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(&said).into_owned())) }
    }
}

/// Whether a process is in another user namespace than the server.
fn has_other_users(process: i32) -> bool {
    let link = |whose: &str| std::fs::read_link(format!("/proc/{whose}/ns/user")).ok();
    link(&process.to_string()) != link("self")
}

/// `struct sock_filter`s as they lie in memory.
fn bytes(program: &seccompiler::BpfProgram) -> String {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for one in program {
        bytes.extend_from_slice(&one.code.to_ne_bytes());
        bytes.extend_from_slice(&[one.jt, one.jf]);
        bytes.extend_from_slice(&one.k.to_ne_bytes());
    }
    hex::encode(bytes)
}

/// Two ends of which each message arrives as it was sent.
#[expect(unsafe_code, reason = "sockets of this kind are made by a plain system call")]
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `ends` is valid for the call; the descriptors are ours from then on.
    unsafe {
        if libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

#[expect(unsafe_code, reason = "a handle of a process is had by a plain system call")]
fn process(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes no memory of ours; the descriptor is ours from then on.
    unsafe {
        let opened = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        let opened = RawFd::try_from(opened).map_err(io::Error::other)?;
        if opened < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(opened)) }
    }
}

/// Waits for one message; empty at the other side's end.
#[expect(unsafe_code, reason = "the standard library has no sockets of this kind")]
fn receive(from: &OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0_u8; MAX_NAMES_BYTES];
    // SAFETY: the buffer is as long as said.
    let count = unsafe { libc::recv(from.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    bytes.truncate(usize::try_from(count).unwrap_or(0));
    bytes
}

/// Sends one message with files. It does not wait: the template takes orders faster than units are made.
#[expect(unsafe_code, reason = "the standard library sends no files")]
fn send(to: &OwnedFd, bytes: &[u8], files: &[RawFd]) -> io::Result<()> {
    const FILES: usize = 8;
    /// Aligned as `struct cmsghdr` asks.
    #[repr(align(8))]
    struct Control([u8; 64]);
    let length = u32::try_from(size_of_val(files)).map_err(io::Error::other)?;
    assert!(files.len() <= FILES, "an order has few files");
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: a message of zeros is valid; what it points to outlives the call, and the control data fits into its buffer.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(length) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(length) as _;
        std::ptr::copy_nonoverlapping(files.as_ptr().cast(), libc::CMSG_DATA(header), size_of_val(files));
        if libc::sendmsg(to.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
