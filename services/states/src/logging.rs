//! What a machine's loggingConfiguration asks for: whether it may be so, and where history goes.

use api_states::{LoggingConfiguration, error};
use engine::{Level, Logging};
use serde_json::json;
use service::Cx;
use wire::Error;
use wire::arn::Arn;

/// The stream by which AWS tries whether it may write to a log group.
const TRIAL_STREAM: &str = "log_stream_created_by_aws_to_validate_log_delivery_subscriptions";

/// Refuses a configuration that leads nowhere, in AWS's words.
pub(crate) async fn check(cx: &Cx, asked: Option<&LoggingConfiguration>) -> Result<(), Error> {
    let Some(asked) = asked else { return Ok(()) };
    let destinations = asked.destinations.as_deref().unwrap_or_default();
    let on = asked.level.as_deref().is_some_and(|level| level != "OFF");
    if destinations.len() > 1 || (on && destinations.is_empty()) {
        return Err(invalid("Must specify exactly one Log Destination."));
    }
    // What nothing is sent to is not looked for.
    if !on || destinations.is_empty() {
        return Ok(());
    }
    let place = (cx.account(), cx.region());
    let Some(group) = log_group(asked, Some(place)) else { return Err(invalid("Log Destination not found.")) };
    if cx.router().find("logs", "CreateLogStream").is_some() {
        let request = json!({"LogGroupName": group, "LogStreamName": TRIAL_STREAM});
        match cx.as_platform().call_json("logs", "createLogStream", request).await {
            Err(error) if !error.is("ResourceAlreadyExistsException") => {
                return Err(invalid("Log Destination not found."));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where a machine's executions log, where they do.
pub(crate) fn of(configuration: &LoggingConfiguration) -> Option<Logging> {
    let level = match configuration.level.as_deref()? {
        "ALL" => Level::All,
        "ERROR" => Level::Error,
        "FATAL" => Level::Fatal,
        _ => return None,
    };
    let include_data = configuration.include_execution_data == Some(true);
    Some(Logging { level, include_data, log_group: log_group(configuration, None)? })
}

/// `arn:aws:logs:us-east-1:000000000000:log-group:NAME:*`, in that account and region where they are given: lines go to no other.
fn log_group(configuration: &LoggingConfiguration, place: Option<(&str, &str)>) -> Option<String> {
    let destination = configuration.destinations.as_deref()?.first()?;
    let text = destination.cloud_watch_logs_log_group.as_ref()?.log_group_arn.as_ref()?;
    let arn = Arn::parse(text).filter(|arn| arn.service == "logs")?;
    if place.is_some_and(|(account, region)| arn.account != account || arn.region != region) {
        return None;
    }
    let name = arn.resource.strip_prefix("log-group:")?;
    Some(name.strip_suffix(":*").unwrap_or(name).to_owned()).filter(|name| !name.is_empty())
}

fn invalid(what: &str) -> Error {
    error::invalid_logging_configuration(format!("Invalid Logging Configuration: {what}"))
}

#[cfg(test)]
mod tests {
    use api_states::{CloudWatchLogsLogGroup, LogDestination, LoggingConfiguration};
    use engine::Level;

    use super::of;

    #[test]
    fn the_group_is_named_by_its_arn() {
        let configuration = |level: &str, arn: &str| LoggingConfiguration {
            level: Some(level.to_owned()),
            include_execution_data: Some(true),
            destinations: Some(vec![LogDestination {
                cloud_watch_logs_log_group: Some(CloudWatchLogsLogGroup { log_group_arn: Some(arn.to_owned()) }),
            }]),
        };
        let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/vendedlogs/states/g:*";
        let logging = of(&configuration("ERROR", arn)).unwrap();
        assert_eq!(
            (logging.log_group.as_str(), logging.level, logging.include_data),
            ("/aws/vendedlogs/states/g", Level::Error, true)
        );
        assert!(of(&configuration("OFF", arn)).is_none() && of(&configuration("ALL", "arn:aws:s3:::b")).is_none());
    }
}
