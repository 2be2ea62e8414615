#!/usr/bin/env python3
"""Glue jobs as boto3 starts them: bookmarks, and what else a job's run leaves.

    python3 conformance/glue/run.py [--lakerun target/debug/lakerun] [--engine auto|sail|spark] [NAME ...]

Starts a server of its own, or uses that of AWS_ENDPOINT_URL with the keys of the environment; needs boto3. NAME picks cases. The first
run makes the engine's Python environment from PyPI. Closes with 'N passed, N failed'.
"""
import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

try:
    import boto3
except ImportError:
    # The environment of the recorded Step Functions cases has it.
    import importlib.util

    spec = importlib.util.spec_from_file_location("asl", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../asl/run.py"))
    asl = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(asl)
    sys.exit(subprocess.run([asl.environment(), os.path.abspath(__file__), *sys.argv[1:]]).returncode)
from botocore.config import Config
from botocore.exceptions import ClientError

HERE = pathlib.Path(__file__).resolve().parent
CASES = {}
HEAD = """
import json, sys
from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from awsglue.job import Job
from awsglue.transforms import *
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
from pyspark.sql import functions as F
glue = GlueContext(SparkContext.getOrCreate())
spark = glue.spark_session
args = getResolvedOptions(sys.argv, ["JOB_NAME", "bucket", "database"])
B, DB = f"s3://{args['bucket']}", args["database"]
job = Job(glue)
job.init(args["JOB_NAME"], args)
def tell(value): print("TOLD " + json.dumps(value, default=str))
def rows(frame): return sorted([list(r) for r in (frame.toDF() if isinstance(frame, DynamicFrame) else frame).collect()], key=str)
"""


def case(function):
    CASES[function.__name__] = function
    return function


class World:
    """A bucket, a database, a role; jobs are run to their end."""

    def __init__(self, engine):
        self.engine, self.name = engine, uuid.uuid4().hex[:8]
        more = {"config": Config(retries={"max_attempts": 1}), "region_name": os.environ.get("AWS_REGION", "us-east-1")}
        self.s3, self.glue, self.logs, iam = (boto3.client(name, **more) for name in ("s3", "glue", "logs", "iam"))
        self.bucket, self.database = f"glue-{self.name}", f"glue_{self.name}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.glue.create_database(DatabaseInput={"Name": self.database})
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        self.role = iam.create_role(RoleName=self.bucket, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName=self.bucket, PolicyName="all", PolicyDocument=json.dumps(everything))

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def job(self, name, script, defaults=None, **more):
        self.put(f"code/{name}.py", HEAD + script)
        arguments = {"--bucket": self.bucket, "--database": self.database, "--lakerun-engine": self.engine, **(defaults or {})}
        command = {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": f"s3://{self.bucket}/code/{name}.py"}
        self.glue.create_job(Name=self.named(name), Role=self.role, GlueVersion="5.0", Command=command, DefaultArguments=arguments, **more)

    def named(self, name):
        return f"{name}-{self.name}"

    def run(self, name, **arguments):
        """A run's record when it is over, with what it told and its log."""
        given = {"--" + key.replace("_", "-"): value for key, value in arguments.items()}
        return self.wait(name, self.glue.start_job_run(JobName=self.named(name), Arguments=given)["JobRunId"])

    def wait(self, name, id):
        while True:
            run = self.glue.get_job_run(JobName=self.named(name), RunId=id)["JobRun"]
            if run["JobRunState"] in ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR"):
                break
            time.sleep(0.2)
        lines = self.log("/aws-glue/jobs/output", id)
        told = [json.loads(line[5:]) for line in lines if line.startswith("TOLD ")]
        return {**run, "told": told[-1] if told else None, "log": self.log("/aws-glue/jobs/error", id)}

    def log(self, group, stream):
        try:
            return [event["message"] for event in self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]]
        except ClientError:
            return []


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


def code(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


BOOKMARK = """
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/bm/"]}, "json", transformation_ctx="src")
tell(sorted(r["id"] for r in d.toDF().collect()) if d.count() else [])
if "--boom" in sys.argv: raise ValueError("boom")
job.commit()
if "--late" in sys.argv: raise ValueError("late")
"""


@case
def bookmarks_of_files(w):
    """Only what no run that succeeded has read; a failed run moves nothing, pause moves nothing, reset goes back."""
    w.put("bm/a.json", '{"id": 1}\n')
    w.job("bm", BOOKMARK, {"--job-bookmark-option": "job-bookmark-enable"})
    name = w.named("bm")
    equal(code(w.glue.get_job_bookmark, JobName=name), "EntityNotFoundException")

    def entry(**more):
        return w.glue.get_job_bookmark(JobName=name, **more)["JobBookmarkEntry"]

    first = w.run("bm")
    equal((first["told"], entry()["RunId"], entry()["Version"]), ([1], first["Id"], 1))
    w.put("bm/b.json", '{"id": 2}\n')
    for how in ("boom", "late"):
        failed = w.run("bm", **{how: "1"})
        equal((failed["JobRunState"], failed["told"], entry()["Version"]), ("FAILED", [2], 1))
    second = w.run("bm")
    equal((second["told"], w.run("bm")["told"]), ([2], []))
    w.put("bm/a.json", '{"id": 10}\n')
    pause = {"job_bookmark_option": "job-bookmark-pause"}
    version = entry()["Version"]
    equal(w.run("bm", **pause)["told"], [10])
    equal(w.run("bm", **pause, job_bookmark_from=first["Id"], job_bookmark_to=second["Id"])["told"], [2])
    unknown = w.run("bm", **pause, job_bookmark_from="jr_none")
    equal((unknown["JobRunState"], "jr_none" in unknown["ErrorMessage"]), ("FAILED", True))
    equal(entry()["Version"], version)
    equal(w.run("bm")["told"], [10])
    equal(w.glue.reset_job_bookmark(JobName=name, RunId=first["Id"])["JobBookmarkEntry"]["RunId"], first["Id"])
    equal(w.run("bm")["told"], [2, 10])
    w.glue.reset_job_bookmark(JobName=name)
    equal(w.run("bm")["told"], [2, 10])
    equal(w.run("bm", job_bookmark_option="job-bookmark-disable")["told"], [2, 10])
    equal(entry(RunId=first["Id"])["RunId"], first["Id"])
    w.glue.delete_job(JobName=name)
    equal(code(w.glue.get_job_bookmark, JobName=name), "EntityNotFoundException")


@case
def bookmarks_are_fenced(w):
    """Of two runs that start from one bookmark the second to end fails: what it read may be there twice."""
    w.put("fence/a.json", '{"id": 1}\n')
    w.job("fence", """
import time, boto3
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/fence/"]}, "json", transformation_ctx="src")
tell(d.count())
while "--wait" in sys.argv and not boto3.client("s3").list_objects_v2(Bucket=args["bucket"], Prefix="go/").get("KeyCount"): time.sleep(0.2)
job.commit()
""", {"--job-bookmark-option": "job-bookmark-enable"}, ExecutionProperty={"MaxConcurrentRuns": 2})
    slow = w.glue.start_job_run(JobName=w.named("fence"), Arguments={"--wait": "1"})["JobRunId"]
    while w.glue.get_job_run(JobName=w.named("fence"), RunId=slow)["JobRun"]["JobRunState"] != "RUNNING":
        time.sleep(0.2)
    equal(w.run("fence")["JobRunState"], "SUCCEEDED")
    w.put("go/now", "")
    late = w.wait("fence", slow)
    equal((late["JobRunState"], late["ErrorMessage"].split(":")[0]), ("FAILED", "VersionMismatchException"))


@case
def bookmarks_of_tables(w):
    """A table's registered partitions, each by its files."""
    storage = {"Columns": [{"Name": "v", "Type": "string"}],
               "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "Parameters": {"field.delim": ","}}}
    w.glue.create_table(DatabaseName=w.database, TableInput={
        "Name": "parts", "PartitionKeys": [{"Name": "p", "Type": "string"}], "Parameters": {"classification": "csv"},
        "StorageDescriptor": {**storage, "Location": f"s3://{w.bucket}/parts/"}})

    def add(value, name, body):
        w.put(f"parts/p={value}/{name}", body)
        part = {"Values": [value], "StorageDescriptor": {**storage, "Location": f"s3://{w.bucket}/parts/p={value}/"}}
        w.glue.batch_create_partition(DatabaseName=w.database, TableName="parts", PartitionInputList=[part])

    w.job("parts", 'tell(rows(glue.create_dynamic_frame.from_catalog(DB, "parts", transformation_ctx="src")))\njob.commit()\n',
          {"--job-bookmark-option": "job-bookmark-enable"})
    add("1", "a.csv", "a\n")
    add("2", "b.csv", "b\n")
    equal(w.run("parts")["told"], [["a", "1"], ["b", "2"]])
    add("2", "c.csv", "c\n")
    add("3", "d.csv", "d\n")
    equal((w.run("parts")["told"], w.run("parts")["told"]), ([["c", "2"], ["d", "3"]], []))


# the server


class Server:
    def __init__(self, binary):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("LAKERUN_TEST_TMP"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.process = subprocess.Popen([binary, "up", "--listen", f"127.0.0.1:{port}", "--data", self.folder.name], stderr=subprocess.DEVNULL)
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if self.process.poll() is not None:
                sys.exit("the server ended")
            time.sleep(0.1)
        for line in subprocess.run([binary, "env", "--data", self.folder.name], capture_output=True, text=True, check=True).stdout.splitlines():
            if line.startswith("export "):
                name, _, value = line[7:].partition("=")
                os.environ[name] = value

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.folder.cleanup()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lakerun", help="the binary; without it the server of AWS_ENDPOINT_URL")
    parser.add_argument("--engine", default="auto", choices=["auto", "sail", "spark"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    server = Server(os.path.abspath(arguments.lakerun)) if arguments.lakerun else None
    passed, failed = 0, 0
    try:
        for name, run in CASES.items():
            if arguments.names and name not in arguments.names:
                continue
            try:
                run(World(arguments.engine))
                passed += 1
                print(f"ok    {name}", flush=True)
            except Exception:  # noqa: BLE001 - the next case shall run too
                failed += 1
                print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    finally:
        if server:
            server.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
