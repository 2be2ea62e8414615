//! Endpoints that answer: which model a call is for, and the servers that answer it.
//!
//! | module | what it holds |
//! |---|---|
//! | this file | what an endpoint is made of; which variant a call goes to |
//! | [`deploy`] | from `Creating` to `InService` |
//! | [`server`] | a model's process, and one call of it |
//! | [`call`] | one invocation: variant, server, errors |
//! | [`metrics`] | what CloudWatch is told of calls |
//! | [`asynchronous`] | `InvokeEndpointAsync`: calls off the durable queue, from S3 to S3; [`notice`] tells their topics |

pub(crate) mod asynchronous;
pub(crate) mod call;
pub(crate) mod deploy;
mod metrics;
pub(crate) mod notice;
pub(crate) mod server;

use api_sagemaker::{
    AsyncInferenceConfig, DeployedImage, DescribeModelOutput, ProductionVariant, ProductionVariantSummary,
};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::Tx;
use wire::{Error, Timestamp};

use crate::records::{
    EndpointConfigRecord, EndpointRecord, ModelRecord, container, endpoint_config_key, model_key, no_endpoint_config,
    no_model,
};

/// What an endpoint is made of, as configuration and models were when it was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// Another one with each change: servers of an earlier one are not used again.
    pub(crate) generation: String,
    pub(crate) config: String,
    pub(crate) variants: Vec<Variant>,
    pub(crate) asynchronous: Option<AsyncInferenceConfig>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Variant {
    pub(crate) variant: ProductionVariant,
    pub(crate) model: DescribeModelOutput,
}

impl Deployment {
    pub(crate) fn of(tx: &mut Tx<'_>, cx: &Cx, config: &str, generation: &str) -> Result<Self, Error> {
        let record: Option<EndpointConfigRecord> = tx.get_json(endpoint_config_key(cx, config))?;
        let found = record.ok_or_else(|| no_endpoint_config(cx, config))?.config;
        let mut variants = Vec::new();
        for variant in found.production_variants {
            let name = variant.model_name.clone().unwrap_or_default();
            let model: Option<ModelRecord> = tx.get_json(model_key(cx, &name))?;
            variants.push(Variant { variant, model: model.ok_or_else(|| no_model(cx, &name))?.model });
        }
        Ok(Self {
            generation: generation.to_owned(),
            config: config.to_owned(),
            variants,
            asynchronous: found.async_inference_config,
        })
    }

    /// As `DescribeEndpoint` tells them.
    pub(crate) fn summaries(&self, now: Timestamp) -> Vec<ProductionVariantSummary> {
        self.variants.iter().map(|variant| variant.summary(now)).collect()
    }
}

impl Variant {
    pub(crate) fn name(&self) -> &str {
        &self.variant.variant_name
    }

    fn summary(&self, now: Timestamp) -> ProductionVariantSummary {
        let variant = &self.variant;
        let image = container(&self.model).and_then(|container| container.image.clone()).map(|image| DeployedImage {
            specified_image: Some(image.clone()),
            resolved_image: Some(image),
            resolution_time: Some(now),
        });
        let weight = Some(variant.initial_variant_weight.unwrap_or(1.0));
        ProductionVariantSummary {
            variant_name: variant.variant_name.clone(),
            deployed_images: image.map(|image| vec![image]),
            current_weight: weight,
            desired_weight: weight,
            current_instance_count: variant.initial_instance_count,
            desired_instance_count: variant.initial_instance_count,
            current_serverless_config: variant.serverless_config.clone(),
            desired_serverless_config: variant.serverless_config.clone(),
            ..Default::default()
        }
    }
}

/// The variant of a call: the one that it names, else one by weight. `chance` is from 0 to 1.
pub(crate) fn choose<'a>(
    record: &EndpointRecord,
    deployment: &'a Deployment,
    target: Option<&str>,
    chance: f64,
) -> Result<&'a Variant, Error> {
    if let Some(target) = target {
        let found = deployment.variants.iter().find(|variant| variant.name() == target);
        return found.ok_or_else(|| {
            invalid(format!("Variant {target} not found for endpoint {}.", record.endpoint.endpoint_name))
        });
    }
    let weight = |variant: &&Variant| {
        let told = record.endpoint.production_variants.iter().flatten();
        let told = told.into_iter().find(|summary| summary.variant_name == variant.name());
        told.and_then(|summary| summary.current_weight).unwrap_or(1.0).max(0.0)
    };
    let total: f64 = deployment.variants.iter().map(|variant| weight(&variant)).sum();
    let mut left = chance * total;
    let mut last = None;
    for variant in &deployment.variants {
        let share = weight(&variant);
        if share > 0.0 {
            last = Some(variant);
            if left < share {
                break;
            }
            left -= share;
        }
    }
    last.ok_or_else(|| invalid("No variant of the endpoint has a weight above zero.".to_owned()))
}

/// `SageMaker` Runtime's own error for what is wrong with a call.
pub(crate) fn invalid(message: String) -> Error {
    api_sagemakerruntime::error::validation_error(message)
}

#[cfg(test)]
mod tests {
    use api_sagemaker::DescribeEndpointOutput;

    use super::*;

    #[test]
    fn calls_go_by_weight() {
        let variant = |name: &str, weight: f64| Variant {
            variant: ProductionVariant {
                variant_name: name.to_owned(),
                initial_variant_weight: Some(weight),
                ..Default::default()
            },
            model: DescribeModelOutput::default(),
        };
        let deployment = Deployment {
            generation: String::new(),
            config: String::new(),
            variants: vec![variant("a", 1.0), variant("none", 0.0), variant("b", 3.0)],
            asynchronous: None,
        };
        let mut record =
            EndpointRecord { version: 1, endpoint: DescribeEndpointOutput::default(), current: None, pending: None };
        record.endpoint.production_variants = Some(deployment.summaries(Timestamp::default()));
        let of = |target, chance| choose(&record, &deployment, target, chance).map(Variant::name);
        assert_eq!(
            [of(None, 0.0).unwrap(), of(None, 0.24).unwrap(), of(None, 0.26).unwrap(), of(None, 0.99).unwrap()],
            ["a", "a", "b", "b"]
        );
        assert_eq!(of(Some("none"), 0.5).unwrap(), "none");
        assert_eq!(of(Some("c"), 0.5).unwrap_err().code(), "ValidationError");
    }
}
