//! The task that brings one message to one subscription: tried again with growing pauses, then given to the subscription's
//! dead-letter queue.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, Runner, Store, Task};
use wire::Error;
use wire::arn::Arn;

use super::feedback::{Outcome, Said};
use super::http::{POST, Poster};
use super::lapse::{CLEAR, LAPSE};
use super::mail::{CONFIRM, Mail, Mailer, Refused};
use super::metrics::{Ended, Metrics};
use super::of_topic;
use super::ordered::ORDERED;
use super::publish::{Delivery, Notification};
use super::recent::{Heard, Recent, State};
use super::sign::Signer;
use super::topic::Subscription;
use sealing::Sealer;

pub(super) const DELIVER: &str = "sns:deliver";
/// The same by e-mail: a mail server that is slow holds up mails alone.
pub(super) const MAIL: &str = "sns:mail";
/// Tries before a message is given up: over three days, with the pauses of [`pause`].
pub(super) const MAX_ATTEMPTS: u32 = 80;

pub(super) struct Deliverer {
    pub(super) router: Arc<Router>,
    pub(super) account: String,
    pub(super) endpoint: String,
    pub(super) mailer: Mailer,
    pub(super) poster: Poster,
    pub(super) signer: Arc<Signer>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) store: Store,
    pub(super) metrics: Metrics,
    pub(super) recent: Recent,
}

#[async_trait]
impl Runner for Deliverer {
    async fn run(&self, task: Task) -> Done {
        match task.kind.as_str() {
            POST => return self.run_post(task).await,
            LAPSE => return self.lapse(&task).await,
            ORDERED => return self.run_ordered(&task).await,
            CLEAR => return self.clear(&task).await,
            _ => {}
        }
        let result = if task.kind == CONFIRM {
            self.ask(&task).await
        } else {
            match task.payload() {
                Ok(delivery) => self.deliver(&task.id, task.attempt, delivery).await,
                Err(error) => Err(error.into()),
            }
        };
        let (cause, retry) = match result {
            Ok(()) => {
                self.asked(&task, State::Delivered, String::new()).await;
                return Done::Finished;
            }
            Err(Refused::ForNow(cause)) => (cause, task.attempt < MAX_ATTEMPTS),
            Err(Refused::ForGood(cause)) => (cause, false),
        };
        if retry {
            tracing::warn!(task = task.id, attempt = task.attempt, cause, "a delivery failed and is tried again");
            let (pause, now) = (pause(task.attempt), self.store.clock().now_ms());
            let next_ms = now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
            match task.payload::<Delivery>() {
                Ok(delivery) if task.kind != CONFIRM => {
                    self.waits(&task.id, &delivery, (task.attempt, next_ms), cause).await;
                }
                _ => self.asked(&task, State::Waits { next_ms }, cause).await,
            }
            return Done::RetryAfter(pause);
        }
        tracing::error!(task = task.id, cause, "a delivery failed for good");
        self.asked(&task, State::Failed, cause.clone()).await;
        let buried = match task.payload::<Delivery>() {
            _ if task.kind == CONFIRM => return Done::Finished,
            Ok(delivery) => {
                self.failed(&task.id, task.attempt, &delivery, Said::refused(&cause)).await;
                self.dead_letter(&task.id, delivery).await
            }
            Err(error) => Err(error.into()),
        };
        match buried {
            Ok(()) => Done::Finished,
            Err(_) => Done::RetryAfter(pause(task.attempt)),
        }
    }
}

/// 1, 2, 4, … seconds, at most an hour.
pub(super) fn pause(attempt: u32) -> SignedDuration {
    SignedDuration::from_secs(1_i64 << attempt.saturating_sub(1).min(11)).min(SignedDuration::from_secs(3600))
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        if error.status() >= 500 || error.is("ThrottlingException") || error.is("TooManyRequestsException") {
            Self::ForNow(error.to_string())
        } else {
            Self::ForGood(error.to_string())
        }
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::ForNow(error.to_string())
    }
}

