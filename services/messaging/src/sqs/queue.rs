//! Queues as records; their attributes as AWS checks and shows them.

use std::collections::BTreeMap;

use api_sqs::error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use service::authorization::QueueName;
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Queue {
    /// Version of the record's form.
    pub(super) version: u32,
    /// Names the queue's messages: a queue made again under the same name is another.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
    /// As they were set, byte for byte.
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    /// When it was purged last.
    #[serde(default)]
    pub(super) purged_ms: Option<i64>,
    /// The ids that it had before it was purged, the newest last: receipt handles may still name them.
    #[serde(default)]
    pub(super) purged_ids: Vec<String>,
}

/// Where a queue is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueKey {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) name: String,
}

const OWNER: &str = "sqs";

/// Attributes that may be set: name, default, and the range of those that are numbers.
type Settable = (&'static str, Option<&'static str>, Option<(i64, i64)>);
const SETTABLE: [Settable; 15] = [
    ("VisibilityTimeout", Some("30"), Some((0, 43_200))),
    ("MaximumMessageSize", Some("1048576"), Some((1024, 1_048_576))),
    ("MessageRetentionPeriod", Some("345600"), Some((60, 1_209_600))),
    ("DelaySeconds", Some("0"), Some((0, 900))),
    ("ReceiveMessageWaitTimeSeconds", Some("0"), Some((0, 20))),
    ("SqsManagedSseEnabled", Some("true"), None),
    ("Policy", None, None),
    ("RedrivePolicy", None, None),
    ("RedriveAllowPolicy", None, None),
    ("KmsMasterKeyId", None, None),
    ("KmsDataKeyReusePeriodSeconds", Some("300"), Some((60, 86_400))),
    ("FifoQueue", None, None),
    ("ContentBasedDeduplication", None, None),
    ("DeduplicationScope", None, None),
    ("FifoThroughputLimit", None, None),
];

/// Attributes that are told and not set.
const TOLD: [&str; 6] = [
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];

/// Whether a queue may have an attribute of the name.
pub(super) fn is_attribute(name: &str) -> bool {
    TOLD.contains(&name) || SETTABLE.iter().any(|(known, ..)| *known == name)
}

