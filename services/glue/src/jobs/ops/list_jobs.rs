//! ListJobs: the names of all jobs, or of those with the tags.

use api_glue::{ListJobs, ListJobsRequest, ListJobsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::jobs::{Jobs, page};
use crate::scope::Scope;
use crate::tags;

#[async_trait]
impl Handle<ListJobs> for Jobs {
    async fn handle(&self, cx: &Cx, req: ListJobsRequest) -> Result<ListJobsResponse, Error> {
        let wanted = req.tags.unwrap_or_default();
        let scope = Scope::of(cx);
        let names: Vec<String> = self.all_jobs(cx).await?.into_iter().filter_map(|j| j.name).collect();
        let names = self
            .store
            .read(|tx| {
                let mut kept = Vec::new();
                for name in &names {
                    let have = tags::read(tx, &scope, &scope.arn(&format!("job/{name}")))?;
                    if wanted.iter().all(|(k, v)| have.get(k) == Some(v)) {
                        kept.push(name.clone());
                    }
                }
                Ok::<_, Error>(kept)
            })
            .await?;
        let (names, next) = page(names, Clone::clone, req.next_token.as_deref(), req.max_results, 1000);
        Ok(ListJobsResponse { job_names: Some(names), next_token: next })
    }
}
