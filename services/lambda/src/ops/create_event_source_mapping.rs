//! CreateEventSourceMapping: an SQS queue or a DynamoDB stream whose messages or records a function gets.

use api_dynamodbstreams::{DescribeStream, DescribeStreamInput};
use api_lambda::{
    CreateEventSourceMapping, CreateEventSourceMappingRequest, DestinationConfig, EventSourceMappingConfiguration,
    error,
};
use api_sqs::{GetQueueAttributes, GetQueueAttributesRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::arn::Arn;

use crate::asynchronous::queue_url;
use crate::check::stream_destination;
use crate::filters::Filters;
use crate::function::{Name, Scope};
use crate::{Lambda, mapping};

/// AWS's bounds for queues.
const MAX_BATCH: i32 = 10_000;
const MAX_WINDOW_SECONDS: i32 = 300;

#[async_trait]
impl Handle<CreateEventSourceMapping> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateEventSourceMappingRequest,
    ) -> Result<EventSourceMappingConfiguration, Error> {
        let place = Scope::of(cx);
        let source = req.event_source_arn.clone().unwrap_or_default();
        let is_stream = check_source(&source, cx.region())?;
        check_stream(&req, is_stream)?;
        stream_destination(cx.region(), req.destination_config.as_ref())?;
        Filters::parse(req.filter_criteria.as_ref())?;
        if is_stream {
            check_sizes(req.batch_size, req.maximum_batching_window_in_seconds)?;
        } else {
            check(req.batch_size, req.maximum_batching_window_in_seconds)?;
        }
        let name = Name::parse(&req.function_name, None)?;
        if is_stream {
            self.check_source_stream(&source).await?;
        } else {
            self.check_queue(cx, &source, &name).await?;
        }
        let uuid = cx.uuid();
        let configuration = EventSourceMappingConfiguration {
            event_source_mapping_arn: Some(cx.arn("lambda", format!("event-source-mapping:{uuid}"))),
            uuid: Some(uuid),
            batch_size: Some(req.batch_size.unwrap_or(if is_stream { 100 } else { 10 })),
            maximum_batching_window_in_seconds: Some(req.maximum_batching_window_in_seconds.unwrap_or(0)),
            event_source_arn: Some(source),
            function_arn: Some(place.arn(&name.name, name.qualifier.as_deref())),
            last_modified: Some(cx.now().into()),
            state: Some(if req.enabled == Some(false) { "Disabled" } else { "Enabled" }.to_owned()),
            state_transition_reason: Some("USER_INITIATED".to_owned()),
            function_response_types: Some(req.function_response_types.unwrap_or_default()),
            scaling_config: req.scaling_config,
            starting_position: req.starting_position,
            parallelization_factor: is_stream.then(|| req.parallelization_factor.unwrap_or(1)),
            maximum_record_age_in_seconds: is_stream.then(|| req.maximum_record_age_in_seconds.unwrap_or(-1)),
            maximum_retry_attempts: is_stream.then(|| req.maximum_retry_attempts.unwrap_or(-1)),
            bisect_batch_on_function_error: is_stream.then(|| req.bisect_batch_on_function_error.unwrap_or(false)),
            tumbling_window_in_seconds: is_stream.then(|| req.tumbling_window_in_seconds.unwrap_or(0)),
            last_processing_result: is_stream.then(|| "No records processed".to_owned()),
            filter_criteria: req
                .filter_criteria
                .filter(|criteria| criteria.filters.as_ref().is_some_and(|filters| !filters.is_empty())),
            destination_config: req.destination_config.filter(|config| *config != DestinationConfig::default()),
            ..Default::default()
        };
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let tags = req.tags.filter(|tags| !tags.is_empty());
        cx.write(&self.store, move |tx| {
            place.resolve(tx, &name, 1.0)?;
            let same = |other: &EventSourceMappingConfiguration| {
                other.event_source_arn == configuration.event_source_arn && other.function_arn == configuration.function_arn
            };
            if let Some(other) = tx.list_json::<EventSourceMappingConfiguration>(place.mappings(), 10_000)?.iter().find(|other| same(other)) {
                return Err(error::resource_conflict_exception(format!(
                    "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists. Please update or delete the existing mapping with UUID {}",
                    other.event_source_arn.as_deref().unwrap_or_default(), name.name, other.uuid.as_deref().unwrap_or_default(),
                )));
            }
            tx.put_json(place.mapping(configuration.uuid.as_deref().unwrap_or_default()), &configuration)?;
            if let Some(tags) = &tags {
                tx.put_json(place.mapping_tags(configuration.uuid.as_deref().unwrap_or_default()), tags)?;
            }
            mapping::apply(tx, (&account, &region), &configuration)?;
            Ok(EventSourceMappingConfiguration { state: Some("Creating".to_owned()), ..configuration.clone() })
        })
        .await
    }
}

