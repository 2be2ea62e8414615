//! Workflows: triggers that belong together, and their runs. A run begins with the workflow's start trigger, and its conditional triggers
//! look only at what the run has started; each fires once in a run. A run is over when nothing that it started runs any more.
//! Source: AWS Glue Developer Guide, "Overview of workflows in AWS Glue".
//!
//! What belongs to a run is found by the ids of job runs and crawls, in the transactions that start and end them. `graph` shows it,
//! `events` begins runs by EventBridge's events, `resume` runs parts of one again. Not here: blueprints.

pub(crate) mod events;
pub(crate) mod graph;
mod resume;

pub(crate) use resume::resume;

use std::collections::{BTreeMap, BTreeSet};

use api_glue::error::{concurrent_runs_exceeded_exception, entity_not_found_exception, invalid_input_exception};
use api_glue::{
    Action, Predecessor, StartingEventBatchCondition, Trigger, Workflow, WorkflowRun, WorkflowRunStatistics,
};
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::{Error, Timestamp};

use crate::scope::{self, Scope};
use crate::triggers::{self, Ended};
use crate::{crawlers, jobs};

const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) workflow: Workflow,
}

/// A run of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    version: u32,
    pub(crate) run: WorkflowRun,
    actions: Vec<Started>,
    /// By trigger: the conditions, by their place, that were met.
    met: BTreeMap<String, BTreeMap<String, Predecessor>>,
    fired: BTreeSet<String>,
    /// The workflow's triggers when it began. (None in a record of an earlier version.)
    #[serde(default)]
    plan: Vec<Trigger>,
}

/// What a run has started, or could not.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Started {
    job: Option<String>,
    crawler: Option<String>,
    /// The id of the job run or the crawl.
    id: String,
    state: String,
    #[serde(default)]
    trigger: Option<String>,
    /// Why it could not be started.
    #[serde(default)]
    error: Option<String>,
}

impl Started {
    fn place(&self) -> Option<graph::Place> {
        graph::Place::of(self.job.as_ref(), self.crawler.as_ref())
    }
}

/// The run that a job run or a crawl belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Owner {
    workflow: String,
    run: String,
}

pub(crate) fn all(scope: &Scope) -> Key {
    scope.key("workflow")
}

pub(crate) fn key(scope: &Scope, name: &str) -> Key {
    all(scope).push(name)
}

pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn(&format!("workflow/{name}"))
}

pub(crate) fn runs(scope: &Scope, name: &str) -> Key {
    scope.key("workflow-run").push(name)
}

/// The runs of a workflow that are under way.
fn actives(scope: &Scope, name: &str) -> Key {
    scope.key("workflow-run-active").push(name)
}

/// That [`actives`] holds all: servers of earlier versions did not write it.
fn actives_known(scope: &Scope, name: &str) -> Key {
    scope.key("workflow-run-active-known").push(name)
}

