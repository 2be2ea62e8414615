//! What goes wrong in a state, and what Retry and Catch make of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Assigned, View};
use super::frame::{Frame, Phase};
use super::inspect::Point;
use super::{Execution, Outcome, Status, Turn};
use crate::MAX_PAYLOAD_BYTES;
use crate::definition::{Catcher, Retrier, State, StateKind};
use crate::expr::{EvalError, Expr, type_name};
use crate::history::Details;
use crate::payload::Payload;
use crate::random::Chance as _;
use crate::template::TemplateError;

/// A reference path that cannot be followed.
const CONFLICT: &str = "States.ReferencePathConflict";

/// Source: API Reference, `cause` of the events' details.
const MAX_CAUSE_CHARS: usize = 32_768;

/// An error with its cause, as Retry and Catch see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    /// A timeout for want of a heartbeat answers to two names.
    pub(super) heartbeat: bool,
    /// The state's own processing failed: nothing that it started did.
    own: bool,
    evaluation: Option<Evaluation>,
}

/// What history tells of a failed evaluation.
#[derive(Clone, Debug, PartialEq)]
struct Evaluation {
    /// The field, and the way within it.
    location: Option<String>,
    /// The field's value was found, and then could not be used.
    late: bool,
}

impl Failure {
    pub(super) fn new(error: Option<String>, cause: Option<String>) -> Self {
        let cause = cause.map(cut);
        Self { error, cause, heartbeat: false, own: false, evaluation: None }
    }

    pub(super) fn named(error: &str, cause: String) -> Self {
        Self::new(Some(error.to_owned()), Some(cause))
    }

    pub(super) fn timeout(heartbeat: bool) -> Self {
        Self { heartbeat, ..Self::new(Some("States.Timeout".to_owned()), None) }
    }

    pub(super) fn runtime(frame: &Frame, what: &str) -> Self {
        Self::own(frame, "States.Runtime", what)
    }

    /// What a Task was to be called with is nothing that its call takes: no task is started.
    ///
    /// Source: reports of users, of `lambda:invoke` and `apigateway:invoke`.
    pub(super) fn parameters(frame: &Frame, parameters: &Payload, faults: &[String]) -> Self {
        let (given, faults) = (parameters.text(), faults.join(", "));
        Self::runtime(frame, &format!("The Parameters '{given}' could not be used to start the Task: [{faults}]"))
    }

    /// A JSONata expression has no value, or one that its field cannot take.
    pub(super) fn query(frame: &Frame, location: &str, source: &str, outcome: &str) -> Self {
        let what = format!("The JSONata expression '{source}' specified for the field '{location}' {outcome}");
        Self::evaluation(frame, Some(location), &what, false)
    }

    /// The words are not AWS's, but as it words the like of other fields.
    pub(super) fn credentials_query(frame: &Frame, value: &Value) -> Self {
        let location = "Credentials/RoleArn";
        let kind = type_name(value);
        let what = format!(
            "The JSONata expression specified for the field '{location}' returned an unexpected result type. Expected \
             'string', but was '{kind}' for value: {value}"
        );
        Self::evaluation(frame, Some(location), &what, false)
    }

    pub(super) fn evaluation(frame: &Frame, location: Option<&str>, what: &str, late: bool) -> Self {
        let evaluation = Evaluation { location: location.map(str::to_owned), late };
        Self { evaluation: Some(evaluation), ..Self::own(frame, "States.QueryEvaluationError", what) }
    }

    fn own(frame: &Frame, error: &str, what: &str) -> Self {
        let cause = format!("{}{what}", Self::place(frame));
        Self { own: true, ..Self::named(error, cause) }
    }

    fn place(frame: &Frame) -> String {
        format!(
            "An error occurred while executing the state '{}' (entered at the event id #{}). ",
            frame.state, frame.entered_event
        )
    }

    pub(super) fn no_choice(frame: &Frame) -> Self {
        Self::own(
            frame,
            "States.NoChoiceMatched",
            "Failed to transition out of the state. The state does not point to a next state.",
        )
    }

