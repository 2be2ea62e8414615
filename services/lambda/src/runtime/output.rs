//! What an environment says: its standard output and error, line by line, with the platform's own lines between them in the
//! order in which they happened. Lines go to CloudWatch Logs; the end of an invocation's is kept for `LogType: Tail`.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use jobs::log::Stream;

/// CloudWatch's limit of one event, less its overhead.
const MAX_LINE_BYTES: usize = 256 * 1024 - 26;
/// What `LogType: Tail` returns.
const TAIL_BYTES: usize = 4096;

/// Where lines go.
pub(crate) enum Log {
    Stream(Stream),
    /// To the node that has asked for it.
    Far(mpsc::Sender<String>),
}

impl Log {
    pub(super) async fn write(&self, line: String) {
        match self {
            Self::Stream(stream) => stream.write(line).await,
            // Who has gone does not read it.
            Self::Far(lines) => drop(lines.send(line).await),
        }
    }
}

/// The platform's end of it.
pub(super) struct Output(mpsc::Sender<Command>);

enum Command {
    /// A line of the platform's, after everything that was said before.
    Say { line: String, starts_tail: bool, said: oneshot::Sender<()> },
    /// Everything said so far is passed on; what the tail holds comes back.
    Tail(oneshot::Sender<Vec<u8>>),
}

impl Output {
    pub(super) fn follow(pipe: OwnedFd, log: Log) -> std::io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe)?;
        let (sender, commands) = mpsc::channel(4);
        tokio::spawn(Pump { pipe: Some(pipe), log, line: Vec::new(), tail: VecDeque::new() }.run(commands));
        Ok(Self(sender))
    }

    pub(super) async fn say(&self, line: String) {
        self.send(line, false).await;
    }

    /// As [`Output::say`], and the tail begins with this line.
    pub(super) async fn begin(&self, line: String) {
        self.send(line, true).await;
    }

    async fn send(&self, line: String, starts_tail: bool) {
        let (said, done) = oneshot::channel();
        if self.0.send(Command::Say { line, starts_tail, said }).await.is_ok() {
            let _ = done.await;
        }
    }

    pub(super) async fn tail(&self) -> Vec<u8> {
        let (reply, tail) = oneshot::channel();
        if self.0.send(Command::Tail(reply)).await.is_err() {
            return Vec::new();
        }
        tail.await.unwrap_or_default()
    }
}

struct Pump {
    /// None after its end.
    pipe: Option<pipe::Receiver>,
    log: Log,
    line: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Pump {
    /// Ends with the environment, when nothing more can be said or asked.
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let readable = async {
                match &self.pipe {
                    Some(pipe) => pipe.readable().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                ready = readable => match ready {
                    Ok(()) => self.drain().await,
                    Err(_) => self.pipe = None,
                },
            }
        }
        self.drain().await;
        self.end_line().await;
    }

    async fn obey(&mut self, command: Command) {
        self.drain().await;
        self.end_line().await;
        match command {
            Command::Say { line, starts_tail, said } => {
                if starts_tail {
                    self.tail.clear();
                }
                for line in line.split_inclusive('\n') {
                    self.pass_on(line.to_owned()).await;
                }
                let _ = said.send(());
            }
            Command::Tail(reply) => {
                let _ = reply.send(self.tail.iter().copied().collect());
            }
        }
    }

    /// Reads what there is now.
    async fn drain(&mut self) {
        let mut buffer = [0; 8192];
        while let Some(pipe) = &self.pipe {
            match pipe.try_read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.take(&buffer[..count]).await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    async fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..=end]);
            self.end_line().await;
            bytes = &bytes[end + 1..];
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() >= MAX_LINE_BYTES / 4 {
            self.end_line().await;
        }
    }

    async fn end_line(&mut self) {
        if !self.line.is_empty() {
            let line = escape(&std::mem::take(&mut self.line));
            self.pass_on(line).await;
        }
    }

    async fn pass_on(&mut self, line: String) {
        self.tail.extend(line.as_bytes());
        if !line.ends_with('\n') {
            self.tail.push_back(b'\n');
        }
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        self.log.write(line).await;
    }
}

/// Text as it is; bytes that are no text, and control characters, as `\xff`.
fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\x1b') {
                let _ = write!(text, "\\x{:02x}", u32::from(character));
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn binary_output_becomes_text() {
        assert_eq!(escape("plain ü\t\n".as_bytes()), "plain ü\t\n");
        assert_eq!(escape(b"\x00a\xff\xfeb\n"), "\\x00a\\xff\\xfeb\n");
    }
}
