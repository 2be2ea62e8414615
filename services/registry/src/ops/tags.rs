//! Tags of repositories.

use api_ecr::error::repository_not_found_exception;
use api_ecr::{
    ListTagsForResource, ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResource, TagResourceRequest,
    TagResourceResponse, UntagResource, UntagResourceRequest, UntagResourceResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Registry;

/// The repository's name in its ARN, which is one of here.
fn name_of(cx: &Cx, arn: &str) -> Result<String, Error> {
    let name = arn.strip_prefix(&cx.arn("ecr", "repository/")).map(str::to_owned);
    name.ok_or_else(|| repository_not_found_exception(format!("The repository with ARN '{arn}' does not exist")))
}

#[async_trait]
impl Handle<ListTagsForResource> for Registry {
    async fn handle(&self, cx: &Cx, req: ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, Error> {
        let record = self.find(cx, None, &name_of(cx, &req.resource_arn)?).await?;
        let tags = record.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsForResourceResponse { tags: Some(tags) })
    }
}

#[async_trait]
impl Handle<TagResource> for Registry {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<TagResourceResponse, Error> {
        let name = name_of(cx, &req.resource_arn)?;
        self.change(cx, (None, &name), move |record| {
            record.tags.extend(req.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            Ok(TagResourceResponse {})
        })
        .await
    }
}

#[async_trait]
impl Handle<UntagResource> for Registry {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
        let name = name_of(cx, &req.resource_arn)?;
        self.change(cx, (None, &name), move |record| {
            record.tags.retain(|tag, _| !req.tag_keys.contains(tag));
            Ok(UntagResourceResponse {})
        })
        .await
    }
}
