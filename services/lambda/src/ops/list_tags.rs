//! ListTags of a function or an event source mapping.

use api_lambda::{ListTags, ListTagsRequest, ListTagsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::mapping_tags::tagged_mapping;
use super::tagged;
use crate::Lambda;
use crate::function::Scope;

#[async_trait]
impl Handle<ListTags> for Lambda {
    async fn handle(&self, cx: &Cx, req: ListTagsRequest) -> Result<ListTagsResponse, Error> {
        if let Some(uuid) = tagged_mapping(cx, &req.resource) {
            return Ok(ListTagsResponse { tags: Some(self.mapping_tags(cx, uuid).await?) });
        }
        let (place, name) = (Scope::of(cx), tagged(&req.resource)?);
        let function = self.store.read(|tx| place.load(tx, &name)).await?;
        Ok(ListTagsResponse { tags: Some(function.tags) })
    }
}