impl Deliverer {
    /// `task` names the delivery: what it calls counts once under that name.
    pub(super) async fn deliver(&self, task: &str, attempts: u32, delivery: Delivery) -> Result<(), Refused> {
        let Delivery { subscription_arn, notification } = delivery;
        let Some(subscription) = self.subscription(&subscription_arn).await? else { return Ok(()) };
        let notification = self.opened(notification).await?;
        let text = notification.text(&subscription.protocol);
        let delivered = match subscription.protocol.as_str() {
            "email" => self.mail(task, &subscription, &notification, text.clone()).await,
            "email-json" => {
                let envelope = self.envelope(&notification, &text, &subscription.arn).await?.to_string();
                self.mail(task, &subscription, &notification, envelope).await
            }
            "sqs" => {
                let raw = subscription.is_raw();
                let body = if raw {
                    text.clone()
                } else {
                    self.envelope(&notification, &text, &subscription.arn).await?.to_string()
                };
                self.enqueue(task, &subscription.endpoint, &notification, body, raw).await
            }
            "lambda" => self.invoke(task, &subscription, &notification, &text).await,
            other => Err(Refused::ForGood(format!("no deliveries to protocol {other}"))),
        };
        let said = delivered?;
        self.metrics.ended(&notification.topic_arn, Ended::Delivered);
        let (notification, subscription, text) = (&notification, &subscription, text.as_str());
        self.tell(Outcome { task, notification, subscription, text, attempts, is_success: true, said }).await;
        Ok(())
    }

    /// A delivery has failed, and is tried again then.
    pub(super) async fn waits(&self, task: &str, delivery: &Delivery, (attempts, next_ms): (u32, i64), said: String) {
        let Ok(Some(subscription)) = self.subscription(&delivery.subscription_arn).await else { return };
        let now = self.store.clock().now_ms();
        let notification = &delivery.notification;
        let heard = Heard {
            message_id: Some(notification.id.clone()),
            published_ms: Some(notification.published_ms),
            said,
            ..Heard::of(&subscription, task, (State::Waits { next_ms }, attempts, now))
        };
        self.recent.heard(&notification.topic_arn, heard);
    }

    /// How a request for confirmation by mail went; of other tasks nothing.
    async fn asked(&self, task: &Task, state: State, said: String) {
        if task.kind != CONFIRM {
            return;
        }
        let Ok(arn) = task.payload::<String>() else { return };
        let Ok(Some(subscription)) = self.subscription(&arn).await else { return };
        let now = self.store.clock().now_ms();
        let heard = Heard { said, ..Heard::of(&subscription, &task.id, (state, task.attempt, now)) };
        self.recent.heard(&subscription.topic_arn, heard);
    }

    /// A delivery has failed for good: metrics and, where the topic wants it, the log say so.
    pub(super) async fn failed(&self, task: &str, attempts: u32, delivery: &Delivery, said: Said) {
        self.metrics.ended(&delivery.notification.topic_arn, Ended::Failed);
        self.tell_failed(task, attempts, delivery, said).await;
    }

    pub(super) async fn tell_failed(&self, task: &str, attempts: u32, delivery: &Delivery, said: Said) {
        let Ok(Some(subscription)) = self.subscription(&delivery.subscription_arn).await else { return };
        // Of a message that cannot be opened the sum is of nothing.
        let opened = self.opened(delivery.notification.clone()).await;
        let notification = &opened.unwrap_or_else(|_| delivery.notification.clone());
        let text = notification.text(&subscription.protocol);
        let (subscription, text) = (&subscription, text.as_str());
        self.tell(Outcome { task, notification, subscription, text, attempts, is_success: false, said }).await;
    }

    /// The message as it was published: SNS opens what was sealed for it.
    pub(super) async fn opened(&self, mut notification: Notification) -> Result<Notification, Refused> {
        if let Some(sealed) = notification.sealed.take() {
            let topic = notification.topic_arn.clone();
            let arn = Arn::parse(&topic).ok_or_else(|| Refused::ForGood(format!("not an ARN: {topic}")))?;
            let cx = Cx::platform(&self.router, &arn.account, &arn.region);
            // Source: SNS Developer Guide, "Amazon SNS message delivery retries": what the topic's owner has to put right is not retried.
            let opened = self.sealer.open(&cx, of_topic(&topic), &sealed).await;
            notification.message = opened.map_err(|error| {
                if error.code().contains("Throttling") {
                    Refused::ForNow(error.to_string())
                } else {
                    Refused::from(error)
                }
            })?;
        }
        Ok(notification)
    }