impl Lambda {
    /// Errs where there is no such stream: its mapping would be there, and nothing would come.
    async fn check_source_stream(&self, source: &str) -> Result<(), Error> {
        let Some(arn) = Arn::parse(source) else { return Ok(()) };
        let here = Cx::platform(&self.router, &arn.account, &arn.region);
        let request = DescribeStreamInput { stream_arn: source.to_owned(), ..Default::default() };
        match here.call::<DescribeStream>(request).await {
            Err(missing) if missing.status() < 500 => {
                Err(error::invalid_parameter_value_exception(format!("Stream not found: {source}")))
            }
            // What passes shows when it is read.
            _ => Ok(()),
        }
    }

    /// Errs, as Lambda says it, where there is no such queue, where its messages would come again while the function works on them, or
    /// where the function's role may not take them.
    pub(super) async fn check_queue(&self, cx: &Cx, source: &str, name: &Name) -> Result<(), Error> {
        let invalid = |message: String| error::invalid_parameter_value_exception(message);
        let Some(arn) = Arn::parse(source) else { return Ok(()) };
        let here = Cx::platform(&self.router, &arn.account, &arn.region);
        let asked = Some(vec!["VisibilityTimeout".to_owned()]);
        let request = GetQueueAttributesRequest { queue_url: queue_url(cx, &arn)?, attribute_names: asked };
        let told = match here.call::<GetQueueAttributes>(request).await {
            Err(missing) if missing.is("QueueDoesNotExist") => {
                return Err(invalid(format!(
                    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: {}",
                    missing.message()
                )));
            }
            Err(_) => return Ok(()),
            Ok(told) => told.attributes.unwrap_or_default(),
        };
        let place = Scope::of(cx);
        // Where there is no such function the mapping is refused for that.
        let Ok(function) = self.store.read(|tx| place.resolve(tx, name, 0.0)).await else { return Ok(()) };
        let config = function.version.config;
        let timeout = config.timeout.unwrap_or(3);
        let hidden: Option<i32> = told.get("VisibilityTimeout").and_then(|seconds| seconds.parse().ok());
        if let Some(hidden) = hidden.filter(|hidden| *hidden < timeout) {
            return Err(invalid(format!(
                "Queue visibility timeout: {hidden} seconds is less than Function timeout: {timeout} seconds"
            )));
        }
        let Ok(role) = cx.assume(config.role.as_deref().unwrap_or_default(), &name.name).await else { return Ok(()) };
        for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] {
            let may = self.router.authorize(&role, &format!("sqs:{action}"), source).await;
            if may.is_err_and(|refused| refused.status() == 403) {
                return Err(invalid(format!(
                    "The provided execution role does not have permissions to call {action} on SQS"
                )));
            }
        }
        Ok(())
    }
}

/// Whether it is a stream, and no queue. Others are refused, and those of other regions, which would be looked for in this one.
fn check_source(source: &str, region: &str) -> Result<bool, Error> {
    let is_stream = mapping::is_stream(source);
    let arn = Arn::parse(source);
    if !is_stream && arn.as_ref().is_none_or(|arn| arn.service != "sqs") {
        return Err(error::invalid_parameter_value_exception(
            "Only SQS queues and DynamoDB streams are supported here as event sources.",
        ));
    }
    if arn.is_some_and(|arn| arn.region != region) {
        let message = format!("Event source region must match Lambda region {region}.");
        return Err(error::invalid_parameter_value_exception(message));
    }
    Ok(is_stream)
}

