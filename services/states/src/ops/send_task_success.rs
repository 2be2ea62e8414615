//! SendTaskSuccess: the answer to a task token.

use api_states::{SendTaskSuccess, SendTaskSuccessInput, SendTaskSuccessOutput, error};
use asl::Event;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::names::check_size;

#[async_trait]
impl Handle<SendTaskSuccess> for States {
    async fn handle(&self, cx: &Cx, input: SendTaskSuccessInput) -> Result<SendTaskSuccessOutput, Error> {
        check_size("output", Some(&input.output))?;
        let (arn, task) = self.waiting(cx, &input.task_token).await?;
        if let Err(problem) = jsontext::read::<serde_json::Value>(&input.output) {
            let (_, _, what) = asl::json_problem(&input.output, &problem);
            return Err(error::invalid_output(format!("Invalid Output: '{what}'")));
        }
        self.answer(cx, &arn, task, Event::TaskSucceeded { task, output: input.output }).await?;
        Ok(SendTaskSuccessOutput {})
    }
}
