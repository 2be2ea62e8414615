"""A job's process on Apache Spark before there is a job: its modules are loaded and its JVM is there, without a context. It waits for one line
on its standard input, {"env": {...}, "command": [...]}, and goes on as the launcher: one run has it, and it ends with that run.

    python -m lakerun_spark.standby        (LAKERUN_SPARK_* as for a job)

What a JVM is told at its start cannot be told it later: a run that wants something of that kind starts a JVM of its own (`gives_up`). Keys come
with the run, to the JVM as properties of the system, for its environment is older than they are.
"""

import importlib
import json
import os
import re
import sys
import tempfile

#: What it says once it stands by.
READY = "lakerun: standing by"
LOADED = ("boto3", "numpy", "pandas", "pyarrow", "pyspark.sql", "pyspark.sql.functions", "pyspark.sql.types", "awsglue.context", "awsglue.job", "awsglue.transforms",
          "lakerun_spark.launcher", "lakerun_spark.metastore")
#: Settings that the JVM, or what starts it, reads at its start.
_AT_START = re.compile(r"spark\.(driver|jars|master|submit|archives|files|local|yarn|kubernetes|repl)\b|extraClassPath|extraJavaOptions|extraListeners|PYSPARK_SUBMIT_ARGS")
#: The settings with which it stands by; none: there is none, or it is no longer wanted.
_standing = None


def main():
    global _standing
    from pyspark import SparkConf
    from pyspark.context import SparkContext
    from pyspark.java_gateway import launch_gateway

    from . import classic, launcher

    launcher.forget_farewells()
    for name in LOADED:
        importlib.import_module(name)
    _standing = classic.prepare([])
    SparkContext._gateway = launch_gateway(SparkConf(loadDefaults=False))
    SparkContext._jvm = SparkContext._gateway.jvm
    print(READY, flush=True)
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    order = json.loads(line)
    os.environ.update(order["env"])
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    tempfile.tempdir = None
    sys.argv = ["lakerun_spark.launcher", *order["command"]]
    launcher.main()


def gives_up(source, values, jars, of_cluster):
    """Whether the run needs a JVM of its own: then the one that stands by is ended."""
    global _standing
    if _standing is None:
        return True
    text = source.decode(errors="replace") if isinstance(source, bytes) else source
    changed = {name for name in {*values, *_standing} if values.get(name) != _standing.get(name) and _AT_START.match(name)}
    if not (jars or of_cluster or changed or _AT_START.search(text)):
        return False
    from pyspark.context import SparkContext

    gateway, _standing = SparkContext._gateway, None
    SparkContext._gateway = SparkContext._jvm = None
    gateway.shutdown()
    gateway.proc.stdin.close()
    return True


def tell(values):
    """Tells the JVM that stands by the run's settings and keys."""
    from pyspark.context import SparkContext

    system = SparkContext._jvm.java.lang.System
    given = {
        **values,
        # As the provider that reads the environment: without state.
        "spark.hadoop.fs.s3a.aws.credentials.provider": "com.amazonaws.auth.SystemPropertiesCredentialsProvider",
        # Python's workers are the JVM's children, and have its environment.
        **{f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name.startswith(("AWS_", "LAKERUN_")) and value},
        "aws.accessKeyId": os.environ.get("AWS_ACCESS_KEY_ID", ""),
        "aws.secretKey": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        "aws.sessionToken": os.environ.get("AWS_SESSION_TOKEN", ""),
        "aws.region": os.environ.get("AWS_REGION", "us-east-1"),
    }
    for name, value in given.items():
        system.setProperty(name, str(value))


if __name__ == "__main__":
    # Run as a module, this file is __main__; the script must become that instead.
    from lakerun_spark import standby

    standby.main()
