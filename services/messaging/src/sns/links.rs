//! The links in messages: a certificate, a confirmation, an unsubscription. Whoever has one may follow it, without a signature; the
//! token or the subscription's ARN in it is the secret, unless the subscription was confirmed with `AuthenticateOnUnsubscribe`.

use std::sync::Arc;

use api_sns::{ConfirmSubscription, ConfirmSubscriptionInput, Unsubscribe, UnsubscribeInput};
use serde_json::Value;
use service::{Cx, Handle};
use wire::Error;

use super::Sns;

/// What answers links.
#[derive(Clone, Debug)]
pub struct Links(pub(super) Arc<Sns>);

impl Links {
    /// Whether a request without a signature is one of these operations, as a link asks for them.
    pub fn is_meant(method: &str, path: &str, query: &str) -> bool {
        let asks = |action: &str| query.split('&').any(|pair| pair.strip_prefix("Action=") == Some(action));
        method == "GET" && path == "/" && (asks("ConfirmSubscription") || asks("Unsubscribe"))
    }

    /// Does what a link asks for.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn follow(&self, cx: &Cx, operation: &str, input: Value) -> Result<Value, Error> {
        if operation == "Unsubscribe" {
            let input: UnsubscribeInput = serde_json::from_value(input).map_err(Error::internal)?;
            let done = Handle::<Unsubscribe>::handle(&*self.0, cx, input).await?;
            return serde_json::to_value(done).map_err(Error::internal);
        }
        let input: ConfirmSubscriptionInput = serde_json::from_value(input).map_err(Error::internal)?;
        let done = Handle::<ConfirmSubscription>::handle(&*self.0, cx, input).await?;
        serde_json::to_value(done).map_err(Error::internal)
    }

    /// The certificate that signatures are checked with, if that is its name.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn certificate(&self, path: &str) -> Result<Option<String>, Error> {
        if !path.starts_with("/SimpleNotificationService-") {
            return Ok(None);
        }
        let own = self.0.signer.certificate().await?;
        Ok((path.strip_prefix('/') == Some(own.file.as_str())).then_some(own.pem))
    }
}
