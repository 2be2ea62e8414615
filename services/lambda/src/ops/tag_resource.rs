//! TagResource: adds tags to a function or an event source mapping.

use api_lambda::{TagResource, TagResourceRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::mapping_tags::tagged_mapping;
use super::tagged;
use crate::Lambda;

#[async_trait]
impl Handle<TagResource> for Lambda {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<Empty, Error> {
        if let Some(uuid) = tagged_mapping(cx, &req.resource) {
            let tags = req.tags;
            return self.change_mapping_tags(cx, uuid, move |own| own.extend(tags.clone())).await;
        }
        self.change(cx, &tagged(&req.resource)?, move |_, _, function| {
            function.tags.extend(req.tags.clone());
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}
