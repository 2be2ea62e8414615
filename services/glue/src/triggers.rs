//! Triggers: what starts jobs and crawlers, on demand, by a schedule, or when others have ended.
//!
//! A conditional trigger looks only at what triggers have started, as on AWS: "Dependent jobs are only started if the job which
//! completes was started by a trigger" (AWS Glue Developer Guide, "AWS Glue triggers"). What it has seen is kept in its record, in the
//! transaction that records the end, so an end counts once. Triggers of a workflow begin its runs and look at what those start
//! (`crate::workflows`), also those by events (`crate::workflows::events`).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use api_glue::{Action, Condition, Predecessor, Predicate, StartJobRunRequest, Trigger, TriggerUpdate};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use store::{Done, Key, NewTask, Queue, Runner, Task, Tx};
use wire::Error;

use crate::Glue;
use crate::crawlers::{self, Cron};
use crate::jobs::{self, Origin};
use crate::scope::Scope;
use crate::workflows;

const VERSION: u32 = 1;
const AT_ONCE: usize = 4;
const CRAWL_STATES: [&str; 3] = ["SUCCEEDED", "FAILED", "CANCELLED"];
const JOB_STATES: [&str; 4] = ["SUCCEEDED", "STOPPED", "TIMEOUT", "FAILED"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) trigger: Trigger,
    /// The conditions, by their place, that were met since it last fired.
    #[serde(default)]
    met: BTreeMap<String, Predecessor>,
}

pub(crate) fn register(queue: &Queue, service: &Arc<Glue>) {
    queue.register("glue:trigger-schedule", AT_ONCE, Arc::new(ScheduleRunner(Arc::clone(service))));
    queue.register(workflows::events::WINDOW, AT_ONCE, Arc::new(workflows::events::WindowRunner(Arc::clone(service))));
}

pub(crate) fn all(scope: &Scope) -> Key {
    scope.key("trigger")
}

pub(crate) fn key(scope: &Scope, name: &str) -> Key {
    all(scope).push(name)
}

pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn(&format!("trigger/{name}"))
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Record, Error> {
    tx.get_json(key(scope, name))?
        .ok_or_else(|| entity_not_found_exception(format!("Trigger with name: {name} not found.")))
}

impl Record {
    /// # Errors
    /// `InvalidInputException` where the kind of trigger lacks what it goes by.
    pub(crate) fn new(trigger: Trigger) -> Result<Self, Error> {
        let invalid = |message: &str| Err(invalid_input_exception(message));
        match trigger.r#type.as_deref().unwrap_or_default() {
            "ON_DEMAND" => {}
            "SCHEDULED" => match &trigger.schedule {
                Some(schedule) => drop(Cron::parse(schedule)?),
                None => return invalid("A trigger of type SCHEDULED needs a Schedule"),
            },
            "CONDITIONAL" => check_predicate(trigger.predicate.as_ref())?,
            _ if trigger.workflow_name.is_none() => {
                return invalid("A trigger of type EVENT starts a workflow: it needs a WorkflowName");
            }
            _ => {}
        }
        if trigger.event_batching_condition.is_some() && trigger.r#type.as_deref() != Some("EVENT") {
            return invalid("EventBatchingCondition is for triggers of type EVENT");
        }
        for action in trigger.actions.iter().flatten() {
            if action.job_name.is_some() == action.crawler_name.is_some() {
                return invalid("An action names either a job or a crawler");
            }
        }
        Ok(Self { version: VERSION, trigger, met: BTreeMap::new() })
    }

    pub(crate) fn name(&self) -> &str {
        self.trigger.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.trigger.r#type.as_deref() == Some(kind)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        let timeless = |trigger: &Trigger| Trigger { state: None, ..trigger.clone() };
        timeless(&self.trigger) == timeless(&other.trigger)
    }

    pub(crate) fn starts(&self, job: &str) -> bool {
        self.trigger.actions.iter().flatten().any(|action| action.job_name.as_deref() == Some(job))
    }

    pub(crate) fn set_state(&mut self, state: &str) {
        self.trigger.state = Some(state.to_owned());
    }

    /// What an update leaves out stays.
    pub(crate) fn updated(&self, update: TriggerUpdate) -> Result<Self, Error> {
        let old = &self.trigger;
        let new = Self::new(Trigger {
            description: update.description.or_else(|| old.description.clone()),
            schedule: update.schedule.or_else(|| old.schedule.clone()),
            actions: update.actions.or_else(|| old.actions.clone()),
            predicate: update.predicate.or_else(|| old.predicate.clone()),
            event_batching_condition: update.event_batching_condition.or_else(|| old.event_batching_condition.clone()),
            ..old.clone()
        })?;
        // What has happened counts as long as it is what the trigger waits for.
        let met = if new.trigger.predicate == old.predicate { self.met.clone() } else { BTreeMap::new() };
        Ok(Self { met, ..new })
    }

    pub(crate) fn is_active(&self) -> bool {
        self.trigger.state.as_deref() == Some("ACTIVATED")
    }

    /// Notes the conditions, by their place, that an end meets.
    pub(crate) fn meet(&self, ended: &Ended<'_>, met: &mut BTreeMap<String, Predecessor>) {
        for (place, _) in self.conditions().iter().enumerate().filter(|(_, condition)| ended.meets(condition)) {
            met.insert(place.to_string(), ended.predecessor());
        }
    }

    fn conditions(&self) -> &[Condition] {
        self.trigger.predicate.as_ref().and_then(|p| p.conditions.as_deref()).unwrap_or_default()
    }

    /// Enough has happened.
    pub(crate) fn is_met_by(&self, met: &BTreeMap<String, Predecessor>) -> bool {
        match self.trigger.predicate.as_ref().and_then(|p| p.logical.as_deref()) {
            Some("ANY") => !met.is_empty(),
            _ => met.len() == self.conditions().len(),
        }
    }
}

