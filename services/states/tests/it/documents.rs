//! Documents that others write: halves of surrogate pairs, numbers beyond a double, nesting without end.

use serde_json::{Value, json};

use crate::world::{World, text};
use crate::{invoke, task};

/// What JavaScript writes where a text is cut within an emoji.
const CUT: &str = r#"{"text":"abc\ud83d","id":7}"#;

async fn run(world: &World, definition: &Value, input: &str) -> Value {
    let machine = world.machine(definition).await;
    let started = world.call("startExecution", json!({ "StateMachineArn": machine, "Input": input })).await;
    world.ended(&text(&started["ExecutionArn"])).await
}

fn output(ended: &Value) -> Value {
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    serde_json::from_str(&text(&ended["Output"])).unwrap()
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[tokio::test]
async fn a_text_that_was_cut_within_a_character_loses_nothing_else() {
    let world = World::new();
    let read = json!({ "text": "abc\u{fffd}", "id": 7 });
    let ended = run(&world, &invoke(&json!({ "ResultPath": "$.r" })), CUT).await;
    let made = output(&ended);
    assert_eq!((&made["text"], &made["id"], &made["r"]["Payload"]), (&read["text"], &read["id"], &read));
    assert_eq!(text(&ended["Input"]), CUT);
    let whole = json!({ "Type": "Pass", "Output": "{% $states.input %}", "QueryLanguage": "JSONata", "End": true });
    let whole = json!({ "StartAt": "P", "States": { "P": whole } });
    assert_eq!(output(&run(&world, &whole, CUT).await), read);
    // A function that answers so.
    let parameters = json!({ "FunctionName": "f", "Payload": CUT });
    let called = task("arn:aws:states:::lambda:invoke", &parameters, &json!({ "OutputPath": "$.Payload" }));
    assert_eq!(output(&run(&world, &called, "{}").await), read);
    let parameters = json!({ "FunctionName": "f", "Payload": "[1e400]" });
    let called = task("arn:aws:states:::lambda:invoke", &parameters, &json!({}));
    assert_eq!(run(&world, &called, "{}").await["Error"], "States.Runtime");
}

#[tokio::test]
async fn an_answer_to_a_token_that_was_cut_is_the_result() {
    let world = World::new();
    let parameters = json!({ "QueueUrl": "q", "MessageBody": { "token.$": "$$.Task.Token" } });
    let more = json!({ "ResultPath": "$.r" });
    let waits = task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", &parameters, &more);
    let execution = world.start(&waits, &json!({ "a": 1 })).await;
    world.until(|fakes| !fakes.messages.lock().unwrap().is_empty()).await;
    let message: Value = serde_json::from_str(&world.fakes.messages.lock().unwrap()[0]).unwrap();
    let answer = |output: &str| json!({ "TaskToken": message["token"], "Output": output });
    for bad in ["{\"a\":1e400}", &nested(128)] {
        assert_eq!(world.try_call("sendTaskSuccess", answer(bad)).await.unwrap_err().code(), "InvalidOutput");
    }
    world.call("sendTaskSuccess", answer(CUT)).await;
    let want = json!({ "a": 1, "r": { "text": "abc\u{fffd}", "id": 7 } });
    assert_eq!(output(&world.ended(&execution).await), want);
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_and_never_null() {
    let world = World::new();
    let pass = json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } });
    let machine = world.machine(&pass).await;
    for bad in ["{\"a\":1e400}", &nested(128)] {
        let start = json!({ "StateMachineArn": machine, "Input": bad });
        assert_eq!(world.try_call("startExecution", start).await.unwrap_err().code(), "InvalidExecutionInput");
    }
    let deepest = nested(127);
    assert_eq!(text(&run(&world, &pass, &deepest).await["Output"]), deepest);
    // One more makes it too deep, whoever adds it.
    let one_more = json!({ "Type": "Parallel", "Branches": [pass], "End": true });
    let wrapped = json!({ "Type": "Pass", "Parameters": { "a.$": "$" }, "End": true });
    let aside = json!({ "Type": "Pass", "Assign": { "a.$": "$" }, "End": true });
    let query = "{% $reduce([1..130], function($a, $i) { {'a': $a} }, 1) %}";
    let query = json!({ "Type": "Pass", "QueryLanguage": "JSONata", "Output": query, "End": true });
    for state in [one_more, wrapped, aside, query] {
        let definition = json!({ "StartAt": "S", "States": { "S": state } });
        let ended = run(&world, &definition, &deepest).await;
        assert!(["States.Runtime", "States.QueryEvaluationError"].contains(&&*text(&ended["Error"])), "{ended}");
    }
}
