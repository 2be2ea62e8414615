//! Running somebody else's code: processes that die with the server and leave nothing behind, with a clean environment, bounded
//! output and resource limits. Where the machine allows it a unit has a root, processes and a user of its own ([`is_isolated`]);
//! elsewhere Landlock gives it a view of only its folders. The network is the host's.

mod beneath;
mod filesystem;
mod isolation;
mod memory;
mod namespaces;
mod orphans;
mod output;
mod privileges;
mod results;
mod root;
mod sockets;
mod spare;
mod spawner;
pub mod template;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::Error;
pub use beneath::Beneath;
pub use isolation::{is_isolated, require, warnings};
pub use memory::{Meter, Used, available_memory_mb, machine_memory_mb};
pub use namespaces::enter;
pub(crate) use orphans::reap;
pub use output::{Capture, Output};
pub use results::result;
pub use sockets::connect;
pub use spare::Spare;

const THIS_PROGRAM: &str = "/proc/self/exe";

/// As whom a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A user of its own, confined.
    Unit,
    /// The server's user, confined.
    Server,
    /// The operator's own programs: not confined.
    Operator,
    /// The server's user, with a root of its own and what it takes to enter units: see [`template`].
    Template,
}

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
    mounts: Vec<(PathBuf, PathBuf, bool)>,
    temporary_mb: Option<u64>,
    merged: bool,
    whose: Whose,
    stdin: bool,
    memory_mb: Option<u64>,
    open_files: u64,
    file_size_mb: u64,
    processes: u64,
    cpu_seconds: Option<u64>,
    /// A file that it inherits.
    inherited: Option<std::os::fd::RawFd>,
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
            temporary_mb: None,
            merged: false,
            whose: Whose::Unit,
            stdin: false,
            memory_mb: None,
            open_files: 4096,
            file_size_mb: 64 * 1024,
            processes: 4096,
            cpu_seconds: None,
            inherited: None,
        }
    }

    /// The server's own binary, even when the file has since been replaced on disk.
    pub fn this_program() -> Self {
        let mut command = Self::new(THIS_PROGRAM);
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
        self.whose = Whose::Operator;
        self
    }

    /// Shows the folder `host`, readable and writable, at `inside`, such as `/tmp` or `/mnt/NAME`: where [`is_isolated`], else it
    /// is seen where it is.
    pub fn mount(&mut self, host: impl AsRef<Path>, inside: impl AsRef<Path>) -> &mut Self {
        self.mounts.push((host.as_ref().to_owned(), inside.as_ref().to_owned(), true));
        self
    }

    /// As [`Command::mount`], for reading.
    pub fn show(&mut self, host: impl AsRef<Path>, inside: impl AsRef<Path>) -> &mut Self {
        self.mounts.push((host.as_ref().to_owned(), inside.as_ref().to_owned(), false));
        self
    }

    /// A `/tmp` of this size, empty and its own, where [`is_isolated`]. It is in memory.
    pub fn temporary_mb(&mut self, megabytes: u64) -> &mut Self {
        self.temporary_mb = Some(megabytes);
        self
    }

    /// Runs as the server's user though the server is root: for what writes to folders that are not its own.
    pub fn as_server(&mut self) -> &mut Self {
        self.whose = Whose::Server;
        self
    }

    pub fn processes(&mut self, count: u64) -> &mut Self {
        self.processes = count;
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
        let isolated = self.whose != Whose::Operator && is_isolated().await;
        self.spawn_apart(isolated).await
    }

    /// Has a fork of the template be its program: with this one's folder, environment, view, user and limits, its output merged.
    pub async fn spawn_from(&self, template: &template::Template) -> Result<Child, Error> {
        self.fork(template, true).await
    }

    /// The same with standard error apart.
    pub async fn spawn_apart_from(&self, template: &template::Template) -> Result<Child, Error> {
        self.fork(template, false).await
    }

    async fn fork(&self, template: &template::Template, merged: bool) -> Result<Child, Error> {
        let (child, user, streams) = self.unit(merged).await?;
        let taken = spawner::Taken { limits: self.limits(), user, view: self.view(true) };
        template.fork(self, &taken, child.group.0, &streams).await.map_err(Error::io("forking a template"))?;
        Ok(child)
    }

    /// The namespaces, root and user of its own with a first process that waits for a program from outside.
    async fn unit(&self, merged: bool) -> Result<(Child, Option<u32>, template::Streams), Error> {
        let forking = || Error::io("making a unit for a fork");
        let user = if self.whose == Whose::Unit { privileges::next_user() } else { None };
        let (told, tells) = std::io::pipe().map_err(Error::io("making a pipe"))?;
        let mut command = isolation::first(tells.as_raw_fd(), isolation::Program::Comes).map_err(forking())?;
        command.arg(&self.program).arg(&self.program);
        command.env_clear().envs(orphans::mark()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (reader, writer) = std::io::pipe().map_err(Error::io("making a pipe"))?;
        let apart = if merged { None } else { Some(std::io::pipe().map_err(Error::io("making a pipe"))?) };
        let (errors, errors_writer) = apart.map_or((None, None), |(reader, writer)| (Some(reader), Some(writer)));
        let confinement = spawner::Confinement {
            limits: self.limits(),
            root: Some(self.root(user)?),
            view: self.view(true),
            user,
            rights: spawner::Rights::None,
            inherited: vec![tells.as_raw_fd()],
        };
        let (inner, thread) = spawner::spawn(command, confinement).await.map_err(forking())?;
        drop(tells);
        let stdout = std::process::ChildStdout::from(std::os::fd::OwnedFd::from(reader));
        let stderr = errors.map(|errors| std::process::ChildStderr::from(std::os::fd::OwnedFd::from(errors)));
        let child = Child {
            group: Group::of(&inner),
            inner,
            program: self.program.clone(),
            told: Some(File::from(std::os::fd::OwnedFd::from(told))),
            unit: None,
            _thread: thread,
            ended: false,
            exit: None,
            memory_mb: self.memory_mb,
            stdin: None,
            stdout: Some(ChildStdout::from_std(stdout).map_err(Error::io("making a pipe"))?),
            stderr: stderr.map(ChildStderr::from_std).transpose().map_err(Error::io("making a pipe"))?,
        };
        Ok((child, user, template::Streams { output: writer.into(), errors: errors_writer.map(Into::into) }))
    }

    async fn spawn_apart(&self, isolated: bool) -> Result<Child, Error> {
        let starting = || Error::io(format!("starting {}", self.program.display()));
        let is_template = self.whose == Whose::Template;
        let user = if isolated && self.whose == Whose::Unit { privileges::next_user() } else { None };
        let (told, tells) = std::io::pipe().map_err(Error::io("making a pipe"))?;
        let mut inherited = Vec::from_iter(self.inherited);
        let mut command = if isolated && !is_template {
            inherited.push(tells.as_raw_fd());
            self.behind_init(tells.as_raw_fd(), &mut inherited).map_err(starting())?
        } else {
            self.plain()
        };
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value))).envs(orphans::mark());
        let unit = if isolated { None } else { Some(orphans::unit()) };
        command.envs(unit.as_ref().map(|unit| (orphans::UNIT, unit)));
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
        let confinement = spawner::Confinement {
            limits: self.limits(),
            root: if isolated { Some(self.root(user)?) } else { None },
            view: if is_template { None } else { self.view(isolated) },
            user,
            rights: match self.whose {
                Whose::Operator => spawner::Rights::All,
                Whose::Template => spawner::Rights::Template,
                Whose::Unit | Whose::Server => spawner::Rights::None,
            },
            inherited,
        };
        let (mut inner, thread) = spawner::spawn(command, confinement).await.map_err(starting())?;
        drop(tells);
        let (stdin, stdout, stderr) = (inner.stdin.take(), merged.or_else(|| inner.stdout.take()), inner.stderr.take());
        let told = (isolated && !is_template).then(|| File::from(std::os::fd::OwnedFd::from(told)));
        let (program, memory_mb) = (self.program.clone(), self.memory_mb);
        Ok(Child {
            group: Group::of(&inner),
            inner,
            program,
            told,
            unit,
            _thread: thread,
            ended: false,
            exit: None,
            memory_mb,
            stdin,
            stdout,
            stderr,
        })
    }

    fn plain(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        if let Some(name) = &self.name {
            std::os::unix::process::CommandExt::arg0(&mut command, name);
        }
        command.args(&self.args);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// The first process of a namespace, which starts the program and says on `tells` how it ended.
    fn behind_init(
        &self,
        tells: std::os::fd::RawFd,
        inherited: &mut Vec<std::os::fd::RawFd>,
    ) -> std::io::Result<std::process::Command> {
        let mut program = isolation::Program::Path;
        if self.program == Path::new(THIS_PROGRAM) {
            let file = isolation::this_program().ok_or_else(isolation::missing)?;
            inherited.push(file);
            program = isolation::Program::File(file);
        }
        let mut command = isolation::first(tells, program)?;
        command.arg(&self.program).arg(self.name.as_deref().unwrap_or(self.program.as_os_str())).args(&self.args);
        Ok(command)
    }

    fn limits(&self) -> spawner::Limits {
        spawner::Limits {
            // The watcher ends what grows past its memory; this only stops what grows faster than the watcher looks.
            data_bytes: self.memory_mb.map(|mb| (mb + 4096) << 20),
            open_files: self.open_files,
            file_size_bytes: self.file_size_mb << 20,
            processes: self.processes,
            cpu_seconds: self.cpu_seconds,
        }
    }

    fn view(&self, isolated: bool) -> Option<std::os::fd::OwnedFd> {
        if isolated {
            return filesystem::scopes();
        }
        if self.whose == Whose::Operator {
            return None;
        }
        let (mut read, mut write) = (self.read.clone(), self.write.clone());
        for (host, _, writable) in &self.mounts {
            if *writable { write.push(host.clone()) } else { read.push(host.clone()) }
        }
        filesystem::view(&self.program, &read, &write)
    }

    /// What it sees, by places.
    fn entries(&self) -> BTreeMap<PathBuf, root::Entry> {
        let mut entries = BTreeMap::new();
        if let Some(megabytes) = self.temporary_mb {
            entries.insert(PathBuf::from("/tmp"), root::Entry::Memory { megabytes });
        }
        let program = Some(&self.program).filter(|program| program.as_path() != Path::new(THIS_PROGRAM));
        for path in self.read.iter().chain(program) {
            entries.insert(path.clone(), root::Entry::Host { path: path.clone(), writable: false });
        }
        for path in &self.write {
            entries.insert(path.clone(), root::Entry::Host { path: path.clone(), writable: true });
        }
        for (host, inside, writable) in &self.mounts {
            entries.insert(inside.clone(), root::Entry::Host { path: host.clone(), writable: *writable });
        }
        entries
    }

    /// The same as steps; folders that it writes to become its user's.
    fn root(&self, user: Option<u32>) -> Result<root::Plan, Error> {
        if let Some(user) = user {
            let written =
                self.write.iter().chain(self.mounts.iter().filter(|(.., writable)| *writable).map(|mount| &mount.0));
            written.for_each(|path| give(path, user));
        }
        root::Plan::new(self.entries(), self.folder.as_deref(), user, self.whose != Whose::Template)
    }

    /// Runs it to its end. Its last `capture.bytes` of each stream are kept; past `timeout` or its memory the group is killed.
    pub async fn output(&self, capture: Capture, timeout: Option<Duration>) -> Result<Output, Error> {
        output::collect(self.spawn().await?, capture, timeout).await
    }

    /// As [`Command::output`], of a fork of a template; its streams are one.
    pub async fn output_from(
        &self,
        template: &template::Template,
        capture: Capture,
        timeout: Option<Duration>,
    ) -> Result<Output, Error> {
        output::collect(self.spawn_from(template).await?, capture, timeout).await
    }

    /// As [`Command::output`], of a unit that stood by for it.
    pub async fn output_of(&self, spare: Spare, capture: Capture, timeout: Option<Duration>) -> Result<Output, Error> {
        output::collect(spare.become_unit(self).await?, capture, timeout).await
    }
}

