"""The crash test: kill -9 of the server alone, inside each task and elsewhere; after a restart everything must be as if nothing had been.

One undisturbed run on a fresh data folder says what the zones hold. Then, on a second fresh folder, executions are killed
wherever a state machine waits for something; every execution must end SUCCEEDED, the zones must hold the same rows, and
messages, ADDs, job runs and audit rows must be counted once for each execution.
"""
import datetime
import hashlib
import http.client
import json
import os
import struct
import time
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import check, history, scene

TABLES = {"LandingDatabase": ["flights", "weather", "planes", "airlines", "airports"], "RefinedDatabase": ["flights", "arrivals_by_month"], "ForecastDatabase": ["forecast"]}
SYNC = ("Query raw", "Spark ETL", "Predict")
ROUNDS = 20
BY_HISTORY = 6  # rounds that ask the server where it is; what a kill has not fallen into by then is over faster than an answer takes


def run(args):
    if args.last - args.first > datetime.timedelta(days=62):
        args.first, args.last = datetime.date(2013, 3, 10), datetime.date(2013, 4, 9)
    show = scene.Scene(args)
    summary = {"from": args.first.isoformat(), "to": args.last.isoformat(), "kills": []}
    try:
        show.open()
        print("An undisturbed run")
        execution = show.wait(show.start())
        if execution["status"] != "SUCCEEDED":
            raise SystemExit(f"the undisturbed run ended {execution['status']}: {execution.get('error')} {execution.get('cause')}")
        undisturbed = snapshot(show)
        show.platform.stop()
        show.begin()
        test = Crash(show, summary, undisturbed)
        test.inside_each_task()
        test.spark_job()
        test.multipart_upload()
        failures = test.checks.failures
        summary["passed"] = not failures
        (show.work / "crash.json").write_text(json.dumps(summary, indent=2) + "\n")
        print(f"\n{len(summary['kills'])} kills. {'Nothing was lost or doubled.' if not failures else f'{len(failures)} assertions do not hold.'} {show.work / 'crash.json'}")
        return 1 if failures else 0
    finally:
        show.close()


