//! One write: what PutItem, UpdateItem, DeleteItem, batches, transactions and `PartiQL` are made of.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use api_dynamodb::{AttributeValueUpdate, ConsumedCapacity, ExpectedAttributeValue, ItemCollectionMetrics, error};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::capacity::{Units, collection_metrics};
use crate::convert::{self, Attributes};
use crate::expr::{Condition, Placeholders, Update};
use crate::items::{Cause, Change};
use crate::table::Table;
use crate::throttle::{Kind, Limits};
use crate::value::Item;
use crate::{DynamoDb, Invalid, items, legacy};

/// Whose tables are meant.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Home {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned() }
    }

    /// The table of this name or ARN.
    pub(crate) fn table(&self, tx: &mut Tx<'_>, name: &str) -> Result<Arc<Table>, Error> {
        let found = self.find(tx, name)?.filter(|table| !table.is_being_made());
        found.ok_or_else(|| error::resource_not_found_exception("Requested resource not found"))
    }

    /// As `table`, with the message that operations on tables themselves have.
    pub(crate) fn named_table(&self, tx: &mut Tx<'_>, name: &str) -> Result<Arc<Table>, Error> {
        self.find(tx, name)?.ok_or_else(|| {
            error::resource_not_found_exception(format!(
                "Requested resource not found: Table: {} not found",
                table_name(name)
            ))
        })
    }

    /// The same, to be changed and saved.
    pub(crate) fn table_to_change(&self, tx: &mut Tx<'_>, name: &str) -> Result<Table, Error> {
        let table = self.named_table(tx, name)?;
        table.may_change()?;
        Ok(Arc::unwrap_or_clone(table))
    }

    /// Whether it can be the name or the ARN of a table of here: of another account or region nothing is.
    pub(crate) fn has(&self, name: &str) -> bool {
        !name.starts_with("arn:")
            || name.starts_with(&format!("arn:aws:dynamodb:{}:{}:table/", self.region, self.account))
    }

    /// The ARN of a table of here by its name or its ARN, whether it is there or not: what policies are asked about. What is another's stays
    /// as it is named.
    pub(crate) fn table_arn(&self, name: &str) -> String {
        if self.has(name) {
            format!("arn:aws:dynamodb:{}:{}:table/{}", self.region, self.account, table_name(name))
        } else {
            name.to_owned()
        }
    }

    pub(crate) fn find(&self, tx: &mut Tx<'_>, name: &str) -> Result<Option<Arc<Table>>, Error> {
        check_table_name(name)?;
        if !self.has(name) {
            return Ok(None);
        }
        let key = Table::record_key(&self.account, &self.region, table_name(name));
        let Some(bytes) = tx.get(&key)? else { return Ok(None) };
        Ok(Some(decoded(key.as_bytes(), bytes)?))
    }
}

/// By key: the record's bytes and the table that they are.
type Known = BTreeMap<Vec<u8>, (Vec<u8>, Arc<Table>)>;

/// Tables as they were last decoded, with the bytes that they were decoded from: a table's record is read by every request, and
/// stays the same over many.
fn decoded(key: &[u8], bytes: Vec<u8>) -> Result<Arc<Table>, Error> {
    static KNOWN: RwLock<Known> = RwLock::new(BTreeMap::new());
    const MAX_KNOWN: usize = 1000;
    if let Some((of, table)) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(key)
        && *of == bytes
    {
        return Ok(Arc::clone(table));
    }
    let mut table: Table = store::kv::decode(key, &bytes)?;
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let before = known.get(key).filter(|(_, before)| before.id == table.id);
    table.limits = Limits::of(&table, before.and_then(|(_, before)| before.limits.as_deref())).map(Arc::new);
    let table = Arc::new(table);
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(key.to_vec(), (bytes, Arc::clone(&table)));
    Ok(table)
}

