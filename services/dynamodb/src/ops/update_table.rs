//! UpdateTable: billing, class, protection, stream and global indexes. A new index of a small table is filled in the same commit, that
//! of a larger one by a task, while writes go on.

use api_dynamodb::{
    GlobalSecondaryIndexUpdate, ProvisionedThroughput, UpdateTable, UpdateTableInput, UpdateTableOutput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::Error;

use super::create_table::{check_indexes, limits, view_of, warm};
use crate::describe::{attribute_types, billing, index_key_schema, projected};
use crate::table::{Billing, Index, Table};
use crate::tasks::{BACKFILL, Backfill, CLEAR_INDEX};
use crate::write::Home;
use crate::{DynamoDb, Invalid, items, streams};

/// A new index of a table with no more items is filled at once.
const FILLED_AT_ONCE: usize = 1000;

#[async_trait]
impl Handle<UpdateTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateTableInput) -> Result<UpdateTableOutput, Error> {
        let refused = [
            ("ReplicaUpdates", req.replica_updates.is_some()),
            ("MultiRegionConsistency", req.multi_region_consistency.is_some()),
            ("GlobalTableWitnessUpdates", req.global_table_witness_updates.is_some()),
        ];
        if let Some((what, _)) = refused.iter().find(|(_, set)| *set) {
            return Err(Error::not_implemented(format!("UpdateTable: {what}")));
        }
        check_something_is_asked(&req)?;
        let asks_key = req.sse_specification.is_some();
        let key = crate::encryption::key(cx, req.sse_specification.as_ref()).await?;
        let home = Home::of(cx);
        let (id, now) = (cx.uuid(), cx.now().as_millisecond());
        let description = cx
            .write(&self.store, move |tx| {
                let mut table = home.table_to_change(tx, &req.table_name)?;
                apply(tx, &mut table, req.clone(), &id, now)?;
                if asks_key {
                    table.sse_key.clone_from(&key);
                }
                table.save(tx)?;
                Ok::<_, Error>(table.describe(&table.contents(tx)?, table.status()))
            })
            .await?;
        Ok(UpdateTableOutput { table_description: Some(description) })
    }
}

fn check_something_is_asked(req: &UpdateTableInput) -> Result<(), Invalid> {
    let indexes = req.global_secondary_index_updates.as_deref().unwrap_or_default();
    let asked = req.provisioned_throughput.is_some()
        || req.billing_mode.is_some()
        || req.stream_specification.is_some()
        || !indexes.is_empty()
        || req.sse_specification.is_some()
        || req.table_class.is_some()
        || req.deletion_protection_enabled.is_some()
        || req.on_demand_throughput.is_some()
        || req.warm_throughput.is_some();
    if !asked {
        return Err(Invalid::new(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
             SSESpecification or ReplicaUpdates is required",
        ));
    }
    for (at, update) in indexes.iter().enumerate() {
        let name = index_name(update).ok_or_else(|| {
            Invalid::new(
                "One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate.Update, \
                 GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null",
            )
        })?;
        if indexes[..at].iter().any(|other| index_name(other) == Some(name)) {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Only one global secondary index update per index is allowed \
                 simultaneously. Index: {name}"
            )));
        }
    }
    Ok(())
}

fn index_name(update: &GlobalSecondaryIndexUpdate) -> Option<&str> {
    let create = update.create.as_ref().map(|create| create.index_name.as_str());
    let change = update.update.as_ref().map(|update| update.index_name.as_str());
    create.or(change).or_else(|| update.delete.as_ref().map(|delete| delete.index_name.as_str()))
}

