//! Executions that failed, timed out or were stopped, and went on.

use serde_json::{Value, json};

use super::{Bench, Event, Status, task};

/// The types of the events from the last redrive on.
fn since_redrive(bench: &Bench) -> Vec<&str> {
    let types = bench.types();
    let at = types.iter().rposition(|kind| *kind == "ExecutionRedriven").unwrap();
    types[at..].to_vec()
}

fn parallel(more: &Value) -> Value {
    let branch = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name}, "End": true}}});
    let mut state = json!({"Type": "Parallel", "Branches": [branch("a"), branch("b"), branch("c")], "End": true});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut states = json!({"P": state});
    if more.get("Catch").is_some() {
        states["After"] = json!({"Type": "Pass", "End": true});
    }
    json!({"StartAt": "P", "States": states})
}

#[test]
fn a_failed_task_is_scheduled_again_with_all_its_retries() {
    let retry =
        json!({"Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1}], "TimeoutSeconds": 9});
    let mut bench = Bench::start(&task(&retry), "{\"x\":1}");
    bench.fail("Boom");
    bench.tick();
    bench.fail("Boom");
    assert_eq!(bench.failure().0, "Boom");
    assert!(bench.execution.is_unfinished());
    bench.redrive();
    assert_eq!(bench.execution.redriven().count, 1);
    bench.fail("Boom");
    bench.tick();
    bench.succeed(&json!({"done": true}));
    assert_eq!(bench.output(), json!({"done": true}));
    assert_eq!(
        since_redrive(&bench),
        [
            "ExecutionRedriven",
            "TaskScheduled",
            "TaskStarted",
            "TaskFailed",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded",
            "TaskStateExited",
            "ExecutionSucceeded"
        ]
    );
    let redriven = bench.history.iter().find(|event| event["type"] == "ExecutionRedriven").unwrap();
    assert_eq!(redriven["executionRedrivenEventDetails"], json!({"redriveCount": 1}));
    let last = redriven["id"].as_u64().unwrap() - 1;
    assert_eq!(redriven["previousEventId"], json!(last));
    assert!(!bench.execution.is_unfinished());
    // It succeeded: there is nothing to redrive.
    let events = bench.history.len();
    bench.tell(Event::Redriven);
    assert_eq!(bench.history.len(), events);
}

#[test]
fn states_that_were_left_stay_left_and_variables_stay_set() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"kept.$": "$$.Execution.Input.x"}, "Result": {"from": "A"}, "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.from", "StringEquals": "Z", "Next": "A"}], "Default": "T"},
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "kept.$": "$kept", "count.$": "$$.Execution.RedriveCount"}, "End": true}
    }});
    let mut bench = Bench::start(&definition, "{\"x\":7}");
    assert_eq!(bench.tasks[0].2, json!({"FunctionName": "f", "kept": 7, "count": 0}));
    bench.fail("Boom");
    bench.redrive();
    assert_eq!(bench.tasks[0].2, json!({"FunctionName": "f", "kept": 7, "count": 1}));
    bench.fail("Boom");
    bench.redrive();
    assert_eq!(bench.tasks[0].2["count"], json!(2));
    bench.succeed(&json!(1));
    assert_eq!(bench.output(), json!(1));
    assert_eq!(bench.types().iter().filter(|kind| **kind == "PassStateEntered").count(), 1);
}

#[test]
fn only_branches_that_had_not_ended_run_again() {
    let mut bench = Bench::start(&parallel(&json!({})), "{}");
    bench.succeed(&json!("a"));
    bench.fail("Boom");
    assert_eq!(bench.tasks.len(), 0);
    bench.redrive();
    let names: Vec<_> = bench.tasks.iter().map(|(_, _, parameters)| parameters["FunctionName"].clone()).collect();
    assert_eq!(names, ["b", "c"]);
    bench.succeed(&json!("b"));
    bench.succeed(&json!("c"));
    assert_eq!(bench.output(), json!(["a", "b", "c"]));
    assert_eq!(bench.types().iter().filter(|kind| **kind == "ParallelStateStarted").count(), 1);
}