/// Attributes of FIFO queues alone.
const FIFO_ONLY: [&str; 3] = ["ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];

/// Where a queue sends what was received too often.
pub(super) struct Redrive {
    pub(super) target: QueueKey,
    pub(super) most: u32,
}

impl QueueKey {
    pub(super) fn named(cx: &Cx, name: &str) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned(), name: name.to_owned() }
    }

    /// Of a queue URL (its last two parts are account and name), or a bare name.
    pub(super) fn of_url(cx: &Cx, url: &str) -> Self {
        let QueueName { account, name } = QueueName::parse(url);
        Self {
            account: account.map_or_else(|| cx.account().to_owned(), str::to_owned),
            region: cx.region().to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn of_arn(arn: &str) -> Option<Self> {
        let arn = Arn::parse(arn).filter(|arn| arn.service == "sqs")?;
        Some(Self { account: arn.account, region: arn.region, name: arn.resource })
    }

    pub(super) fn key(&self) -> Key {
        Self::queues(&self.account, &self.region).push(&self.name)
    }

    /// Where the queues of an account and region are.
    pub(super) fn queues(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("queue").push(account).push(region)
    }

    pub(super) fn find(&self, tx: &mut Tx<'_>) -> Result<Option<Queue>, Error> {
        Ok(tx.get_json(self.key())?)
    }

    pub(super) fn queue(&self, tx: &mut Tx<'_>) -> Result<Queue, Error> {
        self.find(tx)?.ok_or_else(does_not_exist)
    }
}

pub(super) fn does_not_exist() -> Error {
    error::queue_does_not_exist("The specified queue does not exist.")
        .with_query_code("AWS.SimpleQueueService.NonExistentQueue")
}

impl Queue {
    pub(super) fn new(cx: &Cx, name: &str) -> Self {
        let now = cx.now().as_millisecond();
        Self {
            version: 1,
            id: cx.uuid(),
            name: name.to_owned(),
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            created_ms: now,
            modified_ms: now,
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
            purged_ms: None,
            purged_ids: Vec::new(),
        }
    }

    pub(super) fn place(&self) -> QueueKey {
        QueueKey { account: self.account.clone(), region: self.region.clone(), name: self.name.clone() }
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(self.place().key(), self)?)
    }

    pub(super) fn arn(&self) -> String {
        Arn::new("sqs", &self.region, &self.account, &self.name).to_string()
    }

    pub(super) fn url(&self, endpoint: &str) -> String {
        format!("{}/{}/{}", endpoint.trim_end_matches('/'), self.account, self.name)
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.is_on("FifoQueue")
    }

    pub(super) fn is_on(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|value| value == "true")
    }

    /// A number among the attributes, its default where it was not set.
    pub(super) fn number(&self, attribute: &str) -> i64 {
        let default = || SETTABLE.iter().find(|(name, ..)| *name == attribute).and_then(|(_, default, _)| *default);
        let text = self.attributes.get(attribute).map(String::as_str).or_else(default);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Whether each message group knows duplicates of its own.
    pub(super) fn dedups_by_group(&self) -> bool {
        self.attributes.get("DeduplicationScope").is_some_and(|scope| scope == "messageGroup")
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        redrive_policy(self.attributes.get("RedrivePolicy")?).ok()
    }

    /// Fails where the dead-letter queue is none that the queue may have. Sources: SQS API Reference, SetQueueAttributes; SQS Developer
    /// Guide, "Using dead-letter queues".
    pub(super) fn check_redrive(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let Some((text, redrive)) = self.attributes.get("RedrivePolicy").zip(self.redrive()) else { return Ok(()) };
        let refused = |reason: &str| {
            Err(invalid_parameter(format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}")))
        };
        let target = match redrive.target.find(tx)? {
            Some(target) => target,
            None if redrive.target.key() == self.place().key() => self.clone(),
            None => return refused("Dead letter target does not exist."),
        };
        if target.is_fifo() != self.is_fifo() {
            return refused("Dead-letter queue must be same type of queue as the source.");
        }
        if target.account != self.account || target.region != self.region {
            return refused("Dead letter target owner should be same as the source.");
        }
        if !target.allows(&self.arn()) {
            return refused("Dead letter target does not allow this queue to use it.");
        }
        Ok(())
    }

    /// Whether the queue may be the dead-letter queue of another.
    fn allows(&self, source_arn: &str) -> bool {
        let policy = self.attributes.get("RedriveAllowPolicy").and_then(|text| serde_json::from_str(text).ok());
        let policy: Value = policy.unwrap_or_default();
        match policy["redrivePermission"].as_str() {
            Some("denyAll") => false,
            Some("byQueue") => policy["sourceQueueArns"].as_array().into_iter().flatten().any(|arn| arn == source_arn),
            _ => true,
        }
    }

    /// Sets attributes, checked; an empty text removes one.
    #[expect(clippy::too_many_lines, reason = "one attribute after the other")]
    pub(super) fn set(&mut self, attributes: &BTreeMap<String, String>) -> Result<(), Error> {
        let set = |name: &str| attributes.get(name).map(String::as_str).filter(|value| !value.is_empty());
        if set("KmsMasterKeyId").is_some() {
            if set("SqsManagedSseEnabled") == Some("true") {
                return Err(error::invalid_attribute_value(
                    "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
                ));
            }
            self.attributes.remove("SqsManagedSseEnabled");
        }
        if set("SqsManagedSseEnabled") == Some("true") {
            self.attributes.remove("KmsMasterKeyId");
        }
        for (name, value) in attributes {
            let Some((_, _, range)) = SETTABLE.iter().find(|(known, ..)| known == name) else {
                return Err(error::invalid_attribute_name(format!("Unknown Attribute {name}.")));
            };
            let invalid = || error::invalid_attribute_value(format!("Invalid value for the parameter {name}."));
            if value.is_empty() {
                self.attributes.remove(name);
                continue;
            }
            let fifo = self.is_fifo() || attributes.get("FifoQueue").is_some_and(|value| value == "true");
            if !fifo && FIFO_ONLY.contains(&name.as_str()) {
                return Err(error::invalid_attribute_name(format!("Unknown Attribute {name}.")));
            }
            if let Some((low, high)) = range {
                value.parse().ok().filter(|number: &i64| (*low..=*high).contains(number)).ok_or_else(invalid)?;
            }
            match name.as_str() {
                "FifoQueue" if value != "true" => return Err(invalid()),
                "ContentBasedDeduplication" | "SqsManagedSseEnabled" if !matches!(value.as_str(), "true" | "false") => {
                    return Err(invalid());
                }
                "DeduplicationScope" if !matches!(value.as_str(), "queue" | "messageGroup") => return Err(invalid()),
                "FifoThroughputLimit" if !matches!(value.as_str(), "perQueue" | "perMessageGroupId") => {
                    return Err(invalid());
                }
                "RedrivePolicy" => {
                    redrive_policy(value).map_err(|reason| {
                        invalid_parameter(format!(
                            "Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}"
                        ))
                    })?;
                }
                "RedriveAllowPolicy" => {
                    redrive_allow_policy(value).map_err(|reason| {
                        invalid_parameter(format!(
                            "Value {value} for parameter RedriveAllowPolicy is invalid. Reason: {reason}"
                        ))
                    })?;
                }
                "Policy" => {
                    service::policy::parse_resource_policy(value).map_err(|_| invalid())?;
                }
                _ => {}
            }
            self.attributes.insert(name.clone(), value.clone());
        }
        let fifo_name = self.name.strip_suffix(".fifo");
        if self.is_fifo() != fifo_name.is_some() {
            return Err(invalid_parameter(if fifo_name.is_some() {
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
                 .fifo suffix and be 1 to 80 in length."
            } else {
                "The queue name must end with the .fifo suffix"
            }));
        }
        let plain = fifo_name.unwrap_or(&self.name);
        let well_formed = plain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if plain.is_empty() || self.name.len() > 80 || !well_formed {
            return Err(invalid_parameter(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            ));
        }
        let limit = self.attributes.get("FifoThroughputLimit").is_some_and(|limit| limit == "perMessageGroupId");
        if limit && !self.dedups_by_group() {
            return Err(error::invalid_attribute_value(
                "FifoThroughputLimit can be set to perMessageGroupId only when DeduplicationScope is set to messageGroup.",
            ));
        }
        Ok(())
    }

    /// All attributes as they are answered, but for the counts of messages.
    pub(super) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> = SETTABLE
            .iter()
            .filter_map(|(name, default, _)| Some(((*name).to_owned(), (*default)?.to_owned())))
            .collect();
        if self.attributes.contains_key("KmsMasterKeyId") {
            shown.insert("SqsManagedSseEnabled".to_owned(), "false".to_owned());
        } else {
            shown.remove("KmsDataKeyReusePeriodSeconds");
        }
        shown.extend(self.attributes.clone());
        if self.is_fifo() {
            for (name, default) in [
                ("ContentBasedDeduplication", "false"),
                ("DeduplicationScope", "queue"),
                ("FifoThroughputLimit", "perQueue"),
            ] {
                shown.entry(name.to_owned()).or_insert_with(|| default.to_owned());
            }
        }
        shown.insert("QueueArn".to_owned(), self.arn());
        shown.insert("CreatedTimestamp".to_owned(), (self.created_ms / 1000).to_string());
        shown.insert("LastModifiedTimestamp".to_owned(), (self.modified_ms / 1000).to_string());
        shown
    }

    /// Messages, in the order they were sent.
    pub(super) fn messages(&self) -> Key {
        Key::new(OWNER).push("message").push(&self.id)
    }

    /// When messages become visible.
    pub(super) fn visible(&self) -> Key {
        Key::new(OWNER).push("visible").push(&self.id)
    }

    /// Messages of a FIFO queue by group.
    pub(super) fn groups(&self) -> Key {
        Key::new(OWNER).push("group").push(&self.id)
    }

    /// Deduplication ids, by name and by time.
    pub(super) fn duplicates(&self) -> (Key, Key) {
        let all = Key::new(OWNER).push("dedup").push(&self.id);
        (all.clone().push("id"), all.push("time"))
    }

    pub(super) fn counter(&self) -> Key {
        Key::new(OWNER).push("counter").push(&self.id)
    }

    /// Its tasks that move messages, the newest first.
    pub(super) fn moves(&self) -> Key {
        Key::new(OWNER).push("move").push(&self.id)
    }

    /// Where all that a queue holds is, for clearing.
    pub(super) fn contents(id: &str) -> [Key; 6] {
        ["message", "visible", "group", "dedup", "counter", "move"].map(|what| Key::new(OWNER).push(what).push(id))
    }
}

