//! The operations over stores in memory, called as Step Functions calls them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod ages;
mod exports;
mod metrics;
mod names;
mod statements;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router, Settings};
use store::{Queue, Store};

struct Bench {
    cx: Cx,
    platform: Platform,
}

fn bench() -> Bench {
    bench_on(&Router::new())
}

fn bench_on(router: &Arc<Router>) -> Bench {
    let queue = || Queue::new(Store::memory());
    let platform = Platform {
        router: router.clone(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:4566".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings::default(),
    };
    drop(dynamodb::register(&platform));
    let cx = Cx::new(Arc::clone(router), Principal::root("000000000000"), "000000000000", "eu-west-1");
    Bench { cx, platform }
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn try_call(&self, operation: &str, input: Value) -> Result<Value, wire::Error> {
        self.cx.call_json("dynamodb", operation, input).await
    }

    async fn fails(&self, operation: &str, input: Value, code: &str, message: &str) {
        let error = self.try_call(operation, input).await.expect_err(message);
        assert_eq!((error.code(), error.message()), (code, message));
    }

    /// `pk` (S) and `sk` (N), a global index `by-city` on `city` and `sk`, a local one on `rank`.
    async fn table(&self) {
        let definition = |(name, kind): (&str, &str)| json!({"AttributeName": name, "AttributeType": kind});
        let keys = |pk: &str, sk: &str| json!([{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}]);
        let definitions: Vec<Value> = [("pk", "S"), ("sk", "N"), ("city", "S"), ("rank", "N")].map(definition).into();
        let created = self
            .call(
                "createTable",
                json!({
                    "TableName": "flights", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": definitions,
                    "KeySchema": keys("pk", "sk"),
                    "GlobalSecondaryIndexes": [{"IndexName": "by-city", "KeySchema": keys("city", "sk"),
                        "Projection": {"ProjectionType": "KEYS_ONLY"}}],
                    "LocalSecondaryIndexes": [{"IndexName": "by-rank", "KeySchema": keys("pk", "rank"),
                        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]}}],
                }),
            )
            .await;
        assert_eq!(created["TableDescription"]["TableStatus"], "ACTIVE");
    }

    async fn put(&self, pk: &str, sk: i64, more: Value) {
        let mut item = json!({"pk": {"S": pk}, "sk": {"N": sk.to_string()}});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("putItem", json!({"TableName": "flights", "Item": item})).await;
    }
}

fn key(pk: &str, sk: i64) -> Value {
    json!({"pk": {"S": pk}, "sk": {"N": sk.to_string()}})
}

