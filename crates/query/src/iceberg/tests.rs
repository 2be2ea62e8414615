//! Tables as writers leave them that put deletes beside the files (Athena, Spark, Trino).

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::Loaded;
use super::commit::{Change, Committer};
use super::manifest::{DataFile, POSITION_DELETES};
use super::mapping::NAME_MAPPING;
use super::metadata::TableMetadata;
use crate::catalog::{Catalog, Database, MemoryCatalog};
use crate::storage::{Location, Storage};
use crate::{Engine, Job};

struct Lake {
    storage: Arc<Storage>,
    catalog: Arc<dyn Catalog>,
    engine: Engine,
    statements: u32,
}

impl Lake {
    async fn new() -> Self {
        let storage = Arc::new(Storage::memory());
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        catalog.create_database(Database { name: "db".to_owned(), ..Database::default() }).await.unwrap();
        let engine = Engine::new(Arc::clone(&storage), Arc::clone(&catalog));
        Self { storage, catalog, engine, statements: 0 }
    }

    /// A statement's result without its header.
    async fn run(&mut self, sql: &str) -> String {
        self.statements += 1;
        let job = Job {
            id: format!("{:08x}-0000-0000-0000-000000000000", self.statements),
            sql: sql.to_owned(),
            catalog: "AwsDataCatalog".to_owned(),
            database: "db".to_owned(),
            output: "s3://results/".to_owned(),
            threads: 2,
            ..Job::default()
        };
        let outcome = self.engine.run(&job).await.unwrap();
        if outcome.substatement_type != "SELECT" {
            return outcome.update_count.to_string();
        }
        let bytes = super::read(&self.storage, &outcome.output_location).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.split_once('\n').unwrap().1.replace('"', "").replace('\n', " ").trim().to_owned()
    }

    async fn load(&self, table: &str) -> Loaded {
        Loaded::load(&self.storage, self.catalog.table("db", table).await.unwrap().unwrap()).await.unwrap()
    }

