//! One running execution: told what happened, it says what to do next.
//!
//! An execution is a [`Root`] and one [`Frame`] for itself, each Map item and each Parallel branch. A turn changes few of them;
//! [`Execution::take_dirty`] names those, and they are all that has to be written.

mod data;
pub(crate) mod distributed;
mod failure;
mod frame;
mod inspect;
mod redrive;
mod states;
mod tasks;
mod token;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::MAX_EVENTS;
use crate::definition::{Body, Definition, State, StateKind};
use crate::history::{Details, HistoryEvent};
use crate::info::{Info, Redrive};
use crate::payload::Payload;
use crate::random::Random;
use crate::time::Timestamp;

use failure::Failure;
pub use frame::Frame;
use frame::Phase;
pub use inspect::{Inspection, Pending, StateTest, TestSetup, TestStatus, Tested, TestedState};

/// The counters and the end of an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Root {
    version: u8,
    pub status: Status,
    next_event: u64,
    next_frame: u64,
    next_sequence: u64,
    next_blob: u64,
    random: RefCell<Random>,
    secret: u64,
    deadline: Option<TimerId>,
    #[serde(default)]
    redrive: Redrive,
    /// Its state machine is being deleted: it ends before its next state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    doomed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

/// A task that was started, unique within its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    pub frame: u64,
    pub sequence: u64,
}

/// A timer that was set, unique within its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimerId {
    pub frame: u64,
    pub sequence: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    Started,
    /// There was more to do than one turn may take.
    Continue,
    /// The job that a task waits for has been started.
    TaskSubmitted {
        task: TaskId,
        output: String,
    },
    TaskSucceeded {
        task: TaskId,
        output: String,
    },
    TaskFailed {
        task: TaskId,
        error: Option<String>,
        cause: Option<String>,
    },
    TaskHeartbeat {
        task: TaskId,
    },
    /// An activity's task lies ready for a worker; of an activity that does not exist the task fails instead.
    ActivityScheduled {
        task: TaskId,
        input: Payload,
    },
    /// There is no such activity.
    ActivityMissing {
        task: TaskId,
    },
    /// A worker took an activity's task.
    ActivityStarted {
        task: TaskId,
        worker_name: Option<String>,
    },
    TimerFired {
        timer: TimerId,
    },
    StopRequested {
        error: Option<String>,
        cause: Option<String>,
    },
    /// It did not succeed, and is to go on from where it was.
    Redriven,
    /// A Distributed Map's run is over.
    MapRunEnded {
        task: TaskId,
        ended: distributed::RunEnded,
    },
    /// The time that its kind of execution may take is over.
    DeadlinePassed,
    /// Its state machine was deleted: the next state is not entered.
    StateMachineDeleted,
}

/// What to do next. All commands of a turn are carried out in one transaction, with the records that changed.
#[derive(Clone, Debug)]
pub enum Command {
    Record(HistoryEvent),
    StartTask(StartTask),
    CancelTask {
        task: TaskId,
    },
    SetTimer {
        timer: TimerId,
        at: Timestamp,
    },
    ClearTimer {
        timer: TimerId,
    },
    StartMapRun(Box<distributed::MapRun>),
    /// The run, in its attempt of that number, is to end.
    StopMapRun {
        map_run_arn: String,
        redrives: u32,
    },
    /// A run that did not succeed goes on.
    RedriveMapRun {
        map_run_arn: String,
        order: distributed::RedriveOrder,
    },
    Continue,
    Finish(Outcome),
}

