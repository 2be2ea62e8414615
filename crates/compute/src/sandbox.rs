//! Running somebody else's code: a process group of its own that dies with the server, with a clean environment, bounded
//! output, resource limits, and (Landlock) a view of only the folders it was given. The network is the host's.

mod filesystem;
mod memory;
mod mount;
mod orphans;
mod output;
mod spawner;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::Error;
pub use filesystem::warnings;
pub use memory::{Meter, Used, machine_memory_mb};
pub use mount::can_mount;
pub(crate) use orphans::reap;
pub use output::{Capture, Output};

/// What to run and what it may touch. Its environment holds only what is set here and a plain `PATH` and `LANG`.
#[derive(Clone, Debug)]
pub struct Command {
    program: PathBuf,
    name: Option<OsString>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    mounts: Vec<(PathBuf, PathBuf)>,
    merged: bool,
    confined: bool,
    stdin: bool,
    memory_mb: Option<u64>,
    open_files: u64,
    file_size_mb: u64,
    processes: u64,
    cpu_seconds: Option<u64>,
}

impl Command {
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            name: None,
            args: Vec::new(),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("LANG".into(), "C.UTF-8".into())],
            folder: None,
            read: Vec::new(),
            write: Vec::new(),
            mounts: Vec::new(),
            merged: false,
            confined: true,
            stdin: false,
            memory_mb: None,
            open_files: 4096,
            file_size_mb: 64 * 1024,
            processes: 4096,
            cpu_seconds: None,
        }
    }

    /// The server's own binary, even when the file has since been replaced on disk.
    pub fn this_program() -> Self {
        let mut command = Self::new("/proc/self/exe");
        command.name = std::env::args_os().next();
        command
    }

    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn folder(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// A file or folder that the process may read and execute. The system's own folders always are.
    pub fn read_only(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.read.push(path.as_ref().to_owned());
        self
    }

    pub fn read_write(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.write.push(path.as_ref().to_owned());
        self
    }

    /// Runs without Landlock: for the operator's own programs, never for a user's.
    pub(crate) fn unconfined(&mut self) -> &mut Self {
        self.confined = false;
        self
    }

    /// Shows the folder `host`, readable and writable, at `inside`: at an existing folder such as `/tmp`, or at `/mnt/NAME`.
    /// Needs the right to make mounts (root, or user namespaces); see [`can_mount`]. Without it the process starts all the same.
    pub fn mount(&mut self, host: impl AsRef<Path>, inside: impl AsRef<Path>) -> &mut Self {
        self.mounts.push((host.as_ref().to_owned(), inside.as_ref().to_owned()));
        self
    }

    /// Sends standard error into standard output, so that the order of what is said is kept.
    pub fn merged(&mut self) -> &mut Self {
        self.merged = true;
        self
    }

    /// Pipes standard input; without this it is empty.
    pub fn stdin(&mut self) -> &mut Self {
        self.stdin = true;
        self
    }

    /// Resident memory of the whole group; what goes over it is ended (see [`Meter`] and [`Command::output`]).
    pub fn memory_mb(&mut self, megabytes: u64) -> &mut Self {
        self.memory_mb = Some(megabytes);
        self
    }

    pub fn open_files(&mut self, count: u64) -> &mut Self {
        self.open_files = count;
        self
    }

    pub fn file_size_mb(&mut self, megabytes: u64) -> &mut Self {
        self.file_size_mb = megabytes;
        self
    }

    pub fn cpu_seconds(&mut self, seconds: u64) -> &mut Self {
        self.cpu_seconds = Some(seconds);
        self
    }

    /// Starts it with piped standard output and error.
    pub async fn spawn(&self) -> Result<Child, Error> {
        let mut command = std::process::Command::new(&self.program);
        if let Some(name) = &self.name {
            std::os::unix::process::CommandExt::arg0(&mut command, name);
        }
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(orphans::mark());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .stdin(if self.stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut merged = None;
        if self.merged {
            let (reader, writer) = std::io::pipe().map_err(Error::io("making a pipe"))?;
            command.stderr(writer.try_clone().map_err(Error::io("making a pipe"))?).stdout(writer);
            let reader = std::process::ChildStdout::from(std::os::fd::OwnedFd::from(reader));
            merged = Some(ChildStdout::from_std(reader).map_err(Error::io("making a pipe"))?);
        }
        let view = if self.confined {
            let mounted: Vec<_> = self.write.iter().chain(self.mounts.iter().map(|(host, _)| host)).collect();
            filesystem::view(&self.program, &self.read, &mounted)
        } else {
            None
        };
        let mounts = mount::prepare(&self.mounts)?;
        let limits = spawner::Limits {
            // The watcher ends what grows past its memory; this only stops what grows faster than the watcher looks.
            data_bytes: self.memory_mb.map(|mb| (mb + 4096) << 20),
            open_files: self.open_files,
            file_size_bytes: self.file_size_mb << 20,
            processes: self.processes,
            cpu_seconds: self.cpu_seconds,
        };
        let mut inner = spawner::spawn(command, limits, mounts, view)
            .await
            .map_err(Error::io(format!("starting {}", self.program.display())))?;
        let pid = inner.id().and_then(|id| i32::try_from(id).ok()).expect("a child that was just started has an id");
        let (stdin, stdout, stderr) = (inner.stdin.take(), merged.or_else(|| inner.stdout.take()), inner.stderr.take());
        Ok(Child { inner, group: Group(pid), ended: false, memory_mb: self.memory_mb, stdin, stdout, stderr })
    }

    /// Runs it to its end. Its last `capture.bytes` of each stream are kept; past `timeout` or its memory the group is killed.
    pub async fn output(&self, capture: Capture, timeout: Option<Duration>) -> Result<Output, Error> {
        output::collect(self.spawn().await?, capture, timeout).await
    }
}

/// A running process. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    group: Group,
    ended: bool,
    memory_mb: Option<u64>,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Child {
    /// Its process group, to end it from elsewhere while [`Child::wait`] is being awaited.
    pub fn group(&self) -> Group {
        self.group
    }

    pub fn memory_limit_mb(&self) -> Option<u64> {
        self.memory_mb
    }

    /// Whether it is gone already.
    pub fn has_ended(&mut self) -> bool {
        self.ended || !matches!(self.inner.try_wait(), Ok(None))
    }

    /// Waits for its end, then ends whatever it left behind in its group. Safe to cancel.
    pub async fn wait(&mut self) -> Result<Exit, Error> {
        let status = self.inner.wait().await.map_err(Error::io("waiting for a process"))?;
        if !self.ended {
            self.ended = true;
            self.group.kill();
        }
        Ok(Exit(status))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            self.group.kill();
        }
    }
}