def snapshot(show):
    """A digest of the rows of every table, whatever their order."""
    found = {}
    for database, tables in TABLES.items():
        for table in tables:
            rows = show.query(f"SELECT * FROM {table}", show.outputs[database])
            rows = rows[sorted(rows.columns)]
            lines = sorted(rows.round(6).to_csv(index=False, header=False).splitlines())
            found[f"{database}.{table}"] = (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
    return found


class Crash:
    def __init__(self, show, summary, undisturbed):
        self.show, self.summary, self.undisturbed = show, summary, undisturbed
        self.checks = check.Checks(show, summary)
        self.runs, self.watched = 0, None

    def inside_each_task(self):
        """Kills once inside each Task, and for a job that is waited for also right after its start; several a run."""
        tasks = [name for name, kind, _ in progress_rows(self.show) if kind == "Task" and name != "Alert"]
        wanted = [(name, "started") for name in tasks] + [(name, "submitted") for name in SYNC]
        hit = set()
        for round_ in range(ROUNDS):
            left = [point for point in wanted if point not in hit]
            if not left:
                break
            print(f"Run {round_ + 1} under kills; to be hit: {', '.join(f'{name} ({when})' for name, when in left)}")
            hit |= self._one_run(left) if round_ < BY_HISTORY else self._aimed_run(left[0])
        missed = [point for point in wanted if point not in hit]
        self.checks.same("tasks that no kill fell into", missed, [])

    def _one_run(self, left):
        arn, hit, tried = self.show.start(), set(), set()
        while True:
            try:
                status, events = self._look(arn)
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
                continue
            if status != "RUNNING":
                break
            now = in_flight(events)
            if point := next((p for p in left if p not in tried and p in now), None):
                tried.add(point)
                self.kill(f"{point[0]} ({point[1]})")
                if self._was_inside(arn, point):
                    hit.add(point)
        self.settled(arn)
        return hit

    def _aimed_run(self, point):
        """Kills as soon as the server's log holds that the task has begun, or that its job was submitted: what it waits for comes after that."""
        log = TableLog(self.show.platform) if self.show.platform.store else Log(self.show.platform.data / "control.db")
        state, submitted = json.dumps({"state": point[0]}, separators=(",", ":"))[1:-1].encode(), str(point[1] == "submitted").lower().encode()
        arn, hit = self.show.start(), set()
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            frames = (record.partition(state)[2].partition(b'"submitted":')[2] for record in log.grown())
            if any(frame.startswith(submitted) for frame in frames):
                self.kill(f"{point[0]} ({point[1]})")
                hit = {point} if self._was_inside(arn, point) else set()
                break
            time.sleep(0.00005)
        self.settled(arn)
        return hit

    def _look(self, arn):
        """Whether it runs still, and its newest events. A task may take two milliseconds, so nothing is done twice here:
        one connection, and one signature for as long as it is valid."""
        if self.watched != (arn, int(time.monotonic()) // 60):
            self.watched = (arn, int(time.monotonic()) // 60)
            environment = self.show.platform.env
            body = json.dumps({"executionArn": arn, "reverseOrder": True, "maxResults": 40})
            request = AWSRequest("POST", environment["AWS_ENDPOINT_URL"] + "/", data=body, headers={
                "content-type": "application/x-amz-json-1.0", "x-amz-target": "AWSStepFunctions.GetExecutionHistory"})
            SigV4Auth(Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]), "states", environment["AWS_REGION"]).add_auth(request)
            self.request = (body, dict(request.headers.items()))
            self.connection = http.client.HTTPConnection(self.show.platform.listen)
        try:
            self.connection.request("POST", "/", *self.request)
            answer = self.connection.getresponse()
            events = json.loads(answer.read())["events"]
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        ended = events and events[0]["type"] in ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")
        return ("ENDED" if ended else "RUNNING"), events[::-1]

    def _was_inside(self, arn, point):
        """Whether the task had not ended when the server was killed: no event of its end is older than the restart."""
        states, owner = history.by_state(history.events(self.show.states, arn))
        ends = [e["timestamp"].timestamp() for e in history.events(self.show.states, arn) if e["type"] == "TaskSucceeded" and owner.get(e["id"]) == point[0]]
        return states[point[0]].entered > len([end for end in ends if end < self.killed_at]) if point[0] == "Source" else not ends or max(ends) >= self.killed_at

    def kill(self, where):
        self.show.platform.kill()
        self.killed_at = time.time()
        seconds = self.show.platform.start()
        self.summary["kills"].append({"where": where, "restart_seconds": round(seconds, 3)})
        print(f"  killed in {where}, back after {seconds * 1000:.0f} ms", flush=True)

    def settled(self, arn):
        """The execution has ended: as it should have, and each thing counted once."""
        self.runs += 1
        execution = self.show.wait(arn)
        self.checks.same(f"run {self.runs} ends", execution["status"], "SUCCEEDED")
        if execution["status"] != "SUCCEEDED":
            print(f"  {execution.get('error')}: {execution.get('cause')}")
            return
        self.checks.same(f"rows of all zones after run {self.runs}", snapshot(self.show), self.undisturbed)
        self.checks.counts(self.runs)

    def spark_job(self):
        """In the middle of the job: while it computes, and when it has begun to replace what refined holds."""
        for where, ready in (("the Spark job, computing", lambda began: time.monotonic() - began > 1.0), ("the Spark job, writing", self._rewritten())):
            arn = self.show.start()
            began = None
            while True:
                status, events = self._look(arn)
                if status != "RUNNING":
                    break
                if began is None and ("Spark ETL", "submitted") in in_flight(events):
                    began = time.monotonic()
                if began and ready(began):
                    self.kill(where)
                    break
            self.show.wait(arn)
            self.settled(arn)

    def _rewritten(self):
        bucket, before = self.show.outputs["RefinedBucket"], {}

        def ready(_):
            now = {item["Key"]: item["ETag"] for item in self.show.s3.list_objects_v2(Bucket=bucket, Prefix="flights/").get("Contents", [])}
            before.setdefault("objects", now)
            return now != before["objects"]
        return ready

    def multipart_upload(self):
        """In the middle of a part: the parts that were answered stay, and the object appears whole or not at all."""
        s3, bucket, key = self.show.s3, self.show.outputs["InboxBucket"], "unfinished/large.bin"
        part = bytes(range(256)) * (5 * 1024 * 4)
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        first = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=part)["ETag"]
        url = urllib.parse.urlsplit(s3.generate_presigned_url("upload_part", {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": 2}))
        connection = http.client.HTTPConnection(url.netloc)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("Content-Length", str(len(part)))
        connection.endheaders(part[:len(part) // 2])
        time.sleep(0.3)
        self.kill("a multipart upload")
        connection.close()
        self.checks.same("no object before its upload is complete", s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"], 0)
        second = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=2, Body=part)["ETag"]
        known = self.checks.executions()
        s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]})
        self.checks.that("the object is whole", s3.get_object(Bucket=bucket, Key=key)["Body"].read() == part * 2)
        if arn := self.checks.new_execution(known, 30):  # it lies in the inbox, so it started a run
            self.show.wait(arn)
            self.settled(arn)
        else:
            self.checks.that("the completed upload starts a run", False)


class Log:
    """The log of a store as its server writes it: two files in turn, of records with magic, length, checksum and number."""
    HEADER = struct.Struct("<4sIIQ")

    def __init__(self, database):
        self.files = [open(f"{database}-log{n}", "rb", buffering=0) for n in (0, 1)]
        self.next, self.at = 0, (0, 0)
        for n in (0, 1):
            position = 0
            while record := self._record(n, position):
                number, position = record[0], record[2]
                if number >= self.next:
                    self.next, self.at = number + 1, (n, position)

    def _record(self, n, position):
        head = os.pread(self.files[n].fileno(), self.HEADER.size, position)
        if len(head) < self.HEADER.size:
            return None
        magic, length, _, number = self.HEADER.unpack(head)
        return (number, length, position + self.HEADER.size + length) if magic == b"lrl1" else None

    def grown(self):
        """The records that came since the last call."""
        while True:
            n, position = self.at
            for n, position in (self.at, (1 - n, 0)):
                record = self._record(n, position)
                if record and record[0] == self.next:
                    break
            else:
                return
            self.next, self.at = self.next + 1, (n, record[2])
            yield os.pread(self.files[n].fileno(), record[1], position + self.HEADER.size)


class TableLog:
    """The same of a store in PostgreSQL, where a commit is a row of a table."""

    def __init__(self, platform):
        self.database = platform.database()
        self.last = self._rows("SELECT coalesce(max(record), 0) FROM lakerun_log_control")[0][0]

    def _rows(self, statement, **values):
        return self.database.run(statement, **values)

    def grown(self):
        for record, writes in self._rows("SELECT record, writes FROM lakerun_log_control WHERE record > :last ORDER BY record", last=self.last):
            self.last = record
            yield writes


def progress_rows(show):
    from .progress import flatten
    return flatten(show.definition)


def in_flight(events):
    """{(state, "started" | "submitted")} of tasks that have not ended, from the newest events."""
    found, ended = {}, {e["previousEventId"] for e in events if e["type"] in ("TaskSucceeded", "TaskFailed", "TaskTimedOut")}
    names = {}
    for event in events:
        if event["type"] == "TaskStateEntered":
            names[event["id"]] = history.detail(event)["name"]
        elif event["type"] in ("TaskScheduled", "TaskStarted", "TaskSubmitted"):
            names[event["id"]] = names.get(event["previousEventId"])
    moved = {e["previousEventId"] for e in events}
    for event in events:
        name = names.get(event["id"])
        if name and event["type"].startswith("Task") and event["id"] not in moved | ended:
            found[(name, "submitted" if event["type"] == "TaskSubmitted" else "started")] = event
    return found
