//! SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat: answers to task tokens.

use api_states::{
    SendTaskFailure, SendTaskFailureInput, SendTaskFailureOutput, SendTaskHeartbeat, SendTaskHeartbeatInput,
    SendTaskHeartbeatOutput, SendTaskSuccess, SendTaskSuccessInput, SendTaskSuccessOutput, error,
};
use asl::{Event, TaskId};
use async_trait::async_trait;
use engine::ExecutionArn;
use service::{Cx, Handle};
use wire::Error;

use crate::States;

#[async_trait]
impl Handle<SendTaskSuccess> for States {
    async fn handle(&self, _: &Cx, input: SendTaskSuccessInput) -> Result<SendTaskSuccessOutput, Error> {
        let (arn, task) = self.waiting(&input.task_token).await?;
        if let Err(problem) = serde_json::from_str::<serde::de::IgnoredAny>(&input.output) {
            let (_, _, what) = asl::json_problem(&input.output, &problem);
            return Err(error::invalid_output(format!("Invalid Output: '{what}'")));
        }
        self.engine.tell(&arn, Event::TaskSucceeded { task, output: input.output }, None).await?;
        Ok(SendTaskSuccessOutput {})
    }
}

#[async_trait]
impl Handle<SendTaskFailure> for States {
    async fn handle(&self, _: &Cx, input: SendTaskFailureInput) -> Result<SendTaskFailureOutput, Error> {
        let (arn, task) = self.waiting(&input.task_token).await?;
        self.engine.tell(&arn, Event::TaskFailed { task, error: input.error, cause: input.cause }, None).await?;
        Ok(SendTaskFailureOutput {})
    }
}

#[async_trait]
impl Handle<SendTaskHeartbeat> for States {
    async fn handle(&self, _: &Cx, input: SendTaskHeartbeatInput) -> Result<SendTaskHeartbeatOutput, Error> {
        let (arn, task) = self.waiting(&input.task_token).await?;
        self.engine.tell(&arn, Event::TaskHeartbeat { task }, None).await?;
        Ok(SendTaskHeartbeatOutput {})
    }
}

impl States {
    /// The task that waits for an answer to the token.
    async fn waiting(&self, token: &str) -> Result<(ExecutionArn, TaskId), Error> {
        let Some((arn, task)) = self.engine.read_token(token).await? else {
            return Err(error::invalid_token(format!("Invalid Token: 'Invalid token: {token}'")));
        };
        if !self.engine.waits_for(&arn, task).await? {
            return Err(error::task_timed_out("Task Timed Out: 'Provided task does not exist anymore'"));
        }
        Ok((arn, task))
    }
}
