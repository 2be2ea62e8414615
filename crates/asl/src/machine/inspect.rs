//! One state on its own, as TestState runs it: the same interpreter over a single frame, which notes what becomes of the data and
//! ends where the state does. Nothing of it is stored.

use std::sync::Arc;

use serde_json::Value;

use super::data::{Assigned, View};
use super::failure::Failure;
use super::frame::{Frame, Phase};
use super::{Command, Event, Execution, MAIN_FRAME, StartTask, Status, Turn};
use crate::definition::{
    Body, Calls, Definition, Distributed, Items, Language, MachineType, Map, Retrier, State, StateKind, StateType,
};
use crate::diagnostic::Diagnostic;
use crate::expr::Expr;
use crate::info::Info;
use crate::payload::Payload;
use crate::settings::{Batcher, ReaderConfig};
use crate::time::Timestamp;

/// The name of a state that is given without a state machine, as the context object shows it.
const NAMELESS: &str = "StateName";

/// A state to be tested, with the states around it.
#[derive(Clone, Debug)]
pub struct TestedState {
    body: Arc<Body>,
    name: String,
    in_map: bool,
    writes_results: bool,
}

/// What a test begins with.
#[derive(Clone, Debug, Default)]
pub struct TestSetup {
    pub input: String,
    pub variables: serde_json::Map<String, Value>,
    /// The whole context object.
    pub context: Option<Value>,
    /// How often the retrier that a failure meets was used.
    pub retries: u32,
    /// What the ItemReader of a Map has read, or why it could not be read.
    pub items: Option<Result<Vec<Value>, String>>,
    pub failed_iterations: u64,
    /// Who says what the call of a Task takes, where it is made.
    pub calls: Option<Arc<dyn Calls>>,
}

/// What the state waits for.
#[derive(Clone, Debug)]
pub enum Pending {
    Ended,
    Task(Box<StartTask>),
    Wait(Timestamp),
    /// A Map or a Parallel: what its children come to.
    Children,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestStatus {
    Succeeded,
    Failed,
    Retriable,
    CaughtError,
}

#[derive(Clone, Debug)]
pub struct Tested {
    pub status: TestStatus,
    pub output: Option<Payload>,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub next: Option<String>,
    pub seen: Inspection,
}

/// The data at each point of its way through the state, as JSON texts.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    pub input: Option<String>,
    pub after_input_path: Option<String>,
    pub after_parameters: Option<String>,
    pub after_arguments: Option<String>,
    pub result: Option<String>,
    pub after_result_selector: Option<String>,
    pub after_result_path: Option<String>,
    pub after_items_path: Option<String>,
    pub after_items_pointer: Option<String>,
    pub after_item_selector: Option<String>,
    pub after_item_batcher: Option<String>,
    pub variables: Option<String>,
    pub max_concurrency: Option<u64>,
    pub tolerated_failure_count: Option<u64>,
    pub tolerated_failure_percentage: Option<f64>,
    pub catch_index: Option<usize>,
    pub retry_index: Option<usize>,
    pub retry_backoff_seconds: Option<f64>,
}

/// A test that runs.
#[derive(Debug)]
pub struct StateTest {
    execution: Execution,
    pending: Pending,
}

/// Where the data of the state under test is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// After Parameters or Arguments.
    Parameters,
    Result,
    ResultSelector,
    ResultPath,
}

/// What an execution that is a test has beyond others.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) setup: TestSetup,
    language: Language,
    kind: StateType,
    /// The state has Parameters, or Arguments.
    templated: bool,
    seen: Inspection,
    /// How many items the Map goes over, where that is known, and how many iterations they make.
    total: Option<usize>,
    iterations: Option<usize>,
    caught: Option<Failure>,
    tested: Option<Tested>,
}

impl TestedState {
    /// Reads the definition of one state, or that of a state machine and finds the state of that name in it. `Ok(None)`: there is
    /// no such state.
    pub fn parse(text: &str, name: Option<&str>) -> Result<Option<Self>, Vec<Diagnostic>> {
        let Some(name) = name else {
            let state = crate::parse::parse_state(text, MachineType::Standard)?;
            let states = std::iter::once((NAMELESS.to_owned(), Arc::new(state))).collect();
            let body = Arc::new(Body { start_at: NAMELESS.to_owned(), states });
            let writes_results = writes_results(text, None);
            return Ok(Some(Self { body, name: NAMELESS.to_owned(), in_map: false, writes_results }));
        };
        let definition = Definition::parse(text, MachineType::Standard)?;
        let writes_results = writes_results(text, Some(name));
        let found = find(&definition.body, name, false);
        Ok(found.map(|(body, in_map)| Self { body, name: name.to_owned(), in_map, writes_results }))
    }

