//! Executions that are made to do harm end with AWS's errors, in bounded time and memory, and others go on beside them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::invoke;
use crate::world::{World, text};

/// Generous: without optimisation, and beside other tests.
const BOUND: Duration = Duration::from_mins(2);
const FULL: &str = "The execution reached the maximum number of history events (25000).";
const TOO_LARGE: &str =
    "The state/task 'T' returned a result with a size exceeding the maximum number of bytes service limit.";

fn one(state: &Value) -> Value {
    let mut state = state.clone();
    state["End"] = json!(true);
    json!({"StartAt": "T", "States": {"T": state}})
}

fn jsonata(expression: &str) -> Value {
    let state = json!({"Type": "Pass", "Output": format!("{{% {expression} %}}")});
    let mut machine = one(&state);
    machine["QueryLanguage"] = json!("JSONata");
    machine
}

/// What a machine comes to: error and cause, or output.
async fn end(world: &World, definition: &Value, input: &Value) -> (String, String) {
    let began = Instant::now();
    let execution = world.start(definition, input).await;
    let described = loop {
        let described = world.call("describeExecution", json!({ "ExecutionArn": execution })).await;
        if described["Status"] != "RUNNING" {
            break described;
        }
        assert!(began.elapsed() < BOUND, "{definition:.300}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let shown = |field: &str| described[field].as_str().unwrap_or_default().to_owned();
    if described["Status"] == "SUCCEEDED" { (String::new(), shown("Output")) } else { (shown("Error"), shown("Cause")) }
}

async fn events(world: &World, execution: &str) -> u64 {
    let last = json!({"ExecutionArn": execution, "MaxResults": 1, "ReverseOrder": true});
    world.call("getExecutionHistory", last).await["Events"][0]["Id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_fills_its_history_while_others_run() {
    let world = World::new();
    let endless = json!({"StartAt": "P", "States": {
        "P": {"Type": "Pass", "Parameters": {"text.$": "States.Format('{}{}', $.text, 'x')"}, "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.text", "StringEquals": "", "Next": "S"}], "Default": "P"},
        "S": {"Type": "Succeed"}}});
    let looping = world.start(&endless, &json!({"text": "x".repeat(1000)})).await;
    let quick = world.machine(&one(&json!({"Type": "Pass"}))).await;
    let began = Instant::now();
    for n in 0..1000 {
        let started = world
            .call("startExecution", json!({"StateMachineArn": quick, "Name": format!("n{n}"), "Input": "{}"}))
            .await;
        let described = world.ended(&text(&started["ExecutionArn"])).await;
        assert_eq!(described["Status"], "SUCCEEDED");
    }
    assert!(began.elapsed() < BOUND);
    let described = loop {
        let described = world.call("describeExecution", json!({ "ExecutionArn": looping })).await;
        if described["Status"] != "RUNNING" {
            break described;
        }
        assert!(began.elapsed() < BOUND);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (text(&described["Status"]), text(&described["Error"]), text(&described["Cause"])),
        ("FAILED".into(), "States.Runtime".into(), FULL.into())
    );
    assert_eq!(events(&world, &looping).await, 25_000);
}

/// Each turn is cut short several times, and what goes on with it is a task of one name; nothing else happens meanwhile.
#[tokio::test]
async fn a_long_turn_goes_on_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::at(&folder.path().join("t.db"));
    let endless = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": true, "Next": "S"}], "Default": "P"},
        "S": {"Type": "Succeed"}}});
    assert_eq!(end(&world, &endless, &json!({})).await, ("States.Runtime".into(), FULL.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fans_out_too_far_fills_its_history() {
    let world = World::new();
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let items: Vec<u8> = vec![1; 100_000];
    let map = one(&json!({"Type": "Map", "ItemProcessor": pass}));
    assert_eq!(end(&world, &map, &json!(items)).await, ("States.Runtime".into(), FULL.into()));
    // Each item would be given the whole input.
    let map =
        one(&json!({"Type": "Map", "ItemSelector": {"all.$": "$", "n.$": "$$.Map.Item.Index"}, "ItemProcessor": pass}));
    let (error, _) = end(&world, &map, &json!(items)).await;
    assert_eq!(error, "States.DataLimitExceeded");
    let branch = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Pass", "End": true}}});
    let branches: Vec<Value> = (0..1000).map(|n| branch(&format!("P{n}"))).collect();
    let parallel = one(&json!({"Type": "Parallel", "Branches": branches}));
    let (error, output) = end(&world, &parallel, &json!({})).await;
    assert_eq!((error, output.len()), (String::new(), 3001));
    let mut count = 0;
    let mut inner = || {
        count += 1;
        let branches: Vec<Value> = (0..100).map(|n| branch(&format!("P{count}_{n}"))).collect();
        let name = format!("B{count}");
        json!({"StartAt": name, "States": {name: {"Type": "Parallel", "Branches": branches, "End": true}}})
    };
    let branches: Vec<Value> = (0..130).map(|_| inner()).collect();
    let (error, cause) = end(&world, &one(&json!({"Type": "Parallel", "Branches": branches})), &json!({})).await;
    assert_eq!((error.as_str(), cause.as_str()), ("States.Runtime", FULL));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_over_the_limit_is_told_in_awss_words() {
    let world = World::new();
    let pass = world.machine(&one(&json!({"Type": "Pass"}))).await;
    let large = format!("\"{}\"", "x".repeat(262_143));
    let input = json!({"StateMachineArn": pass, "Input": large});
    let error = world.try_call("startExecution", input).await.unwrap_err();
    assert_eq!(error.code(), "ValidationException");
    assert!(error.message().contains("262144"), "{}", error.message());
    // 262,144 characters of three bytes each.
    let wide = format!("\"{}\"", "状".repeat(100_000));
    let error = world.try_call("startExecution", json!({"StateMachineArn": pass, "Input": wide})).await.unwrap_err();
    assert_eq!(error.code(), "ValidationException");
    let most = format!("\"{}\"", "x".repeat(262_142));
    assert_eq!(end(&world, &one(&json!({"Type": "Pass"})), &json!("x".repeat(262_142))).await.1, most);
    let doubled = one(&json!({"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}}));
    let limit = ("States.DataLimitExceeded".to_owned(), TOO_LARGE.to_owned());
    assert_eq!(end(&world, &doubled, &json!("x".repeat(140_000))).await, limit);
    let mut task = invoke(&json!({}));
    task["States"]["T"]["Parameters"] = json!({"FunctionName": "large", "Payload": {}});
    let of_task = (limit.0, limit.1.replace("'T'", "'lambda'"));
    assert_eq!(end(&world, &task, &json!({})).await, of_task);
    let caught = json!([{"ErrorEquals": ["States.ALL"], "Next": "C"}]);
    task["States"]["T"]["Catch"] = caught;
    task["States"]["C"] = json!({"Type": "Pass", "Result": "caught", "End": true});
    assert_eq!(end(&world, &task, &json!({})).await, (String::new(), "\"caught\"".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_without_end_fail_their_states() {
    let world = World::new();
    for expression in [
        "$sum([1..10000000])",
        "[1..1000000000]",
        "$pad('x', 2000000000)",
        "($f := function($x) { $f($x + 1) }; $f(1))",
        "($f := function($x) { 1 + $f($x) }; $f(1))",
        "$reduce([1..40], function($a, $i) { $a & $a }, 'xxxxxxxx')",
        "$map([1..100000], function($i) { $states.input })",
        "$string([1..800000])",
        "$split($pad('', 400000, 'a,'), ',') ~> $join('-----')",
    ] {
        let began = Instant::now();
        let (error, cause) = end(&world, &jsonata(expression), &json!("x".repeat(200_000))).await;
        println!("{:?} {expression}", began.elapsed());
        let known = ["States.QueryEvaluationError", "States.DataLimitExceeded"];
        assert!(known.contains(&error.as_str()), "{expression}: {error:?} {cause:.200}");
    }
    let input = json!({"t": "a".repeat(100_000), "l": (0..9000).map(|n| json!({"n": n})).collect::<Vec<_>>()});
    let (_, output) = end(&world, &jsonata("$count($match($states.input.t & 'b', /(a|aa)+$/))"), &input).await;
    assert_eq!(output, "0");
    for path in ["$..*..*..*", "$.l[?(@.n in $..n)]", "$..[?(@..n == $..n)]"] {
        let definition = one(&json!({"Type": "Pass", "Parameters": {"found.$": path}}));
        let (error, cause) = end(&world, &definition, &input).await;
        assert!(["", "States.DataLimitExceeded"].contains(&error.as_str()), "{path}: {error} {cause:.200}");
    }
    let pattern = one(&json!({"Type": "Pass", "Parameters": {"found.$": "$[?(@.t =~ /(a+)+b/)]"}}));
    assert_eq!(end(&world, &pattern, &input).await.1, "{\"found\":[]}");
    let many: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("m{n}.$"), json!("$"))).collect();
    let definition = one(&json!({"Type": "Pass", "Parameters": many}));
    assert_eq!(end(&world, &definition, &input).await, ("States.DataLimitExceeded".into(), TOO_LARGE.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_are_taken_or_refused_in_bounded_time() {
    let world = World::new();
    let began = Instant::now();
    let create = async |definition: String| {
        let input = json!({"Name": "m", "Definition": definition, "RoleArn": "arn:aws:iam::000000000000:role/r"});
        world.try_call("createStateMachine", input).await.map(|_| ()).map_err(|error| error.code().to_owned())
    };
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(1000), close.repeat(1000));
    for refused in [
        format!("{{\"Comment\":\"{}\"}}", "x".repeat(10 << 20)),
        deep("{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Parallel\",\"End\":true,\"Branches\":[", "]}}}"),
        deep("[", "]"),
        format!(r#"{{"StartAt":"A","States":{{"A":{{"Type":"Pass","End":true,"Result":{}}}}}}}"#, deep("[", "]")),
        String::new(),
        "\u{0}".to_owned(),
        r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":NaN,"End":true}}}"#.to_owned(),
        r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":1e400,"End":true}}}"#.to_owned(),
        r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"A"}}}"#.to_owned(),
        one(&json!({"Type": "Pass", "InputPath": format!("${}", "[?(@".repeat(50_000))})).to_string(),
        one(&json!({"Type": "Pass", "Parameters": {"a.$": "States.Array(".repeat(50_000)}})).to_string(),
    ] {
        let code = create(refused.clone()).await.expect_err(&refused[..refused.len().min(80)]);
        assert!(["InvalidDefinition", "ValidationException"].contains(&code.as_str()), "{code}: {refused:.80}");
        let report = world.try_call("validateStateMachineDefinition", json!({ "Definition": refused })).await;
        assert!(report.is_err() || report.unwrap()["Result"] == "FAIL", "{refused:.80}");
    }
    let names = json!({"StartAt": "状態 😀 \u{202e}", "States": {"状態 😀 \u{202e}": {"Type": "Pass", "Next": "é'\"\\"}, "é'\"\\": {"Type": "Succeed"}}});
    assert_eq!(end(&world, &names, &json!(1)).await, (String::new(), "1".into()));
    assert!(began.elapsed() < BOUND);
}

#[tokio::test]
async fn tokens_of_others_answer_nothing_else() {
    let world = World::new();
    let parameters = json!({"QueueUrl": "q", "MessageBody": {"token.$": "$$.Task.Token"}});
    let definition =
        crate::task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", &parameters, &json!({"TimeoutSeconds": 600}));
    let mut tokens = Vec::new();
    let mut executions = Vec::new();
    for n in 1..=3 {
        executions.push(world.start(&definition, &json!({})).await);
        world.until(|fakes| fakes.messages.lock().unwrap().len() == n).await;
        let message: Value = serde_json::from_str(world.fakes.messages.lock().unwrap().last().unwrap()).unwrap();
        tokens.push(text(&message["token"]));
    }
    let code = async |token: &str| {
        let answer = world.try_call("sendTaskSuccess", json!({"TaskToken": token, "Output": "\"mine\""})).await;
        answer.err().map(|error| error.code().to_owned())
    };
    // Halves of two tokens, a token with something behind it, none at all.
    let half = tokens[0].len() / 2;
    for forged in [
        format!("{}{}", &tokens[0][..half], &tokens[1][half..]),
        format!("{}A", tokens[0]),
        tokens[0][1..].to_owned(),
        "A".repeat(100_000),
        "é".to_owned(),
    ] {
        let code = code(&forged).await.unwrap();
        assert!(["InvalidToken", "ValidationException"].contains(&code.as_str()), "{code}");
    }
    world.call("stopExecution", json!({ "ExecutionArn": executions[0] })).await;
    assert_eq!(code(&tokens[0]).await.as_deref(), Some("TaskTimedOut"));
    let large = json!({"TaskToken": tokens[1], "Output": format!("\"{}\"", "x".repeat(300_000))});
    let refused = world.try_call("sendTaskSuccess", large).await.unwrap_err();
    assert!(["InvalidOutput", "ValidationException"].contains(&refused.code()), "{refused}");
    assert_eq!(code(&tokens[1]).await, None);
    assert_eq!(text(&world.ended(&executions[1]).await["Output"]), "\"mine\"");
    let third = world.call("describeExecution", json!({ "ExecutionArn": executions[2] })).await;
    assert_eq!(third["Status"], "RUNNING");
}
