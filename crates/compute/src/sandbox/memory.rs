//! How much memory and processor time a process and its descendants take. It is asked only while work is in progress: an idle
//! process costs nothing.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
        let cpu_before_ms = tree_cpu_ms(group.id(), 0);
        Self { group, peak_bytes: Arc::default(), cpu_before_ms, cpu_ms: Arc::default() }
    }

    /// Returns when the group holds more than the limit; never without a limit. Dropping it stops the watch.
    pub async fn exceeds(&self, limit_mb: Option<u64>) {
        let Some(limit_mb) = limit_mb else { return std::future::pending().await };
        // What is over before that is measured at its end, if anybody asks.
        let mut turn = 0_u32;
        loop {
            tokio::time::sleep(INTERVAL).await;
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(CPU_TURNS) {
                self.measure_cpu();
            }
            if self.measure() > limit_mb << 20 {
                return;
            }
        }
    }

    /// All that was used since the watch began, as far as it was seen: a process that has ended shows nothing any more.
    pub fn used(&self) -> Used {
        self.measure();
        self.measure_cpu();
        Used { cpu_ms: self.cpu_ms.load(Ordering::Relaxed), peak_bytes: self.peak_bytes.load(Ordering::Relaxed) }
    }

    fn measure_cpu(&self) {
        let spent = tree_cpu_ms(self.group.id(), 0).saturating_sub(self.cpu_before_ms);
        self.cpu_ms.fetch_max(spent, Ordering::Relaxed);
    }

    pub fn peak_mb(&self) -> u64 {
        self.measure();
        self.peak_bytes.load(Ordering::Relaxed).div_ceil(1 << 20)
    }

    fn measure(&self) -> u64 {
        let bytes = tree_bytes(self.group.id(), 0);
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }
}

/// Private resident memory of a process and its children. Shared pages (libraries) are nobody's.
fn tree_bytes(pid: i32, depth: usize) -> u64 {
    let own = fs::read_to_string(format!("/proc/{pid}/statm")).ok().and_then(|text| {
        let mut fields = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
        let (resident, shared) = (fields.next()?.ok()?, fields.next()?.ok()?);
        Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
    });
    let Some(own) = own else { return 0 };
    if depth > 16 {
        return own;
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    own + children
        .split_ascii_whitespace()
        .filter_map(|child| child.parse().ok())
        .map(|child| tree_bytes(child, depth + 1))
        .sum::<u64>()
}

/// Processor time of a process and of those below it, ended ones included where their parent has waited for them.
fn tree_cpu_ms(pid: i32, depth: usize) -> u64 {
    let own = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|text| {
        // The name, in brackets, may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = (11..15).map(|at| fields.get(at)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(ticks * 1000 / rustix::param::clock_ticks_per_second())
    });
    let Some(own) = own else { return 0 };
    if depth > 16 {
        return own;
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below = children.split_ascii_whitespace().filter_map(|child| child.parse().ok());
    own + below.map(|child| tree_cpu_ms(child, depth + 1)).sum::<u64>()
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
