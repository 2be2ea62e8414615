//! DescribeContinuousBackups and UpdateContinuousBackups: point-in-time recovery is not kept, and says so.

use api_dynamodb::{
    ContinuousBackupsDescription, DescribeContinuousBackups, DescribeContinuousBackupsInput,
    DescribeContinuousBackupsOutput, PointInTimeRecoveryDescription, UpdateContinuousBackups,
    UpdateContinuousBackupsInput, UpdateContinuousBackupsOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::DynamoDb;
use crate::write::Home;

#[async_trait]
impl Handle<DescribeContinuousBackups> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeContinuousBackupsInput,
    ) -> Result<DescribeContinuousBackupsOutput, Error> {
        self.check_table(cx, &req.table_name).await?;
        Ok(DescribeContinuousBackupsOutput { continuous_backups_description: Some(none()) })
    }
}

#[async_trait]
impl Handle<UpdateContinuousBackups> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateContinuousBackupsInput) -> Result<UpdateContinuousBackupsOutput, Error> {
        self.check_table(cx, &req.table_name).await?;
        if req.point_in_time_recovery_specification.point_in_time_recovery_enabled {
            return Err(Error::not_implemented("UpdateContinuousBackups: point-in-time recovery"));
        }
        Ok(UpdateContinuousBackupsOutput { continuous_backups_description: Some(none()) })
    }
}

impl DynamoDb {
    async fn check_table(&self, cx: &Cx, name: &str) -> Result<(), Error> {
        let home = Home::of(cx);
        let found = self.store.read(|tx| home.find(tx, name)).await?;
        found.map(drop).ok_or_else(|| error::table_not_found_exception(format!("Table not found: {name}")))
    }
}

fn none() -> ContinuousBackupsDescription {
    ContinuousBackupsDescription {
        continuous_backups_status: "DISABLED".to_owned(),
        point_in_time_recovery_description: Some(PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some("DISABLED".to_owned()),
            ..PointInTimeRecoveryDescription::default()
        }),
    }
}
