//! Metrics over a store in memory: what the platform measures and what clients put, read back.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

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
        endpoint: "http://127.0.0.1:4566".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings::default(),
    };
    telemetry::register(&platform);
    Bench { cx: Cx::new(router, Principal::Root, "000000000000", "eu-west-1"), now: Timestamp::now() }
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
            dimension: ("StateMachineArn", machine),
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
