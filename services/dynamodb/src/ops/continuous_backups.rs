//! DescribeContinuousBackups and UpdateContinuousBackups: point-in-time recovery, on and off.

use api_dynamodb::{
    ContinuousBackupsDescription, DescribeContinuousBackups, DescribeContinuousBackupsInput,
    DescribeContinuousBackupsOutput, PointInTimeRecoveryDescription, UpdateContinuousBackups,
    UpdateContinuousBackupsInput, UpdateContinuousBackupsOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::DynamoDb;
use crate::backups::recovery;
use crate::table::Table;
use crate::write::Home;

#[async_trait]
impl Handle<DescribeContinuousBackups> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeContinuousBackupsInput,
    ) -> Result<DescribeContinuousBackupsOutput, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let found = self.store.read(|tx| home.find(tx, &req.table_name)).await?;
        let table = found.ok_or_else(|| not_found(&req.table_name))?;
        Ok(DescribeContinuousBackupsOutput { continuous_backups_description: Some(described(&table, now_ms)) })
    }
}

#[async_trait]
impl Handle<UpdateContinuousBackups> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateContinuousBackupsInput) -> Result<UpdateContinuousBackupsOutput, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let asked = req.point_in_time_recovery_specification;
        if !asked.point_in_time_recovery_enabled && asked.recovery_period_in_days.is_some() {
            return Err(Error::validation(
                "One or more parameter values were invalid: RecoveryPeriodInDays can only be specified when \
                 PointInTimeRecoveryEnabled is true",
            ));
        }
        let description = cx
            .write(&self.store, move |tx| {
                let found = home.find(tx, &req.table_name)?.ok_or_else(|| not_found(&req.table_name))?;
                let mut table = Table::clone(&found);
                table.may_change()?;
                if asked.point_in_time_recovery_enabled {
                    recovery::enable(tx, &mut table, asked.recovery_period_in_days, now_ms)?;
                } else {
                    // What was kept goes with the next run of the trimming task.
                    table.recovery = None;
                }
                table.save(tx)?;
                Ok::<_, Error>(described(&table, now_ms))
            })
            .await?;
        Ok(UpdateContinuousBackupsOutput { continuous_backups_description: Some(description) })
    }
}

fn not_found(name: &str) -> Error {
    error::table_not_found_exception(format!("Table not found: {}", crate::write::table_name(name)))
}

/// Backups can be made of every table; recovery is on or off. A table can be brought back to now.
fn described(table: &Table, now_ms: i64) -> ContinuousBackupsDescription {
    let recovery = table.recovery.as_ref();
    ContinuousBackupsDescription {
        continuous_backups_status: "ENABLED".to_owned(),
        point_in_time_recovery_description: Some(PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some(if recovery.is_some() { "ENABLED" } else { "DISABLED" }.to_owned()),
            recovery_period_in_days: recovery.map(|recovery| recovery.days),
            earliest_restorable_date_time: recovery.map(|own| Timestamp::from_millis(own.earliest_ms(now_ms))),
            latest_restorable_date_time: recovery.map(|_| Timestamp::from_millis(now_ms)),
        }),
    }
}