    pub(super) async fn subscription(&self, arn: &str) -> Result<Option<Subscription>, Refused> {
        let key = Subscription::key(arn)?;
        Ok(self.store.read(|tx| tx.get_json(&key)).await?)
    }

    /// SNS's own call for a topic where the target is, once per task.
    fn cx(&self, task: &str, topic: &str, target: &str) -> Cx {
        let region = Arn::parse(target).map(|arn| arn.region).unwrap_or_default();
        let account = Arn::parse(topic).map_or_else(|| self.account.clone(), |arn| arn.account);
        Cx::platform(&self.router, &account, &region).as_service("sns.amazonaws.com", topic).with_task(task)
    }

    async fn mail(
        &self,
        task: &str,
        subscription: &Subscription,
        notification: &Notification,
        text: String,
    ) -> Result<Said, Refused> {
        let subject = notification.subject.clone().unwrap_or_else(|| "AWS Notification Message".to_owned());
        let id = task.split_once('/').map_or(task, |(_, id)| id).replace('/', ".");
        self.mailer.send(Mail { id, to: subscription.endpoint.clone(), subject, text }).await?;
        Ok(Said { status: 200, response: String::new() })
    }

    async fn enqueue(
        &self,
        task: &str,
        queue_arn: &str,
        notification: &Notification,
        body: String,
        with_attributes: bool,
    ) -> Result<Said, Refused> {
        let arn = Arn::parse(queue_arn).ok_or_else(|| Refused::ForGood(format!("not an ARN: {queue_arn}")))?;
        let attributes = notification.attributes.iter().filter(|_| with_attributes).map(|(name, value)| {
            let value = api_sqs::MessageAttributeValue {
                data_type: value.data_type.clone(),
                string_value: value.string_value.clone(),
                binary_value: value.binary_value.clone(),
                ..api_sqs::MessageAttributeValue::default()
            };
            (name.clone(), value)
        });
        let fifo = arn.resource.strip_suffix(".fifo").is_some();
        let request = api_sqs::SendMessageRequest {
            queue_url: format!("{}/{}/{}", self.endpoint.trim_end_matches('/'), arn.account, arn.resource),
            message_body: body,
            message_attributes: Some(attributes.collect()),
            message_group_id: notification.group.clone(),
            message_deduplication_id: notification.duplicate.clone().filter(|_| fifo),
            ..api_sqs::SendMessageRequest::default()
        };
        let cx = self.cx(task, &notification.topic_arn, queue_arn);
        let sent = cx.call::<api_sqs::SendMessage>(request).await?;
        let response = json!({ "sqsRequestId": cx.request_id(), "sqsMessageId": sent.message_id });
        Ok(Said { status: 200, response: response.to_string() })
    }

