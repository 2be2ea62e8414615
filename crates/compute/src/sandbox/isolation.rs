//! What this machine gives for keeping units of work apart: asked by trying, once. `lakerun doctor` tells it, and it can be required.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::sync::OnceLock;

use super::{Capture, Command, privileges};

/// The first process of a namespace, `init/init.rs`.
const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// Whether units have a root, processes and a host name of their own: mounts at `/tmp`, `/var/task`, `/opt` and `/mnt`, and an end
/// that nothing of them outlives.
pub async fn is_isolated() -> bool {
    static ANSWER: tokio::sync::OnceCell<bool> = tokio::sync::OnceCell::const_new();
    *ANSWER
        .get_or_init(|| async {
            let mut command = Command::new("/bin/sh");
            // Its own number within the namespace, its own /tmp, its own user.
            command.args(["-c", "test $$ -le 2 && touch /tmp/mark && test ! -e /proc/3 && echo yes"]).temporary_mb(1);
            match Box::pin(command.spawn_apart(true)).await {
                Ok(child) => match super::output::collect(child, Capture { bytes: 4096 }, None).await {
                    Ok(output) if output.stdout == b"yes\n" => true,
                    Ok(output) => {
                        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                        tracing::warn!(exit = %output.exit, said, "child processes have no namespaces of their own");
                        false
                    }
                    Err(error) => {
                        tracing::warn!(%error, "child processes have no namespaces of their own");
                        false
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "child processes have no namespaces of their own");
                    false
                }
            }
        })
        .await
}

/// What this machine lacks for confining children, and what that costs: lines for `lakerun doctor`.
pub async fn warnings() -> Vec<String> {
    let mut warnings = Vec::new();
    let isolated = is_isolated().await;
    if !isolated {
        warnings.push(
            "This machine lets no process have namespaces of its own: functions have no /tmp, /var/task and /opt (they find their \
             folders in TMPDIR and LAMBDA_TASK_ROOT), nothing at /mnt, no limit on what they write, and see the machine's processes; \
             a process that leaves its group and clears its environment outlives its function. Run as root, or allow user \
             namespaces (a container needs CAP_SYS_ADMIN, or a seccomp profile that allows unshare and mount)."
                .to_owned(),
        );
    }
    if super::filesystem::landlock_version() <= 0 {
        warnings.push(if isolated {
            "This kernel has no Landlock: functions and jobs can reach abstract Unix sockets of this machine. Run a kernel of 6.12 \
             or later with `landlock` in its list of security modules."
                .to_owned()
        } else {
            "This kernel has no Landlock: functions, jobs and models can read every file that the server's user can read, \
             the data folder included. Run a kernel of 5.13 or later with `landlock` in its list of security modules."
                .to_owned()
        });
    }
    if privileges::filters().is_none() {
        warnings.push("System calls cannot be filtered on this machine (no seccomp for its processor).".to_owned());
    }
    if isolated && privileges::next_user().is_none() {
        warnings.push(
            "The server is not root, or has too few user numbers: functions and jobs run as the server's own user, without its \
             capabilities and without sight of its files and processes."
                .to_owned(),
        );
    }
    warnings
}

/// What must be there where the settings require it: an error names what is not.
pub async fn require() -> Result<(), String> {
    if !is_isolated().await {
        return Err(warnings().await.remove(0));
    }
    privileges::filters().map(drop).ok_or_else(|| "System calls cannot be filtered on this machine.".to_owned())
}

/// What the first process of a namespace is to start.
#[derive(Clone, Copy)]
pub(super) enum Program {
    /// The file at the path that is its next argument.
    Path,
    File(RawFd),
    /// Nothing: it comes from a template.
    Comes,
}

/// The first process of a namespace, which says on `tells` how its program ended. The program's path and its arguments are to follow.
pub(super) fn first(tells: RawFd, program: Program) -> io::Result<std::process::Command> {
    let mut command = std::process::Command::new(format!("/proc/self/fd/{}", init().ok_or_else(missing)?));
    let program = match program {
        Program::Path => -1,
        Program::File(file) => file,
        Program::Comes => -2,
    };
    std::os::unix::process::CommandExt::arg0(&mut command, "init");
    command.arg(tells.to_string()).arg(program.to_string());
    Ok(command)
}

pub(super) fn missing() -> io::Error {
    io::Error::other("the first process of a sandbox cannot be made")
}

/// The file that the first process of a namespace is executed from: in memory, so that it is there whatever is mounted.
#[expect(unsafe_code, reason = "a file in memory is made by a plain system call")]
fn init() -> Option<RawFd> {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        // SAFETY: the name is static; the descriptor is ours from then on.
        let mut file = unsafe {
            let file = libc::memfd_create(c"lakerun-init".as_ptr(), libc::MFD_CLOEXEC);
            if file < 0 {
                return None;
            }
            File::from_raw_fd(file)
        };
        file.write_all(INIT).ok()?;
        // One that is open for writing cannot be executed.
        File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    });
    file.as_ref().map(std::os::fd::AsRawFd::as_raw_fd)
}

/// The server's own program, even when its file has since been replaced.
pub(super) fn this_program() -> Option<RawFd> {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    FILE.get_or_init(|| File::open("/proc/self/exe").ok()).as_ref().map(std::os::fd::AsRawFd::as_raw_fd)
}

/// How the program ended, as its first process said; `None` when that one was killed.
pub(super) fn told(status: &mut File) -> Option<Result<i32, io::Error>> {
    let mut words = [0; 8];
    status.read_exact(&mut words).ok()?;
    let (failed, value) = words.split_at(4);
    let number = |bytes: &[u8]| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let value = number(value);
    Some(if number(failed) == 0 { Ok(value) } else { Err(io::Error::from_raw_os_error(value)) })
}
