//! Topics and subscriptions as records.

use std::collections::BTreeMap;

use api_sns::error;
use pattern::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Topic {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) arn: String,
    /// As they were set, byte for byte.
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Subscription {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) arn: String,
    pub(super) topic_arn: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
    /// As they were set, byte for byte.
    pub(super) attributes: BTreeMap<String, String>,
    /// What confirms it, while it is not confirmed.
    pub(super) token: Option<String>,
}

const OWNER: &str = "sns";
const TOPIC_ATTRIBUTES: [&str; 24] = [
    "DisplayName",
    "Policy",
    "DeliveryPolicy",
    "FifoTopic",
    "ContentBasedDeduplication",
    "KmsMasterKeyId",
    "SignatureVersion",
    "TracingConfig",
    "ArchivePolicy",
    "FifoThroughputScope",
    "HTTPSuccessFeedbackRoleArn",
    "HTTPSuccessFeedbackSampleRate",
    "HTTPFailureFeedbackRoleArn",
    "LambdaSuccessFeedbackRoleArn",
    "LambdaSuccessFeedbackSampleRate",
    "LambdaFailureFeedbackRoleArn",
    "SQSSuccessFeedbackRoleArn",
    "SQSSuccessFeedbackSampleRate",
    "SQSFailureFeedbackRoleArn",
    "FirehoseSuccessFeedbackRoleArn",
    "FirehoseSuccessFeedbackSampleRate",
    "FirehoseFailureFeedbackRoleArn",
    "ApplicationSuccessFeedbackRoleArn",
    "ApplicationFailureFeedbackRoleArn",
];

pub(super) fn invalid(message: impl std::fmt::Display) -> Error {
    error::invalid_parameter_exception(format!("Invalid parameter: {message}"))
}

/// An ARN that is none: AWS counts its elements.
fn invalid_arn(member: &str, arn: &str) -> Error {
    match arn.split(':').count() {
        6.. => invalid(member),
        elements => invalid(format!("{member} Reason: An ARN must have at least 6 elements, not {elements}")),
    }
}

impl Topic {
    pub(super) fn key(arn: &str) -> Result<Key, Error> {
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "sns" && !arn.resource.contains(':'));
        let arn = parsed.ok_or_else(|| invalid_arn("TopicArn", arn))?;
        Ok(Self::topics(&arn.account, &arn.region).push(arn.resource))
    }

    /// Where the topics of an account and region are.
    pub(super) fn topics(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("topic").push(account).push(region)
    }

    pub(super) fn load(tx: &mut Tx<'_>, arn: &str) -> Result<Self, Error> {
        tx.get_json(Self::key(arn)?)?.ok_or_else(|| error::not_found_exception("Topic does not exist"))
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(Self::key(&self.arn)?, self)?)
    }

    pub(super) fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    pub(super) fn is_on(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|value| value == "true")
    }

    /// Sets one attribute, checked; an empty text removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if !TOPIC_ATTRIBUTES.contains(&name) {
            return Err(invalid("AttributeName"));
        }
        if value.is_empty() {
            self.attributes.remove(name);
            return Ok(());
        }
        match name {
            "KmsMasterKeyId" => return Err(Error::not_implemented("encryption of topics with KMS keys")),
            "ArchivePolicy" => return Err(Error::not_implemented("archives of topics")),
            "Policy" | "DeliveryPolicy" => {
                serde_json::from_str::<serde_json::Map<String, Value>>(value)
                    .map_err(|error| invalid(format!("{name}: {error}")))?;
            }
            "FifoTopic" | "ContentBasedDeduplication" if !matches!(value, "true" | "false") => {
                return Err(invalid(format!("{name}: must be true or false")));
            }
            _ => {}
        }
        self.attributes.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

impl Subscription {
    pub(super) fn new(cx: &Cx, topic: &str, protocol: &str, endpoint: &str) -> Self {
        Self {
            version: 1,
            arn: format!("{topic}:{}", cx.uuid()),
            topic_arn: topic.to_owned(),
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            attributes: BTreeMap::new(),
            token: None,
        }
    }

