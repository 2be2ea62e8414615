//! DeleteTags.

use api_sagemaker::{DeleteTags, DeleteTagsInput, DeleteTagsOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::{exists, load_tags, tags_key};

#[async_trait]
impl Handle<DeleteTags> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DeleteTagsInput) -> Result<DeleteTagsOutput, Error> {
        let key = tags_key(cx, &req.resource_arn);
        let here = cx.clone();
        cx.write(&self.store, move |tx| {
            exists(tx, &here, &req.resource_arn)?;
            let mut all = load_tags(tx, &key)?;
            all.retain(|name, _| !req.tag_keys.contains(name));
            tx.put_json(&key, &all)?;
            Ok(DeleteTagsOutput::default())
        })
        .await
    }
}
