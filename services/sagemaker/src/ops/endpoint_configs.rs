//! Endpoint configurations: which models an endpoint has.

use api_sagemaker::{
    CreateEndpointConfig, CreateEndpointConfigInput, CreateEndpointConfigOutput, DeleteEndpointConfig,
    DeleteEndpointConfigInput, DescribeEndpointConfig, DescribeEndpointConfigInput, DescribeEndpointConfigOutput,
    EndpointConfigSummary, ListEndpointConfigs, ListEndpointConfigsInput, ListEndpointConfigsOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::records::{
    EndpointConfigRecord, VERSION, add_tags, endpoint_config_arn, endpoint_config_key, endpoint_configs_key, model_key,
    no_endpoint_config, no_model, page, tags_key,
};

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
            models.push((model_key(cx, name), no_model(cx, name)));
        }
        let arn = endpoint_config_arn(cx, &req.endpoint_config_name);
        let (key, tags) = (endpoint_config_key(cx, &req.endpoint_config_name), tags_key(cx, &arn));
        let labels = req.tags.unwrap_or_default();
        let record = EndpointConfigRecord {
            version: VERSION,
            config: DescribeEndpointConfigOutput {
                endpoint_config_name: req.endpoint_config_name,
                endpoint_config_arn: arn.clone(),
                production_variants: req.production_variants,
                creation_time: Timestamp(cx.now()),
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
        let key = endpoint_config_key(cx, &req.endpoint_config_name);
        let tags = tags_key(cx, &endpoint_config_arn(cx, &req.endpoint_config_name));
        let missing = no_endpoint_config(cx, &req.endpoint_config_name);
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_none() {
                return Err(missing.clone());
            }
            tx.delete(&key)?;
            tx.delete(&tags)?;
            Ok(Empty::default())
        })
        .await
    }
}

#[async_trait]
impl Handle<ListEndpointConfigs> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListEndpointConfigsInput) -> Result<ListEndpointConfigsOutput, Error> {
        let key = endpoint_configs_key(cx);
        let records: Vec<EndpointConfigRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let mut configs: Vec<_> = records
            .into_iter()
            .map(|r| EndpointConfigSummary {
                endpoint_config_name: r.config.endpoint_config_name,
                endpoint_config_arn: r.config.endpoint_config_arn,
                creation_time: r.config.creation_time,
            })
            .filter(|c| req.name_contains.as_ref().is_none_or(|part| c.endpoint_config_name.contains(part)))
            .filter(|c| req.creation_time_before.is_none_or(|t| c.creation_time < t))
            .filter(|c| req.creation_time_after.is_none_or(|t| c.creation_time > t))
            .collect();
        match req.sort_by.as_deref() {
            Some("Name") => configs.sort_by(|a, b| a.endpoint_config_name.cmp(&b.endpoint_config_name)),
            _ => configs.sort_by_key(|c| c.creation_time),
        }
        if req.sort_order.as_deref() != Some("Ascending") {
            configs.reverse();
        }
        let name = |c: &EndpointConfigSummary| c.endpoint_config_name.clone();
        let (endpoint_configs, next_token) = page(configs, name, req.next_token.as_deref(), req.max_results);
        Ok(ListEndpointConfigsOutput { endpoint_configs, next_token })
    }
}
