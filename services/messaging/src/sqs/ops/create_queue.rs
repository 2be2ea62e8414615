//! CreateQueue: makes a queue, or answers the one that is there and is the same.

use api_sqs::{CreateQueue, CreateQueueRequest, CreateQueueResult, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::sqs::queue::{Queue, QueueKey};
use crate::sqs::{Sqs, sweep};

#[async_trait]
impl Handle<CreateQueue> for Sqs {
    async fn handle(&self, cx: &Cx, req: CreateQueueRequest) -> Result<CreateQueueResult, Error> {
        let place = QueueKey::named(cx, &req.queue_name);
        let mut new = Queue::new(cx, &req.queue_name);
        new.set(&req.attributes.unwrap_or_default())?;
        new.tags = req.tags.unwrap_or_default();
        let queue = cx
            .write(&self.store, move |tx| {
                if let Some(old) = place.find(tx)? {
                    let differs = new.attributes.iter().find(|(name, value)| old.shown().get(*name) != Some(*value));
                    return match differs {
                        None => Ok(old),
                        Some((name, _)) => Err(error::queue_name_exists(format!(
                            "A queue already exists with the same name and a different value for attribute {name}"
                        ))
                        .with_query_code("QueueAlreadyExists")),
                    };
                }
                new.check_redrive(tx)?;
                new.save(tx)?;
                sweep::plan(tx)?;
                Ok(new.clone())
            })
            .await?;
        self.metrics.used(&queue.place());
        Ok(CreateQueueResult { queue_url: Some(queue.url(&self.endpoint)) })
    }
}
