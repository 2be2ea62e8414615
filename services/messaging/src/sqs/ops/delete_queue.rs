//! DeleteQueue and PurgeQueue: a task clears the messages.

use api_sqs::{DeleteQueue, DeleteQueueRequest, PurgeQueue, PurgeQueueRequest, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::Error;
use wire::types::Empty;

use crate::sqs::queue::QueueKey;
use crate::sqs::{CLEAR, Sqs};

/// A queue is purged once in this time. Source: SQS API reference, PurgeQueue.
const PURGE_MS: i64 = 60_000;
/// Receipt handles of before so many purges are known to have been of the queue.
const PURGES_KNOWN: usize = 20;

#[async_trait]
impl Handle<DeleteQueue> for Sqs {
    async fn handle(&self, cx: &Cx, req: DeleteQueueRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let id = cx
            .write(&self.store, move |tx| {
                let queue = place.queue(tx)?;
                tx.delete(place.key())?;
                clear(tx, &queue.id)?;
                Ok::<_, Error>(queue.id)
            })
            .await?;
        self.waiting.wake(&id);
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<PurgeQueue> for Sqs {
    async fn handle(&self, cx: &Cx, req: PurgeQueueRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let (id, now) = (cx.uuid(), cx.now().as_millisecond());
        let write = cx.write(&self.store, move |tx| {
            // The messages stay behind under the old id, where the task finds them.
            let mut queue = place.queue(tx)?;
            if queue.purged_ms.is_some_and(|at| now < at + PURGE_MS) {
                return Err(error::purge_queue_in_progress(format!(
                    "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                    queue.name
                ))
                .with_query_code("AWS.SimpleQueueService.PurgeQueueInProgress"));
            }
            queue.purged_ms = Some(now);
            clear(tx, &queue.id)?;
            // The sequence numbers of a FIFO queue only grow.
            let counted = tx.get(queue.counter())?;
            let old = std::mem::replace(&mut queue.id, id.clone());
            if let Some(counted) = counted {
                tx.put(queue.counter(), &counted)?;
            }
            queue.purged_ids.push(old.clone());
            let forgotten = queue.purged_ids.len().saturating_sub(PURGES_KNOWN);
            queue.purged_ids.drain(..forgotten);
            queue.save(tx)?;
            Ok(old)
        });
        // Who waits looks for the new id from now on.
        self.waiting.wake(&write.await?);
        Ok(Empty {})
    }
}

fn clear(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    Ok(tx.enqueue(NewTask::new(CLEAR, format!("{CLEAR}/{id}")).payload(&id)?)?)
}
