//! UpdateEventSourceMapping: what is not named stays.

use api_lambda::{
    DestinationConfig, EventSourceMappingConfiguration, UpdateEventSourceMapping, UpdateEventSourceMappingRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::create_event_source_mapping::{check, check_batches, check_queue, check_sizes};
use crate::check::stream_destination;
use crate::filters::Filters;
use crate::function::{Name, Scope};
use crate::{Lambda, mapping};

#[async_trait]
impl Handle<UpdateEventSourceMapping> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateEventSourceMappingRequest,
    ) -> Result<EventSourceMappingConfiguration, Error> {
        let place = Scope::of(cx);
        let function = req.function_name.as_deref().map(|name| Name::parse(name, None)).transpose()?;
        Filters::parse(req.filter_criteria.as_ref())?;
        stream_destination(cx.region(), req.destination_config.as_ref())?;
        if let Some(name) = &function {
            self.check_function(cx, &req.uuid, name).await?;
        }
        let now = cx.now();
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        cx.write(&self.store, move |tx| {
            let key = place.mapping(&req.uuid);
            let found = tx.get_json::<EventSourceMappingConfiguration>(&key)?;
            let mut found = found.ok_or_else(mapping::not_found)?;
            if let Some(name) = &function {
                place.resolve(tx, name, 1.0)?;
                found.function_arn = Some(place.arn(&name.name, name.qualifier.as_deref()));
            }
            change(&mut found, &req)?;
            if let Some(enabled) = req.enabled {
                found.state = Some(if enabled { "Enabled" } else { "Disabled" }.to_owned());
            }
            found.last_modified = Some(now.into());
            tx.put_json(key, &found)?;
            mapping::apply(tx, (&account, &region), &found)?;
            Ok(found)
        })
        .await
    }
}

/// Sets what is named, but for the function and whether it is enabled.
fn change(found: &mut EventSourceMappingConfiguration, req: &UpdateEventSourceMappingRequest) -> Result<(), Error> {
    set(&mut found.batch_size, req.batch_size.as_ref());
    set(&mut found.maximum_batching_window_in_seconds, req.maximum_batching_window_in_seconds.as_ref());
    if mapping::is_stream(found.event_source_arn.as_deref().unwrap_or_default()) {
        check_sizes(found.batch_size, found.maximum_batching_window_in_seconds)?;
        set(&mut found.maximum_record_age_in_seconds, req.maximum_record_age_in_seconds.as_ref());
        set(&mut found.maximum_retry_attempts, req.maximum_retry_attempts.as_ref());
        set(&mut found.bisect_batch_on_function_error, req.bisect_batch_on_function_error.as_ref());
        set(&mut found.destination_config, req.destination_config.as_ref());
        set(&mut found.parallelization_factor, req.parallelization_factor.as_ref());
        set(&mut found.tumbling_window_in_seconds, req.tumbling_window_in_seconds.as_ref());
        let (factor, window) = (found.parallelization_factor, found.tumbling_window_in_seconds);
        check_batches(factor, window, req.maximum_record_age_in_seconds)?;
    } else {
        check_queue(&[
            ("bisectBatchOnFunctionError", req.bisect_batch_on_function_error == Some(true)),
            (
                "destinationConfig",
                req.destination_config.as_ref().is_some_and(|config| *config != DestinationConfig::default()),
            ),
            ("maximumRecordAgeInSeconds", req.maximum_record_age_in_seconds.is_some()),
            ("maximumRetryAttempts", req.maximum_retry_attempts.is_some()),
            ("parallelizationFactor", req.parallelization_factor.is_some_and(|factor| factor != 1)),
            ("tumblingWindowInSeconds", req.tumbling_window_in_seconds.is_some_and(|window| window != 0)),
        ])?;
        check(found.batch_size, found.maximum_batching_window_in_seconds)?;
    }
    if let Some(criteria) = &req.filter_criteria {
        let is_any = criteria.filters.as_ref().is_some_and(|filters| !filters.is_empty());
        found.filter_criteria = is_any.then(|| criteria.clone());
    }
    set(&mut found.scaling_config, req.scaling_config.as_ref());
    set(&mut found.function_response_types, req.function_response_types.as_ref());
    Ok(())
}

fn set<T: Clone>(member: &mut Option<T>, wanted: Option<&T>) {
    if let Some(wanted) = wanted {
        *member = Some(wanted.clone());
    }
}

impl Lambda {
    /// Errs where the function cannot have the messages of the mapping's queue.
    async fn check_function(&self, cx: &Cx, uuid: &str, function: &Name) -> Result<(), Error> {
        let key = Scope::of(cx).mapping(uuid);
        let found = self.store.read(|tx| tx.get_json::<EventSourceMappingConfiguration>(&key)).await?;
        let source = found.and_then(|found| found.event_source_arn).unwrap_or_default();
        if mapping::is_stream(&source) { Ok(()) } else { self.check_queue(cx, &source, function).await }
    }
}
