//! The operations around executions: versions, aliases, activities, tags, deletion, Express, logs.

use std::time::Duration;

use api_logs::{CreateLogStream, CreateLogStreamRequest, PutLogEvents, PutLogEventsRequest, PutLogEventsResponse};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::world::{Fakes, World, text};

const ROLE: &str = "arn:aws:iam::000000000000:role/machine";

fn pass(result: &Value) -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": true}}})
}

fn waits() -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "Next": "B"}, "B": {"Type": "Wait", "Seconds": 1000, "End": true}}})
}

fn works(activity: &Value, more: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": activity, "End": true});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"StartAt": "A", "States": {"A": state}})
}

async fn create(world: &World, name: &str, definition: &Value, more: &Value) -> Value {
    let mut input = json!({"Name": name, "Definition": definition.to_string(), "RoleArn": ROLE});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call("createStateMachine", input).await
}

async fn refused(world: &World, operation: &str, input: Value) -> (String, String) {
    let error = world.try_call(operation, input).await.unwrap_err();
    (error.code().to_owned(), error.message().to_owned())
}

#[tokio::test]
async fn aliases_lead_to_versions() {
    let world = World::new();
    let made = create(&world, "m", &pass(&json!(1)), &json!({"Publish": true})).await;
    let changed =
        json!({"StateMachineArn": made["StateMachineArn"], "Definition": pass(&json!(2)).to_string(), "Publish": true});
    let second = world.call("updateStateMachine", changed).await["StateMachineVersionArn"].clone();
    let route = |weights: [i32; 2]| {
        json!([
            {"StateMachineVersionArn": made["StateMachineVersionArn"], "Weight": weights[0]},
            {"StateMachineVersionArn": second, "Weight": weights[1]},
        ])
    };
    let create_alias = |weights| json!({"Name": "PROD", "RoutingConfiguration": route(weights)});
    let alias = world.call("createStateMachineAlias", create_alias([0, 100])).await["StateMachineAliasArn"].clone();
    assert_eq!(world.call("createStateMachineAlias", create_alias([0, 100])).await["StateMachineAliasArn"], alias);
    assert_eq!(refused(&world, "createStateMachineAlias", create_alias([1, 99])).await.0, "ConflictException");
    let started = world.call("startExecution", json!({"StateMachineArn": alias})).await;
    let described = world.ended(&text(&started["ExecutionArn"])).await;
    assert_eq!(
        (&described["Output"], &described["StateMachineAliasArn"], &described["StateMachineVersionArn"]),
        (&json!("2"), &alias, &second)
    );
    for (arn, many) in [(&alias, 1), (&second, 1), (&made["StateMachineVersionArn"], 0), (&made["StateMachineArn"], 1)]
    {
        let listed = world.call("listExecutions", json!({"StateMachineArn": arn})).await;
        assert_eq!(listed["Executions"].as_array().unwrap().len(), many, "{arn}");
    }
    let (code, message) = refused(&world, "deleteStateMachineVersion", json!({"StateMachineVersionArn": second})).await;
    assert_eq!(code, "ConflictException");
    assert!(message.ends_with("Current list of aliases referencing this version: [PROD]"), "{message}");
    world
        .call(
            "updateStateMachineAlias",
            json!({"StateMachineAliasArn": alias, "RoutingConfiguration": route([100, 0])}),
        )
        .await;
    let described = world.call("describeStateMachine", json!({"StateMachineArn": alias})).await;
    assert_eq!(described["StateMachineArn"], made["StateMachineVersionArn"]);
    world.call("deleteStateMachineAlias", json!({"StateMachineAliasArn": alias})).await;
    assert_eq!(
        refused(&world, "describeStateMachineAlias", json!({"StateMachineAliasArn": alias})).await.0,
        "ResourceNotFound"
    );
    assert_eq!(
        refused(&world, "startExecution", json!({"StateMachineArn": alias})).await.0,
        "StateMachineDoesNotExist"
    );
}

