//! TagResource, UntagResource and ListTagsForResource: tags of topics.

use api_sns::{
    ListTagsForResource, ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResource, TagResourceRequest,
    TagResourceResponse, UntagResource, UntagResourceRequest, UntagResourceResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::sns::Sns;
use crate::sns::topic::Topic;

#[async_trait]
impl Handle<TagResource> for Sns {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<TagResourceResponse, Error> {
        cx.write(&self.store, move |tx| {
            let mut topic = tagged(tx, &req.resource_arn)?;
            topic.tags.extend(req.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            if topic.tags.len() > 50 {
                return Err(error::tag_limit_exceeded_exception(
                    "Could not complete request: tag quota of per resource exceeded",
                ));
            }
            topic.save(tx)
        })
        .await?;
        Ok(TagResourceResponse {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Sns {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
        cx.write(&self.store, move |tx| {
            let mut topic = tagged(tx, &req.resource_arn)?;
            topic.tags.retain(|key, _| !req.tag_keys.contains(key));
            topic.save(tx)
        })
        .await?;
        Ok(UntagResourceResponse {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Sns {
    async fn handle(&self, _: &Cx, req: ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, Error> {
        let topic = self.store.read(|tx| tagged(tx, &req.resource_arn)).await?;
        let tags = topic.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsForResourceResponse { tags: Some(tags) })
    }
}

fn tagged(tx: &mut Tx<'_>, arn: &str) -> Result<Topic, Error> {
    Topic::load(tx, arn).map_err(|_| error::resource_not_found_exception("Resource does not exist"))
}
