#!/usr/bin/env python3
"""Glue jobs as boto3 starts them: bookmarks, triggers, connections, data quality, databases.

    python3 conformance/glue/run.py [--lakerun target/debug/lakerun] [--engine auto|sail|spark] [--no-spark] [NAME ...]

Starts a server of its own, or uses that of AWS_ENDPOINT_URL with the keys of the environment; needs boto3. NAME picks cases. The first
run makes the engine's Python environment from PyPI. Closes with 'N passed, N failed'.
"""
import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys
import time
import traceback
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

CASES = {}
ON_SPARK = ("scripts_on_both_engines", "tables_in_sql", "bookmarks_of_tables", "data_quality", "databases", "databases_of_connections",
            "xml_of_files_and_tables")
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


@case
def triggers_on_demand_and_after_others(w):
    """A trigger starts a job; a conditional one starts the next when both before it have succeeded; what nobody's trigger started is
    not looked at."""
    for name in ("t1", "t2", "t3"):
        w.job(name, "tell(sys.argv[sys.argv.index('--word') + 1] if '--word' in sys.argv else None)\njob.commit()\n")
    first, then = w.named("first"), w.named("then")
    actions = [{"JobName": w.named("t1"), "Arguments": {"--word": "a"}}, {"JobName": w.named("t2")}]
    w.glue.create_trigger(Name=first, Type="ON_DEMAND", Actions=actions)
    equal(code(w.glue.create_trigger, Name=first, Type="ON_DEMAND", Actions=actions), "AlreadyExistsException")
    equal(code(w.glue.create_trigger, Name=first, Type="ON_DEMAND", Actions=actions[:1]), "IdempotentParameterMismatchException")
    conditions = [{"LogicalOperator": "EQUALS", "JobName": w.named(name), "State": "SUCCEEDED"} for name in ("t1", "t2")]
    w.glue.create_trigger(Name=then, Type="CONDITIONAL", Predicate={"Logical": "AND", "Conditions": conditions}, StartOnCreation=True,
                          Actions=[{"JobName": w.named("t3"), "Arguments": {"--word": "b"}}])
    equal(w.glue.get_trigger(Name=then)["Trigger"]["State"], "ACTIVATED")
    equal(w.run("t1")["JobRunState"], "SUCCEEDED")
    equal(w.run("t2")["JobRunState"], "SUCCEEDED")
    equal(w.glue.get_job_runs(JobName=w.named("t3"))["JobRuns"], [])
    w.glue.start_trigger(Name=first)
    while not (runs := w.glue.get_job_runs(JobName=w.named("t3"))["JobRuns"]):
        time.sleep(0.2)
    last = w.wait("t3", runs[0]["Id"])
    equal((last["JobRunState"], last["told"], last["TriggerName"]), ("SUCCEEDED", "b", then))
    whole = w.glue.get_job_run(JobName=w.named("t3"), RunId=last["Id"], PredecessorsIncluded=True)["JobRun"]
    equal(sorted(p["JobName"] for p in whole["PredecessorRuns"]), [w.named("t1"), w.named("t2")])
    equal(w.glue.get_triggers(DependentJobName=w.named("t3"))["Triggers"][0]["Name"], then)
    for wrong in ({"Type": "SCHEDULED"}, {"Type": "SCHEDULED", "Schedule": "every day"}, {"Type": "CONDITIONAL"}, {"Type": "EVENT"},
                  {"Type": "ON_DEMAND", "StartOnCreation": True}, {"Type": "ON_DEMAND", "WorkflowName": "w"}):
        equal(code(w.glue.create_trigger, Name="wrong", Actions=actions, **wrong) is not None, True)
    w.glue.create_trigger(Name=w.named("daily"), Type="SCHEDULED", Schedule="cron(0 3 * * ? *)", Actions=actions[:1], StartOnCreation=True)
    equal(w.glue.stop_trigger(Name=w.named("daily"))["Name"], w.named("daily"))
    equal(w.glue.get_trigger(Name=w.named("daily"))["Trigger"]["State"], "DEACTIVATED")
    equal(w.glue.update_trigger(Name=w.named("daily"), TriggerUpdate={"Description": "d"})["Trigger"]["Schedule"], "cron(0 3 * * ? *)")
    equal(w.glue.batch_get_triggers(TriggerNames=[first, "none"])["TriggersNotFound"], ["none"])
    for name in (first, then, w.named("daily"), "none"):
        w.glue.delete_trigger(Name=name)
    equal(code(w.glue.get_trigger, Name=first), "EntityNotFoundException")