/// Fails for what is no ARN where one has to be: a policy was asked about the text as it is.
pub(crate) fn check_table_arn(arn: &str) -> Result<(), Invalid> {
    if arn.starts_with("arn:aws:dynamodb:") && arn.contains(":table/") {
        return Ok(());
    }
    Err(Invalid::new(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}")))
}

/// Fails for what cannot be the name of a table that is made here.
pub(crate) fn new_table_name<'a>(home: &Home, name: &'a str) -> Result<&'a str, Invalid> {
    check_table_name(name)?;
    if !home.has(name) {
        return Err(Invalid::new(format!("Invalid TableArn: {name} is of another account or region")));
    }
    Ok(table_name(name))
}

/// Fails for what cannot be the name of a table.
pub(crate) fn check_table_name(name: &str) -> Result<(), Invalid> {
    let own = table_name(name);
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !own.chars().all(fits) {
        return Err(Invalid::new(format!(
            "1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )));
    }
    if !(3..=255).contains(&own.len()) {
        return Err(Invalid::new("TableName must be at least 3 characters long and at most 255 characters long"));
    }
    Ok(())
}

/// The name out of a name or an ARN: all that follows the first `:table/`, so that an ARN names the table that policies are asked about
/// for it.
pub(crate) fn table_name(name: &str) -> &str {
    match name.strip_prefix("arn:") {
        Some(_) => name.split_once(":table/").map_or(name, |(_, name)| name),
        None => name,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) table: String,
    pub(crate) action: Action,
    pub(crate) condition: Option<Condition>,
    /// `ReturnValuesOnConditionCheckFailure` is `ALL_OLD`.
    pub(crate) old_on_failure: bool,
    /// An INSERT, whose condition is that there is none of its key yet.
    pub(crate) inserts: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Put(Item),
    Delete(Item),
    /// No update: the item is made if it is absent, else left.
    Update(Item, Option<Update>),
    Check(Item),
}

/// An item before and after a write.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) old: Option<Item>,
    pub(crate) new: Option<Item>,
}

/// What a write answers beside the item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WriteResult {
    pub(crate) written: Written,
    pub(crate) capacity: Option<ConsumedCapacity>,
    pub(crate) metrics: Option<ItemCollectionMetrics>,
}

/// A write's conditions and changes, as requests have them.
#[derive(Default)]
pub(crate) struct Expressions {
    pub(crate) condition: Option<String>,
    pub(crate) update: Option<String>,
    pub(crate) names: Option<BTreeMap<String, String>>,
    pub(crate) values: Option<Attributes>,
    pub(crate) expected: Option<BTreeMap<String, ExpectedAttributeValue>>,
    pub(crate) operator: Option<String>,
    pub(crate) updates: Option<BTreeMap<String, AttributeValueUpdate>>,
    /// `UpdateExpression` is a parameter of the operation.
    pub(crate) may_update: bool,
}

impl Expressions {
    pub(crate) fn parse(self) -> Result<(Option<Condition>, Option<Update>), Invalid> {
        let mut parameters = vec![("ConditionExpression", self.condition.is_some())];
        if self.may_update {
            parameters.insert(0, ("UpdateExpression", self.update.is_some()));
        }
        legacy::refuse_mixed(
            &parameters,
            &[
                ("AttributeUpdates", self.updates.is_some()),
                ("Expected", self.expected.is_some()),
                ("ConditionalOperator", self.operator.is_some()),
            ],
        )?;
        let values = convert_values(self.values)?;
        let placeholders = Placeholders::new(self.names, values, &parameters)?;
        let update = match (self.update, self.updates) {
            (Some(text), _) => Some(Update::parse(&text, &placeholders)?),
            (None, Some(updates)) => Some(legacy::updates(updates)?),
            (None, None) => None,
        };
        let condition = match self.condition {
            Some(text) => Some(Condition::parse("ConditionExpression", &text, &placeholders)?),
            None => legacy::expected(self.expected, self.operator.as_deref())?,
        };
        placeholders.all_used()?;
        Ok((condition, update))
    }
}

/// Values of placeholders; a bad one is told with its name.
pub(crate) fn convert_values(values: Option<Attributes>) -> Result<Option<Item>, Invalid> {
    let Some(values) = values else { return Ok(None) };
    let mut converted = Item::new();
    for (name, value) in values {
        let value = convert::attribute_value(value).map_err(|error| {
            Invalid::new(format!("ExpressionAttributeValues contains invalid value: {} for key {name}", error.0))
        })?;
        converted.insert(name, value);
    }
    Ok(Some(converted))
}

impl DynamoDb {
    /// One write by itself.
    pub(crate) async fn write(
        &self,
        cx: &Cx,
        write: Write,
        capacity: Option<String>,
        metrics: Option<String>,
    ) -> Result<WriteResult, Error> {
        let (home, now_ms) = (Home::of(cx), cx.now().as_millisecond());
        let measured =
            metrics.filter(|asked| asked == "SIZE").map(|_| (write.table.clone(), write.action.item().clone()));
        let own = home.clone();
        let done = cx.write(&self.store, move |tx| {
            let table = own.table(tx, &write.table)?;
            table.admit(Kind::Write, None, now_ms)?;
            let written = write.apply(tx, &table)?;
            table.charge(Kind::Write, || Units::of_write(&table, &written, 1.0));
            let capacity = match capacity.as_deref() {
                None | Some("NONE") => None,
                asked => Units::of_write(&table, &written, 1.0).answer(&write.table, asked),
            };
            Ok::<_, Error>(WriteResult { written, capacity, metrics: None })
        });
        let mut done = done.await?;
        if let Some((table, item)) = measured {
            done.metrics = collection_metrics(&self.store, &home, &table, &item).await?;
        }
        Ok(done)
    }
}

impl Action {
    /// The item or its key.
    pub(crate) fn item(&self) -> &Item {
        match self {
            Self::Put(item) | Self::Delete(item) | Self::Update(item, _) | Self::Check(item) => item,
        }
    }
}

impl Write {
    /// The place that the write is about.
    pub(crate) fn key(&self, table: &Table) -> Result<Key, Invalid> {
        match &self.action {
            Action::Put(item) => table.key_of(item),
            Action::Delete(key) | Action::Update(key, _) | Action::Check(key) => table.key_of_parameter(key),
        }
    }

    pub(crate) fn apply(&self, tx: &mut Tx<'_>, table: &Table) -> Result<Written, Error> {
        let key = self.key(table)?;
        if let Action::Update(_, Some(update)) = &self.action
            && let Some(path) = update.paths().into_iter().find(|path| table.key.contains(&path.attribute))
        {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: Cannot update attribute {}. This attribute is part of the \
                 key",
                path.attribute
            )));
        }
        let old = items::get(tx, &key)?;
        if let Some(condition) = &self.condition {
            let empty = Item::new();
            if !condition.holds(old.as_ref().unwrap_or(&empty)) {
                return Err(self.condition_failed(old)?);
            }
        }
        let new = match &self.action {
            Action::Put(item) => Some(item.clone()),
            Action::Delete(_) => None,
            Action::Check(_) => return Ok(Written { new: old.clone(), old }),
            Action::Update(key, update) => {
                let before = old.as_ref().unwrap_or(key);
                let after = update.as_ref().map_or_else(|| Ok(before.clone()), |update| update.apply(before))?;
                let makes_none = old.is_none() && update.as_ref().is_some_and(Update::only_removes);
                (!makes_none).then_some(after)
            }
        };
        if let Some(new) = &new {
            items::check(table, new, matches!(self.action, Action::Update(..)))?;
        }
        let change = Change { key: &key, old: old.as_ref(), new: new.as_ref(), cause: Cause::Request };
        items::replace(tx, table, change)?;
        Ok(Written { old, new })
    }

    fn condition_failed(&self, old: Option<Item>) -> Result<Error, Error> {
        let failure = if self.inserts {
            error::duplicate_item_exception("Duplicate primary key exists in table")
        } else {
            error::conditional_check_failed_exception("The conditional request failed")
        };
        match old.filter(|_| self.old_on_failure) {
            Some(old) => Ok(failure.with("Item", serde_json::to_value(old).map_err(Error::internal)?)),
            None => Ok(failure),
        }
    }
}
