//! Queues as time passes: what expired hides nothing, ids are known for five minutes, a purge leaves no stale handles. And whose queues
//! a move may fill.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use service::{Cx, Principal, Router};
use store::{Clock, SystemClock};

use super::{Bench, bench, bench_on};

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
    pub(super) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

pub(super) fn shifted() -> (Bench, Arc<Shifted>) {
    let clock = Arc::new(Shifted::default());
    (bench_on(&json!({}), Router::with_clock(clock.clone())), clock)
}

impl Bench {
    async fn send(&self, url: &str, body: &str, more: Value) -> String {
        let mut input = json!({"QueueUrl": url, "MessageBody": body});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let sent = self.call("sqs", "sendMessage", input).await;
        sent["MessageId"].as_str().unwrap().to_owned()
    }

    async fn count(&self, url: &str, name: &str) -> String {
        let asked = json!({"QueueUrl": url, "AttributeNames": ["All"]});
        let shown = self.call("sqs", "getQueueAttributes", asked).await;
        shown["Attributes"][name].as_str().unwrap().to_owned()
    }
}

fn group(name: &str) -> Value {
    json!({"MessageGroupId": name})
}

#[tokio::test]
async fn what_expired_hides_nothing() {
    let (bench, clock) = shifted();
    let plain = bench.queue("q", json!({"MessageRetentionPeriod": "60"})).await;
    let fifo = json!({"MessageRetentionPeriod": "60", "FifoQueue": "true", "ContentBasedDeduplication": "true"});
    let fifo = bench.queue("q.fifo", fifo).await;
    for n in 0..50 {
        bench.send(&plain, &format!("old {n}"), json!({})).await;
        bench.send(&fifo, &format!("old {n}"), group("a")).await;
    }
    clock.pass(61);
    for (url, more) in [(&plain, json!({})), (&fifo, group("a"))] {
        bench.send(url, "new", more).await;
        assert_eq!(bench.receive(url, 1, 0).await[0]["Body"], "new", "{url}");
        assert_eq!(bench.count(url, "ApproximateNumberOfMessages").await, "0", "{url}");
    }
}

#[tokio::test]
async fn a_dead_letter_queue_counts_what_has_not_expired() {
    let (bench, clock) = shifted();
    let dead = bench.queue("dead", json!({"MessageRetentionPeriod": "60"})).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead","maxReceiveCount":1}"#;
    let url = bench.queue("q", json!({"RedrivePolicy": policy, "VisibilityTimeout": "0"})).await;
    for n in 0..40 {
        bench.send(&url, &n.to_string(), json!({})).await;
        assert_eq!(bench.receive(&url, 1, 0).await.len(), 1);
        assert_eq!(bench.receive(&url, 1, 0).await.len(), 0);
    }
    assert_eq!(bench.count(&dead, "ApproximateNumberOfMessages").await, "40");
    clock.pass(61);
    assert_eq!(bench.count(&dead, "ApproximateNumberOfMessages").await, "0");
}

#[tokio::test]
async fn an_id_that_is_used_again_is_known_from_then_on() {
    let (bench, clock) = shifted();
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true"})).await;
    let id = |id: &str| json!({"MessageGroupId": "g", "MessageDeduplicationId": id});
    for n in 1..=50 {
        bench.send(&url, "x", id(&n.to_string())).await;
    }
    clock.pass(600);
    let again = bench.send(&url, "x", id("40")).await;
    for other in ["60", "61", "62"] {
        bench.send(&url, "x", id(other)).await;
    }
    assert_eq!(bench.send(&url, "x", id("40")).await, again, "it is a duplicate of the one a moment ago");
}

#[tokio::test]
async fn a_held_group_does_not_hold_up_the_others() {
    let bench = bench(&json!({}));
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"})).await;
    for batch in 0..120 {
        let entry =
            |n: i32| json!({"Id": n.to_string(), "MessageBody": format!("a{batch}.{n}"), "MessageGroupId": "a"});
        let entries: Vec<Value> = (0..10).map(entry).collect();
        bench.call("sqs", "sendMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await;
    }
    assert_eq!(bench.receive(&url, 1, 0).await[0]["Body"], "a0.0");
    for body in ["b1", "b2"] {
        bench.send(&url, body, group("b")).await;
    }
    let bodies: Vec<Value> = bench.receive(&url, 10, 0).await.iter().map(|message| message["Body"].clone()).collect();
    assert_eq!(bodies, ["b1", "b2"]);
}

#[tokio::test]
async fn a_receiver_that_waited_over_a_purge_can_delete_what_it_gets() {
    let bench = bench(&json!({}));
    let url = bench.queue("q", json!({})).await;
    bench.send(&url, "before", json!({})).await;
    let before = bench.receive(&url, 1, 0).await.remove(0);
    let (received, ()) = tokio::join!(bench.receive(&url, 1, 20), async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        bench.call("sqs", "purgeQueue", json!({"QueueUrl": url})).await;
        bench.send(&url, "after", json!({})).await;
    });
    assert_eq!(received[0]["Body"], "after");
    for message in [&received[0], &before] {
        let input = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
        bench.call("sqs", "deleteMessage", input).await;
    }
    assert_eq!(bench.count(&url, "ApproximateNumberOfMessagesNotVisible").await, "0", "it is gone");
}

