//! Records of the Data Catalog. Databases, tables, versions and partitions are stored as the API shows them.

mod filter;
pub(crate) mod undo;

pub(crate) use filter::Filter;

use api_glue::error::{already_exists_exception, entity_not_found_exception, invalid_input_exception};
use api_glue::{Database, DatabaseInput, Partition, PartitionInput, Table, TableInput};
use store::{Key, Tx};
use wire::Error;

use crate::scope::{self, Scope};
use crate::tags;

/// User-defined functions.
pub(crate) const FUNCTIONS: &str = "function";

/// Names of databases and tables are lower case.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// A name that a database or table can have.
pub(crate) fn check_name(name: &str) -> Result<String, Error> {
    if name.is_empty() || name.chars().count() > 255 || name.chars().any(char::is_control) {
        return Err(invalid_input_exception(format!("{name} is not a valid name")));
    }
    Ok(fold(name))
}

impl Scope {
    pub(crate) fn databases(&self) -> Key {
        self.key("db")
    }
    pub(crate) fn database(&self, name: &str) -> Key {
        self.databases().push(name)
    }
    pub(crate) fn tables(&self, database: &str) -> Key {
        self.key("table").push(database)
    }
    pub(crate) fn table(&self, database: &str, name: &str) -> Key {
        self.tables(database).push(name)
    }
    pub(crate) fn versions(&self, database: &str, table: &str) -> Key {
        self.key("version").push(database).push(table)
    }
    pub(crate) fn partitions(&self, database: &str, table: &str) -> Key {
        self.key("partition").push(database).push(table)
    }
    pub(crate) fn partition(&self, database: &str, table: &str, values: &[String]) -> Key {
        values.iter().fold(self.partitions(database, table), Key::push)
    }
    pub(crate) fn column_statistics(&self, database: &str, table: &str) -> Key {
        self.key("column-statistics").push(database).push(table)
    }
    pub(crate) fn partition_statistics(&self, database: &str, table: &str, values: &[String]) -> Key {
        values.iter().fold(self.key("partition-statistics").push(database).push(table), Key::push)
    }
    pub(crate) fn functions(&self, database: &str) -> Key {
        self.key(FUNCTIONS).push(database)
    }
    pub(crate) fn indexes(&self, database: &str, table: &str) -> Key {
        self.key("index").push(database).push(table)
    }
}

