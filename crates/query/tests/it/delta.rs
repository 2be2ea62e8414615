//! Delta tables, as writers of the Delta project leave them (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md>).

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::{Value, json};

use super::Lake;

/// A data file with a number and a text.
fn file(names: [&str; 2], rows: &[(i64, &str)]) -> Vec<u8> {
    let schema =
        Schema::new(vec![Field::new(names[0], DataType::Int64, true), Field::new(names[1], DataType::Utf8, true)]);
    let numbers = Int64Array::from_iter_values(rows.iter().map(|(n, _)| *n));
    let texts = StringArray::from_iter_values(rows.iter().map(|(_, text)| *text));
    written(&RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers), Arc::new(texts)]).unwrap())
}

fn written(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

struct Log<'a> {
    lake: &'a Lake,
    table: &'a str,
    version: usize,
}

impl<'a> Log<'a> {
    async fn begin(
        lake: &'a Lake,
        table: &'a str,
        protocol: Value,
        configuration: Value,
        columns: Value,
        keys: &[&str],
    ) -> Self {
        let mut log = Self { lake, table, version: 0 };
        let schema = json!({ "type": "struct", "fields": columns }).to_string();
        let metadata = json!({ "metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", "format": { "provider": "parquet", "options": {} },
            "schemaString": schema, "partitionColumns": keys, "configuration": configuration, "createdTime": 0,
        }});
        log.commit(&[json!({ "protocol": protocol }), metadata]).await;
        log
    }

    async fn commit(&mut self, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        self.lake.put(&format!("{}/_delta_log/{:020}.json", self.table, self.version), lines.join("\n")).await;
        self.version += 1;
    }

    /// Writes a file; answers with its action, its statistics left out where none are given.
    async fn add(&self, path: &str, bytes: Vec<u8>, partition: Value, stats: Value) -> Value {
        self.lake.put(&format!("{}/{path}", self.table), bytes.clone()).await;
        let mut add = json!({ "path": path, "partitionValues": partition, "size": bytes.len(), "modificationTime": 0, "dataChange": true });
        if !stats.is_null() {
            add["stats"] = json!(stats.to_string());
        }
        add
    }

    async fn register(&self, name: &str) {
        let location = self.table;
        let sql =
            format!("CREATE EXTERNAL TABLE {name} LOCATION 's3://b/{location}' TBLPROPERTIES ('table_type'='DELTA')");
        self.lake.step(&sql).await;
    }
}

fn column(name: &str, ty: &str) -> Value {
    json!({ "name": name, "type": ty, "nullable": true, "metadata": {} })
}

