"""PyAthena: every cursor, both parameter styles, unloaded and reused results, the SQLAlchemy dialect with reflection."""
import functools
import os
from concurrent.futures import wait
from datetime import date, datetime
from decimal import Decimal

import pyarrow.fs
import sqlalchemy as sa
from pyathena import connect
from pyathena.arrow.cursor import ArrowCursor
from pyathena.async_cursor import AsyncCursor
from pyathena.cursor import DictCursor
from pyathena.error import OperationalError
from pyathena.pandas.cursor import PandasCursor
from pyathena.s3fs.cursor import S3FSCursor
from sqlalchemy.sql.ddl import CreateTable

from checks import BUCKET, DATABASE, case, check, close, place

# PyAthena opens pyarrow's file system without an endpoint, and pyarrow does not look for one in the environment.
pyarrow.fs.S3FileSystem = functools.partial(pyarrow.fs.S3FileSystem, endpoint_override=os.environ["AWS_ENDPOINT_URL"])

place()
STAGING = f"s3://{BUCKET}/staging/"
WHERE = dict(s3_staging_dir=STAGING, region_name="us-east-1", schema_name=DATABASE)
TYPES = """SELECT TRUE AS b, CAST(1 AS tinyint) AS t, 2147483647 AS i, 9223372036854775807 AS l, 0.5e0 AS d, DECIMAL '1.10' AS m,
    'text' AS s, DATE '2020-01-02' AS dt, TIMESTAMP '2020-01-02 03:04:05.678' AS ts, ARRAY[1, 2] AS a, X'68656c' AS bin, NULL AS n"""


@case
def default_cursor():
    cursor = connect(**WHERE).cursor()
    cursor.execute(TYPES)
    check("description", [c[1] for c in cursor.description][:7] == ["boolean", "tinyint", "integer", "bigint", "double", "decimal", "varchar"], cursor.description)
    row = cursor.fetchone()
    check("values", row[:9] == (True, 1, 2147483647, 9223372036854775807, 0.5, Decimal("1.10"), "text", date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 678000)), row)
    check("null", row[11] is None, row)
    check("state", cursor.state == "SUCCEEDED" and cursor.query_id and cursor.output_location.startswith(STAGING))
    check("figures", cursor.total_execution_time_in_millis > 0 and cursor.engine_execution_time_in_millis > 0)
    check("many rows over pages", len(connect(**WHERE).cursor().execute("SELECT n FROM UNNEST(sequence(1, 2500)) AS t (n)").fetchall()) == 2500)


@case
def dict_cursor():
    check("dict", connect(**WHERE).cursor(DictCursor).execute("SELECT 1 AS a, 'x' AS b").fetchall() == [{"a": 1, "b": "x"}])


@case
def parameters():
    cursor = connect(**WHERE).cursor()
    check("pyformat", cursor.execute("SELECT %(a)s, %(n)d", {"a": "it's", "n": 3}).fetchone() == ("it's", 3))
    check("qmark", cursor.execute("SELECT ?, ?", ["'x'", "4"], paramstyle="qmark").fetchone() == ("x", 4))
    cursor.execute("PREPARE conformance_p FROM SELECT ? AS a")
    check("execute", cursor.execute("EXECUTE conformance_p USING 'v'").fetchone() == ("v",))
    cursor.execute("DEALLOCATE PREPARE conformance_p")


@case
def pandas_cursor():
    frame = connect(**WHERE).cursor(PandasCursor).execute("SELECT 1 AS a, 'x' AS b, CAST(NULL AS varchar) AS c").as_pandas()
    check("pandas", frame.shape == (1, 3) and frame["a"][0] == 1, frame)
    frame = connect(**WHERE).cursor(PandasCursor, unload=True).execute("SELECT 1 AS a, 'x' AS b").as_pandas()
    check("pandas unloaded", frame.shape == (1, 2), frame)
    rows = connect(**WHERE).cursor(PandasCursor).execute("SHOW DATABASES").fetchall()
    check("utility statement", any(DATABASE in str(row) for row in rows), rows)


@case
def arrow_cursor():
    table = connect(**WHERE).cursor(ArrowCursor).execute("SELECT 1 AS a, TIMESTAMP '2020-01-01 00:00:00' AS t").as_arrow()
    check("arrow", table.num_rows == 1 and table.column_names == ["a", "t"], table)
    table = connect(**WHERE).cursor(ArrowCursor, unload=True).execute("SELECT 1 AS a, 'x' AS b").as_arrow()
    check("arrow unloaded", table.num_rows == 1, table)


