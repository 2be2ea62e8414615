//! GetJobRuns: a job's runs, the newest first.

use api_glue::{GetJobRuns, GetJobRunsRequest, GetJobRunsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use super::get_job_run::seen;
use crate::jobs::records::{RunRecord, job_key, runs_key};
use crate::jobs::{Jobs, job_not_found, page};

#[async_trait]
impl Handle<GetJobRuns> for Jobs {
    async fn handle(&self, cx: &Cx, req: GetJobRunsRequest) -> Result<GetJobRunsResponse, Error> {
        let (job, runs) = (job_key(cx, &req.job_name), runs_key(cx, &req.job_name));
        let mut records: Vec<RunRecord> = self
            .store
            .read(|tx| {
                let records = tx.list_json(&runs, usize::MAX)?;
                if records.is_empty() && tx.get(&job)?.is_none() {
                    return Err(job_not_found(&req.job_name));
                }
                Ok(records)
            })
            .await?;
        records.sort_by_key(|r| std::cmp::Reverse(r.run.started_on));
        let id = |r: &RunRecord| r.run.id.clone().unwrap_or_default();
        let (records, next) = page(records, id, req.next_token.as_deref(), req.max_results, 200);
        let now = Timestamp(cx.now());
        Ok(GetJobRunsResponse { job_runs: Some(records.into_iter().map(|r| seen(r, now)).collect()), next_token: next })
    }
}
