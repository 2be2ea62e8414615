//! PartiQL as DynamoDB has it: SELECT, INSERT, UPDATE and DELETE on one table each. Statements become what the other operations
//! are made of: conditions, updates, key conditions and writes.
//!
//! Map: [`syntax`] text to a syntax tree, by sqlparser · [`translate`] the tree to conditions, updates and values.
//! Source: DynamoDB Developer Guide, "PartiQL - a SQL-compatible query language for Amazon DynamoDB".

mod syntax;
mod translate;

use crate::Invalid;
use crate::expr::{Comparator, Condition, KeyCondition, Operand, Path, SortCondition, Test, Update};
use crate::table::{KeySchema, Table};
use crate::value::{Item, Value};
use crate::write::{Action, Write};

pub(crate) use translate::Parsed;

/// A statement that is ready to run.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Select(Select),
    Insert {
        table: String,
        item: Item,
    },
    Update {
        table: String,
        update: Update,
        filter: Test,
        returning: Option<Returning>,
    },
    Delete {
        table: String,
        filter: Test,
        returning: Option<Returning>,
    },
    /// `EXISTS(SELECT …)`, in a transaction.
    Exists(Select),
}

#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) table: String,
    pub(crate) index: Option<String>,
    /// None: everything.
    pub(crate) projection: Option<Vec<Path>>,
    pub(crate) filter: Option<Test>,
    /// Attributes, each with whether it descends.
    pub(crate) order: Vec<(String, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returning {
    AllOld,
    AllNew,
    ModifiedOld,
    ModifiedNew,
}

impl Statement {
    /// Parses a statement whose `?` stand for the parameters in turn.
    pub(crate) fn parse(source: &str, parameters: Vec<Value>) -> Result<Self, Invalid> {
        let parsed = syntax::parse(source)?;
        Parsed::new(parameters).statement(parsed)
    }

    pub(crate) fn table(&self) -> &str {
        match self {
            Self::Select(select) | Self::Exists(select) => &select.table,
            Self::Insert { table, .. } | Self::Update { table, .. } | Self::Delete { table, .. } => table,
        }
    }

    /// The action that a policy must allow.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Select(_) | Self::Exists(_) => "dynamodb:PartiQLSelect",
            Self::Insert { .. } => "dynamodb:PartiQLInsert",
            Self::Update { .. } => "dynamodb:PartiQLUpdate",
            Self::Delete { .. } => "dynamodb:PartiQLDelete",
        }
    }

    pub(crate) fn reads(&self) -> bool {
        matches!(self, Self::Select(_))
    }

    /// The write that a statement other than SELECT is.
    pub(crate) fn write(&self, table: &Table, old_on_failure: bool) -> Result<Write, Invalid> {
        let (action, condition) = match self {
            Self::Insert { item, .. } => {
                let absent = Test::NotExists(Path::top(table.key.partition.first().map_or("", String::as_str)));
                (Action::Put(item.clone()), Some(absent))
            }
            Self::Update { update, filter, .. } => {
                let (key, rest) = whole_key(filter, table)?;
                (Action::Update(key, Some(update.clone())), Some(rest))
            }
            Self::Delete { filter, .. } => {
                let (key, rest) = whole_key(filter, table)?;
                // Deleting what is not there is no failure, unless something more is asked of it.
                let more = matches!(&rest, Test::All(tests) if tests.len() > table.key.names().count());
                (Action::Delete(key), more.then_some(rest))
            }
            Self::Exists(select) | Self::Select(select) => {
                let filter = select.filter.as_ref().ok_or_else(no_key)?;
                let (key, rest) = whole_key(filter, table)?;
                (Action::Check(key), Some(rest))
            }
        };
        let condition = condition.map(Condition::of);
        let inserts = matches!(self, Self::Insert { .. });
        Ok(Write { table: self.table().to_owned(), action, condition, old_on_failure, inserts })
    }
}

impl Select {
    /// The whole primary key, when the condition names one item.
    pub(crate) fn key(&self, table: &Table) -> Option<Item> {
        whole_key(self.filter.as_ref()?, table).ok().map(|(key, _)| key)
    }

    /// What the condition says about the key; none where all has to be read.
    pub(crate) fn key_condition(&self, schema: &KeySchema) -> Option<KeyCondition> {
        let tests = conjuncts(self.filter.as_ref()?);
        let equal = |name: &str| tests.iter().find_map(|test| equality(test, name));
        let partition = schema.partition.iter().map(|name| equal(name).cloned()).collect::<Option<Vec<_>>>()?;
        let mut sort_prefix = Vec::new();
        let mut sort = None;
        for name in &schema.sort {
            if let Some(SortCondition::Equal(value)) = &sort {
                sort_prefix.push(value.clone());
            } else if sort.is_some() {
                break;
            }
            let Some(condition) = tests.iter().find_map(|test| sort_condition(test, name)) else {
                // What was put into the prefix last is the condition again.
                if !sort_prefix.is_empty() && matches!(sort, Some(SortCondition::Equal(_))) {
                    sort_prefix.pop();
                }
                break;
            };
            sort = Some(condition);
        }
        Some(KeyCondition { partition, sort_prefix, sort })
    }
}

fn no_key() -> Invalid {
    Invalid::new("Where clause does not contain a mandatory equality on all key attributes")
}

/// The tests that must all hold.
fn conjuncts(test: &Test) -> Vec<&Test> {
    match test {
        Test::All(tests) => tests.iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// The value that a test asks an attribute to have.
fn equality<'a>(test: &'a Test, name: &str) -> Option<&'a Value> {
    match test {
        Test::Compare(Comparator::Equal, Operand::Path(path), Operand::Value(value))
        | Test::Compare(Comparator::Equal, Operand::Value(value), Operand::Path(path))
            if path.is(name) =>
        {
            Some(value)
        }
        _ => None,
    }
}

fn sort_condition(test: &Test, name: &str) -> Option<SortCondition> {
    match test {
        Test::Compare(comparator, Operand::Path(path), Operand::Value(value)) if path.is(name) => {
            Some(match comparator {
                Comparator::Equal => SortCondition::Equal(value.clone()),
                Comparator::Less => SortCondition::Less(value.clone()),
                Comparator::LessOrEqual => SortCondition::LessOrEqual(value.clone()),
                Comparator::Greater => SortCondition::Greater(value.clone()),
                Comparator::GreaterOrEqual => SortCondition::GreaterOrEqual(value.clone()),
                Comparator::NotEqual => return None,
            })
        }
        Test::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) if path.is(name) => {
            Some(SortCondition::Between(low.clone(), high.clone()))
        }
        Test::BeginsWith(Operand::Path(path), Operand::Value(prefix)) if path.is(name) => {
            Some(SortCondition::BeginsWith(prefix.clone()))
        }
        _ => None,
    }
}

/// The key that the condition names, and all of the condition: it holds of an item that is there.
fn whole_key(filter: &Test, table: &Table) -> Result<(Item, Test), Invalid> {
    let tests = conjuncts(filter);
    let mut key = Item::new();
    for name in table.key.names() {
        let value = tests.iter().find_map(|test| equality(test, name)).ok_or_else(no_key)?;
        key.insert(name.to_owned(), value.clone());
    }
    Ok((key, Test::All(tests.into_iter().cloned().collect())))
}

#[cfg(test)]
mod tests;