#[tokio::test]
async fn sequence_numbers_grow_over_a_purge() {
    let bench = bench(&json!({}));
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"})).await;
    let send = |body: &'static str| {
        bench.call("sqs", "sendMessage", json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": "g"}))
    };
    let first = send("1").await["SequenceNumber"].as_str().unwrap().to_owned();
    bench.call("sqs", "purgeQueue", json!({"QueueUrl": url})).await;
    assert!(send("2").await["SequenceNumber"].as_str().unwrap() > first.as_str());
}

#[tokio::test]
async fn a_move_fills_no_queue_that_its_caller_may_not_send_to() {
    let bench = bench(&json!({}));
    bench.queue("theirs", json!({})).await;
    let cx = Cx::new(bench.cx.router().clone(), Principal::root("111111111111"), "111111111111", "eu-west-1");
    let arn = |account: &str, name: &str| format!("arn:aws:sqs:eu-west-1:{account}:{name}");
    let dead = arn("111111111111", "dead");
    cx.call_json("sqs", "createQueue", json!({"QueueName": "dead"})).await.unwrap();
    let policy = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 1}).to_string();
    let input = json!({"QueueName": "live", "Attributes": {"RedrivePolicy": policy}});
    cx.call_json("sqs", "createQueue", input).await.unwrap();
    let start =
        |to: String| cx.call_json("sqs", "startMessageMoveTask", json!({"SourceArn": dead, "DestinationArn": to}));
    let refused = start(arn("000000000000", "theirs")).await.unwrap_err();
    assert_eq!(refused.code(), "AccessDeniedException", "{refused}");
    assert!(refused.message().contains("sqs:SendMessage"), "{refused}");
    start(arn("111111111111", "live")).await.unwrap();

    // A queue's policy gives some actions to no other account.
    let open =
        json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}}).to_string();
    bench.queue("open", json!({"Policy": open})).await;
    let url = "http://127.0.0.1:4566/000000000000/open";
    cx.call_json("sqs", "sendMessage", json!({"QueueUrl": url, "MessageBody": "x"})).await.unwrap();
    start(arn("000000000000", "open")).await.unwrap_err();
    for (operation, input) in [
        ("deleteQueue", json!({"QueueUrl": url})),
        ("setQueueAttributes", json!({"QueueUrl": url, "Attributes": {"DelaySeconds": "1"}})),
        ("startMessageMoveTask", json!({"SourceArn": arn("000000000000", "open"), "DestinationArn": dead})),
    ] {
        let refused = cx.call_json("sqs", operation, input).await.unwrap_err();
        assert_eq!(refused.code(), "AccessDeniedException", "{operation}: {refused}");
    }
}

/// A clock on which time passes only where somebody waits for it, or a test says so.
#[derive(Debug, Default)]
struct Waited(AtomicI64);

impl Clock for Waited {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(1_700_000_000_000 + self.0.load(Ordering::Relaxed)).unwrap()
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // What the service does each minute is not waited for.
        if time >= Duration::from_secs(30) {
            return Box::pin(std::future::pending());
        }
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
        Box::pin(tokio::task::yield_now())
    }
    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

/// A batch that waits for room, for longer than its messages are hidden, is nobody else's meanwhile; one that is, is not begun.
#[tokio::test]
async fn what_waits_stays_hidden() {
    let clock = Arc::new(Waited::default());
    let bench = bench_on(&json!({}), Router::with_clock(clock.clone()));
    let url = bench.queue("q", json!({"VisibilityTimeout": "30"})).await;
    for body in 0..12 {
        bench.send(&url, &body.to_string(), json!({})).await;
    }
    let hide = async || {
        let platform = Cx::platform(&bench.platform.router, "000000000000", "eu-west-1");
        let hidden = sources::hidden::Hidden::of(platform, url.clone()).await.unwrap();
        let received = bench.receive(&url, 10, 0).await;
        let receipts = received.iter().map(|message| message["ReceiptHandle"].as_str().unwrap().to_owned());
        let receipts: Vec<String> = receipts.collect();
        hidden.add(receipts.clone());
        (hidden, receipts)
    };
    let (hidden, receipts) = hide().await;
    assert_eq!(receipts.len(), 10);
    // It waits for ten minutes.
    tokio::select! {
        never = hidden.keep() => match never {},
        () = async {
            while clock.0.load(Ordering::Relaxed) < 600_000 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let (others, rest) = hide().await;
    assert_eq!(rest.len(), 2, "the others are hidden");
    hidden.begin(Duration::from_secs(3)).await.unwrap();
    // Just before they are visible it begins, and takes up to 20 seconds.
    clock.0.fetch_add(29_000, Ordering::Relaxed);
    others.begin(Duration::from_secs(20)).await.unwrap();
    clock.0.fetch_add(19_000, Ordering::Relaxed);
    let free: BTreeSet<String> =
        bench.receive(&url, 10, 0).await.iter().map(|message| message["Body"].to_string()).collect();
    assert!(free.len() <= 10 && !free.is_empty(), "those of the first batch, whose function is done: {free:?}");
    // One that is visible again is not begun.
    clock.0.fetch_add(31_000, Ordering::Relaxed);
    assert_eq!(others.begin(Duration::from_secs(20)).await.unwrap_err().code(), "MessagesVisible");
}
