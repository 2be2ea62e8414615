#!/usr/bin/env python3
"""EventBridge by boto3: archives and replays. `--binary target/debug/lakerun` starts a server of its own; needs boto3.

Closes with 'N passed, N failed'. Expectations: EventBridge API Reference and User Guide, "Archiving and replaying events".
"""
import datetime
import json
import os
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
import botocore.exceptions  # noqa: E402

REGION = "us-east-1"
X = uuid.uuid4().hex[:6]
WAIT = 600
results = []


def check(name, ok, saw=""):
    results.append(ok)
    print(f"{'ok  ' if ok else 'FAIL'} {name}{'' if ok else f': {saw}'}", flush=True)


def client(service):
    return boto3.client(service, region_name=REGION)


def error(call, **arguments):
    try:
        call(**arguments)
        return ""
    except botocore.exceptions.ClientError as found:
        return found.response["Error"]["Code"]


def until(name, look):
    end = time.time() + WAIT
    while time.time() < end:
        if found := look():
            return found
        time.sleep(0.1)
    sys.exit(f"{name}: it never came")


def archives():
    events, sqs = client("events"), client("sqs")
    url = sqs.create_queue(QueueName=f"a{X}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = events.create_event_bus(Name=f"b{X}")["EventBusArn"]
    rules = [events.put_rule(Name=name, EventBusName=f"b{X}", EventPattern=json.dumps({"source": ["shop"]}))["RuleArn"] for name in ("one", "two")]
    for name in ("one", "two"):
        events.put_targets(Rule=name, EventBusName=f"b{X}", Targets=[{"Id": "q", "Arn": arn, "InputTransformer": {
            "InputPathsMap": {"n": "$.detail.n", "again": "$.replay-name"}, "InputTemplate": f'{{"rule": "{name}", "n": <n>, "again": "<again>"}}'}}])
    made = events.create_archive(ArchiveName=f"x{X}", EventSourceArn=bus, EventPattern=json.dumps({"detail": {"keep": [True]}}), RetentionDays=3)
    check("an archive is enabled", made["State"] == "ENABLED", made)
    again = {"ArchiveName": f"x{X}", "EventSourceArn": bus}
    check("a name is there once", error(events.create_archive, **again) == "ResourceAlreadyExistsException")
    check("a bus has to be there", error(events.create_archive, ArchiveName="y", EventSourceArn=bus + "no") == "ResourceNotFoundException")
    check("a pattern has to be one", error(events.create_archive, ArchiveName="y", EventSourceArn=bus, EventPattern="[1]") == "InvalidEventPatternException")
    begin = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

    def put(n, keep):
        events.put_events(Entries=[{"EventBusName": f"b{X}", "Source": "shop", "DetailType": "d", "Detail": json.dumps({"n": n, "keep": keep})}])

    def messages(count):
        found = []

        def more():
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", []):
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= count

        until(f"{count} messages", more)
        return sorted((one["rule"], one["n"], one["again"]) for one in found)

    for n, keep in ((1, True), (2, False), (3, True)):
        put(n, keep)
    seen = messages(6)
    check("both rules have all three", [one[:2] for one in seen] == [(rule, n) for rule in ("one", "two") for n in (1, 2, 3)], seen)
    told = events.describe_archive(ArchiveName=f"x{X}")
    check("two are kept", told["EventCount"] == 2 and told["SizeBytes"] > 0 and told["RetentionDays"] == 3, told)
    check("it is listed", [one["ArchiveName"] for one in events.list_archives(EventSourceArn=bus)["Archives"]] == [f"x{X}"])

    span = {"EventSourceArn": made["ArchiveArn"], "EventStartTime": begin, "EventEndTime": begin + datetime.timedelta(days=1)}
    check("only to its own bus", error(events.start_replay, ReplayName="n", Destination={"Arn": bus + "x"}, **span) == "ValidationException")
    check("the end is after the start", error(events.start_replay, ReplayName="n", Destination={"Arn": bus}, **{**span, "EventEndTime": begin}) == "ValidationException")
    events.start_replay(ReplayName=f"r{X}", Destination={"Arn": bus, "FilterArns": [rules[1]]}, **span)
    seen = messages(2)
    check("the named rule has what was kept again, and says so", seen == [("two", 1, f"r{X}"), ("two", 3, f"r{X}")], seen)
    done = until("the replay's end", lambda: (told := events.describe_replay(ReplayName=f"r{X}"))["State"] == "COMPLETED" and told)
    check("the replay has ended", "ReplayEndTime" in done and "EventLastReplayedTime" in done, done)
    check("what has ended cannot be cancelled", error(events.cancel_replay, ReplayName=f"r{X}") == "IllegalStatusException")
    check("what is replayed is not kept again", events.describe_archive(ArchiveName=f"x{X}")["EventCount"] == 2)
    events.delete_archive(ArchiveName=f"x{X}")
    check("a deleted archive is gone", error(events.describe_archive, ArchiveName=f"x{X}") == "ResourceNotFoundException")


def main():
    server = Server(sys.argv[sys.argv.index("--binary") + 1])
    try:
        archives()
    finally:
        server.stop()
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
