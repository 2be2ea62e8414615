//! Lineage as services note it and as it is asked for.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::{Value, json};
use service::attempts::Outcome;
use service::lineage::{Did, Lineage as _, Touched, Worker};
use service::{Cx, Platform, Principal, Router};

fn world(control: &store::Store) -> (Arc<lineage::Lineage>, Cx) {
    let queue = || store::Queue::new(store::Store::memory());
    let platform = Platform {
        router: Router::new(),
        control: store::Queue::new(control.clone()),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        settings: service::Settings::default(),
    };
    let service = lineage::register(&platform);
    (service, Cx::new(platform.router, Principal::root("000000000000"), "000000000000", "us-east-1"))
}

fn job(id: &str) -> Worker {
    Worker::Job(id.to_owned())
}

fn did(of: &lineage::Lineage, worker: &Worker, did: Did, data: &str, etag: &str) {
    of.touched(worker, Touched { did, data: data.to_owned(), bytes: 7, etag: Some(etag.to_owned()) });
}

async fn ask(cx: &Cx, input: Value) -> Value {
    cx.router().call_canonical(cx, cx.router().find("lineage", "GetLineage").unwrap(), input).await.unwrap()
}

/// `source -TYPE-> target`, in order.
async fn edges(cx: &Cx, resource: &str, direction: &str) -> Vec<String> {
    let answer = ask(cx, json!({ "Resource": resource, "Direction": direction, "Detail": "OBJECT" })).await;
    let text = |edge: &Value, name: &str| edge[name].as_str().unwrap().to_owned();
    let line = |e: &Value| format!("{} -{}-> {}", text(e, "Source"), text(e, "Type"), text(e, "Target"));
    answer["Edges"].as_array().unwrap().iter().map(line).collect()
}

const RUN: &str = "arn:aws:states:us-east-1:000000000000:execution:m:run";

