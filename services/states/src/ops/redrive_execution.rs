//! RedriveExecution: an execution that did not succeed goes on from where it was.

use api_states::{RedriveExecution, RedriveExecutionInput, RedriveExecutionOutput, error};
use async_trait::async_trait;
use engine::{ExecutionArn, Redriven, Summary};
use service::{Cx, Handle};
use wire::Error;

use crate::machine::MachineArn;
use crate::{States, millis, no_such_execution, standard_arn};

#[async_trait]
impl Handle<RedriveExecution> for States {
    async fn handle(&self, cx: &Cx, input: RedriveExecutionInput) -> Result<RedriveExecutionOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        if let Some((summary, _)) = self.engine.describe(&arn).await? {
            if arn.machine().contains('/') {
                return Err(error::execution_not_redrivable(OF_MAP_RUN));
            }
            if !self.has_machine(&arn, &summary).await? {
                return Err(error::execution_not_redrivable(DELETING));
            }
        }
        // A task that repeats its call asks for the same redrive.
        let of_task = || cx.task_id().map_or_else(|| cx.uuid(), asl::fingerprint);
        let token = input.client_token.unwrap_or_else(of_task);
        match self.engine.redrive(&arn, token).await? {
            Redriven::At(at) => Ok(RedriveExecutionOutput { redrive_date: millis(at) }),
            Redriven::Refused(refused) => Err(error::execution_not_redrivable(refused.reason())),
            Redriven::Unknown => Err(no_such_execution(arn.as_str())),
        }
    }
}

/// Why the executions of a deleted state machine cannot be redriven.
pub(super) const DELETING: &str = "State machine is in DELETING status";

/// Why the children of a Distributed Map's run are not.
const OF_MAP_RUN: &str = "Execution was started by a Map Run and cannot be redriven on its own";

impl States {
    /// Whether the state machine of an execution still exists: another one that has its name since is none of it.
    pub(super) async fn has_machine(&self, arn: &ExecutionArn, summary: &Summary) -> Result<bool, Error> {
        let machine = MachineArn::new(arn.account(), arn.region(), arn.machine());
        let known = self.machine(&machine).await?;
        Ok(known.is_some_and(|known| !known.machine.deleting && summary.is_of(known.machine.created_ms)))
    }
}
