//! An execution's spans, made of its events one after the other.

use std::collections::BTreeMap;

use asl::{Details, HistoryEvent, Info, StateType, TaskOf};
use service::trace::{Attribute, Span, TraceContext};

use super::span_id;
use crate::ExecutionArn;

/// Spans of one execution; Express ones, whose history has no bound, may have more, which are left out.
const MOST: usize = 20_000;
/// What a span of a state is not: an end of its own was never told.
const CUT: &str = "lakerun.cut_short";

/// The spans so far.
#[derive(Default)]
pub struct Spans {
    execution: String,
    trace: u128,
    /// Who began the execution.
    by: u64,
    info: Vec<(&'static str, Attribute)>,
    name: String,
    all: Vec<Open>,
    /// By event, the span that comes after it is within.
    within: BTreeMap<u64, usize>,
    /// Where the spans begin of the time that it runs now; what was there before its last redrive has been told.
    from: usize,
    redrives: u64,
    /// By a span from before the redrive, the one that goes on with it.
    again: BTreeMap<usize, usize>,
}

struct Open {
    span: Span,
    what: What,
    parent: Option<usize>,
    is_over: bool,
    /// It did not go well: a redrive may go on with it.
    is_cut: bool,
}

/// How a span ends.
#[derive(Clone, Copy)]
enum End<'a> {
    /// Also what was caught meanwhile is over.
    Well,
    Failed(&'a str),
    /// Nobody waits for it any more.
    Cut,
}

impl Open {
    /// Once.
    fn end(&mut self, at_ms: i64, end: End<'_>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.span.ended_ms = at_ms.max(self.span.started_ms);
        match end {
            End::Well => self.span.error = None,
            End::Failed(error) => {
                self.span.error.get_or_insert_with(|| error.to_owned());
            }
            End::Cut => self.span.attributes.push((CUT, Attribute::Flag(true))),
        }
        self.is_cut = !matches!(end, End::Well);
    }
}

#[derive(Clone, PartialEq)]
enum What {
    Execution,
    /// With whether others are within it.
    State(String, bool),
    Iteration(String, u64),
    Call,
}

impl Spans {
    /// Of an execution that is traced; of another one there are none.
    pub fn new(arn: &ExecutionArn, info: &Info) -> Self {
        let Some(by) = info.trace.as_deref().and_then(TraceContext::parse) else { return Self::default() };
        let machine = info.state_machine_arn.split('/').next().unwrap_or_default();
        let mut attributes = vec![
            ("aws.step_functions.state_machine.arn", text(machine)),
            ("lakerun.execution.arn", text(arn.as_str())),
            ("cloud.account.id", text(arn.account())),
            ("cloud.region", text(arn.region())),
        ];
        if let Some(of) = &info.map_run {
            attributes.push(("lakerun.map_run.arn", text(&of.map_run_arn)));
        }
        Self {
            execution: arn.as_str().to_owned(),
            trace: by.trace,
            by: by.span,
            info: attributes,
            name: info.state_machine_name.clone(),
            ..Self::default()
        }
    }

    /// Takes the next event.
    pub fn add(&mut self, event: &HistoryEvent) {
        if self.trace == 0 {
            return;
        }
        let within = self.taken(event);
        if let Some(within) = within {
            self.within.insert(event.id, within);
        }
    }

    /// All of the last time that it ran.
    pub fn finish(self) -> Vec<Span> {
        self.all.into_iter().skip(self.from).map(|open| open.span).collect()
    }

