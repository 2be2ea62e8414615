//! TagResource, UntagResource and ListTagsOfResource: tags of tables.

use std::sync::Arc;

use api_dynamodb::{
    ListTagsOfResource, ListTagsOfResourceInput, ListTagsOfResourceOutput, Tag, TagResource, TagResourceInput,
    UntagResource, UntagResourceInput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;
use wire::types::Empty;

use super::create_table::tags_of;
use crate::DynamoDb;
use crate::table::Table;
use crate::write::{Home, check_table_arn};

#[async_trait]
impl Handle<TagResource> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: TagResourceInput) -> Result<Empty, Error> {
        let home = Home::of(cx);
        if req.tags.is_empty() {
            return Err(Error::validation("Atleast one Tag needs to be provided as Input."));
        }
        let tags = tags_of(cx, req.tags)?;
        cx.write(&self.store, move |tx| {
            let mut table = tagged(&home, tx, &req.resource_arn)?;
            table.tags.extend(tags.clone());
            if table.tags.len() > 50 {
                return Err(Error::validation("One or more parameter values were invalid: Too many Tags"));
            }
            table.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagResource> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UntagResourceInput) -> Result<Empty, Error> {
        let home = Home::of(cx);
        if req.tag_keys.is_empty() {
            return Err(Error::validation("Atleast one Tag Key needs to be provided as Input."));
        }
        cx.write(&self.store, move |tx| {
            let mut table = tagged(&home, tx, &req.resource_arn)?;
            table.tags.retain(|key, _| !req.tag_keys.contains(key));
            table.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListTagsOfResource> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListTagsOfResourceInput) -> Result<ListTagsOfResourceOutput, Error> {
        let home = Home::of(cx);
        let table = self.store.read(|tx| tagged(&home, tx, &req.resource_arn)).await?;
        let tags = table.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsOfResourceOutput { tags: Some(tags), next_token: None })
    }
}

fn tagged(home: &Home, tx: &mut Tx<'_>, arn: &str) -> Result<Table, Error> {
    check_table_arn(arn)?;
    home.find(tx, arn)?.map(Arc::unwrap_or_clone).ok_or_else(|| {
        error::resource_not_found_exception(format!("Requested resource not found: ResourcArn: {arn} not found"))
    })
}
