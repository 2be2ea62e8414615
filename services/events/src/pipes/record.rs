//! Pipes as records, checked.

use api_pipes::{
    CreatePipeRequest, DescribePipeResponse, Filter, FilterCriteria, PipeSourceDynamoDBStreamParameters,
    PipeSourceParameters, PipeSourceSqsQueueParameters, PipeTargetParameters, error,
};
use jiff::Timestamp;
use pattern::Pattern;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, NewTask, Tx};
use wire::Error;
use wire::arn::Arn;

use super::run::RUN;
use super::{template, trace};

const OWNER: &str = "pipes";
pub(super) const RUNNING: &str = "RUNNING";
pub(super) const STOPPED: &str = "STOPPED";
/// AWS's quota.
const MAX_FILTERS: usize = 5;

/// Where a pipe is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PipeKey {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) name: String,
}

/// A pipe as stored: what DescribePipe answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Version of the record's form.
    pub(super) version: u32,
    /// Of this pipe, and of none of its name that was before: positions in streams are kept under it.
    pub(super) id: String,
    pub(super) shown: DescribePipeResponse,
}

impl PipeKey {
    pub(super) fn new(cx: &Cx, name: &str) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned(), name: name.to_owned() }
    }

    pub(super) fn of_arn(arn: &str) -> Result<Self, Error> {
        let place = || {
            let parsed = Arn::parse(arn)?;
            let name = parsed.resource.strip_prefix("pipe/")?.to_owned();
            Some(Self { account: parsed.account, region: parsed.region, name })
        };
        // What was authorized is the whole ARN, not a part of it.
        let place = place().filter(|place| !place.name.contains('/') && place.arn() == arn);
        place.ok_or_else(|| error::not_found_exception(format!("Resource {arn} does not exist.")))
    }

    pub(super) fn arn(&self) -> String {
        Arn::new("pipes", &self.region, &self.account, format!("pipe/{}", self.name)).to_string()
    }

    pub(super) fn all(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("pipe").push(account).push(region)
    }

    pub(super) fn key(&self) -> Key {
        Self::all(&self.account, &self.region).push(&self.name)
    }

    pub(super) fn load(&self, tx: &mut Tx<'_>) -> Result<Record, Error> {
        let missing = || error::not_found_exception(format!("Pipe {} does not exist.", self.name));
        tx.get_json(self.key())?.ok_or_else(missing)
    }

    fn task(&self) -> String {
        format!("{RUN}/{}/{}/{}", self.account, self.region, self.name)
    }

    /// Keeps the pipe, and runs it or not as it says; what ran before ends.
    pub(super) fn save(&self, tx: &mut Tx<'_>, record: &Record) -> Result<(), Error> {
        tx.put_json(self.key(), record)?;
        self.halt(tx)?;
        if record.is_running() {
            tx.enqueue(NewTask::new(RUN, self.task()).payload(self)?)?;
        }
        Ok(())
    }

    /// Ends what runs.
    pub(super) fn halt(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.cancel_task(&self.task())?)
    }
}

/// Where a pipe has come to in its stream.
pub(super) fn position(id: &str) -> Key {
    Key::new(OWNER).push("position").push(id)
}

impl Record {
    pub(super) fn is_running(&self) -> bool {
        self.shown.desired_state.as_deref() == Some(RUNNING)
    }

    /// Tells the state that is wanted as the one that it has: nothing is to be waited for.
    pub(super) fn want(&mut self, state: &str, now: Timestamp) {
        self.shown.desired_state = Some(state.to_owned());
        self.shown.current_state = Some(state.to_owned());
        self.shown.state_reason = Some("USER_INITIATED".to_owned());
        self.shown.last_modified_time = Some(now.into());
    }

    pub(super) fn new(cx: &Cx, place: &PipeKey, req: CreatePipeRequest) -> Result<Self, Error> {
        let source_parameters = source_parameters(&req.source, req.source_parameters.unwrap_or_default())?;
        let now = cx.now();
        let mut record = Self {
            version: 1,
            id: cx.uuid(),
            shown: DescribePipeResponse {
                arn: Some(place.arn()),
                name: Some(req.name),
                description: req.description,
                source: Some(req.source),
                source_parameters: Some(source_parameters),
                enrichment: req.enrichment.filter(|arn| !arn.is_empty()),
                enrichment_parameters: req.enrichment_parameters,
                target: Some(req.target),
                target_parameters: req.target_parameters,
                role_arn: Some(req.role_arn),
                tags: req.tags,
                log_configuration: req.log_configuration.map(trace::configured).transpose()?,
                creation_time: Some(now.into()),
                ..DescribePipeResponse::default()
            },
        };
        record.want(req.desired_state.as_deref().unwrap_or(RUNNING), now);
        record.check()?;
        Ok(record)
    }

