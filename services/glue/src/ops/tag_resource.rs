//! TagResource, UntagResource, GetTags: tags of any Glue resource.

use super::prelude::*;

#[async_trait]
impl Handle<TagResource> for Glue {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<TagResourceResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            tags::exists(tx, &scope, &req.resource_arn)?;
            tags::add(tx, &scope, &req.resource_arn, &req.tags_to_add)
        })
        .await?;
        Ok(TagResourceResponse::default())
    }
}

#[async_trait]
impl Handle<UntagResource> for Glue {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            tags::exists(tx, &scope, &req.resource_arn)?;
            tags::remove(tx, &scope, &req.resource_arn, &req.tags_to_remove)
        })
        .await?;
        Ok(UntagResourceResponse::default())
    }
}

#[async_trait]
impl Handle<GetTags> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTagsRequest) -> Result<GetTagsResponse, Error> {
        let scope = Scope::of(cx);
        let arn = &req.resource_arn;
        let tags =
            self.store.read(|tx| tags::exists(tx, &scope, arn).and_then(|()| tags::read(tx, &scope, arn))).await?;
        Ok(GetTagsResponse { tags: Some(tags) })
    }
}
