//! AWS::SQS::QueueInlinePolicy and AWS::SNS::TopicInlinePolicy: the policy of one queue, and of one topic. Ref is the queue's link, the topic's
//! ARN.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, required, required_text, sns_topic_policy};
use crate::Result;

pub(super) struct QueueInlinePolicy;
pub(super) struct TopicInlinePolicy;

#[async_trait]
impl Kind for QueueInlinePolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["PolicyDocument", "Queue"])?;
        let queue = required_text(properties, "Queue")?;
        let policy = document(required(properties, "PolicyDocument")?);
        let input = json!({ "QueueUrl": queue, "Attributes": { "Policy": policy } });
        at.call("sqs", "SetQueueAttributes", input).await?;
        Ok(Made::new(queue, json!({})))
    }

    async fn update(&self, at: &Context, _: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["Queue"]) {
            return Ok(Updated::Replace);
        }
        self.create(at, new).await.map(Updated::InPlace)
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let input = json!({ "QueueUrl": made.physical_id, "Attributes": { "Policy": "" } });
        at.call_if_there("sqs", "SetQueueAttributes", input).await
    }
}

#[async_trait]
impl Kind for TopicInlinePolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &["PolicyDocument", "TopicArn"])?;
        let topic = required_text(properties, "TopicArn")?;
        let policy = document(required(properties, "PolicyDocument")?);
        let input = json!({ "TopicArn": topic, "AttributeName": "Policy", "AttributeValue": policy });
        at.call("sns", "SetTopicAttributes", input).await?;
        Ok(Made::new(topic, json!({})))
    }

    async fn update(&self, at: &Context, _: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["TopicArn"]) {
            return Ok(Updated::Replace);
        }
        self.create(at, new).await.map(Updated::InPlace)
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        sns_topic_policy::clear(at, &made.physical_id).await
    }
}
