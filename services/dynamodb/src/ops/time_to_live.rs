//! UpdateTimeToLive and DescribeTimeToLive.

use api_dynamodb::{
    DescribeTimeToLive, DescribeTimeToLiveInput, DescribeTimeToLiveOutput, TimeToLiveDescription, UpdateTimeToLive,
    UpdateTimeToLiveInput, UpdateTimeToLiveOutput,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::NewTask;
use wire::Error;

use crate::tasks::{BATCH, CLEAR_EXPIRIES, Fill};
use crate::write::Home;
use crate::{DynamoDb, items};

#[async_trait]
impl Handle<UpdateTimeToLive> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateTimeToLiveInput) -> Result<UpdateTimeToLiveOutput, Error> {
        let (home, made) = (Home::of(cx), cx.uuid());
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
                table.ttl_made.clone_from(&made);
                let after = items::note_expiries(tx, &table, None, BATCH)?;
                table.ttl_filling = after.is_some();
                if let Some(after) = after {
                    Fill::of(&table, after).enqueue(tx)?;
                }
            } else {
                table.ttl = None;
                table.ttl_filling = false;
                items::stop_expiring(tx, &table)?;
                if !items::clear(tx, &table.expiries(), BATCH)? {
                    let about = table.expiries();
                    let task = NewTask::new(CLEAR_EXPIRIES, format!("{CLEAR_EXPIRIES}/{}/{made}", table.id));
                    tx.enqueue(task.payload(&about.as_bytes())?)?;
                }
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
        let status = match &table.ttl {
            Some(_) if table.ttl_filling => "ENABLING",
            Some(_) => "ENABLED",
            None => "DISABLED",
        };
        let time_to_live_description = Some(TimeToLiveDescription {
            time_to_live_status: Some(status.to_owned()),
            attribute_name: table.ttl.clone(),
        });
        Ok(DescribeTimeToLiveOutput { time_to_live_description })
    }
}
