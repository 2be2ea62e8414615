//! GetActivityTask: the task that has waited longest, or the first that comes within a minute.

use std::time::Duration;

use api_states::{GetActivityTask, GetActivityTaskInput, GetActivityTaskOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::activity::ActivityArn;

/// Source: API reference, GetActivityTask: "the maximum time the service holds on to the request".
const WAIT_MS: i64 = 60_000;

#[async_trait]
impl Handle<GetActivityTask> for States {
    async fn handle(&self, cx: &Cx, input: GetActivityTaskInput) -> Result<GetActivityTaskOutput, Error> {
        let arn = ActivityArn::parse(&input.activity_arn)?;
        self.store.read(|tx| arn.find(tx)).await?;
        let deadline = cx.now().as_millisecond() + WAIT_MS;
        let told = self.activities.told(&arn);
        loop {
            let woken = told.notified();
            tokio::pin!(woken);
            // Registered before the queue is looked at, so that no task slips through between.
            woken.as_mut().enable();
            if let Some(taken) = self.activities.take(&arn, input.worker_name.as_ref()).await? {
                return Ok(GetActivityTaskOutput { task_token: Some(taken.token), input: Some(taken.input) });
            }
            let left = deadline - cx.now().as_millisecond();
            if left <= 0 {
                return Ok(GetActivityTaskOutput::default());
            }
            let pause = cx.router().clock().sleep(Duration::from_millis(left.unsigned_abs()));
            tokio::select! {
                biased;
                () = woken => {}
                () = pause => {}
            }
        }
    }
}
