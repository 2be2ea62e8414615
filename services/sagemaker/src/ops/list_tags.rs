//! ListTags.

use api_sagemaker::{ListTags, ListTagsInput, ListTagsOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::{as_tags, exists, load_tags, tags_key};

#[async_trait]
impl Handle<ListTags> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListTagsInput) -> Result<ListTagsOutput, Error> {
        let key = tags_key(cx, &req.resource_arn);
        let all = self.store.read(|tx| exists(tx, cx, &req.resource_arn).and_then(|()| load_tags(tx, &key))).await?;
        Ok(ListTagsOutput { tags: Some(as_tags(all)), next_token: None })
    }
}
