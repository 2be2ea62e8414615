//! Between the catalog's records and what the crawl library knows: tables in, changes out.

use std::collections::BTreeMap;

use api_glue::{
    BatchCreatePartition, BatchDeletePartition, Column, CreateDatabase, CreateTable, Database, DeleteTable, Partition,
    SerDeInfo, StorageDescriptor, Table, UpdatePartition, UpdateTable,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Tx;
use wire::{Error, Operation as _, OperationSpec};

use crate::catalog;
use crate::crawl::{self, Change, CrawledPartition, CrawledTable, KnownPartition, KnownTable, Storage};
use crate::scope::{self, Scope};

const DEPRECATED: &str = "DEPRECATED_BY_CRAWLER";
/// Parameters of the header that are only there while they hold.
const HEADER: &str = "skip.header.line.count";

/// What a crawl did to the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) tables_created: Vec<String>,
    pub(super) tables_updated: Vec<String>,
    pub(super) tables_deleted: Vec<String>,
    pub(super) partitions_created: u32,
    pub(super) partitions_updated: u32,
    pub(super) partitions_deleted: u32,
    pub(super) log: Vec<String>,
}

/// Which database, as whom, when.
pub(super) struct Writer<'a> {
    pub(super) scope: &'a Scope,
    pub(super) database: &'a str,
    pub(super) creator: &'a str,
    pub(super) now: jiff::Timestamp,
}

/// The database's tables as a crawl sees them: `targets` names those of catalog targets, `wanted` those whose partitions are of interest.
pub(super) fn known(
    tx: &mut Tx<'_>,
    scope: &Scope,
    db: &str,
    targets: &[String],
    wanted: impl Fn(&Table) -> bool,
) -> Result<Vec<KnownTable>, Error> {
    let mut out = Vec::new();
    for table in tx.list_json::<Table>(scope.tables(db), usize::MAX)? {
        let Some(storage) = &table.storage_descriptor else { continue };
        let keys = table.partition_keys.as_deref().unwrap_or_default();
        let mut partitions = Vec::new();
        if !keys.is_empty() && wanted(&table) {
            for partition in tx.list_json::<Partition>(scope.partitions(db, &table.name), usize::MAX)? {
                let storage = partition.storage_descriptor.as_ref().map(to_storage).unwrap_or_default();
                let created_ms = partition.creation_time.map_or(0, wire::Timestamp::as_millis);
                let (values, parameters) =
                    (partition.values.unwrap_or_default(), partition.parameters.unwrap_or_default());
                partitions.push(KnownPartition { values, storage, parameters, created_ms });
            }
        }
        out.push(KnownTable {
            target: targets.contains(&table.name),
            storage: to_storage(storage),
            partition_keys: keys.iter().map(to_column).collect(),
            parameters: table.parameters.clone().unwrap_or_default(),
            partitions,
            name: table.name,
        });
    }
    Ok(out)
}

/// A new table has so many partitions that most of them are written ahead of it.
const MANY: usize = 1000;
/// Partitions of one transaction that writes ahead.
pub(super) const AHEAD: usize = 500;

/// The new tables among changes that have many partitions, and those.
pub(super) fn ahead(changes: &[Change]) -> Vec<(String, Vec<CrawledPartition>)> {
    let mut many: BTreeMap<&str, Vec<CrawledPartition>> = BTreeMap::new();
    for change in changes {
        match change {
            Change::CreateTable { name, .. } => drop(many.insert(name, Vec::new())),
            Change::PutPartition { table, partition, new: true } => {
                if let Some(partitions) = many.get_mut(table.as_str()) {
                    partitions.push(partition.clone());
                }
            }
            _ => {}
        }
    }
    many.into_iter().filter(|(_, all)| all.len() > MANY).map(|(name, all)| (name.to_owned(), all)).collect()
}

