//! Trino's forms of queries that DataFusion's SQL lacks.

use crate::{LAZY, Lake};
use query::catalog::Catalog as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unnest_in_all_its_forms() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE t WITH (external_location='s3://b/t/') AS SELECT * FROM (VALUES (1, ARRAY[10, 20]), (2, ARRAY[]), (3, NULL)) AS v (id, a)").await;
    for (sql, expected) in [
        ("SELECT id, x FROM t CROSS JOIN UNNEST(a) AS u (x) ORDER BY 1, 2", "\"1\",\"10\"\n\"1\",\"20\"\n"),
        ("SELECT id, x FROM t, UNNEST(t.a) AS u (x) ORDER BY 1, 2", "\"1\",\"10\"\n\"1\",\"20\"\n"),
        (
            "SELECT t.id, u.x, n FROM t CROSS JOIN UNNEST(a) WITH ORDINALITY AS u (x, n) ORDER BY 3",
            "\"1\",\"10\",\"1\"\n\"1\",\"20\",\"2\"\n",
        ),
        (
            "SELECT id, x FROM t LEFT JOIN UNNEST(a) AS u (x) ON TRUE ORDER BY 1, 2",
            "\"1\",\"10\"\n\"1\",\"20\"\n\"2\",\n\"3\",\n",
        ),
        ("SELECT x, y FROM UNNEST(ARRAY[1, 2, 3], ARRAY['a']) AS u (x, y) ORDER BY 1", "\"1\",\"a\"\n\"2\",\n\"3\",\n"),
        ("SELECT * FROM UNNEST(ARRAY[1, 2])", "\"1\"\n\"2\"\n"),
        (
            "SELECT a, b FROM UNNEST(ARRAY[ROW(1, 'x'), ROW(2, 'y')]) AS u (a, b) ORDER BY 1",
            "\"1\",\"x\"\n\"2\",\"y\"\n",
        ),
        (
            "SELECT s.id, x, y FROM t s CROSS JOIN UNNEST(a) AS u (x) CROSS JOIN UNNEST(ARRAY[x + 1]) AS w (y) ORDER BY 2",
            "\"1\",\"10\",\"11\"\n\"1\",\"20\",\"21\"\n",
        ),
        ("SELECT id, x FROM t CROSS JOIN UNNEST(a) AS u (x) JOIN (VALUES 20) AS v (k) ON v.k = x", "\"1\",\"20\"\n"),
    ] {
        assert_eq!(lake.rows(sql).await, expected, "{sql}");
    }
    assert!(lake.fails("SELECT 1 FROM t LEFT JOIN UNNEST(a) AS u (x) ON x > 1").await.contains("ON TRUE"));
    assert!(lake.fails("SELECT 1 FROM t CROSS JOIN UNNEST(id) AS u (x)").await.contains("Cannot unnest type: integer"));
    assert!(
        lake.fails("SELECT 1 FROM t CROSS JOIN UNNEST(a) AS u (x, y)")
            .await
            .contains("Column alias list has 2 entries but 'u' has 1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_queries() {
    let lake = Lake::new().await;
    for (sql, expected) in [
        ("VALUES 1, 2", "\"1\"\n\"2\"\n"),
        ("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t (n, s) ORDER BY n DESC FETCH FIRST ROW ONLY", "\"2\",\"b\"\n"),
        (
            "SELECT 'a%b' LIKE 'a$%b' ESCAPE '$', 'axb' LIKE 'a$%b' ESCAPE '$', 'a\\b' LIKE 'a\\b'",
            "\"true\",\"false\",\"true\"\n",
        ),
        (
            "SELECT 2 > ALL (VALUES 1, 3), 2 > ANY (VALUES 1, 3), 2 = SOME (VALUES 1, 2)",
            "\"false\",\"true\",\"true\"\n",
        ),
        ("SELECT 2 > ALL (SELECT n FROM (VALUES 1) AS t (n) WHERE n > 5), 2 < ANY (VALUES 1, NULL)", "\"true\",\n"),
        ("SELECT (1, 'a') = (1, 'a'), (1, 2) IN ((1, 3), (1, 2)), (1, 2) < (1, 3)", "\"true\",\"true\",\"true\"\n"),
        ("SELECT n FROM (VALUES (1, 2), (3, 4)) AS t (n, m) WHERE (n, m) IN (SELECT 3, 4)", "\"3\"\n"),
        ("SELECT count(*) FROM (VALUES 1, 2, 3) AS t (n) TABLESAMPLE BERNOULLI (100)", "\"3\"\n"),
        ("SELECT count(*) FROM (VALUES 1, 2, 3) AS t (n) TABLESAMPLE BERNOULLI (0)", "\"0\"\n"),
    ] {
        assert_eq!(lake.rows(sql).await, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_altered() {
    let lake = Lake::new().await;
    lake.table("h", "a int, b string", "p string", LAZY, &[]).await;
    lake.partition("h", &["x"], "s3://b/h/p=x/").await;
    lake.step("ALTER TABLE h CHANGE COLUMN b c string COMMENT 'new'").await;
    lake.step("ALTER TABLE h ADD COLUMNS (d bigint)").await;
    lake.step("ALTER TABLE h PARTITION (p='x') RENAME TO PARTITION (p='y')").await;
    lake.step("ALTER TABLE h SET TBLPROPERTIES ('k'='v')").await;
    lake.step("ALTER TABLE h UNSET TBLPROPERTIES ('k')").await;
    assert_eq!(lake.rows("SELECT p FROM \"h$partitions\"").await, "\"y\"\n");
    lake.step("ALTER TABLE h RENAME TO i").await;
    assert_eq!(lake.rows("SHOW PARTITIONS i").await, "p=y");
    assert_eq!(lake.rows("SHOW TABLES").await, "i");
    assert_eq!(
        lake.rows("SELECT column_name, ordinal_position, is_nullable, data_type, extra_info FROM information_schema.columns WHERE table_name = 'i' ORDER BY 2").await,
        "\"a\",\"1\",\"YES\",\"integer\",\n\"c\",\"2\",\"YES\",\"varchar\",\n\"d\",\"3\",\"YES\",\"bigint\",\n\"p\",\"4\",\"YES\",\"varchar\",\"partition key\"\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_written_in_every_format() {
    let lake = Lake::new().await;
    let rows = "(VALUES (1, 'a', ARRAY[1, 2]), (2, NULL, NULL)) AS t (id, s, l)";
    lake.step(&format!("CREATE TABLE txt WITH (format='TEXTFILE', field_delimiter='|', write_compression='NONE', external_location='s3://b/txt/') AS SELECT id, s FROM {rows}")).await;
    assert_eq!(lake.rows("SELECT id, s FROM txt ORDER BY id").await, "\"1\",\"a\"\n\"2\",\n");
    lake.step(&format!(
        "CREATE TABLE js WITH (format='JSON', external_location='s3://b/js/') AS SELECT id, s FROM {rows}"
    ))
    .await;
    assert_eq!(lake.rows("SELECT id, s FROM js ORDER BY id").await, "\"1\",\"a\"\n\"2\",\n");
    lake.step("INSERT INTO js SELECT 3, 'c'").await;
    assert_eq!(lake.rows("SELECT count(*) FROM js").await, "\"3\"\n");
    for format in ["PARQUET", "JSON", "TEXTFILE"] {
        let sql = format!(
            "UNLOAD (SELECT id, s, id AS p FROM {rows}) TO 's3://b/un_{format}/' WITH (format='{format}', partitioned_by=ARRAY['p'])"
        );
        let outcome = lake.step(&sql).await;
        assert_eq!((outcome.substatement_type.as_str(), outcome.update_count), ("UNLOAD", 2), "{format}");
        let manifest = lake.get(&outcome.manifest_location.unwrap()).await;
        assert!(manifest.lines().all(|line| line.contains("/p=")) && manifest.lines().count() == 2, "{manifest}");
        assert!(lake.fails(&sql).await.starts_with("HIVE_PATH_ALREADY_EXISTS"));
    }
    lake.step(&format!("CREATE TABLE bu WITH (bucketed_by=ARRAY['id'], bucket_count=2, external_location='s3://b/bu/') AS SELECT id, s FROM {rows}")).await;
    assert_eq!(lake.rows("SELECT count(*) FROM bu").await, "\"2\"\n");
    assert!(lake.fails("INSERT INTO bu SELECT 3, 'c'").await.contains("bucketed"));
    assert!(
        lake.fails("UNLOAD (SELECT 1 AS a) TO 's3://b/x/' WITH (format='XML')")
            .await
            .contains("Unsupported storage format")
    );
    assert!(
        lake.fails("CREATE TABLE x WITH (nonsense='1') AS SELECT 1 AS a").await.contains("'nonsense' does not exist")
    );
}

/// As Trino 476 answers for a table of the memory connector.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_inserted_is_cast_as_trino_casts() {
    let lake = Lake::new().await;
    lake.step(
        "CREATE EXTERNAL TABLE n (a int, b varchar(3), c decimal(5,2), d char(3), e date, j tinyint, h array<int>, v array<varchar(3)>) \
         STORED AS PARQUET LOCATION 's3://b/n/'",
    )
    .await;
    for (column, value, kept) in [
        ("a", "1.5e0", "2"),
        ("a", "DECIMAL '2.5'", "3"),
        ("a", "BIGINT '7'", "7"),
        ("b", "'abc   '", "abc"),
        ("b", "CAST('ab' AS varchar(10))", "ab"),
        ("c", "DECIMAL '1.005'", "1.01"),
        ("c", "2.345e0", "2.35"),
        ("c", "7", "7.00"),
        ("e", "TIMESTAMP '2020-01-02 23:59:59.9'", "2020-01-02"),
        ("j", "100", "100"),
        ("h", "ARRAY[1.5e0]", "[2]"),
    ] {
        lake.step(&format!("INSERT INTO n ({column}) SELECT {value}")).await;
        let found = lake.rows(&format!("SELECT count(*) FROM n WHERE CAST({column} AS JSON) IS NOT NULL")).await;
        assert!(!found.starts_with("\"0\""), "{column} {value}");
        let shown = lake
            .rows(&format!("SELECT {column} FROM n WHERE {column} IS NOT NULL ORDER BY \"$file_modified_time\""))
            .await;
        assert!(shown.contains(&format!("\"{kept}\"")), "{column} {value}: {shown}");
    }
    for (column, value, error) in [
        ("a", "3000000000", "NUMERIC_VALUE_OUT_OF_RANGE: Out of range for integer: 3000000000"),
        ("a", "nan()", "INVALID_CAST_ARGUMENT: Cannot cast double NaN to integer"),
        (
            "b",
            "'abcdef'",
            "INVALID_CAST_ARGUMENT: Cannot truncate non-space characters when casting from varchar(6) to varchar(3) on INSERT",
        ),
        (
            "b",
            "CAST('abcd' AS varchar)",
            "INVALID_CAST_ARGUMENT: Cannot truncate non-space characters when casting from varchar to varchar(3) on INSERT",
        ),
        (
            "d",
            "'abcd'",
            "INVALID_CAST_ARGUMENT: Cannot truncate non-space characters when casting from varchar(4) to char(3) on INSERT",
        ),
        ("c", "DECIMAL '12345.1'", "INVALID_CAST_ARGUMENT: Cannot cast DECIMAL(6, 1) '12345.1' to DECIMAL(5, 2)"),
        ("j", "300", "NUMERIC_VALUE_OUT_OF_RANGE: Out of range for tinyint: 300"),
        (
            "a",
            "'5'",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [integer], Query: [varchar(1)]",
        ),
        (
            "a",
            "true",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [integer], Query: [boolean]",
        ),
        (
            "v",
            "ARRAY['abcd']",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [array(varchar(3))], Query: [array(varchar(4))]",
        ),
    ] {
        assert_eq!(lake.fails(&format!("INSERT INTO n ({column}) SELECT {value}")).await, error, "{column} {value}");
    }
}

/// Its columns and SerDe may be others than the table's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_moved_or_renamed_keeps_what_is_its_own() {
    let lake = Lake::new().await;
    lake.step(
        "CREATE EXTERNAL TABLE o (a int, b string) PARTITIONED BY (p string) \
         ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION 's3://b/o/'",
    )
    .await;
    lake.put("old/f", "1;x\n").await;
    lake.step("ALTER TABLE o ADD PARTITION (p='1')").await;
    let mut own = lake.catalog.partition("db", "o", &["1".to_owned()]).await.unwrap().unwrap();
    let storage = own.storage_descriptor.as_mut().unwrap();
    storage.serde_info.as_mut().unwrap().parameters.insert("field.delim".to_owned(), ";".to_owned());
    storage.sort_columns = Some(serde_json::json!([{"Column": "a", "SortOrder": 1}]));
    own.parameters.insert("mine".to_owned(), "yes".to_owned());
    lake.catalog.update_partition("db", "o", &["1".to_owned()], own.clone()).await.unwrap();
    lake.step("ALTER TABLE o PARTITION (p='1') SET LOCATION 's3://b/old/'").await;
    lake.step("ALTER TABLE o PARTITION (p='1') RENAME TO PARTITION (p='2')").await;
    assert_eq!(lake.rows("SELECT a, b, p FROM o").await, "\"1\",\"x\",\"2\"\n");
    let moved = lake.catalog.partition("db", "o", &["2".to_owned()]).await.unwrap().unwrap();
    own.values = vec!["2".to_owned()];
    own.storage_descriptor.as_mut().unwrap().location = Some("s3://b/old/".to_owned());
    assert_eq!(moved, own);
}
