//! What a program leaves in a folder of its own for the server to read. The program may have put anything there: a link to a file
//! that only the server may read or that has no end, a FIFO that nobody writes to, more than memory holds.

use std::io::Read as _;
use std::path::Path;
use std::{fs, io};

use rustix::fs::{FileType, Mode, OFlags};

/// A bookmark may name 100,000 files; results are otherwise far smaller.
const MOST_BYTES: u64 = 64 << 20;

/// Reads a file that a program has left in a folder of its own; none where it left none. What is no plain file there, or is larger
/// than any result, is an error.
pub async fn result(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read(&path, MOST_BYTES)).await.map_err(io::Error::other)?
}

fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    // NONBLOCK: to open a FIFO waits for its other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("the result is no plain file"));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    fs::File::from(file).take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("the result is larger than {most} bytes")));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn only_a_plain_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(result(&at("none")).await.unwrap(), None);
        fs::write(at("plain"), "x").unwrap();
        assert_eq!(result(&at("plain")).await.unwrap().as_deref(), Some(&b"x"[..]));

        symlink("/dev/zero", at("endless")).unwrap();
        symlink(at("plain"), at("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["endless", "link", "fifo", "folder", "socket"] {
            assert!(result(&at(name)).await.is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_result_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        // Holes take no room on the disk.
        for (size, fits) in [(MOST_BYTES, true), (MOST_BYTES + 1, false), (60 << 30, false)] {
            fs::File::create(&path).unwrap().set_len(size).unwrap();
            assert_eq!(result(&path).await.is_ok(), fits, "{size}");
        }
    }
}
