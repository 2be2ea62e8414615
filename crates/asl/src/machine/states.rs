//! Entering, running and leaving states, but for what Tasks do (`tasks.rs`).

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::data::{Assigned, MAX_SECONDS, View};
use super::failure::Failure;
use super::frame::{Children, Frame, Phase};
use super::inspect::Point;
use super::{Execution, Outcome, Status, Turn};
use crate::choice::Rule;
use crate::definition::{Amount, Items, Language, Map, State, StateKind, Text, Wait};
use crate::expr::{EvalError, Expr};
use crate::history::Details;
use crate::payload::Payload;
use crate::template::Template;
use crate::time::Timestamp;

/// Source: Step Functions developer guide, "Using Map state in Inline mode": up to 40 iterations run at once.
const MAX_ITERATIONS_AT_ONCE: u64 = 40;
/// What the results of a state's branches or iterations may take together while they are gathered, in bytes.
const MAX_GATHERED_BYTES: usize = 64 << 20;

impl Execution {
    pub(super) fn enter(&mut self, turn: &mut Turn<'_>, mut frame: Frame) {
        let state = Self::state_of(&frame);
        frame.retries.clear();
        frame.entered = turn.now;
        let details =
            Details::StateEntered { kind: state.kind(), name: frame.state.clone(), input: frame.input.clone() };
        frame.before = frame.previous;
        self.log(turn, &mut frame, details);
        frame.entered_event = frame.previous;
        self.attempt(turn, frame);
    }

