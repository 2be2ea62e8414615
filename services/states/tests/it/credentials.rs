//! The role in a state's `Credentials`: the machine's role takes it up where it may.

use serde_json::{Value, json};

use crate::invoke;
use crate::world::{World, text};

const MACHINE: &str = "arn:aws:iam::000000000000:role/machine";
const TRUSTING: &str = "arn:aws:iam::111111111111:role/trusting";
const STRANGER: &str = "arn:aws:iam::000000000000:role/admin";

fn with(role: &str) -> Value {
    invoke(&json!({ "Credentials": { "RoleArn": role } }))
}

fn callers(world: &World) -> Vec<(String, String)> {
    std::mem::take(&mut *world.fakes.callers.lock().unwrap())
}

#[tokio::test]
async fn a_task_acts_as_a_role_that_trusts_the_machines() {
    let world = World::new();
    let fixed = world.start(&with(TRUSTING), &json!({})).await;
    assert_eq!(text(&world.ended(&fixed).await["Status"]), "SUCCEEDED");
    let chosen = invoke(&json!({ "Credentials": { "RoleArn.$": "$.role" } }));
    let chosen = world.start(&chosen, &json!({ "role": TRUSTING })).await;
    assert_eq!(text(&world.ended(&chosen).await["Status"]), "SUCCEEDED");
    // In the account of the role.
    let there = (TRUSTING.to_owned(), "111111111111".to_owned());
    assert_eq!(callers(&world), [there.clone(), there]);
    let own = world.start(&with(MACHINE), &json!({})).await;
    assert_eq!(text(&world.ended(&own).await["Status"]), "SUCCEEDED");
    assert_eq!(callers(&world), [(MACHINE.to_owned(), "000000000000".to_owned())]);
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_machines_is_not_acted_as() {
    let world = World::new();
    let execution = world.start(&with(STRANGER), &json!({})).await;
    let described = world.ended(&execution).await;
    assert_eq!((text(&described["Status"]), text(&described["Error"])), ("FAILED".into(), "States.TaskFailed".into()));
    assert!(text(&described["Cause"]).contains("sts:AssumeRole"), "{described}");
    // Chosen by who starts the execution, Express, and a job that is waited for.
    let chosen = invoke(&json!({ "Credentials": { "RoleArn.$": "$.role" } }));
    let machine = json!({"Name": "x", "Definition": chosen.to_string(), "RoleArn": MACHINE, "Type": "EXPRESS"});
    let machine = world.call("createStateMachine", machine).await["StateMachineArn"].clone();
    let input = json!({ "role": STRANGER }).to_string();
    let answer = world.call("startSyncExecution", json!({"StateMachineArn": machine, "Input": input})).await;
    assert_eq!((text(&answer["Status"]), text(&answer["Error"])), ("FAILED".into(), "States.TaskFailed".into()));
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {"JobName": "etl"},
        "Credentials": {"RoleArn": STRANGER}, "End": true});
    let job = world.start(&json!({"StartAt": "T", "States": {"T": state}}), &json!({})).await;
    assert_eq!(text(&world.ended(&job).await["Status"]), "FAILED");
    assert!(world.fakes.runs.lock().unwrap().is_empty());
    assert_eq!(callers(&world), []);
}

#[tokio::test]
async fn a_state_under_test_acts_as_no_other_role_either() {
    let world = World::new();
    let state = |role: &str| {
        json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Credentials": {"RoleArn": role},
            "Parameters": {"FunctionName": "f", "Payload": {}}, "End": true})
    };
    let refused = json!({"Definition": state(STRANGER).to_string(), "RoleArn": MACHINE});
    let answer = world.call("testState", refused).await;
    assert_eq!((text(&answer["Status"]), text(&answer["Error"])), ("FAILED".into(), "States.TaskFailed".into()));
    assert_eq!(callers(&world), []);
    // Without a role there is none to take up another with.
    let none = json!({"Definition": state(TRUSTING).to_string()});
    assert_eq!(world.try_call("testState", none).await.unwrap_err().code(), "ValidationException");
    let answer = world.call("testState", json!({"Definition": state(TRUSTING).to_string(), "RoleArn": MACHINE})).await;
    assert_eq!(text(&answer["Status"]), "SUCCEEDED");
    assert_eq!(callers(&world), [(TRUSTING.to_owned(), "111111111111".to_owned())]);
}
