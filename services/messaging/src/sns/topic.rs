//! Topics and subscriptions as records.

use std::collections::BTreeMap;

use api_sns::error;
use pattern::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Cx, Principal};
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

use super::policy;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Topic {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) arn: String,
    /// Names what it knows of its messages: a topic made again under the same name knows nothing. Empty in what was made before that.
    #[serde(default)]
    pub(super) id: String,
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
    /// What confirmed it.
    #[serde(default)]
    pub(super) confirmed_by: Option<String>,
    /// It was confirmed without a signature, by a link.
    #[serde(default)]
    pub(super) unsigned: bool,
    /// `AuthenticateOnUnsubscribe`: a link alone does not end it.
    #[serde(default)]
    pub(super) authenticate: bool,
    /// The account that subscribed, where it is known and is not the topic's.
    #[serde(default)]
    pub(super) owner: Option<String>,
}

/// A subscription that was ended, and can be brought back by its endpoint for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Removed {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) token: String,
    pub(super) subscription: Subscription,
}

impl Removed {
    pub(super) fn key(topic_arn: &str, token: &str) -> Result<Key, Error> {
        Ok(Self::of_topic(topic_arn)?.push(token))
    }

    pub(super) fn of_topic(topic_arn: &str) -> Result<Key, Error> {
        let arn = Arn::parse(topic_arn).ok_or_else(|| invalid_arn("TopicArn", topic_arn))?;
        Ok(Key::new(OWNER).push("removed").push(arn.account).push(arn.region).push(arn.resource))
    }
}

const OWNER: &str = "sns";
/// What becomes of a topic's attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Obeyed,
    /// Kept and told: no log of deliveries is written, no trace is made.
    Kept,
    Refused,
}

/// Every attribute that can be set, but for those of delivery logs. Source: SNS API Reference, SetTopicAttributes.
const TOPIC_ATTRIBUTES: [(&str, Effect); 10] = [
    ("ArchivePolicy", Effect::Refused),
    ("ContentBasedDeduplication", Effect::Obeyed),
    ("DeliveryPolicy", Effect::Obeyed),
    ("DisplayName", Effect::Obeyed),
    ("FifoThroughputScope", Effect::Obeyed),
    ("FifoTopic", Effect::Obeyed),
    ("KmsMasterKeyId", Effect::Obeyed),
    ("Policy", Effect::Kept),
    ("SignatureVersion", Effect::Obeyed),
    ("TracingConfig", Effect::Kept),
];

/// Protocols whose deliveries AWS can log, and what can be set for each.
const LOGGED: [&str; 5] = ["Application", "Firehose", "HTTP", "Lambda", "SQS"];
const FEEDBACK: [&str; 3] = ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];

