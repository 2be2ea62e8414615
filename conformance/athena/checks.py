"""What the clients' cases share: a bucket, a database, and a list of what held."""
import os
import traceback

import boto3

BUCKET = os.environ["CONFORMANCE_BUCKET"]
DATABASE = os.environ["CONFORMANCE_DATABASE"]
failures = []


def place():
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    boto3.client("glue", region_name="us-east-1").create_database(DatabaseInput={"Name": DATABASE})


def check(what, holds, seen=""):
    if not holds:
        failures.append(what)
        print(f"FAIL {what} | {str(seen)[:600]}", flush=True)


def equal(what, seen, expected):
    check(what, seen == expected, f"{seen} instead of {expected}")


def refused(what, says, function):
    """What must fail, with words that its error has."""
    try:
        seen = function()
    except Exception as error:
        check(what, says in str(error), f"{type(error).__name__}: {error}")
    else:
        check(what, False, f"it answers {seen}")


def case(function):
    """Runs a case; what it raises is its failure."""
    try:
        function()
    except Exception as error:
        failures.append(function.__name__)
        print(f"FAIL {function.__name__} | {type(error).__name__}: {str(error)[:600]}", flush=True)
        if os.environ.get("CONFORMANCE_TRACE"):
            traceback.print_exc()
    return function


class Athena:
    def __init__(self):
        self.client = boto3.client("athena", region_name="us-east-1")

    def run(self, sql):
        started = self.client.start_query_execution(
            QueryString=sql, QueryExecutionContext={"Database": DATABASE},
            ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/results/"})
        while True:
            found = self.client.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
            state = found["Status"]["State"]
            if state == "FAILED":
                raise RuntimeError(found["Status"]["StateChangeReason"])
            if state == "SUCCEEDED":
                return started["QueryExecutionId"]

    def rows(self, sql):
        pages = self.client.get_paginator("get_query_results").paginate(QueryExecutionId=self.run(sql))
        rows = [[cell.get("VarCharValue") for cell in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]
        return rows[1:]


def close():
    print(f"{len(failures)} failures")
    raise SystemExit(1 if failures else 0)