    fn state(&self) -> &Arc<State> {
        self.body.states.get(&self.name).expect("the body was chosen for having it")
    }

    pub fn kind(&self) -> StateType {
        self.state().kind()
    }

    /// A Task's resource.
    pub fn resource(&self) -> Option<&str> {
        match &self.state().kind {
            StateKind::Task(task) => Some(&task.resource.arn),
            _ => None,
        }
    }

    /// How many branches a Parallel has.
    pub fn branches(&self) -> Option<usize> {
        match &self.state().kind {
            StateKind::Parallel { branches, .. } => Some(branches.len()),
            _ => None,
        }
    }

    /// Whether a Map has a ResultWriter: what it comes to is then no array.
    pub fn writes_results(&self) -> bool {
        self.writes_results
    }

    /// How the ItemReader of a Map reads.
    pub fn reader(&self) -> Option<&ReaderConfig> {
        let StateKind::Map(map) = &self.state().kind else { return None };
        Some(&map.distributed.as_ref()?.reader.as_ref()?.config)
    }

    /// Whether a Map or Parallel has a state of that name within.
    pub fn contains(&self, name: &str) -> bool {
        nested(self.state()).iter().any(|(body, _)| find(body, name, false).is_some())
    }
}

fn writes_results(text: &str, name: Option<&str>) -> bool {
    fn state<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
        match value {
            Value::Object(members) => members
                .get("States")
                .and_then(|states| states.get(name))
                .or_else(|| members.values().find_map(|value| state(value, name))),
            Value::Array(items) => items.iter().find_map(|value| state(value, name)),
            _ => None,
        }
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let found = name.map_or(Some(&value), |name| state(&value, name));
    found.is_some_and(|state| state.get("ResultWriter").is_some_and(|writer| !writer.is_null()))
}

/// The body that has a state of that name, and whether it is within a Map.
fn find(body: &Arc<Body>, name: &str, in_map: bool) -> Option<(Arc<Body>, bool)> {
    if body.states.contains_key(name) {
        return Some((Arc::clone(body), in_map));
    }
    let nested = body.states.values().flat_map(|state| nested(state));
    nested.into_iter().find_map(|(body, is_map)| find(&body, name, in_map || is_map))
}

fn nested(state: &State) -> Vec<(Arc<Body>, bool)> {
    match &state.kind {
        StateKind::Parallel { branches, .. } => branches.iter().map(|branch| (Arc::clone(branch), false)).collect(),
        StateKind::Map(map) => vec![(Arc::clone(&map.processor), true)],
        _ => Vec::new(),
    }
}

impl StateTest {
    /// Enters the state.
    pub fn begin(state: TestedState, info: Info, setup: TestSetup, now: Timestamp, seed: [u64; 2]) -> Self {
        let kept = Arc::clone(state.state());
        let definition =
            Definition { body: Arc::clone(&state.body), timeout_seconds: None, calls: setup.calls.clone() };
        let mut execution = Execution::new(Arc::new(definition), info, seed);
        let input = Payload::inline(setup.input.clone());
        let mut frame = Frame::new(MAIN_FRAME, None, 0, state.body, input.clone(), 0);
        frame.state = state.name;
        frame.variables.clone_from(&setup.variables);
        if state.in_map && setup.context.is_none() {
            frame.item = Some(input);
        }
        execution.probe = Some(Box::new(Probe {
            seen: Inspection { input: Some(setup.input.clone()), ..Inspection::default() },
            setup,
            language: kept.language,
            kind: kept.kind(),
            templated: kept.work().is_some_and(|work| work.parameters.is_some()),
            total: None,
            iterations: None,
            caught: None,
            tested: None,
        }));
        let mut test = Self { execution, pending: Pending::Ended };
        test.turn(now, |execution, turn| {
            frame.entered = turn.now;
            // A Pass with a Result does not look at its input, as far as AWS shows, and neither does a Parallel.
            let looks = !matches!(kept.kind, StateKind::Pass { result: Some(_), .. } | StateKind::Parallel { .. });
            if looks
                && kept.language == Language::JsonPath
                && let Ok(input) = execution.effective_input(&frame, &kept)
            {
                execution.seen(|seen| seen.after_input_path = Some(input.text().to_owned()));
            }
            execution.attempt(turn, frame);
        });
        test
    }

    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Of a Map whose items are known: how many iterations they make.
    pub fn iterations(&self) -> Option<usize> {
        self.execution.probe.as_ref()?.iterations
    }

