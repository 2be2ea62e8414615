#!/usr/bin/env python3
"""functions.py --binary LAKERUN [--starts 40] [--calls 4000] [--clients 8] [--folder FOLDER]

Starts and calls of Lambda functions in Python: how long a start takes until its handler is called, and where that time goes; one call of a
warm function after the other; as many as go by some connections. Starts are shown with templates and without (`docs/lambda.md`). The client
signs once and sends the same bytes again, so that little of what is measured is its own. Nothing is asserted.

CPU is that of the server, of the environments by their own clocks, with what they did while they stood by, and of the client, for each call.
"""
import argparse
import io
import json
import os
import pathlib
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cpu import Cpu

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
# What the module does before its handler is there.
MODULES = {
    "nothing": "",
    "boto3.client('s3')": "import boto3\nclient = boto3.client('s3')\n",
    "a DynamoDB table": "import boto3\ntable = boto3.resource('dynamodb').Table('orders')\n",
}
# `exit` ends the environment, so that the next call starts one.
AROUND = """import time
LOADING = time.time()
{}
LOADED = time.time()

def handler(event, context):
    called = time.time()
    if event.get("exit"):
        import os
        os._exit(0)
    return {{"loading": LOADING, "loaded": LOADED, "called": called, "cpu": time.process_time()}}
"""