    pub(super) fn too_large(name: &str) -> Self {
        let cause = format!(
            "The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        Self::named("States.DataLimitExceeded", cause)
    }

    /// The words are not AWS's.
    pub(super) fn too_large_input(name: &str) -> Self {
        let cause = format!(
            "The state/task '{name}' has an input with a size exceeding the maximum number of bytes service limit."
        );
        Self::named("States.DataLimitExceeded", cause)
    }

    /// The words are not AWS's.
    pub(super) fn out_of_range(frame: &Frame, field: &str, expr: &Expr, value: &Value) -> Self {
        let source = expr.source();
        if let Expr::Query { .. } = expr {
            let what = format!("The {field} field refers to a value that is out of range: {value}");
            Self::evaluation(frame, Some(field), &what, true)
        } else {
            let what = format!("The {field}Path field refers to a value that is out of range: {source} == {value}");
            Self::runtime(frame, &what)
        }
    }

    /// The words are not AWS's, whose bound is not known.
    pub(super) fn too_deep(frame: &Frame) -> Self {
        let most = jsontext::MAX_DEPTH;
        Self::runtime(frame, &format!("A value nests more than {most} arrays and objects in each other."))
    }

    pub(super) fn result_path(frame: &Frame, path: &str) -> Self {
        Self::conflict(frame, &format!("ReferencePath {path}"), &frame.input)
    }

    /// What ItemsPath refers to is not there.
    pub(super) fn no_items(frame: &Frame, step: &str, input: &Payload) -> Self {
        Self::conflict(frame, &format!("step \"{step}\""), input)
    }

    /// AWS's guide knows it as `States.ResultPathMatchFailure`; that name handles it too.
    fn conflict(frame: &Frame, what: &str, input: &Payload) -> Self {
        Self::own(frame, CONFLICT, &format!("Unable to apply {what} to input {}", input.text()))
    }

    /// A path that stands for itself: InputPath, OutputPath, TimeoutSecondsPath, …, or the expression of `field`.
    pub(super) fn invalid_path(frame: &Frame, path: &Expr, field: &str, error: &EvalError) -> Self {
        match error {
            EvalError::Query { source, outcome } => Self::query(frame, field, source, outcome),
            EvalError::NotFound { reason, .. } => {
                Self::runtime(frame, &format!("Invalid path '{}' : {reason}", path.source()))
            }
            EvalError::Intrinsic { source, reason } => Self::intrinsic(frame, source, reason),
            EvalError::TooMuch { .. } => Self::too_large(&frame.state),
        }
    }

    /// A path or call within a payload template.
    pub(super) fn template(frame: &Frame, error: TemplateError, input: &Payload) -> Self {
        match error.error {
            EvalError::Query { source, outcome } => Self::query(frame, &error.field, &source, &outcome),
            EvalError::NotFound { source, .. } => Self::runtime(
                frame,
                &format!(
                    "The JSONPath '{source}' specified for the field '{}' could not be found in the input '{}'",
                    error.field,
                    input.text()
                ),
            ),
            EvalError::Intrinsic { source, reason } => Self::intrinsic(frame, &source, &reason),
            EvalError::TooMuch { .. } => Self::too_large(&frame.state),
        }
    }

    fn intrinsic(frame: &Frame, source: &str, reason: &str) -> Self {
        Self::own(
            frame,
            "States.IntrinsicFailure",
            &format!("The function '{source}' had the following error: {reason}"),
        )
    }

    /// Without the sentence that says where in an execution it happened.
    fn without_place(mut self, frame: &Frame) -> Self {
        let place = Self::place(frame);
        if let Some(rest) = self.cause.as_deref().and_then(|cause| cause.strip_prefix(&place)) {
            self.cause = Some(rest.to_owned());
        }
        self
    }

    fn is_matched_by(&self, names: &[String]) -> bool {
        let error = self.error.as_deref().unwrap_or_default();
        names.iter().any(|name| match name.as_str() {
            // Also `States.DataLimitExceeded`, of which the guide says otherwise. Source: a recorded execution.
            "States.ALL" => error != "States.Runtime",
            "States.TaskFailed" => !matches!(error, "States.Timeout" | "States.Runtime"),
            "States.HeartbeatTimeout" => self.heartbeat || error == name,
            "States.ResultPathMatchFailure" => error == CONFLICT || error == name,
            name => name == error,
        })
    }
}

/// A cause may be all that a function or a job has to say of its end.
fn cut(mut cause: String) -> String {
    if cause.len() > MAX_CAUSE_CHARS
        && let Some((end, _)) = cause.char_indices().nth(MAX_CAUSE_CHARS)
    {
        cause.truncate(end);
    }
    cause
}

impl Execution {
    /// A state has failed: try again, go where Catch says, or fail what it is part of.
    pub(super) fn fail(&mut self, turn: &mut Turn<'_>, mut frame: Frame, mut failure: Failure) {
        let state = Self::state_of(&frame);
        if self.is_test() {
            failure = failure.without_place(&frame);
        }
        if let Some(evaluation) = &failure.evaluation {
            self.log_evaluation_failed(turn, &mut frame, &failure, evaluation);
        }
        let Some(work) = state.work() else { return self.fail_frame(turn, frame, failure) };
        let retrier = work.retry.iter().enumerate().find(|(_, retrier)| failure.is_matched_by(&retrier.errors));
        if let Some((index, retrier)) = retrier {
            frame.retries.resize(work.retry.len(), 0);
            let used = frame.retries[index] + self.test_retries();
            if used < retrier.max_attempts {
                if self.is_test() {
                    return self.retry_test(index, retrier, failure);
                }
                frame.retries[index] += 1;
                let at = turn.now.plus_seconds(self.delay(retrier, used));
                frame.phase = Phase::Backoff { timer: self.set_timer(turn, frame.id, at) };
                self.forget_fallen(&mut frame);
                return self.keep(frame);
            }
            self.exhaust_test(index);
        }
        if !failure.own || failure.evaluation.is_some() {
            self.log_part_failed(turn, &mut frame, &state);
        }
        match work.catch.iter().enumerate().find(|(_, catcher)| failure.is_matched_by(&catcher.errors)) {
            Some((index, catcher)) => {
                self.catch_test(index, &failure);
                self.catch(turn, frame, catcher, &failure);
            }
            None => self.fail_frame(turn, frame, failure),
        }
    }

