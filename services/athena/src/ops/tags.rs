//! Tags of workgroups and data catalogs.

use api_athena::error::{invalid_request_exception, resource_not_found_exception};
use api_athena::{
    ListTagsForResource, ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResource, TagResourceInput,
    TagResourceOutput, UntagResource, UntagResourceInput, UntagResourceOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use super::catalogs;
use crate::Athena;
use crate::records::{Scope, workgroup};

/// The tags of what an ARN names.
fn load(tx: &mut Tx<'_>, scope: &Scope, arn: &str) -> Result<Vec<Tag>, Error> {
    let missing = || resource_not_found_exception(format!("Resource {arn} was not found")).with("ResourceName", arn);
    match resource(scope, arn)? {
        ("workgroup", name) => Ok(workgroup(tx, scope, name).map_err(|_| missing())?.tags),
        ("datacatalog", name) => {
            catalogs::find(tx, scope, name).map_err(|_| missing())?;
            Ok(tx.get_json(scope.key("tags").push(arn))?.unwrap_or_default())
        }
        _ => Err(missing()),
    }
}

fn save(tx: &mut Tx<'_>, scope: &Scope, arn: &str, tags: Vec<Tag>) -> Result<(), Error> {
    match resource(scope, arn)? {
        ("workgroup", name) => {
            let mut group = workgroup(tx, scope, name)?;
            group.tags = tags;
            tx.put_json(scope.key("workgroup").push(name), &group)?;
        }
        _ => tx.put_json(scope.key("tags").push(arn), &tags)?,
    }
    Ok(())
}

/// Kind and name of what an ARN of here names.
fn resource<'a>(scope: &Scope, arn: &'a str) -> Result<(&'a str, &'a str), Error> {
    let here = format!("arn:aws:athena:{}:{}:", scope.region, scope.account);
    arn.strip_prefix(&here)
        .and_then(|resource| resource.split_once('/'))
        .ok_or_else(|| invalid_request_exception(format!("{arn} is not a valid ARN")))
}

#[async_trait]
impl Handle<TagResource> for Athena {
    async fn handle(&self, cx: &Cx, req: TagResourceInput) -> Result<TagResourceOutput, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut tags = load(tx, &scope, &req.resource_arn)?;
            tags.retain(|tag| !req.tags.iter().any(|new| new.key == tag.key));
            tags.extend(req.tags.iter().cloned());
            save(tx, &scope, &req.resource_arn, tags)
        })
        .await?;
        Ok(TagResourceOutput::default())
    }
}

#[async_trait]
impl Handle<UntagResource> for Athena {
    async fn handle(&self, cx: &Cx, req: UntagResourceInput) -> Result<UntagResourceOutput, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut tags = load(tx, &scope, &req.resource_arn)?;
            tags.retain(|tag| !req.tag_keys.iter().any(|key| Some(key) == tag.key.as_ref()));
            save(tx, &scope, &req.resource_arn, tags)
        })
        .await?;
        Ok(UntagResourceOutput::default())
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Athena {
    async fn handle(&self, cx: &Cx, req: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, Error> {
        let tags = self.store.read(|tx| load(tx, &Scope::of(cx), &req.resource_arn)).await?;
        Ok(ListTagsForResourceOutput { tags: Some(tags), next_token: None })
    }
}
