//! Winds up a run that was asked to stop. Its task is off the queue and its script is being killed; here its keys end and
//! what it wrote stays, as on AWS.

use std::sync::Arc;

use async_trait::async_trait;
use service::Cx;
use service::attempts::Outcome;
use store::{Done, Runner, Task};
use wire::{Error, Timestamp};

use super::Jobs;
use super::records::{Ended, Place};
use super::run::finish;

pub(super) struct Stopper(pub(super) Arc<Jobs>);

#[async_trait]
impl Runner for Stopper {
    async fn run(&self, task: Task) -> Done {
        let Ok(place) = task.payload::<Place>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &place.account, &place.region);
        match self.0.stopped(&cx, &place).await {
            Ok(()) => Done::Finished,
            Err(e) => {
                tracing::error!(error = %e, run = place.run, "a job run could not be stopped; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(2))
            }
        }
    }
}

impl Jobs {
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
                    finish(tx, &place, &mut record, &Ended { state: "STOPPED".to_owned(), message: None }, now)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}
