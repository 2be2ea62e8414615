#!/usr/bin/env python3
"""Two nodes on one PostgreSQL and one bucket (of a third Lakerun), with data folders of their own; executions are started and objects put
through both all the while, and faults: the owner killed, frozen for longer than its lease and woken, drained; PostgreSQL crashed and
started again. Every execution whose start was acknowledged must end once, and its effect (one item's counter) must be there once; every
object that was acknowledged must have its bytes; a function made on the first node must run on each.

    run.py LAKERUN [ROUNDS]

Times are printed, not judged: they are the machine's."""
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import server  # noqa: E402
from postgresql import PostgreSQL  # noqa: E402

server.need_boto3(sys.argv[0])
import boto3  # noqa: E402
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402

LEASE = 3
# It ends a script that hangs; nothing is that slow.
PATIENCE = 600


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Node:
    def __init__(self, binary, folder, name, *arguments, **variables):
        self.data, self.log, self.port = os.path.join(folder, name), os.path.join(folder, name + ".log"), free_port()
        self.name, self.command = name, [os.path.abspath(binary), "up", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, *arguments]
        self.variables = variables
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=os.environ | self.variables)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def get(self, path):
        """Status and text of a look at its health; None where nobody answers."""
        try:
            with urllib.request.urlopen(self.endpoint + path, timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None

    def keys(self):
        told = json.load(open(os.path.join(self.data, "server.json")))
        return told["access_key"], told["secret_key"]

    def owns(self):
        return self.get("/readyz") == (200, "serves\n")


def until(what, condition):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > PATIENCE:
            sys.exit(f"waited for {PATIENCE} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begun


def clients(node, keys, service, patience=PATIENCE):
    config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 2}, read_timeout=patience, connect_timeout=5)
    access, secret = keys
    return boto3.client(service, endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id=access,
                        aws_secret_access_key=secret, config=config)


DEFINITION = {
    "StartAt": "Count",
    "States": {
        "Count": {
            "Type": "Task", "Resource": "arn:aws:states:::dynamodb:updateItem",
            "Parameters": {
                "TableName": "effects", "Key": {"id": {"S.$": "$.id"}}, "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            },
            "ResultPath": None, "Next": "Pause",
        },
        "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Done"},
        "Done": {"Type": "Pass", "End": True},
    },
}


class Load(threading.Thread):
    """Starts executions through any node; what was acknowledged is noted."""

    def __init__(self, nodes, keys, machine, lane, pause=0.02):
        self.pause = pause
        super().__init__(daemon=True)
        # They turn away from a node that is frozen.
        self.ends, self.machine, self.lane = [clients(node, keys, "stepfunctions", 5) for node in nodes], machine, lane
        self.buckets, self.objects = [clients(node, keys, "s3", 5) for node in nodes], []
        self.acknowledged, self.turned_away, self.stopping, self.longest = [], 0, False, 0.0

    def run(self):
        n, last = 0, time.monotonic()
        while not self.stopping:
            name = f"e{self.lane}-{n}"
            try:
                started = self.ends[n % len(self.ends)].start_execution(
                    stateMachineArn=self.machine, name=name, input=json.dumps({"id": name}))
                if n % 10 == 0:
                    self.buckets[n % len(self.ends)].put_object(Bucket="things", Key=name, Body=thing(name))
                    self.objects.append(name)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                # Neither acknowledged nor refused: the next one has another name.
                self.turned_away += 1
            else:
                self.acknowledged.append(started["executionArn"])
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
            n += 1
            time.sleep(self.pause)


def thing(name):
    """What an object of that name holds: too much for its record."""
    return name.encode() * 9000


def taken_over(load, other):
    """In how many seconds the other node owns the stores, and an execution is acknowledged again: clients notice a frozen node later."""
    before = len(load.acknowledged)
    owns = until("the other node to own the stores", other.owns)
    until("an execution to be started", lambda: len(load.acknowledged) > before)
    return owns


def role_of_machine(iam):
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": "*"}
    document = lambda statement: json.dumps({"Version": "2012-10-17", "Statement": statement})
    arn = iam.create_role(RoleName="faults", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="faults", PolicyName="may", PolicyDocument=document(may))
    return arn


def by_tls(binary):
    """A node reaches the database by TLS under an authority that it is told of, and by no other."""
    database, folder = PostgreSQL(free_port()), tempfile.TemporaryDirectory()
    node = None
    try:
        where = ("--store", database.url("tls"))
        node = Node(binary, folder.name, "trusts", *where, SSL_CERT_FILE=os.path.join(database.folder, "ca.pem"))
        until("the node that trusts the database to serve", node.owns)
        node.kill()
        node = Node(binary, folder.name, "other", *where)
        until("the other node to say why it does not", lambda: "UnknownIssuer" in open(node.log).read())
        assert not node.owns()
        print("TLS to the database: verified, and refused of another authority")
    finally:
        if node:
            node.kill()
        database.close()
        folder.cleanup()


