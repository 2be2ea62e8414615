#!/usr/bin/env python3
"""Nodes that run work for the owner. The owner here has no role `compute`: what runs, runs elsewhere. Two nodes come; functions, a Glue
job, a query and a crawl run there; one is killed under an execution's function, an event's function and a job; PostgreSQL is away for a while; both go, and work
waits until one comes back; then the owner is killed while a function runs, and a node that may own the stores goes on.
Each execution and job ends once, and what it counts, it counts once.

    compute.py LAKERUN

Times are printed, not judged: they are the machine's."""
import io
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import LEASE, Node, clients, until  # noqa: E402
from postgresql import PostgreSQL  # noqa: E402

COUNT = """
import boto3, time
def handler(event, context):
    time.sleep(event.get('sleep', 0))
    boto3.client('dynamodb').update_item(TableName='effects', Key={'id': {'S': event['id']}}, UpdateExpression='ADD n :one',
                                         ExpressionAttributeValues={':one': {'N': '1'}})
    print('counted ' + event['id'])
    return {'id': event['id'], 'endpoint': __import__('os').environ['AWS_ENDPOINT_URL']}
"""
JOB = """
import sys, time, boto3
from awsglue.utils import getResolvedOptions
told = getResolvedOptions(sys.argv, ['id', 'sleep'])
print('sleeps ' + told['sleep'])
time.sleep(float(told['sleep']))
boto3.client('s3').put_object(Bucket='things', Key='jobs/' + told['id'], Body=b'once')
boto3.client('dynamodb').update_item(TableName='effects', Key={'id': {'S': told['id']}}, UpdateExpression='ADD n :one',
                                     ExpressionAttributeValues={':one': {'N': '1'}})
"""


def below(pid):
    """The processes below one."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in open(f"/proc/{pid}/task/{thread}/children").read().split():
                found += [int(child), *below(int(child))]
    except OSError:
        pass
    return found


def busy(node):
    """Does anything of a user's run below it?"""
    return any("bootstrap.py" in line or "lakerun_spark" in line for line in map(command_line, below(node.process.pid)))


def command_line(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
    except OSError:
        return ""


class Cluster:
    def __init__(self, binary, folder, database):
        self.binary, self.folder = binary, folder
        self.where = ("--store", database.url("compute"), "--objects", "s3://shared/nodes")
        # Code of functions outlives the owner that was given it.
        bucket = Node(binary, folder, "bucket")
        self.nodes = [bucket]
        until("the bucket's server to serve", bucket.owns)
        access, secret = bucket.keys()
        clients(bucket, bucket.keys(), "s3").create_bucket(Bucket="shared")
        self.shared = {"LAKERUN_BUCKET_ENDPOINT": bucket.endpoint, "LAKERUN_BUCKET_ACCESS_KEY_ID": access, "LAKERUN_BUCKET_SECRET_ACCESS_KEY": secret}

    def node(self, name, *roles, wait=True):
        node = Node(self.binary, self.folder, name, *self.where, LAKERUN_ROLES=json.dumps(roles), LAKERUN_LAMBDA_TEMPLATE_SECONDS="0",
                    **self.shared)
        self.nodes.append(node)
        if wait and "engine" not in roles:
            self.works(node)
        return node

    def works(self, node):
        until(f"{node.name} to work", lambda: f"127.0.0.1:{node.port}" in "".join(
            line for other in self.nodes for line in open(other.log) if "a node works for this one now" in line))

    def close(self):
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            node.kill()


def prepare(owner, keys):
    for service, call in (("s3", lambda c: c.create_bucket(Bucket="things")), ("dynamodb", lambda c: c.create_table(
            TableName="effects", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}]))):
        call(clients(owner, keys, service))
    iam = clients(owner, keys, "iam")
    document = lambda statement: json.dumps({"Version": "2012-10-17", "Statement": statement})
    trust = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "glue.amazonaws.com", "states.amazonaws.com"]},
             "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="work", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="work", PolicyName="all", PolicyDocument=document({"Effect": "Allow", "Action": "*", "Resource": "*"}))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("f.py", COUNT)
    functions = clients(owner, keys, "lambda")
    functions.create_function(FunctionName="count", Runtime="python3.12", Role=role, Handler="f.handler", Timeout=300,
                              Code={"ZipFile": archive.getvalue()})
    until("the function to be active", lambda: functions.get_function(FunctionName="count")["Configuration"]["State"] == "Active")
    definition = {"StartAt": "Count", "States": {"Count": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                                                            # A synchronous call whose node is lost is its caller's to repeat.
                                                            "Retry": [{"ErrorEquals": ["Lambda.ServiceException"], "IntervalSeconds": 1}],
                                                            "Parameters": {"FunctionName": "count", "Payload.$": "$"}}}}
    machine = clients(owner, keys, "stepfunctions").create_state_machine(name="count", definition=json.dumps(definition), roleArn=role)
    s3 = clients(owner, keys, "s3")
    s3.put_object(Bucket="things", Key="job.py", Body=JOB.encode())
    s3.put_object(Bucket="things", Key="rows/rows.csv", Body=b"id,name\n1,one\n2,two\n3,three\n")
    glue = clients(owner, keys, "glue")
    glue.create_job(Name="job", Role=role, Command={"Name": "pythonshell", "ScriptLocation": "s3://things/job.py", "PythonVersion": "3.9"}, MaxCapacity=1)
    glue.create_database(DatabaseInput={"Name": "lake"})
    glue.create_crawler(Name="crawl", Role=role, DatabaseName="lake", Targets={"S3Targets": [{"Path": "s3://things/rows/"}]})
    return machine["stateMachineArn"]