#[test]
fn what_a_catch_or_a_retry_dealt_with_is_not_run_again() {
    let caught = json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}]});
    let mut bench = Bench::start(&parallel(&caught), "{}");
    bench.fail("Boom");
    assert_eq!(bench.outcome.as_ref().unwrap().status, Status::Succeeded);
    assert!(!bench.execution.is_unfinished());
    let retried = json!({"Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]});
    let mut bench = Bench::start(&parallel(&retried), "{}");
    bench.succeed(&json!("a"));
    bench.fail("Boom");
    bench.tick();
    assert_eq!(bench.tasks.len(), 3);
    bench.fail("Boom");
    bench.redrive();
    assert_eq!(bench.tasks.len(), 3);
    for name in ["x", "y", "z"] {
        bench.succeed(&json!(name));
    }
    assert_eq!(bench.output(), json!(["x", "y", "z"]));
}

#[test]
fn a_map_goes_on_with_the_items_that_are_left() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": {"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "End": true}}}, "End": true}}});
    let mut bench = Bench::start(&definition, "[1,2,3]");
    bench.succeed(&json!("one"));
    bench.fail("Boom");
    bench.redrive();
    assert_eq!(bench.tasks.len(), 1);
    assert_eq!(bench.tasks[0].2["Payload"], json!(2));
    bench.succeed(&json!("two"));
    assert_eq!(bench.tasks[0].2["Payload"], json!(3));
    bench.succeed(&json!("three"));
    assert_eq!(bench.output(), json!(["one", "two", "three"]));
    assert_eq!(bench.types().iter().filter(|kind| **kind == "MapIterationStarted").count(), 3);
}

#[test]
fn an_item_that_could_not_be_started_is_started_again() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 1, "ItemSelector": {"v.$": "$$.Map.Item.Value.v"},
        "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true}}});
    let mut bench = Bench::start(&definition, "[{\"v\":1},{\"w\":2}]");
    assert_eq!(bench.failure().0, "States.Runtime");
    bench.redrive();
    assert_eq!(bench.failure().0, "States.Runtime");
    assert_eq!(bench.execution.redriven().count, 2 - 1);
}

#[test]
fn a_stopped_and_a_timed_out_execution_go_on() {
    let definition = json!({"TimeoutSeconds": 100, "StartAt": "W", "States": {
        "W": {"Type": "Wait", "Seconds": 500, "Next": "F"}, "F": {"Type": "Fail", "Error": "E"}}});
    let mut bench = Bench::start(&definition, "{}");
    bench.tell(Event::StopRequested { error: None, cause: None });
    assert!(bench.timers.is_empty());
    bench.redrive();
    assert_eq!(bench.timers.len(), 2);
    bench.tick();
    assert_eq!(bench.outcome.as_ref().unwrap().status, Status::TimedOut);
    assert_eq!(bench.now.0, 100_000);
    bench.redrive();
    bench.timers.retain(|(timer, _)| Some(*timer) != bench.execution.root.deadline);
    bench.tick();
    assert_eq!(bench.failure().0, "E");
    // A Fail state is entered again, and fails again.
    bench.redrive();
    assert_eq!(since_redrive(&bench), ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"]);
}

#[test]
fn a_state_with_too_much_data_runs_again_as_a_whole() {
    let mut bench = Bench::start(&parallel(&json!({})), "{}");
    let large = json!("x".repeat(200_000));
    for _ in 0..3 {
        bench.succeed(&large);
    }
    assert_eq!(bench.failure().0, "States.DataLimitExceeded");
    bench.redrive();
    assert_eq!(bench.tasks.len(), 3);
    let selected = json!({"ResultSelector": {"x.$": "$.absent"}});
    let mut bench = Bench::start(&parallel(&selected), "{}");
    for _ in 0..3 {
        bench.succeed(&json!(1));
    }
    assert_eq!(bench.failure().0, "States.Runtime");
    // All of its branches have ended: they do not run again.
    bench.redrive();
    assert_eq!((bench.tasks.len(), bench.failure().0.as_str()), (0, "States.Runtime"));
}
