//! TagResource: of a state machine or an activity.

use api_states::{TagResource, TagResourceInput, TagResourceOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::names::{Tagger, add_tags};
use crate::tagged::Tagged;

#[async_trait]
impl Handle<TagResource> for States {
    async fn handle(&self, cx: &Cx, input: TagResourceInput) -> Result<TagResourceOutput, Error> {
        let resource = Tagged::parse(&input.resource_arn)?;
        let by = Tagger::of(cx);
        cx.write(&self.store, move |tx| resource.change(tx, |tags, arn| add_tags(tags, &input.tags, arn, by))).await?;
        Ok(TagResourceOutput {})
    }
}
