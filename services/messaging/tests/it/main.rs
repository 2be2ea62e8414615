//! Queues and topics over a store in memory, called as Step Functions calls them; mails go to a sink.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router, Settings};
use store::{Queue, Store};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

struct Bench {
    cx: Cx,
    platform: Platform,
}

fn bench(smtp: &Value) -> Bench {
    let router = Router::new();
    let queue = || Queue::new(Store::memory());
    let sections = json!({ "smtp": smtp });
    let platform = Platform {
        router: router.clone(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        endpoint: "http://127.0.0.1:4566".to_owned(),
        account: "000000000000".to_owned(),
        region: "eu-west-1".to_owned(),
        settings: Settings(Arc::new(sections.as_object().unwrap().clone())),
    };
    messaging::register(&platform).unwrap();
    let cx = Cx::new(router, Principal::Root, "000000000000", "eu-west-1");
    Bench { cx, platform }
}

impl Bench {
    async fn call(&self, service: &str, operation: &str, input: Value) -> Value {
        let answer = self.cx.call_json(service, operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn queue(&self, name: &str, attributes: Value) -> String {
        let made = self.call("sqs", "createQueue", json!({"QueueName": name, "Attributes": attributes})).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    async fn receive(&self, url: &str, most: i32, wait: i32) -> Vec<Value> {
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": most, "WaitTimeSeconds": wait,
            "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]});
        let answer = self.call("sqs", "receiveMessage", input).await;
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }
}

/// A mail server that keeps what it gets.
async fn sink() -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mails, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mails = mails.clone();
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                writer.write_all(b"220 sink\r\n").await.unwrap();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = if line == "DATA" {
                        writer.write_all(b"354 go\r\n").await.unwrap();
                        let mut mail = String::new();
                        while let Ok(Some(line)) = lines.next_line().await {
                            if line == "." {
                                break;
                            }
                            mail += &(line + "\n");
                        }
                        mails.send(mail).unwrap();
                        "250 ok\r\n"
                    } else if line.starts_with("EHLO") {
                        "250 sink\r\n"
                    } else {
                        "250 ok\r\n"
                    };
                    writer.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (port, received)
}

#[tokio::test]
async fn messages_are_hidden_redriven_and_deleted() {
    let bench = bench(&json!({}));
    let dead = bench.queue("dead", json!({})).await;
    let policy = r#"{ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead","maxReceiveCount": 1}"#;
    let url = bench.queue("q", json!({"RedrivePolicy": policy, "VisibilityTimeout": "0"})).await;
    let shown =
        bench.call("sqs", "getQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]})).await;
    assert_eq!(shown["Attributes"]["RedrivePolicy"], policy, "byte for byte");
    let sent = bench.call("sqs", "sendMessage", json!({"QueueUrl": url, "MessageBody": "hello"})).await;
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(bench.receive(&url, 1, 0).await[0]["Body"], "hello");
    assert!(bench.receive(&url, 1, 0).await.is_empty(), "received too often, it went away");
    let buried = bench.receive(&dead, 1, 0).await.remove(0);
    assert_eq!(buried["Attributes"]["DeadLetterQueueSourceArn"], "arn:aws:sqs:eu-west-1:000000000000:q");
    bench.call("sqs", "deleteMessage", json!({"QueueUrl": dead, "ReceiptHandle": buried["ReceiptHandle"]})).await;
    let none = bench.cx.call_json("sqs", "getQueueUrl", json!({"QueueName": "none"})).await.unwrap_err();
    assert_eq!(
        (none.code(), none.query_code()),
        ("QueueDoesNotExist", Some("AWS.SimpleQueueService.NonExistentQueue"))
    );
}

#[tokio::test]
async fn a_receiver_waits_until_something_comes() {
    let bench = bench(&json!({}));
    let url = bench.queue("q", json!({})).await;
    let start = Instant::now();
    let (received, _) = tokio::join!(bench.receive(&url, 1, 20), async {
        tokio::task::yield_now().await;
        bench.call("sqs", "sendMessage", json!({"QueueUrl": url, "MessageBody": "x"})).await
    });
    assert_eq!(received.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn fifo_queues_keep_groups_in_order_and_drop_duplicates() {
    let bench = bench(&json!({}));
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"})).await;
    for (body, group) in [("a1", "a"), ("a1", "a"), ("a2", "a"), ("b1", "b")] {
        let input = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": group});
        bench.call("sqs", "sendMessage", input).await;
    }
    let first = bench.receive(&url, 1, 0).await.remove(0);
    assert_eq!(first["Body"], "a1");
    let next = bench.receive(&url, 10, 0).await;
    assert_eq!(next.len(), 1, "group a is held up");
    assert_eq!(next[0]["Body"], "b1");
    bench.call("sqs", "deleteMessage", json!({"QueueUrl": url, "ReceiptHandle": first["ReceiptHandle"]})).await;
    assert_eq!(bench.receive(&url, 10, 0).await[0]["Body"], "a2");
}

#[tokio::test]
async fn a_publish_reaches_each_subscriber_once() {
    let (port, mut mails) = sink().await;
    let bench = bench(&json!({"host": "127.0.0.1", "port": port, "from": "lakerun@example.org"}));
    let running = bench.platform.control.start();
    let url = bench.queue("q", json!({})).await;
    let topic = bench.call("sns", "createTopic", json!({"Name": "alerts"})).await["TopicArn"].clone();
    for (protocol, endpoint) in [("email", "a@example.org"), ("sqs", "arn:aws:sqs:eu-west-1:000000000000:q")] {
        bench.call("sns", "subscribe", json!({"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint})).await;
    }
    // The same task publishes three times: it counts once.
    let publish = json!({"TopicArn": topic, "Subject": "Failed", "Message": "Cause: x"});
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let cx = bench.cx.with_task("execution/state/1");
        let answer = cx.call_json("sns", "publish", publish.clone()).await.unwrap();
        ids.insert(answer["MessageId"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1);
    let mail = tokio::time::timeout(Duration::from_secs(20), mails.recv()).await.unwrap().unwrap();
    assert!(mail.contains("Subject: Failed") && mail.contains("Cause: x"), "{mail}");
    let message = bench.receive(&url, 10, 20).await;
    assert_eq!(message.len(), 1);
    let envelope: Value = serde_json::from_str(message[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!((&envelope["Message"], &envelope["Type"]), (&json!("Cause: x"), &json!("Notification")));
    assert!(mails.try_recv().is_err());
    running.abort();
}

#[tokio::test]
async fn a_mail_waits_for_its_server() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let bench = bench(&json!({"host": "127.0.0.1", "port": port}));
    let running = bench.platform.control.start();
    let topic = bench.call("sns", "createTopic", json!({"Name": "alerts"})).await["TopicArn"].clone();
    bench.call("sns", "subscribe", json!({"TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.org"})).await;
    bench.call("sns", "publish", json!({"TopicArn": topic, "Message": "late"})).await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    for _ in 0..2 {
        // Accepted and dropped: the mail is tried again.
        let reached = tokio::time::timeout(Duration::from_secs(30), listener.accept()).await;
        drop(reached.unwrap().unwrap());
    }
    running.abort();
}
