//! Deliveries to HTTP endpoints, one task each: what is posted, when it is posted again, and how fast. An endpoint that has no
//! working address, is too slow, or answers 5xx or 429 may be called again; another refusal is its last word.
//! Sources: SNS Developer Guide, "Fanout to HTTPS endpoints", "Amazon SNS message delivery retries".

use std::time::Duration;

use egress::{Door, Pace, told};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Digest as _;
use store::{Done, NewTask, Task};

use super::deliver::{Deliverer, MAX_ATTEMPTS, pause};
use super::feedback::{Outcome, Said};
use super::mail::Refused;
use super::metrics::Ended;
use super::policy::Effective;
use super::publish::Delivery;
use super::topic::{Removed, Subscription, Topic};

/// The task that posts a message.
pub(super) const POST: &str = "sns:http";
/// Calls of one endpoint at once, of the places that all have.
const EACH: usize = 16;
/// Between two looks at an endpoint that has all its calls under way.
const BUSY_MS: i64 = 10;
/// How the cause of a refusal begins.
const ANSWERED: &str = "the endpoint answered ";
/// An endpoint has so long to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// `[sns]` of the settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Whether subscriptions may call link-local addresses, where clouds keep the credentials of the machine. Default: false.
    http_link_local: bool,
}

/// The client, and how fast it may call.
pub(super) struct Poster {
    door: Door,
    pace: Pace,
}

/// What the task is about, and how often it has failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) what: What,
    #[serde(default)]
    pub(super) failures: u32,
    /// The turn that it has waited for.
    #[serde(default)]
    turn_ms: Option<i64>,
}