/// What only streams have, and what they must have.
fn check_stream(req: &CreateEventSourceMappingRequest, is_stream: bool) -> Result<(), Error> {
    let invalid = |text: &str| Err(error::invalid_parameter_value_exception(text));
    if !is_stream {
        return match req.starting_position {
            Some(_) => invalid("StartingPosition is not valid for SQS event sources."),
            None => check_queue(&[
                ("bisectBatchOnFunctionError", req.bisect_batch_on_function_error == Some(true)),
                (
                    "destinationConfig",
                    req.destination_config.as_ref().is_some_and(|config| *config != DestinationConfig::default()),
                ),
                ("maximumRecordAgeInSeconds", req.maximum_record_age_in_seconds.is_some()),
                ("maximumRetryAttempts", req.maximum_retry_attempts.is_some()),
                ("parallelizationFactor", req.parallelization_factor.is_some_and(|factor| factor != 1)),
                ("tumblingWindowInSeconds", req.tumbling_window_in_seconds.is_some_and(|window| window != 0)),
            ]),
        };
    }
    if req.scaling_config.as_ref().is_some_and(|config| config.maximum_concurrency.is_some()) {
        return invalid("Unsupported scalingConfig parameter for given event source mapping type.");
    }
    match req.starting_position.as_deref() {
        Some("TRIM_HORIZON" | "LATEST") => {}
        Some("AT_TIMESTAMP") => return invalid("Unsupported starting position for arn type: AT_TIMESTAMP"),
        _ => {
            return invalid(
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
            );
        }
    }
    check_batches(req.parallelization_factor, req.tumbling_window_in_seconds, req.maximum_record_age_in_seconds)
}

/// A window's state is one batch's at a time, and no record is given up within a minute. Source: Lambda API Reference,
/// `CreateEventSourceMapping` ("values less than 60 and greater than -1 … are not allowed").
pub(super) fn check_batches(factor: Option<i32>, window: Option<i32>, age: Option<i32>) -> Result<(), Error> {
    let invalid = |text: &str| Err(error::invalid_parameter_value_exception(text));
    if age.is_some_and(|age| (0..60).contains(&age)) {
        return invalid("MaximumRecordAgeInSeconds must be -1, or 60 to 604800.");
    }
    if factor.is_some_and(|factor| factor > 1) && window.is_some_and(|window| window > 0) {
        return invalid(
            "A ParallelizationFactor other than 1 is not supported here together with TumblingWindowInSeconds.",
        );
    }
    Ok(())
}

/// What queues do not have, by name and whether it is set.
pub(super) fn check_queue(set: &[(&str, bool)]) -> Result<(), Error> {
    match set.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((name, _)) => Err(error::invalid_parameter_value_exception(format!(
            "Unsupported {name} parameter for given event source mapping type."
        ))),
    }
}

pub(super) fn check_sizes(batch: Option<i32>, window: Option<i32>) -> Result<(), Error> {
    if batch.is_some_and(|batch| !(1..=MAX_BATCH).contains(&batch))
        || window.is_some_and(|window| !(0..=MAX_WINDOW_SECONDS).contains(&window))
    {
        return Err(error::invalid_parameter_value_exception(format!(
            "BatchSize must be 1 to {MAX_BATCH}, MaximumBatchingWindowInSeconds 0 to {MAX_WINDOW_SECONDS}."
        )));
    }
    Ok(())
}

pub(super) fn check(batch: Option<i32>, window: Option<i32>) -> Result<(), Error> {
    check_sizes(batch, window)?;
    if batch.is_some_and(|batch| batch > 10) && window.unwrap_or(0) == 0 {
        return Err(error::invalid_parameter_value_exception(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ));
    }
    Ok(())
}
