//! Whole executions: a definition, events in, history out.

mod inspect;
mod redrive;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Command, Event, Execution, Status, TaskId, TimerId};
use crate::definition::{Definition, MachineType};
use crate::info::Info;
use crate::payload::Payload;
use crate::time::Timestamp;

/// Runs an execution by hand, storing and loading it between any two events.
struct Bench {
    definition: Arc<Definition>,
    execution: Execution,
    now: Timestamp,
    history: Vec<Value>,
    timers: Vec<(TimerId, Timestamp)>,
    tasks: Vec<(TaskId, String, Value)>,
    outcome: Option<super::Outcome>,
}

impl Bench {
    fn start(definition: &Value, input: &str) -> Self {
        let definition =
            Arc::new(Definition::parse(&definition.to_string(), MachineType::Standard).expect("a valid definition"));
        let info = Info { name: "run".to_owned(), input: Payload::inline(input.to_owned()), ..Info::default() };
        let execution = Execution::new(Arc::clone(&definition), info, [1, 2]);
        let mut bench = Self {
            definition,
            execution,
            now: Timestamp(0),
            history: Vec::new(),
            timers: Vec::new(),
            tasks: Vec::new(),
            outcome: None,
        };
        bench.tell(Event::Started);
        bench
    }

    fn tell(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let mut out = Vec::new();
            self.execution.handle(self.now, event, &mut out);
            for command in out {
                match command {
                    Command::Record(event) => self.history.push(event.to_json(true)),
                    Command::StartTask(task) => {
                        self.tasks.push((task.task, task.resource, task.parameters.value().clone()));
                    }
                    Command::CancelTask { task } => self.tasks.retain(|(known, ..)| *known != task),
                    Command::SetTimer { timer, at } => self.timers.push((timer, at)),
                    Command::ClearTimer { timer } => self.timers.retain(|(known, _)| *known != timer),
                    Command::StartMapRun(_) | Command::StopMapRun { .. } | Command::RedriveMapRun { .. } => {}
                    Command::Continue => next = Some(Event::Continue),
                    Command::Finish(outcome) => self.outcome = Some(outcome),
                }
            }
            self.reload();
        }
    }

    /// Through the records and back, as after a crash.
    fn reload(&mut self) {
        let info = Arc::clone(self.execution.info());
        let root = serde_json::from_str(&serde_json::to_string(&self.execution.root).unwrap()).unwrap();
        let blobs: Vec<Payload> = self
            .execution
            .frames
            .values_mut()
            .flat_map(|frame| frame.payloads_mut().into_iter().map(|p| p.clone()).collect::<Vec<_>>())
            .collect();
        let frames = self
            .execution
            .frames
            .values()
            .map(|frame| {
                let mut frame: super::Frame = serde_json::from_str(&serde_json::to_string(frame).unwrap()).unwrap();
                for payload in frame.payloads_mut() {
                    payload
                        .fetch(|id| {
                            blobs
                                .iter()
                                .find(|blob| blob.blob_id() == Some(id))
                                .map(|blob| blob.text().to_owned())
                                .ok_or("lost")
                        })
                        .unwrap();
                }
                frame
            })
            .collect();
        self.execution = Execution::load(Arc::clone(&self.definition), info, root, frames);
    }

    fn tick(&mut self) {
        let (timer, at) = *self.timers.iter().min_by_key(|(_, at)| *at).expect("a timer is set");
        self.timers.retain(|(known, _)| *known != timer);
        self.now = at;
        self.tell(Event::TimerFired { timer });
    }

    fn redrive(&mut self) {
        self.outcome = None;
        self.tell(Event::Redriven);
    }

    fn succeed(&mut self, output: &Value) {
        let (task, ..) = self.tasks.remove(0);
        self.tell(Event::TaskSucceeded { task, output: output.to_string() });
    }

    fn fail(&mut self, error: &str) {
        let (task, ..) = self.tasks.remove(0);
        self.tell(Event::TaskFailed { task, error: Some(error.to_owned()), cause: Some("why".to_owned()) });
    }

    fn types(&self) -> Vec<&str> {
        self.history.iter().filter_map(|event| event["type"].as_str()).collect()
    }

    fn links(&self) -> Vec<(u64, u64)> {
        self.history
            .iter()
            .filter_map(|event| Some((event["id"].as_u64()?, event["previousEventId"].as_u64()?)))
            .collect()
    }

    fn output(&self) -> Value {
        let outcome = self.outcome.as_ref().expect("finished");
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        outcome.output.as_ref().unwrap().value().clone()
    }

    fn failure(&self) -> (String, String) {
        let outcome = self.outcome.as_ref().expect("finished");
        assert_eq!(outcome.status, Status::Failed);
        (outcome.error.clone().unwrap_or_default(), outcome.cause.clone().unwrap_or_default())
    }
}