    /// More iterations of the Map are said to have failed than it tolerates.
    pub fn fails_by_iterations(&self) -> bool {
        self.execution.too_many_failed().is_some()
    }

    /// What the task or the children came to.
    pub fn succeed(&mut self, now: Timestamp, result: String) {
        if let Pending::Task(start) = &self.pending {
            let event = Event::TaskSucceeded { task: start.task, output: result };
            return self.tell(now, event);
        }
        self.turn(now, |execution, turn| {
            let Some(mut frame) = execution.frames.remove(&MAIN_FRAME) else { return };
            frame.phase = Phase::Ready;
            if let Some(failure) = execution.too_many_failed() {
                execution.fail(turn, frame, failure);
            } else {
                let result = execution.payload(result);
                execution.complete(turn, frame, &result);
            }
        });
    }

    /// An error instead.
    pub fn fail(&mut self, now: Timestamp, error: Option<String>, cause: Option<String>) {
        self.turn(now, |execution, turn| {
            let Some(mut frame) = execution.frames.remove(&MAIN_FRAME) else { return };
            frame.phase = Phase::Ready;
            execution.fail(turn, frame, Failure::new(error, cause));
        });
    }

    /// The time that a Wait state waits for has come.
    pub fn wake(&mut self, now: Timestamp) {
        self.turn(now, |execution, turn| {
            if let Some(frame) = execution.frames.remove(&MAIN_FRAME) {
                execution.wake(turn, frame);
            }
        });
    }

    /// The task took too long.
    pub fn time_out(&mut self, now: Timestamp) {
        self.turn(now, |execution, turn| {
            if let Some(mut frame) = execution.frames.remove(&MAIN_FRAME) {
                frame.phase = Phase::Ready;
                execution.fail(turn, frame, Failure::timeout(false));
            }
        });
    }

    /// How it ended; `None` while something is pending.
    pub fn tested(mut self) -> Option<Tested> {
        let probe = self.execution.probe.take()?;
        let mut tested = probe.tested?;
        tested.seen = probe.seen;
        Some(tested)
    }

    fn tell(&mut self, now: Timestamp, event: Event) {
        let mut out = Vec::new();
        self.execution.handle(now, event, &mut out);
        self.take_up(&out);
    }

    fn turn(&mut self, now: Timestamp, step: impl FnOnce(&mut Execution, &mut Turn<'_>)) {
        let mut out = Vec::new();
        self.execution.now = now;
        step(&mut self.execution, &mut Turn { now, out: &mut out });
        self.take_up(&out);
    }

    fn take_up(&mut self, commands: &[Command]) {
        self.pending = Pending::Ended;
        if self.execution.status() != Status::Running {
            return;
        }
        self.pending = Pending::Children;
        let is_task = self.execution.probe.as_ref().is_some_and(|probe| probe.kind == StateType::Task);
        for command in commands {
            match command {
                Command::StartTask(start) => self.pending = Pending::Task(Box::new(start.clone())),
                Command::SetTimer { at, .. } if !is_task => self.pending = Pending::Wait(*at),
                _ => {}
            }
        }
    }
}

impl Execution {
    /// Notes a value when this is a test.
    pub(super) fn note(&mut self, at: Point, payload: &Payload) {
        let Some(probe) = &mut self.probe else { return };
        let text = || Some(payload.text().to_owned());
        match (at, probe.language) {
            (Point::Parameters, Language::JsonPath) if probe.templated || probe.kind != StateType::Parallel => {
                probe.seen.after_parameters = text();
            }
            (Point::Parameters, Language::Jsonata) if probe.templated => probe.seen.after_arguments = text(),
            (Point::Result, _) if matches!(probe.kind, StateType::Task | StateType::Pass) => probe.seen.result = text(),
            (Point::ResultSelector, Language::JsonPath) => probe.seen.after_result_selector = text(),
            (Point::ResultPath, Language::JsonPath) => probe.seen.after_result_path = text(),
            _ => {}
        }
    }