@case
def workflows(w):
    """A run of a workflow: its start trigger, what follows within it, properties that jobs share, its end, and stopping it."""
    def shell(name, script, **more):
        w.put(f"code/{name}.py", "import boto3, json, sys, time\nfrom awsglue.utils import getResolvedOptions\n"
              "args = getResolvedOptions(sys.argv, ['WORKFLOW_NAME', 'WORKFLOW_RUN_ID'])\nglue = boto3.client('glue')\n"
              "of = {'Name': args['WORKFLOW_NAME'], 'RunId': args['WORKFLOW_RUN_ID']}\n" + script)
        command = {"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": f"s3://{w.bucket}/code/{name}.py"}
        w.glue.create_job(Name=w.named(name), Role=w.role, Command=command, **more)
    shell("w1", "glue.put_workflow_run_properties(RunProperties={'rows': '7'}, **of)\n")
    shell("w2", "print('TOLD ' + json.dumps(glue.get_workflow_run_properties(**of)['RunProperties']))\n")
    shell("w3", "raise ValueError('w3')\n", MaxRetries=1)
    flow, first, crawler = w.named("flow"), w.named("flow-start"), w.named("flow-crawl")
    w.put("crawled/a.csv", "id,name\n1,a\n2,b\n")
    w.glue.create_crawler(Name=crawler, Role=w.role, DatabaseName=w.database, Targets={"S3Targets": [{"Path": f"s3://{w.bucket}/crawled/"}]})
    w.glue.create_workflow(Name=flow, DefaultRunProperties={"a": "1", "b": "2"}, MaxConcurrentRuns=1)
    equal(code(w.glue.create_workflow, Name=flow), "AlreadyExistsException")
    equal(code(w.glue.start_workflow_run, Name=flow), "InvalidInputException")
    equal(code(w.glue.create_trigger, Name=first, Type="ON_DEMAND", WorkflowName="none", Actions=[{"JobName": w.named("w1")}]), "EntityNotFoundException")
    w.glue.create_trigger(Name=first, Type="ON_DEMAND", WorkflowName=flow, Actions=[{"JobName": w.named("w1")}])
    equal(code(w.glue.create_trigger, Name="second", Type="ON_DEMAND", WorkflowName=flow, Actions=[{"JobName": w.named("w1")}]), "InvalidInputException")
    conditions = {"Conditions": [{"LogicalOperator": "EQUALS", "JobName": w.named("w1"), "State": "SUCCEEDED"}]}
    w.glue.create_trigger(Name=w.named("flow-then"), Type="CONDITIONAL", WorkflowName=flow, Predicate=conditions, StartOnCreation=True,
                          Actions=[{"JobName": w.named("w2")}, {"JobName": w.named("w3")}, {"CrawlerName": crawler}])
    # What ends a second time fires nothing again.
    conditions = {"Conditions": [{"LogicalOperator": "EQUALS", "CrawlerName": crawler, "CrawlState": "SUCCEEDED"}]}
    w.glue.create_trigger(Name=w.named("flow-last"), Type="CONDITIONAL", WorkflowName=flow, Predicate=conditions, StartOnCreation=True,
                          Actions=[{"JobName": w.named("w1")}])

    def ended(run):
        while (found := w.glue.get_workflow_run(Name=flow, RunId=run)["Run"])["Status"] in ("RUNNING", "STOPPING"):
            time.sleep(0.2)
        return found
    run = w.glue.start_workflow_run(Name=flow, RunProperties={"b": "3"})["RunId"]
    equal(code(w.glue.start_workflow_run, Name=flow), "ConcurrentRunsExceededException")
    done = ended(run)
    equal((done["Status"], done["Statistics"]["TotalActions"], done["Statistics"]["SucceededActions"], done["Statistics"]["FailedActions"]), ("COMPLETED", 5, 4, 1))
    equal([len(w.glue.get_job_runs(JobName=w.named(name))["JobRuns"]) for name in ("w1", "w2", "w3")], [2, 1, 2])
    told = w.wait("w2", w.glue.get_job_runs(JobName=w.named("w2"))["JobRuns"][0]["Id"])
    equal((told["told"], told["TriggerName"]), ({"a": "1", "b": "3", "rows": "7"}, w.named("flow-then")))
    equal(w.glue.get_workflow(Name=flow)["Workflow"]["LastRun"]["WorkflowRunId"], run)
    w.glue.start_trigger(Name=first)
    runs = w.glue.get_workflow_runs(Name=flow)["Runs"]
    equal((len(runs), runs[1]["WorkflowRunId"]), (2, run))
    w.glue.stop_workflow_run(Name=flow, RunId=runs[0]["WorkflowRunId"])
    equal(ended(runs[0]["WorkflowRunId"])["Status"], "STOPPED")
    equal(code(w.glue.stop_workflow_run, Name=flow, RunId=run), "IllegalWorkflowStateException")
    # What failed runs again, with what comes after it; the rest is as it was.
    graph = w.glue.get_workflow_run(Name=flow, RunId=run, IncludeGraph=True)["Run"]["Graph"]
    nodes = {(node["Type"], node["Name"]): node for node in graph["Nodes"]}
    equal(sorted(kind for kind, _ in nodes), ["CRAWLER", "JOB", "JOB", "JOB", "TRIGGER", "TRIGGER", "TRIGGER"])
    equal([r["JobRunState"] for r in nodes["JOB", w.named("w3")]["JobDetails"]["JobRuns"]], ["FAILED", "FAILED"])
    equal([c["State"] for c in nodes["CRAWLER", crawler]["CrawlerDetails"]["Crawls"]], ["SUCCEEDED"])
    edges = {(e["SourceId"], e["DestinationId"]) for e in graph["Edges"]}
    equal((nodes["TRIGGER", w.named("flow-then")]["UniqueId"], nodes["JOB", w.named("w2")]["UniqueId"]) in edges, True)
    equal((nodes["JOB", w.named("w1")]["UniqueId"], nodes["TRIGGER", w.named("flow-then")]["UniqueId"]) in edges, True)
    runs_before = len(w.glue.get_job_runs(JobName=w.named("w1"))["JobRuns"])
    again = w.glue.resume_workflow_run(Name=flow, RunId=run, NodeIds=[nodes["JOB", w.named("w3")]["UniqueId"]])
    done = ended(again["RunId"])
    equal((done["PreviousRunId"], done["Statistics"]["TotalActions"], done["Statistics"]["FailedActions"]), (run, 5, 1))
    equal((len(w.glue.get_job_runs(JobName=w.named("w3"))["JobRuns"]), len(w.glue.get_job_runs(JobName=w.named("w1"))["JobRuns"])), (4, runs_before))
    equal(flow in w.glue.list_workflows()["Workflows"], True)
    w.glue.delete_workflow(Name=flow)
    equal((code(w.glue.get_workflow, Name=flow), code(w.glue.get_trigger, Name=first)), ("EntityNotFoundException", "EntityNotFoundException"))


@case
def connections(w):
    """Kept, told with and without the password, filtered, deleted."""
    name = w.named("db")
    properties = {"JDBC_CONNECTION_URL": "jdbc:postgresql://localhost:5432/db", "USERNAME": "u", "PASSWORD": "p"}
    given = {"Name": name, "ConnectionType": "JDBC", "ConnectionProperties": properties}
    w.glue.create_connection(ConnectionInput=given)
    equal(code(w.glue.create_connection, ConnectionInput=given), "AlreadyExistsException")
    equal(code(w.glue.create_connection, ConnectionInput={**given, "Name": "x", "ConnectionProperties": {}}), "InvalidInputException")
    equal(w.glue.get_connection(Name=name)["Connection"]["ConnectionProperties"], properties)
    equal("PASSWORD" in w.glue.get_connection(Name=name, HidePassword=True)["Connection"]["ConnectionProperties"], False)
    w.glue.update_connection(Name=name, ConnectionInput={**given, "Description": "d", "MatchCriteria": ["m"]})
    equal(w.glue.get_connections(Filter={"MatchCriteria": ["m"]})["ConnectionList"][0]["Description"], "d")
    deleted = w.glue.batch_delete_connection(ConnectionNameList=[name, "none"])
    equal((deleted["Succeeded"], list(deleted["Errors"])), ([name], ["none"]))
    equal(code(w.glue.get_connection, Name=name), "EntityNotFoundException")


@case
def security_configurations(w):
    """What a run writes is encrypted as its security configuration says, by whichever client writes it."""
    import boto3
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    w.glue.create_security_configuration(Name=w.named("kms"), EncryptionConfiguration={"S3Encryption": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key}]})
    w.job("encrypted", """
d = spark.createDataFrame([(1, "a"), (2, "b")], "id int, n string")
d.write.parquet(B + "/enc/many/")
d.coalesce(1).write.parquet(B + "/enc/one/")
d.write.option("header", True).csv(B + "/enc/csv/")
tell(spark.read.parquet(B + "/enc/many/").count())
""", SecurityConfiguration=w.named("kms"))
    run = w.run("encrypted", enable_metrics="true")
    equal((run.get("ErrorMessage"), run["told"], run["SecurityConfiguration"]), (None, 2, w.named("kms")))
    found = [w.s3.head_object(Bucket=w.bucket, Key=o["Key"]) for o in w.s3.list_objects_v2(Bucket=w.bucket, Prefix="enc/")["Contents"] if o["Size"]]
    equal({(one.get("ServerSideEncryption"), one.get("SSEKMSKeyId")) for one in found}, {("aws:kms", key)})
    equal(code(w.glue.start_job_run, JobName=w.named("encrypted"), SecurityConfiguration="none"), "EntityNotFoundException")
    told = boto3.client("cloudwatch").list_metrics(Namespace="Glue", Dimensions=[{"Name": "JobRunId", "Value": run["Id"]}])["Metrics"]
    equal(sorted(one["MetricName"] for one in told), ["glue.driver.aggregate.elapsedTime", "glue.driver.system.cpuSystemLoad"])


