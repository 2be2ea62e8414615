//! GetJob: a job's definition.

use api_glue::{GetJob, GetJobRequest, GetJobResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::Jobs;
use crate::jobs::records::{job_key, load_job};

#[async_trait]
impl Handle<GetJob> for Jobs {
    async fn handle(&self, cx: &Cx, req: GetJobRequest) -> Result<GetJobResponse, Error> {
        let key = job_key(cx, &req.job_name);
        let job = self.store.read(|tx| load_job(tx, &key, &req.job_name)).await?;
        Ok(GetJobResponse { job: Some(job) })
    }
}
