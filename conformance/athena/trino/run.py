#!/usr/bin/env python3
"""Queries of a workgroup that is sent to Trino: a Trino 476 of Maven Central, a coordinator and two workers, whose Hive connector has
Lakerun's Glue and S3 endpoints. TPC-H's tables are made by Athena; questions like TPC-H's have the same answers in the workgroup that is
sent and in one that is not, results, types and errors alike; a query that is stopped ends at Trino. Then the cases recorded from
Trino, through Athena. Needs Maven and a JDK 24 or later (TRINO_JAVA_HOME; else the newest under /usr/lib/jvm); not among the suites of
`cargo xtask test`.

    python3 conformance/athena/trino/run.py --lakerun target/debug/lakerun [--cases OUT]
"""
import argparse
import glob
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "scale"))
from run import Node, clients, until  # noqa: E402

TABLES = {
    "nation": "n_nationkey bigint, n_name varchar, n_regionkey bigint",
    "customer": "c_custkey bigint, c_name varchar, c_nationkey bigint, c_acctbal double, c_mktsegment varchar",
    "orders": "o_orderkey bigint, o_custkey bigint, o_orderstatus varchar, o_totalprice double, o_orderdate date, o_orderpriority varchar",
    "lineitem": "l_orderkey bigint, l_suppkey bigint, l_quantity double, l_extendedprice double, l_discount double, l_tax double, "
                "l_returnflag varchar, l_linestatus varchar, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipmode varchar",
}
QUESTIONS = [
    "SELECT l_returnflag, l_linestatus, sum(l_quantity), count(*), min(l_shipdate), max(l_extendedprice) FROM lineitem "
    "WHERE l_shipdate <= date '1998-12-01' - interval '90' day GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT o_orderkey, o_orderdate, round(sum(l_extendedprice * (1 - l_discount)), 2) AS revenue FROM customer, orders, lineitem "
    "WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate < date '1995-03-15' "
    "AND l_shipdate > date '1995-03-15' GROUP BY 1, 2 ORDER BY revenue DESC, o_orderdate, 1 LIMIT 10",
    "SELECT o_orderpriority, count(*) AS n FROM orders o WHERE o_orderdate >= date '1993-07-01' AND EXISTS (SELECT 1 FROM lineitem "
    "WHERE l_orderkey = o.o_orderkey AND l_commitdate < l_receiptdate) GROUP BY 1 ORDER BY 1",
    "SELECT l_shipmode, sum(CASE WHEN o_orderpriority IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END) AS high, count(*) FROM orders JOIN lineitem "
    "ON o_orderkey = l_orderkey WHERE l_shipmode IN ('MAIL', 'SHIP') GROUP BY 1 ORDER BY 1",
    "SELECT count_orders, count(*) FROM (SELECT c_custkey, count(o_orderkey) count_orders FROM customer LEFT JOIN orders ON c_custkey = o_custkey "
    "GROUP BY 1) GROUP BY 1 ORDER BY 2 DESC, 1 DESC",
    "SELECT n_name, rank() OVER (ORDER BY count(*) DESC, n_name) r, avg(c_acctbal) > 0, array_agg(c_custkey ORDER BY c_custkey)[1] "
    "FROM customer JOIN nation ON c_nationkey = n_nationkey GROUP BY n_name ORDER BY r",
    "SELECT map_agg(n_name, n_nationkey)['FRANCE'], CAST(ROW(1, 'x') AS row(a integer, b varchar)), X'00ff', DECIMAL '1.50', TIMESTAMP '2020-01-01 00:00:00', "
    "ARRAY[1.5e0, nan()], NULL FROM nation",
    "SELECT * FROM nation WHERE n_nationkey < 0",
]
FAULTS = ["SELECT nope FROM nation", "SELECT 1 / 0", "SELECT * FROM missing", "SELECT CAST('x' AS integer)", "SELECT bogus(1)", "SELECT 1 +"]


