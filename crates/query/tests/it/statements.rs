//! Views, tables, partitions, SHOW and DESCRIBE.

use base64::Engine;
use query::catalog::{Catalog, Table};

use crate::{LAZY, Lake};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_a_table_are_told_apart() {
    let lake = Lake::new().await;
    for (columns, expected) in [
        ("(a int, A string)", "FAILED: SemanticException [Error 10036]: Duplicate column name: a"),
        (
            "(a int) PARTITIONED BY (a string)",
            "FAILED: SemanticException [Error 10035]: Column repeated in partitioning columns",
        ),
        (
            "(a int) CLUSTERED BY (b) INTO 4 BUCKETS",
            "FAILED: SemanticException [Error 10002]: Invalid column reference 'b'",
        ),
    ] {
        assert_eq!(lake.fails(&format!("CREATE EXTERNAL TABLE t {columns} LOCATION 's3://b/t/'")).await, expected);
    }
    lake.step("CREATE EXTERNAL TABLE t (a int, b int) PARTITIONED BY (k string) LOCATION 's3://b/t/'").await;
    for change in [
        "ADD COLUMNS (c int, c int)",
        "ADD COLUMNS (k int)",
        "ADD COLUMNS (a int)",
        "REPLACE COLUMNS (k int)",
        "CHANGE COLUMN a b int",
        "CHANGE COLUMN a k int",
    ] {
        let text = lake.fails(&format!("ALTER TABLE t {change}")).await;
        assert!(text.contains("Duplicate column name: "), "{change}: {text}");
    }
    lake.step("ALTER TABLE t REPLACE COLUMNS (a bigint, c int)").await;
    let names: Vec<String> = lake.catalog_table("t").await.columns().iter().map(|column| column.name.clone()).collect();
    assert_eq!(names, ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_are_of_types_common_to_their_queries() {
    let lake = Lake::new().await;
    lake.step("CREATE TABLE u WITH (external_location='s3://b/u/') AS SELECT 1 AS a UNION ALL SELECT 2.5").await;
    assert_eq!(lake.catalog_table("u").await.columns()[0].ty, "decimal(11,1)");
    assert_eq!(lake.rows("SELECT a FROM u ORDER BY a").await, "\"1.0\"\n\"2.5\"\n");
    lake.step("CREATE VIEW w AS SELECT 1 AS a EXCEPT SELECT 2.50 ORDER BY a").await;
    assert_eq!(lake.catalog_table("w").await.columns()[0].ty, "decimal(12,2)");
    assert_eq!(lake.rows("SELECT a FROM w").await, "\"1.00\"\n");
    let of = |sql: &'static str| async {
        let outcome = lake.step(sql).await;
        outcome.columns.iter().map(|column| column.ty.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("SELECT 1 AS a UNION ALL SELECT 2.5 ORDER BY a").await, ["decimal"]);
    assert_eq!(of("SELECT SMALLINT '1' AS a UNION SELECT BIGINT '7'").await, ["bigint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sketches_are_no_results() {
    let lake = Lake::new().await;
    for sql in ["SELECT approx_set(x) FROM (VALUES 1) t(x)", "SELECT ARRAY[tdigest_agg(x)] FROM (VALUES 1e0) t(x)"] {
        let text = lake.fails(sql).await;
        assert!(text.starts_with("NOT_SUPPORTED: Values of type "), "{sql}: {text}");
    }
    assert_eq!(lake.rows("SELECT cardinality(approx_set(x)) FROM (VALUES 1, 2, 2) t(x)").await, "\"2\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_made_read_and_dropped() {
    let lake = Lake::new().await;
    lake.table("flights", "carrier string, arr_delay double, month bigint", "", LAZY, &[("field.delim", ",")]).await;
    lake.put("flights/1", "AA,1,1\nAA,3,1\nB6,,2\n").await;
    let sql = "CREATE OR REPLACE VIEW delays AS\nSELECT carrier, month, count(arr_delay) AS flights, avg(arr_delay) AS Mean_Arr_Delay FROM flights GROUP BY carrier, month";
    let outcome = lake.run(sql).await.unwrap();
    assert_eq!((outcome.statement_type.as_str(), outcome.substatement_type.as_str()), ("DDL", "CREATE_VIEW"));
    assert_eq!(lake.get(&outcome.output_location).await, "");
    lake.run(sql).await.unwrap();
    let table = lake.catalog.table("db", "delays").await.unwrap().unwrap();
    assert_eq!(table.table_type.as_deref(), Some("VIRTUAL_VIEW"));
    let types: Vec<_> = table.columns().iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
    assert_eq!(types, ["carrier string", "month bigint", "flights bigint", "mean_arr_delay double"]);
    assert_eq!(
        lake.rows("SELECT * FROM delays ORDER BY carrier").await,
        "\"AA\",\"1\",\"2\",\"2.0\"\n\"B6\",\"2\",\"0\",\n"
    );
    assert_eq!(
        lake.rows("SELECT sum(flights) FROM \"awsdatacatalog\".\"db\".\"delays\" d WHERE d.carrier = 'AA'").await,
        "\"2\"\n"
    );
    lake.run("CREATE VIEW over AS SELECT carrier FROM delays WHERE flights > 0").await.unwrap();
    assert_eq!(lake.rows("SELECT * FROM over").await, "\"AA\"\n");
    assert!(lake.fails("CREATE VIEW over AS SELECT 1 a").await.contains("View already exists"));
    assert!(
        lake.fails("CREATE VIEW w AS SELECT count(*) FROM flights")
            .await
            .contains("Column name not specified at position 1")
    );
    assert!(lake.rows("SHOW CREATE VIEW delays").await.starts_with("CREATE VIEW \"delays\" AS\nSELECT carrier"));
    assert_eq!(lake.rows("SHOW TABLES").await, "delays\nflights\nover");
    assert_eq!(lake.rows("SHOW VIEWS").await, "delays\nover");
    let described = lake.rows("DESCRIBE delays").await;
    assert!(described.starts_with("carrier\tvarchar\n"), "{described}");
    assert_eq!(lake.rows("SHOW COLUMNS IN delays").await, described);
    lake.run("DROP VIEW over").await.unwrap();
    assert!(lake.fails("DROP VIEW over").await.contains("does not exist"));
    lake.run("DROP VIEW IF EXISTS over").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_of_another_client_is_read() {
    let lake = Lake::new().await;
    let json = r#"{"originalSql":"SELECT 1 AS \"n\"\nUNION ALL SELECT 2","catalog":"awsdatacatalog","schema":"db","columns":[{"name":"n","type":"integer"}]}"#;
    let text = base64::engine::general_purpose::STANDARD.encode(json);
    let view = |text: String| Table {
        name: "v".to_owned(),
        table_type: Some("VIRTUAL_VIEW".to_owned()),
        view_original_text: Some(text),
        ..Table::default()
    };
    lake.catalog.create_table("db", view(format!("/* Presto View: {text} */"))).await.unwrap();
    assert_eq!(lake.rows("SELECT sum(n) FROM v").await, "\"3\"\n");
    lake.catalog.update_table("db", view("nonsense".to_owned())).await.unwrap();
    assert!(lake.fails("SELECT * FROM v").await.starts_with("INVALID_VIEW"));
    lake.catalog
        .update_table(
            "db",
            view(format!(
                "/* Presto View: {} */",
                base64::engine::general_purpose::STANDARD.encode(r#"{"originalSql":"SELECT * FROM v"}"#)
            )),
        )
        .await
        .unwrap();
    assert!(lake.fails("SELECT * FROM v").await.contains("INVALID_VIEW"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_partitions_by_statements() {
    let lake = Lake::new().await;
    lake.run("CREATE EXTERNAL TABLE `t` (a int, b string) PARTITIONED BY (dt string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION 's3://b/t/'").await.unwrap();
    lake.put("t/dt=2013-01-01/f", "1,x\n").await;
    lake.put("t/dt=2013-01-02/f", "2,y\n").await;
    lake.put("t/other/f", "3,z\n").await;
    assert_eq!(lake.rows("SELECT * FROM t").await, "");
    let repaired = lake.rows("MSCK REPAIR TABLE t").await;
    assert!(repaired.contains("Repair: Added partition to metastore t:dt=2013-01-02"), "{repaired}");
    assert_eq!(lake.rows("SHOW PARTITIONS t").await, "dt=2013-01-01\ndt=2013-01-02");
    lake.run(
        "ALTER TABLE t ADD IF NOT EXISTS PARTITION (dt='z') LOCATION 's3://b/t/other/' PARTITION (dt='2013-01-01')",
    )
    .await
    .unwrap();
    assert!(lake.fails("ALTER TABLE t ADD PARTITION (dt='z')").await.contains("Partition already exists: dt=z"));
    assert_eq!(lake.rows("SELECT sum(a), max(dt) FROM t").await, "\"6\",\"z\"\n");
    lake.run("ALTER TABLE t DROP PARTITION (dt='z')").await.unwrap();
    assert_eq!(lake.rows("SELECT sum(a) FROM t").await, "\"3\"\n");
    let outcome = lake.run("SHOW COLUMNS IN t").await.unwrap();
    assert_eq!((outcome.columns[0].name.as_str(), outcome.columns[0].ty.as_str()), ("field", "string"));
    assert_eq!(
        lake.get(&outcome.output_location).await,
        "a                   \nb                   \ndt                  "
    );
    let described = lake.rows("DESCRIBE t").await;
    assert!(described.starts_with("a                   \tint                 \t                    \n"), "{described}");
    assert!(described.contains("# Partition Information"));
    assert!(lake.rows("SHOW CREATE TABLE t").await.starts_with("CREATE EXTERNAL TABLE `db.t`(\n  `a` int, \n"));
    assert!(lake.rows("EXPLAIN SELECT a FROM t").await.starts_with("Query Plan\n"));
    assert!(lake.fails("DESCRIBE nope").await.contains("Table not found nope"));
    lake.run("CREATE TABLE made WITH (format='PARQUET') AS SELECT a, b, CAST(NULL AS double) AS n FROM t")
        .await
        .unwrap();
    let inserted = lake.run("INSERT INTO made (b, a) SELECT 'new', 9").await.unwrap();
    assert_eq!(inserted.update_count, 1);
    assert!(lake.get(&inserted.manifest_location.unwrap()).await.starts_with("s3://results/athena/tables/"));
    lake.run("DROP TABLE t").await.unwrap();
    assert_eq!(lake.rows("SHOW TABLES IN db 't*'").await, "");
    lake.run("CREATE DATABASE other").await.unwrap();
    assert_eq!(lake.rows("SHOW DATABASES").await, "db\nother");
    lake.run("DROP DATABASE other").await.unwrap();
}
