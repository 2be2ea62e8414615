//! DescribeExecution.

use api_states::{
    CloudWatchEventsExecutionDataDetails, DescribeExecution, DescribeExecutionInput, DescribeExecutionOutput,
};
use async_trait::async_trait;
use engine::Refused;
use service::{Cx, Handle};
use wire::Error;

use super::describe_map_run::map_run_arn;
use super::list_executions::PENDING_REDRIVE;
use super::redrive_execution::DELETING;
use crate::{States, metadata_only, millis, no_such_execution, standard_arn};

#[async_trait]
impl Handle<DescribeExecution> for States {
    async fn handle(&self, cx: &Cx, input: DescribeExecutionInput) -> Result<DescribeExecutionOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        let (summary, info) = self.engine.describe(&arn).await?.ok_or_else(|| no_such_execution(arn.as_str()))?;
        let with_data = !metadata_only(input.included_data.as_ref());
        let included = || Some(CloudWatchEventsExecutionDataDetails { included: Some(with_data) });
        let output = summary.output.as_ref().map(|output| output.text().to_owned());
        let (mut status, mut redrivable) = (summary.status.name(), "REDRIVABLE");
        let mut refused = summary.refuses_redrive(asl::Timestamp(cx.now().as_millisecond())).map(Refused::reason);
        if let Some(of) = &info.map_run {
            redrivable = "REDRIVABLE_BY_MAP_RUN";
            let run = self.engine.map_run(&map_run_arn(&of.map_run_arn)?).await?;
            if refused.is_none() && run.is_some_and(|run| run.is_to_redrive(of.index, summary.status)) {
                (status, refused) = (PENDING_REDRIVE, Some("Execution is PENDING_REDRIVE and cannot be redriven"));
            }
        } else if refused.is_none() && !self.has_machine(&arn, &summary).await? {
            refused = Some(DELETING);
        }
        Ok(DescribeExecutionOutput {
            execution_arn: arn.to_string(),
            state_machine_arn: summary.state_machine_arn,
            name: Some(summary.name),
            status: status.to_owned(),
            start_date: millis(summary.started),
            stop_date: summary.stopped.map(millis),
            input: with_data.then(|| info.input.text().to_owned()),
            input_details: included(),
            output_details: output.as_ref().and_then(|_| included()),
            output: output.filter(|_| with_data),
            error: summary.error.filter(|_| with_data),
            cause: summary.cause.filter(|_| with_data),
            trace_header: summary.trace_header,
            state_machine_version_arn: summary.state_machine_version_arn,
            map_run_arn: info.map_run.map(|of| of.map_run_arn),
            state_machine_alias_arn: summary.state_machine_alias_arn,
            redrive_count: i32::try_from(summary.redrive.count).ok(),
            redrive_date: summary.redrive.at.map(millis),
            redrive_status: Some(if refused.is_none() { redrivable } else { "NOT_REDRIVABLE" }.to_owned()),
            redrive_status_reason: refused.map(str::to_owned),
        })
    }
}
