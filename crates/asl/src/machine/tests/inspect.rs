//! Single states under test.

use serde_json::{Value, json};

use crate::info::Info;
use crate::machine::{Inspection, Pending, StateTest, TestSetup, TestStatus, Tested, TestedState};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp(1_000);

fn begin(state: &Value, setup: TestSetup) -> StateTest {
    let state = TestedState::parse(&state.to_string(), None).expect("a valid state").expect("it is there");
    StateTest::begin(state, Info { execution_arn: "a:express:m:n".to_owned(), ..Info::default() }, setup, NOW, [1, 2])
}

fn with(input: &Value) -> TestSetup {
    TestSetup { input: input.to_string(), ..TestSetup::default() }
}

fn tested(state: &Value, input: &Value) -> Tested {
    begin(state, with(input)).tested().expect("it ends at once")
}

fn mocked(state: &Value, setup: TestSetup, result: &Value) -> Tested {
    let mut test = begin(state, setup);
    if !matches!(test.pending(), Pending::Ended) {
        test.succeed(NOW, result.to_string());
    }
    test.tested().expect("it ends with its result")
}

fn failed(state: &Value, setup: TestSetup, error: &str) -> Tested {
    let mut test = begin(state, setup);
    test.fail(NOW, Some(error.to_owned()), Some("why".to_owned()));
    test.tested().expect("it ends with its failure")
}

/// What was seen, without what was not.
fn seen(seen: &Inspection) -> Value {
    let texts = [
        ("input", &seen.input),
        ("afterInputPath", &seen.after_input_path),
        ("afterParameters", &seen.after_parameters),
        ("afterArguments", &seen.after_arguments),
        ("result", &seen.result),
        ("afterResultSelector", &seen.after_result_selector),
        ("afterResultPath", &seen.after_result_path),
        ("afterItemsPath", &seen.after_items_path),
        ("afterItemsPointer", &seen.after_items_pointer),
        ("afterItemSelector", &seen.after_item_selector),
        ("afterItemBatcher", &seen.after_item_batcher),
        ("variables", &seen.variables),
    ];
    let parsed = texts.into_iter().filter_map(|(name, text)| {
        let value: Value = serde_json::from_str(text.as_ref()?).expect("JSON");
        Some((name.to_owned(), value))
    });
    Value::Object(parsed.collect())
}

fn text(tested: &Tested) -> &str {
    tested.output.as_ref().map_or("", |output| output.text())
}

#[test]
fn a_pass_shows_each_step_of_its_data() {
    let state = json!({"Type": "Pass", "InputPath": "$.payload", "Parameters": {"data": 1}, "ResultPath": "$.result", "OutputPath": "$.result.data", "Next": "Another State"});
    let found = tested(&state, &json!({"payload": {"foo": "bar"}}));
    assert_eq!(
        seen(&found.seen),
        json!({"input": {"payload": {"foo": "bar"}}, "afterInputPath": {"foo": "bar"}, "afterParameters": {"data": 1}, "afterResultSelector": {"data": 1}, "afterResultPath": {"payload": {"foo": "bar"}, "result": {"data": 1}}})
    );
    assert_eq!(
        (found.status, text(&found), found.next.as_deref()),
        (TestStatus::Succeeded, "1", Some("Another State"))
    );
    let found = tested(&json!({"Type": "Pass", "Assign": {"a": 1}, "End": true}), &json!({}));
    assert_eq!((seen(&found.seen)["variables"].clone(), found.next), (json!({"a": 1}), None));
}

#[test]
fn states_that_end_at_once() {
    let choice = json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 2, "Next": "Two"}]});
    let found = tested(&choice, &json!({"n": 2}));
    assert_eq!((found.status, found.next.as_deref()), (TestStatus::Succeeded, Some("Two")));
    let found = tested(&choice, &json!({"n": 3}));
    assert_eq!((found.status, found.error.as_deref()), (TestStatus::Failed, Some("States.NoChoiceMatched")));
    let fail = json!({"Type": "Fail", "Error": "E", "CausePath": "$.why"});
    let found = tested(&fail, &json!({"why": "so"}));
    assert_eq!((found.error.as_deref(), found.cause.as_deref()), (Some("E"), Some("so")));
    assert_eq!(seen(&found.seen), json!({"input": {"why": "so"}, "afterInputPath": {"why": "so"}}));
    let mut wait = begin(&json!({"Type": "Wait", "Seconds": 5, "Next": "N"}), with(&json!([])));
    assert!(matches!(wait.pending(), Pending::Wait(Timestamp(6_000))));
    wait.wake(Timestamp(6_000));
    assert_eq!(wait.tested().unwrap().next.as_deref(), Some("N"));
    // Where an execution says in which state and at which event, a test does not.
    let found = tested(&json!({"Type": "Pass", "InputPath": "$.absent", "End": true}), &json!({}));
    assert!(!found.cause.unwrap().contains("entered at the event"));
}

