//! ReceiveMessage: takes what is visible, or waits for it without polling.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api_sqs::{Message as Shape, ReceiveMessage, ReceiveMessageRequest, ReceiveMessageResult, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::sqs::message::{self, Message, Take, Taken, attributes_md5, sequence};
use crate::sqs::metrics::Done;
use crate::sqs::queue::{Queue, QueueKey, invalid_parameter, is_attribute};
use crate::sqs::{Sqs, digest};
use sealing::Of;

/// What a receive that found nothing ends its transaction with, so that nothing is remembered of it.
const NOTHING: &str = "NothingVisible";
/// So long a receive that does not wait removes what expired, before it answers that nothing was found.
const CLEARING_MS: i64 = 5000;

#[async_trait]
impl Handle<ReceiveMessage> for Sqs {
    async fn handle(&self, cx: &Cx, req: ReceiveMessageRequest) -> Result<ReceiveMessageResult, Error> {
        let most = within(
            req.max_number_of_messages,
            1,
            (1, 10),
            || "Value {} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        )?;
        let wait = req.wait_time_seconds.map(|seconds| {
            within(
                Some(seconds),
                0,
                (0, 20),
                || "Value {} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
            )
        });
        let wait = wait.transpose()?;
        if let Some(seconds) = req.visibility_timeout {
            within(
                Some(seconds),
                0,
                (0, 43_200),
                || "Value {} for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.",
            )?;
        }
        known(req.attribute_names.as_deref())?;
        let place = QueueKey::of_url(cx, &req.queue_url);
        let mut queue = self.store.read(|tx| place.queue(tx)).await?;
        let wait_ms = 1000 * wait.map_or_else(|| queue.number("ReceiveMessageWaitTimeSeconds"), i64::from);
        let visibility = req.visibility_timeout.map_or_else(|| queue.number("VisibilityTimeout"), i64::from);
        let take =
            Take { most: usize::try_from(most).unwrap_or(1), visibility_ms: visibility * 1000, nonce: cx.uuid() };
        let deadline = cx.now().as_millisecond() + wait_ms;
        loop {
            let waiting = self.waiting.of(&queue.id);
            let woken = waiting.notified();
            tokio::pin!(woken);
            // Registered before the store is looked at, so that no message slips through between.
            woken.as_mut().enable();
            let (from, messages) = self.take(cx, &place, &take, deadline).await?;
            let now = cx.now().as_millisecond();
            if !messages.is_empty() || now >= deadline {
                // Receipt handles name the queue that the messages came from, which may have been purged or made again meanwhile.
                let queue = from.unwrap_or(queue);
                let messages = self.opened(cx, &queue, messages).await?;
                match messages.len() {
                    0 => self.metrics.count(&place, Done::EmptyReceive, 1),
                    received => self.metrics.count(&place, Done::Received, received),
                }
                let shapes: Vec<Shape> = messages.into_iter().map(|message| show(&queue, message, &req)).collect();
                return Ok(ReceiveMessageResult { messages: (!shapes.is_empty()).then_some(shapes) });
            }
            let found = self.store.read(|tx| {
                let queue = place.queue(tx)?;
                let next = message::next_visible(tx, &queue)?;
                Ok::<_, Error>((queue, next))
            });
            let (found, next) = found.await?;
            if found.id != queue.id {
                queue = found;
                continue;
            }
            // A visible message that could not be taken (its group is held) is looked at again after a while.
            let until = next.map_or(deadline, |at| if at > now { at } else { now + 1000 }).min(deadline);
            let pause = Duration::from_millis(u64::try_from(until - now).unwrap_or(0).max(1));
            let _ = tokio::time::timeout(pause, woken).await;
        }
    }
}

impl Sqs {
    /// The bodies as they were sent. Who may not use a queue's key is told so, and the messages come back after their timeout.
    async fn opened(&self, cx: &Cx, queue: &Queue, mut messages: Vec<Message>) -> Result<Vec<Message>, Error> {
        let reuse_seconds = queue.number("KmsDataKeyReusePeriodSeconds");
        for message in &mut messages {
            if let Some(arn) = message.sealed_for.take() {
                message.body = self.sealer.open(cx, Of { arn: &arn, reuse_seconds }, &message.body).await?;
            }
        }
        Ok(messages)
    }

