//! Tasks: scheduling them, what becomes of them, timers.

use std::sync::Arc;

use serde_json::Value;

use super::data::View;
use super::failure::Failure;
use super::frame::{Frame, Phase, Running};
use super::inspect::Point;
use super::{Command, Execution, StartTask, TaskId, TimerId, Turn};
use crate::MAX_PAYLOAD_BYTES;
use crate::definition::{Family, Language, Resource, State, StateKind, Task};
use crate::history::{Details, TaskOf};
use crate::payload::Payload;
use crate::template::Template;
use crate::time::Timestamp;

impl Execution {
    pub(super) fn schedule(
        &mut self,
        turn: &mut Turn<'_>,
        frame: &mut Frame,
        state: &Arc<State>,
        task: &Task,
    ) -> Result<(), Failure> {
        let input = self.effective_input(frame, state)?;
        let timeout = self.amount(frame, task.timeout.as_ref(), "TimeoutSeconds", &input)?;
        let heartbeat = self.amount(frame, task.heartbeat.as_ref(), "HeartbeatSeconds", &input)?;
        let id = TaskId { frame: frame.id, sequence: self.next_sequence() };
        let token = task.resource.takes_token().then_some(id);
        let view = View { task: token, ..View::default() };
        let parameters = match &task.work.parameters {
            Some(template) => self.given(frame, template, &input, view)?,
            None => input.clone(),
        };
        self.note(Point::Parameters, &parameters);
        if let Some(faults) = self.faults(&task.resource.arn, &parameters) {
            return Err(Failure::parameters(frame, &parameters, &faults));
        }
        let role_arn = match &task.credentials {
            Some(template) => Some(self.role(frame, state.language, template, &input)?),
            None => None,
        };
        let resource = task.resource.arn.clone();
        let shown = parameters.clone();
        match &task.resource.family {
            Family::Lambda => {
                self.log(turn, frame, Details::LambdaFunctionScheduled { resource, input: shown, timeout });
                self.log(turn, frame, Details::LambdaFunctionStarted);
            }
            // Recorded when the task lies ready: an activity that does not exist leaves no event.
            Family::Activity => {}
            Family::Service { .. } => {
                let of = task.resource.of();
                let region = self.info.region.clone();
                let role_arn = role_arn.clone();
                let scheduled =
                    Details::TaskScheduled { of: of.clone(), region, parameters: shown, timeout, heartbeat, role_arn };
                self.log(turn, frame, scheduled);
                self.log(turn, frame, Details::TaskStarted { of });
            }
        }
        let mut running = Running {
            task: id,
            timeout: None,
            heartbeat: None,
            heartbeat_seconds: heartbeat.unwrap_or(0),
            timeout_seconds: timeout.filter(|_| task.resource.family == Family::Activity),
            submitted: false,
        };
        if task.resource.family != Family::Activity {
            running.timeout = timeout.map(|seconds| self.set_timer(turn, frame.id, after(turn.now, seconds)));
            running.heartbeat = heartbeat.map(|seconds| self.set_timer(turn, frame.id, after(turn.now, seconds)));
        }
        frame.phase = Phase::Running(running);
        turn.out.push(Command::StartTask(StartTask {
            task: id,
            event: frame.previous,
            state: frame.state.clone(),
            resource: task.resource.arn.clone(),
            parameters,
            role_arn,
            token: token.map(|task| self.token(task)),
            timeout_seconds: timeout,
            heartbeat_seconds: heartbeat,
        }));
        Ok(())
    }

    /// The role that a state's Credentials name. Where they come to none nothing is called, least of all as the machine's own role.
    fn role(
        &mut self,
        frame: &Frame,
        language: Language,
        credentials: &Template,
        input: &Payload,
    ) -> Result<String, Failure> {
        let credentials = self.filled(frame, credentials, input, View::default())?;
        let found = credentials.value().get("RoleArn");
        match (found.unwrap_or(&Value::Null), language) {
            (Value::String(role), _) => Ok(role.clone()),
            (other, Language::Jsonata) => Err(Failure::credentials_query(frame, other)),
            (other, Language::JsonPath) => {
                let what = format!("The field 'RoleArn' of Credentials refers to a value that is no string: {other}");
                Err(Failure::runtime(frame, &what))
            }
        }
    }

