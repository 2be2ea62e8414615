"""dlt's athena destination: append, replace, merge, nested tables, schema evolution; in Hive's tables and Iceberg's."""
import os
import datetime
from checks import BUCKET, DATABASE, case, check, close, place

place()
os.environ.update({
    "DESTINATION__FILESYSTEM__BUCKET_URL": f"s3://{BUCKET}/dlt",
    "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
    "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    "DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    "DESTINATION__FILESYSTEM__CREDENTIALS__REGION_NAME": "us-east-1",
    "DESTINATION__ATHENA__QUERY_RESULT_BUCKET": f"s3://{BUCKET}/results",
    "DESTINATION__ATHENA__CREDENTIALS__AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
    "DESTINATION__ATHENA__CREDENTIALS__AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    "DESTINATION__ATHENA__CREDENTIALS__ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    "DESTINATION__ATHENA__CREDENTIALS__REGION_NAME": "us-east-1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DLT_DATA_DIR": os.path.abspath("dltdata"),
})
import dlt  # noqa: E402


def rows(pipeline, sql):
    with pipeline.sql_client() as client, client.execute_query(sql) as cursor:
        return [tuple(row) for row in cursor.fetchall()]


def flow(kind):
    pipeline = dlt.pipeline(f"{kind}_{DATABASE}", destination="athena", staging="filesystem", dataset_name=f"{DATABASE}_{kind}")
    data = [{"id": 1, "name": "ann", "at": datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), "tags": [{"t": "a"}, {"t": "b"}], "x": 1.5}, {"id": 2, "name": None, "at": None, "tags": [], "x": None}]
    info = pipeline.run(data, table_name="items", table_format=None if kind == "hive" else "iceberg")
    info.raise_on_failed_jobs()
    check(f"{kind} rows", rows(pipeline, "SELECT id, name FROM items ORDER BY id") == [(1, "ann"), (2, None)], rows(pipeline, "SELECT id, name FROM items ORDER BY id"))
    check(f"{kind} nested", rows(pipeline, "SELECT t FROM items__tags ORDER BY 1") == [("a",), ("b",)])
    pipeline.run([{"id": 3, "name": "cid", "extra": True}], table_name="items", table_format=None if kind == "hive" else "iceberg").raise_on_failed_jobs()
    check(f"{kind} evolved", rows(pipeline, "SELECT id, extra FROM items ORDER BY id") == [(1, None), (2, None), (3, True)], rows(pipeline, "SELECT id, extra FROM items ORDER BY id"))
    pipeline.run([{"id": 9, "name": "new"}], table_name="items", write_disposition="replace", table_format=None if kind == "hive" else "iceberg").raise_on_failed_jobs()
    check(f"{kind} replaced", rows(pipeline, "SELECT id FROM items") == [(9,)], rows(pipeline, "SELECT id FROM items"))
    check(f"{kind} loads", rows(pipeline, "SELECT count(*) FROM _dlt_loads")[0][0] == 3)
    return pipeline


@case
def hive():
    flow("hive")


@case
def iceberg():
    pipeline = flow("iceberg")
    merge = lambda data: pipeline.run(data, table_name="people", write_disposition="merge", primary_key="id", table_format="iceberg").raise_on_failed_jobs()  # noqa: E731
    merge([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    merge([{"id": 2, "v": "B"}, {"id": 3, "v": "c"}])
    got = rows(pipeline, "SELECT id, v FROM people ORDER BY id")
    check("merged", got == [(1, "a"), (2, "B"), (3, "c")], got)


@case
def dataset():
    pipeline = dlt.pipeline(f"hive_{DATABASE}", destination="athena", staging="filesystem", dataset_name=f"{DATABASE}_hive")
    frame = pipeline.dataset()["items"].df()
    check("dataset", frame.id.tolist() == [9], frame)


close()
