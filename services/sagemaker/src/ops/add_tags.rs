//! AddTags.

use api_sagemaker::{AddTags, AddTagsInput, AddTagsOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::{add_tags, as_tags, exists, tags_key};

#[async_trait]
impl Handle<AddTags> for SageMaker {
    async fn handle(&self, cx: &Cx, req: AddTagsInput) -> Result<AddTagsOutput, Error> {
        let key = tags_key(cx, &req.resource_arn);
        let here = cx.clone();
        cx.write(&self.store, move |tx| {
            exists(tx, &here, &req.resource_arn)?;
            Ok(AddTagsOutput { tags: Some(as_tags(add_tags(tx, &key, &req.tags)?)) })
        })
        .await
    }
}
