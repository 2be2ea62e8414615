//! ConfirmSubscription: by the token out of the mail or the message. A token of a subscription that was ended brings it back.

use api_sns::{ConfirmSubscription, ConfirmSubscriptionInput, ConfirmSubscriptionResponse, error};
use async_trait::async_trait;
use service::{Cx, Handle, Principal};
use wire::Error;

use crate::sns::Sns;
use crate::sns::topic::{Removed, Subscription, Topic, invalid};

#[async_trait]
impl Handle<ConfirmSubscription> for Sns {
    async fn handle(&self, cx: &Cx, req: ConfirmSubscriptionInput) -> Result<ConfirmSubscriptionResponse, Error> {
        let signed = !matches!(cx.principal(), Principal::Anonymous);
        let authenticate = match req.authenticate_on_unsubscribe.as_deref() {
            None | Some("false") => false,
            Some("true") if signed => true,
            Some("true") => {
                return Err(error::authorization_error_exception(
                    "Only a signed request can ask for signatures when the subscription is ended",
                ));
            }
            Some(_) => return Err(invalid("AuthenticateOnUnsubscribe")),
        };
        let arn = cx
            .write(&self.store, move |tx| {
                Topic::load(tx, &req.topic_arn)?;
                let place = Removed::key(&req.topic_arn, &req.token)?;
                if let Some(removed) = tx.get_json::<Removed>(&place)? {
                    tx.delete(&place)?;
                    removed.subscription.save(tx)?;
                    return Ok(removed.subscription.arn);
                }
                let all = tx.list_json::<Subscription>(Subscription::of_topic(&req.topic_arn)?, 100_000)?;
                let mut by_token =
                    all.into_iter().filter(|one| [&one.token, &one.confirmed_by].contains(&&Some(req.token.clone())));
                let mut found = by_token.next().ok_or_else(|| invalid("Token"))?;
                // A link that is followed twice has done its work already.
                if found.token.is_some() {
                    found.confirmed_by = found.token.take();
                    found.unsigned = !signed;
                    found.authenticate = authenticate;
                    found.save(tx)?;
                }
                Ok::<_, Error>(found.arn)
            })
            .await?;
        Ok(ConfirmSubscriptionResponse { subscription_arn: Some(arn) })
    }
}
