//! Trino's forms of queries that DataFusion's SQL lacks.

use crate::{LAZY, Lake};

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
