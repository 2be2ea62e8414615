"""Everything the demo stands up: the five sources, the mailbox, Lakerun and the stack; and the ways to break one of them."""
import io
import json
import pathlib
import shutil
import tarfile
import time
import urllib.request

import pandas as pd

from sources import api, data, ftp, mail, queue, sql

from .platform import Platform

EXAMPLE = pathlib.Path(__file__).parent.parent
BREAKS = ("ftp", "lambda", "spark", "model", "timeout")


class Scene:
    def __init__(self, args, name=""):
        self.args, self.work = args, args.work.resolve()
        self.breaks = args.breaks
        self.sources = []

    def open(self):
        say("Starting the sources")
        self.data = data.Data(self.args.first, self.args.last)
        if not self.data.flights:
            raise SystemExit("There are no flights on these days: the data is of 2013.")
        self.api = api.serve(self.data)
        self.ftp = ftp.serve(self.data, self.work / "ftp")
        self.sql = sql.Server(self.data, self.work / "postgres")
        self.drop = self.work / "drop"
        self.drop.mkdir(parents=True, exist_ok=True)
        (self.drop / "airlines.csv").write_text(self.data.airlines)
        self.mailbox = mail.Mailbox()
        self.platform = Platform(self.args.binary, self.work, self.mailbox.port, [self.drop], self.args.store)
        self.begin()

    def begin(self):
        """A fresh Lakerun with the stack on it."""
        self.platform.fresh()
        self.example = self._example()
        seconds = self.platform.start()
        say(f"Lakerun answers at {self.platform.env['AWS_ENDPOINT_URL']} after {seconds * 1000:.0f} ms")
        self.deploy()
        self.states, self.athena, self.s3 = (self.platform.client(name) for name in ("stepfunctions", "athena", "s3"))
        self.definition = json.loads((self.example / "pipeline.asl.json").read_text())
        server = json.loads((self.platform.data / "server.json").read_text())
        self.console = f"{server['endpoint']}/console/#token={server['console_token']}"
        if self.breaks == "ftp":
            self.ftp.close_all()
        if self.breaks == "timeout":
            self.api.hang = True
        count = queue.send(self.platform.client("sqs"), self.outputs["AirportsQueueUrl"], self.data)
        say(f"{count:,} airports wait in the queue")

    def deploy(self, **changed):
        say("Deploying examples/flights/template.yaml")
        s3 = self.platform.client("s3")
        try:
            s3.create_bucket(Bucket="flights-artifacts")
        except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            pass
        s3.put_object(Bucket="flights-artifacts", Key="model.tar.gz", Body=_archive(self.example / "model" / "model.onnx"))
        parameters = {
            "ApiUrl": self.api.url, "FtpUrl": self.ftp.url, "DatabaseUrl": self.sql.url, "DropFolder": str(self.drop),
            "ModelDataUrl": "s3://flights-artifacts/model.tar.gz", "AlertEmail": "oncall@example.com", **changed}
        self.outputs = self.platform.deploy(self.example / "template.yaml", parameters)
        self._confirm()

    def start(self, name=None, **given):
        return self.states.start_execution(stateMachineArn=self.outputs["StateMachineArn"], input=json.dumps({"trigger": "demo", **given}))["executionArn"]

    def wait(self, arn, seconds=600):
        deadline = time.monotonic() + seconds
        while (execution := self.states.describe_execution(executionArn=arn))["status"] == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.2)
        return execution

    def query(self, statement, database):
        """The result of a query on Athena as a pandas table, read from its file on S3."""
        query = self.athena.start_query_execution(
            QueryString=statement, QueryExecutionContext={"Database": database}, WorkGroup=self.outputs["WorkGroup"])["QueryExecutionId"]
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            if execution["Status"]["State"] in ("FAILED", "CANCELLED"):
                raise RuntimeError(f"{statement}: {execution['Status'].get('StateChangeReason')}")
            if execution["Status"]["State"] == "SUCCEEDED":
                break
            time.sleep(0.02)
        bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
        return pd.read_csv(io.BytesIO(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()), keep_default_na=False, na_values=[""])

    def close(self):
        if platform := getattr(self, "platform", None):
            platform.stop()
        if database := getattr(self, "sql", None):
            database.close()

    def _confirm(self):
        """Opens the links of mails that ask whether the subscription is wanted, as their reader would."""
        time.sleep(0.2)
        for found in filter(None, map(mail.confirmation, list(self.mailbox.mails))):
            urllib.request.urlopen(found).read()

    def _example(self):
        """The example's folder, or a copy with one thing broken."""
        if self.breaks not in ("lambda", "spark", "model", "timeout"):
            return EXAMPLE
        copy = self.work / "broken"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", "demo", "sources"))
        if self.breaks == "lambda":
            handler = copy / "view" / "handler.py"
            handler.write_text(handler.read_text().replace('    query = athena', '    os._exit(7)\n    query = athena'))
        if self.breaks == "spark":
            job = copy / "etl" / "job.py"
            job.write_text(job.read_text() + "\nthis is no Python\n")
        if self.breaks == "model":
            (copy / "model" / "model.onnx").write_bytes(b"this is no model")
        if self.breaks == "timeout":
            asl = copy / "pipeline.asl.json"
            definition = json.loads(asl.read_text())
            definition["TimeoutSeconds"] = 5
            asl.write_text(json.dumps(definition, indent=2))
        return copy


def _archive(model):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(model, "model.onnx", filter=lambda info: info)
    return out.getvalue()


def say(line):
    print(line, flush=True)