    pub(super) fn seen(&mut self, note: impl FnOnce(&mut Inspection)) {
        if let Some(probe) = &mut self.probe {
            note(&mut probe.seen);
        }
    }

    pub(super) fn is_test(&self) -> bool {
        self.probe.is_some()
    }

    /// A Map under test: its items, but none of its iterations.
    pub(super) fn try_map(&mut self, turn: &mut Turn<'_>, mut frame: Frame, state: &Arc<State>) {
        match self.look_at_map(&frame, state) {
            Ok(()) => {
                frame.phase = Phase::Halted;
                self.keep(frame);
            }
            Err(failure) => self.fail(turn, frame, failure),
        }
    }

    /// A Parallel under test: what its branches get, but none of them.
    pub(super) fn try_parallel(&mut self, mut frame: Frame, input: &Payload) {
        self.note(Point::Parameters, input);
        frame.phase = Phase::Halted;
        self.keep(frame);
    }

    fn look_at_map(&mut self, frame: &Frame, state: &Arc<State>) -> Result<(), Failure> {
        let StateKind::Map(map) = &state.kind else { return Ok(()) };
        let input = self.effective_input(frame, state)?;
        let items = match map.distributed.as_deref().filter(|distributed| distributed.reader.is_some()) {
            Some(distributed) => self.items_read(frame, distributed, &input)?,
            None => Some(self.items(frame, state, map)?.0.items.unwrap_or_default()),
        };
        let limit = self.amount(frame, map.max_concurrency.as_ref(), "MaxConcurrency", &input)?;
        if let Some(items) = items.as_ref().filter(|_| state.language == Language::JsonPath) {
            let written = written_items(map, &input).unwrap_or_else(|| items.text());
            self.seen(|seen| seen.after_items_path = Some(written.to_owned()));
        }
        self.seen(|seen| seen.max_concurrency = Some(limit.unwrap_or(0)));
        let (count, share) = self.tolerated(frame, map, &input)?;
        self.seen(|seen| (seen.tolerated_failure_count, seen.tolerated_failure_percentage) = (count, share));
        let Some(items) = items else { return Ok(()) };
        let mut items: Vec<Value> = items.value().as_array().cloned().unwrap_or_default();
        if let Some(probe) = &mut self.probe {
            (probe.total, probe.iterations) = (Some(items.len()), Some(items.len()));
        }
        if let Some(selector) = &map.work.parameters {
            for (index, item) in (0..).zip(&mut items) {
                let view = View { item: Some((index, item)), ..View::default() };
                *item = self.filled(frame, selector, &input, view)?.value().clone();
            }
            self.seen(|seen| seen.after_item_selector = Some(Value::from(items.clone()).to_string()));
        }
        if let Some(distributed) = &map.distributed
            && let Some(batcher) = self.item_batcher(frame, distributed, &input)?
        {
            let batches = batches(&batcher, &items);
            if let Some(probe) = &mut self.probe {
                probe.iterations = Some(batches.len());
                probe.seen.after_item_batcher = Some(format!("[{}]", batches.join(",")));
            }
        }
        Ok(())
    }

    /// What the ItemReader of a Map under test reads, where the test says what that is.
    fn items_read(
        &mut self,
        frame: &Frame,
        distributed: &Distributed,
        input: &Payload,
    ) -> Result<Option<Payload>, Failure> {
        let failed = |cause| Failure::named("States.ItemReaderFailed", cause);
        let Some(reader) = self.item_reader(frame, distributed, input)? else { return Ok(None) };
        if let Some(fault) = reader.fault() {
            return Err(failed(fault.cause.unwrap_or_default()));
        }
        let Some(read) = self.probe.as_ref().and_then(|probe| probe.setup.items.clone()) else { return Ok(None) };
        let mut items = read.map_err(failed)?;
        if let Ok(most @ 1..) = usize::try_from(reader.max_items) {
            items.truncate(most);
        }
        let items = self.payload_of(Value::Array(items));
        if reader.config.items_pointer.is_some() {
            self.seen(|seen| seen.after_items_pointer = Some(items.text().to_owned()));
        }
        Ok(Some(items))
    }