#[derive(Clone, Debug)]
pub struct StartTask {
    pub task: TaskId,
    /// The last event before it: that the task was started, or for an activity that its state was entered.
    pub event: u64,
    /// The state it is for.
    pub state: String,
    /// As the definition names it.
    pub resource: String,
    pub parameters: Payload,
    /// The role to act as, where the state has Credentials.
    pub role_arn: Option<String>,
    /// What an outside worker answers with, where the task waits for one.
    pub token: Option<String>,
    pub timeout_seconds: Option<u64>,
    pub heartbeat_seconds: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: Status,
    pub output: Option<Payload>,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// A running execution.
#[derive(Debug)]
pub struct Execution {
    definition: Arc<Definition>,
    info: Arc<Info>,
    root: Root,
    frames: BTreeMap<u64, Frame>,
    ready: VecDeque<u64>,
    dirty: BTreeSet<u64>,
    removed: BTreeSet<u64>,
    /// Frames that have a record of their own; one that came and went within a turn has none.
    stored: BTreeSet<u64>,
    blobs: Vec<Payload>,
    /// Frames that a failure on its way up has ended; kept when nothing handles it.
    fallen: Vec<Frame>,
    /// Set when one state is tested on its own.
    probe: Option<Box<inspect::Probe>>,
    /// The time of the turn.
    now: Timestamp,
    /// There was no room for an event: the execution fails.
    history_full: bool,
    /// What the turn has cost so far: steps of evaluation, and the bytes of what was made.
    work: Cell<u64>,
    /// States entered, and tried again, since they were last asked for.
    transitions: u64,
}

/// What a turn changed, to be written with its commands.
#[derive(Debug)]
pub struct Dirty<'a> {
    pub root: &'a Root,
    /// The frame of the machine's own states, changed or not: it is kept with the root.
    pub main: Option<&'a Frame>,
    pub frames: Vec<&'a Frame>,
    pub removed_frames: Vec<u64>,
    /// New blobs: number and text.
    pub blobs: Vec<Payload>,
}

/// A turn may enter this many states before it lets others in.
const FUEL: u32 = 1000;
/// And may take this much work: then too others are let in.
const MAX_WORK: u64 = 4_000_000;
/// To make so many bytes counts like a step of an evaluation.
const BYTES_A_STEP: u64 = 4;
/// The frame that runs the machine's own states.
const MAIN_FRAME: u64 = 0;

/// One call of `handle`.
struct Turn<'a> {
    now: Timestamp,
    out: &'a mut Vec<Command>,
}

impl Execution {
    /// A new execution; its first event must be [`Event::Started`]. `seed` decides all chance in it.
    pub fn new(definition: Arc<Definition>, mut info: Info, seed: [u64; 2]) -> Self {
        let mut blobs = Vec::new();
        let mut next_blob = 1;
        if info.input.text().len() > Payload::INLINE_BYTES {
            info.input = info.input.in_blob(next_blob);
            blobs.push(info.input.clone());
            next_blob += 1;
        }
        let root = Root { next_blob, secret: seed[1], ..Root::scratch(seed[0]) };
        Self {
            definition,
            info: Arc::new(info),
            root,
            frames: BTreeMap::new(),
            ready: VecDeque::new(),
            dirty: BTreeSet::new(),
            removed: BTreeSet::new(),
            stored: BTreeSet::new(),
            blobs,
            fallen: Vec::new(),
            probe: None,
            now: Timestamp::default(),
            history_full: false,
            transitions: 0,
            work: Cell::new(0),
        }
    }

    /// It takes the place of an earlier one of the same name: its tasks and timers are others than that one's.
    pub fn set_attempt(&mut self, attempt: u32) {
        self.root.next_sequence += u64::from(attempt) << 40;
    }

    /// Takes up a stored execution. The payloads of `info` and of the frames must have been fetched.
    pub fn load(definition: Arc<Definition>, info: Arc<Info>, root: Root, frames: Vec<Frame>) -> Self {
        let mut execution = Self {
            definition,
            info,
            root,
            frames: BTreeMap::new(),
            ready: VecDeque::new(),
            dirty: BTreeSet::new(),
            removed: BTreeSet::new(),
            stored: BTreeSet::new(),
            blobs: Vec::new(),
            fallen: Vec::new(),
            probe: None,
            now: Timestamp::default(),
            history_full: false,
            transitions: 0,
            work: Cell::new(0),
        };
        // In the order in which they became ready: by the last event of each.
        let mut ready = Vec::new();
        for mut frame in frames {
            frame.body = execution.body_of(frame.parent, frame.index);
            if execution.root.status == Status::Running
                && matches!(frame.phase, Phase::Ready | Phase::Halted | Phase::HaltedRun(_))
            {
                ready.push((frame.previous, frame.id));
            }
            execution.stored.insert(frame.id);
            execution.frames.insert(frame.id, frame);
        }
        ready.sort_unstable();
        execution.ready.extend(ready.into_iter().map(|(_, id)| id));
        execution
    }

