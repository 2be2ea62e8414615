//! PutFunctionEventInvokeConfig: retries, age and destinations of `Event` invocations.

use api_lambda::{FunctionEventInvokeConfig, PutFunctionEventInvokeConfig, PutFunctionEventInvokeConfigRequest, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::check::destinations;
use crate::function::{LATEST, Name, Scope};

#[async_trait]
impl Handle<PutFunctionEventInvokeConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: PutFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        check(req.maximum_retry_attempts, req.maximum_event_age_in_seconds)?;
        destinations(cx.region(), req.destination_config.as_ref())?;
        let now = cx.now();
        cx.write(&self.store, move |tx| {
            place.resolve(tx, &name, 1.0)?;
            let qualifier = name.qualifier.as_deref();
            let config = FunctionEventInvokeConfig {
                last_modified: Some(now.into()),
                function_arn: Some(place.arn(&name.name, Some(qualifier.unwrap_or(LATEST)))),
                maximum_retry_attempts: req.maximum_retry_attempts,
                maximum_event_age_in_seconds: req.maximum_event_age_in_seconds,
                destination_config: Some(req.destination_config.clone().unwrap_or_default()),
            };
            tx.put_json(place.invoke_config(&name.name, qualifier), &config)?;
            Ok(config)
        })
        .await
    }
}

pub(super) fn check(retries: Option<i32>, age_seconds: Option<i32>) -> Result<(), Error> {
    if retries.is_some_and(|tries| !(0..=2).contains(&tries))
        || age_seconds.is_some_and(|age| !(60..=21_600).contains(&age))
    {
        return Err(error::invalid_parameter_value_exception(
            "MaximumRetryAttempts must be 0 to 2, MaximumEventAgeInSeconds 60 to 21600.",
        ));
    }
    Ok(())
}

pub(super) fn not_found(place: &Scope, name: &Name) -> Error {
    let arn = place.arn(&name.name, Some(name.qualifier.as_deref().unwrap_or(LATEST)));
    error::resource_not_found_exception(format!("The function {arn} doesn't have an EventInvokeConfig"))
        .with("Type", "User")
}
