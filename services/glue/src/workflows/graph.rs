//! The graph of a workflow, or of a run: its triggers, the jobs and crawlers that they start, and what each waits for. A run's shows the
//! triggers as they were when it began, with the job runs and crawls of every node.
//!
//! A job that several triggers start is one node. Source: AWS Glue API, "Workflows" (Node, Edge).

use std::collections::BTreeSet;

use api_glue::{
    Crawl, CrawlerHistory, CrawlerNodeDetails, Edge, JobNodeDetails, JobRun, Node, Trigger, TriggerNodeDetails,
    WorkflowGraph,
};
use store::Tx;
use wire::Error;

use super::{RunRecord, Started};
use crate::scope::Scope;
use crate::{crawlers, jobs, triggers};

/// What a node is, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Trigger(String),
    Job(String),
    Crawler(String),
}

impl Place {
    /// A job or a crawler.
    pub(super) fn of(job: Option<&String>, crawler: Option<&String>) -> Option<Self> {
        job.cloned().map(Self::Job).or_else(|| crawler.cloned().map(Self::Crawler))
    }

    pub(super) fn id(&self, workflow: &str) -> String {
        let (kind, name) = self.parts();
        let digits = triggers::id(&format!("{workflow}\0{kind}\0{name}"), 0, &[], jiff::Timestamp::UNIX_EPOCH);
        format!("wnode_{digits}")
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Trigger(name) => ("TRIGGER", name),
            Self::Job(name) => ("JOB", name),
            Self::Crawler(name) => ("CRAWLER", name),
        }
    }
}

/// Nodes, and edges from what is first to what comes of it.
pub(super) struct Plan {
    pub(super) nodes: Vec<Place>,
    pub(super) edges: BTreeSet<(Place, Place)>,
}

impl Plan {
    pub(super) fn of(all: &[Trigger]) -> Self {
        let mut plan = Self { nodes: Vec::new(), edges: BTreeSet::new() };
        for trigger in all {
            let place = Place::Trigger(trigger.name.clone().unwrap_or_default());
            plan.add(place.clone());
            for condition in conditions(trigger) {
                plan.add(condition.clone());
                plan.edges.insert((condition, place.clone()));
            }
            for action in trigger.actions.iter().flatten() {
                let Some(started) = Place::of(action.job_name.as_ref(), action.crawler_name.as_ref()) else { continue };
                plan.add(started.clone());
                plan.edges.insert((place.clone(), started));
            }
        }
        plan
    }

    fn add(&mut self, place: Place) {
        if !self.nodes.contains(&place) {
            self.nodes.push(place);
        }
    }

    /// What comes after some nodes, and they themselves.
    pub(super) fn onward(&self, first: &BTreeSet<Place>) -> BTreeSet<Place> {
        let mut reached = first.clone();
        loop {
            let more: Vec<Place> = self
                .edges
                .iter()
                .filter(|(from, to)| reached.contains(from) && !reached.contains(to))
                .map(|(_, to)| to.clone())
                .collect();
            if more.is_empty() {
                return reached;
            }
            reached.extend(more);
        }
    }

    fn show(
        &self,
        workflow: &str,
        mut node: impl FnMut(&Place, Node) -> Result<Node, Error>,
    ) -> Result<WorkflowGraph, Error> {
        let mut nodes = Vec::new();
        for place in &self.nodes {
            let (kind, name) = place.parts();
            let bare = Node {
                r#type: Some(kind.to_owned()),
                name: Some(name.to_owned()),
                unique_id: Some(place.id(workflow)),
                ..Node::default()
            };
            nodes.push(node(place, bare)?);
        }
        let edge = |(from, to): &(Place, Place)| Edge {
            source_id: Some(from.id(workflow)),
            destination_id: Some(to.id(workflow)),
        };
        Ok(WorkflowGraph { nodes: Some(nodes), edges: Some(self.edges.iter().map(edge).collect()) })
    }
}

/// What a trigger waits for.
pub(super) fn conditions(trigger: &Trigger) -> impl Iterator<Item = Place> {
    let conditions =
        trigger.predicate.as_ref().and_then(|predicate| predicate.conditions.as_deref()).unwrap_or_default();
    conditions.iter().filter_map(|condition| Place::of(condition.job_name.as_ref(), condition.crawler_name.as_ref()))
}

/// As the workflow is now.
pub(crate) fn of_workflow(tx: &mut Tx<'_>, scope: &Scope, workflow: &str) -> Result<WorkflowGraph, Error> {
    let all = super::plan(tx, scope, workflow)?;
    Plan::of(&all).show(workflow, |place, node| Ok(with_trigger(&all, place, node)))
}

