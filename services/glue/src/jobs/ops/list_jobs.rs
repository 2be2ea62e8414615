//! ListJobs: the names of all jobs.

use api_glue::{ListJobs, ListJobsRequest, ListJobsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::{Jobs, page};

#[async_trait]
impl Handle<ListJobs> for Jobs {
    async fn handle(&self, cx: &Cx, req: ListJobsRequest) -> Result<ListJobsResponse, Error> {
        if req.tags.is_some_and(|t| !t.is_empty()) {
            return Err(Error::not_implemented("ListJobs by tags"));
        }
        let names: Vec<String> = self.all_jobs(cx).await?.into_iter().filter_map(|j| j.name).collect();
        let (names, next) = page(names, Clone::clone, req.next_token.as_deref(), req.max_results, 1000);
        Ok(ListJobsResponse { job_names: Some(names), next_token: next })
    }
}