    /// Where what comes after the event is.
    fn taken(&mut self, event: &HistoryEvent) -> Option<usize> {
        match &event.details {
            Details::ExecutionStarted { .. } => return self.begin(event, 0),
            Details::ExecutionRedriven { count } => return self.redriven(event, u64::from(*count)),
            _ => {}
        }
        let (here, at_ms) = (self.here(event.previous_event_id, event.at.0)?, event.at.0);
        match &event.details {
            Details::StateEntered { kind, name, .. } => self.entered(event, here, *kind, name),
            Details::StateExited { kind, name, .. } => {
                let what = What::State(name.clone(), is_composite(*kind));
                let at = self.enclosing(here, |open| open.what == what);
                if let Some(at) = at.filter(|_| is_composite(*kind)) {
                    self.cut_within(at, at_ms);
                }
                self.close(here, at, at_ms, End::Well)
            }
            Details::StateAborted { .. } => {
                let at = self.enclosing(here, |open| matches!(open.what, What::State(..)));
                self.close(here, at, at_ms, End::Cut)
            }
            Details::MapIterationStarted { name, index } => self.iteration(event, here, name, *index),
            Details::MapIterationSucceeded { name, index } => self.iterated(here, event, (name, *index), End::Well),
            Details::MapIterationFailed { name, index } => {
                self.iterated(here, event, (name, *index), End::Failed("States.TaskFailed"))
            }
            Details::MapIterationAborted { name, index } => self.iterated(here, event, (name, *index), End::Cut),
            Details::EvaluationFailed { error, .. } => {
                self.failed(here, error.as_deref().unwrap_or("States.QueryEvaluationError"))
            }
            Details::MapRunFailed { error, .. } => self.failed(here, error.as_deref().unwrap_or("States.TaskFailed")),
            Details::MapStateFailed | Details::ParallelStateFailed => {
                let Some(at) = self.enclosing(here, |open| matches!(open.what, What::State(_, true))) else {
                    return Some(here);
                };
                self.end_between(here, at, at_ms, End::Failed("States.TaskFailed"));
                self.cut_within(at, at_ms);
                self.failed(at, "States.TaskFailed")
            }
            Details::ExecutionSucceeded { .. } => self.end(here, at_ms, ("SUCCEEDED", None)),
            Details::ExecutionFailed { error, .. } => {
                self.end(here, at_ms, ("FAILED", Some(error.as_deref().unwrap_or("States.Runtime"))))
            }
            Details::ExecutionAborted { error, .. } => {
                self.end(here, at_ms, ("ABORTED", Some(error.as_deref().unwrap_or("Aborted"))))
            }
            Details::ExecutionTimedOut => self.end(here, at_ms, ("TIMED_OUT", Some("States.Timeout"))),
            _ => self.of_call(event, here),
        }
    }

    /// The same of what is about a call; all else changes nothing.
    fn of_call(&mut self, event: &HistoryEvent, here: usize) -> Option<usize> {
        let at_ms = event.at.0;
        match &event.details {
            Details::LambdaFunctionScheduled { resource, .. } => {
                let attributes = vec![("faas.invoked_name", text(resource)), ("faas.invoked_provider", text("aws"))];
                self.open(event, here, What::Call, "Lambda.Invoke".to_owned(), attributes)
            }
            Details::ActivityScheduled { resource, .. } => {
                let attributes = vec![("aws.step_functions.activity.arn", text(resource))];
                self.open(event, here, What::Call, "Activity".to_owned(), attributes)
            }
            Details::TaskScheduled { of, .. } => {
                let (service, method) = called(of);
                let attributes =
                    vec![("rpc.system", text("aws-api")), ("rpc.service", text(service)), ("rpc.method", text(method))];
                self.open(event, here, What::Call, format!("{service}.{method}"), attributes)
            }
            // The call was told this one's number.
            Details::LambdaFunctionStarted | Details::TaskStarted { .. } => {
                let id = span_id(&self.execution, "event", event.id);
                if let Some(open) = self.all.get_mut(here).filter(|open| open.what == What::Call) {
                    open.span.at.span = id;
                }
                Some(here)
            }
            Details::ActivityStarted { .. } => self.happened(here, at_ms, "started"),
            Details::TaskSubmitted { .. } => self.happened(here, at_ms, "submitted"),
            Details::LambdaFunctionSucceeded { .. }
            | Details::ActivitySucceeded { .. }
            | Details::TaskSucceeded { .. } => self.answered(here, at_ms, None),
            Details::LambdaFunctionFailed { error, .. }
            | Details::ActivityFailed { error, .. }
            | Details::TaskFailed { error, .. } => {
                self.answered(here, at_ms, Some(error.as_deref().unwrap_or("States.TaskFailed")))
            }
            Details::LambdaFunctionTimedOut { error, .. }
            | Details::ActivityTimedOut { error, .. }
            | Details::TaskTimedOut { error, .. } => {
                self.answered(here, at_ms, Some(error.as_deref().unwrap_or("States.Timeout")))
            }
            _ => Some(here),
        }
    }

