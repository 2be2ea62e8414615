//! ResumeWorkflowRun: a new run that starts chosen jobs and crawlers of an old one again, and then whatever comes after them; the rest is
//! as the old run left it. Source: AWS Glue Developer Guide, "Repairing and resuming a workflow run": only a run that is COMPLETED, only
//! nodes that it had attempted, no triggers; of two nodes where one comes after the other the first is started.

use std::collections::BTreeSet;

use api_glue::error::{illegal_workflow_state_exception, invalid_input_exception};
use api_glue::{Predecessor, Trigger};
use store::Tx;
use wire::Error;

use super::graph::{Place, Plan};
use super::{RunRecord, find_run};
use crate::scope::Scope;
use crate::triggers;

/// Begins the new run, whose id is `id`; the nodes that it starts again are told.
pub(crate) fn resume(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (name, run): (&str, &str),
    nodes: &[String],
    id: &str,
    now: jiff::Timestamp,
) -> Result<Vec<String>, Error> {
    let old = find_run(tx, scope, name, run)?;
    if old.run.status.as_deref() != Some("COMPLETED") {
        let status = old.run.status.as_deref().unwrap_or_default();
        let message = format!("Workflow run {run} is in status {status}: only one that is COMPLETED can be resumed");
        return Err(illegal_workflow_state_exception(message));
    }
    let all = old.plan(tx, scope)?;
    let plan = Plan::of(&all);
    let chosen = chosen(&plan, &old, nodes)?;
    let again = plan.onward(&chosen);
    let mut new = super::open(tx, scope, name, old.run.workflow_run_properties.clone().unwrap_or_default(), id, now)?;
    new.run.previous_run_id = Some(run.to_owned());
    new.run.starting_event_batch_condition.clone_from(&old.run.starting_event_batch_condition);
    new.keep_of(&old, &all, &again);
    for place in first(&plan, &chosen) {
        let (trigger, action) = old.started_by(&all, &place)?;
        let predecessors: Vec<Predecessor> = new.predecessors(trigger.name.as_deref().unwrap_or_default());
        let record = triggers::Record::new(trigger.clone())?;
        new.launch(tx, scope, &record, action, &predecessors, now)?;
    }
    new.close(now);
    new.keep(tx, scope)?;
    Ok(chosen.iter().map(|place| place.id(name)).collect())
}

fn chosen(plan: &Plan, old: &RunRecord, nodes: &[String]) -> Result<BTreeSet<Place>, Error> {
    if nodes.is_empty() {
        return Err(invalid_input_exception("NodeIds names no node"));
    }
    let mut chosen = BTreeSet::new();
    for node in nodes {
        let place = plan.nodes.iter().find(|place| place.id(old.name()) == *node);
        match place {
            None => return Err(invalid_input_exception(format!("Node {node} is not of workflow {}", old.name()))),
            Some(Place::Trigger(name)) => {
                return Err(invalid_input_exception(format!(
                    "Node {node} is trigger {name}: a run resumes from jobs and crawlers"
                )));
            }
            Some(place) if old.actions.iter().any(|action| action.place().as_ref() == Some(place)) => {
                chosen.insert(place.clone());
            }
            Some(_) => {
                return Err(invalid_input_exception(format!(
                    "Workflow run {} has not attempted node {node}",
                    old.id()
                )));
            }
        }
    }
    Ok(chosen)
}

/// Those of the chosen that come after no other of them.
fn first(plan: &Plan, chosen: &BTreeSet<Place>) -> Vec<Place> {
    let later = |place: &Place| {
        chosen.iter().any(|other| other != place && plan.onward(&BTreeSet::from([other.clone()])).contains(place))
    };
    let first: Vec<Place> = chosen.iter().filter(|place| !later(place)).cloned().collect();
    // In a circle each comes after the others.
    if first.is_empty() { chosen.iter().take(1).cloned().collect() } else { first }
}

impl RunRecord {
    /// Takes over what the old run has done before and beside the nodes that run again.
    fn keep_of(&mut self, old: &Self, all: &[Trigger], again: &BTreeSet<Place>) {
        let stays = |place: Option<Place>| place.is_some_and(|place| !again.contains(&place));
        self.actions = old.actions.iter().filter(|action| stays(action.place())).cloned().collect();
        let fired = |name: &&String| !again.contains(&Place::Trigger((*name).clone()));
        self.fired = old.fired.iter().filter(fired).cloned().collect();
        for trigger in all {
            let name = trigger.name.clone().unwrap_or_default();
            let Some(met) = old.met.get(&name) else { continue };
            let kept = super::graph::conditions(trigger)
                .enumerate()
                .filter(|(_, condition)| !again.contains(condition))
                .filter_map(|(place, _)| met.get_key_value(&place.to_string()))
                .map(|(place, predecessor)| (place.clone(), predecessor.clone()))
                .collect();
            self.met.insert(name, kept);
        }
    }

    /// The trigger that had started a node, and the place of the action in it.
    fn started_by<'a>(&self, all: &'a [Trigger], place: &Place) -> Result<(&'a Trigger, usize), Error> {
        let by =
            self.actions.iter().find(|action| action.place().as_ref() == Some(place)).and_then(|a| a.trigger.as_ref());
        let starts = |trigger: &'a Trigger| {
            let mut actions = trigger.actions.iter().flatten();
            let found =
                actions.position(|a| Place::of(a.job_name.as_ref(), a.crawler_name.as_ref()).as_ref() == Some(place));
            found.map(|action| (trigger, action))
        };
        let of_run = all.iter().filter(|trigger| by.is_none() || trigger.name.as_ref() == by).find_map(starts);
        of_run.ok_or_else(|| invalid_input_exception("No trigger of the workflow starts the node any more"))
    }

    fn predecessors(&self, trigger: &str) -> Vec<Predecessor> {
        self.met
            .get(trigger)
            .into_iter()
            .flat_map(|met| met.values())
            .filter(|p| p.job_name.is_some())
            .cloned()
            .collect()
    }
}