fn apply(tx: &mut Tx<'_>, table: &mut Table, req: UpdateTableInput, id: &str, now_ms: i64) -> Result<(), Error> {
    let changes = req.global_secondary_index_updates.unwrap_or_default();
    if changes.iter().filter(|change| change.create.is_some() || change.delete.is_some()).count() > 1
        || (table.indexes.iter().any(|index| index.backfilling) && changes.iter().any(|change| change.create.is_some()))
    {
        return Err(error::limit_exceeded_exception(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ));
    }
    change_billing(table, req.billing_mode.as_deref(), req.provisioned_throughput, now_ms)?;
    if let Some(limits) = limits(req.on_demand_throughput.as_ref()) {
        table.on_demand_limits = Some(limits);
    }
    table.warm = warm(table.warm, req.warm_throughput.as_ref());
    if let Some(protected) = req.deletion_protection_enabled {
        table.deletion_protection = protected;
    }
    if req.table_class.is_some() {
        table.class = req.table_class;
    }
    if let Some(specification) = req.stream_specification {
        let view = view_of(Some(&specification))?;
        match (view, &table.stream) {
            (Some(_), Some(_)) => {
                return Err(Error::validation(format!(
                    "Table already has an enabled stream: TableName: {}",
                    table.name
                )));
            }
            (Some(view), None) => streams::enable(tx, table, &view, id.to_owned(), now_ms)?,
            (None, Some(_)) => streams::disable(tx, table, now_ms)?,
            (None, None) => {
                return Err(Error::validation(format!("Table is already disabled: TableName: {}", table.name)));
            }
        }
    }
    for (name, kind) in attribute_types(req.attribute_definitions.unwrap_or_default())? {
        if table.attributes.get(&name).is_some_and(|own| *own != kind) {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: Attributes cannot be redefined. Please check that your \
                 attribute has the same type as previously defined. Attribute: {name}"
            )));
        }
        table.attributes.insert(name, kind);
    }
    let mut added = Vec::new();
    for change in changes {
        added.extend(change_index(tx, table, change, id)?);
    }
    // Definitions that only a removed index used go with it.
    let used: Vec<String> =
        table.key.names().chain(table.indexes.iter().flat_map(|index| index.key.names())).map(str::to_owned).collect();
    if added.is_empty() {
        table.attributes.retain(|name, _| used.contains(name));
    }
    table.check_definitions()?;
    check_indexes(&table.indexes, table.billing)?;
    for index in added {
        let after = items::fill_index(tx, table, &index, None, FILLED_AT_ONCE)?;
        let left = after.is_some();
        if left {
            let task = format!("{BACKFILL}/{}/{id}/{}", table.id, index.name);
            let made = Some(index.made);
            let about = Backfill { table: table.clone(), index: index.name.clone(), made, after: None };
            tx.enqueue(NewTask::new(BACKFILL, task).payload(&about)?)?;
        }
        for own in table.indexes.iter_mut().filter(|own| own.name == index.name) {
            own.backfilling = left;
        }
    }
    Ok(())
}

fn change_billing(
    table: &mut Table,
    mode: Option<&str>,
    throughput: Option<ProvisionedThroughput>,
    now_ms: i64,
) -> Result<(), Error> {
    if mode.is_none() && throughput.is_none() {
        return Ok(());
    }
    if mode.is_none() && table.billing == Billing::PayPerRequest {
        return Err(Error::validation(
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be \
             specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    let new = billing(mode, throughput)?;
    if let (Billing::Provisioned { read, write }, None) = (new, mode)
        && new == table.billing
    {
        return Err(Error::validation(format!(
            "The provisioned throughput for the table will not change. The requested value equals the current value. \
             Current ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. Current \
             WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. Refer to the \
             Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )));
    }
    if new == Billing::PayPerRequest && table.billing != new {
        table.on_demand_since_ms = Some(now_ms);
        for index in table.indexes.iter_mut().filter(|index| index.global) {
            index.throughput = None;
        }
    }
    table.billing = new;
    Ok(())
}

/// The index, when it is a new one.
fn change_index(
    tx: &mut Tx<'_>,
    table: &mut Table,
    update: GlobalSecondaryIndexUpdate,
    removal: &str,
) -> Result<Option<Index>, Error> {
    match (update.create, update.update, update.delete) {
        (Some(create), None, None) => {
            let index = Index {
                name: create.index_name,
                global: true,
                key: index_key_schema(&create.key_schema)?,
                projection: projected(create.projection)?,
                throughput: create.provisioned_throughput.map(|t| (t.read_capacity_units, t.write_capacity_units)),
                warm: warm(None, create.warm_throughput.as_ref()),
                backfilling: true,
                made: removal.to_owned(),
            };
            if table.index(&index.name).is_ok() {
                return Err(Error::validation(format!(
                    "Attempting to create an index which already exists: {}",
                    index.name
                )));
            }
            forget_contents(tx, table, &index.name)?;
            table.indexes.push(index.clone());
            Ok(Some(index))
        }
        (None, Some(update), None) => {
            let index = global(table, &update.index_name)?;
            index.warm = warm(index.warm, update.warm_throughput.as_ref());
            if update.provisioned_throughput.is_some() || update.warm_throughput.is_none() {
                let new = update.provisioned_throughput.map(|t| (t.read_capacity_units, t.write_capacity_units));
                index.throughput = new;
            }
            Ok(None)
        }
        (None, None, Some(delete)) => {
            let index = global(table, &delete.index_name)?.clone();
            table.indexes.retain(|one| one.name != index.name);
            forget_contents(tx, table, &index.name)?;
            let id = format!("{CLEAR_INDEX}/{}/{removal}/{}", table.id, index.name);
            tx.enqueue(NewTask::new(CLEAR_INDEX, id).payload(&(&*table, &index))?)?;
            Ok(None)
        }
        _ => Err(Error::validation(
            "One or more parameter values were invalid: Only one global secondary index update per index is allowed \
             simultaneously",
        )),
    }
}

fn forget_contents(tx: &mut Tx<'_>, table: &Table, index: &str) -> Result<(), Error> {
    let mut contents = table.contents(tx)?;
    if contents.indexes.remove(index).is_some() {
        tx.put_json(table.contents_key(), &contents)?;
    }
    Ok(())
}

fn global<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Index, Error> {
    table
        .indexes
        .iter_mut()
        .find(|index| index.global && index.name == name)
        .ok_or_else(|| error::resource_not_found_exception("Requested resource not found"))
}
