#!/usr/bin/env python3
"""Lambda as boto3 sees it: runtimes, errors, logs, event sources, destinations.

    python3 conformance/lambda/run.py target/debug/lakerun      # needs boto3; Node.js comes from the machine or from PyPI

Closes with 'N passed, N failed'.
"""
import base64
import io
import json
import os
import sys
import time
import zipfile

import boto3
import botocore.config
import botocore.exceptions

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from server import Server

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


def main(binary):
    server = Server(binary)
    try:
        f = Functions()
        for part in (node, versions, custom):
            start = time.time()
            part(f)
            print(f"{part.__name__}: {time.time() - start:.1f} s", flush=True)
    finally:
        server.stop()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