@case
def s3fs_cursor():
    check("s3fs", connect(**WHERE).cursor(S3FSCursor).execute("SELECT 1 AS a, 'x' AS b").fetchall() == [(1, "x")])


@case
def async_cursor():
    cursor = connect(**WHERE).cursor(AsyncCursor)
    _, future = cursor.execute("SELECT 7 AS a")
    wait([future])
    check("async", future.result().fetchall() == [(7,)])
    cursor.close()


@case
def reused_results():
    cursor = connect(**WHERE).cursor()
    sql = "SELECT 11 AS reused"
    cursor.execute(sql, result_reuse_enable=True, result_reuse_minutes=5)
    cursor.execute(sql, result_reuse_enable=True, result_reuse_minutes=5)
    check("reused", cursor.reused_previous_result is True and cursor.fetchall() == [(11,)], cursor.reused_previous_result)


@case
def errors():
    for sql, text in (("SELECT nope", "COLUMN_NOT_FOUND"), ("SELECT * FROM nope", "TABLE_NOT_FOUND")):
        try:
            connect(**WHERE).cursor().execute(sql)
            check(sql, False, "succeeded")
        except OperationalError as error:
            check(sql, text in str(error), error)


@case
def many_terms():
    """dbt asks so for the partitions that it writes at once."""
    terms = " OR ".join(f"p = '{n}'" for n in range(1, 101))
    cursor = connect(**WHERE).cursor()
    cursor.execute(f"SELECT count(*) FROM (SELECT CAST(n AS varchar) AS p FROM UNNEST(sequence(1, 130)) AS t(n)) WHERE {terms}")
    check("a condition of a hundred terms", cursor.fetchall() == [(100,)])


@case
def iceberg():
    cursor = connect(**WHERE).cursor()
    cursor.execute(f"CREATE TABLE ice (id int, v string) LOCATION 's3://{BUCKET}/ice/' TBLPROPERTIES ('table_type'='ICEBERG')")
    cursor.execute("INSERT INTO ice VALUES (1, 'a'), (2, 'b')")
    check("rowcount of INSERT", cursor.rowcount == 2, cursor.rowcount)
    cursor.execute("UPDATE ice SET v = 'c' WHERE id = 1")
    check("rowcount of UPDATE", cursor.rowcount == 1, cursor.rowcount)
    cursor.execute("DELETE FROM ice WHERE id = 2")
    cursor.execute("MERGE INTO ice t USING (SELECT 3 AS id, 'n' AS v) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)")
    check("rows", cursor.execute("SELECT * FROM ice ORDER BY id").fetchall() == [(1, "c"), (3, "n")])
    cursor.execute("OPTIMIZE ice REWRITE DATA USING BIN_PACK")
    cursor.execute("VACUUM ice")


@case
def dialect():
    engine = sa.create_engine(f"awsathena+rest://:@athena.us-east-1.amazonaws.com:443/{DATABASE}?s3_staging_dir={STAGING}")
    with engine.connect() as connection:
        check("scalar", connection.execute(sa.text("SELECT 1")).scalar() == 1)
        table = sa.Table(
            "made", sa.MetaData(schema=DATABASE), sa.Column("a", sa.Integer, comment="the a"), sa.Column("s", sa.String),
            awsathena_location=f"s3://{BUCKET}/made/", awsathena_file_format="PARQUET", awsathena_compression="SNAPPY",
        )
        table.create(connection)
        connection.execute(table.insert().values(a=1, s="x"))
        check("inserted", connection.execute(sa.select(table)).fetchall() == [(1, "x")])
        inspector = sa.inspect(engine)
        check("schemas", DATABASE in inspector.get_schema_names())
        check("tables", "made" in inspector.get_table_names(schema=DATABASE))
        columns = inspector.get_columns("made", schema=DATABASE)
        check("columns", [c["name"] for c in columns] == ["a", "s"] and columns[0]["comment"] == "the a", columns)
        again = sa.Table("made", sa.MetaData(schema=DATABASE), autoload_with=connection)
        check("reflected", again.dialect_options["awsathena"]["location"] == f"s3://{BUCKET}/made", dict(again.dialect_options["awsathena"]))
        check("DDL", "EXTERNAL TABLE" in str(CreateTable(again).compile(engine)))
        check("missing", not inspector.has_table("nope", schema=DATABASE))


close()