fn effect(attribute: &str) -> Option<Effect> {
    let feedback = || LOGGED.iter().any(|of| attribute.strip_prefix(of).is_some_and(|what| FEEDBACK.contains(&what)));
    let known = TOPIC_ATTRIBUTES.iter().find(|(name, _)| *name == attribute).map(|(_, effect)| *effect);
    known.or_else(|| feedback().then_some(Effect::Kept))
}

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

    /// What names the ids that it knows, and its counter.
    pub(super) fn known_by(&self) -> &str {
        if self.id.is_empty() { &self.arn } else { &self.id }
    }

    /// Deduplication ids, by name and by time.
    pub(super) fn duplicates(&self) -> (Key, Key) {
        let all = Key::new(OWNER).push("dedup").push(self.known_by());
        // The ids of topics that have no id of their own lie there directly.
        if self.id.is_empty() {
            return (all, Key::new(OWNER).push("dedup-times").push(&self.arn).push("time"));
        }
        (all.clone().push("id"), all.push("time"))
    }

    pub(super) fn counter(&self) -> Key {
        Key::new(OWNER).push("counter").push(self.known_by())
    }

    /// Where all of that is, for clearing.
    pub(super) fn contents(known_by: &str) -> [Key; 3] {
        ["dedup", "dedup-times", "counter"].map(|what| Key::new(OWNER).push(what).push(known_by))
    }

    pub(super) fn is_on(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|value| value == "true")
    }

    /// Which hash its messages are signed with: 1, where nothing is said, is SHA-1.
    pub(super) fn signature_version(&self) -> &str {
        self.attributes.get("SignatureVersion").map_or("1", String::as_str)
    }

    /// Sets one attribute, checked; an empty text removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let effect = effect(name).ok_or_else(|| invalid("AttributeName"))?;
        if value.is_empty() {
            self.attributes.remove(name);
            return Ok(());
        }
        if effect == Effect::Refused {
            return Err(Error::not_implemented(format!("the attribute {name} of topics")));
        }
        let one_of = |values: &[&str]| {
            if values.contains(&value) {
                Ok(())
            } else {
                Err(invalid(format!("{name}: must be one of {}", values.join(", "))))
            }
        };
        match name {
            "Policy" => {
                service::policy::parse_resource_policy(value)
                    .map_err(|reason| invalid(format!("Policy Error: {reason}")))?;
            }
            "DeliveryPolicy" => policy::check_of_topic(value)?,
            "FifoTopic" | "ContentBasedDeduplication" => one_of(&["true", "false"])?,
            "FifoThroughputScope" => one_of(&["Topic", "MessageGroup"])?,
            "SignatureVersion" => one_of(&["1", "2"])?,
            "TracingConfig" => one_of(&["PassThrough", "Active"])?,
            _ if name.ends_with("SampleRate") && !value.parse().is_ok_and(|rate: u8| rate <= 100) => {
                return Err(invalid(format!("{name}: must be a number from 0 to 100")));
            }
            _ if name.ends_with("RoleArn") && Arn::parse(value).is_none_or(|arn| arn.service != "iam") => {
                return Err(invalid(format!("{name}: must be the ARN of a role")));
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
            confirmed_by: None,
            unsigned: false,
            authenticate: false,
            owner: cx.principal().account().filter(|own| *own != cx.account()).map(str::to_owned),
        }
    }

    /// The account whose it is.
    pub(super) fn owner(&self) -> Option<String> {
        self.owner.clone().or_else(|| Arn::parse(&self.topic_arn).map(|arn| arn.account))
    }

    /// Fails where the caller is another account's: neither the topic's, the subscriber's nor the endpoint's. Who follows a link has no
    /// account; the link is what lets it in.
    pub(super) fn check_owner(&self, cx: &Cx, action: &str) -> Result<(), Error> {
        if matches!(cx.principal(), Principal::Anonymous) {
            return Ok(());
        }
        let own = |arn: &str| Arn::parse(arn).is_some_and(|arn| arn.account == cx.account());
        if own(&self.topic_arn) || own(&self.endpoint) || self.owner.as_deref() == Some(cx.account()) {
            return Ok(());
        }
        Err(error::authorization_error_exception(format!(
            "User: {} is not authorized to perform: SNS:{action} on resource: {}",
            cx.principal().arn(cx.account()),
            self.topic_arn
        )))
    }

    pub(super) fn is_mail(&self) -> bool {
        matches!(self.protocol.as_str(), "email" | "email-json")
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.protocol.as_str(), "http" | "https")
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
            owner: self.owner(),
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
            "DeliveryPolicy" | "FilterPolicy" | "RedrivePolicy"
                if value.is_empty() || value == "{}" && name != "RedrivePolicy" =>
            {
                self.attributes.remove(name);
                return Ok(());
            }
            "FilterPolicy" => {
                Pattern::parse(value).map_err(|error| invalid(format!("FilterPolicy: {error}")))?;
                Self::check_filter(value, self.attributes.get("FilterPolicyScope").map(String::as_str))?;
            }
            "FilterPolicyScope" if value == "MessageAttributes" => {
                let filter = self.attributes.get("FilterPolicy").cloned().unwrap_or_default();
                Self::check_filter(&filter, Some(value))?;
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
            "RedrivePolicy" => {
                let policy: Value =
                    serde_json::from_str(value).map_err(|_| invalid("RedrivePolicy: failed to parse JSON."))?;
                let target = policy["deadLetterTargetArn"].as_str().and_then(Arn::parse);
                target
                    .filter(|arn| arn.service == "sqs")
                    .ok_or_else(|| invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn"))?;
            }
            "DeliveryPolicy" if !self.is_http() => {
                return Err(invalid(format!("DeliveryPolicy: not supported for protocol {}", self.protocol)));
            }
            "DeliveryPolicy" => policy::check_of_subscription(value)?,
            "FilterPolicyScope" | "RawMessageDelivery" | "SubscriptionRoleArn" => {}
            _ => return Err(invalid("AttributeName")),
        }
        self.attributes.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Attributes of a message are not nested. Source: SNS Developer Guide, "Amazon SNS subscription filter policy scope".
    fn check_filter(filter: &str, scope: Option<&str>) -> Result<(), Error> {
        let filter: serde_json::Map<String, Value> = serde_json::from_str(filter).unwrap_or_default();
        if scope != Some("MessageBody") && filter.values().any(Value::is_object) {
            return Err(invalid(
                "FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy",
            ));
        }
        if filter.keys().filter(|name| *name != "$or").count() > MOST_KEYS {
            return Err(invalid(format!("FilterPolicy: Filter policy can not have more than {MOST_KEYS} keys")));
        }
        if combinations(&filter, 1) > MOST_COMBINATIONS {
            return Err(invalid("FilterPolicy: Filter policy is too complex"));
        }
        Ok(())
    }

    /// Whether the subscription's filter lets a message through.
    pub(super) fn wants(&self, attributes: &Value, message: &str) -> bool {
        let Some(filter) = self.attributes.get("FilterPolicy").and_then(|text| Pattern::parse(text).ok()) else {
            return true;
        };
        if self.attributes.get("FilterPolicyScope").is_some_and(|scope| scope == "MessageBody") {
            return jsontext::read(message).is_ok_and(|body: Value| body.is_object() && filter.matches(&body));
        }
        filter.matches(attributes)
    }
}

