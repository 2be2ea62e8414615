//! AWS::SNS::Topic: Ref and TopicArn are its ARN; TopicName.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, text};
use crate::Result;
use crate::template::validation;

pub(super) struct Topic;

const ATTRIBUTES: [&str; 6] = [
    "ContentBasedDeduplication",
    "DisplayName",
    "FifoThroughputScope",
    "KmsMasterKeyId",
    "SignatureVersion",
    "TracingConfig",
];

/// The protocols whose deliveries are logged, and what the attributes of each begin with.
const PROTOCOLS: [(&str, &str); 5] = [
    ("application", "Application"),
    ("firehose", "Firehose"),
    ("http/s", "HTTP"),
    ("lambda", "Lambda"),
    ("sqs", "SQS"),
];
/// What is said of each.
const FEEDBACK: [&str; 3] = ["FailureFeedbackRoleArn", "SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate"];

/// The attributes that a property is: of delivery logs there are three for each protocol.
fn attributes(properties: &Value) -> Result<Map<String, Value>> {
    let own = ATTRIBUTES.into_iter().filter_map(|name| Some((name.to_owned(), document(properties.get(name)?).into())));
    let mut all: Map<String, Value> = own.collect();
    for logged in properties["DeliveryStatusLogging"].as_array().into_iter().flatten() {
        only(logged, &[&["Protocol"][..], &FEEDBACK].concat())?;
        let protocol = text(&logged["Protocol"]);
        let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
        let (_, begin) = known.ok_or_else(|| {
            validation(format!(
                "Model validation failed (#/DeliveryStatusLogging: {protocol} is not a valid enum value)"
            ))
        })?;
        let said =
            FEEDBACK.into_iter().filter_map(|what| Some((format!("{begin}{what}"), text(logged.get(what)?).into())));
        all.extend(said);
    }
    Ok(all)
}

/// The delivery logs that attributes tell.
pub(super) fn logging_told(attributes: &Value) -> Value {
    let logged = PROTOCOLS.into_iter().filter_map(|(protocol, begin)| {
        let said = FEEDBACK.into_iter().filter_map(|what| {
            let value = attributes.get(format!("{begin}{what}"))?;
            Some((what.to_owned(), value.clone()))
        });
        let mut logged: Map<String, Value> = said.collect();
        (!logged.is_empty()).then(|| {
            logged.insert("Protocol".to_owned(), protocol.into());
            Value::from(logged)
        })
    });
    logged.collect()
}

#[async_trait]
impl Kind for Topic {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let fifo = properties.get("FifoTopic").is_some_and(|f| text(f) == "true");
        let mut name = at.name(properties, "TopicName", if fifo { 251 } else { 256 });
        if fifo && !name.to_ascii_lowercase().ends_with(".fifo") {
            name.push_str(".fifo");
        }
        let mut attributes = attributes(properties)?;
        if fifo {
            attributes.insert("FifoTopic".to_owned(), "true".into());
        }
        let input = json!({ "Name": name, "Attributes": attributes, "Tags": at.tag_list(properties) });
        let output = at.call("sns", "CreateTopic", input).await?;
        let arn = text(&output["TopicArn"]);
        let made = Made::new(arn.clone(), json!({ "TopicArn": arn, "TopicName": name }));
        at.begun(&made);
        subscribe(at, &arn, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(new)?;
        if differ(old, new, &["TopicName", "FifoTopic"]) {
            return Ok(Updated::Replace);
        }
        let (was, is) = (attributes(old)?, attributes(new)?);
        let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
        for name in names.filter(|name| was.get(*name) != is.get(*name)) {
            let value = is.get(name).map(text).unwrap_or_default();
            let input = json!({ "TopicArn": made.physical_id, "AttributeName": name, "AttributeValue": value });
            at.call("sns", "SetTopicAttributes", input).await?;
        }
        subscribe(at, &made.physical_id, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("sns", "DeleteTopic", json!({ "TopicArn": made.physical_id })).await
    }
}

fn check(properties: &Value) -> Result<()> {
    let mut known = ATTRIBUTES.to_vec();
    known.extend(["DeliveryStatusLogging", "FifoTopic", "Subscription", "Tags", "TopicName"]);
    only(properties, &known)
}

/// Subscriptions that stand in the topic itself: new ones are made, missing ones ended.
async fn subscribe(at: &Context, arn: &str, old: &Value, new: &Value) -> Result<()> {
    let list = |p: &Value| p["Subscription"].as_array().cloned().unwrap_or_default();
    for subscription in list(new).into_iter().filter(|s| !list(old).contains(s)) {
        let input =
            json!({ "TopicArn": arn, "Protocol": subscription["Protocol"], "Endpoint": subscription["Endpoint"] });
        at.call("sns", "Subscribe", input).await?;
    }
    let gone: Vec<Value> = list(old).into_iter().filter(|s| !list(new).contains(s)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let output = at.call("sns", "ListSubscriptionsByTopic", json!({ "TopicArn": arn })).await?;
    for subscription in output["Subscriptions"].as_array().into_iter().flatten() {
        if gone.iter().any(|g| g["Protocol"] == subscription["Protocol"] && g["Endpoint"] == subscription["Endpoint"]) {
            let input = json!({ "SubscriptionArn": subscription["SubscriptionArn"] });
            at.call_if_there("sns", "Unsubscribe", input).await?;
        }
    }
    Ok(())
}
