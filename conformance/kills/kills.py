#!/usr/bin/env python3
"""Kills a server (kill -9) again and again while queries, tables made by queries, inserts, crawls, Spark jobs, transforms, stack
operations, asynchronous invocations, durable executions and messages on their way to a function are under way, some of them being stopped;
then tells how each ended, and what was left behind.

kills.py --binary target/debug/lakerun [--kills 200] [--seed 1] [--only KIND …]; needs boto3 1.44 or later. Data folder and port are
temporary. Every job must end once; what it did must be there once, or not at all; nothing else may be there. Of a durable execution each
step that counts must have been done, and of a message its function at least once.
"""

import argparse
import collections
import io
import json
import os
import random
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

import botocore.exceptions

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../../bench"))
from recover import Server  # noqa: E402

LAKE = "lake"
# Journals of attempts, courses of jobs, tasks; in S3 uploads, their parts, and what attempts could undo.
LEFT_IN_STORE = ["\x01journal", "\x01job", "\x01now"]
LEFT_IN_S3 = [("s3", kind) for kind in ("upload", "part", "undo", "attempt-upload")]
OVER = ("SUCCEEDED", "FAILED", "CANCELLED")


class World:
    """A server that is killed, and what must be true of it."""

    def __init__(self, server, seed):
        self.server, self.chance = server, random.Random(seed)
        self.lock, self.faults, self.ends = threading.Lock(), [], collections.Counter()
        self.over, self.inserted = False, 0
        # Invocations that came to their end: what they wrote stays.
        self.invoked = []
        # Objects of durable steps that count, and messages that were taken.
        self.steps, self.messages = [], []
        # When the last kill was.
        self.calm = None
        self.clients = threading.local()

    def client(self, service):
        """To make one takes longer than most calls: each thread keeps its own. Address and keys outlive the server."""
        known = self.clients.__dict__.setdefault("known", {})
        if service not in known:
            known[service] = self.server.client(service)
        return known[service]

    def call(self, service, operation, taken=None, **parameters):
        """A call that is repeated until the server is there to answer it. Where a repetition would do it twice, `taken` says
        whether one that was not answered was done all the same."""
        until, tries = time.time() + 300, 0
        while True:
            try:
                return getattr(self.client(service), operation)(**parameters)
            except (botocore.exceptions.HTTPClientError, botocore.exceptions.EndpointConnectionError, OSError, ValueError) as error:
                why = error
            except botocore.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    raise
                why = error
            tries += 1
            if time.time() > until:
                raise TimeoutError(f"{service} {operation} was not answered for five minutes, {tries} times; at last: {why!r}")
            time.sleep(0.05)
            if taken is not None and taken():
                return None

    def refused(self, service, operation, taken=None, **parameters):
        """The code of the refusal; None where it is done."""
        try:
            self.call(service, operation, taken, **parameters)
            return None
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]

    def keys(self, prefix, bucket=LAKE):
        found = self.call("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def fault(self, what):
        with self.lock:
            self.faults.append(what)
        print("FAULT", what, flush=True)

    def ended(self, kind, how):
        with self.lock:
            self.ends[(kind, how)] += 1


def query(world, sql, stop_after=None):
    token = "".join(random.choices("abcdef0123456789", k=40))
    place = {"OutputLocation": f"s3://{LAKE}/results/"}
    context = {"Database": "db"}
    id = world.call(
        "athena", "start_query_execution", QueryString=sql, ClientRequestToken=token,
        ResultConfiguration=place, QueryExecutionContext=context,
    )["QueryExecutionId"]
    if stop_after is not None:
        time.sleep(stop_after)
        world.call("athena", "stop_query_execution", QueryExecutionId=id)
    while True:
        status = world.call("athena", "get_query_execution", QueryExecutionId=id)["QueryExecution"]["Status"]
        if status["State"] in OVER:
            return id, status["State"], status.get("StateChangeReason", "")
        time.sleep(0.2)


def stop_after(world):
    return world.chance.random() * 2 if world.chance.random() < 0.25 else None


def checked(world, kind, n, state, reason, stopped, there, once):
    """`there`: what was found of the effect; `once`: what it must be where the job succeeded."""
    world.ended(kind, state)
    if state == "FAILED" and stopped is None:
        world.fault(f"{kind} {n} failed: {reason}")
    nothing = tuple(False for _ in once) if isinstance(once, tuple) else False
    expected = once if state == "SUCCEEDED" else nothing
    if there != expected:
        world.fault(f"{kind} {n} ended {state}, and there is {there}, not {expected}")


def select(world, n):
    stop = stop_after(world)
    id, state, reason = query(world, "SELECT a.n, b.n FROM src a JOIN src b ON a.n = b.n ORDER BY 1", stop)
    checked(world, "select", n, state, reason, stop, len(world.keys(f"results/{id}.csv")) >= 1, True)


def ctas(world, n):
    stop = stop_after(world)
    sql = f"CREATE TABLE t{n} WITH (external_location='s3://{LAKE}/made/{n}/') AS SELECT * FROM src"
    _, state, reason = query(world, sql, stop)
    table = world.refused("glue", "get_table", DatabaseName="db", Name=f"t{n}") is None
    checked(world, "ctas", n, state, reason, stop, (table, len(world.keys(f"made/{n}/")) >= 1), (True, True))
    if state == "SUCCEEDED":
        rows(world, f"SELECT count(*) FROM t{n}", 2000, f"ctas {n}")
    elif table or world.keys(f"made/{n}/"):
        world.fault(f"ctas {n} ended {state} and left something")


def rows(world, sql, expected, what):
    id, state, reason = query(world, sql)
    if state != "SUCCEEDED":
        return world.fault(f"{what}: its rows could not be counted: {reason}")
    found = world.call("athena", "get_query_results", QueryExecutionId=id)["ResultSet"]["Rows"]
    count = int(found[1]["Data"][0]["VarCharValue"])
    if count != expected:
        world.fault(f"{what}: {count} rows, not {expected}")


def insert(world, n):
    stop = stop_after(world)
    id, state, reason = query(world, f"INSERT INTO facts SELECT n, {n} FROM src", stop)
    mine = [key for key in world.keys("facts/") if id in key or id.replace("-", "_") in key]
    checked(world, "insert", n, state, reason, stop, len(mine) >= 1, True)
    with world.lock:
        if state == "SUCCEEDED":
            world.inserted += 2000


def crawl(world, n):
    name, database = f"c{n}", f"crawled{n}"
    targets = {"S3Targets": [{"Path": f"s3://{LAKE}/src/"}]}
    again = world.refused("glue", "create_crawler", Name=name, Role=world.role, DatabaseName=database, Targets=targets)
    if again not in (None, "AlreadyExistsException"):
        return world.fault(f"crawler {n}: {again}")

    def taken():
        crawls = world.call("glue", "list_crawls", CrawlerName=name)["Crawls"]
        return bool(crawls) or world.call("glue", "get_crawler", Name=name)["Crawler"]["State"] != "READY"

    world.refused("glue", "start_crawler", taken, Name=name)
    stop = stop_after(world)
    if stop is not None:
        time.sleep(stop)
        world.refused("glue", "stop_crawler", Name=name)
    while True:
        crawler = world.call("glue", "get_crawler", Name=name)["Crawler"]
        if crawler["State"] == "READY":
            break
        time.sleep(0.2)
    state = crawler["LastCrawl"]["Status"]
    tables = world.refused("glue", "get_table", DatabaseName=database, Name="src") is None
    checked(world, "crawl", n, state, crawler["LastCrawl"].get("ErrorMessage", ""), stop, tables, True)
    crawls = world.call("glue", "list_crawls", CrawlerName=name)["Crawls"]
    if len(crawls) != 1:
        world.fault(f"crawl {n} is there {len(crawls)} times")


def stack(world, n):
    name, buckets = f"s{n}", [f"stack-{n}-a", f"stack-{n}-b"]
    resources = {
        "A": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": buckets[0]}},
        "Q": {"Type": "AWS::SQS::Queue", "DependsOn": "A", "Properties": {"QueueName": f"stack-{n}"}},
        "T": {"Type": "AWS::SNS::Topic", "DependsOn": "Q", "Properties": {"TopicName": f"stack-{n}"}},
        "B": {"Type": "AWS::S3::Bucket", "DependsOn": "T", "Properties": {"BucketName": buckets[1]}},
    }
    refused = world.refused("cloudformation", "create_stack", StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    if refused not in (None, "AlreadyExistsException"):
        return world.fault(f"stack {n}: {refused}")

    def status():
        try:
            return world.call("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]["StackStatus"]
        except botocore.exceptions.ClientError:
            return "DELETE_COMPLETE"

    def there():
        found = [world.refused("s3", "head_bucket", Bucket=bucket) is None for bucket in buckets]
        return found + [world.refused("sqs", "get_queue_url", QueueName=f"stack-{n}") is None]

    while (state := status()).endswith("IN_PROGRESS"):
        time.sleep(0.2)
    world.ended("stack made", state)
    if state != "CREATE_COMPLETE" or there() != [True] * 3:
        world.fault(f"stack {n} ended {state}, and of it there are {there()}")
    world.call("cloudformation", "delete_stack", StackName=name)
    while (state := status()).endswith("IN_PROGRESS") or state == "CREATE_COMPLETE":
        time.sleep(0.2)
    world.ended("stack deleted", state)
    if state != "DELETE_COMPLETE" or any(there()):
        world.fault(f"stack {n} ended {state}, and of it there are {there()}")


def invoke(world, n):
    """The function writes an object of a new name, works, and writes another: what is invoked twice shows."""
    sent = False
    while not sent:
        try:
            world.client("lambda").invoke(
                FunctionName="writer", InvocationType="Event", Payload=json.dumps({"n": n}).encode()
            )
            sent = True
        except Exception:
            # Whether it was taken is not known: the next one is an event of its own.
            return world.ended("invocation", "not known")
    # As long as servers are killed sooner than a function's process has started, it does not come to its end. What is there before
    # the end is recorded may be undone by a kill, and the function runs again.
    found = []
    while world.calm is None or time.time() < world.calm + 240:
        if any(key.endswith("-end") for key in found):
            time.sleep(1)
            if is_once(found := world.keys(f"async/{n}/")):
                break
        time.sleep(0.3)
        found = world.keys(f"async/{n}/")
    world.ended("invocation", "done" if is_once(found) else "broken")
    with world.lock:
        world.invoked.append(n)
    if not is_once(found):
        world.fault(f"invocation {n} has {found}")


def is_once(keys):
    """Both objects of one run of the function, and none of another."""
    return len(keys) == 2 and len({key.split("/")[-1].rsplit("-", 1)[0] for key in keys}) == 1


def durable(world, n):
    """Each step writes an object of a new name and answers with it: what the execution says was done must be there."""
    arn = world.call(
        "lambda", "invoke", FunctionName="durable", Qualifier="$LATEST", InvocationType="Event", DurableExecutionName=f"d{n}",
        Payload=json.dumps({"n": n}).encode(),
    )["DurableExecutionArn"]
    while (found := world.call("lambda", "get_durable_execution", DurableExecutionArn=arn))["Status"] == "RUNNING":
        time.sleep(0.3)
    world.ended("durable", found["Status"])
    if found["Status"] != "SUCCEEDED":
        return world.fault(f"durable {n} ended {found['Status']}: {found.get('Error')}")
    with world.lock:
        world.steps += [f"durable/{n}/{step}/{mark}" for step, mark in zip("ab", json.loads(found["Result"]))]
    history = world.call("lambda", "get_durable_execution_history", DurableExecutionArn=arn)["Events"]
    for kind, name in (("StepSucceeded", "a"), ("StepSucceeded", "b"), ("WaitSucceeded", "pause"), ("ExecutionSucceeded", None)):
        times = sum(event["EventType"] == kind and name in (None, event.get("Name")) for event in history)
        if times != 1:
            world.fault(f"durable {n}: {kind} of {name} is there {times} times")


def message(world, n):
    """A message reaches its function at least once, and is taken from its queue."""
    try:
        world.client("sqs").send_message(QueueUrl=world.queue, MessageBody=str(n))
    except Exception:
        # Whether it was taken is not known: the next one is a message of its own.
        return world.ended("message", "not known")
    while (world.calm is None or time.time() < world.calm + 240) and not world.keys(f"mapped/{n}/"):
        time.sleep(0.3)
    world.ended("message", "taken")
    with world.lock:
        world.messages.append(n)


SCRIPT = """
import sys, time
from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
glue = GlueContext(SparkContext.getOrCreate())
args = getResolvedOptions(sys.argv, ["JOB_NAME", "n"])
job = Job(glue)
job.init(args["JOB_NAME"], args)
rows = glue.spark_session.read.csv("s3://lake/src/", header=True)
for part in ("a", "b"):
    rows.coalesce(1).write.mode("append").parquet(f"s3://lake/spark/{args['n']}/{part}/")
    time.sleep(0.3)
job.commit()
"""


def spark(world, n):
    """A script that appends twice: what is run twice shows as a second file."""
    name = f"j{n}"
    again = world.refused(
        "glue", "create_job", Name=name, Role=world.role, GlueVersion="4.0", WorkerType="G.1X", NumberOfWorkers=2,
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{LAKE}/scripts/job.py", "PythonVersion": "3"},
        DefaultArguments={"--lakerun-engine": "sail", "--n": str(n)},
    )
    if again not in (None, "AlreadyExistsException"):
        return world.fault(f"job {n}: {again}")
    again = world.refused("glue", "start_job_run", lambda: world.call("glue", "get_job_runs", JobName=name)["JobRuns"], JobName=name)
    if again is not None:
        return world.fault(f"job {n}: {again}")
    runs = world.call("glue", "get_job_runs", JobName=name)["JobRuns"]
    if len(runs) != 1:
        return world.fault(f"job {n} has {len(runs)} runs")
    stop = stop_after(world)
    if stop is not None:
        time.sleep(2 * stop)
        world.call("glue", "batch_stop_job_run", JobName=name, JobRunIds=[runs[0]["Id"]])
    while (run := world.call("glue", "get_job_runs", JobName=name)["JobRuns"][0])["JobRunState"] in ("STARTING", "RUNNING", "STOPPING", "WAITING"):
        time.sleep(0.3)
    state = run["JobRunState"]
    world.ended("spark job", state)
    files = [len([key for key in world.keys(f"spark/{n}/{part}/") if key.endswith(".parquet")]) for part in ("a", "b")]
    if state == "SUCCEEDED" and files != [1, 1]:
        world.fault(f"job {n} succeeded, and there are {files} files")
    elif files[0] > 1 or files[1] > files[0]:
        world.fault(f"job {n} ended {state}, and there are {files} files")
    if state != "SUCCEEDED" and stop is None:
        world.fault(f"job {n} ended {state}: {run.get('ErrorMessage')}")


def transform(world, n):
    name, out = f"x{n}", f"transformed/{n}/"
    again = world.refused(
        "sagemaker", "create_transform_job", TransformJobName=name, ModelName="model",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{LAKE}/features/"}},
            "ContentType": "text/csv", "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://{LAKE}/{out}", "Accept": "text/csv", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    if again not in (None, "ResourceInUse"):
        return world.fault(f"transform {n}: {again}")
    stop = stop_after(world)
    if stop is not None:
        time.sleep(stop)
        world.refused("sagemaker", "stop_transform_job", TransformJobName=name)
    while True:
        job = world.call("sagemaker", "describe_transform_job", TransformJobName=name)
        if job["TransformJobStatus"] in ("Completed", "Failed", "Stopped"):
            break
        time.sleep(0.2)
    state = job["TransformJobStatus"]
    world.ended("transform", state)
    expected = [f"{out}a.csv.out", f"{out}b.csv.out"] if state == "Completed" else []
    if world.keys(out) != expected:
        world.fault(f"transform {n} ended {state}, and there are {world.keys(out)}")
    if state == "Failed" or (state == "Stopped" and stop is None):
        world.fault(f"transform {n} ended {state}: {job.get('FailureReason')}")
    for key in expected:
        lines = world.call("s3", "get_object", Bucket=LAKE, Key=key)["Body"].read().splitlines()
        if len(lines) != 3000:
            world.fault(f"transform {n}: {key} has {len(lines)} lines")


CODE = """
import json, os, time, uuid, boto3
def handle(event, context):
    s3 = boto3.client("s3")
    name = f"async/{event['n']}/{uuid.uuid4().hex}"
    s3.put_object(Bucket="lake", Key=name + "-begin", Body=b"x")
    time.sleep(0.7)
    s3.put_object(Bucket="lake", Key=name + "-end", Body=b"x")
"""


DURABLE = """
import time, uuid, boto3
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration
@durable_execution
def handle(event, context):
    def step(name):
        def run(_):
            mark = uuid.uuid4().hex
            boto3.client("s3").put_object(Bucket="lake", Key=f"durable/{event['n']}/{name}/{mark}", Body=b"x")
            return mark
        return context.step(run, name=name)
    first = step("a")
    time.sleep(0.7)
    context.wait(Duration.from_seconds(1), name="pause")
    return [first, step("b")]
"""

MAPPED = """
import uuid, boto3
def handle(event, context):
    for record in event["Records"]:
        boto3.client("s3").put_object(Bucket="lake", Key=f"mapped/{record['body']}/{uuid.uuid4().hex}", Body=b"x")
"""


def function(world, name, code, requirements, **more):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", code)
        file.writestr("requirements.txt", requirements)
    world.call(
        "lambda", "create_function", FunctionName=name, Runtime="python3.12", Handler="handler.handle", Role=world.role,
        Code={"ZipFile": archive.getvalue()}, **more,
    )
    for _ in range(1200):
        state = world.call("lambda", "get_function", FunctionName=name)["Configuration"]["State"]
        if state != "Pending":
            break
        time.sleep(0.2)
    assert state == "Active", state


def prepare(world):
    services = ["glue.amazonaws.com", "lambda.amazonaws.com", "sagemaker.amazonaws.com"]
    trust = {"Effect": "Allow", "Principal": {"Service": services}}
    trust = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    role = world.call("iam", "create_role", RoleName="kills", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    world.call("iam", "attach_role_policy", RoleName="kills", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    world.role = role
    world.call("s3", "create_bucket", Bucket=LAKE)
    body = "n,t\n" + "".join(f"{n},text {n}\n" for n in range(2000))
    world.call("s3", "put_object", Bucket=LAKE, Key="src/a.csv", Body=body.encode())
    world.call("glue", "create_database", DatabaseInput={"Name": "db"})
    for sql in (
        f"CREATE EXTERNAL TABLE src (n bigint, t string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' "
        f"LOCATION 's3://{LAKE}/src/' TBLPROPERTIES ('skip.header.line.count'='1')",
        f"CREATE EXTERNAL TABLE facts (n bigint, j integer) STORED AS PARQUET LOCATION 's3://{LAKE}/facts/'",
    ):
        id, state, reason = query(world, sql)
        assert state == "SUCCEEDED", reason
    function(world, "writer", CODE, "boto3\n", Timeout=30)
    sdk = "boto3\naws-durable-execution-sdk-python==3.0.0\n"
    function(world, "durable", DURABLE, sdk, Timeout=30, MemorySize=512, DurableConfig={"ExecutionTimeout": 7200, "RetentionPeriodInDays": 1})
    function(world, "mapped", MAPPED, "boto3\n", Timeout=10)
    world.queue = world.call("sqs", "create_queue", QueueName="mapped", Attributes={"VisibilityTimeout": "15"})["QueueUrl"]
    arn = world.call("sqs", "get_queue_attributes", QueueUrl=world.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    world.call("lambda", "create_event_source_mapping", EventSourceArn=arn, FunctionName="mapped", BatchSize=1)
    world.call("s3", "put_object", Bucket=LAKE, Key="scripts/job.py", Body=SCRIPT.encode())
    model = io.BytesIO()
    with tarfile.open(fileobj=model, mode="w:gz") as file:
        file.add(os.path.join(HERE, "../../examples/flights/model/model.onnx"), "model.onnx")
    world.call("s3", "put_object", Bucket=LAKE, Key="model.tar.gz", Body=model.getvalue())
    features = "".join(",".join(str((n * 7 + column) % 50) for column in range(18)) + "\n" for n in range(3000))
    for name in ("a", "b"):
        world.call("s3", "put_object", Bucket=LAKE, Key=f"features/{name}.csv", Body=features.encode())
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-onnx:latest"
    container = {"Image": image, "ModelDataUrl": f"s3://{LAKE}/model.tar.gz"}
    world.call("sagemaker", "create_model", ModelName="model", ExecutionRoleArn=role, PrimaryContainer=container)
    # Their environments are made before anything is killed: that may take minutes.
    spark(world, "first")
    transform(world, "first")
    assert not world.faults


def worker(world, kinds, first, step):
    n = first
    while not world.over:
        kind = kinds[(n // step + first) % len(kinds)]
        try:
            kind(world, n)
        except Exception as error:  # noqa: BLE001
            world.fault(f"{kind.__name__} {n}: {type(error).__name__} {error}")
        n += step


def children(folder):
    """Processes that have to do with the folder."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
                with open(f"/proc/{entry}/environ", "rb") as file:
                    line += file.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if folder in line:
                found.append(line[:200])
    return found


def key(*parts):
    return b"".join(part.encode() + b"\0\1" for part in parts)


def left_behind(world, folder):
    """Rows that nothing will ever take away, after an orderly stop."""
    counts = {}
    for name, prefixes in (("control", [(p,) for p in LEFT_IN_STORE] + [("iam", "session")]), ("s3", [("\x01now",), *LEFT_IN_S3])):
        database = sqlite3.connect(os.path.join(folder, f"{name}.db"))
        for prefix in prefixes:
            begin = key(*prefix)
            end = begin[:-1] + b"\2"
            rows = database.execute("SELECT k FROM kv WHERE k >= ? AND k < ?", (begin, end)).fetchall()
            counts[f"{name}:{'/'.join(prefix)}".replace("\x01", "")] = len(rows)
            for row in rows[:3]:
                print("left:", row[0])
        memos = database.execute("SELECT count(*) FROM kv WHERE k >= ? AND k < ?", (key("\x01memo"), key("\x01memo")[:-1] + b"\2"))
        print(f"replies still kept in {name}: {memos.fetchone()[0]} (each for an hour)")
        database.close()
    for what, count in counts.items():
        if count and not what.endswith("now"):
            world.fault(f"{count} rows are left of {what}")
    print("rows left:", counts)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--only", nargs="*", help="kinds of jobs, such as ctas durable")
    arguments.add_argument("--longest", type=float, default=6.0, help="seconds from a start to the next kill, at most")
    given = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="kills-")
    server = Server(os.path.abspath(given.binary), folder)
    server.start()
    world = World(server, given.seed)
    begun = time.time()
    prepare(world)
    kinds = [select, ctas, insert, crawl, stack, invoke, spark, transform, durable, message]
    kinds = [kind for kind in kinds if not given.only or kind.__name__ in given.only]
    threads = [threading.Thread(target=worker, args=(world, kinds, n, given.clients), daemon=True) for n in range(given.clients)]
    for thread in threads:
        thread.start()
    for kill in range(given.kills):
        time.sleep(0.2 + random.Random(given.seed * 7919 + kill).random() * given.longest)
        server.kill()
        server.start()
        if kill % 20 == 19:
            print(f"{kill + 1} kills, {sum(world.ends.values())} jobs over", flush=True)
    world.over, world.calm = True, time.time()
    for thread in threads:
        thread.join()
    rows(world, "SELECT count(*) FROM facts", world.inserted, "all inserts")
    for n in world.invoked:
        if not is_once(found := world.keys(f"async/{n}/")):
            world.fault(f"invocation {n} has {found} at last")
    for step in world.steps:
        if world.keys(step) != [step]:
            world.fault(f"the durable step of {step} counts, and its object is not there")
    for n in world.messages:
        if not world.keys(f"mapped/{n}/"):
            world.fault(f"message {n} was taken, and nothing is there of it")
    waiting = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    until = time.time() + 120
    while time.time() < until:
        left = world.call("sqs", "get_queue_attributes", QueueUrl=world.queue, AttributeNames=waiting)["Attributes"]
        if all(count == "0" for count in left.values()):
            break
        time.sleep(1)
    else:
        world.fault(f"messages are left: {left}")
    uploads = world.call("s3", "list_multipart_uploads", Bucket=LAKE).get("Uploads", [])
    if uploads:
        world.fault(f"{len(uploads)} uploads are left, such as {uploads[0]['Key']}")
    stopped = [key for key in world.keys("made/")]
    time.sleep(3)
    server.stop()
    # What was told to go may still be going.
    until = time.time() + 10
    while (left := children(folder)) and time.time() < until:
        time.sleep(0.2)
    if left:
        world.fault(f"processes are left: {left}")
    left_behind(world, folder)
    for (kind, how), count in sorted(world.ends.items()):
        print(f"{kind:14} {how:16} {count}")
    print(f"{given.kills} kills in {time.time() - begun:.0f} s, {len(stopped)} files of tables, {len(world.faults)} faults")
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if world.faults else 0)


if __name__ == "__main__":
    main()
