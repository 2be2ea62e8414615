//! What time does to what is kept: records of streams, recovery, client tokens, expiries.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};

use store::{Clock, Key, SystemClock};

use super::*;

/// The real time, and what a test has let pass.
#[derive(Debug, Default)]
pub(super) struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() + jiff::SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep(time)
    }
    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

impl Shifted {
    pub(super) fn pass(&self, days: i64) {
        self.pass_seconds(days * 86_400);
    }

    pub(super) fn pass_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

pub(super) fn shifted() -> (Bench, Arc<Shifted>) {
    let clock = Arc::new(Shifted::default());
    (bench_on(&Router::with_clock(clock.clone())), clock)
}

/// Makes the first records of the one stream older than a stream's records can be read. The task that deletes them has not run.
async fn age(bench: &Bench, count: usize) {
    const DAY_MS: i64 = 86_400_000;
    let aged = bench.platform.dynamodb.store().write(move |tx| {
        for (key, value) in tx.scan_prefix(Key::new("dynamodb").push("stream-record"), count)? {
            let mut record: Value = store::kv::decode(&key, &value)?;
            record["at_ms"] = json!(record["at_ms"].as_i64().unwrap() - DAY_MS - 1);
            tx.put_json(&key, &record)?;
        }
        Ok::<_, store::Error>(())
    });
    aged.await.unwrap();
}

#[tokio::test]
async fn a_stream_is_read_on_from_its_oldest_live_record() {
    let bench = bench();
    bench.table().await;
    let stream = json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"});
    let table = bench.call("updateTable", json!({"TableName": "flights", "StreamSpecification": stream})).await;
    let arn = table["TableDescription"]["LatestStreamArn"].clone();
    let streams = |operation: &'static str, input| bench.cx.call_json("dynamodbstreams", operation, input);
    let described = |at: &str| {
        let (streams, arn, at) = (&streams, arn.clone(), at.to_owned());
        async move {
            let stream = streams("describeStream", json!({"StreamArn": arn})).await.unwrap();
            stream["StreamDescription"]["Shards"][0].pointer(&at).unwrap().clone()
        }
    };
    let shard = described("/ShardId").await;
    let iterator = |kind: &str, number: Option<Value>| {
        let mut input = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind});
        if let Some(number) = number {
            input["SequenceNumber"] = number;
        }
        streams("getShardIterator", input)
    };
    for sk in 0..12 {
        bench.put("a", sk, json!({})).await;
    }
    let before = iterator("TRIM_HORIZON", None).await.unwrap()["ShardIterator"].clone();
    let first = described("/SequenceNumberRange/StartingSequenceNumber").await;
    age(&bench, 7).await;
    let read = |iterator: Value| {
        let streams = &streams;
        async move {
            let (mut iterator, mut seen) = (iterator, Vec::new());
            for _ in 0..8 {
                let page = streams("getRecords", json!({"ShardIterator": iterator, "Limit": 3})).await.unwrap();
                let keys = page["Records"].as_array().unwrap().iter();
                seen.extend(keys.map(|record| record["Dynamodb"]["Keys"]["sk"]["N"].as_str().unwrap().to_owned()));
                iterator = page["NextShardIterator"].clone();
            }
            seen
        }
    };
    let live = ["7", "8", "9", "10", "11"];
    assert_eq!(read(before).await, live, "an iterator of before is passed over what is gone, and no further");
    let horizon = iterator("TRIM_HORIZON", None).await.unwrap()["ShardIterator"].clone();
    assert_eq!(read(horizon).await, live);
    let refused = iterator("AFTER_SEQUENCE_NUMBER", Some(first.clone())).await.unwrap_err();
    assert_eq!(refused.code(), "TrimmedDataAccessException");
    assert_ne!(described("/SequenceNumberRange/StartingSequenceNumber").await, first, "what is gone does not begin it");
    // All of them are gone: reading goes on with what is yet to come.
    age(&bench, 100).await;
    let horizon = iterator("TRIM_HORIZON", None).await.unwrap()["ShardIterator"].clone();
    bench.put("a", 99, json!({})).await;
    assert_eq!(read(horizon).await, ["99"]);
}

#[tokio::test]
async fn a_longer_period_of_recovery_brings_nothing_back() {
    let (bench, clock) = shifted();
    let clock = &*clock;
    bench.table().await;
    let recovery = |days: Option<i64>| {
        let mut specification = json!({"PointInTimeRecoveryEnabled": true});
        if let Some(days) = days {
            specification["RecoveryPeriodInDays"] = json!(days);
        }
        let input = json!({"TableName": "flights", "PointInTimeRecoverySpecification": specification});
        let bench = &bench;
        async move {
            let answer = bench.call("updateContinuousBackups", input).await;
            let told = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone();
            let from: jiff::Timestamp = told["EarliestRestorableDateTime"].as_str().unwrap().parse().unwrap();
            (told["RecoveryPeriodInDays"].as_i64().unwrap(), (clock.now().as_second() - from.as_second()) / 86_400)
        }
    };
    assert_eq!(recovery(Some(2)).await, (2, 0));
    clock.pass(30);
    assert_eq!(recovery(None).await, (2, 2), "the period stays where none is asked for");
    assert_eq!(recovery(Some(35)).await, (35, 2), "what a shorter period let go is gone");
    let long_ago = clock.now() - jiff::SignedDuration::from_hours(24 * 20);
    let restore =
        json!({"SourceTableName": "flights", "TargetTableName": "back", "RestoreDateTime": long_ago.to_string()});
    let refused = bench.try_call("restoreTableToPointInTime", restore).await.unwrap_err();
    assert_eq!(refused.code(), "InvalidRestoreTimeException");
}

