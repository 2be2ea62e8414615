//! DescribeExecution.

use api_states::{
    CloudWatchEventsExecutionDataDetails, DescribeExecution, DescribeExecutionInput, DescribeExecutionOutput,
};
use asl::Status;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::{States, execution_arn, millis, no_such_execution};

#[async_trait]
impl Handle<DescribeExecution> for States {
    async fn handle(&self, _: &Cx, input: DescribeExecutionInput) -> Result<DescribeExecutionOutput, Error> {
        let arn = execution_arn(&input.execution_arn)?;
        let (summary, info) = self.engine.describe(&arn).await?.ok_or_else(|| no_such_execution(arn.as_str()))?;
        let included = || Some(CloudWatchEventsExecutionDataDetails { included: Some(true) });
        let output = summary.output.map(|output| output.text().to_owned());
        let redrivable = matches!(summary.status, Status::Failed | Status::TimedOut | Status::Aborted);
        let reason = match summary.status {
            _ if redrivable => None,
            Status::Running => Some("Execution is RUNNING and cannot be redriven".to_owned()),
            _ => Some("Execution is SUCCEEDED and cannot be redriven".to_owned()),
        };
        Ok(DescribeExecutionOutput {
            execution_arn: arn.to_string(),
            state_machine_arn: summary.state_machine_arn,
            name: Some(summary.name),
            status: summary.status.name().to_owned(),
            start_date: millis(summary.started),
            stop_date: summary.stopped.map(millis),
            input: Some(info.input.text().to_owned()),
            input_details: included(),
            output_details: output.as_ref().and_then(|_| included()),
            output,
            error: summary.error,
            cause: summary.cause,
            state_machine_version_arn: summary.state_machine_version_arn,
            redrive_count: Some(0),
            redrive_status: Some(if redrivable { "REDRIVABLE" } else { "NOT_REDRIVABLE" }.to_owned()),
            redrive_status_reason: reason,
            ..Default::default()
        })
    }
}
