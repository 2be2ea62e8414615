//! The operations, one a file.

mod batch_get_jobs;
mod batch_stop_job_run;
mod create_job;
mod delete_job;
mod get_job;
mod get_job_bookmark;
mod get_job_run;
mod get_job_runs;
mod get_jobs;
mod list_jobs;
mod reset_job_bookmark;
mod start_job_run;
mod update_job;

pub(crate) use batch_stop_job_run::stop_run;
pub(crate) use start_job_run::{Origin, begin};
