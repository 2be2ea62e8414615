//! InvokeEndpoint: one call of a model, which waits for its answer.

use api_sagemakerruntime::{InvokeEndpoint, InvokeEndpointInput, InvokeEndpointOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::endpoint::call::{LIMIT, model_error};
use crate::endpoint::invalid;
use crate::endpoint::server::Asked;

#[async_trait]
impl Handle<InvokeEndpoint> for SageMaker {
    async fn handle(&self, cx: &Cx, req: InvokeEndpointInput) -> Result<InvokeEndpointOutput, Error> {
        let way = self.way(cx, &req.endpoint_name).await?;
        if way.deployment.asynchronous.is_some() {
            let message = format!("Endpoint {} is asynchronous: call it with InvokeEndpointAsync.", way.endpoint);
            return Err(invalid(message));
        }
        let variant = way.variant(req.target_variant.as_deref())?;
        let asked = Asked { body: req.body.0, content_type: req.content_type, accept: req.accept };
        let answered = self.ask(cx, &way, variant, asked, LIMIT).await;
        let answered = answered.map_err(|failed| model_error(cx, &way.endpoint, failed))?;
        Ok(InvokeEndpointOutput {
            body: wire::Blob(answered.body),
            content_type: answered.content_type,
            invoked_production_variant: Some(variant.name().to_owned()),
            ..Default::default()
        })
    }
}