class Work:
    """What clients ask for, and how it must end."""

    def __init__(self, node, keys, machine, counted=()):
        self.machine, self.counted = machine, list(counted)
        self.states, self.functions = clients(node, keys, "stepfunctions"), clients(node, keys, "lambda")
        self.glue, self.athena = clients(node, keys, "glue"), clients(node, keys, "athena")
        self.tables, self.logs = clients(node, keys, "dynamodb"), clients(node, keys, "logs")

    def invoke(self, name):
        self.counted.append(name)
        answer = self.functions.invoke(FunctionName="count", Payload=json.dumps({"id": name}), LogType="Tail")
        told = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, told
        return told

    def execution(self, name, sleep):
        self.counted.append(name)
        return self.states.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps({"id": name, "sleep": sleep}))["executionArn"]

    def event(self, name, sleep):
        self.counted.append(name)
        self.functions.invoke(FunctionName="count", InvocationType="Event", Payload=json.dumps({"id": name, "sleep": sleep}))

    def job(self, name, sleep):
        self.counted.append(name)
        return self.glue.start_job_run(JobName="job", Arguments={"--id": name, "--sleep": str(sleep)})["JobRunId"]

    def ended(self, arn):
        until(f"{arn} to end", lambda: self.states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        told = self.states.describe_execution(executionArn=arn)
        assert told["status"] == "SUCCEEDED", told
        events = self.states.get_execution_history(executionArn=arn)["events"]
        assert [event["type"] for event in events].count("ExecutionSucceeded") == 1

    def done(self, run):
        state = lambda: self.glue.get_job_run(JobName="job", RunId=run)["JobRun"]
        until(f"{run} to end", lambda: state()["JobRunState"] not in ("STARTING", "RUNNING", "WAITING"))
        assert state()["JobRunState"] == "SUCCEEDED", state()

    def query(self, sql):
        query = self.athena.start_query_execution(QueryString=sql, ResultConfiguration={"OutputLocation": "s3://things/results/"})["QueryExecutionId"]
        status = lambda: self.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        until(f"{sql} to end", lambda: status()["State"] not in ("QUEUED", "RUNNING"))
        assert status()["State"] == "SUCCEEDED", status()
        rows = self.athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows[1:]]

    def count(self, name):
        return self.tables.get_item(TableName="effects", Key={"id": {"S": name}}, ConsistentRead=True).get("Item", {}).get("n", {}).get("N")

    def judge(self):
        for name in self.counted:
            until(f"{name} to have counted", lambda: self.count(name))
        time.sleep(3)
        counts = {name: self.count(name) for name in self.counted}
        assert set(counts.values()) == {"1"}, counts
        print(f"{len(counts)} functions and jobs have counted once")


