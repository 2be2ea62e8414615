//! Topics: the order of FIFO topics, what they know of ids, whose subscriptions are whose, what may be subscribed and published.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use service::{Cx, Principal, Router};
use store::{Key, Task};

use super::queues::shifted;
use super::{Bench, bench, bench_on};

fn queue(name: &str) -> String {
    format!("arn:aws:sqs:eu-west-1:000000000000:{name}")
}

impl Bench {
    async fn topic(&self, name: &str, attributes: Value) -> String {
        let made = self.call("sns", "createTopic", json!({"Name": name, "Attributes": attributes})).await;
        made["TopicArn"].as_str().unwrap().to_owned()
    }

    async fn subscribe(&self, topic: &str, protocol: &str, endpoint: &str, attributes: Value) -> String {
        let input = json!({"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint, "Attributes": attributes,
            "ReturnSubscriptionArn": true});
        self.call("sns", "subscribe", input).await["SubscriptionArn"].as_str().unwrap().to_owned()
    }

    /// Bodies in the order in which they are received, until there are so many.
    async fn bodies(&self, url: &str, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            for message in self.receive(url, 10, 20).await {
                bodies.push(message["Body"].as_str().unwrap().to_owned());
                let input = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
                self.call("sqs", "deleteMessage", input).await;
            }
        }
        bodies
    }
}

#[tokio::test]
async fn a_fifo_topic_keeps_its_order() {
    let bench = bench(&json!({}));
    let running = bench.platform.control.start();
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true"})).await;
    let topic = bench.topic("t.fifo", json!({"FifoTopic": "true", "ContentBasedDeduplication": "true"})).await;
    bench.subscribe(&topic, "sqs", &queue("q.fifo"), json!({"RawMessageDelivery": "true"})).await;
    let mut sent = Vec::new();
    for batch in 0..6 {
        let bodies: Vec<String> = (0..10).map(|n| format!("{:03}", batch * 10 + n)).collect();
        let entry = |body: &String| json!({"Id": body, "Message": body, "MessageGroupId": "g"});
        let entries: Vec<Value> = bodies.iter().map(entry).collect();
        bench.call("sns", "publishBatch", json!({"TopicArn": topic, "PublishBatchRequestEntries": entries})).await;
        sent.extend(bodies);
    }
    assert_eq!(bench.bodies(&url, sent.len()).await, sent);
    running.abort();
}

#[tokio::test]
async fn what_cannot_be_delivered_leaves_the_way_to_those_behind() {
    let bench = bench(&json!({}));
    let running = bench.platform.control.start();
    let dead = bench.queue("dead.fifo", json!({"FifoQueue": "true"})).await;
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true", "MaximumMessageSize": "1024"})).await;
    let topic = bench.topic("t.fifo", json!({"FifoTopic": "true", "ContentBasedDeduplication": "true"})).await;
    let redrive = json!({"deadLetterTargetArn": queue("dead.fifo")}).to_string();
    let attributes = json!({"RawMessageDelivery": "true", "RedrivePolicy": redrive});
    bench.subscribe(&topic, "sqs", &queue("q.fifo"), attributes).await;
    let large = "x".repeat(2000);
    for message in ["first", &large, "last"] {
        bench.call("sns", "publish", json!({"TopicArn": topic, "Message": message, "MessageGroupId": "g"})).await;
    }
    assert_eq!(bench.bodies(&url, 2).await, ["first", "last"]);
    assert_eq!(bench.bodies(&dead, 1).await, [large]);
    running.abort();
}

