//! Processes that outlive their unit or their server where units have no namespaces of their own. Children die with the server
//! (PDEATHSIG), but what they started themselves may not: each carries in its environment whose it is; the end of its unit, and the
//! next server on the same folder, end those.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};

const NAME: &str = "LAKERUN_OWNER";
/// The folder of the server, and which of its servers it is.
static OWNER: OnceLock<String> = OnceLock::new();

/// The variable by which the processes of one unit are known.
pub(super) const UNIT: &str = "LAKERUN_UNIT";

/// A name for one unit, used once on this machine.
pub(super) fn unit() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}.{}.{}", std::process::id(), nanoseconds(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Ends, in the background, what a unit left behind outside of its process group.
pub(super) fn sweep(unit: String) {
    // Two looks: the first may meet a process that is just starting another.
    let look = move || (0..2).for_each(|_| end_marked(&format!("{UNIT}="), |theirs| theirs == unit.as_bytes()));
    // Without the thread the orphans stay until the next server; nothing else depends on it.
    let _ = std::thread::Builder::new().name("sweep".into()).spawn(look);
}

/// The variable by which this server's processes are known.
pub(super) fn mark() -> Option<(&'static str, &'static str)> {
    OWNER.get().map(|owner| (NAME, owner.as_str()))
}

/// Marks this server's children from now on and ends, in the background, those of earlier servers on this folder. The folder is
/// this server's alone: it holds its lock.
pub(crate) fn reap(folder: &Path) {
    let folder = format!("{NAME}={}\u{1}", folder.display());
    let turn = format!("{}.{}", std::process::id(), nanoseconds());
    let owner = format!("{}{turn}", &folder[NAME.len() + 1..]);
    if OWNER.set(owner).is_err() {
        return; // A second one in this process, as in tests.
    }
    // Without the thread the orphans stay; nothing else depends on it.
    let _ = std::thread::Builder::new().name("reaper".into()).spawn(move || end_earlier(&folder, &turn));
}

/// Ends the processes that are marked with `folder` and another turn than this.
fn end_earlier(folder: &str, turn: &str) {
    end_marked(folder, |theirs| theirs != turn.as_bytes());
}

/// Room for most environments. What `fs::read` reads of a file whose size is not known comes in small pieces first, and `/proc` answers each
/// with a look at the process.
const USUAL_BYTES: usize = 64 << 10;

/// Ends the processes that have a variable that begins so, and whose rest fits.
fn end_marked(beginning: &str, fits: impl Fn(&[u8]) -> bool) {
    let mut environment = Vec::with_capacity(USUAL_BYTES);
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        environment.clear();
        // The kernel's own threads, and processes of others, have none to be read.
        let read =
            fs::File::open(process.path().join("environ")).and_then(|mut file| file.read_to_end(&mut environment));
        if read.is_err() || environment.is_empty() {
            continue;
        }
        let mut marks =
            environment.split(|byte| *byte == 0).filter_map(|entry| entry.strip_prefix(beginning.as_bytes()));
        if marks.any(&fits) {
            // It may have gone by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn nanoseconds() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn what_an_earlier_server_left_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let left = |folder: &Path| {
            let owner = format!("{}\u{1}earlier", folder.display());
            let child = std::process::Command::new("sleep").arg("600").env(NAME, &owner).spawn().unwrap();
            // `spawn` returns within exec(2), before the new environment is there to be read.
            let environ = || fs::read(format!("/proc/{}/environ", child.id())).unwrap();
            while !String::from_utf8_lossy(&environ()).contains(&owner) {
                std::thread::yield_now();
            }
            child
        };
        let (mut ours, mut others) = (left(folder.path()), left(Path::new("/another/folder")));
        end_earlier(&format!("{NAME}={}\u{1}", folder.path().display()), "this");
        assert_eq!(ours.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
        assert!(others.try_wait().unwrap().is_none(), "another server's process was ended");
        others.kill().unwrap();
        others.wait().unwrap();
    }
}
