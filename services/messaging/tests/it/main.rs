//! Queues and topics over a store in memory, called as Step Functions calls them; mails go to a sink.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod metrics;
mod queues;
mod topics;

use std::sync::Arc;
use std::time::Duration;

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
    bench_on(smtp, Router::new())
}

fn bench_on(smtp: &Value, router: Arc<Router>) -> Bench {
    let queue = || Queue::new(Store::memory());
    let sections = json!({ "smtp": smtp });
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
        settings: Settings(Arc::new(sections.as_object().unwrap().clone())),
    };
    messaging::register(&platform).unwrap();
    let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "eu-west-1");
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
    let (received, _) = tokio::join!(bench.receive(&url, 1, 20), async {
        tokio::task::yield_now().await;
        bench.call("sqs", "sendMessage", json!({"QueueUrl": url, "MessageBody": "x"})).await
    });
    assert_eq!(received.len(), 1);
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
    let mail = tokio::time::timeout(Duration::from_mins(10), mails.recv()).await.unwrap().unwrap();
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
        let reached = tokio::time::timeout(Duration::from_mins(10), listener.accept()).await;
        drop(reached.unwrap().unwrap());
    }
    running.abort();
}

#[tokio::test]
async fn duplicates_are_known_by_group_where_that_is_asked() {
    let bench = bench(&json!({}));
    let by_group =
        json!({"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"});
    for (attributes, wanted) in [(by_group, vec!["A", "B"]), (json!({"FifoQueue": "true"}), vec!["A"])] {
        let name = format!("q{}.fifo", wanted.len());
        let url = bench.queue(&name, attributes).await;
        for (group, body) in [("A", "A"), ("B", "B"), ("A", "again")] {
            let input = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": "same"});
            bench.call("sqs", "sendMessage", input).await;
        }
        let mut bodies: Vec<String> =
            bench.receive(&url, 10, 0).await.iter().map(|m| m["Body"].as_str().unwrap().to_owned()).collect();
        bodies.sort();
        assert_eq!(bodies, wanted);
    }
}

#[tokio::test]
async fn what_a_queue_cannot_be_is_refused() {
    let bench = bench(&json!({}));
    bench.queue("plain", json!({})).await;
    bench.queue("closed", json!({"RedriveAllowPolicy": "{\"redrivePermission\":\"denyAll\"}"})).await;
    let dead = |name: &str, most: &str| {
        format!("{{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:{name}\",\"maxReceiveCount\":{most}}}")
    };
    let cases = [
        (
            "a.fifo",
            json!({"FifoQueue": "true", "DeduplicationScope": "group"}),
            "Invalid value for the parameter DeduplicationScope.",
        ),
        (
            "a.fifo",
            json!({"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"}),
            "FifoThroughputLimit can be set",
        ),
        ("a", json!({"DeduplicationScope": "queue"}), "Unknown Attribute DeduplicationScope."),
        ("a", json!({"RedrivePolicy": dead("none", "3")}), "Dead letter target does not exist."),
        (
            "a",
            json!({"RedrivePolicy": dead("plain", "0")}),
            "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000",
        ),
        ("a", json!({"RedrivePolicy": "{}"}), "does not contain mandatory attribute: deadLetterTargetArn."),
        ("a", json!({"RedrivePolicy": dead("closed", "3")}), "does not allow"),
        ("a.fifo", json!({"FifoQueue": "true", "RedrivePolicy": dead("plain", "3")}), "must be same type of queue"),
        ("a", json!({"RedriveAllowPolicy": "{\"redrivePermission\":\"byQueue\"}"}), "sourceQueueArns must be 1 to 10"),
    ];
    for (name, attributes, wanted) in cases {
        let input = json!({"QueueName": name, "Attributes": attributes});
        let error = bench.cx.call_json("sqs", "createQueue", input).await.unwrap_err();
        assert!(error.message().contains(wanted), "{name} {attributes}: {error}");
    }
}

#[tokio::test]
async fn messages_go_back_from_a_dead_letter_queue() {
    let bench = bench(&json!({}));
    let running = bench.platform.control.start();
    let dead = bench.queue("dead", json!({})).await;
    let policy = "{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:dead\",\"maxReceiveCount\":1}";
    let live = bench.queue("live", json!({"RedrivePolicy": policy, "VisibilityTimeout": "0"})).await;
    for body in ["one", "two"] {
        bench.call("sqs", "sendMessage", json!({"QueueUrl": live, "MessageBody": body})).await;
    }
    assert_eq!(bench.receive(&live, 10, 0).await.len(), 2);
    // Received once already: this receive finds them dead.
    assert_eq!(bench.receive(&live, 10, 0).await.len(), 0);
    let arn = "arn:aws:sqs:eu-west-1:000000000000:dead";
    let not_dead = json!({"SourceArn": "arn:aws:sqs:eu-west-1:000000000000:live"});
    let error = bench.cx.call_json("sqs", "startMessageMoveTask", not_dead).await.unwrap_err();
    assert_eq!(error.message(), "Source queue must be configured as a Dead Letter Queue.");
    bench.call("sqs", "startMessageMoveTask", json!({"SourceArn": arn})).await;
    let mut bodies = Vec::new();
    while bodies.len() < 2 {
        for message in bench.receive(&live, 1, 20).await {
            assert_eq!(message["Attributes"]["ApproximateReceiveCount"], "1");
            assert_eq!(message["Attributes"]["DeadLetterQueueSourceArn"], Value::Null);
            bodies.push(message["Body"].as_str().unwrap().to_owned());
            let input = json!({"QueueUrl": live, "ReceiptHandle": message["ReceiptHandle"]});
            bench.call("sqs", "deleteMessage", input).await;
        }
    }
    bodies.sort();
    assert_eq!(bodies, ["one", "two"]);
    assert_eq!(bench.receive(&dead, 10, 0).await.len(), 0);
    let task = loop {
        let listed = bench.call("sqs", "listMessageMoveTasks", json!({"SourceArn": arn})).await;
        let task = listed["Results"][0].clone();
        if task["Status"] != "RUNNING" {
            break task;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&task["Status"], &task["ApproximateNumberOfMessagesMoved"]), (&json!("COMPLETED"), &json!(2)));
    // One that was sent to the dead-letter queue itself has nowhere to go back to.
    bench.call("sqs", "sendMessage", json!({"QueueUrl": dead, "MessageBody": "stray"})).await;
    bench.call("sqs", "startMessageMoveTask", json!({"SourceArn": arn})).await;
    let task = loop {
        let listed = bench.call("sqs", "listMessageMoveTasks", json!({"SourceArn": arn})).await;
        let task = listed["Results"][0].clone();
        if task["Status"] != "RUNNING" {
            break task;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&task["Status"], &task["FailureReason"]), (&json!("FAILED"), &json!("CouldNotDetermineMessageSource")));
    running.abort();
}

#[tokio::test]
async fn what_nothing_obeys_is_refused_by_name() {
    let bench = bench(&json!({}));
    let url = bench.queue("q", json!({})).await;
    let attribute = json!({"DataType": "String", "StringValue": "a", "StringListValues": ["b"]});
    let input = json!({"QueueUrl": url, "MessageBody": "b", "MessageAttributes": {"n": attribute}});
    let error = bench.cx.call_json("sqs", "sendMessage", input).await.unwrap_err();
    assert_eq!(error.code(), "UnsupportedOperation");
    assert!(error.message().starts_with("MessageAttributes.StringListValues is not supported"), "{error}");
}