    /// Whether more iterations failed than the Map tolerates; one that says nothing of it is not held to it.
    fn too_many_failed(&self) -> Option<Failure> {
        let probe = self.probe.as_ref()?;
        let failed = probe.setup.failed_iterations;
        let total = probe.total.unwrap_or(0);
        let too_many = probe.seen.tolerated_failure_count.is_some_and(|tolerated| failed > tolerated);
        #[expect(clippy::cast_precision_loss, reason = "numbers of items are far below the mantissa")]
        let share = if total == 0 { 0.0 } else { failed as f64 * 100.0 / total as f64 };
        if !too_many && probe.seen.tolerated_failure_percentage.is_none_or(|tolerated| share <= tolerated) {
            return None;
        }
        let cause = "The specified tolerated failure threshold was exceeded";
        Some(Failure::named("States.ExceedToleratedFailureThreshold", cause.to_owned()))
    }

    /// The state under test is left.
    pub(super) fn end_test(&mut self, frame: &Frame, output: Payload, next: Option<&str>, assigned: Assigned) {
        let mut variables = frame.variables.clone();
        variables.extend(assigned);
        let Some(probe) = &mut self.probe else { return };
        if !variables.is_empty() {
            probe.seen.variables = Some(Value::Object(variables).to_string());
        }
        let (status, failure) = match probe.caught.take() {
            Some(failure) => (TestStatus::CaughtError, Some(failure)),
            None => (TestStatus::Succeeded, None),
        };
        self.conclude(status, Some(output), failure, next);
    }

    /// A retrier takes the failure of the state under test.
    pub(super) fn retry_test(&mut self, index: usize, retrier: &Retrier, failure: Failure) {
        let delay = Self::full_delay(retrier, self.test_retries());
        self.seen(|seen| (seen.retry_index, seen.retry_backoff_seconds) = (Some(index), Some(delay)));
        self.conclude(TestStatus::Retriable, None, Some(failure), None);
    }

    /// The retrier that takes the failure of the state under test has no attempts left.
    pub(super) fn exhaust_test(&mut self, index: usize) {
        self.seen(|seen| seen.retry_index = Some(index));
    }

    pub(super) fn catch_test(&mut self, index: usize, failure: &Failure) {
        if let Some(probe) = &mut self.probe {
            probe.seen.catch_index = Some(index);
            probe.caught = Some(failure.clone());
        }
    }

    pub(super) fn fail_test(&mut self, failure: Failure) {
        self.conclude(TestStatus::Failed, None, Some(failure), None);
    }

    pub(super) fn test_retries(&self) -> u32 {
        self.probe.as_ref().map_or(0, |probe| probe.setup.retries)
    }

    fn conclude(&mut self, status: TestStatus, output: Option<Payload>, failure: Option<Failure>, next: Option<&str>) {
        self.root.status = if output.is_some() { Status::Succeeded } else { Status::Failed };
        let (error, cause) = failure.map(|failure| (failure.error, failure.cause)).unwrap_or_default();
        if let Some(probe) = &mut self.probe {
            let (next, seen) = (next.map(str::to_owned), Inspection::default());
            probe.tested = Some(Tested { status, output, error, cause, next, seen });
        }
    }
}

/// The items that a reference path selects, as the input has them written: AWS shows them with their spaces.
fn written_items<'a>(map: &Map, input: &'a Payload) -> Option<&'a str> {
    match &map.items {
        Items::Path(Expr::Input(path)) if map.distributed.as_ref().is_none_or(|run| run.reader.is_none()) => {
            path.written(input.text())
        }
        _ => None,
    }
}

/// The inputs of a Distributed Map's children.
fn batches(batcher: &Batcher, items: &[Value]) -> Vec<String> {
    let head = batcher
        .input
        .as_ref()
        .map_or_else(|| "{\"Items\":[".to_owned(), |input| format!("{{\"BatchInput\":{input},\"Items\":["));
    let amount = |limit: Option<u64>| limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let (most_items, most_bytes) = (amount(batcher.max_items), amount(batcher.max_bytes));
    let mut found: Vec<(usize, String)> = Vec::new();
    for item in items {
        let item = item.to_string();
        match found.last_mut() {
            Some((taken, batch)) if *taken < most_items && batch.len() + item.len() + ",]}".len() <= most_bytes => {
                *taken += 1;
                batch.push(',');
                batch.push_str(&item);
            }
            _ => found.push((1, format!("{head}{item}"))),
        }
    }
    found.into_iter().map(|(_, batch)| batch + "]}").collect()
}
