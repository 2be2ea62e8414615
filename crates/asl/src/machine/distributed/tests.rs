//! Runs by hand: what the Map begins, what its run makes of items, what its end makes of the Map.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Child, Counts, Item, ItemEvaluator, MapRun, RedriveOrder, RunEnded, RunFailure};
use crate::definition::{Definition, MachineType};
use crate::info::{Info, Redrive};
use crate::machine::{Command, Event, Execution, Outcome, Status};
use crate::payload::Payload;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp(5000);

struct Started {
    definition: Arc<Definition>,
    execution: Execution,
    run: Option<MapRun>,
    order: Option<RedriveOrder>,
    /// Which attempt of the run is to stop.
    stopped: Option<u32>,
    history: Vec<Value>,
    outcome: Option<Outcome>,
}

/// Starts a machine whose state `M` is a Distributed Map with these fields.
fn start(fields: &Value, input: &Value) -> Started {
    let mut state = json!({
        "Type": "Map",
        "Label": "L",
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": "P",
            "States": { "P": { "Type": "Pass", "End": true } },
        },
        "End": true,
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        state[name] = value.clone();
    }
    let definition = json!({ "StartAt": "M", "States": { "M": state } }).to_string();
    let definition = Arc::new(Definition::parse(&definition, MachineType::Standard).expect("a valid definition"));
    let info = Info {
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:run".to_owned(),
        region: "us-east-1".to_owned(),
        state_machine_name: "m".to_owned(),
        input: Payload::inline(input.to_string()),
        ..Info::default()
    };
    let execution = Execution::new(Arc::clone(&definition), info, [1, 2]);
    let mut started =
        Started { definition, execution, run: None, order: None, stopped: None, history: Vec::new(), outcome: None };
    started.tell(Event::Started);
    started
}