fn task(more: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "End": true});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut states = json!({"T": state});
    if more.get("Catch").is_some() {
        states["After"] = json!({"Type": "Pass", "End": true});
    }
    json!({"StartAt": "T", "States": states})
}

#[test]
fn pass_moves_data_through_all_its_fields() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "InputPath": "$.in", "Parameters": {"x.$": "$.v", "n.$": "$$.Execution.Name", "k": 1}, "ResultPath": "$.out", "OutputPath": "$.out", "Assign": {"y.$": "$.x"}, "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"got.$": "$", "y.$": "$y"}, "End": true}
    }});
    let bench = Bench::start(&definition, "{\"in\": {\"v\": 2}}");
    assert_eq!(bench.output(), json!({"got": {"x": 2, "n": "run", "k": 1}, "y": 2}));
    assert_eq!(
        bench.types(),
        [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded"
        ]
    );
    assert_eq!(bench.links(), [(1, 0), (2, 0), (3, 2), (4, 3), (5, 4), (6, 5)]);
    assert_eq!(bench.history[1]["stateEnteredEventDetails"]["input"], "{\"in\": {\"v\": 2}}");
    assert_eq!(bench.history[2]["stateExitedEventDetails"]["assignedVariables"], json!({"y": "2"}));
}

#[test]
fn map_links_its_events_as_aws_does() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 1, "ItemSelector": {"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"},
        "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true}}});
    let bench = Bench::start(&definition, "[\"a\", \"b\"]");
    assert_eq!(bench.output(), json!([{"v": "a", "i": 0}, {"v": "b", "i": 1}]));
    // As recorded: an iteration begins where the one before it left off, and the Map's end follows its last iteration.
    let want = [
        (1, 0),
        (2, 0),
        (3, 2),
        (4, 3),
        (5, 4),
        (6, 5),
        (7, 6),
        (8, 6),
        (9, 8),
        (10, 9),
        (11, 10),
        (12, 11),
        (13, 11),
        (14, 13),
    ];
    assert_eq!(bench.links(), want);
}

#[test]
fn map_of_nothing_and_of_many() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map",
        "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "Next": "Q"}, "Q": {"Type": "Pass", "End": true}}}, "End": true}}});
    assert_eq!(Bench::start(&definition, "[]").output(), json!([]));
    let items: Vec<u32> = (0..1500).collect();
    assert_eq!(Bench::start(&definition, &json!(items).to_string()).output(), json!(items));
    let (error, cause) = Bench::start(&definition, "{}").failure();
    assert_eq!((error.as_str(), cause.contains("must point to array")), ("States.Runtime", true));
    let mut definition = definition;
    for (path, shown) in [("$.a", "$.a"), ("$$", "$"), ("$$.Execution.Name", "$.Execution.Name")] {
        definition["States"]["M"]["ItemsPath"] = json!(path);
        let (_, cause) = Bench::start(&definition, r#"{"a": 1}"#).failure();
        assert!(cause.contains(&format!("Reference path \"{shown}\" must point to array.")), "{cause}");
    }
}