    fn entered(&mut self, event: &HistoryEvent, here: usize, kind: StateType, name: &str) -> Option<usize> {
        let attributes = vec![("lakerun.state.name", text(name)), ("lakerun.state.type", text(kind.name()))];
        let what = What::State(name.to_owned(), is_composite(kind));
        self.open(event, here, what, name.to_owned(), attributes)
    }

    fn iteration(&mut self, event: &HistoryEvent, here: usize, name: &str, index: u64) -> Option<usize> {
        let shown = i64::try_from(index).unwrap_or(i64::MAX);
        let attributes = vec![("lakerun.state.name", text(name)), ("lakerun.map.index", Attribute::Number(shown))];
        self.open(event, here, What::Iteration(name.to_owned(), index), format!("{name} #{index}"), attributes)
    }

    /// The execution's own span, of the time that it runs now.
    fn begin(&mut self, event: &HistoryEvent, redrives: u64) -> Option<usize> {
        let mut attributes = self.info.clone();
        let parent = if redrives == 0 { self.by } else { span_id(&self.execution, "execution", 0) };
        if redrives > 0 {
            let count = i64::try_from(redrives).unwrap_or(i64::MAX);
            attributes.push(("lakerun.execution.redrive_count", Attribute::Number(count)));
        }
        let at = TraceContext { trace: self.trace, span: span_id(&self.execution, "execution", redrives) };
        let span = Span {
            at,
            parent,
            name: self.name.clone(),
            calls: false,
            started_ms: event.at.0,
            ended_ms: event.at.0,
            attributes,
            error: None,
            events: Vec::new(),
        };
        self.push(span, What::Execution, None)
    }

    /// What was before has been told when it ended.
    fn redriven(&mut self, event: &HistoryEvent, count: u64) -> Option<usize> {
        (self.from, self.redrives) = (self.all.len(), count);
        self.again.clear();
        self.begin(event, count)
    }

    fn push(&mut self, span: Span, what: What, parent: Option<usize>) -> Option<usize> {
        if self.all.len() - self.from >= MOST {
            return parent;
        }
        self.all.push(Open { span, what, parent, is_over: false, is_cut: false });
        Some(self.all.len() - 1)
    }