    /// Fails where a part of the pipe is none that is served.
    pub(super) fn check(&self) -> Result<(), Error> {
        let shown = &self.shown;
        let parsed = |arn: &Option<String>| arn.as_deref().and_then(Arn::parse);
        if let Some(enrichment) = &shown.enrichment {
            let kind = parsed(&shown.enrichment).map(|arn| kind(&arn)).unwrap_or_default();
            if !matches!(kind.as_str(), "lambda:function" | "states:stateMachine" | "events:api-destination") {
                return Err(Error::not_implemented(format!("a pipe's enrichment by {enrichment}")));
            }
            let own = shown.enrichment_parameters.as_ref();
            if kind != "events:api-destination" && own.is_some_and(|own| own.http_parameters.is_some()) {
                let message =
                    format!("EnrichmentParameters.HttpParameters is not a parameter of the enrichment {enrichment}.");
                return Err(invalid(message));
            }
        }
        let target = shown.target.as_deref().unwrap_or_default();
        let kind = parsed(&shown.target).map(|arn| kind(&arn)).unwrap_or_default();
        let own = match kind.as_str() {
            "lambda:function" => "LambdaFunctionParameters",
            "states:stateMachine" => "StepFunctionStateMachineParameters",
            "sqs" => "SqsQueueParameters",
            "events:event-bus" => "EventBridgeEventBusParameters",
            "events:api-destination" => "HttpParameters",
            "logs:log-group" => "CloudWatchLogsParameters",
            "sns" => "",
            _ => return Err(Error::not_implemented(format!("a pipe's target {target}"))),
        };
        // Source: EventBridge User Guide, "Amazon EventBridge Pipes targets" (topics of FIFO are not supported).
        if kind == "sns" && target.strip_suffix(".fifo").is_some() {
            return Err(invalid(format!("The target {target} is a FIFO topic, which pipes do not support.")));
        }
        let parameters = shown.target_parameters.clone().unwrap_or_default();
        if let Some(foreign) = given(&parameters).into_iter().find(|name| *name != own) {
            return Err(invalid(format!("TargetParameters.{foreign} is not a parameter of the target {target}.")));
        }
        let enrichment = shown.enrichment_parameters.as_ref().and_then(|given| given.input_template.as_deref());
        for text in [enrichment, parameters.input_template.as_deref()].into_iter().flatten() {
            template::check(text).map_err(|error| invalid(error.0))?;
        }
        Ok(())
    }
}

/// `lambda:function`, `sqs`: service and, where it has one, type.
pub(super) fn kind(arn: &Arn) -> String {
    match arn.service.as_str() {
        "sqs" | "sns" => arn.service.clone(),
        service => format!("{service}:{}", arn.resource.split([':', '/']).next().unwrap_or_default()),
    }
}

/// The same of an ARN's text.
pub(super) fn kind_of(arn: &str) -> String {
    Arn::parse(arn).map(|arn| kind(&arn)).unwrap_or_default()
}

fn given(parameters: &PipeTargetParameters) -> Vec<&'static str> {
    [
        ("LambdaFunctionParameters", parameters.lambda_function_parameters.is_some()),
        ("StepFunctionStateMachineParameters", parameters.step_function_state_machine_parameters.is_some()),
        ("SqsQueueParameters", parameters.sqs_queue_parameters.is_some()),
        ("EventBridgeEventBusParameters", parameters.event_bridge_event_bus_parameters.is_some()),
        ("HttpParameters", parameters.http_parameters.is_some()),
        ("CloudWatchLogsParameters", parameters.cloud_watch_logs_parameters.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, given)| given.then_some(name))
    .collect()
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    error::validation_exception(message)
}

