//! UpdateJob: replaces a job's definition; runs under way keep the old one. Members that are left out go back to defaults.

use api_glue::{ExecutionProperty, Job, UpdateJob, UpdateJobRequest, UpdateJobResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use super::create_job::{check_command, check_runs};
use crate::jobs::records::{JobRecord, job_key, load_job};
use crate::jobs::{Jobs, capacity};

#[async_trait]
impl Handle<UpdateJob> for Jobs {
    async fn handle(&self, cx: &Cx, req: UpdateJobRequest) -> Result<UpdateJobResponse, Error> {
        if let Some(command) = &req.job_update.command {
            check_command(command)?;
        }
        let (key, now) = (job_key(cx, &req.job_name), Timestamp(cx.now()));
        cx.write(&self.store, move |tx| {
            let old = load_job(tx, &key, &req.job_name)?;
            let new = updated(old, req.job_update.clone(), now);
            let command = new.command.clone().unwrap_or_default();
            check_runs(new.timeout, new.execution_class.as_deref(), &command, new.glue_version.as_deref())?;
            tx.put_json(&key, &JobRecord::new(new))?;
            Ok(UpdateJobResponse { job_name: Some(req.job_name.clone()) })
        })
        .await
    }
}

fn updated(old: Job, new: api_glue::JobUpdate, now: Timestamp) -> Job {
    let dpu = match (&new.worker_type, new.number_of_workers) {
        (Some(kind), Some(n)) => Some(capacity::dpu_of(kind) * f64::from(n)),
        _ => new.max_capacity,
    };
    Job {
        name: old.name,
        created_on: old.created_on,
        last_modified_on: Some(now),
        job_mode: new.job_mode.or(old.job_mode),
        job_run_queuing_enabled: new.job_run_queuing_enabled,
        description: new.description,
        log_uri: new.log_uri,
        role: new.role.or(old.role),
        execution_property: new.execution_property.or(Some(ExecutionProperty { max_concurrent_runs: Some(1) })),
        command: new.command.or(old.command),
        default_arguments: new.default_arguments,
        non_overridable_arguments: new.non_overridable_arguments,
        connections: new.connections,
        max_retries: Some(new.max_retries.unwrap_or(0)),
        allocated_capacity: new.allocated_capacity,
        timeout: Some(new.timeout.unwrap_or(2880)),
        max_capacity: dpu,
        worker_type: new.worker_type,
        number_of_workers: new.number_of_workers,
        security_configuration: new.security_configuration,
        notification_property: new.notification_property,
        glue_version: new.glue_version.or(old.glue_version),
        code_gen_configuration_nodes: new.code_gen_configuration_nodes,
        execution_class: new.execution_class,
        source_control_details: new.source_control_details,
        maintenance_window: new.maintenance_window,
        profile_name: old.profile_name,
        auto_upgrade_metadata: old.auto_upgrade_metadata,
    }
}
