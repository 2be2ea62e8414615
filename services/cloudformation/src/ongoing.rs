//! Work whose progress stands in records of its own: a job that goes on from there after a crash, as often as it takes, and whose end its
//! records tell.

use std::fmt::Display;

use async_trait::async_trait;
use jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Who, Worked};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::attempts::Outcome;

use crate::Result;

#[async_trait]
pub(crate) trait Ongoing: Send + Sync + 'static {
    const NAME: &'static str;
    /// Where the record is.
    type Work: Serialize + DeserializeOwned + Clone + Display + Send + Sync + 'static;

    fn scope(work: &Self::Work) -> (&str, &str);

    /// Is there anything left to do?
    fn is_left(&self, tx: &mut store::Tx<'_>, work: &Self::Work) -> Result<bool>;

    /// Goes on to the end; an error interrupts it for a while.
    async fn go_on(&self, work: &Self::Work) -> Result<()>;
}

/// Such work as a job. Each of its calls is made as its caller or a role, never as the platform.
pub(crate) struct Job<T>(pub(crate) T);

#[async_trait]
impl<T: Ongoing> Kind for Job<T> {
    const NAME: &'static str = T::NAME;
    const GOES_ON: bool = true;
    const BEGINS: bool = false;
    type Payload = T::Work;
    type Plan = ();
    type End = ();

    fn scope(work: &T::Work) -> (&str, &str) {
        T::scope(work)
    }

    fn load(&self, tx: &mut store::Tx<'_>, work: &T::Work) -> Result<Loaded<()>> {
        Ok(if self.0.is_left(tx, work)? { Loaded::Todo(()) } else { Loaded::Over })
    }

    fn limits(&self, (): &()) -> Limits {
        Limits { tries: u32::MAX, timeout: None }
    }

    async fn who(&self, _: &T::Work, (): &(), _: &str) -> Result<Who<()>> {
        Ok(Who::Platform)
    }

    async fn work(&self, work: &T::Work, (): &(), _: &Attempt) -> Worked<()> {
        match self.0.go_on(work).await {
            Ok(()) => Worked::Ended(()),
            Err(error) => {
                tracing::error!(work = %work, kind = T::NAME, %error, "interrupted; it goes on in a while");
                Worked::Passing(())
            }
        }
    }

    fn stopped(&self) {}
    fn timed_out(&self, (): &()) {}

    fn outcome(&self, (): &()) -> Outcome {
        Outcome::Commit
    }

    fn end(&self, _: &mut store::Tx<'_>, _: &T::Work, _: &Ended<()>) -> Result<Next<T::Work>> {
        Ok(Next::Over)
    }
}