#[tokio::test]
async fn items_come_and_go() {
    let bench = bench();
    bench.table().await;
    bench.put("a", 1, json!({"note": {"S": "x"}, "city": {"S": "EWR"}})).await;
    let got = bench
        .call("getItem", json!({"TableName": "flights", "Key": key("a", 1), "ReturnConsumedCapacity": "TOTAL"}))
        .await;
    assert_eq!(got["Item"]["note"], json!({"S": "x"}));
    assert_eq!(got["ConsumedCapacity"]["CapacityUnits"], 0.5);
    let updated = bench
        .call(
            "updateItem",
            json!({"TableName": "flights", "Key": key("a", 1), "UpdateExpression": "SET #n = :n ADD hits :one",
                "ExpressionAttributeNames": {"#n": "note"}, "ReturnValues": "UPDATED_NEW",
                "ExpressionAttributeValues": {":n": {"S": "y"}, ":one": {"N": "1.0"}}}),
        )
        .await;
    assert_eq!(updated["Attributes"], json!({"note": {"S": "y"}, "hits": {"N": "1"}}));
    bench
        .fails(
            "putItem",
            json!({"TableName": "flights", "Item": key("a", 1), "ConditionExpression": "attribute_not_exists(pk)"}),
            "ConditionalCheckFailedException",
            "The conditional request failed",
        )
        .await;
    bench
        .fails(
            "updateItem",
            json!({"TableName": "flights", "Key": key("a", 1), "UpdateExpression": "SET sk = :v",
                "ExpressionAttributeValues": {":v": {"N": "2"}}}),
            "ValidationException",
            "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key",
        )
        .await;
    bench
        .fails(
            "getItem",
            json!({"TableName": "/flights", "Key": key("a", 1)}),
            "ValidationException",
            "1 validation error detected: Value '/flights' at 'tableName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        )
        .await;
    bench
        .fails(
            "putItem",
            json!({"TableName": "flights"}),
            "ValidationException",
            "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null",
        )
        .await;
    let schema = "The provided key element does not match the schema";
    bench
        .fails("getItem", json!({"TableName": "flights", "Key": {"pk": {"S": "a"}}}), "ValidationException", schema)
        .await;
    bench
        .fails(
            "getItem",
            json!({"TableName": "none", "Key": key("a", 1)}),
            "ResourceNotFoundException",
            "Requested resource not found",
        )
        .await;
    let deleted =
        bench.call("deleteItem", json!({"TableName": "flights", "Key": key("a", 1), "ReturnValues": "ALL_OLD"})).await;
    assert_eq!(deleted["Attributes"]["hits"], json!({"N": "1"}));
    let table = bench.call("describeTable", json!({"TableName": "flights"})).await;
    assert_eq!((&table["Table"]["ItemCount"], &table["Table"]["TableSizeBytes"]), (&json!(0), &json!(0)));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table, asked again and again")]
async fn queries_and_scans() {
    let bench = bench();
    bench.table().await;
    for sk in -3..7 {
        let city = if sk % 2 == 0 { "EWR" } else { "LGA" };
        bench.put("a", sk, json!({"city": {"S": city}, "rank": {"N": (10 - sk).to_string()}, "note": {"S": "n"}, "extra": {"S": "e"}})).await;
    }
    bench.put("b", 1, json!({"city": {"S": "EWR"}})).await;
    let query = |more: Value| {
        let mut input = json!({"TableName": "flights", "ExpressionAttributeValues": {":a": {"S": "a"}},
            "KeyConditionExpression": "pk = :a"});
        for (name, value) in more.as_object().unwrap() {
            match (name.as_str(), value.as_object()) {
                ("ExpressionAttributeValues", Some(values)) => {
                    input[name].as_object_mut().unwrap().extend(values.clone());
                }
                _ => input[name] = value.clone(),
            }
        }
        input
    };
    let numbers = |page: &Value| -> Vec<i64> {
        page["Items"].as_array().unwrap().iter().map(|i| i["sk"]["N"].as_str().unwrap().parse().unwrap()).collect()
    };
    let all = bench.call("query", query(json!({}))).await;
    assert_eq!(numbers(&all), (-3..7).collect::<Vec<_>>());
    let some = bench
        .call(
            "query",
            query(json!({"KeyConditionExpression": "pk = :a AND sk BETWEEN :l AND :h", "ScanIndexForward": false,
            "ExpressionAttributeValues": {":l": {"N": "-1"}, ":h": {"N": "1e0"}}})),
        )
        .await;
    assert_eq!(numbers(&some), [1, 0, -1]);
    // Pages of three, forward and back, over the filter.
    for (forward, mut expected) in [(true, vec![-2, 0, 2, 4, 6]), (false, vec![6, 4, 2, 0, -2])] {
        let mut start = Value::Null;
        let mut found = Vec::new();
        loop {
            let mut input = query(json!({"Limit": 3, "ScanIndexForward": forward, "FilterExpression": "city = :c",
                "ExpressionAttributeValues": {":c": {"S": "EWR"}}}));
            if !start.is_null() {
                input["ExclusiveStartKey"] = start;
            }
            let page = bench.call("query", input).await;
            assert!(page["ScannedCount"].as_u64().unwrap() <= 3);
            found.extend(numbers(&page));
            start = page["LastEvaluatedKey"].clone();
            if start.is_null() {
                break;
            }
        }
        assert_eq!(found, std::mem::take(&mut expected));
    }
    let global = bench
        .call(
            "query",
            query(json!({"IndexName": "by-city", "KeyConditionExpression": "city = :a AND sk >= :l",
            "ExpressionAttributeValues": {":a": {"S": "EWR"}, ":l": {"N": "1"}}})),
        )
        .await;
    assert_eq!(numbers(&global), [1, 2, 4, 6]);
    assert_eq!(global["Items"][0].as_object().unwrap().len(), 3, "only keys are projected");
    let local = bench
        .call("query", query(json!({"IndexName": "by-rank", "KeyConditionExpression": "pk = :a AND #r < :l", "Select": "ALL_ATTRIBUTES",
            "ExpressionAttributeNames": {"#r": "rank"}, "ExpressionAttributeValues": {":l": {"N": "6"}}})))
        .await;
    assert_eq!(numbers(&local), [6, 5]);
    assert_eq!(local["Items"][0]["extra"], json!({"S": "e"}), "a local index fetches what it does not keep");
    let mut seen = 0;
    for segment in 0..4 {
        let page = bench
            .call("scan", json!({"TableName": "flights", "Segment": segment, "TotalSegments": 4, "Select": "COUNT"}))
            .await;
        assert!(page["Items"].is_null());
        seen += page["Count"].as_u64().unwrap();
    }
    assert_eq!(seen, 11);
    bench
        .fails(
            "query",
            query(json!({"FilterExpression": "sk = :a"})),
            "ValidationException",
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
        )
        .await;
}

#[tokio::test]
async fn transactions_are_whole() {
    let bench = bench();
    bench.table().await;
    bench.put("a", 1, json!({})).await;
    let add = |pk: &str, condition: &str| {
        json!({"Update": {"TableName": "flights", "Key": key(pk, 1), "UpdateExpression": "ADD hits :one",
            "ConditionExpression": condition, "ExpressionAttributeValues": {":one": {"N": "1"}}}})
    };
    let failure = bench
        .try_call(
            "transactWriteItems",
            json!({"TransactItems": [add("a", "attribute_exists(pk)"), add("b", "attribute_exists(pk)")]}),
        )
        .await
        .unwrap_err();
    assert_eq!(failure.code(), "TransactionCanceledException");
    assert_eq!(failure.fields()["CancellationReasons"][1]["Code"], "ConditionalCheckFailed");
    assert!(failure.message().ends_with("[None, ConditionalCheckFailed]"));
    // The same token counts once, another time another request is refused.
    let input = json!({"ClientRequestToken": "t", "TransactItems": [add("a", "attribute_exists(pk)")]});
    bench.call("transactWriteItems", input.clone()).await;
    bench.call("transactWriteItems", input).await;
    let other = json!({"ClientRequestToken": "t", "TransactItems": [add("b", "attribute_not_exists(pk)")]});
    let error = bench.try_call("transactWriteItems", other).await.unwrap_err();
    assert_eq!(error.code(), "IdempotentParameterMismatchException");
    let got = bench
        .call("transactGetItems", json!({"TransactItems": [{"Get": {"TableName": "flights", "Key": key("a", 1)}}]}))
        .await;
    assert_eq!(got["Responses"][0]["Item"]["hits"], json!({"N": "1"}));
}

#[tokio::test]
async fn a_task_counts_once() {
    let bench = bench();
    bench.table().await;
    let add = json!({"TableName": "flights", "Key": key("a", 1), "UpdateExpression": "ADD hits :one",
        "ReturnValues": "ALL_NEW", "ExpressionAttributeValues": {":one": {"N": "1"}}});
    for _ in 0..3 {
        let cx = bench.cx.with_task("execution/state/1");
        let reply = cx.call_json("dynamodb", "updateItem", add.clone()).await.unwrap();
        assert_eq!(reply["Attributes"]["hits"], json!({"N": "1"}));
    }
}

#[tokio::test]
async fn batches_and_indexes_added_later() {
    let bench = bench();
    bench.table().await;
    let puts: Vec<Value> = (0..25)
        .map(|sk| json!({"PutRequest": {"Item": {"pk": {"S": "p"}, "sk": {"N": sk.to_string()}, "kind": {"S": "k"}}}}))
        .collect();
    bench.call("batchWriteItem", json!({"RequestItems": {"flights": puts}})).await;
    let keys: Vec<Value> = (20..30).map(|sk| key("p", sk)).collect();
    let got = bench.call("batchGetItem", json!({"RequestItems": {"flights": {"Keys": keys}}})).await;
    assert_eq!(got["Responses"]["flights"].as_array().unwrap().len(), 5);
    bench
        .call(
            "updateTable",
            json!({"TableName": "flights", "AttributeDefinitions": [{"AttributeName": "kind", "AttributeType": "S"}],
                "GlobalSecondaryIndexUpdates": [{"Create": {"IndexName": "by-kind", "Projection": {"ProjectionType": "ALL"},
                    "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}]}}]}),
        )
        .await;
    let found = bench
        .call(
            "query",
            json!({"TableName": "flights", "IndexName": "by-kind", "KeyConditionExpression": "kind = :k",
            "ExpressionAttributeValues": {":k": {"S": "k"}}, "Select": "COUNT"}),
        )
        .await;
    assert_eq!(found["Count"], 25);
    bench
        .call(
            "updateTable",
            json!({"TableName": "flights", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-kind"}}]}),
        )
        .await;
    bench.call("deleteTable", json!({"TableName": "flights"})).await;
    assert_eq!(bench.call("listTables", json!({})).await["TableNames"], json!([]));
}

#[tokio::test]
async fn expired_items_are_deleted() {
    let bench = bench();
    bench.table().await;
    let running = bench.platform.dynamodb.start();
    bench.put("old", 1, json!({"until": {"N": (jiff::Timestamp::now().as_second() - 10).to_string()}})).await;
    bench.put("new", 1, json!({"until": {"N": (jiff::Timestamp::now().as_second() + 3600).to_string()}})).await;
    bench
        .call(
            "updateTimeToLive",
            json!({"TableName": "flights", "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "until"}}),
        )
        .await;
    for _ in 0..24_000 {
        let left = bench.call("scan", json!({"TableName": "flights", "Select": "COUNT"})).await;
        if left["Count"] == 1 {
            running.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the expired item is still there");
}

/// The records of the table's stream, from its oldest.
async fn records(bench: &Bench) -> Vec<Value> {
    let table = bench.call("describeTable", json!({"TableName": "flights"})).await;
    let arn = &table["Table"]["LatestStreamArn"];
    let streams = |operation: &'static str, input| bench.cx.call_json("dynamodbstreams", operation, input);
    let stream = streams("describeStream", json!({"StreamArn": arn})).await.unwrap();
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let start = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = streams("getShardIterator", start).await.unwrap();
    let read = streams("getRecords", json!({"ShardIterator": iterator["ShardIterator"]})).await.unwrap();
    read["Records"].as_array().unwrap().clone()
}

#[tokio::test]
async fn streams_keep_what_changed() {
    let bench = bench();
    bench.table().await;
    let stream = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    bench.call("updateTable", json!({"TableName": "flights", "StreamSpecification": stream})).await;
    bench.put("a", 1, json!({"note": {"S": "x"}})).await;
    bench.put("a", 1, json!({"note": {"S": "x"}})).await;
    bench.put("a", 1, json!({"note": {"S": "y"}})).await;
    bench
        .try_call(
            "transactWriteItems",
            json!({"TransactItems": [
                {"Put": {"TableName": "flights", "Item": key("b", 1)}},
                {"ConditionCheck": {"TableName": "flights", "Key": key("none", 1), "ConditionExpression": "attribute_exists(pk)"}},
            ]}),
        )
        .await
        .expect_err("the check fails");
    bench.call("deleteItem", json!({"TableName": "flights", "Key": key("a", 1)})).await;
    let records = records(&bench).await;
    let names: Vec<_> = records.iter().map(|record| record["EventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"], "nothing of what changed nothing or was taken back");
    assert_eq!(records[1]["Dynamodb"]["OldImage"]["note"], json!({"S": "x"}));
    assert_eq!(records[1]["Dynamodb"]["NewImage"]["note"], json!({"S": "y"}));
    assert!(records[2]["Dynamodb"]["NewImage"].is_null());
}

#[tokio::test]
async fn large_indexes_are_filled_beside_writes() {
    let bench = bench();
    bench.table().await;
    for at in 0..60 {
        let puts: Vec<Value> = (0..25)
            .map(|sk| json!({"PutRequest": {"Item": {"pk": {"S": at.to_string()}, "sk": {"N": sk.to_string()}, "kind": {"S": "k"}}}}))
            .collect();
        bench.call("batchWriteItem", json!({"RequestItems": {"flights": puts}})).await;
    }
    let create = json!({"Create": {"IndexName": "by-kind", "Projection": {"ProjectionType": "KEYS_ONLY"},
        "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}]}});
    let kind = json!([{"AttributeName": "kind", "AttributeType": "S"}]);
    bench
        .call(
            "updateTable",
            json!({"TableName": "flights", "AttributeDefinitions": kind, "GlobalSecondaryIndexUpdates": [create]}),
        )
        .await;
    let count = json!({"TableName": "flights", "IndexName": "by-kind", "Select": "COUNT"});
    bench
        .fails(
            "scan",
            count.clone(),
            "ValidationException",
            "Cannot read from backfilling global secondary index: by-kind",
        )
        .await;
    // Changed while the index is filled: an entry that goes, one that comes.
    bench.call("deleteItem", json!({"TableName": "flights", "Key": key("59", 24)})).await;
    bench.put("new", 1, json!({"kind": {"S": "k"}})).await;
    let running = bench.platform.dynamodb.start();
    for _ in 0..24_000 {
        let table = bench.call("describeTable", json!({"TableName": "flights"})).await;
        let index =
            table["Table"]["GlobalSecondaryIndexes"].as_array().unwrap().iter().find(|i| i["IndexName"] == "by-kind");
        let index = index.unwrap().clone();
        if index["IndexStatus"] == "ACTIVE" {
            running.abort();
            assert_eq!(index["ItemCount"], 1500);
            assert_eq!(bench.call("scan", count).await["Count"], 1500);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the index is not filled");
}

#[tokio::test]
async fn statements_and_legacy_parameters() {
    let bench = bench();
    bench.table().await;
    let run = |statement: &'static str, parameters: Value| {
        let mut input = json!({"Statement": statement});
        if parameters != json!([]) {
            input["Parameters"] = parameters;
        }
        bench.call("executeStatement", input)
    };
    run("INSERT INTO flights VALUE {'pk': 'a', 'sk': ?, 'tags': <<'x', 'y'>>}", json!([{"N": "1"}])).await;
    run("UPDATE flights SET hits = 1 WHERE pk = 'a' AND sk = 1", json!([])).await;
    let found = run("SELECT hits FROM flights WHERE pk = ? AND contains(tags, 'x')", json!([{"S": "a"}])).await;
    assert_eq!(found["Items"], json!([{"hits": {"N": "1"}}]));
    let updated = bench
        .call(
            "updateItem",
            json!({"TableName": "flights", "Key": key("a", 1), "ReturnValues": "UPDATED_NEW",
                "AttributeUpdates": {"hits": {"Action": "ADD", "Value": {"N": "2"}}},
                "Expected": {"hits": {"ComparisonOperator": "LT", "AttributeValueList": [{"N": "2"}]}}}),
        )
        .await;
    assert_eq!(updated["Attributes"], json!({"hits": {"N": "3"}}));
    let read = json!({"TableName": "flights", "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
        "QueryFilter": {"hits": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "3"}]}}});
    assert_eq!(bench.call("query", read).await["Count"], 1);
}

#[tokio::test]
async fn a_table_is_restored_as_it_was() {
    let bench = bench();
    bench.table().await;
    let put = |pk: &str, city: &str| json!({"TableName": "flights", "Item": {"pk": {"S": pk}, "sk": {"N": "1"}, "city": {"S": city}}});
    bench.call("putItem", put("kept", "Bonn")).await;
    bench.call("putItem", put("changed", "Bonn")).await;
    bench.call("putItem", put("deleted", "Bonn")).await;
    let described = bench.call("describeContinuousBackups", json!({"TableName": "flights"})).await;
    let status = &described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(status["PointInTimeRecoveryStatus"], "DISABLED");
    let on = json!({"TableName": "flights", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    bench.call("updateContinuousBackups", on).await;
    // The changes come in a later millisecond than this time.
    let before = jiff::Timestamp::now();
    while jiff::Timestamp::now().as_millisecond() <= before.as_millisecond() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.call("putItem", put("changed", "Ulm")).await;
    bench.call("putItem", put("changed", "Rom")).await;
    bench.call("putItem", put("made", "Ulm")).await;
    bench.call("deleteItem", json!({"TableName": "flights", "Key": {"pk": {"S": "deleted"}, "sk": {"N": "1"}}})).await;
    let restore = |target: &str, at: Value| {
        let mut input = json!({"SourceTableName": "flights", "TargetTableName": target});
        input.as_object_mut().unwrap().extend(at.as_object().unwrap().clone());
        input
    };
    bench.call("restoreTableToPointInTime", restore("then", json!({"RestoreDateTime": before.to_string()}))).await;
    bench.call("restoreTableToPointInTime", restore("latest", json!({"UseLatestRestorableTime": true}))).await;
    let cities = |table: &'static str| {
        let bench = &bench;
        async move {
            let items = bench.call("scan", json!({"TableName": table})).await["Items"].clone();
            let mut found: Vec<String> = items
                .as_array()
                .unwrap()
                .iter()
                .map(|item| format!("{} {}", item["pk"]["S"].as_str().unwrap(), item["city"]["S"].as_str().unwrap()))
                .collect();
            found.sort();
            found
        }
    };
    assert_eq!(cities("then").await, ["changed Bonn", "deleted Bonn", "kept Bonn"]);
    assert_eq!(cities("latest").await, ["changed Rom", "kept Bonn", "made Ulm"]);
    // Its indexes have entries.
    let query = json!({"TableName": "then", "IndexName": "by-city", "KeyConditionExpression": "city = :c", "ExpressionAttributeValues": {":c": {"S": "Bonn"}}});
    assert_eq!(bench.call("query", query).await["Count"], 3);
    let early = before - jiff::SignedDuration::from_hours(1);
    let error = bench
        .try_call("restoreTableToPointInTime", restore("early", json!({"RestoreDateTime": early.to_string()})))
        .await;
    assert_eq!(error.unwrap_err().code(), "InvalidRestoreTimeException");
}

/// The old index's entries are cleared by a task that has still to run when the new one is there.
#[tokio::test]
async fn an_index_made_again_under_its_name_is_not_cleared_with_the_old_one() {
    let bench = bench();
    bench.table().await;
    for sk in 0..30 {
        bench.put("a", sk, json!({"kind": {"S": "x"}, "other": {"S": if sk < 10 { "p" } else { "q" }}})).await;
    }
    let definitions = |name: &str| json!([{"AttributeName": name, "AttributeType": "S"}]);
    let create = |key: &str| {
        json!({"TableName": "flights", "AttributeDefinitions": definitions(key), "GlobalSecondaryIndexUpdates": [
            {"Create": {"IndexName": "again", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}]}}]})
    };
    let count = async |key: &str, value: &str| {
        let found = bench
            .call(
                "query",
                json!({"TableName": "flights", "IndexName": "again", "KeyConditionExpression": "#k = :v",
                "ExpressionAttributeNames": {"#k": key}, "ExpressionAttributeValues": {":v": {"S": value}}}),
            )
            .await;
        found["Count"].clone()
    };
    bench.call("updateTable", create("kind")).await;
    assert_eq!(count("kind", "x").await, 30);
    let delete = json!({"TableName": "flights", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "again"}}]});
    bench.call("updateTable", delete).await;
    bench.call("updateTable", create("other")).await;
    let dispatcher = bench.platform.dynamodb.start();
    let old = async || {
        bench
            .platform
            .dynamodb
            .store()
            .read(|tx| tx.scan_prefix(store::Key::new("dynamodb").push("index"), 1000))
            .await
            .unwrap()
    };
    // The 60 entries of both become the 30 of the one that is.
    while old().await.len() > 30 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(dispatcher);
    assert_eq!((count("other", "p").await, count("other", "q").await), (json!(10), json!(20)));
}

/// A task that is filling the first index is on its way when the second one of the name is there.
#[tokio::test]
async fn an_index_made_again_while_the_first_is_filled_gets_every_item() {
    let bench = bench();
    bench.table().await;
    for sk in 0..6000 {
        bench.put("a", sk, json!({"kind": {"S": "x"}})).await;
    }
    let create = json!({"TableName": "flights", "AttributeDefinitions": [{"AttributeName": "kind", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": {"IndexName": "again", "Projection": {"ProjectionType": "KEYS_ONLY"},
            "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}]}}]});
    bench.call("updateTable", create).await;
    // The task of an earlier index of the name, which has come to the end.
    let store = bench.platform.dynamodb.store();
    let forged = store.write(move |tx| {
        let tables: Vec<Value> = tx.list_json(store::Key::new("dynamodb").push("table"), 10)?;
        let task = json!({"table": tables[0], "index": "again", "made": "earlier", "after": [255]});
        tx.enqueue(store::NewTask::new("dynamodb:backfill", "earlier").payload(&task)?)
    });
    forged.await.unwrap();
    let dispatcher = bench.platform.dynamodb.start();
    let query = json!({"TableName": "flights", "IndexName": "again", "Select": "COUNT", "KeyConditionExpression": "kind = :v",
        "ExpressionAttributeValues": {":v": {"S": "x"}}});
    loop {
        let table = bench.call("describeTable", json!({"TableName": "flights"})).await;
        let indexes = table["Table"]["GlobalSecondaryIndexes"].as_array().unwrap().clone();
        if indexes.iter().any(|index| index["IndexName"] == "again" && index["IndexStatus"] == "ACTIVE") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(dispatcher);
    assert_eq!(bench.call("query", query).await["Count"], 6000);
}
