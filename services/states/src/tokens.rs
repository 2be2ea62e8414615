//! Task tokens, as the operations that answer them see them.

use api_states::error;
use asl::TaskId;
use engine::ExecutionArn;
use wire::Error;

use crate::States;

impl States {
    /// The task that waits for an answer to the token.
    pub(crate) async fn waiting(&self, token: &str) -> Result<(ExecutionArn, TaskId), Error> {
        let Some((arn, task)) = self.engine.read_token(token).await? else {
            return Err(error::invalid_token("Invalid Token: 'Invalid token'"));
        };
        if !self.engine.waits_for(&arn, task).await? {
            return Err(error::task_timed_out("Task Timed Out: 'Provided task does not exist anymore'"));
        }
        Ok((arn, task))
    }
}
