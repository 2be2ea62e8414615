//! Drives `asl` alone: an event in, commands out, tasks answered and timers fired in any order that chance will have.

use std::collections::BTreeMap;
use std::sync::Arc;

use asl::{
    Command, Definition, Event, Execution, Frame, Info, MachineType, Outcome, Payload, Root, StartTask, Status, TaskId,
    TimerId, Timestamp,
};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::oracle::Seen;
use crate::workers::{Attempt, Plan, raised};

/// An execution that is over, and what it was told to get there.
#[derive(Debug)]
pub struct Ended {
    pub outcome: Outcome,
    pub history: Vec<Seen>,
    pub told: Vec<(Timestamp, Event)>,
    /// What each event was answered with.
    pub answers: Vec<String>,
}

const START_MS: i64 = 1_767_225_600_000;
/// More turns than any generated machine takes.
const MOST_TURNS: usize = 200_000;

/// Reads a definition.
pub fn parse(definition: &Value) -> Result<Arc<Definition>, String> {
    Definition::parse(&definition.to_string(), MachineType::Standard)
        .map(Arc::new)
        .map_err(|found| format!("{found:?}"))
}

/// Runs an execution to its end.
pub fn drive(definition: &Arc<Definition>, input: &Value, chance: &mut Chance) -> Result<Ended, String> {
    let mut execution = begin(definition, input);
    let mut world = World::default();
    let mut ended = Ended { outcome: outcome_of_nothing(), history: Vec::new(), told: Vec::new(), answers: Vec::new() };
    let mut next = Some(Event::Started);
    while let Some(event) = next {
        ended.told.push((world.now, event.clone()));
        let mut commands = Vec::new();
        execution.handle(world.now, event, &mut commands);
        ended.answers.push(shown(&commands));
        drop(execution.take_dirty());
        for command in commands {
            match command {
                Command::Record(event) => ended.history.push(Seen::read(&event.to_json(true))),
                Command::Finish(outcome) => ended.outcome = outcome,
                other => world.take(other),
            }
        }
        if execution.status() != Status::Running {
            return world.left().map_or(Ok(ended), Err);
        }
        if ended.told.len() > MOST_TURNS {
            return Err("it does not end".to_owned());
        }
        next = world.choose(chance);
    }
    Err(format!("nothing is left that could happen, and it is not over: {:?}", ended.history.last()))
}

/// Tells a new execution the same; with `reload`, it is stored and taken up again before each event.
pub fn replay(
    definition: &Arc<Definition>,
    input: &Value,
    told: &[(Timestamp, Event)],
    reload: bool,
) -> Result<Vec<String>, String> {
    let mut execution = begin(definition, input);
    let info = Arc::clone(execution.info());
    let mut stored = Stored::default();
    let mut answers = Vec::new();
    for (n, (now, event)) in told.iter().enumerate() {
        if reload && n > 0 {
            execution = stored.load(definition, &info)?;
        }
        let mut commands = Vec::new();
        execution.handle(*now, event.clone(), &mut commands);
        answers.push(shown(&commands));
        if reload {
            stored.save(&mut execution)?;
        }
    }
    Ok(answers)
}

fn shown(commands: &[Command]) -> String {
    // By its text: whether a payload has been parsed yet is not part of what was said.
    commands
        .iter()
        .map(|command| match command {
            Command::Record(event) => format!("{}:{}\n", event.previous_event_id, event.to_json(true)),
            Command::StartTask(task) => format!("{}<{}\n", task.task, task.parameters.text()),
            Command::Finish(outcome) => format!(
                "{:?} {:?} {:?} {:?}\n",
                outcome.status,
                outcome.output.as_ref().map(Payload::text),
                outcome.error,
                outcome.cause
            ),
            other => format!("{other:?}\n"),
        })
        .collect()
}

fn begin(definition: &Arc<Definition>, input: &Value) -> Execution {
    let info = Info {
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
        name: "e".to_owned(),
        role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
        state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:m".to_owned(),
        state_machine_name: "m".to_owned(),
        region: "us-east-1".to_owned(),
        started: Timestamp(START_MS),
        input: Payload::inline(input.to_string()),
        ..Info::default()
    };
    Execution::new(Arc::clone(definition), info, [1, 2])
}

fn outcome_of_nothing() -> Outcome {
    Outcome { status: Status::Running, output: None, error: None, cause: None }
}

/// The records of an execution.
#[derive(Default)]
struct Stored {
    root: Vec<u8>,
    frames: BTreeMap<u64, Vec<u8>>,
    blobs: BTreeMap<u64, String>,
}

impl Stored {
    fn save(&mut self, execution: &mut Execution) -> Result<(), String> {
        let text = |error: serde_json::Error| error.to_string();
        let dirty = execution.take_dirty();
        for id in &dirty.removed_frames {
            self.frames.remove(id);
        }
        // The main frame stands with the root, and is written whenever that is.
        for frame in dirty.frames.iter().chain(&dirty.main) {
            self.frames.insert(frame.id, serde_json::to_vec(frame).map_err(text)?);
        }
        for blob in &dirty.blobs {
            if let Some(id) = blob.blob_id() {
                self.blobs.insert(id, blob.text().to_owned());
            }
        }
        self.root = serde_json::to_vec(dirty.root).map_err(text)?;
        Ok(())
    }