    /// What keeps a call with these parameters from being made.
    fn faults(&self, resource: &str, parameters: &Payload) -> Option<Vec<String>> {
        let faults = self.definition.calls.as_ref()?.faults(resource, parameters.value());
        (!faults.is_empty()).then_some(faults)
    }

    /// The frame that waits for the task, taken out; an answer to a task that is no longer waited for is late or doubled.
    pub(super) fn waiting_for(&mut self, task: TaskId) -> Option<Frame> {
        if self.waits_for(task) { self.frames.remove(&task.frame) } else { None }
    }

    pub(super) fn task_submitted(&mut self, turn: &mut Turn<'_>, task: TaskId, output: String) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        let state = Self::state_of(&frame);
        if let Phase::Running(running) = &mut frame.phase
            && std::mem::replace(&mut running.submitted, true)
        {
            return self.keep(frame);
        }
        if let Some(of) = resource_of(&state).map(Resource::of) {
            let output = self.payload(output);
            self.log(turn, &mut frame, Details::TaskSubmitted { of, output });
        }
        self.keep(frame);
    }

    pub(super) fn activity_scheduled(&mut self, turn: &mut Turn<'_>, task: TaskId, input: Payload) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        let state = Self::state_of(&frame);
        if let (Phase::Running(running), Some(resource)) = (&mut frame.phase, resource_of(&state))
            && !std::mem::replace(&mut running.submitted, true)
        {
            let details = Details::ActivityScheduled {
                resource: resource.arn.clone(),
                input,
                timeout: running.timeout_seconds,
                heartbeat: (running.heartbeat_seconds > 0).then_some(running.heartbeat_seconds),
            };
            self.log(turn, &mut frame, details);
        }
        self.keep(frame);
    }

    pub(super) fn activity_missing(&mut self, turn: &mut Turn<'_>, task: TaskId) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        let state = Self::state_of(&frame);
        Self::settle(turn, &mut frame);
        let name = resource_of(&state).map_or("", |resource| resource.arn.as_str());
        let failure = Failure::runtime(&frame, &format!("The activity {name} does not exist."));
        self.fail(turn, frame, failure);
    }

    /// From here its time runs. Source: Task state, TimeoutSeconds and HeartbeatSeconds: "for activities, the count begins when
    /// GetActivityTask receives a token".
    pub(super) fn activity_started(&mut self, turn: &mut Turn<'_>, task: TaskId, worker_name: Option<String>) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        self.log(turn, &mut frame, Details::ActivityStarted { worker_name });
        if let Phase::Running(running) = &frame.phase {
            let (timeout, heartbeat) = (running.timeout_seconds, running.heartbeat_seconds);
            let timeout = timeout.map(|seconds| self.set_timer(turn, frame.id, after(turn.now, seconds)));
            let heartbeat = (heartbeat > 0).then(|| self.set_timer(turn, frame.id, after(turn.now, heartbeat)));
            if let Phase::Running(running) = &mut frame.phase {
                (running.timeout, running.heartbeat) = (timeout, heartbeat);
            }
        }
        self.keep(frame);
    }

    pub(super) fn task_succeeded(&mut self, turn: &mut Turn<'_>, task: TaskId, output: String) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        let state = Self::state_of(&frame);
        let Some(resource) = resource_of(&state) else { return self.keep(frame) };
        if output.len() > MAX_PAYLOAD_BYTES {
            let name = match &resource.family {
                Family::Service { resource_type, .. } => resource_type,
                _ => &resource.arn,
            };
            let failure = Failure::too_large(name);
            return self.end_task(turn, frame, resource, failure);
        }
        Self::settle(turn, &mut frame);
        let output = self.payload(output);
        let shown = output.clone();
        let details = match &resource.family {
            Family::Lambda => Details::LambdaFunctionSucceeded { output: shown },
            Family::Activity => Details::ActivitySucceeded { output: shown },
            Family::Service { .. } => Details::TaskSucceeded { of: resource.of(), output: shown },
        };
        self.log(turn, &mut frame, details);
        self.complete(turn, frame, &output);
    }

    pub(super) fn task_failed(
        &mut self,
        turn: &mut Turn<'_>,
        task: TaskId,
        error: Option<String>,
        cause: Option<String>,
    ) {
        let Some(frame) = self.waiting_for(task) else { return };
        let state = Self::state_of(&frame);
        let Some(resource) = resource_of(&state) else { return self.keep(frame) };
        self.end_task(turn, frame, resource, Failure::new(error, cause));
    }