/// Writes some partitions of a table that is not there yet, so that nobody sees them; the `first` in the place of whatever another
/// crawl had left of such. They are seen once the table is, which the end of the crawl writes.
pub(super) fn write_ahead(
    tx: &mut Tx<'_>,
    writer: &Writer<'_>,
    table: &str,
    partitions: &[CrawledPartition],
    first: bool,
) -> Result<(), Error> {
    if tx.has(writer.scope.table(writer.database, table))? {
        return Ok(());
    }
    if first {
        scope::clear(tx, &writer.scope.partitions(writer.database, table))?;
    }
    for partition in partitions {
        writer.put_partition(tx, table, partition, true)?;
    }
    Ok(())
}

/// The operations that the changes come to, with the members of their input that say on what, each once.
pub(super) fn needed(database: &str, is_new: bool, changes: &[Change]) -> Vec<(&'static OperationSpec, Value)> {
    let mut all: BTreeMap<(&str, &str), (&'static OperationSpec, Value)> = BTreeMap::new();
    if is_new {
        all.insert(("", ""), (CreateDatabase::SPEC, json!({ "DatabaseInput": { "Name": database } })));
    }
    for change in changes {
        let (name, operation) = match change {
            Change::CreateTable { name, .. } => (name, CreateTable::SPEC),
            Change::UpdateTable { name, .. } | Change::DeprecateTable { name, .. } => (name, UpdateTable::SPEC),
            Change::DeleteTable { name } => (name, DeleteTable::SPEC),
            Change::PutPartition { table, new: true, .. } => (table, BatchCreatePartition::SPEC),
            Change::PutPartition { table, .. } => (table, UpdatePartition::SPEC),
            Change::DeletePartition { table, .. } => (table, BatchDeletePartition::SPEC),
            Change::Log(_) => continue,
        };
        let input =
            json!({ "DatabaseName": database, "Name": name, "TableName": name, "TableInput": { "Name": name } });
        all.entry((operation.name, name)).or_insert((operation, input));
    }
    all.into_values().collect()
}

/// Carries out the changes of a crawl.
pub(super) fn apply(tx: &mut Tx<'_>, writer: &Writer<'_>, changes: &[Change]) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    make_database(tx, writer)?;
    for change in changes {
        writer.apply(tx, change, &mut summary)?;
    }
    Ok(summary)
}

fn make_database(tx: &mut Tx<'_>, writer: &Writer<'_>) -> Result<(), Error> {
    let key = writer.scope.database(writer.database);
    if tx.get(&key)?.is_none() {
        let record = Database {
            name: writer.database.to_owned(),
            create_time: Some(writer.now.into()),
            catalog_id: Some(writer.scope.account.clone()),
            ..Database::default()
        };
        tx.put_json(key, &record)?;
    }
    Ok(())
}

