//! CreateBackup, DescribeBackup, ListBackups, DeleteBackup.

use api_dynamodb::{
    BackupDescription, BackupDetails, BackupSummary, CreateBackup, CreateBackupInput, CreateBackupOutput, DeleteBackup,
    DeleteBackupInput, DeleteBackupOutput, DescribeBackup, DescribeBackupInput, DescribeBackupOutput,
    GlobalSecondaryIndexInfo, ListBackups, ListBackupsInput, ListBackupsOutput, LocalSecondaryIndexInfo,
    OnDemandThroughput, ProvisionedThroughput, SourceTableDetails, SourceTableFeatureDetails, StreamSpecification,
    TimeToLiveDescription, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::{Error, Timestamp};

use crate::DynamoDb;
use crate::backups::restore::CLEAR_COPIES;
use crate::backups::{self, Backup, Then};
use crate::describe::{elements, projection};
use crate::table::{Billing, Table};
use crate::write::{Home, table_name};

#[async_trait]
impl Handle<CreateBackup> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: CreateBackupInput) -> Result<CreateBackupOutput, Error> {
        let (home, now) = (Home::of(cx), cx.now().as_millisecond());
        let id = format!("{now:017}-{}", cx.uuid().replace('-', "").get(..8).unwrap_or_default());
        let backup = cx
            .write(&self.store, move |tx| {
                let Some(table) = home.find(tx, &req.table_name)? else {
                    let name = table_name(&req.table_name);
                    return Err(error::table_not_found_exception(format!("Table not found: {name}")));
                };
                let mut table = Table::clone(&table);
                table.may_change()?;
                let arn = format!("{}/backup/{id}", table.arn);
                let mut kept = table.clone();
                kept.snapshots = Vec::new();
                let complete = backups::begin(tx, &mut table, (&id, None), Then::Backup(arn.clone()))?;
                if complete {
                    backups::end(&mut table, &id);
                }
                table.save(tx)?;
                let contents = kept.contents(tx)?;
                let (id, name) = (id.clone(), req.backup_name.clone());
                let backup = Backup { id, name, arn, created_ms: now, complete, table: kept, contents };
                backup.save(tx)?;
                Ok(backup)
            })
            .await?;
        Ok(CreateBackupOutput { backup_details: Some(details(&backup)) })
    }
}

#[async_trait]
impl Handle<DescribeBackup> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DescribeBackupInput) -> Result<DescribeBackupOutput, Error> {
        let home = Home::of(cx);
        let backup = self.store.read(|tx| find(tx, &home, &req.backup_arn)).await?;
        Ok(DescribeBackupOutput { backup_description: Some(description(&backup, None)) })
    }
}

#[async_trait]
impl Handle<DeleteBackup> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: DeleteBackupInput) -> Result<DeleteBackupOutput, Error> {
        let home = Home::of(cx);
        let backup = cx
            .write(&self.store, move |tx| {
                let backup = find(tx, &home, &req.backup_arn)?;
                let tables: Vec<Table> = tx.list_json(Table::records(&home.account, &home.region), usize::MAX)?;
                let restoring = tables
                    .iter()
                    .filter_map(|table| table.origin.as_ref())
                    .any(|origin| origin.in_progress && origin.backup_arn.as_deref() == Some(backup.arn.as_str()));
                if !backup.complete || restoring {
                    return Err(error::backup_in_use_exception(format!("Backup is being used: {}", backup.arn)));
                }
                backup.delete(tx)?;
                tx.enqueue(NewTask::new(CLEAR_COPIES, format!("{CLEAR_COPIES}/{}", backup.id)).payload(&backup.id)?)?;
                Ok(backup)
            })
            .await?;
        Ok(DeleteBackupOutput { backup_description: Some(description(&backup, Some("DELETED"))) })
    }
}

#[async_trait]
impl Handle<ListBackups> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: ListBackupsInput) -> Result<ListBackupsOutput, Error> {
        let home = Home::of(cx);
        let mut all = self
            .store
            .read(|tx| {
                if let Some(name) = &req.table_name {
                    // A table that is gone may have backups.
                    crate::write::check_table_name(name)?;
                }
                Ok::<_, Error>(tx.list_json::<Backup>(Backup::all(&home), usize::MAX)?)
            })
            .await?;
        if let Some(name) = &req.table_name {
            all.retain(|backup| backup.table.name == table_name(name));
        }
        // There are none of AWS Backup and none that the system makes.
        if !matches!(req.backup_type.as_deref(), None | Some("USER" | "ALL")) {
            all.clear();
        }
        let (lower, upper) = (req.time_range_lower_bound, req.time_range_upper_bound);
        all.retain(|backup| {
            lower.is_none_or(|lower| backup.created_ms >= lower.as_millis())
                && upper.is_none_or(|upper| backup.created_ms < upper.as_millis())
        });
        if let Some(after) = &req.exclusive_start_backup_arn {
            let Some(at) = all.iter().position(|backup| backup.arn == *after) else {
                return Err(Error::validation(format!("Invalid ExclusiveStartBackupArn: {after}")));
            };
            all.drain(..=at);
        }
        let limit = usize::try_from(req.limit.unwrap_or(100)).unwrap_or(100);
        let more = all.len() > limit;
        all.truncate(limit);
        Ok(ListBackupsOutput {
            last_evaluated_backup_arn: all.last().filter(|_| more).map(|backup| backup.arn.clone()),
            backup_summaries: Some(all.iter().map(summary).collect()),
        })
    }
}

