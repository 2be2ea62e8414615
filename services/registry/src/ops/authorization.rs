//! GetAuthorizationToken: what `docker login` is told. Templates and Terraform's `aws_ecr_authorization_token` ask for it; there are no images
//! here that it could open, so that nobody ever asks whose it is. Source: ECR API reference, GetAuthorizationToken.

use api_ecr::{AuthorizationData, GetAuthorizationToken, GetAuthorizationTokenRequest, GetAuthorizationTokenResponse};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use service::{Cx, Handle};
use wire::Error;

use crate::Registry;
use crate::repository::check_registry;

/// So long a token is good.
const VALID: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);

#[async_trait]
impl Handle<GetAuthorizationToken> for Registry {
    async fn handle(&self, cx: &Cx, req: GetAuthorizationTokenRequest) -> Result<GetAuthorizationTokenResponse, Error> {
        let mut registries = req.registry_ids.unwrap_or_default();
        for id in &registries {
            check_registry(cx, Some(id))?;
        }
        if registries.is_empty() {
            registries.push(cx.account().to_owned());
        }
        let expires_at = Some((cx.now() + VALID).into());
        let data = registries.into_iter().map(|id| {
            let password = STANDARD.encode(format!("{}{}", cx.uuid(), cx.uuid()));
            AuthorizationData {
                authorization_token: Some(STANDARD.encode(format!("AWS:{password}"))),
                expires_at,
                proxy_endpoint: Some(format!("https://{id}.dkr.ecr.{}.amazonaws.com", cx.region())),
            }
        });
        Ok(GetAuthorizationTokenResponse { authorization_data: Some(data.collect()) })
    }
}
