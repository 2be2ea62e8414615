//! Names of other catalogs than the account's in Glue.

use query::catalog::Catalog as _;

use crate::{LAZY, Lake};

async fn lake() -> Lake {
    let lake = Lake::new().await;
    lake.table("t", "a int", "", LAZY, &[]).await;
    lake.put("t/1", "1\n").await;
    lake.step("CREATE TABLE i (a int) LOCATION 's3://b/i/' TBLPROPERTIES ('table_type'='ICEBERG')").await;
    lake.step("INSERT INTO i VALUES 1, 2").await;
    lake.step("CREATE VIEW v AS SELECT a FROM t").await;
    lake
}

/// A table of the same name in the account's catalog is another table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_another_catalog_is_not_taken_from_glues() {
    let lake = lake().await;
    for sql in [
        "SELECT * FROM other.db.t",
        "SELECT * FROM \"Other\".\"db\".\"t\"",
        "SELECT a FROM i WHERE a IN (SELECT a FROM other.db.t)",
        "WITH x AS (SELECT * FROM other.db.i) SELECT * FROM x",
        "SELECT * FROM other.information_schema.tables",
        "EXPLAIN SELECT * FROM other.db.t",
        "UNLOAD (SELECT * FROM other.db.t) TO 's3://b/u/' WITH (format = 'PARQUET')",
        "CREATE TABLE c AS SELECT * FROM other.db.t",
        "CREATE TABLE other.db.c AS SELECT 1 AS a",
        "CREATE VIEW w AS SELECT * FROM other.db.t",
        "CREATE OR REPLACE VIEW other.db.v AS SELECT 2 AS a",
        "INSERT INTO other.db.t VALUES 5",
        "INSERT INTO i SELECT a FROM other.db.t",
        "DELETE FROM other.db.i WHERE a = 1",
        "DELETE FROM i WHERE a IN (SELECT a FROM other.db.t)",
        "UPDATE other.db.i SET a = 7",
        "MERGE INTO other.db.i USING t ON i.a = t.a WHEN MATCHED THEN DELETE",
        "MERGE INTO i USING other.db.t AS s ON i.a = s.a WHEN MATCHED THEN DELETE",
        "OPTIMIZE other.db.i REWRITE DATA USING BIN_PACK",
        "VACUUM other.db.i",
        "DROP TABLE other.db.t",
        "DROP TABLE IF EXISTS `other`.`db`.`i`",
        "DROP VIEW other.db.v",
        "DROP DATABASE other.db CASCADE",
        "CREATE DATABASE other.new",
        "ALTER DATABASE other.db SET DBPROPERTIES ('a'='b')",
        "ALTER TABLE other.db.t SET TBLPROPERTIES ('a'='b')",
        "ALTER TABLE t RENAME TO other.db.u",
        "SHOW TABLES IN other.db",
        "SHOW COLUMNS IN t IN other.db",
        "DESCRIBE other.db.t",
        "EXECUTE IMMEDIATE 'DROP TABLE other.db.t'",
    ] {
        let error = lake.fails(sql).await;
        assert!(error.starts_with("CATALOG_NOT_FOUND: line 1:"), "{sql}: {error}");
        assert!(error.ends_with("Catalog 'other' does not exist"), "{sql}: {error}");
    }
    assert_eq!(
        lake.fails("SELECT * FROM other.db.t").await,
        "CATALOG_NOT_FOUND: line 1:15: Catalog 'other' does not exist"
    );
    assert_eq!(
        lake.rows("SELECT (SELECT sum(a) FROM t), (SELECT sum(a) FROM i), a FROM v").await,
        "\"1\",\"3\",\"1\"\n"
    );
    assert!(lake.catalog.table("db", "c").await.unwrap().is_none());
    assert!(lake.catalog.database("new").await.unwrap().is_none());
}

/// Every data catalog that stands for the account's names the same tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_catalog_has_all_of_its_names() {
    let lake = lake().await;
    for sql in [
        "SELECT a FROM awsdatacatalog.db.t",
        "SELECT a FROM \"AwsDataCatalog\".\"db\".\"t\"",
        "SELECT t.a FROM second.db.t",
        "SELECT x.a FROM \"Second\".db.t AS x WHERE x.a IN (SELECT a FROM awsdatacatalog.db.i)",
        "SELECT 1 FROM awsdatacatalog.information_schema.tables WHERE table_schema = 'db' AND table_name = 't'",
    ] {
        assert_eq!(lake.rows(sql).await, "\"1\"\n", "{sql}");
    }
    lake.step("DELETE FROM awsdatacatalog.db.i WHERE a = 1").await;
    lake.step("INSERT INTO second.db.i VALUES 5").await;
    assert_eq!(lake.rows("SELECT sum(a) FROM i").await, "\"7\"\n");
    lake.step("SHOW TABLES IN awsdatacatalog.db").await;
    lake.step("CREATE DATABASE second.more").await;
    lake.step("DROP DATABASE `awsdatacatalog`.`more`").await;
    lake.step("DROP TABLE `awsdatacatalog`.`db`.`t`").await;
    assert!(lake.catalog.table("db", "t").await.unwrap().is_none());
}

/// The catalog of the context is obeyed as one that a name has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_without_a_catalog_are_of_the_contexts() {
    let lake = lake().await;
    for sql in ["SELECT a FROM t", "DROP TABLE t", "SHOW TABLES", "SELECT 1"] {
        let error = lake.run_in("other", sql).await.unwrap_err().message;
        assert_eq!(error, "CATALOG_NOT_FOUND: line 1:1: Catalog 'other' does not exist", "{sql}");
    }
    for catalog in ["", "awsdatacatalog", "AwsDataCatalog", "SECOND"] {
        lake.run_in(catalog, "SELECT a FROM t").await.unwrap();
    }
}
