//! Whose a connection is: ports of this machine can be reached by every process on it, and what listens for one unit must know.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::{fs, io};

use rustix::fs::{FileType, Mode, OFlags};
use tokio::net::UnixStream;

use super::Group;

/// Connects to a socket that a program has made in a folder of its own. A link that it put there is not followed: it could lead to
/// a socket that only the server may reach.
pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("what is there is no socket"));
    }
    UnixStream::connect(format!("/proc/self/fd/{}", file.as_raw_fd())).await
}

impl Group {
    /// Whether the other end of a connection, which comes from `peer` to `local` on this machine, is held by a process of this group
    /// or below it.
    pub fn holds(self, peer: SocketAddr, local: SocketAddr) -> bool {
        let Some(inode) = inode(peer, local) else { return false };
        let wanted = format!("socket:[{inode}]");
        let mut processes = vec![self.id()];
        while let Some(process) = processes.pop() {
            let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
            let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
            if links.any(|link| link.as_os_str() == wanted.as_str()) {
                return true;
            }
            for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                processes.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()));
            }
        }
        false
    }
}

/// The socket of a connection, as `proc(5)` numbers it. A client may use an IPv6 socket for IPv4.
fn inode(peer: SocketAddr, local: SocketAddr) -> Option<u64> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (peer.ip(), local.ip()) else { return None };
    let four = |ip: std::net::Ipv4Addr, port: u16| format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets()));
    let ends = (four(from, peer.port()), four(to, local.port()));
    let mapped = |end: &str| format!("0000000000000000{:08X}{end}", u32::from_ne_bytes([0, 0, 0xff, 0xff]));
    let find = |table: &str, from: &str, to: &str| {
        fs::read_to_string(table).ok()?.lines().find_map(|line| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            let is_it = fields.get(1) == Some(&from) && fields.get(2) == Some(&to);
            fields.get(9).filter(|_| is_it)?.parse().ok()
        })
    };
    find("/proc/net/tcp", &ends.0, &ends.1).or_else(|| find("/proc/net/tcp6", &mapped(&ends.0), &mapped(&ends.1)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_its_holders() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let _client = TcpStream::connect(local).unwrap();
        let (_, peer) = listener.accept().unwrap();
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let group = |pid: u32| Group(i32::try_from(pid).unwrap());
        assert!(group(std::process::id()).holds(peer, local));
        assert!(!group(other.id()).holds(peer, local));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
