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


def close():
    print(f"{len(failures)} failures")
    raise SystemExit(1 if failures else 0)
