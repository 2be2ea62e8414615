"""pyiceberg's Glue catalog and Athena on the same tables: each reads and changes what the other wrote."""
import datetime
import decimal
import os

import boto3
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, TruncateTransform
from pyiceberg.types import (DateType, DecimalType, DoubleType, IntegerType, ListType, LongType, NestedField, StringType,
                             StructType, TimestampType, TimestamptzType)

from checks import BUCKET, DATABASE, Athena, case, check, close, equal, place

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


def catalog():
    keys = {"access-key-id": os.environ["AWS_ACCESS_KEY_ID"], "secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "region": os.environ.get("AWS_REGION", "us-east-1"), "endpoint": ENDPOINT}
    options = {f"{service}.{key}": value for service in ("glue", "s3") for key, value in keys.items()}
    return load_catalog("glue", **{"type": "glue", "warehouse": f"s3://{BUCKET}/warehouse", "s3.force-virtual-addressing": "false", **options})


place()
athena, glue = Athena(), catalog()


@case
def tables_of_athena():
    """What Athena's statements make, pyiceberg reads."""
    athena.run(f"""CREATE TABLE made (id bigint, kind string, at timestamp, tz timestamptz, price decimal(9,2), tags array<string>,
                   place struct<x:int,y:string>) PARTITIONED BY (truncate(2, kind), day(at), bucket(4, id))
                   LOCATION 's3://{BUCKET}/made/' TBLPROPERTIES ('table_type'='ICEBERG', 'write_compression'='zstd')""")
    athena.run("""INSERT INTO made VALUES
                  (1, 'apple', TIMESTAMP '2024-05-01 10:00:00.123456', TIMESTAMP '2024-05-01 10:00:00 +02:00', 1.5, ARRAY['a', NULL],
                   CAST(ROW(7, 'seven') AS ROW(x integer, y varchar))),
                  (2, 'pear', TIMESTAMP '2024-05-02 00:00:00', NULL, NULL, NULL, NULL),
                  (3, NULL, NULL, NULL, 3, ARRAY[], NULL)""")
    table = glue.load_table(f"{DATABASE}.made")
    equal("the partition spec", [f"{field.name}={field.transform}" for field in table.spec().fields],
                ["kind_trunc=truncate[2]", "at_day=day", "id_bucket=bucket[4]"])
    rows = sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["id"])
    utc = datetime.timezone.utc
    equal("every value of a row", rows[0], {
        "id": 1, "kind": "apple", "at": datetime.datetime(2024, 5, 1, 10, 0, 0, 123456),
        "tz": datetime.datetime(2024, 5, 1, 8, 0, tzinfo=utc), "price": decimal.Decimal("1.50"), "tags": ["a", None],
        "place": {"x": 7, "y": "seven"}})
    equal("nulls", [(row["kind"], row["price"], row["tags"]) for row in rows[1:]],
                [("pear", None, None), (None, decimal.Decimal("3.00"), [])])
    planned = list(table.scan(row_filter="id == 2 and kind == 'pear'").plan_files())
    equal("pyiceberg plans one file", len(planned), 1)
    equal("and the file's figures are true", planned[0].file.record_count, 1)
    equal("rows by a partition", len(table.scan(row_filter="kind == 'apple'").to_arrow()), 1)
    equal("rows by a bound", len(table.scan(row_filter="price > 2").to_arrow()), 1)
    athena.run("DELETE FROM made WHERE id = 2")
    athena.run("UPDATE made SET price = price + 1 WHERE id = 1")
    athena.run("""MERGE INTO made AS t USING (VALUES (BIGINT '3', 'plum'), (BIGINT '9', 'fig')) AS s (id, kind) ON t.id = s.id
                  WHEN MATCHED THEN UPDATE SET kind = s.kind WHEN NOT MATCHED THEN INSERT (id, kind) VALUES (s.id, s.kind)""")
    table.refresh()
    rows = sorted((row["id"], row["kind"], row["price"]) for row in table.scan().to_arrow().to_pylist() if row["price"])
    equal("DELETE, UPDATE and MERGE", rows, [(1, "apple", decimal.Decimal("2.50")), (3, "plum", decimal.Decimal("3.00"))])
    equal("what snapshots say", [(one.summary.operation.value, one.summary["total-records"]) for one in table.snapshots()],
                [("append", "3"), ("delete", "2"), ("overwrite", "2"), ("overwrite", "3")])
    equal("an older state", len(table.scan(snapshot_id=table.snapshots()[0].snapshot_id).to_arrow()), 3)
    athena.run("ALTER TABLE made ADD COLUMNS (note string)")
    athena.run("ALTER TABLE made CHANGE COLUMN price cost decimal(12,2)")
    table.refresh()
    equal("changed columns", [field.name for field in table.schema().fields],
                ["id", "kind", "at", "tz", "cost", "tags", "place", "note"])
    table.append(pa.Table.from_pylist([{"id": 20, "kind": "kiwi", "note": "from python"}], schema=table.schema().as_arrow()))
    equal("pyiceberg appends to it", athena.rows("SELECT id, note FROM made WHERE kind = 'kiwi'"), [["20", "from python"]])
    athena.run("OPTIMIZE made REWRITE DATA USING BIN_PACK")
    athena.run("ALTER TABLE made SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds'='0')")
    athena.run("VACUUM made")
    table.refresh()
    equal("after OPTIMIZE and VACUUM", (len(table.snapshots()), len(table.scan().to_arrow())), (1, 4))
    equal("files that are inspected", table.inspect.files().num_rows, int(athena.rows('SELECT count(*) FROM "made$files"')[0][0]))
    athena.run("DROP TABLE made")
    left = boto3.client("s3", region_name="us-east-1").list_objects_v2(Bucket=BUCKET, Prefix="made/").get("KeyCount")
    equal("DROP TABLE takes the files along", left, 0)


