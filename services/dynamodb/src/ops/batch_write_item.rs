//! BatchWriteItem: up to 25 puts and deletes, committed together.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{BatchWriteItem, BatchWriteItemInput, BatchWriteItemOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::capacity::Units;
use crate::write::{Action, Home, Write};
use crate::{DynamoDb, convert};

const MAX_WRITES: usize = 25;

#[async_trait]
impl Handle<BatchWriteItem> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: BatchWriteItemInput) -> Result<BatchWriteItemOutput, Error> {
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
                writes.push(Write { table: table.clone(), action, condition: None, old_on_failure: false });
            }
        }
        let (home, asked) = (Home::of(cx), req.return_consumed_capacity);
        let consumed = cx
            .write(&self.store, move |tx| {
                let mut units: BTreeMap<String, Units> = BTreeMap::new();
                let mut seen = BTreeSet::new();
                for write in &writes {
                    let table = home.table(tx, &write.table)?;
                    if !seen.insert(write.key(&table)?) {
                        return Err(Error::validation("Provided list of item keys contains duplicates"));
                    }
                    let written = write.apply(tx, &table)?;
                    units.entry(table.name.clone()).or_default().add(Units::of_write(&table, &written, 1.0));
                }
                let consumed = units.into_iter().filter_map(|(table, units)| units.answer(&table, asked.as_deref()));
                Ok(consumed.collect::<Vec<_>>())
            })
            .await?;
        Ok(BatchWriteItemOutput {
            unprocessed_items: Some(BTreeMap::new()),
            consumed_capacity: (!consumed.is_empty()).then_some(consumed),
            ..BatchWriteItemOutput::default()
        })
    }
}
