//! ListTransformJobs: the newest first, unless asked otherwise.

use api_sagemaker::{ListTransformJobs, ListTransformJobsRequest, ListTransformJobsResponse, TransformJobSummary};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::{JobRecord, jobs_key, page};

#[async_trait]
impl Handle<ListTransformJobs> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListTransformJobsRequest) -> Result<ListTransformJobsResponse, Error> {
        let key = jobs_key(cx);
        let records: Vec<JobRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let mut jobs: Vec<_> = records.into_iter().map(summary).filter(|job| wanted(job, &req)).collect();
        match req.sort_by.as_deref() {
            Some("Name") => jobs.sort_by(|a, b| a.transform_job_name.cmp(&b.transform_job_name)),
            Some("Status") => jobs.sort_by(|a, b| a.transform_job_status.cmp(&b.transform_job_status)),
            _ => jobs.sort_by_key(|j| j.creation_time),
        }
        if req.sort_order.as_deref() != Some("Ascending") {
            jobs.reverse();
        }
        let (jobs, next) = page(jobs, |j| j.transform_job_name.clone(), req.next_token.as_deref(), req.max_results);
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

fn wanted(job: &TransformJobSummary, req: &ListTransformJobsRequest) -> bool {
    let changed = job.last_modified_time.unwrap_or(job.creation_time);
    req.name_contains.as_ref().is_none_or(|part| job.transform_job_name.contains(part))
        && req.status_equals.as_ref().is_none_or(|status| *status == job.transform_job_status)
        && req.creation_time_after.is_none_or(|t| job.creation_time > t)
        && req.creation_time_before.is_none_or(|t| job.creation_time < t)
        && req.last_modified_time_after.is_none_or(|t| changed > t)
        && req.last_modified_time_before.is_none_or(|t| changed < t)
}