    pub fn info(&self) -> &Arc<Info> {
        &self.info
    }

    pub fn status(&self) -> Status {
        self.root.status
    }

    /// The only way in. Never waits, never fails, never looks at the world.
    pub fn handle(&mut self, now: Timestamp, event: Event, out: &mut Vec<Command>) {
        let redriven = matches!(event, Event::Redriven);
        if redriven == (self.root.status == Status::Running) {
            return;
        }
        self.now = now;
        self.work.set(0);
        let mut turn = Turn { now, out };
        match event {
            Event::Started => self.start(&mut turn),
            Event::Continue => {}
            Event::TaskSubmitted { task, output } => self.task_submitted(&mut turn, task, output),
            Event::TaskSucceeded { task, output } => self.task_succeeded(&mut turn, task, output),
            Event::TaskFailed { task, error, cause } => self.task_failed(&mut turn, task, error, cause),
            Event::TaskHeartbeat { task } => self.task_heartbeat(&mut turn, task),
            Event::ActivityScheduled { task, input } => self.activity_scheduled(&mut turn, task, input),
            Event::ActivityMissing { task } => self.activity_missing(&mut turn, task),
            Event::ActivityStarted { task, worker_name } => self.activity_started(&mut turn, task, worker_name),
            Event::TimerFired { timer } => self.timer_fired(&mut turn, timer),
            Event::StopRequested { error, cause } => self.stop(&mut turn, error, cause),
            Event::Redriven => self.redrive(&mut turn),
            Event::MapRunEnded { task, ended } => self.map_run_ended(&mut turn, task, ended),
            Event::DeadlinePassed => self.time_out(&mut turn),
            Event::StateMachineDeleted => self.root.doomed = true,
        }
        if self.history_full {
            self.fill_history(&mut turn);
        } else {
            self.run(&mut turn);
        }
        #[cfg(debug_assertions)]
        self.check(turn.out);
    }

    /// What holds between two turns, whatever came.
    #[cfg(debug_assertions)]
    fn check(&self, out: &[Command]) {
        let of = &self.info.execution_arn;
        let events =
            || out.iter().filter_map(|command| if let Command::Record(event) = command { Some(event) } else { None });
        assert!(events().zip(events().skip(1)).all(|(a, b)| a.id + 1 == b.id), "{of}: a history with gaps");
        assert!(events().all(|event| event.previous_event_id < event.id), "{of}: an event that follows a later one");
        assert!(
            events().next_back().is_none_or(|event| event.id == self.root.event_count()),
            "{of}: the last event is not the last that was counted"
        );
        let ends = out.iter().filter(|command| matches!(command, Command::Finish(_))).count();
        assert!(ends <= 1, "{of}: it ends {ends} times");
        let is_running = self.root.status == Status::Running;
        assert!(ends == 0 || !is_running, "{of}: it has ended and runs");
        assert!(is_running || self.ready.is_empty(), "{of}: it has ended, and a state is to be entered");
        for (id, frame) in &self.frames {
            assert!(*id == frame.id && *id < self.root.next_frame.max(1), "{of}: frame {id} is not one that was made");
            let has_parent = frame.parent.is_none_or(|parent| self.frames.contains_key(&parent));
            assert!(has_parent, "{of}: frame {id} without its parent");
        }
        for id in &self.ready {
            assert!(self.frames.contains_key(id), "{of}: frame {id} is to go on, and there is none");
        }
    }

    /// The turn was long: its effects are to be written before the next one.
    pub fn has_worked_enough(&self) -> bool {
        self.work.get() >= MAX_WORK
    }

    /// States entered, and tried again, since the last call: what AWS bills. Source: AWS Step Functions pricing, "State transitions".
    pub fn take_transitions(&mut self) -> u64 {
        std::mem::take(&mut self.transitions)
    }