    /// Runs the state that the frame is in; again after a retry's delay.
    pub(super) fn attempt(&mut self, turn: &mut Turn<'_>, mut frame: Frame) {
        self.transitions += 1;
        let state = Self::state_of(&frame);
        if let StateKind::Map(map) = &state.kind {
            if self.is_test() {
                return self.try_map(turn, frame, &state);
            }
            if let Some(distributed) = &map.distributed {
                return self.start_map_run(turn, frame, &state, map, distributed);
            }
        }
        let failed = match &state.kind {
            StateKind::Pass { .. } | StateKind::Succeed | StateKind::Choice { .. } => {
                match self.immediate(&frame, &state) {
                    Ok((output, next, assigned)) => return self.leave(turn, frame, output, next.as_deref(), assigned),
                    Err(failure) => failure,
                }
            }
            StateKind::Fail { error, cause } => {
                let error = self.text(&frame, error.as_ref(), "Error");
                match error.and_then(|error| Ok(Failure::new(error, self.text(&frame, cause.as_ref(), "Cause")?))) {
                    Ok(failure) | Err(failure) => failure,
                }
            }
            StateKind::Wait(wait) => match self.wake_time(turn.now, &frame, &state, wait) {
                Ok(at) if at <= turn.now => return self.wake(turn, frame),
                Ok(at) => {
                    frame.phase = Phase::Waiting { timer: self.set_timer(turn, frame.id, at) };
                    return self.keep(frame);
                }
                Err(failure) => failure,
            },
            StateKind::Task(task) => match self.schedule(turn, &mut frame, &state, task) {
                Ok(()) => return self.keep(frame),
                Err(failure) => failure,
            },
            StateKind::Parallel { branches, work } => {
                let input = self.effective_input(&frame, &state).and_then(|input| match &work.parameters {
                    Some(template) => self.given(&frame, template, &input, View::default()),
                    None => Ok(input),
                });
                match input {
                    Ok(input) if self.is_test() => return self.try_parallel(frame, &input),
                    Ok(input) => {
                        self.log(turn, &mut frame, Details::ParallelStateStarted);
                        let children = self.children(branches.len(), None, None, input);
                        return self.start_children(turn, frame, children, u64::MAX);
                    }
                    Err(failure) => failure,
                }
            }
            StateKind::Map(map) => match self.items(&frame, &state, map) {
                Ok((children, limit)) => {
                    self.log(turn, &mut frame, Details::MapStateStarted { length: children.total });
                    match self.tolerated(&frame, map, &children.input) {
                        Ok(_) => return self.start_children(turn, frame, children, limit),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            },
        };
        self.fail(turn, frame, failed);
    }

    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        mut frame: Frame,
        output: Payload,
        next: Option<&str>,
        assigned: Assigned,
    ) {
        if self.is_test() {
            return self.end_test(&frame, output, next, assigned);
        }
        self.forget_fallen(&mut frame);
        let kind = Self::state_of(&frame).kind();
        let shown: IndexMap<_, _> = assigned.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        for (name, text) in &shown {
            let old = frame.variables.get(name).map_or(0, |value| value.to_string().len());
            frame.variables_bytes = (frame.variables_bytes + text.len()).saturating_sub(old);
        }
        let details = Details::StateExited { kind, name: frame.state.clone(), output: output.clone(), assigned: shown };
        self.log(turn, &mut frame, details);
        frame.variables.extend(assigned);
        match next {
            Some(next) => {
                next.clone_into(&mut frame.state);
                frame.input = output;
                self.make_ready(frame);
            }
            None => self.finish_frame(turn, frame, output),
        }
    }

    /// States that end where they begin.
    fn immediate(&mut self, frame: &Frame, state: &Arc<State>) -> Result<(Payload, Option<String>, Assigned), Failure> {
        let view = View::default();
        let input = self.effective_input(frame, state)?;
        let (next, output, assign) = match &state.kind {
            StateKind::Pass { result, parameters, result_path } => {
                let effective = match parameters {
                    Some(template) => self.filled(frame, template, &input, view)?,
                    None => input,
                };
                let result = if let Some(result) = result {
                    let result = self.made(frame, result.clone())?;
                    self.note(Point::Result, &result);
                    result
                } else {
                    self.note(Point::Parameters, &effective);
                    effective
                };
                self.note(Point::ResultSelector, &result);
                let merged = self.merged(frame, result_path, result.clone())?;
                self.note(Point::ResultPath, &merged);
                let output = self.output(frame, state, state.output.as_ref(), merged, view)?;
                return Ok((output, state.next.clone(), self.assigned(frame, state.assign.as_ref(), &result, view)?));
            }
            StateKind::Choice { rules, default } => match (self.matching(frame, rules, &input)?, default) {
                (Some(rule), _) => (Some(rule.next.clone()), rule.output.as_ref(), rule.assign.as_ref()),
                (None, Some(default)) => (Some(default.clone()), state.output.as_ref(), state.assign.as_ref()),
                (None, None) => return Err(Failure::no_choice(frame)),
            },
            _ => (None, state.output.as_ref(), state.assign.as_ref()),
        };
        let output = self.output(frame, state, output, input.clone(), view)?;
        Ok((output, next, self.assigned(frame, assign, &input, view)?))
    }

    fn matching<'a>(&self, frame: &Frame, rules: &'a [Rule], input: &Payload) -> Result<Option<&'a Rule>, Failure> {
        self.scope(frame, input.value(), View::default(), |scope| {
            for (index, rule) in rules.iter().enumerate() {
                if rule.condition.holds(scope).map_err(|error| (index, error))? {
                    return Ok(Some(rule));
                }
            }
            Ok(None)
        })
        .map_err(|(index, error)| match &error {
            EvalError::NotFound { source, .. } => {
                let what =
                    format!("Invalid path '{source}': The choice state's condition path references an invalid value.");
                Failure::runtime(frame, &what)
            }
            EvalError::Intrinsic { source, reason } => Failure::runtime(frame, &format!("{source}: {reason}")),
            EvalError::TooMuch { .. } => Failure::too_large(&frame.state),
            EvalError::Query { source, outcome } => {
                Failure::query(frame, &format!("Choices[{index}]/Condition"), source, outcome)
            }
        })
    }

    fn wake_time(
        &mut self,
        now: Timestamp,
        frame: &Frame,
        state: &Arc<State>,
        wait: &Wait,
    ) -> Result<Timestamp, Failure> {
        match wait {
            #[expect(clippy::cast_precision_loss, reason = "at most 99,999,999")]
            Wait::Seconds(Amount::Fixed(seconds)) => Ok(now.plus_seconds(*seconds as f64)),
            Wait::Timestamp(at) => Ok(*at),
            Wait::Seconds(amount @ Amount::Expr(Expr::Query { .. })) => {
                let seconds = self.amount(frame, Some(amount), "Seconds", &frame.input)?.unwrap_or(0);
                #[expect(clippy::cast_precision_loss, reason = "a double is near enough to any waiting time")]
                Ok(now.plus_seconds(seconds as f64))
            }
            Wait::Seconds(Amount::Expr(path)) => {
                let value = self.referenced(frame, state, path, "SecondsPath")?;
                let source = path.source();
                let seconds = value.as_i64().ok_or_else(|| {
                    Failure::runtime(
                        frame,
                        &format!("The SecondsPath parameter cannot be parsed as a long value: {source} == {value}"),
                    )
                })?;
                if seconds < 0 {
                    let what = format!("The SecondsPath parameter references a negative value: {source} == {value}");
                    return Err(Failure::runtime(frame, &what));
                }
                if seconds.unsigned_abs() > MAX_SECONDS {
                    return Err(Failure::out_of_range(frame, "Seconds", path, &value));
                }
                #[expect(clippy::cast_precision_loss, reason = "a double is near enough to any waiting time")]
                Ok(now.plus_seconds(seconds as f64))
            }
            Wait::TimestampExpr(expr @ Expr::Query { .. }) => {
                let text = Text::Expr(expr.clone());
                let text = self.text(frame, Some(&text), "Timestamp")?.unwrap_or_default();
                Timestamp::parse(&text).ok_or_else(|| {
                    let what = format!(
                        "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"
                    );
                    Failure::evaluation(frame, Some("Timestamp"), &what, true)
                })
            }
            Wait::TimestampExpr(path) => {
                let value = self.referenced(frame, state, path, "TimestampPath")?;
                value.as_str().and_then(Timestamp::parse).ok_or_else(|| {
                    let shown = crate::value::java_text(&value);
                    let what = format!(
                        "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {} == {shown}",
                        path.source()
                    );
                    Failure::runtime(frame, &what)
                })
            }
        }
    }

    fn referenced(&mut self, frame: &Frame, state: &Arc<State>, path: &Expr, field: &str) -> Result<Value, Failure> {
        let input = self.effective_input(frame, state)?;
        self.scope(frame, input.value(), View::default(), |scope| path.eval(scope)).map_err(|_| {
            Failure::runtime(
                frame,
                &format!("The {field} parameter does not reference an input value: {}", path.source()),
            )
        })
    }

    /// A Wait is over.
    pub(super) fn wake(&mut self, turn: &mut Turn<'_>, frame: Frame) {
        let state = Self::state_of(&frame);
        let done = self.effective_input(&frame, &state).and_then(|input| {
            let assigned = self.assigned(&frame, state.assign.as_ref(), &input, View::default())?;
            Ok((self.output(&frame, &state, state.output.as_ref(), input, View::default())?, assigned))
        });
        match done {
            Ok((output, assigned)) => self.leave(turn, frame, output, state.next.as_deref(), assigned),
            Err(failure) => self.fail(turn, frame, failure),
        }
    }

    fn children(&mut self, total: usize, map: Option<String>, items: Option<Payload>, input: Payload) -> Children {
        let (base, total) = (self.root.next_frame, total as u64);
        self.root.next_frame += total;
        Children { base, total, started: 0, done: 0, gathered_bytes: 0, map, items, input }
    }

    pub(super) fn items(&mut self, frame: &Frame, state: &Arc<State>, map: &Map) -> Result<(Children, u64), Failure> {
        let input = self.effective_input(frame, state)?;
        let limit =
            self.amount(frame, map.max_concurrency.as_ref(), "MaxConcurrency", &input)?.filter(|limit| *limit > 0);
        let items = self.map_items(frame, map, &input)?;
        let length =
            items.value().as_array().map(Vec::len).ok_or_else(|| no_array(frame, state, map, items.value()))?;
        let limit = limit.unwrap_or(u64::MAX).min(MAX_ITERATIONS_AT_ONCE);
        Ok((self.children(length, Some(frame.state.clone()), Some(items), input), limit))
    }

    /// What a Map goes over.
    pub(super) fn map_items(&mut self, frame: &Frame, map: &Map, input: &Payload) -> Result<Payload, Failure> {
        match &map.items {
            Items::Input => Ok(input.clone()),
            Items::Path(path) => {
                let value =
                    self.scope(frame, input.value(), View::default(), |scope| path.eval(scope)).map_err(|error| {
                        match path {
                            Expr::Input(steps) if steps.is_reference() => {
                                Failure::no_items(frame, &steps.missing_step(input.value()).unwrap_or_default(), input)
                            }
                            _ => Failure::invalid_path(frame, path, "ItemsPath", &error),
                        }
                    })?;
                self.made(frame, value)
            }
            Items::Template(template) => self.filled(frame, template, input, View::default()),
        }
    }

    fn start_children(&mut self, turn: &mut Turn<'_>, mut frame: Frame, children: Children, limit: u64) {
        let first = children.total.min(limit);
        let previous = frame.previous;
        frame.phase = Phase::Children(children);
        if first == 0 {
            return self.finish_children(turn, frame);
        }
        for _ in 0..first {
            if self.history_full {
                break;
            }
            if let Err(failure) = self.start_child(turn, &mut frame, previous) {
                return self.give_up(turn, frame, failure);
            }
        }
        self.keep(frame);
    }

    /// Starts the next item or branch.
    pub(super) fn start_child(&mut self, turn: &mut Turn<'_>, frame: &mut Frame, previous: u64) -> Result<(), Failure> {
        let state = Self::state_of(frame);
        let Phase::Children(children) = &mut frame.phase else { return Ok(()) };
        let index = children.started;
        let id = children.base + index;
        children.started += 1;
        let (input, items) = (children.input.clone(), children.items.clone());
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let child = match &state.kind {
            StateKind::Map(map) => {
                let previous =
                    self.record(turn, previous, Details::MapIterationStarted { name: frame.state.clone(), index });
                let items = items.unwrap_or_default();
                let item = items.value().get(position).unwrap_or_default();
                let view = View { item: Some((index, item)), ..View::default() };
                let kept = self.payload(item.to_string());
                let input = match &map.work.parameters {
                    Some(template) => self.given(frame, template, &input, view)?,
                    None => kept.clone(),
                };
                let mut child = Frame::new(id, Some(frame.id), index, Arc::clone(&map.processor), input, previous);
                child.item = Some(kept);
                child
            }
            StateKind::Parallel { branches, .. } => {
                Frame::new(id, Some(frame.id), index, Arc::clone(&branches[position]), input, previous)
            }
            _ => return Ok(()),
        };
        self.make_ready(child);
        Ok(())
    }

    /// Starting the next item failed: that fails the Map.
    pub(super) fn give_up(&mut self, turn: &mut Turn<'_>, mut frame: Frame, failure: Failure) {
        if let Phase::Children(mut children) = std::mem::replace(&mut frame.phase, Phase::Ready) {
            children.started -= 1;
            self.abort_children(turn, &children, true);
            frame.unfinished = Some(children);
        }
        self.fail(turn, frame, failure);
    }

    fn finish_frame(&mut self, turn: &mut Turn<'_>, mut frame: Frame, output: Payload) {
        let Some(mut parent) = frame.parent.and_then(|id| self.frames.remove(&id)) else {
            self.record(turn, frame.previous, Details::ExecutionSucceeded { output: output.clone() });
            return self
                .finish(turn, Outcome { status: Status::Succeeded, output: Some(output), error: None, cause: None });
        };
        let freed = frame.previous;
        parent.previous = freed;
        if let Phase::Children(children) = &mut parent.phase {
            children.done += 1;
            children.gathered_bytes += output.text().len();
            if let Some(name) = children.map.clone() {
                parent.previous = self.record(turn, freed, Details::MapIterationSucceeded { name, index: frame.index });
            }
        }
        frame.phase = Phase::Done { output };
        self.keep(frame);
        let Phase::Children(children) = &parent.phase else { return self.keep(parent) };
        if children.gathered_bytes > MAX_GATHERED_BYTES {
            return self.gathered_too_much(turn, parent);
        }
        if children.done == children.total {
            return self.finish_children(turn, parent);
        }
        if children.started < children.total
            && let Err(failure) = self.start_child(turn, &mut parent, freed)
        {
            return self.give_up(turn, parent, failure);
        }
        self.keep(parent);
    }

    fn gathered_too_much(&mut self, turn: &mut Turn<'_>, mut frame: Frame) {
        if let Phase::Children(children) = std::mem::replace(&mut frame.phase, Phase::Ready) {
            self.abort_children(turn, &children, true);
            frame.unfinished = Some(children);
        }
        let failure = Failure::too_large(&frame.state);
        self.fail(turn, frame, failure);
    }

    pub(super) fn finish_children(&mut self, turn: &mut Turn<'_>, mut frame: Frame) {
        let Phase::Children(children) = std::mem::replace(&mut frame.phase, Phase::Ready) else { return };
        let mut text = String::from("[");
        for id in children.base..children.base + children.total {
            if let Some(child) = self.frames.remove(&id) {
                if let Phase::Done { output } = &child.phase {
                    if text.len() > 1 {
                        text.push(',');
                    }
                    text.push_str(output.text());
                }
                self.fall(child);
            }
        }
        text.push(']');
        let details = if children.map.is_some() { Details::MapStateSucceeded } else { Details::ParallelStateSucceeded };
        self.record(turn, frame.previous, details);
        frame.unfinished = Some(children);
        let result = self.payload(text);
        self.complete(turn, frame, &result);
    }
}

/// What a Map goes over is no array.
pub(super) fn no_array(frame: &Frame, state: &State, map: &Map, value: &Value) -> Failure {
    match (&map.items, state.language) {
        (Items::Template(Template::Expr { field, expr }), _) => {
            let error = EvalError::unexpected(expr.source(), "array", value);
            Failure::invalid_path(frame, expr, field, &error)
        }
        (_, Language::Jsonata) => {
            Failure::evaluation(frame, None, &format!("Map state input must be an array but was: {value}"), false)
        }
        (items, Language::JsonPath) => {
            let source = if let Items::Path(path) = items { path.source() } else { "$" };
            // A path into the context object is shown as one into what it is of. Source: a recorded `TestState` of `$$`.
            let source = source.strip_prefix('$').filter(|rest| rest.starts_with('$')).unwrap_or(source);
            Failure::runtime(frame, &format!("Reference path \"{source}\" must point to array."))
        }
    }
}