    /// Takes what is visible, and from which queue it was. What is in the way because it expired is removed, a transaction at a time.
    async fn take(
        &self,
        cx: &Cx,
        place: &QueueKey,
        take: &Take,
        deadline: i64,
    ) -> Result<(Option<Queue>, Vec<Message>), Error> {
        let until = deadline.max(cx.now().as_millisecond() + CLEARING_MS);
        for round in 0.. {
            let taken = self.take_once(cx, place, take, round).await?;
            for id in &taken.woken {
                self.waiting.wake(id);
            }
            if !taken.again || cx.now().as_millisecond() >= until {
                return Ok((taken.queue, taken.messages));
            }
        }
        Ok((None, Vec::new()))
    }

    async fn take_once(&self, cx: &Cx, place: &QueueKey, take: &Take, round: u32) -> Result<Taken, Error> {
        let now = cx.now().as_millisecond();
        // Always the same first writes of a task: its repetition finds what the first one took.
        let named = |id: &str| if round == 0 { format!("{id}/receive") } else { format!("{id}/receive/{round}") };
        let cx = cx.task_id().map_or_else(|| cx.clone(), |id| cx.with_task(&named(id)));
        if cx.task_id().is_none() {
            let next = self
                .store
                .read(|tx| {
                    let queue = place.queue(tx)?;
                    message::next_visible(tx, &queue)
                })
                .await?;
            if next.is_none_or(|at| at > now) {
                return Ok(Taken::default());
            }
        }
        let (place, take) = (place.clone(), take.clone());
        let taken = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                let taken = message::take(tx, &queue, &take, now)?;
                // What was removed on the way is to stay so.
                if taken.messages.is_empty() && taken.woken.is_empty() && !taken.again {
                    return Err(Error::new(NOTHING, 400, ""));
                }
                Ok(taken)
            })
            .await;
        match taken {
            Err(error) if error.is(NOTHING) => Ok(Taken::default()),
            other => other,
        }
    }
}

fn within(
    given: Option<i32>,
    default: i32,
    (low, high): (i32, i32),
    message: impl FnOnce() -> &'static str,
) -> Result<i32, Error> {
    let number = given.unwrap_or(default);
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    Err(invalid_parameter(message().replace("{}", &number.to_string())))
}

/// The attributes that a message may have: what `AttributeNames` is used for here, though its model has a queue's.
const OF_MESSAGES: [&str; 10] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

fn known(names: Option<&[String]>) -> Result<(), Error> {
    let unknown = |name: &&String| !OF_MESSAGES.contains(&name.as_str()) && !is_attribute(name);
    match names.unwrap_or_default().iter().find(unknown) {
        Some(name) => Err(error::invalid_attribute_name(format!("Unknown Attribute {name}."))),
        None => Ok(()),
    }
}

fn show(queue: &Queue, message: Message, req: &ReceiveMessageRequest) -> Shape {
    let handle = message.handle(queue);
    let wanted: BTreeSet<&str> = [&req.attribute_names, &req.message_system_attribute_names]
        .into_iter()
        .flatten()
        .flatten()
        .map(String::as_str)
        .collect();
    let mut attributes = system_attributes(&message);
    attributes.retain(|name, _| wanted.contains("All") || wanted.contains(name.as_str()));
    let asked = req.message_attribute_names.as_deref().unwrap_or_default();
    let mut own = message.attributes;
    own.retain(|name, _| {
        asked.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => asked == "All" || asked == name,
        })
    });
    Shape {
        message_id: Some(message.id),
        receipt_handle: Some(handle),
        md5_of_body: Some(digest::of_body(&message.body)),
        body: Some(message.body),
        attributes: (!attributes.is_empty()).then_some(attributes),
        md5_of_message_attributes: attributes_md5(&own),
        message_attributes: (!own.is_empty()).then_some(own),
    }
}

fn system_attributes(message: &Message) -> BTreeMap<String, String> {
    let all = [
        ("SenderId", Some(message.sender.clone())),
        ("SentTimestamp", Some(message.sent_ms.to_string())),
        ("ApproximateReceiveCount", Some(message.received.to_string())),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.map(|at| at.to_string())),
        ("SequenceNumber", message.duplicate.as_ref().map(|_| sequence(message.number))),
        ("MessageDeduplicationId", message.duplicate.clone()),
        ("MessageGroupId", message.group.clone()),
        ("AWSTraceHeader", message.trace.clone()),
        ("DeadLetterQueueSourceArn", message.source.clone()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
