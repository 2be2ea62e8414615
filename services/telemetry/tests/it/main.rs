//! Metrics over a store in memory: what the platform measures and what clients put, read back.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use service::meter::Measured;
use service::{Cx, Platform, Principal, Router, Settings};
use store::{Queue, Store};

struct Bench {
    cx: Cx,
    now: Timestamp,
}

fn bench() -> Bench {
    over(Store::memory())
}

fn over(store: Store) -> Bench {
    let router = Router::new();
    let queue = || Queue::new(Store::memory());
    let platform = Platform {
        router: router.clone(),
        control: Queue::new(store),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:4566".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings::default(),
    };
    telemetry::register(&platform);
    Bench { cx: Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1"), now: Timestamp::now() }
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Value {
        let answer = self.cx.call_json("cloudwatch", operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn refusal(&self, operation: &str, input: Value) -> String {
        self.cx.call_json("cloudwatch", operation, input).await.unwrap_err().code().to_owned()
    }

    fn measure(&self, metric: &str, machine: &str, value: f64, unit: &str) {
        self.cx.router().measure(Measured {
            account: "000000000000",
            region: "eu-west-1",
            namespace: "AWS/States",
            metric,
            dimensions: &[("StateMachineArn", machine)],
            value,
            unit,
        });
    }

    fn at(&self, minutes: i64) -> String {
        (self.now + SignedDuration::from_mins(minutes)).to_string()
    }

    async fn statistics(&self, namespace: &str, metric: &str, dimensions: Value, more: Value) -> Value {
        let mut input = json!({
            "Namespace": namespace, "MetricName": metric, "Dimensions": dimensions, "Period": 3600,
            "StartTime": self.at(-60), "EndTime": self.at(1), "Statistics": ["Sum", "SampleCount", "Maximum"],
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("getMetricStatistics", input).await["Datapoints"].clone()
    }
}

fn machine(name: &str) -> Value {
    json!([{"Name": "StateMachineArn", "Value": name}])
}

#[tokio::test]
async fn what_the_platform_measures_is_read_at_once_and_stays() {
    let store = Store::memory();
    let first = over(store.clone());
    for value in [10.0, 20.0, 30.0] {
        first.measure("ExecutionTime", "m", value, "Milliseconds");
    }
    first.measure("ExecutionTime", "other", 1000.0, "Milliseconds");
    let sums = |points: &Value| {
        let points = points.as_array().unwrap();
        let sum = |name: &str| points.iter().map(|point| point[name].as_f64().unwrap()).sum::<f64>();
        (sum("Sum"), sum("SampleCount"))
    };
    let points = first.statistics("AWS/States", "ExecutionTime", machine("m"), json!({})).await;
    assert_eq!(sums(&points), (60.0, 3.0));
    assert_eq!((&points[0]["Unit"], &points[0]["Maximum"]), (&json!("Milliseconds"), &json!(30.0)));
    // Another server over the same store adds to the same minutes.
    let second = over(store);
    second.measure("ExecutionTime", "m", 40.0, "Milliseconds");
    let points = second.statistics("AWS/States", "ExecutionTime", machine("m"), json!({})).await;
    assert_eq!(sums(&points), (100.0, 4.0));
    let none = second.statistics("AWS/States", "ExecutionTime", json!([]), json!({})).await;
    assert_eq!(none, json!([]), "dimensions are matched exactly");
    let none = second.statistics("AWS/States", "ExecutionTime", machine("m"), json!({"Unit": "Count"})).await;
    assert_eq!(none, json!([]));
    let high = json!({"Statistics": null, "ExtendedStatistics": ["p99"]});
    let points = second.statistics("AWS/States", "ExecutionTime", machine("m"), high).await;
    assert!(points[0]["ExtendedStatistics"]["p99"].as_f64().unwrap() > 25.0);
}

#[tokio::test]
async fn metrics_are_listed_by_what_they_are_of() {
    let bench = bench();
    bench.measure("ExecutionsStarted", "a", 1.0, "Count");
    bench.measure("ExecutionsStarted", "b", 1.0, "Count");
    bench.measure("ExecutionTime", "a", 1.0, "Milliseconds");
    let data = json!([{"MetricName": "Depth", "Value": 1.5}]);
    bench.call("putMetricData", json!({"Namespace": "Mine", "MetricData": data})).await;
    let count = async |filter: Value| bench.call("listMetrics", filter).await["Metrics"].as_array().unwrap().len();
    assert_eq!(count(json!({})).await, 4);
    assert_eq!(count(json!({"Namespace": "AWS/States"})).await, 3);
    assert_eq!(count(json!({"MetricName": "ExecutionsStarted"})).await, 2);
    assert_eq!(count(json!({"Dimensions": [{"Name": "StateMachineArn", "Value": "a"}]})).await, 2);
    assert_eq!(count(json!({"Dimensions": [{"Name": "StateMachineArn"}], "RecentlyActive": "PT3H"})).await, 3);
}

#[tokio::test]
async fn clients_data_comes_in_three_forms() {
    let bench = bench();
    let (old, older) = (bench.at(-5), bench.at(-5 - 120));
    let data = json!([
        {"MetricName": "m", "Value": 2, "Timestamp": old, "Unit": "Bytes"},
        {"MetricName": "m", "Values": [1, 3], "Counts": [2, 1], "Timestamp": old, "Unit": "Bytes"},
        {"MetricName": "m", "StatisticValues": {"SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}, "Timestamp": old, "Unit": "Bytes"},
        {"MetricName": "m", "Value": 100, "Timestamp": older, "Unit": "Bytes"},
    ]);
    let put = json!({"Namespace": "N", "MetricData": data});
    for _ in 0..2 {
        // A task that repeats its call counts once.
        bench.cx.with_task("t").call_json("cloudwatch", "putMetricData", put.clone()).await.unwrap();
    }
    let query = |id: &str, stat: &str| json!({"Id": id, "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": 60, "Stat": stat}});
    let asked = json!({
        "MetricDataQueries": [query("sum", "Sum"), query("n", "SampleCount"), query("min", "Minimum")],
        "StartTime": bench.at(-60 * 4), "EndTime": bench.at(0),
    });
    let answer = bench.call("getMetricData", asked).await;
    let values: Vec<_> =
        answer["MetricDataResults"].as_array().unwrap().iter().map(|one| one["Values"].clone()).collect();
    assert_eq!(values, [json!([17.0, 100.0]), json!([6.0, 1.0]), json!([1.0, 100.0])], "newest first");
    assert_eq!(answer["MetricDataResults"][0]["StatusCode"], "Complete");
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let bench = bench();
    let put = |namespace: &str, datum: Value| json!({"Namespace": namespace, "MetricData": [datum]});
    let refused = async |input| bench.refusal("putMetricData", input).await;
    assert_eq!(
        refused(put("AWS/States", json!({"MetricName": "m", "Value": 1}))).await,
        "InvalidParameterValueException"
    );
    assert_eq!(refused(put("N", json!({"MetricName": "m"}))).await, "MissingRequiredParameterException");
    let both = json!({"MetricName": "m", "Value": 1, "Values": [1]});
    assert_eq!(refused(put("N", both)).await, "InvalidParameterCombinationException");
    let old = json!({"MetricName": "m", "Value": 1, "Timestamp": "2020-01-01T00:00:00Z"});
    assert_eq!(refused(put("N", old)).await, "InvalidParameterValueException");
    let asked = |period: i64, statistic: &str| {
        json!({"Namespace": "N", "MetricName": "m", "Period": period, "StartTime": bench.at(-60 * 48),
            "EndTime": bench.at(0), "Statistics": [statistic]})
    };
    let refused = async |input| bench.refusal("getMetricStatistics", input).await;
    assert_eq!(refused(asked(90, "Sum")).await, "InvalidParameterValueException");
    assert_eq!(refused(asked(60, "Sum")).await, "InvalidParameterCombinationException", "too many datapoints");
}

impl Bench {
    async fn logs(&self, operation: &str, input: Value) -> Value {
        let answer = self.cx.call_json("cloudwatchlogs", operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn say(&self, messages: &[&str]) {
        let at = self.now.as_millisecond();
        let events: Vec<Value> = messages.iter().map(|message| json!({"Timestamp": at, "Message": message})).collect();
        self.logs("putLogEvents", json!({"LogGroupName": "g", "LogStreamName": "s", "LogEvents": events})).await;
    }
}

#[tokio::test]
async fn events_become_metrics_on_their_way_in() {
    let bench = bench();
    bench.logs("createLogGroup", json!({"LogGroupName": "g"})).await;
    bench.logs("createLogStream", json!({"LogGroupName": "g", "LogStreamName": "s"})).await;
    let filter = |name: &str, pattern: &str, transformation: Value| json!({"LogGroupName": "g", "FilterName": name, "FilterPattern": pattern, "MetricTransformations": [transformation]});
    let counted = json!({"MetricName": "Errors", "MetricNamespace": "N", "MetricValue": "1", "DefaultValue": 0.0});
    bench.logs("putMetricFilter", filter("errors", "?ERROR ?Traceback", counted)).await;
    let slow = json!({"MetricName": "Slow", "MetricNamespace": "N", "MetricValue": "$.ms", "Unit": "Milliseconds", "Dimensions": {"Path": "$.path"}});
    bench.logs("putMetricFilter", filter("slow", "{ $.ms > 100 }", slow)).await;
    let before = json!({"Sum": 0.0, "SampleCount": 1.0});
    bench.say(&["all is well"]).await;
    let found = bench.statistics("N", "Errors", json!([]), json!({})).await;
    assert_eq!((&found[0]["Sum"], &found[0]["SampleCount"]), (&before["Sum"], &before["SampleCount"]));
    let embedded = r#"{"_aws": {"CloudWatchMetrics": [{"Namespace": "E", "Dimensions": [["fn"]], "Metrics": [{"Name": "rows"}]}]}, "fn": "f", "rows": 7}"#;
    bench
        .say(&[
            "ERROR one",
            "fine",
            "Traceback two",
            r#"{"ms": 250, "path": "/a"}"#,
            r#"{"ms": 50, "path": "/a"}"#,
            embedded,
        ])
        .await;
    assert_eq!(bench.statistics("N", "Errors", json!([]), json!({})).await[0]["Sum"], json!(2.0));
    let slow = bench.statistics("N", "Slow", json!([{"Name": "Path", "Value": "/a"}]), json!({})).await;
    assert_eq!((&slow[0]["Sum"], &slow[0]["Unit"]), (&json!(250.0), &json!("Milliseconds")));
    let rows = bench.statistics("E", "rows", json!([{"Name": "fn", "Value": "f"}]), json!({})).await;
    assert_eq!(rows[0]["Maximum"], json!(7.0));
    let listed = bench.logs("describeMetricFilters", json!({"LogGroupName": "g", "FilterNamePrefix": "s"})).await;
    assert_eq!(listed["MetricFilters"][0]["FilterPattern"], "{ $.ms > 100 }");
    bench.logs("deleteMetricFilter", json!({"LogGroupName": "g", "FilterName": "errors"})).await;
    bench.say(&["ERROR three"]).await;
    assert_eq!(bench.statistics("N", "Errors", json!([]), json!({})).await[0]["Sum"], json!(2.0));
}

#[tokio::test]
async fn alarms_keep_what_they_are_told() {
    let bench = bench();
    let alarm = json!({
        "AlarmName": "a", "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1,
        "Threshold": 1.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
        "AlarmActions": ["arn:aws:sns:eu-west-1:000000000000:t"], "Tags": [{"Key": "k", "Value": "v"}],
    });
    bench.call("putMetricAlarm", alarm.clone()).await;
    let found = bench.call("describeAlarms", json!({"AlarmNames": ["a"]})).await["MetricAlarms"][0].clone();
    assert_eq!((&found["StateValue"], &found["Threshold"]), (&json!("INSUFFICIENT_DATA"), &json!(1.0)));
    assert_eq!(found["AlarmArn"], "arn:aws:cloudwatch:eu-west-1:000000000000:alarm:a");
    bench.call("setAlarmState", json!({"AlarmName": "a", "StateValue": "ALARM", "StateReason": "because"})).await;
    bench.call("putCompositeAlarm", json!({"AlarmName": "c", "AlarmRule": "ALARM(a) AND NOT OK(a)"})).await;
    let history = bench.call("describeAlarmHistory", json!({"AlarmName": "a"})).await["AlarmHistoryItems"].clone();
    let kinds: Vec<&str> =
        history.as_array().unwrap().iter().map(|item| item["HistoryItemType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["StateUpdate", "ConfigurationUpdate"]);
    // Put again it keeps its state.
    bench.call("putMetricAlarm", alarm.clone()).await;
    let alarms = bench.call("describeAlarms", json!({"StateValue": "ALARM"})).await;
    assert_eq!(alarms["MetricAlarms"][0]["AlarmName"], "a");
    let tags = bench.call("listTagsForResource", json!({"ResourceARN": found["AlarmArn"]})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "k", "Value": "v"}]));
    for (member, value) in [
        ("Period", json!(61)),
        ("AlarmActions", json!(["arn:aws:automate:eu-west-1:ec2:stop"])),
        ("DatapointsToAlarm", json!(2)),
        ("ComparisonOperator", json!("GreaterThanUpperThreshold")),
        ("TreatMissingData", json!("never")),
    ] {
        let mut bad = alarm.clone();
        bad[member] = value;
        assert!(!bench.refusal("putMetricAlarm", bad).await.is_empty(), "{member}");
    }
    bench.refusal("putCompositeAlarm", json!({"AlarmName": "d", "AlarmRule": "ALARM(nope)"})).await;
    bench.call("deleteAlarms", json!({"AlarmNames": ["a", "c"]})).await;
    assert_eq!(bench.call("describeAlarms", json!({})).await["MetricAlarms"], json!([]));
}

#[tokio::test]
async fn dashboards_come_back_as_sent() {
    let bench = bench();
    let body = r#"{"widgets": [ {"type": "metric", "properties": {"metrics": [["N", "M"]]}}, {"type": "text"} ]}"#;
    let put = bench.call("putDashboard", json!({"DashboardName": "d", "DashboardBody": body})).await;
    assert_eq!(put["DashboardValidationMessages"][0]["DataPath"], "/widgets/1");
    assert_eq!(bench.call("getDashboard", json!({"DashboardName": "d"})).await["DashboardBody"], body);
    assert_eq!(bench.call("listDashboards", json!({})).await["DashboardEntries"][0]["DashboardName"], "d");
    bench.refusal("putDashboard", json!({"DashboardName": "d", "DashboardBody": "{"})).await;
    bench.refusal("deleteDashboards", json!({"DashboardNames": ["d", "nope"]})).await;
    bench.call("deleteDashboards", json!({"DashboardNames": ["d"]})).await;
    assert_eq!(bench.refusal("getDashboard", json!({"DashboardName": "d"})).await, "DashboardNotFoundError");
}

/// The messages of all pages, from a first answer on.
async fn pages(bench: &Bench, operation: &str, mut input: Value, token: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let answer = bench.logs(operation, input.clone()).await;
        let events = answer["Events"].as_array().unwrap();
        found.extend(events.iter().map(|event| event["Message"].as_str().unwrap().to_owned()));
        let next = answer.get(token).cloned().unwrap_or_default();
        // Past the end GetLogEvents goes on with the token that it was given.
        if next.is_null() || next == input["NextToken"] {
            return found;
        }
        input["NextToken"] = next;
    }
}

/// More batches than are read at once, of streams side by side, told page by page in both directions.
#[tokio::test]
async fn logs_are_told_page_by_page() {
    let bench = bench();
    bench.logs("createLogGroup", json!({"LogGroupName": "g"})).await;
    for stream in ["a", "b"] {
        bench.logs("createLogStream", json!({"LogGroupName": "g", "LogStreamName": stream})).await;
    }
    let start = bench.now.as_millisecond() - 3_600_000;
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for n in 0..150_i64 {
        let stream = if n % 3 == 0 { "b" } else { "a" };
        // Each batch reaches into the next ones.
        let times = [start + n * 10, start + n * 10 + 25];
        let events: Vec<Value> =
            times.iter().map(|at| json!({"Timestamp": at, "Message": format!("{n} {at}")})).collect();
        all.extend(times.iter().map(|at| (*at, n, format!("{n} {at}"))));
        if stream == "a" {
            own.extend(times.iter().map(|at| (*at, n, format!("{n} {at}"))));
        }
        bench.logs("putLogEvents", json!({"LogGroupName": "g", "LogStreamName": stream, "LogEvents": events})).await;
    }
    let texts = |events: &mut Vec<(i64, i64, String)>| {
        events.sort();
        events.iter().map(|(_, _, text)| text.clone()).collect::<Vec<_>>()
    };
    let (all, own) = (texts(&mut all), texts(&mut own));
    let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:g";
    for limit in [7, 64, 1000] {
        let input = json!({"LogGroupIdentifier": arn, "Limit": limit});
        assert_eq!(pages(&bench, "filterLogEvents", input, "NextToken").await, all, "{limit}");
        let input = json!({"LogGroupIdentifier": arn, "LogStreamName": "a", "Limit": limit, "StartFromHead": true});
        assert_eq!(pages(&bench, "getLogEvents", input, "NextForwardToken").await, own, "{limit}");
        // Backwards each page is in order of time, the later page first.
        let input = json!({"LogGroupName": "g", "LogStreamName": "a", "Limit": limit});
        let back = pages(&bench, "getLogEvents", input, "NextBackwardToken").await;
        let expected: Vec<String> = own.rchunks(limit).flatten().cloned().collect();
        assert_eq!(back, expected, "{limit}");
    }
    bench.logs("deleteLogStream", json!({"LogGroupName": "g", "LogStreamName": "a"})).await;
    let left = pages(&bench, "filterLogEvents", json!({"LogGroupName": "g"}), "NextToken").await;
    assert_eq!(left, all.into_iter().filter(|text| !own.contains(text)).collect::<Vec<_>>());
}

/// A deleted group leaves nothing to one of its name, and what a group stores is told without its streams being read.
#[tokio::test]
async fn groups_go_with_all_that_they_hold() {
    let bench = bench();
    let stored = async || {
        let groups = bench.logs("describeLogGroups", json!({})).await["LogGroups"].clone();
        groups[0]["StoredBytes"].as_i64()
    };
    let now = bench.now.as_millisecond();
    let fill = async || {
        bench.logs("createLogGroup", json!({"LogGroupName": "g"})).await;
        for stream in ["a", "b"] {
            bench.logs("createLogStream", json!({"LogGroupName": "g", "LogStreamName": stream})).await;
            for n in 0..70 {
                let events = json!([{"Timestamp": now - n, "Message": "1234"}]);
                let put = json!({"LogGroupName": "g", "LogStreamName": stream, "LogEvents": events});
                bench.logs("putLogEvents", put).await;
            }
        }
    };
    fill().await;
    assert_eq!(stored().await, Some(140 * 30));
    bench.logs("deleteLogStream", json!({"LogGroupName": "g", "LogStreamName": "b"})).await;
    assert_eq!(stored().await, Some(70 * 30));
    bench.logs("deleteLogGroup", json!({"LogGroupName": "g"})).await;
    assert_eq!(stored().await, None);
    bench.logs("createLogGroup", json!({"LogGroupName": "g"})).await;
    assert_eq!(stored().await, Some(0));
    let left = bench.logs("filterLogEvents", json!({"LogGroupName": "g"})).await;
    assert_eq!(left["Events"], json!([]));
    let left = bench.logs("describeLogStreams", json!({"LogGroupName": "g"})).await;
    assert_eq!(left["LogStreams"], json!([]));
}

/// The default of a filter is the value of a minute in which nothing matches: in whichever order streams write, no real value has it
/// beside it.
#[tokio::test]
async fn a_default_gives_way_to_values() {
    for first_matches in [true, false] {
        let bench = bench();
        bench.logs("createLogGroup", json!({"LogGroupName": "g"})).await;
        bench.logs("createLogStream", json!({"LogGroupName": "g", "LogStreamName": "s"})).await;
        let change =
            json!([{"MetricName": "m", "MetricNamespace": "Mine", "MetricValue": "$.ms", "DefaultValue": 1000}]);
        let filter = json!({"LogGroupName": "g", "FilterName": "f", "FilterPattern": "{ $.ms > 0 }", "MetricTransformations": change});
        bench.logs("putMetricFilter", filter).await;
        let minute = bench.now.as_millisecond().div_euclid(60_000) * 60_000 - 180_000;
        let (yes, no) = (r#"{"ms":200}"#, "nothing");
        let texts = if first_matches { [yes, no, no] } else { [no, yes, no] };
        for text in texts {
            // The other minute of each batch has no match.
            let events = json!([{"Timestamp": minute, "Message": text}, {"Timestamp": minute + 60_000, "Message": no}]);
            let put = json!({"LogGroupName": "g", "LogStreamName": "s", "LogEvents": events});
            bench.logs("putLogEvents", put).await;
        }
        let shown = bench.statistics("Mine", "m", json!([]), json!({"Period": 60})).await;
        let mut found: Vec<Value> = shown.as_array().unwrap().clone();
        found.sort_by_key(|point| point["Timestamp"].as_str().map(str::to_owned));
        let told: Vec<_> = found.iter().map(|point| (point["Sum"].as_f64(), point["SampleCount"].as_f64())).collect();
        assert_eq!(told, [(Some(200.0), Some(1.0)), (Some(1000.0), Some(1.0))], "{first_matches}");
    }
}
