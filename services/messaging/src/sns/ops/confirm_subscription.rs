//! ConfirmSubscription: by the token out of the mail.

use api_sns::{ConfirmSubscription, ConfirmSubscriptionInput, ConfirmSubscriptionResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::sns::Sns;
use crate::sns::topic::{Subscription, Topic, invalid};

#[async_trait]
impl Handle<ConfirmSubscription> for Sns {
    async fn handle(&self, cx: &Cx, req: ConfirmSubscriptionInput) -> Result<ConfirmSubscriptionResponse, Error> {
        let arn = cx
            .write(&self.store, move |tx| {
                Topic::load(tx, &req.topic_arn)?;
                let all = tx.list_json::<Subscription>(Subscription::of_topic(&req.topic_arn)?, 100_000)?;
                let found = all.into_iter().find(|one| one.token.as_ref() == Some(&req.token));
                let mut found = found.ok_or_else(|| invalid("Token"))?;
                found.token = None;
                found.save(tx)?;
                Ok::<_, Error>(found.arn)
            })
            .await?;
        Ok(ConfirmSubscriptionResponse { subscription_arn: Some(arn) })
    }
}
