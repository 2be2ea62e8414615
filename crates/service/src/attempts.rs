//! Attempts of user code. Each attempt (of a job run, an invocation, a query) gets credentials of its own, revoked when it
//! ends. What a *superseded* attempt wrote (one that a crash of the server cut short and that runs again) is rolled back by
//! the services that take part, so that the second attempt's work counts once.

use async_trait::async_trait;
use wire::Error;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended by itself, well or badly: what it wrote stays, as on AWS.
    Commit,
    /// It was cut short by the platform and will run again: what it wrote is undone.
    Rollback,
}

/// A service that can undo what an attempt wrote (S3).
#[async_trait]
pub trait Participant: Send + Sync {
    /// Repeatable; unknown attempts are not an error.
    async fn finish(&self, attempt: &str, outcome: Outcome) -> Result<(), Error>;
}
