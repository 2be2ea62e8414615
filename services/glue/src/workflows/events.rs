//! Triggers of type EVENT: a rule of EventBridge has a workflow as its target, and so many events (BatchSize), or the end of a time that
//! begins with the first of them (BatchWindow), begin a run. Their ids are its property `aws:eventIds`, written `[a, b]` as scripts cut
//! it. Source: AWS Glue Developer Guide, "Starting an AWS Glue workflow with an Amazon EventBridge event".
//!
//! Where the workflow has as many runs as it may, the events wait until one ends, and BatchSize of them begin the next. A trigger that
//! has been stopped takes none, and those that waited are dropped: the rule's delivery fails, and goes to its dead-letter queue.

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

/// Events of one record that have not begun a run yet.
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

/// A record of each event is below it, in the order in which they came.
fn waiting(scope: &Scope, workflow: &str) -> Key {
    scope.key("workflow-events").push(workflow)
}

/// Counts the events.
fn counter(scope: &Scope, workflow: &str) -> Key {
    scope.key("workflow-events-count").push(workflow)
}

/// The first events, as many as begin a run, and where their records are.
fn first(tx: &mut Tx<'_>, scope: &Scope, workflow: &str, most: i32) -> Result<Vec<(Vec<u8>, String)>, Error> {
    let most = usize::try_from(most).unwrap_or_default().max(1);
    let mut all = Vec::new();
    for (key, value) in tx.scan_prefix(waiting(scope, workflow), most)? {
        let Waiting { events } = store::kv::decode(&key, &value)?;
        all.extend(events.into_iter().map(|event| (key.clone(), event)));
    }
    Ok(all)
}

fn task_id(scope: &Scope, workflow: &str) -> String {
    format!("{WINDOW}:{}:{}:{workflow}", scope.account, scope.region)
}

/// Nothing waits any more: the workflow or its trigger is gone.
pub(crate) fn forget(tx: &mut Tx<'_>, scope: &Scope, workflow: &str) -> Result<(), Error> {
    loop {
        let all = tx.scan_prefix(waiting(scope, workflow), 1000)?;
        if all.is_empty() {
            break;
        }
        for (key, _) in all {
            tx.delete(key)?;
        }
    }
    tx.delete(counter(scope, workflow))?;
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
    let number = tx.next_number(counter(scope, workflow))?;
    let one = Waiting { events: vec![event.to_owned()] };
    tx.put_json(waiting(scope, workflow).push_u64(number), &one)?;
    let size = size(&trigger);
    let all = first(tx, scope, workflow, size.saturating_add(1))?;
    let there = i32::try_from(all.len()).unwrap_or(i32::MAX);
    if there > size {
        // It has been planned that they are looked at.
        return Ok(());
    }
    if there == size && may_begin(tx, scope, workflow)? {
        let why = StartingEventBatchCondition { batch_size: Some(size), batch_window: Some(0) };
        return begin(tx, scope, &trigger, all, why, now);
    }
    if there == size {
        plan(tx, scope, workflow, now + PAUSE)?;
    } else if there == 1 {
        plan(tx, scope, workflow, now + SignedDuration::from_secs(i64::from(window(&trigger))))?;
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

/// Begins a run of the events, and plans what is to be done with those that came after them.
fn begin(
    tx: &mut Tx<'_>,
    scope: &Scope,
    trigger: &triggers::Record,
    taken: Vec<(Vec<u8>, String)>,
    why: StartingEventBatchCondition,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    let workflow = trigger.trigger.workflow_name.as_deref().unwrap_or_default();
    let mut events = Vec::new();
    for (key, event) in taken {
        tx.delete(key)?;
        events.push(event);
    }
    let left = i32::try_from(first(tx, scope, workflow, size(trigger))?.len()).unwrap_or(i32::MAX);
    if left == 0 {
        forget(tx, scope, workflow)?;
    } else if left >= size(trigger) {
        plan(tx, scope, workflow, now)?;
    } else {
        plan(tx, scope, workflow, now + SignedDuration::from_secs(i64::from(window(trigger))))?;
    }
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
    let trigger = triggers_of(tx, &scope, &of.workflow)?.into_iter().find(|trigger| trigger.is("EVENT"));
    let Some(trigger) = trigger.filter(|trigger| trigger.trigger.state.as_deref() != Some("DEACTIVATED")) else {
        return forget(tx, &scope, &of.workflow);
    };
    let all = first(tx, &scope, &of.workflow, size(&trigger))?;
    if all.is_empty() {
        return Ok(());
    }
    if !may_begin(tx, &scope, &of.workflow)? {
        return plan(tx, &scope, &of.workflow, now + PAUSE);
    }
    let full = i32::try_from(all.len()).unwrap_or(i32::MAX) >= size(&trigger);
    let why = StartingEventBatchCondition {
        batch_size: Some(if full { size(&trigger) } else { 0 }),
        batch_window: Some(if full { 0 } else { window(&trigger) }),
    };
    begin(tx, &scope, &trigger, all, why, now)
}