/// With what AWS sets where nothing is said.
pub(super) fn source_parameters(source: &str, given: PipeSourceParameters) -> Result<PipeSourceParameters, Error> {
    filters(given.filter_criteria.as_ref())?;
    let arn = Arn::parse(source);
    let mut parameters = PipeSourceParameters {
        // None is told where there are none: Terraform takes filters away by an empty list of them.
        filter_criteria: given
            .filter_criteria
            .filter(|criteria| criteria.filters.as_ref().is_some_and(|all| !all.is_empty())),
        ..PipeSourceParameters::default()
    };
    match arn.as_ref().map(|arn| arn.service.as_str()) {
        Some("sqs") => {
            if given.dynamo_db_stream_parameters.is_some() {
                return Err(invalid("SourceParameters.DynamoDBStreamParameters is not a parameter of a queue."));
            }
            let own = given.sqs_queue_parameters.unwrap_or_default();
            let (size, window) = (own.batch_size.unwrap_or(10), own.maximum_batching_window_in_seconds.unwrap_or(0));
            if size > 10 && window == 0 {
                return Err(invalid(
                    "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
                ));
            }
            parameters.sqs_queue_parameters = Some(PipeSourceSqsQueueParameters {
                batch_size: Some(size),
                maximum_batching_window_in_seconds: Some(window),
            });
        }
        Some("dynamodb") if source.contains("/stream/") => {
            if given.sqs_queue_parameters.is_some() {
                return Err(invalid("SourceParameters.SqsQueueParameters is not a parameter of a stream."));
            }
            let own = given.dynamo_db_stream_parameters;
            let own =
                own.ok_or_else(|| invalid("SourceParameters.DynamoDBStreamParameters must be given for a stream."))?;
            if let Some(target) = own.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref())
                && Arn::parse(target).is_none_or(|arn| !matches!(arn.service.as_str(), "sqs" | "sns"))
            {
                return Err(invalid("DeadLetterConfig.Arn must be of a queue or a topic."));
            }
            if own.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref()).is_some_and(is_fifo) {
                return Err(invalid(
                    "DeadLetterConfig.Arn must be of a standard queue or topic: FIFO is not supported.",
                ));
            }
            parameters.dynamo_db_stream_parameters = Some(PipeSourceDynamoDBStreamParameters {
                batch_size: own.batch_size.or(Some(100)),
                maximum_batching_window_in_seconds: own.maximum_batching_window_in_seconds.or(Some(0)),
                maximum_record_age_in_seconds: own.maximum_record_age_in_seconds.or(Some(-1)),
                maximum_retry_attempts: own.maximum_retry_attempts.or(Some(-1)),
                parallelization_factor: own.parallelization_factor.or(Some(1)),
                ..own
            });
        }
        _ => return Err(Error::not_implemented(format!("a pipe's source {source}"))),
    }
    Ok(parameters)
}

fn is_fifo(arn: &str) -> bool {
    arn.strip_suffix(".fifo").is_some()
}

/// The patterns of which one must match; none: all is wanted.
pub(super) fn filters(criteria: Option<&FilterCriteria>) -> Result<Vec<Pattern>, Error> {
    let filters = criteria.and_then(|criteria| criteria.filters.as_deref()).unwrap_or_default();
    if filters.len() > MAX_FILTERS {
        return Err(invalid(format!("Cannot have more than {MAX_FILTERS} filters in FilterCriteria.")));
    }
    let parse = |filter: &Filter| {
        Pattern::parse(filter.pattern.as_deref().unwrap_or_default())
            .map_err(|error| invalid(format!("Event pattern is not valid. Reason: {error}")))
    };
    filters.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_arns_are_of_pipes() {
        let key = PipeKey::of_arn("arn:aws:pipes:us-east-1:000000000000:pipe/mine").unwrap();
        assert_eq!((key.account.as_str(), key.name.as_str()), ("000000000000", "mine"));
        for other in [
            "arn:aws:pipes:us-east-1:000000000000:pipe/other/mine",
            "arn:aws-x:pipes:us-east-1:000000000000:pipe/mine",
            "arn:aws:sqs:us-east-1:000000000000:pipe/mine",
            "arn:aws:pipes:us-east-1:000000000000:mine",
        ] {
            assert!(PipeKey::of_arn(other).is_err(), "{other}");
        }
    }

    #[test]
    fn dead_letters_are_standard() {
        let source = "arn:aws:dynamodb:eu-west-1:000000000000:table/t/stream/2024-01-01T00:00:00.000";
        for (arn, taken) in [
            ("arn:aws:sqs:eu-west-1:000000000000:q", true),
            ("arn:aws:sqs:eu-west-1:000000000000:q.fifo", false),
            ("arn:aws:sns:eu-west-1:000000000000:t.fifo", false),
        ] {
            let config = api_pipes::DeadLetterConfig { arn: Some(arn.to_owned()) };
            let own = PipeSourceDynamoDBStreamParameters {
                starting_position: "LATEST".to_owned(),
                dead_letter_config: Some(config),
                ..PipeSourceDynamoDBStreamParameters::default()
            };
            let given =
                PipeSourceParameters { dynamo_db_stream_parameters: Some(own), ..PipeSourceParameters::default() };
            assert_eq!(source_parameters(source, given).is_ok(), taken, "{arn}");
        }
    }
}
