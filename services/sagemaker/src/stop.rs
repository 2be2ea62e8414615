//! Winds up a job that was asked to stop: its task is off the queue and its worker is being killed.

use std::sync::Arc;

use async_trait::async_trait;
use service::Cx;
use service::attempts::Outcome;
use store::{Done, Runner, Task};
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::records::{Ended, Place};
use crate::transform::finish;

pub(crate) struct Stopper(pub(crate) Arc<SageMaker>);

#[async_trait]
impl Runner for Stopper {
    async fn run(&self, task: Task) -> Done {
        let Ok(place) = task.payload::<Place>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &place.account, &place.region);
        match self.0.stopped(&cx, &place).await {
            Ok(()) => Done::Finished,
            Err(e) => {
                tracing::error!(error = %e, job = place.job, "a transform job could not be stopped; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(2))
            }
        }
    }
}

impl SageMaker {
    async fn stopped(&self, cx: &Cx, place: &Place) -> Result<(), Error> {
        let record = self.store.read(|tx| place.load(tx)).await?;
        if let Some(attempt) = &record.attempt {
            self.close(attempt, Outcome::Commit).await?;
        }
        let (place, now) = (place.clone(), Timestamp(cx.now()));
        self.store
            .write(move |tx| {
                let mut record = place.load(tx)?;
                if !record.is_over() {
                    finish(tx, &place, &mut record, &Ended { status: "Stopped".to_owned(), reason: None }, now)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}
