//! What AWS refuses of a function's configuration.

use std::collections::BTreeMap;

use api_lambda::{
    DeadLetterConfig, DestinationConfig, EphemeralStorage, FileSystemConfig, LoggingConfig, SnapStart, error,
};
use wire::Error;
use wire::arn::Arn;

use crate::config::Config;
use crate::prepare::Language;

/// Set by the platform.
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];
const MAX_VARIABLES_BYTES: usize = 4096;

pub(crate) fn runtime(runtime: &str) -> Result<(), Error> {
    if Language::of(runtime).is_some() {
        return Ok(());
    }
    Err(error::invalid_parameter_value_exception(format!(
        "The runtime parameter of {runtime} is not supported here: use python3.8 to python3.14, nodejs18.x to nodejs24.x, or \
         provided.al2023 with a bootstrap in the archive."
    )))
}

pub(crate) fn timeout(seconds: i32) -> Result<(), Error> {
    within("timeout", seconds, 1, 900)
}

pub(crate) fn memory_size(megabytes: i32) -> Result<(), Error> {
    within("memorySize", megabytes, 128, 10_240)
}

fn within(name: &str, value: i32, least: i32, most: i32) -> Result<(), Error> {
    let relation = match value {
        value if value < least => format!("greater than or equal to {least}"),
        value if value > most => format!("less than or equal to {most}"),
        _ => return Ok(()),
    };
    Err(Error::validation(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have value {relation}"
    )))
}

