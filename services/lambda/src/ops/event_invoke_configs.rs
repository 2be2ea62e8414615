//! UpdateFunctionEventInvokeConfig, which leaves what is not named, and ListFunctionEventInvokeConfigs.

use api_lambda::{
    FunctionEventInvokeConfig, ListFunctionEventInvokeConfigs, ListFunctionEventInvokeConfigsRequest,
    ListFunctionEventInvokeConfigsResponse, UpdateFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfigRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page;
use super::put_function_event_invoke_config::{check, not_found};
use crate::Lambda;
use crate::check::destinations;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<UpdateFunctionEventInvokeConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        check(req.maximum_retry_attempts, req.maximum_event_age_in_seconds)?;
        destinations(cx.region(), req.destination_config.as_ref())?;
        let now = cx.now();
        cx.write(&self.store, move |tx| {
            let resolved = place.resolve(tx, &name, 1.0)?;
            let mut config = resolved.invoke_config.ok_or_else(|| not_found(&place, &name))?;
            config.last_modified = Some(now.into());
            if req.maximum_retry_attempts.is_some() {
                config.maximum_retry_attempts = req.maximum_retry_attempts;
            }
            if req.maximum_event_age_in_seconds.is_some() {
                config.maximum_event_age_in_seconds = req.maximum_event_age_in_seconds;
            }
            if let Some(wanted) = &req.destination_config {
                let mut destinations = config.destination_config.take().unwrap_or_default();
                if wanted.on_success.is_some() {
                    destinations.on_success.clone_from(&wanted.on_success);
                }
                if wanted.on_failure.is_some() {
                    destinations.on_failure.clone_from(&wanted.on_failure);
                }
                config.destination_config = Some(destinations);
            }
            tx.put_json(place.invoke_config(&name.name, name.qualifier.as_deref()), &config)?;
            Ok(config)
        })
        .await
    }
}

#[async_trait]
impl Handle<ListFunctionEventInvokeConfigs> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListFunctionEventInvokeConfigsRequest,
    ) -> Result<ListFunctionEventInvokeConfigsResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let (configs, next_marker) = self
            .store
            .read(|tx| {
                place.load(tx, &name)?;
                page::<FunctionEventInvokeConfig>(
                    tx,
                    &place.invoke_configs(&name),
                    req.marker.as_deref(),
                    req.max_items,
                )
            })
            .await?;
        Ok(ListFunctionEventInvokeConfigsResponse { function_event_invoke_configs: Some(configs), next_marker })
    }
}
