//! UpdateTimeToLive and DescribeTimeToLive.

use api_dynamodb::{
    DescribeTimeToLive, DescribeTimeToLiveInput, DescribeTimeToLiveOutput, TimeToLiveDescription, UpdateTimeToLive,
    UpdateTimeToLiveInput, UpdateTimeToLiveOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::write::Home;
use crate::{DynamoDb, items};

#[async_trait]
impl Handle<UpdateTimeToLive> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateTimeToLiveInput) -> Result<UpdateTimeToLiveOutput, Error> {
        let home = Home::of(cx);
        let asked = req.time_to_live_specification.clone();
        cx.write(&self.store, move |tx| {
            let asked = &req.time_to_live_specification;
            let mut table = home.table_to_change(tx, &req.table_name)?;
            match (&table.ttl, asked.enabled) {
                (None, false) => return Err(Error::validation("TimeToLive is already disabled")),
                (Some(own), _) if *own != asked.attribute_name => {
                    return Err(Error::validation(format!(
                        "TimeToLive is active on a different AttributeName: current AttributeName is {own}"
                    )));
                }
                (Some(_), true) => return Err(Error::validation("TimeToLive is already enabled")),
                _ => {}
            }
            if asked.enabled {
                table.ttl = Some(asked.attribute_name.clone());
                items::note_expiries(tx, &table)?;
            } else {
                table.ttl = None;
                items::clear(tx, &table.expiries(), usize::MAX)?;
            }
            table.save(tx)
        })
        .await?;
        Ok(UpdateTimeToLiveOutput { time_to_live_specification: Some(asked) })
    }
}

#[async_trait]
impl Handle<DescribeTimeToLive> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DescribeTimeToLiveInput) -> Result<DescribeTimeToLiveOutput, Error> {
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.named_table(tx, &req.table_name)).await?;
        let status = if table.ttl.is_some() { "ENABLED" } else { "DISABLED" };
        let time_to_live_description = Some(TimeToLiveDescription {
            time_to_live_status: Some(status.to_owned()),
            attribute_name: table.ttl.clone(),
        });
        Ok(DescribeTimeToLiveOutput { time_to_live_description })
    }
}
