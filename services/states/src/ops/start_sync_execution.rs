//! StartSyncExecution: an Express machine's execution, answered with its end.

use api_states::{
    BillingDetails, CloudWatchEventsExecutionDataDetails, StartSyncExecution, StartSyncExecutionInput,
    StartSyncExecutionOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::{States, metadata_only, millis};

/// Source: Step Functions pricing: memory is metered in 64 MB chunks, time in tenths of a second.
const MEMORY_CHUNK_MB: i64 = 64;
const TIME_CHUNK_MS: i64 = 100;

#[async_trait]
impl Handle<StartSyncExecution> for States {
    async fn handle(&self, cx: &Cx, input: StartSyncExecutionInput) -> Result<StartSyncExecutionOutput, Error> {
        let trace_header = input.trace_header.clone();
        let new = self.new_execution(cx, &input.state_machine_arn, input.name, input.input, input.trace_header).await?;
        if !new.arn.is_express() {
            return Err(error::state_machine_type_not_supported(
                "This operation is not supported by this type of state machine",
            ));
        }
        let (arn, info) = (new.arn.clone(), new.info.clone());
        let ended = self.express.run_now(cx, new).await?;
        let with_data = !metadata_only(input.included_data.as_ref());
        let details = Some(CloudWatchEventsExecutionDataDetails { included: Some(with_data) });
        let output = ended.outcome.output.map(|output| output.text().to_owned());
        Ok(StartSyncExecutionOutput {
            execution_arn: arn.to_string(),
            state_machine_arn: Some(info.state_machine_arn),
            name: Some(info.name),
            start_date: millis(info.started),
            stop_date: millis(ended.at),
            status: ended.outcome.status.name().to_owned(),
            error: ended.outcome.error.filter(|_| with_data),
            cause: ended.outcome.cause.filter(|_| with_data),
            input: with_data.then(|| info.input.text().to_owned()),
            input_details: details.clone(),
            // Of a failed one too.
            output_details: details,
            output: output.filter(|_| with_data),
            trace_header,
            billing_details: Some(BillingDetails {
                billed_memory_used_in_mb: Some(MEMORY_CHUNK_MB),
                billed_duration_in_milliseconds: Some(billed_ms(ended.at.0 - info.started.0)),
            }),
        })
    }
}

fn billed_ms(lasted_ms: i64) -> i64 {
    (lasted_ms.max(1) + TIME_CHUNK_MS - 1) / TIME_CHUNK_MS * TIME_CHUNK_MS
}

#[cfg(test)]
mod tests {
    use super::billed_ms;

    #[test]
    fn time_is_billed_in_tenths_of_a_second() {
        assert_eq!([0, 1, 100, 101, 250].map(billed_ms), [100, 100, 100, 200, 300]);
    }
}