@case
def rulesets(w):
    """Kept as text; what is none is refused."""
    name = w.named("rules")
    w.glue.create_data_quality_ruleset(Name=name, Ruleset="Rules = [ RowCount > 1 ]", TargetTable={"TableName": "t", "DatabaseName": w.database})
    equal(code(w.glue.create_data_quality_ruleset, Name="x", Ruleset="RowCount"), "InvalidInputException")
    w.glue.update_data_quality_ruleset(Name=name, Description="d")
    found = w.glue.get_data_quality_ruleset(Name=name)
    equal((found["Description"], found["Ruleset"]), ("d", "Rules = [ RowCount > 1 ]"))
    equal([r["Name"] for r in w.glue.list_data_quality_rulesets(Filter={"Name": name})["Rulesets"]], [name])
    w.glue.delete_data_quality_ruleset(Name=name)
    equal(code(w.glue.get_data_quality_ruleset, Name=name), "EntityNotFoundException")


QUALITY = """
from awsgluedq.transforms import EvaluateDataQuality
d = DynamicFrame.fromDF(spark.createDataFrame([(1, "a", 1.5), (2, None, 2.5), (2, "c", -1.0)], "id int, n string, v double"), glue, "d")
ref = DynamicFrame.fromDF(spark.createDataFrame([(1,), (2,), (3,)], "id int"), glue, "r")
rules = '''Rules = [ RowCount > 2, IsComplete "n", CustomSql "select count(*) from primary" > 1, (IsComplete "id") and (ColumnValues "v" between -5 and 3),
  (IsComplete "n") or (IsUnique "id"), ColumnValues "v" > 0 with threshold > 0.6, ColumnValues "v" > 0 with threshold > 0.7, RowCountMatch "ref" = 1.0 ]
  Analyzers = [ Completeness "n" ]'''
o = EvaluateDataQuality.apply(frame=d, ruleset=rules, additional_data_sources={"ref": ref},
                              publishing_options={"dataQualityEvaluationContext": "ctx", "enableDataQualityResultsPublishing": True})
m = EvaluateDataQuality().process_rows(frame=d, ruleset='Rules = [ IsComplete "n", (IsComplete "n") or (IsUnique "id"), ColumnValues "v" > 0 ]')
rows_ = SelectFromCollection.apply(dfc=m, key="rowLevelOutcomes").toDF().orderBy("v").collect()
refused = []
for bad in ('Rules = [ RowCount > avg(last(3)) ]', 'Rules = [ DetectAnomalies "RowCount" ]', 'Rules = [ Nope ]'):
    try:
        EvaluateDataQuality.apply(d, bad)
    except (NotImplementedError, ValueError) as error:
        refused.append(type(error).__name__)
tell([[r["Outcome"] for r in o.toDF().collect()], o.toDF().columns, [r["DataQualityEvaluationResult"] for r in rows_],
      list(rows_[0].asDict()), sorted(m.keys()), refused, {k: v for r in o.toDF().collect() for k, v in r["EvaluatedMetrics"].items()}])
job.commit()
"""


@case
def data_quality(w):
    """On Apache Spark by AWS's own evaluation; what it found is published when the run is over."""
    w.job("dq", QUALITY)
    run = w.run("dq")
    equal(run.get("ErrorMessage"), None)
    outcomes, columns, records, names, keys, refused, metrics = run["told"]
    equal(outcomes, ["Passed", "Failed", "Passed", "Passed", "Failed", "Passed", "Failed", "Passed"])
    equal(columns, ["Rule", "Outcome", "FailureReason", "EvaluatedMetrics", "EvaluatedRule"])
    equal(records, ["Failed", "Passed", "Failed"])
    equal(names, ["id", "n", "v", "DataQualityRulesPass", "DataQualityRulesFail", "DataQualityRulesSkip", "DataQualityEvaluationResult"])
    equal((keys, refused), (["originalData", "rowLevelOutcomes", "ruleOutcomes"], ["NotImplementedError", "NotImplementedError", "ValueError"]))
    equal((metrics["Dataset.*.RowCount"], metrics["Column.n.Completeness"]), (3.0, 2 / 3))
    listed = w.glue.list_data_quality_results(Filter={"JobName": w.named("dq")})["Results"]
    equal(len(listed), 1)
    result = w.glue.get_data_quality_result(ResultId=listed[0]["ResultId"])
    equal((result["Score"], result["EvaluationContext"], [r["Result"] for r in result["RuleResults"]][:2]), (5 / 8, "ctx", ["PASS", "FAIL"]))


DATABASE = """
import os
url = "jdbc:sqlite:" + os.path.join(os.environ["TMPDIR"], "x.db")
to = {"url": url, "dbtable": "people"}
one = DynamicFrame.fromDF(spark.createDataFrame([(1, "a"), (2, "b")], "id int, n string"), glue, "one")
glue.write_dynamic_frame.from_options(one, connection_type="sqlite", connection_options=to)
tell([rows(glue.create_dynamic_frame.from_options("sqlite", to)),
      rows(glue.create_dynamic_frame.from_options("sqlite", {"url": url, "sampleQuery": "select id from people where id > 1"}))])
job.commit()
"""


@case
def databases(w):
    """Written and read by JDBC, on Apache Spark."""
    w.job("db", DATABASE)
    run = w.run("db")
    equal((run.get("ErrorMessage"), run["told"]), (None, [[[1, "a"], [2, "b"]], [[2]]]))


XML = """
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/books"]}, format="xml", format_options={"rowTag": "book"})
e = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/books"], "exclusions": ["**/more.xml"]}, format="xml",
                                           format_options={"rowTag": "book", "attributePrefix": "at_", "valueTag": "text", "ignoreSurroundingSpaces": True})
t = glue.create_dynamic_frame.from_catalog(DB, "books")
try:
    glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/books"]}, format="xml")
except ValueError as error:
    untagged = str(error)
order = ["_id", "author", "price", "tag"]
tell([d.toDF().select(*order).dtypes, rows(d.toDF().select(*order)), rows(e.toDF().select("at_id", "author", "price.text")), rows(t), untagged])
"""


@case
def xml_of_files_and_tables(w):
    """Elements by their tag, on Apache Spark: attributes, texts beside them, repeated ones; a table whose names have another case."""
    w.put("books/a.xml", '<books><book id="b1"><author>Ann</author><price>10.5</price><tag>x</tag><tag>y</tag></book>'
          '<book id="b2"><author> Bob </author><price cur="EUR">7</price></book></books>')
    w.put("books/more.xml", '<books><book id="b3"><author>Cy</author><price>1</price></book></books>')
    columns = [{"Name": "author", "Type": "string"}, {"Name": "_ID", "Type": "string"}, {"Name": "tag", "Type": "array<string>"}]
    storage = {"Location": f"s3://{w.bucket}/books/", "Columns": columns, "SerdeInfo": {"Parameters": {"rowTag": "book"}}}
    w.glue.create_table(DatabaseName=w.database, TableInput={"Name": "books", "Parameters": {"classification": "xml"}, "StorageDescriptor": storage})
    w.job("xml", XML)
    run = w.run("xml")
    equal(run.get("ErrorMessage"), None)
    equal(run["told"][0], [["_id", "string"], ["author", "string"], ["price", "struct<_VALUE:double,_cur:string>"], ["tag", "array<string>"]])
    equal(run["told"][1], [["b1", "Ann", [10.5, None], ["x", "y"]], ["b2", " Bob ", [7.0, "EUR"], None], ["b3", "Cy", [1.0, None], None]])
    equal(run["told"][2], [["b1", "Ann", 10.5], ["b2", "Bob", 7.0]])
    equal(run["told"][3], [[" Bob ", "b2", None], ["Ann", "b1", ["x", "y"]], ["Cy", "b3", None]])
    equal(run["told"][4], "format xml needs the format option rowTag")


