//! Functions: `lambda:invoke`, and a function's ARN as a Task's resource.

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use service::Cx;

use super::failure::{ErrorStyle, Failure};
use super::{failed_call, with_metadata};

/// `arn:aws:states:::lambda:invoke`: the answer with its payload as JSON.
pub(super) async fn invoke(cx: &Cx, parameters: Value) -> Result<Value, Failure> {
    let Value::Object(mut parameters) = parameters else {
        return Err(Failure::named("States.Runtime", "The Parameters of lambda:invoke must be an object"));
    };
    // None at all, for which a function sees `{}`. Source: a recorded `TestState` of `lambda:invoke`.
    if parameters.get("Payload").is_some_and(Value::is_null) {
        parameters.remove("Payload");
    }
    // A text is taken as the JSON that it holds; everything else is written as JSON.
    if let Some(payload) = parameters.get_mut("Payload").filter(|payload| !payload.is_string()) {
        *payload = Value::String(payload.to_string());
    }
    let answer = cx.call_json("lambda", "invoke", Value::Object(parameters)).await;
    let mut answer = answer.map_err(|error| failed_call(cx, "lambda", "invoke", ErrorStyle::Optimized, &error))?;
    // Here, unlike below, the cause has been read and written again: it has no spaces.
    failed(&answer).map_err(|failure| match jsontext::read::<Value>(&failure.cause) {
        Ok(cause) => Failure { cause: cause.to_string(), ..failure },
        Err(_) => failure,
    })?;
    if let Some(payload) = answer.get_mut("Payload") {
        *payload = parsed(payload)?;
    }
    Ok(with_metadata(cx, answer))
}

/// A function's ARN: the state's input goes in, what the function returns comes out.
pub(super) async fn invoke_directly(cx: &Cx, arn: &str, input: Value) -> Result<Value, Failure> {
    let parameters = json!({ "FunctionName": arn, "Payload": input.to_string() });
    let answer = cx.call_json("lambda", "invoke", parameters).await;
    let answer = answer.map_err(|error| failed_call(cx, "lambda", "invoke", ErrorStyle::Optimized, &error))?;
    failed(&answer)?;
    answer.get("Payload").map_or(Ok(Value::Null), parsed)
}

/// What a function returned. JSON that cannot be held here (numbers beyond a double, too deep a nesting) is not taken for a text.
fn parsed(payload: &Value) -> Result<Value, Failure> {
    let Value::String(text) = payload else { return Ok(payload.clone()) };
    match jsontext::read(text) {
        Ok(value) => Ok(value),
        Err(error) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            let cause = format!("What the function returned cannot be read: {error}");
            Err(Failure::named("States.Runtime", cause))
        }
        Err(_) => Ok(payload.clone()),
    }
}

/// A function that raised: its error's type is the error, the whole answer the cause.
fn failed(answer: &Value) -> Result<(), Failure> {
    if answer.get("FunctionError").is_none_or(Value::is_null) {
        return Ok(());
    }
    let text = answer.get("Payload").and_then(Value::as_str).unwrap_or_default();
    let payload: Map<String, Value> = jsontext::read(text).unwrap_or_default();
    if let Some(kind) = payload.get("errorType").and_then(Value::as_str) {
        return Err(Failure::named(kind, text));
    }
    let cause = format!(
        "The cause could not be determined because Lambda did not return an error type. Returned payload: {text}"
    );
    Err(Failure::named("Lambda.Unknown", cause))
}
