//! What is wrong with definitions, in AWS's words where they are known.

use serde_json::{Value, json};

use crate::definition::{Definition, MachineType};

fn problems(definition: &Value) -> Vec<String> {
    let found = Definition::parse(&definition.to_string(), MachineType::Standard).err().unwrap_or_default();
    found.iter().map(crate::Diagnostic::sentence).collect()
}

/// A machine of one state that ends, and what is said of it.
fn check(state: Value, wanted: &[&str]) {
    let mut state = state;
    if !matches!(state["Type"].as_str(), Some("Choice" | "Succeed" | "Fail")) && state.get("Next").is_none() {
        state["End"] = json!(true);
    }
    let machine = json!({"StartAt": "S", "States": {"S": state, "Z": {"Type": "Pass", "End": true}}});
    let found: Vec<String> =
        problems(&machine).into_iter().filter(|text| !text.contains("\"Z\" is not reachable")).collect();
    assert_eq!(found, wanted, "{machine}");
}

#[test]
fn fields_belong_to_kinds_and_languages() {
    for (field, kind) in [("TimeoutSeconds", "Map"), ("Catch", "Pass"), ("Retry", "Wait"), ("Foo", "Task")] {
        let mut state = match kind {
            "Map" => {
                json!({"Type": "Map", "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}})
            }
            "Task" => json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage"}),
            "Wait" => json!({"Type": "Wait", "Seconds": 1}),
            _ => json!({"Type": kind}),
        };
        state[field] = json!([]);
        check(state, &[&format!("SCHEMA_VALIDATION_FAILED: Field '{field}' is not supported at /States/S")]);
    }
    check(
        json!({"Type": "Pass", "Output": "{% 1 %}"}),
        &[
            "SCHEMA_VALIDATION_FAILED: The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/S",
        ],
    );
    check(
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Parameters": {}}),
        &[
            "SCHEMA_VALIDATION_FAILED: The QueryLanguage is set to 'JSONata', but field 'Parameters' is only supported for the 'JSONPath' QueryLanguage at /States/S",
        ],
    );
    let mut machine =
        json!({"QueryLanguage": "JSONata", "StartAt": "S", "Extra": 1, "States": {"S": {"Type": "Pass", "End": true}}});
    assert_eq!(problems(&machine), ["SCHEMA_VALIDATION_FAILED: Field 'Extra' is not supported at /"]);
    machine["QueryLanguage"] = json!("jq");
    machine.as_object_mut().unwrap().remove("Extra");
    assert_eq!(
        problems(&machine),
        [
            "SCHEMA_VALIDATION_FAILED: The field 'QueryLanguage' should have one of these values: [JSONPath, JSONata] at /QueryLanguage"
        ]
    );
    check(
        json!({"Type": "Map", "QueryLanguage": "JSONata",
            "ItemProcessor": {"QueryLanguage": "JSONata", "StartAt": "P", "States": {"P": {"Type": "Pass", "Output": 1, "End": true}}}}),
        &[
            "SCHEMA_VALIDATION_FAILED: Field 'QueryLanguage' is not supported at /States/S/ItemProcessor",
            "SCHEMA_VALIDATION_FAILED: The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/S/ItemProcessor/States/P",
        ],
    );
}

#[test]
fn the_error_output_is_there_for_catchers_only() {
    let mut task = json!({"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::sqs:sendMessage",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput.Error %}", "Next": "Z"}]});
    check(task.clone(), &[]);
    task["Arguments"] = json!({"a": ["{% $states.errorOutput %}"]});
    check(
        task,
        &["UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.errorOutput' does not exist. at /States/S/Arguments/a[0]"],
    );
}

#[test]
fn expressions_must_parse_and_have_no_context_item() {
    for (text, wanted) in [
        ("1 +", "INVALID_JSONATA_EXPRESSION: Unexpected end of expression"),
        ("\"unterminated", "INVALID_JSONATA_EXPRESSION: String literal must be terminated by a matching quote"),
        ("phone", "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported."),
        ("[1, a.b]", "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'a' at the top level is not supported."),
        ("$$", "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '$$' at the top level is not supported."),
        ("$states.foo", "UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.foo' does not exist."),
    ] {
        let state = json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"v": format!("{{% {text} %}}")}});
        check(state, &[&format!("{wanted} at /States/S/Output/v")]);
    }
    for text in
        ["$states.input.a[b > 1].c", "$map([1], function($v) { $v })", "$x.{'a': b}", "($y := 1; $y)", "[1..3].($ + 1)"]
    {
        let state = json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": format!("{{% {text} %}}")});
        check(state, &[]);
    }
}