UNKNOWN = """
df = spark.createDataFrame([(1, "a")], "customer_id int, name string")
df.createOrReplaceTempView("customers")
said = []
for ask in (lambda: df.select("custmer_id").collect(), lambda: df.filter("nam = 'a'").collect(), lambda: df.groupBy("x").count().collect(),
            lambda: df.select(F.col("a.b")).collect(), lambda: spark.sql("select nme from customers").collect(), lambda: spark.table("nope").collect()):
    try:
        said.append(str(ask()))
    except Exception as error:
        said.append(type(error).__name__ + ": " + str(error).split(";")[0].splitlines()[0])
tell(said)
"""


@case
def columns_that_are_not_there(w):
    """Told with the nearest names, in Apache Spark's words, on Sail too."""
    w.job("unknown", UNKNOWN)
    run = w.run("unknown", lakerun_engine="sail")
    unresolved = ("AnalysisException: [UNRESOLVED_COLUMN.WITH_SUGGESTION] A column or function parameter with name {} cannot be resolved. "
                  "Did you mean one of the following? [{}].")
    others = [(name, "`name`, `customer_id`") for name in ("`nam`", "`x`", "`a`.`b`", "`nme`")]
    names = [("`custmer_id`", "`customer_id`, `name`"), *others]
    missing = ("AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `nope` cannot be found. "
               "Verify the spelling and correctness of the schema and catalog.")
    equal(run["told"], [*(unresolved.format(*one) for one in names), missing])


OTHER_NAMES = """
df = spark.createDataFrame([(1, "a"), (2, "b")], "id int, s string")
d = DynamicFrame.fromDF(df, glue, "d")
glue.registerDataFrameAsTable(df, "reg")
glue.write_from_options(d, "s3", {"path": B + "/one"}, "json")
d.write("s3", {"path": B + "/two"}, "csv")
two = FlatMap.apply(d.split_rows({"id": {">": 1}}, "hi", "lo"), SelectFields, "frame", paths=["id"])
some = glue.create_sample_dynamic_frame_from_options("s3", {"paths": [B + "/one"]}, 1, format="json")
tell([glue.table("reg").count(), "reg" in glue.tableNames(), ErrorsAsDynamicFrame.apply(d).count(), sorted(two.keys()), rows(two["hi"]), rows(spark.read.json(B + "/one")),
      rows(spark.read.csv(B + "/two", header=True)), some.count(), d.applyMapping([("id", "int", "x", "string")]).toDF().dtypes])
"""


@case
def names_that_scripts_use_besides(w):
    """What AWS's library calls otherwise, or has from SQLContext."""
    w.job("names", OTHER_NAMES)
    run = w.run("names")
    equal((run.get("ErrorMessage"), run["told"]),
          (None, [2, True, 0, ["hi", "lo"], [[2]], [[1, "a"], [2, "b"]], [["1", "a"], ["2", "b"]], 1, [["x", "string"]]]))


@case
def workflows_by_events(w):
    """A rule of EventBridge starts a workflow's runs: by so many events, or when a window ends."""
    import boto3
    events, iam = boto3.client("events"), boto3.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=w.named("rule"), AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    w.put("code/ev.py", "import boto3, json, sys\nfrom awsglue.utils import getResolvedOptions\n"
          "args = getResolvedOptions(sys.argv, ['WORKFLOW_NAME', 'WORKFLOW_RUN_ID'])\n"
          "print('TOLD ' + json.dumps(boto3.client('glue').get_workflow_run_properties(Name=args['WORKFLOW_NAME'], RunId=args['WORKFLOW_RUN_ID'])['RunProperties']))\n")
    w.glue.create_job(Name=w.named("ev"), Role=w.role, Command={"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": f"s3://{w.bucket}/code/ev.py"},
                      ExecutionProperty={"MaxConcurrentRuns": 5})
    flow = w.named("by-events")
    w.glue.create_workflow(Name=flow)
    w.glue.create_trigger(Name=w.named("ev-start"), Type="EVENT", WorkflowName=flow, EventBatchingCondition={"BatchSize": 2, "BatchWindow": 2},
                          Actions=[{"JobName": w.named("ev")}])
    arn = f"arn:aws:glue:{w.glue.meta.region_name}:{w.role.split(':')[4]}:workflow/{flow}"
    events.put_rule(Name=flow, EventPattern=json.dumps({"source": [flow]}))
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=flow)["QueueUrl"]
    dead = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": dead}]})})
    events.put_targets(Rule=flow, Targets=[{"Id": "w", "Arn": arn, "RoleArn": role, "DeadLetterConfig": {"Arn": dead}}])

    def send(count):
        return [e["EventId"] for e in events.put_events(Entries=[{"Source": flow, "DetailType": "d", "Detail": "{}"} for _ in range(count)])["Entries"]]

    def runs(count):
        while len(found := w.glue.get_workflow_runs(Name=flow)["Runs"]) < count or found[0]["Status"] == "RUNNING":
            time.sleep(0.2)
        return found
    # Without glue:NotifyEvent the delivery is refused.
    send(2)
    refused = 0
    while refused < 2:
        refused += len(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10).get("Messages", []))
    iam.put_role_policy(RoleName=w.named("rule"), PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "glue:NotifyEvent", "Resource": arn}]}))
    sent = send(2)
    first = runs(1)[0]
    equal(first["StartingEventBatchCondition"], {"BatchSize": 2, "BatchWindow": 0})
    equal(sorted(first["WorkflowRunProperties"]["aws:eventIds"][1:-1].split(", ")), sorted(sent))
    told = w.wait("ev", w.glue.get_job_runs(JobName=w.named("ev"))["JobRuns"][0]["Id"])["told"]
    equal(told, first["WorkflowRunProperties"])
    sent = send(1)
    second = runs(2)[0]
    equal((second["StartingEventBatchCondition"], second["WorkflowRunProperties"]["aws:eventIds"]), ({"BatchSize": 0, "BatchWindow": 2}, f"[{sent[0]}]"))
    events.remove_targets(Rule=flow, Ids=["w"])
    events.delete_rule(Name=flow)
    w.glue.delete_workflow(Name=flow)


POSTGRES = """
d = glue.create_dynamic_frame.from_options("postgresql", {"useConnectionProperties": "true", "connectionName": args["JOB_NAME"], "dbtable": "orders"},
                                           transformation_ctx="orders")
t = glue.create_dynamic_frame.from_catalog(DB, "pgorders")
tell([rows(d), t.count(), glue.extract_jdbc_conf(args["JOB_NAME"])["fullUrl"]])
glue.write_dynamic_frame.from_jdbc_conf(d, catalog_connection=args["JOB_NAME"], connection_options={"dbtable": "copies"})
job.commit()
"""


