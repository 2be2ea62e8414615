//! Telling the topics of an asynchronous endpoint how a call ended, as the model's role.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Error;

use super::asynchronous::{Call, End};
use crate::SageMaker;

pub(crate) const NOTICE: &str = "sagemaker:notice";
pub(crate) const AT_ONCE: usize = 8;
const TRIES: u32 = 6;

#[derive(Serialize, Deserialize)]
struct Notification {
    call: Call,
    failed: bool,
    message: String,
}

pub(crate) fn enqueue(tx: &mut Tx<'_>, call: &Call, end: &End, at: jiff::Timestamp) -> Result<(), Error> {
    let told = Notification { call: call.clone(), failed: end.failed(), message: end.message(call, at).to_string() };
    let id = call.named(NOTICE);
    Ok(tx.enqueue(NewTask::new(NOTICE, id).payload(&told)?)?)
}

pub(crate) struct Notices(pub(crate) Arc<SageMaker>);

#[async_trait]
impl Runner for Notices {
    async fn run(&self, task: Task) -> Done {
        match self.0.tell(&task).await {
            Err(error) if task.attempt < TRIES => {
                tracing::warn!(%error, task = task.id, "the end of a call could not be told yet");
                Done::RetryAfter(jiff::SignedDuration::from_secs(1 << task.attempt))
            }
            Err(error) => {
                tracing::warn!(%error, task = task.id, "the end of a call could not be told");
                Done::Finished
            }
            Ok(()) => Done::Finished,
        }
    }
}

impl SageMaker {
    async fn tell(&self, task: &Task) -> Result<(), Error> {
        let told: Notification = task.payload()?;
        let cx = Cx::platform(&self.router, &told.call.account, &told.call.region);
        let way = match self.way(&cx, &told.call.endpoint).await {
            Ok(way) => way,
            Err(error) if error.status() >= 500 => return Err(error),
            // Of an endpoint that is gone nobody waits to hear.
            Err(_) => return Ok(()),
        };
        let config =
            way.deployment.asynchronous.as_ref().and_then(|config| config.output_config.notification_config.clone());
        let topic = config.and_then(|config| if told.failed { config.error_topic } else { config.success_topic });
        // The role that read and wrote: the next variant by chance may have another.
        let role = match told.call.role {
            Some(role) => Some(role),
            None => way.variant(None)?.model.execution_role_arn.clone(),
        };
        let (Some(topic), Some(role)) = (topic, role) else { return Ok(()) };
        let cx = cx.assume(&role, "SageMaker").await?.with_task(&task.id);
        cx.call_json("sns", "publish", json!({ "TopicArn": topic, "Message": told.message })).await.map(drop)
    }
}
