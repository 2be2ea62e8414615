#!/usr/bin/env python3
"""Durable functions as AWS's SDK for Python drives them, unchanged from PyPI, and as boto3 sees their executions.

    python3 conformance/lambda/durable.py target/debug/lakerun      # gets the boto3 that it needs itself

Closes with 'N passed, N failed'.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server import Server, need_boto3  # noqa: E402

# Models of clients before it lack much of an execution.
need_boto3(__file__, "boto3==1.44.8")

import importlib.util  # noqa: E402

spec = importlib.util.spec_from_file_location("functions", os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py"))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)
check, refused, until, client, packed, Functions, results = base.check, base.refused, base.until, base.client, base.packed, base.Functions, base.results

SDK = "aws-durable-execution-sdk-python==3.0.0\n"
CODE = '''
import os, time
from aws_durable_execution_sdk_python import CallbackTimeoutError, CallbackError, InvokeError, StepError, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig, StepSemantics
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy, JitterStrategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
import boto3
table = boto3.resource("dynamodb").Table("marks")

def mark(name):
    """How often something was done, over all calls."""
    return int(table.update_item(Key={"id": name}, UpdateExpression="ADD times :one", ExpressionAttributeValues={":one": 1}, ReturnValues="ALL_NEW")["Attributes"]["times"])

def retry(attempts):
    return StepConfig(retry_strategy=create_retry_strategy(RetryStrategyConfig(max_attempts=attempts, initial_delay=Duration.from_seconds(1), jitter_strategy=JitterStrategy.NONE)))

def flaky(name, until):
    def step(_):
        if mark(name) < until:
            raise ValueError("not yet")
        return name + " at last"
    return step

def child(event):
    def run(context):
        one = context.step(lambda _: "in the child", name="inner")
        context.wait(Duration.from_seconds(1), name="inner wait")
        return one + ", waited"
    return run

@durable_execution
def handler(event, context):
    what, name = event["what"], event.get("name", "x")
    mark(name + " calls")
    if what == "steps":
        first = context.step(lambda _: {"n": mark(name + " first")}, name="first")
        context.wait(Duration.from_seconds(1), name="pause")
        return {"first": first, "second": context.step(lambda _: first["n"] + 41, name="second")}
    if what == "retries":
        return context.step(flaky(name, 3), name="flaky", config=retry(5))
    if what == "gives up":
        try:
            context.step(flaky(name, 99), name="hopeless", config=retry(2))
        except StepError as error:
            return ["caught", str(error)]
    if what == "raises":
        raise KeyError("mine")
    if what == "child":
        return context.run_in_child_context(child(event), name="child")
    if what == "parallel":
        def branch(n):
            def run(context):
                context.wait(Duration.from_seconds(1), name=f"wait {n}")
                return context.step(lambda _: n * n, name=f"square {n}")
            return run
        return context.parallel([branch(n) for n in range(4)], name="all").get_results()
    if what == "map":
        return context.map(list(range(5)), lambda context, item, index, items: context.step(lambda _: item + 1, name=f"plus {index}"), name="each").get_results()
    if what == "callback":
        def submit(callback, _):
            table.put_item(Item={"id": name + " callback", "callback": callback})
        try:
            return ["answered", context.wait_for_callback(submit, name="ask")]
        except CallbackError as error:
            return [type(error).__name__, str(error)]
    if what == "impatient":
        config = CallbackConfig(timeout=Duration.from_seconds(event.get("timeout", 0)), heartbeat_timeout=Duration.from_seconds(event.get("heartbeat", 0)))
        callback = context.create_callback(name="quick", config=config)
        context.step(lambda _: table.put_item(Item={"id": name + " callback", "callback": callback.callback_id}) and None, name="tell")
        try:
            return callback.result()
        except CallbackError as error:
            return [type(error).__name__, str(error)]
    if what == "condition":
        config = WaitForConditionConfig(wait_strategy=lambda state, attempt: WaitForConditionDecision.continue_waiting(Duration.from_seconds(1)) if state < 3 else WaitForConditionDecision.stop_polling(), initial_state=0)
        return context.wait_for_condition(lambda state, _: state + 1, config=config, name="until three")
    if what == "invokes":
        done = [context.invoke(event["plain"], {"n": 20}, name="plain"), context.invoke(event["durable"], {"what": "steps", "name": name + " inner"}, name="durable")]
        try:
            context.invoke(event["plain"], {"fail": 1}, name="fails")
        except InvokeError as error:
            done.append(str(error))
        return done
    if what == "dies":
        context.step(lambda _: mark(name + " before"), name="before")
        if mark(name + " tries") == 1:
            os._exit(9)
        return context.step(lambda _: mark(name + " after"), name="after")
    if what == "long":
        done = context.step(lambda _: mark(name + " before"), name="before")
        context.wait(Duration.from_seconds(event["seconds"]), name="long")
        return [done, context.step(lambda _: mark(name + " after"), name="after")]
    if what == "two steps":
        def slow(_):
            done = mark(name + " first")
            time.sleep(event["seconds"])
            return done
        first = context.step(slow, name="first")
        return [first, context.step(lambda _: mark(name + " second"), name="second")]
    if what == "sleeps":
        context.step(lambda _: mark(name + " begun"), name="begun")
        time.sleep(event["seconds"])
        return mark(name + " slept")
'''


class Durable:
    def __init__(self):
        self.f = f = Functions()
        self.la, self.db = f.la, client("dynamodb")
        self.db.create_table(TableName="marks", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                             AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
        files = {"app.py": CODE, "requirements.txt": SDK}
        f.make("durable", files, MemorySize=512, Timeout=20, DurableConfig={"ExecutionTimeout": 300, "RetentionPeriodInDays": 2})
        f.make("short", files, MemorySize=512, Timeout=20, DurableConfig={"ExecutionTimeout": 2})
        f.make("plain", {"app.py": "def handler(event, context):\n    if event.get('fail'): raise ValueError('plainly')\n    return event['n'] + 1\n"})

    def marks(self, name):
        item = self.db.get_item(TableName="marks", Key={"id": {"S": name}}, ConsistentRead=True).get("Item", {})
        return int(item.get("times", {"N": "0"})["N"])

    def callback(self, name):
        return until(lambda: self.db.get_item(TableName="marks", Key={"id": {"S": name + " callback"}}, ConsistentRead=True).get("Item"), bool)["callback"]["S"]

    def call(self, what, name=None, function="durable", **more):
        named = {"DurableExecutionName": more.pop("execution")} if "execution" in more else {}
        answer = self.la.invoke(FunctionName=function, Qualifier="$LATEST", Payload=json.dumps({"what": what, "name": name or what, **more}), **named)
        body = answer["Payload"].read()
        return (json.loads(body) if body else None), answer.get("FunctionError"), answer.get("DurableExecutionArn")

    def start(self, what, name=None, function="durable", **more):
        named = {"DurableExecutionName": more.pop("execution")} if "execution" in more else {}
        answer = self.la.invoke(FunctionName=function, Qualifier="$LATEST", InvocationType="Event", Payload=json.dumps({"what": what, "name": name or what, **more}), **named)
        return answer["DurableExecutionArn"]

    def end(self, arn):
        return until(lambda: self.la.get_durable_execution(DurableExecutionArn=arn), lambda found: found["Status"] != "RUNNING")


def runs(d):
    answer, error, arn = d.call("steps")
    check("steps and a wait", error is None and answer == {"first": {"n": 1}, "second": 42}, (answer, error))
    check("the function is called again after the wait, its steps are not", d.marks("steps calls") == 2 and d.marks("steps first") == 1, d.marks("steps calls"))
    found = d.la.get_durable_execution(DurableExecutionArn=arn)
    check("an execution is told", found["Status"] == "SUCCEEDED" and json.loads(found["Result"]) == answer and json.loads(found["InputPayload"])["what"] == "steps" and found["Version"] == "$LATEST"
          and found["DurableConfig"] == {"RetentionPeriodInDays": 2, "ExecutionTimeout": 300} and found["EndTimestamp"] > found["StartTimestamp"], found)
    check("without its data where that is not wanted", "Result" not in d.la.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=False))
    events = d.la.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
    kinds = [event["EventType"] for event in events]
    check("its history", kinds == ["ExecutionStarted", "StepStarted", "StepSucceeded", "WaitStarted", "InvocationCompleted", "WaitSucceeded", "StepStarted", "StepSucceeded", "InvocationCompleted", "ExecutionSucceeded"]
          or sorted(kinds) == sorted(["ExecutionStarted", "StepStarted", "StepSucceeded", "WaitStarted", "InvocationCompleted", "WaitSucceeded", "StepStarted", "StepSucceeded", "InvocationCompleted", "ExecutionSucceeded"]), kinds)
    check("with data", json.loads(next(e for e in events if e["EventType"] == "StepSucceeded")["StepSucceededDetails"]["Result"]["Payload"])["v"]["n"]["v"] == 1, events[2])
    check("and ids in order", [event["EventId"] for event in events] == list(range(1, len(events) + 1)))
    page = d.la.get_durable_execution_history(DurableExecutionArn=arn, MaxItems=3, ReverseOrder=True)
    check("in pages, backwards, without data", [e["EventId"] for e in page["Events"]] == [10, 9, 8] and page["NextMarker"] and "Payload" not in page["Events"][2].get("StepSucceededDetails", {}).get("Result", {}), page)
    answer, error, _ = d.call("retries")
    check("a step is tried again", answer == "retries at last" and d.marks("retries") == 3, (answer, error))
    answer, error, _ = d.call("gives up")
    check("until it is given up", answer[0] == "caught" and "not yet" in answer[1] and d.marks("gives up") == 2, answer)
    answer, error, arn = d.call("raises")
    check("an error of the handler's fails the execution", error == "Unhandled" and answer["errorType"] == "KeyError" and d.la.get_durable_execution(DurableExecutionArn=arn)["Status"] == "FAILED" and d.marks("raises calls") == 1, (answer, error))
    check("a child context", d.call("child")[0] == "in the child, waited")
    answer, error, arn = d.call("parallel")
    check("branches side by side", answer == [0, 1, 4, 9], (answer, error, [(e["EventType"], e.get("Name")) for e in d.la.get_durable_execution_history(DurableExecutionArn=arn)["Events"]]))
    check("a map", d.call("map")[0] == [1, 2, 3, 4, 5])
    check("a condition that is asked for", d.call("condition")[0] == 3)
    answer, error, _ = d.call("invokes", plain="plain", durable="durable:$LATEST")
    check("other functions, durable or not", answer is not None and answer[:2] == [21, {"first": {"n": 1}, "second": 42}] and "plainly" in answer[2], (answer, error))
    answer, error, _ = d.call("dies")
    check("a call that dies is made again", answer == 1 and d.marks("dies before") == 1 and d.marks("dies tries") == 2, (answer, error))


def pauses(d):
    """Paused between calls, and in the midst of one: nothing runs until it is resumed, and no step twice."""
    arn = d.start("long", "pause waiting", seconds=1)
    until(lambda: d.marks("pause waiting before"), bool)
    d.la.pause_durable_execution(DurableExecutionArn=arn, Reason="r")
    until(lambda: d.la.get_durable_execution(DurableExecutionArn=arn)["Status"], lambda status: status == "PAUSED")
    until(lambda: [e["EventType"] for e in d.la.get_durable_execution_history(DurableExecutionArn=arn)["Events"]], lambda kinds: "WaitSucceeded" in kinds)
    check("a wait ends in a pause, and nothing comes of it", d.marks("pause waiting after") == 0 and d.la.get_durable_execution(DurableExecutionArn=arn)["Status"] == "PAUSED")
    d.la.resume_durable_execution(DurableExecutionArn=arn)
    found = until(lambda: d.la.get_durable_execution(DurableExecutionArn=arn), lambda found: found["Status"] == "SUCCEEDED")
    check("resumed, it goes on", json.loads(found["Result"]) == [1, 1] and d.marks("pause waiting before") == 1, found)
    arn = d.start("two steps", "pause midway", seconds=2)
    until(lambda: d.marks("pause midway first"), bool)
    # The step's start is checkpointed while it runs; a pause before that would cut the step itself, which is then made again.
    until(lambda: [e["EventType"] for e in d.la.get_durable_execution_history(DurableExecutionArn=arn)["Events"]], lambda kinds: "StepStarted" in kinds)
    d.la.pause_durable_execution(DurableExecutionArn=arn)
    status = d.la.get_durable_execution(DurableExecutionArn=arn)["Status"]
    until(lambda: d.la.get_durable_execution(DurableExecutionArn=arn)["Status"], lambda status: status == "PAUSED")
    time.sleep(2)
    check("a call is paused at its next checkpoint", status in ("PAUSING", "PAUSED") and d.marks("pause midway second") == 0, status)
    d.la.resume_durable_execution(DurableExecutionArn=arn)
    found = until(lambda: d.la.get_durable_execution(DurableExecutionArn=arn), lambda found: found["Status"] not in ("RUNNING", "PAUSED", "PAUSING"))
    check("and made again", found["Status"] == "SUCCEEDED" and json.loads(found["Result"]) == [1, 1] and d.marks("pause midway first") == 1, found)
    d.la.delete_durable_execution(DurableExecutionArn=arn)
    refused("what is over can be deleted", "ResourceNotFoundException", lambda: d.la.get_durable_execution(DurableExecutionArn=arn))


def destinations(d):
    """An execution that an event started tells its destinations how it ended, and the dead-letter queue of a failure."""
    sqs = client("sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("durable-ok", "durable-no", "durable-dead")}
    arn = {name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"] for name, url in urls.items()}
    config = {"OnSuccess": {"Destination": arn["durable-ok"]}, "OnFailure": {"Destination": arn["durable-no"]}}
    d.la.put_function_event_invoke_config(FunctionName="durable", Qualifier="$LATEST", DestinationConfig=config)
    d.la.update_function_configuration(FunctionName="durable", DeadLetterConfig={"TargetArn": arn["durable-dead"]})

    def told(name):
        got = until(lambda: sqs.receive_message(QueueUrl=urls[name], WaitTimeSeconds=5, MessageAttributeNames=["All"]).get("Messages"), bool)[0]
        return json.loads(got["Body"]), got.get("MessageAttributes", {})
    d.end(d.start("child", "told child"))
    record, _ = told("durable-ok")
    check("a success is told", record["requestContext"]["condition"] == "Success" and record["responsePayload"] == "in the child, waited" and record["requestPayload"]["what"] == "child", record)
    d.end(d.start("raises", "told raises"))
    record, _ = told("durable-no")
    check("a failure, too", record["requestContext"]["condition"] == "RetriesExhausted" and record["responsePayload"]["errorType"] == "KeyError", record)
    body, attributes = told("durable-dead")
    check("and its event goes to the dead-letter queue", body["name"] == "told raises" and "mine" in attributes["ErrorMessage"]["StringValue"], (body, attributes))
    d.la.update_function_configuration(FunctionName="durable", DeadLetterConfig={"TargetArn": ""})
    d.la.delete_function_event_invoke_config(FunctionName="durable", Qualifier="$LATEST")


def callbacks(d):
    arn = d.start("callback")
    d.la.send_durable_execution_callback_success(CallbackId=d.callback("callback"), Result=b"yes")
    found = d.end(arn)
    check("a callback is answered", json.loads(found["Result"]) == ["answered", "yes"], found)
    refused("only once", "CallbackTimeoutException", lambda: d.la.send_durable_execution_callback_success(CallbackId=d.callback("callback"), Result=b"again"))
    arn = d.start("callback", "refusal")
    d.la.send_durable_execution_callback_failure(CallbackId=d.callback("refusal"), Error={"ErrorType": "Refused", "ErrorMessage": "no way"})
    found = d.end(arn)
    check("or with an error", "no way" in json.loads(found["Result"])[1], found)
    answer, _, _ = d.call("impatient", timeout=1)
    check("or never", answer[0] == "CallbackTimeoutError", answer)
    arn = d.start("impatient", "beats", heartbeat=3)
    callback = d.callback("beats")
    for _ in range(4):
        time.sleep(1)
        d.la.send_durable_execution_callback_heartbeat(CallbackId=callback)
    running = d.la.get_durable_execution(DurableExecutionArn=arn)["Status"]
    check("heartbeats keep it open, and their end does not", running == "RUNNING" and json.loads(d.end(arn)["Result"])[0] == "CallbackTimeoutError", running)
    refused("a callback that is none", "ResourceNotFoundException", lambda: d.la.send_durable_execution_callback_success(CallbackId="bm9uZQ==", Result=b"1"))


def executions(d):
    refused("a durable function is called by a version, an alias or $LATEST", "InvalidParameterValueException", lambda: d.la.invoke(FunctionName="durable", Payload=b"{}"), "unqualified")
    arn = d.start("long", "named", seconds=1, execution="mine")
    check("a name starts one execution", d.start("long", "named", seconds=1, execution="mine") == arn and "/durable-execution/mine/" in arn, arn)
    refused("of one input", "DurableExecutionAlreadyStartedException", lambda: d.start("long", "named", seconds=2, execution="mine"))
    check("whose answer who asks again gets", d.call("long", "named", seconds=1, execution="mine")[0] == [1, 1] and d.marks("named before") == 1)
    refused("names are for durable functions", "InvalidParameterValueException", lambda: d.la.invoke(FunctionName="plain", DurableExecutionName="x", Payload=b'{"n": 1}'))
    arn = d.start("long", "stopped", seconds=200)
    until(lambda: d.marks("stopped before"), lambda times: times == 1)
    d.la.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorType": "Mine", "ErrorMessage": "enough"})
    found = d.la.get_durable_execution(DurableExecutionArn=arn)
    check("an execution is stopped", found["Status"] == "STOPPED" and found["Error"]["ErrorMessage"] == "enough" and d.marks("stopped after") == 0, found)
    found = d.end(d.start("long", "late", "short", seconds=100))
    check("time is up", found["Status"] == "TIMED_OUT" and (found["EndTimestamp"] - found["StartTimestamp"]).total_seconds() < 60, found)
    listed = d.la.list_durable_executions_by_function(FunctionName="durable", Qualifier="$LATEST", Statuses=["STOPPED"])["DurableExecutions"]
    check("executions are listed by status", [one["DurableExecutionArn"] for one in listed] == [arn], listed)
    everything, marker = [], {}
    while True:
        page = d.la.list_durable_executions_by_function(FunctionName="durable", MaxItems=3, ReverseOrder=True, **marker)
        everything += page["DurableExecutions"]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    times = [one["StartTimestamp"] for one in everything]
    check("in pages, the latest first", len(everything) > 10 and times == sorted(times, reverse=True) and len({one["DurableExecutionArn"] for one in everything}) == len(everything), len(everything))
    check("by name", [one["DurableExecutionName"] for one in d.la.list_durable_executions_by_function(FunctionName="durable", DurableExecutionName="mine")["DurableExecutions"]] == ["mine"])
    refused("one that is not there", "ResourceNotFoundException", lambda: d.la.get_durable_execution(DurableExecutionArn=arn[:-4] + "none"))
    refused("a token that is none", "InvalidParameterValueException", lambda: d.la.checkpoint_durable_execution(DurableExecutionArn=arn, CheckpointToken="bm9uZQ==", Updates=[]), "Invalid checkpoint token")
    refused("a function is made durable when it is made", "InvalidParameterValueException", lambda: d.la.update_function_configuration(FunctionName="plain", DurableConfig={"ExecutionTimeout": 9}), "DurableConfig")
    config = d.la.update_function_configuration(FunctionName="short", DurableConfig={"ExecutionTimeout": 3})["DurableConfig"]
    check("and its times can be changed", config["ExecutionTimeout"] == 3, config)


def kills(d, server, binary):
    """kill -9 while an execution waits, and while its function runs. The server that goes on."""
    waiting, running = d.start("long", "waiting", seconds=6), d.start("sleeps", "running", seconds=5)
    until(lambda: (d.marks("waiting before"), d.marks("running begun")), lambda marks: marks == (1, 1))
    time.sleep(0.5)
    server.kill()
    server = Server(binary, data=server.data)
    d.la, d.db = client("lambda"), client("dynamodb")
    found = d.end(waiting)
    check("an execution that waited goes on", found["Status"] == "SUCCEEDED" and json.loads(found["Result"]) == [1, 1] and d.marks("waiting before") == 1, found)
    found = d.end(running)
    check("a call that was cut short is made again", found["Status"] == "SUCCEEDED" and d.marks("running begun") == 1 and d.marks("running calls") == 2, (found, d.marks("running calls")))
    return server


def run(binary):
    """Whether each of its checks held."""
    first = server = Server(binary)
    try:
        d = Durable()
        for part in (runs, callbacks, pauses, destinations, executions):
            start = time.time()
            part(d)
            print(f"{part.__name__}: {time.time() - start:.1f} s", flush=True)
        server = kills(d, first, binary)
    finally:
        server.stop()
        first.folder.cleanup()
    return results


def main(binary):
    run(binary)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