/// A redrive policy, or what is wrong with it.
fn redrive_policy(text: &str) -> Result<Redrive, String> {
    let policy: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|_| "Redrive policy is not a valid JSON map.".to_owned())?;
    if policy.keys().any(|key| !matches!(key.as_str(), "deadLetterTargetArn" | "maxReceiveCount")) {
        return Err("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].".to_owned());
    }
    let given = |name: &str| {
        policy.get(name).ok_or_else(|| format!("Redrive policy does not contain mandatory attribute: {name}."))
    };
    let (arn, most) = (given("deadLetterTargetArn")?, given("maxReceiveCount")?);
    let number = match most {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let number = number.and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=1000).contains(number));
    let most = number.ok_or_else(|| {
        let shown = most.as_str().map_or_else(|| most.to_string(), str::to_owned);
        format!("Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both inclusive.")
    })?;
    let target = arn.as_str().and_then(QueueKey::of_arn).ok_or("Invalid value for deadLetterTargetArn.")?;
    Ok(Redrive { target, most })
}

/// Which queues may use one as their dead-letter queue. Source: SQS API Reference, SetQueueAttributes.
fn redrive_allow_policy(text: &str) -> Result<(), String> {
    const MOST: usize = 10;
    let policy: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|_| "Redrive allow policy is not a valid JSON map.".to_owned())?;
    let sources = policy.get("sourceQueueArns");
    let list = sources
        .and_then(Value::as_array)
        .map(|list| list.iter().all(|arn| arn.as_str().and_then(QueueKey::of_arn).is_some()));
    let count = sources.and_then(Value::as_array).map_or(0, Vec::len);
    match policy.get("redrivePermission").and_then(Value::as_str) {
        Some("byQueue") if list == Some(true) && (1..=MOST).contains(&count) => Ok(()),
        Some("byQueue") => Err(format!("sourceQueueArns must be 1 to {MOST} ARNs of queues.")),
        Some("allowAll" | "denyAll") if sources.is_none() => Ok(()),
        Some("allowAll" | "denyAll") => Err("sourceQueueArns can only be given with byQueue.".to_owned()),
        _ => Err("redrivePermission must be allowAll, denyAll or byQueue.".to_owned()),
    }
}

pub(super) fn invalid_parameter(message: impl Into<String>) -> Error {
    Error::new("InvalidParameterValue", 400, message)
}

pub(super) fn missing_parameter(name: &str) -> Error {
    Error::new("MissingParameter", 400, format!("The request must contain the parameter {name}."))
}
