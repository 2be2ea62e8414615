//! What CloudWatch is told of queues and topics, heard by a meter of the test.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use service::Router;
use service::meter::{Measured, Meter};

use store::{Clock, SystemClock};
use tokio::sync::Semaphore;

use super::{Bench, bench_on};

/// The values that were measured, by metric and dimension's value.
#[derive(Default)]
struct Heard(Mutex<BTreeMap<(String, String), Vec<f64>>>);

impl Meter for Heard {
    fn measure(&self, measured: Measured<'_>) {
        let [(_, of)] = measured.dimensions else { panic!("one dimension") };
        let place = (format!("{} {}", measured.namespace, measured.metric), (*of).to_owned());
        self.0.lock().unwrap().entry(place).or_default().push(measured.value);
    }
}

impl Heard {
    fn of(&self, metric: &str, of: &str) -> Vec<f64> {
        self.0.lock().unwrap().remove(&(metric.to_owned(), of.to_owned())).unwrap_or_default()
    }
}

/// Minutes that pass when the test says so.
#[derive(Debug)]
struct Minutes {
    passed: Arc<Semaphore>,
    waits: AtomicUsize,
    now_ms: AtomicI64,
}

impl Clock for Minutes {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.now_ms.load(Ordering::SeqCst)).unwrap()
    }
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        let passed = Arc::clone(&self.passed);
        Box::pin(async move { passed.acquire().await.unwrap().forget() })
    }
    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

