#!/usr/bin/env python3
"""Kills a server with thousands of running executions (kill -9), starts it again, and tells how long after its start each of
them went on: timers that fell due, retries, Map children, tasks that were running, functions; and how long a callback takes then.

recover.py --binary target/release/lakerun [--scale 1.0]; needs boto3. The data folder is temporary, the port the system's choice.
"""

import argparse
import datetime
import http.client
import io
import json
import math
import os
import signal
import socket
import subprocess
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

# How long a function works: longer than the kill takes.
WORK_S = 1.5


class Server:
    """A server on a folder of its own, and clients of it."""

    def __init__(self, binary, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.binary, self.folder = binary, folder
        self.process = self.states = None

    def start(self):
        """Answers with when the process began and when it answered first."""
        begun = time.time()
        log = open(os.path.join(self.folder, "bench.log"), "a")
        self.process = subprocess.Popen(
            [self.binary, "up", "--data", self.folder, "--listen", f"127.0.0.1:{self.port}"], stdout=log, stderr=log
        )
        while True:
            try:
                with open(os.path.join(self.folder, "server.json")) as file:
                    json.load(file)
                # Any answer will do.
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/console/")
                connection.getresponse().read()
                return begun, time.time()
            except (OSError, ValueError):
                assert self.process.poll() is None, f"the server ended: {self.said()}"
                time.sleep(0.002)

    def said(self):
        """The end of its log."""
        with open(os.path.join(self.folder, "bench.log")) as file:
            return file.read()[-2000:]

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def client(self, service):
        with open(os.path.join(self.folder, "server.json")) as file:
            keys = json.load(file)
        return boto3.session.Session().client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=keys["region"],
            aws_access_key_id=keys["access_key"],
            aws_secret_access_key=keys["secret_key"],
            config=Config(retries={"max_attempts": 0}, max_pool_connections=32, inject_host_prefix=False),
        )


def task(resource, parameters, **more):
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "ResultPath": None, **more}
    return state


def chain(count, state):
    states = {f"S{n}": {**state, "Next": f"S{n + 1}"} for n in range(count - 1)}
    return {"StartAt": "S0", "States": {**states, f"S{count - 1}": {**state, "End": True}}}


def one(state):
    return {"StartAt": "S", "States": {"S": {**state, "End": True}}}


def machines(queue, function):
    """Definition, how many, how many items of input."""
    wait = {"Type": "Wait", "TimestampPath": "$.at"}
    missing = task("arn:aws:states:::aws-sdk:sqs:getQueueUrl", {"QueueName": "none"})
    always = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 1000}]
    body = {"token.$": "$$.Task.Token"}
    callback = task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", {"QueueUrl": queue, "MessageBody": body})
    children = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"at.$": "$.at"},
        "ItemProcessor": {"StartAt": "W", "States": {"W": {**wait, "End": True}}},
        "ResultPath": None,
    }
    return {
        "timers": (one(wait), 1000, 0),
        "callbacks": (one(callback), 500, 0),
        "retries": (one({**missing, "Retry": always}), 500, 0),
        "map children": (one(children), 50, 20),
        "functions": (one({"Type": "Task", "Resource": function}), 8, 0),
        "tasks": (chain(300, task("arn:aws:states:::aws-sdk:sts:getCallerIdentity", {})), 300, 0),
    }


def prepare(server):
    trust = {"Effect": "Allow", "Principal": {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]}}
    trust = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    iam = server.client("iam")
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.attach_role_policy(RoleName="bench", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        code = f"import time\ndef handle(event, context):\n    at = time.time()\n    time.sleep({WORK_S})\n    return at\n"
        file.writestr("handler.py", code)
    functions = server.client("lambda")
    made = functions.create_function(
        FunctionName="slow", Runtime="python3.12", Handler="handler.handle", Role=role, Code={"ZipFile": archive.getvalue()}
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="slow", WaiterConfig={"Delay": 1})
    queue = server.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    states = server.client("stepfunctions")
    found = {}
    for name, (definition, count, items) in machines(queue, made["FunctionArn"]).items():
        arn = states.create_state_machine(name=name.replace(" ", "-"), definition=json.dumps(definition), roleArn=role)
        found[name] = (arn["stateMachineArn"], count, items)
    return found, queue


def each(server, work, items, threads=8):
    """Calls `work(client, item)` for every item."""
    if server.states is None:
        server.states = server.client("stepfunctions")
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda item: work(server.states, item), items))


