//! Glue jobs: their definitions (`ops`), and their runs as durable tasks (`run`). A run is a row from `StartJobRun` on; the
//! task `glue:jobrun` starts the script in [`compute::spark`] under the role's credentials, and the transaction that
//! records how it ended also asks for the event (`glue:event`) and, after a failure, for the next attempt (MaxRetries).
//!
//! What a job's runs have read (`bookmarks`) moves on in the transaction that records a run's success.
//!
//! Not here: the Python side (`runtimes/spark`).

mod arguments;
mod bookmarks;
mod capacity;
mod elsewhere;
mod event;
mod logs;
mod metrics;
mod ops;
mod records;
mod run;
pub(crate) mod sessions;

pub(crate) use ops::{Origin, begin, stop_run};
pub(crate) use records::{attempts, is_old};

use std::sync::Arc;
use std::time::Duration;

use compute::spark::Spark;
use service::{Platform, Router, operations};
use store::Store;
use wire::Error;

/// Runs that work side by side.
const RUNS_AT_ONCE: usize = 16;

/// Jobs and their runs.
pub(crate) struct Jobs {
    store: Store,
    router: Arc<Router>,
    spark: Spark,
    elsewhere: elsewhere::Section,
    endpoint: String,
}

/// Adds the operations to the table and the runners to the queue.
///
/// # Errors
/// A text, where section `[spark]` of the settings is wrong.
/// How long what stands by for runs on this machine stays without one; zero: nothing does.
///
/// # Errors
/// A text that says which setting of `[spark]` is wrong.
pub fn standby(settings: &service::Settings) -> Result<Duration, String> {
    Ok(elsewhere::Section::of(settings)?.standby())
}

pub(crate) fn register(platform: &Platform, spark: Spark) -> Result<(), String> {
    let service = Arc::new(Jobs {
        store: platform.control.store().clone(),
        router: platform.router.clone(),
        spark,
        elsewhere: elsewhere::Section::of(&platform.settings)?,
        endpoint: platform.endpoint.clone(),
    });
    operations!(platform.router, service, api_glue: BatchGetJobs, BatchStopJobRun, CreateJob, DeleteJob, GetJob,
        GetJobBookmark, GetJobRun, GetJobRuns, GetJobs, ListJobs, ResetJobBookmark, StartJobRun, UpdateJob);
    ::jobs::register(&platform.control, &platform.router, Arc::new(run::Runs(service)), RUNS_AT_ONCE);
    Ok(())
}

/// A role as a job names it: an ARN, or a name in its account.
fn role_in(account: &str, role: &str) -> String {
    if role.starts_with("arn:") { role.to_owned() } else { format!("arn:aws:iam::{account}:role/{role}") }
}

fn job_not_found(name: &str) -> Error {
    api_glue::error::entity_not_found_exception(format!("Job with name: {name} not found."))
}

fn run_not_found(id: &str) -> Error {
    api_glue::error::entity_not_found_exception(format!("Entity Not Found: job run {id}"))
}

/// One page of a list: `token` is the name of the last item that was sent.
fn page<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> String,
    token: Option<&str>,
    limit: Option<i32>,
    most: usize,
) -> (Vec<T>, Option<String>) {
    let limit = limit.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(most).min(most);
    let start = token.map_or(0, |token| items.iter().position(|i| name(i) == token).map_or(items.len(), |at| at + 1));
    let more = items.len() > start + limit;
    let sent: Vec<T> = items.into_iter().skip(start).take(limit).collect();
    let next = if more { sent.last().map(name) } else { None };
    (sent, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all = || vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let (first, next) = page(all(), Clone::clone, None, Some(2), 100);
        assert_eq!((first.len(), next.as_deref()), (2, Some("b")));
        assert_eq!(page(all(), Clone::clone, next.as_deref(), Some(2), 100), (vec!["c".to_owned()], None));
    }
}
