//! What an interactive session has of a job: its environment, its engine, its memory, its log.

use std::collections::BTreeMap;

use api_glue::Session;
use compute::spark::{Engine, Job, Stream};
use service::Cx;
use service::identity::Credentials;
use tokio::sync::mpsc;
use wire::Error;

use super::{arguments, capacity, logs};
use crate::security::Encryption;

const NO_ARGUMENTS: &BTreeMap<String, String> = &BTreeMap::new();
/// Bookmarks are of runs, which end and commit.
const REFUSED: [&str; 3] = ["--job-bookmark-option", "--job-bookmark-from", "--job-bookmark-to"];

/// What runs its plans: it has no script that could start over on another engine, so it is Apache Spark where none is named.
///
/// # Errors
/// `InvalidInputException` for arguments that nothing here obeys.
pub(crate) fn engine(given: Option<&BTreeMap<String, String>>) -> Result<Engine, Error> {
    let invalid = |message: String| Err(api_glue::error::invalid_input_exception(message));
    let given = given.unwrap_or(NO_ARGUMENTS);
    arguments::check(given)?;
    if let Some(name) =
        REFUSED.iter().find(|name| given.get(**name).is_some_and(|value| value != "job-bookmark-disable"))
    {
        return invalid(format!("The argument {name} is for jobs: a session keeps no bookmark"));
    }
    match arguments::engine(Some(given))? {
        None | Some(Engine::Auto) => Ok(Engine::Spark),
        Some(engine @ (Engine::Submit | Engine::Connect)) => {
            invalid(format!("--lakerun-engine {} is for jobs: a session has sail or spark", engine.name()))
        }
        Some(engine) => Ok(engine),
    }
}

/// A session as what is run.
pub(crate) fn of_session(
    session: &Session,
    encryption: Option<&Encryption>,
    (keys, region, endpoint): (&Credentials, &str, &str),
) -> Job {
    let given = session.default_arguments.clone().unwrap_or_default();
    let dpu = session.max_capacity.unwrap_or(1.0);
    let id = session.id.as_deref().unwrap_or_default();
    Job {
        engine: engine(Some(&given)).unwrap_or(Engine::Spark),
        kind: session.command.as_ref().and_then(|c| c.name.clone()).unwrap_or_else(|| "glueetl".to_owned()),
        script: String::new(),
        arguments: arguments::argv(id, id, &given),
        env: super::run::environment(keys, region, endpoint, id, encryption),
        modules: arguments::modules(&given),
        bookmark: None,
        memory_mb: capacity::memory_mb(dpu),
        parallelism: capacity::cores(dpu),
        cluster: None,
    }
}

/// What a session has where it does not say: five workers G.1X. Source: Developer Guide, "Configuring AWS Glue interactive sessions".
pub(crate) fn capacity_of(worker_type: Option<&str>, workers: Option<i32>, given: Option<f64>) -> f64 {
    match (worker_type, workers, given) {
        (_, None, Some(dpu)) => dpu,
        (kind, workers, _) => capacity::dpu_of(kind.unwrap_or("G.1X")) * f64::from(workers.unwrap_or(5)),
    }
}

/// Forwards what its process prints beside what its statements give.
pub(crate) async fn log(cx: &Cx, run: &str, lines: mpsc::Receiver<(Stream, String)>) {
    logs::forward(cx, "/aws-glue/sessions", run, lines, |_| async {}).await;
}
