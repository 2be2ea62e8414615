//! Schedules of task runs: one waiting task a table, which starts the run and plans the next.

use std::sync::Arc;

use api_glue::ExecutionAttempt;
use async_trait::async_trait;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Error;

use super::record::{Of, Payload, Settings, find_settings};
use super::start;
use crate::Glue;
use crate::crawlers::Cron;

pub(crate) const KIND: &str = "glue:column-statistics-schedule";

fn task(of: &Of) -> String {
    format!("{KIND}:{}:{}:{}:{}", of.scope.account, of.scope.region, of.db, of.table)
}

/// Puts the next run on the queue, or takes it off where there is none.
pub(crate) fn plan(tx: &mut Tx<'_>, of: &Of, settings: &Settings, now: jiff::Timestamp) -> Result<(), Error> {
    let schedule = settings.settings.schedule.as_ref().filter(|known| known.state.as_deref() == Some("SCHEDULED"));
    let cron = schedule.and_then(|known| known.schedule_expression.as_deref()).map(Cron::parse).transpose()?;
    let Some(at) = cron.and_then(|cron| cron.next(now)) else { return forget(tx, of) };
    // The id is the firing's, so that one firing starts one run even when it is repeated.
    let payload = Payload::new(of, &format!("scheduled-{}", at.as_millisecond()));
    tx.enqueue(NewTask::new(KIND, task(of)).payload(&payload)?.at(at))?;
    Ok(())
}

pub(crate) fn forget(tx: &mut Tx<'_>, of: &Of) -> Result<(), Error> {
    tx.cancel_task(&task(of))?;
    Ok(())
}

pub(super) struct Scheduled(pub(super) Arc<Glue>);

#[async_trait]
impl Runner for Scheduled {
    async fn run(&self, task: Task) -> Done {
        let Ok(payload) = task.payload::<Payload>() else { return Done::Finished };
        let (now, run, id) = (self.0.platform.router.now(), self.0.platform.router.uuid(), task.id.clone());
        match self.0.store.write(move |tx| fire(tx, &payload.of(), &run, &id, now)).await {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "scheduled column statistics could not be started");
                Done::RetryAfter(jiff::SignedDuration::from_secs(10))
            }
        }
    }
}

/// Starts the run, notes what came of it, and plans the next.
fn fire(tx: &mut Tx<'_>, of: &Of, run: &str, task: &str, now: jiff::Timestamp) -> Result<(), Error> {
    tx.finish_task(task)?;
    let mut settings = match find_settings(tx, of) {
        Ok(settings) => settings,
        Err(error) if error.is("EntityNotFoundException") => return Ok(()),
        Err(error) => return Err(error),
    };
    let attempt = match start(tx, of, &settings.asked(), run, now) {
        Ok(_) => ExecutionAttempt {
            status: Some("STARTED".to_owned()),
            column_statistics_task_run_id: Some(run.to_owned()),
            ..ExecutionAttempt::default()
        },
        Err(error) if error.status() >= 500 => return Err(error),
        Err(error) => ExecutionAttempt {
            status: Some("FAILED".to_owned()),
            error_message: Some(error.message().to_owned()),
            ..ExecutionAttempt::default()
        },
    };
    settings.settings.last_execution_attempt =
        Some(ExecutionAttempt { execution_timestamp: Some(now.into()), ..attempt });
    tx.put_json(of.settings(), &settings)?;
    plan(tx, of, &settings, now)
}