/// With what the run has started.
pub(crate) fn of_run(tx: &mut Tx<'_>, scope: &Scope, run: &RunRecord) -> Result<WorkflowGraph, Error> {
    let all = run.plan(tx, scope)?;
    Plan::of(&all).show(run.name(), |place, node| {
        let started = run.actions.iter().filter(|action| action.place().as_ref() == Some(place));
        match place {
            Place::Trigger(_) => Ok(with_trigger(&all, place, node)),
            Place::Job(name) => {
                let mut runs = Vec::new();
                for action in started {
                    runs.extend(job_runs(tx, scope, name, action)?);
                }
                Ok(Node { job_details: Some(JobNodeDetails { job_runs: Some(runs) }), ..node })
            }
            Place::Crawler(name) => {
                let mut crawls = Vec::new();
                for action in started {
                    crawls.push(crawl(tx, scope, name, action)?);
                }
                Ok(Node { crawler_details: Some(CrawlerNodeDetails { crawls: Some(crawls) }), ..node })
            }
        }
    })
}

fn with_trigger(all: &[Trigger], place: &Place, node: Node) -> Node {
    let Place::Trigger(name) = place else { return node };
    let trigger = all.iter().find(|trigger| trigger.name.as_ref() == Some(name)).cloned();
    Node { trigger_details: Some(TriggerNodeDetails { trigger }), ..node }
}

/// All attempts; where it could not be started, why.
fn job_runs(tx: &mut Tx<'_>, scope: &Scope, job: &str, action: &Started) -> Result<Vec<JobRun>, Error> {
    let runs = jobs::attempts(tx, scope, job, &action.id)?;
    if !runs.is_empty() || action.error.is_none() {
        return Ok(runs);
    }
    let none = JobRun {
        job_name: Some(job.to_owned()),
        trigger_name: action.trigger.clone(),
        job_run_state: Some(action.state.clone()),
        error_message: action.error.clone(),
        ..JobRun::default()
    };
    Ok(vec![none])
}

fn crawl(tx: &mut Tx<'_>, scope: &Scope, crawler: &str, action: &Started) -> Result<Crawl, Error> {
    let history: Vec<CrawlerHistory> = tx.list_json(crawlers::history(scope, crawler), usize::MAX)?;
    let found = history.into_iter().find(|crawl| crawl.crawl_id.as_ref() == Some(&action.id)).unwrap_or_default();
    Ok(Crawl {
        // ListCrawls names the ends of crawls in words of its own.
        state: Some(action.state.clone()),
        started_on: found.start_time,
        completed_on: found.end_time,
        error_message: found.error_message.or_else(|| action.error.clone()),
        log_group: found.log_group,
        log_stream: found.log_stream,
    })
}

#[cfg(test)]
mod tests {
    use api_glue::{Action, Condition, Predicate};

    use super::*;

    fn job(name: &str) -> Place {
        Place::Job(name.to_owned())
    }

    #[test]
    fn what_comes_after_a_node_is_reached_through_its_triggers() {
        let action = |name: &str| Action { job_name: Some(name.to_owned()), ..Action::default() };
        let condition = |name: &str| Condition { job_name: Some(name.to_owned()), ..Condition::default() };
        let trigger = |name: &str, waits: &[&str], starts: &[&str]| Trigger {
            name: Some(name.to_owned()),
            predicate: Some(Predicate {
                conditions: Some(waits.iter().map(|w| condition(w)).collect()),
                ..Predicate::default()
            }),
            actions: Some(starts.iter().map(|s| action(s)).collect()),
            ..Trigger::default()
        };
        let plan = Plan::of(&[
            trigger("t1", &[], &["a", "b"]),
            trigger("t2", &["a", "b"], &["c"]),
            trigger("t3", &["c"], &["d", "a"]),
        ]);
        assert_eq!(plan.nodes.len(), 7, "each job once");
        assert_eq!(plan.edges.len(), 8);
        let reached = plan.onward(&BTreeSet::from([job("b")]));
        assert!(["a", "b", "c", "d"].iter().all(|name| reached.contains(&job(name))), "{reached:?}");
        let reached = plan.onward(&BTreeSet::from([job("d")]));
        assert_eq!(reached, BTreeSet::from([job("d")]));
        assert_eq!(job("a").id("w").len(), 70);
        assert_ne!(job("a").id("w"), Place::Crawler("a".to_owned()).id("w"));
    }
}
