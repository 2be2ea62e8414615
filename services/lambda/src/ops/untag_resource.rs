//! UntagResource: takes tags off a function.

use api_lambda::{UntagResource, UntagResourceRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::tagged;
use crate::Lambda;

#[async_trait]
impl Handle<UntagResource> for Lambda {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<Empty, Error> {
        self.change(cx, &tagged(&req.resource)?, move |_, _, function| {
            function.tags.retain(|key, _| !req.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}
