//! Executions over stand-ins: tasks, jobs, tokens, timers, restarts.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that panics has failed, which is what is meant"
)]

mod api;
mod buckets;
mod credentials;
mod documents;
mod hostile;
mod http;
mod map_runs;
mod map_runs_redriven;
mod redrive;
mod test_state;
mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use service::{Cx, Principal};
use world::{World, text};

fn task(resource: &str, parameters: &Value, more: &Value) -> Value {
    let mut state = json!({ "Type": "Task", "Resource": resource, "Parameters": parameters, "End": true });
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "StartAt": "T", "States": { "T": state } })
}

fn invoke(more: &Value) -> Value {
    task("arn:aws:states:::lambda:invoke", &json!({ "FunctionName": "f", "Payload.$": "$" }), more)
}

#[tokio::test]
async fn an_execution_runs_and_can_be_read_page_by_page() {
    let world = World::new();
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}});
    let execution = world.start(&definition, &json!({"x": 1})).await;
    let described = world.ended(&execution).await;
    assert_eq!((text(&described["Status"]), text(&described["Output"])), ("SUCCEEDED".into(), "{\"x\":1}".into()));
    let want = [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ];
    assert_eq!(world.history(&execution).await, want);
    let (mut token, mut ids) = (Value::Null, Vec::new());
    loop {
        let page = json!({"ExecutionArn": execution, "MaxResults": 4, "ReverseOrder": true, "NextToken": token});
        let page = world.call("getExecutionHistory", page).await;
        ids.extend(page["Events"].as_array().unwrap().iter().map(|event| event["Id"].as_u64().unwrap()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(ids, [6, 5, 4, 3, 2, 1]);
    let listed = world.call("listExecutions", json!({"StateMachineArn": described["StateMachineArn"]})).await;
    assert_eq!(listed["Executions"][0]["ExecutionArn"], json!(execution));
    world.until(|fakes| fakes.events.lock().unwrap().len() == 2).await;
    let mut told: Vec<String> = world.fakes.events.lock().unwrap().iter().map(|event| text(&event["status"])).collect();
    told.sort();
    assert_eq!(told, ["RUNNING", "SUCCEEDED"]);
}

#[tokio::test]
async fn a_name_starts_one_execution() {
    let world = World::new();
    let machine =
        world.machine(&json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}})).await;
    let start = |input: &str| json!({"StateMachineArn": machine, "Name": "one", "Input": input});
    let first = world.call("startExecution", start("{}")).await;
    assert_eq!(world.call("startExecution", start("{}")).await["ExecutionArn"], first["ExecutionArn"]);
    assert_eq!(world.try_call("startExecution", start("[]")).await.unwrap_err().code(), "ExecutionAlreadyExists");
    world.call("stopExecution", json!({"ExecutionArn": first["ExecutionArn"], "Cause": "enough"})).await;
    let described = world.ended(&text(&first["ExecutionArn"])).await;
    assert_eq!((text(&described["Status"]), text(&described["Cause"])), ("ABORTED".into(), "enough".into()));
    assert_eq!(world.try_call("startExecution", start("{}")).await.unwrap_err().code(), "ExecutionAlreadyExists");
    for (input, message) in [
        (
            "not json",
            "Invalid State Machine Execution Input: 'Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')'",
        ),
        (
            "{'not': 1}",
            "Invalid State Machine Execution Input: 'Unexpected character (''' (code 39)): was expecting double-quote to start field name'",
        ),
        (" ", "Invalid State Machine Execution Input: 'Invalid execution input.'"),
    ] {
        let error =
            world.try_call("startExecution", json!({"StateMachineArn": machine, "Input": input})).await.unwrap_err();
        assert_eq!((error.code(), error.message()), ("InvalidExecutionInput", message));
    }
}

