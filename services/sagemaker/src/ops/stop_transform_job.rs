//! StopTransformJob: stops a job: its worker is killed and what it wrote undone, then it is recorded as Stopped.

use api_sagemaker::{StopTransformJob, StopTransformJobRequest};
use async_trait::async_trait;
use jobs::Stop;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::SageMaker;
use crate::records::JobKey;
use crate::transform::Transforms;

#[async_trait]
impl Handle<StopTransformJob> for SageMaker {
    async fn handle(&self, cx: &Cx, req: StopTransformJobRequest) -> Result<Empty, Error> {
        let place = JobKey::of(cx, &req.transform_job_name);
        cx.write(&self.store, move |tx| {
            let mut record = place.load(tx)?;
            match record.job.transform_job_status.as_str() {
                "InProgress" => {
                    if jobs::stop::<Transforms>(tx, &place.task(), &place)? == Stop::Stopping {
                        "Stopping".clone_into(&mut record.job.transform_job_status);
                        tx.put_json(place.record(), &record)?;
                    }
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