impl Writer<'_> {
    fn apply(&self, tx: &mut Tx<'_>, change: &Change, summary: &mut Summary) -> Result<(), Error> {
        let (scope, db) = (self.scope, self.database);
        match change {
            Change::CreateTable { name, table } => {
                tx.put_json(scope.table(db, name), &self.new_table(name, table))?;
                summary.log.push(format!("INFO : Created table {name} in database {db}"));
                summary.tables_created.push(name.clone());
            }
            Change::UpdateTable { name, table, schema } => {
                let old = catalog::table(tx, scope, db, name)?;
                let new = self.updated(&old, table);
                if *schema {
                    catalog::replace_table(tx, scope, &old, new, true)?;
                    summary.log.push(format!("INFO : Updated table {name} in database {db}"));
                    summary.tables_updated.push(name.clone());
                } else {
                    // Counts alone: its definition is as it was, with what only its owner knows of it (buckets, sort columns, the SerDe's name).
                    let mut storage = old.storage_descriptor.clone();
                    if let Some(storage) = &mut storage {
                        storage.parameters.get_or_insert_default().extend(table.parameters.clone());
                    }
                    let same = Table {
                        update_time: old.update_time,
                        version_id: old.version_id.clone(),
                        storage_descriptor: storage,
                        ..new
                    };
                    tx.put_json(scope.table(db, name), &same)?;
                }
            }
            Change::DeprecateTable { name, at_ms } => {
                let old = catalog::table(tx, scope, db, name)?;
                let mut new = Table { update_time: Some(self.now.into()), ..old.clone() };
                new.parameters.get_or_insert_default().insert(DEPRECATED.to_owned(), at_ms.to_string());
                catalog::replace_table(tx, scope, &old, new, true)?;
                summary.log.push(format!("INFO : Marked table {name} in database {db} as deprecated"));
                summary.tables_deleted.push(name.clone());
            }
            Change::DeleteTable { name } => {
                catalog::delete_table(tx, scope, db, name)?;
                summary.log.push(format!("INFO : Deleted table {name} in database {db}"));
                summary.tables_deleted.push(name.clone());
            }
            Change::PutPartition { table, partition, new } => match self.put_partition(tx, table, partition, *new)? {
                _ if *new && summary.tables_created.contains(table) => summary.partitions_created += 1,
                Put::Created => summary.partitions_created += 1,
                Put::Updated => summary.partitions_updated += 1,
                Put::Same => {}
            },
            Change::DeletePartition { table, values } => {
                catalog::forget_partition(tx, scope, (db, table), values)?;
                summary.partitions_deleted += 1;
            }
            Change::Log(line) => summary.log.push(line.clone()),
        }
        Ok(())
    }

    fn new_table(&self, name: &str, table: &CrawledTable) -> Table {
        Table {
            name: name.to_owned(),
            database_name: Some(self.database.to_owned()),
            owner: Some("owner".to_owned()),
            create_time: Some(self.now.into()),
            update_time: Some(self.now.into()),
            last_access_time: Some(self.now.into()),
            retention: Some(0),
            storage_descriptor: Some(descriptor(&table.storage, &table.parameters, None)),
            partition_keys: Some(table.partition_keys.iter().map(from_column).collect()),
            table_type: Some("EXTERNAL_TABLE".to_owned()),
            parameters: Some(table.parameters.clone()),
            created_by: Some(self.creator.to_owned()),
            is_registered_with_lake_formation: Some(false),
            catalog_id: Some(self.scope.account.clone()),
            version_id: Some("0".to_owned()),
            ..Table::default()
        }
    }

    /// The crawl's view of a table, with what else its owner said about it.
    fn updated(&self, old: &Table, table: &CrawledTable) -> Table {
        let mut parameters = old.parameters.clone().unwrap_or_default();
        parameters.remove(DEPRECATED);
        parameters.remove(HEADER);
        parameters.extend(table.parameters.clone());
        let comments = old.partition_keys.as_deref().unwrap_or_default();
        let keys = table.partition_keys.iter().map(|key| {
            let comment = comments.iter().find(|c| c.name == key.name).and_then(|c| c.comment.clone());
            Column { comment, ..from_column(key) }
        });
        Table {
            update_time: Some(self.now.into()),
            storage_descriptor: Some(descriptor(&table.storage, &table.parameters, old.storage_descriptor.as_ref())),
            partition_keys: Some(keys.collect()),
            table_type: old.table_type.clone().or_else(|| Some("EXTERNAL_TABLE".to_owned())),
            parameters: Some(parameters),
            ..old.clone()
        }
    }

    fn put_partition(
        &self,
        tx: &mut Tx<'_>,
        table: &str,
        partition: &CrawledPartition,
        new: bool,
    ) -> Result<Put, Error> {
        let key = self.scope.partition(self.database, table, &partition.values);
        let old: Option<Partition> = tx.get_json(&key)?;
        let before = old.as_ref().and_then(|old| old.storage_descriptor.as_ref());
        let mut storage = descriptor(&partition.storage, &partition.parameters, before);
        if let Some(same) = before.filter(|before| to_storage(before) == partition.storage) {
            let parameters = storage.parameters.take();
            storage = StorageDescriptor { parameters, ..same.clone() };
        }
        let record = Partition {
            values: Some(partition.values.clone()),
            database_name: Some(self.database.to_owned()),
            table_name: Some(table.to_owned()),
            creation_time: old.as_ref().map_or_else(|| Some(self.now.into()), |old| old.creation_time),
            last_access_time: old.as_ref().map_or_else(|| Some(self.now.into()), |old| old.last_access_time),
            storage_descriptor: Some(storage),
            parameters: Some(partition.parameters.clone()),
            last_analyzed_time: None,
            catalog_id: Some(self.scope.account.clone()),
        };
        let before = before.map(to_storage);
        let put = if new && old.is_none() {
            Put::Created
        } else if before.as_ref() != Some(&partition.storage) {
            Put::Updated
        } else {
            Put::Same
        };
        if old.as_ref() != Some(&record) {
            tx.put_json(key, &record)?;
        }
        Ok(put)
    }
}