fn owner(scope: &Scope, id: &str) -> Key {
    // All attempts of a job run are of one run.
    scope.key("workflow-of").push(id.split("_attempt_").next().unwrap_or(id))
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Record, Error> {
    let found = tx.get_json(key(scope, name))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Entity not found: workflow {name}")))
}

pub(crate) fn find_run(tx: &mut Tx<'_>, scope: &Scope, name: &str, run: &str) -> Result<RunRecord, Error> {
    find(tx, scope, name)?;
    let found = tx.get_json(runs(scope, name).push(run))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Entity not found: workflow run {run} of {name}")))
}

impl Record {
    pub(crate) fn new(workflow: Workflow) -> Self {
        Self { version: VERSION, workflow }
    }
}

impl RunRecord {
    fn name(&self) -> &str {
        self.run.name.as_deref().unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.run.workflow_run_id.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.run.status.as_deref(), Some("COMPLETED" | "STOPPED" | "ERROR"))
    }

    /// Writes it, and what its workflow shows of its last run.
    fn keep(&mut self, tx: &mut Tx<'_>, scope: &Scope) -> Result<(), Error> {
        let count = |wanted: &[&str]| {
            let counted = self.actions.iter().filter(|action| wanted.contains(&action.state.as_str())).count();
            Some(i32::try_from(counted).unwrap_or(i32::MAX))
        };
        self.run.statistics = Some(WorkflowRunStatistics {
            total_actions: Some(i32::try_from(self.actions.len()).unwrap_or(i32::MAX)),
            timeout_actions: count(&["TIMEOUT"]),
            failed_actions: count(&["FAILED"]),
            stopped_actions: count(&["STOPPED", "CANCELLED"]),
            succeeded_actions: count(&["SUCCEEDED"]),
            running_actions: count(&["RUNNING"]),
            errored_actions: count(&["ERROR"]),
            waiting_actions: Some(0),
        });
        if let Some(mut of) = tx.get_json::<Record>(key(scope, self.name()))?
            && of.workflow.last_run.as_ref().is_some_and(|last| last.workflow_run_id == self.run.workflow_run_id)
        {
            of.workflow.last_run = Some(self.run.clone());
            tx.put_json(key(scope, self.name()), &of)?;
        }
        let active = actives(scope, self.name()).push(self.id());
        if !self.is_over() {
            tx.put(active, &[])?;
        } else if tx.has(&active)? {
            tx.delete(active)?;
        }
        let place = runs(scope, self.name()).push(self.id());
        Ok(tx.put_json(place, self)?)
    }

    /// Over, if nothing runs any more.
    fn close(&mut self, now: jiff::Timestamp) {
        if self.is_over() || self.actions.iter().any(|action| action.state == "RUNNING") {
            return;
        }
        let stopping = self.run.status.as_deref() == Some("STOPPING");
        self.run.status = Some(if stopping { "STOPPED" } else { "COMPLETED" }.to_owned());
        self.run.completed_on = Some(now.into());
    }

    /// Starts what a trigger starts. What cannot be started is an errored action.
    fn fire(
        &mut self,
        tx: &mut Tx<'_>,
        scope: &Scope,
        trigger: &triggers::Record,
        predecessors: &[Predecessor],
        now: jiff::Timestamp,
    ) -> Result<(), Error> {
        self.fired.insert(trigger.name().to_owned());
        for place in 0..trigger.trigger.actions.as_ref().map_or(0, Vec::len) {
            self.launch(tx, scope, trigger, place, predecessors, now)?;
        }
        Ok(())
    }

    /// Starts one of a trigger's actions, by its place.
    fn launch(
        &mut self,
        tx: &mut Tx<'_>,
        scope: &Scope,
        trigger: &triggers::Record,
        place: usize,
        predecessors: &[Predecessor],
        now: jiff::Timestamp,
    ) -> Result<(), Error> {
        let Some(action) = trigger.trigger.actions.iter().flatten().nth(place) else { return Ok(()) };
        let id = triggers::id(&format!("{} {}", self.id(), trigger.name()), place, predecessors, now);
        let action = self.with_arguments(action);
        let run_id = if action.crawler_name.is_some() { id.clone() } else { format!("jr_{id}") };
        let error = match triggers::start(tx, scope, trigger.name(), &action, &id, predecessors, now) {
            Ok(()) => None,
            Err(error) if error.status() < 500 => {
                tracing::warn!(workflow = self.name(), trigger = trigger.name(), %error, "an action could not be started");
                Some(format!("{}: {}", error.code(), error.message()))
            }
            Err(error) => return Err(error),
        };
        if error.is_none() {
            let belongs = Owner { workflow: self.name().to_owned(), run: self.id().to_owned() };
            tx.put_json(owner(scope, &run_id), &belongs)?;
        }
        self.actions.push(Started {
            job: action.job_name,
            crawler: action.crawler_name,
            id: run_id,
            state: if error.is_none() { "RUNNING" } else { "ERROR" }.to_owned(),
            trigger: Some(trigger.name().to_owned()),
            error,
        });
        Ok(())
    }

    /// The triggers that its graph shows.
    fn plan(&self, tx: &mut Tx<'_>, scope: &Scope) -> Result<Vec<Trigger>, Error> {
        if self.plan.is_empty() { plan(tx, scope, self.name()) } else { Ok(self.plan.clone()) }
    }

    /// A job finds its workflow by these.
    fn with_arguments(&self, action: &Action) -> Action {
        let mut action = action.clone();
        if action.job_name.is_some() {
            let arguments = action.arguments.get_or_insert_default();
            arguments.insert("--WORKFLOW_NAME".to_owned(), self.name().to_owned());
            arguments.insert("--WORKFLOW_RUN_ID".to_owned(), self.id().to_owned());
        }
        action
    }
}

