#!/usr/bin/env python3
"""Lambda as boto3 sees it: runtimes, errors, logs, event sources, destinations.

    python3 conformance/lambda/run.py target/debug/lakerun      # needs boto3; Node.js comes from the machine or from PyPI

Closes with 'N passed, N failed'.
"""
import base64
import datetime
import io
import json
import os
import subprocess
import sys
import time
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402

REGION = "us-east-1"
ROLE = "arn:aws:iam::000000000000:role/function"
results = []


def client(service):
    return boto3.client(service, region_name=REGION, config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=600))


def check(what, holds, shown=""):
    results.append(bool(holds))
    if not holds:
        print(f"FAIL {what} | {str(shown)[:900]}", flush=True)


def refused(what, code, call, part=""):
    try:
        answer = call()
        check(what, False, answer)
    except botocore.exceptions.ClientError as error:
        check(what, error.response["Error"]["Code"] == code and part in error.response["Error"]["Message"], error)


def until(look, wanted):
    end = time.time() + 600
    while not wanted(value := look()) and time.time() < end:
        time.sleep(0.1)
    return value


def packed(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in files.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = (0o755 if path == "bootstrap" else 0o644) << 16
            archive.writestr(info, text)
    return out.getvalue()


class Functions:
    def __init__(self):
        self.la, iam = client("lambda"), client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName="function", PolicyName="all", PolicyDocument=json.dumps(allow))

    def make(self, name, files, runtime="python3.11", handler="app.handler", **more):
        self.la.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=ROLE, Code={"ZipFile": packed(files)}, **{"Timeout": 30, **more})
        made = until(lambda: self.la.get_function_configuration(FunctionName=name), lambda f: f["State"] != "Pending")
        check(f"{name} is made ready", made["State"] == "Active", made.get("StateReason"))

    def call(self, name, event=None, **more):
        """The answer, its error, its log."""
        answer = self.la.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail", **more)
        body = answer["Payload"].read()
        return json.loads(body) if body else None, answer.get("FunctionError"), base64.b64decode(answer.get("LogResult", "")).decode()


NODE = '''
const helper = require("./lib/helper");
let calls = 0;
exports.handler = async (event, context) => {
  console.log("event", event, { nested: { deep: [1] } });
  console.warn("two\\nlines");
  if (event.fail) { const error = new TypeError("no " + event.fail); error.code = "E1"; throw error; }
  if (event.literal) throw "text";
  if (event.exit) process.exit(7);
  if (event.reject) { Promise.reject(new Error("lost")); await new Promise((r) => setTimeout(r, 5000)); }
  if (event.uncaught) { setTimeout(() => { throw new RangeError("late"); }, 1); await new Promise((r) => setTimeout(r, 5000)); }
  if (event.sleep) await new Promise((r) => setTimeout(r, event.sleep));
  return { calls: ++calls, help: helper.help(event.n), version: process.version, env: process.env.MODE, left: context.getRemainingTimeInMillis() > 0,
           memory: context.memoryLimitInMB, arn: context.invokedFunctionArn, id: context.awsRequestId, undef: undefined, cwd: process.cwd() };
};
exports.back = (event, context, callback) => {
  if (event.bad) return callback(new Error("called back"));
  if (event.soon) { context.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 1000); return callback(null, "soon"); }
  let late = "";
  setTimeout(() => { late = "waited"; console.log(late); }, 50);
  callback(null, { ok: true });
};
exports.done = (event, context) => context.succeed({ done: 1 });
exports.nothing = () => {};
exports.deep = { er: { handler: async () => "deep" } };
exports.stream = awslambda.streamifyResponse(async (event, stream) => { stream.write("one "); stream.end("two"); });
'''