def main():
    binary, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    by_tls(binary)
    database, folder = PostgreSQL(), tempfile.TemporaryDirectory()
    nodes = []
    try:
        bucket = Node(binary, folder.name, "bucket")
        nodes = [bucket]
        until("the bucket's server to serve", bucket.owns)
        clients(bucket, bucket.keys(), "s3").create_bucket(Bucket="shared")
        access, secret = bucket.keys()
        shared = {"LAKERUN_BUCKET_ENDPOINT": bucket.endpoint, "LAKERUN_BUCKET_ACCESS_KEY_ID": access, "LAKERUN_BUCKET_SECRET_ACCESS_KEY": secret}
        where = ("--store", database.url("faults"), "--objects", "s3://shared/nodes")
        nodes = [Node(binary, folder.name, "one", *where, **shared), bucket]
        until("the first node to serve", nodes[0].owns)
        nodes.insert(1, Node(binary, folder.name, "two", *where, **shared))
        until("the second node to stand by", lambda: nodes[1].get("/readyz") == (200, "standby: passes on\n"))
        until("it to be healthy", lambda: (nodes[1].get("/healthz") or (0,))[0] == 200)
        keys = nodes[0].keys()
        # Through the node that stands by.
        tables, states = clients(nodes[1], keys, "dynamodb"), clients(nodes[1], keys, "stepfunctions")
        tables.create_table(TableName="effects", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
        role = role_of_machine(clients(nodes[1], keys, "iam"))
        machine = states.create_state_machine(name="faults", definition=json.dumps(DEFINITION), roleArn=role)["stateMachineArn"]
        clients(nodes[1], keys, "s3").create_bucket(Bucket="things")
        function(clients(nodes[1], keys, "lambda"), clients(nodes[1], keys, "iam"))
        loads = [Load(nodes[:2], keys, machine, lane) for lane in range(3)]
        for load in loads:
            load.start()
        until("load", lambda: len(loads[0].acknowledged) > 20)
        for _ in range(rounds):
            owner, other = sorted(nodes[:2], key=lambda node: not node.owns())
            owner.kill()
            print(f"owner killed: another serves after {taken_over(loads[0], other):.1f} s")
            owner.start()
            until("it to stand by", lambda: (owner.get("/readyz") or "")[1:] == ("standby: passes on\n",))
            runs(other, keys)

            owner, other = other, owner
            owner.signal(signal.SIGSTOP)
            print(f"owner frozen: another serves after {taken_over(loads[0], other):.1f} s")
            time.sleep(LEASE)
            owner.signal(signal.SIGCONT)
            took = until("the woken node to stand by", lambda: (owner.get("/readyz") or "")[1:] == ("standby: passes on\n",))
            print(f"owner woken: it stands by after {took:.1f} s")

            owner, other = other, owner
            database.stop("immediate")
            time.sleep(1)
            database.start()
            before, begun = len(loads[0].acknowledged), time.monotonic()
            until("executions to go on", lambda: len(loads[0].acknowledged) > before + 3)
            print(f"PostgreSQL crashed and started: executions go on after {time.monotonic() - begun:.1f} s")

            owner, other = sorted(nodes[:2], key=lambda node: not node.owns())
            owner.signal(signal.SIGTERM)
            print(f"owner drained: another serves after {taken_over(loads[0], other):.1f} s")
            owner.process.wait()
            owner.start()
            until("it to stand by", lambda: (owner.get("/readyz") or "")[1:] == ("standby: passes on\n",))
        for load in loads:
            load.stopping = True
            load.join()
        judge(nodes[:2], keys, [arn for load in loads for arn in load.acknowledged], [name for load in loads for name in load.objects])
        print(f"turned away {sum(load.turned_away for load in loads)}, longest without an acknowledgement {max(load.longest for load in loads):.1f} s")
        print("3 passed, 0 failed")
    except BaseException:
        for node in nodes:
            print(f"--- {node.name}\n{open(node.log).read()[-6000:]}", file=sys.stderr)
        raise
    finally:
        for node in nodes:
            node.signal(signal.SIGCONT)
            node.kill()
        database.close()
        folder.cleanup()


def function(functions, iam):
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("f.py", "def handler(event, context):\n    return event['n'] + 1\n")
    functions.create_function(FunctionName="f", Runtime="python3.12", Role=role, Handler="f.handler", Timeout=60,
                              Code={"ZipFile": archive.getvalue()})


def runs(node, keys):
    """The function made on the first node runs where this one is the owner."""
    functions = clients(node, keys, "lambda")
    until("the function to be active", lambda: functions.get_function(FunctionName="f")["Configuration"]["State"] == "Active")
    answer = functions.invoke(FunctionName="f", Payload=b'{"n": 6}')
    assert (answer.get("FunctionError"), answer["Payload"].read()) == (None, b"7"), answer


def judge(nodes, keys, acknowledged, objects):
    """Each has ended, once, and has had its effect once; each object has its bytes."""
    owner = next(node for node in nodes if node.owns())
    kept = clients(owner, keys, "s3")
    for name in objects:
        assert kept.get_object(Bucket="things", Key=name)["Body"].read() == thing(name), name
    print(f"{len(objects)} acknowledged objects have their bytes")
    states, tables = clients(owner, keys, "stepfunctions"), clients(owner, keys, "dynamodb")
    wrong = []
    for arn in acknowledged:
        until(f"{arn} to end", lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        status = states.describe_execution(executionArn=arn)["status"]
        events = states.get_execution_history(executionArn=arn, maxResults=100)["events"]
        ends = [event["type"] for event in events if event["type"].startswith("Execution") and event["type"] != "ExecutionStarted"]
        name = arn.rsplit(":", 1)[1]
        item = tables.get_item(TableName="effects", Key={"id": {"S": name}}, ConsistentRead=True).get("Item", {})
        seen = (status, ends, item.get("n", {}).get("N"))
        if seen != ("SUCCEEDED", ["ExecutionSucceeded"], "1"):
            wrong.append((arn, seen))
    if wrong:
        sys.exit(f"{len(wrong)} of {len(acknowledged)} acknowledged executions did not end once: {wrong[:5]}")
    print(f"{len(acknowledged)} acknowledged executions ended once, each with its effect once")

if __name__ == "__main__":
    main()
