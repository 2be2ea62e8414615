//! Alarms by which operations on a stack go back (`RollbackConfiguration`). Source: CloudFormation API Reference, RollbackConfiguration:
//! "If a specified trigger is missing, the entire stack operation fails and is rolled back".

use std::time::Duration;

use api_cloudformation as api;
use serde_json::json;
use service::Cx;

use crate::Result;
use crate::parameters::text;
use crate::records::{StackRecord, Triggers};
use crate::template::validation;

/// Between two looks after the last resource.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
const TYPES: [&str; 2] = ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"];

/// Those of a request.
pub(crate) fn given(configuration: Option<api::RollbackConfiguration>) -> Result<Option<Triggers>> {
    let Some(configuration) = configuration else { return Ok(None) };
    let alarms = configuration.rollback_triggers.unwrap_or_default();
    let alarms: Vec<(String, String)> = alarms.into_iter().map(|trigger| (trigger.arn, trigger.r#type)).collect();
    if let Some((_, kind)) = alarms.iter().find(|(_, kind)| !TYPES.contains(&kind.as_str())) {
        return Err(validation(format!("Rollback trigger type {kind} is not supported")));
    }
    Ok(Some(Triggers { alarms, minutes: configuration.monitoring_time_in_minutes }))
}

pub(crate) fn told(triggers: Option<&Triggers>) -> api::RollbackConfiguration {
    let alarms = triggers.map(|triggers| {
        let alarms = triggers.alarms.iter().cloned();
        alarms.map(|(arn, kind)| api::RollbackTrigger { arn, r#type: kind }).collect()
    });
    api::RollbackConfiguration {
        rollback_triggers: alarms.filter(|alarms: &Vec<_>| !alarms.is_empty()),
        monitoring_time_in_minutes: triggers.and_then(|triggers| triggers.minutes),
    }
}

/// Why the operation is to go back, where one of the stack's alarms has gone off, or is not there.
pub(crate) async fn pulled(cx: &Cx, stack: &StackRecord) -> Result<Option<String>> {
    let alarms = stack.triggers.iter().flat_map(|triggers| &triggers.alarms);
    let names: Vec<(&str, &String)> =
        alarms.map(|(arn, _)| (arn.split_once(":alarm:").map_or(arn.as_str(), |(_, name)| name), arn)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let asked: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let input = json!({ "AlarmNames": asked, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
    let output = match cx.without_task().call_json("cloudwatch", "describeAlarms", input).await {
        Err(error) if error.status() < 500 => {
            return Ok(Some(format!("The rollback triggers cannot be looked at: {}", error.message())));
        }
        output => output?,
    };
    let lists = ["MetricAlarms", "CompositeAlarms"];
    let found = lists.iter().flat_map(|list| output[*list].as_array().into_iter().flatten());
    let states: Vec<(String, String)> =
        found.map(|alarm| (text(&alarm["AlarmArn"]), text(&alarm["StateValue"]))).collect();
    for (_, arn) in names {
        match states.iter().find(|(own, _)| own == arn) {
            None => return Ok(Some(format!("Rollback trigger {arn} does not exist. "))),
            Some((_, state)) if state == "ALARM" => {
                return Ok(Some(format!("Rollback trigger {arn} is in ALARM state. ")));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}