def node(f):
    files = {"app.js": NODE, "lib/helper.js": "exports.help = (n) => (n ?? 0) * 2;", "package.json": "{}"}
    f.make("node", files, "nodejs20.x", Environment={"Variables": {"MODE": "m"}})
    answer, error, log = f.call("node", {"n": 21})
    check("a handler answers", error is None and answer["help"] == 42 and answer["calls"] == 1 and answer["env"] == "m" and answer["left"] and answer["memory"] == "128"
          and answer["arn"].endswith(":function:node") and "undef" not in answer, answer)
    check("in the version that is asked for", answer["version"].startswith("v20."), answer)
    line = next((line for line in log.splitlines() if "\tINFO\t" in line), "")
    check("console.log as on AWS", line.endswith("INFO\tevent { n: 21 } { nested: { deep: [ 1 ] } }".replace("\\t", "\t")) and f"\t{answer['id']}\t" in line, log)
    check("two lines are one event", "\tWARN\ttwo\rlines\n" in log, log)
    check("it stays warm", f.call("node", {})[0]["calls"] == 2)
    answer, error, log = f.call("node", {"fail": "way"})
    check("an error in AWS's shape", error == "Unhandled" and answer["errorType"] == "TypeError" and answer["errorMessage"] == "no way" and answer["trace"][0] == "TypeError: no way"
          and "/app.js:7:" in answer["trace"][1], answer)
    check("and in the log", '\tERROR\tInvoke Error \t{"errorType":"TypeError","errorMessage":"no way","code":"E1","stack":["TypeError: no way"' in log, log)
    check("what is no error", f.call("node", {"literal": 1})[0] == {"errorType": "string", "errorMessage": "text", "trace": []})
    answer, error, log = f.call("node", {"exit": 1})
    check("a process that ends", error == "Unhandled" and answer["errorType"] == "Runtime.ExitError" and "exit status 7" in answer["errorMessage"], answer)
    answer, error, log = f.call("node", {"reject": 1})
    check("a rejection nobody handles", answer["errorType"] == "Runtime.UnhandledPromiseRejection" and answer["errorMessage"] == "Error: lost", answer)
    answer, error, log = f.call("node", {"uncaught": 1})
    check("an exception nobody catches", answer["errorType"] == "RangeError" and answer["errorMessage"] == "late", answer)
    check("then all is well again", f.call("node", {"n": 1})[0]["help"] == 2)
    f.la.update_function_configuration(FunctionName="node", Timeout=1)
    until(lambda: f.la.get_function_configuration(FunctionName="node"), lambda c: c["LastUpdateStatus"] != "InProgress")
    answer, error, log = f.call("node", {"sleep": 5000})
    check("its time is up", answer["errorType"] == "Sandbox.Timedout", answer)
    for handler, event, wanted in [("app.back", {}, {"ok": True}), ("app.back", {"soon": 1}, "soon"), ("app.done", {}, {"done": 1}), ("app.nothing", {}, None), ("app.deep.er.handler", {}, "deep")]:
        name = f"node-{handler.replace('.', '-')}-{len(event)}"
        f.make(name, files, "nodejs20.x", handler)
        answer, error, log = f.call(name, event)
        check(f"{handler} {event}", error is None and answer == wanted, (answer, error, log))
        if handler == "app.back" and not event:
            check("it waits for what is left to do", "waited" in log, log)
    f.make("node-bad", files, "nodejs20.x", "app.back")
    check("an error by callback", f.call("node-bad", {"bad": 1})[0]["errorMessage"] == "called back")
    f.make("node-none", files, "nodejs20.x", "app.nosuch")
    check("no such handler", f.call("node-none")[0]["errorType"] == "Runtime.HandlerNotFound", f.call("node-none"))
    f.make("node-import", {"app.js": "require('nosuch')"}, "nodejs20.x")
    answer = f.call("node-import")[0]
    check("no such module", answer["errorType"] == "Runtime.ImportModuleError" and "Cannot find module 'nosuch'" in answer["errorMessage"], answer)
    f.make("node-syntax", {"app.js": "exports.handler = ("}, "nodejs20.x")
    check("what does not parse", f.call("node-syntax")[0]["errorType"] == "Runtime.UserCodeSyntaxError")
    esm = {"app.mjs": "import { readFile } from 'node:fs/promises'; const start = await Promise.resolve(5);\nexport const handler = async () => ({ start, has: typeof require });"}
    f.make("node-esm", esm, "nodejs22.x")
    check("an ES module, with await above all", f.call("node-esm")[0] == {"start": 5, "has": "undefined"}, f.call("node-esm"))
    f.make("node-type", {"app.js": "export const handler = async (e) => e.x;", "package.json": '{"type": "module"}'}, "nodejs20.x")
    check("a package of ES modules", f.call("node-type", {"x": 3})[0] == 3)
    f.make("node-json", files, "nodejs20.x", LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "WARN"})
    answer, error, log = f.call("node-json", {"fail": "x"})
    lines = [line for line in map(json.loads, log.splitlines()) if "level" in line]
    check("lines of JSON by level", [line.get("level") for line in lines] == ["WARN", "ERROR"] and lines[0]["message"] == "two\nlines" and lines[1]["errorType"] == "TypeError", lines)
    f.make("node-stream", files, "nodejs20.x", "app.stream")
    answer = f.la.invoke(FunctionName="node-stream")["Payload"].read()
    check("what is streamed is gathered", answer == b"one two", answer)
    sdk = {"app.mjs": "import { S3Client, ListBucketsCommand } from '@aws-sdk/client-s3';\nconst s3 = new S3Client({});\nexport const handler = async () => (await s3.send(new ListBucketsCommand({}))).Buckets.map((b) => b.Name);"}
    client("s3").create_bucket(Bucket="seen")
    f.make("node-sdk", sdk, "nodejs22.x", MemorySize=512)
    answer, error, log = f.call("node-sdk")
    check("the SDK that the code names", error is None and "seen" in (answer or []), (answer, log))
    f.make("node24", {"app.js": "exports.handler = (event, context, callback) => callback(null, 1);"}, "nodejs24.x")
    answer, error, log = f.call("node24")
    check("Node.js 24 has no callbacks", answer["errorType"] == "Runtime.CallbackHandlerDeprecated", answer)
    refused("a runtime that is not there", "InvalidParameterValueException", lambda: f.make("java", files, "java21"), "java21")


def versions(f):
    code = {"app.py": "import sys\ndef handler(event, context):\n    return list(sys.version_info[:2])\n"}
    for minor in (10, 11, 12, 13, 14):
        f.make(f"py3{minor}", code, f"python3.{minor}")
        answer, error, log = f.call(f"py3{minor}")
        said = f"this function asks for python3.{minor} and runs on Python" in log
        check(f"Python 3.{minor}, or it is said", error is None and (answer == [3, minor]) != said, (answer, log))
    f.make("py-json", code, "python3.14", LoggingConfig={"LogFormat": "JSON"})
    answer, error, log = f.call("py-json")
    said = [json.loads(line).get("message", "") for line in log.splitlines()]
    check("in JSON, too", answer == [3, 14] or any("asks for python3.14" in str(line) for line in said), log)


def custom(f):
    shell = """#!/bin/sh
set -u
while true; do
  head=$(mktemp)
  event=$(curl -sS -LD "$head" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$head" | tr -d '[:space:]' | cut -d: -f2)
  curl -sS "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" -d "{\\"got\\": $event, \\"handler\\": \\"$_HANDLER\\"}" > /dev/null
done
"""
    for runtime in ("provided.al2023", "provided.al2"):
        name = runtime.replace(".", "-")
        f.make(name, {"bootstrap": shell}, runtime, "mine")
        answer, error, log = f.call(name, {"a": 1})
        check(f"{runtime} with a bootstrap", answer == {"got": {"a": 1}, "handler": "mine"}, (answer, log))


SEEN = """
import json, os, boto3
table = boto3.resource("dynamodb").Table("seen")
def handler(event, context):
    failed = []
    for at, record in enumerate(event["Records"]):
        body = record.get("body") or json.dumps(record["dynamodb"].get("NewImage", {}))
        key = record.get("messageId") or record["dynamodb"]["SequenceNumber"]
        table.update_item(Key={"id": body}, UpdateExpression="ADD times :one", ExpressionAttributeValues={":one": 1})
        if "fail" in body:
            if os.environ["MODE"] == "raise":
                raise ValueError("no " + body)
            failed.append({"itemIdentifier": key})
    return {"batchItemFailures": failed}
"""


