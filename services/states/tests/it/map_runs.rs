//! Distributed Maps: where items come from, what children are given, where results go, what survives.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::{World, text};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:echo";

/// A machine of one Distributed Map, `fields` added to it.
pub(crate) fn map(fields: &Value) -> Value {
    let mut state = json!({
        "Type": "Map",
        "Label": "Each",
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": "P",
            "States": { "P": { "Type": "Pass", "End": true } },
        },
        "End": true,
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        state[name] = value.clone();
    }
    json!({ "StartAt": "M", "States": { "M": state } })
}

/// The same with children that call a function.
pub(crate) fn calling(fields: &Value) -> Value {
    let mut machine = map(fields);
    machine["States"]["M"]["ItemProcessor"]["States"]["P"] =
        json!({ "Type": "Task", "Resource": FUNCTION, "End": true });
    machine
}

pub(crate) fn reader(input_type: &str, key: &str, config: &Value) -> Value {
    let mut reader = json!({
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": { "InputType": input_type },
        "Parameters": { "Bucket": "in", "Key": key },
    });
    for (name, value) in config.as_object().into_iter().flatten() {
        reader["ReaderConfig"][name] = value.clone();
    }
    reader
}

pub(crate) fn writer() -> Value {
    json!({ "Resource": "arn:aws:states:::s3:putObject", "Parameters": { "Bucket": "out", "Prefix": "results" } })
}

async fn output(world: &World, machine: &Value, input: &Value) -> Value {
    let execution = world.start(machine, input).await;
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    serde_json::from_str(&text(&ended["Output"])).unwrap()
}

pub(crate) async fn map_run(world: &World, execution: &str) -> Value {
    let runs = world.call("listMapRuns", json!({ "ExecutionArn": execution })).await;
    world.call("describeMapRun", json!({ "MapRunArn": runs["MapRuns"][0]["MapRunArn"] })).await
}