class Server:
    def __init__(self, binary, folder, **settings):
        self.folder = folder
        command = [binary, "up", "--listen", "127.0.0.1:0", "--data", folder / "data"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(folder / "log", "w"), env={**os.environ, **settings})
        while not (folder / "data/server.json").exists():
            if self.process.poll() is not None:
                sys.exit((folder / "log").read_text())
            time.sleep(0.05)
        self.known = json.loads((folder / "data/server.json").read_text())
        self.cpu = Cpu(self.process.pid)
        known = {"endpoint_url": self.known["endpoint"], "region_name": self.known["region"],
                 "aws_access_key_id": self.known["access_key"], "aws_secret_access_key": self.known["secret_key"]}
        self.functions = boto3.client("lambda", **known)
        self.role = boto3.client("iam", **known).create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]

    def make(self, name, module):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("app.py", AROUND.format(module))
        self.functions.create_function(FunctionName=name, Runtime=f"python3.{sys.version_info.minor}", Handler="app.handler", Role=self.role,
                                       Code={"ZipFile": packed.getvalue()}, MemorySize=256, Timeout=60)
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})

    def request(self, name, event):
        """An Invoke, as bytes. Its signature holds for some minutes."""
        url, body = f"{self.known['endpoint']}/2015-03-31/functions/{name}/invocations", json.dumps(event).encode()
        request = AWSRequest("POST", url, data=body, headers={"content-type": "application/json"})
        SigV4Auth(Credentials(self.known["access_key"], self.known["secret_key"]), "lambda", self.known["region"]).add_auth(request)
        headers = {**request.headers, "host": url.split("/")[2], "content-length": len(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\n{lines}\r\n".encode() + body

    def connect(self):
        host, port = self.known["endpoint"].split("/")[2].rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def stop(self):
        self.process.terminate()
        self.process.wait()


def whole(answer):
    """The body of an answer, once it is all there."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return None
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    if len(body) < length:
        return None
    assert head.startswith(b"HTTP/1.1 200"), answer
    return body


def ask(connection, request):
    connection.sendall(request)
    answer = b""
    while (body := whole(answer)) is None:
        part = connection.recv(65536)
        assert part, "the server closed the connection"
        answer += part
    return body


def starts(server, name, count):
    """Milliseconds from the call to its answer and of each part, by part."""
    connection, begin, end = server.connect(), server.request(name, {}), server.request(name, {"exit": True})
    parts = {part: [] for part in ("call to answer", "until the module loads", "the module", "until the handler", "the answer", "CPU of the function", "CPU of the server")}
    ask(connection, begin)
    for _ in range(count):
        ask(connection, end)
        used, sent = server.cpu(), time.time()
        told = json.loads(ask(connection, begin))
        answered = time.time()
        times = [sent, told["loading"], told["loaded"], told["called"], answered]
        for part, took in zip(parts, [answered - sent, *(b - a for a, b in zip(times, times[1:])), told["cpu"], server.cpu() - used]):
            parts[part].append(took * 1000)
    return parts


def one_by_one(server, name, count):
    connection, request = server.connect(), server.request(name, {})
    for _ in range(100):
        ask(connection, request)
    took, used, own, function = [], server.cpu(), time.process_time(), json.loads(ask(connection, request))["cpu"]
    for _ in range(count):
        sent = time.perf_counter()
        body = ask(connection, request)
        took.append((time.perf_counter() - sent) * 1000)
    function = json.loads(body)["cpu"] - function
    cpu = [(server.cpu() - used), function, time.process_time() - own]
    took.sort()
    print(f"{'one after the other':24} best {took[0]:.2f} p50 {took[count // 2]:.2f} p99 {took[count * 99 // 100]:.2f} ms"
          f" | {shown(cpu, count)}", flush=True)


def at_once(server, name, count, clients):
    """All connections are served by one thread."""
    request, selector, answers, function = server.request(name, {}), selectors.DefaultSelector(), {}, {}
    connections = [server.connect() for _ in range(clients)]
    left, done, warming = count + 50 * clients, 0, 50 * clients
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
        answers[connection] = b""
        connection.sendall(request)
        left -= 1
    first = {}
    used = own = begun = None
    while done < count + warming:
        for key, _ in selector.select():
            connection = key.fileobj
            answers[connection] += connection.recv(65536)
            body = whole(answers[connection])
            if body is None:
                continue
            answers[connection], done = b"", done + 1
            if done == warming:
                used, own, begun = server.cpu(), time.process_time(), time.perf_counter()
            told = json.loads(body)
            if done >= warming:
                first.setdefault(told["loading"], told["cpu"])
                function[told["loading"]] = told["cpu"]
            if left:
                connection.sendall(request)
                left -= 1
    took = time.perf_counter() - begun
    ran = sum(function.values()) - sum(first.values())
    cpu = [server.cpu() - used, ran, time.process_time() - own]
    print(f"{f'{clients} at once':24} {count / took:.0f} a second, {len(function)} environments | {shown(cpu, count)}", flush=True)


def shown(cpu, count):
    names = ("server", "function", "client")
    return "CPU ms each: " + ", ".join(f"{name} {part * 1000 / count:.2f}" for name, part in zip(names, cpu))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True, type=pathlib.Path)
    arguments.add_argument("--starts", type=int, default=40)
    arguments.add_argument("--calls", type=int, default=4000)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--folder", type=pathlib.Path, help="where the data folder is made")
    given = arguments.parse_args()
    for templates in (True, False):
        settings = {} if templates else {"LAKERUN_LAMBDA_TEMPLATE_SECONDS": "0"}
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            server = Server(given.binary.resolve(), pathlib.Path(folder), **settings)
            try:
                for number, (what, module) in enumerate(MODULES.items()):
                    server.make(f"f{number}", module)
                time.sleep(5 if templates else 0)  # Until the template is there; starts before that are plain ones.
                for number, what in enumerate(MODULES):
                    print(f"start, {what}, {'of a template' if templates else 'by itself'}; load {os.getloadavg()[0]:.1f}")
                    for part, took in starts(server, f"f{number}", given.starts if templates else max(given.starts // 8, 3)).items():
                        print(f"    {part:24} best {min(took):7.1f} p50 {statistics.median(took):7.1f} ms", flush=True)
                if templates:
                    one_by_one(server, "f0", given.calls)
                    at_once(server, "f0", given.calls, given.clients)
            finally:
                server.stop()


if __name__ == "__main__":
    main()
