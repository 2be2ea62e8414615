//! TransactGetItems: up to a hundred items as they were at one moment.

use std::collections::BTreeMap;

use api_dynamodb::{ItemResponse, TransactGetItems, TransactGetItemsInput, TransactGetItemsOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Key;
use wire::Error;

use super::get_item::{projection, read};
use super::transact_write_items::{MAX_BYTES, cancelled, too_large};
use crate::capacity::{Transaction, Units};
use crate::throttle::Kind;
use crate::value::{Item, item_size};
use crate::write::Home;
use crate::{DynamoDb, Invalid, convert};

/// What is at a key.
struct Found {
    table: String,
    place: Result<Key, Invalid>,
    item: Result<Option<Item>, Error>,
    admitted: Result<(), Error>,
}

impl Found {
    fn failed(&self) -> Option<Error> {
        let wrong = self.place.as_ref().err().map(|error| Error::from(error.clone()));
        wrong.or_else(|| self.admitted.as_ref().err().cloned())
    }
}

#[async_trait]
impl Handle<TransactGetItems> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: TransactGetItemsInput) -> Result<TransactGetItemsOutput, Error> {
        let mut gets = Vec::with_capacity(req.transact_items.len());
        for item in req.transact_items {
            let get = item.get;
            let wanted = projection(get.projection_expression, None, get.expression_attribute_names)?;
            gets.push((get.table_name, convert::item(get.key)?, wanted));
        }
        if gets.is_empty() || gets.len() > 100 {
            return Err(Error::validation(
                "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have \
                 length less than or equal to 100",
            ));
        }
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let found = self
            .store
            .read(|tx| {
                gets.iter()
                    .map(|(name, key, _)| {
                        let table = home.table(tx, name)?;
                        let (place, item) = (table.key_of_parameter(key), read(tx, &table, key));
                        let admitted = table.admit(Kind::Read, None, now_ms);
                        let size = item.as_ref().ok().and_then(Option::as_ref).map_or(0, item_size);
                        table.charge(Kind::Read, || Units::of_read(None, size, 2.0));
                        Ok(Found { table: name.clone(), place, item, admitted })
                    })
                    .collect::<Result<Vec<_>, Error>>()
            })
            .await?;
        if let Some(error) = found.iter().find_map(|one| one.place.as_ref().err().filter(|error| error.is_empty_key()))
        {
            return Err(error.clone().into());
        }
        // Once per item, and what is wrong with one is the reason why all are refused.
        let reasons: Vec<Option<Error>> = found.iter().map(Found::failed).collect();
        if reasons.iter().any(Option::is_some) {
            return Err(cancelled(&reasons));
        }
        let mut seen = std::collections::BTreeSet::new();
        if found.iter().any(|one| !seen.insert((&one.table, one.place.as_ref().ok()))) {
            return Err(Error::validation("Transaction request cannot include multiple operations on one item"));
        }
        let mut units: BTreeMap<String, Units> = BTreeMap::new();
        let mut responses = Vec::with_capacity(found.len());
        let mut bytes = 0;
        for (one, (_, _, wanted)) in found.into_iter().zip(&gets) {
            let item = one.item?;
            let size = item.as_ref().map_or(0, item_size);
            bytes += size;
            if bytes > MAX_BYTES {
                return Err(too_large());
            }
            units.entry(one.table).or_default().add(Units::of_read(None, size, 2.0));
            let item = item.map(|item| wanted.as_ref().map_or_else(|| item.clone(), |wanted| wanted.apply(&item)));
            responses.push(ItemResponse { item: item.map(convert::attributes) });
        }
        let asked = req.return_consumed_capacity.as_deref();
        let consumed: Vec<_> = units
            .into_iter()
            .filter_map(|(table, units)| units.answer_transaction(&table, asked, Transaction::Reads))
            .collect();
        Ok(TransactGetItemsOutput {
            responses: Some(responses),
            consumed_capacity: (!consumed.is_empty()).then_some(consumed),
        })
    }
}