fn plain() -> Value {
    json!({ "minReaderVersion": 1, "minWriterVersion": 2 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_says_which_files_are_the_tables() {
    let lake = Lake::new().await;
    let columns =
        json!([column("N", "long"), column("s", "string"), column("day", "string"), column("late", "timestamp")]);
    let mut log = Log::begin(&lake, "t", plain(), json!({}), columns, &["day"]).await;
    let names = ["N", "s"];
    let old =
        log.add("day=a/old.parquet", file(names, &[(1, "x"), (2, "y")]), json!({ "day": "a" }), json!(null)).await;
    let stays = log.add("day=b/1.parquet", file(names, &[(3, "z")]), json!({ "day": "b" }), json!(null)).await;
    log.commit(&[json!({ "add": old }), json!({ "add": stays })]).await;
    // What a rewrite replaced stays in the folder and is no longer the table's; an empty value is null, as the protocol has it.
    let new = log.add("day=a/new.parquet", file(names, &[(2, "new")]), json!({ "day": "a" }), json!(null)).await;
    let empty = log.add("day=/2.parquet", file(names, &[(4, "e")]), json!({ "day": "" }), json!(null)).await;
    let nothing = log
        .add("day=__HIVE_DEFAULT_PARTITION__/3.parquet", file(names, &[(5, "n")]), json!({ "day": null }), json!(null))
        .await;
    let gone = json!({ "remove": { "path": "day=a/old.parquet", "deletionTimestamp": 1, "dataChange": true } });
    log.commit(&[gone, json!({ "add": new }), json!({ "add": empty }), json!({ "add": nothing })]).await;
    log.register("t").await;

    let all = "\"2\",\"new\",\"a\",\n\"3\",\"z\",\"b\",\n\"4\",\"e\",,\n\"5\",\"n\",,\n";
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY n").await, all);
    assert_eq!(lake.rows("SELECT count(*), sum(n) FROM t").await, "\"4\",\"14\"\n");
    assert_eq!(lake.rows("SELECT n FROM t WHERE day = 'a'").await, "\"2\"\n");
    assert_eq!(lake.rows("SELECT n FROM t WHERE day IS NULL ORDER BY 1").await, "\"4\"\n\"5\"\n");
    assert_eq!(
        lake.rows("SELECT s FROM t WHERE n BETWEEN 3 AND 4 OR s IN ('new') ORDER BY 1").await,
        "\"e\"\n\"new\"\n\"z\"\n"
    );
    assert_eq!(lake.rows("SELECT a.n FROM t a JOIN t b ON a.n = b.n + 1 ORDER BY 1 LIMIT 2").await, "\"3\"\n\"4\"\n");
    assert_eq!(
        lake.rows("SELECT typeof(late), typeof(n) FROM t LIMIT 1").await,
        "\"timestamp(3) with time zone\",\"bigint\"\n"
    );
    let described = lake.rows("DESCRIBE t").await;
    assert!(described.starts_with("n                   \tbigint"), "{described}");
    assert_eq!(lake.rows("SHOW PARTITIONS t").await, "day=__HIVE_DEFAULT_PARTITION__\nday=a\nday=b");

    // What comes later is seen at once: the log is asked, not the catalog.
    let later = log.add("day=c/4.parquet", file(names, &[(6, "c")]), json!({ "day": "c" }), json!(null)).await;
    log.commit(&[json!({ "add": later })]).await;
    assert_eq!(lake.rows("SELECT max(n) FROM t").await, "\"6\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_left_out_by_their_statistics() {
    let lake = Lake::new().await;
    let mut log =
        Log::begin(&lake, "t", plain(), json!({}), json!([column("n", "long"), column("s", "string")]), &[]).await;
    let stats = |low: i64, high: i64| json!({ "numRecords": 2, "minValues": { "n": low }, "maxValues": { "n": high }, "nullCount": { "n": 0 } });
    let one = log.add("1.parquet", file(["n", "s"], &[(1, "a"), (2, "b")]), json!({}), stats(1, 2)).await;
    // A file that cannot be read is not read where its statistics leave it out.
    let broken = log.add("2.parquet", b"no Parquet".to_vec(), json!({}), stats(10, 20)).await;
    log.commit(&[json!({ "add": one }), json!({ "add": broken })]).await;
    log.register("t").await;
    assert_eq!(lake.rows("SELECT s FROM t WHERE n < 2").await, "\"a\"\n");
    assert_eq!(lake.rows("SELECT s FROM t WHERE n IN (2, 3) AND s <> 'x'").await, "\"b\"\n");
    let message = lake.fails("SELECT s FROM t WHERE n > 2").await;
    assert!(message.starts_with("DELTA_LAKE_BAD_DATA: ") && message.contains("2.parquet"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_rows_and_other_names_are_the_logs() {
    let lake = Lake::new().await;
    let features = json!(["deletionVectors", "columnMapping"]);
    let protocol =
        json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features });
    let mapped = |name: &str, ty: &str, id: i64, physical: &str| json!({ "name": name, "type": ty, "nullable": true, "metadata": { "delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical } });
    let configuration = json!({ "delta.enableDeletionVectors": "true", "delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "3" });
    let columns = json!([
        mapped("number", "long", 1, "col-1"),
        mapped("since", "string", 3, "col-3"),
        mapped("text", "string", 2, "col-2")
    ]);
    let mut log = Log::begin(&lake, "t", protocol, configuration, columns, &[]).await;
    let rows = [(10, "a"), (11, "b"), (12, "c"), (13, "d"), (14, "e")];
    let mut add = log.add("1.parquet", file(["col-1", "col-2"], &rows), json!({}), json!({ "numRecords": 5 })).await;
    // Rows 1 and 3, as a Roaring bitmap of 64 bits in Z85.
    add["deletionVector"] = json!({ "storageType": "i", "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000315c8Xg0rri4", "sizeInBytes": 36, "cardinality": 2 });
    log.commit(&[json!({ "add": add })]).await;
    log.register("t").await;
    // A column that the file does not have yet is null.
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY number").await, "\"10\",,\"a\"\n\"12\",,\"c\"\n\"14\",,\"e\"\n");
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, "\"3\"\n");
    assert_eq!(lake.rows("SELECT text FROM t WHERE number > 11 ORDER BY 1").await, "\"c\"\n\"e\"\n");
}

/// Trino's connector for Delta Lake has these three hidden columns, and no `"$partition"`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_told_by_hidden_columns() {
    let lake = Lake::new().await;
    let columns = json!([column("number", "long"), column("text", "string")]);
    let mut log = Log::begin(&lake, "t", plain(), json!({}), columns, &[]).await;
    let one = log.add("a b.parquet", file(["number", "text"], &[(1, "x"), (2, "y")]), json!({}), json!(null)).await;
    log.commit(&[json!({ "add": one })]).await;
    log.register("t").await;
    assert_eq!(
        lake.rows("SELECT *, \"$path\" FROM t WHERE number = 2").await,
        "\"2\",\"y\",\"s3://b/t/a b.parquet\"\n"
    );
    let size = lake.rows("SELECT DISTINCT \"$file_size\" > 100, typeof(\"$file_modified_time\") FROM t").await;
    assert_eq!(size, "\"true\",\"timestamp(3) with time zone\"\n");
    assert_eq!(lake.rows("SELECT count(*) FROM t WHERE \"$path\" LIKE '%none%'").await, "\"0\"\n");
    let error = lake.fails("SELECT \"$partition\" FROM t").await;
    assert!(error.starts_with("COLUMN_NOT_FOUND: "), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_have_milliseconds_and_clocks_microseconds() {
    let lake = Lake::new().await;
    let features = json!(["timestampNtz"]);
    let protocol =
        json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features });
    let columns = json!([column("at", "timestamp"), column("clock", "timestamp_ntz")]);
    let mut log = Log::begin(&lake, "t", protocol, json!({}), columns, &[]).await;
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let schema =
        Schema::new(vec![Field::new("at", micros(Some("UTC")), true), Field::new("clock", micros(None), true)]);
    let values = TimestampMicrosecondArray::from(vec![1_704_067_200_123_500]);
    let columns: Vec<datafusion::arrow::array::ArrayRef> =
        vec![Arc::new(values.clone().with_timezone("UTC")), Arc::new(values)];
    let bytes = written(&RecordBatch::try_new(Arc::new(schema), columns).unwrap());
    let add = log.add("1.parquet", bytes, json!({}), json!(null)).await;
    log.commit(&[json!({ "add": add })]).await;
    log.register("t").await;
    assert_eq!(lake.rows("SELECT * FROM t").await, "\"2024-01-01 00:00:00.124 UTC\",\"2024-01-01 00:00:00.123500\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_athena_does_not_do_with_delta_is_refused() {
    let lake = Lake::new().await;
    let mut log = Log::begin(&lake, "t", plain(), json!({}), json!([column("n", "long")]), &[]).await;
    log.commit(&[]).await;
    log.register("t").await;
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, "\"0\"\n");
    for sql in [
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
        "UPDATE t SET n = 1",
        "OPTIMIZE t REWRITE DATA USING BIN_PACK",
        "ALTER TABLE t ADD COLUMNS (m int)",
        "ALTER TABLE t SET TBLPROPERTIES ('a' = 'b')",
        "MSCK REPAIR TABLE t",
        "SELECT * FROM t FOR VERSION AS OF 1",
    ] {
        let message = lake.fails(sql).await;
        assert!(message.starts_with("NOT_SUPPORTED: "), "{sql}: {message}");
    }
    let columns =
        lake.fails("CREATE EXTERNAL TABLE u (n bigint) LOCATION 's3://b/t' TBLPROPERTIES ('table_type'='DELTA')").await;
    assert!(columns.contains("takes its columns and format from its log"), "{columns}");
    let format = "STORED AS ORC LOCATION 's3://b/t' TBLPROPERTIES ('table_type'='DELTA')";
    let format = lake.fails(&format!("CREATE EXTERNAL TABLE u {format}")).await;
    assert!(format.contains("takes its columns and format from its log"), "{format}");
    let nothing =
        lake.fails("CREATE EXTERNAL TABLE u LOCATION 's3://b/nothing' TBLPROPERTIES ('table_type'='DELTA')").await;
    assert!(
        nothing.starts_with("DELTA_LAKE_INVALID_SCHEMA: Metadata not found in transaction log for db.u"),
        "{nothing}"
    );
    // A feature that this reader does not know is not read past.
    let unknown = json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["ofTomorrow"], "writerFeatures": ["ofTomorrow"] });
    Log::begin(&lake, "v", unknown, json!({}), json!([column("n", "long")]), &[]).await;
    let message = lake.fails("CREATE EXTERNAL TABLE v LOCATION 's3://b/v' TBLPROPERTIES ('table_type'='DELTA')").await;
    assert!(message.starts_with("NOT_SUPPORTED: ") && message.contains("ofTomorrow"), "{message}");
}

/// The protocol escapes bytes in the log (`\u0061`), Apache Spark does not: neither reading is given for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_of_bytes_are_refused() {
    let lake = Lake::new().await;
    let columns = json!([column("n", "long"), column("s", "string"), column("b", "binary")]);
    let mut log = Log::begin(&lake, "t", plain(), json!({}), columns, &["b"]).await;
    let add = log.add("b=x/1.parquet", file(["n", "s"], &[(1, "a")]), json!({ "b": "\\u0061" }), json!(null)).await;
    log.commit(&[json!({ "add": add })]).await;
    log.register("t").await;
    let message = lake.fails("SELECT * FROM t").await;
    assert!(message.starts_with("NOT_SUPPORTED: ") && message.contains("column b"), "{message}");
}