#[tokio::test]
async fn functions_are_retried_and_their_errors_named() {
    let world = World::new();
    *world.fakes.failures.lock().unwrap() = 1;
    let retry =
        json!({"Retry": [{"ErrorEquals": ["Boom"], "IntervalSeconds": 1}], "ResultSelector": {"got.$": "$.Payload"}});
    let execution = world.start(&invoke(&retry), &json!({"x": 1})).await;
    assert_eq!(text(&world.ended(&execution).await["Output"]), "{\"got\":{\"x\":1}}");
    assert_eq!(world.fakes.invoked.lock().unwrap().len(), 2);
    *world.fakes.failures.lock().unwrap() = 1;
    let execution = world.start(&invoke(&json!({})), &json!({})).await;
    let described = world.ended(&execution).await;
    assert_eq!(
        (text(&described["Error"]), text(&described["Cause"])),
        ("Boom".into(), "{\"errorType\":\"Boom\",\"errorMessage\":\"m\"}".into())
    );
    let absent = task("arn:aws:states:::lambda:invoke", &json!({"FunctionName": "absent"}), &json!({}));
    let described = world.ended(&world.start(&absent, &json!({})).await).await;
    assert_eq!(text(&described["Error"]), "Lambda.ResourceNotFoundException");
    let direct = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": true}}});
    let execution = world.start(&direct, &json!([1])).await;
    assert_eq!(text(&world.ended(&execution).await["Output"]), "[1]");
    assert!(world.history(&execution).await.contains(&"LambdaFunctionSucceeded".to_owned()));
}

#[tokio::test]
async fn a_restart_runs_what_was_running_and_keeps_what_was_decided() {
    let world = World::new();
    let definition = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": true}}},
        {"StartAt": "J", "States": {"J": {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {"JobName": "etl"}, "ResultSelector": {"state.$": "$.JobRunState"}, "End": true}}}
    ]}}});
    let execution = world.start(&definition, &json!({})).await;
    world.until(|fakes| !fakes.runs.lock().unwrap().is_empty()).await;
    let world = world.restarted();
    world.until_waiting(&execution).await;
    world.end_runs("SUCCEEDED").await;
    assert_eq!(text(&world.ended(&execution).await["Output"]), "[{},{\"state\":\"SUCCEEDED\"}]");
    assert_eq!(world.fakes.runs.lock().unwrap().len(), 1, "the run was started once");
    let submitted = world.history(&execution).await.iter().filter(|event| *event == "TaskSubmitted").count();
    assert_eq!(submitted, 1);
}

#[tokio::test]
async fn a_failed_or_stopped_job_fails_the_state() {
    let world = World::new();
    let definition = task("arn:aws:states:::glue:startJobRun.sync", &json!({"JobName": "etl"}), &json!({}));
    let execution = world.start(&definition, &json!({})).await;
    world.until(|fakes| !fakes.runs.lock().unwrap().is_empty()).await;
    world.until_waiting(&execution).await;
    world.end_runs("FAILED").await;
    let described = world.ended(&execution).await;
    assert_eq!(text(&described["Error"]), "States.TaskFailed");
    assert!(text(&described["Cause"]).contains("\"JobRunState\":\"FAILED\""));
    world.fakes.runs.lock().unwrap().clear();
    let execution = world.start(&definition, &json!({})).await;
    world.until(|fakes| !fakes.runs.lock().unwrap().is_empty()).await;
    world.call("stopExecution", json!({"ExecutionArn": execution})).await;
    world.until(|fakes| fakes.runs.lock().unwrap().values().all(|state| state == "STOPPED")).await;
    assert!(world.history(&execution).await.ends_with(&["TaskSubmitted".into(), "ExecutionAborted".into()]));
}

#[tokio::test]
async fn tokens_answer_the_task_that_waits() {
    let world = World::new();
    let parameters = json!({"QueueUrl": "q", "MessageBody": {"token.$": "$$.Task.Token"}});
    let definition = task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", &parameters, &json!({}));
    let execution = world.start(&definition, &json!({})).await;
    world.until(|fakes| !fakes.messages.lock().unwrap().is_empty()).await;
    let message: Value = serde_json::from_str(&world.fakes.messages.lock().unwrap()[0]).unwrap();
    let world = world.restarted();
    let answer = |output: &str| json!({"TaskToken": message["token"], "Output": output});
    assert_eq!(world.try_call("sendTaskSuccess", answer("nonsense")).await.unwrap_err().code(), "InvalidOutput");
    let forged = json!({"TaskToken": "forged", "Output": "1"});
    assert_eq!(world.try_call("sendTaskSuccess", forged).await.unwrap_err().code(), "InvalidToken");
    // Of another account it is none.
    let other = Cx::new(Arc::clone(world.cx.router()), Principal::root("111111111111"), "111111111111", "us-east-1");
    let stolen = other.call_json("sfn", "sendTaskSuccess", answer("{\"ok\":2}")).await;
    assert_eq!(stolen.unwrap_err().code(), "InvalidToken");
    world.call("sendTaskHeartbeat", json!({"TaskToken": message["token"]})).await;
    world.call("sendTaskSuccess", answer("{\"ok\":1}")).await;
    assert_eq!(text(&world.ended(&execution).await["Output"]), "{\"ok\":1}");
    assert_eq!(world.try_call("sendTaskSuccess", answer("1")).await.unwrap_err().code(), "TaskTimedOut");
}

