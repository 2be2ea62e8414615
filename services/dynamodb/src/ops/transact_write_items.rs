//! TransactWriteItems: up to a hundred writes and checks, all or none, once per client token.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{TransactWriteItem, TransactWriteItems, TransactWriteItemsInput, TransactWriteItemsOutput, error};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{Cx, Handle};
use sha2::{Digest as _, Sha256};
use store::{Key, Tx};
use wire::Error;

use super::batch_write_item::{Counted, counted, touched};
use crate::capacity::{Transaction, Units};
use crate::throttle::Kind;
use crate::value::item_size;
use crate::write::{Action, Expressions, Home, Write};
use crate::{DynamoDb, convert, items};

/// For how long a client token is remembered.
const TOKEN_MS: i64 = 10 * 60 * 1000;

/// Most bytes that the items of a transaction have together. Source: API reference, TransactWriteItems and TransactGetItems.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// A transaction that a client token stands for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Token {
    at_ms: i64,
    /// A digest of what was asked for.
    request: String,
}

impl Token {
    pub(super) fn new(cx: &Cx, asked: &impl Serialize) -> Result<Self, Error> {
        let text = serde_json::to_vec(asked).map_err(Error::internal)?;
        Ok(Self { at_ms: cx.now().as_millisecond(), request: hex::encode(Sha256::digest(text)) })
    }
}

#[async_trait]
impl Handle<TransactWriteItems> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: TransactWriteItemsInput) -> Result<TransactWriteItemsOutput, Error> {
        if req.transact_items.is_empty() || req.transact_items.len() > 100 {
            return Err(Error::validation(
                "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have \
                 length less than or equal to 100",
            ));
        }
        let request = Token::new(cx, &req.transact_items)?;
        let token = req.client_request_token.map(|token| (token, request));
        let writes = req.transact_items.into_iter().map(write).collect::<Result<Vec<_>, _>>()?;
        let sizes = req.return_item_collection_metrics.as_deref() == Some("SIZE");
        let (consumed_capacity, item_collection_metrics) =
            self.transact(cx, writes, token, req.return_consumed_capacity, sizes).await?;
        Ok(TransactWriteItemsOutput { consumed_capacity, item_collection_metrics })
    }
}

impl DynamoDb {
    /// All of the writes or none, once per token.
    pub(super) async fn transact(
        &self,
        cx: &Cx,
        writes: Vec<Write>,
        token: Option<(String, Token)>,
        asked: Option<String>,
        sizes: bool,
    ) -> Result<Counted, Error> {
        let (home, own, now_ms) = (Home::of(cx), Home::of(cx), cx.now().as_millisecond());
        let touched = sizes.then(|| touched(&writes));
        let consumed = cx.write(&self.store, move |tx| {
            let done = match &token {
                Some((name, token)) => !remember(tx, &own, name, token)?,
                None => false,
            };
            // A repeated transaction counts as reading what it wrote.
            let units = if done { read_again(tx, &own, &writes)? } else { run(tx, &own, &writes, now_ms)? };
            let kind = if done { Transaction::Reads } else { Transaction::Writes };
            Ok::<_, Error>(counted(units, asked.as_deref(), Some(kind)))
        });
        let consumed = consumed.await?;
        Ok((consumed, self.collections(&home, touched).await?))
    }
}

fn read_again(tx: &mut Tx<'_>, home: &Home, writes: &[Write]) -> Result<BTreeMap<String, Units>, Error> {
    let mut units: BTreeMap<String, Units> = BTreeMap::new();
    for write in writes {
        let table = home.table(tx, &write.table)?;
        let item = items::get(tx, &write.key(&table)?)?;
        let size = item.as_ref().map_or(0, item_size);
        units.entry(write.table.clone()).or_default().add(Units::of_read(None, size, 2.0));
    }
    Ok(units)
}

fn write(item: TransactWriteItem) -> Result<Write, Error> {
    let old = |wanted: Option<String>| wanted.as_deref() == Some("ALL_OLD");
    let (table, action, condition, old_on_failure) = match (item.put, item.delete, item.update, item.condition_check) {
        (Some(put), None, None, None) => {
            let expressions = Expressions {
                condition: put.condition_expression,
                names: put.expression_attribute_names,
                values: put.expression_attribute_values,
                ..Expressions::default()
            };
            let (condition, _) = expressions.parse()?;
            let old = old(put.return_values_on_condition_check_failure);
            (put.table_name, Action::Put(convert::item(put.item)?), condition, old)
        }
        (None, Some(delete), None, None) => {
            let expressions = Expressions {
                condition: delete.condition_expression,
                names: delete.expression_attribute_names,
                values: delete.expression_attribute_values,
                ..Expressions::default()
            };
            let (condition, _) = expressions.parse()?;
            let old = old(delete.return_values_on_condition_check_failure);
            (delete.table_name, Action::Delete(convert::item(delete.key)?), condition, old)
        }
        (None, None, Some(update), None) => {
            let expressions = Expressions {
                condition: update.condition_expression,
                update: Some(update.update_expression),
                may_update: true,
                names: update.expression_attribute_names,
                values: update.expression_attribute_values,
                ..Expressions::default()
            };
            let (condition, parsed) = expressions.parse()?;
            let old = old(update.return_values_on_condition_check_failure);
            (update.table_name, Action::Update(convert::item(update.key)?, parsed), condition, old)
        }
        (None, None, None, Some(check)) => {
            let expressions = Expressions {
                condition: Some(check.condition_expression),
                names: check.expression_attribute_names,
                values: check.expression_attribute_values,
                ..Expressions::default()
            };
            let (condition, _) = expressions.parse()?;
            let old = old(check.return_values_on_condition_check_failure);
            (check.table_name, Action::Check(convert::item(check.key)?), condition, old)
        }
        _ => {
            return Err(Error::validation("TransactItems can only contain one of Check, Put, Update or Delete"));
        }
    };
    Ok(Write { table, action, condition, old_on_failure, inserts: false })
}

