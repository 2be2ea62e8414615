//! What becomes of batches: of a stream whose function fails, is throttled, or takes less at once; of events that a bus refuses in part.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_dynamodbstreams as streams;
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle, operations};
use wire::Error;

use super::{Bench, bench, queue};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:000000000000:function:f";
const STREAM: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/t/stream/2024-01-01T00:00:00.000";

/// A stream of one shard, and a function that fails where a batch holds the record that it cannot deal with.
#[derive(Default)]
struct Stream {
    records: Vec<streams::Record>,
    poison: Option<String>,
    /// So many invocations find no room.
    throttles: AtomicI64,
    /// The numbers of the records of each invocation that succeeded.
    done: Mutex<Vec<Vec<String>>>,
}

impl Stream {
    fn of(count: usize, size: usize) -> Self {
        let record = |n: usize| streams::Record {
            event_name: Some("INSERT".to_owned()),
            event_version: Some("x".repeat(size)),
            dynamodb: Some(streams::StreamRecord {
                sequence_number: Some(format!("{n:03}")),
                ..streams::StreamRecord::default()
            }),
            ..streams::Record::default()
        };
        Self { records: (0..count).map(record).collect(), ..Self::default() }
    }

    async fn follow(self, bench: &Bench, more: Value) -> Arc<Self> {
        let stream = Arc::new(self);
        let router = bench.cx.router().clone();
        operations!(router, stream, streams: DescribeStream, GetShardIterator, GetRecords);
        operations!(router, stream, api_lambda: Invoke);
        let mut own = json!({"StartingPosition": "TRIM_HORIZON", "BatchSize": 1000,
            "DeadLetterConfig": {"Arn": queue("dead")}});
        own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let pipe = json!({"Name": "p", "Source": STREAM, "Target": FUNCTION, "RoleArn": ROLE,
            "SourceParameters": {"DynamoDBStreamParameters": own}});
        bench.call("pipes", "createPipe", pipe).await;
        stream
    }

