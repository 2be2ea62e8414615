//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy. What a policy does, [`crate::policies`] says.

use api_dynamodb::{
    DeleteResourcePolicy, DeleteResourcePolicyInput, DeleteResourcePolicyOutput, GetResourcePolicy,
    GetResourcePolicyInput, GetResourcePolicyOutput, PutResourcePolicy, PutResourcePolicyInput,
    PutResourcePolicyOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::write::{Home, check_table_arn};
use crate::{DynamoDb, policies};

/// Fails where there is no table or stream of this ARN.
fn exists(tx: &mut Tx<'_>, home: &Home, arn: &str) -> Result<(), Error> {
    check_table_arn(arn)?;
    let (name, stream) = arn.split_once("/stream/").map_or((arn, None), |(table, label)| (table, Some(label)));
    let table = home.find(tx, name)?;
    let there = table.is_some_and(|table| stream.is_none_or(|label| table.latest_stream.as_deref() == Some(label)));
    if there {
        return Ok(());
    }
    Err(error::resource_not_found_exception(format!("Requested resource not found: ResourcArn: {arn} not found")))
}

#[async_trait]
impl Handle<PutResourcePolicy> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: PutResourcePolicyInput) -> Result<PutResourcePolicyOutput, Error> {
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let account = cx.account().to_owned();
        let revision = cx
            .write(&self.store, move |tx| {
                exists(tx, &home, &req.resource_arn)?;
                policies::check(&req.policy, &req.resource_arn, &account)?;
                policies::put(tx, &req.resource_arn, &req.policy, req.expected_revision_id.as_deref(), now)
            })
            .await?;
        Ok(PutResourcePolicyOutput { revision_id: Some(revision) })
    }
}

#[async_trait]
impl Handle<GetResourcePolicy> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: GetResourcePolicyInput) -> Result<GetResourcePolicyOutput, Error> {
        let home = Home::of(cx);
        let found = self
            .store
            .read(|tx| {
                exists(tx, &home, &req.resource_arn)?;
                policies::get(tx, &req.resource_arn)
            })
            .await?;
        let found = found.ok_or_else(|| policies::not_found(&req.resource_arn))?;
        Ok(GetResourcePolicyOutput { policy: Some(found.text), revision_id: Some(found.revision) })
    }
}

#[async_trait]
impl Handle<DeleteResourcePolicy> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DeleteResourcePolicyInput) -> Result<DeleteResourcePolicyOutput, Error> {
        let home = Home::of(cx);
        let revision_id = cx
            .write(&self.store, move |tx| {
                exists(tx, &home, &req.resource_arn)?;
                policies::delete(tx, &req.resource_arn, req.expected_revision_id.as_deref())
            })
            .await?;
        Ok(DeleteResourcePolicyOutput { revision_id })
    }
}
