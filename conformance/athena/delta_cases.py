"""deltalake (delta-rs) writes, merges, deletes, optimises and checkpoints on Lakerun's S3; Athena reads each state."""
import datetime
import decimal
import os

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from checks import BUCKET, Athena, case, close, equal, place

OPTIONS = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
           "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"], "AWS_REGION": os.environ.get("AWS_REGION", "us-east-1"),
           "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}

place()
athena = Athena()


def made(name, rows, **how):
    """A Delta table of these rows that Athena knows."""
    uri = f"s3://{BUCKET}/delta/{name}"
    write_deltalake(uri, rows, storage_options=OPTIONS, **how)
    athena.run(f"CREATE EXTERNAL TABLE {name} LOCATION '{uri}/' TBLPROPERTIES ('table_type'='DELTA')")
    return uri


@case
def every_type():
    """Values of each type that deltalake writes."""
    at = datetime.datetime(2024, 5, 1, 10, 0, 0, 123000)
    rows = pa.table({
        "big": pa.array([2**62, None]), "small": pa.array([-7, None], pa.int16()), "yes": pa.array([True, None]), "half": pa.array([0.5, None]),
        "price": pa.array([decimal.Decimal("12345.67"), None], pa.decimal128(9, 2)), "day": pa.array([at.date(), None]),
        "moment": pa.array([at, None], pa.timestamp("us", "UTC")), "clock": pa.array([at, None], pa.timestamp("us")), "raw": pa.array([b"\x01\xff", None]),
        "tags": pa.array([["a", None], None]), "place": pa.array([{"x": 7, "Y": "seven"}, None]),
        "counts": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32()))})
    made("every_type", rows)
    first, second = athena.rows("SELECT * FROM every_type ORDER BY big")
    equal("a row of values", list(first), ["4611686018427387904", "-7", "true", "0.5", "12345.67", "2024-05-01", "2024-05-01 10:00:00.123 UTC",
                                           "2024-05-01 10:00:00.123000", "01 ff", "[a, null]", "{x=7, y=seven}", "{k=1}"])
    equal("a row of nulls", list(second), [None] * 12)


@case
def states_that_follow_each_other():
    """Appends, deletes, merges, updates, optimising, a checkpoint and vacuuming."""
    uri = made("states", pa.table({"k": [1, 2, 3], "v": ["a", "b", "c"], "p": ["x", "y", "x"]}), partition_by=["p"])
    seen = lambda: [tuple(row) for row in athena.rows("SELECT k, v, p FROM states ORDER BY k")]
    equal("as made", seen(), [("1", "a", "x"), ("2", "b", "y"), ("3", "c", "x")])
    write_deltalake(uri, pa.table({"k": [4], "v": ["d"], "p": ["z"]}), mode="append", storage_options=OPTIONS)
    table = DeltaTable(uri, storage_options=OPTIONS)
    table.delete("k = 2")
    table.update(predicate="k = 3", updates={"v": "'new'"})
    (table.merge(pa.table({"k": [1, 9], "v": ["m", "n"], "p": ["x", "z"]}), "s.k = t.k", source_alias="s", target_alias="t")
     .when_matched_update_all().when_not_matched_insert_all().execute())
    after = [("1", "m", "x"), ("3", "new", "x"), ("4", "d", "z"), ("9", "n", "z")]
    equal("after writes of each kind", seen(), after)
    table.optimize.compact()
    table.create_checkpoint()
    table.cleanup_metadata()
    equal("after optimising, by the checkpoint", seen(), after)
    write_deltalake(uri, pa.table({"k": [10], "v": ["e"], "p": ["z"]}), mode="append", storage_options=OPTIONS)
    equal("and by what came after it", seen(), [*after[:4], ("10", "e", "z")])
    table = DeltaTable(uri, storage_options=OPTIONS)
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    equal("after what is no longer needed has gone", len(seen()), 5)
    shown = athena.client.get_query_results(QueryExecutionId=athena.run("SHOW PARTITIONS states"))["ResultSet"]["Rows"]
    equal("partitions", [row["Data"][0]["VarCharValue"] for row in shown], ["p=x", "p=z"])
    equal("one partition", [tuple(row) for row in athena.rows("SELECT count(*), max(k) FROM states WHERE p = 'z'")], [("3", "10")])


@case
def columns_that_come_later():
    """A column that later files have, read of all."""
    uri = made("later", pa.table({"k": [1]}))
    write_deltalake(uri, pa.table({"k": [2], "more": ["x"]}), mode="append", schema_mode="merge", storage_options=OPTIONS)
    equal("with the new column", [tuple(row) for row in athena.rows("SELECT k, more FROM later ORDER BY k")], [("1", None), ("2", "x")])


@case
def a_view_and_a_copy():
    """What is made of a Delta table."""
    made("source", pa.table({"k": [1, 2], "v": ["a", "b"]}))
    athena.run("CREATE VIEW above AS SELECT k FROM source WHERE v > 'a'")
    equal("a view", [tuple(row) for row in athena.rows("SELECT * FROM above")], [("2",)])
    athena.run(f"CREATE TABLE copied WITH (format = 'PARQUET', external_location = 's3://{BUCKET}/copied/') AS SELECT * FROM source")
    equal("CTAS", [tuple(row) for row in athena.rows("SELECT count(*), max(v) FROM copied")], [("2", "b")])


close()