#[tokio::test]
async fn a_job_may_answer_with_the_token_of_its_task() {
    let world = World::new();
    let answer = json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
        "Parameters": {"TaskToken.$": "$.token", "Output": "{\"early\":true}"}, "Next": "W"});
    let failure = json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:sendTaskFailure",
        "Parameters": {"TaskToken.$": "$.token", "Error": "E", "Cause": "c"}, "Next": "W"});
    for (first, want) in [(answer, "TaskSucceeded"), (failure, "TaskFailed")] {
        let child = json!({"StartAt": "A", "States": {"A": first, "W": {"Type": "Wait", "Seconds": 600, "End": true}}});
        let child = world.machine(&child).await;
        let parameters = json!({"StateMachineArn": child, "Input": {"token.$": "$$.Task.Token"}});
        let definition = task("arn:aws:states:::states:startExecution.sync:2", &parameters, &json!({}));
        let execution = world.start(&definition, &json!({})).await;
        let ended = world.ended(&execution).await;
        let history = world.history(&execution).await;
        assert!(history.contains(&want.to_owned()), "{history:?}");
        if want == "TaskSucceeded" {
            assert_eq!(ended["Output"], "{\"early\":true}");
        } else {
            assert_eq!((&ended["Error"], &ended["Cause"]), (&json!("E"), &json!("c")));
        }
    }
}

#[tokio::test]
async fn what_a_call_does_not_take_starts_no_task() {
    let world = World::new();
    let all = json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}], "Retry": [{"ErrorEquals": ["States.ALL"]}]});
    let said = |parameters: &str, fault: &str| {
        format!(
            "An error occurred while executing the state 'T' (entered at the event id #2). The Parameters '{parameters}' could not be used to start the Task: [{fault}]"
        )
    };
    for (given, fault) in [
        (json!({"QueueUrl": "q", "MessageBody": 7}), "The value for the field 'MessageBody' must be a STRING"),
        (
            json!({"QueueUrl": "q", "MessageBody": "m", "Other": 1}),
            "The field \"Other\" is not supported by Step Functions",
        ),
        (json!({"QueueUrl": "q"}), "The field 'MessageBody' is required but was missing"),
        (
            json!({"QueueUrl": "q", "MessageBody": "m", "MessageAttributes": {"a": "b"}}),
            "The value of the field 'a' has an invalid format",
        ),
    ] {
        // Nothing is known of the parameters before the state is entered: they are its input.
        let mut state = task("arn:aws:states:::sqs:sendMessage", &json!({}), &all);
        state["States"]["T"].as_object_mut().unwrap().remove("Parameters");
        state["States"]["After"] = json!({"Type": "Succeed"});
        let execution = world.start(&state, &given).await;
        let ended = world.ended(&execution).await;
        assert_eq!(
            (&ended["Error"], text(&ended["Cause"])),
            (&json!("States.Runtime"), said(&given.to_string(), fault))
        );
        assert_eq!(world.history(&execution).await, ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"]);
    }
    assert!(world.fakes.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_without_a_body_is_refused_in_the_words_of_sqs() {
    let world = World::new();
    for (resource, error, said) in [
        ("arn:aws:states:::sqs:sendMessage", "SQS.AmazonSQSException", "Error Code: MissingParameter;"),
        ("arn:aws:states:::aws-sdk:sqs:sendMessage", "Sqs.SqsException", "(Service: Sqs, Status Code: 400,"),
    ] {
        let parameters = json!({"QueueUrl": "q", "MessageBody.$": "$.body"});
        let execution = world.start(&task(resource, &parameters, &json!({})), &json!({"body": null})).await;
        let ended = world.ended(&execution).await;
        let cause = text(&ended["Cause"]);
        assert_eq!(ended["Error"], error);
        assert!(cause.starts_with("The request must contain the parameter MessageBody. (Service: "), "{cause}");
        assert!(cause.contains(said), "{cause}");
        let caught = json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}]});
        let mut definition = task(resource, &parameters, &caught);
        definition["States"]["After"] = json!({"Type": "Succeed"});
        let execution = world.start(&definition, &json!({"body": null})).await;
        assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED");
    }
    assert!(world.fakes.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn timeouts_end_tasks_and_executions() {
    let world = World::new();
    let caught = invoke(&json!({"TimeoutSeconds": 1}));
    let described = world.ended(&world.start(&caught, &json!({"sleep": true})).await).await;
    assert_eq!((text(&described["Status"]), text(&described["Error"])), ("FAILED".into(), "States.Timeout".into()));
    let mut whole = invoke(&json!({}));
    whole["TimeoutSeconds"] = json!(1);
    let described = world.ended(&world.start(&whole, &json!({"sleep": true})).await).await;
    assert_eq!(text(&described["Status"]), "TIMED_OUT");
    world
        .until(|fakes| {
            fakes
                .events
                .lock()
                .unwrap()
                .iter()
                .any(|event| event["status"] == "TIMED_OUT" && event["error"] == "States.Timeout")
        })
        .await;
}

#[tokio::test]
async fn executions_start_executions() {
    let world = World::new();
    let child = world
        .machine(&json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": {"a": 1}, "End": true}}}))
        .await;
    let parameters = json!({"StateMachineArn": child, "Input": {"from": "parent"}});
    let definition =
        task("arn:aws:states:::states:startExecution.sync:2", &parameters, &json!({"OutputPath": "$.Output"}));
    let execution = world.start(&definition, &json!({})).await;
    assert_eq!(text(&world.ended(&execution).await["Output"]), "{\"a\":1}");
}

#[tokio::test]
async fn many_executions_are_waited_for_without_asking_after_them() {
    let world = World::new();
    let child = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "SecondsPath": "$.seconds", "End": true}}});
    let child = world.machine(&child).await;
    let nested = json!({"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Input": {"seconds.$": "$"}}, "OutputPath": "$.Output.seconds", "End": true});
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "T", "States": {"T": nested}}}}});
    let items: Vec<u32> = (0..300).map(|i| i % 2).collect();
    let execution = world.start(&definition, &json!(items)).await;
    let world = world.restarted();
    assert_eq!(text(&world.ended(&execution).await["Output"]), json!(items).to_string());
}

