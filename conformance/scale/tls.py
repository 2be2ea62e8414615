#!/usr/bin/env python3
"""TLS: boto3 and curl trust the server's own authority and no other; certificates of given files are read again when they change and at
SIGHUP; two nodes share an authority, pass connections on, and one runs the other's functions by TLS.

    tls.py LAKERUN"""
import io
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import Node, until  # noqa: E402
from postgresql import PostgreSQL  # noqa: E402
import boto3  # noqa: E402
import botocore.exceptions  # noqa: E402


def client(service, node, keys, bundle):
    access, secret = keys
    os.environ.pop("AWS_CA_BUNDLE", None)
    if bundle:
        os.environ["AWS_CA_BUNDLE"] = bundle
    return boto3.client(service, endpoint_url=node.endpoint.replace("http:", "https:"), region_name="us-east-1", aws_access_key_id=access,
                        aws_secret_access_key=secret)


def certificate(node, authority=None):
    """The certificate that is shown now."""
    context = ssl.create_default_context(cafile=authority) if authority else ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", node.port)) as stream, context.wrap_socket(stream, server_hostname="127.0.0.1") as tls:
        return tls.getpeercert(binary_form=True)


def curl(*arguments):
    return subprocess.run(["curl", "--silent", "--show-error", "--max-time", "600", *arguments], capture_output=True, text=True)


def own_authority(binary, folder):
    subprocess.run([binary, "tls", "--data", os.path.join(folder, "one"), "--name", "lake.internal"], check=True, capture_output=True)
    made = open(os.path.join(folder, "one", "tls", "ca.pem")).read()
    node = Node(binary, folder, "one", LAKERUN_TLS_OWN="true")
    try:
        until("the server", node.owns)
        bundle = os.path.join(node.data, "tls", "ca.pem")
        assert open(bundle).read() == made, "the authority stays"
        secure = node.endpoint.replace("http:", "https:")
        assert curl("--cacert", bundle, secure + "/readyz").stdout == "serves\n"
        refused = curl(secure + "/readyz")
        assert refused.returncode == 60, refused
        buckets = client("s3", node, node.keys(), bundle)
        buckets.create_bucket(Bucket="things")
        buckets.put_object(Bucket="things", Key="large", Body=b"x" * 3_000_000)
        assert len(buckets.get_object(Bucket="things", Key="large")["Body"].read()) == 3_000_000
        queue = client("sqs", node, node.keys(), bundle).create_queue(QueueName="q")["QueueUrl"]
        assert queue.startswith("https://"), queue
        console = curl("--cacert", bundle, secure + "/console/")
        assert "<html" in console.stdout.lower(), console
        try:
            client("s3", node, node.keys(), None).list_buckets()
        except botocore.exceptions.SSLError:
            pass
        else:
            sys.exit("a client that does not know the authority was not kept away")
        # Programs of this machine need no TLS.
        assert node.get("/readyz") == (200, "serves\n")
        print("own authority: boto3 and curl trust it, and nobody who does not know it")
    finally:
        node.kill()


def make(folder, name):
    place = lambda end: os.path.join(folder, name + end)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", place(".key"), "-out", place(".pem")], check=True, capture_output=True)
    return open(place(".pem")).read(), open(place(".key")).read()


def given_files(binary, folder):
    first, second = make(folder, "first"), make(folder, "second")
    at = [os.path.join(folder, name) for name in ("server.pem", "server.key")]

    def put(made):
        for path, text in zip(at, made):
            with open(path + ".new", "w") as out:
                out.write(text)
            os.rename(path + ".new", path)

    put(first)
    node = Node(binary, folder, "given", LAKERUN_TLS_CERTIFICATE=at[0], LAKERUN_TLS_KEY=at[1])
    try:
        until("the server", node.owns)
        shown = certificate(node, os.path.join(folder, "first.pem"))
        put(second)
        until("the new certificate", lambda: certificate(node) != shown)
        assert certificate(node, os.path.join(folder, "second.pem")) != shown
        with open(at[0], "w") as broken:
            broken.write("no certificate")
        node.signal(signal.SIGHUP)
        until("the complaint", lambda: "stays as it was" in open(node.log).read())
        assert certificate(node, os.path.join(folder, "second.pem")) != shown, "what is broken changes nothing"
        put(first)
        node.signal(signal.SIGHUP)
        until("the first certificate again", lambda: certificate(node) == shown)
        print("given files: read again when they change and at SIGHUP; a broken one changes nothing")
    finally:
        node.kill()


def between_nodes(binary, folder):
    database = PostgreSQL()
    nodes = []
    try:
        where, tls = ("--store", database.url("tls")), {"LAKERUN_TLS_OWN": "true"}
        owner = Node(binary, folder, "owner", *where, LAKERUN_ROLES='["api", "engine"]', **tls)
        nodes.append(owner)
        until("the owner", owner.owns)
        works = Node(binary, folder, "works", *where, LAKERUN_ROLES='["api", "compute"]', **tls)
        nodes.append(works)
        until("the node to work", lambda: "a node works for this one now" in open(owner.log).read())
        bundle = os.path.join(owner.data, "tls", "ca.pem")
        assert open(bundle).read() == open(os.path.join(works.data, "tls", "ca.pem")).read(), "one authority"
        keys = owner.keys()
        iam = client("iam", works, keys, bundle)
        trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}
        role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        may = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
        iam.put_role_policy(RoleName="f", PolicyName="s3", PolicyDocument=json.dumps(may))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("f.py", "import boto3, os\ndef handler(event, context):\n    boto3.client('s3').create_bucket(Bucket='by-function')\n"
                                  "    return os.environ['AWS_ENDPOINT_URL']\n")
        functions = client("lambda", works, keys, bundle)
        functions.create_function(FunctionName="f", Runtime="python3.12", Role=role, Handler="f.handler", Timeout=300, Code={"ZipFile": archive.getvalue()})
        until("the function to be active", lambda: functions.get_function(FunctionName="f")["Configuration"]["State"] == "Active")
        answer = functions.invoke(FunctionName="f")
        assert json.loads(answer["Payload"].read()) == works.endpoint, "it reaches the platform through its node"
        assert [bucket["Name"] for bucket in client("s3", owner, keys, bundle).list_buckets()["Buckets"]] == ["by-function"]
        print("between nodes: one authority, requests and work by TLS")
    except BaseException:
        for node in nodes:
            print(f"--- {node.name}\n{open(node.log).read()[-4000:]}", file=sys.stderr)
        raise
    finally:
        for node in nodes:
            node.kill()
        database.close()


def main():
    binary = os.path.abspath(sys.argv[1])
    for check in (own_authority, given_files, between_nodes):
        with tempfile.TemporaryDirectory() as folder:
            check(binary, folder)
    print("3 passed, 0 failed")


if __name__ == "__main__":
    main()
