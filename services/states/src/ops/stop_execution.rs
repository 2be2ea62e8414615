//! StopExecution: what runs is cancelled. Stopping what has ended changes nothing.

use api_states::{StopExecution, StopExecutionInput, StopExecutionOutput};
use asl::Event;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::{States, millis, no_such_execution, standard_arn};

#[async_trait]
impl Handle<StopExecution> for States {
    async fn handle(&self, cx: &Cx, input: StopExecutionInput) -> Result<StopExecutionOutput, Error> {
        let arn = standard_arn(&input.execution_arn)?;
        if self.engine.describe(&arn).await?.is_none() {
            return Err(no_such_execution(arn.as_str()));
        }
        self.engine.tell(&arn, Event::StopRequested { error: input.error, cause: input.cause }, None).await?;
        let (summary, _) = self.engine.describe(&arn).await?.ok_or_else(|| no_such_execution(arn.as_str()))?;
        let stop_date = summary.stopped.map_or_else(|| cx.now().into(), millis);
        Ok(StopExecutionOutput { stop_date })
    }
}
