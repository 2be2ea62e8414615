"""View (11): one statement on Athena (6) makes a view over the refined flights."""
import os
import time

import boto3

athena = boto3.client("athena")
SQL = """CREATE OR REPLACE VIEW {view} AS
SELECT origin, dest, CAST(month AS integer) AS month, count(*) AS flights, avg(arr_delay) AS mean_arr_delay
FROM {table}
WHERE arr_delay IS NOT NULL
GROUP BY origin, dest, month"""


def handler(event, context):
    query = athena.start_query_execution(
        QueryString=SQL.format(view=os.environ["VIEW"], table=os.environ["TABLE"]),
        QueryExecutionContext={"Database": os.environ["DATABASE"]}, WorkGroup=os.environ["WORKGROUP"])["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            return {"view": os.environ["VIEW"], "query": query}
        if status["State"] in ("FAILED", "CANCELLED"):
            raise RuntimeError(f"{query} {status['State']}: {status.get('StateChangeReason')}")
        time.sleep(0.2)
