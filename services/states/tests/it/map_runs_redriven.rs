//! Redrive of executions whose Distributed Map did not succeed: the same run goes on.

use serde_json::{Value, json};

use crate::map_runs::{calling, map, map_run, reader, writer};
use crate::world::{World, text};

/// Children that ended so, with the numbers of their redrives.
async fn children(world: &World, run: &Value, status: &str) -> Vec<(String, u64)> {
    let listed = world.call("listExecutions", json!({ "MapRunArn": run["MapRunArn"], "StatusFilter": status })).await;
    let listed = listed["Executions"].as_array().unwrap().iter();
    listed.map(|child| (text(&child["ExecutionArn"]), child["RedriveCount"].as_u64().unwrap_or(0))).collect()
}

async fn redrive(world: &World, execution: &str) -> Value {
    world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
    world.ended(execution).await
}

/// Until the run has that status.
async fn run_with(world: &World, execution: &str, is: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..120_000 {
        let run = map_run(world, execution).await;
        if is(&run) {
            return run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{}", map_run(world, execution).await);
}

fn counts(run: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| run["ExecutionCounts"][name].as_u64().unwrap_or(u64::MAX)).collect()
}

fn fail(world: &World, times: u32) {
    *world.fakes.failures.lock().unwrap() = times;
}

#[tokio::test]
async fn children_that_did_not_succeed_go_on_in_the_same_run() {
    let world = World::new();
    fail(&world, 2);
    let machine = calling(&json!({ "MaxConcurrency": 1, "ToleratedFailureCount": 1, "ResultWriter": writer() }));
    let execution = world.start(&machine, &json!([0, 1, 2, 3])).await;
    assert_eq!(world.ended(&execution).await["Error"], "States.ExceedToleratedFailureThreshold");
    let before = map_run(&world, &execution).await;
    let names = ["Pending", "Succeeded", "Failed", "Aborted", "Total", "PendingRedrive", "FailuresNotRedrivable"];
    assert_eq!(counts(&before, &names), [2, 0, 2, 0, 4, 0, 0]);
    let failed = children(&world, &before, "FAILED").await;
    assert_eq!(failed.len(), 2);

    let world = world.restarted();
    let ended = redrive(&world, &execution).await;
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    let history = world.call("getExecutionHistory", json!({ "ExecutionArn": execution })).await;
    let events = history["Events"].as_array().unwrap();
    let at = events.iter().position(|event| event["Type"] == "MapRunRedriven").unwrap();
    assert_eq!(events[at - 1]["Type"], "ExecutionRedriven");
    assert_eq!(events[at]["PreviousEventId"], events[at - 1]["Id"]);
    assert_eq!(
        events[at]["MapRunRedrivenEventDetails"],
        json!({ "MapRunArn": before["MapRunArn"], "RedriveCount": 1 })
    );
    assert_eq!(events.iter().filter(|event| event["Type"] == "MapRunStarted").count(), 1);
    assert_eq!(events[at + 1]["Type"], "MapRunSucceeded");

    let runs = world.call("listMapRuns", json!({ "ExecutionArn": execution })).await;
    assert_eq!(runs["MapRuns"].as_array().unwrap().len(), 1);
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["MapRunArn"], &run["RedriveCount"]), (&before["MapRunArn"], &json!(1)));
    assert_eq!((&run["StartDate"], run["RedriveDate"].is_null()), (&before["StartDate"], false));
    assert_eq!(counts(&run, &names), [0, 4, 0, 0, 4, 0, 0]);
    assert_eq!(run["ItemCounts"]["ResultsWritten"], json!(4));
    // The same executions, in which the redrive can be seen.
    let mut redriven = children(&world, &run, "SUCCEEDED").await;
    redriven.retain(|(_, count)| *count == 1);
    assert_eq!(
        redriven.iter().map(|(arn, _)| arn).collect::<Vec<_>>(),
        failed.iter().map(|(arn, _)| arn).collect::<Vec<_>>()
    );
    let child = world.history(&failed[0].0).await;
    assert_eq!(
        child[child.len() - 7..child.len() - 4],
        ["ExecutionFailed", "ExecutionRedriven", "LambdaFunctionScheduled"]
    );
    for (filter, count) in [("REDRIVEN", 2), ("NOT_REDRIVEN", 2)] {
        let listed =
            world.call("listExecutions", json!({ "MapRunArn": run["MapRunArn"], "RedriveFilter": filter })).await;
        assert_eq!(listed["Executions"].as_array().unwrap().len(), count, "{filter}");
    }
    // The manifest is of all of them.
    let id = text(&run["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    let manifest = world.fakes.json("out", &format!("results/{id}/manifest.json"));
    assert_eq!((&manifest["ResultFiles"]["FAILED"], &manifest["ResultFiles"]["PENDING"]), (&json!([]), &json!([])));
    let written = world.fakes.json("out", &format!("results/{id}/SUCCEEDED_0.json"));
    let written = written.as_array().unwrap();
    assert_eq!(written.iter().map(|result| text(&result["Output"])).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert_eq!(written.iter().map(|result| &result["RedriveCount"]).collect::<Vec<_>>(), [1, 1, 0, 0]);
    let error = world.try_call("redriveExecution", json!({ "ExecutionArn": execution })).await.unwrap_err();
    assert_eq!(error.code(), "ExecutionNotRedrivable");
}

#[tokio::test]
async fn a_run_can_be_redriven_again_and_fail_again() {
    let world = World::new();
    fail(&world, 4);
    let execution = world.start(&calling(&json!({ "MaxConcurrency": 1 })), &json!([0, 1])).await;
    for count in 0..4 {
        let ended = if count == 0 { world.ended(&execution).await } else { redrive(&world, &execution).await };
        assert_eq!(ended["Error"], "States.ExceedToleratedFailureThreshold", "{count}");
        let run = map_run(&world, &execution).await;
        assert_eq!((&run["Status"], &run["RedriveCount"]), (&json!("FAILED"), &json!(count)));
        assert_eq!(counts(&run, &["Failed", "Pending", "Total", "PendingRedrive"]), [1, 1, 2, 0]);
        assert_eq!(children(&world, &run, "FAILED").await[0].1, count);
    }
    let ended = redrive(&world, &execution).await;
    assert_eq!((&ended["Output"], &ended["RedriveCount"]), (&json!("[0,1]"), &json!(4)));
}

#[tokio::test]
async fn express_children_start_again_under_their_names() {
    let world = World::new();
    fail(&world, 1);
    let mut machine = calling(&json!({ "MaxConcurrency": 1 }));
    machine["States"]["M"]["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = json!("EXPRESS");
    let first = json!({ "Type": "Pass", "Next": "P" });
    machine["States"]["M"]["ItemProcessor"]["States"]["F"] = first;
    machine["States"]["M"]["ItemProcessor"]["StartAt"] = json!("F");
    let execution = world.start(&machine, &json!([7, 8])).await;
    world.ended(&execution).await;
    let before = map_run(&world, &execution).await;
    let failed = children(&world, &before, "FAILED").await;
    let ended = redrive(&world, &execution).await;
    assert_eq!((&ended["Status"], &ended["Output"]), (&json!("SUCCEEDED"), &json!("[7,8]")));
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["MapRunArn"], &run["RedriveCount"]), (&before["MapRunArn"], &json!(1)));
    let children = children(&world, &run, "SUCCEEDED").await;
    assert_eq!((children.len(), children.contains(&failed[0])), (2, true), "{children:?} {failed:?}");
    // What the first attempt asked for is not taken for the second one's: the function was called anew.
    assert_eq!(world.fakes.invoked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_a_stop_cut_off_goes_on_within_its_limits_also_after_restarts() {
    let mut world = World::new();
    let items = json!([{ "sleep": true }, { "sleep": true }, { "sleep": true }, { "sleep": true }]);
    let execution = world.start(&calling(&json!({ "MaxConcurrency": 2 })), &items).await;
    world.until(|fakes| fakes.invoked.lock().unwrap().len() == 2).await;
    let change = json!({ "MapRunArn": map_run(&world, &execution).await["MapRunArn"], "MaxConcurrency": 3 });
    world.call("updateMapRun", change).await;
    world.until(|fakes| fakes.invoked.lock().unwrap().len() == 3).await;
    // The run may still be ending when it is asked to go on.
    world.call("stopExecution", json!({ "ExecutionArn": execution })).await;
    world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
    world.until(|fakes| fakes.invoked.lock().unwrap().len() == 6).await;
    for _ in 0..3 {
        world = world.restarted();
        let run = run_with(&world, &execution, |run| run["ExecutionCounts"]["Running"] == json!(3)).await;
        assert_eq!((&run["Status"], &run["RedriveCount"]), (&json!("RUNNING"), &json!(1)));
        assert_eq!((&run["MaxConcurrency"], run["StopDate"].is_null()), (&json!(3), true));
        assert_eq!(counts(&run, &["Running", "Pending", "Aborted", "Total", "PendingRedrive"]), [3, 1, 0, 4, 0]);
    }
    // Fewer at a time: what does not run waits for it.
    world.call("stopExecution", json!({ "ExecutionArn": execution })).await;
    let run = run_with(&world, &execution, |run| run["Status"] == "ABORTED").await;
    assert_eq!(counts(&run, &["Aborted", "Pending", "PendingRedrive"]), [3, 1, 0]);
    let error = json!({ "MapRunArn": run["MapRunArn"], "MaxConcurrency": 1 });
    assert_eq!(world.try_call("updateMapRun", error).await.unwrap_err().code(), "ValidationException");
    world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
    run_with(&world, &execution, |run| run["ExecutionCounts"]["Running"] == json!(3)).await;
    world.call("stopExecution", json!({ "ExecutionArn": execution })).await;
    let run = run_with(&world, &execution, |run| run["Status"] == "ABORTED").await;
    assert_eq!((&run["RedriveCount"], counts(&run, &["Total"])), (&json!(2), vec![4]));
}

#[tokio::test]
async fn children_that_find_no_room_wait_for_their_redrive() {
    let mut world = World::new();
    // Tasks that hang: one runs, two wait.
    let execution = world
        .start(
            &calling(&json!({ "MaxConcurrency": 3 })),
            &json!([{ "sleep": true }, { "sleep": true }, { "sleep": true }]),
        )
        .await;
    run_with(&world, &execution, |run| run["ExecutionCounts"]["Running"] == json!(3)).await;
    let change = json!({ "MapRunArn": map_run(&world, &execution).await["MapRunArn"], "MaxConcurrency": 1 });
    world.call("updateMapRun", change).await;
    world.call("stopExecution", json!({ "ExecutionArn": execution })).await;
    world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
    let waits = |run: &Value| run["ExecutionCounts"]["PendingRedrive"] == json!(2);
    run_with(&world, &execution, waits).await;
    world = world.restarted();
    let run = run_with(&world, &execution, waits).await;
    assert_eq!(counts(&run, &["Running", "Aborted", "Total", "PendingRedrive"]), [1, 0, 3, 2]);
    assert_eq!(run["ItemCounts"]["PendingRedrive"], json!(2));
    assert_eq!(children(&world, &run, "ABORTED").await, []);
    let waiting = children(&world, &run, "PENDING_REDRIVE").await;
    assert_eq!(waiting.len(), 2);
    let child = world.call("describeExecution", json!({ "ExecutionArn": waiting[0].0 })).await;
    assert_eq!((&child["Status"], &child["RedriveStatus"]), (&json!("PENDING_REDRIVE"), &json!("NOT_REDRIVABLE")));
    world.call("stopExecution", json!({ "ExecutionArn": execution })).await;
    let run = run_with(&world, &execution, |run| run["Status"] == "ABORTED").await;
    assert_eq!(counts(&run, &["Aborted", "PendingRedrive"]), [3, 0]);
    assert_eq!(children(&world, &run, "ABORTED").await.len(), 3);
}

#[tokio::test]
async fn a_run_that_read_nothing_reads_again_and_one_that_had_too_much_begins_anew() {
    let world = World::new();
    let machine = map(&json!({ "ItemReader": reader("JSON", "late.json", &json!({})) }));
    let execution = world.start(&machine, &json!({})).await;
    assert_eq!(world.ended(&execution).await["Error"], "States.ItemReaderFailed");
    let before = map_run(&world, &execution).await;
    assert_eq!(redrive(&world, &execution).await["Error"], "States.ItemReaderFailed");
    world.fakes.put("in", "late.json", "[1,2]");
    let ended = redrive(&world, &execution).await;
    assert_eq!(ended["Output"], "[1,2]", "{ended}");
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["MapRunArn"], &run["RedriveCount"]), (&before["MapRunArn"], &json!(2)));

    let never = json!({ "ItemReader": reader("JSON", "late.json", &json!({ "MaxItemsPath": "$.n" })) });
    let execution = world.start(&map(&never), &json!({ "n": -1 })).await;
    assert_eq!(world.ended(&execution).await["Cause"], "field MaxItems must be positive");
    assert_eq!(redrive(&world, &execution).await["Cause"], "field MaxItems must be positive");

    // Too much data, and a result that does not fit what comes after: another run begins.
    let large = json!({ "ItemSelector": { "v.$": "$$.Map.Item.Value", "x": "y".repeat(200_000) } });
    for (fields, error) in [(large, "States.DataLimitExceeded"), (json!({ "OutputPath": "$.none" }), "States.Runtime")]
    {
        let execution = world.start(&map(&fields), &json!([1, 2])).await;
        assert_eq!(world.ended(&execution).await["Error"], error);
        assert_eq!(redrive(&world, &execution).await["Error"], error);
        let runs = world.call("listMapRuns", json!({ "ExecutionArn": execution })).await;
        assert_eq!(runs["MapRuns"].as_array().unwrap().len(), 2, "{error}");
    }
}

#[tokio::test]
async fn a_retried_map_begins_another_run_and_the_last_one_is_redriven() {
    let world = World::new();
    fail(&world, 2);
    let retry = json!({ "Retry": [{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1 }] });
    let execution = world.start(&calling(&retry), &json!([5])).await;
    assert_eq!(world.ended(&execution).await["Status"], "FAILED");
    let runs = async || {
        let runs = world.call("listMapRuns", json!({ "ExecutionArn": execution })).await;
        runs["MapRuns"].as_array().unwrap().iter().map(|run| run["MapRunArn"].clone()).collect::<Vec<_>>()
    };
    let before = runs().await;
    assert_eq!(before.len(), 2);
    assert_eq!(redrive(&world, &execution).await["Output"], "[5]");
    assert_eq!(runs().await, before);
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["MapRunArn"], &run["RedriveCount"]), (&before[0], &json!(1)));
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_redrive_loses_and_doubles_nothing() {
    const ITEMS: u64 = 300;
    let mut world = World::new();
    fail(&world, 150);
    let machine = calling(&json!({ "MaxConcurrency": 20, "ToleratedFailureCount": 149, "ResultWriter": writer() }));
    let execution = world.start(&machine, &json!((0..ITEMS).collect::<Vec<_>>())).await;
    assert_eq!(world.ended(&execution).await["Status"], "FAILED");
    let called = world.fakes.invoked.lock().unwrap().len();
    world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
    for more in [10, 90, 200] {
        world.until(|fakes| fakes.invoked.lock().unwrap().len() >= called + more).await;
        world = world.restarted();
    }
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    let run = map_run(&world, &execution).await;
    let names = ["Succeeded", "Failed", "Total", "PendingRedrive"];
    assert_eq!((counts(&run, &names), &run["RedriveCount"]), (vec![ITEMS, 0, ITEMS, 0], &json!(1)));
    let id = text(&run["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    let written = world.fakes.json("out", &format!("results/{id}/SUCCEEDED_0.json"));
    let outputs: Vec<String> = written.as_array().unwrap().iter().map(|result| text(&result["Output"])).collect();
    assert_eq!(outputs, (0..ITEMS).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn children_may_end_at_once_when_they_go_on() {
    let world = World::new();
    let mut machine = map(&json!({ "MaxConcurrency": 1, "ToleratedFailureCount": 0 }));
    let states = &mut machine["States"]["M"]["ItemProcessor"]["States"];
    states["P"] = json!({
        "Type": "Choice", "Choices": [{ "Variable": "$", "NumericEquals": 1, "Next": "F" }], "Default": "S",
    });
    states["F"] = json!({ "Type": "Fail", "Error": "E" });
    states["S"] = json!({ "Type": "Succeed" });
    let execution = world.start(&machine, &json!([0, 1, 2])).await;
    world.ended(&execution).await;
    for count in 1..3 {
        let ended = redrive(&world, &execution).await;
        assert_eq!(ended["Error"], "States.ExceedToleratedFailureThreshold");
        let run = map_run(&world, &execution).await;
        assert_eq!(counts(&run, &["Succeeded", "Failed", "Pending", "Total"]), [1, 1, 1, 3]);
        let failed = children(&world, &run, "FAILED").await;
        assert_eq!(failed[0].1, count);
        let history = world.history(&failed[0].0).await;
        assert_eq!(history[history.len() - 3..], ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"]);
    }
}
