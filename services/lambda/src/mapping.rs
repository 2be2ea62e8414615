//! Event source mappings: a durable task per mapping waits on its SQS queue and invokes the function with what comes. Waiting is
//! a long poll, so an idle queue costs nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api_lambda::{EventSourceMappingConfiguration, error};
use api_sqs::{
    DeleteMessageBatch, DeleteMessageBatchRequest, DeleteMessageBatchRequestEntry, Message, ReceiveMessage,
    ReceiveMessageRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use sources::hidden::Hidden;
use store::{Done, NewTask, Task, Tx};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::Error;
use wire::arn::Arn;

use crate::Lambda;
use crate::asynchronous::queue_url;
use crate::filters::Filters;
use crate::function::{Name, Scope};
use crate::invoke::{Call, Finished};
use crate::runtime::MAX_RESPONSE_BYTES;
use crate::stream;

pub(crate) const POLL: &str = "lambda:poll";
/// The longest that SQS holds a poll.
const LONG_POLL_SECONDS: i32 = 20;
const DEFAULT_CONCURRENCY: usize = 5;
const DEFAULT_BATCH: i32 = 10;
/// The records of one invocation, in bytes, without what stands around them. Source: Lambda Developer Guide, "Batching behavior": a
/// batch is full when it "reaches the payload limit of 6 MB".
const MOST_BYTES: usize = MAX_RESPONSE_BYTES - 1024;
/// After a queue or a function was not there.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Poll {
    account: String,
    region: String,
    uuid: String,
}

pub(crate) fn not_found() -> Error {
    error::resource_not_found_exception("The resource you requested does not exist.").with("Type", "User")
}

/// Begins to poll, or stops, as the mapping's state says.
pub(crate) fn apply(tx: &mut Tx<'_>, cx: (&str, &str), mapping: &EventSourceMappingConfiguration) -> Result<(), Error> {
    let uuid = mapping.uuid.clone().unwrap_or_default();
    let id = format!("{POLL}:{uuid}");
    tx.cancel_task(&id)?;
    if mapping.state.as_deref() == Some("Enabled") {
        let poll = Poll { account: cx.0.to_owned(), region: cx.1.to_owned(), uuid };
        tx.enqueue(NewTask::new(POLL, id).payload(&poll)?)?;
    }
    Ok(())
}

pub(crate) fn stop(tx: &mut Tx<'_>, uuid: &str) -> Result<(), Error> {
    Ok(tx.cancel_task(&format!("{POLL}:{uuid}"))?)
}

/// Batches under way. They run to their end when the mapping is changed or deleted: what a function has begun it does once.
struct Running(JoinSet<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.detach_all();
    }
}

/// Begins to poll for the mappings of a function that is made again: they outlive it. Source: Lambda API Reference, `DeleteFunction`
/// ("delete the event source mappings directly").
pub(crate) fn resume(tx: &mut Tx<'_>, place: &Scope, name: &str) -> Result<(), Error> {
    for mapping in of_function(tx, place, name)? {
        apply(tx, (&place.account, &place.region), &mapping)?;
    }
    Ok(())
}

/// The mappings of a function, its versions and aliases.
pub(crate) fn of_function(
    tx: &mut Tx<'_>,
    place: &Scope,
    name: &str,
) -> Result<Vec<EventSourceMappingConfiguration>, Error> {
    let (arn, under) = (place.arn(name, None), place.arn(name, Some("")));
    let mut mappings = tx.list_json::<EventSourceMappingConfiguration>(place.mappings(), 10_000)?;
    mappings.retain(|mapping| {
        let target = mapping.function_arn.as_deref().unwrap_or_default();
        target == arn || target.starts_with(&under)
    });
    Ok(mappings)
}

/// The mapping with how its last invocation ended.
pub(crate) fn told(
    tx: &mut Tx<'_>,
    place: &Scope,
    mapping: EventSourceMappingConfiguration,
) -> Result<EventSourceMappingConfiguration, Error> {
    let result = stream::last_result(tx, place, mapping.uuid.as_deref().unwrap_or_default())?;
    let last_processing_result = result.or(mapping.last_processing_result);
    Ok(EventSourceMappingConfiguration { last_processing_result, ..mapping })
}

