//! DescribeContinuousBackups, UpdateContinuousBackups and RestoreTableToPointInTime.

use api_dynamodb::{
    ContinuousBackupsDescription, DescribeContinuousBackups, DescribeContinuousBackupsInput,
    DescribeContinuousBackupsOutput, PointInTimeRecoveryDescription, RestoreSummary, RestoreTableToPointInTime,
    RestoreTableToPointInTimeInput, RestoreTableToPointInTimeOutput, UpdateContinuousBackups,
    UpdateContinuousBackupsInput, UpdateContinuousBackupsOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use super::create_table::{check_indexes, indexes, limits};
use crate::describe::billing;
use crate::pitr::{self, DAYS, Recovery};
use crate::table::{Billing, Table};
use crate::write::{Home, check_table_name, table_name};
use crate::{DynamoDb, Invalid};

#[async_trait]
impl Handle<DescribeContinuousBackups> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeContinuousBackupsInput,
    ) -> Result<DescribeContinuousBackupsOutput, Error> {
        let home = Home::of(cx);
        let table = self.store.read(|tx| home.find(tx, &req.table_name)).await?;
        let table = table.ok_or_else(|| missing(&req.table_name))?;
        let now = cx.now().as_millisecond();
        Ok(DescribeContinuousBackupsOutput { continuous_backups_description: Some(describe(table.recovery, now)) })
    }
}

#[async_trait]
impl Handle<UpdateContinuousBackups> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateContinuousBackupsInput) -> Result<UpdateContinuousBackupsOutput, Error> {
        let wanted = req.point_in_time_recovery_specification;
        let days = wanted.recovery_period_in_days;
        if days.is_some_and(|days| !(1..=DAYS).contains(&days))
            || days.is_some() && !wanted.point_in_time_recovery_enabled
        {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: RecoveryPeriodInDays must be between 1 and {DAYS}, and only set when point-in-time recovery is enabled"
            )));
        }
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let description = cx
            .write(&self.store, move |tx| {
                let found = home.find(tx, &req.table_name)?.ok_or_else(|| missing(&req.table_name))?;
                let mut table = Table::clone(&found);
                table.recovery = wanted.point_in_time_recovery_enabled.then(|| Recovery {
                    // Switched on again it begins anew; on already it goes on.
                    since_ms: table.recovery.map_or(now, |recovery| recovery.since_ms),
                    days: days.or_else(|| table.recovery.map(|recovery| recovery.days)).unwrap_or(DAYS),
                });
                if table.recovery.is_none() {
                    crate::items::clear(tx, &pitr::log(&table.id), usize::MAX)?;
                }
                table.save(tx)?;
                Ok::<_, Error>(describe(table.recovery, now))
            })
            .await?;
        Ok(UpdateContinuousBackupsOutput { continuous_backups_description: Some(description) })
    }
}

fn missing(name: &str) -> Error {
    error::table_not_found_exception(format!("Table not found: {name}"))
}

fn describe(recovery: Option<Recovery>, now_ms: i64) -> ContinuousBackupsDescription {
    let status = if recovery.is_some() { "ENABLED" } else { "DISABLED" };
    ContinuousBackupsDescription {
        // AWS keeps this one enabled for every table.
        continuous_backups_status: "ENABLED".to_owned(),
        point_in_time_recovery_description: Some(PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some(status.to_owned()),
            recovery_period_in_days: recovery.map(|recovery| recovery.days),
            earliest_restorable_date_time: recovery.map(|r| Timestamp::from_millis(r.earliest_ms(now_ms))),
            latest_restorable_date_time: recovery.map(|_| Timestamp::from_millis(now_ms)),
        }),
    }
}

