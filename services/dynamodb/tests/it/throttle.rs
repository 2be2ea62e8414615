//! Tables with limits of throughput: what a burst is let through, what is refused then and how, and what time brings back.

use serde_json::{Value, json};

use super::ages::shifted;
use super::{Bench, key};

const TABLE: &str = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning \
                     level with the UpdateTable API.";
const INDEX: &str = "The level of configured provisioned throughput for one or more global secondary indexes of the table was \
                     exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with \
                     the UpdateTable API";
const PROVISIONED: &str = "ProvisionedThroughputExceededException";

/// A table of one unit a second each, with an index of so many units of writing.
async fn table(bench: &Bench, name: &str, more: Value) {
    let of = |name, kind| json!({"AttributeName": name, "AttributeType": kind});
    let mut input = json!({"TableName": name, "AttributeDefinitions": [of("pk", "S"), of("sk", "N")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.call("createTable", input).await;
}

fn units(read: i64, write: i64) -> Value {
    json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write})
}

/// An item of so many kilobytes.
fn item(sk: i64, kilobytes: usize) -> Value {
    let mut item = key("a", sk);
    item["v"] = json!({"S": "x".repeat(kilobytes * 1024 - 50)});
    item
}

#[tokio::test]
async fn provisioned_units_last_for_a_burst() {
    let (bench, clock) = shifted();
    table(&bench, "small", json!({"ProvisionedThroughput": units(1, 1)})).await;
    let put = |sk, kilobytes| json!({"TableName": "small", "Item": item(sk, kilobytes)});
    // 302 units of 300: the last one is let in while something is left.
    bench.call("putItem", put(1, 299)).await;
    bench.call("putItem", put(2, 3)).await;
    bench.fails("putItem", put(3, 1), PROVISIONED, TABLE).await;
    let error = bench.try_call("putItem", put(3, 1)).await.unwrap_err();
    let arn = "arn:aws:dynamodb:eu-west-1:000000000000:table/small";
    let reasons = json!([{"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn}]);
    assert_eq!(error.fields()["ThrottlingReasons"], reasons);
    // Reads have units of their own.
    bench.call("getItem", json!({"TableName": "small", "Key": key("a", 2)})).await;
    clock.pass_seconds(10);
    bench.call("putItem", put(3, 12)).await;
    let delete = json!({"TableName": "small", "Key": key("a", 1)});
    let batch = json!({"RequestItems": {"small": [{"DeleteRequest": {"Key": key("a", 9)}}]}});
    for (operation, input) in [("deleteItem", delete), ("batchWriteItem", batch)] {
        bench.fails(operation, input, PROVISIONED, TABLE).await;
    }
    let transaction = json!({"TransactItems": [{"Put": {"TableName": "small", "Item": key("a", 5)}}]});
    let cancelled = bench.try_call("transactWriteItems", transaction).await.unwrap_err();
    assert_eq!(cancelled.code(), "TransactionCanceledException");
    let reason = json!([{"Code": "ProvisionedThroughputExceeded", "Message": TABLE}]);
    assert_eq!(cancelled.fields()["CancellationReasons"], reason);
    // More units at once, and what was left stays.
    bench.call("updateTable", json!({"TableName": "small", "ProvisionedThroughput": units(1, 5)})).await;
    bench.fails("putItem", put(6, 1), PROVISIONED, TABLE).await;
    clock.pass_seconds(2);
    bench.call("putItem", put(6, 1)).await;
    // Without limits nothing is refused.
    bench.call("updateTable", json!({"TableName": "small", "BillingMode": "PAY_PER_REQUEST"})).await;
    for sk in 0..3 {
        bench.call("putItem", put(sk, 390)).await;
    }
}

#[tokio::test]
async fn an_index_has_units_of_its_own() {
    let (bench, _) = shifted();
    let index = json!([{"IndexName": "by-sk", "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": units(1, 1)}]);
    let more = json!({"ProvisionedThroughput": units(100, 100), "GlobalSecondaryIndexes": index});
    table(&bench, "wide", more).await;
    bench.call("putItem", json!({"TableName": "wide", "Item": item(1, 380)})).await;
    bench.fails("putItem", json!({"TableName": "wide", "Item": item(2, 1)}), PROVISIONED, INDEX).await;
    let query = json!({"TableName": "wide", "IndexName": "by-sk", "KeyConditionExpression": "sk = :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}}});
    for _ in 0..7 {
        bench.call("query", query.clone()).await;
    }
    bench.fails("query", query, PROVISIONED, INDEX).await;
    bench.call("getItem", json!({"TableName": "wide", "Key": key("a", 1)})).await;
}

#[tokio::test]
async fn the_most_of_a_table_on_demand() {
    let (bench, clock) = shifted();
    let most = json!({"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": -1});
    table(&bench, "most", json!({"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": most})).await;
    table(&bench, "free", json!({"BillingMode": "PAY_PER_REQUEST"})).await;
    for sk in 0..5 {
        bench.call("putItem", json!({"TableName": "most", "Item": item(sk, 390)})).await;
    }
    let get = |sk| json!({"TableName": "most", "Key": key("a", sk), "ConsistentRead": true});
    for sk in 0..4 {
        bench.call("getItem", get(sk)).await;
    }
    let message = "Throughput exceeds the maximum OnDemandThroughput configured on table or index";
    bench.fails("getItem", get(4), "ThrottlingException", message).await;
    let both = json!({"RequestItems": {"most": {"Keys": [key("a", 1)]}, "free": {"Keys": [key("a", 1)]}}});
    let read = bench.call("batchGetItem", both).await;
    assert_eq!(read["UnprocessedKeys"]["most"]["Keys"], json!([key("a", 1)]));
    assert_eq!(read["Responses"], json!({"free": []}));
    clock.pass_seconds(200);
    bench.call("getItem", get(4)).await;
}
