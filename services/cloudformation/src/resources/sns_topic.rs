//! AWS::SNS::Topic: Ref and TopicArn are its ARN; TopicName.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, text};
use crate::Result;

pub(super) struct Topic;

const ATTRIBUTES: [&str; 5] =
    ["ContentBasedDeduplication", "DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig"];

#[async_trait]
impl Kind for Topic {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let fifo = properties.get("FifoTopic").is_some_and(|f| text(f) == "true");
        let mut name = at.name(properties, "TopicName", if fifo { 251 } else { 256 });
        if fifo && !name.to_ascii_lowercase().ends_with(".fifo") {
            name.push_str(".fifo");
        }
        let mut attributes = json!({});
        if fifo {
            attributes["FifoTopic"] = "true".into();
        }
        for attribute in ATTRIBUTES {
            if let Some(value) = properties.get(attribute) {
                attributes[attribute] = document(value).into();
            }
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
        for name in ATTRIBUTES.into_iter().filter(|name| differ(old, new, &[name])) {
            let value = new.get(name).map(document).unwrap_or_default();
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
    known.extend(["FifoTopic", "Subscription", "Tags", "TopicName"]);
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
