//! RedriveExecution.

use serde_json::{Value, json};

use crate::invoke;
use crate::world::{World, text};

#[tokio::test]
async fn a_failed_execution_goes_on_also_after_a_restart() {
    let world = World::new();
    *world.fakes.failures.lock().unwrap() = 1;
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": {"from": "a"}, "Next": "T"},
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "OutputPath": "$.Payload", "End": true}}});
    let execution = world.start(&definition, &json!({})).await;
    let failed = world.ended(&execution).await;
    assert_eq!((text(&failed["Status"]), text(&failed["RedriveStatus"])), ("FAILED".into(), "REDRIVABLE".into()));
    let world = world.restarted();
    let asked = json!({"ExecutionArn": execution, "ClientToken": "one"});
    let first = world.call("redriveExecution", asked.clone()).await;
    let described = world.ended(&execution).await;
    assert_eq!(text(&described["Output"]), "{\"from\":\"a\"}");
    assert_eq!(
        (text(&described["RedriveStatus"]), text(&described["RedriveStatusReason"])),
        ("NOT_REDRIVABLE".into(), "Execution is SUCCEEDED and cannot be redriven".into())
    );
    assert_eq!((&described["RedriveCount"], &described["Error"]), (&json!(1), &Value::Null));
    assert_eq!(described["RedriveDate"], first["RedriveDate"]);
    let history = world.history(&execution).await;
    let at = history.iter().position(|kind| kind == "ExecutionRedriven").unwrap();
    assert_eq!(history[at - 1], "ExecutionFailed");
    assert_eq!(history[at + 1..at + 3], ["TaskScheduled", "TaskStarted"]);
    assert_eq!(history.iter().filter(|kind| *kind == "PassStateEntered").count(), 1);
    // The same token is answered as before; another one finds that there is nothing left to do.
    assert_eq!(world.call("redriveExecution", asked).await, first);
    let again = world.try_call("redriveExecution", json!({"ExecutionArn": execution})).await.unwrap_err();
    assert_eq!(
        (again.code(), again.message()),
        ("ExecutionNotRedrivable", "Execution is SUCCEEDED and cannot be redriven")
    );
    let listed = world.call("listExecutions", json!({"StateMachineArn": described["StateMachineArn"]})).await;
    assert_eq!(listed["Executions"][0]["RedriveCount"], json!(1));
    world.until(|fakes| fakes.events.lock().unwrap().len() == 4).await;
    let mut told: Vec<_> =
        world.fakes.events.lock().unwrap().iter().map(|event| event["redriveCount"].clone()).collect();
    told.sort_by_key(Value::as_u64);
    assert_eq!(told, [0, 0, 1, 1]);
}

#[tokio::test]
async fn what_cannot_be_redriven_is_told() {
    let world = World::new();
    let refused = async |arn: &str| {
        let error = world.try_call("redriveExecution", json!({ "ExecutionArn": arn })).await.unwrap_err();
        (error.code().to_owned(), error.message().to_owned())
    };
    let waits = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}});
    let execution = world.start(&waits, &json!({})).await;
    assert_eq!(
        refused(&execution).await,
        ("ExecutionNotRedrivable".into(), "Execution is RUNNING and cannot be redriven".into())
    );
    let none = "arn:aws:states:us-east-1:000000000000:execution:m:none";
    assert_eq!(refused(none).await, ("ExecutionDoesNotExist".into(), format!("Execution Does Not Exist: '{none}'")));
    assert_eq!(refused("nothing").await.0, "InvalidArn");
    // Stopped, redriven, stopped again: it waits anew each time.
    for count in 1..=2 {
        world.call("stopExecution", json!({ "ExecutionArn": execution })).await;
        assert_eq!(world.ended(&execution).await["Status"], "ABORTED");
        world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
        let described = world.call("describeExecution", json!({ "ExecutionArn": execution })).await;
        assert_eq!((&described["Status"], &described["RedriveCount"]), (&json!("RUNNING"), &json!(count)));
        assert!(described["StopDate"].is_null());
    }
    let failing = world.start(&invoke(&json!({"ResultPath": "$.a.b"})), &json!([])).await;
    let described = world.ended(&failing).await;
    world.call("deleteStateMachine", json!({ "StateMachineArn": described["StateMachineArn"] })).await;
    assert_eq!(
        refused(&failing).await,
        ("ExecutionNotRedrivable".into(), "State machine is in DELETING status".into())
    );
}
