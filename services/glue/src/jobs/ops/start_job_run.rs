//! StartJobRun: puts a run of a job on the queue.

use std::collections::BTreeMap;

use api_glue::{Job, JobRun, StartJobRun, StartJobRunRequest, StartJobRunResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::jobs::capacity::Capacity;
use crate::jobs::records::{Place, RunRecord, active_key, job_key, load_job};
use crate::jobs::run::start;
use crate::jobs::{Jobs, arguments, role_arn, run_not_found};

#[async_trait]
impl Handle<StartJobRun> for Jobs {
    async fn handle(&self, cx: &Cx, req: StartJobRunRequest) -> Result<StartJobRunResponse, Error> {
        if req.job_run_queuing_enabled == Some(true) {
            return Err(Error::not_implemented("StartJobRun with JobRunQueuingEnabled"));
        }
        let id = format!("jr_{:0>64}", (cx.uuid() + &cx.uuid()).replace('-', ""));
        let place = Place::of(cx, &req.job_name, &id);
        let (key, active, now) = (job_key(cx, &req.job_name), active_key(cx, &req.job_name), Timestamp(cx.now()));
        let previous = req.job_run_id.as_ref().map(|id| Place::of(cx, &req.job_name, id));
        let account = cx.clone();
        cx.write(&self.store, move |tx| {
            let job = load_job(tx, &key, &req.job_name)?;
            let most = job.execution_property.as_ref().and_then(|p| p.max_concurrent_runs).unwrap_or(1);
            let most = usize::try_from(most).unwrap_or(1);
            if tx.scan_prefix(&active, most)?.len() >= most {
                let message = format!("Concurrent runs exceeded for {}", req.job_name);
                return Err(api_glue::error::concurrent_runs_exceeded_exception(message));
            }
            if let Some(previous) = &previous
                && tx.get(previous.record())?.is_none()
            {
                return Err(run_not_found(&previous.run));
            }
            let run = run(&job, &req, &place, now);
            arguments::check(run.arguments.as_ref().unwrap_or(&BTreeMap::new()))?;
            let mut record = RunRecord::new(run, &job);
            record.role = role_arn(&account, &record.role);
            start(tx, &place, &record)?;
            Ok(StartJobRunResponse { job_run_id: Some(place.run.clone()) })
        })
        .await
    }
}

fn run(job: &Job, req: &StartJobRunRequest, place: &Place, now: Timestamp) -> JobRun {
    let capacity = Capacity::of(job, req);
    let arguments = arguments::merge(
        job.default_arguments.as_ref(),
        req.arguments.as_ref(),
        job.non_overridable_arguments.as_ref(),
    );
    JobRun {
        id: Some(place.run.clone()),
        attempt: Some(0),
        previous_run_id: req.job_run_id.clone(),
        job_name: Some(place.job.clone()),
        job_mode: job.job_mode.clone(),
        started_on: Some(now),
        last_modified_on: Some(now),
        job_run_state: Some("STARTING".to_owned()),
        arguments: Some(arguments),
        predecessor_runs: Some(Vec::new()),
        execution_time: Some(0),
        timeout: req.timeout.or(job.timeout),
        max_capacity: Some(capacity.dpu),
        worker_type: capacity.worker_type,
        number_of_workers: capacity.workers,
        security_configuration: req.security_configuration.clone().or_else(|| job.security_configuration.clone()),
        log_group_name: Some("/aws-glue/jobs".to_owned()),
        notification_property: req.notification_property.clone().or_else(|| job.notification_property.clone()),
        glue_version: job.glue_version.clone(),
        execution_class: req.execution_class.clone().or_else(|| job.execution_class.clone()),
        ..JobRun::default()
    }
}