    fn open(
        &mut self,
        event: &HistoryEvent,
        within: usize,
        what: What,
        name: String,
        attributes: Vec<(&'static str, Attribute)>,
    ) -> Option<usize> {
        let span = Span {
            at: TraceContext { trace: self.trace, span: span_id(&self.execution, "event", event.id) },
            parent: self.all.get(within)?.span.at.span,
            name,
            calls: what == What::Call,
            started_ms: event.at.0,
            ended_ms: event.at.0,
            attributes,
            error: None,
            events: Vec::new(),
        };
        self.push(span, what, Some(within))
    }

    /// Where an event is that comes after the one of that number.
    fn here(&mut self, previous: u64, at_ms: i64) -> Option<usize> {
        match self.within.get(&previous) {
            Some(at) => self.current(*at, at_ms),
            None => Some(self.from).filter(|from| *from < self.all.len()),
        }
    }

    /// The span itself, or the one that goes on with what the execution's end before the last redrive had cut short.
    fn current(&mut self, at: usize, at_ms: i64) -> Option<usize> {
        if at >= self.from {
            return Some(at);
        }
        if let Some(again) = self.again.get(&at) {
            return Some(*again);
        }
        let (parent, what) = (self.all[at].parent, self.all[at].what.clone());
        let Some(parent) = parent else { return Some(self.from) };
        let within = self.current(parent, at_ms)?;
        if !self.all[at].is_cut || what == What::Call {
            return Some(within);
        }
        let before = &self.all[at].span;
        let span = Span {
            at: TraceContext {
                trace: self.trace,
                span: span_id(&self.execution, &format!("again {at}"), self.redrives),
            },
            parent: self.all[within].span.at.span,
            started_ms: at_ms,
            ended_ms: at_ms,
            attributes: before.attributes.iter().filter(|(name, _)| *name != CUT).cloned().collect(),
            error: None,
            events: Vec::new(),
            ..before.clone()
        };
        let again = self.push(span, what, Some(within))?;
        self.again.insert(at, again);
        Some(again)
    }

    /// The nearest span around an event that is such a one and is not over.
    fn enclosing(&self, from: usize, wanted: impl Fn(&Open) -> bool) -> Option<usize> {
        let mut at = Some(from);
        while let Some(open) = at.and_then(|at| self.all.get(at)) {
            if !open.is_over && wanted(open) {
                return at;
            }
            at = open.parent;
        }
        None
    }

    /// Ends a span around an event, and what is between the two; what comes after it is around it.
    fn close(&mut self, here: usize, at: Option<usize>, at_ms: i64, end: End<'_>) -> Option<usize> {
        let Some(at) = at else { return Some(here) };
        self.end_between(here, at, at_ms, if let End::Well = end { End::Cut } else { end });
        self.all[at].end(at_ms, end);
        self.all[at].parent
    }

    /// Ends what is between an event and a span around it.
    fn end_between(&mut self, here: usize, around: usize, at_ms: i64, end: End<'_>) {
        let mut at = here;
        while at != around {
            self.all[at].end(at_ms, end);
            let Some(parent) = self.all[at].parent else { return };
            at = parent;
        }
    }

    /// Ends what is within a span: nobody waits for it any more.
    fn cut_within(&mut self, around: usize, at_ms: i64) {
        for at in around + 1..self.all.len() {
            let is_within = self.all[at].parent.is_some_and(|parent| {
                parent == around || (parent > around && self.all[parent].is_over && self.all[parent].is_cut)
            });
            if is_within {
                self.all[at].end(at_ms, End::Cut);
            }
        }
    }

    fn iterated(
        &mut self,
        here: usize,
        event: &HistoryEvent,
        (name, index): (&str, u64),
        end: End<'_>,
    ) -> Option<usize> {
        let what = What::Iteration(name.to_owned(), index);
        let at = self.enclosing(here, |open| open.what == what);
        self.close(here, at, event.at.0, end)
    }

    fn answered(&mut self, here: usize, at_ms: i64, error: Option<&str>) -> Option<usize> {
        let at = self.enclosing(here, |open| open.what == What::Call);
        let around = self.close(here, at, at_ms, error.map_or(End::Well, End::Failed))?;
        match error {
            // Until it is tried again, or caught.
            Some(error) => self.failed(around, error),
            None => Some(around),
        }
    }

    fn failed(&mut self, at: usize, error: &str) -> Option<usize> {
        self.all.get_mut(at)?.span.error = Some(error.to_owned());
        Some(at)
    }

    fn happened(&mut self, at: usize, at_ms: i64, what: &'static str) -> Option<usize> {
        self.all.get_mut(at)?.span.events.push((at_ms, what));
        Some(at)
    }

    /// Ends all that is not over.
    fn end(&mut self, here: usize, at_ms: i64, (status, error): (&str, Option<&str>)) -> Option<usize> {
        let mut at = Some(here);
        let mut around = Vec::new();
        while let Some(open) = at.and_then(|at| self.all.get(at)) {
            around.extend(at);
            at = open.parent;
        }
        for (at, open) in self.all.iter_mut().enumerate().skip(self.from).filter(|(_, open)| !open.is_over) {
            // Those that it failed in, and those that were beside them.
            let is_own = open.what == What::Execution || around.contains(&at);
            let end = match error {
                Some(error) if is_own => End::Failed(error),
                None if is_own => End::Well,
                _ => End::Cut,
            };
            open.end(at_ms, end);
        }
        let root = &mut self.all.get_mut(self.from)?.span;
        root.error = error.map(str::to_owned);
        root.attributes.push(("lakerun.execution.status", Attribute::Text(status.to_owned())));
        Some(self.from)
    }
}

fn is_composite(kind: StateType) -> bool {
    matches!(kind, StateType::Map | StateType::Parallel)
}

/// Service and operation: `aws-sdk:s3` and `getObject`, `states` and `startExecution.sync:2`, of which the pattern is no part.
fn called(of: &TaskOf) -> (&str, &str) {
    let service = of.resource_type.rsplit(':').next().unwrap_or_default();
    (service, of.resource.split('.').next().unwrap_or_default())
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

#[cfg(test)]
mod tests;