/// Runs until the mapping is changed or deleted.
pub(crate) async fn poll(lambda: &Lambda, task: &Task) -> Result<Done, Error> {
    let wanted: Poll = task.payload()?;
    let cx = Cx::platform(&lambda.router, &wanted.account, &wanted.region);
    let place = Scope::of(&cx);
    let mapping = lambda
        .store
        .read(|tx| Ok::<_, Error>(tx.get_json::<EventSourceMappingConfiguration>(place.mapping(&wanted.uuid))?))
        .await?;
    let Some(mapping) = mapping else { return Ok(Done::Finished) };
    if is_stream(mapping.event_source_arn.as_deref().unwrap_or_default()) {
        return stream::poll(lambda, task, &cx, &mapping).await;
    }
    let source = Source::of(&mapping);
    let mut running = Running(JoinSet::new());
    loop {
        let step = async {
            while running.0.len() >= source.concurrency {
                running.0.join_next().await;
            }
            source.batch(lambda, &cx).await
        };
        let batch = tokio::select! {
            batch = step => batch,
            () = task.cancelled() => return Ok(Done::Finished),
        };
        while running.0.try_join_next().is_some() {}
        match batch {
            Ok((_, messages, _)) if messages.is_empty() => {}
            Ok((role, messages, hidden)) => {
                let (source, cx) = (source.clone(), cx.clone());
                let Some(lambda) = lambda.me.upgrade() else { return Ok(Done::Finished) };
                running.0.spawn(async move { source.deliver(&lambda, &cx, &role, messages, hidden).await });
            }
            Err(error) => {
                tracing::debug!(%error, mapping = wanted.uuid, "an event source cannot be polled; trying again");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = task.cancelled() => return Ok(Done::Finished),
                }
            }
        }
    }
}

/// Whether it is the ARN of a DynamoDB stream.
pub(crate) fn is_stream(arn: &str) -> bool {
    Arn::parse(arn).is_some_and(|arn| arn.service == "dynamodb" && arn.resource.contains("/stream/"))
}

/// A queue and the function that its messages go to.
#[derive(Clone)]
struct Source {
    queue_arn: String,
    function_arn: String,
    batch: i32,
    window: Duration,
    concurrency: usize,
    partial: bool,
    filters: Filters,
}