#[tokio::test]
async fn from_source_to_forecast_and_back() {
    let store = store::Store::memory();
    let (lineage, cx) = world(&store);
    let state = Worker::State { execution: RUN.to_owned(), state: "Refine".to_owned() };
    lineage.began(Worker::Execution(RUN.to_owned()), None, "arn:aws:iam::000000000000:root");
    lineage.began(job("glue:jobrun:jr_1"), Some(&state), "role");
    did(&lineage, &state, Did::Wrote, "s3://lake/raw/a.csv", "a");
    did(&lineage, &job("glue:jobrun:jr_1"), Did::Read, "s3://lake/raw/a.csv", "a");
    did(&lineage, &job("glue:jobrun:jr_1"), Did::Wrote, "s3://lake/clean/day=1/x.parquet", "x");
    did(&lineage, &job("sagemaker:transform:0:r:forecast"), Did::Read, "s3://lake/clean/day=1/x.parquet", "x");
    did(&lineage, &job("sagemaker:transform:0:r:forecast"), Did::Wrote, "s3://lake/forecast/f.csv", "f");
    // An object beside it, of which nothing of this comes.
    did(&lineage, &job("athena:query:q"), Did::Wrote, "s3://lake/forecast/other.csv", "o");

    let chain = [
        "glue:jobrun:jr_1 -WROTE-> s3://lake/clean/day=1/x.parquet".to_owned(),
        "s3://lake/clean/day=1/x.parquet -READ-> sagemaker:transform:0:r:forecast".to_owned(),
        "s3://lake/raw/a.csv -READ-> glue:jobrun:jr_1".to_owned(),
        "sagemaker:transform:0:r:forecast -WROTE-> s3://lake/forecast/f.csv".to_owned(),
    ];
    let asked = [format!("{RUN} -STARTED-> {RUN}#Refine"), format!("{RUN}#Refine -STARTED-> glue:jobrun:jr_1")];
    let up = edges(&cx, "s3://lake/forecast/f.csv", "UPSTREAM").await;
    let wrote = format!("{RUN}#Refine -WROTE-> s3://lake/raw/a.csv");
    assert_eq!(up, [&[wrote.clone()][..], &chain[..], &asked[..]].concat());
    // The other way it is the same but for who wrote the first object.
    let down = edges(&cx, "s3://lake/raw/a.csv", "DOWNSTREAM").await;
    assert_eq!(down, [&chain[..], &asked[..]].concat());

    // The execution shows all that was done for it, by folder, and where it went.
    let answer = ask(&cx, json!({ "Resource": RUN })).await;
    let nodes: Vec<_> =
        answer["Nodes"].as_array().unwrap().iter().map(|n| format!("{} {}", n["Type"], n["Name"])).collect();
    assert!(nodes.contains(&r#""FOLDER" "s3://lake/clean/""#.to_owned()), "{nodes:?}");
    assert!(nodes.contains(&r#""TRANSFORM_JOB" "forecast""#.to_owned()), "{nodes:?}");
    assert!(!nodes.iter().any(|n| n.contains("athena")), "{nodes:?}");

    // All of it is there after a restart.
    drop((lineage, cx));
    let (_lineage, cx) = world(&store);
    assert_eq!(edges(&cx, "s3://lake/forecast/f.csv", "UPSTREAM").await, up);
}

#[tokio::test]
async fn a_content_that_was_overwritten_is_not_the_one_that_was_read() {
    let (lineage, cx) = world(&store::Store::memory());
    did(&lineage, &job("athena:query:old"), Did::Wrote, "s3://lake/k", "1");
    did(&lineage, &job("athena:query:new"), Did::Wrote, "s3://lake/k", "2");
    did(&lineage, &job("athena:query:reader"), Did::Read, "s3://lake/k", "2");
    did(&lineage, &job("athena:query:reader"), Did::Wrote, "s3://lake/out", "3");
    let up = edges(&cx, "s3://lake/out", "UPSTREAM").await;
    assert!(up.contains(&"athena:query:new -WROTE-> s3://lake/k".to_owned()), "{up:?}");
    assert!(!up.iter().any(|edge| edge.contains(":old")), "{up:?}");
    // Who wrote the key at all is told where it is asked for.
    assert!(edges(&cx, "s3://lake/k", "UPSTREAM").await.iter().any(|edge| edge.contains(":old")));
}

#[tokio::test]
async fn a_content_that_was_written_again_is_the_last_ones() {
    let (lineage, cx) = world(&store::Store::memory());
    let pause = || tokio::time::sleep(std::time::Duration::from_millis(3));
    // Two days' runs write the same; each day's reader has read its own day's.
    for day in ["1", "2"] {
        did(&lineage, &job(&format!("glue:jobrun:w{day}")), Did::Wrote, "s3://lake/k", "same");
        pause().await;
        did(&lineage, &job(&format!("glue:jobrun:r{day}")), Did::Read, "s3://lake/k", "same");
        did(&lineage, &job(&format!("glue:jobrun:r{day}")), Did::Wrote, &format!("s3://lake/out{day}"), day);
        pause().await;
    }
    for (day, other) in [("1", "2"), ("2", "1")] {
        let up = edges(&cx, &format!("s3://lake/out{day}"), "UPSTREAM").await;
        assert!(up.iter().any(|edge| edge.contains(&format!(":w{day} "))), "{up:?}");
        assert!(!up.iter().any(|edge| edge.contains(&format!(":w{other} "))), "{up:?}");
        let down = edges(&cx, &format!("glue:jobrun:w{day}"), "DOWNSTREAM").await;
        assert!(down.iter().any(|edge| edge.ends_with(&format!(":r{day}"))), "{down:?}");
        assert!(!down.iter().any(|edge| edge.ends_with(&format!(":r{other}"))), "{down:?}");
    }
}

#[tokio::test]
async fn what_an_attempt_wrote_that_was_rolled_back_was_not_written() {
    let (lineage, cx) = world(&store::Store::memory());
    let worker = job("glue:jobrun:jr_2");
    did(&lineage, &worker, Did::Read, "s3://lake/in", "1");
    did(&lineage, &worker, Did::Wrote, "s3://lake/first", "2");
    // One of the rows is stored, one in memory.
    lineage.keep("glue:jobrun:jr_2").await.unwrap();
    did(&lineage, &worker, Did::Wrote, "s3://lake/second", "3");
    cx.router().finish_attempts("glue:jobrun:jr_2", Outcome::Rollback).await.unwrap();
    let left = edges(&cx, "glue:jobrun:jr_2", "BOTH").await;
    assert_eq!(left, ["s3://lake/in -READ-> glue:jobrun:jr_2"]);
    did(&lineage, &worker, Did::Wrote, "s3://lake/first", "4");
    cx.router().finish_attempts("glue:jobrun:jr_2", Outcome::Commit).await.unwrap();
    assert_eq!(edges(&cx, "s3://lake/first", "UPSTREAM").await.len(), 2, "what it read is behind it");
}

/// All of a server's accounts have one lineage, which tells of keys, ARNs and callers.
#[tokio::test]
async fn another_account_is_told_nothing() {
    let (lineage, cx) = world(&store::Store::memory());
    did(&lineage, &job("athena:query:q"), Did::Wrote, "s3://lake/k", "1");
    let other = Cx::new(cx.router().clone(), Principal::root("111111111111"), "111111111111", "us-east-1");
    for (operation, input) in [("GetLineage", json!({ "Resource": "s3://lake/k" })), ("ListAccesses", json!({}))] {
        let found = cx.router().find("lineage", operation).unwrap();
        assert!(cx.router().call_canonical(&cx, found, input.clone()).await.is_ok());
        let error = other.router().call_canonical(&other, found, input).await.unwrap_err();
        assert_eq!(error.code(), "AccessDeniedException");
        assert!(error.message().contains("the server's own account"), "{}", error.message());
    }
}

/// One that did three things to one piece of data is told on a page for one.
#[tokio::test]
async fn accesses_are_told_to_the_last() {
    let store = store::Store::memory();
    let (lineage, cx) = world(&store);
    lineage.began(job("glue:jobrun:jr_1"), None, "role");
    for (data, action) in [
        ("s3://lake/a", Did::Read),
        ("s3://lake/a", Did::Wrote),
        ("s3://lake/a", Did::Deleted),
        ("s3://lake/b", Did::Read),
    ] {
        did(&lineage, &job("glue:jobrun:jr_1"), action, data, "e");
    }
    for most in [1, 2, 100] {
        let (mut found, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut input = json!({ "MaxResults": most });
            if !token.is_null() {
                input["NextToken"] = token;
            }
            let spec = cx.router().find("lineage", "ListAccesses").unwrap();
            let page = cx.router().call_canonical(&cx, spec, input).await.unwrap();
            found.extend(page["Accesses"].as_array().unwrap().iter().map(|one| one["Resource"].clone()));
            token = page.get("NextToken").cloned().unwrap_or_default();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(found, ["s3://lake/a", "s3://lake/a", "s3://lake/a", "s3://lake/b"], "{most}");
    }
}
