//! How much memory a process and its descendants hold. It is asked only while work is in progress: an idle process costs nothing.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Group;

/// Often enough to catch a runaway before it hurts, rare enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(25);

/// Watches a group's memory and remembers the most it saw.
#[derive(Clone, Debug)]
pub struct Meter {
    group: Group,
    peak_bytes: Arc<AtomicU64>,
}

impl Meter {
    pub fn new(group: Group) -> Self {
        Self { group, peak_bytes: Arc::default() }
    }

    /// Returns when the group holds more than the limit; never without a limit. Dropping it stops the watch.
    pub async fn exceeds(&self, limit_mb: Option<u64>) {
        let Some(limit_mb) = limit_mb else { return std::future::pending().await };
        // What is over before that is measured at its end, if anybody asks.
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.measure() > limit_mb << 20 {
                return;
            }
        }
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

/// Memory that this machine, or the control group that the server runs in, has.
pub fn machine_memory_mb() -> usize {
    let total = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        })
        .map_or(2048, |kilobytes| kilobytes >> 10);
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .map(|bytes| bytes >> 20);
    usize::try_from(group.map_or(total, |group| group.min(total))).unwrap_or(usize::MAX)
}
