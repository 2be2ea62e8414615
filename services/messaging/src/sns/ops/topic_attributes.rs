//! GetTopicAttributes and SetTopicAttributes.

use api_sns::{
    GetTopicAttributes, GetTopicAttributesInput, GetTopicAttributesResponse, SetTopicAttributes,
    SetTopicAttributesInput,
};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::sns::Sns;
use crate::sns::policy::Effective;
use crate::sns::topic::{Subscription, Topic, invalid};

#[async_trait]
impl Handle<GetTopicAttributes> for Sns {
    async fn handle(&self, cx: &Cx, req: GetTopicAttributesInput) -> Result<GetTopicAttributesResponse, Error> {
        let (topic, subscriptions) = self
            .store
            .read(|tx| {
                let topic = Topic::load(tx, &req.topic_arn)?;
                let all = tx.list_json::<Subscription>(Subscription::of_topic(&req.topic_arn)?, 100_000)?;
                Ok::<_, Error>((topic, all))
            })
            .await?;
        let pending = subscriptions.iter().filter(|one| one.token.is_some()).count();
        let owner = cx.account();
        let effective = Effective::of_topic(&topic).as_topics();
        let mut attributes = topic.attributes;
        // Subscribers and publishers of the same account, as AWS has it when nothing else was set.
        attributes.entry("Policy".to_owned()).or_insert_with(|| {
            json!({
                "Version": "2008-10-17",
                "Id": "__default_policy_ID",
                "Statement": [{
                    "Sid": "__default_statement_ID",
                    "Effect": "Allow",
                    "Principal": { "AWS": "*" },
                    "Action": [
                        "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                        "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"
                    ],
                    "Resource": topic.arn,
                    "Condition": { "StringEquals": { "AWS:SourceOwner": owner } }
                }]
            })
            .to_string()
        });
        attributes.entry("DisplayName".to_owned()).or_default();
        for (name, value) in [
            ("TopicArn", topic.arn),
            ("EffectiveDeliveryPolicy", effective),
            ("Owner", owner.to_owned()),
            ("SubscriptionsConfirmed", (subscriptions.len() - pending).to_string()),
            ("SubscriptionsPending", pending.to_string()),
            ("SubscriptionsDeleted", "0".to_owned()),
        ] {
            attributes.insert(name.to_owned(), value);
        }
        Ok(GetTopicAttributesResponse { attributes: Some(attributes) })
    }
}

#[async_trait]
impl Handle<SetTopicAttributes> for Sns {
    async fn handle(&self, cx: &Cx, req: SetTopicAttributesInput) -> Result<Empty, Error> {
        cx.write(&self.store, move |tx| {
            let mut topic = Topic::load(tx, &req.topic_arn)?;
            // What a topic is, its name says. Source: API Reference, SetTopicAttributes, which does not know this attribute.
            if req.attribute_name == "FifoTopic" && req.attribute_value.as_ref() != topic.attributes.get("FifoTopic") {
                return Err(invalid("AttributeName"));
            }
            topic.set(&req.attribute_name, req.attribute_value.as_deref().unwrap_or_default())?;
            topic.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}