pub(crate) fn database(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Database, Error> {
    let found = tx.get_json(scope.database(name))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Database {name} not found.")))
}

pub(crate) fn find_table(tx: &mut Tx<'_>, scope: &Scope, db: &str, name: &str) -> Result<Option<Table>, Error> {
    Ok(tx.get_json(scope.table(db, name))?)
}

/// The table; `EntityNotFoundException` names what is missing.
pub(crate) fn table(tx: &mut Tx<'_>, scope: &Scope, db: &str, name: &str) -> Result<Table, Error> {
    if let Some(table) = find_table(tx, scope, db, name)? {
        return Ok(table);
    }
    database(tx, scope, db)?;
    Err(entity_not_found_exception("Entity Not Found"))
}

/// A table as new: version 0, made by `creator`.
pub(crate) fn new_table(scope: &Scope, db: &str, input: TableInput, creator: &str, now: jiff::Timestamp) -> Table {
    Table {
        create_time: Some(now.into()),
        created_by: Some(creator.to_owned()),
        version_id: Some("0".to_owned()),
        ..with_input(scope, db, input, now)
    }
}

/// A table with all that an input says, and nothing that came before.
pub(crate) fn with_input(scope: &Scope, db: &str, input: TableInput, now: jiff::Timestamp) -> Table {
    Table {
        name: fold(&input.name),
        database_name: Some(db.to_owned()),
        description: input.description,
        owner: input.owner,
        update_time: Some(now.into()),
        last_access_time: input.last_access_time,
        last_analyzed_time: input.last_analyzed_time,
        retention: Some(input.retention.unwrap_or(0)),
        storage_descriptor: input.storage_descriptor,
        partition_keys: Some(input.partition_keys.unwrap_or_default()),
        view_original_text: input.view_original_text,
        view_expanded_text: input.view_expanded_text,
        table_type: input.table_type,
        parameters: input.parameters,
        target_table: input.target_table,
        is_registered_with_lake_formation: Some(false),
        catalog_id: Some(scope.account.clone()),
        ..Table::default()
    }
}

/// Puts `new` in the place of `old`, which becomes an earlier version when `archive` says so.
pub(crate) fn replace_table(
    tx: &mut Tx<'_>,
    scope: &Scope,
    old: &Table,
    mut new: Table,
    archive: bool,
) -> Result<(), Error> {
    let db = old.database_name.as_deref().unwrap_or_default();
    let version = version_number(old);
    if archive {
        tx.put_json(scope.versions(db, &old.name).push_u64(version), old)?;
    }
    new.version_id = Some((version + 1).to_string());
    new.create_time = old.create_time;
    new.created_by.clone_from(&old.created_by);
    tx.put_json(scope.table(db, &old.name), &new)?;
    Ok(())
}

pub(crate) fn version_number(table: &Table) -> u64 {
    table.version_id.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// Removes a table with its versions, partitions, indexes and tags.
pub(crate) fn delete_table(tx: &mut Tx<'_>, scope: &Scope, db: &str, name: &str) -> Result<(), Error> {
    tags::clear(tx, scope, &table_arn(scope, db, name))?;
    scope::clear(tx, &scope.partitions(db, name))?;
    scope::clear(tx, &scope.versions(db, name))?;
    scope::clear(tx, &scope.column_statistics(db, name))?;
    scope::clear(tx, &scope.partition_statistics(db, name, &[]))?;
    crate::statistics::drop_settings(tx, scope, db, name)?;
    tx.delete(scope.indexes(db, name))?;
    tx.delete(scope.table(db, name))?;
    Ok(())
}

pub(crate) fn table_arn(scope: &Scope, db: &str, name: &str) -> String {
    scope.arn(&format!("table/{db}/{name}"))
}

/// Gives all of a table to another name: versions, partitions, statistics, indexes and tags. The table itself is the caller's to write.
pub(crate) fn rename_table(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (db, name): (&str, &str),
    (new_db, new_name): (&str, &str),
) -> Result<(), Error> {
    // What a crawl that was cut short may have left of a table that never came.
    scope::clear(tx, &scope.partitions(new_db, new_name))?;
    for (from, to) in [
        (scope.versions(db, name), scope.versions(new_db, new_name)),
        (scope.partitions(db, name), scope.partitions(new_db, new_name)),
        (scope.column_statistics(db, name), scope.column_statistics(new_db, new_name)),
        (scope.partition_statistics(db, name, &[]), scope.partition_statistics(new_db, new_name, &[])),
        (scope.indexes(db, name), scope.indexes(new_db, new_name)),
    ] {
        scope::shift(tx, &from, &to)?;
    }
    let labels = tags::read(tx, scope, &table_arn(scope, db, name))?;
    tags::add(tx, scope, &table_arn(scope, new_db, new_name), &labels)?;
    delete_table(tx, scope, db, name)
}

/// Removes a database with all that it holds.
pub(crate) fn delete_database(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    scope::each(tx, &scope.tables(name), |tx, key| {
        let table = Key::parts(key).pop().unwrap_or_default();
        let table = String::from_utf8_lossy(&table);
        crate::statistics::drop_settings(tx, scope, name, &table)?;
        tags::clear(tx, scope, &table_arn(scope, name, &table))
    })?;
    for kind in ["table", "version", "partition", "index", "column-statistics", "partition-statistics", FUNCTIONS] {
        scope::clear(tx, &scope.key(kind).push(name))?;
    }
    tags::clear(tx, scope, &scope.arn(&format!("database/{name}")))?;
    tx.delete(scope.database(name))?;
    Ok(())
}

/// The partition that an input describes, after a check of its values against the table's keys.
pub(crate) fn new_partition(
    scope: &Scope,
    table: &Table,
    input: PartitionInput,
    now: jiff::Timestamp,
) -> Result<Partition, Error> {
    let values = input.values.unwrap_or_default();
    check_values(table, &values)?;
    Ok(Partition {
        values: Some(values),
        database_name: table.database_name.clone(),
        table_name: Some(table.name.clone()),
        creation_time: Some(now.into()),
        last_access_time: input.last_access_time,
        storage_descriptor: input.storage_descriptor,
        parameters: input.parameters,
        last_analyzed_time: input.last_analyzed_time,
        catalog_id: Some(scope.account.clone()),
    })
}

pub(crate) fn check_values(table: &Table, values: &[String]) -> Result<(), Error> {
    let keys = table.partition_keys.as_ref().map_or(0, Vec::len);
    if keys == values.len() {
        return Ok(());
    }
    Err(invalid_input_exception(format!(
        "The number of partition keys do not match the number of partition values: {keys} and {}",
        values.len()
    )))
}

pub(crate) fn new_database(scope: &Scope, input: DatabaseInput, now: jiff::Timestamp) -> Database {
    Database {
        name: fold(&input.name),
        description: input.description,
        location_uri: input.location_uri,
        parameters: input.parameters,
        create_time: Some(now.into()),
        create_table_default_permissions: input.create_table_default_permissions,
        target_database: input.target_database,
        catalog_id: Some(scope.account.clone()),
        federated_database: input.federated_database,
    }
}

/// Replaces the partition with the values `old`.
pub(crate) fn update_partition(
    tx: &mut Tx<'_>,
    scope: &Scope,
    table: &Table,
    old: &[String],
    input: PartitionInput,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    let db = table.database_name.as_deref().unwrap_or_default();
    let key = scope.partition(db, &table.name, old);
    let Some(before) = tx.get_json::<Partition>(&key)? else {
        return Err(entity_not_found_exception("Cannot find partition."));
    };
    let values = input.values.clone().unwrap_or_else(|| old.to_vec());
    let input = PartitionInput { values: Some(values.clone()), ..input };
    let mut after = new_partition(scope, table, input, now)?;
    after.creation_time = before.creation_time;
    let new_key = scope.partition(db, &table.name, &values);
    if new_key != key && tx.get(&new_key)?.is_some() {
        return Err(already_exists_exception("Partition already exists."));
    }
    delete_partition(tx, scope, table, old)?;
    tx.put_json(new_key, &after)?;
    Ok(())
}

/// Removes a partition with its statistics.
pub(crate) fn delete_partition(tx: &mut Tx<'_>, scope: &Scope, table: &Table, values: &[String]) -> Result<(), Error> {
    forget_partition(tx, scope, (table.database_name.as_deref().unwrap_or_default(), &table.name), values)
}

/// The same by the names of its database and table.
pub(crate) fn forget_partition(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (db, table): (&str, &str),
    values: &[String],
) -> Result<(), Error> {
    scope::clear(tx, &scope.partition_statistics(db, table, values))?;
    tx.delete(scope.partition(db, table, values))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_table_that_is_renamed_keeps_what_is_its_own() {
        let scope = Scope { account: "1".into(), region: "r".into() };
        let (old, new) = (("a", "t"), ("b", "u"));
        let store = store::Store::memory();
        store
            .write(move |tx| {
                for (db, name) in [old, ("a", "t2")] {
                    tx.put_json(scope.versions(db, name).push_u64(0), &0)?;
                    tx.put_json(scope.partition(db, name, &["x".into()]), &1)?;
                    tx.put_json(scope.column_statistics(db, name).push("c"), &2)?;
                    tx.put_json(scope.indexes(db, name), &3)?;
                    tags::add(tx, &scope, &table_arn(&scope, db, name), &[("k".into(), "v".into())].into())?;
                }
                rename_table(tx, &scope, old, new)?;
                for ((db, name), there) in [(old, false), (new, true), (("a", "t2"), true)] {
                    assert_eq!(tx.has(scope.versions(db, name).push_u64(0))?, there, "{name}");
                    assert_eq!(tx.has(scope.partition(db, name, &["x".into()]))?, there, "{name}");
                    assert_eq!(tx.has(scope.column_statistics(db, name).push("c"))?, there, "{name}");
                    assert_eq!(tx.has(scope.indexes(db, name))?, there, "{name}");
                    assert_eq!(
                        tags::read(tx, &scope, &table_arn(&scope, db, name))?.len(),
                        usize::from(there),
                        "{name}"
                    );
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }
}
