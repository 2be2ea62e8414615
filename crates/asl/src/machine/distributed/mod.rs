//! A Distributed Map's run: which items there are, how far it has come, which children it starts, when it has failed.
//!
//! A run is a record of its own beside the execution whose Map it belongs to. It is told what happened and says what to do; items
//! are read and results written by others. It holds a cursor and counters, never items or results.

mod item_evaluator;
mod place;
mod redrive;
mod state;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Status, TaskId, frame::Frame};
use crate::MAX_PAYLOAD_BYTES;
use crate::info::Redrive;
use crate::json::named_uuid;
use crate::payload::Payload;
use crate::settings::{Batcher, Reader, Writer};
use crate::shard::kin;
use crate::time::Timestamp;

pub use item_evaluator::ItemEvaluator;
pub use place::{ObjectPlace, Place};
pub use redrive::{RedriveOrder, Waiting};

/// AWS runs at most this many children of one run at a time.
pub const MAX_CHILDREN_AT_ONCE: u64 = 10_000;

/// The version of a run's record from which on its children's names begin as its own.
const KIN: u8 = 2;

/// Inputs of children that are started at once are no larger than this, all together.
const MAX_STARTED_BYTES: usize = 8 * 1024 * 1024;

const THRESHOLD: &str = "States.ExceedToleratedFailureThreshold";

/// One run of a Distributed Map, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MapRun {
    /// From [`KIN`] on its children's names begin as its own.
    pub version: u8,
    pub arn: String,
    /// Whose Map it is.
    pub execution_arn: String,
    pub state_machine_arn: String,
    /// The machine's name, as its children's ARNs have it before the label.
    pub state_machine_name: String,
    pub label: String,
    pub express: bool,
    pub started: Timestamp,
    pub stopped: Option<Timestamp>,
    pub status: Status,
    pub limits: Limits,
    pub reader: Option<Reader>,
    pub writer: Option<Writer>,
    pub batcher: Option<Batcher>,
    /// The definition of its children.
    pub processor: String,
    /// The array or object that the state was given, where no reader is.
    pub items: Option<Payload>,
    /// How many there are in it.
    pub known_items: u64,
    /// What the Map's execution waits for.
    pub task: TaskId,
    pub progress: Progress,
    /// How often it was redriven, and when last.
    #[serde(default, skip_serializing_if = "Redrive::is_none")]
    pub redrive: Redrive,
    /// Why it fails.
    pub failure: Option<RunFailure>,
    /// The Map's frame and the way to it from the top: what its item selector sees.
    pub(super) frame: Frame,
    pub(super) place: Vec<(String, u64)>,
}

/// What `UpdateMapRun` may change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// 0 for as many as the platform takes.
    pub max_concurrency: u64,
    pub tolerated_failure_count: Option<u64>,
    pub tolerated_failure_percentage: Option<f64>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Items taken from the source, all of them in children.
    pub items_taken: u64,
    /// The last of them, where they are read from S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Children started; their numbers go from 0.
    pub children: u64,
    /// The source has no more items.
    pub exhausted: bool,
    pub executions: Counts,
    pub items: Counts,
    pub results_written: bool,
    /// Children that are to be redriven, while there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Children that the last redrive left as they were, and the items in them.
    #[serde(default)]
    pub not_redrivable: NotRedrivable,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub aborted: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFailure {
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// Children, and the items in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRedrivable {
    pub executions: u64,
    pub items: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEnded {
    Succeeded { output: String },
    Failed(RunFailure),
}

impl Reader {
    /// Why nothing can be read.
    pub(super) fn fault(&self) -> Option<RunFailure> {
        (self.max_items < 0).then(|| RunFailure {
            error: Some("States.ItemReaderFailed".to_owned()),
            cause: Some("field MaxItems must be positive".to_owned()),
        })
    }
}

/// An item on its way into a child.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    pub value: Value,
    /// The member's name, where items are the members of an object.
    pub key: Option<String>,
    /// `STATE_DATA`, or the address of the object.
    pub source: String,
    /// What ItemSelector makes of it, once worked out.
    pub selected: Option<String>,
    /// Where it was read.
    pub place: Option<Place>,
}

/// A child to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    pub index: u64,
    /// The execution's name, always the same for the same run and number.
    pub name: String,
    pub input: String,
    pub items: u64,
}

