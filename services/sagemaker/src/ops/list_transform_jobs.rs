//! ListTransformJobs: the newest first, unless asked otherwise.

use api_sagemaker::{ListTransformJobs, ListTransformJobsRequest, ListTransformJobsResponse, TransformJobSummary};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::listing::{Between, Listed, Listing};
use crate::records::{JobRecord, jobs_key};

impl Listed for TransformJobSummary {
    fn name(&self) -> &str {
        &self.transform_job_name
    }
    fn created(&self) -> Timestamp {
        self.creation_time
    }
    fn modified(&self) -> Timestamp {
        self.last_modified_time.unwrap_or(self.creation_time)
    }
    fn status(&self) -> Option<&str> {
        Some(&self.transform_job_status)
    }
}

#[async_trait]
impl Handle<ListTransformJobs> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListTransformJobsRequest) -> Result<ListTransformJobsResponse, Error> {
        let key = jobs_key(cx);
        let records: Vec<JobRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let listing = Listing {
            name_contains: req.name_contains,
            status: req.status_equals,
            created: Between { before: req.creation_time_before, after: req.creation_time_after },
            modified: Between { before: req.last_modified_time_before, after: req.last_modified_time_after },
            sort_by: req.sort_by,
            order: req.sort_order,
            token: req.next_token,
            limit: req.max_results,
        };
        let (jobs, next) = listing.page(records.into_iter().map(summary))?;
        Ok(ListTransformJobsResponse { transform_job_summaries: jobs, next_token: next })
    }
}

fn summary(record: JobRecord) -> TransformJobSummary {
    let job = record.job;
    TransformJobSummary {
        transform_job_name: job.transform_job_name,
        transform_job_arn: job.transform_job_arn,
        creation_time: job.creation_time,
        transform_end_time: job.transform_end_time,
        last_modified_time: job.transform_end_time.or(job.transform_start_time).or(Some(job.creation_time)),
        transform_job_status: job.transform_job_status,
        failure_reason: job.failure_reason,
    }
}
