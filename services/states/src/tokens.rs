//! Task tokens, as the operations that answer them see them.

use api_states::error;
use asl::{Event, TaskId};
use engine::{Delivery, ExecutionArn};
use service::Cx;
use wire::Error;

use crate::States;

impl States {
    /// The task that waits for an answer to the token; or did, where the caller acts for a task that has given its answer before.
    pub(crate) async fn waiting(&self, cx: &Cx, token: &str) -> Result<(ExecutionArn, TaskId), Error> {
        let Some((arn, task)) = self.engine.read_token(token).await? else {
            return Err(invalid());
        };
        // Source: Developer Guide, "Wait for a Callback with Task Token": "from principals within the same AWS account".
        if arn.account() != cx.account() {
            return Err(invalid());
        }
        if !self.engine.waits_for(&arn, task).await? && !self.engine.has_answered(cx, &arn).await? {
            return Err(timed_out());
        }
        Ok((arn, task))
    }

    /// Gives the answer. Of two that come at once, or of one and the task's timeout, one is taken; the other is told so.
    pub(crate) async fn answer(&self, cx: &Cx, arn: &ExecutionArn, task: TaskId, event: Event) -> Result<(), Error> {
        match self.engine.answer(cx, arn, task, event).await? {
            Delivery::Delivered => Ok(()),
            Delivery::NotRunning => Err(timed_out()),
        }
    }
}

fn invalid() -> Error {
    error::invalid_token("Invalid Token: 'Invalid token'")
}

fn timed_out() -> Error {
    error::task_timed_out("Task Timed Out: 'Provided task does not exist anymore'")
}
