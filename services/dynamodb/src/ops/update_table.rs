//! UpdateTable: billing, class, protection and global indexes; a new index is filled in the same commit.

use api_dynamodb::{GlobalSecondaryIndexUpdate, UpdateTable, UpdateTableInput, UpdateTableOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::Error;

use super::create_table::check_indexes;
use crate::describe::{attribute_types, billing, key_schema, projected};
use crate::table::{Index, Table};
use crate::tasks::CLEAR_INDEX;
use crate::write::Home;
use crate::{DynamoDb, items};

#[async_trait]
impl Handle<UpdateTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: UpdateTableInput) -> Result<UpdateTableOutput, Error> {
        let streams = req.stream_specification.as_ref().is_some_and(|streams| streams.stream_enabled);
        let keys = req.sse_specification.as_ref().is_some_and(|sse| sse.enabled == Some(true));
        let refused = [
            ("StreamSpecification", streams),
            ("SSESpecification", keys),
            ("ReplicaUpdates", req.replica_updates.is_some()),
        ];
        if let Some((what, _)) = refused.iter().find(|(_, set)| *set) {
            return Err(Error::not_implemented(format!("UpdateTable: {what}")));
        }
        let home = Home::of(cx);
        let removal = cx.uuid();
        let description = cx
            .write(&self.store, move |tx| {
                let mut table = home.named_table(tx, &req.table_name)?;
                apply(tx, &mut table, req.clone(), &removal)?;
                table.save(tx)?;
                Ok::<_, Error>(table.describe(table.contents(tx)?, "ACTIVE"))
            })
            .await?;
        Ok(UpdateTableOutput { table_description: Some(description) })
    }
}

fn apply(tx: &mut Tx<'_>, table: &mut Table, req: UpdateTableInput, removal: &str) -> Result<(), Error> {
    if req.billing_mode.is_some() || req.provisioned_throughput.is_some() {
        table.billing = billing(req.billing_mode.as_deref(), req.provisioned_throughput)?;
    }
    if let Some(protected) = req.deletion_protection_enabled {
        table.deletion_protection = protected;
    }
    if req.table_class.is_some() {
        table.class = req.table_class;
    }
    if let Some(definitions) = req.attribute_definitions {
        table.attributes.extend(attribute_types(definitions)?);
    }
    let mut added = Vec::new();
    for update in req.global_secondary_index_updates.unwrap_or_default() {
        added.extend(change_index(tx, table, update, removal)?);
    }
    // Definitions that only a removed index used go with it.
    let used: Vec<String> =
        table.key.names().chain(table.indexes.iter().flat_map(|index| index.key.names())).map(str::to_owned).collect();
    table.attributes.retain(|name, _| used.contains(name));
    table.check_definitions()?;
    check_indexes(&table.indexes, table.billing)?;
    for index in added {
        items::fill_index(tx, table, &index)?;
    }
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
                key: key_schema(&create.key_schema)?,
                projection: projected(create.projection)?,
                throughput: create.provisioned_throughput.map(|t| (t.read_capacity_units, t.write_capacity_units)),
            };
            if table.index(&index.name).is_ok() {
                return Err(Error::validation(format!(
                    "Attempting to create an index which already exists: {}",
                    index.name
                )));
            }
            // An index of this name may have been removed before, and its entries not yet be cleared.
            items::clear(tx, &table.entries(&index), usize::MAX)?;
            table.indexes.push(index.clone());
            Ok(Some(index))
        }
        (None, Some(update), None) => {
            let throughput = update.provisioned_throughput.map(|t| (t.read_capacity_units, t.write_capacity_units));
            global(table, &update.index_name)?.throughput = throughput;
            Ok(None)
        }
        (None, None, Some(delete)) => {
            let index = global(table, &delete.index_name)?.clone();
            table.indexes.retain(|one| one.name != index.name);
            let id = format!("{CLEAR_INDEX}/{}/{removal}", table.id);
            tx.enqueue(NewTask::new(CLEAR_INDEX, id).payload(&(&*table, &index))?)?;
            Ok(None)
        }
        _ => Err(Error::validation(
            "One or more parameter values were invalid: Only one global secondary index update per index is allowed \
             simultaneously",
        )),
    }
}

fn global<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Index, Error> {
    table
        .indexes
        .iter_mut()
        .find(|index| index.global && index.name == name)
        .ok_or_else(|| error::resource_not_found_exception("Requested resource not found"))
}