#[tokio::test]
async fn a_client_token_stands_for_its_transaction_for_ten_minutes() {
    let (bench, clock) = shifted();
    bench.table().await;
    let add = |token: &str, name: &str| {
        let update = json!({"TableName": "flights", "Key": key("a", 1), "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}}, "ConditionExpression": "attribute_not_exists(absent)"});
        let put = json!({"TableName": "flights", "Item": key(name, 2)});
        json!({"ClientRequestToken": token, "TransactItems": [{"Update": update}, {"Put": put}]})
    };
    let hits = || async {
        let got = bench.call("getItem", json!({"TableName": "flights", "Key": key("a", 1)})).await;
        got["Item"]["hits"]["N"].as_str().unwrap().to_owned()
    };
    // More than one later transaction forgets.
    for at in 0..60 {
        bench.call("transactWriteItems", add(&format!("t{at}"), "b")).await;
    }
    assert_eq!(hits().await, "60");
    bench.call("transactWriteItems", add("t59", "b")).await;
    assert_eq!(hits().await, "60", "within ten minutes it is the same transaction");
    let other = bench.try_call("transactWriteItems", add("t59", "c")).await.unwrap_err();
    assert_eq!(other.code(), "IdempotentParameterMismatchException");
    clock.pass(1);
    bench.call("transactWriteItems", add("t59", "c")).await;
    assert_eq!(hits().await, "61", "a day later it is another");
    bench.call("transactWriteItems", add("t59", "c")).await;
    assert_eq!(hits().await, "61", "and that one is remembered");
}

#[tokio::test]
async fn a_large_table_learns_piece_by_piece_when_its_items_expire() {
    const ITEMS: usize = 1200;
    let bench = bench();
    bench.table().await;
    for at in 0..ITEMS / 25 {
        let puts: Vec<Value> = (0..25)
            .map(|sk| json!({"PutRequest": {"Item": {"pk": {"S": at.to_string()}, "sk": {"N": sk.to_string()}, "until": {"N": "99999999999"}}}}))
            .collect();
        bench.call("batchWriteItem", json!({"RequestItems": {"flights": puts}})).await;
    }
    let ttl = |enabled: bool| {
        let specification = json!({"Enabled": enabled, "AttributeName": "until"});
        bench.call("updateTimeToLive", json!({"TableName": "flights", "TimeToLiveSpecification": specification}))
    };
    let status = || async {
        let told = bench.call("describeTimeToLive", json!({"TableName": "flights"})).await;
        told["TimeToLiveDescription"]["TimeToLiveStatus"].as_str().unwrap().to_owned()
    };
    let noted = || noted(&bench);
    ttl(true).await;
    assert_eq!(status().await, "ENABLING");
    assert!(noted().await < ITEMS, "the request itself does not go over the whole table");
    // While the rest is noted: an item that goes, one that comes.
    bench.call("deleteItem", json!({"TableName": "flights", "Key": key("0", 0)})).await;
    bench.put("new", 1, json!({"until": {"N": "99999999999"}})).await;
    let running = bench.platform.dynamodb.start();
    until(|| async { status().await == "ENABLED" }).await;
    assert_eq!(noted().await, ITEMS);
    ttl(false).await;
    assert_eq!(status().await, "DISABLED");
    // Enabled again before the first is cleared: its expiries are its own.
    ttl(true).await;
    until(|| async { status().await == "ENABLED" && noted().await == ITEMS }).await;
    running.abort();
}

/// How many expiries are noted in the store.
async fn noted(bench: &Bench) -> usize {
    let all = Key::new("dynamodb").push("expiry");
    bench.platform.dynamodb.store().read(|tx| tx.scan_prefix(&all, 100_000)).await.unwrap().len()
}

/// Returns when it is so.
async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    for _ in 0..24_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to that");
}

#[tokio::test]
async fn a_deleted_table_leaves_no_plan_of_expiries() {
    let bench = bench();
    bench.table().await;
    bench
        .call(
            "updateTimeToLive",
            json!({"TableName": "flights", "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "until"}}),
        )
        .await;
    bench.put("a", 1, json!({"until": {"N": "99999999999"}})).await;
    bench.call("deleteTable", json!({"TableName": "flights"})).await;
    let left = || async {
        let planned = Key::new("dynamodb").push("next-expiry");
        let read = bench.platform.dynamodb.store().read(|tx| tx.scan_prefix(&planned, 10)).await.unwrap().len();
        (read, noted(&bench).await)
    };
    assert_eq!(left().await, (1, 1));
    let running = bench.platform.dynamodb.start();
    until(|| async { left().await == (0, 0) }).await;
    running.abort();
}
