"""Stand-in for pyspark.context, which the JVM-free client does not have: SparkContext as scripts use it before they
come to a SparkSession. There are no RDDs: what needs one raises, and says so."""

import sys
import threading

from pyspark.conf import SparkConf


class _Hadoop:
    """hadoopConfiguration() of scripts that set S3 options; S3 access is set up by the job's environment instead. Apache Spark obeys them."""

    def set(self, key, value):
        from . import decide

        decide.move(f"the Hadoop option {key}")
        print(f"lakerun: Hadoop option {key} has no effect here", file=sys.stderr)

    def get(self, key, default=None):
        from . import decide

        decide.move(f"the Hadoop option {key}")
        return default


class _Jsc:
    def hadoopConfiguration(self):
        return _Hadoop()


class LocalRDD:
    """sc.parallelize(list): rows kept in the script, for toDF and collect."""

    def __init__(self, rows):
        self._rows = list(rows)

    def collect(self):
        return list(self._rows)

    def count(self):
        return len(self._rows)

    def map(self, f):
        return LocalRDD(map(f, self._rows))

    def filter(self, f):
        return LocalRDD(filter(f, self._rows))

    def flatMap(self, f):
        return LocalRDD(item for row in self._rows for item in f(row))

    def take(self, n):
        return self._rows[:n]

    def toDF(self, schema=None, sampleRatio=None):
        from pyspark.sql import SparkSession

        return SparkSession.builder.getOrCreate().createDataFrame(self._rows, schema)

    def __iter__(self):
        return iter(self._rows)


class _OfTheJvm:
    """None for the class, as pyspark's own code asks before there is a JVM; for a script it is what there is not."""

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, instance, owner):
        return None if instance is None else instance.__getattr__(self._name)


class SparkContext:
    _active = None
    _active_spark_context = None
    _lock = threading.RLock()
    _jvm = _OfTheJvm()
    _gateway = _OfTheJvm()
    _jsc = _Jsc()
    defaultParallelism = 2

    def __init__(self, master=None, appName=None, conf=None, **_):
        from . import compat

        # As PySpark: the context's own, read when the first session is made, over what --conf says.
        self._conf = SparkConf(loadDefaults=False)
        self._conf.setAll({**compat.given(), **dict(conf.getAll() if conf is not None else ())}.items())
        if appName:
            self._conf.setAppName(appName)
        SparkContext._active = self

    @classmethod
    def getOrCreate(cls, conf=None):
        return cls._active or cls(conf=conf)

    @property
    def version(self):
        import pyspark

        return pyspark.__version__

    @property
    def applicationId(self):
        import os

        return os.environ.get("LAKERUN_JOB_RUN_ID", "local")

    @property
    def appName(self):
        return self._conf.get("spark.app.name", "nativespark")

    def getConf(self):
        """A copy, as PySpark gives."""
        return SparkConf(loadDefaults=False).setAll(self._conf.getAll())

    def setLogLevel(self, logLevel):
        import logging

        levels = {"WARN": "WARNING", "FATAL": "CRITICAL", "TRACE": "DEBUG", "ALL": "DEBUG", "OFF": "CRITICAL"}
        logging.getLogger().setLevel(levels.get(logLevel.upper(), logLevel.upper()))

    def parallelize(self, c, numSlices=None):
        return LocalRDD(c)

    def addPyFile(self, path):
        from lakerun_spark.launcher import add_py_files

        add_py_files(path)

    def stop(self):
        pass

    def __getattr__(self, name):
        from . import decide

        decide.move(f"SparkContext.{name}")
        raise NotImplementedError(f"SparkContext.{name} needs Spark's JVM; Lakerun runs PySpark through Spark Connect: use the SparkSession instead")


def install():
    """Make `from pyspark.context import SparkContext` and `from pyspark import SparkContext` find this class."""
    import pyspark

    sys.modules["pyspark.context"] = sys.modules[__name__]
    pyspark.SparkContext = SparkContext
    pyspark.context = sys.modules[__name__]
