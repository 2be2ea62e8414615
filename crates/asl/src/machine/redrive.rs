//! Redrive: an execution that did not succeed goes on from the states that had not ended.
//!
//! A failure ends frames on its way up. They are laid aside (`fallen`) until a Retry or a Catch deals with it, and forgotten then;
//! when it ends the execution they are what is left to do, and stay in the store as they are. Nothing is written for executions
//! that succeed, nor for Express ones, which cannot be redriven.

use super::distributed::RedriveOrder;
use super::failure::Failure;
use super::frame::{Frame, Phase, RunRef};
use super::{Command, Execution, Status, TaskId, Turn};
use crate::definition::StateKind;
use crate::history::Details;
use crate::info::Redrive;

impl Execution {
    /// How often and when it was redriven.
    pub fn redriven(&self) -> Redrive {
        self.root.redrive
    }

    /// The number of events recorded so far.
    pub fn event_count(&self) -> u64 {
        self.root.event_count()
    }

    /// True when there is something that a redrive would go on with.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.root.status, Status::Running | Status::Succeeded) && !self.frames.is_empty()
    }

    pub(super) fn redrive(&mut self, turn: &mut Turn<'_>) {
        if !self.is_unfinished() {
            return;
        }
        self.root.status = Status::Running;
        self.root.redrive = Redrive { count: self.root.redrive.count + 1, at: Some(turn.now) };
        let last = self.root.event_count();
        let previous = self.record(turn, last, Details::ExecutionRedriven { count: self.root.redrive.count });
        self.set_deadline(turn);
        let ids: Vec<u64> = self.frames.keys().copied().collect();
        let mut parents = Vec::new();
        for id in ids {
            let Some(mut frame) = self.frames.remove(&id) else { continue };
            match &frame.phase {
                Phase::Done { .. } => {
                    self.frames.insert(id, frame);
                    continue;
                }
                Phase::Children(_) => parents.push(id),
                _ => self.ready.push_back(id),
            }
            frame.previous = previous;
            frame.retries.clear();
            self.keep(frame);
        }
        for id in parents {
            self.redrive_children(turn, id);
        }
    }

    /// Children that had not ended are ready again by now; where there are none, the state goes on to its next child or its end.
    fn redrive_children(&mut self, turn: &mut Turn<'_>, id: u64) {
        let Some(mut frame) = self.frames.remove(&id) else { return };
        let Phase::Children(children) = &frame.phase else { return self.keep(frame) };
        let mut started = children.base..children.base + children.started;
        let unfinished = |id: u64| self.frames.get(&id).is_some_and(|child| !matches!(child.phase, Phase::Done { .. }));
        if started.any(unfinished) {
            return self.keep(frame);
        }
        if children.done == children.total {
            return self.finish_children(turn, frame);
        }
        let previous = frame.previous;
        match self.start_child(turn, &mut frame, previous) {
            Ok(()) => self.keep(frame),
            Err(failure) => self.give_up(turn, frame, failure),
        }
    }

    /// Runs a state again that was entered before the redrive.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, mut frame: Frame) {
        frame.phase = Phase::Ready;
        self.attempt(turn, frame);
    }

    /// Goes on with the run of a Distributed Map.
    pub(super) fn resume_map_run(&mut self, turn: &mut Turn<'_>, mut frame: Frame) {
        let Phase::HaltedRun(RunRef { map_run_arn, redrives }) = frame.phase else { return self.keep(frame) };
        let (task, redrives) = (TaskId { frame: frame.id, sequence: self.next_sequence() }, redrives + 1);
        frame.phase = Phase::MapRun { task, run: RunRef { map_run_arn: map_run_arn.clone(), redrives } };
        self.log(turn, &mut frame, Details::MapRunRedriven { arn: map_run_arn.clone(), count: redrives });
        let order = RedriveOrder { task, redrive: Redrive { count: redrives, at: Some(turn.now) } };
        turn.out.push(Command::RedriveMapRun { map_run_arn, order });
        self.keep(frame);
    }

    /// Takes a frame away, and lays it aside in case the execution ends with it.
    pub(super) fn fall(&mut self, mut frame: Frame) {
        self.removed.insert(frame.id);
        if let Some(children) = frame.unfinished.take() {
            frame.phase = Phase::Children(children);
        }
        self.fallen.push(frame);
    }

    /// The same for a frame whose state failed. A Fail state is entered again; a state that had too much data runs again as a
    /// whole, those of its children that had succeeded too.
    pub(super) fn fall_failed(&mut self, mut frame: Frame, failure: &Failure) {
        if failure.error.as_deref() == Some("States.DataLimitExceeded") && frame.unfinished.take().is_some() {
            self.fallen.clear();
        }
        let fails = matches!(Self::state_of(&frame).kind, StateKind::Fail { .. });
        frame.phase = match frame.unfinished_run.take() {
            Some(run) => Phase::HaltedRun(run),
            None if fails => Phase::Ready,
            None => Phase::Halted,
        };
        self.fall(frame);
    }

    /// The failure was dealt with: what it ended is gone for good.
    pub(super) fn forget_fallen(&mut self, frame: &mut Frame) {
        self.fallen.clear();
        (frame.unfinished, frame.unfinished_run) = (None, None);
    }

    /// The execution is over: what a redrive needs stays.
    pub(super) fn keep_fallen(&mut self, status: Status) {
        let fallen = std::mem::take(&mut self.fallen);
        if status == Status::Succeeded || self.info.execution_arn.contains(":express:") {
            return;
        }
        for frame in fallen {
            self.removed.remove(&frame.id);
            self.keep(frame);
        }
    }
}