def trino(node, keys, folder):
    """Its process and its URL."""
    java = os.environ.get("TRINO_JAVA_HOME") or sorted(glob.glob("/usr/lib/jvm/*2[4-9]*"))[-1]
    work = pathlib.Path(os.environ.get("LAKERUN_CACHE") or pathlib.Path.home() / ".cache/lakerun") / "trino"
    work.mkdir(parents=True, exist_ok=True)
    places, environment = work / "classpath", os.environ | {"JAVA_HOME": java}
    if not places.exists():
        subprocess.run(["mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:build-classpath", f"-Dmdep.outputFile={places}"],
                       check=True, env=environment, stdout=subprocess.DEVNULL)
    log = open(os.path.join(folder, "trino.log"), "w")
    command = [f"{java}/bin/java", "-Xmx2g", "-XX:+UseSerialGC", "--add-modules", "jdk.incubator.vector", "-cp", places.read_text(),
               HERE / "TrinoBeside.java", node.endpoint, *keys]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    return process, process.stdout.readline().strip()


class Athena:
    def __init__(self, node, keys):
        self.athena, self.s3 = clients(node, keys, "athena", 60), clients(node, keys, "s3", 60)

    def start(self, sql, group="primary", **more):
        return self.athena.start_query_execution(
            QueryString=sql, WorkGroup=group, QueryExecutionContext={"Database": "tiny"},
            ResultConfiguration={"OutputLocation": "s3://lake/results/"}, **more)["QueryExecutionId"]

    def ended(self, id):
        look = lambda: self.athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]
        until(f"{id} to end", lambda: look()["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"))
        return look()

    def run(self, sql, group="primary", **more):
        ended = self.ended(self.start(sql, group, **more))
        if ended["Status"]["State"] != "SUCCEEDED":
            sys.exit(f"{group}: {sql}: {ended['Status']}")
        return ended

    def answer(self, sql, group, **more):
        """The result file, and the columns."""
        ended = self.run(sql, group, **more)
        bucket, _, key = ended["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
        page = self.athena.get_query_results(QueryExecutionId=ended["QueryExecutionId"])
        columns = [(c["Name"], c["Type"], c["Precision"], c["Scale"]) for c in page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(), columns, ended

    def error(self, sql, group):
        status = self.ended(self.start(sql, group))["Status"]
        assert status["State"] == "FAILED", (sql, status)
        error = status["AthenaError"]
        return error["ErrorCategory"], error["ErrorType"], error["ErrorMessage"].split(":")[0]


def load(athena):
    """TPC-H's tables by Athena: what Trino makes, as CSV, then as Parquet."""
    athena.run("CREATE DATABASE tiny")
    for name, columns in TABLES.items():
        names = [column.split()[0] for column in columns.split(", ")]
        # Only Trino has this catalog.
        rows, _, _ = athena.answer(f"SELECT {', '.join(column.partition('_')[2] for column in names)} FROM tpch.tiny.{name}", "far")
        athena.s3.put_object(Bucket="lake", Key=f"csv/{name}/1.csv", Body=rows.encode())
        athena.run(f"CREATE EXTERNAL TABLE {name}_csv ({', '.join(f'{column} string' for column in names)}) ROW FORMAT SERDE "
                   f"'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://lake/csv/{name}/' TBLPROPERTIES ('skip.header.line.count'='1')")
        cast = ", ".join(f"CAST({column.split()[0]} AS {column.split()[1]}) {column.split()[0]}" for column in columns.split(", "))
        # In the workgroup that is sent: what writes is not.
        athena.run(f"CREATE TABLE {name} WITH (format = 'PARQUET', external_location = 's3://lake/tiny/{name}/') AS SELECT {cast} FROM {name}_csv", "far")


def compare(athena):
    for sql in QUESTIONS:
        here, columns, _ = athena.answer(sql, "primary")
        there, columns_there, ended = athena.answer(sql, "far")
        assert (there, columns_there) == (here, columns), f"{sql}\n{here[:2000]}\n{there[:2000]}\n{columns}\n{columns_there}"
        assert ended["StatementType"] == "DML" and ended["SubstatementType"] == "SELECT", ended
    assert ended["Statistics"]["DataScannedInBytes"] >= 0
    scanned = athena.answer("SELECT sum(l_tax) FROM lineitem", "far")[2]["Statistics"]["DataScannedInBytes"]
    assert scanned > 0, scanned
    print(f"{len(QUESTIONS)} questions: the same results and columns at Trino")
    for sql in FAULTS:
        here, there = athena.error(sql, "primary"), athena.error(sql, "far")
        assert here == there, f"{sql}: {here} {there}"
    print(f"{len(FAULTS)} mistakes: the same errors")
    given, _, _ = athena.answer("SELECT n_name FROM nation WHERE n_nationkey = ? OR n_name = ? ORDER BY 1", "far", ExecutionParameters=["1", "'FRANCE'"])
    assert given.splitlines() == ['"n_name"', '"ARGENTINA"', '"FRANCE"'], given
    plan, columns, ended = athena.answer("EXPLAIN SELECT count(*) FROM nation", "far")
    assert plan.startswith("Query Plan\n") and "Aggregate" in plan and ended["SubstatementType"] == "EXPLAIN", plan
    # Athena's views have no owner, which Trino asks for, as of AWS's own.
    athena.run("CREATE OR REPLACE VIEW french AS SELECT * FROM nation WHERE n_name = 'FRANCE'", "far")
    assert athena.error("SELECT n_nationkey FROM french", "far") == (2, 1006, "INVALID_VIEW")
    print("parameters, EXPLAIN")


def iceberg(athena):
    """Tables of Iceberg: where Athena has its others, and through Iceberg's REST catalog."""
    athena.run("CREATE TABLE kept (id bigint, name string, at timestamp, amount decimal(10,2)) LOCATION 's3://lake/kept/' TBLPROPERTIES ('table_type' = 'ICEBERG')")
    athena.run("INSERT INTO kept VALUES (1, 'one', TIMESTAMP '2020-01-01 00:00:00.123', DECIMAL '1.50'), (2, NULL, NULL, NULL), (3, 'three', NULL, DECIMAL '-3.00')")
    athena.run("DELETE FROM kept WHERE id = 3", "far")
    athena.run("ALTER TABLE kept CHANGE COLUMN name label string")
    for where in ("kept", "rest.tiny.kept"):
        sql = "SELECT id, label, CAST(at AS varchar) AS at, amount FROM {} ORDER BY id"
        here, columns, _ = athena.answer(sql.format("kept"), "primary")
        there, columns_there, _ = athena.answer(sql.format(where), "far")
        assert (there, columns_there) == (here, columns) and len(here.splitlines()) == 3, f"{where}\n{here}\n{there}\n{columns}\n{columns_there}"
    print("tables of Iceberg, by Glue and by the REST catalog")


def stop(athena):
    id = athena.start("SELECT count(*) FROM tpch.sf10000.lineitem a WHERE comment LIKE '%x%y%z'", "far")
    state = lambda: athena.answer(f"SELECT state FROM system.runtime.queries WHERE source = 'lakerun/{id}'", "far")[0].splitlines()[1:]
    until("the query to run at Trino", lambda: state() == ['"RUNNING"'])
    athena.athena.stop_query_execution(QueryExecutionId=id)
    assert athena.ended(id)["Status"]["State"] == "CANCELLED"
    until("the query to end at Trino", lambda: state() == ['"FAILED"'])
    print("a query that is stopped ends at Trino")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lakerun", default="target/debug/lakerun")
    parser.add_argument("--cases", metavar="OUT", help="the cases recorded from Trino, too; each one's verdict to this file")
    given = parser.parse_args()
    beside = None
    with tempfile.TemporaryDirectory() as folder:
        node = Node(os.path.abspath(given.lakerun), folder, "one")
        try:
            until("the server", node.owns)
            keys = node.keys()
            beside, url = trino(node, keys, folder)
            node.kill()
            node.variables = {"LAKERUN_TRINO_URL": url, "LAKERUN_TRINO_WORKGROUPS": '["far"]'}
            node.start()
            until("the server", node.owns)
            athena = Athena(node, keys)
            athena.s3.create_bucket(Bucket="lake")
            athena.athena.create_work_group(Name="far", Configuration={
                "EnforceWorkGroupConfiguration": False, "ResultConfiguration": {"OutputLocation": "s3://lake/cases/"}})
            load(athena)
            compare(athena)
            iceberg(athena)
            stop(athena)
            if given.cases:
                environment = os.environ | {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_REGION": "us-east-1"}
                subprocess.run([sys.executable, HERE.parent.parent / "trino/run_cases.py", HERE.parent.parent / "trino/cases.jsonl", "--endpoint",
                                node.endpoint, "--workgroup", "far", "--types", "--timeout", "600", "--out", given.cases], env=environment)
            print("5 passed, 0 failed")
        except BaseException:
            print(open(node.log).read()[-3000:], file=sys.stderr)
            raise
        finally:
            if beside:
                beside.kill()
                beside.wait()
            node.kill()


if __name__ == "__main__":
    main()
