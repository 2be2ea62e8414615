"""Apache Spark that is elsewhere as the engine of a job: a cluster whose driver this process is (`submit`), or a Spark Connect server
whose client it is (`connect`). LAKERUN_SPARK_CLUSTER says which, in JSON. What its machines need of the job goes there: the
attempt's credentials, S3A at Lakerun's endpoint, and the modules that functions of the script may name.
"""

import glob
import json
import os
import socket
import sys
import time
import zipfile
from urllib.parse import urlsplit

from . import classic, settings

_given = json.loads(os.environ.get("LAKERUN_SPARK_CLUSTER") or "{}")


def start(engine, arguments, catalog):
    print(f"lakerun: this run's engine is Apache Spark at {_where()}", file=sys.stderr)
    if engine == "submit":
        _drive(arguments, catalog)
    else:
        _connect(arguments, catalog)


def _where():
    """The cluster's address, without what may be secret in it."""
    return _given["at"].partition(";")[0].rstrip("/")


def _modules(arguments):
    """Files of Python for the cluster's machines: our own modules, and those of --extra-py-files."""
    from . import launcher

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.path.abspath(os.path.join(os.environ.get("TMPDIR", "/tmp"), "lakerun-modules.zip"))
    with zipfile.ZipFile(path, "w") as archive:
        for package in ("awsglue", "awsgluedq", "lakerun_spark"):
            for name in sorted(glob.glob(os.path.join(root, package, "**", "*.*"), recursive=True)):
                archive.write(name, os.path.relpath(name, root))
    named = filter(None, (part.strip() for part in (launcher._value(arguments, "--extra-py-files") or "").split(",")))
    return [path, *(os.path.abspath(launcher.fetch(name)) for name in named)]


# submit


def _drive(arguments, catalog):
    from . import launcher

    first = (launcher._value(arguments, "--user-jars-first") or "false").lower() == "true"
    classic.start(arguments, launcher.jars(arguments), catalog, first, _values(arguments))


def _values(arguments):
    """What the driver tells the cluster: where it is itself, and what its executors are."""
    executors, cores = _given["executors"], _given["executor_cores"]
    jars = sorted(glob.glob(os.path.join(os.environ.get("LAKERUN_SPARK_JARS", ""), "*.jar")))
    address = _own_address(_given["at"])
    values = {
        "spark.master": _given["at"],
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.executor.instances": executors,
        "spark.executor.cores": cores,
        "spark.executor.memory": f"{_given['executor_memory_mb']}m",
        "spark.cores.max": executors * cores,
        "spark.sql.shuffle.partitions": max(executors * cores, 2),
        "spark.jars": ",".join("file://" + path for path in jars),
        "spark.submit.pyFiles": ",".join(_modules(arguments)),
        "spark.pyspark.python": _given.get("python") or "python3",
        "spark.executorEnv.TZ": "UTC",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        # A folder that every machine has.
        "spark.hadoop.fs.s3a.buffer.dir": "/tmp/s3a",
    }
    for name, value in _credentials().items():
        values[f"spark.executorEnv.{name}"] = value
    if _given.get("endpoint"):
        values.update(_endpoint("spark.hadoop.fs.s3a.", _given["endpoint"]))
    if _given.get("config_folder"):
        os.environ["HADOOP_CONF_DIR"] = os.environ["YARN_CONF_DIR"] = _given["config_folder"]
    return {**values, **_given.get("conf", {})}


def _credentials():
    """What executors sign with; boto3 in functions of the script reads the same variables."""
    found = {name: value for name, value in os.environ.items() if name.startswith("AWS_") and value}
    if _given.get("endpoint"):
        found["AWS_ENDPOINT_URL"] = _given["endpoint"]
    return found


def _endpoint(prefix, url):
    return {prefix + "endpoint": url, prefix + "connection.ssl.enabled": "false" if url.startswith("http://") else "true"}


