//! TagResource: adds tags to a function.

use api_lambda::{TagResource, TagResourceRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::tagged;
use crate::Lambda;

#[async_trait]
impl Handle<TagResource> for Lambda {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<Empty, Error> {
        self.change(cx, &tagged(&req.resource)?, move |_, _, function| {
            function.tags.extend(req.tags.clone());
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}
