//! How much memory and processor time a process and its descendants take. It is asked only while work is in progress: an idle
//! process costs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Group;

/// Often enough to catch a runaway before it hurts, rare enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(25);

/// Processor time is looked at every so many times: what is missed is the last of it, of a process that ends by itself.
const CPU_TURNS: u32 = 10;

/// Watches a group's memory and remembers the most it saw.
#[derive(Clone, Debug)]
pub struct Meter {
    group: Group,
    peak_bytes: Arc<AtomicU64>,
    /// Processor time that the group had used when the watch began.
    cpu_before_ms: u64,
    cpu_ms: Arc<AtomicU64>,
}

/// What work used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub cpu_ms: u64,
    pub peak_bytes: u64,
}

impl Meter {
    pub fn new(group: Group) -> Self {
        let cpu_before_ms = tree_cpu_ms(group.id());
        Self { group, peak_bytes: Arc::default(), cpu_before_ms, cpu_ms: Arc::default() }
    }

    /// Returns when the group holds more than the limit; never without a limit. Dropping it stops the watch.
    pub async fn exceeds(&self, limit_mb: Option<u64>) {
        let Some(limit_mb) = limit_mb else { return std::future::pending().await };
        // What is over before that is measured at its end, if anybody asks.
        let mut turn = 0_u32;
        let mut took = Duration::ZERO;
        loop {
            // Of many threads there is much to read: no more than a twentieth of the time goes into that.
            tokio::time::sleep(INTERVAL.max(took * 20)).await;
            let began = Instant::now();
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(CPU_TURNS) {
                self.measure_cpu();
            }
            if self.measure() > limit_mb << 20 {
                return;
            }
            took = began.elapsed();
        }
    }

    /// All that was used since the watch began, as far as it was seen: a process that has ended shows nothing any more.
    pub fn used(&self) -> Used {
        self.measure();
        self.measure_cpu();
        Used { cpu_ms: self.cpu_ms.load(Ordering::Relaxed), peak_bytes: self.peak_bytes.load(Ordering::Relaxed) }
    }

    fn measure_cpu(&self) {
        let spent = tree_cpu_ms(self.group.id()).saturating_sub(self.cpu_before_ms);
        self.cpu_ms.fetch_max(spent, Ordering::Relaxed);
    }

    pub fn peak_mb(&self) -> u64 {
        self.measure();
        self.peak_bytes.load(Ordering::Relaxed).div_ceil(1 << 20)
    }

    fn measure(&self) -> u64 {
        let bytes = tree_bytes(self.group.id());
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }
}

/// What `/proc/PID/status` says of a process and of all below it, by their ids. Each thread has children of its own: a handler may start
/// programs from a pool of threads, Apache Spark's JVM does so with its Python workers. Source: proc_pid_task(5), `children`.
fn tree(pid: i32) -> BTreeMap<i32, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![pid];
    while let Some(pid) = left.pop() {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let tasks = if field(&status, "Threads:").is_some_and(|threads| threads.trim() == "1") {
            vec![format!("/proc/{pid}/task/{pid}").into()]
        } else {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.map(|task| task.path()).collect::<Vec<PathBuf>>()
        };
        found.insert(pid, status);
        for task in tasks {
            let children = fs::read_to_string(task.join("children")).unwrap_or_default();
            let children = children.split_ascii_whitespace().filter_map(|child| child.parse().ok());
            left.extend(children.filter(|child| !found.contains_key(child)));
        }
    }
    found
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// Resident memory of a process and those below it that is theirs: not the pages of files, such as libraries.
fn tree_bytes(pid: i32) -> u64 {
    tree(pid).iter().map(|(pid, status)| own_bytes(*pid, status)).sum()
}

fn own_bytes(pid: i32, status: &str) -> u64 {
    let bytes = |name: &str| kilobytes(field(status, name)?).map(|kb| kb << 10);
    let shared = bytes("RssShmem:").filter(|bytes| *bytes > 0);
    bytes("RssAnon:").unwrap_or(0) + shared.map_or(0, |all| shared_bytes(pid).unwrap_or(all))
}

