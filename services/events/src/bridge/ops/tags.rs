//! TagResource, UntagResource and ListTagsForResource: tags of rules and buses.

use std::collections::BTreeMap;

use api_events::{
    ListTagsForResource, ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResource, TagResourceRequest,
    TagResourceResponse, UntagResource, UntagResourceRequest, UntagResourceResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::bridge::Bridge;
use crate::bridge::rule::{Bus, Home, Rule};

/// What has tags.
enum Tagged {
    Rule(Box<Rule>),
    Bus(Box<Bus>, Home),
}

impl Tagged {
    fn find(tx: &mut Tx<'_>, cx: &Cx, arn: &str) -> Result<Self, Error> {
        let gone = || error::resource_not_found_exception(format!("Resource {arn} does not exist."));
        if let Some((home, name)) = Home::of_rule(arn) {
            return home.find(tx, &name)?.map(|rule| Self::Rule(Box::new(rule))).ok_or_else(gone);
        }
        let own = |home: &Home| (home.account.as_str(), home.region.as_str()) == (cx.account(), cx.region());
        let home = Home::of_bus_arn(arn).filter(own).ok_or_else(gone)?;
        let bus = home.find_bus(tx)?.ok_or_else(gone)?;
        Ok(Self::Bus(Box::new(bus), home))
    }

    fn tags(&mut self) -> &mut BTreeMap<String, String> {
        match self {
            Self::Rule(rule) => &mut rule.tags,
            Self::Bus(bus, _) => &mut bus.tags,
        }
    }

    fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        match self {
            Self::Rule(rule) => rule.save(tx),
            Self::Bus(bus, home) => bus.save(tx, home),
        }
    }
}

#[async_trait]
impl Handle<TagResource> for Bridge {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<TagResourceResponse, Error> {
        let here = cx.clone();
        cx.write(&self.store, move |tx| {
            let mut tagged = Tagged::find(tx, &here, &req.resource_arn)?;
            tagged.tags().extend(req.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            tagged.save(tx)
        })
        .await?;
        Ok(TagResourceResponse {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Bridge {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
        let here = cx.clone();
        cx.write(&self.store, move |tx| {
            let mut tagged = Tagged::find(tx, &here, &req.resource_arn)?;
            tagged.tags().retain(|key, _| !req.tag_keys.contains(key));
            tagged.save(tx)
        })
        .await?;
        Ok(UntagResourceResponse {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, Error> {
        let mut tagged = self.store.read(|tx| Tagged::find(tx, cx, &req.resource_arn)).await?;
        let tags = std::mem::take(tagged.tags()).into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsForResourceResponse { tags: Some(tags) })
    }
}
