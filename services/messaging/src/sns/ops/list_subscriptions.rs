//! ListSubscriptions and ListSubscriptionsByTopic.

use api_sns::{
    ListSubscriptions, ListSubscriptionsByTopic, ListSubscriptionsByTopicInput, ListSubscriptionsByTopicResponse,
    ListSubscriptionsInput, ListSubscriptionsResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Key;
use wire::Error;

use super::PAGE;
use crate::sns::Sns;
use crate::sns::topic::{Subscription, Topic, invalid};

#[async_trait]
impl Handle<ListSubscriptions> for Sns {
    async fn handle(&self, cx: &Cx, req: ListSubscriptionsInput) -> Result<ListSubscriptionsResponse, Error> {
        let prefix = Subscription::all(cx.account(), cx.region());
        let (page, next_token) = self.page(prefix, req.next_token).await?;
        let subscriptions = page.iter().map(Subscription::shape).collect();
        Ok(ListSubscriptionsResponse { subscriptions: Some(subscriptions), next_token })
    }
}

#[async_trait]
impl Handle<ListSubscriptionsByTopic> for Sns {
    async fn handle(
        &self,
        _: &Cx,
        req: ListSubscriptionsByTopicInput,
    ) -> Result<ListSubscriptionsByTopicResponse, Error> {
        self.store.read(|tx| Topic::load(tx, &req.topic_arn)).await?;
        let prefix = Subscription::of_topic(&req.topic_arn)?;
        let (page, next_token) = self.page(prefix, req.next_token).await?;
        let subscriptions = page.iter().map(Subscription::shape).collect();
        Ok(ListSubscriptionsByTopicResponse { subscriptions: Some(subscriptions), next_token })
    }
}

impl Sns {
    /// A page after the subscription that the token names.
    async fn page(&self, prefix: Key, token: Option<String>) -> Result<(Vec<Subscription>, Option<String>), Error> {
        let after = match &token {
            Some(arn) => Subscription::key(arn).map_err(|_| invalid("NextToken"))?,
            None => prefix.clone(),
        };
        let found =
            self.store.read(|tx| tx.scan_after(&prefix, after.as_bytes(), PAGE + 1)).await.map_err(Error::from)?;
        let mut page = Vec::new();
        for (key, value) in found.iter().take(PAGE) {
            page.push(store::kv::decode::<Subscription>(key, value)?);
        }
        let next = page.last().filter(|_| found.len() > PAGE).map(|last| last.arn.clone());
        Ok((page, next))
    }
}
