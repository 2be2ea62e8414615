//! Statements over objects and a catalog in memory, from the text to the result's files.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share may fail as they do")]

mod catalogs;
mod delta;
mod formats;
mod hidden;
mod iceberg;
mod inserts;
mod language;
mod once;
mod projection;
mod properties;
mod queries;
mod serdes;
mod statements;
mod trino;

use std::io::Write;
use std::sync::Arc;

use query::catalog::{Catalog, Column, Database, MemoryCatalog, Partition, SerdeInfo, StorageDescriptor, Table};
use query::{Engine, Job, Location, Outcome, Result, Storage};

/// A lake of one bucket and one database.
pub(crate) struct Lake {
    pub(crate) storage: Arc<Storage>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    engine: Engine,
    steps: std::sync::atomic::AtomicUsize,
}

impl Lake {
    pub(crate) async fn new() -> Self {
        let storage = Arc::new(Storage::memory());
        let catalog = Arc::new(MemoryCatalog::default());
        let database = Database { name: "db".to_owned(), ..Database::default() };
        catalog.create_database(database).await.unwrap();
        let engine = Engine::new(Arc::clone(&storage), Arc::clone(&catalog) as Arc<dyn Catalog>);
        Self { storage, catalog, engine, steps: 1.into() }
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let location = Location { bucket: "b".to_owned(), key: key.to_owned() };
        self.storage.put(&location, body.into()).await.unwrap();
    }

    /// The keys of a folder of `s3://b/`, in order.
    pub(crate) async fn keys(&self, folder: &str) -> Vec<String> {
        use futures::TryStreamExt as _;
        let store = self.storage.bucket("b").unwrap();
        let listed: Vec<_> = store.list(Some(&object_store::path::Path::from(folder))).try_collect().await.unwrap();
        let mut keys: Vec<String> = listed.into_iter().map(|meta| meta.location.to_string()).collect();
        keys.sort();
        keys
    }

    pub(crate) async fn get(&self, url: &str) -> String {
        let location = Location::parse(url).unwrap();
        let store = self.storage.bucket(&location.bucket).unwrap();
        let result = store.get_opts(&location.path().unwrap(), object_store::GetOptions::default()).await.unwrap();
        String::from_utf8(result.bytes().await.unwrap().to_vec()).unwrap()
    }

    /// A table of `s3://b/NAME/` with columns such as `a int, b string`.
    pub(crate) async fn table(&self, name: &str, columns: &str, keys: &str, serde: &str, parameters: &[(&str, &str)]) {
        let columns_of = |text: &str| -> Vec<Column> {
            text.split(", ")
                .filter(|column| !column.is_empty())
                .map(|column| column.split_once(' ').unwrap())
                .map(|(n, t)| Column::new(n, t))
                .collect()
        };
        let parameters: std::collections::BTreeMap<String, String> =
            parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let table = Table {
            name: name.to_owned(),
            table_type: Some("EXTERNAL_TABLE".to_owned()),
            partition_keys: columns_of(keys),
            parameters: parameters.clone(),
            storage_descriptor: Some(StorageDescriptor {
                columns: columns_of(columns),
                location: Some(format!("s3://b/{name}/")),
                serde_info: Some(SerdeInfo { name: None, serialization_library: Some(serde.to_owned()), parameters }),
                ..StorageDescriptor::default()
            }),
            ..Table::default()
        };
        self.catalog.create_table("db", table).await.unwrap();
    }

    pub(crate) async fn partition(&self, table: &str, values: &[&str], location: &str) {
        let partition = Partition {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            storage_descriptor: Some(StorageDescriptor {
                location: Some(location.to_owned()),
                ..StorageDescriptor::default()
            }),
            ..Partition::default()
        };
        self.catalog.create_partitions("db", table, vec![partition]).await.unwrap();
    }

    pub(crate) async fn catalog_table(&self, name: &str) -> Table {
        self.catalog.table("db", name).await.unwrap().unwrap()
    }

    pub(crate) async fn put_table(&self, table: Table) {
        self.catalog.update_table("db", table).await.unwrap();
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<Outcome> {
        self.run_with(sql, &[]).await
    }

    /// A statement that must succeed, under an id of its own.
    pub(crate) async fn step(&self, sql: &str) -> Outcome {
        self.try_step(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) async fn try_step(&self, sql: &str) -> Result<Outcome> {
        let number = self.steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let job = Job { id: format!("0{number:07x}-2222-3333-4444-555555555555"), ..Self::job(sql, &[]) };
        self.engine.run(&job).await
    }

    pub(crate) async fn run_with(&self, sql: &str, parameters: &[&str]) -> Result<Outcome> {
        self.engine.run(&Self::job(sql, parameters)).await
    }

    fn job(sql: &str, parameters: &[&str]) -> Job {
        Job {
            id: "11111111-2222-3333-4444-555555555555".to_owned(),
            sql: sql.to_owned(),
            catalog: "AwsDataCatalog".to_owned(),
            catalogs: vec!["second".to_owned()],
            database: "db".to_owned(),
            parameters: parameters.iter().map(|text| (*text).to_owned()).collect(),
            output: "s3://results/athena/".to_owned(),
            threads: 2,
            memory_bytes: 0,
            inline: false,
            place_enforced: false,
            trino: None,
        }
    }

    /// A statement whose names without a catalog are of another one than usual.
    pub(crate) async fn run_in(&self, catalog: &str, sql: &str) -> Result<Outcome> {
        self.engine.run(&Job { catalog: catalog.to_owned(), ..Self::job(sql, &[]) }).await
    }

    /// The result's text without the header.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        let outcome = self.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = self.get(&outcome.output_location).await;
        match text.split_once('\n') {
            Some((_, rows)) if outcome.substatement_type == "SELECT" => rows.to_owned(),
            _ => text,
        }
    }

    /// As [`Self::rows`], with so many bytes of memory.
    pub(crate) async fn rows_within(&self, sql: &str, memory_bytes: usize) -> String {
        let outcome = self.engine.run(&Job { memory_bytes, ..Self::job(sql, &[]) }).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
        self.get(&outcome.output_location).await.split_once('\n').unwrap().1.to_owned()
    }

    pub(crate) async fn fails_within(&self, sql: &str, memory_bytes: usize) -> String {
        match self.engine.run(&Job { memory_bytes, ..Self::job(sql, &[]) }).await {
            Ok(outcome) => panic!("{sql} succeeded: {outcome:?}"),
            Err(error) => error.message,
        }
    }

    pub(crate) async fn fails(&self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(outcome) => panic!("{sql} succeeded: {outcome:?}"),
            Err(error) => error.message,
        }
    }
}

pub(crate) const LAZY: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
pub(crate) const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
