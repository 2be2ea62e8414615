//! Tags of alarms and dashboards.

use api_cloudwatch::{
    ListTagsForResource, ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResource, TagResourceInput,
    TagResourceOutput, UntagResource, UntagResourceInput, UntagResourceOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::metrics::Metrics;

fn is_dashboard(arn: &str) -> bool {
    arn.contains(":dashboard/")
}

#[async_trait]
impl Handle<ListTagsForResource> for Metrics {
    async fn handle(&self, cx: &Cx, req: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, Error> {
        let tags = if is_dashboard(&req.resource_arn) {
            self.dashboard_tags(cx, &req.resource_arn).await?
        } else {
            self.tags_of(cx, &req.resource_arn).await?
        };
        let tags = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsForResourceOutput { tags: Some(tags) })
    }
}

#[async_trait]
impl Handle<TagResource> for Metrics {
    async fn handle(&self, cx: &Cx, req: TagResourceInput) -> Result<TagResourceOutput, Error> {
        let tags = req.tags;
        let change = move |own: &mut std::collections::BTreeMap<String, String>| {
            own.extend(tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        };
        if is_dashboard(&req.resource_arn) {
            self.change_dashboard_tags(cx, &req.resource_arn, change).await?;
        } else {
            self.change_tags(cx, &req.resource_arn, change).await?;
        }
        Ok(TagResourceOutput {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Metrics {
    async fn handle(&self, cx: &Cx, req: UntagResourceInput) -> Result<UntagResourceOutput, Error> {
        let keys = req.tag_keys;
        let change =
            move |own: &mut std::collections::BTreeMap<String, String>| own.retain(|key, _| !keys.contains(key));
        if is_dashboard(&req.resource_arn) {
            self.change_dashboard_tags(cx, &req.resource_arn, change).await?;
        } else {
            self.change_tags(cx, &req.resource_arn, change).await?;
        }
        Ok(UntagResourceOutput {})
    }
}