fn check_predicate(predicate: Option<&Predicate>) -> Result<(), Error> {
    let conditions = predicate.and_then(|p| p.conditions.as_deref()).unwrap_or_default();
    if conditions.is_empty() {
        return Err(invalid_input_exception("A trigger of type CONDITIONAL needs a Predicate with Conditions"));
    }
    for condition in conditions {
        let job = condition.job_name.is_some() && condition.state.as_deref().is_some_and(|s| JOB_STATES.contains(&s));
        let crawl = condition.crawler_name.is_some()
            && condition.crawl_state.as_deref().is_some_and(|s| CRAWL_STATES.contains(&s));
        if job == crawl || condition.logical_operator.as_deref().unwrap_or("EQUALS") != "EQUALS" {
            return Err(invalid_input_exception(format!(
                "A condition EQUALS either JobName and State ({}), or CrawlerName and CrawlState ({})",
                JOB_STATES.join(", "),
                CRAWL_STATES.join(", ")
            )));
        }
    }
    Ok(())
}

/// What has ended.
pub(crate) enum Ended<'a> {
    Job { name: &'a str, run: &'a str, state: &'a str },
    Crawl { name: &'a str, state: &'a str },
}

impl Ended<'_> {
    pub(crate) fn state(&self) -> &str {
        match self {
            Self::Job { state, .. } | Self::Crawl { state, .. } => state,
        }
    }

    fn meets(&self, condition: &Condition) -> bool {
        let (name, state, wanted) = match self {
            Self::Job { name, state, .. } => (name, state, (&condition.job_name, &condition.state)),
            Self::Crawl { name, state } => (name, state, (&condition.crawler_name, &condition.crawl_state)),
        };
        (wanted.0.as_deref(), wanted.1.as_deref()) == (Some(*name), Some(*state))
    }

    fn predecessor(&self) -> Predecessor {
        match self {
            Self::Job { name, run, .. } => {
                Predecessor { job_name: Some((*name).to_owned()), run_id: Some((*run).to_owned()) }
            }
            Self::Crawl { .. } => Predecessor::default(),
        }
    }
}

/// Tells the conditional triggers of an end, and fires those that now have what they wait for.
pub(crate) fn observe(tx: &mut Tx<'_>, scope: &Scope, ended: &Ended<'_>, now: jiff::Timestamp) -> Result<(), Error> {
    let records: Vec<Record> = tx.list_json(all(scope), usize::MAX)?;
    for mut record in records {
        if !record.is("CONDITIONAL") || !record.is_active() || record.trigger.workflow_name.is_some() {
            continue;
        }
        if !record.conditions().iter().any(|condition| ended.meets(condition)) {
            continue;
        }
        let mut met = std::mem::take(&mut record.met);
        record.meet(ended, &mut met);
        record.met = met;
        if record.is_met_by(&record.met) {
            let met = std::mem::take(&mut record.met).into_values();
            let predecessors: Vec<_> = met.filter(|p| p.job_name.is_some()).collect();
            fire(tx, scope, &record, &predecessors, now)?;
        }
        tx.put_json(key(scope, record.name()), &record)?;
    }
    Ok(())
}

