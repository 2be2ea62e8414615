//! TestState.

use serde_json::{Value, json};

use crate::world::{World, text};

async fn tried(world: &World, definition: &Value, more: &Value) -> Result<Value, (String, String)> {
    let mut input = json!({ "Definition": definition.to_string() });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = world.try_call("testState", input).await;
    answer.map_err(|error| (error.code().to_owned(), error.message().to_owned()))
}

fn invoke(more: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "Next": "After"});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    state
}

#[tokio::test]
async fn a_task_without_a_mock_makes_its_call() {
    let world = World::new();
    let role =
        json!({"RoleArn": "arn:aws:iam::000000000000:role/machine", "Input": "{\"x\":1}", "InspectionLevel": "DEBUG"});
    let answer = tried(&world, &invoke(&json!({"OutputPath": "$.Payload"})), &role).await.unwrap();
    assert_eq!((text(&answer["Status"]), text(&answer["Output"])), ("SUCCEEDED".into(), "{\"x\":1}".into()));
    assert_eq!(text(&answer["NextState"]), "After");
    assert_eq!(text(&answer["InspectionData"]["AfterParameters"]), "{\"FunctionName\":\"f\",\"Payload\":{\"x\":1}}");
    assert_eq!(world.fakes.invoked.lock().unwrap().values().sum::<u32>(), 1);
    *world.fakes.failures.lock().unwrap() = 1;
    let answer = tried(&world, &invoke(&json!({})), &role).await.unwrap();
    assert_eq!((text(&answer["Status"]), text(&answer["Error"])), ("FAILED".into(), "Boom".into()));
    let slow = json!({"RoleArn": "arn:aws:iam::000000000000:role/machine", "Input": "{\"sleep\":true}"});
    let answer = tried(&world, &invoke(&json!({"TimeoutSeconds": 1})), &slow).await.unwrap();
    assert_eq!(text(&answer["Error"]), "States.Timeout");
    // Nothing was started.
    let machines = world.call("listStateMachines", json!({})).await;
    assert_eq!(machines["StateMachines"], json!([]));
}