#[async_trait]
impl Handle<RestoreTableToPointInTime> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: RestoreTableToPointInTimeInput,
    ) -> Result<RestoreTableToPointInTimeOutput, Error> {
        check_table_name(&req.target_table_name)?;
        let source = req.source_table_arn.clone().or_else(|| req.source_table_name.clone());
        let source = source.ok_or_else(|| Invalid::new("Either SourceTableArn or SourceTableName is required"))?;
        let at = match (req.use_latest_restorable_time, req.restore_date_time) {
            (Some(true), None) => None,
            (None | Some(false), Some(at)) => Some(at.as_millis()),
            _ => {
                return Err(Error::validation(
                    "Exactly one of RestoreDateTime and UseLatestRestorableTime must be specified",
                ));
            }
        };
        let (home, id, now) = (Home::of(cx), cx.uuid(), cx.now().as_millisecond());
        let arn = cx.arn("dynamodb", format!("table/{}", table_name(&req.target_table_name)));
        let description = cx
            .write(&self.store, move |tx| {
                let source = home
                    .find(tx, &source)?
                    .ok_or_else(|| error::table_not_found_exception(format!("Source table not found: {source}")))?;
                let recovery = source.recovery.ok_or_else(|| {
                    error::point_in_time_recovery_unavailable_exception(format!(
                        "Point in time recovery is not enabled for table '{}'",
                        source.name
                    ))
                })?;
                let at_ms = at.unwrap_or(now);
                if at_ms < recovery.earliest_ms(now) || at_ms > now {
                    return Err(error::invalid_restore_time_exception(
                        "RestoreDateTime must be between EarliestRestorableDateTime and LatestRestorableDateTime",
                    ));
                }
                if home.find(tx, &req.target_table_name)?.is_some() {
                    return Err(error::table_already_exists_exception(format!(
                        "Table already exists: {}",
                        req.target_table_name
                    )));
                }
                let target = target(&source, &req, (id.clone(), arn.clone(), now))?;
                target.save(tx)?;
                pitr::restore(tx, &source, &target, at_ms)?;
                let mut description = target.describe(&target.contents(tx)?, "ACTIVE");
                description.restore_summary = Some(RestoreSummary {
                    source_table_arn: Some(source.arn.clone()),
                    restore_date_time: Timestamp::from_millis(at_ms),
                    restore_in_progress: false,
                    ..RestoreSummary::default()
                });
                Ok(description)
            })
            .await?;
        Ok(RestoreTableToPointInTimeOutput { table_description: Some(description) })
    }
}

/// The new table: the source's settings of now, without streams, expiry, tags and protection, as on AWS.
fn target(
    source: &Table,
    req: &RestoreTableToPointInTimeInput,
    (id, arn, created_ms): (String, String, i64),
) -> Result<Table, Error> {
    let mut table = Table {
        id,
        arn,
        name: table_name(&req.target_table_name).to_owned(),
        created_ms,
        tags: std::collections::BTreeMap::new(),
        ttl: None,
        deletion_protection: false,
        stream: None,
        latest_stream: None,
        recovery: None,
        insights: std::collections::BTreeMap::new(),
        ..source.clone()
    };
    if req.billing_mode_override.is_some() || req.provisioned_throughput_override.is_some() {
        table.billing = billing(req.billing_mode_override.as_deref(), req.provisioned_throughput_override.clone())?;
        if table.billing == Billing::PayPerRequest {
            table.indexes.iter_mut().for_each(|index| index.throughput = None);
        }
    }
    if req.on_demand_throughput_override.is_some() {
        table.on_demand_limits = limits(req.on_demand_throughput_override.as_ref());
    }
    for (global, overridden) in
        [(true, req.global_secondary_index_override.is_some()), (false, req.local_secondary_index_override.is_some())]
    {
        if overridden {
            table.indexes.retain(|index| index.global != global);
        }
    }
    let listed = |empty: bool| !empty;
    let global = req.global_secondary_index_override.clone().filter(|list| listed(list.is_empty()));
    let local = req.local_secondary_index_override.clone().filter(|list| listed(list.is_empty()));
    for index in indexes(&source.key, local, global)? {
        let known = source.indexes.iter().any(|own| own.name == index.name && own.key == index.key);
        if !known {
            return Err(Error::validation(format!("Index {} is no index of the source table", index.name)));
        }
        table.indexes.push(index);
    }
    let used: std::collections::BTreeSet<String> =
        table.key.names().chain(table.indexes.iter().flat_map(|i| i.key.names())).map(str::to_owned).collect();
    table.attributes.retain(|name, _| used.contains(name));
    table.indexes.iter_mut().for_each(|index| index.backfilling = false);
    check_indexes(&table.indexes, table.billing)?;
    Ok(table)
}