    fn log_evaluation_failed(
        &mut self,
        turn: &mut Turn<'_>,
        frame: &mut Frame,
        failure: &Failure,
        evaluation: &Evaluation,
    ) {
        if !evaluation.late && frame.previous == frame.entered_event {
            frame.previous = frame.before;
        }
        let details = Details::EvaluationFailed {
            state: frame.state.clone(),
            error: failure.error.clone(),
            cause: failure.cause.clone(),
            location: evaluation.location.clone(),
        };
        self.log(turn, frame, details);
    }

    fn log_part_failed(&mut self, turn: &mut Turn<'_>, frame: &mut Frame, state: &Arc<State>) {
        match &state.kind {
            StateKind::Map(_) => self.log(turn, frame, Details::MapStateFailed),
            StateKind::Parallel { .. } => self.log(turn, frame, Details::ParallelStateFailed),
            _ => {}
        }
    }

    fn delay(&self, retrier: &Retrier, used: u32) -> f64 {
        let delay = Self::full_delay(retrier, used);
        if retrier.full_jitter { delay * self.root.random.borrow_mut().fraction() } else { delay }
    }

    /// Without jitter.
    pub(super) fn full_delay(retrier: &Retrier, used: u32) -> f64 {
        let grown = retrier.interval_seconds * retrier.backoff_rate.powi(i32::try_from(used).unwrap_or(i32::MAX));
        grown.min(retrier.max_delay_seconds.unwrap_or(99_999_999.0))
    }

