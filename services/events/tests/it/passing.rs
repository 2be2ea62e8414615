//! Events that are passed on to other buses, and pipes that are stopped while a batch is under way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle, operations};
use tokio::sync::{Notify, Semaphore};
use wire::Error;

use super::{bench, queue};

#[tokio::test]
async fn an_event_stays_the_same_on_another_bus() {
    let bench = bench();
    bench.call("eventbridge", "createEventBus", json!({"Name": "second"})).await;
    let pattern = json!({"source": ["my.app"]}).to_string();
    let bus = "arn:aws:events:eu-west-1:000000000000:event-bus/second";
    let to_bus = json!([{"Id": "bus", "Arn": bus, "RoleArn": "arn:aws:iam::000000000000:role/r"}]);
    for (bus, targets) in [("default", to_bus), ("second", json!([{"Id": "q", "Arn": queue("q")}]))] {
        let rule = json!({"Name": "all", "EventPattern": pattern, "EventBusName": bus});
        bench.call("eventbridge", "putRule", rule).await;
        bench.call("eventbridge", "putTargets", json!({"Rule": "all", "EventBusName": bus, "Targets": targets})).await;
    }
    let entry = json!({"Source": "my.app", "DetailType": "t", "Detail": "{}", "Time": "2024-05-06T07:08:09Z", "Resources": ["r"]});
    let put = bench.call("events", "putEvents", json!({"Entries": [entry]})).await;
    let received = bench.received(1).await;
    let event: Value = serde_json::from_str(&received[0].1).unwrap();
    assert_eq!(event["id"], put["Entries"][0]["EventId"]);
    assert_eq!((&event["time"], &event["resources"]), (&json!("2024-05-06T07:08:09Z"), &json!(["r"])));
    let fifo = json!([{"Id": "f", "Arn": queue("q.fifo")}]);
    let refused =
        bench.cx.call_json("events", "putTargets", json!({"Rule": "all", "Targets": fifo})).await.unwrap_err();
    assert_eq!(refused.message(), "Parameter(s) SqsParameters must be specified for target: f.");
}

/// Two buses that pass their events on to one another: each event is passed on once.
#[tokio::test]
async fn events_do_not_go_round() {
    let bench = bench();
    bench.call("eventbridge", "createEventBus", json!({"Name": "second"})).await;
    let pattern = json!({"account": ["000000000000"]}).to_string();
    for (bus, other) in [("default", "second"), ("second", "default")] {
        let other = format!("arn:aws:events:eu-west-1:000000000000:event-bus/{other}");
        let targets = json!([{"Id": "bus", "Arn": other}, {"Id": "q", "Arn": queue(bus)}]);
        let rule = json!({"Name": "all", "EventPattern": pattern, "EventBusName": bus});
        bench.call("eventbridge", "putRule", rule).await;
        bench.call("eventbridge", "putTargets", json!({"Rule": "all", "EventBusName": bus, "Targets": targets})).await;
    }
    let entry = json!({"Source": "my.app", "DetailType": "t", "Detail": "{}"});
    bench.call("events", "putEvents", json!({"Entries": [entry]})).await;
    // What is brought to the queue of the second bus comes behind all that its rule does.
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(bench.received(1).await.into_iter().map(|(queue, _)| queue));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    heard.extend(bench.sink.0.lock().unwrap().iter().map(|(queue, _)| queue.clone()));
    heard.sort();
    assert_eq!(heard, ["default", "second"]);
}

/// A queue with one message, and a function that answers when it is let.
struct Source {
    message: Mutex<Option<String>>,
    begun: Notify,
    end: Semaphore,
    deleted: Notify,
}

#[async_trait]
impl Handle<api_sqs::GetQueueAttributes> for Source {
    async fn handle(
        &self,
        _: &Cx,
        _: api_sqs::GetQueueAttributesRequest,
    ) -> Result<api_sqs::GetQueueAttributesResult, Error> {
        let attributes = [("VisibilityTimeout".to_owned(), "30".to_owned())].into();
        Ok(api_sqs::GetQueueAttributesResult { attributes: Some(attributes) })
    }
}

#[async_trait]
impl Handle<api_sqs::ReceiveMessage> for Source {
    async fn handle(&self, _: &Cx, _: api_sqs::ReceiveMessageRequest) -> Result<api_sqs::ReceiveMessageResult, Error> {
        let taken = self.message.lock().unwrap().take();
        let Some(body) = taken else { return std::future::pending().await };
        let message = api_sqs::Message {
            message_id: Some("1".to_owned()),
            receipt_handle: Some("1".to_owned()),
            body: Some(body),
            ..api_sqs::Message::default()
        };
        Ok(api_sqs::ReceiveMessageResult { messages: Some(vec![message]) })
    }
}

#[async_trait]
impl Handle<api_sqs::DeleteMessageBatch> for Source {
    async fn handle(
        &self,
        _: &Cx,
        _: api_sqs::DeleteMessageBatchRequest,
    ) -> Result<api_sqs::DeleteMessageBatchResult, Error> {
        self.deleted.notify_one();
        Ok(api_sqs::DeleteMessageBatchResult::default())
    }
}

#[async_trait]
impl Handle<api_lambda::Invoke> for Source {
    async fn handle(&self, _: &Cx, _: api_lambda::InvocationRequest) -> Result<api_lambda::InvocationResponse, Error> {
        self.begun.notify_one();
        self.end.acquire().await.unwrap().forget();
        Ok(api_lambda::InvocationResponse { status_code: Some(200), ..api_lambda::InvocationResponse::default() })
    }
}

async fn soon<T>(waited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(10), waited).await.unwrap()
}

#[tokio::test]
async fn a_batch_is_finished_when_its_pipe_is_stopped() {
    let bench = bench();
    let source = Arc::new(Source {
        message: Mutex::new(Some("x".to_owned())),
        begun: Notify::new(),
        end: Semaphore::new(0),
        deleted: Notify::new(),
    });
    let router = bench.cx.router().clone();
    operations!(router, source, api_sqs: GetQueueAttributes, ReceiveMessage, DeleteMessageBatch);
    operations!(router, source, api_lambda: Invoke);
    let pipe = json!({"Name": "p", "Source": queue("q"), "Target": "arn:aws:lambda:eu-west-1:000000000000:function:f",
        "RoleArn": "arn:aws:iam::000000000000:role/r"});
    bench.call("pipes", "createPipe", pipe).await;
    soon(source.begun.notified()).await;
    bench.call("pipes", "stopPipe", json!({"Name": "p"})).await;
    // The pipe has heard of it before its batch ends.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    source.end.add_permits(1);
    soon(source.deleted.notified()).await;
}
