//! GetSubscriptionAttributes and SetSubscriptionAttributes.

use api_sns::{
    GetSubscriptionAttributes, GetSubscriptionAttributesInput, GetSubscriptionAttributesResponse,
    SetSubscriptionAttributes, SetSubscriptionAttributesInput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::sns::Sns;
use crate::sns::policy::Effective;
use crate::sns::topic::{Subscription, Topic};

#[async_trait]
impl Handle<GetSubscriptionAttributes> for Sns {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetSubscriptionAttributesInput,
    ) -> Result<GetSubscriptionAttributesResponse, Error> {
        let read = self.store.read(|tx| {
            let subscription = Subscription::load(tx, &req.subscription_arn)?;
            subscription.check_owner(cx, "GetSubscriptionAttributes")?;
            let topic = Topic::load(tx, &subscription.topic_arn)?;
            Ok::<_, Error>((topic, subscription))
        });
        let (topic, subscription) = read.await?;
        let effective = subscription.is_http().then(|| Effective::of(&topic, &subscription).as_subscriptions());
        let pending = subscription.token.is_some();
        let owner = subscription.owner().unwrap_or_default();
        let mut attributes = subscription.attributes;
        attributes.entry("RawMessageDelivery".to_owned()).or_insert_with(|| "false".to_owned());
        if attributes.contains_key("FilterPolicy") {
            let scope = || "MessageAttributes".to_owned();
            attributes.entry("FilterPolicyScope".to_owned()).or_insert_with(scope);
        }
        attributes.extend(effective.map(|policy| ("EffectiveDeliveryPolicy".to_owned(), policy)));
        let authenticated = !pending && !subscription.unsigned;
        for (name, value) in [
            ("SubscriptionArn", subscription.arn),
            ("TopicArn", subscription.topic_arn),
            ("Owner", owner.clone()),
            ("Protocol", subscription.protocol),
            ("Endpoint", subscription.endpoint),
            ("PendingConfirmation", pending.to_string()),
            ("ConfirmationWasAuthenticated", authenticated.to_string()),
            ("SubscriptionPrincipal", format!("arn:aws:iam::{owner}:root")),
        ] {
            attributes.insert(name.to_owned(), value);
        }
        Ok(GetSubscriptionAttributesResponse { attributes: Some(attributes) })
    }
}

#[async_trait]
impl Handle<SetSubscriptionAttributes> for Sns {
    async fn handle(&self, cx: &Cx, req: SetSubscriptionAttributesInput) -> Result<Empty, Error> {
        let caller = cx.clone();
        cx.write(&self.store, move |tx| {
            let mut subscription = Subscription::load(tx, &req.subscription_arn)?;
            subscription.check_owner(&caller, "SetSubscriptionAttributes")?;
            subscription.set(&req.attribute_name, req.attribute_value.as_deref().unwrap_or_default())?;
            subscription.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}
