//! GetJobs: all definitions, by name.

use api_glue::{GetJobs, GetJobsRequest, GetJobsResponse, Job};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::records::{JobRecord, jobs_key};
use crate::jobs::{Jobs, page};

#[async_trait]
impl Handle<GetJobs> for Jobs {
    async fn handle(&self, cx: &Cx, req: GetJobsRequest) -> Result<GetJobsResponse, Error> {
        let jobs = self.all_jobs(cx).await?;
        let (jobs, next) =
            page(jobs, |j| j.name.clone().unwrap_or_default(), req.next_token.as_deref(), req.max_results, 1000);
        Ok(GetJobsResponse { jobs: Some(jobs), next_token: next })
    }
}

impl Jobs {
    pub(super) async fn all_jobs(&self, cx: &Cx) -> Result<Vec<Job>, Error> {
        let key = jobs_key(cx);
        let records: Vec<JobRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        Ok(records.into_iter().map(|r| r.job).collect())
    }
}
