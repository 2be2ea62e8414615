//! Endpoint configurations: which models an endpoint has.

use api_sagemaker::{
    CreateEndpointConfig, CreateEndpointConfigInput, CreateEndpointConfigOutput, DeleteEndpointConfig,
    DeleteEndpointConfigInput, DescribeEndpointConfig, DescribeEndpointConfigInput, DescribeEndpointConfigOutput,
    EndpointConfigSummary, ListEndpointConfigs, ListEndpointConfigsInput, ListEndpointConfigsOutput, ProductionVariant,
    ProductionVariantServerlessConfig,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::listing::{Between, Listed, Listing};
use crate::records::{
    EndpointConfigRecord, VERSION, add_tags, endpoint_config_arn, endpoint_config_key, endpoint_configs_key, model_key,
    no_endpoint_config, no_model, tags_key,
};

/// A variant with the weight that it has where none is given. Source: API Reference, ProductionVariant.
fn weighted(variant: ProductionVariant) -> ProductionVariant {
    ProductionVariant { initial_variant_weight: variant.initial_variant_weight.or(Some(1.0)), ..variant }
}

#[async_trait]
impl Handle<CreateEndpointConfig> for SageMaker {
    async fn handle(&self, cx: &Cx, req: CreateEndpointConfigInput) -> Result<CreateEndpointConfigOutput, Error> {
        let mut models = Vec::new();
        for (at, variant) in req.production_variants.iter().enumerate() {
            if req.production_variants[..at].iter().any(|other| other.variant_name == variant.variant_name) {
                return Err(Error::validation(format!("Duplicate variant name {}", variant.variant_name)));
            }
            let name = variant.model_name.as_deref().ok_or_else(|| {
                Error::validation(format!("ModelName is required for the variant {}", variant.variant_name))
            })?;
            if variant.serverless_config.is_none()
                && (variant.instance_type.is_none() || variant.initial_instance_count.is_none())
            {
                return Err(Error::validation(format!(
                    "InstanceType and InitialInstanceCount, or ServerlessConfig, are required for the variant {}",
                    variant.variant_name
                )));
            }
            if let Some(serverless) = &variant.serverless_config {
                check_serverless(serverless)?;
            }
            if variant.serverless_config.is_some() && req.async_inference_config.is_some() {
                return Err(Error::validation("Serverless endpoints do not support AsyncInferenceConfig."));
            }
            models.push((model_key(cx, name), no_model(cx, name)));
        }
        if let Some(config) = &req.async_inference_config {
            let is_place = |url: &Option<String>| url.as_ref().is_some_and(|url| url.starts_with("s3://"));
            if !is_place(&config.output_config.s3_output_path) {
                return Err(Error::validation(
                    "AsyncInferenceConfig.OutputConfig.S3OutputPath is required, as s3://BUCKET/PREFIX.",
                ));
            }
        }
        let arn = endpoint_config_arn(cx, &req.endpoint_config_name);
        let (key, tags) = (endpoint_config_key(cx, &req.endpoint_config_name), tags_key(cx, &arn));
        let labels = req.tags.unwrap_or_default();
        let record = EndpointConfigRecord {
            version: VERSION,
            config: DescribeEndpointConfigOutput {
                endpoint_config_name: req.endpoint_config_name,
                endpoint_config_arn: arn.clone(),
                production_variants: req.production_variants.into_iter().map(weighted).collect(),
                creation_time: Timestamp(cx.now()),
                async_inference_config: req.async_inference_config,
                ..Default::default()
            },
        };
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_some() {
                return Err(Error::validation(format!(
                    "Cannot create already existing endpoint configuration \"{arn}\"."
                )));
            }
            for (model, missing) in &models {
                if tx.get(model)?.is_none() {
                    return Err(missing.clone());
                }
            }
            tx.put_json(&key, &record)?;
            add_tags(tx, &tags, &labels)?;
            Ok(CreateEndpointConfigOutput { endpoint_config_arn: arn.clone() })
        })
        .await
    }
}

/// Source: `SageMaker` API Reference, `ProductionVariantServerlessConfig`: "1 GB increments: 1024 MB, 2048 MB, …, or 6144 MB".
fn check_serverless(config: &ProductionVariantServerlessConfig) -> Result<(), Error> {
    if !(config.memory_size_in_mb % 1024 == 0 && (1024..=6144).contains(&config.memory_size_in_mb)) {
        return Err(Error::validation(format!(
            "MemorySizeInMB must be 1024, 2048, 3072, 4096, 5120 or 6144, not {}",
            config.memory_size_in_mb
        )));
    }
    Ok(())
}

#[async_trait]
impl Handle<DescribeEndpointConfig> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DescribeEndpointConfigInput) -> Result<DescribeEndpointConfigOutput, Error> {
        let key = endpoint_config_key(cx, &req.endpoint_config_name);
        let record: Option<EndpointConfigRecord> = self.store.read(|tx| tx.get_json(&key)).await?;
        record.map(|r| r.config).ok_or_else(|| no_endpoint_config(cx, &req.endpoint_config_name))
    }
}

#[async_trait]
impl Handle<DeleteEndpointConfig> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DeleteEndpointConfigInput) -> Result<Empty, Error> {
        let name = &req.endpoint_config_name;
        let keys = (endpoint_config_key(cx, name), tags_key(cx, &endpoint_config_arn(cx, name)));
        self.remove(cx, keys, no_endpoint_config(cx, name)).await
    }
}

impl Listed for EndpointConfigSummary {
    fn name(&self) -> &str {
        &self.endpoint_config_name
    }
    fn created(&self) -> Timestamp {
        self.creation_time
    }
}

#[async_trait]
impl Handle<ListEndpointConfigs> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListEndpointConfigsInput) -> Result<ListEndpointConfigsOutput, Error> {
        let key = endpoint_configs_key(cx);
        let records: Vec<EndpointConfigRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let summaries = records.into_iter().map(|r| EndpointConfigSummary {
            endpoint_config_name: r.config.endpoint_config_name,
            endpoint_config_arn: r.config.endpoint_config_arn,
            creation_time: r.config.creation_time,
        });
        let listing = Listing {
            name_contains: req.name_contains,
            created: Between { before: req.creation_time_before, after: req.creation_time_after },
            sort_by: req.sort_by,
            order: req.sort_order,
            token: req.next_token,
            limit: req.max_results,
            ..Listing::default()
        };
        let (endpoint_configs, next_token) = listing.page(summaries)?;
        Ok(ListEndpointConfigsOutput { endpoint_configs, next_token })
    }
}
