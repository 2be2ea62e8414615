//! What is measured: CPU time of a process with all its children, what an fsync costs meanwhile, percentiles; and how it is shown.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Ticks of the kernel's clock in a second, as `/proc` counts CPU time.
const TICKS_MS: f64 = 10.0;

/// CPU time in milliseconds of a process and its descendants, those that have ended included.
pub(crate) fn cpu_ms(pid: u32) -> Result<f64> {
    let mut all: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while it is looked at.
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((_, rest)) = text.rsplit_once(')') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let parent = u32::try_from(number(1)).unwrap_or(0);
        all.insert(pid, (parent, (11..15).map(number).sum()));
    }
    let mut tree = vec![pid];
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at];
        tree.extend(all.iter().filter(|(_, (of, _))| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    let ticks: u64 = tree.iter().filter_map(|pid| all.get(pid)).map(|(_, ticks)| ticks).sum();
    Ok(milliseconds(ticks) * TICKS_MS)
}

/// Memory that a process holds, in MiB.
pub(crate) fn resident_mb(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run fit a double")]
fn milliseconds(n: u64) -> f64 {
    n as f64
}

/// Counts as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of a run fit a double")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

/// Writes and syncs a page again and again beside a load, to know what the disk costs at that time.
pub(crate) struct Fsyncs {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<f64>>>,
}

impl Fsyncs {
    pub(crate) fn beside(folder: &Path) -> Self {
        let (stop, folder) = (Arc::new(AtomicBool::new(false)), folder.to_owned());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut file = tempfile::tempfile_in(folder)?;
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                took.push(sync_page(&mut file)?);
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(took)
        });
        Self { stop, thread }
    }

    pub(crate) fn end(self) -> Result<Spread> {
        self.stop.store(true, Ordering::Relaxed);
        let took = self.thread.join().map_err(|_| anyhow::anyhow!("the thread that syncs panicked"))??;
        Ok(Spread::of(took))
    }
}

fn sync_page(file: &mut File) -> Result<f64> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&[7; 4096])?;
    let begun = Instant::now();
    file.sync_data()?;
    Ok(ms(begun.elapsed()))
}

pub(crate) fn fsync_only(folder: &Path, count: usize) -> Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    let took = (0..count).map(|_| sync_page(&mut file)).collect::<Result<_>>()?;
    say("fsync", &[("ms", Spread::of(took).show())]);
    Ok(())
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Many measurements of one thing.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or(0.0)
    }

    pub(crate) fn show(&self) -> String {
        let (best, worst) = (self.percentile(0), self.percentile(100));
        format!("best {best:.3} p50 {:.3} p99 {:.3} worst {worst:.3}", self.percentile(50), self.percentile(99))
    }
}

/// One line of figures.
#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
pub(crate) fn say(what: &str, figures: &[(&str, String)]) {
    let figures: Vec<String> = figures.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    println!("{what:<12} {}", figures.join(" | "));
}
