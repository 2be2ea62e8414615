#!/usr/bin/env python3
"""What PUT, GET, a page of LIST, GetItem, PutItem and a page of Query cost as a bucket and a table grow.

    python3 bench/slope.py [--lakerun target/release/lakerun] [--sizes 1000,100000] [--rounds 300]

Starts a server of its own on fresh data and fills a bucket and a table to each size in turn. At each size it measures, in CPU time of
the server and in time as the client sees it, the mean of some rounds with keys spread over all that is there. Closes with the ratios of
the largest size to the smallest. Nothing is asserted: the figures are this machine's. Needs boto3.
"""
import argparse
import concurrent.futures
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

KEYS = {"root_access_key_id": "AKIAROOTROOTROOTROOT", "root_secret_access_key": "root-secret"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def key(n):
    return f"year={2000 + n % 20}/part-{n:09d}"


class World:
    def __init__(self, endpoint, pid, rounds):
        common = dict(endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEYS["root_access_key_id"],
                      aws_secret_access_key=KEYS["root_secret_access_key"])
        self.s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=16), **common)
        self.db = boto3.client("dynamodb", config=Config(max_pool_connections=16), **common)
        self.pid, self.rounds, self.held = pid, rounds, 0
        self.s3.create_bucket(Bucket="slope")
        self.db.create_table(
            TableName="slope", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "c", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "c", "AttributeType": "N"}])

    def item(self, n):
        # A tenth of the items lie under one key, which pages are read of.
        return {"p": {"S": "wide" if n % 10 == 0 else f"p{n}"}, "c": {"N": str(n)}, "text": {"S": "x" * 100}}

    def fill(self, size):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: self.s3.put_object(Bucket="slope", Key=key(n), Body=b"x" * 100), range(self.held, size)))
            batches = [range(n, min(n + 25, size)) for n in range(self.held, size, 25)]
            write = lambda numbers: self.db.batch_write_item(RequestItems={"slope": [{"PutRequest": {"Item": self.item(n)}} for n in numbers]})
            list(pool.map(write, batches))
        self.held = size

    def measure(self, function):
        chance = random.Random(1)
        numbers = [chance.randrange(self.held) for _ in range(self.rounds)]
        for n in numbers[:20]:
            function(n)
        cpu, start = cpu_ms(self.pid), time.perf_counter()
        for n in numbers:
            function(n)
        return (cpu_ms(self.pid) - cpu) / self.rounds, (time.perf_counter() - start) * 1000 / self.rounds

    def figures(self):
        values = {":p": {"S": "wide"}, ":c": {"N": "0"}}
        start = lambda n: {**values, ":c": {"N": str(n)}}
        condition = dict(TableName="slope", KeyConditionExpression="p = :p AND c >= :c", Limit=100)
        calls = {
            "PUT": lambda n: self.s3.put_object(Bucket="slope", Key=key(n), Body=b"x" * 100),
            "GET": lambda n: self.s3.get_object(Bucket="slope", Key=key(n))["Body"].read(),
            "LIST page of 100": lambda n: self.s3.list_objects_v2(Bucket="slope", StartAfter=key(n), MaxKeys=100),
            "LIST with delimiter": lambda n: self.s3.list_objects_v2(Bucket="slope", Delimiter="/"),
            "PutItem": lambda n: self.db.put_item(TableName="slope", Item=self.item(n)),
            "GetItem": lambda n: self.db.get_item(TableName="slope", Key={name: self.item(n)[name] for name in "pc"}),
            "Query page of 100": lambda n: self.db.query(**condition, ExpressionAttributeValues=start(n)),
            "Scan page of 100": lambda n: self.db.scan(TableName="slope", Limit=100, ExclusiveStartKey={name: self.item(n)[name] for name in "pc"}),
        }
        return {name: self.measure(function) for name, function in calls.items()}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lakerun", default=str(pathlib.Path(__file__).parents[1] / "target/release/lakerun"))
    arguments.add_argument("--sizes", default="1000,100000")
    arguments.add_argument("--rounds", type=int, default=300)
    arguments = arguments.parse_args()
    sizes = sorted(int(size) for size in arguments.sizes.split(","))
    with tempfile.TemporaryDirectory() as folder:
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
                world.fill(size)
                time.sleep(3)
                seen[size] = world.figures()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    print(f"{'':22}" + "".join(f"{f'{size:,}: CPU':>18}{'ms seen':>10}" for size in sizes) + f"{'CPU ratio':>12}")
    for name in seen[sizes[0]]:
        first, last = seen[sizes[0]][name][0], seen[sizes[-1]][name][0]
        ratio = f"{last / first:.2f}" if first else "-"
        print(f"{name:22}" + "".join(f"{seen[size][name][0]:>18.2f}{seen[size][name][1]:>10.2f}" for size in sizes) + f"{ratio:>12}")


if __name__ == "__main__":
    main()
