#!/usr/bin/env python3
"""Traces of executions, as a collector gets them: over OTLP/HTTP, decoded by OpenTelemetry's own messages.

    run.py LAKERUN

An execution that calls, fails, tries again, catches, branches and starts another one; what its HTTP Task and its function are told; an Express one; one
whose trace the caller names; one that a kill of the server cut in two; and what happens while the collector is away."""
import collections
import http.server
import io
import json
import os
import pathlib
import re
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from server import Server, python  # noqa: E402

REQUIREMENTS = "boto3==1.43.11 opentelemetry-proto==1.45.2"
WAIT = 600


def until(what, holds):
    begun = time.monotonic()
    while not (found := holds()):
        if time.monotonic() - begun > WAIT:
            sys.exit(f"waited {WAIT} s for {what}")
        time.sleep(0.2)
    return found


class Collector:
    """Keeps all spans by id; `status` is what it answers."""

    def __init__(self):
        self.spans, self.status, self.heads, self.requests, self.times = {}, 200, [], 0, collections.Counter()
        self.port = 0
        self.open()

    def open(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests += 1
                collector.heads.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                if collector.status == 200:
                    collector.take(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status)
                self.send_header("content-type", "application/x-protobuf")
                # A connection that is kept would outlive the collector.
                self.send_header("connection", "close")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, body):
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            of = attributes(resource.resource)
            assert of["service.name"] == "lakerun" and of["service.instance.id"], of
            for scope in resource.scope_spans:
                for span in scope.spans:
                    assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                    self.times[span.span_id.hex()] += 1
                    self.spans[span.span_id.hex()] = span

    def root(self, arn):
        """The first span of an execution."""
        found = [span for span in list(self.spans.values()) if attributes(span).get("lakerun.execution.arn") == arn]
        return min(found, key=lambda span: span.start_time_unix_nano, default=None)

    def below(self, span):
        children = [child for child in list(self.spans.values()) if child.parent_span_id == span.span_id]
        return sorted(children, key=lambda child: (child.start_time_unix_nano, child.name))

    def tree(self, span):
        """Names, with the errors."""
        name = span.name + (f" !{attributes(span)['error.type']}" if span.status.code == 2 else "")
        children = [self.tree(child) for child in self.below(span)]
        return {name: children} if children else name


def attributes(message):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in message.attributes}


