//! Running a process to its end and keeping the end of what it said.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Child, Exit, Meter};
use crate::Error;

/// How long a process's output may stay open after its end, held by something that left its group.
const LINGER: Duration = Duration::from_secs(1);

/// How much of each stream to keep: the last so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    pub bytes: usize,
}

#[derive(Clone, Debug)]
pub struct Output {
    pub exit: Exit,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub peak_memory_mb: u64,
}

pub(super) async fn collect(mut child: Child, capture: Capture, timeout: Option<Duration>) -> Result<Output, Error> {
    let meter = Meter::new(child.group());
    let limit_mb = child.memory_limit_mb();
    let (mut stdout, mut stderr) = (VecDeque::new(), VecDeque::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let exit = {
        let streams = async {
            tokio::join!(keep_tail(out, capture.bytes, &mut stdout), keep_tail(err, capture.bytes, &mut stderr))
        };
        tokio::pin!(streams);
        let mut drained = false;
        let deadline = async { tokio::time::sleep(timeout.unwrap_or(Duration::MAX)).await };
        tokio::pin!(deadline);
        let exit = loop {
            tokio::select! {
                exit = child.wait() => break exit?,
                _ = &mut streams, if !drained => drained = true,
                () = meter.exceeds(limit_mb) => return Err(Error::OutOfMemory { limit_mb: limit_mb.unwrap_or_default() }),
                () = &mut deadline, if timeout.is_some() => return Err(Error::TimedOut(timeout.unwrap_or_default())),
            }
        };
        if !drained {
            let _ = tokio::time::timeout(LINGER, streams).await;
        }
        exit
    };
    Ok(Output { exit, stdout: stdout.into(), stderr: stderr.into(), peak_memory_mb: meter.peak_mb() })
}

/// Reads to the end, keeping the last `limit` bytes.
async fn keep_tail(stream: Option<impl AsyncRead + Unpin>, limit: usize, kept: &mut VecDeque<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.extend(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(limit));
    }
}
