//! ChangeMessageVisibility and ChangeMessageVisibilityBatch.

use api_sqs::{
    BatchResultErrorEntry, ChangeMessageVisibility, ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchRequest,
    ChangeMessageVisibilityBatchResult, ChangeMessageVisibilityBatchResultEntry, ChangeMessageVisibilityRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::{check_batch, failed};
use crate::sqs::queue::QueueKey;
use crate::sqs::{Sqs, message};

#[async_trait]
impl Handle<ChangeMessageVisibility> for Sqs {
    async fn handle(&self, cx: &Cx, req: ChangeMessageVisibilityRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let now = cx.now().as_millisecond();
        let id = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                message::change_visibility(tx, &queue, &req.receipt_handle, req.visibility_timeout, now)?;
                Ok::<_, Error>(queue.id)
            })
            .await?;
        self.waiting.wake(&id);
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ChangeMessageVisibilityBatch> for Sqs {
    async fn handle(
        &self,
        cx: &Cx,
        req: ChangeMessageVisibilityBatchRequest,
    ) -> Result<ChangeMessageVisibilityBatchResult, Error> {
        check_batch(req.entries.iter().map(|entry| entry.id.as_str()))?;
        let place = QueueKey::of_url(cx, &req.queue_url);
        let now = cx.now().as_millisecond();
        let (id, successful, failed) = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                let (mut done, mut refused): (Vec<_>, Vec<BatchResultErrorEntry>) = Default::default();
                for entry in &req.entries {
                    let seconds = entry.visibility_timeout.unwrap_or(0);
                    match message::change_visibility(tx, &queue, &entry.receipt_handle, seconds, now) {
                        Ok(()) => done.push(ChangeMessageVisibilityBatchResultEntry { id: entry.id.clone() }),
                        Err(error) => refused.push(failed(&entry.id, &error)),
                    }
                }
                Ok::<_, Error>((queue.id, done, refused))
            })
            .await?;
        self.waiting.wake(&id);
        Ok(ChangeMessageVisibilityBatchResult { successful, failed })
    }
}