def main():
    database, folder = PostgreSQL(), tempfile.TemporaryDirectory()
    cluster = Cluster(sys.argv[1], folder.name, database)
    try:
        owner = cluster.node("owner", "api", "engine")
        until("the owner to serve", owner.owns)
        keys = owner.keys()
        one = cluster.node("one", "compute")
        until("the node to say for whom it works", lambda: one.get("/healthz") == (200, "standby: works for the owner, takes no requests\n"))
        until("it to say that it takes no requests", lambda: (one.get("/readyz") or (0,))[0] == 503)
        work = Work(owner, keys, prepare(owner, keys))
        assert work.invoke("first")["endpoint"] == owner.endpoint
        assert busy(one) and not busy(owner), "the function is warm on the node"
        streams = work.logs.describe_log_streams(logGroupName="/aws/lambda/count")["logStreams"]
        said = lambda: [event["message"] for stream in streams for event in work.logs.get_log_events(
            logGroupName="/aws/lambda/count", logStreamName=stream["logStreamName"])["events"]]
        until("its lines to be in the log", lambda: any("counted first" in line for line in said()))
        until("its report, too", lambda: any(line.startswith("REPORT") and "Max Memory Used" in line for line in said()))
        work.glue.start_crawler(Name="crawl")
        until("the crawl to end", lambda: work.glue.get_crawler(Name="crawl")["Crawler"]["State"] == "READY")
        assert work.query("SELECT name FROM lake.rows ORDER BY id") == [["one"], ["two"], ["three"]]
        work.done(work.job("job-first", 0))
        print("a function, a job, a crawl and a query ran on a node; the owner ran none of them")

        two = cluster.node("two", "compute")
        run = work.job("job-moved", 20)
        arns = [work.execution(f"moved-{n}", 20) for n in range(4)]
        for n in range(4):
            work.event(f"event-{n}", 20)
        until("both to work", lambda: busy(one) and busy(two))
        time.sleep(3)
        one.kill()
        begun = time.monotonic()
        for arn in arns:
            work.ended(arn)
        work.done(run)
        # An event is delivered at least once: those that still run would run again elsewhere when their node is frozen.
        for n in range(4):
            until(f"event-{n} to have counted", lambda: work.count(f"event-{n}"))
        print(f"a node killed under 4 executions, 4 events and a job: all ended {time.monotonic() - begun:.1f} s later")

        arns = [work.execution(f"frozen-{n}", 15) for n in range(2)]
        until("the node to work", lambda: busy(two))
        one.start()
        cluster.works(one)
        two.signal(signal.SIGSTOP)
        for arn in arns:
            work.ended(arn)
        two.signal(signal.SIGCONT)
        print("a node frozen under 2 executions: both ended elsewhere")

        arns = [work.execution(f"paused-{n}", 30) for n in range(4)]
        until("the node to work", lambda: busy(one))
        joined = lambda: open(one.log).read().count("working for the owner")
        before = joined()
        database.stop("immediate")
        time.sleep(2 * LEASE)
        database.start()
        until("the owner to serve again", owner.owns)
        for arn in arns:
            work.ended(arn)
        assert joined() == before, "the node went on with what it did"
        print("PostgreSQL away for twice the lease under 4 executions: nothing started over on the node")

        before = database.tasks("compute")
        for node in (one, two):
            node.kill()
        work.event("waits", 0)
        waits = work.job("job-waits", 0)
        time.sleep(5)
        assert work.count("waits") is None
        one.start()
        work.done(waits)
        # An event whose end was not recorded when the owner goes is delivered once more, as on AWS.
        until("the end of the event to be recorded", lambda: database.tasks("compute") <= before)
        print("with no node work waits, and is done when one comes")

        # One that may own the stores, and works for itself then.
        three = cluster.node("three", "api", "engine", "compute", wait=False)
        cluster.works(three)
        arns = [work.execution(f"owner-{n}", 10) for n in range(4)]
        until("work", lambda: busy(one) or busy(three))
        owner.kill()
        until("another to own the stores", three.owns)
        work = Work(three, keys, work.machine, work.counted)
        for arn in arns:
            work.ended(arn)
        print("the owner killed under 4 executions that ran on nodes: all ended")
        work.judge()
        print("7 passed, 0 failed")
    except BaseException:
        for node in cluster.nodes:
            print(f"--- {node.name}\n{open(node.log).read()[-4000:]}", file=sys.stderr)
        raise
    finally:
        cluster.close()
        database.close()
        folder.cleanup()


if __name__ == "__main__":
    main()
