//! What executions count: the metrics of `AWS/States`, told to the platform's meter when a turn is written.
//!
//! A task is known from its scheduling to its end in memory alone: one that was running when the server ended is counted as ended, where
//! its last event names the resource, but not timed.
//!
//! Source: Developer Guide, "Monitoring Step Functions metrics using Amazon CloudWatch". Not here: throttling, which there is none.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use asl::{Details, HistoryEvent, Info, TaskOf, Timestamp};
use service::Router;
use service::meter::{Measured, Usage};

use crate::{ExecutionArn, lock};

const NAMESPACE: &str = "AWS/States";
/// Tasks that are known between their events; beyond that they are not timed.
const MAX_OPEN: usize = 1_000_000;

/// Counts for an engine, or for an execution in memory. Cheap to clone.
#[derive(Clone)]
pub struct Counter {
    router: Arc<Router>,
    /// By execution and the number of the task's newest event.
    open: Arc<Mutex<BTreeMap<(u64, u64), Open>>>,
}

struct Open {
    resource: String,
    scheduled: Timestamp,
    started: Option<Timestamp>,
}

/// What is to be counted of one event.
#[derive(Debug)]
pub struct Noted {
    execution: u64,
    id: u64,
    previous: u64,
    at: Timestamp,
    what: What,
}