impl Source {
    fn of(mapping: &EventSourceMappingConfiguration) -> Self {
        let limit = mapping.scaling_config.as_ref().and_then(|scaling| scaling.maximum_concurrency);
        let seconds = mapping.maximum_batching_window_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            queue_arn: mapping.event_source_arn.clone().unwrap_or_default(),
            function_arn: mapping.function_arn.clone().unwrap_or_default(),
            batch: mapping.batch_size.unwrap_or(DEFAULT_BATCH),
            window: Duration::from_secs(seconds.unwrap_or(0)),
            concurrency: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_CONCURRENCY).max(1),
            partial: mapping.function_response_types.iter().flatten().any(|kind| kind == "ReportBatchItemFailures"),
            filters: Filters::of(mapping.filter_criteria.as_ref()),
        }
    }

    fn url(&self, cx: &Cx) -> Result<String, Error> {
        let arn = Arn::parse(&self.queue_arn);
        arn.map_or_else(|| Err(Error::validation("not an ARN of a queue")), |arn| queue_url(cx, &arn))
    }

    /// The next messages, as many as came within the window; with the role in whose name they were taken. They are kept hidden in the name
    /// of the service: AWS's own policy for such roles does not let them change a visibility.
    async fn batch(&self, lambda: &Lambda, cx: &Cx) -> Result<(Cx, Vec<Message>, Arc<Hidden>), Error> {
        let place = Scope::of(cx);
        let name = Name::parse(&self.function_arn, None)?;
        let resolved = lambda.store.read(|tx| place.resolve(tx, &name, 0.0)).await?;
        let role = cx.assume(resolved.version.config.role.as_deref().unwrap_or_default(), &name.name).await?;
        let queue = Arn::parse(&self.queue_arn).ok_or_else(|| Error::validation("not an ARN of a queue"))?;
        let platform = Cx::platform(&lambda.router, &queue.account, &queue.region);
        let hidden = Arc::new(Hidden::of(platform, self.url(cx)?).await?);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let mut until = None;
        loop {
            let missing = self.batch - i32::try_from(messages.len()).unwrap_or(self.batch);
            let left = until.map(|until: Instant| until.saturating_duration_since(Instant::now()).as_secs());
            if missing <= 0 || bytes >= MOST_BYTES || left == Some(0) {
                return Ok((role, messages, hidden));
            }
            let wait =
                left.and_then(|left| i32::try_from(left).ok()).unwrap_or(LONG_POLL_SECONDS).min(LONG_POLL_SECONDS);
            let request = ReceiveMessageRequest {
                queue_url: self.url(cx)?,
                max_number_of_messages: Some(missing.min(10)),
                wait_time_seconds: Some(wait),
                attribute_names: Some(vec!["All".to_owned()]),
                message_attribute_names: Some(vec!["All".to_owned()]),
                ..Default::default()
            };
            let received = tokio::select! {
                received = role.call::<ReceiveMessage>(request) => received?.messages.unwrap_or_default(),
                never = hidden.keep() => match never {},
            };
            let first = messages.is_empty();
            hidden.add(received.iter().filter_map(|message| message.receipt_handle.clone()));
            bytes += received.iter().map(|message| self.size(message, cx)).sum::<usize>();
            messages.extend(received);
            if messages.is_empty() || self.window.is_zero() {
                return Ok((role, messages, hidden));
            }
            if first {
                until = Some(Instant::now() + self.window);
            }
        }
    }

    /// What a message takes in an event, with the comma after it.
    fn size(&self, message: &Message, cx: &Cx) -> usize {
        record(message, &self.queue_arn, cx.region()).to_string().len() + 1
    }

    /// Invokes the function with as many messages at once as an invocation takes.
    async fn deliver(&self, lambda: &Lambda, cx: &Cx, role: &Cx, mut messages: Vec<Message>, mut hidden: Arc<Hidden>) {
        loop {
            let fits = sources::cut::fit(messages.iter().map(|message| self.size(message, cx)), MOST_BYTES);
            let rest = messages.split_off(fits);
            if rest.is_empty() {
                return self.deliver_whole(lambda, cx, role, messages, hidden).await;
            }
            let receipts = |all: &[Message]| all.iter().filter_map(|m| m.receipt_handle.clone()).collect::<Vec<_>>();
            // Each part is hidden by itself while it waits: what one fails at comes again though the next is at work.
            let (first, later) = hidden.split(&receipts(&rest));
            tokio::select! {
                () = self.deliver_whole(lambda, cx, role, messages, Arc::new(first)) => {}
                never = later.keep() => match never {},
            }
            (messages, hidden) = (rest, Arc::new(later));
        }
    }

    /// Invokes the function; what it has done leaves the queue, the rest comes again after its visibility timeout.
    async fn deliver_whole(&self, lambda: &Lambda, cx: &Cx, role: &Cx, messages: Vec<Message>, hidden: Arc<Hidden>) {
        let shown = |message: &Message| record(message, &self.queue_arn, cx.region());
        // What is not wanted leaves the queue as if it had been dealt with.
        let (messages, unwanted): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| self.filters.want_message(&shown(message)));
        self.delete(cx, role, &unwanted.iter().collect::<Vec<_>>()).await;
        if messages.is_empty() {
            return;
        }
        let gone: Vec<String> = unwanted.iter().filter_map(|message| message.receipt_handle.clone()).collect();
        hidden.leave(&gone);
        let records: Vec<_> = messages.iter().map(shown).collect();
        let Ok(name) = Name::parse(&self.function_arn, None) else { return };
        let payload = json!({ "Records": records }).to_string().into();
        let call = Call {
            name,
            payload,
            client_context: None,
            request_id: cx.uuid(),
            sink: None,
            durable: None,
            hidden: Some(Arc::clone(&hidden)),
        };
        let run = tokio::select! {
            run = lambda.run(cx, call, None) => run,
            never = hidden.keep() => match never {},
        };
        let done = match run {
            Ok(finished) => self.done(&messages, &finished),
            Err(error) => {
                tracing::debug!(%error, function = self.function_arn, "a batch could not be delivered");
                Vec::new()
            }
        };
        self.delete(cx, role, &done).await;
    }

    async fn delete(&self, cx: &Cx, role: &Cx, done: &[&Message]) {
        for chunk in done.chunks(10) {
            let entries = chunk.iter().enumerate().map(|(index, message)| DeleteMessageBatchRequestEntry {
                id: index.to_string(),
                receipt_handle: message.receipt_handle.clone().unwrap_or_default(),
            });
            // It was received from there.
            let Ok(queue_url) = self.url(cx) else { return };
            let request = DeleteMessageBatchRequest { queue_url, entries: entries.collect() };
            if let Err(error) = role.call::<DeleteMessageBatch>(request).await {
                tracing::warn!(%error, queue = self.queue_arn, "delivered messages could not be deleted; they come again");
            }
        }
    }

    /// The messages that the function has dealt with.
    fn done<'a>(&self, messages: &'a [Message], finished: &Finished) -> Vec<&'a Message> {
        if finished.failed {
            return Vec::new();
        }
        if !self.partial {
            return messages.iter().collect();
        }
        let Ok(failures) = failures(&finished.payload) else { return Vec::new() };
        if failures.iter().any(|id| !messages.iter().any(|message| message.message_id.as_ref() == Some(id))) {
            return Vec::new(); // As AWS: an id that was not in the batch fails all of it.
        }
        messages.iter().filter(|message| message.message_id.as_ref().is_none_or(|id| !failures.contains(id))).collect()
    }
}

/// `{"batchItemFailures": [{"itemIdentifier": …}]}`; nothing means that all went well.
pub(crate) fn failures(payload: &[u8]) -> Result<BTreeSet<String>, ()> {
    let answer: Value = jsontext::read_slice(payload).map_err(drop)?;
    match answer.get("batchItemFailures") {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item["itemIdentifier"].as_str().filter(|id| !id.is_empty()).map(str::to_owned).ok_or(()))
            .collect(),
        Some(_) => Err(()),
    }
}

fn record(message: &Message, queue_arn: &str, region: &str) -> Value {
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
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    })
}

#[cfg(test)]
mod tests {
    use super::failures;

    #[test]
    fn partial_failures() {
        assert_eq!(failures(b"null").unwrap().len(), 0);
        assert_eq!(failures(br#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#).unwrap().len(), 1);
        assert!(failures(br#"{"batchItemFailures":[{"itemIdentifier":""}]}"#).is_err());
    }
}