#[tokio::test]
async fn a_topic_made_again_knows_no_ids() {
    let bench = bench(&json!({}));
    let running = bench.platform.control.start();
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true"})).await;
    let mut ids = BTreeSet::new();
    for round in 0..2 {
        let topic = bench.topic("t.fifo", json!({"FifoTopic": "true"})).await;
        if round == 1 {
            bench.subscribe(&topic, "sqs", &queue("q.fifo"), json!({"RawMessageDelivery": "true"})).await;
        }
        for _ in 0..2 {
            let input =
                json!({"TopicArn": topic, "Message": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"});
            ids.insert(bench.call("sns", "publish", input).await["MessageId"].to_string());
        }
        assert_eq!(ids.len(), round + 1, "each of the topics knows its own");
        if round == 0 {
            bench.call("sns", "deleteTopic", json!({"TopicArn": topic})).await;
        }
    }
    assert_eq!(bench.bodies(&url, 1).await, ["x"]);
    running.abort();
}

#[tokio::test]
async fn ids_that_count_no_more_are_forgotten() {
    let (bench, clock) = shifted();
    let topic = bench.topic("t.fifo", json!({"FifoTopic": "true"})).await;
    let publish = async |id: String| {
        let input = json!({"TopicArn": topic, "Message": "x", "MessageGroupId": "g", "MessageDeduplicationId": id});
        bench.call("sns", "publish", input).await
    };
    for n in 0..10 {
        publish(format!("z{n}")).await;
    }
    clock.pass(600);
    for n in 0..30 {
        publish(format!("a{n}")).await;
    }
    let known = bench.platform.control.store().read(|tx| tx.scan_prefix(Key::new("sns").push("dedup"), 1000)).await;
    assert_eq!(known.unwrap().len(), 60, "thirty ids, by name and by time");
}

#[tokio::test]
async fn another_accounts_subscriptions_are_its_own() {
    let bench = bench(&json!({}));
    bench.queue("q", json!({})).await;
    let topic = bench.topic("t", json!({})).await;
    let arn = bench.subscribe(&topic, "sqs", &queue("q"), json!({})).await;
    let other = Cx::new(bench.cx.router().clone(), Principal::root("111111111111"), "111111111111", "eu-west-1");
    let set = json!({"SubscriptionArn": arn, "AttributeName": "FilterPolicy", "AttributeValue": "{\"x\":[\"never\"]}"});
    for (operation, input) in [
        ("getSubscriptionAttributes", json!({"SubscriptionArn": arn})),
        ("setSubscriptionAttributes", set),
        ("unsubscribe", json!({"SubscriptionArn": arn})),
    ] {
        let refused = other.call_json("sns", operation, input).await.unwrap_err();
        assert_eq!(refused.code(), "AuthorizationError", "{operation}: {refused}");
    }
    let shown = bench.call("sns", "getSubscriptionAttributes", json!({"SubscriptionArn": arn})).await;
    assert_eq!(
        (&shown["Attributes"]["Owner"], &shown["Attributes"]["FilterPolicy"]),
        (&json!("000000000000"), &Value::Null)
    );
}

#[tokio::test]
async fn subjects_are_lines_of_any_letters() {
    let bench = bench(&json!({}));
    let topic = bench.topic("t", json!({})).await;
    let umlauts = "Ü".repeat(100);
    for (subject, fits) in [
        ("ALARM: \"Überlast\" 警報", true),
        (umlauts.as_str(), true),
        (&format!("{umlauts}Ü"), false),
        ("a\nb", false),
        ("\u{85}", false),
    ] {
        let input = json!({"TopicArn": topic, "Message": "x", "Subject": subject});
        let published = bench.cx.call_json("sns", "publish", input).await;
        assert_eq!(published.is_ok(), fits, "{subject:?}: {published:?}");
    }
}

#[tokio::test]
async fn topics_and_queues_of_other_kinds_are_not_subscribed() {
    let bench = bench(&json!({}));
    let plain = bench.topic("t", json!({})).await;
    let fifo = bench.topic("t.fifo", json!({"FifoTopic": "true"})).await;
    let function = "arn:aws:lambda:eu-west-1:000000000000:function:f";
    for (topic, protocol, endpoint, reason) in [
        (&plain, "sqs", queue("q.fifo").as_str(), "FIFO SQS Queues can not be subscribed to standard SNS topics"),
        (&fifo, "lambda", function, "FIFO topics deliver to queues only"),
        (&fifo, "email", "a@example.org", "FIFO topics deliver to queues only"),
    ] {
        let input = json!({"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint});
        let refused = bench.cx.call_json("sns", "subscribe", input).await.unwrap_err();
        assert_eq!((refused.code(), refused.message().contains(reason)), ("InvalidParameter", true), "{refused}");
    }
    bench.subscribe(&fifo, "sqs", &queue("q"), json!({})).await;
}

#[tokio::test]
async fn mails_wait_apart_from_other_deliveries() {
    let bench = bench_on(&json!({"host": "127.0.0.1", "port": 1}), Router::new());
    let topic = bench.topic("t", json!({})).await;
    bench.subscribe(&topic, "email", "a@example.org", json!({})).await;
    bench.subscribe(&topic, "sqs", &queue("q"), json!({})).await;
    bench.call("sns", "publish", json!({"TopicArn": topic, "Message": "x"})).await;
    let waiting =
        bench.platform.control.store().read(|tx| tx.list_json::<Task>(Key::new("\u{1}now"), 10)).await.unwrap();
    let kinds: BTreeSet<String> = waiting.into_iter().map(|task| task.kind).collect();
    assert_eq!(kinds.len(), 2, "a slow mail server holds up mails alone: {kinds:?}");
}

/// A KMS with two keys, of which one is disabled after it has made data keys.
struct Keys;

#[async_trait::async_trait]
impl service::Handle<api_kms::GenerateDataKey> for Keys {
    async fn handle(
        &self,
        _: &Cx,
        req: api_kms::GenerateDataKeyRequest,
    ) -> Result<api_kms::GenerateDataKeyResponse, wire::Error> {
        Ok(api_kms::GenerateDataKeyResponse {
            ciphertext_blob: Some(req.key_id.into_bytes().into()),
            plaintext: Some(vec![7; 32].into()),
            ..api_kms::GenerateDataKeyResponse::default()
        })
    }
}

#[async_trait::async_trait]
impl service::Handle<api_kms::Decrypt> for Keys {
    async fn handle(&self, _: &Cx, req: api_kms::DecryptRequest) -> Result<api_kms::DecryptResponse, wire::Error> {
        if req.ciphertext_blob.unwrap_or_default().as_bytes() == b"gone" {
            return Err(api_kms::error::disabled_exception("gone is disabled"));
        }
        let plaintext = Some(vec![7; 32].into());
        Ok(api_kms::DecryptResponse { plaintext, ..api_kms::DecryptResponse::default() })
    }
}

/// What was sealed under a key that is gone is given up, and does not stand before what comes after it.
#[tokio::test]
async fn a_key_that_is_gone_holds_up_nothing() {
    let bench = bench(&json!({}));
    let router = bench.platform.router.clone();
    let keys = std::sync::Arc::new(Keys);
    service::operations!(router, keys, api_kms: GenerateDataKey, Decrypt);
    let running = bench.platform.control.start();
    let url = bench.queue("q.fifo", json!({"FifoQueue": "true"})).await;
    bench.queue("dead.fifo", json!({"FifoQueue": "true"})).await;
    let topic = bench.topic("t.fifo", json!({"FifoTopic": "true", "ContentBasedDeduplication": "true"})).await;
    let redrive = json!({"deadLetterTargetArn": queue("dead.fifo")}).to_string();
    let attributes = json!({"RawMessageDelivery": "true", "RedrivePolicy": redrive});
    bench.subscribe(&topic, "sqs", &queue("q.fifo"), attributes).await;
    for key in ["gone", "good"] {
        let set = json!({"TopicArn": topic, "AttributeName": "KmsMasterKeyId", "AttributeValue": key});
        bench.call("sns", "setTopicAttributes", set).await;
        let publish = json!({"TopicArn": topic, "Message": key, "MessageGroupId": "g"});
        bench.call("sns", "publish", publish).await;
    }
    assert_eq!(bench.bodies(&url, 1).await, ["good"]);
    running.abort();
}

/// Whether a topic is one of FIFO stands in its name.
#[tokio::test]
async fn the_kind_of_a_topic_stays() {
    let bench = bench(&json!({}));
    let fifo = bench.topic("t.fifo", json!({"FifoTopic": "true"})).await;
    let standard = bench.topic("t", json!({})).await;
    for (topic, value) in [(&fifo, "false"), (&fifo, ""), (&standard, "true")] {
        let set = json!({"TopicArn": topic, "AttributeName": "FifoTopic", "AttributeValue": value});
        let refused = bench.cx.call_json("sns", "setTopicAttributes", set).await.unwrap_err();
        assert_eq!(refused.code(), "InvalidParameter", "{topic} {value}");
    }
    let shown = bench.call("sns", "getTopicAttributes", json!({"TopicArn": fifo})).await;
    assert_eq!(shown["Attributes"]["FifoTopic"], "true");
}
