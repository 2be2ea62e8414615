//! Tables to and from S3: exports of a moment and imports into a new table. Both are records that a task brings to their end, with the
//! caller's own permissions on the bucket, and that stay to be described.
//! Source: DynamoDB Developer Guide, "DynamoDB data export to Amazon S3" and "DynamoDB data import from Amazon S3".

pub(crate) mod changes;
pub(crate) mod export;
pub(crate) mod import;
mod object;
mod rows;

use serde::{Deserialize, Serialize};
use wire::Error;

/// How far a transfer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    InProgress,
    Completed,
    Failed { code: String, message: String },
}

impl State {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed { .. } => "FAILED",
        }
    }

    /// `FailureCode` and `FailureMessage`.
    pub(crate) fn failure(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Failed { code, message } => (Some(code.clone()), Some(message.clone())),
            _ => (None, None),
        }
    }
}

/// Whether a transfer that ended then is still told of: for 90 days. Source: API reference, ListExports and ListImports.
pub(crate) fn is_kept(ended_ms: Option<i64>, now_ms: i64) -> bool {
    ended_ms.is_none_or(|ended| now_ms - ended < 90 * 24 * HOUR_MS)
}

/// Whether its client token still stands for it: for eight hours after its end. Source: API reference, ExportTableToPointInTime.
pub(crate) fn stands_for(ended_ms: Option<i64>, now_ms: i64) -> bool {
    ended_ms.is_none_or(|ended| now_ms - ended < 8 * HOUR_MS)
}

const HOUR_MS: i64 = 3_600_000;

/// Refuses a value that nothing here obeys, as members are that no code reads.
pub(crate) fn only(member: &str, given: Option<&str>, served: &[&str]) -> Result<(), Error> {
    match given {
        Some(given) if !served.contains(&given) => {
            Err(Error::validation(format!("{member} is not supported by this endpoint, given: {given}")))
        }
        _ => Ok(()),
    }
}

/// Why a transfer did not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It ends with this.
    Final { code: String, message: String },
    /// The task runs again.
    Again(Error),
}

impl Failure {
    pub(crate) fn of(code: &str, message: impl Into<String>) -> Self {
        Self::Final { code: code.to_owned(), message: message.into() }
    }

    /// What S3 said; its own trouble passes.
    pub(crate) fn of_s3(error: Error) -> Self {
        if error.status() >= 500 {
            return Self::Again(error);
        }
        let message = format!("{} (Service: Amazon S3; Status Code: {})", error.message(), error.status());
        Self::Final { code: format!("S3{}", error.code()), message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Again(error)
    }
}
