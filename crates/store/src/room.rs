//! Room on the disk. What deletes makes room, and needs some itself: its record in the log, and the database's own journal when the
//! record is brought there. So the last of the disk is kept for it: bodies stop first, then records that delete nothing.

use std::io;
use std::os::fd::AsFd;

/// What bodies of objects leave free, in bytes.
pub(crate) const BESIDE_BODIES: u64 = 64 << 20;
/// What records that delete nothing leave free, in bytes.
pub(crate) const BESIDE_RECORDS: u64 = 32 << 20;

/// How the system tells ENOSPC.
const SYSTEM: &str = "No space left on device";
/// And SQLite.
const SQLITE: &str = "disk is full";

/// Whether an error's text says that there is no room on the disk: what the caller's operator can mend, unlike other causes.
pub fn is_full(cause: &str) -> bool {
    cause.contains(SYSTEM) || cause.contains(SQLITE)
}

/// # Errors
/// `StorageFull`, in the system's own words, where the file's disk has less than `kept` bytes free.
pub(crate) fn beside(file: impl AsFd, kept: u64) -> io::Result<()> {
    let disk = rustix::fs::fstatvfs(file)?;
    check(disk.f_bavail.saturating_mul(disk.f_frsize), kept)
}

fn check(free: u64, kept: u64) -> io::Result<()> {
    if free >= kept {
        return Ok(());
    }
    let cause = format!("{SYSTEM}: {free} bytes, and the last {kept} are kept for what deletes");
    Err(io::Error::new(io::ErrorKind::StorageFull, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_the_disk_is_kept() {
        assert!(check(BESIDE_BODIES, BESIDE_BODIES).is_ok());
        let refused = check(BESIDE_BODIES - 1, BESIDE_BODIES).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert!(refused.to_string().starts_with("No space left on device"), "{refused}");
        assert!(is_full(&refused.to_string()) && is_full("storage: database or disk is full") && !is_full("a fault"));
        let dir = tempfile::tempdir().unwrap();
        assert!(beside(std::fs::File::open(dir.path()).unwrap(), 1).is_ok());
        assert!(beside(std::fs::File::open(dir.path()).unwrap(), u64::MAX).is_err());
    }
}
