//! One thread of states: the machine itself, a Map's item, a Parallel's branch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Command, TaskId, TimerId};
use crate::definition::Body;
use crate::payload::Payload;
use crate::time::Timestamp;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    pub id: u64,
    pub(super) parent: Option<u64>,
    /// Which item or branch of the parent.
    pub(super) index: u64,
    /// A Map's item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<Payload>,
    /// The state that it is in, or about to enter.
    pub(super) state: String,
    /// The raw input of that state.
    pub(super) input: Payload,
    pub(super) entered: Timestamp,
    pub(super) entered_event: u64,
    /// The last event before the state was entered: what fails on the way in is shown as its consequence.
    #[serde(skip)]
    pub(super) before: u64,
    /// The last event of this thread.
    pub(super) previous: u64,
    /// How often each retrier of the state has been used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) retries: Vec<u32>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) variables: Map<String, Value>,
    /// The size of their texts, at least.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) variables_bytes: usize,
    pub(super) phase: Phase,
    /// The children that the state had when it failed, until something handles the failure.
    #[serde(skip)]
    pub(super) unfinished: Option<Children>,
    /// The same for a Distributed Map: its run, where a redrive would go on with it.
    #[serde(skip)]
    pub(super) unfinished_run: Option<RunRef>,
    #[serde(skip)]
    pub(super) body: Option<Arc<Body>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// About to enter its state.
    Ready,
    Waiting {
        timer: TimerId,
    },
    Running(Running),
    /// Between two attempts.
    Backoff {
        timer: TimerId,
    },
    Children(Children),
    /// A Distributed Map's run is on its way.
    MapRun {
        task: TaskId,
        #[serde(flatten)]
        run: RunRef,
    },
    Done {
        output: Payload,
    },
    /// In its state, which did not end when the execution did: a redrive runs it again.
    Halted,
    /// The same in a Distributed Map whose run did not succeed: a redrive goes on with that run.
    HaltedRun(RunRef),
}

/// A Distributed Map's run, as the Map knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunRef {
    pub(super) map_run_arn: String,
    /// How often it was redriven.
    #[serde(default)]
    pub(super) redrives: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) task: TaskId,
    pub(super) timeout: Option<TimerId>,
    pub(super) heartbeat: Option<TimerId>,
    pub(super) heartbeat_seconds: u64,
    /// Of an activity's task, whose time runs from when a worker takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout_seconds: Option<u64>,
    /// The job that it waits for has been started: told once, though a crash may make it be said twice.
    #[serde(default)]
    pub(super) submitted: bool,
}

/// The children of a Map or Parallel have the frame ids from `base`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Children {
    pub(super) base: u64,
    pub(super) total: u64,
    pub(super) started: u64,
    pub(super) done: u64,
    /// The size of the results so far, where they are many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) gathered_bytes: usize,
    /// A Map's name and its items; a Parallel has neither.
    pub(super) map: Option<String>,
    pub(super) items: Option<Payload>,
    /// What the state works on, after InputPath and, for a Parallel, Parameters.
    pub(super) input: Payload,
}

impl Frame {
    pub(super) fn new(
        id: u64,
        parent: Option<u64>,
        index: u64,
        body: Arc<Body>,
        input: Payload,
        previous: u64,
    ) -> Self {
        Self {
            id,
            parent,
            index,
            item: None,
            state: body.start_at.clone(),
            input,
            entered: Timestamp::default(),
            entered_event: 0,
            before: 0,
            previous,
            retries: Vec::new(),
            variables: Map::new(),
            variables_bytes: 0,
            phase: Phase::Ready,
            unfinished: None,
            unfinished_run: None,
            body: Some(body),
        }
    }

    /// The payloads that the frame refers to, to be fetched when it is loaded.
    pub fn payloads_mut(&mut self) -> Vec<&mut Payload> {
        let mut payloads = vec![&mut self.input];
        payloads.extend(&mut self.item);
        match &mut self.phase {
            Phase::Children(children) => {
                payloads.push(&mut children.input);
                payloads.extend(&mut children.items);
            }
            Phase::Done { output } => payloads.push(output),
            _ => {}
        }
        payloads
    }

    pub(super) fn runs(&self, task: TaskId) -> bool {
        match &self.phase {
            Phase::Running(running) => running.task == task,
            Phase::MapRun { task: waited_for, .. } => *waited_for == task,
            _ => false,
        }
    }

    pub(super) fn retry_count(&self) -> u32 {
        self.retries.iter().sum()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

impl Running {
    pub(super) fn clear_timers(&self, out: &mut Vec<Command>) {
        for timer in [self.timeout, self.heartbeat].into_iter().flatten() {
            out.push(Command::ClearTimer { timer });
        }
    }
}
