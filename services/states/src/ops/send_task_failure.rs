//! SendTaskFailure: the answer to a task token.

use api_states::{SendTaskFailure, SendTaskFailureInput, SendTaskFailureOutput};
use asl::Event;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;

#[async_trait]
impl Handle<SendTaskFailure> for States {
    async fn handle(&self, cx: &Cx, input: SendTaskFailureInput) -> Result<SendTaskFailureOutput, Error> {
        let (arn, task) = self.waiting(cx, &input.task_token).await?;
        self.answer(cx, &arn, task, Event::TaskFailed { task, error: input.error, cause: input.cause }).await?;
        Ok(SendTaskFailureOutput {})
    }
}
