//! BatchWriteItem: up to 25 puts and deletes, committed together.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{
    BatchWriteItem, BatchWriteItemInput, BatchWriteItemOutput, ConsumedCapacity, ItemCollectionMetrics,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::capacity::{Transaction, Units, collection_metrics};
use crate::value::Item;
use crate::write::{Action, Home, Write};
use crate::{DynamoDb, convert};

const MAX_WRITES: usize = 25;

#[async_trait]
impl Handle<BatchWriteItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: BatchWriteItemInput) -> Result<BatchWriteItemOutput, Error> {
        if req.request_items.is_empty() {
            return Err(Error::validation(
                "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must \
                 have length greater than or equal to 1",
            ));
        }
        let count: usize = req.request_items.values().map(Vec::len).sum();
        if count > MAX_WRITES {
            return Err(Error::validation("Too many items requested for the BatchWriteItem call"));
        }
        let mut writes = Vec::with_capacity(count);
        for (table, requests) in req.request_items {
            if requests.is_empty() {
                return Err(Error::validation("The batch write request list for a table cannot be null or empty"));
            }
            for request in requests {
                let action = match (request.put_request, request.delete_request) {
                    (Some(put), None) => Action::Put(convert::item(put.item)?),
                    (None, Some(delete)) => Action::Delete(convert::item(delete.key)?),
                    _ => {
                        return Err(Error::validation(
                            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the \
                             supported datatypes",
                        ));
                    }
                };
                writes.push(Write {
                    table: table.clone(),
                    action,
                    condition: None,
                    old_on_failure: false,
                    inserts: false,
                });
            }
        }
        let (home, asked) = (Home::of(cx), req.return_consumed_capacity);
        let sizes = req.return_item_collection_metrics.as_deref() == Some("SIZE");
        let (touched, own) = (sizes.then(|| touched(&writes)), home.clone());
        let consumed = cx
            .write(&self.store, move |tx| {
                let mut seen = BTreeSet::new();
                for write in &writes {
                    let table = own.table(tx, &write.table)?;
                    if !seen.insert(write.key(&table)?) {
                        return Err(Error::validation("Provided list of item keys contains duplicates"));
                    }
                }
                run(tx, &own, &writes, 1.0, asked.as_deref())
            })
            .await?;
        let metrics = self.collections(&home, touched).await?;
        Ok(BatchWriteItemOutput {
            unprocessed_items: Some(BTreeMap::new()),
            consumed_capacity: consumed,
            item_collection_metrics: metrics,
        })
    }
}

/// What the writes of a batch or transaction count, and how much their partitions hold.
pub(super) type Counted = (Option<Vec<ConsumedCapacity>>, Option<BTreeMap<String, Vec<ItemCollectionMetrics>>>);

/// What the writes are about: tables and items, or their keys.
pub(super) fn touched(writes: &[Write]) -> Vec<(String, Item)> {
    writes.iter().map(|write| (write.table.clone(), write.action.item().clone())).collect()
}

impl DynamoDb {
    /// How much the partitions of what was written hold, where that is asked for: once per partition.
    pub(super) async fn collections(
        &self,
        home: &Home,
        touched: Option<Vec<(String, Item)>>,
    ) -> Result<Option<BTreeMap<String, Vec<ItemCollectionMetrics>>>, Error> {
        let mut metrics: BTreeMap<String, Vec<ItemCollectionMetrics>> = BTreeMap::new();
        for (table, item) in touched.into_iter().flatten() {
            let Some(one) = collection_metrics(&self.store, home, &table, &item).await? else { continue };
            let list = metrics.entry(table).or_default();
            if !list.contains(&one) {
                list.push(one);
            }
        }
        Ok((!metrics.is_empty()).then_some(metrics))
    }
}

/// Carries out all writes; the first that fails ends it.
fn run(
    tx: &mut Tx<'_>,
    home: &Home,
    writes: &[Write],
    factor: f64,
    asked: Option<&str>,
) -> Result<Option<Vec<ConsumedCapacity>>, Error> {
    let mut units: BTreeMap<String, Units> = BTreeMap::new();
    for write in writes {
        let table = home.table(tx, &write.table)?;
        let written = write.apply(tx, &table)?;
        units.entry(write.table.clone()).or_default().add(Units::of_write(&table, &written, factor));
    }
    Ok(counted(units, asked, None))
}

pub(super) fn counted(
    units: BTreeMap<String, Units>,
    asked: Option<&str>,
    transaction: Option<Transaction>,
) -> Option<Vec<ConsumedCapacity>> {
    let consumed = units.into_iter().filter_map(|(table, units)| match transaction {
        Some(kind) => units.answer_transaction(&table, asked, kind),
        None => units.answer(&table, asked),
    });
    let consumed: Vec<_> = consumed.collect();
    (!consumed.is_empty()).then_some(consumed)
}
