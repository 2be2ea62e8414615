//! What CloudWatch's metrics tell of the machine, as AWS's agent would: namespace `CWAgent`, dimension `host`; and of what is promised of
//! it: `Lakerun/Capacity`. Processes as `/proc` has them. What `/metrics` shows beside requests is in [`figures`].

mod figures;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use compute::budget::Budget;
use serde::Deserialize;
use service::Router;
use service::meter::Measured;

pub(crate) use figures::{Sources, metrics};

/// Section `[metrics]` of the settings.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Section {
    /// What programs of other machines bring to see them.
    pub(crate) token: Option<String>,
}

/// How often the machine is looked at.
const EVERY: Duration = Duration::from_mins(1);
/// Of what is promised to functions, jobs, queries and models. The agent's is `CWAgent`.
const CAPACITY: &str = "Lakerun/Capacity";

/// Who measures this machine, and for whom.
pub(crate) struct Machine {
    pub(crate) router: Arc<Router>,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) data: PathBuf,
    pub(crate) budget: Budget,
}

impl Machine {
    /// Measures at once, and each minute from then on.
    pub(crate) async fn watch(self) {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        let mut before = Times::read();
        loop {
            let now = Times::read();
            // Of the first minute nothing is known yet.
            let busy = before.zip(now).and_then(|(before, now)| now.busy_since(before));
            before = now;
            self.tell(host, busy);
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Names and units are the agent's. Source: `CloudWatch` User Guide, "Metrics collected by the CloudWatch agent".
    fn tell(&self, host: &str, busy: Option<f64>) {
        let measure = |namespace, metric, value: f64, unit| {
            let (account, region) = (self.account.as_str(), self.region.as_str());
            let dimensions = &[("host", host)];
            self.router.measure(Measured { account, region, namespace, metric, dimensions, value, unit });
        };
        if let Some(busy) = busy {
            measure("CWAgent", "cpu_usage_active", busy * 100.0, "Percent");
        }
        if let Some((used, total)) = memory() {
            measure("CWAgent", "mem_used_percent", used / total * 100.0, "Percent");
            measure("CWAgent", "mem_total", total, "Bytes");
        }
        if let Ok(disk) = rustix::fs::statvfs(&self.data) {
            #[expect(clippy::cast_precision_loss, reason = "a disk's bytes, for people")]
            let bytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64;
            // As df has it: what only root may take is neither used nor free.
            let used = bytes(disk.f_blocks - disk.f_bfree);
            measure("CWAgent", "disk_used_percent", used / (used + bytes(disk.f_bavail)) * 100.0, "Percent");
            measure("CWAgent", "disk_free", bytes(disk.f_bavail), "Bytes");
        }
        let load = self.budget.load();
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        measure(CAPACITY, "Processes", count(load.processes), "Count");
        measure(CAPACITY, "ProcessesMost", count(load.processes_most), "Count");
        measure(CAPACITY, "Memory", count(load.memory_mb), "Megabytes");
        measure(CAPACITY, "MemoryMost", count(load.memory_most_mb), "Megabytes");
        measure(CAPACITY, "Waiting", count(load.waiting), "Count");
    }
}

/// Time of all cores, in ticks.
#[derive(Clone, Copy)]
struct Times {
    idle: f64,
    all: f64,
}

impl Times {
    /// Source: proc(5), `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
        let times: Vec<f64> = fields.map_while(|field| field.parse().ok()).collect();
        Some(Self { idle: times.get(3)? + times.get(4)?, all: times.iter().sum() })
    }

    /// The share of the time that was worked.
    fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all - before.all;
        (all > 0.0).then(|| (1.0 - (self.idle - before.idle) / all).clamp(0.0, 1.0))
    }
}

/// Used and whole memory of the machine, in bytes. Source: proc(5), `/proc/meminfo`.
fn memory() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
    };
    let (total, available) = (bytes("MemTotal")?, bytes("MemAvailable")?);
    Some((total - available, total))
}

#[derive(Clone, Copy, Debug, Default)]
struct Process {
    parent: i32,
    cpu_seconds: f64,
    threads: f64,
    resident_bytes: f64,
}

impl Process {
    /// Source: proc(5), `/proc/pid/stat`: fields 4 (ppid), 14 and 15 (time in user and kernel mode), 20 (threads), 24 (resident pages).
    fn read(pid: &str) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            cpu_seconds: (number(14)? + number(15)?) / 100.0,
            threads: number(20)?,
            resident_bytes: number(24)? * 4096.0,
        })
    }
}

/// How many processes are below this one, and their memory.
fn below() -> (f64, f64) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: BTreeMap<i32, Process> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.parse().ok()?, Process::read(&name)?))
        })
        .collect();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let is_below = |mut pid: i32| {
        // A process that is reaped meanwhile may have left others in its place.
        for _ in 0..64 {
            match all.get(&pid) {
                Some(process) if process.parent == own => return true,
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        false
    };
    let found = all.iter().filter(|(pid, _)| is_below(**pid)).map(|(_, process)| process.resident_bytes);
    found.fold((0.0, 0.0), |(count, bytes), more| (count + 1.0, bytes + more))
}

fn open_files() -> f64 {
    let count = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Times, memory};

    #[test]
    fn a_machine_is_measured() {
        let (before, after) = (Times { idle: 100.0, all: 400.0 }, Times { idle: 150.0, all: 600.0 });
        assert_eq!(after.busy_since(before), Some(0.75));
        assert!(before.busy_since(before).is_none(), "no time has passed");
        let now = Times::read().unwrap();
        assert!(now.idle > 0.0 && now.idle < now.all);
        let (used, total) = memory().unwrap();
        assert!(0.0 < used && used < total, "{used} of {total}");
    }
}
