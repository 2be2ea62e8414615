//! Provisioned concurrency: put, got, deleted. What it does: `crate::provision`.

use api_lambda::{
    DeleteProvisionedConcurrencyConfig, DeleteProvisionedConcurrencyConfigRequest, GetProvisionedConcurrencyConfig,
    GetProvisionedConcurrencyConfigRequest, GetProvisionedConcurrencyConfigResponse, ListProvisionedConcurrencyConfigs,
    ListProvisionedConcurrencyConfigsRequest, ListProvisionedConcurrencyConfigsResponse,
    ProvisionedConcurrencyConfigListItem, PutProvisionedConcurrencyConfig, PutProvisionedConcurrencyConfigRequest,
    PutProvisionedConcurrencyConfigResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::page;
use crate::Lambda;
use crate::function::{LATEST, Name, Scope};
use crate::provision::{self, Provision, not_found};

fn named(function: &str, qualifier: &str) -> Result<(Name, String), Error> {
    let name = Name::parse(function, Some(qualifier))?;
    if qualifier == LATEST {
        return Err(error::invalid_parameter_value_exception(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
        ));
    }
    Ok((name, qualifier.to_owned()))
}

#[async_trait]
impl Handle<PutProvisionedConcurrencyConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: PutProvisionedConcurrencyConfigRequest,
    ) -> Result<PutProvisionedConcurrencyConfigResponse, Error> {
        let (place, (name, qualifier)) = (Scope::of(cx), named(&req.function_name, &req.qualifier)?);
        let (now, requested) = (cx.now(), req.provisioned_concurrent_executions);
        let concurrency = self.config.concurrency;
        cx.write(&self.store, move |tx| {
            let resolved = place.resolve(tx, &name, 1.0)?;
            let most = resolved.function.reserved.map_or(concurrency, |reserved| usize::try_from(reserved).unwrap_or(0));
            if usize::try_from(requested).unwrap_or(usize::MAX) > most {
                return Err(error::invalid_parameter_value_exception(format!(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function: {most}"
                )));
            }
            let found = Provision {
                v: 1,
                qualifier: qualifier.clone(),
                requested,
                status: "IN_PROGRESS".to_owned(),
                reason: None,
                modified: now.into(),
            };
            tx.put_json(place.provision(&name.name, &qualifier), &found)?;
            provision::start(tx, &place, &name.name, &qualifier)?;
            Ok(PutProvisionedConcurrencyConfigResponse {
                requested_provisioned_concurrent_executions: Some(requested),
                allocated_provisioned_concurrent_executions: Some(0),
                available_provisioned_concurrent_executions: Some(0),
                status: Some(found.status),
                status_reason: None,
                last_modified: Some(found.modified.to_iso()),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetProvisionedConcurrencyConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetProvisionedConcurrencyConfigRequest,
    ) -> Result<GetProvisionedConcurrencyConfigResponse, Error> {
        let (place, (name, qualifier)) = (Scope::of(cx), named(&req.function_name, &req.qualifier)?);
        let found = self
            .store
            .read(|tx| {
                place.resolve(tx, &name, 1.0)?;
                tx.get_json::<Provision>(place.provision(&name.name, &qualifier))?.ok_or_else(not_found)
            })
            .await?;
        let there = found.provided();
        Ok(GetProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: Some(found.requested),
            available_provisioned_concurrent_executions: Some(there),
            allocated_provisioned_concurrent_executions: Some(there),
            status: Some(found.status),
            status_reason: found.reason,
            last_modified: Some(found.modified.to_iso()),
        })
    }
}

#[async_trait]
impl Handle<ListProvisionedConcurrencyConfigs> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListProvisionedConcurrencyConfigsRequest,
    ) -> Result<ListProvisionedConcurrencyConfigsResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let (found, next_marker) = self
            .store
            .read(|tx| {
                place.load(tx, &name)?;
                page::<Provision>(tx, &place.provisions(&name), req.marker.as_deref(), req.max_items)
            })
            .await?;
        let shown = found.into_iter().map(|found| ProvisionedConcurrencyConfigListItem {
            function_arn: Some(place.arn(&name, Some(&found.qualifier))),
            requested_provisioned_concurrent_executions: Some(found.requested),
            available_provisioned_concurrent_executions: Some(found.provided()),
            allocated_provisioned_concurrent_executions: Some(found.provided()),
            status: Some(found.status),
            status_reason: found.reason,
            last_modified: Some(found.modified.to_iso()),
        });
        Ok(ListProvisionedConcurrencyConfigsResponse {
            provisioned_concurrency_configs: Some(shown.collect()),
            next_marker,
        })
    }
}

#[async_trait]
impl Handle<DeleteProvisionedConcurrencyConfig> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteProvisionedConcurrencyConfigRequest) -> Result<Empty, Error> {
        let (place, (name, qualifier)) = (Scope::of(cx), named(&req.function_name, &req.qualifier)?);
        cx.write(&self.store, move |tx| {
            place.resolve(tx, &name, 1.0)?;
            provision::stop(tx, &place, &name.name, &qualifier)?;
            Ok(Empty::default())
        })
        .await
    }
}