def sources(f):
    sqs, ddb, streams = client("sqs"), client("dynamodb"), client("dynamodbstreams")
    ddb.create_table(TableName="seen", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")

    def seen():
        return {item["id"]["S"]: int(item["times"]["N"]) for item in ddb.scan(TableName="seen", ConsistentRead=True)["Items"]}

    def queue(name, **attributes):
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def left(url):
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"])["Attributes"]
        return sum(map(int, found.values()))

    f.make("seen", {"app.py": SEEN}, Timeout=15, Environment={"Variables": {"MODE": "partial"}})
    dead_url, dead_arn = queue("dead")
    url, arn = queue("work", VisibilityTimeout="15", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}))
    refused("a pattern that is none", "InvalidParameterValueException", lambda: f.la.create_event_source_mapping(EventSourceArn=arn, FunctionName="seen", FilterCriteria={"Filters": [{"Pattern": '{"body": 1}'}]}), "Invalid filter pattern")
    refused("what queues do not have", "InvalidParameterValueException", lambda: f.la.create_event_source_mapping(EventSourceArn=arn, FunctionName="seen", MaximumRetryAttempts=1), "maximumRetryAttempts")
    criteria = {"Filters": [{"Pattern": json.dumps({"body": {"kind": ["good", "fail"]}})}]}
    made = f.la.create_event_source_mapping(EventSourceArn=arn, FunctionName="seen", FilterCriteria=criteria, FunctionResponseTypes=["ReportBatchItemFailures"])
    check("filters are told", f.la.get_event_source_mapping(UUID=made["UUID"])["FilterCriteria"] == criteria)
    for body in ({"kind": "good", "n": 1}, {"kind": "bad"}, {"kind": "fail"}):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    sqs.send_message(QueueUrl=url, MessageBody="text")
    until(lambda: left(url), lambda n: n == 0)
    until(lambda: left(dead_url), lambda n: n == 1)
    got = seen()
    check("what is wanted comes, once where it succeeds", set(got) == {'{"kind": "good", "n": 1}', '{"kind": "fail"}'} and got['{"kind": "fail"}'] == 2, got)
    check("what fails is a dead letter in the end", left(dead_url) == 1)
    f.la.update_event_source_mapping(UUID=made["UUID"], FilterCriteria={"Filters": [{"Pattern": json.dumps({"body": ["text"]})}]})
    for body in ('{"kind": "good", "n": 2}', "text"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    until(lambda: left(url), lambda n: n == 0)
    check("texts are compared whole", until(seen, lambda s: "text" in s).get("text") == 1 and '{"kind": "good", "n": 2}' not in seen(), seen())
    f.la.delete_event_source_mapping(UUID=made["UUID"])

    ddb.create_table(TableName="items", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                     BillingMode="PAY_PER_REQUEST", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    stream = ddb.describe_table(TableName="items")["Table"]["LatestStreamArn"]
    failures_url, failures_arn = queue("failures")
    f.make("raises", {"app.py": SEEN}, Environment={"Variables": {"MODE": "raise"}})
    criteria = {"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"id": {"S": [{"anything-but": {"prefix": "not"}}]}}}})}]}
    made = f.la.create_event_source_mapping(EventSourceArn=stream, FunctionName="raises", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=2, BisectBatchOnFunctionError=True,
                                            BatchSize=10, MaximumBatchingWindowInSeconds=1, FilterCriteria=criteria, DestinationConfig={"OnFailure": {"Destination": failures_arn}})
    for name in ("a", "not-this", "fail", "b"):
        ddb.put_item(TableName="items", Item={"id": {"S": name}})
    ddb.put_item(TableName="items", Item={"id": {"S": "a"}, "changed": {"BOOL": True}})
    ddb.put_item(TableName="items", Item={"id": {"S": "c"}})
    image = lambda name: json.dumps({"id": {"S": name}})
    got = until(seen, lambda s: image("c") in s)
    check("a stream goes on behind what fails", {image("a"), image("fail"), image("b"), image("c")} <= set(got) and image("not-this") not in got and not any("changed" in key for key in got), got)
    told = until(lambda: sqs.receive_message(QueueUrl=failures_url, WaitTimeSeconds=5).get("Messages", []), bool)
    told = json.loads(told[0]["Body"])
    check("and its destination hears where it was", told["requestContext"]["condition"] == "RetryAttemptsExhausted" and told["DDBStreamBatchInfo"]["streamArn"] == stream
          and told["DDBStreamBatchInfo"]["batchSize"] == 1 and told["responseContext"]["functionError"] == "Unhandled", told)
    f.la.delete_event_source_mapping(UUID=made["UUID"])
    refused("a stream that is not there", "InvalidParameterValueException", lambda: f.la.create_event_source_mapping(EventSourceArn=stream + "0", FunctionName="raises", StartingPosition="LATEST"), "Stream not found")
    refused("a source of another region", "InvalidParameterValueException", lambda: f.la.create_event_source_mapping(EventSourceArn=arn.replace(REGION, "eu-west-1"), FunctionName="seen"), "Event source region must match")

    # A function that may not run is not called: that is no failure of its batches.
    f.la.put_function_concurrency(FunctionName="raises", ReservedConcurrentExecutions=0)
    throttled_url, throttled_arn = queue("throttled")
    made = f.la.create_event_source_mapping(EventSourceArn=stream, FunctionName="raises", StartingPosition="LATEST", MaximumRetryAttempts=1, BatchSize=2, DestinationConfig={"OnFailure": {"Destination": throttled_arn}})
    cloudwatch = client("cloudwatch")

    def throttled():
        now = datetime.datetime.now(datetime.timezone.utc)
        found = cloudwatch.get_metric_statistics(Namespace="AWS/Lambda", MetricName="Throttles", Dimensions=[{"Name": "FunctionName", "Value": "raises"}], Period=3600,
                                                 StartTime=now - datetime.timedelta(hours=2), EndTime=now + datetime.timedelta(hours=1), Statistics=["Sum"])
        return sum(point["Sum"] for point in found["Datapoints"])

    # Where its iterator stands shows only in what comes.
    late = []
    while throttled() < 5:
        late.append(f"late-{len(late)}")
        ddb.put_item(TableName="items", Item={"id": {"S": late[-1]}})
        time.sleep(0.2)
    ddb.put_item(TableName="items", Item={"id": {"S": "late-last"}})
    f.la.delete_function_concurrency(FunctionName="raises")
    got = until(seen, lambda s: image("late-last") in s)
    came = [name for name in late if image(name) in got]
    check("what was throttled comes when there is room", image("late-last") in got and came == late[len(late) - len(came):] and left(throttled_url) == 0, (late, came, left(throttled_url)))
    f.la.delete_event_source_mapping(UUID=made["UUID"])

    # What splits a batch is no retry: with none at all only what fails is given up.
    ddb.create_table(TableName="poisoned", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                     BillingMode="PAY_PER_REQUEST", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    poisoned_url, poisoned_arn = queue("poisoned")
    for name in ("fail-p", *(f"good-{n:02}" for n in range(15))):
        ddb.put_item(TableName="poisoned", Item={"id": {"S": name}})
    stream = ddb.describe_table(TableName="poisoned")["Table"]["LatestStreamArn"]
    made = f.la.create_event_source_mapping(EventSourceArn=stream, FunctionName="raises", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0, BisectBatchOnFunctionError=True,
                                            BatchSize=16, DestinationConfig={"OnFailure": {"Destination": poisoned_arn}})
    told = until(lambda: sqs.receive_message(QueueUrl=poisoned_url, WaitTimeSeconds=5).get("Messages", []), bool)
    got = until(seen, lambda s: image("good-14") in s)
    check("bisecting takes no retries", all(image(f"good-{n:02}") in got for n in range(15)) and json.loads(told[0]["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1, (told, got))
    f.la.delete_event_source_mapping(UUID=made["UUID"])
    windows(f, ddb)
    lanes(f, ddb)


CALLED = """
import json, time, boto3

table = boto3.client("dynamodb")


def handler(event, context):
    records, names = event["Records"], [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    begun = time.time()
    if "poison" in names:
        raise RuntimeError("poison")
    if "slow" in context.function_name:
        time.sleep(0.5)
    # Of long texts the length: an item has no room for them.
    short = {key: len(value) if isinstance(value, str) else value for key, value in event.get("state", {}).items()}
    shown = event | {"Records": names} | ({"state": short} if "state" in event else {})
    item = {"id": context.aws_request_id, "event": json.dumps(shown), "begun": str(begun), "ended": str(time.time())}
    table.put_item(TableName="called", Item={key: {"S": value} for key, value in item.items()})
    if "windowed" not in context.function_name:
        return None
    if "stateless" in names:
        return {}
    state = event["state"]
    for name in names:
        state[name] = state.get(name, 0) + 1
    if "large" in names:
        state["text"] = "x" * (1 << 20)
    return {"state": state}
"""


def streamed(ddb, name):
    ddb.create_table(TableName=name, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                     BillingMode="PAY_PER_REQUEST", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    return ddb.describe_table(TableName=name)["Table"]["LatestStreamArn"]


def called(ddb):
    items = ddb.scan(TableName="called", ConsistentRead=True)["Items"]
    calls = [{"event": json.loads(item["event"]["S"]), "begun": float(item["begun"]["S"]), "ended": float(item["ended"]["S"])} for item in items]
    return sorted(calls, key=lambda call: call["begun"])


def windows(f, ddb):
    ddb.create_table(TableName="called", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    stream = streamed(ddb, "windowed")
    f.make("windowed", {"app.py": CALLED})
    made = f.la.create_event_source_mapping(EventSourceArn=stream, FunctionName="windowed", StartingPosition="TRIM_HORIZON", TumblingWindowInSeconds=4, BatchSize=2, MaximumRetryAttempts=0)
    time.sleep(4 - time.time() % 4)
    for n in range(5):
        ddb.put_item(TableName="windowed", Item={"id": {"S": "a"}, "n": {"N": str(n)}})
    calls = until(lambda: [call["event"] for call in called(ddb)], lambda all: any(event["isFinalInvokeForWindow"] for event in all))
    final = calls[-1]
    check("a window gathers", final["state"] == {"a": 5} and final["Records"] == [] and final["isFinalInvokeForWindow"] and not final["isWindowTerminatedEarly"], calls)
    check("each call has the state of the one before", [event["state"] for event in calls[:-1]][:2] == [{}, {"a": len(calls[0]["Records"])}] and not any(event["isFinalInvokeForWindow"] for event in calls[:-1]), calls)
    start, end = (datetime.datetime.fromisoformat(final["window"][name].replace("Z", "+00:00")).timestamp() for name in ("start", "end"))
    check("the mapping says how it went", f.la.get_event_source_mapping(UUID=made["UUID"])["LastProcessingResult"] == "OK")
    check("and says which", start % 4 == 0 and end == start + 4 and final["shardId"].startswith("shardId-") and final["eventSourceARN"] == stream, final)
    f.la.update_event_source_mapping(UUID=made["UUID"], BatchSize=1)
    time.sleep(4 - time.time() % 4)
    for name in ("large", "stateless", "b"):
        ddb.put_item(TableName="windowed", Item={"id": {"S": name}})
        time.sleep(0.2)
    early = lambda all: [event for event in all if event["isWindowTerminatedEarly"]]
    calls = until(lambda: [call["event"] for call in called(ddb)], lambda all: early(all) and all[-1]["isFinalInvokeForWindow"] and not all[-1]["isWindowTerminatedEarly"] and "b" in all[-1]["state"])
    check("a state that is too large ends its window", len(early(calls)) == 1 and early(calls)[0]["state"]["text"] == 1 << 20 and early(calls)[0]["isFinalInvokeForWindow"], early(calls))
    check("and the next begins with none; an answer without one has failed", calls[-1]["state"] == {"b": 1}, calls[-1])
    f.la.delete_event_source_mapping(UUID=made["UUID"])


def lanes(f, ddb):
    stream = streamed(ddb, "laned")
    f.make("slow", {"app.py": CALLED})
    client("s3").create_bucket(Bucket="discarded")
    for n in range(3):
        for key in "abcdefgh":
            ddb.put_item(TableName="laned", Item={"id": {"S": key}, "n": {"N": str(n)}})
    ddb.put_item(TableName="laned", Item={"id": {"S": "poison"}})
    before = len(called(ddb))
    made = f.la.create_event_source_mapping(EventSourceArn=stream, FunctionName="slow", StartingPosition="TRIM_HORIZON", ParallelizationFactor=4, BatchSize=10, MaximumRetryAttempts=0,
                                            BisectBatchOnFunctionError=True, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::discarded"}})
    calls = until(lambda: called(ddb)[before:], lambda all: sum(len(call["event"]["Records"]) for call in all) >= 24)
    keys = [key for call in calls for key in call["event"]["Records"]]
    check("everything comes", sorted(keys) == sorted("abcdefgh" * 3), keys)
    check("batches run at once", any(one["begun"] < other["begun"] < one["ended"] for one in calls for other in calls), [(call["begun"], call["ended"]) for call in calls])
    for key in "abcdefgh":
        own = [call for call in calls if key in call["event"]["Records"]]
        check(f"not those of one item ({key})", all(one["ended"] <= other["begun"] for one, other in zip(own, own[1:])))
    found = until(lambda: client("s3").list_objects_v2(Bucket="discarded").get("Contents", []), bool)
    told = json.loads(client("s3").get_object(Bucket="discarded", Key=found[0]["Key"])["Body"].read())
    check("the mapping says that it failed", until(lambda: f.la.list_event_source_mappings(FunctionName="slow")["EventSourceMappings"][0]["LastProcessingResult"],
                                                   lambda result: result.startswith("PROBLEM")) == "PROBLEM: Function call failed")
    check("a bucket hears of what was given up, whole", found[0]["Key"].startswith(f"aws/lambda/{made['UUID']}/shardId-") and told["DDBStreamBatchInfo"]["batchSize"] == 1
          and json.loads(told["payload"])["Records"][0]["dynamodb"]["Keys"] == {"id": {"S": "poison"}}, (found, told))
    f.la.delete_event_source_mapping(UUID=made["UUID"])


def events(f):
    """Event invocations: retries, destinations, dead letters."""
    sqs = client("sqs")
    queues = {}
    for name in ("ok", "failed", "letters"):
        queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = lambda name: sqs.get_queue_attributes(QueueUrl=queues[name], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    heard = lambda name: until(lambda: sqs.receive_message(QueueUrl=queues[name], WaitTimeSeconds=5, MessageAttributeNames=["All"]).get("Messages", []), bool)[0]
    code = "def handler(event, context):\n    if event.get('bad'):\n        raise KeyError('bad')\n    return {'got': event}\n"
    f.make("later", {"app.py": code}, DeadLetterConfig={"TargetArn": arn("letters")})
    f.la.put_function_event_invoke_config(FunctionName="later", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60,
                                          DestinationConfig={"OnSuccess": {"Destination": arn("ok")}, "OnFailure": {"Destination": arn("failed")}})
    answer = f.la.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"n": 1}')
    check("an event is accepted", answer["StatusCode"] == 202)
    told = json.loads(heard("ok")["Body"])
    check("its destination hears of success", told["requestContext"]["condition"] == "Success" and told["requestPayload"] == {"n": 1} and told["responsePayload"] == {"got": {"n": 1}}
          and told["responseContext"]["statusCode"] == 200 and told["requestContext"]["approximateInvokeCount"] == 1, told)
    f.la.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"bad": 1}')
    told = json.loads(heard("failed")["Body"])
    check("and of failure", told["requestContext"]["condition"] == "RetriesExhausted" and told["responseContext"]["functionError"] == "Unhandled" and told["responsePayload"]["errorType"] == "KeyError", told)
    letter = heard("letters")
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    check("a dead letter is the event, with what went wrong", json.loads(letter["Body"]) == {"bad": 1} and attributes["ErrorCode"] == "200" and attributes["ErrorMessage"] == "'bad'" and attributes["RequestID"], letter)
    changed = f.la.update_function_event_invoke_config(FunctionName="later", MaximumRetryAttempts=1)
    check("what is not named stays", changed["MaximumEventAgeInSeconds"] == 60 and changed["MaximumRetryAttempts"] == 1 and changed["DestinationConfig"]["OnSuccess"]["Destination"] == arn("ok"), changed)
    listed = f.la.list_function_event_invoke_configs(FunctionName="later")["FunctionEventInvokeConfigs"]
    check("all of a function", len(listed) == 1 and listed[0]["MaximumRetryAttempts"] == 1, listed)


def metrics(f):
    import datetime
    cloudwatch = client("cloudwatch")

    def total(metric, namespace="AWS/Lambda", dimension=("FunctionName", "measured")):
        now = datetime.datetime.now(datetime.timezone.utc)
        found = cloudwatch.get_metric_statistics(Namespace=namespace, MetricName=metric, Dimensions=[{"Name": dimension[0], "Value": dimension[1]}], Period=3600,
                                                 StartTime=now - datetime.timedelta(hours=2), EndTime=now + datetime.timedelta(hours=1), Statistics=["Sum", "SampleCount"])
        return sum(point["Sum"] for point in found["Datapoints"]), sum(point["SampleCount"] for point in found["Datapoints"])

    embedded = {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [{"Namespace": "mine", "Dimensions": [["Kind"]], "Metrics": [{"Name": "rows", "Unit": "Count"}]}]}, "Kind": "k", "rows": 7}
    code = f"import json, time\ndef handler(event, context):\n    line = json.loads({json.dumps(json.dumps(embedded))!s})\n    line['_aws']['Timestamp'] = int(time.time() * 1000)\n    print(json.dumps(line))\n    return 1 / event\n"
    f.make("measured", {"app.py": code})
    for event in (1, 2, 0):
        f.call("measured", event)
    f.la.put_function_concurrency(FunctionName="measured", ReservedConcurrentExecutions=0)
    # One that calls once: the others try a call again that is throttled.
    once = boto3.client("lambda", region_name=REGION, config=botocore.config.Config(retries={"total_max_attempts": 1}))
    refused("none is let in", "TooManyRequestsException", lambda: once.invoke(FunctionName="measured"))
    got = until(lambda: {metric: total(metric) for metric in ("Invocations", "Errors", "Throttles", "Duration")}, lambda t: t["Invocations"][0] == 3 and t["Throttles"][0] == 1)
    check("calls are counted", got["Invocations"] == (3, 3) and got["Errors"] == (1, 3) and got["Throttles"] == (1, 4) and got["Duration"][1] == 3, got)
    rows = until(lambda: total("rows", "mine", ("Kind", "k")), lambda t: t[1] == 3)
    check("embedded metrics are read from its log", rows == (21, 3), rows)
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName="aged")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    f.make("dropped", {"app.py": "def handler(event, context):\n    raise KeyError('bad')\n"})
    # Its first retry would be a minute later, when the event is older than that.
    f.la.put_function_event_invoke_config(FunctionName="dropped", MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": arn}})
    f.la.invoke(FunctionName="dropped", InvocationType="Event", Payload=b"1")
    told = json.loads(until(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", []), bool)[0]["Body"])
    check("an event too old to be tried again", told["requestContext"]["condition"] == "EventAgeExceeded" and told["requestContext"]["approximateInvokeCount"] == 1, told)
    sqs.delete_queue(QueueUrl=queue)
    f.la.invoke(FunctionName="dropped", InvocationType="Event", Payload=b"2")
    names = ("AsyncEventsReceived", "AsyncEventsDropped", "DestinationDeliveryFailures", "DeadLetterErrors", "Errors")
    got = until(lambda: {metric: total(metric, dimension=("FunctionName", "dropped"))[0] for metric in names}, lambda t: t["AsyncEventsDropped"] == 2 and t["DestinationDeliveryFailures"])
    check("events and what became of them are counted", got == {"AsyncEventsReceived": 2, "AsyncEventsDropped": 2, "DestinationDeliveryFailures": 1, "DeadLetterErrors": 0, "Errors": 2}, got)


def urls(f):
    import urllib.error
    import urllib.request
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    def ask(url, method="GET", body=None, **headers):
        request = urllib.request.Request(url, data=body, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})
        try:
            answer = urllib.request.urlopen(request, timeout=600)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read()

    code = """
import json
def handler(event, context):
    path = event["rawPath"]
    if path == "/plain":
        return "plain"
    if path == "/raise":
        raise ValueError("x")
    if path == "/made":
        return {"statusCode": 201, "headers": {"X-Own": "1", "Content-Type": "text/x"}, "cookies": ["a=1", "b=2"], "body": "aGk=", "isBase64Encoded": True}
    return event
"""
    f.make("web", {"app.py": code})
    made = f.la.create_function_url_config(FunctionName="web", AuthType="NONE", Cors={"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "AllowHeaders": ["x-b"], "MaxAge": 9})
    url = made["FunctionUrl"]
    check("a URL is told", f.la.get_function_url_config(FunctionName="web")["FunctionUrl"] == url and made["InvokeMode"] == "BUFFERED" and url.endswith("/"), made)
    refused("only one", "ResourceConflictException", lambda: f.la.create_function_url_config(FunctionName="web", AuthType="NONE"))
    status, headers, body = ask(url)
    check("nobody may call it yet", status == 403 and b"Forbidden" in body, (status, body))
    f.la.add_permission(FunctionName="web", StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    status, headers, body = ask(url + "a/b%20c?x=1&x=2&y=%C3%A4", "POST", '{"ü": 1}'.encode(), Content_Type="application/json", Cookie="k=v; l=w", X_Mine="m")
    event = json.loads(body)
    context = event.get("requestContext", {})
    check("a request as an event", status == 200 and event["version"] == "2.0" and event["rawPath"] == "/a/b%20c" and event["rawQueryString"] == "x=1&x=2&y=%C3%A4"
          and event["queryStringParameters"] == {"x": "1,2", "y": "ä"} and event["cookies"] == ["k=v", "l=w"] and event["headers"]["x-mine"] == "m" and "cookie" not in event["headers"]
          and event["body"] == '{"ü": 1}' and event["isBase64Encoded"] is False and context["http"]["method"] == "POST" and context["http"]["path"] == "/a/b%20c"
          and context["accountId"] == "anonymous" and context["domainName"].startswith(context["apiId"] + ".lambda-url."), event)
    event = json.loads(ask(url, "PUT", bytes([0, 255]), Content_Type="application/octet-stream")[2])
    check("bytes in base64", event["body"] == "AP8=" and event["isBase64Encoded"] is True, event)
    event = json.loads(ask(url, Authorization="Bearer mine")[2])
    check("the application's own authorization", event["headers"].get("authorization") == "Bearer mine", event["headers"])
    check("a text is the body", ask(url + "plain")[2] == b"plain")
    status, headers, body = ask(url + "made")
    check("an answer of status and headers", (status, headers["x-own"], headers["content-type"], headers.get_all("set-cookie"), body) == (201, "1", "text/x", ["a=1", "b=2"], b"hi"), (status, dict(headers), body))
    check("an error of the function", ask(url + "raise")[0] == 502)
    status, headers, body = ask(url, "OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET")
    check("a browser asks first", status == 200 and headers["access-control-allow-origin"] == "https://a.example" and headers["access-control-allow-methods"] == "GET" and headers["access-control-max-age"] == "9" and body == b"", dict(headers))
    check("and is answered", ask(url + "plain", Origin="https://a.example")[1]["access-control-allow-origin"] == "https://a.example" and ask(url + "plain", Origin="https://b.example")[1]["access-control-allow-origin"] is None)

    f.la.update_function_url_config(FunctionName="web", AuthType="AWS_IAM")
    check("unsigned it is refused", ask(url)[0] == 403)
    iam, sts = client("iam"), client("sts")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    for role, resource in (("may", "arn:aws:lambda:*:*:function:web"), ("may-not", "arn:aws:lambda:*:*:function:other")):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunctionUrl", "Resource": resource}]}))

    def signed(role):
        keys = sts.assume_role(RoleArn=f"arn:aws:iam::000000000000:role/{role}", RoleSessionName="session")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION)
        request = AWSRequest("GET", url + "x")
        SigV4Auth(session.get_credentials(), "lambda", REGION).add_auth(request)
        return ask(url + "x", **{name: value for name, value in request.headers.items()})

    status, headers, body = signed("may")
    check("who may is let in", status == 200 and json.loads(body)["requestContext"]["authorizer"]["iam"]["userArn"].endswith(":assumed-role/may/session"), (status, body))
    known = json.loads(body)["headers"]
    check("what it is let in by is not told", "x-amz-date" in known and not {"authorization", "x-amz-security-token"} & set(known), known)
    check("who may not is not", signed("may-not")[0] == 403)
    f.la.delete_function_url_config(FunctionName="web")
    check("a deleted URL", ask(url)[0] == 403)
    refused("is not told", "ResourceNotFoundException", lambda: f.la.get_function_url_config(FunctionName="web"))


def concurrency(f):
    code = "import os, time\nstarted = time.time()\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], os.getpid(), started]\n"
    f.make("warm", {"app.py": code}, Publish=True)
    refused("not of $LATEST", "InvalidParameterValueException", lambda: f.la.put_provisioned_concurrency_config(FunctionName="warm", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1))
    f.la.put_provisioned_concurrency_config(FunctionName="warm", Qualifier="1", ProvisionedConcurrentExecutions=2)
    found = until(lambda: f.la.get_provisioned_concurrency_config(FunctionName="warm", Qualifier="1"), lambda c: c["Status"] != "IN_PROGRESS")
    check("environments are there", found["Status"] == "READY" and found["AvailableProvisionedConcurrentExecutions"] == 2, found)
    before = time.time()
    answer, error, log = f.call("warm", {}, Qualifier="1")
    check("before anybody calls", answer[0] == "provisioned-concurrency" and answer[2] < before and "Init Duration" not in log, (answer, log))
    check("others start when they are called", f.call("warm", {})[0][0] == "on-demand")
    f.la.delete_provisioned_concurrency_config(FunctionName="warm", Qualifier="1")
    refused("is no more", "ProvisionedConcurrencyConfigNotFoundException", lambda: f.la.get_provisioned_concurrency_config(FunctionName="warm", Qualifier="1"))
    f.la.put_function_concurrency(FunctionName="warm", ReservedConcurrentExecutions=1)
    from concurrent.futures import ThreadPoolExecutor

    def one(_):
        try:
            f.la.invoke(FunctionName="warm", Payload=b'{"sleep": 3}')
            return "ok"
        except botocore.exceptions.ClientError as error:
            return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']} {error.response.get('Reason')}"
    with ThreadPoolExecutor(3) as pool:
        got = sorted(pool.map(one, range(3)))
    throttled = "TooManyRequestsException 429 ReservedFunctionConcurrentInvocationLimitExceeded"
    check("no more than is reserved", got == [throttled, throttled, "ok"], got)


STREAM = r"""
const rest = (ms) => new Promise((done) => setTimeout(done, ms));
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  if (event.rawPath === "/head" || event.head) {
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: 207, headers: { "X-Own": "1", "Content-Type": "text/x" }, cookies: ["a=b"] });
  } else {
    stream.setContentType("text/plain");
  }
  if (event.early) throw new TypeError("early");
  if (event.big) { const piece = Buffer.alloc(1 << 20, 120); for (let n = 0; n < event.big; n++) if (!stream.write(piece)) await new Promise((go) => stream.once("drain", go)); }
  stream.write("one ");
  await rest(event.rest ?? (event.rawPath ? 300 : 50));
  if (event.late || event.rawPath === "/late") throw new RangeError("late");
  if (event.exit) process.exit(3);
  if (event.hang) await rest(60000);
  stream.write("two");
  stream.end();
  await stream.finished?.();
});
exports.plain = async (event) => ({ plain: event.n });
"""
STREAMING_BOOTSTRAP = """#!/bin/sh
set -u
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  head=$(mktemp)
  curl -sS -LD "$head" "$api/next" > /dev/null
  id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$head" | tr -d '[:space:]' | cut -d: -f2)
  (echo first; sleep 0.2; echo second) | curl -sS -T - -X POST -H "Lambda-Runtime-Function-Response-Mode: streaming" -H "Transfer-Encoding: chunked" -H "Content-Type: text/plain" "$api/$id/response" > /dev/null
done
"""


def streams(f):
    """Responses that are sent while the function writes them."""
    import http.client
    import urllib.parse

    def stream(name, event=None, **more):
        """Pieces with the time of each, and the last event."""
        began, pieces, last = time.time(), [], None
        answer = f.la.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event or {}), **more)
        for one in answer["EventStream"]:
            if "PayloadChunk" in one:
                pieces.append((one["PayloadChunk"]["Payload"], time.time() - began))
            else:
                last = one["InvokeComplete"]
        return answer, pieces, last

    f.make("streams", {"app.js": STREAM}, "nodejs20.x", MemorySize=512, Timeout=8)
    answer, pieces, last = stream("streams", {"rest": 400}, LogType="Tail")
    check("pieces come as they are written", [p[0] for p in pieces] == [b"one ", b"two"] and pieces[1][1] - pieces[0][1] > 0.2, pieces)
    check("then the end", "ErrorCode" not in last and "REPORT RequestId" in base64.b64decode(last["LogResult"]).decode() and answer["ExecutedVersion"] == "$LATEST" and answer["StatusCode"] == 200
          and answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream", (answer, last))
    check("the log only where it is asked for", "LogResult" not in stream("streams")[2])
    answer, pieces, last = stream("streams", {"early": 1})
    check("an error before the first piece", pieces == [] and last["ErrorCode"] == "TypeError" and json.loads(last["ErrorDetails"])["errorMessage"] == "early", (pieces, last))
    answer, pieces, last = stream("streams", {"late": 1})
    check("an error on the way", [p[0] for p in pieces] == [b"one "] and last["ErrorCode"] == "RangeError" and json.loads(last["ErrorDetails"])["errorMessage"] == "late", (pieces, last))
    answer, pieces, last = stream("streams", {"exit": 1})
    check("a process that ends on the way", [p[0] for p in pieces] == [b"one "] and last["ErrorCode"] == "Runtime.ExitError" and "exit status 3" in last["ErrorDetails"], (pieces, last))
    answer, pieces, last = stream("streams", {"hang": 1})
    check("time that is up on the way", [p[0] for p in pieces] == [b"one "] and last["ErrorCode"] == "Sandbox.Timedout" and "8.00 seconds" in last["ErrorDetails"], (pieces, last))
    answer, pieces, last = stream("streams", {"big": 30})
    check("more than an answer at once may have", sum(len(p[0]) for p in pieces) == (30 << 20) + 7 and "ErrorCode" not in last, last)
    answer = f.la.invoke(FunctionName="streams", Payload=b'{"big": 30}')
    check("which Invoke has no room for", answer.get("FunctionError") == "Unhandled" and json.load(answer["Payload"])["errorType"] == "Function.ResponseSizeTooLarge")
    check("Invoke gathers", f.la.invoke(FunctionName="streams")["Payload"].read() == b"one two")
    answer = f.la.invoke(FunctionName="streams", Payload=b'{"late": 1}')
    check("and hears errors on the way", answer.get("FunctionError") == "Unhandled" and json.load(answer["Payload"])["errorType"] == "RangeError")
    f.make("whole", {"app.js": STREAM}, "nodejs20.x", "app.plain")
    answer, pieces, last = stream("whole", {"n": 7})
    check("what is no stream is one piece", [json.loads(p[0]) for p in pieces] == [{"plain": 7}] and "ErrorCode" not in last, (pieces, last))
    f.make("streams-own", {"bootstrap": STREAMING_BOOTSTRAP}, "provided.al2023", "mine")
    answer, pieces, last = stream("streams-own")
    check("runtimes of one's own", b"".join(p[0] for p in pieces) == b"first\nsecond\n" and len(pieces) > 1 and "ErrorCode" not in last, (pieces, last))
    refused("no such function", "ResourceNotFoundException", lambda: stream("nothing-here"))
    f.la.put_function_concurrency(FunctionName="whole", ReservedConcurrentExecutions=0)
    refused("no room", "TooManyRequestsException", lambda: stream("whole"))

    url = f.la.create_function_url_config(FunctionName="streams", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    check("a URL's mode", url["InvokeMode"] == "RESPONSE_STREAM" and f.la.get_function_url_config(FunctionName="streams")["InvokeMode"] == "RESPONSE_STREAM", url)
    f.la.add_permission(FunctionName="streams", StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    place = urllib.parse.urlsplit(url["FunctionUrl"])

    def ask(path=""):
        connection = http.client.HTTPConnection(place.netloc, timeout=600)
        connection.request("GET", place.path + path)
        answer, parts, began = connection.getresponse(), [], time.time()
        while part := answer.read1(1 << 16):
            parts.append((part, time.time() - began))
        return answer, parts

    answer, parts = ask()
    check("a URL answers as it is written", answer.status == 200 and answer.getheader("content-type") == "text/plain" and [p[0] for p in parts] == [b"one ", b"two"] and parts[1][1] > 0.1, (answer.getheaders(), parts))
    answer, parts = ask("head")
    check("with status, headers and cookies", answer.status == 207 and answer.getheader("x-own") == "1" and answer.getheader("content-type") == "text/x" and answer.getheader("set-cookie") == "a=b"
          and b"".join(p[0] for p in parts) == b"one two", (answer.status, answer.getheaders(), parts))
    try:
        answer, parts = ask("late")
        check("an error on the way breaks the connection", False, parts)
    except http.client.IncompleteRead as error:
        check("an error on the way breaks the connection", True)
    f.la.update_function_url_config(FunctionName="streams", InvokeMode="BUFFERED")
    answer, parts = ask()
    check("or whole, by its mode", answer.status == 200 and b"".join(p[0] for p in parts) == b"one two" and answer.getheader("content-length") == "7", (answer.getheaders(), parts))


FORKED = """
import json, os, random, sys, time, uuid
import bz2
import boto3
from botocore.config import Config
s3 = boto3.client("s3")
table = boto3.resource("dynamodb").Table("none")
def url(region):
    outside = boto3.client("s3", region_name=region, config=Config(ignore_configured_endpoint_urls=True, s3={"addressing_style": "virtual"}))
    return outside.generate_presigned_url("get_object", Params={"Bucket": "some-bucket", "Key": "k"}).split("?")[0]
def handler(event, context):
    if event.get("exit"):
        os._exit(event["exit"])
    if event.get("clients"):
        return {"urls": [url("eu-west-1"), url("cn-north-1")], "table": table.meta.client.meta.endpoint_url == os.environ["AWS_ENDPOINT_URL"],
                "listed": len(list(boto3.resource("s3").buckets.all())), "glue": boto3.client("glue").meta.region_name}
    return {"pid": os.getpid(), "own": getattr(bz2, "MINE", None), "session": boto3.Session().get_credentials().access_key == os.environ["AWS_ACCESS_KEY_ID"],
            "random": [random.random(), str(uuid.uuid4())], "hour": time.localtime(0).tm_hour, "debug": __debug__, "argv": sys.argv, "ours": [n for n in os.environ if "LAKERUN" in n and n != "LAKERUN_OWNER"],
            "buckets": len(s3.list_buckets()["Buckets"]), "user": os.getuid() == os.stat("/proc/self/status").st_uid, "agent": s3.meta.config.user_agent, "hash": hash("a")}
"""


def templates(f):
    """Starts from a template: as those of a process of its own. In a fork the number of the process is 3."""
    f.make("forked", {"app.py": FORKED})

    def fresh(**variables):
        f.la.update_function_configuration(FunctionName="forked", Environment={"Variables": {"TURN": str(time.time()), **variables}})
        return f.call("forked", {})

    answer = until(lambda: fresh()[0], lambda answer: answer["pid"] == 3)
    check("it may do what its role may", answer["session"] and answer["buckets"] == 0 and answer["own"] is None, answer)
    check("it is a process of its own user", answer["user"] and answer["argv"] == ["/var/runtime/bootstrap.py"] and answer["ours"] == [], answer)
    check("botocore knows where it runs", "exec-env/AWS_Lambda_python3.11" in answer["agent"], answer)
    clients = f.call("forked", {"clients": True})[0]
    check("clients and resources are of the function's own place, whatever the template made before", clients == {
        "urls": ["https://some-bucket.s3.eu-west-1.amazonaws.com/k", "https://some-bucket.s3.cn-north-1.amazonaws.com.cn/k"], "table": True, "listed": 0,
        "glue": REGION}, clients)
    other, _, log = fresh(TZ="Asia/Tokyo")
    check("another has other chances and its own time", other["random"][0] != answer["random"][0] and other["random"][1] != answer["random"][1] and (answer["hour"], other["hour"]) == (0, 9), other)
    check("its start is told", "Init Duration" in log, log)
    answer = fresh(PYTHONOPTIMIZE="1")[0]
    check("variables that Python reads are obeyed", answer["debug"] is False and answer["pid"] == 2, answer)
    answer, error, log = f.call("forked", {"exit": 3})
    check("how a process of its own ends", "exit status 3" in answer["errorMessage"], answer)
    fresh()
    answer, error, log = f.call("forked", {"exit": 5})
    check("how a fork ends", error == "Unhandled" and answer["errorType"] == "Runtime.ExitError" and "exit status 5" in answer["errorMessage"], answer)
    f.make("shadows", {"app.py": FORKED, "bz2.py": "MINE = 'my own'\n"})
    answer = f.call("shadows", {})[0]
    check("a function's own module goes first", answer["own"] == "my own" and answer["pid"] == 2, answer)
    layer = f.la.publish_layer_version(LayerName="bz2", Content={"ZipFile": packed({"python/bz2.py": "MINE = 'a layers'\n"})})
    f.make("layered", {"app.py": FORKED}, Layers=[layer["LayerVersionArn"]])
    check("a layer's, too", f.call("layered", {})[0]["own"] == "a layers")
    f.make("small", {"app.py": "kept = []\ndef handler(event, context):\n    kept.append(b'x' * (event['mb'] << 20))\n    return len(kept)\n"}, MemorySize=128)
    check("what a template loaded is not the function's memory", f.call("small", {"mb": 90})[0] == 1)
    answer, error, log = f.call("small", {"mb": 200})
    check("what it takes itself is", error == "Unhandled" and answer["errorType"] == "Runtime.OutOfMemory", answer)


def main(binary):
    server = Server(binary)
    try:
        f = Functions()
        for part in (streams, templates, node, versions, custom, sources, events, urls, concurrency, metrics):
            start = time.time()
            part(f)
            print(f"{part.__name__}: {time.time() - start:.1f} s", flush=True)
    finally:
        server.stop()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    # In a process of its own: it needs a newer client.
    durable = os.path.join(os.path.dirname(os.path.abspath(__file__)), "durable.py")
    return subprocess.run([sys.executable, durable, binary]).returncode or (0 if all(results) else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
