//! StopTransformJob: takes the job off the queue, kills its worker and has it wound up as Stopped.

use api_sagemaker::{StopTransformJob, StopTransformJobRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::NewTask;
use wire::Error;
use wire::types::Empty;

use crate::SageMaker;
use crate::records::Place;

#[async_trait]
impl Handle<StopTransformJob> for SageMaker {
    async fn handle(&self, cx: &Cx, req: StopTransformJobRequest) -> Result<Empty, Error> {
        let place = Place::of(cx, &req.transform_job_name);
        cx.write(&self.store, move |tx| {
            let mut record = place.load(tx)?;
            match record.job.transform_job_status.as_str() {
                "InProgress" => {
                    "Stopping".clone_into(&mut record.job.transform_job_status);
                    tx.put_json(place.record(), &record)?;
                    tx.cancel_task(&place.task())?;
                    tx.enqueue(NewTask::new("sagemaker:stop", format!("stop:{}", place.task())).payload(&place)?)?;
                }
                "Stopping" => {}
                status => {
                    let message = format!("The request was rejected because the transform job is in status {status}.");
                    return Err(Error::validation(message));
                }
            }
            Ok(Empty::default())
        })
        .await
    }
}