impl Post {
    pub(super) fn new(what: What) -> Self {
        Self { what, failures: 0, turn_ms: None }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum What {
    Message(Box<Delivery>),
    /// Asks the endpoint of this subscription for confirmation.
    Confirmation(String),
    /// Tells an endpoint that it has none any more; the record says how it gets it back.
    Farewell(Box<Removed>),
}

/// One request.
struct Letter {
    url: String,
    kind: &'static str,
    id: String,
    topic: String,
    subscription: Option<String>,
    raw: bool,
    content_type: String,
    body: String,
}

impl Poster {
    pub(super) fn new(settings: Settings) -> Self {
        let door = Door::new(settings.http_link_local).within(LIMIT);
        Self { door, pace: Pace::default() }
    }

    async fn post(&self, letter: &Letter) -> Result<Said, Refused> {
        let url = Url::parse(&letter.url).map_err(|error| Refused::ForGood(error.to_string()))?;
        let request = self.door.request(Method::POST, &url).map_err(|refused| match refused {
            egress::Refused::Address(cause) => Refused::ForGood(cause),
            egress::Refused::NoClient(cause) => Refused::ForNow(cause),
        })?;
        let mut request = request
            .header(CONTENT_TYPE, &letter.content_type)
            .header(USER_AGENT, "Amazon Simple Notification Service Agent")
            .header("x-amz-sns-message-type", letter.kind)
            .header("x-amz-sns-message-id", &letter.id)
            .header("x-amz-sns-topic-arn", &letter.topic)
            .body(letter.body.clone());
        if let Some(arn) = &letter.subscription {
            request = request.header("x-amz-sns-subscription-arn", arn);
        }
        if letter.raw {
            request = request.header("x-amz-sns-rawdelivery", "true");
        }
        let answer = request.send().await.map_err(|error| Refused::ForNow(told(&error)))?;
        let status = answer.status();
        let cause = || format!("{ANSWERED}{status}");
        if status.is_success() {
            Ok(Said { status: status.as_u16(), response: String::new() })
        } else if status.is_server_error() || status.is_informational() || status.as_u16() == 429 {
            Err(Refused::ForNow(cause()))
        } else {
            Err(Refused::ForGood(cause()))
        }
    }
}

impl Deliverer {
    pub(super) async fn run_post(&self, task: Task) -> Done {
        let post: Post = match task.payload() {
            Ok(post) => post,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a delivery cannot be read");
                return Done::Finished;
            }
        };
        let soon = || Done::RetryAfter(pause(task.attempt));
        let (letter, policy) = match self.letter(&task, &post.what).await {
            Ok(Some(found)) => found,
            Ok(None) => return Done::Finished,
            Err(Refused::ForNow(cause)) if task.attempt < MAX_ATTEMPTS => {
                tracing::warn!(
                    task = task.id,
                    attempt = task.attempt,
                    cause,
                    "a message could not be made and is tried again"
                );
                return soon();
            }
            Err(Refused::ForNow(cause) | Refused::ForGood(cause)) => {
                if let What::Message(delivery) = &post.what {
                    self.failed(&task.id, task.attempt, delivery, Said::refused(&cause)).await;
                }
                return self.give_up(&task, post.what, &cause).await;
            }
        };
        let now = self.store.clock().now_ms();
        let turn = policy.interval_ms().zip(letter.subscription.as_deref()).filter(|_| post.turn_ms.is_none());
        if let Some(at) = turn.and_then(|(interval, arn)| self.poster.pace.turn(arn, interval, now)) {
            return self.again(&task, Post { turn_ms: Some(at), ..post }, at).await;
        }
        let Some(place) = self.poster.pace.place(&letter.url, EACH) else {
            let at = self.poster.pace.turn(&format!("busy {}", letter.url), BUSY_MS, now).unwrap_or(now + BUSY_MS);
            return self.again(&task, post, at).await;
        };
        let posted = self.poster.post(&letter).await;
        drop(place);
        if matches!(post.what, What::Message(_)) {
            // Of these endpoints each try that fails is counted.
            self.metrics.ended(&letter.topic, if posted.is_ok() { Ended::Delivered } else { Ended::Failed });
        }
        let (cause, retry) = match posted {
            Ok(said) => {
                self.tell_posted(&task.id, &post, said).await;
                return Done::Finished;
            }
            Err(Refused::ForNow(cause)) => (cause, policy.pause_ms(post.failures + 1)),
            Err(Refused::ForGood(cause)) => (cause, None),
        };
        if let Some(pause) = retry {
            tracing::warn!(task = task.id, failures = post.failures + 1, cause, "a delivery failed and is tried again");
            let at = self.store.clock().now_ms() + pause;
            if let What::Message(delivery) = &post.what {
                self.waits(&task.id, delivery, (post.failures + 1, at), cause).await;
            }
            return self.again(&task, Post { failures: post.failures + 1, what: post.what, turn_ms: None }, at).await;
        }
        if let What::Message(delivery) = &post.what {
            let status = cause.strip_prefix(ANSWERED).and_then(|rest| rest.get(..3)?.parse().ok());
            let said = Said { status: status.unwrap_or(0), response: cause.clone() };
            self.tell_failed(&task.id, post.failures + 1, delivery, said).await;
        }
        self.give_up(&task, post.what, &cause).await
    }

    async fn tell_posted(&self, task: &str, post: &Post, said: Said) {
        let What::Message(delivery) = &post.what else { return };
        let Ok(Some(subscription)) = self.subscription(&delivery.subscription_arn).await else { return };
        let Ok(notification) = self.opened(delivery.notification.clone()).await else { return };
        let text = notification.text(&subscription.protocol);
        let (attempts, notification, subscription) = (post.failures + 1, &notification, &subscription);
        self.tell(Outcome { task, notification, subscription, text: &text, attempts, is_success: true, said }).await;
    }

    async fn give_up(&self, task: &Task, what: What, cause: &str) -> Done {
        tracing::error!(task = task.id, cause, "a delivery failed for good");
        match what {
            What::Message(delivery) => match self.dead_letter(&task.id, *delivery).await {
                Ok(()) => Done::Finished,
                Err(_) => Done::RetryAfter(pause(task.attempt)),
            },
            What::Confirmation(_) | What::Farewell(_) => Done::Finished,
        }
    }

    /// The same task at a later time. A turn that was waited for is no failure.
    async fn again(&self, task: &Task, post: Post, at_ms: i64) -> Done {
        let id = task.id.clone();
        let at = Timestamp::from_millisecond(at_ms).unwrap_or_else(|_| self.store.clock().now());
        let written = self.store.write(move |tx| {
            tx.finish_task(&id)?;
            tx.enqueue(NewTask::new(POST, id.clone()).payload(&post)?.at(at))
        });
        match written.await {
            Ok(()) => Done::Committed,
            Err(_) => Done::RetryAfter(at.duration_since(self.store.clock().now())),
        }
    }

    /// What is posted, and by which policy; none where nobody waits for it any more.
    async fn letter(&self, task: &Task, what: &What) -> Result<Option<(Letter, Effective)>, Refused> {
        match what {
            What::Message(delivery) => self.message(delivery).await,
            What::Confirmation(arn) => {
                let Some((topic, subscription)) = self.with_topic(arn).await? else { return Ok(None) };
                let Some(token) = &subscription.token else { return Ok(None) };
                let text = format!(
                    "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included in this \
                     message.",
                    topic.arn
                );
                let letter =
                    self.token_letter(task, "SubscriptionConfirmation", &topic, &subscription, token, &text).await?;
                Ok(Some((letter, Effective::of(&topic, &subscription))))
            }
            What::Farewell(removed) => {
                let Some(topic) = self.topic(&removed.subscription.topic_arn).await? else { return Ok(None) };
                let subscription = &removed.subscription;
                let text = format!(
                    "You have chosen to deactivate subscription {}.\nTo cancel this operation and restore the subscription, visit the \
                     SubscribeURL included in this message.",
                    subscription.arn
                );
                let token = &removed.token;
                let mut letter =
                    self.token_letter(task, "UnsubscribeConfirmation", &topic, subscription, token, &text).await?;
                letter.subscription = Some(subscription.arn.clone());
                Ok(Some((letter, Effective::of(&topic, subscription))))
            }
        }
    }

    async fn message(&self, delivery: &Delivery) -> Result<Option<(Letter, Effective)>, Refused> {
        let Some((topic, subscription)) = self.with_topic(&delivery.subscription_arn).await? else { return Ok(None) };
        let notification = &self.opened(delivery.notification.clone()).await?;
        let text = notification.text(&subscription.protocol);
        let raw = subscription.is_raw();
        let body = if raw { text } else { self.envelope(notification, &text, &subscription.arn).await?.to_string() };
        let policy = Effective::of(&topic, &subscription);
        let letter = Letter {
            url: subscription.endpoint.clone(),
            kind: "Notification",
            id: notification.id.clone(),
            topic: topic.arn,
            subscription: Some(subscription.arn),
            raw,
            content_type: policy.content_type().to_owned(),
            body,
        };
        Ok(Some((letter, policy)))
    }

    /// A message that has a token, and a link by which it is used.
    async fn token_letter(
        &self,
        task: &Task,
        kind: &'static str,
        topic: &Topic,
        subscription: &Subscription,
        token: &str,
        text: &str,
    ) -> Result<Letter, Refused> {
        // The same at each try.
        let id = id_of(&task.id);
        let time = Timestamp::from_millisecond(task.created_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut message: Value = json!({
            "Type": kind,
            "MessageId": id,
            "Token": token,
            "TopicArn": topic.arn,
            "Message": text,
            "SubscribeURL": self.link(&[("Action", "ConfirmSubscription"), ("TopicArn", &topic.arn), ("Token", token)]),
            "Timestamp": wire::Timestamp(time).to_iso(),
        });
        self.signer.sign(&mut message, topic.signature_version(), &self.endpoint).await?;
        Ok(Letter {
            url: subscription.endpoint.clone(),
            kind,
            id,
            topic: topic.arn.clone(),
            subscription: None,
            raw: false,
            content_type: "text/plain; charset=UTF-8".to_owned(),
            body: message.to_string(),
        })
    }

    async fn with_topic(&self, subscription: &str) -> Result<Option<(Topic, Subscription)>, Refused> {
        let Some(subscription) = self.subscription(subscription).await? else { return Ok(None) };
        Ok(self.topic(&subscription.topic_arn).await?.map(|topic| (topic, subscription)))
    }

    async fn topic(&self, arn: &str) -> Result<Option<Topic>, Refused> {
        let key = Topic::key(arn)?;
        Ok(self.store.read(|tx| tx.get_json(&key)).await?)
    }
}

/// An id of the form of a UUID.
fn id_of(text: &str) -> String {
    let digest = sha2::Sha256::digest(text.as_bytes());
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