    fn load(&self, definition: &Arc<Definition>, info: &Arc<Info>) -> Result<Execution, String> {
        let text = |error: serde_json::Error| error.to_string();
        let root: Root = serde_json::from_slice(&self.root).map_err(text)?;
        let mut frames = Vec::new();
        for bytes in self.frames.values() {
            let mut frame: Frame = serde_json::from_slice(bytes).map_err(text)?;
            for payload in frame.payloads_mut() {
                payload.fetch(|id| self.blobs.get(&id).cloned().ok_or_else(|| format!("blob {id} was not written")))?;
            }
            frames.push(frame);
        }
        Ok(Execution::load(Arc::clone(definition), Arc::clone(info), root, frames))
    }
}

/// What is under way.
struct World {
    now: Timestamp,
    tasks: BTreeMap<TaskId, (Timestamp, StartTask)>,
    submitted: Vec<TaskId>,
    timers: BTreeMap<TimerId, Timestamp>,
    goes_on: bool,
    /// Answers that came once already.
    late: Vec<Event>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now: Timestamp(START_MS),
            tasks: BTreeMap::new(),
            submitted: Vec::new(),
            timers: BTreeMap::new(),
            goes_on: false,
            late: Vec::new(),
        }
    }
}

/// Tasks are answered within this time, if at all.
const PATIENCE_MS: i64 = 2_000_000;

impl World {
    fn take(&mut self, command: Command) {
        match command {
            Command::StartTask(start) => drop(self.tasks.insert(start.task, (self.now, start))),
            Command::CancelTask { task } => drop(self.tasks.remove(&task)),
            Command::SetTimer { timer, at } => drop(self.timers.insert(timer, at)),
            Command::ClearTimer { timer } => drop(self.timers.remove(&timer)),
            Command::Continue => self.goes_on = true,
            _ => {}
        }
    }

    /// What an execution that is over has left running.
    fn left(&self) -> Option<String> {
        // A task whose timeout has struck is cancelled; so is everything when the execution ends.
        (!self.tasks.is_empty())
            .then(|| format!("tasks are left: {:?}", self.tasks.keys()))
            .or_else(|| (!self.timers.is_empty()).then(|| format!("timers are left: {:?}", self.timers)))
    }

    fn choose(&mut self, chance: &mut Chance) -> Option<Event> {
        if self.goes_on {
            self.goes_on = false;
            return Some(Event::Continue);
        }
        if let Some(late) = self.late.pop() {
            return Some(late);
        }
        let answerable: Vec<TaskId> =
            self.tasks.iter().filter(|(_, (_, start))| attempt(start) != Attempt::Silent).map(|(id, _)| *id).collect();
        let timer = self.timers.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (*timer, *at));
        let oldest = answerable.iter().filter_map(|id| self.tasks.get(id)).map(|(since, _)| since.0).min();
        if let Some((timer, at)) = timer {
            let in_time = oldest.is_none_or(|since| at.0 - since < PATIENCE_MS);
            if answerable.is_empty() || (in_time && chance.permille(300)) {
                self.timers.remove(&timer);
                self.now = self.now.max(at);
                return Some(Event::TimerFired { timer });
            }
        }
        if answerable.is_empty() {
            return None;
        }
        let id = *chance.pick(&answerable);
        let (_, start) = self.tasks.get(&id)?;
        if start.token.is_some() && !self.submitted.contains(&id) {
            self.submitted.push(id);
            return Some(Event::TaskSubmitted { task: id, output: "{}".to_owned() });
        }
        let (_, start) = self.tasks.remove(&id)?;
        let event = answer(&start);
        if chance.permille(200) {
            self.late.push(event.clone());
        }
        Some(event)
    }
}

fn payload(start: &StartTask) -> Value {
    let parameters = start.parameters.value().clone();
    for within in ["Payload", "MessageBody"] {
        if let Some(payload) = parameters.get(within) {
            return payload.clone();
        }
    }
    parameters
}

fn attempt(start: &StartTask) -> Attempt {
    let payload = payload(start);
    Plan::read(&payload["plan"]).attempt(payload["retry"].as_u64().unwrap_or(0), &payload["value"])
}

fn answer(start: &StartTask) -> Event {
    let task = start.task;
    match attempt(start) {
        Attempt::Succeeds(value) if start.parameters.value().get("Payload").is_some() => {
            Event::TaskSucceeded { task, output: json!({ "Payload": value, "StatusCode": 200 }).to_string() }
        }
        Attempt::Succeeds(value) => Event::TaskSucceeded { task, output: value.to_string() },
        Attempt::Fails(error) => {
            let cause = if start.token.is_some() { "m".to_owned() } else { raised(&error) };
            Event::TaskFailed { task, error: Some(error), cause: Some(cause) }
        }
        Attempt::Silent => Event::TaskHeartbeat { task },
    }
}