#[tokio::test]
async fn a_stopped_parent_stops_what_it_waits_for() {
    let world = World::new();
    let child = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": true}}});
    let parameters = json!({"StateMachineArn": world.machine(&child).await, "Name": "child"});
    let definition = task("arn:aws:states:::states:startExecution.sync", &parameters, &json!({"TimeoutSeconds": 600}));
    let execution = world.start(&definition, &json!({})).await;
    world.until_waiting(&execution).await;
    world.call("stopExecution", json!({"ExecutionArn": execution})).await;
    let started = world.call("describeExecution", json!({"ExecutionArn": execution})).await;
    assert_eq!(text(&started["Status"]), "ABORTED");
    let child = parameters["StateMachineArn"].as_str().unwrap().replace("stateMachine", "execution") + ":child";
    assert_eq!(text(&world.ended(&child).await["Status"]), "ABORTED");
}

#[tokio::test]
async fn resources_that_are_not_there_are_refused_by_name() {
    let world = World::new();
    let refused = async |resource: &str, parameters: Value| {
        let definition = task(resource, &parameters, &json!({})).to_string();
        let input = json!({"Name": "m", "Definition": definition, "RoleArn": "arn:aws:iam::000000000000:role/r"});
        let error = world.try_call("createStateMachine", input).await.unwrap_err();
        assert_eq!(error.code(), "InvalidDefinition");
        let message = error.message().strip_prefix("Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: ");
        message.unwrap().trim_end_matches('\'').to_owned()
    };
    let unknown = |resource: &str, more: &str| {
        format!(
            "The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.{more} at /States/T/Resource"
        )
    };
    for (resource, more) in [
        ("arn:aws:states:::nonsense:run", ""),
        ("arn:aws:states:::ecs:runTask.sync", " Lakerun does not have the service 'ecs'."),
        ("arn:aws:states:::aws-sdk:ec2:runInstances", " Lakerun does not have the service 'ec2'."),
        ("arn:aws:states:::aws-sdk:glue:noSuchThing", " Lakerun does not have the operation 'noSuchThing' of 'glue'."),
        ("arn:aws:states:::aws-sdk:states:startExecution", ""),
        ("arn:aws:states:::aws-sdk:glue:startJobRun.sync", ""),
        ("arn:aws:states:::sqs:sendMessage.sync", ""),
    ] {
        assert_eq!(refused(resource, json!({})).await, unknown(resource, more));
    }
    let misspelt = json!({"JobName": "etl", "Argument.$": "$"});
    assert_eq!(
        refused("arn:aws:states:::glue:startJobRun", misspelt).await,
        "The field \"Argument\" is not supported by Step Functions at /States/T/Parameters"
    );
    assert_eq!(
        refused("arn:aws:states:::glue:startJobRun", json!({})).await,
        "The field 'JobName' is required but was missing at /States/T/Parameters"
    );
}

