//! BatchGetItem: up to a hundred items of any tables.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{BatchGetItem, BatchGetItemInput, BatchGetItemOutput, KeysAndAttributes};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::get_item::{projection, read};
use crate::capacity::{Units, read_factor};
use crate::throttle::Kind;
use crate::value::item_size;
use crate::write::Home;
use crate::{DynamoDb, convert};

const MAX_KEYS: usize = 100;
const MAX_BYTES: usize = 16 * 1024 * 1024;

#[async_trait]
impl Handle<BatchGetItem> for DynamoDb {
    #[expect(clippy::too_many_lines, reason = "one step after the other")]
    async fn handle(&self, cx: &Cx, req: BatchGetItemInput) -> Result<BatchGetItemOutput, Error> {
        if req.request_items.is_empty() {
            return Err(Error::validation(
                "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must \
                 have length greater than or equal to 1",
            ));
        }
        let count: usize = req.request_items.values().map(|part| part.keys.len()).sum();
        if count > MAX_KEYS {
            return Err(Error::validation("Too many items requested for the BatchGetItem call"));
        }
        if req.request_items.values().any(|part| part.keys.is_empty()) {
            return Err(Error::validation(
                "1 validation error detected: Value at 'requestItems.member.keys' failed to satisfy constraint: Member \
                 must have length greater than or equal to 1",
            ));
        }
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let mut throttled = None;
        let (mut responses, mut left, mut consumed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut bytes = 0;
        for (name, part) in req.request_items {
            let wanted = projection(
                part.projection_expression.clone(),
                part.attributes_to_get.clone(),
                part.expression_attribute_names.clone(),
            )?;
            let keys = part.keys.iter().cloned().map(convert::item).collect::<Result<Vec<_>, _>>()?;
            let (admitted, table, found) = self
                .store
                .read(|tx| {
                    let table = home.table(tx, &name)?;
                    let mut seen = BTreeSet::new();
                    let mut found = Vec::new();
                    for key in &keys {
                        if !seen.insert(table.key_of_parameter(key)?) {
                            return Err(Error::validation("Provided list of item keys contains duplicates"));
                        }
                        found.push(read(tx, &table, key)?);
                    }
                    Ok((table.admit(Kind::Read, None, now_ms), table, found))
                })
                .await?;
            // What nothing is left for is to be asked for again.
            if let Err(error) = admitted {
                throttled = Some(error);
                left.insert(name, part);
                continue;
            }
            let (mut items, mut units) = (Vec::new(), Units::default());
            let mut unread = Vec::new();
            for (key, item) in part.keys.iter().zip(found) {
                if bytes > MAX_BYTES {
                    unread.push(key.clone());
                    continue;
                }
                let size = item.as_ref().map_or(0, item_size);
                bytes += size;
                units.add(Units::of_read(None, size, read_factor(part.consistent_read)));
                items.extend(item.map(|item| wanted.as_ref().map_or_else(|| item.clone(), |w| w.apply(&item))));
            }
            if !unread.is_empty() {
                left.insert(name.clone(), KeysAndAttributes { keys: unread, ..part });
            }
            table.charge(Kind::Read, || units.clone());
            consumed.extend(units.answer(&name, req.return_consumed_capacity.as_deref()));
            responses.insert(name, items.into_iter().map(convert::attributes).collect());
        }
        if let (Some(error), true) = (throttled, responses.is_empty()) {
            return Err(error);
        }
        Ok(BatchGetItemOutput {
            responses: Some(responses),
            unprocessed_keys: Some(left),
            consumed_capacity: (!consumed.is_empty()).then_some(consumed),
        })
    }
}
