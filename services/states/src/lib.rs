//! Step Functions: state machines, executions, task tokens, and what Task states call.
//!
//! The language is in `asl`, the durable driver in `engine`; here are the API's operations (`ops`, one file each) and the runner of
//! tasks (`integrations`).

mod activity;
mod alias;
mod deletion;
mod distributed;
mod encryption;
mod express;
mod integrations;
mod logging;
mod machine;
mod mock;
mod names;
mod ops;
mod page;
mod references;
mod tagged;
mod tokens;

use std::sync::Arc;

use encryption::owned_key;
use engine::{Engine, ExecutionArn};
use service::{Cx, Platform, operations};
use store::{Cache, Queue, Store};
use wire::Error;

/// The service.
pub struct States {
    engine: Engine,
    store: Store,
    machines: Cache<machine::Ready>,
    activities: activity::Tasks,
    express: express::Express,
    http: Arc<integrations::Http>,
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("States")
    }
}

/// How many tasks of executions run at once; most of them only wait for another service.
const TASKS_AT_ONCE: usize = 4096;

/// How many jobs are looked after at once; any number is waited for.
const LOOKS_AT_ONCE: usize = 256;

/// How many places of activities' tasks are seen to at once.
const PLACES_AT_ONCE: usize = 64;

/// Machines kept in memory.
const MAX_MACHINES: usize = 500;

/// Registers the service's operations and runners.
///
/// # Errors
/// What is wrong with the section `[states]` of the settings.
pub fn register(platform: &Platform) -> Result<Arc<States>, String> {
    register_over(platform, &[])
}

/// The same where executions are in stores of their own, in this order for ever; see [`Engine::over`].
///
/// # Errors
/// What is wrong with the section `[states]` of the settings.
pub fn register_over(platform: &Platform, own: &[Queue]) -> Result<Arc<States>, String> {
    let engine = Engine::over(platform, own);
    engine.check_calls(Arc::new(integrations::Taken(Arc::clone(&platform.router))));
    let store = platform.control.store().clone();
    let machines = Cache::new(&store, MAX_MACHINES, machine::is_machine);
    let activities = activity::Tasks::new(engine.clone(), store.clone());
    let http = Arc::new(integrations::Http::new(platform.settings.section::<integrations::Config>("states")?));
    let tasks = Arc::new(integrations::Tasks::new(engine.clone(), &platform.router, activities.clone(), &http));
    let express = express::Express::new(engine.clone(), &platform.router, &tasks);
    let service =
        Arc::new(States { engine: engine.clone(), store, machines, activities, express: express.clone(), http });
    operations!(platform.router, service, api_states:
        CreateActivity,
        CreateStateMachine,
        CreateStateMachineAlias,
        DeleteActivity,
        DeleteStateMachine,
        DeleteStateMachineAlias,
        DeleteStateMachineVersion,
        DescribeActivity,
        DescribeExecution,
        DescribeMapRun,
        DescribeStateMachine,
        DescribeStateMachineAlias,
        DescribeStateMachineForExecution,
        GetActivityTask,
        GetExecutionHistory,
        ListActivities,
        ListExecutions,
        ListMapRuns,
        ListStateMachineAliases,
        ListStateMachineVersions,
        ListStateMachines,
        ListTagsForResource,
        PublishStateMachineVersion,
        RedriveExecution,
        SendTaskFailure,
        SendTaskHeartbeat,
        SendTaskSuccess,
        StartExecution,
        StartSyncExecution,
        StopExecution,
        TagResource,
        TestState,
        UntagResource,
        UpdateMapRun,
        UpdateStateMachine,
        UpdateStateMachineAlias,
        ValidateStateMachineDefinition,
    );
    let (runs, express) = (Arc::new(distributed::MapRuns::new(engine, &platform.router)), Arc::new(express));
    let places = Arc::new(activity::Places(service.activities.clone()));
    for queue in if own.is_empty() { std::slice::from_ref(&platform.control) } else { own } {
        queue.register(engine::MAP_RUN_KIND, distributed::AT_ONCE, runs.clone());
        queue.register(engine::TASK_KIND, TASKS_AT_ONCE, tasks.clone());
        queue.register(engine::WAIT_KIND, LOOKS_AT_ONCE, tasks.clone());
        queue.register(engine::STOP_KIND, LOOKS_AT_ONCE, tasks.clone());
        queue.register(engine::PLACE_KIND, PLACES_AT_ONCE, places.clone());
        queue.register(express::KIND, express::AT_ONCE, express.clone());
    }
    platform.router.add_listener(tasks);
    platform.control.register(deletion::KIND, 4, Arc::new(deletion::Remover(Arc::clone(&service))));
    Ok(service)
}

impl States {
    /// The machine of that name, whatever qualifier the ARN has.
    async fn machine(&self, arn: &machine::MachineArn) -> Result<Option<Arc<machine::Ready>>, Error> {
        self.machines.find(arn.key(), |tx| Ok(tx.get_json::<machine::StateMachine>(arn.key())?.map(Into::into))).await
    }
}

/// The execution that an operation names; of Express machines nothing is kept that it could be about.
fn standard_arn(text: &str) -> Result<ExecutionArn, Error> {
    if let Some(arn) = ExecutionArn::parse(text).filter(|arn| !arn.is_express()) {
        return Ok(arn);
    }
    names::Resource::parse(text, &["execution"])?;
    Err(api_states::error::invalid_arn(format!("Invalid Arn: '{text}'")))
}

/// A number below 100 by which an alias picks its version; a task that repeats its call draws the same.
fn draw(cx: &Cx) -> u32 {
    let chance = cx.task_id().map_or_else(|| cx.uuid(), asl::fingerprint);
    chance.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0) % 100
}

fn metadata_only(included_data: Option<&String>) -> bool {
    included_data.is_some_and(|included| included == "METADATA_ONLY")
}

fn no_such_execution(arn: &str) -> Error {
    api_states::error::execution_does_not_exist(format!("Execution Does Not Exist: '{arn}'"))
}

fn millis(at: asl::Timestamp) -> wire::Timestamp {
    wire::Timestamp::from_millis(at.0)
}
