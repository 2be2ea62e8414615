//! DeleteMessage and DeleteMessageBatch.

use api_sqs::{
    BatchResultErrorEntry, DeleteMessage, DeleteMessageBatch, DeleteMessageBatchRequest, DeleteMessageBatchResult,
    DeleteMessageBatchResultEntry, DeleteMessageRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;
use wire::types::Empty;

use super::{check_batch, failed};
use crate::sqs::metrics::Done;
use crate::sqs::queue::{Queue, QueueKey};
use crate::sqs::{Sqs, message};

#[async_trait]
impl Handle<DeleteMessage> for Sqs {
    async fn handle(&self, cx: &Cx, req: DeleteMessageRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let used = place.clone();
        let queue = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                delete(tx, &queue, &req.receipt_handle)?;
                Ok::<_, Error>(queue.is_fifo().then_some(queue.id))
            })
            .await?;
        self.metrics.count(&used, Done::Deleted, 1);
        self.wake_group(queue);
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteMessageBatch> for Sqs {
    async fn handle(&self, cx: &Cx, req: DeleteMessageBatchRequest) -> Result<DeleteMessageBatchResult, Error> {
        check_batch(req.entries.iter().map(|entry| entry.id.as_str()))?;
        let place = QueueKey::of_url(cx, &req.queue_url);
        let used = place.clone();
        let (queue, successful, failed) = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                let (mut done, mut refused): (Vec<DeleteMessageBatchResultEntry>, Vec<BatchResultErrorEntry>) =
                    Default::default();
                for entry in &req.entries {
                    match delete(tx, &queue, &entry.receipt_handle) {
                        Ok(()) => done.push(DeleteMessageBatchResultEntry { id: entry.id.clone() }),
                        Err(error) => refused.push(failed(&entry.id, &error)),
                    }
                }
                Ok::<_, Error>((queue.is_fifo().then_some(queue.id), done, refused))
            })
            .await?;
        self.metrics.count(&used, Done::Deleted, successful.len());
        self.wake_group(queue);
        Ok(DeleteMessageBatchResult { successful, failed })
    }
}

impl Sqs {
    /// A deleted message may have held up its group.
    fn wake_group(&self, fifo_queue: Option<String>) {
        if let Some(id) = fifo_queue {
            self.waiting.wake(&id);
        }
    }
}

fn delete(tx: &mut Tx<'_>, queue: &Queue, handle: &str) -> Result<(), Error> {
    match message::held(tx, queue, handle)? {
        Some(message) => message.remove(tx, queue),
        None => Ok(()),
    }
}
