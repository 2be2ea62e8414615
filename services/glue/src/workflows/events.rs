//! Triggers of type EVENT: a rule of EventBridge has a workflow as its target, and so many events (BatchSize), or the end of a time that
//! begins with the first of them (BatchWindow), begin a run. Their ids are its property `aws:eventIds`, written `[a, b]` as scripts cut
//! it. Source: AWS Glue Developer Guide, "Starting an AWS Glue workflow with an Amazon EventBridge event".
//!
//! Where the workflow has as many runs as it may, the events wait until one ends. A trigger that has been stopped takes none: the rule's
//! delivery fails, and goes to its dead-letter queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_glue::StartingEventBatchCondition;
use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use api_lakerun::{NotifyWorkflow, NotifyWorkflowRequest, NotifyWorkflowResponse};
use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::{Done, Key, NewTask, Runner, Task, Tx};
use wire::Error;

use super::{begin_with, triggers_of};
use crate::Glue;
use crate::scope::Scope;
use crate::triggers;

pub(crate) const WINDOW: &str = "glue:event-window";
/// Of events that have no BatchWindow.
const WINDOW_SECONDS: i32 = 900;
/// Until it is looked again whether a run may begin.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// Events that have not begun a run yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Waiting {
    events: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Window {
    account: String,
    region: String,
    workflow: String,
}

fn waiting(scope: &Scope, workflow: &str) -> Key {
    scope.key("workflow-events").push(workflow)
}

fn task_id(scope: &Scope, workflow: &str) -> String {
    format!("{WINDOW}:{}:{}:{workflow}", scope.account, scope.region)
}

/// Nothing waits any more: the workflow or its trigger is gone.
pub(crate) fn forget(tx: &mut Tx<'_>, scope: &Scope, workflow: &str) -> Result<(), Error> {
    tx.delete(waiting(scope, workflow))?;
    tx.cancel_task(&task_id(scope, workflow))?;
    Ok(())
}

/// What a rule's delivery calls, for the role of its target.
#[async_trait]
impl Handle<NotifyWorkflow> for Glue {
    async fn handle(&self, cx: &Cx, req: NotifyWorkflowRequest) -> Result<NotifyWorkflowResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.store, move |tx| {
            notify(tx, &scope, &req.name, &req.event_id, now)?;
            Ok(NotifyWorkflowResponse::default())
        })
        .await
    }
}

/// Takes in one event.
fn notify(tx: &mut Tx<'_>, scope: &Scope, workflow: &str, event: &str, now: jiff::Timestamp) -> Result<(), Error> {
    super::find(tx, scope, workflow)?;
    let Some(trigger) = triggers_of(tx, scope, workflow)?.into_iter().find(|trigger| trigger.is("EVENT")) else {
        return Err(entity_not_found_exception(format!("Workflow {workflow} has no start trigger of type EVENT")));
    };
    if trigger.trigger.state.as_deref() == Some("DEACTIVATED") {
        return Err(invalid_input_exception(format!(
            "Trigger {} of workflow {workflow} is DEACTIVATED",
            trigger.name()
        )));
    }
    let mut all: Waiting = tx.get_json(waiting(scope, workflow))?.unwrap_or_default();
    all.events.push(event.to_owned());
    let full = i32::try_from(all.events.len()).unwrap_or(i32::MAX) >= size(&trigger);
    if full && may_begin(tx, scope, workflow)? {
        let why = StartingEventBatchCondition { batch_size: Some(size(&trigger)), batch_window: Some(0) };
        return begin(tx, scope, workflow, &all.events, why, now);
    }
    tx.put_json(waiting(scope, workflow), &all)?;
    let after = if full { PAUSE } else { SignedDuration::from_secs(i64::from(window(&trigger))) };
    if full || all.events.len() == 1 {
        plan(tx, scope, workflow, now + after)?;
    }
    Ok(())
}

fn size(trigger: &triggers::Record) -> i32 {
    trigger.trigger.event_batching_condition.as_ref().map_or(1, |batch| batch.batch_size)
}

fn window(trigger: &triggers::Record) -> i32 {
    trigger.trigger.event_batching_condition.as_ref().and_then(|batch| batch.batch_window).unwrap_or(WINDOW_SECONDS)
}

fn plan(tx: &mut Tx<'_>, scope: &Scope, workflow: &str, at: jiff::Timestamp) -> Result<(), Error> {
    let window = Window { account: scope.account.clone(), region: scope.region.clone(), workflow: workflow.to_owned() };
    tx.enqueue(NewTask::new(WINDOW, task_id(scope, workflow)).payload(&window)?.at(at))?;
    Ok(())
}

/// Whether the workflow has fewer runs than it may have.
fn may_begin(tx: &mut Tx<'_>, scope: &Scope, workflow: &str) -> Result<bool, Error> {
    match super::check_concurrent(tx, scope, workflow) {
        Err(error) if error.is("ConcurrentRunsExceededException") => Ok(false),
        other => other.map(|()| true),
    }
}

fn begin(
    tx: &mut Tx<'_>,
    scope: &Scope,
    workflow: &str,
    events: &[String],
    why: StartingEventBatchCondition,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    forget(tx, scope, workflow)?;
    let id = format!("wr_{}", triggers::id(&format!("{workflow} {}", events.join(" ")), 0, &[], now));
    let properties = BTreeMap::from([("aws:eventIds".to_owned(), format!("[{}]", events.join(", ")))]);
    begin_with(tx, scope, workflow, properties, Some(why), &id, now)
}

/// The end of a window, or the next look whether a run may begin.
pub(crate) struct WindowRunner(pub(crate) Arc<Glue>);

#[async_trait]
impl Runner for WindowRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(window) = task.payload::<Window>() else { return Done::Finished };
        let (now, id) = (self.0.platform.router.now(), task.id.clone());
        match self.0.store.write(move |tx| over(tx, &window, &id, now)).await {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "events could not begin a run of a workflow");
                Done::RetryAfter(PAUSE)
            }
        }
    }
}

fn over(tx: &mut Tx<'_>, of: &Window, task: &str, now: jiff::Timestamp) -> Result<(), Error> {
    let scope = Scope { account: of.account.clone(), region: of.region.clone() };
    tx.finish_task(task)?;
    let Some(all) = tx.get_json::<Waiting>(waiting(&scope, &of.workflow))? else { return Ok(()) };
    let trigger = triggers_of(tx, &scope, &of.workflow)?.into_iter().find(|trigger| trigger.is("EVENT"));
    let Some(trigger) = trigger else { return forget(tx, &scope, &of.workflow) };
    if !may_begin(tx, &scope, &of.workflow)? {
        return plan(tx, &scope, &of.workflow, now + PAUSE);
    }
    let full = i32::try_from(all.events.len()).unwrap_or(i32::MAX) >= size(&trigger);
    let why = StartingEventBatchCondition {
        batch_size: Some(if full { size(&trigger) } else { 0 }),
        batch_window: Some(if full { 0 } else { window(&trigger) }),
    };
    begin(tx, &scope, &of.workflow, &all.events, why, now)
}
