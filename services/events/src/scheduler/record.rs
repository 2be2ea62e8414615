//! Schedules and groups as records.

use std::collections::BTreeMap;

use api_scheduler::{CreateScheduleInput, GetScheduleOutput, Target, error};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

use crate::expression;

pub(super) const DEFAULT_GROUP: &str = "default";
const OWNER: &str = "scheduler";

/// Where a schedule is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScheduleKey {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) group: String,
    pub(super) name: String,
}

/// A schedule as stored: what GetSchedule answers, and its generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Version of the record's form.
    pub(super) version: u32,
    /// Changes when the schedule does, so that a firing planned before does nothing.
    pub(super) generation: String,
    pub(super) shown: GetScheduleOutput,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created_ms: i64,
    pub(super) tags: BTreeMap<String, String>,
}

impl ScheduleKey {
    pub(super) fn new(cx: &Cx, group: Option<&str>, name: &str) -> Self {
        Self {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            group: group.unwrap_or(DEFAULT_GROUP).to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn arn(&self) -> String {
        Arn::new("scheduler", &self.region, &self.account, format!("schedule/{}/{}", self.group, self.name)).to_string()
    }

    /// Where all schedules of an account and region are.
    pub(super) fn all(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("schedule").push(account).push(region)
    }

    pub(super) fn in_group(&self) -> Key {
        Self::all(&self.account, &self.region).push(&self.group)
    }

    pub(super) fn key(&self) -> Key {
        self.in_group().push(&self.name)
    }

    pub(super) fn find(&self, tx: &mut Tx<'_>) -> Result<Option<Record>, Error> {
        Ok(tx.get_json(self.key())?)
    }

    pub(super) fn load(&self, tx: &mut Tx<'_>) -> Result<Record, Error> {
        self.find(tx)?
            .ok_or_else(|| error::resource_not_found_exception(format!("Schedule {} does not exist.", self.name)))
    }

    pub(super) fn groups(account: &str, region: &str) -> Key {
        Key::new(OWNER).push("group").push(account).push(region)
    }

    /// The group; the default one is always there.
    pub(super) fn group(&self, tx: &mut Tx<'_>) -> Result<Option<Group>, Error> {
        let stored = tx.get_json(Self::groups(&self.account, &self.region).push(&self.group))?;
        let default = || Group {
            version: 1,
            name: self.group.clone(),
            arn: self.group_arn(),
            created_ms: 0,
            tags: BTreeMap::new(),
        };
        Ok(stored.or_else(|| (self.group == DEFAULT_GROUP).then(default)))
    }

    pub(super) fn load_group(&self, tx: &mut Tx<'_>) -> Result<Group, Error> {
        self.group(tx)?.ok_or_else(|| {
            error::resource_not_found_exception(format!("Schedule group {} does not exist.", self.group))
        })
    }

    pub(super) fn group_arn(&self) -> String {
        Arn::new("scheduler", &self.region, &self.account, format!("schedule-group/{}", self.group)).to_string()
    }
}

/// What is asked for, checked, as it will be stored. `created` is kept when a schedule is updated.
pub(super) fn record(
    cx: &Cx,
    place: &ScheduleKey,
    req: CreateScheduleInput,
    created: Timestamp,
) -> Result<Record, Error> {
    check(&req)?;
    let now = wire::Timestamp(cx.now());
    let shown = GetScheduleOutput {
        action_after_completion: Some(req.action_after_completion.unwrap_or_else(|| "NONE".to_owned())),
        arn: Some(place.arn()),
        creation_date: Some(wire::Timestamp(created)),
        description: req.description,
        end_date: req.end_date,
        flexible_time_window: Some(req.flexible_time_window),
        group_name: Some(place.group.clone()),
        kms_key_arn: None,
        last_modification_date: Some(now),
        name: Some(place.name.clone()),
        schedule_expression: Some(req.schedule_expression),
        schedule_expression_timezone: Some(req.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned())),
        start_date: req.start_date,
        state: Some(req.state.unwrap_or_else(|| "ENABLED".to_owned())),
        target: Some(with_retries(req.target)),
    };
    Ok(Record { version: 1, generation: cx.uuid(), shown })
}

/// A target with the retries that it has where it does not say. Source: EventBridge Scheduler API reference, RetryPolicy.
fn with_retries(mut target: Target) -> Target {
    let retry = target.retry_policy.get_or_insert_default();
    retry.maximum_event_age_in_seconds.get_or_insert(86_400);
    retry.maximum_retry_attempts.get_or_insert(185);
    target
}

fn check(req: &CreateScheduleInput) -> Result<(), Error> {
    if !is_name(&req.name) {
        return Err(Error::validation(format!("Invalid schedule name: {}", req.name)));
    }
    if req.kms_key_arn.is_some() {
        return Err(Error::not_implemented("encryption of schedules with KMS keys"));
    }
    expression::parse_of_scheduler(&req.schedule_expression)
        .map_err(|_| Error::validation(format!("Invalid Schedule Expression {}.", req.schedule_expression)))?;
    if let Some(zone) = &req.schedule_expression_timezone {
        TimeZone::get(zone)
            .map_err(|_| Error::validation(format!("The ScheduleExpressionTimezone {zone} is not valid.")))?;
    }
    let window = &req.flexible_time_window;
    match (window.mode.as_str(), window.maximum_window_in_minutes) {
        ("OFF", None) | ("FLEXIBLE", Some(1..=1440)) => {}
        ("OFF", Some(_)) => {
            return Err(Error::validation(
                "MaximumWindowInMinutes must not be set when FlexibleTimeWindow Mode is OFF.",
            ));
        }
        _ => {
            return Err(Error::validation(
                "FlexibleTimeWindow must have Mode OFF, or FLEXIBLE and a MaximumWindowInMinutes from 1 to 1440.",
            ));
        }
    }
    let fits = |value: &Option<String>, known: [&str; 2]| value.as_deref().is_none_or(|value| known.contains(&value));
    if !fits(&req.state, ["ENABLED", "DISABLED"]) || !fits(&req.action_after_completion, ["NONE", "DELETE"]) {
        return Err(Error::validation("State must be ENABLED or DISABLED, and ActionAfterCompletion NONE or DELETE."));
    }
    if let (Some(start), Some(end)) = (req.start_date, req.end_date)
        && start >= end
    {
        return Err(Error::validation("The StartDate must come before the EndDate."));
    }
    let target = Arn::parse(&req.target.arn);
    let known = target.as_ref().is_some_and(|arn| match arn.service.as_str() {
        "states" | "lambda" | "sqs" | "sns" => true,
        "events" => req.target.event_bridge_parameters.is_some(),
        "scheduler" => arn.resource.starts_with("aws-sdk:") && arn.resource.split(':').count() == 3,
        _ => false,
    });
    if !known {
        return Err(Error::validation(format!("Provided Target Arn {} is not supported.", req.target.arn)));
    }
    // Source: Scheduler User Guide, "Configuring a schedule's dead-letter queue".
    let dead = req.target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
    if dead.is_some_and(|arn| arn.strip_suffix(".fifo").is_some()) {
        return Err(Error::validation("A FIFO queue is not supported as a schedule's dead-letter queue."));
    }
    Ok(())
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
