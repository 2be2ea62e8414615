#!/usr/bin/env python3
"""SageMaker's endpoints as boto3 calls them: made, called, changed, deleted.

    python3 conformance/sagemaker/run.py target/debug/lakerun      # needs boto3; models' packages come from PyPI

Closes with 'N passed, N failed'.
"""
import gzip
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402

REGION = "us-east-1"
ROLE = "arn:aws:iam::000000000000:role/model"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/my-model:1"
results = []

ECHO = '''
import json, os, time

def model_fn(folder):
    return {"name": os.environ.get("NAME", "one"), "files": sorted(os.listdir(folder))}

def input_fn(data, content_type):
    if content_type == "text/csv":
        return [[float(cell) for cell in line.split(",")] for line in data.splitlines()]
    if content_type == "application/json":
        return json.loads(data)
    raise ValueError(f"no {content_type}")

def predict_fn(data, model):
    if data == "sleep":
        time.sleep(5)
    if data == "exit":
        os._exit(3)
    print("asked for", data)
    return {"model": model["name"], "pid": os.getpid(), "sum": sum(map(sum, data)) if isinstance(data, list) else data}
'''
SLOW = '''
import boto3, os, time

def model_fn(folder):
    s3, pid = boto3.client("s3"), str(time.time_ns())
    s3.put_object(Bucket="models", Key="loading/" + pid, Body=b"")
    while not s3.list_objects_v2(Bucket="models", Prefix="go").get("Contents"):
        time.sleep(0.05)
    s3.put_object(Bucket="models", Key="loaded/" + pid, Body=b"")
    return 2

def predict_fn(data, factor):
    if data == "exit":
        os._exit(3)
    return data * factor
'''
PLAIN = "def model_fn(folder):\n    return 2\n\ndef predict_fn(data, factor):\n    return data * factor\n"


def client(service, **more):
    return boto3.client(service, region_name=REGION, config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=600, **more))


def check(what, holds, shown=""):
    results.append(bool(holds))
    if not holds:
        print(f"FAIL {what} | {str(shown)[:600]}", flush=True)


def refused(what, code, call, part=""):
    try:
        answer = call()
        check(what, False, answer)
    except botocore.exceptions.ClientError as error:
        check(what, error.response["Error"]["Code"] == code and part in error.response["Error"]["Message"], error)
        return error.response
    return {}


def until(look, wanted):
    end = time.time() + 600
    while not wanted(value := look()) and time.time() < end:
        time.sleep(0.1)
    return value


