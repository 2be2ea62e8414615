//! AWS::SNS::TopicPolicy: the policy of topics.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, document, only, required, text};
use crate::Result;

pub(super) struct TopicPolicy;

#[async_trait]
impl Kind for TopicPolicy {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let id = at.name(&Value::Null, "", 128);
        put(at, properties, Some(&id)).await?;
        Ok(Made::new(id.clone(), json!({ "Id": id })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        put(at, new, None).await?;
        for topic in topics(old).into_iter().filter(|t| !topics(new).contains(t)) {
            clear(at, &topic).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let has_it = if made.attributes.get("Topics").is_some() { &made.attributes } else { properties };
        for topic in topics(has_it) {
            clear(at, &topic).await?;
        }
        Ok(())
    }
}

/// With an id, of one that is being made: where a later topic fails, those before have it.
async fn put(at: &Context, properties: &Value, id: Option<&str>) -> Result<()> {
    only(properties, &["PolicyDocument", "Topics"])?;
    let policy = document(required(properties, "PolicyDocument")?);
    let mut done = Vec::new();
    for topic in topics(properties) {
        let input = json!({ "TopicArn": topic, "AttributeName": "Policy", "AttributeValue": policy });
        at.call("sns", "SetTopicAttributes", input).await?;
        done.push(topic);
        if let Some(id) = id {
            at.begun(&Made::new(id, json!({ "Id": id, "Topics": done })));
        }
    }
    Ok(())
}

/// Back to what a topic has by itself: its owner may do everything.
pub(super) async fn clear(at: &Context, topic: &str) -> Result<()> {
    let policy = json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"],
            "Resource": topic,
            "Condition": { "StringEquals": { "AWS:SourceOwner": at.cx.account() } },
        }],
    });
    let input = json!({ "TopicArn": topic, "AttributeName": "Policy", "AttributeValue": policy.to_string() });
    at.call_if_there("sns", "SetTopicAttributes", input).await
}

fn topics(properties: &Value) -> Vec<String> {
    properties["Topics"].as_array().into_iter().flatten().map(text).collect()
}
