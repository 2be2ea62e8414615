//! Unsubscribe: one that is not there is no error. An HTTP endpoint is told, and may bring its subscription back,
//! where nobody has signed: what its owner ends stays ended.

use api_sns::{Unsubscribe, UnsubscribeInput, error};
use async_trait::async_trait;
use service::{Cx, Handle, Principal};
use store::NewTask;
use wire::Error;
use wire::types::Empty;

use crate::sns::Sns;
use crate::sns::http::{POST, Post, What};
use crate::sns::lapse::Lapse;
use crate::sns::topic::{Removed, Subscription};

#[async_trait]
impl Handle<Unsubscribe> for Sns {
    async fn handle(&self, cx: &Cx, req: UnsubscribeInput) -> Result<Empty, Error> {
        let key = Subscription::key(&req.subscription_arn)?;
        let signed = !matches!(cx.principal(), Principal::Anonymous);
        let (now, token) = (cx.now(), cx.uuid().replace('-', ""));
        let caller = cx.clone();
        cx.write(&self.store, move |tx| {
            let Some(subscription) = tx.get_json::<Subscription>(&key)? else { return Ok(()) };
            subscription.check_owner(&caller, "Unsubscribe")?;
            if subscription.authenticate && !signed {
                return Err(error::authorization_error_exception("The subscription is ended by a signed request only"));
            }
            tx.delete(&key)?;
            if !signed && subscription.is_http() && subscription.token.is_none() {
                let topic = subscription.topic_arn.clone();
                let removed = Removed { version: 1, token: token.clone(), subscription };
                tx.put_json(Removed::key(&topic, &token)?, &removed)?;
                let post = Post::new(What::Farewell(Box::new(removed)));
                tx.enqueue(NewTask::new(POST, format!("{POST}/{token}")).payload(&post)?)?;
                Lapse::Removed(topic).plan(tx, &token, now)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}
