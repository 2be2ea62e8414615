//! Iceberg tables from CREATE to VACUUM, over objects and a catalog in memory.

use query::catalog::Catalog;

use crate::Lake;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_lives_through_all_its_statements() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE t (id int, name string COMMENT 'who', at timestamp) PARTITIONED BY (bucket(4, id)) LOCATION 's3://b/t/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    let table = lake.catalog.table("db", "t").await.unwrap().unwrap();
    assert_eq!(table.parameters["table_type"], "ICEBERG");
    assert!(table.parameters["metadata_location"].starts_with("s3://b/t/metadata/00000-"));
    assert_eq!(table.columns()[1].comment.as_deref(), Some("who"));
    assert_eq!(table.columns()[0].parameters["iceberg.field.current"], "true");
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, "\"0\"\n");

    let outcome = lake
        .step("INSERT INTO t VALUES (1, 'a', TIMESTAMP '2020-01-01 00:00:00'), (2, 'b', NULL), (3, NULL, NULL)")
        .await;
    assert_eq!(outcome.update_count, 3);
    lake.step("INSERT INTO t (name, id) VALUES ('d', 4)").await;
    assert_eq!(
        lake.rows("SELECT id, name FROM t ORDER BY id").await,
        "\"1\",\"a\"\n\"2\",\"b\"\n\"3\",\n\"4\",\"d\"\n"
    );

    for (sql, error) in [
        (
            "UPDATE t SET id = 'x', name = 'y'",
            "TYPE_MISMATCH: line 1:1: UPDATE table column types don't match SET expressions: Table: [integer, varchar], Expressions: [varchar(1), varchar(1)]",
        ),
        ("UPDATE t SET nope = 1", "COLUMN_NOT_FOUND: line 1:1: The UPDATE SET target column nope doesn't exist"),
        ("UPDATE t SET id = BIGINT '3000000000'", "NUMERIC_VALUE_OUT_OF_RANGE: Out of range for integer: 3000000000"),
        ("DELETE FROM nothing", "TABLE_NOT_FOUND: line 1:13: Table 'awsdatacatalog.db.nothing' does not exist"),
    ] {
        assert_eq!(lake.fails(sql).await, error);
    }
    let missing = lake.fails("DELETE FROM t WHERE nope = 1").await;
    assert!(missing.starts_with("COLUMN_NOT_FOUND: line 1:1: Column 'nope' cannot be resolved"), "{missing}");
    assert_eq!(lake.step("DELETE FROM t WHERE id = 3").await.update_count, 1);
    assert_eq!(lake.rows("SELECT id, name FROM t ORDER BY id").await, "\"1\",\"a\"\n\"2\",\"b\"\n\"4\",\"d\"\n");
    assert_eq!(lake.step("UPDATE t SET name = name || '!', id = id + 10 WHERE id >= 2").await.update_count, 2);
    assert_eq!(lake.rows("SELECT id, name FROM t ORDER BY id").await, "\"1\",\"a\"\n\"12\",\"b!\"\n\"14\",\"d!\"\n");
    let outcome = lake
        .step(
            "MERGE INTO t AS x USING (VALUES (1, 'A'), (12, 'gone'), (20, 'new')) AS s (id, name) ON x.id = s.id \
             WHEN MATCHED AND s.name = 'gone' THEN DELETE \
             WHEN MATCHED THEN UPDATE SET name = s.name \
             WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)",
        )
        .await;
    assert_eq!(outcome.update_count, 3);
    assert_eq!(lake.rows("SELECT id, name FROM t ORDER BY id").await, "\"1\",\"A\"\n\"14\",\"d!\"\n\"20\",\"new\"\n");
    let twice = "MERGE INTO t USING (VALUES 1, 1) AS s (id) ON t.id = s.id WHEN MATCHED THEN DELETE";
    assert!(lake.fails(twice).await.contains("MERGE_TARGET_ROW_MULTIPLE_MATCHES"));

    assert_eq!(lake.rows("SELECT count(*) FROM \"t$snapshots\"").await, "\"5\"\n");
    let first =
        lake.rows("SELECT min_by(snapshot_id, committed_at) FROM \"t$snapshots\"").await.replace(['"', '\n'], "");
    assert_eq!(lake.rows(&format!("SELECT count(*) FROM t FOR VERSION AS OF {first}")).await, "\"3\"\n");
    assert_eq!(lake.rows("SELECT sum(record_count) FROM \"t$files\"").await, "\"3\"\n");

    lake.step("ALTER TABLE t ADD COLUMNS (extra bigint)").await;
    lake.step("ALTER TABLE t CHANGE COLUMN name title string").await;
    assert_eq!(lake.rows("SELECT id, title, extra FROM t WHERE id = 1").await, "\"1\",\"A\",\n");
    lake.step("ALTER TABLE t DROP COLUMN at").await;
    assert_eq!(lake.rows("SELECT * FROM t WHERE id = 20").await, "\"20\",\"new\",\n");
    lake.step("OPTIMIZE t REWRITE DATA USING BIN_PACK").await;
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, "\"3\"\n");
    lake.step("ALTER TABLE t SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds'='0')").await;
    lake.step("VACUUM t").await;
    assert_eq!(lake.rows("SELECT count(*) FROM \"t$snapshots\"").await, "\"1\"\n");
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, "\"3\"\n");
    lake.step("DROP TABLE t").await;
    assert!(lake.catalog.table("db", "t").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_of_the_table_stays_at_its_place() {
    let lake = Lake::new().await;
    for key in ["data/w/raw.csv", "data/w/data/part.csv", "data/w/metadata/notes.txt", "data/w2/x.csv"] {
        lake.put(key, "1").await;
    }
    // Another table's state.
    lake.put("data/w/metadata/00000-o.metadata.json", r#"{"format-version":2,"table-uuid":"other"}"#).await;
    lake.step("CREATE TABLE w (a int) LOCATION 's3://b/data/w/' TBLPROPERTIES ('table_type'='ICEBERG', 'vacuum_max_snapshot_age_seconds'='0')").await;
    lake.step("INSERT INTO w VALUES 1, 2").await;
    lake.step("DELETE FROM w WHERE a = 1").await;
    lake.step("VACUUM w").await;
    assert_eq!(
        lake.keys("data/w").await.len(),
        3 + lake.keys("data/w").await.iter().filter(|key| is_iceberg(key)).count()
    );
    assert_eq!(lake.rows("SELECT a FROM w").await, "\"2\"\n");
    // A state of its own that no other names any more.
    let place = lake.catalog.table("db", "w").await.unwrap().unwrap().parameters["metadata_location"].clone();
    let state = lake.get(&place).await;
    lake.put("data/w/metadata/00000-w.metadata.json", state).await;
    lake.step("DROP TABLE w").await;
    assert_eq!(
        lake.keys("data/w").await,
        [
            "data/w/data/part.csv",
            "data/w/metadata/00000-o.metadata.json",
            "data/w/metadata/notes.txt",
            "data/w/raw.csv"
        ]
    );
    assert_eq!(lake.keys("data/w2").await, ["data/w2/x.csv"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_where_properties_say_goes_with_the_table() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE p (a int) LOCATION 's3://b/p/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    let table = lake.catalog.table("db", "p").await.unwrap().unwrap();
    let place = table.parameters["metadata_location"].clone();
    let mut metadata: serde_json::Value = serde_json::from_str(&lake.get(&place).await).unwrap();
    metadata["properties"]["write.data.path"] = "s3://b/elsewhere/p".into();
    metadata["properties"]["write.metadata.path"] = "s3://b/states/p".into();
    lake.put(place.strip_prefix("s3://b/").unwrap(), metadata.to_string()).await;
    lake.step("INSERT INTO p VALUES 1").await;
    lake.put("elsewhere/p/other.parquet", "1").await;
    lake.put("states/p/00000-p.metadata.json", metadata.to_string()).await;
    lake.put("states/p/00000-o.metadata.json", r#"{"format-version":2,"table-uuid":"other"}"#).await;
    assert_eq!(lake.keys("elsewhere/p").await.len(), 2);
    lake.step("DROP TABLE p").await;
    assert_eq!(lake.keys("elsewhere/p").await, ["elsewhere/p/other.parquet"]);
    assert_eq!(lake.keys("states/p").await, ["states/p/00000-o.metadata.json"]);
    assert!(lake.keys("p").await.is_empty());
}

fn is_iceberg(key: &str) -> bool {
    ["parquet", "avro", "json"].iter().any(|end| key.ends_with(end))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_own_its_data_is_not_vacuumed() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE g (a int) LOCATION 's3://b/g/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO g VALUES 1").await;
    let table = lake.catalog.table("db", "g").await.unwrap().unwrap();
    let place = table.parameters["metadata_location"].clone();
    let mut metadata: serde_json::Value = serde_json::from_str(&lake.get(&place).await).unwrap();
    metadata["properties"]["gc.enabled"] = "false".into();
    lake.put(place.strip_prefix("s3://b/").unwrap(), metadata.to_string()).await;
    let why = lake.fails("VACUUM g").await;
    assert!(why.contains("gc.enabled"), "{why}");
    lake.step("DROP TABLE g").await;
    let left = lake.keys("g").await;
    assert!(left.len() == 1 && left[0].ends_with(".parquet"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctas_makes_an_iceberg_table_of_a_query() {
    let lake = Lake::new().await;
    let sql = "CREATE TABLE c WITH (table_type='ICEBERG', location='s3://b/c/', is_external=false, format='PARQUET', partitioning=ARRAY['bucket(a, 2)', 'b']) AS SELECT 1 AS a, 'x' AS b, ARRAY[1, 2] AS l";
    let outcome = lake.step(sql).await;
    assert_eq!((outcome.update_count, outcome.substatement_type.as_str()), (1, "CREATE_TABLE_AS_SELECT"));
    assert_eq!(lake.rows("SELECT a, b, l FROM c").await, "\"1\",\"x\",\"[1, 2]\"\n");
    assert!(
        lake.fails("CREATE EXTERNAL TABLE e (a int) LOCATION 's3://b/e/' TBLPROPERTIES ('table_type'='ICEBERG')")
            .await
            .contains("External keyword not supported for table type ICEBERG")
    );
    assert!(
        lake.fails("CREATE TABLE e (a tinyint) LOCATION 's3://b/e/' TBLPROPERTIES ('table_type'='ICEBERG')")
            .await
            .contains("tinyint")
    );
    assert!(
        lake.fails("CREATE TABLE e (a int) LOCATION 's3://b/e/' TBLPROPERTIES ('table_type'='ICEBERG', 'what'='x')")
            .await
            .contains("'what'")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_every_type_come_back() {
    let lake = Lake::new().await;
    lake.step(
        "CREATE TABLE k (b boolean, i int, l bigint, f float, d double, m decimal(12,3), dt date, ts timestamp, \
         tz timestamptz, s string, x binary, a array<int>, o map<string,bigint>, r struct<p:int,q:array<string>>) \
         LOCATION 's3://b/k/' TBLPROPERTIES ('table_type'='ICEBERG')",
    )
    .await;
    lake.step(
        "INSERT INTO k VALUES (true, 1, 2, REAL '1.5', 2.5, 1.125, DATE '2020-02-29', TIMESTAMP '2020-01-01 00:00:00.123456', \
         TIMESTAMP '2020-01-01 00:00:00.5 +02:00', 'ß', X'00ff', ARRAY[1, NULL], MAP(ARRAY['k'], ARRAY[9]), \
         CAST(ROW(7, ARRAY['y']) AS ROW(p integer, q array(varchar))))",
    )
    .await;
    lake.step("INSERT INTO k (i) VALUES (NULL)").await;
    assert_eq!(
        lake.rows("SELECT * FROM k WHERE b").await,
        "\"true\",\"1\",\"2\",\"1.5\",\"2.5\",\"1.125\",\"2020-02-29\",\"2020-01-01 00:00:00.123456\",\
         \"2019-12-31 22:00:00.500000 UTC\",\"ß\",\"00 ff\",\"[1, null]\",\"{k=9}\",\"{p=7, q=[y]}\"\n"
    );
    assert_eq!(
        lake.rows("SELECT typeof(ts), typeof(tz), typeof(m), typeof(r), typeof(x) FROM k WHERE b").await,
        "\"timestamp(6)\",\"timestamp(6) with time zone\",\"decimal(12,3)\",\"row(p integer, q array(varchar))\",\"varbinary\"\n"
    );
    assert_eq!(lake.rows("SELECT r.p, a[1], element_at(o, 'k') FROM k WHERE i = 1").await, "\"7\",\"1\",\"9\"\n");
    assert_eq!(lake.rows("SELECT count(*), count(tz), count(r) FROM k").await, "\"2\",\"1\",\"1\"\n");
    // As Trino 476 answers.
    for (values, error) in [
        ("(i) SELECT BIGINT '9000000000'", "NUMERIC_VALUE_OUT_OF_RANGE: Out of range for integer: 9000000000"),
        (
            "(s) VALUES 7",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [varchar], Query: [integer]",
        ),
        (
            "(i) VALUES 'x'",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [integer], Query: [varchar(1)]",
        ),
        (
            "(i, l) VALUES 1",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [integer, bigint], Query: [integer]",
        ),
        ("(i, i) VALUES (1, 2)", "DUPLICATE_COLUMN_NAME: line 1:1: Insert column name is specified more than once: i"),
    ] {
        assert_eq!(lake.fails(&format!("INSERT INTO k {values}")).await, error);
    }
    lake.step("INSERT INTO k (i, m, ts) SELECT BIGINT '77', 7, TIMESTAMP '2020-01-01 00:00:00.123456789'").await;
    assert_eq!(lake.rows("SELECT m, ts FROM k WHERE i = 77").await, "\"7.000\",\"2020-01-01 00:00:00.123457\"\n");
    lake.step("DELETE FROM k WHERE i = 77").await;
    assert!(lake.fails("INSERT INTO k (nope) VALUES (1)").await.contains("COLUMN_NOT_FOUND"));
    lake.step("INSERT INTO k (l, d) VALUES (3, 4)").await;
    assert_eq!(lake.rows("SELECT l, d FROM k WHERE l = 3").await, "\"3\",\"4.0\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_ask_other_tables() {
    let lake = Lake::new().await;
    lake.step(
        "CREATE TABLE t (id int, s string, d decimal(9,2)) LOCATION 's3://b/t' TBLPROPERTIES ('table_type'='ICEBERG')",
    )
    .await;
    lake.step("CREATE TABLE src (id int, s string) LOCATION 's3://b/src' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO t SELECT n, 'x', 1 FROM UNNEST(sequence(1, 10)) AS u (n)").await;
    lake.step("INSERT INTO src VALUES (1, 'a'), (2, 'b'), (50, 'c'), (NULL, 'n')").await;
    // What is not among values and a null is neither in nor out: it stays.
    assert_eq!(lake.step("DELETE FROM t WHERE id IN (SELECT id FROM src)").await.update_count, 2);
    assert_eq!(lake.step("DELETE FROM t WHERE id NOT IN (SELECT id FROM src)").await.update_count, 0);
    let exists = "DELETE FROM t WHERE EXISTS (SELECT 1 FROM src WHERE src.id + 2 = t.id)";
    assert_eq!(lake.step(exists).await.update_count, 2);
    assert_eq!(lake.step("UPDATE t SET s = (SELECT max(s) FROM src) WHERE id = 5").await.update_count, 1);
    let sql = "UPDATE t SET d = d * 1.1, s = upper(s) WHERE id IN (SELECT id + 4 FROM src)";
    assert_eq!(lake.step(sql).await.update_count, 2);
    let rows = lake.rows("SELECT * FROM t WHERE id < 8 ORDER BY id").await;
    assert_eq!(rows, "\"5\",\"N\",\"1.10\"\n\"6\",\"X\",\"1.10\"\n\"7\",\"x\",\"1.00\"\n");
    let sql = "MERGE INTO t USING src ON t.id = src.id WHEN MATCHED THEN DELETE \
               WHEN NOT MATCHED AND src.id IS NOT NULL THEN INSERT VALUES (src.id, src.s, 0)";
    assert_eq!(lake.step(sql).await.update_count, 3);
    let sql = "MERGE INTO \"db\".\"t\" \"target\" USING (SELECT * FROM src WHERE id > 1) AS \"source\" \
               ON (\"target\".\"id\" = \"source\".\"id\") WHEN MATCHED AND \"target\".s = 'c' THEN UPDATE SET \"s\" = \"source\".\"s\" || '!', d = 7.5";
    assert_eq!(lake.step(sql).await.update_count, 1);
    assert_eq!(
        lake.rows("SELECT * FROM t WHERE id < 3 OR id > 40 ORDER BY id").await,
        "\"1\",\"a\",\"0.00\"\n\"2\",\"b\",\"0.00\"\n\"50\",\"c!\",\"7.50\"\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_leave_files_unread() {
    let lake = Lake::new().await;
    lake.step(
        "CREATE TABLE p (id bigint, kind string, ts timestamp) PARTITIONED BY (kind, day(ts), bucket(4, id)) \
         LOCATION 's3://b/p/' TBLPROPERTIES ('table_type'='ICEBERG')",
    )
    .await;
    lake.step(
        "INSERT INTO p SELECT n, CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd/1' END, \
         TIMESTAMP '2024-03-01 00:00:00' + (n % 3) * INTERVAL '1' DAY FROM UNNEST(sequence(1, 60)) AS t (n)",
    )
    .await;
    let files = lake.rows("SELECT count(*) FROM \"p$files\"").await;
    assert_eq!(files, "\"24\"\n");
    let scanned = |sql: &'static str| {
        let lake = &lake;
        async move {
            let rows = lake.rows(sql).await;
            let plan = lake.rows(&format!("EXPLAIN {sql}")).await;
            (rows.replace(['"', '\n'], ""), plan.matches(".parquet").count())
        }
    };
    // A plan shows some of many files.
    assert_eq!(scanned("SELECT count(*) FROM p").await.0, "60");
    assert_eq!(scanned("SELECT count(*) FROM p WHERE kind = 'even'").await.0, "30");
    assert_eq!(
        scanned("SELECT count(*) FROM p WHERE kind = 'odd/1' AND ts < TIMESTAMP '2024-03-02 00:00:00'").await,
        ("10".to_owned(), 4)
    );
    // One bucket, one day and one kind.
    let (rows, read) =
        scanned("SELECT kind FROM p WHERE id = 7 AND kind = 'odd/1' AND ts = TIMESTAMP '2024-03-02 00:00:00'").await;
    assert_eq!((rows.as_str(), read), ("odd/1", 1));
    assert_eq!(scanned("SELECT count(*) FROM p WHERE id > 1000").await, ("0".to_owned(), 0));
    assert_eq!(
        lake.rows("SELECT sum(record_count), sum(file_count), min(partition.ts_day) FROM \"p$partitions\"").await,
        "\"60\",\"24\",\"2024-03-01\"\n"
    );
    assert_eq!(
        lake.rows("SELECT DISTINCT \"$partition\" FROM p WHERE id = 7")
            .await
            .matches("kind=odd%2F1/ts_day=2024-03-02/id_bucket=")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_second_is_told_so_or_appends() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE w (a int) LOCATION 's3://b/w/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO w VALUES 1, 2").await;
    let many: Vec<_> = (0..6).map(|n| format!("INSERT INTO w VALUES {}", n + 10)).collect();
    futures::future::join_all(many.iter().map(|sql| lake.step(sql))).await;
    assert_eq!(lake.rows("SELECT count(*), count(DISTINCT a) FROM w").await, "\"8\",\"8\"\n");
    // Another writer's commit between what a statement has read and its own.
    let before = lake.catalog.table("db", "w").await.unwrap().unwrap();
    lake.step("INSERT INTO w VALUES 100").await;
    let now = lake.catalog.table("db", "w").await.unwrap().unwrap();
    let old = before.parameters["metadata_location"].clone();
    assert!(!lake.catalog.replace_table("db", now.clone(), &old).await.unwrap());
    assert!(lake.catalog.replace_table("db", now.clone(), &now.parameters["metadata_location"]).await.unwrap());
    let both =
        futures::future::join(lake.try_step("UPDATE w SET a = a + 1"), lake.try_step("DELETE FROM w WHERE a > 0"))
            .await;
    let failed: Vec<String> =
        [both.0, both.1].into_iter().filter_map(|done| done.err().map(|error| error.message)).collect();
    for message in &failed {
        assert!(message.starts_with("ICEBERG_COMMIT_ERROR"), "{message}");
    }
    assert!(failed.len() < 2, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_change_and_old_files_stay_readable() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE e (a int, b string, r struct<x:int,y:string>) LOCATION 's3://b/e/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO e VALUES (1, 'one', CAST(ROW(1, 'y') AS ROW(x integer, y varchar)))").await;
    lake.step("ALTER TABLE e CHANGE COLUMN a a bigint").await;
    lake.step("ALTER TABLE e DROP COLUMN b").await;
    lake.step("ALTER TABLE e ADD COLUMNS (b int, c decimal(5,1))").await;
    lake.step("ALTER TABLE e CHANGE COLUMN c c decimal(9,1) FIRST").await;
    lake.step("INSERT INTO e (a, b, c) VALUES (9000000000, 2, 3.5)").await;
    assert_eq!(
        lake.rows("SELECT * FROM e ORDER BY a").await,
        ",\"1\",\"{x=1, y=y}\",\n\"3.5\",\"9000000000\",,\"2\"\n"
    );
    assert!(
        lake.fails("ALTER TABLE e CHANGE COLUMN a a int").await.contains("Cannot change column type: a: bigint -> int")
    );
    assert!(lake.fails("ALTER TABLE e ADD COLUMNS (a int)").await.contains("Duplicate column name: a"));
    assert!(lake.fails("ALTER TABLE e DROP COLUMN nope").await.contains("Cannot delete missing column: nope"));
    let first =
        lake.rows("SELECT snapshot_id FROM \"e$snapshots\" WHERE parent_id IS NULL").await.replace(['"', '\n'], "");
    assert_eq!(
        lake.rows(&format!("SELECT * FROM e FOR VERSION AS OF {first}")).await,
        "\"1\",\"one\",\"{x=1, y=y}\"\n"
    );
    assert_eq!(lake.rows("SELECT count(*) FROM e FOR TIMESTAMP AS OF current_timestamp").await, "\"2\"\n");
    assert!(
        lake.fails("SELECT * FROM e FOR TIMESTAMP AS OF TIMESTAMP '2000-01-01 00:00:00'")
            .await
            .contains("No version history table")
    );
    assert!(lake.fails("SELECT * FROM e FOR VERSION AS OF 5").await.contains("Iceberg snapshot ID does not exists: 5"));
    assert_eq!(lake.rows("SELECT a FROM e FOR VERSION AS OF 'main' WHERE b = 2").await, "\"9000000000\"\n");
    let shown = lake.rows("SHOW CREATE TABLE e").await;
    assert_eq!(
        shown,
        "CREATE TABLE db.e (\n  c decimal(9,1),\n  a bigint,\n  r struct<x:int,y:string>,\n  b int)\nLOCATION 's3://b/e'\nTBLPROPERTIES (\n  'table_type'='iceberg'\n);"
    );
    assert!(lake.fails("MSCK REPAIR TABLE e").await.contains("ICEBERG"));
    assert!(lake.fails("ALTER TABLE e SET TBLPROPERTIES ('what'='x')").await.contains("'what'"));
}

/// Trino draws once a row; here a condition is asked for the files and again for the rows, so that one by chance is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_not_changed_by_chance() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE c (a int, b string) LOCATION 's3://b/c/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO c VALUES (1, 'x'), (2, 'y')").await;
    for sql in [
        "DELETE FROM c WHERE rand() < 0.5",
        "DELETE FROM c WHERE a = 1 OR random(10) = 3",
        "DELETE FROM c WHERE a IN (SELECT a FROM c WHERE random() < 0.5)",
        "UPDATE c SET a = 1, b = 'z' WHERE rand() < 0.5",
        "UPDATE c SET a = 1 WHERE CAST(uuid() AS varchar) > b",
        "MERGE INTO c USING (SELECT 1 AS i) AS s ON c.a = s.i WHEN MATCHED AND rand() < 0.5 THEN DELETE",
        "MERGE INTO c USING (SELECT 9 AS i) AS s ON c.a = s.i WHEN NOT MATCHED AND rand() < 0.5 THEN INSERT (a) VALUES (s.i)",
    ] {
        let error = lake.fails(sql).await;
        assert!(error.contains("a condition that goes by chance"), "{sql}: {error}");
    }
    assert_eq!(lake.rows("SELECT * FROM c ORDER BY a").await, "\"1\",\"x\"\n\"2\",\"y\"\n");
    // Values may be drawn, and the moment is the statement's.
    lake.step("UPDATE c SET b = CAST(uuid() AS varchar) WHERE current_timestamp > timestamp '2020-01-01 00:00:00 UTC'")
        .await;
    assert_eq!(lake.rows("SELECT count(DISTINCT b), min(length(b)) FROM c").await, "\"2\",\"36\"\n");
}

#[tokio::test]
async fn a_file_tells_when_it_was_written() {
    use futures::TryStreamExt as _;
    let lake = Lake::new().await;
    lake.step("CREATE TABLE t (id int) LOCATION 's3://b/t/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO t VALUES 1").await;
    lake.step("INSERT INTO t VALUES 2").await;
    let store = lake.storage.bucket("b").unwrap();
    let folder = object_store::path::Path::from("t/data");
    let listed: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    let mut written: Vec<String> =
        listed.iter().map(|file| file.last_modified.format("\"%Y-%m-%d %H:%M:%S%.3f UTC\"").to_string()).collect();
    written.sort();
    let shown = lake.rows("SELECT \"$file_modified_time\" FROM t ORDER BY 1").await;
    assert_eq!(shown.lines().collect::<Vec<_>>(), written);
}

/// Trino converts the values that are set, and never the rows that are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_no_action_takes_keep_their_values() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE ev (id int, ns bigint, m decimal(38, 2)) LOCATION 's3://b/ev/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    let rows = "(1, CAST(NULL AS bigint), DECIMAL '123456789012345678901234567890.12'), (2, 1700000000123456789, NULL)";
    lake.step(&format!("INSERT INTO ev VALUES {rows}")).await;
    assert_eq!(lake.step("UPDATE ev SET ns = 1e9 * id WHERE ns IS NULL").await.update_count, 1);
    assert_eq!(
        lake.step("UPDATE ev SET m = REAL '1.5', ns = ns + 0e0 WHERE id = 3 OR m IS NULL AND id <> 2")
            .await
            .update_count,
        0
    );
    assert_eq!(lake.step("UPDATE ev SET m = REAL '1.5' WHERE id = 2").await.update_count, 1);
    let all = "SELECT id, ns, m FROM ev ORDER BY id";
    let expected =
        "\"1\",\"1000000000\",\"123456789012345678901234567890.12\"\n\"2\",\"1700000000123456789\",\"1.50\"\n";
    assert_eq!(lake.rows(all).await, expected);
    let sql = "MERGE INTO ev USING (VALUES (1, 2.5e0), (3, 7e0)) AS s (id, x) ON ev.id = s.id \
               WHEN MATCHED AND s.x > 1e3 THEN UPDATE SET ns = ev.ns, m = DECIMAL '1' \
               WHEN MATCHED THEN UPDATE SET ns = s.x * 2 \
               WHEN NOT MATCHED THEN INSERT (id, ns) VALUES (s.id, s.x)";
    assert_eq!(lake.step(sql).await.update_count, 2);
    let expected =
        "\"1\",\"5\",\"123456789012345678901234567890.12\"\n\"2\",\"1700000000123456789\",\"1.50\"\n\"3\",\"7\",\n";
    assert_eq!(lake.rows(all).await, expected);
    // Values of rows that are not taken are not even computed.
    assert_eq!(lake.step("UPDATE ev SET ns = 10 / (id - 1) WHERE id <> 1").await.update_count, 2);
    let sql = "MERGE INTO ev USING (VALUES 1) AS s (id) ON ev.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1) WHEN MATCHED THEN UPDATE SET id = 'x', ns = 1";
    assert_eq!(
        lake.fails(sql).await,
        "TYPE_MISMATCH: line 1:1: MERGE table column types don't match for MERGE case 1, SET expressions: Table: [integer, bigint], Expressions: [varchar(1), integer]"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_with_apostrophes_are_the_texts_that_are_written() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE q (id int, s string) LOCATION 's3://b/q/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO q VALUES (1, '5''''x3'), (2, '5''x3'), (3, 'C:\\''s')").await;
    assert_eq!(lake.step("DELETE FROM q WHERE s = '5''''x3'").await.update_count, 1);
    assert_eq!(lake.step("UPDATE q SET s = s || 'name = ''''' WHERE s = 'C:\\''s'").await.update_count, 1);
    let sql = "MERGE INTO q USING (SELECT 2 AS id, '''''' AS s) AS s ON q.id = s.id AND s.s = '''''' \
               WHEN MATCHED THEN UPDATE SET s = s.s || ''''''";
    assert_eq!(lake.step(sql).await.update_count, 1);
    assert_eq!(lake.rows("SELECT id, s FROM q ORDER BY id").await, "\"2\",\"''''\"\n\"3\",\"C:\\'sname = ''\"\n");
}

/// The limit of open partitions is of CTAS and INSERT.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_any_number_of_partitions_are_written_anew() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE e (who int, day int) PARTITIONED BY (day) LOCATION 's3://b/e/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    for from in [1, 61, 121] {
        let days = format!("UNNEST(sequence({from}, {}))", from + 59);
        lake.step(&format!("INSERT INTO e SELECT w, d FROM {days} AS t (d), UNNEST(ARRAY[7, 8]) AS u (w)")).await;
    }
    let many = "INSERT INTO e SELECT 1, d FROM UNNEST(sequence(1, 120)) AS t (d)";
    assert!(lake.fails(many).await.contains("ICEBERG_TOO_MANY_OPEN_PARTITIONS"));
    assert_eq!(lake.step("DELETE FROM e WHERE who = 7").await.update_count, 180);
    assert_eq!(lake.step("UPDATE e SET who = 9 WHERE day > 20").await.update_count, 160);
    let merge = "MERGE INTO e USING (VALUES 9) AS s (w) ON e.who = s.w WHEN MATCHED THEN UPDATE SET who = 10";
    assert_eq!(lake.step(merge).await.update_count, 160);
    lake.step("INSERT INTO e SELECT 10, d FROM UNNEST(sequence(1, 90)) AS t (d)").await;
    lake.step("INSERT INTO e SELECT 10, d FROM UNNEST(sequence(91, 180)) AS t (d)").await;
    lake.step("OPTIMIZE e REWRITE DATA USING BIN_PACK").await;
    assert_eq!(lake.rows("SELECT count(*), count(DISTINCT \"$path\") FROM e").await, "\"360\",\"180\"\n");
}

/// What others do to another table between the two looks at it is in the count of rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_counted_as_they_are_changed() {
    for (sql, count, left) in [
        ("DELETE FROM c WHERE id IN (SELECT id FROM h)", 2, "\"3\"\n"),
        ("UPDATE c SET id = id + 10 WHERE id IN (SELECT id FROM h)", 2, "\"3\"\n\"11\"\n\"12\"\n"),
    ] {
        let lake = Lake::new().await;
        lake.step("CREATE TABLE c (id int) LOCATION 's3://b/c/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
        lake.step("INSERT INTO c VALUES 1, 2, 3").await;
        lake.table("h", "id int", "", crate::LAZY, &[]).await;
        lake.put("h/1.csv", "1\n").await;
        lake.put("h2/1.csv", "1\n2\n").await;
        // The table's own record is looked up, then `h` for each of the two.
        lake.catalog.meanwhile("table", |catalog| {
            catalog.meanwhile("table", |catalog| {
                catalog.meanwhile("table", |catalog| {
                    catalog.change("db", "h", |table, _| {
                        table.storage_descriptor.as_mut().unwrap().location = Some("s3://b/h2/".to_owned());
                    });
                });
            });
        });
        assert_eq!(lake.step(sql).await.update_count, count, "{sql}");
        assert_eq!(lake.rows("SELECT id FROM c ORDER BY 1").await, left, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_renamed_and_dropped_as_it_is() {
    let lake = Lake::new().await;
    let create = |name: &str, place: &str| {
        format!("CREATE TABLE {name} (a int) LOCATION 's3://b/{place}/' TBLPROPERTIES ('table_type'='ICEBERG')")
    };
    // What another commits while the table is renamed is in the table.
    lake.step(&create("t", "t")).await;
    lake.step("INSERT INTO t VALUES 1").await;
    let before = lake.catalog.table("db", "t").await.unwrap().unwrap();
    lake.step("INSERT INTO t VALUES 2").await;
    let after = lake.catalog.table("db", "t").await.unwrap().unwrap();
    lake.catalog.change("db", "t", |table, _| *table = before.clone());
    lake.catalog.meanwhile("rename_table", move |catalog| catalog.change("db", "t", |table, _| *table = after));
    lake.step("ALTER TABLE t RENAME TO u").await;
    assert_eq!(lake.rows("SELECT a FROM u ORDER BY 1").await, "\"1\"\n\"2\"\n");
    // The same while it is dropped: its files go, too.
    let after = lake.catalog.table("db", "u").await.unwrap().unwrap();
    lake.catalog.change("db", "u", |table, _| *table = query::catalog::Table { name: "u".to_owned(), ..before });
    lake.catalog.meanwhile("delete_known", move |catalog| catalog.change("db", "u", |table, _| *table = after));
    lake.step("DROP TABLE u").await;
    assert!(lake.keys("t").await.is_empty(), "{:?}", lake.keys("t").await);
    // A table that is made again under the name is another.
    lake.step(&create("v", "v1")).await;
    lake.step(&create("w", "v2")).await;
    let other = lake.catalog.table("db", "w").await.unwrap().unwrap();
    let other = query::catalog::Table { name: "v".to_owned(), ..other };
    lake.catalog.meanwhile("delete_known", move |catalog| catalog.change("db", "v", |table, _| *table = other));
    let error = lake.fails("DROP TABLE v").await;
    assert!(error.contains("ConcurrentModificationException"), "{error}");
    assert_eq!(lake.catalog.table("db", "v").await.unwrap().unwrap().location(), Some("s3://b/v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_written_as_its_properties_say() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE p (a int, b int) LOCATION 's3://b/p/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    let place = async || lake.catalog.table("db", "p").await.unwrap().unwrap().parameters["metadata_location"].clone();
    let key = place().await.strip_prefix("s3://b/").unwrap().to_owned();
    let mut metadata: serde_json::Value = serde_json::from_str(&lake.get(&place().await).await).unwrap();
    metadata["properties"]["write.metadata.path"] = "s3://b/states/p/".into();
    metadata["properties"]["write.metadata.compression-codec"] = "gzip".into();
    // An identifier of today's schema, which an earlier one lacks.
    metadata["schemas"][0]["identifier-field-ids"] = serde_json::json!([]);
    let mut now = metadata["schemas"][0].clone();
    (now["schema-id"], now["identifier-field-ids"]) = (1.into(), serde_json::json!([1]));
    metadata["schemas"].as_array_mut().unwrap().push(now);
    metadata["current-schema-id"] = 1.into();
    lake.put(&key, metadata.to_string()).await;
    lake.step("INSERT INTO p VALUES (1, 2)").await;
    let written = place().await;
    assert!(written.starts_with("s3://b/states/p/00001-") && written.ends_with(".gz.metadata.json"), "{written}");
    assert!(lake.keys("p/metadata").await.len() == 1 && lake.keys("states/p").await.len() == 3);
    lake.step("ALTER TABLE p ADD COLUMNS (c int)").await;
    lake.step("ALTER TABLE p DROP COLUMN c").await;
    assert_eq!(lake.rows("SELECT a, b FROM p").await, "\"1\",\"2\"\n");
    let folder = lake.storage.bucket("b").unwrap();
    let state = place().await.strip_prefix("s3://b/").unwrap().into();
    let bytes = folder.get_opts(&state, object_store::GetOptions::default()).await.unwrap().bytes().await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_ref()), &mut text).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(state["current-schema-id"], 1);
    // Version 1 is read and not changed.
    metadata["format-version"] = 1.into();
    lake.put(&key, metadata.to_string()).await;
    lake.catalog.change("db", "p", |table, _| {
        table.parameters.insert("metadata_location".to_owned(), format!("s3://b/{key}"));
    });
    for sql in
        ["ALTER TABLE p ADD COLUMNS (d int)", "ALTER TABLE p SET TBLPROPERTIES ('vacuum_min_snapshots_to_keep'='2')"]
    {
        let error = lake.fails(sql).await;
        assert!(error.contains("format version 1"), "{sql}: {error}");
    }
}

/// Source: Athena User Guide, "Create Iceberg tables", table properties; `awswrangler.athena.to_iceberg` names it as its example.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_end_where_the_table_says() {
    let lake = Lake::new().await;
    let table = |name: &str, bytes: &str| {
        format!(
            "CREATE TABLE {name} (id bigint) LOCATION 's3://b/{name}/' \
             TBLPROPERTIES ('table_type'='ICEBERG', 'write_target_data_file_size_bytes'='{bytes}')"
        )
    };
    let rows = "SELECT a * 1000 + b FROM UNNEST(sequence(1, 40)) AS x (a) CROSS JOIN UNNEST(sequence(0, 999)) AS y (b)";
    for (name, bytes, files) in
        [("large", "536870912", "\"true\",\"40000\"\n"), ("small", "1000", "\"false\",\"40000\"\n")]
    {
        lake.step(&table(name, bytes)).await;
        lake.step(&format!("INSERT INTO {name} {rows}")).await;
        let seen = format!("SELECT count(*) = 1, sum(record_count) FROM \"{name}$files\"");
        assert_eq!(lake.rows(&seen).await, files, "{name}");
    }
    let standard = "SELECT value FROM \"small$properties\" WHERE key = 'write.target-file-size-bytes'";
    assert_eq!(lake.rows(standard).await, "\"1000\"\n");
    for wrong in ["0", "-1", "much"] {
        assert_eq!(
            lake.fails(&table("w", wrong)).await,
            format!(
                "INVALID_TABLE_PROPERTY: line 1:1: Unable to set catalog 'awsdatacatalog' table property \
                 'write_target_data_file_size_bytes' to ['{wrong}']"
            )
        );
    }
    // What is smaller than three quarters of the target is put together, and nothing else.
    let before = lake.rows("SELECT file_path FROM \"small$files\" ORDER BY 1").await;
    lake.step("OPTIMIZE small REWRITE DATA USING BIN_PACK").await;
    assert_eq!(lake.rows("SELECT file_path FROM \"small$files\" ORDER BY 1").await, before);
}
