//! UntagResource: keys that are not there are no error.

use api_states::{UntagResource, UntagResourceInput, UntagResourceOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::tagged::Tagged;

#[async_trait]
impl Handle<UntagResource> for States {
    async fn handle(&self, cx: &Cx, input: UntagResourceInput) -> Result<UntagResourceOutput, Error> {
        let resource = Tagged::parse(&input.resource_arn)?;
        cx.write(&self.store, move |tx| {
            resource.change(tx, |tags, _| {
                tags.retain(|tag| !tag.key.as_ref().is_some_and(|key| input.tag_keys.contains(key)));
                Ok(())
            })
        })
        .await?;
        Ok(UntagResourceOutput {})
    }
}