/// Its part of the memory that it shares with others: anonymous, of a memfd, in `/dev/shm`. Files of a `/tmp` that lies in memory are
/// not counted, as on AWS, where that is a disk; its size bounds them.
fn shared_bytes(pid: i32) -> Option<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let (mut counts, mut bytes) = (false, 0);
    for line in maps.lines() {
        if let Some(part) = line.strip_prefix("Pss:") {
            bytes += if counts { kilobytes(part)? << 10 } else { 0 };
        } else if line.starts_with(|first: char| first.is_ascii_digit() || ('a'..='f').contains(&first)) {
            // Address, permissions, offset, device, inode, and what it is.
            let what = line.splitn(6, ' ').nth(5).unwrap_or_default().trim_start();
            counts =
                ["/dev/zero", "/memfd:", "/SYSV", "/dev/shm/", "[anon_shmem"].iter().any(|one| what.starts_with(one));
        }
    }
    Some(bytes)
}

fn kilobytes(text: &str) -> Option<u64> {
    text.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Processor time of a process and of those below it, ended ones included where their parent has waited for them.
fn tree_cpu_ms(pid: i32) -> u64 {
    let own = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = (11..15).map(|at| fields.get(at)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(ticks * 1000 / rustix::param::clock_ticks_per_second())
    };
    tree(pid).into_keys().filter_map(own).sum()
}

/// Memory that this machine, or the control group that the server runs in, has.
pub fn machine_memory_mb() -> usize {
    let total = machine("MemTotal:").unwrap_or(2048);
    group_mb("memory.max").map_or(total, |group| group.min(total))
}

/// What of it nobody uses now.
pub fn available_memory_mb() -> usize {
    let available = machine("MemAvailable:").unwrap_or(1024);
    let left = group_mb("memory.max").zip(group_mb("memory.current")).map(|(max, now)| max.saturating_sub(now));
    left.map_or(available, |left| left.min(available))
}

/// A figure of `/proc/meminfo`, in megabytes.
fn machine(name: &str) -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes >> 10)
}

/// A figure of the control group.
fn group_mb(name: &str) -> Option<usize> {
    let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
    text.trim().parse::<u64>().ok().map(|bytes| usize::try_from(bytes >> 20).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A program in Python that has said that it is ready.
    fn python(program: &str) -> (Ended, i32) {
        let said = format!("{program}\nprint('ready', flush=True)\nimport time\ntime.sleep(1000)\n");
        let mut child = Command::new("python3").args(["-c", &said]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let pid = i32::try_from(child.id()).unwrap();
        (Ended(child), pid)
    }

    #[test]
    fn children_of_every_thread_are_measured() {
        let program = "import subprocess, threading, sys\ndone = threading.Event()\ndef start():\n    global one\n    \
                       one = subprocess.Popen([sys.executable, '-c', 'x = b\"x\" * (100 << 20); print(len(x), flush=True); import time; time.sleep(1000)'], stdout=subprocess.PIPE)\n    \
                       one.stdout.readline(); done.set(); threading.Event().wait()\n\
                       threading.Thread(target=start, daemon=True).start()\ndone.wait()";
        let (mut parent, pid) = python(program);
        assert_eq!(tree(pid).len(), 2);
        assert!(tree_bytes(pid) > 100 << 20, "{}", tree_bytes(pid));
        let child = tree(pid).into_keys().find(|one| *one != pid).unwrap();
        parent.0.kill().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(child).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
    }

    #[test]
    fn shared_memory_is_measured_once() {
        let shares = "import mmap, os\nm = mmap.mmap(-1, 100 << 20)\nm.write(b'x' * (100 << 20))\nimport ctypes\n";
        let (_alone, pid) = python(shares);
        assert!(tree_bytes(pid) > 100 << 20, "{}", tree_bytes(pid));
        // A child that has the same pages too.
        let both = format!(
            "{shares}r, w = os.pipe()\nif os.fork() == 0:\n    sum(m[at] for at in range(0, 100 << 20, 4096)); os.write(w, b'x')\n    import time; time.sleep(1000)\nos.read(r, 1)"
        );
        let (_two, pid) = python(&both);
        assert_eq!(tree(pid).len(), 2);
        let bytes = tree_bytes(pid);
        assert!(bytes > 100 << 20 && bytes < 180 << 20, "{bytes}");
        for child in tree(pid).into_keys().filter(|one| *one != pid) {
            let child = rustix::process::Pid::from_raw(child).unwrap();
            rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        }
    }

    #[test]
    fn a_mapped_file_is_not_measured() {
        let (_child, pid) = python(
            "import mmap, tempfile\nf = tempfile.TemporaryFile(dir='/var/tmp')\nf.truncate(100 << 20)\nm = mmap.mmap(f.fileno(), 100 << 20)\nm[:] = b'x' * (100 << 20)",
        );
        assert!(tree_bytes(pid) < 90 << 20, "{}", tree_bytes(pid));
    }
}