    /// Commits a file that deletes rows by their positions.
    async fn delete(&self, loaded: &Loaded, number: u32, rows: &[(&str, i64)]) {
        let field = |name: &str, ty: DataType, id: i32| {
            Field::new(name, ty, false).with_metadata([("PARQUET:field_id".to_owned(), id.to_string())].into())
        };
        let schema = Arc::new(Schema::new(vec![
            field("file_path", DataType::Utf8, 2_147_483_546),
            field("pos", DataType::Int64, 2_147_483_545),
        ]));
        let paths = StringArray::from_iter_values(rows.iter().map(|(path, _)| *path));
        let positions = Int64Array::from_iter_values(rows.iter().map(|(_, position)| *position));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(paths), Arc::new(positions)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        let file = DataFile {
            content: POSITION_DELETES,
            path: format!("s3://b/t/data/delete-{number}.parquet"),
            format: "PARQUET".to_owned(),
            records: i64::try_from(rows.len()).unwrap(),
            size: i64::try_from(bytes.len()).unwrap(),
            ..DataFile::default()
        };
        self.storage.put(&Location::parse(&file.path).unwrap(), bytes).await.unwrap();
        let id = format!("delete-{number}");
        let committer = Committer { storage: &self.storage, catalog: &self.catalog, database: "db", id: &id };
        let change = Change { operation: "overwrite", added: vec![file], removed: BTreeSet::new() };
        committer.snapshot_exactly(loaded, change).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_positions_delete_are_gone() {
    let mut lake = Lake::new().await;
    lake.run("CREATE TABLE t (n int, s string) LOCATION 's3://b/t' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.run("INSERT INTO t SELECT n, 'x' FROM UNNEST(sequence(0, 9)) AS u (n)").await;
    lake.run("INSERT INTO t VALUES (100, 'y'), (101, 'y')").await;
    let loaded = lake.load("t").await;
    let files = loaded.files(&lake.storage, None).await.unwrap();
    let first = files.data.iter().find(|entry| entry.file.records == 10).unwrap().file.path.clone();
    let second = files.data.iter().find(|entry| entry.file.records == 2).unwrap().file.path.clone();
    // Positions behind the end, twice, and of another table's file change nothing more.
    lake.delete(&loaded, 1, &[(&first, 0), (&first, 3), (&first, 3), (&first, 99), (&second, 1), ("s3://b/else", 0)])
        .await;
    assert_eq!(lake.run("SELECT n FROM t ORDER BY n").await, "1 2 4 5 6 7 8 9 100");
    assert_eq!(lake.run("SELECT count(*) FROM t").await, "9");
    assert_eq!(lake.run("SELECT count(s) FROM t WHERE n > 2 AND n < 5").await, "1");
    assert_eq!(lake.run("SELECT count(*) FROM t FOR VERSION AS OF 'main' WHERE n = 0").await, "0");
    assert_eq!(lake.run("SELECT content, record_count FROM \"t$files\" ORDER BY 1, 2").await, "0,2 0,10 1,6");
    let before = loaded.metadata.current_snapshot_id.unwrap();
    assert_eq!(lake.run(&format!("SELECT count(*) FROM t FOR VERSION AS OF {before}")).await, "12");

    // A delete file of before does not count for rows that come later.
    lake.run("INSERT INTO t VALUES (200, 'z')").await;
    assert_eq!(lake.run("UPDATE t SET s = 'new' WHERE n IN (0, 1, 3)").await, "1");
    assert_eq!(lake.run("SELECT n FROM t WHERE s = 'new'").await, "1");
    assert_eq!(lake.run("SELECT count(*), sum(n) FROM t").await, "10,342");
    assert_eq!(lake.run("DELETE FROM t WHERE n >= 100").await, "2");
    assert_eq!(lake.run("SELECT count(*) FROM t").await, "8");

    lake.run("OPTIMIZE t REWRITE DATA USING BIN_PACK").await;
    assert_eq!(lake.run("SELECT content, record_count FROM \"t$files\"").await, "0,8");
    let summary = &lake.load("t").await.metadata.current_snapshot().unwrap().summary.clone();
    assert_eq!((summary["operation"].as_str(), summary["total-delete-files"].as_str()), ("replace", "0"));
    assert_eq!((summary["total-records"].as_str(), summary["total-data-files"].as_str()), ("8", "1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_without_ids_are_read_by_the_mapping_of_names() {
    let mut lake = Lake::new().await;
    lake.run("CREATE TABLE t (a int, b int) LOCATION 's3://b/t' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    let schema =
        Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]));
    let columns = [vec![1, 2], vec![10, 20]].map(|values| Arc::new(Int32Array::from(values)) as _);
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec()).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let file = DataFile {
        path: "s3://b/elsewhere/f.parquet".to_owned(),
        format: "PARQUET".to_owned(),
        records: 2,
        size: i64::try_from(bytes.len()).unwrap(),
        ..DataFile::default()
    };
    lake.storage.put(&Location::parse(&file.path).unwrap(), bytes).await.unwrap();
    let loaded = lake.load("t").await;
    let committer = Committer { storage: &lake.storage, catalog: &lake.catalog, database: "db", id: "add-files" };
    let mapping = r#"[{"field-id":1,"names":["a"]},{"field-id":2,"names":["b"]}]"#.to_owned();
    let named = |metadata: &mut TableMetadata| {
        metadata.properties.insert(NAME_MAPPING.to_owned(), mapping);
    };
    let loaded = committer.update(&loaded, named).await.unwrap();
    let committer = Committer { id: "add-files-2", ..committer };
    let change = Change { operation: "append", added: vec![file], removed: BTreeSet::new() };
    committer.snapshot_exactly(&loaded, change).await.unwrap();
    assert_eq!(lake.run("SELECT a, b FROM t ORDER BY a").await, "1,10 2,20");

    // A renamed column keeps its data, also where a change writes the file anew.
    lake.run("ALTER TABLE t CHANGE COLUMN a c int").await;
    assert_eq!(lake.run("SELECT c, b FROM t ORDER BY c").await, "1,10 2,20");
    lake.run("UPDATE t SET b = 11 WHERE c = 1").await;
    assert_eq!(lake.run("SELECT c, b FROM t ORDER BY c").await, "1,11 2,20");
}
