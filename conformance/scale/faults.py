#!/usr/bin/env python3
"""Two nodes on one PostgreSQL, executions started through both all the while, and faults: the owner killed, frozen for longer than its
lease and woken, drained; PostgreSQL crashed and started again. Every execution whose start was acknowledged must end once, and its
effect (one item's counter) must be there once.

    faults.py LAKERUN [ROUNDS]

Times are printed, not judged: they are the machine's."""
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import server  # noqa: E402
from postgresql import PostgreSQL  # noqa: E402

server.need_boto3(__file__)
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
    def __init__(self, binary, store, folder, name):
        self.data, self.log, self.port = os.path.join(folder, name), os.path.join(folder, name + ".log"), free_port()
        self.name, self.command = name, [os.path.abspath(binary), "up", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, "--store", store]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

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

    def owns(self):
        return self.get("/readyz") == (200, "serves\n")


def until(what, condition):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > PATIENCE:
            sys.exit(f"waited for {PATIENCE} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begun


def clients(node, keys, service):
    config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 2}, read_timeout=5, connect_timeout=2)
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

    def __init__(self, nodes, keys, machine, lane):
        super().__init__(daemon=True)
        self.ends, self.machine, self.lane = [clients(node, keys, "stepfunctions") for node in nodes], machine, lane
        self.acknowledged, self.turned_away, self.stopping, self.longest = [], 0, False, 0.0

    def run(self):
        n, last = 0, time.monotonic()
        while not self.stopping:
            name = f"e{self.lane}-{n}"
            try:
                started = self.ends[n % len(self.ends)].start_execution(
                    stateMachineArn=self.machine, name=name, input=json.dumps({"id": name}))
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                # Neither acknowledged nor refused: the next one has another name.
                self.turned_away += 1
            else:
                self.acknowledged.append(started["executionArn"])
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
            n += 1
            time.sleep(0.02)


def taken_over(load, other):
    """Seconds until an execution is acknowledged again, and the other node owns the stores."""
    before = len(load.acknowledged)
    begun = time.monotonic()
    until("the other node to own the stores", other.owns)
    until("an execution to be started", lambda: len(load.acknowledged) > before)
    return time.monotonic() - begun


def role_of_machine(iam):
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": "*"}
    document = lambda statement: json.dumps({"Version": "2012-10-17", "Statement": statement})
    arn = iam.create_role(RoleName="faults", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="faults", PolicyName="may", PolicyDocument=document(may))
    return arn


def main():
    binary, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    database, folder = PostgreSQL(), tempfile.TemporaryDirectory()
    nodes = []
    try:
        store = database.url("faults")
        nodes = [Node(binary, store, folder.name, "one")]
        until("the first node to serve", nodes[0].owns)
        nodes.append(Node(binary, store, folder.name, "two"))
        until("the second node to stand by", lambda: nodes[1].get("/readyz") == (200, "standby: passes on\n"))
        assert nodes[1].get("/healthz")[0] == 200
        told = json.load(open(os.path.join(nodes[0].data, "server.json")))
        keys = (told["access_key"], told["secret_key"])
        # Through the node that stands by.
        tables, states = clients(nodes[1], keys, "dynamodb"), clients(nodes[1], keys, "stepfunctions")
        tables.create_table(TableName="effects", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
        role = role_of_machine(clients(nodes[1], keys, "iam"))
        machine = states.create_state_machine(name="faults", definition=json.dumps(DEFINITION), roleArn=role)["stateMachineArn"]
        loads = [Load(nodes, keys, machine, lane) for lane in range(2)]
        for load in loads:
            load.start()
        until("load", lambda: len(loads[0].acknowledged) > 20)
        for _ in range(rounds):
            owner, other = sorted(nodes, key=lambda node: not node.owns())
            owner.kill()
            print(f"owner killed: another serves after {taken_over(loads[0], other):.1f} s")
            owner.start()
            until("it to stand by", lambda: (owner.get("/readyz") or "")[1:] == ("standby: passes on\n",))

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

            owner, other = sorted(nodes, key=lambda node: not node.owns())
            owner.signal(signal.SIGTERM)
            print(f"owner drained: another serves after {taken_over(loads[0], other):.1f} s")
            owner.process.wait()
            owner.start()
            until("it to stand by", lambda: (owner.get("/readyz") or "")[1:] == ("standby: passes on\n",))
        for load in loads:
            load.stopping = True
            load.join()
        judge(nodes, keys, [arn for load in loads for arn in load.acknowledged])
        print(f"turned away {sum(load.turned_away for load in loads)}, longest without an acknowledgement {max(load.longest for load in loads):.1f} s")
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


def judge(nodes, keys, acknowledged):
    """Each has ended, once, and has had its effect once."""
    owner = next(node for node in nodes if node.owns())
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
