//! A catalog in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Catalog, Database, Partition, Table};
use crate::error::{Error, Result};

/// Databases, tables and partitions behind one lock.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    state: Mutex<State>,
    meanwhile: Meanwhile,
}

/// What others do, by the call before which they do it.
#[derive(Default)]
struct Meanwhile(Mutex<BTreeMap<&'static str, Other>>);

type Other = Box<dyn FnOnce(&MemoryCatalog) + Send>;

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meanwhile").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    databases: BTreeMap<String, Database>,
    tables: BTreeMap<(String, String), (Table, Vec<Partition>)>,
}

impl MemoryCatalog {
    /// What somebody else does right before the next `table`, `create_partitions`, `rename_table` or `delete_known`.
    pub fn meanwhile(&self, call: &'static str, other: impl FnOnce(&Self) + Send + 'static) {
        self.meanwhile.0.lock().unwrap_or_else(PoisonError::into_inner).insert(call, Box::new(other));
    }

    fn others(&self, call: &str) {
        let other = self.meanwhile.0.lock().unwrap_or_else(PoisonError::into_inner).remove(call);
        if let Some(other) = other {
            other(self);
        }
    }

    /// Changes a table's record.
    pub fn change(&self, database: &str, name: &str, change: impl FnOnce(&mut Table, &mut Vec<Partition>)) {
        let _ = self.with_table(database, name, |(table, partitions)| change(table, partitions));
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_table<T>(
        &self,
        database: &str,
        name: &str,
        f: impl FnOnce(&mut (Table, Vec<Partition>)) -> T,
    ) -> Result<T> {
        self.with(|state| match state.tables.get_mut(&(database.to_owned(), name.to_owned())) {
            Some(entry) => Ok(f(entry)),
            None => Err(Error::metastore(format_args!("Table {database}.{name} not found"))),
        })
    }
}

#[async_trait::async_trait]
impl Catalog for MemoryCatalog {
    async fn database(&self, name: &str) -> Result<Option<Database>> {
        Ok(self.with(|state| state.databases.get(name).cloned()))
    }

    async fn databases(&self) -> Result<Vec<Database>> {
        Ok(self.with(|state| state.databases.values().cloned().collect()))
    }

    async fn create_database(&self, database: Database) -> Result<()> {
        self.with(|state| state.databases.insert(database.name.clone(), database));
        Ok(())
    }

    async fn update_database(&self, database: Database) -> Result<()> {
        self.create_database(database).await
    }

    async fn delete_database(&self, name: &str) -> Result<()> {
        self.with(|state| {
            state.databases.remove(name);
            state.tables.retain(|(database, _), _| database != name);
        });
        Ok(())
    }

    async fn table(&self, database: &str, name: &str) -> Result<Option<Table>> {
        self.others("table");
        Ok(self.with(|state| state.tables.get(&(database.to_owned(), name.to_owned())).map(|(table, _)| table.clone())))
    }

    async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        Ok(self.with(|state| {
            state.tables.iter().filter(|((db, _), _)| db == database).map(|(_, (table, _))| table.clone()).collect()
        }))
    }

    async fn create_table(&self, database: &str, table: Table) -> Result<()> {
        self.with(|state| state.tables.insert((database.to_owned(), table.name.clone()), (table, Vec::new())));
        Ok(())
    }

    async fn update_table(&self, database: &str, table: Table) -> Result<()> {
        let name = table.name.clone();
        self.with_table(database, &name, |entry| entry.0 = table)
    }

    async fn replace_table(&self, database: &str, table: Table, expected: &str) -> Result<bool> {
        let name = table.name.clone();
        self.with_table(database, &name, |entry| {
            let unchanged = entry.0.parameters.get("metadata_location").is_some_and(|place| place == expected);
            if unchanged {
                entry.0 = std::mem::take(&mut entry.0).committed(table);
            }
            unchanged
        })
    }

    async fn delete_table(&self, database: &str, name: &str) -> Result<()> {
        self.with(|state| state.tables.remove(&(database.to_owned(), name.to_owned())));
        Ok(())
    }

    async fn delete_known(&self, database: &str, table: &Table) -> Result<bool> {
        self.others("delete_known");
        let key = (database.to_owned(), table.name.clone());
        Ok(self.with(|state| {
            let is_known = state.tables.get(&key).is_some_and(|(now, _)| now == table);
            if is_known {
                state.tables.remove(&key);
            }
            is_known
        }))
    }

    async fn rename_table(&self, database: &str, table: &Table, to: &str) -> Result<bool> {
        self.others("rename_table");
        let key = (database.to_owned(), table.name.clone());
        Ok(self.with(|state| match state.tables.remove(&key) {
            Some((now, partitions)) if now == *table => {
                let renamed = Table { name: to.to_owned(), ..now };
                state.tables.insert((database.to_owned(), to.to_owned()), (renamed, partitions));
                true
            }
            other => {
                state.tables.extend(other.map(|other| (key, other)));
                false
            }
        }))
    }

    async fn partitions(&self, database: &str, table: &str) -> Result<Vec<Partition>> {
        self.with_table(database, table, |entry| entry.1.clone())
    }

    async fn create_partitions(
        &self,
        database: &str,
        table: &str,
        partitions: Vec<Partition>,
    ) -> Result<Vec<Vec<String>>> {
        self.others("create_partitions");
        self.with_table(database, table, |(_, known)| {
            let mut existing = Vec::new();
            for partition in partitions {
                if known.iter().any(|other| other.values == partition.values) {
                    existing.push(partition.values);
                } else {
                    known.push(partition);
                }
            }
            existing
        })
    }

    async fn partition(&self, database: &str, table: &str, values: &[String]) -> Result<Option<Partition>> {
        self.with_table(database, table, |(_, known)| known.iter().find(|one| one.values == values).cloned())
    }

    async fn update_partition(&self, database: &str, table: &str, values: &[String], new: Partition) -> Result<()> {
        self.with_table(database, table, |(_, known)| {
            for one in known.iter_mut().filter(|one| one.values == values) {
                one.clone_from(&new);
            }
        })
    }

    async fn delete_partition(&self, database: &str, table: &str, values: &[String]) -> Result<bool> {
        self.with_table(database, table, |(_, known)| {
            let before = known.len();
            known.retain(|partition| partition.values != values);
            known.len() != before
        })
    }
}
