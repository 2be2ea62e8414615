//! The tables over a caller that answers as the services do.

use std::collections::BTreeSet;
use std::sync::Mutex;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{Expr, SessionContext, col, lit};
use futures::FutureExt;
use serde_json::json;

use super::asked::Asked;
use super::*;

/// Answers as the services would, and notes what it was asked.
fn call(asked: &Arc<Mutex<Vec<String>>>) -> JsonCall {
    let asked = Arc::clone(asked);
    Arc::new(move |target, input| {
        let sorted: std::collections::BTreeMap<String, Value> = serde_json::from_value(input.clone()).unwrap();
        asked.lock().unwrap().push(format!("{target} {}", serde_json::to_string(&sorted).unwrap()));
        let denied = || Err(("AccessDeniedException".to_owned(), "no".to_owned()));
        let answer = match target {
            "AWSStepFunctions.ListStateMachines" => Ok(json!({ "stateMachines": [
                { "stateMachineArn": "m", "type": "STANDARD" }, { "type": "EXPRESS" },
                { "stateMachineArn": "hidden", "type": "STANDARD" },
            ] })),
            "AWSStepFunctions.ListExecutions" if input["stateMachineArn"] == "hidden" => denied(),
            "AWSStepFunctions.ListExecutions" if input["nextToken"].is_null() => {
                Ok(json!({ "executions": [{ "name": "a", "status": "RUNNING", "startDate": 1.5 }], "nextToken": "n" }))
            }
            "AWSStepFunctions.ListExecutions" => {
                Ok(json!({ "executions": [{ "name": "b", "status": "FAILED", "startDate": 2, "stopDate": 3 }] }))
            }
            "S3.ListBuckets" => Ok(json!({ "Buckets": [{ "Name": "x" }, { "Name": "y" }] })),
            "S3.ListObjectsV2" if input["Bucket"] == "none" => Err(("NoSuchBucket".to_owned(), "no".to_owned())),
            "S3.ListObjectsV2" => Ok(json!({ "Contents": [{ "Key": "a/b", "Size": 5, "LastModified": 1.0 }] })),
            "Logs_20140328.FilterLogEvents" if input["logGroupName"] == "sns/eu-west-1/0/t/Failure" => {
                let said = json!({ "notification": { "messageId": "m", "topicArn": "arn:aws:sns:eu-west-1:0:t" },
                    "delivery": { "deliveryId": "d", "destination": "q", "attempts": 3, "statusCode": 403, "dwellTimeMs": 9 }, "status": "FAILURE" });
                Ok(
                    json!({ "events": [{ "timestamp": 1500, "message": said.to_string() }, { "timestamp": 1, "message": "{}" }] }),
                )
            }
            "Logs_20140328.DescribeLogGroups" if input["logGroupNamePrefix"] == "sns/" => Ok(
                json!({ "logGroups": [{ "logGroupName": "sns/eu-west-1/0/t/Failure" }, { "logGroupName": "sns/eu-west-1/0/other" }] }),
            ),
            "Logs_20140328.FilterLogEvents" => Ok(json!({ "events": [
                { "timestamp": 1500, "logStreamName": "2026/11/29/[$LATEST]f", "message":
                    "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 2048 ms\tMemory Size: 512 MB\tMax Memory Used: 30 MB\tStatus: timeout\n" },
                { "timestamp": 2500, "logStreamName": "2026/11/29/[7]f", "message":
                    r#"{"type":"platform.report","record":{"requestId":"s","status":"error","errorType":"E","metrics":{"durationMs":2.5,"billedDurationMs":3,"memorySizeMB":128,"maxMemoryUsedMB":9,"initDurationMs":4.5}}}"# },
                { "timestamp": 2600, "logStreamName": "s", "message": "said: REPORT RequestId: of others" },
            ] })),
            "Logs_20140328.DescribeLogGroups" => Ok(json!({ "logGroups": [{ "logGroupName": "/aws/lambda/f" }] })),
            "AWSGlue.GetJobs" => Ok(json!({ "Jobs": [{ "Name": "j" }] })),
            "AWSGlue.GetJobRuns" => Ok(json!({ "JobRuns": [{ "JobName": "j", "Id": "1", "DPUSeconds": 12.5 }] })),
            "AmazonAthena.ListWorkGroups" | "AmazonAthena.BatchGetQueryExecution" => denied(),
            _ => Ok(json!({})),
        };
        async move { answer }.boxed()
    })
}

/// A query's rows, and the calls that it made.
async fn ask(sql: &str) -> (std::result::Result<String, String>, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let context = SessionContext::new();
    for name in names() {
        context.register_table(&name, provider(&call(&asked), &name).unwrap()).unwrap();
    }
    let rows = context.sql(sql).await.unwrap().collect().await;
    let text = rows.map(|rows| pretty_format_batches(&rows).unwrap().to_string()).map_err(|e| Error::from(e).message);
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    (text, asked)
}

#[tokio::test]
async fn pages_become_rows_and_what_may_not_be_listed_is_left_out() {
    let (text, _) = ask("SELECT name, status, started, stopped FROM executions").await;
    let text = text.unwrap();
    assert!(text.contains("| a    | RUNNING | 1970-01-01T00:00:01.500 |                     |"), "{text}");
    assert!(text.contains("| b    | FAILED  | 1970-01-01T00:00:02     | 1970-01-01T00:00:03 |"), "{text}");
    // What the query names is not passed over.
    let (text, asked) =
        ask("SELECT name FROM executions WHERE state_machine_arn = 'hidden' AND status = 'FAILED'").await;
    assert!(text.unwrap_err().starts_with("PERMISSION_DENIED"));
    assert_eq!(
        asked,
        [r#"AWSStepFunctions.ListExecutions {"maxResults":1000,"stateMachineArn":"hidden","statusFilter":"FAILED"}"#]
    );
}

#[tokio::test]
async fn filters_narrow_what_is_listed() {
    let (text, asked) =
        ask("SELECT size FROM objects WHERE bucket IN ('x', 'none') AND key LIKE 'a/%' AND size > 1").await;
    assert!(text.unwrap().contains("| 5    |"));
    assert_eq!(
        asked,
        [r#"S3.ListObjectsV2 {"Bucket":"none","Prefix":"a/"}"#, r#"S3.ListObjectsV2 {"Bucket":"x","Prefix":"a/"}"#]
    );
    let (_, asked) = ask("SELECT * FROM objects").await;
    assert_eq!(asked.len(), 3, "{asked:?}");
    let (_, asked) = ask("SELECT * FROM history WHERE execution_arn = 'e'").await;
    assert_eq!(asked, [r#"AWSStepFunctions.GetExecutionHistory {"executionArn":"e","maxResults":1000}"#]);
    let (_, asked) = ask("SELECT * FROM lineage WHERE resource LIKE 's3://b/%' AND worker = 'w'").await;
    assert_eq!(asked, [r#"Lineage.ListAccesses {"ResourcePrefix":"s3://b/","Worker":"w"}"#]);
}

#[tokio::test]
async fn what_is_named_twice_is_listed_once_and_not_passed_over() {
    let list = ["x", "x", "y", "x", "z"].map(|bucket| format!("'{bucket}'")).join(", ");
    let (text, asked) = ask(&format!("SELECT count(*) AS n FROM objects WHERE bucket IN ({list})")).await;
    assert!(text.unwrap().contains("| 3 |"));
    assert_eq!(asked.len(), 3, "{asked:?}");
    let (text, _) = ask("SELECT count(*) AS n FROM query_executions WHERE id = 'q'").await;
    assert!(text.unwrap_err().starts_with("PERMISSION_DENIED"));
}

#[tokio::test]
async fn reports_of_functions_become_rows() {
    let sql = "SELECT request_id, version, status, error_type, duration_ms, init_ms, memory_mb FROM invocations \
               WHERE function_name = 'f' AND ended >= TIMESTAMP '1970-01-01 00:00:01'";
    let (text, asked) = ask(sql).await;
    let text = text.unwrap();
    assert!(
        text.contains("| r          | $LATEST | timeout |            | 1.23        |         | 512       |"),
        "{text}"
    );
    assert!(
        text.contains("| s          | 7       | error   | E          | 2.5         | 4.5     | 128       |"),
        "{text}"
    );
    assert_eq!(asked.len(), 1);
    assert!(asked[0].contains(r#""startTime":1000"#), "{asked:?}");
    let (text, asked) =
        ask("SELECT service, resource, id, unit, amount FROM metering WHERE service IN ('glue', 'lambda')").await;
    let text = text.unwrap();
    assert!(text.contains("| lambda  | f        | r  | GB-second  | 1.024 "), "{text}");
    assert!(text.contains("| glue    | j        | 1  | DPU-second | 12.5 "), "{text}");
    assert_eq!(asked.len(), 4, "{asked:?}");
}

#[tokio::test]
async fn logged_deliveries_become_rows() {
    let sql = "SELECT topic, message_id, status, status_code, attempts, destination FROM deliveries WHERE topic = 't'";
    let (text, asked) = ask(sql).await;
    let text = text.unwrap();
    assert!(text.contains("| t     | m          | FAILURE | 403         | 3        | q           |"), "{text}");
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn only_what_holds_for_all_rows_is_asked() {
    let of = |filter: Expr| Asked::of([&filter]);
    assert_eq!(of(col("a").eq(lit("x")).or(col("b").eq(lit("y")))), Asked::default());
    assert_eq!(of(col("a").not_eq(lit("x"))), Asked::default());
    assert_eq!(of(lit("x").eq(col("a"))).value("a"), Some("x"));
    assert_eq!(of(col("a").eq(lit("x")).or(col("a").eq(lit("y")))).values("a").map(BTreeSet::len), Some(2));
    assert_eq!(of(col("a").like(lit("x_y%"))).prefix("a"), Some("x"));
    assert_eq!(of(col("a").not_like(lit("x%"))).prefix("a"), None);
    let time = |ms| lit(datafusion::common::ScalarValue::TimestampMillisecond(Some(ms), None));
    assert_eq!(of(time(5).gt(col("a")).and(col("a").gt(time(2)))).between("a"), (Some(2), Some(5)));
    assert!(described("executions").is_some() && described("nope").is_none());
}
