//! Histories, and the spans that they become.

use asl::{Details, HistoryEvent, Info, Payload, StateType, TaskOf, Timestamp};

use super::Spans;
use crate::ExecutionArn;
use crate::traces::{begin, of_call, of_child};

fn arn() -> ExecutionArn {
    ExecutionArn::standard("000000000000", "us-east-1", "m", "e")
}

fn info() -> Info {
    let trace = Some(begin(&arn(), Timestamp(1_700_000_000_000), None));
    Info { execution_arn: arn().to_string(), state_machine_name: "m".to_owned(), trace, ..Info::default() }
}

fn text() -> Payload {
    Payload::inline("{}".to_owned())
}

fn entered(kind: StateType, name: &str) -> Details {
    Details::StateEntered { kind, name: name.to_owned(), input: text() }
}

fn exited(kind: StateType, name: &str) -> Details {
    Details::StateExited { kind, name: name.to_owned(), output: text(), assigned: [].into_iter().collect() }
}

fn of() -> TaskOf {
    TaskOf { resource_type: "aws-sdk:s3".to_owned(), resource: "getObject".to_owned() }
}

fn scheduled() -> Details {
    Details::TaskScheduled {
        of: of(),
        region: "r".to_owned(),
        parameters: text(),
        timeout: None,
        heartbeat: None,
        role_arn: None,
    }
}

fn failed() -> Details {
    Details::TaskFailed { of: of(), error: Some("S3.NoSuchKey".to_owned()), cause: Some("a secret".to_owned()) }
}

fn succeeded() -> Details {
    Details::TaskSucceeded { of: of(), output: text() }
}

fn started() -> Details {
    Details::ExecutionStarted { input: text(), role_arn: String::new() }
}

/// The events, each with the number of the one before it; they are ten milliseconds apart.
fn spans(events: Vec<(u64, Details)>) -> Vec<service::trace::Span> {
    let mut spans = Spans::new(&arn(), &info());
    for (id, (previous, details)) in (1..).zip(events) {
        let at = Timestamp(i64::try_from(id).unwrap() * 10);
        spans.add(&HistoryEvent { id, previous_event_id: previous, at, details });
    }
    spans.finish()
}

/// One line a span: its name, what it is within, its time, its error, and whether it was cut short.
fn shown(events: Vec<(u64, Details)>) -> Vec<String> {
    let all = spans(events);
    let name = |id: u64| all.iter().find(|span| span.at.span == id).map_or("-", |span| span.name.as_str());
    let line = |span: &service::trace::Span| {
        let cut = if span.attributes.iter().any(|(name, _)| *name == super::CUT) { " cut" } else { "" };
        let error = span.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default();
        let within = name(span.parent);
        format!("{} in {within} {}-{}{error}{cut}", span.name, span.started_ms, span.ended_ms)
    };
    all.iter().map(line).collect()
}

#[test]
fn a_state_is_a_span_and_each_of_its_calls() {
    let task = || StateType::Task;
    let found = shown(vec![
        (0, started()),
        (1, entered(StateType::Pass, "P")),
        (2, exited(StateType::Pass, "P")),
        (3, entered(task(), "T")),
        (4, scheduled()),
        (5, Details::TaskStarted { of: of() }),
        (6, failed()),
        (7, scheduled()),
        (8, Details::TaskStarted { of: of() }),
        (9, succeeded()),
        (10, exited(task(), "T")),
        (11, Details::ExecutionSucceeded { output: text() }),
    ]);
    assert_eq!(
        found,
        [
            "m in - 10-120",
            "P in m 20-30",
            "T in m 40-110",
            "s3.getObject in T 50-70 S3.NoSuchKey",
            "s3.getObject in T 80-100",
        ]
    );
}

#[test]
fn what_failed_is_told_and_what_was_beside_it_is_cut_short() {
    let found = shown(vec![
        (0, started()),
        (1, entered(StateType::Parallel, "All")),
        (2, Details::ParallelStateStarted),
        (3, entered(StateType::Task, "A")),
        (4, scheduled()),
        (5, Details::TaskStarted { of: of() }),
        (3, entered(StateType::Wait, "B")),
        (6, failed()),
        (8, Details::ParallelStateFailed),
        (9, Details::ExecutionFailed { error: Some("S3.NoSuchKey".to_owned()), cause: None }),
    ]);
    assert_eq!(
        found,
        [
            "m in - 10-100 S3.NoSuchKey",
            "All in m 20-100 States.TaskFailed",
            "A in All 40-90 S3.NoSuchKey",
            "s3.getObject in A 50-80 S3.NoSuchKey",
            "B in All 70-90 cut",
        ]
    );
}

