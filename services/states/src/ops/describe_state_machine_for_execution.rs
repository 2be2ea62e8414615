//! DescribeStateMachineForExecution: the machine as the execution runs it.

use api_states::{
    DescribeStateMachineForExecution, DescribeStateMachineForExecutionInput, DescribeStateMachineForExecutionOutput,
    LoggingConfiguration, TracingConfiguration,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::describe_map_run::map_run_arn;
use crate::machine::{MachineArn, StateMachine};
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
        let machine_arn = of.as_ref().map_or(&summary.state_machine_arn, |run| &run.state_machine_arn);
        let machine_arn = MachineArn::parse(machine_arn)?;
        let machine: Option<StateMachine> = self.store.read(|tx| tx.get_json(machine_arn.key())).await?;
        let updated = machine.as_ref().map(|machine| wire::Timestamp::from_millis(machine.updated_ms));
        let logging = LoggingConfiguration {
            level: Some("OFF".to_owned()),
            include_execution_data: Some(false),
            destinations: None,
        };
        Ok(DescribeStateMachineForExecutionOutput {
            state_machine_arn: summary.state_machine_arn,
            name: info.state_machine_name,
            variable_references: references::of_definition(&definition).filter(|_| !metadata_only),
            definition: if metadata_only { "{}".to_owned() } else { definition },
            map_run_arn: of.as_ref().map(|run| run.arn.clone()),
            label: of.map(|run| run.label),
            role_arn: info.role_arn,
            update_date: updated.unwrap_or_else(|| millis(summary.started)),
            logging_configuration: Some(machine.as_ref().map_or(logging, StateMachine::logging)),
            tracing_configuration: Some(
                machine.as_ref().map_or(TracingConfiguration { enabled: Some(false) }, StateMachine::tracing),
            ),
            revision_id: machine.as_ref().and_then(|machine| machine.revision_id.clone()),
            encryption_configuration: Some(machine.and_then(|machine| machine.encryption).unwrap_or_else(owned_key)),
        })
    }
}
