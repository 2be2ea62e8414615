//! The one error of this crate, by what a caller can do about it.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The work itself said no: its code and message are for the user.
    #[error("{code}: {message}")]
    Failed { code: String, message: String },
    /// The process ended before it answered; `detail` is the end of its standard error.
    #[error("the process ended unexpectedly ({status}){}", tail(.detail))]
    Crashed { status: String, detail: String },
    #[error("the process used more than its {limit_mb} MB of memory and was ended")]
    OutOfMemory { limit_mb: u64 },
    #[error("the process took longer than {0:?} and was ended")]
    TimedOut(Duration),
    /// A Python environment could not be made; the text is pip's.
    #[error("the Python environment could not be made: {0}")]
    Environment(String),
    /// The machine: a program is missing, a folder cannot be written.
    #[error("{context}: {source}")]
    Io { context: String, source: std::io::Error },
}

impl Error {
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }
}

fn tail(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}
