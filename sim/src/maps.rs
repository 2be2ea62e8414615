//! Distributed Maps whose source changes under them, whose children take too long, and which stand in one another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use api_s3::{
    DeleteObject, DeleteObjectOutput, DeleteObjectRequest, ListObjectsV2, ListObjectsV2Output, ListObjectsV2Request,
    Object,
};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle, Router, operations};
use wire::Error;

use crate::scene::{Client, Stage};

/// A bucket that outlives the process.
#[derive(Default)]
struct Bucket {
    keys: Mutex<BTreeSet<String>>,
    /// The tasks that deleted each object.
    deleted: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Handle<ListObjectsV2> for Bucket {
    async fn handle(&self, _: &Cx, input: ListObjectsV2Request) -> Result<ListObjectsV2Output, Error> {
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let mut left: Vec<String> = locked(&self.keys).iter().filter(|key| **key > after).cloned().collect();
        let is_truncated = left.len() > 7;
        left.truncate(7);
        let next = left.last().filter(|_| is_truncated).cloned();
        let contents = left.into_iter().map(|key| Object { key: Some(key), ..Object::default() }).collect();
        Ok(ListObjectsV2Output { contents: Some(contents), next_continuation_token: next, ..Default::default() })
    }
}

#[async_trait]
impl Handle<DeleteObject> for Bucket {
    async fn handle(&self, cx: &Cx, input: DeleteObjectRequest) -> Result<DeleteObjectOutput, Error> {
        locked(&self.keys).remove(&input.key);
        let task = cx.task_id().unwrap_or_default().to_owned();
        locked(&self.deleted).entry(input.key).or_default().insert(task);
        Ok(DeleteObjectOutput::default())
    }
}

fn distributed(execution_type: &str, state: &Value) -> Value {
    json!({
        "Type": "Map", "End": true,
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": execution_type },
            "StartAt": "S", "States": { "S": state },
        },
    })
}

/// A Map over the items of a member, whose child is given a state of that name.
fn over(member: &str, name: &str, state: &Value) -> Value {
    json!({
        "Type": "Map", "End": true, "ItemsPath": format!("$.{member}"),
        "ItemSelector": { "one": [1] }, "ResultSelector": { "one": [1] },
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": name, "States": { name: state },
        },
    })
}

fn machine(map: &Value) -> Value {
    json!({ "StartAt": "M", "States": { "M": map } })
}

/// A Map drains a prefix: each child deletes its object. Whatever crashes and whatever comes to the prefix meanwhile, each object that
/// was there at first is in one child, and none is left.
pub fn drain(seed: u64, shards: usize) -> Result<u64, String> {
    let mut stage = Stage::over(seed, shards);
    let count = stage.chance.between(10, 60);
    let keys: BTreeSet<String> = (0..count).map(|n| format!("k{n:03}")).collect();
    let bucket = Arc::new(Bucket { keys: Mutex::new(keys.clone()), ..Bucket::default() });
    let execution_type = if stage.chance.permille(500) { "STANDARD" } else { "EXPRESS" };
    let mut map = distributed(
        execution_type,
        &json!({
            "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:deleteObject", "End": true,
            "Parameters": { "Bucket": "b", "Key.$": "$.Key" },
        }),
    );
    map["MaxConcurrency"] = json!(stage.chance.between(1, 8));
    map["ItemReader"] = json!({ "Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": { "Bucket": "b" } });
    let machine = machine(&map);
    let services = {
        let bucket = Arc::clone(&bucket);
        move |router: &Arc<Router>| {
            operations!(router, bucket, api_s3: ListObjectsV2, DeleteObject);
        }
    };
    let mut late = 0;
    let played = stage.play(
        &services,
        |client: Client| {
            let machine = machine.clone();
            async move {
                let execution = client.start("drain", &machine, &json!({})).await;
                let ended = client.ended(&execution).await;
                if ended["Status"] == "SUCCEEDED" { Ok(()) } else { Err(format!("{ended}")) }
            }
        },
        |_| {
            // Before all others: whoever counts from the beginning again misses one.
            late += 1;
            if !locked(&bucket.deleted).is_empty() {
                locked(&bucket.keys).insert(format!("a{late:03}"));
            }
        },
    );
    let lives = played.map_err(|fault| format!("seed {seed}: {fault}"))? + 1;
    let deleted = locked(&bucket.deleted).clone();
    if let Some((key, tasks)) = deleted.iter().find(|(_, tasks)| tasks.len() > 1) {
        return Err(format!("seed {seed}: {key} is in more than one child: {tasks:?}"));
    }
    match keys.iter().find(|key| !deleted.contains_key(*key)) {
        Some(key) => Err(format!("seed {seed}: {key} is in no child")),
        None => Ok(lives),
    }
}

/// An Express child has five minutes.
pub fn late_children() -> Result<(), String> {
    let wait = |seconds: u32| json!({ "Type": "Wait", "Seconds": seconds, "End": true });
    for (execution_type, seconds, want) in
        [("EXPRESS", 900, "FAILED"), ("EXPRESS", 290, "SUCCEEDED"), ("STANDARD", 900, "SUCCEEDED")]
    {
        let mut stage = Stage::new(u64::from(seconds));
        let mut map = distributed(execution_type, &wait(seconds));
        // The later ones begin when the first have ended.
        map["MaxConcurrency"] = json!(2);
        let machine = machine(&map);
        stage.play(
            &|_| {},
            |client: Client| {
                let machine = machine.clone();
                async move {
                    let execution = client.start("late", &machine, &json!([1, 2, 3])).await;
                    let ended = client.ended(&execution).await;
                    let runs = client.call("listMapRuns", json!({ "ExecutionArn": execution })).await;
                    let run = json!({ "MapRunArn": runs["MapRuns"][0]["MapRunArn"] });
                    let counts = client.call("describeMapRun", run).await["ExecutionCounts"].clone();
                    let late = counts["TimedOut"].as_u64().unwrap_or(0);
                    if ended["Status"] == want && (late > 0) == (want == "FAILED") {
                        return Ok(());
                    }
                    Err(format!("{execution_type}, {seconds} s: {ended} {counts}"))
                }
            },
            |_| {},
        )?;
    }
    Ok(())
}

/// Runs that wait for their children's runs do not keep those from beginning, however many there are.
pub fn nested(width: u64) -> Result<(), String> {
    let pass = json!({ "Type": "Pass", "End": true });
    let inner = over("one", "Last", &pass);
    let machine = machine(&over("many", "Middle", &over("one", "Inner", &inner)));
    let mut stage = Stage::new(0);
    // Without crashes: it is about how many there are.
    stage.calm();
    stage
        .play(
            &|_| {},
            |client: Client| {
                let machine = machine.clone();
                async move {
                    let many: Vec<u64> = (0..width).collect();
                    let execution = client.start("nested", &machine, &json!({ "many": many })).await;
                    let ended = client.ended(&execution).await;
                    if ended["Status"] == "SUCCEEDED" { Ok(()) } else { Err(format!("{ended}")) }
                }
            },
            |_| {},
        )
        .map(drop)
}
