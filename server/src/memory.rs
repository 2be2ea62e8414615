//! Gives memory back when the server has nothing to do: caches of the stores, what the allocators keep for themselves, and the pages of the
//! program that only the start or the last load needed. What is needed again comes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use store::Store;

const EVERY: Duration = Duration::from_secs(5);
/// CPU time within that time of a server that has nothing to do: background work goes on.
const QUIET_MS: u64 = 100;
/// CPU time after which there may be something to give back again.
const WORTH_MS: u64 = 200;
/// The stores' threads give back theirs within this.
const MEANWHILE: Duration = Duration::from_millis(500);
/// Workers wait for each other no longer than this.
const MEET: Duration = Duration::from_millis(20);

/// Watches for ever.
pub(crate) async fn watch(stores: Vec<Store>) {
    store::at_rest(collect);
    let (mut before, mut given_back) = (cpu_ms(), None);
    loop {
        tokio::time::sleep(EVERY).await;
        let now = cpu_ms();
        let is_quiet = now - before <= QUIET_MS;
        before = now;
        if is_quiet && given_back.is_none_or(|at| now - at >= WORTH_MS) {
            stores.iter().for_each(Store::rest);
            tokio::time::sleep(MEANWHILE).await;
            collect_on_workers().await;
            give_back();
            before = cpu_ms();
            given_back = Some(before);
        }
    }
}

/// CPU time of this process. Source: proc(5), `/proc/pid/stat`, fields 14 and 15, in hundredths of a second.
fn cpu_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// The allocator keeps for each thread what that thread has freed, until it asks for memory again.
#[expect(unsafe_code, reason = "the allocator is told by a plain call")]
fn collect() {
    // SAFETY: it may be called at any time, from any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// On each of the runtime's threads: who is done keeps its thread until all are, so that no thread takes two.
async fn collect_on_workers() {
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    let arrived = Arc::new(AtomicUsize::new(0));
    let one = |arrived: Arc<AtomicUsize>| async move {
        collect();
        arrived.fetch_add(1, Ordering::AcqRel);
        let until = Instant::now() + MEET;
        while arrived.load(Ordering::Acquire) < workers && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let tasks: Vec<_> = (0..workers).map(|_| tokio::spawn(one(Arc::clone(&arrived)))).collect();
    for task in tasks {
        let _ = task.await;
    }
}

#[expect(unsafe_code, reason = "allocators and the kernel are told by plain calls")]
fn give_back() {
    collect();
    // SQLite's memory is the system's allocator's.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: as above.
    unsafe {
        libc::malloc_trim(0);
    }
    #[cfg(target_os = "linux")]
    for (begin, bytes) in program() {
        // SAFETY: these pages are never written, so that what is in the file comes back at the next look at them.
        unsafe {
            libc::madvise(std::ptr::without_provenance_mut(begin), bytes, libc::MADV_DONTNEED);
        }
    }
}

/// Where the program's file is mapped, but for what was written to: code and constants. Source: proc(5), `/proc/pid/maps`.
#[cfg(target_os = "linux")]
fn program() -> Vec<(usize, usize)> {
    let Some(path) = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok()) else {
        return Vec::new();
    };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let found = maps.lines().filter_map(|line| mapping(line, &path));
    found
        .flat_map(|mapping| match mapping {
            Mapping::Unwritten(begin, bytes) => vec![(begin, bytes)],
            Mapping::ByLoader(begin, bytes) => of_file(begin, bytes).unwrap_or_default(),
        })
        .collect()
}

/// Begin and length of a mapping of the program's file that nobody writes to now.
#[derive(Debug, PartialEq)]
enum Mapping {
    /// It holds what the file holds: it is executed, or the file's beginning.
    Unwritten(usize, usize),
    /// The loader may have written to some of its pages before it made them read-only.
    ByLoader(usize, usize),
}

fn mapping(line: &str, path: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (range, access, offset) = (fields.next()?, fields.next()?, fields.next()?);
    let is_same = line.strip_suffix(path).is_some_and(|head| head.ends_with(' '));
    let (begin, end) = range.split_once('-')?;
    let (begin, end) = (usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let is_beginning = usize::from_str_radix(offset, 16) == Ok(0);
    match access {
        _ if !is_same => None,
        "r-xp" => Some(Mapping::Unwritten(begin, end - begin)),
        "r--p" if is_beginning => Some(Mapping::Unwritten(begin, end - begin)),
        "r--p" => Some(Mapping::ByLoader(begin, end - begin)),
        _ => None,
    }
}

/// Runs of pages there that are in memory and are the file's still: who writes to one gets a copy, which is not.
/// Source: the kernel's documentation, `admin-guide/mm/pagemap`: bit 63, in memory; bit 61, of a file.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the size of a page comes from a plain call")]
fn of_file(begin: usize, bytes: usize) -> std::io::Result<Vec<(usize, usize)>> {
    use std::os::unix::fs::FileExt as _;
    const ENTRY: usize = size_of::<u64>();
    const OF_FILE: u64 = 1 << 63 | 1 << 61;
    // SAFETY: it asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(std::io::Error::other)?;
    let mut entries = vec![0; bytes / page * ENTRY];
    let from = u64::try_from(begin / page * ENTRY).map_err(std::io::Error::other)?;
    std::fs::File::open("/proc/self/pagemap")?.read_exact_at(&mut entries, from)?;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (n, entry) in entries.as_chunks::<ENTRY>().0.iter().enumerate() {
        if u64::from_ne_bytes(*entry) & OF_FILE != OF_FILE {
            continue;
        }
        let at = begin + n * page;
        match runs.last_mut() {
            Some((run, length)) if *run + *length == at => *length += page,
            _ => runs.push((at, page)),
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::Mapping;

    #[test]
    fn only_what_is_never_written_is_given_back() {
        let lines = [
            (
                "55d0a0000000-55d0a0003000 r--p 00000000 fe:00 12   /opt/lake run",
                Some(Mapping::Unwritten(0x55d0_a000_0000, 0x3000)),
            ),
            (
                "55d0a0003000-55d0a0004000 r-xp 00003000 fe:00 12   /opt/lake run",
                Some(Mapping::Unwritten(0x55d0_a000_3000, 0x1000)),
            ),
            (
                "55d0a0004000-55d0a0005000 r--p 00004000 fe:00 12   /opt/lake run",
                Some(Mapping::ByLoader(0x55d0_a000_4000, 0x1000)),
            ),
            ("55d0a0005000-55d0a0006000 rw-p 00005000 fe:00 12   /opt/lake run", None),
            ("7f00a0000000-7f00a0003000 r-xp 00000000 fe:00 13   /lib/opt/lake run", None),
            ("7f00a0000000-7f00a0003000 r-xp 00000000 00:00 0", None),
        ];
        for (line, expected) in lines {
            assert_eq!(super::mapping(line, "/opt/lake run"), expected, "{line}");
        }
        assert!(!super::program().is_empty());
        super::give_back();
    }
}
