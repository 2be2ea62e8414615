#!/usr/bin/env python3
"""partitions.py --binary LAKERUN [--partitions 10000] [--times 3]

Files of 100 rows in so many partitions: what it takes to count one partition, ten, and all; and to crawl the files of a table with a tenth
as many partitions. Prints wall time and the CPU of the server and of its workers; nothing is asserted.
"""
import argparse
import concurrent.futures
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run


def tree(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def cpu_ms(server):
    """Of the server and of all that it started, so far."""
    own = others = 0
    for pid in set(tree(server)):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                spent = int((task / "schedstat").read_text().split()[0]) / 1e6
            except OSError:
                continue
            own, others = (own + spent, others) if pid == server else (own, others + spent)
    return own, others


class Bench:
    def __init__(self, process, server):
        import boto3
        import botocore.config
        self.process, self.athena = process, run.Athena(server)
        config = botocore.config.Config(region_name=server["region"], s3={"addressing_style": "path"})
        known = {"endpoint_url": server["endpoint"], "aws_access_key_id": server["access_key"], "aws_secret_access_key": server["secret_key"], "config": config}
        self.s3, self.glue, self.iam = (boto3.client(name, **known) for name in ("s3", "glue", "iam"))

    def fill(self, count):
        import duckdb
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            duckdb.execute(f"COPY (SELECT range AS i, 'row ' || range AS s, range * 1.5 AS v FROM range(100)) TO '{file.name}' (FORMAT parquet)")
            body = pathlib.Path(file.name).read_bytes()
        self.s3.create_bucket(Bucket="lake")
        self.athena.run("CREATE DATABASE parts", "default")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: self.s3.put_object(Bucket="lake", Key=f"t/day={n // 10:05}/n={n % 10}/a.parquet", Body=body), range(count)))
            # Ten files in a partition, for the crawl.
            list(pool.map(lambda n: self.s3.put_object(Bucket="lake", Key=f"c/day={n // 10:05}/{n % 10}.parquet", Body=body), range(count)))
        self.athena.run("CREATE EXTERNAL TABLE p (i bigint, s string, v double) PARTITIONED BY (day string, n int) "
                        "STORED AS PARQUET LOCATION 's3://lake/t/'", "parts")
        storage = self.glue.get_table(DatabaseName="parts", Name="p")["Table"]["StorageDescriptor"]
        for start in range(0, count, 100):
            inputs = [{"Values": [f"{n // 10:05}", str(n % 10)], "StorageDescriptor": {**storage, "Location": f"s3://lake/t/day={n // 10:05}/n={n % 10}/"}}
                      for n in range(start, min(start + 100, count))]
            self.glue.batch_create_partition(DatabaseName="parts", TableName="p", PartitionInputList=inputs)

    def count(self, condition, times):
        best = None
        for _ in range(times):
            before = cpu_ms(self.process.pid)
            took, told = self.athena.run(f"SELECT count(*) FROM p{condition}", "parts")
            after = cpu_ms(self.process.pid)
            seen = (took * 1000, after[0] - before[0], after[1] - before[1])
            best = min(best or seen, seen)
        rows = self.athena.rows(told)[0][0]
        print(f"count{condition or ' of all'}: {rows} rows, {best[0]:.0f} ms; CPU of the server {best[1]:.0f} ms, of workers {best[2]:.0f} ms", flush=True)

    def crawl(self):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        role = self.iam.create_role(RoleName="crawler", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName="crawler", PolicyName="all", PolicyDocument=json.dumps(rights))
        self.glue.create_crawler(Name="c", Role=role, DatabaseName="crawled", Targets={"S3Targets": [{"Path": "s3://lake/c/"}]})
        before, begun = cpu_ms(self.process.pid), time.perf_counter()
        self.glue.start_crawler(Name="c")
        while self.glue.get_crawler(Name="c")["Crawler"]["State"] != "READY":
            time.sleep(0.1)
        took, after = time.perf_counter() - begun, cpu_ms(self.process.pid)
        last = self.glue.get_crawler(Name="c")["Crawler"]["LastCrawl"]
        pages = self.glue.get_paginator("get_partitions").paginate(DatabaseName="crawled", TableName="c")
        found = sum(len(page["Partitions"]) for page in pages)
        print(f"crawl: {last['Status']}, {found} partitions, {took:.1f} s; CPU {sum(after) - sum(before):.0f} ms")


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binary", required=True, type=pathlib.Path)
    ask.add_argument("--partitions", default=10_000, type=int)
    ask.add_argument("--times", default=3, type=int)
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as data:
        process, server = run.serve(given.binary.resolve(), pathlib.Path(data))
        try:
            bench = Bench(process, server)
            bench.fill(given.partitions)
            bench.athena.run("SELECT 1", "parts")
            for condition in (" WHERE day = '00050' AND n = 3", " WHERE day = '00050'", ""):
                bench.count(condition, given.times)
            bench.crawl()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