/// What became of a partition.
enum Put {
    Created,
    Updated,
    Same,
}

/// Parameters of the table are those of its storage too, as crawlers write them.
fn descriptor(
    storage: &Storage,
    parameters: &BTreeMap<String, String>,
    old: Option<&StorageDescriptor>,
) -> StorageDescriptor {
    let columns = storage.columns.iter().map(|column| {
        let known = old.and_then(|old| old.columns.as_deref()?.iter().find(|c| c.name == column.name));
        Column { comment: known.and_then(|c| c.comment.clone()), ..from_column(column) }
    });
    StorageDescriptor {
        columns: Some(columns.collect()),
        location: Some(storage.location.clone()),
        input_format: Some(storage.input_format.clone()),
        output_format: Some(storage.output_format.clone()),
        compressed: Some(storage.compressed),
        number_of_buckets: Some(-1),
        serde_info: Some(SerDeInfo {
            name: None,
            serialization_library: Some(storage.serde.clone()),
            parameters: Some(storage.serde_parameters.clone()),
        }),
        bucket_columns: Some(Vec::new()),
        sort_columns: Some(Vec::new()),
        parameters: Some(parameters.clone()),
        stored_as_sub_directories: Some(false),
        ..StorageDescriptor::default()
    }
}

fn to_storage(sd: &StorageDescriptor) -> Storage {
    let serde = sd.serde_info.clone().unwrap_or_default();
    Storage {
        location: sd.location.clone().unwrap_or_default(),
        columns: sd.columns.iter().flatten().map(to_column).collect(),
        input_format: sd.input_format.clone().unwrap_or_default(),
        output_format: sd.output_format.clone().unwrap_or_default(),
        compressed: sd.compressed.unwrap_or(false),
        serde: serde.serialization_library.unwrap_or_default(),
        serde_parameters: serde.parameters.unwrap_or_default(),
    }
}