#[tokio::test]
async fn machines_are_made_once_changed_and_refused() {
    let world = World::new();
    let pass = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}).to_string();
    let create = |definition: &str| json!({"Name": "m", "Definition": definition, "RoleArn": "arn:aws:iam::000000000000:role/r", "Publish": true});
    let made = world.call("createStateMachine", create(&pass)).await;
    assert_eq!(world.call("createStateMachine", create(&pass)).await, made);
    assert_eq!(
        world.try_call("createStateMachine", create(&format!("{pass} "))).await.unwrap_err().code(),
        "StateMachineAlreadyExists"
    );
    let error = world.try_call("createStateMachine", create("{\"StartAt\":\"A\"}")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (
            "InvalidDefinition",
            "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /'"
        )
    );
    let arn = made["StateMachineArn"].clone();
    let changed = pass.replace("\"A\"", "\"B\"");
    world.call("updateStateMachine", json!({"StateMachineArn": arn, "Definition": changed, "Publish": true})).await;
    let versions = world.call("listStateMachineVersions", json!({"StateMachineArn": arn})).await;
    let versions: Vec<String> = versions["StateMachineVersions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| text(&version["StateMachineVersionArn"]))
        .collect();
    assert_eq!(versions, [format!("{}:2", text(&arn)), format!("{}:1", text(&arn))]);
    assert_eq!(
        world.call("describeStateMachine", json!({"StateMachineArn": versions[1]})).await["Definition"],
        json!(pass)
    );
    world.call("tagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "k", "Value": "v"}]})).await;
    assert_eq!(
        world.call("listTagsForResource", json!({"ResourceArn": arn})).await["Tags"],
        json!([{"Key": "k", "Value": "v"}])
    );
    world.call("deleteStateMachine", json!({"StateMachineArn": arn})).await;
    let error = world.try_call("describeStateMachine", json!({"StateMachineArn": arn})).await.unwrap_err();
    assert_eq!(error.code(), "StateMachineDoesNotExist");
    let report = world.call("validateStateMachineDefinition", json!({"Definition": "{}"})).await;
    assert_eq!(
        (text(&report["Result"]), text(&report["Diagnostics"][0]["Message"])),
        ("FAIL".into(), "These fields are required: [States, StartAt]".into())
    );
}

#[tokio::test]
async fn a_thousand_items_take_one_turn_after_another() {
    let world = World::new();
    let items: Vec<u32> = (0..1200).collect();
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true}}});
    let described = world.ended(&world.start(&definition, &json!(items)).await).await;
    assert_eq!(text(&described["Output"]), json!(items).to_string());
}

/// That a role cannot be looked up just now says nothing about it, nor about the job that is waited for.
#[tokio::test]
async fn a_bad_moment_of_the_roles_fails_nothing() {
    let world = World::new();
    *world.fakes.bad_roles.lock().unwrap() = 1;
    assert_eq!(world.ended(&world.start(&invoke(&json!({})), &json!({})).await).await["Status"], "SUCCEEDED");
    let job = task("arn:aws:states:::glue:startJobRun.sync", &json!({"JobName": "etl"}), &json!({}));
    let execution = world.start(&job, &json!({})).await;
    world.until_waiting(&execution).await;
    *world.fakes.bad_roles.lock().unwrap() = 1;
    world.end_runs("SUCCEEDED").await;
    assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED");
}
