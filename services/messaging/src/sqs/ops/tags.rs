//! TagQueue, UntagQueue and ListQueueTags.

use api_sqs::{
    ListQueueTags, ListQueueTagsRequest, ListQueueTagsResult, TagQueue, TagQueueRequest, UntagQueue, UntagQueueRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::sqs::Sqs;
use crate::sqs::queue::{QueueKey, invalid_parameter};

#[async_trait]
impl Handle<TagQueue> for Sqs {
    async fn handle(&self, cx: &Cx, req: TagQueueRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        cx.write(&self.store, move |tx| {
            let mut queue = place.queue(tx)?;
            queue.tags.extend(req.tags.clone());
            if queue.tags.len() > 50 {
                return Err(invalid_parameter("Too many tags added for queue. Maximum number is 50."));
            }
            queue.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagQueue> for Sqs {
    async fn handle(&self, cx: &Cx, req: UntagQueueRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        cx.write(&self.store, move |tx| {
            let mut queue = place.queue(tx)?;
            queue.tags.retain(|key, _| !req.tag_keys.contains(key));
            queue.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListQueueTags> for Sqs {
    async fn handle(&self, cx: &Cx, req: ListQueueTagsRequest) -> Result<ListQueueTagsResult, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let tags = self.store.read(|tx| place.queue(tx)).await?.tags;
        Ok(ListQueueTagsResult { tags: (!tags.is_empty()).then_some(tags) })
    }
}