#[test]
fn paths_and_times_have_a_form() {
    check(
        json!({"Type": "Pass", "OutputPath": "Test"}),
        &["SCHEMA_VALIDATION_FAILED: Value must be a valid JSONPath. at /States/S/OutputPath"],
    );
    check(
        json!({"Type": "Wait", "Timestamp": "2016-12-05"}),
        &["SCHEMA_VALIDATION_FAILED: String does not match RFC3339 timestamp at /States/S/Timestamp"],
    );
    let choice = |rule: Value| {
        let mut rule = rule;
        rule["Next"] = json!("Z");
        json!({"Type": "Choice", "Choices": [rule], "Default": "Z"})
    };
    for (rule, wanted) in [
        (
            json!({"Variable": "Test", "IsNull": true}),
            "Value is not a Reference Path: Reference path didn't start with '$' at /States/S/Choices[0]/Variable",
        ),
        (json!({"Variable": "$.a", "StringLike": "x"}), "Field 'StringLike' is not supported at /States/S/Choices[0]"),
        (
            json!({"Variable": "$.a", "StringMatchesPath": "$.x"}),
            "Field 'StringMatchesPath' is not supported at /States/S/Choices[0]",
        ),
        (
            json!({"Not": {"Variable": "$.a", "NumericEquals": "1"}}),
            "Expected value of type Numeric at /States/S/Choices[0]/Not/NumericEquals",
        ),
        (
            json!({"And": [{"Variable": "$.a", "IsNull": 1}]}),
            "Expected value of type Boolean at /States/S/Choices[0]/And[0]/IsNull",
        ),
        (
            json!({"Condition": "{% true %}", "Variable": "$.a", "IsNull": true}),
            "The QueryLanguage is set to 'JSONPath', but field 'Condition' is only supported for the 'JSONata' QueryLanguage at /States/S/Choices[0]",
        ),
    ] {
        check(choice(rule), &[&format!("SCHEMA_VALIDATION_FAILED: {wanted}")]);
    }
}

#[test]
fn words_of_the_language_are_listed_where_another_stands() {
    check(
        json!({"Type": "TypeThatDoesNotExist"}),
        &[
            "SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/S/Type",
        ],
    );
    check(
        json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Retry": [{"ErrorEquals": ["A"], "JitterStrategy": "HALF"}]}),
        &[
            "SCHEMA_VALIDATION_FAILED: The field 'JitterStrategy' should have one of these values: [FULL, NONE] at /States/S/Retry[0]/JitterStrategy",
        ],
    );
}

#[test]
fn handlers_name_all_errors_alone_and_last() {
    let task = |retry: Value| json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Retry": retry});
    check(task(json!([{"ErrorEquals": ["A"]}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 0}])), &[]);
    check(
        task(json!([{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}])),
        &[
            "SCHEMA_VALIDATION_FAILED: States.ALL must appear alone and at end of list at /States/S/Retry[0]/ErrorEquals[0]",
        ],
    );
    check(
        task(json!([{"ErrorEquals": ["States.ALL", "A"]}])),
        &[
            "SCHEMA_VALIDATION_FAILED: States.ALL must appear alone and at end of list at /States/S/Retry[0]/ErrorEquals[0]",
        ],
    );
}

#[test]
fn names_are_unique_and_variables_of_one_scope() {
    let machine = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"v": 1, "states": 2}, "Next": "M"},
        "M": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Pass", "Assign": {"v": 2}, "End": true}}}}}});
    assert_eq!(
        problems(&machine),
        ["SCHEMA_VALIDATION_FAILED: Variable name 'states' is not valid at /States/A/Assign"]
    );
    let mut machine = machine;
    machine["States"]["A"]["Assign"] = json!({"v": 1});
    assert_eq!(
        problems(&machine),
        [
            "DUPLICATE_STATE_NAME: Duplicate State name: A at /States/M/ItemProcessor/States/A",
            "SCHEMA_VALIDATION_FAILED: Variable 'v' is already assigned in an outer scope at /States/M/ItemProcessor/States/A/Assign",
        ]
    );
}

#[test]
fn variables_are_told_by_the_states_that_read_them() {
    let machine = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Parameters": {"x.$": "States.Format('{}{}', $b, $a.c)", "y": "$no"}, "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Not": {"Variable": "$c", "IsNull": true}, "Next": "C"}], "Default": "C"},
        "C": {"Type": "Pass", "End": true}}});
    let definition = Definition::parse(&machine.to_string(), MachineType::Standard).unwrap();
    assert_eq!(json!(definition.variable_references()), json!({"A": ["a", "b"], "B": ["c"]}));
}

