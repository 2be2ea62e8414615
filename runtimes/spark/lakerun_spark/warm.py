"""A template of jobs on Sail: what every one of them loads, loaded once. A fork of it is a job's process (`compute::sandbox::template`), with
the job's user, folders and variables, and goes on as the launcher. Nothing here starts a thread, makes a session or knows a key.

    python -m lakerun_spark.warm        (LAKERUN_TEMPLATE: the descriptor of its orders)
"""

import gc
import importlib
import json
import os
import sys
import tempfile
import time

#: What the launcher, awsglue and the client of Spark Connect import.
LOADED = (
    "boto3", "boto3.s3.transfer", "numpy", "pandas", "pyarrow", "pyarrow.parquet", "pyarrow.compute", "grpc", "sqlglot", "pysail.spark",
    "pyspark.sql.connect.session", "pyspark.sql.connect.dataframe", "pyspark.sql.connect.functions", "pyspark.sql.connect.readwriter",
    "pyspark.sql.functions", "pyspark.sql.types", "pyspark.sql.window", "pyspark.errors",
    "lakerun_spark.launcher", "lakerun_spark.compat", "lakerun_spark.context", "lakerun_spark.decide", "lakerun_spark.settings",
)


def main():
    from lakerun_spark import template

    preload()
    gc.collect()
    # The memory that forks share is not to be written to when they look for what is no longer used.
    gc.freeze()
    template.serve(int(os.environ["LAKERUN_TEMPLATE"]))
    become_job()


def preload():
    # The client of Spark Connect, not of a JVM, whatever is asked for later: as the launcher sets it.
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    _share_models()
    from lakerun_spark import launcher

    launcher.forget_farewells()
    for name in LOADED:
        importlib.import_module(name)
    import boto3

    from lakerun_spark import decide

    decide.proven()
    # A session of its own, which is thrown away: what it has read of S3's model stays.
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")
    session.client("s3", endpoint_url="http://127.0.0.1:9")


def _share_models():
    """Sessions share what they read of botocore's data."""
    from botocore import loaders

    shared, original = {}, loaders.Loader.__init__

    def init(self, *arguments, **named):
        original(self, *arguments, **named)
        self._cache = shared.setdefault(tuple(self.search_paths), {})

    loaders.Loader.__init__ = init


def become_job():
    """The first of a fork, as a start of its own would have done it; then the launcher."""
    time.tzset()
    tempfile.tempdir = None
    # Python's own generator is seeded anew by a fork; NumPy's is not.
    sys.modules["numpy"].random.seed()
    sys.path_importer_cache.clear()
    sys.argv = ["lakerun_spark.launcher", *json.loads(os.environ.pop("LAKERUN_COMMAND"))]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)
    from lakerun_spark import launcher

    launcher.main()


if __name__ == "__main__":
    # Run as a module, this file is __main__; the script must become that instead.
    from lakerun_spark import warm

    warm.main()
