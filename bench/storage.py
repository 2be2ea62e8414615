#!/usr/bin/env python3
"""storage.py --binary LAKERUN [--only s3|dynamodb]

The server's CPU for one operation of S3 and DynamoDB, by boto3 on one connection, beside what the bytes alone cost on this machine in
the same run: MD5, CRC32, AES-256-GCM, a write with fsync, a copy through a socket. Nothing is asserted.
"""
import argparse
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import boto3
import botocore.config

from cpu import Cpu

MIB = 1 << 20


def timed(what):
    begun = time.process_time()
    what()
    return (time.process_time() - begun) * 1000


def bare(folder):
    """Milliseconds of CPU for 64 MiB, each alone."""
    data = os.urandom(64 * MIB)

    def write():
        with open(folder / "bare", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def files():
        for n in range(64):
            with open(folder / "bare", "wb") as file:
                file.write(data[n * MIB:(n + 1) * MIB])
                file.flush()
                os.fsync(file.fileno())
            (folder / "bare").rename(folder / "there")

    def through():
        ours, theirs = socket.socketpair()
        sent = threading.Thread(target=ours.sendall, args=(data,))
        sent.start()
        left, buffer = len(data), bytearray(MIB)
        while left:
            left -= theirs.recv_into(buffer)
        sent.join()

    kinds = {"MD5": lambda: hashlib.md5(data).digest(), "CRC32": lambda: zlib.crc32(data), "SHA-256": lambda: hashlib.sha256(data).digest(),
             "write and fsync": write, "the same by the MiB": files, "socket, both ends": through}
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        kinds["AES-256-GCM"] = lambda: AESGCM(bytes(32)).encrypt(bytes(12), data, None)
    except ImportError:
        pass
    for name, run in kinds.items():
        print(f"bare {name:20} {min(timed(run) for _ in range(3)) / 64:7.3f} ms a MiB")


class Bench:
    def __init__(self, pid, server):
        self.cpu = Cpu(pid)
        config = botocore.config.Config(region_name=server["region"], s3={"addressing_style": "path", "payload_signing_enabled": False},
                                        request_checksum_calculation="when_required", response_checksum_validation="when_required")
        known = {"endpoint_url": server["endpoint"], "aws_access_key_id": server["access_key"], "aws_secret_access_key": server["secret_key"], "config": config}
        self.s3, self.dynamodb = boto3.client("s3", **known), boto3.client("dynamodb", **known)

    def measure(self, name, times, run, unit=1):
        for n in range(min(20, times)):
            run(n)
        wall, before = time.perf_counter(), self.cpu()
        for n in range(times):
            run(n)
        took = (self.cpu() - before) * 1000 / times
        wall = (time.perf_counter() - wall) * 1000 / times
        print(f"{name:32} {took / unit:8.3f} ms CPU {wall / unit:8.3f} ms" + (f" a MiB ({times} of {unit} MiB)" if unit > 1 else f" ({times})"), flush=True)

    def objects(self):
        self.s3.create_bucket(Bucket="bench")
        for size, times, unit in ((4096, 1500, 1), (MIB, 200, 1), (64 * MIB, 8, 64)):
            body = os.urandom(size)
            name = "4 KiB" if size == 4096 else f"{size // MIB} MiB"
            self.measure(f"PUT {name}", times, lambda n: self.s3.put_object(Bucket="bench", Key=f"{size}/{n}", Body=body), unit)
            self.measure(f"GET {name}", times, lambda n: self.s3.get_object(Bucket="bench", Key=f"{size}/{n}")["Body"].read(), unit)
            if size == MIB:
                sealed = {"ServerSideEncryption": "AES256"}
                self.measure("PUT 1 MiB, AES256", times, lambda n: self.s3.put_object(Bucket="bench", Key=f"sealed/{n}", Body=body, **sealed))
                self.measure("GET 1 MiB, AES256", times, lambda n: self.s3.get_object(Bucket="bench", Key=f"sealed/{n}")["Body"].read())
        self.measure("LIST 1,000", 100, lambda _: self.s3.list_objects_v2(Bucket="bench", Prefix="4096/"))

    def items(self):
        self.dynamodb.create_table(TableName="bench", BillingMode="PAY_PER_REQUEST",
                                   AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"}],
                                   KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}])
        self.dynamodb.get_waiter("table_exists").wait(TableName="bench", WaiterConfig={"Delay": 1})

        def item(n):
            return {"p": {"S": f"p{n // 10}"}, "s": {"N": str(n % 10)}, "text": {"S": "x" * 200}, "number": {"N": str(n)}}

        self.measure("PutItem", 2000, lambda n: self.dynamodb.put_item(TableName="bench", Item=item(n)))
        self.measure("GetItem", 2000, lambda n: self.dynamodb.get_item(TableName="bench", Key={"p": {"S": f"p{n // 10}"}, "s": {"N": str(n % 10)}}))
        self.measure("Query of 10", 1000, lambda n: self.dynamodb.query(TableName="bench", KeyConditionExpression="p = :p", ExpressionAttributeValues={":p": {"S": f"p{n % 200}"}}))
        self.measure("BatchWriteItem of 25", 300, lambda n: self.dynamodb.batch_write_item(
            RequestItems={"bench": [{"PutRequest": {"Item": item(25 * n + k)}} for k in range(25)]}))


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binary", required=True, type=pathlib.Path)
    ask.add_argument("--only", choices=["s3", "dynamodb"])
    ask.add_argument("--folder", type=pathlib.Path, help="where the data folder is made: on the disk that is to be measured")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        folder = pathlib.Path(folder)
        process = subprocess.Popen([given.binary.resolve(), "up", "--listen", "127.0.0.1:0", "--data", folder / "data"], stderr=open(folder / "log", "w"))
        try:
            while not (folder / "data/server.json").exists():
                if process.poll() is not None:
                    sys.exit((folder / "log").read_text())
                time.sleep(0.05)
            bench = Bench(process.pid, json.loads((folder / "data/server.json").read_text()))
            if given.only != "dynamodb":
                bare(folder)
                bench.objects()
            if given.only != "s3":
                bench.items()
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            print(next(line for line in status.splitlines() if line.startswith("VmRSS")))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