/// Starts what the trigger starts. What cannot be started, because it runs already or is gone, is passed over.
pub(crate) fn fire(
    tx: &mut Tx<'_>,
    scope: &Scope,
    record: &Record,
    predecessors: &[Predecessor],
    now: jiff::Timestamp,
) -> Result<(), Error> {
    if workflows::begin_by(tx, scope, record, now)? {
        return Ok(());
    }
    for (place, action) in record.trigger.actions.iter().flatten().enumerate() {
        let id = id(record.name(), place, predecessors, now);
        match start(tx, scope, record.name(), action, &id, predecessors, now) {
            Err(error) if error.status() < 500 => {
                tracing::warn!(trigger = record.name(), %error, "an action of a trigger could not be started");
            }
            other => other?,
        }
    }
    Ok(())
}

pub(crate) fn start(
    tx: &mut Tx<'_>,
    scope: &Scope,
    trigger: &str,
    action: &Action,
    id: &str,
    predecessors: &[Predecessor],
    now: jiff::Timestamp,
) -> Result<(), Error> {
    if let Some(crawler) = &action.crawler_name {
        crawlers::start(tx, scope, crawler, id, now)?;
        return Ok(tx.put_json(crawlers::origin(scope, crawler, id), &trigger)?);
    }
    let request = StartJobRunRequest {
        job_name: action.job_name.clone().unwrap_or_default(),
        arguments: action.arguments.clone(),
        timeout: action.timeout,
        security_configuration: action.security_configuration.clone(),
        notification_property: action.notification_property.clone(),
        ..StartJobRunRequest::default()
    };
    let origin = Origin { trigger: trigger.to_owned(), predecessors: predecessors.to_vec() };
    jobs::begin(tx, scope, &request, &format!("jr_{id}"), Some(origin), now.into()).map(drop)
}

/// 64 digits that name what one firing starts, the same however often its transaction is tried.
pub(crate) fn id(trigger: &str, place: usize, predecessors: &[Predecessor], now: jiff::Timestamp) -> String {
    let part = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, trigger, place, now.as_nanosecond()).hash(&mut hasher);
        for predecessor in predecessors {
            predecessor.run_id.hash(&mut hasher);
        }
        hasher.finish()
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(part);
    format!("{a:016x}{b:016x}{c:016x}{d:016x}")
}

// schedules

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Firing {
    account: String,
    region: String,
    trigger: String,
    /// The time that the schedule says, in ms.
    at: i64,
}

fn task_id(scope: &Scope, name: &str) -> String {
    format!("glue:trigger-schedule:{}:{}:{name}", scope.account, scope.region)
}

/// Puts the next firing of an activated schedule on the queue, or takes it off.
pub(crate) fn plan(tx: &mut Tx<'_>, scope: &Scope, record: &Record, now: jiff::Timestamp) -> Result<(), Error> {
    let active = record.is("SCHEDULED") && record.trigger.state.as_deref() == Some("ACTIVATED");
    let cron = record.trigger.schedule.as_deref().filter(|_| active).map(Cron::parse).transpose()?;
    let Some(at) = cron.and_then(|cron| cron.next(now)) else { return forget(tx, scope, record.name()) };
    let firing = Firing {
        account: scope.account.clone(),
        region: scope.region.clone(),
        trigger: record.name().to_owned(),
        at: at.as_millisecond(),
    };
    tx.enqueue(NewTask::new("glue:trigger-schedule", task_id(scope, record.name())).payload(&firing)?.at(at))?;
    Ok(())
}

pub(crate) fn forget(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    tx.cancel_task(&task_id(scope, name))?;
    Ok(())
}

struct ScheduleRunner(Arc<Glue>);

#[async_trait]
impl Runner for ScheduleRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(firing) = task.payload::<Firing>() else { return Done::Finished };
        let (now, id) = (self.0.platform.router.now(), task.id.clone());
        match self.0.store.write(move |tx| scheduled(tx, &firing, &id, now)).await {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a scheduled trigger could not fire");
                Done::RetryAfter(jiff::SignedDuration::from_secs(10))
            }
        }
    }
}

/// Fires, and plans the next firing in the place of this task.
fn scheduled(tx: &mut Tx<'_>, firing: &Firing, task: &str, now: jiff::Timestamp) -> Result<(), Error> {
    let scope = Scope { account: firing.account.clone(), region: firing.region.clone() };
    tx.finish_task(task)?;
    let record = match find(tx, &scope, &firing.trigger) {
        Ok(record) => record,
        Err(error) if error.is("EntityNotFoundException") => return Ok(()),
        Err(error) => return Err(error),
    };
    plan(tx, &scope, &record, now)?;
    if record.trigger.state.as_deref() == Some("ACTIVATED") {
        let at = jiff::Timestamp::from_millisecond(firing.at).unwrap_or(now);
        match fire(tx, &scope, &record, &[], at.max(now)) {
            Err(error) if error.status() < 500 => {
                tracing::warn!(trigger = record.name(), %error, "a scheduled trigger could not fire");
            }
            other => other?,
        }
    }
    Ok(())
}
