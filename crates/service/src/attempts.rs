//! Attempts of jobs. Each attempt (of a job run, a query, an invocation) gets credentials of its own, which end with it. What
//! an attempt wrote that was cut short and will be made again is rolled back by the services that take part, so that the
//! job's effects are there once or not at all.
//!
//! An attempt writes only while it is open: [`crate::Cx::write`] asks inside the transaction, so that a call which was on its
//! way when its attempt ended changes nothing. Which attempts are open is known in memory: no attempt outlives its server.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use wire::Error;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it wrote stays.
    Commit,
    /// What it wrote is undone.
    Rollback,
}

/// A service whose records or objects jobs change, and that can undo it.
#[async_trait]
pub trait Participant: Send + Sync {
    /// Before a rollback: takes back what names objects, so that nobody builds on them from here on, and answers the places whose objects
    /// must stay, since others have built on them already. Repeatable until [`Participant::finish`].
    async fn release(&self, _job: &str) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// What the job has written below these places (`s3://bucket/prefix/`) stays, whatever becomes of the rest. Repeatable.
    async fn keep_below(&self, _job: &str, _places: &[String]) -> Result<(), Error> {
        Ok(())
    }

    /// Ends what attempts of this job have under way. Repeatable; unknown jobs are no error. Answers how many bytes stay of
    /// what was written.
    async fn finish(&self, job: &str, outcome: Outcome) -> Result<u64, Error>;

    /// Is anything there that [`Participant::finish`] would end?
    async fn holds(&self, job: &str) -> Result<bool, Error>;

    /// Has the job done something that others may have built on since, so that it cannot be undone? It counts, however the
    /// job ends.
    async fn is_settled(&self, _job: &str) -> Result<bool, Error> {
        Ok(false)
    }

    /// The next job that holds something, after this one in the service's own order: for a sweep.
    async fn next(&self, after: Option<&str>) -> Result<Option<String>, Error>;

    /// Is this a record whose changes by attempts are to be noted in the store's journal (see [`store::journal`])?
    fn notes(&self, _key: &[u8]) -> bool {
        false
    }
}

/// The job of an attempt: attempts are called `<job>#<what makes them different>`.
pub fn job_of(attempt: &str) -> &str {
    attempt.split_once('#').map_or(attempt, |(job, _)| job)
}

/// Which attempt of a job is open.
#[derive(Debug, Default)]
pub struct Open(Mutex<BTreeMap<String, String>>);

impl Open {
    /// Opens an attempt; an earlier one of the job ends.
    pub fn open(&self, attempt: &str) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(job_of(attempt).to_owned(), attempt.to_owned());
    }

    /// Ends the job's attempt: what it writes from here on is refused.
    pub fn close(&self, job: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }

    pub fn is_open(&self, attempt: &str) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(job_of(attempt)).is_some_and(|one| one == attempt)
    }

    pub fn has(&self, job: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(job)
    }
}