    /// Waits until so many records are done with.
    async fn done(&self, count: usize) -> Vec<Vec<String>> {
        for _ in 0..24_000 {
            let done = self.done.lock().unwrap().clone();
            if done.iter().map(Vec::len).sum::<usize>() >= count {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{count} records were not done with: {:?}", self.done.lock().unwrap());
    }
}

#[async_trait]
impl Handle<streams::DescribeStream> for Stream {
    async fn handle(&self, _: &Cx, _: streams::DescribeStreamInput) -> Result<streams::DescribeStreamOutput, Error> {
        let shard = streams::Shard { shard_id: Some("shard".to_owned()), ..streams::Shard::default() };
        let description =
            streams::StreamDescription { shards: Some(vec![shard]), ..streams::StreamDescription::default() };
        Ok(streams::DescribeStreamOutput { stream_description: Some(description) })
    }
}

#[async_trait]
impl Handle<streams::GetShardIterator> for Stream {
    async fn handle(
        &self,
        _: &Cx,
        req: streams::GetShardIteratorInput,
    ) -> Result<streams::GetShardIteratorOutput, Error> {
        let next = req.sequence_number.map_or(0, |number| number.parse::<usize>().unwrap() + 1);
        Ok(streams::GetShardIteratorOutput { shard_iterator: Some(next.to_string()) })
    }
}

#[async_trait]
impl Handle<streams::GetRecords> for Stream {
    async fn handle(&self, _: &Cx, req: streams::GetRecordsInput) -> Result<streams::GetRecordsOutput, Error> {
        let first: usize = req.shard_iterator.parse().unwrap();
        let records: Vec<_> = self.records.iter().skip(first).take(1000).cloned().collect();
        let next = (first + records.len()).to_string();
        Ok(streams::GetRecordsOutput { records: Some(records), next_shard_iterator: Some(next) })
    }
}

#[async_trait]
impl Handle<api_lambda::Invoke> for Stream {
    async fn handle(
        &self,
        _: &Cx,
        req: api_lambda::InvocationRequest,
    ) -> Result<api_lambda::InvocationResponse, Error> {
        let payload = req.payload.unwrap_or_default();
        if payload.as_bytes().len() > 6 << 20 {
            return Err(Error::new("RequestTooLargeException", 413, "it is too large"));
        }
        if self.throttles.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Err(Error::new("TooManyRequestsException", 429, "Rate Exceeded."));
        }
        let events: Vec<Value> = serde_json::from_slice(payload.as_bytes()).unwrap();
        let numbers: Vec<String> =
            events.iter().map(|event| event["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()).collect();
        let fails = self.poison.as_ref().is_some_and(|poison| numbers.contains(poison));
        if !fails {
            self.done.lock().unwrap().push(numbers);
        }
        let function_error = fails.then(|| "Unhandled".to_owned());
        Ok(api_lambda::InvocationResponse { function_error, ..api_lambda::InvocationResponse::default() })
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:03}")).collect()
}

/// Halves are tried until what is wrong is alone: splitting uses up no retries.
#[tokio::test]
async fn only_what_is_wrong_is_given_up() {
    for most in [0, 1] {
        let bench = bench();
        let stream = Stream { poison: Some("005".to_owned()), ..Stream::of(8, 1) };
        let more = json!({"MaximumRetryAttempts": most, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"});
        let stream = stream.follow(&bench, more).await;
        let (dead, text) = bench.received(1).await.remove(0);
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((dead.as_str(), &told["DDBStreamBatchInfo"]["batchSize"]), ("dead", &json!(1)), "{text}");
        assert_eq!(told["DDBStreamBatchInfo"]["startSequenceNumber"], "005");
        let wanted: Vec<String> = numbers(8).into_iter().filter(|number| number != "005").collect();
        assert_eq!(stream.done(7).await.concat(), wanted);
    }
}

/// What the function never saw it has not failed at.
#[tokio::test]
async fn throttles_use_up_no_retries() {
    let bench = bench();
    let stream = Stream { throttles: AtomicI64::new(2), ..Stream::of(3, 1) };
    let stream = stream.follow(&bench, json!({"MaximumRetryAttempts": 0})).await;
    assert_eq!(stream.done(3).await, [numbers(3)]);
    assert!(bench.sink.0.lock().unwrap().is_empty(), "nothing is given up");
}

/// A batch that is larger than an invocation may be is brought in several.
#[tokio::test]
async fn large_batches_are_cut() {
    let bench = bench();
    let stream = Stream::of(200, 50 << 10).follow(&bench, json!({})).await;
    let done = stream.done(200).await;
    assert_eq!(done.concat(), numbers(200));
    assert_eq!(done.len(), 2);
}

/// A queue with messages, of which the bus takes those that have a type.
struct Messages(Mutex<Vec<api_sqs::Message>>, Mutex<Vec<String>>);

#[async_trait]
impl Handle<api_sqs::GetQueueAttributes> for Messages {
    async fn handle(
        &self,
        _: &Cx,
        _: api_sqs::GetQueueAttributesRequest,
    ) -> Result<api_sqs::GetQueueAttributesResult, Error> {
        Ok(api_sqs::GetQueueAttributesResult::default())
    }
}

#[async_trait]
impl Handle<api_sqs::ReceiveMessage> for Messages {
    async fn handle(&self, _: &Cx, _: api_sqs::ReceiveMessageRequest) -> Result<api_sqs::ReceiveMessageResult, Error> {
        let messages = std::mem::take(&mut *self.0.lock().unwrap());
        if messages.is_empty() {
            return std::future::pending().await;
        }
        Ok(api_sqs::ReceiveMessageResult { messages: Some(messages) })
    }
}

#[async_trait]
impl Handle<api_sqs::DeleteMessageBatch> for Messages {
    async fn handle(
        &self,
        _: &Cx,
        req: api_sqs::DeleteMessageBatchRequest,
    ) -> Result<api_sqs::DeleteMessageBatchResult, Error> {
        self.1.lock().unwrap().extend(req.entries.into_iter().map(|entry| entry.receipt_handle));
        Ok(api_sqs::DeleteMessageBatchResult::default())
    }
}

#[tokio::test]
async fn what_a_bus_took_is_not_put_again() {
    let bench = bench();
    let message = |body: &str| api_sqs::Message {
        message_id: Some(format!("id {body}")),
        receipt_handle: Some(format!("receipt {body}")),
        body: Some(body.to_owned()),
        ..api_sqs::Message::default()
    };
    let messages = Arc::new(Messages(Mutex::new(["a", "", "c"].map(message).into()), Mutex::default()));
    let router = bench.cx.router().clone();
    operations!(router, messages, api_sqs: GetQueueAttributes, ReceiveMessage, DeleteMessageBatch);
    let pattern = json!({"source": ["my.app"]}).to_string();
    bench.call("eventbridge", "putRule", json!({"Name": "r", "EventPattern": pattern})).await;
    let targets = json!([{"Id": "q", "Arn": queue("heard"), "InputPath": "$.detail-type"}]);
    bench.call("eventbridge", "putTargets", json!({"Rule": "r", "Targets": targets})).await;
    let own = json!({"DetailType": "$.body", "Source": "my.app"});
    let bus = "arn:aws:events:eu-west-1:000000000000:event-bus/default";
    let pipe = json!({"Name": "p", "Source": queue("source"), "Target": bus, "RoleArn": ROLE,
        "TargetParameters": {"EventBridgeEventBusParameters": own}});
    bench.call("pipes", "createPipe", pipe).await;
    let mut heard: Vec<String> = bench.received(2).await.into_iter().map(|(_, text)| text).collect();
    heard.sort();
    assert_eq!(heard, ["\"a\"", "\"c\""]);
    for _ in 0..24_000 {
        if messages.1.lock().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(*messages.1.lock().unwrap(), ["receipt a", "receipt c"]);
}

/// Calls that wait, of schedules' universal targets.
struct Slow;

#[async_trait]
impl Handle<api_lambda::Invoke> for Slow {
    async fn handle(&self, _: &Cx, _: api_lambda::InvocationRequest) -> Result<api_lambda::InvocationResponse, Error> {
        std::future::pending().await
    }
}

impl Bench {
    async fn schedule(&self, name: &str, target: Value) {
        let mut target = target;
        target["RoleArn"] = json!(ROLE);
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
        let schedule = json!({"Name": name, "ScheduleExpression": at.strftime("at(%Y-%m-%dT%H:%M:%S)").to_string(),
            "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target});
        self.call("scheduler", "createSchedule", schedule).await;
    }
}

/// Operations that take their time do not hold up what is brought elsewhere.
#[tokio::test]
async fn slow_operations_hold_up_no_deliveries() {
    let (bench, slow) = (bench(), Arc::new(Slow));
    let router = bench.cx.router().clone();
    operations!(router, slow, api_lambda: Invoke);
    for n in 0..20 {
        let target = json!({"Arn": "arn:aws:scheduler:::aws-sdk:lambda:invoke", "Input": r#"{"FunctionName":"f"}"#});
        bench.schedule(&format!("slow-{n}"), target).await;
    }
    for _ in 0..24_000 {
        let heard = bench.heard.0.lock().unwrap().clone();
        if heard.iter().filter(|line| line.starts_with("AWS/Scheduler InvocationAttemptCount")).count() == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    bench.schedule("quick", json!({"Arn": queue("q"), "Input": "1"})).await;
    assert_eq!(bench.received(1).await, [("q".to_owned(), "1".to_owned())]);
}

/// A schedule's role sends its dead letters, which tell of the schedule.
#[tokio::test]
async fn a_schedule_sends_dead_letters_by_its_role() {
    let bench = bench();
    let target = json!({"Arn": queue("gone"), "Input": "1", "DeadLetterConfig": {"Arn": queue("dead")},
        "RetryPolicy": {"MaximumRetryAttempts": 0}});
    bench.schedule("s", target).await;
    assert_eq!(bench.received(1).await, [("dead".to_owned(), "1".to_owned())]);
    let (caller, attributes) = bench.sink.2.lock().unwrap()[0].clone();
    assert!(caller.contains("role/r"), "{caller}");
    for name in ["SCHEDULE_ARN", "TARGET_ARN", "ERROR_CODE", "EXECUTION_ID", "SCHEDULED_TIME", "IS_PAYLOAD_TRUNCATED"] {
        assert!(attributes.contains(&name.to_owned()), "{name}: {attributes:?}");
    }
    assert!(!attributes.contains(&"RULE_ARN".to_owned()));
}

#[tokio::test]
async fn dead_letters_go_to_standard_queues() {
    let bench = bench();
    bench.call("eventbridge", "putRule", json!({"Name": "r", "EventPattern": r#"{"source":["a"]}"#})).await;
    let dead = json!({"Arn": queue("dead.fifo")});
    let targets = json!([{"Id": "q", "Arn": queue("q"), "DeadLetterConfig": dead}]);
    let refused = bench.cx.call_json("events", "putTargets", json!({"Rule": "r", "Targets": targets})).await;
    assert_eq!(refused.unwrap_err().message(), "SQS FIFO is not supported by Dead Letter Queues.");
    let schedule = json!({"Name": "s", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": queue("q"), "RoleArn": ROLE, "DeadLetterConfig": dead}});
    let refused = bench.cx.call_json("scheduler", "createSchedule", schedule).await.unwrap_err();
    assert_eq!(refused.code(), "ValidationException");
}
