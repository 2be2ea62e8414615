//! ListMapRuns: the runs of an execution's Distributed Maps, newest first.

use api_states::{ListMapRuns, ListMapRunsInput, ListMapRunsOutput, MapRunListItem};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::machine::MachineArn;
use crate::{States, millis, no_such_execution, page, standard_arn};

#[async_trait]
impl Handle<ListMapRuns> for States {
    async fn handle(&self, _: &Cx, input: ListMapRunsInput) -> Result<ListMapRunsOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        if self.engine.describe(&arn).await?.is_none() {
            return Err(no_such_execution(arn.as_str()));
        }
        let after = page::place_in(engine::map_runs_of(&arn), input.next_token.as_ref())?;
        let found = self.engine.map_runs(&arn, after, page::size(input.max_results)).await?;
        let map_runs = found.items.into_iter().map(|(_, run)| MapRunListItem {
            // The machine of the run is the state's: it is named with the label.
            state_machine_arn: MachineArn::new(arn.account(), arn.region(), &run.machine()).as_str().to_owned(),
            execution_arn: run.execution_arn,
            map_run_arn: run.arn,
            start_date: millis(run.started),
            stop_date: run.stopped.map(millis),
        });
        Ok(ListMapRunsOutput { map_runs: map_runs.collect(), next_token: found.next.as_deref().map(page::token) })
    }
}
