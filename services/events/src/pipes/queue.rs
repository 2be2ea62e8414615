//! A queue as a source: what was dealt with leaves it, the rest comes again after its visibility timeout, or goes to the queue's own
//! dead-letter queue. Waiting is a long poll, so that an idle queue costs nothing.

use std::sync::Arc;
use std::time::Duration;

use api_sqs::{
    DeleteMessageBatch, DeleteMessageBatchRequest, DeleteMessageBatchRequestEntry, Message, ReceiveMessage,
    ReceiveMessageRequest,
};
use serde_json::{Value, json};
use service::Cx;
use sources::hidden::Hidden;
use store::Task;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::Error;
use wire::arn::Arn;

use super::batch::{Batch, Event};
use super::record::Record;
use super::run::{Never, unless_stopped};

/// The longest that SQS holds a poll.
const LONG_POLL_SECONDS: i32 = 20;
/// Batches under way at once.
const CONCURRENCY: usize = 5;
/// The credentials of a role are made anew before they run out.
const SESSION: Duration = Duration::from_mins(30);

/// Batches under way. They run to their end when the pipe is changed, stopped or deleted, or its queue cannot be read.
struct Running(JoinSet<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.detach_all();
    }
}

pub(super) async fn follow(role: &Cx, record: &Record, batch: &Arc<Batch>, task: &Task) -> Result<Never, Error> {
    let source = record.shown.source.clone().unwrap_or_default();
    let arn = Arn::parse(&source).ok_or_else(|| Error::validation(format!("not an ARN: {source}")))?;
    let own = record.shown.source_parameters.clone().unwrap_or_default().sqs_queue_parameters.unwrap_or_default();
    let seconds = own.maximum_batching_window_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let queue = Queue {
        url: format!("{}/{}/{}", batch.endpoint.trim_end_matches('/'), arn.account, arn.resource),
        region: arn.region,
        account: arn.account,
        arn: source,
        size: own.batch_size.unwrap_or(10),
        window: Duration::from_secs(seconds.unwrap_or(0)),
    };
    let mut running = Running(JoinSet::new());
    let until = Instant::now() + SESSION;
    loop {
        while running.0.len() >= CONCURRENCY {
            unless_stopped(task, running.0.join_next()).await?;
        }
        while running.0.try_join_next().is_some() {}
        if Instant::now() >= until {
            return Err(Error::new("SessionExpired", 400, "the role is taken anew"));
        }
        let platform = Cx::platform(role.router(), &queue.account, &queue.region);
        let hidden = Hidden::of(platform, queue.url.clone()).await?;
        let messages = unless_stopped(task, queue.receive(role, &hidden)).await??;
        if !messages.is_empty() {
            let (queue, role, batch) = (queue.clone(), role.clone(), Arc::clone(batch));
            running.0.spawn(async move { queue.deliver(&role, &batch, messages, &hidden).await });
        }
    }
}

#[derive(Clone)]
struct Queue {
    url: String,
    arn: String,
    region: String,
    account: String,
    size: i32,
    window: Duration,
}

impl Queue {
    /// The next messages, as many as came within the window.
    async fn receive(&self, role: &Cx, hidden: &Hidden) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        let mut until: Option<Instant> = None;
        loop {
            let missing = self.size - i32::try_from(messages.len()).unwrap_or(self.size);
            let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_secs());
            if missing <= 0 || left == Some(0) {
                return Ok(messages);
            }
            let wait = left.and_then(|left| i32::try_from(left).ok()).unwrap_or(LONG_POLL_SECONDS);
            let request = ReceiveMessageRequest {
                queue_url: self.url.clone(),
                max_number_of_messages: Some(missing.min(10)),
                wait_time_seconds: Some(wait.min(LONG_POLL_SECONDS)),
                attribute_names: Some(vec!["All".to_owned()]),
                message_attribute_names: Some(vec!["All".to_owned()]),
                ..ReceiveMessageRequest::default()
            };
            let first = messages.is_empty();
            let received = tokio::select! {
                received = role.call::<ReceiveMessage>(request) => received?.messages.unwrap_or_default(),
                never = hidden.keep() => match never {},
            };
            hidden.add(received.iter().filter_map(|message| message.receipt_handle.clone()));
            messages.extend(received);
            if messages.is_empty() || self.window.is_zero() {
                return Ok(messages);
            }
            if first {
                until = Some(Instant::now() + self.window);
            }
        }
    }

    /// Brings a batch to its target. Its messages stay hidden until that has ended, however long it waits or takes.
    async fn deliver(&self, role: &Cx, batch: &Batch, messages: Vec<Message>, hidden: &Hidden) {
        let (mut done, mut events, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            let value = self.event(&message);
            if batch.wants(&value) {
                events.push(Event { id: message.message_id.clone().unwrap_or_default(), value });
                wanted.push(message);
            } else {
                done.push(message);
            }
        }
        if !events.is_empty() {
            let delivered = tokio::select! {
                delivered = batch.deliver(role, &events) => delivered,
                never = hidden.keep() => match never {},
            };
            match delivered {
                Ok(failures) => {
                    done.extend(
                        wanted
                            .into_iter()
                            .filter(|message| message.message_id.as_ref().is_none_or(|id| !failures.contains(id))),
                    );
                }
                Err(error) => tracing::warn!(%error, source = self.arn, "a batch of a pipe could not be delivered"),
            }
        }
        for chunk in done.chunks(10) {
            let entries = chunk.iter().enumerate().map(|(index, message)| DeleteMessageBatchRequestEntry {
                id: index.to_string(),
                receipt_handle: message.receipt_handle.clone().unwrap_or_default(),
            });
            let request = DeleteMessageBatchRequest { queue_url: self.url.clone(), entries: entries.collect() };
            if let Err(error) = role.call::<DeleteMessageBatch>(request).await {
                tracing::warn!(%error, source = self.arn, "delivered messages could not be deleted; they come again");
            }
        }
    }

    fn event(&self, message: &Message) -> Value {
        let attributes = message.message_attributes.iter().flatten().map(|(name, value)| {
            let mut shown = json!({ "stringListValues": [], "binaryListValues": [], "dataType": value.data_type });
            if let Some(text) = &value.string_value {
                shown["stringValue"] = text.as_str().into();
            }
            if let Some(bytes) = &value.binary_value {
                shown["binaryValue"] = serde_json::to_value(bytes).unwrap_or_default();
            }
            (name.clone(), shown)
        });
        json!({
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": message.attributes,
            "messageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
            "md5OfBody": message.md5_of_body,
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": self.region,
        })
    }
}
