//! AWS::SNS::Subscription: Ref is its ARN.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, required, text};
use crate::Result;

pub(super) struct Subscription;

const ATTRIBUTES: [&str; 6] = [
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
];

#[async_trait]
impl Kind for Subscription {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(at, properties)?;
        let mut attributes = json!({});
        for name in ATTRIBUTES {
            if let Some(value) = properties.get(name) {
                attributes[name] = document(value).into();
            }
        }
        let input = json!({
            "TopicArn": required(properties, "TopicArn")?,
            "Protocol": required(properties, "Protocol")?,
            "Endpoint": properties.get("Endpoint"),
            "Attributes": attributes,
            "ReturnSubscriptionArn": true,
        });
        let output = at.call("sns", "Subscribe", input).await?;
        let arn = text(&output["SubscriptionArn"]);
        Ok(Made::new(arn.clone(), json!({ "Arn": arn })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(at, new)?;
        if differ(old, new, &["Endpoint", "Protocol", "TopicArn"]) || region(at, old) != region(at, new) {
            return Ok(Updated::Replace);
        }
        for name in ATTRIBUTES.into_iter().filter(|name| differ(old, new, &[name])) {
            let default = match name {
                "FilterPolicyScope" => "MessageAttributes",
                "RawMessageDelivery" => "false",
                _ => "",
            };
            let value = new.get(name).map_or_else(|| default.to_owned(), document);
            let input = json!({ "SubscriptionArn": made.physical_id, "AttributeName": name, "AttributeValue": value });
            at.call("sns", "SetSubscriptionAttributes", input).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("sns", "Unsubscribe", json!({ "SubscriptionArn": made.physical_id })).await
    }
}

/// Where the topic is to be: the stack's region, where nothing is said.
fn region(at: &Context, properties: &Value) -> String {
    properties.get("Region").map_or_else(|| at.cx.region().to_owned(), text)
}

/// A topic of another region is not to be subscribed to by chance.
fn check(at: &Context, properties: &Value) -> Result<()> {
    let mut known = ATTRIBUTES.to_vec();
    known.extend(["Endpoint", "Protocol", "Region", "TopicArn"]);
    only(properties, &known)?;
    let topic = text(required(properties, "TopicArn")?);
    match topic.split(':').nth(3) {
        Some(own) if !own.is_empty() && own != region(at, properties) => {
            Err(wire::Error::new("InvalidParameter", 400, "Invalid parameter: TopicArn"))
        }
        _ => Ok(()),
    }
}
