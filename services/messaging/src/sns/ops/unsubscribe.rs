//! Unsubscribe: one that is not there is no error.

use api_sns::{Unsubscribe, UnsubscribeInput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::sns::Sns;
use crate::sns::topic::Subscription;

#[async_trait]
impl Handle<Unsubscribe> for Sns {
    async fn handle(&self, cx: &Cx, req: UnsubscribeInput) -> Result<Empty, Error> {
        let key = Subscription::key(&req.subscription_arn)?;
        cx.write(&self.store, move |tx| Ok::<_, Error>(tx.delete(&key)?)).await?;
        Ok(Empty {})
    }
}