/// A running process. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    program: PathBuf,
    /// What the first process of its namespace says of its end.
    told: Option<File>,
    /// By what its processes are known where it has no namespace.
    unit: Option<String>,
    _thread: Option<spawner::Thread>,
    group: Group,
    ended: bool,
    exit: Option<ExitStatus>,
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
        self.end();
        match self.told.as_mut().and_then(isolation::told) {
            // Kept, so that it can be asked for again.
            Some(Ok(status)) => Ok(Exit(*self.exit.insert(ExitStatus::from_raw(status)))),
            Some(Err(error)) => Err(Error::io(format!("starting {}", self.program.display()))(error)),
            None => Ok(Exit(self.exit.unwrap_or(status))),
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.group.kill();
            if let Some(unit) = self.unit.take() {
                orphans::sweep(unit);
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process group, to kill or to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(i32);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Self(pid.expect("a child that was just started has an id"))
    }

    pub fn kill(self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.0) {
            // It may have gone already, which is what was wanted.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            // Where it is the first of its namespace everything in that ends with it.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
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

    /// As `wait(2)` has it, for another node to be told.
    pub fn raw(self) -> i32 {
        self.0.into_raw()
    }

    pub fn from_raw(raw: i32) -> Self {
        Self(ExitStatus::from_raw(raw))
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

/// Makes what lies in a folder a user's own. What cannot be given stays the server's, and shows as a refused write.
fn give(path: &Path, user: u32) {
    let _ = std::os::unix::fs::lchown(path, Some(user), Some(user));
    // Links are not followed: the type is the entry's own.
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            give(&entry.path(), user);
        } else {
            let _ = std::os::unix::fs::lchown(entry.path(), Some(user), Some(user));
        }
    }
}

/// Makes what a unit has left in a folder the server's own again.
pub(crate) fn take_back(path: &Path) {
    if rustix::process::geteuid().is_root() {
        give(path, 0);
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
