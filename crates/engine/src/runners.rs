//! The engine's own kinds of queue tasks: timers, turns that were cut short, announcements of status changes.

use std::sync::Arc;

use asl::{Event, Status, TimerId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use store::{Done, Queue, Runner, Task};
use wire::Error;

use crate::logs::{Deliver, LOG_KIND};
use crate::waits::{FOLLOW_KIND, OVER_KIND, Tell};
use crate::{Engine, ExecutionArn};

pub(crate) const TIMER_KIND: &str = "states:timer";
pub(crate) const CONTINUE_KIND: &str = "states:continue";
pub(crate) const EVENT_KIND: &str = "states:event";

/// What EventBridge knows a change of status by.
pub(crate) const EVENT_SOURCE: &str = "aws.states";
pub(crate) const EVENT_TYPE: &str = "Step Functions Execution Status Change";

/// Whom to wake, and why.
#[derive(Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) execution: ExecutionArn,
    /// `None`: to go on with what it was doing.
    pub(crate) timer: Option<TimerId>,
}

/// A change of status to tell EventBridge of.
#[derive(Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) execution: ExecutionArn,
    pub(crate) status: Status,
}

/// Timers that fire at once. Those of one execution wait for each other's commits, and must not keep those of others waiting: where
/// a Map's iterations all sleep until the same time, they are many.
const TIMERS_AT_ONCE: usize = 4096;

pub(crate) fn timer_name(arn: &ExecutionArn, timer: TimerId) -> String {
    format!("{arn}/timer/{timer}")
}

pub(crate) fn register(engine: &Engine, queue: &Queue) {
    let wake = Arc::new(Wake(engine.clone()));
    queue.register(TIMER_KIND, TIMERS_AT_ONCE, wake.clone());
    queue.register(CONTINUE_KIND, 64, wake);
    queue.register(EVENT_KIND, 16, Arc::new(Announce(engine.clone())));
    queue.register(LOG_KIND, 16, Arc::new(Deliver(engine.clone())));
    let tell = Arc::new(Tell(engine.clone()));
    queue.register(FOLLOW_KIND, 64, tell.clone());
    queue.register(OVER_KIND, 64, tell);
}

struct Wake(Engine);

#[async_trait]
impl Runner for Wake {
    async fn run(&self, task: Task) -> Done {
        let Ok(address) = task.payload::<Address>() else { return Done::Finished };
        let event = match address.timer {
            Some(timer) => Event::TimerFired { timer },
            None => Event::Continue,
        };
        match self.0.tell(&address.execution, event, Some(task.id.clone())).await {
            Ok(_) => Done::Committed,
            Err(error) => again(&task, &error),
        }
    }
}

/// Storage refused; the work is still to be done.
pub(crate) fn again(task: &Task, error: &Error) -> Done {
    tracing::error!(task = task.id, error = %error, "an execution's turn could not be taken; trying again");
    Done::RetryAfter(jiff::SignedDuration::from_secs(1))
}

struct Announce(Engine);

#[async_trait]
impl Runner for Announce {
    async fn run(&self, task: Task) -> Done {
        let Ok(announcement) = task.payload::<Announcement>() else { return Done::Finished };
        match self.announce(&announcement, &task.id).await {
            Ok(()) => Done::Finished,
            Err(error) => again(&task, &error),
        }
    }
}

impl Announce {
    async fn announce(&self, announcement: &Announcement, task: &str) -> Result<(), Error> {
        let arn = &announcement.execution;
        let Some((summary, info)) = self.0.describe(arn).await? else { return Ok(()) };
        let over = announcement.status != Status::Running;
        let mut detail = json!({
            "executionArn": arn.as_str(),
            "stateMachineArn": summary.state_machine_arn,
            "name": summary.name,
            "status": announcement.status.name(),
            "startDate": summary.started.0,
            "stopDate": summary.stopped.filter(|_| over).map(|at| at.0),
            "output": null,
            "stateMachineVersionArn": summary.state_machine_version_arn,
            "stateMachineAliasArn": summary.state_machine_alias_arn,
            "redriveCount": summary.redrive.count,
            "redriveDate": summary.redrive.at.map(|at| at.0),
            "redriveStatus": if matches!(announcement.status, Status::Running | Status::Succeeded) { "NOT_REDRIVABLE" } else { "REDRIVABLE" },
            "redriveStatusReason": null,
            "outputDetails": null,
            "error": summary.error.filter(|_| over),
            "cause": summary.cause.filter(|_| over),
        });
        if announcement.status == Status::TimedOut {
            detail["error"] = Value::from("States.Timeout");
            detail["cause"] = Value::from("The execution did not end within the TimeoutSeconds of its state machine.");
        }
        put_data(&mut detail, "input", info.input.text());
        if let Some(output) = summary.output.filter(|_| over) {
            put_data(&mut detail, "output", output.text());
        }
        let entry = json!({
            "Source": EVENT_SOURCE,
            "DetailType": EVENT_TYPE,
            "Resources": [arn.as_str()],
            "Detail": detail.to_string(),
        });
        let cx = Cx::platform(self.0.router(), arn.account(), arn.region()).with_task(task);
        cx.call_json("events", "putEvents", json!({ "Entries": [entry] })).await?;
        Ok(())
    }
}

/// Input and output are told of up to a size, so that the event stays within EventBridge's own bound.
fn put_data(detail: &mut Value, member: &str, text: &str) {
    const MAX_BYTES: usize = 100 * 1024;
    let included = text.len() <= MAX_BYTES;
    detail[member] = if included { Value::from(text) } else { Value::Null };
    detail[format!("{member}Details")] = json!({ "included": included });
}
