//! CreateJob: defines a job. Nothing is looked at before it runs but its name, role and command.

use api_glue::{CreateJob, CreateJobRequest, CreateJobResponse, ExecutionProperty, Job, JobCommand};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::jobs::records::{JobRecord, RunKey, job_key};
use crate::jobs::{Jobs, bookmarks};
use crate::scope::Scope;
use crate::tags;

/// The longest Timeout of a job or run.
pub(super) const MAX_TIMEOUT_MINUTES: i32 = 10_080;
const COMMANDS: [&str; 4] = ["glueetl", "pythonshell", "gluestreaming", "glueray"];

#[async_trait]
impl Handle<CreateJob> for Jobs {
    async fn handle(&self, cx: &Cx, req: CreateJobRequest) -> Result<CreateJobResponse, Error> {
        check_command(&req.command)?;
        check_runs(req.timeout, req.execution_class.as_deref(), &req.command, req.glue_version.as_deref())?;
        let (key, name) = (job_key(cx, &req.name), req.name.clone());
        let place = RunKey::of(cx, &name, "");
        let (scope, arn) = (Scope::of(cx), cx.arn("glue", format!("job/{name}")));
        let labels = req.tags.clone().unwrap_or_default();
        let record = JobRecord::new(job(req, Timestamp(cx.now())));
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_some() {
                let message = format!("Job with name: {name} already submitted with different configuration");
                return Err(if tx.get_json::<JobRecord>(&key)?.is_some_and(|old| same(&old.job, &record.job)) {
                    api_glue::error::already_exists_exception(format!("Job with name: {name} already exists"))
                } else {
                    api_glue::error::idempotent_parameter_mismatch_exception(message)
                });
            }
            tx.put_json(&key, &record)?;
            // Of a job of that name that was deleted: its last runs may have left one, under earlier versions of the server.
            bookmarks::forget(tx, &place)?;
            tags::add(tx, &scope, &arn, &labels)?;
            Ok(CreateJobResponse { name: Some(name.clone()) })
        })
        .await
    }
}

pub(super) fn check_command(command: &JobCommand) -> Result<(), Error> {
    let invalid = |message: String| Err(api_glue::error::invalid_input_exception(message));
    match command.name.as_deref() {
        Some("glueray") => return invalid("Ray jobs are not in Lakerun: use glueetl or pythonshell".to_owned()),
        Some(name) if !COMMANDS.contains(&name) => {
            return invalid(format!("Command name should be one of: {}", COMMANDS.join(", ")));
        }
        _ => {}
    }
    match command.script_location.as_deref() {
        Some(location) if location.starts_with("s3://") => Ok(()),
        _ => invalid("ScriptLocation of the job's command must be an s3:// path".to_owned()),
    }
}

/// Source: AWS Glue API Reference, Job: a Timeout is less than 7 days; FLEX is for glueetl with Glue 3.0 and above.
pub(super) fn check_runs(
    timeout: Option<i32>,
    class: Option<&str>,
    command: &JobCommand,
    version: Option<&str>,
) -> Result<(), Error> {
    let invalid = |message: String| Err(api_glue::error::invalid_input_exception(message));
    if let Some(minutes) = timeout.filter(|minutes| *minutes > MAX_TIMEOUT_MINUTES) {
        return invalid(format!("Timeout must be at most {MAX_TIMEOUT_MINUTES} minutes (7 days), given: {minutes}"));
    }
    let old = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok()).is_some_and(|major| major < 3);
    if class == Some("FLEX") && (command.name.as_deref() != Some("glueetl") || old) {
        return invalid(
            "ExecutionClass FLEX is for jobs of command type glueetl with Glue version 3.0 and above".to_owned(),
        );
    }
    Ok(())
}

fn same(a: &Job, b: &Job) -> bool {
    let timeless = |job: &Job| Job { created_on: None, last_modified_on: None, ..job.clone() };
    timeless(a) == timeless(b)
}

fn job(req: CreateJobRequest, now: Timestamp) -> Job {
    let dpu = match (&req.worker_type, req.number_of_workers) {
        (Some(kind), Some(n)) => Some(crate::jobs::capacity::dpu_of(kind) * f64::from(n)),
        _ => req.max_capacity,
    };
    Job {
        name: Some(req.name),
        job_mode: Some(req.job_mode.unwrap_or_else(|| "SCRIPT".to_owned())),
        job_run_queuing_enabled: req.job_run_queuing_enabled,
        description: req.description,
        log_uri: req.log_uri,
        role: Some(req.role),
        created_on: Some(now),
        last_modified_on: Some(now),
        execution_property: req.execution_property.or(Some(ExecutionProperty { max_concurrent_runs: Some(1) })),
        command: Some(req.command),
        default_arguments: req.default_arguments,
        non_overridable_arguments: req.non_overridable_arguments,
        connections: req.connections,
        max_retries: Some(req.max_retries.unwrap_or(0)),
        allocated_capacity: req.allocated_capacity,
        timeout: Some(req.timeout.unwrap_or(2880)),
        max_capacity: dpu,
        worker_type: req.worker_type,
        number_of_workers: req.number_of_workers,
        security_configuration: req.security_configuration,
        notification_property: req.notification_property,
        glue_version: Some(req.glue_version.unwrap_or_else(|| "5.0".to_owned())),
        code_gen_configuration_nodes: req.code_gen_configuration_nodes,
        execution_class: req.execution_class,
        source_control_details: req.source_control_details,
        maintenance_window: req.maintenance_window,
        ..Job::default()
    }
}