/// False when this very transaction was done before, within the time that a token stands for one.
fn remember(tx: &mut Tx<'_>, home: &Home, name: &str, token: &Token) -> Result<bool, Error> {
    let home = Key::new("dynamodb").push("token").push(&home.account).push(&home.region);
    let (by_name, by_time) = (home.clone().push("name"), home.push("time"));
    for (place, _) in tx.scan_prefix(&by_time, 20)? {
        let parts = Key::parts(&place);
        let (Some(at), Some(name)) = (parts.get(5).and_then(|part| Key::part_i64(part)), parts.get(6)) else { break };
        if at > token.at_ms - TOKEN_MS {
            break;
        }
        tx.delete(by_name.clone().push(name))?;
        tx.delete(place)?;
    }
    if let Some(known) = tx.get_json::<Token>(by_name.clone().push(name))? {
        if known.at_ms <= token.at_ms - TOKEN_MS {
            // Too old, and not deleted yet; the row of its time would take the new one with it.
            tx.delete(by_time.clone().push_i64(known.at_ms).push(name))?;
        } else if known.request == token.request {
            return Ok(false);
        } else {
            return Err(error::idempotent_parameter_mismatch_exception(
                "Request parameters do not match those of the earlier request with this client token",
            ));
        }
    }
    tx.put_json(by_name.push(name), token)?;
    tx.put(by_time.push_i64(token.at_ms).push(name), &[])?;
    Ok(true)
}

fn run(tx: &mut Tx<'_>, home: &Home, writes: &[Write], now_ms: i64) -> Result<BTreeMap<String, Units>, Error> {
    let mut seen = BTreeSet::new();
    for write in writes {
        let table = home.table(tx, &write.table)?;
        match write.key(&table) {
            Ok(key) => {
                if !seen.insert(key) {
                    return Err(Error::validation(
                        "Transaction request cannot include multiple operations on one item",
                    ));
                }
            }
            Err(error) if error.is_empty_key() => return Err(error.into()),
            // Another improper key is told as the reason why the transaction is cancelled, below.
            Err(_) => {}
        }
    }
    let mut units: BTreeMap<String, Units> = BTreeMap::new();
    let mut bytes = 0;
    let mut reasons = Vec::with_capacity(writes.len());
    for write in writes {
        let table = home.table(tx, &write.table)?;
        match table.admit(Kind::Write, None, now_ms).and_then(|()| write.apply(tx, &table)) {
            Ok(written) => {
                table.charge(Kind::Write, || Units::of_write(&table, &written, 2.0));
                bytes += written.new.as_ref().or(written.old.as_ref()).map_or(0, item_size);
                units.entry(write.table.clone()).or_default().add(Units::of_write(&table, &written, 2.0));
                reasons.push(None);
            }
            Err(error) if error.status() < 500 => reasons.push(Some(error)),
            Err(error) => return Err(error),
        }
    }
    if reasons.iter().any(Option::is_some) {
        return Err(cancelled(&reasons));
    }
    if bytes > MAX_BYTES {
        return Err(too_large());
    }
    Ok(units)
}

pub(super) fn too_large() -> Error {
    Error::validation(
        "Transaction size exceeded the limit: the aggregate size of the items in the transaction cannot exceed 4 MB",
    )
}

pub(super) fn cancelled(reasons: &[Option<Error>]) -> Error {
    let code = |reason: &Option<Error>| match reason {
        None => "None",
        Some(error) if error.is("ConditionalCheckFailedException") => "ConditionalCheckFailed",
        Some(error) if error.is("DuplicateItemException") => "DuplicateItem",
        Some(error) if error.is("ProvisionedThroughputExceededException") => "ProvisionedThroughputExceeded",
        Some(error) if error.is("ThrottlingException") => "ThrottlingError",
        Some(_) => "ValidationError",
    };
    let codes: Vec<&str> = reasons.iter().map(code).collect();
    let list: Vec<_> = reasons
        .iter()
        .map(|reason| {
            let mut entry = json!({ "Code": code(reason) });
            if let Some(error) = reason {
                entry["Message"] = json!(error.message());
                if let Some(item) = error.fields().get("Item") {
                    entry["Item"] = item.clone();
                }
            }
            entry
        })
        .collect();
    error::transaction_canceled_exception(format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    ))
    .with("CancellationReasons", list)
}
