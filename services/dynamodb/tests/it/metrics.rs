//! What CloudWatch is told of requests, heard by a meter of the test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use service::Router;
use service::meter::{Measured, Meter};

use super::{bench_on, key};

/// The values that were measured, by metric and dimensions.
#[derive(Default)]
struct Heard(Mutex<BTreeMap<String, Vec<f64>>>);

impl Meter for Heard {
    fn measure(&self, measured: Measured<'_>) {
        assert_eq!(measured.namespace, "AWS/DynamoDB");
        let values: Vec<&str> = measured.dimensions.iter().map(|(_, value)| *value).collect();
        let place = format!("{} {}", measured.metric, values.join(" "));
        self.0.lock().unwrap().entry(place).or_default().push(measured.value);
    }
}

#[tokio::test]
async fn requests_are_counted_with_the_units_that_they_use() {
    let (router, heard) = (Router::new(), Arc::new(Heard::default()));
    router.set_meter(heard.clone());
    let of = |what: &str| heard.0.lock().unwrap().remove(what).unwrap_or_default();
    let bench = bench_on(&router);
    bench.table().await;
    bench.put("a", 1, json!({"note": {"S": "x".repeat(2000)}})).await;
    assert_eq!(of("ConsumedWriteCapacityUnits flights"), [2.0]);
    assert_eq!(of("SuccessfulRequestLatency flights PutItem").len(), 1);
    let get = json!({"TableName": "flights", "Key": key("a", 1)});
    let got = bench.call("getItem", get.clone()).await;
    assert_eq!(got["ConsumedCapacity"], json!(null), "nobody asked for it");
    let mut asked = get.clone();
    asked["ReturnConsumedCapacity"] = json!("TOTAL");
    assert_eq!(bench.call("getItem", asked).await["ConsumedCapacity"]["CapacityUnits"], 0.5);
    assert_eq!(of("ConsumedReadCapacityUnits flights"), [0.5, 0.5]);
    let values = json!({":a": {"S": "a"}});
    let query =
        json!({"TableName": "flights", "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": values});
    bench.call("query", query).await;
    assert_eq!(of("ReturnedItemCount flights Query"), [1.0]);
    let batch = json!({"RequestItems": {"flights": [{"PutRequest": {"Item": key("b", 1)}}, {"PutRequest": {"Item": key("b", 2)}}]}});
    bench.call("batchWriteItem", batch).await;
    assert_eq!(of("ConsumedWriteCapacityUnits flights"), [2.0]);
    for (statement, metric) in [
        ("SELECT * FROM flights WHERE pk = 'b' AND sk = 1", "ConsumedReadCapacityUnits flights"),
        ("DELETE FROM flights WHERE pk = 'b' AND sk = 1", "ConsumedWriteCapacityUnits flights"),
    ] {
        of(metric);
        let done = bench.call("executeStatement", json!({"Statement": statement})).await;
        assert_eq!(done["ConsumedCapacity"], json!(null));
        assert_eq!(of(metric).len(), 1, "{statement}");
    }
    let failing =
        json!({"TableName": "flights", "Item": key("a", 1), "ConditionExpression": "attribute_not_exists(pk)"});
    bench.try_call("putItem", failing).await.unwrap_err();
    assert_eq!(of("ConditionalCheckFailedRequests flights"), [1.0]);
    assert_eq!(of("UserErrors "), [] as [f64; 0], "a condition that fails is none");
    bench.try_call("getItem", json!({"TableName": "none", "Key": key("a", 1)})).await.unwrap_err();
    assert_eq!(of("UserErrors "), [1.0]);
}
