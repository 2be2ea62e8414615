//! ListExecutions, newest first.

use api_states::{ExecutionListItem, ListExecutions, ListExecutionsInput, ListExecutionsOutput, error};
use asl::Status;
use async_trait::async_trait;
use engine::Filter;
use service::{Cx, Handle};
use wire::Error;

use super::describe_map_run::{map_run_arn, no_such_map_run};
use crate::machine::{MachineArn, Qualifier, machine_type};
use crate::{States, millis, page};

/// The status of a Distributed Map's child that is to be redriven.
pub(super) const PENDING_REDRIVE: &str = "PENDING_REDRIVE";

#[async_trait]
impl Handle<ListExecutions> for States {
    async fn handle(&self, _: &Cx, input: ListExecutionsInput) -> Result<ListExecutionsOutput, Error> {
        let arn = match (&input.state_machine_arn, &input.map_run_arn) {
            (Some(arn), None) => MachineArn::parse(arn)?,
            (None, Some(arn)) => return self.list_children(arn, &input).await,
            (None, None) => return Err(error::validation_exception("Must provide a StateMachine ARN or MapRun ARN")),
            _ => return Err(error::validation_exception("Must provide exactly one of: stateMachineArn or mapRunArn")),
        };
        if input.redrive_filter.is_some() {
            return Err(error::validation_exception("redriveFilter can only be specified with mapRunArn"));
        }
        if input.status_filter.as_deref() == Some(PENDING_REDRIVE) {
            return Err(error::validation_exception(
                "PENDING_REDRIVE statusFilter can only be specified with mapRunArn",
            ));
        }
        let machine = self.store.read(|tx| arn.find(tx, 0)).await?.machine;
        if machine_type(&machine.kind) == asl::MachineType::Express {
            return Err(error::state_machine_type_not_supported(
                "This operation is not supported by this type of state machine",
            ));
        }
        let Some(status) = wanted_status(&input) else { return Ok(ListExecutionsOutput::default()) };
        let filter = Filter { machine_created: Some(machine.created_ms), ..filter(&arn, status) };
        let list = engine::executions_of(&arn.account, &arn.region, &arn.name);
        let after = page::place_in(list, input.next_token.as_ref())?;
        let size = page::size(input.max_results);
        let found = self.engine.list(&arn.account, &arn.region, &arn.name, &filter, after, size).await?;
        let executions = found.items.into_iter().map(|listed| ExecutionListItem {
            execution_arn: listed.arn.to_string(),
            state_machine_arn: listed.summary.state_machine_arn,
            state_machine_version_arn: listed.summary.state_machine_version_arn,
            name: listed.summary.name,
            status: listed.summary.status.name().to_owned(),
            start_date: millis(listed.summary.started),
            stop_date: listed.summary.stopped.map(millis),
            state_machine_alias_arn: listed.summary.state_machine_alias_arn,
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

/// `None` when no execution can have the status that is asked for.
#[expect(clippy::option_option, reason = "any status, one, or none")]
fn wanted_status(input: &ListExecutionsInput) -> Option<Option<Status>> {
    let Some(name) = input.status_filter.as_deref() else { return Some(None) };
    let all = [Status::Running, Status::Succeeded, Status::Failed, Status::TimedOut, Status::Aborted];
    all.into_iter().find(|status| status.name() == name).map(Some)
}

impl States {
    /// The children of a Distributed Map's run.
    async fn list_children(&self, arn: &str, input: &ListExecutionsInput) -> Result<ListExecutionsOutput, Error> {
        let arn = map_run_arn(arn)?;
        let run = self.engine.map_run(&arn).await?.ok_or_else(|| no_such_map_run(&arn))?;
        let waits = input.status_filter.as_deref() == Some(PENDING_REDRIVE);
        let Some(status) = (if waits { Some(None) } else { wanted_status(input) }) else {
            return Ok(ListExecutionsOutput::default());
        };
        let filter = Filter {
            status,
            pending_redrive: waits,
            redriven: input.redrive_filter.as_deref().map(|filter| filter == "REDRIVEN"),
            map_run: Some(run),
            ..Filter::default()
        };
        let list = engine::executions_of(arn.account(), arn.region(), arn.run());
        let after = page::place_in(list, input.next_token.as_ref())?;
        let size = page::size(input.max_results);
        let found = self.engine.list(arn.account(), arn.region(), arn.run(), &filter, after, size).await?;
        let mut executions = Vec::new();
        for listed in found.items {
            let info = self.engine.describe(&listed.arn).await?.map(|(_, info)| info);
            let items = info.and_then(|info| info.map_run).map(|of| i32::try_from(of.items).unwrap_or(i32::MAX));
            executions.push(ExecutionListItem {
                execution_arn: listed.arn.to_string(),
                map_run_arn: Some(arn.to_string()),
                item_count: items,
                state_machine_arn: listed.summary.state_machine_arn,
                name: listed.summary.name,
                status: if listed.pending_redrive { PENDING_REDRIVE } else { listed.summary.status.name() }.to_owned(),
                start_date: millis(listed.summary.started),
                stop_date: listed.summary.stopped.map(millis),
                redrive_count: i32::try_from(listed.summary.redrive.count).ok(),
                redrive_date: listed.summary.redrive.at.map(millis),
                ..Default::default()
            });
        }
        Ok(ListExecutionsOutput { executions, next_token: found.next.as_deref().map(page::token) })
    }
}

fn filter(arn: &MachineArn, status: Option<Status>) -> Filter {
    let text = || Some(arn.as_str().to_owned());
    let mut filter = Filter { status, ..Filter::default() };
    match arn.qualifier {
        Qualifier::None => {}
        Qualifier::Version(_) => filter.version_arn = text(),
        Qualifier::Alias(_) => filter.alias_arn = text(),
    }
    filter
}