/// A process group, to kill or to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(i32);

impl Group {
    pub fn kill(self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.0) {
            // It may have gone already, which is what was wanted.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }

    pub fn id(self) -> i32 {
        self.0
    }
}

/// How a process ended, in the words that AWS uses: `exit status 1`, `signal: killed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(ExitStatus);

impl Exit {
    pub fn success(self) -> bool {
        self.0.success()
    }

    pub fn code(self) -> Option<i32> {
        self.0.code()
    }

    pub fn signal(self) -> Option<i32> {
        self.0.signal()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(signal) = self.0.signal() else { return write!(f, "exit status {}", self.0.code().unwrap_or(-1)) };
        match signal {
            libc::SIGABRT => f.write_str("signal: aborted"),
            libc::SIGBUS => f.write_str("signal: bus error"),
            libc::SIGFPE => f.write_str("signal: floating point exception"),
            libc::SIGILL => f.write_str("signal: illegal instruction"),
            libc::SIGINT => f.write_str("signal: interrupt"),
            libc::SIGKILL => f.write_str("signal: killed"),
            libc::SIGSEGV => f.write_str("signal: segmentation fault"),
            libc::SIGTERM => f.write_str("signal: terminated"),
            libc::SIGXFSZ => f.write_str("signal: file size limit exceeded"),
            other => write!(f, "signal: signal {other}"),
        }
    }
}

/// Makes a folder of temporary files and throws away what an earlier server left in it.
pub fn empty_folder(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(format!("emptying {}", folder.display()))(error));
        }
        _ => {}
    }
    std::fs::create_dir_all(folder).map_err(Error::io(format!("making {}", folder.display())))
}

#[cfg(test)]
mod tests;
