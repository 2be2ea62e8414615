//! The worker's side: read a request, do it, answer, until standard input ends.

use std::io;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// What went wrong, for the user who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) request: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reply {
    Ok(Value),
    Error(Failure),
}

/// What a handler gives back: boxed, so that its code is compiled where it is written and not once more in the binary.
pub type Answer = Pin<Box<dyn Future<Output = Result<Value, Failure>>>>;

/// Serves requests with `handle` until standard input ends. What anything prints to standard output goes to standard error.
pub async fn serve(handle: fn(Value) -> Answer) -> io::Result<()> {
    let answers = std::fs::File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?);
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    let mut answers = tokio::fs::File::from_std(answers);
    let mut requests = BufReader::new(tokio::fs::File::from_std(std::fs::File::from(rustix::io::fcntl_dupfd_cloexec(
        rustix::stdio::stdin(),
        3,
    )?)));
    let mut line = Vec::new();
    loop {
        line.clear();
        if requests.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(Request { request }) => handle(request).await.map_or_else(Reply::Error, Reply::Ok),
            Err(error) => Reply::Error(Failure::new("InvalidRequest", error.to_string())),
        };
        let mut reply = serde_json::to_vec(&reply)?;
        reply.push(b'\n');
        answers.write_all(&reply).await?;
        answers.flush().await?;
    }
}