#[tokio::test]
async fn a_second_machine_of_the_name_is_the_first_one_or_none() {
    let world = World::new();
    let first = create(&world, "m", &pass(&json!(1)), &json!({})).await;
    // The role and the tags are not looked at.
    let other = json!({"RoleArn": "arn:aws:iam::000000000000:role/other", "Tags": [{"Key": "k", "Value": "v"}]});
    assert_eq!(create(&world, "m", &pass(&json!(1)), &other).await, first);
    let described = world.call("describeStateMachine", json!({"StateMachineArn": first["StateMachineArn"]})).await;
    assert_eq!(described["RoleArn"], ROLE);
    let group = json!({"CloudWatchLogsLogGroup": {"LogGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:g:*"}});
    let same = json!({"LoggingConfiguration": {"Level": "OFF"}, "TracingConfiguration": {"Enabled": false}});
    assert_eq!(create(&world, "m", &pass(&json!(1)), &same).await, first);
    let definition = pass(&json!(1));
    for (definition, more) in [
        (pass(&json!(2)).to_string(), json!({})),
        (serde_json::to_string_pretty(&definition).unwrap(), json!({})),
        (definition.to_string(), json!({"Type": "EXPRESS"})),
        (definition.to_string(), json!({"LoggingConfiguration": {"Level": "ALL", "Destinations": [group]}})),
        (definition.to_string(), json!({"TracingConfiguration": {"Enabled": true}})),
        (definition.to_string(), json!({"Publish": true})),
    ] {
        let mut input = json!({"Name": "m", "Definition": definition, "RoleArn": ROLE});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let arn = text(&first["StateMachineArn"]);
        let want = ("StateMachineAlreadyExists".to_owned(), format!("State Machine Already Exists: '{arn}'"));
        assert_eq!(refused(&world, "createStateMachine", input).await, want, "{definition} {more}");
    }
}

