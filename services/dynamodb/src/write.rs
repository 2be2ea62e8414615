//! One write: what PutItem, UpdateItem, DeleteItem, batches and transactions are made of.

use std::collections::BTreeMap;

use api_dynamodb::error;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::Invalid;
use crate::convert::{self, Attributes};
use crate::expr::{Condition, Placeholders, Update};
use crate::items;
use crate::table::Table;
use crate::value::Item;

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
    pub(crate) fn table(&self, tx: &mut Tx<'_>, name: &str) -> Result<Table, Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !table_name(name).chars().all(fits) {
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
            )));
        }
        self.find(tx, name)?.ok_or_else(|| error::resource_not_found_exception("Requested resource not found"))
    }

    /// As `table`, with the message that operations on tables themselves have.
    pub(crate) fn named_table(&self, tx: &mut Tx<'_>, name: &str) -> Result<Table, Error> {
        self.find(tx, name)?.ok_or_else(|| {
            error::resource_not_found_exception(format!(
                "Requested resource not found: Table: {} not found",
                table_name(name)
            ))
        })
    }

    pub(crate) fn find(&self, tx: &mut Tx<'_>, name: &str) -> Result<Option<Table>, Error> {
        Ok(tx.get_json(Table::record_key(&self.account, &self.region, table_name(name)))?)
    }
}

/// The name out of a name or an ARN.
pub(crate) fn table_name(name: &str) -> &str {
    match name.strip_prefix("arn:") {
        Some(_) => name.rsplit_once(":table/").map_or(name, |(_, name)| name),
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

/// A write's expressions, as requests have them.
pub(crate) struct Expressions {
    pub(crate) condition: Option<String>,
    pub(crate) update: Option<String>,
    pub(crate) names: Option<BTreeMap<String, String>>,
    pub(crate) values: Option<Attributes>,
}

impl Expressions {
    pub(crate) fn parse(self) -> Result<(Option<Condition>, Option<Update>), Invalid> {
        let values = convert_values(self.values)?;
        let mut parameters = vec![("ConditionExpression", self.condition.is_some())];
        if self.update.is_some() {
            parameters.push(("UpdateExpression", true));
        }
        let placeholders = Placeholders::new(self.names, values, &parameters)?;
        let update = self.update.map(|text| Update::parse(&text, &placeholders)).transpose()?;
        let condition =
            self.condition.map(|text| Condition::parse("ConditionExpression", &text, &placeholders)).transpose()?;
        placeholders.all_used()?;
        Ok((condition, update))
    }
}

/// Values of placeholders; a bad one is told with its name.
pub(crate) fn convert_values(values: Option<Attributes>) -> Result<Option<Item>, Invalid> {
    let Some(values) = values else { return Ok(None) };
    let mut converted = Item::new();
    for (name, value) in values {
        let one = Attributes::from([(name.clone(), value)]);
        let one = convert::item(one).map_err(|error| {
            Invalid::new(format!("ExpressionAttributeValues contains invalid value: {} for key {name}", error.0))
        })?;
        converted.extend(one);
    }
    Ok(Some(converted))
}

impl Write {
    /// The place that the write is about.
    pub(crate) fn key(&self, table: &Table) -> Result<Key, Invalid> {
        match &self.action {
            Action::Put(item) => table.key_of(item),
            Action::Delete(key) | Action::Update(key, _) | Action::Check(key) => {
                let place = table.key_of_parameter(key)?;
                table.key_of(key)?;
                Ok(place)
            }
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
                Some(update.as_ref().map_or_else(|| Ok(before.clone()), |update| update.apply(before))?)
            }
        };
        if let Some(new) = &new {
            items::check(table, new, matches!(self.action, Action::Update(..)))?;
        }
        items::replace(tx, table, &key, old.as_ref(), new.as_ref())?;
        Ok(Written { old, new })
    }

    fn condition_failed(&self, old: Option<Item>) -> Result<Error, Error> {
        let failure = error::conditional_check_failed_exception("The conditional request failed");
        match old.filter(|_| self.old_on_failure) {
            Some(old) => Ok(failure.with("Item", serde_json::to_value(old).map_err(Error::internal)?)),
            None => Ok(failure),
        }
    }
}

/// Legacy parameters are refused by name rather than ignored.
pub(crate) fn refuse_legacy(parameters: &[(&str, bool)]) -> Result<(), Error> {
    match parameters.iter().find(|(_, set)| *set) {
        Some((name, _)) => Err(Error::not_implemented(format!("the legacy parameter {name}"))),
        None => Ok(()),
    }
}