pub(super) fn find(tx: &mut Tx<'_>, home: &Home, arn: &str) -> Result<Backup, Error> {
    let found = Backup::find(tx, home, arn)?;
    found.ok_or_else(|| error::backup_not_found_exception(format!("Backup not found: {arn}")))
}

fn status(backup: &Backup) -> &'static str {
    if backup.complete { "AVAILABLE" } else { "CREATING" }
}

fn details(backup: &Backup) -> BackupDetails {
    BackupDetails {
        backup_arn: backup.arn.clone(),
        backup_name: backup.name.clone(),
        backup_size_bytes: Some(backup.contents.bytes),
        backup_status: status(backup).to_owned(),
        backup_type: "USER".to_owned(),
        backup_creation_date_time: Timestamp::from_millis(backup.created_ms),
        backup_expiry_date_time: None,
    }
}

fn summary(backup: &Backup) -> BackupSummary {
    BackupSummary {
        table_name: Some(backup.table.name.clone()),
        table_id: Some(backup.table.id.clone()),
        table_arn: Some(backup.table.arn.clone()),
        backup_arn: Some(backup.arn.clone()),
        backup_name: Some(backup.name.clone()),
        backup_creation_date_time: Some(Timestamp::from_millis(backup.created_ms)),
        backup_expiry_date_time: None,
        backup_status: Some(status(backup).to_owned()),
        backup_type: Some("USER".to_owned()),
        backup_size_bytes: Some(backup.contents.bytes),
    }
}

fn description(backup: &Backup, status: Option<&str>) -> BackupDescription {
    let table = &backup.table;
    let mut details = details(backup);
    if let Some(status) = status {
        status.clone_into(&mut details.backup_status);
    }
    let (mode, (read, write)) = match table.billing {
        Billing::PayPerRequest => ("PAY_PER_REQUEST", (0, 0)),
        Billing::Provisioned { read, write } => ("PROVISIONED", (read, write)),
    };
    let throughput = |(read, write)| ProvisionedThroughput { read_capacity_units: read, write_capacity_units: write };
    let local = table.indexes.iter().filter(|index| !index.global).map(|index| LocalSecondaryIndexInfo {
        index_name: Some(index.name.clone()),
        key_schema: Some(elements(&index.key)),
        projection: Some(projection(index)),
    });
    let global = table.indexes.iter().filter(|index| index.global).map(|index| GlobalSecondaryIndexInfo {
        index_name: Some(index.name.clone()),
        key_schema: Some(elements(&index.key)),
        projection: Some(projection(index)),
        provisioned_throughput: Some(throughput(index.throughput.unwrap_or_default())),
        on_demand_throughput: None,
    });
    let (local, global): (Vec<_>, Vec<_>) = (local.collect(), global.collect());
    BackupDescription {
        backup_details: Some(details),
        source_table_details: Some(SourceTableDetails {
            table_name: table.name.clone(),
            table_id: table.id.clone(),
            table_arn: Some(table.arn.clone()),
            table_size_bytes: Some(backup.contents.bytes),
            key_schema: elements(&table.key),
            table_creation_date_time: Timestamp::from_millis(table.created_ms),
            provisioned_throughput: throughput((read, write)),
            on_demand_throughput: table.on_demand_limits.map(|(read, write)| OnDemandThroughput {
                max_read_request_units: Some(read),
                max_write_request_units: Some(write),
            }),
            item_count: Some(backup.contents.items),
            billing_mode: Some(mode.to_owned()),
        }),
        source_table_feature_details: Some(SourceTableFeatureDetails {
            local_secondary_indexes: (!local.is_empty()).then_some(local),
            global_secondary_indexes: (!global.is_empty()).then_some(global),
            stream_description: table.stream.as_ref().map(|stream| StreamSpecification {
                stream_enabled: true,
                stream_view_type: Some(stream.view.clone()),
            }),
            time_to_live_description: table.ttl.as_ref().map(|name| TimeToLiveDescription {
                time_to_live_status: Some("ENABLED".to_owned()),
                attribute_name: Some(name.clone()),
            }),
            sse_description: None,
            vector_indexes: None,
        }),
    }
}
