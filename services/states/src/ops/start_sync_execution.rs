//! StartSyncExecution: an Express machine's execution, answered with its end.

use api_states::{
    BillingDetails, CloudWatchEventsExecutionDataDetails, StartSyncExecution, StartSyncExecutionInput,
    StartSyncExecutionOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::{States, millis, no_such_execution};

#[async_trait]
impl Handle<StartSyncExecution> for States {
    async fn handle(&self, cx: &Cx, input: StartSyncExecutionInput) -> Result<StartSyncExecutionOutput, Error> {
        let new = self.new_execution(cx, &input.state_machine_arn, input.name, input.input).await?;
        if !new.arn.is_express() {
            return Err(error::state_machine_type_not_supported(
                "This operation is not supported by this type of state machine",
            ));
        }
        let arn = new.arn.clone();
        self.engine.start(cx, new).await?;
        self.engine.finished(&arn).await?;
        let (summary, info) = self.engine.describe(&arn).await?.ok_or_else(|| no_such_execution(arn.as_str()))?;
        let stopped = summary.stopped.unwrap_or(summary.started);
        let lasted = stopped.0.saturating_sub(summary.started.0);
        let output = summary.output.map(|output| output.text().to_owned());
        let details = Some(CloudWatchEventsExecutionDataDetails { included: Some(true) });
        Ok(StartSyncExecutionOutput {
            execution_arn: arn.to_string(),
            state_machine_arn: Some(summary.state_machine_arn),
            name: Some(summary.name),
            start_date: millis(summary.started),
            stop_date: millis(stopped),
            status: summary.status.name().to_owned(),
            error: summary.error,
            cause: summary.cause,
            input: Some(info.input.text().to_owned()),
            input_details: details.clone(),
            output_details: details.filter(|_| output.is_some()),
            output,
            trace_header: input.trace_header,
            billing_details: Some(BillingDetails {
                billed_memory_used_in_mb: Some(64),
                billed_duration_in_milliseconds: Some((lasted / 100 + 1) * 100),
            }),
        })
    }
}
