//! RestoreTableFromBackup and RestoreTableToPointInTime: a new table of what was. It has the keys, indexes and billing of its source
//! unless told otherwise; stream, TTL, tags, protection and recovery are set anew, as on AWS.

use api_dynamodb::{
    GlobalSecondaryIndex, LocalSecondaryIndex, OnDemandThroughput, ProvisionedThroughput, RestoreTableFromBackup,
    RestoreTableFromBackupInput, RestoreTableFromBackupOutput, RestoreTableToPointInTime,
    RestoreTableToPointInTimeInput, RestoreTableToPointInTimeOutput, SSESpecification, TableDescription, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use super::create_table::{check_indexes, indexes, limits};
use crate::DynamoDb;
use crate::backups::restore::{Origin, Restore, Undo, enqueue, step};
use crate::backups::{self, Then, recovery};
use crate::describe::billing;
use crate::table::{Contents, Table};
use crate::write::{Home, check_table_arn, new_table_name};

/// Items that a new table takes in the transaction that makes it.
const TAKEN_AT_ONCE: usize = 500;

#[async_trait]
impl Handle<RestoreTableFromBackup> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: RestoreTableFromBackupInput) -> Result<RestoreTableFromBackupOutput, Error> {
        let new = New {
            name: req.target_table_name,
            id: cx.uuid(),
            now_ms: cx.now().as_millisecond(),
            billing_mode: req.billing_mode_override,
            throughput: req.provisioned_throughput_override,
            limits: req.on_demand_throughput_override,
            local: req.local_secondary_index_override,
            global: req.global_secondary_index_override,
        };
        refuse_keys("RestoreTableFromBackup", req.sse_specification_override.as_ref())?;
        let home = Home::of(cx);
        let description = cx
            .write(&self.store, move |tx| {
                let backup = super::backups::find(tx, &home, &req.backup_arn)?;
                if !backup.complete {
                    return Err(error::backup_in_use_exception(format!("Backup is being created: {}", backup.arn)));
                }
                let origin = Origin {
                    backup_arn: Some(backup.arn.clone()),
                    source_arn: Some(backup.table.arn.clone()),
                    at_ms: backup.created_ms,
                    in_progress: true,
                };
                let target = new.table(tx, &home, &backup.table, origin)?;
                target.save(tx)?;
                let restore = Restore::of(&target, &backup.id, None);
                go_on(tx, &target, restore)
            })
            .await?;
        Ok(RestoreTableFromBackupOutput { table_description: Some(description) })
    }
}

#[async_trait]
impl Handle<RestoreTableToPointInTime> for DynamoDb {
    async fn handle(
        &self,
        cx: &Cx,
        req: RestoreTableToPointInTimeInput,
    ) -> Result<RestoreTableToPointInTimeOutput, Error> {
        let now_ms = cx.now().as_millisecond();
        let new = New {
            name: req.target_table_name,
            id: cx.uuid(),
            now_ms,
            billing_mode: req.billing_mode_override,
            throughput: req.provisioned_throughput_override,
            limits: req.on_demand_throughput_override,
            local: req.local_secondary_index_override,
            global: req.global_secondary_index_override,
        };
        refuse_keys("RestoreTableToPointInTime", req.sse_specification_override.as_ref())?;
        if let Some(arn) = &req.source_table_arn {
            check_table_arn(arn)?;
        }
        let Some(source) = req.source_table_name.or(req.source_table_arn) else {
            return Err(Error::validation(
                "One or more parameter values were invalid: Either SourceTableName or SourceTableArn must be specified",
            ));
        };
        let to_ms = moment(req.restore_date_time, req.use_latest_restorable_time, now_ms)?;
        let home = Home::of(cx);
        let description = cx
            .write(&self.store, move |tx| {
                let Some(found) = home.find(tx, &source)? else {
                    return Err(error::table_not_found_exception(format!("Table not found: {source}")));
                };
                let mut source = Table::clone(&found);
                let Some(recovery) = &source.recovery else {
                    return Err(error::point_in_time_recovery_unavailable_exception(format!(
                        "Point in time recovery is not enabled for table '{}'",
                        source.name
                    )));
                };
                if to_ms < recovery.earliest_ms(now_ms) || to_ms > now_ms {
                    return Err(error::invalid_restore_time_exception(
                        "The restore time must be between EarliestRestorableDateTime and LatestRestorableDateTime",
                    ));
                }
                let origin =
                    Origin { backup_arn: None, source_arn: Some(source.arn.clone()), at_ms: to_ms, in_progress: true };
                let target = new.table(tx, &home, &source, origin)?;
                target.save(tx)?;
                let undo = Undo {
                    table: source.name.clone(),
                    table_id: source.id.clone(),
                    below: recovery::count(tx, &source.id)? + 1,
                    to_ms,
                    done: false,
                };
                let restore = Restore::of(&target, &target.id, Some(undo));
                let snapshot = (target.id.as_str(), Some(to_ms));
                let complete = backups::begin(tx, &mut source, snapshot, Then::Restore(restore.clone()))?;
                source.save(tx)?;
                if complete { go_on(tx, &target, restore) } else { described(tx, &target) }
            })
            .await?;
        Ok(RestoreTableToPointInTimeOutput { table_description: Some(description) })
    }
}

