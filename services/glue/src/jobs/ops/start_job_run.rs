//! StartJobRun: puts a run of a job on the queue.

use std::collections::BTreeMap;

use api_glue::{Job, JobRun, Predecessor, StartJobRun, StartJobRunRequest, StartJobRunResponse};
use async_trait::async_trait;
use service::lineage::Worker;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use crate::jobs::capacity::Capacity;
use crate::jobs::records::{RunKey, RunRecord, load_job};
use crate::jobs::run::start;
use crate::jobs::{Jobs, arguments, role_in, run_not_found};
use crate::scope::Scope;
use crate::security;

/// The trigger that starts a run, and the runs whose end made it.
pub(crate) struct Origin {
    pub(crate) trigger: String,
    pub(crate) predecessors: Vec<Predecessor>,
}

#[async_trait]
impl Handle<StartJobRun> for Jobs {
    async fn handle(&self, cx: &Cx, req: StartJobRunRequest) -> Result<StartJobRunResponse, Error> {
        if req.job_run_queuing_enabled == Some(true) {
            return Err(Error::not_implemented("StartJobRun with JobRunQueuingEnabled"));
        }
        let id = format!("jr_{:0>64}", (cx.uuid() + &cx.uuid()).replace('-', ""));
        let (scope, now) = (Scope::of(cx), Timestamp(cx.now()));
        let name = req.job_name.clone();
        let place =
            RunKey { account: scope.account.clone(), region: scope.region.clone(), job: name, run: String::new() };
        let begun = cx.write(&self.store, move |tx| begin(tx, &scope, &req, &id, None, now)).await?;
        let run = begun.job_run_id.clone().unwrap_or_default();
        cx.began(Worker::Job(RunKey { run, ..place }.task()));
        Ok(begun)
    }
}

/// Puts a run on the queue.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    scope: &Scope,
    req: &StartJobRunRequest,
    id: &str,
    origin: Option<Origin>,
    now: Timestamp,
) -> Result<StartJobRunResponse, Error> {
    let of = |run: &str| RunKey {
        account: scope.account.clone(),
        region: scope.region.clone(),
        job: req.job_name.clone(),
        run: run.to_owned(),
    };
    let place = of(id);
    let job = load_job(tx, &place.job(), &req.job_name)?;
    let most = job.execution_property.as_ref().and_then(|p| p.max_concurrent_runs).unwrap_or(1);
    let most = usize::try_from(most).unwrap_or(1);
    if tx.scan_prefix(place.actives(), most)?.len() >= most {
        let message = format!("Concurrent runs exceeded for {}", req.job_name);
        return Err(api_glue::error::concurrent_runs_exceeded_exception(message));
    }
    if let Some(previous) = req.job_run_id.as_deref().map(of)
        && tx.get(previous.record())?.is_none()
    {
        return Err(run_not_found(&previous.run));
    }
    let mut run = run(&job, req, &place, now);
    if let Some(origin) = origin {
        run.trigger_name = Some(origin.trigger);
        run.predecessor_runs = Some(origin.predecessors);
    }
    arguments::check(run.arguments.as_ref().unwrap_or(&BTreeMap::new()))?;
    let mut record = RunRecord::new(run, &job);
    if let Some(name) = record.run.security_configuration.as_deref().filter(|name| !name.is_empty()) {
        record.encryption = security::find(tx, scope, name)?.encryption()?;
    } else if record
        .run
        .arguments
        .as_ref()
        .and_then(|all| all.get("--encryption-type"))
        .is_some_and(|kind| kind == "sse-s3")
    {
        record.encryption = Some(security::Encryption { algorithm: "AES256".to_owned(), key: None });
    }
    record.role = role_in(&scope.account, &record.role);
    start(tx, &place, &record)?;
    Ok(StartJobRunResponse { job_run_id: Some(place.run.clone()) })
}

fn run(job: &Job, req: &StartJobRunRequest, place: &RunKey, now: Timestamp) -> JobRun {
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
