//! GetAccessKeyInfo, DecodeAuthorizationMessage.

use api_sts::error::invalid_authorization_message_exception;
use api_sts::{
    DecodeAuthorizationMessage, DecodeAuthorizationMessageRequest, DecodeAuthorizationMessageResponse,
    GetAccessKeyInfo, GetAccessKeyInfoRequest, GetAccessKeyInfoResponse,
};
use async_trait::async_trait;
use service::identity::Identity as _;
use service::{Cx, Handle};
use wire::Error;

use crate::Identity;

#[async_trait]
impl Handle<GetAccessKeyInfo> for Identity {
    /// Whose key it is, also where it is inactive.
    async fn handle(&self, _: &Cx, req: GetAccessKeyInfoRequest) -> Result<GetAccessKeyInfoResponse, Error> {
        let found = match self.credentials(&req.access_key_id).await? {
            Some(found) => Some(found.account),
            None => self.account_of_key(&req.access_key_id).await?,
        };
        match found {
            Some(account) => Ok(GetAccessKeyInfoResponse { account: Some(account) }),
            None => {
                Err(Error::new("ValidationError", 400, format!("No account here has the key {}", req.access_key_id)))
            }
        }
    }
}

#[async_trait]
impl Handle<DecodeAuthorizationMessage> for Identity {
    /// No operation of here answers with an encoded message: denials say in the clear what is wanting.
    async fn handle(
        &self,
        _: &Cx,
        _: DecodeAuthorizationMessageRequest,
    ) -> Result<DecodeAuthorizationMessageResponse, Error> {
        Err(invalid_authorization_message_exception(
            "The message that was specified is not valid: none was encoded here.",
        ))
    }
}