#[test]
fn what_is_caught_went_well() {
    let found = shown(vec![
        (0, started()),
        (1, entered(StateType::Map, "M")),
        (2, Details::MapStateStarted { length: 2 }),
        (3, Details::MapIterationStarted { name: "M".to_owned(), index: 0 }),
        (3, Details::MapIterationStarted { name: "M".to_owned(), index: 1 }),
        (4, entered(StateType::Task, "T")),
        (6, scheduled()),
        (5, entered(StateType::Task, "T")),
        (8, scheduled()),
        (7, failed()),
        (10, Details::MapIterationFailed { name: "M".to_owned(), index: 0 }),
        (9, Details::MapIterationAborted { name: "M".to_owned(), index: 1 }),
        (12, Details::MapStateFailed),
        (13, exited(StateType::Map, "M")),
        (14, Details::ExecutionSucceeded { output: text() }),
    ]);
    assert_eq!(
        found,
        [
            "m in - 10-150",
            "M in m 20-140",
            "M #0 in M 40-110 States.TaskFailed",
            "M #1 in M 50-120 cut",
            "T in M #0 60-110 S3.NoSuchKey",
            "s3.getObject in T 70-100 S3.NoSuchKey",
            "T in M #1 80-120 cut",
            "s3.getObject in T 90-120 cut",
        ]
    );
}

#[test]
fn a_redrive_goes_on_with_what_failed() {
    let found = shown(vec![
        (0, started()),
        (1, entered(StateType::Task, "T")),
        (2, scheduled()),
        (3, failed()),
        (4, Details::ExecutionFailed { error: None, cause: None }),
        (5, Details::ExecutionRedriven { count: 1 }),
        (4, scheduled()),
        (7, succeeded()),
        (8, exited(StateType::Task, "T")),
        (9, entered(StateType::Pass, "P")),
        (10, exited(StateType::Pass, "P")),
        (11, Details::ExecutionSucceeded { output: text() }),
    ]);
    assert_eq!(found, ["m in - 60-120", "T in m 70-90", "s3.getObject in T 70-80", "P in m 100-110"]);
}

#[test]
fn a_call_is_told_the_span_that_it_becomes() {
    let all = spans(vec![
        (0, started()),
        (1, entered(StateType::Task, "T")),
        (2, scheduled()),
        (3, Details::TaskStarted { of: of() }),
        (4, succeeded()),
    ]);
    assert_eq!(of_call(&info(), 4), Some(all[2].at));
    let child = of_child(&info()).unwrap();
    assert_eq!(service::trace::TraceContext::parse(&child), Some(all[0].at));
    // Two of a name have different traces, and a part of another's trace has that one.
    let later = begin(&arn(), Timestamp(1_700_000_001_000), None);
    assert!(later.starts_with("00-6553f101") && Some(&later) != info().trace.as_ref(), "{later}");
    assert_eq!(begin(&arn(), Timestamp(0), Some(all[2].at)), all[2].at.to_string());
}

#[test]
fn of_what_is_not_traced_there_are_none() {
    let mut spans = Spans::new(&arn(), &Info { trace: None, ..info() });
    spans.add(&HistoryEvent { id: 1, previous_event_id: 0, at: Timestamp(1), details: started() });
    assert!(spans.finish().is_empty());
}

#[test]
fn an_execution_without_bound_has_a_bounded_number() {
    let mut events = vec![(0, started())];
    for n in 0..super::MOST as u64 {
        events.push((2 * n + 1, entered(StateType::Pass, "P")));
        events.push((2 * n + 2, exited(StateType::Pass, "P")));
    }
    events.push((events.len() as u64, Details::ExecutionSucceeded { output: text() }));
    let all = spans(events);
    assert_eq!(all.len(), super::MOST);
    assert!(all.iter().all(|span| span.error.is_none() && span.parent != span.at.span));
}