#[tokio::test]
async fn an_update_that_changes_nothing_makes_no_revision() {
    let world = World::new();
    let made = create(&world, "m", &pass(&json!(1)), &json!({})).await;
    let update = async |more: Value| {
        let mut input = json!({"StateMachineArn": made["StateMachineArn"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.call("updateStateMachine", input).await["RevisionId"].clone()
    };
    let pretty = serde_json::to_string_pretty(&pass(&json!(1))).unwrap();
    for same in [
        json!({"Definition": pass(&json!(1)).to_string()}),
        json!({"Definition": pretty, "RoleArn": ROLE}),
        json!({"LoggingConfiguration": {"Level": "OFF"}}),
    ] {
        assert_eq!(update(same.clone()).await, Value::Null, "{same}");
    }
    let revision = update(json!({"Definition": pass(&json!(2)).to_string()})).await;
    assert!(revision.is_string());
    assert_eq!(update(json!({"Definition": pass(&json!(2)).to_string(), "RoleArn": ROLE})).await, revision);
    let next = update(json!({"RoleArn": "arn:aws:iam::000000000000:role/other"})).await;
    assert!(next.is_string() && next != revision, "{next}");
}

#[tokio::test]
async fn a_definition_that_is_empty_is_missing() {
    let world = World::new();
    let validated = world.call("validateStateMachineDefinition", json!({"Definition": ""})).await;
    let found = json!({
        "Severity": "ERROR", "Code": "MISSING_DESCRIPTION", "Message": "Received a null or empty workflow input",
    });
    assert_eq!((&validated["Result"], &validated["Diagnostics"]), (&json!("FAIL"), &json!([found])));
    let input = json!({"Name": "m", "Definition": "", "RoleArn": ROLE});
    let (code, message) = refused(&world, "createStateMachine", input).await;
    assert_eq!(code, "InvalidDefinition");
    let what = "'MISSING_DESCRIPTION: Received a null or empty workflow input at null'";
    assert_eq!(message, format!("Invalid State Machine Definition: {what}"));
}

#[tokio::test]
async fn lists_come_in_pages_of_their_own() {
    let world = World::new();
    let made = create(&world, "m", &pass(&json!(1)), &json!({"Publish": true})).await;
    for name in ["b", "a", "c"] {
        let route = json!([{"StateMachineVersionArn": made["StateMachineVersionArn"], "Weight": 100}]);
        world.call("createStateMachineAlias", json!({"Name": name, "RoutingConfiguration": route})).await;
        world.call("createActivity", json!({"Name": name})).await;
    }
    let list = |token: Value| {
        let mut input = json!({"StateMachineArn": made["StateMachineArn"], "MaxResults": 2});
        if !token.is_null() {
            input["NextToken"] = token;
        }
        world.call("listStateMachineAliases", input)
    };
    let first = list(Value::Null).await;
    assert_eq!(first["StateMachineAliases"].as_array().unwrap().len(), 2);
    let rest = list(first["NextToken"].clone()).await;
    assert_eq!((rest["StateMachineAliases"].as_array().unwrap().len(), &rest["NextToken"]), (1, &Value::Null));
    let activities = world.call("listActivities", json!({"MaxResults": 2})).await;
    let rest = world.call("listActivities", json!({"NextToken": activities["NextToken"]})).await;
    assert_eq!(rest["Activities"][0]["Name"], "c");
    for token in [json!("made up"), first["NextToken"].clone()] {
        let (code, message) = refused(&world, "listActivities", json!({"NextToken": token})).await;
        assert_eq!((code.as_str(), message.as_str()), ("InvalidToken", "Invalid Token: 'Invalid token'"));
    }
}

#[tokio::test]
async fn workers_take_tasks_even_after_a_restart() {
    let world = World::new();
    let activity = world.call("createActivity", json!({"Name": "work"})).await["ActivityArn"].clone();
    let execution = world.start(&works(&activity, &json!({})), &json!({"a": 1})).await;
    for _ in 0..120_000 {
        if world.history(&execution).await.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.history(&execution).await.last().unwrap(), "ActivityScheduled");
    let world = world.restarted();
    let take = json!({"ActivityArn": activity, "WorkerName": "w"});
    let taken = world.call("getActivityTask", take).await;
    assert_eq!(taken["Input"], json!("{\"a\":1}"));
    let world = world.restarted();
    world.call("sendTaskHeartbeat", json!({"TaskToken": taken["TaskToken"]})).await;
    world.call("sendTaskSuccess", json!({"TaskToken": taken["TaskToken"], "Output": "2"})).await;
    assert_eq!(text(&world.ended(&execution).await["Output"]), "2");
    let want = ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"];
    assert_eq!(world.history(&execution).await[2..5], want);
}

#[tokio::test]
async fn a_worker_waits_for_its_task_and_one_task_has_one_worker() {
    let world = World::new();
    let activity = world.call("createActivity", json!({"Name": "work"})).await["ActivityArn"].clone();
    let definition = works(&activity, &json!({"HeartbeatSeconds": 1}));
    let take = || world.call("getActivityTask", json!({"ActivityArn": activity}));
    let start = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.start(&definition, &json!({})).await
    };
    let (first, execution) = tokio::join!(take(), start);
    assert!(tokio::time::timeout(Duration::from_millis(200), take()).await.is_err(), "nothing is left to take");
    let described = world.ended(&execution).await;
    assert_eq!((&described["Status"], &described["Error"]), (&json!("FAILED"), &json!("States.Timeout")));
    let late = json!({"TaskToken": first["TaskToken"], "Output": "1"});
    assert_eq!(refused(&world, "sendTaskSuccess", late).await.0, "TaskTimedOut");
}

#[tokio::test]
async fn an_activity_that_is_not_there_fails_the_task() {
    let world = World::new();
    let activity = world.call("createActivity", json!({"Name": "work"})).await["ActivityArn"].clone();
    world.call("deleteActivity", json!({"ActivityArn": activity})).await;
    world.call("deleteActivity", json!({"ActivityArn": activity})).await;
    let execution = world.start(&works(&activity, &json!({})), &json!({})).await;
    let described = world.ended(&execution).await;
    let cause = format!(
        "An error occurred while executing the state 'A' (entered at the event id #2). The activity {} does not exist.",
        text(&activity)
    );
    assert_eq!((&described["Error"], &described["Cause"]), (&json!("States.Runtime"), &json!(cause)));
    assert_eq!(world.history(&execution).await, ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"]);
    let (code, message) = refused(&world, "getActivityTask", json!({"ActivityArn": activity})).await;
    assert_eq!(
        (code, message),
        ("ActivityDoesNotExist".into(), format!("Activity Does Not Exist: '{}'", text(&activity)))
    );
}

#[tokio::test]
async fn a_machine_goes_when_its_executions_have_ended() {
    let world = World::new();
    let made = create(&world, "m", &waits(), &json!({})).await;
    let machine = json!({"StateMachineArn": made["StateMachineArn"]});
    let execution = text(&world.call("startExecution", machine.clone()).await["ExecutionArn"]);
    world.call("deleteStateMachine", machine.clone()).await;
    assert_eq!(world.call("describeStateMachine", machine.clone()).await["Status"], "DELETING");
    assert_eq!(refused(&world, "startExecution", machine.clone()).await.0, "StateMachineDeleting");
    assert_eq!(world.ended(&execution).await["Status"], "ABORTED");
}

/// An execution that waits for an answer to its token, and the token.
async fn waiting(world: &World) -> (String, String) {
    let before = world.fakes.messages.lock().unwrap().len();
    let machine = json!({"StartAt": "W", "States": {"W": {
        "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": true,
        "Parameters": {"QueueUrl": "q", "MessageBody.$": "$$.Task.Token"},
    }}});
    let execution = world.start(&machine, &json!({})).await;
    world.until(|fakes| fakes.messages.lock().unwrap().len() > before).await;
    world.until_waiting(&execution).await;
    let token = world.fakes.messages.lock().unwrap().last().unwrap().clone();
    (execution, token)
}

/// A task whose call a crash cut short makes it again under its id, and is answered as the first time.
#[tokio::test]
async fn a_task_answers_and_starts_once() {
    let world = World::new();
    let (execution, token) = waiting(&world).await;
    let call = async |task: &str, operation: &str, input: &Value| {
        world.cx.with_task(task).call_json("sfn", operation, input.clone()).await
    };
    let answer = json!({"TaskToken": token, "Output": "1"});
    for _ in 0..2 {
        call("t1", "sendTaskSuccess", &answer).await.unwrap();
    }
    assert_eq!(world.ended(&execution).await["Output"], "1");
    call("t1", "sendTaskSuccess", &answer).await.unwrap();
    assert_eq!(call("t2", "sendTaskSuccess", &answer).await.unwrap_err().code(), "TaskTimedOut");

    let (execution, token) = waiting(&world).await;
    let answer = json!({"TaskToken": token, "Error": "E"});
    for _ in 0..2 {
        call("t3", "sendTaskFailure", &answer).await.unwrap();
    }
    assert_eq!(world.ended(&execution).await["Error"], "E");
    let redrive = json!({"ExecutionArn": execution});
    let first = call("t4", "redriveExecution", &redrive).await.unwrap();
    assert_eq!(call("t4", "redriveExecution", &redrive).await.unwrap(), first);
    assert_eq!(call("t5", "redriveExecution", &redrive).await.unwrap_err().code(), "ExecutionNotRedrivable");

    let made = create(&world, "express", &pass(&json!(1)), &json!({"Type": "EXPRESS"})).await;
    let start = json!({"StateMachineArn": made["StateMachineArn"]});
    let first = call("t6", "startExecution", &start).await.unwrap()["ExecutionArn"].clone();
    assert_eq!(call("t6", "startExecution", &start).await.unwrap()["ExecutionArn"], first);
    assert_ne!(call("t7", "startExecution", &start).await.unwrap()["ExecutionArn"], first);
}

#[tokio::test]
async fn of_two_answers_at_once_one_is_taken() {
    let world = World::new();
    let (execution, token) = waiting(&world).await;
    let answer = async |output: &str| {
        let input = json!({"TaskToken": token, "Output": output});
        world
            .try_call("sendTaskSuccess", input)
            .await
            .map(|_| output.to_owned())
            .map_err(|error| error.code().to_owned())
    };
    let told = <[_; 2]>::from(tokio::join!(answer("1"), answer("2")));
    let heard: Vec<_> = told.iter().flatten().collect();
    let refused: Vec<_> = told.iter().filter_map(|told| told.as_ref().err().map(String::as_str)).collect();
    assert_eq!((heard.len(), refused), (1, vec!["TaskTimedOut"]), "{told:?}");
    assert_eq!(world.ended(&execution).await["Output"], **heard[0]);
}

/// An execution shows the machine as it was when it started, and is none of a later machine's that has its name.
#[tokio::test]
async fn executions_keep_what_their_machine_was() {
    let world = World::new();
    let made = create(&world, "m", &waits(), &json!({})).await;
    let machine = json!({"StateMachineArn": made["StateMachineArn"]});
    let start = async || text(&world.call("startExecution", machine.clone()).await["ExecutionArn"]);
    let of = async |execution: &str| {
        world.call("describeStateMachineForExecution", json!({"ExecutionArn": execution})).await
    };
    let first = start().await;
    let before = of(&first).await;
    assert_eq!((&before["RevisionId"], &before["UpdateDate"]), (&Value::Null, &made["CreationDate"]));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut update = machine.clone();
    update["TracingConfiguration"] = json!({"Enabled": true});
    let updated = world.call("updateStateMachine", update).await;
    assert_eq!(of(&first).await, before);
    let second = start().await;
    let after = of(&second).await;
    assert_eq!((&after["RevisionId"], &after["UpdateDate"]), (&updated["RevisionId"], &updated["UpdateDate"]));
    assert_eq!(after["TracingConfiguration"], json!({"Enabled": true}));

    let list = async |status: Option<&str>| {
        let mut asked = machine.clone();
        if let Some(status) = status {
            asked["StatusFilter"] = json!(status);
        }
        let listed = world.call("listExecutions", asked).await;
        listed["Executions"].as_array().unwrap().iter().map(|e| text(&e["ExecutionArn"])).collect::<Vec<_>>()
    };
    let mut running = list(Some("RUNNING")).await;
    running.sort();
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(running, both);
    world.call("stopExecution", json!({"ExecutionArn": first})).await;
    assert_eq!(list(Some("RUNNING")).await, std::slice::from_ref(&second));
    world.call("redriveExecution", json!({"ExecutionArn": first})).await;
    assert_eq!(list(Some("RUNNING")).await.len(), 2);
    for execution in &both {
        world.call("stopExecution", json!({"ExecutionArn": execution})).await;
    }
    assert_eq!(list(Some("RUNNING")).await, [""; 0]);
    world.call("deleteStateMachine", machine.clone()).await;
    create(&world, "m", &waits(), &json!({})).await;
    assert_eq!(list(None).await, [""; 0]);
    let redrive = refused(&world, "redriveExecution", json!({"ExecutionArn": first})).await;
    assert_eq!(redrive, ("ExecutionNotRedrivable".into(), "State machine is in DELETING status".into()));
    assert_eq!(of(&first).await, before);
}

/// Those that run are found page by page, also after a restart.
#[tokio::test]
async fn running_executions_are_listed_in_pages() {
    let mut world = World::new();
    let machine = json!({"StateMachineArn": create(&world, "m", &waits(), &json!({})).await["StateMachineArn"]});
    let other = json!({"StateMachineArn": create(&world, "n", &waits(), &json!({})).await["StateMachineArn"]});
    let mut want = Vec::new();
    for n in 0..9 {
        let execution = world.call("startExecution", machine.clone()).await["ExecutionArn"].clone();
        if n % 3 == 0 {
            world.call("stopExecution", json!({"ExecutionArn": execution})).await;
        } else {
            want.push(text(&execution));
        }
    }
    want.sort();
    for restarts in [false, true] {
        if restarts {
            world = world.restarted();
        }
        let (mut found, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut asked = machine.clone();
            asked["StatusFilter"] = json!("RUNNING");
            asked["MaxResults"] = json!(2);
            if token.is_string() {
                asked["NextToken"] = token;
                let mut elsewhere = asked.clone();
                elsewhere["StateMachineArn"] = other["StateMachineArn"].clone();
                assert_eq!(refused(&world, "listExecutions", elsewhere).await.0, "InvalidToken");
            }
            let page = world.call("listExecutions", asked).await;
            let executions = page["Executions"].as_array().unwrap();
            assert!(executions.len() <= 2);
            found.extend(executions.iter().map(|execution| text(&execution["ExecutionArn"])));
            token = page["NextToken"].clone();
            if !token.is_string() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, want);
    }
}

/// A job whose start was answered, but not told yet when the state was left, is stopped.
#[tokio::test]
async fn a_job_that_was_only_just_started_is_stopped() {
    let world = World::new();
    let machine = json!({"StartAt": "J", "States": {"J": {
        "Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "End": true, "Parameters": {"JobName": "cut"},
    }}});
    let execution = world.start(&machine, &json!({})).await;
    world.until(|fakes| fakes.runs.lock().unwrap().len() == 1).await;
    let world = world.asleep();
    let run = world.fakes.runs.lock().unwrap().keys().next().unwrap().clone();
    let task = run.split_once('@').unwrap().1.to_owned();
    world.remember(&task, json!({"JobRunId": run})).await;
    world.call("stopExecution", json!({"ExecutionArn": execution})).await;
    let world = world.restarted();
    world.until(|fakes| fakes.runs.lock().unwrap()[&run] == "STOPPED").await;
}

/// What lay ready for an activity's workers goes with its execution, and with the activity.
#[tokio::test]
async fn nothing_stays_of_tasks_that_no_worker_fetched() {
    let world = World::new();
    let places = async |want: usize| {
        for _ in 0..120_000 {
            if world.places().await == want {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("there are {} and not {want}", world.places().await);
    };
    let activity = world.call("createActivity", json!({"Name": "a"})).await["ActivityArn"].clone();
    let execution = world.start(&works(&activity, &json!({})), &json!({})).await;
    places(1).await;
    world.call("stopExecution", json!({"ExecutionArn": execution})).await;
    places(0).await;
    world.start(&works(&activity, &json!({})), &json!({})).await;
    places(1).await;
    world.call("deleteActivity", json!({"ActivityArn": activity})).await;
    places(0).await;
}

/// What was to take a machine away does nothing to the next one of its name.
#[tokio::test]
async fn a_machine_of_an_old_name_is_left_alone() {
    let world = World::new();
    let made = create(&world, "m", &waits(), &json!({})).await;
    let arn = text(&made["StateMachineArn"]);
    let machine = json!({"StateMachineArn": arn});
    let execution = text(&world.call("startExecution", machine.clone()).await["ExecutionArn"]);
    world.call("deleteStateMachine", machine.clone()).await;
    world.call("stopExecution", json!({"ExecutionArn": execution})).await;
    world.call("deleteStateMachine", machine.clone()).await;

    let waits = json!({"StartAt": "A", "States": {
        "A": {"Type": "Wait", "Seconds": 1, "Next": "B"}, "B": {"Type": "Pass", "End": true},
    }});
    create(&world, "m", &waits, &json!({})).await;
    let start = async || text(&world.call("startExecution", machine.clone()).await["ExecutionArn"]);
    let execution = start().await;
    world.hasten(&format!("{arn}/delete")).await;
    assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED");
    // One that is left all the same looks first whether it is meant.
    let execution = start().await;
    world.enqueue("states:delete", &format!("{arn}/delete"), json!({"arn": arn, "created_ms": 1})).await;
    assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED");
    assert_eq!(world.call("describeStateMachine", machine.clone()).await["Status"], "ACTIVE");
}

#[tokio::test]
async fn tags_are_of_machines_and_activities() {
    let world = World::new();
    let activity = world.call("createActivity", json!({"Name": "a", "Tags": [{"Key": "k", "Value": "1"}]})).await;
    let activity = activity["ActivityArn"].clone();
    world.call("tagResource", json!({"ResourceArn": activity, "Tags": [{"Key": "k", "Value": "2"}]})).await;
    let tags = world.call("listTagsForResource", json!({"ResourceArn": activity})).await["Tags"].clone();
    assert_eq!(tags, json!([{"Key": "k", "Value": "2"}]));
    world.call("untagResource", json!({"ResourceArn": activity, "TagKeys": ["k", "k", "x"]})).await;
    let made = create(&world, "m", &pass(&json!(1)), &json!({"Publish": true})).await;
    let version = json!({"ResourceArn": made["StateMachineVersionArn"], "Tags": [{"Key": "k", "Value": "1"}]});
    assert_eq!(refused(&world, "tagResource", version).await.0, "ResourceNotFound");
    let (_, message) = refused(&world, "describeActivity", json!({"ActivityArn": "abc"})).await;
    assert_eq!(message, "Invalid Arn: 'Invalid ARN prefix: abc'");
}

#[tokio::test]
async fn express_executions_leave_no_record() {
    let world = World::new();
    let invoke = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "OutputPath": "$.Payload", "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 1, "End": true}}});
    let made = create(&world, "m", &invoke, &json!({"Type": "EXPRESS"})).await;
    let start =
        json!({"StateMachineArn": made["StateMachineArn"], "Input": "{\"x\":1}", "Name": "n", "TraceHeader": "t"});
    let reply = world.call("startSyncExecution", start.clone()).await;
    assert_eq!(
        (&reply["Status"], &reply["Output"], &reply["Name"], &reply["TraceHeader"]),
        (&json!("SUCCEEDED"), &json!("{\"x\":1}"), &json!("n"), &json!("t"))
    );
    assert_eq!(reply["BillingDetails"]["BilledMemoryUsedInMB"], 64);
    let failing = json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}});
    let failing = create(&world, "f", &failing, &json!({"Type": "EXPRESS"})).await;
    let failed = world.call("startSyncExecution", json!({"StateMachineArn": failing["StateMachineArn"]})).await;
    assert_eq!(
        (&failed["Status"], &failed["Error"], &failed["Cause"], &failed["Output"]),
        (&json!("FAILED"), &json!("E"), &json!("c"), &Value::Null)
    );
    let included = json!({"Included": true});
    assert_eq!((&failed["InputDetails"], &failed["OutputDetails"]), (&included, &included));
    for operation in ["describeExecution", "getExecutionHistory", "stopExecution", "describeStateMachineForExecution"] {
        let (code, message) = refused(&world, operation, json!({"ExecutionArn": reply["ExecutionArn"]})).await;
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'"),
            "{operation}"
        );
    }
    let listed = refused(&world, "listExecutions", json!({"StateMachineArn": made["StateMachineArn"]})).await;
    assert_eq!(listed.0, "StateMachineTypeNotSupported");
    let standard = create(&world, "s", &pass(&json!(1)), &json!({})).await;
    let refused = refused(&world, "startSyncExecution", json!({"StateMachineArn": standard["StateMachineArn"]})).await;
    assert_eq!(refused.0, "StateMachineTypeNotSupported");
}

#[tokio::test]
async fn an_express_execution_runs_again_from_its_start_after_a_crash() {
    let world = World::new();
    let definition = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": "q", "MessageBody": "m"}, "Next": "W"}, "W": {"Type": "Wait", "Seconds": 1, "Next": "U"},
        "U": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": "q", "MessageBody": "n"}, "End": true}}});
    let made = create(&world, "m", &definition, &json!({"Type": "EXPRESS"})).await;
    world.call("startExecution", json!({"StateMachineArn": made["StateMachineArn"]})).await;
    world.until(|fakes| !fakes.messages.lock().unwrap().is_empty()).await;
    let world = world.restarted();
    world.until(|fakes| fakes.messages.lock().unwrap().iter().filter(|message| *message == "m").count() == 2).await;
    world.until(|fakes| fakes.messages.lock().unwrap().iter().any(|message| message == "n")).await;
}

#[tokio::test]
async fn history_goes_to_the_log() {
    let world = World::new();
    let logs = |level: &str| {
        let group =
            json!({"CloudWatchLogsLogGroup": {"LogGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:g:*"}});
        json!({"LoggingConfiguration": {"Level": level, "IncludeExecutionData": true, "Destinations": [group]}})
    };
    let fails = json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}});
    let types = |world: &World| -> Vec<String> {
        let lines = world.fakes.lines.lock().unwrap();
        lines.iter().map(|(_, line)| text(&serde_json::from_str::<Value>(line).unwrap()["type"])).collect()
    };
    let all = create(&world, "all", &pass(&json!(1)), &logs("ALL")).await;
    world.call("startExecution", json!({"StateMachineArn": all["StateMachineArn"]})).await;
    world.until(|fakes| fakes.lines.lock().unwrap().len() == 4).await;
    assert_eq!(types(&world), ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]);
    assert!(world.fakes.lines.lock().unwrap()[0].0.starts_with("states/all/"));
    let mut express = logs("ERROR");
    express["Type"] = json!("EXPRESS");
    let errors = create(&world, "errors", &fails, &express).await;
    world.call("startSyncExecution", json!({"StateMachineArn": errors["StateMachineArn"]})).await;
    world.until(|fakes| fakes.lines.lock().unwrap().len() == 6).await;
    assert_eq!(types(&world)[4..], ["FailStateEntered", "ExecutionFailed"]);
    let mut missing = logs("ALL");
    missing["LoggingConfiguration"]["Destinations"] = json!([]);
    let mut input = json!({"Name": "x", "Definition": fails.to_string(), "RoleArn": ROLE});
    input.as_object_mut().unwrap().extend(missing.as_object().unwrap().clone());
    let (code, message) = refused(&world, "createStateMachine", input.clone()).await;
    assert_eq!(code, "InvalidLoggingConfiguration");
    assert_eq!(message, "Invalid Logging Configuration: Must specify exactly one Log Destination.");
    // One that is not there, and those of another region and another account.
    for group in
        ["us-east-1:000000000000:log-group:absent", "eu-west-1:000000000000:log-group:g", "us-east-1:1:log-group:g"]
    {
        let group = json!({"CloudWatchLogsLogGroup": {"LogGroupArn": format!("arn:aws:logs:{group}:*")}});
        input["LoggingConfiguration"]["Destinations"] = json!([group]);
        let (_, message) = refused(&world, "createStateMachine", input.clone()).await;
        assert_eq!(message, "Invalid Logging Configuration: Log Destination not found.");
    }
}

#[async_trait]
impl Handle<CreateLogStream> for Fakes {
    async fn handle(&self, _: &Cx, input: CreateLogStreamRequest) -> Result<Empty, Error> {
        if input.log_group_name == "absent" {
            return Err(Error::new("ResourceNotFoundException", 400, "The specified log group does not exist."));
        }
        self.streams.lock().unwrap().insert(input.log_stream_name);
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<PutLogEvents> for Fakes {
    async fn handle(&self, _: &Cx, input: PutLogEventsRequest) -> Result<PutLogEventsResponse, Error> {
        if !self.streams.lock().unwrap().contains(&input.log_stream_name) {
            return Err(Error::new("ResourceNotFoundException", 400, "The specified log stream does not exist."));
        }
        let stream = input.log_stream_name;
        let lines = input.log_events.into_iter().map(|event| (stream.clone(), event.message));
        self.lines.lock().unwrap().extend(lines);
        Ok(PutLogEventsResponse::default())
    }
}
