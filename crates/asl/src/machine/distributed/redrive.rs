//! Redrive of a run: its children that did not succeed run again, in their order; those that never were started follow.
//!
//! Which of them can be redriven is known where their records are; here is what that does to the run.

use serde::{Deserialize, Serialize};

use super::{Counts, MapRun, NotRedrivable, Place};
use crate::info::Redrive;
use crate::machine::{Status, TaskId};
use crate::settings::Reader;
use crate::time::Timestamp;

/// A redrive that a Map's execution asks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveOrder {
    /// What the execution waits for.
    pub task: TaskId,
    pub redrive: Redrive,
}

/// Children that are to be redriven.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// All that wait have this number or a higher one.
    pub next: u64,
    /// How many there are, by how they ended.
    pub executions: Counts,
    pub items: Counts,
}

impl MapRun {
    /// Takes up a redrive of a run that is over. One that has succeeded has nothing left to do but to tell so once more.
    pub fn take_up(&mut self, order: RedriveOrder) {
        (self.task, self.redrive) = (order.task, order.redrive);
        if self.status == Status::Succeeded {
            return;
        }
        (self.status, self.stopped) = (Status::Running, None);
        self.failure = self.reader.as_ref().and_then(Reader::fault);
        self.progress.results_written = false;
        // What is still to be read is read as it is now.
        self.progress.place = self.progress.place.as_ref().map(Place::of_any_state);
        self.progress.not_redrivable = NotRedrivable::default();
        let (executions, items) =
            (self.progress.executions.take_unsuccessful(), self.progress.items.take_unsuccessful());
        self.progress.waiting = Some(Waiting { next: 0, executions, items });
    }

    /// How many children may be redriven now; `None` when none waits for it any more.
    pub fn room_to_redrive(&self) -> Option<u64> {
        self.progress.waiting.as_ref().map(|_| self.free_places())
    }

    /// True when the child of that number, which ended so, is still to be redriven.
    pub fn is_to_redrive(&self, index: u64, status: Status) -> bool {
        let waits = self.progress.waiting.as_ref().is_some_and(|waiting| index >= waiting.next);
        waits && !matches!(status, Status::Running | Status::Succeeded)
    }

    /// A child that ended so runs again.
    pub fn child_redriven(&mut self, ended: Status, items: u64) {
        if let Some(waiting) = &mut self.progress.waiting {
            waiting.executions.leave(ended, 1);
            waiting.items.leave(ended, items);
        }
        self.progress.executions.running += 1;
        self.progress.items.running += items;
    }

    /// A child cannot be redriven: it stays as it ended, and counts as it did.
    pub fn child_stays(&mut self, ended: Status, items: u64) {
        self.child_redriven(ended, items);
        self.progress.not_redrivable.executions += 1;
        self.progress.not_redrivable.items += items;
        self.child_ended(ended, items);
    }

    /// All children below that number have been dealt with.
    pub fn redriven_up_to(&mut self, next: u64) {
        match &mut self.progress.waiting {
            Some(waiting) if next < self.progress.children => waiting.next = next,
            _ => self.wait_no_more(),
        }
    }

    /// The run is over. What still waited for a redrive stays as it had ended.
    pub fn close(&mut self, at: Timestamp) {
        self.wait_no_more();
        if self.status == Status::Running {
            self.status = if self.failure.is_some() { Status::Failed } else { Status::Succeeded };
        }
        self.stopped = Some(at);
    }

    fn wait_no_more(&mut self) {
        if let Some(waiting) = self.progress.waiting.take() {
            self.progress.executions.put_back(&waiting.executions);
            self.progress.items.put_back(&waiting.items);
        }
    }
}

impl Counts {
    fn take_unsuccessful(&mut self) -> Self {
        let taken = Self { running: 0, succeeded: 0, ..*self };
        (self.failed, self.timed_out, self.aborted) = (0, 0, 0);
        taken
    }

    fn put_back(&mut self, taken: &Self) {
        self.failed += taken.failed;
        self.timed_out += taken.timed_out;
        self.aborted += taken.aborted;
    }

    fn leave(&mut self, ended: Status, by: u64) {
        let count = match ended {
            Status::TimedOut => &mut self.timed_out,
            Status::Aborted => &mut self.aborted,
            Status::Failed | Status::Running | Status::Succeeded => &mut self.failed,
        };
        *count = count.saturating_sub(by);
    }
}
