//! What a rewritten statement must not change: whose column a name is, how often a value is evaluated, how much is kept of a group.

use crate::Lake;

const ICEBERG: &str = "TBLPROPERTIES ('table_type'='ICEBERG')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_rewritten_queries_hide_no_columns() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE gone WITH (external_location='s3://b/gone/') AS SELECT 5 AS id").await;
    for name in ["c", "c0", "row_in_0", "quantified"] {
        let table = format!("t_{name}");
        lake.step(&format!("CREATE TABLE {table} ({name} int, v string) LOCATION 's3://b/{table}/' {ICEBERG}")).await;
        lake.step(&format!("INSERT INTO {table} VALUES (1, 'a'), (5, 'b'), (7, 'c'), (NULL, 'd')")).await;
        let shown = format!("SELECT {name}, v FROM {table} ORDER BY v");
        let updated =
            lake.step(&format!("UPDATE {table} SET v = v || '!' WHERE {name} IN (SELECT id FROM gone)")).await;
        assert_eq!(updated.update_count, 1, "{name}");
        assert_eq!(lake.rows(&shown).await, "\"1\",\"a\"\n\"5\",\"b!\"\n\"7\",\"c\"\n,\"d\"\n");
        let deleted = lake.step(&format!("DELETE FROM {table} WHERE {name} IN (SELECT id FROM gone)")).await;
        assert_eq!(deleted.update_count, 1, "{name}");
        assert_eq!(lake.rows(&shown).await, "\"1\",\"a\"\n\"7\",\"c\"\n,\"d\"\n");
        let merged = lake
            .step(&format!(
                "MERGE INTO {table} USING (VALUES 1, 7) AS s (id) ON {table}.{name} = s.id \
                 WHEN MATCHED AND {table}.{name} = 1 THEN DELETE"
            ))
            .await;
        assert_eq!(merged.update_count, 1, "{name}");
        assert_eq!(lake.rows(&shown).await, "\"7\",\"c\"\n,\"d\"\n");
        let rest = lake.step(&format!("DELETE FROM {table} WHERE {name} <> ALL (SELECT id FROM gone)")).await;
        assert_eq!(rest.update_count, 1, "{name}");
        assert_eq!(lake.rows(&shown).await, ",\"d\"\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_table_changed_is_stale() {
    let lake = Lake::new().await;
    lake.step(&format!("CREATE TABLE t (a int, b string) LOCATION 's3://b/t/' {ICEBERG}")).await;
    lake.step("INSERT INTO t VALUES (1, 'x')").await;
    lake.step(
        "CREATE VIEW v AS SELECT *, CAST(1.5 AS decimal(10,2)) AS d, TIMESTAMP '2020-01-01 00:00:00 UTC' AS z, ROW(1, 'a') AS r FROM t",
    )
    .await;
    lake.step("CREATE VIEW named AS SELECT a FROM t").await;
    let whole = "\"1\",\"x\",\"1.50\",\"2020-01-01 00:00:00.000 UTC\",\"{field0=1, field1=a}\"\n";
    assert_eq!(lake.rows("SELECT * FROM v").await, whole);
    lake.step("ALTER TABLE t ADD COLUMNS (extra int)").await;
    assert_eq!(
        lake.fails("SELECT * FROM v").await,
        "VIEW_IS_STALE: line 1:15: View 'awsdatacatalog.db.v' is stale or in invalid state: \
         stored view column count (5) does not match column count derived from the view query analysis (6)"
    );
    lake.step("ALTER TABLE t DROP COLUMN extra").await;
    assert_eq!(lake.rows("SELECT * FROM v").await, whole);
    lake.step("ALTER TABLE t CHANGE COLUMN b c string").await;
    let stale = lake.fails("SELECT * FROM v").await;
    assert!(
        stale.contains(
            "column [c] of type varchar projected from query view at position 1 has a different name from column [b]"
        ),
        "{stale}"
    );
    lake.step("ALTER TABLE t CHANGE COLUMN a a bigint").await;
    let stale = lake.fails("SELECT * FROM named").await;
    assert!(stale.contains("column [a] of type bigint projected from query view at position 0 cannot be coerced to column [a] of type integer"), "{stale}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregates_keep_what_stands_for_their_rows() {
    let lake = Lake::new().await;
    let rows = "(SELECT CAST(a * 1000 + b AS double) AS x, CAST(b AS real) AS y, a % 3 AS k, CAST(b % 7 AS varchar(3)) AS s \
                FROM UNNEST(sequence(1, 300)) t (a) CROSS JOIN UNNEST(sequence(1, 1000)) u (b))";
    for (aggregates, expected) in [
        ("min(x), max(x), min(y), max(y)", "\"1001.0\",\"301000.0\",\"1.0\",\"1000.0\"\n"),
        (
            "count_if(x > 2000), bool_and(x > 0), bool_or(x < 0), every(y > 0)",
            "\"299000\",\"true\",\"false\",\"true\"\n",
        ),
        ("sum(y), avg(y)", "\"1.5015E8\",\"500.5\"\n"),
        ("max_by(y, x), min_by(s, x), max(x, 2)", "\"1000.0\",\"1\",\"[301000.0, 300999.0]\"\n"),
        ("min(s), max(s), any_value(s) IS NULL, approx_distinct(s)", "\"0\",\"6\",\"false\",\"7\"\n"),
        (
            "round(stddev(x), 6), round(corr(x, x), 6), round(covar_pop(x, x) / var_pop(x), 6)",
            "\"86602.684716\",\"1.0\",\"1.0\"\n",
        ),
        ("approx_percentile(x, 0.5)", "\"151001.0\"\n"),
        ("length(checksum(x)), cardinality(map_agg(s, x)), cardinality(array_agg(DISTINCT s))", "\"8\",\"7\",\"7\"\n"),
        ("bitwise_or_agg(CAST(y AS bigint)), bitwise_xor_agg(CAST(x AS bigint)) IS NULL", "\"1023\",\"false\"\n"),
    ] {
        assert_eq!(
            lake.rows_within(&format!("SELECT {aggregates} FROM {rows}"), 16 << 20).await,
            expected,
            "{aggregates}"
        );
    }
    let error = lake.fails_within(&format!("SELECT cardinality(array_agg(x)) FROM {rows}"), 16 << 20).await;
    assert!(error.starts_with("EXCEEDED_LOCAL_MEMORY_LIMIT"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clauses_of_merge_ask_queries() {
    let lake = Lake::new().await;
    lake.step(&format!("CREATE TABLE t (k string, v int) LOCATION 's3://b/t/' {ICEBERG}")).await;
    lake.step("INSERT INTO t VALUES ('b', 8), (NULL, 99), ('c', 100)").await;
    let merged = lake
        .step(
            "MERGE INTO t USING (VALUES (99, 'z'), (100, 'y'), (101, 'w'), (102, 'x')) s (v, k) ON t.v = s.v \
             WHEN MATCHED AND t.v IN (SELECT 99) THEN UPDATE SET k = s.k \
             WHEN MATCHED AND s.v NOT IN (SELECT 99) THEN DELETE \
             WHEN NOT MATCHED AND s.k IN (SELECT 'w') THEN INSERT VALUES (s.k, s.v)",
        )
        .await;
    assert_eq!(merged.update_count, 3);
    assert_eq!(lake.rows("SELECT k, v FROM t ORDER BY v").await, "\"b\",\"8\"\n\"z\",\"99\"\n\"w\",\"101\"\n");
}

/// More than 32 MiB, which are not kept in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_source_of_merge_is_asked_once() {
    let lake = Lake::new().await;
    lake.step(&format!("CREATE TABLE t (v int, k string) LOCATION 's3://b/t/' {ICEBERG}")).await;
    lake.step("INSERT INTO t VALUES (1, 'one'), (2, NULL), (30000, 'far')").await;
    let source = "SELECT CAST((a - 1) * 100 + b AS integer) AS v, rpad(CAST(b AS varchar), 2000, 'x') AS k, random() AS r \
                  FROM UNNEST(sequence(1, 200)) t (a) CROSS JOIN UNNEST(sequence(1, 100)) u (b)";
    let merged = lake
        .step(&format!(
            "MERGE INTO t USING ({source}) s ON t.v = s.v WHEN MATCHED AND s.r >= 0.5 THEN UPDATE SET k = 'high' \
             WHEN MATCHED AND s.r < 0.5 THEN UPDATE SET k = s.k WHEN NOT MATCHED AND s.v % 4000 = 0 AND s.r < 0.5 THEN INSERT VALUES (s.v, 'low') \
             WHEN NOT MATCHED AND s.v % 4000 = 0 THEN INSERT VALUES (s.v, s.k)"
        ))
        .await;
    assert_eq!(merged.update_count, 7);
    let shown = "SELECT count(*), count(DISTINCT v), sum(v), count_if(k IN ('high', 'low') OR length(k) = 2000), min_by(k, -v) FROM t";
    assert_eq!(lake.rows(shown).await, "\"8\",\"8\",\"90003\",\"7\",\"far\"\n");
}
