//! One message to all subscriptions that want it: a task each, in the transaction of the publish.

use std::collections::BTreeMap;

use api_sns::{MessageAttributeValue, error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{Key, NewTask, Tx};
use wire::Error;

use super::deliver::{DELIVER, MAIL};
use super::http::{POST, Post, What};
use super::ordered;
use super::topic::{Subscription, Topic, invalid};
use crate::sqs::is_number;

const MAX_BYTES: usize = 262_144;
/// For how long FIFO topics know duplicates.
const DUPLICATE_MS: i64 = 5 * 60 * 1000;

/// A message as it goes to subscribers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Notification {
    pub(super) id: String,
    pub(super) topic_arn: String,
    pub(super) subject: Option<String>,
    pub(super) message: String,
    /// `MessageStructure` is `json`: the message is a text per protocol.
    pub(super) per_protocol: bool,
    pub(super) attributes: BTreeMap<String, MessageAttributeValue>,
    pub(super) published_ms: i64,
    pub(super) group: Option<String>,
    pub(super) duplicate: Option<String>,
    /// Of the topic at the time; none in what was published before messages were signed.
    #[serde(default)]
    pub(super) signature_version: Option<String>,
    /// The message as it is kept, where the topic has a key; then `message` is empty.
    #[serde(default)]
    pub(super) sealed: Option<String>,
    /// Of FIFO topics.
    #[serde(default)]
    pub(super) sequence: Option<String>,
}

/// What the deliver task is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) subscription_arn: String,
    pub(super) notification: Notification,
}

/// What a publisher is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) id: String,
    pub(super) sequence: Option<String>,
}

