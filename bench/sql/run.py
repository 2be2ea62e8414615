#!/usr/bin/env python3
"""run.py --binary LAKERUN [--suite tpch|tpcds|clickbench] [--scale 1] [--times 3] [--folder FOLDER] [--only 1,6] [--queries FILE]

TPC-H, TPC-DS or ClickBench through Athena's API, beside DuckDB in this process over the same Parquet files, one query after the other, in turn.
ClickBench's queries are given by `--queries` (its `trino/queries.sql`), its rows are made by `hits.py`, so many millions of them.
Prints for each query the best time of both, their ratio, the same for CPU, and whether the rows are equal; then the sums. Nothing is
asserted about time; the exit status is 1 when rows differ or a query fails. The time of a query is from StartQueryExecution to the moment
when GetQueryExecution says SUCCEEDED; DuckDB's until all rows are fetched. CPU is that of the server and all its processes, and of this
process while DuckDB works; on a machine that others use too, it is what can be compared.
"""
import argparse
import csv
import datetime
import decimal
import io
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
GENERATOR = ["duckdb==1.5.5", "duckdb-extension-tpch==1.5.5", "duckdb-extension-tpcds==1.5.5"]
CLIENT = ["duckdb==2.0.1", "boto3==1.44.8"]


def environment(folder, packages):
    """The python of an environment with these packages."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def tables(given):
    folder = given.folder / f"{given.suite}-{given.scale:g}"
    if not (folder / "queries.json").exists():
        python = environment(given.folder / "generator", GENERATOR)
        made = [HERE / "generate.py", folder, given.suite, str(given.scale)]
        if given.suite == "clickbench":
            made = [HERE / "hits.py", folder, given.queries, str(int(given.scale * 1_000_000))]
        subprocess.run([python, *made], check=True)
    return folder


def serve(binary, data):
    process = subprocess.Popen([binary, "up", "--listen", "127.0.0.1:0", "--data", data], stderr=open(data / "server.log", "w"))
    while not (data / "server.json").exists():
        if process.poll() is not None:
            sys.exit((data / "server.log").read_text())
        time.sleep(0.05)
    return process, json.loads((data / "server.json").read_text())


TYPES = {"BIGINT": "bigint", "INTEGER": "int", "VARCHAR": "string", "DATE": "date", "DOUBLE": "double", "BOOLEAN": "boolean", "SMALLINT": "smallint"}


class Athena:
    def __init__(self, server):
        import boto3
        import botocore.config
        config = botocore.config.Config(region_name=server["region"], s3={"addressing_style": "path"})
        known = {"endpoint_url": server["endpoint"], "aws_access_key_id": server["access_key"], "aws_secret_access_key": server["secret_key"], "config": config}
        self.s3, self.athena = boto3.client("s3", **known), boto3.client("athena", **known)

    def fill(self, folder, peer):
        self.s3.create_bucket(Bucket="lake")
        self.run("CREATE DATABASE bench", "default")
        for file in sorted(folder.glob("*.parquet")):
            self.s3.upload_file(str(file), "lake", f"{file.stem}/{file.name}")
            columns = peer.execute(f"DESCRIBE {file.stem}").fetchall()
            listed = ", ".join(f"`{name}` {TYPES.get(kind, kind.lower())}" for name, kind, *_ in columns)
            self.run(f"CREATE EXTERNAL TABLE {file.stem} ({listed}) STORED AS PARQUET LOCATION 's3://lake/{file.stem}/'")

    def run(self, sql, database="bench"):
        """The seconds until it succeeded, and its execution."""
        begun = time.perf_counter()
        execution = self.athena.start_query_execution(QueryString=sql, QueryExecutionContext={"Database": database},
                                                      ResultConfiguration={"OutputLocation": "s3://lake/results/"})["QueryExecutionId"]
        while True:
            told = self.athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
            if told["Status"]["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.002)
        took = time.perf_counter() - begun
        if told["Status"]["State"] != "SUCCEEDED":
            raise RuntimeError(told["Status"].get("StateChangeReason", ""))
        return took, told

    def rows(self, told, header=False):
        bucket, _, key = told["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
        text = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        return [[value or None for value in row] or [None] for row in csv.reader(io.StringIO(text))][0 if header else 1:]


def exact(sql):
    """As Trino wants it, and DuckDB takes it too: no text where a date is compared, no number of days added to one."""
    sql = re.sub(r"(?i)(?<!date )'(\d{4}-\d{1,2}-\d{1,2})'", lambda found: f"DATE '{datetime.date(*map(int, found[1].split('-')))}'", sql)
    return re.sub(r"(d_date|AS date\)) *\+ *(\d+)\b", r"\1 + INTERVAL '\2' DAY", sql)


def in_decimals(sql):
    """For DuckDB: averages and quotients of decimals, which are doubles there, as the decimals that Trino computes (asked of Trino 476).
    Queries 44, 53, 58, 63 and 83 of TPC-DS rank or sort by such, or show them with few digits."""
    def rounded(text, digits):
        return f"round(({text})::DECIMAL(38,8), {digits})"

    sql = re.sub(r"avg\(ss_net_profit\)", lambda found: rounded(found[0], 2), sql)
    sql = re.sub(r"avg\(sum\(ss_sales_price\)\) OVER \(PARTITION BY \w+\)", lambda found: rounded(found[0], 2), sql)
    sql = re.sub(r"(\w+_item_rev)/\(\(([^()]*)\)/3\) \* 100", lambda found: rounded(f"{found[1]}/{rounded(f'({found[2]})/3', 2)}", 2) + " * 100", sql)
    sql = re.sub(r"(\w+_item_qty)\*1\.0000\)/\(([^()]*)\)/3\.0000 \* 100",
                 lambda found: rounded(f"{rounded(f'{found[1]}/({found[2]})', 4)}/3", 4) + ") * 100", sql)
    return re.sub(r"(\([^()]*_item_qty\)/3\.0) average", lambda found: rounded(found[1], 1) + " average", sql)


def same(ours, theirs):
    """Athena's text beside DuckDB's value."""
    if theirs is None or ours is None:
        return theirs in (None, "") and ours is None
    if isinstance(theirs, (int, float, decimal.Decimal)) and not isinstance(theirs, bool):
        return math.isclose(float(ours), float(theirs), rel_tol=1e-6, abs_tol=0.011)
    if isinstance(theirs, datetime.datetime):
        return ours == theirs.isoformat(" ", "milliseconds")
    return ours.rstrip() == (theirs.isoformat() if isinstance(theirs, datetime.date) else str(theirs)).rstrip()


def equal(ours, theirs):
    if len(ours) != len(theirs):
        return f"{len(ours)} rows instead of {len(theirs)}"
    for number, (a, b) in enumerate(zip(ours, theirs)):
        if len(a) != len(b) or not all(map(same, a, b)):
            return f"row {number}: {a} instead of {[str(x) for x in b]}"
    return ""


def total(rows):
    """Rows in an order of their own: queries that leave ties open may answer in any."""
    def key(row):
        return ["" if value is None else (f"{float(value):.2f}" if re.fullmatch(r"-?\d+(\.\d+)?([eE]-?\d+)?", str(value)) else str(value).rstrip()) for value in row]
    return sorted(rows, key=key)


def tied(sql, header, ours, theirs):
    """Whether rows may differ: as many, of which those that the order is of have the same values; of others no more is known."""
    if "LIMIT" not in sql or len(ours) != len(theirs):
        return False
    by = re.search(r"(?i)ORDER BY (?:COUNT\(\*\)|(\w+))", sql)
    if by is None:
        return True
    name = (by[1] or "_col").lower()
    at = [number for number, column in enumerate(header) if column == name or (name == "_col" and column.startswith(name))]
    return not at or equal(*[[[row[at[-1]]] for row in rows] for rows in (ours, theirs)]) == ""


def busy(root):
    """The CPU seconds of a process, of its descendants, and of those that these have waited for."""
    ticks, parents = {}, {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    found, todo = 0, [root]
    while todo:
        process = todo.pop()
        found += ticks.get(process, 0)
        todo += parents.get(process, [])
    return found / os.sysconf("SC_CLK_TCK")


def measure(given, athena, peer, server, number, sql):
    ours = theirs = our_cpu = their_cpu = math.inf
    for _ in range(given.times):
        cpu = busy(server)
        # A group in a replacement is Java's here, RE2's there.
        took, told = athena.run(sql.replace(r"'\1'", "'$1'"))
        ours, our_cpu = min(ours, took), min(our_cpu, busy(server) - cpu)
        begun, cpu = time.perf_counter(), time.process_time()
        rows = peer.execute(in_decimals(sql)).fetchall()
        theirs, their_cpu = min(theirs, time.perf_counter() - begun), min(their_cpu, time.process_time() - cpu)
    header, *got = athena.rows(told, header=True)
    wrong = equal(got, rows) and equal(total(got), total(rows))
    if wrong and given.suite == "clickbench" and tied(sql, header, got, rows):
        wrong = ""
    inside = told["Statistics"]["EngineExecutionTimeInMillis"] / 1000
    print(f"{number:3} {ours:8.3f} s {inside:8.3f} s {theirs:8.3f} s {ours / theirs:7.2f} {our_cpu:7.2f} s {their_cpu:7.2f} s "
          f"{our_cpu / max(their_cpu, 0.005):6.2f}  {wrong or 'equal'}", flush=True)
    return ours, theirs, our_cpu, their_cpu, not wrong


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binary", required=True, type=pathlib.Path)
    ask.add_argument("--suite", default="tpch", choices=["tpch", "tpcds", "clickbench"])
    ask.add_argument("--scale", default=1, type=float)
    ask.add_argument("--times", default=3, type=int)
    ask.add_argument("--only", default="")
    ask.add_argument("--queries", type=pathlib.Path, help="ClickBench's queries, one a line")
    ask.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lakerun/bench-sql")
    given = ask.parse_args()
    folder = tables(given)
    python = environment(given.folder / "client", CLIENT)
    if pathlib.Path(sys.prefix) != python.parent.parent:
        os.execv(python, [python, *sys.argv])
    import duckdb
    peer = duckdb.connect()
    for file in sorted(folder.glob("*.parquet")):
        peer.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM '{file}'")
    wanted = {int(number) for number in given.only.split(",") if number}
    queries = {int(number): sql for number, sql in json.loads((folder / "queries.json").read_text()).items()}
    seen, failed = [], 0
    with tempfile.TemporaryDirectory(dir=given.folder) as data:
        process, server = serve(given.binary.resolve(), pathlib.Path(data))
        try:
            athena = Athena(server)
            athena.fill(folder, peer)
            athena.run("SELECT 1")
            print("SELECT 1: " + ", ".join(f"{athena.run('SELECT 1')[0] * 1000:.0f}" for _ in range(7)) + " ms")
            print("  nr    Athena     engine     DuckDB   ratio   Athena's and DuckDB's CPU")
            for number, sql in sorted(queries.items()):
                if wanted and number not in wanted:
                    continue
                try:
                    seen.append(measure(given, athena, peer, process.pid, number, exact(sql).strip().rstrip(";")))
                except Exception as error:  # one that fails is told, and the others are measured
                    failed += 1
                    print(f"{number:3} {error}")
        finally:
            process.terminate()
            process.wait()
    ours, theirs, our_cpu, their_cpu = (sum(one[at] for one in seen) for at in range(4))
    print(f"{len(seen)} of {len(seen) + failed} answered, {sum(ok for *_, ok in seen)} equal; {ours:.2f} s beside {theirs:.2f} s: "
          f"{ours / theirs:.2f} times; worst {max(a / b for a, b, *_ in seen):.2f}; CPU {our_cpu:.2f} beside {their_cpu:.2f} s: "
          f"{our_cpu / their_cpu:.2f} times")
    sys.exit(failed > 0 or not all(ok for *_, ok in seen))


if __name__ == "__main__":
    main()
