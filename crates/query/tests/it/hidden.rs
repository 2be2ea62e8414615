//! Hidden columns through views, WITH and joins; texts without a character as the values of partitions; tables that go on under another name.

use query::catalog::Catalog as _;

use crate::{LAZY, Lake};

async fn files() -> Lake {
    let lake = Lake::new().await;
    lake.table("t", "a int, b string", "", LAZY, &[("field.delim", ",")]).await;
    lake.put("t/1.csv", "1,x\n").await;
    lake.put("t/2.csv", "2,y\n3,z\n").await;
    lake
}

#[tokio::test]
async fn each_query_sees_the_hidden_columns_that_it_names() {
    let lake = files().await;
    lake.step("CREATE VIEW shown AS SELECT *, \"$path\" AS place FROM t").await;
    lake.step("CREATE VIEW plain AS SELECT * FROM t").await;
    lake.step("CREATE VIEW named AS SELECT a, \"$file_size\" FROM t").await;
    for (sql, rows) in [
        // A view's own, whatever who reads it names.
        ("SELECT * FROM shown WHERE a = 1", "\"1\",\"x\",\"s3://b/t/1.csv\"\n"),
        ("SELECT p.*, t.\"$path\" FROM t JOIN plain p ON p.a = t.a WHERE t.a = 3", "\"3\",\"z\",\"s3://b/t/2.csv\"\n"),
        (
            "SELECT s.*, t.\"$file_size\" FROM t JOIN shown s ON s.a = t.a WHERE t.a = 1",
            "\"1\",\"x\",\"s3://b/t/1.csv\",\"4\"\n",
        ),
        // A column of a view that is called so is shown.
        ("SELECT * FROM named WHERE a = 1", "\"1\",\"4\"\n"),
        ("SELECT *, \"$file_size\" FROM named WHERE a = 2", "\"2\",\"8\",\"8\"\n"),
        // WITH and queries in parentheses.
        ("WITH c AS (SELECT \"$path\", a FROM t) SELECT * FROM c WHERE a = 1", "\"s3://b/t/1.csv\",\"1\"\n"),
        ("WITH t AS (SELECT *, \"$file_size\" AS s FROM t) SELECT * FROM t WHERE a = 1", "\"1\",\"x\",\"4\"\n"),
        ("SELECT * FROM (SELECT \"$path\" FROM t WHERE a = 2)", "\"s3://b/t/2.csv\"\n"),
        ("SELECT count(*) FROM (SELECT * FROM t WHERE \"$path\" LIKE '%2.csv')", "\"2\"\n"),
        // Several relations with some, and beside those without.
        ("SELECT * FROM t x JOIN t y ON x.\"$path\" = y.\"$path\" AND x.a < y.a", "\"2\",\"y\",\"3\",\"z\"\n"),
        ("SELECT * FROM t, (VALUES 7) v(n) WHERE \"$file_size\" = 4", "\"1\",\"x\",\"7\"\n"),
        ("SELECT v.*, t.* FROM t, (VALUES 7) v(n) WHERE \"$file_size\" = 4", "\"7\",\"1\",\"x\"\n"),
        ("SELECT * FROM t JOIN plain USING (a) WHERE \"$file_size\" = 4", "\"1\",\"x\",\"x\"\n"),
        ("SELECT t.* AS (p, q) FROM t WHERE \"$file_size\" = 4", "\"1\",\"x\"\n"),
        (
            "SELECT DISTINCT typeof(\"$file_modified_time\"), \"$partition\" FROM t",
            "\"timestamp(3) with time zone\",\"\"\n",
        ),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    for sql in ["SELECT \"$path\" FROM plain", "WITH c AS (SELECT * FROM t) SELECT \"$path\" FROM c"] {
        let error = lake.fails(sql).await;
        assert!(error.starts_with("COLUMN_NOT_FOUND: "), "{sql}: {error}");
    }
}

/// Hive has one folder for texts without a character and for nulls, and reads nulls from it; so have Trino and Spark.
#[tokio::test]
async fn an_empty_text_as_the_value_of_a_partition() {
    let lake = Lake::new().await;
    lake.step("CREATE EXTERNAL TABLE p (a int) PARTITIONED BY (k string) STORED AS PARQUET LOCATION 's3://b/p/'").await;
    lake.step("INSERT INTO p VALUES (1, ''), (2, NULL), (3, 'x')").await;
    assert_eq!(lake.keys("p/k=").await.len(), 0);
    assert_eq!(lake.rows("SELECT a, k FROM p ORDER BY a").await, "\"1\",\n\"2\",\n\"3\",\"x\"\n");
    assert_eq!(lake.rows("SELECT a FROM p WHERE k = ''").await, "");
    assert_eq!(lake.rows("SELECT a FROM p WHERE k IS NULL ORDER BY a").await, "\"1\"\n\"2\"\n");
    assert_eq!(lake.rows("SELECT k FROM \"p$partitions\" ORDER BY k").await, "\"x\"\n\n");
    assert_eq!(
        lake.rows("SELECT DISTINCT \"$partition\" FROM p ORDER BY 1").await,
        "\"k=__HIVE_DEFAULT_PARTITION__\"\n\"k=x\"\n"
    );
    // What others have registered with an empty text is read as one.
    lake.table("q", "a string", "k string", LAZY, &[]).await;
    lake.put("q/k=/1.csv", "1\n").await;
    lake.put("q/k=y/1.csv", "2\n").await;
    lake.step("MSCK REPAIR TABLE q").await;
    assert_eq!(lake.rows("SELECT a, k FROM q ORDER BY a").await, "\"1\",\"\"\n\"2\",\"y\"\n");
    assert_eq!(lake.rows("SELECT a FROM q WHERE k = ''").await, "\"1\"\n");
    assert_eq!(lake.rows("SELECT a FROM q WHERE k <> ''").await, "\"2\"\n");
    assert_eq!(lake.rows("SELECT a FROM q WHERE k IS NULL").await, "");
    assert_eq!(lake.rows("SELECT k FROM \"q$partitions\" ORDER BY k").await, "\"\"\n\"y\"\n");
}

/// A table that is renamed while rows come: they come to the end of one name, or not at all.
#[tokio::test]
async fn rows_for_a_table_that_is_being_renamed() {
    let lake = Lake::new().await;
    lake.step("CREATE EXTERNAL TABLE p (a int) PARTITIONED BY (k string) STORED AS PARQUET LOCATION 's3://b/p/'").await;
    lake.step("INSERT INTO p VALUES (1, 'x')").await;
    // The statement has begun before, and ends after.
    let before = lake.catalog_table("p").await;
    lake.catalog.meanwhile("create_partitions", move |catalog| {
        let _ = futures::executor::block_on(catalog.rename_table("db", &before, "q"));
    });
    assert!(lake.try_step("INSERT INTO p VALUES (2, 'y')").await.is_err());
    lake.step("ALTER TABLE q RENAME TO p").await;
    lake.step("ALTER TABLE p RENAME TO q").await;
    assert_eq!(lake.rows("SELECT a, k FROM q WHERE k = 'x'").await, "\"1\",\"x\"\n");
    assert!(lake.fails("SELECT * FROM p").await.starts_with("TABLE_NOT_FOUND: "));
    // Who commits to a table of Iceberg finds nothing to commit to.
    lake.step("CREATE TABLE i (a int) LOCATION 's3://b/i/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO i VALUES 1").await;
    lake.step("ALTER TABLE i RENAME TO j").await;
    lake.step("INSERT INTO j VALUES 2").await;
    assert_eq!(lake.rows("SELECT a FROM j ORDER BY a").await, "\"1\"\n\"2\"\n");
    let mut table = lake.catalog_table("j").await;
    table.parameters.remove("metadata_location");
    lake.put_table(table).await;
    assert!(lake.try_step("INSERT INTO j VALUES 3").await.is_err());
}
