//! DeleteQueue and PurgeQueue: a task clears the messages.

use api_sqs::{DeleteQueue, DeleteQueueRequest, PurgeQueue, PurgeQueueRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::Error;
use wire::types::Empty;

use crate::sqs::queue::Place;
use crate::sqs::{CLEAR, Sqs};

#[async_trait]
impl Handle<DeleteQueue> for Sqs {
    async fn handle(&self, cx: &Cx, req: DeleteQueueRequest) -> Result<Empty, Error> {
        let place = Place::of_url(cx, &req.queue_url);
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
        let place = Place::of_url(cx, &req.queue_url);
        let id = cx.uuid();
        cx.write(&self.store, move |tx| {
            // The messages stay behind under the old id, where the task finds them.
            let mut queue = place.queue(tx)?;
            clear(tx, &queue.id)?;
            queue.id.clone_from(&id);
            queue.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

fn clear(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    Ok(tx.enqueue(NewTask::new(CLEAR, format!("{CLEAR}/{id}")).payload(&id)?)?)
}