#[derive(Debug)]
enum What {
    Execution {
        machine: String,
        change: &'static str,
        started: Option<Timestamp>,
    },
    /// States entered and tried again, of a state machine.
    Transitions(String, u64),
    Scheduled(&'static Family, String),
    Started(&'static Family),
    /// With the resource, where the event has it.
    Ended(&'static Family, End, Option<String>),
    /// The execution is, and it is traced.
    Over(ExecutionArn),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Succeeded,
    Failed,
    TimedOut,
    HeartbeatTimedOut,
}

/// The names of the metrics of one kind of tasks.
#[derive(Debug)]
struct Family {
    dimension: &'static str,
    scheduled: &'static str,
    started: &'static str,
    succeeded: &'static str,
    failed: &'static str,
    timed_out: &'static str,
    heartbeat_timed_out: Option<&'static str>,
    time: &'static str,
    schedule_time: &'static str,
    run_time: &'static str,
}

const LAMBDA: Family = Family {
    dimension: "LambdaFunctionArn",
    scheduled: "LambdaFunctionsScheduled",
    started: "LambdaFunctionsStarted",
    succeeded: "LambdaFunctionsSucceeded",
    failed: "LambdaFunctionsFailed",
    timed_out: "LambdaFunctionsTimedOut",
    heartbeat_timed_out: None,
    time: "LambdaFunctionTime",
    schedule_time: "LambdaFunctionScheduleTime",
    run_time: "LambdaFunctionRunTime",
};

const ACTIVITY: Family = Family {
    dimension: "ActivityArn",
    scheduled: "ActivitiesScheduled",
    started: "ActivitiesStarted",
    succeeded: "ActivitiesSucceeded",
    failed: "ActivitiesFailed",
    timed_out: "ActivitiesTimedOut",
    heartbeat_timed_out: Some("ActivitiesHeartbeatTimedOut"),
    time: "ActivityTime",
    schedule_time: "ActivityScheduleTime",
    run_time: "ActivityRunTime",
};

const SERVICE: Family = Family {
    dimension: "ServiceIntegrationResourceArn",
    scheduled: "ServiceIntegrationsScheduled",
    started: "ServiceIntegrationsStarted",
    succeeded: "ServiceIntegrationsSucceeded",
    failed: "ServiceIntegrationsFailed",
    timed_out: "ServiceIntegrationsTimedOut",
    heartbeat_timed_out: None,
    time: "ServiceIntegrationTime",
    schedule_time: "ServiceIntegrationScheduleTime",
    run_time: "ServiceIntegrationRunTime",
};

/// A number for an execution, for keys in memory.
pub(crate) fn number(arn: &ExecutionArn) -> u64 {
    let mut hasher = DefaultHasher::new();
    arn.as_str().hash(&mut hasher);
    hasher.finish()
}

fn arn_of(of: &TaskOf) -> String {
    ["arn:aws:states:::", &of.resource_type, ":", &of.resource].concat()
}

fn time_out(heartbeat: bool) -> End {
    if heartbeat { End::HeartbeatTimedOut } else { End::TimedOut }
}

impl Noted {
    /// So many transitions of an execution.
    pub(crate) fn transitions(info: &Info, count: u64) -> Option<Self> {
        // Children of a Distributed Map name its label, too.
        let machine = info.state_machine_arn.split('/').next().unwrap_or_default().to_owned();
        let what = What::Transitions(machine, count);
        (count > 0).then_some(Self { execution: 0, id: 0, previous: 0, at: info.started, what })
    }

    /// The end of an execution that is traced.
    pub(crate) fn over(arn: &ExecutionArn, info: &Info) -> Option<Self> {
        let what = What::Over(info.trace.is_some().then(|| arn.clone())?);
        Some(Self { execution: 0, id: 0, previous: 0, at: info.started, what })
    }

    pub(crate) fn traced(&self) -> Option<&ExecutionArn> {
        if let What::Over(arn) = &self.what { Some(arn) } else { None }
    }

    /// What an event of an execution (see [`number`]) counts; most count nothing.
    pub fn of(execution: u64, info: &Info, event: &HistoryEvent) -> Option<Self> {
        let change = |change, started| {
            // Children of Distributed Maps are counted by their run.
            let machine = info.map_run.is_none().then(|| info.state_machine_arn.clone())?;
            Some(What::Execution { machine, change, started })
        };
        let since = Some(info.started);
        let what = match &event.details {
            Details::ExecutionStarted { .. } => change("ExecutionsStarted", None),
            Details::ExecutionSucceeded { .. } => change("ExecutionsSucceeded", since),
            Details::ExecutionFailed { .. } => change("ExecutionsFailed", since),
            Details::ExecutionAborted { .. } => change("ExecutionsAborted", since),
            Details::ExecutionTimedOut => change("ExecutionsTimedOut", since),
            Details::ExecutionRedriven { .. } => change("ExecutionsRedriven", None),
            Details::LambdaFunctionScheduled { resource, .. } => Some(What::Scheduled(&LAMBDA, resource.clone())),
            Details::LambdaFunctionStarted => Some(What::Started(&LAMBDA)),
            Details::LambdaFunctionSucceeded { .. } => Some(What::Ended(&LAMBDA, End::Succeeded, None)),
            Details::LambdaFunctionFailed { .. } => Some(What::Ended(&LAMBDA, End::Failed, None)),
            Details::LambdaFunctionTimedOut { .. } => Some(What::Ended(&LAMBDA, End::TimedOut, None)),
            Details::ActivityScheduled { resource, .. } => Some(What::Scheduled(&ACTIVITY, resource.clone())),
            Details::ActivityStarted { .. } => Some(What::Started(&ACTIVITY)),
            Details::ActivitySucceeded { .. } => Some(What::Ended(&ACTIVITY, End::Succeeded, None)),
            Details::ActivityFailed { .. } => Some(What::Ended(&ACTIVITY, End::Failed, None)),
            Details::ActivityTimedOut { heartbeat, .. } => Some(What::Ended(&ACTIVITY, time_out(*heartbeat), None)),
            Details::TaskScheduled { of, .. } => Some(What::Scheduled(&SERVICE, arn_of(of))),
            Details::TaskStarted { .. } | Details::TaskSubmitted { .. } => Some(What::Started(&SERVICE)),
            Details::TaskSucceeded { of, .. } => Some(What::Ended(&SERVICE, End::Succeeded, Some(arn_of(of)))),
            Details::TaskFailed { of, .. } => Some(What::Ended(&SERVICE, End::Failed, Some(arn_of(of)))),
            Details::TaskTimedOut { of, .. } => Some(What::Ended(&SERVICE, End::TimedOut, Some(arn_of(of)))),
            _ => None,
        }?;
        Some(Self { execution, id: event.id, previous: event.previous_event_id, at: event.at, what })
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

impl Counter {
    pub fn new(router: &Arc<Router>) -> Self {
        Self { router: Arc::clone(router), open: Arc::default() }
    }

    /// Counts what has been written.
    pub fn count(&self, arn: &ExecutionArn, noted: Vec<Noted>) {
        self.count_in(arn.account(), arn.region(), noted);
    }

    pub(crate) fn count_in(&self, account: &str, region: &str, noted: Vec<Noted>) {
        let tell = Tell { router: &self.router, account, region };
        for noted in noted {
            self.count_one(&tell, noted);
        }
    }

    fn count_one(&self, tell: &Tell<'_>, noted: Noted) {
        let Noted { execution, id, previous, at, what } = noted;
        match what {
            What::Execution { machine, change, started } => {
                let dimension = ("StateMachineArn", machine.as_str());
                tell.one(change, dimension);
                if let Some(started) = started {
                    tell.time("ExecutionTime", dimension, at.0 - started.0);
                    // Tasks that it no longer waits for have no end of their own.
                    let mut open = lock(&self.open);
                    let left: Vec<_> =
                        open.range((execution, 0)..=(execution, u64::MAX)).map(|(key, _)| *key).collect();
                    for key in left {
                        open.remove(&key);
                    }
                }
            }
            What::Transitions(machine, count) => {
                #[expect(clippy::cast_precision_loss, reason = "a turn has few states")]
                let amount = count as f64;
                let (metric, unit) = ("StateTransitions", "Count");
                let used = Usage { service: "states", metric, resource: &machine, amount, unit };
                used.tell(tell.router, (tell.account, tell.region));
            }
            What::Over(_) => {}
            What::Scheduled(family, resource) => {
                tell.one(family.scheduled, (family.dimension, &resource));
                let mut open = lock(&self.open);
                if open.len() < MAX_OPEN {
                    open.insert((execution, id), Open { resource, scheduled: at, started: None });
                }
            }
            What::Started(family) => {
                let Some(mut task) = lock(&self.open).remove(&(execution, previous)) else { return };
                // A job is started by its call and submitted by the answer.
                if task.started.is_none() {
                    let dimension = (family.dimension, task.resource.as_str());
                    tell.one(family.started, dimension);
                    tell.time(family.schedule_time, dimension, at.0 - task.scheduled.0);
                    task.started = Some(at);
                }
                lock(&self.open).insert((execution, id), task);
            }
            What::Ended(family, end, resource) => {
                let task = lock(&self.open).remove(&(execution, previous));
                let known = task.as_ref().map(|task| &task.resource);
                let Some(resource) = resource.as_ref().or(known) else { return };
                let dimension = (family.dimension, resource.as_str());
                tell.one(
                    match end {
                        End::Succeeded => family.succeeded,
                        End::Failed => family.failed,
                        End::TimedOut => family.timed_out,
                        End::HeartbeatTimedOut => family.heartbeat_timed_out.unwrap_or(family.timed_out),
                    },
                    dimension,
                );
                if let Some(task) = &task {
                    tell.time(family.time, dimension, at.0 - task.scheduled.0);
                    if let Some(started) = task.started {
                        tell.time(family.run_time, dimension, at.0 - started.0);
                    }
                }
            }
        }
    }
}

struct Tell<'a> {
    router: &'a Router,
    account: &'a str,
    region: &'a str,
}

impl Tell<'_> {
    fn one(&self, metric: &str, dimension: (&str, &str)) {
        self.tell(metric, dimension, 1.0, "Count");
    }

    fn time(&self, metric: &str, dimension: (&str, &str), millis: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a year has fewer milliseconds than a double holds")]
        self.tell(metric, dimension, millis.max(0) as f64, "Milliseconds");
    }

    fn tell(&self, metric: &str, dimension: (&str, &str), value: f64, unit: &str) {
        let (account, region, namespace) = (self.account, self.region, NAMESPACE);
        let dimensions = &[dimension];
        self.router.measure(Measured { account, region, namespace, metric, dimensions, value, unit });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use asl::{Details, HistoryEvent, Info, Payload, TaskOf, Timestamp};
    use service::Router;
    use service::meter::{Measured, Meter};

    use super::{Counter, Noted, number};
    use crate::ExecutionArn;

    #[derive(Default)]
    struct Recorded(Mutex<Vec<String>>);

    impl Meter for Recorded {
        fn measure(&self, m: Measured<'_>) {
            let (name, value) = m.dimensions[0];
            self.0.lock().unwrap().push(format!("{} {} {name}={value}", m.metric, m.value));
        }
    }

    fn counted(details: Vec<(u64, Details)>) -> Vec<String> {
        let (router, told) = (Router::new(), Arc::new(Recorded::default()));
        router.set_meter(told.clone());
        let counter = Counter::new(&router);
        let arn = ExecutionArn::standard("0", "r", "m", "e");
        let info = Info { state_machine_arn: "M".to_owned(), started: Timestamp(100), ..Info::default() };
        for (id, (previous, details)) in (1..).zip(details) {
            let at = Timestamp(100 + i64::try_from(id).unwrap() * 10);
            let event = HistoryEvent { id, previous_event_id: previous, at, details };
            counter.count(&arn, Noted::of(number(&arn), &info, &event).into_iter().collect());
        }
        assert!(counter.open.lock().unwrap().is_empty());
        std::mem::take(&mut *told.0.lock().unwrap())
    }

    #[test]
    fn executions_and_their_tasks() {
        let payload = || Payload::inline("{}".to_owned());
        let of = || TaskOf { resource_type: "aws-sdk:s3".to_owned(), resource: "getObject".to_owned() };
        let scheduled = Details::TaskScheduled {
            of: of(),
            region: "r".to_owned(),
            parameters: payload(),
            timeout: None,
            heartbeat: None,
            role_arn: None,
        };
        let service = "ServiceIntegrationResourceArn=arn:aws:states:::aws-sdk:s3:getObject";
        assert_eq!(
            counted(vec![
                (0, Details::ExecutionStarted { input: payload(), role_arn: String::new() }),
                (1, scheduled.clone()),
                (2, Details::TaskStarted { of: of() }),
                (3, Details::TaskSucceeded { of: of(), output: payload() }),
                (4, scheduled),
                (5, Details::ExecutionSucceeded { output: payload() }),
            ]),
            [
                "ExecutionsStarted 1 StateMachineArn=M".to_owned(),
                format!("ServiceIntegrationsScheduled 1 {service}"),
                format!("ServiceIntegrationsStarted 1 {service}"),
                format!("ServiceIntegrationScheduleTime 10 {service}"),
                format!("ServiceIntegrationsSucceeded 1 {service}"),
                format!("ServiceIntegrationTime 20 {service}"),
                format!("ServiceIntegrationRunTime 10 {service}"),
                format!("ServiceIntegrationsScheduled 1 {service}"),
                "ExecutionsSucceeded 1 StateMachineArn=M".to_owned(),
                "ExecutionTime 60 StateMachineArn=M".to_owned(),
            ]
        );
    }

    #[test]
    fn functions_and_activities_are_named_by_their_scheduling() {
        let payload = || Payload::inline("{}".to_owned());
        let function = Details::LambdaFunctionScheduled { resource: "F".to_owned(), input: payload(), timeout: None };
        let activity =
            Details::ActivityScheduled { resource: "A".to_owned(), input: payload(), timeout: None, heartbeat: None };
        let found = counted(vec![
            (0, function),
            (1, Details::LambdaFunctionStarted),
            (2, Details::LambdaFunctionFailed { error: None, cause: None }),
            (3, activity),
            (4, Details::ActivityStarted { worker_name: None }),
            (5, Details::ActivityTimedOut { error: Some("States.Timeout".to_owned()), cause: None, heartbeat: true }),
            // Of a task from before the server's start nothing is known.
            (90, Details::LambdaFunctionSucceeded { output: payload() }),
        ]);
        let names: Vec<_> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "LambdaFunctionsScheduled",
                "LambdaFunctionsStarted",
                "LambdaFunctionScheduleTime",
                "LambdaFunctionsFailed",
                "LambdaFunctionTime",
                "LambdaFunctionRunTime",
                "ActivitiesScheduled",
                "ActivitiesStarted",
                "ActivityScheduleTime",
                "ActivitiesHeartbeatTimedOut",
                "ActivityTime",
                "ActivityRunTime",
            ]
        );
        assert!(found[3].ends_with("LambdaFunctionArn=F") && found[9].ends_with("ActivityArn=A"));
    }
}
