//! Incremental exports: what changed in a window, out of the log of point-in-time recovery.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Mutex;

use api_s3::{PutObject, PutObjectOutput, PutObjectRequest};
use async_trait::async_trait;
use service::Handle;
use store::Key;
use wire::Error;

use super::ages::shifted;
use super::*;

const MINUTE_MS: i64 = 60_000;

/// A bucket.
#[derive(Default)]
struct Bucket(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Handle<PutObject> for Bucket {
    async fn handle(&self, _: &Cx, req: PutObjectRequest) -> Result<PutObjectOutput, Error> {
        let body = req.body.map(|body| body.as_bytes().to_vec()).unwrap_or_default();
        self.0.lock().unwrap().insert(req.key, body);
        Ok(PutObjectOutput { e_tag: Some("\"tag\"".to_owned()), ..PutObjectOutput::default() })
    }
}

impl Bucket {
    fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&self.0.lock().unwrap()[key]).unwrap()
    }

    /// The lines of the data files that a manifest lists.
    fn lines(&self, list: &str) -> Vec<Value> {
        let objects = self.0.lock().unwrap();
        let files = std::str::from_utf8(&objects[list]).unwrap().lines().map(|line| {
            let file: Value = serde_json::from_str(line).unwrap();
            file["dataFileS3Key"].as_str().unwrap().to_owned()
        });
        let mut lines = Vec::new();
        for file in files {
            assert!(file.starts_with("daily/AWSDynamoDB/data/"), "{file}");
            let mut text = String::new();
            flate2::read::GzDecoder::new(objects[&file].as_slice()).read_to_string(&mut text).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        lines
    }
}

/// Sets when each change of the one table was made, by how many minutes ago that was, and recovery on for two days.
async fn date(bench: &Bench, now_ms: i64, ages: Vec<i64>) {
    let dated = bench.platform.dynamodb.store().write(move |tx| {
        let log = tx.scan_prefix(Key::new("dynamodb").push("recovery"), 10_000)?;
        assert_eq!(log.len(), ages.len());
        for ((key, value), age) in log.iter().zip(&ages) {
            let mut change: Value = store::kv::decode(key, value)?;
            change["at_ms"] = json!(now_ms - age * MINUTE_MS);
            tx.put_json(key, &change)?;
        }
        for (key, value) in tx.scan_prefix(Key::new("dynamodb").push("table"), 10)? {
            let mut table: Value = store::kv::decode(&key, &value)?;
            table["recovery"]["since_ms"] = json!(now_ms - 2 * 24 * 60 * MINUTE_MS);
            tx.put_json(&key, &table)?;
        }
        Ok::<_, store::Error>(())
    });
    dated.await.unwrap();
}

fn at(now_ms: i64, age: i64) -> String {
    jiff::Timestamp::from_millisecond(now_ms - age * MINUTE_MS).unwrap().to_string()
}

