//! Processes that outlived a server. Children die with it (PDEATHSIG), but what they started themselves may not: each carries
//! in its environment whose it is, and the next server on the same folder ends those.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

const NAME: &str = "LAKERUN_OWNER";
/// The folder of the server, and which of its servers it is.
static OWNER: OnceLock<String> = OnceLock::new();

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
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
        let mut owners = environment.split(|byte| *byte == 0).filter_map(|entry| entry.strip_prefix(folder.as_bytes()));
        if owners.any(|theirs| theirs != turn.as_bytes()) {
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
            std::process::Command::new("sleep").arg("60").env(NAME, owner).spawn().unwrap()
        };
        let (mut ours, mut others) = (left(folder.path()), left(Path::new("/another/folder")));
        end_earlier(&format!("{NAME}={}\u{1}", folder.path().display()), "this");
        assert_eq!(ours.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
        assert!(others.try_wait().unwrap().is_none(), "another server's process was ended");
        others.kill().unwrap();
        others.wait().unwrap();
    }
}