/// Takes what can be taken at once, and leaves the rest to a task.
fn go_on(tx: &mut Tx<'_>, target: &Table, mut restore: Restore) -> Result<TableDescription, Error> {
    for _ in 0..2 {
        if step(tx, &mut restore, TAKEN_AT_ONCE)? {
            return described(tx, target);
        }
    }
    enqueue(tx, &restore)?;
    described(tx, target)
}

/// AWS's answer tells of a table that is being made, however little is left to do.
fn described(tx: &mut Tx<'_>, target: &Table) -> Result<TableDescription, Error> {
    let contents: Contents = target.contents(tx)?;
    Ok(target.describe(&contents, "CREATING"))
}

impl Restore {
    fn of(target: &Table, snapshot: &str, undo: Option<Undo>) -> Self {
        Self {
            account: target.account.clone(),
            region: target.region.clone(),
            target: target.name.clone(),
            target_id: target.id.clone(),
            snapshot: snapshot.to_owned(),
            undo,
            after: None,
        }
    }
}

/// The moment to which a table is brought back, in milliseconds since 1970.
fn moment(at: Option<Timestamp>, latest: Option<bool>, now_ms: i64) -> Result<i64, Error> {
    match (at, latest) {
        (Some(_), Some(true)) => Err(Error::validation(
            "One or more parameter values were invalid: Only one of RestoreDateTime or UseLatestRestorableTime can be \
             specified",
        )),
        (Some(at), _) => Ok(at.as_millis()),
        (None, Some(true)) => Ok(now_ms),
        (None, _) => Err(Error::validation(
            "One or more parameter values were invalid: Either RestoreDateTime or UseLatestRestorableTime must be specified",
        )),
    }
}

/// What is said of the new table.
#[derive(Clone)]
struct New {
    name: String,
    id: String,
    now_ms: i64,
    billing_mode: Option<String>,
    throughput: Option<ProvisionedThroughput>,
    limits: Option<OnDemandThroughput>,
    local: Option<Vec<LocalSecondaryIndex>>,
    global: Option<Vec<GlobalSecondaryIndex>>,
}

impl New {
    fn table(&self, tx: &mut Tx<'_>, home: &Home, source: &Table, origin: Origin) -> Result<Table, Error> {
        let name = new_table_name(home, &self.name)?;
        if home.find(tx, name)?.is_some() {
            return Err(error::table_already_exists_exception(format!("Table already exists: {name}")));
        }
        let mut table = Table {
            id: self.id.clone(),
            name: name.to_owned(),
            arn: home.table_arn(name),
            created_ms: self.now_ms,
            tags: std::collections::BTreeMap::new(),
            ttl: None,
            ttl_made: String::new(),
            ttl_filling: false,
            deletion_protection: false,
            stream: None,
            latest_stream: None,
            on_demand_since_ms: None,
            insights: std::collections::BTreeMap::new(),
            snapshots: Vec::new(),
            recovery: None,
            origin: Some(origin),
            importing: false,
            ..source.clone()
        };
        if self.billing_mode.is_some() || self.throughput.is_some() {
            table.billing = billing(self.billing_mode.as_deref(), self.throughput.clone())?;
            if table.billing == crate::table::Billing::PayPerRequest {
                for index in &mut table.indexes {
                    index.throughput = None;
                }
            }
        }
        if let Some(own) = limits(self.limits.as_ref()) {
            table.on_demand_limits = Some(own);
        }
        for (kind, given) in [(false, self.local.is_some()), (true, self.global.is_some())] {
            table.indexes.retain(|index| index.global != kind || !given);
        }
        // An empty list leaves all out.
        let local = self.local.clone().filter(|list| !list.is_empty());
        let global = self.global.clone().filter(|list| !list.is_empty());
        for index in indexes(&table.key, local, global)? {
            let is_it = |own: &crate::table::Index| {
                own.global == index.global && own.key == index.key && own.projection == index.projection
            };
            if !source.indexes.iter().any(is_it) {
                return Err(Error::validation(format!(
                    "One or more parameter values were invalid: Index {} does not match an index of the source table",
                    index.name
                )));
            }
            table.indexes.push(index);
        }
        for index in &mut table.indexes {
            index.backfilling = false;
        }
        let used: Vec<String> = table
            .key
            .names()
            .chain(table.indexes.iter().flat_map(|index| index.key.names()))
            .map(str::to_owned)
            .collect();
        table.attributes.retain(|name, _| used.contains(name));
        check_indexes(&table.indexes, table.billing)?;
        Ok(table)
    }
}

fn refuse_keys(operation: &str, sse: Option<&SSESpecification>) -> Result<(), Error> {
    match sse {
        Some(sse) if sse.enabled == Some(true) => {
            Err(Error::not_implemented(format!("{operation}: SSESpecificationOverride with KMS keys")))
        }
        _ => Ok(()),
    }
}