/// A table with a bucket beside it, and changes of before, in and after the window from 100 to 50 minutes ago.
async fn changed() -> (Bench, Arc<Bucket>, i64) {
    let bench = bench();
    let bucket = Arc::new(Bucket::default());
    bench.cx.router().register::<PutObject, _>(&bucket);
    bench.table().await;
    let recovery =
        json!({"TableName": "flights", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    bench.call("updateContinuousBackups", recovery).await;
    let value = |n: i64| json!({"v": {"N": n.to_string()}});
    let delete = |sk: i64| bench.call("deleteItem", json!({"TableName": "flights", "Key": key("a", sk)}));
    let mut ages = Vec::new();
    for sk in 1..=3 {
        bench.put("a", sk, value(0)).await;
        ages.push(300);
    }
    for (age, n) in [(100, 1), (90, 2)] {
        bench.put("a", 1, value(n)).await;
        ages.push(age);
    }
    delete(2).await;
    bench.put("a", 4, value(4)).await;
    bench.put("a", 5, value(5)).await;
    delete(5).await;
    bench.put("a", 6, value(6)).await;
    ages.extend([80, 80, 75, 70, 65]);
    // More than one step of the work.
    for pk in 0..24 {
        let puts: Vec<Value> = (0..25)
            .map(|sk| json!({"PutRequest": {"Item": {"pk": {"S": format!("m{pk}")}, "sk": {"N": sk.to_string()}}}}))
            .collect();
        bench.call("batchWriteItem", json!({"RequestItems": {"flights": puts}})).await;
        ages.extend([60; 25]);
    }
    // After the window: at its end, and later.
    bench.put("a", 1, value(3)).await;
    delete(6).await;
    bench.put("a", 7, value(7)).await;
    ages.extend([50, 30, 20]);
    let now_ms = bench.cx.now().as_millisecond();
    date(&bench, now_ms, ages).await;
    (bench, bucket, now_ms)
}

impl Bench {
    /// Exports what changed in a window of minutes ago, and waits for the end; the description.
    async fn export(&self, view: Option<&str>, (from, to): (String, String)) -> Value {
        let mut window = json!({"ExportFromTime": from, "ExportToTime": to});
        if let Some(view) = view {
            window["ExportViewType"] = json!(view);
        }
        let input = json!({"TableArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/flights", "S3Bucket": "lake",
            "S3Prefix": "daily", "ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": window});
        let begun = self.call("exportTableToPointInTime", input).await["ExportDescription"].clone();
        assert_eq!(
            (&begun["ExportType"], &begun["ExportStatus"]),
            (&json!("INCREMENTAL_EXPORT"), &json!("IN_PROGRESS"))
        );
        let running = self.platform.dynamodb.start();
        for _ in 0..24_000 {
            let told = self.call("describeExport", json!({"ExportArn": begun["ExportArn"]})).await;
            if told["ExportDescription"]["ExportStatus"] != "IN_PROGRESS" {
                running.abort();
                return told["ExportDescription"].clone();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the export does not end");
    }
}

#[tokio::test]
async fn what_changed_in_a_window_is_exported() {
    let (bench, bucket, now_ms) = changed().await;
    let told = bench.export(None, (at(now_ms, 100), at(now_ms, 50))).await;
    assert_eq!((&told["ExportStatus"], &told["ItemCount"]), (&json!("COMPLETED"), &json!(604)), "{told}");
    assert_eq!(told["IncrementalExportSpecification"]["ExportViewType"], "NEW_AND_OLD_IMAGES");
    let summary = bucket.json(told["ExportManifest"].as_str().unwrap());
    assert_eq!(summary["exportType"], "INCREMENTAL_EXPORT");
    assert_eq!((&summary["version"], &summary["outputView"]), (&json!("2023-08-01"), &json!("NEW_AND_OLD_IMAGES")));
    assert!(summary["exportFromTime"].is_string() && summary["exportToTime"].is_string(), "{summary}");
    assert_eq!(summary["itemCount"], 604);
    let lines = bucket.lines(summary["manifestFilesS3Key"].as_str().unwrap());
    let item = |sk: i64, v: i64| json!({"pk": {"S": "a"}, "sk": {"N": sk.to_string()}, "v": {"N": v.to_string()}});
    let line = |sk: i64, age: i64| {
        let written = (now_ms - age * MINUTE_MS) * 1000;
        json!({"Metadata": {"WriteTimestampMicros": {"N": written.to_string()}}, "Keys": key("a", sk)})
    };
    let mut expected = BTreeMap::from([(1, line(1, 90)), (2, line(2, 80)), (4, line(4, 80)), (6, line(6, 65))]);
    expected.get_mut(&1).unwrap()["OldImage"] = item(1, 0);
    expected.get_mut(&1).unwrap()["NewImage"] = item(1, 2);
    expected.get_mut(&2).unwrap()["OldImage"] = item(2, 0);
    expected.get_mut(&4).unwrap()["NewImage"] = item(4, 4);
    expected.get_mut(&6).unwrap()["NewImage"] = item(6, 6);
    let own = lines.iter().filter(|line| line["Keys"]["pk"]["S"] == "a");
    let found: BTreeMap<i64, Value> =
        own.map(|line| (line["Keys"]["sk"]["N"].as_str().unwrap().parse().unwrap(), line.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(lines.len(), 604);
    let listed = bench.call("listExports", json!({})).await;
    assert_eq!(listed["ExportSummaries"][0]["ExportType"], "INCREMENTAL_EXPORT");
}

#[tokio::test]
async fn new_images_alone() {
    let (bench, bucket, now_ms) = changed().await;
    let told = bench.export(Some("NEW_IMAGE"), (at(now_ms, 95), at(now_ms, 70))).await;
    let summary = bucket.json(told["ExportManifest"].as_str().unwrap());
    assert_eq!(summary["outputView"], "NEW_IMAGE");
    let lines = bucket.lines(summary["manifestFilesS3Key"].as_str().unwrap());
    // Item 5 is deleted at the end of the window, which is not in it.
    let shown: BTreeMap<&str, (bool, bool)> = lines
        .iter()
        .map(|line| {
            (line["Keys"]["sk"]["N"].as_str().unwrap(), (line["NewImage"].is_object(), line["OldImage"].is_object()))
        })
        .collect();
    let expected = [("1", (true, false)), ("2", (false, false)), ("4", (true, false)), ("5", (true, false))];
    assert_eq!(shown, BTreeMap::from(expected));
}

#[tokio::test]
async fn windows_that_are_none() {
    let (bench, _, now_ms) = changed().await;
    let export = |kind: &str, more: Value| {
        let mut input = json!({"TableArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/flights", "S3Bucket": "lake",
            "ExportType": kind});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let bench = &bench;
        async move { bench.try_call("exportTableToPointInTime", input).await.expect_err("refused").code().to_owned() }
    };
    let window = |from: i64, to: i64| json!({"IncrementalExportSpecification": {"ExportFromTime": at(now_ms, from), "ExportToTime": at(now_ms, to)}});
    assert_eq!(export("INCREMENTAL_EXPORT", json!({})).await, "ValidationException");
    assert_eq!(export("FULL_EXPORT", window(60, 30)).await, "ValidationException");
    assert_eq!(export("INCREMENTAL_EXPORT", window(60, 46)).await, "ValidationException");
    assert_eq!(export("INCREMENTAL_EXPORT", window(30, 60)).await, "ValidationException");
    assert_eq!(export("INCREMENTAL_EXPORT", window(25 * 60, 30)).await, "ValidationException");
    assert_eq!(export("INCREMENTAL_EXPORT", window(3 * 24 * 60, 3 * 24 * 60 - 30)).await, "InvalidExportTimeException");
    assert_eq!(export("INCREMENTAL_EXPORT", window(60, -30)).await, "InvalidExportTimeException");
    let mut both = window(60, 30);
    both["ExportTime"] = json!(at(now_ms, 40));
    assert_eq!(export("INCREMENTAL_EXPORT", both).await, "ValidationException");
    // What is written while recovery is off is in no log.
    let recovery =
        json!({"TableName": "flights", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": false}});
    let arn = json!({"TableArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/flights", "S3Bucket": "lake", "ExportType": "INCREMENTAL_EXPORT"});
    let mut input = window(60, 30);
    input.as_object_mut().unwrap().extend(arn.as_object().unwrap().clone());
    let begun = bench.call("exportTableToPointInTime", input).await["ExportDescription"]["ExportArn"].clone();
    bench.call("updateContinuousBackups", recovery).await;
    let running = bench.platform.dynamodb.start();
    for _ in 0..24_000 {
        let told = bench.call("describeExport", json!({"ExportArn": begun})).await["ExportDescription"].clone();
        if told["ExportStatus"] != "IN_PROGRESS" {
            running.abort();
            assert_eq!(
                (&told["ExportStatus"], &told["FailureCode"]),
                (&json!("FAILED"), &json!("PointInTimeRecoveryUnavailable"))
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the export does not end");
}

#[tokio::test]
async fn exports_are_told_of_for_ninety_days() {
    let (bench, clock) = shifted();
    bench.cx.router().register::<PutObject, _>(&Arc::new(Bucket::default()));
    bench.table().await;
    let recovery =
        json!({"TableName": "flights", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    bench.call("updateContinuousBackups", recovery).await;
    let export = async || {
        let input = json!({"TableArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/flights", "S3Bucket": "lake",
            "ClientToken": "again"});
        let begun = bench.call("exportTableToPointInTime", input).await["ExportDescription"]["ExportArn"].clone();
        let running = bench.platform.dynamodb.start();
        let asked = json!({"ExportArn": begun});
        while bench.call("describeExport", asked.clone()).await["ExportDescription"]["EndTime"].is_null() {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        running.abort();
        begun
    };
    let listed = async || {
        let told = bench.call("listExports", json!({})).await["ExportSummaries"].clone();
        told.as_array().unwrap().iter().map(|one| one["ExportArn"].clone()).collect::<Vec<_>>()
    };
    let first = export().await;
    assert_eq!(export().await, first, "a token stands for its export");
    clock.pass(1);
    let second = export().await;
    assert_ne!(second, first, "for eight hours");
    assert_eq!(listed().await, [first.clone(), second.clone()]);
    clock.pass(89);
    assert_eq!(listed().await, [second]);
    let gone = bench.try_call("describeExport", json!({"ExportArn": first})).await.unwrap_err();
    assert_eq!(gone.code(), "ExportNotFoundException");
    let third = export().await;
    clock.pass(88);
    assert_eq!(listed().await, [third]);
    let exports = Key::new("dynamodb").push("export");
    let kept = bench.platform.dynamodb.store().read(move |tx| tx.scan_prefix(&exports, 9)).await.unwrap();
    assert_eq!(kept.len(), 2, "what nobody is told of goes with the next export");
}
