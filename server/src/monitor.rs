//! What `/metrics` shows of this process: memory, CPU, children, the lease, the nodes that work for it.

use std::collections::BTreeMap;
use std::fs;

use compute::nodes::Nodes;
use front::{Figure, Metrics, State};
use serde::Deserialize;

/// Section `[metrics]` of the settings.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Section {
    /// What programs of other machines bring to see them.
    pub(crate) token: Option<String>,
}

pub(crate) fn metrics(lease: Option<store::postgres::Lease>, nodes: Nodes) -> Metrics {
    Metrics::new(State(Box::new(move || figures(lease.as_ref(), &nodes))))
}

fn figures(lease: Option<&store::postgres::Lease>, nodes: &Nodes) -> Vec<Figure> {
    let one = |name, help, counts, value| Figure { name, help, counts, values: vec![(Vec::new(), value)] };
    let own = Process::read("self").unwrap_or_default();
    let below = below();
    let mut figures = vec![
        one("process_cpu_seconds", "CPU time of the server", true, own.cpu_seconds),
        one("process_resident_memory_bytes", "Memory of the server", false, own.resident_bytes),
        one("process_threads", "Threads of the server", false, own.threads),
        one("process_open_files", "Open files of the server", false, open_files()),
        one("children", "Processes of functions, jobs, queries and models", false, below.0),
        one("children_resident_memory_bytes", "Their memory, shared pages counted each time", false, below.1),
    ];
    if let Some(lease) = lease {
        let is_valid = f64::from(u8::from(lease.is_valid()));
        figures.push(one("lease_valid", "1 while this node surely owns the stores", false, is_valid));
        #[expect(clippy::cast_precision_loss, reason = "a count of owners")]
        figures.push(one("lease_fence", "The number of this ownership", false, lease.fence() as f64));
        let free = nodes.list_free().into_iter().map(|(node, free_mb)| {
            #[expect(clippy::cast_precision_loss, reason = "a machine's megabytes")]
            let bytes = free_mb as f64 * f64::from(1_u32 << 20);
            (vec![("node", node)], bytes)
        });
        figures.push(Figure {
            name: "node_free_memory_bytes",
            help: "What nodes that work for this one have left for functions and jobs",
            counts: false,
            values: free.collect(),
        });
    }
    figures
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
