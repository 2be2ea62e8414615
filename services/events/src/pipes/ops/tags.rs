//! TagResource, UntagResource and ListTagsForResource: tags of pipes.

use api_pipes::{
    ListTagsForResource, ListTagsForResourceRequest, ListTagsForResourceResponse, TagResource, TagResourceRequest,
    TagResourceResponse, UntagResource, UntagResourceRequest, UntagResourceResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::pipes::Pipes;
use crate::pipes::record::PipeKey;

/// AWS's quota.
const MOST: usize = 50;

#[async_trait]
impl Handle<TagResource> for Pipes {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<TagResourceResponse, Error> {
        let place = PipeKey::of_arn(&req.resource_arn)?;
        cx.write(&self.store, move |tx| {
            let mut record = place.load(tx)?;
            let mut tags = record.shown.tags.take().unwrap_or_default();
            tags.extend(req.tags.clone());
            if tags.len() > MOST {
                return Err(error::validation_exception(format!("A pipe can have at most {MOST} tags.")));
            }
            record.shown.tags = Some(tags);
            Ok::<_, Error>(tx.put_json(place.key(), &record)?)
        })
        .await?;
        Ok(TagResourceResponse {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Pipes {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
        let place = PipeKey::of_arn(&req.resource_arn)?;
        cx.write(&self.store, move |tx| {
            let mut record = place.load(tx)?;
            if let Some(tags) = &mut record.shown.tags {
                tags.retain(|key, _| !req.tag_keys.contains(key));
            }
            Ok::<_, Error>(tx.put_json(place.key(), &record)?)
        })
        .await?;
        Ok(UntagResourceResponse {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Pipes {
    async fn handle(&self, _: &Cx, req: ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, Error> {
        let place = PipeKey::of_arn(&req.resource_arn)?;
        let record = self.store.read(|tx| place.load(tx)).await?;
        Ok(ListTagsForResourceResponse { tags: Some(record.shown.tags.unwrap_or_default()) })
    }
}
