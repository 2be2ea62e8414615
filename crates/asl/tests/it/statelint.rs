//! The definitions of statelint's tests (`tests/data/statelint.json`) are taken or refused as it says, but where AWS is known to differ;
//! and machines after each section of the language's specification.

use asl::{Definition, MachineType};
use serde_json::{Value, json};

/// Where the verdict is another one here, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("hello-world-with-caught-failures", "its resources are no ARNs, which AWS wants"),
    ("task-with-credentials", "the role is RoleArn, which AWS wants"),
    ("states-array-invocation-leftpad", "a space before a call does no harm, and nothing is known of AWS minding it"),
];

fn problems(definition: &Value) -> Vec<String> {
    match Definition::parse(&definition.to_string(), MachineType::Standard) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(asl::Diagnostic::sentence).collect(),
    }
}

#[test]
fn statelints_own_definitions() {
    // To statelint any URI is a resource; AWS wants an ARN.
    let text = include_str!("../data/statelint.json").replace("foo:bar", "arn:aws:states:::lambda:invoke");
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let found = problems(&case["definition"]);
        let differs = found.is_empty() != (case["valid"] == true);
        if differs != DIFFERENT.iter().any(|(known, _)| *known == name) {
            wrong.push(format!("{name}: valid {}, found {found:?}\n{}", case["valid"], case["definition"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// A machine of one state that ends, and of those that it may name.
fn with(state: &str) -> Value {
    let goes_on = state.contains("\"N\"");
    let state: Value = serde_json::from_str(state).expect("the states below are JSON");
    let end = json!({"Type": "Pass", "End": true});
    let states = if goes_on { json!({"S": state, "N": end}) } else { json!({ "S": state }) };
    json!({"StartAt": "S", "States": states})
}

/// What each section of the specification (states-language.net/spec.html, 2016 to 2024) says that must hold.
#[test]
fn the_specifications_rules() {
    let valid = [
        // States, transitions
        r#"{"Type": "Pass", "Comment": "c", "Next": "N"}"#,
        // Timestamps, paths, reference paths
        r#"{"Type": "Wait", "Timestamp": "2016-03-14T01:59:00Z", "Next": "N"}"#,
        r#"{"Type": "Pass", "InputPath": "$.store\\.book", "OutputPath": "$.a['b c'][0]", "ResultPath": "$.x.y[0]", "End": true}"#,
        // Payload templates, intrinsic functions
        r#"{"Type": "Pass", "Parameters": {"flagged": true, "parts": {"first.$": "$.vals[0]", "l.$": "$.vals[3:]"}, "t.$": "$$.Execution.Id"}, "End": true}"#,
        r#"{"Type": "Pass", "Parameters": {"greeting.$": "States.Format('Welcome to {} {}\\'s playlist.', $.first, $.last)"}, "End": true}"#,
        // Errors, retrying, fallback states
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "TimeoutSeconds": 300, "HeartbeatSeconds": 60, "Retry": [{"ErrorEquals": ["ErrorA", "ErrorB"], "IntervalSeconds": 1, "BackoffRate": 2.0, "MaxAttempts": 2}, {"ErrorEquals": ["States.ALL"]}], "Catch": [{"ErrorEquals": ["java.lang.Exception"], "ResultPath": "$.error-info", "Next": "N"}], "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h", "End": true}"#,
        // Choice
        r#"{"Type": "Choice", "Choices": [{"Not": {"Variable": "$.type", "StringEquals": "Private"}, "Next": "N"}, {"And": [{"Variable": "$.value", "IsPresent": true}, {"Variable": "$.value", "NumericGreaterThanEqualsPath": "$.low"}], "Next": "N"}, {"Variable": "$.file", "StringMatches": "log-*.txt", "Next": "N"}], "Default": "N"}"#,
        // Wait, Succeed, Fail
        r#"{"Type": "Wait", "SecondsPath": "$.s", "End": true}"#,
        r#"{"Type": "Succeed", "InputPath": "$.a"}"#,
        r#"{"Type": "Fail", "Error": "ErrorA", "Cause": "Kaiju attack"}"#,
        r#"{"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{}', $.c)"}"#,
        // Parallel, Map
        r#"{"Type": "Parallel", "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}, {"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}], "Next": "N"}"#,
        r#"{"Type": "Map", "InputPath": "$.detail", "ItemsPath": "$.shipped", "MaxConcurrency": 0, "ItemSelector": {"p.$": "$$.Map.Item.Value", "n.$": "$$.Map.Item.Index"}, "ResultPath": "$.detail.shipped", "ItemProcessor": {"StartAt": "V", "States": {"V": {"Type": "Pass", "End": true}}}, "End": true}"#,
        r#"{"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItems": 10}, "Parameters": {"Bucket": "b", "Key": "k"}}, "ToleratedFailurePercentage": 10, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "V", "States": {"V": {"Type": "Pass", "End": true}}}, "ItemBatcher": {"MaxItemsPerBatch": 5}, "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}, "End": true}"#,
        // JSONata, variables
        r#"{"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"a": "{% $states.input.a + 1 %}", "b": 1}, "Assign": {"x": "{% $states.input %}"}, "End": true}"#,
        r#"{"Type": "Choice", "QueryLanguage": "JSONata", "Choices": [{"Condition": "{% $states.input.x = 1 %}", "Output": 1, "Next": "N"}], "Default": "N"}"#,
        r#"{"Type": "Pass", "Assign": {"x.$": "$.a", "y": 1}, "Next": "N"}"#,
    ];
    for state in valid {
        let found = problems(&with(state));
        assert!(found.is_empty(), "{state}: {found:?}");
    }
    let invalid = [
        r#"{"Type": "Pass"}"#,
        r#"{"Type": "Pass", "Next": "N", "End": true}"#,
        r#"{"Type": "Pass", "Next": "elsewhere"}"#,
        r#"{"Type": "Nonsense", "End": true}"#,
        r#"{"End": true}"#,
        r#"{"Type": "Wait", "Timestamp": "2016-03-14", "End": true}"#,
        r#"{"Type": "Wait", "Seconds": 1, "SecondsPath": "$.s", "End": true}"#,
        r#"{"Type": "Wait", "End": true}"#,
        r#"{"Type": "Wait", "Seconds": -1, "End": true}"#,
        r#"{"Type": "Pass", "InputPath": "a.b", "End": true}"#,
        r#"{"Type": "Pass", "ResultPath": "$.a[*]", "End": true}"#,
        r#"{"Type": "Pass", "Parameters": {"a.$": "no path"}, "End": true}"#,
        r#"{"Type": "Pass", "Parameters": {"a.$": "States.Nonsense($.a)"}, "End": true}"#,
        r#"{"Type": "Task", "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "TimeoutSeconds": 10, "TimeoutSecondsPath": "$.t", "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}], "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "Retry": [{"ErrorEquals": ["States.ALL", "A"]}], "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 0}], "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "Retry": [{"ErrorEquals": ["A"], "BackoffRate": 0.5}], "End": true}"#,
        r#"{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {}, "Catch": [{"ErrorEquals": ["A"]}], "End": true}"#,
        r#"{"Type": "Choice", "Choices": []}"#,
        r#"{"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": "b"}]}"#,
        r#"{"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": 1, "Next": "N"}]}"#,
        r#"{"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": "a", "NumericEquals": 1, "Next": "N"}]}"#,
        r#"{"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": "b", "Next": "N"}], "End": true}"#,
        r#"{"Type": "Succeed", "End": true}"#,
        r#"{"Type": "Fail", "End": true}"#,
        r#"{"Type": "Fail", "InputPath": "$.a"}"#,
        r#"{"Type": "Parallel", "End": true}"#,
        r#"{"Type": "Parallel", "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "N"}}}], "Next": "N"}"#,
        r#"{"Type": "Map", "End": true}"#,
        r#"{"Type": "Pass", "QueryLanguage": "JSONata", "Parameters": {}, "End": true}"#,
        r#"{"Type": "Pass", "Output": 1, "End": true}"#,
        r#"{"Type": "Pass", "Assign": {"states": 1}, "End": true}"#,
        r#"{"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% 1 + %}", "End": true}"#,
    ];
    let taken: Vec<_> = invalid.into_iter().filter(|state| problems(&with(state)).is_empty()).collect();
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}
