//! DescribeTransformJob: how a job stands.

use api_sagemaker::{DescribeTransformJob, DescribeTransformJobRequest, DescribeTransformJobResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::JobKey;

#[async_trait]
impl Handle<DescribeTransformJob> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DescribeTransformJobRequest) -> Result<DescribeTransformJobResponse, Error> {
        let place = JobKey::of(cx, &req.transform_job_name);
        Ok(self.store.read(|tx| place.load(tx)).await?.job)
    }
}
