//! The event `SageMaker Transform Job State Change`: a task of its own, asked for in the transaction that changes the job, so
//! that it is sent exactly once.

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::records::{JobRecord, Place};

#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    account: String,
    region: String,
    time: Timestamp,
    arn: String,
    detail: String,
}

/// Asks for the event of a job's present status.
pub(crate) fn enqueue(tx: &mut Tx<'_>, place: &Place, record: &JobRecord, now: Timestamp) -> Result<(), Error> {
    let mut detail = serde_json::to_value(&record.job).map_err(Error::internal)?;
    // Events carry times in milliseconds.
    for (name, time) in [
        ("CreationTime", Some(record.job.creation_time)),
        ("TransformStartTime", record.job.transform_start_time),
        ("TransformEndTime", record.job.transform_end_time),
    ] {
        if let Some(time) = time {
            detail[name] = time.as_millis().into();
        }
    }
    let sent = Sent {
        account: place.account.clone(),
        region: place.region.clone(),
        time: now,
        arn: record.job.transform_job_arn.clone(),
        detail: detail.to_string(),
    };
    let id = format!("sagemaker:event:{}:{}:{}", place.region, place.job, record.job.transform_job_status);
    tx.enqueue(NewTask::new("sagemaker:event", id).payload(&sent)?)?;
    Ok(())
}

pub(crate) struct Events(pub(crate) Arc<SageMaker>);

#[async_trait]
impl Runner for Events {
    async fn run(&self, task: Task) -> Done {
        let Ok(sent) = task.payload::<Sent>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &sent.account, &sent.region).with_task(&task.id);
        let entry = PutEventsRequestEntry {
            time: Some(sent.time),
            source: Some("aws.sagemaker".to_owned()),
            resources: Some(vec![sent.arn]),
            detail_type: Some("SageMaker Transform Job State Change".to_owned()),
            detail: Some(sent.detail),
            ..Default::default()
        };
        match cx.call::<PutEvents>(PutEventsRequest { entries: vec![entry], ..Default::default() }).await {
            Err(e) if task.attempt < 5 && !e.is("NotImplemented") => {
                tracing::warn!(error = %e, "the event of a transform job could not be sent; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(1 << task.attempt))
            }
            _ => Done::Finished,
        }
    }
}
