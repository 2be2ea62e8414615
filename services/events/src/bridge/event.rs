//! Events and who gets them: a delivery for each target of each rule that matches, in one transaction.

use api_events::Target;
use pattern::Pattern;
use serde_json::{Value, json};
use store::Tx;
use wire::Error;
use wire::arn::Arn;

use super::rule::{Home, Rule};
use crate::deliver::{Delivery, Kind};
use crate::destination::{Http, Tries};
use crate::transform::{Path, Reserved, fill};

/// EventBridge's defaults.
const MAX_ATTEMPTS: i32 = 185;
const MAX_AGE_SECONDS: i32 = 86_400;

/// What an event is made of.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) detail_type: String,
    pub(super) source: String,
    pub(super) time: jiff::Timestamp,
    pub(super) resources: Vec<String>,
    pub(super) detail: Value,
}

impl Event {
    pub(super) fn to_json(&self, home: &Home) -> Value {
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": home.account,
            "time": self.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": home.region,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

/// Enqueues a delivery for every target that is to get the event.
pub(super) fn dispatch(tx: &mut Tx<'_>, home: &Home, event: &Value, now: jiff::Timestamp) -> Result<(), Error> {
    for rule in home.all(tx)? {
        if matches(&rule, event) {
            send(tx, &rule, event, now)?;
        }
    }
    crate::archive::keep(tx, home, event)
}

/// The same for an event that another bus passed on. `via` tells it from the same event that came by another rule.
pub(crate) fn pass_on(
    tx: &mut Tx<'_>,
    home: &Home,
    event: &Value,
    via: &str,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    for rule in home.all(tx)? {
        if matches(&rule, event) {
            // Source: EventBridge User Guide, "Sending and receiving events between event buses": what came from another bus goes to no third one.
            let targets = rule.targets.iter().filter(|target| !is_bus(&target.arn));
            let rule = Rule { targets: targets.cloned().collect(), ..rule.clone() };
            send_as(tx, &rule, event, &format!("{}/{via}", name(event)), now)?;
        }
    }
    crate::archive::keep(tx, home, event)
}

/// The same for an event of an archive: to these rules, to all where none is named.
pub(crate) fn replay(
    tx: &mut Tx<'_>,
    home: &Home,
    event: &Value,
    rules: &[String],
    now: jiff::Timestamp,
) -> Result<(), Error> {
    for rule in home.all(tx)? {
        if (rules.is_empty() || rules.contains(&rule.arn)) && matches(&rule, event) {
            send(tx, &rule, event, now)?;
        }
    }
    Ok(())
}

fn is_bus(target: &str) -> bool {
    Arn::parse(target).and_then(|arn| Kind::of(&arn)) == Some(Kind::Bus)
}

pub(super) fn matches(rule: &Rule, event: &Value) -> bool {
    let pattern = rule.pattern.as_deref().and_then(|text| Pattern::parse(text).ok());
    rule.is_enabled() && pattern.is_some_and(|pattern| pattern.matches(event))
}

/// Enqueues a delivery for every target of the rule.
pub(super) fn send(tx: &mut Tx<'_>, rule: &Rule, event: &Value, now: jiff::Timestamp) -> Result<(), Error> {
    send_as(tx, rule, event, &name(event), now)
}

/// What names an event's deliveries: one that is brought again is another delivery.
fn name(event: &Value) -> String {
    let id = event["id"].as_str().unwrap_or_default();
    match event["replay-name"].as_str() {
        Some(replay) => format!("{id}/{replay}"),
        None => id.to_owned(),
    }
}

fn send_as(tx: &mut Tx<'_>, rule: &Rule, event: &Value, id: &str, now: jiff::Timestamp) -> Result<(), Error> {
    for (position, target) in rule.targets.iter().enumerate() {
        let retry = target.retry_policy.clone().unwrap_or_default();
        let delivery = Delivery {
            id: format!("{id}/{}/{}/{}", rule.bus, rule.name, target.id),
            account: rule.account.clone(),
            region: rule.region.clone(),
            source_arn: rule.arn.clone(),
            target_arn: target.arn.clone(),
            role_arn: target.role_arn.clone().or_else(|| rule.role_arn.clone()),
            input: input(rule, target, event, now),
            group: target.sqs_parameters.clone().and_then(|sqs| sqs.message_group_id),
            event: None,
            dead_letter_arn: target.dead_letter_config.clone().and_then(|config| config.arn),
            max_attempts: u32::try_from(retry.maximum_retry_attempts.unwrap_or(MAX_ATTEMPTS)).unwrap_or(0),
            max_age_seconds: i64::from(retry.maximum_event_age_in_seconds.unwrap_or(MAX_AGE_SECONDS)),
            http: http(target, event),
            tries: Tries::default(),
            scheduled: None,
            is_first: position == 0,
        };
        delivery.enqueue(tx)?;
    }
    Ok(())
}

/// How an API destination is called for the event: parameters that are paths are looked up in it.
fn http(target: &Target, event: &Value) -> Option<Http> {
    let kind = Arn::parse(&target.arn).and_then(|arn| Kind::of(&arn));
    kind.filter(|kind| *kind == Kind::ApiDestination)?;
    let given = target.http_parameters.clone().unwrap_or_default();
    let value = |given: &str| match given.starts_with("$.").then(|| Path::parse(given).ok()).flatten() {
        Some(path) => path.get(event).map(|found| match found {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        None => Some(given.to_owned()),
    };
    Some(Http::new(given.path_parameter_values, given.header_parameters, given.query_string_parameters, value))
}

/// What the target receives of the event.
fn input(rule: &Rule, target: &Target, event: &Value, now: jiff::Timestamp) -> String {
    if let Some(input) = &target.input {
        return input.clone();
    }
    if let Some(path) = &target.input_path {
        let found = Path::parse(path).ok().and_then(|path| path.get(event).cloned());
        return found.unwrap_or_else(|| json!({})).to_string();
    }
    let Some(transformer) = &target.input_transformer else { return event.to_string() };
    let paths = transformer.input_paths_map.iter().flatten();
    let paths: Vec<(String, Path)> =
        paths.filter_map(|(name, path)| Some((name.clone(), Path::parse(path).ok()?))).collect();
    let ingestion_time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let reserved = Reserved { rule_arn: &rule.arn, rule_name: &rule.name, ingestion_time: &ingestion_time };
    fill(&transformer.input_template, &paths, event, &reserved)
}