impl Started {
    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.execution.handle(NOW, event, &mut out);
        for command in out {
            match command {
                Command::Record(event) => self.history.push(event.to_json(true)),
                Command::StartMapRun(run) => self.run = Some(*run),
                Command::RedriveMapRun { order, .. } => self.order = Some(order),
                Command::StopMapRun { redrives, .. } => self.stopped = Some(redrives),
                Command::Finish(outcome) => self.outcome = Some(outcome),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The run as it is after having been stored.
    fn run(&self) -> (MapRun, ItemEvaluator) {
        let stored = serde_json::to_string(self.run.as_ref().expect("a run was started")).unwrap();
        let run: MapRun = serde_json::from_str(&stored).unwrap();
        let bench =
            ItemEvaluator::new(&self.definition, Arc::clone(self.execution.info()), &run).expect("the Map is there");
        (run, bench)
    }

    fn types(&self) -> Vec<&str> {
        self.history.iter().filter_map(|event| event["type"].as_str()).collect()
    }
}

fn items(values: &[Value]) -> VecDeque<Item> {
    values.iter().map(|value| Item { value: value.clone(), ..Item::default() }).collect()
}

fn inputs(children: &[Child]) -> Vec<&str> {
    children.iter().map(|child| child.input.as_str()).collect()
}

#[test]
fn a_map_waits_for_its_run() {
    let fields = json!({ "ResultPath": "$.r", "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "M" }] });
    let mut started = start(&json!({ "ItemsPath": "$.l", "ResultPath": "$.r" }), &json!({ "l": [1, 2] }));
    let (run, _) = started.run();
    assert!(run.arn.starts_with("arn:aws:states:us-east-1:000000000000:mapRun:m/L:"), "{}", run.arn);
    assert_eq!(started.history[2]["mapStateStartedEventDetails"], json!({ "length": 2 }));
    assert_eq!(started.history[3]["mapRunStartedEventDetails"], json!({ "mapRunArn": run.arn }));
    let ended = RunEnded::Succeeded { output: "[3,4]".to_owned() };
    started.tell(Event::MapRunEnded { task: run.task, ended: ended.clone() });
    assert_eq!(started.outcome.as_ref().unwrap().output.as_ref().unwrap().text(), r#"{"l":[1,2],"r":[3,4]}"#);
    assert_eq!(started.types()[4..], ["MapRunSucceeded", "MapStateSucceeded", "MapStateExited", "ExecutionSucceeded"]);
    let links: Vec<_> = started.history[4..].iter().map(|event| event["previousEventId"].as_u64().unwrap()).collect();
    assert_eq!(links, [4, 5, 5, 7]);

    let mut started = start(&fields, &json!([]));
    let first = started.run().0;
    let failure = RunFailure { error: Some("E".to_owned()), cause: Some("why".to_owned()) };
    started.tell(Event::MapRunEnded { task: first.task, ended: RunEnded::Failed(failure) });
    // Caught; the next run is another one, and the first one's end is no news any more.
    assert_eq!(started.history[4]["mapRunFailedEventDetails"], json!({ "error": "E", "cause": "why" }));
    started.tell(Event::MapRunEnded { task: first.task, ended });
    assert!(started.outcome.is_some() || started.run().0.arn != first.arn);
}

#[test]
fn items_become_inputs_one_by_one_or_in_batches() {
    let selector = json!({ "i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "k.$": "$.k" });
    let started = start(&json!({ "ItemsPath": "$.l", "ItemSelector": selector }), &json!({ "l": [], "k": 1 }));
    let (mut run, mut bench) = started.run();
    let mut queue = items(&[json!("a"), json!("b"), json!("c")]);
    let children = run.start(&mut bench, NOW, &mut queue, false, 2);
    assert_eq!(inputs(&children), [r#"{"i":0,"v":"a","k":1}"#, r#"{"i":1,"v":"b","k":1}"#]);
    let (mut again, mut bench) = started.run();
    let same = again.start(&mut bench, NOW, &mut items(&[json!("a"), json!("b"), json!("c")]), false, 2);
    assert_eq!(children, same, "the same items always make the same children");
    let rest = run.start(&mut bench, NOW, &mut queue, true, 2);
    assert_eq!((inputs(&rest), run.progress.exhausted), (vec![r#"{"i":2,"v":"c","k":1}"#], true));

    let batcher = json!({ "ItemBatcher": { "MaxItemsPerBatch": 2, "BatchInput": { "k": 1 } } });
    let started = start(&batcher, &json!([]));
    let (mut run, mut bench) = started.run();
    let mut queue = items(&[json!(1), json!(2), json!(3)]);
    let children = run.start(&mut bench, NOW, &mut queue, false, 10);
    assert_eq!(inputs(&children), [r#"{"BatchInput":{"k":1},"Items":[1,2]}"#]);
    assert_eq!((queue.len(), run.progress.items_taken), (1, 2));
    let children = run.start(&mut bench, NOW, &mut queue, true, 10);
    assert_eq!((inputs(&children), children[0].items), (vec![r#"{"BatchInput":{"k":1},"Items":[3]}"#], 1));
}

#[test]
fn a_window_of_children_runs() {
    let started = start(&json!({ "MaxConcurrency": 2, "ToleratedFailurePercentage": 50 }), &json!([1, 2, 3, 4]));
    let (mut run, mut bench) = started.run();
    let mut queue = items(&[json!(1), json!(2), json!(3), json!(4)]);
    assert_eq!(run.start(&mut bench, NOW, &mut queue, true, 10).len(), 2);
    assert_eq!((run.room(), run.is_drained()), (0, false));
    run.child_ended(Status::Failed, 1);
    run.child_ended(Status::TimedOut, 1);
    assert_eq!(run.start(&mut bench, NOW, &mut queue, true, 10).len(), 2);
    assert!(run.progress.exhausted && !run.ends(), "half of them may fail");
    run.child_ended(Status::Failed, 1);
    assert_eq!(
        run.failure.clone().unwrap().error.as_deref(),
        Some("States.ExceedToleratedFailureThreshold"),
        "but no more"
    );
    run.child_ended(Status::Aborted, 1);
    assert!(run.is_drained());
    assert_eq!(run.progress.items.total(), 4);
}

#[test]
fn a_map_within_branches_sees_what_is_around_it() {
    let inner = json!({
        "Type": "Map",
        "ItemsPath": "$.l",
        "ItemSelector": { "v.$": "$$.Map.Item.Value", "x.$": "$x" },
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS" },
            "StartAt": "P",
            "States": { "P": { "Type": "Succeed" } },
        },
        "End": true,
    });
    let definition = json!({
        "StartAt": "A",
        "States": {
            "A": { "Type": "Pass", "Assign": { "x": 7 }, "Next": "B" },
            "B": {
                "Type": "Parallel",
                "Branches": [
                    { "StartAt": "W", "States": { "W": { "Type": "Wait", "Seconds": 9, "End": true } } },
                    { "StartAt": "M", "States": { "M": inner } },
                ],
                "End": true,
            },
        },
    });
    let definition = Arc::new(Definition::parse(&definition.to_string(), MachineType::Standard).unwrap());
    let info = Info { input: Payload::inline(r#"{"l":[1]}"#.to_owned()), ..Info::default() };
    let mut execution = Execution::new(Arc::clone(&definition), info, [1, 2]);
    let mut out = Vec::new();
    execution.handle(NOW, Event::Started, &mut out);
    let run = out.iter().find_map(|command| match command {
        Command::StartMapRun(run) => Some(MapRun::clone(run)),
        _ => None,
    });
    let mut run = run.expect("a run was started");
    let mut bench = ItemEvaluator::new(&definition, Arc::clone(execution.info()), &run).unwrap();
    let children = run.start(&mut bench, NOW, &mut items(&[json!("i")]), true, 10);
    assert_eq!(inputs(&children), [r#"{"v":"i","x":7}"#]);
    assert!(run.express && run.label.len() == 36, "{}", run.label);

    let mut out = Vec::new();
    execution.handle(NOW, Event::StopRequested { error: None, cause: None }, &mut out);
    assert!(
        out.iter().any(|command| matches!(command, Command::StopMapRun { map_run_arn, .. } if *map_run_arn == run.arn))
    );
}

fn failed(error: &str) -> RunEnded {
    RunEnded::Failed(RunFailure { error: Some(error.to_owned()), cause: None })
}

#[test]
fn a_redrive_goes_on_with_the_run_that_did_not_succeed() {
    let mut started = start(&json!({}), &json!([1]));
    let run = started.run().0;
    started.tell(Event::MapRunEnded { task: run.task, ended: failed("E") });
    started.tell(Event::Redriven);
    let first = started.order.unwrap();
    assert_eq!(first.redrive, Redrive { count: 1, at: Some(NOW) });
    assert_eq!(
        started.types()[4..],
        ["MapRunFailed", "MapStateFailed", "ExecutionFailed", "ExecutionRedriven", "MapRunRedriven"]
    );
    let told = started.history.last().unwrap();
    assert_eq!(told["mapRunRedrivenEventDetails"], json!({ "mapRunArn": run.arn, "redriveCount": 1 }));
    assert_eq!((&told["id"], &told["previousEventId"]), (&json!(9), &json!(8)));
    // What the first attempt still has to say is no news.
    started.tell(Event::MapRunEnded { task: run.task, ended: failed("late") });
    assert_eq!(started.history.len(), 9);
    // Stopped in that attempt, and again before it could begin.
    let stop = || Event::StopRequested { error: None, cause: None };
    started.tell(stop());
    assert_eq!((started.stopped, started.types().last()), (Some(1), Some(&"ExecutionAborted")));
    started.tell(Event::Redriven);
    started.tell(stop());
    started.tell(Event::Redriven);
    let third = started.order.unwrap();
    assert_eq!((third.redrive.count, started.stopped), (3, Some(2)));
    started.tell(Event::MapRunEnded { task: third.task, ended: RunEnded::Succeeded { output: "[1]".to_owned() } });
    assert_eq!(started.outcome.as_ref().unwrap().output.as_ref().unwrap().text(), "[1]");
    assert_eq!(started.run().0.arn, run.arn, "no other run was begun");
}

#[test]
fn another_run_begins_where_the_first_one_cannot_go_on() {
    for error in ["States.Runtime", "States.DataLimitExceeded"] {
        let mut started = start(&json!({}), &json!([1]));
        let run = started.run().0;
        started.tell(Event::MapRunEnded { task: run.task, ended: failed(error) });
        started.tell(Event::Redriven);
        assert!(started.order.is_none() && started.run().0.arn != run.arn, "{error}");
    }
    // It succeeded, and its result did not fit.
    let mut started = start(&json!({ "OutputPath": "$.none" }), &json!([1]));
    let run = started.run().0;
    started.tell(Event::MapRunEnded { task: run.task, ended: RunEnded::Succeeded { output: "[1]".to_owned() } });
    started.tell(Event::Redriven);
    assert!(started.order.is_none() && started.run().0.arn != run.arn);
}

#[test]
fn what_waits_for_a_redrive_is_no_failure_until_it_fails_again() {
    let started = start(&json!({ "MaxConcurrency": 2, "ToleratedFailureCount": 1 }), &json!([1, 2, 3, 4, 5]));
    let (mut run, mut bench) = started.run();
    let mut queue = items(&[json!(1), json!(2), json!(3), json!(4), json!(5)]);
    let mut ends = |run: &mut MapRun, status| {
        run.start(&mut bench, NOW, &mut queue, true, 1);
        run.child_ended(status, 1);
    };
    for status in [Status::Succeeded, Status::Failed, Status::TimedOut] {
        ends(&mut run, status);
    }
    assert!(run.is_drained());
    run.close(NOW);
    assert_eq!(run.status, Status::Failed);
    run.take_up(RedriveOrder { task: run.task, redrive: Redrive { count: 1, at: Some(NOW) } });
    let waiting = run.progress.waiting.clone().unwrap();
    assert_eq!(waiting.executions, Counts { failed: 1, timed_out: 1, ..Counts::default() });
    assert_eq!(
        (run.status, run.ends(), run.is_drained(), run.room(), run.room_to_redrive()),
        (Status::Running, false, false, 0, Some(2))
    );
    assert!(run.is_to_redrive(1, Status::Failed) && !run.is_to_redrive(0, Status::Succeeded));
    // The first one cannot be redriven and counts as it did; the second one runs.
    run.child_stays(Status::Failed, 1);
    run.child_redriven(Status::TimedOut, 1);
    run.redriven_up_to(3);
    assert_eq!((run.room_to_redrive(), run.room(), run.progress.not_redrivable.executions), (None, 1, 1));
    run.child_ended(Status::TimedOut, 1);
    assert!(run.ends(), "two have failed, and one is tolerated");
    run.close(NOW);
    // Stopped before any was looked at: all stay as they had ended.
    run.take_up(RedriveOrder { task: run.task, redrive: Redrive { count: 2, at: Some(NOW) } });
    run.abort();
    assert!(run.is_drained());
    run.close(NOW);
    let want = Counts { succeeded: 1, failed: 1, timed_out: 1, ..Counts::default() };
    assert_eq!((run.status, run.progress.executions, run.progress.waiting.is_none()), (Status::Aborted, want, true));
}
