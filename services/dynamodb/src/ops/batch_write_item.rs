//! BatchWriteItem: up to 25 puts and deletes, committed together.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{
    BatchWriteItem, BatchWriteItemInput, BatchWriteItemOutput, ConsumedCapacity, DeleteRequest, ItemCollectionMetrics,
    PutRequest, WriteRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::capacity::{Transaction, Units, collection_metrics};
use crate::throttle::Kind;
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
        let now_ms = cx.now().as_millisecond();
        let sizes = req.return_item_collection_metrics.as_deref() == Some("SIZE");
        let (touched, own) = (sizes.then(|| touched(&writes)), home.clone());
        let (consumed, unprocessed) = cx
            .write(&self.store, move |tx| {
                let mut seen = BTreeSet::new();
                for write in &writes {
                    let table = own.table(tx, &write.table)?;
                    if !seen.insert(write.key(&table)?) {
                        return Err(Error::validation("Provided list of item keys contains duplicates"));
                    }
                }
                run(tx, &own, &writes, (asked.as_deref(), now_ms))
            })
            .await?;
        let metrics = self.collections(&home, touched).await?;
        Ok(BatchWriteItemOutput {
            unprocessed_items: Some(unprocessed),
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
fn run(tx: &mut Tx<'_>, home: &Home, writes: &[Write], (asked, now_ms): (Option<&str>, i64)) -> Result<Done, Error> {
    let (mut units, mut left): (BTreeMap<String, Units>, Requests) = (BTreeMap::new(), BTreeMap::new());
    let mut throttled = None;
    for write in writes {
        let table = home.table(tx, &write.table)?;
        if let Err(error) = table.admit(Kind::Write, None, now_ms) {
            throttled = Some(error);
            left.entry(write.table.clone()).or_default().push(request(&write.action));
            continue;
        }
        let written = write.apply(tx, &table)?;
        table.charge(Kind::Write, || Units::of_write(&table, &written, 1.0));
        units.entry(write.table.clone()).or_default().add(Units::of_write(&table, &written, 1.0));
    }
    match throttled {
        Some(error) if units.is_empty() => Err(error),
        _ => Ok((counted(units, asked, None), left)),
    }
}

/// What was asked for of tables.
type Requests = BTreeMap<String, Vec<WriteRequest>>;

/// What the writes of a batch count, and those that nothing was left for.
type Done = (Option<Vec<ConsumedCapacity>>, Requests);

/// The request that a write of a batch was.
fn request(action: &Action) -> WriteRequest {
    let item = convert::attributes(action.item().clone());
    match action {
        Action::Put(_) => WriteRequest { put_request: Some(PutRequest { item }), delete_request: None },
        _ => WriteRequest { put_request: None, delete_request: Some(DeleteRequest { key: item }) },
    }
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
