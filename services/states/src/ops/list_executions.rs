//! ListExecutions, newest first.

use api_states::{ExecutionListItem, ListExecutions, ListExecutionsInput, ListExecutionsOutput, error};
use asl::Status;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::{MachineArn, machine_type};
use crate::{States, millis, page};

#[async_trait]
impl Handle<ListExecutions> for States {
    async fn handle(&self, _: &Cx, input: ListExecutionsInput) -> Result<ListExecutionsOutput, Error> {
        let Some(arn) = &input.state_machine_arn else {
            return Err(error::validation_exception("Must provide exactly one of: stateMachineArn or mapRunArn"));
        };
        if input.redrive_filter.is_some() {
            return Err(error::validation_exception("redriveFilter can only be specified with mapRunArn"));
        }
        let arn = MachineArn::parse(arn)?;
        let machine = self.store.read(|tx| arn.find(tx)).await?;
        if machine_type(&machine.kind) == asl::MachineType::Express {
            return Err(error::state_machine_type_not_supported(
                "This operation is not supported by this type of state machine",
            ));
        }
        let status = match input.status_filter.as_deref() {
            None => None,
            Some(name) => {
                let all = [Status::Running, Status::Succeeded, Status::Failed, Status::TimedOut, Status::Aborted];
                match all.into_iter().find(|status| status.name() == name) {
                    Some(status) => Some(status),
                    None => return Ok(ListExecutionsOutput::default()),
                }
            }
        };
        let after = page::place(input.next_token.as_ref())?;
        let size = page::size(input.max_results);
        let found = self.engine.list(&arn.account, &arn.region, &arn.name, status, after, size).await?;
        let wanted_version = arn.version.map(|_| arn.as_str());
        let executions = found
            .items
            .into_iter()
            .filter(|listed| {
                wanted_version.is_none_or(|arn| listed.summary.state_machine_version_arn.as_deref() == Some(arn))
            })
            .map(|listed| ExecutionListItem {
                execution_arn: listed.arn.to_string(),
                state_machine_arn: listed.summary.state_machine_arn,
                state_machine_version_arn: listed.summary.state_machine_version_arn,
                name: listed.summary.name,
                status: listed.summary.status.name().to_owned(),
                start_date: millis(listed.summary.started),
                stop_date: listed.summary.stopped.map(millis),
                redrive_count: i32::try_from(listed.summary.redrive.count).ok(),
                redrive_date: listed.summary.redrive.at.map(millis),
                ..Default::default()
            });
        Ok(ListExecutionsOutput {
            executions: executions.collect(),
            next_token: found.next.as_deref().map(page::token),
        })
    }
}
