//! Step Functions: state machines, executions, task tokens, and what Task states call.
//!
//! The language is in `asl`, the durable driver in `engine`; here are the API's operations (`ops`, one file each) and the runner of
//! tasks (`integrations`).

mod distributed;
mod integrations;
mod machine;
mod ops;
mod page;

use std::sync::Arc;

use engine::{Engine, ExecutionArn};
use service::{Platform, operations};
use store::Store;
use wire::Error;

/// The service.
pub struct States {
    engine: Engine,
    store: Store,
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("States")
    }
}

/// How many tasks of executions run at once; most of them only wait for another service.
const TASKS_AT_ONCE: usize = 4096;

/// How many runs of Distributed Maps go on at once, as on AWS.
const MAP_RUNS_AT_ONCE: usize = 1000;

/// Registers the service's operations and runners.
pub fn register(platform: &Platform) -> Arc<States> {
    let engine = Engine::new(platform);
    let service = Arc::new(States { engine: engine.clone(), store: platform.control.store().clone() });
    operations!(platform.router, service, api_states:
        CreateStateMachine,
        DeleteStateMachine,
        DeleteStateMachineVersion,
        DescribeExecution,
        DescribeMapRun,
        DescribeStateMachine,
        DescribeStateMachineForExecution,
        GetExecutionHistory,
        ListExecutions,
        ListMapRuns,
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
        UntagResource,
        UpdateMapRun,
        UpdateStateMachine,
        ValidateStateMachineDefinition,
    );
    let runs = distributed::MapRuns::new(engine.clone(), &platform.router);
    platform.control.register(engine::MAP_RUN_KIND, MAP_RUNS_AT_ONCE, Arc::new(runs));
    let tasks = integrations::Tasks::new(engine, &platform.router);
    platform.control.register(engine::TASK_KIND, TASKS_AT_ONCE, Arc::new(tasks));
    service
}

/// The execution that an operation names.
fn execution_arn(text: &str) -> Result<ExecutionArn, Error> {
    ExecutionArn::parse(text).ok_or_else(|| api_states::error::invalid_arn(format!("Invalid Arn: '{text}'")))
}

fn no_such_execution(arn: &str) -> Error {
    api_states::error::execution_does_not_exist(format!("Execution Does Not Exist: '{arn}'"))
}

fn millis(at: asl::Timestamp) -> wire::Timestamp {
    wire::Timestamp::from_millis(at.0)
}
