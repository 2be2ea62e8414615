//! What INSERT writes, readers find.

use query::catalog::Catalog as _;

use crate::{LAZY, Lake};

const CSV: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";

/// Trino writes a header where readers skip one line, and refuses to write where they skip more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_readers_skip_is_written() {
    let lake = Lake::new().await;
    for (name, serde) in [("lazy", LAZY), ("csv", CSV)] {
        lake.table(name, "a string, b string", "", serde, &[("skip.header.line.count", "1")]).await;
        lake.step(&format!("INSERT INTO {name} VALUES ('x', 'y')")).await;
        lake.step(&format!("INSERT INTO {name} VALUES ('z', NULL), ('w', 'v')")).await;
        assert_eq!(lake.rows(&format!("SELECT count(*), min(a), max(a) FROM {name}")).await, "\"3\",\"w\",\"z\"\n");
    }
    // What stands with the SerDe goes first, for who writes as for who reads.
    lake.table("own", "a string", "", LAZY, &[("skip.header.line.count", "0")]).await;
    let mut own = lake.catalog.table("db", "own").await.unwrap().unwrap();
    own.parameters.insert("skip.header.line.count".to_owned(), "1".to_owned());
    lake.catalog.update_table("db", own).await.unwrap();
    lake.step("INSERT INTO own VALUES ('x')").await;
    assert_eq!(lake.rows("SELECT a FROM own").await, "\"x\"\n");
    lake.table("two", "a string", "", LAZY, &[("skip.header.line.count", "2")]).await;
    let error = lake.fails("INSERT INTO two VALUES 'x'").await;
    assert!(error.contains("skip.header.line.count property greater than 1"), "{error}");
    lake.table("end", "a string", "", LAZY, &[("skip.footer.line.count", "1")]).await;
    let error = lake.fails("INSERT INTO \"end\" VALUES 'x'").await;
    assert!(error.contains("skip.footer.line.count"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_is_written_where_it_lies() {
    let lake = Lake::new().await;
    lake.table("t", "v int", "p string", LAZY, &[("field.delim", ",")]).await;
    lake.partition("t", &["1"], "s3://b/elsewhere/one/").await;
    lake.step("INSERT INTO t VALUES (1, '1'), (2, '2')").await;
    assert_eq!(lake.rows("SELECT p, v FROM t ORDER BY 1").await, "\"1\",\"1\"\n\"2\",\"2\"\n");
    lake.step("ALTER TABLE t PARTITION (p='2') RENAME TO PARTITION (p='3')").await;
    lake.step("INSERT INTO t VALUES (3, '3'), (4, '4')").await;
    assert_eq!(
        lake.rows("SELECT p, sum(v) FROM t GROUP BY 1 ORDER BY 1").await,
        "\"1\",\"1\"\n\"3\",\"5\"\n\"4\",\"4\"\n"
    );
    // Where two partitions lie at one place, each has a file of its own there (and shows the other's).
    let outcome = lake.step("INSERT INTO t VALUES (7, '2'), (8, '3')").await;
    assert_eq!(outcome.update_count, 2);
    assert_eq!(lake.rows("SELECT v FROM t WHERE p = '2' ORDER BY 1").await, "\"2\"\n\"3\"\n\"7\"\n\"8\"\n");
    assert_eq!(lake.rows("SELECT v FROM t WHERE p = '3' AND v > 6 ORDER BY 1").await, "\"7\"\n\"8\"\n");
    lake.partition("t", &["latest"], "s3://b/t/p=4/").await;
    lake.step("INSERT INTO t VALUES (9, '4'), (10, 'latest'), (11, '4')").await;
    assert_eq!(lake.rows("SELECT sum(v) FROM t WHERE p = 'latest'").await, "\"34\"\n");
    let mut own = lake.catalog.partition("db", "t", &["4".to_owned()]).await.unwrap().unwrap();
    let serde = own.storage_descriptor.as_mut().unwrap().serde_info.as_mut().unwrap();
    serde.parameters.insert("field.delim".to_owned(), ";".to_owned());
    lake.catalog.update_partition("db", "t", &["4".to_owned()], own).await.unwrap();
    let error = lake.fails("INSERT INTO t VALUES (5, '4')").await;
    assert!(error.contains("Partition p=4 of db.t has columns or a SerDe of its own"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projected_partition_is_written_where_the_projection_looks() {
    let lake = Lake::new().await;
    let properties = [
        ("projection.enabled", "true"),
        ("projection.region.type", "enum"),
        ("projection.region.values", "eu,us"),
        ("projection.day.type", "date"),
        ("projection.day.format", "yyyy/MM/dd"),
        ("projection.day.range", "2024/01/01,2024/01/31"),
        ("projection.hour.type", "integer"),
        ("projection.hour.range", "0,23"),
        ("projection.hour.digits", "2"),
        ("storage.location.template", "s3://b/logs/${region}/${day}/h${hour}/"),
    ];
    lake.table("t", "v int", "region string, day string, hour int", LAZY, &properties).await;
    lake.step("INSERT INTO t VALUES (1, 'eu', '2024/01/02', 5), (2, 'us', '2024/01/31', 23)").await;
    assert_eq!(
        lake.rows("SELECT v, region, day, hour FROM t ORDER BY 1").await,
        "\"1\",\"eu\",\"2024/01/02\",\"5\"\n\"2\",\"us\",\"2024/01/31\",\"23\"\n"
    );
    for values in ["(3, 'asia', '2024/01/02', 5)", "(3, 'eu', '2023/01/02', 5)", "(3, 'eu', '2024/01/02', 24)"] {
        let error = lake.fails(&format!("INSERT INTO t VALUES {values}")).await;
        assert!(error.contains("is none that the table's projection has"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delimiter_is_written_as_it_is_read() {
    let lake = Lake::new().await;
    for (at, delimiter) in ["\\t", "\\001", "\\u0001", "9", "|", ","].into_iter().enumerate() {
        for (kind, serde, key) in [("l", LAZY, "field.delim"), ("c", CSV, "separatorChar")] {
            if kind == "c" && delimiter == "9" {
                continue;
            }
            let name = format!("{kind}{at}");
            lake.table(&name, "a string, b string", "", serde, &[(key, delimiter)]).await;
            lake.step(&format!("INSERT INTO {name} VALUES ('x', 'y')")).await;
            assert_eq!(lake.rows(&format!("SELECT a, b FROM {name}")).await, "\"x\",\"y\"\n", "{kind} {delimiter}");
        }
    }
    lake.step("CREATE TABLE made WITH (format='TEXTFILE', field_delimiter='\\t') AS SELECT 1 AS a, 2 AS b").await;
    assert_eq!(lake.rows("SELECT a, b FROM made").await, "\"1\",\"2\"\n");
}

/// As Trino 476 answers: where NULL is not TRUE, it is not FALSE either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_which_it_is_unknown_stays() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE t (id int, y int) LOCATION 's3://b/t/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO t VALUES (1, 5), (2, 6), (NULL, 7)").await;
    lake.step("CREATE TABLE keep WITH (external_location='s3://b/keep/') AS SELECT 1 AS id").await;
    lake.step("CREATE TABLE gaps WITH (external_location='s3://b/gaps/') AS SELECT * FROM (VALUES 1, NULL) AS v (id)")
        .await;
    for (condition, found) in [
        ("id NOT IN (SELECT id FROM keep)", "2"),
        ("y = 5 OR id NOT IN (SELECT id FROM keep)", "1,2"),
        ("y = 5 OR id NOT IN (SELECT id FROM gaps)", "1"),
        ("NOT (id IN (SELECT id FROM gaps) OR y = 9)", ""),
        ("y = 7 OR id IN (SELECT id FROM gaps)", "1,null"),
        ("(id IN (SELECT id FROM gaps)) IS NULL", "2,null"),
        ("y = 5 OR id <> ALL (SELECT id FROM keep)", "1,2"),
        ("NOT (id = ANY (SELECT id FROM gaps))", ""),
    ] {
        let found_text = lake
            .rows(&format!(
                "SELECT coalesce(array_join(array_agg(id ORDER BY id), ',', 'null'), '') FROM t WHERE {condition}"
            ))
            .await;
        assert_eq!(found_text, format!("\"{found}\"\n"), "{condition}");
    }
    lake.step("DELETE FROM t WHERE id NOT IN (SELECT id FROM keep)").await;
    assert_eq!(lake.rows("SELECT y FROM t ORDER BY y").await, "\"5\"\n\"7\"\n");
    lake.step("DELETE FROM t WHERE y = 5 OR id NOT IN (SELECT id FROM gaps)").await;
    assert_eq!(lake.rows("SELECT y FROM t ORDER BY y").await, "\"7\"\n");
}

/// More than sixteen partitions are listed together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_partitions_have_what_each_has_alone() {
    let lake = Lake::new().await;
    lake.table("t", "v int", "p string", LAZY, &[]).await;
    for n in 0..20 {
        lake.put(&format!("t/p={n}/f"), "1\n").await;
        lake.partition("t", &[&n.to_string()], &format!("s3://b/t/p={n}/")).await;
    }
    lake.partition("t", &["latest"], "s3://b/t/p=19/").await;
    lake.put("t/_own/f", "1\n").await;
    lake.partition("t", &["own"], "s3://b/t/_own/").await;
    assert_eq!(lake.rows("SELECT sum(v), count(DISTINCT p) FROM t").await, "\"22\",\"22\"\n");
}

/// As Spark and Hive wrote timestamps for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn int96_has_all_its_years() {
    use parquet::data_type::{Int96, Int96Type};
    let schema = parquet::schema::parser::parse_message_type("message m { optional int96 t; }").unwrap();
    let mut bytes = Vec::new();
    let properties = std::sync::Arc::new(parquet::file::properties::WriterProperties::builder().build());
    let mut file =
        parquet::file::writer::SerializedFileWriter::new(&mut bytes, std::sync::Arc::new(schema), properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // Days of the Julian calendar's count: 9999-12-31, 0001-01-01, 2020-01-01.
    let values: Vec<Int96> = [5_373_484, 1_721_426, 2_458_850].map(|day| Int96::from(vec![0, 0, day])).into();
    column.typed::<Int96Type>().write_batch(&values, Some(&[1, 1, 1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.close().unwrap();
    let lake = Lake::new().await;
    lake.table("t", "t timestamp", "", "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe", &[]).await;
    lake.put("t/f", bytes).await;
    assert_eq!(
        lake.rows("SELECT t FROM t ORDER BY t").await,
        "\"0001-01-01 00:00:00.000\"\n\"2020-01-01 00:00:00.000\"\n\"9999-12-31 00:00:00.000\"\n"
    );
}

/// openx's SerDe calls columns, and members of structs, what `mapping.` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mapped_columns_are_written_under_their_keys() {
    let lake = Lake::new().await;
    let mapping = [("mapping.ts", "time-stamp"), ("mapping.inner", "In Ner"), ("write.compression", "NONE")];
    lake.table("m", "ts string, s struct<inner:int>", "", "org.openx.data.jsonserde.JsonSerDe", &mapping).await;
    lake.put("m/1", "{\"time-stamp\":\"a\",\"s\":{\"In Ner\":1}}\n").await;
    lake.step("INSERT INTO m SELECT 'b', CAST(ROW(2) AS ROW(inner integer))").await;
    assert_eq!(lake.rows("SELECT ts, s.inner FROM m ORDER BY ts").await, "\"a\",\"1\"\n\"b\",\"2\"\n");
}

/// Files of such tables are not the SerDe's: one more would make the table unreadable, or stay unread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_formats_that_are_only_read_are_not_written() {
    let lake = Lake::new().await;
    for (serde, input) in [
        (
            "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
        ),
        ("org.apache.hive.hcatalog.data.JsonSerDe", "com.amazon.emr.cloudtrail.CloudTrailInputFormat"),
        (LAZY, "org.apache.hadoop.mapred.SequenceFileInputFormat"),
    ] {
        lake.table("f", "a string", "", serde, &[]).await;
        let mut table = lake.catalog.table("db", "f").await.unwrap().unwrap();
        table.storage_descriptor.as_mut().unwrap().input_format = Some(input.to_owned());
        lake.catalog.update_table("db", table).await.unwrap();
        let error = lake.fails("INSERT INTO f VALUES 'x'").await;
        assert!(error.contains(input), "{error}");
        assert!(lake.keys("f").await.is_empty());
        lake.catalog.delete_table("db", "f").await.unwrap();
    }
}

/// Rows of a partition that another registers elsewhere meanwhile would be where nobody looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_another_registers_elsewhere_is_told() {
    let lake = Lake::new().await;
    lake.table("t", "v int", "p string", LAZY, &[]).await;
    let register = |place: &'static str| {
        move |catalog: &query::catalog::MemoryCatalog| {
            catalog.change("db", "t", |table, partitions| {
                let storage = table.storage_descriptor.clone().unwrap();
                partitions.push(query::catalog::Partition {
                    values: vec!["1".to_owned()],
                    storage_descriptor: Some(query::catalog::StorageDescriptor {
                        location: Some(place.to_owned()),
                        ..storage
                    }),
                    ..query::catalog::Partition::default()
                });
            });
        }
    };
    lake.catalog.meanwhile("create_partitions", register("s3://b/elsewhere/"));
    let error = lake.fails("INSERT INTO t VALUES (1, '1')").await;
    assert!(
        error.starts_with(
            "HIVE_CONCURRENT_MODIFICATION_DETECTED: Partition p=1 of db.t lies at 's3://b/elsewhere/' now"
        ),
        "{error}"
    );
    lake.catalog.change("db", "t", |_, partitions| partitions.clear());
    // At the same place it is the same partition, whoever has registered it.
    lake.catalog.meanwhile("create_partitions", register("s3a://b/t/p=1"));
    lake.step("INSERT INTO t VALUES (2, '1')").await;
}

/// Readers resolve a table's files against its schema: one that has another record's name would break the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn avro_tables_with_a_schema_of_their_own_are_not_written() {
    const AVRO: &str = "org.apache.hadoop.hive.serde2.avro.AvroSerDe";
    let lake = Lake::new().await;
    let literal = r#"{"type":"record","name":"Event","fields":[{"name":"userId","type":"long"}]}"#;
    lake.table("e", "userid bigint", "", AVRO, &[("avro.schema.literal", literal)]).await;
    let error = lake.fails("INSERT INTO e VALUES 7").await;
    assert_eq!(error, "NOT_SUPPORTED: INSERT INTO a table with avro.schema.literal");
    lake.table("plain", "userid bigint", "", AVRO, &[]).await;
    lake.step("INSERT INTO plain VALUES 7").await;
    assert_eq!(lake.rows("SELECT userid FROM plain").await, "\"7\"\n");
}
