//! Endpoints. One is in service as soon as there is what it is made of: an environment would begin with the first call, and calls
//! (`InvokeEndpoint`, of another service) are not answered yet.

use api_sagemaker::{
    CreateEndpoint, CreateEndpointInput, CreateEndpointOutput, DeleteEndpoint, DeleteEndpointInput, DeployedImage,
    DescribeEndpoint, DescribeEndpointInput, DescribeEndpointOutput, EndpointSummary, ListEndpoints,
    ListEndpointsInput, ListEndpointsOutput, ProductionVariant, ProductionVariantSummary, UpdateEndpoint,
    UpdateEndpointInput, UpdateEndpointOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::records::{
    EndpointConfigRecord, EndpointRecord, ModelRecord, VERSION, add_tags, endpoint_arn, endpoint_config_key,
    endpoint_key, endpoints_key, model_key, no_endpoint, no_endpoint_config, no_model, page, tags_key,
};

/// What an endpoint is made of, looked up in its account and region.
#[derive(Clone)]
struct Parts {
    cx: Cx,
    config: String,
}

impl Parts {
    fn variants(&self, tx: &mut Tx<'_>) -> Result<Vec<ProductionVariantSummary>, Error> {
        let record: EndpointConfigRecord = tx
            .get_json(endpoint_config_key(&self.cx, &self.config))?
            .ok_or_else(|| no_endpoint_config(&self.cx, &self.config))?;
        record.config.production_variants.into_iter().map(|variant| self.variant(tx, variant)).collect()
    }

    fn variant(&self, tx: &mut Tx<'_>, variant: ProductionVariant) -> Result<ProductionVariantSummary, Error> {
        let name = variant.model_name.unwrap_or_default();
        let model: ModelRecord = tx.get_json(model_key(&self.cx, &name))?.ok_or_else(|| no_model(&self.cx, &name))?;
        let container = model.model.primary_container.or_else(|| model.model.containers?.into_iter().next());
        let image = container.and_then(|container| container.image).map(|image| DeployedImage {
            specified_image: Some(image.clone()),
            resolved_image: Some(image),
            resolution_time: Some(Timestamp(self.cx.now())),
        });
        let weight = Some(variant.initial_variant_weight.unwrap_or(1.0));
        Ok(ProductionVariantSummary {
            variant_name: variant.variant_name,
            deployed_images: image.map(|image| vec![image]),
            current_weight: weight,
            desired_weight: weight,
            current_instance_count: variant.initial_instance_count,
            desired_instance_count: variant.initial_instance_count,
            current_serverless_config: variant.serverless_config.clone(),
            desired_serverless_config: variant.serverless_config,
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<CreateEndpoint> for SageMaker {
    async fn handle(&self, cx: &Cx, req: CreateEndpointInput) -> Result<CreateEndpointOutput, Error> {
        let arn = endpoint_arn(cx, &req.endpoint_name);
        let (key, tags, now) = (endpoint_key(cx, &req.endpoint_name), tags_key(cx, &arn), Timestamp(cx.now()));
        let parts = Parts { cx: cx.clone(), config: req.endpoint_config_name.clone() };
        let labels = req.tags.unwrap_or_default();
        let endpoint = DescribeEndpointOutput {
            endpoint_name: req.endpoint_name,
            endpoint_arn: arn.clone(),
            endpoint_config_name: Some(req.endpoint_config_name),
            endpoint_status: "InService".to_owned(),
            creation_time: now,
            last_modified_time: now,
            ..Default::default()
        };
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_some() {
                return Err(Error::validation(format!("Cannot create already existing endpoint \"{arn}\".")));
            }
            let mut endpoint = endpoint.clone();
            endpoint.production_variants = Some(parts.variants(tx)?);
            tx.put_json(&key, &EndpointRecord { version: VERSION, endpoint })?;
            add_tags(tx, &tags, &labels)?;
            Ok(CreateEndpointOutput { endpoint_arn: arn.clone() })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateEndpoint> for SageMaker {
    async fn handle(&self, cx: &Cx, req: UpdateEndpointInput) -> Result<UpdateEndpointOutput, Error> {
        let (key, now) = (endpoint_key(cx, &req.endpoint_name), Timestamp(cx.now()));
        let missing = no_endpoint(cx, &req.endpoint_name);
        let parts = Parts { cx: cx.clone(), config: req.endpoint_config_name.clone() };
        cx.write(&self.store, move |tx| {
            let mut record: EndpointRecord = tx.get_json(&key)?.ok_or_else(|| missing.clone())?;
            record.endpoint.production_variants = Some(parts.variants(tx)?);
            record.endpoint.endpoint_config_name = Some(parts.config.clone());
            record.endpoint.last_modified_time = now;
            tx.put_json(&key, &record)?;
            Ok(UpdateEndpointOutput { endpoint_arn: record.endpoint.endpoint_arn })
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeEndpoint> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DescribeEndpointInput) -> Result<DescribeEndpointOutput, Error> {
        let key = endpoint_key(cx, &req.endpoint_name);
        let record: Option<EndpointRecord> = self.store.read(|tx| tx.get_json(&key)).await?;
        record.map(|r| r.endpoint).ok_or_else(|| no_endpoint(cx, &req.endpoint_name))
    }
}

#[async_trait]
impl Handle<DeleteEndpoint> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DeleteEndpointInput) -> Result<Empty, Error> {
        let key = endpoint_key(cx, &req.endpoint_name);
        let tags = tags_key(cx, &endpoint_arn(cx, &req.endpoint_name));
        let missing = no_endpoint(cx, &req.endpoint_name);
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
impl Handle<ListEndpoints> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListEndpointsInput) -> Result<ListEndpointsOutput, Error> {
        let key = endpoints_key(cx);
        let records: Vec<EndpointRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let mut endpoints: Vec<_> = records
            .into_iter()
            .map(|r| EndpointSummary {
                endpoint_name: r.endpoint.endpoint_name,
                endpoint_arn: r.endpoint.endpoint_arn,
                creation_time: r.endpoint.creation_time,
                last_modified_time: r.endpoint.last_modified_time,
                endpoint_status: r.endpoint.endpoint_status,
            })
            .filter(|e| req.name_contains.as_ref().is_none_or(|part| e.endpoint_name.contains(part)))
            .filter(|e| req.status_equals.as_ref().is_none_or(|status| e.endpoint_status == *status))
            .filter(|e| req.creation_time_before.is_none_or(|t| e.creation_time < t))
            .filter(|e| req.creation_time_after.is_none_or(|t| e.creation_time > t))
            .filter(|e| req.last_modified_time_before.is_none_or(|t| e.last_modified_time < t))
            .filter(|e| req.last_modified_time_after.is_none_or(|t| e.last_modified_time > t))
            .collect();
        match req.sort_by.as_deref() {
            Some("Name") => endpoints.sort_by(|a, b| a.endpoint_name.cmp(&b.endpoint_name)),
            Some("Status") => endpoints.sort_by(|a, b| a.endpoint_status.cmp(&b.endpoint_status)),
            _ => endpoints.sort_by_key(|e| e.creation_time),
        }
        if req.sort_order.as_deref() != Some("Ascending") {
            endpoints.reverse();
        }
        let name = |e: &EndpointSummary| e.endpoint_name.clone();
        let (endpoints, next_token) = page(endpoints, name, req.next_token.as_deref(), req.max_results);
        Ok(ListEndpointsOutput { endpoints, next_token })
    }
}
