#!/usr/bin/env python3
"""What PUT, GET, a page of LIST, GetItem, PutItem and a page of Query cost as a bucket and a table grow.

    python3 bench/slope.py [--lakerun target/release/lakerun] [--sizes 1000,100000] [--rounds 300] [--folder DISK]

Starts a server of its own on fresh data and fills a bucket and a table to each size in turn. At each size it measures, in CPU time of
the server and in time as the client sees it, the mean of some rounds with keys spread over all that is there. Closes with the ratios of
the largest size to the smallest. Nothing is asserted: the figures are this machine's. Needs boto3.

CPU is what all threads have run, which the kernel counts by the nanosecond. What a write leaves to do (records brought from the log into
the database a second later) counts: it is waited for.
"""
import argparse
import concurrent.futures
import datetime
import hashlib
import hmac
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

import boto3
from botocore.config import Config

from cpu import Cpu

KEYS = {"root_access_key_id": "AKIAROOTROOTROOTROOT", "root_secret_access_key": "root-secret"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Puts:
    """Many small objects through a few connections at once, with hardly more work for this side than to sign them."""

    CONNECTIONS = 24

    def __init__(self, port):
        self.port, self.host = port, f"127.0.0.1:{port}"

    def request(self, path, body):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        canonical = (f"PUT\n{path}\n\nhost:{self.host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n\n"
                     "host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD")
        key = ("AWS4" + KEYS["root_secret_access_key"]).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        head = (f"PUT {path} HTTP/1.1\r\nhost: {self.host}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {now}\r\n"
                f"authorization: AWS4-HMAC-SHA256 Credential={KEYS['root_access_key_id']}/{scope}, "
                f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}\r\ncontent-length: {len(body)}\r\n\r\n")
        return head.encode() + body

    def put(self, paths, body):
        sockets = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(self.CONNECTIONS)]
        paths = iter(paths)
        while sent := list(zip(sockets, paths)):
            for s, path in sent:
                s.sendall(self.request(path, body))
            for s, _ in sent:
                answer = b""
                while b"\r\n\r\n" not in answer and (piece := s.recv(65536)):
                    answer += piece
                if not answer.startswith(b"HTTP/1.1 200"):
                    sys.exit(f"a PUT was answered with {answer!r}")


def key(n):
    return f"year={2000 + n % 20}/part-{n:09d}"


def path(n):
    return "/slope/" + key(n).replace("=", "%3D")


class World:
    def __init__(self, endpoint, pid, rounds):
        common = dict(endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEYS["root_access_key_id"],
                      aws_secret_access_key=KEYS["root_secret_access_key"])
        self.s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=16), **common)
        self.db = boto3.client("dynamodb", config=Config(max_pool_connections=16), **common)
        self.cpu, self.rounds, self.held = Cpu(pid), rounds, 0
        self.puts = Puts(int(endpoint.rpartition(":")[2]))
        self.s3.create_bucket(Bucket="slope")
        self.db.create_table(
            TableName="slope", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "c", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "c", "AttributeType": "N"}])

    def item(self, n):
        # A tenth of the items lie under one key, which pages are read of.
        return {"p": {"S": "wide" if n % 10 == 0 else f"p{n}"}, "c": {"N": str(n)}, "text": {"S": "x" * 100}}

    def fill(self, size):
        self.puts.put((path(n) for n in range(self.held, size)), b"x" * 100)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            batches = [range(n, min(n + 25, size)) for n in range(self.held, size, 25)]
            write = lambda numbers: self.db.batch_write_item(RequestItems={"slope": [{"PutRequest": {"Item": self.item(n)}} for n in numbers]})
            list(pool.map(write, batches))
        self.held = size

    def measure(self, function):
        chance = random.Random(1)
        numbers = [chance.randrange(self.held) for _ in range(self.rounds)]
        for n in numbers[:20]:
            function(n)
        time.sleep(1.5)
        cpu, start = self.cpu(), time.perf_counter()
        for n in numbers:
            function(n)
        seen = (time.perf_counter() - start) * 1000 / self.rounds
        time.sleep(1.5)
        return (self.cpu() - cpu) * 1000 / self.rounds, seen

    def figures(self):
        values = {":p": {"S": "wide"}, ":c": {"N": "0"}}
        start = lambda n: {**values, ":c": {"N": str(n)}}
        # Where pages begin there are as many records behind at every size.
        early = lambda n: n * 4 // 10
        condition = dict(TableName="slope", KeyConditionExpression="p = :p AND c >= :c", Limit=50)
        calls = {
            "PUT": lambda n: self.s3.put_object(Bucket="slope", Key=key(n), Body=b"x" * 100),
            "GET": lambda n: self.s3.get_object(Bucket="slope", Key=key(n))["Body"].read(),
            "LIST page of 50": lambda n: self.s3.list_objects_v2(Bucket="slope", StartAfter=key(n - n % 20), MaxKeys=50),
            "LIST with delimiter": lambda n: self.s3.list_objects_v2(Bucket="slope", Delimiter="/"),
            "PutItem": lambda n: self.db.put_item(TableName="slope", Item=self.item(n)),
            "GetItem": lambda n: self.db.get_item(TableName="slope", Key={name: self.item(n)[name] for name in "pc"}),
            "Query page of 50": lambda n: self.db.query(**condition, ExpressionAttributeValues=start(early(n))),
            "Scan page of 50": lambda n: self.db.scan(TableName="slope", Limit=50, ExclusiveStartKey={name: self.item(n)[name] for name in "pc"}),
        }
        return {name: self.measure(function) for name, function in calls.items()}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lakerun", default=str(pathlib.Path(__file__).parents[1] / "target/release/lakerun"))
    arguments.add_argument("--sizes", default="1000,100000")
    arguments.add_argument("--rounds", type=int, default=300)
    arguments.add_argument("--folder", help="where the data folder is made: on the disk that is to be measured")
    arguments = arguments.parse_args()
    sizes = sorted(int(size) for size in arguments.sizes.split(","))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        settings = pathlib.Path(folder, "lakerun.toml")
        settings.write_text("".join(f'{name} = "{value}"\n' for name, value in KEYS.items()))
        port = free_port()
        log = open(pathlib.Path(folder, "log"), "w+")
        command = [arguments.lakerun, "up", "--listen", f"127.0.0.1:{port}", "--data", f"{folder}/data", "--config", str(settings)]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            end = time.time() + 600
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if server.poll() is not None or time.time() > end:
                        log.seek(0)
                        sys.exit("the server does not answer:\n" + log.read()[-3000:])
                    time.sleep(0.2)
            world, seen = World(f"http://127.0.0.1:{port}", server.pid, arguments.rounds), {}
            for size in sizes:
                begun = time.time()
                world.fill(size)
                print(f"{size:,} keys and items after {time.time() - begun:.0f} s", flush=True)
                time.sleep(3)
                seen[size] = world.figures()
                print({name: f"{cpu:.3f}" for name, (cpu, _) in seen[size].items()}, flush=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    print(f"{'':22}" + "".join(f"{f'{size:,}: CPU':>18}{'ms seen':>10}" for size in sizes) + f"{'CPU ratio':>12}")
    for name in seen[sizes[0]]:
        first, last = seen[sizes[0]][name][0], seen[sizes[-1]][name][0]
        ratio = f"{last / first:.2f}" if first else "-"
        print(f"{name:22}" + "".join(f"{seen[size][name][0]:>18.3f}{seen[size][name][1]:>10.2f}" for size in sizes) + f"{ratio:>12}")


if __name__ == "__main__":
    main()
