"""Spark's RESTCatalog on the same tables as Athena's statements. ICEBERG_JARS names Iceberg's Spark runtime and AWS bundle, separated by
commas; without it Spark fetches them from Maven Central."""
import os

import boto3
from pyspark.sql import SparkSession

from checks import BUCKET, DATABASE, Athena, case, close, equal, place, refused

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ.get("AWS_REGION", "us-east-1")
PACKAGES = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0,org.apache.iceberg:iceberg-aws-bundle:1.10.0"

place()
athena = Athena()


def session():
    jars = os.environ.get("ICEBERG_JARS")
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.memory", "700m")
    builder = builder.config("spark.jars", jars) if jars else builder.config("spark.jars.packages", PACKAGES)
    builder = builder.config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    shared = {"type": "rest", "uri": f"{ENDPOINT}/iceberg", "warehouse": f"s3://{BUCKET}/spark", "io-impl": "org.apache.iceberg.aws.s3.S3FileIO"}
    ways = {
        "lake": {"credential": f"{KEY}:{SECRET}", "header.X-Iceberg-Access-Delegation": "vended-credentials"},
        "signed": {"rest.sigv4-enabled": "true", "rest.signing-name": "glue", "rest.signing-region": REGION, "rest.access-key-id": KEY,
                   "rest.secret-access-key": SECRET, "s3.access-key-id": KEY, "s3.secret-access-key": SECRET},
    }
    for name, own in ways.items():
        builder = builder.config(f"spark.sql.catalog.{name}", "org.apache.iceberg.spark.SparkCatalog")
        for key, value in {**shared, **own}.items():
            builder = builder.config(f"spark.sql.catalog.{name}.{key}", value)
    return builder.getOrCreate()


spark = session()


def rows(sql):
    return [tuple(row) for row in spark.sql(sql).collect()]


@case
def statements():
    spark.sql(f"""CREATE TABLE lake.{DATABASE}.own (id bigint NOT NULL, name string COMMENT 'of it', at timestamp_ntz, price decimal(9,2))
                  USING iceberg PARTITIONED BY (days(at), bucket(4, id)) TBLPROPERTIES ('write.delete.mode'='merge-on-read')""")
    spark.sql(f"""INSERT INTO lake.{DATABASE}.own VALUES (1, 'a', TIMESTAMP_NTZ '2024-05-01 10:00:00', 1.5), (2, NULL, NULL, NULL),
                  (3, 'c', TIMESTAMP_NTZ '2024-05-02 00:00:00', 3)""")
    spark.sql(f"DELETE FROM lake.{DATABASE}.own WHERE id = 2")
    equal("Athena reads it", athena.rows("SELECT id, name, at, price FROM own ORDER BY id"),
          [["1", "a", "2024-05-01 10:00:00.000000", "1.50"], ["3", "c", "2024-05-02 00:00:00.000000", "3.00"]])
    athena.run("INSERT INTO own VALUES (4, 'd', NULL, 4)")
    spark.sql(f"REFRESH TABLE lake.{DATABASE}.own")
    spark.sql(f"""MERGE INTO lake.{DATABASE}.own t USING (SELECT 4 AS id, 'dd' AS name) s ON t.id = s.id
                  WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)""")
    equal("rows of both, by a signature", rows(f"SELECT id, name FROM signed.{DATABASE}.own ORDER BY id"), [(1, "a"), (3, "c"), (4, "dd")])
    spark.sql(f"CREATE OR REPLACE TABLE lake.{DATABASE}.own USING iceberg AS SELECT CAST(7 AS bigint) AS n")
    equal("the table that took its place", athena.rows("SELECT n FROM own"), [["7"]])


@case
def evolution():
    name = f"signed.{DATABASE}.grown"
    spark.sql(f"CREATE TABLE {name} USING iceberg AS SELECT id, CAST(id AS string) AS text FROM range(10)")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN more struct<x:int,y:array<string>> AFTER id")
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN text TO word")
    spark.sql(f"ALTER TABLE {name} ADD PARTITION FIELD truncate(1, word)")
    spark.sql(f"ALTER TABLE {name} WRITE ORDERED BY id DESC")
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('note'='x')")
    spark.sql(f"INSERT INTO {name} SELECT 10, named_struct('x', 1, 'y', array('p')), 'ten'")
    equal("Athena sees the columns", athena.rows("SELECT id, more, word FROM grown WHERE id > 8 ORDER BY id"),
          [["9", None, "9"], ["10", "{x=1, y=[p]}", "ten"]])
    spark.sql(f"ALTER TABLE {name} CREATE TAG before")
    first = rows(f"SELECT snapshot_id FROM {name}.snapshots ORDER BY committed_at")[0][0]
    spark.sql(f"CALL signed.system.rollback_to_snapshot('{DATABASE}.grown', {first})")
    equal("after the way back", athena.rows("SELECT count(*) FROM grown"), [["10"]])
    spark.sql(f"CALL signed.system.expire_snapshots(table => '{DATABASE}.grown', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)")
    spark.sql(f"CALL signed.system.rewrite_data_files('{DATABASE}.grown')")
    equal("after upkeep", rows(f"SELECT count(*) FROM {name}"), [(10,)])
    spark.sql(f"ALTER TABLE {name} RENAME TO {DATABASE}.renamed")
    equal("its new name", athena.rows("SELECT count(*) FROM renamed"), [["10"]])
    spark.sql(f"DROP TABLE signed.{DATABASE}.renamed PURGE")
    refused("it is gone", "renamed", lambda: athena.rows("SELECT * FROM renamed"))


@case
def namespaces():
    spark.sql(f"CREATE NAMESPACE lake.{DATABASE}_s COMMENT 'by Spark' LOCATION 's3://{BUCKET}/s'")
    found = boto3.client("glue", region_name=REGION).get_database(Name=f"{DATABASE}_s")["Database"]
    equal("the database", (found["Description"], found["LocationUri"]), ("by Spark", f"s3://{BUCKET}/s"))
    equal("it is listed", (f"{DATABASE}_s",) in rows("SHOW NAMESPACES IN lake"), True)
    athena.run(f"CREATE TABLE {DATABASE}_s.t (x int) LOCATION 's3://{BUCKET}/s/t/' TBLPROPERTIES ('table_type'='ICEBERG', 'format'='parquet')")
    equal("its tables", [row[1] for row in rows(f"SHOW TABLES IN lake.{DATABASE}_s")], ["t"])
    refused("a namespace with tables", "not empty", lambda: spark.sql(f"DROP NAMESPACE lake.{DATABASE}_s"))
    spark.sql(f"DROP TABLE lake.{DATABASE}_s.t")
    spark.sql(f"DROP NAMESPACE lake.{DATABASE}_s")
    refused("a view", "", lambda: spark.sql(f"CREATE VIEW lake.{DATABASE}.v AS SELECT 1"))


close()
