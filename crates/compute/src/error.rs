//! The one error of this crate, by what a caller can do about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// The node that did the work is gone: another may do it.
    #[error("node {node}, which ran this, is gone")]
    NodeLost { node: String },
    /// The machine: a program is missing, a folder cannot be written.
    #[error("{context}: {source}")]
    Io { context: String, source: std::io::Error },
}

impl Error {
    pub(crate) fn lost(node: &crate::nodes::Node) -> Self {
        Self::NodeLost { node: node.address().to_owned() }
    }

    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }
}

fn tail(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// An error as a node tells it to another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Failed { code: String, message: String },
    Crashed { status: String, detail: String },
    OutOfMemory { limit_mb: u64 },
    TimedOut { after: Duration },
    Environment(String),
    NodeLost { node: String },
    Io { context: String, error: String },
}

impl From<Error> for Said {
    fn from(error: Error) -> Self {
        match error {
            Error::Failed { code, message } => Self::Failed { code, message },
            Error::Crashed { status, detail } => Self::Crashed { status, detail },
            Error::OutOfMemory { limit_mb } => Self::OutOfMemory { limit_mb },
            Error::TimedOut(after) => Self::TimedOut { after },
            Error::Environment(text) => Self::Environment(text),
            Error::NodeLost { node } => Self::NodeLost { node },
            Error::Io { context, source } => Self::Io { context, error: source.to_string() },
        }
    }
}

impl From<Said> for Error {
    fn from(said: Said) -> Self {
        match said {
            Said::Failed { code, message } => Self::Failed { code, message },
            Said::Crashed { status, detail } => Self::Crashed { status, detail },
            Said::OutOfMemory { limit_mb } => Self::OutOfMemory { limit_mb },
            Said::TimedOut { after } => Self::TimedOut(after),
            Said::Environment(text) => Self::Environment(text),
            Said::NodeLost { node } => Self::NodeLost { node },
            Said::Io { context, error } => Self::Io { context, source: std::io::Error::other(error) },
        }
    }
}