#[test]
fn hostile_definitions_are_refused_in_bounded_time() {
    let parse = |text: &str| Definition::parse(text, MachineType::Standard).err().unwrap_or_default()[0].code;
    assert_eq!(parse(&" ".repeat(10_000_000)), "SCHEMA_VALIDATION_FAILED");
    assert_eq!(parse(&"[".repeat(1_000_000)), "INVALID_JSON_DESCRIPTION");
    let mut body = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    for depth in 0..30 {
        let name = format!("M{depth}");
        body = json!({"StartAt": name, "States": {name.clone(): {"Type": "Map", "ItemProcessor": body, "End": true}}});
    }
    assert_eq!(parse(&body.to_string()), "TOO_DEEPLY_NESTED");
    let unicode = json!({"StartAt": "状态 \u{1F600}", "States": {"状态 \u{1F600}": {"Type": "Pass", "End": true}}});
    assert!(problems(&unicode).is_empty());
}

#[test]
fn numbers_have_bounds_and_labels_a_form() {
    let task = |fields: Value| {
        let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage"});
        task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        task
    };
    for (fields, wanted) in [
        (json!({"TimeoutSeconds": 0}), "Minimum value is 1 at /States/S/TimeoutSeconds"),
        (json!({"TimeoutSeconds": 100_000_000}), "Maximum value is 99999999 at /States/S/TimeoutSeconds"),
        (json!({"HeartbeatSeconds": "x"}), "Expected value of type Integer at /States/S/HeartbeatSeconds"),
        (
            json!({"TimeoutSeconds": 5, "HeartbeatSeconds": 5}),
            "'HeartbeatSeconds' must be smaller than 'TimeoutSeconds' at /States/S",
        ),
        (
            json!({"Retry": [{"ErrorEquals": ["E"], "IntervalSeconds": 0}]}),
            "Minimum value is 1 at /States/S/Retry[0]/IntervalSeconds",
        ),
        (
            json!({"Resource": "arn:aws:lambda:us-east-1:000000000000:layer:l"}),
            "Value is not a valid resource ARN at /States/S/Resource",
        ),
    ] {
        check(task(fields), &[&format!("SCHEMA_VALIDATION_FAILED: {wanted}")]);
    }
    check(task(json!({"TimeoutSeconds": 6, "HeartbeatSeconds": 5})), &[]);
    let map = |label: &str| {
        json!({"Type": "Map", "Label": label, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}})
    };
    check(map("a/b"), &[]);
    for (label, wanted) in [
        ("", "Label cannot be empty"),
        ("a b", "Label contains invalid character: ' '"),
        (&"x".repeat(41), "Label cannot exceed 40 characters"),
    ] {
        check(map(label), &[&format!("INVALID_LABEL_NAME: {wanted} at /States/S/Label")]);
    }
    let read = |config: Value| {
        let mut map = map("l");
        map["ItemReader"] = json!({"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config});
        map
    };
    let wanted = "SCHEMA_VALIDATION_FAILED: The field 'InputType' should have one of these values: \
        [CSV, JSON, JSONL, PARQUET, MANIFEST] at /States/S/ItemReader/ReaderConfig/InputType";
    check(read(json!({"InputType": "XML"})), &[wanted]);
}

#[test]
fn credentials_are_a_role_and_nothing_else() {
    let task = |credentials: Value| json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Credentials": credentials});
    let query = |credentials: Value| {
        let mut task = task(credentials);
        task["QueryLanguage"] = json!("JSONata");
        task
    };
    let role = "arn:aws:iam::000000000000:role/r";
    for valid in [
        task(json!({"RoleArn": role})),
        task(json!({"RoleArn.$": "$.role"})),
        task(json!({"RoleArn.$": "States.Format('arn:aws:iam::{}:role/r', $.account)"})),
        query(json!({"RoleArn": role})),
        query(json!({"RoleArn": "{% $states.input.role %}"})),
    ] {
        check(valid, &[]);
    }
    let place = "at /States/S/Credentials";
    let missing = format!("SCHEMA_VALIDATION_FAILED: These fields are required: [RoleArn] {place}");
    let unknown = |name: &str| format!("SCHEMA_VALIDATION_FAILED: Field '{name}' is not supported {place}");
    check(task(json!({})), &[&missing]);
    check(query(json!({})), &[&missing]);
    check(task(json!({"RoleArn": role, "Other": 1})), &[&unknown("Other")]);
    check(task(json!({"roleArn": role})), &[&unknown("roleArn"), &missing]);
    check(query(json!({"RoleArn.$": "$.role"})), &[&unknown("RoleArn.$"), &missing]);
    check(
        task(json!({"RoleArn": 1})),
        &[&format!("SCHEMA_VALIDATION_FAILED: Expected value of type String {place}/RoleArn")],
    );
    check(task(json!("role")), &[&format!("SCHEMA_VALIDATION_FAILED: Expected value of type Object {place}")]);
}

#[test]
fn express_children_do_not_wait_for_jobs_or_tokens() {
    let check = |execution_type: &str, resource: &str, after: &str, want: &[&str]| {
        let machine = format!(
            r#"{{"StartAt":"M","States":{{"M":{{"Type":"Map","ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED",
                "ExecutionType":"{execution_type}"}},"StartAt":"T","States":{{"T":{{"Type":"Task","Resource":"{resource}","End":true}}}}}},
                "Next":"After"}},"After":{{"Type":"Task","Resource":"{after}","End":true}}}}}}"#
        );
        let found = Definition::parse(&machine, MachineType::Standard).err().unwrap_or_default();
        assert_eq!(found.iter().map(crate::Diagnostic::sentence).collect::<Vec<_>>(), want);
        // What was accepted once still runs.
        assert!(Definition::parse_accepted(&machine).is_ok());
    };
    let at = "at /States/M/ItemProcessor/States/T/Resource";
    let said = "SCHEMA_VALIDATION_FAILED: Express state machine does not support";
    let (job, token) = ("arn:aws:states:::glue:startJobRun.sync", "arn:aws:states:::sqs:sendMessage.waitForTaskToken");
    let activity = "arn:aws:states:us-east-1:000000000000:activity:a";
    // The machine itself may wait behind its Map.
    check("STANDARD", job, token, &[]);
    check("EXPRESS", "arn:aws:states:::sqs:sendMessage", job, &[]);
    check("EXPRESS", job, job, &[&format!("{said} '.sync' service integration {at}")]);
    check("EXPRESS", token, token, &[&format!("{said} '.waitForTaskToken' service integration  {at}")]);
    check("EXPRESS", activity, activity, &[&format!("{said} Activity ARN {at}")]);
}

