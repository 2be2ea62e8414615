//! AddTags, RemoveTags and ListTags.

use std::collections::BTreeMap;

use api_cloudtrail::{
    AddTags, AddTagsRequest, AddTagsResponse, ListTags, ListTagsRequest, ListTagsResponse, RemoveTags,
    RemoveTagsRequest, RemoveTagsResponse, ResourceTag, Tag, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Trails;
use crate::trail::{find, place};

/// Source: CloudTrail API Reference, AddTags.
const MOST: usize = 50;

pub(super) fn map(cx: &Cx, tags: Vec<Tag>) -> Result<BTreeMap<String, String>, Error> {
    let map: BTreeMap<String, String> = tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect();
    check(&map)?;
    // A service that makes the trail for somebody may set them: stacks do.
    if let Some(key) = map.keys().find(|key| key.starts_with("aws:"))
        && cx.called_via().is_none()
    {
        return Err(error::invalid_tag_parameter_exception(format!("The tag {key} begins with aws:")));
    }
    Ok(map)
}

fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > MOST {
        return Err(error::tags_limit_exceeded_exception(format!("A trail has at most {MOST} tags.")));
    }
    Ok(())
}

#[async_trait]
impl Handle<AddTags> for Trails {
    async fn handle(&self, cx: &Cx, req: AddTagsRequest) -> Result<AddTagsResponse, Error> {
        let (place, new) = (place(cx, &req.resource_id), map(cx, req.tags_list)?);
        cx.write(&self.store, move |tx| {
            let mut trail = find(tx, &place)?;
            trail.tags.extend(new.clone());
            check(&trail.tags)?;
            trail.save(tx)
        })
        .await?;
        Ok(AddTagsResponse {})
    }
}

#[async_trait]
impl Handle<RemoveTags> for Trails {
    async fn handle(&self, cx: &Cx, req: RemoveTagsRequest) -> Result<RemoveTagsResponse, Error> {
        let place = place(cx, &req.resource_id);
        cx.write(&self.store, move |tx| {
            let mut trail = find(tx, &place)?;
            // Values are not looked at.
            trail.tags.retain(|key, _| !req.tags_list.iter().any(|tag| tag.key == *key));
            trail.save(tx)
        })
        .await?;
        Ok(RemoveTagsResponse {})
    }
}

#[async_trait]
impl Handle<ListTags> for Trails {
    async fn handle(&self, cx: &Cx, req: ListTagsRequest) -> Result<ListTagsResponse, Error> {
        let look = |tx: &mut store::Tx<'_>| {
            let of = |id: &String| {
                let trail = find(tx, &place(cx, id))?;
                let tags = trail.tags.into_iter().map(|(key, value)| Tag { key, value: Some(value) });
                Ok::<_, Error>(ResourceTag { resource_id: Some(id.clone()), tags_list: Some(tags.collect()) })
            };
            req.resource_id_list.iter().map(of).collect::<Result<Vec<_>, Error>>()
        };
        let listed = self.store.read(look).await?;
        Ok(ListTagsResponse { resource_tag_list: Some(listed), next_token: None })
    }
}
