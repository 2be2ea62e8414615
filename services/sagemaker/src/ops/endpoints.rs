//! Endpoints. One is in service when its models have been loaded and answer: `endpoint::deploy` sees to that.

use api_sagemaker::{
    CreateEndpoint, CreateEndpointInput, CreateEndpointOutput, DeleteEndpoint, DeleteEndpointInput, DescribeEndpoint,
    DescribeEndpointInput, DescribeEndpointOutput, EndpointSummary, ListEndpoints, ListEndpointsInput,
    ListEndpointsOutput, UpdateEndpoint, UpdateEndpointInput, UpdateEndpointOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::endpoint::{Deployment, deploy};
use crate::listing::{Between, Listed, Listing};
use crate::records::{
    EndpointRecord, VERSION, add_tags, endpoint_arn, endpoint_key, endpoints_key, no_endpoint, tags_key,
};

#[async_trait]
impl Handle<CreateEndpoint> for SageMaker {
    async fn handle(&self, cx: &Cx, req: CreateEndpointInput) -> Result<CreateEndpointOutput, Error> {
        let arn = endpoint_arn(cx, &req.endpoint_name);
        let (key, tags, now) = (endpoint_key(cx, &req.endpoint_name), tags_key(cx, &arn), Timestamp(cx.now()));
        let (cx_of, generation) = (cx.clone(), cx.uuid());
        let labels = req.tags.unwrap_or_default();
        let endpoint = DescribeEndpointOutput {
            endpoint_name: req.endpoint_name,
            endpoint_arn: arn.clone(),
            endpoint_config_name: Some(req.endpoint_config_name.clone()),
            endpoint_status: "Creating".to_owned(),
            creation_time: now,
            last_modified_time: now,
            ..Default::default()
        };
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_some() {
                return Err(Error::validation(format!("Cannot create already existing endpoint \"{arn}\".")));
            }
            let pending = Deployment::of(tx, &cx_of, &req.endpoint_config_name, &generation)?;
            let mut endpoint = endpoint.clone();
            endpoint.async_inference_config.clone_from(&pending.asynchronous);
            let record = EndpointRecord { version: VERSION, endpoint, current: None, pending: Some(pending) };
            tx.put_json(&key, &record)?;
            add_tags(tx, &tags, &labels)?;
            deploy::enqueue(tx, &cx_of, &record)?;
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
        let (cx_of, generation) = (cx.clone(), cx.uuid());
        cx.write(&self.store, move |tx| {
            let mut record: EndpointRecord = tx.get_json(&key)?.ok_or_else(|| missing.clone())?;
            if record.pending.is_some() {
                let message = format!("Cannot update in-progress endpoint \"{}\".", record.endpoint.endpoint_arn);
                return Err(Error::validation(message));
            }
            if record.current.is_none() {
                // It may be of a version that kept none.
                let config = record.endpoint.endpoint_config_name.clone().unwrap_or_default();
                record.current = Deployment::of(tx, &cx_of, &config, "").ok();
            }
            record.pending = Some(Deployment::of(tx, &cx_of, &req.endpoint_config_name, &generation)?);
            "Updating".clone_into(&mut record.endpoint.endpoint_status);
            record.endpoint.failure_reason = None;
            record.endpoint.last_modified_time = now;
            tx.put_json(&key, &record)?;
            deploy::enqueue(tx, &cx_of, &record)?;
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
        let name = &req.endpoint_name;
        let arn = endpoint_arn(cx, name);
        let removed = self.remove(cx, (endpoint_key(cx, name), tags_key(cx, &arn)), no_endpoint(cx, name)).await?;
        self.servers.retire(&format!("{arn} "));
        Ok(removed)
    }
}

impl Listed for EndpointSummary {
    fn name(&self) -> &str {
        &self.endpoint_name
    }
    fn created(&self) -> Timestamp {
        self.creation_time
    }
    fn modified(&self) -> Timestamp {
        self.last_modified_time
    }
    fn status(&self) -> Option<&str> {
        Some(&self.endpoint_status)
    }
}

#[async_trait]
impl Handle<ListEndpoints> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListEndpointsInput) -> Result<ListEndpointsOutput, Error> {
        let key = endpoints_key(cx);
        let records: Vec<EndpointRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let summaries = records.into_iter().map(|r| EndpointSummary {
            endpoint_name: r.endpoint.endpoint_name,
            endpoint_arn: r.endpoint.endpoint_arn,
            creation_time: r.endpoint.creation_time,
            last_modified_time: r.endpoint.last_modified_time,
            endpoint_status: r.endpoint.endpoint_status,
        });
        let listing = Listing {
            name_contains: req.name_contains,
            status: req.status_equals,
            created: Between { before: req.creation_time_before, after: req.creation_time_after },
            modified: Between { before: req.last_modified_time_before, after: req.last_modified_time_after },
            sort_by: req.sort_by,
            order: req.sort_order,
            token: req.next_token,
            limit: req.max_results,
        };
        let (endpoints, next_token) = listing.page(summaries)?;
        Ok(ListEndpointsOutput { endpoints, next_token })
    }
}