#[test]
fn express_executions_have_no_distributed_maps() {
    let map = |execution_type: &str, state: &Value| {
        let config = json!({"Mode": "DISTRIBUTED", "ExecutionType": execution_type});
        json!({"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": config, "StartAt": "S", "States": {"S": state}}})
    };
    let found = |state: &Value, kind: MachineType| {
        let machine = json!({"StartAt": "M", "States": {"M": state}}).to_string();
        Definition::parse(&machine, kind)
            .err()
            .unwrap_or_default()
            .iter()
            .map(crate::Diagnostic::sentence)
            .collect::<Vec<_>>()
    };
    let said = |place: &str| {
        format!(
            "SCHEMA_VALIDATION_FAILED: Express state machine does not support Map states in DISTRIBUTED mode at {place}/ItemProcessor/ProcessorConfig/Mode"
        )
    };
    let pass = json!({"Type": "Pass", "End": true});
    let one = map("EXPRESS", &pass);
    assert_eq!(found(&one, MachineType::Standard), [""; 0]);
    assert_eq!(found(&one, MachineType::Express), [said("/States/M")]);
    let mut inner = map("STANDARD", &pass);
    inner["ItemProcessor"]["StartAt"] = json!("T");
    inner["ItemProcessor"]["States"] = json!({"T": pass});
    assert_eq!(found(&map("STANDARD", &inner), MachineType::Standard), [""; 0]);
    assert_eq!(found(&map("EXPRESS", &inner), MachineType::Standard), [said("/States/M/ItemProcessor/States/S")]);
}

#[test]
fn express_machines_do_not_wait_for_jobs_or_tokens() {
    let found = |resource: &str| {
        let task = json!({"Type": "Task", "Resource": resource, "End": true});
        let machine = json!({"StartAt": "S", "States": {"S": task}}).to_string();
        let found = Definition::parse(&machine, MachineType::Express).err().unwrap_or_default();
        found.iter().map(crate::Diagnostic::sentence).collect::<Vec<_>>()
    };
    let said = "SCHEMA_VALIDATION_FAILED: Express state machine does not support";
    for (resource, want) in [
        ("glue:startJobRun.sync", format!("{said} '.sync' service integration at /States/S/Resource")),
        ("states:startExecution.sync:2", format!("{said} '.sync:2' service integration at /States/S/Resource")),
        // With two spaces, as AWS has it.
        (
            "sqs:sendMessage.waitForTaskToken",
            format!("{said} '.waitForTaskToken' service integration  at /States/S/Resource"),
        ),
    ] {
        assert_eq!(found(&format!("arn:aws:states:::{resource}")), [want]);
    }
    assert!(found("arn:aws:states:::sqs:sendMessage").is_empty());
}
