#!/usr/bin/env python3
"""Kills a server at chance moments under transactions on a table with a stream and an index, and looks whether all that was
acknowledged is there, whole, in items, index, stream and counts.

    python3 conformance/dynamodb/crash.py --lakerun target/debug/lakerun [--kills 5]        # its own server, its own environment

Closes with what was found; ends with 1 where anything is lost, torn or out of step.
"""
import argparse
import os
import pathlib
import random
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent))

from server import Server, need_boto3  # noqa: E402

WRITERS = 8


class Bench:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.start()

    def start(self):
        import boto3
        import botocore.config
        self.server = Server(self.binary, data=self.folder / "data")
        variables = self.server.variables
        named = dict(
            endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(retries={"max_attempts": 0}, connect_timeout=3, read_timeout=10, max_pool_connections=2 * WRITERS),
        )
        self.tables, self.streams = boto3.client("dynamodb", **named), boto3.client("dynamodbstreams", **named)

    def kill(self):
        self.server.kill()

    def create(self):
        kinds = [{"AttributeName": name, "AttributeType": "S"} for name in ("p", "g")]
        key = lambda name: [{"AttributeName": name, "KeyType": "HASH"}]
        self.tables.create_table(
            TableName="crash", KeySchema=key("p"), AttributeDefinitions=kinds, BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            GlobalSecondaryIndexes=[{"IndexName": "by-g", "KeySchema": key("g"), "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        )

    def write_until_killed(self, acknowledged):
        """Pairs of items, each in one transaction, until the server is killed under them."""
        stop = threading.Event()

        def write():
            while not stop.is_set():
                group = uuid.uuid4().hex
                puts = [{"Put": {"TableName": "crash", "Item": {"p": {"S": f"{group}-{half}"}, "g": {"S": group}}}} for half in "ab"]
                try:
                    self.tables.transact_write_items(TransactItems=puts)
                    acknowledged.append(group)
                except Exception:  # Killed under it: neither acknowledged nor known.
                    time.sleep(0.01)

        writers = [threading.Thread(target=write) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(1.0, 2.5))
        self.kill()
        stop.set()
        for writer in writers:
            writer.join()

    def scanned(self, **named):
        groups, start = {}, {}
        while True:
            page = self.tables.scan(TableName="crash", **named, **start)
            for item in page["Items"]:
                groups.setdefault(item["g"]["S"], []).append(item["p"]["S"])
            if "LastEvaluatedKey" not in page:
                return {group: sorted(places) for group, places in groups.items()}
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def streamed(self):
        arn = self.tables.describe_table(TableName="crash")["Table"]["LatestStreamArn"]
        (shard,) = self.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        iterator = self.streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        groups = {}
        while True:
            read = self.streams.get_records(ShardIterator=iterator)
            if not read["Records"]:
                return {group: sorted(places) for group, places in groups.items()}
            for record in read["Records"]:
                groups.setdefault(record["dynamodb"]["NewImage"]["g"]["S"], []).append(record["dynamodb"]["Keys"]["p"]["S"])
            iterator = read["NextShardIterator"]


def main(asked):
    acknowledged = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(asked.lakerun.resolve(), pathlib.Path(folder))
        bench.create()
        for _ in range(asked.kills):
            bench.write_until_killed(acknowledged)
            bench.start()
        items, index, stream = bench.scanned(), bench.scanned(IndexName="by-g"), bench.streamed()
        table = bench.tables.describe_table(TableName="crash")["Table"]
        bench.kill()
    lost = [group for group in acknowledged if group not in items]
    torn = [group for group, places in items.items() if len(places) != 2]
    counts = (table["ItemCount"], table["GlobalSecondaryIndexes"][0]["ItemCount"])
    print(f"{len(acknowledged)} acknowledged, {len(items)} there, {len(lost)} lost, {len(torn)} torn, counts {counts}, index "
          f"{'in' if index == items else 'OUT OF'} step, stream {'in' if stream == items else 'OUT OF'} step")
    well = not lost and not torn and index == items and stream == items and counts == (2 * len(items),) * 2
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lakerun", type=pathlib.Path, required=True)
    parser.add_argument("--kills", type=int, default=5)
    asked = parser.parse_args()
    need_boto3(__file__)
    main(asked)
