//! Schedules: one waiting task a crawler, which starts the crawl and plans the next.

use std::sync::Arc;

use api_glue::error::crawler_running_exception;
use async_trait::async_trait;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Error;

use super::cron::Cron;
use super::{Payload, Record, find, start};
use crate::Glue;
use crate::scope::Scope;

fn task_id(scope: &Scope, name: &str) -> String {
    format!("glue:crawl-schedule:{}:{}:{name}", scope.account, scope.region)
}

/// Puts the next crawl of the schedule on the queue, or takes it off where there is none.
pub(crate) fn plan(tx: &mut Tx<'_>, scope: &Scope, record: &Record, now: jiff::Timestamp) -> Result<(), Error> {
    let schedule = record.crawler.schedule.as_ref().filter(|s| s.state.as_deref() == Some("SCHEDULED"));
    let cron = schedule.and_then(|s| s.schedule_expression.as_deref()).map(Cron::parse).transpose()?;
    let Some(at) = cron.and_then(|cron| cron.next(now)) else { return forget(tx, scope, record.name()) };
    let payload = Payload {
        account: scope.account.clone(),
        region: scope.region.clone(),
        crawler: record.name().to_owned(),
        // Names the crawl, so that one firing starts one crawl even when it is repeated.
        run: format!("scheduled-{}", at.as_millisecond()),
    };
    tx.enqueue(NewTask::new("glue:crawl-schedule", task_id(scope, record.name())).payload(&payload)?.at(at))?;
    Ok(())
}

pub(crate) fn forget(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    tx.cancel_task(&task_id(scope, name))?;
    Ok(())
}

pub(super) struct ScheduleRunner(pub(super) Arc<Glue>);

#[async_trait]
impl Runner for ScheduleRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(payload) = task.payload::<Payload>() else { return Done::Finished };
        let (now, id) = (self.0.platform.router.now(), task.id.clone());
        let run = self.0.platform.router.uuid();
        let fired = self.0.store.write(move |tx| fire(tx, &payload, &run, &id, now)).await;
        match fired {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a scheduled crawl could not be started");
                Done::RetryAfter(jiff::SignedDuration::from_secs(10))
            }
        }
    }
}

/// Starts the crawl, unless one is under way, and plans the next, in the place of this task.
fn fire(tx: &mut Tx<'_>, payload: &Payload, run: &str, task: &str, now: jiff::Timestamp) -> Result<(), Error> {
    let scope = payload.scope();
    tx.finish_task(task)?;
    let record = match find(tx, &scope, &payload.crawler) {
        Ok(record) => record,
        Err(error) if error.is("EntityNotFoundException") => return Ok(()),
        Err(error) => return Err(error),
    };
    plan(tx, &scope, &record, now)?;
    match start(tx, &scope, &payload.crawler, run, now) {
        Err(error) if error.is(crawler_running_exception("").code()) => Ok(()),
        other => other,
    }
}