    async fn invoke(
        &self,
        task: &str,
        subscription: &Subscription,
        notification: &Notification,
        text: &str,
    ) -> Result<Said, Refused> {
        let mut message = self.envelope(notification, text, &subscription.arn).await?;
        if let Value::Object(fields) = &mut message {
            // Functions know two of the names in another case. Source: Lambda Developer Guide, "Invoking Lambda functions with
            // Amazon SNS notifications".
            for (name, known_as) in [("SigningCertURL", "SigningCertUrl"), ("UnsubscribeURL", "UnsubscribeUrl")] {
                if let Some(value) = fields.shift_remove(name) {
                    fields.insert(known_as.to_owned(), value);
                }
            }
            fields.entry("Subject").or_insert(Value::Null);
            fields.entry("MessageAttributes").or_insert_with(|| json!({}));
        }
        let event = json!({ "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription.arn,
            "Sns": message,
        }]});
        let request = api_lambda::InvocationRequest {
            function_name: subscription.endpoint.clone(),
            invocation_type: Some("Event".to_owned()),
            payload: Some(event.to_string().into_bytes().into()),
            ..api_lambda::InvocationRequest::default()
        };
        let cx = self.cx(task, &notification.topic_arn, &subscription.endpoint);
        cx.call::<api_lambda::Invoke>(request).await?;
        let response = json!({ "lambdaRequestId": cx.request_id() }).to_string();
        Ok(Said { status: 202, response })
    }

    /// Asks an e-mail subscriber for confirmation.
    async fn ask(&self, task: &Task) -> Result<(), Refused> {
        let arn: String = task.payload()?;
        let Some(subscription) = self.subscription(&arn).await? else { return Ok(()) };
        let Some(token) = &subscription.token else { return Ok(()) };
        let topic = &subscription.topic_arn;
        let text = format!(
            "You have chosen to subscribe to the topic:\n{topic}\n\nTo confirm this subscription, run:\naws sns \
             confirm-subscription --topic-arn {topic} --token {token}\n"
        );
        let mail = Mail {
            id: format!("confirm.{token}"),
            to: subscription.endpoint.clone(),
            subject: "AWS Notification - Subscription Confirmation".to_owned(),
            text,
        };
        self.mailer.send(mail).await
    }

    /// Gives what cannot be delivered to the dead-letter queue, where there is one. An error: it may be given there later.
    pub(super) async fn dead_letter(&self, task: &str, delivery: Delivery) -> Result<(), Refused> {
        let topic = delivery.notification.topic_arn.clone();
        match self.bury(task, delivery).await {
            Err(Refused::ForGood(cause)) => {
                self.metrics.ended(&topic, Ended::FailedToRedriveToDlq);
                tracing::error!(task, cause, "the dead-letter queue did not get the message");
                Ok(())
            }
            other => other,
        }
    }

    async fn bury(&self, task: &str, delivery: Delivery) -> Result<(), Refused> {
        let Delivery { subscription_arn, notification } = delivery;
        let Some(subscription) = self.subscription(&subscription_arn).await? else { return Ok(()) };
        let policy = subscription.attributes.get("RedrivePolicy");
        let policy: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let Some(target) = policy["deadLetterTargetArn"].as_str() else { return Ok(()) };
        let notification = self.opened(notification).await?;
        let text = notification.text(&subscription.protocol);
        let raw = subscription.is_raw();
        let body = if raw { text } else { self.envelope(&notification, &text, &subscription.arn).await?.to_string() };
        self.enqueue(&format!("{task}/dead"), target, &notification, body, true).await?;
        self.metrics.ended(&notification.topic_arn, Ended::RedrivenToDlq);
        Ok(())
    }

    /// The JSON around a message that is not delivered raw, signed.
    pub(super) async fn envelope(
        &self,
        notification: &Notification,
        text: &str,
        subscription: &str,
    ) -> Result<Value, Refused> {
        let mut envelope = envelope(notification, text);
        let attributes = envelope.as_object_mut().and_then(|fields| fields.shift_remove("MessageAttributes"));
        let version = notification.signature_version.as_deref().unwrap_or("1");
        self.signer.sign(&mut envelope, version, &self.endpoint).await?;
        envelope["UnsubscribeURL"] = json!(self.link(&[("Action", "Unsubscribe"), ("SubscriptionArn", subscription)]));
        if let Some(attributes) = attributes {
            envelope["MessageAttributes"] = attributes;
        }
        Ok(envelope)
    }

    /// A link that anybody may follow who has it.
    pub(super) fn link(&self, parameters: &[(&str, &str)]) -> String {
        let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}/?{}", self.endpoint.trim_end_matches('/'), query.join("&"))
    }
}

/// What of a message is signed, and its attributes.
fn envelope(notification: &Notification, text: &str) -> Value {
    let time = Timestamp::from_millisecond(notification.published_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut envelope = json!({
        "Type": "Notification",
        "MessageId": notification.id,
        "TopicArn": notification.topic_arn,
    });
    if let Some(sequence) = &notification.sequence {
        envelope["SequenceNumber"] = json!(sequence);
    }
    if let Some(subject) = &notification.subject {
        envelope["Subject"] = json!(subject);
    }
    envelope["Message"] = json!(text);
    envelope["Timestamp"] = json!(wire::Timestamp(time).to_iso());
    if let Some(attributes) = notification.shown_attributes() {
        envelope["MessageAttributes"] = attributes;
    }
    envelope
}