/// Source: SNS Developer Guide, "Filter policy constraints": of nested keys the outermost are counted.
const MOST_KEYS: usize = 5;
const MOST_COMBINATIONS: usize = 150;

/// The combinations of a filter's values: the product of how many each key has, times how deep it lies.
fn combinations(filter: &serde_json::Map<String, Value>, depth: usize) -> usize {
    filter.iter().fold(1, |product: usize, (name, value)| {
        let own = match value {
            // One of these is enough: they add up.
            Value::Array(list) if name == "$or" && list.iter().all(Value::is_object) => {
                let each = list.iter().filter_map(Value::as_object).map(|one| combinations(one, depth));
                each.fold(0, usize::saturating_add)
            }
            Value::Array(list) => list.len().saturating_mul(depth),
            Value::Object(inner) => combinations(inner, depth + 1),
            _ => 1,
        };
        product.saturating_mul(own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: SNS Developer Guide, "Filter policy constraints", its two examples.
    #[test]
    fn how_complex_a_filter_is() {
        let of = |filter: Value| combinations(filter.as_object().unwrap(), 1);
        let values = |n: usize| (0..n).map(|n| n.to_string()).collect::<Value>();
        assert_eq!(of(serde_json::json!({"a": values(3), "b": values(1), "c": values(2)})), 6);
        let nested = serde_json::json!({
            "a": {"b": {"c": values(4)}}, "d": {"e": values(3)}, "f": values(3),
        });
        assert_eq!(of(nested), (4 * 3) * (3 * 2) * 3);
        let keys = |n: usize| (0..n).map(|n| (n.to_string(), values(1))).collect::<serde_json::Map<_, _>>();
        let check =
            |filter: Value| Subscription::check_filter(&filter.to_string(), None).map_err(|e| e.message().to_owned());
        assert_eq!(check(keys(5).into()), Ok(()));
        assert!(check(keys(6).into()).unwrap_err().contains("can not have more than 5 keys"));
        assert_eq!(check(serde_json::json!({"a": values(150)})), Ok(()));
        assert!(check(serde_json::json!({"a": values(151)})).unwrap_err().contains("too complex"));
    }

    fn topic() -> Topic {
        let arn = "arn:aws:sns:eu-west-1:000000000000:t".to_owned();
        Topic { version: 1, arn, id: String::new(), attributes: BTreeMap::new(), tags: BTreeMap::new() }
    }

    /// Every attribute of the API Reference's list, with a value that AWS takes and one that it does not.
    #[test]
    fn every_attribute_of_a_topic_is_obeyed_kept_or_refused() {
        let role = "arn:aws:iam::000000000000:role/r";
        let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":"*"}}"#;
        let mut cases = vec![
            ("ContentBasedDeduplication".to_owned(), "true", "yes"),
            ("DeliveryPolicy".to_owned(), "{}", "["),
            ("DisplayName".to_owned(), "n", ""),
            ("FifoThroughputScope".to_owned(), "MessageGroup", "messageGroup"),
            ("FifoTopic".to_owned(), "true", "1"),
            ("KmsMasterKeyId".to_owned(), "alias/aws/sns", ""),
            ("Policy".to_owned(), policy, "{}"),
            ("SignatureVersion".to_owned(), "2", "3"),
            ("TracingConfig".to_owned(), "Active", "active"),
        ];
        for of in LOGGED {
            cases.push((format!("{of}SuccessFeedbackRoleArn"), role, "r"));
            cases.push((format!("{of}SuccessFeedbackSampleRate"), "100", "101"));
            cases.push((format!("{of}FailureFeedbackRoleArn"), role, "r"));
        }
        for (name, right, wrong) in cases {
            let mut topic = topic();
            topic.set(&name, right).unwrap();
            assert_eq!(topic.attributes.get(&name).map(String::as_str), Some(right));
            assert!(wrong.is_empty() || topic.set(&name, wrong).is_err(), "{name}: {wrong}");
            topic.set(&name, "").unwrap();
            assert!(topic.attributes.is_empty());
        }
        assert_eq!(topic().set("ArchivePolicy", "x").unwrap_err().code(), "NotImplemented");
        assert_eq!(topic().set("Unknown", "x").unwrap_err().message(), "Invalid parameter: AttributeName");
    }
}
