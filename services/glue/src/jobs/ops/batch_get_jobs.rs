//! BatchGetJobs: definitions by name.

use api_glue::{BatchGetJobs, BatchGetJobsRequest, BatchGetJobsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::Jobs;
use crate::jobs::records::{JobRecord, job_key};

#[async_trait]
impl Handle<BatchGetJobs> for Jobs {
    async fn handle(&self, cx: &Cx, req: BatchGetJobsRequest) -> Result<BatchGetJobsResponse, Error> {
        let (jobs, missing) = self
            .store
            .read(|tx| {
                let (mut jobs, mut missing) = (Vec::new(), Vec::new());
                for name in &req.job_names {
                    match tx.get_json::<JobRecord>(job_key(cx, name))? {
                        Some(record) => jobs.push(record.job),
                        None => missing.push(name.clone()),
                    }
                }
                Ok::<_, Error>((jobs, missing))
            })
            .await?;
        Ok(BatchGetJobsResponse { jobs: Some(jobs), jobs_not_found: Some(missing) })
    }
}
