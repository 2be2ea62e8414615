//! ListTagsForResource.

use api_states::{ListTagsForResource, ListTagsForResourceInput, ListTagsForResourceOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::tagged::Tagged;

#[async_trait]
impl Handle<ListTagsForResource> for States {
    async fn handle(&self, _: &Cx, input: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, Error> {
        let resource = Tagged::parse(&input.resource_arn)?;
        let tags = self.store.read(|tx| resource.tags(tx)).await?;
        Ok(ListTagsForResourceOutput { tags: Some(tags) })
    }
}