fn to_column(column: &Column) -> crawl::Column {
    crawl::Column { name: column.name.clone(), ty: column.r#type.clone().unwrap_or_default() }
}

fn from_column(column: &crawl::Column) -> Column {
    Column { name: column.name.clone(), r#type: Some(column.ty.clone()), ..Column::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(day: usize) -> CrawledPartition {
        let storage = Storage { location: format!("s3://b/t/day={day}/"), ..Storage::default() };
        CrawledPartition { values: vec![day.to_string()], storage, parameters: BTreeMap::new() }
    }

    #[test]
    fn a_crawl_needs_what_it_changes() {
        let table = CrawledTable::default;
        let changes = [
            Change::CreateTable { name: "new".into(), table: table() },
            Change::PutPartition { table: "new".into(), partition: partition(1), new: true },
            Change::PutPartition { table: "new".into(), partition: partition(2), new: true },
            Change::UpdateTable { name: "old".into(), table: table(), schema: false },
            Change::PutPartition { table: "old".into(), partition: partition(1), new: false },
            Change::DeletePartition { table: "old".into(), values: vec!["2".into()] },
            Change::DeprecateTable { name: "idle".into(), at_ms: 1 },
            Change::DeleteTable { name: "gone".into() },
            Change::Log("nothing".into()),
        ];
        let words = |is_new: bool| -> Vec<String> {
            let all = needed("db", is_new, &changes);
            all.iter()
                .map(|(operation, input)| format!("{} {}", operation.name, input["Name"].as_str().unwrap_or("db")))
                .collect()
        };
        let expected = [
            "BatchCreatePartition new",
            "BatchDeletePartition old",
            "CreateTable new",
            "DeleteTable gone",
            "UpdatePartition old",
            "UpdateTable idle",
            "UpdateTable old",
        ];
        assert_eq!(words(false), expected);
        assert_eq!(words(true)[0], "CreateDatabase db");
    }

    /// Source: AWS Glue Developer Guide, "Setting crawler configuration options": what a crawler updates loses what it does not set.
    #[tokio::test]
    async fn counts_alone_leave_a_definition_as_it_is() {
        let store = store::Store::memory();
        let scope = Scope { account: "1".into(), region: "r".into() };
        let buckets = store.write(move |tx| {
            let writer = Writer { scope: &scope, database: "db", creator: "c", now: jiff::Timestamp::UNIX_EPOCH };
            let crawled =
                CrawledTable { parameters: [("objectCount".into(), "2".into())].into(), ..CrawledTable::default() };
            let mut table = writer.new_table("t", &CrawledTable::default());
            if let Some(storage) = &mut table.storage_descriptor {
                (storage.number_of_buckets, storage.bucket_columns) = (Some(4), Some(vec!["id".into()]));
            }
            tx.put_json(scope.table("db", "t"), &table)?;
            let mut seen = Vec::new();
            for schema in [false, true] {
                let change = Change::UpdateTable { name: "t".into(), table: crawled.clone(), schema };
                writer.apply(tx, &change, &mut Summary::default())?;
                let now = catalog::table(tx, &scope, "db", "t")?;
                assert_eq!(now.parameters.unwrap_or_default()["objectCount"], "2");
                seen.push(now.storage_descriptor.and_then(|storage| storage.number_of_buckets));
            }
            Ok::<_, Error>(seen)
        });
        assert_eq!(buckets.await.unwrap(), [Some(4), Some(-1)]);
    }

    #[tokio::test]
    async fn partitions_that_are_written_ahead_are_seen_with_their_table() {
        let store = store::Store::memory();
        let scope = Scope { account: "1".into(), region: "r".into() };
        let table = CrawledTable { partition_keys: vec![crawl::Column::default()], ..CrawledTable::default() };
        let mut changes = vec![Change::CreateTable { name: "t".into(), table }];
        changes.extend((0..=MANY).map(|day| Change::PutPartition {
            table: "t".into(),
            partition: partition(day),
            new: true,
        }));
        let found = ahead(&changes);
        assert_eq!(found.iter().map(|(name, all)| (name.as_str(), all.len())).collect::<Vec<_>>(), [("t", MANY + 1)]);
        assert!(ahead(&changes[..MANY]).is_empty(), "few are written with their table");
        let made = store
            .write(move |tx| {
                let writer = Writer { scope: &scope, database: "db", creator: "c", now: jiff::Timestamp::UNIX_EPOCH };
                // Another crawl was cut short.
                writer.put_partition(tx, "t", &partition(99_999), true)?;
                let all = &found[0].1;
                write_ahead(tx, &writer, "t", &all[..AHEAD], true)?;
                write_ahead(tx, &writer, "t", &all[AHEAD..], false)?;
                assert!(!tx.has(scope.table("db", "t"))?);
                let later = Writer { now: jiff::Timestamp::from_second(60).unwrap(), ..writer };
                let summary = apply(tx, &later, &changes)?;
                // Once there is a table, nothing is written ahead of it.
                write_ahead(tx, &later, "t", &[partition(5000)], true)?;
                let there = known(tx, &scope, "db", &[], |_| true)?.remove(0).partitions.len();
                let kept: Partition = tx.get_json(scope.partition("db", "t", &["0".into()]))?.unwrap();
                assert_eq!(
                    kept.creation_time.map(wire::Timestamp::as_millis),
                    Some(0),
                    "it was there and stays as it was"
                );
                Ok::<_, Error>((summary.partitions_created, summary.partitions_updated, there))
            })
            .await
            .unwrap();
        assert_eq!(made, (u32::try_from(MANY).unwrap() + 1, 0, MANY + 1));
    }
}