#[test]
fn a_task_shows_its_call_and_its_result() {
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName.$": "$.f"}, "ResultSelector": {"got.$": "$.Payload", "in.$": "$$.Execution.Input"}, "ResultPath": "$.r", "End": true});
    let mut setup = with(&json!({"f": "fn"}));
    setup.context = Some(json!({"Execution": {"Input": 7}}));
    let test = begin(&state, setup.clone());
    assert!(
        matches!(test.pending(), Pending::Task(start) if start.parameters.value() == &json!({"FunctionName": "fn"}))
    );
    let found = mocked(&state, setup, &json!({"Payload": 1}));
    assert_eq!(
        seen(&found.seen),
        json!({"input": {"f": "fn"}, "afterInputPath": {"f": "fn"}, "afterParameters": {"FunctionName": "fn"}, "result": {"Payload": 1}, "afterResultSelector": {"got": 1, "in": 7}, "afterResultPath": {"f": "fn", "r": {"got": 1, "in": 7}}})
    );
    let state = json!({"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "fn"}, "End": true});
    let mut setup = with(&json!({}));
    setup.variables.insert("v".to_owned(), json!("fn"));
    let found = mocked(&state, setup, &json!(3));
    assert_eq!(
        seen(&found.seen),
        json!({"input": {}, "afterArguments": {"FunctionName": "fn"}, "result": 3, "variables": {"v": "fn"}})
    );
    assert_eq!(text(&found), "3");
}

#[test]
fn a_result_of_its_own_hides_what_a_pass_was_given() {
    let state = json!({"Type": "Pass", "InputPath": "$.a", "Result": {"k": 1}, "ResultPath": "$.r", "End": true});
    let found = tested(&state, &json!({"a": 1}));
    assert_eq!(
        seen(&found.seen),
        json!({"input": {"a": 1}, "result": {"k": 1}, "afterResultSelector": {"k": 1}, "afterResultPath": {"a": 1, "r": {"k": 1}}})
    );
}

#[test]
fn only_what_a_state_has_is_shown() {
    let branches = json!([{"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}]);
    let parallel = json!({"Type": "Parallel", "Branches": branches, "End": true});
    let (input, result) = (json!({"a": 1}), json!([7]));
    let merged = json!({"afterResultSelector": [7], "afterResultPath": [7]});
    let with_more = |more: Value| {
        let mut all = merged.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let found = mocked(&parallel, with(&input), &result);
    assert_eq!(seen(&found.seen), with_more(json!({"input": {"a": 1}})));
    let mut given = parallel.clone();
    given["Parameters"] = json!({"p": 1});
    let found = mocked(&given, with(&input), &result);
    assert_eq!(seen(&found.seen), with_more(json!({"input": {"a": 1}, "afterParameters": {"p": 1}})));
    let mut query = parallel;
    query["QueryLanguage"] = json!("JSONata");
    let found = mocked(&query, with(&input), &result);
    assert_eq!(seen(&found.seen), json!({"input": {"a": 1}}));
    query["Arguments"] = json!({"p": "{% $states.input.a %}"});
    let found = mocked(&query, with(&input), &result);
    assert_eq!(seen(&found.seen), json!({"input": {"a": 1}, "afterArguments": {"p": 1}}));
    // No Arguments, none shown.
    let task =
        json!({"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::lambda:invoke", "End": true});
    let found = mocked(&task, with(&input), &json!(3));
    assert_eq!(seen(&found.seen), json!({"input": {"a": 1}, "result": 3}));
    let pass = json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": 1, "End": true});
    assert_eq!(seen(&tested(&pass, &input).seen), json!({"input": {"a": 1}}));
}

#[test]
fn failures_meet_retriers_and_catchers() {
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"}, "End": true,
        "Retry": [{"ErrorEquals": ["Other"]}, {"ErrorEquals": ["Boom"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 2.0}],
        "Catch": [{"ErrorEquals": ["Other"], "Next": "O"}, {"ErrorEquals": ["Boom"], "ResultPath": "$.error", "Next": "B"}]});
    let mut setup = with(&json!({"data": "value"}));
    setup.retries = 1;
    let found = failed(&state, setup.clone(), "Boom");
    assert_eq!(
        (found.status, found.error.as_deref(), found.output.is_none()),
        (TestStatus::Retriable, Some("Boom"), true)
    );
    assert_eq!((found.seen.retry_index, found.seen.retry_backoff_seconds), (Some(1), Some(4.0)));
    setup.retries = 3;
    let found = failed(&state, setup.clone(), "Boom");
    assert_eq!(
        (found.status, found.seen.catch_index, found.next.as_deref()),
        (TestStatus::CaughtError, Some(1), Some("B"))
    );
    assert_eq!(found.output.unwrap().value(), &json!({"data": "value", "error": {"Error": "Boom", "Cause": "why"}}));
    assert_eq!((found.error.as_deref(), found.cause.as_deref()), (Some("Boom"), Some("why")));
    let found = failed(&state, setup, "Third");
    assert_eq!((found.status, found.next, found.seen.catch_index), (TestStatus::Failed, None, None));
}

#[test]
fn a_map_is_tested_without_its_iterations() {
    let processor = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let state = json!({"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 3, "ToleratedFailureCount": 1,
        "ItemSelector": {"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}, "ItemProcessor": processor, "End": true,
        "Catch": [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "H"}]});
    let mut setup = with(&json!({"items": ["a", "b"]}));
    let found = mocked(&state, setup.clone(), &json!([1, 2]));
    assert_eq!((found.status, text(&found)), (TestStatus::Succeeded, "[1,2]"));
    let looked = seen(&found.seen);
    assert_eq!(looked["afterItemsPath"], json!(["a", "b"]));
    assert_eq!(looked["afterItemSelector"], json!([{"v": "a", "i": 0}, {"v": "b", "i": 1}]));
    assert_eq!((found.seen.max_concurrency, found.seen.tolerated_failure_count), (Some(3), Some(1)));
    setup.failed_iterations = 2;
    let found = mocked(&state, setup, &json!([1, 2]));
    assert_eq!((found.status, found.next.as_deref()), (TestStatus::CaughtError, Some("H")));
    assert_eq!(found.cause.as_deref(), Some("The specified tolerated failure threshold was exceeded"));
    let found = mocked(&state, with(&json!({"items": 1})), &json!([]));
    assert_eq!((found.error.as_deref(), found.seen.max_concurrency), (Some("States.Runtime"), None));
}

#[test]
fn a_map_goes_over_what_its_reader_is_said_to_read() {
    let mut state = json!({"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}, "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/a", "MaxItems": 3}}, "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"all.$": "$"}}, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true});
    let reads = |items| TestSetup { items: Some(items), ..with(&json!(0)) };
    let found = mocked(&state, reads(Ok(vec![json!(1), json!(2), json!(3), json!(4)])), &json!([]));
    let (pointed, batches) = (&seen(&found.seen)["afterItemsPointer"], &seen(&found.seen)["afterItemBatcher"]);
    assert_eq!(*pointed, json!([1, 2, 3]));
    assert_eq!(
        *batches,
        json!([{"BatchInput": {"all": 0}, "Items": [1, 2]}, {"BatchInput": {"all": 0}, "Items": [3]}])
    );
    let found = mocked(&state, reads(Err("no JSON".to_owned())), &json!([]));
    assert_eq!((found.error.as_deref(), found.cause.as_deref()), (Some("States.ItemReaderFailed"), Some("no JSON")));
    let found = mocked(&state, with(&json!(0)), &json!([]));
    assert_eq!((found.status, &seen(&found.seen)["afterItemsPath"]), (TestStatus::Succeeded, &Value::Null));
    state["ItemBatcher"] = json!({"MaxInputBytesPerBatch": 16});
    let found = mocked(&state, reads(Ok(vec![json!(1), json!(22), json!(3)])), &json!([]));
    assert_eq!(seen(&found.seen)["afterItemBatcher"], json!([{"Items": [1, 22]}, {"Items": [3]}]));
}

#[test]
fn failed_iterations_are_held_against_the_items_there_are() {
    let state = json!({"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% $states.input %}", "ToleratedFailurePercentage": 40, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true});
    let fails = |failed_iterations| TestSetup { failed_iterations, ..with(&json!([1, 2, 3, 4, 5])) };
    assert_eq!(mocked(&state, fails(2), &json!([])).status, TestStatus::Succeeded);
    let found = mocked(&state, fails(3), &json!([]));
    assert_eq!(found.error.as_deref(), Some("States.ExceedToleratedFailureThreshold"));
}

#[test]
fn a_state_is_found_in_its_machine() {
    let machine = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": {"StartAt": "P", "States": {
        "P": {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}, "Next": "Q"}, "Q": {"Type": "Pass", "End": true}}}, "End": true}}})
    .to_string();
    let state = TestedState::parse(&machine, Some("P")).unwrap().unwrap();
    let test = StateTest::begin(state, Info::default(), with(&json!("x")), NOW, [1, 2]);
    let found = test.tested().unwrap();
    assert_eq!((text(&found), found.next.as_deref()), (r#"{"i":0,"v":"x"}"#, Some("Q")));
    assert!(TestedState::parse(&machine, Some("M")).unwrap().unwrap().contains("Q"));
    assert!(TestedState::parse(&machine, Some("Z")).unwrap().is_none());
}
