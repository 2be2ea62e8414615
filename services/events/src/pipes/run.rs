//! The durable task of a pipe: follows the source until the pipe is changed, stopped or deleted. After a restart it goes on where it
//! was: what a queue gave out and was not deleted comes again, and how far it has come in a stream is kept.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use service::{Cx, Router};
use store::{Done, Runner, Store, Task};
use wire::Error;

use super::batch::Batch;
use super::record::{PipeKey, Record};
use super::{queue, stream};
use crate::destination::Destinations;

pub(super) const RUN: &str = "pipes:run";
/// After a source that could not be read.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Piper {
    pub(super) router: Arc<Router>,
    pub(super) endpoint: String,
    pub(super) store: Store,
    pub(super) destinations: Arc<Destinations>,
}

/// What follows a source ends only by failing.
pub(super) enum Never {}

#[async_trait]
impl Runner for Piper {
    async fn run(&self, task: Task) -> Done {
        let found = match task.payload::<PipeKey>() {
            Ok(place) => self.store.read(|tx| place.load(tx)).await.map(|record| (place, record)),
            Err(error) => Err(error.into()),
        };
        let (place, record) = match found {
            Ok(found) => found,
            Err(error) if error.status() >= 500 => return Done::RetryAfter(jiff::SignedDuration::from_secs(5)),
            Err(_) => return Done::Finished,
        };
        loop {
            let Err(error) = self.follow(&place, &record, &task).await;
            if task.is_cancelled() {
                return Done::Finished;
            }
            tracing::warn!(%error, pipe = place.name, "a pipe's source cannot be read; trying again");
            if unless_stopped(&task, tokio::time::sleep(PAUSE)).await.is_err() {
                return Done::Finished;
            }
        }
    }
}

/// Waits for something that may be cut short: an error where the pipe is changed, stopped or deleted before it is there. What has
/// called a target is not cut short: its events would come again.
pub(super) async fn unless_stopped<T>(task: &Task, waited: impl Future<Output = T>) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = task.cancelled() => Err(Error::new("Stopped", 400, "the pipe was changed, stopped or deleted")),
        value = waited => Ok(value),
    }
}

impl Piper {
    async fn follow(&self, place: &PipeKey, record: &Record, task: &Task) -> Result<Never, Error> {
        let cx = Cx::platform(&self.router, &place.account, &place.region);
        let role = cx.assume(record.shown.role_arn.as_deref().unwrap_or_default(), "pipes").await?;
        let batch = Batch::of(record, &self.endpoint, &self.destinations);
        if record.shown.source_parameters.as_ref().is_some_and(|given| given.sqs_queue_parameters.is_some()) {
            queue::follow(&role, record, &Arc::new(batch), task).await
        } else {
            stream::follow(self, (&role, task), record, &batch).await
        }
    }
}
