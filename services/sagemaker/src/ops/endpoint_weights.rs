//! UpdateEndpointWeightsAndCapacities: how calls are shared among variants. It holds at once; instances are this machine.

use api_sagemaker::{
    UpdateEndpointWeightsAndCapacities, UpdateEndpointWeightsAndCapacitiesInput,
    UpdateEndpointWeightsAndCapacitiesOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::records::{EndpointRecord, endpoint_key, no_endpoint};

#[async_trait]
impl Handle<UpdateEndpointWeightsAndCapacities> for SageMaker {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateEndpointWeightsAndCapacitiesInput,
    ) -> Result<UpdateEndpointWeightsAndCapacitiesOutput, Error> {
        let (key, now) = (endpoint_key(cx, &req.endpoint_name), Timestamp(cx.now()));
        let missing = no_endpoint(cx, &req.endpoint_name);
        cx.write(&self.store, move |tx| {
            let mut record: EndpointRecord = tx.get_json(&key)?.ok_or_else(|| missing.clone())?;
            let arn = record.endpoint.endpoint_arn.clone();
            if record.endpoint.endpoint_status != "InService" {
                return Err(Error::validation(format!("Cannot update in-progress endpoint \"{arn}\".")));
            }
            for wanted in &req.desired_weights_and_capacities {
                let mut variants = record.endpoint.production_variants.iter_mut().flatten();
                let variant = variants.find(|variant| variant.variant_name == wanted.variant_name);
                let variant = variant.ok_or_else(|| {
                    Error::validation(format!("The variant {} is not of endpoint \"{arn}\".", wanted.variant_name))
                })?;
                if let Some(weight) = wanted.desired_weight {
                    (variant.current_weight, variant.desired_weight) = (Some(weight), Some(weight));
                }
                if let Some(count) = wanted.desired_instance_count {
                    (variant.current_instance_count, variant.desired_instance_count) = (Some(count), Some(count));
                }
                if wanted.serverless_update_config.is_some() {
                    return Err(Error::validation(
                        "ServerlessUpdateConfig is not supported: give the endpoint another configuration.",
                    ));
                }
            }
            record.endpoint.last_modified_time = now;
            tx.put_json(&key, &record)?;
            Ok(UpdateEndpointWeightsAndCapacitiesOutput { endpoint_arn: arn })
        })
        .await
    }
}
