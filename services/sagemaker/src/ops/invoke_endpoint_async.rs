//! InvokeEndpointAsync: puts a call on the queue; its input lies in S3, and so will its answer.

use api_sagemakerruntime::{InvokeEndpointAsync, InvokeEndpointAsyncInput, InvokeEndpointAsyncOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::endpoint::asynchronous::{Call, Calls, place};
use crate::endpoint::invalid;

#[async_trait]
impl Handle<InvokeEndpointAsync> for SageMaker {
    async fn handle(&self, cx: &Cx, req: InvokeEndpointAsyncInput) -> Result<InvokeEndpointAsyncOutput, Error> {
        let way = self.way(cx, &req.endpoint_name).await?;
        let Some(config) = &way.deployment.asynchronous else {
            return Err(invalid(format!(
                "Endpoint {} is not an asynchronous endpoint: call it with InvokeEndpoint.",
                way.endpoint
            )));
        };
        let input = req.input_location.unwrap_or_default();
        if place(&input).is_none() {
            return Err(invalid(format!("InputLocation {input:?} is no S3 object.")));
        }
        // One for all of it: another one may have another role.
        let variant = way.variant(None)?;
        let outputs = &config.output_config;
        let under = |folder: &str, name: String| format!("{}/{name}", folder.trim_end_matches('/'));
        let id = cx.uuid();
        let call = Call {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            endpoint: way.endpoint.clone(),
            inference_id: req.inference_id.unwrap_or_else(|| id.clone()),
            input,
            output: under(outputs.s3_output_path.as_deref().unwrap_or_default(), format!("{id}.out")),
            failure: outputs.s3_failure_path.as_deref().map(|folder| under(folder, format!("{id}-error.out"))),
            content_type: req.content_type,
            accept: req.accept,
            accepted_ms: cx.now().as_millisecond(),
            ttl_seconds: req.request_ttl_seconds,
            timeout_seconds: req.invocation_timeout_seconds,
            variant: Some(variant.name().to_owned()),
            role: variant.model.execution_role_arn.clone(),
        };
        cx.write(&self.store, move |tx| {
            jobs::start::<Calls>(tx, &call.task(), &call)?;
            Ok(InvokeEndpointAsyncOutput {
                inference_id: Some(call.inference_id.clone()),
                output_location: Some(call.output.clone()),
                failure_location: call.failure.clone(),
            })
        })
        .await
    }
}