    /// What has changed since the last call.
    pub fn take_dirty(&mut self) -> Dirty<'_> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|id| *id != MAIN_FRAME && self.frames.contains_key(id));
        let mut removed_frames = std::mem::take(&mut self.removed);
        removed_frames.retain(|id| !self.frames.contains_key(id) && self.stored.remove(id));
        self.stored.extend(&dirty);
        Dirty {
            root: &self.root,
            main: self.frames.get(&MAIN_FRAME),
            frames: dirty.iter().filter_map(|id| self.frames.get(id)).collect(),
            removed_frames: removed_frames.into_iter().collect(),
            blobs: std::mem::take(&mut self.blobs),
        }
    }

    /// It knows already that its state machine is being deleted.
    pub fn is_doomed(&self) -> bool {
        self.root.doomed
    }

    /// True while the task's answer is waited for.
    pub fn waits_for(&self, task: TaskId) -> bool {
        self.frames.get(&task.frame).is_some_and(|frame| frame.runs(task))
    }

    fn start(&mut self, turn: &mut Turn<'_>) {
        let input = self.info.input.clone();
        let details = Details::ExecutionStarted { input: input.clone(), role_arn: self.info.role_arn.clone() };
        self.record(turn, 0, details);
        self.set_deadline(turn);
        let body = Arc::clone(&self.definition.body);
        let frame = Frame::new(MAIN_FRAME, None, 0, body, input, 0);
        if !frame.input.is_readable() {
            let failure = Failure::named("States.Runtime", "The execution's input cannot be read as JSON.".to_owned());
            return self.fail_frame(turn, frame, failure);
        }
        self.make_ready(frame);
    }

    /// `TimeoutSeconds` of the machine count from now.
    fn set_deadline(&mut self, turn: &mut Turn<'_>) {
        if let Some(seconds) = self.definition.timeout_seconds {
            #[expect(clippy::cast_precision_loss, reason = "at most 99,999,999")]
            let at = turn.now.plus_seconds(seconds as f64);
            self.root.deadline = Some(self.set_timer(turn, MAIN_FRAME, at));
        }
    }

    fn run(&mut self, turn: &mut Turn<'_>) {
        let mut fuel = FUEL;
        while let Some(id) = self.ready.pop_front() {
            if self.root.doomed {
                return self.stop(turn, None, None);
            }
            if fuel == 0 || self.has_worked_enough() {
                self.ready.push_front(id);
                turn.out.push(Command::Continue);
                return;
            }
            fuel -= 1;
            if let Some(frame) = self.frames.remove(&id) {
                match frame.phase {
                    Phase::Halted => self.resume(turn, frame),
                    Phase::HaltedRun(_) => self.resume_map_run(turn, frame),
                    _ => self.enter(turn, frame),
                }
            }
            if self.history_full {
                return self.fill_history(turn);
            }
        }
    }

    /// The next event would be one too many: the execution fails instead, whatever else was about to happen.
    fn fill_history(&mut self, turn: &mut Turn<'_>) {
        let error = Some("States.Runtime".to_owned());
        let cause = Some(format!("The execution reached the maximum number of history events ({MAX_EVENTS})."));
        self.abort_main(turn);
        self.history_full = false;
        let last = self.root.event_count();
        self.record(turn, last, Details::ExecutionFailed { error: error.clone(), cause: cause.clone() });
        self.finish(turn, Outcome { status: Status::Failed, output: None, error, cause });
    }

    fn record(&mut self, turn: &mut Turn<'_>, previous_event_id: u64, details: Details) -> u64 {
        let id = self.root.next_event;
        if id >= MAX_EVENTS && !details.is_end() && !self.info.execution_arn.contains(":express:") {
            self.history_full = true;
        }
        if self.history_full {
            return previous_event_id;
        }
        self.root.next_event += 1;
        turn.out.push(Command::Record(HistoryEvent { id, previous_event_id, at: turn.now, details }));
        id
    }

    /// Records and moves the frame's thread of events on.
    fn log(&mut self, turn: &mut Turn<'_>, frame: &mut Frame, details: Details) {
        frame.previous = self.record(turn, frame.previous, details);
    }

    fn set_timer(&mut self, turn: &mut Turn<'_>, frame: u64, at: Timestamp) -> TimerId {
        let timer = TimerId { frame, sequence: self.next_sequence() };
        turn.out.push(Command::SetTimer { timer, at });
        timer
    }

    fn next_sequence(&mut self) -> u64 {
        let sequence = self.root.next_sequence;
        self.root.next_sequence += 1;
        sequence
    }

    fn keep(&mut self, frame: Frame) {
        self.dirty.insert(frame.id);
        self.frames.insert(frame.id, frame);
    }

    fn drop_frame(&mut self, id: u64) {
        self.frames.remove(&id);
        self.removed.insert(id);
    }

    fn make_ready(&mut self, mut frame: Frame) {
        frame.phase = Phase::Ready;
        self.ready.push_back(frame.id);
        self.keep(frame);
    }

    fn payload(&mut self, text: String) -> Payload {
        if text.len() <= Payload::INLINE_BYTES {
            return Payload::inline(text);
        }
        self.work.set(self.work.get() + text.len() as u64 / BYTES_A_STEP);
        let payload = Payload::blob(self.root.next_blob, text);
        self.root.next_blob += 1;
        self.blobs.push(payload.clone());
        payload
    }

    /// A value that the state has made. One that could not be read again fails it.
    fn made(&mut self, frame: &Frame, value: serde_json::Value) -> Result<Payload, Failure> {
        if jsontext::is_deeper(&value, jsontext::MAX_DEPTH) {
            return Err(Failure::too_deep(frame));
        }
        Ok(self.payload_of(value))
    }

    fn payload_of(&mut self, value: serde_json::Value) -> Payload {
        let mut taken = None;
        let next = self.root.next_blob;
        let payload = Payload::of_value(value, |length| {
            taken = (length > Payload::INLINE_BYTES).then_some(next);
            taken
        });
        self.work.set(self.work.get() + payload.text().len() as u64 / BYTES_A_STEP);
        if taken.is_some() {
            self.root.next_blob += 1;
            self.blobs.push(payload.clone());
        }
        payload
    }

    fn state_of(frame: &Frame) -> Arc<State> {
        let body = frame.body.as_ref().expect("a frame's body is set when it is made and when it is loaded");
        Arc::clone(body.states.get(&frame.state).expect("transitions were checked when the definition was parsed"))
    }

    fn body_of(&self, parent: Option<u64>, index: u64) -> Option<Arc<Body>> {
        let Some(parent) = parent else { return Some(Arc::clone(&self.definition.body)) };
        let parent = self.frames.get(&parent)?;
        let state = parent.body.as_ref()?.states.get(&parent.state)?;
        match &state.kind {
            StateKind::Parallel { branches, .. } => branches.get(usize::try_from(index).ok()?).cloned(),
            StateKind::Map(map) => Some(Arc::clone(&map.processor)),
            _ => None,
        }
    }

    fn finish(&mut self, turn: &mut Turn<'_>, outcome: Outcome) {
        if self.history_full {
            return;
        }
        self.root.status = outcome.status;
        if let Some(timer) = self.root.deadline.take() {
            turn.out.push(Command::ClearTimer { timer });
        }
        self.ready.clear();
        let frames: Vec<u64> = self.frames.keys().copied().collect();
        for id in frames {
            self.drop_frame(id);
        }
        self.removed.insert(MAIN_FRAME);
        self.keep_fallen(outcome.status);
        turn.out.push(Command::Finish(outcome));
    }

    /// One event tells of it, which follows no other one: what is running leaves none. Source: recorded executions.
    fn stop(&mut self, turn: &mut Turn<'_>, error: Option<String>, cause: Option<String>) {
        self.abort_main(turn);
        self.record(turn, 0, Details::ExecutionAborted { error: error.clone(), cause: cause.clone() });
        self.finish(turn, Outcome { status: Status::Aborted, output: None, error, cause });
    }

    fn time_out(&mut self, turn: &mut Turn<'_>) {
        let previous = self.abort_main(turn);
        self.record(turn, previous, Details::ExecutionTimedOut);
        self.finish(turn, Outcome { status: Status::TimedOut, output: None, error: None, cause: None });
    }

    fn abort_main(&mut self, turn: &mut Turn<'_>) -> u64 {
        match self.frames.remove(&MAIN_FRAME) {
            Some(frame) => self.abort(turn, frame, false),
            None => 0,
        }
    }

    /// Ends what a frame is doing, its children first. Answers with its last event.
    fn abort(&mut self, turn: &mut Turn<'_>, mut frame: Frame, recorded: bool) -> u64 {
        let phase = std::mem::replace(&mut frame.phase, Phase::Ready);
        let entered = !matches!(phase, Phase::Ready);
        match phase {
            Phase::Ready => {}
            Phase::Children(children) => {
                self.abort_children(turn, &children, recorded);
                frame.unfinished = Some(children);
                frame.phase = Phase::Halted;
            }
            Phase::MapRun { run, .. } => {
                turn.out.push(Command::StopMapRun { map_run_arn: run.map_run_arn.clone(), redrives: run.redrives });
                if recorded {
                    self.log(turn, &mut frame, Details::MapRunAborted);
                }
                frame.phase = Phase::HaltedRun(run);
            }
            Phase::HaltedRun(run) => frame.phase = Phase::HaltedRun(run),
            other => {
                Self::let_go(turn, &other);
                frame.phase = Phase::Halted;
            }
        }
        if recorded && entered {
            let kind = Self::state_of(&frame).kind();
            self.log(turn, &mut frame, Details::StateAborted { kind });
        }
        let previous = frame.previous;
        self.fall(frame);
        previous
    }

    fn abort_children(&mut self, turn: &mut Turn<'_>, children: &frame::Children, recorded: bool) {
        for (index, id) in (children.base..children.base + children.started).enumerate() {
            let Some(child) = self.frames.remove(&id) else { continue };
            if matches!(child.phase, Phase::Done { .. }) {
                self.fall(child);
                continue;
            }
            let previous = self.abort(turn, child, recorded);
            if let (true, Some(name)) = (recorded, children.map.clone()) {
                self.record(turn, previous, Details::MapIterationAborted { name, index: index as u64 });
            }
        }
    }

    /// Clears the timers and cancels the task of a phase that ends early.
    fn let_go(turn: &mut Turn<'_>, phase: &Phase) {
        match phase {
            Phase::Waiting { timer } | Phase::Backoff { timer } => turn.out.push(Command::ClearTimer { timer: *timer }),
            Phase::Running(running) => {
                turn.out.push(Command::CancelTask { task: running.task });
                running.clear_timers(turn.out);
            }
            Phase::Ready
            | Phase::Halted
            | Phase::HaltedRun(_)
            | Phase::Children(_)
            | Phase::MapRun { .. }
            | Phase::Done { .. } => {}
        }
    }
}

impl Root {
    /// For evaluating outside any execution.
    fn scratch(seed: u64) -> Self {
        Self {
            version: 1,
            status: Status::Running,
            next_event: 1,
            next_frame: MAIN_FRAME + 1,
            next_sequence: 1,
            next_blob: 1,
            random: RefCell::new(Random::new(seed)),
            secret: 0,
            deadline: None,
            doomed: false,
            redrive: Redrive::default(),
        }
    }

    /// The number of events recorded so far.
    pub fn event_count(&self) -> u64 {
        self.next_event - 1
    }
}

impl Status {
    /// As the API names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.frame, self.sequence)
    }
}

impl fmt::Display for TimerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.frame, self.sequence)
    }
}

impl TaskId {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (frame, sequence) = text.split_once('-')?;
        Some(Self { frame: frame.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl TimerId {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        TaskId::parse(text).map(|id| Self { frame: id.frame, sequence: id.sequence })
    }
}

#[cfg(test)]
mod tests;
