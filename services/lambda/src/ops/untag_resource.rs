//! UntagResource: takes tags off a function or an event source mapping.

use api_lambda::{UntagResource, UntagResourceRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::mapping_tags::tagged_mapping;
use super::tagged;
use crate::Lambda;

#[async_trait]
impl Handle<UntagResource> for Lambda {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<Empty, Error> {
        if let Some(uuid) = tagged_mapping(cx, &req.resource) {
            let keys = req.tag_keys;
            return self.change_mapping_tags(cx, uuid, move |own| own.retain(|key, _| !keys.contains(key))).await;
        }
        self.change(cx, &tagged(&req.resource)?, move |_, _, function| {
            function.tags.retain(|key, _| !req.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}