class Models:
    def __init__(self):
        self.sm, self.rt, self.s3 = client("sagemaker"), client("sagemaker-runtime"), client("s3")
        iam = client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        iam.create_role(RoleName="model", AssumeRolePolicyDocument=json.dumps(trust))
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName="model", PolicyName="all", PolicyDocument=json.dumps(allow))
        self.s3.create_bucket(Bucket="models")

    def model(self, name, files, variables=None, image=IMAGE):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, text in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
        self.s3.put_object(Bucket="models", Key=f"{name}.tar.gz", Body=packed.getvalue())
        container = {"Image": image, "ModelDataUrl": f"s3://models/{name}.tar.gz", "Environment": variables or {}}
        self.sm.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)

    def config(self, name, *variants, **more):
        self.sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[
            {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large", **variant} if "ServerlessConfig" not in variant else variant for variant in variants], **more)

    def endpoint(self, name, config):
        self.sm.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def settled(self, name):
        return until(lambda: self.sm.describe_endpoint(EndpointName=name), lambda e: e["EndpointStatus"] not in ("Creating", "Updating"))

    def call(self, endpoint, body, kind="application/json", **more):
        return self.rt.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType=kind, **more)


def real_time(m):
    m.model("echo", {"code/inference.py": ECHO, "weights.bin": "x"})
    m.config("echo", {"VariantName": "A", "ModelName": "echo"})
    m.sm.create_endpoint(EndpointName="echo", EndpointConfigName="echo")
    refused("an endpoint that is being made is not found", "ValidationError", lambda: m.call("echo", "1"), "not found")
    made = m.settled("echo")
    check("it is in service", made["EndpointStatus"] == "InService" and made["ProductionVariants"][0]["CurrentWeight"] == 1.0, made)
    answer = m.call("echo", "1,2\n3,4\n", "text/csv")
    body = json.loads(answer["Body"].read())
    check("CSV is read", body["sum"] == 10 and answer["ContentType"] == "application/json" and answer["InvokedProductionVariant"] == "A", (body, answer))
    again = json.loads(m.call("echo", "[[1, 2]]")["Body"].read())
    check("one process serves all", again["pid"] == body["pid"] and again["sum"] == 3, again)
    error = refused("an error of the model is ModelError", "ModelError", lambda: m.call("echo", "x", "text/plain"), 'Received server error (500) from primary with message "no text/plain')
    check("with what it was", error.get("OriginalStatusCode") == 500 and "no text/plain" in error.get("OriginalMessage", "") and error["ResponseMetadata"]["HTTPStatusCode"] == 424
          and ":log-group:/aws/sagemaker/Endpoints/echo:" in error.get("LogStreamArn", ""), error)
    check("and names the author's line", "/code/inference.py\", line 1" in error.get("OriginalMessage", "") and "/tmp/" not in error["OriginalMessage"], error)
    refused("a process that ends is an error", "ModelError", lambda: m.call("echo", '"exit"'))
    check("and the next call has another", json.loads(m.call("echo", "[[5]]")["Body"].read())["pid"] > 0)
    refused("an endpoint that is not there", "ValidationError", lambda: m.call("none", "1"), "Endpoint none of account 000000000000 not found.")
    refused("a variant that is not there", "ValidationError", lambda: m.call("echo", "1", TargetVariant="B"), "Variant B")
    refused("a target model is refused by name", "ValidationException", lambda: m.call("echo", "1", TargetModel="a.tar.gz"), "TargetModel")
    refused("a call of an endpoint that is not asynchronous", "ValidationError", lambda: m.rt.invoke_endpoint_async(EndpointName="echo", InputLocation="s3://models/x"))
    logs = client("logs")
    said = until(lambda: [e["message"] for e in logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/echo")["events"]], lambda lines: any("asked for [[5.0]]" in x or "asked for [[5]]" in x for x in lines))
    check("what the model prints is in its log", any("asked for" in line for line in said), said)


def formats(m):
    import struct
    m.model("plain", {"inference.py": PLAIN})
    m.config("plain", {"VariantName": "A", "ModelName": "plain"})
    m.endpoint("plain", "plain")
    answer = lambda body, kind, **more: m.call("plain", body, kind, **more)
    check("CSV to JSON", json.loads(answer("1,2\n3,4", "text/csv")["Body"].read()) == [[2.0, 4.0], [6.0, 8.0]])
    got = answer("[[1, 2]]", "application/json", Accept="text/csv")
    check("JSON to CSV", got["Body"].read() == b"2,4\n" and got["ContentType"] == "text/csv")
    os.environ.setdefault("SM_MODEL_DIR", "/none")
    spec = importlib.util.spec_from_file_location("transform", pathlib.Path(__file__).resolve().parents[2] / "runtimes/sagemaker/transform.py")
    transform = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(transform)
    lines = [{"text": "a\u2028b\u0085c"}, [1]]
    check("lines end at line feeds alone", transform.JsonLines.read('{"text": "a\u2028b\u0085c"}\r\n\n[1]\n') == lines and transform.JsonLines.read(transform.JsonLines.write(lines)) == lines)
    check("JSON Lines", answer("[1]\n[2]\n", "application/jsonlines", Accept="application/jsonlines")["Body"].read() == b"[2]\n[4]\n")
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + struct.pack("<2d", 1.5, 2.0)
    got = answer(array, "application/x-npy", Accept="application/x-npy")["Body"].read()
    check("NumPy", got.startswith(b"\x93NUMPY") and got.endswith(struct.pack("<2d", 3.0, 4.0)), got)
    error = refused("an unknown content type", "ModelError", lambda: answer("x", "text/x-strange"), "client error (415)")
    check("is 415 of the model", error.get("OriginalStatusCode") == 415, error)
    refused("data that are no numbers", "ModelError", lambda: answer("a,b", "text/csv"), "client error (400)")
    refused("JSON that is cut short", "ModelError", lambda: answer("[[1", "application/json"), "client error (400)")


def variants(m):
    m.model("two", {"inference.py": ECHO}, {"NAME": "two"})
    m.config("both", {"VariantName": "A", "ModelName": "echo", "InitialVariantWeight": 1}, {"VariantName": "B", "ModelName": "two", "InitialVariantWeight": 0})
    m.endpoint("both", "both")
    ask = lambda **more: json.loads(m.call("both", "[[1]]", **more)["Body"].read())["model"]
    check("by weight", {ask() for _ in range(6)} == {"one"})
    check("by name", ask(TargetVariant="B") == "two")
    m.sm.update_endpoint_weights_and_capacities(EndpointName="both", DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredWeight": 0}, {"VariantName": "B", "DesiredWeight": 5}])
    check("by other weights", {ask() for _ in range(6)} == {"two"})
    m.sm.update_endpoint(EndpointName="both", EndpointConfigName="echo")
    check("while it changes it answers", ask() in ("one", "two"))
    changed = m.settled("both")
    check("then as it is changed to", changed["EndpointConfigName"] == "echo" and ask() == "one", changed)
    m.model("broken", {"inference.py": "def model_fn(folder):\n    raise KeyError('weights')\n"})
    m.config("broken", {"VariantName": "A", "ModelName": "broken"})
    m.sm.update_endpoint(EndpointName="both", EndpointConfigName="broken")
    kept = m.settled("both")
    check("what does not load leaves it as it was", kept["EndpointStatus"] == "InService" and kept["EndpointConfigName"] == "echo" and "KeyError" in kept.get("FailureReason", "") and ask() == "one", kept)
    failed = m.endpoint("broken", "broken")
    check("a model that does not load makes no endpoint", failed["EndpointStatus"] == "Failed" and "ping health check" in failed["FailureReason"] and "inference.py, line 2" in failed["FailureReason"], failed)
    refused("and it does not answer", "ValidationError", lambda: m.call("broken", "1"), "not found")
    check("endpoints by status", [e["EndpointName"] for e in m.sm.list_endpoints(StatusEquals="Failed")["Endpoints"]] == ["broken"])
    m.sm.delete_endpoint(EndpointName="both")
    refused("a deleted endpoint", "ValidationError", lambda: m.call("both", "1"), "not found")


def serverless(m):
    m.config("less", {"VariantName": "A", "ModelName": "echo", "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}})
    made = m.endpoint("less", "less")
    check("a serverless endpoint", made["EndpointStatus"] == "InService" and made["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"] == 1, made)
    check("answers", json.loads(m.call("less", "[[2]]")["Body"].read())["sum"] == 2)
    from concurrent.futures import ThreadPoolExecutor
    def one(_):
        try:
            m.call("less", '"sleep"')
            return "ok"
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
    with ThreadPoolExecutor(3) as pool:
        codes = sorted(pool.map(one, range(3)))
    check("no more than its concurrency", codes == ["ThrottlingException", "ThrottlingException", "ok"], codes)
    refused("more than it takes", "ValidationError", lambda: m.call("less", b"0" * (4 * 1024 * 1024 + 1)))
    refused("a memory size that is none", "ValidationException", lambda: m.config("odd", {"VariantName": "A", "ModelName": "echo", "ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}))


def asynchronous(m):
    sqs, sns = client("sqs"), client("sns")
    queue = sqs.create_queue(QueueName="ends")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="ends")["TopicArn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    output = {"S3OutputPath": "s3://models/out", "S3FailurePath": "s3://models/failed/", "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic}}
    m.config("later", {"VariantName": "A", "ModelName": "echo"}, AsyncInferenceConfig={"OutputConfig": output})
    m.endpoint("later", "later")
    refused("a call that waits", "ValidationError", lambda: m.call("later", "1"), "asynchronous")

    def heard():
        got = until(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", []), bool)
        for message in got:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(got[0]["Body"])

    m.s3.put_object(Bucket="models", Key="in/a.csv", Body=b"1,2,3")
    asked = m.rt.invoke_endpoint_async(EndpointName="later", InputLocation="s3://models/in/a.csv", ContentType="text/csv", InferenceId="mine")
    check("is accepted", asked["ResponseMetadata"]["HTTPStatusCode"] == 202 and asked["InferenceId"] == "mine" and asked["OutputLocation"].startswith("s3://models/out/"), asked)
    told = heard()
    check("its topic hears", told["invocationStatus"] == "Completed" and told["inferenceId"] == "mine" and told["responseParameters"]["outputLocation"] == asked["OutputLocation"], told)
    body = m.s3.get_object(Bucket="models", Key=asked["OutputLocation"].removeprefix("s3://models/"))
    check("its answer is in S3", json.loads(body["Body"].read())["sum"] == 6 and body["ContentType"] == "application/json")
    asked = m.rt.invoke_endpoint_async(EndpointName="later", InputLocation="s3://models/in/a.csv", ContentType="text/odd")
    told = heard()
    failed = m.s3.get_object(Bucket="models", Key=asked["FailureLocation"].removeprefix("s3://models/"))["Body"].read()
    check("a failure, too", told["invocationStatus"] == "Failed" and b"no text/odd" in failed, (told, failed))
    refused("no input", "ValidationError", lambda: m.rt.invoke_endpoint_async(EndpointName="later", InputLocation="https://x/y"))
    m.sm.update_endpoint_weights_and_capacities(EndpointName="later", DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredWeight": 0}])
    refused("no variant takes calls", "ValidationError", lambda: m.rt.invoke_endpoint_async(EndpointName="later", InputLocation="s3://models/in/a.csv"), "weight")


def hung_up(m):
    """A model that loads for longer than its caller waits is loaded all the same."""
    m.model("slow", {"inference.py": SLOW})
    m.config("slow", {"VariantName": "A", "ModelName": "slow"})
    m.s3.put_object(Bucket="models", Key="go", Body=b"")
    check("it loads", m.endpoint("slow", "slow")["EndpointStatus"] == "InService")
    m.s3.delete_object(Bucket="models", Key="go")
    refused("its process ends", "ModelError", lambda: m.call("slow", '"exit"'))
    pids = lambda what: {item["Key"].rsplit("/", 1)[1] for item in m.s3.list_objects_v2(Bucket="models", Prefix=what + "/").get("Contents", [])}
    before = pids("loading")
    program = "import boto3; boto3.client('sagemaker-runtime', region_name='us-east-1').invoke_endpoint(EndpointName='slow', Body='1', ContentType='application/json')"
    caller = subprocess.Popen([sys.executable, "-c", program])
    begun = until(lambda: pids("loading") - before, bool)
    caller.kill()
    caller.wait()
    # Whoever ends the model because of that has had the time for it.
    for _ in range(3):
        m.call("echo", "[[1]]")
    m.s3.put_object(Bucket="models", Key="go", Body=b"")
    end = time.time() + 600
    while not begun <= pids("loaded") and pids("loading") - before == begun and time.time() < end:
        time.sleep(0.1)
    check("who hangs up ends no model that loads", len(begun) == 1 and begun <= pids("loaded"), (begun, pids("loaded")))
    check("and it answers", m.call("slow", "2")["Body"].read() == b"4")


def rights(m):
    iam, sts = client("iam"), client("sts")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName="caller", AssumeRolePolicyDocument=json.dumps(trust))
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "arn:aws:sagemaker:*:*:endpoint/plain"}]}
    iam.put_role_policy(RoleName="caller", PolicyName="one", PolicyDocument=json.dumps(allow))
    keys = sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/caller", RoleSessionName="session")["Credentials"]
    rt = boto3.client("sagemaker-runtime", region_name=REGION, aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
    check("who may call", rt.invoke_endpoint(EndpointName="plain", Body="[1]", ContentType="application/json")["Body"].read() == b"[2]")
    refused("who may not", "AccessDeniedException", lambda: rt.invoke_endpoint(EndpointName="echo", Body="[1]", ContentType="application/json"), "sagemaker:InvokeEndpoint")


def programs():
    """The program of batch transforms, as a module."""
    os.environ.setdefault("SM_MODEL_DIR", "model")
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../runtimes/sagemaker/transform.py")
    spec = importlib.util.spec_from_file_location("transform", place)
    transform = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(transform)
    return transform


def lines():
    """What is split at the ends of lines is lines, whatever its content type says."""
    transform, payloads = programs(), []

    def invoke(data, content, accept):
        payloads.append((data, content))
        return json.dumps(json.loads(data)["a"] * 2), accept

    def job(**more):
        asked = {"content_type": "application/json", "accept": "application/json", "input_filter": None, "output_filter": None, "join": False,
                 "split": "Line", "gzip": False, "assemble": "Line", "single": True, "max_payload_mb": 6}
        return transform.Job({**asked, **more}).transform(types.SimpleNamespace(invoke=invoke), b'{"a": 1}\n{"a": 2}\n')

    check("JSON, a line a record", job() == b"2\n4\n" and payloads == [('{"a": 1}\n', "application/json"), ('{"a": 2}\n', "application/json")], payloads)
    check("joined to what they are of", job(join=True).splitlines() == [b'{"a": 1, "SageMakerOutput": 2}', b'{"a": 2, "SageMakerOutput": 4}'])
    try:
        check("JSON that is not split is one", False, job(split="None", input_filter="$.a"))
    except transform.Refused as error:
        check("JSON that is not split is one", "Extra data" in str(error), error)


def unpacked():
    """A batch transform's input that unpacks to more than it may is refused: its first part would be a whole answer to nobody's question."""
    transform = programs()
    transform.MOST_BYTES = 8
    job = transform.Job.__new__(transform.Job)
    job.request, job.kind, job.content, job.accept = {"gzip": True}, None, "application/x-image", "application/x-image"
    handlers = types.SimpleNamespace(invoke=lambda data, content, accept: (data, accept))
    check("gzip of all that may be", job.transform(handlers, gzip.compress(b"12345678")) == b"12345678")
    try:
        check("gzip of more", False, job.transform(handlers, gzip.compress(b"123456789")))
    except transform.Refused as error:
        check("gzip of more", "unpacks to more than" in str(error), error)


def main(binary):
    server = Server(binary)
    try:
        unpacked()
        lines()
        m = Models()
        for part in (real_time, formats, variants, serverless, asynchronous, hung_up, rights):
            part(m)
    finally:
        server.stop()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