#[tokio::test]
async fn the_states_own_items_run_as_executions() {
    let world = World::new();
    let machine = map(
        &json!({ "ItemsPath": "$.l", "ItemSelector": { "v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index", "k.$": "$.k" } }),
    );
    let execution = world.start(&machine, &json!({ "l": ["a", "b"], "k": 7 })).await;
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Output"], r#"[{"v":"a","i":0,"k":7},{"v":"b","i":1,"k":7}]"#);
    assert_eq!(
        world.history(&execution).await,
        [
            "ExecutionStarted",
            "MapStateEntered",
            "MapStateStarted",
            "MapRunStarted",
            "MapRunSucceeded",
            "MapStateSucceeded",
            "MapStateExited",
            "ExecutionSucceeded"
        ]
    );
    let run = map_run(&world, &execution).await;
    let counts = json!({
        "Pending": 0, "Running": 0, "Succeeded": 2, "Failed": 0, "TimedOut": 0, "Aborted": 0, "Total": 2,
        "ResultsWritten": 0, "FailuresNotRedrivable": 0, "PendingRedrive": 0,
    });
    assert_eq!((&run["Status"], &run["ItemCounts"], &run["ExecutionCounts"]), (&json!("SUCCEEDED"), &counts, &counts));
    let arn = text(&run["MapRunArn"]);
    assert!(arn.contains(":mapRun:") && arn.contains("/Each:"), "{arn}");

    let children = world.call("listExecutions", json!({ "MapRunArn": arn })).await;
    let children = children["Executions"].as_array().unwrap();
    assert_eq!(children.len(), 2);
    let child = &children[0];
    assert!(text(&child["ExecutionArn"]).contains("/Each:"), "{child}");
    assert_eq!((&child["MapRunArn"], &child["ItemCount"]), (&json!(arn), &json!(1)));
    let child = world.call("describeExecution", json!({ "ExecutionArn": child["ExecutionArn"] })).await;
    assert_eq!((&child["MapRunArn"], &child["Status"]), (&json!(arn), &json!("SUCCEEDED")));
    let machine = json!({ "ExecutionArn": child["ExecutionArn"] });
    let machine = world.call("describeStateMachineForExecution", machine).await;
    assert_eq!((&machine["Label"], &machine["MapRunArn"]), (&json!("Each"), &json!(arn)));
    assert!(text(&machine["StateMachineArn"]).ends_with("/Each"), "{machine}");
    let runs = world.call("listMapRuns", json!({ "ExecutionArn": execution })).await;
    assert_eq!(runs["MapRuns"][0]["StateMachineArn"], machine["StateMachineArn"]);
    // Children are no executions of the machine's own list.
    let own = world.call("listExecutions", json!({ "StateMachineArn": ended["StateMachineArn"] })).await;
    assert_eq!(own["Executions"].as_array().unwrap().len(), 1);
    for (filter, count) in [("REDRIVEN", 0), ("NOT_REDRIVEN", 2)] {
        let listed = world.call("listExecutions", json!({ "MapRunArn": arn, "RedriveFilter": filter })).await;
        assert_eq!(listed["Executions"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn a_map_is_described_by_its_label_and_its_children_are_left_to_it() {
    let world = World::new();
    let failing = json!({ "F": { "Type": "Fail", "Error": "E" } });
    let mut machine = map(&json!({ "ToleratedFailurePercentage": 100 }));
    machine["States"]["M"]["ItemProcessor"]["StartAt"] = json!("F");
    machine["States"]["M"]["ItemProcessor"]["States"] = failing.clone();
    let execution = world.start(&machine, &json!([1])).await;
    let ended = world.ended(&execution).await;
    let labelled = format!("{}/Each", text(&ended["StateMachineArn"]));
    let described = world.call("describeStateMachine", json!({ "StateMachineArn": labelled })).await;
    let definition: Value = serde_json::from_str(&text(&described["Definition"])).unwrap();
    assert_eq!((&definition["States"], &described["Label"]), (&failing, &json!("Each")));
    for operation in ["deleteStateMachine", "listStateMachineVersions", "publishStateMachineVersion", "startExecution"]
    {
        let error = world.try_call(operation, json!({ "StateMachineArn": labelled })).await.unwrap_err();
        assert_eq!(error.code(), "ValidationException", "{operation}");
    }
    let run = map_run(&world, &execution).await["MapRunArn"].clone();
    let children = world.call("listExecutions", json!({ "MapRunArn": run })).await;
    let child = json!({ "ExecutionArn": children["Executions"][0]["ExecutionArn"] });
    let described = world.call("describeExecution", child.clone()).await;
    assert_eq!(
        (&described["Status"], &described["RedriveStatus"]),
        (&json!("FAILED"), &json!("REDRIVABLE_BY_MAP_RUN"))
    );
    assert!(described["RedriveStatusReason"].is_null(), "{described}");
    let error = world.try_call("redriveExecution", child).await.unwrap_err();
    assert_eq!(error.code(), "ExecutionNotRedrivable");
    let pending = json!({ "StateMachineArn": ended["StateMachineArn"], "StatusFilter": "PENDING_REDRIVE" });
    assert_eq!(world.try_call("listExecutions", pending).await.unwrap_err().code(), "ValidationException");
}

#[tokio::test]
async fn items_come_from_objects() {
    let world = World::new();
    world.fakes.put("in", "a.csv", "x,y\n1,2\n3\n");
    world.fakes.put("in", "a.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    world.fakes.put("in", "a.json", r#"{"data":{"rows":[1,[2],{"n":3}]}}"#);
    let check = async |reader: Value, want: Value| {
        assert_eq!(output(&world, &map(&json!({ "ItemReader": reader })), &json!({})).await, want);
    };
    check(
        reader("CSV", "a.csv", &json!({ "CSVHeaderLocation": "FIRST_ROW" })),
        json!([{ "x": "1", "y": "2" }, { "x": "3", "y": "" }]),
    )
    .await;
    check(
        reader("CSV", "a.csv", &json!({ "CSVHeaderLocation": "FIRST_ROW", "MaxItems": 1 })),
        json!([{ "x": "1", "y": "2" }]),
    )
    .await;
    check(reader("JSONL", "a.jsonl", &json!({ "MaxItems": 2 })), json!([{ "n": 1 }, { "n": 2 }])).await;
    check(reader("JSON", "a.json", &json!({ "ItemsPointer": "/data/rows" })), json!([1, [2], { "n": 3 }])).await;

    world.fakes.put("in", "twice.csv", "x,x\n1,2\n");
    for (reader, cause) in [
        (
            reader("CSV", "twice.csv", &json!({ "CSVHeaderLocation": "FIRST_ROW" })),
            "CSV headers cannot contain duplicates.",
        ),
        (
            reader("CSV", "a.csv", &json!({ "CSVHeaderLocation": "FIRST_ROW", "MaxItemsPath": "$.n" })),
            "field MaxItems must be positive",
        ),
    ] {
        let ended = world.ended(&world.start(&map(&json!({ "ItemReader": reader })), &json!({ "n": -1 })).await).await;
        assert_eq!((&ended["Error"], &ended["Cause"]), (&json!("States.ItemReaderFailed"), &json!(cause)));
    }

    world.fakes.put("data", "m/1.csv", "1,2\n");
    world.fakes.put("data", "m/2.csv", "3,4\n");
    world.fakes.put("in", "athena-manifest.csv", "s3://data/m/1.csv\ns3://data/m/2.csv\n");
    let given = json!({ "ManifestType": "ATHENA_DATA", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["p", "q"] });
    check(reader("CSV", "athena-manifest.csv", &given), json!([{ "p": "1", "q": "2" }, { "p": "3", "q": "4" }])).await;
    let inventory = json!({
        "sourceBucket": "s", "destinationBucket": "arn:aws:s3:::data", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size", "files": [{ "key": "i.csv" }],
    });
    world.fakes.put("data", "i.csv", "\"s\",\"k%201\",\"5\"\n");
    world.fakes.put("in", "manifest.json", inventory.to_string());
    check(reader("MANIFEST", "manifest.json", &json!({})), json!([{ "Bucket": "s", "Key": "k%201", "Size": "5" }]))
        .await;
}

#[tokio::test]
async fn listings_are_items_or_are_read() {
    let world = World::new();
    for (key, body) in [("l/1.jsonl", "1\n2"), ("l/2.jsonl", "3"), ("l/3.jsonl", ""), ("other", "x")] {
        world.fakes.put("in", key, body);
    }
    let listing =
        json!({ "Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": { "Bucket": "in", "Prefix": "l/" } });
    let items = output(&world, &map(&json!({ "ItemReader": listing })), &json!({})).await;
    let keys: Vec<_> = items.as_array().unwrap().iter().map(|item| text(&item["Key"])).collect();
    assert_eq!(keys, ["l/1.jsonl", "l/2.jsonl", "l/3.jsonl"]);
    assert_eq!(
        items[1],
        json!({ "Etag": "\"268\"", "Key": "l/2.jsonl", "LastModified": 1_668_699_881, "Size": 1, "StorageClass": "STANDARD" })
    );
    let mut flat = listing;
    flat["ReaderConfig"] = json!({ "InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN" });
    assert_eq!(output(&world, &map(&json!({ "ItemReader": flat })), &json!({})).await, json!([1, 2, 3]));
}

#[tokio::test]
async fn batches_hold_as_many_items_as_fit() {
    let world = World::new();
    let batcher = json!({ "MaxItemsPerBatchPath": "$.n", "BatchInput": { "k.$": "$.k" } });
    let machine = map(&json!({ "ItemsPath": "$.l", "ItemBatcher": batcher }));
    assert_eq!(
        output(&world, &machine, &json!({ "l": [1, 2, 3], "n": 2, "k": "v" })).await,
        json!([{ "BatchInput": { "k": "v" }, "Items": [1, 2] }, { "BatchInput": { "k": "v" }, "Items": [3] }])
    );
    // {"Items":["aaaa","aaaa"]} is 25 bytes long.
    let machine = map(&json!({ "ItemBatcher": { "MaxInputBytesPerBatch": 25 } }));
    assert_eq!(
        output(&world, &machine, &json!(["aaaa", "aaaa", "aaaa"])).await,
        json!([{ "Items": ["aaaa", "aaaa"] }, { "Items": ["aaaa"] }])
    );
}

#[tokio::test]
async fn results_are_written_by_status() {
    let world = World::new();
    world.fakes.put("in", "a.json", "[1,2,3,4,5]");
    *world.fakes.failures.lock().unwrap() = 1;
    let machine = calling(&json!({
        "MaxConcurrency": 1, "ToleratedFailureCount": 1, "ItemReader": reader("JSON", "a.json", &json!({})), "ResultWriter": writer(),
    }));
    let execution = world.start(&machine, &json!({})).await;
    let ended = world.ended(&execution).await;
    let result: Value = serde_json::from_str(&text(&ended["Output"])).unwrap();
    let run = map_run(&world, &execution).await;
    let id = text(&result["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    assert_eq!(result["MapRunArn"], run["MapRunArn"]);
    assert_eq!(result["ResultWriterDetails"], json!({ "Bucket": "out", "Key": format!("results/{id}/manifest.json") }));
    let manifest = world.fakes.json("out", &format!("results/{id}/manifest.json"));
    assert_eq!(manifest["DestinationBucket"], "out");
    assert_eq!(manifest["ResultFiles"]["PENDING"], json!([]));
    let file = |status: &str| {
        let key = text(&manifest["ResultFiles"][status][0]["Key"]);
        assert_eq!(key, format!("results/{id}/{status}_0.json"));
        world.fakes.json("out", &key)
    };
    let (succeeded, failed) = (file("SUCCEEDED"), file("FAILED"));
    assert_eq!((succeeded.as_array().unwrap().len(), failed.as_array().unwrap().len()), (4, 1));
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&succeeded[0]),
        [
            "ExecutionArn",
            "Input",
            "InputDetails",
            "Name",
            "Output",
            "OutputDetails",
            "RedriveCount",
            "RedriveStatus",
            "RedriveStatusReason",
            "StartDate",
            "StateMachineArn",
            "Status",
            "StopDate"
        ]
    );
    assert_eq!(
        (&failed[0]["Error"], &failed[0]["Status"], &failed[0]["Input"]),
        (&json!("Boom"), &json!("FAILED"), &json!("1"))
    );
    assert_eq!((&run["ItemCounts"]["Failed"], &run["ItemCounts"]["ResultsWritten"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn a_run_fails_when_more_fails_than_is_tolerated() {
    let world = World::new();
    *world.fakes.failures.lock().unwrap() = 1;
    let machine = calling(&json!({ "MaxConcurrency": 1, "ResultWriter": writer() }));
    let execution = world.start(&machine, &json!([1, 2, 3])).await;
    let ended = world.ended(&execution).await;
    assert_eq!(
        (&ended["Error"], &ended["Cause"]),
        (
            &json!("States.ExceedToleratedFailureThreshold"),
            &json!("The specified tolerated failure threshold was exceeded")
        )
    );
    let history = world.history(&execution).await;
    assert_eq!(history[4..], ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]);
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["Status"], &run["ItemCounts"]["Pending"]), (&json!("FAILED"), &json!(2)));
    let id = text(&run["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    let pending = world.fakes.json("out", &format!("results/{id}/PENDING_0.json"));
    assert_eq!(pending.as_array().unwrap().len(), 2);
    assert_eq!((&pending[0]["Input"], &pending[0]["Status"]), (&json!("2"), &json!("PENDING")));

    // What was not started is listed as it would have been: in batches, and to the last one.
    *world.fakes.failures.lock().unwrap() = 1;
    let batcher = json!({ "MaxItemsPerBatch": 2 });
    let machine = calling(&json!({ "MaxConcurrency": 1, "ItemBatcher": batcher, "ResultWriter": writer() }));
    let execution = world.start(&machine, &json!([1, 2, 3, 4, 5])).await;
    assert_eq!(world.ended(&execution).await["Status"], "FAILED");
    let id = text(&map_run(&world, &execution).await["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    let pending = world.fakes.json("out", &format!("results/{id}/PENDING_0.json"));
    let inputs: Vec<String> = pending.as_array().unwrap().iter().map(|child| text(&child["Input"])).collect();
    assert_eq!(inputs, [r#"{"Items":[3,4]}"#, r#"{"Items":[5]}"#]);

    // Caught, and tried again.
    *world.fakes.failures.lock().unwrap() = 1;
    let retried = calling(
        &json!({ "Retry": [{ "ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "IntervalSeconds": 1 }] }),
    );
    assert_eq!(output(&world, &retried, &json!([1])).await, json!([1]));
    let share = calling(&json!({ "ToleratedFailurePercentage": 50 }));
    *world.fakes.failures.lock().unwrap() = 1;
    let results = output(&world, &share, &json!([1, 1])).await;
    let failed = results.as_array().unwrap().iter().filter(|result| result["Status"] == "FAILED").count();
    assert_eq!(failed, 1, "{results}");
}

#[tokio::test]
async fn what_cannot_be_read_or_written_fails_the_run() {
    let world = World::new();
    world.fakes.put("in", "object.json", "{}");
    let check = async |fields: Value, error: &str, cause: &str| {
        let execution = world.start(&map(&fields), &json!([1])).await;
        let ended = world.ended(&execution).await;
        assert_eq!(ended["Error"], error);
        assert!(text(&ended["Cause"]).starts_with(cause), "{ended}");
    };
    check(
        json!({ "ItemReader": reader("JSON", "object.json", &json!({})) }),
        "States.ItemReaderFailed",
        "Attempting to map over non-iterable node.",
    )
    .await;
    check(
        json!({ "ItemReader": reader("JSON", "absent", &json!({})) }),
        "States.ItemReaderFailed",
        "The specified key does not exist. (Service: S3, Status Code: 404",
    )
    .await;
    let mut absent = writer();
    absent["Parameters"]["Bucket"] = json!("absent");
    check(json!({ "ResultWriter": absent }), "States.ResultWriterFailed", "The specified bucket does not exist").await;
    let large = json!({ "ItemSelector": { "v.$": "$$.Map.Item.Value", "x": "y".repeat(200_000) } });
    let execution = world.start(&map(&large), &json!([1, 2])).await;
    assert_eq!(world.ended(&execution).await["Error"], "States.DataLimitExceeded");
}

#[tokio::test]
async fn stopping_an_execution_stops_its_children() {
    let world = World::new();
    let execution = world.start(&calling(&json!({})), &json!([{ "sleep": true }, { "sleep": true }])).await;
    world.until(|fakes| fakes.invoked.lock().unwrap().len() == 2).await;
    world.call("stopExecution", json!({ "ExecutionArn": execution, "Error": "E" })).await;
    for _ in 0..120_000 {
        if map_run(&world, &execution).await["Status"] == "ABORTED" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["Status"], &run["ExecutionCounts"]["Aborted"]), (&json!("ABORTED"), &json!(2)));
}

#[tokio::test]
async fn limits_can_be_changed_while_it_runs() {
    let world = World::new();
    let items = json!([{ "sleep": true }, { "sleep": true }, { "sleep": true }]);
    let execution = world.start(&calling(&json!({ "MaxConcurrency": 1 })), &items).await;
    world.until(|fakes| fakes.invoked.lock().unwrap().len() == 1).await;
    let run = map_run(&world, &execution).await;
    assert_eq!(
        (&run["MaxConcurrency"], &run["ItemCounts"]["Running"], &run["ItemCounts"]["Pending"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let change = json!({ "MapRunArn": run["MapRunArn"], "MaxConcurrency": 3, "ToleratedFailureCount": 2 });
    world.call("updateMapRun", change).await;
    world.until(|fakes| fakes.invoked.lock().unwrap().len() == 3).await;
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["MaxConcurrency"], &run["ToleratedFailureCount"]), (&json!(3), &json!(2)));
    let absent = json!({ "MapRunArn": "arn:aws:states:us-east-1:000000000000:mapRun:a/b:c", "MaxConcurrency": 3 });
    assert!(world.try_call("updateMapRun", absent).await.unwrap_err().is("ResourceNotFound"));
}

#[tokio::test]
async fn selectors_see_where_items_are_from() {
    let world = World::new();
    world.fakes.put("in", "a.jsonl", "1\n");
    let selector = json!({ "s.$": "$$.Map.Item.Source", "v.$": "$$.Map.Item.Value" });
    let machine = map(&json!({ "ItemReader": reader("JSONL", "a.jsonl", &json!({})), "ItemSelector": selector }));
    assert_eq!(output(&world, &machine, &json!({})).await, json!([{ "s": "S3://in/a.jsonl", "v": 1 }]));
    let jsonata = json!({
        "QueryLanguage": "JSONata",
        "Items": "{% $states.input %}",
        "ItemSelector": { "key": "{% $states.context.Map.Item.Key %}", "from": "{% $states.context.Map.Item.Source %}" },
        "ItemBatcher": { "MaxItemsPerBatch": "{% 1 + 1 %}" },
        "ResultWriter": { "WriterConfig": { "Transformation": "FLATTEN", "OutputType": "JSONL" } },
    });
    let mut machine = map(&jsonata);
    let inner = &mut machine["States"]["M"]["ItemProcessor"]["States"]["P"];
    *inner = json!({ "Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input.Items %}", "End": true });
    let from = r#""from":"STATE_DATA""#;
    assert_eq!(
        output(&world, &machine, &json!({ "a": 1, "b": 2, "c": 3 })).await,
        json!(format!(
            r#"{{"key":"a",{from}}}
{{"key":"b",{from}}}
{{"key":"c",{from}}}"#
        ))
    );
}

/// The process's resident memory.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Alone, since the memory of the whole process is looked at: `cargo test -p states hundred_thousand -- --ignored`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes half a minute"]
async fn a_hundred_thousand_items_take_little_memory() {
    const ITEMS: u64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let world = World::at(&folder.path().join("records.db"));
    let rows: Vec<_> = (0..ITEMS).map(|n| format!("{{\"n\":{n},\"text\":\"some text of an item\"}}")).collect();
    world.fakes.put("in", "a.jsonl", rows.join("\n"));
    let mut sink = writer();
    sink["Parameters"]["Bucket"] = json!("sink");
    sink["WriterConfig"] = json!({ "Transformation": "COMPACT", "OutputType": "JSONL" });
    let machine = map(&json!({ "ItemReader": reader("JSONL", "a.jsonl", &json!({})), "ResultWriter": sink }));
    let before = resident_bytes();
    let began = std::time::Instant::now();
    let execution = world.start(&machine, &json!({})).await;
    let mut most = before;
    while world.call("describeExecution", json!({ "ExecutionArn": execution })).await["Status"] == "RUNNING" {
        most = most.max(resident_bytes());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["Status"], &run["ItemCounts"]["Succeeded"]), (&json!("SUCCEEDED"), &json!(ITEMS)));
    let id = text(&run["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    let lines: u64 = world.fakes.text("sink", &format!("results/{id}/SUCCEEDED_0.jsonl")).unwrap().parse().unwrap();
    assert_eq!(lines, ITEMS);
    let grown = (most - before) / 1_048_576;
    eprintln!("{ITEMS} children in {took:?}, {grown} MiB more");
    assert!(grown < 200, "{grown} MiB more than before");
}

#[tokio::test]
async fn a_restart_loses_and_doubles_nothing() {
    let mut world = World::new();
    let rows: Vec<_> = (0..400).map(|n: u64| n.to_string()).collect();
    world.fakes.put("in", "a.jsonl", rows.join("\n"));
    let machine = calling(&json!({
        "MaxConcurrency": 20, "ItemReader": reader("JSONL", "a.jsonl", &json!({})), "ResultWriter": writer(),
    }));
    let execution = world.start(&machine, &json!({})).await;
    for calls in [30, 150, 300] {
        world.until(|fakes| fakes.invoked.lock().unwrap().len() >= calls).await;
        world = world.restarted();
    }
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    let run = map_run(&world, &execution).await;
    assert_eq!((&run["ItemCounts"]["Succeeded"], &run["ItemCounts"]["Total"]), (&json!(400), &json!(400)));
    let id = text(&run["MapRunArn"]).rsplit(':').next().unwrap().to_owned();
    let written = world.fakes.json("out", &format!("results/{id}/SUCCEEDED_0.json"));
    let outputs: Vec<String> = written.as_array().unwrap().iter().map(|result| text(&result["Output"])).collect();
    let want: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    assert_eq!(outputs, want);
}

/// A machine whose children take an object each and delete it.
fn draining() -> Value {
    let listing =
        json!({ "Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": { "Bucket": "in", "Prefix": "d/" } });
    let mut machine = calling(&json!({ "MaxConcurrency": 10, "ItemReader": listing }));
    machine["States"]["M"]["ItemProcessor"]["States"]["P"]["Resource"] =
        json!(FUNCTION.replace("function:echo", "function:drain"));
    machine
}

#[tokio::test]
async fn a_prefix_that_is_drained_is_drained_whole_over_restarts() {
    let mut world = World::new();
    let keys: Vec<String> = (0..200).map(|n| format!("d/{n:03}")).collect();
    for key in &keys {
        world.fakes.put("in", key, "x");
    }
    let execution = world.start(&draining(), &json!({})).await;
    for done in [30, 90, 150] {
        world.until(|fakes| fakes.drained.lock().unwrap().len() >= done).await;
        // What comes before the place that has been reached is none of the run's.
        world.fakes.put("in", &format!("d/000-{done}"), "late");
        world = world.restarted();
    }
    assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED");
    let mut drained = world.fakes.drained.lock().unwrap().clone();
    drained.sort();
    assert_eq!(drained, keys);
    assert_eq!(map_run(&world, &execution).await["ItemCounts"]["Total"], 200);
}

#[tokio::test]
async fn an_object_that_changes_under_a_run_is_not_read_on() {
    for (changes, ends) in [(false, "SUCCEEDED"), (true, "FAILED")] {
        let mut world = World::new();
        let rows: Vec<_> = (0..100).map(|n: u64| n.to_string()).collect();
        world.fakes.put("in", "a.jsonl", rows.join("\n"));
        let machine = calling(&json!({ "MaxConcurrency": 5, "ItemReader": reader("JSONL", "a.jsonl", &json!({})) }));
        let execution = world.start(&machine, &json!({})).await;
        world.until(|fakes| fakes.invoked.lock().unwrap().len() >= 30).await;
        if changes {
            world.fakes.put("in", "a.jsonl", rows.join("\n").replace('7', "8"));
        }
        world = world.restarted();
        let ended = world.ended(&execution).await;
        assert_eq!(ended["Status"], ends, "{ended}");
        if changes {
            let cause = text(&ended["Cause"]);
            assert_eq!(ended["Error"], "States.ItemReaderFailed");
            let began =
                "S3://in/a.jsonl has changed since the Map Run began to read it: At least one of the pre-conditions";
            assert!(cause.starts_with(began), "{cause}");
            let run = map_run(&world, &execution).await;
            let redriven = world.call("redriveExecution", json!({ "ExecutionArn": execution })).await;
            assert!(redriven["RedriveDate"].is_string());
            // A redrive reads on in what there is now.
            let ended = world.ended(&execution).await;
            assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
            assert!(run["ItemCounts"]["Total"].as_u64().unwrap() < 100);
            assert_eq!(map_run(&world, &execution).await["ItemCounts"]["Total"], 100);
        }
    }
}

/// Objects whose items are all in children may be gone; one that is half-way is read on behind what was taken of it.
#[tokio::test]
async fn objects_of_a_listing_are_read_on_where_reading_broke_off() {
    let mut world = World::new();
    for object in 0..20 {
        let rows: Vec<_> = (0..10).map(|n| (object * 10 + n).to_string()).collect();
        world.fakes.put("in", &format!("f/{object:02}.jsonl"), rows.join("\n"));
    }
    let listing = json!({
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Parameters": { "Bucket": "in", "Prefix": "f/" },
        "ReaderConfig": { "InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN" },
    });
    let machine =
        calling(&json!({ "MaxConcurrency": 7, "ItemReader": listing, "ItemBatcher": { "MaxItemsPerBatch": 3 } }));
    let execution = world.start(&machine, &json!({})).await;
    for calls in [10, 25, 50] {
        world.until(|fakes| fakes.invoked.lock().unwrap().len() >= calls).await;
        // Started children have all their items; seven may run, and of those that are over one belongs to the next object.
        for object in 0..(calls * 3).saturating_sub(30) / 10 {
            world.fakes.objects.lock().unwrap().remove(&("in".to_owned(), format!("f/{object:02}.jsonl")));
        }
        world = world.restarted();
    }
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    let results: Value = serde_json::from_str(&text(&ended["Output"])).unwrap();
    let items: Vec<u64> = results
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|result| result["Items"].as_array().unwrap().iter().map(|item| item.as_u64().unwrap()))
        .collect();
    assert_eq!(items, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_bad_moment_of_s3_is_waited_out() {
    let world = World::new();
    world.fakes.put("in", "a.jsonl", "1\n2");
    for bad in [1, 2] {
        *world.fakes.bad_moments.lock().unwrap() = bad;
        let machine = map(&json!({ "ItemReader": reader("JSONL", "a.jsonl", &json!({})), "ResultWriter": writer() }));
        let execution = world.start(&machine, &json!({})).await;
        world.until(|fakes| *fakes.bad_moments.lock().unwrap() == 0).await;
        *world.fakes.bad_moments.lock().unwrap() = 1;
        let ended = world.ended(&execution).await;
        assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    }
}

/// The seal of a token depends on what nobody can know of a child, not on its name.
#[tokio::test]
async fn nobody_can_make_the_token_of_a_childs_task() {
    let world = World::new();
    let mut machine = map(&json!({ "ItemsPath": "$.l" }));
    machine["States"]["M"]["ItemProcessor"]["States"]["P"] = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": { "QueueUrl": "q", "MessageBody": { "token.$": "$$.Task.Token" } },
        "End": true,
    });
    let execution = world.start(&machine, &json!({ "l": [1] })).await;
    world.until(|fakes| !fakes.messages.lock().unwrap().is_empty()).await;
    let message: Value = serde_json::from_str(&world.fakes.messages.lock().unwrap()[0]).unwrap();
    let token = URL_SAFE_NO_PAD.decode(text(&message["token"])).unwrap();
    let token = String::from_utf8(token).unwrap();
    let (claim, seal) = token.rsplit_once('\n').unwrap();
    let name = claim.lines().next().unwrap().rsplit(':').next().unwrap();
    for secret in engine::seed(name) {
        let forged = &asl::fingerprint(&format!("{secret:016x}\n{claim}"))[..32];
        assert_ne!(forged, seal);
    }
    let answer = json!({ "TaskToken": message["token"], "Output": "\"done\"" });
    world.call("sendTaskSuccess", answer).await;
    assert_eq!(world.ended(&execution).await["Output"], "[\"done\"]");
}

/// Of Express children there is nothing else that tells what happened in them.
#[tokio::test]
async fn children_are_logged_where_their_execution_is() {
    for kind in ["STANDARD", "EXPRESS"] {
        let world = World::new();
        let mut machine = map(&json!({ "ItemsPath": "$.l" }));
        machine["States"]["M"]["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = json!(kind);
        let group = "arn:aws:logs:us-east-1:000000000000:log-group:g:*";
        let group = json!({ "CloudWatchLogsLogGroup": { "LogGroupArn": group } });
        let input = json!({
            "Name": "logged",
            "Definition": machine.to_string(),
            "RoleArn": "arn:aws:iam::000000000000:role/machine",
            "LoggingConfiguration": { "Level": "ALL", "IncludeExecutionData": true, "Destinations": [group] },
        });
        let machine = world.call("createStateMachine", input).await["StateMachineArn"].clone();
        let start = json!({ "StateMachineArn": machine, "Input": r#"{"l":["one","two"]}"# });
        let execution = text(&world.call("startExecution", start).await["ExecutionArn"]);
        assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED");
        let of_children = |lines: &[(String, String)]| {
            let lines = lines.iter().map(|(_, line)| serde_json::from_str::<Value>(line).unwrap());
            lines.filter(|line| line["execution_arn"] != execution.as_str()).collect::<Vec<_>>()
        };
        // Each begins, enters and leaves its state, and ends.
        world.until(|fakes| of_children(&fakes.lines.lock().unwrap()).len() == 8).await;
        let lines = of_children(&world.fakes.lines.lock().unwrap());
        assert!(lines.iter().any(|line| line["details"]["input"] == "\"two\""), "{lines:?}");
    }
}