impl MapRun {
    /// How many children may be started now.
    pub fn room(&self) -> u64 {
        if self.progress.exhausted || self.progress.waiting.is_some() {
            return 0;
        }
        self.free_places()
    }

    /// How many more may run now.
    fn free_places(&self) -> u64 {
        if self.ends() {
            return 0;
        }
        let most = match self.limits.max_concurrency {
            0 => MAX_CHILDREN_AT_ONCE,
            limit => limit.min(MAX_CHILDREN_AT_ONCE),
        };
        most.saturating_sub(self.progress.executions.running)
    }

    /// It has failed or was stopped: nothing new is started, and what runs is stopped.
    pub fn ends(&self) -> bool {
        self.failure.is_some() || self.status != Status::Running
    }

    /// Nothing runs any more and nothing is left to start.
    pub fn is_drained(&self) -> bool {
        let nothing_left = self.progress.exhausted && self.progress.waiting.is_none();
        self.progress.executions.running == 0 && (self.ends() || nothing_left)
    }

    pub fn fail(&mut self, error: &str, cause: impl Into<String>) {
        let failure = RunFailure { error: Some(error.to_owned()), cause: Some(cause.into()) };
        self.failure.get_or_insert(failure);
    }

    /// Takes items off `queue` for up to `most` children; with `last`, no more items follow those in `queue`. Items that do not fill
    /// a batch stay until more have come.
    pub fn start(
        &mut self,
        bench: &mut ItemEvaluator,
        now: Timestamp,
        queue: &mut VecDeque<Item>,
        last: bool,
        most: u64,
    ) -> Vec<Child> {
        let mut children = Vec::new();
        let (most, mut bytes) = (most.min(self.room()), 0);
        while (children.len() as u64) < most && bytes < MAX_STARTED_BYTES && !queue.is_empty() {
            let Some((input, items)) = self.next_input(bench, now, queue, last) else { break };
            bytes += input.len();
            let index = self.progress.children;
            self.progress.children += 1;
            self.progress.items_taken += items;
            self.progress.executions.running += 1;
            self.progress.items.running += items;
            children.push(Child { index, name: self.child_name(index), input, items });
        }
        if last && queue.is_empty() && !self.ends() {
            self.progress.exhausted = true;
            self.judge();
        }
        children
    }

    /// The input of the next child and how many items are in it, taken off the queue; no child is without any.
    pub fn next_input(
        &mut self,
        bench: &mut ItemEvaluator,
        now: Timestamp,
        queue: &mut VecDeque<Item>,
        last: bool,
    ) -> Option<(String, u64)> {
        let first = self.progress.items_taken;
        let Some(batcher) = self.batcher.clone() else {
            self.select(bench, now, first, queue.front_mut()?)?;
            let item = queue.pop_front()?;
            self.progress.place = item.place;
            return Some((item.selected?, 1));
        };
        let most_items = usize::try_from(batcher.max_items.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).max(1);
        let most_bytes = batcher.max_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let most_bytes = most_bytes.unwrap_or(MAX_PAYLOAD_BYTES).min(MAX_PAYLOAD_BYTES);
        let head = match &batcher.input {
            Some(input) => format!("{{\"BatchInput\":{input},\"Items\":["),
            None => "{\"Items\":[".to_owned(),
        };
        let mut bytes = head.len() + "]}".len();
        let mut taken = 0;
        let mut full = false;
        while taken < most_items {
            let Some(item) = queue.get_mut(taken) else { break };
            let length = self.select(bench, now, first + taken as u64, item)?;
            if taken == 0 && bytes + length > MAX_PAYLOAD_BYTES {
                return self.too_large();
            }
            if taken > 0 && bytes + length + 1 > most_bytes {
                full = true;
                break;
            }
            bytes += length + usize::from(taken > 0);
            taken += 1;
        }
        if taken == 0 || taken < most_items && !full && !last {
            return None;
        }
        let mut input = String::with_capacity(bytes);
        input.push_str(&head);
        for (position, item) in queue.drain(..taken).enumerate() {
            if position > 0 {
                input.push(',');
            }
            input.push_str(&item.selected.unwrap_or_default());
            self.progress.place = item.place;
        }
        input.push_str("]}");
        Some((input, taken as u64))
    }