impl Minutes {
    /// Until who waited has done what it does each minute, and waits again.
    async fn pass(&self) {
        let before = self.waits.load(Ordering::SeqCst);
        self.now_ms.fetch_add(60_000, Ordering::SeqCst);
        self.passed.add_permits(1);
        while self.waits.load(Ordering::SeqCst) <= before.max(1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn hearing() -> (Arc<Router>, Arc<Heard>, Arc<Minutes>) {
    let (passed, waits) = (Arc::new(Semaphore::new(0)), AtomicUsize::new(0));
    // The first of five minutes.
    let minutes = Arc::new(Minutes { passed, waits, now_ms: AtomicI64::new(5 * 60_000 * 1000 + 60_000) });
    let (router, heard) = (Router::with_clock(minutes.clone()), Arc::new(Heard::default()));
    router.set_meter(heard.clone());
    (router, heard, minutes)
}

fn bench() -> (Bench, Arc<Heard>, Arc<Minutes>) {
    let (router, heard, minutes) = hearing();
    (bench_on(&json!({ "auto_confirm": true }), router), heard, minutes)
}

#[tokio::test]
async fn what_is_done_with_a_queue_is_counted_and_what_it_holds_told_each_minute() {
    let (bench, heard, minutes) = bench();
    bench.queue("other", json!({})).await;
    let url = bench.queue("q", json!({ "VisibilityTimeout": "600" })).await;
    bench.call("sqs", "sendMessage", json!({ "QueueUrl": url, "MessageBody": "four" })).await;
    let entries =
        json!([{ "Id": "a", "MessageBody": "123456" }, { "Id": "b", "MessageBody": "1", "DelaySeconds": 900 }]);
    bench.call("sqs", "sendMessageBatch", json!({ "QueueUrl": url, "Entries": entries })).await;
    assert_eq!(heard.of("AWS/SQS NumberOfMessagesSent", "q"), [1.0, 2.0]);
    assert_eq!(heard.of("AWS/SQS SentMessageSize", "q"), [4.0, 6.0, 1.0]);
    let received = bench.receive(&url, 1, 0).await;
    assert_eq!(heard.of("AWS/SQS NumberOfMessagesReceived", "q"), [1.0]);
    minutes.pass().await;
    for (metric, value) in [
        ("ApproximateNumberOfMessagesVisible", 1.0),
        ("ApproximateNumberOfMessagesNotVisible", 1.0),
        ("ApproximateNumberOfMessagesDelayed", 1.0),
        ("NumberOfMessagesDeleted", 0.0),
        ("NumberOfEmptyReceives", 0.0),
    ] {
        assert_eq!(heard.of(&format!("AWS/SQS {metric}"), "q"), [value], "{metric}");
    }
    assert_eq!(heard.of("AWS/SQS ApproximateAgeOfOldestMessage", "q").len(), 1);
    assert_eq!(heard.of("AWS/SQS NumberOfMessagesSent", "q"), [] as [f64; 0], "it was counted already");
    bench.call("sqs", "deleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": received[0]["ReceiptHandle"] })).await;
    assert_eq!(heard.of("AWS/SQS NumberOfMessagesDeleted", "q"), [1.0]);
    assert_eq!(bench.receive(&url, 10, 0).await.len(), 1);
    assert!(bench.receive(&url, 10, 0).await.is_empty());
    assert_eq!(heard.of("AWS/SQS NumberOfEmptyReceives", "q"), [1.0]);
    minutes.pass().await;
    assert_eq!(heard.of("AWS/SQS NumberOfMessagesSent", "q"), [0.0]);
    bench.call("sqs", "deleteQueue", json!({ "QueueUrl": url })).await;
    minutes.pass().await;
    assert_eq!(heard.of("AWS/SQS NumberOfMessagesSent", "q"), [] as [f64; 0], "a deleted queue tells nothing");
    let other = url.replace("/q", "/other");
    assert!(bench.receive(&other, 1, 0).await.is_empty());
    minutes.pass().await;
    let zeros = heard.of("AWS/SQS ApproximateNumberOfMessagesVisible", "other");
    assert_eq!(zeros, [0.0, 0.0], "first, and in the fifth minute: it is only polled");
}

#[tokio::test]
async fn messages_that_wait_when_the_server_starts_are_told_of() {
    let (first, ..) = bench();
    let url = first.queue("dead", json!({})).await;
    first.queue("empty", json!({})).await;
    first.call("sqs", "sendMessage", json!({ "QueueUrl": url, "MessageBody": "x" })).await;
    let (router, heard, minutes) = hearing();
    messaging::register(&service::Platform { router, ..first.platform }).unwrap();
    minutes.pass().await;
    assert_eq!(heard.of("AWS/SQS ApproximateNumberOfMessagesVisible", "dead"), [1.0]);
    assert_eq!(heard.of("AWS/SQS ApproximateNumberOfMessagesVisible", "empty"), [] as [f64; 0], "nobody uses it");
}

#[tokio::test]
async fn a_topic_tells_what_was_published_delivered_and_lost() {
    let (bench, heard, _) = bench();
    let running = bench.platform.control.start();
    let url = bench.queue("q", json!({})).await;
    bench.queue("dead", json!({})).await;
    let topic = bench.call("sns", "createTopic", json!({ "Name": "t" })).await["TopicArn"].clone();
    let queue = |name: &str| format!("arn:aws:sqs:eu-west-1:000000000000:{name}");
    for name in ["q", "dead"] {
        let policy =
            json!({ "Statement": { "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": queue(name) } });
        let input = json!({ "QueueUrl": url.replace("/q", &format!("/{name}")), "Attributes": { "Policy": policy.to_string() } });
        bench.call("sqs", "setQueueAttributes", input).await;
    }
    let subscribe = async |to: &str, attributes: Value| {
        let input = json!({ "TopicArn": topic, "Protocol": "sqs", "Endpoint": queue(to), "Attributes": attributes });
        bench.call("sns", "subscribe", input).await;
    };
    let redrive = json!({ "deadLetterTargetArn": queue("dead") }).to_string();
    subscribe("q", json!({})).await;
    subscribe("none", json!({ "RedrivePolicy": redrive })).await;
    subscribe("never", json!({ "FilterPolicy": r#"{"a": ["b"]}"# })).await;
    bench.call("sns", "publish", json!({ "TopicArn": topic, "Message": "12345" })).await;
    let deadline = std::time::Instant::now() + Duration::from_mins(10);
    let wait = async |metric: &str| loop {
        let values = heard.of(metric, "t");
        if !values.is_empty() || std::time::Instant::now() > deadline {
            return values;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(wait("AWS/SNS NumberOfNotificationsDelivered").await, [1.0]);
    assert_eq!(wait("AWS/SNS NumberOfNotificationsFailed").await, [1.0]);
    assert_eq!(wait("AWS/SNS NumberOfNotificationsRedrivenToDlq").await, [1.0]);
    assert_eq!(heard.of("AWS/SNS NumberOfMessagesPublished", "t"), [1.0]);
    assert_eq!(heard.of("AWS/SNS PublishSize", "t"), [5.0]);
    assert_eq!(heard.of("AWS/SNS NumberOfNotificationsFilteredOut", "t"), [1.0]);
    running.abort();
}