@case
def tables_of_pyiceberg():
    """What pyiceberg makes, Athena reads and changes."""
    schema = Schema(
        NestedField(1, "Id", LongType(), required=True), NestedField(2, "name", StringType()), NestedField(3, "day", DateType()),
        NestedField(4, "at", TimestampType()), NestedField(5, "tz", TimestamptzType()), NestedField(6, "price", DecimalType(12, 3)),
        NestedField(7, "score", DoubleType()),
        NestedField(8, "items", ListType(9, StructType(NestedField(10, "n", IntegerType()), NestedField(11, "s", StringType())))))
    spec = PartitionSpec(
        PartitionField(1, 1000, BucketTransform(8), "id_bucket"), PartitionField(4, 1001, DayTransform(), "at_day"),
        PartitionField(2, 1002, TruncateTransform(1), "initial"), PartitionField(3, 1003, IdentityTransform(), "day"),
        PartitionField(6, 1004, IdentityTransform(), "price"))
    table = glue.create_table(f"{DATABASE}.theirs", schema, partition_spec=spec, location=f"s3://{BUCKET}/theirs")
    utc = datetime.timezone.utc
    data = [{"Id": n, "name": f"name {n % 3}", "day": datetime.date(2024, 1, 1 + n % 2), "at": datetime.datetime(2023, 12, 31, 23, 0) + datetime.timedelta(hours=n),
             "tz": datetime.datetime(2024, 1, 1, n, tzinfo=utc), "price": decimal.Decimal(f"{n}.125"), "score": n / 2,
             "items": [{"n": n, "s": None}]} for n in range(6)]
    data.append({"Id": 99, "name": None, "day": None, "at": None, "tz": None, "price": None, "score": None, "items": None})
    table.append(pa.Table.from_pylist(data, schema=table.schema().as_arrow()))
    equal("all rows", athena.rows("SELECT count(*), sum(id), sum(price) FROM theirs"), [["7", "114", "15.750"]])
    equal("every value", athena.rows("SELECT id, name, day, at, tz, price, score, items FROM theirs WHERE id = 2"),
                [["2", "name 2", "2024-01-01", "2024-01-01 01:00:00.000000", "2024-01-01 02:00:00.000000 UTC", "2.125", "1.0", "[{n=2, s=null}]"]])
    equal("nulls", athena.rows("SELECT id FROM theirs WHERE day IS NULL AND name IS NULL"), [["99"]])
    equal("rows by a partition", athena.rows("SELECT id FROM theirs WHERE price = DECIMAL '3.125'"), [["3"]])
    equal("columns as Athena lists them", [row[0].strip() for row in athena.rows(
        f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{DATABASE}' AND table_name = 'theirs'")],
        ["id", "name", "day", "at", "tz", "price", "score", "items"])
    athena.run("INSERT INTO theirs (id, name, price) VALUES (7, 'x', 7)")
    athena.run("DELETE FROM theirs WHERE id < 3")
    table.refresh()
    equal("pyiceberg after INSERT and DELETE", sorted(table.scan().to_arrow()["Id"].to_pylist()), [3, 4, 5, 7, 99])
    table.delete("Id == 99")
    equal("Athena after pyiceberg's delete", athena.rows("SELECT count(*) FROM theirs"), [["4"]])
    with table.update_schema() as update:
        update.rename_column("name", "title").add_column("extra", IntegerType()).update_column("score", doc="a note")
    with table.update_spec() as update:
        update.remove_field("initial").remove_field("price")
    table.append(pa.Table.from_pylist([{"Id": 50, "title": "new", "extra": 5}], schema=table.schema().as_arrow()))
    equal("other columns and another partitioning", athena.rows("SELECT id, title, extra FROM theirs WHERE id > 4 ORDER BY id"),
                [["5", "name 2", None], ["7", "x", None], ["50", "new", "5"]])
    equal("rows by a partition of before", athena.rows("SELECT id FROM theirs WHERE price = DECIMAL '4.125'"), [["4"]])
    athena.run("UPDATE theirs SET extra = 1 WHERE extra IS NULL")
    table.refresh()
    equal("UPDATE over both partitionings", sorted(table.scan().to_arrow()["extra"].to_pylist()), [1, 1, 1, 1, 5])
    equal("history", len(athena.rows('SELECT * FROM "theirs$history"')), len(table.history()))
    glue.drop_table(f"{DATABASE}.theirs")


@case
def two_writers():
    """A commit that another was faster than is told so."""
    schema = Schema(NestedField(1, "a", IntegerType()))
    mine = glue.create_table(f"{DATABASE}.both", schema, location=f"s3://{BUCKET}/both")
    one = pa.Table.from_pylist([{"a": 1}], schema=schema.as_arrow())
    stale = glue.load_table(f"{DATABASE}.both")
    athena.run("INSERT INTO both VALUES 5")
    try:
        stale.append(one)
        told = "nothing"
    except CommitFailedException as error:
        told = type(error).__name__
    equal("pyiceberg is told of Athena's commit", told, "CommitFailedException")
    mine.refresh()
    mine.append(one)
    equal("rows of both", athena.rows("SELECT a FROM both ORDER BY a"), [["1"], ["5"]])


close()
