//! AWS::SQS::Queue: Ref and QueueUrl are its URL; Arn, QueueName.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, text};
use crate::Result;

pub(super) struct Queue;

const ATTRIBUTES: [&str; 13] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

#[async_trait]
impl Kind for Queue {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let fifo = properties.get("FifoQueue").is_some_and(|f| text(f) == "true");
        let mut name = at.name(properties, "QueueName", if fifo { 75 } else { 80 });
        if fifo && !name.to_ascii_lowercase().ends_with(".fifo") {
            name.push_str(".fifo");
        }
        let mut attributes = attributes(&json!({}), properties);
        if fifo {
            attributes["FifoQueue"] = "true".into();
        }
        let input = json!({ "QueueName": name, "Attributes": attributes, "tags": at.tag_map(properties) });
        let output = at.call("sqs", "CreateQueue", input).await?;
        let url = text(&output["QueueUrl"]);
        let arn = at.arn("sqs", name.clone());
        Ok(Made::new(url.clone(), json!({ "Arn": arn, "QueueName": name, "QueueUrl": url })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(new)?;
        if differ(old, new, &["QueueName", "FifoQueue"]) {
            return Ok(Updated::Replace);
        }
        let attributes = attributes(old, new);
        if attributes.as_object().is_some_and(|a| !a.is_empty()) {
            let input = json!({ "QueueUrl": made.physical_id, "Attributes": attributes });
            at.call("sqs", "SetQueueAttributes", input).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("sqs", "DeleteQueue", json!({ "QueueUrl": made.physical_id })).await
    }
}

fn check(properties: &Value) -> Result<()> {
    let mut known = ATTRIBUTES.to_vec();
    known.extend(["FifoQueue", "QueueName", "Tags"]);
    only(properties, &known)
}

/// The attributes that differ, as text; what is gone goes back to its default.
fn attributes(old: &Value, new: &Value) -> Value {
    let mut out = json!({});
    for name in ATTRIBUTES.into_iter().filter(|name| differ(old, new, &[name])) {
        let default = match name {
            "DelaySeconds" | "ReceiveMessageWaitTimeSeconds" => "0",
            "MaximumMessageSize" => "1048576",
            "MessageRetentionPeriod" => "345600",
            "VisibilityTimeout" => "30",
            _ => "",
        };
        out[name] = new.get(name).map_or_else(|| default.to_owned(), document).into();
    }
    out
}