pub(crate) fn variables(variables: &BTreeMap<String, String>) -> Result<(), Error> {
    let refused = |why: String| {
        error::invalid_parameter_value_exception(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided {why}"
        ))
    };
    let reserved: Vec<_> = RESERVED.iter().filter(|name| variables.contains_key(**name)).copied().collect();
    if !reserved.is_empty() {
        return Err(refused(format!(
            "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let valid = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some(name) = variables.keys().find(|name| !valid(name)) {
        return Err(Error::validation(format!(
            "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy \
             constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]: {name}"
        )));
    }
    if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
        return Err(error::invalid_parameter_value_exception(format!("The value of {name} contains a NUL character")));
    }
    if variables.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_VARIABLES_BYTES {
        return Err(refused("exceeded the 4KB limit.".to_owned()));
    }
    Ok(())
}

/// Each file system needs a folder of the host that stands for it.
pub(crate) fn file_systems(systems: &[FileSystemConfig], config: &Config) -> Result<(), Error> {
    match systems.iter().find(|system| !config.mounts.contains_key(&system.local_mount_path)) {
        None => Ok(()),
        Some(system) => Err(error::invalid_parameter_value_exception(format!(
            "No folder stands for the file system at {0}: name one in lakerun.toml, [lambda] mounts = {{ \"{0}\" = \"/a/folder\" }}.",
            system.local_mount_path
        ))),
    }
}

/// The size of `/tmp`.
pub(crate) fn storage(storage: Option<&EphemeralStorage>) -> Result<(), Error> {
    storage.map_or(Ok(()), |storage| within("ephemeralStorage.size", storage.size, 512, 10_240))
}

pub(crate) fn snap_start(snap: Option<&SnapStart>) -> Result<(), Error> {
    match snap.and_then(|snap| snap.apply_on.as_deref()) {
        None | Some("None") => Ok(()),
        Some(other) => Err(error::invalid_parameter_value_exception(format!(
            "SnapStart is not supported here: ApplyOn {other} cannot be obeyed. Leave it out, or keep environments warm with provisioned concurrency."
        ))),
    }
}

/// Levels filter JSON alone; where a log group lies is checked by the model.
pub(crate) fn logging(logging: &LoggingConfig) -> Result<(), Error> {
    let has_level = logging.application_log_level.is_some() || logging.system_log_level.is_some();
    if has_level && logging.log_format.as_deref() != Some("JSON") {
        return Err(error::invalid_parameter_value_exception(
            "To configure log levels, the log format must be JSON: ApplicationLogLevel and SystemLogLevel have no effect on Text.",
        ));
    }
    Ok(())
}

/// Where an event goes that was given up, without a word of what became of it. Source: Lambda Developer Guide, "Adding a dead-letter queue".
pub(crate) fn dead_letter(region: &str, config: Option<&DeadLetterConfig>) -> Result<(), Error> {
    served(region, config.and_then(|config| config.target_arn.as_deref()), &["sqs", "sns"])
}

/// Where results of events go. Source: Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations".
pub(crate) fn destinations(region: &str, config: Option<&DestinationConfig>) -> Result<(), Error> {
    const SERVED: [&str; 4] = ["sqs", "sns", "lambda", "events"];
    let Some(config) = config else { return Ok(()) };
    served(region, config.on_success.as_ref().and_then(|success| success.destination.as_deref()), &SERVED)?;
    served(region, config.on_failure.as_ref().and_then(|failure| failure.destination.as_deref()), &SERVED)
}

/// Where a stream's batches go that were given up. Source: Lambda Developer Guide, "Retain discarded batch records".
pub(crate) fn stream_destination(region: &str, config: Option<&DestinationConfig>) -> Result<(), Error> {
    let on_failure = config.and_then(|config| config.on_failure.as_ref());
    served(region, on_failure.and_then(|failure| failure.destination.as_deref()), &["sqs", "sns", "s3"])
}

fn served(region: &str, target: Option<&str>, services: &[&str]) -> Result<(), Error> {
    let Some(target) = target.filter(|target| !target.is_empty()) else { return Ok(()) };
    match Arn::parse(target) {
        // It would be looked for by its name in the function's own region.
        Some(arn) if services.contains(&arn.service.as_str()) && arn.service != "s3" && arn.region != region => {
            Err(error::invalid_parameter_value_exception(format!(
                "The destination ARN {target} is invalid. It must be of the function's region, {region}."
            )))
        }
        // A record has no group. Source: Lambda Developer Guide, "Capturing records of asynchronous invocations" (standard queues and topics).
        Some(arn) if matches!(arn.service.as_str(), "sqs" | "sns") && arn.resource.strip_suffix(".fifo").is_some() => {
            Err(error::invalid_parameter_value_exception(format!(
                "The destination ARN {target} is invalid. FIFO queues and topics are not supported."
            )))
        }
        Some(arn) if services.contains(&arn.service.as_str()) => Ok(()),
        Some(arn) if arn.service == "s3" => Err(Error::not_implemented("a bucket as the destination of a function")),
        _ => Err(error::invalid_parameter_value_exception(format!(
            "The destination {target} is not supported: it must be the ARN of one of {}.",
            services.join(", ")
        ))),
    }
}

/// A change made under the condition that nothing changed before.
pub(crate) fn revision(wanted: Option<&str>, current: Option<&str>) -> Result<(), Error> {
    if wanted.is_none_or(|wanted| Some(wanted) == current) {
        return Ok(());
    }
    Err(error::precondition_failed_exception(
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve the latest RevisionId for your resource.",
    ))
}

#[cfg(test)]
mod tests {
    use api_lambda::OnFailure;

    use super::*;

    #[test]
    fn what_is_refused() {
        assert!(runtime("python3.12").is_ok() && runtime("provided.al2023").is_ok());
        assert!(runtime("nodejs22.x").is_ok() && runtime("nodejs18.x").is_ok());
        assert!(runtime("python2.7").is_err() && runtime("python3.99").is_err() && runtime("nodejs12.x").is_err());
        assert!(runtime("java21").is_err() && runtime("nodejs22").is_err());
        let target = |arn: &str| dead_letter("eu-west-1", Some(&DeadLetterConfig { target_arn: Some(arn.to_owned()) }));
        assert!(target("").is_ok() && target("arn:aws:sqs:eu-west-1:000000000000:q").is_ok());
        assert!(target("arn:aws:sqs:us-east-1:000000000000:q").unwrap_err().message().contains("region, eu-west-1"));
        assert_eq!(target("arn:aws:s3:::b").unwrap_err().code(), "NotImplemented");
        assert_eq!(
            target("arn:aws:lambda:eu-west-1:000000000000:function:f").unwrap_err().code(),
            "InvalidParameterValueException"
        );
        assert_eq!(target("q").unwrap_err().code(), "InvalidParameterValueException");
        assert!(timeout(0).is_err() && timeout(901).is_err() && timeout(900).is_ok());
        let one = |name: &str, value: &str| variables(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert!(one("A", "b").is_ok());
        assert!(one("AWS_REGION", "b").unwrap_err().to_string().contains("reserved keys"));
        assert!(one("1A", "b").is_err());
        assert!(one("A", &"b".repeat(4096)).unwrap_err().to_string().contains("4KB"));
    }

    #[test]
    fn records_go_to_standard_queues_and_topics() {
        let to = |arn: &str| {
            let failure = OnFailure { destination: Some(arn.to_owned()) };
            let config = DestinationConfig { on_failure: Some(failure), ..DestinationConfig::default() };
            let dead = DeadLetterConfig { target_arn: Some(arn.to_owned()) };
            [
                destinations("eu-west-1", Some(&config)).is_ok(),
                stream_destination("eu-west-1", Some(&config)).is_ok(),
                dead_letter("eu-west-1", Some(&dead)).is_ok(),
            ]
        };
        for service in ["sqs", "sns"] {
            assert_eq!(to(&format!("arn:aws:{service}:eu-west-1:000000000000:n")), [true; 3]);
            assert_eq!(to(&format!("arn:aws:{service}:eu-west-1:000000000000:n.fifo")), [false; 3]);
        }
    }
}