    /// Where a topic's subscriptions are.
    pub(super) fn of_topic(topic_arn: &str) -> Result<Key, Error> {
        let arn = Arn::parse(topic_arn).ok_or_else(|| invalid_arn("TopicArn", topic_arn))?;
        Ok(Self::all(&arn.account, &arn.region).push(arn.resource))
    }

    /// Where the subscriptions of an account and region are.
    pub(super) fn all(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("subscription").push(account).push(region)
    }

    pub(super) fn key(arn: &str) -> Result<Key, Error> {
        let (topic, id) = arn.rsplit_once(':').ok_or_else(|| invalid_arn("SubscriptionArn", arn))?;
        let parsed = Arn::parse(topic).filter(|arn| arn.service == "sns");
        let parsed = parsed.ok_or_else(|| invalid_arn("SubscriptionArn", arn))?;
        Ok(Self::all(&parsed.account, &parsed.region).push(parsed.resource).push(id))
    }

    pub(super) fn load(tx: &mut Tx<'_>, arn: &str) -> Result<Self, Error> {
        tx.get_json(Self::key(arn)?)?.ok_or_else(|| error::not_found_exception("Subscription does not exist"))
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(Self::key(&self.arn)?, self)?)
    }

    /// The ARN as lists show it.
    pub(super) fn shown_arn(&self) -> String {
        if self.token.is_some() { "PendingConfirmation".to_owned() } else { self.arn.clone() }
    }

    pub(super) fn shape(&self) -> api_sns::Subscription {
        api_sns::Subscription {
            subscription_arn: Some(self.shown_arn()),
            owner: Arn::parse(&self.topic_arn).map(|arn| arn.account),
            protocol: Some(self.protocol.clone()),
            endpoint: Some(self.endpoint.clone()),
            topic_arn: Some(self.topic_arn.clone()),
        }
    }

    pub(super) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|value| value == "true")
    }

    /// Sets one attribute, checked; an empty text removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "FilterPolicy" if value.is_empty() || value == "{}" => {
                self.attributes.remove(name);
                return Ok(());
            }
            "FilterPolicy" => {
                Pattern::parse(value).map_err(|error| invalid(format!("FilterPolicy: {error}")))?;
            }
            "FilterPolicyScope" if !matches!(value, "MessageAttributes" | "MessageBody") => {
                return Err(invalid(format!(
                    "FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
                )));
            }
            "RawMessageDelivery" if !matches!(value, "true" | "false") => {
                return Err(invalid(format!("RawMessageDelivery: Invalid value [{value}]. Must be true or false.")));
            }
            "RawMessageDelivery" if value == "true" && !matches!(self.protocol.as_str(), "sqs" | "http" | "https") => {
                return Err(invalid(format!(
                    "Attributes Reason: RawMessageDelivery is not supported for protocol {}",
                    self.protocol
                )));
            }
            "RedrivePolicy" if value.is_empty() => {
                self.attributes.remove(name);
                return Ok(());
            }
            "RedrivePolicy" => {
                let policy: Value =
                    serde_json::from_str(value).map_err(|_| invalid("RedrivePolicy: failed to parse JSON."))?;
                let target = policy["deadLetterTargetArn"].as_str().and_then(Arn::parse);
                target
                    .filter(|arn| arn.service == "sqs")
                    .ok_or_else(|| invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn"))?;
            }
            "DeliveryPolicy" | "FilterPolicyScope" | "RawMessageDelivery" | "SubscriptionRoleArn" => {}
            _ => return Err(invalid("AttributeName")),
        }
        self.attributes.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Whether the subscription's filter lets a message through.
    pub(super) fn wants(&self, attributes: &Value, message: &str) -> bool {
        let Some(filter) = self.attributes.get("FilterPolicy").and_then(|text| Pattern::parse(text).ok()) else {
            return true;
        };
        if self.attributes.get("FilterPolicyScope").is_some_and(|scope| scope == "MessageBody") {
            return serde_json::from_str(message).is_ok_and(|body: Value| body.is_object() && filter.matches(&body));
        }
        filter.matches(attributes)
    }
}