#[tokio::test]
async fn mocks_stand_for_the_call() {
    let world = World::new();
    let mocked = |result: &str, mode: &str| json!({"Mock": {"Result": result, "FieldValidationMode": mode}});
    let answer =
        tried(&world, &invoke(&json!({})), &mocked("{\"Payload\":{\"statusCode\":200}}", "STRICT")).await.unwrap();
    assert_eq!(text(&answer["Output"]), "{\"Payload\":{\"statusCode\":200}}");
    assert!(answer["InspectionData"].is_null());
    let start = json!({"Type": "Task", "Resource": "arn:aws:states:::states:startExecution", "Parameters": {"StateMachineArn": "m"}, "End": true});
    let schema =
        |what: &str| Err(("ValidationException".to_owned(), format!("Mock result schema validation error: {what}")));
    assert_eq!(
        tried(&world, &start, &mocked("{}", "STRICT")).await,
        schema("Required field 'ExecutionArn' is missing")
    );
    assert_eq!(
        tried(&world, &start, &mocked("{\"ExecutionArn\":1}", "PRESENT")).await,
        schema("Field 'ExecutionArn' must be a string")
    );
    assert!(tried(&world, &start, &mocked("{\"ExecutionArn\":1}", "NONE")).await.is_ok());
    let failing = json!({"Mock": {"ErrorOutput": {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate exceeded"}}, "Input": "{\"data\":\"value\"}", "InspectionLevel": "DEBUG"});
    let catch = json!({"Catch": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "ResultPath": "$.error", "Next": "HandleThrottling"}]});
    let answer = tried(&world, &invoke(&catch), &failing).await.unwrap();
    assert_eq!(
        (text(&answer["Status"]), text(&answer["NextState"])),
        ("CAUGHT_ERROR".into(), "HandleThrottling".into())
    );
    assert_eq!(answer["InspectionData"]["ErrorDetails"], json!({"CatchIndex": 0}));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one refusal after the other")]
async fn requests_that_do_not_fit_are_refused() {
    let world = World::new();
    let mock = json!({"Mock": {"Result": "{}"}});
    let pass = json!({"Type": "Pass", "End": true});
    let branch = json!({"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}});
    let parallel = json!({"Type": "Parallel", "Branches": [branch], "End": true});
    let map = json!({"Type": "Map", "ItemProcessor": branch, "End": true});
    let reader = json!({"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}, "ReaderConfig": {"InputType": "JSON"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "B", "States": branch["States"]}, "End": true});
    let mapped = |result: &str, failed: u32| json!({"Input": "[1,2,3]", "Mock": {"Result": result}, "StateConfiguration": {"MapIterationFailureCount": failed}});
    let both = json!({"Mock": {"Result": "{}", "ErrorOutput": {"Error": "E"}}});
    let machine = json!({"StartAt": "P", "States": {"P": pass}});
    for (definition, more, code, message) in [
        (&pass, mock.clone(), "ValidationException", "State type 'Pass' is not supported when a mock is specified"),
        (&parallel, json!({}), "InvalidDefinition", "TestState API does not support Map or Parallel states."),
        (&parallel, mock.clone(), "ValidationException", "Mocked result must be an array."),
        (
            &parallel,
            json!({"Mock": {"Result": "[1,2]"}}),
            "ValidationException",
            "Mocked result must contain the same number of items as number of Parallel branches.",
        ),
        (&map, mapped("[1,2]", 0), "ValidationException", "Input array does not equal the mocked result array's size."),
        (
            &map,
            mapped("[1,2,3]", 4),
            "ValidationException",
            "Map iteration failure count must be less than or equal to the number of Map iterations.",
        ),
        (
            &reader,
            json!({"Mock": {"Result": "[]"}}),
            "ValidationException",
            "ItemReader data must be specified when testing a Map state with ItemReader specified.",
        ),
        (
            &pass,
            json!({"StateConfiguration": {"MapIterationFailureCount": 1}}),
            "ValidationException",
            "MapIterationFailureCount can only be specified when a mock is specified.",
        ),
        (
            &invoke(&json!({})),
            json!({"Mock": {"ErrorOutput": {"Cause": "c"}}}),
            "ValidationException",
            "An error was not specified in the mocked error output.",
        ),
        (&invoke(&json!({})), json!({}), "ValidationException", "RoleArn must be specified when testing a Task state"),
        (&invoke(&json!({})), both, "ValidationException", "A test mock should have only one of the following fields"),
        (
            &invoke(&json!({})),
            json!({"Mock": {"Result": "no"}}),
            "ValidationException",
            "Mocked result must be valid JSON",
        ),
        (&machine, json!({"StateName": "Q"}), "ValidationException", "State not found in definition"),
        (
            &json!({"Type": "Pass"}),
            json!({}),
            "InvalidDefinition",
            "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED",
        ),
        (&pass, json!({"Input": "{"}), "InvalidExecutionInput", "Invalid State Machine Execution Input"),
        (&pass, json!({"Variables": "[]"}), "ValidationException", "Variables must be a valid JSON object"),
        (
            &invoke(&json!({})),
            json!({"Mock": {"Result": "{}"}, "Context": "{\"Map\":{}}"}),
            "ValidationException",
            "Invalid Context object provided: 'Map' field is not supported when mocking a Context object",
        ),
        (
            &invoke(&json!({})),
            json!({"Mock": {"Result": "{}"}, "Context": "{\"State\":{\"Naem\":\"S\"}}"}),
            "ValidationException",
            "Invalid Context object provided: Field 'Naem' is not allowed",
        ),
        (
            &invoke(&json!({})),
            json!({"Mock": {"Result": "{}"}, "Context": "{\"State\":{\"RetryCount\":\"1\"}}"}),
            "ValidationException",
            "Invalid Context object provided: State.RetryCount must be a integer",
        ),
    ] {
        let (found, said) = tried(&world, definition, &more).await.unwrap_err();
        assert_eq!(found, code, "{definition} {more}: {said}");
        assert!(said.starts_with(message), "{definition} {more}: {said}");
    }
    let found = tried(&world, &machine, &json!({"StateName": "P", "InspectionLevel": "TRACE"})).await.unwrap();
    assert_eq!(found["InspectionData"]["AfterResultPath"], json!("{}"));
}

#[tokio::test]
async fn a_mock_of_a_map_has_a_result_for_each_iteration() {
    let world = World::new();
    let branch = json!({"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}});
    let mut map = json!({"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": branch, "End": true});
    let mock = |result: &str, failed: u32| {
        json!({"Input": "{\"items\": [1,  2, 3]}", "InspectionLevel": "DEBUG", "Mock": {"Result": result},
            "StateConfiguration": {"MapIterationFailureCount": failed}})
    };
    let answer = tried(&world, &map, &mock("[7,8,9]", 0)).await.unwrap();
    assert_eq!((text(&answer["Status"]), text(&answer["Output"])), ("SUCCEEDED".into(), "[7,8,9]".into()));
    // The items are shown as they were given, with their spaces.
    assert_eq!(answer["InspectionData"]["AfterItemsPath"], "[1,  2, 3]");
    // Beyond what is tolerated the results do not matter.
    map["ToleratedFailureCount"] = json!(1);
    let answer = tried(&world, &map, &mock("[]", 2)).await.unwrap();
    assert_eq!(answer["Error"], "States.ExceedToleratedFailureThreshold");
    for results in ["[7,8,9]", "[7,8]"] {
        assert_eq!(tried(&world, &map, &mock(results, 1)).await.unwrap()["Status"], "SUCCEEDED", "{results}");
    }
}

#[tokio::test]
async fn a_retrier_that_is_used_up_is_still_named() {
    let world = World::new();
    let retry = json!([{"ErrorEquals": ["Other"]}, {"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 3}]);
    let catch = json!([{"ErrorEquals": ["Boom"], "Next": "After"}]);
    let failing = |used: u32| {
        json!({"InspectionLevel": "DEBUG", "StateConfiguration": {"RetrierRetryCount": used},
            "Mock": {"ErrorOutput": {"Error": "Boom"}}})
    };
    for (more, used, status, details) in [
        (json!({"Retry": retry}), 0, "RETRIABLE", json!({"RetryIndex": 1, "RetryBackoffIntervalSeconds": 3})),
        (json!({"Retry": retry}), 1, "FAILED", json!({"RetryIndex": 1})),
        (json!({"Retry": retry, "Catch": catch}), 1, "CAUGHT_ERROR", json!({"RetryIndex": 1, "CatchIndex": 0})),
        (json!({"Catch": catch}), 0, "CAUGHT_ERROR", json!({"CatchIndex": 0})),
    ] {
        let answer = tried(&world, &invoke(&more), &failing(used)).await.unwrap();
        assert_eq!(
            (&answer["Status"], &answer["InspectionData"]["ErrorDetails"]),
            (&json!(status), &details),
            "{more}"
        );
    }
}