fn triggers_of(tx: &mut Tx<'_>, scope: &Scope, workflow: &str) -> Result<Vec<triggers::Record>, Error> {
    let all: Vec<triggers::Record> = tx.list_json(triggers::all(scope), usize::MAX)?;
    Ok(all.into_iter().filter(|record| record.trigger.workflow_name.as_deref() == Some(workflow)).collect())
}

/// Checks that a new trigger fits into its workflow, which has one that starts it.
pub(crate) fn check(tx: &mut Tx<'_>, scope: &Scope, trigger: &triggers::Record) -> Result<(), Error> {
    let Some(workflow) = trigger.trigger.workflow_name.as_deref() else { return Ok(()) };
    find(tx, scope, workflow)?;
    let starts = |record: &triggers::Record| !record.is("CONDITIONAL");
    let others = triggers_of(tx, scope, workflow)?;
    if starts(trigger) && others.iter().any(|other| starts(other) && other.name() != trigger.name()) {
        return Err(invalid_input_exception(format!("Workflow {workflow} has a start trigger already")));
    }
    Ok(())
}

/// A workflow's triggers, the one that starts it first.
fn plan(tx: &mut Tx<'_>, scope: &Scope, workflow: &str) -> Result<Vec<Trigger>, Error> {
    let mut all = triggers_of(tx, scope, workflow)?;
    all.sort_by_key(|record| record.is("CONDITIONAL"));
    Ok(all.into_iter().map(|record| record.trigger).collect())
}

/// Begins a run; `id` is its id.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    scope: &Scope,
    name: &str,
    properties: BTreeMap<String, String>,
    id: &str,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    begin_with(tx, scope, name, properties, None, id, now)
}

/// Begins a run, by events where there were any.
fn begin_with(
    tx: &mut Tx<'_>,
    scope: &Scope,
    name: &str,
    properties: BTreeMap<String, String>,
    by: Option<StartingEventBatchCondition>,
    id: &str,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    let mut all = find(tx, scope, name)?.workflow.default_run_properties.unwrap_or_default();
    let of = triggers_of(tx, scope, name)?;
    let Some(start) = of.iter().find(|record| !record.is("CONDITIONAL")) else {
        return Err(invalid_input_exception(format!("Workflow {name} has no start trigger")));
    };
    all.extend(properties);
    let mut record = open(tx, scope, name, all, id, now)?;
    record.run.starting_event_batch_condition = by;
    record.fire(tx, scope, start, &[], now)?;
    record.close(now);
    record.keep(tx, scope)
}

/// # Errors
/// `ConcurrentRunsExceededException` where the workflow has as many runs as it may.
fn check_concurrent(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    let workflow = find(tx, scope, name)?.workflow;
    let Some(most) = workflow.max_concurrent_runs.and_then(|most| usize::try_from(most).ok()) else { return Ok(()) };
    note_actives(tx, scope, name)?;
    if tx.scan_prefix(actives(scope, name), most)?.len() >= most {
        return Err(concurrent_runs_exceeded_exception(format!("Concurrent runs exceeded for workflow {name}")));
    }
    Ok(())
}

/// Notes the runs that are under way, once: a run that a server of an earlier version began is not noted by itself.
fn note_actives(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    if tx.has(actives_known(scope, name))? {
        return Ok(());
    }
    let mut under_way = Vec::new();
    scope::each(tx, &runs(scope, name), |tx, key| {
        let run: Option<RunRecord> = tx.get_json(key)?;
        under_way.extend(run.filter(|run| !run.is_over()).map(|run| run.id().to_owned()));
        Ok(())
    })?;
    for id in under_way {
        tx.put(actives(scope, name).push(id), &[])?;
    }
    Ok(tx.put(actives_known(scope, name), &[])?)
}

/// Forgets all runs of a workflow that is deleted.
pub(crate) fn forget_runs(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    for of in [runs(scope, name), actives(scope, name), actives_known(scope, name)] {
        scope::clear(tx, &of)?;
    }
    Ok(())
}

/// Whether a run ended before then.
pub(crate) fn is_old(_: &mut Tx<'_>, _: &Scope, key: &[u8], value: &[u8], before: Timestamp) -> Result<bool, Error> {
    let record: RunRecord = store::kv::decode(key, value)?;
    let ended = record.run.completed_on.or(record.run.started_on);
    Ok(record.is_over() && ended.is_some_and(|ended| ended < before))
}

