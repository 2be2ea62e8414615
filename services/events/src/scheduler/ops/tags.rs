//! TagResource, UntagResource and ListTagsForResource: tags of schedule groups.

use api_scheduler::{
    ListTagsForResource, ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResource, TagResourceInput,
    TagResourceOutput, UntagResource, UntagResourceInput, UntagResourceOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

use crate::scheduler::Scheduler;
use crate::scheduler::record::{Group, ScheduleKey};

/// The group of an ARN and where its record is.
fn tagged(tx: &mut Tx<'_>, arn: &str) -> Result<(Key, Group), Error> {
    let gone = || error::resource_not_found_exception(format!("Resource {arn} does not exist."));
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "scheduler").ok_or_else(gone)?;
    let name = parsed.resource.strip_prefix("schedule-group/").ok_or_else(gone)?.to_owned();
    let place = ScheduleKey { account: parsed.account, region: parsed.region, group: name, name: String::new() };
    let group = place.group(tx)?.ok_or_else(gone)?;
    Ok((ScheduleKey::groups(&place.account, &place.region).push(&place.group), group))
}

#[async_trait]
impl Handle<TagResource> for Scheduler {
    async fn handle(&self, cx: &Cx, req: TagResourceInput) -> Result<TagResourceOutput, Error> {
        cx.write(&self.store, move |tx| {
            let (key, mut group) = tagged(tx, &req.resource_arn)?;
            group.tags.extend(req.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            Ok::<_, Error>(tx.put_json(key, &group)?)
        })
        .await?;
        Ok(TagResourceOutput {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Scheduler {
    async fn handle(&self, cx: &Cx, req: UntagResourceInput) -> Result<UntagResourceOutput, Error> {
        cx.write(&self.store, move |tx| {
            let (key, mut group) = tagged(tx, &req.resource_arn)?;
            group.tags.retain(|key, _| !req.tag_keys.contains(key));
            Ok::<_, Error>(tx.put_json(key, &group)?)
        })
        .await?;
        Ok(UntagResourceOutput {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Scheduler {
    async fn handle(&self, _: &Cx, req: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, Error> {
        let (_, group) = self.store.read(|tx| tagged(tx, &req.resource_arn)).await?;
        let tags = group.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsForResourceOutput { tags: Some(tags) })
    }
}