impl Notification {
    /// Bytes of the message and its attributes.
    pub(super) fn size(&self) -> usize {
        let attribute = |(name, value): (&String, &MessageAttributeValue)| {
            let text = value.string_value.as_ref().map_or(0, String::len);
            name.len() + value.data_type.len() + text + value.binary_value.as_ref().map_or(0, |b| b.as_bytes().len())
        };
        self.message.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// The text for a protocol.
    pub(super) fn text(&self, protocol: &str) -> String {
        if !self.per_protocol {
            return self.message.clone();
        }
        let texts: Map<String, Value> = jsontext::read(&self.message).unwrap_or_default();
        let text = texts.get(protocol).or_else(|| texts.get("default"));
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub(super) fn check(&self, topic: &Topic) -> Result<(), Error> {
        if self.message.is_empty() {
            return Err(invalid("Empty message"));
        }
        if self.message.len() > MAX_BYTES {
            return Err(invalid("Message too long"));
        }
        if let Some(subject) = &self.subject {
            // "UTF-8 text with no line breaks or control characters". Source: SNS API Reference, Publish.
            let is_line = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
            if subject.is_empty() || subject.chars().count() > 100 || !subject.chars().all(is_line) {
                return Err(invalid("Subject"));
            }
        }
        if self.per_protocol {
            let texts: Option<Map<String, Value>> = jsontext::read(&self.message).ok();
            let texts = texts.ok_or_else(|| invalid("Message Structure - JSON message body failed to parse"))?;
            if !texts.get("default").is_some_and(Value::is_string) {
                return Err(invalid("Message Structure - No default entry in JSON message body"));
            }
        }
        for (name, value) in &self.attributes {
            let kind = value.data_type.split('.').next().unwrap_or_default();
            let fits = match kind {
                "String" | "Number" => value.string_value.as_ref().is_some_and(|text| !text.is_empty()),
                "Binary" => value.binary_value.as_ref().is_some_and(|bytes| !bytes.as_bytes().is_empty()),
                _ => false,
            };
            if !fits {
                return Err(error::invalid_parameter_value_exception(format!(
                    "The message attribute '{name}' must contain non-empty message attribute value for message \
                     attribute type '{}'.",
                    value.data_type
                )));
            }
            if kind == "Number" && !value.string_value.as_deref().is_some_and(is_number) {
                return Err(error::invalid_parameter_value_exception(format!(
                    "Could not cast message attribute '{name}' value to number."
                )));
            }
        }
        if topic.is_on("FifoTopic") {
            if self.group.is_none() {
                return Err(invalid("The MessageGroupId parameter is required for FIFO topics"));
            }
            if self.duplicate.is_none() && !topic.is_on("ContentBasedDeduplication") {
                return Err(invalid(
                    "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                     explicitly",
                ));
            }
        }
        Ok(())
    }

    /// Attributes as filter policies see them: texts, numbers and lists.
    fn filtered(&self) -> Value {
        let value = |value: &MessageAttributeValue| {
            let text = value.string_value.clone().unwrap_or_default();
            match value.data_type.as_str() {
                "Number" | "String.Array" => serde_json::from_str(&text).unwrap_or(Value::Null),
                _ => Value::String(text),
            }
        };
        Value::Object(self.attributes.iter().map(|(name, own)| (name.clone(), value(own))).collect())
    }

    /// Attributes as envelopes show them.
    pub(super) fn shown_attributes(&self) -> Option<Value> {
        let shown: Map<String, Value> = self
            .attributes
            .iter()
            .map(|(name, value)| {
                let content = match &value.binary_value {
                    Some(bytes) => json!(bytes),
                    None => json!(value.string_value),
                };
                (name.clone(), json!({ "Type": value.data_type, "Value": content }))
            })
            .collect();
        (!shown.is_empty()).then_some(Value::Object(shown))
    }
}

/// Answers what the publisher is told, and how many subscriptions' filters did not let the message through.
pub(super) fn publish(
    tx: &mut Tx<'_>,
    topic: &Topic,
    mut notification: Notification,
) -> Result<(Published, usize), Error> {
    let (mut number, mut filtered) = (None, 0);
    if topic.is_on("FifoTopic") {
        use sha2::Digest as _;
        let body = || hex::encode(sha2::Sha256::digest(notification.message.as_bytes()));
        let duplicate = notification.duplicate.clone().unwrap_or_else(body);
        let (by_id, by_time) = topic.duplicates();
        // Source: SNS Developer Guide, "High throughput for FIFO topics"; the length keeps a group's name and an id apart.
        let by_group = topic.attributes.get("FifoThroughputScope").is_some_and(|scope| scope == "MessageGroup");
        let known_as = match notification.group.as_ref().filter(|_| by_group) {
            Some(group) => format!("{}:{group}{duplicate}", group.len()),
            None => duplicate.clone(),
        };
        let now_ms = notification.published_ms;
        let known: Option<(i64, Published)> = tx.get_json(by_id.clone().push(&known_as))?;
        if let Some((at, published)) = known
            && at > now_ms - DUPLICATE_MS
        {
            return Ok((published, 0));
        }
        forget(tx, (&by_id, &by_time), now_ms - DUPLICATE_MS)?;
        let next = tx.next_number(topic.counter())?;
        let published = Published { id: notification.id.clone(), sequence: Some(format!("{next:020}")) };
        tx.put_json(by_id.push(&known_as), &(now_ms, &published))?;
        tx.put(by_time.push_i64(now_ms).push(&known_as), &[])?;
        notification.duplicate = Some(duplicate);
        notification.sequence = published.sequence;
        number = Some(next);
    }
    notification.signature_version = Some(topic.signature_version().to_owned());
    let attributes = notification.filtered();
    for subscription in tx.list_json::<Subscription>(Subscription::of_topic(&topic.arn)?, 100_000)? {
        let text = notification.text(&subscription.protocol);
        if subscription.token.is_some() {
            continue;
        }
        if !subscription.wants(&attributes, &text) {
            filtered += 1;
            continue;
        }
        let id = subscription.arn.rsplit(':').next().unwrap_or_default();
        let mut delivery = Delivery { subscription_arn: subscription.arn.clone(), notification: notification.clone() };
        if delivery.notification.sealed.is_some() {
            delivery.notification.message.clear();
        }
        let named = |kind: &str| NewTask::new(kind, format!("{kind}/{}/{id}", notification.id));
        let task = if subscription.is_http() {
            named(POST).payload(&Post::new(What::Message(Box::new(delivery))))
        } else if let Some(number) = number {
            ordered::enqueue(tx, delivery, number)?;
            continue;
        } else if subscription.is_mail() {
            named(MAIL).payload(&delivery)
        } else {
            named(DELIVER).payload(&delivery)
        };
        tx.enqueue(task?)?;
    }
    Ok((Published { id: notification.id, sequence: notification.sequence }, filtered))
}

/// Forgets some of the oldest ids, unless they were used again since.
fn forget(tx: &mut Tx<'_>, (by_id, by_time): (&Key, &Key), until_ms: i64) -> Result<(), Error> {
    for (key, _) in tx.scan_prefix(by_time, 20)? {
        let parts = Key::parts(&key);
        let at = parts.get(4).and_then(|part| Key::part_i64(part));
        let (Some(at), Some(id)) = (at, parts.get(5)) else { break };
        if at > until_ms {
            break;
        }
        let place = by_id.clone().push(id);
        let used: Option<(i64, Published)> = tx.get_json(&place)?;
        if used.is_some_and(|(used, _)| used == at) {
            tx.delete(place)?;
        }
        tx.delete(key)?;
    }
    Ok(())
}
