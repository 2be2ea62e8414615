//! SendTaskHeartbeat: the task is still being worked on.

use api_states::{SendTaskHeartbeat, SendTaskHeartbeatInput, SendTaskHeartbeatOutput};
use asl::Event;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;

#[async_trait]
impl Handle<SendTaskHeartbeat> for States {
    async fn handle(&self, cx: &Cx, input: SendTaskHeartbeatInput) -> Result<SendTaskHeartbeatOutput, Error> {
        let (arn, task) = self.waiting(cx, &input.task_token).await?;
        self.answer(cx, &arn, task, Event::TaskHeartbeat { task }).await?;
        Ok(SendTaskHeartbeatOutput {})
    }
}