#[test]
fn reference_paths_conflict_with_the_input() {
    let check = |mut state: Value, input: &str, cause: &str| {
        state["End"] = json!(true);
        let mut definition = json!({"StartAt": "S", "States": {"S": state}});
        let place = "An error occurred while executing the state 'S' (entered at the event id #2). ";
        let failed = ("States.ReferencePathConflict".to_owned(), format!("{place}{cause}"));
        assert_eq!(Bench::start(&definition, input).failure(), failed);
        if definition["States"]["S"]["Type"] == "Map" {
            let named = json!([{"ErrorEquals": ["States.ResultPathMatchFailure"], "Next": "After"}]);
            definition["States"]["S"]["Catch"] = named;
            definition["States"]["After"] = json!({"Type": "Pass", "End": true});
            assert_eq!(Bench::start(&definition, input).output()["Error"], "States.ReferencePathConflict");
        }
    };
    let map = |path: &str| json!({"Type": "Map", "ItemsPath": path, "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}});
    check(map("$.a.items"), r#"{"a": {}}"#, r#"Unable to apply step "items" to input {"a": {}}"#);
    check(map("$.items"), "[1]", r#"Unable to apply step "items" to input [1]"#);
    let pass = |path: &str| json!({"Type": "Pass", "Result": 1, "ResultPath": path});
    check(pass("$.a.b"), r#"{"a":"x"}"#, r#"Unable to apply ReferencePath $.a.b to input {"a":"x"}"#);
    check(pass("$.a"), r#""x""#, r#"Unable to apply ReferencePath $.a to input "x""#);
}

#[test]
fn a_failing_item_fails_the_map_which_may_retry_and_catch() {
    let fail = json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Boom", "Cause": "c"}}});
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": fail,
        "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1}], "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$[0]", "Next": "After"}], "End": true},
        "After": {"Type": "Pass", "End": true}}});
    let mut bench = Bench::start(&definition, "[1]");
    bench.tick();
    assert_eq!(bench.output(), json!([{"Error": "Boom", "Cause": "c"}]));
    let want = [
        (1, 0),
        (2, 0),
        (3, 2),
        (4, 3),
        (5, 4),
        (6, 5),
        (7, 5),
        (8, 7),
        (9, 8),
        (10, 9),
        (11, 9),
        (12, 11),
        (13, 12),
        (14, 13),
        (15, 14),
    ];
    assert_eq!(bench.links(), want);
}

#[test]
fn parallel_collects_and_one_failure_ends_the_rest() {
    let branches = json!([
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "End": true}}},
        {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": true}}}
    ]);
    let definition = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": branches, "End": true}}});
    let mut bench = Bench::start(&definition, "{\"a\":1}");
    bench.succeed(&json!("done"));
    bench.tick();
    assert_eq!(bench.output(), json!([{"a": 1}, "done"]));
    let mut bench = Bench::start(&definition, "{}");
    bench.fail("Boom");
    assert_eq!(bench.failure(), ("Boom".to_owned(), "why".to_owned()));
    assert!(bench.timers.is_empty());
    assert!(bench.types().ends_with(&[
        "LambdaFunctionFailed",
        "WaitStateAborted",
        "ParallelStateFailed",
        "ExecutionFailed"
    ]));
}

#[test]
fn retries_grow_up_to_the_cap_and_then_catch_takes_over() {
    let definition = task(&json!({
        "Retry": [{"ErrorEquals": ["A"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 3, "MaxDelaySeconds": 10}],
        "Catch": [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.e", "Next": "After"}]
    }));
    let mut bench = Bench::start(&definition, "{}");
    let mut waits = Vec::new();
    for _ in 0..3 {
        let before = bench.now.0;
        bench.fail("B");
        bench.tick();
        waits.push(bench.now.0 - before);
    }
    assert_eq!(waits, [2000, 6000, 10000]);
    bench.fail("B");
    assert_eq!(bench.output(), json!({"e": {"Error": "B", "Cause": "why"}}));
    let mut bench = Bench::start(&definition, "{}");
    bench.fail("A");
    assert_eq!(bench.output()["e"]["Error"], "A");
}

#[test]
fn jitter_stays_below_the_delay() {
    let definition =
        task(&json!({"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10, "JitterStrategy": "FULL"}]}));
    let mut bench = Bench::start(&definition, "{}");
    bench.fail("B");
    bench.tick();
    assert!((0..10_000).contains(&bench.now.0));
}

#[test]
fn credentials_without_a_role_call_nothing() {
    let path = task(&json!({"Credentials": {"RoleArn.$": "$.role"}}));
    let bench = Bench::start(&path, r#"{"role": "arn:aws:iam::000000000000:role/other"}"#);
    assert_eq!(bench.tasks.len(), 1);
    for (given, shown) in
        [(r#"{"role": 5}"#, "5"), (r#"{"role": null}"#, "null"), (r#"{"role": {"a": 1}}"#, r#"{"a":1}"#)]
    {
        let bench = Bench::start(&path, given);
        assert!(bench.tasks.is_empty(), "{given}");
        let outcome = bench.outcome.unwrap();
        assert_eq!(outcome.error.as_deref(), Some("States.Runtime"));
        assert!(outcome.cause.unwrap().ends_with(&format!("a value that is no string: {shown}")), "{given}");
    }
    let query = json!({"QueryLanguage": "JSONata", "StartAt": "T", "States": {"T": {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "End": true,
        "Credentials": {"RoleArn": "{% $states.input.role %}"},
    }}});
    let bench = Bench::start(&query, r#"{"role": 5}"#);
    assert!(bench.tasks.is_empty());
    let outcome = bench.outcome.unwrap();
    assert_eq!(outcome.error.as_deref(), Some("States.QueryEvaluationError"));
    assert!(outcome.cause.unwrap().ends_with("Expected 'string', but was 'number' for value: 5"));
    assert_eq!(Bench::start(&query, r#"{"role": "r"}"#).tasks.len(), 1);
}

#[test]
fn timeouts_cancel_the_task_and_can_be_caught() {
    let definition =
        task(&json!({"TimeoutSecondsPath": "$.t", "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "After"}]}));
    let mut bench = Bench::start(&definition, "{\"t\":5}");
    assert_eq!(bench.history[2]["taskScheduledEventDetails"]["timeoutInSeconds"], 5);
    bench.tick();
    assert!(bench.tasks.is_empty());
    assert_eq!(bench.output(), json!({"Error": "States.Timeout", "Cause": ""}));
    assert_eq!(
        bench.history[4]["taskTimedOutEventDetails"],
        json!({"resourceType": "lambda", "resource": "invoke", "error": "States.Timeout"})
    );
    let late = Event::TaskSucceeded { task: TaskId { frame: 0, sequence: 1 }, output: "1".to_owned() };
    let events = bench.history.len();
    bench.tell(late);
    assert_eq!(bench.history.len(), events);
}

#[test]
fn times_out_of_range_fail_their_states() {
    let wait = |fields: &Value| {
        let mut state = json!({"Type": "Wait", "End": true});
        state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"StartAt": "W", "States": {"W": state}})
    };
    for (definition, input, error) in [
        (task(&json!({"TimeoutSecondsPath": "$.t"})), r#"{"t":0}"#, "States.Runtime"),
        (task(&json!({"TimeoutSecondsPath": "$.t"})), r#"{"t":100000000}"#, "States.Runtime"),
        (wait(&json!({"SecondsPath": "$.t"})), r#"{"t":100000000}"#, "States.Runtime"),
        (
            wait(&json!({"QueryLanguage": "JSONata", "Seconds": "{% $states.input.t %}"})),
            r#"{"t":1000000000000000}"#,
            "States.QueryEvaluationError",
        ),
    ] {
        let (found, cause) = Bench::start(&definition, input).failure();
        assert!(found == error && cause.contains("out of range"), "{found}: {cause}");
    }
    assert!(Bench::start(&wait(&json!({"SecondsPath": "$.t"})), r#"{"t":99999999}"#).outcome.is_none());
}

#[test]
fn heartbeats_put_the_timeout_off() {
    let definition = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "HeartbeatSeconds": 5, "Parameters": {"t.$": "$$.Task.Token"}, "Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "After"}], "End": true},
        "After": {"Type": "Pass", "End": true}}});
    let mut bench = Bench::start(&definition, "{}");
    let task = bench.tasks[0].0;
    assert_eq!(bench.tasks[0].2["t"], json!(bench.execution.token(task)));
    assert_eq!(Execution::read_token(&bench.execution.token(task)).unwrap().1, task);
    bench.now = Timestamp(4000);
    bench.tell(Event::TaskHeartbeat { task });
    bench.tick();
    assert_eq!(bench.now, Timestamp(9000));
    assert_eq!(bench.output()["Error"], "States.Timeout");
}

/// Source: API Reference, `Cause`: 32,768 characters; Developer Guide, quotas: 256 KiB between states.
#[test]
fn what_catch_passes_on_is_bounded() {
    let failed = |bench: &Bench| Event::TaskFailed {
        task: bench.tasks[0].0,
        error: Some("E".to_owned()),
        cause: Some("é".repeat(3 << 20)),
    };
    let definition = task(&json!({"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "After"}]}));
    let mut bench = Bench::start(&definition, r#"{"a":1}"#);
    bench.tell(failed(&bench));
    assert_eq!(bench.output(), json!({"a": 1, "e": {"Error": "E", "Cause": "é".repeat(32_768)}}));
    let large = json!({ "a": "x".repeat(210_000) }).to_string();
    let mut bench = Bench::start(&definition, &large);
    bench.tell(failed(&bench));
    assert_eq!(bench.failure().0, "States.DataLimitExceeded");
}

#[test]
fn the_whole_execution_times_out_and_stops() {
    let mut definition =
        json!({"TimeoutSeconds": 3, "StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9, "End": true}}});
    let mut bench = Bench::start(&definition, "{}");
    bench.tick();
    assert_eq!(bench.outcome.as_ref().unwrap().status, Status::TimedOut);
    assert!(bench.types().ends_with(&["WaitStateEntered", "ExecutionTimedOut"]));
    assert!(bench.timers.is_empty());
    definition["TimeoutSeconds"] = json!(30);
    let mut bench = Bench::start(&definition, "{}");
    bench.tell(Event::StopRequested { error: Some("E".to_owned()), cause: None });
    assert!(bench.types().ends_with(&["WaitStateEntered", "ExecutionAborted"]));
    assert!(bench.timers.is_empty());
    let last = bench.history.last().unwrap();
    assert_eq!((&last["previousEventId"], &last["executionAbortedEventDetails"]), (&json!(0), &json!({"error": "E"})));
}

#[test]
fn runtime_errors_name_the_state_and_are_not_caught_by_all() {
    let definition = task(&json!({"InputPath": "$.none", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}]}));
    let (error, cause) = Bench::start(&definition, "{}").failure();
    assert_eq!(error, "States.Runtime");
    assert_eq!(
        cause,
        "An error occurred while executing the state 'T' (entered at the event id #2). Invalid path '$.none' : No results for path: $['none']"
    );
}

#[test]
fn choice_takes_the_first_rule_that_holds() {
    let definition = json!({"StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [
            {"And": [{"Variable": "$.a", "IsPresent": true}, {"Not": {"Variable": "$.a", "NumericLessThan": 3}}], "Next": "Big"},
            {"Variable": "$.s", "StringMatches": "x*", "Next": "Text"}]},
        "Big": {"Type": "Succeed"}, "Text": {"Type": "Pass", "Result": "t", "End": true}}});
    assert_eq!(Bench::start(&definition, "{\"a\":3}").output(), json!({"a": 3}));
    assert_eq!(Bench::start(&definition, "{\"a\":1,\"s\":\"xy\"}").output(), json!("t"));
    assert_eq!(Bench::start(&definition, "{\"a\":1,\"s\":\"y\"}").failure().0, "States.NoChoiceMatched");
    let (error, cause) = Bench::start(&definition, "{}").failure();
    assert_eq!(error, "States.Runtime");
    assert!(cause.ends_with("Invalid path '$.s': The choice state's condition path references an invalid value."));
}

#[test]
fn large_payloads_travel_as_blobs_and_too_large_ones_fail() {
    let big = "x".repeat(20_000);
    let mut bench = Bench::start(&task(&json!({})), "{}");
    bench.succeed(&json!(big));
    assert_eq!(bench.output(), json!(big));
    let mut bench = Bench::start(&task(&json!({})), "{}");
    bench.succeed(&json!("x".repeat(300_000)));
    assert_eq!(bench.failure().0, "States.DataLimitExceeded");
}

#[test]
fn what_states_are_given_is_bounded_too() {
    let large = json!({"l": "x".repeat(200_000)}).to_string();
    let twice = json!({"a.$": "$.l", "b.$": "$.l"});
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    for state in [
        json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": twice}),
        json!({"Type": "Parallel", "Branches": [pass], "Parameters": twice}),
        json!({"Type": "Map", "ItemsPath": "$$.Execution.Input.items", "ItemProcessor": pass, "ItemSelector": twice}),
    ] {
        let mut state = state;
        state["End"] = json!(true);
        let is_map = state["Type"] == "Map";
        if is_map {
            state["ItemsPath"] = json!("$.items");
            state["ItemSelector"] = json!({"a.$": "$.l", "b.$": "$.l"});
        }
        let definition = json!({"StartAt": "S", "States": {"S": state}});
        let input = if is_map { json!({"l": "x".repeat(200_000), "items": [1]}).to_string() } else { large.clone() };
        let (error, cause) = Bench::start(&definition, &input).failure();
        assert_eq!(error, "States.DataLimitExceeded", "{cause}");
    }
}

#[test]
fn definitions_are_refused_in_awss_words() {
    let check = |definition: Value| -> Vec<String> {
        match Definition::parse(&definition.to_string(), MachineType::Standard) {
            Ok(_) => Vec::new(),
            Err(found) => found.iter().map(crate::Diagnostic::sentence).collect(),
        }
    };
    assert_eq!(check(json!({"StartAt": "A"})), ["SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /"]);
    assert_eq!(
        check(
            json!({"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "c"}, "b": {"Type": "Pass", "End": true}}})
        ),
        [
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: c at /States/a/Next",
            "MISSING_TRANSITION_TARGET: State \"b\" is not reachable. at /States/b"
        ]
    );
    assert_eq!(
        check(json!({"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "a"}}})),
        ["MISSING_END_STATE: Workflow has no terminal state at null"]
    );
    let distributed = json!({"StartAt": "m", "States": {"m": {"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "p", "States": {"p": {"Type": "Pass", "End": true}}}}}});
    assert!(check(distributed)[0].contains("These fields are required: [ExecutionType]"));
}

#[test]
fn a_loop_that_never_ends_is_ended_by_its_history() {
    let bench = Bench::start(
        &json!({"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "c"},
            "c": {"Type": "Choice", "Choices": [{"Variable": "$", "IsPresent": true, "Next": "a"}], "Default": "z"},
            "z": {"Type": "Succeed"}}}),
        "{}",
    );
    let cause = "The execution reached the maximum number of history events (25000).";
    assert_eq!(bench.failure(), ("States.Runtime".to_owned(), cause.to_owned()));
    assert_eq!(bench.history.len(), 25_000);
    assert_eq!(bench.types().last(), Some(&"ExecutionFailed"));
}

#[test]
fn jsonata_states_compute_with_their_input_result_and_variables() {
    let bench = Bench::start(
        &json!({"QueryLanguage": "JSONata", "StartAt": "a", "States": {
            "a": {"Type": "Pass", "Output": {"n": "{% $states.input.n + 1 %}", "fixed": " {% no %} "},
                "Assign": {"seen": "{% $states.input.n %}"}, "Next": "m"},
            "m": {"Type": "Map", "Items": "{% [$seen, $states.input.n] %}",
                "ItemSelector": {"i": "{% $states.context.Map.Item.Index %}", "v": "{% $states.context.Map.Item.Value %}"},
                "ItemProcessor": {"StartAt": "p", "States": {"p": {"Type": "Pass", "End": true}}},
                "Output": "{% $states.result.(i + v) %}", "Next": "c"},
            "c": {"Type": "Choice", "Choices": [{"Condition": "{% $sum($states.input) > 3 %}", "Next": "s",
                "Output": {"sum": "{% $sum($states.input) %}"}}]},
            "s": {"Type": "Succeed"}}}),
        r#"{"n": 1}"#,
    );
    assert_eq!(bench.output(), json!({"sum": 4}));
}

#[test]
fn a_failed_evaluation_names_its_field_and_can_be_caught() {
    let mut machine = json!({"QueryLanguage": "JSONata", "StartAt": "t", "States": {
        "t": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "{% $none %}"}, "End": true}}});
    let bench = Bench::start(&machine, "{}");
    let cause = "An error occurred while executing the state 't' (entered at the event id #2). The JSONata expression '$none' \
        specified for the field 'Arguments/FunctionName' returned nothing (undefined).";
    assert_eq!(bench.failure(), ("States.QueryEvaluationError".to_owned(), cause.to_owned()));
    assert_eq!(bench.types(), ["ExecutionStarted", "TaskStateEntered", "EvaluationFailed", "ExecutionFailed"]);
    assert_eq!(bench.links(), [(1, 0), (2, 0), (3, 0), (4, 3)]);
    machine["States"]["t"]["Catch"] = json!([{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "c",
        "Output": "{% $states.errorOutput.Error %}"}]);
    machine["States"]["c"] = json!({"Type": "Succeed"});
    assert_eq!(Bench::start(&machine, "{}").output(), json!("States.QueryEvaluationError"));
}
