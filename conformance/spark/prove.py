"""Writes runtimes/spark/lakerun_spark/proven.json: the constructs that Sail has been proven to answer as Apache Spark does.

    python prove.py --python PY --endpoint URL [--got FILE]     (keys from the environment; PY has runtimes/spark/requirements.txt)

Runs every recorded case on Sail through our own layer, notes of which constructs its plans were made, and compares with the
recorded answer. A construct is proven when it occurs in a case that agrees and in none that differs. Constructs that occur in at
least FRAME of the agreeing cases are the frame that most cases stand in: a difference is blamed on them only if nothing rarer is
in the case, on what has decimals where the script brings them, on those that no agreeing case has first, then on what the data are and on what columns without a name hold, then on those with fewer than THIN, and never on PLAIN ones, which say nothing by themselves. A case in which the engine raised an error is no
difference: such an error moves a run to Apache Spark by itself.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = os.path.join(HERE, "..", "..", "runtimes", "spark")
FRAME = 25
THIN = 8
PLAIN = {
    "plan:root", "plan:command", "relation:project", "relation:read", "relation:sql", "relation:local_relation", "command:sql_command",
    "command:register_data_source", "command:write_operation", "expression:alias", "expression:literal", "expression:unresolved_attribute",
    "expression:unresolved_function", "expression:cast", "read:files", "reader:csv:schema=False", "reader:csv:schema=True",
    "reader:json:schema=False", "reader:json:schema=True", "reader:csv", "reader:csv:header=true", "reader:json", "castmode:3", "expression:update_fields", "setop:byname:True", "setop:missing:True",
    "sqltype:i", "sqltype:s", "sqltype:f", "sqltype:b", "sqltype:struct", "sql:Select", "sql:From", "sql:Literal", "sql:Values", "sql:Tuple", "sql:Star",
    "sql:DataType", "sql:DataTypeParam", "sql:Var", "sql:Null", "sql:Table:1",
}


def in_job():
    """Inside the engine's process: the cases of a batch, each with its verdict's material and its constructs."""
    sys.path.insert(0, HERE)
    import run_cases
    from lakerun_spark import decide

    if os.environ["LAKERUN_ENGINE"] == "sail":
        decide.record()
    run_cases.signal.signal(run_cases.signal.SIGALRM, run_cases.alarm)
    with open(os.environ["PROVE_BATCH"]) as file:
        cases = json.load(file)
    from awsglue.context import GlueContext
    from pyspark.context import SparkContext

    glue = GlueContext(SparkContext.getOrCreate())
    spark, store, out = glue.spark_session, run_cases.S3(os.environ["PROVE_ROOT"]), {}
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    for case in cases:
        decide.seen()
        got = run_cases.execute(case, spark, store, {"glueContext": glue})
        out[case["id"]] = {"got": got, "constructs": decide.seen()}
        with open(os.environ["PROVE_OUT"] + ".part", "w") as file:
            json.dump(out, file)
        os.replace(os.environ["PROVE_OUT"] + ".part", os.environ["PROVE_OUT"])


def run(cases, python, endpoint, engine, size=40):
    import boto3

    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    bucket = f"prove-{os.getpid()}"
    s3.create_bucket(Bucket=bucket)
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        todo = [cases[i : i + size] for i in range(0, len(cases), size)]
        while todo:
            batch = todo.pop(0)
            names = {key: os.path.join(folder, key) for key in ("batch", "out")}
            with open(names["batch"], "w") as file:
                json.dump(batch, file)
            if os.path.exists(names["out"]):
                os.remove(names["out"])
            env = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "PYTHONPATH": RUNTIME, "TMPDIR": folder, "TZ": "UTC", "LAKERUN_ENGINE": engine,
                   "PROVE_BATCH": names["batch"], "PROVE_OUT": names["out"], "PROVE_ROOT": f"s3://{bucket}/data/{len(out)}"}
            env.pop("LAKERUN_RESULT", None)
            done = subprocess.run([python, "-m", "lakerun_spark.launcher", "glueetl", os.path.abspath(__file__), "--JOB_NAME", "prove"],
                                  env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=1800)
            got = {}
            if os.path.exists(names["out"]):
                with open(names["out"]) as file:
                    got = json.load(file)
            out.update(got)
            left = [c for c in batch if c["id"] not in got]
            if left:
                first = left.pop(0)
                out[first["id"]] = {"got": {"error": "Died", "mro": ["Died"], "message": done.stderr.decode()[-300:]}, "constructs": []}
                if left:
                    todo.insert(0, left)
            print(f"{len(out)} of {len(cases)}", file=sys.stderr, flush=True)
    return out


def prove(cases, got, verdict):
    right, wrong = collections.Counter(), collections.Counter()
    bad = []
    for case in cases:
        found = got.get(case["id"])
        if found is None:
            continue
        same = verdict(case, found["got"])[0] == "same"
        # An expected error may come from anywhere, so it proves nothing.
        if same and "error" not in case["expected"]:
            right.update(set(found["constructs"]))
        elif verdict(case, found["got"])[0] == "different":
            bad.append((case["id"], set(found["constructs"])))
    frame = {name for name, count in right.items() if count >= FRAME} | PLAIN
    from lakerun_spark import decide

    for name, constructs in bad:
        # Moves whatever is proven.
        if any(map(decide.unknowable, constructs)):
            continue
        blamed = constructs - frame or constructs - PLAIN
        if "local:decimal" in constructs:
            # Where decimals come from the script, what has none of them is not the reason.
            blamed = {one for one in blamed if re.search(r"[:(,]d\b", one)} or blamed
        never = {one for one in blamed if right[one] == 0}
        thin = {one for one in blamed if right[one] < THIN}
        data = {one for one in blamed if one.startswith("data:") or ":with:" in one}
        if "data:csv:doubled" in data:
            # Doubled quotes are reason enough.
            data -= {"data:csv:blank", "data:csv:infer"}
        blamed = never or data or thin or blamed
        if not blamed:
            print(f"{name} differs and nothing in its plan can be blamed")
        wrong.update(blamed)
    return sorted(name for name in right if name not in wrong and not decide.unknowable(name)), sorted(set(wrong))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--endpoint", default=os.environ.get("AWS_ENDPOINT_URL"))
    parser.add_argument("--engine", choices=["sail", "spark"], default="sail", help="spark: only say how our layer on Apache Spark does")
    parser.add_argument("--area", action="append", help="with --engine spark: only these areas")
    parser.add_argument("--got", help="a file: what it holds of earlier runs is not run again, the rest is run and kept there")
    arguments = parser.parse_args()
    sys.path[:0] = [HERE, RUNTIME]
    import run_cases

    with open(os.path.join(HERE, "cases.jsonl")) as file:
        cases = [case for case in map(json.loads, file) if not case.get("fresh")]
    if arguments.area:
        cases = [case for case in cases if case["area"] in arguments.area]
    got = {}
    if arguments.got and os.path.exists(arguments.got):
        with open(arguments.got) as file:
            got = json.load(file)
    missing = [case for case in cases if case["id"] not in got]
    if missing:
        got.update(run(missing, arguments.python, arguments.endpoint, arguments.engine, 40 if arguments.engine == "sail" else 400))
        if arguments.got:
            with open(arguments.got, "w") as file:
                json.dump(got, file)
    if arguments.engine == "spark":
        run_cases.report(cases, {name: found["got"] for name, found in got.items()}, True)
        return
    proven, refuted = prove(cases, got, run_cases.verdict)
    with open(os.path.join(RUNTIME, "lakerun_spark", "proven.json"), "w") as file:
        json.dump({"about": "Written by conformance/spark/prove.py: constructs of plans that Sail answers as Apache Spark 3.5 in every recorded case.",
                   "constructs": proven}, file, indent=0)
        file.write("\n")
    verdicts = collections.Counter(run_cases.verdict(c, got[c["id"]]["got"])[0] for c in cases if c["id"] in got)
    print(f"{dict(verdicts)}; {len(proven)} constructs proven, {len(refuted)} not")


if __name__ == "__main__":
    in_job() if "PROVE_BATCH" in os.environ else main()