    fn end_task(&mut self, turn: &mut Turn<'_>, mut frame: Frame, resource: &Resource, failure: Failure) {
        Self::settle(turn, &mut frame);
        let (error, cause) = (failure.error.clone(), failure.cause.clone());
        let details = match &resource.family {
            Family::Lambda => Details::LambdaFunctionFailed { error, cause },
            Family::Activity => Details::ActivityFailed { error, cause },
            Family::Service { .. } => Details::TaskFailed { of: resource.of(), error, cause },
        };
        self.log(turn, &mut frame, details);
        self.fail(turn, frame, failure);
    }

    /// The task is over: its timers go.
    fn settle(turn: &mut Turn<'_>, frame: &mut Frame) {
        if let Phase::Running(running) = std::mem::replace(&mut frame.phase, Phase::Ready) {
            running.clear_timers(turn.out);
        }
    }

    pub(super) fn task_heartbeat(&mut self, turn: &mut Turn<'_>, task: TaskId) {
        let Some(mut frame) = self.waiting_for(task) else { return };
        if let Phase::Running(running) = &mut frame.phase
            && let Some(timer) = running.heartbeat
        {
            turn.out.push(Command::ClearTimer { timer });
            let at = after(turn.now, running.heartbeat_seconds);
            running.heartbeat = Some(self.set_timer(turn, frame.id, at));
        }
        self.keep(frame);
    }

    pub(super) fn timer_fired(&mut self, turn: &mut Turn<'_>, timer: TimerId) {
        if self.root.deadline == Some(timer) {
            self.root.deadline = None;
            return self.time_out(turn);
        }
        let Some(frame) = self.frames.remove(&timer.frame) else { return };
        match &frame.phase {
            Phase::Waiting { timer: set } if *set == timer => self.wake(turn, frame),
            Phase::Backoff { timer: set } if *set == timer => self.attempt(turn, frame),
            Phase::Running(running) if running.timeout == Some(timer) => self.task_timed_out(turn, frame, false),
            Phase::Running(running) if running.heartbeat == Some(timer) => self.task_timed_out(turn, frame, true),
            // A timer that was cleared while it fired.
            _ => {
                self.frames.insert(frame.id, frame);
            }
        }
    }

    fn task_timed_out(&mut self, turn: &mut Turn<'_>, mut frame: Frame, heartbeat: bool) {
        let state = Self::state_of(&frame);
        let Some(resource) = resource_of(&state) else { return self.keep(frame) };
        Self::let_go(turn, &frame.phase);
        frame.phase = Phase::Ready;
        let failure = Failure::timeout(heartbeat);
        let (error, cause) = (failure.error.clone(), failure.cause.clone());
        let details = match &resource.family {
            Family::Lambda => Details::LambdaFunctionTimedOut { error, cause },
            Family::Activity => Details::ActivityTimedOut { error, cause, heartbeat },
            Family::Service { .. } => Details::TaskTimedOut { of: resource.of(), error, cause },
        };
        self.log(turn, &mut frame, details);
        self.fail(turn, frame, failure);
    }
}

impl Resource {
    /// Source: API Reference, SendTaskSuccess: activities, the callback pattern, "and optionally Task states using the job run
    /// pattern": a job may be told its token, and end the task before it ends itself.
    fn takes_token(&self) -> bool {
        match &self.family {
            Family::Lambda => false,
            Family::Activity => true,
            Family::Service { action, .. } => action
                .split_once('.')
                .is_some_and(|(_, pattern)| pattern == "waitForTaskToken" || pattern.starts_with("sync")),
        }
    }

    fn of(&self) -> TaskOf {
        match &self.family {
            Family::Service { resource_type, action } => {
                TaskOf { resource_type: resource_type.clone(), resource: action.clone() }
            }
            _ => TaskOf { resource_type: String::new(), resource: self.arn.clone() },
        }
    }
}

fn resource_of(state: &State) -> Option<&Resource> {
    match &state.kind {
        StateKind::Task(task) => Some(&task.resource),
        _ => None,
    }
}

fn after(now: Timestamp, seconds: u64) -> Timestamp {
    #[expect(clippy::cast_precision_loss, reason = "a double is near enough to any waiting time")]
    now.plus_seconds(seconds as f64)
}