/// A run that has started nothing yet; it is its workflow's last one.
fn open(
    tx: &mut Tx<'_>,
    scope: &Scope,
    name: &str,
    properties: BTreeMap<String, String>,
    id: &str,
    now: jiff::Timestamp,
) -> Result<RunRecord, Error> {
    check_concurrent(tx, scope, name)?;
    let record = RunRecord {
        version: VERSION,
        run: WorkflowRun {
            name: Some(name.to_owned()),
            workflow_run_id: Some(id.to_owned()),
            workflow_run_properties: Some(properties),
            started_on: Some(now.into()),
            status: Some("RUNNING".to_owned()),
            ..WorkflowRun::default()
        },
        actions: Vec::new(),
        met: BTreeMap::new(),
        fired: BTreeSet::new(),
        plan: plan(tx, scope, name)?,
    };
    let mut of = find(tx, scope, name)?;
    of.workflow.last_run = Some(record.run.clone());
    tx.put_json(key(scope, name), &of)?;
    Ok(record)
}

/// Begins the run of a workflow's own start trigger.
pub(crate) fn begin_by(
    tx: &mut Tx<'_>,
    scope: &Scope,
    trigger: &triggers::Record,
    now: jiff::Timestamp,
) -> Result<bool, Error> {
    let Some(name) = trigger.trigger.workflow_name.clone() else { return Ok(false) };
    let id = format!("wr_{}", triggers::id(&name, 0, &[], now));
    begin(tx, scope, &name, BTreeMap::new(), &id, now)?;
    Ok(true)
}

/// Tells a run of the end of something that it has started; false where that is no run's.
pub(crate) fn observe(
    tx: &mut Tx<'_>,
    scope: &Scope,
    id: &str,
    ended: &Ended<'_>,
    now: jiff::Timestamp,
) -> Result<bool, Error> {
    let Some(belongs) = tx.get_json::<Owner>(owner(scope, id))? else { return Ok(false) };
    tx.delete(owner(scope, id))?;
    let place = runs(scope, &belongs.workflow).push(&belongs.run);
    let Some(mut record) = tx.get_json::<RunRecord>(place)? else { return Ok(true) };
    let first = id.split("_attempt_").next().unwrap_or(id);
    for action in record.actions.iter_mut().filter(|action| action.id == first) {
        ended.state().clone_into(&mut action.state);
    }
    if record.run.status.as_deref() == Some("RUNNING") {
        for trigger in triggers_of(tx, scope, &belongs.workflow)? {
            if !trigger.is("CONDITIONAL") || !trigger.is_active() || record.fired.contains(trigger.name()) {
                continue;
            }
            let met = record.met.entry(trigger.name().to_owned()).or_default();
            trigger.meet(ended, met);
            if trigger.is_met_by(met) {
                let predecessors: Vec<_> = met.values().filter(|p| p.job_name.is_some()).cloned().collect();
                record.fire(tx, scope, &trigger, &predecessors, now)?;
            }
        }
    }
    record.close(now);
    record.keep(tx, scope)?;
    Ok(true)
}

/// Stops what a run has under way, and starts no more of it.
pub(crate) fn stop(tx: &mut Tx<'_>, scope: &Scope, name: &str, run: &str, now: jiff::Timestamp) -> Result<(), Error> {
    let mut record = find_run(tx, scope, name, run)?;
    if record.run.status.as_deref() != Some("RUNNING") {
        let status = record.run.status.unwrap_or_default();
        let message = format!("Workflow run {run} is in status {status}");
        return Err(api_glue::error::illegal_workflow_state_exception(message));
    }
    record.run.status = Some("STOPPING".to_owned());
    record.keep(tx, scope)?;
    for action in record.actions.iter().filter(|action| action.state == "RUNNING") {
        match (&action.job, &action.crawler) {
            (Some(job), _) => jobs::stop_run(tx, scope, job, &action.id, Timestamp(now))?,
            (None, Some(crawler)) => match crawlers::stop(tx, scope, crawler) {
                Err(error) if error.status() < 500 => {}
                other => other?,
            },
            (None, None) => {}
        }
    }
    // What had not begun yet may have ended by that, and told the record.
    let mut record = find_run(tx, scope, name, run)?;
    record.close(now);
    record.keep(tx, scope)
}

/// Changes the properties of a run.
pub(crate) fn set_properties(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (name, run): (&str, &str),
    properties: BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut record = find_run(tx, scope, name, run)?;
    record.run.workflow_run_properties.get_or_insert_default().extend(properties);
    record.keep(tx, scope)
}