@case
def databases_of_connections(w):
    """A PostgreSQL server by a Glue connection, with its primary key as the bookmark's key. The server is that of PGURL
    (postgresql://user:password@host:port/database)."""
    url = os.environ.get("PGURL")
    if not url:
        print("      without a server: PGURL is not set")
        return
    from urllib.parse import urlsplit

    parts = urlsplit(url)

    def sql(text):
        subprocess.run(["psql", url, "-v", "ON_ERROR_STOP=1", "-q", "-c", text], check=True)

    sql("drop table if exists orders, copies; create table orders (id bigint primary key, what text); insert into orders values (1, 'a'), (2, 'b')")
    properties = {"JDBC_CONNECTION_URL": f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}", "USERNAME": parts.username, "PASSWORD": parts.password or "x"}
    w.glue.create_connection(ConnectionInput={"Name": w.named("pg"), "ConnectionType": "JDBC", "ConnectionProperties": properties})
    w.glue.create_table(DatabaseName=w.database, TableInput={
        "Name": "pgorders", "Parameters": {"classification": "postgresql", "connectionName": w.named("pg")},
        "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "bigint"}, {"Name": "what", "Type": "string"}], "Location": "db.public.orders"}})
    w.job("pg", POSTGRES, {"--job-bookmark-option": "job-bookmark-enable"})
    first = w.run("pg")
    equal((first.get("ErrorMessage"), first["told"]), (None, [[[1, "a"], [2, "b"]], 2, properties["JDBC_CONNECTION_URL"]]))
    sql("insert into orders values (3, 'c'), (10, 'd')")
    equal([w.run("pg")["told"][:2], w.run("pg")["told"][:2]], [[[[10, "d"], [3, "c"]], 4], [[], 4]])
    counted = subprocess.run(["psql", url, "-At", "-c", "select count(*), sum(id) from copies"], check=True, capture_output=True, text=True).stdout.strip()
    equal(counted, "4|16")


INPUTS = {
    "persons/a.json": '{"id": "p1", "name": "Ann", "address": {"city": "Oslo", "zip": "0150"}, "contacts": [{"type": "fax", "value": "1"}, {"type": "tel", "value": "2"}]}\n'
                      '{"id": "p2", "name": "Bob", "address": {"city": "Rome", "zip": "00100"}, "contacts": [{"type": "tel", "value": "3"}]}\n',
    "memberships/a.json": '{"person_id": "p1", "organization_id": "o1"}\n{"person_id": "p2", "organization_id": "o1"}\n{"person_id": "p2", "organization_id": "o2"}\n',
    "orgs/a.json": '{"id": "o1", "name": "House", "note": "x"}\n{"id": "o2", "name": "Senate", "note": "y"}\n',
    "choice/a.json": '{"id": 1, "provider": 10}\n{"id": 2, "provider": "20"}\n{"id": 3, "provider": "none"}\n',
    "orders/a.csv": "order id,customer,amount,when,vip\n1,ann,12.5,2024-01-31,true\n2,bob,7,2024-02-29,false\n3,ann,250,bad,true\n",
    "nulls/a.json": '{"id": 1, "a": {"x": 1, "y": null}, "gone": null, "n": "t"}\n{"id": 2, "a": {"x": 2, "y": null}, "gone": null, "n": null}\n',
    "events/one/a.json": '{"id": 1, "at": "2024-01-01 10:00:00", "value": 5}\n{"id": 2, "at": "2024-01-02 10:00:00", "value": 50}\n',
    "events/two/b.json": '{"id": 1, "at": "2024-03-01 10:00:00", "value": 15}\n',
    "payments/a.json": '{"drg definition": "039 - EXTRACRANIAL", "provider id": 10001, "provider name": "SOUTHEAST", "provider zip code": 36301, "average covered charges": "$32963.07", "average total payments": "$5777.24"}\n'
                       '{"drg definition": "039 - EXTRACRANIAL", "provider id": "10005", "provider name": "MARSHALL", "provider zip code": 35957, "average covered charges": "$15131.85", "average total payments": "$5787.57"}\n'
                       '{"drg definition": "057 - DEGENERATIVE", "provider id": "none", "provider name": "ELIZA", "provider zip code": 35631, "average covered charges": null, "average total payments": "$5434.95"}\n',
    "trips/year=2023/month=12/a.csv": "1,2023-12-31 23:50:00,2024-01-01 00:10:00,12.5,A\n",
    "trips/year=2024/month=01/a.csv": "2,2024-01-05 08:00:00,2024-01-05 08:31:30,20.25,A\n3,2024-01-06 09:15:00,2024-01-06 09:20:00,7,B\n4,bad,2024-01-06 10:00:00,5.5,B\n",
    "trips/year=2024/month=02/a.csv": "5,2024-02-29 23:59:59,2024-03-01 00:29:59,33.3,A\n6,2024-02-10 12:00:00,2024-02-10 12:00:00,-3,B\n",
    "sales/a.csv": "order_id,region,product,qty,price,sold\n1,north,Pen,10,1.50,2024-01-03\n2,north,Book,2,12.99,2024-01-03\n3,south,\"Lamp, large\",1,149.00,2024-02-10\n"
                   "4,,Pen,5,1.50,2024-02-11\n5,south,Pen,,1.55,2024-02-12\n6,north,Lamp,3,49.90,2023-12-30\n7,south,Book,4,12.99,2024-02-10\n",
    "clicks/a.json": '{"event_id": 1, "user": {"id": "u1", "geo": {"country": "NO"}}, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}], "payload": "{\\"a\\": {\\"b\\": \\"deep\\"}, \\"tags\\": [\\"x\\", \\"y\\"], \\"score\\": 5}"}\n'
                     '{"event_id": 2, "user": {"id": "u2", "geo": {"country": "IT"}}, "items": [], "payload": "{\\"tags\\": []}"}\n'
                     '{"event_id": 3, "user": {"id": "u3", "geo": null}, "items": [{"sku": "a", "n": null}], "payload": "not json"}\n',
    "people/a.csv": "id;name;email;phone;born;tier;city\n1;  ann LEE ;Ann@Example.com;+47 (22) 123-456;1980-02-29;gold;Oslo\n2;bob de wit;bob@example.org;555 0101;31/12/1999;silver;N/A\n"
                    "3;Ann Lee;ann@example.com;22123456;1980-02-29;gold;Oslo\n4;cy;;;bad;gold;\n",
    "changes/a.json": '{"op": "U", "id": 2, "name": "bb", "v": 21.5, "day": "2024-01-01", "at": "2024-02-01T10:00:00Z"}\n{"op": "U", "id": 2, "name": "b2", "v": 22.5, "day": "2024-01-03", "at": "2024-02-01T11:00:00Z"}\n'
                      '{"op": "D", "id": 1, "at": "2024-02-01T09:00:00Z"}\n{"op": "I", "id": 4, "name": "d", "v": null, "day": "2024-01-03", "at": "2024-02-01T12:30:00.5Z"}\n',
    "members/a.json": '{"id": "m1", "name": {"given": "Ann", "family": "Lee"}, "born": "1981-01-01", "links": [{"url": "http://a", "kind": "web"}, {"url": "http://b", "kind": null}], "other": {"note": "n", "lang": "en"}}\n'
                      '{"id": "m2", "name": {"given": "Bo", "family": null}, "born": "1960-05-05", "links": [], "other": {"note": null, "lang": "it"}}\n'
                      '{"id": "m3", "name": {"given": "Cy", "family": "Ng"}, "born": null, "links": [{"url": "http://c", "kind": "fax"}], "other": null}\n',
    "invoices/a.csv": "invoice,customer,issued,net,vat,paid,lines\n1001,c1,2024-01-05 10:00:00,100.05,25,true,3\n1002,c2,2024-02-10 23:30:00,19.995,22.5,false,1\n1003,c1,2024-02-11 08:15:30,,25,true,\n1004,c9,2023-12-31 00:00:00,2500,0,false,12\n",
    "customers/a.json": '{"customer": "c1", "country": "NO", "limits": {"daily": 5, "monthly": 100.5}, "tags": ["x", "y"]}\n{"customer": "c2", "country": "IT", "limits": {"daily": null, "monthly": 7}, "tags": []}\n{"customer": "c3", "country": "IT", "limits": null, "tags": null}\n',
    "carts/a.json": '{"cart": 1, "customer": {"name": "Ann", "tags": ["a", "b"]}, "lines": [{"sku": "x", "price": 1.5, "offers": [{"code": "p"}, {"code": "q"}]}, {"sku": "y", "price": 2.25, "offers": []}]}\n{"cart": 2, "customer": {"name": "Bo", "tags": []}, "lines": [{"sku": "x", "price": 1.5, "offers": [{"code": "r"}]}]}\n',
    "documents/a.json": '{\n "batch": {\n  "source": "s1",\n  "records": [\n   {"id": 1, "label": "one", "points": [1.5, 2.5]},\n   {"id": 2, "label": null, "points": []}\n  ]\n }\n}\n',
    "documents/b.json": '{"batch": {"source": "s2",\n "records": [{"id": 3, "label": "three \\u00fc", "points": [0.25]}]}}\n',
    "visits/a.csv": "user,at,page\nu1,2024-01-01 10:00:00,home\nu1,2024-01-01 10:10:00,list\nu1,2024-01-01 11:00:00,home\nu2,2024-01-01 23:50:00,item\nu2,2024-01-02 00:05:00,home\nu2,2024-01-02 00:05:00,pay\n",
    "weblog/a.log": '1.2.3.4 - - [01/Jan/2024:10:00:00 +0000] "GET /shop/a HTTP/1.1" 200 512\n1.2.3.4 - - [01/Jan/2024:10:59:59 +0000] "POST /shop/b?x=1 HTTP/1.1" 500 -\n5.6.7.8 - ann [01/Jan/2024:12:00:01 +0100] "GET / HTTP/1.1" 404 12\nnonsense\n',
    "boxed/a.json": '{"id": 1, "payload": "{\\"a\\": 1, \\"b\\": {\\"c\\": \\"x\\"}}"}\n{"id": 2, "payload": "{\\"a\\": 2, \\"b\\": {\\"c\\": null}}"}\n',
}


EXPECTED = HERE / "scripts" / "expected.json"


PURGE = """
import boto3
s3 = boto3.client("s3")
def left(prefix): return sorted(o["Key"] for o in s3.list_objects_v2(Bucket=args["bucket"], Prefix=prefix).get("Contents", []))
def refused(call, *given):
    try:
        call(*given)
    except (NotImplementedError, ValueError) as error:
        return str(error)
now = {"retentionPeriod": 0}
said = [refused(glue.purge_table, DB, "sold", {**now, "manifestFilePath": B + "/m"}),
        refused(glue.purge_s3_path, B + "/sold/", {**now, "partitionPredicate": "month = '01'"}),
        refused(glue.purge_table, DB, "sold", {"retentionPeriod": "a week"})]
before = left("sold")
glue.purge_table(DB, "sold", {"partitionPredicate": "month = '01'"})
young = left("sold")
glue.purge_table(DB, "sold", {**now, "partitionPredicate": "month in ('01', '03')", "excludeStorageClasses": ["GLACIER"]})
chosen = left("sold") + left("elsewhere")
glue.purge_s3_path(B + "/stage", now)
tell({"said": said, "kept": [before == young, len(before)], "chosen": chosen, "stage": left("stage")})
"""


@case
def purges(w):
    """What partitionPredicate chooses, wherever it lies, and nothing beside it; an emptied partition goes from the catalog."""
    columns = [{"Name": "id", "Type": "bigint"}]
    storage = {"Columns": columns, "Location": f"s3://{w.bucket}/sold/", "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}}
    w.glue.create_table(DatabaseName=w.database, TableInput={"Name": "sold", "StorageDescriptor": storage, "PartitionKeys": [{"Name": "month", "Type": "string"}]})
    for month, folder in (("01", "sold/month=01/"), ("02", "sold/month=01/late/"), ("03", "elsewhere/march/"), ("04", "sold/month=04/")):
        w.put(folder + "a.json", '{"id": 1}\n')
        part = {"Values": [month], "StorageDescriptor": {**storage, "Location": f"s3://{w.bucket}/{folder}"}}
        w.glue.create_partition(DatabaseName=w.database, TableName="sold", PartitionInput=part)
    w.s3.put_object(Bucket=w.bucket, Key="elsewhere/march/old.json", Body="{}", StorageClass="GLACIER")
    for key in ("stage/a", "stage/b/c", "stage_2/a", "stages"):
        w.put(key, "x")
    w.job("purge", PURGE)
    run = w.run("purge")
    equal(run["JobRunState"], "SUCCEEDED")
    told = run["told"]
    equal([any(word in said for said in told["said"]) for word in ("manifestFilePath", "partitionPredicate", "retentionPeriod")], [True] * 3)
    equal(told["kept"], [True, 3])
    equal(told["chosen"], ["sold/month=01/late/a.json", "sold/month=04/a.json", "elsewhere/march/old.json"])
    equal(told["stage"], ["stage_2/a", "stages"])
    # That of March has a file left, the one of January none.
    parts = w.glue.get_partitions(DatabaseName=w.database, TableName="sold")["Partitions"]
    equal(sorted(part["Values"][0] for part in parts), ["02", "03", "04"])


BOUNDED = """
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/new/", B + "/old/"], "boundedFiles": "2", "maxBand": "0"}, "json", transformation_ctx="src")
t = glue.create_dynamic_frame.from_catalog(DB, "raw", transformation_ctx="raw", additional_options={"boundedFiles": "1", "exclusions": '["**.{tmp,bak}"]'})
tell([rows(d), rows(t)])
job.commit()
"""


@case
def bounded_reads_of_several_paths(w):
    """The oldest files of all paths first: what a run leaves is older than nothing that it read, so that later runs read it. No key is a glob."""
    for id, key in enumerate(("old/b.json", "new/[1].json", "old/*.json", "new/c.json", "old/d.json")):
        w.put(key, json.dumps({"id": id}) + "\n")
        time.sleep(1)  # Each is younger than the one before: S3 tells whole seconds.
    for key in ("raw/{1}.json", "raw/1.json", "raw/a.bak", "raw/b.tmp"):
        w.put(key, json.dumps({"id": len(key)}) + "\n")
        time.sleep(1)
    storage = {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": f"s3://{w.bucket}/raw/", "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}}
    w.glue.create_table(DatabaseName=w.database, TableInput={"Name": "raw", "StorageDescriptor": storage})
    w.job("bounded", BOUNDED, {"--job-bookmark-option": "job-bookmark-enable"})
    told = []
    for _ in range(4):
        run = w.run("bounded")
        equal((run["JobRunState"], run.get("ErrorMessage")), ("SUCCEEDED", None))
        told.append(run["told"])
    equal(told, [[[[0], [1]], [[12]]], [[[2], [3]], [[10]]], [[[4]], []], [[], []]])


KEYS = """
import io, boto3, pyarrow as pa, pyarrow.parquet as pq
s3, catalog = boto3.client("s3"), boto3.client("glue")
def put(key, id):
    body = io.BytesIO()
    pq.write_table(pa.table({"id": [id]}), body)
    s3.put_object(Bucket=args["bucket"], Key=key, Body=body.getvalue())
for id, key in enumerate(("r[1].parquet", "r1.parquet", "x*.parquet", "{a}/q?.parquet", "{a}/qz.parquet", "100%41.parquet", "100A.parquet", "s#1.parquet")):
    put("keys/" + key, id)
storage = {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": B + "/table/",
           "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}}
catalog.create_table(DatabaseName=DB, TableInput={"Name": "keys", "StorageDescriptor": storage, "PartitionKeys": [{"Name": "m", "Type": "string"}]})
for id, value in enumerate(("{x}", "y")):
    put(f"table/m={value}/a[0].parquet", id)
    put(f"table/m={value}/sub/b.parquet", id + 10)
    part = {"Values": [value], "StorageDescriptor": {**storage, "Location": B + f"/table/m={value}/"}}
    catalog.create_partition(DatabaseName=DB, TableName="keys", PartitionInput=part)
def told(path):
    try:
        return rows(glue.create_dynamic_frame.from_options("s3", {"paths": [path]}, "parquet"))
    except ValueError as error:
        return str(error).partition(" ")[2]
tell([rows(glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/keys/"], "recurse": True}, "parquet")),
      rows(glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/keys/x\\\\*.parquet"]}, "parquet")), told(B + "/keys/{a}/"),
      rows(glue.create_dynamic_frame.from_catalog(DB, "keys")),
      rows(glue.create_dynamic_frame.from_catalog(DB, "keys", push_down_predicate="m = '{x}'", additional_options={"recurse": True}))])
"""


@case
def keys_are_no_globs(w):
    """A file whose key, or a partition whose folder, holds what globs are made of is read, and no other in its place: on Sail, whose own
    reader takes them for globs."""
    w.job("keys", KEYS, {"--lakerun-engine": "sail"})
    said = f"is a glob that finds nothing, and the name of something: that is s3://{w.bucket}/keys/\\{{a\\}}/"
    equal(w.run("keys")["told"], [[[id] for id in range(8)], [[2]], said, [[0, "{x}"], [1, "y"]], [[0, "{x}"], [10, "{x}"]]])


OPTIONS = """
from pyspark.sql.types import StructType
from awsglue import sources
def refused(call, *given, **more):
    try:
        call(*given, **more)
    except NotImplementedError as error:
        return str(error)
one = DynamicFrame(spark.createDataFrame([(1,)], "id int"), glue)
tell([refused(glue.create_dynamic_frame.from_options, "dynamodb", {"dynamodb.input.tableName": "t", "dynamodb.sts.roleArn": "arn"}),
      refused(glue.write_dynamic_frame.from_options, one, "s3", {"path": B + "/o/"}, "csv", {"quoteChar": -1}),
      [bool(sources._glob(glob).fullmatch(name)) for glob, name in (("a{b,c}d", "acd"), ("**.{tmp,bak}", "s3://b/x/y.bak"), ("[!a-c]*", "d"), ("[!a-c]*", "b"),
       ("[*]x", "*x"), ("*", "a/b"), (r"\\{a", "{a"), ("a?c", "a/c"))]])
"""


@case
def options_that_change_the_data(w):
    """Those of readers and writers that are not obeyed are refused by name; exclusions are Glue's globs."""
    w.job("options", OPTIONS)
    told = w.run("options")["told"]
    equal(["roleArn" in told[0], "quoteChar" in told[1]], [True, True])
    equal(told[2], [True, True, True, False, True, False, True, False])


REPORT = """
import math
def args_of(name): return sys.argv[sys.argv.index("--" + name) + 1]
from lakerun_spark import launcher, metastore
text = "/* two /* three */ insert into x */ WITH a AS (SELECT 'insert into y; ') INSERT INTO TABLE `d b`.t SELECT * FROM a -- insert into z"
changes = [bool(metastore._CHANGES.match(metastore._bare(t))) for t in ("/* a */ -- b\\n create table t (a int)", "/* a */ create temp view v as select 1")]
tell([launcher.finite({"good": 0.5, "none": math.nan, "most": math.inf}), metastore._INSERTS.findall(metastore._bare(text)),
      metastore._INSERTS.findall(metastore._bare("FROM s INSERT OVERWRITE d.a SELECT 1 INSERT INTO d.b SELECT 2")), changes])
job.commit()
if "--nan" in sys.argv: launcher.bookmark = {"version": 0, "state": {"src": {"last": [math.nan]}}}
if "--quit" in sys.argv: import os; os._exit(int(args_of("quit")))
if "--vanish" in sys.argv: import ctypes; ctypes.CDLL(None).exit(0)
if "--leave" in sys.argv:
    import atexit, threading, time
    atexit.register(lambda: tell("at the end"))
    threading.Thread(target=lambda: (time.sleep(0.5), tell("by a thread"))).start()
    if args_of("leave") == "exit": sys.exit(0)
"""


@case
def reports_of_runs(w):
    """A report that cannot be written fails the run, with the reason: as a success it would move no bookmark. Statements are found behind comments."""
    w.job("report", REPORT, {"--job-bookmark-option": "job-bookmark-enable"})
    run = w.run("report")
    equal(run["JobRunState"], "SUCCEEDED")
    equal(run["told"], [{"good": 0.5}, ["`d b`.t"], ["d.a", "d.b"], [True, False]])
    run = w.run("report", nan="1")
    equal(run["JobRunState"], "FAILED")
    if "report cannot be written" not in run["ErrorMessage"]:
        raise AssertionError(run["ErrorMessage"])


@case
def ends_of_runs(w):
    """However a script ends by itself it is its success or failure, with its bookmark; a process that is gone under it is neither."""
    w.job("report", REPORT, {"--job-bookmark-option": "job-bookmark-enable"})

    def moved():
        try:
            return w.glue.get_job_bookmark(JobName=w.named("report"))["JobBookmarkEntry"]["Run"]
        except ClientError:
            return 0

    equal((w.run("report", quit="0")["JobRunState"], moved()), ("SUCCEEDED", 1))
    run = w.run("report", quit="3")
    equal((run["JobRunState"], run["ErrorMessage"], moved()), ("FAILED", "Command failed with exit code 3", 1))
    run = w.run("report", vanish="1")
    equal((run["JobRunState"], moved()), ("FAILED", 1))
    if "exit code 0 before its script had" not in run["ErrorMessage"]:
        raise AssertionError(run["ErrorMessage"])
    for how in ("end", "exit"):
        run = w.run("report", leave=how)
        told = [line[5:] for line in w.log("/aws-glue/jobs/output", run["Id"]) if line.startswith("TOLD ")]
        equal((run["JobRunState"], told[1:]), ("SUCCEEDED", ['"by a thread"', '"at the end"']))
    equal(moved(), 3)


def came_of(path, engine):
    """What a script told and wrote: how it ended, its words, folders, the lines of text files. With why it moved, if it did."""
    own = World(engine)
    for key, body in INPUTS.items():
        own.put("in/" + key, body)
    own.job(path.stem, path.read_text() + "\njob.commit()\n")
    run = own.run(path.stem)
    found = own.s3.list_objects_v2(Bucket=own.bucket, Prefix="out/").get("Contents", [])
    keys = [item["Key"] for item in found if item["Size"] and not item["Key"].rpartition("/")[2].startswith(("_", "."))]
    folders = sorted({key.rpartition("/")[0] for key in keys})
    lines = []
    for key in keys:
        if not any(kind in key for kind in (".parquet", "avro", "orc")):
            body = own.s3.get_object(Bucket=own.bucket, Key=key)["Body"].read()
            lines += (gzip.decompress(body) if key.endswith(".gz") else body).decode().splitlines()
    moved = next((line for line in run["log"] if "moves to" in line), None)
    return [run["JobRunState"], run.get("ErrorMessage"), run["told"], folders, sorted(lines)], moved


def scripts():
    return sorted(path for path in (HERE / "scripts").glob("*.py") if path.stem in os.environ.get("SCRIPTS", path.stem).split(","))


@case
def scripts_without_a_jvm(w):
    """Scripts as public examples are written, on auto: they stay on Sail, and tell and write what Apache Spark did when it was asked
    (`run.py --record`)."""
    faults = []
    expected = json.loads(EXPECTED.read_text())
    for path in scripts():
        if not expected.get(path.stem, {}).get("stays"):
            continue
        came, moved = came_of(path, "auto")
        if moved or came != expected[path.stem]["came"]:
            faults.append(f"{path.stem}: {moved}\n  auto  {came}\n  spark {expected[path.stem]['came']}")
    if faults:
        raise AssertionError("\n".join(faults))


@case
def rules_of_the_runtime(w):
    """Those of conformance/spark/rules.py, on Sail, or on the engine that was asked for."""
    w.job("rules", "")
    w.put("code/rules.py", (HERE.parent / "spark" / "rules.py").read_bytes())
    run = w.run("rules", lakerun_engine="spark" if w.engine == "spark" else "sail")
    if run["JobRunState"] != "SUCCEEDED" or run["told"] is None or run["told"]["failed"]:
        raise AssertionError(f"{run['told']}: {run.get('ErrorMessage')}\n" + "\n".join(run["log"][-60:]))


TABLES = """
import boto3
catalog = boto3.client("glue")
def table(name, columns, serde, keys=(), **details):
    storage = {"Columns": [{"Name": k, "Type": t} for k, t in columns], "Location": f"{B}/{name}/", "SerdeInfo": {"SerializationLibrary": serde, "Parameters": details}}
    catalog.create_table(DatabaseName=DB, TableInput={"Name": name, "PartitionKeys": [{"Name": k, "Type": t} for k, t in keys], "StorageDescriptor": storage})
J, L = "org.openx.data.jsonserde.JsonSerDe", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
table("events", [("userid", "int"), ("o", "struct<nn:int>")], J)
table("plain", [("id", "int")], J)
table("lazy", [("id", "int"), ("v", "string")], L, **{"field.delim": ","})
table("parts", [("v", "int")], J, [("k", "string")])
sql = lambda text: spark.sql(text.replace("DB.", DB + "."))
shown = sorted(row.tableName for row in sql(f"show tables in {DB}").collect())
events = sql("select * from DB.events")
sql("insert into DB.plain select 2")
told = [shown, events.schema.simpleString(), rows(events), rows(sql("select * from DB.plain")), rows(sql("select * from DB.lazy")), rows(sql("select * from DB.parts"))]
sink = glue.getSink("s3", path=B + "/parts/", enableUpdateCatalog=True, partitionKeys=["k"])
sink.setFormat("json")
sink.setCatalogInfo(catalogDatabase=DB, catalogTableName="parts")
sink.writeFrame(DynamicFrame.fromDF(spark.createDataFrame([(1, "a")], "v int, k string"), glue, "d"))
told += [rows(sql("select * from DB.parts")), rows(spark.table(DB + ".parts"))]
sql("insert into DB.parts partition (k='b') select 7")
catalog.delete_partition(DatabaseName=DB, TableName="parts", PartitionValues=["a"])
boto3.client("s3").put_object(Bucket=args["bucket"], Key="parts/k=b/more.json", Body=b'{"v":8}')
told += [rows(sql("select * from DB.parts"))]
try:
    sql("insert into DB.events select 2, named_struct('nn', 3)")
except Exception as error:
    told += [type(error).__name__]
tell(told)
"""


@case
def tables_in_sql(w):
    """--enable-glue-datacatalog on Apache Spark: names whatever their case, text without quotes, and what came while the run goes on."""
    w.put("events/a.json", '{"userId":1,"o":{"Nn":2}}\n')
    w.put("plain/a.json", '{"id":1}\n')
    w.put("lazy/a.csv", '1,"a\n2,\\N\n3,b"\n')
    w.job("tables", TABLES, {"--enable-glue-datacatalog": "true"})
    run = w.run("tables", lakerun_engine="spark")
    equal(run["told"], [["events", "lazy", "parts", "plain"], "struct<userid:int,o:struct<nn:int>>", [[1, [2]]], [[1], [2]], [[1, '"a'], [2, None], [3, 'b"']], [],
                        [[1, "a"]], [[1, "a"]], [[7, "b"], [8, "b"]], "AnalysisException"])


@case
def scripts_on_both_engines(w):
    """The same scripts on auto and on Apache Spark tell and write the same."""
    faults = []
    for path in scripts():
        (auto, moved), (spark, _) = came_of(path, "auto"), came_of(path, "spark")
        print(f"      {path.stem}: {moved or 'stays on Sail'}")
        if auto != spark or auto[0] != "SUCCEEDED":
            faults.append(f"{path.stem}:\n  auto  {auto}\n  spark {spark}")
    if faults:
        raise AssertionError("\n".join(faults))


def record():
    """Asks Apache Spark what the scripts tell and write, and auto which of them stay on Sail."""
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    for path in scripts():
        spark, _ = came_of(path, "spark")
        auto, moved = came_of(path, "auto")
        print(f"{path.stem}: {'the same' if auto == spark else 'DIFFERENT'}; {moved or 'stays on Sail'}", flush=True)
        if auto != spark:
            print(f"  auto  {auto}\n  spark {spark}", flush=True)
        expected[path.stem] = {"stays": moved is None, "came": spark}
        EXPECTED.write_text(json.dumps(expected, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lakerun", help="the binary; without it the server of AWS_ENDPOINT_URL")
    parser.add_argument("--engine", default="auto", choices=["auto", "sail", "spark"])
    parser.add_argument("--no-spark", action="store_true", help="leave out the cases that need Apache Spark or move to it: 400 MB from PyPI and Maven Central")
    parser.add_argument("--record", action="store_true", help="write scripts/expected.json by Apache Spark's answers")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    server = Server(os.path.abspath(arguments.lakerun)) if arguments.lakerun else None
    passed, failed = 0, 0
    try:
        if arguments.record:
            record()
            return 0
        for name, run in CASES.items():
            if (arguments.names and name not in arguments.names) or (arguments.no_spark and name in ON_SPARK):
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
