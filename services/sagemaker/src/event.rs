//! The event `SageMaker Transform Job State Change`, asked for in the transaction that changes the job.

use store::Tx;
use wire::{Error, Timestamp};

use crate::records::{JobKey, JobRecord};

/// Asks for the event of a job's present status.
pub(crate) fn enqueue(tx: &mut Tx<'_>, place: &JobKey, record: &JobRecord, now: Timestamp) -> Result<(), Error> {
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
    let event = jobs::event::Event {
        account: place.account.clone(),
        region: place.region.clone(),
        time: now,
        source: "aws.sagemaker".to_owned(),
        detail_type: "SageMaker Transform Job State Change".to_owned(),
        resources: vec![record.job.transform_job_arn.clone()],
        detail,
    };
    let id = format!("sagemaker:{}:{}:{}", place.region, place.job, record.job.transform_job_status);
    jobs::event::enqueue(tx, &id, &event)
}
