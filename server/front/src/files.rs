//! Hands workers on this machine the open files of objects, after the same authorisation as GetObject: one connection to a Unix socket
//! asks for one object, by a presigned request for it, and gets the files that hold its bytes. Objects are immutable, so the files are a
//! snapshot; small or encrypted objects are in no file of their own, and are to be got over HTTP.
//!
//! Asked is a line of JSON, [`Asked`]; answered a line of JSON, [`Answered`], with the descriptors beside its first byte.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sendfd::SendWithFd as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::Front;

/// Objects of more parts are got over HTTP. A message carries at most 253 descriptors (Linux, SCM_MAX_FD).
const MOST_FILES: usize = 128;
const LONGEST_LINE: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Asked {
    /// A presigned GET: path and query.
    uri: String,
    host: String,
}

#[derive(Serialize)]
struct Answered {
    /// Of GetObject.
    status: u16,
    /// How many bytes of the object each file holds; none where it is to be got over HTTP.
    sizes: Vec<u64>,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Front {
    /// Serves the socket until the process ends. What other runs left of it is replaced.
    ///
    /// # Errors
    /// When it cannot be made: a path of more than 107 bytes, a file system without sockets. Workers then use HTTP.
    pub fn hand_over(self: &Arc<Self>, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Workers run as users of their own; what they may have is in the signature of what they ask.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let front = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let front = Arc::clone(&front);
                        tokio::spawn(async move {
                            if let Err(error) = front.hand(stream).await {
                                tracing::debug!(%error, "an object's files were not handed over");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a worker");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(())
    }

    async fn hand(&self, mut stream: tokio::net::UnixStream) -> io::Result<()> {
        let mut line = String::new();
        // Who connects and asks nothing holds no thread.
        let mut asking = BufReader::new((&mut stream).take(LONGEST_LINE));
        tokio::time::timeout(PATIENCE, asking.read_line(&mut line)).await??;
        let asked: Asked = serde_json::from_str(&line)?;
        let given = s3_service::Files::default();
        let request = http::Request::get(asked.uri)
            .header(http::header::HOST, asked.host)
            .extension(s3_service::Peer { address: std::net::Ipv4Addr::LOCALHOST.into(), secure: true, by_tls: false })
            .extension(given.clone())
            .body(s3s::Body::empty())
            .map_err(io::Error::other)?;
        let response = self.s3.serve(request).await;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut files = given.take();
        if files.len() > MOST_FILES {
            files.clear();
        }
        let answered = Answered {
            status: response.status().as_u16(),
            sizes: files.iter().map(|(_, size)| *size).collect(),
            etag: header(http::header::ETAG),
            last_modified: header(http::header::LAST_MODIFIED),
        };
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let sending = tokio::task::spawn_blocking(move || send(&stream, &answered, &files));
        sending.await.map_err(io::Error::other)?
    }
}

fn send(mut stream: &UnixStream, answered: &Answered, files: &s3_service::OpenFiles) -> io::Result<()> {
    use std::io::Write as _;
    let mut line = serde_json::to_vec(answered)?;
    line.push(b'\n');
    let descriptors: Vec<_> = files.iter().map(|(file, _)| file.as_raw_fd()).collect();
    // Bytes that are sent with descriptors may be cut short as others may.
    let sent = if descriptors.is_empty() { 0 } else { stream.send_with_fd(&line, &descriptors)? };
    stream.write_all(&line[sent..])
}