def start_all(server, found, scale, at):
    running = {}
    for name, (machine, count, items) in found.items():
        document = json.dumps({"at": at, "items": list(range(items))})

        def start(client, _, machine=machine, document=document):
            return client.start_execution(stateMachineArn=machine, input=document)["executionArn"]

        running[name] = each(server, start, range(max(1, int(count * scale))))
    return running


def tokens(server, queue, count):
    sqs, all_tokens = server.client("sqs"), []
    while len(all_tokens) < count:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
        assert found, f"{len(all_tokens)} of {count} tokens came"
        all_tokens += [json.loads(message["Body"])["token"] for message in found]
    return all_tokens


def went_on(client, arn, begun):
    """When the first event after the start stands in the history, in seconds after it; for a function when it began to run."""
    events, more = [], {}
    while True:
        page = client.get_execution_history(executionArn=arn, maxResults=1000, **more)
        events += page["events"]
        if "nextToken" not in page:
            break
        more = {"nextToken": page["nextToken"]}
    for event in events:
        if event["timestamp"].timestamp() > begun:
            ran = event.get("lambdaFunctionSucceededEventDetails")
            return (float(ran["output"]) if ran else event["timestamp"].timestamp()) - begun
    return None


def show(name, late):
    stuck = sum(1 for s in late if s is None)
    late = sorted(s for s in late if s is not None)
    ms = [f"{1000 * late[len(late) * p // 101]:.0f}" for p in (50, 99, 100)] if late else ["-"] * 3
    print(f"{name:<14} {len(late):>5} went on | after p50 {ms[0]} p99 {ms[1]} worst {ms[2]} ms | did not: {stuck}", flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--binary", required=True)
    options.add_argument("--scale", type=float, default=1.0)
    options = options.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        server = Server(os.path.abspath(options.binary), os.path.abspath(folder))
        server.start()
        try:
            found, queue = prepare(server)
            due = math.ceil(time.time() + 10 + 15 * options.scale)
            at = datetime.datetime.fromtimestamp(due, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            slow = ("functions", "tasks")
            first = {name: machine for name, machine in found.items() if name not in slow}
            running = start_all(server, first, options.scale, at)
            held = tokens(server, queue, len(running["callbacks"]))
            # The last ones, so that they are under way when the server is killed.
            wait_until(due - 4)
            running |= start_all(server, {"tasks": found["tasks"]}, options.scale, at)
            wait_until(due - 1)
            running |= start_all(server, {"functions": found["functions"]}, options.scale, at)
            wait_until(due - 0.2)
            server.kill()
            begun, answered = server.start()
            print(f"running: {sum(map(len, running.values()))} | answers {1000 * (answered - begun):.0f} ms after its start")

            def succeed(client, token):
                asked = time.time()
                client.send_task_success(taskToken=token, output="{}")
                return time.time() - asked

            # Few at once: this program is a load itself.
            show("callbacks", each(server, succeed, held, threads=2))
            time.sleep(max(0, begun + 4 * WORK_S - time.time()))
            for name, arns in running.items():
                if name == "callbacks":
                    continue
                show(name, each(server, lambda client, arn: went_on(client, arn, begun), arns))
        finally:
            server.stop()


def wait_until(at):
    left = at - time.time()
    assert left > 0, "starting took too long; a smaller --scale"
    time.sleep(left)


if __name__ == "__main__":
    main()