    fn catch(&mut self, turn: &mut Turn<'_>, frame: Frame, catcher: &Catcher, failure: &Failure) {
        let cause = match (&failure.cause, failure.error.as_deref()) {
            (None, Some("States.Timeout")) => Some(String::new()),
            (cause, _) => cause.clone(),
        };
        let error_output = self.payload_of(json!({ "Error": failure.error, "Cause": cause }));
        let done = self.caught(&frame, catcher, &error_output);
        match done {
            Ok((output, assigned)) => self.leave(turn, frame, output, Some(catcher.next.as_str()), assigned),
            Err(failure) => self.fail_frame(turn, frame, failure),
        }
    }

    fn caught(
        &mut self,
        frame: &Frame,
        catcher: &Catcher,
        error_output: &Payload,
    ) -> Result<(Payload, Assigned), Failure> {
        let view = View { error_output: Some(error_output.value()), ..View::default() };
        let output = match &catcher.output {
            Some(template) => self.filled(frame, template, error_output, view)?,
            None => self.merged(frame, &catcher.result_path, error_output.clone())?,
        };
        if output.text().len() > MAX_PAYLOAD_BYTES {
            return Err(Failure::too_large(&frame.state));
        }
        Ok((output, self.assigned(frame, catcher.assign.as_ref(), error_output, view)?))
    }

    /// Nothing in the frame handles the failure: it fails the execution or the state above.
    pub(super) fn fail_frame(&mut self, turn: &mut Turn<'_>, frame: Frame, failure: Failure) {
        if self.is_test() {
            return self.fail_test(failure.without_place(&frame));
        }
        let (previous, index, parent) = (frame.previous, frame.index, frame.parent);
        self.fall_failed(frame, &failure);
        let Some(mut parent) = parent.and_then(|id| self.frames.remove(&id)) else {
            let (error, cause) = (failure.error, failure.cause);
            self.record(turn, previous, Details::ExecutionFailed { error: error.clone(), cause: cause.clone() });
            return self.finish(turn, Outcome { status: Status::Failed, output: None, error, cause });
        };
        let Phase::Children(children) = std::mem::replace(&mut parent.phase, Phase::Ready) else {
            return self.keep(parent);
        };
        if let Some(name) = &children.map {
            self.record(turn, previous, Details::MapIterationFailed { name: name.clone(), index });
        }
        self.abort_children(turn, &children, true);
        parent.unfinished = Some(children);
        parent.previous = previous;
        self.fail(turn, parent, Failure { own: false, evaluation: None, ..failure });
    }

    /// Leaves a state whose result is known.
    pub(super) fn complete(&mut self, turn: &mut Turn<'_>, frame: Frame, result: &Payload) {
        let state = Self::state_of(&frame);
        let done = self.completed(&frame, &state, result);
        match done {
            Ok((output, assigned)) => self.leave(turn, frame, output, state.next.as_deref(), assigned),
            Err(failure) => self.fail(turn, frame, failure),
        }
    }

    fn completed(
        &mut self,
        frame: &Frame,
        state: &Arc<State>,
        result: &Payload,
    ) -> Result<(Payload, Assigned), Failure> {
        let work = state.work().expect("only states that start something complete");
        if !result.is_readable() {
            return Err(Failure::runtime(frame, "The result cannot be read as JSON, or is nested too deeply."));
        }
        let view = View { result: Some(result.value()), ..View::default() };
        self.note(Point::Result, result);
        let selected = match &work.result_selector {
            Some(template) => self.filled(frame, template, result, view)?,
            None => result.clone(),
        };
        self.note(Point::ResultSelector, &selected);
        let merged = self.merged(frame, &work.result_path, selected)?;
        self.note(Point::ResultPath, &merged);
        let output = self.output(frame, state, state.output.as_ref(), merged, view)?;
        Ok((output, self.assigned(frame, state.assign.as_ref(), result, view)?))
    }
}
