//! TagResource, UntagResource, ListTagsForResource: of state machines.

use api_states::{
    ListTagsForResource, ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResource, TagResourceInput,
    TagResourceOutput, UntagResource, UntagResourceInput, UntagResourceOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::States;
use crate::machine::{MachineArn, StateMachine};

#[async_trait]
impl Handle<TagResource> for States {
    async fn handle(&self, cx: &Cx, input: TagResourceInput) -> Result<TagResourceOutput, Error> {
        let added = input.tags;
        self.change_tags(cx, &input.resource_arn, move |tags| {
            for tag in &added {
                tags.retain(|known| known.key != tag.key);
                tags.push(tag.clone());
            }
        })
        .await?;
        Ok(TagResourceOutput {})
    }
}

#[async_trait]
impl Handle<UntagResource> for States {
    async fn handle(&self, cx: &Cx, input: UntagResourceInput) -> Result<UntagResourceOutput, Error> {
        let keys = input.tag_keys;
        self.change_tags(cx, &input.resource_arn, move |tags| {
            tags.retain(|tag| !tag.key.as_ref().is_some_and(|key| keys.contains(key)));
        })
        .await?;
        Ok(UntagResourceOutput {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for States {
    async fn handle(&self, _: &Cx, input: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, Error> {
        let arn = MachineArn::parse(&input.resource_arn)?;
        let machine: Option<StateMachine> = self.store.read(|tx| tx.get_json(arn.key())).await?;
        let machine = machine.ok_or_else(|| not_found(&input.resource_arn))?;
        Ok(ListTagsForResourceOutput { tags: Some(machine.tags) })
    }
}

impl States {
    async fn change_tags<F>(&self, cx: &Cx, resource: &str, mut change: F) -> Result<(), Error>
    where
        F: FnMut(&mut Vec<Tag>) + Send + 'static,
    {
        let arn = MachineArn::parse(resource)?;
        cx.write(&self.store, move |tx| {
            let Some(mut machine) = tx.get_json::<StateMachine>(arn.key())? else {
                return Err(not_found(arn.as_str()));
            };
            change(&mut machine.tags);
            tx.put_json(arn.key(), &machine)?;
            Ok(())
        })
        .await
    }
}

fn not_found(arn: &str) -> Error {
    error::resource_not_found(format!("Resource not found: '{arn}'"))
}