    /// Works out what a child sees of the item; answers with its length. `None` when that fails, and with it the run.
    fn select(&mut self, bench: &mut ItemEvaluator, now: Timestamp, index: u64, item: &mut Item) -> Option<usize> {
        if let Some(selected) = &item.selected {
            return Some(selected.len());
        }
        let selected = match bench.select(now, index, item) {
            Ok(selected) => selected,
            Err(failure) => {
                self.failure.get_or_insert(failure);
                return None;
            }
        };
        let length = selected.len();
        if length > MAX_PAYLOAD_BYTES {
            return self.too_large();
        }
        item.selected = Some(selected);
        Some(length)
    }

    /// What a child would be given is more than it may be.
    fn too_large<T>(&mut self) -> Option<T> {
        let cause = "The input of a child workflow execution exceeds the maximum number of bytes service limit.";
        self.fail("States.DataLimitExceeded", cause);
        None
    }

    pub fn child_ended(&mut self, status: Status, items: u64) {
        self.progress.executions.end(status, 1);
        self.progress.items.end(status, items);
        self.judge();
    }

    /// The numbers that it goes by have been changed.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.judge();
    }

    /// Fails when more items have failed than are tolerated. A share can be judged once all items are known.
    fn judge(&mut self) {
        let items = &self.progress.items;
        let failed = items.failed + items.timed_out + if self.ends() { 0 } else { items.aborted };
        let exceeded = match (self.limits.tolerated_failure_count, self.limits.tolerated_failure_percentage) {
            (None, None) => failed > 0,
            (count, percentage) => {
                #[expect(clippy::cast_precision_loss, reason = "a double is near enough for a share")]
                let share = failed as f64 * 100.0 / self.progress.items_taken.max(1) as f64;
                count.is_some_and(|count| failed > count)
                    || percentage.is_some_and(|percentage| self.progress.exhausted && share > percentage)
            }
        };
        if exceeded && !self.ends() {
            self.fail(THRESHOLD, "The specified tolerated failure threshold was exceeded");
        }
    }

    /// Somebody stopped the execution that it belongs to.
    pub fn abort(&mut self) {
        if self.status == Status::Running {
            self.status = Status::Aborted;
        }
    }

    /// The name of the child of that number.
    pub fn child_name(&self, index: u64) -> String {
        let name = named_uuid(&format!("{}/{index}", self.arn));
        if self.version < KIN { name } else { kin(&self.arn, &name) }
    }

    /// The last part of the ARN, by which S3's results are filed.
    pub fn id(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// The name of the state.
    pub fn state_name(&self) -> &str {
        &self.frame.state
    }

    /// The machine's name with the label, as the children's ARNs have it.
    pub fn machine(&self) -> String {
        format!("{}/{}", self.state_machine_name, self.label)
    }

    /// The payloads that the record refers to, to be fetched when it is loaded.
    pub fn payloads_mut(&mut self) -> Vec<&mut Payload> {
        let mut payloads = self.frame.payloads_mut();
        payloads.extend(&mut self.items);
        payloads
    }

    /// Items that are known and in no child yet.
    pub fn pending_items(&self) -> u64 {
        self.known_items.saturating_sub(self.progress.items_taken)
    }

    /// The state's own items, from number `from` on.
    pub fn state_items(&self, from: usize, most: usize) -> Vec<Item> {
        let source = || "STATE_DATA".to_owned();
        match self.items.as_ref().map(Payload::value) {
            Some(Value::Array(items)) => items
                .iter()
                .skip(from)
                .take(most)
                .map(|value| Item { value: value.clone(), source: source(), ..Item::default() })
                .collect(),
            Some(Value::Object(members)) => members
                .iter()
                .skip(from)
                .take(most)
                .map(|(key, value)| Item {
                    value: value.clone(),
                    key: Some(key.clone()),
                    source: source(),
                    ..Item::default()
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Counts {
    fn end(&mut self, status: Status, by: u64) {
        self.running = self.running.saturating_sub(by);
        match status {
            Status::Succeeded => self.succeeded += by,
            Status::TimedOut => self.timed_out += by,
            Status::Aborted => self.aborted += by,
            Status::Failed | Status::Running => self.failed += by,
        }
    }

    /// All that were started.
    pub fn total(&self) -> u64 {
        self.running + self.succeeded + self.failed + self.timed_out + self.aborted
    }
}

#[cfg(test)]
mod tests;