class Echo:
    """An HTTP endpoint: what headers it was sent; the first call fails."""

    def __init__(self):
        echo = self
        self.heads = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                echo.heads.append({name.lower(): value for name, value in self.headers.items()})
                body = b"{}"
                self.send_response(503 if len(echo.heads) == 1 else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()


class World:
    def __init__(self):
        self.states, self.functions, self.iam = (boto3.client(name) for name in ("stepfunctions", "lambda", "iam"))

    def prepare(self, echo):
        trust = [{"Effect": "Allow", "Principal": {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"}]
        document = lambda statement: json.dumps({"Version": "2012-10-17", "Statement": statement})
        self.role = self.iam.create_role(RoleName="r", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document([{"Effect": "Allow", "Action": "*", "Resource": "*"}]))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("f.py", "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n")
        self.function = self.functions.create_function(
            FunctionName="f", Runtime="python3.12", Role=self.role, Handler="f.handler", Timeout=60, Code={"ZipFile": archive.getvalue()})["FunctionArn"]
        until("the function", lambda: self.functions.get_function(FunctionName="f")["Configuration"]["State"] == "Active")
        key = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}}
        connection = boto3.client("events").create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]
        self.child = self.machine("child", {"StartAt": "C", "States": {"C": {"Type": "Pass", "End": True}}})
        task = lambda resource, parameters, **more: {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters, **more}
        call = {"ApiEndpoint": echo.url, "Method": "GET", "InvocationConfig": {"ConnectionArn": connection}}
        again = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]
        catch = [{"ErrorEquals": ["States.ALL"], "Next": "All", "ResultPath": None}]
        branch = lambda name, state: {"StartAt": name, "States": {name: state}}
        self.whole = self.machine("whole", {"StartAt": "Call", "States": {
            "Call": task("http:invoke", call, Retry=again, ResultPath="$.http", Next="Function"),
            "Function": {"Type": "Task", "Resource": self.function, "ResultPath": "$.direct", "Next": "Invoke"},
            "Invoke": task("lambda:invoke", {"FunctionName": "f"}, ResultSelector={"told.$": "$.Payload"}, ResultPath="$.invoked", Next="Missing"),
            "Missing": task("aws-sdk:s3:getObject", {"Bucket": "none", "Key": "k"}, Catch=catch, Next="All"),
            "All": {"Type": "Parallel", "ResultPath": None, "Next": "Each", "Branches": [
                branch("Left", {"Type": "Pass", "End": True}),
                branch("Right", task("states:startExecution.sync:2", {"StateMachineArn": self.child}, End=True)),
            ]},
            "Each": {"Type": "Map", "ItemsPath": "$.items", "ResultPath": None, "End": True,
                     "ItemProcessor": branch("Item", {"Type": "Pass", "End": True})},
        }})
        self.sleeps = self.machine("sleeps", {"StartAt": "Before", "States": {
            "Before": {"Type": "Pass", "Next": "Sleep"}, "Sleep": {"Type": "Wait", "SecondsPath": "$.seconds", "End": True}}})
        self.express = self.machine("express", {"StartAt": "Function", "States": {
            "Function": {"Type": "Task", "Resource": self.function, "End": True}}}, type="EXPRESS")

    def machine(self, name, definition, **more):
        return self.states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=self.role, **more)["stateMachineArn"]

    def run(self, machine, given, **more):
        arn = self.states.start_execution(stateMachineArn=machine, input=json.dumps(given), **more)["executionArn"]
        return arn, self.ended(arn)

    def ended(self, arn):
        until(f"{arn} to end", lambda: self.states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        described = self.states.describe_execution(executionArn=arn)
        assert described["status"] == "SUCCEEDED", described
        return described


def traced(collector, arn):
    return until(f"the trace of {arn}", lambda: collector.root(arn))


def x_ray(span):
    trace = span.trace_id.hex()
    return f"Root=1-{trace[:8]}-{trace[8:]};Parent={span.span_id.hex()};Sampled=1"


def a_whole_execution(world, collector, echo):
    arn, described = world.run(world.whole, {"items": [1, 2]})
    root = traced(collector, arn)
    # The execution's spans come together, but those of a child may come before or after.
    until("all of its spans", lambda: len(collector.below(root)) == 6)
    child = until("the child's", lambda: [span for span in list(collector.spans.values()) if span.name == "child"])[0]
    tree = collector.tree(root)
    want = {"whole": [
        {"Call": ["http.invoke !States.Http.StatusCode.503", "http.invoke"]},
        {"Function": ["Lambda.Invoke"]},
        {"Invoke": ["lambda.invoke"]},
        {"Missing": ["s3.getObject !S3.NoSuchBucketException"]},
        {"All": ["Left", {"Right": [{"states.startExecution": [{"child": ["C"]}]}]}]},
        {"Each": [{"Each #0": ["Item"]}, {"Each #1": ["Item"]}]},
    ]}
    by_name = lambda tree: tree if isinstance(tree, str) else {name: sorted(map(by_name, children), key=str) for name, children in tree.items()}
    assert by_name(tree) == by_name(want), json.dumps(tree, indent=1)
    of = attributes(root)
    assert of["aws.step_functions.state_machine.arn"] == world.whole and of["lakerun.execution.status"] == "SUCCEEDED", of
    assert len({span.trace_id for span in collector.spans.values()}) == 1 and child.trace_id == root.trace_id
    assert int(root.trace_id.hex()[:8], 16) == int(described["startDate"].timestamp()), (root.trace_id.hex(), described)
    # Times are those of the history.
    events = world.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    assert root.start_time_unix_nano // 10**6 == round(events[0]["timestamp"].timestamp() * 1000)
    assert root.end_time_unix_nano // 10**6 == round(events[-1]["timestamp"].timestamp() * 1000)
    call, function, invoke = collector.below(root)[:3]
    calls = collector.below(call)
    assert all(one.kind == 3 for one in calls) and call.kind == 1, calls
    told = [head["traceparent"] for head in echo.heads]
    assert told == [f"00-{one.trace_id.hex()}-{one.span_id.hex()}-01" for one in calls], (told, calls)
    output = json.loads(described["output"])
    assert output["direct"] == x_ray(collector.below(function)[0]), output
    assert output["invoked"]["told"] == x_ray(collector.below(invoke)[0]), output
    head = collector.heads[0]
    assert head[0] == "/otlp/v1/traces" and head[1]["content-type"] == "application/x-protobuf" and head[1]["x-scope"] == "t", head
    text = " ".join(str(span) for span in collector.spans.values())
    assert "does not exist" not in text and "NoSuchBucketException" in text, "causes are not told"
    print(f"an execution: {len(collector.spans)} spans")


def named_traces(world, collector):
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    arn, described = world.run(world.child, {}, traceHeader=header)
    assert described["traceHeader"] == header
    root = traced(collector, arn)
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == ("5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8"), root
    answer = world.states.start_sync_execution(stateMachineArn=world.express, input="{}")
    assert answer["status"] == "SUCCEEDED", answer
    root = traced(collector, answer["executionArn"])
    function = until("its call", lambda: [span for state in collector.below(root) for span in collector.below(state)])[0]
    assert json.loads(answer["output"]) == x_ray(function), answer
    arn = world.states.start_execution(stateMachineArn=world.express, input="{}")["executionArn"]
    traced(collector, arn)
    print("a trace that the caller names, and Express ones")


def in_two(binary, server, collector, settings):
    """Starts the server again while an execution sleeps."""
    world = World()
    machine = world.states.list_state_machines()["stateMachines"]
    sleeps = next(one["stateMachineArn"] for one in machine if one["name"] == "sleeps")
    arn = world.states.start_execution(stateMachineArn=sleeps, input='{"seconds": 5}')["executionArn"]
    until("it to sleep", lambda: len(world.states.get_execution_history(executionArn=arn)["events"]) >= 4)
    server.kill()
    again = Server(binary, data=server.data, **settings)
    World().ended(arn)
    root = traced(collector, arn)
    until("its states", lambda: [span.name for span in collector.below(root)] == ["Before", "Sleep"])
    print("an execution that a kill cut in two has its whole trace")
    return again


def figures():
    text = urllib.request.urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/metrics", timeout=600).read().decode()
    found = re.findall(r"^(lakerun_trace\w+)(?:{outcome=\"(\w+)\"})? ([0-9.]+)$", text, re.M)
    return collections.Counter({name + (outcome and f" {outcome}"): float(value) for name, outcome, value in found})


def while_it_is_away(collector):
    world = World()
    machine = next(one["stateMachineArn"] for one in world.states.list_state_machines()["stateMachines"] if one["name"] == "child")
    before = figures()
    collector.close()
    begun = time.monotonic()
    arns = [world.states.start_execution(stateMachineArn=machine, input="{}")["executionArn"] for _ in range(40)]
    for arn in arns:
        world.ended(arn)
    took = time.monotonic() - begun
    until("them to be dropped", lambda: figures()["lakerun_trace_spans_total dropped"] - before["lakerun_trace_spans_total dropped"] >= 80)
    assert not any(collector.root(arn) for arn in arns)
    collector.open()
    arn, _ = world.run(machine, {})
    traced(collector, arn)
    after = figures()
    assert after["lakerun_trace_spans_total exported"] > before["lakerun_trace_spans_total exported"], after
    # What it refuses is not sent again.
    collector.status, requests = 400, collector.requests
    refused, _ = world.run(machine, {})
    until("it to be refused", lambda: figures()["lakerun_trace_spans_total dropped"] >= after["lakerun_trace_spans_total dropped"] + 2)
    assert collector.requests == requests + 1 and collector.root(refused) is None
    collector.status = 200
    print(f"while the collector is away executions run on ({took:.1f} s for 40), and their spans are dropped and counted")


def without(binary):
    """Where nobody asks for them there are none."""
    server, echo = Server(binary), Echo()
    try:
        world = World()
        world.prepare(echo)
        _, described = world.run(world.whole, {"items": []})
        assert all("traceparent" not in head for head in echo.heads), echo.heads
        assert json.loads(described["output"])["direct"].endswith("Sampled=0"), described
        assert not figures(), figures()
        print("without the setting nothing is traced")
    finally:
        server.stop()


def main():
    binary, collector, echo = sys.argv[1], Collector(), Echo()
    settings = {
        "LAKERUN_TELEMETRY_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}/otlp",
        "LAKERUN_TELEMETRY_OTLP_HEADERS": '{x-scope="t"}',
    }
    with tempfile.TemporaryDirectory() as data:
        server = Server(binary, data=os.path.join(data, "d"), **settings)
        try:
            world = World()
            world.prepare(echo)
            a_whole_execution(world, collector, echo)
            named_traces(world, collector)
            server = in_two(binary, server, collector, settings)
            while_it_is_away(collector)
            assert max(collector.times.values()) == 1, "a span came twice"
        finally:
            server.stop()
    without(binary)
    print("5 passed, 0 failed")


if __name__ == "__main__":
    try:
        import boto3
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
    except ImportError:
        os.execv(python(REQUIREMENTS), [str(python(REQUIREMENTS)), os.path.abspath(__file__), *sys.argv[1:]])
    main()
