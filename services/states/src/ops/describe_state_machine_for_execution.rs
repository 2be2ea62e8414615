//! DescribeStateMachineForExecution: the machine as the execution runs it.

use api_states::{
    DescribeStateMachineForExecution, DescribeStateMachineForExecutionInput, DescribeStateMachineForExecutionOutput,
};
use asl::MapRun;
use async_trait::async_trait;
use engine::{ExecutionArn, Summary};
use service::{Cx, Handle};
use wire::Error;

use super::describe_map_run::map_run_arn;
use crate::machine::{MachineArn, Revision, StateMachine};
use crate::{States, metadata_only, millis, no_such_execution, owned_key, references, standard_arn};

#[async_trait]
impl Handle<DescribeStateMachineForExecution> for States {
    async fn handle(
        &self,
        _: &Cx,
        input: DescribeStateMachineForExecutionInput,
    ) -> Result<DescribeStateMachineForExecutionOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        let (summary, info, definition) =
            self.engine.definition(&arn).await?.ok_or_else(|| no_such_execution(arn.as_str()))?;
        let metadata_only = metadata_only(input.included_data.as_ref());
        let of = match &info.map_run {
            Some(of) => self.engine.map_run(&map_run_arn(&of.map_run_arn)?).await?,
            None => None,
        };
        let revision = self.revision(&summary, of.as_ref()).await?;
        let updated = revision.as_ref().map(|revision| wire::Timestamp::from_millis(revision.updated_ms));
        let revision = revision.unwrap_or_default();
        Ok(DescribeStateMachineForExecutionOutput {
            state_machine_arn: summary.state_machine_arn,
            name: info.state_machine_name,
            variable_references: references::of_definition(&definition).filter(|_| !metadata_only),
            definition: if metadata_only { "{}".to_owned() } else { definition },
            map_run_arn: of.as_ref().map(|run| run.arn.clone()),
            label: of.map(|run| run.label),
            role_arn: info.role_arn,
            update_date: updated.unwrap_or_else(|| millis(summary.started)),
            logging_configuration: Some(revision.logging()),
            tracing_configuration: Some(revision.tracing()),
            revision_id: revision.id,
            encryption_configuration: Some(revision.encryption.unwrap_or_else(owned_key)),
        })
    }
}

impl States {
    /// What the machine was when the execution started; of a Distributed Map's child, when the execution of that did. Records of the
    /// time before it was kept are shown what the machine is.
    async fn revision(&self, summary: &Summary, of: Option<&MapRun>) -> Result<Option<Revision>, Error> {
        let parent = of.and_then(|run| ExecutionArn::parse(&run.execution_arn));
        let of_parent = match parent {
            Some(parent) => self.engine.describe(&parent).await?.map(|(summary, _)| summary),
            None => None,
        };
        let summary = of_parent.as_ref().unwrap_or(summary);
        if let Some(kept) = &summary.machine {
            return serde_json::from_str(kept.get()).map(Some).map_err(Error::internal);
        }
        let arn = MachineArn::parse(&summary.state_machine_arn)?;
        let machine: Option<StateMachine> = self.store.read(|tx| tx.get_json(arn.key())).await?;
        Ok(machine.filter(|machine| summary.is_of(machine.created_ms)).as_ref().map(Revision::of))
    }
}
