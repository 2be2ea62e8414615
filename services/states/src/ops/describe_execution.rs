//! DescribeExecution.

use api_states::{
    CloudWatchEventsExecutionDataDetails, DescribeExecution, DescribeExecutionInput, DescribeExecutionOutput,
};
use async_trait::async_trait;
use engine::Refused;
use service::{Cx, Handle};
use wire::Error;

use super::redrive_execution::{DELETING, OF_MAP_RUN};
use crate::{States, metadata_only, millis, no_such_execution, standard_arn};

#[async_trait]
impl Handle<DescribeExecution> for States {
    async fn handle(&self, cx: &Cx, input: DescribeExecutionInput) -> Result<DescribeExecutionOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        let (summary, info) = self.engine.describe(&arn).await?.ok_or_else(|| no_such_execution(arn.as_str()))?;
        let with_data = !metadata_only(input.included_data.as_ref());
        let included = || Some(CloudWatchEventsExecutionDataDetails { included: Some(with_data) });
        let output = summary.output.as_ref().map(|output| output.text().to_owned());
        let mut refused = summary.refuses_redrive(asl::Timestamp(cx.now().as_millisecond())).map(Refused::reason);
        if refused.is_none() && arn.machine().contains('/') {
            refused = Some(OF_MAP_RUN);
        }
        if refused.is_none() && !self.has_machine(&arn).await? {
            refused = Some(DELETING);
        }
        Ok(DescribeExecutionOutput {
            execution_arn: arn.to_string(),
            state_machine_arn: summary.state_machine_arn,
            name: Some(summary.name),
            status: summary.status.name().to_owned(),
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
            redrive_status: Some(if refused.is_none() { "REDRIVABLE" } else { "NOT_REDRIVABLE" }.to_owned()),
            redrive_status_reason: refused.map(str::to_owned),
        })
    }
}