def _own_address(master):
    """Where executors reach this machine: the address from which it reaches the master."""
    chosen = _given.get("conf", {}).get("spark.driver.host")
    if chosen:
        return chosen
    where = master.removeprefix("k8s://")
    parts = urlsplit(where.split(",")[0] if "://" in where else "//" + where)
    if not parts.hostname:
        # YARN: the folder of its settings says where it is.
        return socket.gethostbyname(socket.gethostname())
    ports = {"https": 443, "http": 80}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname, parts.port or ports.get(parts.scheme, 7077)))
        return probe.getsockname()[0]


# connect


def _connect(arguments, catalog):
    from . import context, launcher

    for name in ("--extra-jars", "--user-jars-first"):
        if launcher._value(arguments, name):
            raise launcher.LaunchError(f"{name} are for a run's own JVM: a Spark Connect server has the classes that it was started with")
    if catalog:
        raise launcher.LaunchError("--enable-glue-datacatalog would make tables in the catalog that a Spark Connect server's sessions share: "
                                   "read and write by GlueContext's catalog methods, or start the job with --lakerun-engine spark or submit")
    os.environ["SPARK_REMOTE"] = address()
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    import pyspark.sql  # noqa: F401 - before its SparkContext is replaced
    from pyspark.sql.connect.column import Column
    from pyspark.sql.connect.session import SparkSession

    if not hasattr(Column, "try_cast"):
        # With ANSI off, as here, a cast is a try_cast.
        Column.try_cast = Column.cast
    modules, chosen = _modules(arguments), {**_session(), **settings.of(arguments)}
    made = SparkSession.__init__

    def init(self, *args, **kwargs):
        made(self, *args, **kwargs)
        for name, value in chosen.items():
            self.conf.set(name, value)
        self.addArtifacts(*modules, pyfile=True)

    SparkSession.__init__ = init
    context.install()


def address():
    """The server's, with a session that is the run's: who ends the run ends what the session does."""
    base, semicolon, parameters = _given["at"].partition(";")
    own = f"session_id={_given['session']}"
    return f"{base.rstrip('/')}/;{own}" + (semicolon + parameters if parameters else "")


def _session():
    """S3A under the attempt's credentials, for this session alone. File systems are kept by bucket and user for all sessions of a JVM,
    with the credentials of whoever was first: those of these sessions are not."""
    endpoint = _given.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL")
    values = {
        "spark.sql.ansi.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "mapreduce.fileoutputcommitter.algorithm.version": "2",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.endpoint.region": os.environ.get("AWS_REGION", "us-east-1"),
        "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        "fs.s3a.access.key": os.environ.get("AWS_ACCESS_KEY_ID", ""),
        "fs.s3a.secret.key": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        "fs.s3a.session.token": os.environ.get("AWS_SESSION_TOKEN", ""),
        # A request before all others: of the first two at once, one would find this provider without credentials.
        "fs.s3a.bucket.probe": "1",
        "fs.s3a.attempts.maximum": "5",
    }
    for scheme in ("s3", "s3a", "s3n"):
        values[f"fs.{scheme}.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
        values[f"fs.{scheme}.impl.disable.cache"] = "true"
    if os.environ.get("AWS_SERVER_SIDE_ENCRYPTION"):
        algorithm = os.environ["AWS_SERVER_SIDE_ENCRYPTION"]
        values["fs.s3a.server-side-encryption-algorithm"] = {"aws:kms": "SSE-KMS"}.get(algorithm, algorithm)
        if os.environ.get("AWS_SSE_KMS_KEY_ID"):
            values["fs.s3a.server-side-encryption.key"] = os.environ["AWS_SSE_KMS_KEY_ID"]
    if endpoint:
        values.update(_endpoint("fs.s3a.", endpoint))
    return {**values, **_given.get("conf", {})}


def interrupt():
    """Ends what the run's session still does at the server: python -m lakerun_spark.cluster, once the run's own process is no more. What it
    had sent may begin a moment later than it is asked here, so it is asked until there is nothing for a while."""
    from pyspark.sql.connect.session import SparkSession

    session, quiet = SparkSession(address()), 0
    while quiet < 3:
        quiet = 0 if session.interruptAll() else quiet + 1
        time.sleep(1)


if __name__ == "__main__":
    interrupt()
